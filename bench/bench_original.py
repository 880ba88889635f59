"""What the file datastore of changedetection.io 0.52.9 does for the same work, in the same run, with Python's own json:
a set of dirty ids saved in batches of 50 by a new pool of 20 threads for each batch, SHA-256 over the key-sorted
document to find what changed, a temporary file and a rename for each document, no fsync of a file, an fsync of the
folder when the file is new; a load that reads and hashes each file; an audit that hashes each document. Its documents
are of the size and shape of those in bench_saver. Prints seconds (milliseconds where it says so)."""

import glob
import hashlib
import json
import os
import resource
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor, as_completed

DOCUMENTS, DOCUMENT_BYTES, BATCH, THREADS, SHARDS = 56278, 2500, 50, 20, 5


def make_document(number, turn):
    document = {"turn": turn, "url": f"https://www.example.org/products/{number}/details?session={number * 40503:x}"}
    size, i = 80, 0
    while size < DOCUMENT_BYTES - 40:
        name = sys.intern(f"{'previous' if i % 2 else 'last'}_{i}")
        document[name] = [number * 1000 + i, i % 3 == 0, f"{number * 2654435761 + i:08x} of \"{number}\" – {i}",
                          [1, 2.5, None, {"a": True}]][i % 4]
        size += len(name) + [12, 8, 32, 28][i % 4]
        i += 1
    return document


def save_json_atomic(path, document):
    is_new = not os.path.exists(path)
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    fd, temporary = tempfile.mkstemp(suffix=".tmp", prefix="json-", dir=folder)
    os.write(fd, json.dumps(document, indent=2, ensure_ascii=False).encode())
    os.close(fd)
    os.replace(temporary, path)
    if is_new:
        fd = os.open(folder, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


class Datastore:
    def __init__(self, root):
        self.root, self.watching, self.hashes, self.dirty, self.shard = root, {}, {}, set(), 0

    @staticmethod
    def hash_of(document):
        return hashlib.sha256(json.dumps(document, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def save_one(self, key):
        document = dict(self.watching[key])
        digest = self.hash_of(document)
        if digest != self.hashes.get(key):
            save_json_atomic(os.path.join(self.root, key, "watch.json"), document)
            self.hashes[key] = digest

    def save_dirty(self):
        keys, self.dirty = list(self.dirty), set()
        for start in range(0, len(keys), BATCH):
            with ThreadPoolExecutor(max_workers=THREADS) as pool:
                for done in as_completed([pool.submit(self.save_one, key) for key in keys[start:start + BATCH]]):
                    done.result()

    def load(self):
        self.watching, self.hashes = {}, {}
        for path in glob.glob(os.path.join(self.root, "*", "watch.json")):
            key = os.path.basename(os.path.dirname(path))
            os.path.getsize(path)
            with open(path, encoding="utf-8") as file:
                self.watching[key] = json.load(file)
            self.hashes[key] = self.hash_of(dict(self.watching[key]))

    def audit(self):
        keys = list(self.watching)
        size = -(-len(keys) // SHARDS)
        for key in keys[self.shard * size:(self.shard + 1) * size]:
            assert self.hash_of(dict(self.watching[key])) == self.hashes[key]
        self.shard = (self.shard + 1) % SHARDS


def timed(what, scale, unit, work):
    start = time.monotonic()
    work()
    print(f"original_{what} {(time.monotonic() - start) * scale:.3f} {unit} - -", flush=True)


def main():
    store = Datastore(os.path.abspath("original"))
    os.mkdir(store.root)
    for number in range(DOCUMENTS):
        store.watching[str(uuid.uuid4())] = make_document(number, 0)
    keys = list(store.watching)
    store.dirty = set(keys)
    timed("first", 1, "s", store.save_dirty)
    for number in range(0, DOCUMENTS, 100):
        store.watching[keys[number]] = make_document(number, 1)
        store.dirty.add(keys[number])
    timed("dirty", 1000, "ms", store.save_dirty)
    timed("load", 1, "s", store.load)
    timed("audit_shard", 1000, "ms", store.audit)
    timed("audit_all", 1000, "ms", lambda: [store.audit() for _ in range(SHARDS)])
    print(f"original_memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB - -")


if __name__ == "__main__":
    main()
