//! What the engine is asked for: one container, one network.

use std::{collections::HashMap, net::IpAddr, path::Path};

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount as EngineMount, MountType,
    MountVolumeOptions, NetworkCreateRequest, ResourcesUlimits,
};
use runspan_agent_protocol::layout;
use runspan_engine::{Company, Container, Limits, Resolver, Volume};

use crate::{ATTEMPT_LABEL, pull::Image};

/// Docker's own set without `MKNOD` (device nodes), `NET_RAW` (raw packets, the way into several kernel faults)
/// and `SETPCAP`. What stays lets root install packages, own files, change user and serve on low ports.
const CAPABILITIES: [&str; 11] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETUID",
    "SYS_CHROOT",
];

/// A build goes before the supervisor when the machine runs out of memory.
const OOM_SCORE_ADJ: i64 = 500;

/// Where the engine's socket appears in the container.
const ENGINE_SOCKET: &str = "/var/run/docker.sock";

/// Name of the container and of the network of an attempt.
pub(crate) fn resource_name(attempt: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') { c } else { '-' };
    format!("runspan-{}", attempt.chars().map(safe).collect::<String>())
}

/// Name of the container of a companion.
pub(crate) fn companion_name(attempt: &str, companion: &str) -> String {
    format!("{}-{companion}", resource_name(attempt))
}

/// Marks a resource as ours.
pub(crate) fn labels(attempt: &str) -> HashMap<String, String> {
    HashMap::from([(ATTEMPT_LABEL.to_owned(), attempt.to_owned())])
}

/// The network of an attempt: a bridge with nobody else on it.
pub(crate) fn network(attempt: &str) -> NetworkCreateRequest {
    NetworkCreateRequest {
        name: resource_name(attempt),
        driver: Some("bridge".into()),
        labels: Some(labels(attempt)),
        ..NetworkCreateRequest::default()
    }
}

/// What the container has for a network when it starts.
#[derive(Clone, Debug)]
pub(crate) enum Connection {
    /// Loopback alone.
    None,
    /// The host's own.
    Host,
    /// A network of the engine, by name.
    OfEngine(String),
    /// Loopback, and what is joined to it later; names are resolved like this.
    Joined(Resolver),
    /// That of another container, with its names.
    Shared(String),
}

/// The container of an attempt. `socket` is the engine's own, mounted when given.
pub(crate) fn container(
    asked: &Container,
    image: &Image,
    connection: &Connection,
    socket: Option<&str>,
) -> Result<ContainerCreateBody, String> {
    let labels = labels(&asked.attempt);
    let tuning = &asked.tuning;
    let is_companion = matches!(asked.company, Company::Beside(_));
    let mut mounts =
        vec![bind(&asked.run_dir, layout::RUN_DIR, true)?, bind(&asked.agent, layout::AGENT, false)?];
    for mount in &asked.mounts {
        mounts.push(bind(&mount.host, &mount.container, mount.writable)?);
    }
    if let Some(socket) = socket {
        mounts.push(bind(Path::new(socket), ENGINE_SOCKET, true)?);
    }
    let shares_files = match &asked.company {
        Company::Alone => false,
        Company::Expected => true,
        Company::Beside(beside) => beside.shares_files,
    };
    if shares_files {
        let name = resource_name(&asked.attempt);
        mounts.push(named(volume(layout::SHARED, &labels), name, false));
    }
    for Volume { name, path, read_only } in &tuning.volumes {
        let own = volume(path, &labels);
        mounts.push(match name {
            Some(name) => named(own, format!("{}-{name}", resource_name(&asked.attempt)), *read_only),
            None => own,
        });
    }
    // An image's volumes would come without a label, and so be lost to a sweep.
    let taken: Vec<_> = mounts.iter().filter_map(|mount| mount.target.clone()).collect();
    let free = image.volumes.iter().filter(|path| !taken.contains(path));
    mounts.extend(free.map(|path| volume(path, &labels)));
    let arguments = match is_companion {
        true => vec!["--companion".into(), serde_json::to_string(&image.program).unwrap_or_default()],
        false => vec!["--attempt".into(), asked.attempt.clone()],
    };
    let own_name = || tuning.hostname.clone().unwrap_or_else(|| host_name(&asked.attempt));
    Ok(ContainerCreateBody {
        image: Some(image.name.clone()),
        entrypoint: Some(vec![layout::AGENT.into()]),
        cmd: Some(arguments),
        user: Some("0".into()),
        working_dir: Some("/".into()),
        labels: Some(labels.into_iter().chain(tuning.labels.iter().cloned()).collect()),
        hostname: match connection {
            Connection::Joined(_) => Some(own_name()),
            Connection::OfEngine(_) | Connection::None => tuning.hostname.clone(),
            Connection::Host | Connection::Shared(_) => None,
        },
        healthcheck: image.has_health_check.then(no_health_check),
        host_config: Some(HostConfig {
            mounts: Some(mounts),
            log_config: Some(HostConfigLogConfig { typ: Some("none".into()), config: None }),
            init: Some(false),
            ipc_mode: Some("private".into()),
            oom_score_adj: Some(OOM_SCORE_ADJ),
            shm_size: tuning.shm_bytes.and_then(|bytes| i64::try_from(bytes).ok()),
            readonly_rootfs: tuning.read_only.then_some(true),
            tmpfs: (!tuning.tmpfs.is_empty()).then(|| tuning.tmpfs.iter().cloned().collect()),
            ulimits: (!tuning.ulimits.is_empty()).then(|| tuning.ulimits.iter().map(ulimit).collect()),
            ..limited(
                asked.limits,
                connected(
                    connection,
                    &own_name(),
                    &tuning.hosts,
                    hardened(asked.privileged, &tuning.dropped_capabilities),
                ),
            )
        }),
        ..ContainerCreateBody::default()
    })
}

/// A build is not a service to be probed.
fn no_health_check() -> HealthConfig {
    HealthConfig { test: Some(vec!["NONE".into()]), ..HealthConfig::default() }
}

fn ulimit((name, soft, hard): &(String, i64, i64)) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.clone()), soft: Some(*soft), hard: Some(*hard) }
}

fn hardened(privileged: bool, dropped: &[String]) -> HostConfig {
    if privileged {
        return HostConfig { privileged: Some(true), ..HostConfig::default() };
    }
    let is_kept = |name: &&str| {
        !dropped.iter().any(|other| {
            let other = other.to_ascii_uppercase();
            other == "ALL" || other.trim_start_matches("CAP_") == *name
        })
    };
    HostConfig {
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: Some(CAPABILITIES.iter().copied().filter(is_kept).map(String::from).collect()),
        security_opt: Some(vec!["no-new-privileges".into()]),
        ..HostConfig::default()
    }
}

fn connected(
    connection: &Connection,
    own_name: &str,
    hosts: &[(String, IpAddr)],
    config: HostConfig,
) -> HostConfig {
    let mode = |mode: &str| Some(mode.to_owned());
    let mut hosts: Vec<String> = hosts.iter().map(|(name, address)| format!("{name}:{address}")).collect();
    let config = HostConfig { extra_hosts: (!hosts.is_empty()).then(|| hosts.clone()), ..config };
    match connection {
        Connection::None => HostConfig { network_mode: mode("none"), ..config },
        Connection::Host => HostConfig { network_mode: mode("host"), ..config },
        Connection::OfEngine(network) => HostConfig { network_mode: mode(network), ..config },
        // Its names are those of the other, too.
        Connection::Shared(container) => {
            HostConfig { network_mode: mode(&format!("container:{container}")), extra_hosts: None, ..config }
        }
        Connection::Joined(resolver) => HostConfig {
            network_mode: mode("none"),
            dns: Some(resolver.servers.iter().map(ToString::to_string).collect()),
            dns_search: Some(resolver.search.clone()),
            dns_options: Some(resolver.options.clone()),
            extra_hosts: {
                // As Debian does for a machine whose address may change.
                hosts.push(format!("{own_name}:127.0.1.1"));
                Some(hosts)
            },
            ..config
        },
    }
}

/// The engine's own way is the container's id, which nobody knows before there is one.
fn host_name(attempt: &str) -> String {
    attempt.chars().filter(char::is_ascii_alphanumeric).take(12).collect::<String>().to_ascii_lowercase()
}

fn limited(limits: Limits, config: HostConfig) -> HostConfig {
    let memory = limits.memory_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    // The engine refuses more CPUs than there are, and as many as there are is no limit.
    let machine = std::thread::available_parallelism().map_or(f64::INFINITY, |count| count.get() as f64);
    let cpus = limits.cpus.filter(|cpus| *cpus > 0.0 && *cpus < machine);
    HostConfig {
        memory,
        // The same number as memory means no swap.
        memory_swap: memory,
        nano_cpus: cpus.map(|cpus| (cpus * 1e9) as i64),
        pids_limit: (limits.pids > 0).then_some(i64::from(limits.pids)),
        ..config
    }
}

fn bind(host: &Path, container: &str, writable: bool) -> Result<EngineMount, String> {
    let Some(source) = host.to_str().filter(|_| host.is_absolute()) else {
        return Err(format!("cannot mount {}: the path must be absolute and UTF-8", host.display()));
    };
    Ok(EngineMount {
        typ: Some(MountType::BIND),
        source: Some(source.to_owned()),
        target: Some(container.to_owned()),
        read_only: Some(!writable),
        ..EngineMount::default()
    })
}

fn volume(path: &str, labels: &HashMap<String, String>) -> EngineMount {
    EngineMount {
        typ: Some(MountType::VOLUME),
        target: Some(path.to_owned()),
        volume_options: Some(MountVolumeOptions {
            labels: Some(labels.clone()),
            ..MountVolumeOptions::default()
        }),
        ..EngineMount::default()
    }
}

/// A volume that others of the build have too. What the image has in its place is not copied into it.
fn named(volume: EngineMount, name: String, read_only: bool) -> EngineMount {
    let volume_options =
        volume.volume_options.map(|options| MountVolumeOptions { no_copy: Some(true), ..options });
    EngineMount { source: Some(name), read_only: Some(read_only), volume_options, ..volume }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use runspan_agent_protocol::Program;
    use runspan_engine::{Beside, Mount, Network, Placement, RootFs, Tuning};

    use super::*;

    fn asked() -> Container {
        Container {
            attempt: "project:1234".into(),
            root: RootFs::Image("busybox".into()),
            registry_login: None,
            limits: Limits { memory_bytes: Some(3 << 30), cpus: Some(0.5), pids: 100 },
            privileged: false,
            engine_socket: false,
            network: Network::Private,
            run_dir: "/srv/run".into(),
            agent: "/srv/agent".into(),
            mounts: vec![Mount { host: "/srv/cache".into(), container: "/cache".into(), writable: true }],
            tuning: Tuning::default(),
            company: Company::Alone,
        }
    }

    fn image() -> Image {
        Image {
            name: "busybox".into(),
            id: "sha256:1".into(),
            volumes: vec!["/cache".into(), "/data".into()],
            has_health_check: true,
            program: Program { command: vec!["sh".into()], ..Program::default() },
        }
    }

    fn net() -> Connection {
        Connection::OfEngine("net".into())
    }

    #[test]
    fn names_are_resolved_where_the_engine_does_not_do_it() {
        let resolver = Resolver {
            servers: vec!["192.0.2.1".parse().unwrap()],
            search: vec!["example.test".into()],
            options: vec!["ndots:2".into()],
        };
        let body = container(&asked(), &image(), &Connection::Joined(resolver), None).unwrap();
        let host = body.host_config.unwrap();
        assert_eq!(body.hostname.as_deref(), Some("project1234"));
        assert_eq!(host.extra_hosts, Some(vec!["project1234:127.0.1.1".into()]));
        assert_eq!((host.network_mode.as_deref(), host.dns), (Some("none"), Some(vec!["192.0.2.1".into()])));
        assert_eq!(host.dns_search, Some(vec!["example.test".into()]));
        let body = container(&asked(), &image(), &net(), None).unwrap();
        assert_eq!((body.hostname, body.host_config.unwrap().dns), (None, None));
    }

    #[test]
    fn a_build_is_hardened_and_a_privileged_one_is_not() {
        let host = container(&asked(), &image(), &net(), None).unwrap().host_config.unwrap();
        assert_eq!(host.privileged, None);
        assert_eq!(host.cap_drop, Some(vec!["ALL".into()]));
        assert_eq!(host.security_opt, Some(vec!["no-new-privileges".into()]));
        assert_eq!((host.memory, host.memory_swap), (Some(3 << 30), Some(3 << 30)));
        assert_eq!((host.nano_cpus, host.pids_limit), (Some(500_000_000), Some(100)));
        let asked = Container { privileged: true, ..asked() };
        let host = container(&asked, &image(), &net(), None).unwrap().host_config.unwrap();
        assert_eq!((host.privileged, host.cap_drop, host.security_opt), (Some(true), None, None));
    }

    #[test]
    fn every_volume_is_labelled_and_no_target_is_mounted_twice() {
        let body = container(&asked(), &image(), &net(), Some("/run/user/7/docker.sock")).unwrap();
        let mounts = body.host_config.unwrap().mounts.unwrap();
        let targets: Vec<_> = mounts.iter().filter_map(|mount| mount.target.as_deref()).collect();
        assert_eq!(
            targets,
            ["/codebuild/run", "/codebuild/agent", "/cache", "/var/run/docker.sock", "/data"]
        );
        let labels = mounts[4].volume_options.clone().unwrap().labels.unwrap();
        assert_eq!(labels[ATTEMPT_LABEL], "project:1234");
        assert_eq!(mounts[1].read_only, Some(true));
    }

    #[test]
    fn a_companion_has_the_network_and_where_asked_the_files_of_its_host() {
        let host = Placement {
            executor: "docker".into(),
            container: "abc".into(),
            attempt: "project:1234".into(),
            image_id: String::new(),
            companion: None,
        };
        let shared = |body: &ContainerCreateBody| {
            let mounts = body.host_config.as_ref().unwrap().mounts.as_ref().unwrap();
            mounts.iter().find(|mount| mount.target.as_deref() == Some(layout::SHARED)).cloned()
        };
        let of = |shares_files| {
            let beside = Beside { host: host.clone(), name: "s0".into(), shares_files };
            let tuning = Tuning {
                hostname: Some("h".into()),
                dropped_capabilities: vec!["cap_kill".into()],
                ..Tuning::default()
            };
            let asked = Container { company: Company::Beside(beside), tuning, ..asked() };
            container(&asked, &image(), &Connection::Shared("abc".into()), None).unwrap()
        };
        let (with, without) = (of(true), of(false));
        let expected = Container { company: Company::Expected, ..asked() };
        let of_host = container(&expected, &image(), &net(), None).unwrap();
        assert_eq!(shared(&with).unwrap().source, shared(&of_host).unwrap().source);
        assert_eq!((shared(&without), with.hostname), (None, None));
        assert_eq!(with.cmd.unwrap()[0], "--companion");
        let config = with.host_config.unwrap();
        assert_eq!(config.network_mode.as_deref(), Some("container:abc"));
        assert!(!config.cap_add.unwrap().contains(&"KILL".to_owned()));
    }

    #[test]
    fn a_relative_host_path_is_refused() {
        let asked = Container { run_dir: PathBuf::from("run"), ..asked() };
        assert!(container(&asked, &image(), &net(), None).unwrap_err().contains("must be absolute"));
    }

    #[test]
    fn names_fit_the_engine() {
        assert_eq!(resource_name("project:12/34 ä"), "runspan-project-12-34--");
    }
}
