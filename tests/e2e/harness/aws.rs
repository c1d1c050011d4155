//! moto, started for this test process, and boto3 to look at what a build left there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use fake_chaos::Chaos;
use serde_json::{Value, json};

use super::Run;

/// A running moto, which ends with the pipe that its standard input is.
pub(crate) struct Aws {
    port: u16,
    /// Where AWS's own command line is.
    bin: PathBuf,
    _server: Child,
}

/// The one moto of this process; `None`, loudly, where its Python packages are not.
pub(crate) fn aws() -> Option<&'static Aws> {
    static AWS: LazyLock<Result<Aws, String>> = LazyLock::new(start);
    match &*AWS {
        Ok(aws) => Some(aws),
        Err(reason) => {
            assert!(std::env::var_os("RUNSPAN_REQUIRE_SERVICES").is_none(), "{reason}");
            let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
            None
        }
    }
}

fn start() -> Result<Aws, String> {
    let of_environment = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = of_environment("XDG_CACHE_HOME").or_else(|| Some(of_environment("HOME")?.join(".cache")));
    let python = of_environment("RUNSPAN_TEST_AWS_PYTHON")
        .or_else(|| Some(cache?.join("runspan-tests/aws/bin/python")))
        .filter(|python| python.exists())
        .ok_or("no moto to stand for AWS; `. tests/services && services_aws` installs it")?;
    let mut server = Command::new(&python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/aws/server.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", python.display()))?;
    let mut line = String::new();
    let read = server.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
    let port = line.trim().parse().map_err(|_| format!("moto does not start: {read:?}"))?;
    let bin = python.parent().map(PathBuf::from).unwrap_or_default();
    Ok(Aws { port, bin, _server: server })
}

impl Aws {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Lets a run find it, as whoever has this access key.
    pub(crate) fn serve(&self, run: Run, key: &str) -> Run {
        serve_at(self.address(), run, key)
    }

    /// Lets a run find it behind a network that breaks.
    pub(crate) fn serve_behind(chaos: &Chaos, run: Run, key: &str) -> Run {
        serve_at(chaos.address(), run, key)
    }
}

fn serve_at(address: SocketAddr, run: Run, key: &str) -> Run {
    run.env("AWS_ENDPOINT_URL", format!("http://{address}"))
        .env("AWS_ACCESS_KEY_ID", key)
        .env("AWS_SECRET_ACCESS_KEY", "of-the-tests")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_MAX_ATTEMPTS", "2")
}

impl Aws {
    /// What boto3's client of this service answers.
    #[track_caller]
    pub(crate) fn boto3(&self, service: &str, operation: &str, parameters: Value) -> Value {
        self.boto3_in("us-east-1", service, operation, parameters)
    }

    /// The same in some region.
    #[track_caller]
    pub(crate) fn boto3_in(&self, region: &str, service: &str, operation: &str, parameters: Value) -> Value {
        self.boto3_of(json!({ "service": service, "region": region }), operation, parameters)
    }

    /// The same of another server, where `client` has its `endpoint`, a `key` and its `secret`.
    #[track_caller]
    pub(crate) fn boto3_of(&self, client: Value, operation: &str, parameters: Value) -> Value {
        let mut order = client;
        order["operation"] = operation.into();
        order["parameters"] = parameters;
        let (status, answer) = self.post("/_boto3", &order);
        assert_eq!(status, 200, "{order}: {answer}");
        answer
    }

    /// What a line of shell prints that runs AWS's own command line.
    #[track_caller]
    pub(crate) fn shell(&self, line: &str) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("sh")
            .args(["-c", line])
            .env("PATH", format!("{}:{path}", self.bin.display()))
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.address()))
            .env("AWS_ACCESS_KEY_ID", "me")
            .env("AWS_SECRET_ACCESS_KEY", "me")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What requests with this access key get from now on.
    pub(crate) fn faults(&self, key: &str, faults: Value) {
        let (status, answer) = self.post("/_faults", &json!({ "key": key, "faults": faults }));
        assert_eq!(status, 200, "{answer}");
    }

    /// What CodePipeline, as `pipeline`, or CodeCommit, as `codecommit`, does when it is given this order.
    pub(crate) fn order(&self, service: &str, order: Value) -> Value {
        let (status, answer) = self.post(&format!("/_{service}"), &order);
        assert_eq!(status, 200, "{order}: {answer}");
        answer
    }

    /// How many requests this access key has signed.
    pub(crate) fn requests(&self, key: &str) -> u64 {
        self.post("/_requests", &json!({ "key": key })).1.as_u64().unwrap_or_default()
    }

    /// The numbers of the parts of this object that arrived whole, each as often as it did.
    pub(crate) fn parts(&self, path: &str) -> Vec<u64> {
        let parts = self.post("/_parts", &json!({ "path": path })).1;
        let mut parts: Vec<u64> = parts.as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        parts.sort_unstable();
        parts
    }

    /// The bodies of all messages of a queue, in the order in which it gives them.
    pub(crate) fn queued(&self, region: &str, url: &str) -> Vec<Value> {
        let mut bodies = Vec::new();
        loop {
            let more = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10 });
            let more = self.boto3_in(region, "sqs", "receive_message", more);
            let messages = more["Messages"].as_array().cloned().unwrap_or_default();
            if messages.is_empty() {
                return bodies;
            }
            for message in messages {
                bodies.push(serde_json::from_str(message["Body"].as_str().unwrap()).unwrap());
                let done = json!({ "QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"] });
                self.boto3_in(region, "sqs", "delete_message", done);
            }
        }
    }

    /// A topic and the URL of a queue behind it; both keep order and drop what comes twice.
    pub(crate) fn ordered_topic(&self, region: &str, name: &str) -> (String, String) {
        let attributes = json!({ "FifoQueue": "true" });
        let queue = json!({ "QueueName": format!("{name}.fifo"), "Attributes": attributes });
        let queue = self.boto3_in(region, "sqs", "create_queue", queue)["QueueUrl"].clone();
        let topic = json!({ "Name": format!("{name}.fifo"), "Attributes": { "FifoTopic": "true" } });
        let topic = self.boto3_in(region, "sns", "create_topic", topic)["TopicArn"].clone();
        self.boto3_in(
            region,
            "sns",
            "subscribe",
            json!({
                "TopicArn": topic, "Protocol": "sqs", "Attributes": { "RawMessageDelivery": "true" },
                "Endpoint": format!("arn:aws:sqs:{region}:123456789012:{name}.fifo"),
            }),
        );
        (topic.as_str().unwrap().to_owned(), queue.as_str().unwrap().to_owned())
    }

    /// The canned ACL that this object was put with.
    pub(crate) fn acl(&self, path: &str) -> Value {
        self.post("/_acl", &json!({ "path": path })).1
    }

    /// Every message of a log stream, page by page.
    pub(crate) fn all_messages(&self, group: &str, stream: &str) -> String {
        let mut place = json!({ "logGroupName": group, "logStreamName": stream, "startFromHead": true });
        let mut all = String::new();
        loop {
            let found = self.boto3("logs", "get_log_events", place.clone());
            let events = found["events"].as_array().cloned().unwrap_or_default();
            if events.is_empty() {
                return all;
            }
            events.iter().filter_map(|event| event["message"].as_str()).for_each(|text| all.push_str(text));
            place["nextToken"] = found["nextForwardToken"].clone();
        }
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let mut stream = TcpStream::connect(self.address()).unwrap();
        let head = format!("POST {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}")))
    }
}
