"""What the tests of the Python client share: where package and library are, and Python programs that use them."""
import os
import subprocess
import sys
from pathlib import Path

from conftest import BINARY, PATIENCE_S, ROOT

CLIENT = ROOT / "clients" / "python"
LIBRARY = Path(os.environ.get("HOLDFAST_LIBRARY", Path(BINARY).parent / "src" / "libholdfast.so.0"))
PYTHON = "/usr/bin/python3"

# Each test says itself where its store is; nothing may come from the one who runs the tests.
for _name in [name for name in os.environ if name.startswith("HOLDFAST_") and name != "HOLDFAST_BINARY"]:
    del os.environ[_name]
os.environ["HOLDFAST_LIBRARY"] = str(LIBRARY)
sys.path.insert(0, str(CLIENT))


def environment(**more):
    return {**os.environ, "PYTHONPATH": str(CLIENT), "PYTHONDONTWRITEBYTECODE": "1",
            **{name: str(value) for name, value in more.items()}}


def start(code, *words, **more):
    """A Python program of its own; it talks on its pipes."""
    return subprocess.Popen([PYTHON, "-c", code, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True, env=environment(**more))


def finish(process, status=0):
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == status, (process.returncode, output)
    return output
