# holdfast's python worker: runs one version of one source's code, once per request.
#
#   argv     name of the source, most bytes of one datum
#   stdin    the code
#   fd 3     requests {"run":N} in, one reply per request out, a line of JSON each; its end is ours, too
#   stdout   what the code prints; belongs to the run
import json
import os
import select
import sys
import threading

NAME, LIMIT = sys.argv[1], int(sys.argv[2])
FILE = "<" + NAME + ">"
ERROR_TEXT, TRACEBACK_TEXT = 2000, 16384


def take_fds():
    """Moves the channel out of the way, and reads the code; the code itself finds an empty stdin and no open fd 3."""
    channel = os.dup(3)  # not inherited by what the code starts
    os.close(3)
    with open(0, "rb", closefd=False) as stdin:
        code = stdin.read()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return channel, code


def end_with_the_daemon(channel):
    """When the daemon is gone nobody wants the result: do not finish, do not linger."""
    poll = select.poll()
    poll.register(channel, select.POLLRDHUP)
    poll.poll()
    os._exit(0)


def read_requests(channel):
    waiting = b""
    while True:
        line, newline, rest = waiting.partition(b"\n")
        if newline:
            waiting = rest
            yield json.loads(line)
            continue
        more = os.read(channel, 65536)
        if not more:
            return
        waiting += more


def send(channel, reply):
    view = memoryview(reply)
    while view:
        view = view[os.write(channel, view):]


# ---- values ---------------------------------------------------------------------------------------------------------


class Plain:
    """Turns what json cannot write into what it can, and notes what had to change."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def value(self, value):
        kind = type(value)
        if value is None or kind is bool or kind is int:
            return value
        if kind is str:
            return self.text(value)
        if kind is float:
            return self.number(value)
        if isinstance(value, dict):
            return self.members(value)
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        if isinstance(value, (set, frozenset)):
            self.note("a set became an array")
            return [self.value(item) for item in sorted(value, key=repr)]
        if isinstance(value, (bytes, bytearray, memoryview)):
            import base64

            return {"base64": base64.b64encode(bytes(value)).decode("ascii")}
        return self.known_type(value)

    def text(self, value):
        try:
            value.encode("utf-8")
            return value
        except UnicodeEncodeError:
            self.note("characters that UTF-8 does not have became U+FFFD")
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def number(self, value):
        if value != value or value in (float("inf"), float("-inf")):
            self.note("NaN or infinity became null")
            return None
        return value

    def members(self, value):
        plain = {}
        for key, item in value.items():
            if isinstance(key, str):
                key = self.text(str(key))
            elif key is None or isinstance(key, (bool, int, float)):
                key = json.dumps(key)
            elif hasattr(key, "isoformat"):
                key = key.isoformat()
            else:
                raise TypeError("a key is of the type %s, which JSON does not have" % type_name(key))
            if key in plain:
                raise ValueError("two keys become the same text %r" % key)
            plain[key] = self.value(item)
        return plain

    def known_type(self, value):
        name, module = type(value).__name__, type(value).__module__.partition(".")[0]
        if name in ("NaTType", "NAType"):
            return None
        if hasattr(value, "isoformat"):  # datetime, date, time, pandas.Timestamp
            return value.isoformat()
        if module == "numpy" and hasattr(value, "tolist"):
            is_time = value.dtype.kind in "mM"  # as text: tolist would make bare numbers of them
            return self.value(value.astype(str).tolist() if is_time else value.tolist())
        if module == "pandas" and name == "Series":
            return self.series(value)
        if module == "pandas" and name == "DataFrame":
            return frame_rows(value, self)[0]
        if module in ("decimal", "uuid", "pathlib") or name == "timedelta" or name == "Timedelta":
            return str(value)
        for kind, base in ((str, str), (int, int), (float, float)):  # enumerations and other children of these
            if isinstance(value, kind):
                return self.value(base(value))
        raise TypeError("fetch_data returned the type %s, which JSON does not have" % type_name(value))

    def series(self, value):
        if type(value.index).__name__ == "RangeIndex":
            return [self.value(item) for item in value.tolist()]
        return self.members(dict(zip(value.index.tolist(), value.tolist())))


def type_name(value):
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else kind.__module__ + "." + kind.__name__


def is_frame(value):
    kind = type(value)
    return kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] == "pandas"


def frame_rows(frame, plain):
    """A row per object; NaN means missing there, so it becomes null without a note."""
    if type(frame.index).__name__ != "RangeIndex":
        frame = frame.reset_index()
    names, columns, columns_of_type = [], [], {}
    for place, label in enumerate(frame.columns.tolist()):
        base = name = plain.text(label if isinstance(label, str) else str(label))
        while name in columns_of_type:
            name = "%s.%d" % (base, place)
        series = frame.iloc[:, place]
        names.append(name)
        columns_of_type[name] = str(series.dtype)
        columns.append([None if isinstance(item, float) and item != item else plain.value(item)
                        for item in series.tolist()])
    return [dict(zip(names, row)) for row in zip(*columns)], columns_of_type


class TooLarge(Exception):
    pass


def write(value):
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def encode(value):
    """The members of a reply that hold a value."""
    plain, columns = Plain(), None
    kind = type(value).__name__
    if is_frame(value):
        value, columns = frame_rows(value, plain)
    try:  # the common case costs one pass
        data = write(value)
    except (TypeError, ValueError):
        data = None
    if data is None:
        data = write(plain.value(value))
    if len(data) > LIMIT:
        raise TooLarge("the datum has %d bytes, and %d are allowed" % (len(data), LIMIT))
    head = {"outcome": "ok", "type": kind}
    if columns is not None:
        head["columns"] = columns
    if plain.notes:
        head["notes"] = plain.notes
    return head, data


# ---- runs -----------------------------------------------------------------------------------------------------------


def load(code):
    module = type(sys)("holdfast_source")
    sys.modules[module.__name__] = module
    module.__file__ = FILE
    exec(compile(code, FILE, "exec"), module.__dict__)
    return module


def call(module):
    value = module.fetch_data()
    if hasattr(value, "__await__"):
        import asyncio

        async def wait():
            return await value

        value = asyncio.run(wait())
    return value


def line_of(error):
    if isinstance(error, SyntaxError) and error.filename == FILE:
        return error.lineno
    line, trace = None, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def describe(error, code):
    """One line for people, and the traceback without our own frames."""
    import linecache
    import traceback

    try:
        lines = code.decode("utf-8", "replace").splitlines(True)
        linecache.cache[FILE] = (len(code), None, lines, FILE)
        text = str(error.msg if isinstance(error, SyntaxError) else error)
    except BaseException as second:  # a __str__ that fails
        text = "its text cannot be had: " + type(second).__name__
    text = " ".join(text.split())[:ERROR_TEXT]
    head = type(error).__name__ + (": " + text if text else "")
    line = line_of(error)
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename != FILE:
        trace = trace.tb_next
    try:
        whole = "".join(traceback.format_exception(type(error), error, trace))
    except BaseException:
        whole = head
    return {"outcome": "error", "error": head + (" (line %d)" % line if line else ""),
            "traceback": whole[-TRACEBACK_TEXT:].encode("utf-8", "replace").decode("utf-8")}


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            pass


def run(state, code):
    """Nothing that the code does by raising ends the worker."""
    try:
        if state["module"] is None:  # once, and again while it fails: what it misses may come
            state["module"] = load(code)
        value = call(state["module"])
        if value is None:
            return {"outcome": "none"}, None
        return encode(value)
    except TooLarge as error:
        return dict(describe(error, code), code="too_large"), None
    except BaseException as error:
        return describe(error, code), None


def reply(number, head, data):
    head["run"] = number
    text = json.dumps(head, allow_nan=False, separators=(",", ":")).encode("utf-8")
    return text + b"\n" if data is None else text[:-1] + b',"data":' + data + b"}\n"


def main():
    channel, code = take_fds()
    threading.Thread(target=end_with_the_daemon, args=(channel,), daemon=True).start()
    state, own_pid = {"module": None}, os.getpid()
    for request in read_requests(channel):
        head, data = run(state, code)
        if os.getpid() != own_pid:  # a fork of the code came back here: it has no say
            os._exit(0)
        flush()
        send(channel, reply(request["run"], head, data))
    os._exit(0)


main()
