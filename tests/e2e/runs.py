"""What the tests of `holdfast run` share: starting it, its ledger, and daemons that come and go."""
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from conftest import BINARY, PATIENCE_S, Holdfast, wait_for


class Runs(Holdfast):
    """Runs of one state, with or without a daemon."""

    def __init__(self, data, name="feed"):
        super().__init__(data)
        self.name = name

    def words(self, *command, options=(), name=None):
        return [BINARY, "--data", str(self.data), "run", name or self.name, *map(str, options), "--",
                *map(str, command)]

    def start(self, *command, options=(), env=None, **more):
        """Under way; its output and what it says are pipes."""
        return subprocess.Popen(self.words(*command, options=options), env={**os.environ, **(env or {})},
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def do(self, *command, options=(), input=None, env=None):
        return subprocess.run(self.words(*command, options=options), input=input, capture_output=True,
                              timeout=PATIENCE_S * 2, env={**os.environ, **(env or {})})

    def sh(self, script, *options, **more):
        return self.do("sh", "-c", script, options=options, **more)

    def well(self, script, *options, **more):
        result = self.sh(script, *options, **more)
        assert result.returncode == 0, (script, result)
        return result

    def state(self):
        """Its bytes; None when nothing was saved."""
        result = self.run("state", "get", self.name, check=False)
        assert result.returncode in (0, 66), result
        return result.stdout if result.returncode == 0 else None

    def head(self):
        return self.json("state", "show", self.name)

    def ledger(self):
        """Oldest first."""
        return self.json("state", "runs", self.name)[::-1]

    def outcomes(self):
        return [run["outcome"] for run in self.ledger()]

    def rejected(self):
        folder = self.data / "runs" / "rejected"
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def left_behind(self):
        folder = self.data / "runs"
        return sorted(path.name for path in folder.iterdir() if path.name != "rejected") if folder.is_dir() else []

    def holder(self):
        lease = self.head()["lease"]
        return lease["pid"] if lease else None


def make_runs(tmp_path, way):
    it = Runs(tmp_path / "data")
    if way == "daemon":
        it.serve(listen="none")
    return it


def end(process):
    """Whatever became of it."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.kill()
    process.communicate()


def is_there(pid):
    """Lives, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_gone(pid):
    wait_for(lambda: not is_there(pid), f"the end of {pid}")


def read_soon(path):
    """A file's whole line, as soon as it is there."""
    def look():
        try:
            text = Path(path).read_text()
        except OSError:
            return None
        return text if text.endswith("\n") else None
    return wait_for(look, path).strip()
