"""/openapi.json against what the daemon does."""
import json
import re

import pytest

from conftest import problem


@pytest.fixture(scope="module")
def document(api):
    reply = api.call("GET", "/openapi.json")
    assert reply.status == 200 and reply.headers["Content-Type"] == "application/json"
    return reply.json()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def resolve(document, reference):
    assert reference.startswith("#/")
    node = document
    for part in reference[2:].split("/"):
        node = node[part]
    return node


def references(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_the_shape(document):
    assert document["openapi"] == "3.1.0" and document["info"]["title"] and document["info"]["version"]
    for reference in references(document):
        assert resolve(document, reference)
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids)) >= 24


def test_every_operation_is_described_whole(document):
    for path, method, operation in operations(document):
        assert operation["summary"] and operation["responses"]["default"], path
        assert any(status.startswith("2") for status in operation["responses"]), path
        described = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
        assert described == set(re.findall(r"\{(\w+)\}", path)), path
        for parameter in operation["parameters"]:
            assert parameter["in"] in ("path", "query", "header") and parameter["schema"] and parameter["description"]
            assert parameter["required"] is (parameter["in"] == "path")
        names = [(parameter["in"], parameter["name"]) for parameter in operation["parameters"]]
        assert len(names) == len(set(names))
        if method in ("PUT", "PATCH"):
            assert operation["requestBody"]["content"]["application/json"], path
        if method == "GET":
            assert "requestBody" not in operation


def test_every_operation_exists_and_guards_itself(api, document):
    for path, method, operation in operations(document):
        concrete = re.sub(r"\{\w+\}", "none", path)
        if operation["x-scope"] == "none":
            assert operation["security"] == [] and api.call(method, concrete).status == 200
            continue
        problem(api.call(method, concrete, b"{}" if "requestBody" in operation else None), 401, "unauthorized")
        if operation["x-scope"] != "read":
            problem(api.call(method, concrete, b"{}" if "requestBody" in operation else None, scope="read"), 403, "forbidden")


def test_problems_are_as_described(api, document):
    schema = document["components"]["schemas"]["problem"]
    types = {"string": str, "integer": int, "boolean": bool}
    for reply in (api.call("GET", "/api/v1/status"), api.call("GET", "/api/v1/records/x/y", scope="read"),
                  api.call("PUT", "/api/v1/records/x/y", b"{", scope="edit"), api.call("GET", "/none", scope="read")):
        found = reply.json()
        assert set(schema["required"]) <= set(found) <= set(schema["properties"])
        for name, value in found.items():
            assert type(value) is types[schema["properties"][name]["type"]], name


def test_the_commands_in_it_are_commands(api, document):
    for path, _, operation in operations(document):
        if not path.startswith("/api/"):
            continue
        words = operation["x-command"].split()
        assert words[0] == "holdfast" and operation["operationId"].split("_")[0] == words[1]
    assert json.dumps(document)
