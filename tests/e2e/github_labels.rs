//! CodeBuild's labels in `runs-on`: a job in the clothes of a project.

use fake_github::model::{Conclusion, Push};

use crate::github_bench::{Bench, quick};

const BUILDSPEC: &str = "
version: 0.2
env:
  variables: {OF_BUILDSPEC: seen}
phases:
  install: {commands: ['echo \"install with $OF_PROJECT\"', 'export CARRIED=carried']}
  build: {commands: ['echo never']}
  post_build: {commands: ['echo \"post after $CODEBUILD_BUILD_SUCCEEDING\"']}
artifacts: {files: ['**/*']}
";

fn workflow(labels: &str) -> String {
    format!(
        "on: push\njobs:\n  build:\n    runs-on: [{labels}]\n    steps:\n      - run: echo \"step $OF_BUILDSPEC $OF_PROJECT $CARRIED $CODEBUILD_BUILD_ID\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_as_its_project_says() {
    let bench = Bench::new(quick()).await;
    let labels = "codebuild-web-7-1,buildspec-override:true,instance-size:small";
    bench.register(&["--name", "one", "--labels", labels]);
    bench.register(&[
        "--name",
        "two",
        "--labels",
        "codebuild-web-8-1,buildspec-override:true,instance-sze:small",
    ]);
    bench.register(&["--name", "three", "--labels", "codebuild-gone-9-1,buildspec-override:true"]);
    let projects = bench.state().join("projects");
    std::fs::create_dir_all(&projects).unwrap();
    let project = r#"{"source": {"type": "GITHUB", "location": "https://github.com/octo/hello", "buildspec": "ci/buildspec.yml"},
        "environment": {"environmentVariables": [{"name": "OF_PROJECT", "value": "here"}]},
        "artifacts": {"type": "S3", "location": "bucket"}}"#;
    std::fs::write(projects.join("web.json"), project).unwrap();
    bench.github.change(|github| {
        github.push(&Push::new("octo/hello", [("ci/buildspec.yml", BUILDSPEC)])).unwrap();
    });
    let _serving = bench.serve();

    let run = bench.push_with(&[("ci/buildspec.yml", BUILDSPEC)], &workflow(labels));
    assert_eq!(bench.conclusion(run).await, Conclusion::Success, "{}", bench.said());
    let log = bench.log(&bench.job(run));
    for text in ["install with here", "step seen here carried web:", "post after 1"] {
        assert!(log.contains(text), "{text}: {log}");
    }
    assert!(!log.contains("never"), "{log}");

    for (labels, said) in [
        (
            "codebuild-web-8-1,'buildspec-override:true','instance-sze:small'",
            "`instance-sze:small` is not known",
        ),
        ("codebuild-gone-9-1,'buildspec-override:true'", "needs the project `gone`"),
    ] {
        let run = bench.push(&workflow(labels));
        assert_eq!(bench.conclusion(run).await, Conclusion::Failure, "{}", bench.said());
        let job = bench.job(run);
        let told = job.annotations.iter().any(|annotation| annotation.message.contains(said));
        assert!(told, "{:?}", job.annotations);
    }
    assert_eq!(bench.violations(), Vec::<String>::new());
}
