//! What a build used of its machine, minute by minute.

use std::collections::BTreeMap;
use std::thread::available_parallelism;

use jiff::Timestamp;
use runspan_agent_protocol::Sample;
use runspan_engine::Event;
use runspan_engine::build::Build;
use runspan_engine::plan::compute;
use runspan_engine::sinks::{Delivery, SinkError};
use serde_json::Value;

use super::{dimension, seconds, shape, statistics};

/// As with CodeBuild, shorter builds have no such figures.
const SHORTEST_SECONDS: f64 = 60.0;
/// One vCPU in CPU units.
const UNITS: f64 = 1024.0;
const MEGABYTE: f64 = 1_048_576.0;

type Minute = BTreeMap<&'static str, Vec<f64>>;

/// The figures of a build that is over, for itself and for its project.
pub(super) fn usage(delivery: &Delivery<'_>, build: &Build) -> Result<Vec<Value>, SinkError> {
    if seconds(build.start_time, build.end_time.unwrap_or(build.start_time)) <= SHORTEST_SECONDS {
        return Ok(Vec::new());
    }
    let (memory, cpus) = match compute(delivery.request) {
        Ok(Some((memory, cpus))) => (Some(memory), cpus),
        _ => (
            None,
            available_parallelism().map_or(1.0, |cpus| f64::from(u32::try_from(cpus.get()).unwrap_or(1))),
        ),
    };
    let mut minutes: BTreeMap<i64, Minute> = BTreeMap::new();
    for [before, after] in samples(delivery, build)?.array_windows() {
        let minute = minutes.entry(after.0.as_second().div_euclid(60)).or_default();
        for (name, value) in figures(before, after, cpus, memory) {
            minute.entry(name).or_default().push(value);
        }
    }
    let project = dimension("ProjectName", &build.project_name);
    let of_build = vec![
        dimension("BuildId", build.id.as_str()),
        dimension("BuildNumber", &build.build_number.to_string()),
        project.clone(),
    ];
    let mut data = Vec::new();
    for (minute, figures) in minutes {
        let time = Timestamp::from_second(minute * 60).unwrap_or(build.start_time);
        for (name, values) in figures {
            for dimensions in [of_build.clone(), vec![project.clone()]] {
                let mut datum = shape(name, unit(name), dimensions, time);
                datum["StatisticValues"] = statistics(&values);
                data.push(datum);
            }
        }
    }
    Ok(data)
}

fn samples(delivery: &Delivery<'_>, build: &Build) -> Result<Vec<(Timestamp, Sample)>, SinkError> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let events = delivery
            .journal
            .events(build.id.uuid(), after)
            .map_err(|error| SinkError::new(error.to_string()))?;
        let Some(last) = events.last() else { return Ok(all) };
        after = last.number;
        all.extend(events.into_iter().filter_map(|event| match event.event {
            Event::Sample(sample) => Some((event.time, sample)),
            _ => None,
        }));
    }
}

/// Between two samples, which are sums since the container started.
#[expect(clippy::cast_precision_loss, reason = "figures for graphs")]
fn figures(
    (start, before): &(Timestamp, Sample),
    (end, after): &(Timestamp, Sample),
    cpus: f64,
    memory_limit: Option<u64>,
) -> Vec<(&'static str, f64)> {
    let seconds = seconds(*start, *end);
    if seconds <= 0.0 {
        return Vec::new();
    }
    let rate = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
    let cpu = rate(before.cpu_us, after.cpu_us) / 1e6;
    let memory = after.memory_bytes as f64;
    let mut all = vec![
        ("CPUUtilized", cpu * UNITS),
        ("CPUUtilizedPercent", 100.0 * cpu / cpus),
        ("MemoryUtilized", memory / MEGABYTE),
        ("StorageReadBytes", rate(before.disk_read_bytes, after.disk_read_bytes)),
        ("StorageWriteBytes", rate(before.disk_write_bytes, after.disk_write_bytes)),
    ];
    // Without a limit there is nothing to be a part of.
    all.extend(memory_limit.map(|limit| ("MemoryUtilizedPercent", 100.0 * memory / limit as f64)));
    all
}

fn unit(name: &str) -> &'static str {
    match name {
        "CPUUtilizedPercent" | "MemoryUtilizedPercent" => "Percent",
        "MemoryUtilized" => "Megabytes",
        "StorageReadBytes" | "StorageWriteBytes" => "Bytes/Second",
        // CloudWatch has no CPU units.
        _ => "None",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_vcpu_of_two_is_a_quarter() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let before = Sample::default();
        let after = Sample { cpu_us: 1_000_000, memory_bytes: 512 << 20, disk_read_bytes: 4096, ..before };
        let found = figures(&(at(0), before), &(at(2), after), 2.0, Some(1 << 30));
        let expected = [
            ("CPUUtilized", 512.0),
            ("CPUUtilizedPercent", 25.0),
            ("MemoryUtilized", 512.0),
            ("StorageReadBytes", 2048.0),
            ("StorageWriteBytes", 0.0),
            ("MemoryUtilizedPercent", 50.0),
        ];
        assert_eq!(found, expected);
    }
}
