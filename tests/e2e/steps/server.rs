//! A server of actions: one commit, one archive, one that is broken, and a repository to clone.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;

/// Runs until the test is over.
pub(super) struct Server {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

impl Server {
    /// Serves an action of these files as `o/counting` and as `actions/checkout`; `o/escapes` has a name that leads out
    /// of it. `o/cloned.git` holds one file, `cloned.txt`.
    pub(super) fn start(files: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (archive, escaping, repository) = (archive(files), escaping(), repository());
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away is no fault of the server's.
                let _gone = answer(stream, &archive, &escaping, repository.path(), &log);
            }
        });
        Self { address, asked }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked for, without the repository.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn answer(
    stream: TcpStream,
    archive: &[u8],
    escaping: &[u8],
    cloned: &Path,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(&stream).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let (repository, rest) =
        match path.strip_prefix("/repos/").map(|rest| rest.splitn(3, '/').collect::<Vec<_>>()) {
            Some(parts) if parts.len() == 3 => (format!("{}/{}", parts[0], parts[1]), parts[2].to_owned()),
            _ => (String::new(), String::new()),
        };
    let known = ["o/counting", "o/escapes", "actions/checkout"].contains(&repository.as_str());
    let file = path.strip_prefix("/o/cloned.git/").and_then(|file| file.split('?').next());
    let file = file.and_then(|file| std::fs::read(cloned.join(file)).ok());
    let (status, body) = match rest.split_once('/') {
        _ if file.is_some() => ("200 OK", file.unwrap_or_default()),
        Some(("commits", _)) if known => ("200 OK", format!("{{\"sha\": \"{COMMIT}\"}}").into_bytes()),
        Some(("tarball", COMMIT)) if repository == "o/escapes" => ("200 OK", escaping.to_vec()),
        Some(("tarball", COMMIT)) if known => ("200 OK", archive.to_vec()),
        _ => ("404 Not Found", b"{}".to_vec()),
    };
    let noted = if rest.starts_with("tarball") { "tarball".to_owned() } else { rest };
    log.lock().unwrap_or_else(PoisonError::into_inner).push(noted);
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    let mut stream = &stream;
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}

/// A tar.gz with one directory at its top.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join("o-counting-0123456").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    tar(&["-C", dir.path().to_str().unwrap(), "-czf", "-", "o-counting-0123456"])
}

/// A bare repository as a server of plain files has it.
fn repository() -> TempDir {
    let (work, bare) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(work.path().join("cloned.txt"), "from the repository\n").unwrap();
    let git = |arguments: &[&str], directory: &Path| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(arguments);
        assert!(
            command.current_dir(directory).stdout(Stdio::null()).status().unwrap().success(),
            "{arguments:?}"
        );
    };
    git(&["init", "-q", "-b", "main"], work.path());
    git(&["add", "."], work.path());
    git(&["commit", "-q", "-m", "one"], work.path());
    git(&["clone", "-q", "--bare", work.path().to_str().unwrap(), "."], bare.path());
    git(&["update-server-info"], bare.path());
    bare
}

fn escaping() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x"), "").unwrap();
    tar(&[
        "-C",
        dir.path().to_str().unwrap(),
        "-P",
        "--transform",
        "s,x,top/../../../evil,",
        "-czf",
        "-",
        "x",
    ])
}

fn tar(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("tar").args(arguments).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success());
    output.stdout
}
