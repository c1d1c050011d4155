//! A host, an internet behind it, and builds: each a network namespace.

use std::{
    fs::File,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use runspan_engine::{Attachment, NetworkError, PrivateNetwork};
use runspan_network::{HostNetwork, Settings};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

/// The host's address on its way out, and the machine at the other end of it.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(crate) const INTERNET: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
pub(crate) const METADATA_6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

const PATIENCE: Duration = Duration::from_secs(1);

/// A network namespace, as long as something holds it.
#[derive(Clone, Debug)]
pub(crate) struct Namespace(Arc<File>);

impl Namespace {
    pub(crate) fn new() -> Self {
        let mut holder = Command::new("unshare")
            .args(["-n", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It answers once it is in its namespace.
        holder.stdin.as_ref().unwrap().write_all(b"x").unwrap();
        holder.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let namespace = File::open(format!("/proc/{}/ns/net", holder.id())).unwrap();
        drop(holder.stdin.take());
        holder.wait().unwrap();
        Self(Arc::new(namespace))
    }

    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let entered = || {
                move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            };
            scope.spawn(entered).join().unwrap()
        })
    }

    /// Runs commands of a shell; what they wrote.
    pub(crate) fn shell(&self, script: &str) -> String {
        self.run(|| {
            let output = Command::new("sh").args(["-ec", script]).output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{script}: {error}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        })
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// A path by which other programs find it.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Serves a port: tells each who connects from where it came.
    pub(crate) fn serve(&self, port: u16) {
        self.serve_at(Ipv4Addr::UNSPECIFIED, port);
    }

    /// [`Self::serve`] at one address.
    pub(crate) fn serve_at(&self, address: impl Into<IpAddr>, port: u16) {
        let address = SocketAddr::from((address.into(), port));
        let listener = self.run(|| TcpListener::bind(address).unwrap());
        thread::spawn(move || {
            while let Ok((mut stream, from)) = listener.accept() {
                drop(write!(stream, "{}", from.ip()));
            }
        });
    }

    /// Answers every datagram with where it came from.
    pub(crate) fn serve_datagrams(&self, address: Ipv4Addr, port: u16) {
        let socket = self.run(|| UdpSocket::bind((address, port)).unwrap());
        thread::spawn(move || {
            while let Ok((_, from)) = socket.recv_from(&mut [0; 64]) {
                drop(socket.send_to(from.ip().to_string().as_bytes(), from));
            }
        });
    }

    /// What [`Self::serve`] says over there; the error where it is not reached.
    pub(crate) fn ask(&self, address: impl Into<IpAddr>, port: u16) -> std::io::Result<String> {
        let address = SocketAddr::from((address.into(), port));
        self.run(|| {
            let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let mut said = String::new();
            stream.read_to_string(&mut said)?;
            Ok(said)
        })
    }

    /// What [`Self::serve_datagrams`] says over there.
    pub(crate) fn ask_with_datagram(&self, address: Ipv4Addr, port: u16) -> std::io::Result<String> {
        self.run(|| {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.connect((address, port))?;
            socket.send(b"?")?;
            let mut said = [0; 64];
            let length = socket.recv(&mut said)?;
            Ok(String::from_utf8_lossy(&said[..length]).into_owned())
        })
    }
}

/// A host with a way out, and its private networks.
pub(crate) struct World {
    pub(crate) host: Namespace,
    pub(crate) internet: Namespace,
    pub(crate) settings: Settings,
    _dir: TempDir,
}

impl World {
    /// Where the user and the machine can have namespaces; says so loudly where not.
    pub(crate) fn new() -> Option<Self> {
        let missing = [
            ("unshare", &["-n", "true"][..]),
            ("ip", &["-V"]),
            ("nft", &["--version"]),
            ("iptables", &["--version"]),
        ]
        .into_iter()
        .find(|(program, arguments)| {
            !Command::new(program).args(*arguments).output().is_ok_and(|output| output.status.success())
        });
        if let Some((program, _)) = missing {
            let reason =
                format!("`{program}` cannot be used here; run as root with iproute2, nftables and iptables");
            assert_ne!(std::env::var("RUNSPAN_REQUIRE_SERVICES").as_deref(), Ok("1"), "{reason}");
            drop(writeln!(std::io::stderr(), "SKIPPED: {reason}"));
            return None;
        }
        let (host, internet) = (Namespace::new(), Namespace::new());
        host.shell(&format!(
            "ip link set lo up
             ip link add out0 mtu 1400 type veth peer name in0 netns {}
             ip address add {HOST}/24 dev out0
             ip link set out0 up",
            internet.path()
        ));
        internet.shell(&format!(
            "ip link set lo up
             ip address add {INTERNET}/24 dev in0
             ip address add {METADATA}/32 dev lo
             ip link set in0 up"
        ));
        host.shell(&format!("ip route add default via {INTERNET}"));
        internet.serve(80);
        let dir = tempfile::tempdir().unwrap();
        let resolver = dir.path().join("resolv.conf");
        std::fs::write(&resolver, format!("search example.test\nnameserver {INTERNET}\n")).unwrap();
        let settings = Settings { range: None, lock: dir.path().join("lock"), resolver };
        Some(Self { host, internet, settings, _dir: dir })
    }

    pub(crate) fn network(&self) -> Result<HostNetwork, NetworkError> {
        self.host.run(|| HostNetwork::open(self.settings.clone()))
    }

    /// A namespace that is joined.
    pub(crate) fn build(&self, attempt: &str) -> (Namespace, Attachment) {
        let namespace = Namespace::new();
        let attachment = self.attach(attempt, &namespace).unwrap();
        (namespace, attachment)
    }

    pub(crate) fn attach(&self, attempt: &str, namespace: &Namespace) -> Result<Attachment, NetworkError> {
        let network = self.network()?;
        self.host.run(|| network.attach(attempt, namespace.0.as_fd()))
    }

    pub(crate) fn detach(&self, attempt: &str) {
        let network = self.network().unwrap();
        self.host.run(|| network.detach(attempt)).unwrap();
    }

    pub(crate) fn sweep(&self, live: &[&str]) -> Vec<String> {
        let network = self.network().unwrap();
        self.host.run(|| network.sweep(&|attempt| live.contains(&attempt))).unwrap()
    }

    /// Names of the interfaces on the host that are ours.
    pub(crate) fn interfaces(&self) -> Vec<String> {
        let all = self.host.shell("ip -o link");
        let names = all.lines().filter_map(|line| line.split_whitespace().nth(1));
        names
            .filter(|name| name.starts_with("runspan"))
            .map(|name| name.split(['@', ':']).next().unwrap().to_owned())
            .collect()
    }

    /// All rules of nf_tables on the host.
    pub(crate) fn rules(&self) -> String {
        self.host.shell("nft list ruleset")
    }
}
