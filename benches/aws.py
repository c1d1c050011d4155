"""Builds beside AWS: artifacts and caches in a bucket, and what it costs to tell AWS of a build.

Buckets are gofakes3's, in memory, which is quicker than what asks it; the rest of AWS is moto.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import machine
from machine import BUSYBOX, DEBIAN, ROOT, Failed, median, moment, phase_seconds, process
from registry import wait_for

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "runspan-tests"
S3_SERVER = "github.com/johannesboyne/gofakes3/cmd/gofakes3@v1.2.0"
MIB = 1 << 20
AWS = CACHE / "aws/bin/aws"


def environment(port):
    return {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "benches",
            "AWS_SECRET_ACCESS_KEY": "benches", "AWS_DEFAULT_REGION": "us-east-1"}


@contextlib.contextmanager
def buckets():
    """A bucket `benches` of a quick server; the environment that leads there."""
    program = CACHE / "s3/gofakes3"
    if not AWS.exists():
        raise Failed("AWS's own command line is needed: `. tests/services && services_aws`")
    if not program.exists():
        go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
        if go is None:
            raise Failed(f"no {program}, and no go to build it; apt-get install golang-go")
        process([go, "install", S3_SERVER], env={"GOBIN": str(program.parent), "GOFLAGS": "-modcacherw"})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "-backend", "memory", "-host", f"127.0.0.1:{port}", "-initialbucket", "benches", "-quiet"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"127.0.0.1:{port}")
        yield environment(port)
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def moto():
    """All of AWS that builds tell of themselves; the environment that leads there."""
    python = CACHE / "aws/bin/python"
    if not python.exists():
        raise Failed("moto is needed: `. tests/services && services_aws`")
    server = subprocess.Popen([python, ROOT / "tests/e2e/aws/server.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield environment(int(server.stdout.readline()))
    finally:
        server.stdin.close()
        server.wait()


def project(builds, name, settings):
    path = builds.home / f"{name}.json"
    path.write_text(json.dumps({"name": name, **settings}))
    return path


def upload(Row, builds, rounds):
    """An artifact of one large file, and one of many small ones: from the container, and from where it waited."""
    trees = [("2 GiB in one file", "cp", 1, 2048 * MIB), ("20,000 files of 2 KiB", "sync", 20_000, 2048)]
    for what, word, files, size in trees:
        with buckets() as env:
            name = f"upload-{files}"
            # The source is on the disk before its copy comes, as what a build of minutes has made.
            source = builds.source(name, "version: 0.2\nphases: {build: {commands: ['sync']}}\n"
                                         "artifacts: {files: ['tree/*']}\n")
            tree = source / "tree"
            tree.mkdir()
            for number in range(files):
                with (tree / str(number)).open("wb") as file:
                    for begin in range(0, size, MIB):
                        file.write(os.urandom(min(MIB, size - begin)))
            settings = project(builds, name, {"artifacts": {"type": "S3", "location": "benches", "name": "ours",
                                                            "encryptionDisabled": True}})

            def by_cli():
                seconds = process([AWS, "s3", word, "--quiet", tree if files > 1 else tree / "0", "s3://benches/theirs"],
                                  env=env).whole
                emptied()
                return seconds

            def emptied():
                process([AWS, "s3", "rm", "--quiet", "--recursive", "s3://benches"], env=env)

            def by_build():
                seconds = phase_seconds(builds.events(source, BUSYBOX, "--project", settings, env=env), "UPLOAD_ARTIFACTS")
                emptied()
                return seconds

            def by_delivery():
                away = {**env, "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
                builds.run(source, BUSYBOX, "--quiet", "--project", settings, env=away)
                seconds = process([machine.PROGRAM, "builds", "deliver"], env={**builds.env, **env}).whole
                emptied()
                return seconds

            by_cli()  # the server has its memory now, whoever comes first
            ours, delivered, theirs = [], [], []
            for _ in range(rounds):
                ours.append(by_build())
                theirs.append(by_cli())
                delivered.append(by_delivery())
            peak = builds.run(source, BUSYBOX, "--quiet", "--project", settings, peak=True, env=env).peak_kib / 1024
            shutil.rmtree(source)
            peer = median(theirs)
            for how, mine in (("uploaded by `builds deliver`", median(delivered)),
                              ("collected and uploaded", median(ours))):
                yield Row(f"artifact of {what}, {how}", mine, f"`aws s3 {word}`", peer, "s", "<= 1.1 times",
                          mine <= 1.1 * peer)
            yield Row("peak memory of that", peak, "its limit", 128, "MiB", "<= 128 MiB", peak <= 128)


def cache(Row, builds, rounds):
    """An unchanged cache of 1 GiB in a bucket: what it adds to a build. Half of each file can be compressed."""
    make = ("python3 -c \"import os; os.mkdir('kept'); "
            "[open('kept/%d' % n, 'wb').write(os.urandom(524288) + b'%15d\\n' % n * 32768) for n in range(1024)]\"")
    spec = "version: 0.2\nphases: {{build: {{commands: ['true', {command}]}}}}\n{rest}"
    paths = "cache: {paths: ['kept/**/*']}\n"
    trees = builds.home / "kept"
    trees.mkdir()
    process(["sh", "-c", f"cd {trees} && {make} && cp -r kept warm && rm -r warm"])
    for executor, image in (("sandbox", "host"), ("docker", DEBIAN)):
        with buckets() as env:
            settings = project(builds, f"cache-{executor}", {"cache": {"type": "S3", "location": "benches"}})
            made = builds.source("made", spec.format(command=json.dumps(make), rest=paths))
            kept = builds.source("kept-by", spec.format(command="test -f kept/1023", rest=paths))
            none = builds.source("without", spec.format(command="'true'", rest=""))
            builds.run(made, image, "--project", settings, executor=executor, env=env)
            hits, without, copies = [], [], []
            for number in range(rounds + 1):
                os.sync()
                hit = builds.run(kept, image, "--project", settings, executor=executor, env=env, keep=True)
                if b"Cache hit" not in hit.output or b"Cache is unchanged" not in hit.output:
                    raise Failed(f"no cache hit:\n{hit.output.decode()}")
                bare = builds.run(none, image, "--project", settings, executor=executor, env=env)
                copy = process(["cp", "-r", trees / "kept", trees / "copy"])
                shutil.rmtree(trees / "copy")
                if number:  # the first reads what the others find in memory
                    hits.append(hit.whole)
                    without.append(bare.whole)
                    copies.append(copy.whole)
            mine, floor = median(hits) - median(without), median(copies)
            where = "in the sandbox" if executor == "sandbox" else "in Docker"
            yield Row(f"cache hit on an unchanged tree of 1 GiB {where}, restored and saved", mine,
                      "`cp -r` of the tree", floor, "s", "< 1 s", mine < 1)


def sinks(Row, builds, rounds):
    """What telling AWS of a build adds to it: logs, metrics, events and notifications, and a log in a bucket."""
    work = "for i in $(seq 1 30); do for j in $(seq 1 20); do echo \"line $i $j\"; done; sleep 0.1; done"
    source = builds.source("sinks", f"version: 0.2\nphases:\n  build:\n    commands:\n      - |\n        {work}\n")
    with moto() as env:
        process([AWS, "s3", "mb", "s3://benches"], env=env)
        topic = process([AWS, "sns", "create-topic", "--name", "benches", "--output", "text"], env=env, keep=True)
        told = {**env, "RUNSPAN_METRICS_NAMESPACE": "Benches", "RUNSPAN_EVENT_BUS": "default",
                "RUNSPAN_SNS_TOPIC": topic.output.decode().strip()}
        all_on = project(builds, "sinks-on", {"logsConfig": {
            "cloudWatchLogs": {"status": "ENABLED"}, "s3Logs": {"status": "ENABLED", "location": "benches/logs"}}})
        all_off = project(builds, "sinks-off", {})
        records = {True: [], False: []}
        ends = {True: [], False: []}
        for number in range(rounds + 1):
            for on in (True, False):
                time.sleep(0.3)
                ended = builds.run(source, "host", "--json", "--project", all_on if on else all_off, executor="sandbox",
                                   keep=True, env=told if on else env)
                events = [json.loads(line) for line in ended.output.splitlines()]
                events = [event for event in events if event["type"] != "log"]
                if number:
                    records[on].append(moment(events[-1]) - moment(events[0]))
                    ends[on].append(ended.whole)
    for what, found in (("its record", records), ("`run`, which sees to it that everything has arrived", ends)):
        mine, floor = median(found[True]), median(found[False])
        yield Row(f"a build of 3 s of which AWS is told everything, to the end of {what}", mine, "nobody is told", floor,
                  "s", f"< 1 % over it (is {(mine / floor - 1) * 100:.1f} %)", mine < 1.01 * floor)
