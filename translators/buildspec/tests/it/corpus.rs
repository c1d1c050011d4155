//! Every public buildspec of the shared corpus: what is said of it, and that a second reader agrees.

use std::io::Write as _;
use std::{collections::BTreeMap, fs, path::Path};

use runspan_buildspec::{Artifact, Buildspec, Comments, Phase, Work, parse_bytes, write};
use serde_yaml::Value;

/// Everything that is said of the corpus; each was looked at, and is a fault of the file.
const EXPECTED: &[(&str, &[&str])] = &[
    (
        "0x4447__0x4447_product_s3_email__buildspec.yml",
        &["10:3: warning[empty-phase]: `phases.post_build` has no `commands`"],
    ),
    (
        "Akhilakandadi__akhila_res__buildspec-test.yml",
        &["22:9: error[command-is-map]: YAML reads this command as a map, because of its colon"],
    ),
    (
        "Azamcloudspace__Multi-region-DR-deployment__buildspec-test.yml",
        &["179:18: error[invalid-value]: `reports.test-reports.file-format` cannot be `PLAIN_TEXT`"],
    ),
    ("Dhamodharan8294__bb-automations__buildspec-synth.yml", &["35:10: FILES"]),
    ("PRAuto__live-execution-dashboard__buildspec-test.yml", &["24:5: RUNTIME"]),
    ("PRAuto__live-execution-dashboard__buildspec.yml", &["24:5: RUNTIME"]),
    ("aws-amplify__amplify-category-api__codebuild_specs__amplify_ddb_canary.yml", &["4:3: COMPUTE"]),
    ("aws-amplify__amplify-category-api__codebuild_specs__canary_workflow.yml", &["4:3: COMPUTE"]),
    ("aws-amplify__amplify-category-api__codebuild_specs__default_ddb_canary.yml", &["4:3: COMPUTE"]),
    ("aws-amplify__amplify-category-api__codebuild_specs__e2e_workflow_base.yml", &["4:3: COMPUTE"]),
    ("aws-amplify__amplify-category-api__codebuild_specs__sql_mysql_canary.yml", &["4:3: COMPUTE"]),
    ("aws-amplify__amplify-codegen__.codebuild__canary_workflow.yml", &["4:3: COMPUTE"]),
    ("aws-amplify__amplify-codegen__.codebuild__canary_workflow_base.yml", &["4:3: COMPUTE"]),
    ("aws-amplify__amplify-codegen__.codebuild__deprecate_workflow.yml", &["4:3: COMPUTE"]),
    ("aws-amplify__amplify-codegen__.codebuild__e2e_workflow.yml", &["5:3: COMPUTE"]),
    ("aws-amplify__amplify-codegen__.codebuild__ios_canary_workflow.yml", &["5:3: COMPUTE"]),
    ("aws-amplify__amplify-codegen__.codebuild__pr_workflow.yml", &["4:3: COMPUTE"]),
    ("aws-amplify__amplify-codegen__.codebuild__ts_canary_workflow.yml", &["5:3: COMPUTE"]),
    (
        "aws__amazon-ecs-agent__buildspecs__pr-build-amzn.yml",
        &["112:5: warning[empty-value]: `phases.post_build.commands` holds nothing: it has no effect"],
    ),
    (
        "aws__amazon-ecs-agent__buildspecs__pr-build.yml",
        &["86:5: warning[empty-value]: `phases.post_build.commands` holds nothing: it has no effect"],
    ),
    (
        "awslabs__aws-crt-python__codebuild__cd__manylinux1-tee.yml",
        &["20:5: error[duplicate-key]: the key `commands` stands twice"],
    ),
    (
        "awslabs__aws-crt-python__codebuild__cd__test_version_exists.yml",
        &[
            "7:5: warning[empty-value]: `phases.install.commands` holds nothing: it has no effect",
            "9:5: warning[empty-value]: `phases.pre_build.commands` holds nothing: it has no effect",
        ],
    ),
    ("awslabs__aws-deployment-framework__samples__sample-expunge-vpc__buildspec.yml", &["21:10: FILES"]),
    ("awslabs__aws-deployment-framework__samples__sample-terraform__buildspec.yml", &["23:10: FILES"]),
    (
        "smarigowda__playwright-sample__buildspec.yml",
        &["6:1: warning[unknown-key]: `build-matrix` is not a key of a buildspec"],
    ),
];

const SHORT: &[(&str, &str)] = &[
    (
        "FILES",
        "warning[scalar-for-list]: `artifacts.files` is a list: the single value is taken as a list of one",
    ),
    ("RUNTIME", "warning[unknown-key]: `runtime-version` is not a key of `phases.install`"),
    ("COMPUTE", "warning[unknown-key]: `compute-type` is not a key of `env`"),
];

/// Keys of the corpus that have no effect, and so are not in what is read.
const UNKNOWN: &[&str] = &["build-matrix", "env.compute-type", "phases.install.runtime-version"];

/// Name and bytes of every file; nothing outside the team's own machines.
fn files() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/buildspecs");
    let Ok(entries) = fs::read_dir(&root) else {
        drop(writeln!(
            std::io::stderr(),
            "SKIPPED: the corpus of public buildspecs is not at {}",
            root.display()
        ));
        return Vec::new();
    };
    let file =
        |path: &Path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap());
    let mut files: Vec<_> = entries.map(|entry| file(&entry.unwrap().path())).collect();
    files.sort();
    assert_eq!(files.len(), 209);
    files
}

#[test]
fn every_file_is_judged_rightly() {
    let expected: BTreeMap<_, _> = EXPECTED.iter().copied().collect();
    for (name, bytes) in files() {
        let mut told: Vec<_> = parse_bytes(&bytes).diagnostics.iter().map(ToString::to_string).collect();
        for (short, long) in SHORT {
            told.iter_mut().for_each(|line| *line = line.replace(long, short));
        }
        assert_eq!(told, expected.get(name.as_str()).copied().unwrap_or_default(), "{name}");
    }
}

/// The tree of `serde_yaml`, as text by path.
fn leaves(value: &Value, path: &str, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Bool(flag) => drop(into.insert(path.into(), flag.to_string())),
        Value::Number(number) => drop(into.insert(path.into(), number.to_string())),
        Value::String(text) => drop(into.insert(path.into(), text.clone())),
        Value::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{path}[{index}]"), into);
            }
        }
        Value::Mapping(map) => {
            for (key, value) in map {
                let key = key.as_str().unwrap();
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                if !UNKNOWN.contains(&path.as_str()) {
                    leaves(value, &path, into);
                }
            }
        }
        Value::Tagged(tagged) => leaves(&tagged.value, path, into),
    }
}

/// As the second reader has it; numbers, truth values and words as one spelling.
fn second_reading(source: &str) -> BTreeMap<String, String> {
    let mut value: Value = serde_yaml::from_str(source).unwrap();
    value.apply_merge().unwrap();
    let mut leaves_of = BTreeMap::new();
    leaves(&value, "", &mut leaves_of);
    let flag = |path: &str| {
        ["discard-paths", "git-credential-helper", "privileged-mode", "fast-fail"]
            .iter()
            .any(|key| path.ends_with(key))
    };
    leaves_of
        .into_iter()
        .map(|(path, text)| {
            let text = match text.as_str() {
                "yes" if flag(&path) => "true".into(),
                "no" if flag(&path) => "false".into(),
                _ if path.ends_with("file-format") => text.to_uppercase(),
                _ => text.parse::<f64>().map_or(text, |number| number.to_string()),
            };
            (if path == "artifacts.files" { "artifacts.files[0]".into() } else { path }, text)
        })
        .collect()
}

/// The parts that matter most, straight from the model.
fn first_reading(buildspec: &Buildspec) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    let mut list = |path: &str, items: &[String]| {
        for (index, item) in items.iter().enumerate() {
            texts.insert(format!("{path}[{index}]"), item.clone());
        }
    };
    let phases = &buildspec.phases;
    for (name, phase) in [
        ("install", &phases.install),
        ("pre_build", &phases.pre_build),
        ("build", &phases.build),
        ("post_build", &phases.post_build),
    ] {
        let Some(Phase { work: Work::Commands(commands), finally, .. }) = phase else { continue };
        list(&format!("phases.{name}.commands"), commands);
        list(&format!("phases.{name}.finally"), finally);
    }
    if let Some(artifacts) = &buildspec.artifacts {
        let Artifact { files, exclude_paths, .. } = &artifacts.primary;
        list("artifacts.files", files);
        list("artifacts.exclude-paths", exclude_paths);
    }
    if let Some(cache) = &buildspec.cache {
        list("cache.paths", &cache.paths);
    }
    list("env.exported-variables", &buildspec.env.exported_variables);
    let env = &buildspec.env;
    for (name, map) in [
        ("variables", &env.variables),
        ("parameter-store", &env.parameter_store),
        ("secrets-manager", &env.secrets_manager),
    ] {
        texts.extend(map.iter().map(|(key, text)| (format!("env.{name}.{key}"), text.clone())));
    }
    texts
}

#[test]
fn a_second_reader_agrees() {
    let mut compared = 0;
    for (name, bytes) in files() {
        let Some(buildspec) = parse_bytes(&bytes).buildspec else { continue };
        let source = std::str::from_utf8(&bytes).unwrap();
        let second = second_reading(source);
        for (path, text) in first_reading(&buildspec) {
            let text = text.parse::<f64>().map_or(text, |number| number.to_string());
            assert_eq!(second.get(&path), Some(&text), "{name}: {path}");
            compared += 1;
        }
        // Everything, by way of what is written.
        assert_eq!(second_reading(&write(&buildspec, &Comments::default())), second, "{name}");
    }
    assert!(compared == 0 || compared > 2_500, "only {compared} texts were compared");
}

#[test]
fn what_is_read_is_written_and_read_again() {
    for (name, bytes) in files() {
        let Some(buildspec) = parse_bytes(&bytes).buildspec else { continue };
        let written = write(&buildspec, &Comments::default());
        let again = parse_bytes(written.as_bytes());
        assert_eq!(again.buildspec, Some(buildspec), "{name}\n{written}");
    }
}
