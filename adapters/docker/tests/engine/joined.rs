//! Containers that are joined to private networks of this machine.

use std::{
    io::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use runspan_docker::DockerExecutor;
use runspan_engine::{Executor, Network, PrivateNetwork};
use runspan_network::{HostNetwork, Settings};

use crate::case::{BUSYBOX, Case, engine, is_podman, left_of};

/// An executor that joins its containers; says so loudly where this machine cannot.
async fn joining() -> Option<(DockerExecutor, Arc<HostNetwork>)> {
    let executor = engine(BUSYBOX).await?;
    let missing = match HostNetwork::open(Settings::default()) {
        Ok(_) if is_podman().await => "podman's containers are not joined".to_owned(),
        Ok(network) => {
            let network = Arc::new(network);
            let executor = executor.with_network(Arc::clone(&network) as Arc<dyn PrivateNetwork>);
            return Some((executor, network));
        }
        Err(error) => error.to_string(),
    };
    assert_ne!(std::env::var("RUNSPAN_REQUIRE_SERVICES").as_deref(), Ok("1"), "{missing}");
    drop(writeln!(std::io::stderr(), "SKIPPED: {missing}"));
    None
}

fn case(script: &str) -> Case {
    let mut case = Case::new(script);
    case.asked.network = Network::Private;
    case
}

/// What this machine has of an attempt's, besides what the engine has.
fn interfaces_of(attempt: &str) -> Vec<String> {
    let all = std::fs::read_dir("/sys/class/net").unwrap().map(|one| one.unwrap().path());
    let alias = |path: &std::path::Path| std::fs::read_to_string(path.join("ifalias")).unwrap_or_default();
    let ours = all.filter(|path| alias(path).trim().ends_with(attempt));
    ours.map(|path| path.display().to_string()).collect()
}

/// Waits until the script of a case has written a word.
async fn wait_for(case: &Case, word: &str) {
    for _ in 0..200 {
        if case.output().contains(word) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{}", case.output());
}

#[tokio::test]
async fn a_joined_container_has_a_way_out_and_names() {
    let Some((executor, network)) = joining().await else { return };
    let case = case(
        "until ip route | grep -q default; do usleep 1000; done
         ip -o -4 addr show eth0; ip route; cat /etc/resolv.conf
         ping -c 1 localhost && ping -c 1 $(hostname) && echo names; sleep 60",
    );
    let placement = case.place(&executor).await.unwrap();
    wait_for(&case, "names").await;
    let output = case.output();
    assert!(output.contains("default via ") && output.contains("/31"), "{output}");
    for server in network.resolver().unwrap().servers {
        assert!(output.contains(&format!("nameserver {server}")), "{output}");
    }
    assert_eq!(left_of(&case.asked.attempt).await.len(), 1, "a container, and no network of the engine");
    assert_eq!(interfaces_of(&case.asked.attempt).len(), 1);
    executor.collect(&placement).await.unwrap();
    executor.collect(&placement).await.unwrap();
    assert_eq!(left_of(&case.asked.attempt).await, Vec::<String>::new());
    assert_eq!(interfaces_of(&case.asked.attempt), Vec::<String>::new());
}

#[tokio::test]
async fn a_container_that_ends_at_once_is_no_failure() {
    let Some((executor, _)) = joining().await else { return };
    let (_, code) = case("exit 7").run(&executor).await;
    assert_eq!(code, Some(7));
}

#[tokio::test]
async fn a_sweep_takes_a_joined_container_with_its_interface() {
    let Some((executor, _)) = joining().await else { return };
    let case = case("sleep 60");
    case.place(&executor).await.unwrap();
    let dead = case.asked.attempt.clone();
    assert_eq!(interfaces_of(&dead).len(), 1);
    // Other builds of this machine are none of this test's business.
    let swept = executor.sweep(&|attempt| attempt != dead).await.unwrap();
    assert!(swept[0].starts_with("removed container "), "{swept:?}");
    assert_eq!(left_of(&dead).await, Vec::<String>::new());
    assert_eq!(interfaces_of(&dead), Vec::<String>::new());
}

#[tokio::test]
async fn a_failed_start_and_an_impatient_caller_leave_nothing() {
    let Some((executor, _)) = joining().await else { return };
    let mut broken = case("true");
    broken.asked.agent = "/nonexistent/agent".into();
    broken.place(&executor).await.unwrap_err();
    assert_eq!(left_of(&broken.asked.attempt).await, Vec::<String>::new());
    for patience in [0, 10, 100, 200, 300] {
        let case = case("sleep 60");
        let placed = tokio::time::timeout(Duration::from_millis(patience), case.place(&executor)).await;
        if let Ok(placed) = placed {
            executor.collect(&placed.unwrap()).await.unwrap();
        }
        let attempt = &case.asked.attempt;
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let busy = tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0;
            if !busy && left_of(attempt).await.is_empty() && interfaces_of(attempt).is_empty() {
                break;
            }
        }
        assert_eq!(left_of(attempt).await, Vec::<String>::new(), "after {patience} ms");
        assert_eq!(interfaces_of(attempt), Vec::<String>::new(), "after {patience} ms");
    }
}

#[tokio::test]
async fn a_network_that_fails_fails_the_start_and_leaves_nothing() {
    struct Failing(HostNetwork, Mutex<Vec<String>>);

    impl PrivateNetwork for Failing {
        fn resolver(&self) -> Result<runspan_engine::Resolver, runspan_engine::NetworkError> {
            self.0.resolver()
        }
        fn attach(
            &self,
            _: &str,
            _: std::os::fd::BorrowedFd<'_>,
        ) -> Result<runspan_engine::Attachment, runspan_engine::NetworkError> {
            Err(runspan_engine::NetworkError::Other { doing: "joining".into(), reason: "no luck".into() })
        }
        fn detach(&self, attempt: &str) -> Result<(), runspan_engine::NetworkError> {
            self.1.lock().unwrap().push(attempt.to_owned());
            Ok(())
        }
        fn sweep(
            &self,
            _: &(dyn for<'a> Fn(&'a str) -> bool + Send + Sync),
        ) -> Result<Vec<String>, runspan_engine::NetworkError> {
            Ok(Vec::new())
        }
        fn check(&self) -> Vec<runspan_engine::Check> {
            Vec::new()
        }
    }

    if joining().await.is_none() {
        return;
    }
    let network = HostNetwork::open(Settings::default()).unwrap();
    let network = Arc::new(Failing(network, Mutex::default()));
    let executor = DockerExecutor::connect().await.unwrap();
    let executor = executor.with_network(Arc::clone(&network) as Arc<dyn PrivateNetwork>);
    let case = case("sleep 60");
    let error = case.place(&executor).await.unwrap_err().to_string();
    assert!(error.contains("joining failed: no luck"), "{error}");
    assert_eq!(left_of(&case.asked.attempt).await, Vec::<String>::new());
    assert_eq!(*network.1.lock().unwrap(), std::slice::from_ref(&case.asked.attempt));
}
