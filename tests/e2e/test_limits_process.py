"""Limits of a process: no descriptor left, no permission, a mapped file that somebody else cuts. The daemon and the
library."""

import contextlib
import os
import resource
import socket
import time
from pathlib import Path

from conftest import wait_for
from limits import BOTH, LIBRARY, ROOT_ONLY, child, run


@BOTH
def test_S8_no_descriptor_is_free(tmp_path, url):
    with child(files=128) as program:
        program.must("open", url.format(tmp_path))
        program.must("put", "one", 100)
        program.must("take_descriptors", 0)
        program.must("get", "one")
        answer = program.ask("put", "two", 100)
        assert answer["word"] in ("ok", "too_many_files"), answer
        if answer["word"] != "ok":
            assert (answer["status"], answer["retryable"]) == (503, 1)
        program.must("give_descriptors")
        program.must("put", "two", 100)
        assert program.must("check")["findings"] == 0
        program.must("close")
        program.must("take_descriptors", 2)
        answer = program.ask("open", url.format(tmp_path))
        assert (answer["word"], answer["status"], answer["retryable"]) == ("too_many_files", 503, 1), answer


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_S8_daemon_with_few_descriptors(holdfast):
    """More callers than it has descriptors for: it does not spin, who is connected is served, and all are again when
    the others have gone."""
    holdfast.serve()
    address, port = holdfast.address.removeprefix("http://").split(":")
    resource.prlimit(holdfast.process.pid, resource.RLIMIT_NOFILE, (64, 64))
    crowd = []
    try:
        first = socket.create_connection((address, int(port)))
        first.sendall(b"GET /livez HTTP/1.1\r\nHost: %s:%s\r\n\r\n" % (address.encode(), port.encode()))
        assert b" 200 " in first.recv(4096)
        for _ in range(120):
            crowd.append(socket.create_connection((address, int(port))))
        time.sleep(0.3)
        before = cpu_seconds(holdfast.process.pid)
        time.sleep(1)
        assert cpu_seconds(holdfast.process.pid) - before < 0.5, "it spins"
        first.sendall(b"GET /healthz HTTP/1.1\r\nHost: %s:%s\r\n\r\n" % (address.encode(), port.encode()))
        assert b"HTTP/1.1 200" in first.recv(4096)
    finally:
        for connection in crowd:
            connection.close()
    wait_for(lambda: holdfast.curl("http://x/livez").status == 200, "the daemon to answer again")
    first.close()


def test_S8_children_leave_some_descriptors(holdfast):
    """More sources than it has descriptors for: some cannot start, which is said, and whoever asks how it goes is
    answered."""
    holdfast.serve()
    resource.prlimit(holdfast.process.pid, resource.RLIMIT_NOFILE, (80, 80))
    for number in range(30):
        holdfast.run("source", "add", f"s{number}", "--kind", "command", "--interval", "1h", "--start", "--", "sleep", "1000")
    wait_for(lambda: "Too many open files" in holdfast.log_text(), "a source that cannot start")
    address, port = holdfast.address.removeprefix("http://").split(":")
    with contextlib.ExitStack() as callers:
        for _ in range(12):
            caller = callers.enter_context(socket.create_connection((address, int(port)), timeout=10))
            caller.sendall(b"GET /healthz HTTP/1.1\r\nHost: %s:%s\r\n\r\n" % (address.encode(), port.encode()))
            assert b"HTTP/1.1 200" in caller.recv(4096)
        holdfast.run("store", "put", "page", "home", "-", input=b"1")
    states = [source["status"] for source in holdfast.json("source", "list")]
    assert 5 < states.count("running") < 30, states


@ROOT_ONLY
def test_S9_one_file_of_another_user(tmp_path):
    nobody = 65534
    tree = tmp_path / "tree"
    for name in ("a", "b", "c"):
        (tree / name).mkdir(parents=True)
        (tree / name / "watch.json").write_text('{"title": "%s"}' % name)
    for path in [tree, *tree.rglob("*")]:
        os.chown(path, nobody, nobody)
    os.chown(tree / "b" / "watch.json", 0, 0)
    os.chmod(tree / "b" / "watch.json", 0o600)
    if run("su", "-s", "/bin/sh", "nobody", "-c", f"test -r {tree}/a/watch.json && test -r {LIBRARY}").returncode:
        for folder in (tmp_path, *tmp_path.parents):  # pytest's folders are its user's alone
            if folder.owner() == "root" and str(folder).startswith("/tmp/"):
                os.chmod(folder, 0o755)
    with child(user=nobody) as program:
        program.must("open", f"tree:{tree}?layout=watch")
        program.must("get", "a")
        program.must("get", "c")
        answer = program.ask("get", "b")
        assert answer["word"] == "permission" and "b" in answer["message"], answer
        assert program.must("check")["findings"] == 1


def kill_and_open_again(program, url):
    """As after a SIGKILL: everything that was acknowledged is there."""
    with child() as other:
        other.must("open", url)
        other.must("get", "one")
        other.must("put", "three", 100)
        assert other.must("check")["findings"] == 0


def test_S11_mapped_file_cut_by_another_program(tmp_path):
    """The kernel ends a process that reads a mapped file behind its end. Nothing that was acknowledged is lost by it,
    and no help is needed."""
    url = f"sqlite:{tmp_path}/store.db"
    with child() as program:
        program.must("open", url)
        program.must("put", "one", 100)
        os.truncate(tmp_path / "store.db-shm", 0)
        with contextlib.suppress(OSError, ValueError):
            for _ in range(3):
                program.ask("put", "two", 100)
        program.process.kill()
        program.process.wait()
    kill_and_open_again(program, url)


def test_S11_check_of_a_damaged_store_ends_nobody(running, tmp_path):
    """The command checks a foreign store in a process of its own; the daemon lives."""
    with child() as program:
        program.must("open", f"sqlite:{tmp_path}/other.db")
        for number in range(50):
            program.must("put", f"p{number}", 1000)
        program.must("close")
    with open(tmp_path / "other.db", "r+b") as file:
        file.seek(3 * 8192)
        file.write(os.urandom(8192))
    with child() as program:
        answer = program.ask("open", f"sqlite:{tmp_path}/other.db")
        if answer["word"] == "ok":
            answer = program.ask("check")
            assert answer["word"] == "corrupt" or answer["findings"] > 0
        else:
            assert answer["word"] == "corrupt", answer
        assert program.process.poll() is None
    assert running.curl("http://x/livez").status == 200
