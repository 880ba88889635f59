"""The way through libholdfast, by ctypes, when no daemon runs: the store is opened for one operation and closed again.

Invariants

1. The store is open only while an operation is under way, so other collectors, the command and a daemon that starts
   get their turn in between. Who saves is decided by the lease in the store, which outlives the handle.
2. In one process one operation runs at a time, and a fork waits for it: no child ever inherits an open store.
3. However an operation ends, and be it by an exception that a signal handler raised, the store is closed, and if the
   handler raised in the middle of closing, the next operation closes it first.
"""

import ctypes
import os
import threading
from contextlib import contextmanager
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

from . import _binding, _json
from ._model import (Lease, LoadedValue, Record, Save, Version, Versions, check_kind, newest_before,
                     time_of_ms, version_of_document)
from .errors import Corrupt, HoldfastError, error_of

MAX_DOCUMENT_BYTES = 96 << 20  # what the daemon and the command take as well: room for a state of 64 MiB
_BY_LEASE, _IF_VERSION, _FORCE = 0, 1, 2
_NUMBER_DIGITS = 16


class _Once:
    """The library and what is open: once in a process, and once in each child after a fork."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a signal handler may come in between in the same thread
        self.library: Optional[ctypes.CDLL] = None
        self.stores: Dict[str, ctypes.c_void_p] = {}  # by folder; NULL when it is not open

    def get(self) -> ctypes.CDLL:
        with self.lock:
            if self.library is None:
                self.library = _binding.load()
            return self.library

    def close_left(self) -> None:
        """A signal handler that raised at the worst moment kept the store of an earlier operation from being closed."""
        for store in self.stores.values():
            self.get().hf_store_close(ctypes.byref(store))

    def forget(self) -> None:
        """In a child: the parent's lock may never be freed here, and its stores are not to be touched."""
        self.lock = threading.RLock()
        for store in self.stores.values():
            store.value = None
        self.stores = {}


_once = _Once()
os.register_at_fork(before=lambda: _once.lock.acquire(), after_in_parent=lambda: _once.lock.release(),
                    after_in_child=_once.forget)


# ---- calling it ----

def _text(text: str) -> bytes:
    content = text.encode("utf-8", "surrogateescape")
    if b"\0" in content:
        raise error_of("bad_id", f"read the text {text!r}: it holds a NUL")
    return content


def _optional(text: str) -> Optional[bytes]:
    return _text(text) if text else None


def _decoded(text: Optional[bytes]) -> str:
    return (text or b"").decode("utf-8", "replace")


def _who() -> str:
    return f"uid:{os.geteuid()}"


def _error_of(library: ctypes.CDLL, error: _binding.Error, code: int) -> HoldfastError:
    word = _decoded(library.hf_code_word(code))
    return error_of(word, _decoded(error.message) or word, _decoded(error.hint),
                    bool(library.hf_code_is_retryable(code)))


class _Calls:
    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library

    def __call__(self, name: str, *arguments: Any) -> int:
        error = _binding.Error()
        code = int(getattr(self.library, name)(*arguments, ctypes.byref(error)))
        if code < 0:
            raise _error_of(self.library, error, code)
        return code


class LibraryWay:
    """Operations on a store that is open in this process. Made by `way`, for the time of one operation."""

    def __init__(self, library: ctypes.CDLL, store: ctypes.c_void_p) -> None:
        self._library = library
        self._store = store
        self._call = _Calls(library)

    # ---- states ----

    def load(self, name: str, version: int = 0) -> LoadedValue:
        value = ctypes.POINTER(_binding.StateValue)()
        try:
            if version:
                self._call("hf_state_load_version", self._store, _text(name), version, ctypes.byref(value))
            else:
                self._call("hf_state_load", self._store, _text(name), ctypes.byref(value))
            return self._value(value.contents)
        finally:
            self._library.hf_state_value_free(ctypes.byref(value))

    @staticmethod
    def _value(value: _binding.StateValue) -> LoadedValue:
        content = ctypes.string_at(value.bytes, value.size) if value.size else b""
        return Version(version=value.version, at=time_of_ms(value.at_ms), size=value.size,
                       digest=bytes(value.digest).hex(), is_json=bool(value.is_json), run=_decoded(value.run),
                       fence=value.fence, code_version=_decoded(value.code_version), note=_decoded(value.note),
                       who=_decoded(value.who)), content

    def save(self, save: Save) -> int:
        options = _binding.SaveOptions(
            struct_bytes=ctypes.sizeof(_binding.SaveOptions), code_version=_optional(save.code_version),
            note=_optional(save.note), who=_text(_who()))
        lease, batch, version = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint64()
        try:
            self._set_basis(save, options, lease)
            if save.records:
                self._fill(save.records, batch)
                setattr(options, "with", batch.value)
                batch.value = None  # taken in any case
            self._call("hf_state_save", self._store, _text(save.name), save.content, len(save.content),
                       ctypes.byref(options), ctypes.byref(version))
        finally:
            self._library.hf_batch_free(ctypes.byref(batch))
            self._library.hf_state_lease_free(ctypes.byref(lease))
        return version.value

    def _set_basis(self, save: Save, options: _binding.SaveOptions, lease: ctypes.c_void_p) -> None:
        basis = save.basis
        if basis.fence is not None:
            self._call("hf_state_lease_of_fence", _text(save.name), basis.fence, ctypes.byref(lease))
            options.basis, options.lease = _BY_LEASE, lease.value
        elif basis.if_version is not None:
            options.basis, options.if_version = _IF_VERSION, basis.if_version
        else:
            options.basis = _FORCE

    def _fill(self, records: Any, batch: ctypes.c_void_p) -> None:
        self._call("hf_batch_new", _text(_who()), ctypes.byref(batch))
        for record in records:
            self._add(batch, record)

    def _add(self, batch: ctypes.c_void_p, record: Record) -> None:
        check_kind(record.kind)
        kind, id = _text(record.kind), _text(record.id)
        if record.json is None:
            self._call("hf_batch_delete", batch, kind, id, None)
        else:
            self._call("hf_batch_put", batch, kind, id, record.json, len(record.json), None)

    def log(self, name: str, limit: int = 0) -> Versions:
        found: Versions = []
        prefix = f"{name}@"
        for id, document in self._rows("state_version", prefix, prefix):
            number = id[len(prefix):]
            if len(number) != _NUMBER_DIGITS or not number.isdigit():
                continue
            if document is None:
                found.append(Version(int(number), error="it is damaged"))
            else:
                found.append(version_of_document(_json.from_bytes(document)))
        if not found:
            self.get("state", name)  # without a head: NotFound
        found.reverse()
        return found[:limit] if limit else found

    def rollback(self, name: str, version: int, before_ms: int) -> int:
        if not version:
            version = self.newest_before(name, before_ms)
        newest = ctypes.c_uint64()
        self._call("hf_state_rollback", self._store, _text(name), version, 0, _text(_who()), ctypes.byref(newest))
        return newest.value

    def newest_before(self, name: str, before_ms: int) -> int:
        return newest_before(name, self.log(name), before_ms)

    def names(self, prefix: str) -> List[str]:
        return [id for id, _ in self._rows("state", None, prefix)]

    # ---- leases ----

    def begin(self, name: str, steal: bool, ttl_ms: int, reason: str) -> Lease:
        options = _binding.LeaseOptions(
            struct_bytes=ctypes.sizeof(_binding.LeaseOptions), pid=0, ttl_ms=ttl_ms, steal=int(steal),
            reason=_optional(reason), who=_text(_who()))
        lease = ctypes.c_void_p()
        try:
            self._call("hf_state_lease_take", self._store, _text(name), ctypes.byref(options), ctypes.byref(lease))
            return Lease(self._library.hf_state_lease_fence(lease), _decoded(self._library.hf_state_lease_run(lease)))
        finally:
            self._library.hf_state_lease_free(ctypes.byref(lease))  # forgets it here; the store keeps it

    def renew(self, name: str, fence: int) -> None:
        lease = ctypes.c_void_p()
        try:
            self._call("hf_state_lease_of_fence", _text(name), fence, ctypes.byref(lease))
            self._call("hf_state_lease_renew", self._store, lease)
        finally:
            self._library.hf_state_lease_free(ctypes.byref(lease))

    def end(self, name: str, fence: int, outcome: str) -> None:
        lease = ctypes.c_void_p()
        try:
            self._call("hf_state_lease_of_fence", _text(name), fence, ctypes.byref(lease))
            self._call("hf_state_lease_release", self._store, ctypes.byref(lease), _text(outcome))
        finally:
            self._library.hf_state_lease_free(ctypes.byref(lease))

    # ---- records ----

    def get(self, kind: str, id: str) -> bytes:
        record = ctypes.POINTER(_binding.StoredRecord)()
        try:
            self._call("hf_store_get", self._store, _text(kind), _text(id), ctypes.byref(record))
            return ctypes.string_at(record.contents.json, record.contents.json_bytes)
        finally:
            self._library.hf_record_free(ctypes.byref(record))

    def put(self, kind: str, id: str, document: bytes) -> None:
        self.commit([Record(kind, id, document)])

    def delete(self, kind: str, id: str) -> None:
        self.commit([Record(kind, id, None)])

    def commit(self, records: Iterable[Record]) -> None:
        """All of the changes, or none."""
        batch = ctypes.c_void_p()
        try:
            self._fill(records, batch)
            self._call("hf_store_commit", self._store, ctypes.byref(batch), None)
        finally:
            self._library.hf_batch_free(ctypes.byref(batch))

    def rows(self, kind: str) -> List[Tuple[str, Optional[bytes]]]:
        """Id and document of every record of the kind; None for a damaged one."""
        return self._rows(kind, None, "")

    def scan(self, kind: str) -> List[Tuple[str, bytes]]:
        found: List[Tuple[str, bytes]] = []
        for id, document in self._rows(kind, None, ""):
            if document is None:
                raise Corrupt(f"read the record '{kind}/{id}': stored bytes are damaged")
            found.append((id, document))
        return found

    def _rows(self, kind: str, after: Optional[str], prefix: str) -> List[Tuple[str, Optional[bytes]]]:
        rows: List[Tuple[str, Optional[bytes]]] = []
        begin = _text(prefix)
        failed: List[BaseException] = []

        def visit(_arg: Any, pointer: Any, code: int) -> int:
            try:
                record = pointer.contents
                if not record.id.startswith(begin):
                    return int(record.id > begin)  # behind the last one: enough
                document = ctypes.string_at(record.json, record.json_bytes) if code == 0 and record.json else None
                rows.append((_decoded(record.id), document))
                return 0
            except BaseException as error:  # must not pass through C
                failed.append(error)
                return 1

        self._call("hf_store_scan", self._store, _text(kind), _optional(after or ""), 0,
                   _binding.RECORD_VISIT(visit), None)
        if failed:
            raise failed[0]
        return rows


def _make_folder(data: str) -> None:
    try:
        os.makedirs(data, mode=0o700, exist_ok=True)
    except OSError as error:
        word = "permission" if isinstance(error, PermissionError) else "cannot_create"
        raise error_of(word, f"make the data directory '{data}': {error.strerror}",
                       "name another folder in HOLDFAST_DATA") from error


@contextmanager
def way(data: str) -> Iterator[LibraryWay]:
    """The store in this data directory, opened for the time of the block. Errors: `Unavailable` with the code
    ``"store_locked"`` when another process has it now, and all that opening a store can say."""
    library = _once.get()
    is_nested = _once.lock._is_owned()  # type: ignore[attr-defined]
    with _once.lock:
        if not is_nested:
            _once.close_left()
        # Known before it is opened: a signal handler that comes in between finds it, and opens it for itself only when
        # it is not open yet.
        store = _once.stores.setdefault(data, ctypes.c_void_p())
        if store:
            yield LibraryWay(library, store)
            return
        try:
            _make_folder(data)
            options = _binding.StoreOptions(struct_bytes=ctypes.sizeof(_binding.StoreOptions),
                                            max_document_bytes=MAX_DOCUMENT_BYTES)
            _Calls(library)("hf_store_open", _text(f"sqlite:{data}/store.db"), ctypes.byref(options),
                            ctypes.byref(store))
            yield LibraryWay(library, store)
        finally:
            try:
                library.hf_store_close(ctypes.byref(store))
            finally:
                library.hf_store_close(ctypes.byref(store))  # again when a handler raised before; else it does nothing
