"""`holdfast.State`: what a collector wants to find again when it is started the next time."""

import os
import pickle
import threading
import time
import weakref
from types import TracebackType
from typing import Any, Iterable, List, Optional, Tuple, Type

from . import _again, _json
from ._model import DELETE, Basis, Lease, Record, Save, Version, ms_of_time
from ._place import TIMEOUT_S, Place, ask
from .errors import Conflict, Corrupt, HoldfastError, Invalid, NotFound, VersionConflict

_MOST_TRIES = 64  # of a save that is based on whatever is newest
_WAIT_PAUSE_S, _LONGEST_WAIT_PAUSE_S = 0.05, 1.0

_FORMATS = {
    "json": (_json.to_bytes, _json.from_bytes),
    "pickle": (lambda value: pickle.dumps(value, protocol=4), pickle.loads),
    "bytes": (bytes, bytes),
}

_states: "weakref.WeakSet[State]" = weakref.WeakSet()


def _renew_locks() -> None:
    """In a child after fork: another thread of the parent may have had a lock, and nobody here would free it."""
    for state in list(_states):
        state._lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_locks)


class State:
    """The state of a collector: one value under a name, saved durably, every save a version.

    Over the daemon's socket when one runs, through libholdfast in this process when none does; the results are the
    same.

    :param name: at most 200 bytes, without ``/`` and control characters, not beginning with ``-``
    :param data: the data directory; otherwise HOLDFAST_DATA, or the user's own folder as the command finds it
    :param socket: the daemon's socket; otherwise HOLDFAST_SOCKET, or ``holdfast.sock`` in the data directory. A socket
        that is named without a data directory is the only way: nothing is written beside it.
    :param format: ``"json"`` (the default): values of JSON, without NaN. ``"bytes"``: bytes as they are. ``"pickle"``:
        any Python object; loading one **executes code that is in it**, so choose it only for states that you alone can
        write. Holdfast itself never looks into a pickle.
    :param timeout: how many seconds a store is waited for that belongs to another process for the moment (a daemon that
        starts, another collector that saves)
    :param on_overlap: ``"fail"`` (the default): entering the context raises `Conflict` when another living run has the
        lease; ``"wait"``: it waits until the lease is free, at most `wait` seconds (None: for ever)
    :param ttl: seconds after which another may take the lease when nothing was saved or renewed; None: not before this
        process is dead
    :param steal: take the lease from a living run; what that one saves is refused from then on
    :param reason: kept in the ledger of runs
    :param code_version: kept with each version, for example the collector's release

    As a context manager it takes the lease of the name, so that two runs never overwrite each other's state. Under
    `holdfast run NAME` the lease is the run's (HOLDFAST_FENCE) and none is taken or given back here.

    A save outside of a lease is based on the version that was loaded or saved last by this object: when somebody else
    saved meanwhile, it raises `VersionConflict`. Before anything was loaded it is based on whatever is newest.

    Thread safety: all methods may be called from any thread. After a fork the object works in parent and child; the
    lease stays the parent's: the child may save under it for as long as it lasts, and does not give it back.
    A signal handler may save as well; an exception that it raises may leave unknown whether the save that it
    interrupted was made, and the next `load` shows it.

    Example::

        with holdfast.State("feed") as state:
            seen = state.load({"last": None})
            for item in download(newer_than=seen["last"]):
                publish(item)
                seen["last"] = item.time
                state.save(seen)              # durable when it returns: a crash resumes here
    """

    def __init__(self, name: str, *, data: Optional[str] = None, socket: Optional[str] = None, format: str = "json",
                 timeout: float = TIMEOUT_S, on_overlap: str = "fail", wait: Optional[float] = None,
                 ttl: Optional[float] = None, steal: bool = False, reason: str = "", code_version: str = "") -> None:
        if format not in _FORMATS:
            raise Invalid(f"open the state '{name}': there is no format {format!r}", hint="json, pickle or bytes")
        if on_overlap not in ("fail", "wait"):
            raise Invalid(f"open the state '{name}': there is no overlap policy {on_overlap!r}", hint="fail or wait")
        self._name = name
        self._to_bytes, self._from_bytes = _FORMATS[format]
        self._place = Place(data, socket, timeout)
        self._waits, self._wait = on_overlap == "wait", wait
        self._ttl_ms, self._steal, self._reason = int((ttl or 0) * 1000), steal, reason
        self._code_version = code_version
        self._lock = threading.RLock()
        self._version: Optional[int] = None
        self._lease: Optional[Lease] = None
        self._owner_pid = 0
        _states.add(self)

    # ---- what it is ----

    @property
    def name(self) -> str:
        """The name it was opened with."""
        return self._name

    @property
    def version(self) -> Optional[int]:
        """The version that was loaded or saved last; 0 when nothing was saved yet; None before the first load."""
        return self._version

    @property
    def fence(self) -> Optional[int]:
        """The fence that saves carry: of this object's lease, or of `holdfast run`; None without a lease.

        Example: ``log.info("run with fence %s", state.fence)``
        """
        return self._lease.fence if self._lease else self._inherited()

    @property
    def run(self) -> str:
        """``"NAME@NUMBER"`` of the run in the ledger; empty without a lease."""
        if self._lease:
            return self._lease.run
        return os.environ.get("HOLDFAST_RUN_ID", "") if self._inherited() else ""

    def _inherited(self) -> Optional[int]:
        fence = os.environ.get("HOLDFAST_FENCE", "")
        is_ours = os.environ.get("HOLDFAST_STATE") == self._name and self._place.is_of_environment
        return int(fence) if is_ours and fence.isdigit() else None

    # ---- loading ----

    def load(self, default: Any = None) -> Any:
        """The newest version's value; `default` only when nothing was ever saved under the name.

        :param default: a value, or something callable that makes it
        :raises Corrupt: the newest version is damaged; ``error.earlier`` are the versions that are whole, and
            `rollback` goes back to one. A damaged state never becomes the default.
        :raises Invalid: it was saved in another format
        :raises Unavailable: there is no way to the store, or not in time

        Any thread. Example: ``seen = state.load(dict)``
        """
        with self._lock:
            try:
                version, content = ask(self._place, lambda way: way.load(self._name))
            except NotFound:
                self._version = 0
                return default() if callable(default) else default
            except Corrupt as error:
                raise self._with_earlier(error) from None
            value = self._from_bytes(content)
            self._version = version.version
            return value

    def load_version(self, version: int) -> Any:
        """The value of one kept version. What `save` is based on stays as it is.

        :raises NotFound: that version is not kept
        :raises Corrupt: it is damaged

        Any thread. Example: ``before = state.load_version(state.version - 1)``
        """
        if version < 1:
            raise Invalid(f"load version {version} of the state '{self._name}': versions count from 1")
        return self._from_bytes(ask(self._place, lambda way: way.load(self._name, version))[1])

    def _with_earlier(self, error: Corrupt) -> Corrupt:
        try:
            error.earlier = tuple(version.version for version in self.log() if not version.error)
        except HoldfastError:
            pass
        return error

    def log(self, limit: int = 0) -> List[Version]:
        """The kept versions, newest first, without their values; `limit` 0: all.

        :raises NotFound: nothing was ever saved

        Any thread. Example: ``for version in state.log(10): print(version.version, version.at, version.note)``
        """
        return ask(self._place, lambda way: way.log(self._name, limit))

    # ---- saving ----

    def save(self, value: Any, *, note: str = "", code_version: str = "", records: Iterable[Tuple[str, str, Any]] = (),
             force: bool = False) -> int:
        """Saves the value as the next version and gives its number: when it returns, the value is on disk.
        The same value again makes no new version.

        :param note: kept with the version
        :param code_version: instead of the one that the object was opened with
        :param records: ``(kind, id, document)`` of other records that are committed together with the state, all or
            nothing, so that neither is ahead of the other; `holdfast.DELETE` for a document deletes the record
        :param force: whatever the version, and over somebody else's lease; kept with the version as forced
        :raises Conflict: the lease was taken over by another run, or (without a lease) another run has it
        :raises VersionConflict: somebody else saved since this object loaded
        :raises TooLarge: over 64 MiB
        :raises Invalid: the value is not one of the format
        :raises NoSpace, ReadOnly, StoreFailed: the disk; the earlier version stays

        Any thread; saves of one object follow each other. Example::

            state.save(seen, note="page 7", records=[("article", item.id, item.as_dict())])
        """
        content = self._to_bytes(value)
        changes = tuple(_record(*record) for record in records)
        with self._lock:
            save = Save(self._name, content, Basis(), note, code_version or self._code_version, changes)
            if force:
                self._version = self._place.do(lambda way, attempt: way.save(save))
            elif self.fence is not None:
                self._version = self._save_on(save, Basis(fence=self.fence))
            elif self._version is not None:
                self._version = self._save_on(save, Basis(if_version=self._version))
            else:
                self._version = self._save_on_newest(save)
            return self._version

    def _save_on(self, save: Save, basis: Basis) -> int:
        based = Save(save.name, save.content, basis, save.note, save.code_version, save.records)
        return self._place.do(lambda way, attempt: _again.save(way, attempt, based))

    def _save_on_newest(self, save: Save) -> int:
        for _ in range(_MOST_TRIES):
            newest = ask(self._place, lambda way: int(_again.head_of(way, self._name).get("version", 0)))
            try:
                return self._save_on(save, Basis(if_version=newest))
            except VersionConflict as error:
                last = error
        raise last

    def rollback(self, version: Optional[int] = None, *, before: Any = None) -> int:
        """Makes an earlier version the newest again, as a new version, and gives its number. Also the way out of a
        damaged newest version.

        :param version: which one; or
        :param before: a datetime, or seconds since 1970: the newest version from before then
        :raises NotFound: no such version is kept
        :raises Conflict: another living run has the lease
        :raises Corrupt: that version is damaged too

        Any thread. Example: ``state.rollback(before=datetime.now() - timedelta(hours=1))``
        """
        if (version is None) == (before is None):
            raise Invalid(f"roll back '{self._name}': either a version or a time is needed")
        if version is not None and version < 1:
            raise Invalid(f"roll back '{self._name}' to version {version}: versions count from 1")
        before_ms = ms_of_time(before) if before is not None else 0
        with self._lock:
            if self.fence is None:
                rolled = ask(self._place, lambda way: way.rollback(self._name, version or 0, before_ms))
            else:
                rolled = self._rollback_in_lease(self.fence, version or 0, before_ms)
            self._version = rolled
            return rolled

    def _rollback_in_lease(self, fence: int, version: int, before_ms: int) -> int:
        """Nobody but the owner may change the state now; so he saves what was, under his fence."""
        version = version or ask(self._place, lambda way: way.newest_before(self._name, before_ms))
        _, content = ask(self._place, lambda way: way.load(self._name, version))
        return self._save_on(Save(self._name, content, Basis(), note=f"rollback to {version}"),
                             Basis(fence=fence))

    # ---- the lease ----

    def __enter__(self) -> "State":
        with self._lock:
            if self._lease is not None:
                raise Conflict(f"take the lease of '{self._name}': this object has it already")
            if self._inherited() is None:
                self._lease = self._take()
                self._owner_pid = os.getpid()
        return self

    def _take(self) -> Lease:
        end = None if self._wait is None else time.monotonic() + self._wait
        pause = _WAIT_PAUSE_S
        while True:
            try:
                return self._place.do(lambda way, attempt: _again.begin(way, attempt, self._name, self._steal,
                                                                        self._ttl_ms, self._reason))
            except Conflict:
                if not self._waits or (end is not None and time.monotonic() >= end):
                    raise
            time.sleep(pause if end is None else min(pause, max(0.0, end - time.monotonic())))
            pause = min(pause * 2, _LONGEST_WAIT_PAUSE_S)

    def renew(self) -> None:
        """Puts off the end of a lease with a `ttl`; a save does so too.

        :raises Conflict: it was taken over
        :raises Invalid: there is no lease

        Any thread. Example: ``state.renew()`` between two long downloads.
        """
        fence = self.fence
        if fence is None:
            raise Invalid(f"renew the lease of '{self._name}': there is none", hint="use it as a context manager")
        ask(self._place, lambda way: way.renew(self._name, fence))

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        with self._lock:
            lease, self._lease = self._lease, None
            if lease is None or self._owner_pid != os.getpid():
                return
            outcome = "ok" if kind is None or _is_good_exit(error) else "error"
            try:
                self._place.do(lambda way, attempt: _again.end(way, attempt, self._name, lease.fence, outcome))
            except HoldfastError:
                if kind is None:
                    raise

    def __repr__(self) -> str:
        return f"<holdfast.State {self._name!r} version {self._version}>"


def _is_good_exit(error: Optional[BaseException]) -> bool:
    return isinstance(error, SystemExit) and error.code in (None, 0)


def _record(kind: str, id: str, document: Any) -> Record:
    return Record(kind, id, None if document is DELETE else _json.to_bytes(document))

