//! Faults that are put between callers and GitHub.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The answer is this status, and nothing is done.
    Status(u16),
    /// The answer is this status and body, and nothing is done.
    Answer(u16, Json),
    /// It is done, but the answer is this status.
    StatusAfter(u16),
    /// The connection is closed, and nothing is done.
    Close,
    /// So many bytes of the request's body are read, then the connection is closed.
    CutRequest(usize),
    /// It is done, but the connection is closed without an answer.
    LoseAnswer,
    /// The connection is closed after so many bytes of the answer's body.
    CutAnswer(usize),
    /// It is done after this time.
    Stall(#[serde(with = "milliseconds")] Duration),
    /// It is done twice, as by a proxy that tries again; the second answer is given.
    Twice,
}

/// Which calls it happens to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// Only this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only paths in which this stands; the query belongs to the path.
    pub path: String,
    /// So many such calls are left alone first.
    #[serde(default)]
    pub skip: u32,
    /// So many calls are hit.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens.
    pub effect: Effect,
}

const fn once() -> u32 {
    1
}

impl Fault {
    /// A fault of the next call.
    pub fn once(path: &str, effect: Effect) -> Self {
        Self { method: None, path: path.to_owned(), skip: 0, times: 1, effect }
    }

    /// A fault of the next calls.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// The first calls are left alone.
    #[must_use]
    pub const fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }
}

/// The effect on a call, when one of the faults means it.
pub(crate) fn strike(faults: &mut Vec<Fault>, method: &str, path: &str) -> Option<Effect> {
    let hit = faults.iter_mut().find_map(|fault| {
        let meant = path.contains(&fault.path)
            && fault.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method));
        if !meant {
            return None;
        }
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times = fault.times.saturating_sub(1);
        Some(fault.effect.clone())
    });
    faults.retain(|fault| fault.times > 0);
    hit
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_the_calls_that_it_means_and_no_more() {
        let mut faults = vec![Fault::once("/message", Effect::Status(500)).after(1).times(2)];
        let mut call = |path| strike(&mut faults, "GET", path).is_some();
        assert_eq!(
            [call("/a"), call("/message"), call("/message?x"), call("/message"), call("/message")],
            [false, false, true, true, false]
        );
    }
}
