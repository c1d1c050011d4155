//! What the build asks for, passed on to the supervisor.

use std::io;
use std::time::Duration;

use runspan_agent_protocol::{Answer, End, Kind, Purpose, Question, decode, read_frame};

use crate::link::dial;
use crate::shared::Shared;

/// AWS is asked several times before the supervisor says that it does not answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks the supervisor.
pub(crate) fn ask(shared: &Shared, question: Question) -> io::Result<Answer> {
    let mut stream = dial(shared, Purpose::Ask(question))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut payload = Vec::new();
    match read_frame(&mut stream, &mut payload)? {
        Some(Kind::Data) => decode(&payload),
        Some(Kind::End) => match decode(&payload)? {
            End::Failed(reason) => Err(io::Error::other(reason)),
            End::Complete | End::Exited(_) => Err(io::ErrorKind::InvalidData.into()),
        },
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
