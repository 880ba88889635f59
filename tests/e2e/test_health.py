"""The daemon looks after its store: damage is found and told, a full disk is told and over when there is room."""
import json
import os
import subprocess

import pytest

from conftest import Holdfast, http, wait_for

TINY_MIB = 48


def health(holdfast):
    return holdfast.json("status")["health"]


def probe(holdfast):
    reply = http(holdfast.address, "GET", "/healthz")
    return reply.status, reply.json()["status"]


def put(holdfast, id, document, **options):
    return holdfast.run("store", "put", "page", id, "-", input=json.dumps(document).encode(), **options)


def flip(path, text):
    data = bytearray(path.read_bytes())
    at = data.index(text)
    data[at] ^= 1
    path.write_bytes(data)


def test_a_damaged_row_is_found(holdfast):
    holdfast.serve()
    for number in range(40):
        put(holdfast, f"p{number}", {"text": f"the text of number {number}."})
    assert probe(holdfast) == (200, "HEALTHY")
    assert holdfast.stop() == 0
    flip(holdfast.data / "store.db", b"the text of number 17.")

    holdfast.serve("--audit-interval", "20ms", "--audit-shards", "4")
    found = wait_for(lambda: health(holdfast)["audit"]["findings"], "the damage to be found")
    assert found == 1
    assert health(holdfast)["status"] == "WARNING" and probe(holdfast) == (200, "WARNING")
    [record] = holdfast.jsonl("store", "list", "finding")
    document = record["doc"]
    assert (document["what"], document["kind"], document["id"]) == ("bad_checksum", "page", "p17")
    assert document["action"] == "reported" and document["gone_at"] is None

    cycles = health(holdfast)["audit"]["cycles"]
    wait_for(lambda: health(holdfast)["audit"]["cycles"] > cycles + 8, "two more rounds")
    [again] = holdfast.jsonl("store", "list", "finding")
    assert again == record, "it is no new event each time"
    assert holdfast.log_text().count("audit: ") == 1, "and said once"
    assert "audit: bad_checksum in 'page/p17'" in holdfast.log_text()

    put(holdfast, "p17", {"text": "mended"})
    wait_for(lambda: health(holdfast)["audit"]["findings"] == 0, "the finding to be over")
    assert probe(holdfast) == (200, "HEALTHY")
    [over] = holdfast.jsonl("store", "list", "finding")
    assert over["doc"]["gone_at"] and over["doc"]["found_at"] == document["found_at"]


def test_how_often_it_looks(holdfast):
    holdfast.serve("--audit-interval", "off")
    assert health(holdfast)["audit"] is None
    assert holdfast.stop() == 0
    os.environ["HOLDFAST_AUDIT_INTERVAL"] = "10ms"
    try:
        holdfast.serve()
        wait_for(lambda: health(holdfast)["audit"]["cycles"] > 5, "some cycles")
        assert holdfast.stop() == 0
        holdfast.serve("--audit-interval", "1h")
        assert health(holdfast)["audit"]["cycles"] <= 1
    finally:
        del os.environ["HOLDFAST_AUDIT_INTERVAL"]


@pytest.mark.parametrize("words", [["--audit-interval", "often"], ["--audit-interval", "100d"],
                                   ["--audit-shards", "0"], ["--audit-shards", "1001"], ["--audit-shards", "x"]])
def test_what_cannot_be_asked_for(holdfast, words):
    result = holdfast.run("serve", "--listen", "none", *words, check=False)
    assert result.returncode == 64 and b"audit" in result.stderr
    assert not holdfast.data.exists()


@pytest.fixture
def tiny_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "tiny"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TINY_MIB}m", "tmpfs", str(place)],
                             capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mount: " + mounted.stderr.decode(errors="replace").strip())
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_told_and_is_over_by_itself(tiny_disk, tmp_path):
    holdfast = Holdfast(tiny_disk / "data")
    holdfast.log_path = tmp_path / "daemon.log"
    holdfast.serve("--audit-interval", "1h")
    try:
        token = holdfast.token("edit")
        put(holdfast, "first", {"n": 1})
        ballast = tiny_disk / "ballast"
        with open(ballast, "wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 16)):
                    pass
            except OSError:
                pass
        failed = 0
        for number in range(200):
            failed += put(holdfast, f"p{number}", {"text": "x" * 20000}, check=False).returncode == 74
            if failed == 3:
                break
        assert failed == 3, "the disk is full"
        now = health(holdfast)
        assert now["status"] == "WARNING" and now["store"] == "failing" and now["failures"] >= 3
        assert "disk is full" in now["message"] and now["error"]
        assert probe(holdfast) == (200, "WARNING")
        commits, before = now["commits"], now["last_commit_ms"]
        assert put(holdfast, "more", {"text": "x" * 20000}, check=False).returncode == 74
        now = health(holdfast)
        assert now["commits"] == commits and now["last_commit_ms"] > before, "the last success stays where it was"
        assert holdfast.run("store", "get", "page", "first").returncode == 0

        ballast.unlink()
        put(holdfast, "p0", {"n": 2})
        now = health(holdfast)
        assert now["store"] == "ok" and now["error"] is None and now["commits"] == commits + 1
        while now["status"] != "HEALTHY":  # until less than one in a hundred has failed
            assert "commits failed" in now["message"] and now["batches"] <= 100 * now["failures"]
            for number in range(50):
                reply = http(holdfast.address, "PUT", "/api/v1/records/page/p0", b'{"n":%d}' % number, token)
                assert reply.status == 200
            now = health(holdfast)
        assert probe(holdfast) == (200, "HEALTHY")
    finally:
        holdfast.close()
