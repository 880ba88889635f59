"""Two runs of one state at the same time: each policy, and takeovers."""
import os
import signal
import subprocess
import time

import pytest

from conftest import BINARY, wait_for
from runs import end, is_there, read_soon

HOLD = "echo $$ >{0}/pid; while test ! -e {0}/go; do sleep .01; done; echo first >$HOLDFAST_STATE_FILE"


@pytest.fixture
def held(runs, tmp_path):
    """A run that goes on until tmp_path/go is there."""
    process = runs.start("sh", "-c", HOLD.format(tmp_path))
    runs.child = int(read_soon(tmp_path / "pid"))
    runs.first = process
    yield runs
    end(process)


def let_go(held, tmp_path):
    (tmp_path / "go").touch()
    assert held.first.wait(60) == 0


def test_fail_says_who_runs_since_when(held, tmp_path):
    for options in ([], ["--on-overlap", "fail"]):
        result = held.sh(f"touch {tmp_path}/began", *options)
        assert result.returncode == 75
        err = result.stderr.decode()
        assert "feed@1" in err and str(held.first.pid) in err and "since 20" in err
    let_go(held, tmp_path)
    assert not (tmp_path / "began").exists()
    assert held.state() == b"first\n"
    assert held.outcomes() == ["ok"]


def test_skip_is_no_failure_and_is_in_the_ledger(held, tmp_path):
    result = held.sh(f"touch {tmp_path}/began", "--on-overlap", "skip")
    assert result.returncode == 0
    assert result.stderr.decode().count("\n") == 1 and "skipped" in result.stderr.decode()
    let_go(held, tmp_path)
    assert not (tmp_path / "began").exists()
    assert sorted(held.outcomes()) == ["ok", "skipped"]


def test_wait_waits(held, tmp_path):
    process = held.start("sh", "-c", "cat $HOLDFAST_STATE_FILE", options=["--on-overlap", "wait"])
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    let_go(held, tmp_path)
    out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == (b"first\n", 0)
    assert held.outcomes() == ["ok", "ok"]


def test_wait_has_an_end(held, tmp_path):
    began = time.monotonic()
    result = held.sh(f"touch {tmp_path}/began", "--on-overlap", "wait", "--wait", "300ms")
    assert result.returncode == 75 and time.monotonic() - began >= 0.3
    assert held.sh("true", "--wait", "10ms").returncode == 75  # --wait alone says it
    assert not (tmp_path / "began").exists()
    let_go(held, tmp_path)


def test_wait_sees_at_once_that_the_holder_died(held):
    process = held.start("true", options=["--on-overlap", "wait"])
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    held.first.kill()
    assert process.wait(60) == 0
    assert held.outcomes() == ["lost", "ok"]


def test_kill_ends_what_runs(held, tmp_path):
    result = held.sh("test ! -e $HOLDFAST_STATE_FILE && echo second >$HOLDFAST_STATE_FILE", "--on-overlap", "kill")
    assert result.returncode == 0, result
    assert held.first.wait(60) == 128 + signal.SIGTERM
    assert not is_there(held.child)
    assert held.state() == b"second\n"
    assert held.outcomes() == ["killed", "ok"]


def test_kill_ends_what_does_not_mind_term(runs, tmp_path):
    """The holder itself does not move, and what it started has gone far away."""
    script = f"setsid sh -c 'trap \"\" TERM; echo $$ >{tmp_path}/far; while :; do sleep 1; done' & trap '' TERM; " \
             f"echo $$ >{tmp_path}/pid; while :; do sleep 1; done"
    first = runs.start("sh", "-c", script)
    pids = [int(read_soon(tmp_path / name)) for name in ("pid", "far")]
    result = runs.sh("echo second >$HOLDFAST_STATE_FILE", "--on-overlap", "kill")
    assert result.returncode == 0, result
    assert first.wait(60) == -signal.SIGKILL
    for pid in pids:
        assert not is_there(pid)
    assert runs.outcomes() == ["lost", "ok"]
    end(first)


def test_kill_does_not_touch_a_pid_that_is_used_again(runs, tmp_path):
    """The lease of a process that died names a pid and a start time: who has the pid now is left alone."""
    stranger = subprocess.Popen(["sleep", "1000"])
    holder = subprocess.Popen(["sleep", "1000"])
    runs.run("state", "begin", "feed", "--pid", holder.pid)
    holder.kill()
    holder.wait()
    runs.well("true", "--on-overlap", "kill")
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    assert runs.outcomes() == ["lost", "ok"]


def test_kill_cannot_end_who_is_not_here(runs):
    """A lease with an end, of nobody on this machine."""
    if not runs.process:
        pytest.skip("over HTTP alone")
    runs.stop()
    runs.serve()
    from conftest import http
    reply = http(runs.address, "POST", "/api/v1/states/feed/runs", b'{"ttl_ms": 600000}', token=runs.token("edit"))
    assert reply.status == 201, reply.body
    result = runs.sh("true", "--on-overlap", "kill")
    assert result.returncode == 75, result


@pytest.mark.parametrize("moment", ["before it saves", "before it ends"])
def test_a_run_that_was_overtaken_cannot_write(runs, tmp_path, moment):
    """Stopped, overtaken, and woken: 75, and the state is the other's."""
    saves = f"{BINARY} state set feed --value '\"A\"' --fence $HOLDFAST_FENCE; echo saved $?;" \
        if moment == "before it saves" else ""
    first = runs.start("sh", "-c", f"echo $$ >{tmp_path}/pid; while test ! -e {tmp_path}/go; do sleep .01; done; "
                       f"{saves} echo '\"A\"' >$HOLDFAST_STATE_FILE")
    child = int(read_soon(tmp_path / "pid"))
    os.kill(first.pid, signal.SIGSTOP)
    os.kill(child, signal.SIGSTOP)
    taken = runs.json("state", "begin", "feed", "--on-overlap", "steal", "--pid", os.getpid())
    runs.run("state", "set", "feed", "--value", '"B"', "--fence", taken["fence"])
    (tmp_path / "go").touch()
    os.kill(child, signal.SIGCONT)
    os.kill(first.pid, signal.SIGCONT)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 75, (out, err)
    assert b"taken over" in err
    if moment == "before it saves":
        assert b"saved 75" in out
    assert runs.state() == b'"B"'
    runs.run("state", "end", "feed", "--fence", taken["fence"])
    assert runs.outcomes() == ["taken_over", "ok"]
    assert [path.read_bytes() for path in runs.rejected()] == [b'"A"\n']


def test_over_http_it_is_409(runs, tmp_path):
    if not runs.process:
        pytest.skip("over HTTP alone")
    old = runs.json("state", "begin", "feed", "--pid", os.getpid())
    runs.run("state", "begin", "feed", "--on-overlap", "steal", "--pid", os.getpid())
    reply = runs.curl("-X", "PUT", "-H", "Content-Type: application/json", "-d",
                      '{"value": "A", "fence": %d}' % old["fence"], "http://localhost/api/v1/states/feed/value")
    assert reply.status == 409, reply.body


def test_starts_at_the_same_moment_let_one_through(runs, tmp_path):
    script = f"echo x >>{tmp_path}/began; while test ! -e {tmp_path}/go; do sleep .01; done"
    processes = [runs.start("sh", "-c", script) for _ in range(8)]
    wait_for(lambda: sum(process.poll() == 75 for process in processes) == 7, "seven that failed")
    (tmp_path / "go").touch()
    assert sorted(process.wait(60) for process in processes) == [0] + [75] * 7
    assert (tmp_path / "began").read_text() == "x\n"
    for process in processes:
        process.communicate()
