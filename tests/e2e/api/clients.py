"""AWS's Python client and its signers, one request a line: for tests that are not written in Python."""

import datetime
import functools
import http.client
import json
import logging
import sys
import urllib.error
import urllib.request

import boto3
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

import model

CONFIG = Config(retries={"max_attempts": 1}, parameter_validation=False)


@functools.cache
def client(endpoint, service, key, secret):
    session = boto3.session.Session(key, secret, region_name="us-east-1")
    found = session.client(service, endpoint_url=endpoint, config=CONFIG)
    # boto3 passes over what it does not know.
    if service in ("codebuild", "logs"):
        found.meta.events.register(f"before-parse.{service}", judge)
    return found


def judge(operation_model, response_dict, **_):
    shape, body = operation_model.output_shape, response_dict["body"]
    if response_dict["status_code"] == 200 and shape:
        found = list(model.strays(shape, json.loads(body), operation_model.name))
        if found:
            raise Stray(found)


class Stray(Exception):
    pass


def client_of(endpoint, ask):
    return client(endpoint, ask["service"], ask["key"], ask["secret"])


def call(endpoint, ask):
    try:
        answer = getattr(client_of(endpoint, ask), ask["operation"])(**ask["parameters"])
    except ClientError as error:
        return {"error": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
    except Stray as stray:
        return {"error": "not as described", "message": str(stray)}
    answer.pop("ResponseMetadata")
    return answer


def pages(endpoint, ask):
    paginator = client_of(endpoint, ask).get_paginator(ask["operation"])
    found = paginator.paginate(**ask["parameters"])
    return {"pages": [page.get(ask["list"], []) for page in found]}


def raw(endpoint, ask):
    """A signed request of any bytes, from any time."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": ask["target"]}
    request = AWSRequest("POST", f"{endpoint}/", headers, ask["body"].encode())
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=ask.get("late", 0))
    botocore.auth.get_current_datetime = lambda *_, **__: now.replace(tzinfo=None)
    credentials = Credentials(ask["key"], ask["secret"])
    if ask.get("presigned"):
        botocore.auth.SigV4QueryAuth(credentials, "codebuild", "us-east-1", 60).add_auth(request)
    elif not ask.get("unsigned"):
        botocore.auth.SigV4Auth(credentials, "codebuild", "us-east-1").add_auth(request)
    sent = urllib.request.Request(request.url, request.body, dict(request.headers), method="POST")
    try:
        with urllib.request.urlopen(sent) as answer:
            return {"status": answer.status, **json.load(answer)}
    except urllib.error.HTTPError as error:
        return {"status": error.code, **json.load(error)}


def differences(endpoint, ask):
    signer = botocore.auth.SigV4Auth(Credentials(ask["key"], ask["secret"]), "codebuild", "us-east-1")
    connection = http.client.HTTPConnection(endpoint.removeprefix("http://"))

    def send(operation, value):
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"CodeBuild_20161006.{operation}"}
        request = AWSRequest("POST", f"{endpoint}/", headers, json.dumps(value).encode())
        signer.add_auth(request)
        connection.request("POST", "/", request.body, dict(request.headers))
        return json.load(connection.getresponse())

    return model.differences(send, ask["absent"])


def moto(_endpoint, _ask):
    """What stands for AWS itself, until this process ends."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").disabled = True
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return {"endpoint": f"http://{host}:{port}"}


KINDS = {"moto": moto, "call": call, "pages": pages, "raw": raw, "differences": differences}

for line in sys.stdin:
    ask = json.loads(line)
    answer = KINDS[ask["kind"]](ask["endpoint"], ask)
    print(json.dumps(answer, default=lambda time: time.timestamp()), flush=True)
