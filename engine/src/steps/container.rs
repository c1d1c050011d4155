//! Containers that a workflow's job asks for: its own and its services. What a container engine's command line would
//! take as `options` is read here, and what would reach beyond the build is refused by name.

use std::net::{IpAddr, Ipv4Addr};

use indexmap::IndexMap;
use runspan_agent_protocol::{HealthChange, HealthChoice, Secret};
use serde::{Deserialize, Serialize};

use super::shell::words;
use crate::executor::{Limits, RegistryLogin, Tuning, Volume};

/// As engines have it; they take less for no limit.
const LEAST_CPUS: f64 = 0.01;

/// A container as a workflow's job has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobContainer {
    /// Its image.
    pub image: String,
    /// Its variables; they may be secret, so they are never written down.
    #[serde(skip)]
    pub env: IndexMap<String, Secret>,
    /// `--flag value …`.
    pub options: String,
    /// `HOST:CONTAINER` or `CONTAINER`.
    pub ports: Vec<String>,
    /// `NAME:PATH` or `PATH`.
    pub volumes: Vec<String>,
    /// Of a service: what it runs in the place of the image's program.
    pub entrypoint: Option<String>,
    /// Of a service: arguments of that.
    pub command: Option<String>,
    /// Login for the image's registry; never written down.
    #[serde(skip)]
    pub login: Option<(String, Secret)>,
}

impl JobContainer {
    /// The login, as executors take it.
    pub(crate) fn registry_login(&self) -> Option<RegistryLogin> {
        let (username, password) = self.login.clone()?;
        Some(RegistryLogin { username, password })
    }
}

/// What a container's members come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Asked {
    pub(crate) tuning: Tuning,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) cpus: Option<f64>,
    pub(crate) user: Option<String>,
    pub(crate) directory: Option<String>,
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) arguments: Option<Vec<String>>,
    pub(crate) env: Vec<(String, String)>,
    /// Other names of it.
    pub(crate) aliases: Vec<String>,
    health_change: Option<HealthChange>,
    no_health_check: bool,
    pub(crate) ports: Vec<Port>,
}

/// A port of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    /// Where others find it.
    pub(crate) outside: u16,
    /// Where the container listens.
    pub(crate) inside: u16,
}

impl Asked {
    /// Reads a container's options, ports and volumes.
    ///
    /// # Errors
    /// What is wrong or may not be, and what to do.
    pub(crate) fn read(container: &JobContainer) -> Result<Self, String> {
        let mut asked = Self::default();
        let mut rest = words(&container.options).into_iter();
        while let Some(word) = rest.next() {
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (word.clone(), None),
            };
            if asked.switch(&name, inline.as_deref())? {
                continue;
            }
            refuse(&name)?;
            let value = inline.or_else(|| rest.next());
            let value = value.ok_or_else(|| format!("the option `{name}` of the container has no value"))?;
            asked.option(&name, &value).map_err(|why| format!("`{name} {value}`: {why}"))?;
        }
        if let Some(entrypoint) = &container.entrypoint {
            asked.entrypoint = Some(words(entrypoint));
        }
        asked.arguments = container.command.as_deref().map(words);
        for text in &container.ports {
            asked.ports.push(port(text).map_err(|why| format!("`ports: {text}`: {why}"))?);
        }
        for text in &container.volumes {
            asked.tuning.volumes.push(volume(text).map_err(|why| format!("`volumes: {text}`: {why}"))?);
        }
        Ok(asked)
    }

    /// The build's limits, or lower ones.
    pub(crate) fn limits(&self, of_build: Limits) -> Limits {
        let lower = |own: Option<u64>, other: Option<u64>| own.into_iter().chain(other).min();
        let cpus = match (self.cpus, of_build.cpus) {
            (Some(own), Some(other)) => Some(own.min(other)),
            (own, other) => own.or(other),
        };
        Limits { memory_bytes: lower(self.memory_bytes, of_build.memory_bytes), cpus, pids: of_build.pids }
    }

    /// How it is seen to be ready.
    pub(crate) fn health(&self) -> HealthChoice {
        match &self.health_change {
            _ if self.no_health_check => HealthChoice::None,
            Some(change) => HealthChoice::Changed(change.clone()),
            None => HealthChoice::OfImage,
        }
    }

    /// Options that need no value; whether it was one.
    fn switch(&mut self, name: &str, value: Option<&str>) -> Result<bool, String> {
        let is_on = !matches!(value, Some("false" | "0"));
        match name {
            "--read-only" => self.tuning.read_only = is_on,
            "--no-healthcheck" => self.no_health_check = is_on,
            // The agent reaps orphans anyway; the rest is of no use to whoever has no terminal.
            "--init" | "--rm" | "-d" | "--detach" | "-t" | "--tty" | "-i" | "--interactive" | "-it"
            | "-ti" => {}
            "--privileged" if is_on => {
                return Err("the option `--privileged` is not a workflow's to give: whoever runs this runner grants it \
                            to jobs with `runspan serve --privileged`; services never have it"
                    .into());
            }
            "--privileged" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn option(&mut self, name: &str, value: &str) -> Result<(), String> {
        let tuning = &mut self.tuning;
        match name {
            "--cpus" => {
                let cpus: f64 = value.parse().map_err(|_| "is no number of CPUs")?;
                if cpus != 0.0 && !(LEAST_CPUS..f64::INFINITY).contains(&cpus) {
                    return Err(format!("is no number of CPUs from {LEAST_CPUS} on"));
                }
                self.cpus = Some(cpus).filter(|cpus| *cpus > 0.0);
            }
            // Engines take none for no limit, and so does this: the build's holds.
            "--memory" | "-m" => self.memory_bytes = Some(bytes(value)?).filter(|bytes| *bytes > 0),
            "--shm-size" => tuning.shm_bytes = Some(bytes(value)?),
            "--hostname" | "-h" => {
                tuning.hostname = Some(host_name(value)?);
                self.aliases.push(value.to_owned());
            }
            "--name" | "--network-alias" | "--net-alias" => self.aliases.push(host_name(value)?),
            "--user" | "-u" => self.user = Some(value.to_owned()),
            "--workdir" | "-w" => self.directory = Some(absolute(value)?),
            "--entrypoint" => {
                self.entrypoint =
                    Some(vec![value.to_owned()].into_iter().filter(|word| !word.is_empty()).collect());
            }
            "--env" | "-e" => {
                let (name, value) = value.split_once('=').ok_or("has no value; write `NAME=VALUE`")?;
                self.env.push((name.to_owned(), value.to_owned()));
            }
            "--label" | "-l" => {
                let (name, value) = value.split_once('=').unwrap_or((value, ""));
                if name.starts_with("dev.runspan.") {
                    return Err("labels of that kind are runspan's own".into());
                }
                tuning.labels.push((name.to_owned(), value.to_owned()));
            }
            "--tmpfs" => {
                let (path, options) = value.split_once(':').unwrap_or((value, ""));
                let path = if path == "/dev/shm" { path.to_owned() } else { given(path)? };
                tuning.tmpfs.push((path, options.to_owned()));
            }
            "--ulimit" => {
                let (name, limits) = value.split_once('=').ok_or("write `NAME=SOFT[:HARD]`")?;
                let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
                let number = |text: &str| text.parse::<i64>().map_err(|_| format!("{text} is no limit"));
                tuning.ulimits.push((name.to_owned(), number(soft)?, number(hard)?));
            }
            "--add-host" => {
                let (name, address) =
                    value.split_once(':').or_else(|| value.split_once('=')).ok_or("write `NAME:ADDRESS`")?;
                let address = address.trim_matches(['[', ']']).parse();
                let address = address.map_err(|_| "is no address; the machine itself cannot be reached")?;
                tuning.hosts.push((host_name(name)?, address));
            }
            "--cap-drop" => tuning.dropped_capabilities.push(value.to_owned()),
            "--volume" | "-v" => tuning.volumes.push(volume(value)?),
            "--publish" | "-p" => self.ports.push(port(value)?),
            "--health-cmd" => {
                self.change().command = Some(vec!["/bin/sh".into(), "-c".into(), value.to_owned()]);
            }
            "--health-interval" => self.change().interval_ms = Some(milliseconds(value)?),
            "--health-timeout" => self.change().timeout_ms = Some(milliseconds(value)?),
            "--health-start-period" => self.change().start_period_ms = Some(milliseconds(value)?),
            "--health-retries" => {
                self.change().retries = Some(value.parse().map_err(|_| "is no number of retries")?);
            }
            // A check that begins is looked at often anyway; ports are open inside; nothing waits to be stopped.
            "--health-start-interval" | "--expose" | "--stop-timeout" | "--stop-signal" => {}
            "--restart" if value == "no" => {}
            _ => {
                return Err("is no option that runspan has for containers of a workflow; leave it out, or put what it \
                            does into the image"
                    .into());
            }
        }
        Ok(())
    }

    fn change(&mut self) -> &mut HealthChange {
        self.health_change.get_or_insert_default()
    }
}

/// Options that reach beyond the build.
fn refuse(name: &str) -> Result<(), String> {
    let remedy = match name {
        "--cap-add"
        | "--security-opt"
        | "--device"
        | "--gpus"
        | "--device-cgroup-rule"
        | "--cgroup-parent"
        | "--runtime"
        | "--sysctl"
        | "--oom-score-adj"
        | "--oom-kill-disable"
        | "--group-add" => {
            "it gives rights over the machine; leave it out, or run the job where they are granted"
        }
        "--network" | "--net" | "--ipc" | "--pid" | "--uts" | "--userns" | "--cgroupns" | "--link" => {
            "containers of a job share a network of their own, where services are found by their names, and nothing else"
        }
        "--mount" | "--volumes-from" | "--volume-driver" => "use `volumes:` with a name and a path",
        _ => return Ok(()),
    };
    Err(format!("the option `{name}` of the container is refused: {remedy}"))
}

fn host_name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match !text.is_empty() && text.len() <= 253 && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("is no name of a host".into()),
    }
}

fn absolute(path: &str) -> Result<String, String> {
    let climbs = path.split('/').any(|part| part == "..");
    match path.starts_with('/') && path.len() > 1 && !climbs {
        true => Ok(path.to_owned()),
        false => Err("the path in the container must be absolute".into()),
    }
}

/// A path that something may be mounted at.
fn given(path: &str) -> Result<String, String> {
    let path = absolute(path)?;
    let first = path.split('/').find(|part| !part.is_empty() && *part != ".");
    match first {
        Some("codebuild" | "proc" | "sys" | "dev") => {
            Err("that path is not the container's to give away".into())
        }
        _ => Ok(path),
    }
}

/// As Go's `units.RAMInBytes`.
fn bytes(text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(end);
    let scale: u64 = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return Err("is no size; write it as `512m` or `2g`".into()),
    };
    let number: f64 = number.parse().map_err(|_| "is no size; write it as `512m` or `2g`")?;
    Ok((number * scale as f64) as u64)
}

/// As Go's durations: `1m30s`, `500ms`.
fn milliseconds(text: &str) -> Result<u64, String> {
    let wrong = || "is no time; write it as `10s` or `1m30s`".to_owned();
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let scale = match unit {
            "ns" => 1e-6,
            "us" | "µs" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 6e4,
            "h" => 3.6e6,
            _ => return Err(wrong()),
        };
        total += number.parse::<f64>().map_err(|_| wrong())? * scale;
        rest = after;
    }
    Ok(total as u64)
}

fn port(text: &str) -> Result<Port, String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let number = |text: &str| {
        text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(|| format!("`{text}` is no port"))
    };
    // An address of the machine says nothing here: nothing is published there.
    let mut parts = ports.rsplit(':');
    let inside = number(parts.next().unwrap_or_default())?;
    let outside = match parts.next() {
        None | Some("") => inside,
        Some(outside) => number(outside)?,
    };
    if protocol != "tcp" && inside != outside {
        return Err(format!("only a port of tcp can be had under another number; use {inside} for both"));
    }
    Ok(Port { outside, inside })
}

fn volume(text: &str) -> Result<Volume, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (name, path, mode) = match parts.as_slice() {
        [path] => (None, *path, None),
        [name, path] => (Some(*name), *path, None),
        [name, path, mode] => (Some(*name), *path, Some(*mode)),
        _ => return Err("write `NAME:/path`".into()),
    };
    if name.is_some_and(|name| name.contains('/') || name.starts_with(['.', '~'])) {
        return Err(
            "a directory of this machine is not shared with workflows; use a name, whose files end with the \
                    job, or let a step bring the files"
                .into(),
        );
    }
    let path = given(path)?;
    let name = name.map(host_name).transpose()?;
    Ok(Volume { name, path, read_only: mode == Some("ro") })
}

/// Names of services mean the network that they share with the job.
pub(crate) fn hosts(aliases: impl IntoIterator<Item = String>) -> Vec<(String, IpAddr)> {
    aliases.into_iter().map(|name| (name, IpAddr::V4(Ipv4Addr::LOCALHOST))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &str, ports: &[&str], volumes: &[&str]) -> Result<Asked, String> {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        Asked::read(&JobContainer {
            options: options.into(),
            ports: texts(ports),
            volumes: texts(volumes),
            ..JobContainer::default()
        })
    }

    #[test]
    fn options_are_a_command_lines() {
        let asked = read(
            "--cpus 1.5 -m=64m --memory 2g --health-cmd \"pg_isready -U me\" --health-interval 10s \
             --health-timeout=1m30s --health-retries 5 --hostname db --user 1000:1000 --tmpfs /t:size=1m \
             --ulimit nofile=10:20 --init --read-only -e A=b=c --add-host x:10.0.0.1 --cap-drop ALL --shm-size 1gb \
             --name pg --entrypoint /e --label a=b",
            &["5432", "127.0.0.1:80:8080", "53:53/udp"],
            &["data:/data", "/anonymous", "data:/again:ro"],
        );
        // `-m=64m` is not the engine's way.
        assert!(asked.unwrap_err().contains("-m=64m"));
        let asked = read(
            "--cpus 1.5 --memory 2g --health-cmd \"pg_isready -U me\" --health-interval 10s \
             --health-timeout=1m30s --health-retries 5 --hostname db --user 1000:1000 --tmpfs /t:size=1m \
             --ulimit nofile=10:20 --init --read-only -e A=b=c --add-host x:10.0.0.1 --cap-drop ALL --shm-size 1gb \
             --name pg --entrypoint /e --label a=b",
            &["5432", "127.0.0.1:80:8080", "53:53/udp"],
            &["data:/data", "/anonymous", "data:/again:ro"],
        )
        .unwrap();
        assert_eq!(
            (asked.cpus, asked.memory_bytes, asked.user.as_deref()),
            (Some(1.5), Some(2 << 30), Some("1000:1000"))
        );
        let HealthChoice::Changed(health) = asked.health() else { panic!("{:?}", asked.health()) };
        assert_eq!(health.command.as_ref().unwrap()[2], "pg_isready -U me");
        assert_eq!(
            (health.interval_ms, health.timeout_ms, health.retries),
            (Some(10_000), Some(90_000), Some(5))
        );
        assert_eq!(asked.env, [("A".to_owned(), "b=c".to_owned())]);
        assert_eq!(asked.aliases, ["db", "pg"]);
        let Tuning { hostname, shm_bytes, read_only, ulimits, volumes, .. } = &asked.tuning;
        assert_eq!((hostname.as_deref(), *shm_bytes, *read_only), (Some("db"), Some(1 << 30), true));
        assert_eq!(ulimits, &[("nofile".to_owned(), 10, 20)]);
        assert_eq!(volumes[1], Volume { name: None, path: "/anonymous".into(), read_only: false });
        assert!(volumes[2].read_only);
        let ports: Vec<_> = asked.ports.iter().map(|port| (port.outside, port.inside)).collect();
        assert_eq!(ports, [(5432, 5432), (80, 8080), (53, 53)]);
        let limits = asked.limits(Limits { memory_bytes: Some(1 << 30), cpus: None, pids: 7 });
        assert_eq!(limits, Limits { memory_bytes: Some(1 << 30), cpus: Some(1.5), pids: 7 });
    }

    #[test]
    fn what_reaches_beyond_the_build_is_refused_by_name() {
        for (options, named) in [
            ("--privileged", "`--privileged`"),
            ("--cap-add NET_ADMIN", "`--cap-add`"),
            ("--network host", "`--network`"),
            ("--net=host", "`--net`"),
            ("--pid host", "`--pid`"),
            ("--device /dev/kvm", "`--device`"),
            ("--security-opt seccomp=unconfined", "`--security-opt`"),
            ("-v /etc:/etc", "directory of this machine"),
            ("--volume ./x:/x", "directory of this machine"),
            ("--mount type=bind", "`--mount`"),
            ("--whatever 1", "`--whatever 1`"),
            ("--cpus", "no value"),
            ("--cpus 0.001", "no number of CPUs"),
            ("--cpus inf", "no number of CPUs"),
            ("--cpus NaN", "no number of CPUs"),
            ("--tmpfs /codebuild/readonly", "not the container's"),
            ("--memory much", "no size"),
            ("--health-interval 10", "no time"),
            ("--label dev.runspan.attempt=x", "runspan's own"),
            ("--add-host h:host-gateway", "no address"),
            ("--hostname a/b", "no name"),
            ("nonsense", "nonsense"),
        ] {
            let error = read(options, &[], &[]).unwrap_err();
            assert!(error.contains(named), "{options}: {error}");
        }
        let unlimited = read("--memory 0 --cpus 0", &[], &[]).unwrap();
        let of_build = Limits { memory_bytes: Some(1 << 30), cpus: Some(2.0), pids: 7 };
        assert_eq!(unlimited.limits(of_build), of_build);
        for volume in [
            "/etc:/etc",
            "~/x:/x",
            "x:relative",
            "a:/codebuild/run",
            "/proc/sys",
            "a:/x/../codebuild",
            "//proc",
        ] {
            assert!(read("", &[], &[volume]).is_err(), "{volume}");
        }
        for port in ["0", "70000", "8000-8010", "53:54/udp", ""] {
            assert!(read("", &[port], &[]).is_err(), "{port}");
        }
    }
}
