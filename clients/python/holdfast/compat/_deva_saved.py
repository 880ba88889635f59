"""A data source as it is kept in holdfast.

A timer with code is a python source of holdfast, which the daemon runs; its tag `deva:id=…` makes it one of deva's, in
the same commit as the source itself. Beside it, and alone for all other types, stands a record of the kind
`deva_source` with what a source of holdfast has no field for.

Invariants

1. The record of a new data source is written before its source, and the source is what makes it count: a record that
   says it has a source, and has none, is no data source.
2. Only what the program changed is written: what somebody changed by the command meanwhile stays.
"""

import base64
import importlib
import threading
import time
from typing import Any, Dict, List, Optional, Tuple

from .._model import ms_of_time, text_of_ms, time_of_text
from ..errors import Conflict, Invalid, NotFound
from . import _deva_code
from ._deva_model import (DataSourceMetadata, DataSourceState, DataSourceStats, DataSourceStatus, DataSourceType,
                          Reported)
from ._deva_sources import Document, Sources, check_name

ID_TAG = "deva:id="
_RATE_DATA = 10
_OWN_FIELDS = ("interval", "interval_ms", "code", "tags", "description", "name", "kind", "start")


def seconds_of(text: Optional[str]) -> float:
    """Seconds since 1970 of a time in a document; 0 for none."""
    return time_of_text(text).timestamp() if text else 0


def text_of(seconds: float) -> Optional[str]:
    """A time for a document."""
    return text_of_ms(ms_of_time(float(seconds))) if seconds and seconds > 0 else None


def id_of(source: Document) -> Optional[str]:
    """deva's id of a source; None when it is not one of deva's."""
    for tag in source.get("tags") or ():
        if tag.startswith(ID_TAG):
            return str(tag[len(ID_TAG):])
    return None


def value_of(datum: Document) -> Any:
    """What fetch_data returned, as near as JSON keeps it: DataFrames where pandas is installed, bytes, JSON values."""
    value, columns = datum.get("data"), datum.get("columns") or {}
    if datum.get("type") in ("bytes", "bytearray") and isinstance(value, dict):
        return base64.b64decode(value["base64"])
    if datum.get("type") != "DataFrame" or not isinstance(value, list):
        return value
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        return value
    return pandas.DataFrame(value, columns=list(columns) or None).astype(columns, errors="ignore")


def status_of(source: Document, is_daemon: bool) -> DataSourceStatus:
    """deva's word for how a source is."""
    if source["wanted"] != "running":
        return DataSourceStatus.STOPPED
    if source["status"] in ("fatal", "backoff") or source["consecutive_errors"] > 0:
        return DataSourceStatus.ERROR
    is_active = is_daemon and source["status"] in ("running", "stopping")
    return DataSourceStatus.RUNNING if is_active else DataSourceStatus.INITIALIZING


class SavedSource:
    """What a data source is, in this program and in the store."""

    def __init__(self, metadata: DataSourceMetadata) -> None:
        self._id = metadata.id
        self.metadata = metadata
        self._lock = threading.RLock()
        self._reported = Reported()
        self._strategies: List[str] = []
        self._is_saved = False
        self._is_source = False  # in the store: a source that the daemon can run
        self._saved_metadata: Document = {}
        self._own_status = DataSourceStatus.INITIALIZING  # of one that the daemon does not run
        self._own_versions: List[Document] = []
        self._started_at = 0.0
        self._was_running = False

    @staticmethod
    def _sources() -> Sources:
        return Sources()

    @property
    def _has_runner(self) -> bool:
        return self.metadata.source_type == DataSourceType.TIMER and bool(self.metadata.data_func_code)

    # ---- writing ----

    def _record(self) -> Document:
        metadata = self.metadata.to_dict()
        record = {"id": self._id, "name": self.metadata.name, "source_type": metadata["source_type"],
                  "config": metadata["config"], "created_at": metadata["created_at"],
                  "dependent_strategies": sorted(self._strategies), "reported": vars(self._reported),
                  "is_source": self._has_runner}
        if not self._has_runner:
            record.update(metadata=metadata, status=self._own_status.value, started_at=self._started_at,
                          code_versions=self._own_versions)
        return record

    def _save_record(self) -> None:
        with self._lock:
            if self._is_saved:
                self._sources().put_record(self._id, self._record())

    def _fields(self) -> Document:
        metadata = self.metadata
        fields = {"interval_ms": round(metadata.interval * 1000), "description": metadata.description,
                  "tags": [*metadata.tags, ID_TAG + self._id]}
        extra = metadata.config.get("holdfast") or {}
        for name in extra:
            if name in _OWN_FIELDS:
                raise Invalid(f"save the data source '{metadata.name}': config['holdfast'] has the field '{name}', "
                              "which is the data source's own")
        return {**fields, **extra}

    def _changed_fields(self) -> Document:
        before, now = self._saved_metadata, self.metadata.to_dict()
        changed = {name for name in now if now[name] != before.get(name)}
        words = {"interval_ms": "interval", "description": "description", "tags": "tags"}
        return {name: value for name, value in self._fields().items() if words.get(name, "config") in changed}

    def _check_free(self, sources: Sources) -> None:
        record, source = find_both(sources, self._id)
        self._is_saved, self._is_source = bool(record or source), source is not None
        existing = find(sources, name=self.metadata.name)
        if existing and existing[0] != self._id:
            error = Conflict(f"save the data source '{self.metadata.name}': there is one of that name",
                             code="exists", hint=f"its id is {existing[0]}" if existing[0] else
                             "it is a source of holdfast that was not made by deva")
            error.existing_id = existing[0]  # type: ignore[attr-defined]
            raise error

    def _save(self) -> None:
        with self._lock:
            if self._is_source and not self._has_runner:
                raise Invalid(f"save the data source '{self.metadata.name}': a timer keeps its type and its code",
                              hint="delete it, and make another one")
            self._save_in(self._sources())
            self._is_saved, self._is_source = True, self._has_runner
            self._saved_metadata = self.metadata.to_dict()

    def _save_in(self, sources: Sources) -> None:
        check_name(self.metadata.name)
        if not self._is_saved:
            self._check_free(sources)
        is_new = not (self._is_source if self._has_runner else self._is_saved)
        if is_new or not self._has_runner or self._saved_metadata.get("config") != self.metadata.config:
            sources.put_record(self._id, self._record())
        if not self._has_runner:
            return
        code = _deva_code.complete(self.metadata.data_func_code)
        if is_new:
            sources.add(self.metadata.name, code, self._fields())
            return
        is_new_code = self._saved_metadata.get("data_func_code") != self.metadata.data_func_code
        fields = self._changed_fields()
        if fields or is_new_code:
            sources.edit(self.metadata.name, fields, code if is_new_code else None)

    def _ensure_saved(self) -> None:
        if not self._is_saved or self.metadata.to_dict() != self._saved_metadata:
            self._save()

    def _remove(self) -> None:
        sources = self._sources()
        if self._is_source:
            sources.remove(self.metadata.name)
        sources.remove_record(self._id)
        self._is_saved = self._is_source = False

    # ---- reading ----

    def _read_record(self, record: Document) -> None:
        for name, value in (record.get("metadata") or {}).items():
            setattr(self.metadata, name, value)
        self.metadata.config = record.get("config") or {}
        self.metadata.source_type = DataSourceType(record.get("source_type") or "timer")
        self.metadata.created_at = record.get("created_at") or self.metadata.created_at
        self._strategies = list(record.get("dependent_strategies") or ())
        self._reported = Reported.from_dict(record.get("reported") or {})
        self._own_versions = list(record.get("code_versions") or ())
        self._own_status = DataSourceStatus.STOPPED
        self._was_running = record.get("status") == "running"

    def _read_source(self, source: Document) -> None:
        versions = self._sources().versions(source["name"], 1)
        metadata = self.metadata
        metadata.description, metadata.interval = source["description"], source["interval_ms"] / 1000
        metadata.tags = [tag for tag in source["tags"] if not tag.startswith(ID_TAG)]
        metadata.updated_at = seconds_of(source["updated_at"])
        metadata.data_func_code = _deva_code.strip(versions[0]["code"]) if versions else ""
        self._was_running = source["wanted"] == "running"

    def _read(self, record: Optional[Document], source: Optional[Document]) -> None:
        if record:
            self._read_record(record)
        else:
            self.metadata.source_type = DataSourceType.TIMER
            self.metadata.created_at = seconds_of(source["created_at"]) if source else 0
        if source:
            self._read_source(source)
        self._is_saved, self._is_source = True, source is not None
        self._saved_metadata = self.metadata.to_dict()

    def _adopt(self, id: str) -> None:
        """Becomes the one of that name that is in the store already; what this program says of it is to come."""
        with self._lock:
            asked = self.metadata
            self._id = id
            self.metadata = DataSourceMetadata(id, asked.name)
            self._read(*find_both(self._sources(), id))
            asked.id, asked.created_at = id, self.metadata.created_at
            self.metadata = asked

    # ---- looking at it ----

    def _look(self) -> Tuple[Document, bool]:
        """The source in the store, and whether a daemon runs it; ({}, False) for one that is no source there."""
        if not self._is_source:
            return {}, False
        try:
            return self._sources().show(self.metadata.name)
        except NotFound:
            self._is_saved = self._is_source = False
            return {}, False

    def _state_of(self, source: Document, is_daemon: bool) -> DataSourceState:
        reported = self._reported
        state = DataSourceState(self._own_status.value, reported.error_count, reported.last_error,
                                reported.last_error_ts, reported.last_data_ts)
        if source:
            state.status = status_of(source, is_daemon).value
            state.error_count += source["error_count"]
            state.last_data_ts = max(state.last_data_ts, seconds_of(source["last_data_at"]))
            error_ts = seconds_of(source["last_error_at"])
            if source["last_error"] and error_ts >= state.last_error_ts:
                state.last_error, state.last_error_ts = source["last_error"], error_ts
        return state

    def _stats_of(self, source: Document, is_daemon: bool) -> DataSourceStats:
        state = self._state_of(source, is_daemon)
        is_running = state.status in (DataSourceStatus.RUNNING.value, DataSourceStatus.ERROR.value)
        stats = DataSourceStats(self._started_at if is_running else 0, self._reported.emitted,
                                error_count=state.error_count)
        if source:
            stats.start_time = seconds_of(source["started_at"]) if is_running else 0
            stats.total_emitted += max(0, source["run_count"] - source["error_count"])
            stats.emit_rate = self._rate() if is_running and is_daemon else 0.0
        return stats

    def _rate(self) -> float:
        data = self._sources().data(self.metadata.name, _RATE_DATA)
        lasted = seconds_of(data[-1]["at"]) - seconds_of(data[0]["at"]) if data else 0
        return round((len(data) - 1) / lasted, 3) if lasted > 0 else 0.0

    def _newest_datum(self) -> Optional[Document]:
        """{data, data_type, timestamp, size} of the newest; its data as JSON keeps it. None when there is none."""
        newest = dict(self._reported.latest) or None
        data = self._sources().data(self.metadata.name, 1) if self._is_source else []
        if data and (not newest or seconds_of(data[-1]["at"]) >= newest["timestamp"]):
            datum = data[-1]
            value = datum["data"]
            newest = {"data": value, "data_type": datum["type"], "timestamp": seconds_of(datum["at"]),
                      "size": len(value) if hasattr(value, "__len__") else 0, "columns": datum.get("columns")}
        return newest


# ---- what is in the store ----

def _counts(record: Document, sources: Dict[str, Document]) -> bool:
    return not record["is_source"] or id_of(sources.get(record["name"], {})) == record["id"]


def find_all(sources: Sources) -> Dict[str, Tuple[Optional[Document], Optional[Document]]]:
    """Record and source of every data source, by its id."""
    named = {source["name"]: source for source in sources.all() if "tags" in source}
    records = {record["id"]: record for record in sources.records() if _counts(record, named)}
    found: Dict[str, Tuple[Optional[Document], Optional[Document]]] = {}
    for source in named.values():
        id = id_of(source)
        if id:
            found[id] = (records.get(id), source)
    for id, record in records.items():
        found.setdefault(id, (record, None))
    return found


def find_both(sources: Sources, id: str) -> Tuple[Optional[Document], Optional[Document]]:
    """Record and source of one; (None, None) when there is no such data source."""
    return find_all(sources).get(id, (None, None))


def find(sources: Sources, name: str) -> Optional[Tuple[str, bool]]:
    """Id of what has that name, and whether it is deva's; the id is "" when it is not. None: the name is free."""
    for id, (record, source) in find_all(sources).items():
        if (source or record or {}).get("name") == name:
            return id, True
    try:
        sources.show(name)
    except NotFound:
        return None
    return "", False
