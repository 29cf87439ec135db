"""Signatures, token exchanges, slots of a key, other origins, frames and the client's leaving, through the tests' own
provider; what it signs is checked here with other means."""

import base64
import hashlib
import hmac
import json
import pathlib
import subprocess
import tempfile
import threading
import unittest
import urllib.parse
import zlib

from stage import Stage, fixture_plugins, provider  # first: it says where the others are
import client
from gateway import wait_for
from upstream import Upstream

SECRET = "canary-slot-secret"
TOKEN = "canary-access-token"


def unpad(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Sign(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        keys = tempfile.TemporaryDirectory(prefix="switchyard-keys-")
        cls.addClassCleanup(keys.cleanup)
        cls.keys = pathlib.Path(keys.name)
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
                        "-out", cls.keys / "key.pem"], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", cls.keys / "key.pem", "-pubout",
                        "-out", cls.keys / "public.pem"], check=True, capture_output=True)
        cls.private_key = (cls.keys / "key.pem").read_text()
        document = json.dumps({"secret": SECRET, "private_key": cls.private_key}, indent=1)
        (cls.keys / "document.json").write_text(document)
        cls.other, cls.named = Upstream(), Upstream()
        cls.addClassCleanup(cls.other.close)
        cls.addClassCleanup(cls.named.close)
        cls.origin = cls.named.url.rpartition("/")[0]
        cls.stage = Stage(
            plugins=fixture_plugins(cls),
            providers={"fx": {"plugin": "fixture", "models": ["*"], "base_url": "http://127.0.0.1:1",
                              "origins": [cls.origin]}})
        cls.addClassCleanup(cls.stage.close)
        cls.up = cls.stage.upstream
        config = dict(cls.stage.config)
        config["providers"]["fx"].update(
            base_url=cls.up.url, credentials=[{"key": f"file:{cls.keys}/document.json", "name": "doc",
                                               "parts": {"document": "yes"}}])
        cls.stage.gateway.stop()
        cls.stage.gateway.write_config(config)
        cls.stage.gateway.start()
        cls.stage.url = cls.stage.gateway.url

    def ask(self, name, function, **members):
        self.up.clear()
        self.up.add(f"fx/{name}", function)
        return self.stage.chat(f"fx/{name}", **members)

    @staticmethod
    def ok(exchange):
        return exchange.answer(body={"ok": True})

    def check_signature(self, request):
        url, query = request.target.split("?")
        self.assertEqual(query, "signed%20at=a%2Fb")
        given = dict(part.strip().split("=", 1)
                     for part in request.header("authorization").partition(" ")[2].split(","))
        names = given["SignedHeaders"].split(";")
        self.assertEqual(names, sorted(names))
        for name in ("host", "content-type", "content-length", "x-amz-date"):
            self.assertIn(name, names)
        canonical = "".join(f"{name}:{request.header(name)}\n" for name in names)
        text = "\n".join([request.method, url, "", canonical, ";".join(names),
                          hashlib.sha256(request.body).hexdigest()])
        to_sign = "\n".join(["AWS4-HMAC-SHA256", request.header("x-amz-date"),
                             "20261121/eu/test/aws4_request",
                             hashlib.sha256(text.encode()).hexdigest()])
        key = ("AWS4" + SECRET).encode()
        for part in ("20261121", "eu", "test", "aws4_request", to_sign):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        self.assertEqual(given["Signature"], key.hex())

    def test_a_signature_is_over_what_is_sent(self):
        for size in (10, 600_000):  # the second one is hashed on the pool
            with self.subTest(size=size):
                answer = self.ask("sigv4", self.ok, user="x" * size)
                self.assertEqual((answer.status, answer.json()), (200, {"ok": True}), answer.text)
                self.assertGreater(len(self.up.requests[0].body), size)
                self.check_signature(self.up.requests[0])

    def test_a_secret_of_a_slot_goes_where_the_plugin_says(self):
        answer = self.ask("slot", self.ok)
        self.assertEqual(answer.status, 200, answer.text)
        self.assertEqual(self.up.requests[0].header("x-key"), f"Key {SECRET}")
        self.assertIsNone(self.up.requests[0].header("authorization"))
        self.assertEqual(self.up.requests[0].header("x-answers"), "0 -2")

    def test_a_token_is_exchanged_once_and_kept(self):
        def exchange_token(exchange):
            if exchange.request.target.endswith("/token"):
                return exchange.answer(body={"access_token": TOKEN, "expires_in": 3600})
            return exchange.answer(400, {"said": exchange.request.header("authorization")})
        self.up.add("token", exchange_token)
        first = self.ask("token", exchange_token)
        self.assertEqual([request.target for request in self.up.requests],
                         ["/v1/token", "/v1/with-token"])
        assertion = self.up.requests[0].body.decode().partition("=")[2]
        head, claims, signature = assertion.split(".")
        self.assertEqual(json.loads(unpad(head)), {"alg": "RS256"})
        (self.keys / "signature").write_bytes(unpad(signature))
        subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.keys / "public.pem", "-signature",
                        self.keys / "signature"], input=f"{head}.{claims}".encode(), check=True,
                       capture_output=True)
        self.assertEqual(self.up.requests[1].header("authorization"), f"Bearer {TOKEN}")
        second = self.ask("token", exchange_token)
        self.assertEqual([request.target for request in self.up.requests], ["/v1/with-token"])
        # The upstream said the token back, and nobody saw it.
        for answer in (first, second):
            self.assertEqual(answer.status, 400)
            self.assertIn("[redacted]", answer.text)
            self.assertNotIn(TOKEN, answer.text)
        self.stage.record(second)
        said = self.stage.gateway.log() + self.stage.gateway.records_file.read_text()
        for secret in (TOKEN, SECRET, self.private_key.split("\n")[1]):
            self.assertNotIn(secret, said)

    def test_a_refused_exchange_and_one_without_a_token(self):
        # Tokens are of a credential: that of another provider has none yet.
        def refuse(exchange):
            return exchange.answer(401, {"error": "no"})

        def nothing(exchange):
            return exchange.answer(body={"token_type": "bearer", "other": "canary-other"})
        with Stage(plugins=self.stage.config["plugins"], providers={
                "fx": {"plugin": "fixture", "models": ["*"], "base_url": self.other.url,
                       "credentials": [{"key": f"file:{self.keys}/document.json"}]}}) as stage:
            self.other.add("token", refuse)
            answer = stage.chat("fx/token")
            self.assertEqual((answer.status, answer.error["code"]), (502, "upstream_auth"))
            self.other.add("token", nothing)
            answer = stage.chat("fx/token")
            self.assertEqual((answer.status, answer.error["code"]), (502, "upstream_bad_answer"))
            self.assertNotIn("canary-other", answer.text)

    def test_a_plugin_that_does_not_sign(self):
        with Stage(plugins=self.stage.config["plugins"], providers={
                "fx": {"plugin": "fixture", "models": ["*"], "base_url": self.other.url}}) as stage:
            self.other.clear()
            answer = stage.chat("fx/sigv4")
            self.assertEqual((answer.status, answer.error["code"]), (502, "upstream_auth"))
            self.assertEqual(self.other.requests, [])

    def test_other_origins(self):
        def fetch(url):
            self.up.clear()
            self.named.clear()
            self.other.clear()
            return self.stage.chat("fx/foreign", url=url)

        def film(exchange):
            return exchange.answer(body=bytes(range(256)) * 1000, content_type="video/mp4")
        for upstream in (self.up, self.named, self.other):
            upstream.add("film", film)
        for upstream in (self.up, self.named):  # its own, and one that the configuration names
            answer = fetch(upstream.url + "/film?x=1")
            self.assertEqual((answer.status, answer.header("content-type")), (200, "video/mp4"))
            self.assertEqual(answer.body, bytes(range(256)) * 1000)
            request = upstream.requests[0]
            self.assertEqual((request.target, request.header("authorization"),
                              request.header("x-answers")),
                             ("/v1/film?x=1", f"Bearer {SECRET}", "0 0"))
            self.assertEqual(request.header("host"), urllib.parse.urlsplit(upstream.url).netloc)
        # Any other one only at a public address; this is none.
        answer = fetch(self.other.url + "/film")
        self.assertEqual((answer.status, answer.error["code"]), (502, "upstream_unreachable"))
        self.assertEqual(self.other.requests, [])
        answer = fetch("ftp://example.com/film")
        self.assertEqual(answer.status, 502)

    def test_parts_are_framed_by_the_host(self):
        self.up.add("parts", self.ok)
        self.up.clear()
        answer = self.stage.chat("fx/parts")
        self.assertEqual(answer.status, 200, answer.text)
        request = self.up.requests[0]
        kind, _, boundary = request.header("content-type").partition("; boundary=")
        self.assertEqual(kind, "multipart/form-data")
        body = request.body.decode()
        first, second = body.split(f"--{boundary}\r\n")[1:]
        self.assertEqual(first, 'content-disposition: form-data; name="note"\r\n\r\nfirst\r\n')
        head, _, content = second.partition("\r\n\r\n")
        self.assertEqual(head, 'content-disposition: form-data; name="file"; filename="a.bin"\r\n'
                               'content-type: application/octet-stream')
        content = content.removesuffix(f"\r\n--{boundary}--\r\n")
        self.assertEqual(json.loads(base64.b64decode(content))["model"], "fx/parts")

    def test_aws_frames(self):
        def header(name, value):
            return bytes([len(name)]) + name.encode() + b"\x07" + len(value).to_bytes(2, "big") + value.encode()

        def message(headers, payload):
            data = (16 + len(headers) + len(payload)).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
            data += zlib.crc32(data).to_bytes(4, "big") + headers + payload
            return data + zlib.crc32(data).to_bytes(4, "big")
        wire = message(header(":message-type", "event") + header(":event-type", "start"), b"1")
        wire += message(header(":message-type", "exception") + header(":exception-type", "slow"), b"2")
        for data, status in ((wire, 200), (wire[:-1], 502), (wire[:-1] + b"x", 502)):
            answer = self.ask("aws", lambda exchange: exchange.answer(
                body=data, content_type="application/vnd.amazon.eventstream"))
            self.assertEqual(answer.status, status, answer.text)
            if status == 200:
                self.assertEqual(answer.json(), {"frames": [["start", 1], ["exception:slow", 2]]})

    def test_waiting(self):
        answer = self.stage.chat("fx/wait")
        self.assertEqual((answer.status, answer.json()), (200, {"waited": True}))

    def leave_during(self, name):
        started = threading.Event()

        def slow(exchange):
            started.set()
            exchange.wait(20)
        self.up.clear()
        self.up.add(f"fx/{name}", slow)
        self.up.add("cancelled", self.ok)
        with client.Connection(self.stage.url) as connection:
            connection.send_request("POST", "/v1/chat/completions",
                                    {"model": f"fx/{name}", "messages": client.MESSAGES}, self.stage.key,
                                    {"X-Request-Id": f"leave-{name}"})
            self.assertTrue(started.wait(10))
        record = self.stage.record(f"leave-{name}")
        self.assertEqual((record["status"], record["final_status"]), (499, "client_left"))
        wait_for(lambda: self.up.requests[0].left.is_set(), what="the end of the slow request")

    def test_a_last_request_when_the_client_leaves(self):
        self.leave_during("cancel")
        self.assertEqual([(request.method, request.target) for request in self.up.requests],
                         [("POST", "/v1/cancel"), ("DELETE", "/v1/cancelled")])
        self.assertEqual(self.up.requests[1].header("authorization"), f"Bearer {SECRET}")

    def test_no_last_request_where_the_plugin_wants_none(self):
        self.leave_during("slow")
        self.assertEqual(len(self.up.requests), 1)


if __name__ == "__main__":
    unittest.main()
