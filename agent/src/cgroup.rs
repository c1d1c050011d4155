//! What the container's cgroup, version 1, 2 or both, says of memory, CPU and disks.

use std::path::{Path, PathBuf};

use runspan_agent_protocol::Sample;

/// A v1 limit this high means none.
const NO_LIMIT: u64 = 1 << 60;

/// The cgroup's files, as far as they can be seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cgroup {
    /// Directory of the unified hierarchy, where it has controllers.
    unified: Option<PathBuf>,
    /// Directories of the v1 controllers.
    memory: Option<PathBuf>,
    cpuacct: Option<PathBuf>,
    blkio: Option<PathBuf>,
    net_dev: PathBuf,
}

impl Cgroup {
    /// Finds the cgroup of this process below a root directory (`/`, or a fixture).
    pub(crate) fn find(root: &Path) -> Self {
        let own = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        let mounts = root.join("sys/fs/cgroup");
        // `id:controllers:path`; seen from inside a container the path may be the host's, and then the mount
        // itself is the container's own.
        let path_of = |controller: &str| {
            own.lines().find_map(|line| {
                let mut fields = line.splitn(3, ':').skip(1);
                let names = fields.next()?;
                let found = if controller.is_empty() {
                    names.is_empty()
                } else {
                    names.split(',').any(|name| name == controller)
                };
                found.then(|| fields.next().unwrap_or_default().trim_start_matches('/').to_owned())
            })
        };
        let dir = |mount: PathBuf, controller: &str, file: &str| {
            let inside = mount.join(path_of(controller).unwrap_or_default());
            [inside, mount].into_iter().find(|dir| dir.join(file).exists())
        };
        let v1 = |controller: &str, file: &str| dir(mounts.join(controller), controller, file);
        Self {
            unified: dir(mounts.clone(), "", "memory.current"),
            memory: v1("memory", "memory.usage_in_bytes"),
            cpuacct: v1("cpuacct", "cpuacct.usage")
                .or_else(|| dir(mounts.join("cpu,cpuacct"), "cpuacct", "cpuacct.usage")),
            blkio: v1("blkio", "blkio.throttle.io_service_bytes"),
            net_dev: root.join("proc/net/dev"),
        }
    }

    /// The memory limit in bytes, if there is one.
    pub(crate) fn memory_limit(&self) -> Option<u64> {
        let limit = match (&self.unified, &self.memory) {
            (Some(dir), _) => number(dir, "memory.max"),
            (None, Some(dir)) => number(dir, "memory.limit_in_bytes"),
            (None, None) => None,
        };
        limit.filter(|limit| *limit < NO_LIMIT)
    }

    /// How many processes the kernel has killed for want of memory.
    pub(crate) fn oom_kills(&self) -> u64 {
        match (&self.unified, &self.memory) {
            (Some(dir), _) => keyed(dir, "memory.events", "oom_kill"),
            (None, Some(dir)) => keyed(dir, "memory.oom_control", "oom_kill"),
            (None, None) => 0,
        }
    }

    /// Resource use now. Without a peak counter, the peak is the highest `so_far`.
    pub(crate) fn sample(&self, so_far: u64) -> Sample {
        let mut sample = match &self.unified {
            Some(dir) => self.sample_v2(dir),
            None => self.sample_v1(),
        };
        sample.memory_peak_bytes = sample.memory_peak_bytes.max(sample.memory_bytes).max(so_far);
        (sample.network_rx_bytes, sample.network_tx_bytes) = self.network();
        sample
    }

    fn sample_v2(&self, dir: &Path) -> Sample {
        let io = read(dir, "io.stat");
        let sum = |key: &str| {
            io.split_ascii_whitespace()
                .filter_map(|field| field.strip_prefix(key)?.strip_prefix('=')?.parse::<u64>().ok())
                .sum()
        };
        Sample {
            cpu_us: keyed(dir, "cpu.stat", "usage_usec"),
            memory_bytes: number(dir, "memory.current").unwrap_or(0).saturating_sub(keyed(
                dir,
                "memory.stat",
                "inactive_file",
            )),
            memory_peak_bytes: number(dir, "memory.peak").unwrap_or(0),
            disk_read_bytes: sum("rbytes"),
            disk_write_bytes: sum("wbytes"),
            ..Sample::default()
        }
    }

    fn sample_v1(&self) -> Sample {
        let of =
            |dir: &Option<PathBuf>, file: &str| dir.as_deref().and_then(|dir| number(dir, file)).unwrap_or(0);
        let io =
            self.blkio.as_deref().map(|dir| read(dir, "blkio.throttle.io_service_bytes")).unwrap_or_default();
        let sum = |kind: &str| {
            io.lines()
                .filter_map(|line| {
                    let mut fields = line.split_ascii_whitespace().skip(1);
                    (fields.next()? == kind).then(|| fields.next()?.parse::<u64>().ok())?
                })
                .sum()
        };
        let inactive =
            self.memory.as_deref().map_or(0, |dir| keyed(dir, "memory.stat", "total_inactive_file"));
        Sample {
            cpu_us: of(&self.cpuacct, "cpuacct.usage") / 1000,
            memory_bytes: of(&self.memory, "memory.usage_in_bytes").saturating_sub(inactive),
            memory_peak_bytes: of(&self.memory, "memory.max_usage_in_bytes"),
            disk_read_bytes: sum("Read"),
            disk_write_bytes: sum("Write"),
            ..Sample::default()
        }
    }

    /// Bytes received and sent on all interfaces but loopback.
    fn network(&self) -> (u64, u64) {
        let table = std::fs::read_to_string(&self.net_dev).unwrap_or_default();
        let mut sums = (0, 0);
        for (interface, counters) in table.lines().filter_map(|line| line.split_once(':')) {
            if interface.trim() != "lo" {
                let mut numbers = counters.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0));
                sums.0 += numbers.next().unwrap_or(0);
                sums.1 += numbers.nth(7).unwrap_or(0);
            }
        }
        sums
    }
}

fn read(dir: &Path, file: &str) -> String {
    std::fs::read_to_string(dir.join(file)).unwrap_or_default()
}

fn number(dir: &Path, file: &str) -> Option<u64> {
    read(dir, file).trim().parse().ok()
}

/// The number after a key in a file of `key number` lines.
fn keyed(dir: &Path, file: &str, key: &str) -> u64 {
    let value = |line: &str| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok();
    read(dir, file).lines().find_map(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    const NET: (&str, &str) = (
        "proc/net/dev",
        "Inter-|   Receive                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes packets\n    lo: 999 1 0 0 0 0 0 0 999 1 0 0 0 0 0 0\n  eth0: 1000 5 0 0 0 0 0 0 2000 6 0 0 0 0 0 0\n  eth1:7 5 0 0 0 0 0 0 8 6 0 0 0 0 0 0\n",
    );

    fn expected() -> Sample {
        Sample {
            cpu_us: 5_000_000,
            memory_bytes: 700,
            memory_peak_bytes: 1500,
            disk_read_bytes: 40,
            disk_write_bytes: 60,
            network_rx_bytes: 1007,
            network_tx_bytes: 2008,
        }
    }

    #[test]
    fn version_2_of_a_container() {
        let root = fixture(&[
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.current", "1000\n"),
            ("sys/fs/cgroup/memory.stat", "anon 700\ninactive_file 300\nactive_file 1\n"),
            ("sys/fs/cgroup/memory.peak", "1500\n"),
            ("sys/fs/cgroup/memory.max", "3221225472\n"),
            ("sys/fs/cgroup/memory.events", "low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n"),
            ("sys/fs/cgroup/cpu.stat", "usage_usec 5000000\nuser_usec 1\n"),
            ("sys/fs/cgroup/io.stat", "8:0 rbytes=30 wbytes=60 rios=1\n8:16 rbytes=10 wbytes=0 rios=1\n"),
            NET,
        ]);
        let cgroup = Cgroup::find(root.path());
        assert_eq!(cgroup.sample(0), expected());
        assert_eq!((cgroup.memory_limit(), cgroup.oom_kills()), (Some(3 << 30), 1));
        assert_eq!(cgroup.sample(9000).memory_peak_bytes, 9000);
    }

    #[test]
    fn version_1_beside_an_empty_unified_tree() {
        let root = fixture(&[
            (
                "proc/self/cgroup",
                "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n2:blkio:/docker/abc\n0::/\n",
            ),
            ("sys/fs/cgroup/unified/cgroup.procs", "1\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n"),
            ("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 300\n"),
            ("sys/fs/cgroup/memory/memory.max_usage_in_bytes", "1500\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpuacct.usage", "5000000000\n"),
            (
                "sys/fs/cgroup/blkio/blkio.throttle.io_service_bytes",
                "8:0 Read 40\n8:0 Write 60\n8:0 Sync 100\n8:0 Total 100\nTotal 100\n",
            ),
            NET,
        ]);
        let cgroup = Cgroup::find(root.path());
        assert_eq!(cgroup.sample(0), expected());
        assert_eq!((cgroup.memory_limit(), cgroup.oom_kills()), (None, 3));
    }

    #[test]
    fn outside_of_a_container_the_own_path_is_used() {
        let root = fixture(&[
            ("proc/self/cgroup", "4:memory:/jobs/a\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1\n"),
            ("sys/fs/cgroup/memory/jobs/a/memory.usage_in_bytes", "2\n"),
        ]);
        assert_eq!(Cgroup::find(root.path()).sample(0).memory_bytes, 2);
    }

    #[test]
    fn no_cgroup_is_no_fault() {
        let root = fixture(&[]);
        let cgroup = Cgroup::find(root.path());
        assert_eq!(cgroup.sample(0), Sample::default());
        assert_eq!((cgroup.memory_limit(), cgroup.oom_kills()), (None, 0));
    }
}
