"""A drop-in for deva's data sources: only the import line of a program changes.

::

    from holdfast.compat.deva import DataSource, DataSourceManager, DataSourceType

A timer with code is a python source of holdfast: the daemon (`holdfast serve`) runs it, keeps what it collects, and
starts it again after a crash or a reboot, whether this program runs or not. `holdfast source` shows and changes the
same sources; those of deva carry the tag ``deva:id=…``, and no others are touched here. The store is the one that
HOLDFAST_DATA and HOLDFAST_SOCKET name, or the user's own. Without a daemon everything but running works by the command
`holdfast` (HOLDFAST_PROGRAM, the one of the same build or installation, or the one in PATH).

What is better than in the original:

- What a method says it saved is on disk. Errors and counters are saved with the run that they belong to.
- `update_data_func_code` reaches a source that runs. `rollback_data_func_code` goes back.
- A data source that is made again under its name finds its counters and its history (`DataSourceManager.register`).
- `import_state` takes type, code versions, the latest datum and strategies along; `merge=True` takes what is lacking.
- `list_sources(status)` works; a source that fails has the status ``error``, and goes on trying.

What is different:

- `fetch_data` runs in a process of the daemon, with the daemon's python3, in the folder ``/``, with an environment of
  its own: ``config["holdfast"] = {"cwd": …, "env": {…}, "timeout": …}``. The names that deva's own environment has
  (``pd``, ``np``, ``time``, …) are imported for code that uses them.
- What it returns is kept as JSON (docs/sources.md). A DataFrame comes back as one where pandas is installed; objects
  that JSON does not have are an error of the run. 100 data are kept. `record_data` keeps of such objects a text.
- Wrong code is refused by `register` and `save` already, with an exception.
- The first version of `get_code_versions` is the code that the data source began with; `version` is a number.
- `stop` also stops a source that is in error.
- Streams are this program's: `map`, `filter`, `sink`, ``>>`` and `on_data` get from a timer what the daemon collects
  while this program runs. Streams of deva's own may be given to `set_stream`.
- The types stream, http, kafka, redis, tcp, file and custom collect nothing by themselves, as in the original: `start`
  notes that they run, and the program calls `record_data`.
- A replay reads the kept data of a source of this store (``table_name``), not a table of deva's database.
- deva's database is not read: `export_state` there, `import_state` here.

What is not there (NotImplementedError says what to use instead): `create_timer_source` with a function of this
program. deva's `NB`, `NS`, `DBStream` are no part of this: records of holdfast (`holdfast store`) and `holdfast.State`
keep data.
"""

from typing import Any, Callable, Dict, List, Optional

from ._deva_manager import DataSourceManager
from ._deva_model import (DEFAULT_INTERVAL_S, DataSourceMetadata, DataSourceState, DataSourceStats, DataSourceStatus,
                          DataSourceType)
from ._deva_source import DataSource
from ._deva_sources import Sources
from ._deva_stream import DataStream

__all__ = ["DataSource", "DataSourceManager", "DataSourceMetadata", "DataSourceState", "DataSourceStats",
           "DataSourceStatus", "DataSourceType", "DataStream", "create_replay_source", "create_stream_source",
           "create_timer_source", "ds_manager", "get_ds_manager", "get_replay_tables"]

ds_manager = DataSourceManager.get_instance()


def get_ds_manager() -> DataSourceManager:
    """The one manager. Example: ``get_ds_manager().load_from_db()``"""
    return ds_manager


def _registered(source: DataSource, auto_start: bool) -> DataSource:
    ds_manager.register(source)
    if auto_start:
        source.start()
    return source


def create_timer_source(name: str, interval: float = DEFAULT_INTERVAL_S, func: Optional[Callable[[], Any]] = None,
                        description: str = "", auto_start: bool = False, data_func_code: str = "") -> DataSource:
    """A registered timer.

    :raises NotImplementedError: `func` is given: the daemon cannot call a function of this program

    Example: ``create_timer_source("load", 5, data_func_code=code, auto_start=True)``
    """
    if func is not None:
        raise NotImplementedError("a timer is run by the daemon, which cannot call a function of this program: give "
                                  "its code as data_func_code, or call record_data of a DataSource from a thread")
    return _registered(DataSource(name, DataSourceType.TIMER, description or f"Timer source with {interval}s interval",
                                  {"interval": interval}, data_func_code=data_func_code, interval=interval), auto_start)


def create_stream_source(name: str, description: str = "", cache_max_len: Optional[int] = None,
                         auto_start: bool = False) -> DataSource:
    """A registered data source with a stream of this program, for `record_data`.

    Example: ``create_stream_source("ticks").record_data({"price": 3})``
    """
    return _registered(DataSource(name, DataSourceType.STREAM, description or f"Named stream: {name}",
                                  stream=DataStream(name, cache_max_len)), auto_start)


def create_replay_source(name: str, table_name: str, start_time: Optional[str] = None, end_time: Optional[str] = None,
                         interval: float = 1.0, description: str = "", auto_start: bool = False) -> DataSource:
    """A registered data source that hands on the kept data of the source `table_name` once more, between two times
    ("YYYY-MM-DD HH:MM:SS", local), one each `interval` seconds, and then stops.

    Example: ``create_replay_source("again", "load", interval=0.1).sink(print)``
    """
    config = {"table_name": table_name, "start_time": start_time, "end_time": end_time, "interval": interval}
    return _registered(DataSource(name, DataSourceType.REPLAY, description or f"回放数据源: {table_name}", config),
                       auto_start)


def get_replay_tables() -> List[Dict[str, str]]:
    """[{name, description}] of the sources that have data.

    :raises holdfast.HoldfastError: the store cannot be read

    Example: ``[table["name"] for table in get_replay_tables()]``
    """
    return [{"name": source["name"], "description": f"支持时间回放的表: {source['name']}"}
            for source in Sources().all() if source.get("last_data_at")]
