"""What a web page from elsewhere must not be able to do, and what ours can."""
import re

import pytest

from conftest import problem


def sign_in(api, scope="edit"):
    made = api.local("POST", "/api/v1/tokens/link", b'{"scope":"%s"}' % scope.encode())
    assert made.status == 201, made.body
    link = made.json()["link"]
    assert link.startswith(f"http://127.0.0.1:{api.port}/signin?code=")
    path = link[link.index("/signin"):]
    reply = api.call("GET", path)
    assert reply.status == 200
    cookie = reply.headers["Set-Cookie"]
    assert {"Path=/", "HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
    return cookie.split(";")[0], path


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.2", "0.0.0.0", "localhost:1", "localhost.", "[::2]",
                                  "2130706433", "127.1", "", "localhost:", "localhost:0x50", "user@localhost"])
def test_a_foreign_host_is_refused_everywhere(api, host):
    for path in ("/", "/app.js", "/livez", "/api/v1/status", "/openapi.json", "/signin?code=x"):
        reply = api.call("GET", path, scope="admin", headers={"Host": host})
        assert reply.status in (400, 403), (host, path)
    problem(api.call("GET", "/api/v1/status", scope="admin", headers={"Host": "evil.example"}), 403, "forbidden")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_our_hosts(api, host):
    assert api.call("GET", "/livez", headers={"Host": host}).status == 200
    assert api.call("GET", "/livez", headers={"Host": f"{host}:{api.port}"}).status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1", "http://localhost.evil.example",
                                    "file://", "http://127.0.0.1@evil.example", ""])
def test_a_foreign_origin_is_refused(api, origin):
    for method, path, body in (("GET", "/api/v1/status", None), ("PUT", "/api/v1/records/page/origin", b"1"), ("OPTIONS", "/api/v1/status", None)):
        problem(api.call(method, path, body, scope="admin", headers={"Origin": origin}), 403, "forbidden")
    problem(api.local("PUT", "/api/v1/records/page/origin", b"1", headers={"Origin": origin}), 403, "forbidden")
    assert api.call("GET", "/api/v1/records/page/origin", scope="read").status == 404


def test_a_link_signs_in_once(api):
    cookie, path = sign_in(api)
    again = api.call("GET", path)
    assert again.status == 403 and again.headers["Set-Cookie"] is None
    assert api.call("GET", "/signin").status == 403 and api.call("GET", "/signin?code=").status == 403
    assert b"Sources" in api.call("GET", "/", headers={"Cookie": cookie}).body
    stranger = api.call("GET", "/")
    assert stranger.status == 403 and b"holdfast token link" in stranger.body and b"Sources" not in stranger.body


def test_a_session_acts_within_its_scope_and_from_its_own_page(api):
    cookie, _ = sign_in(api, "operate")
    own = f"http://127.0.0.1:{api.port}"
    start = "/api/v1/sources/none/start"
    assert api.call("GET", "/api/v1/sources", headers={"Cookie": cookie}).status == 200
    assert api.call("POST", start, headers={"Cookie": cookie, "Origin": own, "Content-Length": "0"}).status == 404
    for origin in (None, "null", "http://evil.example", f"http://localhost:{api.port}", "http://127.0.0.1"):
        headers = {"Cookie": cookie, "Content-Length": "0"}
        if origin:
            headers["Origin"] = origin
        problem(api.call("POST", start, headers=headers), 403, "forbidden")
    problem(api.call("PUT", "/api/v1/records/page/x", b"1", headers={"Cookie": cookie, "Origin": own}), 403, "forbidden")
    form = {"Cookie": cookie, "Origin": own, "Content-Type": "text/plain"}
    problem(api.call("POST", start, b"x=1", headers=form), 415, "invalid")


def test_a_wrong_cookie_is_nobody(api):
    for value in ("x", "0" * 16 + "_" + "0" * 64, ""):
        problem(api.call("GET", "/api/v1/status", headers={"Cookie": "holdfast_session=" + value}), 401, "unauthorized")
        assert api.call("GET", "/", headers={"Cookie": "holdfast_session=" + value}).status == 403


def test_a_session_outlives_the_daemon(fresh):
    cookie, _ = sign_in(fresh)
    fresh.holdfast.kill()
    fresh.holdfast.serve()
    assert fresh.call("GET", "/api/v1/sources", headers={"Cookie": cookie}).status == 200
    secret = cookie.rpartition("_")[2].encode()
    assert secret not in b"".join(path.read_bytes() for path in fresh.holdfast.data.glob("store.db*"))


def test_the_page_holds_no_script_or_style_of_its_own(api):
    cookie, _ = sign_in(api)
    page = api.call("GET", "/", headers={"Cookie": cookie})
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy
    assert page.headers["X-Frame-Options"] == "DENY" and page.headers["X-Content-Type-Options"] == "nosniff"
    text = page.body.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)", text) and "<style" not in text and "style=" not in text
    assert not re.search(r"\son\w+=", text) and "http://" not in text and "https://" not in text
    script = api.call("GET", "/app.js")
    assert script.headers["Content-Type"].startswith("text/javascript")
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert forbidden not in script.body.decode()
    assert api.call("GET", "/style.css").headers["Content-Type"].startswith("text/css")
    for wanted in re.findall(r'(?:src|href)="(/[^"]*)"', text):
        assert api.call("GET", wanted).status == 200, wanted
    for id in re.findall(r'byId\("([^"]+)"\)', script.body.decode()):
        assert f'id="{id}"' in text, id
