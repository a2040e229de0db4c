"""Loading into PostgreSQL: `hydrant copy` beside `psql \\copy` of the same rows, A B A B, in processor and wall time.

    cargo build --release && python3 bench/copy.py [--rows 1000000] [--rounds 5]

Both end with the same rows in the same table, counted and summed after each load. Processor time is that of everything that works for a
load: the node or psql, and all processes of the server. Needs PostgreSQL's server (Debian: postgresql).
"""

import argparse
import os
import pathlib
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "compat" / "lib"))
os.environ.setdefault("HYDRANT_BIN", str(ROOT / "target" / "release" / "hydrant"))

from node import Node  # noqa: E402
from postgres import PASSWORD, USER, Postgres, bin_dir  # noqa: E402
from streams import active  # noqa: E402
from warehouse import create, hydrant, redshift  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
COLUMNS = "id bigint, at timestamp, host varchar(64), method varchar(8), path varchar(256), status smallint, bytes integer, seconds numeric(9,3), agent varchar(256)"
NAMES = [column.split()[0] for column in COLUMNS.split(", ")]
AGENTS = ["Mozilla/5.0 (X11; Linux x86_64; rv:41.0) Gecko/20100101 Firefox/41.0", "curl/7.45.0", "Googlebot/2.1 (+http://www.google.com/bot.html)"]


def rows(count: int):
    """Access-log rows, the same in every run."""
    chance = random.Random(2015)
    for i in range(count):
        yield (
            i, f"2015-10-{1 + i % 28:02d} {i % 24:02d}:{i % 60:02d}:{(i * 7) % 60:02d}.{i % 1000:03d}", f"10.{i % 256}.{i // 256 % 256}.{i % 251}",
            chance.choice(["GET", "POST"]), f"/shop/item/{chance.randrange(10**6)}?page={i % 40}", chance.choice([200, 200, 304, 404]),
            chance.randrange(10**5), f"{chance.random() * 3:.3f}", AGENTS[i % 3],
        )


def write(path: pathlib.Path, count: int, form: str) -> None:
    with open(path, "w") as file:
        for row in rows(count):
            if form == "text":
                file.write("|".join(map(str, row)) + "\n")
            else:
                pairs = (f'"{name}":{value}' if isinstance(value, int) else f'"{name}":"{value}"' for name, value in zip(NAMES, row))
                file.write("{" + ",".join(pairs) + "}\n")


def cpu(pid: int, children: bool) -> float:
    """Seconds of processor time of a process, with its ended children and its living ones."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = sum(map(int, fields[11:15] if children else fields[11:13]))
    if children:
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            own = pathlib.Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += sum(map(int, own[11:13]))
    return ticks / TICK


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, Postgres() as postgres:
        directory = pathlib.Path(directory)
        directory.chmod(0o755)
        files = {form: directory / f"rows.{form}" for form in ("text", "json")}
        for form, path in files.items():
            write(path, args.rows, form)
        postgres.sql(f"CREATE TABLE t ({COLUMNS})")
        with Node(directory / "node", args=("--quotas", "unlimited"), keys=()) as node:
            wire = node.wire()
            for form, options in (("text", "delimiter '|'"), ("json", "json 'auto'")):
                create(wire, form, redshift(postgres, "t", options)).ok()
                active(wire, form)
            bucket = node.data_dir / "buckets" / "bucket"
            bucket.mkdir(parents=True, exist_ok=True)

            def psql(form: str, _round: int) -> None:
                command = [str(bin_dir() / "psql"), "-X", "-q", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", USER, "-d", "warehouse",
                           "-c", f"\\copy t from '{files[form]}' with (format text, delimiter '|')"]
                subprocess.run(command, check=True, env={**os.environ, "PGPASSWORD": PASSWORD, "PGSSLMODE": "prefer"})

            def copy(form: str, number: int) -> None:
                name = f"{form}-{number}"
                os.link(files[form], bucket / name)
                (bucket / f"{name}.manifest").write_text('{"entries":[{"url":"s3://bucket/%s","mandatory":true}]}' % name)
                done = hydrant(node, "copy", f"s3://bucket/{name}.manifest", "--stream", form)
                assert done.returncode == 0, done.stderr

            contenders = {"psql \\copy, text": (psql, "text"), "hydrant, text": (copy, "text"), "hydrant, json 'auto'": (copy, "json")}
            took = {name: [] for name in contenders}
            for number in range(args.rounds):
                for name, (load, form) in contenders.items():
                    postgres.sql("TRUNCATE t")
                    postgres.sql("CHECKPOINT")
                    server, own = cpu(postgres.process.pid, True), cpu(node.process.pid, False)
                    used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
                    load(form, number)
                    wall = time.monotonic() - began
                    now = resource.getrusage(resource.RUSAGE_CHILDREN)
                    client = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime + cpu(node.process.pid, False) - own
                    took[name].append((wall, client, cpu(postgres.process.pid, True) - server))
                    sums = postgres.sql("SELECT count(*), sum(id), sum(bytes), sum(seconds), count(DISTINCT path) FROM t")
                    assert sums.startswith(f"{args.rows}\t"), sums
                    took.setdefault("sums", set()).add(sums)
            assert len(took.pop("sums")) == 1, "all loads must bring the same rows"
            size = files["text"].stat().st_size
            print(f"{args.rows} rows, {size / 1e6:.0f} MB of text, medians of {args.rounds} rounds\n")
            print(f"{'':24}{'wall s':>8}{'client CPU s':>14}{'server CPU s':>14}{'all CPU s':>11}{'× wall':>8}{'× CPU':>7}")
            base = None
            for name, rounds in took.items():
                wall, client, server = (statistics.median(values) for values in zip(*rounds))
                base = base or (wall, client + server)
                print(f"{name:24}{wall:8.2f}{client:14.2f}{server:14.2f}{client + server:11.2f}{wall / base[0]:8.2f}{(client + server) / base[1]:7.2f}")


if __name__ == "__main__":
    main()
