//! Steps in GitHub Actions' sense: what they are, what their expressions see, how a job stands between two of them.
//! All of it is pure; `supervisor::steps` asks the agent and the source of actions.

mod container;
mod contexts;
mod job;
mod manifest;
mod matcher;
mod record;
mod scene;
mod shell;
mod source;
mod uses;

pub use container::JobContainer;
pub(crate) use container::{Asked, hosts};
pub use contexts::{ActionArchive, Defaults, JobContexts};
pub(crate) use job::{ContainerRun, Job, JobStatus, Post, PostWork, Record, Records, Variables};
pub(crate) use manifest::{DockerAction, Manifest, NodeAction, Runs, read};
pub(crate) use matcher::Matchers;
pub use record::{StepRecord, steps_of};
pub(crate) use scene::{Fixed, Scene, condition, env_names, template};
pub(crate) use shell::{shell, words};
pub use source::{ActionError, ActionSource, Architecture, NoActions};
pub use uses::ActionRef;
pub(crate) use uses::Uses;
