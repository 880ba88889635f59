"""A drop-in for changedetection.io's `FileSavingDataStore`: only the import line of a subclass changes.

::

    from holdfast.compat.changedetection import (FileSavingDataStore, load_all_watches, save_json_atomic,
                                                 save_watch_atomic)

    class ChangeDetectionStore(DatastoreUpdatesMixin, FileSavingDataStore):
        …

The datastore folder is a store of holdfast in this process: the layout and the style of its files stay
(``{uuid}/watch.json``, ``changedetection.json``), the index that makes it safe is in ``.holdfast`` beside them (docs/store.md). A
datastore that is there is taken as it is, and the original can read it again at any time. The options of the environment
are the original's: FORCE_FSYNC_DATA_IS_CRITICAL, DATASTORE_SCAN_DIRTY_SAVE_INTERVAL_SECONDS,
DATASTORE_AUDIT_INTERVAL_SECONDS, DATASTORE_AUDIT_SHARDS.

Every hook has a default that works on that store: a subclass overrides what it wants otherwise.

What is better than in the original:

- What was saved survives a power cut, whatever FORCE_FSYNC_DATA_IS_CRITICAL says; with it, other programs find the files
  so, too. No file is ever half written, and none is left behind.
- Nothing is taken from a watch when it is loaded.
- A mark that comes while a save is under way is saved by the next one; what could not be saved is tried again by itself.
- Changed settings are found: by `needs_write_urgent` alone, and by the audit.
- One watch that cannot be saved holds up no other. `force_save_all` raises when something could not be saved.
- Two processes cannot have one datastore; two objects of a process share nothing but it.
- A damaged file whose watch is in the index is put back; others are told of, and make the health a WARNING. Having nothing to
  save is healthy.

What is different:

- The folder of a watch or a file in the datastore's root (``*.json``) that was removed by hand is written again: delete with
  `_delete_watch`, or ``holdfast store rm --url 'tree:DIR?layout=watch' watch UUID`` while the program does not run.
- The log goes to the logger ``holdfast.compat.changedetection`` of Python's `logging`.
"""

import hashlib
import json
import logging
import os
import shutil
import threading
import time
import zlib
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from ..errors import HoldfastError
from ._changedetection_files import load_all_watches, load_watch_from_file, save_json_atomic, save_watch_atomic
from ._changedetection_loop import SaveLoop
from ._changedetection_tree import SETTINGS, WATCH, Tree, check_size, raise_as_original, to_json, tree_of

__all__ = ["DATASTORE_AUDIT_INTERVAL_SECONDS", "DATASTORE_AUDIT_SHARDS", "DATASTORE_SCAN_DIRTY_SAVE_INTERVAL_SECONDS",
           "FORCE_FSYNC_DATA_IS_CRITICAL", "FileSavingDataStore", "load_all_watches", "load_watch_from_file",
           "save_json_atomic", "save_watch_atomic"]
