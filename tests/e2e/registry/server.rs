//! Debian's registry with one user, and a proxy by which a host's name leads to it.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use tempfile::TempDir;

use crate::harness::{BUSYBOX, COMMAND_LIMIT, free_address, wait_until};

pub(super) const USER: &str = "builder";
pub(super) const PASSWORD: &str = "pass:with/everything";

/// bcrypt of the passwords.
const HASHES: [(&str, &str); 3] = [
    (PASSWORD, "$2b$05$abcdefghijklmnopqrstuuA3.8TliuNjMpHB8REH1HoBwUlVfft9i"),
    ("123456789012-auth-token", "$2b$05$abcdefghijklmnopqrstuu/4ofrUS75HrKu6f.iuRo0I/XlrmpqlC"),
    ("of-another-day", "$2b$05$abcdefghijklmnopqrstuu4lH9ZB.mQo/0eXUZKAQ0nvzfDp/HAbG"),
];

/// A registry on loopback, which speaks TLS where it has a name.
pub(super) struct Registry {
    address: SocketAddr,
    dir: TempDir,
    auth: String,
    child: Child,
}

impl Registry {
    /// Starts one, if Debian's `docker-registry` and an engine to push with are here.
    pub(super) fn start((user, password): (&str, &str), name: Option<&str>) -> Option<Self> {
        for (program, argument) in
            [("docker-registry", "--version"), ("docker", "version"), ("openssl", "version")]
        {
            let is_here =
                Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success());
            if !is_here {
                assert!(std::env::var_os("RUNSPAN_REQUIRE_SERVICES").is_none(), "no {program}");
                let _ = writeln!(io::stderr(), "SKIPPED: no {program}");
                return None;
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let address = free_address();
        let hash = HASHES.iter().find(|(of, _)| *of == password).unwrap().1;
        fs::write(path("users"), format!("{user}:{hash}\n")).unwrap();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\n\
             auth: {{htpasswd: {{realm: tests, path: {}}}}}\nhttp:\n  addr: '{address}'\n",
            path("storage"),
            path("users")
        );
        if let Some(name) = name {
            certify(name, &path("key.pem"), &path("certificate.pem"));
            config +=
                &format!("  tls: {{certificate: {}, key: {}}}\n", path("certificate.pem"), path("key.pem"));
        }
        fs::write(path("config.yml"), config).unwrap();
        let mut command = Command::new("docker-registry");
        let child = command.arg("serve").arg(path("config.yml")).stdout(Stdio::null()).stderr(Stdio::null());
        let child = child.spawn().unwrap();
        wait_until("the registry listens", COMMAND_LIMIT, || TcpStream::connect(address).ok());
        Some(Self { address, dir, auth: format!("{user}:{password}"), child })
    }

    /// Pushes an image under this name; the full one.
    pub(super) fn push(&self, name: &str) -> String {
        let full = format!("{}/{name}", self.address);
        let config = self.dir.path().join("docker");
        fs::create_dir_all(&config).unwrap();
        let (user, password) = self.auth.split_once(':').unwrap();
        let run = |arguments: &[&str]| {
            let mut command = Command::new("docker");
            let output = command.arg("--config").arg(&config).args(arguments).output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        run(&["login", "--username", user, "--password", password, &self.address.to_string()]);
        run(&["tag", BUSYBOX, &full]);
        run(&["push", "--quiet", &full]);
        run(&["rmi", &full]);
        full
    }

    /// Its certificate, which vouches for itself.
    pub(super) fn certificate(&self) -> PathBuf {
        self.dir.path().join("certificate.pem")
    }

    /// A proxy that takes every name for this registry's.
    pub(super) fn proxy(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, target) = (listener.local_addr().unwrap(), self.address);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || connect(client, target));
            }
        });
        format!("http://{address}")
    }

    /// An address of the engine at which this registry goes by that name, too; everything else is the engine's own.
    pub(super) fn engine(&self, name: &'static str) -> String {
        let socket = self.dir.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let address = self.address;
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || rename(client, name, &address.to_string()));
            }
        });
        format!("unix://{}", socket.display())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn certify(name: &str, key: &str, certificate: &str) {
    let names = format!("subjectAltName=DNS:{name},IP:127.0.0.1");
    let subject = "/CN=registry of the tests";
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-subj", subject, "-addext", &names, "-keyout", key, "-out", certificate])
        .output()
        .unwrap();
    assert!(made.status.success() && Path::new(key).exists(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Reads what comes before the body of a request.
fn head(client: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(head)
}

/// Answers `CONNECT`, then carries bytes both ways.
fn connect(mut client: TcpStream, target: SocketAddr) -> io::Result<()> {
    head(&mut client)?;
    let server = TcpStream::connect(target)?;
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _gone = io::copy(&mut from, &mut to);
        let _gone = to.shutdown(Shutdown::Write);
    });
    let _gone = io::copy(&mut &server, &mut client);
    client.shutdown(Shutdown::Both)
}

/// Passes one request on to the engine, about images at this address instead of those of this name.
fn rename(mut client: UnixStream, name: &str, address: &str) -> io::Result<()> {
    let head = String::from_utf8_lossy(&head(&mut client)?).into_owned();
    let length = |line: &str| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok();
    let mut body = vec![0; head.lines().find_map(length).unwrap_or(0)];
    client.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).replace(name, address);
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    let engine = UnixStream::connect(host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock"))?;
    for line in head.lines().filter(|line| !line.is_empty() && length(line).is_none()) {
        write!(&engine, "{}\r\n", line.replace(name, &address.replace(':', "%3A")))?;
    }
    // One request a connection, or the next ones would pass as they are.
    write!(&engine, "content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())?;
    let _gone = io::copy(&mut &engine, &mut client);
    client.shutdown(Shutdown::Both)
}
