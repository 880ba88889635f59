"""The library as its users get it: installed below a folder, found with pkg-config, linked shared and static, from C and
from C++; the programs of examples/ are compiled and run."""

import glob
import os
import subprocess

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.path.dirname(os.environ.get("HOLDFAST_BINARY", os.path.join(ROOT, "build/holdfast")))
EXAMPLES = sorted(glob.glob(os.path.join(ROOT, "examples/*.c")))
C = ["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
CXX = ["c++", "-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def run(*command, **options):
    done = subprocess.run(command, text=True, capture_output=True, **options)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("installed"))
    run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", folder)
    [pc] = glob.glob(f"{folder}/**/holdfast.pc", recursive=True)
    return {"folder": folder, "pkgconfig": os.path.dirname(pc), "lib": os.path.dirname(os.path.dirname(pc))}


def flags(installed, *options):
    environment = dict(os.environ, PKG_CONFIG_SYSROOT_DIR=installed["folder"],
                       PKG_CONFIG_PATH=installed["pkgconfig"])
    words = run("pkg-config", *options, "holdfast", env=environment).split()
    # What the system's own packages say is not below the folder.
    return [word for word in words if not word.startswith(("-I", "-L")) or os.path.exists(word[2:])]


def compiled(installed, compiler, source, program, is_static):
    options = flags(installed, "--cflags", "--libs", *(["--static"] if is_static else []))
    if is_static:
        options = [f"{installed['lib']}/libholdfast.a" if word == "-lholdfast" else word for word in options]
    run(*compiler, source, "-o", program, *options)
    needed = run("readelf", "-d", program)
    assert ("libholdfast.so.0" in needed) is not is_static
    return program


def execute(installed, program, *arguments):
    return run(program, *arguments, env=dict(os.environ, LD_LIBRARY_PATH=installed["lib"]))


@pytest.mark.parametrize("is_static", [False, True], ids=["shared", "static"])
@pytest.mark.parametrize("source", EXAMPLES, ids=[os.path.basename(path) for path in EXAMPLES])
def test_example(installed, tmp_path, source, is_static):
    program = compiled(installed, C, source, str(tmp_path / "program"), is_static)
    for url in (f"sqlite:{tmp_path}/store.db", f"tree:{tmp_path}/tree", f"tree:{tmp_path}/watches?layout=watch"):
        first = execute(installed, program, url)
        again = execute(installed, program, url)
        assert first and again


def test_follow_events_goes_on_where_it_ended(installed, tmp_path):
    program = compiled(installed, C, os.path.join(ROOT, "examples/follow_events.c"), str(tmp_path / "program"), False)
    url = f"sqlite:{tmp_path}/store.db"
    assert execute(installed, program, url).splitlines() == [
        f"{revision} put counter/visits by follow_events" for revision in (1, 2, 3)]
    assert execute(installed, program, url).splitlines() == [
        f"{revision} put counter/visits by follow_events" for revision in (4, 5, 6)]


def test_collect_state_goes_on_where_it_ended(installed, tmp_path):
    program = compiled(installed, C, os.path.join(ROOT, "examples/collect_state.c"), str(tmp_path / "program"), False)
    url = f"sqlite:{tmp_path}/store.db"
    assert execute(installed, program, url) == "collector@1: items 1 to 10, after version 0\n"
    assert execute(installed, program, url) == "collector@2: items 11 to 20, after version 10\n"


def test_keep_objects_is_short():
    with open(os.path.join(ROOT, "examples/keep_objects.c"), encoding="utf-8") as file:
        assert len(file.readlines()) <= 60


def test_header_in_cpp(installed, tmp_path):
    source = tmp_path / "program.cc"
    source.write_text("#include <holdfast.h>\n#include <cstdio>\n"
                      "int main() { std::puts(hf_version()); return 0; }\n")
    program = compiled(installed, CXX, str(source), str(tmp_path / "program"), False)
    assert execute(installed, program).strip() == "0.1.0"


def test_symbols_have_versions(installed):
    lines = run("readelf", "--dyn-syms", "--wide", f"{installed['lib']}/libholdfast.so").splitlines()
    names = [line.split()[-1] for line in lines if " hf_" in line and "UND" not in line]
    assert names and all("@@HOLDFAST_0.1" in name for name in names)
