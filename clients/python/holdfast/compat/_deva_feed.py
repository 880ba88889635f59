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
from typing import Any, Callable, Dict, Optional, Tuple

from ..errors import HoldfastError
from ._deva_sources import Sources

LOGGER = logging.getLogger("holdfast.compat.deva")
KEPT = 100  # data of a source
_WAIT = "20s"
_PAUSE_S = 1.0

Listener = Callable[[Dict[str, Any]], None]


class Feed:
    """One thread of this program that waits for data of sources."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: Dict[str, Tuple["weakref.WeakMethod[Listener]", str]] = {}
        self._thread: Optional[threading.Thread] = None
        self._pid = 0
        self._revision = 0

    def listen(self, name: str, listener: Listener) -> None:
        """Calls the (bound) method with each new datum of the source; once more for the same source changes nothing."""
        with self._lock:
            if name in self._listeners and self._listeners[name][0]() == listener:
                return
            self._listeners[name] = (weakref.WeakMethod(listener), self._newest(name))
            if self._thread is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._work, daemon=True, name="holdfast-deva-feed")
                self._thread.start()

    @staticmethod
    def _newest(name: str) -> str:
        try:
            data = Sources().data(name, 1)
        except HoldfastError:
            return ""
        return str(data[-1]["at"]) if data else ""

    def _work(self) -> None:
        pause = threading.Event()
        while True:
            try:
                self._step()
            except HoldfastError as error:
                LOGGER.debug("wait for data: %s", error)
                pause.wait(_PAUSE_S)
            except Exception:
                LOGGER.exception("wait for data")
                pause.wait(_PAUSE_S)

    def _step(self) -> None:
        sources = Sources()
        for name in list(self._listeners):
            self._hand_on(sources, name)
        events = sources.events(self._revision, _WAIT)
        self._revision = int(events[-1]["revision"]) if events else self._revision

    def _hand_on(self, sources: Sources, name: str) -> None:
        with self._lock:
            reference, last = self._listeners[name]
            listener = reference()
            if listener is None:
                del self._listeners[name]
                return
        for datum in sources.data(name, KEPT):
            if datum["at"] > last:
                last = datum["at"]
                with self._lock:
                    self._listeners[name] = (reference, last)
                listener(datum)


feed = Feed()
