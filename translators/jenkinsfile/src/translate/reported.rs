//! Steps that are told to people, and branches that run at once.

use std::ops::Range;

use runspan_buildspec::shell::quoted;

use super::{Translator, block::Block, scope::argument};
use crate::groovy::{Arg, Call, Expr, ExprKind};

impl<'a> Translator<'a> {
    /// Steps that are told to people.
    pub(super) fn reported(
        &mut self,
        name: &str,
        call: &'a Call,
        span: &Range<usize>,
        construct: &str,
    ) -> Option<Block> {
        let notice = |text: &str| {
            format!(
                "aws sns publish --topic-arn TOPIC --subject {} --message {}",
                quoted(text),
                quoted("see $CODEBUILD_BUILD_URL")
            )
        };
        let (reason, suggestion, fails) = match name {
            "slackSend" | "emailext" | "mail" | "office365ConnectorSend" | "hipchatSend" | "discordSend" | "rocketSend" | "telegramSend"
            | "googlechatnotification" | "mattermostSend" | "emailextrecipients" | "slackUploadFile" => {
                ("messages are sent by a notification rule of the project, or by a command", notice("build finished"), false)
            }
            "build" => {
                let job = argument(call, "job").and_then(|job| self.value(job)).map_or_else(|| "PROJECT".into(), |job| job.argument());
                ("another job is another project", format!("aws codebuild start-build --project-name {job}"), true)
            }
            "input" => (
                "a build cannot wait for people",
                "# split the project in two and put an approval of CodePipeline between them".to_owned(),
                true,
            ),
            "bat" | "powershell" | "pwsh" => (
                "it is a script of Windows",
                "# run it in a project of the type WINDOWS_SERVER_2022_CONTAINER, with env.shell: powershell.exe".to_owned(),
                true,
            ),
            "load" | "evaluate" => ("the Groovy of another file is not read", "# put its commands here".to_owned(), true),
            "waitForQualityGate" => (
                "the quality gate is awaited by the scanner",
                "sonar-scanner -Dsonar.qualitygate.wait=true".to_owned(),
                false,
            ),
            "ecrLogin" => (
                "it logs in to a registry of AWS",
                "aws ecr get-login-password | docker login --username AWS --password-stdin ACCOUNT.dkr.ecr.REGION.amazonaws.com".to_owned(),
                true,
            ),
            "cfnUpdate" | "cfnValidate" | "cfnDelete" => (
                "it calls CloudFormation",
                "aws cloudformation deploy --stack-name STACK --template-file template.yml".to_owned(),
                true,
            ),
            "recordIssues" | "scanForIssues" | "publishIssues" | "jacoco" | "recordCoverage" | "publishCoverage" | "perfReport" | "plot"
            | "dependencyCheckPublisher" | "publishChecks" | "allure" | "robot" | "addBadge" | "addShortText" | "addWarningBadge" | "manager" | "rtp" | "createSummary"
            | "setGitHubPullRequestStatus" | "githubNotify" | "updateGitlabCommitStatus" | "setBuildStatus" | "bitbucketStatusNotify" | "addGitLabMRComment" | "pullRequest" | "jiraComment"
            | "fingerprint" | "discoverGitReferenceBuild" | "mineRepository" | "gitDiffStat" | "influxDbPublisher" | "buildDescription" | "buildName" => (
                "CodeBuild shows neither this report nor this status",
                "# add the files to artifacts, or send the status with curl".to_owned(),
                false,
            ),
            _ => return self.parallel_step(name, call, span, construct),
        };
        Some(self.by_hand(span, construct, reason, Some(suggestion), fails))
    }

    /// The step `parallel a: { … }, b: { … }`: all in the background, then each is awaited.
    pub(super) fn parallel_step(
        &mut self,
        name: &str,
        call: &'a Call,
        span: &Range<usize>,
        construct: &str,
    ) -> Option<Block> {
        if name != "parallel" {
            return None;
        }
        let mut branches = Vec::new();
        for arg in &call.args {
            let entries: Vec<&crate::groovy::Entry> = match arg {
                Arg::Named(entry) => vec![entry],
                Arg::Value(Expr { kind: ExprKind::Map(entries), .. }) => entries.iter().collect(),
                Arg::Value(_) => return None,
            };
            for entry in entries {
                let title = entry.key.as_ref().and_then(|key| self.value(key))?.script();
                match &entry.value.kind {
                    ExprKind::Closure(closure) => branches.push((title, closure, entry.value.span.clone())),
                    ExprKind::Bool(_) if title == "failFast" => {}
                    _ => return None,
                }
            }
        }
        self.notes.approximate(
            span,
            construct,
            "all at once in the background; then each is awaited",
            "what they print is mixed, and `failFast` does not end the others",
        );
        let mut blocks = Vec::new();
        for (title, closure, span) in branches {
            self.notes.exact(&span, &format!("{construct}.{title}"), "a shell of its own");
            let block = self.statements(&closure.body, &format!("{construct}.{title}"));
            blocks.push((title, block));
        }
        Some(self.at_once(&blocks))
    }

    /// Blocks in the background, each awaited.
    pub(super) fn at_once(&mut self, blocks: &[(String, Block)]) -> Block {
        let mut text = String::from("set +e\n");
        let mut names = Vec::new();
        for (title, block) in blocks {
            let process = self.fresh("branch_process");
            let body = block.apart("");
            text.push_str(&format!("# {title}\n{body} &\n{process}=$!\n"));
            names.push(process);
        }
        let failed = self.fresh("branch_failed");
        text.push_str(&format!("{failed}=0\n"));
        for process in names {
            text.push_str(&format!("wait \"${process}\" || {failed}=1\n"));
        }
        text.push_str(&format!("[ \"${failed}\" = 0 ] || exit 1\nset -e"));
        Block::of(text)
    }
}
