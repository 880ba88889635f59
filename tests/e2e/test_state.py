"""holdfast state: each verb with a daemon and without one, the files that may be handed to it, and what it refuses."""
import base64
import contextlib
import json
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from conftest import BINARY, PATIENCE_S, Holdfast, http

SPACED = b' {"cursor": 1.50,\n  "seen": ["\\u00e9", 9007199254740993]}\n\n'
BINARY_VALUE = bytes(range(256)) * 3
VOLATILE = ("at", "pid", "start_ticks", "boot_id", "taken_at", "renewed_boot_ms", "started_at", "ended_at",
            "duration_ms", "host", "pidfd_inode", "trash")


@pytest.fixture(params=["down", "up"])
def store(request, tmp_path):
    """The same with the daemon down and up."""
    it = Holdfast(tmp_path / "data")
    if request.param == "up":
        it.serve()
    yield it
    it.close()


@pytest.fixture
def sleeper():
    """A process that lives as long as the test, to own leases."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def put(holdfast, name, value, *words, **options):
    return holdfast.json("state", "set", name, "-", *words, input=value, **options)


def get(holdfast, name, *words):
    return holdfast.run("state", "get", name, *words).stdout


def refused(holdfast, status, *words, **options):
    result = holdfast.run(*words, check=False, **options)
    assert result.returncode == status, (words, result.returncode, result.stdout, result.stderr)
    assert result.stdout == b"" and result.stderr.startswith(b"holdfast: ")
    return result.stderr.decode()


def steady(document):
    """Without what differs from one time to the next."""
    if isinstance(document, dict):
        return {key: steady(value) for key, value in document.items() if key not in VOLATILE}
    return [steady(item) for item in document] if isinstance(document, list) else document


# ---- bytes ----

@pytest.mark.parametrize("value", [SPACED, b"{}", b"null", b"\n1\n", b'"a"', BINARY_VALUE, b"plain text", b"\xff", b"{",
                                   b"[" * 120 + b"]" * 120, b"[" * 5000 + b"]" * 5000, pickle.dumps({"a": 1}, 0),
                                   pickle.dumps([1, "x"], 5)],
                         ids=lambda value: repr(value[:12]))
def test_bytes_come_back_as_they_were(store, value):
    saved = put(store, "feed", value)
    assert saved["version"] == 1 and saved["changed"] is True and saved["bytes"] == len(value)
    assert get(store, "feed") == value
    shown = store.json("state", "get", "feed")
    if shown["form"] == "json":
        assert shown["value"] == json.loads(value)
    else:
        assert base64.b64decode(shown["base64"]) == value
    again = put(store, "feed", value)
    assert again["version"] == 1 and again["changed"] is False


def test_an_empty_state_may_be_the_first(store):
    assert put(store, "feed", b"")["bytes"] == 0
    assert get(store, "feed") == b""


def test_a_large_state(store, tmp_path):
    value = os.urandom(1 << 20) * 64
    path = tmp_path / "large"
    path.write_bytes(value)
    assert store.json("state", "set", "large", path)["bytes"] == 64 << 20
    assert get(store, "large") == value
    path.write_bytes(value + b"x")
    refused(store, 65, "state", "set", "large", path)
    assert store.json("state", "show", "large")["version"] == 1


# ---- each verb ----

def make_history(holdfast):
    put(holdfast, "feed", b'{"n": 1, "keep": true}', "--note", "first", "--code-version", "v1")
    put(holdfast, "feed", b'{"n": 2, "keep": true}')
    holdfast.run("state", "merge", "feed", "--patch", '{"n": 3, "more": {"a": null, "b": [1]}, "keep": null}')


def test_set_merge_show_log_and_diff(store):
    make_history(store)
    assert json.loads(get(store, "feed")) == {"n": 3, "more": {"b": [1]}}
    assert json.loads(get(store, "feed", "--version", 1)) == {"n": 1, "keep": True}
    shown = store.json("state", "show", "feed")
    assert shown["version"] == 3 and shown["form"] == "json" and shown["lease"] is None and shown["versions_kept"] == 3
    log = store.json("state", "log", "feed")
    assert [row["version"] for row in log] == [3, 2, 1]
    assert log[2]["note"] == "first" and log[2]["code_version"] == "v1" and "value" not in log[2]
    assert [row["version"] for row in store.json("state", "log", "feed", "-n", 2)] == [3, 2]
    changes = store.json("state", "diff", "feed", "--from", 1, "--to", 3)["changes"]
    assert {(change["what"], change["path"]) for change in changes} == {("changed", "/n"), ("removed", "/keep"), ("added", "/more")}
    table = store.run("state", "diff", "feed").stdout.decode()
    assert table.startswith("WHAT") and "/keep" in table
    assert [row["name"] for row in store.json("state", "list")] == ["feed"]
    assert store.run("state", "list").stdout.startswith(b"NAME")


def test_a_patch_in_a_file(store, tmp_path):
    path = tmp_path / "patch.json"
    path.write_text('{"n": 7}')
    store.run("state", "merge", "feed", path)
    assert json.loads(get(store, "feed")) == {"n": 7}
    put(store, "raw", BINARY_VALUE)
    refused(store, 65, "state", "merge", "raw", path)
    path.write_text('{"n": ')
    refused(store, 65, "state", "merge", "feed", path)
    assert json.loads(get(store, "feed")) == {"n": 7}


def test_rollback_to_a_version_and_to_a_time(store):
    put(store, "feed", b'{"n":1}')
    time.sleep(0.05)
    before = store.json("state", "show", "feed")["at"]
    put(store, "feed", b'{"n":2}')
    put(store, "feed", b'{"n":3}')
    rehearsed = store.json("state", "rollback", "feed", "--to", 1, "-n")
    assert [change["path"] for change in rehearsed["changes"]] == ["/n"]
    assert store.json("state", "show", "feed")["version"] == 3
    back = store.json("state", "rollback", "feed", "--to", 1)
    assert back["version"] == 4 and get(store, "feed") == b'{"n":1}'
    second = store.json("state", "log", "feed")[2]["at"]
    assert before < second
    put(store, "feed", b'{"n":9}')
    assert store.json("state", "rollback", "feed", "--before", second)["version"] == 6
    assert get(store, "feed") == b'{"n":1}'
    refused(store, 66, "state", "rollback", "feed", "--to", 99)
    refused(store, 66, "state", "rollback", "feed", "--before", "1d")
    refused(store, 64, "state", "rollback", "feed", "--before", "yesterday")
    refused(store, 64, "state", "rollback", "feed")


def test_copy_move_clear_and_keep(store):
    make_history(store)
    assert store.json("state", "copy", "feed", "other", "--history")["name"] == "other"
    assert store.json("state", "show", "other")["versions_kept"] == 3
    refused(store, 73, "state", "copy", "feed", "other")
    store.run("state", "move", "other", "third")
    refused(store, 66, "state", "get", "other")
    assert get(store, "third") == get(store, "feed")
    store.run("state", "keep", "third", "--versions", 1)
    assert [row["version"] for row in store.json("state", "log", "third")] == [3]
    assert store.json("state", "clear", "third", "-n")["name"] == "third"
    assert get(store, "third") == get(store, "feed")
    store.run("state", "clear", "third")
    refused(store, 66, "state", "get", "third")
    trash = store.json("store", "list", "state_trash")
    assert len(trash) == 1 and trash[0]["id"].startswith("third@")
    back = store.run("store", "get", "state_trash", trash[0]["id"]).stdout
    store.run("state", "import", "third", "-", input=back)
    assert json.loads(get(store, "third")) == json.loads(get(store, "feed"))
    store.run("state", "clear", "third", "--purge")
    assert len(store.json("store", "list", "state_trash")) == 1


def test_commit_takes_state_and_records_together(store, tmp_path):
    lines = tmp_path / "new.jsonl"
    lines.write_text('{"kind":"page","id":"a","doc":{"n":1}}\n{"kind":"page","id":"b","doc":2}\n')
    made = store.json("state", "commit", "feed", "-", "--with-records", lines, input=b'{"cursor":2}')
    assert made["version"] == 1 and made["records"] == 2
    assert store.json("store", "get", "page", "a") == {"n": 1}
    lines.write_text('{"kind":"page","id":"a","delete":true}\n{"kind":"page","id":"c","doc":3}\n')
    refused(store, 75, "state", "commit", "feed", "-", "--with-records", lines, "--if-version", 7, input=b'{"cursor":3}')
    assert store.json("store", "get", "page", "a") == {"n": 1}
    refused(store, 66, "store", "get", "page", "c")
    store.run("state", "commit", "feed", "--with-records", lines)
    assert json.loads(get(store, "feed")) == {"cursor": 2}
    refused(store, 66, "store", "get", "page", "a")
    assert store.json("store", "get", "page", "c") == 3
    for line in ('{"kind":"state","id":"feed","doc":{}}', '{"kind":"token","id":"x","doc":{}}'):
        lines.write_text(line)
        refused(store, 77, "state", "commit", "feed", "--with-records", lines)
    lines.write_text('{"kind":"page","id":"d","doc":1}\n{"kind":\n')
    assert "line 2" in refused(store, 65, "state", "commit", "feed", "--with-records", lines)
    refused(store, 66, "store", "get", "page", "d")


def test_its_own_records_are_shown_and_not_written(store):
    make_history(store)
    assert store.json("store", "get", "state", "feed")["version"] == 3
    assert len(store.json("store", "list", "state_version")) == 3
    for kind in ("state", "state_version", "state_run", "state_trash"):
        refused(store, 77, "store", "put", kind, "feed", "-", input=b"{}")
        refused(store, 77, "-y", "store", "rm", kind, "feed")


# ---- formats ----

def test_export_and_import_bring_all_of_it_back(store, tmp_path):
    put(store, "feed", SPACED)
    put(store, "feed", BINARY_VALUE, "--force")
    path = tmp_path / "feed.json"
    store.run("state", "export", "feed", path)
    document = json.loads(path.read_bytes())
    assert document["holdfast_state"] == 1 and len(document["versions"]) == 2
    assert path.stat().st_mode & 0o777 == 0o600
    store.run("state", "import", "copy", path)
    assert get(store, "copy") == BINARY_VALUE and get(store, "copy", "--version", 1) == SPACED
    refused(store, 73, "state", "import", "copy", path)
    put(store, "copy", b"other", "--force")
    store.run("state", "import", "copy", path, "--replace")
    assert get(store, "copy") == BINARY_VALUE
    assert len(json.loads(store.run("state", "export", "feed", "--newest").stdout)["versions"]) == 1


def test_formats_of_other_programs(store, tmp_path):
    put(store, "tap", b'{"bookmarks": {"users": {"id": 7}}}')
    meltano = store.run("state", "export", "tap", "--format", "meltano").stdout
    assert json.loads(meltano) == {"singer_state": {"bookmarks": {"users": {"id": 7}}}}
    store.run("state", "import", "tap2", "-", input=b'{"completed": {}, "singer_state": {"bookmarks": {}}}')
    assert get(store, "tap2") == b'{"bookmarks": {}}'
    assert store.run("state", "export", "tap", "--format", "raw").stdout == get(store, "tap")
    value = pickle.dumps({"last": "2026-11-22"}, 2)
    store.run("state", "import", "n6", "-", input=value)
    assert get(store, "n6") == value
    path = tmp_path / "out.pickle"
    store.run("state", "export", "n6", path, "--format", "n6")
    assert path.read_bytes() == value
    refused(store, 65, "state", "export", "n6", "--format", "meltano")
    refused(store, 65, "state", "export", "tap", "--format", "n6")
    old = pickle.dumps({"last": 1}, 0)
    assert "--format raw" in refused(store, 65, "state", "import", "old", "-", input=old)
    store.run("state", "import", "old", "-", "--format", "n6", input=old)
    store.run("state", "import", "any", "-", "--format", "raw", input=b"anything")
    assert get(store, "old") == old and get(store, "any") == b"anything"
    refused(store, 73, "state", "import", "any", "-", "--format", "raw", input=b"more")
    store.run("state", "import", "any", "-", "--format", "raw", "--replace", input=b"more")
    assert get(store, "any") == b"more" and get(store, "any", "--version", 1) == b"anything"
    refused(store, 64, "state", "export", "tap", "--format", "csv")


# ---- files that are not what they should be ----

def spoil(value):
    """What crashes, disks and newer programs leave."""
    flipped = bytearray(value)
    flipped[len(value) // 2] ^= 0x80
    return {"cut short": value[:-3], "half": value[:len(value) // 2], "zeroed": bytes(len(value)),
            "bit-flipped": bytes(flipped), "0 bytes": b""}


@pytest.mark.parametrize("fault", ["cut short", "half", "zeroed", "bit-flipped", "0 bytes"])
def test_a_damaged_file_overwrites_nothing(store, fault):
    whole = b'{"cursor": "2026-11-22", "seen": [1, 2, 3]}'
    put(store, "feed", whole)
    text = refused(store, 65, "state", "set", "feed", "-", input=spoil(whole)[fault])
    assert "save '-' as the state 'feed'" in text and "nothing was saved" in text
    assert get(store, "feed") == whole and len(store.json("state", "log", "feed")) == 1
    put(store, "feed", spoil(whole)[fault], "--force")
    assert get(store, "feed") == spoil(whole)[fault] and store.json("state", "log", "feed")[0]["forced"] is True


@pytest.mark.parametrize("fault", ["cut short", "half", "zeroed", "0 bytes"])
def test_a_damaged_pickle_overwrites_nothing(store, fault):
    whole = pickle.dumps({"cursor": list(range(100))}, 4)
    put(store, "feed", whole)
    refused(store, 65, "state", "set", "feed", "-", input=spoil(whole)[fault])
    refused(store, 65, "state", "import", "feed", "-", "--replace", "--format", "n6", input=spoil(whole)[fault])
    assert get(store, "feed") == whole


def test_a_newer_version_overwrites_nothing(store):
    whole = pickle.dumps({"cursor": 1}, 4)
    put(store, "feed", whole)
    refused(store, 78, "state", "set", "feed", "-", input=b"\x80\x06" + whole[2:])
    document = json.loads(store.run("state", "export", "feed").stdout)
    document["holdfast_state"] = 2
    refused(store, 78, "state", "import", "feed", "-", "--replace", input=json.dumps(document).encode())
    refused(store, 78, "state", "import", "new", "-", input=json.dumps(document).encode())
    assert get(store, "feed") == whole
    refused(store, 66, "state", "get", "new")


@pytest.mark.parametrize("fault", ["cut short", "half", "zeroed", "bit-flipped", "0 bytes"])
def test_a_damaged_export_changes_nothing(store, fault):
    put(store, "feed", b'{"cursor": 1, "text": "%s"}' % (b"x" * 3000))
    whole = store.run("state", "export", "feed").stdout.rstrip()
    refused(store, 65, "state", "import", "new", "-", input=spoil(whole)[fault])
    refused(store, 65, "state", "import", "feed", "-", "--replace", input=spoil(whole)[fault])
    refused(store, 66, "state", "get", "new")
    assert len(store.json("state", "log", "feed")) == 1


def test_a_digest_that_does_not_fit_is_refused(store):
    put(store, "feed", b'{"cursor": 17}')
    document = json.loads(store.run("state", "export", "feed").stdout)
    document["versions"][0]["value"]["cursor"] = 18
    refused(store, 65, "state", "import", "new", "-", input=json.dumps(document).encode())
    refused(store, 66, "state", "get", "new")


def test_a_file_that_cannot_be_read(store, tmp_path):
    put(store, "feed", b"{}")
    assert "missing" in refused(store, 66, "state", "set", "feed", tmp_path / "missing")
    refused(store, 74, "state", "set", "feed", tmp_path)
    assert len(store.json("state", "log", "feed")) == 1


def test_a_file_that_one_may_not_read(tmp_path):
    """Root may read everything: it becomes somebody else."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    user = 65534 if os.geteuid() == 0 else None
    closed = folder / "closed"
    closed.write_text('{"n": 2}')
    closed.chmod(0)

    def run(*words, input=None):
        return subprocess.run([BINARY, "--data", str(folder / "data"), "state", *map(str, words)], input=input, user=user,
                              capture_output=True, timeout=PATIENCE_S)
    try:
        if user:
            os.chown(folder, user, user)
        try:
            assert run("set", "feed", "-", input=b'{"n": 1}').returncode == 0
        except PermissionError:
            pytest.skip("the program may not be run by another user")
        for words in (("set", "feed", closed), ("import", "feed", closed, "--replace", "--format", "raw")):
            refused = run(*words)
            assert refused.returncode == 77 and b"Permission denied" in refused.stderr, refused
        assert run("get", "feed").stdout == b'{"n": 1}'
    finally:
        shutil.rmtree(folder)


def damage(holdfast, kind, id):
    """Other bytes in a row, as a disk may give them; the daemon must be down."""
    with contextlib.closing(sqlite3.connect(holdfast.data / "store.db")) as base:
        base.execute("UPDATE record SET doc = replace(doc, 'cursor', 'cursoR') WHERE kind = ? AND id = ?", (kind, id))
        assert base.total_changes == 1
        base.commit()


@pytest.mark.parametrize("up", [False, True], ids=["down", "up"])
def test_a_damaged_newest_version_is_never_a_default(holdfast, up):
    for number in (1, 2, 3):
        put(holdfast, "feed", b'{"cursor": %d}' % number)
    damage(holdfast, "state_version", "feed@%016d" % 3)
    if up:
        holdfast.serve()
    for words in (("get", "feed"), ("set", "feed", "-"), ("merge", "feed", "--patch", "{}"),
                  ("begin", "feed", "--ttl", "1m"), ("edit", "feed"), ("copy", "feed", "other")):
        text = refused(holdfast, 65, "state", *words, input=b'{"cursor": 9}', env={"EDITOR": "true", "VISUAL": ""})
        assert "damaged" in text and "version 2" in text, (words, text)
    assert "rollback" in refused(holdfast, 65, "state", "get", "feed")
    log = holdfast.json("state", "log", "feed")
    assert [row["version"] for row in log] == [3, 2, 1] and log[0]["error"]
    holdfast.run("state", "rollback", "feed", "--to", 2)
    assert get(holdfast, "feed") == b'{"cursor": 2}'
    put(holdfast, "feed", b'{"cursor": 4}')


def test_a_run_ends_also_when_its_state_is_damaged(holdfast, sleeper):
    put(holdfast, "feed", b'{"cursor": 1}')
    fence = holdfast.json("state", "begin", "feed", "--pid", sleeper.pid)["fence"]
    put(holdfast, "feed", b'{"cursor": 2}', "--fence", fence)
    text = refused(holdfast, 65, "state", "end", "feed", "--fence", fence, "--file", "-", input=b'{"cur')
    assert "the run goes on" in text
    damage(holdfast, "state_version", "feed@%016d" % 2)
    holdfast.run("state", "end", "feed", "--fence", fence, "--outcome", "failed")
    assert holdfast.json("state", "runs", "feed")[0]["outcome"] == "failed"
    refused(holdfast, 65, "state", "get", "feed")


@pytest.mark.parametrize("up", [False, True], ids=["down", "up"])
def test_a_damaged_head_is_never_a_default(holdfast, up):
    put(holdfast, "feed", b'{"cursor": 1}', "--note", "cursor")
    put(holdfast, "feed", b'{"cursor": 2}', "--note", "cursor")
    damage(holdfast, "state", "feed")
    if up:
        holdfast.serve()
    for words in (("get", "feed"), ("set", "feed", "-"), ("show", "feed"), ("begin", "feed", "--ttl", "1m")):
        refused(holdfast, 65, "state", *words, input=b'{"cursor": 9}')
    assert holdfast.json("state", "list")[0]["error"]
    holdfast.run("state", "rollback", "feed", "--to", 2)
    assert get(holdfast, "feed") == b'{"cursor": 2}'


def test_a_full_disk_overwrites_nothing(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here: " + mounted.stderr.decode().strip())
    it = Holdfast(folder / "data")
    it.log_path = tmp_path / "daemon.log"
    try:
        for up in (False, True):
            if up:
                it.serve()
            put(it, "feed", b'{"n": 1}', "--force")
            text = refused(it, 74, "state", "set", "feed", "-", "--force", input=os.urandom(8 << 20))
            assert "disk is full" in text or "No space" in text, text
            assert get(it, "feed") == b'{"n": 1}'
            put(it, "feed", b'{"n": 2}')
            assert get(it, "feed") == b'{"n": 2}'
    finally:
        it.close()
        subprocess.run(["umount", folder], check=True)


# ---- who may save ----

def test_what_a_save_is_based_on(store):
    put(store, "feed", b'{"n":1}', "--new")
    refused(store, 75, "state", "set", "feed", "-", "--new", input=b'{"n":2}')
    put(store, "feed", b'{"n":2}', "--if-version", 1)
    refused(store, 75, "state", "set", "feed", "-", "--if-version", 1, input=b'{"n":3}')
    refused(store, 75, "state", "set", "feed", "-", "--fence", 9, input=b'{"n":3}')
    assert get(store, "feed") == b'{"n":2}'
    refused(store, 64, "state", "set", "feed")
    refused(store, 64, "state", "set", "feed", "-", "--value", "{}", input=b"{}")


def test_a_living_run_keeps_others_out(store, sleeper):
    put(store, "feed", b'{"n":1}')
    refused(store, 64, "state", "begin", "feed")
    begun = json.loads(store.run("-o", "json", "state", "begin", "feed", "--pid", sleeper.pid, "--reason", "test", "--",
                                 "collect", "--all").stdout)
    assert begun["value"] == {"n": 1} and begun["run"] == f"feed@{begun['number']}"
    fence = begun["fence"]
    lease = store.json("state", "show", "feed")["lease"]
    assert lease["pid"] == sleeper.pid and lease["alive"] is True
    for words in (("set", "feed", "-"), ("merge", "feed", "-"), ("import", "feed", "-", "--replace", "--format", "raw")):
        assert str(sleeper.pid) in refused(store, 75, "state", *words, input=b'{"n":2}')
    refused(store, 75, "state", "rollback", "feed", "--to", 1)
    refused(store, 75, "state", "clear", "feed")
    refused(store, 75, "state", "clear", "feed", "-n")
    refused(store, 75, "state", "move", "feed", "other")
    refused(store, 75, "state", "begin", "feed", "--pid", os.getpid())
    assert put(store, "feed", b'{"n":2}', "--fence", fence)["run"] == begun["run"]
    environment = {"HOLDFAST_STATE": "feed", "HOLDFAST_FENCE": str(fence)}
    assert put(store, "feed", b'{"n":3}', env=environment)["fence"] == fence
    put(store, "elsewhere", b"1", env=environment)
    ended = store.json("state", "end", "feed", "--fence", fence, "--value", '{"n": 4}', "--outcome", "ok", "--records", 12)
    assert ended["version"] == 4 and ended["lease"] is None
    refused(store, 75, "state", "set", "feed", "-", "--fence", fence, input=b'{"n":5}')
    refused(store, 64, "state", "end", "feed")
    run = store.json("state", "runs", "feed")[0]
    assert run["outcome"] == "ok" and run["records"] == 12 and run["command"] == ["collect", "--all"] and run["saves"] == 3
    put(store, "feed", b'{"n":5}')


def test_a_dead_owner_keeps_nobody_out(store):
    process = subprocess.Popen(["sleep", "600"])
    fence = store.json("state", "begin", "feed", "--pid", process.pid)["fence"]
    process.kill()
    process.wait()
    again = store.json("state", "begin", "feed", "--pid", os.getpid())
    assert again["fence"] > fence
    refused(store, 75, "state", "set", "feed", "-", "--fence", fence, input=b"1")
    assert [run["outcome"] for run in store.json("state", "runs", "feed")] == ["running", "lost"]
    refused(store, 75, "state", "end", "feed", "--fence", fence)


def test_a_lease_with_a_ttl_runs_out(store):
    fence = store.json("state", "begin", "feed", "--ttl", "200ms", "--pid", os.getpid())["fence"]
    store.run("state", "renew", "feed", "--fence", fence)
    time.sleep(0.3)
    assert store.json("state", "begin", "feed", "--ttl", "1h")["fence"] > fence
    lease = store.json("state", "show", "feed")["lease"]
    assert lease["alive"] is True and lease["pid"] == 0
    refused(store, 75, "state", "begin", "feed", "--ttl", "1h")
    refused(store, 75, "state", "renew", "feed", "--fence", fence)


def test_another_process_must_be_there_and_ours(store):
    refused(store, 64, "state", "begin", "feed", "--pid", 0)
    refused(store, 64, "state", "begin", "feed", "--pid", 4194304)
    if os.geteuid() == 0:
        foreign = subprocess.Popen(["sleep", "600"], user=65534)
        refused(store, 77, "state", "begin", "feed", "--pid", foreign.pid)
        foreign.kill()
        foreign.wait()
    assert store.json("state", "list") == []


# ---- edit ----

def editor(tmp_path, text):
    path = tmp_path / "editor"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return {"EDITOR": str(path), "VISUAL": "", "TMPDIR": str(tmp_path)}


def left_behind(tmp_path):
    return [path for path in tmp_path.iterdir() if path.name.startswith("holdfast-edit")]


def test_edit(store, tmp_path):
    put(store, "feed", b'{"n":1}')
    environment = editor(tmp_path, 'grep -q \'  "n": 1\' "$1" && sed -i s/1/2/ "$1"\n')
    store.run("state", "edit", "feed", "--note", "by hand", env=environment)
    assert json.loads(get(store, "feed")) == {"n": 2}
    assert store.json("state", "log", "feed")[0]["note"] == "by hand"
    assert b"nothing was changed" in store.run("state", "edit", "feed", env=editor(tmp_path, "true\n")).stderr
    refused(store, 75, "state", "edit", "feed", env=editor(tmp_path, "false\n"))
    assert left_behind(tmp_path) == []
    store.run("state", "edit", "new", env=editor(tmp_path, 'echo \'{"a": 1}\' > "$1"\n'))
    assert json.loads(get(store, "new")) == {"a": 1}
    put(store, "raw", BINARY_VALUE)
    refused(store, 65, "state", "edit", "raw", env=editor(tmp_path, "true\n"))


def test_what_was_edited_is_kept_when_it_cannot_be_saved(store, tmp_path):
    put(store, "feed", b'{"n":1}')
    meanwhile = f'{BINARY} --data {store.data} state set feed --value 5 >/dev/null && echo \'{{"n": 2}}\' > "$1"\n'
    text = refused(store, 75, "state", "edit", "feed", env=editor(tmp_path, meanwhile))
    [kept] = left_behind(tmp_path)
    assert str(kept) in text and kept.read_text() == '{"n": 2}\n'
    assert get(store, "feed") == b"5"
    kept.unlink()
    refused(store, 65, "state", "edit", "feed", env=editor(tmp_path, 'echo "{" > "$1"\n'))
    [kept] = left_behind(tmp_path)
    assert kept.read_text() == "{\n" and get(store, "feed") == b"5"


# ---- the same by every way ----

def script(holdfast, owner):
    """A whole life; what every step gave."""
    yield put(holdfast, "feed", SPACED, "--note", "first")
    yield holdfast.json("state", "merge", "feed", "--patch", '{"cursor": 2}')
    yield holdfast.json("state", "show", "feed")
    yield holdfast.json("state", "begin", "feed", "--pid", owner, "--reason", "test")
    yield holdfast.json("state", "runs", "feed")
    yield put(holdfast, "feed", b'{"cursor": 3}', "--fence", 1)
    yield holdfast.json("state", "end", "feed", "--fence", 1, "--outcome", "failed", "--exit-code", 3)
    yield holdfast.json("state", "runs", "feed")
    yield holdfast.json("state", "log", "feed")
    yield holdfast.json("state", "diff", "feed")
    yield holdfast.json("state", "rollback", "feed", "--to", 1)
    yield holdfast.json("state", "get", "feed")
    yield holdfast.json("state", "get", "feed", "--version", 2)
    yield holdfast.json("state", "copy", "feed", "copy")
    yield holdfast.json("state", "list")
    yield holdfast.json("state", "keep", "feed", "--versions", 2, "--max-age", "1h")
    yield json.loads(holdfast.run("state", "export", "feed").stdout)
    yield holdfast.json("state", "move", "feed", "moved")
    yield holdfast.json("state", "clear", "moved")


def test_the_documents_are_the_same_with_and_without_a_daemon(tmp_path, sleeper):
    down, up = Holdfast(tmp_path / "down" / "data"), Holdfast(tmp_path / "up" / "data")
    (tmp_path / "up").mkdir()
    up.serve()
    for mine, other in zip(script(down, sleeper.pid), script(up, sleeper.pid), strict=True):
        assert steady(mine) == steady(other)
    up.close()


def test_http_gives_what_the_command_gives(running, sleeper):
    make_history(running)
    running.json("state", "begin", "feed", "--pid", sleeper.pid)
    token = running.token("read")
    for words, path in ((("list",), ""), (("show", "feed"), "/feed"), (("get", "feed"), "/feed/value"),
                        (("get", "feed", "--version", 1), "/feed/value?version=1"), (("log", "feed"), "/feed/log"),
                        (("log", "feed", "-n", 1), "/feed/log?n=1"), (("runs", "feed"), "/feed/runs"),
                        (("diff", "feed", "--from", 1, "--to", 3), "/feed/diff?from=1&to=3")):
        by_tcp = http(running.address, "GET", "/api/v1/states" + path, token=token).json()
        by_socket = running.curl("http://localhost/api/v1/states" + path).json()
        assert by_tcp == by_socket == running.json("state", *words), words
    exported = running.curl("http://localhost/api/v1/states/feed/export").body
    assert running.run("state", "export", "feed").stdout == exported + b"\n"


def test_a_store_that_is_held_is_waited_for(holdfast, tmp_path):
    put(holdfast, "feed", b"1")
    holdfast.serve("--socket", str(tmp_path / "elsewhere.sock"))
    words = [BINARY, "--data", str(holdfast.data)]
    saving = subprocess.Popen([*words, "state", "set", "feed", "--value", "2"], stdout=subprocess.DEVNULL)
    listing = subprocess.run([*words, "store", "put", "page", "a", "-"], input=b"1", capture_output=True)
    assert listing.returncode == 75 and b"stop process" in listing.stderr, listing.stderr
    assert saving.poll() is None
    holdfast.stop()
    assert saving.wait(timeout=PATIENCE_S) == 0 and get(holdfast, "feed") == b"2"


def test_a_large_state_goes_with_its_store(holdfast, tmp_path):
    value = os.urandom(12 << 20)
    (tmp_path / "copy").mkdir()
    put(holdfast, "feed", value)
    holdfast.run("store", "copy", f"sqlite:{holdfast.data}/store.db", f"sqlite:{tmp_path}/copy/store.db")
    copy = Holdfast(tmp_path / "copy")
    assert get(copy, "feed") == value
    assert copy.json("store", "check")["clean"] is True


def test_many_at_once_without_a_daemon_wait_for_each_other(holdfast):
    put(holdfast, "count", b"0")
    code = ("import subprocess, sys\n"
            "for _ in range(5): subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n")
    workers = [subprocess.Popen([sys.executable, "-c", code, BINARY, "--data", str(holdfast.data), "state", "set",
                                 f"worker{number}", "--value", "1", "--force"]) for number in range(8)]
    assert [worker.wait(timeout=PATIENCE_S) for worker in workers] == [0] * 8
    assert len(holdfast.json("state", "list")) == 9
