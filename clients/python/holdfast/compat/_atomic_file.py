"""A file that is replaced as a whole and is on disk when the call returns.

Invariants

1. Under the file's name stands the old content or the new one, whole, at every moment and after every power cut: the
   new one is written to a file beside it and synced before it takes the name; then the folder is synced.
2. However a save ends, the next one leaves nothing beside the file: what a killed writer left is removed. A file of a
   writer that lives is never touched: its lock says so, and the kernel frees the lock with the writer.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
from pathlib import Path
from typing import Iterator

_TRIES = 100


def _prefix(path: Path) -> str:
    name = hashlib.blake2b(os.fsencode(path.name), digest_size=6).hexdigest()
    return f".holdfast-{name}-"


def _is_at(fd: int, path: Path) -> bool:
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    here = os.fstat(fd)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _create(path: Path) -> "tuple[int, Path]":
    """A new file beside `path`, locked. One that somebody took for a left one before it was locked is given up."""
    for _ in range(_TRIES):
        beside = path.with_name(_prefix(path) + secrets.token_hex(8))
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _is_at(fd, beside):
                return fd, beside
        except BaseException:
            os.close(fd)
            _remove(beside)
            raise
        os.close(fd)
    raise FileExistsError(f"create a file beside {os.fspath(path)!a}: each was removed at once")


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _remove_if_left(path: Path) -> None:
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(fd, path):
                os.unlink(path)
        finally:
            os.close(fd)


def _left_beside(path: Path) -> Iterator[Path]:
    prefix = _prefix(path)
    with os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name.startswith(prefix):
                yield path.with_name(entry.name)


def _write(fd: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest):]
    os.fsync(fd)


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace(path: Path, content: bytes) -> None:
    """Puts the content under this name. Errors: OSError; then the old content stands there, except when syncing the
    folder failed: then the old one or the new one does. Any thread."""
    for left in list(_left_beside(path)):
        _remove_if_left(left)
    fd, beside = _create(path)
    try:
        try:
            _write(fd, content)
            os.rename(beside, path)
        except BaseException:
            _remove(beside)
            raise
    finally:
        os.close(fd)
    _sync_folder(path.parent)
