//! The structures that several operations take.

use super::Member;
use super::Shape::{self, Boolean, Integer, List, Number, OneOf, ProjectName, Structure, TagText, Text};

/// Longer than anything that fits into a request.
const ANY: usize = usize::MAX;

pub(super) const TEXT: Shape = Text { min: 0, max: ANY };
pub(super) const NAMED: Shape = Text { min: 1, max: ANY };
pub(super) const NAME: Shape = ProjectName;
pub(super) const FLAG: Shape = Boolean;
pub(super) const NUMBER: Shape = Integer { min: i64::MIN, max: i64::MAX };
pub(super) const COUNT: Shape = Integer { min: 0, max: i64::MAX };
pub(super) const DESCRIPTION: Shape = Text { min: 0, max: 255 };
pub(super) const TIMEOUT: Shape = Integer { min: 5, max: 2160 };
pub(super) const QUEUED_TIMEOUT: Shape = Integer { min: 5, max: 480 };
pub(super) const PAGE_SIZE: Shape = Integer { min: 1, max: 100 };
pub(super) const PERCENTAGE: Shape = Number { min: 0.0, max: 100.0 };
/// Ids, names or ARNs of what is looked for.
pub(super) const WANTED: Shape = List { of: &NAMED, min: 1, max: 100 };
pub(super) const WANTED_BATCHES: Shape = List { of: &NAMED, min: 0, max: 100 };

pub(super) const ORDER: Shape = OneOf(&["ASCENDING", "DESCENDING"]);
pub(super) const STATUS: Shape =
    OneOf(&["SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "IN_PROGRESS", "STOPPED"]);
const SWITCH: Shape = OneOf(&["ENABLED", "DISABLED"]);
const OWNER_ACCESS: Shape = OneOf(&["NONE", "READ_ONLY", "FULL"]);
pub(super) const SOURCE_TYPE: Shape = OneOf(&[
    "CODECOMMIT",
    "CODEPIPELINE",
    "GITHUB",
    "GITLAB",
    "GITLAB_SELF_MANAGED",
    "S3",
    "BITBUCKET",
    "GITHUB_ENTERPRISE",
    "NO_SOURCE",
]);
const ARTIFACTS_TYPE: Shape = OneOf(&["CODEPIPELINE", "S3", "NO_ARTIFACTS"]);
pub(super) const ENVIRONMENT_TYPE: Shape = OneOf(&[
    "WINDOWS_CONTAINER",
    "LINUX_CONTAINER",
    "LINUX_GPU_CONTAINER",
    "ARM_CONTAINER",
    "WINDOWS_SERVER_2019_CONTAINER",
    "WINDOWS_SERVER_2022_CONTAINER",
    "LINUX_LAMBDA_CONTAINER",
    "ARM_LAMBDA_CONTAINER",
    "LINUX_EC2",
    "ARM_EC2",
    "WINDOWS_EC2",
    "MAC_ARM",
]);
pub(super) const COMPUTE_TYPE: Shape = OneOf(&[
    "BUILD_GENERAL1_SMALL",
    "BUILD_GENERAL1_MEDIUM",
    "BUILD_GENERAL1_LARGE",
    "BUILD_GENERAL1_XLARGE",
    "BUILD_GENERAL1_2XLARGE",
    "BUILD_LAMBDA_1GB",
    "BUILD_LAMBDA_2GB",
    "BUILD_LAMBDA_4GB",
    "BUILD_LAMBDA_8GB",
    "BUILD_LAMBDA_10GB",
    "ATTRIBUTE_BASED_COMPUTE",
    "CUSTOM_INSTANCE_TYPE",
]);
pub(super) const HOST_KERNEL: Shape = OneOf(&["LINUX_KERNEL_4", "LINUX_KERNEL_6", "LINUX_KERNEL_LATEST"]);
pub(super) const PULL_CREDENTIALS: Shape = OneOf(&["CODEBUILD", "SERVICE_ROLE"]);
pub(super) const SERVER_TYPE: Shape =
    OneOf(&["GITHUB", "BITBUCKET", "GITHUB_ENTERPRISE", "GITLAB", "GITLAB_SELF_MANAGED"]);
pub(super) const AUTH_TYPE: Shape =
    OneOf(&["OAUTH", "BASIC_AUTH", "PERSONAL_ACCESS_TOKEN", "CODECONNECTIONS", "SECRETS_MANAGER"]);

pub(super) const AUTH: Shape = Structure(&[
    must!("type", &OneOf(&["OAUTH", "CODECONNECTIONS", "SECRETS_MANAGER"])),
    may!("resource", &TEXT),
]);
pub(super) const SUBMODULES: Shape = Structure(&[must!("fetchSubmodules", &FLAG)]);
pub(super) const STATUS_CONFIG: Shape = Structure(&[may!("context", &TEXT), may!("targetUrl", &TEXT)]);
pub(super) const SOURCE: Shape = Structure(&[
    must!("type", &SOURCE_TYPE),
    may!("location", &TEXT),
    may!("gitCloneDepth", &COUNT),
    may!("gitSubmodulesConfig", &SUBMODULES),
    may!("buildspec", &TEXT),
    may!("auth", &AUTH),
    may!("reportBuildStatus", &FLAG),
    may!("buildStatusConfig", &STATUS_CONFIG),
    may!("insecureSsl", &FLAG),
    may!("sourceIdentifier", &TEXT),
]);
pub(super) const SOURCES: Shape = List { of: &SOURCE, min: 0, max: 12 };
pub(super) const SOURCE_VERSIONS: Shape = List {
    of: &Structure(&[must!("sourceIdentifier", &TEXT), must!("sourceVersion", &TEXT)]),
    min: 0,
    max: 12,
};
pub(super) const ARTIFACTS: Shape = Structure(&[
    must!("type", &ARTIFACTS_TYPE),
    may!("location", &TEXT),
    may!("path", &TEXT),
    may!("namespaceType", &OneOf(&["NONE", "BUILD_ID"])),
    may!("name", &TEXT),
    may!("packaging", &OneOf(&["NONE", "ZIP"])),
    may!("overrideArtifactName", &FLAG),
    may!("encryptionDisabled", &FLAG),
    may!("artifactIdentifier", &TEXT),
    may!("bucketOwnerAccess", &OWNER_ACCESS),
]);
pub(super) const ARTIFACTS_LIST: Shape = List { of: &ARTIFACTS, min: 0, max: 12 };
pub(super) const CACHE: Shape = Structure(&[
    must!("type", &OneOf(&["NO_CACHE", "S3", "LOCAL"])),
    may!("location", &TEXT),
    may!(
        "modes",
        &List {
            of: &OneOf(&["LOCAL_DOCKER_LAYER_CACHE", "LOCAL_SOURCE_CACHE", "LOCAL_CUSTOM_CACHE"]),
            min: 0,
            max: 3,
        },
    ),
    may!("cacheNamespace", &TEXT),
]);
pub(super) const VARIABLES: Shape = List {
    of: &Structure(&[
        must!("name", &NAMED),
        must!("value", &TEXT),
        may!("type", &OneOf(&["PLAINTEXT", "PARAMETER_STORE", "SECRETS_MANAGER"])),
    ]),
    min: 0,
    max: ANY,
};
pub(super) const REGISTRY_CREDENTIAL: Shape =
    Structure(&[must!("credential", &NAMED), must!("credentialProvider", &OneOf(&["SECRETS_MANAGER"]))]);
pub(super) const FLEET: Shape = Structure(&[may!("fleetArn", &TEXT)]);
const COMPUTE: Shape = Structure(&[
    may!("vCpu", &COUNT),
    may!("memory", &COUNT),
    may!("disk", &COUNT),
    may!("machineType", &OneOf(&["GENERAL", "NVME"])),
    may!("instanceType", &NAMED),
]);
const DOCKER_SERVER: Shape = Structure(&[
    must!("computeType", &COMPUTE_TYPE),
    may!("securityGroupIds", &List { of: &NAMED, min: 0, max: 5 }),
    may!("status", &Structure(&[may!("status", &TEXT), may!("message", &TEXT)])),
]);
pub(super) const ENVIRONMENT: Shape = Structure(&[
    must!("type", &ENVIRONMENT_TYPE),
    must!("image", &NAMED),
    must!("computeType", &COMPUTE_TYPE),
    may!("computeConfiguration", &COMPUTE),
    may!("fleet", &FLEET),
    may!("environmentVariables", &VARIABLES),
    may!("privilegedMode", &FLAG),
    may!("certificate", &TEXT),
    may!("registryCredential", &REGISTRY_CREDENTIAL),
    may!("imagePullCredentialsType", &PULL_CREDENTIALS),
    may!("dockerServer", &DOCKER_SERVER),
    may!("hostKernel", &HOST_KERNEL),
]);
pub(super) const TAGS: Shape = List {
    of: &Structure(&[
        may!("key", &TagText { min: 1, max: 127 }),
        may!("value", &TagText { min: 0, max: 255 }),
    ]),
    min: 0,
    max: 50,
};
pub(super) const VPC: Shape = Structure(&[
    may!("vpcId", &NAMED),
    may!("subnets", &List { of: &NAMED, min: 0, max: 16 }),
    may!("securityGroupIds", &List { of: &NAMED, min: 0, max: 5 }),
]);
pub(super) const LOGS_CONFIG: Shape = Structure(&[
    may!(
        "cloudWatchLogs",
        &Structure(&[must!("status", &SWITCH), may!("groupName", &TEXT), may!("streamName", &TEXT)]),
    ),
    may!(
        "s3Logs",
        &Structure(&[
            must!("status", &SWITCH),
            may!("location", &TEXT),
            may!("encryptionDisabled", &FLAG),
            may!("bucketOwnerAccess", &OWNER_ACCESS),
        ]),
    ),
]);
pub(super) const FILE_SYSTEMS: Shape = List {
    of: &Structure(&[
        may!("type", &OneOf(&["EFS"])),
        may!("location", &TEXT),
        may!("mountPoint", &TEXT),
        may!("identifier", &TEXT),
        may!("mountOptions", &TEXT),
    ]),
    min: 0,
    max: ANY,
};
pub(super) const BATCH_CONFIG: Shape = Structure(&[
    may!("serviceRole", &NAMED),
    may!("combineArtifacts", &FLAG),
    may!(
        "restrictions",
        &Structure(&[
            may!("maximumBuildsAllowed", &COUNT),
            may!("computeTypesAllowed", &List { of: &NAMED, min: 0, max: ANY }),
            may!("fleetsAllowed", &List { of: &NAMED, min: 0, max: ANY }),
        ]),
    ),
    may!("timeoutInMins", &TIMEOUT),
    may!("batchReportMode", &OneOf(&["REPORT_INDIVIDUAL_BUILDS", "REPORT_AGGREGATED_BATCH"])),
]);
pub(super) const FILTER_GROUPS: Shape = List {
    of: &List {
        of: &Structure(&[
            must!(
                "type",
                &OneOf(&[
                    "EVENT",
                    "BASE_REF",
                    "HEAD_REF",
                    "ACTOR_ACCOUNT_ID",
                    "FILE_PATH",
                    "COMMIT_MESSAGE",
                    "WORKFLOW_NAME",
                    "TAG_NAME",
                    "RELEASE_NAME",
                    "REPOSITORY_NAME",
                    "ORGANIZATION_NAME",
                ]),
            ),
            must!("pattern", &TEXT),
            may!("excludeMatchedPattern", &FLAG),
        ]),
        min: 0,
        max: ANY,
    },
    min: 0,
    max: ANY,
};
pub(super) const HOOK_BUILD_TYPE: Shape = OneOf(&["BUILD", "BUILD_BATCH", "RUNNER_BUILDKITE_BUILD"]);
pub(super) const SCOPE: Shape = Structure(&[
    must!("name", &TEXT),
    may!("domain", &TEXT),
    must!("scope", &OneOf(&["GITHUB_ORGANIZATION", "GITHUB_GLOBAL", "GITLAB_GROUP"])),
]);
const APPROVER: Shape = OneOf(&[
    "GITHUB_READ",
    "GITHUB_TRIAGE",
    "GITHUB_WRITE",
    "GITHUB_MAINTAIN",
    "GITHUB_ADMIN",
    "GITLAB_GUEST",
    "GITLAB_PLANNER",
    "GITLAB_REPORTER",
    "GITLAB_DEVELOPER",
    "GITLAB_MAINTAINER",
    "GITLAB_OWNER",
    "BITBUCKET_READ",
    "BITBUCKET_WRITE",
    "BITBUCKET_ADMIN",
]);
pub(super) const PULL_REQUEST_POLICY: Shape = Structure(&[
    must!("requiresCommentApproval", &OneOf(&["DISABLED", "ALL_PULL_REQUESTS", "FORK_PULL_REQUESTS"])),
    may!("approverRoles", &List { of: &APPROVER, min: 0, max: ANY }),
]);
pub(super) const REPORT_STATUS: Shape =
    OneOf(&["GENERATING", "SUCCEEDED", "FAILED", "INCOMPLETE", "DELETING"]);
pub(super) const SHARED_BY: Shape = OneOf(&["ARN", "MODIFIED_TIME"]);
pub(super) const REPORT_EXPORT: Shape = Structure(&[
    may!("exportConfigType", &OneOf(&["S3", "NO_EXPORT"])),
    may!(
        "s3Destination",
        &Structure(&[
            may!("bucket", &NAMED),
            may!("bucketOwner", &TEXT),
            may!("path", &TEXT),
            may!("packaging", &OneOf(&["ZIP", "NONE"])),
            may!("encryptionKey", &NAMED),
            may!("encryptionDisabled", &FLAG),
        ]),
    ),
]);
