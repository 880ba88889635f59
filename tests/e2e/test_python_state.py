"""holdfast.State, over the socket of a real daemon and through the real library: the same results either way."""
import itertools
import os
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import BINARY, wait_for

import python_client
from python_client import finish, start

import holdfast as client
from holdfast import State


@pytest.fixture(params=["library", "socket"])
def place(request, holdfast):
    """A data directory; with "socket" a daemon owns it, so the library could not open it."""
    if request.param == "socket":
        holdfast.serve()
    holdfast.way = request.param
    return holdfast


def state(place, name="feed", **options):
    return State(name, data=str(place.data), **options)


def test_default_only_when_nothing_was_ever_saved(place):
    it = state(place)
    assert it.version is None
    assert it.load() is None and it.load({"n": 0}) == {"n": 0} and it.load(dict) == {}
    assert it.version == 0
    assert it.save(None) == 1
    assert state(place).load({"n": 0}) is None


@pytest.mark.parametrize("value", [
    {"a": [1, 2.5, -3e300, None, True], "ü\n\"\\": "€😀"}, [], {}, "", 0, 2**200, "x" * 100_000,
    [[[[[[[[[[1]]]]]]]]]], {"value": 1, "base64": "x", "space": [" ", " "]}],
    ids=range(9))
def test_json_comes_back(place, value):
    assert state(place).save(value) == 1
    other = state(place)
    assert other.load() == value and other.version == 1


@pytest.mark.parametrize("content", [
    b"", b"\0", b" {\"a\": 1}\n", b"{\"a\":1,\"a\":2}", bytes(range(256)), b"\xff\xfe", b"null", b"  ",
    b"[" * 200 + b"]" * 200, b"1e999", b"NaN"], ids=range(11))
def test_bytes_come_back_bit_for_bit(place, content):
    state(place, format="bytes").save(content)
    assert state(place, format="bytes").load() == content


def test_large_states(place):
    it = state(place, format="bytes")
    content = os.urandom(1 << 20) * 64
    assert it.save(content) == 1
    assert it.load() == content
    with pytest.raises(client.TooLarge) as caught:
        it.save(content + b"x")
    assert caught.value.code == "too_large"
    assert it.load() == content and it.version == 1


def test_pickle_by_choice_only(place):
    value = {1: {2, 3}, "t": (1, 2)}
    it = state(place, format="pickle")
    it.save(value)
    assert it.load() == value
    with pytest.raises(client.Invalid) as caught:
        state(place).load()
    assert caught.value.code == "bad_json"


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object(), "\ud800", {"a": {"b": float("inf")}}],
                         ids=["nan", "set", "object", "surrogate", "inf"])
def test_what_is_no_json_is_refused(place, value):
    it = state(place)
    it.save(1)
    with pytest.raises(client.Invalid):
        it.save(value)
    assert it.load() == 1


@pytest.mark.parametrize("name", ["", "-x", "a/b", "a\nb", "x" * 201, ".."],
                         ids=["empty", "dash", "slash", "line", "long", "dots"])
def test_bad_names(place, name):
    with pytest.raises(client.HoldfastError) as caught:
        state(place, name).save(1)
    assert caught.value.code in ("bad_id", "not_found", "invalid"), caught.value


@pytest.mark.parametrize("name", ["a b", "ü", "a@b", "50%", "a?b#c&d", "n.m.<locals>.C", "x" * 200], ids=range(7))
def test_odd_names(place, name):
    it = state(place, name)
    assert it.save(name) == 1 and it.load() == name
    assert [version.version for version in it.log()] == [1]


def test_log_and_rollback(place):
    it = state(place, code_version="1.0")
    for number in range(1, 4):
        it.save({"n": number}, note=f"step {number}")
    it.save({"n": 3}, note="the same again")
    log = it.log()
    assert [(version.version, version.note, version.code_version) for version in log] == [
        (3, "step 3", "1.0"), (2, "step 2", "1.0"), (1, "step 1", "1.0")]
    assert all(version.is_json and version.size == 7 and len(version.digest) == 64 for version in log)
    assert log[0].who == f"uid:{os.geteuid()}" and abs(log[0].at.timestamp() - time.time()) < 3600
    assert [version.version for version in it.log(2)] == [3, 2]
    assert it.load_version(2) == {"n": 2} and it.version == 3
    assert it.rollback(1) == 4
    assert it.load() == {"n": 1} and it.log(1)[0].note == "rollback to 1"
    assert it.rollback(before=log[0].at) in (4, 5)
    assert it.load() in ({"n": 1}, {"n": 2})
    for wrong in (dict(version=99), dict(before=1)):
        with pytest.raises(client.NotFound):
            it.rollback(**wrong)


def test_log_of_nothing(place):
    with pytest.raises(client.NotFound):
        state(place).log()


def test_both_ways_show_the_same(holdfast):
    """What the library wrote the daemon reads, and the other way round; logs are equal to the last field."""
    first = state(holdfast)
    with first:
        first.save({"a": 1}, note="by the library")
    by_library = first.log()
    holdfast.serve()
    assert first.log() == by_library
    assert first.load() == {"a": 1}
    with first:
        first.save({"a": 2}, note="by the daemon")
    by_daemon = first.log()
    holdfast.stop()
    assert first.log() == by_daemon
    assert [version.run for version in by_daemon] == ["feed@2", "feed@1"]
    assert first.load() == {"a": 2}


def test_newer_versions_of_others_are_not_overwritten(place):
    one, two = state(place), state(place)
    one.save(1)
    assert two.load() == 1
    one.save(2)
    with pytest.raises(client.VersionConflict) as caught:
        two.save(3)
    assert caught.value.code == "precondition_failed"
    assert two.load() == 2
    two.save(3)
    assert one.load() == 3
    first_of_its_kind = state(place)
    assert first_of_its_kind.save(4) == 4


def test_lease(place):
    with state(place) as one:
        assert one.fence == 1 and one.run == "feed@1"
        one.save(1)
        with pytest.raises(client.Conflict) as caught:
            with state(place):
                pass
        assert str(os.getpid()) in caught.value.message
        with pytest.raises(client.Conflict):
            state(place).save(2)
        one.rollback(1)
    with state(place) as two:
        assert two.fence == 2
    assert two.fence is None and two.run == ""
    runs = place.json("state", "runs", "feed")
    assert [(run["run"], run["outcome"]) for run in runs] == [("feed@2", "ok"), ("feed@1", "ok")]


def test_a_run_that_fails_is_entered_so(place):
    with pytest.raises(ZeroDivisionError):
        with state(place):
            raise ZeroDivisionError
    assert [run["outcome"] for run in place.json("state", "runs", "feed")] == ["error"]


def test_a_stolen_lease(place):
    with state(place) as one:
        one.save(1)
        with pytest.raises(client.Conflict):
            with state(place, steal=True) as two:
                two.save(2)
                one.save(3)
        assert two.load() == 2
        # The thief gave it back; the robbed one stays out all the same.
        with pytest.raises(client.Conflict):
            one.save(3)
        one._lease = None
    assert state(place).load() == 2


def test_leaving_after_a_takeover_says_so(place):
    with pytest.raises(client.Conflict):
        with state(place):
            with state(place, steal=True):
                pass


def test_force(place):
    with state(place) as one:
        one.save(1)
        assert state(place).save(2, force=True) == 2
    log = state(place).log()
    assert [version.forced for version in log] == [True, False]


def test_renew(place):
    with state(place, ttl=3600) as one:
        one.renew()
        with state(place, steal=True):
            with pytest.raises(client.Conflict):
                one.renew()
        one._lease = None
    with pytest.raises(client.Invalid):
        state(place).renew()


def test_a_lease_whose_time_is_over(place):
    one = state(place, ttl=0.001).__enter__()
    time.sleep(0.01)
    with state(place) as two:
        two.save(2)
        with pytest.raises(client.Conflict):
            one.save(1)


def test_waiting_for_a_lease(place):
    with state(place) as one:
        with pytest.raises(client.Conflict):
            with state(place, on_overlap="wait", wait=0.1):
                pass
        with ThreadPoolExecutor(1) as pool:
            later = pool.submit(lambda: state(place, on_overlap="wait", wait=60).__enter__())
            one.save("first")
            one.__exit__(None, None, None)
            two = later.result()
            assert two.load() == "first"
            two.__exit__(None, None, None)


def test_the_lease_of_a_killed_owner_is_free(place):
    child = start("import holdfast, os, sys\ns = holdfast.State('feed', data=sys.argv[1]).__enter__()\ns.save(1)\n"
                  "print('has it', flush=True)\nsys.stdin.read()", place.data)
    assert child.stdout.readline() == "has it\n"
    with pytest.raises(client.Conflict):
        state(place).__enter__()
    child.kill()
    child.wait()
    with state(place) as it:
        assert it.load() == 1
        it.save(2)


def test_a_stalled_run_that_was_overtaken_cannot_save(place):
    child = start("import holdfast, os, signal, sys\ns = holdfast.State('feed', data=sys.argv[1]).__enter__()\n"
                  "s.save('A')\nprint('stalls', flush=True)\nos.kill(os.getpid(), signal.SIGSTOP)\n"
                  "try:\n    s.save('A again')\nexcept holdfast.Conflict as e:\n    print(e.code, flush=True)\n"
                  "os._exit(0)", place.data)
    assert child.stdout.readline() == "stalls\n"
    os.waitpid(child.pid, os.WUNTRACED)
    with state(place, steal=True) as it:
        it.save("B")
        child.send_signal(signal.SIGCONT)
        assert child.stdout.readline() == "conflict\n"
        child.wait()
        assert it.load() == "B"


def test_under_holdfast_run(place):
    code = ("import holdfast, os\ns = holdfast.State('feed')\n"
            "with s:\n    n = s.load(0)\n    s.save(n + 1)\n    print(s.fence, s.run)\n"
            "print(holdfast.State('other').fence)")
    for number in (1, 2):
        output = place.run("run", "feed", "--", python_client.PYTHON, "-c", code,
                           env=python_client.environment()).stdout.decode()
        assert output == f"{number} feed@{number}\nNone\n"
    assert state(place).load() == 2
    assert [run["outcome"] for run in place.json("state", "runs", "feed")] == ["ok", "ok"]


def test_records_go_with_the_state(place):
    it = state(place)
    it.save(1, records=[("item", "a", {"n": 1}), ("item", "b", {"n": 2})])
    it.save(2, records=[("item", "a", client.DELETE), ("item", "c", {"z": 1, "a": "ü"})])
    listed = place.jsonl("store", "export", "item")
    assert {row["id"]: row["doc"] for row in listed} == {"b": {"n": 2}, "c": {"z": 1, "a": "ü"}}
    with pytest.raises(client.HoldfastError):
        it.save(3, records=[("item", "d", 1), ("item", "not there", client.DELETE)])
    with pytest.raises(client.PermissionDenied) as caught:
        it.save(3, records=[("state", "feed", {})])
    assert caught.value.code == "forbidden"
    assert state(place).load() == 2
    assert [row["id"] for row in place.jsonl("store", "export", "item")] == ["b", "c"]


def test_threads(place):
    """Each save of many threads is a version, and none is lost."""
    it = state(place)
    it.save([])

    def work(number):
        state(place, f"own{number}").save(number)
        with it._lock:
            it.save(it.load() + [number])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(16)))
    assert sorted(it.load()) == list(range(16))
    assert [state(place, f"own{number}").load() for number in range(16)] == list(range(16))


def test_fork_after_open(place):
    """Parent and child both go on; the child neither has the store open nor gives the parent's lease back."""
    with state(place) as it:
        it.save("before")
        stop = threading.Event()

        def keep_saving():
            for number in itertools.count():
                state(place, "busy").save(number)
                if stop.is_set():
                    return
        busy = threading.Thread(target=keep_saving)
        busy.start()
        for number in range(5):
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    status = 0 if it.load() is not None and it.save(f"child {number}") else 1
                    it.__exit__(None, None, None)
                finally:
                    os._exit(status)
            assert os.waitpid(pid, 0)[1] == 0
            assert it.load() == f"child {number}"
        stop.set()
        busy.join()
        it.save("after")
    assert state(place).load() == "after"


def test_signals_while_saving(place):
    """Handlers that save, and handlers that raise: what was acknowledged is there."""
    it, other = state(place), state(place, "other")
    it.save(0)
    caught = []

    def handler(_number, _frame):
        caught.append(other.save(len(caught)))
        if len(caught) % 3 == 0:
            raise InterruptedError

    before = signal.signal(signal.SIGALRM, handler)
    acknowledged = 0
    try:
        for number in range(1, 40):
            signal.setitimer(signal.ITIMER_REAL, 0.0005 * (number % 20) + 0.0001)
            try:
                it.save(number, force=True)
                acknowledged = number
            except InterruptedError:
                pass
            finally:
                while signal.getitimer(signal.ITIMER_REAL)[0]:
                    try:
                        time.sleep(0.01)
                    except InterruptedError:
                        pass
            assert it.load() in (acknowledged, number)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert caught and other.load() == len(caught) - 1
    assert it.save("at the end") and it.load() == "at the end"


def test_exit_without_close(place):
    code = "import holdfast, os, sys\ns = holdfast.State('feed', data=sys.argv[1]).__enter__()\ns.save(1)\n"
    finish(start(code + "os._exit(3)", place.data), status=3)
    finish(start(code + "raise SystemExit(4)", place.data), status=4)
    with state(place) as it:
        assert it.load() == 1


def test_a_damaged_state_is_never_the_default(holdfast):
    it = state(holdfast)
    for number in range(3):
        it.save({"n": number, "mark": "x" * 50 + str(number)})
    database = holdfast.data / "store.db"
    wal = holdfast.data / "store.db-wal"
    mark = b"x" * 50 + b"2"
    for path in (database, wal):
        if path.exists():
            content = path.read_bytes()
            path.write_bytes(content.replace(mark, b"y" + mark[1:]))
    for serve in (False, True):
        if serve:
            holdfast.serve()
        with pytest.raises(client.Corrupt) as caught:
            it.load({"n": 0})
        assert caught.value.code == "corrupt" and caught.value.earlier == (2, 1)
        assert it.log()[0].error
    assert it.rollback(caught.value.earlier[0]) == 4
    assert it.load()["n"] == 1
    holdfast.stop()
    assert it.load()["n"] == 1


# ---- the way is chosen, and waited for ----

def test_a_daemon_that_starts_and_ends_while_a_collector_saves(holdfast):
    """Every save goes one way, whole; none is lost and none is made twice, whatever the daemon does meanwhile."""
    it = state(holdfast, timeout=60)
    stop, counted, failed = threading.Event(), [0], []

    def collect():
        try:
            with it:
                while not stop.is_set():
                    value = it.load(0)
                    it.save(value + 1, records=[("step", str(value + 1), {"n": value + 1})])
                    counted[0] += 1
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=collect)
    thread.start()

    def goes_on():
        target = counted[0] + 3
        wait_for(lambda: failed or counted[0] >= target, "more saves")

    try:
        for kills in range(6):
            goes_on()
            serve_patiently(holdfast)
            goes_on()
            holdfast.kill() if kills % 2 else holdfast.stop()
    finally:
        stop.set()
        thread.join()
    assert not failed, failed
    assert it.load() == counted[0]
    steps = {row["id"] for row in holdfast.jsonl("store", "export", "step")}
    assert steps == {str(number) for number in range(1, counted[0] + 1)}


def serve_patiently(place):
    """The daemon does not wait for a store that a collector has for the moment."""
    def attempt():
        try:
            return place.serve()
        except AssertionError:
            place.process.stdout.close()
            place.process.wait()
            place.process = None
            return None
    wait_for(attempt, "the daemon to get the store")


def test_a_store_that_is_locked_is_waited_for(holdfast):
    state(holdfast).save(1)
    holdfast.run("status")
    holder = start("import sys\nfrom holdfast import _library\n"
                   "with _library.way(sys.argv[1]):\n    print('has it', flush=True)\n    sys.stdin.readline()",
                   holdfast.data)
    assert holder.stdout.readline() == "has it\n"
    with pytest.raises(client.Unavailable) as caught:
        state(holdfast, timeout=0.05).load()
    assert caught.value.code == "store_locked" and caught.value.retryable
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(lambda: state(holdfast, timeout=60).load())
        with pytest.raises(client.Unavailable):
            state(holdfast, timeout=0).load()
        finish_with_line(holder)
        assert later.result() == 1


def finish_with_line(process):
    process.stdin.write("\n")
    process.stdin.flush()
    finish(process)


def test_a_socket_without_a_data_directory_is_the_only_way(tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_SOCKET", str(tmp_path / "nobody.sock"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    with pytest.raises(client.Unavailable):
        State("feed", timeout=0.05).save(1)
    assert not (tmp_path / "xdg").exists()


def test_the_data_directory_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    State("feed").save(1)
    assert (tmp_path / "xdg/holdfast/store.db").exists()
    monkeypatch.setenv("HOLDFAST_DATA", str(tmp_path / "named"))
    assert State("feed").load() is None
    assert (tmp_path / "named").stat().st_mode & 0o777 == 0o700
    shown = subprocess.run([BINARY, "state", "show", "feed"],
                           env={**os.environ, "HOLDFAST_DATA": str(tmp_path / "xdg/holdfast")})
    assert shown.returncode == 0


def test_a_socket_with_a_long_path(holdfast):
    long = holdfast.data.parent / ("d" * 60) / ("e" * 60)
    long.mkdir(parents=True)
    path = long / "holdfast.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        folder = os.open(long, os.O_PATH)
        sock.bind(f"/proc/self/fd/{folder}/holdfast.sock")
        os.close(folder)
        sock.listen()

        def answer():
            connection, _ = sock.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 80\r\n\r\n"
                                   b'{"code":"not_found","title":"there is no such thing","detail":"it","status":404}')
        thread = threading.Thread(target=answer)
        thread.start()
        assert State("feed", socket=str(path)).load("default") == "default"
        thread.join()


def test_without_library_and_daemon(tmp_path):
    output = finish(start("import holdfast, sys, time\nbegun = time.monotonic()\n"
                          "try:\n    holdfast.State('feed', data=sys.argv[1], timeout=30).save(1)\n"
                          "except holdfast.Unavailable as e:\n    print(e.code, time.monotonic() - begun < 20)\n",
                          tmp_path / "data", HOLDFAST_LIBRARY=tmp_path / "nothing.so"))
    assert output == "unavailable True\n"


def test_a_data_directory_that_cannot_be_written(tmp_path):
    """Said before anything is collected, by loading already."""
    code = ("import os, sys, holdfast\nstate = holdfast.State('feed', data=sys.argv[1])\n"
            "import holdfast._library\nholdfast._library._once.get()\n"
            "if os.geteuid() == 0:\n    os.setuid(65534)\n"
            "try:\n    state.load('default')\nexcept holdfast.PermissionDenied as e:\n    print(e.code)\n")
    tmp_path.chmod(0o500)
    try:
        assert finish(start(code, tmp_path / "data")) == "permission\n"
    finally:
        tmp_path.chmod(0o700)


def test_a_data_directory_that_is_a_file(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(client.HoldfastError) as caught:
        State("feed", data=str(tmp_path / "data")).load("default")
    assert caught.value.code == "cannot_create"
