"""A data directory that is not as the program left it: read-only, of another format, damaged, or not all there.

What cannot be opened is refused with an error that names the place and says what to do, and is left as it is. What is
damaged in part is opened: the rest is delivered.
"""

import hashlib
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import zlib

import pytest

from disks import NoMount, SmallDisk
from node import Node, clean_env, eventually
from producer import Load
from radosgw import die_with_parent
from streams import active, bodies_below, drained, status_of

QUICK = ("--quotas", "unlimited", "--max-interval", "1")
# So small that segments have 64 KiB: damage in one of many.
SMALL = ("--quotas", "unlimited", "--max-log-bytes", "512KiB")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A data directory with an undelivered stream and a delivered one, of a node that was killed."""
    directory = tmp_path_factory.mktemp("original")
    node = Node(directory, args=SMALL).start()
    wire = node.wire()
    for name in ("waits", "done", "gone"):
        wire.create(name, BucketARN=f"arn:aws:s3:::{name}").ok()
        active(wire, name)
    for i in range(5):
        wire.put("done", b"%d" % i).ok()
    assert node.admin_json("/api/streams/123456789012/us-east-1/done/flush", "POST")["objects"] == 1
    for i in range(30):
        wire.put("waits", b"%02d" % i + b"w" * 6000).ok()
    wire.delete("gone").ok()
    eventually(lambda: wire.call("DescribeDeliveryStream", {"DeliveryStreamName": "gone"}).status == 400)
    node.kill()
    return node.data_dir


@pytest.fixture
def copied(original, tmp_path):
    """A node on a copy of it, not started."""
    node = Node(tmp_path / "node", args=SMALL)
    shutil.copytree(original, node.data_dir)
    yield node
    node.kill()


def fingerprint(directory: pathlib.Path) -> dict[str, str]:
    """Everything in a directory but what every opening notes: who has the lock, that the catalog is open, and trims anew."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory"
        for path in sorted(directory.rglob("*"))
        if path.name not in ("LOCK", "catalog.redb", "lanes")
    }


def refuses(node: Node, *said: str, user: int | None = None, changes_nothing: bool = True) -> str:
    """The node does not start: one line says why, and nothing was changed."""

    def before() -> None:
        die_with_parent()
        if user is not None:
            os.setgid(user)
            os.setuid(user)

    before_it = fingerprint(node.data_dir)
    done = subprocess.run(
        node.command(), capture_output=True, text=True, timeout=30, env=clean_env(), cwd="/", preexec_fn=before
    )
    assert done.returncode == 1, done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("hydrant: "), done.stderr
    assert "panicked" not in done.stderr
    for text in said:
        assert text in line, f"{text!r} is not in: {line}"
    assert "is ready" not in done.stdout
    assert fingerprint(node.data_dir) == before_it or not changes_nothing, "nothing is changed"
    return line


def delivers(node: Node, records: int = 30) -> list[bytes]:
    """The node starts, takes a record, and delivers at least so many that waited. Returns the numbers of those."""
    node.args = [*node.args, "--max-interval", "1"]
    node.start()
    wire = node.wire()
    wire.put("waits", b"XX" + b"w" * 6000).ok()
    wire.put("done", b"more").ok()
    drained(node, "waits")
    drained(node, "done")
    whole = b"".join(bodies_below(node.data_dir / "buckets" / "waits"))
    found = [piece[:2] for piece in (whole[i : i + 6002] for i in range(0, len(whole), 6002))]
    assert len(whole) % 6002 == 0 and len(set(found)) == len(found), "whole records, each once"
    assert b"XX" in found, "what is put after the start arrives"
    numbers = sorted(set(found) - {b"XX"})
    assert len(numbers) >= records
    assert sorted(bodies_below(node.data_dir / "buckets" / "done")) == [b"01234", b"more"]
    assert wire.call("DescribeDeliveryStream", {"DeliveryStreamName": "gone"}).status == 400
    return numbers


def segments(node: Node) -> list[pathlib.Path]:
    return sorted((node.data_dir / "log").glob("*.seg"))


def overwrite(path: pathlib.Path, offset: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def crc(data: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(data))


def test_nothing_is_wrong_with_the_original(copied):
    assert len(segments(copied)) >= 3
    assert len(delivers(copied)) == 30


# --- another format -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"hydrant-data 2\n", "newer"),
        (b"hydrant-data 1x\n", "newer"),
        (b"something else\n", "hydrant-data"),
        (b"\xff\xfe\x00", "FORMAT"),
        (b"", "hydrant-data"),
        (None, "restore"),
    ],
)
def test_the_format_file(copied, text, said):
    path = copied.data_dir / "FORMAT"
    path.unlink() if text is None else path.write_bytes(text)
    refuses(copied, str(path), said)


def test_a_segment_of_a_newer_version(copied):
    path = segments(copied)[1]
    header = bytearray(path.read_bytes()[:48])
    header[8:12] = struct.pack("<I", 2)
    # An old program must not take a new file for damage: the trailer is of the new version, too.
    trailer = bytearray(path.read_bytes()[-96:-4])
    trailer[8:12] = struct.pack("<I", 2)
    size = path.stat().st_size
    whole = path.read_bytes()
    for offset in (0, 2048):
        overwrite(path, offset, bytes(header) + crc(header))
    overwrite(path, size - 96, bytes(trailer) + crc(trailer))
    refuses(copied, str(path), "version")
    path.write_bytes(whole)
    assert len(delivers(copied)) == 30, "the attempt did no harm"


def test_a_lanes_file_of_a_newer_version(copied):
    path = copied.data_dir / "log" / "lanes"
    header = b"HYDRLANE" + struct.pack("<I", 99)
    overwrite(path, 0, header + crc(header))
    refuses(copied, str(path), "version")


def test_a_checkpoint_of_a_newer_format_is_not_guessed_at(copied):
    """Each value says its format. A stream whose checkpoint says a later one stands still, and says why."""
    path = copied.data_dir / "catalog.redb"
    whole = path.read_bytes()
    assert whole.count(b'{"format":1,"owner"') > 0
    path.write_bytes(whole.replace(b'{"format":1,"owner"', b'{"format":7,"owner"'))
    copied.start()
    error = eventually(lambda: status_of(copied, "waits").get("last_error"), 20, "the error shows")
    assert "format 7" in error["message"], error
    assert status_of(copied, "waits")["backlog_records"] == 30
    copied.kill()
    path.write_bytes(whole)
    assert len(delivers(copied)) == 30, "the attempt did no harm"


# --- damage that leaves nothing to open ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 100, 4096, 0.5, -1])
def test_a_truncated_catalog(copied, size):
    path = copied.data_dir / "catalog.redb"
    whole = path.stat().st_size
    saved = path.read_bytes()
    os.truncate(path, whole - 1 if size < 0 else int(whole * size) if isinstance(size, float) else size)
    refuses(copied, str(path))
    if size == 0:
        path.write_bytes(saved)
        assert len(delivers(copied)) == 30, "the attempt did no harm"


@pytest.mark.parametrize("what", ["all", "head", "zeros"])
def test_a_catalog_of_garbage(copied, what):
    path = copied.data_dir / "catalog.redb"
    size = path.stat().st_size
    garbage = bytes(size) if what == "zeros" else os.urandom(size)
    overwrite(path, 0, garbage[:512] if what == "head" else garbage)
    refuses(copied, str(path))


def test_a_missing_catalog(copied):
    path = copied.data_dir / "catalog.redb"
    path.unlink()
    refuses(copied, str(path), "missing", "restore")


def test_a_missing_log(copied):
    """Streams without their log would number records anew, below what is known to be delivered."""
    log, aside = copied.data_dir / "log", copied.data_dir / "aside"
    log.rename(aside)
    refuses(copied, str(log), "missing", "restore")
    log.mkdir()
    refuses(copied, str(log), "missing", "restore")
    log.rmdir()
    aside.rename(log)
    assert len(delivers(copied)) == 30, "the attempt did no harm"


def test_a_lanes_file_of_garbage(copied):
    path = copied.data_dir / "log" / "lanes"
    path.write_bytes(os.urandom(400))
    refuses(copied, str(path), "damaged")


@pytest.mark.parametrize("name", ["log", "catalog.redb", "FORMAT", "LOCK", "secret.key"])
def test_something_else_of_that_name(copied, name):
    """A directory where a file should be, and the other way round."""
    path = copied.data_dir / name
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("a file")
    else:
        path.unlink()
        path.mkdir()
    # The key is needed last, when the log has been recovered.
    refuses(copied, str(path), changes_nothing=name != "secret.key")


def test_a_data_directory_that_is_a_file(tmp_path):
    node = Node(tmp_path / "node")
    node.data_dir.write_text("a file")
    done = subprocess.run(node.command(), capture_output=True, text=True, timeout=30, env=clean_env(), cwd="/")
    assert done.returncode == 1 and str(node.data_dir) in done.stderr
    assert node.data_dir.read_text() == "a file"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_elses_directory(original):
    # pytest's own directories are root's alone.
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        node = Node(pathlib.Path(directory) / "node", args=SMALL)
        shutil.copytree(original, node.data_dir)
        try:
            refuses(node, str(node.data_dir), "Permission denied", user=65534)
        except PermissionError as error:
            pytest.skip(f"NOBODY TRIED: another user may not run the program under test: {error}")


def test_a_read_only_data_directory(copied, tmp_path):
    try:
        with SmallDisk(tmp_path / "disk", 64 << 20) as disk:
            shutil.move(copied.data_dir, disk.path / "data")
            copied.data_dir = disk.path / "data"
            copied.args = [*SMALL, "--min-free-bytes", "1MiB"]
            disk.read_only()
            refuses(copied, str(copied.data_dir), "Read-only file system")
            disk.read_only(False)
            delivers(copied)
            copied.kill()
    except NoMount as error:
        pytest.skip(f"NOTHING WAS MADE READ-ONLY: this test must mount a tmpfs, and this machine refuses: {error}")


# --- damage in part -----------------------------------------------------------------------------------------------------


def test_a_segment_of_garbage(copied):
    """It is named, counted and left; the other segments are delivered."""
    path = segments(copied)[1]
    garbage = os.urandom(path.stat().st_size)
    path.write_bytes(garbage)
    numbers = delivers(copied, 10)
    assert len(numbers) < 30
    assert path.name in copied.tail(20_000), "the log says which file"
    assert b"LogDamagedFrames" in copied.admin("/metrics")[1]
    assert path.read_bytes() == garbage, "left as it is"


@pytest.mark.parametrize("where", ["header", "frame", "footer", "cut"])
def test_a_segment_with_a_hole(copied, where):
    path = segments(copied)[1]
    size = path.stat().st_size
    if where == "header":
        overwrite(path, 0, os.urandom(4096))
    elif where == "frame":
        overwrite(path, 4096 + 3000, os.urandom(500))
    elif where == "footer":
        overwrite(path, size - 300, os.urandom(300))
    else:
        os.truncate(path, size // 2)
    lost = {"header": 0, "frame": 1, "footer": 0, "cut": 9}[where]
    assert len(delivers(copied, 30 - lost)) <= 30
    assert path.name in copied.tail(20_000) or where == "header", "the log says which file"


def test_missing_segments(copied):
    """Also the newest, whose positions were given out: what comes after them is delivered all the same."""
    found = segments(copied)
    for path in found[1:]:
        path.unlink()
    numbers = delivers(copied, 5)
    assert len(numbers) < 30


def test_all_segments_are_missing(copied):
    for path in segments(copied):
        path.unlink()
    delivers(copied, 0)


def test_a_missing_lanes_file(copied):
    """It is the witness of what was given out and removed: without it a log is not whole."""
    path = copied.data_dir / "log" / "lanes"
    path.unlink()
    refuses(copied, str(path), "missing", "restore")


def test_damaged_records_in_the_lanes_file(copied):
    path = copied.data_dir / "log" / "lanes"
    overwrite(path, 16, os.urandom(24))
    assert len(delivers(copied)) == 30


def test_a_missing_key_file_costs_passwords_alone(copied):
    (copied.data_dir / "secret.key").unlink()
    assert len(delivers(copied)) == 30


def test_strange_files_are_left_alone(copied):
    strange = [copied.data_dir / "notes.txt", copied.data_dir / "log" / "README", copied.data_dir / "buckets" / "lost+found"]
    for path in strange:
        path.write_text("mine")
    assert len(delivers(copied)) == 30
    assert all(path.read_text() == "mine" for path in strange)


def test_damage_under_load(make_node, request):
    """A bucket's directory is removed while the node delivers there: it is made again, and only what lay there is gone."""
    node = make_node(args=QUICK)
    wire = node.wire()
    wire.create("s").ok()
    active(wire, "s")
    with Load(node, ["s"], 1, each=2) as load:
        eventually(lambda: list(bodies_below(node.data_dir / "buckets")), 20)
        shutil.rmtree(node.data_dir / "buckets", ignore_errors=True)
        eventually(lambda: list(bodies_below(node.data_dir / "buckets")), 20)
    drained(node, "s")
    assert not load.errors()
    assert status_of(node, "s").get("last_error") is None
