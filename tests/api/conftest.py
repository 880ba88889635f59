"""The daemon's HTTP, byte by byte where that matters."""
import http.client
import importlib.util
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

_path = Path(__file__).resolve().parents[1] / "e2e" / "conftest.py"
_spec = importlib.util.spec_from_file_location("e2e_conftest", _path)
e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(e2e)

PATIENCE_S = e2e.PATIENCE_S
SCOPES = ("read", "operate", "edit", "repair", "admin")
wait_for = e2e.wait_for


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE_S)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def exchange(connection, method, path, body=None, headers=None):
    connection.putrequest(method, path, skip_accept_encoding=True, skip_host="Host" in (headers or {}))
    headers = dict(headers or {})
    if body is not None:
        headers.setdefault("Content-Length", str(len(body)))
        headers.setdefault("Content-Type", "application/json")
    for name, value in headers.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(body)
    reply = connection.getresponse()
    return Reply(reply.status, reply.headers, reply.read())


class Api:
    def __init__(self, holdfast):
        self.holdfast = holdfast
        self.tokens = {}

    @property
    def port(self):
        return urlsplit(self.holdfast.address).port

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)

    def call(self, method, path, body=None, scope=None, token=None, headers=None):
        """Over TCP, with the token of a scope; without both there is no token."""
        headers = dict(headers or {})
        token = token or (self.token(scope) if scope else None)
        if token:
            headers["Authorization"] = "Bearer " + token
        connection = self.connection()
        try:
            return exchange(connection, method, path, body, headers)
        finally:
            connection.close()

    def local(self, method, path, body=None, headers=None):
        connection = UnixConnection(self.holdfast.data / "holdfast.sock")
        try:
            return exchange(connection, method, path, body, headers)
        finally:
            connection.close()

    def token(self, scope):
        if scope not in self.tokens:
            made = self.local("POST", "/api/v1/tokens", json.dumps({"scope": scope}).encode())
            assert made.status == 201, made.body
            self.tokens[scope] = made.json()["token"]
        return self.tokens[scope]

    def put(self, kind, id, text, **headers):
        made = self.call("PUT", f"/api/v1/records/{kind}/{id}", text.encode(), scope="edit", headers=headers)
        assert made.status in (200, 201), made.body
        return made.json()

    def socket(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def raw(self, data, patience_s=PATIENCE_S):
        """Sends bytes, reads to the end of the connection; None when it was not closed in time."""
        with self.socket() as peer:
            peer.settimeout(patience_s)
            try:
                peer.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass
            got = b""
            try:
                while chunk := peer.recv(65536):
                    got += chunk
            except ConnectionResetError:
                pass
            except TimeoutError:
                return got, False
            return got, True


def problem(reply, status, code):
    assert reply.status == status, (reply.status, reply.body)
    assert reply.headers["Content-Type"] == "application/problem+json"
    document = reply.json()
    assert document["status"] == status and document["code"] == code, document
    assert document["title"] and document["detail"]
    return document


def new_api(folder):
    holdfast = e2e.Holdfast(folder / "data")
    holdfast.serve()
    return Api(holdfast)


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """One daemon for the tests of a file that leave it as it is."""
    it = new_api(tmp_path_factory.mktemp("api"))
    yield it
    assert it.holdfast.process.poll() is None, it.holdfast.log_text()
    assert it.holdfast.stop() == 0, it.holdfast.log_text()


@pytest.fixture
def fresh(tmp_path):
    """A daemon of its own."""
    it = new_api(tmp_path)
    yield it
    if it.holdfast.process:
        assert it.holdfast.stop() == 0, it.holdfast.log_text()
