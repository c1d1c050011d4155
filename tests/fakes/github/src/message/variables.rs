//! The variables of a job message.

use serde_json::{Map, Value as Json, json};

use super::job::JobOrder;

/// Feature flags that every job gets.
const FLAGS: &[(&str, &str)] = &[
    ("Actions.EnableHttpRedirects", "true"),
    ("DistributedTask.AddWarningToNode12Action", "true"),
    ("DistributedTask.AddWarningToNode16Action", "true"),
    ("DistributedTask.AllowRunnerContainerHooks", "true"),
    ("DistributedTask.DeprecateStepOutputCommands", "true"),
    ("DistributedTask.DetailUntarFailure", "true"),
    ("DistributedTask.EnableCompositeActions", "true"),
    ("DistributedTask.EnableJobServerQueueTelemetry", "true"),
    ("DistributedTask.EnhancedAnnotations", "true"),
    ("DistributedTask.ForceGithubJavascriptActionsToNode16", "true"),
    ("DistributedTask.ForceGithubJavascriptActionsToNode20", "true"),
    ("DistributedTask.LogTemplateErrorsAsDebugMessages", "true"),
    ("DistributedTask.MarkJobAsFailedOnWorkerCrash", "true"),
    ("DistributedTask.NewActionMetadata", "true"),
    ("DistributedTask.UploadStepSummary", "true"),
    ("DistributedTask.UseActionArchiveCache", "true"),
    ("DistributedTask.UseWhich2", "true"),
    ("RunService.FixEmbeddedIssues", "true"),
    ("actions.runner.requirenode24", "false"),
    ("actions.runner.usenode24bydefault", "true"),
    ("actions.runner.warnonnode20", "true"),
    ("actions_add_check_run_id_to_job_context", "true"),
    ("actions_batch_action_resolution", "false"),
    ("actions_container_action_runner_temp", "true"),
    ("actions_display_helpful_actions_download_errors", "true"),
    ("actions_runner_allow_artifacts_file", "false"),
    ("actions_runner_compare_workflow_parser", "false"),
    ("actions_runner_deprecate_linux_arm32", "true"),
    ("actions_runner_emit_composite_markers", "false"),
    ("actions_runner_kill_linux_arm32", "false"),
    ("actions_runner_node20_removal_date", ""),
    ("actions_runner_node24_default_date", "June 16th, 2026"),
    ("actions_self_repository", "true"),
    ("actions_service_container_command", "true"),
    ("actions_set_orchestration_id_env_for_actions", "true"),
    ("actions_skip_retry_complete_job_upon_known_errors", "true"),
    ("actions_use_bearer_token_for_codeload", "false"),
    ("actions_uses_cache_service_v2", "true"),
    ("system.culture", "en-US"),
    ("system.from_run_service", "true"),
    ("system.runner.lowdiskspacethreshold", "100"),
    ("system.runnerEnvironment", "self-hosted"),
];

pub(super) fn variables(order: &JobOrder<'_>) -> Json {
    let mut all = Map::new();
    for (name, value) in FLAGS {
        all.insert((*name).to_owned(), json!({"value": value}));
    }
    let permissions: Map<String, Json> =
        order.permissions.iter().map(|(scope, access)| (scope.clone(), json!(access))).collect();
    for (name, value) in [
        ("system.github.job", order.job.id.clone()),
        ("system.github.results_endpoint", order.addresses.results.clone()),
        ("system.github.results_upload_with_sdk", "true".to_owned()),
        ("system.github.launch_endpoint", order.addresses.launch.clone()),
        ("system.github.token.permissions", Json::Object(permissions).to_string()),
        ("system.orchestrationId", format!("{}.{}.{}", order.plan, order.job.id, order.matrix_key)),
        ("system.phaseDisplayName", order.display_name.to_owned()),
        ("system.runnerGroupName", order.runner_group.to_owned()),
    ] {
        all.insert(name.to_owned(), json!({"value": value}));
    }
    for name in ["system.github.token", "github_token"] {
        all.insert(name.to_owned(), json!({"value": order.token, "isSecret": true}));
    }
    for (name, value) in order.secrets {
        all.insert(name.clone(), json!({"value": value, "isSecret": true}));
    }
    Json::Object(all)
}
