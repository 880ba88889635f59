"""What the n6 drop-in keeps in holdfast: each pickle of a state directory as a version of a state of its own."""

import hashlib
import os
import re
from pathlib import Path
from typing import List, Optional, Tuple

from .. import _again
from .._model import Basis, Save, Version, digest_of
from .._place import Place, ask
from ..errors import NotFound, VersionConflict

_UNSAFE = re.compile(r"[^\w.<>+-]", re.ASCII)
_STEM_BYTES = 150
_TRIES = 64


def _stem(path: Path) -> str:
    name = path.name[:-len(".pickle")] if path.name.endswith(".pickle") else path.name
    return "n6." + _UNSAFE.sub("_", name)[:_STEM_BYTES] + "."


def name_of(path: Path) -> str:
    """Of the state that belongs to a pickle file: its name, and a digest of where it stands, so that the same class
    with another state directory has another state."""
    where = os.path.abspath(os.fspath(path))
    return _stem(path) + hashlib.blake2b(os.fsencode(where), digest_size=5).hexdigest()


class N6Store:
    """The versions of one pickle file. Errors: those of holdfast. Any thread."""

    def __init__(self, path: Path) -> None:
        self.name = name_of(path)
        self._path = path
        self._place = Place()

    def newest(self) -> Optional[Tuple[Version, bytes]]:
        """The newest version; None when nothing was ever saved."""
        try:
            return ask(self._place, lambda way: way.load(self.name))
        except NotFound:
            return None

    def newest_number(self) -> int:
        return int(ask(self._place, lambda way: _again.head_of(way, self.name)).get("version", 0))

    def elsewhere(self) -> List[str]:
        """States of files of the same name in other state directories."""
        names = ask(self._place, lambda way: way.names(_stem(self._path)))
        return [name for name in names if name != self.name]

    def adopt(self, content: bytes) -> Optional[str]:
        """Makes what the file holds the newest version, where it is not. The note it was kept with, or None."""
        head = ask(self._place, lambda way: _again.head_of(way, self.name))
        if (head.get("meta") or {}).get("digest") == digest_of(content):
            return None
        note = f"changed outside of holdfast: {self._path}" if head.get("version") else f"adopted: {self._path}"
        self.save(content, note)
        return note

    def save(self, content: bytes, note: str = "") -> int:
        """A version more, behind whichever is newest: the file decides, and it has been written."""
        for _ in range(_TRIES):
            save = Save(self.name, content, self._basis(), note)
            try:
                return self._place.do(lambda way, attempt: _again.save(way, attempt, save))
            except VersionConflict as error:
                last = error
        raise last

    def _basis(self) -> Basis:
        name, fence = _run_of_environment()
        return Basis(fence=fence) if name == self.name else Basis(if_version=self.newest_number())

    def check_run(self) -> None:
        """Under `holdfast run`: `Conflict` when its lease was taken over by another run."""
        name, fence = _run_of_environment()
        if name:
            ask(self._place, lambda way: way.renew(name, fence))


def _run_of_environment() -> Tuple[str, int]:
    """State and fence of the `holdfast run` around this process; ("", 0) without one."""
    name, fence = os.environ.get("HOLDFAST_STATE", ""), os.environ.get("HOLDFAST_FENCE", "")
    return (name, int(fence)) if name and fence.isdigit() else ("", 0)
