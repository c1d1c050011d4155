"""The part of CodePipeline that job workers speak to, as its API describes it, which moto lacks.

Requests are held to botocore's own description of the API. `POST /_pipeline` gives orders:

    {"order": "offer", "project", "configuration", "inputs": [{"name", "revision", "bucket", "key"}],
     "outputs": [{"name", "bucket", "key"}], "key"}      a job for whoever works for this project; answers its id
    {"order": "look", "id"}                              how the job stands: every id it had, every result, its link
    {"order": "abandon", "id"}                           nobody waits for it any more
"""

import json
import threading
import uuid

import botocore.session
from botocore.validate import ParamValidator

TARGET = "CodePipeline_20150709."
MODEL = botocore.session.get_session().get_service_model("codepipeline")
LOCK = threading.Lock()
TYPES = []
ACTIONS = {}  # by the first id of the job
JOBS = {}  # by each id


class Refused(Exception):
    def __init__(self, code, message=""):
        super().__init__(code)
        self.code, self.message = code, message


def type_key(kind):
    return kind["category"], kind["provider"], kind["version"]


def new_job(action, continuation=None):
    job = {"id": str(uuid.uuid4()), "action": action, "status": "Queued", "continuation": continuation, "nonce": None}
    JOBS[job["id"]] = job
    action["jobs"].append(job["id"])
    return job


def data(job):
    action = job["action"]
    # Credentials for these artifacts alone, which are others at each look.
    action["looks"] += 1

    def artifacts(all):
        return [
            {
                "name": one["name"], "revision": one.get("revision"),
                "location": {"type": "S3", "s3Location": {"bucketName": one["bucket"], "objectKey": one["key"]}},
            }
            for one in all
        ]

    found = {
        "actionTypeId": {**action["type"], "owner": "Custom"},
        "actionConfiguration": {"configuration": {"ProjectName": action["project"], **action["configuration"]}},
        "pipelineContext": {
            "pipelineName": "shop", "stage": {"name": "Build"}, "action": {"name": "Make"},
            "pipelineExecutionId": str(uuid.uuid4()),
        },
        "inputArtifacts": artifacts(action["inputs"]),
        "outputArtifacts": artifacts(action["outputs"]),
        "artifactCredentials": {
            "accessKeyId": action["key"], "secretAccessKey": f"secret-{action['looks']}", "sessionToken": "token",
            "expirationTime": 4102444800.0,
        },
        "encryptionKey": {"id": "alias/pipeline", "type": "KMS"},
    }
    if job["continuation"]:
        found["continuationToken"] = job["continuation"]
    return found


def current(job_id):
    job = JOBS.get(job_id)
    if job is None:
        raise Refused("JobNotFoundException", "The job was specified in an invalid format or cannot be found.")
    return job


def running(job_id):
    job = current(job_id)
    if job["status"] != "InProgress" or job["action"]["abandoned"]:
        raise Refused("InvalidJobStateException", "The job state was specified in an invalid format.")
    return job


def create_custom_action_type(body):
    kind = {name: body[name] for name in ("category", "provider", "version")}
    if kind in [known["id"] for known in TYPES]:
        raise Refused("ConcurrentModificationException", "The action type exists.")
    queryable = [one for one in body["configurationProperties"] if one.get("queryable")]
    if len(queryable) > 1 or any(one["secret"] or not one["required"] for one in queryable):
        raise Refused("ValidationException", "Only one property, required and not secret, can be queryable.")
    TYPES.append({"id": kind, "settings": body.get("settings", {}), "properties": body["configurationProperties"]})
    return {"actionType": {"id": {**kind, "owner": "Custom"}}}


def list_action_types(_body):
    return {"actionTypes": [{"id": {**known["id"], "owner": "Custom"}} for known in TYPES]}


def delete_custom_action_type(body):
    TYPES[:] = [known for known in TYPES if type_key(known["id"]) != type_key(body)]
    return {}


def poll_for_jobs(body):
    if type_key(body["actionTypeId"]) not in [type_key(known["id"]) for known in TYPES]:
        raise Refused("ActionTypeNotFoundException", "The specified action type cannot be found.")
    found = []
    for job in JOBS.values():
        action = job["action"]
        if (
            job["status"] in ("Queued", "Dispatched") and not action["abandoned"]
            and action["project"] == body.get("queryParam", {}).get("ProjectName", action["project"])
            and len(found) < body.get("maxBatchSize", 1)
        ):
            # Each offer has its own.
            job["nonce"], job["status"] = str(len(found) + 1), "Dispatched"
            found.append({"id": job["id"], "nonce": job["nonce"], "accountId": "123456789012", "data": data(job)})
    return {"jobs": found}


def acknowledge_job(body):
    job = current(body["jobId"])
    if job["nonce"] != body["nonce"]:
        raise Refused("InvalidNonceException", "The nonce was specified in an invalid format.")
    if job["status"] == "Dispatched":
        job["status"] = "InProgress"
    return {"status": job["status"]}


def get_job_details(body):
    job = current(body["jobId"])
    return {"jobDetails": {"id": job["id"], "accountId": "123456789012", "data": data(job)}}


def put_job_success_result(body):
    job = running(body["jobId"])
    action = job["action"]
    job["status"] = "Succeeded"
    link = body.get("executionDetails", {}).get("externalExecutionId")
    action["link"] = link or action["link"]
    action["results"].append({"success": body})
    if body.get("continuationToken"):
        new_job(action, body["continuationToken"])
    return {}


def put_job_failure_result(body):
    job = running(body["jobId"])
    job["status"] = "Failed"
    job["action"]["results"].append({"failure": body["failureDetails"]})
    return {}


OPERATIONS = {
    "CreateCustomActionType": create_custom_action_type,
    "ListActionTypes": list_action_types,
    "DeleteCustomActionType": delete_custom_action_type,
    "PollForJobs": poll_for_jobs,
    "AcknowledgeJob": acknowledge_job,
    "GetJobDetails": get_job_details,
    "PutJobSuccessResult": put_job_success_result,
    "PutJobFailureResult": put_job_failure_result,
}


def call(operation, text):
    """The answer to a signed request; `Refused` is a refusal."""
    body = json.loads(text)
    report = ParamValidator().validate(body, MODEL.operation_model(operation).input_shape)
    if report.has_errors():
        raise Refused("ValidationException", report.generate_report())
    unknown = set(body) - set(MODEL.operation_model(operation).input_shape.members)
    if unknown:
        raise Refused("SerializationException", f"unknown: {unknown}")
    with LOCK:
        return OPERATIONS[operation](body)


def order(body):
    """An order of a test."""
    with LOCK:
        if body["order"] == "offer":
            action = {
                "type": {"category": "Build", "provider": "Runspan", "version": "1"}, "jobs": [], "results": [],
                "looks": 0, "abandoned": False, "link": None, "configuration": {}, **body,
            }
            job = new_job(action)
            ACTIONS[job["id"]] = action
            return job["id"]
        action = ACTIONS[body["id"]]
        if body["order"] == "abandon":
            action["abandoned"] = True
        shown = {name: action[name] for name in ("jobs", "results", "link")}
        return {**shown, "types": TYPES, "statuses": [JOBS[job]["status"] for job in action["jobs"]]}
