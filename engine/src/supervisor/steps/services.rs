//! Services of a job: started before its first step, shown and removed after its last.

use std::time::Instant;

use runspan_agent_protocol::{
    CompanionProcess, Event as AgentEvent, ORDER_VARIABLE, Order, Service, Stage, StepId, StepResult,
    Variable, layout,
};

use super::load::ended_early;
use super::process::Process;
use super::run::Done;
use super::{Frame, Steps, Stop};
use crate::executor::{RootFs, Tuning};
use crate::steps::{Asked, JobContainer, Variables};
use crate::supervisor::companions::Companion;
use crate::supervisor::session::Interrupt;

/// Steps that are nobody's: their index is no step's.
const CONTAINERS: u32 = u32::MAX;

impl Steps<'_> {
    /// `Initialize containers`.
    pub(super) async fn start_services(&mut self) -> Result<(), Interrupt> {
        if self.contexts.services.is_empty() || self.job.services_started {
            return Ok(());
        }
        self.job.services_started = true;
        self.containers_step(Stage::Pre, "Initialize containers").await
    }

    /// `Stop containers`.
    pub(super) async fn stop_services(&mut self) -> Result<(), Interrupt> {
        if !self.job.services_started {
            return Ok(());
        }
        self.containers_step(Stage::Post, "Stop containers").await?;
        for index in 0..self.contexts.services.len() {
            self.driver.part_from(&companion(index)).await;
        }
        Ok(())
    }

    async fn containers_step(&mut self, stage: Stage, name: &str) -> Result<(), Interrupt> {
        let begin = Instant::now();
        let mut frame = self.root_frame();
        frame.id = StepId { index: CONTAINERS, stage };
        self.pending.push(AgentEvent::StepStarted { step: frame.id, name: name.to_owned() });
        let tried = match stage {
            Stage::Post => self.show_services(&frame, name).await,
            Stage::Pre | Stage::Main => self.place_services(&frame, name).await,
        };
        let done = self.settled(&frame, tried).await?;
        self.conclude_part(frame.id, name.to_owned(), begin, done);
        Ok(())
    }

    async fn place_services(&mut self, frame: &Frame, title: &str) -> Result<Done, Stop> {
        self.tell_pending().await?;
        let mut services = Vec::new();
        let mut taken: Vec<(u16, String)> = Vec::new();
        for (index, (name, container)) in self.contexts.services.clone().into_iter().enumerate() {
            let asked =
                Asked::read(&container).map_err(|why| Stop::Fault(format!("service `{name}`: {why}")))?;
            for port in &asked.ports {
                if let Some((_, other)) = taken.iter().find(|(inside, _)| *inside == port.inside) {
                    return Err(Stop::Fault(format!(
                        "services `{other}` and `{name}` both listen on port {}; services share the network of their \
                         job, so let one listen elsewhere (most images have a variable or an argument for it)",
                        port.inside
                    )));
                }
                taken.push((port.inside, name.clone()));
            }
            services.push(self.place_service(index, &name, &container, asked).await?);
        }
        let finished = self.ask_companions(frame, title, &Order::Start(services)).await?;
        match finished {
            None => Ok(Done::ended(StepResult::Success)),
            Some(_) => Err(Stop::Fault("One or more containers failed to start.".into())),
        }
    }

    async fn place_service(
        &mut self,
        index: usize,
        name: &str,
        container: &JobContainer,
        asked: Asked,
    ) -> Result<Service, Stop> {
        let fault =
            |why: String| Stop::Fault(format!("Failed to initialize container {}: {why}", container.image));
        let root = RootFs::named(&container.image);
        if root.is_local() {
            return Err(fault("it is no image; name one of a registry".into()));
        }
        self.driver.say(self.session, [format!("Starting service `{name}` of image {}", container.image)]);
        let limits = asked.limits(self.driver.limits());
        let hosts = self.driver.names_of_companions(&Asked::default());
        let wanted = Companion {
            name: companion(index),
            root,
            login: container.registry_login(),
            limits,
            tuning: Tuning { hosts, ..asked.tuning.clone() },
            shares_files: false,
        };
        let host = self.session.placement.clone();
        let placed = self.driver.accompany(&host, wanted).await;
        ended_early(placed)?.map_err(fault)?;
        let env =
            container.env.iter().map(|(name, value)| Variable { name: name.clone(), value: value.clone() });
        let own = asked.env.iter().map(|(name, value)| Variable::new(name.as_str(), value.as_str()));
        let forwards = asked.ports.iter().filter(|port| port.outside != port.inside);
        Ok(Service {
            name: name.to_owned(),
            companion: companion(index),
            forwards: forwards.map(|port| (port.outside, port.inside)).collect(),
            health: asked.health(),
            process: CompanionProcess {
                environment: env.chain(own).collect(),
                entrypoint: asked.entrypoint,
                arguments: asked.arguments,
                directory: asked.directory,
                user: asked.user,
                ..CompanionProcess::default()
            },
        })
    }

    async fn show_services(&mut self, frame: &Frame, title: &str) -> Result<Done, Stop> {
        let names = self.contexts.services.keys().enumerate();
        let services = names.map(|(index, name)| (name.clone(), companion(index))).collect();
        self.ask_companions(frame, title, &Order::Show(services)).await?;
        Ok(Done::ended(StepResult::Success))
    }

    /// Runs an order as a step of the build; why it failed.
    async fn ask_companions(
        &mut self,
        frame: &Frame,
        title: &str,
        order: &Order,
    ) -> Result<Option<String>, Stop> {
        let order = serde_json::to_string(order).map_err(|error| Stop::Fault(error.to_string()))?;
        let process = Process {
            title: title.to_owned(),
            commands: vec![vec![layout::AGENT.into(), "--companions".into()]],
            script: None,
            environment: vec![(ORDER_VARIABLE.into(), order)],
            directory: None,
            deadline: None,
            may_fail: true,
            is_action: true,
        };
        let run_as = self.run_as.take();
        let finished = self.process(frame, &Variables::new(), process).await;
        self.run_as = run_as;
        Ok(finished?.failure)
    }
}

/// Name of the companion that a service is.
pub(super) fn companion(index: usize) -> String {
    format!("s{index}")
}
