"""Texts of type errors and constraint errors: SPEC §1.5 step 8 and §1.6."""

import pytest

from wire import b64, record, s3

NAME_PATTERN = "[a-zA-Z0-9_.-]+"


def serialization(answer, text: str):
    assert answer.status == 400, answer.body
    assert answer.json == {"__type": "SerializationException", "Message": text}


def validation(answer, *errors: str):
    assert (answer.status, answer.error) == (400, "ValidationException"), answer.body
    count = f"{len(errors)} validation error{'s' if len(errors) > 1 else ''} detected: "
    assert answer.message == count + "; ".join(errors)


# --- types ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to an String"),
        (True, "class java.lang.Boolean can not be converted to an String"),
        ({}, "Start of structure or map found where not expected."),
        ([], "Start of list found where not expected"),
    ],
)
def test_not_a_string(wire, value, text):
    serialization(wire.call("DescribeDeliveryStream", {"DeliveryStreamName": value}), text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("5", "class java.lang.String can not be converted to an Integer"),
        (False, "class java.lang.Boolean can not be converted to an Integer"),
        ({}, "Start of structure or map found where not expected."),
        ([], "Start of list found where not expected"),
    ],
)
def test_not_an_integer(wire, value, text):
    serialization(wire.call("ListDeliveryStreams", {"Limit": value}), text)


def test_a_float_for_an_integer_is_truncated(wire, region, node):
    here = node.wire(region)
    for i in range(3):
        here.create(f"s{i}").ok()
    assert here.call("ListDeliveryStreams", {"Limit": 2.9}).ok() == {
        "DeliveryStreamNames": ["s0", "s1"],
        "HasMoreDeliveryStreams": True,
    }


@pytest.mark.parametrize("value", [1, "x", True])
def test_not_a_structure(wire, value):
    answer = wire.call("PutRecord", {"DeliveryStreamName": "a", "Record": value})
    serialization(answer, "Expected null")


def test_a_list_for_a_structure(wire):
    serialization(
        wire.call("PutRecord", {"DeliveryStreamName": "a", "Record": []}), "Start of list found where not expected"
    )


@pytest.mark.parametrize("value", [1, "x", True])
def test_not_a_list(wire, value):
    serialization(wire.call("PutRecordBatch", {"DeliveryStreamName": "a", "Records": value}), "Expected list or null")


def test_a_structure_for_a_list(wire):
    serialization(
        wire.call("PutRecordBatch", {"DeliveryStreamName": "a", "Records": {}}),
        "Start of structure or map found where not expected.",
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (1, "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to a Blob"),
        (True, "class java.lang.Boolean can not be converted to a Blob"),
        ({}, "Start of structure or map found where not expected."),
        ([], "Start of list found where not expected"),
        ("YQ", "'YQ' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 2"),
        ("Y*==", "'Y*==' can not be converted to a Blob: Invalid Base64 character: '*'"),
        ("====", None),
        ("YR==", "'YR==' can not be converted to a Blob: Invalid last non-pad Base64 character dectected"),
    ],
)
@pytest.mark.parametrize("batch", [False, True])
def test_not_a_blob(wire, stream, data, text, batch):
    if batch:
        answer = wire.call("PutRecordBatch", {"DeliveryStreamName": stream, "Records": [record(b"a"), {"Data": data}]})
    else:
        answer = wire.call("PutRecord", {"DeliveryStreamName": stream, "Record": {"Data": data}})
    if text is None:
        assert answer.error == "SerializationException"
    else:
        serialization(answer, text)


def test_escaped_base64_is_base64(wire, stream):
    """Some JSON writers escape the solidus."""
    body = b'{"DeliveryStreamName":"%s","Record":{"Data":"\\/\\/8\\u003d"}}' % stream.encode()
    wire.call("PutRecord", body).ok()


def test_unknown_members_and_nulls_are_ignored(wire, stream):
    answer = wire.call(
        "PutRecord", {"Nonsense": {"a": [1]}, "DeliveryStreamName": stream, "Record": {"Data": b64(b"x"), "More": None}}
    )
    answer.ok()
    wire.call("ListDeliveryStreams", {"Limit": None, "ExclusiveStartDeliveryStreamName": None}).ok()


def test_type_errors_come_before_constraint_errors(wire):
    answer = wire.call("PutRecord", {"DeliveryStreamName": "n" * 65, "Record": {"Data": 1}})
    assert answer.error == "SerializationException"


# --- constraints --------------------------------------------------------------------------------------------------------


def test_a_missing_member(wire):
    validation(
        wire.call("DescribeDeliveryStream", {}),
        "Value null at 'deliveryStreamName' failed to satisfy constraint: Member must not be null",
    )
    validation(
        wire.call("PutRecordBatch", {"DeliveryStreamName": "a"}),
        "Value null at 'records' failed to satisfy constraint: Member must not be null",
    )


def test_null_is_missing(wire):
    validation(
        wire.call("DescribeDeliveryStream", {"DeliveryStreamName": None}),
        "Value null at 'deliveryStreamName' failed to satisfy constraint: Member must not be null",
    )


def test_name_of_64_and_65_characters(wire):
    wire.create("n" * 64).ok()
    name = "n" * 65
    validation(
        wire.create(name),
        f"Value '{name}' at 'deliveryStreamName' failed to satisfy constraint: "
        "Member must have length less than or equal to 64",
    )


@pytest.mark.parametrize("name", ["a b", "a/b", "ä", "a\nb", "a:b"])
def test_bad_characters_in_a_name(wire, name):
    validation(
        wire.create(name),
        f"Value '{name}' at 'deliveryStreamName' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {NAME_PATTERN}",
    )


def test_an_empty_name_breaks_two_constraints(wire):
    answer = wire.call("DescribeDeliveryStream", {"DeliveryStreamName": ""})
    assert answer.error == "ValidationException"
    assert answer.message.startswith("2 validation errors detected: ")
    assert "Member must have length greater than or equal to 1" in answer.message
    assert f"Member must satisfy regular expression pattern: {NAME_PATTERN}" in answer.message


@pytest.mark.parametrize(
    ("limit", "phrase"),
    [(0, "greater than or equal to 1"), (-1, "greater than or equal to 1"), (10001, "less than or equal to 10000")],
)
def test_limits_of_numbers(wire, limit, phrase):
    validation(
        wire.call("ListDeliveryStreams", {"Limit": limit}),
        f"Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value {phrase}",
    )


def test_enum(wire):
    for member, path in (
        ("S3DestinationConfiguration", "s3DestinationConfiguration"),
        ("ExtendedS3DestinationConfiguration", "extendedS3DestinationConfiguration"),
    ):
        answer = wire.call("CreateDeliveryStream", {"DeliveryStreamName": "a", member: s3(CompressionFormat="SNAPPY")})
        validation(
            answer,
            f"Value 'SNAPPY' at '{path}.compressionFormat' failed to satisfy constraint: "
            "Member must satisfy enum value set: [ZIP, HADOOP_SNAPPY, Snappy, GZIP, UNCOMPRESSED]",
        )


@pytest.mark.parametrize(
    ("hints", "path", "phrase"),
    [
        ({"SizeInMBs": 0}, "sizeInMBs", "greater than or equal to 1"),
        ({"SizeInMBs": 129}, "sizeInMBs", "less than or equal to 128"),
        ({"IntervalInSeconds": -1}, "intervalInSeconds", "greater than or equal to 0"),
        ({"IntervalInSeconds": 901}, "intervalInSeconds", "less than or equal to 900"),
    ],
)
def test_buffering_hints(wire, hints, path, phrase):
    (value,) = hints.values()
    validation(
        wire.create("a", BufferingHints=hints),
        f"Value '{value}' at 's3DestinationConfiguration.bufferingHints.{path}' failed to satisfy constraint: "
        f"Member must have value {phrase}",
    )


def test_missing_arns_of_a_destination(wire):
    answer = wire.call("CreateDeliveryStream", {"DeliveryStreamName": "a", "S3DestinationConfiguration": {}})
    validation(
        answer,
        "Value null at 's3DestinationConfiguration.roleARN' failed to satisfy constraint: Member must not be null",
        "Value null at 's3DestinationConfiguration.bucketARN' failed to satisfy constraint: Member must not be null",
    )


def test_paths_name_the_shape_that_was_sent(wire):
    for member, path in (
        ("S3DestinationUpdate", "s3DestinationUpdate"),
        ("ExtendedS3DestinationUpdate", "extendedS3DestinationUpdate"),
    ):
        answer = wire.call(
            "UpdateDestination",
            {
                "DeliveryStreamName": "a",
                "CurrentDeliveryStreamVersionId": "1",
                "DestinationId": "d",
                member: {"CompressionFormat": "x"},
            },
        )
        assert f"Value 'x' at '{path}.compressionFormat' failed" in answer.message


def test_no_records_and_501_records(wire, stream):
    answer = wire.put_batch(stream, [])
    validation(
        answer, "Value '[]' at 'records' failed to satisfy constraint: Member must have length greater than or equal to 1"
    )
    answer = wire.put_batch(stream, [b""] * 501)
    assert (answer.status, answer.error) == (400, "ValidationException")
    assert answer.message.startswith("1 validation error detected: Value '[")
    assert answer.message.endswith(
        "at 'records' failed to satisfy constraint: Member must have length less than or equal to 500"
    )


def too_long(path: str, size: int) -> str:
    return (
        f"Value 'java.nio.HeapByteBuffer[pos=0 lim={size} cap={size}]' at '{path}' failed to satisfy constraint: "
        "Member must have length less than or equal to 1024000"
    )


def test_record_of_1024000_bytes_and_one_more(wire, stream):
    wire.put(stream, b"x" * 1_024_000).ok()
    validation(wire.put(stream, b"x" * 1_024_001), too_long("record.data", 1_024_001))
    validation(wire.put(stream, b"x" * 1_024_003), too_long("record.data", 1_024_003))


def test_every_offending_record_is_named_with_its_index(wire, stream):
    big = b"x" * 1_024_001
    answer = wire.put_batch(stream, [b"ok", big, b"ok", big + b"y"])
    validation(answer, too_long("records.2.member.data", 1_024_001), too_long("records.4.member.data", 1_024_002))


def test_a_record_without_data(wire, stream):
    answer = wire.call("PutRecordBatch", {"DeliveryStreamName": stream, "Records": [record(b"a"), {}]})
    validation(answer, "Value null at 'records.2.member.data' failed to satisfy constraint: Member must not be null")


def test_at_most_ten_errors(wire, stream):
    answer = wire.call("PutRecordBatch", {"DeliveryStreamName": stream, "Records": [{}] * 11})
    validation(
        answer,
        *(
            f"Value null at 'records.{i}.member.data' failed to satisfy constraint: Member must not be null"
            for i in range(1, 11)
        ),
    )


def test_errors_come_in_model_order(wire):
    answer = wire.call(
        "CreateDeliveryStream",
        {"S3DestinationConfiguration": s3(RoleARN="x", BufferingHints={"SizeInMBs": 0}), "DeliveryStreamName": "a b"},
    )
    assert answer.error == "ValidationException"
    positions = [answer.message.index(at) for at in ("'deliveryStreamName'", ".roleARN'", ".sizeInMBs'")]
    assert positions == sorted(positions)
    assert answer.message.startswith("3 validation errors detected: ")


def test_empty_data_is_a_record(wire, stream):
    assert wire.put(stream, b"").ok()["RecordId"]


def test_batch_of_4_mib_and_one_more_byte(wire, stream):
    mib = 1024 * 1024
    four = [b"x" * 1_000_000] * 4 + [b"y" * (4 * mib - 4_000_000)]
    assert wire.put_batch(stream, four).ok()["FailedPutCount"] == 0
    answer = wire.put_batch(stream, [*four, b"!"])
    assert answer.json == {"__type": "InvalidArgumentException", "message": "Records size exceeds 4 MB limit"}
    assert answer.status == 400


def test_nothing_of_a_refused_batch_is_stored(wire, node, name):
    from streams import active, bucket_of, directory_objects
    from node import eventually

    bucket = bucket_of(name)
    wire.create(name, BucketARN=f"arn:aws:s3:::{bucket}").ok()
    active(wire, name)
    assert wire.put_batch(name, [b"bad" * 100_000] * 14).status == 400
    assert wire.put_batch(name, [b"bad", b"x" * 1_024_001]).status == 400
    wire.put(name, b"good").ok()
    objects = eventually(lambda: directory_objects(node, bucket))
    assert list(objects.values()) == [b"good"]
