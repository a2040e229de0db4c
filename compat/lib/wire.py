"""A raw client of the wire API: it sends exactly what a test says and hides nothing of the answer."""

import base64
import http.client
import json
from dataclasses import dataclass

from sigv4 import Signer

TARGET = "Firehose_20150804."
CONTENT_TYPE = "application/x-amz-json-1.1"


@dataclass
class Answer:
    """Status, headers (lower-case names) and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The error's name."""
        return self.json["__type"]

    @property
    def message(self) -> str | None:
        """The error's text, under either spelling."""
        body = self.json
        return body.get("message", body.get("Message"))

    def ok(self):
        """The body of a 200."""
        assert self.status == 200, f"{self.status} {self.body!r}"
        return self.json


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def record(data: bytes) -> dict:
    return {"Data": b64(data)}


class Wire:
    """Calls operations at one address, signed by `signer` (None: unsigned)."""

    def __init__(self, host: str, port: int, signer: Signer | None):
        self.host, self.port, self.signer = host, port, signer

    def call(self, operation: str | None, body, **options) -> Answer:
        """Sends one POST. `body` is an object (sent as compact JSON) or bytes.

        Options: `target`, `content_type` (None leaves the header out), `method`, `path`, `query`, `headers` (added before
        signing), `after` (added after signing), and those of Signer.headers (`when`, `signed`, `send_payload_hash`).
        """
        payload = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
        method, path = options.pop("method", "POST"), options.pop("path", "/")
        query = options.pop("query", "")
        headers = {"Host": f"{self.host}:{self.port}"}
        target = options.pop("target", TARGET + operation if operation else None)
        content_type = options.pop("content_type", CONTENT_TYPE)
        if content_type is not None:
            headers["Content-Type"] = content_type
        if target is not None:
            headers["X-Amz-Target"] = target
        headers.update(options.pop("headers", {}))
        after = options.pop("after", {})
        if self.signer:
            headers = self.signer.headers(method, path, headers, payload, query=query, **options)
        headers.update(after)
        return self.send(method, path + ("?" + query if query else ""), headers, payload)

    def send(self, method: str, path: str, headers: dict[str, str], payload: bytes) -> Answer:
        """Sends headers and body as they are."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            lower = {name.lower() for name in headers}
            if "content-length" not in lower and "transfer-encoding" not in lower:
                connection.putheader("Content-Length", str(len(payload)))
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            try:
                connection.send(payload)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the server may answer before it has read all
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    # --- shorthands -------------------------------------------------------------------------------------------------

    def create(self, name: str, **destination) -> Answer:
        """Creates a stream with a plain S3 destination; keyword arguments are its members."""
        return self.call("CreateDeliveryStream", {"DeliveryStreamName": name, "S3DestinationConfiguration": s3(**destination)})

    def describe(self, name: str) -> dict:
        return self.call("DescribeDeliveryStream", {"DeliveryStreamName": name}).ok()["DeliveryStreamDescription"]

    def put(self, name: str, data: bytes) -> Answer:
        return self.call("PutRecord", {"DeliveryStreamName": name, "Record": record(data)})

    def put_batch(self, name: str, datas: list[bytes]) -> Answer:
        return self.call("PutRecordBatch", {"DeliveryStreamName": name, "Records": [record(data) for data in datas]})

    def update(self, name: str, version: str = "1", **members) -> Answer:
        """UpdateDestination with an S3DestinationUpdate of `members`."""
        return self.call(
            "UpdateDestination",
            {
                "DeliveryStreamName": name,
                "CurrentDeliveryStreamVersionId": version,
                "DestinationId": "destinationId-000000000001",
                "S3DestinationUpdate": members,
            },
        )

    def delete(self, name: str) -> Answer:
        return self.call("DeleteDeliveryStream", {"DeliveryStreamName": name})


ROLE = "arn:aws:iam::123456789012:role/firehose"


def s3(**members) -> dict:
    """An S3DestinationConfiguration with the two required members, and `members` over it."""
    return {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::bucket", **members}
