"""The functions of the original's module beside its class: saving and loading single files."""

import json
import logging
import os
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple

from ..errors import HoldfastError
from . import _atomic_file
from ._changedetection_tree import MAX_BYTES, WATCH, check_size, place_of, raise_as_original, to_json, tree_of

LOGGER = logging.getLogger("holdfast.compat.changedetection")
_PROGRESS = 100

Rehydrate = Callable[[str, Dict[str, Any]], Any]
ComputeHash = Callable[[Dict[str, Any]], str]


def _write_file(path: str, data: Any, label: str) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _atomic_file.replace(Path(path), json.dumps(json.loads(to_json(data)), indent=2,
                                                    ensure_ascii=False).encode("utf-8"))
    except OSError as error:
        words = {28: f"Disk full: Cannot save {label}", 122: f"Disk quota exceeded: Cannot save {label}"}
        raise OSError(error.errno, words.get(error.errno or 0, f"I/O error saving {label}: {error}")) from error


def save_json_atomic(file_path: Any, data_dict: Any, label: str = "file", max_size_mb: int = 10) -> None:
    """Saves JSON data under this name, whole or not at all; on disk when it returns. A file of a datastore that is open
    in this process goes through its store.

    :raises ValueError: it is larger than `max_size_mb`, or no JSON
    :raises OSError: the disk is full, or another I/O error; what was there before is still there

    Example: ``save_json_atomic("/datastore/changedetection.json", settings, label="settings")``
    """
    path, content = os.fspath(file_path), to_json(data_dict)
    check_size(len(content), label, max_size_mb)
    place = place_of(path)
    if not place or len(content) > MAX_BYTES:
        _write_file(path, data_dict, label)
        return
    tree, kind, id = place
    try:
        tree.put(kind, [(id, content)])
    except HoldfastError as error:
        raise_as_original(error, label)


def save_watch_atomic(watch_dir: Any, uuid: str, watch_dict: Dict[str, Any]) -> None:
    """Saves a watch to `watch_dir`/watch.json, as `save_json_atomic` does.

    Example: ``save_watch_atomic(folder, uuid, {})``
    """
    save_json_atomic(os.path.join(os.fspath(watch_dir), "watch.json"), watch_dict, f"watch {uuid}")


def load_watch_from_file(watch_json: Any, uuid: str,
                         rehydrate_entity_func: Rehydrate) -> Tuple[Optional[Any], Optional[Dict[str, Any]]]:
    """The watch and its data, all of it; (None, None), and a line in the log, when the file is missing or damaged.

    Example: ``watch, data = load_watch_from_file(path, uuid, store.rehydrate_entity)``
    """
    try:
        check_size(os.path.getsize(watch_json), f"watch {uuid}")
        with open(watch_json, "rb") as file:
            content = file.read()
        return rehydrate_entity_func(uuid, _document_of(content)), _document_of(content)
    except FileNotFoundError:
        LOGGER.error("Watch file not found: %s for watch %s", watch_json, uuid)
    except (OSError, ValueError) as error:
        _tell_of_damage(uuid, error)
    return None, None


def _document_of(content: bytes) -> Dict[str, Any]:
    data = json.loads(content)
    if not isinstance(data, dict):
        raise ValueError("it is no JSON object")
    return data


def _tell_of_damage(uuid: str, error: Any) -> None:
    LOGGER.critical("CORRUPTED WATCH DATA: watch %s: %s. Watch will be skipped and may need manual recovery from "
                    "backup.", uuid, error)


def load_all_watches(datastore_path: Any, rehydrate_entity_func: Rehydrate,
                     compute_hash_func: ComputeHash) -> Tuple[Dict[str, Any], Dict[str, str]]:
    """All watches of the datastore, and their hashes. Those that are damaged are told of in the log; their files stay.

    :raises holdfast.HoldfastError: the datastore cannot be read, or another process has it

    Example: ``watching, hashes = load_all_watches(path, store.rehydrate_entity, store._compute_hash)``
    """
    watching: Dict[str, Any] = {}
    hashes: Dict[str, str] = {}
    if not os.path.exists(datastore_path):
        return watching, hashes
    tree = tree_of(datastore_path)
    rows = tree.rows(WATCH)
    for uuid, content in rows:
        try:
            if content is None:
                raise ValueError("what is stored of it is damaged")
            watch = rehydrate_entity_func(uuid, _document_of(content))
        except Exception as error:  # also what the program's own class raises: the other watches are to be had
            tree.damaged.add(uuid)
            _tell_of_damage(uuid, error)
            continue
        watching[uuid] = watch
        hashes[uuid] = compute_hash_func(dict(watch))
        if len(watching) % _PROGRESS == 0:
            LOGGER.info("Loaded %d/%d watches...", len(watching), len(rows))
    level = logging.CRITICAL if tree.damaged else logging.INFO
    LOGGER.log(level, "LOAD COMPLETE: %d watches loaded, %d damaged", len(watching), len(tree.damaged))
    return watching, hashes
