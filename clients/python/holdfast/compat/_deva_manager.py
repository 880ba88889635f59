"""`DataSourceManager`: the data sources of this program together."""

import logging
import threading
import traceback
from typing import Any, Callable, ClassVar, Dict, List, Optional, Set

from ..errors import HoldfastError
from ._deva_model import DEFAULT_INTERVAL_S, DataSourceStatus, DataSourceType
from ._deva_saved import find, find_all, status_of
from ._deva_source import DataSource
from ._deva_sources import Document, Sources, check_name

LOGGER = logging.getLogger("holdfast.compat.deva")


class DataSourceManager:
    """Knows the data sources of this program; there is one manager in a process, whatever `DataSourceManager()` is
    called. Any thread.

    Example::

        manager = DataSourceManager()
        manager.load_from_db()
        print(manager.restore_running_states()["restored_count"])
    """

    _instance: ClassVar[Optional["DataSourceManager"]] = None
    _instance_lock: ClassVar[threading.Lock] = threading.Lock()

    _items_lock: threading.RLock
    _items: Dict[str, DataSource]
    _links: Dict[str, Set[str]]

    def __new__(cls) -> "DataSourceManager":
        with cls._instance_lock:
            if cls._instance is None:
                made = super().__new__(cls)
                made._items_lock, made._items, made._links = threading.RLock(), {}, {}
                cls._instance = made
            return cls._instance

    @classmethod
    def get_instance(cls) -> "DataSourceManager":
        """The one manager. Example: ``DataSourceManager.get_instance().get_stats()``"""
        return cls()

    # ---- coming and going ----

    def register(self, source: DataSource) -> Document:
        """Saves the data source and knows it from now on.

        One whose name or id the manager knows already is refused. One whose name is only in the store is found again:
        the object takes that one's id, and thereby its counters and history; what it says anew (code, interval, …) is
        saved over it, and it goes on running if it ran.

        :return: {success, id}, and `existing_id` when it was found again; {success: False, error, existing_id}
        :raises holdfast.HoldfastError: it cannot be saved

        Example: ``if not manager.register(source)["success"]: source = manager.get_source_by_name("load")``
        """
        check_name(source.name)
        with self._items_lock:
            known = self._items.get(source.id) or self.get_by_name(source.name)
            if known is not None:
                what = "id" if known.id == source.id else "name"
                return {"success": False, "error": f"the data source '{source.name}' is refused: there is one of that "
                        f"{what}", "existing_id": known.id}
            found = None if source._is_saved else find(Sources(), source.name)
            if found and not found[1]:
                return {"success": False, "error": f"the data source '{source.name}' is refused: holdfast has a source "
                        "of that name that was not made by deva", "existing_id": found[0]}
            reply: Document = {"success": True}
            if found and found[0] != source.id:
                with DataSource._instances_lock:
                    DataSource._instances.pop(source.id, None)
                source._adopt(found[0])
                source._note_instance()
                reply["existing_id"] = source.id
            source.save()
            self._items[source.id] = source
            return {**reply, "id": source.id}

    def unregister(self, source_id: str) -> Document:
        """Forgets it here; in the store it stays. Example: ``manager.unregister(source.id)``"""
        with self._items_lock:
            found = self._items.pop(source_id, None)
        return {"success": True, "id": source_id} if found else {"success": False, "error": f"Not found: {source_id}"}

    def create_source(self, name: str, source_type: DataSourceType = DataSourceType.CUSTOM, description: str = "",
                      config: Optional[Dict[str, Any]] = None, stream: Optional[Any] = None, auto_start: bool = False,
                      data_func_code: str = "", interval: float = DEFAULT_INTERVAL_S) -> Document:
        """Makes one, registers it, and starts it when asked to.

        :return: {success, source_id, source}; {success: False, error}, with a `traceback` or an `existing_id`

        Example: ``manager.create_source("load", DataSourceType.TIMER, data_func_code=code, auto_start=True)``
        """
        try:
            source = DataSource(name, source_type, description, config, stream, False, data_func_code, interval)
            if stream is not None:
                source.set_stream(stream)
            registered = self.register(source)
            started = source.start() if registered["success"] and auto_start else registered
            if not started["success"]:
                return started
            return {"success": True, "source_id": source.id, "source": source.to_dict()}
        except Exception as error:  # as in the original: whatever it is, it is an answer
            return {"success": False, "error": str(error), "traceback": traceback.format_exc()}

    # ---- looking ----

    def get(self, source_id: str) -> Optional[DataSource]:
        """The data source with that id. Example: ``manager.get(id)``"""
        with self._items_lock:
            return self._items.get(source_id)

    def get_by_name(self, name: str) -> Optional[DataSource]:
        """The data source of that name. Example: ``manager.get_by_name("load")``"""
        with self._items_lock:
            return next((source for source in self._items.values() if source.name == name), None)

    def get_source(self, source_id: str) -> Optional[DataSource]:
        """The same as `get`."""
        return self.get(source_id)

    def get_source_by_name(self, name: str) -> Optional[DataSource]:
        """The same as `get_by_name`."""
        return self.get_by_name(name)

    def list_source_objects(self) -> List[DataSource]:
        """All of them. Example: ``for source in manager.list_source_objects(): print(source)``"""
        with self._items_lock:
            return list(self._items.values())

    def list_all(self) -> List[Document]:
        """All of them as dictionaries. Example: ``json.dumps(manager.list_all())``"""
        return [source.to_dict() for source in self.list_source_objects()]

    def list_sources(self, status: Optional[DataSourceStatus] = None) -> List[Document]:
        """Those with that status, or all, as dictionaries. Example: ``manager.list_sources(DataSourceStatus.ERROR)``"""
        return [found for found in self.list_all()
                if status is None or found["state"]["status"] == DataSourceStatus(status).value]

    def get_stats(self) -> Document:
        """{total_sources, running_count, stopped_count, error_count}. Example: ``manager.get_stats()``"""
        states = [source.status for source in self.list_source_objects()]
        return {"total_sources": len(states), "running_count": states.count(DataSourceStatus.RUNNING),
                "stopped_count": states.count(DataSourceStatus.STOPPED),
                "error_count": states.count(DataSourceStatus.ERROR)}

    # ---- strategies ----

    def link_strategy(self, source_id: str, strategy_id: str) -> None:
        """Notes that the strategy depends on the data source. Example: ``manager.link_strategy(source.id, "mean")``"""
        source = self.get(source_id)
        if source:
            source.add_dependent_strategy(strategy_id)
        with self._items_lock:
            self._links.setdefault(strategy_id, set()).add(source_id)

    def unlink_strategy(self, source_id: str, strategy_id: str) -> None:
        """Takes that back. Example: ``manager.unlink_strategy(source.id, "mean")``"""
        source = self.get(source_id)
        if source:
            source.remove_dependent_strategy(strategy_id)
        with self._items_lock:
            self._links.get(strategy_id, set()).discard(source_id)

    def get_strategies_for_source(self, source_id: str) -> List[str]:
        """The strategies that depend on it. Example: ``manager.get_strategies_for_source(source.id)``"""
        source = self.get(source_id)
        return source.get_dependent_strategies() if source else []

    def get_sources_for_strategy(self, strategy_id: str) -> List[str]:
        """Ids of the data sources that it depends on, also from before this program began.

        Example: ``manager.get_sources_for_strategy("mean")``
        """
        with self._items_lock:
            linked = set(self._links.get(strategy_id, ()))
        linked.update(source.id for source in self.list_source_objects()
                      if strategy_id in source.get_dependent_strategies())
        return sorted(linked)

    # ---- life ----

    def start(self, source_id: str) -> Document:
        """As `DataSource.start`. Example: ``manager.start(source.id)``"""
        source = self.get(source_id)
        return source.start() if source else {"success": False, "error": f"Not found: {source_id}"}

    def stop(self, source_id: str) -> Document:
        """As `DataSource.stop`. Example: ``manager.stop(source.id)``"""
        source = self.get(source_id)
        return source.stop() if source else {"success": False, "error": f"Not found: {source_id}"}

    def _each(self, work: Callable[[DataSource], Document]) -> Document:
        result: Document = {"success": [], "failed": [], "skipped": []}
        for source in self.list_source_objects():
            reply = work(source)
            if not reply.get("success"):
                result["failed"].append({"id": source.id, "error": reply.get("error")})
            else:
                result["success" if "status" in reply else "skipped"].append(source.id)
        return result

    def start_all(self) -> Document:
        """Starts all that do not run: {success: [id], failed: [{id, error}], skipped: [id]}."""
        return self._each(DataSource.start)

    def stop_all(self) -> Document:
        """Stops all that run: {success: [id], failed: [{id, error}], skipped: [id]}."""
        return self._each(DataSource.stop)

    # ---- a program that starts again ----

    def load_from_db(self) -> int:
        """Takes all of deva's data sources from the store whose id and name are not known yet, and says how many.

        :raises holdfast.HoldfastError: the store cannot be read

        Example: ``print(manager.load_from_db())``
        """
        count = 0
        with self._items_lock:
            for id, (record, saved) in find_all(Sources()).items():
                name = (saved or record or {})["name"]
                if id not in self._items and self.get_by_name(name) is None:
                    self._items[id] = DataSource._of_store(id, record, saved)
                    count += 1
        return count

    def restore_running_states(self) -> Document:
        """Sees to it that what ran before runs: what the daemon started again by itself is found running; what it could
        not, and what only this program can run, is started.

        :return: {success, restored_count, failed_count, results, total_attempted}; of each result {source_id,
            source_name, success, reason} and {restored_from_state, restored_with_data, timer_restarted} or {error,
            skipped}. `reason` is was_running_flag, saved_state_running or current_status_running.

        Example: ``for result in manager.restore_running_states()["results"]: print(result)``
        """
        results: List[Document] = []
        sources = self.list_source_objects()
        for source in sources:
            try:
                result = _restore(source)
            except HoldfastError as error:
                result = {"success": False, "error": str(error), "reason": "unknown"}
            if result:
                results.append({"source_id": source.id, "source_name": source.name, **result})
        failed = [result for result in results if not result["success"] and not result.get("skipped")]
        restored = [result for result in results if result["success"] and "timer_active" not in result]
        return {"success": True, "restored_count": len(restored), "failed_count": len(failed), "results": results,
                "total_attempted": len(sources)}


def _restore(source: DataSource) -> Optional[Document]:
    """What was done about it; None when it was not to run."""
    was_running, source._was_running = source._was_running, False
    saved, is_daemon = source._look()
    is_wanted = saved.get("wanted") == "running" if saved else source._own_status == DataSourceStatus.RUNNING
    reason = "was_running_flag" if was_running else "saved_state_running" if saved else "current_status_running"
    if not was_running and not is_wanted:
        return None
    if saved and not is_wanted:
        return {"success": False, "error": "Saved state indicates source should not be running", "skipped": True,
                "reason": reason}
    is_active = status_of(saved, is_daemon) == DataSourceStatus.RUNNING if saved else is_wanted
    if is_active and not was_running:
        return {"success": True, "message": "Already running with active timer", "reason": reason, "timer_active": True}
    started = source.start()
    if not started.get("success"):
        return {"success": False, "error": started.get("error", "Unknown error"), "restored_from_state": bool(saved),
                "reason": reason}
    return {"success": True, "restored_from_state": bool(saved), "reason": reason,
            "restored_with_data": source._newest_datum() is not None,
            "timer_restarted": source.status == DataSourceStatus.RUNNING}


DataSource._unregister = staticmethod(DataSourceManager().unregister)

