"""Moving: export, import and copy between stores of all kinds; what breaks off goes on, what fails says what was done."""
import json
import os
import pty
import signal
import subprocess
import time

import pytest

from conftest import BINARY, PATIENCE_S, Holdfast, wait_for

HOSTILE = ["a b", "\u00e9", "e\u0301", "\U0001f600", "'quoted\"", "%2e%2e", "...", "-rf", "a\\b", "CON", "x" * 255, "$(id)", "<b>"]
WAYS = ["itself", "daemon", "sqlite", "tree"]


def line_of(kind, id, document, **members):
    return json.dumps({"kind": kind, "id": id, "doc": document, **members}, ensure_ascii=False)


def many(count, filling=40):
    return "".join(line_of("page" if n % 3 else "note", f"{n:06}", {"n": n, "filling": "x" * filling}) + "\n" for n in range(count))


def export(holdfast, *words):
    return holdfast.run("store", "export", *words).stdout


def stderr_of(result):
    return result.stderr.decode()


@pytest.fixture(params=WAYS)
def way(request, holdfast, tmp_path):
    """(the command, words that choose the store)"""
    if request.param == "daemon":
        holdfast.serve()
    words = {"sqlite": ["--url", f"sqlite:{tmp_path}/other.db"], "tree": ["--url", f"tree:{tmp_path}/other?layout=watch"]}
    return holdfast, words.get(request.param, [])


@pytest.fixture
def exported(tmp_path):
    """An export with documents and ids that are hard to carry, of a store that is gone."""
    old = Holdfast(tmp_path / "old")
    old.run("store", "import", "-", input=many(50).encode())
    for number, identity in enumerate(HOSTILE):
        old.run("store", "import", "-", input=line_of("odd", identity, {"b": 1.0, "a": [number, 9007199254740993]}).encode())
    old.run("store", "put", "odd", "spread", "-", input=b'{\n "z" : 1.50,\r\n "a" : "\\u00e9\\ud83d\\ude00" }')
    path = tmp_path / "old.jsonl"
    old.run("store", "export", path)
    return path


# --- export and import ------------------------------------------------------------------------------------------------

def test_an_export_taken_in_elsewhere_exports_the_same_bytes(way, exported):
    holdfast, words = way
    result = holdfast.json("store", "import", exported, *words)
    assert result == {"records": 64, "written": 64, "same": 0}
    assert export(holdfast, *words) == exported.read_bytes()
    assert holdfast.json("store", "import", exported, *words) == {"records": 64, "written": 0, "same": 64}
    assert holdfast.run("store", "check", *words).returncode == 0


def test_an_export_has_a_record_on_each_line(exported):
    rows = [json.loads(line) for line in exported.read_bytes().splitlines()]
    assert all(list(row) == ["kind", "id", "created_at", "updated_at", "who", "hash", "doc"] for row in rows)
    assert [(row["kind"], row["id"].encode()) for row in rows] == sorted((row["kind"], row["id"].encode()) for row in rows)
    assert b'"doc":{"z":1.50,"a":"\\u00e9\\ud83d\\ude00"}}\n' in exported.read_bytes()
    assert exported.stat().st_mode & 0o777 == 0o600


def test_what_list_prints_can_be_taken_in(holdfast, tmp_path):
    holdfast.run("store", "import", "-", input=many(10).encode())
    listed = holdfast.run("store", "list", "page", "-o", "jsonl").stdout
    url = f"sqlite:{tmp_path}/other.db"
    holdfast.run("store", "import", "-", "--url", url, input=listed)
    assert export(holdfast, "page") == export(holdfast, "--url", url)


GOOD = line_of("page", "a", 1)
BAD_LINES = {
    "cut": ('{"kind":"page","id":', 65, "column"),
    "not_json": ("a letter", 65, "column"),
    "no_object": ("[1]", 65, "object"),
    "no_doc": ('{"kind":"page","id":"b"}', 65, "'doc' is missing"),
    "no_kind": ('{"id":"b","doc":1}', 65, "'kind' is missing"),
    "unknown": (line_of("page", "b", 1, colour="red"), 65, "'colour' is not known"),
    "bad_kind": (line_of("Page", "b", 1), 64, "Page"),
    "bad_id": (line_of("page", "a/b", 1), 64, "a/b"),
    "bad_hash": (line_of("page", "b", 1, hash="0" * 32), 65, "hash"),
    "short_hash": (line_of("page", "b", 1, hash="0"), 65, "hash"),
    "bad_time": (line_of("page", "b", 1, created_at="yesterday"), 65, "created_at"),
    "damaged": (line_of("page", "b", None, damaged=True, problem="torn"), 65, "damaged"),
    "secret": (line_of("token", "b", {}), 77, "token"),
    "two_values": (line_of("page", "b", 1) + " 2", 65, "column"),
    "doubled_member": ('{"kind":"page","id":"b","doc":1,"doc":2}', 65, "doc"),
    "not_utf8": ('{"kind":"page","id":"b","doc":"\udcff"}', 65, "column"),
    "too_large": (line_of("page", "b", "x" * (10 << 20)), 65, "10485760"),
    "too_deep": (line_of("page", "b", 0)[:-2] + "[" * 129 + "]" * 129 + "}", 65, "levels of nesting"),
}


@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_bad_line_of_a_file_is_named_and_nothing_is_taken(holdfast, tmp_path, bad):
    line, status, text = BAD_LINES[bad]
    holdfast.run("store", "put", "page", "first", "-", input=b"0")
    path = tmp_path / "bad.jsonl"
    path.write_bytes("\n".join([GOOD, line, line_of("page", "c", 3)]).encode(errors="surrogateescape"))
    result = holdfast.run("store", "import", path, check=False)
    assert result.returncode == status, stderr_of(result)
    assert "line 2" in stderr_of(result) and "nothing was taken" in stderr_of(result) and text in stderr_of(result)
    assert [row["id"] for row in holdfast.jsonl("store", "list")] == ["first"]


def test_what_stands_before_a_bad_line_of_a_pipe_is_taken_and_nothing_behind(way):
    holdfast, words = way
    lines = many(2100).encode() + b"not this\n" + line_of("page", "behind", 1).encode()
    result = holdfast.run("store", "import", "-", *words, input=lines, check=False)
    assert result.returncode == 65
    assert "lines 1 to 2100 were taken, nothing behind them" in stderr_of(result) and "line 2101" in stderr_of(result)
    assert len(export(holdfast, *words).splitlines()) == 2100


@pytest.mark.parametrize("order", ["sorted", "mixed"])
def test_a_key_that_comes_twice(holdfast, tmp_path, order):
    lines = many(1500).splitlines()
    lines.sort(key=lambda line: (json.loads(line)["kind"], json.loads(line)["id"]))
    if order == "mixed":
        lines = lines[700:] + lines[:700]
    path = tmp_path / "twice.jsonl"
    path.write_text("\n".join([*lines, lines[3 if order == "mixed" else -1]]))
    result = holdfast.run("store", "import", path, check=False)
    assert result.returncode == 65 and "line 1501" in stderr_of(result) and "comes twice" in stderr_of(result)
    assert holdfast.jsonl("store", "list") == []
    path.write_text("\n".join(lines) + "\n\n")
    assert holdfast.json("store", "import", path)["written"] == 1500


def test_another_document_under_the_key(way, tmp_path):
    holdfast, words = way
    holdfast.run("store", "import", "-", *words, input=many(1200).encode())
    before = export(holdfast, *words)
    path = tmp_path / "new.jsonl"
    path.write_text(many(1300, filling=41))
    result = holdfast.run("store", "import", path, *words, check=False)
    assert result.returncode == 75 and "nothing was taken" in stderr_of(result) and "--overwrite" in stderr_of(result)
    assert export(holdfast, *words) == before
    assert holdfast.json("-n", "store", "import", path, "--overwrite", *words) == {
        "records": 1300, "written": 1300, "same": 0, "dry_run": True}
    assert export(holdfast, *words) == before
    assert holdfast.json("store", "import", path, "--overwrite", *words)["written"] == 1300
    assert [json.loads(line)["doc"]["filling"] for line in export(holdfast, *words).splitlines()] == ["x" * 41] * 1300


def test_an_import_keeps_times_and_who(way):
    holdfast, words = way
    old = line_of("page", "old", 1, created_at="2001-02-03T04:05:06.789Z", updated_at="2002-02-03T04:05:06.789Z", who="somebody")
    new = line_of("page", "new", 1)
    holdfast.run("store", "import", "-", *words, input=f"{old}\n{new}\n".encode())
    rows = {row["id"]: row for row in holdfast.jsonl("store", "list", *words)}
    assert rows["old"]["created_at"] == "2001-02-03T04:05:06.789Z" and rows["old"]["updated_at"] == "2002-02-03T04:05:06.789Z"
    assert rows["old"]["who"] == "somebody"
    assert rows["new"]["created_at"] == rows["new"]["updated_at"] > "2020" and rows["new"]["who"].startswith("uid:")


def test_sources_move_where_no_daemon_holds_them(holdfast, code_file, tmp_path):
    holdfast.run("source", "add", "one", "--kind", "python", "--interval", "1h", "--code", code_file())
    path = tmp_path / "all.jsonl"
    holdfast.run("store", "export", path)
    other = Holdfast(tmp_path / "other")
    other.run("store", "import", path)
    assert other.source("one")["kind"] == "python"
    other.serve()
    refused = other.run("store", "import", path, "--overwrite", check=False)
    other.stop()
    assert refused.returncode == 77 and "line 1" in stderr_of(refused) and "nothing was taken" in stderr_of(refused)


@pytest.mark.parametrize("verb", ["import", "export"])
def test_files_that_are_not_there(holdfast, tmp_path, verb):
    holdfast.run("store", "put", "page", "home", "-", input=b"1")
    result = holdfast.run("store", verb, tmp_path / "none" / "a.jsonl", check=False)
    assert result.returncode == 66 and "none/a.jsonl" in stderr_of(result)


def test_an_export_replaces_a_file_whole_and_nothing_else(holdfast, tmp_path):
    holdfast.run("store", "put", "page", "home", "-", input=b"1")
    path, link, folder = tmp_path / "out.jsonl", tmp_path / "link.jsonl", tmp_path / "folder.jsonl"
    path.write_text("old")
    link.symlink_to(path)
    folder.mkdir()
    for target in (link, folder, "/dev/null"):
        result = holdfast.run("store", "export", target, check=False)
        assert result.returncode == 77 and path.read_text() == "old"
    assert os.path.exists("/dev/null") and not os.path.isfile("/dev/null")
    holdfast.run("store", "export", "page", path)
    assert path.read_bytes() == export(holdfast)
    subprocess.run([BINARY, "--data", str(holdfast.data), "store", "export", "./page"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "page").read_bytes() == export(holdfast)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["data", "folder.jsonl", "link.jsonl", "out.jsonl", "page"]


def test_documents_at_the_limit_move_in_bounded_memory(holdfast, tmp_path):
    holdfast.serve()
    path, url = tmp_path / "large.jsonl", f"sqlite:{tmp_path}/other.db"
    path.write_text("".join(line_of("page", f"{n:03}", "x" * ((10 << 20) - 2)) + "\n" for n in range(12)))
    assert holdfast.json("store", "import", path)["written"] == 12
    assert len(export(holdfast)) > 120 << 20
    assert holdfast.json("store", "import", path, "--url", url)["written"] == 12


# --- what a person sees ----------------------------------------------------------------------------------------------

def on_a_terminal(holdfast, words, pauses_s):
    """The lines come with pauses; what is on the terminal in the end."""
    reader, terminal = pty.openpty()
    process = subprocess.Popen([BINARY, "--data", str(holdfast.data), *words], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                               stderr=terminal)
    os.close(terminal)
    for number, pause_s in enumerate(pauses_s):
        process.stdin.write(line_of("page", str(number), 1).encode() + b"\n")
        process.stdin.flush()
        time.sleep(pause_s)
    process.stdin.close()
    assert process.wait(timeout=PATIENCE_S) == 0
    seen = b""
    try:
        while chunk := os.read(reader, 65536):
            seen += chunk
    except OSError:  # how a terminal ends
        pass
    os.close(reader)
    return seen


def test_what_lasts_is_shown_on_a_terminal_and_taken_away_again(holdfast):
    words = ["store", "import", "-"]
    assert on_a_terminal(holdfast, words, [0, 0]) == b""
    seen = on_a_terminal(holdfast, words, [0, 1.5, 0])
    assert b"importing" in seen and seen.endswith(b"\r\x1b[K")
    assert on_a_terminal(holdfast, ["-q", *words], [0, 1.5, 0]) == b""


# --- copy -------------------------------------------------------------------------------------------------------------

def test_there_and_back_is_the_same(holdfast, exported, tmp_path):
    urls = [f"sqlite:{tmp_path}/0.db", f"tree:{tmp_path}/1?layout=watch", f"tree:{tmp_path}/2", f"sqlite:{tmp_path}/3.db"]
    holdfast.run("store", "import", exported, "--url", urls[0])
    for source, target in zip(urls, urls[1:]):
        result = holdfast.json("store", "copy", source, target)
        assert result == {"records": 64, "written": 64, "same": 0, "damaged": 0, "verified": 64}
        assert export(holdfast, "--url", target) == exported.read_bytes()
    assert holdfast.json("store", "copy", urls[3], urls[0]) == {"records": 64, "written": 0, "same": 64, "damaged": 0, "verified": 64}


def test_a_copy_takes_the_history_when_asked(holdfast, code_file, tmp_path):
    holdfast.run("source", "add", "one", "--kind", "python", "--interval", "1h", "--code", code_file("def fetch_data():\n    return 1\n"))
    holdfast.run("source", "edit", "one", "--code", code_file("def fetch_data():\n    return 2\n"))
    other = Holdfast(tmp_path / "other")
    other.data.mkdir()
    holdfast.run("store", "copy", f"sqlite:{holdfast.data}/store.db", f"sqlite:{other.data}/store.db", "--history")
    versions = other.json("source", "versions", "one", "--with-code")
    assert versions == holdfast.json("source", "versions", "one", "--with-code") and len(versions) == 2


def test_a_copy_that_meets_another_document(holdfast, tmp_path):
    old, new = f"sqlite:{tmp_path}/old.db", f"tree:{tmp_path}/new"
    holdfast.run("store", "import", "-", "--url", old, input=many(10).encode())
    holdfast.run("store", "put", "page", "000001", "-", "--url", new, input=b'"other"')
    refused = holdfast.run("store", "copy", old, new, check=False)
    assert refused.returncode == 75 and "page/000001" in stderr_of(refused)
    assert holdfast.run("store", "get", "page", "000001", "--url", new).stdout == b'"other"\n'
    rehearsed = holdfast.json("-n", "store", "copy", old, new)
    assert rehearsed["differing"] == 1 and rehearsed["records"] == 10 and rehearsed["dry_run"] is True
    assert holdfast.json("store", "copy", old, new, "--overwrite")["verified"] == 10
    assert export(holdfast, "--url", old) == export(holdfast, "--url", new)


def test_a_rehearsed_copy_makes_nothing(holdfast, tmp_path):
    holdfast.run("store", "import", "-", "--url", f"sqlite:{tmp_path}/old.db", input=many(10).encode())
    result = holdfast.json("-n", "store", "copy", f"sqlite:{tmp_path}/old.db", f"tree:{tmp_path}/new")
    assert result["written"] == 10 and not (tmp_path / "new").exists()


@pytest.mark.parametrize("words, status, text", [
    (["sqlite:{}/none.db", "memory:"], 66, "none.db"),
    (["nothing", "memory:"], 64, "tree:DIR"),
    (["memory:", "memory:"], 64, "another store"),
    (["memory:"], 64, "to is missing"),
    (["memory:", "tree:{}/t?layout=round"], 64, "round"),
    (["memory:", "memory:x", "--colour"], 64, "--colour"),
])
def test_what_copy_refuses(holdfast, tmp_path, words, status, text):
    result = holdfast.run("store", "copy", *[word.format(tmp_path) for word in words], check=False)
    assert result.returncode == status and text in stderr_of(result), stderr_of(result)


def test_damage_ends_a_copy_unless_it_is_gone_round(holdfast, tmp_path):
    folder = tmp_path / "old" / "page"
    folder.mkdir(parents=True)
    for number in range(20):
        (folder / f"{number:02}.json").write_text(json.dumps({"n": number}))
    (folder / "07.json").write_text('{"n": ')
    old, new = f"tree:{tmp_path}/old", f"sqlite:{tmp_path}/new.db"
    refused = holdfast.run("store", "copy", old, new, check=False)
    assert refused.returncode == 65 and "page/07" in stderr_of(refused)
    salvaged = holdfast.run("store", "copy", old, new, "--salvage", "-o", "json", check=False)
    assert salvaged.returncode == 1 and stderr_of(salvaged).count("page/07: ") == 1
    result = json.loads(salvaged.stdout)
    assert result["records"] == result["verified"] == 19 and result["damaged"] == 1
    assert not (tmp_path / "old" / ".holdfast").exists()


def test_a_copy_onto_itself_is_refused_however_it_is_spelled(holdfast, tmp_path):
    old = f"sqlite:{tmp_path}/old.db"
    holdfast.run("store", "import", "-", "--url", old, input=many(3).encode())
    holdfast.run("store", "copy", old, f"tree:{tmp_path}/tree")
    os.link(tmp_path / "old.db", tmp_path / "linked.db")
    os.symlink("tree", tmp_path / "link")
    pairs = [(old, f"sqlite:{tmp_path}/./old.db"), (f"sqlite:{tmp_path}/linked.db", old)]
    pairs += [(f"tree:{tmp_path}/tree", f"tree:{tmp_path}/{name}") for name in ("tree/", "tree/../tree?threads=1", "link/")]
    for words in pairs:
        refused = holdfast.run("store", "copy", *words, check=False)
        assert refused.returncode == 64 and "another store" in stderr_of(refused), (words, stderr_of(refused))


def test_a_store_cut_short_is_read_as_far_as_it_goes(holdfast, tmp_path):
    old = f"sqlite:{tmp_path}/old.db"
    holdfast.run("store", "import", "-", "--url", old, input=many(2000).encode())
    holdfast.run("store", "compact", "--url", old)
    os.truncate(tmp_path / "old.db", (tmp_path / "old.db").stat().st_size // 16384 * 8192)
    before = (tmp_path / "old.db").read_bytes()
    refused = holdfast.run("store", "put", "page", "new", "-", "--url", old, input=b"1", check=False)
    assert refused.returncode == 65 and "--salvage" in stderr_of(refused)
    salvaged = holdfast.run("store", "copy", old, f"sqlite:{tmp_path}/new.db", "--salvage", "-o", "json", check=False)
    result = json.loads(salvaged.stdout)
    assert salvaged.returncode == 1 and 500 < result["records"] == result["verified"] < 2000 and result["damaged"]
    assert "cut short" in stderr_of(salvaged) and "the store: bad_structure: " in stderr_of(salvaged)
    checked = holdfast.run("store", "check", "--url", old, check=False)
    assert checked.returncode == 1 and "file is cut short" in stderr_of(checked) + checked.stdout.decode()
    assert (tmp_path / "old.db").read_bytes() == before


def test_one_record_is_not_called_records(holdfast, tmp_path):
    old = f"sqlite:{tmp_path}/old.db"
    holdfast.run("store", "put", "page", "one", "-", "--url", old, input=b"1")
    assert stderr_of(holdfast.run("store", "list", "--url", old)).strip() == "holdfast: 1 record"
    assert "1 record exported" in stderr_of(holdfast.run("store", "export", "--url", old))


def test_a_copy_into_a_store_that_somebody_owns(running, tmp_path):
    running.run("store", "import", "-", "--url", f"sqlite:{tmp_path}/old.db", input=many(3).encode())
    result = running.run("store", "copy", f"sqlite:{tmp_path}/old.db", f"sqlite:{running.data}/store.db", check=False)
    assert result.returncode == 75 and str(running.process.pid) in stderr_of(result)
    assert running.json("store", "copy", f"sqlite:{running.data}/store.db", f"sqlite:{tmp_path}/saved.db")["damaged"] == 0


def kill_midway(words, has_begun, after_s):
    process = subprocess.Popen([BINARY, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: has_begun() or process.poll() is not None, "it to begin")
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=PATIENCE_S)


@pytest.mark.parametrize("target", ["sqlite:{}/new.db", "tree:{}/new"])
def test_what_was_broken_off_goes_on(holdfast, tmp_path, target):
    """At whatever moment: the second time ends it, and everything is there once."""
    path, old = tmp_path / "old.jsonl", f"sqlite:{tmp_path}/old.db"
    path.write_text(many(6000, filling=1500))
    whole = None
    for number, after_s in enumerate((0.0, 0.02, 0.1, 0.3)):
        kill_midway(["store", "import", path, "--url", old], (tmp_path / "old.db").exists, after_s)
        result = holdfast.json("store", "import", path, "--url", old)
        assert result["records"] == 6000
        whole = export(holdfast, "--url", old)
        assert len(whole.splitlines()) == 6000
        place = tmp_path / str(number)
        place.mkdir()
        kill_midway(["store", "copy", old, target.format(place)], lambda: any(place.iterdir()), after_s)
        result = holdfast.json("store", "copy", old, target.format(place))
        assert result["written"] + result["same"] == result["verified"] == 6000
        assert export(holdfast, "--url", target.format(place)) == whole
        assert holdfast.run("store", "check", "--url", target.format(place)).returncode == 0
        for name in tmp_path.glob("old.db*"):
            name.unlink()


# --- a disk that is full ----------------------------------------------------------------------------------------------

@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(place)], capture_output=True).returncode != 0:
        pytest.skip("this machine does not let us mount a tmpfs")
    yield place
    subprocess.run(["umount", "-l", str(place)])


def grow(place):
    subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)


@pytest.mark.parametrize("target", ["sqlite:{}/new.db", "tree:{}/new"])
def test_a_full_disk_is_said_and_it_goes_on_when_there_is_room(holdfast, tmp_path, small_disk, target):
    path, url = tmp_path / "old.jsonl", target.format(small_disk)
    path.write_text(many(6000, filling=1500))
    result = holdfast.run("store", "import", path, "--url", url, check=False)
    assert result.returncode == 74 and "taken" in stderr_of(result) and "full" in stderr_of(result).lower() or "space" in stderr_of(result).lower()
    copied = holdfast.run("store", "import", path, "--url", f"sqlite:{tmp_path}/old.db")
    assert copied.returncode == 0
    assert holdfast.run("store", "copy", f"sqlite:{tmp_path}/old.db", url, check=False).returncode == 74
    grow(small_disk)
    assert holdfast.json("store", "copy", f"sqlite:{tmp_path}/old.db", url)["verified"] == 6000
    assert holdfast.json("store", "import", path, "--url", url) == {"records": 6000, "written": 0, "same": 6000}
    assert holdfast.run("store", "check", "--url", url).returncode == 0


def test_an_export_to_a_full_disk_leaves_what_was_there(holdfast, small_disk):
    holdfast.run("store", "import", "-", input=many(6000, filling=1500).encode())
    path = small_disk / "out.jsonl"
    path.write_text("old")
    result = holdfast.run("store", "export", path, check=False)
    assert result.returncode == 74 and "out.jsonl" in stderr_of(result)
    assert path.read_text() == "old" and [entry.name for entry in small_disk.iterdir()] == ["out.jsonl"]
    grow(small_disk)
    holdfast.run("store", "export", path)
    assert path.read_bytes() == export(holdfast)
