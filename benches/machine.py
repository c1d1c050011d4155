"""What is measured with: processes, containers, builds, and the machine they run on."""

import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "target/release/runspan"
BUSYBOX = "runspan-test/busybox"
DEBIAN = "runspan-test/debian"
NAME = "runspan-benches"


class Failed(Exception):
    """A measurement that cannot be made."""


class Ended:
    """A process that is over: seconds to its first marked output and to its end, its peak memory, its stdout."""

    def __init__(self, first, whole, peak_kib, output):
        self.first, self.whole, self.peak_kib, self.output = first, whole, peak_kib, output


def process(command, *, marker=None, keep=False, peak=False, env=None):
    """Runs a command; its stdout is read for a marker, kept, or goes to /dev/null."""
    read = marker is not None or keep
    with tempfile.TemporaryFile() as stderr:
        start = time.monotonic()
        child = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if read else subprocess.DEVNULL,
            stderr=stderr,
            env={**os.environ, **(env or {})},
        )
        first, output, peak_kib = None, b"", 0
        if read:
            while piece := os.read(child.stdout.fileno(), 1 << 16):
                output += piece
                if first is None and marker is not None and marker in output:
                    first = time.monotonic() - start
        while peak and child.poll() is None:
            peak_kib = max(peak_kib, high_water(child.pid))
            time.sleep(0.02)
        child.wait()
        whole = time.monotonic() - start
        if child.returncode != 0 or (marker is not None and first is None):
            stderr.seek(0)
            said = stderr.read().decode(errors="replace")[-2000:]
            raise Failed(f"{' '.join(map(str, command))} ended with {child.returncode}\n{said}")
        return Ended(first, whole, peak_kib, output)


def high_water(pid):
    """A process's peak resident memory so far, in KiB."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def docker(*words, **options):
    return process(["docker", *words], **options)


class Builds:
    """Builds of a state directory that goes with this object."""

    def __init__(self):
        self.home = Path(tempfile.mkdtemp(prefix="runspan-benches-"))
        self.env = {"RUNSPAN_HOME": str(self.home / "state")}

    def source(self, name, text):
        """A source directory with nothing but a buildspec."""
        directory = self.home / name
        directory.mkdir(exist_ok=True)
        (directory / "buildspec.yml").write_text(text)
        return directory

    def run(self, source, image, *arguments, executor="docker", env=None, **options):
        command = [PROGRAM, "run", source, "--executor", executor, "--image", image, *arguments]
        return process(command, env={**self.env, **(env or {})}, **options)

    def events(self, source, image, *arguments, **options):
        """Runs a build for its events, without its log."""
        output = self.run(source, image, "--json", *arguments, keep=True, **options).output
        return [event for line in output.splitlines() if (event := json.loads(line))["type"] != "log"]

    def remove(self):
        shutil.rmtree(self.home, ignore_errors=True)


def moment(event):
    """An event's time in seconds; the date goes into it, so only differences mean something."""
    day, clock = event["time"].rstrip("Z").split("T")
    hours, minutes, seconds = clock.split(":")
    return int(day.replace("-", "")) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def phase_seconds(events, phase):
    """How long a phase took, by the times of its first and last event."""
    begin = next(event for event in events if event["type"] == "phase_started" and event["phase"] == phase)
    end = next(event for event in events if event["type"] == "phase" and event["phaseType"] == phase)
    return moment(end) - moment(begin)


def command_seconds(events, text):
    """How long the command took that holds this text."""
    begin = next(index for index, event in enumerate(events)
                 if event["type"] == "command_started" and text in event["command"])
    end = next(event for event in events[begin:] if event["type"] == "command_ended")
    return moment(end) - moment(events[begin])


median = statistics.median


def busy_seconds():
    """CPU time that all processes of the machine, and the kernel, have taken so far."""
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def load():
    return os.getloadavg()[0]


def describe():
    """The machine, without its name."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) / 2**20
    engine = docker("version", "--format", "{{.Server.Version}}", keep=True).output.decode().strip()
    storage = docker("info", "--format", "{{.Driver}}", keep=True).output.decode().strip()
    return (f"{cpu[1].strip() if cpu else os.uname().machine}, {os.cpu_count()} cores, {memory:.0f} GiB; "
            f"Linux {os.uname().release}; Docker {engine} ({storage})")
