//! What variables refer to: fetched, masked, or why not.

use serde_json::json;

use super::run;
use crate::harness::{aws, home};

#[test]
fn parameters_and_secrets_are_variables_and_are_masked() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let parameter = |name: &str, kind: &str, value: &str| {
        let new = json!({ "Name": name, "Type": kind, "Value": value, "Overwrite": true });
        aws.boto3("ssm", "put_parameter", new);
    };
    parameter("/first/password", "SecureString", "correct horse");
    parameter("/first/version", "String", "old-value");
    parameter("/first/version", "String", "new-value");
    let secret = |value: &str| json!({ "Name": "first/api", "SecretString": value });
    let made =
        aws.boto3("secretsmanager", "create_secret", secret(r#"{"token":"before-token","port":8080}"#));
    let arn = made["ARN"].as_str().unwrap();
    let old = made["VersionId"].as_str().unwrap();
    let next = json!({ "SecretId": arn, "SecretString": r#"{"token":"after-token","port":9090}"# });
    let next = aws.boto3("secretsmanager", "put_secret_value", next);
    let new = next["VersionId"].as_str().unwrap();
    let buildspec = format!(
        r#"
version: 0.2
env:
  parameter-store: {{ PASSWORD: /first/password, OLD: "/first/version:1" }}
  secrets-manager:
    WHOLE: first/api
    KEY: first/api:token
    STAGE: first/api:token:AWSPREVIOUS
    ID: "first/api:token::{old}"
    ARN: "{arn}:port"
    ARN_ID: "{arn}:::{new}"
  exported-variables: [KEY, PLAIN]
phases:
  build:
    commands:
      - test "$PASSWORD" = "correct horse" && test "$OLD" = old-value && test "$VERSION" = new-value
      - test "$KEY" = after-token && test "$STAGE" = before-token && test "$ID" = before-token
      - test "$ARN" = 9090 && test "$ARN_ID" = "$WHOLE" && test "$PROJECT" = after-token
      - echo "$PASSWORD" and "$KEY" and $(echo -n "$STAGE" | base64)
      - PLAIN=seen
"#
    );
    let project = json!({ "environment": { "environmentVariables": [
        { "name": "VERSION", "value": "/first/version", "type": "PARAMETER_STORE" },
        { "name": "PROJECT", "value": "first/api:token", "type": "SECRETS_MANAGER" },
    ] } });
    let ran = run(&home, aws, "secrets", &buildspec, &project).finish().exited(0);
    ran.printed(&["Decrypting parameter store environment variables", "*** and *** and ***"])
        .did_not_print("correct horse")
        .did_not_print("after-token");
    let record = home.record(&home.build()).0;
    let exported = json!([{ "name": "PLAIN", "value": "seen" }]);
    assert_eq!(record["exportedEnvironmentVariables"], exported, "secrets are not exported");
    assert!(!record.to_string().contains("after-token"));
    home.assert_nothing_left();
}

#[test]
fn a_value_that_cannot_be_had_fails_as_codebuild_does() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let env = |env: &str| {
        format!("version: 0.2\nenv: {{ {env} }}\nphases: {{ build: {{ commands: [echo ran] }} }}\n")
    };
    let fails = |key: &str, buildspec: &str| {
        run(&home, aws, key, buildspec, &json!({})).finish().exited(1).did_not_print("ran\n");
        home.record(&home.build()).context("DOWNLOAD_SOURCE")
    };
    let (code, message) = fails("secrets", &env("parameter-store: { A: /no/such }"));
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("Decrypted Variables Error", "parameter does not exist: /no/such")
    );
    let (code, message) = fails("secrets", &env("secrets-manager: { A: no/such }"));
    assert_eq!(code, "Secrets Manager Error");
    assert!(
        message.starts_with("ResourceNotFoundException: Secrets Manager can't find the specified secret."),
        "{message}"
    );
    aws.faults("denied", json!([{ "action": "ssm:GetParameters", "answer": "deny" }]));
    let (code, message) = fails("denied", &env("parameter-store: { A: /first/password }"));
    assert_eq!(code, "Decrypted Variables Error");
    assert!(message.contains("AccessDeniedException") && message.contains("ssm:GetParameters"), "{message}");
}
