"""Where a store is, and the way to it: the socket when a daemon answers there, the library when none does.

Invariants

1. An operation goes one way. Only when nothing of it can have been done (nobody answers, or the store belongs to
   another process for the moment) are both ways looked at again.
2. When a connection ends behind a request, what became of it is not guessed: the operation is done again so that it has
   effect once (see `Attempt`).
3. A socket that was named without a data directory is the only way: a store elsewhere would be another store.
"""

import os
import time
from typing import Callable, Optional, TypeVar, Union

from . import _library
from ._binding import Missing
from ._library import LibraryWay
from ._socket import Lost, NotConnected, SocketWay
from .errors import Unavailable, error_of

Way = Union[SocketWay, LibraryWay]
T = TypeVar("T")

TIMEOUT_S = 10.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.005, 0.1


def _environment(name: str) -> Optional[str]:
    return os.environ.get(name) or None


def _users_data() -> str:
    """The same rules as the command's, src/cmd/paths.c."""
    named, base, home = _environment("HOLDFAST_DATA"), _environment("XDG_STATE_HOME"), _environment("HOME")
    if named:
        return named
    if base and base.startswith("/"):
        return os.path.join(base, "holdfast")
    if os.geteuid() == 0:
        return "/var/lib/holdfast"
    if home:
        return os.path.join(home, ".local/state/holdfast")
    raise error_of("config", "find the data directory: neither HOLDFAST_DATA nor HOME is set",
                   'name a folder: data="…"')


class Attempt:
    """How often an operation was begun. `may_be_done`: an earlier time ended without an answer."""

    def __init__(self) -> None:
        self.may_be_done = False


class Place:
    """A data directory and its socket. Immutable; any thread, and in a child after fork.

    What is given here goes before HOLDFAST_DATA and HOLDFAST_SOCKET, which go before the folder of the user."""

    def __init__(self, data: Optional[str] = None, socket: Optional[str] = None, timeout: float = TIMEOUT_S) -> None:
        is_named = data is not None or socket is not None
        named_socket = socket or (None if is_named else _environment("HOLDFAST_SOCKET"))
        named_data = data or (None if is_named else _environment("HOLDFAST_DATA"))
        self.is_socket_only = named_socket is not None and named_data is None
        self.data = os.path.abspath(os.fspath(named_data or _users_data()))
        self.socket = os.path.abspath(os.fspath(named_socket or os.path.join(self.data, "holdfast.sock")))
        self.timeout = timeout

    @property
    def is_of_environment(self) -> bool:
        """Whether it is the place that HOLDFAST_DATA and HOLDFAST_SOCKET name, so that their fence counts here."""
        data, socket = _environment("HOLDFAST_DATA"), _environment("HOLDFAST_SOCKET")
        return (not data or os.path.abspath(data) == self.data) and (
            not socket or os.path.abspath(socket) == self.socket)

    def _try(self, work: Callable[[Way, Attempt], T], attempt: Attempt) -> T:
        try:
            return work(SocketWay(self.socket), attempt)
        except NotConnected:
            if self.is_socket_only:
                raise
        with _library.way(self.data) as library:
            return work(library, attempt)

    def _may_pass(self, error: Unavailable) -> bool:
        """Whether it is worth waiting: not when there neither is a library nor ever was a daemon."""
        if isinstance(error, Missing):
            return os.path.exists(self.socket)
        return error.code in ("unavailable", "store_locked", "cancelled")

    def do(self, work: Callable[[Way, Attempt], T]) -> T:
        """Does the work over one way. Errors: those of the work; `Unavailable` when neither way was there in time."""
        attempt = Attempt()
        end = time.monotonic() + self.timeout
        pause = _FIRST_PAUSE_S
        while True:
            try:
                return self._try(work, attempt)
            except Lost:
                attempt.may_be_done = True
                if time.monotonic() >= end:
                    raise
            except Unavailable as error:
                if time.monotonic() >= end or not self._may_pass(error):
                    raise
            time.sleep(min(pause, max(0.0, end - time.monotonic())))
            pause = min(pause * 2, _LONGEST_PAUSE_S)


def ask(place: Place, work: Callable[[Way], T]) -> T:
    """Work that may be done twice without harm, such as reading."""
    return place.do(lambda way, _attempt: work(way))
