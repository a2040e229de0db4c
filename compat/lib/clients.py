"""Where the clients of others are, and how a scenario is handed to a client that runs as a program of its own."""

import json
import os
import pathlib
import subprocess

from node import ROOT, clean_env

COMPAT = ROOT / "compat"
VENVS = pathlib.Path(os.environ.get("HYDRANT_TEST_VENVS") or ROOT / ".venv")
VENV_2015 = VENVS / "2015"
AWS_CLI = VENVS / "today" / "bin" / "aws"


def run(command: list, *, env: dict[str, str], input_: dict | None = None, timeout: float = 120) -> str:
    """Runs a client; its standard output is returned, and its errors are the test's when it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        input=json.dumps(input_) if input_ is not None else None,
        stdin=None if input_ is not None else subprocess.DEVNULL,
        capture_output=True, text=True, timeout=timeout, env=clean_env(**env), cwd=COMPAT,
    )
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
