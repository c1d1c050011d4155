//! Downloads that go on where they were cut.

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::CONTENT_RANGE;
use tokio::sync::mpsc::Sender;

use super::Registry;
use super::answer::Trouble;
use crate::image::manifest::Descriptor;

impl Registry {
    /// Sends a blob's bytes to `to` in order, and says after each piece how many there are. A cut connection is made
    /// again from there. Ends early when nobody takes the bytes any more.
    pub(in crate::image) async fn blob(
        &self,
        blob: &Descriptor,
        to: Sender<Bytes>,
        mut progress: impl FnMut(u64),
    ) -> Result<(), String> {
        let path = format!("blobs/{}", blob.digest);
        let mut done = 0;
        let mut tries = 0;
        while done < blob.size {
            let mut response = self.get(&path, None, done).await?;
            // A registry that cannot go on begins anew.
            let mut skip = match response.status() {
                StatusCode::PARTIAL_CONTENT if starts_at(&response) == Some(done) => 0,
                StatusCode::PARTIAL_CONTENT => {
                    return Err(format!("{} sends another part of a layer", self.reference.registry));
                }
                _ => done,
            };
            let before = done;
            let trouble = loop {
                let mut chunk = match response.chunk().await {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) => break Trouble::Lasting("the layer ended early".into()),
                    Err(error) => break self.trouble(&error),
                };
                let skipped = skip.min(chunk.len() as u64);
                skip -= skipped;
                chunk = chunk.slice(usize::try_from(skipped).unwrap_or(usize::MAX)..);
                if chunk.is_empty() {
                    continue;
                }
                done += chunk.len() as u64;
                if to.send(chunk).await.is_err() {
                    return Ok(());
                }
                progress(done);
                if done >= blob.size {
                    return Ok(());
                }
            };
            if done > before {
                tries = 0;
            }
            let reason = format!("{} after {done} of {} bytes", trouble.into_reason(), blob.size);
            self.pause(&mut tries, reason, None).await?;
        }
        Ok(())
    }
}

/// Where a part begins.
fn starts_at(response: &reqwest::Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}
