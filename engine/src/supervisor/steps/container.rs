//! Actions that are containers: each runs beside the build's own, with its files and its network.

use std::fs::File;
use std::io;

use indexmap::IndexMap;
use runspan_agent_protocol::{
    Collect, CollectLog, CompanionProcess, ORDER_VARIABLE, Order, Packaging, Variable, layout,
};
use runspan_archive::ReceiveFile;
use runspan_expressions::Value;

use super::load::{Loaded, ended_early};
use super::process::{Finished, Process};
use super::run::{Done, Running};
use super::{Frame, Steps, Stop};
use crate::executor::{RootFs, Tuning};
use crate::steps::{Asked, ContainerRun, DockerAction, Post, PostWork, words};
use crate::supervisor::companions::Companion;
use crate::supervisor::upload::Again;

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
        let run = ContainerRun {
            image: image.to_owned(),
            built_from: None,
            entrypoint: given.get("entrypoint").cloned(),
            args: given.get("args").map(|args| words(args)),
            names: self.names(running, &inputs),
        };
        self.container(frame, running, &running.name, &run, inputs).await
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
        let mut args = inputs.get("args").map(|own| words(own));
        if args.is_none() && !docker.args.is_empty() {
            let mut evaluated = Vec::new();
            for text in &docker.args {
                evaluated.push(self.text(&inner, &running.env, text).await?);
            }
            args = Some(evaluated);
        }
        for (name, text) in &docker.env {
            let value = self.text(&inner, &running.env, text).await?;
            environment.push((name.clone(), value));
        }
        let (image, built_from) = match docker.image.strip_prefix("docker://") {
            Some(image) => (image.to_owned(), None),
            None => {
                let path = format!("{}/{}", loaded.directory, docker.image);
                (self.built_name(&path), Some(path))
            }
        };
        let names = self.names(running, &environment);
        let run = |entrypoint: Option<String>| ContainerRun {
            image: image.clone(),
            built_from: built_from.clone(),
            entrypoint,
            args: args.clone(),
            names: names.clone(),
        };
        if let Some(pre) = &docker.pre_entrypoint {
            let title = format!("Pre {}", running.name);
            let pre = run(Some(pre.clone()));
            let done = self.container(frame, running, &title, &pre, environment.clone()).await?;
            if done.reason.is_some() {
                return Ok(done);
            }
        }
        if let Some(post) = &docker.post_entrypoint {
            self.job.posts.push(Post {
                index: frame.id.index,
                name: running.name.clone(),
                condition: docker.post_if.clone(),
                work: PostWork::Container(run(Some(post.clone()))),
                environment: environment.clone(),
                state: Vec::new(),
            });
        }
        let main = run(inputs.get("entrypoint").cloned().or_else(|| docker.entrypoint.clone()));
        self.container(frame, running, &running.name, &main, environment).await
    }

    /// Names of all variables that a container is to see.
    fn names(&self, running: &Running, environment: &[(String, String)]) -> Vec<String> {
        let github =
            self.fixed.github().into_iter().map(|(name, _)| format!("GITHUB_{}", name.to_uppercase()));
        let runner =
            self.fixed.runner().into_iter().map(|(name, _)| format!("RUNNER_{}", name.to_uppercase()));
        let own = running.env.keys().cloned().chain(environment.iter().map(|(name, _)| name.clone()));
        let services = self.contexts.action_variables.iter().map(|variable| variable.name.clone());
        let files = ["ENV", "PATH", "OUTPUT", "STATE", "STEP_SUMMARY"].map(|name| format!("GITHUB_{name}"));
        let always = ["CI".to_owned(), "GITHUB_ACTIONS".to_owned()];
        let mut names: Vec<String> =
            own.chain(github).chain(runner).chain(services).chain(files).chain(always).collect();
        // Theirs is another.
        names.retain(|name| name != "HOME");
        names.sort();
        names.dedup();
        names
    }

    async fn container(
        &mut self,
        frame: &Frame,
        running: &Running,
        title: &str,
        run: &ContainerRun,
        environment: Vec<(String, String)>,
    ) -> Result<Done, Stop> {
        let finished = self.run_beside(frame, running, title, run, environment).await?;
        Ok(Done::of(finished.report.outputs, finished.failure))
    }

    /// Runs a process in a container of its own, which is gone afterwards.
    pub(super) async fn run_beside(
        &mut self,
        frame: &Frame,
        running: &Running,
        title: &str,
        run: &ContainerRun,
        environment: Vec<(String, String)>,
    ) -> Result<Finished, Stop> {
        self.job.containers += 1;
        let companion = format!("a{}", self.job.containers);
        let root = self.root_of(run).await?;
        let context = match &root {
            RootFs::Built { context, .. } => Some(context.clone()),
            _ => None,
        };
        // One whose end a dead supervisor has heard of is not made anew.
        if !self.session.is_answered(self.driver.upcoming_request_id()) {
            let wanted = Companion {
                name: companion.clone(),
                root,
                login: None,
                limits: self.driver.limits(),
                tuning: Tuning {
                    hosts: self.driver.names_of_companions(&Asked::default()),
                    ..Tuning::default()
                },
                shares_files: true,
            };
            let host = self.session.placement.clone();
            let placed = self.driver.accompany(&host, wanted).await;
            let placed = ended_early(placed)?;
            if let Some(context) = &context {
                // What cannot be removed goes with the build's record.
                let _left = std::fs::remove_file(context);
            }
            placed
                .map_err(|why| Stop::Fault(format!("Failed to initialize container {}: {why}", run.image)))?;
        }
        // Also where a dead supervisor made it, or what comes next would be asked for under other numbers than it was.
        if context.is_some() {
            self.job.images.push(run.image.clone());
        }
        let order = Order::Run { companion: companion.clone(), process: self.process_of(run) };
        let order = serde_json::to_string(&order).map_err(|error| Stop::Fault(error.to_string()))?;
        let mut environment = environment;
        environment.push((ORDER_VARIABLE.to_owned(), order));
        let process = Process {
            title: title.to_owned(),
            commands: vec![vec![layout::AGENT.into(), "--companions".into()]],
            script: None,
            environment,
            directory: None,
            deadline: running.deadline,
            may_fail: running.may_fail,
            is_action: true,
        };
        // Of the image's user, not the build's.
        let run_as = self.run_as.take();
        let finished = self.process(frame, &running.env, process).await;
        self.run_as = run_as;
        self.driver.part_from(&companion).await;
        finished
    }

    /// What runs in the container, which sees the build's files where GitHub's containers see them.
    fn process_of(&self, run: &ContainerRun) -> CompanionProcess {
        let temp = layout::STEPS_TEMP;
        let links = [
            ("/github/workspace", self.driver.dirs.primary.clone()),
            ("/github/home", format!("{temp}/_github_home")),
            ("/github/workflow", format!("{temp}/_github_workflow")),
            ("/github/file_commands", format!("{temp}/_runner_file_commands")),
            ("/github/runner_temp", temp.to_owned()),
        ];
        CompanionProcess {
            entrypoint: run.entrypoint.as_deref().filter(|text| !text.is_empty()).map(words),
            arguments: run.args.clone(),
            environment: vec![Variable::new("HOME", "/github/home")],
            pass: run.names.clone(),
            directory: Some("/github/workspace".into()),
            user: None,
            links: links.into_iter().map(|(path, target)| (path.to_owned(), target)).collect(),
        }
    }

    /// A name for what comes of a Dockerfile, the same for the same one.
    fn built_name(&self, path: &str) -> String {
        let name: String = path
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        let end: String = name.chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect();
        format!("runspan-action/{}:{}", self.driver.build.id.uuid(), end.trim_matches('-'))
    }

    /// The image of a run; that of a Dockerfile is made once.
    async fn root_of(&mut self, run: &ContainerRun) -> Result<RootFs, Stop> {
        let Some(path) = run.built_from.as_ref().filter(|_| !self.job.images.contains(&run.image)) else {
            let root = RootFs::named(&run.image);
            return match root.is_local() {
                true => {
                    Err(Stop::Fault(format!("`docker://{}` is no image; name one of a registry", run.image)))
                }
                false => Ok(root),
            };
        };
        let (directory, dockerfile) = path.rsplit_once('/').unwrap_or((".", path));
        let context = self.driver.dir.root().join(format!("context-{}.tar", self.job.containers));
        let collect = Collect {
            base_directory: directory.to_owned(),
            files: vec!["**/*".into()],
            exclude: Vec::new(),
            discard_paths: false,
            keep_symlinks: true,
            absolute_names: false,
            packaging: Packaging::Tar,
            log: CollectLog::Quiet,
            search_seconds: 0,
            unless_unchanged: false,
        };
        let file = context.clone();
        let receive =
            move |from: &mut dyn ReceiveFile| -> io::Result<u64> { io::copy(from, &mut File::create(file)?) };
        let (_, received) =
            self.driver.collect(self.session, collect, Again::UnlessFollowed, receive).await?;
        if let Some(Err(error)) = received {
            return Err(Stop::Fault(format!("the files of {path} could not be had: {error}")));
        }
        Ok(RootFs::Built { context, dockerfile: dockerfile.to_owned(), name: run.image.clone() })
    }
}
