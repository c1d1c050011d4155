//! CodeBuild's metrics in CloudWatch, under a namespace of one's own: AWS keeps `AWS/` for itself.

mod usage;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use runspan_engine::Event;
use runspan_engine::build::Build;
use runspan_engine::lifecycle::{BuildPhase, PhaseType, Status};
use runspan_engine::request::BuildRequest;
use runspan_engine::sinks::{Delivery, Sink, SinkError};
use serde_json::{Value, json};

use crate::account::Account;
use crate::permissions::PUT_METRIC_DATA;
use crate::signed::Service;

/// A figure that is counted twice is worse than one that comes later.
pub(crate) const METRICS: Service =
    Service::new("CloudWatch", "monitoring", "GraniteServiceVersion20100801").json_1_0().once();

/// One request takes no more.
const MAX_DATA: usize = 1000;

/// Follows builds and counts them.
#[derive(Debug)]
pub struct CloudWatchMetrics {
    account: Arc<Account>,
    namespace: String,
}

impl CloudWatchMetrics {
    /// Of this account, under this namespace.
    pub fn new(account: Arc<Account>, namespace: impl Into<String>) -> Self {
        Self { account, namespace: namespace.into() }
    }
}

#[async_trait]
impl Sink for CloudWatchMetrics {
    fn name(&self) -> &'static str {
        "cloudwatch-metrics"
    }

    fn wants(&self, _: &BuildRequest) -> bool {
        true
    }

    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<(), SinkError> {
        let mut data = Vec::new();
        for event in &delivery.page.events {
            match &event.event {
                Event::Submitted { build } => data.extend(counted("Builds", build, event.time)),
                Event::Build { build } => {
                    data.extend(ended(build, event.time));
                    data.extend(usage::usage(delivery, build)?);
                }
                _ => {}
            }
        }
        let mut taken = Vec::new();
        // What a try that failed has sent was full, so that a page that has grown has the same parts.
        for (part, data) in (0..).zip(data.chunks(MAX_DATA)) {
            if delivery.taken.contains(&part) {
                continue;
            }
            let put = json!({ "Namespace": self.namespace, "MetricData": data });
            if let Err(error) = self.account.json(METRICS, PUT_METRIC_DATA, &put).await {
                let error = SinkError::new(format!("{error} (namespace {})", self.namespace));
                return Err(error.but_for(taken));
            }
            taken.push(part);
        }
        Ok(())
    }
}

/// What is known of a build when it is over.
fn ended(build: &Build, time: Timestamp) -> Vec<Value> {
    let mut data = match build.build_status {
        Status::Succeeded => counted("SucceededBuilds", build, time),
        Status::Failed | Status::TimedOut => counted("FailedBuilds", build, time),
        Status::Fault | Status::Stopped | Status::InProgress => Vec::new(),
    };
    let end = build.end_time.unwrap_or(time);
    data.extend(lasted("Duration", build, end, seconds(build.start_time, end)));
    for phase in &build.phases {
        if let (Some(name), BuildPhase { start_time, end_time: Some(end), .. }) =
            (metric(phase.phase_type), phase)
        {
            data.extend(lasted(name, build, *end, seconds(*start_time, *end)));
        }
    }
    data
}

const fn metric(phase: PhaseType) -> Option<&'static str> {
    Some(match phase {
        PhaseType::Submitted => "SubmittedDuration",
        PhaseType::Queued => "QueuedDuration",
        PhaseType::Provisioning => "ProvisioningDuration",
        PhaseType::DownloadSource => "DownloadSourceDuration",
        PhaseType::Install => "InstallDuration",
        PhaseType::PreBuild => "PreBuildDuration",
        PhaseType::Build => "BuildDuration",
        PhaseType::PostBuild => "PostBuildDuration",
        PhaseType::UploadArtifacts => "UploadArtifactsDuration",
        PhaseType::Finalizing => "FinalizingDuration",
        PhaseType::Completed => return None,
    })
}

fn seconds(start: Timestamp, end: Timestamp) -> f64 {
    end.duration_since(start).as_secs_f64().max(0.0)
}

fn counted(name: &str, build: &Build, time: Timestamp) -> Vec<Value> {
    of_account_and_project(build, |dimensions| datum(name, "Count", dimensions, time, 1.0))
}

fn lasted(name: &str, build: &Build, time: Timestamp, seconds: f64) -> Vec<Value> {
    of_account_and_project(build, |dimensions| datum(name, "Seconds", dimensions, time, seconds))
}

/// Each figure once without dimensions, for all builds together, and once for its project.
fn of_account_and_project(build: &Build, make: impl Fn(Vec<Value>) -> Value) -> Vec<Value> {
    vec![make(Vec::new()), make(vec![dimension("ProjectName", &build.project_name)])]
}

fn dimension(name: &str, value: &str) -> Value {
    json!({ "Name": name, "Value": value })
}

fn datum(name: &str, unit: &str, dimensions: Vec<Value>, time: Timestamp, value: f64) -> Value {
    let mut datum = shape(name, unit, dimensions, time);
    datum["Value"] = value.into();
    datum
}

fn shape(name: &str, unit: &str, dimensions: Vec<Value>, time: Timestamp) -> Value {
    json!({ "MetricName": name, "Unit": unit, "Dimensions": dimensions, "Timestamp": time.as_second() })
}

fn statistics(values: &[f64]) -> Value {
    json!({
        "SampleCount": values.len(),
        "Sum": values.iter().sum::<f64>(),
        "Minimum": values.iter().copied().fold(f64::INFINITY, f64::min),
        "Maximum": values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    })
}
