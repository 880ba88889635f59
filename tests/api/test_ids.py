"""Ids that try to be something else."""
import pytest

from conftest import problem

BAD = ["", ".", "..", "%2e%2e", "a%2fb", "%2e%2e%2fx", "a%00b", "%00", "a%0ab", "a%1bb", "%7f", "%", "%4", "%zz", "a%ff", "%c0%af",
       "%ed%a0%80", "%E2%80%AEx", "x" * 256, "%C3%A9" * 128]
GOOD = {"a%20b": "a b", "%25": "%", "%2525": "%25", "caf%C3%A9": "caf\u00e9", "cafe%CC%81": "cafe\u0301", "CON": "CON", "dot.": "dot.",
        "A": "A", "a": "a", "x" * 255: "x" * 255, "a+b": "a+b", "a;b=c": "a;b=c", "a:b@c": "a:b@c", "...": "..."}


@pytest.mark.parametrize("id", BAD, ids=lambda id: id[:20] or "empty")
def test_bad_ids_are_refused(api, id):
    for method, body in (("PUT", b"1"), ("GET", None), ("DELETE", None)):
        problem(api.call(method, f"/api/v1/records/page/{id}", body, scope="edit"), 400, "bad_id")


@pytest.mark.parametrize("kind", ["", "A", "1a", "a-b", "a%20b", "a" * 65, "%C3%A9", "."])
def test_bad_kinds_are_refused(api, kind):
    problem(api.call("PUT", f"/api/v1/records/{kind}/x", b"1", scope="edit"), 400, "bad_id")


@pytest.mark.parametrize("name", ["", ".", "..", "a%2fb", "a%00b", "%ff", "x" * 300])
def test_bad_source_names_are_refused(api, name):
    problem(api.call("POST", f"/api/v1/sources/{name}/start", None, scope="operate"), 400, "bad_id")


def test_twins_do_not_collide(api):
    for number, (path, id) in enumerate(GOOD.items()):
        made = api.put("twin", path, str(number))
        assert made["created"] and made["id"] == id
    for number, path in enumerate(GOOD):
        assert api.call("GET", f"/api/v1/records/twin/{path}", scope="read").body == str(number).encode()
    rows = api.call("GET", "/api/v1/records/twin", scope="read").json()
    assert [row["id"] for row in rows] == sorted(GOOD.values(), key=lambda id: id.encode())
