"""holdfast run --singer: taps and targets."""
import json
import signal
import subprocess

import pytest

from runs import end, read_soon

# Counts from where its state says; a STATE message behind each three records.
TAP = '''
import argparse, json, os, sys
parser = argparse.ArgumentParser()
parser.add_argument("--to", type=int, default=9)
parser.add_argument("--fail-at", type=int, default=-1)
parser.add_argument("--state")
given = parser.parse_args()
at = json.load(open(given.state))["at"] if given.state else 0
def say(message):
    sys.stdout.write(json.dumps(message) + "\\n")
    sys.stdout.flush()
say({"type": "SCHEMA", "stream": "numbers", "schema": {}, "key_properties": []})
while at < given.to:
    at += 1
    if at == given.fail_at:
        sys.exit(1)
    say({"type": "RECORD", "stream": "numbers", "record": {"n": at, "text": "a \\"type\\": \\"STATE\\" in a text"}})
    if at % 3 == 0:
        say({"type": "STATE", "value": {"at": at}})
'''

# Appends records to a file, and says a state when all before it is on the disk.
TARGET = '''
import json, os, sys
file = open(sys.argv[1], "a")
print("target: ready, not a message", flush=True)
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "RECORD":
        file.write("%d\\n" % message["record"]["n"])
    elif message["type"] == "STATE":
        file.flush()
        os.fsync(file.fileno())
        print(json.dumps(message if len(sys.argv) > 2 else message["value"]), flush=True)
'''

PYTHON = "/usr/bin/python3"


@pytest.fixture
def singer(runs, tmp_path):
    (tmp_path / "tap.py").write_text(TAP)
    (tmp_path / "target.py").write_text(TARGET)
    runs.tap = [PYTHON, tmp_path / "tap.py"]
    runs.target = [PYTHON, tmp_path / "target.py", tmp_path / "taken"]
    runs.taken = lambda: [int(line) for line in (tmp_path / "taken").read_text().split()]
    return runs


@pytest.mark.parametrize("wrapped", [[], ["wrapped"]])
def test_a_pipeline_saves_each_state_of_the_target(singer, wrapped):
    target = [*singer.target, *wrapped]
    result = singer.do(*singer.tap, "|", *target, options=["--singer"])
    assert result.returncode == 0, result
    assert result.stdout == b"target: ready, not a message\n"
    assert json.loads(singer.state()) == {"at": 9}
    assert singer.taken() == list(range(1, 10))
    row = singer.ledger()[-1]
    assert row["outcome"] == "ok" and row["saves"] == 3
    singer.do(*singer.tap, "--to", 12, "|", *target, options=["--singer"])
    assert json.loads(singer.state()) == {"at": 12}
    assert singer.taken() == list(range(1, 13))
    assert [entry["version"] for entry in singer.json("state", "log", "feed")] == [4, 3, 2, 1]


def test_what_a_target_has_stays_when_the_tap_fails(singer):
    result = singer.do(*singer.tap, "--fail-at", 8, "|", *singer.target, options=["--singer"])
    assert result.returncode == 1
    assert json.loads(singer.state()) == {"at": 6}
    assert singer.outcomes() == ["failed"]
    singer.do(*singer.tap, "|", *singer.target, options=["--singer"])
    assert json.loads(singer.state()) == {"at": 9}
    assert set(singer.taken()) == set(range(1, 10))


def test_a_single_tap_in_a_pipe_of_the_shell(singer):
    words = " ".join(map(str, singer.words(*singer.tap, options=["--singer"])))
    line = f"{words} | {' '.join(map(str, singer.target))}"
    result = subprocess.run(["sh", "-c", line], capture_output=True, timeout=60)
    assert result.returncode == 0, result
    assert json.loads(singer.state()) == {"at": 9}
    assert singer.taken() == list(range(1, 10))
    row = singer.ledger()[-1]
    assert (row["outcome"], row["records"], row["version_after"]) == ("ok", 9, 1)
    subprocess.run(["sh", "-c", line.replace("tap.py", "tap.py --to 12")], check=True, timeout=60)
    assert singer.taken() == list(range(1, 13))


def test_the_output_of_a_single_tap_is_untouched(singer):
    alone = subprocess.run([*map(str, singer.tap)], capture_output=True).stdout
    assert singer.do(*singer.tap, options=["--singer"]).stdout == alone


def test_a_single_tap_that_fails_saves_nothing(singer):
    assert singer.do(*singer.tap, "--fail-at", 8, options=["--singer"]).returncode == 1
    assert singer.state() is None


def test_lines_of_any_length_and_any_bytes_pass(singer, tmp_path):
    parts = [b'{"type": "RECORD", "record": "' + b"x" * 3_000_000 + b'"}\n', b"\xff\xfe\n", b"\n", b"{\n",
             b'{"type": "STATE", "value": {"long": "' + b"y" * 1_000_000 + b'"}}\n', b"no line feed at the end"]
    (tmp_path / "out").write_bytes(b"".join(parts))
    result = singer.do("cat", tmp_path / "out", options=["--singer"])
    assert result.returncode == 0 and result.stdout == b"".join(parts)
    assert len(json.loads(singer.state())["long"]) == 1_000_000


def test_a_line_that_is_too_long_to_be_looked_at_passes(singer):
    """And the one behind it is looked at again."""
    script = """head -c 70000000 /dev/zero | tr '\\0' x; echo; echo '{"type": "STATE", "value": 1}'"""
    result = singer.do("sh", "-c", script, options=["--singer"])
    assert result.returncode == 0
    assert result.stdout == b"x" * 70_000_000 + b'\n{"type": "STATE", "value": 1}\n'
    assert singer.state() == b"1"


def test_a_state_message_that_is_no_json_is_told_of(singer, tmp_path):
    singer.do(*singer.tap, options=["--singer"])
    (tmp_path / "out").write_text('{"type": "STATE", "value": {"at": NaN}}\n')
    result = singer.do("sh", "-c", f"cat {tmp_path}/out", options=["--singer"])
    assert result.returncode == 65 and b"STATE" in result.stderr, result
    assert json.loads(singer.state()) == {"at": 9}
    assert [path.read_text() for path in singer.rejected()] == ['{"type": "STATE", "value": {"at": NaN}}\n']
    assert singer.outcomes()[-1] == "refused"


def test_a_state_that_is_no_json_cannot_be_given_to_a_tap(singer):
    singer.well("printf '\\377' >$HOLDFAST_STATE_FILE")
    result = singer.do(*singer.tap, options=["--singer"])
    assert result.returncode == 65 and b"must be JSON" in result.stderr
    assert singer.state() == b"\xff"


@pytest.mark.parametrize("words", [["|", "cat"], ["cat", "|"], ["cat", "|", "|", "cat"]])
def test_a_pipeline_that_is_none(singer, words):
    assert singer.do(*words, options=["--singer"]).returncode == 64


def test_a_command_of_the_pipeline_that_is_not_there(singer, tmp_path):
    result = singer.do("sh", "-c", f"echo $$ >{tmp_path}/pid; exec sleep 1000", "|", "no-such-target",
                       options=["--singer"])
    assert result.returncode == 69 and b"no-such-target" in result.stderr


def test_a_reader_that_goes_away_ends_the_tap(singer):
    words = " ".join(map(str, singer.words("yes", "line", options=["--singer"])))
    result = subprocess.run(["bash", "-c", f"{words} | head -n 1; echo ${{PIPESTATUS[0]}}"], capture_output=True,
                            timeout=60)
    assert result.stdout.split() == [b"line", str(128 + signal.SIGPIPE).encode()]
    assert singer.outcomes() == ["failed"]


def test_a_pipeline_that_lost_its_lease_is_ended(singer, tmp_path):
    """The next state of the target is refused, and with it the run."""
    script = f"echo '{{}}'; echo $$ >{tmp_path}/pid; while test ! -e {tmp_path}/go; do sleep .01; done; echo '{{\"b\": 1}}'; cat"
    first = singer.start("sleep", "1000", "|", "sh", "-c", script, options=["--singer"])
    read_soon(tmp_path / "pid")
    taken = singer.json("state", "begin", "feed", "--on-overlap", "steal", "--pid", first.pid)
    (tmp_path / "go").touch()
    _, err = first.communicate(timeout=60)
    assert first.returncode == 75 and b"taken over" in err, err
    assert json.loads(singer.state()) == {}
    assert taken["fence"] == 2
    end(first)
