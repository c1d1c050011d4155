//! UPLOAD_ARTIFACTS: artifacts, then reports, then the cache.

use std::fs;
use std::io::Read;
use std::path::Path;

use jiff::Timestamp;
use runspan_agent_protocol::{Collect, CollectLog, Collected, Packaging, Reply, Secret, Verb};
use runspan_archive::{Limits, ReceiveFile};
use runspan_buildspec::ReportFormat;
use tokio::sync::oneshot;
use uuid::Uuid;
use walkdir::WalkDir;

use super::EngineError;
use super::driver::Driver;
use super::outgoing::object_link;
use super::secrets::references;
use super::session::{Interrupt, Session};
use crate::artifacts::{self, Stored};
use crate::build::{BuildArtifacts, ExportedVariable, LOCAL_ACCOUNT};
use crate::event::Event;
use crate::lifecycle::PhaseOutcome;
use crate::plan::{Plan, PlannedArtifact, PlannedReport};
use crate::ports::{Encryption, Place};
use crate::project::{ArtifactPackaging, NamespaceType};
use crate::reports::{self, Execution, Report, ReportGroup, summary};

/// CodeBuild looks for reports no longer than this.
const DISCOVER_SECONDS: u64 = 5;
/// When files that a dead supervisor had from the agent are asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Always: the record would say what came of them.
    Always,
    /// Unless it asked for something else after them.
    UnlessFollowed,
}

/// Bytes of a report that the agent masks at one time.
const MASKED_AT_ONCE: usize = 1 << 20;
/// A larger report file is not read.
const MAX_REPORT_BYTES: u64 = 256 << 20;

impl Driver {
    pub(super) async fn upload_artifacts(
        &mut self,
        session: &mut Session,
        plan: &Plan,
    ) -> Result<PhaseOutcome, Interrupt> {
        let mut outcome = PhaseOutcome::Succeeded;
        for artifact in &plan.artifacts {
            if let Err(failed) = self.upload_artifact(session, artifact).await? {
                outcome = failed;
                break;
            }
        }
        self.make_reports(session, plan).await?;
        self.save_cache(session, plan).await?;
        Ok(outcome)
    }

    async fn upload_artifact(
        &mut self,
        session: &mut Session,
        artifact: &PlannedArtifact,
    ) -> Result<Result<(), PhaseOutcome>, Interrupt> {
        if self.has_made(artifact) {
            return Ok(Ok(()));
        }
        let known = &self.request.project.secondary_artifacts;
        if let Some(identifier) = &artifact.identifier
            && !known.is_empty()
            && known.iter().all(|settings| settings.artifact_identifier.as_ref() != Some(identifier))
        {
            let message = format!("the project has no secondary artifact `{identifier}`");
            return Ok(Err(PhaseOutcome::failed("CLIENT_ERROR", message)));
        }
        let texts = vec![artifact.base_directory.clone(), artifact.target.name.clone()];
        let [base_directory, name] = <[String; 2]>::try_from(self.evaluate(session, texts).await?)
            .map_err(|_| Interrupt::Failed("the agent expanded a text to none".into()))?;
        let target = artifact.target.clone();
        let namespace = match target.namespace {
            NamespaceType::None => artifacts::NamespaceType::None,
            NamespaceType::BuildId => artifacts::NamespaceType::BuildId(self.build.id.uuid()),
        };
        let key = artifacts::object_key(target.path.as_deref().unwrap_or_default(), namespace, &name);
        let (packaging, stored_as) = match target.packaging {
            ArtifactPackaging::Zip => (Packaging::Zip, artifacts::Packaging::Zip),
            ArtifactPackaging::None => (Packaging::Tar, artifacts::Packaging::None),
        };
        let collect = Collect {
            base_directory,
            files: artifact.files.clone(),
            exclude: artifact.exclude.clone(),
            discard_paths: artifact.discard_paths,
            keep_symlinks: artifact.keep_symlinks,
            absolute_names: false,
            packaging,
            log: CollectLog::Artifacts,
            search_seconds: 0,
            unless_unchanged: false,
        };
        let bucket = target.bucket.filter(|_| self.supervisor.ports.objects.is_some());
        let root = match &bucket {
            Some(_) => self.outgoing(artifact.identifier.as_deref()),
            None => self.request.artifacts_dir.clone().unwrap_or_else(|| self.dir.artifacts()),
        };
        let (place, stored_as_key) = (root.clone(), key.clone());
        let store = move |from: &mut dyn ReceiveFile| {
            artifacts::store(from, stored_as, &place, &stored_as_key, Limits::default())
        };
        let (collected, stored) = self.collect(session, collect, Again::Always, store).await?;
        if collected.files == 0 {
            return Ok(Err(PhaseOutcome::failed("CLIENT_ERROR", "no matching artifact paths found")));
        }
        let stored: Stored = match stored {
            Some(Ok(stored)) => stored,
            Some(Err(error)) => {
                let message = format!("Failed to upload artifacts: {error}");
                return Ok(Err(PhaseOutcome::failed("CLIENT_ERROR", message)));
            }
            None => {
                let message = "Failed to upload artifacts: the agent's stream was cut";
                return Ok(Err(PhaseOutcome::failed("CLIENT_ERROR", message)));
            }
        };
        let mut made = BuildArtifacts {
            location: stored.path.display().to_string(),
            artifact_identifier: artifact.identifier.clone(),
            override_artifact_name: target.overrides_name,
            files: collected.files,
            bytes: stored.bytes,
            ..BuildArtifacts::default()
        };
        if let Some(bucket) = bucket {
            if let Err(failed) = self.upload_to_bucket(&bucket, &key, &root, &stored).await? {
                return Ok(Err(failed));
            }
            made.copy = self.request.batch.is_some().then(|| made.location.clone());
            let place = Place::new(&bucket.name, &key);
            made.location = place.arn();
            made.link = Some(object_link(&place, target.packaging, &self.supervisor.region));
            made.encryption_disabled = Some(bucket.encryption == Encryption::Bucket);
            made.bucket_owner_access = Some(bucket.owner_access);
        }
        (made.sha256sum, made.md5sum) = (stored.sha256, stored.md5);
        for warning in collected.warnings {
            self.warn(warning)?;
        }
        match &artifact.identifier {
            None => self.build.artifacts = Some(made.clone()),
            Some(_) => self.build.secondary_artifacts.push(made.clone()),
        }
        self.keep_for_good(&[Event::Artifact(made)])?;
        Ok(Ok(()))
    }

    /// Whether a dead supervisor made this artifact.
    fn has_made(&self, artifact: &PlannedArtifact) -> bool {
        match &artifact.identifier {
            None => self.build.artifacts.is_some(),
            known => self.build.secondary_artifacts.iter().any(|made| made.artifact_identifier == *known),
        }
    }

    /// Writes down the record with what it has just got, which nobody asks the agent for again.
    fn keep_for_good(&mut self, events: &[Event]) -> Result<(), EngineError> {
        self.phase_request = self.next_request;
        self.keep(events)
    }

    /// Asks the agent for files and gives their stream to `receive`. There is no result of `receive` when nothing was
    /// found, and when a dead supervisor had it already.
    pub(super) async fn collect<T: Send + 'static>(
        &mut self,
        session: &mut Session,
        mut collect: Collect,
        again: Again,
        receive: impl FnOnce(&mut dyn ReceiveFile) -> T + Send + 'static,
    ) -> Result<(Collected, Option<T>), Interrupt> {
        let mut id = self.take_request_id();
        let was_followed = again == Again::UnlessFollowed && session.was_followed(id);
        while !was_followed && session.forget(id) {
            // Answered, but the stream died with the supervisor that took it. What there was to say was said.
            id += 1;
            collect.log = CollectLog::Quiet;
        }
        let (sender, receiver) = oneshot::channel();
        session.link.expect_upload(
            id,
            Box::new(move |from| {
                // The driver may have given up meanwhile.
                let _unwanted = sender.send(receive(from));
            }),
        );
        loop {
            let reply = session.call_as(self, id, Verb::Collect(collect.clone())).await;
            if let Ok(Reply::Collected(collected)) = &reply
                && collected.files > 0
                && !was_followed
            {
                if session.link.readdress_upload(id, id + 1) {
                    // The stream went to a supervisor that died before it wrote that down.
                    id += 1;
                    collect.log = CollectLog::Quiet;
                    continue;
                }
                return Ok((collected.clone(), receiver.await.ok()));
            }
            session.link.forget_blob(id);
            return match reply? {
                Reply::Collected(collected) => Ok((collected, None)),
                other => Err(session.unexpected(&other)),
            };
        }
    }

    async fn make_reports(&mut self, session: &mut Session, plan: &Plan) -> Result<(), Interrupt> {
        if !self.build.report_arns.is_empty() {
            // A dead supervisor made them.
            return Ok(());
        }
        let mut made = Vec::new();
        for planned in &plan.reports {
            made.extend(self.make_report(session, planned).await?);
        }
        let wants_discovery = plan
            .variables
            .iter()
            .all(|variable| variable.name != "CODEBUILD_CONFIG_AUTO_DISCOVER" || variable.value != "false");
        if plan.reports.is_empty() && wants_discovery {
            made = self.discover_reports(session, plan).await?;
        }
        if made.is_empty() {
            return Ok(());
        }
        for report in &mut made {
            report.place_in(&self.dirs.primary);
            self.mask_report(session, report).await?;
        }
        let lines: Vec<String> = summary(&made).lines().map(str::to_owned).collect();
        self.say(session, lines);
        let mut events = Vec::new();
        for report in &made {
            let json = report.to_json();
            self.write_report(report, &json)?;
            self.build.report_arns.push(report.arn());
            let head = json.get("report").cloned().unwrap_or_default();
            self.build.reports.push(head.clone());
            events.push(Event::Report { report: head });
        }
        self.reports.extend(made);
        Ok(self.keep_for_good(&events)?)
    }

    async fn make_report(
        &mut self,
        session: &mut Session,
        planned: &PlannedReport,
    ) -> Result<Option<Report>, Interrupt> {
        let texts = vec![planned.group.clone(), planned.base_directory.clone()];
        let mut texts = self.evaluate(session, texts).await?;
        let base_directory = texts.pop().unwrap_or_default();
        let group = texts.pop().unwrap_or_default();
        let format = planned.format;
        let execution = self.execution();
        let named = group;
        let group = ReportGroup::of(&execution, &named);
        let id = Uuid::new_v4();
        let export = self.export_of(&group, &named, id);
        let collect = Collect {
            discard_paths: planned.discard_paths && export.is_some(),
            ..report_files(base_directory, planned.files.clone(), 0)
        };
        let raw = export.as_ref().map(|export| export.raw.clone());
        let parse = move |from: &mut dyn ReceiveFile| match raw {
            Some(raw) => keep_files(from, &raw, |name, bytes| Some(reports::parse(format, name, bytes))),
            None => read_files(from, |name, bytes| Some(reports::parse(format, name, bytes))),
        };
        let (collected, parsed) = self.collect(session, collect, Again::Always, parse).await?;
        if collected.files == 0 {
            self.say(session, [format!("No matching report paths found for {named}")]);
        }
        let files = parsed.unwrap_or_default();
        let mut report = Report::assemble(&execution, group, format, files, id, Timestamp::now());
        if let Some(export) = export
            && collected.files > 0
        {
            report.export = Some(export.config.clone());
            self.export_report(export).await?;
        }
        Ok(Some(report))
    }

    /// Looks through the tree for files that are reports, as CodeBuild does when the buildspec names none.
    async fn discover_reports(
        &mut self,
        session: &mut Session,
        plan: &Plan,
    ) -> Result<Vec<Report>, Interrupt> {
        let dir =
            plan.variables.iter().find(|variable| variable.name == "CODEBUILD_CONFIG_AUTO_DISCOVER_DIR");
        let glob = dir.map_or_else(|| "**/*".to_owned(), |variable| variable.value.clone());
        self.say(
            session,
            [
                format!("Set report auto-discover timeout to {DISCOVER_SECONDS} seconds"),
                "Expanding base directory path:  .".into(),
                "Assembling file list".into(),
                "Expanding .".into(),
                "Expanding file paths for base directory .".into(),
                "Assembling file list".into(),
                format!("Expanding {glob}"),
            ],
        );
        let started = std::time::Instant::now();
        let globs = ["xml", "trx", "json"].map(|extension| match glob.strip_suffix("**/*") {
            Some(prefix) => format!("{prefix}**/*.{extension}"),
            None => glob.clone(),
        });
        let mut globs = globs.to_vec();
        globs.dedup();
        let collect = report_files(String::new(), globs, DISCOVER_SECONDS);
        let parse = move |from: &mut dyn ReceiveFile| {
            read_files(from, |name, bytes| {
                let format = reports::discover(name, bytes)?;
                Some((format, reports::parse(format, name, bytes)))
            })
        };
        let (_, found) = self.collect(session, collect, Again::Always, parse).await?;
        let found: Vec<_> = found.unwrap_or_default();
        let execution = self.execution();
        let made: Vec<Report> = ReportFormat::ALL
            .into_iter()
            .filter_map(|format| {
                let files: Vec<_> = found
                    .iter()
                    .filter(|(other, _)| *other == format)
                    .map(|(_, file)| file.clone())
                    .collect();
                let group = ReportGroup::auto_discovered(&execution, format);
                (!files.is_empty()).then(|| {
                    Report::assemble(&execution, group, format, files, Uuid::new_v4(), Timestamp::now())
                })
            })
            .collect();
        let mut lines = Vec::new();
        if made.is_empty() {
            lines.push("No matching auto-discover report paths found".to_owned());
        }
        let seconds = started.elapsed().as_secs_f64();
        lines.push(format!("Report auto-discover file discovery took {seconds:.6} seconds"));
        self.say(session, lines);
        Ok(made)
    }

    /// Hides secrets in what the build's commands wrote into their report files, as in the log.
    async fn mask_report(&mut self, session: &mut Session, report: &mut Report) -> Result<(), Interrupt> {
        let mut texts = report.texts_mut();
        while !texts.is_empty() {
            let mut bytes = 0;
            let count = texts
                .iter()
                .take_while(|text| {
                    bytes += text.len();
                    bytes <= MASKED_AT_ONCE
                })
                .count();
            let some: Vec<&mut String> = texts.drain(..count.max(1)).collect();
            let asked = some.iter().map(|text| Secret::new(text.as_str())).collect();
            match session.call(self, Verb::Mask(asked)).await? {
                Reply::Texts(shown) => some.into_iter().zip(shown).for_each(|(text, shown)| *text = shown),
                other => return Err(session.unexpected(&other)),
            }
        }
        Ok(())
    }

    fn write_report(&self, report: &Report, json: &serde_json::Value) -> Result<(), Interrupt> {
        let file = format!("{}.json", report.group.name().replace('/', "-"));
        let text = serde_json::to_string_pretty(json).unwrap_or_default();
        for dir in [Some(self.dir.reports()), self.request.reports_dir.clone()].into_iter().flatten() {
            let written = fs::create_dir_all(&dir).and_then(|()| fs::write(dir.join(&file), &text));
            if let Err(error) = written {
                self.warn(format!("the report {file} cannot be written into {}: {error}", dir.display()))?;
            }
        }
        Ok(())
    }

    fn execution(&self) -> Execution {
        Execution {
            region: self.supervisor.region.clone(),
            account: LOCAL_ACCOUNT.to_owned(),
            project: self.build.project_name.clone(),
            arn: self.build.arn.clone(),
        }
    }

    /// Values of `exported-variables`, as the last command left them.
    pub(super) async fn export(&mut self, session: &mut Session, plan: &Plan) -> Result<(), Interrupt> {
        let secrets = references(plan);
        let is_allowed = |name: &&String| {
            !name.starts_with("AWS_") && secrets.iter().all(|variable| variable.name != **name)
        };
        let allowed = plan.exported.iter().filter(is_allowed).cloned().collect();
        let variables = match session.call(self, Verb::Export(allowed)).await? {
            Reply::Variables(variables) => variables,
            other => return Err(session.unexpected(&other)),
        };
        let values = variables.iter().map(|(_, value)| Secret::new(value.as_str())).collect();
        let shown = match session.call(self, Verb::Mask(values)).await? {
            Reply::Texts(shown) => shown,
            other => return Err(session.unexpected(&other)),
        };
        // What is exported is in records, events and other builds.
        let (open, secret): (Vec<_>, Vec<_>) =
            variables.into_iter().zip(shown).partition(|((_, value), shown)| value == shown);
        self.build.exported_environment_variables =
            open.into_iter().map(|((name, value), _)| ExportedVariable { name, value }).collect();
        let lines: Vec<String> = secret
            .into_iter()
            .map(|((name, _), _)| format!("{name} is not exported, since it holds a secret"))
            .collect();
        if !lines.is_empty() {
            self.say(session, lines);
        }
        Ok(())
    }
}

fn report_files(base_directory: String, files: Vec<String>, search_seconds: u64) -> Collect {
    Collect {
        base_directory,
        files,
        exclude: Vec::new(),
        discard_paths: false,
        keep_symlinks: false,
        absolute_names: false,
        packaging: Packaging::Tar,
        log: CollectLog::Quiet,
        search_seconds,
        unless_unchanged: false,
    }
}

/// [`read_files`], of files that stay in this directory.
fn keep_files<T>(
    from: &mut dyn ReceiveFile,
    directory: &Path,
    take: impl Fn(&str, &[u8]) -> Option<T>,
) -> Vec<T> {
    // What cannot be stored is not exported, and its report says that there was nothing.
    let stored = artifacts::store(from, artifacts::Packaging::None, directory, "", Limits::default());
    let Ok(stored) = stored else { return Vec::new() };
    let files = WalkDir::new(&stored.path).sort_by_file_name().into_iter().filter_map(Result::ok);
    let mut taken = Vec::new();
    for entry in files.filter(|entry| entry.file_type().is_file()) {
        let below = entry.path().strip_prefix(&stored.path).unwrap_or(entry.path()).to_string_lossy();
        let is_small = entry.metadata().is_ok_and(|metadata| metadata.len() <= MAX_REPORT_BYTES);
        if let (true, Ok(bytes)) = (is_small, fs::read(entry.path())) {
            taken.extend(take(&below, &bytes));
        }
    }
    taken
}

/// What `take` makes of each file of a tar stream; one that is too large is passed over.
fn read_files<T>(from: &mut dyn Read, take: impl Fn(&str, &[u8]) -> Option<T>) -> Vec<T> {
    let mut archive = tar::Archive::new(from);
    let Ok(entries) = archive.entries() else { return Vec::new() };
    let mut taken = Vec::new();
    for mut entry in entries.map_while(Result::ok) {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut bytes = Vec::new();
        if entry.size() <= MAX_REPORT_BYTES && entry.read_to_end(&mut bytes).is_ok() {
            taken.extend(take(&name, &bytes));
        }
    }
    taken
}
