"""Delivery to a real S3 (Ceph radosgw): SPEC §4, and every way in which a store can refuse."""

import json
import time

import pytest

from decode import CONTENT_ENCODING, EXTENSION, FORMATS, decode
from node import eventually
from streams import active, bucket_of, drained, status_of
from wire import ROLE

pytestmark = pytest.mark.s3


@pytest.fixture
def bucket(s3_store, name) -> str:
    bucket = bucket_of(name)[:63].rstrip("-")
    s3_store.make_bucket(bucket)
    return bucket


def make(node, name: str, bucket: str, **members):
    wire = node.wire()
    wire.create(name, **{"BucketARN": f"arn:aws:s3:::{bucket}", **members}).ok()
    active(wire, name)
    return wire


def one_object(s3_client, bucket: str):
    ((key, (body, headers)),) = eventually(lambda: s3_client.read(bucket), 60, f"an object in {bucket}").items()
    return key, body, headers


def last_error(node, name: str) -> dict:
    return eventually(lambda: status_of(node, name).get("last_error"), 60, "the error shows")


@pytest.mark.parametrize("compression", FORMATS)
@pytest.mark.parametrize("prefix", ["", "a", "a/"])
def test_each_compression_and_prefix(s3_node, s3_store, s3_client, name, compression, prefix):
    name = f"c-{compression.lower().replace('_', '-')}-{len(prefix)}-{name[-4:]}"
    s3_store.make_bucket(name)
    wire = make(s3_node, name, name, CompressionFormat=compression, Prefix=prefix)
    records = [b"abc"] * 3 + [bytes(range(256)) * 500, b"", b"line\n" * 10_000]
    wire.put_batch(name, records).ok()
    key, body, headers = one_object(s3_client, name)
    assert decode(compression, body) == b"".join(records)
    assert key.startswith(f"{prefix}20") and key.endswith(EXTENSION[compression])
    assert headers["ContentType"] == "application/octet-stream"
    assert headers.get("ContentEncoding") == CONTENT_ENCODING[compression]
    assert "ServerSideEncryption" not in headers


def test_a_large_object_goes_in_parts_in_constant_memory(s3_node, s3_client, name, bucket):
    wire = make(s3_node, name, bucket, BufferingHints={"SizeInMBs": 64, "IntervalInSeconds": 900}, CompressionFormat="GZIP")
    import random

    noise = random.Random(1).randbytes(1_000_000)
    before = s3_node.memory_bytes()
    peak = before
    for i in range(20):
        wire.put_batch(name, [bytes([i]) + noise[1:]] * 4).ok()
        peak = max(peak, s3_node.memory_bytes())
    s3_node.admin_json(f"/api/streams/123456789012/us-east-1/{name}/flush", "POST")
    drained(s3_node, name)
    peak = max(peak, s3_node.memory_bytes())
    wanted = b"".join((bytes([i]) + noise[1:]) * 4 for i in range(20))
    found = s3_client.read(bucket)
    plain = b"".join(decode("GZIP", body) for _, (body, _) in sorted(found.items(), key=lambda item: item[1][1]["LastModified"]))
    assert len(plain) == len(wanted)
    assert sorted(plain[i : i + 1_000_000][:1] for i in range(0, len(plain), 1_000_000)) == sorted(
        wanted[i : i + 1_000_000][:1] for i in range(0, len(wanted), 1_000_000)
    )
    assert any("-" in headers["ETag"] for _, headers in found.values()), "uploaded in parts"
    assert s3_client.open_uploads(bucket) == 0
    assert peak < 200 << 20, f"{peak >> 20} MiB"


def test_kms_key(s3_node, s3_store, s3_client, name, bucket):
    arn = s3_store.info()["kms_key_arn"]
    wire = make(s3_node, name, bucket, EncryptionConfiguration={"KMSEncryptionConfig": {"AWSKMSKeyARN": arn}})
    wire.put(name, b"sealed").ok()
    _, body, headers = one_object(s3_client, bucket)
    assert (body, headers["ServerSideEncryption"], headers["SSEKMSKeyId"]) == (b"sealed", "aws:kms", arn)


def test_an_unknown_kms_key_is_reported_and_healed_by_update(s3_node, s3_store, s3_client, name, bucket):
    info = s3_store.info()
    unknown = {"KMSEncryptionConfig": {"AWSKMSKeyARN": info["unknown_kms_key_arn"]}}
    wire = make(s3_node, name, bucket, EncryptionConfiguration=unknown)
    wire.put(name, b"kept").ok()
    error = last_error(s3_node, name)
    assert error["code"] and status_of(s3_node, name)["backlog_records"] == 1
    assert s3_client.keys(bucket) == []
    known = {"KMSEncryptionConfig": {"AWSKMSKeyARN": info["kms_key_arn"]}}
    wire.update(name, EncryptionConfiguration=known).ok()
    key, body, headers = one_object(s3_client, bucket)
    assert (body, headers["SSEKMSKeyId"]) == (b"kept", info["kms_key_arn"])
    assert f"/{name}-2-" in key, "planned again under the new version"
    drained(s3_node, name)
    assert status_of(s3_node, name).get("last_error") is None


def test_a_missing_bucket_heals_when_it_is_created(s3_node, s3_store, s3_client, name):
    bucket = bucket_of(name) + "-late"
    wire = make(s3_node, name, bucket)
    wire.put(name, b"patient").ok()
    assert last_error(s3_node, name)["code"] == "S3.NoSuchBucket"
    s3_store.make_bucket(bucket)
    assert one_object(s3_client, bucket)[1] == b"patient"


def test_a_forbidden_bucket_heals_when_it_is_allowed(s3_node, s3_client, name, bucket):
    deny = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
        ],
    }
    s3_client.client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(deny))
    wire = make(s3_node, name, bucket)
    wire.put(name, b"allowed at last").ok()
    assert last_error(s3_node, name)["code"] == "S3.AccessDenied"
    s3_client.client.delete_bucket_policy(Bucket=bucket)
    assert one_object(s3_client, bucket)[1] == b"allowed at last"


def test_a_wrong_bucket_is_healed_by_update(s3_node, s3_client, name, bucket):
    wire = make(s3_node, name, "no-such-bucket-ever")
    for i in range(3):
        wire.put(name, b"%d" % i).ok()
        time.sleep(1.2)  # three intervals, so that more than one span waits
    last_error(s3_node, name)
    wire.update(name, BucketARN=f"arn:aws:s3:::{bucket}").ok()
    drained(s3_node, name)
    assert sorted(b"".join(s3_client.bodies(bucket))) == sorted(b"012")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["down", "hung"])
def test_the_endpoint_goes_away_and_comes_back(make_s3_node, own_s3_store, how):
    store, client = own_s3_store
    store.make_bucket("comes-back")
    node = make_s3_node(store=store, args=("--quotas", "unlimited", "--max-interval", "1"))
    wire = make(node, "s", "comes-back")
    wire.put(b"s".decode(), b"before").ok()
    drained(node, "s")
    store.stop_gateway() if how == "down" else store.pause()
    for i in range(20):
        wire.put("s", b"while away %d\n" % i).ok()
        time.sleep(0.1)
    if how == "down":
        assert last_error(node, "s")["code"]
    assert status_of(node, "s")["backlog_records"] == 20
    store.start_gateway() if how == "down" else store.resume()
    drained(node, "s", 90)
    delivered = b"".join(client.bodies("comes-back"))
    assert sorted(delivered.replace(b"before", b"").splitlines()) == sorted(b"while away %d" % i for i in range(20))


def test_wrong_credentials_are_reported_and_healed_by_a_restart_with_right_ones(make_s3_node, s3_store, s3_client, name, bucket):
    node = make_s3_node(secret="wrong", args=("--quotas", "unlimited", "--max-interval", "1"))
    wire = make(node, name, bucket)
    wire.put(name, b"signed").ok()
    assert last_error(node, name)["code"] == "S3.AccessDenied"
    node.stop()
    node.env["AWS_SECRET_ACCESS_KEY"] = s3_store.info()["secret_key"]
    node.start()
    assert one_object(s3_client, bucket)[1] == b"signed"


# --- roles --------------------------------------------------------------------------------------------------------------


def test_the_role_of_the_stream_is_assumed(s3_role_node, s3_store, s3_role_client, name, bucket):
    """The node's own credentials may write to no bucket, so an object proves that the role was assumed."""
    wire = make(s3_role_node, name, bucket, RoleARN=s3_store.info()["role_arn"])
    wire.put(name, b"by the role").ok()
    assert one_object(s3_role_client, bucket)[1] == b"by the role"


@pytest.mark.parametrize("which", ["forbidden_role_arn", "missing"])
def test_a_role_that_cannot_be_assumed_is_refused_at_creation(s3_role_node, s3_store, bucket, which):
    role = {**s3_store.info(), "missing": "arn:aws:iam:::role/nobody"}[which]
    answer = s3_role_node.wire().create("norole", BucketARN=f"arn:aws:s3:::{bucket}", RoleARN=role)
    assert (answer.status, answer.error) == (400, "InvalidArgumentException")
    assert answer.message == f"Firehose is unable to assume role {role}. Please check the role provided."
    assert s3_role_node.wire().call("DescribeDeliveryStream", {"DeliveryStreamName": "norole"}).status == 400


def test_without_an_sts_endpoint_any_role_will_do(s3_node, s3_client, name, bucket):
    wire = make(s3_node, name, bucket, RoleARN=ROLE)
    wire.put(name, b"x").ok()
    assert one_object(s3_client, bucket)[1] == b"x"
