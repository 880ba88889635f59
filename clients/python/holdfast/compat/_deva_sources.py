"""Holdfast's sources and the records beside them: through the daemon's socket, or without one by the command.

Invariants

1. Both ways give the same documents and raise the same errors.
2. Only when nobody answers at the socket is the command asked; it opens the store for that moment.
3. What is done again because an answer was lost has effect once.
"""

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Optional, Tuple
from urllib.parse import quote

from .._place import Place
from .._socket import Lost, NotConnected, SocketWay
from ..errors import Conflict, HoldfastError, Invalid, NotFound, Unavailable, error_of

RECORD_KIND = "deva_source"
_PROGRAM = "holdfast"
_COMMAND_TIMEOUT_S = 300
_PAUSE_S = 0.1
_PAGE_ROWS = 500

Document = Dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One operation, for either way. `fields` are members of the body over HTTP and options on the command line; what
    stands in `text` is the value of `code` or the body, and goes to the command's standard input."""

    verb: Tuple[str, str]
    method: str
    path: str
    words: Tuple[str, ...] = ()
    fields: Document = field(default_factory=dict)
    query: Document = field(default_factory=dict)
    text: Optional[str] = None
    text_is_body: bool = False

    def body(self) -> Optional[bytes]:
        """As HTTP has it."""
        if self.text_is_body:
            return (self.text or "").encode("utf-8")
        fields = {**self.fields, **({"code": self.text} if self.text is not None else {})}
        return json.dumps(fields, allow_nan=False).encode("utf-8") if fields else None

    def arguments(self) -> List[str]:
        """As the command line has it."""
        options = [text for name, value in {**self.fields, **self.query}.items() for text in _options(name, value)]
        if self.text is not None and not self.text_is_body:
            options.append("--code=-")
        return [*self.verb, *self.words, *options, *(["-"] if self.text_is_body else [])]


def _options(name: str, value: Any) -> Iterator[str]:
    if name in ("name", "version"):  # words of their own there
        return
    option = "--" + name.replace("_", "-")
    if name.endswith("_ms"):
        yield f"{option[:-3]}={value}ms"
    elif value is True:
        yield option
    elif isinstance(value, dict):
        yield from (f"{option}={key}={item}" for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        yield from (f"{option}={item}" for item in value)
    else:
        yield f"{option}={value}"


def _programs() -> Iterator[str]:
    named = os.environ.get("HOLDFAST_PROGRAM")
    if named:
        yield named
        return
    here = os.path.dirname(os.path.abspath(__file__))
    tree = os.path.abspath(os.path.join(here, "../../../.."))
    if os.path.exists(os.path.join(tree, "include/holdfast.h")):
        yield os.path.join(tree, "build", _PROGRAM)
    head, _, _ = here.rpartition("/lib/")
    if head:
        yield os.path.join(head, "bin", _PROGRAM)
    found = shutil.which(_PROGRAM)
    if found:
        yield found


def _program() -> str:
    for path in _programs():
        if os.access(path, os.X_OK):
            return path
    raise Unavailable("reach the sources: no daemon answers, and there is no command 'holdfast' to work without one",
                      hint="start one: holdfast serve; or name the program in HOLDFAST_PROGRAM")


def _problem(output: bytes) -> HoldfastError:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    try:
        problem = json.loads(lines[-1])
        return error_of(problem["code"], problem.get("detail") or problem["title"], problem.get("hint", ""),
                        bool(problem.get("retryable")))
    except (IndexError, ValueError, KeyError, TypeError):
        return error_of("internal", f"read what the command 'holdfast' said: {' '.join(lines)[:400]}")


def check_name(name: str) -> None:
    """Names of data sources are free text in deva; those of holdfast have rules."""
    is_text = isinstance(name, str)
    size = len(name.encode("utf-8", "replace")) if is_text else 0
    is_clean = is_text and "/" not in name and name not in (".", "..") and not name.startswith("-")
    if not is_clean or not 1 <= size <= 255 or any(ord(letter) < 32 for letter in name):
        raise Invalid(f"name a data source {name!r}: holdfast cannot have a source of that name", code="bad_id",
                      hint="1 to 255 bytes without '/' and control characters, not '.' or '..', no '-' in front")


class Sources:
    """The sources of one store. Holds nothing, so any thread may use it, and a child after fork."""

    def __init__(self, place: Optional[Place] = None) -> None:
        self._place = place or Place()

    # ---- asking ----

    def _over_socket(self, request: Request) -> bytes:
        query = {name: "true" if value is True else value for name, value in request.query.items()}
        return SocketWay(self._place.socket).request(request.method, request.path, request.body(), query)

    def _by_command(self, request: Request) -> bytes:
        place = self._place
        if place.is_socket_only:
            raise NotConnected(f"reach the sources: nobody answers at '{place.socket}'", retryable=True)
        call = [_program(), "--data", place.data, "--socket", place.socket, "-o", "json", "-y", *request.arguments()]
        done = subprocess.run(call, input=(request.text or "").encode("utf-8"), capture_output=True, check=False,
                              timeout=_COMMAND_TIMEOUT_S)
        if done.returncode != 0:
            raise _problem(done.stderr)
        return done.stdout

    def _once(self, request: Request) -> Tuple[bytes, bool]:
        try:
            return self._over_socket(request), True
        except NotConnected:
            pass
        return self._by_command(request), False

    def _ask(self, request: Request) -> Tuple[Any, bool, bool]:
        """The reply, whether a daemon gave it, and whether an earlier attempt may have been carried out."""
        end, may_be_done = time.monotonic() + self._place.timeout, False
        while True:
            try:
                reply, is_daemon = self._once(request)
                return json.loads(reply) if reply.strip() else None, is_daemon, may_be_done
            except Lost:
                may_be_done = True
                if time.monotonic() >= end:
                    raise
            except Unavailable as error:
                may_pass = isinstance(error, NotConnected) or error.code in ("store_locked", "cancelled")
                if time.monotonic() >= end or not may_pass:
                    raise
            except HoldfastError as error:
                error.may_be_done = may_be_done  # type: ignore[attr-defined]
                raise
            time.sleep(_PAUSE_S)

    def _of_source(self, verb: str, method: str, name: str, *words: str, path: str = "", **more: Any) -> Request:
        return Request(("source", verb), method, f"/api/v1/sources/{quote(name, safe='')}{path}", (name, *words),
                       **more)

    # ---- sources ----

    def show(self, name: str) -> Tuple[Document, bool]:
        """The source as a document, and whether a daemon runs it. Errors: NotFound."""
        document, is_daemon, _ = self._ask(self._of_source("show", "GET", name))
        return document, is_daemon

    def all(self) -> List[Document]:
        """Every source, deva's or not; none when there is no store yet."""
        try:
            return list(self._ask(Request(("source", "list"), "GET", "/api/v1/sources"))[0])
        except NotFound:
            return []

    def add(self, name: str, code: str, fields: Document) -> None:
        """A new python source, stopped. Errors: Conflict when the name is taken."""
        check_name(name)
        request = Request(("source", "add"), "POST", "/api/v1/sources", (name,),
                          {"name": name, "kind": "python", **fields}, text=code)
        try:
            self._ask(request)
        except Conflict as error:
            is_ours = getattr(error, "may_be_done", False) and self.show(name)[0]["tags"] == fields["tags"]
            if not is_ours:
                raise

    def edit(self, name: str, fields: Document, code: Optional[str] = None) -> Document:
        """Sets these fields, and the code when it is given."""
        request = self._of_source("edit", "PATCH", name, fields=fields, text=code)
        return dict(self._ask(request)[0])

    def want(self, name: str, running: bool) -> Tuple[Document, bool]:
        """Asks for it to run, or not to. The document, and whether a daemon makes it so."""
        verb = "start" if running else "stop"
        document, is_daemon, _ = self._ask(self._of_source(verb, "POST", name, path=f"/{verb}"))
        return document, is_daemon

    def remove(self, name: str) -> None:
        """Removes it; one that is not there is no error."""
        try:
            self._ask(self._of_source("rm", "DELETE", name))
        except NotFound:
            pass

    def data(self, name: str, count: int) -> List[Document]:
        """The newest data, oldest first."""
        return list(self._ask(self._of_source("tail", "GET", name, path="/data", query={"n": count}))[0])

    def versions(self, name: str, count: int) -> List[Document]:
        """The newest versions of the code with the code, newest first."""
        query = {"n": count, "with_code": True}
        request = self._of_source("versions", "GET", name, path="/versions", query=query)
        return list(self._ask(request)[0])

    def rollback(self, name: str, version: int) -> Document:
        """Makes the code of an earlier version the newest."""
        request = self._of_source("rollback", "POST", name, str(version), path="/rollback",
                                  fields={"version": version})
        return dict(self._ask(request)[0])

    def take(self, name: str, document: Document) -> Document:
        """Imports a source that does not exist yet, whole: its fields, counters, code versions and data."""
        check_name(name)
        text = json.dumps(document, allow_nan=False)
        request = self._of_source("import", "POST", name, path="/import", text=text, text_is_body=True)
        return dict(self._ask(request)[0])

    # ---- records ----

    @staticmethod
    def _of_record(verb: str, method: str, id: str, **more: Any) -> Request:
        path = f"/api/v1/records/{RECORD_KIND}/{quote(id, safe='')}"
        return Request(("store", verb), method, path, (RECORD_KIND, id), **more)

    def records(self) -> List[Document]:
        """The records of all data sources; none when there is no store yet."""
        found: List[Document] = []
        query: Document = {"limit": _PAGE_ROWS}
        while True:
            request = Request(("store", "list"), "GET", f"/api/v1/records/{RECORD_KIND}", (RECORD_KIND,), query=query)
            try:
                rows = self._ask(request)[0]
            except NotFound:
                return found
            found += [row["doc"] for row in rows if "doc" in row]
            if len(rows) < _PAGE_ROWS:
                return found
            query = {"limit": _PAGE_ROWS, "after": rows[-1]["id"]}

    def put_record(self, id: str, document: Document) -> None:
        """Saves the record."""
        self._ask(self._of_record("put", "PUT", id, text=json.dumps(document, allow_nan=False), text_is_body=True))

    def remove_record(self, id: str) -> None:
        """Removes it; one that is not there is no error."""
        try:
            self._ask(self._of_record("rm", "DELETE", id))
        except NotFound:
            pass

    # ---- what happens ----

    def events(self, since: int, wait: str) -> List[Document]:
        """Changes behind a revision, waited for. Only a daemon can tell: Errors: `Unavailable` without one."""
        query = {"since": since, "wait": wait, "limit": 1000}
        return list(json.loads(SocketWay(self._place.socket).request("GET", "/api/v1/events", query=query)))

    def revision(self) -> int:
        """Of the newest change. Errors: `Unavailable` without a daemon."""
        return int(json.loads(SocketWay(self._place.socket).request("GET", "/api/v1/status"))["revision"])
