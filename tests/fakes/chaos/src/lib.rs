//! A proxy that breaks connections as networks do: refused, cut within what is asked, cut within the answer.
//!
//! What it breaks follows from a seed and from the number of the connection.

mod fate;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

pub use fate::Fate;

/// A proxy in front of a server. It lives as long as the process does.
#[derive(Debug)]
pub struct Chaos {
    address: SocketAddr,
    network: Arc<Network>,
}

#[derive(Debug)]
struct Network {
    target: SocketAddr,
    seed: u64,
    percent: AtomicU64,
    connections: AtomicU64,
    broken: AtomicU64,
    /// Connections that are still to be cut, and how.
    cuts: Mutex<(u64, Fate)>,
}

impl Chaos {
    /// Listens in front of `target`, and breaks nothing yet.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn before(target: SocketAddr, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let network = Arc::new(Network {
            target,
            seed,
            percent: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            cuts: Mutex::new((0, Fate::Served)),
        });
        let shared = Arc::clone(&network);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let network = Arc::clone(&shared);
                thread::spawn(move || network.serve(client));
            }
        });
        Ok(Self { address, network })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks so many of a hundred connections from now on. With none, those that are open are spared as well.
    pub fn breaks(&self, percent: u64) {
        self.network.percent.store(percent, Ordering::Relaxed);
    }

    /// Cuts the next so many connections so, and spares none of them.
    pub fn cuts(&self, connections: u64, fate: Fate) {
        *self.network.cuts.lock().unwrap_or_else(PoisonError::into_inner) = (connections, fate);
    }

    /// How many connections it has broken.
    pub fn broken(&self) -> u64 {
        self.network.broken.load(Ordering::Relaxed)
    }
}

impl Network {
    fn serve(self: Arc<Self>, client: TcpStream) {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let cut = self.next_cut();
        let percent = self.percent.load(Ordering::Relaxed);
        let fate = cut.unwrap_or_else(|| Fate::of(self.seed, number, percent));
        // Whoever is not there any more needs no word of it.
        let _gone = self.carry(&client, fate, cut.is_some());
        let _gone = client.shutdown(Shutdown::Both);
    }

    fn next_cut(&self) -> Option<Fate> {
        let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        cuts.0 = cuts.0.checked_sub(1)?;
        Some(cuts.1)
    }

    fn carry(self: &Arc<Self>, client: &TcpStream, fate: Fate, is_sure: bool) -> io::Result<()> {
        if fate == Fate::Refused {
            self.broken.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let server = TcpStream::connect(self.target)?;
        for stream in [client, &server] {
            stream.set_nodelay(true)?;
        }
        let (asked, answered) = match fate {
            Fate::AskingCut(bytes) => (Some(bytes), None),
            Fate::AnswerCut(bytes) => (None, Some(bytes)),
            Fate::Served | Fate::Refused => (None, None),
        };
        let (network, from, to) = (Arc::clone(self), client.try_clone()?, server.try_clone()?);
        let asking = thread::spawn(move || network.copy(&from, &to, asked, is_sure));
        self.copy(&server, client, answered, is_sure);
        // Where the server is done, so is the client.
        let _gone = client.shutdown(Shutdown::Both);
        let _ended = asking.join();
        Ok(())
    }

    /// Carries bytes one way, to the end or so far; then nothing more goes either way.
    fn copy(&self, mut from: &TcpStream, mut to: &TcpStream, limit: Option<u64>, is_sure: bool) {
        let mut buffer = [0; 16 << 10];
        let mut left = limit.and_then(|limit| usize::try_from(limit).ok());
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let spared = !is_sure && self.percent.load(Ordering::Relaxed) == 0;
            let passing = left.filter(|_| !spared).unwrap_or(read).min(read);
            if to.write_all(&buffer[..passing]).is_err() {
                break;
            }
            if passing < read {
                self.broken.fetch_add(1, Ordering::Relaxed);
                break;
            }
            left = left.map(|left| left.saturating_sub(read));
        }
        for stream in [from, to] {
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers a line with itself, a hundred times over.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    let mut line = [0; 5];
                    if client.read_exact(&mut line).is_ok() {
                        let _gone = client.write_all(&line.repeat(100));
                    }
                });
            }
        });
        address
    }

    /// Bytes of the answer that came through.
    fn ask(chaos: &Chaos) -> usize {
        let mut client = TcpStream::connect(chaos.address()).unwrap();
        let _cut = client.write_all(b"hello");
        let mut answer = Vec::new();
        let _cut = client.read_to_end(&mut answer);
        answer.len()
    }

    #[test]
    fn connections_break_while_they_should_and_not_after() {
        let chaos = Chaos::before(echo(), 1).unwrap();
        assert!((0..20).all(|_| ask(&chaos) == 500));
        assert_eq!(chaos.broken(), 0);
        chaos.breaks(100);
        let found: Vec<usize> = (0..60).map(|_| ask(&chaos)).collect();
        let partly = found.iter().filter(|bytes| (1..500).contains(*bytes)).count();
        assert!(found.contains(&0) && partly > 5, "{found:?}");
        assert!(chaos.broken() > 20, "{found:?}");
        chaos.breaks(0);
        assert!((0..20).all(|_| ask(&chaos) == 500));
        chaos.cuts(2, Fate::AskingCut(3));
        assert_eq!([ask(&chaos), ask(&chaos), ask(&chaos)], [0, 0, 500]);
        chaos.cuts(1, Fate::AnswerCut(7));
        assert_eq!([ask(&chaos), ask(&chaos)], [7, 500]);
    }
}
