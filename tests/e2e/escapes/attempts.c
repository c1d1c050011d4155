/* Ways out of a container, each tried once: `name: how it ended` on a line of its own. Run as root inside.
   Arguments: a file of the machine that no container may see, a process of the machine, an abstract socket. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *secret, *process, *abstract;

static int call(long number, long a, long b, long c, long d) { return syscall(number, a, b, c, d, 0) < 0 ? -1 : 0; }
static int writes(const char *path) {
  int fd = open(path, O_WRONLY);
  if (fd < 0) return -1;
  int wrote = write(fd, "1", 1) < 0 ? -1 : 0, kept = errno;
  close(fd);
  errno = kept;
  return wrote;
}
static int reads(const char *path) {
  char byte;
  int fd = open(path, O_RDONLY);
  if (fd < 0) return -1;
  int got = read(fd, &byte, 1), kept = errno;
  close(fd);
  if (got == 0) errno = ENODATA; else errno = kept;
  return got == 1 ? 0 : -1;
}
static int connects(const char *path, int is_abstract) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  strncpy(to.sun_path + is_abstract, path, sizeof to.sun_path - 2);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  return connect(fd, (void *)&to, offsetof(struct sockaddr_un, sun_path) + is_abstract + strlen(path));
}

static int mount_memory(void) { return mount("none", "/tmp", "tmpfs", 0, ""); }
static int mount_cgroup(void) { return mount("none", "/tmp", "cgroup", 0, "memory"); }
static int mount_bind(void) { return mount("/proc/sys", "/tmp", "", MS_BIND, ""); }
static int remount_sys(void) { return mount("", "/sys", "", MS_REMOUNT | MS_BIND, ""); }
static int unmount_mask(void) { return umount2("/proc/keys", MNT_DETACH); }
static int unmount_sysctl(void) { return umount2("/proc/sys", MNT_DETACH); }
static int new_mount_call(void) { return call(SYS_fsopen, (long)"tmpfs", 0, 0, 0); }
static int open_tree_call(void) { return call(SYS_open_tree, AT_FDCWD, (long)"/", 1, 0); }
static int pivot(void) { return call(SYS_pivot_root, (long)"/", (long)"/", 0, 0); }
static int disk_node(void) { return mknod("/tmp/disk", S_IFBLK | 0600, makedev(254, 0)); }
static int memory_node(void) { return mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1)); }
static int memory_device(void) { return reads("/dev/mem"); }
static int kvm(void) { return reads("/dev/kvm"); }
static int core_pattern(void) { return writes("/proc/sys/kernel/core_pattern"); }
static int modprobe_path(void) { return writes("/proc/sys/kernel/modprobe"); }
static int drop_caches(void) { return writes("/proc/sys/vm/drop_caches"); }
static int sysrq(void) { return writes("/proc/sysrq-trigger"); }
static int uevent_helper(void) { return writes("/sys/kernel/uevent_seqnum"); }
static int release_agent(void) { return writes("/sys/fs/cgroup/memory/release_agent"); }
static int leave_cgroup(void) {
  return access("/sys/fs/cgroup/memory", F_OK) ? writes("/sys/fs/cgroup/cgroup.procs") : writes("/sys/fs/cgroup/memory/cgroup.procs");
}
static int kernel_memory(void) { return reads("/proc/kcore"); }
static int kernel_log(void) { char text[8]; return call(SYS_syslog, 3, (long)text, sizeof text, 0); }
static int user_namespace(void) { return unshare(CLONE_NEWUSER); }
static int clone_namespace(void) { return call(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0); }
static int clone3_namespace(void) {
  unsigned long long args[11] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD};
  return call(SYS_clone3, (long)args, sizeof args, 0, 0);
}
static int enter_init(void) {
  int fd = open("/proc/1/ns/mnt", O_RDONLY);
  return fd < 0 ? -1 : setns(fd, 0);
}
static int trace_init(void) { return ptrace(PTRACE_ATTACH, 1, 0, 0) < 0 ? -1 : 0; }
static int read_init(void) { return reads("/proc/1/mem"); }
static int environment_of_init(void) { return reads("/proc/1/environ"); }
static int bpf(void) { long attr[16] = {1}; return call(SYS_bpf, 5, (long)attr, sizeof attr, 0); }
static int add_key(void) { return call(SYS_add_key, (long)"user", (long)"x", (long)"y", 1); }
static int keyctl(void) { return call(SYS_keyctl, 0, -3, 0, 0); }
static int file_handle(void) {
  struct { struct file_handle head; char rest[16]; } handle = {{8, 1}, {2}};
  return call(SYS_open_by_handle_at, AT_FDCWD, (long)&handle, O_RDONLY, 0);
}
static int load_module(void) { return call(SYS_init_module, (long)"", 0, (long)"", 0); }
static int load_kernel(void) { return call(SYS_kexec_load, 0, 0, 0, 0); }
static int restart(void) { return call(SYS_reboot, 0xfee1dead, 672274793, 0x01234567, 0); }
static int swap(void) { return call(SYS_swapon, (long)"/tmp/attempts", 0, 0, 0); }
static int performance_events(void) { long attr[16] = {0}; return call(SYS_perf_event_open, (long)attr, 0, -1, -1); }
static int page_faults(void) { return call(SYS_userfaultfd, 0, 0, 0, 0); }
#ifdef SYS_iopl
static int ports(void) { return call(SYS_iopl, 3, 0, 0, 0); }
#else
static int ports(void) { errno = ENOSYS; return -1; }
#endif
static int clock(void) { long time[2] = {1, 0}; return call(SYS_clock_settime, 0, (long)time, 0, 0); }
static int host_name(void) { return sethostname("escaped", 7); }
static int raw_socket(void) { return socket(AF_INET, SOCK_RAW, 1) < 0 ? -1 : 0; }
static int capability(void) {
  struct { unsigned version; int pid; } head = {0x20080522, 0};
  unsigned sets[6] = {~0u, ~0u, ~0u, ~0u, ~0u, ~0u};
  return call(SYS_capset, (long)&head, (long)sets, 0, 0);
}
static int new_privileges(void) { if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) { errno = EPERM; return -1; } return 0; }
static int terminal(void) {
  int fd = open("/dev/tty", O_RDWR);
  return fd < 0 ? -1 : ioctl(fd, TIOCSTI, "x");
}
static int engine_socket(void) { return connects("/var/run/docker.sock", 0); }
static int abstract_socket(void) { return connects(abstract, 1); }
static int machines_file(void) { return reads(secret); }
static int through_init(void) { char path[4096]; snprintf(path, sizeof path, "/proc/1/root%s", secret); return reads(path); }
static int out_of_chroot(void) {
  mkdir("/tmp/cell", 0700);
  if (chroot("/tmp/cell")) return -1;
  for (int i = 0; i < 64; i++) if (chdir("..")) return -1;
  if (chroot(".")) return -1;
  return reads(secret);
}
static int machines_process(void) { return kill(atoi(process), 0); }

#define TRY(name) {#name, name}
static const struct { const char *name; int (*attempt)(void); } all[] = {
  TRY(mount_memory), TRY(mount_cgroup), TRY(mount_bind), TRY(remount_sys), TRY(unmount_mask), TRY(unmount_sysctl),
  TRY(new_mount_call), TRY(open_tree_call), TRY(pivot), TRY(disk_node), TRY(memory_node), TRY(memory_device), TRY(kvm),
  TRY(core_pattern), TRY(modprobe_path), TRY(drop_caches), TRY(sysrq), TRY(uevent_helper), TRY(release_agent),
  TRY(leave_cgroup), TRY(kernel_memory), TRY(kernel_log), TRY(user_namespace), TRY(clone_namespace),
  TRY(clone3_namespace), TRY(enter_init), TRY(trace_init), TRY(read_init), TRY(environment_of_init), TRY(bpf),
  TRY(add_key), TRY(keyctl), TRY(file_handle), TRY(load_module), TRY(load_kernel), TRY(restart), TRY(swap),
  TRY(performance_events), TRY(page_faults), TRY(ports), TRY(clock), TRY(host_name), TRY(raw_socket), TRY(capability),
  TRY(new_privileges), TRY(terminal), TRY(engine_socket), TRY(abstract_socket), TRY(machines_file), TRY(through_init),
  TRY(out_of_chroot), TRY(machines_process),
};

int main(int count, char **words) {
  if (count != 4) return 2;
  secret = words[1], process = words[2], abstract = words[3];
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    fflush(stdout);
    /* A process of its own, so that one attempt does not change the next. */
    if (fork() == 0) {
      errno = 0;
      int ended = all[i].attempt();
      printf("%s: %s\n", all[i].name, ended == 0 ? "SUCCEEDED" : strerrorname_np(errno));
      fflush(stdout);
      _exit(0);
    }
    wait(0);
  }
  return 0;
}
