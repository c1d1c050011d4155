//! Frames: `u32` length of the payload, `u8` kind, payload; all numbers little-endian.

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};

/// Bytes before a payload.
pub const HEADER: usize = 5;
/// Bytes of a spooled payload that are its own head: number and time.
pub const RECORD_HEAD: usize = 16;
/// A longer payload is a broken stream.
pub const MAX_PAYLOAD: usize = 16 << 20;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// JSON [`crate::Hello`].
    Hello = 1,
    /// JSON [`crate::Welcome`].
    Welcome = 2,
    /// JSON [`crate::Request`].
    Request = 3,
    /// Spooled: [`RecordHead`], then bytes of the log as they are.
    Output = 4,
    /// Spooled: [`RecordHead`], then a JSON [`crate::Event`].
    Event = 5,
    /// `u64` spool offset up to which everything is durably applied.
    Ack = 6,
    /// Bytes of a blob.
    Data = 7,
    /// JSON [`crate::End`].
    End = 8,
    /// Of a shell: `u16` rows, `u16` columns.
    Resize = 9,
}

impl Kind {
    /// The kind of this number.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Hello,
            2 => Self::Welcome,
            3 => Self::Request,
            4 => Self::Output,
            5 => Self::Event,
            6 => Self::Ack,
            7 => Self::Data,
            8 => Self::End,
            9 => Self::Resize,
            _ => return None,
        })
    }
}

/// The head of a spooled payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// Grows by one with every record of an attempt, from 1.
    pub number: u64,
    /// Unix time in microseconds.
    pub time_us: u64,
}

impl RecordHead {
    /// As bytes.
    pub fn to_bytes(self) -> [u8; RECORD_HEAD] {
        let mut bytes = [0; RECORD_HEAD];
        bytes[..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[8..].copy_from_slice(&self.time_us.to_le_bytes());
        bytes
    }

    /// Splits a spooled payload into its head and its body.
    pub fn split(payload: &[u8]) -> Option<(Self, &[u8])> {
        let (number, rest) = payload.split_first_chunk::<8>()?;
        let (time, body) = rest.split_first_chunk::<8>()?;
        Some((Self { number: u64::from_le_bytes(*number), time_us: u64::from_le_bytes(*time) }, body))
    }
}

/// The header of a frame with a payload of this length.
pub fn header(kind: Kind, payload: usize) -> [u8; HEADER] {
    let [a, b, c, d] = u32::try_from(payload).unwrap_or(u32::MAX).to_le_bytes();
    [a, b, c, d, kind as u8]
}

/// Reads a header: kind and length of the payload.
///
/// # Errors
/// `InvalidData` for an unknown kind or a length over [`MAX_PAYLOAD`].
pub fn parse_header(bytes: [u8; HEADER]) -> io::Result<(Kind, usize)> {
    let [a, b, c, d, kind] = bytes;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    match Kind::from_byte(kind) {
        Some(kind) if length <= MAX_PAYLOAD => Ok((kind, length)),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("broken frame: kind {kind}, {length} bytes of payload"),
        )),
    }
}

/// Writes one frame.
///
/// # Errors
/// Those of the writer.
pub fn write_frame(to: &mut impl Write, kind: Kind, payload: &[u8]) -> io::Result<()> {
    to.write_all(&header(kind, payload.len()))?;
    to.write_all(payload)
}

/// Writes one frame of JSON.
///
/// # Errors
/// Those of the writer.
pub fn write_json(to: &mut impl Write, kind: Kind, value: &impl Serialize) -> io::Result<()> {
    write_frame(to, kind, &serde_json::to_vec(value)?)
}

/// Reads one frame into `payload`, which it replaces; `None` at a clean end of the stream.
///
/// # Errors
/// Those of the reader, `UnexpectedEof` inside a frame, `InvalidData` for a broken one.
pub fn read_frame(from: &mut impl Read, payload: &mut Vec<u8>) -> io::Result<Option<Kind>> {
    let mut bytes = [0; HEADER];
    let mut filled = 0;
    while filled < HEADER {
        match from.read(&mut bytes[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let (kind, length) = parse_header(bytes)?;
    payload.resize(length, 0);
    from.read_exact(payload)?;
    Ok(Some(kind))
}

/// Decodes a JSON payload.
///
/// # Errors
/// `InvalidData` with the reason.
pub fn decode<T: DeserializeOwned>(payload: &[u8]) -> io::Result<T> {
    serde_json::from_slice(payload).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hello, PROTOCOL, Purpose};

    #[test]
    fn frames_round_trip_and_end_cleanly() {
        let hello =
            Hello { protocol: PROTOCOL, attempt: "a".into(), purpose: Purpose::Upload { request: 7 } };
        let mut wire = Vec::new();
        write_json(&mut wire, Kind::Hello, &hello).unwrap();
        write_frame(&mut wire, Kind::Data, b"\0\xffx").unwrap();
        let mut from = wire.as_slice();
        let mut payload = Vec::new();
        assert_eq!(read_frame(&mut from, &mut payload).unwrap(), Some(Kind::Hello));
        assert_eq!(decode::<Hello>(&payload).unwrap(), hello);
        assert_eq!(read_frame(&mut from, &mut payload).unwrap(), Some(Kind::Data));
        assert_eq!(payload, b"\0\xffx");
        assert_eq!(read_frame(&mut from, &mut payload).unwrap(), None);
    }

    #[test]
    fn a_cut_frame_is_an_error_at_every_byte() {
        let mut wire = Vec::new();
        write_frame(&mut wire, Kind::Data, b"0123456789").unwrap();
        for cut in 1..wire.len() {
            let error = read_frame(&mut &wire[..cut], &mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "cut at {cut}");
        }
    }

    #[test]
    fn a_broken_header_is_refused_before_anything_is_allocated() {
        assert!(parse_header([0, 0, 0, 0, 77]).is_err());
        assert!(parse_header([0xff, 0xff, 0xff, 0xff, Kind::Data as u8]).is_err());
    }
}
