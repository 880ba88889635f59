"""A program over the library, in a process of its own: for tests of what only a real machine limits."""

import contextlib
import ctypes
import glob
import json
import os
import resource
import subprocess
import sys

import pytest

if __name__ != "__main__":
    from conftest import BINARY

    LIBRARY = next(iter(glob.glob(os.path.join(os.path.dirname(BINARY), "**/libholdfast.so.0"), recursive=True)), None)

URLS = ["sqlite:{}/store.db", "tree:{}/tree?layout=watch"]
BOTH = pytest.mark.parametrize("url", URLS, ids=["sqlite", "tree"])
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and other users need root")


def run(*command):
    environment = {**os.environ, "PATH": os.environ["PATH"] + ":/sbin:/usr/sbin"}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("system_errno", ctypes.c_int), ("message", ctypes.c_char * 512),
                ("hint", ctypes.c_char * 256), ("origin", ctypes.c_char * 64)]


class Program:
    """What the child does, line by line."""

    def __init__(self, library):
        self.library = ctypes.CDLL(library)
        self.library.hf_code_word.restype = ctypes.c_char_p
        self.store, self.error = ctypes.c_void_p(), Error()

    def answer(self, code):
        word = self.library.hf_code_word(code).decode() if code else "ok"
        return {"word": word, "message": self.error.message.decode() if code else "",
                "status": self.library.hf_code_http_status(code) if code else 200,
                "retryable": self.library.hf_code_is_retryable(code) if code else 0}

    def open(self, url):
        return self.answer(self.library.hf_store_open(url.encode(), None, ctypes.byref(self.store),
                                                      ctypes.byref(self.error)))

    def put(self, name, size):
        text = json.dumps({"name": name, "fill": "x" * size}).encode()
        return self.answer(self.library.hf_store_put(self.store, b"watch", name.encode(), text,
                                                     ctypes.c_size_t(len(text)), None, ctypes.byref(self.error)))

    def get(self, name):
        record = ctypes.c_void_p()
        code = self.library.hf_store_get(self.store, b"watch", name.encode(), ctypes.byref(record),
                                         ctypes.byref(self.error))
        self.library.hf_record_free(ctypes.byref(record))
        return self.answer(code)

    def check(self):
        result = (ctypes.c_uint64 * 4)()
        code = self.library.hf_store_check(self.store, None, None, result, ctypes.byref(self.error))
        return {**self.answer(code), "findings": result[3]}

    def close(self):
        self.library.hf_store_close(ctypes.byref(self.store))
        return self.answer(0)

    def take_descriptors(self, left):
        """Opens files until only so many are free."""
        taken = []
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        for fd in taken[len(taken) - left:] if left else []:
            os.close(fd)
        self.taken = taken[:len(taken) - left]
        return self.answer(0)

    def give_descriptors(self):
        for fd in self.taken:
            os.close(fd)
        return self.answer(0)


def child_main():
    program = Program(sys.argv[1])
    for line in sys.stdin:
        verb, *words = json.loads(line)
        print(json.dumps(getattr(program, verb)(*words)), flush=True)


class Child:
    def __init__(self, user=None, files=None):
        def limit():
            if files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        self.process = subprocess.Popen([sys.executable, __file__, LIBRARY], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1, preexec_fn=limit, user=user,
                                        cwd="/")

    def ask(self, *words):
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def must(self, *words):
        answer = self.ask(*words)
        assert answer["word"] == "ok", (words, answer)
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=30)


@contextlib.contextmanager
def child(**options):
    if not LIBRARY:
        pytest.skip("libholdfast.so is not built")
    it = Child(**options)
    try:
        yield it
    finally:
        if it.process.poll() is None:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                it.close()
        if it.process.poll() is None:
            it.process.kill()
            it.process.wait()


if __name__ == "__main__":
    child_main()
