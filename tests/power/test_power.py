#!/usr/bin/python3
"""Real power cuts and real limits of file systems, on loop devices. Root only.

usage: tests/power/test_power.py POWER_WRITER

A program commits to a file system (ext4, and xfs where the kernel has it) and tells of each acknowledgement; the file
system is shut down under it without a flush, mounted again, and looked at. HOLDFAST_POWER_CUTS says how many times in
all, HOLDFAST_POWER_SEED where the random moments begin. Prints TAP.
"""

import dataclasses
import os
import random
import select
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True

import limits  # noqa: E402
from disks import SIZE_MIB, Skipped, disk, reason_without, run, systems  # noqa: E402

CUTS = int(os.environ.get("HOLDFAST_POWER_CUTS") or 400)
LYING_CUTS = 20
EARLY_SHARE = 0.3
PATIENCE_S = 20
FRESH_EVERY = 25
SEED = int(os.environ.get("HOLDFAST_POWER_SEED") or 1)
WRITERS = 4


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


TESTS = [test_both_file_systems, test_missing_syncs_lose_data, test_nothing_is_lost, *limits.TESTS]


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
