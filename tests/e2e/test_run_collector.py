"""A collector that counts to 10,000 by steps, and is killed or started twice all the time: each number is taken exactly
once, because a step's records and its state are one commit, under a fence."""
import collections
import os
import random
import signal
import time
from pathlib import Path

import pytest

from conftest import BINARY
from runs import end

COUNT = 10_000
KILLS = 300
SEED = int(os.environ.get("HOLDFAST_SEED", random.randrange(2 ** 32)))
COLLECTOR = Path(__file__).with_name("count.sh")


def environment(tmp_path, limit, step, pause=""):
    (tmp_path / "work").mkdir(exist_ok=True)
    return {"HOLDFAST": BINARY, "WORK": str(tmp_path / "work"), "LIMIT": str(limit), "STEP": str(step),
            "PAUSE": pause}


def start(runs, tmp_path, options=(), **work):
    return runs.start("sh", COLLECTOR, options=options, env=environment(tmp_path, **work))


def check_taken(runs):
    taken = collections.Counter(record["doc"] for record in runs.jsonl("store", "list", "taken"))
    assert runs.state() == str(COUNT).encode()
    assert sorted(taken) == list(range(1, COUNT + 1))
    assert max(taken.values()) == 1


def test_300_kills_at_random_points(runs, tmp_path):
    """The bound of what may be counted grows with the kills, so that there is always something to kill."""
    chance = random.Random(SEED)
    print("HOLDFAST_SEED =", SEED)
    kills = starts = 0
    while kills < KILLS:
        process = start(runs, tmp_path, limit=COUNT * (kills + 1) // (KILLS + 1), step=chance.randrange(5, 40))
        starts += 1
        time.sleep(chance.random() * 0.05)
        if process.poll() is None:
            kills += 1
        end(process)
    assert runs.sh("true").returncode == 0
    process = start(runs, tmp_path, limit=COUNT, step=500)
    assert process.wait(60) == 0, process.stderr.read()
    end(process)
    check_taken(runs)
    assert set(runs.outcomes()) <= {"ok", "lost"}


# What the policy may let a start end with, beside 0.
POLICIES = {
    "fail": {75},
    "skip": set(),
    "wait": {75},
    "kill": {128 + signal.SIGTERM, -signal.SIGKILL, -signal.SIGTERM},
}


@pytest.mark.parametrize("policy", POLICIES)
def test_four_overlapping_starts_a_second(runs, tmp_path, policy):
    """Each lives longer than the time to the next start; now and then one is killed."""
    chance = random.Random(SEED)
    print("HOLDFAST_SEED =", SEED)
    options = ["--on-overlap", policy] + (["--wait", "1s"] if policy == "wait" else [])
    processes, killed = [], set()
    next_at = time.monotonic()
    give_up_at = next_at + 120
    while runs.state() != str(COUNT).encode():
        assert time.monotonic() < give_up_at, (runs.state(), runs.outcomes()[-20:])
        processes.append(start(runs, tmp_path, options=options, limit=COUNT, pause="0.02",
                               step=50 if runs.process else 100))
        if chance.random() < 0.2:
            victim = chance.choice([process for process in processes if process.poll() is None])
            killed.add(victim.pid)
            victim.kill()
        next_at += 0.25
        time.sleep(max(0, next_at - time.monotonic()))
    for process in processes:
        _, err = process.communicate(timeout=60)
        allowed = {0} | POLICIES[policy] | ({-signal.SIGKILL} if process.pid in killed else set())
        assert process.returncode in allowed, (process.returncode, err)
    check_taken(runs)
    seen = collections.Counter(runs.outcomes())
    print(len(processes), "starts:", dict(seen))
    assert seen["running"] == 0
