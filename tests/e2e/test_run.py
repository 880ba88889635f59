"""holdfast run: what the command is given, what is taken from it, and how it ends."""
import json
import os
import pty
import signal
import subprocess
import time

import pytest

from conftest import BINARY, wait_for
from runs import end, is_there, read_soon, wait_gone


def test_the_command_finds_out_who_it_is(runs):
    runs.well("echo one >$HOLDFAST_STATE_FILE")
    result = runs.do("env", options=["--scheduled-at", "2026-01-31T06:00:00.000Z"], env={"OWN": "kept"})
    given = dict(line.split("=", 1) for line in result.stdout.decode().splitlines())
    assert given["HOLDFAST_STATE"] == "feed"
    assert given["HOLDFAST_RUN_ID"] == "feed@2"
    assert given["HOLDFAST_FENCE"] == "2"
    assert given["HOLDFAST_SCHEDULED_AT"] == "2026-01-31T06:00:00.000Z"
    assert given["HOLDFAST_SOCKET"] == str(runs.data / "holdfast.sock")
    assert given["HOLDFAST_DATA"] == str(runs.data)
    assert given["HOLDFAST_STATE_FILE"] == str(runs.data / "runs" / "feed@2" / "state")
    assert given["OWN"] == "kept"
    assert given["PATH"] == os.environ["PATH"]


def test_a_state_goes_round(runs):
    bytes_of_mine = b'{"seen": [1, 2],\n "more": "\xc3\xa9"}\n'
    runs.do("sh", "-c", "test ! -e $HOLDFAST_STATE_FILE && cat >$HOLDFAST_STATE_FILE", input=bytes_of_mine)
    assert runs.state() == bytes_of_mine
    result = runs.well("cat $HOLDFAST_STATE_FILE; stat -c %a $HOLDFAST_STATE_FILE")
    assert result.stdout == bytes_of_mine + b"600\n"
    assert runs.head()["version"] == 1
    runs.well("sed s/1/7/ $HOLDFAST_STATE_FILE >$HOLDFAST_STATE_FILE.new; mv $HOLDFAST_STATE_FILE.new $HOLDFAST_STATE_FILE")
    assert runs.state() == bytes_of_mine.replace(b"1", b"7")
    first, second, third = runs.ledger()
    assert [first["outcome"], second["outcome"], third["outcome"]] == ["ok"] * 3
    assert (first["version_before"], first["version_after"]) == (0, 1)
    assert (second["version_before"], second["version_after"]) == (1, 1)
    assert (third["version_before"], third["version_after"]) == (1, 2)
    assert second["command"][:2] == ["sh", "-c"]
    assert second["exit_code"] == 0 and second["duration_ms"] >= 0
    assert runs.left_behind() == []


def test_any_bytes_go_round(runs, tmp_path):
    value = bytes(range(256)) * 40
    (tmp_path / "value").write_bytes(value)
    runs.well(f"cp {tmp_path}/value $HOLDFAST_STATE_FILE")
    assert runs.state() == value
    runs.well(f"cmp {tmp_path}/value $HOLDFAST_STATE_FILE")
    assert runs.head()["version"] == 1


def test_output_input_and_exit_code_pass_through(runs):
    result = runs.do("sh", "-c", "cat; echo out; echo err >&2; exit 7", input=b"in\n")
    assert (result.stdout, result.returncode) == (b"in\nout\n", 7)
    assert result.stderr == b"err\n"
    for code in (0, 1, 64, 65, 75, 124, 255):
        assert runs.sh(f"exit {code}").returncode == code
    assert runs.sh("kill -TERM $$").returncode == 128 + signal.SIGTERM
    assert runs.sh("kill -KILL $$").returncode == 128 + signal.SIGKILL
    rows = runs.ledger()
    assert rows[0]["outcome"] == "failed" and rows[0]["exit_code"] == 7
    assert rows[-1]["outcome"] == "failed" and rows[-1]["signal"] == signal.SIGKILL


def test_what_a_run_that_failed_leaves_is_not_taken(runs):
    runs.well("echo good >$HOLDFAST_STATE_FILE")
    assert runs.sh("echo bad >$HOLDFAST_STATE_FILE; exit 3").returncode == 3
    assert runs.sh("echo bad >$HOLDFAST_STATE_FILE; kill -9 $$").returncode == 137
    assert runs.state() == b"good\n"
    assert runs.outcomes() == ["ok", "failed", "failed"]
    assert runs.left_behind() == [] and runs.rejected() == []


def test_the_folder_the_group_and_what_is_open_stay(runs, tmp_path):
    with open(tmp_path / "seven", "w") as seven:
        result = subprocess.run(runs.words("sh", "-c", "pwd; ps -o pgid= -p $$ | tr -d ' '; echo hello >&7"),
                                cwd=tmp_path, capture_output=True, start_new_session=False,
                                preexec_fn=lambda: os.dup2(seven.fileno(), 7), pass_fds=[7])
    folder, group = result.stdout.decode().split()
    assert folder == str(tmp_path)
    assert int(group) == os.getpgrp()
    assert (tmp_path / "seven").read_text() == "hello\n"


def test_a_command_that_is_not_there(runs):
    result = runs.do("no-such-program")
    assert result.returncode == 69
    assert b"start 'no-such-program': No such file or directory" in result.stderr
    row = runs.ledger()[-1]
    assert row["outcome"] == "error" and "no-such-program" in row["reason"]
    assert runs.head()["lease"] is None


@pytest.mark.parametrize("words, code", [
    (["run"], 64), (["run", "feed"], 64), (["run", "feed", "--"], 64),
    (["run", "feed", "--on-overlap", "steal", "--", "true"], 64),
    (["run", "feed", "--on-overlap", "skip", "--wait", "1s", "--", "true"], 64),
    (["run", "feed", "--timeout", "soon", "--", "true"], 64),
    (["run", "feed", "--scheduled-at", "noon", "--", "true"], 64),
    (["run", "feed", "--singer", "--state-file", "x", "--", "true"], 64),
    (["run", "../feed", "--", "true"], 64), (["run", "a" * 201, "--", "true"], 64),
    (["run", "--help"], 0),
])
def test_what_is_typed_wrongly_starts_nothing(holdfast, words, code, tmp_path):
    words = [str(tmp_path / "began") if word == "true" else word for word in words]
    (tmp_path / "began").write_text("#!/bin/sh\ntouch $0.yes\n")
    (tmp_path / "began").chmod(0o700)
    assert holdfast.run(*words, check=False).returncode == code
    assert not (tmp_path / "began.yes").exists()


def test_a_named_state_file(runs, tmp_path):
    file = tmp_path / "own.json"
    options = ["--state-file", file]
    file.write_text('{"from": "before"}')  # of a collector that used no holdfast until now
    assert runs.sh("exit 1", *options).returncode == 1
    assert runs.state() is None and file.read_text() == '{"from": "before"}'
    runs.well("true", *options)
    assert runs.state() == b'{"from": "before"}'
    runs.well(f"echo '{{\"n\": 1}}' >{file}", *options)
    assert runs.state() == b'{"n": 1}\n' and file.read_bytes() == b'{"n": 1}\n'
    assert runs.sh(f"echo '{{\"n\": 2}}' >{file}; exit 1", *options).returncode == 1
    assert file.read_bytes() == b'{"n": 1}\n'  # as the state
    file.write_text('{"by": "hand"}')
    result = runs.well(f"cat {file}", *options)
    assert result.stdout == b'{"n": 1}\n'
    assert b"was not the state" in result.stderr
    assert runs.rejected()[0].read_text() == '{"by": "hand"}'


def test_a_command_that_saves_by_itself(runs):
    runs.well("echo 1 >$HOLDFAST_STATE_FILE")
    save = f"{BINARY} state set $HOLDFAST_STATE --value {{}} --fence $HOLDFAST_FENCE -q"
    assert runs.sh(save.format(2) + "; exit 5").returncode == 5
    assert runs.state() == b"2"  # acknowledged, so it stays
    runs.well(save.format(3) + "; " + save.format(4))
    assert runs.state() == b"4"
    assert runs.ledger()[-1]["saves"] == 2
    result = runs.sh(save.format(5) + "; echo 6 >$HOLDFAST_STATE_FILE")
    assert result.returncode == 65, result
    assert runs.state() == b"5"
    assert runs.outcomes()[-1] == "refused"
    assert [path.read_bytes() for path in runs.rejected()] == [b"6\n"]


def test_no_store_is_held_while_the_command_runs(runs):
    """The command and anybody else use the same data directory meanwhile."""
    script = f"{BINARY} store put page home - -q <<<'{{}}' && {BINARY} state show feed -o json"
    result = runs.do("bash", "-c", script, env={"HOLDFAST_DATA": str(runs.data)})
    assert result.returncode == 0, result
    assert json.loads(result.stdout)["lease"]["run"] == "feed@1"


def test_a_daemon_may_come_and_go(tmp_path):
    from runs import Runs
    runs = Runs(tmp_path / "data")
    process = runs.start("sh", "-c", f"echo 1 >$HOLDFAST_STATE_FILE; echo >{tmp_path}/at; while test -e {tmp_path}/at; do sleep .01; done")
    wait_for(lambda: (tmp_path / "at").exists(), "the command")
    runs.serve(listen="none")
    (tmp_path / "at").unlink()
    assert process.wait(60) == 0
    assert runs.state() == b"1\n"
    process = runs.start("sh", "-c", f"echo 2 >$HOLDFAST_STATE_FILE; echo >{tmp_path}/at; while test -e {tmp_path}/at; do sleep .01; done")
    wait_for(lambda: (tmp_path / "at").exists(), "the command")
    runs.kill()
    (tmp_path / "at").unlink()
    assert process.wait(60) == 0
    assert runs.state() == b"2\n"
    assert runs.outcomes() == ["ok", "ok"]


# ---- signals and time ----

def test_signals_are_passed_on(runs, tmp_path):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        name = signal.Signals(number).name[3:]
        process = runs.start("sh", "-c", f"trap 'echo got {name}; exit 9' {name}; echo; while :; do sleep .02; done")
        assert process.stdout.readline() == b"\n"
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
        assert (out, process.returncode) == (f"got {name}\n".encode(), 9)
        assert runs.outcomes()[-1] == "killed"
        assert name in runs.ledger()[-1]["reason"]


def test_a_command_that_ends_well_when_told_to_has_its_state_taken(runs):
    process = runs.start("sh", "-c", "trap 'echo done >$HOLDFAST_STATE_FILE; exit 0' TERM; echo; while :; do sleep .02; done")
    process.stdout.readline()
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert runs.state() == b"done\n"


def test_a_time_out_ends_everything_that_was_started(runs, tmp_path):
    """Also what has a session of its own, and what does not mind TERM."""
    script = f"""
        setsid sh -c 'echo $$ >{tmp_path}/far; exec sleep 1000' &
        sh -c 'trap "" TERM; echo $$ >{tmp_path}/deaf; sleep 1000; sleep 1000' &
        echo bad >$HOLDFAST_STATE_FILE; wait"""
    began = time.monotonic()
    process = runs.start("sh", "-c", script, options=["--timeout", "1s"])
    pids = [int(read_soon(tmp_path / name)) for name in ("far", "deaf")]
    _, err = process.communicate(timeout=60)
    assert process.returncode == 124
    assert time.monotonic() - began > 10  # the deaf one was waited for
    assert b"it took over 1s" in err
    for pid in pids:
        assert not is_there(pid)
    row = runs.ledger()[-1]
    assert row["outcome"] == "timeout"
    assert runs.state() is None and runs.head()["lease"] is None


def test_a_time_out_that_is_obeyed(runs):
    began = time.monotonic()
    assert runs.sh("sleep 1000", "--timeout", "100ms").returncode == 124
    assert time.monotonic() - began < 10
    assert runs.sh("exit 3", "--timeout", "1h").returncode == 3


def test_kill_9_of_the_run_ends_the_command_and_frees_the_lease(runs, tmp_path):
    process = runs.start("sh", "-c", f"echo $$ >{tmp_path}/pid; exec sleep 1000")
    pid = int(read_soon(tmp_path / "pid"))
    process.kill()
    process.communicate()
    wait_gone(pid)
    runs.well("true")  # at once: nothing has to be waited for
    assert runs.outcomes() == ["lost", "ok"]
    assert runs.left_behind() == []


def test_kill_9_of_the_run_with_its_parent_not_looking(runs, tmp_path):
    """A zombie that nobody reaps holds no lease."""
    process = runs.start("sh", "-c", f"echo $$ >{tmp_path}/pid; exec sleep 1000")
    pid = int(read_soon(tmp_path / "pid"))
    os.kill(process.pid, signal.SIGKILL)
    wait_gone(pid)
    runs.well("true")
    end(process)


def test_ctrl_c_at_a_terminal_reaches_the_command_once(tmp_path):
    """It can also read from the terminal: it is in the foreground."""
    from runs import Runs
    runs = Runs(tmp_path / "data")
    script = ("import signal, sys\n"
              "got = []\n"
              "signal.signal(signal.SIGINT, lambda *_: got.append(1))\n"
              "print('ready', flush=True)\n"
              "while True:\n"
              "    line = sys.stdin.readline()\n"
              "    print('line', line.strip(), len(got), flush=True)\n"
              "    if line == 'end\\n':\n"
              "        sys.exit(0)\n")
    pid, terminal = pty.fork()
    if pid == 0:
        words = runs.words("/usr/bin/python3", "-S", "-c", script)
        os.execv(words[0], words)
    seen = b""

    def read_until(text):
        nonlocal seen
        while text not in seen:
            seen += os.read(terminal, 4096)
    read_until(b"ready")
    os.write(terminal, b"hello\n")
    read_until(b"line hello 0")
    os.write(terminal, b"\x03")
    read_until(b"^C")
    time.sleep(0.2)  # a second one would come within this time
    os.write(terminal, b"end\n")
    read_until(b"line end 1")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)


def test_nohup_holds_for_the_command_too(runs):
    result = runs.do("grep", "SigIgn", "/proc/self/status", env={})
    process = subprocess.run(["nohup", *runs.words("grep", "SigIgn", "/proc/self/status")], capture_output=True,
                             stdin=subprocess.DEVNULL)
    plain, ignoring = (int(out.split()[1], 16) for out in (result.stdout, process.stdout))
    assert ignoring & 1 and not plain & 1
