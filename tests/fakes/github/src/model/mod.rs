//! GitHub's state, as plain values, and what may happen to it. Nothing here knows HTTP.

mod blob;
mod cancellation;
mod checks;
mod contexts;
mod credentials;
mod delivery;
mod encryption;
mod github;
mod instance;
mod job;
mod lease;
mod planning;
mod queue;
mod refusal;
mod reporting;
mod repository;
mod run;
mod runner;
mod scope;
mod settings;
mod storage;

pub use blob::{Blob, BlobKind, Put};
pub use checks::{CheckRun, CommitStatus};
pub use credentials::{App, Identity, TokenKind};
pub use delivery::{Message, MessageKind};
pub use github::{Entry, GitHub};
pub use job::{
    Annotation, By, Completion, Conclusion, Job, JobLog, JobState, LiveLine, Moment, Output, Step,
    StepConclusion, StepStatus,
};
pub use lease::Finish;
pub use queue::TimelineRecord;
pub use refusal::Refused;
pub(crate) use reporting::LogKind;
pub use repository::{Files, Push, Repository, RepositoryError};
pub use run::Run;
pub use runner::{Label, PublicKey, Registration, Runner, RunnerGroup, Session};
pub use scope::Scope;
pub use settings::{Delivery, Settings};
pub use storage::{Artifact, CacheEntry};
