"""A producer that keeps books: which records were acknowledged, which may or may not have been stored.

As a program (`python compat/lib/producer.py --help`) it loads any node with numbered records for some seconds and
prints the books as JSON. `audit` compares them with what was delivered.
"""

import argparse
import collections
import dataclasses
import http.client
import json
import random
import sys
import threading
import time

from sigv4 import Signer
from wire import CONTENT_TYPE, TARGET, b64

LINE = "{producer:02d}-{number:09d} {padding}\n"
PADDINGS = (0, 10, 200, 2000)


class Producer(threading.Thread):
    """Sends batches of numbered lines over one connection after another, never the same line twice."""

    def __init__(
        self, number: int, host: str, port: int, signer: Signer | None, stream: str, seed: int, batch: int = 50,
        paddings: tuple[int, ...] = PADDINGS, timeout: float = 30, pause: float = 0,
    ):
        """Each line is padded by one of `paddings`; `pause` is between two requests."""
        super().__init__(daemon=True)
        self.paddings, self.timeout, self.pause = paddings, timeout, pause
        self.number, self.host, self.port, self.signer, self.stream = number, host, port, signer, stream
        self.chance = random.Random(f"{seed}/{number}")
        self.batch = batch
        self.next = 0
        self.acknowledged: set[str] = set()
        self.unknown: set[str] = set()
        self.refused: set[str] = set()
        self.errors: collections.Counter = collections.Counter()
        self.stopping = threading.Event()
        self.connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        while not self.stopping.is_set():
            lines = [self._line() for _ in range(self.chance.randint(1, self.batch))]
            self._send(lines)
            if self.pause:
                self.stopping.wait(self.pause)

    def _line(self) -> str:
        self.next += 1
        padding = "x" * self.chance.choice(self.paddings)
        return LINE.format(producer=self.number, number=self.next, padding=padding)

    def _send(self, lines: list[str]) -> None:
        keys = [line.split()[0] for line in lines]
        body = json.dumps(
            {"DeliveryStreamName": self.stream, "Records": [{"Data": b64(line.encode())} for line in lines]}
        ).encode()
        headers = {
            "Host": f"{self.host}:{self.port}",
            "Content-Type": CONTENT_TYPE,
            "X-Amz-Target": TARGET + "PutRecordBatch",
        }
        if self.signer:
            headers = self.signer.headers("POST", "/", headers, body)
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
                self.connection.connect()
        except OSError:
            self.connection = None
            self.refused.update(keys)  # no connection: not a byte was sent
            self.stopping.wait(0.005)
            return
        try:
            self.connection.request("POST", "/", body=body, headers=headers)
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.errors[type(error).__name__] += 1
            self.unknown.update(keys)
            self.connection.close()
            self.connection = None
            return
        if answer.status == 200:
            for key, entry in zip(keys, json.loads(text)["RequestResponses"]):
                (self.acknowledged if "RecordId" in entry else self.refused).add(key)
        elif answer.status < 500 or b"Slow down." in text:
            self.errors[text.decode()] += 1
            self.refused.update(keys)
        else:
            self.errors[text.decode()] += 1
            self.unknown.update(keys)

    def stop(self) -> None:
        self.stopping.set()
        self.join(60)
        assert not self.is_alive(), "the producer hangs"


class Load:
    """Producers that load some streams of a node at once, each with `each` connections; a context manager."""

    def __init__(self, node, streams, seed: int, each: int = 1, **options) -> None:
        signer = node.wire().signer
        self.producers = {
            stream: [Producer(i, "127.0.0.1", node.port, signer, stream, f"{seed}/{stream}", **options) for i in range(each)]
            for stream in streams
        }

    def all(self) -> list[Producer]:
        return [producer for producers in self.producers.values() for producer in producers]

    def __enter__(self) -> "Load":
        for producer in self.all():
            producer.start()
        return self

    def __exit__(self, *_exc) -> None:
        self.stop()

    def stop(self) -> None:
        for producer in self.all():
            producer.stopping.set()
        for producer in self.all():
            producer.stop()

    def acknowledged(self) -> int:
        return sum(len(producer.acknowledged) for producer in self.all())

    def errors(self) -> collections.Counter:
        return sum((producer.errors for producer in self.all()), collections.Counter())

    def audit(self, stream: str, delivered) -> "Audit":
        """As `audit`, of one of the streams."""
        return audit(self.producers[stream], delivered)


@dataclasses.dataclass
class Audit:
    """What was counted while everything was found to be in order."""

    acknowledged: int = 0
    unknown: int = 0
    delivered: int = 0

    def __add__(self, other: "Audit") -> "Audit":
        return Audit(*(a + b for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other))))

    def __str__(self) -> str:
        return (
            f"{self.acknowledged} records acknowledged: 0 lost, 0 twice; {self.unknown} more without an answer, "
            f"of which {self.delivered - self.acknowledged} were stored"
        )


def audit(producers: list[Producer], delivered) -> Audit:
    """Every acknowledged line is there exactly once, unknown ones at most once, and there is nothing else.

    `delivered` are the bodies of all objects, decoded; they are looked at one by one.
    """
    lines = collections.Counter()
    for body in delivered:
        for line in body.splitlines():
            key, padding = (line + b" ").split(b" ", 1)
            assert padding.strip(b" x") == b"", f"a damaged line: {line[:80]!r}"
            lines[key.decode()] += 1
    acknowledged = set().union(*(p.acknowledged for p in producers))
    possible = acknowledged.union(*(p.unknown for p in producers))
    lost = sorted(acknowledged - lines.keys())
    twice = sorted(key for key, count in lines.items() if count > 1)
    strange = sorted(lines.keys() - possible)
    assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged lines are lost: {lost[:10]}"
    assert not twice, f"{len(twice)} lines are there more than once: {twice[:10]}"
    assert not strange, f"{len(strange)} lines were never acknowledged: {strange[:10]}"
    return Audit(len(acknowledged), len(possible) - len(acknowledged), len(lines))


def main() -> int:
    parser = argparse.ArgumentParser(description="Load a node with numbered lines and print the books.")
    parser.add_argument("stream")
    parser.add_argument("--port", type=int, default=4573)
    parser.add_argument("--producers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    producers = [Producer(i, "127.0.0.1", args.port, None, args.stream, args.seed) for i in range(args.producers)]
    for producer in producers:
        producer.start()
    time.sleep(args.seconds)
    for producer in producers:
        producer.stop()
    books = {
        "acknowledged": sum(len(p.acknowledged) for p in producers),
        "unknown": sum(len(p.unknown) for p in producers),
        "refused": sum(len(p.refused) for p in producers),
        "errors": dict(sum((p.errors for p in producers), collections.Counter())),
    }
    print(json.dumps(books, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
