"""HTTP below the operations: SPEC §1.1–§1.5 steps 1–6."""

import base64
import gzip
import json
import re
import socket
import uuid

import pytest

from wire import Wire

XML_403 = (
    b"<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized</Message>\n"
    b"</AccessDeniedException>\n"
)
EXPOSE = "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date"


def check_identity_headers(answer):
    uuid.UUID(answer.headers["x-amzn-requestid"])
    assert len(base64.b64decode(answer.headers["x-amz-id-2"], validate=True)) == 72


def test_answers_are_compact_json_with_all_headers(wire):
    answer = wire.call("ListDeliveryStreams", {})
    assert answer.status == 200
    check_identity_headers(answer)
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.headers["date"])
    assert answer.body == json.dumps(answer.json, separators=(",", ":"), ensure_ascii=False).encode()
    assert "transfer-encoding" not in answer.headers


def test_request_ids_differ(wire):
    ids = {wire.call("ListDeliveryStreams", {}).headers["x-amzn-requestid"] for _ in range(5)}
    assert len(ids) == 5


def test_error_body_and_headers(wire):
    answer = wire.call("DescribeDeliveryStream", {"DeliveryStreamName": "nobody"})
    assert answer.status == 400
    check_identity_headers(answer)
    assert answer.headers["x-amzn-errortype"] == "ResourceNotFoundException"
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    assert list(answer.json) == ["__type", "message"]
    assert answer.body.startswith(b'{"__type":"ResourceNotFoundException","message":"Firehose nobody ')


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "PATCH"])
def test_only_post(wire, method):
    answer = wire.call("ListDeliveryStreams", {}, method=method)
    assert answer.status == 403
    assert "content-type" not in answer.headers
    if method != "HEAD":
        assert answer.body == XML_403


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("Firehose_20150804.ListDeliveryStreams", b'{"__type":"SerializationException"}'),
        ("Firehose_20150804.Nothing", b'{"__type":"UnknownOperationException"}'),
        (None, b'{"__type":"UnknownOperationException"}'),
    ],
)
def test_an_empty_body(wire, target, body):
    answer = wire.call(None, b"", target=target)
    assert (answer.status, answer.body) == (400, body)


@pytest.mark.parametrize(
    ("target", "content_type", "body", "status", "expected"),
    [
        ("Firehose_20150804.ListDeliveryStreams", "text/plain", b"{}", 404, b"<UnknownOperationException/>\n"),
        ("Firehose_20150804.ListDeliveryStreams", "application/x-amz-cbor-1.1", b"\xa0", 404, b"<UnknownOperationException/>\n"),
        ("Firehose_20150804.ListDeliveryStreams", "application/x-amz-json-1.0", b"{}", 404, b"<UnknownOperationException/>\n"),
        ("Firehose_20150804.ListDeliveryStreams", None, b"{}", 404, b"<UnknownOperationException/>\n"),
        (None, "text/plain", b"{}", 403, XML_403),
        (
            "Firehose_20150804.ListDeliveryStreams",
            "application/json",
            b"{}",
            404,
            b'{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}',
        ),
        (
            "Firehose_20150804.ListDeliveryStreams",
            "application/json",
            b"nonsense",
            400,
            b'{"Output":{"__type":"com.amazon.coral.service#SerializationException"},"Version":"1.0"}',
        ),
    ],
)
def test_content_types(wire, target, content_type, body, status, expected):
    answer = wire.call(None, body, target=target, content_type=content_type)
    assert (answer.status, answer.body) == (status, expected)


@pytest.mark.parametrize("parameters", ["; charset=utf-8", ";charset=UTF-8", " ; x=y"])
def test_content_type_parameters_are_ignored(wire, parameters):
    wire.call("ListDeliveryStreams", {}, content_type="application/x-amz-json-1.1" + parameters).ok()


@pytest.mark.parametrize("body", [b"nonsense", b"{", b'"text"', b"1", b"null", b'{"a":}', b"\xff\xfe"])
def test_a_body_that_is_no_object(wire, body):
    answer = wire.call("ListDeliveryStreams", body)
    assert (answer.status, answer.body) == (400, b'{"__type":"SerializationException"}')
    assert answer.headers["x-amzn-errortype"] == "SerializationException"


@pytest.mark.parametrize(
    "target", [None, "", "Firehose_20150804", "Firehose_20150804.Nothing", "Kinesis_20131202.PutRecord", "Firehose_20150804.putRecord"]
)
def test_unknown_operations(wire, target):
    answer = wire.call(None, {}, target=target)
    assert (answer.status, answer.body) == (400, b'{"__type":"UnknownOperationException"}')
    assert len(answer.body) == 38


def test_the_body_is_judged_before_the_target_and_the_target_before_the_signature(node):
    unsigned = Wire("127.0.0.1", node.port, None)
    assert unsigned.call(None, b"nonsense", target="Firehose_20150804.Nothing").error == "SerializationException"
    assert unsigned.call(None, {}, target="Firehose_20150804.Nothing").error == "UnknownOperationException"
    # …and the signature before the types of members.
    assert unsigned.call("PutRecord", {"DeliveryStreamName": 1}).error == "MissingAuthenticationTokenException"


def test_the_path_is_ignored(wire):
    wire.call("ListDeliveryStreams", {}, path="/some/where").ok()


# --- CORS -----------------------------------------------------------------------------------------------------------


def test_preflight(node):
    answer = Wire("127.0.0.1", node.port, None).send(
        "OPTIONS",
        "/",
        {
            "Host": "x",
            "Origin": "https://example.org",
            "Access-Control-Request-Headers": "authorization,x-amz-target",
            "Access-Control-Request-Method": "POST",
        },
        b"",
    )
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "authorization,x-amz-target"
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-max-age"] == "172800"
    assert "x-amz-id-2" not in answer.headers
    uuid.UUID(answer.headers["x-amzn-requestid"])


@pytest.mark.parametrize("operation", ["ListDeliveryStreams", "Nothing"])
def test_answers_to_a_browser(wire, operation):
    answer = wire.call(operation, {}, headers={"Origin": "https://example.org"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-expose-headers"] == EXPOSE


def test_no_cors_headers_without_an_origin(wire):
    assert "access-control-allow-origin" not in wire.call("ListDeliveryStreams", {}).headers


# --- bodies and connections -------------------------------------------------------------------------------------------


def raw_request(wire, body: bytes, extra: dict[str, str], after: dict[str, str]) -> bytes:
    """Head of a signed ListDeliveryStreams with `extra` signed and `after` unsigned headers, ready for a socket."""
    headers = {
        "Host": f"{wire.host}:{wire.port}",
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "Firehose_20150804.ListDeliveryStreams",
        **extra,
    }
    headers = {**wire.signer.headers("POST", "/", headers, body), **after}
    return b"POST / HTTP/1.1\r\n" + b"".join(f"{k}: {v}\r\n".encode() for k, v in headers.items()) + b"\r\n"


def read_answer(stream) -> tuple[int, dict[str, str], bytes]:
    status = int(stream.readline().split()[1])
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return status, headers, stream.read(int(headers.get("content-length", "0")))


def connect(node):
    connection = socket.create_connection(("127.0.0.1", node.port), timeout=10)
    return connection, connection.makefile("rb")


def test_expect_100_continue(node, wire):
    body = b'{"Limit":1}'
    head = raw_request(wire, body, {}, {"Content-Length": str(len(body)), "Expect": "100-continue"})
    connection, stream = connect(node)
    with connection:
        connection.sendall(head)
        status, _, _ = read_answer(stream)
        assert status == 100, "the body is not sent before the node asks for it"
        connection.sendall(body)
        assert read_answer(stream)[0] == 200


def test_keep_alive_and_pipelining(node, wire):
    body = b"{}"
    request = raw_request(wire, body, {}, {"Content-Length": str(len(body))}) + body
    connection, stream = connect(node)
    with connection:
        for _ in range(3):
            connection.sendall(request)
            status, headers, _ = read_answer(stream)
            assert status == 200 and headers.get("connection", "keep-alive").lower() != "close"
        connection.sendall(request * 3)
        assert [read_answer(stream)[0] for _ in range(3)] == [200] * 3


def test_errors_keep_the_connection_too(node, wire):
    """A client that is throttled or wrong must not pay for a new connection each time."""
    connection, stream = connect(node)
    with connection:
        bad = raw_request(wire, b"[1]x", {}, {"Content-Length": "4"}) + b"[1]x"
        connection.sendall(bad)
        assert read_answer(stream)[0] == 400
        good = raw_request(wire, b"{}", {}, {"Content-Length": "2"}) + b"{}"
        connection.sendall(good)
        assert read_answer(stream)[0] == 200


def test_chunked_bodies(node, wire):
    body = b'{"Limit":10}'
    head = raw_request(wire, body, {}, {"Transfer-Encoding": "chunked"})
    connection, stream = connect(node)
    with connection:
        connection.sendall(head + b"5\r\n" + body[:5] + b"\r\n")
        connection.sendall(b"%x\r\n" % len(body[5:]) + body[5:] + b"\r\n0\r\n\r\n")
        assert read_answer(stream)[0] == 200


def test_a_body_in_small_pieces(node, wire):
    body = b"{}"
    request = raw_request(wire, body, {}, {"Content-Length": "2"}) + body
    connection, stream = connect(node)
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(0, len(request), 37):
            connection.sendall(request[i : i + 37])
        assert read_answer(stream)[0] == 200


def test_compressed_bodies_are_refused(wire):
    body = gzip.compress(b"{}")
    answer = wire.call("ListDeliveryStreams", body, headers={"Content-Encoding": "gzip"})
    assert (answer.status, answer.error) == (400, "SerializationException")


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_8_mib(node, wire, declared):
    """A client that sends all of it gets its answer, not a broken connection."""
    size = 8 * 1024 * 1024 + 1
    length = {"Content-Length": str(size)} if declared else {"Transfer-Encoding": "chunked"}
    head = raw_request(wire, b"", {}, length)
    connection, stream = connect(node)
    with connection:
        connection.sendall(head)
        connection.sendall(b" " * size if declared else b"%x\r\n%s\r\n0\r\n\r\n" % (size, b" " * size))
        status, _, body = read_answer(stream)
        assert (status, body) == (413, b'{"__type":"RequestEntityTooLargeException"}')


def test_a_body_that_is_announced_as_huge_is_refused_before_it_is_sent(node, wire):
    connection, stream = connect(node)
    with connection:
        connection.sendall(raw_request(wire, b"", {}, {"Content-Length": str(1 << 40)}))
        status, headers, body = read_answer(stream)
        assert (status, body) == (413, b'{"__type":"RequestEntityTooLargeException"}')
        assert headers["connection"] == "close"


def test_garbage_does_no_harm(node, wire):
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"):
        connection, stream = connect(node)
        with connection:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            stream.read()
    wire.call("ListDeliveryStreams", {}).ok()


def test_endless_headers_are_cut_off(node, wire):
    connection, stream = connect(node)
    with connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")
        try:
            for i in range(40_000):
                connection.sendall(b"X-Header-%d: %s\r\n" % (i, b"v" * 100))
            answer = stream.readline()
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
        assert answer == b"" or answer.split()[1] in (b"431", b"400")
    wire.call("ListDeliveryStreams", {}).ok()
