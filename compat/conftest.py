"""Fixtures: nodes, a real S3, names that do not collide."""

import itertools
import os
import shutil

import pytest

from keys import KEYS
from node import Node, binary
from radosgw import Radosgw
from s3client import S3Client
from streams import active, bucket_of

numbers = itertools.count(1)


def pytest_sessionstart(session):
    if not os.access(binary(), os.X_OK):
        pytest.exit(f"{binary()} is not there: run `cargo build`, or set HYDRANT_BIN", returncode=3)


@pytest.fixture
def name(request) -> str:
    """A stream name that no other test uses."""
    stem = "".join(c if c.isalnum() else "-" for c in request.node.originalname)[:40]
    return f"{stem}-{next(numbers)}"


@pytest.fixture
def region() -> str:
    """A region that no other test uses: streams of different regions do not see each other."""
    return f"eu-test-{next(numbers)}"


@pytest.fixture
def make_node(tmp_path, request):
    """A function that starts nodes, which are stopped at the end; logs are shown when the test fails."""
    nodes = []

    def make(**options) -> Node:
        node = Node(tmp_path / f"node-{len(nodes)}", **options)
        nodes.append(node)
        return node.start()

    yield make
    for node in nodes:
        node.kill()
        request.node.add_report_section("teardown", str(node.log), node.tail())
        shutil.rmtree(node.data_dir, ignore_errors=True)


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """One node for all tests that do no harm to it: closed (keys), no quotas, quick delivery to directories."""
    with Node(
        tmp_path_factory.mktemp("shared"),
        keys=KEYS,
        args=("--quotas", "unlimited", "--max-interval", "1"),
    ) as node:
        yield node


@pytest.fixture
def wire(node):
    return node.wire()


@pytest.fixture(scope="session")
def s3_store():
    """The real S3, started once for all tests that need it."""
    with Radosgw() as store:
        yield store


@pytest.fixture
def stream(wire, name):
    """An ACTIVE stream on the shared node that delivers to the directory of bucket `bucket-NAME`."""
    wire.create(name, BucketARN=f"arn:aws:s3:::{bucket_of(name)}").ok()
    active(wire, name)
    return name


# --- the real S3 ------------------------------------------------------------------------------------------------------

QUICK = ("--quotas", "unlimited", "--max-interval", "1")


def s3_env(store: Radosgw, secret: str | None = None, who: str = "") -> dict[str, str]:
    """The usual AWS variables, as a user would set them."""
    info = store.info()
    return {
        "AWS_ACCESS_KEY_ID": info[who + "access_key"],
        "AWS_SECRET_ACCESS_KEY": secret or info[who + "secret_key"],
    }


@pytest.fixture(scope="session")
def s3_client(s3_store):
    """Reads as the owner of the buckets."""
    return S3Client(s3_store.info())


@pytest.fixture(scope="session")
def s3_role_client(s3_store):
    """Reads as the role that streams assume."""
    return S3Client.as_role(s3_store.info())


@pytest.fixture
def own_s3_store():
    """A store of the test's own, to be stopped, hung and brought back."""
    with Radosgw() as store:
        yield store, S3Client(store.info())


@pytest.fixture
def make_s3_node(make_node, s3_store_of):
    """Starts nodes of the test's own in front of a real S3."""

    def make(*, store=None, secret=None, args=QUICK, **options):
        store = store or s3_store_of()
        return make_node(args=(*args, "--s3-endpoint", store.endpoint), env=s3_env(store, secret), **options)

    return make


@pytest.fixture
def s3_store_of(request):
    """The shared store, started only when asked for."""
    return lambda: request.getfixturevalue("s3_store")


@pytest.fixture(scope="session")
def s3_node(tmp_path_factory, s3_store):
    """The shared node in front of the real S3, with the credentials of the environment for every bucket."""
    args = (*QUICK, "--s3-endpoint", s3_store.endpoint)
    with Node(tmp_path_factory.mktemp("s3"), keys=KEYS, args=args, env=s3_env(s3_store)) as node:
        yield node


@pytest.fixture(scope="session")
def s3_role_node(tmp_path_factory, s3_store):
    """The shared node that assumes each stream's role at the store's STS endpoint. It may write nothing by itself."""
    info = s3_store.info()
    config = f'''
[[buckets]]
match = "*"
type = "s3"
endpoint = "{info["endpoint"]}"
sts_endpoint = "{info["sts_endpoint"]}"
'''
    with Node(tmp_path_factory.mktemp("role"), keys=KEYS, args=QUICK, config=config, env=s3_env(s3_store, who="assumer_")) as node:
        yield node
