"""Limits that only a real machine has: file systems that are full, read-only, or of another kind; no descriptor left; no
permission; a mapped file cut by somebody else. The daemon and the library, as root where mounts are needed."""

import contextlib
import ctypes
import glob
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

if __name__ != "__main__":
    from conftest import BINARY, wait_for

    LIBRARY = next(iter(glob.glob(os.path.join(os.path.dirname(BINARY), "**/libholdfast.so.0"), recursive=True)), None)

URLS = ["sqlite:{}/store.db", "tree:{}/tree?layout=watch"]
BOTH = pytest.mark.parametrize("url", URLS, ids=["sqlite", "tree"])
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and other users need root")


# ---- a program over the library, in a process of its own -------------------------------------------------------------


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("system_errno", ctypes.c_int), ("message", ctypes.c_char * 512),
                ("hint", ctypes.c_char * 256), ("origin", ctypes.c_char * 64)]


class Program:
    """What the child does, line by line."""

    def __init__(self, library):
        self.library = ctypes.CDLL(library)
        self.library.hf_code_word.restype = ctypes.c_char_p
        self.store, self.error = ctypes.c_void_p(), Error()

    def answer(self, code):
        word = self.library.hf_code_word(code).decode() if code else "ok"
        return {"word": word, "message": self.error.message.decode() if code else "",
                "status": self.library.hf_code_http_status(code) if code else 200,
                "retryable": self.library.hf_code_is_retryable(code) if code else 0}

    def open(self, url):
        return self.answer(self.library.hf_store_open(url.encode(), None, ctypes.byref(self.store),
                                                      ctypes.byref(self.error)))

    def put(self, name, size):
        text = json.dumps({"name": name, "fill": "x" * size}).encode()
        return self.answer(self.library.hf_store_put(self.store, b"watch", name.encode(), text,
                                                     ctypes.c_size_t(len(text)), None, ctypes.byref(self.error)))

    def get(self, name):
        record = ctypes.c_void_p()
        code = self.library.hf_store_get(self.store, b"watch", name.encode(), ctypes.byref(record),
                                         ctypes.byref(self.error))
        self.library.hf_record_free(ctypes.byref(record))
        return self.answer(code)

    def check(self):
        result = (ctypes.c_uint64 * 4)()
        code = self.library.hf_store_check(self.store, None, None, result, ctypes.byref(self.error))
        return {**self.answer(code), "findings": result[3]}

    def close(self):
        self.library.hf_store_close(ctypes.byref(self.store))
        return self.answer(0)

    def take_descriptors(self, left):
        """Opens files until only so many are free."""
        taken = []
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        for fd in taken[len(taken) - left:] if left else []:
            os.close(fd)
        self.taken = taken[:len(taken) - left]
        return self.answer(0)

    def give_descriptors(self):
        for fd in self.taken:
            os.close(fd)
        return self.answer(0)


def child_main():
    program = Program(sys.argv[1])
    for line in sys.stdin:
        verb, *words = json.loads(line)
        print(json.dumps(getattr(program, verb)(*words)), flush=True)


class Child:
    def __init__(self, user=None, files=None):
        def limit():
            if files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        self.process = subprocess.Popen([sys.executable, __file__, LIBRARY], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1, preexec_fn=limit, user=user,
                                        cwd="/")

    def ask(self, *words):
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def must(self, *words):
        answer = self.ask(*words)
        assert answer["word"] == "ok", (words, answer)
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=30)


@contextlib.contextmanager
def child(**options):
    if not LIBRARY:
        pytest.skip("libholdfast.so is not built")
    it = Child(**options)
    try:
        yield it
    finally:
        if it.process.poll() is None:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                it.close()
        if it.process.poll() is None:
            it.process.kill()
            it.process.wait()


# ---- file systems ----------------------------------------------------------------------------------------------------


def run(*command):
    environment = {**os.environ, "PATH": os.environ["PATH"] + ":/sbin:/usr/sbin"}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@contextlib.contextmanager
def mounted(tmp_path, kind, options="", make=None, size_mib=24):
    """A file system of the kind; skipped with the reason where it cannot be had."""
    place, image, source = tmp_path / f"mnt-{kind}", tmp_path / f"image-{kind}", kind
    place.mkdir()
    device = None
    if make:
        if not shutil.which(make[0], path=os.environ["PATH"] + ":/sbin:/usr/sbin"):
            pytest.skip(f"there is no {make[0]}")
        with open(image, "wb") as file:
            file.truncate(size_mib << 20)
        assert run(*make, str(image)).returncode == 0
        made = run("losetup", "--find", "--show", str(image))
        if made.returncode:
            pytest.skip(f"no loop device: {made.stderr.strip()}")
        device = source = made.stdout.strip()
    try:
        done = run("mount", "-t", kind, *(["-o", options] if options else []), source, str(place))
        if done.returncode:
            pytest.skip(f"{kind} cannot be mounted: {done.stderr.strip()}")
        yield place
    finally:
        for _ in range(50):
            if run("umount", str(place)).returncode == 0 or not os.path.ismount(place):
                break
            time.sleep(0.05)
        if device:
            run("losetup", "--detach", device)


def fill(folder):
    ballast = os.path.join(folder, "ballast")
    with open(ballast, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return ballast


@ROOT_ONLY
@BOTH
@pytest.mark.parametrize("kind,make", [("tmpfs", None), ("ext4", ["mkfs.ext4", "-q", "-F"])], ids=["tmpfs", "ext4"])
def test_S4_full_and_freed(tmp_path, url, kind, make):
    with mounted(tmp_path, kind, "size=24m" if kind == "tmpfs" else "", make) as place, child() as program:
        program.must("open", url.format(place))
        program.must("put", "first", 5000)
        ballast = fill(place)
        acknowledged = ["first"]
        for number in range(2000):
            answer = program.ask("put", f"p{number}", 60000)
            if answer["word"] != "ok":
                break
            acknowledged.append(f"p{number}")
        assert (answer["word"], answer["status"], answer["retryable"]) == ("no_space", 507, 1), answer
        for name in acknowledged:
            program.must("get", name)
        os.unlink(ballast)
        program.must("put", "after", 60000)  # without opening again
        assert program.must("check")["findings"] == 0
        program.must("close")
        program.must("open", url.format(place))
        for name in acknowledged + ["after"]:
            program.must("get", name)
        assert program.must("check")["findings"] == 0
        assert not [path for path in Path(place).rglob("*") if path.is_file() and "staged" in path.parts]


@ROOT_ONLY
@BOTH
def test_S7_remounted_read_only_and_back(tmp_path, url):
    """The kernel refuses to remount what has files open for writing; whoever forces it comes by a damaged journal. So:
    read-only when it is opened, and back again."""
    with mounted(tmp_path, "ext4", "", ["mkfs.ext4", "-q", "-F"]) as place, child() as program:
        program.must("open", url.format(place))
        program.must("put", "one", 100)
        assert run("mount", "-o", "remount,ro", str(place)).returncode != 0
        program.must("put", "two", 100)
        program.must("close")
        assert run("mount", "-o", "remount,ro", str(place)).returncode == 0
        answer = program.ask("open", url.format(place))
        assert (answer["word"], answer["status"]) == ("store_readonly", 503), answer
        assert run("mount", "-o", "remount,rw", str(place)).returncode == 0
        program.must("open", url.format(place))
        for name in ("one", "two"):
            program.must("get", name)
        program.must("put", "three", 100)


@ROOT_ONLY
@BOTH
def test_S7_read_only_by_an_error(tmp_path, url):
    """What ext4 does when it finds itself damaged: writes fail within one, reads go on."""
    with mounted(tmp_path, "ext4", "", ["mkfs.ext4", "-q", "-F", "-e", "remount-ro"]) as place, child() as program:
        program.must("open", url.format(place))
        program.must("put", "one", 100)
        run("mount", "-o", "remount,abort", str(place))
        answer = program.ask("put", "two", 100)
        assert answer["word"] in ("store_readonly", "store_failed") and answer["status"] == 503, answer
        program.must("get", "one")


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


@ROOT_ONLY
@BOTH
@pytest.mark.parametrize("kind", ["overlay", "vfat", "tmpfs", "xfs", "btrfs"])
def test_S15_other_file_systems(tmp_path, url, kind):
    """It works, or it is refused with the reason."""
    make = {"vfat": ["mkfs.vfat"], "xfs": ["mkfs.xfs", "-q"], "btrfs": ["mkfs.btrfs", "-q"]}.get(kind)
    options = ""
    if kind == "overlay":
        base = tmp_path / "base"  # an overlay cannot lie on an overlay
        base.mkdir()
        with mounted(tmp_path, "tmpfs", "size=64m") as ground:
            for name in ("lower", "upper", "work"):
                (ground / name).mkdir()
            options = f"lowerdir={ground}/lower,upperdir={ground}/upper,workdir={ground}/work"
            with mounted(base, "overlay", options) as place:
                use_or_refuse(url.format(place))
        return
    with mounted(tmp_path, kind, options, make, size_mib=320) as place:
        use_or_refuse(url.format(place))


def use_or_refuse(url):
    with child() as program:
        answer = program.ask("open", url)
        if answer["word"] != "ok":
            assert answer["word"] == "unsupported" and "the file system cannot" in answer["message"], answer
            return
        program.must("put", "one", 100)
        with child() as second:
            assert second.ask("open", url)["word"] == "store_locked"
        program.process.send_signal(signal.SIGKILL)
        program.process.wait()
    with child() as program:
        program.must("open", url)
        program.must("get", "one")
        assert program.must("check")["findings"] == 0


if __name__ == "__main__":
    child_main()
