"""Operations whose answer may have been lost with the connection: done again, with effect once."""

import os
from typing import Any, Dict, Optional, Set, Tuple

from . import _json
from ._model import Lease, Save
from ._place import Attempt, Way
from .errors import Conflict, NotFound, VersionConflict

_held: Set[Tuple[str, int]] = set()  # (name, fence): the leases that this process was given and knows of


def head_of(way: Way, name: str) -> Dict[str, Any]:
    """The head record of a state; {} when there is none."""
    try:
        head: Dict[str, Any] = _json.from_bytes(way.get("state", name))
        return head
    except NotFound:
        return {}


def _was_saved(way: Way, save: Save) -> Optional[int]:
    newest = head_of(way, save.name).get("meta") or {}
    follows = save.basis.if_version is None or newest.get("version") == save.basis.if_version + 1
    return int(newest["version"]) if follows and newest.get("digest") == save.digest else None


def save(way: Way, attempt: Attempt, save: Save) -> int:
    """A refusal after an attempt without an answer may come of that attempt: then the version is its own."""
    try:
        return way.save(save)
    except (VersionConflict, NotFound):  # NotFound: its deletions have been made
        saved = _was_saved(way, save) if attempt.may_be_done else None
        if saved is None:
            raise
        return saved


def begin(way: Way, attempt: Attempt, name: str, steal: bool, ttl_ms: int, reason: str) -> Lease:
    """The lease that an attempt without an answer took is this process's, and nobody in it knows of it."""
    try:
        lease = way.begin(name, steal, ttl_ms, reason)
    except Conflict:
        found = _unheard_lease(way, name) if attempt.may_be_done else None
        if found is None:
            raise
        lease = found
    _held.add((name, lease.fence))
    return lease


def _unheard_lease(way: Way, name: str) -> Optional[Lease]:
    lease = head_of(way, name).get("lease") or {}
    is_ours = lease.get("pid") == os.getpid() and (name, lease.get("fence")) not in _held
    return Lease(lease["fence"], lease.get("run") or "") if is_ours else None


def end(way: Way, attempt: Attempt, name: str, fence: int, outcome: str) -> None:
    _held.discard((name, fence))
    try:
        way.end(name, fence, outcome)
    except Conflict:
        head = head_of(way, name) if attempt.may_be_done else {}
        if head.get("fence") != fence or head.get("lease"):
            raise
