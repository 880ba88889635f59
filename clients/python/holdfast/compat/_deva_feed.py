"""Brings what the daemon's sources collect into this program, for streams and callbacks.

Invariants

1. Every datum that is still kept is handed on once, in its order; nothing of what was there before one began to listen.
2. A daemon that goes away is waited for; then it goes on behind the last datum that was handed on.
3. A source that nobody holds any more is forgotten.
"""

import logging
import os
import threading
import weakref
from typing import Any, Callable, Dict, Optional, Set

from ..errors import HoldfastError
from ._deva_sources import Sources

LOGGER = logging.getLogger("holdfast.compat.deva")
KEPT = 100  # data of a source
_WAIT = "20s"
_PAUSE_S = 1.0

Document = Dict[str, Any]


class _Listener:
    def __init__(self, name: str, call: Callable[[Document], None], last_run: int) -> None:
        self.name = name
        self.call = weakref.WeakMethod(call)
        self.last_run = last_run

    def hand_on(self, sources: Sources) -> None:
        data = sources.data(self.name, KEPT)
        if data and data[-1]["run"] < self.last_run:  # another source of that name
            self.last_run = 0
        for datum in data:
            call = self.call()
            if call and datum["run"] > self.last_run:
                self.last_run = datum["run"]
                call(datum)


class Feed:
    """One thread of this program that waits for data of sources."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._listeners: Dict[int, _Listener] = {}
        self._thread: Optional[threading.Thread] = None

    def listen(self, name: str, call: Callable[[Document], None]) -> None:
        """Calls the (bound) method with each new datum of the source; asked once more, nothing changes."""
        key = id(call.__self__)  # type: ignore[attr-defined]
        with self._lock:
            there = self._listeners.get(key)
            if there and there.name == name and there.call():
                return
        listener = _Listener(name, call, self._newest_run(name))
        with self._lock:
            self._listeners[key] = listener
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True, name="holdfast-deva-feed")
                self._thread.start()

    @staticmethod
    def _newest_run(name: str) -> int:
        try:
            data = Sources().data(name, 1)
        except HoldfastError:
            return 0
        return int(data[-1]["run"]) if data else 0

    def _work(self) -> None:
        pause, revision = threading.Event(), -1
        while True:
            try:
                revision = self._step(revision)
            except HoldfastError as error:
                LOGGER.debug("wait for data: %s", error)
                revision = -1
                pause.wait(_PAUSE_S)
            except Exception:
                LOGGER.exception("wait for data")
                pause.wait(_PAUSE_S)

    def _step(self, revision: int) -> int:
        sources = Sources()
        if revision < 0:  # nothing is known: look at all of them
            revision = sources.revision()
            self._hand_on(sources, None)
            return revision
        events = sources.events(revision, _WAIT)
        self._hand_on(sources, {event["id"] for event in events if event["kind"] == "source_data"})
        return int(events[-1]["revision"]) if events else revision

    def _hand_on(self, sources: Sources, names: Optional[Set[str]]) -> None:
        with self._lock:
            self._listeners = {key: it for key, it in self._listeners.items() if it.call()}
            listeners = list(self._listeners.values())
        for listener in listeners:
            if names is None or listener.name in names:
                listener.hand_on(sources)


feed = Feed()
os.register_at_fork(after_in_child=feed._forget)
