"""The part of a data source that shows what is saved, and takes it along: versions, summary, export, import."""

import hashlib
import json
import logging
import os
import time
from datetime import datetime
from typing import Any, Dict, List, Optional

from ..errors import HoldfastError, Invalid
from . import _deva_code
from ._deva_flow import FlowMixin, plain
from ._deva_model import DEFAULT_INTERVAL_S, DataSourceType
from ._deva_saved import seconds_of, text_of, value_of
from ._deva_sources import Document, check_name

LOGGER = logging.getLogger("holdfast.compat.deva")
_EXPORTED_VERSIONS = 10
_FORMAT = 1


def _digest(code: str) -> str:
    return hashlib.blake2b(code.encode("utf-8"), digest_size=32).hexdigest()


class HistoryMixin(FlowMixin):
    """What is saved of a data source."""

    # ---- what is saved ----

    def get_saved_running_state(self) -> Optional[Document]:
        """{id, name, is_running, status, last_update, last_data_ts, error_count, last_error, pid}; None when the data
        source is not saved. `is_running` says what is wanted: it is what a restart goes by. `pid` is the process that
        collects.

        :raises holdfast.HoldfastError: the store cannot be read

        Example: ``print(source.get_saved_running_state()["is_running"])``
        """
        source, is_daemon = self._look()
        if not self._is_saved:
            return None
        state = self._state_of(source, is_daemon)
        times = [seconds_of(source.get(name)) for name in ("updated_at", "started_at", "last_run_at")]
        return {"id": self._id, "name": self.metadata.name,
                "is_running": source["wanted"] == "running" if source else state.status == "running",
                "status": state.status, "last_update": max(*times, self.metadata.updated_at),
                "last_data_ts": state.last_data_ts, "error_count": state.error_count, "last_error": state.last_error,
                "pid": source.get("pid") if source else os.getpid()}

    def get_saved_latest_data(self) -> Optional[Document]:
        """{id, name, data, data_type, timestamp, size} of the newest datum; None when there is none. A DataFrame is one
        again where pandas is installed.

        :raises holdfast.HoldfastError: the store cannot be read

        Example: ``print(source.get_saved_latest_data()["timestamp"])``
        """
        newest = self._newest_datum()
        return self._shown(newest, True) if newest else None

    def _shown(self, newest: Document, as_objects: bool) -> Document:
        data = value_of({**newest, "type": newest["data_type"]}) if as_objects else newest["data"]
        return {"id": self._id, "name": self.metadata.name, "data": data, "data_type": newest["data_type"],
                "timestamp": newest["timestamp"], "size": newest["size"]}

    # ---- code ----

    def get_code_versions(self, limit: int = 10) -> List[Document]:
        """[{id, name, new_code, old_code, timestamp, version}], newest first; the last one is the code that the data
        source began with, its `old_code` is empty. `version` counts from 1.

        :raises holdfast.HoldfastError: the store cannot be read

        Example: ``source.rollback_data_func_code(source.get_code_versions(2)[1]["version"])``
        """
        if limit < 1:
            return []
        if not self._is_source:
            return [dict(version) for version in self._own_versions[-limit:][::-1]]
        found = self._sources().versions(self.metadata.name, limit + 1)
        codes = [_deva_code.strip(version["code"]) for version in found]
        return [{"id": self._id, "name": self.metadata.name, "new_code": codes[i],
                 "old_code": codes[i + 1] if i + 1 < len(codes) else "", "timestamp": seconds_of(version["at"]),
                 "version": version["version"]} for i, version in enumerate(found[:limit])]

    def update_data_func_code(self, code: str) -> Document:
        """Makes this the newest version of the code. A source that runs goes on with it behind the run under way; the
        same code again makes no version. Wrong code (syntax, no `fetch_data`) changes nothing.

        :return: {success, message} or {success: False, error}

        Example: ``print(source.update_data_func_code(new_code))``
        """
        with self._lock:
            old_code, had_runner = self.metadata.data_func_code, self._is_source
            try:
                if not _deva_code.has_fetch_data(code):
                    return {"success": False, "error": "代码必须包含可调用的fetch_data函数"}
                self.metadata.data_func_code = code
                self.metadata.touch()
                if not self._has_runner:
                    self._own_versions.append(self._version(code, old_code))
                self._ensure_saved()
                if self._is_source and not had_runner and self._own_status == "running":
                    self._sources().want(self.metadata.name, True)
            except (HoldfastError, SyntaxError, ValueError) as error:
                self.metadata.data_func_code = old_code
                return {"success": False, "error": f"代码更新失败: {error}"}
        return {"success": True, "message": "代码更新成功"}

    def _version(self, code: str, old_code: str) -> Document:
        return {"id": self._id, "name": self.metadata.name, "new_code": code, "old_code": old_code,
                "timestamp": time.time(), "version": len(self._own_versions) + 1}

    def rollback_data_func_code(self, version: int) -> Document:
        """Makes the code of an earlier version the newest, as a new version. (The original's guide speaks of it; the
        original has no such method.)

        :return: {success, message} or {success: False, error}

        Example: ``source.rollback_data_func_code(1)``
        """
        try:
            if self._is_source:
                self._sources().rollback(self.metadata.name, version)
                self.metadata.data_func_code = self.get_code_versions(1)[0]["new_code"]
                self._saved_metadata = {**self._saved_metadata, "data_func_code": self.metadata.data_func_code}
                return {"success": True, "message": "代码回滚成功"}
            codes = [entry["new_code"] for entry in self._own_versions if entry["version"] == version]
            if not codes:
                raise Invalid(f"roll back '{self.metadata.name}': there is no version {version}")
        except HoldfastError as error:
            return {"success": False, "error": str(error)}
        return self.update_data_func_code(codes[0])

    # ---- summary ----

    def get_full_state_summary(self) -> Document:
        """All that is known, for people who look for a fault: {id, name, current_status, current_stats,
        saved_running_state, saved_latest_data, code_versions_count (at most 3), latest_code_update,
        dependent_strategies, metadata}; {error} when the store cannot be read.

        Example: ``print(source.get_full_state_summary()["current_stats"]["error_count"])``
        """
        try:
            latest, versions = self._newest_datum(), self.get_code_versions(3)
            source, is_daemon = self._look()
            return {"id": self._id, "name": self.metadata.name,
                    "current_status": self._state_of(source, is_daemon).status,
                    "current_stats": self._stats_of(source, is_daemon).to_dict(),
                    "saved_running_state": self.get_saved_running_state(),
                    "saved_latest_data": {"has_data": latest is not None,
                                          **{name: latest[name] if latest else None
                                             for name in ("data_type", "timestamp")},
                                          "size": latest["size"] if latest else 0},
                    "code_versions_count": len(versions),
                    "latest_code_update": versions[0]["timestamp"] if versions else None,
                    "dependent_strategies": sorted(self._strategies), "metadata": self.metadata.to_dict()}
        except HoldfastError as error:
            LOGGER.error("data source '%s': %s", self.metadata.name, error)
            return {"error": str(error)}

    # ---- taking it along ----

    def to_dict(self) -> Document:
        """{metadata, state, stats, dependent_strategies}. Example: ``json.dumps(source.to_dict())``"""
        source, is_daemon = self._look()
        return {"metadata": self.metadata.to_dict(), "state": self._state_of(source, is_daemon).to_dict(),
                "stats": self._stats_of(source, is_daemon).to_dict(), "dependent_strategies": sorted(self._strategies)}

    def export_state(self, include_data: bool = False, include_code: bool = True) -> Document:
        """All of `to_dict` and saved_running_state, saved_latest_data, code_versions (the newest ten), export_info.
        Everything in it is JSON, also the data.

        :return: the document; {error} when the store cannot be read

        Example: ``json.dump(source.export_state(include_data=True), file)``
        """
        try:
            state = {**self.to_dict(), "saved_running_state": self.get_saved_running_state(), "saved_latest_data": None}
            newest = self._newest_datum() if include_data else None
            if newest:
                state["saved_latest_data"] = self._shown(newest, False)
            if include_code:
                state["code_versions"] = self.get_code_versions(_EXPORTED_VERSIONS)
        except HoldfastError as error:
            return {"error": str(error)}
        state["export_info"] = {"export_time": time.time(), "export_timestamp": datetime.now().isoformat(),
                                "pid": os.getpid(), "include_data": include_data, "include_code": include_code}
        return state

    def import_state(self, state_data: Document, merge: bool = False) -> Document:
        """Takes an exported state, of this or of the original's `export_state`, and saves it.

        A data source that is not saved yet becomes the exported one under its own name and id: type, configuration,
        counters, the latest datum, strategies, and the code with its versions; it is stopped. One that is saved keeps
        type, name and versions, and takes the rest, the code as a new version. With `merge` it keeps what it has and
        takes only what it lacks: an empty description, code when it has none, members of `config`, tags, strategies.

        :return: {success, message} or {success: False, error}; then nothing was taken

        Example: ``print(DataSource(name="copy").import_state(exported))``
        """
        with self._lock:
            before = (dict(vars(self.metadata)), self._reported, list(self._strategies), list(self._own_versions))
            try:
                if not isinstance(state_data, dict) or not isinstance(state_data.get("metadata"), dict):
                    raise Invalid("import a state: it is none, because it lacks 'metadata'",
                                  hint="give what export_state returned")
                self._import(state_data, merge)
            except (HoldfastError, TypeError, ValueError, KeyError, AttributeError) as error:
                vars(self.metadata).update(before[0])
                self._reported, self._strategies, self._own_versions = before[1], before[2], before[3]
                return {"success": False, "error": str(error)}
        return {"success": True, "message": "状态导入成功"}

    def _import(self, state_data: Document, merge: bool) -> None:
        is_new = not self._is_saved
        if is_new:
            check_name(self.metadata.name)
            self._check_free(self._sources())
            is_new = not self._is_saved
        self._take_metadata(state_data["metadata"], merge, is_new)
        if not merge:
            self._take_counters(state_data)
        for strategy in state_data.get("dependent_strategies") or ():
            if strategy not in self._strategies:
                self._strategies.append(str(strategy))
        self.metadata.touch()
        versions = sorted(state_data.get("code_versions") or (), key=lambda version: float(version["timestamp"]))
        if is_new and self._has_runner:
            self._make_with_history(versions)
        elif is_new:
            self._own_versions = [dict(version) for version in versions]
        self._save()
        self._save_record()

    def _take_metadata(self, theirs: Document, merge: bool, is_new: bool) -> None:
        mine = self.metadata
        if is_new and not (merge and mine.source_type != DataSourceType.CUSTOM):
            mine.source_type = DataSourceType(theirs.get("source_type", mine.source_type))
        taken: Dict[str, Any] = {name: theirs[name] for name in
                                 ("description", "config", "data_func_code", "interval", "tags") if name in theirs}
        if merge:
            taken["config"] = {**(taken.get("config") or {}), **mine.config}
            taken["tags"] = [*mine.tags, *(tag for tag in taken.get("tags") or () if tag not in mine.tags)]
            kept = {name for name in ("description", "data_func_code") if getattr(mine, name)}
            if mine.interval != DEFAULT_INTERVAL_S:
                kept.add("interval")
            taken = {name: value for name, value in taken.items() if name not in kept}
        for name, value in taken.items():
            setattr(mine, name, value)
        mine.interval = float(mine.interval)
        json.dumps(mine.to_dict(), allow_nan=False)  # what cannot be kept is refused before anything is

    def _take_counters(self, state_data: Document) -> None:
        """So that the sums are the imported ones."""
        source, _ = self._look()
        state, stats = state_data.get("state") or {}, state_data.get("stats") or {}
        emitted = max(0, source.get("run_count", 0) - source.get("error_count", 0))
        reported = type(self._reported)(
            emitted=int(stats.get("total_emitted", 0)) - emitted,
            error_count=int(state.get("error_count", 0)) - source.get("error_count", 0),
            last_error=str(state.get("last_error") or ""), last_error_ts=float(state.get("last_error_ts") or 0),
            last_data_ts=float(state.get("last_data_ts") or 0))
        latest = state_data.get("saved_latest_data")
        if latest:
            reported.latest = {"data": plain(latest["data"]), "data_type": str(latest["data_type"]),
                               "timestamp": float(latest["timestamp"]), "size": int(latest["size"])}
        self._reported = reported

    def _make_with_history(self, versions: List[Document]) -> None:
        """A source that is not there is made with its earlier code, in one commit."""
        codes = [(str(version["new_code"]), float(version["timestamp"])) for version in versions]
        if not codes or codes[-1][0] != self.metadata.data_func_code:
            codes.append((self.metadata.data_func_code, time.time()))
        entries = [{"version": number, "code": code, "digest": _digest(code), "author": None, "note": "imported",
                    "bytes": len(code.encode("utf-8")), "at": text_of(at)}
                   for number, (code, at) in enumerate(((_deva_code.complete(code), at) for code, at in codes), 1)]
        source = {"name": self.metadata.name, "kind": "python", "status": "stopped", **self._fields()}
        sources = self._sources()
        sources.put_record(self._id, self._record())
        sources.take(self.metadata.name, {"holdfast_source": _FORMAT, "source": source,
                                          "code_versions": entries[::-1]})
        self._is_saved = self._is_source = True
        self._saved_metadata = self.metadata.to_dict()

