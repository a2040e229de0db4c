"""Clients that take and do not give: idle, slow, endless, half closed, deaf; and a node that is short of file descriptors.

What a node spends on its clients is bounded (`ServerLimits`, docs/operations.md), and others are served all the while.
"""

import json
import pathlib
import resource
import socket
import threading
import time

import pytest

from node import Node, eventually
from producer import Load
from streams import active, bodies_below, drained
from test_crash import seed_of, tell
from test_http import raw_request, read_answer
from wire import CONTENT_TYPE, TARGET, b64

QUICK = ("--quotas", "unlimited", "--max-interval", "1")
IDLE = 10_000
# What the limits say: api/limits.rs.
HEAD_SECONDS, BODY_GRACE_SECONDS, WRITE_STALL_SECONDS = 75, 20, 60


@pytest.fixture
def many_files():
    """This process may open as many files as the tests need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = IDLE + 1000
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, want), max(hard, want)))
    except (ValueError, OSError) as error:
        pytest.skip(f"NO {IDLE} CONNECTIONS WERE MADE: this process may open {hard} files: {error}")
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def dial(node: Node, seconds: float = 20) -> socket.socket:
    return socket.create_connection(("127.0.0.1", node.port), timeout=seconds)


def crowd(port: int, count: int) -> list[socket.socket]:
    """So many that ask for a connection and do not wait until they have it: the kernel's queue takes only so many."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", port))
    return sockets


def put_request(node: Node, stream: str, data: bytes, extra: dict | None = None) -> bytes:
    """A whole signed PutRecord, ready for a socket."""
    body = json.dumps({"DeliveryStreamName": stream, "Record": {"Data": b64(data)}}).encode()
    headers = {"Host": f"127.0.0.1:{node.port}", "Content-Type": CONTENT_TYPE, "X-Amz-Target": TARGET + "PutRecord"}
    headers = node.wire().signer.headers("POST", "/", headers, body)
    headers = {**headers, "Content-Length": str(len(body)), **(extra or {})}
    return b"POST / HTTP/1.1\r\n" + b"".join(f"{k}: {v}\r\n".encode() for k, v in headers.items()) + b"\r\n" + body


def answers(node: Node, seconds: float = 20) -> bool:
    """A new connection is served within `seconds`."""
    with dial(node, seconds) as connection:
        connection.sendall(raw_request(node.wire(), b"{}", {}, {"Content-Length": "2"}) + b"{}")
        return read_answer(connection.makefile("rb"))[0] == 200


def create(node: Node, name: str = "s") -> None:
    wire = node.wire()
    wire.create(name, BucketARN=f"arn:aws:s3:::{name}").ok()
    active(wire, name)


def objects(node: Node, name: str = "s"):
    return bodies_below(node.data_dir / "buckets" / name)


@pytest.mark.slow
def test_ten_thousand_idle_connections(make_node, many_files, request):
    """Each costs little; those beyond the limit wait in the listen queue and are served when there is room."""
    node = make_node(args=QUICK, open_files=IDLE + 2000)
    create(node)
    node.wire().put("s", b"warm").ok()
    before, began = node.memory_bytes(), time.monotonic()
    connections = []
    try:
        # Half of them silent, half with the beginning of a request.
        for number in range(IDLE):
            connection = dial(node)
            if number % 2:
                connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")
            connections.append(connection)
        took = time.monotonic() - began
        eventually(lambda: node.files() >= IDLE, 20, "all are accepted")
        each = (node.memory_bytes() - before) / IDLE
        assert not took > 60
        # The node is full: the next one waits, and so does its request, until somebody goes.
        waiting = dial(node, 1)
        waiting.sendall(raw_request(node.wire(), b"{}", {}, {"Content-Length": "2"}) + b"{}")
        with pytest.raises(TimeoutError):
            waiting.recv(1)
        assert node.ready(), "health has a port of its own"
        connections.pop().close()
        waiting.settimeout(20)
        assert read_answer(waiting.makefile("rb"))[0] == 200
        waiting.close()
        for connection in connections[: IDLE // 100]:
            connection.close()
        with Load(node, ["s"], 1, each=3) as load:
            time.sleep(2)
        assert load.acknowledged() > 100 and not load.errors()
    finally:
        for connection in connections:
            connection.close()
    drained(node, "s")
    load.audit("s", (body.replace(b"warm", b"") for body in objects(node)))
    eventually(lambda: node.files() < 200, 20, "the connections are given back")
    tell(request, f"{IDLE} connections in {took:.1f} s, {each / 1024:.1f} KiB each; {node.memory_bytes() >> 20} MiB after")
    assert each < 64 << 10


@pytest.mark.slow
def test_slow_endless_and_deaf_clients(make_node, many_files, request):
    """Each kind is ended when its time is over, in bounded memory, and a producer beside them notices nothing."""
    node = make_node(args=QUICK)
    create(node)
    began = time.monotonic()
    ended: dict[str, list[float]] = {}
    stop = threading.Event()

    def trickle(kind: str, first: bytes, drop: bytes, pause: float) -> None:
        """Sends `first`, then `drop` again and again until the node ends the connection."""
        try:
            with dial(node, 200) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                opened = time.monotonic()
                connection.sendall(first)
                connection.settimeout(pause)
                while not stop.is_set():
                    try:
                        if drop:
                            connection.sendall(drop)
                        if not connection.recv(4096):
                            break
                        # An answer; the end of the connection follows it.
                    except TimeoutError:
                        pass
                else:
                    return
        except OSError:
            pass
        ended.setdefault(kind, []).append(time.monotonic() - opened)

    def deaf() -> None:
        """Asks and asks, and never reads an answer."""
        one = raw_request(node.wire(), b"{}", {}, {"Content-Length": "2"}) + b"{}"
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", node.port))
            opened = time.monotonic()
            connection.settimeout(1)
            while not stop.is_set():
                try:
                    connection.send(one * 500)
                except TimeoutError:
                    pass
                except OSError:
                    ended.setdefault("deaf", []).append(time.monotonic() - opened)
                    return

    wire = node.wire()
    slow_body = raw_request(wire, b"", {}, {"Content-Length": "4000000"})
    chunked = raw_request(wire, b"", {}, {"Transfer-Encoding": "chunked"})
    chunk = b"%x\r\n%s\r\n" % (65536, b" " * 65536)
    kinds = [
        ("slow head", b"POST / HTTP/1.1\r\n", b"X-A: b\r\n", 1.0, 20),
        ("slow body", slow_body, b" ", 0.5, 20),
        ("endless body", chunked, chunk, 0.01, 5),
        ("silence", b"", b"", 5.0, 20),
    ]
    threads = [threading.Thread(target=deaf, daemon=True) for _ in range(4)]
    for kind, first, drop, pause, count in kinds:
        threads += [threading.Thread(target=trickle, args=(kind, first, drop, pause), daemon=True) for _ in range(count)]
    before = node.memory_bytes()
    for thread in threads:
        thread.start()
    with Load(node, ["s"], 1, each=2, pause=0.05) as load:
        try:
            eventually(lambda: not any(thread.is_alive() for thread in threads), HEAD_SECONDS + 45, "all are ended")
        finally:
            stop.set()
    peak = node.peak_memory_bytes()
    longest = {kind: max(times) for kind, times in ended.items()}
    tell(request, f"ended after at most {longest}; {(peak - before) >> 20} MiB more at the peak for {len(threads)} connections")
    limits = {"slow head": HEAD_SECONDS, "silence": HEAD_SECONDS, "slow body": BODY_GRACE_SECONDS}
    for kind, limit in limits.items():
        assert longest[kind] < limit + 15, kind
    # It is read as fast as it comes, until it is three times too large.
    assert longest["endless body"] < 90
    assert WRITE_STALL_SECONDS - 5 < longest["deaf"] < WRITE_STALL_SECONDS + 45
    assert peak - before < 128 << 20
    assert load.acknowledged() > 200 and not load.errors(), "nobody else noticed"
    assert time.monotonic() - began < 160
    drained(node, "s")
    load.audit("s", objects(node))
    eventually(lambda: node.files() < 100, 20, "all connections are given back")


def test_a_client_that_ends_its_side_is_answered(make_node):
    """Half-closed sockets: `shutdown(SHUT_WR)` after the request says only that no other one follows."""
    node = make_node(args=QUICK)
    create(node)
    for number in range(20):
        with dial(node) as connection:
            connection.sendall(put_request(node, "s", b"half %02d\n" % number))
            connection.shutdown(socket.SHUT_WR)
            stream = connection.makefile("rb")
            status, _, body = read_answer(stream)
            assert status == 200 and b"RecordId" in body
            assert stream.read() == b"", "and then the connection ends"
    drained(node, "s")
    assert sorted(b"".join(objects(node)).splitlines()) == [b"half %02d" % number for number in range(20)]
    # In the middle of a request there is nothing to answer, and nothing is stored.
    whole = put_request(node, "s", b"never\n")
    for cut in (10, len(whole) // 2, len(whole) - 1):
        with dial(node) as connection:
            connection.sendall(whole[:cut])
            connection.shutdown(socket.SHUT_WR)
            assert b"RecordId" not in connection.makefile("rb").read()
    assert answers(node)
    eventually(lambda: node.files() < 60, 20)
    assert b"never" not in b"".join(objects(node))


def test_pipelined_puts_are_answered_in_order(make_node):
    node = make_node(args=QUICK)
    create(node)
    count = 200
    with dial(node) as connection:
        sender = threading.Thread(
            target=lambda: connection.sendall(b"".join(put_request(node, "s", b"%03d\n" % i) for i in range(count)))
        )
        sender.start()
        stream = connection.makefile("rb")
        ids = [json.loads(read_answer(stream)[2])["RecordId"] for _ in range(count)]
        sender.join()
    assert len(set(ids)) == count
    drained(node, "s")
    assert b"".join(objects(node)).splitlines() == [b"%03d" % i for i in range(count)]


def test_clients_that_vanish(make_node, request):
    """Reset in the middle of requests and answers, thousands of times: no descriptor and no memory stays behind."""
    node = make_node(args=QUICK)
    create(node)
    request_bytes = put_request(node, "s", b"v" * 2000 + b"\n")
    answers(node)
    files, before = node.files(), node.memory_bytes()
    for number in range(3000):
        connection = dial(node)
        # On close: a reset instead of a polite end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.sendall(request_bytes[: 1 + number % len(request_bytes)])
        connection.close()
    eventually(lambda: node.files() <= files + 5, 20)
    assert node.memory_bytes() - before < 32 << 20
    assert answers(node)


@pytest.mark.slow
def test_out_of_file_descriptors(make_node, many_files, request):
    """With 256 of them and 1,000 clients: log and delivery keep theirs, and who waits is served when others go."""
    node = make_node(args=(*QUICK, "--max-log-bytes", "8MiB"), open_files=256)
    create(node)
    others = []
    try:
        with Load(node, ["s"], seed_of(request, 0), each=2, paddings=(10_000,), pause=0.01) as load:
            eventually(lambda: load.acknowledged() > 10)
            others = crowd(node.port, 1000)
            before = load.acknowledged()
            most = 0
            until = time.monotonic() + 8
            while time.monotonic() < until:
                most = max(most, node.files())
                time.sleep(0.05)
            assert load.acknowledged() > before + 500, "who is connected is served; segments are begun and sealed"
            assert node.alive() and node.ready()
            assert most < 256
            with pytest.raises((TimeoutError, IndexError)):
                answers(node, 1)
            for connection in others:
                connection.close()
            assert answers(node)
        # The log may be full for a moment; nothing else goes wrong.
        assert all("ServiceUnavailableException" in error for error in load.errors()), load.errors()
    finally:
        for connection in others:
            connection.close()
    drained(node, "s")
    assert "Too many open files" not in pathlib.Path(node.log).read_text()
    total = load.audit("s", objects(node))
    tell(request, f"{total}; at most {most} of 256 descriptors")


@pytest.mark.slow
def test_the_admin_port_cannot_take_all_descriptors(make_node, many_files, request):
    node = make_node(args=QUICK, open_files=256)
    create(node)
    others = crowd(node.admin_port, 400)
    try:
        eventually(lambda: node.files() > 30, 20, "some are accepted")
        for i in range(20):
            node.wire().put("s", b"%02d\n" % i).ok()
        eventually(lambda: b"".join(objects(node)).count(b"\n") == 20, 30, "delivery goes on")
        assert node.files() < 256
    finally:
        for connection in others:
            connection.close()
    eventually(node.ready, 20)
    drained(node, "s")
    assert "Too many open files" not in pathlib.Path(node.log).read_text()


def test_bodies_that_go_on_and_on(make_node):
    """8 MiB and not a byte more, announced or not; and what many of them hold together is bounded."""
    node = make_node(args=QUICK)
    create(node)
    before = node.memory_bytes()
    head = raw_request(node.wire(), b"", {}, {"Transfer-Encoding": "chunked"})
    chunk = b"%x\r\n%s\r\n" % (1 << 20, b" " * (1 << 20))

    def endless(seen: list) -> None:
        with dial(node, 60) as connection:
            try:
                connection.sendall(head)
                for _ in range(64):
                    connection.sendall(chunk)
            except OSError:
                pass
            try:
                seen.append(connection.recv(4096).split(b"\r\n", 1)[0])
            except OSError:
                seen.append(b"reset")

    seen: list[bytes] = []
    threads = [threading.Thread(target=endless, args=(seen,)) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
        assert not thread.is_alive()
    assert set(seen) <= {b"HTTP/1.1 413 Payload Too Large", b"reset", b"HTTP/1.1 503 Service Unavailable"}, seen
    assert node.peak_memory_bytes() - before < 400 << 20
    assert answers(node)


def test_memory_for_each_connection_at_worst(make_node, many_files, request):
    """The largest head that is taken, unfinished, on many connections at once."""
    node = make_node(args=QUICK)
    answers(node)
    before, count = node.memory_bytes(), 500
    head = b"POST / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%02d: %s\r\n" % (i, b"v" * 600) for i in range(98))
    connections = []
    try:
        for _ in range(count):
            connection = dial(node)
            connection.sendall(head[: 60 << 10])
            connections.append(connection)
        time.sleep(1)
        each = (node.memory_bytes() - before) / count
        assert answers(node)
    finally:
        for connection in connections:
            connection.close()
    tell(request, f"{each / 1024:.0f} KiB for each connection with an unfinished head of 60 KiB")
    assert each < 160 << 10
