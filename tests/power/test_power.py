#!/usr/bin/python3
"""Real power cuts and real limits of file systems, on loop devices. Root only.

usage: tests/power/test_power.py POWER_WRITER

A program commits to an ext4 file system and tells of each acknowledgement; the file system is shut down under it without
a flush, mounted again, and looked at. HOLDFAST_POWER_CUTS says how many times, HOLDFAST_POWER_SEED where the random
moments begin. Prints TAP.
"""

import array
import contextlib
import fcntl
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2
CUTS = int(os.environ.get("HOLDFAST_POWER_CUTS") or 200)
LYING_CUTS = 40
FRESH_EVERY = 25
SEED = int(os.environ.get("HOLDFAST_POWER_SEED") or 1)
WRITERS = 4


def run(*command, check=True):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace")
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout.strip()}")
    return done


class Disk:
    """A file system on a loop device; nothing of it is left behind."""

    def __init__(self, folder, size_mib, *mkfs_options):
        self.image, self.mount_point = os.path.join(folder, "image"), os.path.join(folder, "mnt")
        self.device, self.is_mounted = None, False
        os.mkdir(self.mount_point)
        self.size_bytes, self.mkfs_options = size_mib << 20, mkfs_options
        self.format()

    def format(self):
        with open(self.image, "wb") as file:
            file.truncate(self.size_bytes)
        run("mkfs.ext4", "-q", "-F", *self.mkfs_options, self.image)
        self.device = run("losetup", "--find", "--show", self.image).stdout.strip()

    def mount(self, options="defaults"):
        run("mount", "-t", "ext4", "-o", options, self.device, self.mount_point)
        self.is_mounted = True

    def unmount(self):
        for _ in range(100):
            if run("umount", self.mount_point, check=False).returncode == 0:
                self.is_mounted = False
                return
            time.sleep(0.02)
        raise RuntimeError(f"cannot unmount {self.mount_point}")

    def cut(self):
        handle = os.open(self.mount_point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, array.array("I", [NO_LOG_FLUSH]))
        finally:
            os.close(handle)

    def close(self):
        if self.is_mounted and run("umount", self.mount_point, check=False).returncode != 0:
            run("umount", "--lazy", self.mount_point, check=False)
        if self.device:
            run("losetup", "--detach", self.device, check=False)
        self.device, self.is_mounted = None, False


@contextlib.contextmanager
def disk(size_mib, *mkfs_options):
    folder = tempfile.mkdtemp(prefix="holdfast-power-")
    made = None
    try:
        made = Disk(folder, size_mib, *mkfs_options)
        yield made
    finally:
        if made:
            made.close()
        shutil.rmtree(folder, ignore_errors=True)


# ---- power cuts ------------------------------------------------------------------------------------------------------


def numbers_of(lines):
    """The newest number of each writer."""
    newest = dict.fromkeys(range(WRITERS), 0)
    for line in lines:
        words = line.split()
        if len(words) == 2 and words[0].isdigit() and int(words[0]) in newest:
            newest[int(words[0])] = max(newest[int(words[0])], int(words[1]))
    return newest


def read_for(pipe, seconds):
    """What came within the time, and then all that had come by its end."""
    text, end = b"", time.monotonic() + seconds
    while True:
        left = max(0.0, end - time.monotonic())
        if not select.select([pipe], [], [], left)[0]:
            return text
        got = os.read(pipe, 1 << 16)
        if not got:
            return text
        text += got


def cut_once(target, writer, seconds, lying):
    """Returns (acknowledged, found, complaint). The acknowledgements are read before the cut."""
    target.mount()
    child = subprocess.Popen([writer, "write", target.mount_point, *(["lying"] if lying else [])],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        text = read_for(child.stdout.fileno(), seconds)
        target.cut()
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    target.unmount()
    target.mount()
    looked = run(writer, "verify", target.mount_point, check=False)
    target.unmount()
    lines = looked.stdout.splitlines()
    whole = text[:text.rfind(b"\n") + 1].decode()
    complaint = "" if looked.returncode == 0 and "clean" in lines else looked.stdout.strip() or "ended badly"
    return numbers_of(whole.splitlines()), numbers_of(lines), complaint


def lost(acknowledged, found):
    return [f"writer {index}: found {found[index]}, acknowledged {number}" for index, number in acknowledged.items()
            if found[index] < number]


def cuts(writer, count, lying):
    """Returns the complaints, one per cut that lost something, and how often something was acknowledged before it."""
    chance, complaints, told = random.Random(SEED), [], 0
    with disk(64) as target:
        for number in range(count):
            acknowledged, found, complaint = cut_once(target, writer, chance.uniform(0.001, 0.04), lying)
            told += any(acknowledged.values())
            wrong = lost(acknowledged, found) + ([complaint] if complaint else [])
            if wrong:
                complaints.append(f"cut {number}: " + "; ".join(wrong))
            if wrong or number % FRESH_EVERY == FRESH_EVERY - 1:  # what is broken stays so; what is long takes long
                target.close()
                target.format()
    return complaints, told


def test_nothing_is_lost(writer):
    started = time.monotonic()
    complaints, told = cuts(writer, CUTS, lying=False)
    seconds = time.monotonic() - started
    print(f"# {CUTS} cuts, {CUTS / seconds:.1f} a second, {told} after acknowledgements, {len(complaints)} lost something",
          flush=True)
    assert not complaints, "\n".join(complaints[:5])
    assert told * 4 > CUTS, "the cuts came too early to prove much"


def test_missing_syncs_lose_data(writer):
    complaints, _ = cuts(writer, LYING_CUTS, lying=True)
    print(f"# without fsync: {len(complaints)} of {LYING_CUTS} cuts lost something", flush=True)
    assert complaints, "the test cannot see a loss"


# ---- limits ----------------------------------------------------------------------------------------------------------


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


TESTS = [test_missing_syncs_lose_data, test_nothing_is_lost, test_full_disk, test_full_disk_at_the_start, test_no_inode_left,
         test_read_only_from_the_start, test_read_only_on_the_way]


def reason_to_skip():
    if os.geteuid() != 0:
        return "loop devices and mounts need root"
    for program in ("mkfs.ext4", "losetup", "mount"):
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/sbin:/usr/sbin"):
            return f"there is no {program}"
    try:
        with disk(8) as target:
            target.mount()
            target.cut()
    except (OSError, RuntimeError) as error:
        return f"no file system can be mounted and shut down here: {error}"
    return None


def main():
    os.environ["PATH"] += ":/sbin:/usr/sbin"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was mounted is unmounted
    reason, failed = reason_to_skip(), 0
    print(f"1..{len(TESTS)}", flush=True)
    for number, test in enumerate(TESTS, 1):
        name = test.__name__.removeprefix("test_")
        if reason:
            print(f"ok {number} - {name} # skip {reason}", flush=True)
            continue
        try:
            test(sys.argv[1])
            print(f"ok {number} - {name}", flush=True)
        except Exception as error:  # one case that fails does not end the others
            failed += 1
            print("\n".join(f"# {line}" for line in (f"{type(error).__name__}: {error}").splitlines()))
            print(f"not ok {number} - {name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
