"""The measurements: each gives the rows of the table that it can speak for."""

import os
import shutil
import time

import aws
from api import api
from github import github, many
from machine import (BUSYBOX, DEBIAN, NAME, PROGRAM, ROOT, Failed, busy_seconds, command_seconds, docker, median,
                     phase_seconds, process)
from registry import registry

MIB = 1 << 20
LINE = "x" * 99  # and its end: 100 bytes
REST = 0.3  # seconds


class Row:
    """One line of the table; the aim is a text, and whether it was met where there is one."""

    def __init__(self, what, ours, floor_name, floor, unit, aim="", met=None):
        self.what, self.ours, self.floor_name, self.floor = what, ours, floor_name, floor
        self.unit, self.aim, self.met = unit, aim, met


def buildspec(*commands, rest=""):
    lines = "".join(f"      - |\n        {command}\n" for command in commands)
    return f"version: 0.2\nphases:\n  build:\n    commands:\n{lines}{rest}"


def per_command(builds, rounds):
    """200 commands of `true` in one phase, over a phase with one command."""
    count = 200
    many = builds.source("many", buildspec(*["true"] * count))
    one = builds.source("one", buildspec("true"))
    docker("run", "-d", "--rm", "--name", NAME, BUSYBOX, "sleep", "600")
    ours, scripts, execs = [], [], []
    # Busybox tells no fractions of a second, but the kernel tells hundredths: 1000 scripts are enough.
    loop = ("echo true > /s; read a b < /proc/uptime; i=0; while [ $i -lt 1000 ]; do sh /s; i=$((i+1)); done; "
            "read c d < /proc/uptime; echo $a $c")
    try:
        for _ in range(rounds):
            base = phase_seconds(builds.events(one, BUSYBOX), "BUILD")
            whole = phase_seconds(builds.events(many, BUSYBOX), "BUILD")
            ours.append((whole - base) / (count - 1) * 1000)
            begin, end = docker("exec", NAME, "sh", "-c", loop, keep=True).output.split()
            scripts.append(float(end) - float(begin))  # of a thousand: milliseconds each
            execs.extend(docker("exec", NAME, "sh", "-c", "true").whole * 1000 for _ in range(10))
    finally:
        docker("rm", "-f", NAME)
    mine = median(ours)
    what = "a command of `true`, of 200 in one phase"
    yield Row(what, mine, "`sh` loop that runs a script each", median(scripts), "ms", "<= 3 ms", mine <= 3)
    yield Row(what, mine, "`docker exec` each", median(execs), "ms")


def first_command(builds, rounds):
    """From the start of the process to the first command's output, and to its end."""
    mark = b"out-42"
    echo = "echo out-$((40+2))"
    source = builds.source("first", buildspec(echo))
    ours, run, fresh = [], [], []
    network = f"{NAME}-network"

    def on_fresh_network():
        start = time.monotonic()
        docker("network", "create", network)
        created = time.monotonic() - start
        try:
            ended = docker("run", "--rm", "--network", network, BUSYBOX, "sh", "-c", echo, marker=mark)
        finally:
            docker("network", "rm", network)
        return created + ended.first, time.monotonic() - start

    builds.run(source, BUSYBOX, marker=mark)
    for _ in range(rounds):
        ended = docker("run", "--rm", BUSYBOX, "sh", "-c", echo, marker=mark)
        run.append((ended.first, ended.whole))
        ended = builds.run(source, BUSYBOX, marker=mark)
        ours.append((ended.first, ended.whole))
        fresh.append(on_fresh_network())

    def middle(pairs, which):
        return median(pair[which] for pair in pairs) * 1000

    builds.trivial = middle(ours, 1) / 1000
    over = middle(ours, 0) - middle(run, 0)
    yield Row("start of the program to the first command's output", middle(ours, 0), "`docker run`",
              middle(run, 0), "ms", f"<= 60 ms over it (is {over:.0f})", over <= 60)
    yield Row("the same", middle(ours, 0), "`docker run` on a network made for it", middle(fresh, 0), "ms")
    yield Row("a whole build of one command", middle(ours, 1), "`docker run`", middle(run, 1), "ms")
    yield Row("the same", middle(ours, 1), "`docker run` on a network made for it and removed",
              middle(fresh, 1), "ms")


def sandbox(builds, rounds):
    """The same without a container engine, on the machine's own root and on the same image; and many builds at once."""
    mark = b"out-42"
    echo = "echo out-$((40+2))"
    source = builds.source("sandbox", buildspec(echo))
    phases = "".join(f"  {phase}: {{commands: ['true']}}\n" for phase in ("install", "pre_build", "build", "post_build"))
    trivial = builds.source("trivial", f"version: 0.2\nphases:\n{phases}")
    spaces = ["unshare", "--fork", "--pid", "--mount", "--net", "--uts", "--ipc", "--cgroup", "--mount-proc",
              "sh", "-c", echo]
    archive = builds.home / "image.tar"
    docker("save", "--output", archive, BUSYBOX)
    process([PROGRAM, "images", "pull", archive], env=builds.env)
    ours, on_image, whole, floor, run, run_whole = [], [], [], [], [], []
    builds.run(source, "host", executor="sandbox", marker=mark)
    for _ in range(rounds):
        # What the kernel still takes away of one's networks and groups is not to hold up the next.
        time.sleep(REST)
        floor.append(process(spaces, marker=mark).first * 1000)
        time.sleep(REST)
        ours.append(builds.run(source, "host", executor="sandbox", marker=mark).first * 1000)
        time.sleep(REST)
        on_image.append(builds.run(source, BUSYBOX, executor="sandbox", marker=mark).first * 1000)
        time.sleep(REST)
        whole.append(builds.run(trivial, "host", executor="sandbox").whole * 1000)
        time.sleep(REST)
        ended = docker("run", "--rm", BUSYBOX, "sh", "-c", echo, marker=mark)
        run.append(ended.first * 1000)
        run_whole.append(ended.whole * 1000)
    mine, all_of_it, theirs, theirs_whole = median(ours), median(whole), median(run), median(run_whole)
    what = "in the sandbox: start of the program to the first command's output"
    yield Row(what, mine, "`unshare` and `sh`", median(floor), "ms", "<= 40 ms", mine <= 40)
    same = median(on_image)
    yield Row("the same on an image", same, "`docker run` on it, to its first output", theirs, "ms", "<= an eighth",
              same * 8 <= theirs)
    yield Row("the same", same, "`docker run` on it, to its end", theirs_whole, "ms")
    yield Row("in the sandbox: a whole build of one command in each phase", all_of_it, "`docker run` of one",
              theirs_whole, "ms", "< 100 ms", all_of_it < 100)
    count = 50
    command = f"{PROGRAM} run --quiet --executor sandbox --image host {trivial}"
    time.sleep(REST)
    before = busy_seconds()
    parallel = process(["sh", "-c", f"for i in $(seq {count}); do {command} & p=\"$p $!\"; done; "
                                    "for p in $p; do wait $p || exit 1; done"], env=builds.env).whole
    cpu = (busy_seconds() - before) / os.cpu_count()
    yield Row(f"{count} of them at once", parallel, "the CPU time they took, over the CPUs", cpu, "s",
              "<= 1.3 times", parallel <= 1.3 * cpu)


def pull(builds, rounds):
    """An image of one layer from a registry on loopback into an empty store."""
    local = f"{NAME}-pulled"
    # A layer that Docker has from nowhere else.
    shell = 'made=$(docker create "$0") && docker export "$made" | docker import - "$1" && docker rm "$made"'
    ours, theirs = [], []
    with registry() as address:
        name = f"{address}/pulled"
        process(["sh", "-c", shell, DEBIAN, local])
        docker("tag", local, name)
        docker("push", "-q", name)
        docker("rmi", local, name)
        for _ in range(rounds):
            os.sync()
            ours.append(process([PROGRAM, "images", "pull", name], env=builds.env).whole)
            process([PROGRAM, "images", "rm", name], env=builds.env)
            os.sync()
            theirs.append(docker("pull", "-q", name).whole)
            docker("rmi", name)
    mine = median(ours)
    yield Row("pull of the Debian test image from a registry on loopback", mine, "`docker pull`", median(theirs), "s")


def log(builds, rounds):
    """512 MiB of lines, and 256 MiB on one line, through everything that a log goes through."""
    lines = 512 * MIB
    shapes = {
        "log of 512 MiB in lines": (lines, f"yes {LINE} | head -c {lines}"),
        "one line of 256 MiB": (256 * MIB, f"head -c {256 * MIB} /dev/zero | tr '\\0' x"),
    }
    for what, (size, command) in shapes.items():
        source = builds.source("log", buildspec(command))
        secret = ("--env", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
        ours, pipe = [], []
        for _ in range(rounds):
            ended = builds.run(source, DEBIAN, *secret)
            ours.append(ended.whole - builds.trivial)
            pipe.append(process(["sh", "-c", f"{command} | cat > /dev/null"]).whole)
        # Once: it takes long, and lies far away.
        attached = docker("run", "--rm", DEBIAN, "sh", "-c", command).whole
        speed = size / MIB / median(ours)
        slow = size / MIB / attached
        is_lines = size == lines
        yield Row(what, speed, "raw pipe", size / MIB / median(pipe), "MiB/s",
                  ">= 200 MB/s" if is_lines else "", speed * 1.048576 >= 200 if is_lines else None)
        yield Row("the same", speed, "`docker run` attached", slow, "MiB/s", ">= 5 times" if is_lines else "",
                  speed >= 5 * slow if is_lines else None)


def memory(builds, _rounds):
    """Peak memory of the supervisor while a build logs."""
    size = 1024 * MIB
    source = builds.source("memory", buildspec(f"yes {LINE} | head -c {size}"))
    mine = builds.run(source, DEBIAN, peak=True).peak_kib / 1024
    client = docker("run", "--rm", DEBIAN, "sh", "-c", f"yes {LINE} | head -c {64 * MIB}", peak=True).peak_kib / 1024
    yield Row("peak memory while 1 GiB is logged", mine, "`docker run`'s client, 64 MiB", client, "MiB",
              "< 40 MiB", mine < 40)


def artifact(builds, rounds):
    """100,000 small files made into a zip file."""
    make = ("python3 -c \"import os, random; random.seed(1); "
            "text = ' '.join('%x' % random.randrange(1 << 20) for _ in range(9000)); "
            "[os.makedirs('tree/%03d' % d) for d in range(100)]; "
            "[open('tree/%03d/%04d.txt' % (n % 100, n // 100), 'w').write(text[n % 40000:][:n * 7919 % 2000]) "
            "for n in range(100000)]\"")
    rest = "artifacts:\n  name: tree.zip\n  base-directory: tree\n  files: ['**/*']\n"
    source = builds.source("artifact", buildspec(make, "cd tree && zip -q -r -6 /tmp/floor.zip . && cd ..", rest=rest))
    ours, floor = [], []
    for _ in range(rounds):
        out = builds.home / "out"
        events = builds.events(source, DEBIAN, "--artifacts", str(out))
        ours.append(phase_seconds(events, "UPLOAD_ARTIFACTS"))
        floor.append(command_seconds(events, "zip -q"))
        shutil.rmtree(out)
    mine, theirs = median(ours), median(floor)
    yield Row("artifact of 100,000 small files, zipped", mine, "`zip -r -6` in the container", theirs, "s",
              "not slower", mine <= theirs)


def check(builds, rounds):
    """10,000 buildspecs checked."""
    found = sorted(path for folder in ("examples", "tests") for path in (ROOT / folder).rglob("*.yml")
                   if "phases:" in path.read_text(errors="replace"))
    if not found:
        raise Failed("there are no buildspecs below examples and tests")
    tree = builds.home / "check"
    for number in range(10_000):
        directory = tree / f"{number // 100:02}"
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found[number % len(found)], directory / f"buildspec-{number}.yml")
    ours, floor = [], []
    for _ in range(rounds):
        # Some of the tests' buildspecs are wrong on purpose, so the exit status says nothing.
        ours.append(process(["sh", "-c", f"{PROGRAM} check {tree}; test $? -lt 3"]).whole)
        floor.append(process(["sh", "-c", f"cat {tree}/*/*.yml"]).whole)
    mine = median(ours)
    yield Row("`check` of 10,000 buildspecs", mine, "`cat` of them", median(floor), "s", "< 5 s", mine < 5)


def translate(builds, rounds):
    """5,000 workflows, Jenkinsfiles and pipelines translated on one processor."""
    count = 5_000
    names = ("bitbucket-pipelines.yml", "Jenkinsfile")
    found = sorted(path for path in (ROOT / "tests/translate").rglob("*")
                   if path.is_file() and (path.name in names or path.parent.name == "workflows"))
    if not found:
        raise Failed("there are no files below tests/translate")
    tree = builds.home / "translate"
    for number in range(count):
        path = found[number % len(found)]
        below = ".github/workflows" if path.parent.name == "workflows" else "."
        directory = tree / f"{number:05}" / below
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, directory / path.name)
    ours, floor = [], []
    for _ in range(rounds):
        # Some of the files are wrong on purpose, so the exit status says nothing.
        command = f"taskset -c 0 {PROGRAM} translate --tree {tree} --report /dev/null --format json; test $? -lt 5"
        ours.append(count / process(["sh", "-c", command]).whole)
        floor.append(count / process(["sh", "-c", f"find {tree} -type f -print0 | xargs -0 cat"]).whole)
    mine = median(ours)
    yield Row("`translate` of 5,000 files on one processor", mine, "`find` and `cat`", median(floor), "files/s",
              ">= 1,000 files/s", mine >= 1000)


#: In the order of the table, with how often each is repeated.
ALL = {
    "command": (per_command, 5),
    "first": (first_command, 15),
    "sandbox": (sandbox, 15),
    "pull": (pull, 3),
    "log": (log, 3),
    "memory": (memory, 1),
    "artifact": (artifact, 3),
    "upload": (lambda builds, rounds: aws.upload(Row, builds, rounds), 2),
    "cache": (lambda builds, rounds: aws.cache(Row, builds, rounds), 5),
    "sinks": (lambda builds, rounds: aws.sinks(Row, builds, rounds), 15),
    "check": (check, 5),
    "translate": (translate, 5),
    "github": (lambda _, rounds: github(Row, rounds), 15),
    "many": (lambda _, rounds: many(Row, rounds), 1),
    "api": (lambda _, rounds: api(Row, rounds), 15),
}
