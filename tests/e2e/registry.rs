//! Images of registries that want a login, pulled by the executor that is under test.

mod server;

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Api, Aws, BUILD_LIMIT, Finished, Home, SANDBOX, aws, docker, home, wait_until};
use server::{PASSWORD, Registry, USER};

/// As moto gives it for this account.
const ECR: (&str, &str) = ("123456789012.dkr.ecr.us-east-1.amazonaws.com", "123456789012-auth-token");

/// A build on the project's own image, with no login that whoever runs the tests has.
fn build(home: &Home, aws: &Aws, environment: &Value, variables: &[(&str, &str)]) -> Finished {
    let buildspec = "version: 0.2\nphases: { build: { commands: [busybox true && echo it runs] } }\n";
    let source = home.source("app", [("buildspec.yml", buildspec)]);
    let file = home.path("project.json");
    fs::write(&file, json!({ "name": "pulled", "environment": environment }).to_string()).unwrap();
    let executor = if SANDBOX { "sandbox" } else { "docker" };
    let run = home.runspan(["run", "--executor", executor, "--project"]).arg(file).arg(source);
    let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
    aws.serve(run.env("DOCKER_CONFIG", home.path("no-logins")), "registry").finish()
}

fn refused(home: &Home, ran: Finished) -> String {
    ran.exited(3).did_not_print("it runs");
    let (code, message) = home.record(&home.build()).context("PROVISIONING");
    assert_eq!(code, "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE");
    assert!(!message.contains(PASSWORD) && !message.contains("wrong-password"), "{message}");
    message
}

#[test]
fn an_image_is_pulled_with_the_projects_login() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let Some(registry) = Registry::start((USER, PASSWORD), None) else { return };
    let image = registry.push("shop:1");
    for (name, password) in [("registry/good", PASSWORD), ("registry/bad", "wrong-password")] {
        let login = json!({ "username": USER, "password": password }).to_string();
        aws.boto3("secretsmanager", "create_secret", json!({ "Name": name, "SecretString": login }));
    }
    let build = |secret: Option<&str>| {
        let mut environment = json!({ "image": image });
        if let Some(secret) = secret {
            environment["registryCredential"] =
                json!({ "credential": secret, "credentialProvider": "SECRETS_MANAGER" });
        }
        build(&home, aws, &environment, &[])
    };
    let message = refused(&home, build(None));
    assert!(message.contains("give the project a registryCredential"), "{message}");
    let message = refused(&home, build(Some("registry/bad")));
    assert!(message.contains("refuses the login"), "{message}");
    build(Some("registry/good")).exited(0).printed(&["it runs\n"]);
    docker(&["rmi", &image]);
    home.assert_nothing_left();
}

#[test]
fn an_image_of_ecr_is_pulled_with_its_own_login() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let ran = |home: &Home, password: &str| {
        // An engine is not told of proxies: it knows the registry by another name.
        let registry = Registry::start(("AWS", password), SANDBOX.then_some(ECR.0))?;
        let pushed = registry.push("shop:1");
        let (proxy, trusted) = (registry.proxy(), registry.certificate());
        let variables = match SANDBOX {
            true => vec![("https_proxy", proxy), ("SSL_CERT_FILE", trusted.display().to_string())],
            false => vec![("DOCKER_HOST", registry.engine(ECR.0))],
        };
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let image = json!({ "image": format!("{}/shop:1", ECR.0) });
        let ran = build(home, aws, &image, &variables);
        docker(&["rmi", &pushed]);
        Some(ran)
    };
    let Some(pulled) = ran(&home, ECR.1) else { return };
    pulled.exited(0).printed(&["it runs\n"]);
    // Another day has another login, which is not for this registry.
    let Some(fresh) = crate::harness::home() else { return };
    let message = refused(&fresh, ran(&fresh, "of-another-day").unwrap());
    assert!(message.contains(ECR.0), "{message}");
    home.assert_nothing_left();
}

#[test]
fn another_image_is_pulled_with_another_login() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let Some(registry) = Registry::start((USER, PASSWORD), None) else { return };
    let image = registry.push("other:1");
    let login = json!({ "username": USER, "password": PASSWORD }).to_string();
    aws.boto3("secretsmanager", "create_secret", json!({ "Name": "registry/other", "SecretString": login }));
    let api = Api::of(&home, aws);
    let _serving = api.serve("registry", &[]);
    let credential = json!({ "credential": "registry/other", "credentialProvider": "SECRETS_MANAGER" });
    let environment = json!({ "image": "registry.invalid/of-project:1", "registryCredential": credential });
    let buildspec = "version: 0.2\nphases: { build: { commands: [busybox true && echo it runs] } }\n";
    api.project("pulled", buildspec, environment, json!({}));
    let build = |overrides: Value| {
        let mut ask = json!({ "projectName": "pulled", "imageOverride": image });
        ask.as_object_mut().unwrap().extend(overrides.as_object().unwrap().clone());
        let id = api.call("start_build", ask)["build"]["id"].as_str().unwrap().to_owned();
        wait_until("the build ends", BUILD_LIMIT, || {
            let record = home.record(&id);
            (record.0["buildComplete"] == true).then_some(record)
        })
    };
    // The project's login is for the project's image.
    let (code, message) = build(json!({})).context("PROVISIONING");
    assert_eq!(code, "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE");
    assert!(message.contains("give the project a registryCredential"), "{message}");
    let record = build(json!({ "registryCredentialOverride": credential }));
    assert_eq!(record.0["buildStatus"], "SUCCEEDED", "{record}");
    let shown = api.call("batch_get_builds", json!({ "ids": [record.0["id"]] }))["builds"][0].clone();
    assert_eq!(shown["environment"]["image"], image, "{shown}");
    docker(&["rmi", &image]);
    home.assert_nothing_left();
}
