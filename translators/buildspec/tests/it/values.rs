//! What is read, key by key.

use indexmap::IndexMap;
use runspan_buildspec::{
    Artifact, Batch, BatchBuild, BatchEnv, BatchPlan, Buildspec, Cache, CacheAction, Matrix, OnFailure,
    Phase, Proxy, Report, ReportFormat, Shell, Step, StepAction, Version, Work, parse,
};

fn read(source: &str) -> Buildspec {
    let parsed = parse(source);
    assert_eq!(parsed.diagnostics, [], "{source}");
    parsed.buildspec.unwrap()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn map(pairs: &[(&str, &str)]) -> IndexMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn every_key_of_version_0_2() {
    let buildspec = read(
        r#"
version: 0.2
run-as: ci
env:
  shell: bash
  variables: { STAGE: "dev" }
  parameter-store: { DB_PW: /CodeBuild/db }
  secrets-manager: { TOKEN: "prod/api:token:AWSCURRENT" }
  exported-variables: [ IMAGE_TAG ]
  git-credential-helper: yes
proxy:
  upload-artifacts: no
  logs: yes
phases:
  install:
    runtime-versions: { nodejs: 22, python: 3.10 }
    commands: [ "npm ci" ]
  pre_build:
    run-as: root
    on-failure: ABORT
    commands: [ "IMAGE_TAG=$(git rev-parse --short HEAD)" ]
  build:
    on-failure: RETRY-2-.*ECONNRESET.*
    commands:
      - |
        npm test
        npm run lint
    finally: [ "ls -l reports" ]
  post_build:
    on-failure: CONTINUE
    steps:
      - id: up
        name: Upload
        if: success()
        uses: a/b@v1
        with: { retries: 3 }
        env: { A: b }
        continue-on-error: true
        timeout-minutes: 5
      - run: make
        shell: sh
        working-directory: sub
reports:
  unit: { files: [ "reports/*.xml" ], file-format: cobertUraXml, base-directory: r, discard-paths: yes }
artifacts:
  files: [ "**/*" ]
  base-directory: dist
  exclude-paths: [ "**/*.map" ]
  enable-symlinks: yes
  discard-paths: no
  s3-prefix: p
  name: app-$(date +%Y%m%d)
  secondary-artifacts:
    docs: { files: [ "*" ], base-directory: docs }
cache:
  key: npm-$(codebuild-hash-files package-lock.json)
  fallback-keys: [ "npm-" ]
  action: save
  paths: [ "/root/.npm/**/*" ]
"#,
    );
    assert_eq!(buildspec.version, Version::V0_2);
    assert_eq!(buildspec.run_as.as_deref(), Some("ci"));
    assert_eq!(buildspec.env.shell, Some(Shell::Bash));
    assert_eq!(buildspec.env.variables, map(&[("STAGE", "dev")]));
    assert_eq!(buildspec.env.parameter_store, map(&[("DB_PW", "/CodeBuild/db")]));
    assert_eq!(buildspec.env.secrets_manager, map(&[("TOKEN", "prod/api:token:AWSCURRENT")]));
    assert_eq!(buildspec.env.exported_variables, ["IMAGE_TAG"]);
    assert_eq!(buildspec.env.git_credential_helper, Some(true));
    assert_eq!(buildspec.proxy, Some(Proxy { upload_artifacts: Some(false), logs: Some(true) }));
    let commands = |commands: &[&str]| Work::Commands(texts(commands));
    let phases = buildspec.phases;
    assert_eq!(
        phases.install,
        Some(Phase {
            runtime_versions: map(&[("nodejs", "22"), ("python", "3.10")]),
            work: commands(&["npm ci"]),
            ..Phase::default()
        })
    );
    let pre_build = phases.pre_build.unwrap();
    assert_eq!((pre_build.run_as.as_deref(), pre_build.on_failure), (Some("root"), Some(OnFailure::Abort)));
    assert_eq!(
        phases.build,
        Some(Phase {
            on_failure: Some(OnFailure::Retry { count: 2, pattern: Some(".*ECONNRESET.*".into()) }),
            work: commands(&["npm test\nnpm run lint\n"]),
            finally: texts(&["ls -l reports"]),
            ..Phase::default()
        })
    );
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        phases.post_build.unwrap().work,
        Work::Steps(vec![
            Step {
                id: text("up"),
                condition: text("success()"),
                name: text("Upload"),
                action: StepAction::Uses { uses: "a/b@v1".into(), with: map(&[("retries", "3")]) },
                env: map(&[("A", "b")]),
                continue_on_error: text("true"),
                timeout_minutes: text("5"),
            },
            Step {
                action: StepAction::Run {
                    run: "make".into(),
                    shell: text("sh"),
                    working_directory: text("sub")
                },
                ..Step::default()
            },
        ])
    );
    assert_eq!(
        buildspec.reports["unit"],
        Report {
            files: texts(&["reports/*.xml"]),
            file_format: Some(ReportFormat::CoberturaXml),
            base_directory: text("r"),
            discard_paths: Some(true),
        }
    );
    let artifacts = buildspec.artifacts.unwrap();
    assert_eq!(
        artifacts.primary,
        Artifact {
            files: texts(&["**/*"]),
            name: text("app-$(date +%Y%m%d)"),
            discard_paths: Some(false),
            base_directory: text("dist"),
            exclude_paths: texts(&["**/*.map"]),
            enable_symlinks: Some(true),
            s3_prefix: text("p"),
            kind: None,
        }
    );
    assert_eq!(
        artifacts.secondary["docs"],
        Artifact { files: texts(&["*"]), base_directory: text("docs"), ..Artifact::default() }
    );
    assert_eq!(
        buildspec.cache,
        Some(Cache {
            paths: texts(&["/root/.npm/**/*"]),
            key: text("npm-$(codebuild-hash-files package-lock.json)"),
            fallback_keys: texts(&["npm-"]),
            action: Some(CacheAction::Save),
        })
    );
}

#[test]
fn every_key_of_version_0_1() {
    let buildspec = read(
        "version: 0.1\nenvironment_variables:\n  plaintext:\n    JAVA_HOME: /jdk\nphases:\n  build:\n    \
         commands: [mvn package]\nartifacts:\n  type: zip\n  files: [target/a.jar]\n  discard-paths: yes\n",
    );
    assert_eq!(buildspec.version, Version::V0_1);
    assert_eq!(buildspec.env.variables, map(&[("JAVA_HOME", "/jdk")]));
    assert_eq!(
        buildspec.artifacts.unwrap().primary,
        Artifact {
            files: texts(&["target/a.jar"]),
            discard_paths: Some(true),
            kind: Some("zip".into()),
            ..Artifact::default()
        }
    );
}

#[test]
fn batches() {
    let plan = |source: &str| {
        let Batch { fast_fail, plan } = read(&format!("version: 0.2\nbatch:\n{source}")).batch.unwrap();
        (fast_fail, plan)
    };
    let (fast_fail, graph) = plan(
        "  fast-fail: true\n  build-graph:\n    - identifier: a\n      buildspec: a.yml\n      debug-session: true\n      \
         ignore-failure: false\n      env:\n        compute-type: BUILD_GENERAL1_LARGE\n        image: i\n        \
         privileged-mode: true\n        type: LINUX_CONTAINER\n        variables: { K: 007 }\n    - identifier: b\n      \
         depend-on: [a]\n      env: { fleet: f }\n",
    );
    assert_eq!(fast_fail, Some(true));
    let a = BatchBuild {
        identifier: "a".into(),
        buildspec: Some("a.yml".into()),
        debug_session: Some(true),
        depend_on: Vec::new(),
        env: BatchEnv {
            compute_type: Some("BUILD_GENERAL1_LARGE".into()),
            fleet: None,
            image: Some("i".into()),
            privileged_mode: Some(true),
            kind: Some("LINUX_CONTAINER".into()),
            variables: map(&[("K", "007")]),
        },
        ignore_failure: Some(false),
    };
    let b = BatchBuild {
        identifier: "b".into(),
        depend_on: texts(&["a"]),
        env: BatchEnv { fleet: Some("f".into()), ..BatchEnv::default() },
        ..BatchBuild::default()
    };
    assert_eq!(graph, BatchPlan::Graph(vec![a, b]));
    let (_, matrix) = plan(
        "  build-matrix:\n    static:\n      ignore-failure: true\n      env: { type: T, privileged-mode: true }\n    \
         dynamic:\n      buildspec: [a.yml, b.yml]\n      env:\n        compute-type: [S, L]\n        image: [i, j]\n        \
         fleet: [f]\n        type: [X]\n        privileged-mode: [true, false]\n        variables: { V: [1.10, x] }\n",
    );
    let expected = Matrix {
        ignore_failure: Some(true),
        env: BatchEnv { kind: Some("T".into()), privileged_mode: Some(true), ..BatchEnv::default() },
        buildspec: texts(&["a.yml", "b.yml"]),
        compute_type: texts(&["S", "L"]),
        image: texts(&["i", "j"]),
        fleet: texts(&["f"]),
        kind: texts(&["X"]),
        privileged_mode: vec![true, false],
        variables: IndexMap::from([("V".to_owned(), texts(&["1.10", "x"]))]),
    };
    assert_eq!(matrix, BatchPlan::Matrix(Box::new(expected)));
    let (_, fanout) = plan("  build-fanout: { parallelism: 5, ignore-failure: true }\n");
    assert_eq!(fanout, BatchPlan::Fanout { parallelism: 5, ignore_failure: Some(true) });
}

/// Whatever YAML makes of a value, text is the text of the file.
#[test]
fn texts_are_kept_as_written() {
    for text in [
        "0.2",
        "007",
        "1.10",
        "yes",
        "No",
        "on",
        "0123",
        "0x1F",
        "1e3",
        "1_000",
        "+5",
        "-0",
        ".5",
        "5.",
        "0o17",
        "12:30:45",
        "2001-12-14",
        "2001-12-14t21:59:43.10-05:00",
        ".inf",
        ".NaN",
        "-.Inf",
        "1e999",
        "99999999999999999999999999",
        "true",
        "False",
        "TRUE",
        "Null_",
        "NO",
        "=",
        "a b  c",
        "--flag",
        "http://x/y?z#w",
        "a:b",
        "größe",
        "0b11",
        "1:30",
    ] {
        let source = format!(
            "version: 0.2\nenv:\n  variables:\n    X: {text}\nphases:\n  build:\n    commands:\n      - {text}\n"
        );
        let buildspec = read(&source);
        assert_eq!(buildspec.env.variables["X"], text);
        assert_eq!(buildspec.phases.build.unwrap().work, Work::Commands(texts(&[text])));
    }
}

#[test]
fn quoted_tagged_and_aliased_texts() {
    let buildspec = read(
        "version: 0.2\nenv:\n  variables:\n    A: &a 1.10\n    B: *a\n    C: '~'\n    D: \"\\u00e9\\tx\"\n    E: !!str 010\n    \
         F: !!int \"7\"\n    G: >-\n      folded\n      text\nphases: {build: {commands: [a]}}\n",
    );
    assert_eq!(
        buildspec.env.variables,
        map(&[
            ("A", "1.10"),
            ("B", "1.10"),
            ("C", "~"),
            ("D", "é\tx"),
            ("E", "010"),
            ("F", "7"),
            ("G", "folded text")
        ])
    );
}

/// As libyaml reads it, and so CodeBuild.
#[test]
fn a_block_that_the_end_of_the_file_cuts_off_ends_without_a_line_break() {
    for (end, expected) in [
        ("|\n          a\n          b", "a\nb"),
        ("|\n          a\n          b\n", "a\nb\n"),
        (">\n          a\n          b", "a b"),
        ("\"b\\n\"", "b\n"),
    ] {
        let source = format!("version: 0.2\nphases:\n  build:\n    commands:\n      - {end}");
        assert_eq!(read(&source).phases.build.unwrap().work, Work::Commands(texts(&[expected])), "{source}");
    }
}

#[test]
fn on_failure_forms() {
    let retry =
        |count, pattern: Option<&str>| OnFailure::Retry { count, pattern: pattern.map(str::to_owned) };
    for (text, expected) in [
        ("ABORT", OnFailure::Abort),
        ("CONTINUE", OnFailure::Continue),
        ("RETRY", retry(3, None)),
        ("RETRY-0", retry(0, None)),
        ("RETRY-100", retry(100, None)),
        ("RETRY-.*timeout.*", retry(3, Some(".*timeout.*"))),
        ("RETRY-5-exit status 1", retry(5, Some("exit status 1"))),
        ("RETRY-5xx", retry(3, Some("5xx"))),
        ("RETRY-2-5-x", retry(2, Some("5-x"))),
    ] {
        assert_eq!(text.parse(), Ok(expected.clone()), "{text}");
        assert_eq!(expected.to_string().parse(), Ok(expected), "{text}");
    }
}
