"""Marks, the thread that saves what is marked, the audit, and the health of it: the part of `FileSavingDataStore` that
does not know where things are saved.

Invariants

1. A mark is taken from the set before its document is read, so a change that comes later is a mark again.
2. What could not be saved is marked again, and tried again at the next cycle.
3. One cycle at a time; a watch that was deleted is not saved by a cycle that still knew it.
"""

import hashlib
import json
import logging
import threading
import time
import zlib
from typing import Any, Dict, List, Optional, Set, Tuple

LOGGER = logging.getLogger("holdfast.compat.changedetection")
_WARNING_DIRTY, _CRITICAL_DIRTY = 500, 1000
_BATCH = 500
_LATE_S = 300
_HIGH_ERROR_RATE = 0.01
_TRIES = 3  # of reading a document that another thread changes at the same time


Document = Dict[str, Any]
Prepared = Tuple[str, Document, str]  # uuid, document, its hash


class SaveLoop:
    """What is to be saved, and when."""

    needs_write = False
    save_data_thread: Optional[threading.Thread] = None

    def __init__(self) -> None:
        self.lock = threading.RLock()  # the program's, as in the original; nothing here holds it
        self._marks = threading.Lock()
        self._saving = threading.RLock()
        self._wake = threading.Event()
        self._dirty_watches: Set[str] = set()
        self._dirty_settings = False
        self._deleted_watches: Set[str] = set()
        self._watch_hashes: Dict[str, str] = {}
        self._settings_hash: Optional[str] = None
        self._oldest_mark: Optional[float] = None
        self._last_save_failed = False
        self._last_save_time = self._last_audit_time = time.time()
        self._save_cycle_count = self._total_saves = self._save_errors = 0
        self._audit_count = self._audit_found_changes = self._audit_shard_index = 0
        self._level_told = 0

    # ---- what the class that knows the store brings ----

    def _options(self) -> Tuple[float, float, int]:
        """Seconds between saves, seconds between audits, shards of an audit."""
        raise NotImplementedError

    def _watch_exists(self, uuid: str) -> bool:
        raise NotImplementedError

    def _get_watch_dict(self, uuid: str) -> Document:
        raise NotImplementedError

    def _save_watches(self, prepared: List[Prepared]) -> List[Tuple[Prepared, Optional[Exception]]]:
        raise NotImplementedError

    def _save_settings(self) -> None:
        raise NotImplementedError

    def _current_settings_hash(self) -> Optional[str]:
        raise NotImplementedError

    def _all_uuids(self) -> List[str]:
        raise NotImplementedError

    def _damaged_count(self) -> int:
        return 0

    def _close(self) -> None:
        """Called by the thread when it ends."""

    # ---- marks ----

    @property
    def needs_write_urgent(self) -> bool:
        """True: a save begins at once, and settings that changed are among what it saves, marked or not."""
        return self._wake.is_set()

    @needs_write_urgent.setter
    def needs_write_urgent(self, wanted: bool) -> None:
        if wanted or self._stop_thread:
            self._wake.set()
        else:
            self._wake.clear()

    _stop_thread = False

    @property
    def stop_thread(self) -> bool:
        """True: the thread saves what is marked, and ends."""
        return self._stop_thread

    @stop_thread.setter
    def stop_thread(self, wanted: bool) -> None:
        self._stop_thread = wanted
        if wanted:
            self._wake.set()

    def mark_watch_dirty(self, uuid: str) -> None:
        """The watch changed: it is saved within the interval. Any thread. Example: ``store.mark_watch_dirty(uuid)``"""
        with self._marks:
            self._dirty_watches.add(uuid)
            self._deleted_watches.discard(uuid)
            self._note_mark()
            count = len(self._dirty_watches)
        self._tell_of_pressure(count)

    def mark_settings_dirty(self) -> None:
        """The settings changed: they are saved within the interval. Example: ``store.mark_settings_dirty()``"""
        with self._marks:
            self._dirty_settings = True
            self._note_mark()

    def _note_mark(self) -> None:
        if self._oldest_mark is None:
            self._oldest_mark = time.monotonic()
        self.needs_write = True

    def _tell_of_pressure(self, count: int) -> None:
        """Said when it begins, not at each mark."""
        level = 0 if count <= _WARNING_DIRTY else logging.WARNING if count <= _CRITICAL_DIRTY else logging.CRITICAL
        if level > self._level_told:
            LOGGER.log(level, "BACKPRESSURE WARNING: %d watches pending save", count)
        if level > self._level_told or count < _WARNING_DIRTY // 2:
            self._level_told = level

    # ---- saving ----

    def _compute_hash(self, watch_dict: Document) -> str:
        """SHA-256 of the JSON with sorted keys."""
        text = json.dumps(watch_dict, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def _read_watch(self, uuid: str) -> Tuple[Document, str]:
        for attempt in range(_TRIES):
            try:
                document = self._get_watch_dict(uuid)
                return document, self._compute_hash(document)
            except RuntimeError:  # it changed size while it was read
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError

    def _take_marks(self) -> Tuple[List[str], bool, Optional[float]]:
        with self._marks:
            taken = list(self._dirty_watches), self._dirty_settings, self._oldest_mark
            self._dirty_watches.clear()
            self._dirty_settings, self._oldest_mark = False, None
            self.needs_write = False
            return taken

    def _mark_again(self, uuids: List[str], settings: bool, since: Optional[float]) -> None:
        with self._marks:
            self._dirty_watches.update(uuids)
            self._dirty_settings = self._dirty_settings or settings
            if uuids or settings:
                self._oldest_mark = min(filter(None, (since, self._oldest_mark)), default=time.monotonic())
                self.needs_write = True

    def _save_dirty_items(self) -> None:
        """Saves what is marked now. What could not be saved stays marked; nothing is raised."""
        with self._saving:
            uuids, settings, since = self._take_marks()
            if not uuids and not settings:
                return
            failed: List[str] = list(uuids)
            try:
                saved, failed = self._save_marked(uuids)
                settings = settings and not self._save_marked_settings()
            except BaseException:
                self._mark_again(failed, settings, since)
                raise
            self._mark_again(failed, settings, since)
            self._note_cycle(saved, len(failed) + int(settings))

    def _save_marked(self, uuids: List[str]) -> Tuple[int, List[str]]:
        saved, failed = 0, []
        for begin in range(0, len(uuids), _BATCH):
            prepared = []
            for uuid in uuids[begin:begin + _BATCH]:
                try:
                    prepared += self._prepare(uuid)
                except Exception as error:
                    LOGGER.error("Error saving watch %s: %s", uuid, error)
                    failed.append(uuid)
            for (uuid, _, current_hash), error in self._save_watches(prepared) if prepared else ():
                if error is None:
                    self._watch_hashes[uuid] = current_hash
                    saved += 1
                else:
                    LOGGER.error("Error saving watch %s: %s", uuid, error)
                    failed.append(uuid)
        return saved, failed

    def _prepare(self, uuid: str) -> List[Prepared]:
        """Nothing when it was deleted, or is what was saved."""
        if uuid in self._deleted_watches or not self._watch_exists(uuid):
            self._watch_hashes.pop(uuid, None)
            return []
        document, current_hash = self._read_watch(uuid)
        return [] if current_hash == self._watch_hashes.get(uuid) else [(uuid, document, current_hash)]

    def _save_marked_settings(self) -> bool:
        try:
            current_hash = self._current_settings_hash()
            self._save_settings()
            self._settings_hash = current_hash
            return True
        except Exception as error:
            LOGGER.error("Failed to save settings: %s", error)
            return False

    def _note_cycle(self, saved: int, errors: int) -> None:
        self._save_cycle_count += 1
        self._total_saves += saved
        self._save_errors += errors
        self._last_save_failed = errors > 0
        if not errors:
            self._last_save_time = time.time()
        if saved:
            LOGGER.info("Successfully saved %d watches. Total: %d saves, %d errors (lifetime)", saved,
                        self._total_saves, self._save_errors)
        if errors:
            LOGGER.error("Save cycle completed with %d errors", errors)

    # ---- audit ----

    def _look_at_settings(self) -> bool:
        """Marks settings that changed without a mark."""
        try:
            current_hash = self._current_settings_hash()
        except RuntimeError:  # they change right now; the next look finds them
            return False
        if current_hash is None or current_hash == self._settings_hash:
            return False
        self.mark_settings_dirty()
        return True

    def _audit_all_watches(self) -> None:
        """Looks for changes that nobody marked: in one shard of the watches, and in the settings. A watch belongs to a
        shard by its own id, so each is looked at once in as many audits as there are shards."""
        found = int(not self._dirty_settings and self._look_at_settings())
        shards = max(1, self._options()[2])
        for uuid in self._all_uuids():
            if zlib.crc32(uuid.encode("utf-8", "replace")) % shards == self._audit_shard_index % shards:
                found += self._audit_watch(uuid)
        self._audit_shard_index = (self._audit_shard_index + 1) % shards
        self._audit_count += 1
        self._audit_found_changes += found
        self._last_audit_time = time.time()

    def _audit_watch(self, uuid: str) -> int:
        try:
            if uuid in self._dirty_watches or self._read_watch(uuid)[1] == self._watch_hashes.get(uuid):
                return 0
        except Exception as error:
            LOGGER.debug("Audit error for watch %s: %s", uuid, error)
            return 0
        LOGGER.warning("Audit detected unmarked change in watch %s", uuid)
        self.mark_watch_dirty(uuid)
        return 1

    # ---- the thread ----

    def save_datastore(self) -> None:
        """What the thread does until `stop_thread`: saves at each interval, at once when it is urgent, and audits."""
        next_save = time.monotonic() + self._options()[0]
        next_audit = time.monotonic() + self._options()[1]
        while not self.stop_thread:
            self._wake.wait(max(0.0, min(next_save, next_audit) - time.monotonic()))
            is_urgent = self._wake.is_set()
            self._wake.clear()
            now = time.monotonic()
            self._step(is_urgent, now >= next_save, now >= next_audit)
            next_save = time.monotonic() + self._options()[0] if now >= next_save else next_save
            next_audit = time.monotonic() + self._options()[1] if now >= next_audit else next_audit
        self._end()

    def _step(self, is_urgent: bool, is_save_due: bool, is_audit_due: bool) -> None:
        try:
            if is_audit_due:
                self._audit_all_watches()
            if is_urgent:
                self._look_at_settings()
            if is_urgent or is_save_due:
                self._save_dirty_items()
        except Exception:
            LOGGER.exception("Error in save cycle")

    def _end(self) -> None:
        try:
            self._look_at_settings()
            self._save_dirty_items()
            if self._dirty_watches or self._dirty_settings:
                LOGGER.critical("FAILED to save dirty items during shutdown: %d watches", len(self._dirty_watches))
            self._close()
        except Exception:
            LOGGER.exception("FAILED to save dirty items during shutdown")

    def start_save_thread(self) -> None:
        """Starts the thread, unless it runs. Example: ``store.start_save_thread()``"""
        if not self.save_data_thread or not self.save_data_thread.is_alive():
            self.save_data_thread = threading.Thread(target=self.save_datastore, daemon=True, name="DatastoreSaver")
            self.save_data_thread.start()

    # ---- health ----

    def get_health_status(self) -> Dict[str, Any]:
        """{status, message, thread_alive, dirty_watches, dirty_settings, last_save_seconds_ago, save_cycles,
        total_saves, total_errors, error_rate_percent}. CRITICAL: the thread is not alive. WARNING: something waits too
        long to be saved, or too much does; the last save failed, or over 1 % of all; files are damaged. Else HEALTHY.

        Example: ``assert store.get_health_status()["status"] == "HEALTHY"``
        """
        with self._marks:
            dirty, settings, oldest = len(self._dirty_watches), self._dirty_settings, self._oldest_mark
        is_alive = bool(self.save_data_thread and self.save_data_thread.is_alive())
        rate = self._save_errors / max(self._total_saves, 1)
        waited = time.monotonic() - oldest if oldest is not None else 0
        limit = _LATE_S + 2 * self._options()[0]
        rules: List[Tuple[bool, str, str]] = [
            (not is_alive, "CRITICAL", "Save thread is DEAD"),
            (waited > limit, "WARNING", f"The oldest change is not saved for {waited:.0f}s"),
            (dirty > _CRITICAL_DIRTY, "WARNING", f"High backpressure: {dirty} watches pending"),
            (self._last_save_failed, "WARNING", "The last save failed"),
            (rate > _HIGH_ERROR_RATE, "WARNING", f"High error rate: {self._save_errors} errors"),
            (self._damaged_count() > 0, "WARNING", f"{self._damaged_count()} watches are damaged"),
            (True, "HEALTHY", "Operating normally")]
        status, message = next((status, message) for holds, status, message in rules if holds)
        return {"status": status, "message": message, "thread_alive": is_alive, "dirty_watches": dirty,
                "dirty_settings": settings, "last_save_seconds_ago": int(time.time() - self._last_save_time),
                "save_cycles": self._save_cycle_count, "total_saves": self._total_saves,
                "total_errors": self._save_errors, "error_rate_percent": round(rate * 100, 2)}

