"""Records of all kinds by pages, taking many in at once, rehearsals and compaction, over HTTP."""
import json
import re

from conftest import problem

DOCUMENT = {"n": 1.5, "é": ["\u2028"]}


def post(api, rows, scope="repair", query=""):
    return api.call("POST", "/api/v1/records" + query, json.dumps(rows).encode(), scope=scope)


def test_all_kinds_by_pages(fresh):
    for number in range(7):
        fresh.put(f"kind{number % 2}", f"a%20b{number}", json.dumps({"n": number}))
    fresh.token("read")  # a record that is never shown
    seen, path = [], "/api/v1/records?limit=3"
    while path:
        page = fresh.call("GET", path, scope="read")
        assert page.status == 200 and 1 <= len(page.json()) <= 3
        seen += [(row["kind"], row["id"]) for row in page.json()]
        link = page.headers["Link"]
        path = re.fullmatch(r'<(.+)>; rel="next"', link)[1] if link else None
    assert seen == sorted((f"kind{number % 2}", f"a b{number}") for number in range(7))
    assert fresh.call("GET", "/api/v1/records", scope="read").json() != []
    problem(fresh.call("GET", "/api/v1/records?kind=token", scope="read"), 400, "invalid")
    problem(fresh.call("GET", "/api/v1/records/token", scope="read"), 403, "forbidden")


def test_many_are_taken_whole_or_not_at_all(fresh):
    rows = [{"kind": "page", "id": str(number), "doc": DOCUMENT} for number in range(50)]
    made = post(fresh, rows)
    assert made.status == 200 and made.json() == {"records": 50, "written": 50, "same": 0}
    assert post(fresh, rows).json() == {"records": 50, "written": 0, "same": 50}
    refused = post(fresh, [{"kind": "page", "id": "new", "doc": 1}, {"kind": "page", "id": "7", "doc": "other"}])
    assert "page/7" in problem(refused, 409, "conflict")["detail"]
    assert fresh.call("GET", "/api/v1/records/page/new", scope="read").status == 404
    assert post(fresh, [{"kind": "page", "id": "7", "doc": "other"}], query="?overwrite=true").json()["written"] == 1
    assert fresh.call("GET", "/api/v1/records/page/7", scope="read").json() == "other"


def test_what_cannot_be_taken(api):
    good = {"kind": "page", "id": "x", "doc": 1}
    problem(post(api, [good], scope="edit"), 403, "forbidden")
    problem(post(api, good), 422, "bad_data")
    problem(post(api, [good, 5]), 422, "bad_data")
    assert "record 2" in problem(post(api, [good, {"kind": "page", "id": "y"}]), 422, "bad_data")["detail"]
    assert "twice" in problem(post(api, [good, {**good, "doc": 2}]), 422, "bad_data")["detail"]
    problem(post(api, [{**good, "kind": "source"}]), 403, "forbidden")
    problem(post(api, [{**good, "kind": "token"}]), 403, "forbidden")
    problem(post(api, [{**good, "id": "a/b"}]), 400, "bad_id")
    problem(post(api, [{**good, "hash": "00" * 16}]), 422, "bad_data")
    problem(api.call("POST", "/api/v1/records", b"[", scope="repair"), 400, "bad_json")
    assert api.call("GET", "/api/v1/records/page/x", scope="read").status == 404


def test_a_rehearsal_over_http(fresh):
    revision = fresh.put("page", "a", "1")["revision"]
    made = fresh.call("PUT", "/api/v1/records/page/b?dry_run=true", b"2", scope="edit").json()
    assert made["created"] and made["dry_run"] and not made["durable"]
    assert fresh.call("DELETE", "/api/v1/records/page/a?dry_run=true", scope="edit").json()["changed"]
    assert post(fresh, [{"kind": "page", "id": "c", "doc": 1}], query="?dry_run=true").json()["written"] == 1
    assert fresh.call("POST", "/api/v1/compact?dry_run=true", b"", scope="repair").json() == {"compacted": False}
    problem(fresh.call("PUT", "/api/v1/records/page/b?dry_run=true", b"{", scope="edit"), 400, "bad_json")
    events = fresh.call("GET", f"/api/v1/events?since={revision}", scope="read").json()
    assert [event["kind"] for event in events if event["kind"] == "page"] == []


def test_compact_gives_room_back_and_loses_nothing(fresh):
    for number in range(40):
        fresh.put("page", str(number), json.dumps("x" * 100_000))
    for number in range(39):
        assert fresh.call("DELETE", f"/api/v1/records/page/{number}", scope="edit").status == 200
    problem(fresh.call("POST", "/api/v1/compact", b"", scope="edit"), 403, "forbidden")
    result = fresh.call("POST", "/api/v1/compact", b"", scope="repair").json()
    assert result["compacted"] and result["bytes_after"] < result["bytes_before"] - 2_000_000
    assert [row["id"] for row in fresh.call("GET", "/api/v1/records/page", scope="read").json()] == ["39"]
    assert fresh.call("GET", "/api/v1/check", scope="read").json()["clean"] is True


def test_what_is_the_commands_own_is_not_taken_from_outside(api):
    for method, path, body in (("GET", "/api/v1/records/page", None), ("GET", "/api/v1/records", None),
                               ("PUT", "/api/v1/records/page/a", b"1"), ("POST", "/api/v1/records", b"[]")):
        for query in ("url=memory:", "file=/tmp/x"):
            problem(api.call(method, f"{path}?{query}", body, scope="admin"), 400, "invalid")
    paths = api.call("GET", "/openapi.json").json()["paths"]
    for operation in (operation for path in paths.values() for operation in path.values()):
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert not {"url", "file"} & names and ("from" not in names or operation["operationId"] == "state_diff")
