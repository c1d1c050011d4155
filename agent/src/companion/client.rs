//! A step of the build that asks companions for something. What it prints is the step's output.

use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use runspan_agent_protocol::{
    Ask, CompanionProcess, End, Health, Kind, ORDER_VARIABLE, Order, Service, decode, layout, read_frame,
    write_json,
};

use super::run::passed;

/// How long a companion may take to listen.
const FIRST_WORD: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);
/// A service without a health check has failed when it ends within this time.
const SETTLING: Duration = Duration::from_millis(250);

/// Carries out the order of its variable.
pub(crate) fn main() -> ExitCode {
    let order = std::env::var(ORDER_VARIABLE).map_err(io::Error::other);
    let order = order.and_then(|text| serde_json::from_str(&text).map_err(io::Error::other));
    match order.and_then(carry_out) {
        Ok(code) => code,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(order: Order) -> io::Result<ExitCode> {
    match order {
        Order::Run { companion, process } => run(&companion, process),
        Order::Start(services) => start(services),
        Order::Show(services) => {
            for (name, companion) in services {
                show(&name, &companion);
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn run(companion: &str, mut process: CompanionProcess) -> io::Result<ExitCode> {
    let passed = passed(&std::mem::take(&mut process.pass), &process.links);
    process.environment.extend(passed);
    match ask(companion, &Ask::Run(process), &mut io::stdout())? {
        End::Exited(status) => Ok(u8::try_from(status).map_or(ExitCode::FAILURE, ExitCode::from)),
        other => Err(unexpected(&other)),
    }
}

/// Starts all, then waits for each, as GitHub's runner does.
fn start(services: Vec<Service>) -> io::Result<ExitCode> {
    let mut failed = false;
    let mut started = Vec::new();
    for service in services {
        let ask_start = Ask::Start { process: service.process.clone(), forwards: service.forwards.clone() };
        match ask(&service.companion, &ask_start, &mut io::sink()) {
            Ok(End::Complete) => started.push(service),
            other => {
                let why = other.map_or_else(|error| error.to_string(), |end| unexpected(&end).to_string());
                println!("::error::Service `{}` could not be started: {why}", service.name);
                failed = true;
            }
        }
    }
    for service in &started {
        if let Err(why) = ready(service) {
            show(&service.name, &service.companion);
            println!("::error::Service `{}` failed to start: {why}", service.name);
            failed = true;
        }
    }
    if failed {
        println!("One or more containers failed to start.");
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Waits until a service is ready.
fn ready(service: &Service) -> Result<(), String> {
    let begin = Instant::now();
    let Some(health) = health(service).map_err(|error| error.to_string())? else {
        while begin.elapsed() < SETTLING {
            still_runs(service)?;
            std::thread::sleep(PAUSE);
        }
        println!("Service `{}` is running.", service.name);
        return Ok(());
    };
    let mut failures = 0;
    loop {
        // The first check comes at once: nobody gains by waiting a whole interval for it.
        let checked = Instant::now();
        let status = ask(&service.companion, &Ask::Check(health.clone()), &mut io::sink());
        match status.map_err(|error| error.to_string())? {
            End::Exited(0) => {
                println!("Service `{}` is healthy.", service.name);
                return Ok(());
            }
            End::Exited(_) | End::Failed(_) | End::Complete => {}
        }
        still_runs(service)?;
        // What fails sooner than the first regular check would come does not count.
        let grace = Duration::from_millis(health.start_period_ms.max(health.interval_ms));
        if begin.elapsed() >= grace {
            failures += 1;
        }
        if failures >= health.retries {
            let command = health.command.join(" ");
            return Err(format!("it is not healthy after {failures} checks with `{command}`"));
        }
        let regular = Duration::from_millis(health.interval_ms);
        // While it starts, it is looked at more often.
        let pause = if failures == 0 { regular.min(Duration::from_secs(1)) } else { regular };
        while checked.elapsed() < pause {
            still_runs(service)?;
            std::thread::sleep(PAUSE.min(pause));
        }
    }
}

fn health(service: &Service) -> io::Result<Option<Health>> {
    let mut text = Vec::new();
    match ask(&service.companion, &Ask::Health(service.health.clone()), &mut text)? {
        End::Complete => decode(&text),
        other => Err(unexpected(&other)),
    }
}

fn still_runs(service: &Service) -> Result<(), String> {
    match ask(&service.companion, &Ask::State, &mut io::sink()).map_err(|error| error.to_string())? {
        End::Complete => Ok(()),
        End::Exited(status) => Err(format!("it ended with exit status {status}")),
        End::Failed(why) => Err(why),
    }
}

/// What a service has printed, in a group; none of it is a command to us.
fn show(name: &str, companion: &str) {
    let mut log = Vec::new();
    let shown = ask(companion, &Ask::Log, &mut log);
    println!("::group::Output of service `{name}`");
    let token = format!("service-{}", std::process::id());
    println!("::stop-commands::{token}");
    let _ = io::stdout().write_all(&log);
    if !log.ends_with(b"\n") && !log.is_empty() {
        println!();
    }
    println!("::{token}::");
    if let Err(error) = shown {
        println!("{error}");
    }
    println!("::endgroup::");
}

/// Asks a companion for something and passes on what comes.
fn ask(companion: &str, ask: &Ask, output: &mut impl io::Write) -> io::Result<End> {
    let path = Path::new(layout::COMPANIONS).join(companion).join(layout::COMPANION_SOCKET);
    let begin = Instant::now();
    let mut stream = loop {
        match UnixStream::connect(&path) {
            Ok(stream) => break stream,
            Err(_) if begin.elapsed() < FIRST_WORD => std::thread::sleep(PAUSE),
            Err(error) => {
                return Err(io::Error::new(error.kind(), format!("the container is gone: {error}")));
            }
        }
    };
    write_json(&mut stream, Kind::Request, ask)?;
    let mut payload = Vec::new();
    loop {
        match read_frame(&mut stream, &mut payload)? {
            Some(Kind::Data) => {
                output.write_all(&payload)?;
                output.flush()?;
            }
            Some(Kind::End) => {
                return match decode(&payload)? {
                    End::Failed(why) => Err(io::Error::other(why)),
                    end => Ok(end),
                };
            }
            _ => return Err(io::Error::other("the container ended")),
        }
    }
}

fn unexpected(end: &End) -> io::Error {
    io::Error::other(format!("the container answered {end:?}"))
}
