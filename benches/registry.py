"""A registry of images on loopback, for as long as it is measured."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from machine import Failed


@contextlib.contextmanager
def registry():
    """Its host and port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    directory = Path(tempfile.mkdtemp(prefix="runspan-benches-registry-"))
    config = directory / "config.yml"
    config.write_text(f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
                      f"storage: {{filesystem: {{rootdirectory: {directory}/storage}}}}\nhttp: {{addr: '{address}'}}\n")
    try:
        child = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError as error:
        raise Failed(f"docker-registry: {error}; apt-get install docker-registry") from error
    try:
        wait_for(address)
        yield address
    finally:
        child.terminate()
        child.wait()
        shutil.rmtree(directory, ignore_errors=True)


def wait_for(address):
    host, port = address.split(":")
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return
        time.sleep(0.05)
    raise Failed(f"docker-registry does not listen at {address}")
