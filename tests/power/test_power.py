#!/usr/bin/python3
"""Real power cuts and real limits of file systems, on loop devices. Root only.

usage: tests/power/test_power.py POWER_WRITER

A program commits to a file system (ext4, and xfs where the kernel has it) and tells of each acknowledgement; the file
system is shut down under it without a flush, mounted again, and looked at. HOLDFAST_POWER_CUTS says how many times in
all, HOLDFAST_POWER_SEED where the random moments begin. Prints TAP.
"""

import array
import contextlib
import dataclasses
import fcntl
import functools
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

IOC_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, and XFS_IOC_GOINGDOWN
NO_LOG_FLUSH = 2
CUTS = int(os.environ.get("HOLDFAST_POWER_CUTS") or 400)
LYING_CUTS = 20
EARLY_SHARE = 0.3
PATIENCE_S = 20
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

    def __init__(self, folder, size_mib, *mkfs_options, system="ext4"):
        self.system = system
        self.image, self.mount_point = os.path.join(folder, "image"), os.path.join(folder, "mnt")
        self.device, self.is_mounted = None, False
        os.mkdir(self.mount_point)
        self.size_bytes, self.mkfs_options = size_mib << 20, mkfs_options
        self.format()

    def format(self):
        with open(self.image, "wb") as file:
            file.truncate(self.size_bytes)
        run(f"mkfs.{self.system}", "-q", *(["-F"] if self.system == "ext4" else ["-K"]), *self.mkfs_options, self.image)
        self.device = run("losetup", "--find", "--show", self.image).stdout.strip()

    def mount(self, options="defaults"):
        run("mount", "-t", self.system, "-o", options, self.device, self.mount_point)
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
            fcntl.ioctl(handle, IOC_SHUTDOWN, array.array("I", [NO_LOG_FLUSH]))
        finally:
            os.close(handle)

    def close(self):
        if self.is_mounted and run("umount", self.mount_point, check=False).returncode != 0:
            run("umount", "--lazy", self.mount_point, check=False)
        if self.device:
            run("losetup", "--detach", self.device, check=False)
        self.device, self.is_mounted = None, False


@contextlib.contextmanager
def disk(size_mib, *mkfs_options, system="ext4"):
    folder = tempfile.mkdtemp(prefix="holdfast-power-")
    made = None
    try:
        made = Disk(folder, size_mib, *mkfs_options, system=system)
        yield made
    finally:
        if made:
            made.close()
        shutil.rmtree(folder, ignore_errors=True)


# ---- power cuts ------------------------------------------------------------------------------------------------------


SIZE_MIB = {"ext4": 64, "xfs": 320}  # mkfs.xfs makes none that is smaller than 300


@dataclasses.dataclass
class Program:
    """What power_writer is told to do on which file system; weight: its share of the cuts."""
    system: str
    words: tuple = ()
    weight: int = 1
    files_too: bool = False  # the files must hold each acknowledged record before the store is opened again

    def __str__(self):
        return " ".join([self.system, *(self.words or ("sqlite",))])


BY_ID, BY_KIND, EACH_FILE = "tree:layout=watch", "tree:layout=kind", "tree:layout=kind&durable=file"
PROGRAMS = [program for system in ("ext4", "xfs") for program in (
    Program(system, weight=3),
    Program(system, (BY_ID,), 2),
    Program(system, (BY_KIND,)),
    Program(system, (EACH_FILE,), 2, files_too=True),
    Program(system, ("saver",)),
    Program(system, (BY_ID, "saver"), 2),
    Program(system, (EACH_FILE, "saver"), files_too=True))]


def numbers_of(lines, front=()):
    """The newest number of each writer."""
    newest = dict.fromkeys(range(WRITERS), 0)
    for line in lines:
        words = line.split()
        if tuple(words[:-2]) == tuple(front) and len(words) >= 2 and words[-2].isdigit() and int(words[-2]) in newest:
            newest[int(words[-2])] = max(newest[int(words[-2])], int(words[-1]))
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


def lost(acknowledged, found, where):
    return [f"writer {index}: {where} {found[index]}, acknowledged {number}" for index, number in acknowledged.items()
            if found[index] < number]


def cut_once(target, writer, program, chance, lying):
    """Returns (was anything acknowledged, complaints). The acknowledgements are read before the cut: at any moment while
    the store is opened or made, or some time after the first of them."""
    target.mount()
    words = [*program.words, *(["lying"] if lying else [])]
    child = subprocess.Popen([writer, "write", target.mount_point, *words],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        if chance.random() > EARLY_SHARE:
            select.select([child.stdout], [], [], PATIENCE_S)
        text = read_for(child.stdout.fileno(), chance.uniform(0.001, 0.04))
        target.cut()
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    target.unmount()
    target.mount()
    looked = run(writer, "verify", target.mount_point, *program.words, check=False)
    target.unmount()
    lines = looked.stdout.splitlines()
    acknowledged = numbers_of(text[:text.rfind(b"\n") + 1].decode().splitlines())
    complaints = lost(acknowledged, numbers_of(lines), "found")
    if program.files_too:
        complaints += lost(acknowledged, numbers_of(lines, ("file",)), "in its files")
    if looked.returncode != 0 or "clean" not in lines:
        complaints.append(looked.stdout.strip() or "ended badly")
    return any(acknowledged.values()), complaints


def cuts(writer, program, count, lying):
    """Returns the complaints, one per cut that lost something, and how often something was acknowledged before it."""
    chance, complaints, told = random.Random(SEED), [], 0
    with disk(SIZE_MIB[program.system], system=program.system) as target:
        for number in range(count):
            was_told, wrong = cut_once(target, writer, program, chance, lying)
            told += was_told
            if wrong:
                complaints.append(f"{program}: cut {number}: " + "; ".join(wrong))
            if wrong or number % FRESH_EVERY == FRESH_EVERY - 1:  # what is broken stays so; what is long takes long
                target.close()
                target.format()
    return complaints, told


def test_nothing_is_lost(writer):
    programs = [program for program in PROGRAMS if program.system in systems()]
    weights, complaints, told, done = sum(program.weight for program in programs), [], 0, 0
    for program in programs:
        started, count = time.monotonic(), -(-CUTS * program.weight // weights)
        wrong, heard = cuts(writer, program, count, lying=False)
        print(f"# {str(program):45} {count:5} cuts, {count / (time.monotonic() - started):5.1f} a second, {heard} after"
              f" acknowledgements, {len(wrong)} lost something", flush=True)
        complaints, told, done = complaints + wrong, told + heard, done + count
    assert not complaints, "\n".join(complaints[:5])
    assert told * 4 > done, "the cuts came too early to prove much"


def test_missing_syncs_lose_data(writer):
    for system in systems():
        for words in ((), (BY_ID,)):
            complaints, _ = cuts(writer, Program(system, words), LYING_CUTS, lying=True)
            print(f"# {system} {' '.join(words)} without fsync: {len(complaints)} of {LYING_CUTS} cuts lost something", flush=True)
            assert complaints, "the test cannot see a loss"


def test_both_file_systems(_writer):
    reason = reason_without("xfs")
    if reason:
        raise Skipped(reason)


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


TESTS = [test_both_file_systems, test_missing_syncs_lose_data, test_nothing_is_lost, test_full_disk,
         test_full_disk_at_the_start, test_no_inode_left, test_read_only_from_the_start, test_read_only_on_the_way]


class Skipped(Exception):
    pass


@functools.cache
def reason_without(system):
    """Why no such file system can be made, mounted and shut down here; None: it can."""
    if os.geteuid() != 0:
        return "loop devices and mounts need root"
    for program in (f"mkfs.{system}", "losetup", "mount"):
        if not shutil.which(program):
            return f"there is no {program}"
    try:
        with disk(SIZE_MIB[system], system=system) as target:
            target.mount()
            target.cut()
    except (OSError, RuntimeError) as error:
        return f"no {system} can be mounted and shut down here: {error}"
    return None


def systems():
    return [system for system in SIZE_MIB if not reason_without(system)]


def main():
    os.environ["PATH"] += ":/sbin:/usr/sbin"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was mounted is unmounted
    failed = 0
    print(f"1..{len(TESTS)}", flush=True)
    for number, test in enumerate(TESTS, 1):
        name = test.__name__.removeprefix("test_")
        try:
            if reason_without("ext4"):
                raise Skipped(reason_without("ext4"))
            test(sys.argv[1])
            print(f"ok {number} - {name}", flush=True)
        except Skipped as reason:
            print(f"ok {number} - {name} # skip {reason}", flush=True)
        except Exception as error:  # one case that fails does not end the others
            failed += 1
            print("\n".join(f"# {line}" for line in (f"{type(error).__name__}: {error}").splitlines()))
            print(f"not ok {number} - {name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
