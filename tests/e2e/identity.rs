//! Who a build is at AWS: the project's role, logins for repositories and registries.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Aws, BUSYBOX, DEBIAN, Home, Run, SANDBOX, aws, home};

const ROLE: &str = "arn:aws:iam::123456789012:role/builds";
const HOST: &str = "git-codecommit.us-east-1.amazonaws.com";

fn run(home: &Home, aws: &Aws, image: &str, buildspec: &str, project: &Value) -> Run {
    let source = home.source("app", [("buildspec.yml", buildspec)]);
    let file = home.path("project.json");
    fs::write(&file, project.to_string()).unwrap();
    aws.serve(home.run(source, image).arg("--project").arg(file), "identity")
}

#[test]
fn a_build_has_the_projects_role_by_an_uri() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let buildspec = r#"
version: 0.2
phases:
  build:
    commands:
      - wget -q -O one.json "$AWS_CONTAINER_CREDENTIALS_FULL_URI"
      - su nobody -s /bin/sh -c 'wget -q -O - "$AWS_CONTAINER_CREDENTIALS_FULL_URI"' > two.json || cp one.json two.json
      - cmp one.json two.json
      - wget -q -O - "${AWS_CONTAINER_CREDENTIALS_FULL_URI%?}0" || echo "a guess is answered with nothing"
      - test -z "$AWS_ACCESS_KEY_ID$AWS_SECRET_ACCESS_KEY$AWS_SESSION_TOKEN"
      - echo "it prints $(cat one.json)"
artifacts: { files: [one.json] }
"#;
    let project = json!({ "name": "role", "serviceRole": ROLE });
    let out = home.path("out");
    let ran = run(&home, aws, BUSYBOX, buildspec, &project).arg("--artifacts").arg(&out).finish().exited(0);
    let given: Value = serde_json::from_slice(&fs::read(out.join("one.json")).unwrap()).unwrap();
    assert_eq!(given["RoleArn"], ROLE);
    assert!(given["Expiration"].as_str().is_some_and(|end| end.ends_with('Z') && end.len() == 20), "{given}");
    let whose = aws.order("codecommit", json!({ "order": "who", "key": given["AccessKeyId"], "secret": given["SecretAccessKey"], "token": given["Token"] }));
    assert_eq!(whose, json!({ "arn": ROLE, "session": format!("AWSCodeBuild-{}", home.build()) }));
    // Neither printed nor kept.
    let ran = ran.printed(&["a guess is answered with nothing", "it prints {", "***"]);
    for secret in ["AccessKeyId", "SecretAccessKey", "Token"] {
        let secret = given[secret].as_str().unwrap();
        assert!(!ran.text().contains(secret));
        let found = std::process::Command::new("grep")
            .args(["-rlF", secret])
            .arg(home.state().join("builds"))
            .output();
        assert!(found.unwrap().stdout.is_empty(), "a secret is on the disk");
    }

    // Without a role there is nobody to be.
    let without = "version: 0.2\nphases: { build: { commands: ['test -z \"$AWS_CONTAINER_CREDENTIALS_FULL_URI\"'] } }\n";
    run(&home, aws, BUSYBOX, without, &json!({ "name": "role" })).finish().exited(0);
    // A session that ends before long is not handed on, but followed by another in time.
    let thrice = r#"
version: 0.2
phases:
  build:
    commands:
      - for name in one two three; do wget -q -O $name "$AWS_CONTAINER_CREDENTIALS_FULL_URI"; done
      - "! cmp -s one two && cmp two three"
"#;
    aws.faults(
        "short",
        json!([{ "action": "sts:AssumeRole", "answer": "short", "seconds": 280, "times": 1 }]),
    );
    run(&home, aws, BUSYBOX, thrice, &project).env("AWS_ACCESS_KEY_ID", "short").finish().exited(0);
    // A role that may not be assumed is said by whoever asks, and the build goes on.
    aws.faults("no-role", json!([{ "action": "sts:AssumeRole", "answer": "deny" }]));
    let refused = "version: 0.2\nphases: { build: { commands: ['wget -q -O - $AWS_CONTAINER_CREDENTIALS_FULL_URI || echo none'] } }\n";
    let refused = run(&home, aws, BUSYBOX, refused, &project).env("AWS_ACCESS_KEY_ID", "no-role");
    refused.finish().exited(0).printed(&["none\n"]);
    home.assert_nothing_left();
}

#[test]
fn an_image_of_ecr_is_asked_for_with_its_login() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    // No such host answers here: what can be seen is that the login was asked for, and what is said when it is refused.
    let image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop:1";
    let buildspec = "version: 0.2\nphases: { build: { commands: [true] } }\n";
    let builds = |key: &str| {
        let ran = run(&home, aws, image, buildspec, &json!({ "name": "ecr" })).env("AWS_ACCESS_KEY_ID", key);
        let ran = ran.env("https_proxy", "http://127.0.0.1:9").finish();
        let (code, _) = home.record(&home.build()).context("PROVISIONING");
        assert_eq!(code, "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE", "{ran}");
        ran.errors()
    };
    let said = builds("ecr");
    assert!(!said.contains("no login") && aws.requests("ecr") == 1, "{said}");
    aws.faults("ecr-denied", json!([{ "action": "ecr:GetAuthorizationToken", "answer": "deny" }]));
    let said = builds("ecr-denied");
    assert!(
        said.contains("there is no login for the registry") && said.contains("ecr:GetAuthorizationToken"),
        "{said}"
    );

    // A login in a secret that is none is said without the secret.
    let secret = json!({ "Name": "registry/login", "SecretString": "hush-hush" });
    aws.boto3("secretsmanager", "create_secret", secret);
    let credential = json!({ "credential": "registry/login", "credentialProvider": "SECRETS_MANAGER" });
    let project =
        json!({ "name": "ecr", "environment": { "image": image, "registryCredential": credential } });
    fs::write(home.path("project.json"), project.to_string()).unwrap();
    let source = home.path("app");
    let executor = if SANDBOX { "sandbox" } else { "docker" };
    let ran =
        home.runspan(["run", "--executor", executor, "--project"]).arg(home.path("project.json")).arg(source);
    let ran = aws.serve(ran, "identity").finish();
    assert!(!ran.errors().contains("hush-hush"), "{ran}");
    let (code, message) = home.record(&home.build()).context("PROVISIONING");
    assert_eq!(code, "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE");
    assert!(message.contains("registry/login") && !message.contains("hush-hush"), "{message}");
}

#[test]
fn a_source_is_a_repository_of_codecommit() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let buildspec = "version: 0.2\nphases: { build: { commands: [cat text] } }\n";
    let files = json!({ "buildspec.yml": buildspec, "text": "from the repository\n" });
    let commit = aws.order("codecommit", json!({ "order": "make", "name": "shop", "files": files }));
    let fetch = |secret: &str| {
        // Through a proxy, so that the host's name is CodeCommit's own.
        let url = format!("http://{HOST}/v1/repos/shop");
        let run = home.run_on(BUSYBOX).args(["--source", &url]);
        let run = aws.serve(run, "identity").env("AWS_SECRET_ACCESS_KEY", secret);
        run.env("http_proxy", format!("http://{}", aws.address())).finish()
    };
    fetch("of-the-tests").exited(0).printed(&["from the repository\n"]);
    let record = home.record(&home.build()).0;
    assert_eq!(
        (&record["source"]["type"], &record["resolvedSourceVersion"]),
        (&"CODECOMMIT".into(), &commit)
    );
    fetch("wrong").exited(1);
    assert_eq!(home.record(&home.build()).context("DOWNLOAD_SOURCE").0, "CLIENT_ERROR");
}

#[test]
fn git_in_a_build_is_given_the_roles_login() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let buildspec = |helper: &str| {
        format!(
            "
version: 0.2
env: {{ git-credential-helper: {helper} }}
phases:
  build:
    commands:
      - export GIT_TERMINAL_PROMPT=0
      - printf 'protocol=https\\nhost={HOST}\\npath=v1/repos/shop\\n\\n' | git credential fill > login
      - printf 'protocol=https\\nhost=example.com\\n\\n' | git credential fill || echo 'no login for others'
artifacts: {{ files: [login] }}
"
        )
    };
    let project = json!({ "name": "helper", "serviceRole": ROLE });
    let out = home.path("out");
    let asks = |helper: &str| {
        run(&home, aws, DEBIAN, &buildspec(helper), &project).arg("--artifacts").arg(&out).finish()
    };
    asks("no").exited(1);
    asks("yes").exited(0).printed(&["no login for others"]);
    let login = fs::read_to_string(out.join("login")).unwrap();
    let value =
        |name: &str| login.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap();
    let (username, password) = (value("username"), value("password"));
    assert!(username.contains('%'), "a role has a token: {username}");
    let check = |path: &str| {
        aws.order(
            "codecommit",
            json!({
                "order": "check", "username": username, "password": password, "host": HOST, "path": path,
            }),
        )
    };
    assert_eq!((check("/v1/repos/shop"), check("/v1/repos/other")), (true.into(), false.into()));
}
