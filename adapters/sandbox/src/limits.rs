//! A build's limits as control groups say them.

use runspan_engine::Limits;

use crate::cgroup::Groups;

/// Microseconds over which CPU time is shared out.
const PERIOD: u64 = 100_000;

/// The limit of processes, as [`apply`] calls it.
pub(crate) const PROCESSES: &str = "process";

/// Sets limits; returns those that this machine cannot hold a sandbox to.
pub(crate) fn apply(groups: &Groups, limits: Limits) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if let Some(bytes) = limits.memory_bytes {
        let bytes = bytes.to_string();
        if !groups.set(&[("memory.max", &bytes), ("memory.limit_in_bytes", &bytes)]) {
            missing.push("memory");
        }
        // The same number for memory with swap means no swap; kernels without swap have no such file.
        let _no_swap = groups.set(&[("memory.swap.max", "0"), ("memory.memsw.limit_in_bytes", &bytes)]);
    }
    // As many CPUs as there are is no limit.
    let machine = std::thread::available_parallelism().map_or(f64::INFINITY, |count| count.get() as f64);
    if let Some(cpus) = limits.cpus.filter(|cpus| *cpus > 0.0 && *cpus < machine) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "fewer than there are CPUs"
        )]
        let quota = (cpus * PERIOD as f64) as u64;
        let (both, one) = (format!("{quota} {PERIOD}"), quota.to_string());
        if !groups.set(&[("cpu.max", &both), ("cpu.cfs_quota_us", &one)]) {
            missing.push("CPU");
        }
    }
    if limits.pids > 0 && !groups.set(&[("pids.max", &limits.pids.to_string())]) {
        missing.push(PROCESSES);
    }
    missing
}
