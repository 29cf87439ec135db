"""Pictures by their address, for upstreams that take data only: fetched by the gateway, from public addresses alone."""

import base64
import unittest

from stage import TIMEOUTS, Stage  # first: it says where the others are
from providers.moonshot import Moonshot
from upstream import Upstream

PNG = base64.b64decode("iVBORw0KGgo=")


class Pictures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vendor, cls.pictures = Moonshot(), Upstream()
        cls.addClassCleanup(cls.vendor.close)
        cls.addClassCleanup(cls.pictures.close)
        answers = {"a.png": (200, PNG, "image/png"), "untold": (200, PNG, "application/octet-stream"),
                   "new.avif": (200, b"avif", "image/avif; q=1"), "page": (200, b"<html>", "text/html"),
                   "gone": (404, b"", "text/plain"), "huge.png": (200, PNG + bytes(5 << 20), "image/png")}
        for name, (status, body, kind) in answers.items():
            cls.pictures.add(name, lambda exchange, status=status, body=body, kind=kind: exchange.answer(
                status, body, content_type=kind))
        cls.pictures.add("moved", lambda exchange: exchange.answer(
            302, b"", headers={"location": cls.pictures.origin + "/a.png"}))
        common = {"plugin": "openai", "dialect": "moonshot", "base_url": cls.vendor.url, "models": ["*"],
                  "credentials": [{"key": "${TEST_UPSTREAM_KEY}"}], "timeouts": TIMEOUTS}
        cls.stage = Stage(
            # The test's own address is none of the public ones, and so has to be named.
            providers={"kimi": {**common, "origins": [cls.pictures.origin]}, "strict": common},
            models={"else": ["strict/kimi-k3", "up/m"]})
        cls.addClassCleanup(cls.stage.close)

    def ask(self, *names, model="kimi/kimi-k3", stream=False):
        self.vendor.clear()
        self.pictures.clear()
        parts = [{"type": "image_url", "image_url": {"url": f"{self.pictures.origin}/{name}"}} for name in names]
        return self.stage.chat(model, stream, messages=[{"role": "user", "content": [
            {"type": "text", "text": "say"}, *parts]}])

    def test_they_arrive_as_data(self):
        for stream in (False, True):
            answer = self.ask("a.png?x=1", "untold", "a.png?x=1", "new.avif", stream=stream)
            self.assertEqual((answer.status, answer.clean), (200, True), (answer.text, self.vendor.refused))
            urls = [part["image_url"]["url"] for part in self.vendor.bodies[0]["messages"][0]["content"][1:]]
            png = "data:image/png;base64," + base64.b64encode(PNG).decode()
            self.assertEqual(urls, [png, png, png, "data:image/avif;base64,YXZpZg=="])
            self.assertEqual(len(self.pictures.requests), 3)  # each once
            for request in self.pictures.requests:
                self.assertIsNone(request.header("authorization"))

    def test_what_is_no_picture_is_refused_and_nothing_is_sent(self):
        for name, words in (("gone", "status 404"), ("moved", "status 302"), ("page", "no picture"),
                            ("huge.png", "more than 4 MiB")):
            with self.subTest(name):
                answer = self.ask(name)
                self.assertEqual((answer.status, answer.error["code"]), (400, "not_offered"), answer.text)
                self.assertIn(words, answer.error["message"])
                self.assertEqual(self.vendor.requests, [])
                self.assertLessEqual(len(self.pictures.requests), 1)
        answer = self.ask(*(f"a.png?{number}" for number in range(17)))
        self.assertIn("more than 16 pictures", answer.error["message"])
        self.assertEqual(self.pictures.requests, [])

    def test_an_address_that_is_not_public_is_never_asked(self):
        answer = self.ask("a.png", model="strict/kimi-k3")
        self.assertEqual((answer.status, answer.error["code"]), (400, "not_offered"), answer.text)
        self.assertIn("public address", answer.error["message"])
        self.assertEqual(self.ask("a.png", model="else").status, 200)  # one that fetches by itself
        self.assertEqual((self.pictures.requests, self.vendor.requests), ([], []))


if __name__ == "__main__":
    unittest.main()
