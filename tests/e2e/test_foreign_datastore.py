# runner: waits
"""A datastore of changedetection.io's shape, 56,278 watches, 100 of them damaged in ten ways: the others are read whole,
exactly those are named, nothing is touched; and what is then written has the original's own style."""
import hashlib
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import pytest

from conftest import BINARY

WATCHES = 56_278
DAMAGED_EACH = 10
OVERSIZE = 11 << 20
MEMORY_KB = 100_000
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NOBODY = 65534


def make_uuid(number):
    return str(uuid.UUID(int=random.Random(number).getrandbits(128), version=4))


def make_watch(number):
    """The keys that the original keeps of a watch, with what it would write of some."""
    chance = random.Random(number)
    return {
        "uuid": make_uuid(number), "url": f"https://example.org/page/{number}?q=a&b=c", "title": f"Prüfung № {number} “日本”",
        "tags": [make_uuid(number % 17)], "last_checked": 1700000000 + number, "last_changed": 0, "paused": number % 5 == 0,
        "notification_muted": False, "headers": {"User-Agent": "watcher/1.0", "X-Path": "C:\\x\ty\"z\""}, "body": None,
        "method": "GET", "ignore_text": ["\\d+ views", "€ / 5"], "include_filters": ["//div[@class='price']", "xpath:/html"],
        "subtractive_selectors": [], "extract_text": [], "trigger_text": [], "check_count": number % 977,
        "consecutive_filter_failures": 0, "content-type": "text/html; charset=utf-8", "date_created": 1690000000,
        "fetch_backend": "system", "fetch_time": round(chance.random() * 10, 3), "previous_md5": f"{chance.getrandbits(128):032x}",
        "processor": "text_json_diff", "price": 0.1 + number, "big": 9007199254740993, "empty": {}, "nothing": [],
        "time_between_check": {"weeks": None, "days": number % 7, "hours": 3, "minutes": None, "seconds": 30},
        "time_between_check_use_default": False,
        "time_schedule_limit": {"enabled": True, "timezone": "Europe/Berlin",
                                **{day: {"enabled": True, "start_time": "00:00", "duration": {"hours": "24", "minutes": "00"}}
                                   for day in DAYS}},
        "notification_urls": [], "notification_title": "", "notification_body": "{{ watch_url }} \u2028 changed\n",
        "notes": "".join(chance.choice("abcdefgh äöü") for _ in range(300)),
    }


def style(document):
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def compact(document):
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def cut(text, _watch, _chance):
    return text[:len(text) // 2]


def flip(text, _watch, chance):
    """A bit of a letter: what results is no UTF-8."""
    place = chance.choice([i for i in range(200, 400) if chr(text[i]).isalpha() and text[i + 1] < 0x80])
    return text[:place] + bytes([text[place] ^ 0x80]) + text[place + 1:]


DAMAGES = {
    "empty": lambda text, watch, chance: b"",
    "cut": cut,
    "zeros": lambda text, watch, chance: bytes(len(text)),
    "flipped": flip,
    "nan": lambda text, watch, chance: style({**watch, "price": float("nan")}),
    "twice": lambda text, watch, chance: text[:-2] + b',\n  "url": "https://example.org/other"\n}',
    "garbage": lambda text, watch, chance: text + b"\n}}",
    "oversize": lambda text, watch, chance: style({**watch, "notes": "x" * OVERSIZE}),
    "unreadable": lambda text, watch, chance: text,
    "another": lambda text, watch, chance: style(make_watch(WATCHES + 1)),
}
WORDS = {"oversize": "oversize_file", "unreadable": "unreadable_file"}  # of the others: damaged_file
OFFSETS = ("cut", "flipped", "nan", "twice", "garbage")  # what is wrong with these is at a byte that is named


class Datastore:
    def __init__(self, root):
        self.root = root
        self.damaged = {}  # uuid: how
        chance = random.Random(7)
        ways = [way for way in DAMAGES for _ in range(DAMAGED_EACH)]
        for number, way in zip(chance.sample(range(WATCHES), len(ways)), ways):
            self.damaged[make_uuid(number)] = way
        for number in range(WATCHES):
            self.write(number, chance)
        settings = {"note": "Hello! If you change this file manually, please be sure to restart your instance!",
                    "app_guid": make_uuid(0), "settings": {"application": {"password": False, "tags": {}},
                                                           "requests": {"workers": 10, "jitter_seconds": 0}},
                    "build_sha": None, "version_tag": "0.53.0"}
        self.settings = settings
        (root / "changedetection.json").write_bytes(style(settings))
        (root / "secret.txt").write_text("not a record")

    def write(self, number, chance):
        watch = make_watch(number)
        folder = self.root / watch["uuid"]
        folder.mkdir()
        text = style(watch)
        way = self.damaged.get(watch["uuid"])
        path = folder / "watch.json"
        path.write_bytes(DAMAGES[way](text, watch, chance) if way else text)
        if way == "unreadable":
            path.chmod(0)
        if number % 50 == 0:
            (folder / "history.txt").write_text("1700000000,1234.txt\n")
            (folder / "1234.txt").write_text("a snapshot\n")

    def state(self):
        """Everything about every file and folder but when it was read."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            if ".holdfast" in path.relative_to(self.root).parts:
                continue
            stat = path.lstat()
            digest = None if path.is_dir() else hashlib.blake2b(path.read_bytes()).digest() if os.access(path, os.R_OK) else b""
            found[str(path.relative_to(self.root))] = (stat.st_mode, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, digest)
        return found

    def url(self):
        return f"tree:{self.root}?layout=watch"


def memory_kb(pid):
    """The most it had resident so far; rusage would tell of this process too, from before exec."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return max((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), default=0)


def run(output, *words):
    """The command as a user that may not read everything, its output in a file: (exit status, stderr, memory in KiB)."""
    errors = output.with_suffix(".err")
    memory = 0
    with open(output, "wb") as out, open(errors, "wb") as err:
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        process = subprocess.Popen([str(output.parent / "holdfast"), "--data", str(output.parent / "none"), *words],
                                   stdout=out, stderr=err, stdin=subprocess.DEVNULL, **who)
        while process.poll() is None:
            memory = max(memory, memory_kb(process.pid))
            time.sleep(0.01)
    return process.returncode, errors.read_text(), memory


@pytest.fixture(scope="module")
def place():
    """Where a user without rights can get at: root may read everything, and nothing would be unreadable to it."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-foreign-"))
    folder.chmod(0o755)
    shutil.copy(BINARY, folder / "holdfast")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def datastore(place):
    root = place / "datastore"
    root.mkdir()
    it = Datastore(root)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(root)], check=True)
    return it


def told_of(stderr):
    """{uuid: line} of what is said to be damaged."""
    lines = [line for line in stderr.splitlines() if line.startswith("watch/")]
    told = {line.removeprefix("watch/").split(":")[0]: line for line in lines}
    assert len(told) == len(lines), "something is told of twice"
    return told


def check_told(datastore, stderr):
    told = told_of(stderr)
    assert set(told) == set(datastore.damaged)
    for identity, way in datastore.damaged.items():
        assert f": {WORDS.get(way, 'damaged_file')}: " in told[identity], (way, told[identity])
        assert way not in OFFSETS or "(byte " in told[identity], (way, told[identity])


def check_lines(datastore, path):
    number_of = {make_uuid(number): number for number in range(WATCHES)}
    seen = set()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            assert set(row) == {"kind", "id", "revision", "hash", "created_at", "updated_at", "who", "doc"}
            if row["kind"] == "settings":
                assert row["id"] == "changedetection" and row["doc"] == datastore.settings
                continue
            assert row["kind"] == "watch"
            assert compact(row["doc"]) == compact(make_watch(number_of[row["id"]])), row["id"]
            seen.add(row["id"])
    assert seen == set(number_of) - set(datastore.damaged)


def test_everything_whole_is_listed_and_nothing_is_touched(place, datastore):
    before = datastore.state()
    status, stderr, memory = run(place / "list", "store", "list", "--url", datastore.url(), "-o", "jsonl")
    assert status == 1, stderr[-2000:]
    check_told(datastore, stderr)
    assert f"{WATCHES - 100 + 1} records, 100 damaged" in stderr.splitlines()[-1]
    check_lines(datastore, place / "list")
    assert datastore.state() == before
    assert 0 < memory < MEMORY_KB
    assert not (datastore.root / ".holdfast").exists()


def test_a_put_leaves_the_rest_as_it_was_and_has_the_originals_style(place, datastore):
    chosen = next(number for number in range(WATCHES) if make_uuid(number) not in datastore.damaged)
    changed = {**make_watch(chosen), "title": "neu: \u201eß\u201c \U0001f600 \x7f", "price": 1e-7, "tags": []}
    document = place / "watch.txt"
    document.write_text(json.dumps(changed))
    document.chmod(0o644)
    before = datastore.state()
    status, stderr, _ = run(place / "put", "store", "put", "watch", changed["uuid"], str(document), "--url", datastore.url())
    assert status == 0, stderr
    check_told(datastore, stderr)
    after = datastore.state()
    name = f"{changed['uuid']}/watch.json"
    written = datastore.root / name
    assert written.read_bytes() == style(changed)
    assert after[name][0] == before[name][0]
    for found in (before, after):
        del found[name]
        del found[changed["uuid"]]  # its folder's times
    assert after == before
    listed, stderr, memory = run(place / "again", "store", "list", "watch", "--url", datastore.url(), "-o", "jsonl")
    assert listed == 1 and f"{WATCHES - 100} records, 100 damaged" in stderr
    check_told(datastore, stderr)
    assert 0 < memory < MEMORY_KB
