"""Events: lists, waiting for the next, streams."""
import json
import re
import socket
import threading
import time

import pytest

from conftest import PATIENCE_S, problem, wait_for


class Stream:
    """Reads text/event-stream from a socket of its own."""

    def __init__(self, api, since=None, last=None, token=None):
        self.socket = api.socket()
        query = "" if since is None else f"?since={since}"
        lines = [f"GET /api/v1/events{query} HTTP/1.1", "Host: localhost", "Accept: text/event-stream",
                 "Authorization: Bearer " + (token or api.token("read"))]
        if last is not None:
            lines.append(f"Last-Event-ID: {last}")
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.file = self.socket.makefile("rb")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.file.readline()
        self.head = head.decode()
        self.text = b""

    def _more(self):
        size = int(self.file.readline().strip() or b"0", 16)
        if size == 0:
            raise EOFError
        self.text += self.file.read(size)
        self.file.readline()

    def next(self):
        """(id, event, data) of the next that is no comment."""
        while True:
            while b"\n\n" not in self.text:
                self._more()
            block, _, self.text = self.text.partition(b"\n\n")
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":") and b": " in line)
            if b"data" in fields:
                id = fields.get(b"id")
                return id and int(id), fields.get(b"event", b"message").decode(), json.loads(fields[b"data"])

    def close(self):
        self.file.close()
        self.socket.close()


def revision(api):
    return api.call("GET", "/api/v1/status", scope="read").json()["revision"]


def test_a_list_goes_on_from_where_it_ended(api):
    start = revision(api)
    for number in range(7):
        api.put("event", str(number), str(number))
    seen, since = [], start
    while True:
        reply = api.call("GET", f"/api/v1/events?since={since}&limit=3", scope="read")
        rows = [row for row in reply.json() if row["kind"] == "event"]
        if not reply.json():
            break
        seen += [row["id"] for row in rows]
        assert len(reply.json()) <= 3
        since = int(reply.headers["Holdfast-Revision"])
    assert seen == [str(number) for number in range(7)]
    row = api.call("GET", f"/api/v1/events?since={start}", scope="read").json()[-1]
    assert set(row) == {"revision", "what", "kind", "id", "hash", "at", "who"} and row["what"] == "put"
    assert row["who"].startswith("token:")


def test_waiting_ends_with_the_next_change(api):
    api.token("read"), api.token("edit")
    since = revision(api)
    got = {}

    def wait():
        got["reply"] = api.call("GET", f"/api/v1/events?since={since}&wait=30s", scope="read")
        got["at"] = time.monotonic()

    waiting = threading.Thread(target=wait)
    started = time.monotonic()
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive(), "there is nothing to tell yet"
    api.put("event", "awaited", "1")
    waiting.join(PATIENCE_S)
    assert [row["id"] for row in got["reply"].json()] == ["awaited"]
    assert got["at"] - started < 25


def test_waiting_ends_without_a_change(api):
    since = revision(api)
    started = time.monotonic()
    reply = api.call("GET", f"/api/v1/events?since={since}&wait=300ms", scope="read")
    assert reply.status == 200 and reply.json() == [] and time.monotonic() - started >= 0.3
    assert reply.headers["Holdfast-Revision"] == str(since)
    for bad in ("31s", "x", "-1"):
        problem(api.call("GET", f"/api/v1/events?wait={bad}", scope="read"), 400, "invalid")


def test_a_stream_tells_each_change_once_and_in_order(api):
    stream = Stream(api)
    assert "text/event-stream" in stream.head
    _, event, hello = stream.next()
    assert event == "hello" and hello["revision"] == revision(api)
    for number in range(50):
        api.put("stream", str(number), str(number))
    seen = [stream.next() for _ in range(50)]
    assert [data["id"] for _, _, data in seen] == [str(number) for number in range(50)]
    ids = [id for id, _, _ in seen]
    assert ids == sorted(ids) and None not in ids
    stream.close()
    later = Stream(api, last=ids[29], since=0)
    assert later.next()[1] == "hello"
    assert [later.next()[2]["id"] for _ in range(20)] == [str(number) for number in range(30, 50)]
    later.close()


def test_a_stream_needs_a_scope_and_a_number(api):
    headers = {"Accept": "text/event-stream"}
    problem(api.call("GET", "/api/v1/events", headers=headers), 401, "unauthorized")
    problem(api.call("GET", "/api/v1/events?since=x", scope="read", headers=headers), 400, "invalid")
    problem(api.call("GET", "/api/v1/events", scope="read", headers={**headers, "Last-Event-ID": "x"}), 400, "invalid")


def test_a_stream_ends_when_a_token_is_taken_back(fresh):
    made = fresh.local("POST", "/api/v1/tokens", b'{"scope":"read"}').json()
    stream = Stream(fresh, token=made["token"])
    stream.next()
    fresh.local("DELETE", f"/api/v1/tokens/{made['id']}")
    with pytest.raises((EOFError, ValueError)):
        while True:
            stream.next()
    problem(fresh.call("GET", "/api/v1/events", token=made["token"], headers={"Accept": "text/event-stream"}), 401, "unauthorized")


def memory_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status", encoding="ascii").read()).group(1))


def test_who_does_not_read_costs_nothing(fresh):
    token = fresh.token("read")
    streams = []
    for _ in range(50):
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(("127.0.0.1", fresh.port))
        peer.sendall(f"GET /api/v1/events?since=0 HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        streams.append(peer)
    headers = {"Authorization": "Bearer " + fresh.token("edit"), "Content-Type": "application/json"}
    connection = fresh.connection()
    before = memory_kib(fresh.holdfast.process.pid)
    for number in range(1500):
        connection.request("PUT", f"/api/v1/records/flood/{'x' * 200}{number % 10}", str(number), headers)
        assert connection.getresponse().read()
    grown = memory_kib(fresh.holdfast.process.pid) - before
    assert grown < 64 * 1024, f"{grown} KiB for 50 readers that do not read"
    assert fresh.call("GET", "/livez").status == 200
    for peer in streams:
        peer.close()


def test_the_daemon_ends_while_others_wait(fresh):
    stream = Stream(fresh)
    stream.next()
    replies = []
    since = revision(fresh)
    token = fresh.token("read")
    since = revision(fresh)
    waiting = [threading.Thread(target=lambda: replies.append(
        fresh.call("GET", f"/api/v1/events?since={since}&wait=30s", token=token))) for _ in range(20)]
    for thread in waiting:
        thread.start()
    time.sleep(0.5)
    started = time.monotonic()
    assert fresh.holdfast.stop() == 0
    assert time.monotonic() - started < 20, "nobody is waited for"
    for thread in waiting:
        thread.join(PATIENCE_S)
    assert [reply.status for reply in replies] == [200] * 20 and all(reply.json() == [] for reply in replies)
    with pytest.raises((EOFError, ValueError)):
        while True:
            stream.next()
    assert not (fresh.holdfast.data / "holdfast.sock").exists()


def test_what_was_acknowledged_while_the_daemon_ends_is_there(fresh):
    token = fresh.token("edit")
    acknowledged, stopping = [], threading.Event()

    def write(worker):
        connection = fresh.connection()
        headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
        for number in range(100_000):
            try:
                connection.request("PUT", f"/api/v1/records/last/{worker}-{number}", b"1", headers)
                if connection.getresponse().status != 201:
                    return
            except OSError:
                return
            except Exception as error:  # http.client has several for an end in the middle
                assert stopping.is_set(), error
                return
            acknowledged.append(f"{worker}-{number}")
            connection.close()

    workers = [threading.Thread(target=write, args=(worker,)) for worker in range(8)]
    for worker in workers:
        worker.start()
    wait_for(lambda: len(acknowledged) > 100, "writes")
    stopping.set()
    assert fresh.holdfast.stop() == 0
    for worker in workers:
        worker.join()
    fresh.holdfast.serve()
    there = {row["id"] for row in fresh.call("GET", "/api/v1/records/last", scope="read").json()}
    assert set(acknowledged) <= there
