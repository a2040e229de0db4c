"""Buffering, keys and bodies in the directory destination: SPEC §4, DESIGN §5."""

import datetime
import re
import time

import pytest

from decode import EXTENSION, FORMATS, decode
from node import eventually
from streams import active, bucket_of, directory_objects, drained, gone, status_of

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def make(wire, name: str, **members) -> str:
    """Creates a stream with a bucket of its own; returns the bucket's name."""
    bucket = bucket_of(name)
    wire.create(name, BucketARN=f"arn:aws:s3:::{bucket}", **members).ok()
    active(wire, name)
    return bucket


def one_object(node, bucket: str) -> tuple[str, bytes]:
    objects = eventually(lambda: directory_objects(node, bucket), what=f"an object in {bucket}")
    ((key, body),) = objects.items()
    return key, body


def delivered_trace(node, record_id: str) -> dict | None:
    trace = node.admin_json(f"/api/trace/{record_id}")
    return trace if trace["state"] == "delivered" else None


@pytest.mark.parametrize("compression", FORMATS)
def test_each_compression_decodes_with_its_reference_tool(node, wire, name, compression):
    name = f"{name}-{compression.replace('_', '-')}"
    bucket = make(wire, name, CompressionFormat=compression)
    records = [b"abc"] * 3 + [bytes(range(256)) * 500, b"", b"line\n" * 20_000]
    wire.put_batch(name, records).ok()
    key, body = one_object(node, bucket)
    assert decode(compression, body) == b"".join(records)
    assert re.search(UUID + r"(\.\w+)?$", key) and key.endswith(EXTENSION[compression])
    if compression != "UNCOMPRESSED":
        assert len(body) < 120_000


@pytest.mark.parametrize("compression", FORMATS)
def test_bytes_that_do_not_compress(node, wire, name, compression):
    import random

    name = f"{name}-{compression.replace('_', '-')}"
    bucket = make(wire, name, CompressionFormat=compression)
    noise = random.Random(2).randbytes(1_024_000)
    wire.put_batch(name, [noise] * 3).ok()
    assert decode(compression, one_object(node, bucket)[1]) == noise * 3


@pytest.mark.parametrize("prefix", [None, "", "a", "a/", "/lead", "a//b/", "ü ~!*'()/", "x=1/y=2/"])
def test_key_layout(node, wire, name, prefix):
    members = {} if prefix is None else {"Prefix": prefix}
    bucket = make(wire, name, **members)
    before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    record_id = wire.put(name, b"x").ok()["RecordId"]
    after = datetime.datetime.now(datetime.timezone.utc)
    eventually(lambda: directory_objects(node, bucket))
    trace = eventually(lambda: delivered_trace(node, record_id))
    assert trace["bucket"] == bucket
    key = trace["key"]
    pattern = (
        re.escape(prefix or "")
        + rf"(\d{{4}}/\d\d/\d\d/\d\d)/{re.escape(name)}-1-(\d{{4}}-\d\d-\d\d-\d\d-\d\d-\d\d)-{UUID}"
    )
    match = re.fullmatch(pattern, key)
    assert match, key
    stamp = datetime.datetime.strptime(match[2], "%Y-%m-%d-%H-%M-%S").replace(tzinfo=datetime.timezone.utc)
    assert before <= stamp <= after, "the arrival of the oldest record"
    assert stamp.strftime("%Y/%m/%d/%H") == match[1]


def test_records_are_glued_verbatim(node, wire, name):
    bucket = make(wire, name)
    records = [b"a", b"\n", b"\x00\xff\r\n", b"", "ü".encode(), b"end"]
    wire.put_batch(name, records).ok()
    assert one_object(node, bucket)[1] == b"".join(records)


def test_empty_records_alone_make_no_object(node, wire, name):
    bucket = make(wire, name)
    wire.put_batch(name, [b"", b""]).ok()
    drained(node, name)
    assert directory_objects(node, bucket) == {}
    wire.put(name, b"x").ok()
    assert one_object(node, bucket)[1] == b"x"


def test_interval_without_new_traffic(make_node):
    node = make_node(args=("--quotas", "unlimited", "--max-interval", "3"))
    wire = node.wire()
    wire.create("s").ok()
    active(wire, "s")
    sent = time.time()
    wire.put("s", b"first").ok()
    time.sleep(1.5)  # the timer runs from the first record of the buffer, not from the last
    wire.put("s", b"second").ok()
    _, body = one_object(node, "bucket")
    assert 2.5 <= time.time() - sent <= 5
    assert body == b"firstsecond"


def test_size_before_interval(make_node):
    node = make_node(args=("--quotas", "unlimited"))
    wire = node.wire()
    wire.create("s", BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 900}).ok()
    active(wire, "s")
    mib = 1 << 20
    for i in range(10):
        wire.put_batch("s", [bytes([i]) * (mib // 4)] * 2).ok()  # ten times half a MiB
    objects = eventually(lambda: len(found := directory_objects(node, "bucket")) >= 4 and found)
    assert all(len(body) <= 1.5 * mib for body in objects.values())
    time.sleep(1)
    left = 5 * mib - sum(len(body) for body in directory_objects(node, "bucket").values())
    assert 0 <= left <= mib, "what does not fill a buffer waits for the interval"
    status = status_of(node, "s")
    assert status["backlog_bytes"] == left


def test_size_counts_before_compression(make_node):
    node = make_node(args=("--quotas", "unlimited"))
    wire = node.wire()
    wire.create("s", BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 900}, CompressionFormat="GZIP").ok()
    active(wire, "s")
    wire.put_batch("s", [b"z" * 600_000] * 2).ok()
    _, body = one_object(node, "bucket")
    assert len(body) < 50_000 and decode("GZIP", body) == b"z" * 1_200_000


def test_flush(make_node):
    node = make_node(args=("--quotas", "unlimited"))
    wire = node.wire()
    wire.create("s").ok()
    active(wire, "s")
    wire.put_batch("s", [b"a", b"b"]).ok()
    assert directory_objects(node, "bucket") == {}
    flushed = node.admin_json("/api/streams/123456789012/us-east-1/s/flush", "POST")
    assert flushed["objects"] == 1
    assert one_object(node, "bucket")[1] == b"ab"


def test_trace(make_node):
    node = make_node(args=("--quotas", "unlimited"))
    wire = node.wire()
    wire.create("s").ok()
    active(wire, "s")
    record_id = wire.put("s", b"x").ok()["RecordId"]
    assert node.admin_json(f"/api/trace/{record_id}")["state"] == "buffered"
    node.admin_json("/api/streams/123456789012/us-east-1/s/flush", "POST")
    key, _ = one_object(node, "bucket")
    traced = node.admin_json(f"/api/trace/{record_id}")
    assert (traced["state"], traced["bucket"], traced["key"]) == ("delivered", "bucket", key)
    node.stop()
    node.start()
    assert node.admin_json(f"/api/trace/{record_id}")["key"] == key, "receipts survive a restart"


def test_sigterm_loses_nothing(make_node):
    node = make_node(args=("--quotas", "unlimited", "--max-interval", "2"))
    wire = node.wire()
    wire.create("s").ok()
    active(wire, "s")
    wire.put("s", b"before").ok()
    began = time.monotonic()
    node.stop()
    assert time.monotonic() - began < 5
    node.start()
    drained(node, "s")
    assert b"".join(directory_objects(node, "bucket").values()) == b"before"


def test_a_second_process_on_the_same_data_is_refused(make_node):
    import subprocess

    from node import clean_env
    from radosgw import free_port

    node = make_node()
    command = node.command()
    command[command.index("--listen") + 1] = f"127.0.0.1:{free_port()}"
    command[command.index("--admin-listen") + 1] = f"127.0.0.1:{free_port()}"
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=clean_env(), cwd=node.dir)
    assert done.returncode != 0
    assert str(node.data_dir) in done.stderr
    node.wire().call("ListDeliveryStreams", {}).ok()


def test_delete_gives_the_disk_back(make_node):
    node = make_node(args=("--quotas", "unlimited"))
    wire = node.wire()
    wire.create("big").ok()
    wire.create("other").ok()
    active(wire, "big"), active(wire, "other")
    (node.data_dir / "buckets").mkdir(exist_ok=True)
    (node.data_dir / "buckets" / "bucket").write_text("a file where a directory should be: nothing can be delivered")
    wire.put("other", b"small").ok()
    for _ in range(80):
        wire.put_batch("big", [b"x" * 1_000_000] * 4).ok()
    wire.put("other", b"small").ok()
    full = node.disk_bytes()
    assert full > 300_000_000
    wire.delete("big").ok()
    gone(wire, "big")
    # All but the segment that is written to, and a spare.
    eventually(lambda: node.disk_bytes() < 150_000_000, 30, "disk comes back")
    (node.data_dir / "buckets" / "bucket").unlink()
    node.admin("/api/streams/123456789012/us-east-1/other/flush", "POST")
    eventually(lambda: b"".join(directory_objects(node, "bucket").values()) == b"smallsmall")


def test_delivery_gives_the_disk_back(make_node):
    node = make_node(args=("--quotas", "unlimited", "--max-interval", "1"))
    wire = node.wire()
    wire.create("s", CompressionFormat="GZIP").ok()
    active(wire, "s")
    for _ in range(50):
        wire.put_batch("s", [b"x" * 1_000_000] * 4).ok()
    drained(node, "s")
    eventually(lambda: node.disk_bytes() < 150_000_000, 30, "disk comes back")


def test_a_broken_destination_holds_back_no_other_stream_and_heals(make_node):
    node = make_node(args=("--quotas", "unlimited", "--max-interval", "1"))
    wire = node.wire()
    for name in ("bad", "good"):
        wire.create(name, BucketARN=f"arn:aws:s3:::{name}").ok()
        active(wire, name)
    blocker = node.data_dir / "buckets" / "bad"
    blocker.parent.mkdir(exist_ok=True)
    blocker.write_text("not a directory")
    wire.put("bad", b"kept").ok()
    wire.put("good", b"fine").ok()
    assert one_object(node, "good")[1] == b"fine"
    error = eventually(lambda: status_of(node, "bad").get("last_error"))
    assert error["code"] and error["message"]
    assert status_of(node, "bad")["backlog_records"] == 1
    wire.update("bad", BucketARN="arn:aws:s3:::healed").ok()
    assert one_object(node, "healed")[1] == b"kept"
    eventually(lambda: status_of(node, "bad").get("last_error") is None)  # committed a moment after it is there


def test_metrics(node, wire, stream):
    wire.put_batch(stream, [b"abc"] * 4).ok()
    drained(node, stream)
    status, body = node.admin("/metrics")
    assert status == 200
    text = body.decode()

    def value(metric: str) -> float:
        lines = [line for line in text.splitlines() if line.startswith(metric) and f'"{stream}"' in line]
        assert lines, f"no {metric} of {stream}"
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    assert value("IncomingRecords") == 4 and value("IncomingBytes") == 12
    assert value("DeliveryToS3_Records") == 4 and value("DeliveryToS3_Bytes") == 12


def test_health(node):
    assert node.admin("/livez")[0] == 200
    assert node.admin("/readyz")[0] == 200
