//! Names that Declarative Pipeline knows.

/// The parameter that a step's lone argument is, for steps that need just one.
pub(super) fn sole_parameter(step: &str) -> Option<&'static str> {
    Some(match step {
        "archive" => "includes",
        "archiveArtifacts" => "artifacts",
        "bat" | "sh" | "powershell" | "pwsh" => "script",
        "build" => "job",
        "checkout" => "scm",
        "echo" | "error" | "unstable" => "message",
        "fileExists" | "readFile" | "touch" | "sha1" | "sha256" => "file",
        "git" => "url",
        "input" => "message",
        "junit" => "testResults",
        "library" => "identifier",
        "load" | "readTrusted" => "path",
        "milestone" => "ordinal",
        "properties" => "properties",
        "publishHTML" => "target",
        "sleep" => "time",
        "stash" | "unstash" | "tool" => "name",
        "step" | "wrap" => "delegate",
        "waitForBuild" => "runId",
        _ => return None,
    })
}

/// Conditions of `post`, in the order in which Jenkins runs them.
pub(crate) const POST: &[&str] = &[
    "always",
    "changed",
    "fixed",
    "regression",
    "aborted",
    "failure",
    "success",
    "unstable",
    "unsuccessful",
    "notBuilt",
    "cleanup",
];

/// Agents, and the options of each.
pub(super) const AGENTS: &[(&str, &[&str])] = &[
    ("label", &["label", "customWorkspace", "retries"]),
    ("node", &["label", "customWorkspace", "retries"]),
    (
        "docker",
        &[
            "image",
            "label",
            "args",
            "alwaysPull",
            "registryUrl",
            "registryCredentialsId",
            "reuseNode",
            "customWorkspace",
            "containerPerStageRoot",
            "dockerfile",
        ],
    ),
    (
        "dockerfile",
        &[
            "label",
            "filename",
            "dir",
            "additionalBuildArgs",
            "args",
            "registryUrl",
            "registryCredentialsId",
            "reuseNode",
            "customWorkspace",
        ],
    ),
];

/// The option that an agent cannot do without.
pub(super) const REQUIRED_BY_AGENT: &[(&str, &str)] =
    &[("label", "label"), ("node", "label"), ("docker", "image")];

/// Conditions of `when`.
pub(super) const WHEN: &[&str] = &[
    "allOf",
    "anyOf",
    "branch",
    "buildingTag",
    "changeRequest",
    "changelog",
    "changeset",
    "environment",
    "equals",
    "expression",
    "isRestartedRun",
    "not",
    "tag",
    "triggeredBy",
];

/// A parameter of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Param {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) kind: ParamKind,
}

/// What a parameter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ParamKind {
    Text,
    Number,
    Flag,
    Any,
}

const fn needed(name: &'static str, kind: ParamKind) -> Param {
    Param { name, required: true, kind }
}

const fn option(name: &'static str, kind: ParamKind) -> Param {
    Param { name, required: false, kind }
}

use ParamKind::{Any, Flag, Number, Text};

const SCRIPT: &[Param] = &[
    needed("script", Text),
    option("encoding", Text),
    option("label", Text),
    option("returnStatus", Flag),
    option("returnStdout", Flag),
];

/// The commonest steps; the parameter that stands first is that of a lone argument.
pub(super) const STEPS: &[(&str, &[Param])] = &[
    ("sh", SCRIPT),
    ("bat", SCRIPT),
    ("powershell", SCRIPT),
    ("pwsh", SCRIPT),
    ("echo", &[needed("message", Text)]),
    ("error", &[needed("message", Text)]),
    ("sleep", &[needed("time", Number), option("unit", Any)]),
    ("unstash", &[needed("name", Text)]),
    (
        "stash",
        &[
            needed("name", Text),
            option("allowEmpty", Flag),
            option("excludes", Text),
            option("includes", Text),
            option("useDefaultExcludes", Flag),
        ],
    ),
    ("dir", &[needed("path", Text)]),
    ("timeout", &[needed("time", Number), option("activity", Flag), option("unit", Any)]),
    ("retry", &[needed("count", Number), option("conditions", Any)]),
    ("writeFile", &[needed("file", Text), needed("text", Text), option("encoding", Text)]),
    ("readFile", &[needed("file", Text), option("encoding", Text)]),
    ("fileExists", &[needed("file", Text)]),
    (
        "archiveArtifacts",
        &[
            needed("artifacts", Text),
            option("allowEmptyArchive", Flag),
            option("caseSensitive", Flag),
            option("defaultExcludes", Flag),
            option("excludes", Text),
            option("fingerprint", Flag),
            option("followSymlinks", Flag),
            option("onlyIfSuccessful", Flag),
        ],
    ),
];

/// Steps that have no place among the steps of a stage.
pub(super) const MISPLACED: &[&str] = &["stage", "parallel", "properties"];

/// Kinds of parameters whose arguments are known.
pub(super) const PARAMETERS: &[(&str, &[Param])] = &[
    ("booleanParam", &[needed("name", Text), option("defaultValue", Flag), option("description", Any)]),
    (
        "string",
        &[
            needed("name", Text),
            option("defaultValue", Any),
            option("description", Any),
            option("trim", Flag),
        ],
    ),
    (
        "text",
        &[
            needed("name", Text),
            option("defaultValue", Any),
            option("description", Any),
            option("trim", Flag),
        ],
    ),
    ("choice", &[needed("name", Text), option("choices", Any), option("description", Any)]),
    ("password", &[needed("name", Text), option("defaultValue", Any), option("description", Any)]),
    ("file", &[needed("name", Text), option("description", Any)]),
];

/// Other kinds of parameters, of Jenkins and its commonest plugins.
pub(super) const OTHER_PARAMETERS: &[&str] = &[
    "activeChoice",
    "activeChoiceHtml",
    "base64File",
    "buildSelector",
    "choiceParam",
    "credentials",
    "dynamicReference",
    "editableChoice",
    "extendedChoice",
    "filterableChoice",
    "gitParameter",
    "imageTag",
    "listGitBranches",
    "nexus",
    "persistentBoolean",
    "persistentChoice",
    "persistentString",
    "persistentText",
    "reactiveChoice",
    "run",
    "separator",
    "stashedFile",
    "validatingString",
    "fileParam",
    "gitLabBranch",
    "hidden",
    "nodeParam",
    "labelParam",
    "agentParameter",
    "booleanParameter",
    "stringParam",
];

/// Triggers of Jenkins and its commonest plugins.
pub(super) const TRIGGERS: &[&str] = &[
    "GenericTrigger",
    "URLTrigger",
    "artifactoryTrigger",
    "bitBucketTrigger",
    "bitbucketPush",
    "bitbucketTriggers",
    "codingPush",
    "cron",
    "dockerHubTrigger",
    "fsTrigger",
    "gerrit",
    "ghprbTrigger",
    "giteaPush",
    "githubBranches",
    "githubPush",
    "githubPullRequests",
    "githubPullRequest",
    "gitee",
    "giteePush",
    "gitlab",
    "gogs",
    "issueCommentTrigger",
    "jiraIssueChangelog",
    "ivyTrigger",
    "parameterizedCron",
    "pollSCM",
    "pullRequestReview",
    "quayIoTrigger",
    "releaseTrigger",
    "snapshotDependencies",
    "upstream",
    "urlTrigger",
    "genericTrigger",
    "jmsTrigger",
    "ciBuildTrigger",
    "eventTrigger",
    "teams",
];

/// Tools of Jenkins and its commonest plugins.
pub(super) const TOOLS: &[&str] = &[
    "allure",
    "ant",
    "bazel",
    "cmake",
    "conan",
    "customTool",
    "dart",
    "dependency-check",
    "docker",
    "dockerTool",
    "dotnetsdk",
    "flutter",
    "git",
    "go",
    "golang",
    "gradle",
    "groovy",
    "helm",
    "jdk",
    "jfrog",
    "jgit",
    "jq",
    "kubectl",
    "liquibase",
    "maven",
    "msbuild",
    "mstest",
    "nodejs",
    "nvm",
    "packer",
    "python",
    "ruby",
    "sbt",
    "snyk",
    "sonarScanner",
    "sonarqube",
    "terraform",
    "trivy",
    "xcode",
];

/// Options of Jenkins and its commonest plugins.
pub(super) const OPTIONS: &[&str] = &[
    "ansiColor",
    "authorizationMatrix",
    "bitbucketTagDiscarder",
    "buildBlocker",
    "buildDiscarder",
    "buildUser",
    "cache",
    "catchError",
    "checkoutToSubdirectory",
    "configFileProvider",
    "container",
    "copyArtifactPermission",
    "dir",
    "disableConcurrentBuilds",
    "disableRestartFromStage",
    "disableResume",
    "durabilityHint",
    "githubProjectProperty",
    "githubProperty",
    "gitLabConnection",
    "gitlabBuilds",
    "gitlabCommitStatus",
    "gitcConnection",
    "giteeConnection",
    "jiraProjectProperty",
    "junitAttachments",
    "lock",
    "lockableResource",
    "logstash",
    "newContainerPerStage",
    "notifyEndpoints",
    "office365ConnectorWebhooks",
    "overrideIndexTriggers",
    "parallelsAlwaysFailFast",
    "podTemplate",
    "preserveStashes",
    "pipelineTriggers",
    "projectEnv",
    "quietPeriod",
    "rateLimit",
    "rateLimitBuilds",
    "rebuild",
    "rebuildSettings",
    "retry",
    "script",
    "sidebarLinks",
    "skipDefaultCheckout",
    "skipStagesAfterUnstable",
    "slackNotifier",
    "sshagent",
    "throttle",
    "throttleJobProperty",
    "timeout",
    "timestamps",
    "tool",
    "warnError",
    "withAWS",
    "withBuildUser",
    "withChecks",
    "withCredentials",
    "withContext",
    "withDockerContainer",
    "withDockerRegistry",
    "withDockerServer",
    "withEnv",
    "withFolderProperties",
    "withKubeConfig",
    "withMaven",
    "withSonarQubeEnv",
    "withVault",
    "wrap",
    "ws",
    "zulipNotification",
    "node",
    "githubProject",
    "disableDeferredWipeout",
    "discordNotifier",
    "customPrebuild",
    "buildTimestamp",
    "nodejs",
    "openshift",
    "datadog",
    "hidden",
    "exclusive",
    "cleanWs",
];
