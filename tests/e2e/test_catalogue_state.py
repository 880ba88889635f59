"""The rows of the catalogue of faults about collectors' states that need processes: C3, C4, C6, C11 and C13. The others
live in the library: tests/fault/test_catalogue_state.c."""
import json
import os
import pickle
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

import python_client
from conftest import BINARY, Holdfast, wait_for
from python_client import PYTHON
from runs import Runs, end, read_soon, wait_gone

import holdfast as client
from holdfast import State


# ---- C3: what could be executed is not ----

class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_C3_a_pickle_is_never_evaluated(runs, tmp_path, protocol):
    mark = tmp_path / "executed"
    trap = pickle.dumps(Trap(mark), protocol)
    file = tmp_path / "trap.pickle"
    file.write_bytes(trap)
    runs.run("state", "set", "feed", file)
    runs.run("state", "import", "imported", file, "--format", "n6")
    for name in ("feed", "imported"):
        for verb in ("show", "log", "runs", "diff", "export"):
            runs.run("state", verb, name, check=verb != "diff")
        assert runs.run("state", "get", name).stdout == trap
    assert runs.sh(f"cat {file} >$HOLDFAST_STATE_FILE").returncode == 0
    assert runs.sh("cat $HOLDFAST_STATE_FILE").stdout == trap
    with pytest.raises(client.Invalid):
        State("feed", data=str(runs.data)).load()  # a pickle is loaded by who asks for it, and by nobody else
    assert State("feed", data=str(runs.data), format="bytes").load() == trap
    assert not mark.exists()
    pickle.loads(trap)
    assert mark.exists()  # it would have worked


# ---- C4: two runs of cron overlap ----

def test_C4_the_second_of_two_runs_is_told_of_the_first(runs, tmp_path):
    script = f"echo $$ >{tmp_path}/pid; while :; do sleep .01; done"
    first = runs.start("sh", "-c", script)
    child = int(read_soon(tmp_path / "pid"))
    try:
        second = runs.sh(f"touch {tmp_path}/began", "-o", "json")
        assert second.returncode == 75
        problem = json.loads(second.stderr or second.stdout)
        assert problem["code"] == "conflict" and problem["status"] == 409
        assert "feed@1" in problem["detail"] and str(first.pid) in problem["detail"]
        waiting = runs.start("sh", "-c", f"touch {tmp_path}/waited", options=["--wait", "1h"])
        assert not (tmp_path / "began").exists()
        first.kill()  # -9: nobody gives the lease back, and nobody has to
        assert waiting.wait(60) == 0
        assert (tmp_path / "waited").exists()
        end(waiting)
    finally:
        end(first)
    wait_gone(child)
    assert runs.outcomes() == ["lost", "ok"]


# ---- C6: killed between publishing and saving ----

ITEMS = 5

# Before its n-th operation it is killed. Each publication carries the item's own key.
COLLECTOR = """
import json, os, signal, sys
import holdfast
outbox, left, items = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def operate(what, *words, **more):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return what(*words, **more)

def publish(item):
    with open(outbox, "a") as out:
        out.write(json.dumps({"key": "item %d" % item, "value": item * item}) + "\\n")

with holdfast.State("feed") as state:
    at = operate(state.load, 0)
    for item in range(at, items):
        operate(publish, item)
        operate(state.save, item + 1)
"""


def consume(outbox):
    """Takes each key once; how often it came."""
    effects, count = {}, 0
    for line in outbox.read_text().splitlines():
        message = json.loads(line)
        assert effects.setdefault(message["key"], message["value"]) == message["value"]
        count += 1
    return effects, count


def test_C6_killed_at_each_operation_each_item_has_its_effect_once(runs, tmp_path):
    source = {f"item {item}": item * item for item in range(ITEMS)}
    environment = python_client.environment(HOLDFAST_DATA=runs.data)
    again = set()
    for killed_at in range(1 + 2 * ITEMS):
        outbox = tmp_path / f"outbox{killed_at}"

        def collect(operations):
            return subprocess.run([PYTHON, "-c", COLLECTOR, outbox, str(operations), str(ITEMS)],
                                  env=environment).returncode
        assert collect(killed_at) == -signal.SIGKILL
        assert collect(-1) == 0
        effects, count = consume(outbox)
        assert effects == source, killed_at  # nothing is missing, nothing is there twice
        again.add(count - ITEMS)
        assert State("feed", data=str(runs.data)).load() == ITEMS
        runs.run("state", "clear", "feed", "--purge")
    assert again == {0, 1}  # at least once: what was published and not saved comes again


# ---- C11: no place for a state ----

def make_read_only(folder):
    (folder / "data").mkdir()
    (folder / "data").chmod(0o555)


def make_foreign(folder):
    (folder / "data").mkdir(mode=0o700)
    os.chown(folder / "data", 12345, 12345)


def make_dangling(folder):
    (folder / "data").symlink_to(folder / "nowhere" / "far")


def make_file(folder):
    (folder / "data").write_text("")


def make_unreachable(folder):
    folder.chmod(0o555)


@pytest.fixture
def outside():
    """A folder that everybody may come to, and the words to become somebody who is not root."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    become = []
    if os.geteuid() == 0:
        become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        if subprocess.run([*become, BINARY, "--version"], capture_output=True).returncode != 0:
            pytest.skip("another user cannot run the program here")
    folder.chmod(0o755)
    yield folder, become
    folder.chmod(0o755)
    subprocess.run(["rm", "-r", folder], check=True)


@pytest.mark.parametrize("make, code", [(make_read_only, "permission"), (make_foreign, "permission"),
                                        (make_unreachable, "permission"), (make_file, None), (make_dangling, None)],
                         ids=["read-only", "of another", "missing", "a file", "a link to nothing"])
def test_C11_no_place_for_a_state_is_told_before_anything_is_collected(outside, make, code):
    folder, become = outside
    if make is make_foreign and os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    make(folder)
    runs = Runs(folder / "data")
    mark = Path(tempfile.gettempdir()) / f"{folder.name}-began"
    result = subprocess.run([*become, *runs.words("touch", mark, options=["-o", "json"])], cwd="/", capture_output=True)
    assert result.returncode >= 64, result
    problem = json.loads(result.stderr or result.stdout)
    assert problem["code"] == (code or problem["code"]) and str(folder) in problem["detail"], problem
    assert problem["code"] not in ("internal", "not_found"), problem
    assert not mark.exists()


# ---- C13: the daemon is down while a collector saves ----

STEPS = 12

STEPPER = """
echo began >{folder}/began
at=0
while test $at -lt {steps}; do
    at=$((at + 1))
    while test $at -gt $(cat {folder}/allowed); do sleep .01; done
    printf '{{"kind":"step","id":"%05d of %s","doc":%d}}\\n' $at $HOLDFAST_RUN_ID $at >{folder}/records
    {binary} -q state commit feed --value $at --with-records {folder}/records || exit
    echo $at >{folder}/done
done
"""


def test_C13_each_save_goes_one_way_whole(tmp_path):
    """By the daemon while there is one, else directly; killed in between or not, nothing is half here and half there."""
    runs = Runs(tmp_path / "data")
    (tmp_path / "allowed").write_text("0\n")
    process = runs.start("sh", "-c", STEPPER.format(steps=STEPS, folder=tmp_path, binary=BINARY))
    try:
        read_soon(tmp_path / "began")  # from now on it has the store while it saves only
        for step in range(1, STEPS + 1):
            if step % 3 == 1:
                runs.serve(listen="none")
            (tmp_path / "new").write_text(f"{step}\n")
            (tmp_path / "new").replace(tmp_path / "allowed")
            if step % 3 == 0:
                runs.kill()  # while it saves, or before, or behind
            wait_for(lambda: (tmp_path / "done").exists() and (tmp_path / "done").read_text() == f"{step}\n", step)
            if step % 3 == 2:
                assert runs.process.poll() is None
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    finally:
        end(process)
        runs.close()
    assert runs.state() == str(STEPS).encode()
    assert [row["doc"] for row in runs.jsonl("store", "list", "step")] == list(range(1, STEPS + 1))
    assert [row["version"] for row in runs.json("state", "log", "feed")] == list(range(STEPS, 0, -1))
    assert runs.outcomes() == ["ok"]


def test_C13_who_may_use_the_socket_only_is_told_that_nobody_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_SOCKET", str(tmp_path / "nobody.sock"))
    with pytest.raises(client.Unavailable) as caught:
        State("feed", timeout=0.1).save(1)
    assert caught.value.code == "unavailable"
    assert list(tmp_path.iterdir()) == []
