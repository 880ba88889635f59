# runner: waits
"""How the program is started, and what the daemon is doing, are not always as they should be."""
import os
import resource
import signal
import subprocess
import time

from conftest import BINARY


def start_without_descriptors(holdfast, *words):
    def close_them():
        for number in (0, 1, 2):
            os.close(number)

    return subprocess.Popen([BINARY, "--data", str(holdfast.data), *words], preexec_fn=close_them)


def test_closed_descriptors_are_not_taken_for_output(holdfast):
    daemon = start_without_descriptors(holdfast, "serve", "--listen", "none")
    try:
        socket = holdfast.data / "holdfast.sock"
        end = time.monotonic() + 60
        while not socket.exists() and time.monotonic() < end:
            time.sleep(0.02)
        for number in (0, 1, 2):
            assert os.readlink(f"/proc/{daemon.pid}/fd/{number}") == "/dev/null"
        assert b"holdfast ready" not in (holdfast.data / "lock").read_bytes()
    finally:
        daemon.terminate()
        assert daemon.wait(60) == 0


def test_a_command_gets_whole_descriptors(holdfast, tmp_path):
    said = tmp_path / "said"
    run = start_without_descriptors(holdfast, "run", "x", "--", "sh", "-c",
                                    f"readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2 > {said}; wc -c >> {said}")
    assert run.wait(60) == 0
    lines = said.read_text().split()
    assert lines[0] == "/dev/null" and lines[2] == "/dev/null" and lines[3] == "0"


def test_a_file_that_may_not_grow_is_an_error(holdfast):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100 * 1024, 100 * 1024))

    done = subprocess.run([BINARY, "--data", str(holdfast.data), "state", "set", "x", "-"], input=b'{"n":1}',
                          capture_output=True, preexec_fn=limit, check=False)
    assert done.returncode == 74 and b"File too large" in done.stderr
    holdfast.run("state", "set", "x", "-", input=b'{"n":2}')
    assert holdfast.run("state", "get", "x").stdout == b'{"n":2}'


def test_a_daemon_that_is_stopped_is_not_waited_for(holdfast):
    holdfast.serve()
    holdfast.run("state", "set", "x", "-", input=b'{"n":1}')
    holdfast.process.send_signal(signal.SIGSTOP)
    try:
        done = holdfast.run("state", "get", "x", check=False)
        assert done.returncode == 75 and b"does not answer" in done.stderr
    finally:
        holdfast.process.send_signal(signal.SIGCONT)
    assert holdfast.run("state", "get", "x").stdout == b'{"n":1}'
