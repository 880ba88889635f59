"""What a data source of deva consists of: its types, metadata, state and statistics, as dictionaries."""

import time
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Dict, List

DEFAULT_INTERVAL_S = 5.0


class DataSourceStatus(str, Enum):
    """How a data source is. Example: ``manager.list_sources(DataSourceStatus.RUNNING)``"""

    RUNNING = "running"
    STOPPED = "stopped"
    ERROR = "error"
    INITIALIZING = "initializing"


class DataSourceType(str, Enum):
    """What a data source collects from. Only `TIMER` and `REPLAY` collect by themselves, as in the original.

    Example: ``DataSource(name="load", source_type=DataSourceType.TIMER, data_func_code=code)``
    """

    TIMER = "timer"
    STREAM = "stream"
    HTTP = "http"
    KAFKA = "kafka"
    REDIS = "redis"
    TCP = "tcp"
    FILE = "file"
    CUSTOM = "custom"
    REPLAY = "replay"


class Answer(int):
    """True or False. `source.is_running` may be asked as a property and as a method."""

    def __call__(self) -> bool:
        return bool(self)

    def __repr__(self) -> str:
        return repr(bool(self))


def readable_time(moment_s: float) -> str:
    """Local time as ISO text; "-" for never."""
    return datetime.fromtimestamp(moment_s).isoformat() if moment_s > 0 else "-"


def readable_duration(seconds: float) -> str:
    """As in "1d 2h 3m 4s"; the leading parts that are 0 are left out."""
    rest, text = int(seconds), []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if rest >= size or text:
            text.append(f"{rest // size}{unit}")
            rest %= size
    return " ".join([*text, f"{rest}s"])


@dataclass
class DataSourceMetadata:
    """What was asked for. Changes of it are in the store after `DataSource.save`.

    Example: ``source.metadata.description = "prices"; source.save()``
    """

    id: str
    name: str
    description: str = ""
    tags: List[str] = field(default_factory=list)
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)
    source_type: DataSourceType = DataSourceType.CUSTOM
    config: Dict[str, Any] = field(default_factory=dict)
    data_func_code: str = ""
    interval: float = DEFAULT_INTERVAL_S

    def touch(self) -> None:
        """Notes that it was changed now."""
        self.updated_at = time.time()

    def to_dict(self) -> Dict[str, Any]:
        """All of it as JSON has it."""
        return {"id": self.id, "name": self.name, "description": self.description, "tags": list(self.tags),
                "created_at": self.created_at, "updated_at": self.updated_at,
                "source_type": DataSourceType(self.source_type).value, "config": dict(self.config),
                "data_func_code": self.data_func_code, "interval": self.interval}


@dataclass
class DataSourceState:
    """How the source was when it was looked at; `DataSource.state` looks each time.

    Example: ``if source.state.status == "error": print(source.state.last_error)``
    """

    status: str = DataSourceStatus.INITIALIZING.value
    error_count: int = 0
    last_error: str = ""
    last_error_ts: float = 0
    last_data_ts: float = 0

    def to_dict(self) -> Dict[str, Any]:
        """All of it as JSON has it, with times for people."""
        state = {"status": self.status, "error_count": self.error_count, "last_error": self.last_error,
                 "last_error_ts": self.last_error_ts, "last_data_ts": self.last_data_ts,
                 "last_data_ts_readable": readable_time(self.last_data_ts)}
        if self.last_error_ts > 0:
            state["last_error_ts_readable"] = readable_time(self.last_error_ts)
        return state


@dataclass
class DataSourceStats:
    """Counters when the source was looked at; `DataSource.stats` looks each time.

    Example: ``print(source.stats.total_emitted)``
    """

    start_time: float = 0
    total_emitted: int = 0
    emit_rate: float = 0.0
    error_count: int = 0

    def to_dict(self) -> Dict[str, Any]:
        """All of it as JSON has it."""
        uptime = time.time() - self.start_time if self.start_time > 0 else 0.0
        return {"start_time": self.start_time, "uptime_seconds": uptime, "uptime_readable": readable_duration(uptime),
                "total_emitted": self.total_emitted, "emit_rate": self.emit_rate, "error_count": self.error_count}


@dataclass
class Reported:
    """What the program itself reported of a source, or took over by an import: added to what the daemon counts."""

    emitted: int = 0
    error_count: int = 0
    last_error: str = ""
    last_error_ts: float = 0
    last_data_ts: float = 0
    latest: Dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, members: Dict[str, Any]) -> "Reported":
        """From a record; members that are not known are left out."""
        return cls(**{name: value for name, value in members.items() if name in cls.__dataclass_fields__})

    def add_error(self, text: str) -> None:
        """One error more."""
        self.error_count += 1
        self.last_error = text
        self.last_error_ts = time.time()
