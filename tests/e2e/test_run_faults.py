"""What is wrong with a new state: it is refused, told of and kept; what was saved stays as it is."""
import os
import pickle
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from conftest import BINARY
from runs import Runs, make_runs, read_soon, wait_gone

GOOD = b'{"seen": [1, 2, 3], "at": "2026-01-31T06:00:00Z"}'
PICKLE = pickle.dumps({"seen": [1, 2, 3], "at": "now"}, protocol=4)


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0x80]) + data[at + 1:]


FAULTS = {
    "json of 0 bytes": (GOOD, b"", "0 bytes"),
    "json zeroed": (GOOD, bytes(len(GOOD)), "zero bytes"),
    "json cut short": (GOOD, GOOD[:-5], "JSON"),
    "json cut to one byte": (GOOD, GOOD[:1], "JSON"),
    "json with a bit flipped": (GOOD, flipped(GOOD, 12), "JSON"),
    "json with more behind it": (GOOD, GOOD + GOOD[:3], "JSON"),
    "pickle of 0 bytes": (PICKLE, b"", "0 bytes"),
    "pickle zeroed": (PICKLE, bytes(len(PICKLE)), "zero bytes"),
    "pickle cut short": (PICKLE, PICKLE[:-3], "pickle"),
    "pickle without its end": (PICKLE, PICKLE[:-1], "pickle"),
    "pickle with its beginning flipped": (PICKLE, flipped(PICKLE, 0), "pickle"),
    "pickle of a newer protocol": (PICKLE, b"\x80\x06" + PICKLE[2:], "protocol"),
    "pickle with more behind it": (PICKLE, PICKLE + b"x", "pickle"),
    "first state of 0 bytes": (None, b"", "0 bytes"),
    "first state zeroed": (None, bytes(512), "zero bytes"),
    "first state a cut pickle": (None, PICKLE[:-3], "pickle"),
}


@pytest.fixture
def alone(tmp_path):
    return Runs(tmp_path / "data")


def put(runs, tmp_path, data):
    (tmp_path / "value").write_bytes(data)
    return runs.sh(f"cp {tmp_path}/value $HOLDFAST_STATE_FILE")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_state_is_refused(alone, tmp_path, fault):
    before, after, word = FAULTS[fault]
    if before is not None:
        assert put(alone, tmp_path, before).returncode == 0
    result = put(alone, tmp_path, after)
    assert result.returncode == 65, result
    assert word in result.stderr.decode() and "rejected" in result.stderr.decode()
    assert alone.state() == before
    assert [path.read_bytes() for path in alone.rejected()] == [after]
    row = alone.ledger()[-1]
    assert row["outcome"] == "refused" and word in row["reason"]
    assert alone.head()["lease"] is None and alone.left_behind() == []


def test_it_is_refused_beside_a_daemon_too(tmp_path):
    runs = make_runs(tmp_path, "daemon")
    try:
        assert put(runs, tmp_path, GOOD).returncode == 0
        result = put(runs, tmp_path, GOOD[:-1])
        assert result.returncode == 65 and b"JSON" in result.stderr
        assert runs.state() == GOOD
        assert [path.read_bytes() for path in runs.rejected()] == [GOOD[:-1]]
    finally:
        runs.close()


def test_pickles_and_json_may_follow_each_other(alone, tmp_path):
    for value in (PICKLE, pickle.dumps([1], protocol=0), pickle.dumps([1], protocol=5), GOOD):
        assert put(alone, tmp_path, value).returncode == 0
        assert alone.state() == value


@pytest.mark.parametrize("what, word", [
    ("rm $HOLDFAST_STATE_FILE", "removed"),
    ("rm $HOLDFAST_STATE_FILE; mkdir $HOLDFAST_STATE_FILE", "regular"),
    ("rm $HOLDFAST_STATE_FILE; ln -s /etc/passwd $HOLDFAST_STATE_FILE", "link"),
    ("rm $HOLDFAST_STATE_FILE; mkfifo $HOLDFAST_STATE_FILE", "regular"),
    ("truncate -s 67108865 $HOLDFAST_STATE_FILE", "over 67108864 bytes"),
])
def test_a_file_that_is_none_any_more(alone, tmp_path, what, word):
    assert put(alone, tmp_path, GOOD).returncode == 0
    result = alone.sh(what)
    assert result.returncode == 65, result
    assert word in result.stderr.decode()
    assert alone.state() == GOOD
    assert alone.left_behind() == []
    assert len(alone.rejected()) == (0 if word == "removed" else 1)


def test_only_the_newest_of_what_was_refused_are_kept(alone):
    """A folder among them stands in nobody's way."""
    assert alone.sh("mkdir -p $HOLDFAST_STATE_FILE/within").returncode == 65
    for _ in range(21):
        assert alone.sh("touch $HOLDFAST_STATE_FILE").returncode == 65
    assert sorted(path.name for path in alone.rejected()) == sorted(f"feed@{n}" for n in range(3, 23))


@pytest.mark.parametrize("make", [
    lambda file: os.truncate(os.open(file, os.O_CREAT | os.O_WRONLY), 67108865),
    os.mkfifo,
    lambda file: file.symlink_to("elsewhere"),
    lambda file: file.mkdir(),
], ids=["too large", "fifo", "link", "folder"])
def test_a_named_file_that_is_not_taken_over_stays(alone, tmp_path, make):
    assert put(alone, tmp_path, GOOD).returncode == 0
    file = tmp_path / "named"
    make(file)
    before = os.lstat(file)
    assert alone.sh("true", "--state-file", file).returncode in (65, 77)
    after = os.lstat(file)
    assert (after.st_ino, after.st_size, after.st_mode) == (before.st_ino, before.st_size, before.st_mode)
    assert alone.outcomes()[-1] == "error"


def test_a_named_file_that_became_huge_is_moved_aside(alone, tmp_path):
    """By a rename: not read, not copied."""
    assert put(alone, tmp_path, GOOD).returncode == 0
    file = tmp_path / "own.json"
    limit = "ulimit -v 1000000; exec"
    words = alone.words("truncate", "-s", "8G", file, options=["--state-file", file])
    result = subprocess.run(["sh", "-c", limit + ' "$@"', "sh", *words], capture_output=True)
    assert result.returncode == 65 and b"over 67108864 bytes" in result.stderr, result
    kept, = alone.rejected()
    assert kept.stat().st_size == 8 << 30
    assert file.read_bytes() == GOOD


def test_the_store_is_no_state_file(alone, tmp_path):
    assert put(alone, tmp_path, GOOD).returncode == 0
    (tmp_path / "link").symlink_to(alone.data)
    for file in (alone.data / "store.db", tmp_path / "link" / "other"):
        result = alone.sh(f"touch {tmp_path}/began", "--state-file", file)
        assert result.returncode == 64, result
        assert b"data directory" in result.stderr
    assert not (tmp_path / "began").exists()
    assert alone.state() == GOOD


@pytest.fixture
def nobody():
    """A data directory of a user for whom a file can be unreadable, and the words to become him."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    become = []
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
        become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        if subprocess.run([*become, BINARY, "--version"], capture_output=True).returncode != 0:
            pytest.skip("another user cannot run the program here")
    yield folder / "data", become
    shutil.rmtree(folder)


def test_a_file_that_may_not_be_read(nobody):
    data, become = nobody
    runs = Runs(data)

    def do(script):
        return subprocess.run([*become, *runs.words("sh", "-c", script)], cwd="/", capture_output=True)
    assert do("echo '{}' >$HOLDFAST_STATE_FILE").returncode == 0
    result = do("echo 7 >$HOLDFAST_STATE_FILE; chmod 0 $HOLDFAST_STATE_FILE")
    assert result.returncode == 65, result
    assert b"Permission denied" in result.stderr
    assert runs.state() == b"{}\n"
    kept, = runs.rejected()
    kept.chmod(0o600)
    assert kept.read_bytes() == b"7\n"


def test_a_named_file_that_is_refused_is_put_back(alone, tmp_path):
    file = tmp_path / "own.json"
    options = ["--state-file", file]
    alone.well(f"printf '%s' '{GOOD.decode()}' >{file}", *options)
    result = alone.sh(f": >{file}", *options)
    assert result.returncode == 65
    assert file.read_bytes() == GOOD and alone.state() == GOOD
    assert [path.read_bytes() for path in alone.rejected()] == [b""]


@pytest.mark.parametrize("make", ["mkdir {}", "mkfifo {}", "ln -s /etc/passwd {}"])
def test_a_named_file_that_is_none_starts_nothing(alone, tmp_path, make):
    file = tmp_path / "own.json"
    subprocess.run(["sh", "-c", make.format(file)], check=True)
    result = alone.sh(f"touch {tmp_path}/began", "--state-file", file)
    assert result.returncode in (65, 77), result
    assert not (tmp_path / "began").exists()
    assert alone.outcomes() == ["error"] and alone.head()["lease"] is None


def test_only_the_newest_that_were_refused_are_kept(alone, tmp_path):
    assert put(alone, tmp_path, GOOD).returncode == 0
    for i in range(23):
        assert alone.sh(f"echo '{{{i}' >$HOLDFAST_STATE_FILE").returncode == 65
    kept = sorted(path.read_text().strip() for path in alone.rejected())
    assert kept == sorted("{%d" % i for i in range(3, 23))


def test_a_damaged_state_in_the_store_starts_nothing(alone, tmp_path):
    """Never a silent default: the command must not begin from nothing."""
    for value in (b'{"n": 1}', b'{"n": 2}'):
        assert put(alone, tmp_path, value).returncode == 0
    store = alone.data / "store.db"
    subprocess.run(["/usr/bin/python3", "-c", """
import sqlite3, sys
base = sqlite3.connect(sys.argv[1])
tables = [row[0] for row in base.execute("select name from sqlite_master where type = 'table'")]
done = 0
for table in tables:
    columns = [row[1] for row in base.execute(f"pragma table_info({table})")]
    for column in columns:
        done += base.execute(f"update {table} set {column} = replace(cast({column} as text), '{{\\"n\\": 2}}', "
                             f"'{{\\"n\\": 3}}') where typeof({column}) in ('text', 'blob') and "
                             f"cast({column} as text) like '%{{\\"n\\": 2}}%'").rowcount
base.commit()
print(done)
""", str(store)], check=True)
    result = alone.sh(f"touch {tmp_path}/began; echo '{{}}' >$HOLDFAST_STATE_FILE")
    assert result.returncode == 65, result
    assert b"version 1" in result.stderr, result
    assert not (tmp_path / "began").exists()


def test_the_end_waits_for_a_daemon_that_comes_again(tmp_path):
    """It is stopped while the run ends, so that it answers nothing: killed then, it leaves open what was done."""
    runs = make_runs(tmp_path, "daemon")
    process = runs.start("sh", "-c", f"echo 1 >$HOLDFAST_STATE_FILE; echo $$ >{tmp_path}/at; "
                         f"while test -e {tmp_path}/at; do sleep .01; done")
    pid = int(read_soon(tmp_path / "at"))
    os.kill(runs.process.pid, signal.SIGSTOP)
    (tmp_path / "at").unlink()
    wait_gone(pid)
    time.sleep(0.3)  # the request is on its way
    runs.kill()
    runs.serve(listen="none")
    assert process.wait(60) == 0, process.stderr.read()
    assert runs.state() == b"1\n" and runs.outcomes() == ["ok"]
    runs.close()


@pytest.mark.parametrize("make, code", [
    ("mkdir {0}/data {0}/far; ln -s ../far {0}/data/runs", 77),
    ("mkdir {0}/data; touch {0}/data/runs", None),
    ("touch {0}/data", None),
    ("mkdir {0}/far; ln -s far/missing {0}/data", None),
])
def test_a_data_directory_that_is_none_starts_nothing(alone, tmp_path, make, code):
    subprocess.run(["sh", "-c", make.format(tmp_path)], check=True)
    result = alone.sh(f"touch {tmp_path}/began")
    assert result.returncode >= 64 and result.stderr, result
    assert code in (None, result.returncode)
    assert not (tmp_path / "began").exists()
    assert not (tmp_path / "far").exists() or not list((tmp_path / "far").iterdir())


def test_a_data_directory_that_may_not_be_written_starts_nothing(nobody, tmp_path):
    data, become = nobody
    data.mkdir(mode=0o500)
    if become:
        os.chown(data, 0, 0)
        data.chmod(0o755)
    result = subprocess.run([*become, *Runs(data).words("touch", data.parent / "began")], cwd="/", capture_output=True)
    assert result.returncode == 77, result
    assert not (data.parent / "began").exists()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own that can be filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_loses_nothing(small_disk):
    """It is tried again for a while; somebody makes room; the new state is there."""
    runs = Runs(small_disk / "data")
    runs.well("echo '{\"n\": 1}' >$HOLDFAST_STATE_FILE")
    process = runs.start("sh", "-c", "printf '{\"n\": 2}' >$HOLDFAST_STATE_FILE; "
                         f"cat /dev/zero >{small_disk}/filler 2>/dev/null; echo; exit 0")
    assert process.stdout.readline() == b"\n"
    try:
        process.wait(1.5)
    except subprocess.TimeoutExpired:
        pass
    (small_disk / "filler").unlink()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert runs.state() == b'{"n": 2}'


def test_a_disk_that_stays_full(small_disk, tmp_path):
    runs = Runs(small_disk / "data")
    runs.well("echo '{\"n\": 1}' >$HOLDFAST_STATE_FILE")
    big = "import sys; sys.stdout.write('{\"n\": \"' + 'x' * 3000000 + '\"}')"
    process = runs.start("sh", "-c", f"/usr/bin/python3 -c \"$1\" >$HOLDFAST_STATE_FILE; "
                         f"cat /dev/zero >{small_disk}/filler 2>/dev/null; exit 0", "sh", big)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 74, err
    assert b"rejected" in err
    kept, = runs.rejected()
    assert kept.stat().st_size == 3000009
    (small_disk / "filler").unlink()
    assert runs.state() == b'{"n": 1}\n'
    runs.run("state", "set", runs.name, kept)
    assert runs.state() == kept.read_bytes()
