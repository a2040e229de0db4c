"""A full disk and back: nothing acknowledged in error, nothing lost, nothing twice, and no restart needed.

The disk is a small tmpfs, which takes root to mount. The tests that limit the log by settings instead need no mount.
"""

import random
import time

import pytest

from disks import NoMount, SmallDisk
from node import Node, eventually
from producer import Load
from streams import active, bodies_below, directory_objects, drained, status_of
from test_crash import seed_of, tell
from wire import record

MIB = 1 << 20
QUICK = ("--quotas", "unlimited", "--max-interval", "1")
# Lines of which a handful fills a megabyte.
# Forty of them are no more than a request may hold.
LARGE = (60_000, 100_000)
UNAVAILABLE = b'{"__type":"ServiceUnavailableException","message":"The service is unavailable. Back off and retry the operation."}'
# A delivery that failed waits at most so long for its next attempt in a test that has seen a few fail.
HEALS = 90


@pytest.fixture
def small_disk(tmp_path):
    """A function that mounts small disks."""
    disks = []

    def make(size: int, name: str = "disk") -> SmallDisk:
        disk = SmallDisk(tmp_path / name, size)
        try:
            disks.append(disk.__enter__())
        except NoMount as error:
            pytest.skip(f"NO DISK WAS FILLED: this test must mount a tmpfs, and this machine refuses: {error}")
        return disk

    yield make
    for disk in disks:
        disk.__exit__()


def elsewhere(path) -> str:
    """Every bucket is a directory below `path`."""
    return f'[[buckets]]\nmatch = "*"\ntype = "directory"\npath = "{path}"\n'


def create(node: Node, name: str = "s", **members):
    wire = node.wire()
    wire.create(name, BucketARN=f"arn:aws:s3:::{name}", **members).ok()
    active(wire, name)
    return wire


def refused(wire, name: str = "s") -> bool:
    """A put is refused as it should be on a full disk. True also says that it was not stored."""
    answer = wire.put(name, b"x" * 900_000)
    if answer.status == 200:
        return False
    assert (answer.status, answer.body) == (503, UNAVAILABLE)
    return True


def without_probes(bucket):
    """All bodies, less those records of `refused` that were taken."""
    return (body.replace(b"x" * 900_000, b"") for body in bodies_below(bucket))


def full(node: Node) -> bool:
    status, body = node.admin("/readyz")
    return status == 503 and b"full" in body


def flush(node: Node, name: str = "s") -> None:
    """Tries at once what waits for its next attempt, whatever comes of it."""
    node.admin(f"/api/streams/123456789012/us-east-1/{name}/flush", "POST")


# --- without a mount ----------------------------------------------------------------------------------------------------


def test_a_full_log_and_back(make_node, tmp_path, request):
    """`--max-log-bytes` is reached while the destination is dead; then it heals."""
    buckets = tmp_path / "buckets"
    node = make_node(args=(*QUICK, "--max-log-bytes", "32MiB"), config=elsewhere(buckets))
    wire = create(node)
    buckets.mkdir()
    (buckets / "s").write_text("a file where the bucket's directory should be")
    with Load(node, ["s"], seed_of(request, 0), each=2, paddings=LARGE, batch=20, pause=0.02) as load:
        eventually(lambda: full(node) and load.errors()[UNAVAILABLE.decode()] > 5, 60, "the log is full")
        assert set(load.errors()) == {UNAVAILABLE.decode()}, "nothing but the one error"
        answer = wire.put_batch("s", [b"y" * 900_000] * 4)
        assert (answer.status, answer.body) == (503, UNAVAILABLE)
        assert node.disk_bytes() <= 34 * MIB
        small = wire.put("s", b"99-000000001 \n")
        assert small.status in (200, 503), "what still fits may be taken"
        load.producers["s"][0].acknowledged.update({"99-000000001"} if small.status == 200 else ())

        (buckets / "s").unlink()
        flush(node)
        before = load.acknowledged()
        eventually(lambda: load.acknowledged() > before + 100, HEALS, "appends work again")
        assert node.ready()
    drained(node, "s")
    tell(request, str(load.audit("s", bodies_below(buckets / "s"))))


def test_a_reserve_that_is_not_there(make_node):
    """`--min-free-bytes` of more than the disk has: the node starts, says why it takes nothing, and delivers what it has."""
    node = make_node(args=("--quotas", "unlimited"))
    wire = create(node, BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 900})
    wire.put("s", b"before").ok()
    node.kill()
    node.args = [*QUICK, "--min-free-bytes", "100000GiB"]
    node.spawn().await_ready(node.alive)
    assert full(node)
    assert refused(wire)
    drained(node, "s")
    assert list(directory_objects(node, "s").values()) == [b"before"]
    node.stop()
    node.args = list(QUICK)
    node.start()
    wire.put("s", b"after").ok()


# --- with a small disk --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_disk_that_the_log_fills(small_disk, make_node, tmp_path, request):
    """The destination is dead until the log has all of the disk but its reserve."""
    disk, buckets = small_disk(200 * MIB), tmp_path / "buckets"
    node = make_node(args=(*QUICK, "--min-free-bytes", "16MiB"), config=elsewhere(buckets), data_dir=disk.path / "data")
    create(node)
    buckets.mkdir()
    (buckets / "s").write_text("a file where the bucket's directory should be")
    with Load(node, ["s"], seed_of(request, 0), each=2, paddings=LARGE, batch=40, pause=0.01) as load:
        eventually(lambda: full(node) and load.errors()[UNAVAILABLE.decode()] > 5, 60, "the disk is full")
        assert disk.free() >= 16 * MIB, "the reserve is kept"
        backlog = load.acknowledged()
        (buckets / "s").unlink()
        flush(node)
        eventually(lambda: load.acknowledged() > backlog + 100, HEALS, "appends work again")
    assert set(load.errors()) == {UNAVAILABLE.decode()}
    drained(node, "s")
    assert node.ready()
    tell(request, str(load.audit("s", bodies_below(buckets / "s"))))


@pytest.mark.slow
def test_a_disk_with_room_for_little_more_than_a_segment(small_disk, make_node, tmp_path, request):
    """All that is taken is delivered, so the log can go on for ever; it must not stand in its own way."""
    disk, buckets = small_disk(100 * MIB), tmp_path / "buckets"
    node = make_node(args=(*QUICK, "--min-free-bytes", "8MiB"), config=elsewhere(buckets), data_dir=disk.path / "data")
    create(node, BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 60})
    with Load(node, ["s"], seed_of(request, 0), paddings=LARGE, batch=20, pause=0.02) as load:
        eventually(lambda: load.acknowledged() * 80_000 > 150 * MIB, HEALS, "more than the disk has been taken")
    assert set(load.errors()) <= {UNAVAILABLE.decode()}
    drained(node, "s")
    tell(request, str(load.audit("s", bodies_below(buckets / "s"))))


@pytest.mark.slow
def test_a_disk_that_somebody_else_fills(small_disk, make_node, tmp_path, request):
    """To the last byte, under load, again and again: log and catalog stand still, and go on when there is room."""
    seed = seed_of(request, 0)
    chance = random.Random(seed)
    disk, buckets = small_disk(300 * MIB), tmp_path / "buckets"
    node = make_node(args=(*QUICK, "--min-free-bytes", "8MiB"), config=elsewhere(buckets), data_dir=disk.path / "data")
    create(node)
    with Load(node, ["s"], seed, each=3, paddings=LARGE, batch=40, pause=0.01) as load:
        for leave in (0, 12 * MIB, 0):
            time.sleep(chance.uniform(0.2, 1))
            disk.fill(leave)
            # What delivery gives back is taken away as well.
            eventually(lambda: disk.fill(leave) or full(node), 30, "the disk is full")
            eventually(lambda: disk.fill(leave) or refused(node.wire()), 30, "puts are refused")
            assert node.alive() and wire_reads(node)
            disk.empty()
            before = load.acknowledged()
            eventually(lambda: load.acknowledged() > before + 20, HEALS, "appends work again, without a restart")
    assert set(load.errors()) <= {UNAVAILABLE.decode()}, "the one error, and never a failed log"
    drained(node, "s", HEALS)
    assert node.ready()
    tell(request, str(load.audit("s", without_probes(buckets / "s"))))


def wire_reads(node: Node) -> bool:
    """What needs no disk is answered."""
    return node.wire().call("ListDeliveryStreams", {}).status == 200


@pytest.mark.slow
def test_a_disk_that_is_full_when_the_node_starts(small_disk, make_node, tmp_path, request):
    """It starts, delivers what it can, and takes records as soon as there is room."""
    disk, buckets = small_disk(200 * MIB), tmp_path / "buckets"
    config = elsewhere(buckets)
    node = make_node(args=(*QUICK, "--min-free-bytes", "8MiB"), config=config, data_dir=disk.path / "data")
    wire = create(node)
    buckets.mkdir()
    (buckets / "s").write_text("a file where the bucket's directory should be")
    with Load(node, ["s"], seed_of(request, 0), each=2, paddings=LARGE, batch=40) as load:
        eventually(lambda: load.acknowledged() > 300)
        node.kill()
    disk.fill()
    for _ in range(3):
        node.kill()
        node.spawn().await_ready(node.alive)
        # Recovery gives back what the last segment did not use, which is taken away as well.
        eventually(lambda: disk.fill() or (refused(wire) and full(node)), 20, "the disk is full again")
    (buckets / "s").unlink()
    disk.empty()
    eventually(node.ready, 10, "ready without a restart")
    wire.put("s", b"99-000000001 \n").ok()
    load.producers["s"][0].acknowledged.add("99-000000001")
    flush(node)
    drained(node, "s", HEALS)
    tell(request, str(load.audit("s", without_probes(buckets / "s"))))


@pytest.mark.parametrize("kib", [0, 8, 64, 400, 1000, 2000, 6000])
def test_a_first_start_on_a_full_disk(small_disk, make_node, kib):
    """It ends with an error that names the place, and the next start finds nothing that is in its way."""
    disk = small_disk(160 * MIB)
    disk.fill(kib << 10)
    node = Node(disk.path.parent / "node", args=QUICK + ("--min-free-bytes", "1MiB"), data_dir=disk.path / "data")
    node.spawn()
    try:
        started = eventually(lambda: (node.process.poll() is not None and "ended") or (node.alive() and "runs"), 20)
        if started == "ended":
            assert node.process.returncode == 1
            assert str(node.data_dir) in node.tail() and "No space left" in node.tail()
        node.kill()
        disk.empty()
        node.start()
        wire = create(node)
        wire.put("s", b"at last").ok()
        drained(node, "s")
        assert list(directory_objects(node, "s").values()) == [b"at last"]
    finally:
        node.kill()


@pytest.mark.slow
def test_a_bucket_on_a_full_disk(small_disk, make_node, request):
    """Delivery itself finds no space: it says so, leaves nothing half written, and heals."""
    disk = small_disk(24 * MIB)
    node = make_node(args=QUICK, config=elsewhere(disk.path))
    create(node)
    disk.fill(3 * MIB)
    with Load(node, ["s"], seed_of(request, 0), each=2, paddings=LARGE, batch=10, pause=0.1) as load:
        error = eventually(lambda: status_of(node, "s").get("last_error"), 30, "the error shows")
        assert "No space left" in error["message"], error
        eventually(lambda: load.acknowledged() > 150, 30, "records are taken all the while")
    assert not load.errors()
    status = status_of(node, "s")
    assert status["backlog_records"] > 0 and status["next_retry"]
    parts = disk.path / "s" / ".hydrant"
    eventually(lambda: not list(parts.glob("*")), 10, "nothing half written stays")
    disk.empty()
    flush(node)
    drained(node, "s", HEALS)
    assert status_of(node, "s").get("last_error") is None
    tell(request, str(load.audit("s", bodies_below(disk.path / "s"))))


def test_changes_of_streams_on_a_full_disk(small_disk, make_node, tmp_path):
    """The catalog has no room: what is refused is not half done, and works when there is room."""
    disk = small_disk(160 * MIB)
    node = make_node(
        args=(*QUICK, "--min-free-bytes", "8MiB"), config=elsewhere(tmp_path / "buckets"), data_dir=disk.path / "data"
    )
    wire = create(node)
    wire.put("s", b"before").ok()
    drained(node, "s")
    disk.fill()
    for answer in (wire.create("new"), wire.update("s", Prefix="changed/"), wire.delete("s")):
        assert (answer.status, answer.body) == (503, UNAVAILABLE)
    assert wire.describe("s")["DeliveryStreamStatus"] == "ACTIVE"
    assert wire.describe("s")["VersionId"] == "1"
    assert wire.call("DescribeDeliveryStream", {"DeliveryStreamName": "new"}).error == "ResourceNotFoundException"
    disk.empty()
    create(node, "new")
    wire.update("s", Prefix="changed/").ok()
    wire.put("s", b"after").ok()
    drained(node, "s")
    assert sorted(bodies_below(tmp_path / "buckets" / "s")) == [b"after", b"before"]
    wire.delete("s").ok()
    node.kill()
    node.start()
    eventually(lambda: wire.call("ListDeliveryStreams", {}).ok()["DeliveryStreamNames"] == ["new"])


def test_records_that_do_not_fit_are_refused_one_by_one(make_node, tmp_path):
    """A batch of which nothing is stored is refused as a whole; never is a record acknowledged that is not stored."""
    node = make_node(args=("--quotas", "unlimited", "--max-log-bytes", "1MiB"))
    wire = create(node)
    kept, answers = 0, set()
    for i in range(60):
        answer = wire.call("PutRecordBatch", {"DeliveryStreamName": "s", "Records": [record(b"z" * 20_000)] * 3})
        answers.add(answer.status)
        if answer.status == 200:
            kept += 3
            assert answer.json["FailedPutCount"] == 0
        else:
            assert answer.body == UNAVAILABLE
    assert answers == {200, 503}
    assert status_of(node, "s")["backlog_records"] == kept
