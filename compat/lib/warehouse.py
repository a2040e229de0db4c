"""Streams that load into PostgreSQL: their configuration, their tables, and what the admin port says of their COPYs."""

import os
import subprocess

from node import Node, binary, clean_env, eventually
from postgres import PASSWORD, USER, Postgres
from streams import status_of
from wire import ROLE, Wire, s3

# A stream that takes what it gets at once; nodes under test cap the interval.
HINTS = {"SizeInMBs": 1, "IntervalInSeconds": 60}


def redshift(postgres: Postgres, table: str, options: str | None = None, columns: str | None = None, s3_members=None, **members) -> dict:
    """A RedshiftDestinationConfiguration that loads into `table` of `postgres`."""
    command = {"DataTableName": table}
    if options is not None:
        command["CopyOptions"] = options
    if columns is not None:
        command["DataTableColumns"] = columns
    return {
        "RoleARN": ROLE,
        "ClusterJDBCURL": postgres.jdbc_url,
        "CopyCommand": command,
        "Username": USER,
        "Password": PASSWORD,
        "S3Configuration": s3(BufferingHints=HINTS, **(s3_members or {})),
        **members,
    }


def create(wire: Wire, name: str, configuration: dict):
    """CreateDeliveryStream with a Redshift destination; the answer as it came."""
    return wire.call("CreateDeliveryStream", {"DeliveryStreamName": name, "RedshiftDestinationConfiguration": configuration})


def update(wire: Wire, name: str, version: str = "1", **members):
    """UpdateDestination with a RedshiftDestinationUpdate of `members`."""
    return wire.call(
        "UpdateDestination",
        {
            "DeliveryStreamName": name,
            "CurrentDeliveryStreamVersionId": version,
            "DestinationId": "destinationId-000000000001",
            "RedshiftDestinationUpdate": members,
        },
    )


def hydrant(node: Node, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess:
    """Runs a command of the program against the node's admin port."""
    environment = clean_env(HYDRANT_ADMIN=f"http://127.0.0.1:{node.admin_port}")
    return subprocess.run([binary(), *arguments], env=environment, capture_output=True, text=True, timeout=seconds)


def flush(node: Node, name: str) -> subprocess.CompletedProcess:
    return hydrant(node, "flush", name)


def loaded(node: Node, name: str, seconds: float = 120) -> None:
    """Waits until all that the stream took is in its table."""

    def check():
        status = status_of(node, name)
        copy = status["copy"]
        return status["backlog_records"] == 0 and copy["state"] == "idle" and copy["objects"] == 0

    eventually(check, seconds, f"{name} is loaded")


def copy_status(node: Node, name: str) -> dict:
    return status_of(node, name)["copy"]


def seed() -> int:
    """HYDRANT_SEED, or chance; for the report."""
    return int(os.environ.get("HYDRANT_SEED") or int.from_bytes(os.urandom(4), "big"))
