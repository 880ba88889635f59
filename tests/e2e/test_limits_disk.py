"""Limits of file systems: full, read-only, of another kind. As root, where mounts are needed."""

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from limits import BOTH, ROOT_ONLY, child, run


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
