"""What both ways to a store speak of: versions, values, what a save is based on, records."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .errors import Corrupt, Invalid, NotFound, error_of

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
DIGEST_BYTES = 32

# Kinds that holdfast keeps itself; the daemon refuses them as well.
_OWN_KINDS = frozenset(("source", "source_state", "source_data", "source_code", "source_run", "state", "state_version",
                        "state_run", "state_trash", "token", "session"))


class _Delete:
    def __repr__(self) -> str:
        return "holdfast.DELETE"


DELETE = _Delete()
"""In the place of a record's document: the record is deleted."""


@dataclass(frozen=True)
class Version:
    """One version of a state, as `State.log` lists it. Immutable, so any thread may read it.

    `version` counts from 1; `at` is when it was saved (UTC); `size` and `digest` (BLAKE2b-256, in hex) are those of
    the bytes; `run` is ``"NAME@NUMBER"`` and `fence` a number when it was saved under a lease; `forced` says that it
    was saved over somebody else's lease. A damaged version has only its number and `error`, which says what is wrong.

    Example::

        for version in holdfast.State("feed").log():
            print(version.version, version.at, version.note)
    """

    version: int
    at: datetime = EPOCH
    size: int = 0
    digest: str = ""
    is_json: bool = False
    run: str = ""
    fence: int = 0
    code_version: str = ""
    note: str = ""
    who: str = ""
    forced: bool = False
    error: str = ""


@dataclass(frozen=True)
class Basis:
    """What a save is based on: a lease's fence, or a version, or (both None) nothing: it is forced."""

    fence: Optional[int] = None
    if_version: Optional[int] = None


@dataclass(frozen=True)
class Record:
    """A change that is committed together with a state; json None: the record is deleted."""

    kind: str
    id: str
    json: Optional[bytes]


@dataclass(frozen=True)
class Save:
    """All that a save says."""

    name: str
    content: bytes
    basis: Basis
    note: str = ""
    code_version: str = ""
    records: Sequence[Record] = field(default_factory=tuple)

    @property
    def digest(self) -> str:
        return digest_of(self.content)


@dataclass(frozen=True)
class Lease:
    """Of a run: its fence, and its name in the ledger."""

    fence: int
    run: str


def digest_of(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest()


def time_of_ms(at_ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=at_ms)


def ms_of_time(moment: Any) -> int:
    """Milliseconds of a datetime (without a zone: local time) or of seconds since 1970."""
    if isinstance(moment, datetime):
        return (moment.astimezone(timezone.utc) - EPOCH) // timedelta(milliseconds=1)
    if isinstance(moment, (int, float)) and not isinstance(moment, bool):
        return int(moment * 1000)
    raise Invalid(f"read the time {moment!r}: it is none", hint="give a datetime, or seconds since 1970")


def text_of_ms(at_ms: int) -> str:
    return time_of_ms(at_ms).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"


_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?Z")


def time_of_text(text: str) -> datetime:
    match = _TIME.fullmatch(text or "")
    if not match:
        return EPOCH
    parts = [int(part) for part in match.groups()[:6]]
    return datetime(*parts, int((match[7] or "0").ljust(6, "0")), tzinfo=timezone.utc)  # type: ignore[misc]


def version_of_document(document: Dict[str, Any]) -> Version:
    """From a version as JSON: a row of the log, a value, or the record that keeps it."""
    if "error" in document:
        error = document["error"]
        return Version(document.get("version", 0), error=error if isinstance(error, str) else str(error))
    return Version(version=document["version"], at=time_of_text(document.get("at") or ""),
                   size=document.get("bytes") or 0, digest=document.get("digest") or "",
                   is_json=document.get("form") == "json", run=document.get("run") or "",
                   fence=document.get("fence") or 0, code_version=document.get("code_version") or "",
                   note=document.get("note") or "", who=document.get("who") or "",
                   forced=bool(document.get("forced")))


def check_kind(kind: str) -> None:
    if kind in _OWN_KINDS:
        raise error_of("forbidden", f"write records of kind '{kind}': holdfast keeps them itself",
                       "use a kind of your own")



def newest_before(name: str, versions: Sequence[Version], before_ms: int) -> int:
    """Of versions, newest first, the newest from before that time. `Corrupt` when a damaged one may be meant."""
    doubt = 0
    for version in versions:
        if version.error:
            doubt = doubt or version.version
        elif version.at < time_of_ms(before_ms) and doubt:
            raise Corrupt(f"state '{name}': version {doubt} is damaged, and may be the one that is meant",
                          hint=f"the newest below it that is known to be so old: version {version.version}")
        elif version.at < time_of_ms(before_ms):
            return version.version
    raise NotFound(f"state '{name}': no version from before {text_of_ms(before_ms)} is kept", hint="log() lists them")


LoadedValue = Tuple[Version, bytes]
Versions = List[Version]
