"""A stranger's first minutes: clone, make run, kill it, make run."""
import os
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from conftest import ROOT, Holdfast, http, wait_for


@pytest.fixture
def clone(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a git checkout")
    place = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(place)], check=True)
    return place


class MakeRun:
    def __init__(self, clone):
        self.lines = []
        self.process = subprocess.Popen(["make", "run"], cwd=clone, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env={**os.environ, "HOLDFAST_LISTEN": "127.0.0.1:0"}, start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def wait_for_link(self):
        def look():
            assert self.process.poll() is None, "".join(self.lines)
            return re.search(r"(http://127\.0\.0\.1:\d+)(/signin\S+)", "".join(self.lines))
        return wait_for(look, "the address", patience_s=300).groups()

    def end(self, number):
        os.killpg(self.process.pid, number)
        self.process.wait()
        self.reader.join()


def test_make_run_collects_and_survives_kill_9(clone):
    first = MakeRun(clone)
    address, link = first.wait_for_link()
    holdfast = Holdfast(clone / "data")
    binary = str(clone / "build" / "holdfast")

    def show(name):
        import json
        return json.loads(subprocess.run([binary, "--data", str(clone / "data"), "source", "show", name, "-o", "json"],
                                         capture_output=True, check=True).stdout)
    try:
        page = http(address, "GET", link)
        assert page.status == 200
        assert http(address, "GET", link).status in (401, 403, 404, 410)
        wait_for(lambda: show("machine")["run_count"] >= 2 and show("disk")["run_count"] >= 1, "both sources to collect")
        count = show("machine")["run_count"]
    finally:
        first.end(signal.SIGKILL)
    second = MakeRun(clone)
    try:
        second.wait_for_link()
        assert show("machine")["run_count"] >= count
        wait_for(lambda: show("machine")["run_count"] > count, "it to go on")
    finally:
        second.end(signal.SIGTERM)
