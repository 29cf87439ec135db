"""Keys are canaries: whatever happens, they are found in no log, record, metric or answer."""

import concurrent.futures
import pathlib
import unittest
import urllib.request

from stage import GATEWAY_KEY, UPSTREAM_KEY, Stage, certificates, closed_port, provider  # first: it says where the others are
from upstream import SCRIPTS, Upstream

SLOW = {"stall-before-head", "stall-mid-head", "drip-head", "stall-mid-body",
        "stall-before-content", "stall-mid-stream", "paced", "flood", "gzip-bomb"}
CANARIES = (GATEWAY_KEY, UPSTREAM_KEY, "sy-wrong-canary", "canary-in-query", "proxy-canary",
            "canary-in-header")


class Secrets(unittest.TestCase):
    def test_canaries(self):
        held, port = closed_port()
        self.addCleanup(held.close)
        bad = Upstream(pair=certificates().wrong_name)
        with bad, Stage(
                providers={"refuse": provider(f"http://127.0.0.1:{port}/v1"),
                           "bad-tls": provider(bad.url, tls={"ca_file": certificates().ca}),
                           "headers": provider(f"http://127.0.0.1:{port}/v1",
                                               headers={"X-Extra": "canary-in-header"}),
                           "proxied": provider("https://nowhere.invalid/v1")},
                models={"chain": ["refuse/m", "bad-tls/m", "up/status-401"]},
                env={"HTTPS_PROXY": f"http://u:proxy-canary@127.0.0.1:{port}", "NO_PROXY": "localhost"},
                log={"level": "trace"}) as stage:
            seen = []

            def echo_the_key(exchange):
                said = exchange.request.header("authorization")
                return exchange.answer(401, {"error": {
                    "message": f"Incorrect API key provided: {said}", "type": "invalid_request_error",
                    "code": "invalid_api_key", "param": None}})

            def echo_with_400(exchange):
                return exchange.answer(400, {"error": {"message": "Bad.", "type": "x", "code": None}},
                                       {"X-Echo": exchange.request.header("authorization")})
            stage.upstream.add("echo-the-key", echo_the_key)
            stage.upstream.add("echo-with-400", echo_with_400)
            scripts = [f"up/{name}" for name in SCRIPTS if name not in SLOW]
            scripts += [f"up/status-{code}" for code in (400, 401, 403, 404, 429, 500, 503)]
            scripts += ["up/echo-the-key", "up/echo-with-400", "refuse/m", "bad-tls/m", "chain",
                        "proxied/m", "headers/m"]

            def ask(case):
                answer = stage.chat(*case, timeout=30)
                return answer.text + repr(answer.headers)
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                seen += pool.map(ask, [(one, stream) for one in scripts for stream in (False, True)])
            for key in ("sy-wrong-canary", GATEWAY_KEY + "x", "Bearer " + GATEWAY_KEY):
                answer = stage.chat("up/good", key=key)
                self.assertEqual(answer.status, 401)
                seen.append(answer.text + repr(answer.headers))
            seen.append(stage.call("POST", "/v1/chat/completions?key=canary-in-query", "{").text)
            stage.gateway.records(2 * len(scripts))
            metrics = urllib.request.urlopen(stage.gateway.admin_url + "/metrics").read().decode()
            stage.gateway.stop()

            places = {"log": stage.gateway.log(), "records": stage.gateway.records_file.read_text(),
                      "metrics": metrics, "output": "\n".join(stage.gateway.output),
                      "answers": "\n".join(seen)}
            for canary in CANARIES:
                for place, text in places.items():
                    at = text.find(canary)
                    self.assertEqual(at, -1, f"{place} shows a secret: {text[max(0, at - 200):at + 80]}")
            self.assertGreater(len(stage.gateway.records()), 2 * len(scripts))
            self.check_state(stage)

    def check_state(self, stage):
        """Nothing in the state directory holds a key in clear, and nobody else may read there."""
        state = pathlib.Path(stage.gateway.state)
        self.assertEqual(state.stat().st_mode & 0o077, 0)
        for file in state.rglob("*"):
            if file.is_file():
                data = file.read_bytes()
                for key in (GATEWAY_KEY, UPSTREAM_KEY):
                    self.assertNotIn(key.encode(), data, file)

    def test_a_key_written_into_the_configuration_is_refused(self):
        for member in ("keys", "credentials"):
            with self.subTest(member):
                with self.assertRaises(RuntimeError) as caught:
                    if member == "keys":
                        Stage(keys=[{"name": "x", "key": "sy-canary-in-clear"}]).close()
                    else:
                        Stage(providers={"x": provider("http://127.0.0.1:1/v1", credentials=[
                            {"key": "sy-canary-in-clear"}])}).close()
                self.assertIn("/key", str(caught.exception))
                self.assertNotIn("sy-canary-in-clear", str(caught.exception))

    def test_command_line_and_environment_of_the_processes(self):
        """The keys came by the environment; no process shows them in its arguments."""
        with Stage() as stage:
            for pid in [stage.gateway.pid, *stage.gateway.workers()]:
                arguments = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
                self.assertNotIn(b"canary", arguments)


if __name__ == "__main__":
    unittest.main()
