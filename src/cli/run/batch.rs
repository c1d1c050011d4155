//! A buildspec's `batch`: many builds at once, their logs side by side.

use std::io::{self, IsTerminal};
use std::thread::available_parallelism;

use runspan_buildspec::{Severity, parse_bytes, render};
use runspan_engine::batch::{BatchHandle, BatchOutcome, BatchProgress, Batchspec, BuildBatch};
use runspan_engine::journal::StoredEvent;
use runspan_engine::lifecycle::Status;
use runspan_engine::request::BuildRequest;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cli::explain::local_buildspec;
use crate::cli::watch::{OutputArgs, Session, Signals};
use crate::console::{self, JsonLines, Live, Silence, Sink, Stdout, colors, table};
use crate::exit_code::Exit;
use crate::failure::Failure;

/// Runs every build of the buildspec's `batch`.
pub(super) async fn run(session: &Session, request: BuildRequest) -> Result<Exit, Failure> {
    let spec = batchspec(&request)?;
    let at_once = at_once(&request);
    to_the_end(session, session.supervisor.start_batch(request, spec, at_once)?).await
}

/// Goes on with a batch whose process died.
pub(in crate::cli) async fn resume(session: &Session, batch: &BuildBatch) -> Result<Exit, Failure> {
    let request = session.journal.batch_request(batch.id.uuid())?;
    let at_once = request.as_ref().map_or(1, at_once);
    let handle = session.supervisor.resume_batch(batch.id.as_str(), at_once, &mut Vec::new())?;
    to_the_end(session, handle).await
}

/// How many of its builds run at a time.
fn at_once(request: &BuildRequest) -> usize {
    request
        .project
        .concurrent_build_limit
        .and_then(|limit| usize::try_from(limit).ok())
        .or_else(|| available_parallelism().ok().map(Into::into))
        .unwrap_or(1)
}

async fn to_the_end(session: &Session, handle: BatchHandle) -> Result<Exit, Failure> {
    let mut signals = Signals::new()?;
    let (outcome, interrupted) = follow(session, handle, &mut signals).await?;
    session.live.finish();
    conclude(session.output, &outcome.batch);
    Ok(match outcome.batch.build_batch_status {
        _ if interrupted => Exit::Stopped,
        Status::Succeeded => Exit::Success,
        Status::Stopped => Exit::Stopped,
        Status::Failed | Status::TimedOut => Exit::BuildFailed,
        Status::Fault | Status::InProgress => Exit::Infrastructure,
    })
}

async fn follow(
    session: &Session,
    handle: BatchHandle,
    signals: &mut Signals,
) -> Result<(BatchOutcome, bool), Failure> {
    let BatchHandle { id, mut progress, stop, mut outcome } = handle;
    let mut shown = Vec::new();
    let (done, over) = watch::channel(false);
    let mut interrupts = 0;
    let ended = loop {
        tokio::select! {
            Some(progress) = progress.recv() => shown.extend(tell(session, progress, &over)),
            ended = &mut outcome => break ended,
            () = signals.next() => {
                interrupts += 1;
                if interrupts > 1 {
                    return Err(Failure::stopped(&id));
                }
                session.live.note("note: stopping the batch; once more to leave it to the next sweep");
                let _ended = stop.send(true);
            }
        }
    };
    // What was said last, as the batch ended.
    while let Ok(progress) = progress.try_recv() {
        shown.extend(tell(session, progress, &over));
    }
    let _gone = done.send(true);
    for shown in shown {
        shown.await.map_err(|error| Failure::of(&error))??;
    }
    Ok((ended.map_err(|error| Failure::of(&error))??, interrupts > 0))
}

/// Tells of what happens in a batch; of a build that starts, the task that shows its log.
fn tell(
    session: &Session,
    progress: BatchProgress,
    over: &watch::Receiver<bool>,
) -> Option<JoinHandle<Result<(), Failure>>> {
    match progress {
        BatchProgress::Started { identifier, id, position } => {
            let sink: Box<dyn Sink> = match session.output {
                OutputArgs { json: true, .. } => Box::new(JsonLines::new(id.clone(), session.live.clone())),
                OutputArgs { quiet: true, .. } => Box::new(Silence),
                OutputArgs { .. } => Box::new(Prefixed::new(&identifier, session.live.clone())),
            };
            return Some(session.show(&id, position, over.clone(), sink));
        }
        BatchProgress::Ended { identifier, status } => {
            session.live.note(&format!("note: {identifier} is {}", status.name()));
        }
        BatchProgress::Skipped { identifier, reason } => {
            session.live.note(&format!("note: {identifier} is not run: {reason}"));
        }
    }
    None
}

/// The request's buildspec, which has a `batch`.
fn batchspec(request: &BuildRequest) -> Result<Batchspec, Failure> {
    let (name, bytes) = local_buildspec(request)
        .ok_or_else(|| {
            Failure::input("the buildspec of a batch must be on this machine before its source is fetched")
                .help("name it with --buildspec FILE")
        })?
        .map_err(|(path, error)| {
            Failure::input(format!("the buildspec {} cannot be read", path.display())).because(&error)
        })?;
    let parsed = parse_bytes(&bytes);
    let Some(buildspec) = parsed.buildspec else {
        let (text, color) = (String::from_utf8_lossy(&bytes), colors(io::stderr().is_terminal()));
        for error in parsed.diagnostics.iter().filter(|found| found.severity() == Severity::Error) {
            console::note(render(error, &name, &text, color).trim_end());
        }
        return Err(Failure::input(format!("{name} cannot be run as a batch: see above")));
    };
    let batch = buildspec.batch.ok_or_else(|| Failure::input(format!("{name} has no `batch`")))?;
    Ok(Batchspec { text: String::from_utf8_lossy(&bytes).into_owned(), batch })
}

fn conclude(output: OutputArgs, batch: &BuildBatch) {
    if output.json {
        let mut line = json!({ "type": "batch", "time": jiff::Timestamp::now(), "batch": batch }).to_string();
        line.push('\n');
        Stdout::new().write(line.as_bytes());
        return;
    }
    let mut text = format!(
        "{} batch {} (batch {})",
        batch.build_batch_status.name(),
        batch.id,
        batch.build_batch_number
    );
    for context in batch.phases.iter().flat_map(|phase| &phase.contexts) {
        text = format!("{text}\n{}: {}", context.status_code, context.message);
    }
    if !output.quiet {
        for made in batch.artifacts.iter().chain(&batch.secondary_artifacts) {
            text = format!("{text}\nartifacts: {}", made.location);
        }
        let rows: Vec<_> = batch
            .build_groups
            .iter()
            .map(|group| match &group.current_build_summary {
                Some(summary) => {
                    let id = summary.arn.rsplit_once('/').map_or(summary.arn.as_str(), |(_, id)| id);
                    [group.identifier.clone(), summary.build_status.name().into(), id.to_owned()]
                }
                None => [group.identifier.clone(), "not run".into(), String::new()],
            })
            .collect();
        text = format!("{text}\n{}", table(["BUILD", "STATUS", "ID"], &rows));
    }
    console::note(text.trim_end());
}

/// The lines of one build among those of others.
struct Prefixed {
    prefix: Vec<u8>,
    line: Vec<u8>,
    ready: Vec<u8>,
    out: Stdout,
    live: Live,
}

/// A longer line is shown in pieces.
const LONGEST_LINE: usize = 64 << 10;

impl Prefixed {
    fn new(identifier: &str, live: Live) -> Self {
        let prefix = format!("{identifier} | ").into_bytes();
        Self { prefix, line: Vec::new(), ready: Vec::new(), out: Stdout::new(), live }
    }

    fn end_line(&mut self) {
        self.ready.extend_from_slice(&self.prefix);
        self.ready.append(&mut self.line);
        if self.ready.last() != Some(&b'\n') {
            self.ready.push(b'\n');
        }
    }
}

impl Sink for Prefixed {
    fn log(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.line.len() > LONGEST_LINE {
                self.end_line();
            }
        }
        self.flush();
    }

    fn event(&mut self, _: &StoredEvent) {}

    fn flush(&mut self) {
        let ready = std::mem::take(&mut self.ready);
        self.live.aside(|| self.out.write(&ready));
    }
}

impl Drop for Prefixed {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
            self.flush();
        }
    }
}
