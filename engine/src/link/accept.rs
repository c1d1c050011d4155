//! Whoever dials, each on a thread of its own.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

/// Connections at once. Anything in the container can dial, and each costs the supervisor a thread.
const MOST_LINES: usize = 256;
/// After an error of the listener, as when no file descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves whoever dials, until the listener is shut down.
pub(super) fn accept(listener: &UnixListener, serve: impl Fn(UnixStream) + Clone + Send + 'static) {
    let lines = Arc::new(());
    loop {
        match listener.accept() {
            // Cut off; the agent dials again.
            Ok(_) if Arc::strong_count(&lines) > MOST_LINES => {}
            Ok((stream, _)) => {
                let (serve, line) = (serve.clone(), Arc::clone(&lines));
                // Without a thread it is cut off, too.
                let _cut = spawn("agent-line", move || {
                    serve(stream);
                    drop(line);
                });
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            Err(_) => std::thread::sleep(ACCEPT_PAUSE),
        }
    }
}

pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn whoever_dials_too_often_is_cut_off_and_others_still_get_through() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let listener = Arc::new(UnixListener::bind(&socket).unwrap());
        let accepting = Arc::clone(&listener);
        let echo = |mut stream: UnixStream| {
            let mut byte = [0];
            let _gone = stream.read_exact(&mut byte).and_then(|()| stream.write_all(&byte));
        };
        let thread = std::thread::spawn(move || accept(&accepting, echo));
        let dial = || UnixStream::connect(&socket).unwrap();
        let is_served = || {
            let mut stream = dial();
            stream.write_all(&[7]).and_then(|()| stream.read_exact(&mut [0])).is_ok()
        };
        let silent: Vec<UnixStream> = (0..MOST_LINES).map(|_| dial()).collect();
        assert!(!is_served(), "no line is left");
        drop(silent);
        let end = std::time::Instant::now() + Duration::from_secs(30);
        while !is_served() {
            assert!(std::time::Instant::now() < end, "nobody gets through any more");
            std::thread::sleep(Duration::from_millis(5));
        }
        rustix::net::shutdown(&*listener, rustix::net::Shutdown::Both).unwrap();
        thread.join().unwrap();
    }
}
