"""Replay: what another source of the store has collected goes through this program once more."""

import threading
from datetime import datetime
from typing import Any, Callable, Dict, List, Optional

from ..errors import Invalid
from ._deva_feed import KEPT
from ._deva_saved import seconds_of, value_of
from ._deva_sources import Sources

_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


def _seconds(text: Optional[str]) -> Optional[float]:
    if not text:
        return None
    try:
        return datetime.strptime(text, _TIME_FORMAT).timestamp()
    except (TypeError, ValueError) as error:
        raise Invalid(f"replay: the time {text!r} is none", hint="write it as 2026-01-31 13:45:00") from error


def recorded(config: Dict[str, Any]) -> List[Any]:
    """The kept data of the source `table_name`, oldest first, between `start_time` and `end_time`."""
    begin, end = _seconds(config.get("start_time")), _seconds(config.get("end_time"))
    return [value_of(datum) for datum in Sources().data(config["table_name"], KEPT)
            if (begin is None or seconds_of(datum["at"]) >= begin) and (end is None or seconds_of(datum["at"]) <= end)]


class Replay:
    """A thread that hands data on, one at each interval, and then says that it has ended."""

    def __init__(self, data: List[Any], interval_s: float, take: Callable[[Any], None],
                 ended: Callable[["Replay", Optional[Exception]], None]) -> None:
        self._data, self._interval_s, self._take, self._ended = data, interval_s, take, ended
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="holdfast-deva-replay")

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it, and waits for a datum that is being handed on."""
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _work(self) -> None:
        failed: Optional[Exception] = None
        try:
            for item in self._data:
                if self._stop.is_set():
                    return
                self._take(item)
                self._stop.wait(self._interval_s)
        except Exception as error:
            failed = error
        finally:
            if not self._stop.is_set():
                self._ended(self, failed)
