"""The drop-in for changedetection.io's FileSavingDataStore: what its subclasses call and override, without its losses."""
import errno
import json
import logging
import os
import shutil
import signal

import pytest
from conftest import wait_for

import python_client

from holdfast import errors
from holdfast.compat import _changedetection_tree as trees
from holdfast.compat import changedetection
from holdfast.compat.changedetection import (FileSavingDataStore, load_all_watches, load_watch_from_file,
                                             save_json_atomic, save_watch_atomic)

NEVER = 10_000
HEALTH_KEYS = {"status", "message", "thread_alive", "dirty_watches", "dirty_settings", "last_save_seconds_ago",
               "save_cycles", "total_saves", "total_errors", "error_rate_percent"}


class TheirStore(FileSavingDataStore):
    """As the original's own subclass uses the class: its data are private, files are reached by the functions."""

    def __init__(self, datastore_path):
        super().__init__()
        self.datastore_path = datastore_path
        self.needs_write = False
        self.stop_thread = False
        self.__data = {"watching": {}, "settings": {"application": {}}, "app_guid": "g", "version_tag": "0"}
        if os.path.exists(os.path.join(datastore_path, "changedetection.json")):
            with open(os.path.join(datastore_path, "changedetection.json"), encoding="utf-8") as file:
                self.__data["settings"] = json.load(file)["settings"]
            self._load_watches()
        else:
            self._save_settings()

    @property
    def data(self):
        return self.__data

    def _watch_exists(self, uuid):
        return uuid in self.__data["watching"]

    def _get_watch_dict(self, uuid):
        return dict(self.__data["watching"][uuid])

    def _build_settings_data(self):
        return {"note": "n", "app_guid": self.__data["app_guid"], "settings": self.__data["settings"],
                "build_sha": None, "version_tag": "0"}

    def _save_settings(self):
        path = os.path.join(self.datastore_path, "changedetection.json")
        save_json_atomic(path, self._build_settings_data(), label="settings", max_size_mb=10)

    def _load_watches(self):
        watching, hashes = load_all_watches(self.datastore_path, self.rehydrate_entity, self._compute_hash)
        self.__data["watching"] = watching
        self._watch_hashes = hashes

    def _delete_watch(self, uuid):
        folder = os.path.join(self.datastore_path, uuid)
        if os.path.exists(folder):
            shutil.rmtree(folder)


@pytest.fixture
def folder(tmp_path):
    yield str(tmp_path / "datastore")
    for tree in list(trees._trees.values()):
        tree.close()
    trees._trees.clear()


@pytest.fixture
def options(monkeypatch):
    def set_options(save=NEVER, audit=NEVER, shards=5):
        monkeypatch.setattr(changedetection, "DATASTORE_SCAN_DIRTY_SAVE_INTERVAL_SECONDS", save)
        monkeypatch.setattr(changedetection, "DATASTORE_AUDIT_INTERVAL_SECONDS", audit)
        monkeypatch.setattr(changedetection, "DATASTORE_AUDIT_SHARDS", shards)
    set_options()
    return set_options


@pytest.fixture(params=[FileSavingDataStore, TheirStore])
def store(request, folder, options):
    it = request.param(folder)
    yield it
    stop(it)


def stop(it):
    if it.save_data_thread:
        it.stop_thread = True
        it.save_data_thread.join()


def on_disk(folder, uuid):
    try:
        with open(os.path.join(folder, uuid, "watch.json"), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def settings_on_disk(folder):
    try:
        with open(os.path.join(folder, "changedetection.json"), encoding="utf-8") as file:
            return json.load(file)["settings"]
    except FileNotFoundError:
        return {}


def add(it, *uuids):
    for uuid in uuids:
        it.data["watching"][uuid] = {"uuid": uuid, "url": "https://example.org/", "n": 0}
        it.mark_watch_dirty(uuid)


def again(it):
    """What a program finds that starts anew."""
    trees.tree_of(it.datastore_path).close()
    found = type(it)(it.datastore_path)
    if type(it) is FileSavingDataStore:
        found.load()
    return found


# ---- saving ----

def test_marked_is_saved_within_the_interval(store, folder, options):
    options(save=0.05)
    store.start_save_thread()
    add(store, "a", "b")
    store.data["settings"]["application"] = {"password": "x"}
    store.mark_settings_dirty()
    wait_for(lambda: on_disk(folder, "a") and on_disk(folder, "b"), "the watches")
    wait_for(lambda: settings_on_disk(folder).get("application"), "the settings")
    wait_for(lambda: store.get_health_status()["total_saves"] == 2, "the count")
    health = store.get_health_status()
    assert set(health) == HEALTH_KEYS and health["status"] == "HEALTHY" and health["dirty_watches"] == 0


def test_urgent_is_saved_at_once_settings_too(store, folder):
    """The original's pages set this flag alone when they change settings."""
    store.start_save_thread()
    add(store, "a")
    store.data["settings"]["application"] = {"password": "x"}
    store.needs_write_urgent = True
    wait_for(lambda: on_disk(folder, "a"), "the watch")
    wait_for(lambda: settings_on_disk(folder).get("application"), "the settings")
    wait_for(lambda: not store.needs_write_urgent and not store.needs_write, "rest")


def test_stopping_saves_all_and_frees_the_folder(store, folder):
    store.start_save_thread()
    add(store, "a")
    store.data["settings"]["application"] = {"b": 1}
    stop(store)
    assert on_disk(folder, "a") and settings_on_disk(folder) == {"application": {"b": 1}}
    health = store.get_health_status()
    assert (health["status"], health["message"]) == ("CRITICAL", "Save thread is DEAD")
    python_client.finish(python_client.start(
        "import sys\nfrom holdfast.compat.changedetection import FileSavingDataStore as S\n"
        "s = S(sys.argv[1]); s.load(); assert list(s.data['watching']) == ['a'], s.data", folder))


def test_a_mark_during_a_save_is_saved_by_the_next(folder, options):
    class Store(FileSavingDataStore):
        def _save_watch(self, uuid, watch_dict):
            super()._save_watch(uuid, watch_dict)
            if watch_dict["n"] == 0:
                self.data["watching"][uuid]["n"] = 1
                self.mark_watch_dirty(uuid)

    it = Store(folder)
    add(it, "a")
    it._save_dirty_items()
    assert on_disk(folder, "a")["n"] == 0 and it.needs_write
    it._save_dirty_items()
    assert on_disk(folder, "a")["n"] == 1 and not it.needs_write


def test_what_could_not_be_saved_is_tried_again_and_holds_up_no_other(folder, options):
    options(save=0.05)

    class Store(FileSavingDataStore):
        is_full = True

        def _save_watch(self, uuid, watch_dict):
            if uuid == "a" and self.is_full:
                raise OSError(errno.ENOSPC, "Disk full: Cannot save watch a")
            super()._save_watch(uuid, watch_dict)

    it = Store(folder)
    add(it, "a", "b")
    it.start_save_thread()
    wait_for(lambda: it._save_errors >= 2, "the second try")
    assert on_disk(folder, "b") and on_disk(folder, "a") is None
    with it._saving:  # between two cycles
        health = it.get_health_status()
    assert health["status"] == "WARNING" and health["dirty_watches"] == 1 and health["total_errors"] >= 2
    with pytest.raises(OSError):
        it.force_save_all()
    it.is_full = False
    wait_for(lambda: on_disk(folder, "a"), "the watch")
    stop(it)


def test_one_that_cannot_be_json_or_is_too_large(store, folder, options):
    add(store, "a", "b", "c", "d")
    store.data["watching"]["a"]["n"] = object()
    store.data["watching"]["b"]["text"] = "x" * (11 << 20)
    store.data["watching"]["c"]["n"] = float("nan")
    store._save_dirty_items()
    assert on_disk(folder, "a") is None and on_disk(folder, "b") is None
    assert on_disk(folder, "c")["n"] is None and on_disk(folder, "d")["n"] == 0
    assert store._dirty_watches == {"a", "b"}
    with pytest.raises(ValueError, match=r"unexpectedly large: 11.00MB \(max: 10MB\)"):
        store.save_watch("b")


def test_save_watch(store, folder):
    add(store, "a")
    assert store.save_watch("a") and not store.save_watch("a") and store.save_watch("a", force=True)
    assert not store.save_watch("none")
    assert on_disk(folder, "a")["n"] == 0
    store._save_dirty_items()
    assert store.get_health_status()["total_saves"] == 0  # it is what was saved


def test_force_save_all(store, folder):
    store.data["watching"]["a"] = {"n": 1}
    store.data["settings"]["application"] = {"c": 1}
    store.force_save_all()
    assert on_disk(folder, "a") == {"n": 1} and settings_on_disk(folder) == {"application": {"c": 1}}


def test_two_objects_share_no_marks(folder, tmp_path, options):
    one, other = FileSavingDataStore(folder), FileSavingDataStore(str(tmp_path / "other"))
    one.mark_watch_dirty("a")
    assert other._dirty_watches == set() and not other.needs_write


def test_options_of_the_environment(folder):
    output = python_client.finish(python_client.start(
        "from holdfast.compat.changedetection import *\n"
        "print(FORCE_FSYNC_DATA_IS_CRITICAL, DATASTORE_SCAN_DIRTY_SAVE_INTERVAL_SECONDS,"
        " DATASTORE_AUDIT_INTERVAL_SECONDS, DATASTORE_AUDIT_SHARDS)\n"
        "import sys; s = FileSavingDataStore(sys.argv[1]); s.data['watching']['a'] = {}; s.force_save_all()\n"
        "assert s._tree()._url().endswith('durable=file')", folder, FORCE_FSYNC_DATA_IS_CRITICAL="True",
        DATASTORE_SCAN_DIRTY_SAVE_INTERVAL_SECONDS=3, DATASTORE_AUDIT_INTERVAL_SECONDS=4, DATASTORE_AUDIT_SHARDS=6))
    assert output == "True 3 4 6\n" and on_disk(folder, "a") == {}


# ---- deleting ----

def test_a_deleted_watch_stays_deleted(store, folder):
    add(store, "a", "b")
    store._save_dirty_items()
    with open(os.path.join(folder, "a", "history.txt"), "w", encoding="utf-8") as file:
        file.write("x")
    store.data["watching"]["a"]["n"] = 2
    store.mark_watch_dirty("a")
    store._delete_watch("a")  # before it goes from memory, and marked
    store._save_dirty_items()
    del store.data["watching"]["a"]
    assert not os.path.exists(os.path.join(folder, "a"))
    assert list(again(store).data["watching"]) == ["b"]


def test_no_folder_outside_is_deleted(folder, tmp_path, options):
    (tmp_path / "precious").mkdir()
    it = FileSavingDataStore(folder)
    for name in ("../precious", "", ".", "..", str(tmp_path / "precious")):
        with pytest.raises(ValueError):
            it._delete_watch(name)
    assert (tmp_path / "precious").exists()


# ---- the audit ----

def test_the_audit_finds_what_was_not_marked(store, folder):
    """Once in as many audits as there are shards, also when watches come meanwhile."""
    uuids = [f"{number:032x}" for number in range(30)]
    add(store, *uuids)
    store._save_dirty_items()
    for uuid in uuids:
        store.data["watching"][uuid]["n"] = 7
    store.data["settings"]["application"] = {"tags": 1}
    for step in range(5):
        store._audit_all_watches()
        add(store, f"new{step}")
    assert set(uuids) <= store._dirty_watches
    store._save_dirty_items()
    assert all(on_disk(folder, uuid)["n"] == 7 for uuid in uuids)
    assert settings_on_disk(folder)["application"] == {"tags": 1}
    found = store._audit_found_changes
    for _ in range(5):
        store._audit_all_watches()
    assert store._audit_found_changes == found == 31


def test_the_thread_audits(store, folder, options):
    options(save=0.05, audit=0.05, shards=2)
    add(store, "a")
    store._save_dirty_items()
    store.start_save_thread()
    store.data["watching"]["a"]["n"] = 9
    wait_for(lambda: on_disk(folder, "a")["n"] == 9, "the change")


# ---- a datastore that is there ----

ORIGINAL = {"uuid": "u1", "url": "https://example.org/ü", "time_between_check": {"hours": 3},
            "time_schedule_limit": {"enabled": True}, "unknown": [1, 2.5, None]}


@pytest.fixture
def datastore(folder):
    """As the original lays it out."""
    def write(name, content):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False))
    write("u1/watch.json", ORIGINAL)
    write("u1/history.txt", "1,a.txt\n")
    write("u2/watch.json", '{"uuid": "u2", "url": ')
    write("u3/watch.json", "")
    write("changedetection.json", {"note": "n", "app_guid": "g", "settings": {"application": {"k": "v"}}})
    write("secret.txt", "s")
    return folder


@pytest.mark.parametrize("kind", [FileSavingDataStore, TheirStore])
def test_a_datastore_of_the_original_opens(datastore, options, kind, caplog):
    caplog.set_level(logging.WARNING)
    it = kind(datastore)
    if kind is FileSavingDataStore:
        it.load()
    assert it.data["watching"] == {"u1": ORIGINAL}  # with the times that the original throws away
    assert it.data["settings"] == {"application": {"k": "v"}}
    before = open(os.path.join(datastore, "u1", "watch.json"), "rb").read()
    it.start_save_thread()
    health = it.get_health_status()
    assert (health["status"], health["message"]) == ("WARNING", "2 watches are damaged")
    assert sum("CORRUPTED" in record.getMessage() for record in caplog.records) >= 2
    it.data["watching"]["u1"]["url"] = "new"
    it.mark_watch_dirty("u1")
    stop(it)
    expected = json.dumps({**ORIGINAL, "url": "new"}, indent=2, ensure_ascii=False).encode()
    assert open(os.path.join(datastore, "u1", "watch.json"), "rb").read() == expected != before
    assert open(os.path.join(datastore, "u2", "watch.json")).read() == '{"uuid": "u2", "url": '
    assert open(os.path.join(datastore, "u1", "history.txt")).read() == "1,a.txt\n"
    assert open(os.path.join(datastore, "secret.txt")).read() == "s"


def test_a_file_that_is_damaged_later_is_put_back(store, folder):
    add(store, "a", "b")
    store._save_dirty_items()
    trees.tree_of(folder).close()
    with open(os.path.join(folder, "a", "watch.json"), "w", encoding="utf-8"):
        pass
    found = again(store)
    assert set(found.data["watching"]) == {"a", "b"} and on_disk(folder, "a")["n"] == 0
    assert found._damaged_count() == 0


def test_a_watch_that_the_program_cannot_make_is_left_out(folder, options, caplog):
    class Store(FileSavingDataStore):
        def rehydrate_entity(self, uuid, entity, processor_override=None):
            if uuid == "a":
                raise KeyError("processor")
            return super().rehydrate_entity(uuid, entity, processor_override)

    first = FileSavingDataStore(folder)
    add(first, "a", "b")
    first._save_dirty_items()
    it = Store(folder)
    it.load()
    assert list(it.data["watching"]) == ["b"] and on_disk(folder, "a")


def test_another_process_is_refused(store, folder):
    add(store, "a")
    store._save_dirty_items()
    output = python_client.finish(python_client.start("""
import sys
from holdfast import errors
from holdfast.compat import _changedetection_tree, changedetection
_changedetection_tree._OPEN_TIMEOUT_S = 0
try:
    changedetection.FileSavingDataStore(sys.argv[1]).load()
except errors.Unavailable as error:
    print(error.code, error)
""", folder))
    assert output.startswith("store_locked ") and f"{os.getpid()}" in output


WRITER = """
import sys, threading
from holdfast.compat import changedetection
changedetection.DATASTORE_SCAN_DIRTY_SAVE_INTERVAL_SECONDS = 0.01
store = changedetection.FileSavingDataStore(sys.argv[1])
store.load()
store.start_save_thread()
number = 0
while True:
    number += 1
    for watch in range(20):
        store.data["watching"][f"w{watch}"] = {"n": number, "text": "x" * 20000}
        store.mark_watch_dirty(f"w{watch}")
    store.force_save_all()
    print(number, flush=True)
"""


def test_kill_9_in_the_middle_of_saves(folder, options):
    """Every file is whole, nothing that was saved is lost, and nothing is left beside the files."""
    for _ in range(3):
        process = python_client.start(WRITER, folder)
        for _ in range(5):
            saved = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        rest = process.communicate()[0].split()
        saved = int(rest[-1]) if rest else saved
        for watch in range(20):
            content = on_disk(folder, f"w{watch}")
            assert content and len(content["text"]) == 20000
        it = FileSavingDataStore(folder)
        it.load()
        numbers = {watch["n"] for watch in it.data["watching"].values()}
        assert len(it.data["watching"]) == 20 and min(numbers) >= saved and it._damaged_count() == 0
        assert all(os.listdir(os.path.join(folder, f"w{watch}")) == ["watch.json"] for watch in range(20))
        trees.tree_of(folder).close()


# ---- the functions beside the class ----

def test_functions_without_an_open_datastore(tmp_path):
    path = tmp_path / "new" / "x.json"
    save_json_atomic(path, {"ü": 1, "nan": float("inf")}, label="x")
    assert path.read_text() == '{\n  "ü": 1,\n  "nan": null\n}'
    with pytest.raises(ValueError, match="X data is unexpectedly large"):
        save_json_atomic(path, {"a": "x" * (1 << 20)}, label="x", max_size_mb=1)
    assert [entry.name for entry in path.parent.iterdir()] == ["x.json"]
    save_watch_atomic(tmp_path / "u", "u", {"n": 1})
    watch, data = load_watch_from_file(tmp_path / "u" / "watch.json", "u", lambda uuid, entity: (uuid, entity))
    assert watch == ("u", {"n": 1}) and data == {"n": 1}
    for content in ("", "[]", "{", "{\"a\": 1"):
        (tmp_path / "u" / "watch.json").write_text(content)
        assert load_watch_from_file(tmp_path / "u" / "watch.json", "u", lambda uuid, entity: entity) == (None, None)
    assert load_watch_from_file(tmp_path / "none.json", "u", lambda uuid, entity: entity) == (None, None)
    assert load_all_watches(str(tmp_path / "none"), None, None) == ({}, {})


@pytest.mark.parametrize("code, number, text", [("no_space", errno.ENOSPC, "Disk full: Cannot save watch a"),
                                                ("quota", errno.EDQUOT, "Disk quota exceeded: Cannot save watch a")])
def test_the_originals_words_for_a_full_disk(folder, options, monkeypatch, code, number, text):
    it = FileSavingDataStore(folder)
    add(it, "a")

    def refuse(self, kind, documents):
        raise errors.error_of(code, "write: it is full")
    monkeypatch.setattr(trees.Tree, "put", refuse)
    with pytest.raises(OSError, match=text) as caught:
        it.save_watch("a")
    assert caught.value.errno == number


def test_a_child_after_fork_is_refused_and_the_parent_goes_on(store, folder):
    add(store, "a")
    store._save_dirty_items()
    pid = os.fork()
    if pid == 0:
        try:
            trees._OPEN_TIMEOUT_S = 0
            store.data["watching"]["a"]["n"] = 5
            store.save_watch("a")
            os._exit(1)
        except OSError:
            os._exit(0)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    store.data["watching"]["a"]["n"] = 6
    assert store.save_watch("a") and on_disk(folder, "a")["n"] == 6
