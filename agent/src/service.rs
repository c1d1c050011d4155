//! The local service: connections of the build's processes, handed on to the supervisor.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;

use runspan_agent_protocol::Purpose;

use crate::link::dial;
use crate::shared::Shared;

/// Somewhere outside; nothing is sent there.
const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// Listens on loopback, or on the build's own address where there is one; whoever connects is handed on.
pub(crate) fn offer(shared: &Arc<Shared>, beyond_loopback: bool) -> io::Result<SocketAddr> {
    let own = beyond_loopback.then(own_address).flatten();
    let listener = TcpListener::bind((own.unwrap_or(Ipv4Addr::LOCALHOST.into()), 0))?;
    let address = listener.local_addr()?;
    let shared = Arc::clone(shared);
    std::thread::Builder::new().name("service".into()).spawn(move || {
        for inside in listener.incoming().flatten() {
            let shared = Arc::clone(&shared);
            // A connection that cannot be handed on is closed; its client tries again.
            let hand_on = move || drop(hand_on(&shared, &inside));
            let _ = std::thread::Builder::new().name("service".into()).spawn(hand_on);
        }
    })?;
    Ok(address)
}

/// The address from which the build would go out.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(ELSEWHERE).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn hand_on(shared: &Shared, inside: &TcpStream) -> io::Result<()> {
    let outside = &dial(shared, Purpose::Service)?;
    // Answers are small and waited for.
    inside.set_nodelay(true)?;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = io::copy(&mut &*outside, &mut &*inside);
            let _ = inside.shutdown(Shutdown::Write);
        });
        let _ = io::copy(&mut &*inside, &mut &*outside);
        let _ = outside.shutdown(Shutdown::Write);
    });
    Ok(())
}
