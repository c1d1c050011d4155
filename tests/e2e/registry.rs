//! Images of registries that want a login, pulled by the executor that is under test.

mod server;

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Aws, Finished, Home, SANDBOX, aws, docker, home};
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
    // Only the sandbox can be told, by a proxy, that the host of this name is here; an engine pulls by itself.
    let (true, Some(home), Some(aws)) = (SANDBOX, home(), aws()) else { return };
    let Some(registry) = Registry::start(("AWS", ECR.1), Some(ECR.0)) else { return };
    registry.push("shop:1");
    let image = json!({ "image": format!("{}/shop:1", ECR.0) });
    let (proxy, trusted) = (registry.proxy(), registry.certificate());
    let variables = [("https_proxy", proxy.as_str()), ("SSL_CERT_FILE", trusted.to_str().unwrap())];
    build(&home, aws, &image, &variables).exited(0).printed(&["it runs\n"]);
    // Of another account there is another login, which is not for this registry.
    let other = Registry::start(("AWS", "of-another-day"), Some(ECR.0)).unwrap();
    let (proxy, trusted) = (other.proxy(), other.certificate());
    let variables = [("https_proxy", proxy.as_str()), ("SSL_CERT_FILE", trusted.to_str().unwrap())];
    let Some(fresh) = crate::harness::home() else { return };
    let message = refused(&fresh, build(&fresh, aws, &image, &variables));
    assert!(message.contains(ECR.0), "{message}");
    home.assert_nothing_left();
}
