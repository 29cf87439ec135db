"""Asks a gateway's admin API, and holds each answer against the document that describes it.

    admin = Admin(gateway)
    admin.get("/status").json()
    admin.post("/tokens", {"name": "a", "role": "viewer"}, token=...)
"""

import json
import pathlib
import re

import client
import schema

DOCUMENT = json.loads((pathlib.Path(__file__).resolve().parents[2] / "config" /
                       "admin-openapi.json").read_text())


def operation(method, path):
    """What the document says of a call, and the path as it is written there; (None, None) where it says nothing."""
    # A path without parameters comes before one that could stand for it.
    for template, operations in sorted(DOCUMENT["paths"].items(), key=lambda item: "{" in item[0]):
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method.lower() in operations:
            return operations[method.lower()], template
    return None, None


def faults(method, path, answer):
    """Why the answer is not as the document says; empty where it is."""
    described, _ = operation(method, path.partition("?")[0])
    if described is None:
        return [] if answer.status in (401, 404, 405) else ["the document does not know it"]
    responses = described["responses"]
    response = responses.get(str(answer.status))
    if response is None:
        if answer.status < 400:
            return [f"status {answer.status} is not in the document"]
        response = responses["default"]
    if "$ref" in response:
        response = schema.resolve(response["$ref"], DOCUMENT)
    kind = (answer.header("content-type") or "").partition(";")[0]
    content = response["content"].get(kind)
    if content is None:
        return [f"the content type {kind} is not in the document"]
    value = answer.json() if kind == "application/json" else answer.text
    return schema.check(value, content["schema"], DOCUMENT)


class Admin:
    def __init__(self, gateway):
        self.gateway = gateway
        self.owner = (gateway.state / "admin.token").read_text().strip()

    def call(self, method, path, body=None, token=None, headers=None):
        """`path` is below /admin/v1. Without a token the owner asks; "" is none."""
        whole = "/admin/v1" + path
        answer = client.call(self.gateway.admin_url, method, whole, body,
                             self.owner if token is None else token, headers=headers, timeout=40)
        wrong = faults(method, whole, answer)
        assert not wrong, f"{method} {whole}: {wrong}\n{answer.text}"
        return answer

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.call("POST", path, body, **more)

    def token(self, role, **more):
        """(id, token) of a new one."""
        made = self.post("/tokens", {"name": "test", "role": role, **more})
        assert made.status == 201, made.text
        return made.json()["id"], made.json()["token"]
