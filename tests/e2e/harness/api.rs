//! The program as it answers CodeBuild's API, asked by boto3.

use std::net::{SocketAddr, TcpListener};

use serde_json::{Value, json};

use super::{Aws, BUILD_LIMIT, Home, Running, SANDBOX, wait_until};

/// Nobody listens there now, and nobody else asks for it by number.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A state directory's API, whose key this has.
pub(crate) struct Api<'a> {
    home: &'a Home,
    aws: &'a Aws,
    address: String,
    client: Value,
}

impl<'a> Api<'a> {
    pub(crate) fn of(home: &'a Home, aws: &'a Aws) -> Self {
        let made = home.runspan(["api-key", "create"]).finish().exited(0).text();
        let value = |name: &str| {
            let line = made.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
            line.unwrap_or_else(|| panic!("no {name} in {made}")).to_owned()
        };
        let address = free_address().to_string();
        let client = json!({
            "service": "codebuild", "endpoint": format!("http://{address}"),
            "key": value("aws_access_key_id"), "secret": value("aws_secret_access_key"),
        });
        Self { home, aws, address, client }
    }

    /// Serves, with the executor that is under test, as whoever has this access key of AWS.
    pub(crate) fn serve(&self, key: &str, more: &[&str]) -> Running {
        let serve = self.home.runspan(["serve", "--listen", &self.address, "--executor"]);
        let serve = serve.arg(if SANDBOX { "sandbox" } else { "docker" }).args(more);
        let serve = self.aws.serve(serve.env("DOCKER_CONFIG", self.home.path("no-logins")), key).start();
        serve.wait_for_stderr("CodeBuild's API is at");
        serve
    }

    #[track_caller]
    pub(crate) fn call(&self, operation: &str, parameters: Value) -> Value {
        self.aws.boto3_of(self.client.clone(), operation, parameters)
    }

    /// Makes a project whose buildspec this is; members of `more` are the project's, too.
    #[track_caller]
    pub(crate) fn project(&self, name: &str, buildspec: &str, environment: Value, more: Value) {
        let mut project = json!({
            "name": name,
            "source": { "type": "NO_SOURCE", "buildspec": buildspec },
            "artifacts": { "type": "NO_ARTIFACTS" },
            "environment": { "type": "LINUX_CONTAINER", "computeType": "BUILD_GENERAL1_SMALL" },
            "serviceRole": "arn:aws:iam::000000000000:role/builds",
        });
        let put = |into: &mut Value, more: Value| {
            into.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        };
        put(&mut project["environment"], environment);
        put(&mut project, more);
        self.call("create_project", project);
    }

    /// A batch as it stands.
    #[track_caller]
    pub(crate) fn batch(&self, id: &str) -> Value {
        self.call("batch_get_build_batches", json!({ "ids": [id] }))["buildBatches"][0].clone()
    }

    /// Waits until a batch is over.
    #[track_caller]
    pub(crate) fn ended_batch(&self, id: &str) -> Value {
        wait_until("the batch ends", BUILD_LIMIT, || {
            Some(self.batch(id)).filter(|batch| batch["complete"] == true)
        })
    }
}
