"""/healthz, /livez, /readyz and /metrics: who may ask, and what comes back."""
import re

import pytest

from conftest import problem

OPEN = ("/livez", "/readyz", "/healthz")
SAMPLE = re.compile(r'^([a-z_]+)(?:\{([a-z]+)="([^"\\\n]*)"\})? (-?[0-9.e+-]+)$')


def samples(reply):
    """The values by name and label, of a text that keeps to Prometheus' format 0.0.4."""
    assert reply.status == 200 and reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = reply.body.decode()
    assert text.endswith("\n")
    types, helps, values = {}, set(), {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            assert name not in helps and words
            helps.add(name)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name not in types and name in helps and kind in ("counter", "gauge")
            types[name] = kind
        else:
            match = SAMPLE.match(line)
            assert match, line
            name, label, word, value = match.groups()
            assert name in types and name.startswith("holdfast_") and (name, word) not in values
            assert types[name] == "counter" or not name.endswith("_total")
            values[name, word] = float(value)
    assert helps == set(types)
    return values


@pytest.mark.parametrize("path", OPEN)
def test_everybody_may_ask(api, path):
    reply = api.call("GET", path)
    assert reply.status == 200 and reply.body
    assert api.call("GET", path, token="hf_wrong").status == 200
    assert api.call("HEAD", path).status == 200
    assert api.local("GET", path).body == reply.body
    problem(api.call("POST", path, b"{}"), 405, "unsupported")


@pytest.mark.parametrize("path", OPEN + ("/metrics",))
def test_but_not_by_another_name(api, path):
    problem(api.call("GET", path, headers={"Host": "evil.example"}), 403, "forbidden")
    problem(api.call("GET", path, headers={"Origin": "http://evil.example"}), 403, "forbidden")


def test_what_they_say(api):
    assert api.call("GET", "/livez").body == b"ok\n"
    assert set(api.call("GET", "/readyz").json()) == {"status", "version"}
    assert api.call("GET", "/healthz").json() == {
        "status": "HEALTHY", "message": "everything that was acknowledged is saved"}


def test_metrics_are_for_those_who_may_read(api):
    problem(api.call("GET", "/metrics"), 401, "unauthorized")
    problem(api.call("GET", "/metrics", token="hf_wrong"), 401, "unauthorized")
    assert samples(api.call("GET", "/metrics", scope="read"))
    assert samples(api.local("GET", "/metrics"))


def test_metrics_move(api):
    api.put("page", "moved", "0")  # which makes the token, too
    before = samples(api.local("GET", "/metrics"))
    api.put("page", "moved", '{"n":1}')
    api.call("PUT", "/api/v1/records/page/moved", b"{", scope="edit")
    after = samples(api.local("GET", "/metrics"))
    assert after["holdfast_store_commits_total", None] == before["holdfast_store_commits_total", None] + 1
    assert after["holdfast_store_revision", None] == before["holdfast_store_revision", None] + 1
    assert after["holdfast_store_bytes_total", None] >= before["holdfast_store_bytes_total", None] + 7
    for status in ("2xx", "4xx"):
        assert after["holdfast_http_replies_total", status] > before["holdfast_http_replies_total", status]
    assert after["holdfast_store_last_commit_age_seconds", None] < 60
    assert after["holdfast_health_status", None] == after["holdfast_store_failed", None] == 0
    assert after["holdfast_process_resident_memory_bytes", None] > 1e6
    assert after["holdfast_process_open_fds", None] > 3
    assert after["holdfast_build_info", api.call("GET", "/readyz").json()["version"]] == 1


def test_the_status_says_what_health_rests_on(api):
    api.put("page", "status", "1")
    status = api.call("GET", "/api/v1/status", scope="read").json()
    health = status["health"]
    assert (health["status"], health["store"], health["error"]) == ("HEALTHY", "ok", None)
    assert health["unsaved"] == health["oldest_unsaved_ms"] == health["failures"] == 0
    assert health["queue"] == health["queue_oldest_ms"] == 0
    assert 0 <= health["last_commit_ms"] < 60000 and 1 <= health["commits"] <= health["batches"]
    assert set(health["audit"]) == {"cycles", "checked", "findings", "last_at", "error"}
