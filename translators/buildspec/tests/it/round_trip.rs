//! `parse(write(x)) == x`, and what is written looks as a person would write it.

use indexmap::IndexMap;
use proptest::{collection::vec, option, prelude::*, sample::select};
use runspan_buildspec::{
    Artifact, Artifacts, Batch, BatchBuild, BatchEnv, BatchPlan, Buildspec, Cache, CacheAction, Comments,
    Env, Matrix, OnFailure, Phase, Phases, Proxy, Report, ReportFormat, Shell, Step, StepAction, Version,
    Work, parse, write,
};

const NASTY: &[&str] = &[
    "",
    " ",
    "  lead",
    "trail ",
    "a\n",
    "a\nb",
    "a\nb\n",
    "a\n\n",
    "\na",
    "\n",
    "a\n  b\n c\n",
    "  a\nb",
    "a\n \nb",
    "a\r\nb",
    "\r",
    "a\tb",
    "\ta",
    "\ta\nb",
    "a\n\tb",
    "\u{85}",
    "a\u{85}b",
    "\u{2028}",
    "\u{feff}x",
    "\0",
    "\u{1b}[0m",
    "é",
    "日本 語",
    "🦀",
    "#",
    "# a",
    "a # b",
    "a: b",
    "a:",
    ":a",
    ": a",
    "- a",
    "-a",
    "-",
    "--- a",
    "---",
    "...",
    "? a",
    "?",
    "%a",
    "@a",
    "`a`",
    "'",
    "\"",
    "'a' b",
    "\"a\" b",
    "it's",
    "a\\b",
    "\\",
    "!Ref a",
    "&a",
    "*a",
    "*.txt",
    "**/*",
    "|",
    ">",
    "{a}",
    "[a]",
    "[ -f a ]",
    "a, b",
    "~",
    "null",
    "yes",
    "No",
    "on",
    "OFF",
    "y",
    "true",
    "0",
    "007",
    "1e3",
    "1.10",
    "0x1f",
    "0b1",
    "0o7",
    "1_000",
    "1:30",
    "12:30:45.5",
    "2001-12-14",
    "2001-12-14 21:59:43",
    ".5",
    "5.",
    "+1",
    "-1",
    ".inf",
    "-.INF",
    ".nan",
    "=",
    "<<",
    "echo \"a: b\"",
    "$X ${Y}",
    "set -e\nif x; then\n  y: z # c\nfi\n",
    "a\n# b\n",
    "- a\n- b\n",
    "---\n...\n",
    "a\n\n\nb",
    "\u{fffe}",
    "a  \nb",
    "\u{a0}",
    "x\u{a0}",
];

fn text() -> BoxedStrategy<String> {
    prop_oneof![
        4 => select(NASTY).prop_map(str::to_owned),
        2 => "[ -~]{0,20}",
        1 => "[a-z \n:#'\"-]{0,20}",
        1 => any::<String>(),
    ]
    .boxed()
}

fn texts() -> BoxedStrategy<Vec<String>> {
    vec(text(), 0..4).boxed()
}

fn map<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = IndexMap<String, T>> {
    vec((text(), value), 0..4).prop_map(|entries| entries.into_iter().collect())
}

fn text_map() -> BoxedStrategy<IndexMap<String, String>> {
    map(text()).boxed()
}

fn some_text() -> BoxedStrategy<Option<String>> {
    option::of(text()).boxed()
}

fn flag() -> BoxedStrategy<Option<bool>> {
    option::of(any::<bool>()).boxed()
}

fn env() -> BoxedStrategy<Env> {
    let shell = option::of(select(vec![Shell::Bash, Shell::Sh, Shell::PowerShell, Shell::Cmd]));
    (shell, text_map(), text_map(), text_map(), texts(), flag())
        .prop_map(
            |(
                shell,
                variables,
                parameter_store,
                secrets_manager,
                exported_variables,
                git_credential_helper,
            )| {
                Env {
                    shell,
                    variables,
                    parameter_store,
                    secrets_manager,
                    exported_variables,
                    git_credential_helper,
                }
            },
        )
        .boxed()
}

fn on_failure() -> BoxedStrategy<OnFailure> {
    let pattern = select(vec![".*", "a: b", "# x", "5-y", "3", "-", "^it's \"q\"$", " lead", "\\d+", "yes"]);
    prop_oneof![
        Just(OnFailure::Abort),
        Just(OnFailure::Continue),
        (0..=100_u8, option::of(pattern.prop_map(str::to_owned)))
            .prop_map(|(count, pattern)| OnFailure::Retry { count, pattern }),
    ]
    .boxed()
}

fn step() -> BoxedStrategy<Step> {
    let action = prop_oneof![
        (text(), text_map()).prop_map(|(uses, with)| StepAction::Uses { uses, with }),
        (text(), some_text(), some_text()).prop_map(|(run, shell, working_directory)| StepAction::Run {
            run,
            shell,
            working_directory
        }),
    ];
    (some_text(), some_text(), some_text(), action, text_map(), some_text(), some_text())
        .prop_map(|(id, condition, name, action, env, continue_on_error, timeout_minutes)| Step {
            id,
            condition,
            name,
            action,
            env,
            continue_on_error,
            timeout_minutes,
        })
        .boxed()
}

fn phase(install: bool) -> BoxedStrategy<Option<Phase>> {
    let work = prop_oneof![texts().prop_map(Work::Commands), vec(step(), 0..3).prop_map(Work::Steps)];
    option::of((some_text(), option::of(on_failure()), text_map(), work, texts()).prop_map(
        move |(run_as, on_failure, versions, work, finally)| Phase {
            run_as,
            on_failure,
            runtime_versions: if install { versions } else { IndexMap::new() },
            work,
            finally,
        },
    ))
    .boxed()
}

fn artifact() -> BoxedStrategy<Artifact> {
    (texts(), some_text(), flag(), some_text(), texts(), flag(), some_text(), some_text())
        .prop_map(
            |(
                files,
                name,
                discard_paths,
                base_directory,
                exclude_paths,
                enable_symlinks,
                s3_prefix,
                kind,
            )| {
                Artifact {
                    files,
                    name,
                    discard_paths,
                    base_directory,
                    exclude_paths,
                    enable_symlinks,
                    s3_prefix,
                    kind,
                }
            },
        )
        .boxed()
}

fn report() -> BoxedStrategy<Report> {
    (texts(), option::of(select(ReportFormat::ALL.to_vec())), some_text(), flag())
        .prop_map(|(files, file_format, base_directory, discard_paths)| Report {
            files,
            file_format,
            base_directory,
            discard_paths,
        })
        .boxed()
}

fn cache() -> BoxedStrategy<Cache> {
    let action = option::of(select(vec![CacheAction::Restore, CacheAction::Save]));
    (texts(), some_text(), vec(text(), 0..=5), action)
        .prop_map(|(paths, key, fallback_keys, action)| Cache { paths, key, fallback_keys, action })
        .boxed()
}

fn batch_env() -> BoxedStrategy<BatchEnv> {
    (some_text(), any::<bool>(), some_text(), flag(), some_text(), text_map())
        .prop_map(|(compute, is_fleet, image, privileged_mode, kind, variables)| {
            let (fleet, compute_type) = if is_fleet { (compute, None) } else { (None, compute) };
            BatchEnv { compute_type, fleet, image, privileged_mode, kind, variables }
        })
        .boxed()
}

/// Builds with identifiers of their own, each waiting for earlier ones alone.
fn builds() -> BoxedStrategy<Vec<BatchBuild>> {
    let build = (text(), some_text(), flag(), vec(any::<prop::sample::Index>(), 0..3), batch_env(), flag());
    vec(build, 0..4)
        .prop_map(|builds| {
            let mut out: Vec<BatchBuild> = Vec::new();
            for (index, (name, buildspec, debug_session, depend_on, env, ignore_failure)) in
                builds.into_iter().enumerate()
            {
                let depend_on = depend_on
                    .iter()
                    .filter(|_| index > 0)
                    .map(|other| out[other.index(index)].identifier.clone());
                let depend_on = depend_on.collect();
                let identifier = format!("{name}{index}");
                out.push(BatchBuild { identifier, buildspec, debug_session, depend_on, env, ignore_failure });
            }
            out
        })
        .boxed()
}

fn matrix() -> BoxedStrategy<Matrix> {
    let lists = (texts(), texts(), texts(), texts(), texts());
    (flag(), batch_env(), lists, vec(any::<bool>(), 0..3), map(texts()))
        .prop_map(
            |(
                ignore_failure,
                env,
                (buildspec, compute_type, image, fleet, kind),
                privileged_mode,
                variables,
            )| {
                Matrix {
                    ignore_failure,
                    env,
                    buildspec,
                    compute_type,
                    image,
                    fleet,
                    kind,
                    privileged_mode,
                    variables,
                }
            },
        )
        .boxed()
}

fn batch() -> BoxedStrategy<Batch> {
    let plan = prop_oneof![
        builds().prop_map(BatchPlan::List),
        builds().prop_map(BatchPlan::Graph),
        matrix().prop_map(|matrix| BatchPlan::Matrix(Box::new(matrix))),
        (1..=u32::MAX, flag())
            .prop_map(|(parallelism, ignore_failure)| BatchPlan::Fanout { parallelism, ignore_failure }),
    ];
    (flag(), plan).prop_map(|(fast_fail, plan)| Batch { fast_fail, plan }).boxed()
}

fn buildspec() -> BoxedStrategy<Buildspec> {
    let version = select(vec![Version::V0_1, Version::V0_2]);
    let proxy = (flag(), flag()).prop_map(|(upload_artifacts, logs)| Proxy { upload_artifacts, logs });
    let phases = (phase(true), phase(false), phase(false), phase(false))
        .prop_map(|(install, pre_build, build, post_build)| Phases { install, pre_build, build, post_build });
    let reports = vec((text(), report()), 0..=5).prop_map(|reports| reports.into_iter().collect());
    let artifacts =
        (artifact(), map(artifact())).prop_map(|(primary, secondary)| Artifacts { primary, secondary });
    let head = (version, some_text(), env(), option::of(proxy), option::of(batch()));
    let tail = (phases, reports, option::of(artifacts), option::of(cache()));
    (head, tail)
        .prop_map(|((version, run_as, env, proxy, batch), (phases, reports, artifacts, cache))| Buildspec {
            version,
            run_as,
            env,
            proxy,
            batch,
            phases,
            reports,
            artifacts,
            cache,
        })
        .boxed()
}

fn comments() -> BoxedStrategy<Comments> {
    let paths = [
        "version",
        "env",
        "phases.build",
        "phases.build.commands[0]",
        "phases.build.steps[0].run",
        "cache.paths[1]",
    ];
    (text(), vec((select(paths.to_vec()), text()), 0..6))
        .prop_map(|(header, items)| Comments {
            header,
            items: items.into_iter().map(|(path, text)| (path.to_owned(), text)).collect(),
        })
        .boxed()
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(buildspec in buildspec(), comments in comments()) {
        let written = write(&buildspec, &comments);
        let parsed = parse(&written);
        prop_assert_eq!(parsed.buildspec.as_ref(), Some(&buildspec), "{}\n{:?}", written, parsed.diagnostics);
    }

    #[test]
    fn a_second_reader_takes_every_text_for_text(given in text()) {
        let mut buildspec = Buildspec::default();
        buildspec.env.variables.insert("X".into(), given.clone());
        let written = write(&buildspec, &Comments::default());
        let value: serde_yaml::Value = serde_yaml::from_str(&written).unwrap();
        prop_assert_eq!(value["env"]["variables"]["X"].as_str(), Some(given.as_str()), "{}", written);
    }

    #[test]
    fn no_text_makes_it_panic(source in any::<String>(), bytes in vec(any::<u8>(), 0..200)) {
        for diagnostic in parse(&source).diagnostics {
            runspan_buildspec::render(&diagnostic, "b.yml", &source, false);
        }
        runspan_buildspec::parse_bytes(&bytes);
    }

    #[test]
    fn no_yaml_makes_it_panic(lines in vec("( {0,6})(- |\\? )?[a-z&*!|>'\"\\[\\{#é-]{0,6}(: ?)?[a-z0-9,\\]\\}'\"|>é]{0,5}\r?\n", 0..12)) {
        let source = lines.concat();
        for diagnostic in parse(&source).diagnostics {
            runspan_buildspec::render(&diagnostic, "b.yml", &source, false);
        }
    }
}

#[test]
fn it_looks_as_a_person_would_write_it() {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let mut buildspec = Buildspec { run_as: Some("ci".into()), ..Buildspec::default() };
    buildspec.env.shell = Some(Shell::Bash);
    buildspec.env.variables = IndexMap::from([
        ("STAGE".to_owned(), "dev".to_owned()),
        ("VERSION".to_owned(), "1.10".to_owned()),
        ("DEBUG".to_owned(), "yes".to_owned()),
        ("EMPTY".to_owned(), String::new()),
    ]);
    buildspec.env.git_credential_helper = Some(true);
    buildspec.phases.install = Some(Phase {
        runtime_versions: IndexMap::from([("nodejs".to_owned(), "22".to_owned())]),
        ..Phase::default()
    });
    buildspec.phases.build = Some(Phase {
        on_failure: Some(OnFailure::Retry { count: 2, pattern: Some("timed out".into()) }),
        work: Work::Commands(texts(&[
            "npm ci",
            "if [ -f a ]; then\n  echo \"a: b\" # it's\n\n  exit 1\nfi\n",
            "echo \"a: b\"",
            "echo 'it: is'",
            "[ -f a ] && make",
            "no\nbreak at the end",
        ])),
        finally: texts(&["ls -l"]),
        ..Phase::default()
    });
    buildspec.phases.post_build = Some(Phase {
        work: Work::Steps(vec![Step {
            name: Some("Upload".into()),
            action: StepAction::Uses {
                uses: "a/b@v1".into(),
                with: IndexMap::from([("retries".to_owned(), "3".to_owned())]),
            },
            ..Step::default()
        }]),
        ..Phase::default()
    });
    buildspec.artifacts = Some(Artifacts {
        primary: Artifact {
            files: texts(&["**/*", "dist/app"]),
            discard_paths: Some(false),
            ..Artifact::default()
        },
        ..Artifacts::default()
    });
    let items = [
        ("phases.build.commands[1]", "From `script`.\nApproximate."),
        ("phases.build.commands[2]", "Quoted."),
        ("phases.post_build.steps[0]", "The step."),
        ("phases.post_build.steps[0].name", "Its name."),
        ("artifacts", "What is kept."),
        ("env.variables.STAGE", "Once."),
        ("nowhere", "Not printed."),
    ];
    let comments = Comments {
        header: "Translated from Jenkinsfile.".into(),
        items: items.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect(),
    };
    assert_eq!(
        write(&buildspec, &comments),
        r#"# Translated from Jenkinsfile.
version: 0.2
run-as: ci

env:
  shell: bash
  variables:
    # Once.
    STAGE: dev
    VERSION: '1.10'
    DEBUG: 'yes'
    EMPTY: ""
  git-credential-helper: yes

phases:
  install:
    runtime-versions:
      nodejs: '22'
  build:
    on-failure: RETRY-2-timed out
    commands:
      - npm ci
      # From `script`.
      # Approximate.
      - |
        if [ -f a ]; then
          echo "a: b" # it's

          exit 1
        fi
      # Quoted.
      - 'echo "a: b"'
      - "echo 'it: is'"
      - '[ -f a ] && make'
      - |-
        no
        break at the end
    finally:
      - ls -l
  post_build:
    steps:
      # The step.
      - # Its name.
        name: Upload
        uses: a/b@v1
        with:
          retries: '3'

# What is kept.
artifacts:
  files:
    - '**/*'
    - dist/app
  discard-paths: no
"#
    );
}
