"""kill -9 at random under load: nothing acknowledged is lost, nothing arrives twice, and the node is back at once.

`HYDRANT_KILLS=1000 scripts/test compat -k kill_9_with_a_directory` is the long run of docs/testing.md.
"""

import gzip
import os
import pathlib
import random
import time

import pytest

from keys import MAIN_KEY
from node import binary
from producer import Audit, Load, Producer, audit
from sigv4 import Signer
from streams import active, directory_bodies, directory_objects, drained

KILLS = int(os.environ.get("HYDRANT_KILLS", "50"))
# The promise is two seconds. A debug build reads its log several times slower, on a machine that may be busy building.
RESTART_SECONDS = 20.0 if "debug" in pathlib.Path(binary()).parts else 2.0
PRODUCERS = 3
# One in so many rounds kills the node a second time, while it is starting.
TWICE = 8
HINTS = {"SizeInMBs": 1, "IntervalInSeconds": 60}


def seed_of(request, kills: int) -> int:
    """The seed is in the report; HYDRANT_SEED replays it."""
    seed = int(os.environ.get("HYDRANT_SEED") or random.SystemRandom().randrange(1 << 32))
    request.node.add_report_section("call", "replay with", f"HYDRANT_SEED={seed} HYDRANT_KILLS={kills}")
    return seed


def tell(request, what: str) -> None:
    """Into the report, and onto the terminal with -s."""
    request.node.add_report_section("call", "books", what)
    print(what)


def crash_loop(node, streams: list[str], kills: int, request) -> Load:
    """Kills and restarts the node under load, also while it recovers. Returns the load, with its books closed."""
    seed = seed_of(request, kills)
    chance = random.Random(seed)
    slowest, died_young = 0.0, 0
    with Load(node, streams, seed, each=max(1, PRODUCERS // len(streams))) as load:
        for _ in range(kills):
            time.sleep(chance.uniform(0.02, 0.8))
            node.kill()
            found = node.examine()
            assert found["healthy"], found
            if chance.randrange(TWICE) == 0:
                node.spawn()
                time.sleep(chance.uniform(0, 0.15))
                node.kill()
                died_young += 1
            node.start()
            slowest = max(slowest, node.started_in)
    tell(request, f"{kills} rounds and {died_young} kills while starting, slowest start {slowest:.2f} s; {dict(load.errors())}")
    assert slowest < RESTART_SECONDS
    assert load.acknowledged() > kills * 10, "the load was a load"
    return load


def create_all(node, streams: dict[str, str]) -> None:
    """Name to compression; each has the bucket of its name."""
    wire = node.wire()
    for name, compression in streams.items():
        wire.create(name, BucketARN=f"arn:aws:s3:::{name}", BufferingHints=HINTS, CompressionFormat=compression).ok()
        active(wire, name)


def unpacked(compression: str, bodies):
    return map(gzip.decompress, bodies) if compression == "GZIP" else bodies


@pytest.mark.slow
def test_kill_9_with_a_directory(make_node, request):
    streams = {"plain": "UNCOMPRESSED", "zipped": "GZIP"}
    node = make_node(args=("--quotas", "unlimited", "--max-interval", "1"))
    create_all(node, streams)
    load = crash_loop(node, list(streams), KILLS, request)
    total = Audit()
    for name, compression in streams.items():
        drained(node, name, 120)
        total += load.audit(name, unpacked(compression, directory_bodies(node, name)))
    tell(request, str(total))


@pytest.mark.slow
@pytest.mark.s3
def test_kill_9_with_a_real_s3(make_s3_node, s3_store, s3_client, request):
    """With directories beside it: streams of every kind crash together."""
    streams = {"s3-plain": "UNCOMPRESSED", "s3-zipped": "GZIP", "dir-plain": "UNCOMPRESSED", "dir-zipped": "GZIP"}
    for name in streams:
        s3_store.make_bucket(name)
    node = make_s3_node(config='[[buckets]]\nmatch = "dir-*"\ntype = "directory"\npath = "data/buckets"\n')
    create_all(node, streams)
    load = crash_loop(node, list(streams), max(1, KILLS // 2), request)
    total = Audit()
    for name, compression in streams.items():
        drained(node, name, 120)
        bodies = s3_client.each_body(name) if name.startswith("s3") else directory_bodies(node, name)
        total += load.audit(name, unpacked(compression, bodies))
    tell(request, str(total))
    assert not s3_client.keys("dir-plain"), "what is for a directory does not go to the store"


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


@pytest.mark.slow
def test_a_frozen_node_goes_on_where_it_stopped(make_node, request):
    """SIGSTOP and SIGCONT under load: clients give up waiting, and what they were told before still holds."""
    seed = seed_of(request, 0)
    chance = random.Random(seed)
    streams = {"plain": "UNCOMPRESSED", "zipped": "GZIP"}
    node = make_node(args=("--quotas", "unlimited", "--max-interval", "1"))
    create_all(node, streams)
    with Load(node, list(streams), seed, each=3, timeout=0.5) as load:
        for _ in range(8):
            time.sleep(chance.uniform(0.2, 0.6))
            node.freeze()
            time.sleep(chance.choice([0.05, 0.4, 1.2]))
            node.thaw()
        time.sleep(0.3)
        before = load.acknowledged()
        time.sleep(0.5)
        assert load.acknowledged() > before, "it takes records again"
    timed_out = load.errors()["TimeoutError"]
    assert timed_out, "the freeze was long enough for clients to give up"
    assert node.ready()
    total = Audit()
    for name, compression in streams.items():
        drained(node, name)
        total += load.audit(name, unpacked(compression, directory_bodies(node, name)))
    tell(request, f"{total}; {timed_out} requests timed out")
