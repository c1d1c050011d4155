//! Docker's engine and Debian's registry.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::rig::skip;

/// As the registries of these tests know the one user they have.
pub(crate) const USER: &str = "builder";
pub(crate) const PASSWORD: &str = "pass:with/everything";

/// A registry of our own on loopback.
pub(crate) struct Registry {
    pub(crate) host: String,
    pub(crate) dir: TempDir,
    child: Child,
}

impl Registry {
    /// Starts one, if docker and Debian's `docker-registry` are here.
    pub(crate) fn start(with_login: bool) -> Option<Self> {
        if !engine() {
            return None;
        }
        if let Err(error) = Command::new("docker-registry").arg("--version").output() {
            skip(&format!("docker-registry: {error}; apt-get install docker-registry"));
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        // Free a moment ago, and nobody else is told of it.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
            dir.path().join("storage").display()
        );
        if with_login {
            // bcrypt of PASSWORD.
            let hash = "$2y$05$Wh9diY7.5qX284htuXbNr.8W50DnYV0GlwOU4Ej.bjtFKmebwVJcG";
            let users = dir.path().join("users");
            std::fs::write(&users, format!("{USER}:{hash}\n")).unwrap();
            config += &format!("auth: {{htpasswd: {{realm: tests, path: {}}}}}\n", users.display());
        }
        let file = dir.path().join("config.yml");
        std::fs::write(&file, config).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self { host: address, dir, child };
        for _ in 0..200 {
            if TcpStream::connect(&registry.host).is_ok() {
                return Some(registry);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("docker-registry does not listen at {}", registry.host);
    }

    /// Pushes a local image under this name; the full name.
    pub(crate) fn push(&self, local: &str, name: &str) -> String {
        let full = format!("{}/{name}", self.host);
        let config = self.dir.path().join("docker");
        std::fs::create_dir_all(&config).unwrap();
        std::fs::write(config.join("config.json"), self.logins()).unwrap();
        ok(docker(&["tag", local, &full]));
        ok(docker(&["--config", config.to_str().unwrap(), "push", "-q", &full]));
        ok(docker(&["rmi", &full]));
        full
    }

    /// A `config.json` with our login.
    pub(crate) fn logins(&self) -> String {
        let encoded = "YnVpbGRlcjpwYXNzOndpdGgvZXZlcnl0aGluZw==";
        format!(r#"{{"auths": {{"{}": {{"auth": "{encoded}"}}}}}}"#, self.host)
    }

    /// Where the registry keeps a blob.
    pub(crate) fn blob(&self, digest: &str) -> std::path::PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let blobs = "storage/docker/registry/v2/blobs/sha256";
        self.dir.path().join(blobs).join(&hex[..2]).join(hex).join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Whether Docker answers and has the image that all others here are made of.
pub(crate) fn engine() -> bool {
    let image = docker(&["image", "inspect", "runspan-test/busybox"]);
    let here = image.is_ok_and(|output| output.status.success());
    if !here {
        skip("Docker or runspan-test/busybox is not here; run tests/images/make");
    }
    here
}

pub(crate) fn docker(arguments: &[&str]) -> std::io::Result<Output> {
    Command::new("docker").args(arguments).stdin(Stdio::null()).output()
}

pub(crate) fn ok(output: std::io::Result<Output>) -> String {
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Docker forgets steps of an image that goes although a build beside it has just found them in its cache.
static LAYERED: Mutex<()> = Mutex::new(());

/// A local image with everything that layers can say; gone with this value.
pub(crate) struct Layered(pub(crate) String);

impl Layered {
    pub(crate) fn build() -> Self {
        let tag = format!("runspan-test/layered-{}-{:?}", std::process::id(), std::thread::current().id());
        let tag = tag.to_lowercase().replace(['(', ')'], "");
        let dir = tempfile::tempdir().unwrap();
        let dockerfile = r#"
FROM runspan-test/busybox
RUN mkdir -p /d/sub /gone /replaced && echo a >/d/a && echo b >/d/b && echo c >/d/sub/c && echo x >/gone/x \
 && echo old >/replaced/old && echo file >/kind
RUN ln /d/a /d/hard && ln -s ../d/a /d/link && ln -s /absent /dangling && echo secret >/d/closed \
 && chmod 4711 /d/b && chmod 600 /d/closed && chown 1234:4321 /d/closed && mkdir -m 1777 /sticky
RUN rm -r /gone /d/sub && rm -r /replaced && mkdir /replaced && echo new >/replaced/new
RUN rm /kind && mkdir /kind && echo in >/kind/in && echo again >/d/a
RUN mkfifo /pipe; true
ENV FIRST=1 SECOND="two words"
WORKDIR /work
USER 1234:4321
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["echo hello"]
"#;
        std::fs::write(dir.path().join("Dockerfile"), dockerfile).unwrap();
        let _alone = LAYERED.lock().unwrap_or_else(PoisonError::into_inner);
        let context = dir.path().to_str().unwrap();
        ok(docker(&["build", "-q", "--network", "none", "-t", &tag, context]));
        Self(tag)
    }

    /// What a container of it sees, unpacked to `to`.
    pub(crate) fn export(&self, to: &Path) {
        let container = ok(docker(&["create", &self.0]));
        let script = "mkdir -p \"$2\" && docker export \"$1\" | tar -C \"$2\" -xpf -";
        let done = Command::new("sh").args(["-c", script, "sh", &container]).arg(to).output();
        ok(docker(&["rm", &container]));
        ok(done);
    }
}

impl Drop for Layered {
    fn drop(&mut self) {
        let _alone = LAYERED.lock().unwrap_or_else(PoisonError::into_inner);
        drop(docker(&["rmi", "-f", &self.0]));
    }
}
