"""What the boto3 programs beside this one begin with: what they are given on standard input, and a client for it.

Written so that boto3 of October 2015 runs it too. With HYDRANT_SHIMS set, the shims of that directory are loaded first.
"""

import json
import os
import sys

if os.environ.get("HYDRANT_SHIMS"):
    sys.path.insert(0, os.environ["HYDRANT_SHIMS"])
    import shims  # noqa: F401

import boto3

given = json.load(sys.stdin)
client = boto3.client(
    "firehose",
    endpoint_url=given["endpoint"],
    region_name=given["region"],
    aws_access_key_id=given["access_key"],
    aws_secret_access_key=given["secret_key"],
)
