"""A real PostgreSQL from Debian's packages on a free port of 127.0.0.1, thrown away afterwards.

    python3 compat/lib/postgres.py --run CMD…    runs CMD with HYDRANT_TEST_POSTGRES set (JSON, see `info`), then stops
    python3 compat/lib/postgres.py               prints that JSON and runs until its standard input ends

TCP with passwords, with and without TLS; the certificate for 127.0.0.1 and localhost is signed by an authority of its own.
PostgreSQL does not run as root: then it runs as the user `postgres`, whom the package makes.
"""

import argparse
import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from radosgw import free_port, lend  # noqa: E402

USER = "hydrant"
PASSWORD = "pg-test-Passw0rd"
DATABASE = "warehouse"
START_SECONDS = 60


def bin_dir() -> pathlib.Path:
    """The newest installed server's programs."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    if not found:
        raise SystemExit("no PostgreSQL server is installed: apt-get install postgresql")
    return found[-1].parent


class Postgres:
    """One server. `start()` it, use `info()`, then `stop()`; also a context manager. The port stays over restarts."""

    def __init__(self) -> None:
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hydrant-postgres-"))
        self.data, self.log = self.dir / "data", self.dir / "postgres.log"
        self.port = free_port()
        self.process: subprocess.Popen | None = None
        self.user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if self.user:
            os.chown(self.dir, self.user.pw_uid, self.user.pw_gid)

    def __enter__(self) -> "Postgres":
        try:
            self.make()
            self.start()
            self.sql(f"CREATE DATABASE {DATABASE}", database="postgres")
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_exc) -> None:
        self.remove()

    # --- what tests use -------------------------------------------------------------------------------------------

    def info(self) -> dict:
        """All that a client needs; the JSON of HYDRANT_TEST_POSTGRES. The user is a superuser."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "user": USER,
            "password": PASSWORD,
            "database": DATABASE,
            "ca": str(self.dir / "ca.crt"),
        }

    @property
    def jdbc_url(self) -> str:
        return f"jdbc:postgresql://127.0.0.1:{self.port}/{DATABASE}"

    def sql(self, statement: str, database: str = DATABASE) -> str:
        """Runs SQL with psql; what it printed, a line for each row, fields between tabs."""
        command = [
            str(bin_dir() / "psql"), "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1",
            "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", database, "-c", statement,
        ]
        done = subprocess.run(command, env={**os.environ, "PGPASSWORD": PASSWORD}, capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(f"psql: {done.stderr.strip()}\n{statement}")
        return done.stdout.removesuffix("\n")

    def make(self) -> None:
        """A new cluster, with certificates."""
        password = self.dir / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self.run("initdb", "-D", self.data, "-U", USER, f"--pwfile={password}", "-A", "scram-sha-256", "-E", "UTF8", "--no-sync")
        self.certificates()
        (self.data / "postgresql.auto.conf").write_text(
            f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = ''\nssl = on\n"
            f"ssl_cert_file = '{self.dir}/server.crt'\nssl_key_file = '{self.dir}/server.key'\n"
            "fsync = off\nlog_line_prefix = '%m [%p] '\n"
        )

    def start(self) -> "Postgres":
        """Starts the server and waits until it takes connections."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(bin_dir() / "postgres"), "-D", str(self.data)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=self.become, cwd=self.dir,
            )
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run([str(bin_dir() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"PostgreSQL did not start:\n{self.log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """A fast shutdown: connections are cut, what was committed stays."""
        self.end(signal.SIGINT)

    def crash(self) -> None:
        """As a crash of the server: recovers at the next start."""
        self.end(signal.SIGQUIT)

    def restart(self) -> None:
        self.stop()
        self.start()

    # --- how ------------------------------------------------------------------------------------------------------

    def end(self, how: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def remove(self) -> None:
        self.crash()
        shutil.rmtree(self.dir, ignore_errors=True)

    def become(self) -> None:
        """In the child: no longer root, and killed when the parent ends (in this order: a change of user forgets it)."""
        if self.user:
            os.setgroups([])
            os.setgid(self.user.pw_gid)
            os.setuid(self.user.pw_uid)
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # 1 is PR_SET_PDEATHSIG

    def run(self, program: str, *args) -> None:
        command = [str(bin_dir() / program), *map(str, args)]
        done = subprocess.run(command, preexec_fn=self.become, capture_output=True, text=True, cwd=self.dir)
        if done.returncode != 0:
            raise AssertionError(f"{program}: {done.stdout}{done.stderr}")

    def certificates(self) -> None:
        """An authority and a server certificate of it."""

        def openssl(*args) -> None:
            done = subprocess.run(["openssl", *args], capture_output=True, text=True, cwd=self.dir)
            if done.returncode != 0:
                raise AssertionError(f"openssl {args[0]}: {done.stderr}")

        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", "-x509", *new_key, "-days", "30", "-subj", "/CN=Hydrant test authority", "-keyout", "ca.key", "-out", "ca.crt")
        openssl("req", *new_key, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
        (self.dir / "server.ext").write_text("subjectAltName = DNS:localhost, IP:127.0.0.1\nbasicConstraints = CA:FALSE\n")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
                "-extfile", "server.ext", "-out", "server.crt")
        (self.dir / "server.key").chmod(0o600)
        if self.user:
            os.chown(self.dir / "server.key", self.user.pw_uid, self.user.pw_gid)
        self.dir.chmod(0o755)


def main() -> int:
    parser = argparse.ArgumentParser(description="Start a throw-away PostgreSQL on 127.0.0.1.")
    parser.add_argument("--run", nargs=argparse.REMAINDER, help="run this command with HYDRANT_TEST_POSTGRES set, then stop")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Postgres() as server:
        return lend("HYDRANT_TEST_POSTGRES", server.info(), args.run)


if __name__ == "__main__":
    sys.exit(main())
