//! What works on this machine and what does not: the lines of `doctor`.

use bollard::models::{SystemInfo, SystemInfoCgroupVersionEnum};
use runspan_engine::{Check, CheckState, ExecutorError};

use crate::{engine::Engine, remove::Kind};

/// Less free space than this on the engine's disk is a warning.
const ENOUGH_SPACE: u64 = 10 << 30;
const GIB: f64 = (1u64 << 30) as f64;

/// The line for an engine that [`DockerExecutor::connect`](crate::DockerExecutor::connect) could not reach.
pub fn unreachable(error: &ExecutorError) -> Check {
    match error {
        ExecutorError::Unreachable { engine, reason, remedy } => {
            bad("container engine", format!("{engine} does not answer: {reason}"), remedy)
        }
        other => bad("container engine", other.to_string(), "see the engine's log"),
    }
}

pub(crate) async fn all(engine: &Engine) -> Vec<Check> {
    let (about, info) = match tokio::try_join!(engine.about(), engine.docker.info()) {
        Ok(found) => found,
        Err(error) => return vec![unreachable(&engine.failure("asking the engine about itself", &error))],
    };
    let mut checks = vec![
        good(
            "container engine",
            format!("{} {}, API {}, at {}", about.product, about.version, about.api, engine.endpoint.url),
        ),
        storage(&info),
        cgroups(&info),
        limits(&info),
        rootless(&info),
    ];
    checks.extend(info.docker_root_dir.as_deref().and_then(space));
    checks.push(leftovers(engine).await);
    checks
}

fn storage(info: &SystemInfo) -> Check {
    let driver = info.driver.as_deref().unwrap_or("unknown");
    let name = "image storage";
    match driver {
        "vfs" => warning(
            name,
            "vfs copies whole images for each container",
            "use overlay2 (fuse-overlayfs when rootless)",
        ),
        "devicemapper" => warning(name, "devicemapper is slow and no longer kept", "use overlay2"),
        _ => good(name, driver),
    }
}

fn cgroups(info: &SystemInfo) -> Check {
    let version = match info.cgroup_version {
        Some(SystemInfoCgroupVersionEnum::_2) => "version 2",
        // Older engines do not say.
        Some(SystemInfoCgroupVersionEnum::_1 | SystemInfoCgroupVersionEnum::EMPTY) | None => "version 1",
    };
    let driver = info.cgroup_driver.map(|driver| driver.to_string()).unwrap_or_default();
    match driver.as_str() {
        "none" => bad(
            "cgroups",
            format!("{version}, and the engine manages none: no limit holds"),
            "delegate cgroups to your user: systemd with cgroup version 2",
        ),
        driver => good("cgroups", format!("{version}, driver {driver}")),
    }
}

fn limits(info: &SystemInfo) -> Check {
    let missing: Vec<_> = [
        ("memory", info.memory_limit),
        ("swap", info.swap_limit),
        ("CPU", info.cpu_cfs_quota),
        ("process", info.pids_limit),
    ]
    .into_iter()
    .filter(|(_, holds)| *holds == Some(false))
    .map(|(name, _)| name)
    .collect();
    match missing.is_empty() {
        true => good("limits", "memory, swap, CPU and process limits hold"),
        false => warning(
            "limits",
            &format!("the engine cannot limit: {}", missing.join(", ")),
            "enable these cgroup controllers (boot with cgroup_enable=memory swapaccount=1, or delegate them)",
        ),
    }
}

fn rootless(info: &SystemInfo) -> Check {
    let options = info.security_options.as_deref().unwrap_or_default();
    let has = |name: &str| {
        options.iter().any(|option| option.split(',').any(|part| part == format!("name={name}")))
    };
    let name = "isolation";
    let root = if has("rootless") { "the engine runs without root" } else { "the engine runs as root" };
    if !has("seccomp") {
        return warning(name, &format!("{root}, without seccomp"), "use an engine and a kernel with seccomp");
    }
    if has("userns") {
        return warning(
            name,
            "user namespaces are remapped",
            "the remapped root must be able to write runspan's state directory, or start the engine without userns-remap",
        );
    }
    good(name, format!("{root}, with seccomp"))
}

/// Free space where the engine keeps images; nothing when that is on another machine.
fn space(root: &str) -> Option<Check> {
    let stat = rustix::fs::statvfs(root).ok()?;
    let free = stat.f_bavail * stat.f_frsize;
    let finding = format!("{:.1} GiB free in {root}", free as f64 / GIB);
    Some(match free < ENOUGH_SPACE {
        true => warning("disk", &finding, "remove what is not needed (`docker system prune`)"),
        false => good("disk", finding),
    })
}

async fn leftovers(engine: &Engine) -> Check {
    let resources = match engine.resources(None).await {
        Ok(resources) => resources,
        Err(error) => return bad("leftovers", error.to_string(), "see the engine's log"),
    };
    let count = |kind| resources.iter().filter(|one| one.kind == kind).count();
    let finding = format!(
        "{} containers, {} networks and {} volumes of builds, running ones included",
        count(Kind::Container),
        count(Kind::Network),
        count(Kind::Volume)
    );
    let running = |attempt: &str| resources.iter().any(|one| one.running && one.attempt == attempt);
    match resources.iter().all(|one| running(&one.attempt)) {
        true => good("leftovers", finding),
        false => warning("leftovers", &finding, "the next build removes what no running build owns"),
    }
}

fn good(name: &str, finding: impl Into<String>) -> Check {
    Check { name: name.into(), state: CheckState::Good, finding: finding.into() }
}

fn warning(name: &str, finding: &str, remedy: &str) -> Check {
    Check { name: name.into(), state: CheckState::Warning { remedy: remedy.into() }, finding: finding.into() }
}

fn bad(name: &str, finding: impl Into<String>, remedy: &str) -> Check {
    Check { name: name.into(), state: CheckState::Bad { remedy: remedy.into() }, finding: finding.into() }
}
