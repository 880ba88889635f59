"""The part of a data source that hands data to functions of this program."""

import json
import logging
import time
from typing import Any, Callable, List, Optional

from . import _deva_feed
from ._deva_saved import SavedSource, value_of
from ._deva_sources import Document
from ._deva_stream import DataStream

LOGGER = logging.getLogger("holdfast.compat.deva")

Callback = Callable[..., Any]


def plain(value: Any) -> Any:
    """The value as JSON has it; of a DataFrame its rows; of what JSON does not have a text that shows it."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        pass
    try:
        return json.loads(value.to_json(orient="records", date_format="iso"))
    except Exception:  # whatever a foreign object's method does
        return repr(value)


def _size(value: Any) -> int:
    return len(value) if hasattr(value, "__len__") else 0


class FlowMixin(SavedSource):
    """Streams and callbacks. What a timer collects in the daemon comes here as long as this program runs."""

    _stream: Optional[Any] = None
    _attends = False

    def _init_flow(self, stream: Optional[Any]) -> None:
        self._stream = stream
        self._attends = stream is not None
        self._on_start: List[Callback] = []
        self._on_stop: List[Callback] = []
        self._on_data: List[Callback] = []

    # ---- callbacks ----

    def on_start(self, callback: Callback) -> None:
        """Calls `callback(source)` when this program has started the source. Example: ``source.on_start(print)``"""
        self._on_start.append(callback)

    def on_stop(self, callback: Callback) -> None:
        """Calls `callback(source)` when this program has stopped it. Example: ``source.on_stop(print)``"""
        self._on_stop.append(callback)

    def on_data(self, callback: Callback) -> None:
        """Calls `callback(source, count)` for what is emitted from now on, from another thread.

        Example: ``source.on_data(lambda source, count: print(source.get_recent_data(count)))``
        """
        self._on_data.append(callback)
        self._attend()

    def _call(self, callbacks: List[Callback], *arguments: Any) -> None:
        for callback in list(callbacks):
            try:
                callback(self, *arguments)
            except Exception:
                LOGGER.exception("data source '%s': a callback failed", self.metadata.name)

    # ---- streams ----

    def _attend(self) -> None:
        self._attends = True
        if self._is_source:
            _deva_feed.feed.listen(self.metadata.name, self._take_datum)

    def _take_datum(self, datum: Document) -> None:
        self._emit(value_of(datum))
        self._call(self._on_data, 1)

    def _emit(self, data: Any) -> None:
        self._own_stream().emit(data)

    def _own_stream(self) -> Any:
        if self._stream is None:
            self._stream = DataStream(self.metadata.name)
        return self._stream

    def set_stream(self, stream: Any) -> None:
        """Sends what is collected into this stream: anything with `emit(data)`. Example: ``source.set_stream(mine)``"""
        self._stream = stream
        self.metadata.config["stream_name"] = str(getattr(stream, "name", None) or stream)
        self._attend()

    def get_stream(self) -> Optional[Any]:
        """The stream; None when none was set or needed yet. Example: ``source.get_stream().recent(3)``"""
        return self._stream

    def get_data_stream(self) -> Optional[Any]:
        """The same as `get_stream`."""
        return self._stream

    def get_output_stream(self) -> Optional[Any]:
        """The same as `get_stream`."""
        return self._stream

    def map(self, func: Callable[[Any], Any]) -> Any:
        """A stream of what the function makes of the data. Example: ``source.map(len).sink(print)``"""
        self._attend()
        return self._own_stream().map(func)

    def filter(self, func: Callable[[Any], Any]) -> Any:
        """A stream of the data for which the function holds. Example: ``source.filter(bool).sink(print)``"""
        self._attend()
        return self._own_stream().filter(func)

    def sink(self, func: Callable[[Any], Any]) -> Any:
        """Calls the function with all data from now on. Example: ``source.sink(print)``"""
        self._attend()
        return self._own_stream().sink(func)

    def __rshift__(self, other: Any) -> Any:
        """Into a stream, a function or a list. Example: ``source >> print``"""
        self._attend()
        return self._own_stream() >> other

    # ---- data ----

    def get_recent_data(self, n: int = 10) -> List[Any]:
        """The newest data, oldest first: of a timer those in the store, also from before this program began (100 are
        kept); of others what went through this program.

        Example: ``for rows in source.get_recent_data(5): print(rows)``
        """
        if self._is_source:
            return [value_of(datum) for datum in self._sources().data(self.metadata.name, n)] if n > 0 else []
        stream = self._stream
        return list(stream.recent(n) or []) if stream is not None and hasattr(stream, "recent") else []

    def recent(self, n: int = 10) -> List[Any]:
        """The same as `get_recent_data`."""
        return self.get_recent_data(n)

    def record_data(self, data: Any) -> None:
        """Takes a datum that this program made: it goes into the stream and is kept as the latest, on disk when this
        returns.

        Example: ``source.record_data({"price": 3})``
        """
        self._emit(data)
        with self._lock:
            self._reported.latest = {"data": plain(data), "data_type": type(data).__name__, "timestamp": time.time(),
                                     "size": _size(data)}
            self.record_emit()

    def record_emit(self, count: int = 1) -> None:
        """Counts data that this program emitted by itself. Example: ``source.record_emit(3)``"""
        with self._lock:
            self._reported.emitted += count
            self._reported.last_data_ts = time.time()
            self._save_record()
        self._call(self._on_data, count)

    def record_error(self, error: str) -> None:
        """Counts an error that this program found; on disk when this returns. Example: ``source.record_error("x")``"""
        with self._lock:
            self._reported.add_error(str(error))
            self._save_record()
        LOGGER.error("data source '%s': %s", self.metadata.name, error)
