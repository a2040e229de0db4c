"""Waiting for streams, and reading what they delivered to a directory."""

import pathlib

from node import Node, eventually


def bucket_of(name: str) -> str:
    return f"bucket-{name.lower()}"


def active(wire, name: str) -> dict:
    """Waits until the stream is ACTIVE and returns its description."""

    def check():
        description = wire.describe(name)
        return description if description["DeliveryStreamStatus"] == "ACTIVE" else None

    return eventually(check, what=f"{name} is ACTIVE")


def gone(wire, name: str) -> None:
    """Waits until the stream is no more."""
    eventually(
        lambda: wire.call("DescribeDeliveryStream", {"DeliveryStreamName": name}).status == 400, what=f"{name} is gone"
    )


def directory_objects(node: Node, bucket: str) -> dict[str, bytes]:
    """Key to body of every object of a directory bucket."""
    root = pathlib.Path(node.data_dir) / "buckets" / bucket
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".hydrant" not in path.parts
    }


def directory_bodies(node: Node, bucket: str):
    """The body of every object of a directory bucket, one by one."""
    root = pathlib.Path(node.data_dir) / "buckets" / bucket
    return bodies_below(root)


def bodies_below(root: pathlib.Path):
    """The body of every object below a directory, one by one."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and ".hydrant" not in path.parts:
            yield path.read_bytes()


def status_of(node: Node, name: str, region: str = "us-east-1") -> dict:
    """What the admin port says of a stream of the main account."""
    (status,) = [
        stream
        for stream in node.admin_json("/api/streams")["streams"]
        if (stream["region"], stream["name"]) == (region, name)
    ]
    return status


def drained(node: Node, name: str, seconds: float = 60) -> None:
    """Waits until nothing of the stream waits for delivery."""
    eventually(lambda: status_of(node, name).get("backlog_records") == 0, seconds, f"{name} is drained")
