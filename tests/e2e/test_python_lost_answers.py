"""Answers that are lost with the connection: what was asked for is done once all the same."""
import socket
import threading

import pytest

import python_client  # noqa: F401, where the package is

import holdfast as client


class Lossy(threading.Thread):
    """Stands between client and daemon. Requests pass; the answers to those that are named are lost: once each."""

    def __init__(self, path, daemon_path):
        super().__init__(daemon=True)
        self.daemon_path, self.lost, self.to_lose = str(daemon_path), [], []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.pass_on(connection)

    def pass_on(self, connection):
        request = receive(connection)
        with socket.socket(socket.AF_UNIX) as daemon:
            daemon.connect(self.daemon_path)
            daemon.sendall(request)
            reply = b"".join(iter(lambda: daemon.recv(65536), b""))
        line = request.split(b"\r\n", 1)[0].decode()
        for text in self.to_lose:
            if text in line:
                self.to_lose.remove(text)
                self.lost.append(line)
                return
        connection.sendall(reply)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def receive(connection):
    content = b""
    while b"\r\n\r\n" not in content:
        content += connection.recv(65536)
    head, _, body = content.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    while len(body) < sum(lengths):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def between(running, tmp_path):
    it = Lossy(tmp_path / "lossy.sock", running.data / "holdfast.sock")
    it.socket = str(tmp_path / "lossy.sock")
    yield it
    it.close()


def direct(running):
    return client.State("feed", data=str(running.data))


def test_a_save(between, running):
    it = client.State("feed", socket=between.socket)
    it.load()
    between.to_lose = ["PUT"]
    assert it.save(1) == 1
    between.to_lose = ["POST"]
    assert it.save(2, records=[("item", "a", 1)]) == 2
    between.to_lose = ["POST"]
    assert it.save(3, records=[("item", "a", client.DELETE)]) == 3
    between.to_lose = ["PUT"]
    assert client.State("feed", socket=between.socket).save(4) == 4
    assert len(between.lost) == 4 and between.to_lose == []
    assert [version.version for version in direct(running).log()] == [4, 3, 2, 1]
    assert running.jsonl("store", "export", "item") == []


def test_a_save_that_another_one_followed(between, running):
    """Only what can be told apart is taken for done: here it is told that somebody else saved."""
    it = client.State("feed", socket=between.socket, timeout=60)
    it.load()
    other = direct(running)

    def lose(line):
        other.save("another")
        return True
    between.to_lose = Trap("PUT", lose)
    with pytest.raises(client.VersionConflict):
        it.save("mine")
    assert other.load() == "another"


class Trap(list):
    """A list of one text; something is done when it is taken away."""

    def __init__(self, text, action):
        super().__init__([text])
        self.action = action

    def remove(self, text):
        super().remove(text)
        self.action(text)


def test_a_lease(between, running):
    """Through the one who stands between, the lease is his process's: here this one's, as it should be."""
    it = client.State("feed", socket=between.socket)
    between.to_lose = ["/runs HTTP", "PUT", "/runs/end HTTP"]
    with it:
        assert it.fence == 1
        assert it.save(1) == 1
        with pytest.raises(client.Conflict):
            client.State("feed", socket=between.socket, timeout=0).__enter__()
    assert len(between.lost) == 3
    runs = running.json("state", "runs", "feed")
    assert [(run["outcome"], run["saves"]) for run in runs] == [("ok", 1)]


def test_reading(between):
    it = client.State("feed", socket=between.socket)
    it.save(1)
    between.to_lose = ["GET"] * 3
    assert it.load() == 1
    assert len(between.lost) == 3


def test_an_answer_that_never_comes(between):
    between.to_lose = ["PUT"] * 1000
    it = client.State("feed", socket=between.socket, timeout=0.2)
    it.load()
    with pytest.raises(client.StoreFailed) as caught:
        it.save(1)
    assert "it is not known whether it was carried out" in caught.value.message
    between.to_lose = []
    assert it.load() == 1
