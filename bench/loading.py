"""Loading into PostgreSQL: `hydrant copy` beside `psql \\copy` of the same rows, A B A B, in processor and wall time.

    cargo build --release && python3 bench/loading.py [--rows 1000000 | --megabytes 1000] [--rounds 5] [--objects 100] [--gzip] [--fsync]

All end with the same rows in the same table, summed up after each load, over TLS and without. Processor time is that of everything that
works for a load: psql or the node and its command, and all processes of the server. Needs PostgreSQL's server (Debian: postgresql).
"""

import argparse
import gzip
import os
import pathlib
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Callable, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "compat" / "lib"))
os.environ.setdefault("HYDRANT_BIN", str(ROOT / "target" / "release" / "hydrant"))

from node import Node, eventually  # noqa: E402
from postgres import PASSWORD, USER, Postgres, bin_dir  # noqa: E402
from streams import active  # noqa: E402
from warehouse import create, hydrant, redshift  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
LONGEST_SECONDS = 1800
COLUMNS = "id bigint, at timestamp, host varchar(64), method varchar(8), path varchar(256), status smallint, bytes integer, seconds numeric(9,3), agent varchar(256)"
NAMES = [column.split()[0] for column in COLUMNS.split(", ")]
AGENTS = ["Mozilla/5.0 (X11; Linux x86_64; rv:41.0) Gecko/20100101 Firefox/41.0", "curl/7.45.0", "Googlebot/2.1 (+http://www.google.com/bot.html)"]
OPTIONS = {"text": "delimiter '|'", "text.gz": "delimiter '|' gzip", "json": "json 'auto'"}


def rows(count: int):
    """Access-log rows, the same in every run."""
    chance = random.Random(2015)
    for i in range(count):
        yield (
            i, f"2015-10-{1 + i % 28:02d} {i % 24:02d}:{i % 60:02d}:{(i * 7) % 60:02d}.{i % 1000:03d}", f"10.{i % 256}.{i // 256 % 256}.{i % 251}",
            chance.choice(["GET", "POST"]), f"/shop/item/{chance.randrange(10**6)}?page={i % 40}", chance.choice([200, 200, 304, 404]),
            chance.randrange(10**5), f"{chance.random() * 3:.3f}", AGENTS[i % 3],
        )


def line(form: str, row: tuple) -> str:
    if form == "text":
        return "|".join(map(str, row)) + "\n"
    pairs = (f'"{name}":{value}' if isinstance(value, int) else f'"{name}":"{value}"' for name, value in zip(NAMES, row))
    return "{" + ",".join(pairs) + "}\n"


def write(directory: pathlib.Path, form: str, count: int, parts: int) -> list[pathlib.Path]:
    """So many rows in so many files."""
    share = -(-count // parts)
    source, files = rows(count), []
    for part in range(parts):
        files.append(directory / f"{form}-{parts}-{part:06d}")
        with open(files[-1], "w") as file:
            file.writelines(line(form, row) for _, row in zip(range(share), source))
    return files


def gzipped(path: pathlib.Path) -> pathlib.Path:
    packed = path.with_name(path.name + ".gz")
    with open(path, "rb") as plain, gzip.open(packed, "wb", 6) as file:
        shutil.copyfileobj(plain, file, 1 << 20)
    return packed


class Server:
    """What PostgreSQL's processes have used."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres

    def children(self) -> list[str]:
        pid = self.postgres.process.pid
        return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

    def quiet(self) -> bool:
        """No session is left, none that has ended either: then each is counted among the ended ones, once."""
        try:
            commands = [pathlib.Path(f"/proc/{child}/cmdline").read_text() for child in self.children()]
        except (FileNotFoundError, ProcessLookupError):
            return False
        return all(command and not command.startswith(f"postgres: {USER} ") for command in commands)

    def cpu(self) -> float:
        eventually(self.quiet, what="the sessions end")
        pid = self.postgres.process.pid
        return ticks(pid, 4) + sum(ticks(child, 2) for child in self.children())


def ticks(pid, fields: int) -> float:
    """Seconds of processor time of a process with all its threads, ended ones too; with 4 fields those of its ended children."""
    told = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, told[11 : 11 + fields])) / TICK


def peak_bytes(pid: int, forget: bool = False) -> int:
    """The most memory that a process has had since it was last forgotten."""
    if forget:
        pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


class Contender(NamedTuple):
    name: str
    load: Callable[[int], None]
    # Beside whom.
    base: str
    is_hydrant: bool


class Took(NamedTuple):
    wall: float
    client: float
    server: float
    memory: float


class Rows:
    """The files, made when they are first asked for."""

    def __init__(self, directory: pathlib.Path, count: int) -> None:
        self.directory, self.count, self.made = directory, count, {}

    def files(self, form: str, parts: int = 1) -> list[pathlib.Path]:
        if (form, parts) not in self.made:
            plain = form.removesuffix(".gz")
            self.made[form, parts] = (
                write(self.directory, form, self.count, parts) if form == plain else [gzipped(path) for path in self.files(plain, parts)]
            )
            size = sum(path.stat().st_size for path in self.made[form, parts])
            print(f"{self.count} rows of {form} in {parts}: {size / 1e6:.0f} MB", flush=True)
        return self.made[form, parts]


def psql(postgres: Postgres, files: Rows, form: str, tls: str) -> Callable[[int], None]:
    def load(_round: int) -> None:
        (file,) = files.files(form)
        source = f"program 'gzip -dc {file}'" if form == "text.gz" else f"'{file}'"
        command = [str(bin_dir() / "psql"), "-X", "-q", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", USER, "-d", "warehouse",
                   "-c", f"\\copy t from {source} with (format text, delimiter '|')"]
        subprocess.run(command, check=True, env={**os.environ, "PGPASSWORD": PASSWORD, "PGSSLMODE": tls})

    return load


def copy(node: Node, files: Rows, form: str, tls: str, parts: int) -> Callable[[int], None]:
    def load(number: int) -> None:
        bucket, load = node.data_dir / "buckets" / "bucket", f"{form}-{tls}-{parts}-{number}"
        bucket.mkdir(parents=True, exist_ok=True)
        entries = []
        # A ledger skips what was loaded before: each round has names of its own.
        for part, file in enumerate(files.files(form, parts)):
            os.link(file, bucket / f"{load}-{part}")
            entries.append(f'{{"url":"s3://bucket/{load}-{part}","mandatory":true}}')
        (bucket / f"{load}.manifest").write_text(f'{{"entries":[{",".join(entries)}]}}')
        done = hydrant(node, "copy", f"s3://bucket/{load}.manifest", "--stream", f"{form}-{tls}", seconds=LONGEST_SECONDS)
        assert done.returncode == 0, done.stderr

    return load


def contenders(args, files: Rows, postgres: Postgres, node: Node) -> list[Contender]:
    wire, found = node.wire(), []
    for tls in ("prefer", "disable"):
        over = "TLS" if tls == "prefer" else "no TLS"
        for form in ("text", "json", "text.gz") if args.gzip else ("text", "json"):
            configuration = redshift(postgres, "t", OPTIONS[form])
            configuration["ClusterJDBCURL"] += f"?sslmode={tls}"
            create(wire, f"{form}-{tls}", configuration).ok()
            active(wire, f"{form}-{tls}")
            base = f"psql \\copy, {'text' if form == 'json' else form}, {over}"
            if form != "json":
                found.append(Contender(base, psql(postgres, files, form, tls), base, False))
            found.append(Contender(f"hydrant, {form}, {over}", copy(node, files, form, tls, 1), base, True))
            if form == "text" and args.objects > 1:
                found.append(Contender(f"hydrant, text in {args.objects}, {over}", copy(node, files, form, tls, args.objects), base, True))
    bases = {contender.base for contender in found if args.only in contender.name}
    return [contender for contender in found if args.only in contender.name or contender.name in bases]


def measure(contender: Contender, number: int, postgres: Postgres, server: Server, node: Node) -> Took:
    postgres.sql("TRUNCATE t")
    postgres.sql("CHECKPOINT")
    client = Client(node)
    peak_bytes(node.process.pid, forget=True)
    before, served, began = client.cpu(), server.cpu(), time.monotonic()
    contender.load(number)
    wall = time.monotonic() - began
    memory = peak_bytes(node.process.pid) if contender.is_hydrant else 0
    return Took(wall, client.cpu() - before, server.cpu() - served, memory)


class Client:
    """What the node has used, and all commands that were run and have ended."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def cpu(self) -> float:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ended.ru_utime + ended.ru_stime + ticks(self.node.process.pid, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--megabytes", type=int, help="so many rows as make so much text")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--objects", type=int, default=1, help="also the same text in so many objects")
    parser.add_argument("--gzip", action="store_true", help="also compressed objects, beside psql and gzip")
    parser.add_argument("--fsync", action="store_true", help="the server waits for its disk")
    parser.add_argument("--only", default="", help="contenders with this in their name, and what they are beside")
    args = parser.parse_args()
    if args.megabytes:
        sample = sum(len(line("text", row)) for row in rows(10_000))
        args.rows = args.megabytes * 10**6 * 10_000 // sample
    with tempfile.TemporaryDirectory() as directory, Postgres() as postgres:
        directory = pathlib.Path(directory)
        directory.chmod(0o755)
        # Analysing a table would fall to some loads and not to others.
        postgres.sql("ALTER SYSTEM SET autovacuum = off")
        postgres.sql(f"ALTER SYSTEM SET fsync = {'on' if args.fsync else 'off'}")
        postgres.restart()
        postgres.sql(f"CREATE TABLE t ({COLUMNS})")
        server = Server(postgres)
        with Node(directory / "node", args=("--quotas", "unlimited"), keys=()) as node:
            known = contenders(args, Rows(directory, args.rows), postgres, node)
            # The first time is no one's measure: files are made, caches filled.
            for contender in known:
                measure(contender, args.rounds, postgres, server, node)
            took: dict[str, list[Took]] = {contender.name: [] for contender in known}
            sums = set()
            for number in range(args.rounds):
                # Each is first and last in turn.
                for contender in known[number % len(known) :] + known[: number % len(known)]:
                    took[contender.name].append(measure(contender, number, postgres, server, node))
                    sums.add(postgres.sql("SELECT count(*), sum(hashtextextended(t::text, 0)) FROM t"))
            assert len(sums) == 1 and sums.pop().startswith(f"{args.rows}\t"), f"all loads must bring the same rows: {sums}"
            print(f"\nmedians of {args.rounds} rounds, fsync {'on' if args.fsync else 'off'}\n")
            print(f"{'':30}{'wall s':>8}{'client CPU s':>14}{'server CPU s':>14}{'all CPU s':>11}{'× wall':>8}{'× CPU':>7}{'node MiB':>10}")
            middle = {name: Took(*map(statistics.median, zip(*rounds))) for name, rounds in took.items()}
            for contender in known:
                own, base = middle[contender.name], middle[contender.base]
                cpu, base_cpu = own.client + own.server, base.client + base.server
                print(f"{contender.name:30}{own.wall:8.2f}{own.client:14.2f}{own.server:14.2f}{cpu:11.2f}"
                      f"{own.wall / base.wall:8.2f}{cpu / base_cpu:7.2f}{f'{own.memory / 2**20:.0f}' if own.memory else '':>10}")


if __name__ == "__main__":
    main()
