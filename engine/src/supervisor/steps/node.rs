//! The program that runs JavaScript actions.

use std::sync::Arc;

use runspan_agent_protocol::layout;
use runspan_archive::SendFile;

use super::load::ended_early;
use super::{Steps, Stop};
use crate::steps::Architecture;

/// What the container is, as far as programs depend on it.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// As `uname -m` prints it.
    name: String,
    /// Major version of the `node` in `PATH`.
    node: Option<u32>,
    has_musl: bool,
    has_glibc: bool,
}

impl Steps<'_> {
    /// A `node` of at least this major version: the image's own, or one that is brought into the container.
    pub(super) async fn node(&mut self, wanted: u32) -> Result<String, Stop> {
        // Older ones are not maintained; what was written for them runs on this one.
        let wanted = wanted.max(20);
        let machine = self.machine().await?;
        if machine.node.is_some_and(|version| version >= wanted) {
            return Ok("node".into());
        }
        let key = format!("node{wanted}");
        let directory = format!("{}/{key}/bin", layout::STEPS_RUNTIMES);
        let program = format!("{directory}/node");
        if self.job.provided.contains_key(&key) {
            return Ok(program);
        }
        let has = machine.node.map_or_else(String::new, |version| format!(" (it has node {version})"));
        let missing = format!("the action needs node {wanted} or later, which the image does not have{has}");
        let Some(architecture) = Architecture::of_machine(&machine.name) else {
            return Err(Stop::Fault(format!("{missing}, and there is none for {}", machine.name)));
        };
        if !machine.has_glibc {
            let libc = if machine.has_musl { "musl" } else { "no C library that is known" };
            return Err(Stop::Fault(format!(
                "{missing}; one can only be brought into images with glibc, and this one has {libc}: \
                 install node in the image (`apk add nodejs`)"
            )));
        }
        let source = Arc::clone(&self.driver.supervisor.actions);
        let fetched = self.driver.interruptible(source.node(wanted, architecture)).await;
        let file = ended_early(fetched)?.map_err(|error| Stop::Fault(format!("{missing}: {error}")))?;
        let send = Box::new(move |to: &mut dyn SendFile| super::archive::send_program(&file, "node", to));
        self.driver.send_tar(self.session, &directory, false, send).await?;
        self.job.provided.insert(key, directory);
        Ok(program)
    }

    async fn machine(&mut self) -> Result<Machine, Stop> {
        if let Some(machine) = &self.machine {
            return Ok(machine.clone());
        }
        let questions = [
            "$(uname -m)",
            "$(node --version 2>/dev/null)",
            "$(ls /lib/ld-musl-* 2>/dev/null)",
            "$(ls /lib64/ld-linux-* /lib/ld-linux-* /lib/*/ld-linux-* 2>/dev/null)",
        ];
        let answers = self.driver.evaluate(self.session, questions.map(str::to_owned).to_vec()).await?;
        let answer = |index: usize| answers.get(index).map(|text| text.trim()).unwrap_or_default();
        let machine = Machine {
            name: answer(0).to_owned(),
            node: answer(1).trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok()),
            has_musl: !answer(2).is_empty(),
            has_glibc: !answer(3).is_empty(),
        };
        self.machine = Some(machine.clone());
        Ok(machine)
    }
}
