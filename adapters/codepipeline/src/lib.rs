//! AWS CodePipeline as a host: the jobs of a custom action, built.
//!
//! A worker asks for jobs, writes down what it is about to do, does it, and tells the pipeline. Data goes one way: the
//! `api` reads jobs, `order` makes a request of one, `assignment` takes it to its end, `work`
//! is what runs meanwhile, `artifacts` carries files.

mod api;
mod artifacts;
mod assignment;
mod error;
mod order;
mod outcome;
mod registration;
mod store;
mod work;
mod worker;

pub use api::{ActionType, Api, Created};
pub use error::PipelineError;
pub use registration::Registration;
pub use store::{Place, Store};
pub use worker::{Desk, Notes, Worker};
