"""File systems on loop devices, and whether they can be had here."""
import array
import contextlib
import fcntl
import functools
import os
import shutil
import subprocess
import tempfile
import time

IOC_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, and XFS_IOC_GOINGDOWN
NO_LOG_FLUSH = 2
SIZE_MIB = {"ext4": 64, "xfs": 320}  # mkfs.xfs makes none that is smaller than 300


class Skipped(Exception):
    pass


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
