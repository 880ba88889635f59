"""The Python package as its users get it: from the folder with pip, and with what `meson install` installs."""
import ast
import glob
import os
import subprocess

import pytest
from conftest import BINARY

from python_client import CLIENT, PYTHON, environment

BUILD = os.path.dirname(BINARY)
PROGRAM = """
import os, sys
import holdfast, holdfast.compat.n6
assert holdfast.__file__.startswith(sys.argv[1]), holdfast.__file__
assert os.path.exists(os.path.join(os.path.dirname(holdfast.__file__), "py.typed"))
state = holdfast.State("feed", data=sys.argv[2])
print(state.save({"n": 1}), state.load())
"""


def run(*words, **options):
    done = subprocess.run(list(map(str, words)), text=True, capture_output=True, **options)
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout


def has_pip():
    code = "import setuptools, wheel, pip"
    return subprocess.run([PYTHON, "-c", code], capture_output=True).returncode == 0


@pytest.mark.skipif(not has_pip(), reason="python3-pip, python3-setuptools or python3-wheel is not installed")
def test_pip_install(tmp_path):
    source = tmp_path / "python"
    run("cp", "-r", CLIENT, source)
    run(PYTHON, "-m", "pip", "install", "--no-index", "--no-build-isolation", "--no-deps",
        "--disable-pip-version-check", "--root-user-action=ignore", "--target", tmp_path / "site", source, cwd=tmp_path)
    output = run(PYTHON, "-c", PROGRAM, tmp_path / "site", tmp_path / "data", cwd=tmp_path,
                 env=environment(PYTHONPATH=tmp_path / "site"))
    assert output == "1 {'n': 1}\n"


def test_meson_install_and_the_library_of_its_prefix(tmp_path):
    """Library and package of one prefix find each other, without HOLDFAST_LIBRARY."""
    folder = tmp_path / "installed"
    run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", folder)
    [package] = glob.glob(f"{folder}/**/dist-packages/holdfast/__init__.py", recursive=True)
    assert glob.glob(f"{folder}/**/__pycache__", recursive=True) == []
    site = os.path.dirname(os.path.dirname(package))
    variables = environment(PYTHONPATH=site)
    del variables["HOLDFAST_LIBRARY"]
    assert run(PYTHON, "-c", PROGRAM, site, tmp_path / "data", cwd=tmp_path, env=variables) == "1 {'n': 1}\n"


def test_the_versions_agree():
    said = run(BINARY, "--version").split()
    with open(CLIENT / "pyproject.toml", encoding="utf-8") as file:
        [line] = [line for line in file if line.startswith("version = ")]
    version = line.split('"')[1]
    assert version in said
    assert run(PYTHON, "-c", "import holdfast; print(holdfast.__version__)", env=environment()).strip() == version


def sources():
    return sorted(glob.glob(str(CLIENT / "holdfast" / "**" / "*.py"), recursive=True))


@pytest.mark.parametrize("path", sources(), ids=[os.path.relpath(path, CLIENT) for path in sources()])
def test_what_is_public_is_documented_and_typed(path):
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read(), feature_version=(3, 9))
    assert ast.get_docstring(tree)
    is_public_module = not os.path.basename(path).startswith("_") or path.endswith("__init__.py")
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            untyped = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
            assert not untyped and node.returns is not None, f"{path}:{node.lineno} {node.name} {untyped}"
    if is_public_module:
        check_docstrings(tree, path)


def check_docstrings(tree, path):
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path}: {node.name}"
            for inner in getattr(node, "body", []):
                if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                    assert ast.get_docstring(inner), f"{path}: {node.name}.{inner.name}"


def test_only_the_standard_library():
    import sys
    if sys.version_info < (3, 10):
        pytest.skip("this Python does not list its standard library")
    for path in sources():
        with open(path, encoding="utf-8") as file:
            tree = ast.parse(file.read())
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else (
                [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 else [])
            for name in names:
                assert name.split(".")[0] in {*sys.stdlib_module_names, "n6lib"}, f"{path} imports {name}"
