# runner: waits
"""A source that collects survives kill -9, and what was acknowledged is there."""
import json
import random
import threading
import time

from conftest import GUIDE_CODE, children_of_source, trees_of_source, wait_for

RESTARTS = 20


class Watcher(threading.Thread):
    """Notes each run that the store has acknowledged, as a client sees it, until the daemon is gone."""

    def __init__(self, holdfast, name):
        super().__init__(daemon=True)
        self.holdfast, self.name_of_source = holdfast, name
        self.run_count, self.data, self.max_trees = 0, {}, 0
        self.is_stopped = threading.Event()

    def run(self):
        path = f"/api/v1/sources/{self.name_of_source}"
        while not self.is_stopped.is_set():
            shown = self.holdfast.curl(f"http://localhost{path}")
            if shown.status == 200:
                self.run_count = max(self.run_count, shown.json()["run_count"])
            tail = self.holdfast.curl(f"http://localhost{path}/data?n=3")
            if tail.status == 200:
                for datum in tail.json():
                    self.data[datum["run"]] = datum
            self.max_trees = max(self.max_trees, len(trees_of_source(self.holdfast.data, self.name_of_source)))


def test_a_source_survives_kill_9_at_random_moments(holdfast, code_file):
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    holdfast.serve()
    holdfast.run("source", "add", "guide", "--kind", "python", "--interval", "50ms", "--code", code_file(GUIDE_CODE))
    holdfast.run("source", "edit", "guide", "--code", code_file(GUIDE_CODE.replace("42", "43")))
    holdfast.run("source", "edit", "guide", "--code", code_file(GUIDE_CODE.replace("42", "44")))
    versions = holdfast.json("source", "versions", "guide")
    assert sorted(version["version"] for version in versions) == [1, 2, 3]
    holdfast.run("source", "start", "guide")

    seen, run_count = {}, 0
    for _ in range(RESTARTS):
        watcher = Watcher(holdfast, "guide")
        watcher.start()
        wait_for(lambda: watcher.run_count > run_count, "a new run")
        time.sleep(chance.random() * 0.3)
        holdfast.kill()
        watcher.is_stopped.set()
        watcher.join()
        assert watcher.max_trees <= 1
        seen.update(watcher.data)
        run_count = max(run_count, watcher.run_count)

        holdfast.serve()
        shown = holdfast.source("guide")
        assert shown["run_count"] >= run_count
        assert shown["code_version"] == 3
        run_count = shown["run_count"]
        wait_for(lambda: holdfast.source("guide")["status"] == "running", "the source to run again")
        wait_for(lambda: holdfast.source("guide")["run_count"] > run_count, "it to collect again")
        assert len(trees_of_source(holdfast.data, "guide")) <= 1
        kept = {datum["run"]: datum for datum in holdfast.jsonl("source", "tail", "guide", "-n", "1000")}
        oldest = min(kept)
        for run, datum in seen.items():
            if run >= oldest:
                assert kept[run] == datum
        assert holdfast.json("source", "versions", "guide") == versions
        assert holdfast.run("store", "check").returncode == 0
    assert all(datum["data"][0]["value"] == 44 for datum in seen.values())
    assert all(datum["type"] == "DataFrame" and datum["columns"] for datum in seen.values())


def test_it_runs_again_within_two_seconds(holdfast, code_file):
    """The interval is far longer than the limit, so that only the restore itself is measured."""
    holdfast.serve()
    holdfast.run("source", "add", "slow", "--kind", "python", "--interval", "1h", "--code", code_file(), "--start")
    wait_for(lambda: holdfast.source("slow")["run_count"] >= 1, "the first run")
    before = holdfast.source("slow")["run_count"]
    holdfast.kill()
    begin = time.monotonic()
    holdfast.serve()
    wait_for(lambda: holdfast.source("slow")["status"] == "running" and holdfast.source("slow")["run_count"] >= before,
             "the source to run", patience_s=10)
    print("running again after", round(time.monotonic() - begin, 3), "s")


def test_a_stopped_source_stays_stopped(holdfast, code_file):
    holdfast.serve()
    holdfast.run("source", "add", "one", "--kind", "python", "--interval", "50ms", "--code", code_file(), "--start")
    wait_for(lambda: holdfast.source("one")["run_count"] >= 2, "two runs")
    holdfast.run("source", "stop", "one")
    wait_for(lambda: holdfast.source("one")["status"] == "stopped", "it to stop")
    count = holdfast.source("one")["run_count"]
    holdfast.kill()
    holdfast.serve()
    shown = holdfast.source("one")
    assert (shown["status"], shown["run_count"], shown["pid"]) == ("stopped", count, None)
    assert shown["restore"]["result"] == "skipped"
    assert children_of_source(holdfast.data, "one") == []


def test_sigterm_keeps_what_is_wanted(holdfast, code_file):
    holdfast.serve()
    holdfast.run("source", "add", "one", "--kind", "python", "--interval", "50ms", "--code", code_file(), "--start")
    wait_for(lambda: holdfast.source("one")["run_count"] >= 2, "two runs")
    assert holdfast.stop() == 0
    assert children_of_source(holdfast.data, "one") == []
    count = holdfast.source("one")["run_count"]
    assert count >= 2
    holdfast.serve()
    wait_for(lambda: holdfast.source("one")["run_count"] > count, "it to collect again")
    assert holdfast.source("one")["restore"]["result"] == "restored"


def test_an_old_child_that_ignores_sigterm_is_ended_before_a_new_one_starts(holdfast):
    holdfast.serve()
    holdfast.run("source", "add", "deaf", "--kind", "command", "--interval", "100ms", "--timeout", "1h", "--start", "--",
                 "sh", "-c", "trap '' TERM; while :; do sleep 1; done")
    old = wait_for(lambda: children_of_source(holdfast.data, "deaf"), "the child")
    holdfast.kill()
    assert set(old) & set(children_of_source(holdfast.data, "deaf"))
    holdfast.serve()
    # The shell may have a sleep of its own beside it: what counts is that nothing of the first tree lives.
    wait_for(lambda: holdfast.source("deaf")["pid"], "the new child")
    assert not set(old) & set(children_of_source(holdfast.data, "deaf"))


def test_sixty_four_callers_lose_nothing_acknowledged(holdfast):
    """Each caller puts documents over HTTP and notes what was acknowledged; the daemon is killed under them."""
    chance = random.Random(7)
    acknowledged, given_up = {}, threading.Event()
    lock = threading.Lock()
    ids = iter(range(10_000))

    def put_documents(address, token):
        import http.client
        connection = http.client.HTTPConnection(address.removeprefix("http://"))
        while not given_up.is_set():
            with lock:
                number = next(ids, None)
            if number is None:
                return
            body = '{"number":%d,"filling":"%s"}' % (number, "x" * 200)
            try:
                connection.request("PUT", f"/api/v1/records/doc/{number}", body,
                                   {"Content-Type": "application/json", "Authorization": "Bearer " + token})
                reply = connection.getresponse()
                reply.read()
            except (OSError, http.client.HTTPException):
                return
            if reply.status in (200, 201):
                with lock:
                    acknowledged[number] = body

    holdfast.serve()
    token = holdfast.token("edit")
    rounds = 0
    while True:
        callers = [threading.Thread(target=put_documents, args=(holdfast.address, token)) for _ in range(64)]
        for caller in callers:
            caller.start()
        time.sleep(0.2 + chance.random() * 0.3)
        holdfast.kill()
        for caller in callers:
            caller.join()
        rounds += 1
        holdfast.serve()
        if next(iter([number for number in [next(ids, None)] if number is not None]), None) is None:
            break
    documents = {int(record["id"]): record["doc"] for record in holdfast.jsonl("store", "list", "doc")}
    for number, body in acknowledged.items():
        assert documents[number] == json.loads(body)
    for number, document in documents.items():
        assert document["number"] == number and len(document["filling"]) == 200
    assert holdfast.run("store", "check").returncode == 0
    print(rounds, "kills,", len(acknowledged), "acknowledged,", len(documents), "there")
    assert len(acknowledged) > 100
