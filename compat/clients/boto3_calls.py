"""Makes calls with boto3, written so that boto3 of October 2015 makes them too.

JSON on standard input and output: operations with their members go in, answers or errors come out. With HYDRANT_SHIMS
set, the shims of that directory are loaded first.
"""

import json

from boto3_client import client, given  # first: it loads the shims

import botocore
from botocore import xform_name
from botocore.exceptions import ClientError


def call(operation, members):
    try:
        answer = getattr(client, xform_name(operation))(**members)
    except ClientError as error:
        return {"error": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
    answer.pop("ResponseMetadata")
    return {"answer": answer}


answers = [call(operation, members) for operation, members in given["calls"]]
print(json.dumps({"client": "botocore %s" % botocore.__version__, "answers": answers}, default=str))
