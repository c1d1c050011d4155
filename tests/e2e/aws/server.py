"""moto, as strict as AWS where tests depend on it, with faults to order, and boto3 to look at what is there.

Prints its port, and ends when its standard input does. Beside AWS's APIs it answers

    POST /_boto3   {"service", "operation", "parameters", "region"} what boto3 says, bytes as text, unpacked, long ones as their sum;
                                                             a body of {"zip": {NAME: TEXT}} goes and comes as such a file;
                                                             "endpoint", "key" and "secret" ask another server
    POST /_faults  {"key", "faults"}                         what requests signed with this access key get from now on:
                                                             {"action": "s3:PutObject", "answer": "deny" | "drop" | "lose"
                                                             | "some" | "hold" | "throttle" | "expired" | "clock" | "short" | 503}
                                                             (a number may have a "code" and a "message"; "clock" is
                                                             one that is "seconds" ahead, by which a service says no
                                                             or does not; "short" makes a session of so many "seconds";
                                                             "some" takes all entries of a request but the first;
                                                             "lose" does it and says nothing, "hold" says nothing
                                                             and does nothing until there are other faults; "times" of them, or by
                                                             "chance", as in 0.1, or "after" so many that it does not
                                                             touch; the first that applies)
    POST /_requests {"key"}                                  how many requests this access key has signed
    POST /_parts   {"path"}                                  the numbers of the parts of this object that came whole
    POST /_acl     {"path"}                                  the canned ACL that this object was put with, which moto drops
    POST /_pipeline {"order", …}                             what `codepipeline.py` says
    POST /_codecommit {"order", …}                           what `codecommit.py` says
"""

import contextlib
import datetime
import functools
import gzip
import hashlib
import io
import json
import random
import re
import socket
import socketserver
import sys
import threading
import time
import zipfile

import boto3
import codecommit
import codepipeline
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server, WSGIRequestHandler

FAULTS = {}
CHANCE = random.Random(1)
REQUESTS = {}
PARTS = {}
ACLS = {}
MOTO = DomainDispatcherApplication(create_backend_app)
S3_ACTIONS = {"PUT": "PutObject", "POST": "PutObject", "GET": "GetObject", "HEAD": "GetObject"}
UNITS = {
    "Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes", "Bits",
    "Percent", "Count", "Bytes/Second", "None",
}


def request_of(environ):
    """Service, operation, access key and body of a request."""
    size = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(size) if size else b""
    if size:
        environ["wsgi.input"] = io.BytesIO(body)
    signed = re.search(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    key, service = signed.groups() if signed else ("", "")
    target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    query = re.search(rb"(?:^|&)Action=(\w+)", body)
    rpc = re.search(r"/operation/(\w+)$", environ["PATH_INFO"])
    if service == "s3":
        operation = S3_ACTIONS.get(environ["REQUEST_METHOD"], environ["REQUEST_METHOD"])
    elif target:
        operation = target
    elif query:
        operation = query.group(1).decode()
    else:
        operation = rpc.group(1) if rpc else ""
    return service, operation, key, body


def broken_rule(service, operation, body):
    """The refusal of AWS that moto lacks."""
    if operation == "PutLogEvents":
        events = json.loads(body)["logEvents"]
        size = sum(len(event["message"].encode()) + 26 for event in events)
        times = [event["timestamp"] for event in events]
        if size > 1048576 or not 0 < len(events) <= 10000 or times[-1] - times[0] >= 86400000:
            return "InvalidParameterException", "Upload too large or too long"
        if max(len(event["message"].encode()) + 26 for event in events) > 262144:
            return "InvalidParameterException", "Log event too large"
    if operation == "PutEvents":
        entries = json.loads(body)["Entries"]
        if len(entries) > 10 or any(entry["Source"].startswith("aws.") for entry in entries):
            return "NotAuthorizedForSourceException", "Not authorized for the source."
    if operation == "PutMetricData":
        text = body.decode(errors="replace")
        if "Namespace=AWS%2F" in text or "AWS/" in text:
            return "InvalidParameterValue", "The value AWS/ for parameter Namespace is invalid."
        for unit in re.findall(r"Unit=([^&]+)", text):
            if unit.replace("%2F", "/") not in UNITS:
                return "InvalidParameterValue", f"The value {unit} for parameter Unit is invalid."
    return None


def refusal(service, code, message):
    if service in ("s3", "sns", "sts", "monitoring"):
        error = f"<Code>{code}</Code><Message>{message}</Message>"
        text = f"<Error>{error}</Error>" if service == "s3" else f"<ErrorResponse><Error>{error}</Error></ErrorResponse>"
        return "text/xml", text.encode()
    return "application/x-amz-json-1.1", json.dumps({"__type": code, "message": message}).encode()


@functools.cache
def client(service, region, endpoint, key, secret):
    return boto3.client(
        service, region_name=region, endpoint_url=endpoint,
        aws_access_key_id=key, aws_secret_access_key=secret,
    )


def boto3_answer(order, port):
    parameters = order.get("parameters", {})
    if isinstance(parameters.get("Body"), dict):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, text in parameters["Body"]["zip"].items():
                archive.writestr(name, text)
        parameters["Body"] = packed.getvalue()
    endpoint = order.get("endpoint", f"http://127.0.0.1:{port}")
    of_service = client(
        order["service"], order.get("region", "us-east-1"), endpoint, order.get("key", "reader"), order.get("secret", "reader"),
    )
    answer = getattr(of_service, order["operation"])(**parameters)

    def plain(value):
        if hasattr(value, "read"):
            value = value.read()
            if len(value) > 1 << 20:
                return {"sha256": hashlib.sha256(value).hexdigest()}
            if value[:2] == b"\x1f\x8b":
                value = gzip.decompress(value)
            if value[:4] == b"PK\x03\x04":
                with zipfile.ZipFile(io.BytesIO(value)) as archive:
                    return {"zip": {name: archive.read(name).decode() for name in archive.namelist()}}
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

    return json.dumps(answer, default=plain).encode()


def too_far_apart(environ, service, seconds):
    """What a service with a clock that is so far ahead says of a request; S3 is the more patient one."""
    signed = datetime.datetime.strptime(environ["HTTP_X_AMZ_DATE"], "%Y%m%dT%H%M%SZ")
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) + datetime.timedelta(seconds=seconds)
    apart = abs((now - signed).total_seconds())
    if service == "s3":
        text = "The difference between the request time and the current time is too large."
        return (403, "RequestTimeTooSkewed", text) if apart > 900 else None
    code, status = ("SignatureDoesNotMatch", 403) if service in ("sns", "sts") else ("InvalidSignatureException", 400)
    text = f"Signature expired: {signed:%Y%m%dT%H%M%SZ} is now earlier than {now:%Y%m%dT%H%M%SZ} - 5 min."
    return (status, code, text) if apart > 300 else None


def reply(start_response, status, kind, body):
    start_response(f"{status} x", [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


def served(environ, start_response, service, operation, body):
    """What the service does and says."""
    part = re.search(r"partNumber=(\d+)", environ.get("QUERY_STRING", ""))
    if service == "s3" and part and environ["REQUEST_METHOD"] == "PUT":
        PARTS.setdefault(environ["PATH_INFO"], []).append(int(part.group(1)))
    if service == "s3" and environ.get("HTTP_X_AMZ_ACL"):
        ACLS[environ["PATH_INFO"]] = environ["HTTP_X_AMZ_ACL"]
    if service != "codepipeline" or operation not in codepipeline.OPERATIONS:
        return MOTO(environ, start_response)
    try:
        said = json.dumps(codepipeline.call(operation, body)).encode()
    except codepipeline.Refused as refused:
        return reply(start_response, 400, *refusal(service, refused.code, refused.message))
    return reply(start_response, 200, "application/x-amz-json-1.1", said)


def application(environ, start_response):
    answer = functools.partial(reply, start_response)
    path = environ["PATH_INFO"]
    if environ.get("HTTP_HOST", "").startswith("git-codecommit."):
        return codecommit.serve(environ, start_response)
    if path in ("/_boto3", "/_faults", "/_requests", "/_parts", "/_acl", "/_pipeline", "/_codecommit"):
        order = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        if path == "/_faults":
            FAULTS[order["key"]] = order["faults"]
            return answer(200, "application/json", b"{}")
        if path == "/_requests":
            return answer(200, "application/json", json.dumps(REQUESTS.get(order["key"], 0)).encode())
        if path == "/_parts":
            return answer(200, "application/json", json.dumps(PARTS.get(order["path"], [])).encode())
        if path == "/_acl":
            return answer(200, "application/json", json.dumps(ACLS.get(order["path"])).encode())
        if path == "/_codecommit":
            return answer(200, "application/json", json.dumps(codecommit.order(order)).encode())
        if path == "/_pipeline":
            return answer(200, "application/json", json.dumps(codepipeline.order(order)).encode())
        try:
            return answer(200, "application/json", boto3_answer(order, environ["SERVER_PORT"]))
        except Exception as error:
            return answer(500, "application/json", json.dumps({"error": repr(error)}).encode())
    service, operation, key, body = request_of(environ)
    if len(body) < int(environ.get("CONTENT_LENGTH") or 0):
        # moto would take the half for the whole.
        raise ConnectionAbortedError
    REQUESTS[key] = REQUESTS.get(key, 0) + 1
    for fault in FAULTS.get(key, []):
        if fault["action"] not in ("*", f"{service}:{operation}"):
            continue
        if CHANCE.random() >= fault.get("chance", 1):
            continue
        if fault.get("after", 0) > 0:
            fault["after"] -= 1
            continue
        if fault.get("times") is not None:
            if fault["times"] == 0:
                continue
            fault["times"] -= 1
        if fault["answer"] == "hold":
            while fault in FAULTS[key]:
                time.sleep(0.1)
            raise ConnectionAbortedError
        if fault["answer"] == "drop":
            raise ConnectionAbortedError
        if fault["answer"] == "deny":
            code = "AccessDenied" if service == "s3" else "AccessDeniedException"
            return answer(403 if service == "s3" else 400, *refusal(service, code, "Access Denied"))
        if fault["answer"] == "throttle":
            code, status = ("SlowDown", 503) if service == "s3" else ("ThrottlingException", 400)
            return answer(status, *refusal(service, code, "Rate exceeded"))
        if fault["answer"] == "expired":
            code = "ExpiredToken" if service == "s3" else "ExpiredTokenException"
            return answer(400, *refusal(service, code, "The security token included in the request is expired"))
        if fault["answer"] == "clock":
            refused = too_far_apart(environ, service, fault["seconds"])
            if not refused:
                continue
            return answer(refused[0], *refusal(service, *refused[1:]))
        if fault["answer"] == "short":
            end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=fault["seconds"])
            said = b"".join(served(environ, lambda *_: None, service, operation, body)).decode()
            said = re.sub("<Expiration>[^<]*", f"<Expiration>{end:%Y-%m-%dT%H:%M:%SZ}", said)
            return answer(200, "text/xml", said.encode())
        if fault["answer"] == "some":
            entries = json.loads(body)["Entries"]
            rest = json.dumps({"Entries": entries[1:]}).encode()
            environ = {**environ, "CONTENT_LENGTH": str(len(rest)), "wsgi.input": io.BytesIO(rest)}
            taken = json.loads(b"".join(served(environ, lambda *_: None, service, operation, rest)))["Entries"]
            refused = {"ErrorCode": "InternalFailure", "ErrorMessage": "Unexpected service error"}
            said = json.dumps({"FailedEntryCount": 1, "Entries": [refused, *taken]}).encode()
            return answer(200, "application/x-amz-json-1.1", said)
        if fault["answer"] == "lose":
            # Done, and nobody is told.
            list(served(environ, lambda *_: None, service, operation, body))
            raise ConnectionAbortedError
        code = fault.get("code", "ServiceUnavailable")
        return answer(fault["answer"], *refusal(service, code, fault.get("message", "Please reduce your request rate.")))
    broken = broken_rule(service, operation, body)
    if broken:
        return answer(400, *refusal(service, *broken))
    return served(environ, start_response, service, operation, body)


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass

    def connection_dropped(self, error, environ=None):
        # werkzeug would go on waiting for the next request.
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


socketserver.ThreadingMixIn.daemon_threads = True
server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
