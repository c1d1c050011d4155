//! What each feature asks of an account: the one table that denied calls and the documentation speak from.

use serde_json::{Value, json};

pub(crate) const GET_PARAMETERS: &str = "ssm:GetParameters";
pub(crate) const GET_SECRET_VALUE: &str = "secretsmanager:GetSecretValue";
pub(crate) const PUT_OBJECT: &str = "s3:PutObject";
pub(crate) const GET_OBJECT: &str = "s3:GetObject";
pub(crate) const LIST_BUCKET: &str = "s3:ListBucket";
pub(crate) const CREATE_LOG_GROUP: &str = "logs:CreateLogGroup";
pub(crate) const CREATE_LOG_STREAM: &str = "logs:CreateLogStream";
pub(crate) const PUT_LOG_EVENTS: &str = "logs:PutLogEvents";
pub(crate) const GET_LOG_EVENTS: &str = "logs:GetLogEvents";
pub(crate) const PUT_METRIC_DATA: &str = "cloudwatch:PutMetricData";
pub(crate) const PUT_METRIC_ALARM: &str = "cloudwatch:PutMetricAlarm";
pub(crate) const PUT_DASHBOARD: &str = "cloudwatch:PutDashboard";
pub(crate) const PUT_EVENTS: &str = "events:PutEvents";
pub(crate) const ASSUME_ROLE: &str = "sts:AssumeRole";
pub(crate) const GET_AUTHORIZATION_TOKEN: &str = "ecr:GetAuthorizationToken";
pub(crate) const PUBLISH: &str = "sns:Publish";

/// What the worker of a pipeline's action asks for.
pub mod pipeline {
    /// The worker's calls.
    pub const POLL_FOR_JOBS: &str = "codepipeline:PollForJobs";
    /// Takes a job.
    pub const ACKNOWLEDGE_JOB: &str = "codepipeline:AcknowledgeJob";
    /// Reads it again.
    pub const GET_JOB_DETAILS: &str = "codepipeline:GetJobDetails";
    /// It succeeded, or goes on.
    pub const PUT_JOB_SUCCESS_RESULT: &str = "codepipeline:PutJobSuccessResult";
    /// It failed.
    pub const PUT_JOB_FAILURE_RESULT: &str = "codepipeline:PutJobFailureResult";
    /// Finds the action type.
    pub const LIST_ACTION_TYPES: &str = "codepipeline:ListActionTypes";
    /// Makes it.
    pub const CREATE_CUSTOM_ACTION_TYPE: &str = "codepipeline:CreateCustomActionType";
    /// Removes it.
    pub const DELETE_CUSTOM_ACTION_TYPE: &str = "codepipeline:DeleteCustomActionType";
}

/// A feature's rights.
#[derive(Clone, Copy, Debug)]
pub struct Permission {
    /// The feature, in words.
    pub feature: &'static str,
    /// Its IAM actions.
    pub actions: &'static [&'static str],
    /// What they are needed on; words in capitals stand for one's own.
    pub resources: &'static [&'static str],
}

/// Every feature's rights.
pub const PERMISSIONS: &[Permission] = &[
    Permission {
        feature: "Variables from Parameter Store",
        actions: &[GET_PARAMETERS],
        resources: &["arn:aws:ssm:REGION:ACCOUNT:parameter/NAME"],
    },
    Permission {
        feature: "Variables from Secrets Manager",
        actions: &[GET_SECRET_VALUE],
        resources: &["arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-*"],
    },
    Permission {
        feature: "Values encrypted with a key of one's own",
        actions: &["kms:Decrypt"],
        resources: &["arn:aws:kms:REGION:ACCOUNT:key/KEY"],
    },
    Permission {
        feature: "Artifacts and logs in S3",
        actions: &[PUT_OBJECT, "s3:AbortMultipartUpload"],
        resources: &["arn:aws:s3:::BUCKET/*"],
    },
    Permission {
        feature: "`bucketOwnerAccess`",
        actions: &["s3:PutObjectAcl"],
        resources: &["arn:aws:s3:::BUCKET/*"],
    },
    Permission {
        feature: "Objects encrypted with a key of one's own",
        actions: &["kms:GenerateDataKey", "kms:Decrypt"],
        resources: &["arn:aws:kms:REGION:ACCOUNT:key/KEY"],
    },
    Permission {
        feature: "Sources in S3",
        actions: &[GET_OBJECT, "s3:GetObjectVersion"],
        resources: &["arn:aws:s3:::BUCKET/KEY"],
    },
    Permission {
        feature: "Folders in S3 as sources",
        actions: &[LIST_BUCKET, GET_OBJECT],
        resources: &["arn:aws:s3:::BUCKET", "arn:aws:s3:::BUCKET/FOLDER/*"],
    },
    Permission {
        feature: "Caches in S3",
        actions: &[GET_OBJECT, PUT_OBJECT, "s3:AbortMultipartUpload"],
        resources: &["arn:aws:s3:::BUCKET/PREFIX/*"],
    },
    Permission {
        feature: "Caches in S3: a miss told from a refusal, and fallback keys",
        actions: &[LIST_BUCKET],
        resources: &["arn:aws:s3:::BUCKET"],
    },
    Permission {
        feature: "CloudWatch Logs",
        actions: &[CREATE_LOG_GROUP, CREATE_LOG_STREAM, PUT_LOG_EVENTS, GET_LOG_EVENTS],
        resources: &[
            "arn:aws:logs:REGION:ACCOUNT:log-group:/aws/codebuild/PROJECT",
            "arn:aws:logs:REGION:ACCOUNT:log-group:/aws/codebuild/PROJECT:*",
        ],
    },
    Permission {
        feature: "CloudWatch metrics",
        // This action knows no resources; a condition on `cloudwatch:namespace` narrows it.
        actions: &[PUT_METRIC_DATA],
        resources: &["*"],
    },
    Permission {
        feature: "`runspan alarms --apply`",
        actions: &[PUT_METRIC_ALARM, PUT_DASHBOARD],
        resources: &[
            "arn:aws:cloudwatch:REGION:ACCOUNT:alarm:NAME-builds-*",
            "arn:aws:cloudwatch::ACCOUNT:dashboard/NAME-builds",
        ],
    },
    Permission {
        feature: "EventBridge",
        actions: &[PUT_EVENTS],
        resources: &["arn:aws:events:REGION:ACCOUNT:event-bus/BUS"],
    },
    Permission {
        feature: "A project's role for its builds",
        actions: &[ASSUME_ROLE],
        resources: &["arn:aws:iam::ACCOUNT:role/ROLE"],
    },
    Permission {
        feature: "Sources in CodeCommit",
        actions: &["codecommit:GitPull"],
        resources: &["arn:aws:codecommit:REGION:ACCOUNT:REPOSITORY"],
    },
    Permission {
        feature: "Images in ECR: the login",
        // This action knows no resources.
        actions: &[GET_AUTHORIZATION_TOKEN],
        resources: &["*"],
    },
    Permission {
        feature: "Images in ECR: the layers",
        actions: &["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        resources: &["arn:aws:ecr:REGION:ACCOUNT:repository/NAME"],
    },
    Permission {
        feature: "Jobs of CodePipeline",
        actions: &[
            pipeline::POLL_FOR_JOBS,
            pipeline::ACKNOWLEDGE_JOB,
            pipeline::GET_JOB_DETAILS,
            pipeline::PUT_JOB_SUCCESS_RESULT,
            pipeline::PUT_JOB_FAILURE_RESULT,
        ],
        // Only the first of them knows resources.
        resources: &["*"],
    },
    Permission {
        feature: "`runspan register codepipeline` and `unregister --action-type`",
        actions: &[
            pipeline::LIST_ACTION_TYPES,
            pipeline::CREATE_CUSTOM_ACTION_TYPE,
            pipeline::DELETE_CUSTOM_ACTION_TYPE,
        ],
        resources: &["*"],
    },
    Permission { feature: "SNS", actions: &[PUBLISH], resources: &["arn:aws:sns:REGION:ACCOUNT:TOPIC"] },
];

impl Permission {
    /// Its statement in a policy.
    pub fn statement(&self) -> Value {
        json!({ "Effect": "Allow", "Action": self.actions, "Resource": self.resources })
    }
}

/// One policy with everything.
pub fn policy() -> Value {
    let statements: Vec<Value> = PERMISSIONS.iter().map(Permission::statement).collect();
    json!({ "Version": "2012-10-17", "Statement": statements })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of the table in `docs/aws.md`.
    #[test]
    fn the_documentation_has_this_table() {
        let doc = include_str!("../../../docs/aws.md");
        for Permission { feature, actions, resources } in PERMISSIONS {
            let list =
                |all: &[&str]| all.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join("<br>");
            let row = format!("| {feature} | {} | {} |", list(actions), list(resources));
            assert!(doc.contains(&row), "docs/aws.md lacks\n{row}");
        }
    }
}
