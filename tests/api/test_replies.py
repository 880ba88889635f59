"""Every status that the API gives, and the headers that go with it."""
import json

import pytest

from conftest import SCOPES, problem

JSON = "application/json"


def test_put_get_delete(api):
    text = b'{"b": 1.0, "a": [9007199254740993]}'
    made = api.call("PUT", "/api/v1/records/page/home", text, scope="edit")
    assert made.status == 201
    result = made.json()
    assert result["created"] and result["changed"] and result["durable"] and result["id"] == "home"
    assert made.headers["ETag"] == f'"{result["hash"]}"'
    again = api.call("PUT", "/api/v1/records/page/home", b'{"a":[9007199254740993],"b":1.0}', scope="edit")
    assert again.status == 200 and not again.json()["changed"] and again.json()["revision"] == result["revision"]
    got = api.call("GET", "/api/v1/records/page/home", scope="read")
    assert got.status == 200 and got.body == text and got.headers["Content-Type"] == JSON
    assert got.headers["Holdfast-Revision"] == str(result["revision"])
    assert got.headers["Cache-Control"] == "no-store" and got.headers["X-Content-Type-Options"] == "nosniff"
    gone = api.call("DELETE", "/api/v1/records/page/home", scope="edit")
    assert gone.status == 200 and gone.json()["durable"]
    problem(api.call("GET", "/api/v1/records/page/home", scope="read"), 404, "not_found")
    problem(api.call("DELETE", "/api/v1/records/page/home", scope="edit"), 404, "not_found")


def test_an_etag_that_is_known_is_answered_without_a_body(api):
    hash = api.put("page", "etag", "[1]")["hash"]
    for tag in (f'"{hash}"', f'"other", "{hash}"', f'W/"{hash}"', "*"):
        reply = api.call("GET", "/api/v1/records/page/etag", scope="read", headers={"If-None-Match": tag})
        assert reply.status == 304 and reply.body == b"", tag
        assert reply.headers["ETag"] == f'"{hash}"'
    for tag in ('"other"', hash, f'"x{hash}"'):
        reply = api.call("GET", "/api/v1/records/page/etag", scope="read", headers={"If-None-Match": tag})
        assert reply.status == 200, tag


def test_conditions(api):
    put = lambda text, query="", **headers: api.call(
        "PUT", "/api/v1/records/page/cas" + query, text, scope="edit", headers=headers)
    first = put(b"1", **{"If-None-Match": "*"})
    assert first.status == 201
    problem(put(b"2", **{"If-None-Match": "*"}), 412, "exists")
    problem(put(b"2", "?new=true"), 409, "exists")
    problem(put(b"2", **{"If-Match": '"00000000000000000000000000000000"'}), 412, "precondition_failed")
    problem(put(b"2", "?if_revision=1000000"), 412, "precondition_failed")
    second = put(b"2", **{"If-Match": first.headers["ETag"]})
    assert second.status == 200
    third = put(b"3", f"?if_revision={second.json()['revision']}")
    assert third.status == 200
    assert put(b"4", f"?if_hash={third.json()['hash']}").status == 200
    assert put(b"5", **{"If-Match": "*"}).status == 200
    for bad in ({"If-Match": "nothex"}, {"If-Match": '"12"'}, {"If-Match": 'W/"00000000000000000000000000000000"'},
                {"If-None-Match": '"x"'}, {"If-Match": "*", "If-None-Match": "*"}):
        problem(put(b"6", **bad), 400, "invalid")
    problem(put(b"6", "?if_revision=x"), 400, "invalid")
    problem(api.call("DELETE", "/api/v1/records/page/cas?if_revision=1000000", scope="edit"), 412, "precondition_failed")
    assert api.call("GET", "/api/v1/records/page/cas", scope="read").body == b"5"


def test_who_may_do_what_is_an_order(api):
    needs = [("GET", "/api/v1/sources", None, "read"),
             ("POST", "/api/v1/sources/none/start", None, "operate"),
             ("PUT", "/api/v1/records/page/scope", b"1", "edit"),
             ("GET", "/api/v1/tokens", None, "admin")]
    for method, path, body, scope in needs:
        refused = api.call(method, path, body)
        problem(refused, 401, "unauthorized")
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
        for held in SCOPES:
            reply = api.call(method, path, body, scope=held)
            if SCOPES.index(held) < SCOPES.index(scope):
                assert scope in problem(reply, 403, "forbidden")["detail"]
            else:
                assert reply.status in (200, 201, 404), (held, path, reply.body)
    assert api.call("GET", "/api/v1/records/page/scope", scope="read").body == b"1"


def test_several_scopes_and_bad_ones(api):
    made = api.local("POST", "/api/v1/tokens", b'{"scope":["read","edit"],"note":"both"}')
    assert made.status == 201 and made.json()["scopes"] == ["read", "edit"]
    assert api.call("PUT", "/api/v1/records/page/two", b"1", token=made.json()["token"]).status == 201
    for body in (b'{"scope":"root"}', b'{"scope":[]}', b"{}", b"[]", b'{"scope":7}', b'{"scope":["read","x"]}'):
        problem(api.local("POST", "/api/v1/tokens", body), 400, "invalid")
    problem(api.local("POST", "/api/v1/tokens", b'{"scope"'), 400, "bad_json")


def test_a_secret_is_shown_once_and_can_be_taken_back(api):
    made = api.local("POST", "/api/v1/tokens", b'{"scope":"read","note":"once"}').json()
    secret = made["token"].rpartition("_")[2]
    listed = api.local("GET", "/api/v1/tokens")
    assert made["id"] in [row["id"] for row in listed.json()] and secret not in listed.body.decode()
    assert api.call("GET", "/api/v1/sources", token=made["token"]).status == 200
    problem(api.call("GET", f"/api/v1/records/token/{made['id']}", scope="admin"), 403, "forbidden")
    problem(api.call("GET", "/api/v1/records/token", scope="admin"), 403, "forbidden")
    problem(api.call("GET", f"/api/v1/records/token/{made['id']}/history", scope="admin"), 403, "forbidden")
    assert api.local("DELETE", f"/api/v1/tokens/{made['id']}").status == 200
    problem(api.call("GET", "/api/v1/sources", token=made["token"]), 401, "unauthorized")
    problem(api.local("DELETE", f"/api/v1/tokens/{made['id']}"), 404, "not_found")
    store = b"".join(path.read_bytes() for path in api.holdfast.data.glob("store.db*"))
    assert secret.encode() not in store and secret not in api.holdfast.log_text()


@pytest.mark.parametrize("kind", ["source", "source_state", "source_data", "source_code", "source_run", "token", "session"])
def test_what_holdfast_keeps_for_itself_is_not_written_from_outside(api, kind):
    for method, body in (("PUT", b"{}"), ("DELETE", None)):
        document = problem(api.call(method, f"/api/v1/records/{kind}/x", body, scope="admin"), 403, "forbidden")
        assert document["hint"]


def test_paths_and_methods(api):
    for path in ("/nothing", "/api", "/api/v1", "/api/v2/status", "/api/v1/record", "/api/v1/status/", "//"):
        problem(api.call("GET", path, scope="admin"), 404, "not_found")
    for method, path, allow in (("POST", "/api/v1/status", {"GET", "HEAD"}),
                                ("PATCH", "/api/v1/records/page/a", {"GET", "HEAD", "PUT", "DELETE"}),
                                ("DELETE", "/", {"GET", "HEAD"}),
                                ("TRACE", "/api/v1/sources", {"GET", "HEAD", "POST"})):
        reply = api.call(method, path, scope="admin")
        problem(reply, 405, "unsupported")
        assert set(reply.headers["Allow"].split(", ")) == allow
    options = api.call("OPTIONS", "/api/v1/records/page/a")
    assert options.status == 204 and options.body == b""
    assert set(options.headers["Allow"].split(", ")) == {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}
    assert options.headers["Access-Control-Allow-Origin"] is None


def test_head_is_get_without_a_body(api):
    api.put("page", "head", '{"x": 1}')
    head = api.call("HEAD", "/api/v1/records/page/head", scope="read")
    got = api.call("GET", "/api/v1/records/page/head", scope="read")
    assert head.status == 200 and head.body == b"" and head.headers["Content-Length"] == str(len(got.body))
    assert head.headers["ETag"] == got.headers["ETag"]
    assert api.call("HEAD", "/api/v1/records/page/none", scope="read").status == 404


@pytest.mark.parametrize("type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                                  "application/jsonp", "text/json", None])
def test_a_body_must_be_json(api, type):
    for method, path in (("PUT", "/api/v1/records/page/type"), ("POST", "/api/v1/sources"), ("PATCH", "/api/v1/sources/x"),
                         ("POST", "/api/v1/sources/x/start")):
        reply = api.call(method, path, b"{}", scope="admin", headers={"Content-Type": type})
        problem(reply, 415, "invalid")
    assert api.call("GET", "/api/v1/records/page/type", scope="read").status == 404


def test_json_with_a_charset_is_json_and_packed_json_is_not(api):
    ok = api.call("PUT", "/api/v1/records/page/charset", b"1", scope="edit",
                  headers={"Content-Type": "application/json; charset=utf-8"})
    assert ok.status == 201
    packed = api.call("PUT", "/api/v1/records/page/packed", b"\x1f\x8b" * 20, scope="edit", headers={"Content-Encoding": "gzip"})
    problem(packed, 415, "invalid")


@pytest.mark.parametrize("text", [b"", b"{", b"nan", b'{"a":1,"a":2}', b"\xff", b'"\\ud800"', b"1 2", b"[1,]", b"\x00", b"'a'"])
def test_a_document_must_be_strict_json(api, text):
    problem(api.call("PUT", "/api/v1/records/page/strict", text, scope="edit"), 400, "bad_json")


def test_depth_is_limited(api):
    problem(api.call("PUT", "/api/v1/records/page/deep", b"[" * 5000 + b"]" * 5000, scope="edit"), 413, "too_large")


def test_queries_are_strict(api):
    for query in ("n=1", "limit=x", "limit=-1", "limit=1&limit=2", "limit=%zz", "after=%ff", "limit", "limit=99999999999999"):
        problem(api.call("GET", "/api/v1/sources?" + query, scope="read"), 400, "invalid")
    for name in ("token", "access_token"):
        refused = problem(api.call("GET", f"/api/v1/status?{name}=" + api.token("read"), scope="read"), 400, "invalid")
        assert "Authorization" in refused["hint"] and api.token("read") not in json.dumps(refused)
        assert api.call("GET", f"/api/v1/status?{name}=" + api.token("read")).status == 401


def test_lists_are_read_page_by_page(api):
    for number in range(25):
        api.put("paged", f"id%20{number:02}", str(number))
    seen, path = [], "/api/v1/records/paged?limit=10"
    pages = 0
    while path:
        reply = api.call("GET", path, scope="read")
        assert reply.status == 200
        seen += [row["doc"] for row in reply.json()]
        link = reply.headers["Link"]
        assert link is None or link.endswith('; rel="next"')
        path = link and link[1:link.index(">")]
        pages += 1
    assert seen == list(range(25)) and pages == 3
    assert [row["doc"] for row in api.call("GET", "/api/v1/records/paged", scope="read").json()] == list(range(25))


def test_a_kept_version_can_be_read(api):
    missing = api.call("GET", "/api/v1/records/page/versions?revision=1", scope="read")
    problem(missing, 404, "not_found")
    assert api.call("GET", "/api/v1/records/page/versions/history", scope="read").status in (200, 404)


def test_check_and_status(api):
    found = api.call("GET", "/api/v1/check", scope="read")
    assert found.status == 200
    document = found.json()
    assert document["clean"] is True and document["findings"] == [] and document["records"] > 0
    status = api.call("GET", "/api/v1/status", scope="read").json()
    assert status["daemon"] and status["store"]["status"] == "ok" and status["address"].endswith(str(api.port))


def test_the_socket_knows_its_peer(api):
    assert api.local("GET", "/api/v1/tokens").status == 200
    read = {"Authorization": "Bearer " + api.token("read")}
    problem(api.local("GET", "/api/v1/tokens", headers=read), 403, "forbidden")
    problem(api.local("GET", "/api/v1/tokens", headers={"Authorization": "Bearer hf_wrong"}), 401, "unauthorized")
    socket_path = api.holdfast.data / "holdfast.sock"
    assert socket_path.stat().st_mode & 0o777 == 0o600


def test_over_the_limit(api):
    size = (16 << 20) + 1
    connection = api.connection()
    connection.putrequest("PUT", "/api/v1/records/page/large")
    connection.putheader("Authorization", "Bearer " + api.token("edit"))
    connection.putheader("Content-Type", JSON)
    connection.putheader("Content-Length", str(size))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    reply = connection.getresponse()  # before a byte of the body
    assert reply.status == 413 and json.loads(reply.read())["code"] == "too_large"
    connection.close()
    chunked = api.connection()
    chunked.putrequest("PUT", "/api/v1/records/page/large")
    chunked.putheader("Authorization", "Bearer " + api.token("edit"))
    chunked.putheader("Content-Type", JSON)
    chunked.putheader("Transfer-Encoding", "chunked")
    chunked.endheaders((b"1" * (1 << 20) for _ in range(17)), encode_chunked=True)
    reply = chunked.getresponse()
    assert reply.status == 413 and json.loads(reply.read())["code"] == "too_large"
    chunked.close()
    assert api.call("GET", "/api/v1/records/page/large", scope="read").status == 404


def test_a_document_over_the_store_limit(api):
    text = b'"' + b"x" * (11 << 20) + b'"'
    problem(api.call("PUT", "/api/v1/records/page/eleven", text, scope="edit"), 413, "too_large")


def test_guessing_is_slowed(fresh):
    statuses = [fresh.call("GET", "/api/v1/status", token="hf_" + "0" * 16 + "_" + f"{number:064x}").status for number in range(40)]
    assert statuses[:10] == [401] * 10 and statuses[-1] == 429 and set(statuses) == {401, 429}
    reply = fresh.call("GET", "/api/v1/status", token="hf_x")
    assert reply.status == 429 and int(reply.headers["Retry-After"]) > 0
    assert fresh.call("GET", "/api/v1/status", scope="read").status == 200, "who has a token is not locked out"
