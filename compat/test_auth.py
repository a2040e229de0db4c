"""Who may come in: SPEC §1.7."""

import datetime
import re

import pytest

from keys import EXPIRED_KEY, OTHER_ACCOUNT_KEY, READER_KEY, TOKEN, TOKEN_KEY
from node import ACCOUNT, MAIN_KEY
from sigv4 import Signer
from streams import active
from wire import Wire, record

MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
    "signing method. Consult the service documentation for details."
)


def now(minutes: float = 0) -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)


def refused(answer, name: str, message: str | None = None):
    assert (answer.status, answer.error) == (400, name), answer.body
    assert answer.headers["x-amzn-errortype"] == name
    if message is not None:
        assert answer.message == message


# --- good ways to sign ------------------------------------------------------------------------------------------------


def test_java_v1_style_signed_headers(node):
    """The AWS SDK for Java signs everything it sends, content-length and user-agent included, with a session token."""
    body = b'{"Limit":3}'
    wire = node.wire(key=TOKEN_KEY, token=TOKEN)
    answer = wire.call(
        "ListDeliveryStreams",
        body,
        headers={
            "amz-sdk-invocation-id": "7a1c0f0a-3f5e-8a4c-0000-000000000000",
            "amz-sdk-retry": "0/0/500",
            "Content-Length": str(len(body)),
            "User-Agent": "aws-sdk-java/1.11.0 Linux/4.4  OpenJDK_64-Bit_Server_VM/25",
        },
    )
    assert answer.status == 200, answer.body


def test_fluent_bit_style_signed_headers(node):
    body = b"{}"
    headers = {"Content-Length": "2", "User-Agent": "aws-fluent-bit-plugin"}
    node.wire(key=TOKEN_KEY, token=TOKEN).call("ListDeliveryStreams", body, headers=headers).ok()


@pytest.mark.parametrize("signed", [["host", "x-amz-date"], ["host", "x-amz-date", "x-amz-target"]])
def test_few_signed_headers(wire, signed):
    wire.call("ListDeliveryStreams", {}, signed=signed).ok()


def test_payload_hash_header(wire):
    """The JavaScript SDK sends and signs x-amz-content-sha256."""
    wire.call("ListDeliveryStreams", {}, send_payload_hash=True).ok()


def test_a_wrong_payload_hash_header(wire):
    for value in ("UNSIGNED-PAYLOAD", "0" * 64):
        answer = wire.call("ListDeliveryStreams", {}, headers={"X-Amz-Content-Sha256": value})
        refused(answer, "InvalidSignatureException")


@pytest.mark.parametrize("send_payload_hash", [False, True])
def test_another_body_than_the_signed_one(node, send_payload_hash):
    """The header may hold what was signed: what counts is what arrived."""
    wire = node.wire()
    headers = {"Host": "h", "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Firehose_20150804.ListDeliveryStreams"}
    headers = wire.signer.headers("POST", "/", headers, b'{"Limit":1}', send_payload_hash=send_payload_hash)
    assert wire.send("POST", "/", headers, b'{"Limit":1}').status == 200
    refused(wire.send("POST", "/", headers, b'{"Limit":2}'), "InvalidSignatureException")


def test_inner_spaces_of_header_values_are_collapsed(wire):
    wire.call("ListDeliveryStreams", {}, headers={"User-Agent": "  a    b   c  "}).ok()


def test_a_host_without_port_and_with_another_name(node, wire):
    for host in ("firehose.us-east-1.amazonaws.com", "firehose.us-east-1.amazonaws.com:443", "localhost"):
        wire.call("ListDeliveryStreams", {}, headers={"Host": host}).ok()


def test_the_date_header_instead_of_x_amz_date(wire):
    when = now()
    date = when.strftime("%a, %d %b %Y %H:%M:%S GMT")
    wire.call("ListDeliveryStreams", {}, headers={"Date": date}, when=when.replace(microsecond=0)).ok()


@pytest.mark.parametrize("separator", [",", ", ", " , "])
def test_separators_in_the_authorization_header(node, separator):
    wire = node.wire()
    body = b"{}"
    headers = {"Host": "h", "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Firehose_20150804.ListDeliveryStreams"}
    headers = wire.signer.headers("POST", "/", headers, body)
    headers["Authorization"] = headers["Authorization"].replace(", ", separator)
    assert wire.send("POST", "/", headers, body).status == 200


def test_regions_are_whatever_the_client_says(node):
    for region in ("us-east-1", "eu-central-2", "cn-north-1", "us-gov-west-1", "local"):
        node.wire(region).call("ListDeliveryStreams", {}).ok()


# --- refusals -------------------------------------------------------------------------------------------------------------


def test_no_signature(node):
    answer = Wire("127.0.0.1", node.port, None).call("ListDeliveryStreams", {})
    refused(answer, "MissingAuthenticationTokenException", "Missing Authentication Token")


def test_header_and_query_signature(wire):
    answer = wire.call("ListDeliveryStreams", {}, query="X-Amz-Algorithm=AWS4-HMAC-SHA256")
    refused(
        answer,
        "InvalidSignatureException",
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    )


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("AWS4-HMAC-SHA256 SignedHeaders=host, Signature=00", ["Credential"]),
        ("AWS4-HMAC-SHA256 Credential=a/20200101/r/firehose/aws4_request, SignedHeaders=host", ["Signature"]),
        ("AWS4-HMAC-SHA256 Credential=a/20200101/r/firehose/aws4_request, Signature=00", ["SignedHeaders"]),
        ("AWS4-HMAC-SHA256", ["Credential", "Signature", "SignedHeaders"]),
    ],
)
@pytest.mark.parametrize("dated", [True, False])
def test_incomplete_authorization(node, header, missing, dated):
    headers = {"Authorization": header}
    if dated:
        headers["X-Amz-Date"] = now().strftime("%Y%m%dT%H%M%SZ")
    answer = Wire("127.0.0.1", node.port, None).call("ListDeliveryStreams", {}, headers=headers)
    text = "".join(f"Authorization header requires '{part}' parameter. " for part in missing)
    if not dated:
        text += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
    refused(answer, "IncompleteSignatureException", f"{text}Authorization={header}")


def test_unknown_key(node):
    signer = Signer("AKIDNOBODY", "secret")
    answer = Wire("127.0.0.1", node.port, signer).call("ListDeliveryStreams", {})
    refused(answer, "UnrecognizedClientException", "The security token included in the request is invalid.")


def test_wrong_secret(node):
    signer = Signer(MAIN_KEY.access_key, "wrong")
    answer = Wire("127.0.0.1", node.port, signer).call("ListDeliveryStreams", {})
    refused(answer, "InvalidSignatureException", MISMATCH)


def test_a_body_changed_after_signing(wire):
    body = b'{"DeliveryStreamName":"a"}'
    headers = {"Host": "h", "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Firehose_20150804.DeleteDeliveryStream"}
    headers = wire.signer.headers("POST", "/", headers, body)
    answer = wire.send("POST", "/", headers, body.replace(b'"a"', b'"b"'))
    refused(answer, "InvalidSignatureException", MISMATCH)


def test_a_signed_header_changed_after_signing(wire):
    answer = wire.call("ListDeliveryStreams", {}, after={"X-Amz-Target": "Firehose_20150804.DeleteDeliveryStream"})
    refused(answer, "InvalidSignatureException", MISMATCH)


def test_wrong_and_missing_session_tokens(node):
    refused(node.wire(key=TOKEN_KEY, token="other").call("ListDeliveryStreams", {}), "UnrecognizedClientException")
    refused(node.wire(key=TOKEN_KEY).call("ListDeliveryStreams", {}), "UnrecognizedClientException")


def test_expired_session_token(node):
    answer = node.wire(key=EXPIRED_KEY, token=TOKEN).call("ListDeliveryStreams", {})
    refused(answer, "ExpiredTokenException", "The security token included in the request is expired")


@pytest.mark.parametrize("minutes", [-4, 4])
def test_a_skew_of_four_minutes_is_fine(wire, minutes):
    wire.call("ListDeliveryStreams", {}, when=now(minutes)).ok()


def test_six_minutes_late(wire):
    when = now(-6)
    answer = wire.call("ListDeliveryStreams", {}, when=when)
    refused(answer, "InvalidSignatureException")
    stamp = r"\d{8}T\d{6}Z"
    pattern = rf"Signature expired: {when:%Y%m%dT%H%M%SZ} is now earlier than {stamp} \({stamp} - 5 min\.\)"
    assert re.fullmatch(pattern, answer.message), answer.message


def test_six_minutes_early(wire):
    when = now(6)
    answer = wire.call("ListDeliveryStreams", {}, when=when)
    refused(answer, "InvalidSignatureException")
    stamp = r"\d{8}T\d{6}Z"
    pattern = rf"Signature not yet current: {when:%Y%m%dT%H%M%SZ} is still later than {stamp} \({stamp} \+ 5 min\.\)"
    assert re.fullmatch(pattern, answer.message), answer.message


def test_wrong_service_in_the_scope(node):
    signer = Signer(MAIN_KEY.access_key, MAIN_KEY.secret_key, service="kinesis")
    answer = Wire("127.0.0.1", node.port, signer).call("ListDeliveryStreams", {})
    refused(answer, "InvalidSignatureException")
    assert answer.message.strip() == "Credential should be scoped to correct service: 'firehose'."


def test_no_region_in_the_scope(node):
    answer = node.wire("").call("ListDeliveryStreams", {})
    refused(answer, "InvalidSignatureException")
    assert answer.message.strip().startswith("Credential should be scoped to a valid region, not ''.")


# --- what a key may do -------------------------------------------------------------------------------------------------------


def denied(answer, operation: str, region: str, resource: str):
    refused(
        answer,
        "AccessDeniedException",
        f"User: arn:aws:iam::{ACCOUNT}:user/{READER_KEY.access_key} is not authorized to perform: firehose:{operation} "
        f"on resource: arn:aws:firehose:{region}:{ACCOUNT}:deliverystream/{resource}",
    )


def test_a_policy_binds_its_key(node, wire, stream):
    reader = node.wire(key=READER_KEY)
    reader.call("ListDeliveryStreams", {}).ok()
    assert reader.describe(stream)["DeliveryStreamName"] == stream
    denied(reader.put(stream, b"x"), "PutRecord", "us-east-1", stream)
    denied(reader.put_batch(stream, [b"x"]), "PutRecordBatch", "us-east-1", stream)
    denied(reader.delete(stream), "DeleteDeliveryStream", "us-east-1", stream)
    denied(reader.create("readers-not"), "CreateDeliveryStream", "us-east-1", "readers-not")
    denied(reader.update(stream), "UpdateDestination", "us-east-1", stream)
    own = "readers-own-1"
    reader.create(own).ok()
    active(reader, own)
    reader.put(own, b"x").ok()
    reader.delete(own).ok()


def test_a_policy_hides_whether_a_stream_exists(node):
    denied(node.wire(key=READER_KEY).put("does-not-exist", b"x"), "PutRecord", "us-east-1", "does-not-exist")


def test_types_and_constraints_are_checked_before_permission(node):
    reader = node.wire(key=READER_KEY)
    assert reader.call("PutRecord", {"DeliveryStreamName": 1, "Record": record(b"x")}).error == "SerializationException"
    assert reader.put("n" * 65, b"x").error == "ValidationException"


def test_accounts_and_regions_do_not_see_each_other(node, region, name):
    here, there = node.wire(region), node.wire(region, key=OTHER_ACCOUNT_KEY)
    elsewhere = node.wire(region + "0")
    arn = here.create(name).ok()["DeliveryStreamARN"]
    assert arn == f"arn:aws:firehose:{region}:{ACCOUNT}:deliverystream/{name}"
    other_arn = there.create(name).ok()["DeliveryStreamARN"]
    assert other_arn == f"arn:aws:firehose:{region}:{OTHER_ACCOUNT_KEY.account}:deliverystream/{name}"
    assert elsewhere.call("ListDeliveryStreams", {}).ok()["DeliveryStreamNames"] == []
    active(here, name), active(there, name)
    here.delete(name).ok()
    assert there.describe(name)["DeliveryStreamARN"] == other_arn


# --- an open node ----------------------------------------------------------------------------------------------------------


def test_an_open_node_takes_any_key_and_unsigned_requests(make_node):
    node = make_node(keys=(), args=("--quotas", "unlimited"))
    unsigned = Wire("127.0.0.1", node.port, None)
    assert unsigned.create("plain").ok()["DeliveryStreamARN"] == "arn:aws:firehose:us-east-1:000000000000:deliverystream/plain"
    anyone = Wire("127.0.0.1", node.port, Signer("whoever", "whatever", "eu-west-1"))
    assert anyone.create("s").ok()["DeliveryStreamARN"] == "arn:aws:firehose:eu-west-1:000000000000:deliverystream/s"
    account = Wire("127.0.0.1", node.port, Signer("111122223333", "whatever", "eu-west-1"))
    assert account.create("s").ok()["DeliveryStreamARN"] == "arn:aws:firehose:eu-west-1:111122223333:deliverystream/s"


def test_an_open_node_listens_on_loopback_only(tmp_path):
    import subprocess

    from node import binary, clean_env

    done = subprocess.run(
        [binary(), "serve", "--listen", "0.0.0.0:0", "--admin-listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "d")],
        capture_output=True, text=True, timeout=20, env=clean_env(), cwd=tmp_path,
    )
    assert done.returncode != 0
    assert "keys" in done.stderr


def test_secrets_are_never_logged(make_node):
    node = make_node(env={"HYDRANT_LOG_LEVEL": "trace"})
    node.wire().call("ListDeliveryStreams", {}).ok()
    Wire("127.0.0.1", node.port, Signer(MAIN_KEY.access_key, "wrong")).call("ListDeliveryStreams", {})
    log = node.log.read_text()
    assert log and MAIN_KEY.secret_key not in log
