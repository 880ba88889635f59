"""The drop-in for n6's StatefulCollectorMixin: the guide's example, and what its users' own checks rely on."""
import logging
import os
import pickle
import re
import sys
from pathlib import Path

import pytest

import python_client

import holdfast as client
from holdfast.compat import n6


class BaseCollector:
    """As much of n6's base as a collector needs: a configuration, a run that publishes."""

    config_of_test = {}

    def __init__(self, **kwargs):
        assert not kwargs
        self.config = dict(self.config_of_test)
        self.published = []

    def run(self):
        self.start_publishing()

    def get_output_components(self):
        return (f"stream.{self.get_source_channel()}", self.get_output_data_body(), {})

    def publish_output(self, routing_key, body, properties):
        self.published.append((routing_key, body, properties))

    def inner_stop(self):
        pass


@pytest.fixture(params=["library", "socket"])
def place(request, holdfast, tmp_path, monkeypatch):
    """A data directory that the environment names, and a state_dir."""
    monkeypatch.setenv("HOLDFAST_DATA", str(holdfast.data))
    if request.param == "socket":
        holdfast.serve()
    holdfast.state_dir = tmp_path / "n6state"
    monkeypatch.setattr(BaseCollector, "config_of_test", {"state_dir": holdfast.state_dir})
    n6._warned.clear()
    return holdfast


class Collector(n6.StatefulCollectorMixin, BaseCollector):
    pass


FILE_NAME = f"{__name__}.Collector.pickle"


def kept(place, collector_class=Collector):
    """The versions in holdfast, newest first."""
    it = collector_class()
    return client.State(n6.name_of(it._state_file_path), format="pickle").log()


def messages(caplog, level):
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def files(place):
    return sorted(path.name for path in place.state_dir.iterdir())


# ---- the guide ----

class Data:
    def __init__(self, time_utc, body):
        self.time_utc, self.body = time_utc, body


SOURCE = [Data(1, "one"), Data(2, "two"), Data(3, "three")]


class MyStatefullCollector(n6.StatefulCollectorMixin, BaseCollector):

    raw_type = 'stream'

    config_spec = '''
        [my_statefull_collector]
        state_dir :: path
        url :: str
    '''

    def make_default_state(self):
        return {}

    def run(self):
        self.state = self.load_state()
        super(MyStatefullCollector, self).run()  # <- main activity of the collector
        self.save_state(self.state)

    def start_publishing(self):
        output_rk, output_data_body, output_prop_kwargs = self.get_output_components()
        self.publish_output(output_rk, output_data_body, output_prop_kwargs)
        self.inner_stop()

    def get_source_channel(self, **processed_data):
        return 'example-channel'

    def get_output_data_body(self, **kwargs):
        data = self._collect_data()
        return data

    def _collect_data(self):
        data = self._download(url=self.config['url'], only_newer_than=self.state.get('last_utc'))
        self.state['last_utc'] = data.time_utc
        return data

    def _download(self, url, only_newer_than):
        assert url == "https://example.org/feed"
        return next(data for data in SOURCE if data.time_utc > (only_newer_than or 0))


def test_the_example_of_the_guide(place, monkeypatch):
    """Each run takes what is newer than what the run before took."""
    monkeypatch.setitem(BaseCollector.config_of_test, "url", "https://example.org/feed")
    for data in SOURCE:
        collector = MyStatefullCollector()
        collector.run()
        assert collector.published == [("stream.example-channel", data, {})]
    assert files(place) == [f"{__name__}.MyStatefullCollector.pickle"]
    assert pickle.loads((place.state_dir / files(place)[0]).read_bytes()) == {"last_utc": 3}
    assert [version.version for version in kept(place, MyStatefullCollector)] == [3, 2, 1]


def test_a_crash_after_a_partial_save_resumes_there(place):
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import os, test_python_n6 as t
t.BaseCollector.config_of_test = {{"state_dir": sys.argv[1]}}
it = t.Collector()
state = it.load_state() or []
for step in range(3):
    state.append(step)
    it.save_state(state)
os.kill(os.getpid(), 9)
"""
    for _ in range(2):
        python_client.finish(python_client.start(code, place.state_dir), status=-9)
    assert Collector().load_state() == [0, 1, 2, 0, 1, 2]


# ---- the contract ----

@pytest.mark.parametrize("value", [None, {}, {"a": {1, 2}, "t": (1, b"\0")}, "€" * 100_000, [float("inf")], Data],
                         ids=["none", "empty", "mixed", "long", "inf", "class"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_objects_come_back(place, value, protocol, caplog):
    caplog.set_level(logging.DEBUG)
    it = Collector(state_pickle_protocol=protocol)
    assert it.save_state(value) is None
    content = (place.state_dir / FILE_NAME).read_bytes()
    assert content == pickle.dumps(value, protocol) and files(place) == [FILE_NAME]
    assert place.state_dir.stat().st_mode & 0o777 == 0o700
    assert (place.state_dir / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert messages(caplog, logging.WARNING) == []
    assert Collector().load_state() == value
    assert len(messages(caplog, logging.WARNING)) == (2 if protocol == 2 else 0)
    path = str(place.state_dir / FILE_NAME)
    assert f"Saved the collector state to {path!a}." in messages(caplog, logging.INFO)
    assert f"Loaded the collector state from {path!a}." in messages(caplog, logging.INFO)
    assert f"The saved state is: {value!a}." in messages(caplog, logging.DEBUG)
    assert f"The loaded state is: {value!a}." in messages(caplog, logging.DEBUG)
    # What holdfast keeps is the file, byte for byte.
    shown = place.run("state", "get", n6.name_of(it._state_file_path))
    assert shown.stdout == content


def test_the_highest_protocol_is_the_default(place):
    Collector().save_state([])
    assert (place.state_dir / FILE_NAME).read_bytes()[1] == pickle.HIGHEST_PROTOCOL


def test_default(place, caplog):
    caplog.set_level(logging.INFO)
    assert Collector().load_state() is None
    assert len(messages(caplog, logging.WARNING)) == 1 and messages(caplog, logging.ERROR) == []
    assert re.fullmatch(r"Could not load the collector state \(FileNotFoundError: .*\)\. "
                        r"The following default state will be used: None\.", messages(caplog, logging.WARNING)[0])
    assert not place.state_dir.exists()

    class WithDefault(Collector):
        def make_default_state(self):
            return {"a": 1}
    assert WithDefault().load_state() == {"a": 1}


def test_arguments_and_attributes(place):
    with pytest.raises(TypeError, match="pickle_protocol"):
        type("Wrong", (Collector,), {"pickle_protocol": 2})
    type("Right", (Collector,), {"pickle_protocol": None})
    with pytest.raises(TypeError):
        Collector(4)
    main = type("InMain", (Collector,), {"__module__": "__main__"})
    with pytest.raises(ValueError, match="'__main__' is not the proper name of the module containing InMain"):
        main()
    named = type("Named", (Collector,), {"get_state_file_name": lambda self: "my own name.p"})()
    named.save_state(1)
    assert files(place) == ["my own name.p"] and named.load_state() == 1


def test_names_of_nested_classes(place):
    class Inner(Collector):
        pass
    Inner().save_state(1)
    assert files(place) == [f"{__name__}.test_names_of_nested_classes.<locals>.Inner.pickle"]
    assert len(kept(place, Inner)) == 1


def write(place, content):
    place.state_dir.mkdir(exist_ok=True)
    (place.state_dir / FILE_NAME).write_bytes(content)


@pytest.mark.parametrize("content, error", [
    (b"", EOFError), (b"\x80", pickle.UnpicklingError), (b"(", EOFError),
    (pickle.dumps(list(range(99)), 4)[:-9], pickle.UnpicklingError),
    (pickle.dumps("abc", 4).replace(b"abc", b"a\xffc"), UnicodeDecodeError),
    (b"\x80\x63.", ValueError), (b"\x80\x04cno_such_module\nx\n.", ModuleNotFoundError),
    (b"(dp0\n.", SystemExit), (b"{}", SystemExit), (b"\0\0\0\0", SystemExit), (b"\x80\x01.", SystemExit),
    (b"\x80\x02X\x01\x00", SystemExit)], ids=lambda value: "" if isinstance(value, bytes) else value.__name__)
@pytest.mark.parametrize("has_version", [False, True], ids=["new", "kept"])
def test_a_damaged_file(place, content, error, has_version, caplog):
    """The original's exception; the file stays as it is, and never becomes a version."""
    if has_version:
        Collector().save_state("whole")
    write(place, content)
    caplog.set_level(logging.INFO)
    with pytest.raises(error) as caught:
        Collector().load_state()
    assert len(messages(caplog, logging.ERROR)) == (0 if error is SystemExit else 1)
    assert (place.state_dir / FILE_NAME).read_bytes() == content
    told = str(caught.value) + "".join(getattr(caught.value, "__notes__", []))
    assert ("holdfast state export --format n6" in told) is (has_version and sys.version_info >= (3, 11))
    if has_version:
        assert [version.version for version in kept(place)] == [1]


def test_the_way_back_from_a_damaged_file(place):
    it = Collector()
    it.save_state("whole")
    write(place, b"")
    path = place.state_dir / FILE_NAME
    place.run("state", "export", "--format", "n6", n6.name_of(it._state_file_path), path)
    assert it.load_state() == "whole"


def test_a_file_that_cannot_be_read(place, caplog):
    (place.state_dir / FILE_NAME).mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        Collector().load_state()
    assert len(messages(caplog, logging.ERROR)) == 1
    with pytest.raises(OSError):
        Collector().save_state(1)
    assert files(place) == [FILE_NAME]


def test_what_cannot_be_pickled(place, caplog):
    it = Collector()
    it.save_state(1)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        it.save_state(lambda: 1)
    assert re.match(r"Could not save the collector state to .*\. You may need to deal with the problem manually!",
                    messages(caplog, logging.ERROR)[0])
    assert it.load_state() == 1 and files(place) == [FILE_NAME] and len(kept(place)) == 1


# ---- Python 2 ----

# pickle.dumps({'last': u'\u20ac', 'raw': 'abc'}, 2) of Python 2.7
OF_PYTHON_2 = b"\x80\x02}q\x00(U\x03rawq\x01U\x03abcq\x02U\x04lastq\x03X\x03\x00\x00\x00\xe2\x82\xacq\x04u."


def test_a_pickle_of_python_2(place, caplog):
    write(place, OF_PYTHON_2)

    class Adjusting(Collector):
        def get_state_file_name(self):
            return FILE_NAME

        def adjust_state_from_py2_pickle(self, state):
            return sorted(state)
    assert Adjusting().load_state() == ["last", "raw"]
    assert len(messages(caplog, logging.WARNING)) == 2
    assert Collector().load_state() == {"last": "€", "raw": "abc"}
    Collector().save_state({})
    assert len(messages(caplog, logging.WARNING)) == 4


def test_a_pickle_of_python_2_that_needs_another_encoding(place):
    write(place, OF_PYTHON_2.replace(b"abc", b"\xe4bc"))
    with pytest.raises(SystemExit, match="get_py2_pickle_load_kwargs"):
        Collector().load_state()

    class Latin(Collector):
        def get_state_file_name(self):
            return FILE_NAME

        def get_py2_pickle_load_kwargs(self):
            return dict(encoding="latin1")
    assert Latin().load_state()["raw"] == "äbc"


# ---- file and store ----

def test_a_directory_that_is_there_is_adopted(place, caplog):
    content = pickle.dumps({"old": 1}, 3)
    write(place, content)
    caplog.set_level(logging.INFO)
    assert Collector().load_state() == {"old": 1}
    [version] = kept(place)
    assert version.version == 1 and version.note.startswith("adopted: ")
    assert messages(caplog, logging.WARNING) == []
    assert Collector().load_state() == {"old": 1} and len(kept(place)) == 1
    assert files(place) == [FILE_NAME]


def test_a_file_that_was_changed_counts(place):
    it = Collector()
    it.save_state("saved")
    write(place, pickle.dumps("restored by hand"))
    assert it.load_state() == "restored by hand"
    assert [version.note.split(":")[0] for version in kept(place)] == ["changed outside of holdfast", ""]


def test_a_file_that_is_gone_is_no_default(place, caplog):
    it = Collector()
    it.save_state("saved")
    (place.state_dir / FILE_NAME).unlink()
    assert it.load_state() == "saved"
    [warning] = messages(caplog, logging.WARNING)
    assert "Version 1" in warning and f"holdfast state clear '{n6.name_of(it._state_file_path)}'" in warning
    caplog.clear()
    place.state_dir.rmdir()
    assert it.load_state() == "saved"
    assert len(messages(caplog, logging.WARNING)) == 1
    without = type("Collector", (Collector,), {"restore_missing_state": False})()
    assert without._state_file_path == it._state_file_path
    assert without.load_state() is None
    place.run("state", "clear", n6.name_of(it._state_file_path))
    assert it.load_state() is None


def test_another_state_dir_is_another_state(place, caplog, tmp_path, monkeypatch):
    Collector().save_state("saved")
    monkeypatch.setitem(BaseCollector.config_of_test, "state_dir", str(tmp_path / "another"))
    caplog.set_level(logging.INFO)
    assert Collector().load_state() is None
    assert len(messages(caplog, logging.WARNING)) == 1
    assert any("from other state directories" in text for text in messages(caplog, logging.INFO))


def test_what_a_killed_writer_left_is_removed(place):
    it = Collector()
    it.save_state(1)
    from holdfast.compat import _atomic_file
    left = place.state_dir / (_atomic_file._prefix(it._state_file_path) + "0123456789abcdef")
    left.write_bytes(b"half")
    live_fd, live = _atomic_file._create(it._state_file_path)
    it.save_state(2)
    assert files(place) == sorted([FILE_NAME, live.name])
    os.close(live_fd)
    it.save_state(3)
    assert files(place) == [FILE_NAME]


def test_no_store_at_all_is_no_worse_than_the_original(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HOLDFAST_DATA", str(tmp_path / "file" / "data"))
    monkeypatch.setattr(BaseCollector, "config_of_test", {"state_dir": tmp_path / "n6state"})
    n6._warned.clear()
    it = Collector()
    assert it.load_state() is None
    assert len(messages(caplog, logging.WARNING)) == 1
    it.save_state(1)
    it.save_state(2)
    assert len(messages(caplog, logging.WARNING)) == 2
    assert it.load_state() == 2
    assert len(messages(caplog, logging.WARNING)) == 2 and messages(caplog, logging.ERROR) == []


def test_a_run_that_was_overtaken_cannot_save(place, monkeypatch, caplog):
    first = client.State("job")
    with pytest.raises(client.Conflict):
        with first:
            monkeypatch.setenv("HOLDFAST_STATE", "job")
            monkeypatch.setenv("HOLDFAST_FENCE", str(first.fence))
            Collector().save_state("A")
            monkeypatch.delenv("HOLDFAST_STATE")
            with client.State("job", steal=True):
                monkeypatch.setenv("HOLDFAST_STATE", "job")
                with pytest.raises(client.Conflict):
                    Collector().save_state("A again")
                monkeypatch.delenv("HOLDFAST_STATE")
    assert Collector().load_state() == "A"
    assert len(messages(caplog, logging.ERROR)) == 1


def test_beside_n6_the_option_joins_the_others():
    code = """
import sys, types
lib, config = types.ModuleType("n6lib"), types.ModuleType("n6lib.config")
config.combined_config_spec = lambda text: ("combined", text)
sys.modules.update({"n6lib": lib, "n6lib.config": config})
from holdfast.compat.n6 import StatefulCollectorMixin
print(StatefulCollectorMixin.config_spec_pattern[0], "state_dir = ~/.n6state :: path" in
      StatefulCollectorMixin.config_spec_pattern[1])
"""
    assert python_client.finish(python_client.start(code)) == "combined True\n"
