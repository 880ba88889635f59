"""`DataSource`: one data source, its life, and how it is made."""

import hashlib
import logging
import threading
import time
import weakref
from typing import Any, Callable, ClassVar, Dict, List, Optional, Tuple

from ..errors import HoldfastError
from ._deva_history import HistoryMixin
from ._deva_model import (DEFAULT_INTERVAL_S, Answer, DataSourceMetadata, DataSourceState, DataSourceStats,
                          DataSourceStatus, DataSourceType, Reported)
from ._deva_replay import Replay, recorded
from ._deva_saved import find_both
from ._deva_sources import Document, Sources

LOGGER = logging.getLogger("holdfast.compat.deva")
_PATIENCE_S = 15.0  # until the daemon has made a start or a stop so
_PAUSE_S = 0.02
_REPLAY_INTERVAL_S = 1.0
_SETTLED = {True: ("running", "backoff", "fatal"), False: ("stopped", "exited", "fatal")}
_WITHOUT_DAEMON = "no daemon answers: it is noted that the source shall run, and it will as soon as one does"


class DataSource(HistoryMixin):
    """A data source of deva, kept and run by holdfast.

    :param name: free text within what holdfast can have: 1 to 255 bytes, no ``/``, not beginning with ``-``
    :param source_type: a timer with code is run by the daemon; a replay by this program; of all other types only what
        is known of them is kept, as in the original
    :param config: anything that JSON has. ``config["holdfast"]`` may set fields of the source, for example
        ``{"timeout": "30s", "cwd": "/srv/prices", "env": {"TZ": "UTC"}}``
    :param stream: what is collected goes into it, too: anything with ``emit(data)``
    :param auto_start: saves and starts it at once. Otherwise nothing is saved before `save`, `start`, or
        `DataSourceManager.register`.
    :param data_func_code: Python with a function `fetch_data`
    :param interval: seconds from one call to the next

    Any thread. `state` and `stats` look at the store each time; `metadata` is this object's own.

    Example::

        source = DataSource("load", DataSourceType.TIMER, data_func_code=code, interval=5)
        DataSourceManager().register(source)
        source.start()
    """

    _instances: ClassVar["Dict[str, weakref.ref[DataSource]]"] = {}
    _instances_lock: ClassVar[threading.Lock] = threading.Lock()
    _unregister: ClassVar[Callable[[str], Any]] = staticmethod(lambda id: None)  # the manager's, once there is one

    def __init__(self, name: str, source_type: DataSourceType = DataSourceType.CUSTOM, description: str = "",
                 config: Optional[Dict[str, Any]] = None, stream: Optional[Any] = None, auto_start: bool = False,
                 data_func_code: str = "", interval: float = DEFAULT_INTERVAL_S) -> None:
        id = hashlib.md5(f"{name}_{time.time_ns()}".encode("utf-8", "replace")).hexdigest()[:12]
        super().__init__(DataSourceMetadata(id, name, description, source_type=DataSourceType(source_type),
                                            config=dict(config or {}), data_func_code=data_func_code,
                                            interval=float(interval)))
        self._init_flow(stream)
        self._replay: Optional[Replay] = None
        self._note_instance()
        if auto_start:
            self.start()

    def _note_instance(self) -> None:
        with self._instances_lock:
            self._instances[self._id] = weakref.ref(self)

    # ---- what it is ----

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits. They change once, when `register` finds the name in the store."""
        return self._id

    @property
    def name(self) -> str:
        """The name it was made with."""
        return self.metadata.name

    @property
    def state(self) -> DataSourceState:
        """How it is right now. Setting members of what this gives changes nothing.

        :raises holdfast.HoldfastError: the store cannot be read
        """
        return self._state_of(*self._look())

    @property
    def stats(self) -> DataSourceStats:
        """Counters right now; `total_emitted` counts the runs that worked, also those that returned None.

        :raises holdfast.HoldfastError: the store cannot be read
        """
        return self._stats_of(*self._look())

    @property
    def status(self) -> DataSourceStatus:
        """How it is right now. ``ERROR`` while the last call failed or the source cannot be run; it is tried on.
        ``INITIALIZING`` before the first start, and while it is to run and does not yet.

        :raises holdfast.HoldfastError: the store cannot be read
        """
        return DataSourceStatus(self.state.status)

    @property
    def is_running(self) -> Answer:
        """Whether it collects: also while its calls fail. As a property or as a method."""
        source, is_daemon = self._look()
        if not source:
            return Answer(self._own_status == DataSourceStatus.RUNNING)
        return Answer(is_daemon and source["wanted"] == "running" and source["status"] == "running")

    @property
    def is_stopped(self) -> Answer:
        """Whether it is stopped. As a property or as a method."""
        return Answer(self.status == DataSourceStatus.STOPPED)

    @classmethod
    def get_instance(cls, source_id: str) -> Optional["DataSource"]:
        """The object of this program with that id. Example: ``DataSource.get_instance(source.id)``"""
        with cls._instances_lock:
            reference = cls._instances.get(source_id)
            return reference() if reference else None

    @classmethod
    def get_all_instances(cls) -> List["DataSource"]:
        """All objects of this program. Example: ``len(DataSource.get_all_instances())``"""
        with cls._instances_lock:
            living = {id: reference() for id, reference in cls._instances.items()}
            for id in [id for id, source in living.items() if source is None]:
                del cls._instances[id]
            return [source for source in living.values() if source is not None]

    # ---- strategies ----

    def add_dependent_strategy(self, strategy_id: str) -> None:
        """Notes that a strategy depends on it; saved at once when the data source is."""
        with self._lock:
            if strategy_id not in self._strategies:
                self._strategies.append(strategy_id)
                self._save_record()

    def remove_dependent_strategy(self, strategy_id: str) -> None:
        """Notes that it does not any more."""
        with self._lock:
            if strategy_id in self._strategies:
                self._strategies.remove(strategy_id)
                self._save_record()

    def get_dependent_strategies(self) -> List[str]:
        """The strategies' ids."""
        with self._lock:
            return list(self._strategies)

    def _analyze_impact(self) -> Document:
        dependent = self.get_dependent_strategies()
        warning = f"{len(dependent)} strategies depend on this data source" if dependent else None
        return {"dependent_strategies": dependent, "count": len(dependent), "warning": warning}

    # ---- saving ----

    def save(self) -> Document:
        """Writes what the program changed of it; it is on disk when this returns.

        :return: {success, id}
        :raises holdfast.HoldfastError: it cannot be saved: the name is taken or not possible, the code is wrong, …

        Example: ``source.metadata.interval = 60; source.save()``
        """
        self._ensure_saved()
        if self._attends:
            self._attend()
        return {"success": True, "id": self._id}

    @classmethod
    def load(cls, source_id: str) -> Optional["DataSource"]:
        """The saved data source with that id; None when there is none. Example: ``DataSource.load(id)``"""
        record, saved = find_both(Sources(), source_id)
        return cls._of_store(source_id, record, saved) if record or saved else None

    @classmethod
    def _of_store(cls, id: str, record: Optional[Document], saved: Optional[Document]) -> "DataSource":
        source = cls((saved or record or {})["name"])
        with cls._instances_lock:
            cls._instances.pop(source._id, None)
        source._id = source.metadata.id = id
        source._read(record, saved)
        source._note_instance()
        return source

    @classmethod
    def from_dict(cls, data: Document) -> "DataSource":
        """From what `to_dict` gave, with its counters; stopped, and not saved.

        Example: ``DataSource.from_dict(json.load(file)).save()``
        """
        theirs, state, stats = (data.get(part) or {} for part in ("metadata", "state", "stats"))
        source = cls(theirs.get("name", "unnamed"), DataSourceType(theirs.get("source_type", "custom")),
                     theirs.get("description", ""), theirs.get("config"),
                     data_func_code=theirs.get("data_func_code", ""),
                     interval=theirs.get("interval", DEFAULT_INTERVAL_S))
        with cls._instances_lock:
            cls._instances.pop(source._id, None)
        for name in ("id", "created_at", "updated_at", "tags"):
            setattr(source.metadata, name, theirs.get(name, getattr(source.metadata, name)))
        source._id = source.metadata.id
        source._reported = Reported(int(stats.get("total_emitted", 0)), int(state.get("error_count", 0)),
                                    state.get("last_error") or "", state.get("last_error_ts") or 0,
                                    state.get("last_data_ts") or 0)
        source._strategies = list(data.get("dependent_strategies") or ())
        source._own_status = DataSourceStatus.STOPPED
        source._was_running = state.get("status") == "running"
        source._note_instance()
        return source

    # ---- life ----

    def start(self) -> Document:
        """Starts it, saving it first where that is needed, and waits until it runs. It then runs until it is stopped:
        also when this program ends, the daemon is killed, or the machine starts anew.

        Without a daemon it is noted that it shall run (and a warning logged); `status` is then ``initializing``.

        :return: {success, status}, with a `message` where there is something to say; {success: False, error}

        Example: ``assert source.start()["success"]``
        """
        try:
            self.save()
            reply = self._start_source() if self._is_source else self._start_own()
        except HoldfastError as error:
            LOGGER.error("start the data source '%s': %s", self.name, error)
            return {"success": False, "error": str(error)}
        if reply.get("success") and "status" in reply:
            self._call(self._on_start)
        return reply

    def _start_source(self) -> Document:
        source, is_daemon = self._look()
        if is_daemon and source["wanted"] == source["status"] == "running":
            return {"success": True, "message": "Already running"}
        source, is_daemon = self._sources().want(self.name, True)
        if is_daemon:
            source, is_daemon = self._wait(True)
        if not is_daemon:
            LOGGER.warning("start the data source '%s': %s", self.name, _WITHOUT_DAEMON)
            return {"success": True, "status": DataSourceStatus.INITIALIZING.value, "message": _WITHOUT_DAEMON}
        if source["status"] in ("backoff", "fatal"):
            return {"success": False, "error": source["last_error"] or f"it cannot be run: {source['status']}"}
        return {"success": True, "status": self._state_of(source, True).status}

    def _wait(self, running: bool) -> Tuple[Document, bool]:
        """The source when the daemon has made it so, or was given up on; and whether there still is a daemon."""
        source, is_daemon = self._look()
        end = time.monotonic() + _PATIENCE_S + source.get("stop_timeout_ms", 0) / 1000
        while is_daemon and source["status"] not in _SETTLED[running] and time.monotonic() < end:
            time.sleep(_PAUSE_S)
            source, is_daemon = self._look()
        return source, is_daemon

    def _start_own(self) -> Document:
        with self._lock:
            if self._own_status == DataSourceStatus.RUNNING:
                return {"success": True, "message": "Already running"}
            if self.metadata.source_type == DataSourceType.REPLAY:
                if not self.metadata.config.get("table_name"):
                    return {"success": False, "error": "缺少表名配置"}
                interval = float(self.metadata.config.get("interval", _REPLAY_INTERVAL_S))
                self._replay = Replay(recorded(self.metadata.config), interval, self.record_data, self._replay_ended)
            if self._stream is not None and hasattr(self._stream, "start"):
                self._stream.start()
            self._set_own_status(DataSourceStatus.RUNNING)
            if self._replay:
                self._replay.start()
            return {"success": True, "status": self._own_status.value}

    def _set_own_status(self, status: DataSourceStatus) -> None:
        self._own_status = status
        self._started_at = time.time() if status == DataSourceStatus.RUNNING else 0
        self._save_record()

    def _replay_ended(self, replay: Replay, failed: Optional[Exception]) -> None:
        with self._lock:
            if self._replay is not replay:
                return
            self._replay = None
            if failed:
                self.record_error(f"{type(failed).__name__}: {failed}")
            self._set_own_status(DataSourceStatus.ERROR if failed else DataSourceStatus.STOPPED)
        self._call(self._on_stop)

    def stop(self) -> Document:
        """Stops it, also one that is in error, and waits until nothing of it runs any more.

        :return: {success, status, impact}: which strategies depend on it; {success, message} when it did not run;
            {success: False, error}

        Example: ``source.stop()``
        """
        try:
            reply = self._stop_source() if self._is_source else self._stop_own()
        except HoldfastError as error:
            LOGGER.error("stop the data source '%s': %s", self.name, error)
            return {"success": False, "error": str(error)}
        if reply.get("success") and "status" in reply:
            self._call(self._on_stop)
        return reply

    def _stop_source(self) -> Document:
        source, _ = self._look()
        if not source or source["wanted"] != "running" and source["status"] in _SETTLED[False]:
            return {"success": True, "message": "Not running"}
        _, is_daemon = self._sources().want(self.name, False)
        source, is_daemon = self._wait(False) if is_daemon else ({}, False)
        if is_daemon and source["status"] not in _SETTLED[False]:
            return {"success": False, "error": f"it was asked to stop, and is still {source['status']}"}
        return {"success": True, "status": DataSourceStatus.STOPPED.value, "impact": self._analyze_impact()}

    def _stop_own(self) -> Document:
        with self._lock:
            if self._own_status not in (DataSourceStatus.RUNNING, DataSourceStatus.ERROR):
                return {"success": True, "message": "Not running"}
            replay, self._replay = self._replay, None
        if replay:
            replay.stop()
        if self._stream is not None and hasattr(self._stream, "stop"):
            self._stream.stop()
        self._set_own_status(DataSourceStatus.STOPPED)
        return {"success": True, "status": DataSourceStatus.STOPPED.value, "impact": self._analyze_impact()}

    def delete(self) -> Document:
        """Stops it and removes it, from the manager as well. What it collected and its code stay in the store's
        history: a source of that name that is made later goes on counting its versions.

        :return: {success, impact}; {success: False, error}

        Example: ``source.delete()``
        """
        stopped = self.stop()
        if not stopped.get("success"):
            return stopped
        try:
            self._remove()
        except HoldfastError as error:
            return {"success": False, "error": str(error)}
        self._stream = None
        self._unregister(self._id)
        with self._instances_lock:
            self._instances.pop(self._id, None)
        return {"success": True, "impact": self._analyze_impact()}

    def __repr__(self) -> str:
        try:
            return f"<DataSource: {self.name} [{self.state.status}]>"
        except HoldfastError:
            return f"<DataSource: {self.name}>"
