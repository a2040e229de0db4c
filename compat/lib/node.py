"""A Hydrant node as a child process: start, stop, kill, and the addresses that clients need."""

import http.client
import json
import os
import pathlib
import resource
import signal
import subprocess
import time

from radosgw import die_with_parent, free_port
from sigv4 import Signer
from wire import Wire

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS = 30
STOP_SECONDS = 20
ACCOUNT = "123456789012"


def binary() -> str:
    """The program under test: HYDRANT_BIN, else the debug build."""
    return os.environ.get("HYDRANT_BIN") or str(ROOT / "target" / "debug" / "hydrant")


def clean_env(**more: str) -> dict[str, str]:
    """The environment without what would configure Hydrant or an AWS client behind the test's back."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "HYDRANT_", "http_proxy", "HTTP_PROXY"))}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent", **more}


def eventually(check, seconds: float = 30, what: str = ""):
    """Calls `check` until it returns something true, which is returned; fails with the last outcome after `seconds`."""
    deadline = time.monotonic() + seconds
    last = None
    while True:
        try:
            last = check()
            if last:
                return last
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or getattr(check, '__name__', '')} (last: {last!r})")
        time.sleep(0.05)


class Key:
    """An access key as a config file declares it."""

    def __init__(self, access_key: str, secret_key: str, account: str = ACCOUNT, extra: str = "") -> None:
        self.access_key, self.secret_key, self.account, self.extra = access_key, secret_key, account, extra

    def toml(self) -> str:
        return (
            f'[[keys]]\naccess_key = "{self.access_key}"\nsecret_key = "{self.secret_key}"\n'
            f'account = "{self.account}"\n{self.extra}\n'
        )


MAIN_KEY = Key("AKIDHYDRANTMAIN", "main/secret+key/with=signs")


class Node:
    """One node on its own data directory. Ports stay the same over restarts, so clients find it again."""

    def __init__(
        self, directory: pathlib.Path, *, config: str = "", args: tuple[str, ...] = (), keys=(MAIN_KEY,), env=None,
        data_dir: pathlib.Path | None = None, open_files: int | None = None,
    ):
        """`data_dir` lies in `directory` unless it is named; `open_files` is the process's hard limit on file descriptors."""
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.data_dir = data_dir or self.dir / "data"
        self.open_files = open_files
        self.port, self.admin_port = free_port(), free_port()
        self.args, self.env, self.keys = list(args), env or {}, keys
        self.config = self.dir / "hydrant.toml"
        self.config.write_text(config + "\n" + "".join(key.toml() for key in keys))
        self.log = self.dir / "node.log"
        self.process: subprocess.Popen | None = None
        self.spawned = 0.0
        self.started_in = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        return [
            binary(), "serve", "--config", str(self.config), "--data-dir", str(self.data_dir),
            "--listen", f"127.0.0.1:{self.port}", "--admin-listen", f"127.0.0.1:{self.admin_port}", *self.args,
        ]

    def start(self) -> "Node":
        """Starts the process and waits until it says that it is ready."""
        return self.spawn().await_ready()

    def spawn(self) -> "Node":
        """Starts the process and waits for nothing."""
        self.spawned = time.monotonic()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_env(**self.env), cwd=self.dir,
                preexec_fn=self._before_exec,
            )
        return self

    def await_ready(self, ready=None) -> "Node":
        """Waits until the node can acknowledge records, or until `ready` holds."""
        ready = ready or self.ready
        while not ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the node ended with {self.process.returncode}:\n{self.tail()}")
            if time.monotonic() - self.spawned > START_SECONDS:
                self.kill()
                raise AssertionError(f"the node was not ready in {START_SECONDS} s:\n{self.tail()}")
            time.sleep(0.02)
        self.started_in = time.monotonic() - self.spawned
        return self

    def _before_exec(self) -> None:
        die_with_parent()
        if self.open_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.open_files, self.open_files))

    def ready(self) -> bool:
        try:
            return self.admin("/readyz")[0] == 200
        except OSError:
            return False

    def alive(self) -> bool:
        """It answers, whether or not it can acknowledge records."""
        try:
            return self.admin("/livez")[0] == 200
        except OSError:
            return False

    def stop(self) -> None:
        """SIGTERM; the node must end by itself, in time and with 0."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the node did not stop within {STOP_SECONDS} s:\n{self.tail()}") from None
        assert code == 0, f"the node ended with {code}:\n{self.tail()}"

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """SIGSTOP: the kernel keeps its connections, and nobody answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Undoes freeze()."""
        self.process.send_signal(signal.SIGCONT)

    def examine(self) -> dict:
        """What `hydrant doctor` says of the data directory of a node that is stopped."""
        done = subprocess.run(
            [binary(), "doctor", "--json", "--data-dir", str(self.data_dir)], capture_output=True, text=True, env=clean_env(), timeout=120,
        )
        assert done.stdout, done.stderr
        found = json.loads(done.stdout)
        assert done.returncode == (0 if found["healthy"] else 1), json.dumps(found, indent=1)
        return found

    def __enter__(self) -> "Node":
        return self.start()

    def __exit__(self, kind, *_rest) -> None:
        if kind is None:
            self.stop()
        else:
            self.kill()

    def tail(self, size: int = 6000) -> str:
        return self.log.read_text(errors="replace")[-size:]

    def admin(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=30)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def admin_json(self, path: str, method: str = "GET"):
        status, body = self.admin(path, method)
        assert status == 200, f"{path}: {status} {body!r}"
        return json.loads(body)

    def memory_bytes(self) -> int:
        """Resident memory of the process."""
        return self._status("VmRSS") * 1024

    def peak_memory_bytes(self) -> int:
        """The most resident memory that the process ever had."""
        return self._status("VmHWM") * 1024

    def threads(self) -> int:
        return self._status("Threads")

    def _status(self, name: str) -> int:
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        raise AssertionError(f"no {name}")

    def cpu_seconds(self) -> float:
        """Processor time of the process so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def files(self) -> int:
        """Open file descriptors of the process."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def disk_bytes(self) -> int:
        """What the data directory takes on disk, the buckets left out."""
        buckets = self.data_dir / "buckets"
        total = 0
        for path in self.data_dir.rglob("*"):
            if buckets in path.parents:
                continue
            try:
                total += path.stat().st_blocks * 512
            except FileNotFoundError:
                continue
        return total

    def wire(self, region: str = "us-east-1", key: Key | None = None, token: str | None = None) -> Wire:
        """A raw client that signs with `key` (the node's first one by default)."""
        key = key or (self.keys[0] if self.keys else MAIN_KEY)
        return Wire("127.0.0.1", self.port, Signer(key.access_key, key.secret_key, region, token=token))

    def boto(self, region: str = "us-east-1", key: Key | None = None, **config):
        """boto3's Firehose client, without retries unless told."""
        import boto3
        from botocore.config import Config

        key = key or (self.keys[0] if self.keys else MAIN_KEY)
        config.setdefault("retries", {"max_attempts": 0})
        return boto3.client(
            "firehose", endpoint_url=self.url, region_name=region, aws_access_key_id=key.access_key,
            aws_secret_access_key=key.secret_key, config=Config(**config),
        )
