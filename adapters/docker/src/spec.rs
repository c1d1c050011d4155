//! What the engine is asked for: one container, one network.

use std::{collections::HashMap, path::Path};

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount as EngineMount, MountType,
    MountVolumeOptions, NetworkCreateRequest,
};
use runspan_agent_protocol::layout;
use runspan_engine::{Container, Limits, Resolver};

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
}

/// The container of an attempt. `socket` is the engine's own, mounted when given.
pub(crate) fn container(
    asked: &Container,
    image: &Image,
    connection: &Connection,
    socket: Option<&str>,
) -> Result<ContainerCreateBody, String> {
    let labels = labels(&asked.attempt);
    let mut mounts =
        vec![bind(&asked.run_dir, layout::RUN_DIR, true)?, bind(&asked.agent, layout::AGENT, false)?];
    for mount in &asked.mounts {
        mounts.push(bind(&mount.host, &mount.container, mount.writable)?);
    }
    if let Some(socket) = socket {
        mounts.push(bind(Path::new(socket), ENGINE_SOCKET, true)?);
    }
    // An image's volumes would come without a label, and so be lost to a sweep.
    let taken: Vec<_> = mounts.iter().filter_map(|mount| mount.target.clone()).collect();
    let free = image.volumes.iter().filter(|path| !taken.contains(path));
    mounts.extend(free.map(|path| volume(path, &labels)));
    Ok(ContainerCreateBody {
        image: Some(image.name.clone()),
        entrypoint: Some(vec![layout::AGENT.into()]),
        cmd: Some(vec!["--attempt".into(), asked.attempt.clone()]),
        user: Some("0".into()),
        working_dir: Some("/".into()),
        labels: Some(labels),
        hostname: matches!(connection, Connection::Joined(_)).then(|| host_name(&asked.attempt)),
        healthcheck: image.has_health_check.then(no_health_check),
        host_config: Some(HostConfig {
            mounts: Some(mounts),
            log_config: Some(HostConfigLogConfig { typ: Some("none".into()), config: None }),
            init: Some(false),
            ipc_mode: Some("private".into()),
            oom_score_adj: Some(OOM_SCORE_ADJ),
            ..limited(asked.limits, connected(connection, &asked.attempt, hardened(asked.privileged)))
        }),
        ..ContainerCreateBody::default()
    })
}

/// A build is not a service to be probed.
fn no_health_check() -> HealthConfig {
    HealthConfig { test: Some(vec!["NONE".into()]), ..HealthConfig::default() }
}

fn hardened(privileged: bool) -> HostConfig {
    if privileged {
        return HostConfig { privileged: Some(true), ..HostConfig::default() };
    }
    HostConfig {
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: Some(CAPABILITIES.map(String::from).to_vec()),
        security_opt: Some(vec!["no-new-privileges".into()]),
        ..HostConfig::default()
    }
}

fn connected(connection: &Connection, attempt: &str, config: HostConfig) -> HostConfig {
    let mode = |mode: &str| Some(mode.to_owned());
    match connection {
        Connection::None => HostConfig { network_mode: mode("none"), ..config },
        Connection::Host => HostConfig { network_mode: mode("host"), ..config },
        Connection::OfEngine(network) => HostConfig { network_mode: mode(network), ..config },
        Connection::Joined(resolver) => HostConfig {
            network_mode: mode("none"),
            dns: Some(resolver.servers.iter().map(ToString::to_string).collect()),
            dns_search: Some(resolver.search.clone()),
            dns_options: Some(resolver.options.clone()),
            // As Debian does for a machine whose address may change.
            extra_hosts: Some(vec![format!("{}:127.0.1.1", host_name(attempt))]),
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use runspan_engine::{Mount, Network, RootFs};

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
        }
    }

    fn image() -> Image {
        Image {
            name: "busybox".into(),
            id: "sha256:1".into(),
            volumes: vec!["/cache".into(), "/data".into()],
            has_health_check: true,
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
    fn a_relative_host_path_is_refused() {
        let asked = Container { run_dir: PathBuf::from("run"), ..asked() };
        assert!(container(&asked, &image(), &net(), None).unwrap_err().contains("must be absolute"));
    }

    #[test]
    fn names_fit_the_engine() {
        assert_eq!(resource_name("project:12/34 ä"), "runspan-project-12-34--");
    }
}
