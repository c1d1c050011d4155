//! The queue before there is a container: how long builds wait in it, and how many.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bare;

use std::sync::Arc;
use std::time::Duration;

use runspan_engine::build::BuildId;
use runspan_engine::journal::Journal;
use runspan_engine::lifecycle::{PhaseType, Status};
use runspan_engine::project::{Project, ProjectSource, SourceType};
use runspan_engine::request::{BuildRequest, BuildspecChoice};
use runspan_engine::{Dispatcher, Home, Refusal, Supervisor};

use bare::Bare;

struct Bench {
    home: tempfile::TempDir,
    journal: Arc<Journal>,
    supervisor: Supervisor,
}

impl Bench {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let journal = Arc::new(Journal::open(&Home::open(home.path()).unwrap()).unwrap());
        let agent = home.path().join("agent");
        let supervisor =
            Supervisor::new(Arc::clone(&journal), Arc::new(Bare { waits: true }), agent, "us-east-1".into());
        Self { home, journal, supervisor }
    }

    fn request(&self) -> BuildRequest {
        BuildRequest {
            project: Project { name: Some("web".into()), ..Project::default() },
            source: ProjectSource { kind: SourceType::NoSource, ..ProjectSource::default() },
            buildspec: Some(BuildspecChoice::Inline("version: 0.2\nphases: {}\n".into())),
            image: Some("image".into()),
            cache_dir: self.home.path().join("cache"),
            ..BuildRequest::default()
        }
    }
}

#[tokio::test]
async fn a_build_that_waits_too_long_times_out_in_the_queue() {
    let bench = Bench::new();
    let full = bench.supervisor.clone().with_slots(0);
    let mut request = bench.request();
    request.project.queued_timeout_in_minutes = Some(0);
    let build = full.start(request).unwrap().outcome.await.unwrap().unwrap().build;
    assert_eq!(build.build_status, Status::TimedOut);
    let phases: Vec<_> = build.phases.iter().map(|phase| (phase.phase_type, phase.phase_status)).collect();
    assert_eq!(
        phases[1..],
        [(PhaseType::Queued, Some(Status::TimedOut)), (PhaseType::Completed, None)],
        "nothing of it ran"
    );
}

#[tokio::test]
async fn only_so_many_builds_wait() {
    let bench = Bench::new();
    let dispatcher = Dispatcher::new(&bench.supervisor, 1);
    let ids: Vec<_> = (0..6).map(|_| dispatcher.start(bench.request()).unwrap()).collect();
    assert!(matches!(dispatcher.start(bench.request()), Err(Refusal::QueueFull(5))));
    dispatcher.stop(&ids[5]).unwrap();
    let mut limited = bench.request();
    limited.project.concurrent_build_limit = Some(2);
    assert!(matches!(dispatcher.start(limited), Err(Refusal::ProjectLimit(2))));
    dispatcher.close();
    assert!(matches!(dispatcher.start(bench.request()), Err(Refusal::Ending)));
    dispatcher.stop_all();
    dispatcher.idle().await;
    for id in ids {
        let build = bench.journal.build(id.as_str()).unwrap().unwrap().build;
        assert_eq!(build.build_status, Status::Stopped, "{build:?}");
    }
}

#[tokio::test]
async fn a_token_means_one_build() {
    let bench = Bench::new();
    let dispatcher = Dispatcher::new(&bench.supervisor, 1);
    let ask = || BuildRequest { idempotency_token: Some("t".into()), ..bench.request() };
    let first = dispatcher.start(ask()).unwrap();
    assert_eq!(dispatcher.start(ask()).unwrap(), first);
    let other = BuildRequest { debug_session: true, ..ask() };
    assert!(matches!(dispatcher.start(other), Err(Refusal::TokenReused)));
    assert_ne!(dispatcher.start(bench.request()).unwrap(), first);
    dispatcher.stop_all();
    dispatcher.idle().await;
}

#[test]
fn an_order_to_stop_outlives_the_process_that_was_told() {
    let bench = Bench::new();
    // Nothing runs after what it waits for, so that nobody is left to carry out the order.
    let process = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ids = process.block_on(async {
        let dispatcher = Dispatcher::new(&bench.supervisor, 1);
        let ids = [(); 2].map(|()| dispatcher.start(bench.request()).unwrap());
        let in_phase = |id: &BuildId| bench.journal.build(id.as_str()).unwrap().unwrap().build.current_phase;
        while in_phase(&ids[0]) != PhaseType::Provisioning || in_phase(&ids[1]) != PhaseType::Queued {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        dispatcher.stop(&ids[1]).unwrap();
        ids
    });
    process.shutdown_timeout(Duration::from_secs(30));
    let status = |id: &BuildId| bench.journal.build(id.as_str()).unwrap().unwrap().build.build_status;
    assert_eq!(ids.each_ref().map(status), [Status::InProgress; 2]);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let next = Dispatcher::new(&bench.supervisor, 1);
        assert_eq!(next.adopt(|_| true).unwrap(), 2);
        // Else it waits for a container that never comes.
        tokio::time::timeout(Duration::from_secs(30), next.idle()).await.unwrap();
    });
    assert_eq!(ids.each_ref().map(status), [Status::Fault, Status::Stopped]);
}
