"""From put to table: streams that load into a real PostgreSQL, and what happens when something breaks on the way."""

import gzip
import json
import os
import pathlib
import random
import time

import pytest

from keys import MAIN_KEY
from node import eventually
from postgres import Postgres
from producer import Producer, audit
from sigv4 import Signer
from streams import active, directory_objects, status_of
from warehouse import copy_status, create, flush, hydrant, loaded, redshift, seed, update
from wire import s3

QUICK = ("--quotas", "unlimited", "--max-interval", "1")
KILLS = int(os.environ.get("HYDRANT_KILLS", "50"))


@pytest.fixture(scope="session")
def postgres():
    """The warehouse, for all tests that do it no harm."""
    with Postgres() as server:
        yield server


@pytest.fixture
def own_postgres():
    """A warehouse of the test's own, to be stopped and broken."""
    with Postgres() as server:
        yield server


@pytest.fixture
def table(postgres, name):
    """A table's name that no other test uses."""
    return name.lower().replace("-", "_")


def stream(node, name: str, configuration: dict):
    """Creates the stream and waits until it is ACTIVE; the raw client."""
    wire = node.wire()
    create(wire, name, configuration).ok()
    active(wire, name)
    return wire


def lines(*rows) -> list[bytes]:
    """Each row as a record of one JSON line."""
    return [json.dumps(row).encode() + b"\n" for row in rows]


# --- what users come for ----------------------------------------------------------------------------------------------


def test_json_auto_gzip(make_node, postgres, table):
    postgres.sql(f"CREATE TABLE {table} (id bigint, name varchar(20), price numeric(8,2), at timestamp, ok boolean)")
    node = make_node(args=QUICK)
    wire = stream(node, "s", redshift(postgres, table, "json 'auto' gzip", s3_members={"CompressionFormat": "GZIP", "Prefix": "in/"}))
    rows = [{"id": i, "name": f"row {i}", "price": i + 0.999, "at": "2015-10-07 01:02:03", "ok": i % 2 == 0, "x": [1]} for i in range(1000)]
    for batch in range(0, 1000, 500):
        answer = wire.put_batch("s", lines(*rows[batch:batch + 500])).ok()
    record_id = answer["RequestResponses"][0]["RecordId"]
    done = flush(node, "s")
    assert done.returncode == 0, done.stderr
    assert postgres.sql(f"SELECT count(*), count(DISTINCT id), min(price), max(at), sum(ok::int) FROM {table}") == (
        "1000\t1000\t0.99\t2015-10-07 01:02:03\t500"  # decimals are cut, not rounded
    )
    copy = copy_status(node, "s")
    assert copy["state"] == "idle" and copy["objects"] == 0
    assert copy["last_success"]["rows"] >= 1

    keys = list(directory_objects(node, "bucket"))
    data = [key for key in keys if key.endswith(".gz")]
    manifests = [key for key in keys if "/manifests/" in key]
    assert len(data) + len(manifests) == len(keys) and data and manifests, keys
    assert all(key.startswith("in/manifests/20") for key in manifests), manifests
    bodies = directory_objects(node, "bucket")
    listed = [entry for key in manifests for entry in json.loads(bodies[key])["entries"]]
    assert sorted(entry["url"] for entry in listed) == sorted(f"s3://bucket/{key}" for key in data)
    assert all(entry["mandatory"] is True for entry in listed)
    assert b'"id": 0' in gzip.decompress(bodies[sorted(data)[0]])

    told = hydrant(node, "trace", record_id)
    assert told.returncode == 0 and table in told.stdout, told.stdout
    shown = hydrant(node, "streams")
    assert table in shown.stdout and "warehouse" in shown.stdout, shown.stdout


def test_a_real_s3_between(make_s3_node, s3_store, s3_client, postgres, table):
    postgres.sql(f"CREATE TABLE {table} (a int, b text)")
    s3_store.make_bucket("warehouse-bucket")
    node = make_s3_node(args=QUICK)
    configuration = redshift(
        postgres, table, "delimiter ',' gzip", "a, b", s3_members={"BucketARN": "arn:aws:s3:::warehouse-bucket", "CompressionFormat": "GZIP"}
    )
    wire = stream(node, "s", configuration)
    wire.put_batch("s", [f"{i},text {i}\n".encode() for i in range(500)]).ok()
    done = flush(node, "s")
    assert done.returncode == 0, done.stderr
    assert postgres.sql(f"SELECT count(*), sum(a) FROM {table}") == "500\t124750"


FOUNDING = [
    # The five examples that the documentation of 2015 prints.
    ("delimiter '\\t' lzop;", None, None, "LZOP"),
    ("delimiter '|", None, None, "quote"),
    ("delimiter '|'", b"1|Blue Hills|Boston|MA|20\n2|Fenway|Boston|MA|30\n", "2\t50", None),
    ("delimiter '|' escape", b"1|Blue\\|Hills|Boston|MA|20\n", "1\t20", None),
    (
        "fixedwidth 'venueid:3,venuename:25,venuecity:12,venuestate:2,venueseats:6'",
        b"1  Blue Hills               Boston      MA20    \n2  Fenway                   Boston      MA30    \n", "2\t50", None,
    ),
    ("JSON 's3://mybucket/jsonpaths.txt'", b'{"v": [1, "Blue Hills", "Boston", "MA", 20]}{"v": [2, "F", "B", "MA", 30]}', "2\t50", None),
]


@pytest.mark.parametrize("options, record, expected, refused", FOUNDING, ids=[row[0] for row in FOUNDING])
def test_the_founding_documents_options(make_node, postgres, table, options, record, expected, refused):
    table = f"{table}_{abs(hash(options)) % 10**8}"
    postgres.sql(f"CREATE TABLE {table} (venueid int, venuename varchar(25), venuecity varchar(12), venuestate char(2), venueseats int)")
    node = make_node(args=QUICK)
    configuration = redshift(postgres, table, options)
    if refused:
        answer = create(node.wire(), "s", configuration)
        assert (answer.status, answer.error) == (400, "InvalidArgumentException")
        assert refused.lower() in answer.message.lower(), answer.message
        return
    if "jsonpaths" in options:
        paths = pathlib.Path(node.data_dir) / "buckets" / "mybucket" / "jsonpaths.txt"
        paths.parent.mkdir(parents=True)
        paths.write_text(json.dumps({"jsonpaths": [f"$.v[{i}]" for i in range(5)]}))
    wire = stream(node, "s", configuration)
    wire.put("s", record).ok()
    done = flush(node, "s")
    assert done.returncode == 0, done.stderr
    assert postgres.sql(f"SELECT count(*), sum(venueseats) FROM {table}") == expected


# --- what breaks ------------------------------------------------------------------------------------------------------


def test_a_dropped_column_is_told_in_plain_words_and_heals(make_node, postgres, table):
    postgres.sql(f"CREATE TABLE {table} (a int, b int)")
    node = make_node(args=QUICK)
    wire = stream(node, "s", redshift(postgres, table, "delimiter ','", "a,b"))
    wire.put("s", b"1,2\n").ok()
    loaded(node, "s")
    postgres.sql(f"ALTER TABLE {table} DROP COLUMN b")
    wire.put("s", b"3,4\n").ok()

    def told():
        error = status_of(node, "s").get("last_error")
        return error and error["code"] == "Redshift.ColumnNotFound" and "b" in error["message"] and error

    error = eventually(told, 60, "the error is shown")
    assert table in error["message"], error
    copy = copy_status(node, "s")
    assert copy["state"] == "retrying" and copy["next_retry"], copy
    shown = hydrant(node, "streams").stdout
    assert "Redshift.ColumnNotFound" in shown, shown
    failed = flush(node, "s")
    assert failed.returncode == 1 and "Redshift.ColumnNotFound" in failed.stderr, failed

    # Healed in the database; a flush does not wait for the next retry.
    postgres.sql(f"ALTER TABLE {table} ADD COLUMN b int")
    done = flush(node, "s")
    assert done.returncode == 0, done.stderr
    assert postgres.sql(f"SELECT a, b FROM {table} ORDER BY a") == "1\t\n3\t4"
    assert "last_error" not in status_of(node, "s")

    # And healed by an update of the stream, which is tried at once.
    postgres.sql(f"ALTER TABLE {table} DROP COLUMN b")
    wire.put("s", b"5,6\n").ok()
    eventually(told, 60, "the error is shown again")
    update(wire, "s", CopyCommand={"DataTableName": table, "DataTableColumns": "a", "CopyOptions": "delimiter ',' maxerror 5"}).ok()
    # The row has a field too many now: within MAXERROR, so it is told and not loaded.
    loaded(node, "s", 30)
    assert postgres.sql(f"SELECT count(*) FROM {table}") == "2"
    told = postgres.sql(f"SELECT err_code, raw_line FROM hydrant.stl_load_errors WHERE stream LIKE '%/s' AND raw_line = '5,6' LIMIT 1")
    assert told == "1202\t5,6"


def test_no_retry_leaves_an_error_manifest_that_can_be_copied(make_node, postgres, table):
    node = make_node(args=QUICK)
    wire = stream(node, "s", redshift(postgres, table, "delimiter ','", RetryOptions={"DurationInSeconds": 0}, s3_members={"Prefix": "p/"}))
    wire.put("s", b"1,one\n").ok()
    given_up = eventually(lambda: copy_status(node, "s").get("given_up"), 60, "given up")
    assert len(given_up) == 1 and given_up[0]["error"]["code"] == "Redshift.TableNotFound", given_up
    (key,) = [key for key in directory_objects(node, "bucket") if "errors/manifests/" in key]
    assert key.startswith("p/errors/manifests/20") and given_up[0]["manifest"] == f"s3://bucket/{key}"
    (entry,) = json.loads(directory_objects(node, "bucket")[key])["entries"]
    assert entry["url"].startswith("s3://bucket/p/20")

    # The stream goes on with what comes.
    postgres.sql(f"CREATE TABLE {table} (a int, b text)")
    wire.put("s", b"2,two\n").ok()
    loaded(node, "s")
    assert postgres.sql(f"SELECT b FROM {table}") == "two"

    copied = hydrant(node, "copy", f"s3://bucket/{key}")
    assert copied.returncode == 0, copied.stderr
    assert "1 row" in copied.stdout, copied.stdout
    assert postgres.sql(f"SELECT b FROM {table} ORDER BY a") == "one\ntwo"
    assert not copy_status(node, "s").get("given_up")
    # Once more: the ledger knows the object.
    again = hydrant(node, "copy", f"s3://bucket/{key}", "--stream", "s")
    assert again.returncode == 0 and "had been loaded before" in again.stdout, again
    assert postgres.sql(f"SELECT count(*) FROM {table}") == "2"
    missing = hydrant(node, "copy", "s3://bucket/p/errors/manifests/none", "--stream", "s")
    assert missing.returncode == 1 and "manifest" in missing.stderr, missing


def test_a_stopped_warehouse_holds_nothing_up_and_catches_up(make_node, own_postgres):
    own_postgres.sql("CREATE TABLE t (line varchar(100))")
    node = make_node(args=QUICK)
    wire = stream(node, "s", redshift(own_postgres, "t", "delimiter '|'"))
    own_postgres.stop()
    for i in range(5):
        wire.put("s", f"line {i}\n".encode()).ok()
        eventually(lambda: copy_status(node, "s")["objects"] > i, 30, "the object is in the bucket")
    error = eventually(lambda: status_of(node, "s").get("last_error"), 60)
    assert error["code"] == "Redshift.ConnectionFailed", error
    assert status_of(node, "s")["backlog_records"] == 0, "the bucket has them: the log need not keep them"
    own_postgres.start()
    loaded(node, "s", 60)
    assert own_postgres.sql("SELECT count(*), count(DISTINCT line) FROM t") == "5\t5"


def test_a_type_change_both_ways(make_node, postgres, table):
    postgres.sql(f"CREATE TABLE {table} (line varchar(100))")
    node = make_node(args=QUICK)
    wire = node.wire()
    wire.create("s").ok()
    active(wire, "s")
    wire.put("s", b"to the bucket\n").ok()
    assert flush(node, "s").returncode == 0
    configuration = redshift(postgres, table, "delimiter '|'")
    configuration["S3Update"] = configuration.pop("S3Configuration")
    update(wire, "s", **configuration).ok()
    wire.put("s", b"to the table\n").ok()
    loaded(node, "s")
    assert postgres.sql(f"SELECT line FROM {table}") == "to the table"
    wire.update("s", "2", **s3(BucketARN="arn:aws:s3:::other")).ok()
    wire.put("s", b"to the other bucket\n").ok()
    assert flush(node, "s").returncode == 0
    assert list(directory_objects(node, "other").values()) == [b"to the other bucket\n"]
    assert postgres.sql(f"SELECT count(*) FROM {table}") == "1"


def test_deletion_forgets_what_waits(make_node, postgres, table):
    node = make_node(args=QUICK)
    wire = stream(node, "s", redshift(postgres, table, "delimiter ','"))
    wire.put("s", b"1\n").ok()
    eventually(lambda: status_of(node, "s").get("last_error"), 60)
    wire.delete("s").ok()
    eventually(lambda: node.admin_json("/api/streams")["streams"] == [], 30, "the stream is gone")
    postgres.sql(f"CREATE TABLE {table} (a int)")
    wire = stream(node, "s", redshift(postgres, table, "delimiter ','"))
    wire.put("s", b"2\n").ok()
    loaded(node, "s")
    assert postgres.sql(f"SELECT a FROM {table}") == "2"


# --- exactly once, whatever happens -----------------------------------------------------------------------------------


def disturbed(node, postgres, request, kills: int, disturb) -> None:
    """Loads under `disturb(chance)`, `kills` times; every acknowledged line is in the table exactly once in the end."""
    replay = seed()
    request.node.add_report_section("call", "replay with", f"HYDRANT_SEED={replay} HYDRANT_KILLS={kills}")
    chance = random.Random(replay)
    postgres.sql("CREATE TABLE t (line varchar(3000))")
    stream(node, "s", redshift(postgres, "t", "delimiter '|' gzip", s3_members={"CompressionFormat": "GZIP"}))
    signer = Signer(MAIN_KEY.access_key, MAIN_KEY.secret_key)
    producers = [Producer(i, "127.0.0.1", node.port, signer, "s", replay) for i in range(2)]
    for producer in producers:
        producer.start()
    try:
        for _ in range(kills):
            time.sleep(chance.uniform(0.05, 1.5))
            disturb(chance)
    finally:
        for producer in producers:
            producer.stop()
    acknowledged = sum(len(p.acknowledged) for p in producers)
    request.node.add_report_section("call", "books", f"{acknowledged} acknowledged")
    assert acknowledged > kills * 10, "the load was a load"
    loaded(node, "s", 180)
    audit(producers, [postgres.sql("SELECT line FROM t").encode()])


@pytest.mark.slow
def test_kill_9_of_the_node_while_it_loads(make_node, own_postgres, request):
    node = make_node(args=QUICK)

    def disturb(_chance):
        node.kill()
        node.start()

    disturbed(node, own_postgres, request, max(1, KILLS // 2), disturb)


@pytest.mark.slow
def test_restarts_and_crashes_of_the_warehouse_while_it_loads(make_node, own_postgres, request):
    node = make_node(args=QUICK)

    def disturb(chance):
        chance.choice([own_postgres.stop, own_postgres.crash])()
        time.sleep(chance.uniform(0, 0.5))
        own_postgres.start()

    disturbed(node, own_postgres, request, max(1, KILLS // 5), disturb)


@pytest.mark.slow
def test_cut_connections_while_it_loads(make_node, own_postgres, request):
    node = make_node(args=QUICK)

    def disturb(_chance):
        own_postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hydrant'")

    disturbed(node, own_postgres, request, KILLS, disturb)
