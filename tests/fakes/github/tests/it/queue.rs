//! The older queue: encrypted messages, timelines, ends of jobs.

use aws_lc_rs::{
    cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey},
    encoding::{AsDer, Pkcs8V1Der},
    iv::FixedLength,
    rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use fake_github::model::{Conclusion, Delivery, Settings, StepConclusion};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::runner::{Bench, ONE_STEP, json_of, key, quick};

const POOL: &str = "/_services/pipelines/fake/_apis/distributedtask/pools/1";

/// A runner with a session in the queue, and what its session was answered.
async fn bench(delivery: Delivery) -> (Bench, Value) {
    let mut bench = Bench::unregistered(Settings { delivery, ..quick() }).await;
    bench.runner = bench.register("one", &["self-hosted"]).await.unwrap();
    bench.runner.token = bench.access_token(&bench.runner).await.unwrap();
    // This client's names begin with capitals, as those of one that works against GitHub.
    let body = json!({"OwnerName": "test", "Agent": {"ID": bench.runner.id, "Version": "2.336.0"}});
    let url = bench.url(&format!("{POOL}/sessions"));
    let session = json_of(bench.call(Method::POST, &url, &bench.runner.token, Some(body)).await).await;
    bench.runner.session = session["sessionId"].as_str().unwrap().to_owned();
    (bench, session)
}

fn unwrap_key(session: &Value, fips: bool) -> Vec<u8> {
    let der: Pkcs8V1Der<'_> = AsDer::<Pkcs8V1Der<'_>>::as_der(&key().pair).unwrap();
    let private =
        OaepPrivateDecryptingKey::new(PrivateDecryptingKey::from_pkcs8(der.as_ref()).unwrap()).unwrap();
    let wrapped = STANDARD.decode(session["encryptionKey"]["value"].as_str().unwrap()).unwrap();
    let algorithm = if fips { &OAEP_SHA256_MGF1SHA256 } else { &OAEP_SHA1_MGF1SHA1 };
    let mut plain = vec![0; private.min_output_size()];
    private.decrypt(algorithm, &wrapped, &mut plain, None).unwrap().to_vec()
}

fn decrypt(key: &[u8], message: &Value) -> Value {
    let iv: [u8; 16] = STANDARD.decode(message["iv"].as_str().unwrap()).unwrap().try_into().unwrap();
    let mut body = STANDARD.decode(message["body"].as_str().unwrap()).unwrap();
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, key).unwrap()).unwrap();
    let plain = key.decrypt(&mut body, DecryptionContext::Iv128(FixedLength::from(iv))).unwrap();
    serde_json::from_slice(plain.strip_prefix(b"\xef\xbb\xbf").unwrap()).unwrap()
}

async fn poll(bench: &Bench, last: u64) -> Option<Value> {
    let url = bench.url(&format!(
        "{POOL}/messages?sessionId={}&lastMessageId={last}&status=Online&runnerVersion=2.336.0",
        bench.runner.session
    ));
    let answer = bench.call(Method::GET, &url, &bench.runner.token, None).await;
    (answer.status() == StatusCode::OK).then_some(json_of(answer).await)
}

#[tokio::test]
async fn a_job_comes_whole_and_encrypted_and_reports_to_its_timeline() {
    for fips in [true, false] {
        let (bench, session) = bench(Delivery::Queue { encrypted: true, fips }).await;
        let key = unwrap_key(&session, fips);
        let run = bench.push(ONE_STEP)[0];
        let sent = poll(&bench, 0).await.unwrap();
        assert_eq!(sent["messageType"], "PipelineAgentJobRequest");
        assert_eq!(poll(&bench, 0).await.unwrap(), sent, "a message that was not deleted comes again");
        let id = sent["messageId"].as_u64().unwrap();
        let url = bench.url(&format!("{POOL}/messages/{id}?sessionId={}", bench.runner.session));
        assert_eq!(
            bench.call(Method::DELETE, &url, &bench.runner.token, None).await.status(),
            StatusCode::NO_CONTENT
        );
        assert!(poll(&bench, 0).await.is_none());

        let message = decrypt(&key, &sent);
        assert_eq!(message["messageType"], "PipelineAgentJobRequest");
        let request = message["requestId"].as_u64().unwrap();
        let url = bench.url(&format!("{POOL}/jobrequests/{request}?lockToken={}", Uuid::nil()));
        let body = Some(json!({"RequestID": request}));
        assert_eq!(bench.call(Method::PATCH, &url, &bench.runner.token, body).await.status(), StatusCode::OK);

        let token = message["resources"]["endpoints"][0]["authorization"]["parameters"]["AccessToken"]
            .as_str()
            .unwrap();
        let plan = &message["plan"];
        let hub = bench.url(&format!(
            "/_services/pipelines/fake/{}/_apis/distributedtask/hubs/{}/plans/{}",
            plan["scopeIdentifier"].as_str().unwrap(),
            plan["planType"].as_str().unwrap(),
            plan["planId"].as_str().unwrap(),
        ));
        let step = Uuid::new_v4();
        let timeline = message["timeline"]["id"].as_str().unwrap();
        let records = json!({"Count": 1, "Value": [{
            "ID": step, "ParentID": message["jobId"], "Type": "Task", "Name": "echo", "State": "Completed",
            "Result": "Succeeded", "Order": 2, "Variables": {},
        }]});
        let url = format!("{hub}/timelines/{timeline}/records");
        assert_eq!(json_of(bench.call(Method::PATCH, &url, token, Some(records)).await).await["count"], 1);
        let log = json_of(
            bench.call(Method::POST, &format!("{hub}/logs"), token, Some(json!({"path": "logs\\x"}))).await,
        )
        .await;
        let url = format!("{hub}/logs/{}", log["id"]);
        let sent = bench.http.post(&url).bearer_auth(token).body("line\n").send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::OK);
        let lines = json!({"Count": 1, "Value": ["live"], "StepID": step});
        let url = format!("{hub}/timelines/{timeline}/records/{step}/feed");
        assert_eq!(bench.call(Method::POST, &url, token, Some(lines)).await.status(), StatusCode::OK);

        let event = json!({"Name": "JobCompleted", "JobID": message["jobId"], "RequestID": request, "Result": "Succeeded",
            "Outputs": {"Value": {"Value": "42"}}});
        assert_eq!(
            bench.call(Method::POST, &format!("{hub}/events"), token, Some(event)).await.status(),
            StatusCode::OK
        );
        bench.assert_settled(run);
        bench.github.read(|github| {
            let job = github.jobs.values().next().unwrap();
            assert_eq!(job.conclusion(), Some(Conclusion::Success));
            assert_eq!(job.outputs["Value"].value, "42");
            assert_eq!(job.steps[&step].conclusion, StepConclusion::Success);
            assert_eq!(job.live[0].text, "live");
        });
    }
}

#[tokio::test]
async fn a_cancellation_comes_once() {
    let (bench, _) = bench(Delivery::Queue { encrypted: false, fips: false }).await;
    let run = bench.push(ONE_STEP)[0];
    let job = poll(&bench, 0).await.unwrap();
    assert_eq!(job["iv"], Value::Null);
    bench.github.change(|github| github.cancel_run(run));
    let last = job["messageId"].as_u64().unwrap();
    let cancel = poll(&bench, last).await.unwrap();
    assert_eq!(cancel["messageType"], "JobCancellation");
    assert!(poll(&bench, cancel["messageId"].as_u64().unwrap()).await.is_none());
}

#[tokio::test]
async fn a_migrated_runner_is_sent_to_the_broker() {
    let (bench, session) = bench(Delivery::Migration).await;
    assert_eq!(session["brokerMigrationMessage"]["brokerBaseUrl"], json!(bench.url("/broker/")));
    let message = poll(&bench, 0).await.unwrap();
    assert_eq!(message["messageType"], "BrokerMigration");
    bench.push(ONE_STEP);
    assert_eq!(bench.poll().await.unwrap().0, "RunnerJobRequest");
}
