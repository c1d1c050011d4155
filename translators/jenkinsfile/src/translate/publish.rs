//! Artifacts and reports.

use std::ops::Range;

use runspan_buildspec::{Report, ReportFormat};

use super::{
    Translator,
    block::Block,
    scope::{argument, first, named, named_in},
};
use crate::groovy::{Call, Expr, ExprKind};

impl<'a> Translator<'a> {
    /// Steps that publish files; nothing for others.
    pub(super) fn publish(
        &mut self,
        name: &str,
        call: &'a Call,
        span: &Range<usize>,
        construct: &str,
    ) -> Option<Block> {
        match name {
            "archiveArtifacts" | "archive" => {
                let key = if name == "archive" { "includes" } else { "artifacts" };
                let files = self.patterns(argument(call, key)?)?;
                let excludes = named(call, "excludes").and_then(|it| self.patterns(it)).unwrap_or_default();
                self.artifacts.extend(files);
                self.excludes.extend(excludes);
                let only_success = named(call, "onlyIfSuccessful").is_some_and(super::value::is_true);
                if only_success || named(call, "allowEmptyArchive").is_some_and(super::value::is_true) {
                    self.notes.approximate(
                        span,
                        construct,
                        "artifacts.files",
                        "they are uploaded after a failure too, and there must be one at least",
                    );
                } else {
                    self.notes.exact(span, construct, "artifacts.files");
                }
            }
            "junit" => {
                let files = self.patterns(argument(call, "testResults")?)?;
                self.report("tests", ReportFormat::JunitXml, files);
                self.notes.approximate(
                    span,
                    construct,
                    "a report in JUNITXML",
                    "failed tests of the report do not make the build unstable",
                );
            }
            "nunit" => {
                let files = self.patterns(argument(call, "testResultsPattern")?)?;
                self.report("nunit", ReportFormat::NunitXml, files);
                self.notes.exact(span, construct, "a report in NUNITXML");
            }
            "mstest" => {
                let files = self.patterns(argument(call, "testResultsFile")?)?;
                self.report("mstest", ReportFormat::VisualStudioTrx, files);
                self.notes.exact(span, construct, "a report in VISUALSTUDIOTRX");
            }
            "cucumber" => {
                let files = named(call, "fileIncludePattern")
                    .or_else(|| first(call))
                    .map_or_else(|| Some(vec!["**/*.json".into()]), |it| self.patterns(it))?;
                self.report("cucumber", ReportFormat::CucumberJson, files);
                self.notes.exact(span, construct, "a report in CUCUMBERJSON");
            }
            "cobertura" => {
                let files = self.patterns(argument(call, "coberturaReportFile")?)?;
                self.report("coverage", ReportFormat::CoberturaXml, files);
                self.notes.approximate(span, construct, "a report in COBERTURAXML", "limits are not checked");
            }
            "clover" => {
                let directory = named(call, "cloverReportDir")
                    .and_then(|it| self.constant(it))
                    .unwrap_or_else(|| ".".into());
                let file = named(call, "cloverReportFileName")
                    .and_then(|it| self.constant(it))
                    .unwrap_or_else(|| "clover.xml".into());
                self.report("clover", ReportFormat::CloverXml, vec![format!("{directory}/{file}")]);
                self.notes.approximate(span, construct, "a report in CLOVERXML", "limits are not checked");
            }
            "xunit" | "xUnit" => {
                let tools = named(call, "tools").or_else(|| first(call))?;
                let ExprKind::List(tools) = &tools.bare().kind else { return None };
                for tool in tools {
                    let ExprKind::Call(tool_call) = &tool.kind else { return None };
                    let format = match tool_call.step()? {
                        "JUnit" | "GoogleTest" | "CTest" | "CppUnit" | "BoostTest" => ReportFormat::JunitXml,
                        "NUnit2" => ReportFormat::NunitXml,
                        "NUnit3" => ReportFormat::Nunit3Xml,
                        "MSTest" => ReportFormat::VisualStudioTrx,
                        _ => return None,
                    };
                    let files = self.patterns(named(tool_call, "pattern")?)?;
                    self.report("tests", format, files);
                }
                self.notes.approximate(span, construct, "reports", "limits are not checked");
            }
            "publishHTML" => {
                let args = match first(call).or_else(|| named(call, "target")) {
                    Some(Expr { kind: ExprKind::Call(inner), .. }) => &inner.args,
                    _ => &call.args,
                };
                let target = match named(call, "target").map(|target| &target.bare().kind) {
                    Some(ExprKind::Map(entries)) => entries
                        .iter()
                        .find(|entry| entry.key.as_ref().and_then(Expr::as_text) == Some("reportDir"))
                        .map(|entry| &entry.value),
                    _ => named_in(args, "reportDir"),
                };
                let directory = self.constant(target?)?;
                self.artifacts.push(format!("{}/**/*", directory.trim_end_matches('/')));
                self.notes.approximate(
                    span,
                    construct,
                    "artifacts.files",
                    "the pages are among the artifacts; nothing shows them",
                );
            }
            "step" => {
                let class = named(call, "$class").and_then(|class| self.constant(class))?;
                match class.rsplit('.').next().unwrap_or_default() {
                    "ArtifactArchiver" => {
                        let files = self.patterns(named(call, "artifacts")?)?;
                        self.artifacts.extend(files);
                        self.notes.exact(span, construct, "artifacts.files");
                    }
                    "JUnitResultArchiver" => {
                        let files = self.patterns(named(call, "testResults")?)?;
                        self.report("tests", ReportFormat::JunitXml, files);
                        self.notes.exact(span, construct, "a report in JUNITXML");
                    }
                    "WsCleanup" => self.notes.exact(span, construct, "nothing: the container is thrown away"),
                    "Mailer" | "GitHubCommitStatusSetter" => {
                        return Some(
                            self.by_hand(
                                span,
                                construct,
                                "messages are sent by a notification rule of the project, or by a command",
                                Some(
                                    "aws sns publish --topic-arn TOPIC --message 'see $CODEBUILD_BUILD_URL'"
                                        .into(),
                                ),
                                false,
                            ),
                        );
                    }
                    _ => return None,
                }
            }
            _ => return None,
        }
        Some(Block::default())
    }

    /// Ant patterns, relative to the directory that is left out.
    fn patterns(&self, expr: &Expr) -> Option<Vec<String>> {
        let text = self.constant(expr)?;
        let patterns: Vec<_> = text
            .split(',')
            .map(str::trim)
            .filter(|it| !it.is_empty())
            .map(|pattern| pattern.trim_start_matches("./").to_owned())
            .collect();
        // A directory alone stands for all that is in it.
        Some(
            patterns
                .into_iter()
                .map(|pattern| if pattern.ends_with('/') { format!("{pattern}**/*") } else { pattern })
                .collect(),
        )
    }

    fn report(&mut self, group: &str, format: ReportFormat, files: Vec<String>) {
        let mut name = group.to_owned();
        let mut number = 1;
        while self.reports.get(&name).is_some_and(|report| report.file_format.unwrap_or_default() != format) {
            number += 1;
            name = format!("{group}-{number}");
        }
        let report = self.reports.entry(name).or_insert_with(|| Report {
            file_format: (format != ReportFormat::JunitXml).then_some(format),
            ..Report::default()
        });
        for file in files {
            if !report.files.contains(&file) {
                report.files.push(file);
            }
        }
    }
}
