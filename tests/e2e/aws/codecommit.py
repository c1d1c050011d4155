"""CodeCommit's repositories: git's own http-backend behind a login that is checked as its documentation says.

Repositories are made by `POST /_codecommit {"order": "make", "name", "files": {NAME: TEXT}}`; `{"order": "check",
"username", "password", "host", "path"}` says whether a login is good, and `{"order": "who", "key", "secret", "token"}`
whose credentials these are.
"""

import base64
import hashlib
import hmac
import os
import subprocess
import tempfile
import time
from datetime import datetime, timezone

from moto.sts.models import sts_backends

ROOT = tempfile.TemporaryDirectory(prefix="runspan-codecommit-")
SECRET = "of-the-tests"


def identity(username):
    """The secret of whoever a user name belongs to."""
    key, _, token = username.partition("%")
    for accounts in sts_backends.values():
        for backend in accounts.values():
            for role in backend.assumed_roles:
                if role.access_key_id == key:
                    return role.secret_access_key if role.session_token == token else None
    return None if token else SECRET


def is_good(username, password, host, path):
    secret = identity(username)
    if secret is None or "Z" not in password:
        return False
    moment, signature = password.split("Z", 1)
    given = datetime.strptime(moment, "%Y%m%dT%H%M%S").replace(tzinfo=timezone.utc)
    if abs(given.timestamp() - time.time()) > 900:
        return False
    region = host.split(".")[1]
    key = f"AWS4{secret}".encode()
    for part in (moment[:8], region, "codecommit", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    canonical = f"GIT\n{path}\n\nhost:{host}\n\nhost\n"
    scope = f"{moment[:8]}/{region}/codecommit/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.compare_digest(hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest(), signature)


def order(body):
    if body["order"] == "who":
        roles = [role for accounts in sts_backends.values() for backend in accounts.values() for role in backend.assumed_roles]
        wanted = body["key"], body["secret"], body["token"]
        return next(
            {"arn": role.role_arn, "session": role.session_name}
            for role in roles
            if (role.access_key_id, role.secret_access_key, role.session_token) == wanted
        )
    if body["order"] == "check":
        return is_good(body["username"], body["password"], body["host"], body["path"])
    work = os.path.join(ROOT.name, "work", body["name"])
    bare = os.path.join(ROOT.name, "v1", "repos", body["name"])
    os.makedirs(work)
    for name, text in body["files"].items():
        with open(os.path.join(work, name), "w") as file:
            file.write(text)

    def git(*arguments):
        settings = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        return subprocess.run(["git", *settings, *arguments], cwd=work, check=True, capture_output=True, text=True).stdout

    git("init", "--quiet", "--initial-branch=main")
    git("add", ".")
    git("commit", "--quiet", "-m", "all")
    git("clone", "--quiet", "--bare", work, bare)
    return git("rev-parse", "HEAD").strip()


def serve(environ, start_response):
    """A request to a host of CodeCommit, which came through this server as a proxy."""
    repository = "/".join(environ["PATH_INFO"].split("/")[:4])
    kind, _, encoded = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    username, _, password = base64.b64decode(encoded).decode().partition(":") if kind == "Basic" else ("", "", "")
    if not is_good(username, password, environ["HTTP_HOST"], repository):
        start_response("401 x", [("WWW-Authenticate", 'Basic realm="CodeCommit"'), ("Content-Length", "0")])
        return [b""]
    size = int(environ.get("CONTENT_LENGTH") or 0)
    variables = {
        "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": ROOT.name, "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": environ["PATH_INFO"], "QUERY_STRING": environ.get("QUERY_STRING", ""),
        "REQUEST_METHOD": environ["REQUEST_METHOD"], "CONTENT_TYPE": environ.get("CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(size), "HTTP_CONTENT_ENCODING": environ.get("HTTP_CONTENT_ENCODING", ""),
        "GIT_PROTOCOL": environ.get("HTTP_GIT_PROTOCOL", ""), "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
    }
    body = environ["wsgi.input"].read(size)
    said = subprocess.run(["git", "http-backend"], env=variables, input=body, capture_output=True, check=True).stdout
    head, _, content = said.partition(b"\r\n\r\n")
    headers = [tuple(line.decode().split(": ", 1)) for line in head.split(b"\r\n")]
    status = dict(headers).get("Status", "200 OK")
    headers = [(name, value) for name, value in headers if name not in ("Status", "Content-Length")]
    start_response(status, [*headers, ("Content-Length", str(len(content)))])
    return [content]
