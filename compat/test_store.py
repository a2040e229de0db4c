"""A store that goes down, comes back or freezes in the middle of an upload: nothing lost, and one object for each span."""

import random
import threading
import time

import pytest

from conftest import s3_env
from node import eventually
from proxy import Proxy
from streams import active, drained, status_of
from test_crash import tell

pytestmark = [pytest.mark.s3, pytest.mark.slow]

MB = 1_000_000
FLUSH = "/api/streams/123456789012/us-east-1/s/flush"
# The upload's bytes after which the store breaks: in a single PUT, in the second part of several, in the last.
UPLOADS = {"one PUT": (3 * MB, 2 * MB), "the second part": (24 * MB, 12 * MB), "the last part": (24 * MB, 23 * MB)}


@pytest.fixture(scope="module")
def broken_store():
    """A store of this module's own, since it is broken all the time."""
    from radosgw import Radosgw
    from s3client import S3Client

    with Radosgw() as store:
        # All at once: for half a minute after a gateway died, others wait for it when they make a bucket.
        buckets = [f"bucket-{number}" for number in range(20)]
        for bucket in buckets:
            store.make_bucket(bucket)
        yield store, S3Client(store.info()), buckets


@pytest.fixture(params=UPLOADS)
def uploading(request, broken_store, make_node):
    """A node with a stream that is about to upload an object, through a proxy that is about to do something to the store."""
    store, client, buckets = broken_store
    size, after = UPLOADS[request.param]
    bucket = buckets.pop()
    with Proxy(store.port) as proxy:
        node = make_node(args=("--quotas", "unlimited", "--s3-endpoint", proxy.endpoint), env=s3_env(store))
        wire = node.wire()
        hints = {"SizeInMBs": 64, "IntervalInSeconds": 900}
        wire.create("s", BucketARN=f"arn:aws:s3:::{bucket}", BufferingHints=hints).ok()
        active(wire, "s")
        noise = random.Random(1).randbytes(MB)
        pieces = [b"%06d" % number + noise[6:] for number in range(size // MB)]
        for piece in pieces:
            wire.put("s", piece).ok()
        yield Uploading(store, client, proxy, node, bucket, pieces, after)


class Uploading:
    def __init__(self, store, client, proxy, node, bucket, pieces, after) -> None:
        self.store, self.client, self.proxy, self.node = store, client, proxy, node
        self.bucket, self.pieces, self.after = bucket, pieces, after

    def begin(self, act) -> None:
        """Starts the delivery, and returns when `act` was called in the middle of it."""
        self.proxy.trip(self.after, act)
        threading.Thread(target=self._flush, daemon=True).start()
        assert self.proxy.tripped.wait(30), "the upload came so far"

    def _flush(self) -> None:
        try:
            self.node.admin(FLUSH, "POST")
        except OSError:
            pass  # the node was killed meanwhile

    def flush_until_drained(self, seconds: float = 90) -> None:
        def check():
            self._flush()
            return status_of(self.node, "s")["backlog_records"] == 0

        eventually(check, seconds, "all is delivered")

    def one_object(self) -> None:
        bodies = self.client.bodies(self.bucket)
        assert len(bodies) == 1, f"{len(bodies)} objects"
        assert bodies[0] == b"".join(self.pieces), "byte for byte"
        assert status_of(self.node, "s").get("last_error") is None


def test_the_store_restarts_in_the_middle(uploading, request):
    """Connections are cut, then refused, then it is there again."""
    it = uploading
    it.begin(it.store.stop_gateway)
    eventually(lambda: status_of(it.node, "s").get("last_error"), 60, "the error shows")
    assert status_of(it.node, "s")["backlog_records"] == len(it.pieces)
    it.store.start_gateway()
    it.flush_until_drained()
    it.one_object()
    tell(request, f"uploads left open in the store: {it.client.open_uploads(it.bucket)}")


def test_the_store_freezes_in_the_middle(uploading):
    """It hangs for some seconds, and goes on where it was."""
    it = uploading
    it.begin(it.store.pause)
    time.sleep(4)
    assert status_of(it.node, "s")["backlog_records"] == len(it.pieces)
    it.node.wire().describe("s")
    it.store.resume()
    drained(it.node, "s", 60)
    it.one_object()
    assert it.client.open_uploads(it.bucket) == 0


def test_the_node_is_killed_while_the_store_is_frozen(uploading):
    """The store may finish what the node never heard of; the next start uploads the same bytes to the same key."""
    it = uploading
    it.begin(it.store.pause)
    time.sleep(1)
    it.node.kill()
    it.store.resume()
    it.node.start()
    it.flush_until_drained()
    it.one_object()


def test_answers_are_lost(uploading):
    """The store takes what it is given, and the node never hears so, and asks again."""
    it = uploading
    it.begin(it.proxy.mute.set)
    assert it.proxy.muted.wait(30), "an answer was lost"
    time.sleep(1)
    it.proxy.mute.clear()
    it.flush_until_drained()
    it.one_object()
