//! Reports, coverage and linters.

use runspan_buildspec::{Report, ReportFormat};

use super::{Handler, Inputs, Native};

pub(super) const TABLE: &[(&str, Handler)] = &[
    ("dorny/test-reporter", test_reporter),
    ("mikepenz/action-junit-report", junit),
    ("EnricoMi/publish-unit-test-result-action", junit),
    ("test-summary/action", junit),
    ("codecov/codecov-action", codecov),
    ("coverallsapp/github-action", coveralls),
    ("golangci/golangci-lint-action", golangci),
    ("super-linter/super-linter", super_linter),
    ("github/super-linter", super_linter),
    ("megalinter/megalinter/flavors/go", megalinter),
    ("oxsecurity/megalinter", megalinter),
    ("ibiqlik/action-yamllint", yamllint),
    ("aquasecurity/trivy-action", trivy),
    ("golang/govulncheck-action", govulncheck),
    ("hadolint/hadolint-action", hadolint),
    ("ludeeus/action-shellcheck", shellcheck),
    ("nosborn/github-action-markdown-cli", markdown),
    ("snyk/actions/node", snyk),
];

fn report(files: Vec<String>, format: ReportFormat) -> Native {
    let report = Report { files, file_format: Some(format), ..Report::default() };
    Native { became: "`reports`".into(), reports: vec![("tests".into(), report)], ..Native::default() }
        .differs("shown in CodeBuild's report group, not on the pull request")
}

fn junit(inputs: &mut Inputs<'_>) -> Option<Native> {
    let mut files = inputs.lines("report_paths");
    files.extend(inputs.lines("files"));
    files.extend(inputs.lines("junit_files"));
    files.extend(inputs.lines("paths"));
    if files.is_empty() {
        files.push("**/junit*.xml".into());
    }
    inputs.idle(
        &[
            "check_name",
            "comment_mode",
            "github_token",
            "token",
            "fail_on_failure",
            "require_tests",
            "commit",
            "fail_on",
            "summary",
            "include_passed",
            "detailed_summary",
            "output",
            "show",
            "annotate_only",
            "action_fail",
        ],
        "the report group's own view",
    );
    Some(report(files, ReportFormat::JunitXml))
}

fn test_reporter(inputs: &mut Inputs<'_>) -> Option<Native> {
    let path = inputs.plain("path").unwrap_or_default();
    let files = path.split(',').map(str::trim).filter(|path| !path.is_empty()).map(str::to_owned).collect();
    let format = match inputs.known("reporter").as_deref() {
        Some("dotnet-trx") => ReportFormat::VisualStudioTrx,
        Some("dotnet-nunit") => ReportFormat::Nunit3Xml,
        _ => ReportFormat::JunitXml,
    };
    inputs.idle(
        &[
            "name",
            "artifact",
            "token",
            "fail-on-error",
            "list-suites",
            "list-tests",
            "max-annotations",
            "only-summary",
            "working-directory",
            "path-replace-backslashes",
            "fail-on-empty",
        ],
        "the report group's own view",
    );
    Some(report(files, format))
}

fn codecov(inputs: &mut Inputs<'_>) -> Option<Native> {
    let mut command = String::from("/tmp/codecov upload-process --disable-search=false");
    if let Some(token) = inputs.inside("token") {
        command.push_str(&format!(" --token \"{token}\""));
    }
    let files = inputs.plain("files").or_else(|| inputs.plain("file")).unwrap_or_default();
    for file in files.split([',', '\n']).map(str::trim).filter(|file| !file.is_empty()) {
        command.push_str(&format!(" --file \"{file}\""));
    }
    if let Some(flags) = inputs.inside("flags") {
        command.push_str(&format!(" --flag \"{flags}\""));
    }
    if let Some(name) = inputs.inside("name") {
        command.push_str(&format!(" --name \"{name}\""));
    }
    if !inputs.flag("fail_ci_if_error", false) {
        command.push_str(" || true");
    }
    inputs.idle(
        &[
            "verbose",
            "directory",
            "env_vars",
            "slug",
            "root_dir",
            "dry_run",
            "report_type",
            "use_oidc",
            "codecov_yml_path",
            "override_branch",
            "disable_search",
            "plugins",
            "working-directory",
            "exclude",
        ],
        "the uploader's default",
    );
    Some(Native::commands([
        "curl -sSfLo /tmp/codecov https://cli.codecov.io/latest/linux/codecov".to_owned(),
        "chmod +x /tmp/codecov".into(),
        command.replace(" --disable-search=false", ""),
    ]))
}

fn coveralls(inputs: &mut Inputs<'_>) -> Option<Native> {
    let file = inputs.word("file").or_else(|| inputs.word("path-to-lcov")).unwrap_or_default();
    inputs.take("github-token");
    inputs.idle(
        &["parallel", "parallel-finished", "flag-name", "format", "base-path", "debug"],
        "the reporter's default",
    );
    Some(
        Native::commands([
            "curl -sSfL https://coveralls.io/coveralls-linux.tar.gz | tar -xz -C /usr/local/bin".to_owned(),
            format!("coveralls report {file}").trim_end().to_owned(),
        ])
        .differs("needs COVERALLS_REPO_TOKEN"),
    )
}

fn golangci(inputs: &mut Inputs<'_>) -> Option<Native> {
    let version = inputs.inside("version").filter(|version| version != "latest");
    let version = version.map(|version| format!(" {version}")).unwrap_or_default();
    let arguments = inputs.plain("args").map(|arguments| format!(" {arguments}")).unwrap_or_default();
    let directory = inputs.word("working-directory");
    inputs.idle(
        &[
            "only-new-issues",
            "skip-cache",
            "skip-pkg-cache",
            "skip-build-cache",
            "github-token",
            "install-mode",
            "problem-matchers",
            "skip-save-cache",
            "verify",
            "skip-go-installation",
        ],
        "the whole tree is looked at",
    );
    let run = match directory {
        Some(directory) => format!("(cd {directory} && golangci-lint run{arguments})"),
        None => format!("golangci-lint run{arguments}"),
    };
    Some(Native::commands([
        format!(
            "curl -sSfL https://raw.githubusercontent.com/golangci/golangci-lint/HEAD/install.sh | sh -s -- -b /usr/local/bin{version}"
        ),
        run,
    ]))
}

fn docker_run(image: &str, inputs: &mut Inputs<'_>, names: &[&str]) -> Native {
    inputs.idle(names, "the image's default");
    let command = format!("docker run --rm -v \"$CODEBUILD_SRC_DIR:/tmp/lint\" -e RUN_LOCAL=true {image}");
    Native { privileged: true, ..Native::commands([command]) }
        .differs("variables of the step must be added to `docker run` with `-e`")
}

fn super_linter(inputs: &mut Inputs<'_>) -> Option<Native> {
    Some(docker_run("ghcr.io/super-linter/super-linter:latest", inputs, &[]))
}

fn megalinter(inputs: &mut Inputs<'_>) -> Option<Native> {
    Some(docker_run("oxsecurity/megalinter:latest", inputs, &[]))
}

fn yamllint(inputs: &mut Inputs<'_>) -> Option<Native> {
    let file = inputs.plain("file_or_dir").unwrap_or_else(|| ".".into());
    let config = inputs.word("config_file").map(|config| format!(" -c {config}")).unwrap_or_default();
    let data = inputs.word("config_data").map(|data| format!(" -d {data}")).unwrap_or_default();
    let strict = if inputs.flag("strict", false) { " --strict" } else { "" };
    inputs.idle(&["format", "no_warnings"], "yamllint's default");
    Some(Native::commands([
        "pip install yamllint".to_owned(),
        format!("yamllint{strict}{config}{data} {file}"),
    ]))
}

fn trivy(inputs: &mut Inputs<'_>) -> Option<Native> {
    let kind = inputs.plain("scan-type").unwrap_or_else(|| "image".into());
    let target = inputs.word("image-ref").or_else(|| inputs.word("scan-ref")).unwrap_or_else(|| ".".into());
    let mut command = format!("trivy {kind}");
    for (input, option) in [
        ("format", "format"),
        ("output", "output"),
        ("severity", "severity"),
        ("exit-code", "exit-code"),
        ("scanners", "scanners"),
        ("timeout", "timeout"),
        ("template", "template"),
        ("trivyignores", "ignorefile"),
    ] {
        if let Some(value) = inputs.word(input) {
            command.push_str(&format!(" --{option} {value}"));
        }
    }
    if inputs.flag("ignore-unfixed", false) {
        command.push_str(" --ignore-unfixed");
    }
    inputs.idle(
        &[
            "vuln-type",
            "hide-progress",
            "cache-dir",
            "version",
            "cache",
            "limit-severities-for-sarif",
            "skip-dirs",
            "skip-files",
            "trivy-config",
            "github-pat",
        ],
        "trivy's default",
    );
    Some(Native::commands([
        "curl -sSfL https://raw.githubusercontent.com/aquasecurity/trivy/main/contrib/install.sh | sh -s -- -b /usr/local/bin".to_owned(),
        format!("{command} {target}"),
    ]))
}

fn govulncheck(inputs: &mut Inputs<'_>) -> Option<Native> {
    let packages = inputs.plain("go-package").unwrap_or_else(|| "./...".into());
    inputs.idle(
        &[
            "go-version-input",
            "go-version-file",
            "check-latest",
            "cache",
            "repo-checkout",
            "cache-dependency-path",
            "output-format",
            "output-file",
            "work-dir",
        ],
        "the Go of the build",
    );
    Some(Native::commands([
        "go install golang.org/x/vuln/cmd/govulncheck@latest".to_owned(),
        format!("\"$(go env GOPATH | cut -d: -f1)/bin/govulncheck\" {packages}"),
    ]))
}

fn hadolint(inputs: &mut Inputs<'_>) -> Option<Native> {
    let file = inputs.word("dockerfile").unwrap_or_else(|| "Dockerfile".into());
    inputs.idle(
        &[
            "config",
            "recursive",
            "output-file",
            "no-color",
            "no-fail",
            "verbose",
            "format",
            "failure-threshold",
            "override-error",
            "override-warning",
            "override-info",
            "override-style",
            "ignore",
            "trusted-registries",
        ],
        "hadolint's default",
    );
    Some(Native {
        privileged: true,
        ..Native::commands([format!("docker run --rm -i hadolint/hadolint < {file}")])
    })
}

fn shellcheck(inputs: &mut Inputs<'_>) -> Option<Native> {
    let directory = inputs.word("scandir").unwrap_or_else(|| ".".into());
    let severity =
        inputs.plain("severity").map(|severity| format!(" --severity={severity}")).unwrap_or_default();
    inputs.idle(
        &["format", "version", "ignore_paths", "ignore_names", "check_together", "additional_files"],
        "shellcheck's default",
    );
    Some(Native {
        install: vec!["apt-get update".into(), "apt-get install -y shellcheck".into()],
        ..Native::commands([format!("find {directory} -name '*.sh' -exec shellcheck{severity} {{}} +")])
    })
}

fn markdown(inputs: &mut Inputs<'_>) -> Option<Native> {
    let files = inputs.plain("files").unwrap_or_else(|| ".".into());
    let config = inputs.word("config_file").map(|config| format!(" --config {config}")).unwrap_or_default();
    inputs.idle(&["ignore_files", "ignore_path", "rules", "dot"], "markdownlint's default");
    Some(Native::commands([format!("npx --yes markdownlint-cli{config} {files}")]))
}

fn snyk(inputs: &mut Inputs<'_>) -> Option<Native> {
    let command = inputs.plain("command").unwrap_or_else(|| "test".into());
    let arguments = inputs.plain("args").map(|arguments| format!(" {arguments}")).unwrap_or_default();
    inputs.idle(&["json", "sarif"], "snyk's default");
    Some(Native::commands([format!("npx --yes snyk {command}{arguments}")]))
}
