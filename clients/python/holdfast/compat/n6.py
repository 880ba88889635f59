"""A drop-in for the `StatefulCollectorMixin` of n6: only the import line of a collector changes.

::

    from holdfast.compat.n6 import StatefulCollectorMixin

    class MyCollector(StatefulCollectorMixin, BaseCollector):
        def make_default_state(self):
            return {}

What stays: the options, arguments and methods, the file and its name in `state_dir`, the pickles in it, the log
messages and their levels, the exceptions. Two systems may use the directory in turn.

What is added:

- A save is on disk when it returns, also after a power cut.
- Every save is a version in holdfast too (``holdfast state log NAME``, ``rollback``), where a store can be reached; a
  directory that is there already is adopted file by file at the first load.
- When the file was changed by something else, the file counts, and is kept as a new version with a note.
- When the file is damaged, the error is the original's, and says which version holdfast has.
- When the file is gone although its state was saved, the state is taken from holdfast, with a WARNING, and not the
  default. A collector that is to begin anew: ``holdfast state clear NAME``, or the class attribute
  ``restore_missing_state = False``.
- Under ``holdfast run`` a run whose lease was taken over cannot save any more (`holdfast.Conflict`).

As with the original, unpickling executes what a pickle says: let nobody else write to `state_dir` or to the store.
"""

import io
import logging
import os
import pathlib
import pickle
import sys
import threading
import traceback
from typing import Any, ClassVar, Dict, NoReturn, Optional

from ..errors import Conflict, Corrupt, HoldfastError, Newer
from . import _atomic_file
from ._n6_store import N6Store, name_of

__all__ = ["StatefulCollectorMixin"]

LOGGER = logging.getLogger(__name__)

_CONFIG_SPEC_PATTERN = """
    [{collector_class_name}]

    state_dir = ~/.n6state :: path
"""
_FIRST_BYTE = 0x80  # of pickles of protocol 2 and newer
_PY2_PROTOCOL = 2

_warned = threading.Event()  # that nothing is kept in holdfast: said once in a process


def _config_spec_pattern() -> Any:
    """Beside n6 the option has to join those of the collector's other classes; n6 itself knows how."""
    try:
        from n6lib.config import combined_config_spec  # type: ignore[import-not-found]
    except ImportError:
        return _CONFIG_SPEC_PATTERN
    return combined_config_spec(_CONFIG_SPEC_PATTERN)


def _ascii(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".encode("ascii", "backslashreplace").decode("ascii")


class StatefulCollectorMixin:
    """Keeps the state of a collector between its runs: any object that can be pickled.

    Call `load_state` before collecting, and `save_state` when something has been collected. `config['state_dir']` of
    the class that this is mixed into says where.

    :param state_pickle_protocol: of the pickles that are written (2 to 5); the highest by default
    :raises ValueError: the class is in the module `__main__`, which is no name that a file could be found by again
    :raises TypeError: a subclass has the attribute `pickle_protocol` (use the argument)

    Thread safety: as the original, an object belongs to one thread at a time; different collectors, threads and
    processes do not disturb each other.

    Example::

        class MyCollector(StatefulCollectorMixin, BaseCollector):

            def make_default_state(self):
                return {}

            def run(self):
                self.state = self.load_state()
                super().run()
                self.save_state(self.state)
    """

    config: Any
    config_spec_pattern: Any = _config_spec_pattern()
    restore_missing_state: ClassVar[bool] = True
    """False: a file that is gone means the default, even though holdfast has its state."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if getattr(cls, "pickle_protocol", None) is not None:
            raise TypeError(f"the following unsupported attributes of the {cls.__qualname__} class are set to non-None "
                            "values: 'pickle_protocol'")

    def __init__(self, /, *args: Any, state_pickle_protocol: int = pickle.HIGHEST_PROTOCOL, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._state_pickle_protocol = state_pickle_protocol
        self._state_file_path = pathlib.Path(self.config["state_dir"]).expanduser() / self.get_state_file_name()

    # ---- for the collector to call ----

    def load_state(self) -> Any:
        """The state that was saved last; what `make_default_state` gives (and a WARNING) when none ever was.

        :raises EOFError, pickle.UnpicklingError, OSError, …: the file is damaged or cannot be read; it is left as it is
        :raises SystemExit: it is no pickle of protocol 2 or newer, or one of Python 2 that cannot be read
        :raises holdfast.Corrupt: the file is gone, and the version that holdfast has is damaged

        Example: ``self.state = self.load_state()``
        """
        path = self._state_file_path
        try:
            try:
                content = path.read_bytes()
            except FileNotFoundError as error:
                return self.__state_without_file(error)
            state = self.__load(content)
        except Exception as error:
            LOGGER.error("Could not load the collector state from %a (%s). "
                         "You may need to deal with the problem manually!", os.fspath(path), _ascii(error))
            self.__point_back(error)
            raise
        LOGGER.info("Loaded the collector state from %a.", os.fspath(path))
        LOGGER.debug("The loaded state is: %a.", state)
        self.__adopt(content)
        return state

    def save_state(self, state: Any) -> None:
        """Saves any object that can be pickled. When it returns, the file is on disk.

        :raises pickle.PicklingError, TypeError, OSError, …: nothing was saved, the earlier file is as it was
        :raises holdfast.Conflict: the run of `holdfast run` that this belongs to was taken over by another one

        Example: ``self.save_state(self.state)``, at the end or after each step: a crash then resumes there
        """
        path = self._state_file_path
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        try:
            content = pickle.dumps(state, self._state_pickle_protocol)
            self.__check_run()
            _atomic_file.replace(path, content)
        except Exception as error:
            LOGGER.error("Could not save the collector state to %a (%s). "
                         "You may need to deal with the problem manually!", os.fspath(path), _ascii(error))
            raise
        self.__keep(content)
        LOGGER.info("Saved the collector state to %a.", os.fspath(path))
        LOGGER.debug("The saved state is: %a.", state)

    # ---- for the collector to override ----

    def make_default_state(self) -> Any:
        """What `load_state` gives when no state was ever saved: None.

        Example: ``return {}``
        """
        return None

    def get_state_file_name(self) -> str:
        """The name of the file in `state_dir`: module and qualified name of the class, and ``.pickle``.

        :raises ValueError: the module is `__main__`
        """
        module, name = type(self).__module__, type(self).__qualname__
        if module == "__main__":
            raise ValueError(f"{module!a} is not the proper name of the module containing {name}")
        return f"{module}.{name}.pickle"

    def get_py2_pickle_load_kwargs(self) -> Dict[str, Any]:
        """The arguments that a pickle of Python 2 (protocol 2) is loaded with.

        Example: ``return dict(encoding="latin1")``
        """
        return dict(encoding="ascii", errors="strict")

    def adjust_state_from_py2_pickle(self, state: Any) -> Any:
        """Makes of what was loaded from a pickle of Python 2 what the collector works with now.

        Example: ``return {key.lower(): value for key, value in state.items()}``
        """
        return state

    # ---- reading ----

    def __load(self, content: bytes) -> Any:
        if len(content) < 2:  # pickle has its own words for that
            return pickle.load(io.BytesIO(content))
        if content[0] != _FIRST_BYTE or content[1] < _PY2_PROTOCOL:
            self.__exit(f"The first two bytes of the state file {os.fspath(self._state_file_path)!a} do not look like "
                        "the beginning of anything properly serialized using the Pickle Protocol 2 or newer. You need "
                        "to examine and fix (or remove) the file manually!")
        if content[1] == _PY2_PROTOCOL:
            return self.__load_of_python_2(content)
        return pickle.load(io.BytesIO(content))

    def __load_of_python_2(self, content: bytes) -> Any:
        arguments = self.get_py2_pickle_load_kwargs()
        LOGGER.warning("Trying to load the state from a Python-2-saved pickle, by calling "
                       "`pickle.load(<state file>, **%a)`...", arguments)
        try:
            state = pickle.load(io.BytesIO(content), **arguments)
        except Exception:
            self.__exit(f"When trying to load the current collector state from the state file "
                        f"{os.fspath(self._state_file_path)!a} *saved by the Python 2 version of the collector*, the "
                        "program encountered the following exception (to work around the problem, you may want to "
                        "customize, for this particular collector, the collector methods "
                        "`get_py2_pickle_load_kwargs()` and/or `adjust_state_from_py2_pickle()`):\n\n"
                        f"{traceback.format_exc().strip()}\n\n")
        LOGGER.warning("The state from a Python-2-saved pickle has been loaded. Now the "
                       "`adjust_state_from_py2_pickle()` method of %a will be invoked to adjust the loaded data...",
                       self)
        return self.adjust_state_from_py2_pickle(state)

    def __exit(self, text: str) -> NoReturn:
        hint = self.__way_back()
        sys.exit(f"{text}\n{hint}" if hint else text)

    def __state_without_file(self, error: FileNotFoundError) -> Any:
        found = self.__newest_kept() if self.restore_missing_state else None
        if found is None:
            state = self.make_default_state()
            LOGGER.warning("Could not load the collector state (%s). The following default state will be used: %a.",
                           _ascii(error), state)
            self.__tell_of_others()
            return state
        version, content = found
        LOGGER.warning("Could not load the collector state (%s). Version %d of %a, saved at %s, is taken from holdfast "
                       "(to begin anew: holdfast state clear %a).", _ascii(error), version.version,
                       name_of(self._state_file_path), version.at.isoformat(), name_of(self._state_file_path))
        state = self.__load(content)
        LOGGER.debug("The loaded state is: %a.", state)
        return state

    # ---- holdfast beside the file: what fails here never makes the collector worse off than without it ----

    def __store(self) -> N6Store:
        return N6Store(self._state_file_path)

    def __newest_kept(self) -> Any:
        try:
            return self.__store().newest()
        except (Corrupt, Newer):  # a state was saved: the default would be a silent one
            raise
        except HoldfastError as error:
            LOGGER.info("Holdfast cannot be asked for an earlier state (%s).", _ascii(error))
            return None

    def __adopt(self, content: bytes) -> None:
        try:
            note = self.__store().adopt(content)
            if note:
                LOGGER.info("Holdfast keeps the loaded state as a new version (%a).", note)
        except HoldfastError as error:
            LOGGER.info("Holdfast does not keep the loaded state (%s).", _ascii(error))

    def __keep(self, content: bytes) -> None:
        try:
            self.__store().save(content)
        except HoldfastError as error:
            level = logging.INFO if _warned.is_set() else logging.WARNING
            _warned.set()
            LOGGER.log(level, "The collector state is saved in its file only, and not kept in holdfast (%s).",
                       _ascii(error))

    def __check_run(self) -> None:
        try:
            self.__store().check_run()
        except Conflict:
            raise
        except HoldfastError as error:
            LOGGER.info("Holdfast cannot be asked whether this run still has its lease (%s).", _ascii(error))

    def __tell_of_others(self) -> None:
        try:
            others = self.__store().elsewhere()
        except HoldfastError:
            return
        if others:
            LOGGER.info("Holdfast has states of this collector from other state directories: %s.", ", ".join(others))

    def __way_back(self) -> Optional[str]:
        try:
            store = self.__store()
            version = store.newest_number()
        except HoldfastError:
            return None
        if not version:
            return None
        return (f"holdfast keeps versions of this state up to {version}; see: holdfast state log {store.name!a}; write "
                f"the newest back: holdfast state export --format n6 {store.name!a} "
                f"{os.fspath(self._state_file_path)!a}")

    def __point_back(self, error: Exception) -> None:
        """The error stays the original's; from Python 3.11 on the way back stands below it in the traceback."""
        hint = None if isinstance(error, HoldfastError) else self.__way_back()
        if hint:
            LOGGER.info("%s", hint)
            if hasattr(error, "add_note"):
                error.add_note(hint)
