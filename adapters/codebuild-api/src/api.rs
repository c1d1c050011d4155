//! The service behind the protocol.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use runspan_engine::journal::Journal;
use runspan_engine::{Dispatcher, RootFs};
use serde_json::{Map, Value, json};

use crate::credentials::SourceCredentials;
use crate::error::ApiError;
use crate::keys::ApiKeys;
use crate::operations::{Input, absent};
use crate::protocol::{Service, unknown};
use crate::shape;

/// What the initiator of a build begins with that was asked for here; the name of the key follows.
pub const INITIATOR: &str = "api/";

/// What operations begin with that change a record.
const CHANGES: [&str; 4] = ["Create", "Update", "Put", "Delete"];

/// What the operator of this machine gives builds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The region of all ARNs.
    pub region: String,
    /// The one image that may be a root of this machine, if it is one.
    pub image: Option<String>,
    /// Whether builds may have every right over this machine.
    pub privileged: bool,
    /// Whether builds may use this machine's network where they cannot have one of their own.
    pub host_network: bool,
    /// Where caches live.
    pub cache_dir: PathBuf,
}

/// CodeBuild's API over a journal and whoever begins builds.
pub struct Api {
    pub(crate) journal: Arc<Journal>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) settings: Settings,
    pub(crate) keys: ApiKeys,
    pub(crate) credentials: SourceCredentials,
    /// Held while a record is read, changed and written.
    changing: Mutex<()>,
}

impl Api {
    /// Over this state.
    pub fn new(
        journal: Arc<Journal>,
        dispatcher: Arc<Dispatcher>,
        keys: ApiKeys,
        credentials: SourceCredentials,
        settings: Settings,
    ) -> Self {
        Self { journal, dispatcher, settings, keys, credentials, changing: Mutex::default() }
    }

    pub(crate) fn arn(&self, resource: &str) -> String {
        let account = runspan_engine::build::LOCAL_ACCOUNT;
        format!("arn:aws:codebuild:{}:{account}:{resource}", self.settings.region)
    }

    /// Whether a build may have this image, if it is a root of this machine.
    pub(crate) fn grants_root(&self, image: &str) -> bool {
        self.settings.image.as_deref() == Some(image) && RootFs::named(image).is_local()
    }

    pub(crate) fn answer(
        &self,
        caller: &str,
        service: Service,
        operation: &str,
        input: Map<String, Value>,
    ) -> Result<Value, ApiError> {
        if let (Service::CodeBuild, Some(reason)) = (service, absent::reason(operation)) {
            return Err(ApiError::invalid(format!("{operation}: {reason}")));
        }
        let members = match service {
            Service::CodeBuild => shape::codebuild(operation),
            Service::Logs => shape::logs(operation),
        };
        shape::check(&input, members.ok_or_else(|| unknown(operation))?)?;
        let input = Input(input);
        let _alone = CHANGES
            .iter()
            .any(|verb| operation.starts_with(verb))
            .then(|| self.changing.lock().unwrap_or_else(PoisonError::into_inner));
        match (service, operation) {
            (_, "CreateProject") => self.create_project(&input),
            (_, "UpdateProject") => self.update_project(&input),
            (_, "DeleteProject") => self.delete_project(&input),
            (_, "BatchGetProjects") => self.batch_get_projects(&input),
            (_, "ListProjects") => self.list_projects(&input),
            (_, "InvalidateProjectCache") => self.invalidate_project_cache(&input),
            (_, "UpdateProjectVisibility") => self.update_project_visibility(&input),
            (_, "StartBuild") => self.start_build(&input, caller),
            (_, "RetryBuild") => self.retry_build(&input, caller),
            (_, "StopBuild") => self.stop_build(&input),
            (_, "BatchGetBuilds") => self.batch_get_builds(&input),
            (_, "BatchDeleteBuilds") => self.batch_delete_builds(&input),
            (_, "ListBuilds") => self.list_builds(&input),
            (_, "ListBuildsForProject") => self.list_builds_for_project(&input),
            (_, "StartBuildBatch") => self.start_build_batch(&input, caller),
            (_, "RetryBuildBatch") => self.retry_build_batch(&input, caller),
            (_, "StopBuildBatch") => self.stop_build_batch(&input),
            (_, "DeleteBuildBatch") => self.delete_build_batch(&input),
            (_, "BatchGetBuildBatches") => self.batch_get_build_batches(&input),
            (_, "ListBuildBatches" | "ListBuildBatchesForProject") => self.list_build_batches(&input),
            (_, "ListReports" | "ListReportsForReportGroup") => self.list_reports(&input),
            (_, "DeleteReport") => self.delete_report(&input),
            (_, "GetReportGroupTrend") => self.get_report_group_trend(&input),
            (_, "CreateReportGroup") => self.create_report_group(&input),
            (_, "UpdateReportGroup") => self.update_report_group(&input),
            (_, "DeleteReportGroup") => self.delete_report_group(&input),
            (_, "ListReportGroups") => self.list_report_groups(&input),
            (_, "BatchGetReports") => self.batch_get_reports(&input),
            (_, "BatchGetReportGroups") => self.batch_get_report_groups(&input),
            (_, "DescribeTestCases") => self.describe_test_cases(&input),
            (_, "DescribeCodeCoverages") => self.describe_code_coverages(&input),
            (_, "ImportSourceCredentials") => self.import_source_credentials(&input),
            (_, "ListSourceCredentials") => self.list_source_credentials(),
            (_, "DeleteSourceCredentials") => self.delete_source_credentials(&input),
            (_, "CreateWebhook") => self.create_webhook(&input),
            (_, "UpdateWebhook") => self.update_webhook(&input),
            (_, "DeleteWebhook") => self.delete_webhook(&input),
            (_, "PutResourcePolicy") => self.put_resource_policy(&input),
            (_, "GetResourcePolicy") => self.get_resource_policy(&input),
            (_, "DeleteResourcePolicy") => self.delete_resource_policy(&input),
            (_, "ListCuratedEnvironmentImages") => Ok(Self::list_curated_environment_images()),
            // Here nobody shares anything with anybody.
            (_, "ListSharedProjects") => Ok(json!({ "projects": [] })),
            (_, "ListSharedReportGroups") => Ok(json!({ "reportGroups": [] })),
            (_, "ListFleets") => Ok(json!({ "fleets": [] })),
            (_, "BatchGetFleets") => Ok(Self::batch_get_fleets(&input)),
            (_, "ListSandboxes") => Ok(json!({ "ids": [] })),
            (_, "ListSandboxesForProject") => self.list_sandboxes_for_project(&input),
            (_, "BatchGetSandboxes") => Ok(Self::batch_get_sandboxes(&input)),
            (_, "GetLogEvents") => self.get_log_events(&input),
            (_, "FilterLogEvents") => self.filter_log_events(&input),
            (_, "DescribeLogStreams") => self.describe_log_streams(&input),
            (_, other) => Err(unknown(other)),
        }
    }
}
