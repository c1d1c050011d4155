"""A build that is asked for through CodeBuild's API: how soon its first command runs."""

import hashlib
import hmac
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from datetime import datetime, timezone

from machine import PROGRAM, Failed, median, process

LIMIT = 60  # seconds
REST = 0.3  # seconds
SPEC = "version: 0.2\nphases:\n  build:\n    commands:\n      - echo out-$((40+2))\n"


class Service:
    """The program as it serves, and a client that signs."""

    def __init__(self, home):
        self.environment = {"RUNSPAN_HOME": str(home), "AWS_REGION": "us-east-1"}
        made = process([PROGRAM, "api-key", "create", "bench"], env=self.environment, keep=True).output.decode()
        self.key, self.secret = re.search(r"key_id = (\S+)\n.*access_key = (\S+)", made).groups()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        command = [PROGRAM, "serve", "--listen", self.address, "--executor", "sandbox", "--image", "host",
                   "--host-network"]
        self.serving = subprocess.Popen(command, env={**os.environ, **self.environment}, stderr=subprocess.DEVNULL)
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            try:
                socket.create_connection(self.address.split(":")).close()
                return
            except OSError:
                time.sleep(0.05)
        raise Failed("`runspan serve --listen` does not listen")

    def ask(self, target, body):
        body = json.dumps(body).encode()
        now = datetime.now(timezone.utc)
        date, scope = f"{now:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%d}/us-east-1/codebuild/aws4_request"
        signed = {"host": self.address, "x-amz-date": date, "x-amz-target": target}
        lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
        names = ";".join(signed)
        canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{self.secret}".encode()
        for part in [*scope.split("/"), text]:
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signed["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.key}/{scope}, SignedHeaders={names}, "
                                   f"Signature={key.hex()}")
        signed["content-type"] = "application/x-amz-json-1.1"
        request = urllib.request.Request(f"http://{self.address}/", body, signed)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def codebuild(self, operation, **body):
        return self.ask(f"CodeBuild_20161006.{operation}", body)

    def build(self):
        """Milliseconds from the request to the first command, and to the answer."""
        start = time.time()
        build = self.codebuild("StartBuild", projectName="bench")["build"]
        answered = time.time()
        end = time.monotonic() + LIMIT
        while not self.codebuild("BatchGetBuilds", ids=[build["id"]])["builds"][0]["buildComplete"]:
            if time.monotonic() > end:
                raise Failed(f"build {build['id']} does not end")
            time.sleep(0.05)
        logs = build["logs"]
        read = self.ask("Logs_20140328.GetLogEvents", {"logGroupName": logs["groupName"], "startFromHead": True,
                                                       "logStreamName": logs["streamName"]})
        line = next(event["message"] for event in read["events"] if "Running command" in event["message"])
        ran = datetime.strptime(line.split("] ")[1][:26], "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=timezone.utc)
        return (ran.timestamp() - start) * 1000, (answered - start) * 1000

    def close(self):
        self.serving.send_signal(signal.SIGTERM)
        self.serving.wait()


def api(row, rounds):
    with tempfile.TemporaryDirectory(prefix="runspan-bench-") as home:
        service = Service(home)
        try:
            environment = {"type": "LINUX_CONTAINER", "image": "host", "computeType": "BUILD_GENERAL1_SMALL"}
            service.codebuild("CreateProject", name="bench", source={"type": "NO_SOURCE", "buildspec": SPEC},
                              artifacts={"type": "NO_ARTIFACTS"}, environment=environment, serviceRole="none")
            service.build()
            times = []
            for _ in range(rounds):
                time.sleep(REST)
                times.append(service.build())
        finally:
            service.close()
    first, answered = (median(time[which] for time in times) for which in (0, 1))
    yield row("`StartBuild` to the first command, in the sandbox", first, "its answer", answered, "ms", "< 100 ms",
              first < 100)
