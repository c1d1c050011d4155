//! Actions that are containers: run by the container engine that the build itself has.

use indexmap::IndexMap;
use runspan_expressions::Value;

use super::load::Loaded;
use super::process::Process;
use super::run::{Done, Running};
use super::{Frame, Steps, Stop};
use crate::steps::{DockerAction, Post, PostWork, shell, words};

/// What is run before anything else: a build without an engine of its own hears what to do.
const NEEDS_ENGINE: &str = "\
if ! docker version >/dev/null 2>&1; then
  echo '::error::This step runs a container, and the build has no container engine: use an image with Docker in it and start its daemon in an earlier step (`--executor docker --privileged`); the sandbox has none'
  exit 1
fi
";

/// A container of an action.
struct Run {
    image: String,
    /// Made from this Dockerfile in this directory.
    built_from: Option<(String, String)>,
    entrypoint: Option<String>,
    args: Vec<String>,
    /// Names of variables that it gets.
    names: Vec<String>,
}

impl Run {
    fn script(&self) -> String {
        let mut script = NEEDS_ENGINE.to_owned();
        if let Some((dockerfile, directory)) = &self.built_from {
            script.push_str(&format!(
                "docker build -t {} -f {} {} || exit 1\n",
                quoted(&self.image),
                quoted(&format!("{directory}/{dockerfile}")),
                quoted(directory)
            ));
        }
        script.push_str("docker run --rm --workdir /github/workspace");
        for name in &self.names {
            script.push_str(&format!(" -e {}", quoted(name)));
        }
        for file in ["GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"] {
            script.push_str(&format!(" -e {file}=\"/github/file_commands/${{{file}##*/}}\""));
        }
        script.push_str(
            " -e HOME=/github/home -e GITHUB_WORKSPACE=/github/workspace -e RUNNER_TEMP=/github/runner_temp \
             -e GITHUB_EVENT_PATH=/github/workflow/event.json -e GITHUB_ACTIONS=true -e CI=true \
             -v \"$GITHUB_WORKSPACE\":/github/workspace -v \"$RUNNER_TEMP\":/github/runner_temp \
             -v \"$RUNNER_TEMP/_github_home\":/github/home -v \"$RUNNER_TEMP/_github_workflow\":/github/workflow \
             -v \"$RUNNER_TEMP/_runner_file_commands\":/github/file_commands",
        );
        if let Some(entrypoint) = &self.entrypoint {
            script.push_str(&format!(" --entrypoint {}", quoted(entrypoint)));
        }
        script.push_str(&format!(" {}", quoted(&self.image)));
        for argument in &self.args {
            script.push_str(&format!(" {}", quoted(argument)));
        }
        script.push('\n');
        script
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

impl Steps<'_> {
    /// `uses: docker://image`.
    pub(super) async fn image(
        &mut self,
        frame: &Frame,
        running: &Running,
        image: &str,
        given: &IndexMap<String, String>,
    ) -> Result<Done, Stop> {
        let inputs = given
            .iter()
            .map(|(name, value)| (format!("INPUT_{}", name.replace(' ', "_").to_uppercase()), value.clone()));
        let inputs: Vec<(String, String)> = inputs.collect();
        let run = Run {
            image: image.to_owned(),
            built_from: None,
            entrypoint: given.get("entrypoint").cloned(),
            args: given.get("args").map(|args| words(args)).unwrap_or_default(),
            names: self.names(running, &inputs),
        };
        self.container(frame, running, &running.name, run.script(), inputs).await
    }

    /// An action with `using: docker`.
    pub(super) async fn docker_action(
        &mut self,
        frame: &Frame,
        running: &Running,
        loaded: &Loaded,
        docker: &DockerAction,
        inputs: IndexMap<String, String>,
        mut environment: Vec<(String, String)>,
    ) -> Result<Done, Stop> {
        let values = inputs.iter().map(|(name, value)| (name.as_str(), Value::from(value.as_str())));
        let inner = Frame {
            id: frame.id,
            nested: true,
            depth: frame.depth + 1,
            records: frame.records.clone(),
            inputs: Some(Value::object(values)),
            overlay: frame.overlay.clone(),
            status: frame.status,
            action: frame.action.clone(),
            deadline: running.deadline,
        };
        let mut args = Vec::new();
        match inputs.get("args") {
            Some(own) => args = words(own),
            None => {
                for text in &docker.args {
                    args.push(self.text(&inner, &running.env, text).await?);
                }
            }
        }
        for (name, text) in &docker.env {
            let value = self.text(&inner, &running.env, text).await?;
            environment.push((name.clone(), value));
        }
        let (image, built_from) = match docker.image.strip_prefix("docker://") {
            Some(image) => (image.to_owned(), None),
            None => {
                let build = self.driver.build.id.uuid();
                let image = format!("runspan-action:{build}-{}", frame.id.index);
                (image, Some((docker.image.clone(), loaded.directory.clone())))
            }
        };
        let names = self.names(running, &environment);
        let run = |entrypoint: &Option<String>, args: Vec<String>| Run {
            image: image.clone(),
            built_from: built_from.clone(),
            entrypoint: entrypoint.clone(),
            args,
            names: names.clone(),
        };
        if let Some(pre) = &docker.pre_entrypoint {
            let script = run(&Some(pre.clone()), args.clone()).script();
            let title = format!("Pre {}", running.name);
            let done = self.container(frame, running, &title, script, environment.clone()).await?;
            if done.reason.is_some() {
                return Ok(done);
            }
        }
        if let Some(post) = &docker.post_entrypoint {
            self.job.posts.push(Post {
                index: frame.id.index,
                name: running.name.clone(),
                condition: docker.post_if.clone(),
                work: PostWork::Container { script: run(&Some(post.clone()), args.clone()).script() },
                environment: environment.clone(),
                state: Vec::new(),
            });
        }
        let entrypoint = inputs.get("entrypoint").cloned().or_else(|| docker.entrypoint.clone());
        let script = run(&entrypoint, args).script();
        self.container(frame, running, &running.name, script, environment).await
    }

    /// Names of all variables that a container is to see.
    fn names(&self, running: &Running, environment: &[(String, String)]) -> Vec<String> {
        let github =
            self.fixed.github().into_iter().map(|(name, _)| format!("GITHUB_{}", name.to_uppercase()));
        let runner =
            self.fixed.runner().into_iter().map(|(name, _)| format!("RUNNER_{}", name.to_uppercase()));
        let own = running.env.keys().cloned().chain(environment.iter().map(|(name, _)| name.clone()));
        let services = self.contexts.action_variables.iter().map(|variable| variable.name.clone());
        let mut names: Vec<String> = own.chain(github).chain(runner).chain(services).collect();
        names.sort();
        names.dedup();
        names
    }

    async fn container(
        &mut self,
        frame: &Frame,
        running: &Running,
        title: &str,
        script: String,
        environment: Vec<(String, String)>,
    ) -> Result<Done, Stop> {
        let shelled = shell(Some("sh"), &script).map_err(Stop::Fault)?;
        let process = Process {
            title: title.to_owned(),
            commands: shelled.commands,
            script: Some(shelled.script),
            environment,
            directory: None,
            deadline: running.deadline,
            may_fail: running.may_fail,
            is_action: true,
        };
        let finished = self.process(frame, &running.env, process).await?;
        Ok(Done::of(finished.report.outputs, finished.failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_an_action_is_text_for_the_shell() {
        let run = Run {
            image: "a b".into(),
            built_from: None,
            entrypoint: Some("/x y".into()),
            args: vec!["it's $HOME".into()],
            names: vec!["INPUT_A-B".into()],
        };
        let script = run.script();
        assert!(script.ends_with(" --entrypoint '/x y' 'a b' 'it'\\''s $HOME'\n"), "{script}");
        assert!(script.contains(" -e 'INPUT_A-B' "), "{script}");
    }

    /// What a `docker` in the build is called with.
    fn called(run: &Run, works: bool) -> (bool, String) {
        let place = tempfile::tempdir().unwrap();
        let docker = place.path().join("docker");
        let text = format!("#!/bin/sh\n{works}; ok=$?\nfor a in \"$@\"; do echo \"<$a>\"; done\nexit $ok\n");
        std::fs::write(&docker, text).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&docker, executable).unwrap();
        let output = std::process::Command::new("sh")
            .args(["-ec", &run.script()])
            .env("PATH", format!("{}:/usr/bin:/bin", place.path().display()))
            .envs([
                ("GITHUB_OUTPUT", "/t/_runner_file_commands/set_output_7"),
                ("GITHUB_WORKSPACE", "/s r c"),
            ])
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).replace('\n', ""))
    }

    #[test]
    fn an_engine_is_called_as_github_calls_it() {
        let run = Run {
            image: "runspan-action:b-1".into(),
            built_from: Some(("Dockerfile".into(), "/a/b".into())),
            entrypoint: None,
            args: vec!["x y".into(), String::new()],
            names: vec!["INPUT_WHO".into()],
        };
        let (ended_well, calls) = called(&run, true);
        assert!(ended_well, "{calls}");
        for part in [
            "<build><-t><runspan-action:b-1><-f></a/b/Dockerfile></a/b>",
            "<run><--rm><--workdir></github/workspace><-e><INPUT_WHO>",
            "<-e><GITHUB_OUTPUT=/github/file_commands/set_output_7>",
            "<-v></s r c:/github/workspace>",
            "<runspan-action:b-1><x y><>",
        ] {
            assert!(calls.contains(part), "{part} is not in {calls}");
        }
        let (ended_well, calls) = called(&run, false);
        assert!(!ended_well && calls.contains("::error::This step runs a container"), "{calls}");
    }
}
