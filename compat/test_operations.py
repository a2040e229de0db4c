"""The seven operations: SPEC §2."""

import re
import time

import pytest

from node import ACCOUNT
from streams import active, bucket_of, directory_objects, gone
from node import eventually
from wire import ROLE, s3

DESTINATION = "destinationId-000000000001"
KMS = "arn:aws:kms:us-east-1:123456789012:key/6b2cbd5e-0000-4000-8000-00000000aaaa"
DEFAULTS = {
    "RoleARN": ROLE,
    "BucketARN": "arn:aws:s3:::bucket",
    "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
    "CompressionFormat": "UNCOMPRESSED",
    "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
}


def refused(answer, name: str, message: str | None = None):
    assert (answer.status, answer.error) == (400, name), answer.body
    if message is not None:
        assert answer.message == message


def s3_of(description: dict) -> dict:
    (destination,) = description["Destinations"]
    return destination["S3DestinationDescription"]


@pytest.fixture
def create(wire, name):
    """Creates a stream with the given destination members and returns its name once it is ACTIVE."""

    def make(**members) -> str:
        wire.create(name, **members).ok()
        active(wire, name)
        return name

    return make


# --- Create and Describe ----------------------------------------------------------------------------------------------------


def test_create_and_describe_with_defaults(wire, name):
    before = time.time()
    answer = wire.create(name)
    arn = f"arn:aws:firehose:us-east-1:{ACCOUNT}:deliverystream/{name}"
    assert answer.body == f'{{"DeliveryStreamARN":"{arn}"}}'.encode()
    description = active(wire, name)
    created = description.pop("CreateTimestamp")
    assert isinstance(created, (int, float)) and before - 1 <= created <= time.time() + 1
    assert round(created, 3) == created, "milliseconds"
    logging = {"CloudWatchLoggingOptions": {"Enabled": False}}
    (destination,) = description.pop("Destinations")
    assert destination.pop("DestinationId") == DESTINATION
    assert destination.pop("S3DestinationDescription") == {**DEFAULTS, **logging}
    assert destination.pop("ExtendedS3DestinationDescription") == {**DEFAULTS, **logging, "S3BackupMode": "Disabled"}
    assert destination == {}
    description.pop("DeliveryStreamEncryptionConfiguration", None)
    assert description == {
        "DeliveryStreamName": name,
        "DeliveryStreamARN": arn,
        "DeliveryStreamStatus": "ACTIVE",
        "DeliveryStreamType": "DirectPut",
        "VersionId": "1",
        "HasMoreDestinations": False,
    }


def test_timestamps_are_plain_decimals(wire, stream):
    answer = wire.call("DescribeDeliveryStream", {"DeliveryStreamName": stream})
    assert re.search(rb'"CreateTimestamp":\d{10}(\.\d{1,3})?[,}]', answer.body), answer.body


@pytest.mark.parametrize("member", ["S3DestinationConfiguration", "ExtendedS3DestinationConfiguration"])
def test_given_values_come_back(wire, name, member):
    given = {
        "RoleARN": ROLE,
        "BucketARN": "arn:aws:s3:::given",
        "Prefix": "logs/",
        "BufferingHints": {"SizeInMBs": 128, "IntervalInSeconds": 900},
        "CompressionFormat": "GZIP",
        "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
    }
    wire.call("CreateDeliveryStream", {"DeliveryStreamName": name, member: given, "DeliveryStreamType": "DirectPut"}).ok()
    (destination,) = active(wire, name)["Destinations"]
    for shape in ("S3DestinationDescription", "ExtendedS3DestinationDescription"):
        assert {key: destination[shape][key] for key in given} == given


def test_prefix_is_absent_or_echoed(wire, name):
    wire.create(name + "-absent").ok()
    wire.create(name + "-empty", Prefix="").ok()
    assert "Prefix" not in s3_of(wire.describe(name + "-absent"))
    assert s3_of(wire.describe(name + "-empty"))["Prefix"] == ""


@pytest.mark.parametrize(
    ("hints", "stored"),
    [
        ({"SizeInMBs": 7}, {"SizeInMBs": 7, "IntervalInSeconds": 300}),
        ({"IntervalInSeconds": 77}, {"SizeInMBs": 5, "IntervalInSeconds": 77}),
        ({"IntervalInSeconds": 0}, {"SizeInMBs": 5, "IntervalInSeconds": 0}),
        ({}, {"SizeInMBs": 5, "IntervalInSeconds": 300}),
    ],
)
def test_one_hint_gets_the_other_by_default(wire, create, hints, stored):
    assert s3_of(wire.describe(create(BufferingHints=hints)))["BufferingHints"] == stored


def test_no_destination_and_two(wire):
    text = "Exactly one destination configuration is supported for a Firehose"
    refused(wire.call("CreateDeliveryStream", {"DeliveryStreamName": "a"}), "InvalidArgumentException", text)
    both = {"S3DestinationConfiguration": s3(), "ExtendedS3DestinationConfiguration": s3()}
    refused(wire.call("CreateDeliveryStream", {"DeliveryStreamName": "a", **both}), "InvalidArgumentException", text)


def test_create_in_use(wire, stream):
    refused(
        wire.create(stream), "ResourceInUseException", f"Firehose {stream} under accountId {ACCOUNT} already exists"
    )


def test_shape_before_semantics_before_name(wire, stream):
    refused(wire.create(stream, CompressionFormat="x"), "ValidationException")
    refused(wire.call("CreateDeliveryStream", {"DeliveryStreamName": stream}), "InvalidArgumentException")


def test_both_kinds_of_encryption(wire):
    answer = wire.create(
        "a", EncryptionConfiguration={"NoEncryptionConfig": "NoEncryption", "KMSEncryptionConfig": {"AWSKMSKeyARN": KMS}}
    )
    refused(answer, "InvalidArgumentException")


def test_kms_for_a_directory_is_refused_not_ignored(wire):
    answer = wire.create("a", EncryptionConfiguration={"KMSEncryptionConfig": {"AWSKMSKeyARN": KMS}})
    refused(answer, "InvalidArgumentException")
    assert "KMS" in answer.message


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("ElasticsearchDestinationConfiguration", {"RoleARN": ROLE, "IndexName": "i", "S3Configuration": s3()}),
        ("HttpEndpointDestinationConfiguration", {"EndpointConfiguration": {"Url": "https://x"}, "S3Configuration": s3()}),
        ("DeliveryStreamEncryptionConfigurationInput", {"KeyType": "AWS_OWNED_CMK"}),
    ],
)
def test_what_is_not_supported_is_refused_by_name(wire, member, value):
    body = {"DeliveryStreamName": "unsupported", member: value}
    if "Destination" not in member:
        body["S3DestinationConfiguration"] = s3()
    answer = wire.call("CreateDeliveryStream", body)
    refused(answer, "InvalidArgumentException")
    assert member in answer.message
    assert "Secret-password-1" not in answer.message
    refused(wire.call("DescribeDeliveryStream", {"DeliveryStreamName": "unsupported"}), "ResourceNotFoundException")


def test_a_kinesis_source_is_refused_in_the_words_of_aws(wire):
    source = {"KinesisStreamARN": "arn:aws:kinesis:us-east-1:123456789012:stream/s", "RoleARN": ROLE}
    answer = wire.call(
        "CreateDeliveryStream",
        {"DeliveryStreamName": "a", "S3DestinationConfiguration": s3(), "KinesisStreamSourceConfiguration": source},
    )
    text = "KinesisSourceStreamConfig is only applicable for KinesisStreamAsSource stream type"
    refused(answer, "InvalidArgumentException", text)


@pytest.mark.parametrize("type_", ["KinesisStreamAsSource", "MSKAsSource", "DatabaseAsSource"])
def test_other_sources_are_refused(wire, type_):
    answer = wire.call(
        "CreateDeliveryStream",
        {"DeliveryStreamName": "a", "DeliveryStreamType": type_, "S3DestinationConfiguration": s3()},
    )
    refused(answer, "InvalidArgumentException")


def test_describe_pages_over_its_one_destination(wire, stream):
    body = {"DeliveryStreamName": stream, "Limit": 1}
    description = wire.call("DescribeDeliveryStream", body).ok()["DeliveryStreamDescription"]
    assert len(description["Destinations"]) == 1 and description["HasMoreDestinations"] is False
    body["ExclusiveStartDestinationId"] = DESTINATION
    description = wire.call("DescribeDeliveryStream", body).ok()["DeliveryStreamDescription"]
    assert description["Destinations"] == [] and description["HasMoreDestinations"] is False


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("DescribeDeliveryStream", {}),
        ("DeleteDeliveryStream", {}),
        ("PutRecord", {"Record": {"Data": ""}}),
        ("PutRecordBatch", {"Records": [{"Data": ""}]}),
        (
            "UpdateDestination",
            {"CurrentDeliveryStreamVersionId": "1", "DestinationId": DESTINATION, "S3DestinationUpdate": {"Prefix": "x"}},
        ),
    ],
)
def test_not_found(wire, operation, body):
    answer = wire.call(operation, {"DeliveryStreamName": "nobody", **body})
    refused(answer, "ResourceNotFoundException", f"Firehose nobody under account {ACCOUNT} not found.")


def test_quota_of_streams(make_node):
    node = make_node()
    wire = node.wire()
    for name in ("c", "a", "e", "b", "d"):
        wire.create(name).ok()
    refused(
        wire.create("f"),
        "LimitExceededException",
        "You have already consumed your firehose quota of 5 hoses. Firehose names: [a, b, c, d, e]",
    )
    node.wire("eu-west-1").create("f").ok()
    active(wire, "a")
    wire.delete("a").ok()
    gone(wire, "a")
    wire.create("f").ok()


def test_what_terraform_sends_is_accepted(wire, name):
    """Members that change nothing at these values; Terraform's provider always sends them."""
    given = s3(
        Prefix="",
        ErrorOutputPrefix="",
        BufferingHints={"SizeInMBs": 5, "IntervalInSeconds": 300},
        CompressionFormat="UNCOMPRESSED",
        EncryptionConfiguration={"NoEncryptionConfig": "NoEncryption"},
        CloudWatchLoggingOptions={"Enabled": False},
        S3BackupMode="Disabled",
        CustomTimeZone="UTC",
        FileExtension="",
        DataFormatConversionConfiguration={"Enabled": False},
        ProcessingConfiguration={"Enabled": False, "Processors": []},
        DynamicPartitioningConfiguration={"Enabled": False},
    )
    body = {
        "DeliveryStreamName": name,
        "DeliveryStreamType": "DirectPut",
        "ExtendedS3DestinationConfiguration": given,
        "Tags": [{"Key": "team", "Value": "logs"}],
    }
    wire.call("CreateDeliveryStream", body).ok()
    extended = active(wire, name)["Destinations"][0]["ExtendedS3DestinationDescription"]
    for member in ("Prefix", "ErrorOutputPrefix", "FileExtension", "CustomTimeZone", "S3BackupMode"):
        assert extended[member] == given[member], member
    tags = wire.call("ListTagsForDeliveryStream", {"DeliveryStreamName": name}).ok()
    assert tags == {"Tags": [{"Key": "team", "Value": "logs"}], "HasMoreTags": False}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("Prefix", "!{timestamp:yyyy}/"),
        ("ErrorOutputPrefix", "!{firehose:error-output-type}/"),
        ("S3BackupMode", "Enabled"),
        ("CustomTimeZone", "Europe/Berlin"),
        ("FileExtension", ".json"),
        ("DataFormatConversionConfiguration", {"Enabled": True}),
        ("DynamicPartitioningConfiguration", {"Enabled": True}),
        ("ProcessingConfiguration", {"Enabled": True, "Processors": [{"Type": "AppendDelimiterToRecord"}]}),
    ],
)
def test_values_that_are_not_supported_are_refused_by_name(wire, member, value):
    answer = wire.call(
        "CreateDeliveryStream", {"DeliveryStreamName": "a", "ExtendedS3DestinationConfiguration": s3(**{member: value})}
    )
    refused(answer, "InvalidArgumentException")
    assert f"ExtendedS3DestinationConfiguration.{member}" in answer.message


# --- List ---------------------------------------------------------------------------------------------------------------------


def test_list_pages_in_byte_order(node, region):
    wire = node.wire(region)
    names = [f"stream-{i}" for i in range(9)] + ["Upper", "stream-10"]
    for name in names:
        wire.create(name).ok()
    names.sort()
    assert names[:3] == ["Upper", "stream-0", "stream-1"] and names[3] == "stream-10"

    def page(**body):
        answer = wire.call("ListDeliveryStreams", body).ok()
        return answer["DeliveryStreamNames"], answer["HasMoreDeliveryStreams"]

    assert page() == (names[:10], True), "ten by default"
    assert page(ExclusiveStartDeliveryStreamName=names[9]) == ([names[10]], False)
    assert page(Limit=11) == (names, False)
    assert page(Limit=10000) == (names, False)
    walked, start = [], None
    while True:
        found, more = page(Limit=5, **({"ExclusiveStartDeliveryStreamName": start} if start else {}))
        walked += found
        if not more:
            break
        start = found[-1]
    assert walked == names
    assert page(ExclusiveStartDeliveryStreamName="stream-1x", Limit=1) == (["stream-2"], True), "a start need not exist"
    assert page(ExclusiveStartDeliveryStreamName="zzz") == ([], False)
    assert page(DeliveryStreamType="DirectPut", Limit=20) == (names, False)
    assert page(DeliveryStreamType="KinesisStreamAsSource") == ([], False)


def test_the_list_answer_is_compact(node, region):
    answer = node.wire(region).call("ListDeliveryStreams", {})
    assert answer.body == b'{"DeliveryStreamNames":[],"HasMoreDeliveryStreams":false}'


# --- Put ----------------------------------------------------------------------------------------------------------------------


def test_put_answers(wire, stream):
    answer = wire.put(stream, b"x").ok()
    assert list(answer) == ["RecordId", "Encrypted"] and answer["Encrypted"] is False
    raw = wire.put_batch(stream, [b"a", b"b", b"c"])
    assert b'"FailedPutCount":0' in raw.body, "Fluent Bit looks for exactly this"
    answer = raw.ok()
    assert list(answer) == ["Encrypted", "FailedPutCount", "RequestResponses"]
    assert [list(entry) for entry in answer["RequestResponses"]] == [["RecordId"]] * 3


def test_record_ids_are_unique(wire, stream):
    ids = [entry["RecordId"] for _ in range(3) for entry in wire.put_batch(stream, [b"a"] * 500).ok()["RequestResponses"]]
    ids += [wire.put(stream, b"a").ok()["RecordId"] for _ in range(20)]
    assert len(set(ids)) == len(ids) == 1520


# --- Update -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "update", "after"),
    [
        ({}, {"RoleARN": "arn:aws:iam::123456789012:role/other"}, {"RoleARN": "arn:aws:iam::123456789012:role/other"}),
        ({}, {"BucketARN": "arn:aws:s3:::other"}, {"BucketARN": "arn:aws:s3:::other"}),
        ({}, {"Prefix": "p/"}, {"Prefix": "p/"}),
        ({"Prefix": "p/"}, {"Prefix": ""}, {"Prefix": ""}),
        ({"Prefix": "p/"}, {"CompressionFormat": "ZIP"}, {"Prefix": "p/", "CompressionFormat": "ZIP"}),
        (
            {"BufferingHints": {"SizeInMBs": 9, "IntervalInSeconds": 99}},
            {"Prefix": "q"},
            {"Prefix": "q", "BufferingHints": {"SizeInMBs": 9, "IntervalInSeconds": 99}},
        ),
        (
            {"BufferingHints": {"SizeInMBs": 9, "IntervalInSeconds": 99}},
            {"BufferingHints": {"SizeInMBs": 8}},
            {"BufferingHints": {"SizeInMBs": 8, "IntervalInSeconds": 99}},
        ),
        (
            {"BufferingHints": {"SizeInMBs": 9, "IntervalInSeconds": 99}},
            {"BufferingHints": {"IntervalInSeconds": 0}},
            {"BufferingHints": {"SizeInMBs": 9, "IntervalInSeconds": 0}},
        ),
        ({}, {}, {}),
        ({"Prefix": "p"}, {"Prefix": None}, {"Prefix": "p"}),
    ],
)
@pytest.mark.parametrize("member", ["S3DestinationUpdate", "ExtendedS3DestinationUpdate"])
def test_update_merges_each_field(wire, create, before, update, after, member):
    name = create(**before)
    original = s3_of(wire.describe(name))
    assert "LastUpdateTimestamp" not in wire.describe(name)
    answer = wire.call(
        "UpdateDestination",
        {
            "DeliveryStreamName": name,
            "CurrentDeliveryStreamVersionId": "1",
            "DestinationId": DESTINATION,
            member: update,
        },
    )
    assert (answer.status, answer.body) == (200, b"{}")
    description = wire.describe(name)
    assert s3_of(description) == {**original, **after}
    extended = description["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert {key: extended[key] for key in s3_of(description)} == s3_of(description)
    assert description["VersionId"] == "2"
    assert description["DeliveryStreamStatus"] == "ACTIVE"
    assert description["LastUpdateTimestamp"] >= description["CreateTimestamp"]
    assert description["Destinations"][0]["DestinationId"] == DESTINATION


def test_version_mismatch(wire, create):
    name = create()
    wire.update(name, Prefix="a").ok()
    refused(
        wire.update(name, Prefix="b"),
        "ConcurrentModificationException",
        f"Cannot update firehose: {name} since the current version id: 2 and specified version id: 1 do not match",
    )
    assert s3_of(wire.describe(name))["Prefix"] == "a"
    wire.update(name, "2", Prefix="c").ok()
    assert wire.describe(name)["VersionId"] == "3"


def test_of_many_updates_at_once_one_wins(wire, create):
    from concurrent.futures import ThreadPoolExecutor

    name = create()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: wire.update(name, Prefix=f"{i}/"), range(8)))
    statuses = sorted(answer.status for answer in answers)
    assert statuses == [200] + [400] * 7
    assert {answer.error for answer in answers if answer.status == 400} == {"ConcurrentModificationException"}
    (winner,) = [i for i, answer in enumerate(answers) if answer.status == 200]
    assert s3_of(wire.describe(name))["Prefix"] == f"{winner}/"
    assert wire.describe(name)["VersionId"] == "2"


def update_body(name: str, **over) -> dict:
    return {
        "DeliveryStreamName": name,
        "CurrentDeliveryStreamVersionId": "1",
        "DestinationId": DESTINATION,
        "S3DestinationUpdate": {"Prefix": "x"},
        **over,
    }


def test_unknown_destination_id(wire, stream):
    answer = wire.call("UpdateDestination", update_body(stream, DestinationId="destinationId-9"))
    refused(answer, "InvalidArgumentException", "Destination Id destinationId-9 not found")


def test_version_is_checked_before_the_destination_id_and_both_before_the_content(wire, stream):
    wrong = {"CurrentDeliveryStreamVersionId": "7", "DestinationId": "d", "S3DestinationUpdate": None}
    refused(wire.call("UpdateDestination", update_body(stream, **wrong)), "ConcurrentModificationException")
    wrong["CurrentDeliveryStreamVersionId"] = "1"
    refused(wire.call("UpdateDestination", update_body(stream, **wrong)), "InvalidArgumentException", "Destination Id d not found")


def test_no_update_and_two(wire, stream):
    refused(wire.call("UpdateDestination", update_body(stream, S3DestinationUpdate=None)), "InvalidArgumentException")
    answer = wire.call("UpdateDestination", update_body(stream, ExtendedS3DestinationUpdate={"Prefix": "y"}))
    refused(answer, "InvalidArgumentException")
    assert wire.describe(stream)["VersionId"] == "1"


def test_unsupported_updates_are_refused_by_name(wire, stream):
    body = update_body(stream, ElasticsearchDestinationUpdate={"IndexName": "i"})
    del body["S3DestinationUpdate"]
    answer = wire.call("UpdateDestination", body)
    refused(answer, "InvalidArgumentException")
    assert "ElasticsearchDestinationUpdate" in answer.message


def test_update_is_used_for_later_records(node, wire, name):
    first, second = bucket_of(name), bucket_of(name) + "-2"
    wire.create(name, BucketARN=f"arn:aws:s3:::{first}").ok()
    active(wire, name)
    wire.put(name, b"one").ok()
    eventually(lambda: directory_objects(node, first))
    wire.update(name, BucketARN=f"arn:aws:s3:::{second}", Prefix="new/").ok()
    wire.put(name, b"two").ok()
    ((key, body),) = eventually(lambda: directory_objects(node, second)).items()
    assert body == b"two"
    assert re.match(rf"new/\d{{4}}/\d\d/\d\d/\d\d/{name}-2-", key), "the new version is in the key"


# --- Tags -------------------------------------------------------------------------------------------------------------------


def test_tags(wire, stream):
    here = {"DeliveryStreamName": stream}
    tags = lambda **more: wire.call("ListTagsForDeliveryStream", {**here, **more}).ok()  # noqa: E731
    assert tags() == {"Tags": [], "HasMoreTags": False}
    assert wire.call("TagDeliveryStream", {**here, "Tags": [{"Key": k, "Value": k} for k in "bac"]}).body == b"{}"
    wire.call("TagDeliveryStream", {**here, "Tags": [{"Key": "b", "Value": "new"}]}).ok()
    pairs = [(tag["Key"], tag["Value"]) for tag in tags()["Tags"]]
    assert pairs == [("a", "a"), ("b", "new"), ("c", "c")]
    assert tags(Limit=2)["HasMoreTags"] is True
    assert [tag["Key"] for tag in tags(ExclusiveStartTagKey="b")["Tags"]] == ["c"]
    assert wire.call("UntagDeliveryStream", {**here, "TagKeys": ["a", "nobody"]}).body == b"{}"
    assert [tag["Key"] for tag in tags()["Tags"]] == ["b", "c"]
    many = [{"Key": f"k{i}", "Value": ""} for i in range(49)]
    refused(wire.call("TagDeliveryStream", {**here, "Tags": many}), "LimitExceededException")
    assert wire.describe(stream)["VersionId"] == "1"


# --- Delete and states ------------------------------------------------------------------------------------------------------


def test_delete(wire, create):
    name = create()
    answer = wire.delete(name)
    assert (answer.status, answer.body) == (200, b"{}")
    gone(wire, name)
    refused(wire.delete(name), "ResourceNotFoundException")
    refused(wire.put(name, b"x"), "ResourceNotFoundException")


def test_delete_discards_what_was_not_delivered(make_node):
    node = make_node(args=("--quotas", "unlimited"))
    wire = node.wire()
    wire.create("s").ok()
    active(wire, "s")
    for _ in range(3):
        wire.put("s", b"x").ok()
    wire.delete("s").ok()
    gone(wire, "s")
    wire.create("s").ok()
    assert active(wire, "s")["VersionId"] == "1"
    node.stop()
    assert directory_objects(node, "bucket") == {}


def test_a_name_can_be_used_again_and_gets_only_its_own_records(node, wire, name):
    bucket = bucket_of(name)
    for generation in (b"one", b"two"):
        wire.create(name, BucketARN=f"arn:aws:s3:::{bucket}").ok()
        active(wire, name)
        ids = wire.put(name, generation).ok()["RecordId"]
        assert ids
        eventually(lambda: generation in directory_objects(node, bucket).values(), what=f"{generation} arrives")
        wire.delete(name).ok()
        gone(wire, name)
    assert sorted(directory_objects(node, bucket).values()) == [b"one", b"two"]


def test_a_stream_that_is_being_created(wire, name):
    """CREATING may last no time at all; whatever it lasts, it must follow the table of states."""
    wire.create(name).ok()
    answers = wire.put(name, b"x"), wire.delete(name), wire.describe(name)["DeliveryStreamStatus"]
    if answers[2] == "CREATING":
        refused(answers[0], "ResourceNotFoundException")
        refused(answers[1], "ResourceInUseException")
    else:
        assert answers[2] in ("ACTIVE", "DELETING")


def test_streams_and_versions_survive_a_restart(make_node):
    node = make_node(args=("--quotas", "unlimited"))
    wire = node.wire()
    wire.create("a", Prefix="p/").ok()
    active(wire, "a")
    wire.update("a", CompressionFormat="GZIP").ok()
    before = wire.describe("a")
    node.stop()
    node.start()
    assert wire.describe("a") == before
    node.kill()
    node.start()
    assert wire.describe("a") == before
