"""A datastore folder of changedetection.io as a store of holdfast, open in this process.

Invariants

1. A folder is open once in a process, and in one process at a time.
2. Calls follow each other; none runs while the store is closed. In a child after fork it is not open.
3. A store that stopped after an I/O error is closed, and opened again by the next call.
"""

import atexit
import ctypes
import errno
import json
import logging
import os
import threading
import time
from typing import Any, Callable, Dict, Iterable, List, NoReturn, Optional, Set, Tuple, TypeVar
from urllib.parse import quote

from .. import _binding, _library
from .._model import Record
from ..errors import HoldfastError, NoSpace, NotFound, StoreFailed, TooLarge, Unavailable

LOGGER = logging.getLogger("holdfast.compat.changedetection")
MAX_BYTES = 10 << 20
WATCH, SETTINGS = "watch", "settings"
_DAMAGE = frozenset(("damaged_file", "oversize_file", "unreadable_file", "bad_checksum", "bad_hash", "bad_json"))
_OPEN_TIMEOUT_S = 10.0
_PAUSE_S = 0.05

T = TypeVar("T")

FORCE_FSYNC_DATA_IS_CRITICAL = os.getenv("FORCE_FSYNC_DATA_IS_CRITICAL", "").strip().lower() in (
    "y", "yes", "t", "true", "on", "1")


class _Finding(ctypes.Structure):
    _fields_ = [(name, ctypes.c_char_p) for name in ("kind", "id", "what", "text", "path", "action")]


_FOUND = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(_Finding))


def to_json(value: Any) -> bytes:
    """As the original writes it; NaN becomes null."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except ValueError:
        return json.dumps(_without_nan(value), ensure_ascii=False, allow_nan=False).encode("utf-8")


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return [_without_nan(item) for item in value] if isinstance(value, (list, tuple)) else value


def check_size(size: int, label: str, max_size_mb: int = 10) -> None:
    """Raises ValueError when it is over the limit."""
    if size > max_size_mb << 20:
        raise ValueError(f"{label.capitalize()} data is unexpectedly large: {size / 1024 / 1024:.2f}MB (max: "
                         f"{max_size_mb}MB). This indicates a bug or data corruption.")


def raise_as_original(error: HoldfastError, label: str) -> NoReturn:
    """The exceptions and words of the original for a full disk and the like."""
    if isinstance(error, NoSpace):
        is_quota = error.code == "quota"
        text = f"Disk quota exceeded: Cannot save {label}" if is_quota else f"Disk full: Cannot save {label}"
        raise OSError(errno.EDQUOT if is_quota else errno.ENOSPC, text) from error
    if isinstance(error, TooLarge):
        raise ValueError(f"{label.capitalize()} data is unexpectedly large: {error}") from error
    raise OSError(f"I/O error saving {label}: {error}") from error


class Tree:
    """The store of one folder. Errors: those of holdfast. Any thread."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.damaged: Set[str] = set()  # ids, or paths, that could not be read
        self._lock = threading.RLock()
        self._store = ctypes.c_void_p()
        self._callback = _FOUND(self._on_finding)  # lives as long as the store may call it

    # ---- open and closed ----

    def _url(self) -> str:
        durable = "file" if FORCE_FSYNC_DATA_IS_CRITICAL else "batch"
        return f"tree:{quote(self.folder, safe='/')}?layout=watch&durable={durable}"

    def _on_finding(self, _arg: Any, pointer: Any) -> None:
        finding = {name: (getattr(pointer.contents, name) or b"").decode("utf-8", "replace")
                   for name, _ in _Finding._fields_}
        is_lost = finding["what"] in _DAMAGE and finding["action"] == "reported"
        if is_lost:
            self.damaged.add(finding["id"] or finding["path"])
        LOGGER.log(logging.CRITICAL if is_lost else logging.WARNING, "%s: %s %s: %s (%s)",
                   "CORRUPTED WATCH DATA" if is_lost else "datastore", finding["what"], finding["path"],
                   finding["text"], finding["action"])

    def _open(self) -> None:
        library = _library._once.get()
        options = _binding.StoreOptions(struct_bytes=ctypes.sizeof(_binding.StoreOptions), max_document_bytes=MAX_BYTES,
                                        found=ctypes.cast(self._callback, ctypes.c_void_p))
        end = time.monotonic() + _OPEN_TIMEOUT_S
        while True:
            self.damaged.clear()
            try:
                _library._Calls(library)("hf_store_open", self._url().encode("utf-8", "surrogateescape"),
                                         ctypes.byref(options), ctypes.byref(self._store))
                return
            except Unavailable:
                if time.monotonic() >= end:
                    raise
            time.sleep(_PAUSE_S)

    def close(self) -> None:
        """Finishes what is under way, and gives the folder free for other processes. The next call opens it again."""
        with self._lock:
            if self._store:
                _library._once.get().hf_store_close(ctypes.byref(self._store))

    def forget(self) -> None:
        """In a child after fork."""
        self._lock = threading.RLock()
        self._store.value = None

    def _do(self, work: Callable[[_library.LibraryWay], T]) -> T:
        with self._lock:
            if not self._store:
                os.makedirs(self.folder, exist_ok=True)
                self._open()
            try:
                return work(_library.LibraryWay(_library._once.get(), self._store))
            except StoreFailed:
                self.close()
                raise

    # ---- documents ----

    def put(self, kind: str, documents: Iterable[Tuple[str, bytes]]) -> None:
        """Saves all of them or none; on disk when it returns."""
        records = [Record(kind, id, content) for id, content in documents]
        self._do(lambda way: way.commit(records))

    def delete(self, kind: str, id: str) -> None:
        """Deletes it with its file; one that is not there is no error."""
        try:
            self._do(lambda way: way.delete(kind, id))
        except NotFound:
            pass

    def get(self, kind: str, id: str) -> Optional[Any]:
        """The document; None when there is none."""
        try:
            return json.loads(self._do(lambda way: way.get(kind, id)))
        except NotFound:
            return None

    def rows(self, kind: str) -> List[Tuple[str, Optional[bytes]]]:
        """Id and document of all; None for a damaged one, which counts as damaged from now on."""
        found = self._do(lambda way: way.rows(kind))
        self.damaged.update(id for id, content in found if content is None)
        return found


# ---- the folders that are open in this process ----

_trees: Dict[str, Tree] = {}
_trees_lock = threading.Lock()


def tree_of(folder: str) -> Tree:
    """The one store of the folder; opened by its first use."""
    path = os.path.realpath(folder)
    with _trees_lock:
        return _trees.setdefault(path, Tree(path))


def place_of(path: str) -> Optional[Tuple[Tree, str, str]]:
    """Store, kind and id of a file, when it is one of a folder that is a store in this process."""
    folder, name = os.path.split(os.path.realpath(path))
    stem, extension = os.path.splitext(name)
    above, id = os.path.split(folder)
    if extension != ".json" or not stem:
        return None
    with _trees_lock:
        if folder in _trees:
            return _trees[folder], SETTINGS, stem
        return (_trees[above], stem, id) if above in _trees else None


def _close_all() -> None:
    with _trees_lock:
        trees = list(_trees.values())
    for tree in trees:
        tree.close()


def _forget_all() -> None:
    global _trees_lock
    _trees_lock = threading.Lock()
    for tree in _trees.values():
        tree.forget()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forget_all)
