"""The drop-in for deva's data sources: every example of its guide, with only the import line changed, and what is promised
beyond the guide. Each program of these tests is a process of its own, as deva's users' programs are."""
import json
import os
from pathlib import Path

import pytest
from conftest import BINARY, PATIENCE_S, children_of_source, wait_for

import python_client

GUIDE = Path(__file__).parent / "deva_guide"
WITH_PANDAS = pytest.mark.skipif(os.system("/usr/bin/python3 -c 'import pandas' 2>/dev/null") != 0,
                                 reason="python3-pandas is not installed")

PRELUDE = f"""
import json, sys, time
from holdfast.compat.deva import *

def block(name):
    with open({str(GUIDE)!r} + "/" + name + ".py") as file:
        exec(compile(file.read(), name, "exec"), globals())

def wait_for(condition, what):
    end = time.monotonic() + {PATIENCE_S}
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("waited in vain for " + what)
"""

COUNTING = '''
count = 0

def fetch_data():
    global count
    count += 1
    return {"count": count}
'''
FAILING = '''
def fetch_data():
    raise ValueError("no prices today")
'''


@pytest.fixture
def program(holdfast):
    """Runs the lines as a program on the store; what it printed."""
    def run(lines, *words, **more):
        process = python_client.start(PRELUDE + lines, *words, HOLDFAST_DATA=holdfast.data, HOLDFAST_PROGRAM=BINARY,
                                      **more)
        return python_client.finish(process)
    return run


# ---- the guide ----

BEGIN = """
block("basic")
assert source.state.status == "stopped" and manager.get_source_by_name("my_data_source") is source
assert source.start() == {"success": True, "status": "running"}
saved = wait_for(source.get_saved_latest_data, "data")
assert saved["data"]["value"].tolist() == [42] and saved["data_type"] == "DataFrame" and saved["size"] == 1
print(source.id)
"""

AFTER_RESTART = """
block("restart")
assert loaded_count == 1 and restore_result["restored_count"] == 1 and restore_result["failed_count"] == 0
[result] = restore_result["results"]
source = manager.get_source_by_name("my_data_source")
assert result == {"source_id": sys.argv[1], "source_name": "my_data_source", "success": True,
                  "restored_from_state": True, "restored_with_data": True, "reason": "was_running_flag",
                  "timer_restarted": True}
assert source.id == sys.argv[1] and source.metadata.description == "我的数据源" and source.is_running()
wait_for(lambda: source.stats.total_emitted >= 2, "counters that go on")

block("code_versions")
assert result == {"success": True, "message": "代码更新成功"}
assert [version["version"] for version in versions] == [2, 1]
assert versions[0]["new_code"] == new_code and versions[0]["old_code"] == versions[1]["new_code"]
assert versions[1]["old_code"] == ""
assert set(versions[0]) == {"id", "name", "new_code", "old_code", "timestamp", "version"}
assert source.stop()["success"] and source.start()["success"]  # not to wait for the next tick
wait_for(lambda: source.get_saved_latest_data()["data"].iloc[0].get("status") == "updated", "data of the new code")

block("monitoring")
assert set(summary) == {"id", "name", "current_status", "current_stats", "saved_running_state", "saved_latest_data",
                        "code_versions_count", "latest_code_update", "dependent_strategies", "metadata"}
assert summary["current_status"] == "running" and summary["code_versions_count"] == 2
assert set(saved_state) == {"id", "name", "is_running", "status", "last_update", "last_data_ts", "error_count",
                            "last_error", "pid"} and saved_state["is_running"] and saved_state["pid"]
assert set(saved_data) == {"id", "name", "data", "data_type", "timestamp", "size"}
assert str(saved_data["data"]["timestamp"].dtype).startswith("datetime64")

block("export_import")
assert set(export_data) == {"metadata", "state", "stats", "dependent_strategies", "saved_running_state",
                            "saved_latest_data", "code_versions", "export_info"}
assert set(export_data["export_info"]) == {"export_time", "export_timestamp", "pid", "include_data", "include_code"}
json.dumps(export_data)
assert import_result == {"success": True, "message": "状态导入成功"}
taken = DataSource.load(new_source.id)
assert taken.name == "restored_source" and taken.metadata.source_type == DataSourceType.TIMER
assert taken.metadata.interval == 5.0 and taken.metadata.data_func_code == new_code and not taken.is_running
assert [version["new_code"] for version in taken.get_code_versions()] == [v["new_code"] for v in versions]
assert taken.state.error_count == 0 and taken.stats.total_emitted == export_data["stats"]["total_emitted"]
assert taken.get_saved_latest_data()["data"].iloc[0]["status"] == "updated"

block("errors")  # nothing is wrong: it prints nothing
source.metadata.interval = 0.05
source.save()
wait_for(lambda: len(source.get_recent_data(5)) == 5, "data at the new interval")
assert source.update_data_func_code("def fetch_data():\\n    raise ValueError('no prices today')\\n")["success"]
wait_for(lambda: source.state.error_count >= 2, "errors")
before = source.get_saved_running_state()["error_count"]
assert before >= 2  # saved, not only counted
block("errors")
wait_for(lambda: source.state.error_count > before, "errors after it was started again")
assert source.state.last_error == "ValueError: no prices today (line 2)"
print("next")
block("consistency")
assert [result["reason"] for result in restore_result["results"]] == ["saved_state_running"]
block("debugging")
assert len(recent_data) == 5 and debug_info["current_stats"]["error_count"] >= before
"""


@WITH_PANDAS
def test_the_whole_guide(holdfast, program):
    holdfast.serve()
    id = program(BEGIN).split()[-1]
    holdfast.kill()
    holdfast.serve()
    printed = program(AFTER_RESTART, id)
    head, _, tail = printed.partition("next\n")
    assert head.startswith("加载了 1 个数据源\n恢复了 1 个数据源\n")
    for line in ("代码更新结果: {'success': True, 'message': '代码更新成功'}", "版本时间: ", "数据源状态: running",
                 "错误计数: 0", "保存的运行状态: True", "导出状态包含 8 个字段",
                 "状态导入结果: {'success': True, 'message': '状态导入成功'}",
                 "错误信息: ValueError: no prices today (line 2)"):
        assert line in head, line
    assert "恢复失败" not in tail and "最近数据: 5 条" in tail
    assert holdfast.source("my_data_source")["tags"] == [f"deva:id={id}"]


def test_the_guide_without_a_daemon(holdfast, program):
    """All of it but the collecting; and what was asked for is done when a daemon comes."""
    printed = program("""
import logging
block("basic")
assert source.start()["status"] == "initializing"
assert source.state.status == "initializing" and not source.is_running
print(source.id)
""")
    id = printed.split()[-1]
    program("""
block("restart")
assert loaded_count == 1 and restore_result["restored_count"] == 1
assert restore_result["results"][0]["timer_restarted"] is False
source = manager.list_source_objects()[0]
block("code_versions")
assert [version["version"] for version in versions] == [2, 1]
summary = source.get_full_state_summary()
saved_state = source.get_saved_running_state()
assert saved_state["is_running"] and saved_state["status"] == "initializing"
assert source.get_saved_latest_data() is None and source.get_recent_data(5) == []
block("export_import")
assert import_result["success"]
block("errors")
block("consistency")
block("debugging")
""", id)
    holdfast.serve()
    wait_for(lambda: holdfast.source("my_data_source")["last_data_at"], "data once a daemon is there")
    assert holdfast.source("restored_source")["wanted"] == "stopped"


def test_without_a_daemon_it_says_that_it_waits_for_one(holdfast, program):
    printed = program("""
import logging
logging.basicConfig(stream=sys.stdout, level=logging.WARNING)
DataSource("s", DataSourceType.TIMER, data_func_code=sys.argv[1], auto_start=True)
""", COUNTING)
    assert "WARNING:holdfast.compat.deva:" in printed and "no daemon answers" in printed
    assert holdfast.source("s")["wanted"] == "running"


def test_without_daemon_and_command_it_says_what_to_do(holdfast, program):
    program("""
import os
os.environ["HOLDFAST_PROGRAM"] = "/there/is/none"
try:
    DataSource("s", DataSourceType.TIMER, data_func_code=sys.argv[1]).save()
except Exception as error:
    assert error.code == "unavailable" and "holdfast serve" in error.hint, error
else:
    raise AssertionError("it was saved")
""", COUNTING)
    assert not holdfast.data.exists()


# ---- saving and finding again ----

def test_an_object_alone_touches_nothing(holdfast, program):
    program("""
source = DataSource("s", DataSourceType.TIMER, data_func_code=sys.argv[1])
assert source.status == DataSourceStatus.INITIALIZING and source.get_saved_running_state() is None
source.to_dict(), source.get_code_versions(), source.get_recent_data()
""", COUNTING)
    assert not holdfast.data.exists()


REFUSED = """
manager = DataSourceManager()
first = DataSource("s", DataSourceType.TIMER, data_func_code=sys.argv[1])
assert manager.register(first) == {"success": True, "id": first.id}
second = DataSource("s")
reply = manager.register(second)
assert not reply["success"] and reply["existing_id"] == first.id, reply
assert manager.register(first)["existing_id"] == first.id
assert not second.start()["success"]  # its name is taken
foreign = manager.register(DataSource("foreign", DataSourceType.TIMER, data_func_code=sys.argv[1]))
assert not foreign["success"] and "not made by deva" in foreign["error"]
for name in ("a/b", "", "-x", "x" * 256, ".."):
    try:
        manager.register(DataSource(name))
    except Exception as error:
        assert error.code == "bad_id" and "holdfast cannot have" in str(error), error
    else:
        raise AssertionError(name)
try:
    manager.register(DataSource("bad", DataSourceType.TIMER, data_func_code="def fetch_data(:"))
except Exception as error:
    assert error.code == "bad_data", error
else:
    raise AssertionError("wrong code was taken")
assert manager.load_from_db() == 0
"""


@pytest.mark.parametrize("way", ["daemon", "alone"])
def test_names_that_are_taken_or_not_possible(holdfast, program, code_file, way):
    if way == "daemon":
        holdfast.serve()
    holdfast.run("source", "add", "foreign", "--kind", "python", "--code", code_file(COUNTING))
    program(REFUSED, COUNTING)
    assert {source["name"] for source in holdfast.json("source", "list")} == {"foreign", "s"}


def test_a_program_that_makes_its_source_at_each_start_finds_its_history(running, program):
    begin = """
manager = DataSourceManager()
source = DataSource("s", DataSourceType.TIMER, data_func_code=sys.argv[1], interval=0.05)
print(source.id)
print(json.dumps(manager.register(source)))
source.start()
wait_for(lambda: source.stats.total_emitted >= int(sys.argv[2]), "data")
source.add_dependent_strategy("mean")
print(source.id, len(source.get_code_versions()), source.get_dependent_strategies())
"""
    program(begin, COUNTING, 3)
    count = running.source("s")["run_count"]
    lines = program(begin, COUNTING + "# changed\n", count + 3).splitlines()
    reply = json.loads(lines[1])
    assert reply["success"] and reply["existing_id"] == reply["id"] != lines[0]
    assert lines[2] == f"{reply['id']} 2 ['mean']"
    assert len(children_of_source(running.data, "s")) == 1


def test_delete_leaves_nothing_that_counts(running, program):
    program("""
manager = DataSourceManager()
source = DataSource("s", DataSourceType.TIMER, data_func_code=sys.argv[1], interval=0.05)
custom = DataSource("c", DataSourceType.KAFKA, config={"topic": "t"})
manager.register(source), manager.register(custom)
source.start(), source.add_dependent_strategy("mean")
reply = source.delete()
assert reply == {"success": True, "impact": {"dependent_strategies": ["mean"], "count": 1,
                                             "warning": "1 strategies depend on this data source"}}, reply
assert custom.delete()["success"] and manager.list_all() == []
assert DataSource.load(source.id) is None and DataSource.get_instance(source.id) is None
""", COUNTING)
    assert running.json("source", "list") == [] and running.json("store", "list", "deva_source") == []
    assert children_of_source(running.data, "s") == []


def test_a_registration_that_was_cut_off_does_not_count(running, program):
    """The record is written first: alone it is no data source, and its name is free."""
    record = {"id": "0123456789ab", "name": "s", "source_type": "timer", "config": {}, "is_source": True}
    running.run("store", "put", "deva_source", "0123456789ab", "-", input=json.dumps(record).encode())
    program("""
manager = DataSourceManager()
assert manager.load_from_db() == 0
assert manager.register(DataSource("s", DataSourceType.TIMER, data_func_code=sys.argv[1]))["success"]
""", COUNTING)


def test_what_the_command_changed_stays(running, program, code_file):
    program('DataSourceManager().register(DataSource("s", DataSourceType.TIMER, data_func_code=sys.argv[1]))', COUNTING)
    running.run("source", "edit", "s", "--interval", "70ms", "--timeout", "9s")
    program("""
manager = DataSourceManager()
manager.load_from_db()
source = manager.get_source_by_name("s")
assert source.metadata.interval == 0.07
source.metadata.description = "new"
source.metadata.tags.append("prices")
source.save()
""")
    source = running.source("s")
    assert (source["interval_ms"], source["timeout_ms"], source["description"]) == (70, 9000, "new")
    assert source["tags"][0] == "prices" and source["tags"][1].startswith("deva:id=")


STEPS = PRELUDE + """
manager = DataSourceManager()
source = DataSource("s", DataSourceType.TIMER, data_func_code=sys.argv[1], interval=0.05)
assert manager.register(source)["success"]
for line in sys.stdin:
    step = int(line)
    for part in range(3):
        assert source.update_data_func_code(f"def fetch_data(): return {step * 10 + part}")["success"]
        for reply in (source.start(), source.stop()):
            assert reply["success"], reply
        source.record_error(f"error {step}")
        other = DataSource(f"other {step} {part}", DataSourceType.TIMER, data_func_code=sys.argv[1])
        assert manager.register(other)["success"] and other.delete()["success"]
        print(part, flush=True)
print(len(source.get_code_versions(100)), source.state.error_count)
"""


def test_the_daemon_dies_in_the_middle(holdfast, program):
    """Whatever is under way then is done, once."""
    process = python_client.start(STEPS, COUNTING, HOLDFAST_DATA=holdfast.data, HOLDFAST_PROGRAM=BINARY)
    for step in range(4):
        holdfast.serve()
        process.stdin.write(f"{step}\n")
        process.stdin.flush()
        process.stdout.readline()
        holdfast.kill()
        process.stdout.readline()
        process.stdout.readline()
    assert python_client.finish(process) == "13 12\n"
    assert [source["name"] for source in holdfast.json("source", "list")] == ["s"]


# ---- all types ----

OTHERS = """
manager = DataSourceManager()
kinds = [kind for kind in DataSourceType if kind not in (DataSourceType.TIMER, DataSourceType.REPLAY)]
for kind in kinds:
    made = manager.create_source(kind.value, kind, config={"url": "x"}, auto_start=True)
    assert made["success"] and made["source"]["state"]["status"] == "running", made
source = manager.get_source_by_name("http")
got = []
source.map(lambda item: item["n"]).filter(lambda n: n > 1) >> got
source.on_data(lambda it, count: got.append(("data", count)))
for n in (1, 2):
    source.record_data({"n": n})
assert got == [("data", 1), 2, ("data", 1)], got
source.record_error("refused")
assert source.update_data_func_code("def fetch_data(): return 1")["success"]
print(source.id)
"""
OTHERS_AGAIN = """
manager = DataSourceManager()
assert manager.load_from_db() == 7
source = manager.get_source(sys.argv[1])
state, stats = source.state, source.stats
assert (state.status, state.error_count, state.last_error) == ("stopped", 1, "refused") and stats.total_emitted == 2
assert source.get_saved_latest_data()["data"] == {"n": 2} and source.metadata.config == {"url": "x"}
assert source.get_code_versions()[0]["new_code"] == "def fetch_data(): return 1"
restored = manager.restore_running_states()
assert restored["restored_count"] == 7 and restored["total_attempted"] == 7, restored
assert manager.get_stats() == {"total_sources": 7, "running_count": 7, "stopped_count": 0, "error_count": 0}
assert len(manager.list_sources(DataSourceStatus.RUNNING)) == 7 and manager.list_sources(DataSourceStatus.ERROR) == []
stopped = manager.stop_all()
assert len(stopped["success"]) == 7 and stopped["failed"] == stopped["skipped"] == []
assert len(manager.stop_all()["skipped"]) == 7
"""


@pytest.mark.parametrize("way", ["daemon", "alone"])
def test_types_that_the_program_serves_itself_are_kept(holdfast, program, way):
    if way == "daemon":
        holdfast.serve()
    program(OTHERS_AGAIN, program(OTHERS).split()[-1])


def test_streams_get_what_the_daemon_collects(running, program):
    """Each datum once, in order, also while the daemon is stopped and started."""
    process = python_client.start(PRELUDE + """
source = DataSource("s", DataSourceType.TIMER, data_func_code=sys.argv[1], interval=0.03)
DataSourceManager().register(source)
got, called = [], []
source.filter(lambda item: item["count"] % 2 == 0).map(lambda item: item["count"]) >> got
source.on_data(lambda it, count: called.append(it is source and count))
source.start()
wait_for(lambda: len(got) >= 4, "data")
print(len(got), flush=True)
sys.stdin.readline()
before = len(got)
wait_for(lambda: len(got) >= before + 3, "data after the daemon was started again")
assert got[:4] == [2, 4, 6, 8] and set(called) == {1}, (got, called)
assert source.recent(2)[-1]["count"] > 0
""", COUNTING, HOLDFAST_DATA=running.data, HOLDFAST_PROGRAM=BINARY)
    process.stdout.readline()
    running.kill()
    running.serve()
    process.stdin.write("\n")
    process.stdin.flush()
    python_client.finish(process)


def test_replay(running, program):
    program("""
made = DataSource("s", DataSourceType.TIMER, data_func_code=sys.argv[1], interval=0.03)
made.start()
wait_for(lambda: made.stats.total_emitted >= 5, "data")
made.stop()
assert [table["name"] for table in get_replay_tables()] == ["s"]
recorded = made.get_recent_data(100)
again = create_replay_source("again", "s", interval=0.001)
got, stopped = [], []
again >> got
again.on_stop(stopped.append)
assert again.start()["status"] == "running"
wait_for(lambda: stopped, "the end of the replay")
assert got == recorded and again.status == DataSourceStatus.STOPPED and again.stats.total_emitted == len(got)
assert create_replay_source("nothing", "s", end_time="2000-01-01 00:00:00", auto_start=True).start()["success"]
assert create_replay_source("wrong", "s", end_time="yesterday").start()["error"].startswith("replay: the time")
assert DataSource("no table", DataSourceType.REPLAY).start() == {"success": False, "error": "缺少表名配置"}
""", COUNTING)


def test_a_function_of_the_program_cannot_be_a_timer(program):
    program("""
try:
    create_timer_source("t", func=print)
except NotImplementedError as error:
    assert "data_func_code" in str(error)
else:
    raise AssertionError("it was taken")
source = create_timer_source("t", 3, data_func_code=sys.argv[1])
assert source.metadata.config == {"interval": 3} and source.metadata.description == "Timer source with 3s interval"
""", COUNTING)


# ---- code, errors, fields ----

def test_names_that_deva_gives_to_its_code(running, program):
    """Imported for code that uses them, and not seen in it."""
    code = "from __future__ import annotations\nbegin = time.time()\n\ndef fetch_data():\n" \
           "    return [math.floor(2.5), re.sub('a', 'b', 'a'), time.time() >= begin, os.sep, json.dumps({})]\n"
    program("""
source = DataSource("s", DataSourceType.TIMER, data_func_code=sys.argv[1], interval=0.05)
source.start()
saved = wait_for(source.get_saved_latest_data, "data")
assert saved["data"] == [2, "b", True, "/", "{}"] and source.state.error_count == 0, source.state
assert source.get_code_versions(1)[0]["new_code"] == sys.argv[1]
assert DataSource.load(source.id).metadata.data_func_code == sys.argv[1]
""", code)


def test_rollback_and_wrong_code_while_it_runs(running, program):
    program("""
source = DataSource("s", DataSourceType.TIMER, data_func_code=sys.argv[1], interval=0.03)
source.start()
for code in ("def fetch_data(:", "x = 1", "import no_such"):
    reply = source.update_data_func_code(code)
    assert not reply["success"] and source.metadata.data_func_code == sys.argv[1], reply
assert len(source.get_code_versions()) == 1 and source.is_running
assert source.update_data_func_code(sys.argv[2])["success"]
wait_for(lambda: source.status == DataSourceStatus.ERROR, "errors of the new code")
assert source.is_running and source.state.last_error == "ValueError: no prices today (line 3)"
assert source.rollback_data_func_code(1)["success"] and not source.rollback_data_func_code(99)["success"]
wait_for(lambda: source.status == DataSourceStatus.RUNNING, "the earlier code")
assert [v["version"] for v in source.get_code_versions()] == [3, 2, 1]
assert source.metadata.data_func_code == sys.argv[1]
""", COUNTING, FAILING)


def test_fields_of_holdfast_in_config(running, program):
    program("""
config = {"holdfast": {"timeout": "7s", "cwd": "/tmp", "env": {"A": "b=c"}}, "mine": [1]}
source = DataSource("s", DataSourceType.TIMER, config=config, data_func_code=sys.argv[1])
source.save()
assert DataSource.load(source.id).metadata.config == config
""", "def fetch_data():\n    return os.getcwd() + os.environ['A']\n")
    shown = running.source("s")
    assert (shown["timeout_ms"], shown["cwd"], shown["env"]) == (7000, "/tmp", {"A": "b=c"})


def test_import_into_one_that_is_there(running, program):
    program("""
manager = DataSourceManager()
theirs = DataSource("theirs", DataSourceType.TIMER, "prices", {"a": 1, "b": 2}, data_func_code=sys.argv[1], interval=0.02)
theirs.metadata.tags = ["x"]
manager.register(theirs), theirs.start(), theirs.add_dependent_strategy("mean")
wait_for(lambda: theirs.stats.total_emitted >= 3, "data")
theirs.stop()
exported = json.loads(json.dumps(theirs.export_state(include_data=True)))

mine = DataSource("mine", DataSourceType.TIMER, config={"b": 3}, data_func_code=sys.argv[2], interval=9)
manager.register(mine)
assert mine.import_state(exported, merge=True)["success"]
mine = DataSource.load(mine.id)
assert mine.metadata.description == "prices" and mine.metadata.config == {"a": 1, "b": 3}, mine.metadata
assert mine.metadata.data_func_code == sys.argv[2] and mine.metadata.interval == 9 and mine.metadata.tags == ["x"]
assert mine.get_dependent_strategies() == ["mean"] and mine.stats.total_emitted == 0

assert mine.import_state(exported)["success"]
mine = DataSource.load(mine.id)
assert mine.metadata.config == {"a": 1, "b": 2} and mine.metadata.interval == 0.02
assert mine.stats.total_emitted == exported["stats"]["total_emitted"] and len(mine.get_code_versions()) == 2
assert mine.get_saved_latest_data()["data"] == exported["saved_latest_data"]["data"]
for wrong in ({}, None, {"metadata": {"interval": "x"}}, {"metadata": {"config": {"a": float("nan")}}}):
    reply = mine.import_state(wrong)
    assert not reply["success"] and mine.metadata.interval == 0.02 and mine.metadata.config == {"a": 1, "b": 2}, reply
assert DataSource.load(mine.id).metadata.to_dict() == mine.metadata.to_dict()

made = DataSource.from_dict({**exported, "metadata": {**exported["metadata"], "id": "00112233aabb", "name": "copy"}})
assert made.stats.total_emitted == exported["stats"]["total_emitted"] and made.state.status == "stopped"
made.save()
assert DataSource.load("00112233aabb").stats.total_emitted == exported["stats"]["total_emitted"]
""", COUNTING, FAILING)


def test_a_source_that_was_stopped_meanwhile_is_not_restored(running, program):
    begin = 'DataSource("s", DataSourceType.TIMER, data_func_code=sys.argv[1], auto_start=True)'
    program(begin, COUNTING)
    process = python_client.start(PRELUDE + """
manager = DataSourceManager()
manager.load_from_db()
print("loaded", flush=True)
sys.stdin.readline()
block("consistency")
assert restore_result["restored_count"] == restore_result["failed_count"] == 0
""", HOLDFAST_DATA=running.data, HOLDFAST_PROGRAM=BINARY)
    process.stdout.readline()
    running.run("source", "stop", "s")
    process.stdin.write("\n")
    process.stdin.flush()
    assert python_client.finish(process) == ("恢复失败: Saved state indicates source should not be running\n"
                                             "状态检查跳过恢复\n")


def test_one_that_cannot_be_run_is_told_of(running, program):
    program("""
config = {"holdfast": {"cwd": "/tmp/there-is-no-such-folder"}}
source = DataSource("s", DataSourceType.TIMER, config=config, data_func_code=sys.argv[1])
DataSourceManager().register(source)
reply = source.start()
assert not reply["success"] and "folder" in reply["error"].lower() or "director" in reply["error"], reply
assert source.status == DataSourceStatus.ERROR and not source.is_running
assert source.stop()["status"] == "stopped"
""", COUNTING)
