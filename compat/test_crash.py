"""kill -9 at random under load: nothing acknowledged is lost, nothing arrives twice, and the node is back at once."""

import os
import pathlib
import random
import time

import pytest

from keys import MAIN_KEY
from node import binary
from producer import Producer, audit
from sigv4 import Signer
from streams import active, directory_objects, drained

KILLS = int(os.environ.get("HYDRANT_KILLS", "50"))
# The promise is two seconds. A debug build reads its log several times slower, on a machine that may be busy building.
RESTART_SECONDS = 20.0 if "debug" in pathlib.Path(binary()).parts else 2.0
PRODUCERS = 3


def crash_loop(node, name: str, kills: int, request) -> list[Producer]:
    """Kills and restarts the node under load. The seed is in the report; HYDRANT_SEED replays it."""
    seed = int(os.environ.get("HYDRANT_SEED") or random.SystemRandom().randrange(1 << 32))
    request.node.add_report_section("call", "replay with", f"HYDRANT_SEED={seed} HYDRANT_KILLS={kills}")
    chance = random.Random(seed)
    signer = Signer(MAIN_KEY.access_key, MAIN_KEY.secret_key)
    producers = [Producer(i, "127.0.0.1", node.port, signer, name, seed) for i in range(PRODUCERS)]
    for producer in producers:
        producer.start()
    slowest = 0.0
    try:
        for _ in range(kills):
            time.sleep(chance.uniform(0.02, 0.8))
            node.kill()
            found = node.examine()
            assert found["healthy"], found
            node.start()
            slowest = max(slowest, node.started_in)
    finally:
        for producer in producers:
            producer.stop()
    acknowledged = sum(len(p.acknowledged) for p in producers)
    request.node.add_report_section("call", "books", f"{acknowledged} acknowledged, slowest start {slowest:.2f} s")
    assert slowest < RESTART_SECONDS
    assert acknowledged > kills * 10, "the load was a load"
    return producers


@pytest.mark.slow
def test_kill_9_with_a_directory(make_node, request):
    node = make_node(args=("--quotas", "unlimited", "--max-interval", "1"))
    wire = node.wire()
    wire.create("s", BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 60}).ok()
    active(wire, "s")
    producers = crash_loop(node, "s", KILLS, request)
    drained(node, "s", 120)
    audit(producers, list(directory_objects(node, "bucket").values()))


@pytest.mark.slow
@pytest.mark.s3
def test_kill_9_with_a_real_s3(make_s3_node, s3_store, s3_client, request):
    s3_store.make_bucket("crash-bucket")
    node = make_s3_node(args=("--quotas", "unlimited", "--max-interval", "1"))
    wire = node.wire()
    wire.create("s", BucketARN="arn:aws:s3:::crash-bucket", BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 60}).ok()
    active(wire, "s")
    producers = crash_loop(node, "s", max(1, KILLS // 2), request)
    drained(node, "s", 120)
    audit(producers, s3_client.bodies("crash-bucket"))


@pytest.mark.slow
def test_sigterm_under_load_loses_nothing_and_repeats_nothing(make_node, request):
    node = make_node(args=("--quotas", "unlimited", "--max-interval", "1"))
    wire = node.wire()
    wire.create("s").ok()
    active(wire, "s")
    signer = Signer(MAIN_KEY.access_key, MAIN_KEY.secret_key)
    producers = [Producer(i, "127.0.0.1", node.port, signer, "s", 1) for i in range(PRODUCERS)]
    for producer in producers:
        producer.start()
    for _ in range(4):
        time.sleep(1)
        began = time.monotonic()
        node.stop()
        assert time.monotonic() - began < 5, "SIGTERM stops in seconds"
        node.start()
    for producer in producers:
        producer.stop()
    drained(node, "s", 60)
    audit(producers, list(directory_objects(node, "bucket").values()))
