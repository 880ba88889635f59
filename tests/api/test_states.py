"""States over HTTP: what a write must name, what it is refused with, entity tags, leases and who may own them."""
import base64
import json
import os
import subprocess

import pytest

from conftest import problem

PATH = "/api/v1/states/"


@pytest.fixture
def name(request):
    """A state of its own for each test."""
    return request.node.name.replace("[", "-").rstrip("]")[:100]


def put(api, name, body, scope="edit", **headers):
    return api.call("PUT", f"{PATH}{name}/value", json.dumps(body).encode(), scope=scope,
                    headers={key.replace("_", "-"): value for key, value in headers.items()})


def post(api, path, body, local=False):
    text = json.dumps(body).encode()
    return api.local("POST", PATH + path, text) if local else api.call("POST", PATH + path, text, scope="edit")


def get(api, name, query="", **headers):
    return api.call("GET", f"{PATH}{name}/value{query}", scope="read",
                    headers={key.replace("_", "-"): value for key, value in headers.items()})


def test_a_write_names_its_basis(api, name):
    found = problem(put(api, name, {"value": {"n": 1}}), 428, "no_basis")
    assert found["hint"] and found["retryable"] is False
    assert put(api, name, {"value": {"n": 1}, "if_version": 0}).status == 200
    assert "1" in problem(put(api, name, {"value": {"n": 2}}), 428, "no_basis")["hint"]
    problem(api.call("PATCH", f"{PATH}{name}/value", b'{"patch": {"n": 2}}', scope="edit"), 428, "no_basis")
    problem(post(api, name + "/commit", {"value": 1, "records": []}), 428, "no_basis")
    problem(put(api, name, {"value": {"n": 2}, "if_version": 0}), 412, "precondition_failed")
    problem(put(api, name, {"value": {"n": 2}, "if_version": 7}), 412, "precondition_failed")
    problem(put(api, name, {"value": {"n": 2}, "fence": 7}), 409, "conflict")
    assert get(api, name).json()["value"] == {"n": 1}
    saved = put(api, name, {"value": {"n": 2}, "force": True, "note": "by hand", "code_version": "v2"}).json()
    assert saved["version"] == 2 and saved["note"] == "by hand" and saved["code_version"] == "v2"


def test_entity_tags(api, name):
    problem(put(api, name, {"value": 1}, If_Match="*"), 412, "precondition_failed")
    made = put(api, name, {"value": 1}, If_None_Match="*")
    assert made.status == 200 and made.json()["version"] == 1
    tag = made.headers["ETag"]
    assert tag == '"%s"' % made.json()["digest"] and len(tag) == 66
    problem(put(api, name, {"value": 2}, If_None_Match="*"), 412, "precondition_failed")
    read = get(api, name)
    assert read.headers["ETag"] == tag and read.json()["value"] == 1
    assert get(api, name, If_None_Match=tag).status == 304
    assert get(api, name, If_None_Match='"x"').status == 200
    changed = put(api, name, {"value": 2}, If_Match=tag)
    assert changed.status == 200 and changed.headers["ETag"] != tag
    assert tag not in problem(put(api, name, {"value": 3}, If_Match=tag), 412, "precondition_failed")["hint"]
    assert put(api, name, {"value": 3}, If_Match="*").status == 200
    for headers in ({"If_Match": "W/" + tag}, {"If_Match": "x"}, {"If_Match": tag + ", " + tag}, {"If_None_Match": tag},
                    {"If_Match": "*", "If_None_Match": "*"}):
        problem(put(api, name, {"value": 4}, **headers), 400, "invalid")
    problem(put(api, name, {"value": 4, "if_version": 3}, If_Match="*"), 400, "bad_json")
    text = b' { } '
    problem(api.call("PUT", f"{PATH}{name}/value", text, scope="edit", headers={"If-Match": "*"}), 400, "invalid")
    for text in (b"", b"[]", b"1", b"{", b'{"value": 1} x'):
        assert api.call("PUT", f"{PATH}{name}/value", text, scope="edit", headers={"If-Match": "*"}).status == 400, text
    assert get(api, name).json()["value"] == 3


def test_what_is_not_there(api, name):
    for path in ("", "/value", "/log", "/runs", "/diff", "/export"):
        problem(api.call("GET", f"{PATH}{name}{path}", scope="read"), 404, "not_found")
    problem(api.call("DELETE", f"{PATH}{name}", scope="edit"), 404, "not_found")
    for path, body in (("rollback", {"to_version": 1}), ("copy", {"to": "x"}), ("move", {"to": "x"})):
        problem(post(api, f"{name}/{path}", body), 404, "not_found")
    put(api, name, {"value": 1, "force": True})
    problem(get(api, name, "?version=2"), 404, "not_found")
    problem(get(api, name, "?before=1h"), 404, "not_found")
    problem(get(api, name, "?version=1&before=1h"), 400, "invalid")
    problem(get(api, name, "?before=soon"), 400, "invalid")
    assert get(api, name, "?before=2100-01-01T00:00:00Z").json()["version"] == 1


@pytest.mark.parametrize("bad", ["-x", "..", "a%2Fb", "a%00b", "x" * 201, "%FF"])
def test_names_that_are_none(api, bad):
    assert get(api, bad).status in (400, 404)
    assert put(api, bad, {"value": 1, "force": True}).status in (400, 404)
    assert get(api, bad).json()["code"] in ("bad_id", "not_found")


@pytest.mark.parametrize("body", [{}, {"value": 1, "base64": "eA=="}, {"base64": "x"}, {"base64": 1}, {"value": 1, "if_version": -1},
                                  {"value": 1, "if_version": "1"}, {"value": 1, "forced": True}, {"value": 1, "note": 5}, [], 1])
def test_bodies_that_are_none(api, name, body):
    if isinstance(body, dict):
        body = {"force": True, **body} if "if_version" not in body else body
    reply = put(api, name, body)
    assert reply.status in (400, 422) and reply.json()["code"] in ("invalid", "bad_data", "bad_json"), reply.body
    problem(get(api, name), 404, "not_found")


def test_members_that_are_none(api, name):
    put(api, name, {"value": 1, "force": True})
    for path, body in (("rollback", {"version": 1}), ("rollback", {}), ("rollback", {"to_version": 1, "before": "1h"}),
                       ("rollback", {"to_version": 0}), ("rollback", {"to_version": "1"}), ("rollback", {"before": 5}),
                       ("copy", {"to": 5}), ("copy", {"from": "x"}), ("copy", []), ("move", {}), ("move", {"to": "x", "history": True})):
        problem(post(api, f"{name}/{path}", body), 400, "invalid")
    assert get(api, name).json()["version"] == 1


def test_limits(fresh):
    largest = base64.b64encode(bytes(64 << 20)).decode()
    assert put(fresh, "large", {"base64": largest, "force": True}).status == 200
    assert len(get(fresh, "large").json()["base64"]) == len(largest)
    over = base64.b64encode(bytes((64 << 20) + 1)).decode()
    problem(put(fresh, "large", {"base64": over, "if_version": 1}), 413, "too_large")
    problem(fresh.call("PUT", PATH + "large/value", None, scope="edit",
                       headers={"Content-Length": str(97 << 20), "Content-Type": "application/json"}), 413, "too_large")
    assert get(fresh, "large").json()["version"] == 1
    eleven = json.dumps("x" * (11 << 20)).encode()
    problem(fresh.call("PUT", "/api/v1/records/page/eleven", eleven, scope="edit"), 413, "too_large")
    records = [{"kind": "page", "id": "eleven", "doc": "x" * (11 << 20)}]
    problem(post(fresh, "large/commit", {"records": records, "force": True}), 413, "too_large")


def test_records_of_holdfast_itself_are_not_committed(api, name):
    for kind in ("state", "state_version", "state_run", "state_trash", "source", "token", "session"):
        for record in ({"kind": kind, "id": "x", "doc": {}}, {"kind": kind, "id": "x", "delete": True}):
            problem(post(api, name + "/commit", {"value": 1, "force": True, "records": [record]}), 403, "forbidden")
    problem(get(api, name), 404, "not_found")
    made = post(api, name + "/commit", {"value": 1, "if_version": 0, "records": [{"kind": "page", "id": name, "doc": 5}]})
    assert made.status == 200 and made.json()["records"] == 1 and made.headers["ETag"]
    assert api.call("GET", f"/api/v1/records/page/{name}", scope="read").json() == 5


def test_a_lease_over_tcp_needs_a_time(api, name):
    problem(post(api, name + "/runs", {}), 400, "invalid")
    assert "TCP" in problem(post(api, name + "/runs", {"pid": os.getpid(), "ttl_ms": 1000}), 400, "invalid")["detail"]
    begun = post(api, name + "/runs", {"ttl_ms": 60000, "reason": "test"})
    assert begun.status == 201 and "value" not in begun.json()
    fence = begun.json()["fence"]
    problem(post(api, name + "/runs", {"ttl_ms": 60000}), 409, "conflict")
    problem(put(api, name, {"value": 1, "if_version": 0}), 409, "conflict")
    assert put(api, name, {"value": 1, "fence": fence}).json()["run"] == begun.json()["run"]
    taken = post(api, name + "/runs", {"ttl_ms": 60000, "on_overlap": "steal"}).json()
    assert taken["fence"] > fence and taken["value"] == 1 and taken["version"] == 1
    problem(put(api, name, {"value": 2, "fence": fence}), 409, "conflict")
    problem(post(api, name + "/runs/renew", {"fence": fence}), 409, "conflict")
    problem(post(api, name + "/runs/end", {"fence": fence, "outcome": "ok", "value": 3}), 409, "conflict")
    assert post(api, name + "/runs/renew", {"fence": taken["fence"]}).status == 200
    ended = post(api, name + "/runs/end", {"fence": taken["fence"], "outcome": "ok", "value": 4})
    assert ended.status == 200 and ended.json()["lease"] is None and ended.json()["version"] == 2
    runs = api.call("GET", f"{PATH}{name}/runs", scope="read").json()
    assert [run["outcome"] for run in runs] == ["ok", "taken_over"]


def test_a_lease_over_the_socket_is_the_callers(api, name):
    begun = post(api, name + "/runs", {}, local=True)
    assert begun.status == 201
    lease = api.call("GET", PATH + name, scope="read").json()["lease"]
    assert lease["pid"] == os.getpid() and lease["alive"] is True
    problem(post(api, name + "/runs", {}, local=True), 409, "conflict")
    post(api, name + "/runs/end", {"fence": begun.json()["fence"], "outcome": "ok"}, local=True)
    other = subprocess.Popen(["sleep", "600"])
    assert post(api, name + "/runs", {"pid": other.pid}, local=True).status == 201
    assert api.call("GET", PATH + name, scope="read").json()["lease"]["pid"] == other.pid
    other.kill()
    other.wait()
    assert api.call("GET", PATH + name, scope="read").json()["lease"]["alive"] is False
    assert post(api, name + "/runs", {}, local=True).status == 201


def test_only_a_process_of_ones_own_owns_a_lease(api, name):
    for pid in (0, -1, 4194304, "1", 1.5):
        problem(post(api, name + "/runs", {"pid": pid}, local=True), 400, "invalid")
    if os.geteuid() == 0:
        other = subprocess.Popen(["sleep", "600"], user=65534)
        problem(post(api, name + "/runs", {"pid": other.pid}, local=True), 403, "forbidden")
        other.kill()
        other.wait()
    else:
        problem(post(api, name + "/runs", {"pid": 1}, local=True), 403, "forbidden")
    problem(api.call("GET", PATH + name, scope="read"), 404, "not_found")
    assert post(api, name + "/runs", {"pid": 0, "ttl_ms": 60000}, local=True).status == 201
    assert api.call("GET", PATH + name, scope="read").json()["lease"]["pid"] == 0


def test_scopes(api, name):
    put(api, name, {"value": 1, "force": True})
    assert get(api, name).status == 200
    problem(api.call("GET", f"{PATH}{name}/value"), 401, "unauthorized")
    for scope in ("read", "operate"):
        problem(put(api, name, {"value": 2, "force": True}, scope=scope), 403, "forbidden")
        problem(api.call("DELETE", PATH + name, scope=scope), 403, "forbidden")
        problem(api.call("POST", f"{PATH}{name}/runs", b'{"ttl_ms": 1000}', scope=scope), 403, "forbidden")
    assert get(api, name).json()["value"] == 1


def test_lists_by_pages(fresh):
    for number in range(5):
        put(fresh, f"a%20b{number}", {"value": number, "force": True})
    seen, path = [], PATH.rstrip("/") + "?limit=2"
    while path:
        page = fresh.call("GET", path, scope="read")
        seen += [row["name"] for row in page.json()]
        link = page.headers["Link"]
        path = link[1:link.index(">")] if link else None
    assert seen == [f"a b{number}" for number in range(5)]


def test_rehearsals_change_nothing(api, name):
    put(api, name, {"value": {"n": 1}, "force": True})
    put(api, name, {"value": {"n": 2}, "force": True})
    rehearsed = api.call("POST", f"{PATH}{name}/rollback?dry_run=true", b'{"to_version": 1}', scope="edit")
    assert rehearsed.status == 200 and rehearsed.json()["changes"][0]["path"] == "/n"
    assert api.call("DELETE", f"{PATH}{name}?dry_run=true", scope="edit").status == 200
    assert get(api, name).json()["version"] == 2


def test_metrics_count_states(fresh):
    put(fresh, "one", {"value": 1, "force": True})
    post(fresh, "two/runs", {"ttl_ms": 60000})
    text = fresh.call("GET", "/metrics", scope="read").body.decode()
    assert "\nholdfast_states 2\n" in text and "\nholdfast_state_leases 1\n" in text


def test_a_save_is_an_event(fresh):
    put(fresh, "one", {"value": 1, "force": True})
    events = fresh.call("GET", "/api/v1/events", scope="read").json()
    assert {"state", "state_version"} <= {event["kind"] for event in events}
