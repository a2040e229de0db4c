"""`hydrant put` and the other commands, run as a user runs them."""

import collections
import gzip
import json
import pathlib
import random
import subprocess

import pytest

from keys import MAIN_KEY
from node import binary, clean_env, eventually
from streams import active, directory_objects, drained


def hydrant(node, *args: str, input_: bytes | None = None, fails: bool = False) -> subprocess.CompletedProcess:
    """Runs a command against the node, signed with its first key."""
    env = clean_env(
        AWS_ENDPOINT_URL_FIREHOSE=node.url, AWS_REGION="us-east-1", HYDRANT_ADMIN=f"http://127.0.0.1:{node.admin_port}",
        AWS_ACCESS_KEY_ID=MAIN_KEY.access_key, AWS_SECRET_ACCESS_KEY=MAIN_KEY.secret_key,
    )
    done = subprocess.run([binary(), *args], input=input_, capture_output=True, timeout=300, env=env)
    assert (done.returncode != 0) == fails, f"{args} ended with {done.returncode}: {done.stdout!r} {done.stderr!r}"
    return done


def started(make_node, *args: str, config: str = "", **members):
    node = make_node(args=("--max-interval", "1", *args), config=config)
    node.wire().create("s", **members).ok()
    active(node.wire(), "s")
    return node


def delivered(node) -> bytes:
    """What the bucket holds, object after object in the order of their positions, which is that of their names here."""
    drained(node, "s", 120)
    return b"".join(body for _, body in sorted(directory_objects(node, "bucket").items()))


def sorted_lines(data: bytes) -> list[bytes]:
    return sorted(data.splitlines(keepends=True))


def test_system_logs(make_node, tmp_path):
    """Real logs of this machine, whatever it has; a made one too, so that there is always something."""
    node = started(make_node, "--quotas", "unlimited")
    logs = [path for path in sorted(pathlib.Path("/var/log").glob("*.log")) if path.stat().st_size < 20_000_000]
    made = tmp_path / "made.log"
    chance = random.Random(3)
    made.write_bytes(b"".join(b"%s line %d\n" % (chance.randbytes(20).hex().encode(), i) for i in range(50_000)) + b"no newline at the end")
    files = [*logs, made]  # the one that ends without a newline last: records are glued as they are
    files = [path for path in files if path == made or path.read_bytes()[-1:] == b"\n"]
    done = hydrant(node, "put", "s", *map(str, files), "--json")
    summary = json.loads(done.stdout)
    wanted = b"".join(path.read_bytes() for path in files)
    assert summary["bytes"] == len(wanted)
    found = delivered(node)
    assert len(found) == len(wanted)
    assert collections.Counter(found.splitlines()) == collections.Counter(wanted.splitlines())


def test_a_large_csv_byte_for_byte(make_node, tmp_path):
    """One object holds it all, so that the order of the records shows too."""
    node = make_node(args=("--quotas", "unlimited"))
    node.wire().create("s", BufferingHints={"SizeInMBs": 128, "IntervalInSeconds": 900}, CompressionFormat="GZIP").ok()
    active(node.wire(), "s")
    chance = random.Random(4)
    csv = b"id,name,value\r\n" + b"".join(
        b"%d,\"row %d, quoted\",%f\r\n" % (i, i, chance.random()) for i in range(400_000)
    )
    path = tmp_path / "large.csv"
    path.write_bytes(csv)
    hydrant(node, "put", "s", str(path))
    hydrant(node, "flush", "s")
    (body,) = eventually(lambda: directory_objects(node, "bucket").values(), 60)
    assert gzip.decompress(body) == csv


def test_standard_input_and_other_delimiters(make_node):
    node = started(make_node, "--quotas", "unlimited")
    hydrant(node, "put", "s", "--delimiter", r"\0", input_=b"a\nb\0c\0\0d")
    assert delivered(node) == b"a\nb\0c\0\0d"


def test_a_binary_as_one_record_for_each_file(make_node, tmp_path):
    node = started(make_node, "--quotas", "unlimited")
    noise = random.Random(5)
    files = []
    for i in range(8):
        path = tmp_path / f"{i}.bin"
        path.write_bytes(bytes([i]) + noise.randbytes(1_023_999))
        files.append(path)
    done = hydrant(node, "put", "s", "--whole", "--json", *map(str, files))
    assert json.loads(done.stdout)["records"] == 8
    found = delivered(node)
    records = [found[i : i + 1_024_000] for i in range(0, len(found), 1_024_000)]
    assert sorted(records) == sorted(path.read_bytes() for path in files)


def test_a_file_that_is_too_large_for_a_record_is_named(make_node, tmp_path):
    node = started(make_node, "--quotas", "unlimited")
    path = tmp_path / "too-large.bin"
    path.write_bytes(b"x" * 1_024_001)
    done = hydrant(node, "put", "s", "--whole", str(path), fails=True)
    assert b"too-large.bin" in done.stderr


@pytest.mark.slow
def test_a_throttled_put_slows_down_and_finishes(make_node, tmp_path):
    """Against the quotas of 2015, with more than they take: every line once, none sent again that was taken."""
    node = started(make_node)
    lines = b"".join(b"%06d %s\n" % (i, b"x" * 40) for i in range(40_000))
    path = tmp_path / "lines"
    path.write_bytes(lines)
    done = hydrant(node, "put", "s", str(path), "--json")
    summary = json.loads(done.stdout)
    assert summary["records"] == 40_000 and summary["resent"] > 0, "it was throttled"
    assert sorted_lines(delivered(node)) == sorted_lines(lines)


def test_an_unknown_stream_and_a_wrong_key_end_at_once_with_a_reason(make_node):
    node = started(make_node, "--quotas", "unlimited")
    assert b"nobody" in hydrant(node, "put", "nobody", input_=b"x\n", fails=True).stderr
    node.keys = ()
    env = clean_env(
        AWS_ENDPOINT_URL_FIREHOSE=node.url, AWS_REGION="us-east-1", AWS_ACCESS_KEY_ID="AKIDNOBODY", AWS_SECRET_ACCESS_KEY="x"
    )
    done = subprocess.run([binary(), "put", "s"], input=b"x\n", capture_output=True, timeout=60, env=env)
    assert done.returncode != 0 and b"security token" in done.stderr


def test_streams_flush_and_trace(make_node):
    node = make_node(args=("--quotas", "unlimited"))
    wire = node.wire()
    wire.create("s", Prefix="logs/", CompressionFormat="ZIP").ok()
    active(wire, "s")
    record_id = wire.put("s", b"x").ok()["RecordId"]
    table = hydrant(node, "streams").stdout.decode()
    assert "s" in table.split() and "ACTIVE" in table
    assert "buffered" in hydrant(node, "trace", record_id).stdout.decode()
    hydrant(node, "flush", "s")
    (key,) = eventually(lambda: directory_objects(node, "bucket"))
    assert key in hydrant(node, "trace", record_id).stdout.decode()


@pytest.mark.slow
def test_demo_proves_itself(tmp_path):
    """The first command of the README."""
    done = subprocess.run([binary(), "demo"], capture_output=True, timeout=300, env=clean_env(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"
