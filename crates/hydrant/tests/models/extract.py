#!/usr/bin/env python3
"""Writes down, in one line for each fact, what a botocore service model says of the operations that this node
carries out: `extract.py service-2.json > today.txt`. `models.rs` reads the result.

    operation NAME INPUT OUTPUT ERROR…
    structure NAME            followed by its members, indented: NAME SHAPE, `!` after a name that is required
    list NAME ELEMENT 0..50   bounds of lists, strings, blobs and integers, where the model has them
    string NAME 1..64 secret /PATTERN/
    enum NAME VALUE…
    TYPE NAME                 everything else
"""

import json
import sys

OPERATIONS = """CreateDeliveryStream DeleteDeliveryStream DescribeDeliveryStream ListDeliveryStreams
    ListTagsForDeliveryStream PutRecord PutRecordBatch TagDeliveryStream UntagDeliveryStream
    UpdateDestination""".split()

# Structures of destinations and sources that the node refuses as a whole: named, but not looked into.
CLOSED = (
    "Elasticsearch Amazonopensearchservice AmazonOpenSearchServerless Splunk HttpEndpoint Snowflake"
    " Iceberg MSKSource DatabaseSource SourceDescription SchemaConfiguration InputFormatConfiguration"
    " OutputFormatConfiguration"
).split()


def bounds(shape):
    low, high = shape.get("min"), shape.get("max")
    if low is None and high is None:
        return ""
    return f" {'' if low is None else low}..{'' if high is None else high}"


def main(path):
    with open(path, encoding="utf-8") as file:
        model = json.load(file)
    shapes, wanted, lines = model["shapes"], [], []

    def want(name):
        if name not in wanted:
            wanted.append(name)

    for name in OPERATIONS:
        operation = model["operations"].get(name)
        if operation is None:
            continue
        errors = [error["shape"] for error in operation.get("errors", [])]
        ends = [operation[end]["shape"] for end in ("input", "output")]
        lines.append(" ".join(["operation", name, *ends, *sorted(errors)]))
        for end in ends:
            want(end)

    for name in wanted:
        shape = shapes[name]
        kind = shape["type"]
        if kind == "structure":
            lines.append(f"structure {name}")
            if name.startswith(tuple(CLOSED)):
                continue
            for member, target in shape.get("members", {}).items():
                required = "!" if member in shape.get("required", []) else ""
                lines.append(f"  {member}{required} {target['shape']}")
                want(target["shape"])
        elif kind == "list":
            lines.append(f"list {name} {shape['member']['shape']}{bounds(shape)}")
            want(shape["member"]["shape"])
        elif "enum" in shape:
            lines.append(" ".join(["enum", name, *shape["enum"]]))
        else:
            secret = " secret" if shape.get("sensitive") else ""
            pattern = shape.get("pattern", "")
            pattern = f" /{pattern}/" if pattern else ""
            lines.append(f"{kind} {name}{bounds(shape)}{secret}{pattern}")
    print("\n".join(lines))


main(sys.argv[1])
