# runner: waits
"""Bad input gets an error that says what and where, and nothing that was acknowledged is lost."""
import dataclasses
import fcntl
import json
import os
import sqlite3
import subprocess
import typing
from pathlib import Path

import pytest

from conftest import PATIENCE_S, Holdfast, children_of_source, http, wait_for


def wait_for_error(holdfast, name):
    return wait_for(lambda: holdfast.source(name)["error_count"] and holdfast.source(name), f"an error of '{name}'")


def add_python(holdfast, code_file, name, code, *words, check=True):
    return holdfast.run("source", "add", name, "--kind", "python", "--interval", "100ms", "--code", code_file(code),
                        "--start", *words, check=check)


def resident_kb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


# --- sources ----------------------------------------------------------------------------------------------------------

def test_a_gigabyte_on_stdout_is_bounded(running):
    running.run("source", "add", "flood", "--kind", "command", "--interval", "1h", "--start", "--",
                "head", "-c", "1000000000", "/dev/zero")
    shown = wait_for_error(running, "flood")
    assert "TooLarge" in shown["last_error"]
    assert resident_kb(running.process.pid) < 200_000
    assert running.run("store", "check").returncode == 0


def test_a_python_source_that_prints_a_gigabyte_still_collects(running, code_file):
    add_python(running, code_file, "chatty", "def fetch_data():\n    for _ in range(1000): print('x' * 1000000)\n    return 1\n",
               "--timeout", "2m")
    shown = wait_for(lambda: running.source("chatty")["run_count"] and running.source("chatty"), "a run", patience_s=120)
    assert shown["dropped_bytes"] > 900_000_000
    assert resident_kb(running.process.pid) < 200_000


def test_half_a_line(running):
    running.run("source", "add", "half", "--kind", "command", "--interval", "100ms", "--start", "--", "printf", '{"a": 1}\n{"b":')
    wait_for(lambda: running.source("half")["run_count"], "a run")
    datum = running.jsonl("source", "tail", "half", "-n", "1")[0]
    assert datum["type"] == "text" and datum["data"] == '{"a": 1}\n{"b":'


def test_a_source_that_never_ends_is_timed_out(running):
    running.run("source", "add", "endless", "--kind", "command", "--interval", "200ms", "--timeout", "300ms", "--start", "--",
                "sleep", "1000000")
    shown = wait_for_error(running, "endless")
    assert "Timeout" in shown["last_error"] and "300" in shown["last_error"]


def test_a_python_source_that_never_ends_is_timed_out_and_goes_on(running, code_file):
    add_python(running, code_file, "hang", "import os\ncount = 0\ndef fetch_data():\n    while True: pass\n", "--timeout", "300ms")
    wait_for(lambda: running.source("hang")["error_count"] >= 2, "two time-outs")
    assert running.source("hang")["status"] in ("running", "backoff", "starting")
    running.run("source", "stop", "hang")
    wait_for(lambda: running.source("hang")["status"] == "stopped", "it to stop")
    assert children_of_source(running.data, "hang") == []


def test_stop_ends_a_child_that_ignores_sigterm_and_its_children(running):
    script = "trap '' TERM; (trap '' TERM; setsid sleep 987654 & ); sleep 987654 & while :; do sleep 1; done"
    running.run("source", "add", "deaf", "--kind", "command", "--interval", "1h", "--timeout", "1h", "--start", "--", "sh", "-c", script)
    wait_for(lambda: len(children_of_source(running.data, "deaf")) >= 3, "the children")
    running.run("source", "stop", "deaf")
    wait_for(lambda: running.source("deaf")["status"] == "stopped", "it to stop")
    assert children_of_source(running.data, "deaf") == []


def test_children_that_stay_do_not_hold_up_the_next_run(running):
    running.run("source", "add", "forker", "--kind", "command", "--interval", "100ms", "--start", "--",
                "sh", "-c", "sleep 876543 & echo 1")
    wait_for(lambda: running.source("forker")["run_count"] >= 3, "three runs")
    running.run("source", "stop", "forker")
    wait_for(lambda: running.source("forker")["status"] == "stopped", "it to stop")
    assert children_of_source(running.data, "forker") == []


def test_output_that_is_not_utf8(running):
    running.run("source", "add", "bytes", "--kind", "command", "--interval", "100ms", "--start", "--", "printf", r"a\377\000b")
    wait_for(lambda: running.source("bytes")["run_count"], "a run")
    datum = running.jsonl("source", "tail", "bytes", "-n", "1")[0]
    assert datum["type"] == "bytes"


@pytest.mark.parametrize("code, where", [
    ("def fetch_data(:\n    return 1\n", "line 1"),
    ("x = 1\n", "fetch_data"),
    ("def fetch_data(a, b):\n    return 1\n", "fetch_data"),
    ("def fetch_data():\n\treturn 1\n        return 2\n", "line 3"),
])
def test_bad_code_is_refused(running, code_file, code, where):
    result = add_python(running, code_file, "bad", code, check=False)
    assert result.returncode == 65
    assert where in result.stderr.decode()
    assert running.run("source", "show", "bad", check=False).returncode == 66


def test_bad_code_leaves_the_old_in_place(running, code_file):
    add_python(running, code_file, "one", "def fetch_data():\n    return 1\n")
    assert running.run("source", "edit", "one", "--code", code_file("def fetch_data(:"), check=False).returncode == 65
    assert running.source("one")["code_version"] == 1
    count = running.source("one")["run_count"]
    wait_for(lambda: running.source("one")["run_count"] > count, "a run with the old code")


def test_what_cannot_be_stored_is_an_error_of_the_run(running, code_file):
    add_python(running, code_file, "odd", "def fetch_data():\n    return object()\n")
    assert "object" in wait_for_error(running, "odd")["last_error"]


def test_an_exception_is_counted_and_told(running, code_file):
    add_python(running, code_file, "raiser", "def fetch_data():\n    raise ValueError('no such page')\n")
    shown = wait_for(lambda: running.source("raiser")["error_count"] >= 2 and running.source("raiser"), "two errors")
    assert "ValueError" in shown["last_error"] and "no such page" in shown["last_error"]
    assert shown["status"] == "running"


def test_a_program_that_is_not_there(running):
    running.run("source", "add", "ghost", "--kind", "command", "--interval", "1s", "--start", "--", "/nowhere/ghost")
    shown = wait_for_error(running, "ghost")
    assert "/nowhere/ghost" in shown["last_error"]


def test_a_name_that_is_taken(running, code_file):
    add_python(running, code_file, "one", "def fetch_data():\n    return 1\n")
    result = add_python(running, code_file, "one", "def fetch_data():\n    return 2\n", check=False)
    assert result.returncode == 73 and b"one" in result.stderr
    assert len(running.json("source", "versions", "one")) == 1


# --- ids and bodies ---------------------------------------------------------------------------------------------------

BAD_IDS = ["a%2Fb", "..", ".", "%2e%2e", "a%00b", "%0a", "x" * 300, "%ff", "..%2f..%2fetc%2fpasswd"]


@pytest.mark.parametrize("bad", BAD_IDS)
def test_a_bad_id_is_refused(running, bad):
    token = running.token("edit")
    before = sorted(str(path) for path in running.data.parent.rglob("*"))
    result = subprocess.run(
        ["curl", "-sS", "--path-as-is", "-X", "PUT", "-H", "Content-Type: application/json", "-H", f"Authorization: Bearer {token}",
         "-d", "1", "-w", "\n%{http_code}", f"{running.address}/api/v1/records/doc/{bad}"], capture_output=True)
    body, _, status = result.stdout.rpartition(b"\n")
    assert status in (b"400", b"404"), result.stdout
    assert json.loads(body)["detail"]
    assert sorted(str(path) for path in running.data.parent.rglob("*")) == before


def test_ids_of_255_bytes_and_their_twins(running):
    for name in ("x" * 255, "é", "é", "A", "a", "a.", "a ", "CON"):
        running.run("store", "put", "doc", name, "-", input=json.dumps(name).encode())
    for name in ("x" * 255, "é", "é", "A", "a", "a.", "a ", "CON"):
        assert json.loads(running.run("store", "get", "doc", name).stdout) == name
    assert running.run("store", "put", "doc", "x" * 256, "-", input=b"1", check=False).returncode == 64


@pytest.mark.parametrize("text", [b"", b"{", b"[1,]", b"NaN", b'{"a":1,"a":2}', b'"\xff"', b'"\\ud800"', b"1 2", b"\xef\xbb\xbf1",
                                  b"[" * 100_000])
def test_what_is_not_json_is_refused(running, text):
    result = running.run("store", "put", "doc", "bad", "-", input=text, check=False)
    assert result.returncode == 65, result.stderr
    assert running.run("store", "get", "doc", "bad", check=False).returncode == 66


def test_a_body_over_the_limit(running):
    token = running.token("edit")
    body = b'"' + b"x" * (20 << 20) + b'"'
    assert running.curl("-X", "PUT", "-H", "Content-Type: application/json", "--data-binary", "@-",
                        "http://localhost/api/v1/records/doc/big").status in (400, 413)
    result = running.run("store", "put", "doc", "big", "-", input=body, check=False)
    assert result.returncode == 65 and b"limit" in result.stderr.lower() or b"over" in result.stderr.lower()
    assert running.run("store", "get", "doc", "big", check=False).returncode == 66


# --- the store's file -------------------------------------------------------------------------------------------------

@pytest.fixture
def stored(holdfast):
    for number in range(50):
        holdfast.run("store", "put", "doc", str(number), "-", input=json.dumps({"n": number, "filling": "x" * 2000}).encode())
    return holdfast


def refuse(holdfast, status, *texts):
    before = (holdfast.data / "store.db").read_bytes()
    result = holdfast.run("serve", "--listen", "none", check=False)
    assert result.returncode == status, (result.returncode, result.stderr)
    for text in texts:
        assert text in result.stderr.decode(), result.stderr
    assert (holdfast.data / "store.db").read_bytes() == before


def test_a_store_that_is_cut_short(stored):
    path = stored.data / "store.db"
    for name in ("store.db-wal", "store.db-shm"):
        (stored.data / name).unlink(missing_ok=True)
    size = path.stat().st_size
    os.truncate(path, size // 2)
    refuse(stored, 65, "store.db", "short")


def test_a_store_that_is_not_ours(holdfast):
    holdfast.data.mkdir(mode=0o700)
    (holdfast.data / "store.db").write_bytes(b"this is somebody's letter\n" * 1000)
    refuse(holdfast, 78, "store.db")


def test_another_programs_database(holdfast):
    holdfast.data.mkdir(mode=0o700)
    connection = sqlite3.connect(holdfast.data / "store.db")
    connection.execute("CREATE TABLE t (a)")
    connection.commit()
    connection.close()
    refuse(holdfast, 78, "store.db")


def test_a_store_of_a_newer_program(stored):
    with open(stored.data / "store.db", "r+b") as file:
        file.seek(60)
        file.write((9999).to_bytes(4, "big"))
    for name in ("store.db-wal", "store.db-shm"):
        (stored.data / name).unlink(missing_ok=True)
    refuse(stored, 78, "9999")


def test_a_store_that_another_daemon_owns(running):
    result = running.run("serve", "--listen", "127.0.0.1:0", check=False)
    assert result.returncode == 75
    assert str(running.process.pid) in result.stderr.decode()
    running.run("store", "put", "doc", "a", "-", input=b"1")


def test_a_stale_lock_of_a_process_that_is_somebody_else_now(holdfast):
    holdfast.serve()
    holdfast.kill()
    (holdfast.data / "lock").write_text(json.dumps({"pid": os.getpid(), "start_ticks": 1, "boot_id": "x", "started_at": "x"}))
    holdfast.serve()


def test_a_flipped_bit_is_found_and_the_rest_is_read(stored):
    path = stored.data / "store.db"
    stored.serve()
    stored.stop()
    content = path.read_bytes()
    place = content.index(b'{"n": 7,') + 30
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(bytes([content[place] ^ 1]))
    damaged = stored.run("store", "get", "doc", "7", check=False)
    assert damaged.returncode == 65 and b"doc" in damaged.stderr and damaged.stdout == b""
    assert json.loads(stored.run("store", "get", "doc", "8").stdout)["n"] == 8
    check = stored.run("store", "check", "-o", "json", check=False)
    assert check.returncode == 1
    assert json.loads(check.stdout)["findings"][0]["id"] == "7"


def test_check_of_nothing_is_not_clean(holdfast):
    assert holdfast.run("store", "check", check=False).returncode == 2


def test_the_sqlite3_shell_reads_while_the_daemon_runs(running, code_file):
    add_python(running, code_file, "one", "def fetch_data():\n    return {'a': 1}\n")
    wait_for(lambda: running.source("one")["run_count"] >= 2, "two runs")

    def shell(sql):
        return subprocess.run(["sqlite3", "-json", str(running.data / "store.db"), sql], capture_output=True)
    for view in ("data_sources", "data_source_states", "data_source_latest_data", "data_source_code_versions", "runs", "events"):
        rows = json.loads(shell(f"SELECT * FROM {view} LIMIT 5").stdout)
        assert rows and not any(str(value).startswith("{") for row in rows for key, value in row.items() if key in ("name", "status")), view
    assert shell("DELETE FROM record").returncode != 0
    count = running.source("one")["run_count"]
    wait_for(lambda: running.source("one")["run_count"] > count, "another run")
    running.kill()
    running.serve()
    assert running.source("one")["run_count"] > count


# --- disks ------------------------------------------------------------------------------------------------------------

@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)], capture_output=True).returncode != 0:
        pytest.skip("this machine does not let us mount a tmpfs")
    yield place
    subprocess.run(["umount", "-l", str(place)])


def test_a_full_disk(small_disk):
    holdfast = Holdfast(small_disk / "data")
    holdfast.serve()
    try:
        token = holdfast.token("edit")
        acknowledged, refused = [], None
        filling = "x" * 100_000
        for number in range(400):
            reply = http(holdfast.address, "PUT", f"/api/v1/records/doc/{number}", json.dumps({"n": number, "f": filling}).encode(), token=token)
            if reply.status not in (200, 201):
                refused = reply
                break
            acknowledged.append(number)
        assert refused is not None and refused.status == 507 and refused.json()["code"] == "no_space", refused and refused.body
        for number in acknowledged:
            assert http(holdfast.address, "GET", f"/api/v1/records/doc/{number}", token=token).json()["n"] == number
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        assert http(holdfast.address, "PUT", "/api/v1/records/doc/after", b"1", token=token).status == 201
        holdfast.kill()
        holdfast.serve()
        assert {record["id"] for record in holdfast.jsonl("store", "list", "doc")} >= {str(number) for number in acknowledged} | {"after"}
        assert holdfast.run("store", "check").returncode == 0
    finally:
        holdfast.close()


def test_a_read_only_disk(small_disk):
    holdfast = Holdfast(small_disk / "data")
    holdfast.run("store", "put", "doc", "a", "-", input=b"1")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert holdfast.run("store", "get", "doc", "a").stdout == b"1\n"
    put = holdfast.run("store", "put", "doc", "b", "-", input=b"2", check=False)
    assert put.returncode == 74 and b"read-only" in put.stderr.lower()
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    holdfast.run("store", "put", "doc", "b", "-", input=b"2")


@pytest.fixture
def dying_disk(tmp_path):
    """An ext4 that can be made to fail every write from a moment on, as a disk that is pulled out."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system image needs root")
    image, place = tmp_path / "disk.img", tmp_path / "disk"
    place.mkdir()
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    mount = ["mount", "-o", "loop", str(image), str(place)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this machine does not let us mount an image")

    def die():
        folder = os.open(place, os.O_RDONLY)
        fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, SHUTDOWN_NO_LOG_FLUSH.to_bytes(4, "little"))
        os.close(folder)

    def replace():
        subprocess.run(["umount", "-l", str(place)], check=True)
        subprocess.run(mount, check=True)
    yield DyingDisk(place, die, replace)
    subprocess.run(["umount", "-l", str(place)])


EXT4_IOC_SHUTDOWN = 0x8004587D
SHUTDOWN_NO_LOG_FLUSH = 2


@dataclasses.dataclass
class DyingDisk:
    place: Path
    die: typing.Callable
    replace: typing.Callable


def test_a_disk_that_dies(dying_disk, code_file):
    """The daemon ends with 74, names the cause, leaves no child; on the next disk everything acknowledged is there."""
    holdfast = Holdfast(dying_disk.place / "data")
    holdfast.log_path = dying_disk.place.parent / "daemon.log"
    holdfast.serve()
    token = holdfast.token("edit")
    add_python(holdfast, code_file, "one", "def fetch_data():\n    return 1\n")
    wait_for(lambda: holdfast.source("one")["run_count"] >= 3, "three runs")
    for number in range(20):
        assert http(holdfast.address, "PUT", f"/api/v1/records/doc/{number}", b"%d" % number, token=token).status == 201
    count = holdfast.source("one")["run_count"]
    dying_disk.die()
    assert holdfast.process.wait(timeout=PATIENCE_S) == 74
    assert children_of_source(holdfast.data, "one") == []
    assert "restart the daemon" in holdfast.log_text()
    holdfast.process = None
    dying_disk.replace()
    holdfast.serve()
    try:
        assert {record["doc"] for record in holdfast.jsonl("store", "list", "doc")} == set(range(20))
        assert holdfast.source("one")["run_count"] >= count
        assert holdfast.run("store", "check").returncode == 0
        wait_for(lambda: holdfast.source("one")["run_count"] > count + 1, "it to go on")
    finally:
        holdfast.close()


# --- the command line -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("words, status, text", [
    (["sorce", "list"], 64, "sorce"),
    (["source", "lst"], 64, "lst"),
    (["source"], 64, "source"),
    (["source", "show"], 64, "name"),
    (["source", "show", "a", "b"], 64, "b"),
    (["source", "list", "--colour"], 64, "--colour"),
    (["source", "list", "-o", "xml"], 64, "xml"),
    (["source", "add", "a", "--kind", "python", "--interval", "soon", "--code", "-"], 64, "soon"),
    (["source", "add", "a", "--kind", "robot"], 64, "robot"),
    (["source", "add", "a", "--kind", "python", "--code", "/nowhere.py"], 66, "/nowhere.py"),
    (["source", "show", "nobody"], 66, "nobody"),
    (["store", "put", "Doc", "a", "-"], 64, "Doc"),
    (["store", "put", "token", "a", "-"], 77, "token"),
    (["token", "create", "--scope", "king"], 64, "king"),
])
def test_what_the_command_line_refuses(running, words, status, text):
    result = running.run(*words, input=b"1", check=False)
    assert result.returncode == status, (result.returncode, result.stderr)
    assert text in result.stderr.decode() and result.stdout == b""
