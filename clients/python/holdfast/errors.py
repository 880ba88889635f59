"""What can go wrong, as exceptions.

There is one class for each thing that a program may want to do something about. Every exception has the members

`code`       the word that the command line and the HTTP replies use too, such as ``"conflict"``
`message`    what failed, action first: ``open store '/x': read header: file is cut short``
`hint`       what to do about it; may be empty
`retryable`  whether the same call may work later

The same fault raises the same exception whether a daemon answered or the library worked in this process.
"""

from typing import Dict, Optional, Tuple, Type

__all__ = ["HoldfastError", "Invalid", "NotFound", "Conflict", "VersionConflict", "Corrupt", "TooLarge", "Unavailable",
           "NoSpace", "ReadOnly", "PermissionDenied", "Newer", "StoreFailed", "error_of"]


class HoldfastError(Exception):
    """Everything that holdfast refuses or cannot do; the base of all that follow.

    Example::

        try:
            state.save(value)
        except holdfast.HoldfastError as error:
            print(error.code, error.hint)
    """

    code: str = "internal"

    def __init__(self, message: str, *, code: Optional[str] = None, hint: str = "", retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code or type(self).code
        self.message = message
        self.hint = hint
        self.retryable = retryable

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Invalid(HoldfastError):
    """An argument, a name or a value is not acceptable."""

    code = "invalid"


class NotFound(HoldfastError):
    """There is no such thing: nothing was ever saved under the name, or that version is not kept."""

    code = "not_found"


class Conflict(HoldfastError):
    """Somebody else has the lease, or took it over; or the name is taken."""

    code = "conflict"


class VersionConflict(Conflict):
    """Somebody else saved meanwhile: the newest version is not the one that this save is based on.
    Load again, and decide."""

    code = "precondition_failed"


class Corrupt(HoldfastError):
    """What is stored is damaged. It is never taken for something that was not saved.

    `earlier` are the versions that are whole, newest first; ``State.rollback(error.earlier[0])`` goes back to one.
    """

    code = "corrupt"
    earlier: Tuple[int, ...] = ()


class TooLarge(HoldfastError):
    """A size is over its limit; nothing was saved."""

    code = "too_large"


class Unavailable(HoldfastError):
    """Neither a daemon answers nor can the store be opened in this process, or not within the time that was allowed."""

    code = "unavailable"


class NoSpace(HoldfastError):
    """The disk is full or the quota used up; nothing was saved, and what was there is as it was."""

    code = "no_space"


class ReadOnly(HoldfastError):
    """The file system of the store is read-only."""

    code = "store_readonly"


class PermissionDenied(HoldfastError):
    """The system, or the daemon, does not permit it."""

    code = "permission"


class Newer(HoldfastError):
    """It was written by a newer holdfast than this one, or not by holdfast at all."""

    code = "schema_newer"


class StoreFailed(HoldfastError):
    """Reading or writing failed in the system. Whether a save that failed so was made is not known until a later one
    works; what was acknowledged earlier is safe."""

    code = "store_failed"


_CLASSES: Dict[str, Type[HoldfastError]] = {
    "invalid": Invalid, "bad_id": Invalid, "bad_json": Invalid, "bad_data": Invalid, "no_basis": Invalid,
    "unsafe_path": Invalid, "unsupported": Invalid, "config": Invalid,
    "not_found": NotFound, "compacted": NotFound,
    "conflict": Conflict, "exists": Conflict, "precondition_failed": VersionConflict,
    "corrupt": Corrupt, "too_large": TooLarge,
    "unavailable": Unavailable, "store_locked": Unavailable, "timeout": Unavailable, "cancelled": Unavailable,
    "no_space": NoSpace, "quota": NoSpace, "store_readonly": ReadOnly,
    "permission": PermissionDenied, "forbidden": PermissionDenied, "unauthorized": PermissionDenied,
    "schema_newer": Newer, "not_ours": Newer,
    "io": StoreFailed, "store_failed": StoreFailed, "cannot_create": StoreFailed,
}


def error_of(code: str, message: str, hint: str = "", retryable: bool = False) -> HoldfastError:
    """The exception for a code's word; a word that is not known here is a plain `HoldfastError`."""
    return _CLASSES.get(code, HoldfastError)(message, code=code, hint=hint, retryable=retryable)
