//! A registry that does what a test says.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
}

/// What comes back.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// All of it.
    Whole(u16, Vec<(String, String)>, Vec<u8>),
    /// Only this much of the body, then the connection is closed.
    Cut(Vec<(String, String)>, Vec<u8>, usize),
    /// Only this much of the body, and then nothing.
    Stall(Vec<u8>, usize),
    /// Not even a status.
    Close,
}

impl Answer {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Whole(200, Vec::new(), body.into())
    }

    pub(crate) fn status(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Self::Whole(status, headers, body.into())
    }

    pub(crate) fn page() -> Self {
        Self::status(
            200,
            &[("content-type", "text/html; charset=utf-8")],
            "<html>Welcome to our network</html>",
        )
    }

    /// The part that was asked for, as registries with ranges send it.
    pub(crate) fn part(body: &[u8], request: &Request) -> Self {
        let from = request.headers.get("range").and_then(|range| range.strip_prefix("bytes="));
        match from.and_then(|from| from.trim_end_matches('-').parse::<usize>().ok()) {
            None => Self::ok(body),
            Some(from) => {
                let range = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
                Self::Whole(206, vec![("content-range".into(), range)], body[from..].to_vec())
            }
        }
    }
}

type Handler = dyn Fn(&Request) -> Answer + Send + Sync;

/// It listens until the test's process ends.
pub(crate) struct Fake {
    pub(crate) host: String,
    pub(crate) seen: Arc<Mutex<Vec<Request>>>,
}

impl Fake {
    pub(crate) fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (handler, log): (Arc<Handler>, _) = (Arc::new(handler), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (handler, log) = (Arc::clone(&handler), Arc::clone(&log));
                std::thread::spawn(move || drop(serve(stream.unwrap(), &*handler, &log)));
            }
        });
        Self { host, seen }
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|request| request.path.clone()).collect()
    }
}

fn serve(stream: TcpStream, handler: &Handler, log: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut to = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace();
        let (method, path) =
            (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let request = Request { method, path, headers };
        log.lock().unwrap().push(request.clone());
        let (status, headers, body, sent, stall) = match handler(&request) {
            Answer::Whole(status, headers, body) => {
                let sent = body.len();
                (status, headers, body, sent, false)
            }
            Answer::Cut(headers, body, sent) => (200, headers, body, sent, false),
            Answer::Stall(body, sent) => (200, Vec::new(), body, sent, true),
            Answer::Close => return Ok(()),
        };
        let mut head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        to.write_all(format!("{head}\r\n").as_bytes())?;
        to.write_all(&body[..sent])?;
        to.flush()?;
        if stall {
            std::thread::sleep(std::time::Duration::from_secs(30));
        }
        if sent < body.len() {
            return Ok(());
        }
    }
}

/// An image in pieces.
#[derive(Clone, Debug)]
pub(crate) struct Pieces {
    pub(crate) manifest: Vec<u8>,
    pub(crate) blobs: HashMap<String, Vec<u8>>,
    /// The digest of the last layer.
    pub(crate) layer: String,
}

impl Pieces {
    /// Layers as `(tar, as transferred)`.
    pub(crate) fn new(layers: &[(Vec<u8>, Vec<u8>)]) -> Self {
        let mut blobs = HashMap::new();
        let mut piece = |body: &[u8]| {
            let digest = digest(body);
            blobs.insert(digest.clone(), body.to_vec());
            format!(r#"{{"mediaType":"x","digest":"{digest}","size":{}}}"#, body.len())
        };
        let ids: Vec<String> = layers.iter().map(|(tar, _)| format!("{:?}", digest(tar))).collect();
        let config = format!(r#"{{"config":{{"Env":["A=1"]}},"rootfs":{{"diff_ids":[{}]}}}}"#, ids.join(","));
        let config = piece(config.as_bytes());
        let parts: Vec<String> = layers.iter().map(|(_, blob)| piece(blob)).collect();
        let manifest = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#, parts.join(","));
        Self { manifest: manifest.into(), layer: digest(&layers.last().unwrap().1), blobs }
    }

    /// One layer with one file of `size` bytes that do not compress.
    pub(crate) fn of_size(size: usize) -> Self {
        let mut state = 1_u64;
        let body: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(size)
        .collect();
        let tar = tar(&[("file", &body)]);
        Self::new(&[(tar.clone(), tar)])
    }

    /// What a good registry would answer.
    pub(crate) fn answer(&self, request: &Request) -> Answer {
        match request.path.rsplit_once('/') {
            Some((kind, _)) if kind.ends_with("/manifests") => Answer::ok(self.manifest.clone()),
            Some((_, digest)) => match self.blobs.get(digest) {
                Some(blob) => Answer::part(blob, request),
                None => Answer::status(404, &[], ""),
            },
            None => Answer::status(404, &[], ""),
        }
    }
}

pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, body) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(body.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        tar.append_data(&mut header, name, *body).unwrap();
    }
    tar.into_inner().unwrap()
}

pub(crate) fn digest(body: &[u8]) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(body);
    hash.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

pub(crate) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(body).unwrap();
    gzip.finish().unwrap()
}
