"""Limits of a file system: full, without inodes, read-only."""
import contextlib
import os
import subprocess

from disks import disk, run


class Served:
    """The program that obeys lines."""

    def __init__(self, writer, folder):
        self.child = subprocess.Popen([writer, "serve", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True, bufsize=1)

    def ask(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().strip()

    def want(self, line, start):
        said = self.ask(line)
        assert said.startswith(start), f"{line}: {said!r}, not {start!r}"
        return said

    def close(self):
        self.child.stdin.close()
        self.child.wait(timeout=30)
        self.child.stdout.close()


@contextlib.contextmanager
def served(writer, folder):
    program = Served(writer, folder)
    try:
        yield program
    finally:
        if program.child.poll() is None:
            try:
                program.close()
            except (OSError, subprocess.TimeoutExpired):
                program.child.kill()
                program.child.wait()


def fill(folder):
    ballast = os.path.join(folder, "ballast")
    with open(ballast, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return ballast


def put_until_refused(program, word):
    """Returns the ids that were acknowledged."""
    acknowledged = []
    for number in range(2000):
        said = program.ask(f"put p{number} 60000")
        if not said.startswith("ok"):
            assert said.startswith(f"error {word}"), said
            return acknowledged
        acknowledged.append(f"p{number}")
    raise AssertionError("the disk never got full")


def test_full_disk(writer):
    with disk(24) as target:
        target.mount()
        with served(writer, target.mount_point) as program:
            program.want("open", "ok")
            for number in range(5):
                program.want(f"put first{number} 5000", "ok")
            ballast = fill(target.mount_point)
            acknowledged = put_until_refused(program, "no_space 507")
            for _ in range(3):
                program.want("put big 200000", "error no_space 507")
            for name in acknowledged + [f"first{number}" for number in range(5)]:
                program.want(f"get {name}", "ok")
            os.unlink(ballast)
            program.want("put after 200000", "ok")  # without opening again
            program.want("check", "ok")
            program.want("close", "ok")
            program.want("open", "ok")
            for name in acknowledged + ["after"]:
                program.want(f"get {name}", "ok")
            program.want("check", "ok")


def test_full_disk_at_the_start(writer):
    with disk(24) as target:
        target.mount()
        ballast = fill(target.mount_point)
        with served(writer, target.mount_point) as program:
            program.want("open", "error no_space 507")
            os.unlink(ballast)
            program.want("open", "ok")
            program.want("put one 100", "ok")
            program.want("check", "ok")


def test_no_inode_left(writer):
    with disk(24, "-N", "64") as target:
        target.mount()
        names = []
        with contextlib.suppress(OSError):
            for number in range(100):
                names.append(os.path.join(target.mount_point, f"file{number}"))
                open(names[-1], "wb").close()
        with served(writer, target.mount_point) as program:
            program.want("open", "error no_space 507")
            for name in names[:8]:
                os.unlink(name)
            program.want("open", "ok")
            program.want("put one 100", "ok")


def test_read_only_from_the_start(writer):
    with disk(24) as target:
        target.mount()
        with served(writer, target.mount_point) as program:
            program.want("open", "ok")
            program.want("put one 100", "ok")
        target.unmount()
        target.mount("ro")
        with served(writer, target.mount_point) as program:
            program.want("open", "error store_readonly 503")
        target.unmount()
        target.mount()
        with served(writer, target.mount_point) as program:
            program.want("open", "ok")
            program.want("get one", "ok")
            program.want("check", "ok")


def test_read_only_on_the_way(writer):
    """What ext4 does when it finds itself damaged (errors=remount-ro)."""
    with disk(24, "-e", "remount-ro") as target:
        target.mount()
        with served(writer, target.mount_point) as program:
            program.want("open", "ok")
            program.want("put one 100", "ok")
            run("mount", "-o", "remount,abort", target.mount_point, check=False)
            said = program.ask("put two 100")
            assert said.startswith(("error store_readonly 503", "error store_failed 503")), said
            program.want("get one", "ok")
        target.unmount()
        run("fsck.ext4", "-p", "-f", target.image, check=False)
        target.mount()
        with served(writer, target.mount_point) as program:
            program.want("open", "ok")
            program.want("get one", "ok")
            program.want("put two 100", "ok")
            program.want("check", "ok")


TESTS = [test_full_disk, test_full_disk_at_the_start, test_no_inode_left, test_read_only_from_the_start,
         test_read_only_on_the_way]
