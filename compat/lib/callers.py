"""The same calls through the clients of others: operations with their members in, answers or errors out.

A caller is a function from a node and a list of (operation, members) to a list of {"answer": …} or {"error": …,
"message": …}. A call does not see what the one before it answered.
"""

import json
import re
import subprocess
import sys

import clients
from botocore import xform_name
from keys import MAIN_KEY
from node import Node, clean_env

Calls = list[tuple[str, dict]]
REGION = "us-east-1"


def _given(node: Node, calls: Calls) -> dict:
    return {
        "endpoint": node.url, "region": REGION, "access_key": MAIN_KEY.access_key, "secret_key": MAIN_KEY.secret_key,
        "calls": calls,
    }


def boto3_today(node: Node, calls: Calls) -> list[dict]:
    command = [sys.executable, clients.COMPAT / "clients" / "boto3_calls.py"]
    return json.loads(clients.run(command, env={}, input_=_given(node, calls)))["answers"]


def boto3_of_2015(node: Node, calls: Calls) -> list[dict]:
    command = [clients.VENV_2015 / "bin" / "python", clients.COMPAT / "clients" / "boto3_calls.py"]
    shims = {"HYDRANT_SHIMS": str(clients.COMPAT / "clients" / "boto3_2015")}
    said = json.loads(clients.run(command, env=shims, input_=_given(node, calls)))
    assert said["client"] == "botocore 1.3.0"
    return said["answers"]


def javascript(node: Node, calls: Calls) -> list[dict]:
    command = ["node", clients.COMPAT / "clients" / "js" / "calls.mjs"]
    return json.loads(clients.run(command, env={}, input_=_given(node, calls)))["answers"]


def aws_cli(node: Node, calls: Calls) -> list[dict]:
    """One process for each call, as a shell script would have it."""
    env = clean_env(
        AWS_ACCESS_KEY_ID=MAIN_KEY.access_key, AWS_SECRET_ACCESS_KEY=MAIN_KEY.secret_key, AWS_DEFAULT_REGION=REGION,
        AWS_MAX_ATTEMPTS="1",
    )

    def call(operation: str, members: dict) -> dict:
        command = [
            clients.AWS_CLI, "firehose", xform_name(operation, "-"), "--endpoint-url", node.url, "--output", "json",
            "--cli-input-json", json.dumps(members),
        ]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, env=env)
        if done.returncode == 0:
            return {"answer": json.loads(done.stdout) if done.stdout.strip() else {}}
        said = re.search(r"An error occurred \((\w+)\) when calling the \w+ operation: (.*)", done.stderr, re.DOTALL)
        assert said, done.stderr
        return {"error": said[1], "message": said[2].strip()}

    return [call(operation, members) for operation, members in calls]


CALLERS = [boto3_today, boto3_of_2015, javascript, aws_cli]
