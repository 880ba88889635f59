"""Every store verb on a store that a URL names: in this process, with the same results; reading makes nothing."""
import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from conftest import BINARY

KINDS_OF_STORE = ["sqlite:{}/a.db", "tree:{}/tree", "tree:{}/tree?layout=watch"]
HOSTILE = ["a b", "\u00e9", "e\u0301", "日本", "\U0001f600", "'quoted\"", "%2e%2e", "...", "-rf", "a\\b", "CON", "a.", "x" * 255, "$(id)", "*",
           "watch.json", "<b>", "a?b=c&d", "#", "~", "kind=1"]


@pytest.fixture(params=KINDS_OF_STORE)
def url(request, tmp_path):
    return request.param.format(tmp_path)


def names_below(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*"))


def put(holdfast, url, kind, id, document, *words):
    return holdfast.run("store", "put", kind, id, "-", "--url", url, *words, input=json.dumps(document).encode())


def stderr_of(result):
    return result.stderr.decode()


# --- the verbs --------------------------------------------------------------------------------------------------------

def test_every_verb_works_on_it(holdfast, url):
    assert json.loads(put(holdfast, url, "page", "home", {"n": 1}, "-o", "json").stdout)["created"]
    put(holdfast, url, "page", "home", {"n": 2})
    put(holdfast, url, "note", "one", [1, 2])
    assert json.loads(holdfast.run("store", "get", "page", "home", "--url", url).stdout) == {"n": 2}
    rows = holdfast.jsonl("store", "list", "--url", url)
    assert [(row["kind"], row["id"], row["doc"]) for row in rows] == [("note", "one", [1, 2]), ("page", "home", {"n": 2})]
    assert holdfast.json("store", "list", "page", "--url", url) == rows[1:]
    assert [event["what"] for event in holdfast.json("store", "events", "--url", url)] == ["put", "put", "put"]
    assert holdfast.json("store", "history", "page", "home", "--url", url) == []
    assert holdfast.json("store", "check", "--url", url)["clean"] is True
    assert holdfast.json("store", "compact", "--url", url)["compacted"] is True
    holdfast.run("-y", "store", "rm", "note", "one", "--url", url)
    assert holdfast.run("store", "get", "note", "one", "--url", url, check=False).returncode == 66
    assert not holdfast.data.exists()


def test_a_memory_store_is_empty_each_time(holdfast):
    assert json.loads(put(holdfast, "memory:", "page", "home", 1, "-o", "json").stdout)["created"]
    assert holdfast.jsonl("store", "list", "--url", "memory:") == []


def test_the_daemon_has_nothing_to_do_with_it(running, url):
    put(running, url, "page", "home", 1)
    assert running.run("store", "get", "page", "home", check=False).returncode == 66
    assert running.run("store", "get", "page", "home", "--url", url).stdout.strip() == b"1"


def test_a_relative_path_is_relative_to_the_working_folder(holdfast, tmp_path):
    (tmp_path / "here").mkdir()
    for url in ("sqlite:a.db", "tree:pages"):
        subprocess.run([BINARY, "store", "put", "page", "home", "-", "--url", url], input=b"1", cwd=tmp_path / "here", check=True,
                       capture_output=True)
    assert (tmp_path / "here" / "a.db").exists() and (tmp_path / "here" / "pages" / "page" / "home.json").read_bytes() == b"1"


def test_ids_that_would_do_harm(holdfast, url, tmp_path):
    for number, identity in enumerate(HOSTILE):
        lines = json.dumps({"kind": "page", "id": identity, "doc": {"n": number, "id": identity}}).encode()
        holdfast.run("store", "import", "-", "--url", url, input=lines)
    rows = holdfast.jsonl("store", "list", "page", "--url", url)
    assert {row["id"]: row["doc"]["n"] for row in rows} == {identity: number for number, identity in enumerate(HOSTILE)}
    assert [row["id"] for row in rows] == sorted((row["id"] for row in rows), key=lambda identity: identity.encode())
    for row in rows:
        assert row["doc"]["id"] == row["id"]
    assert holdfast.run("store", "check", "--url", url).returncode == 0
    assert {name for name in os.listdir(tmp_path) if not name.startswith("a.db")} <= {"lock", "tree"}


def test_the_examples_of_the_help_work(holdfast, tmp_path):
    """In the order in which a user would try them."""
    (tmp_path / "home.json").write_text('{"n": 1}')
    for verb in ("put", "get", "list", "history", "events", "export", "import", "check", "copy", "compact", "rm"):
        text = holdfast.run("store", verb, "--help").stdout.decode()
        example, = [line.removeprefix("example: ") for line in text.splitlines() if line.startswith("example: ")]
        words = shlex.split(example)
        assert words[:3] == ["holdfast", "store", verb]
        subprocess.run([BINARY, *words[1:]], cwd=tmp_path, env={**os.environ, "HOLDFAST_DATA": str(tmp_path / "data")}, check=True,
                       capture_output=True, stdin=subprocess.DEVNULL)
    assert (tmp_path / "pages" / "page" / "home.json").read_text() == '{\n  "n": 1\n}'
    assert (tmp_path / "pages.jsonl").read_text().count("\n") == 1


# --- reading makes nothing --------------------------------------------------------------------------------------------

READING = [["get", "page", "home"], ["list"], ["list", "page"], ["history", "page", "home"], ["events"], ["check"], ["export"]]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_reading_what_is_not_there_makes_nothing(holdfast, url, words, tmp_path):
    result = holdfast.run("store", *words, "--url", url, check=False)
    assert result.returncode == (2 if words[0] == "check" else 66) and b"there is none yet" in result.stderr
    assert names_below(tmp_path) == []


@pytest.fixture
def plain(tmp_path):
    """Files that nobody has opened as a store yet."""
    folder = tmp_path / "plain"
    (folder / "page").mkdir(parents=True)
    (folder / "page" / "home.json").write_text('{\n  "b": 1.0,\n  "a": "\\u00e9"\n}')
    (folder / "page" / "away.json").write_text("[]")
    return folder


@pytest.mark.parametrize("words", [words for words in READING if words != ["get", "page", "home"]], ids=" ".join)
def test_reading_a_tree_without_an_index_writes_nothing(holdfast, plain, words):
    before = names_below(plain)
    holdfast.run("store", *words, "--url", f"tree:{plain}")
    assert holdfast.run("store", "get", "page", "home", "--url", f"tree:{plain}").stdout == b'{\n  "b": 1.0,\n  "a": "\\u00e9"\n}\n'
    assert names_below(plain) == before


def test_a_tree_is_taken_in_by_the_first_write_and_followed_then(holdfast, plain):
    url = f"tree:{plain}"
    put(holdfast, url, "page", "new", 1)
    assert (plain / ".holdfast" / "index.db").exists()
    assert (plain / "page" / "home.json").read_text() == '{\n  "b": 1.0,\n  "a": "\\u00e9"\n}'
    (plain / "page" / "home.json").write_text('{"by": "hand"}')
    assert json.loads(holdfast.run("store", "get", "page", "home", "--url", url).stdout) == {"by": "hand"}
    assert [row["id"] for row in holdfast.jsonl("store", "list", "page", "--url", url)] == ["away", "home", "new"]


def test_a_damaged_file_is_told_of_once_and_the_rest_is_given(holdfast, plain):
    (plain / "page" / "torn.json").write_text('{"a": ')
    (plain / "page" / "empty.json").write_text("")
    for _ in range(2):  # without an index, then with one
        result = holdfast.run("store", "list", "-o", "jsonl", "--url", f"tree:{plain}", check=False)
        lines = stderr_of(result).splitlines()
        assert result.returncode == 1
        assert {json.loads(line)["id"] for line in result.stdout.splitlines()} >= {"away", "home"}
        assert len([line for line in lines if line.startswith("page/empty: damaged_file: ")]) == 1
        torn, = [line for line in lines if line.startswith("page/torn: damaged_file: ")]
        assert "byte 6" in torn
        assert lines[-1].endswith(" records, 2 damaged")
        quiet = holdfast.run("-q", "store", "list", "-o", "jsonl", "--url", f"tree:{plain}", check=False)
        assert quiet.returncode == 1 and quiet.stdout == result.stdout and len(quiet.stderr.splitlines()) == 2
        check = holdfast.run("store", "check", "-o", "json", "--url", f"tree:{plain}", check=False)
        found = {finding["id"]: finding for finding in json.loads(check.stdout)["findings"]}
        assert check.returncode == 1 and set(found) == {"torn", "empty"}
        assert found["torn"]["path"] == "page/torn.json" and found["torn"]["action"]
        put(holdfast, f"tree:{plain}", "other", "one", 1)


# --- what is refused --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("wrong, status, texts", [
    ("postgres:x", 64, ["sqlite:FILE", "tree:DIR", "memory:"]),
    ("/tmp/store.db", 64, ["sqlite:FILE", "tree:DIR", "memory:"]),
    ("", 64, ["sqlite:FILE", "tree:DIR", "memory:"]),
    ("tree:{}/t?layout=square", 64, ["square", "watch"]),
    ("tree:{}/t?colour=red", 64, ["colour", "layout"]),
    ("tree:{}/t?threads=many", 64, ["many"]),
    ("sqlite:{}/none/a.db", 66, ["none"]),
])
def test_a_wrong_url_says_what_there_is(holdfast, tmp_path, wrong, status, texts):
    result = holdfast.run("store", "put", "page", "home", "-", "--url", wrong.format(tmp_path), input=b"1", check=False)
    assert result.returncode == status, stderr_of(result)
    for text in texts:
        assert text in stderr_of(result)
    assert result.stdout == b"" and names_below(tmp_path) == []


@pytest.mark.parametrize("verb", [["list"], ["put", "page", "home", "-"]], ids=lambda words: words[0])
def test_a_file_of_somebody_else_is_left_alone(holdfast, tmp_path, verb):
    letter = tmp_path / "letter.txt"
    letter.write_bytes(b"a letter\n" * 2000)
    result = holdfast.run("store", *verb, "--url", f"sqlite:{letter}", input=b"1", check=False)
    assert result.returncode == 78 and "letter.txt" in stderr_of(result)
    assert letter.read_bytes() == b"a letter\n" * 2000


def test_url_is_of_the_store_verbs_only(holdfast):
    result = holdfast.run("source", "list", "--url", "memory:", check=False)
    assert result.returncode == 64 and "--url" in stderr_of(result)
    for verb in ("get", "put", "rm", "list", "history", "events", "check", "compact", "export", "import"):
        assert b"--url URL" in holdfast.run("store", verb, "--help").stdout


def test_the_daemons_own_store_can_be_read_and_not_written(running):
    running.run("store", "put", "page", "home", "-", input=b"1")
    url = f"sqlite:{running.data}/store.db"
    assert running.run("store", "get", "page", "home", "--url", url).stdout == b"1\n"
    assert [row["id"] for row in running.jsonl("store", "list", "page", "--url", url)] == ["home"]
    result = running.run("store", "put", "page", "home", "-", "--url", url, input=b"2", check=False)
    assert result.returncode == 75 and str(running.process.pid) in stderr_of(result)
    assert running.run("store", "get", "page", "home").stdout == b"1\n"


def test_internal_kinds(running):
    token = running.token("read")
    url = f"sqlite:{running.data}/store.db"
    for words in ([], ["--url", url]):
        assert "token" not in {row["kind"] for row in running.jsonl("store", "list", *words)}
        assert token.encode() not in running.run("store", "export", *words).stdout
        for verb in (["list", "token"], ["export", "token"], ["get", "token", "x"]):
            assert running.run("store", *verb, *words, check=False).returncode == 77
    running.stop()
    assert running.run("store", "put", "source", "x", "-", "--url", url, input=b"{}", check=False).returncode == 77
    assert "token" not in {row["kind"] for row in running.jsonl("store", "list")}


# --- lists ------------------------------------------------------------------------------------------------------------

def fill(holdfast, count, *words):
    lines = "".join(json.dumps({"kind": "page" if n % 3 else "note", "id": f"{n:05}", "doc": {"n": n}}) + "\n" for n in range(count))
    holdfast.run("store", "import", "-", *words, input=lines.encode())


def test_pages_through_the_daemon_are_the_same_list(holdfast):
    fill(holdfast, 2500)
    listed = {}
    for way in ("itself", "daemon"):
        listed[way] = [holdfast.run("store", "list", *words, "-o", form).stdout
                       for words in ([], ["page"], ["page", "--limit", "1234"], ["page", "--limit", "1000"],
                                     ["page", "--after", "01000", "--limit", "3"], ["--after", "note/02400", "--limit", "40"],
                                     ["nothing"])
                       for form in ("jsonl", "json", "table")]
        listed[way].append(holdfast.run("store", "export").stdout)
        if way == "itself":
            holdfast.serve()
    assert listed["itself"] == listed["daemon"]
    everything = listed["daemon"][0].splitlines()
    assert len(everything) == 2500 and json.loads(listed["daemon"][1]) == [json.loads(line) for line in everything]
    assert [json.loads(line)["id"] for line in listed["daemon"][12].splitlines()] == ["01001", "01003", "01004"]
    assert listed["daemon"][2].count(b"KIND  ID") == 1


def test_the_summary_can_be_silenced(holdfast):
    fill(holdfast, 3)
    assert holdfast.run("store", "list").stderr == b"holdfast: 3 records\n"
    assert holdfast.run("-q", "store", "list").stderr == b""


@pytest.fixture
def damaged(holdfast):
    """A store in which a bit of one document was flipped."""
    fill(holdfast, 40)
    holdfast.serve()
    holdfast.run("store", "put", "page", "bad", "-", input=json.dumps({"filling": "x" * 3000}).encode())
    holdfast.stop()
    path = holdfast.data / "store.db"
    content = path.read_bytes()
    place = content.index(b'{"filling": "xxx') + 100
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(b"y")
    return holdfast


@pytest.mark.parametrize("way", ["itself", "daemon"])
def test_a_damaged_record_is_told_of_and_the_rest_is_listed(damaged, way):
    if way == "daemon":
        damaged.serve()
    for verb in (["list", "-o", "jsonl"], ["export"]):
        result = damaged.run("store", *verb, check=False)
        assert result.returncode == 1
        assert len(result.stdout.splitlines()) == 40 and b'"bad"' not in result.stdout
        lines = stderr_of(result).splitlines()
        assert len(lines) == 2 and lines[0].startswith("page/bad: ") and "1 damaged" in lines[1]
    assert damaged.run("store", "list", "note").returncode == 0


# --- what would be done -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("way", ["itself", "daemon", "url"])
def test_a_rehearsal_changes_nothing_and_says_what_would_be(holdfast, way, tmp_path):
    words = ["--url", f"sqlite:{tmp_path}/a.db"] if way == "url" else []
    fill(holdfast, 3, *words)
    if way == "daemon":
        holdfast.serve()
    before = holdfast.run("store", "events", *words, "-o", "json").stdout
    new = holdfast.json("-n", "store", "put", "page", "new", "-", *words, input=b"1")
    assert new["created"] and new["changed"] and new["dry_run"] and not new["durable"]
    same = holdfast.json("store", "put", "page", "00001", "-", "--dry-run", *words, input=b'{"n":1}')
    assert not same["created"] and not same["changed"]
    assert holdfast.json("store", "rm", "page", "00001", "-n", *words)["changed"]
    assert holdfast.run("-n", "store", "rm", "page", "none", *words, check=False).returncode == 66
    assert holdfast.run("-n", "store", "put", "page", "x", "-", *words, input=b"{", check=False).returncode == 65
    assert holdfast.run("-n", "store", "put", "page", "00001", "-", "--new", *words, input=b"1", check=False).returncode == 73
    assert holdfast.run("-n", "store", "rm", "page", "00001", "--if-revision", "99", *words, check=False).returncode == 75
    assert holdfast.json("-n", "store", "compact", *words)["compacted"] is False
    assert holdfast.run("store", "events", *words, "-o", "json").stdout == before


def test_a_rehearsal_makes_no_store(holdfast, url, tmp_path):
    assert json.loads(put(holdfast, url, "page", "home", 1, "-n", "-o", "json").stdout)["created"]
    assert names_below(tmp_path) == []


def test_verbs_that_cannot_rehearse_refuse_it(holdfast):
    for words in (["-n", "source", "stop", "x"], ["source", "rm", "x", "-n"], ["-n", "store", "get", "page", "x"]):
        result = holdfast.run(*words, check=False)
        assert result.returncode == 64 and "'-n'" in stderr_of(result)
