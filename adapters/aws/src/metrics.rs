//! CodeBuild's metrics in CloudWatch, under a namespace of one's own: AWS keeps `AWS/` for itself.

mod usage;

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit, StatisticSet};
use jiff::Timestamp;
use runspan_engine::Event;
use runspan_engine::build::Build;
use runspan_engine::lifecycle::{BuildPhase, PhaseType, Status};
use runspan_engine::request::BuildRequest;
use runspan_engine::sinks::{Delivery, Sink, SinkError};

use crate::account::Account;
use crate::error::CallError;
use crate::permissions::PUT_METRIC_DATA;

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
        for data in data.chunks(MAX_DATA) {
            let put = self.account.metrics().await.put_metric_data().namespace(&self.namespace);
            put.set_metric_data(Some(data.to_vec())).send().await.map_err(|error| {
                SinkError(format!(
                    "{} (namespace {})",
                    CallError::of(&error, PUT_METRIC_DATA),
                    self.namespace
                ))
            })?;
        }
        Ok(())
    }
}

/// What is known of a build when it is over.
fn ended(build: &Build, time: Timestamp) -> Vec<MetricDatum> {
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

fn counted(name: &str, build: &Build, time: Timestamp) -> Vec<MetricDatum> {
    of_account_and_project(build, |dimensions| datum(name, StandardUnit::Count, dimensions, time, 1.0))
}

fn lasted(name: &str, build: &Build, time: Timestamp, seconds: f64) -> Vec<MetricDatum> {
    of_account_and_project(build, |dimensions| datum(name, StandardUnit::Seconds, dimensions, time, seconds))
}

/// Each figure once without dimensions, for all builds together, and once for its project.
fn of_account_and_project(build: &Build, make: impl Fn(Vec<Dimension>) -> MetricDatum) -> Vec<MetricDatum> {
    vec![make(Vec::new()), make(vec![dimension("ProjectName", &build.project_name)])]
}

fn dimension(name: &str, value: &str) -> Dimension {
    Dimension::builder().name(name).value(value).build()
}

fn datum(
    name: &str,
    unit: StandardUnit,
    dimensions: Vec<Dimension>,
    time: Timestamp,
    value: f64,
) -> MetricDatum {
    shape(name, unit, dimensions, time).value(value).build()
}

fn shape(
    name: &str,
    unit: StandardUnit,
    dimensions: Vec<Dimension>,
    time: Timestamp,
) -> aws_sdk_cloudwatch::types::builders::MetricDatumBuilder {
    MetricDatum::builder()
        .metric_name(name)
        .unit(unit)
        .set_dimensions(Some(dimensions))
        .timestamp(SystemTime::from(time).into())
}

fn statistics(values: &[f64]) -> StatisticSet {
    #[expect(clippy::cast_precision_loss, reason = "a minute has few samples")]
    let count = values.len() as f64;
    StatisticSet::builder()
        .sample_count(count)
        .sum(values.iter().sum())
        .minimum(values.iter().copied().fold(f64::INFINITY, f64::min))
        .maximum(values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
        .build()
}
