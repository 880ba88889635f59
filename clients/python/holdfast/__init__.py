"""Durable state for data collectors.

What cron starts finds its state again, and two runs never fight over it::

    import holdfast

    with holdfast.State("feed") as state:      # takes the lease; raises Conflict when another run has it
        seen = state.load(dict)                # the default only when nothing was ever saved
        seen["last"] = collect(seen.get("last"))
        state.save(seen)                       # on disk when it returns

`State` works over the Unix socket of a running daemon, and through libholdfast when there is none. Drop-ins for other
systems are in `holdfast.compat`.
"""

from ._model import DELETE, Version
from ._state import State
from .errors import (Conflict, Corrupt, HoldfastError, Invalid, Newer, NoSpace, NotFound, PermissionDenied, ReadOnly,
                     StoreFailed, TooLarge, Unavailable, VersionConflict)

__version__ = "0.1.0"
__all__ = ["DELETE", "Conflict", "Corrupt", "HoldfastError", "Invalid", "Newer", "NoSpace", "NotFound",
           "PermissionDenied", "ReadOnly", "State", "StoreFailed", "TooLarge", "Unavailable", "Version",
           "VersionConflict"]
