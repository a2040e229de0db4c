"""The scenario of compat/test_sdks.py with boto3, written so that boto3 of October 2015 runs it too.

JSON on standard input and output. With HYDRANT_SHIMS set, the shims of that directory are loaded first.
"""

import base64
import json
import time

from boto3_client import client, given  # first: it loads the shims

import boto3
import botocore
from botocore.exceptions import ClientError

stream = {"DeliveryStreamName": given["stream"]}


def describe():
    return client.describe_delivery_stream(**stream)["DeliveryStreamDescription"]


def record(text):
    return {"Data": base64.b64decode(text)}


def produce():
    created = client.create_delivery_stream(**dict(stream, **{given["configuration"]: given["destination"]}))
    description = describe()
    for _ in range(200):
        if description["DeliveryStreamStatus"] == "ACTIVE":
            break
        time.sleep(0.1)
        description = describe()
    put = client.put_record(Record=record(given["records"][0]), **stream)
    batch = client.put_record_batch(Records=[record(text) for text in given["records"][1:]], **stream)
    return {
        "arn": created["DeliveryStreamARN"],
        "status": description["DeliveryStreamStatus"],
        "version": description["VersionId"],
        "created": time.mktime(description["CreateTimestamp"].astimezone().timetuple()),
        "compression": description["Destinations"][0]["S3DestinationDescription"]["CompressionFormat"],
        "record_ids": [put["RecordId"]] + [entry["RecordId"] for entry in batch["RequestResponses"]],
        "failed": batch["FailedPutCount"],
        "client": "boto3 %s, botocore %s" % (boto3.__version__, botocore.__version__),
    }


def update():
    before = describe()
    client.update_destination(
        CurrentDeliveryStreamVersionId=before["VersionId"],
        DestinationId=before["Destinations"][0]["DestinationId"],
        S3DestinationUpdate=given["update"],
        **stream
    )
    client.put_record(Record=record(given["later"]), **stream)
    after = describe()
    listed = client.list_delivery_streams(Limit=10000)
    return {
        "version": after["VersionId"],
        "prefix": after["Destinations"][0]["S3DestinationDescription"]["Prefix"],
        "names": listed["DeliveryStreamNames"],
        "more": listed["HasMoreDeliveryStreams"],
    }


def delete():
    client.delete_delivery_stream(**stream)
    for _ in range(200):
        try:
            describe()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            return {
                "error": code,
                # 2015 had no exceptions of its own for a service's errors
                "typed": not hasattr(client, "exceptions") or isinstance(error, client.exceptions.ResourceNotFoundException),
                "status": error.response["ResponseMetadata"]["HTTPStatusCode"],
            }
        time.sleep(0.1)
    return {"error": "the stream is still there"}


print(json.dumps({"produce": produce, "update": update, "delete": delete}[given["phase"]]()))
