"""Our own signer says what botocore's says: else the raw suite would test the node against a mistake."""

import datetime

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sigv4 import Signer


def test_agrees_with_botocore():
    body = b'{"DeliveryStreamName":"a b"}'
    headers = {"Host": "127.0.0.1:4573", "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Firehose_20150804.X"}
    request = AWSRequest("POST", "http://127.0.0.1:4573/", data=body, headers=dict(headers))
    SigV4Auth(Credentials("AKID", "secret/+=", "token=="), "firehose", "eu-west-1").add_auth(request)
    when = datetime.datetime.strptime(request.context["timestamp"], "%Y%m%dT%H%M%SZ")
    ours = Signer("AKID", "secret/+=", "eu-west-1", token="token==").headers("POST", "/", headers, body, when=when)
    assert ours["Authorization"] == request.headers["Authorization"]
