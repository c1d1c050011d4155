//! AWS's own actions.

use super::{Handler, Inputs, Native};
use crate::translate::{Lowered, ShellText};

pub(super) const TABLE: &[(&str, Handler)] = &[
    ("aws-actions/configure-aws-credentials", credentials),
    ("aws-actions/amazon-ecr-login", ecr_login),
    ("aws-actions/aws-codebuild-run-build", run_build),
    ("aws-actions/setup-sam", sam),
    ("aws-actions/amazon-ecs-render-task-definition", render_task),
    ("aws-actions/amazon-ecs-deploy-task-definition", deploy_task),
];

const ACCOUNT: &str = "$(aws sts get-caller-identity --query Account --output text)";

fn credentials(inputs: &mut Inputs<'_>) -> Option<Native> {
    let region = inputs.word("aws-region");
    let role = inputs.word("role-to-assume");
    let session = inputs.word("role-session-name").unwrap_or_else(|| "\"${CODEBUILD_BUILD_ID##*:}\"".into());
    let duration = inputs.word("role-duration-seconds");
    let keys = [
        ("AWS_ACCESS_KEY_ID", inputs.word("aws-access-key-id")),
        ("AWS_SECRET_ACCESS_KEY", inputs.word("aws-secret-access-key")),
        ("AWS_SESSION_TOKEN", inputs.word("aws-session-token")),
    ];
    inputs.idle(
        &[
            "mask-aws-account-id",
            "role-skip-session-tagging",
            "audience",
            "output-credentials",
            "unset-current-credentials",
            "role-chaining",
            "role-external-id",
            "http-proxy",
            "retry-max-attempts",
            "disable-retry",
            "special-characters-workaround",
        ],
        "the service role's credentials are there already",
    );
    let mut commands = Vec::new();
    if let Some(region) = region {
        commands.push(format!("export AWS_REGION={region} AWS_DEFAULT_REGION={region}"));
    }
    for (name, value) in keys {
        if let Some(value) = value
            && value != format!("\"${name}\"")
        {
            commands.push(format!("export {name}={value}"));
        }
    }
    let assumed = role.is_some();
    if let Some(role) = role {
        let duration = duration.map(|duration| format!(" --duration-seconds {duration}")).unwrap_or_default();
        commands.push(format!(
            "role=$(aws sts assume-role --role-arn {role} --role-session-name {session}{duration} --query \
             'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)"
        ));
        commands.push(
            "export AWS_ACCESS_KEY_ID=$(echo $role | cut -d' ' -f1) AWS_SECRET_ACCESS_KEY=$(echo $role | cut -d' ' -f2) \
             AWS_SESSION_TOKEN=$(echo $role | cut -d' ' -f3)"
                .into(),
        );
    }
    let account = Lowered::Text(ShellText::new(ACCOUNT));
    let native = Native::commands(commands).output("aws-account-id", account);
    Some(if assumed {
        native.differs("the build's service role assumes the role: its trust policy must allow it")
    } else {
        native
    })
}

fn ecr_login(inputs: &mut Inputs<'_>) -> Option<Native> {
    let public = inputs.known("registry-type").as_deref() == Some("public");
    let registries = inputs.inside("registries");
    inputs.idle(&["mask-password", "skip-logout", "http-proxy"], "docker keeps the login of one build");
    let (command, registry) = if public {
        let login = "aws ecr-public get-login-password --region us-east-1 | docker login --username AWS --password-stdin public.ecr.aws";
        (login.to_owned(), "public.ecr.aws".to_owned())
    } else {
        let account = registries.map(|list| list.split(',').next().unwrap_or_default().trim().to_owned());
        let account = account.unwrap_or_else(|| ACCOUNT.to_owned());
        (
            "aws ecr get-login-password | docker login --username AWS --password-stdin \"$ECR_REGISTRY\""
                .to_owned(),
            format!("{account}.dkr.ecr.$AWS_DEFAULT_REGION.amazonaws.com"),
        )
    };
    let commands = [format!("export ECR_REGISTRY=\"{registry}\""), command];
    let output = Lowered::Text(ShellText::variable("ECR_REGISTRY"));
    Some(Native { privileged: true, ..Native::commands(commands) }.output("registry", output))
}

fn run_build(inputs: &mut Inputs<'_>) -> Option<Native> {
    let project = inputs.word("project-name")?;
    let buildspec = inputs.word("buildspec-override");
    let compute = inputs.word("compute-type-override");
    let image = inputs.word("image-override");
    let environment = inputs.word("environment-type-override");
    let names = inputs.plain("env-vars-for-codebuild").unwrap_or_default();
    inputs.idle(
        &[
            "update-interval",
            "update-back-off",
            "hide-cloudwatch-logs",
            "disable-github-env-vars",
            "disable-source-override",
            "stop-on-signals",
        ],
        "the build is waited for",
    );
    let mut start = format!(
        "id=$(aws codebuild start-build --project-name {project} --source-version \"$CODEBUILD_RESOLVED_SOURCE_VERSION\""
    );
    for (option, value) in [
        ("buildspec-override", buildspec),
        ("compute-type-override", compute),
        ("image-override", image),
        ("environment-type-override", environment),
    ] {
        if let Some(value) = value {
            start.push_str(&format!(" --{option} {value}"));
        }
    }
    let names: Vec<_> = names.split([',', '\n', ' ']).filter(|name| !name.is_empty()).collect();
    if !names.is_empty() {
        start.push_str(" --environment-variables-override");
        names.iter().for_each(|name| start.push_str(&format!(" \"name={name},value=${name}\"")));
    }
    start.push_str(" --query build.id --output text)");
    let commands = [
        start,
        "while status=$(aws codebuild batch-get-builds --ids \"$id\" --query 'builds[0].buildStatus' --output text); \
         [ \"$status\" = IN_PROGRESS ]; do sleep 15; done"
            .to_owned(),
        "[ \"$status\" = SUCCEEDED ]".to_owned(),
    ];
    let id = Lowered::Text(ShellText::variable("id"));
    Some(
        Native::commands(commands)
            .differs("the other build's log is not repeated here")
            .output("aws-build-id", id),
    )
}

fn sam(inputs: &mut Inputs<'_>) -> Option<Native> {
    let version = inputs.plain("version").map(|version| format!("=={version}")).unwrap_or_default();
    inputs.idle(&["use-installer", "python", "token"], "pip installs it");
    Some(Native::commands([format!("pip install aws-sam-cli{version}")]))
}

fn render_task(inputs: &mut Inputs<'_>) -> Option<Native> {
    let file = inputs.word("task-definition")?;
    let container = inputs.inside("container-name")?;
    let image = inputs.inside("image")?;
    inputs.idle(&["environment-variables"], "add them to the file");
    let command = format!(
        "jq --arg image \"{image}\" '(.containerDefinitions[] | select(.name == \"{container}\")).image = $image' {file} \
         > /tmp/task-definition.json"
    );
    Some(
        Native::commands([command])
            .output("task-definition", Lowered::Known("/tmp/task-definition.json".into())),
    )
}

fn deploy_task(inputs: &mut Inputs<'_>) -> Option<Native> {
    let file = inputs.inside("task-definition")?;
    let service = inputs.word("service");
    let cluster = inputs.word("cluster").unwrap_or_else(|| "default".into());
    let wait = inputs.flag("wait-for-service-stability", false);
    inputs.idle(
        &["wait-for-minutes", "force-new-deployment", "propagate-tags", "desired-count"],
        "the command's default",
    );
    let mut commands = vec![format!(
        "task=$(aws ecs register-task-definition --cli-input-json \"file://{file}\" --query \
         taskDefinition.taskDefinitionArn --output text)"
    )];
    if let Some(service) = service {
        commands.push(format!(
            "aws ecs update-service --cluster {cluster} --service {service} --task-definition \"$task\""
        ));
        if wait {
            commands.push(format!("aws ecs wait services-stable --cluster {cluster} --services {service}"));
        }
    }
    Some(Native::commands(commands))
}
