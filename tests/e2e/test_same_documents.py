"""The same operations by command line (daemon up, daemon down), over TCP with a token, over the socket: the same documents."""
import json

import pytest

from conftest import PLAIN_CODE, http, wait_for

DOCUMENT = b'{"b": 1.0, "a": [1, 2.50, 9007199254740993], "\\u00e9": "caf\\u00e9", "n": null}'


def test_a_document_is_the_same_by_every_way(holdfast):
    put = holdfast.json("store", "put", "doc", "one", "-", input=DOCUMENT)
    assert put["created"] and put["changed"] and put["durable"]
    down = holdfast.run("store", "get", "doc", "one").stdout
    holdfast.serve()
    up = holdfast.run("store", "get", "doc", "one").stdout
    token = holdfast.token("read")
    tcp = http(holdfast.address, "GET", "/api/v1/records/doc/one", token=token)
    unix = holdfast.curl("http://localhost/api/v1/records/doc/one")
    assert down == up == DOCUMENT + b"\n"
    assert tcp.body == unix.body == DOCUMENT
    assert tcp.headers["ETag"] == '"%s"' % put["hash"]
    again = holdfast.json("store", "put", "doc", "one", "-", input=b'{"n":null,"a":[1,2.50,9007199254740993],"b":1.0,"\xc3\xa9":"caf\xc3\xa9"}')
    assert again["changed"] is False and again["hash"] == put["hash"] and again["revision"] == put["revision"]


def test_lists_and_sources_are_the_same_by_every_way(holdfast, code_file):
    for number in range(5):
        holdfast.run("store", "put", "doc", f"id {number}", "-", input=b'{"n":%d}' % number)
    holdfast.run("source", "add", "one", "--kind", "python", "--interval", "1h", "--code", code_file(), "--tags", "a")
    calls = {
        ("store", "list", "doc"): "/api/v1/records/doc",
        ("store", "events"): "/api/v1/events",
        ("source", "list"): "/api/v1/sources",
        ("source", "show", "one"): "/api/v1/sources/one",
        ("source", "versions", "one"): "/api/v1/sources/one/versions",
        ("source", "tail", "one"): "/api/v1/sources/one/data",
    }
    down = {words: holdfast.json(*words) for words in calls}
    holdfast.serve()
    token = holdfast.token("read")
    for words, path in calls.items():
        by_tcp = http(holdfast.address, "GET", path, token=token).json()
        by_socket = holdfast.curl("http://localhost" + path).json()
        up = holdfast.json(*words)
        if words == ("store", "events"):
            by_tcp, by_socket, up = (rows[:len(down[words])] for rows in (by_tcp, by_socket, up))
        elif words[0] == "source" and words[1] in ("show", "list"):
            for shown in (by_tcp, by_socket, up, down[words]):
                for row in shown if isinstance(shown, list) else [shown]:
                    row.pop("restore", None)
        assert by_tcp == by_socket == up == down[words], words


def test_events_go_on_from_a_revision(running):
    first = running.json("store", "put", "doc", "a", "-", input=b"1")["revision"]
    running.run("store", "put", "doc", "b", "-", input=b"2")
    running.run("-y", "store", "rm", "doc", "a")
    token = running.token("read")
    events = http(running.address, "GET", f"/api/v1/events?since={first}", token=token).json()
    assert [(e["kind"], e["id"], e["what"]) for e in events[:2]] == [("doc", "b", "put"), ("doc", "a", "delete")]
    assert all(event["revision"] > first for event in events)


def test_who_may_do_what(running, code_file):
    running.run("source", "add", "one", "--kind", "python", "--interval", "1h", "--code", code_file())
    address = running.address
    tokens = {scope: running.token(scope) for scope in ("read", "operate", "edit", "admin")}
    assert http(address, "GET", "/api/v1/sources").status == 401
    assert http(address, "GET", "/api/v1/sources", token="hf_x_y").status == 401
    assert http(address, "GET", "/api/v1/sources", token=tokens["read"]).status == 200
    assert http(address, "POST", "/api/v1/sources/one/start", b"", token=tokens["read"]).status == 403
    assert http(address, "POST", "/api/v1/sources/one/start", b"", token=tokens["operate"]).status == 200
    assert http(address, "PUT", "/api/v1/records/doc/a", b"1", token=tokens["operate"]).status == 403
    assert http(address, "PUT", "/api/v1/records/doc/a", b"1", token=tokens["edit"]).status == 201
    assert http(address, "POST", "/api/v1/tokens", b'{"scopes":["read"]}', token=tokens["edit"]).status == 403
    assert http(address, "GET", "/api/v1/records/doc/a", token=tokens["read"], headers={"Host": "evil.example"}).status == 403
    assert http(address, "GET", "/api/v1/records/doc/a", token=tokens["read"],
                headers={"Origin": "http://evil.example"}).status == 403
    assert http(address, "PUT", "/api/v1/records/doc/a", b"2", token=tokens["edit"], headers={"Origin": "null"}).status == 403
    assert running.run("store", "get", "doc", "a").stdout == b"1\n"


def test_compare_and_set(running):
    put = running.json("store", "put", "doc", "a", "-", input=b"1")
    other = running.json("store", "put", "doc", "a", "-", input=b"2")
    token = running.token("edit")
    path = "/api/v1/records/doc/a"
    assert http(running.address, "PUT", path, b"3", token=token, headers={"If-Match": '"%s"' % put["hash"]}).status == 412
    assert http(running.address, "PUT", path, b"3", token=token, headers={"If-None-Match": "*"}).status in (409, 412)
    assert http(running.address, "PUT", path, b"3", token=token, headers={"If-Match": '"%s"' % other["hash"]}).status == 200
    assert running.run("store", "put", "doc", "a", "-", "--if-revision", put["revision"], input=b"4", check=False).returncode == 75
    assert running.run("store", "get", "doc", "a").stdout == b"3\n"


def test_a_token_can_be_taken_back(running):
    token = running.token("read")
    assert http(running.address, "GET", "/api/v1/sources", token=token).status == 200
    shown = running.json("token", "list")
    assert token not in json.dumps(shown)
    running.run("-y", "token", "rm", shown[-1]["id"])
    assert http(running.address, "GET", "/api/v1/sources", token=token).status == 401


def test_help_of_every_operation_has_an_example(holdfast):
    document = None
    holdfast.serve()
    document = holdfast.curl("http://localhost/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    listing = holdfast.run("--help").stdout.decode()
    words = [line.split()[:2] for line in listing.splitlines() if line.startswith("  ")]
    nouns = {word[0] for word in words} & {"source", "store", "token"}
    assert nouns == {"source", "store", "token"}
    for noun, verb in (word for word in words if word[0] in nouns):
        text = holdfast.run(noun, verb, "--help").stdout.decode()
        assert "example: holdfast" in text, (noun, verb)


def test_a_source_gets_the_environment_that_it_asks_for_and_no_more(running, code_file, monkeypatch):
    code = "import os\ndef fetch_data():\n    return dict(os.environ)\n"
    running.run("source", "add", "one", "--kind", "python", "--interval", "1h", "--code", code_file(code),
                "--env", "COLOUR=blue=green", "--env", "EMPTY=", "--start")
    wait_for(lambda: running.source("one")["run_count"], "a run")
    environment = running.jsonl("source", "tail", "one")[-1]["data"]
    assert environment["COLOUR"] == "blue=green" and environment["EMPTY"] == ""
    assert environment["HOLDFAST_SOURCE"] == "one"
    assert "PYTEST_CURRENT_TEST" not in environment
    assert running.run("source", "edit", "one", "--env", "COLOUR", check=False).returncode == 64
