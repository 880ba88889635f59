"""The real binary, driven as a user drives it."""
import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

# Whoever runs the tests behind nohup or with & has signals ignored, and what the tests start would inherit that.
for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("HOLDFAST_BINARY", str(ROOT / "build" / "holdfast"))

# Sources run the python3 in PATH: Debian's, which has Debian's pandas.
os.environ["PATH"] = "/usr/bin:" + os.environ["PATH"]

# Long enough for a loaded machine; a wait ends as soon as what it waits for is there.
PATIENCE_S = 60

GUIDE_CODE = '''
import pandas as pd
import time

def fetch_data():
    return pd.DataFrame({
        'timestamp': [time.time()],
        'value': [42]
    })
'''

PLAIN_CODE = '''
import time

count = 0


def fetch_data():
    global count
    count += 1
    return {"count": count, "at": time.time()}
'''


def wait_for(condition, what, patience_s=PATIENCE_S):
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {patience_s} s in vain for {what}")


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


def http(address, method, path, body=None, token=None, headers=None):
    request = urllib.request.Request(address + path, method=method, data=body)
    if body is not None and "Content-Type" not in (headers or {}):
        request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", "Bearer " + token)
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
            return Reply(reply.status, reply.headers, reply.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.headers, error.read())


class Holdfast:
    """A data directory, the command on it, and at most one daemon."""

    def __init__(self, data):
        self.data = Path(data)
        self.process = None
        self.address = None
        self.log_path = self.data.parent / "daemon.log"

    def run(self, *words, input=None, check=True, env=None):
        result = subprocess.run(
            [BINARY, "--data", str(self.data), *map(str, words)],
            input=input, capture_output=True, timeout=PATIENCE_S * 2,
            env={**os.environ, **(env or {})})
        if check:
            assert result.returncode == 0, (words, result.returncode, result.stdout, result.stderr)
        return result

    def json(self, *words, **options):
        return json.loads(self.run(*words, "-o", "json", **options).stdout)

    def jsonl(self, *words, **options):
        return [json.loads(line) for line in self.run(*words, "-o", "jsonl", **options).stdout.splitlines()]

    def serve(self, *words, listen="127.0.0.1:0"):
        assert self.process is None
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            [BINARY, "--data", str(self.data), "serve", "--listen", listen, *words],
            stdout=subprocess.PIPE, stderr=self.log)
        line = self.process.stdout.readline().decode()
        match = re.search(r"(http://\S+|unix:\S+)", line)
        assert match, ("the daemon did not get ready", line, self.process.poll(), self.log_text())
        self.address = match.group(1)
        return self.address

    def log_text(self):
        return self.log_path.read_text(errors="replace")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process = None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=PATIENCE_S)
        self.process.stdout.close()
        self.process = None
        return status

    def token(self, scope):
        return self.run("token", "create", "--scope", scope).stdout.decode().strip()

    def curl(self, *words, socket_path=None):
        """curl over the daemon's Unix socket; the status is the last line."""
        result = subprocess.run(
            ["curl", "-sS", "--unix-socket", str(socket_path or self.data / "holdfast.sock"),
             "-w", "\n%{http_code}", *words],
            capture_output=True, timeout=PATIENCE_S)
        body, _, status = result.stdout.rpartition(b"\n")
        return Reply(int(status or 0), {}, body)

    def source(self, name):
        return self.json("source", "show", name)

    def close(self):
        if self.process:
            self.stop()


@pytest.fixture
def holdfast(tmp_path):
    it = Holdfast(tmp_path / "data")
    yield it
    if it.process and it.process.poll() is None:
        it.stop()


@pytest.fixture
def running(holdfast):
    holdfast.serve()
    return holdfast


@pytest.fixture(params=["daemon", "alone"])
def runs(tmp_path, request):
    """Runs of a state, beside a daemon and without one."""
    from runs import make_runs
    it = make_runs(tmp_path, request.param)
    yield it
    if it.process and it.process.poll() is None:
        it.stop()


@pytest.fixture
def code_file(tmp_path):
    def write(text=PLAIN_CODE, name="code.py"):
        path = tmp_path / name
        path.write_text(text)
        return path
    return write


def processes_with(text):
    """Pids whose environment carries the text."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if text.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


def session_of(pid):
    try:
        return os.getsid(pid)
    except OSError:
        return None


def trees_of_source(data, name):
    """The process trees of a source: each child leads a session of its own, and may have children in it."""
    return {session_of(pid) for pid in children_of_source(data, name)} - {None}


def children_of_source(data, name):
    """Every living process of a source: by the environment that the supervisor gives."""
    found = []
    for pid in processes_with(f"HOLDFAST_SOURCE={name}\0"):
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if f"HOLDFAST_DATA={data}\0".encode() in environment and state != "Z":
            found.append(pid)
    return found
