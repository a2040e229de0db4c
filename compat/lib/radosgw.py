"""A throw-away Ceph radosgw: the real S3 of the tests.

It is the one server at hand that verifies SigV4, encrypts with SSE-KMS by key ARN (and refuses an unknown key), does
multipart uploads and answers STS AssumeRole. Everything lives in a temporary directory and in memory (one monitor, one
memstore OSD, no manager), listens on free ports of 127.0.0.1 and is stopped by process id. Only Python's standard
library and Debian's packages radosgw, ceph-mon, ceph-osd and ceph-common are needed.

As a program it prints one line of JSON when the store is ready and serves until its standard input closes or it gets
SIGTERM; `--run COMMAND…` instead runs COMMAND with that JSON in HYDRANT_TEST_S3 and exits as COMMAND does. See
compat/README.md for the members of the JSON.
"""

import argparse
import base64
import ctypes
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from sigv4 import Signer  # noqa: E402

ACCESS_KEY = "HYDRANTTESTKEY"
SECRET_KEY = "hydrant-test-secret-key-of-some-length"
# May write to no bucket, but may assume the role, which may: so what arrives proves that the role was assumed.
ASSUMER_ACCESS_KEY = "HYDRANTASSUMER"
ASSUMER_SECRET_KEY = "another-test-secret-key-of-some-length"
ROLE = "delivery"
KMS_KEY_ARN = "arn:aws:kms:us-east-1:000000000000:key/6b2cbd5e-0000-4000-8000-00000000aaaa"
UNKNOWN_KMS_KEY_ARN = "arn:aws:kms:us-east-1:000000000000:key/6b2cbd5e-0000-4000-8000-00000000ffff"
REGION = "us-east-1"
START_SECONDS = 60


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def die_with_parent() -> None:
    """For preexec_fn: the child is killed when this process ends, however it ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG


def kms_secret(arn: str) -> str:
    """The base64 of a 256-bit key that depends on the ARN alone."""
    return base64.b64encode(hashlib.sha256(arn.encode()).digest()).decode()


class Radosgw:
    """One store. `start()` it, use `info()`, then `stop()`; also a context manager."""

    def __init__(self) -> None:
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hydrant-radosgw-"))
        self.mon_port, self.port = free_port(), free_port()
        self.daemons: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> "Radosgw":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_exc) -> None:
        self.stop()

    # --- what tests use -------------------------------------------------------------------------------------------

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def info(self) -> dict:
        """All that a client needs; the JSON of HYDRANT_TEST_S3."""
        return {
            "endpoint": self.endpoint,
            "sts_endpoint": self.endpoint,
            "region": REGION,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            "assumer_access_key": ASSUMER_ACCESS_KEY,
            "assumer_secret_key": ASSUMER_SECRET_KEY,
            "role_arn": f"arn:aws:iam:::role/{ROLE}",
            "forbidden_role_arn": "arn:aws:iam:::role/forbidden",
            "kms_key_arn": KMS_KEY_ARN,
            "unknown_kms_key_arn": UNKNOWN_KMS_KEY_ARN,
            "pid": self.daemons["radosgw"].pid,
        }

    def make_bucket(self, name: str) -> None:
        """Creates a bucket (again is no error)."""
        status, body = self._s3("PUT", f"/{name}")
        if status not in (200, 409):
            raise RuntimeError(f"radosgw answered {status} to the creation of bucket {name}: {body!r}")

    def pause(self) -> None:
        """The gateway hangs: connections are accepted by the kernel and never answered."""
        self.daemons["radosgw"].send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undoes pause()."""
        self.daemons["radosgw"].send_signal(signal.SIGCONT)

    def stop_gateway(self) -> None:
        """The gateway is down: connections are refused. The data stays."""
        self._end(["radosgw"])

    def start_gateway(self) -> None:
        """(Re)starts the gateway on the same port and waits until it answers."""
        self._daemon("radosgw", "radosgw", "-n", "client.rgw")
        self._wait("radosgw", self._answers)

    # --- start and stop -------------------------------------------------------------------------------------------

    def start(self) -> None:
        for program in ("radosgw", "ceph-mon", "ceph-osd", "ceph", "monmaptool", "radosgw-admin"):
            if not shutil.which(program):
                raise RuntimeError(f"{program} is not installed: apt-get install radosgw ceph-mon ceph-osd ceph-common")
        self._write_conf()
        self._run("monmaptool", "--create", "--fsid", self._fsid, "--addv", "a", f"[v2:127.0.0.1:{self.mon_port}]",
                  str(self.dir / "monmap"))
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", str(self.dir / "monmap"))
        self._daemon("mon", "ceph-mon", "-i", "a")
        osd = str(uuid.uuid4())  # the monitor silently ignores an OSD whose id differs from the one it was told
        self._run("ceph", "osd", "new", osd, "0")
        self._run("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", osd)
        self._daemon("osd", "ceph-osd", "-i", "0")
        self.start_gateway()
        for user, access_key, secret_key in (
            ("hydrant", ACCESS_KEY, SECRET_KEY),
            ("assumer", ASSUMER_ACCESS_KEY, ASSUMER_SECRET_KEY),
        ):
            self._admin("user", "create", f"--uid={user}", f"--display-name={user}",
                        f"--access-key={access_key}", f"--secret-key={secret_key}")
        anyone = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::*"}]}
        self._role(ROLE, ["hydrant", "assumer"], anyone)
        self._role("forbidden", ["somebody-else"], anyone)

    def stop(self) -> None:
        """Stops every daemon and removes every file. Safe to call twice."""
        self._end(list(self.daemons))
        shutil.rmtree(self.dir, ignore_errors=True)

    # --- parts ----------------------------------------------------------------------------------------------------

    def _write_conf(self) -> None:
        self._fsid = str(uuid.uuid4())
        for sub in ("mon", "osd", "rgw", "run"):
            (self.dir / sub).mkdir(exist_ok=True)
        settings = {
            "fsid": self._fsid,
            "mon host": f"[v2:127.0.0.1:{self.mon_port}]",
            "mon initial members": "a",
            "public addr": "127.0.0.1",
            "cluster addr": "127.0.0.1",
            "auth cluster required": "none",
            "auth service required": "none",
            "auth client required": "none",
            "ms mon client mode": "crc",  # radosgw asks for "secure", which needs cephx
            "mon data": self.dir / "mon",
            "osd data": self.dir / "osd",
            "rgw data": self.dir / "rgw",
            "run dir": self.dir / "run",
            "admin socket": "",
            "keyring": self.dir / "keyring",
            "log file": self.dir / "$name.log",
            "mon cluster log file": self.dir / "cluster.log",
            "pid file": "",
            "osd objectstore": "memstore",
            "memstore device bytes": 8 << 30,
            "osd pool default size": 1,
            "osd pool default min size": 1,
            "osd pool default pg num": 4,
            "osd pool default pgp num": 4,
            "osd pool default pg autoscale mode": "off",
            "osd crush chooseleaf type": 0,
            "mon allow pool size one": "true",
            "mon max pg per osd": 1000,
            "mon data avail crit": 1,
            "osd max object name len": 256,
            "rgw frontends": f"beast endpoint=127.0.0.1:{self.port}",
            "rgw enable usage log": "false",
            "rgw s3 auth use sts": "true",
            "rgw sts key": "abcdefghijklmnop",
            "rgw crypt require ssl": "false",
            "rgw crypt s3 kms backend": "testing",
            "rgw crypt s3 kms encryption keys": f"{KMS_KEY_ARN}={kms_secret(KMS_KEY_ARN)}",
        }
        lines = "\n".join(f"{name} = {value}" for name, value in settings.items())
        (self.dir / "ceph.conf").write_text(f"[global]\n{lines}\n")
        (self.dir / "keyring").write_text("")

    def _role(self, name: str, users: list[str], policy: dict) -> None:
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": [f"arn:aws:iam:::user/{user}" for user in users]},
                    "Action": ["sts:AssumeRole"],
                }
            ],
        }
        self._admin("role", "create", f"--role-name={name}", f"--assume-role-policy-doc={json.dumps(trust)}")
        self._admin("role-policy", "put", f"--role-name={name}", "--policy-name=all", f"--policy-doc={json.dumps(policy)}")

    def _command(self, program: str, *args: str) -> list[str]:
        return [program, "-c", str(self.dir / "ceph.conf"), *args]

    def _run(self, program: str, *args: str) -> str:
        command = [program, *args] if program == "monmaptool" else self._command(program, *args)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            # A monitor ends itself when the disk is nearly full, and its clients wait for it.
            said = "".join(f"\n{out.name}: {out.read_text(errors='replace')[-2000:]}" for out in self.dir.glob("*.out"))
            free = shutil.disk_usage(self.dir).free >> 20
            raise RuntimeError(f"{' '.join(command)}: no answer in {START_SECONDS} s; {free} MiB of disk are free{said}") from None
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
        return done.stdout

    def _admin(self, *args: str) -> str:
        return self._run("radosgw-admin", *args)

    def _daemon(self, name: str, program: str, *args: str) -> None:
        with open(self.dir / f"{name}.out", "ab") as out:
            self.daemons[name] = subprocess.Popen(
                self._command(program, "-f", *args), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True, preexec_fn=die_with_parent,
            )

    def _wait(self, name: str, ready) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            died = [n for n, p in self.daemons.items() if p.poll() is not None]
            if died or time.monotonic() > deadline:
                logs = "".join(f"--- {p.name}\n{p.read_text(errors='replace')[-3000:]}" for p in sorted(self.dir.glob("*.out")))
                raise RuntimeError(f"{name} did not become ready (dead: {died})\n{logs}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def _s3(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        host = f"127.0.0.1:{self.port}"
        signer = Signer(ACCESS_KEY, SECRET_KEY, REGION, "s3")
        headers = signer.headers(method, path, {"Host": host}, body, send_payload_hash=True)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def _end(self, names: list[str]) -> None:
        ending = [(name, self.daemons.pop(name)) for name in reversed(names) if name in self.daemons]
        for _, process in ending:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()  # nothing here outlives the test: no need for a clean end
        for _, process in ending:
            process.wait()


def lend(variable: str, info: dict, command: list[str] | None) -> int:
    """Runs `command` with the JSON of a running server in `variable`; without one, prints it and waits for the end of stdin."""
    told = json.dumps(info)
    if command:
        return subprocess.run(command, env={**os.environ, variable: told}).returncode
    print(told, flush=True)
    while sys.stdin.buffer.read(4096):
        pass
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Start a throw-away radosgw on 127.0.0.1.")
    parser.add_argument("--bucket", action="append", default=[], help="create this bucket (repeatable)")
    parser.add_argument("--run", nargs=argparse.REMAINDER, help="run this command with HYDRANT_TEST_S3 set, then stop")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Radosgw() as store:
        for bucket in args.bucket:
            store.make_bucket(bucket)
        return lend("HYDRANT_TEST_S3", {**store.info(), "bucket": args.bucket[0] if args.bucket else None}, args.run)


if __name__ == "__main__":
    sys.exit(main())
