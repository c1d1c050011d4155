//! A service with its state, and AWS's clients to ask it.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::serving::{LIMIT, Serving};

pub(crate) struct Bench {
    home: TempDir,
    port: u16,
    python: PathBuf,
    key: String,
    secret: String,
    boto3: Mutex<Boto3>,
}

struct Boto3 {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// A state directory with a key; `None`, loudly, where AWS's clients are not.
pub(crate) fn bench() -> Option<Bench> {
    let of_environment = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = of_environment("XDG_CACHE_HOME").or_else(|| Some(of_environment("HOME")?.join(".cache")));
    let python = of_environment("RUNSPAN_TEST_AWS_PYTHON")
        .or_else(|| Some(cache?.join("runspan-tests/aws/bin/python")))
        .filter(|python| {
            Command::new(python).args(["-c", "import awscli, boto3"]).status().is_ok_and(|it| it.success())
        });
    let Some(python) = python else {
        let reason = "no boto3 and awscli; `. tests/services && services_aws` installs them";
        assert!(std::env::var_os("RUNSPAN_REQUIRE_SERVICES").is_none(), "{reason}");
        // Past libtest's capture, so that it is seen.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
        return None;
    };
    let home = tempfile::Builder::new().prefix("runspan-api-").tempdir().unwrap();
    // Free now, and nobody else asks for it by number.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/api/clients.py");
    let mut child =
        Command::new(&python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let boto3 = Boto3 {
        asks: child.stdin.take().unwrap(),
        answers: BufReader::new(child.stdout.take().unwrap()),
        child,
    };
    let (key, secret) = (String::new(), String::new());
    let mut bench = Bench { home, port, python, key, secret, boto3: Mutex::new(boto3) };
    let made = bench.runspan(&["api-key", "create", "tester"]);
    let profile = String::from_utf8(made.stdout).unwrap();
    let value = |name: &str| {
        let line = profile.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
        line.unwrap_or_else(|| panic!("no {name} in {profile}")).to_owned()
    };
    (bench.key, bench.secret) = (value("aws_access_key_id"), value("aws_secret_access_key"));
    Some(bench)
}

impl Bench {
    pub(crate) fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// The Python that has AWS's clients.
    pub(crate) fn python(&self) -> &Path {
        &self.python
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runspan"));
        command
            .args(arguments)
            .env("RUNSPAN_HOME", self.state())
            .env("AWS_REGION", "us-east-1")
            .env_remove("RUNSPAN_IMAGE")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn runspan(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Serves, and answers once this returns.
    pub(crate) fn serve(&self, more: &[&str]) -> Serving {
        self.serve_with(more, &[])
    }

    /// The same, with these variables.
    pub(crate) fn serve_with(&self, more: &[&str], variables: &[(&str, &str)]) -> Serving {
        let log = self.home.path().join("serve.log");
        let address = format!("127.0.0.1:{}", self.port);
        let arguments = [
            &["serve", "--listen", &address, "--executor", "sandbox", "--image", "host", "--host-network"],
            more,
        ]
        .concat();
        let serving = Serving::start(self.command(&arguments).envs(variables.iter().copied()), &log);
        serving.wait_for("CodeBuild's API is at");
        serving
    }

    /// What the program said.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.home.path().join("serve.log")).unwrap_or_default()
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// AWS's command line; what it prints, as JSON.
    #[track_caller]
    pub(crate) fn aws(&self, arguments: &[&str]) -> Value {
        let output = self.aws_output(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "aws {arguments:?}: {errors}\n{}", self.said());
        // What prints nothing has nothing to say.
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// AWS's command line.
    pub(crate) fn aws_output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.python);
        command
            .args(["-m", "awscli", "--endpoint-url", &self.endpoint(), "--output", "json"])
            .args(arguments)
            .env("AWS_ACCESS_KEY_ID", &self.key)
            .env("AWS_SECRET_ACCESS_KEY", &self.secret)
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_CONFIG_FILE", self.home.path().join("none"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.home.path().join("none"));
        for name in ["AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"] {
            command.env_remove(name);
        }
        command.output().unwrap()
    }

    /// Asks the Python client; members of `more` beat the bench's own.
    pub(crate) fn ask(&self, kind: &str, more: Value) -> Value {
        let mut ask = json!({
            "kind": kind,
            "endpoint": self.endpoint(),
            "key": self.key,
            "secret": self.secret,
            "service": "codebuild",
        });
        let Value::Object(more) = more else { panic!("{more}") };
        ask.as_object_mut().unwrap().extend(more);
        let mut boto3 = self.boto3.lock().unwrap();
        writeln!(boto3.asks, "{ask}").unwrap();
        let mut answer = String::new();
        boto3.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error} after {ask}: {answer}"))
    }

    /// What boto3's client answers, also when it says no.
    pub(crate) fn try_call(&self, operation: &str, parameters: Value) -> Value {
        self.ask("call", json!({ "operation": operation, "parameters": parameters }))
    }

    /// What boto3's client answers.
    #[track_caller]
    pub(crate) fn call(&self, operation: &str, parameters: Value) -> Value {
        let answer = self.try_call(operation, parameters);
        assert!(answer["error"].is_null(), "{operation}: {answer}\n{}", self.said());
        answer
    }

    /// The code with which boto3's client is refused.
    #[track_caller]
    pub(crate) fn refused(&self, operation: &str, parameters: Value, code: &str, text: &str) {
        let answer = self.try_call(operation, parameters.clone());
        let message = answer["message"].as_str().unwrap_or_default();
        assert!(
            answer["error"] == code && message.contains(text),
            "{operation} of {parameters} is not refused with {code} and `{text}`: {answer}"
        );
    }

    /// Makes a project whose buildspec this is.
    pub(crate) fn project(&self, name: &str, buildspec: &str) -> Value {
        self.call(
            "create_project",
            json!({
                "name": name,
                "source": { "type": "NO_SOURCE", "buildspec": buildspec },
                "artifacts": { "type": "NO_ARTIFACTS" },
                "environment": {
                    "type": "LINUX_CONTAINER", "image": "host", "computeType": "BUILD_GENERAL1_SMALL",
                },
                "serviceRole": "arn:aws:iam::000000000000:role/builds",
            }),
        )
    }

    /// Begins a build of a project; its id.
    pub(crate) fn start(&self, project: &str) -> String {
        let started = self.call("start_build", json!({ "projectName": project }));
        started["build"]["id"].as_str().unwrap().to_owned()
    }

    /// A build as it stands.
    pub(crate) fn build(&self, id: &str) -> Value {
        self.call("batch_get_builds", json!({ "ids": [id] }))["builds"][0].clone()
    }

    /// Waits until a build is over.
    pub(crate) fn ended(&self, id: &str) -> Value {
        self.until(&format!("{id} ends"), || {
            Some(self.build(id)).filter(|build| build["buildComplete"] == true)
        })
    }

    /// Waits until a build is in this phase.
    pub(crate) fn in_phase(&self, id: &str, phase: &str) {
        self.until(&format!("{id} is in {phase}"), || {
            Some(()).filter(|()| self.build(id)["currentPhase"] == phase)
        });
    }

    /// The text of a build's log.
    pub(crate) fn log(&self, build: &Value) -> String {
        let place = json!({
            "logGroupName": build["logs"]["groupName"],
            "logStreamName": build["logs"]["streamName"],
            "startFromHead": true,
        });
        let ask = json!({ "service": "logs", "operation": "get_log_events", "parameters": place });
        let found = self.ask("call", ask);
        let events = found["events"].as_array().unwrap_or_else(|| panic!("{found}"));
        events.iter().filter_map(|event| event["message"].as_str()).collect()
    }

    /// Looks until there is something.
    #[track_caller]
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < end, "waited in vain until {what}: {}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Ok(boto3) = self.boto3.get_mut() {
            let _ = boto3.child.kill();
            let _ = boto3.child.wait();
        }
    }
}
