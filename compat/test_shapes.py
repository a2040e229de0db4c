"""Every request and response shape, against the models that AWS publishes: today's and that of October 2015.

Requests are mutated member by member, walking the model: whatever the model knows, the node must know too, with the
same type, the same constraints and the same name in the error.
"""

import re

import pytest
from botocore.model import Shape

from models import TODAY, java_pattern, model_of_2015, violations
from streams import active
from wire import record, s3

OPERATIONS = [
    "CreateDeliveryStream",
    "DeleteDeliveryStream",
    "DescribeDeliveryStream",
    "ListDeliveryStreams",
    "PutRecord",
    "PutRecordBatch",
    "UpdateDestination",
]
TAGS = ["TagDeliveryStream", "UntagDeliveryStream", "ListTagsForDeliveryStream"]
LATER_OPERATIONS = sorted(set(TODAY.operation_names) - set(OPERATIONS + TAGS))
# What the node refuses as a whole, and looks no further into.
OPAQUE = re.compile(
    r"(Elasticsearch|AmazonOpenSearchServerless|Amazonopensearchservice|Splunk|HttpEndpoint|Snowflake|Iceberg)Destination"
    r"(Configuration|Update)|(MSK|Database)SourceConfiguration"
    r"|DataFormatConversionConfiguration|DynamicPartitioningConfiguration|S3BackupConfiguration|S3BackupUpdate"
    r"|SecretsManagerConfiguration"
)
JAVA = {
    "string": (1, "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to an String"),
    "integer": ("x", "class java.lang.String can not be converted to an Integer"),
    "boolean": ("maybe", "'MAYBE' can not be converted to an Boolean"),
    "blob": (1, "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to a Blob"),
    "list": (1, "Expected list or null"),
    "structure": (1, "Expected null"),
}


def lower(name: str) -> str:
    return name[0].lower() + name[1:]


def example(shape: Shape):
    """A value of the right type with all required members; constraints are not its business."""
    match shape.type_name:
        case "structure":
            return {name: example(shape.members[name]) for name in shape.required_members}
        case "list":
            return [example(shape.member)]
        case "string":
            return (shape.metadata.get("enum") or ["x"])[0]
        case "blob":
            return "eA=="
        case "integer" | "long":
            return shape.metadata.get("min", 1)
        case "boolean":
            return False
        case "timestamp" | "double":
            return 1.0
    raise AssertionError(f"the test knows no {shape.type_name}")


def places(shape: Shape, path: str = "", put=lambda value: value, old: Shape | None = None):
    """(path in errors, shape, shape of 2015 if any, request with a value at that place) for every member, depth first."""
    for name, member in shape.members.items():

        def put_member(value, name=name):
            base = example(shape)
            base[name] = value
            return put(base)

        at = f"{path}.{lower(name)}".lstrip(".")
        before = old.members.get(name) if old else None
        yield at, member, before, put_member
        if OPAQUE.fullmatch(name):
            continue
        while member.type_name == "list":
            member, at = member.member, f"{at}.1.member"
            before = before.member if before else None
            outer = put_member
            put_member = lambda value, outer=outer: outer([value])  # noqa: E731
            yield at, member, before, put_member
        if member.type_name == "structure":
            yield from places(member, at, put_member, before)


def input_places(operation: str):
    old = None if operation in TAGS else model_of_2015().operation_model(operation).input_shape
    yield from places(TODAY.operation_model(operation).input_shape, old=old)


@pytest.mark.parametrize("operation", OPERATIONS + TAGS)
def test_every_member_has_the_type_of_the_model(wire, operation):
    wrong = []
    for path, shape, _, put in input_places(operation):
        value, text = JAVA[shape.type_name]
        answer = wire.call(operation, put(value))
        if answer.json != {"__type": "SerializationException", "Message": text}:
            wrong.append(f"{path} = {value!r}: {answer.body[:200]!r}")
    assert not wrong, "\n".join(wrong)


def breaches(shape: Shape, old: Shape | None):
    """(value, phrases one of which must appear) for every constraint of the model.

    Where 2015 and today differ, the node holds the looser one; either bound may be named.
    """
    both = [s.metadata for s in (shape, old) if s is not None]
    what = {"integer": "value", "long": "value"}.get(shape.type_name, "length")
    if shape.metadata.get("enum"):
        yield "no-such-value", ["Member must satisfy enum value set: ["]
        return
    make = {
        "string": lambda n: "x" * n,
        "integer": lambda n: n,
        "list": lambda n: [example(shape.member)] * n,
    }.get(shape.type_name)
    if make is None:
        return
    if all("max" in metadata for metadata in both):
        top = max(metadata["max"] for metadata in both)
        yield make(top + 1), [f"Member must have {what} less than or equal to {m['max']}" for m in both]
    if all("min" in metadata for metadata in both):
        bottom = min(metadata["min"] for metadata in both)
        if what == "value" or bottom > 0:
            yield make(bottom - 1), [f"Member must have {what} greater than or equal to {m['min']}" for m in both]
    patterns = [metadata.get("pattern", ".*") for metadata in both]
    if shape.type_name == "string" and ".*" not in patterns:
        for value in ("a b/c:d", "a;{b}", " "):
            if not any(re.fullmatch(java_pattern(pattern), value) for pattern in patterns):
                yield value, ["Member must satisfy regular expression pattern: "]
                break
        else:
            raise AssertionError(f"no example breaks {patterns}")


@pytest.mark.parametrize("operation", OPERATIONS + TAGS)
def test_every_member_has_the_constraints_of_the_model(wire, operation):
    wrong, tried = [], 0
    for path, shape, old, put in input_places(operation):
        for value, phrases in breaches(shape, old):
            tried += 1
            answer = wire.call(operation, put(value))
            sought = [f"at '{path}' failed to satisfy constraint: {phrase}" for phrase in phrases]
            if answer.error != "ValidationException" or not any(text in answer.message for text in sought):
                wrong.append(f"{path} = {str(value)[:50]!r}: wanted {phrases}, got {answer.body[:300]!r}")
    assert tried > 0
    assert not wrong, f"{len(wrong)} of {tried}:\n" + "\n".join(wrong)


@pytest.mark.parametrize("operation", OPERATIONS + TAGS)
def test_every_required_member_is_required(wire, operation):
    wrong = []

    def check(shape, path, put):
        for name in shape.required_members:
            base = example(shape)
            del base[name]
            at = f"{path}.{lower(name)}".lstrip(".")
            answer = wire.call(operation, put(base))
            text = f"Value null at '{at}' failed to satisfy constraint: Member must not be null"
            if answer.error != "ValidationException" or text not in answer.message:
                wrong.append(f"{at}: {answer.body[:300]!r}")

    check(TODAY.operation_model(operation).input_shape, "", lambda value: value)
    for path, shape, _, put in input_places(operation):
        if shape.type_name == "structure" and not any(OPAQUE.fullmatch(part[0].upper() + part[1:]) for part in path.split(".")):
            check(shape, path, put)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("operation", LATER_OPERATIONS)
def test_operations_of_later_years_are_unknown(wire, operation):
    shape = TODAY.operation_model(operation).input_shape
    answer = wire.call(operation, example(shape))
    assert (answer.status, answer.body) == (400, b'{"__type":"UnknownOperationException"}')


@pytest.mark.parametrize("operation", ["CreateDeliveryStream", "UpdateDestination"])
def test_whatever_is_not_supported_is_refused_by_name(wire, stream, operation):
    """A destination or a source that the node cannot do must not be ignored."""
    shape = TODAY.operation_model(operation).input_shape
    tried = 0
    for name, member in shape.members.items():
        if member.type_name != "structure" or re.fullmatch(r"(ExtendedS3|S3|Redshift)Destination\w+|DirectPutSourceConfiguration", name):
            continue
        tried += 1
        body = {"DeliveryStreamName": stream, name: example(member)}
        if operation == "UpdateDestination":
            body |= {"CurrentDeliveryStreamVersionId": "1", "DestinationId": "destinationId-000000000001"}
        elif not name.endswith("DestinationConfiguration"):
            body["S3DestinationConfiguration"] = s3()
        answer = wire.call(operation, body)
        if answer.error == "ValidationException" and not OPAQUE.fullmatch(name):
            continue
        assert (answer.status, answer.error) == (400, "InvalidArgumentException"), (name, answer.body)
        assert name in answer.message, (name, answer.body)
    assert tried >= 7


def test_every_answer_about_tags_fits_the_model(wire, stream):
    for operation, body in (
        ("TagDeliveryStream", {"Tags": [{"Key": "k", "Value": "v"}, {"Key": "empty"}]}),
        ("ListTagsForDeliveryStream", {"Limit": 1}),
        ("UntagDeliveryStream", {"TagKeys": ["k"]}),
    ):
        answer = wire.call(operation, {"DeliveryStreamName": stream, **body}).ok()
        assert violations(TODAY.operation_model(operation).output_shape, answer, path=operation) == []


def test_every_answer_fits_both_models(wire, name):
    old = model_of_2015()

    def check(operation: str, body: dict) -> dict:
        answer = wire.call(operation, body).ok()
        today = TODAY.operation_model(operation).output_shape
        assert violations(today, answer, path=operation) == []
        then = old.operation_model(operation).output_shape
        assert violations(then, answer, path=f"2015 {operation}", unknown=True) == []
        return answer

    here = {"DeliveryStreamName": name}
    update = {**here, "DestinationId": "destinationId-000000000001"}
    check("CreateDeliveryStream", {**here, "S3DestinationConfiguration": s3(Prefix="p/")})
    check("DescribeDeliveryStream", here)
    active(wire, name)
    check("DescribeDeliveryStream", here)
    check("ListDeliveryStreams", {})
    check("PutRecord", {**here, "Record": record(b"x")})
    check("PutRecordBatch", {**here, "Records": [record(b"x"), record(b"")]})
    for version, members in enumerate(({"Prefix": ""}, {"CompressionFormat": "HADOOP_SNAPPY"}), start=1):
        if version == 2:
            # the format is younger than 2015's enum: from here on only today's model holds
            wire.call("UpdateDestination", {**update, "CurrentDeliveryStreamVersionId": "2", "S3DestinationUpdate": members}).ok()
            answer = wire.call("DescribeDeliveryStream", here).ok()
            assert violations(TODAY.operation_model("DescribeDeliveryStream").output_shape, answer) == []
        else:
            check("UpdateDestination", {**update, "CurrentDeliveryStreamVersionId": "1", "S3DestinationUpdate": members})
            check("DescribeDeliveryStream", here)
    check("DescribeDeliveryStream", {**here, "ExclusiveStartDestinationId": "destinationId-000000000001"})
    check("DeleteDeliveryStream", here)


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("DescribeDeliveryStream", {"DeliveryStreamName": "nobody"}),
        ("CreateDeliveryStream", {"DeliveryStreamName": "nobody"}),
        ("UpdateDestination", {"DeliveryStreamName": "a b"}),
    ],
)
def test_errors_are_of_the_model(wire, operation, body):
    """Every modelled error's shape: `message` and nothing that the model does not know."""
    answer = wire.call(operation, body)
    named = {shape.name: shape for shape in TODAY.operation_model(operation).error_shapes}
    assert answer.error in named or answer.error == "ValidationException"
    members = {key: value for key, value in answer.json.items() if key != "__type"}
    if answer.error in named:
        assert violations(named[answer.error], members) == []
