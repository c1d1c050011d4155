//! Every way to become a runner and to be one no longer, against a GitHub that is not GitHub.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fake_github::FakeGitHub;
use fake_github::model::{App, Delivery, Settings, TokenKind};
use runspan_agent_protocol::Secret;
use runspan_github::{
    Api, AppKey, GitHubError, Login, RUNNER_VERSION, Registration, Request, Scope, register, unregister,
};

async fn github(settings: Settings) -> FakeGitHub {
    let github = FakeGitHub::start(settings).await.unwrap();
    github.change(|github| {
        github.allow("ghp_good");
        github.repository("octo/hello").map(drop).unwrap();
    });
    github
}

fn api(github: &FakeGitHub, path: &str, login: Login) -> Api {
    let scope = Scope::parse(&format!("{}/{path}", github.url())).unwrap();
    Api::new(scope, login, RUNNER_VERSION).unwrap()
}

fn pat(token: &str) -> Login {
    Login::PersonalAccessToken(Secret::new(token))
}

fn request(name: &str) -> Request {
    Request {
        name: name.into(),
        labels: vec!["gpu".into()],
        no_default_labels: false,
        group: None,
        ephemeral: false,
        replace: false,
        version: RUNNER_VERSION.into(),
    }
}

fn pem(kind: &str, der: &[u8]) -> String {
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
}

#[tokio::test]
async fn tokens_of_all_kinds_register_for_all_owners() {
    for runner_admin in [false, true] {
        let github = github(Settings { runner_admin, ..Settings::default() }).await;
        let token = github.change(|github| github.runner_token(TokenKind::Registration).0);
        for (name, path, login) in [
            ("a", "octo/hello", pat("ghp_good")),
            ("b", "octo/hello", Login::RegistrationToken(Secret::new(token))),
            ("c", "octo", pat("ghp_good")),
            ("d", "enterprises/big", pat("ghp_good")),
        ] {
            let api = api(&github, path, login);
            let done = register(&api, &request(name)).await;
            let registered =
                done.unwrap_or_else(|error| panic!("{name}, runner_admin {runner_admin}: {error}"));
            assert!(!registered.replaced);
            let id = registered.registration.identity.agent_id;
            let known = github.read(|github| github.runners[&id].registration.name.clone());
            assert_eq!(known, name);
        }
        assert_eq!(github.read(|github| github.violations.clone()), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_name_is_taken_or_replaced_and_a_runner_removed() {
    for runner_admin in [false, true] {
        let github = github(Settings { runner_admin, ..Settings::default() }).await;
        let api = api(&github, "octo/hello", pat("ghp_good"));
        let first = register(&api, &request("one")).await.unwrap().registration;
        let taken = register(&api, &request("one")).await.unwrap_err();
        assert!(matches!(&taken, GitHubError::NameTaken { name } if name == "one"), "{taken}");
        let again = Request { replace: true, ..request("one") };
        let second = register(&api, &again).await.unwrap();
        assert!(second.replaced && second.registration.identity.agent_id == first.identity.agent_id);
        assert_ne!(second.registration.identity.key, first.identity.key);
        let all = api.runners().await.unwrap();
        assert_eq!((all.len(), all[0].name.as_str()), (1, "one"));
        unregister(&api, &second.registration).await.unwrap();
        assert_eq!(api.runners().await.unwrap(), []);
        unregister(&api, &second.registration).await.unwrap();
    }
}

#[tokio::test]
async fn an_app_registers_where_it_is_installed() {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let github = github(Settings::default()).await;
    let app = App {
        id: 7,
        public_key: pem("PUBLIC KEY", public.as_ref()),
        installations: BTreeMap::from([(70, "octo".to_owned())]),
    };
    github.change(|github| github.apps.insert(7, app));
    let login = |issuer: &str| {
        let key = Secret::new(pem("PRIVATE KEY", private.as_ref()));
        Login::App(AppKey { issuer: issuer.into(), key })
    };
    register(&api(&github, "octo/hello", login("7")), &request("one")).await.unwrap();
    for (path, issuer, said) in [
        ("other/repo", "7", "install it"),
        ("octo/hello", "8", "refuses the login"),
        ("enterprises/big", "7", "--pat"),
    ] {
        let error = register(&api(&github, path, login(issuer)), &request("two")).await.unwrap_err();
        assert!(error.to_string().contains(said), "{path} {issuer}: {error}");
    }
    let broken = Login::App(AppKey { issuer: "7".into(), key: Secret::new("no key") });
    let error = register(&api(&github, "octo/hello", broken), &request("two")).await.unwrap_err().to_string();
    assert!(error.contains("PEM") && !error.contains("no key"), "{error}");
}

#[tokio::test]
async fn what_is_refused_says_what_to_do() {
    let github = github(Settings { registration_version: Some((9, 0, 0)), ..Settings::default() }).await;
    let error = register(&api(&github, "octo/hello", pat("ghp_good")), &request("one")).await.unwrap_err();
    assert!(error.to_string().contains("--runner-version"), "{error}");
    github.change(|github| github.settings.registration_version = None);
    let stale = Login::RegistrationToken(Secret::new("A-STALE-TOKEN"));
    for (login, said) in [(pat("ghp_bad"), "check that the token is valid"), (stale, "get a new token")] {
        let error =
            register(&api(&github, "octo/hello", login), &request("one")).await.unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("STALE") && !error.contains("ghp_bad"), "{error}");
    }
    let unknown = Request { group: Some("nobody".into()), ..request("one") };
    let error =
        register(&api(&github, "octo/hello", pat("ghp_good")), &unknown).await.unwrap_err().to_string();
    assert!(error.contains("no runner group nobody") && error.contains("Default"), "{error}");
}

#[tokio::test]
async fn a_server_with_only_the_older_queue_is_named() {
    let queue = Delivery::Queue { encrypted: true, fips: true };
    let github = github(Settings { delivery: queue, ..Settings::default() }).await;
    let error = register(&api(&github, "octo/hello", pat("ghp_good")), &request("one")).await.unwrap_err();
    assert!(error.to_string().contains("older queue"), "{error}");
}

#[tokio::test]
async fn a_configuration_made_by_github_is_a_registration() {
    let github = github(Settings::default()).await;
    let api = api(&github, "octo/hello", pat("ghp_good"));
    let made = api.jit_runner("just-once", 1, &["only-me".to_owned()]).await.unwrap();
    let registration = Registration::from_jit(&made.encoded_jit_config).unwrap();
    assert_eq!((registration.name.as_str(), registration.ephemeral), ("just-once", true));
    assert_eq!(registration.identity.agent_id, made.runner.id);
    let taken = api.jit_runner("just-once", 1, &["only-me".to_owned()]).await.unwrap_err();
    assert!(taken.to_string().contains("just-once"), "{taken}");
    let wrong = Registration::from_jit(&Secret::new("bm90IGl0")).unwrap_err();
    assert!(wrong.to_string().contains("JIT"), "{wrong}");
    assert_eq!(api.newest_runner().await.as_deref(), Some("2.336.0"));
}
