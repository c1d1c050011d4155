"""A job of GitHub's: how soon its first line is there, what a step costs, and what a waiting runner takes."""

import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from datetime import datetime

from machine import PROGRAM, ROOT, Failed, median, process

FAKE = ROOT / "target/release/fake-github"
WORKFLOW = "on: push\njobs:\n  build:\n    runs-on: self-hosted\n    steps:\n"
LIMIT = 120  # seconds
GIB = 2**30


def when(text):
    """Seconds of a time that may have nine digits after its point."""
    whole, _, rest = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole).timestamp() + float(f"0.{rest or 0}")


class Bench:
    """GitHub in one process, and a runner that serves."""

    def __init__(self, home, slots=1):
        subprocess.run(["cargo", "build", "--release", "--locked", "-p", "fake-github"], cwd=ROOT, check=True)
        self.fake = subprocess.Popen([FAKE], stdout=subprocess.PIPE, text=True)
        self.url = self.fake.stdout.readline().split()[-1]
        self.environment = {"RUNSPAN_HOME": str(home)}
        # The repository is there before somebody registers with it.
        self.ask("_fake/repos/octo/bench", {"private": False, "secrets": {}, "variables": {}}, "PUT")
        process([PROGRAM, "register", "github", "--url", f"{self.url}/octo/bench", "--pat", "ghp_fake",
                 "--name", "bench", "--slots", str(slots)], env=self.environment)
        command = [PROGRAM, "serve", "--executor", "sandbox", "--image", "host", "--host-network"]
        self.serving = subprocess.Popen(command, env={**os.environ, **self.environment}, stderr=subprocess.DEVNULL)

    def ask(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"accept": "application/json", "content-type": "application/json"}
        request = urllib.request.Request(f"{self.url}/{path}", data, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            text = answer.read().decode()
        return json.loads(text) if text.startswith(("{", "[")) else text

    def job(self, steps):
        """Pushes a workflow of these steps and waits for its job."""
        return self.jobs(WORKFLOW + "".join(f"      - run: {step}\n" for step in steps))[0]

    def jobs(self, workflow, limit=LIMIT):
        """Pushes a workflow and waits for its jobs."""
        files = {"files": {".github/workflows/bench.yml": workflow}}
        self.ask("_fake/repos/octo/bench/push?ref=refs/heads/main", files, "POST")
        run = max(run["id"] for run in self.ask("_fake/runs"))
        end = time.monotonic() + limit
        while time.monotonic() < end:
            shown = self.ask(f"_fake/runs/{run}")
            if shown["conclusion"]:
                return shown["jobs"]
            time.sleep(0.05)
        raise Failed(f"run {run} of the fake GitHub does not end")

    def close(self):
        self.serving.send_signal(signal.SIGTERM)
        self.serving.wait()
        self.fake.terminate()
        self.fake.wait()


def delivered(job):
    return next(when(moment["at"]) for moment in job["history"] if moment["moment"] == "delivered")


def resident(pid):
    """KiB in memory, and wake-ups so far."""
    status = open(f"/proc/{pid}/status").read().splitlines()
    size = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    turns = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        lines = open(f"/proc/{pid}/task/{task}/status").read().splitlines()
        turns += sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt"))
    return size, turns


def many(row, _):
    """Short jobs through some slots, and one that says a lot: none may be lost, nor anything of what they say."""
    matrix = f"matrix: {{ n: {list(range(250))} }}"
    workflow = WORKFLOW.replace("    steps:", f"    strategy: {{ {matrix} }}\n    steps:")
    with tempfile.TemporaryDirectory(prefix="runspan-bench-") as home:
        bench = Bench(home, slots=8)
        try:
            begin, jobs = time.monotonic(), []
            for _ in range(4):
                jobs += bench.jobs(workflow + "      - run: echo n-${{ matrix.n }}\n", 600)
            took = time.monotonic() - begin
            wrong = [job for job in jobs if job["conclusion"] != "success" or len(job["completions"]) != 1]
            if wrong or len(jobs) != 1000:
                raise Failed(f"of {len(jobs)} jobs {len(wrong)} did not end once and well: {wrong[:1]}")
            text = "a line of a log that is very long, number forty-two and a half."
            step = f"yes '{text}' | head -c {GIB}"
            begin = time.monotonic()
            job = bench.jobs(WORKFLOW + f"      - run: {step}\n", 600)[0]
            logged = time.monotonic() - begin
            with urllib.request.urlopen(f"{bench.url}/_fake/jobs/{job['id']}/log") as answer:
                lines = sum(line.rstrip().endswith(text.encode()) and b"yes" not in line for line in answer)
            if lines != GIB // (len(text) + 1):
                raise Failed(f"of {GIB // (len(text) + 1)} lines {lines} arrived")
            peak = next(int(line.split()[1]) for line in open(f"/proc/{bench.serving.pid}/status")
                        if line.startswith("VmHWM"))
        finally:
            bench.close()
    yield row("1,000 jobs of one step through 8 slots, each ended once", 1000 / took, "", 1000 / took, "jobs/s",
              "none lost, none twice", True)
    yield row("a step's log of 1 GiB, whole at GitHub's", GIB / logged / 2**20, "", GIB / logged / 2**20, "MiB/s",
              "all lines", True)
    yield row("peak memory of the runner in both", peak / 1024, "", peak / 1024, "MiB")


def github(row, rounds):
    with tempfile.TemporaryDirectory(prefix="runspan-bench-") as home:
        bench = Bench(home)
        try:
            bench.job(["'true'"])
            first, acquired, steps = [], [], []
            for _ in range(rounds):
                job = bench.job(["echo out-$((40+2))"])
                log = bench.ask(f"_fake/jobs/{job['id']}/log")
                line = next(line for line in log.splitlines() if line.endswith("Z out-42"))
                first.append((when(line.lstrip("\ufeff").split()[0]) - delivered(job)) * 1000)
                moment = next(when(m["at"]) for m in job["history"] if m["moment"] == "renewed")
                acquired.append((moment - delivered(job)) * 1000)
            for _ in range(max(1, rounds // 5)):
                job = bench.job(["'true'"] * 200)
                ends = [when(step["completed_at"]) for step in job["steps"] if 2 <= step["number"] <= 201]
                steps.append((max(ends) - min(ends)) / 199 * 1000)
            time.sleep(15)  # threads that are not needed any more end after ten
            size, before = resident(bench.serving.pid)
            time.sleep(20)
            _, after = resident(bench.serving.pid)
        finally:
            bench.close()
    mine = median(first)
    yield row("a job of GitHub's, from its offer to its first line", mine, "acknowledge, acquire, renew",
              median(acquired), "ms", "<= 150 ms", mine <= 150)
    mine = median(steps)
    yield row("a step of `true`, of 200 in a job", mine, "", mine, "ms", "<= 5 ms", mine <= 5)
    yield row("a runner that waits", size / 1024, "", size / 1024, "MiB", "<= 20 MiB", size <= 20 * 1024)
    wakes = (after - before) / 20
    yield row("its wake-ups", wakes, "", max(wakes, 0.01), "/s", "<= 1 /s", wakes <= 1)
