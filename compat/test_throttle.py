"""Throughput quotas: SPEC §2.9, §2.7, §2.8."""

import time

import pytest

from node import eventually
from streams import active, directory_objects, drained

SLOW = {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."}


def limited(make_node, **quotas):
    lines = "\n".join(f"{key} = {value!r}" for key, value in quotas.items())
    node = make_node(config=lines, args=("--max-interval", "1"))
    wire = node.wire()
    wire.create("s").ok()
    active(wire, "s")
    return node, wire


def slow_down(answer):
    assert (answer.status, answer.json) == (503, {"__type": "ServiceUnavailableException", "message": "Slow down."})
    assert answer.headers["x-amzn-errortype"] == "ServiceUnavailableException"


def test_part_of_a_batch_fits(make_node):
    node, wire = limited(make_node, records_per_second=10)
    records = [b"%03d" % i for i in range(100)]
    answer = wire.put_batch("s", records).ok()
    entries = answer["RequestResponses"]
    assert len(entries) == 100
    taken = [records[i] for i, entry in enumerate(entries) if "RecordId" in entry]
    assert 1 <= len(taken) <= 20
    assert answer["FailedPutCount"] == 100 - len(taken)
    assert all(entry == SLOW for entry in entries if "RecordId" not in entry)
    assert all(list(entry) == ["RecordId"] for entry in entries if "RecordId" in entry)
    drained(node, "s")
    delivered = b"".join(directory_objects(node, "bucket").values())
    assert delivered == b"".join(taken), "what failed is not stored, what was acknowledged is"


def test_nothing_fits_then_it_does_again(make_node):
    _, wire = limited(make_node, records_per_second=10)
    wire.put_batch("s", [b"x"] * 100).ok()
    slow_down(wire.put("s", b"x"))
    slow_down(wire.put_batch("s", [b"x"] * 3))
    eventually(lambda: wire.put("s", b"x").status == 200, 5, "the bucket fills up again")


def test_calls_are_counted_for_both_operations(make_node):
    _, wire = limited(make_node, calls_per_second=2)
    answers = [wire.put("s", b"x") if i % 2 else wire.put_batch("s", [b"x"]) for i in range(6)]
    statuses = [answer.status for answer in answers]
    assert statuses[:2] == [200, 200] and 503 in statuses
    slow_down(next(answer for answer in answers if answer.status == 503))


def test_bytes_are_counted(make_node):
    _, wire = limited(make_node, bytes_per_second=1_000_000)
    entries = wire.put_batch("s", [b"x" * 400_000] * 5).ok()["RequestResponses"]
    assert 1 <= sum("RecordId" in entry for entry in entries) <= 3


def test_the_default_is_that_of_2015(make_node):
    node, wire = limited(make_node)
    started, taken = time.monotonic(), 0
    while time.monotonic() - started < 3:
        answer = wire.put_batch("s", [b"x"] * 500)
        if answer.status == 200:
            taken += 500 - answer.json["FailedPutCount"]
        else:
            slow_down(answer)
    rate = taken / (time.monotonic() - started)
    assert 4_000 <= rate <= 7_500, "5,000 records a second, and at most one second's worth at once"


def test_overrides_for_streams_by_name(make_node):
    node = make_node(
        config='calls_per_second = 1\n[[stream_quotas]]\nstream = "fast-*"\ncalls_per_second = 0\n', args=("--max-interval", "1")
    )
    wire = node.wire()
    for name in ("slow", "fast-1"):
        wire.create(name).ok()
        active(wire, name)
    assert {wire.put("fast-1", b"x").status for _ in range(20)} == {200}
    assert 503 in {wire.put("slow", b"x").status for _ in range(3)}


def test_streams_have_quotas_of_their_own(make_node):
    _, wire = limited(make_node, calls_per_second=1)
    wire.create("t").ok()
    active(wire, "t")
    eventually(lambda: wire.put("s", b"x").status == 503, 5)
    wire.put("t", b"x").ok()


@pytest.mark.slow
def test_boto3_with_its_retries_gets_everything_in(make_node):
    """A producer that follows AWS's advice (send again what failed) ends with every record, once."""
    node, wire = limited(make_node, records_per_second=300)
    client = node.boto(retries={"mode": "standard", "max_attempts": 10})
    left = [b"%04d\n" % i for i in range(1500)]
    while left:
        batch, rest = left[:500], left[500:]
        answer = client.put_record_batch(DeliveryStreamName="s", Records=[{"Data": data} for data in batch])
        failed = [data for data, entry in zip(batch, answer["RequestResponses"]) if entry.get("ErrorCode")]
        assert len(failed) == answer["FailedPutCount"]
        left = failed + rest
    drained(node, "s")
    lines = b"".join(directory_objects(node, "bucket").values()).splitlines()
    assert sorted(lines) == [b"%04d" % i for i in range(1500)]
