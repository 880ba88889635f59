"""What the gates share. A gate is a program: `tests/gates/NAME TREE BUILD` prints one finding a line; its exit status is
0 when there is none, 1 when there are some, 2 when it could not check."""

import glob
import os
import re
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
FIXTURES = "tests/gates/fixtures/"


class CannotCheck(Exception):
    pass


def main(check):
    tree, build = sys.argv[1:]
    try:
        findings = check(tree, build)
    except CannotCheck as reason:
        print(f"cannot check: {reason}")
        sys.exit(2)
    for finding in findings:
        print(finding)
    sys.exit(1 if findings else 0)


def output_of(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise CannotCheck(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def floors_of(tree):
    """The floors, lowest first."""
    with open(os.path.join(tree, "src/FLOORS"), encoding="utf-8") as file:
        return [line.strip() for line in file if line.strip() and not line.startswith("#")]


def files_of(tree, *patterns):
    """Paths relative to the tree; not those that are meant to be wrong."""
    found = [path for pattern in patterns for path in glob.glob(pattern, root_dir=tree, recursive=True)]
    return sorted(path for path in found if not path.startswith(FIXTURES))


def archive_of(build, floor):
    return os.path.join(build, "src", f"libfloor_{floor}.a")


def floors_with_code(tree):
    return [floor for floor in floors_of(tree) if files_of(tree, f"src/{floor}/**/*.c")]


def symbols_of(tree, build, floor):
    """Yields (object, symbol, type as nm writes it, section) for a floor's archive; objects are named like
    `base_mem.c.o`."""
    path = archive_of(build, floor)
    if not os.path.exists(path):
        raise CannotCheck(f"there is no {path}")
    name = None
    for line in output_of(["nm", "--format=sysv", path]).splitlines():
        heading = re.match(r".* from .*?([^/\[]+\.o)\]?:$", line)
        name = heading.group(1) if heading else name
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 7 and fields[0] != "Name":
            yield name, fields[0], fields[2], fields[6]
