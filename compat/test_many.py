"""A thousand delivery streams on one node: made, loaded, delivered, started again, removed, in bounded time and memory."""

import concurrent.futures
import os
import time

import pytest

from node import eventually
from streams import bodies_below
from test_crash import RESTART_SECONDS, tell

STREAMS = int(os.environ.get("HYDRANT_STREAMS", "1000"))
AT_ONCE = 8


def name_of(number: int) -> str:
    return f"s-{number:04d}"


@pytest.mark.slow
def test_a_thousand_streams(make_node, request):
    node = make_node(args=("--quotas", "unlimited", "--max-interval", "1"))
    names = [name_of(number) for number in range(STREAMS)]
    before = node.memory_bytes()
    took = {}

    def each(what: str, do) -> None:
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(do, names))
        took[what] = time.monotonic() - began

    def put(name: str, data: bytes) -> None:
        node.wire().put(name, data).ok()

    each("create", lambda name: node.wire().create(name, BucketARN=f"arn:aws:s3:::{name}").ok())
    eventually(lambda: statuses(node) == {"ACTIVE": STREAMS}, 60, "all are ACTIVE")
    each("put", lambda name: put(name, name.encode() + b"\n"))
    eventually(lambda: backlog(node) == 0, 60, "all is delivered")
    for name in names:
        assert b"".join(bodies_below(node.data_dir / "buckets" / name)) == name.encode() + b"\n"
    memory, threads, files = node.memory_bytes() - before, node.threads(), node.files()

    # Idle, they cost next to nothing.
    cpu = node.cpu_seconds()
    time.sleep(3)
    idle = (node.cpu_seconds() - cpu) / 3

    each("put again", lambda name: put(name, b"again\n"))
    node.kill()
    node.start()
    eventually(lambda: backlog(node) == 0, 60, "all is delivered")
    for name in names:
        lines = sorted(b"".join(bodies_below(node.data_dir / "buckets" / name)).splitlines())
        assert lines == sorted([name.encode(), b"again"])
    names = names[: STREAMS // 10]
    each("delete a tenth", lambda name: node.wire().delete(name).ok())
    eventually(lambda: statuses(node) == {"ACTIVE": STREAMS - len(names)}, 60, "they are gone")
    times = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in took.items())
    tell(
        request,
        f"{STREAMS} streams: {times}, start {node.started_in:.2f} s; {memory / STREAMS / 1024:.0f} KiB each, "
        f"{threads} threads, {files} files, {idle:.1%} of a core while idle",
    )
    assert node.started_in < RESTART_SECONDS
    assert memory < 64 << 20
    assert files < 300
    assert idle < 0.25


def statuses(node) -> dict[str, int]:
    found: dict[str, int] = {}
    for stream in node.admin_json("/api/streams")["streams"]:
        found[stream["status"]] = found.get(stream["status"], 0) + 1
    return found


def backlog(node) -> int:
    return sum(stream["backlog_records"] for stream in node.admin_json("/api/streams")["streams"])
