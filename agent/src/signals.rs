//! What the container is told from outside.

use std::io;
use std::sync::Arc;

use runspan_agent_protocol::Event;
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

use crate::log::Log;

/// Passes TERM on to the supervisor, who stops builds; the kernel keeps from PID 1 what it does not listen to.
pub(crate) fn listen(log: &Arc<Log>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM])?;
    let log = Arc::clone(log);
    let pass_on = move || signals.forever().for_each(|_| log.event(Event::StopAsked));
    std::thread::Builder::new().name("signals".into()).spawn(pass_on).map(drop)
}
