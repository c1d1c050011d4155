//! DOWNLOAD_SOURCE: sources into the container, environment, runtimes, cache.

use std::io::{self, Write};
use std::sync::Arc;

use runspan_agent_protocol::{PhaseEnd, Reply, RunPhase, Unpack, Verb, layout};
use runspan_archive::SendFile;

use super::driver::Driver;
use super::prepare::Prepared;
use super::runtimes::select;
use super::secrets::references;
use super::session::{Interrupt, Session};
use crate::lifecycle::{PhaseOutcome, PhaseType};
use crate::link::SendBlob;
use crate::plan::Plan;
use crate::source;

/// A larger runtimes.yml is none.
const MAX_RUNTIMES_BYTES: u64 = 4 << 20;

impl Driver {
    /// Everything between `Waiting for DOWNLOAD_SOURCE` and the first command, in CodeBuild's order.
    pub(super) async fn download_source(
        &mut self,
        session: &mut Session,
        prepared: Option<Prepared>,
        plan: &Plan,
    ) -> Result<PhaseOutcome, Interrupt> {
        let Some(prepared) = prepared else {
            return Ok(PhaseOutcome::failed("CLIENT_ERROR", "the sources could not be fetched again"));
        };
        if let Some(name) = self.request.lost_secret() {
            let message = format!(
                "the value of the secret {name} is not kept: run the build again with `runspan run --secrets-file FILE`"
            );
            return Ok(PhaseOutcome::failed("CLIENT_ERROR", message));
        }
        let secrets = self.secrets(plan).await?;
        // Known to the agent before it writes a byte, so that it masks them from the first on.
        let mut known = secrets.clone().unwrap_or_default();
        known.extend(self.request.secrets.iter().cloned());
        let configure = self.configure(plan, known, prepared.origin_url.as_deref());
        session.call(self, Verb::Configure(Box::new(configure))).await?;
        self.say(
            session,
            [
                "Waiting for DOWNLOAD_SOURCE".into(),
                "Phase is DOWNLOAD_SOURCE".into(),
                format!("CODEBUILD_SRC_DIR={}", self.dirs.primary),
            ],
        );
        for (directory, source) in &prepared.sources {
            if source.path().is_none() {
                continue;
            }
            let tree = Arc::clone(source);
            self.send_tar(
                session,
                directory,
                false,
                Box::new(move |to| source::send(&tree, to).map(drop).map_err(io::Error::other)),
            )
            .await?;
        }
        if prepared.yaml_location.starts_with(layout::READONLY_DIR) {
            let text = prepared.text.clone();
            let send = move |to: &mut dyn SendFile| one_file(to, "buildspec.yml", text.as_bytes());
            self.send_tar(session, layout::READONLY_DIR, false, Box::new(send)).await?;
        }
        for warning in &prepared.warnings {
            self.warn(warning.as_str())?;
        }
        let kind = self.request.source.kind;
        let mut lines = vec![
            format!("YAML location is {}", prepared.yaml_location),
            format!("Not setting HTTP client timeout for source type {}", kind.name()),
            "Processing environment variables".into(),
        ];
        if !references(plan).is_empty() {
            lines.push("Decrypting parameter store environment variables".into());
        }
        self.say(session, lines);
        if let Err(error) = secrets {
            return Ok(PhaseOutcome::failed(error.status_code, error.message));
        }
        if let Some(failed) = self.select_runtimes(session, plan).await? {
            return Ok(failed);
        }
        self.say(session, [format!("Moving to directory {}", self.dirs.primary)]);
        self.restore_cache(session, plan).await?;
        self.say(session, phases_found(plan));
        Ok(PhaseOutcome::Succeeded)
    }

    /// Agent lines of ours, in order with what commands print.
    pub(super) fn say(&mut self, session: &mut Session, lines: impl IntoIterator<Item = String>) {
        session.tell(self, lines.into_iter().collect());
    }

    /// Unpacks a tar stream in the container.
    pub(super) async fn send_tar(
        &mut self,
        session: &mut Session,
        directory: &str,
        absolute_names: bool,
        send: SendBlob,
    ) -> Result<(u64, u64), Interrupt> {
        let directory = directory.to_owned();
        let unpack = Unpack { directory, absolute_names, owner: None, remember: Vec::new() };
        self.unpack(session, unpack, send).await
    }

    /// [`Self::send_tar`], as this says.
    pub(super) async fn unpack(
        &mut self,
        session: &mut Session,
        unpack: Unpack,
        send: SendBlob,
    ) -> Result<(u64, u64), Interrupt> {
        let id = self.take_request_id();
        session.link.expect_download(id, send);
        let reply = session.call_as(self, id, Verb::Unpack(unpack)).await;
        session.link.forget_blob(id);
        match reply? {
            Reply::Unpacked { files, bytes } => Ok((files, bytes)),
            other => Err(session.unexpected(&other)),
        }
    }

    /// Runs the image's own commands for `runtime-versions`; the outcome when that fails the phase.
    async fn select_runtimes(
        &mut self,
        session: &mut Session,
        plan: &Plan,
    ) -> Result<Option<PhaseOutcome>, Interrupt> {
        let install = plan.phases.iter().find(|planned| planned.phase == PhaseType::Install);
        let Some(install) = install.filter(|install| !install.runtime_versions.is_empty()) else {
            self.say(session, ["No runtime version selected in buildspec.".into()]);
            return Ok(None);
        };
        let read = Verb::ReadFile { path: layout::RUNTIMES.into(), max_bytes: MAX_RUNTIMES_BYTES };
        let file = match session.call(self, read).await? {
            Reply::File(file) => file,
            other => return Err(session.unexpected(&other)),
        };
        let Some(file) = file else {
            let line = "Skipping install of runtimes. Runtime version selection is not supported by this build image.";
            self.say(session, [line.into()]);
            return Ok(None);
        };
        let mut wanted = install.runtime_versions.clone();
        let versions = wanted.iter().map(|(_, version)| version.clone()).collect();
        for ((_, version), expanded) in wanted.iter_mut().zip(self.evaluate(session, versions).await?) {
            *version = expanded;
        }
        let selection = match select(&String::from_utf8_lossy(&file), &wanted) {
            Ok(selection) => selection,
            Err(message) => return Ok(Some(PhaseOutcome::failed("YAML_FILE_ERROR", message))),
        };
        self.say(session, selection.lines);
        let run = RunPhase {
            phase: PhaseType::DownloadSource.name().into(),
            commands: selection.commands.iter().map(|text| text.as_str().into()).collect(),
            finally: Vec::new(),
            run_as: None,
            succeeding: true,
        };
        match session.call(self, Verb::RunPhase(run)).await? {
            Reply::Phase(PhaseEnd::Succeeded) => Ok(None),
            Reply::Phase(PhaseEnd::Ended(reason)) => Err(Interrupt::Ended(reason)),
            Reply::Phase(PhaseEnd::Failed { command, exit }) => {
                Ok(Some(super::driver::command_failed(&command, &exit)))
            }
            other => Err(session.unexpected(&other)),
        }
    }

    /// Texts as the build's shell expands them; those without anything to expand cost nothing.
    pub(super) async fn evaluate(
        &mut self,
        session: &mut Session,
        mut texts: Vec<String>,
    ) -> Result<Vec<String>, Interrupt> {
        let wanted: Vec<usize> =
            (0..texts.len()).filter(|index| texts[*index].contains(['$', '`', '\\'])).collect();
        if wanted.is_empty() {
            return Ok(texts);
        }
        let asked = wanted.iter().map(|index| texts[*index].clone()).collect();
        match session.call(self, Verb::Evaluate(asked)).await? {
            Reply::Texts(expanded) => {
                for (index, text) in wanted.into_iter().zip(expanded) {
                    texts[index] = text;
                }
                Ok(texts)
            }
            other => Err(session.unexpected(&other)),
        }
    }
}

/// `Phases found in YAML: 2` and a line each.
fn phases_found(plan: &Plan) -> Vec<String> {
    let named: Vec<_> = plan.phases.iter().filter(|phase| phase.named).collect();
    let mut lines = vec!["Registering with agent".into(), format!("Phases found in YAML: {}", named.len())];
    lines.extend(named.iter().map(|phase| {
        format!(" {}: {} commands", phase.phase.name(), phase.commands.len() + phase.steps.len())
    }));
    lines
}

fn one_file(to: &mut dyn Write, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let mut tar = tar::Builder::new(to);
    tar.append_data(&mut header, name, bytes)?;
    tar.into_inner().map(drop)
}
