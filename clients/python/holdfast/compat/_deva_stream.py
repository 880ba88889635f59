"""Streams in this program: what comes out of a data source is handed to functions.

A small part of deva's own streams: `emit`, `map`, `filter`, `sink`, `>>`, `recent`.
"""

import logging
import threading
from collections import deque
from typing import Any, Callable, Deque, List, Optional

LOGGER = logging.getLogger("holdfast.compat.deva")
CACHE_ITEMS = 50


class DataStream:
    """Hands everything that is emitted to those that listen, and remembers the newest items.

    :param name: for people
    :param cache_max_len: how many items `recent` can give

    Any thread. A listener that raises is logged and disturbs neither the others nor the source.

    Example::

        prices = source.map(lambda rows: rows[0]["price"])
        prices.filter(lambda price: price > 100).sink(print)
    """

    def __init__(self, name: str = "", cache_max_len: Optional[int] = None) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._cache: Deque[Any] = deque(maxlen=cache_max_len or CACHE_ITEMS)
        self._listeners: List[Callable[[Any], Any]] = []

    def emit(self, item: Any) -> None:
        """Hands the item on. Example: ``stream.emit({"price": 3})``"""
        with self._lock:
            self._cache.append(item)
            listeners = list(self._listeners)
        for listener in listeners:
            try:
                listener(item)
            except Exception:
                LOGGER.exception("stream '%s': a listener failed", self.name)

    def sink(self, listener: Callable[[Any], Any]) -> "DataStream":
        """Calls the function with every item from now on. Example: ``stream.sink(print)``"""
        with self._lock:
            self._listeners.append(listener)
        return self

    def map(self, function: Callable[[Any], Any]) -> "DataStream":
        """A stream of what the function makes of the items. Example: ``stream.map(len)``"""
        made = DataStream(f"{self.name}.map")
        self.sink(lambda item: made.emit(function(item)))
        return made

    def filter(self, condition: Callable[[Any], Any]) -> "DataStream":
        """A stream of the items for which the condition holds. Example: ``stream.filter(bool)``"""
        made = DataStream(f"{self.name}.filter")
        self.sink(lambda item: made.emit(item) if condition(item) else None)
        return made

    def recent(self, n: int = 10) -> List[Any]:
        """The newest items, oldest first. Example: ``stream.recent(5)``"""
        with self._lock:
            return list(self._cache)[-n:] if n > 0 else []

    def __rshift__(self, other: Any) -> Any:
        """Into another stream, a function or a list. Example: ``stream >> print``"""
        if hasattr(other, "emit"):
            self.sink(other.emit)
        elif isinstance(other, list):
            self.sink(other.append)
        elif callable(other):
            self.sink(other)
        else:
            raise TypeError(f"a stream leads into a stream, a function or a list, not into {type(other).__name__}")
        return other
