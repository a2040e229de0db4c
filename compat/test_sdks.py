"""SDKs and tools of others tell the same story against a node with keys, to a directory and to a real S3."""

import functools
import itertools
import json
import subprocess
import sys
import tempfile
import time

import pytest

import clients
import scenario
from decode import decode
from node import clean_env
from streams import bucket_of, directory_objects
from wire import ROLE

pytestmark = pytest.mark.client


def program(*command, **env):
    """A client that is a program: JSON in, JSON out."""
    return lambda given: json.loads(clients.run(list(command), env=env, input_=given))


def boto3_today():
    tell = program(sys.executable, clients.COMPAT / "clients" / "boto3_scenario.py")
    return lambda given: {key: value for key, value in tell(given).items() if key != "client"}


def boto3_of_2015():
    shims = clients.COMPAT / "clients" / "boto3_2015"
    python = clients.VENV_2015 / "bin" / "python"
    tell = program(python, clients.COMPAT / "clients" / "boto3_scenario.py", HYDRANT_SHIMS=str(shims))

    def checked(given):
        saw = tell(given)
        assert saw.pop("client", "boto3 1.2.0, botocore 1.3.0") == "boto3 1.2.0, botocore 1.3.0"
        return saw

    return checked


def javascript():
    return program("node", clients.COMPAT / "clients" / "js" / "scenario.mjs")


def aws_cli():
    """The AWS CLI, one process for each call, as a shell script would have it."""

    def call(given, operation: str, *args: str, fails: bool = False):
        command = [clients.AWS_CLI, "firehose", operation, "--endpoint-url", given["endpoint"], "--output", "json", *args]
        env = clean_env(
            AWS_ACCESS_KEY_ID=given["access_key"], AWS_SECRET_ACCESS_KEY=given["secret_key"],
            AWS_DEFAULT_REGION=given["region"], AWS_MAX_ATTEMPTS="1",
        )
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60, env=env)
        if fails:
            return done.stderr if done.returncode else None
        assert done.returncode == 0, f"{args}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def tell(given):
        stream = ("--delivery-stream-name", given["stream"])
        describe = lambda: call(given, "describe-delivery-stream", *stream)["DeliveryStreamDescription"]  # noqa: E731
        if given["phase"] == "produce":
            option = {
                "S3DestinationConfiguration": "--s3-destination-configuration",
                "ExtendedS3DestinationConfiguration": "--extended-s3-destination-configuration",
            }[given["configuration"]]
            created = call(given, "create-delivery-stream", *stream, option, json.dumps(given["destination"]))
            description = describe()
            while description["DeliveryStreamStatus"] != "ACTIVE":
                description = describe()
            with tempfile.NamedTemporaryFile() as file:
                file.write(scenario.RECORDS[0])
                file.flush()
                put = call(given, "put-record", *stream, "--record", f"Data@=fileb://{file.name}")
            records = json.dumps([{"Data": record.decode()} for record in scenario.RECORDS[1:]])
            batch = call(given, "put-record-batch", *stream, "--records", records)
            return {
                "arn": created["DeliveryStreamARN"],
                "status": description["DeliveryStreamStatus"],
                "version": description["VersionId"],
                "created": timestamp(description["CreateTimestamp"]),
                "compression": description["Destinations"][0]["S3DestinationDescription"]["CompressionFormat"],
                "record_ids": [put["RecordId"], *(entry["RecordId"] for entry in batch["RequestResponses"])],
                "failed": batch["FailedPutCount"],
            }
        if given["phase"] == "update":
            before = describe()
            call(
                given, "update-destination", *stream, "--current-delivery-stream-version-id", before["VersionId"],
                "--destination-id", before["Destinations"][0]["DestinationId"], "--s3-destination-update",
                json.dumps(given["update"]),
            )
            call(given, "put-record", *stream, "--record", json.dumps({"Data": scenario.LATER.decode()}))
            after, listed = describe(), call(given, "list-delivery-streams", "--limit", "10000")
            return {
                "version": after["VersionId"],
                "prefix": after["Destinations"][0]["S3DestinationDescription"]["Prefix"],
                "names": listed["DeliveryStreamNames"],
                "more": listed["HasMoreDeliveryStreams"],
            }
        call(given, "delete-delivery-stream", *stream)
        while (text := call(given, "describe-delivery-stream", *stream, fails=True)) is None:
            time.sleep(0.1)
        found = "An error occurred (ResourceNotFoundException)" in text
        return {"error": "ResourceNotFoundException" if found else text, "typed": True, "status": 400}

    return tell


def timestamp(value) -> float:
    """The CLI prints seconds (version 1) or ISO 8601 (version 2)."""
    import datetime

    return value if isinstance(value, float | int) else datetime.datetime.fromisoformat(value).timestamp()


CLIENTS = [boto3_today, boto3_of_2015, javascript, aws_cli]
numbers = itertools.count(1)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
@pytest.mark.parametrize("compression", ["UNCOMPRESSED", "GZIP"])
def test_story_with_a_directory(node, client, compression):
    name = f"{client.__name__}-dir-{next(numbers)}"
    bucket = bucket_of(name).replace("_", "-")

    def objects():
        return {key: decode(compression, body) for key, body in directory_objects(node, bucket).items()}

    destination = {
        "RoleARN": ROLE,
        "BucketARN": f"arn:aws:s3:::{bucket}",
        "Prefix": "first/",
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60},
        "CompressionFormat": compression,
    }
    scenario.tell(scenario.Story(node, name, destination, objects), client())


@pytest.mark.s3
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
def test_story_with_a_real_s3_with_kms_and_an_assumed_role(s3_role_node, s3_store, s3_role_client, client):
    name = f"{client.__name__}-s3-{next(numbers)}"
    bucket = bucket_of(name).replace("_", "-")
    s3_store.make_bucket(bucket)
    info = s3_store.info()
    destination = {
        "RoleARN": info["role_arn"],
        "BucketARN": f"arn:aws:s3:::{bucket}",
        "Prefix": "first/",
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60},
        "CompressionFormat": "GZIP",
        "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": info["kms_key_arn"]}},
    }

    def objects():
        found = {}
        for key, (body, headers) in s3_role_client.read(bucket).items():
            assert headers["SSEKMSKeyId"] == info["kms_key_arn"] and headers["ServerSideEncryption"] == "aws:kms"
            found[key] = decode("GZIP", body)
        return found

    scenario.tell(scenario.Story(s3_role_node, name, destination, functools.partial(objects)), client())
