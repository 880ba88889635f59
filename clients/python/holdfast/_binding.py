"""libholdfast as ctypes sees it: its structs and functions, as in include/holdfast.h, and where the file is found."""

import ctypes
import ctypes.util
import os
import sysconfig
from typing import Any, Dict, Iterator, List, Tuple

from .errors import Unavailable

_SONAME = "libholdfast.so.0"
_INTERFACE = "0.1."


class Missing(Unavailable):
    """There is no libholdfast that could be loaded."""


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("system_errno", ctypes.c_int), ("message", ctypes.c_char * 512),
                ("hint", ctypes.c_char * 256), ("origin", ctypes.c_char * 64)]


class StoreOptions(ctypes.Structure):
    _fields_ = [("struct_bytes", ctypes.c_uint32), ("max_document_bytes", ctypes.c_uint32),
                ("max_document_depth", ctypes.c_uint32), ("events_keep", ctypes.c_uint32),
                ("read_only", ctypes.c_int), ("max_queue_bytes", ctypes.c_uint32), ("progress", ctypes.c_void_p),
                ("progress_arg", ctypes.c_void_p), ("found", ctypes.c_void_p), ("found_arg", ctypes.c_void_p)]


class StoredRecord(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_char_p), ("id", ctypes.c_char_p), ("revision", ctypes.c_uint64),
                ("hash", ctypes.c_uint8 * 16), ("created_ms", ctypes.c_int64), ("updated_ms", ctypes.c_int64),
                ("json", ctypes.c_void_p), ("json_bytes", ctypes.c_size_t), ("who", ctypes.c_char_p)]


class StateValue(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("bytes", ctypes.c_void_p), ("size", ctypes.c_size_t),
                ("is_json", ctypes.c_int), ("version", ctypes.c_uint64), ("fence", ctypes.c_uint64),
                ("at_ms", ctypes.c_int64), ("digest", ctypes.c_uint8 * 32), ("run", ctypes.c_char_p),
                ("code_version", ctypes.c_char_p), ("note", ctypes.c_char_p), ("who", ctypes.c_char_p)]


class SaveOptions(ctypes.Structure):
    _fields_ = [("struct_bytes", ctypes.c_uint32), ("basis", ctypes.c_int), ("if_version", ctypes.c_uint64),
                ("lease", ctypes.c_void_p), ("code_version", ctypes.c_char_p), ("note", ctypes.c_char_p),
                ("who", ctypes.c_char_p), ("with", ctypes.c_void_p)]


class LeaseOptions(ctypes.Structure):
    _fields_ = [("struct_bytes", ctypes.c_uint32), ("pid", ctypes.c_int64), ("ttl_ms", ctypes.c_int64),
                ("steal", ctypes.c_int), ("reason", ctypes.c_char_p), ("who", ctypes.c_char_p)]


RECORD_VISIT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(StoredRecord), ctypes.c_int)

_HANDLE = ctypes.c_void_p
_OUT = ctypes.POINTER(ctypes.c_void_p)
_TEXT, _BYTES, _SIZE = ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t
_FAIL = ctypes.POINTER(Error)
_FUNCTIONS: Dict[str, Tuple[Any, List[Any]]] = {
    "hf_version": (_TEXT, []),
    "hf_code_word": (_TEXT, [ctypes.c_int]),
    "hf_code_is_retryable": (ctypes.c_int, [ctypes.c_int]),
    "hf_store_open": (ctypes.c_int, [_TEXT, ctypes.POINTER(StoreOptions), _OUT, _FAIL]),
    "hf_store_close": (None, [_OUT]),
    "hf_store_get": (ctypes.c_int, [_HANDLE, _TEXT, _TEXT, ctypes.POINTER(ctypes.POINTER(StoredRecord)), _FAIL]),
    "hf_record_free": (None, [ctypes.POINTER(ctypes.POINTER(StoredRecord))]),
    "hf_store_put": (ctypes.c_int, [_HANDLE, _TEXT, _TEXT, _BYTES, _SIZE, ctypes.c_void_p, _FAIL]),
    "hf_store_delete": (ctypes.c_int, [_HANDLE, _TEXT, _TEXT, ctypes.c_void_p, _FAIL]),
    "hf_store_scan": (ctypes.c_int, [_HANDLE, _TEXT, _TEXT, ctypes.c_uint64, RECORD_VISIT, ctypes.c_void_p, _FAIL]),
    "hf_batch_new": (ctypes.c_int, [_TEXT, _OUT, _FAIL]),
    "hf_batch_free": (None, [_OUT]),
    "hf_batch_put": (ctypes.c_int, [_HANDLE, _TEXT, _TEXT, _BYTES, _SIZE, ctypes.c_void_p, _FAIL]),
    "hf_batch_delete": (ctypes.c_int, [_HANDLE, _TEXT, _TEXT, ctypes.c_void_p, _FAIL]),
    "hf_store_commit": (ctypes.c_int, [_HANDLE, _OUT, ctypes.c_void_p, _FAIL]),
    "hf_state_load": (ctypes.c_int, [_HANDLE, _TEXT, ctypes.POINTER(ctypes.POINTER(StateValue)), _FAIL]),
    "hf_state_load_version": (ctypes.c_int, [_HANDLE, _TEXT, ctypes.c_uint64,
                                             ctypes.POINTER(ctypes.POINTER(StateValue)), _FAIL]),
    "hf_state_value_free": (None, [ctypes.POINTER(ctypes.POINTER(StateValue))]),
    "hf_state_save": (ctypes.c_int, [_HANDLE, _TEXT, _BYTES, _SIZE, ctypes.POINTER(SaveOptions),
                                     ctypes.POINTER(ctypes.c_uint64), _FAIL]),
    "hf_state_rollback": (ctypes.c_int, [_HANDLE, _TEXT, ctypes.c_uint64, ctypes.c_int, _TEXT,
                                         ctypes.POINTER(ctypes.c_uint64), _FAIL]),
    "hf_state_lease_take": (ctypes.c_int, [_HANDLE, _TEXT, ctypes.POINTER(LeaseOptions), _OUT, _FAIL]),
    "hf_state_lease_of_fence": (ctypes.c_int, [_TEXT, ctypes.c_uint64, _OUT, _FAIL]),
    "hf_state_lease_renew": (ctypes.c_int, [_HANDLE, _HANDLE, _FAIL]),
    "hf_state_lease_fence": (ctypes.c_uint64, [_HANDLE]),
    "hf_state_lease_run": (_TEXT, [_HANDLE]),
    "hf_state_lease_release": (ctypes.c_int, [_HANDLE, _OUT, _TEXT, _FAIL]),
    "hf_state_lease_free": (None, [_OUT]),
}


# ---- finding it ----

def _neighbours() -> Iterator[str]:
    """Where a library of the same build lies: in the source tree, and below the prefix that this was installed in."""
    here = os.path.dirname(os.path.abspath(__file__))
    tree = os.path.abspath(os.path.join(here, "../../.."))
    if os.path.exists(os.path.join(tree, "include/holdfast.h")):
        yield os.path.join(tree, "build/src", _SONAME)
    head, _, _ = here.rpartition("/lib/")
    if head:
        yield os.path.join(head, "lib", str(sysconfig.get_config_var("MULTIARCH") or ""), _SONAME)
        yield os.path.join(head, "lib", _SONAME)


def _candidates() -> Iterator[str]:
    named = os.environ.get("HOLDFAST_LIBRARY")
    if named:
        yield named
        return
    yield from filter(os.path.exists, _neighbours())
    yield _SONAME
    found = ctypes.util.find_library("holdfast")
    if found:
        yield found


def _declare(library: ctypes.CDLL) -> None:
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments


def load() -> ctypes.CDLL:
    """The library, with its functions declared. Errors: `Missing`."""
    problem = ""
    for path in _candidates():
        try:
            library = ctypes.CDLL(path)
            _declare(library)
        except (OSError, AttributeError) as error:
            problem = problem or str(error)
            continue
        version = library.hf_version().decode()
        if version.startswith(_INTERFACE):
            return library
        problem = f"'{path}' has version {version}, and this needs {_INTERFACE}x"
    raise Missing(f"load libholdfast: {problem}",
                  hint="install it, name its file in HOLDFAST_LIBRARY, or start a daemon: holdfast serve")
