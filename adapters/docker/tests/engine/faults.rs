//! Engines that are dead, deaf or rude, and images that cannot be had.

use std::{path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use runspan_agent_protocol::Secret;
use runspan_docker::{DockerExecutor, unreachable};
use runspan_engine::{CheckState, Executor, ExecutorError, Progress, RegistryLogin, RootFs};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{UnixListener, UnixStream},
};

use crate::case::{BUSYBOX, Case, engine};

#[tokio::test]
async fn a_dead_engine_is_named_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("dead.sock");
    let url = format!("unix://{}", socket.display());
    for reason in ["there is no such socket", "nobody listens there"] {
        let error = DockerExecutor::connect_to(&url).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&url) && text.contains(reason) && text.contains("; start it ("), "{text}");
        assert!(matches!(unreachable(&error).state, CheckState::Bad { .. }));
        // From now on there is a socket, left behind by an engine that was killed.
        let _ = UnixListener::bind(&socket);
    }
    let error = DockerExecutor::connect_to("ssh://host").await.unwrap_err().to_string();
    assert!(error.contains("unix:// or tcp://"), "{error}");
}

#[tokio::test]
async fn an_image_that_cannot_be_had_is_told_in_the_engines_words() {
    let Some(executor) = engine(BUSYBOX).await else { return };
    for (image, expected) in [
        ("registry.invalid/none/such:1", "Error response from daemon: "),
        ("aws/codebuild/standard:99.0", "is in no public registry"),
        ("--privileged", "invalid reference format"),
        ("../../containers/json?all=1#", "invalid reference format"),
    ] {
        let mut case = Case::new("true");
        case.asked.root = RootFs::Image(image.into());
        let error = case.place(&executor).await.unwrap_err();
        assert!(matches!(error, ExecutorError::Image { .. }), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("Unable to pull customer's container image. CannotPullContainerError: "));
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn an_engine_that_comes_back_is_observed_on() {
    let Some(executor) = engine(BUSYBOX).await else { return };
    let case = Case::new("sleep 2; exit 3");
    let placement = case.place(&executor).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("engine.sock");
    let proxy = tokio::spawn(proxy(UnixListener::bind(&socket).unwrap()));
    let observer = DockerExecutor::connect_to(&format!("unix://{}", socket.display())).await.unwrap();
    let (end, ()) = tokio::join!(observer.observe(&placement), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        proxy.abort();
        std::fs::remove_file(&socket).unwrap();
        tokio::time::sleep(Duration::from_millis(700)).await;
        tokio::spawn(self::proxy(UnixListener::bind(&socket).unwrap()));
    });
    assert_eq!(end.unwrap().exit_code, Some(3));
    executor.collect(&placement).await.unwrap();
}

/// Passes connections on to the real engine until it is aborted, and then cuts them.
async fn proxy(listener: UnixListener) {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    let engine = host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock").to_owned();
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let engine = engine.clone();
        connections.spawn(async move {
            let mut engine = UnixStream::connect(engine).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut engine).await;
        });
    }
}

#[tokio::test]
async fn a_login_reaches_the_engine_whatever_it_is_made_of() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("engine.sock");
    let requests = tokio::spawn(registry_of_nothing(UnixListener::bind(&socket).unwrap()));
    let executor = DockerExecutor::connect_to(&format!("unix://{}", socket.display())).await.unwrap();
    let mut case = Case::new("true");
    case.asked.root = RootFs::Image("reg.example:5000/team/app".into());
    // In standard base64 these make both `+` and `/`.
    let password = "~~~???>>>ÿÿÿ";
    case.asked.registry_login =
        Some(RegistryLogin { username: "me".into(), password: Secret::new(password) });
    let progress = std::sync::Mutex::new(Vec::new());
    let error = executor.place(&case.asked, &|step| progress.lock().unwrap().push(step)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Unable to pull customer's container image. CannotPullContainerError: Error response from daemon: \
         pull access denied for reg.example:5000/team/app, repository does not exist or may require 'docker login' \
         (reg.example:5000 refuses the login that there is)"
    );
    assert_eq!(
        progress.into_inner().unwrap(),
        [Progress::Pulling { done: 0, total: None }, Progress::Pulling { done: 5, total: Some(10) },]
    );
    requests.abort();
    let seen = std::fs::read_to_string(dir.path().join("pull")).unwrap();
    assert!(seen.contains("fromImage=reg.example%3A5000%2Fteam%2Fapp&tag=latest"), "{seen}");
    let header = seen.lines().find_map(|line| line.strip_prefix("x-registry-auth: ")).unwrap();
    let login: serde_json::Value = serde_json::from_slice(&URL_SAFE.decode(header).unwrap()).unwrap();
    assert_eq!((&login["username"], &login["password"]), (&"me".into(), &password.into()));
}

/// An engine without images whose every pull is denied; keeps what it was asked beside its socket.
async fn registry_of_nothing(listener: UnixListener) {
    let path = listener.local_addr().unwrap().as_pathname().map(Path::to_owned).unwrap();
    while let Ok((mut client, _)) = listener.accept().await {
        let mut request = Vec::new();
        let mut chunk = [0; 4096];
        while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            let read = client.read(&mut chunk).await.unwrap();
            request.extend_from_slice(&chunk[..read]);
        }
        let request = String::from_utf8(request).unwrap();
        let (status, body) = match request.split(' ').nth(1).unwrap() {
            path if path.ends_with("/_ping") => ("200 OK", "OK"),
            path if path.ends_with("/version") => ("200 OK", r#"{"ApiVersion":"1.41","Version":"20.10.24"}"#),
            path if path.contains("/images/create") => (
                "200 OK",
                concat!(
                    r#"{"status":"Pulling fs layer","progressDetail":{},"id":"a"}"#,
                    "\r\n",
                    r#"{"status":"Downloading","progressDetail":{"current":5,"total":10},"id":"a"}"#,
                    "\r\n",
                    r#"{"errorDetail":{"message":"pull access denied for reg.example:5000/team/app, repository does not exist or may require 'docker login'"},"error":"x"}"#,
                    "\r\n"
                ),
            ),
            _ => ("404 Not Found", r#"{"message":"No such image"}"#),
        };
        if request.contains("/images/create") {
            std::fs::write(path.with_file_name("pull"), request).unwrap();
        }
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        client.write_all(head.as_bytes()).await.unwrap();
        client.write_all(body.as_bytes()).await.unwrap();
    }
}
