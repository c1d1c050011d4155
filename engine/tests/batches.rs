//! Batches that a process left behind, before anything of them could run.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bare;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use runspan_engine::batch::{BatchOutcome, SUPERVISOR_LOST};
use runspan_engine::journal::Journal;
use runspan_engine::lifecycle::Status;
use runspan_engine::project::{Project, ProjectSource, SourceType};
use runspan_engine::request::{BuildRequest, BuildspecChoice};
use runspan_engine::{EngineError, Home, Supervisor};
use tokio::runtime::Runtime;

use bare::Bare;

const CHAIN: &str = "
version: 0.2
batch:
  fast-fail: true
  build-graph:
    - identifier: one
    - identifier: two
      depend-on: [one]
    - identifier: three
      depend-on: [one]
phases: {}
";

/// A process, which ends without a word when it is dropped.
struct Process {
    runtime: Runtime,
    journal: Arc<Journal>,
    supervisor: Supervisor,
}

impl Process {
    fn new(home: &Path, waits: bool) -> Self {
        let journal = Arc::new(Journal::open(&Home::open(home).unwrap()).unwrap());
        let executor = Arc::new(Bare { waits });
        let supervisor =
            Supervisor::new(Arc::clone(&journal), executor, home.join("agent"), "us-east-1".into());
        Self { runtime: Runtime::new().unwrap(), journal, supervisor }
    }

    /// Begins a batch and dies as its first build waits for a container; the batch.
    fn dies_in_a_batch(self) -> String {
        let Self { runtime, journal, supervisor } = self;
        let request = BuildRequest {
            project: Project { name: Some("web".into()), ..Project::default() },
            source: ProjectSource { kind: SourceType::NoSource, ..ProjectSource::default() },
            buildspec: Some(BuildspecChoice::Inline(CHAIN.into())),
            image: Some("image".into()),
            cache_dir: journal.home().cache(),
            ..BuildRequest::default()
        };
        let batch = runtime.block_on(async {
            let batch = supervisor.open_batch(request, 1, None).unwrap();
            let is_placed = |stored: &runspan_engine::journal::Stored| stored.buildspec.is_some();
            while !journal.unfinished().unwrap().iter().any(is_placed) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            batch.id.to_string()
        });
        runtime.shutdown_timeout(Duration::from_secs(30));
        batch
    }

    fn ends(&self, batch: &str) -> BatchOutcome {
        self.runtime.block_on(async {
            let handle = self.supervisor.resume_batch(batch, 1, &mut Vec::new()).unwrap();
            let taken = self.supervisor.resume_batch(batch, 1, &mut Vec::new());
            assert!(matches!(taken, Err(EngineError::Supervised(_))), "one process has it");
            handle.outcome.await.unwrap().unwrap()
        })
    }
}

#[test]
fn a_build_that_had_not_begun_is_begun_anew() {
    let home = tempfile::tempdir().unwrap();
    let batch = Process::new(home.path(), true).dies_in_a_batch();
    let next = Process::new(home.path(), false);
    let BatchOutcome { batch: ended, .. } = next.ends(&batch);
    assert_eq!((ended.complete, ended.build_batch_status), (true, Status::Failed), "{ended:?}");
    let builds: Vec<_> = next
        .journal
        .builds_of_batch(&ended.arn)
        .unwrap()
        .iter()
        .map(|id| next.journal.build(id.as_str()).unwrap().unwrap().build)
        .collect();
    let of: Vec<_> = builds.iter().map(|build| build.batch_identifier.as_deref().unwrap()).collect();
    let ends: Vec<_> = builds.iter().map(|build| build.build_status).collect();
    // The second one is told that there is no image, and the others wait for it in vain.
    assert_eq!((of, ends), (vec!["one", "one"], vec![Status::Fault, Status::Failed]));
    let summaries: Vec<_> = ended.build_groups.iter().map(|group| &group.current_build_summary).collect();
    assert_eq!(summaries[0].as_ref().unwrap().arn, builds[1].arn);
    assert!(summaries[1].is_none() && summaries[2].is_none(), "{summaries:?}");
    let again = next.runtime.block_on(async { next.supervisor.resume_batch(&batch, 1, &mut Vec::new()) });
    assert!(matches!(again, Err(EngineError::Complete(_))));
}

#[test]
fn a_batch_that_nobody_goes_on_with_is_closed() {
    let home = tempfile::tempdir().unwrap();
    let batch = Process::new(home.path(), true).dies_in_a_batch();
    let next = Process::new(home.path(), false);
    let lines = next.runtime.block_on(next.supervisor.sweep()).unwrap();
    assert!(lines.iter().any(|line| line.contains(&format!("closed batch {batch}"))), "{lines:?}");
    let closed = next.journal.find_batch(&batch).unwrap().unwrap();
    assert_eq!((closed.complete, closed.build_batch_status), (true, Status::Failed));
    let summary = closed.build_groups[0].current_build_summary.as_ref();
    assert_eq!(summary.unwrap().build_status, Status::Fault, "as its build is");
    let codes = closed.phases.iter().flat_map(|phase| &phase.contexts).map(|context| &*context.status_code);
    assert_eq!(codes.collect::<Vec<_>>(), [SUPERVISOR_LOST]);
}

#[test]
fn of_a_batch_that_is_to_stop_nothing_more_is_begun() {
    let home = tempfile::tempdir().unwrap();
    let batch = Process::new(home.path(), true).dies_in_a_batch();
    let next = Process::new(home.path(), false);
    let uuid = batch.rsplit(':').next().unwrap();
    next.journal.home().batch_stop_order(uuid).give().unwrap();
    let ended = next.ends(&batch).batch;
    assert_eq!((ended.complete, ended.build_batch_status), (true, Status::Stopped), "{ended:?}");
    assert_eq!(next.journal.builds_of_batch(&ended.arn).unwrap().len(), 1, "the one before");
}
