//! Known ways out of a container, tried from inside a build: each fails, and for the reason that it must.

use std::collections::BTreeMap;
use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::Command;

use crate::harness::{DEBIAN, Home, SANDBOX, home};

/// The attempt, as `attempts.c` names it; how it may end; and why.
const ATTEMPTS: &[(&str, &[&str], &str)] = &[
    ("mount_memory", NO, "mounting is refused"),
    ("mount_cgroup", NO, "mounting is refused"),
    ("mount_bind", NO, "mounting is refused"),
    ("remount_sys", NO, "mounting is refused"),
    ("unmount_mask", NO, "unmounting is refused"),
    ("unmount_sysctl", NO, "unmounting is refused"),
    ("new_mount_call", NO, "mounting is refused, the new way too"),
    ("open_tree_call", NO, "mounting is refused, the new way too"),
    ("pivot", NO, "changing the root's mount is refused"),
    ("disk_node", NO, "CAP_MKNOD is not given"),
    ("memory_node", NO, "CAP_MKNOD is not given"),
    ("memory_device", ABSENT, "/dev holds no device of the machine"),
    ("kvm", ABSENT, "/dev holds no device of the machine"),
    ("core_pattern", CLOSED, "/proc/sys is read-only, and root's outside"),
    ("modprobe_path", &["EROFS", "EACCES", "ENOENT"], "/proc/sys is read-only, and root's outside"),
    ("drop_caches", CLOSED, "/proc/sys is read-only, and root's outside"),
    ("sysrq", &["EROFS", "EACCES", "ENOENT"], "it is read-only, and root's outside"),
    ("uevent_helper", CLOSED, "/sys is read-only"),
    ("release_agent", &["EROFS", "EACCES", "ENOENT"], "only the build's own group is seen, read-only"),
    ("leave_cgroup", &["EROFS", "EACCES", "ENOENT"], "only the build's own group is seen, read-only"),
    ("kernel_memory", &["ENODATA", "ENOENT", "EACCES"], "/proc/kcore is covered"),
    ("kernel_log", NO, "CAP_SYSLOG is not given"),
    ("user_namespace", NO, "namespaces in which more is allowed are refused"),
    ("clone_namespace", NO, "namespaces in which more is allowed are refused"),
    ("clone3_namespace", &["ENOSYS"], "its arguments cannot be looked at, so it is not there"),
    ("enter_init", &["EACCES", "EPERM"], "the agent cannot be looked into"),
    ("trace_init", NO, "the agent cannot be traced"),
    ("read_init", &["EACCES"], "the agent cannot be looked into"),
    ("environment_of_init", &["EACCES"], "the agent cannot be looked into"),
    ("bpf", NO, "programs for the kernel are refused"),
    ("add_key", NO, "keys are not kept apart by namespaces"),
    ("keyctl", NO, "keys are not kept apart by namespaces"),
    ("file_handle", NO, "CAP_DAC_READ_SEARCH is not given"),
    ("load_module", NO, "CAP_SYS_MODULE is not given"),
    ("load_kernel", NO, "CAP_SYS_BOOT is not given"),
    ("restart", NO, "CAP_SYS_BOOT is not given"),
    ("swap", NO, "CAP_SYS_ADMIN is not given"),
    ("performance_events", NO, "CAP_PERFMON is not given"),
    ("page_faults", NO, "the call is refused"),
    ("ports", &["EPERM", "ENOSYS"], "CAP_SYS_RAWIO is not given"),
    ("clock", NO, "CAP_SYS_TIME is not given"),
    ("host_name", NO, "CAP_SYS_ADMIN is not given"),
    ("raw_socket", NO, "CAP_NET_RAW is not given"),
    ("capability", NO, "what was given up does not come back"),
    ("new_privileges", NO, "no program brings new rights"),
    ("terminal", &["ENXIO", "EIO", "EPERM"], "there is no terminal to type into"),
    ("engine_socket", ABSENT, "/run is the build's own"),
    ("abstract_socket", &["ECONNREFUSED", "EPERM"], "the network is the build's own, or sockets are scoped"),
    ("machines_file", ABSENT, "the machine's root is out of sight"),
    ("through_init", &["EACCES", "ENOENT"], "the agent's root is the build's, and cannot be looked into"),
    ("out_of_chroot", ABSENT, "above the root there is nothing"),
    ("machines_process", &["ESRCH"], "processes of the machine have no number inside"),
];
const NO: &[&str] = &["EPERM"];
const ABSENT: &[&str] = &["ENOENT"];
const CLOSED: &[&str] = &["EROFS", "EACCES"];

const BUILDSPEC: &str = r#"version: 0.2
phases:
  build:
    commands:
      - cc -o /tmp/attempts attempts.c
      - /tmp/attempts "$SECRET" "$PROCESS" "$ABSTRACT"
"#;

/// What a build must not reach.
struct Machine {
    _socket: UnixListener,
    variables: Vec<String>,
}

impl Machine {
    fn new(home: &Home) -> Self {
        let secret = home.path("secret");
        fs::write(&secret, "the machine's own").unwrap();
        for path in [secret.as_path(), secret.parent().unwrap()] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        // Abstract names are the whole machine's, and tests run beside each other.
        let name = secret.to_string_lossy().into_owned();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let variables = vec![
            format!("SECRET={}", secret.display()),
            format!("PROCESS={}", std::process::id()),
            format!("ABSTRACT={name}"),
        ];
        Self { _socket: UnixListener::bind_addr(&address).unwrap(), variables }
    }

    fn arguments(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().flat_map(|variable| ["--env", variable])
    }
}

fn source(home: &Home) -> std::path::PathBuf {
    home.source("escapes", [("buildspec.yml", BUILDSPEC), ("attempts.c", include_str!("escapes/attempts.c"))])
}

fn assert_all_fail(log: &str) {
    let ended: BTreeMap<&str, &str> = log.lines().filter_map(|line| line.split_once(": ")).collect();
    let mut wrong = Vec::new();
    for (name, allowed, why) in ATTEMPTS {
        match ended.get(name) {
            Some(how) if allowed.contains(how) => {}
            how => wrong.push(format!("{name}: {how:?}, not {allowed:?} as {why}")),
        }
    }
    assert!(wrong.is_empty(), "{}\n{log}", wrong.join("\n"));
    assert!(ATTEMPTS.len() >= 20);
}

#[test]
fn no_known_way_out_of_an_image() {
    let Some(home) = home() else { return };
    let machine = Machine::new(&home);
    let ran = home.run(source(&home), DEBIAN).args(machine.arguments()).finish().exited(0);
    assert_all_fail(&ran.text());
    home.assert_nothing_left();
}

#[test]
fn no_known_way_out_of_the_machines_own_root() {
    if !SANDBOX {
        return;
    }
    let Some(home) = home() else { return };
    let machine = Machine::new(&home);
    let ran = home.runspan(["run", "--image", "host"]).arg(source(&home)).args(machine.arguments());
    assert_all_fail(&ran.finish().exited(0).text());
    home.assert_nothing_left();
}

/// An ordinary user, in the sandbox that he can have.
#[test]
fn no_known_way_out_of_an_ordinary_users_sandbox() {
    const USER: u32 = 54_321;
    if !SANDBOX || !rustix::process::geteuid().is_root() {
        return;
    }
    let Some(home) = home() else { return };
    let machine = Machine::new(&home);
    let (state, program) = (home.path("of-user"), home.path("runspan"));
    fs::create_dir(&state).unwrap();
    chown(&state, Some(USER), Some(USER)).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_runspan"), &program).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", &USER.to_string(), "--regid", &USER.to_string(), "--clear-groups"])
        .arg(&program)
        .args(["run", "--image", "host"])
        .arg(source(&home))
        .args(machine.arguments())
        .env("RUNSPAN_HOME", &state)
        .env("HOME", &state)
        .output()
        .unwrap();
    let (log, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{log}{errors}");
    assert_all_fail(&log);
    let left: Vec<_> = fs::read_dir(Path::new(&state).join("sandbox")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
