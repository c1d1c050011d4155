//! The project's role for the build: AWS's SDKs find it by an URI, as in CodeBuild's own containers.
//!
//! The URI is of this container's loopback, which every network has, and holds a text that nobody can guess, as other
//! builds could share the loopback where the machine's own network is used.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runspan_agent_protocol::{Answer, Question, RoleCredentials, Secret};
use rustix::rand::{GetRandomFlags, getrandom};
use serde_json::json;

use crate::asking::ask;
use crate::shared::Shared;

/// The variable by which SDKs find it.
pub(crate) const URI_VARIABLE: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const PATH: &str = "/v2/credentials/";
/// A request has no more bytes.
const MAX_REQUEST: u64 = 16 << 10;
/// Whoever connects says what it wants within this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections at the same time; more are closed.
const AT_ONCE: usize = 32;

/// Serves the role's credentials from now on; returns the URI.
pub(crate) fn listen(shared: &Arc<Shared>) -> io::Result<String> {
    let mut random = [0; 32];
    getrandom(&mut random, GetRandomFlags::empty())?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let uri = format!("http://{}{PATH}{token}", listener.local_addr()?);
    let (shared, token, open) = (Arc::clone(shared), Arc::<str>::from(token), Arc::new(AtomicUsize::new(0)));
    std::thread::Builder::new().name("credentials".into()).spawn(move || {
        for stream in listener.incoming().flatten() {
            if open.fetch_add(1, Ordering::Relaxed) >= AT_ONCE {
                open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let (shared, token, open) = (Arc::clone(&shared), Arc::clone(&token), Arc::clone(&open));
            let serve = move || {
                // Whoever left needs no answer.
                let _gone = serve(&shared, &token, stream);
                open.fetch_sub(1, Ordering::Relaxed);
            };
            // A connection that cannot be served is closed.
            let _none = std::thread::Builder::new().name("credential".into()).spawn(serve);
        }
    })?;
    Ok(uri)
}

fn serve(shared: &Shared, token: &str, mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (status, body) = match path(&head(&stream)?) {
        Some(path) if is_it(&path, token) => match ask(shared, Question::Credentials) {
            Ok(Answer::Credentials(credentials)) => {
                // What the build prints of them is no secret of its own, but is not to be read in a log either.
                let id = Secret::new(credentials.access_key_id.as_str());
                let secrets = [id, credentials.secret_access_key.clone(), credentials.token.clone()];
                let _shown = shared.log.add_secrets(&secrets);
                ("200 OK", said(&credentials))
            }
            Ok(Answer::GitLogin(_)) => ("500 Internal Server Error", refused("InternalError", "no answer")),
            Err(error) => ("503 Service Unavailable", refused("NotAvailable", &error.to_string())),
        },
        Some(_) => ("404 Not Found", refused("NotFound", "there are no credentials here")),
        None => ("400 Bad Request", refused("InvalidRequest", "only GET is answered")),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// Everything up to the empty line.
fn head(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    for byte in io::BufReader::new(stream.take(MAX_REQUEST)).bytes() {
        head.push(byte?);
        if head.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    Ok(head)
}

/// What a GET asks for.
fn path(head: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(head).ok()?;
    let mut words = text.lines().next()?.split(' ');
    let (method, path, version) = (words.next()?, words.next()?, words.next()?);
    (method == "GET" && version.starts_with("HTTP/1.")).then(|| path.to_owned())
}

/// Whether the path is ours; takes as long for a wrong one, whatever is wrong with it.
fn is_it(path: &str, token: &str) -> bool {
    let Some(given) = path.strip_prefix(PATH) else { return false };
    given.len() == token.len()
        && given.bytes().zip(token.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

fn said(credentials: &RoleCredentials) -> String {
    json!({
        "RoleArn": credentials.role_arn,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.reveal(),
        "Token": credentials.token.reveal(),
        "Expiration": credentials.expiration,
    })
    .to_string()
}

fn refused(code: &str, message: &str) -> String {
    json!({ "code": code, "message": message }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_get_of_the_whole_path_is_answered() {
        let asked = |text: &str| path(text.as_bytes());
        assert_eq!(asked("GET /v2/credentials/t HTTP/1.1\r\n\r\n").as_deref(), Some("/v2/credentials/t"));
        for wrong in ["POST /v2/credentials/t HTTP/1.1\r\n\r\n", "GET /x\r\n\r\n", "", "\r\n\r\n"] {
            assert_eq!(asked(wrong), None, "{wrong}");
        }
        assert!(is_it("/v2/credentials/abc", "abc"));
        for wrong in ["/v2/credentials/", "/v2/credentials/abd", "/v2/credentials/abcd", "/abc", ""] {
            assert!(!is_it(wrong, "abc"), "{wrong}");
        }
    }
}
