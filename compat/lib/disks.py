"""Small disks: a tmpfs of a few MiB that a test fills, empties and makes read-only."""

import os
import pathlib
import subprocess


class NoMount(Exception):
    """This machine does not let the test mount anything."""


class SmallDisk:
    """A tmpfs at `path`. A context manager: it is unmounted at the end, whoever still has files open there."""

    def __init__(self, path: pathlib.Path, size: int) -> None:
        self.path, self.size = path, size

    def __enter__(self) -> "SmallDisk":
        self.path.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={self.size},mode=0755", "tmpfs", str(self.path)], capture_output=True, text=True
        )
        if done.returncode:
            raise NoMount(done.stderr.strip())
        return self

    def __exit__(self, *_exc) -> None:
        subprocess.run(["umount", "-l", str(self.path)], check=True)

    def free(self) -> int:
        stat = os.statvfs(self.path)
        return stat.f_bavail * stat.f_frsize

    def fill(self, leave: int = 0) -> None:
        """A foreign file takes all the space but for `leave` bytes, and what comes free while it is written."""
        with open(self.path / "foreign", "ab", buffering=0) as file:
            while (size := self.free() - leave) > 0:
                try:
                    if not file.write(bytes(min(size, 1 << 20))):
                        break
                except OSError:
                    break

    def empty(self) -> None:
        """The foreign file goes."""
        (self.path / "foreign").unlink(missing_ok=True)

    def read_only(self, really: bool = True) -> None:
        subprocess.run(["mount", "-o", "remount," + ("ro" if really else "rw"), str(self.path)], check=True)
