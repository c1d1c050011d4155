//! Lines for people who watch a job. They are a courtesy: what cannot be sent in time is left out, and the stored log
//! has it all the same.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::SinkExt;
use reqwest::{Client, StatusCode};
use runspan_agent_protocol::Secret;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use uuid::Uuid;

use crate::JobMessage;

/// Lines that wait, as GitHub's own runner has it.
const ROOM: usize = 1024;
/// Lines of one message.
const BATCH: usize = 100;
/// A console shows no more of a line.
const LONGEST_LINE: usize = 1024;
const TICK: Duration = Duration::from_millis(250);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
const TRIES: u32 = 3;

/// The console of one job.
#[derive(Debug)]
pub(crate) struct Live {
    lines: mpsc::Sender<Line>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Line {
    step: Uuid,
    /// From 1.
    number: u64,
    text: String,
}

type Socket = WebSocketStream<reqwest::Upgraded>;

impl Live {
    /// Of a job, where it has one.
    pub(crate) fn of(job: &JobMessage) -> Option<Self> {
        // An upgrade is HTTP 1's.
        let client = Client::builder().http1_only().connect_timeout(CONNECT_TIMEOUT).build().ok()?;
        let url = job.feed_url.clone()?.replacen("ws", "http", 1);
        let token = job.token.clone();
        let (lines, queue) = mpsc::channel(ROOM);
        Some(Self { lines, task: tokio::spawn(send_all(client, url, token, queue)) })
    }

    /// One more line.
    pub(crate) fn line(&self, step: Uuid, number: u64, text: &str) {
        let text = text.chars().take(LONGEST_LINE).collect();
        let _full = self.lines.try_send(Line { step, number, text });
    }

    /// Sends what waits, for a short time.
    pub(crate) async fn close(self) {
        let Self { lines, mut task } = self;
        drop(lines);
        if tokio::time::timeout(CLOSE_TIMEOUT, &mut task).await.is_err() {
            task.abort();
        }
    }
}

async fn send_all(client: Client, url: String, token: Secret, mut queue: mpsc::Receiver<Line>) {
    let mut socket = None;
    let mut tries = 0;
    let mut waiting = Vec::new();
    loop {
        let is_open = queue.recv_many(&mut waiting, BATCH).await > 0;
        if waiting.is_empty() {
            break;
        }
        for message in messages(&waiting) {
            if socket.is_none() && tries < TRIES {
                tries += 1;
                socket = connect(&client, &url, &token).await;
            }
            if let Some(open) = &mut socket
                && open.send(Message::text(message)).await.is_err()
            {
                socket = None;
            }
        }
        waiting.clear();
        if !is_open {
            break;
        }
        // Lines that come close together go together.
        tokio::time::sleep(TICK.min(if queue.is_closed() { Duration::ZERO } else { TICK })).await;
    }
    if let Some(mut open) = socket {
        let _gone = open.close(None).await;
    }
}

/// The lines of each step in a row as one message.
fn messages(lines: &[Line]) -> Vec<String> {
    lines
        .chunk_by(|a, b| a.step == b.step && a.number + 1 == b.number)
        .map(|lines| {
            let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
            let first = lines.first();
            json!({
                "count": texts.len(),
                "value": texts,
                "stepId": first.map(|line| line.step),
                "startLine": first.map(|line| line.number),
            })
            .to_string()
        })
        .collect()
}

async fn connect(client: &Client, url: &str, token: &Secret) -> Option<Socket> {
    let key = STANDARD.encode(Uuid::new_v4().as_bytes());
    let answer = client
        .get(url)
        .bearer_auth(token.reveal())
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", key)
        .send()
        .await
        .ok()?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return None;
    }
    let upgraded = answer.upgrade().await.ok()?;
    Some(WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_follow_each_other_go_together() {
        let line =
            |step, number| Line { step: Uuid::from_u128(step), number, text: format!("{step}.{number}") };
        let said = messages(&[line(1, 1), line(1, 2), line(2, 1), line(2, 5)]);
        let said: Vec<serde_json::Value> =
            said.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        assert_eq!(said.len(), 3);
        assert_eq!(said[0]["value"], json!(["1.1", "1.2"]));
        assert_eq!((said[2]["startLine"].as_u64(), said[2]["count"].as_u64()), (Some(5), Some(1)));
    }
}
