//! The smallest runner there is: each call of the protocol as a method, nothing more.

use std::{sync::OnceLock, time::Duration};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use fake_github::{
    FakeGitHub,
    model::{Push, Settings, TokenKind},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

/// The key of every test runner: making one takes long.
pub(crate) struct Key {
    pub(crate) pem: String,
    pub(crate) pair: KeyPair,
}

pub(crate) fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
        let text = STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        Key { pem, pair }
    })
}

impl Key {
    pub(crate) fn numbers(&self) -> (String, String) {
        let public = self.pair.public_key();
        let number = |bytes: &[u8]| STANDARD.encode(bytes);
        (
            number(public.modulus().big_endian_without_leading_zero()),
            number(public.exponent().big_endian_without_leading_zero()),
        )
    }
}

/// A workflow with one job of one step.
pub(crate) const ONE_STEP: &str =
    "on: push\njobs:\n  build:\n    runs-on: self-hosted\n    steps:\n      - run: echo hello\n";

/// GitHub with a repository, and a runner in it.
pub(crate) struct Bench {
    pub(crate) github: FakeGitHub,
    pub(crate) http: Client,
    pub(crate) runner: Runner,
}

/// What a runner knows of itself.
#[derive(Clone, Default)]
pub(crate) struct Runner {
    pub(crate) id: u64,
    pub(crate) client: String,
    pub(crate) authorization_url: String,
    pub(crate) token: String,
    pub(crate) session: String,
}

/// A job that the runner has.
pub(crate) struct Work {
    pub(crate) message: Value,
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) plan: String,
    pub(crate) job: Uuid,
}

pub(crate) async fn json_of(response: Response) -> Value {
    let text = response.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

impl Bench {
    /// A registered runner with a session.
    pub(crate) async fn new(settings: Settings) -> Self {
        let mut bench = Self::unregistered(settings).await;
        bench.runner = bench.register("one", &["self-hosted", "linux"]).await.unwrap();
        bench.runner.token = bench.access_token(&bench.runner).await.unwrap();
        bench.runner.session = bench.open_session().await.unwrap();
        bench
    }

    pub(crate) async fn unregistered(settings: Settings) -> Self {
        let github = FakeGitHub::start(settings).await.unwrap();
        github.change(|github| {
            github.allow("pat");
            github.repository("octo/hello").map(drop).unwrap();
        });
        Self { github, http: Client::new(), runner: Runner::default() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.github.url())
    }

    /// A call with a bearer token.
    pub(crate) async fn call(&self, method: Method, url: &str, token: &str, body: Option<Value>) -> Response {
        let mut request = self.http.request(method, url).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn tenant(&self) -> (String, String) {
        let token = self.github.change(|github| github.runner_token(TokenKind::Registration).0);
        let answer = self
            .http
            .post(self.url("/api/v3/actions/runner-registration"))
            .header("authorization", format!("RemoteAuth {token}"))
            .json(&json!({"url": self.url("/octo/hello"), "runner_event": "register"}))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let answer = json_of(answer).await;
        (answer["url"].as_str().unwrap().to_owned(), answer["token"].as_str().unwrap().to_owned())
    }

    pub(crate) fn agent(name: &str, labels: &[&str]) -> Value {
        let (modulus, exponent) = key().numbers();
        let labels: Vec<Value> =
            labels.iter().map(|name| json!({"id": 0, "name": name, "type": "system"})).collect();
        json!({
            "labels": labels, "maxParallelism": 1, "createdOn": "0001-01-01T00:00:00",
            "authorization": {"publicKey": {"exponent": exponent, "modulus": modulus}},
            "id": 0, "name": name, "version": "2.336.0", "osDescription": "Linux", "ephemeral": false,
            "disableUpdate": false, "status": 0, "provisioningState": "Provisioned",
        })
    }

    pub(crate) async fn register(&self, name: &str, labels: &[&str]) -> Result<Runner, (StatusCode, Value)> {
        self.register_agent(Self::agent(name, labels)).await
    }

    pub(crate) async fn register_agent(&self, agent: Value) -> Result<Runner, (StatusCode, Value)> {
        let (tenant, token) = self.tenant().await;
        let url = format!("{tenant}_apis/distributedtask/pools/1/agents");
        let answer = self.call(Method::POST, &url, &token, Some(agent)).await;
        let status = answer.status();
        let answer = json_of(answer).await;
        if status != StatusCode::OK {
            return Err((status, answer));
        }
        Ok(Runner {
            id: answer["id"].as_u64().unwrap(),
            client: answer["authorization"]["clientId"].as_str().unwrap().to_owned(),
            authorization_url: answer["authorization"]["authorizationUrl"].as_str().unwrap().to_owned(),
            ..Runner::default()
        })
    }

    /// An assertion; `change` may spoil it.
    pub(crate) fn assertion(
        runner: &Runner,
        algorithm: Algorithm,
        change: impl FnOnce(&mut Value),
    ) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "sub": runner.client, "iss": runner.client, "jti": Uuid::new_v4(),
            "aud": runner.authorization_url, "nbf": now, "exp": now + 300,
        });
        change(&mut claims);
        let key = EncodingKey::from_rsa_pem(key().pem.as_bytes()).unwrap();
        jsonwebtoken::encode(&Header::new(algorithm), &claims, &key).unwrap()
    }

    pub(crate) async fn present(&self, url: &str, assertion: &str) -> Response {
        let body = format!(
            "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}"
        );
        let request = self.http.post(url).header("content-type", "application/x-www-form-urlencoded");
        request.body(body).send().await.unwrap()
    }

    pub(crate) async fn access_token(&self, runner: &Runner) -> Result<String, Value> {
        let assertion = Self::assertion(runner, Algorithm::PS256, |_| {});
        let answer = self.present(&runner.authorization_url, &assertion).await;
        let status = answer.status();
        let answer = json_of(answer).await;
        if status == StatusCode::OK {
            Ok(answer["access_token"].as_str().unwrap().to_owned())
        } else {
            Err(answer)
        }
    }

    pub(crate) async fn open_session(&self) -> Result<String, (StatusCode, Value)> {
        let body = json!({
            "sessionId": Uuid::nil(), "ownerName": "test", "useFipsEncryption": false,
            "agent": {"id": self.runner.id, "name": "one", "version": "2.336.0"},
        });
        let answer =
            self.call(Method::POST, &self.url("/broker/session"), &self.runner.token, Some(body)).await;
        let status = answer.status();
        let answer = json_of(answer).await;
        if status != StatusCode::CREATED {
            return Err((status, answer));
        }
        Ok(answer["sessionId"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn poll_as(&self, status: &str, version: &str) -> Response {
        let url = self.url(&format!(
            "/broker/message?sessionId={}&status={status}&runnerVersion={version}&os=Linux&architecture=X64&disableUpdate=false",
            self.runner.session
        ));
        self.call(Method::GET, &url, &self.runner.token, None).await
    }

    /// The next message's kind and body; nothing when there is none.
    pub(crate) async fn poll(&self) -> Option<(String, Value)> {
        let answer = self.poll_as("Online", "2.336.0").await;
        if answer.status() == StatusCode::ACCEPTED {
            return None;
        }
        assert_eq!(answer.status(), StatusCode::OK);
        let answer = json_of(answer).await;
        let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap_or(Value::Null);
        Some((answer["messageType"].as_str().unwrap().to_owned(), body))
    }

    pub(crate) async fn acknowledge(&self, request: &Value) -> Response {
        let url = self.url(&format!("/broker/acknowledge?sessionId={}&status=Online", self.runner.session));
        let body = json!({"runnerRequestId": request["runner_request_id"]});
        self.call(Method::POST, &url, &self.runner.token, Some(body)).await
    }

    pub(crate) async fn acquire_raw(&self, request: &Value) -> Response {
        let url = format!("{}acquirejob", request["run_service_url"].as_str().unwrap());
        let body = json!({
            "jobMessageId": request["runner_request_id"], "runnerOS": "Linux",
            "billingOwnerId": request["billing_owner_id"],
        });
        self.call(Method::POST, &url, &self.runner.token, Some(body)).await
    }

    /// Polls, acknowledges and acquires.
    pub(crate) async fn take(&self) -> Work {
        let (kind, request) = self.poll().await.unwrap();
        assert_eq!(kind, "RunnerJobRequest");
        assert_eq!(self.acknowledge(&request).await.status(), StatusCode::OK);
        let answer = self.acquire_raw(&request).await;
        assert_eq!(answer.status(), StatusCode::OK);
        Work::new(json_of(answer).await)
    }

    pub(crate) async fn renew(&self, work: &Work) -> Response {
        let body = json!({"planId": work.plan, "jobId": work.job});
        self.call(Method::POST, &format!("{}renewjob", work.url), &work.token, Some(body)).await
    }

    pub(crate) async fn complete(&self, work: &Work, conclusion: &str) -> Response {
        self.complete_with(work, conclusion, json!({})).await
    }

    pub(crate) async fn complete_with(&self, work: &Work, conclusion: &str, more: Value) -> Response {
        let mut body = json!({
            "planId": work.plan, "jobId": work.job, "conclusion": conclusion, "outputs": {},
            "stepResults": [], "annotations": [], "telemetry": [],
            "billingOwnerId": work.message["billingOwnerId"],
        });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.call(Method::POST, &format!("{}completejob", work.url), &work.token, Some(body)).await
    }

    pub(crate) fn push(&self, workflow: &str) -> Vec<u64> {
        let push = Push::new("octo/hello", [(".github/workflows/ci.yml", workflow)]);
        self.github.change(|github| github.push(&push)).unwrap().1
    }

    /// Asserts that each job of the run has exactly one terminal state.
    pub(crate) fn assert_settled(&self, run: u64) {
        assert_eq!(self.github.read(|github| github.unsettled(run)), Vec::<String>::new());
    }
}

impl Work {
    pub(crate) fn new(message: Value) -> Self {
        let endpoint = &message["resources"]["endpoints"][0];
        Self {
            url: endpoint["url"].as_str().unwrap().to_owned(),
            token: endpoint["authorization"]["parameters"]["AccessToken"].as_str().unwrap().to_owned(),
            plan: message["plan"]["planId"].as_str().unwrap().to_owned(),
            job: message["jobId"].as_str().unwrap().parse().unwrap(),
            message,
        }
    }
}

/// Settings under which tests do not wait.
pub(crate) fn quick() -> Settings {
    Settings { poll_hold: Duration::from_millis(100), ..Settings::default() }
}
