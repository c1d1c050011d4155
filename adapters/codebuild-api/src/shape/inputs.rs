//! What each operation takes.

use super::Member;
use super::Shape::{Integer, List, OneOf, Structure, Text};
use super::structures::*;

/// The input of one of CodeBuild's operations; `None` for one that is not here.
pub(crate) fn codebuild(operation: &str) -> Option<&'static [Member]> {
    Some(match operation {
        "CreateProject" => CREATE_PROJECT,
        "UpdateProject" => UPDATE_PROJECT,
        "DeleteProject" => &[must!("name", &NAMED)],
        "BatchGetProjects" => &[must!("names", &WANTED)],
        "ListProjects" => LIST_PROJECTS,
        "UpdateProjectVisibility" => UPDATE_VISIBILITY,
        "PutResourcePolicy" => &[must!("policy", &NAMED), must!("resourceArn", &NAMED)],
        "GetResourcePolicy" | "DeleteResourcePolicy" => &[must!("resourceArn", &NAMED)],
        "ListFleets" => LIST_FLEETS,
        "BatchGetFleets" => &[must!("names", &WANTED)],
        "ListSandboxes" => {
            &[may!("maxResults", &PAGE_SIZE), may!("sortOrder", &ORDER), may!("nextToken", &TEXT)]
        }
        "ListSandboxesForProject" => LIST_SANDBOXES_FOR_PROJECT,
        "BatchGetSandboxes" => &[must!("ids", &List { of: &NAMED, min: 0, max: usize::MAX })],
        "InvalidateProjectCache" => &[must!("projectName", &NAMED)],
        "StartBuild" => START_BUILD,
        "RetryBuild" => &[may!("id", &NAMED), may!("idempotencyToken", &TEXT)],
        "StopBuild" | "StopBuildBatch" | "DeleteBuildBatch" => &[must!("id", &NAMED)],
        "BatchGetBuilds" | "BatchDeleteBuilds" => &[must!("ids", &WANTED)],
        "ListBuilds" => &[may!("sortOrder", &ORDER), may!("nextToken", &TEXT)],
        "ListBuildsForProject" => {
            &[must!("projectName", &NAMED), may!("sortOrder", &ORDER), may!("nextToken", &TEXT)]
        }
        "StartBuildBatch" => START_BUILD_BATCH,
        "RetryBuildBatch" => RETRY_BUILD_BATCH,
        "BatchGetBuildBatches" => &[must!("ids", &WANTED_BATCHES)],
        "ListBuildBatches" => LIST_BATCHES,
        "ListBuildBatchesForProject" => LIST_BATCHES_FOR_PROJECT,
        "ListReports" => LIST_REPORTS,
        "ListReportGroups" => LIST_REPORT_GROUPS,
        "ListReportsForReportGroup" => LIST_REPORTS_FOR_GROUP,
        "DeleteReport" => &[must!("arn", &NAMED)],
        "GetReportGroupTrend" => GET_TREND,
        "CreateReportGroup" => CREATE_REPORT_GROUP,
        "UpdateReportGroup" => {
            &[must!("arn", &NAMED), may!("exportConfig", &REPORT_EXPORT), may!("tags", &TAGS)]
        }
        "DeleteReportGroup" => &[must!("arn", &NAMED), may!("deleteReports", &FLAG)],
        "ListSharedProjects" => LIST_SHARED_PROJECTS,
        "ListSharedReportGroups" => LIST_SHARED_GROUPS,
        "BatchGetReports" => &[must!("reportArns", &WANTED)],
        "BatchGetReportGroups" => &[must!("reportGroupArns", &WANTED)],
        "DescribeTestCases" => DESCRIBE_TEST_CASES,
        "DescribeCodeCoverages" => DESCRIBE_CODE_COVERAGES,
        "ImportSourceCredentials" => IMPORT_CREDENTIALS,
        "ListSourceCredentials" | "ListCuratedEnvironmentImages" => &[],
        "DeleteSourceCredentials" => &[must!("arn", &NAMED)],
        "CreateWebhook" => CREATE_WEBHOOK,
        "UpdateWebhook" => UPDATE_WEBHOOK,
        "DeleteWebhook" => &[must!("projectName", &NAME)],
        _ => return None,
    })
}

/// The input of one of CloudWatch Logs' operations; `None` for one that is not here.
pub(crate) fn logs(operation: &str) -> Option<&'static [Member]> {
    Some(match operation {
        "GetLogEvents" => GET_LOG_EVENTS,
        "FilterLogEvents" => FILTER_LOG_EVENTS,
        "DescribeLogStreams" => DESCRIBE_LOG_STREAMS,
        _ => return None,
    })
}

const CREATE_PROJECT: &[Member] = &[
    must!("name", &NAME),
    may!("description", &DESCRIPTION),
    must!("source", &SOURCE),
    may!("secondarySources", &SOURCES),
    may!("sourceVersion", &TEXT),
    may!("secondarySourceVersions", &SOURCE_VERSIONS),
    must!("artifacts", &ARTIFACTS),
    may!("secondaryArtifacts", &ARTIFACTS_LIST),
    may!("cache", &CACHE),
    must!("environment", &ENVIRONMENT),
    must!("serviceRole", &NAMED),
    may!("timeoutInMinutes", &TIMEOUT),
    may!("queuedTimeoutInMinutes", &QUEUED_TIMEOUT),
    may!("encryptionKey", &NAMED),
    may!("tags", &TAGS),
    may!("vpcConfig", &VPC),
    may!("badgeEnabled", &FLAG),
    may!("logsConfig", &LOGS_CONFIG),
    may!("fileSystemLocations", &FILE_SYSTEMS),
    may!("buildBatchConfig", &BATCH_CONFIG),
    may!("concurrentBuildLimit", &NUMBER),
    may!("autoRetryLimit", &COUNT),
];

const UPDATE_PROJECT: &[Member] = &[
    must!("name", &NAMED),
    may!("description", &DESCRIPTION),
    may!("source", &SOURCE),
    may!("secondarySources", &SOURCES),
    may!("sourceVersion", &TEXT),
    may!("secondarySourceVersions", &SOURCE_VERSIONS),
    may!("artifacts", &ARTIFACTS),
    may!("secondaryArtifacts", &ARTIFACTS_LIST),
    may!("cache", &CACHE),
    may!("environment", &ENVIRONMENT),
    may!("serviceRole", &NAMED),
    may!("timeoutInMinutes", &TIMEOUT),
    may!("queuedTimeoutInMinutes", &QUEUED_TIMEOUT),
    may!("encryptionKey", &NAMED),
    may!("tags", &TAGS),
    may!("vpcConfig", &VPC),
    may!("badgeEnabled", &FLAG),
    may!("logsConfig", &LOGS_CONFIG),
    may!("fileSystemLocations", &FILE_SYSTEMS),
    may!("buildBatchConfig", &BATCH_CONFIG),
    may!("concurrentBuildLimit", &NUMBER),
    may!("autoRetryLimit", &COUNT),
];

const LIST_PROJECTS: &[Member] = &[
    may!("sortBy", &OneOf(&["NAME", "CREATED_TIME", "LAST_MODIFIED_TIME"])),
    may!("sortOrder", &ORDER),
    may!("nextToken", &NAMED),
];

const START_BUILD: &[Member] = &[
    must!("projectName", &NAMED),
    may!("secondarySourcesOverride", &SOURCES),
    may!("secondarySourcesVersionOverride", &SOURCE_VERSIONS),
    may!("sourceVersion", &TEXT),
    may!("artifactsOverride", &ARTIFACTS),
    may!("secondaryArtifactsOverride", &ARTIFACTS_LIST),
    may!("environmentVariablesOverride", &VARIABLES),
    may!("sourceTypeOverride", &SOURCE_TYPE),
    may!("sourceLocationOverride", &TEXT),
    may!("sourceAuthOverride", &AUTH),
    may!("gitCloneDepthOverride", &COUNT),
    may!("gitSubmodulesConfigOverride", &SUBMODULES),
    may!("buildspecOverride", &TEXT),
    may!("insecureSslOverride", &FLAG),
    may!("reportBuildStatusOverride", &FLAG),
    may!("buildStatusConfigOverride", &STATUS_CONFIG),
    may!("environmentTypeOverride", &ENVIRONMENT_TYPE),
    may!("imageOverride", &NAMED),
    may!("computeTypeOverride", &COMPUTE_TYPE),
    may!("certificateOverride", &TEXT),
    may!("cacheOverride", &CACHE),
    may!("serviceRoleOverride", &NAMED),
    may!("privilegedModeOverride", &FLAG),
    may!("timeoutInMinutesOverride", &TIMEOUT),
    may!("queuedTimeoutInMinutesOverride", &QUEUED_TIMEOUT),
    may!("encryptionKeyOverride", &NAMED),
    may!("idempotencyToken", &TEXT),
    may!("logsConfigOverride", &LOGS_CONFIG),
    may!("registryCredentialOverride", &REGISTRY_CREDENTIAL),
    may!("imagePullCredentialsTypeOverride", &PULL_CREDENTIALS),
    may!("debugSessionEnabled", &FLAG),
    may!("fleetOverride", &FLEET),
    may!("autoRetryLimitOverride", &COUNT),
    may!("hostKernelOverride", &HOST_KERNEL),
];

const START_BUILD_BATCH: &[Member] = &[
    must!("projectName", &NAMED),
    may!("secondarySourcesOverride", &SOURCES),
    may!("secondarySourcesVersionOverride", &SOURCE_VERSIONS),
    may!("sourceVersion", &TEXT),
    may!("artifactsOverride", &ARTIFACTS),
    may!("secondaryArtifactsOverride", &ARTIFACTS_LIST),
    may!("environmentVariablesOverride", &VARIABLES),
    may!("sourceTypeOverride", &SOURCE_TYPE),
    may!("sourceLocationOverride", &TEXT),
    may!("sourceAuthOverride", &AUTH),
    may!("gitCloneDepthOverride", &COUNT),
    may!("gitSubmodulesConfigOverride", &SUBMODULES),
    may!("buildspecOverride", &TEXT),
    may!("insecureSslOverride", &FLAG),
    may!("reportBuildBatchStatusOverride", &FLAG),
    may!("environmentTypeOverride", &ENVIRONMENT_TYPE),
    may!("imageOverride", &NAMED),
    may!("computeTypeOverride", &COMPUTE_TYPE),
    may!("certificateOverride", &TEXT),
    may!("cacheOverride", &CACHE),
    may!("serviceRoleOverride", &NAMED),
    may!("privilegedModeOverride", &FLAG),
    may!("buildTimeoutInMinutesOverride", &TIMEOUT),
    may!("queuedTimeoutInMinutesOverride", &QUEUED_TIMEOUT),
    may!("encryptionKeyOverride", &NAMED),
    may!("idempotencyToken", &TEXT),
    may!("logsConfigOverride", &LOGS_CONFIG),
    may!("registryCredentialOverride", &REGISTRY_CREDENTIAL),
    may!("imagePullCredentialsTypeOverride", &PULL_CREDENTIALS),
    may!("buildBatchConfigOverride", &BATCH_CONFIG),
    may!("debugSessionEnabled", &FLAG),
];

const RETRY_BUILD_BATCH: &[Member] = &[
    may!("id", &NAMED),
    may!("idempotencyToken", &TEXT),
    may!("retryType", &OneOf(&["RETRY_ALL_BUILDS", "RETRY_FAILED_BUILDS"])),
];

const LIST_BATCHES: &[Member] = &[
    may!("filter", &Structure(&[may!("status", &STATUS)])),
    may!("maxResults", &PAGE_SIZE),
    may!("sortOrder", &ORDER),
    may!("nextToken", &TEXT),
];

const LIST_BATCHES_FOR_PROJECT: &[Member] = &[
    may!("projectName", &NAMED),
    may!("filter", &Structure(&[may!("status", &STATUS)])),
    may!("maxResults", &PAGE_SIZE),
    may!("sortOrder", &ORDER),
    may!("nextToken", &TEXT),
];

const LIST_REPORTS: &[Member] = &[
    may!("sortOrder", &ORDER),
    may!("nextToken", &TEXT),
    may!("maxResults", &PAGE_SIZE),
    may!("filter", &Structure(&[may!("status", &REPORT_STATUS)])),
];

const CREATE_REPORT_GROUP: &[Member] = &[
    must!("name", &Text { min: 2, max: 128 }),
    must!("type", &OneOf(&["TEST", "CODE_COVERAGE"])),
    must!("exportConfig", &REPORT_EXPORT),
    may!("tags", &TAGS),
];

const GET_TREND: &[Member] = &[
    must!("reportGroupArn", &NAMED),
    may!("numOfReports", &PAGE_SIZE),
    must!(
        "trendField",
        &OneOf(&[
            "PASS_RATE",
            "DURATION",
            "TOTAL",
            "LINE_COVERAGE",
            "LINES_COVERED",
            "LINES_MISSED",
            "BRANCH_COVERAGE",
            "BRANCHES_COVERED",
            "BRANCHES_MISSED",
        ]),
    ),
];

const LIST_SHARED_PROJECTS: &[Member] = &[
    may!("sortBy", &SHARED_BY),
    may!("sortOrder", &ORDER),
    may!("maxResults", &PAGE_SIZE),
    may!("nextToken", &NAMED),
];

const LIST_SHARED_GROUPS: &[Member] = &[
    may!("sortOrder", &ORDER),
    may!("sortBy", &SHARED_BY),
    may!("nextToken", &TEXT),
    may!("maxResults", &PAGE_SIZE),
];

const UPDATE_VISIBILITY: &[Member] = &[
    must!("projectArn", &NAMED),
    must!("projectVisibility", &OneOf(&["PUBLIC_READ", "PRIVATE"])),
    may!("resourceAccessRole", &NAMED),
];

const LIST_FLEETS: &[Member] = &[
    may!("nextToken", &TEXT),
    may!("maxResults", &PAGE_SIZE),
    may!("sortOrder", &ORDER),
    may!("sortBy", &OneOf(&["NAME", "CREATED_TIME", "LAST_MODIFIED_TIME"])),
];

const LIST_SANDBOXES_FOR_PROJECT: &[Member] = &[
    must!("projectName", &NAMED),
    may!("maxResults", &PAGE_SIZE),
    may!("sortOrder", &ORDER),
    may!("nextToken", &TEXT),
];

const LIST_REPORT_GROUPS: &[Member] = &[
    may!("sortOrder", &ORDER),
    may!("sortBy", &OneOf(&["NAME", "CREATED_TIME", "LAST_MODIFIED_TIME"])),
    may!("nextToken", &TEXT),
    may!("maxResults", &PAGE_SIZE),
];

const LIST_REPORTS_FOR_GROUP: &[Member] = &[
    must!("reportGroupArn", &TEXT),
    may!("nextToken", &TEXT),
    may!("sortOrder", &ORDER),
    may!("maxResults", &PAGE_SIZE),
    may!("filter", &Structure(&[may!("status", &REPORT_STATUS)])),
];

const DESCRIBE_TEST_CASES: &[Member] = &[
    must!("reportArn", &TEXT),
    may!("nextToken", &TEXT),
    may!("maxResults", &PAGE_SIZE),
    may!("filter", &Structure(&[may!("status", &TEXT), may!("keyword", &TEXT)])),
];

const DESCRIBE_CODE_COVERAGES: &[Member] = &[
    must!("reportArn", &NAMED),
    may!("nextToken", &TEXT),
    may!("maxResults", &PAGE_SIZE),
    may!("sortOrder", &ORDER),
    may!("sortBy", &OneOf(&["LINE_COVERAGE_PERCENTAGE", "FILE_PATH"])),
    may!("minLineCoveragePercentage", &PERCENTAGE),
    may!("maxLineCoveragePercentage", &PERCENTAGE),
];

const IMPORT_CREDENTIALS: &[Member] = &[
    may!("username", &NAMED),
    must!("token", &NAMED),
    must!("serverType", &SERVER_TYPE),
    must!("authType", &AUTH_TYPE),
    may!("shouldOverwrite", &FLAG),
];

const CREATE_WEBHOOK: &[Member] = &[
    must!("projectName", &NAME),
    may!("branchFilter", &TEXT),
    may!("filterGroups", &FILTER_GROUPS),
    may!("buildType", &HOOK_BUILD_TYPE),
    may!("manualCreation", &FLAG),
    may!("scopeConfiguration", &SCOPE),
    may!("pullRequestBuildPolicy", &PULL_REQUEST_POLICY),
];

const UPDATE_WEBHOOK: &[Member] = &[
    must!("projectName", &NAME),
    may!("branchFilter", &TEXT),
    may!("rotateSecret", &FLAG),
    may!("filterGroups", &FILTER_GROUPS),
    may!("buildType", &HOOK_BUILD_TYPE),
    may!("pullRequestBuildPolicy", &PULL_REQUEST_POLICY),
];

const GET_LOG_EVENTS: &[Member] = &[
    may!("logGroupName", &Text { min: 1, max: 512 }),
    may!("logGroupIdentifier", &Text { min: 1, max: 2048 }),
    must!("logStreamName", &Text { min: 1, max: 512 }),
    may!("startTime", &COUNT),
    may!("endTime", &COUNT),
    may!("nextToken", &NAMED),
    may!("limit", &Integer { min: 1, max: 10_000 }),
    may!("startFromHead", &FLAG),
    may!("unmask", &FLAG),
];

const FILTER_LOG_EVENTS: &[Member] = &[
    may!("logGroupName", &Text { min: 1, max: 512 }),
    may!("logGroupIdentifier", &Text { min: 1, max: 2048 }),
    may!("logStreamNames", &List { of: &NAMED, min: 1, max: 100 }),
    may!("logStreamNamePrefix", &NAMED),
    may!("startTime", &COUNT),
    may!("endTime", &COUNT),
    may!("filterPattern", &Text { min: 0, max: 1024 }),
    may!("nextToken", &NAMED),
    may!("limit", &Integer { min: 1, max: 10_000 }),
    may!("interleaved", &FLAG),
    may!("unmask", &FLAG),
];

const DESCRIBE_LOG_STREAMS: &[Member] = &[
    may!("logGroupName", &Text { min: 1, max: 512 }),
    may!("logGroupIdentifier", &Text { min: 1, max: 2048 }),
    may!("logStreamNamePrefix", &NAMED),
    may!("orderBy", &OneOf(&["LogStreamName", "LastEventTime"])),
    may!("descending", &FLAG),
    may!("nextToken", &NAMED),
    may!("limit", &Integer { min: 1, max: 50 }),
];
