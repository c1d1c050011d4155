//! What a build that wants out of its container must not be able to do.

use runspan_engine::{Executor, RootFs};
use std::io::Write as _;

use crate::case::{BUSYBOX, Case, DEBIAN, engine, is_podman};

/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE, SYS_CHROOT, AUDIT_WRITE, SETFCAP.
const CAPABILITIES: u64 =
    1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 18 | 1 << 29 | 1 << 31;

/// Each is a command that ends with status 0 only where a container lets too much through.
const ESCAPES: [&str; 21] = [
    "mount -t tmpfs none /mnt",
    "mount -t proc none /proc",
    "mount -t cgroup -o memory cgroup /mnt",
    "mount -t cgroup2 cgroup /mnt",
    "umount /proc/sys",
    "echo '|/tmp/x' >/proc/sys/kernel/core_pattern",
    "echo /tmp/x >/proc/sys/kernel/modprobe",
    "echo b >/proc/sysrq-trigger",
    "echo /tmp/x >/sys/fs/cgroup/memory/release_agent",
    "echo 1 >/sys/kernel/uevent_helper",
    "mknod /disk b 254 0",
    "mknod /mem c 1 1",
    "unshare -m true",
    "unshare -U true",
    "nsenter -t 1 -m true",
    "pivot_root / /mnt",
    "head -c 1 /proc/kcore | grep -q .",
    "dd if=/dev/kmsg of=/dev/null count=1",
    "test -e /dev/kvm || test -e /dev/vda || test -e /dev/sda || test -e /dev/mem",
    "test -S /var/run/docker.sock || test -S /run/docker.sock",
    "ip link add x0 type bridge || hostname other || sethostname other",
];

/// What podman's own seccomp profile lets through.
const PODMAN_ALLOWS: [&str; 2] = ["SYS_keyctl", "SYS_unshare"];

/// Where the arguments are nonsense, only a refusal gives EPERM or ENOSYS.
const SYSTEM_CALLS: &str = r#"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#define NEW_USER_NAMESPACE 0x10000000
#define REFUSED(call) report(#call, call)
static void report(const char *call, long result) {
    if (result != -1 || (errno != EPERM && errno != ENOSYS)) printf("%s gave %ld: %m\n", call, result);
}
int main(void) {
    REFUSED(syscall(SYS_bpf, 0, 0, 0));
    REFUSED(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
    REFUSED(syscall(SYS_add_key, 0, 0, 0, 0, 0));
    REFUSED(syscall(SYS_request_key, 0, 0, 0, 0));
    REFUSED(syscall(SYS_userfaultfd, 0));
    REFUSED(syscall(SYS_perf_event_open, 0, 0, 0, 0, 0));
    REFUSED(syscall(SYS_kexec_load, 0, 0, 0, 0));
    REFUSED(syscall(SYS_open_by_handle_at, 0, 0, 0));
    REFUSED(syscall(SYS_init_module, 0, 0, 0));
    REFUSED(syscall(SYS_finit_module, 0, 0, 0));
    REFUSED(syscall(SYS_delete_module, 0, 0));
    REFUSED(syscall(SYS_reboot, 0, 0, 0, 0));
    REFUSED(syscall(SYS_swapon, 0, 0));
    REFUSED(syscall(SYS_acct, 0));
    REFUSED(syscall(SYS_settimeofday, 0, 0));
    REFUSED(syscall(SYS_mount, "none", "/", "tmpfs", 0, 0));
    REFUSED(syscall(SYS_pivot_root, 0, 0));
    REFUSED(syscall(SYS_setns, open("/proc/self/ns/mnt", O_RDONLY), 0));
    REFUSED(syscall(SYS_unshare, NEW_USER_NAMESPACE));
    REFUSED(socket(AF_PACKET, SOCK_RAW, 0));
    REFUSED(socket(AF_INET, SOCK_RAW, 1));
    puts("done");
}
"#;

#[tokio::test]
async fn the_agent_gets_the_small_set_of_privileges() {
    let Some(executor) = engine(BUSYBOX).await else { return };
    let (output, _) = Case::new("cat /proc/self/status; cat /proc/self/oom_score_adj").run(&executor).await;
    let field = |name: &str| {
        let line = output.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_start_matches(':').trim().to_owned()
    };
    for set in ["CapBnd", "CapEff", "CapPrm"] {
        assert_eq!(u64::from_str_radix(&field(set), 16).unwrap(), CAPABILITIES, "{set}");
    }
    assert_eq!((field("NoNewPrivs").as_str(), field("Seccomp").as_str()), ("1", "2"));
    assert_eq!(output.lines().last(), Some("500"));
}

#[tokio::test]
async fn known_ways_out_are_shut() {
    let Some(executor) = engine(BUSYBOX).await else { return };
    let mut script = String::from("mkdir -p /mnt\n");
    let podman = is_podman().await;
    for escape in ESCAPES.into_iter().filter(|escape| !(podman && escape.starts_with("unshare -U"))) {
        script += &format!(
            "if ( {escape} ) 2>/dev/null; then echo \"open: $(cat <<'END'\n{escape}\nEND\n)\"; fi\n"
        );
    }
    script += "echo done\n";
    let (output, _) = Case::new(&script).run(&executor).await;
    assert_eq!(output, "done\n");
}

#[tokio::test]
async fn dangerous_system_calls_are_refused() {
    let Some(executor) = engine(DEBIAN).await else { return };
    let podman = is_podman().await;
    let mut case = Case::new("cd /tmp && gcc -o calls /codebuild/run/calls.c && ./calls");
    case.asked.root = RootFs::Image(DEBIAN.into());
    std::fs::write(case.asked.run_dir.join("calls.c"), SYSTEM_CALLS).unwrap();
    let (output, _) = case.run(&executor).await;
    let open =
        output.lines().filter(|line| !(podman && PODMAN_ALLOWS.iter().any(|call| line.contains(call))));
    assert_eq!(open.collect::<Vec<_>>(), ["done"]);
}

#[tokio::test]
async fn what_builds_do_as_root_still_works() {
    let Some(executor) = engine(DEBIAN).await else { return };
    let mut case = Case::new(
        r#"set -e
           cd /tmp
           touch file; chown 1000:1000 file; chmod 4755 file
           su builder -c 'id -u'
           setpriv --reuid 1000 --regid 1000 --clear-groups id -u
           mkdir -p root && cp -r /bin /lib* root 2>/dev/null || :
           mkdir old && mkfifo old/pipe && tar -cf - old | tar -xf - -C /root
           apt-config dump >/dev/null
           dpkg --configure -a
           useradd fresh && su fresh -c 'kill -0 $$'
           git init -q repo
           printf 'int main(){return 0;}' >main.c && gcc main.c && ./a.out
           python3 -c 'import socket; socket.socket().bind(("127.0.0.1", 80))'
           echo done"#,
    );
    case.asked.root = RootFs::Image(DEBIAN.into());
    let (output, code) = case.run(&executor).await;
    assert_eq!((output.as_str(), code), ("1000\n1000\ndone\n", Some(0)));
}

#[tokio::test]
async fn more_is_given_only_when_granted() {
    let Some(executor) = engine(BUSYBOX).await else { return };
    let script = "mkdir -p /mnt; mount -t tmpfs none /mnt && echo mounted; test -S /var/run/docker.sock && echo socket";
    let mut case = Case::new(script);
    case.asked.privileged = true;
    match case.place(&executor).await {
        // The engine itself may live in something that holds capabilities back.
        Err(error) if error.to_string().contains("unable to apply caps") => {
            drop(writeln!(std::io::stderr(), "SKIPPED: {error}"))
        }
        placed => {
            executor.observe(placed.as_ref().unwrap()).await.unwrap();
            executor.collect(placed.as_ref().unwrap()).await.unwrap();
            assert_eq!(case.output(), "mounted\n");
        }
    }
    let mut case = Case::new(script);
    case.asked.engine_socket = true;
    let (output, _) = case.run(&executor).await;
    assert!(output.ends_with("socket\n") && !output.contains("mounted\n"), "{output}");
}
