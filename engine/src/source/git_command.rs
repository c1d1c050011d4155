//! The `git` binary, run so that neither repository nor user settings can make it run anything else.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use runspan_agent_protocol::Secret;
use rustix::process::{Pid, Signal, kill_process_group};

use super::{Context, GitLogin, SourceError};

/// Variables of ours that git may need: to find programs and hosts.
const INHERITED: [&str; 10] = [
    "PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "TMPDIR",
];
/// Where it finds keys and logins.
const LOGINS: [&str; 2] = ["HOME", "SSH_AUTH_SOCK"];

/// How git is run for one source.
#[derive(Clone, Debug)]
pub(super) struct GitCommand {
    settings: Vec<(String, String)>,
    login: Option<GitLogin>,
    user_logins: bool,
    protocols: String,
    deadline: Instant,
    timeout: Duration,
}

/// What git did.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) success: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl GitCommand {
    pub(super) fn new(context: &Context<'_>) -> Self {
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut protocols = vec!["https", "http"];
        // ssh has no other login than the user's.
        protocols.extend(context.user_logins.then_some("ssh"));
        protocols.extend(context.allow_file_protocol.then_some("file"));
        Self {
            settings: vec![
                setting("core.hooksPath", "/dev/null"),
                setting("core.fsmonitor", "false"),
                setting("credential.helper", ""),
                setting("advice.detachedHead", "false"),
                setting("gc.autoDetach", "false"),
                setting("maintenance.autoDetach", "false"),
                setting("init.defaultBranch", "main"),
                setting("submodule.recurse", "false"),
            ],
            login: None,
            user_logins: context.user_logins,
            protocols: protocols.join(":"),
            deadline: Instant::now() + context.timeout,
            timeout: context.timeout,
        }
    }

    /// Uses this login for the host of an URL and no other; git gets it by environment, so it is neither seen in
    /// a list of processes nor left in the checkout.
    pub(super) fn login(mut self, url: &str, login: GitLogin) -> Self {
        if let Some((scheme, rest)) = url.split_once("://") {
            let host = rest.split('/').next().unwrap_or(rest);
            let helper = "!f() { test \"$1\" = get || exit 0; printf 'username=%s\\npassword=%s\\n' \
                          \"$RUNSPAN_GIT_USERNAME\" \"$RUNSPAN_GIT_PASSWORD\"; }; f";
            self.settings.push((format!("credential.{scheme}://{host}.helper"), helper.to_owned()));
            self.login = Some(login);
        }
        self
    }

    /// Does not verify certificates.
    pub(super) fn insecure_ssl(mut self) -> Self {
        self.settings.push(("http.sslVerify".to_owned(), "false".to_owned()));
        self
    }

    /// The same, but free to read a repository of ours.
    pub(super) fn local(&self) -> Self {
        let mut local = self.clone();
        local.protocols.push_str(":file");
        local
    }

    /// Runs git in a directory.
    pub(super) fn run(&self, directory: &Path, args: &[&str]) -> Result<Ran, SourceError> {
        let mut command = Command::new("git");
        command.args(args).current_dir(directory).env_clear();
        for name in INHERITED.into_iter().chain(LOGINS.into_iter().filter(|_| self.user_logins)) {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
            .env("GIT_ALLOW_PROTOCOL", &self.protocols)
            .env("GIT_CONFIG_COUNT", self.settings.len().to_string());
        for (index, (name, value)) in self.settings.iter().enumerate() {
            command
                .env(format!("GIT_CONFIG_KEY_{index}"), name)
                .env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        if let Some(login) = &self.login {
            command
                .env("RUNSPAN_GIT_USERNAME", &login.username)
                .env("RUNSPAN_GIT_PASSWORD", login.password.reveal());
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(SourceError::NoGit)?;
        self.wait(child)
    }

    fn wait(&self, mut child: Child) -> Result<Ran, SourceError> {
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let status = thread::scope(|scope| {
            let stdout = scope.spawn(move || read_all(stdout));
            let stderr = scope.spawn(move || read_all(stderr));
            let mut pause = Duration::from_millis(1);
            let status = loop {
                match child.try_wait() {
                    Ok(Some(status)) => break Ok(status),
                    Ok(None) if Instant::now() < self.deadline => {
                        thread::sleep(pause);
                        pause = (pause * 2).min(Duration::from_millis(20));
                    }
                    outcome => {
                        // Its helpers hold the pipes open, so all of them go.
                        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
                        if let Some(group) = group {
                            let _ = kill_process_group(group, Signal::KILL);
                        }
                        let _ = child.wait();
                        break match outcome {
                            Err(error) => Err(SourceError::NoGit(error)),
                            Ok(_) => Err(SourceError::GitTimeout(self.timeout)),
                        };
                    }
                }
            };
            let text = |reader: thread::ScopedJoinHandle<'_, Vec<u8>>| {
                String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
            };
            status.map(|status| (status, text(stdout), text(stderr)))
        });
        let (status, stdout, stderr) = status?;
        Ok(Ran { success: status.success(), stdout, stderr })
    }
}

fn read_all(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = pipe.read_to_end(&mut bytes);
    }
    bytes
}

/// Takes user name and password out of an URL.
pub(super) fn split_login(url: &str) -> (String, Option<GitLogin>) {
    let Some((scheme, rest)) = url.split_once("://") else { return (url.to_owned(), None) };
    let end = rest.find('/').unwrap_or(rest.len());
    let Some(at) = rest[..end].rfind('@') else { return (url.to_owned(), None) };
    if !matches!(scheme, "http" | "https") {
        return (url.to_owned(), None);
    }
    let (user, password) = rest[..at].split_once(':').unwrap_or((&rest[..at], ""));
    let login = GitLogin { username: decoded(user), password: Secret::new(decoded(password)) };
    (format!("{scheme}://{}", &rest[at + 1..]), Some(login))
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use runspan_archive::Limits;

    use super::*;

    fn git(dir: &Path, timeout: Duration) -> GitCommand {
        GitCommand::new(&Context {
            identifier: None,
            work_dir: dir,
            source_cache: None,
            timeout,
            allow_file_protocol: false,
            user_logins: false,
            limits: Limits::default(),
        })
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn hooks_do_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let script = "git init -q .; mkdir -p .git/hooks
            printf '#!/bin/sh\\ntouch hooked-$(basename $0)\\n' > .git/hooks/post-checkout
            chmod +x .git/hooks/*; git -c user.name=a -c user.email=b commit -q --allow-empty -m x
            git checkout -q --detach; test -e hooked-post-checkout; rm hooked*";
        let made = Command::new("sh").args(["-ec", script]).current_dir(dir.path()).status().unwrap();
        assert!(made.success(), "the hook runs otherwise");
        let ran = git(dir.path(), LONG).run(dir.path(), &["checkout", "--quiet", "--detach"]).unwrap();
        assert!(ran.success, "{ran:?}");
        assert!(!dir.path().join("hooked-post-checkout").exists());
    }

    #[test]
    fn logins_leave_urls() {
        let (url, login) = split_login("https://me:p%40ss%2f@host:8443/a/b.git");
        let login = login.unwrap();
        assert_eq!((url.as_str(), login.username.as_str()), ("https://host:8443/a/b.git", "me"));
        assert_eq!(login.password.reveal(), "p@ss/");
        for url in ["https://host/a@b", "git@host:a/b", "ssh://git@host/a", "/tmp/a@b"] {
            assert_eq!(split_login(url).0, url);
            assert!(split_login(url).1.is_none());
        }
    }

    #[test]
    fn git_that_hangs_is_ended_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let git = git(dir.path(), Duration::from_millis(300));
        let hang = ["-c", "alias.hang=!sleep 30 | sleep 30", "hang"];
        let error = git.run(dir.path(), &hang).unwrap_err();
        assert!(matches!(error, SourceError::GitTimeout(_)), "{error}");
    }

    #[test]
    fn the_login_is_for_its_host_only() {
        let login = GitLogin { username: "me".into(), password: Secret::new("secret") };
        let dir = tempfile::tempdir().unwrap();
        let git = git(dir.path(), LONG).login("https://host.test/a/b.git", login);
        let fill = |host: &str| {
            let script =
                format!("alias.f=!printf 'protocol=https\\nhost={host}\\n\\n' | git credential fill");
            git.run(dir.path(), &["-c", &script, "f"]).unwrap()
        };
        assert!(fill("host.test").stdout.contains("password=secret"));
        let other = fill("other.test");
        assert!(!other.stdout.contains("secret") && !other.stderr.contains("secret"), "{other:?}");
    }
}
