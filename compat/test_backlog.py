"""A dead destination and a great backlog: memory stays small, restarts stay quick, others deliver, all of it arrives."""

import http.client
import json
import os
import threading
import time

import pytest

from keys import MAIN_KEY
from sigv4 import Signer
from streams import active, directory_objects, drained, status_of
from test_crash import RESTART_SECONDS
from wire import CONTENT_TYPE, TARGET, b64

RECORDS = int(os.environ.get("HYDRANT_BACKLOG", "1000000"))  # the promise is for 10 million
BATCH = 500
SENDERS = 2
MEMORY_BYTES = 200_000_000


def send(node, sender: int, batches: int, failures: list) -> None:
    signer = Signer(MAIN_KEY.access_key, MAIN_KEY.secret_key)
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=60)
    for batch in range(batches):
        records = [{"Data": b64(b"%02d-%08d-%03d " % (sender, batch, i) + b"x" * 233 + b"\n")} for i in range(BATCH)]
        body = json.dumps({"DeliveryStreamName": "dead", "Records": records}).encode()
        headers = {"Host": "h", "Content-Type": CONTENT_TYPE, "X-Amz-Target": TARGET + "PutRecordBatch"}
        connection.request("POST", "/", body=body, headers=signer.headers("POST", "/", headers, body))
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200 or b'"FailedPutCount":0' not in text:
            failures.append((answer.status, text[:200]))
            return


@pytest.mark.slow
def test_a_great_backlog(make_node, request):
    node = make_node(args=("--quotas", "unlimited", "--max-interval", "1"))
    wire = node.wire()
    for name in ("dead", "alive"):
        wire.create(name, BucketARN=f"arn:aws:s3:::{name}").ok()
        active(wire, name)
    blocker = node.data_dir / "buckets" / "dead"
    blocker.parent.mkdir(exist_ok=True)
    blocker.write_text("a file where the bucket's directory should be")

    batches, failures, peak = RECORDS // BATCH // SENDERS, [], 0
    senders = [threading.Thread(target=send, args=(node, i, batches, failures)) for i in range(SENDERS)]
    for sender in senders:
        sender.start()
    while any(sender.is_alive() for sender in senders):
        peak = max(peak, node.memory_bytes())
        time.sleep(0.1)
    assert not failures
    sent = batches * BATCH * SENDERS
    assert status_of(node, "dead")["backlog_records"] == sent

    node.kill()
    node.start()
    restart = node.started_in
    wire.put("alive", b"as before").ok()
    drained(node, "alive", 10)
    assert directory_objects(node, "alive")
    peak = max(peak, node.memory_bytes())
    assert status_of(node, "dead")["backlog_records"] == sent

    blocker.unlink()
    wire.update("dead", Prefix="back/").ok()  # tried again at once, not after the back-off
    deadline = time.monotonic() + 60 + sent / 20_000
    while status_of(node, "dead")["backlog_records"]:
        assert time.monotonic() < deadline, status_of(node, "dead")
        peak = max(peak, node.memory_bytes())
        time.sleep(0.1)
    seen = set()
    for body in directory_objects(node, "dead").values():
        lines = [line[:15] for line in body.splitlines()]
        before = len(seen)
        seen.update(lines)
        assert len(seen) == before + len(lines), "a record arrived twice"
    assert len(seen) == sent
    numbers = f"{sent} records, peak memory {peak / 1e6:.0f} MB, restart {restart:.2f} s"
    request.node.add_report_section("call", "numbers", numbers)
    print(numbers)
    assert peak < MEMORY_BYTES, numbers
    assert restart < RESTART_SECONDS, numbers
