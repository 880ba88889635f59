"""A drop-in for changedetection.io's `FileSavingDataStore`: only the import line of a subclass changes.

::

    from holdfast.compat.changedetection import (FileSavingDataStore, load_all_watches, save_json_atomic,
                                                 save_watch_atomic)

    class ChangeDetectionStore(DatastoreUpdatesMixin, FileSavingDataStore):
        …

The datastore folder is a store of holdfast in this process: the layout and the style of its files stay
(``{uuid}/watch.json``, ``changedetection.json``), the index that makes it safe is in ``.holdfast`` beside them
(docs/store.md). A datastore that is there is taken as it is, and the original can read it again at any time. The
options of the environment are the original's: FORCE_FSYNC_DATA_IS_CRITICAL,
DATASTORE_SCAN_DIRTY_SAVE_INTERVAL_SECONDS, DATASTORE_AUDIT_INTERVAL_SECONDS, DATASTORE_AUDIT_SHARDS.

Every hook has a default that works on that store: a subclass overrides what it wants otherwise.

What is better than in the original:

- What was saved survives a power cut, whatever FORCE_FSYNC_DATA_IS_CRITICAL says; with it, other programs find the
  files so, too. No file is ever half written, and none is left behind.
- Nothing is taken from a watch when it is loaded.
- A mark that comes while a save is under way is saved by the next one; what could not be saved is tried again by
  itself.
- Changed settings are found: by `needs_write_urgent` alone, and by the audit.
- One watch that cannot be saved holds up no other. `force_save_all` raises when something could not be saved.
- Two processes cannot have one datastore; two objects of a process share nothing but it.
- A damaged file whose watch is in the index is put back; others are told of, and make the health a WARNING. Having
  nothing to save is healthy.

What is different:

- The folder of a watch or a file in the datastore's root (``*.json``) that was removed by hand is written again:
  delete with `_delete_watch`, or ``holdfast store rm --url 'tree:DIR?layout=watch' watch UUID`` while the program does
  not run.
- The log goes to the logger ``holdfast.compat.changedetection`` of Python's `logging`.
"""

import logging
import os
import shutil
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..errors import HoldfastError
from ._changedetection_files import load_all_watches, load_watch_from_file, save_json_atomic, save_watch_atomic
from ._changedetection_loop import Document, Prepared, SaveLoop
from ._changedetection_tree import (FORCE_FSYNC_DATA_IS_CRITICAL, SETTINGS, WATCH, Tree, check_size, raise_as_original,
                                    to_json, tree_of)

__all__ = ["DATASTORE_AUDIT_INTERVAL_SECONDS", "DATASTORE_AUDIT_SHARDS", "DATASTORE_SCAN_DIRTY_SAVE_INTERVAL_SECONDS",
           "FORCE_FSYNC_DATA_IS_CRITICAL", "FileSavingDataStore", "load_all_watches", "load_watch_from_file",
           "save_json_atomic", "save_watch_atomic"]

LOGGER = logging.getLogger(__name__)

DATASTORE_SCAN_DIRTY_SAVE_INTERVAL_SECONDS = int(os.getenv("DATASTORE_SCAN_DIRTY_SAVE_INTERVAL_SECONDS", "10"))
DATASTORE_AUDIT_INTERVAL_SECONDS = int(os.getenv("DATASTORE_AUDIT_INTERVAL_SECONDS", "10"))
DATASTORE_AUDIT_SHARDS = int(os.getenv("DATASTORE_AUDIT_SHARDS", "5"))

_SETTINGS_ID = "changedetection"
_NOTE = "Settings file - watches are stored in individual {uuid}/watch.json files"


class FileSavingDataStore(SaveLoop):
    """Watches and settings that a program holds in `data` and marks when it changes them.

    :param datastore_path: the folder; a subclass may set the member `datastore_path` instead, before anything is loaded

    Any thread may mark. A subclass that overrides nothing has dictionaries as watches.

    Example::

        store = FileSavingDataStore("/datastore")
        store.load()
        store.start_save_thread()
        store.data["watching"][uuid]["paused"] = True
        store.mark_watch_dirty(uuid)
        …
        store.stop_thread = True
        store.save_data_thread.join()
    """

    datastore_path: Optional[str] = None

    def __init__(self, datastore_path: Optional[str] = None) -> None:
        super().__init__()
        if datastore_path is not None:
            self.datastore_path = datastore_path
        self._data: Dict[str, Any] = {"watching": {}, "settings": {}}

    def __init_subclass__(cls, **arguments: Any) -> None:
        """A subclass's own `_delete_watch` may know of files only; what is stored of the watch goes first."""
        super().__init_subclass__(**arguments)
        own: Optional[Callable[..., Any]] = cls.__dict__.get("_delete_watch")
        if own is None:
            return
        delete = own

        def _delete_watch(self: "FileSavingDataStore", uuid: str) -> Any:
            self._forget_watch(uuid)
            return delete(self, uuid)

        setattr(cls, "_delete_watch", _delete_watch)

    # ---- the store ----

    @property
    def data(self) -> Dict[str, Any]:
        """{watching: {uuid: watch}, settings, …}: what is saved."""
        return self._data

    def _tree(self) -> Tree:
        if not self.datastore_path:
            raise ValueError("the datastore has no folder: set datastore_path")
        return tree_of(self.datastore_path)

    def _close(self) -> None:
        self._tree().close()

    def _damaged_count(self) -> int:
        return len(self._tree().damaged) if self.datastore_path else 0

    def _options(self) -> Tuple[float, float, int]:
        return (DATASTORE_SCAN_DIRTY_SAVE_INTERVAL_SECONDS, DATASTORE_AUDIT_INTERVAL_SECONDS, DATASTORE_AUDIT_SHARDS)

    def load(self) -> None:
        """Loads the settings and all watches into `data`, by the hooks.

        :raises holdfast.HoldfastError: the datastore cannot be read, or another process has it

        Example: ``store.load()``
        """
        stored = self._tree().get(SETTINGS, _SETTINGS_ID)
        if isinstance(stored, dict):
            self.data.update({name: value for name, value in stored.items() if name != "note"})
        self._load_watches()

    # ---- hooks: watches ----

    def rehydrate_entity(self, uuid: str, entity: Document, processor_override: Optional[str] = None) -> Any:
        """Makes a watch of its document: here the document itself, with its uuid.

        Example: ``return Watch(default={**entity, "uuid": uuid})``
        """
        entity["uuid"] = uuid
        return entity

    def _load_watches(self) -> None:
        if not self.datastore_path:
            raise ValueError("the datastore has no folder: set datastore_path")
        self._tree()
        watching, self._watch_hashes = load_all_watches(self.datastore_path, self.rehydrate_entity, self._compute_hash)
        self.data["watching"] = watching

    def _watch_exists(self, uuid: str) -> bool:
        return uuid in self.data["watching"]

    def _get_watch_dict(self, uuid: str) -> Document:
        return dict(self.data["watching"][uuid])

    def _all_uuids(self) -> List[str]:
        try:
            return list(self.data["watching"])
        except (KeyError, AttributeError, RuntimeError):  # not loaded yet, or just being changed
            return []

    def _save_watch(self, uuid: str, watch_dict: Document) -> None:
        content = to_json(watch_dict)
        check_size(len(content), f"watch {uuid}")
        try:
            self._tree().put(WATCH, [(uuid, content)])
        except HoldfastError as error:
            raise_as_original(error, f"watch {uuid}")

    def save_watch(self, uuid: str, force: bool = False, watch_dict: Optional[Document] = None,
                   current_hash: Optional[str] = None) -> bool:
        """Saves one watch now; it is on disk when this returns.

        :return: False when it does not exist, or is what was saved last (unless `force`)
        :raises OSError, ValueError: it could not be saved

        Example: ``store.save_watch(uuid)``
        """
        with self._saving:
            if not self._watch_exists(uuid):
                LOGGER.warning("Cannot save watch %s - does not exist", uuid)
                return False
            if watch_dict is None:
                watch_dict, found_hash = self._read_watch(uuid)
                current_hash = current_hash or found_hash
            current_hash = current_hash or self._compute_hash(watch_dict)
            if not force and current_hash == self._watch_hashes.get(uuid):
                return False
            self._save_watch(uuid, watch_dict)
            self._watch_hashes[uuid] = current_hash
            return True

    def _save_watches(self, prepared: List[Prepared]) -> List[Tuple[Prepared, Optional[Exception]]]:
        """Together, where that is possible; else one by one, so that one that cannot be saved holds up no other."""
        is_ours = type(self)._save_watch is FileSavingDataStore._save_watch
        if is_ours and type(self).save_watch is FileSavingDataStore.save_watch and len(prepared) > 1:
            try:
                contents = [(uuid, to_json(document)) for uuid, document, _ in prepared]
                for uuid, content in contents:
                    check_size(len(content), f"watch {uuid}")
                self._tree().put(WATCH, contents)
                return [(each, None) for each in prepared]
            except (HoldfastError, ValueError, TypeError, OSError) as error:
                LOGGER.debug("save %d watches together: %s", len(prepared), error)
        return [(each, self._save_prepared(each)) for each in prepared]

    def _save_prepared(self, prepared: Prepared) -> Optional[Exception]:
        uuid, document, current_hash = prepared
        try:
            self.save_watch(uuid, force=True, watch_dict=document, current_hash=current_hash)
            return None
        except Exception as error:
            return error

    def _forget_watch(self, uuid: str) -> None:
        with self._saving:
            with self._marks:
                self._deleted_watches.add(uuid)
                self._dirty_watches.discard(uuid)
            self._tree().delete(WATCH, uuid)
            self._watch_hashes.pop(uuid, None)

    def _delete_watch(self, uuid: str) -> None:
        """Deletes the watch and its folder."""
        if os.path.basename(uuid) != uuid or uuid in ("", ".", ".."):
            raise ValueError(f"delete the watch {uuid!r}: that is no name of a folder")
        self._forget_watch(uuid)
        folder = os.path.join(self._tree().folder, uuid)
        if os.path.isdir(folder) and not os.path.islink(folder):
            shutil.rmtree(folder)

    # ---- hooks: settings ----

    def _get_settings_dict(self) -> Document:
        """What `changedetection.json` holds: what a subclass's own `_build_settings_data` says, or `data` without the
        watches."""
        build = getattr(self, "_build_settings_data", None)
        if build:
            return dict(build())
        return {"note": _NOTE, **{name: value for name, value in self.data.items() if name != "watching"}}

    def _save_settings(self) -> None:
        content = to_json(self._get_settings_dict())
        check_size(len(content), "settings")
        try:
            self._tree().put(SETTINGS, [(_SETTINGS_ID, content)])
        except HoldfastError as error:
            raise_as_original(error, "settings")

    def _current_settings_hash(self) -> Optional[str]:
        """None when there are none to look at. The first time what is stored is taken as what was saved last."""
        if not self.datastore_path:
            return None
        try:
            current_hash = self._compute_hash(self._get_settings_dict())
        except (KeyError, TypeError, AttributeError):  # a subclass that keeps its settings otherwise
            return None
        if self._settings_hash is None:
            stored = self._tree().get(SETTINGS, _SETTINGS_ID)
            self._settings_hash = self._compute_hash(stored) if stored is not None else ""
        return current_hash

    # ---- all ----

    def force_save_all(self) -> None:
        """Saves everything that changed, now: for before a backup, and when the program ends.

        :raises OSError: something could not be saved; it stays marked

        Example: ``store.force_save_all()``
        """
        with self._saving:  # the thread takes no marks meanwhile
            errors = self._save_errors
            self._mark_again(self._all_uuids(), True, None)
            self._save_dirty_items()
            failed = self._save_errors - errors
        if failed:
            raise OSError(f"{failed} of the watches and settings could not be saved; the log says why")
