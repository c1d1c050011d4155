//! Registering, proving oneself, sessions.

use std::{collections::BTreeMap, time::Duration};

use fake_github::model::{App, Settings};
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::runner::{Bench, json_of, key, quick};

#[tokio::test]
async fn a_runner_registers_proves_itself_and_opens_one_session() {
    let bench = Bench::new(quick()).await;
    let (tenant, token) = bench.tenant().await;
    let data = bench
        .call(
            Method::GET,
            &format!("{tenant}_apis/connectionData?connectOptions=1&lastChangeId=-1&lastChangeId64=-1"),
            &token,
            None,
        )
        .await;
    let data = json_of(data).await;
    let change = data["locationServiceData"]["lastChangeId64"].as_i64().unwrap();
    assert_eq!(data["locationServiceData"]["serviceDefinitions"].as_array().unwrap().len(), 16);
    let fresh = bench
        .call(Method::GET, &format!("{tenant}_apis/connectionData?lastChangeId64={change}"), &token, None)
        .await;
    assert_eq!(json_of(fresh).await["locationServiceData"]["clientCacheFresh"], true);

    let pools = json_of(
        bench
            .call(
                Method::GET,
                &format!("{tenant}_apis/distributedtask/pools?poolType=Automation"),
                &token,
                None,
            )
            .await,
    )
    .await;
    assert_eq!(pools["value"][0]["isInternal"], true);
    let agents =
        format!("{tenant}_apis/distributedtask/pools/0/agents?agentName=one&includeCapabilities=False");
    let agents = json_of(bench.call(Method::GET, &agents, &token, None).await).await;
    assert_eq!(agents["count"], 1);
    assert_eq!(agents["value"][0]["properties"]["UseV2Flow"]["$value"], true);

    let (status, body) = bench.open_session().await.unwrap_err();
    assert_eq!((status, body["source"].as_str()), (StatusCode::CONFLICT, Some("actions-broker-listener")));
    let closed = bench.call(Method::DELETE, &bench.url("/broker/session"), &bench.runner.token, None).await;
    assert_eq!(closed.status(), StatusCode::NO_CONTENT);
    bench.open_session().await.unwrap();
}

#[tokio::test]
async fn a_name_is_taken_once_and_replaced_with_its_number_kept() {
    let bench = Bench::new(quick()).await;
    let (status, body) = bench.register("ONE", &[]).await.err().unwrap();
    assert_eq!((status, &body["typeKey"]), (StatusCode::CONFLICT, &json!("TaskAgentExistsException")));
    let (tenant, token) = bench.tenant().await;
    let url = format!("{tenant}_apis/distributedtask/pools/1/agents/{}", bench.runner.id);
    let replaced = bench.call(Method::PUT, &url, &token, Some(Bench::agent("one", &["Linux"]))).await;
    let replaced = json_of(replaced).await;
    assert_eq!(replaced["id"], json!(bench.runner.id));
    assert_ne!(replaced["authorization"]["clientId"], json!(bench.runner.client));
    assert!(bench.access_token(&bench.runner).await.is_err(), "the old identity is worth nothing");
}

#[tokio::test]
async fn labels_that_say_the_same_are_one() {
    let bench = Bench::unregistered(quick()).await;
    let mut agent = Bench::agent("one", &["self-hosted", "Linux"]);
    agent["labels"].as_array_mut().unwrap().push(json!({"id": 0, "name": "LINUX", "type": "user"}));
    agent["labels"].as_array_mut().unwrap().push(json!({"id": 0, "name": "gpu", "type": "user"}));
    let runner = bench.register_agent(agent).await.unwrap();
    let labels: Vec<String> = bench.github.read(|github| {
        github.runners[&runner.id].registration.labels.iter().map(|label| label.name.clone()).collect()
    });
    assert_eq!(labels, ["self-hosted", "Linux", "gpu"]);
}

#[tokio::test]
async fn weak_keys_old_versions_and_wrong_tokens_are_refused() {
    let bench = Bench::unregistered(quick()).await;
    let mut weak = Bench::agent("weak", &[]);
    weak["authorization"]["publicKey"]["modulus"] = json!("AQAB");
    assert_eq!(bench.register_agent(weak).await.err().unwrap().0, StatusCode::BAD_REQUEST);
    let mut old = Bench::agent("old", &[]);
    old["version"] = json!("2.320.0");
    assert_eq!(bench.register_agent(old).await.err().unwrap().0, StatusCode::FORBIDDEN);
    let url = bench.url("/api/v3/actions/runner-registration");
    for credentials in ["RemoteAuth wrong", "Bearer pat", "RemoteAuth pat"] {
        let request = bench.http.post(&url).header("authorization", credentials);
        let body = json!({"url": bench.url("/octo/hello"), "runner_event": "register"});
        assert_eq!(
            request.json(&body).send().await.unwrap().status(),
            StatusCode::UNAUTHORIZED,
            "{credentials}"
        );
    }
}

#[tokio::test]
async fn assertions_that_are_wrong_in_any_way_are_refused() {
    let bench = Bench::new(quick()).await;
    let runner = &bench.runner;
    let refused = async |assertion: String, why: &str| {
        let answer = bench.present(&runner.authorization_url, &assertion).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let answer = json_of(answer).await;
        assert_eq!(answer["error"], "invalid_client");
        let description = answer["error_description"].as_str().unwrap();
        assert!(description.contains(why), "{description} lacks {why}");
    };
    let ps256 = |change: fn(&mut Value)| Bench::assertion(runner, Algorithm::PS256, change);
    refused(Bench::assertion(runner, Algorithm::RS256, |_| {}), "signature is not valid").await;
    refused(ps256(|claims| claims["aud"] = json!("https://other")), "audience").await;
    refused(ps256(|claims| claims["exp"] = json!(claims["nbf"].as_u64().unwrap() + 900)), "five minutes")
        .await;
    refused(
        ps256(|claims| claims["exp"] = json!(claims["nbf"].as_u64().unwrap() - 1)),
        "Current server time is",
    )
    .await;
    refused(
        ps256(|claims| claims["sub"] = json!("4b1c2c0a-0000-4000-8000-000000000000")),
        "Registration was not found",
    )
    .await;
    let once = ps256(|_| {});
    assert_eq!(bench.present(&runner.authorization_url, &once).await.status(), StatusCode::OK);
    refused(once, "used before").await;
    bench.github.change(|github| github.settings.clock_skew = SignedDuration::from_hours(1));
    refused(ps256(|_| {}), "Current server time is").await;
    bench.github.change(|github| {
        github.settings.clock_skew = SignedDuration::ZERO;
        github.revoke(runner.id);
    });
    refused(ps256(|_| {}), "Registration was not found").await;
}

#[tokio::test]
async fn tokens_run_out() {
    let mut bench = Bench::new(quick()).await;
    assert_eq!(bench.poll_as("Online", "2.336.0").await.status(), StatusCode::ACCEPTED);
    bench.github.change(|github| github.settings.access_token = Duration::from_millis(1));
    bench.runner.token = bench.access_token(&bench.runner).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(bench.poll_as("Online", "2.336.0").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_runner_that_is_too_old_or_gone_gets_no_messages() {
    let bench = Bench::new(Settings { minimum_version: Some((2, 330, 0)), ..quick() }).await;
    let answer = bench.poll_as("Online", "2.329.0").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let answer = json_of(answer).await;
    assert_eq!(answer["errorKind"], "RunnerVersionTooOld");
    assert_eq!(answer["errorMessage"], "Runner version v2.329.0 is deprecated and cannot receive messages.");

    let mut stranger = bench.runner.clone();
    stranger.session = uuid::Uuid::new_v4().to_string();
    let url = bench
        .url(&format!("/broker/message?sessionId={}&status=Online&runnerVersion=2.336.0", stranger.session));
    let answer = json_of(bench.call(Method::GET, &url, &bench.runner.token, None).await).await;
    assert_eq!(answer["errorKind"], "RunnerSessionInvalid");

    bench.github.change(|github| github.revoke(bench.runner.id));
    let answer = bench.poll_as("Online", "2.336.0").await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(json_of(answer).await["errorKind"], "RunnerNotFound");
}

#[tokio::test]
async fn the_runner_admin_flow_registers_with_a_key_in_xml() {
    let bench = Bench::unregistered(Settings { runner_admin: true, ..quick() }).await;
    let (_, token) = bench.tenant().await;
    let (modulus, exponent) = key().numbers();
    let body = json!({
        "url": bench.url("/octo/hello"), "group_id": 1, "name": "admin", "version": "2.336.0",
        "updates_disabled": true, "ephemeral": false, "labels": [{"id": 0, "name": "x", "type": "user"}],
        "public_key": format!("<RSAKeyValue><Modulus>{modulus}</Modulus><Exponent>{exponent}</Exponent></RSAKeyValue>"),
    });
    let url = bench.url("/api/v3/actions/runners/register");
    let answer = json_of(bench.call(Method::POST, &url, &token, Some(body)).await).await;
    let mut runner = super::runner::Runner {
        id: answer["id"].as_u64().unwrap(),
        client: answer["authorization"]["client_id"].as_str().unwrap().to_owned(),
        authorization_url: answer["authorization"]["authorization_url"].as_str().unwrap().to_owned(),
        ..Default::default()
    };
    assert_eq!(answer["authorization"]["server_url"], json!(bench.url("/broker/")));
    runner.token = bench.access_token(&runner).await.unwrap();
}

#[tokio::test]
async fn a_personal_token_manages_runners_and_a_reader_does_not() {
    let bench = Bench::new(quick()).await;
    let api = |path: &str| bench.url(&format!("/api/v3/repos/octo/hello/actions/runners{path}"));
    let token = bench.call(Method::POST, &api("/registration-token"), "pat", None).await;
    assert_eq!(token.status(), StatusCode::CREATED);
    assert!(json_of(token).await["token"].as_str().unwrap().starts_with('A'));
    assert_eq!(
        bench.call(Method::POST, &api("/remove-token"), "nobody", None).await.status(),
        StatusCode::UNAUTHORIZED
    );
    let missing = bench.url("/api/v3/repos/octo/other/actions/runners/registration-token");
    assert_eq!(bench.call(Method::POST, &missing, "pat", None).await.status(), StatusCode::NOT_FOUND);

    let list = json_of(bench.call(Method::GET, &api("?name=one"), "pat", None).await).await;
    assert_eq!((&list["total_count"], &list["runners"][0]["status"]), (&json!(1), &json!("online")));
    let downloads = json_of(bench.call(Method::GET, &api("/downloads"), "pat", None).await).await;
    assert!(downloads[0]["filename"].as_str().unwrap().contains("2.336.0"));
    let one = api(&format!("/{}", bench.runner.id));
    assert_eq!(bench.call(Method::DELETE, &one, "pat", None).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(bench.call(Method::GET, &one, "pat", None).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_app_gets_tokens_of_its_installations() {
    let bench = Bench::unregistered(quick()).await;
    let public = {
        use aws_lc_rs::{
            encoding::{AsDer, PublicKeyX509Der},
            signature::KeyPair as _,
        };
        use base64::{Engine, engine::general_purpose::STANDARD};
        let der: PublicKeyX509Der<'_> = key().pair.public_key().as_der().unwrap();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der.as_ref()))
    };
    let app = App { id: 7, public_key: public, installations: BTreeMap::from([(70, "octo".to_owned())]) };
    bench.github.change(|github| github.apps.insert(7, app));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let jwt = |issuer: u64, exp: u64| {
        let key = EncodingKey::from_rsa_pem(key().pem.as_bytes()).unwrap();
        let claims = json!({"iss": issuer, "iat": now - 60, "exp": exp});
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap()
    };
    let find = bench.url("/api/v3/repos/octo/hello/installation");
    let found = json_of(bench.call(Method::GET, &find, &jwt(7, now + 540), None).await).await;
    assert_eq!(found["id"], 70);
    let url = found["access_tokens_url"].as_str().unwrap();
    for bad in [jwt(8, now + 540), jwt(7, now + 3600), jwt(7, now - 1)] {
        assert_eq!(bench.call(Method::POST, url, &bad, None).await.status(), StatusCode::UNAUTHORIZED);
    }
    let token = bench.call(Method::POST, url, &jwt(7, now + 540), None).await;
    assert_eq!(token.status(), StatusCode::CREATED);
    let token = json_of(token).await["token"].as_str().unwrap().to_owned();
    let url = bench.url("/api/v3/repos/octo/hello/actions/runners/registration-token");
    assert_eq!(bench.call(Method::POST, &url, &token, None).await.status(), StatusCode::CREATED);
    let url = bench.url("/api/v3/orgs/another/actions/runners/registration-token");
    assert_eq!(bench.call(Method::POST, &url, &token, None).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_configuration_for_one_job_holds_a_key_that_works() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let bench = Bench::unregistered(quick()).await;
    let url = bench.url("/api/v3/repos/octo/hello/actions/runners/generate-jitconfig");
    let ask = async |body: Value| bench.call(Method::POST, &url, "pat", Some(body)).await;
    for (body, status) in [
        (json!({"name": "j", "labels": ["x"]}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"name": "j", "labels": [], "runner_group_id": 1}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"name": "j", "labels": ["x"], "runner_group_id": 2}), StatusCode::FORBIDDEN),
        (json!({"name": "j", "labels": ["x"], "runner_group_id": 9}), StatusCode::NOT_FOUND),
    ] {
        assert_eq!(ask(body.clone()).await.status(), status, "{body}");
    }
    let answer = ask(json!({"name": "j", "labels": ["x"], "runner_group_id": 1})).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let answer = json_of(answer).await;
    let decode = |text: &str| -> Value { serde_json::from_slice(&STANDARD.decode(text).unwrap()).unwrap() };
    let files = decode(answer["encoded_jit_config"].as_str().unwrap());
    let file = |name: &str| decode(files[name].as_str().unwrap());
    assert_eq!(file(".runner")["AgentName"], "j");
    let key = file(".credentials_rsaparams");
    let length = |name: &str| STANDARD.decode(key[name].as_str().unwrap()).unwrap().len();
    assert_eq!((length("modulus"), length("exponent"), length("p")), (256, 3, 128));
    let id = answer["runner"]["id"].as_u64().unwrap();
    let public = bench.github.read(|github| github.runners[&id].registration.key.modulus.clone());
    assert_eq!(STANDARD.encode(public), key["modulus"].as_str().unwrap());
}
