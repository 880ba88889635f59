"""The way over the daemon's Unix socket: HTTP/1.1, one connection for each request, nothing kept in between.

So a handle may be used by many threads and in a child after fork without any care.
"""

import base64
import binascii
import errno
import http.client
import json
import os
import socket
from typing import Any, Dict, List, NoReturn, Optional, Tuple
from urllib.parse import quote, urlencode

from . import _json
from ._model import (Lease, LoadedValue, Record, Save, Versions, check_kind, digest_of, newest_before,
                     text_of_ms, version_of_document)
from .errors import Corrupt, HoldfastError, PermissionDenied, StoreFailed, Unavailable, error_of

REPLY_TIMEOUT_S = 300.0  # a slow disk under load; the daemon itself gives up earlier
PAGE = 500  # rows of a list in one reply
_SUN_PATH_BYTES = 108


class NotConnected(Unavailable):
    """Nobody answers at the socket; nothing was sent."""


class Lost(StoreFailed):
    """The connection ended behind the request: whether it was carried out is not known."""

    code = "io"


def _connect(sock: socket.socket, path: str) -> None:
    if len(os.fsencode(path)) < _SUN_PATH_BYTES:
        sock.connect(path)
        return
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sock.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=REPLY_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(REPLY_TIMEOUT_S)
            _connect(self.sock, self._path)
        except BaseException:
            self.close()
            raise


def _refused(path: str, error: OSError) -> HoldfastError:
    if error.errno in (errno.EACCES, errno.EPERM):
        return PermissionDenied(f"connect to the daemon at '{path}': {error.strerror}",
                                hint="run the program as the user that the daemon runs as")
    return NotConnected(f"connect to the daemon at '{path}': {error.strerror or error}",
                        hint="start it: holdfast serve", retryable=True)


def _problem(status: int, body: bytes) -> NoReturn:
    try:
        problem = json.loads(body)
        raise error_of(problem["code"], problem.get("detail") or problem["title"], problem.get("hint", ""),
                       bool(problem.get("retryable")))
    except (ValueError, KeyError, TypeError):
        raise error_of("internal", f"read the daemon's reply: status {status} without a problem document") from None


class SocketWay:
    """Requests to the daemon at one socket. `NotConnected`: nothing was sent. `Lost`: it is not known."""

    def __init__(self, path: str) -> None:
        self.path = path

    def request(self, method: str, path: str, content: Optional[bytes] = None,
                query: Optional[Dict[str, Any]] = None) -> bytes:
        """One request; the reply's body. `content` is JSON."""
        target = path + ("?" + urlencode(query) if query else "")
        headers = {"Connection": "close", "Accept": "application/json"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        connection = _Connection(self.path)
        try:
            connection.connect()
        except OSError as error:
            raise _refused(self.path, error) from None
        try:
            status, reply = self._exchange(connection, method, target, content, headers)
        finally:
            connection.close()
        if status >= 400:
            _problem(status, reply)
        return reply

    def _exchange(self, connection: _Connection, method: str, target: str, content: Optional[bytes],
                  headers: Dict[str, str]) -> Tuple[int, bytes]:
        try:
            try:
                connection.request(method, target, content, headers)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the daemon may refuse a body before it has read it: its reply says why
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Lost(f"read the daemon's reply: the connection ended ({type(error).__name__}); it is not known "
                       "whether it was carried out", hint="look at it again") from error

    @staticmethod
    def _path(name: str, verb: str = "") -> str:
        return f"/api/v1/states/{quote(name, safe='')}{verb}"

    def load(self, name: str, version: int = 0) -> LoadedValue:
        query = {"version": version} if version else None
        document, value = _json.split_document(self.request("GET", self._path(name, "/value"), query=query), "value")
        content = _content_of(document, value)
        meta = version_of_document(document)
        if meta.digest and digest_of(content) != meta.digest:
            raise Corrupt(f"load the state '{name}': what arrived does not fit its digest")
        return meta, content

    def save(self, save: Save) -> int:
        body: Dict[str, Any] = {"base64": base64.b64encode(save.content).decode("ascii")}
        if save.basis.fence is not None:
            body["fence"] = save.basis.fence
        elif save.basis.if_version is not None:
            body["if_version"] = save.basis.if_version
        else:
            body["force"] = True
        if save.note:
            body["note"] = save.note
        if save.code_version:
            body["code_version"] = save.code_version
        if not save.records:
            return self._version(self.request("PUT", self._path(save.name, "/value"), _json.to_bytes(body)))
        content = _json.to_bytes(body)[:-1] + b',"records":[' + b",".join(map(_change, save.records)) + b"]}"
        return self._version(self.request("POST", self._path(save.name, "/commit"), content))

    @staticmethod
    def _version(reply: bytes) -> int:
        return int(json.loads(reply)["version"])

    def begin(self, name: str, steal: bool, ttl_ms: int, reason: str) -> Lease:
        body: Dict[str, Any] = {"on_overlap": "steal" if steal else "fail"}
        if ttl_ms:
            body["ttl_ms"] = ttl_ms
        if reason:
            body["reason"] = reason
        begun, _ = _json.split_document(self.request("POST", self._path(name, "/runs"), _json.to_bytes(body)), "value")
        return Lease(begun["fence"], begun["run"])

    def renew(self, name: str, fence: int) -> None:
        self.request("POST", self._path(name, "/runs/renew"), _json.to_bytes({"fence": fence}))

    def end(self, name: str, fence: int, outcome: str) -> None:
        self.request("POST", self._path(name, "/runs/end"), _json.to_bytes({"fence": fence, "outcome": outcome}))

    def log(self, name: str, limit: int = 0) -> Versions:
        query = {"n": limit} if limit else None
        return [version_of_document(row) for row in json.loads(self.request("GET", self._path(name, "/log"),
                                                                            query=query))]

    def rollback(self, name: str, version: int, before_ms: int) -> int:
        body = {"to_version": version} if version else {"before": text_of_ms(before_ms)}
        return self._version(self.request("POST", self._path(name, "/rollback"), _json.to_bytes(body)))

    def newest_before(self, name: str, before_ms: int) -> int:
        return newest_before(name, self.log(name), before_ms)

    def names(self, prefix: str) -> List[str]:
        found: List[str] = []
        after = ""
        while True:
            query = {"limit": PAGE, **({"after": after} if after else {})}
            rows = [row["name"] for row in json.loads(self.request("GET", "/api/v1/states", query=query))]
            if not rows:
                return found
            found += [name for name in rows if name.startswith(prefix)]
            after = rows[-1]

    # ---- records, for what stands on more than states ----

    def get(self, kind: str, id: str) -> bytes:
        return self.request("GET", _record_path(kind, id))

    def put(self, kind: str, id: str, document: bytes) -> None:
        check_kind(kind)
        self.request("PUT", _record_path(kind, id), document)

    def delete(self, kind: str, id: str) -> None:
        check_kind(kind)
        self.request("DELETE", _record_path(kind, id))

    def scan(self, kind: str) -> List[Tuple[str, bytes]]:
        found: List[Tuple[str, bytes]] = []
        after = ""
        while True:
            query = {"limit": PAGE, **({"after": after} if after else {})}
            rows = _json.split_array(self.request("GET", f"/api/v1/records/{quote(kind, safe='')}", query=query))
            for row in rows:
                members, document = _json.split_document(row, "doc")
                if "error" in members:
                    raise Corrupt(f"read the record '{kind}/{members['id']}': {members['error']}")
                found.append((members["id"], document.encode("utf-8")))
                after = members["id"]
            if not rows:
                return found


def _change(record: Record) -> bytes:
    check_kind(record.kind)
    key = _json.to_bytes({"kind": record.kind, "id": record.id})[:-1]
    return key + (b',"delete":true}' if record.json is None else b',"doc":' + record.json + b"}")


def _record_path(kind: str, id: str) -> str:
    return f"/api/v1/records/{quote(kind, safe='')}/{quote(id, safe='')}"


def _content_of(document: Dict[str, Any], value: str) -> bytes:
    if "base64" in document:
        try:
            return base64.b64decode(document["base64"], validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise StoreFailed(f"read the daemon's reply: {error}", code="io") from error
    before, behind = document.get("space") or ("", "")
    return (before + value + behind).encode("utf-8")
