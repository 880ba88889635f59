"""A daemon that did what it was asked, and whose reply never came: the run finds out, and does nothing twice."""
import json
import os
import socket
import threading

import pytest

from conftest import BINARY
from runs import make_runs


class Forgetful:
    """Stands before the daemon's socket, and lets the first reply to a request that holds `word` get lost."""

    def __init__(self, path, daemon, word):
        self.daemon, self.word, self.lost = str(daemon), word, 0
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(16)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer:
                self.one(peer)

    def one(self, peer):
        request = b""
        while b"\r\n\r\n" not in request:
            request += peer.recv(65536)
        head, _, body = request.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")), 0)
        while len(body) < length:
            body += peer.recv(65536)
        with socket.socket(socket.AF_UNIX) as daemon:
            daemon.connect(self.daemon)
            daemon.sendall(head + b"\r\n\r\n" + body)
            reply = b""
            while part := daemon.recv(65536):
                reply += part
        if self.word in head and not self.lost:
            self.lost += 1
            return
        peer.sendall(reply)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


@pytest.fixture
def forgetful(tmp_path):
    """Gives the environment of a run that meets a daemon which loses its reply to what the word names."""
    runs = make_runs(tmp_path, "daemon")
    proxies = []

    def begin(word):
        path = tmp_path / "proxy.sock"
        proxies.append(Forgetful(path, runs.data / "holdfast.sock", word))
        return {"HOLDFAST_SOCKET": str(path)}
    yield runs, begin, proxies
    for proxy in proxies:
        proxy.close()
    runs.close()


def test_a_begin_whose_reply_got_lost(forgetful):
    runs, begin, proxies = forgetful
    runs.well("echo 1 >$HOLDFAST_STATE_FILE")
    result = runs.sh("cat $HOLDFAST_STATE_FILE; echo 2 >$HOLDFAST_STATE_FILE", env=begin(b"POST /api/v1/states/feed/runs "))
    assert result.returncode == 0, result
    assert result.stdout == b"1\n"
    assert proxies[0].lost == 1
    assert runs.state() == b"2\n"
    assert runs.outcomes() == ["ok", "taken_over", "ok"]
    assert runs.head()["lease"] is None


@pytest.mark.parametrize("script, versions", [("echo 1 >$HOLDFAST_STATE_FILE", 1), ("true", 0)])
def test_an_end_whose_reply_got_lost(forgetful, script, versions):
    runs, begin, proxies = forgetful
    result = runs.sh(script, env=begin(b"/runs/end "))
    assert result.returncode == 0, result
    assert proxies[0].lost == 1
    assert runs.outcomes() == ["ok"] and runs.head()["version"] == versions
    assert runs.rejected() == []


def test_a_save_whose_reply_got_lost(forgetful):
    runs, begin, proxies = forgetful
    result = runs.do("echo", '{"at": 1}', "|", "cat", options=["--singer"], env=begin(b"PUT /api/v1/states/feed/value "))
    assert result.returncode == 0, result
    assert proxies[0].lost == 1
    assert json.loads(runs.state()) == {"at": 1}
    assert len(runs.json("state", "log", "feed")) == 1


def test_an_end_that_got_lost_behind_a_takeover_is_none(forgetful, tmp_path):
    """What it is told then is not that its state was taken."""
    runs, begin, _ = forgetful
    script = f"echo 1 >$HOLDFAST_STATE_FILE; {BINARY} --socket " \
             f"{runs.data}/holdfast.sock -q state begin feed --on-overlap steal --pid {os.getpid()}"
    result = runs.sh(script, env=begin(b"/runs/end "))
    assert result.returncode == 75, result
    assert runs.state() is None
    assert [path.read_bytes() for path in runs.rejected()] == [b"1\n"]
