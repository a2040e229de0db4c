"""One story told by every client: create, wait, put, put a batch, describe, deliver, update, list, delete.

The clients differ; what they are told, what they must answer and what must lie in the bucket do not.
"""

import time
from dataclasses import dataclass, field

from keys import MAIN_KEY
from node import ACCOUNT, Node, eventually
from wire import b64

# The first is put alone, the rest in a batch. Only the first is no text: the AWS CLI's version 1 has no other way in.
RECORDS = [bytes(range(256)), b"one\n", b"", "zw\u00f6lf \U0001f6b0\n".encode(), b"x" * 100_000]
LATER = b"after the update\n"


@dataclass
class Story:
    """What a client is told. `objects` reads the bucket: key to decoded body."""

    node: Node
    name: str
    destination: dict
    objects: object
    configuration: str = "S3DestinationConfiguration"
    update: dict = field(default_factory=lambda: {"Prefix": "updated/"})
    region: str = "us-east-1"

    def given(self, phase: str) -> dict:
        return {
            "phase": phase,
            "endpoint": self.node.url,
            "region": self.region,
            "access_key": MAIN_KEY.access_key,
            "secret_key": MAIN_KEY.secret_key,
            "stream": self.name,
            "configuration": self.configuration,
            "destination": self.destination,
            "update": self.update,
            "records": [b64(record) for record in RECORDS],
            "later": b64(LATER),
        }


def tell(story: Story, client) -> None:
    """Has `client` (a function from what is given to what it saw) tell the story, and checks every page."""
    began = time.time()
    saw = client(story.given("produce"))
    assert saw["arn"] == f"arn:aws:firehose:{story.region}:{ACCOUNT}:deliverystream/{story.name}"
    assert (saw["status"], saw["version"], saw["failed"]) == ("ACTIVE", "1", 0)
    assert saw["compression"] == story.destination.get("CompressionFormat", "UNCOMPRESSED")
    assert began - 2 <= saw["created"] <= time.time() + 2
    assert len(set(saw["record_ids"])) == len(RECORDS) and all(saw["record_ids"])

    def delivered() -> list[bytes]:
        return sorted(body for key, body in story.objects().items() if not key.startswith("updated/"))

    wanted = b"".join(RECORDS)
    eventually(lambda: sum(map(len, delivered())) >= len(wanted), 60, "the records arrive")
    if len(delivered()) == 1:
        assert delivered() == [wanted], "byte for byte"
    else:  # the interval ended between the two calls
        assert delivered() == sorted([RECORDS[0], b"".join(RECORDS[1:])])

    saw = client(story.given("update"))
    assert (saw["version"], saw["prefix"], saw["more"]) == ("2", "updated/", False)
    assert story.name in saw["names"]
    eventually(lambda: any(key.startswith("updated/") for key in story.objects()), 60, "the later record arrives")
    ((key, body),) = [(key, body) for key, body in story.objects().items() if key.startswith("updated/")]
    assert body == LATER
    assert f"/{story.name}-2-" in key

    saw = client(story.given("delete"))
    assert saw == {"error": "ResourceNotFoundException", "typed": True, "status": 400}
