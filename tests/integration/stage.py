"""What the integration tests have in common: a gateway in front of scripted upstreams.

    with Stage() as stage:
        answer = stage.chat("up/cut-mid-body")     # provider "up", script "cut-mid-body"
        record = stage.record(answer)
"""

import pathlib
import shutil
import socket
import sys
import tempfile
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import client  # noqa: E402
from certificates import Certificates  # noqa: E402
from gateway import Gateway, find_binary, wait_for  # noqa: E402
from upstream import Upstream  # noqa: E402

GATEWAY_KEY = "sy-canary-gateway-0123456789abcdefghijklmnopqrst"
UPSTREAM_KEY = "sk-canary-upstream-0123456789abcdefghijklmnop"
TIMEOUTS = {"connect": "1s", "first_byte": "1s", "between_bytes": "1s", "total": "3s"}

PATIENT = {"timeouts": {"connect": "1s", "first_byte": "60s", "between_bytes": "60s",
                        "total": "120s"}}

_certificates = None


def certificates():
    """Made once for a run of tests."""
    global _certificates
    if _certificates is None:
        directory = tempfile.TemporaryDirectory(prefix="switchyard-certificates-")
        _certificates = Certificates(directory.name)
        _certificates.keep = directory
    return _certificates


def closed_port():
    """A port that refuses: bound, and not listening, for as long as the socket lives."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    return held, held.getsockname()[1]


def fixture_plugins(case):
    """A plugin directory with what is built and the tests' own provider, for as long as the test case lives."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="switchyard-plugins-"))
    case.addClassCleanup(shutil.rmtree, directory, True)
    build = pathlib.Path(find_binary()).resolve().parents[1]
    for file in [*(build / "plugins").glob("*.so"), build / "tests" / "fixture" / "fixture.so"]:
        shutil.copyfile(file, directory / file.name)
        (directory / file.name).chmod(0o644)
    return {"directory": str(directory)}


def provider(url, **more):
    return {"plugin": "openai", "dialect": "openai", "base_url": url, "models": ["*"],
            "credentials": [{"key": "${TEST_UPSTREAM_KEY}"}], "timeouts": TIMEOUTS, **more}


class Stage:
    """Provider "up" is the scripted upstream; `providers`, `models` and further members of the configuration are
    added. up: further members of "up". env: of the gateway's process."""

    def __init__(self, providers=None, models=None, up=None, env=None, args=(), **config):
        self.upstream = Upstream()
        self.config = {
            "listen": ["127.0.0.1:0"],
            "admin": {"listen": "127.0.0.1:0"},
            "keys": [{"name": "test", "key": "${TEST_GATEWAY_KEY}"}],
            "providers": {"up": {**provider(self.upstream.url), **(up or {})},
                          **(providers or {})},
            "models": {"alias": "up/m", **(models or {})},
            **config,
        }
        env = {"TEST_GATEWAY_KEY": GATEWAY_KEY, "TEST_UPSTREAM_KEY": UPSTREAM_KEY, **(env or {})}
        try:
            self.gateway = Gateway(self.config, env=env, args=args)
        except BaseException:
            self.upstream.close()
            raise
        self.gateway.key = GATEWAY_KEY
        self.url = self.gateway.url
        self.key = GATEWAY_KEY

    def __enter__(self):
        return self

    def __exit__(self, *trace):
        self.gateway.__exit__(*trace)
        self.upstream.close()

    def close(self):
        self.__exit__(None, None, None)

    def call(self, method, path, body=None, key=GATEWAY_KEY, headers=None, **more):
        """One request on a connection of its own, with an id by which record() finds it."""
        named = {"X-Request-Id": f"test-{uuid.uuid4().hex}", **(headers or {})}
        return client.call(self.url, method, path, body, key, named, **more)

    def chat(self, model, stream=False, key=GATEWAY_KEY, headers=None, timeout=20.0, **members):
        body = {"model": model, "messages": client.MESSAGES}
        body.update(members)
        if stream:
            body["stream"] = True
        return self.call("POST", "/v1/chat/completions", body, key, headers, timeout=timeout)

    def record(self, answer_or_id, seconds=10.0):
        """The record of an answer, once it is written."""
        wanted = answer_or_id if isinstance(answer_or_id, str) else \
            answer_or_id.header("x-request-id")
        return wait_for(lambda: self._find(wanted), seconds, f"the record of {wanted}")

    def _find(self, wanted):
        found = [record for record in self.gateway.records() if Record(record)["id"] == wanted]
        if len(found) > 1:
            raise AssertionError(f"{len(found)} records of one request: {found}")
        return Record(found[0]) if found else None


class Record:
    """A line of the jsonl logger, by short names; what it leaves out is None, or false for a flag."""

    NAMES = {
        "id": "switchyard.request_id", "status": "http.response.status_code",
        "final_status": "switchyard.status", "error_code": "error.type",
        "error_text": "switchyard.error_text", "provider": "gen_ai.provider.name",
        "model_asked": "gen_ai.request.model", "model_used": "gen_ai.response.model",
        "tokens_in": "gen_ai.usage.input_tokens", "tokens_out": "gen_ai.usage.output_tokens",
        "attempts": "switchyard.attempts", "fallback_path": "switchyard.fallback_path",
        "route_reason": "switchyard.route_reason", "key": "switchyard.key_id",
        "task": "gen_ai.operation.name", "trace_id": "trace_id",
    }
    FLAGS = {"stream": "switchyard.stream", "estimated": "switchyard.usage.estimated",
             "client_left": "switchyard.client_left"}

    def __init__(self, line):
        self.line = line

    def __getitem__(self, name):
        if name in self.FLAGS:
            return self.line.get(self.FLAGS[name], False)
        if name == "finish":
            return (self.line.get("gen_ai.response.finish_reasons") or [None])[0]
        return self.line.get(self.NAMES[name])

    def __repr__(self):
        return repr(self.line)

    def __call__(self, *names):
        return tuple(self[name] for name in names)


def live(stage, model, **members):
    """A stream that is read as it comes: the connection and the answer's head."""
    connection = client.Connection(stage.url)
    body = {"model": model, "messages": client.MESSAGES, "stream": True, **members}
    connection.send_request("POST", "/v1/chat/completions", body, stage.key,
                            {"X-Request-Id": f"test-{uuid.uuid4().hex}"})
    return connection, connection.receive_head()
