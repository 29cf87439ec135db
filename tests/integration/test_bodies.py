"""What requests and answers said is kept of the keys that ask for it, encrypted, and of nobody else."""

import pathlib
import subprocess
import unittest

from stage import PATIENT, Stage, wait_for  # first: it says where the others are
import client
from upstream import chat

SAID = "the moon is made of basalt"


class Bodies(unittest.TestCase):
    def setUp(self):
        self.stage = Stage(workers=2, up=PATIENT, records={"bodies": {"body_size_max": "1MB"}})
        self.addCleanup(self.stage.close)
        self.state = pathlib.Path(self.stage.gateway.state)
        self.token = (self.state / "admin.token").read_text().strip()

    def api(self, method, path, body=None):
        return client.call(self.stage.gateway.admin_url, method, "/admin/v1" + path, body, self.token)

    def mint(self, **fields):
        return self.api("POST", "/keys", {"name": "app", **fields}).json()

    def ask(self, key, **more):
        more.setdefault("messages", [{"role": "user", "content": SAID}])
        return self.stage.chat("up/good", key=key["key"], **more)

    def kept(self, answer):
        """What is kept of the request that got this answer, once its record is there."""
        record = answer.header("x-request-id")
        wait_for(lambda: self.api("GET", f"/records/{record}").status == 200, what="the record")
        return self.api("GET", f"/records/{record}/bodies")

    def wait_kept(self, answer):
        wait_for(lambda: self.kept(answer).status == 200, what="the bodies")
        return self.kept(answer).json()

    def test_a_whole_answer_and_a_stream_are_kept_as_they_were_sent(self):
        key = self.mint(stores_bodies=True)
        whole = self.ask(key)
        kept = self.wait_kept(whole)
        self.assertIn(SAID, kept["request"]["text"])
        self.assertEqual(kept["answer"]["text"], whole.text)
        self.assertFalse(kept["cut"])

        stream = self.ask(key, stream=True)
        kept = self.wait_kept(stream)
        self.assertEqual(kept["answer"]["text"], stream.text)
        self.assertTrue(kept["answer"]["text"].rstrip().endswith("data: [DONE]"))

    def test_an_error_is_kept_too(self):
        key = self.mint(stores_bodies=True)
        refused = self.stage.chat("up/none-such", key=key["key"], messages=[{"role": "user", "content": SAID}])
        self.assertEqual(self.wait_kept(refused)["answer"]["text"], refused.text)

    def test_nothing_is_kept_of_other_keys_and_nothing_can_be_read_on_the_disk(self):
        keeps, other = self.mint(stores_bodies=True), self.mint()
        first = self.ask(other)
        self.wait_kept(self.ask(keeps))  # behind it in the same queue
        self.assertEqual(self.kept(first).status, 404)
        self.assertEqual(self.kept(first).json()["error"]["code"], "bodies_not_kept")
        self.stage.gateway.stop()
        for file in self.state.rglob("*"):
            if file.is_file():
                self.assertNotIn(SAID.encode(), file.read_bytes(), file)

    def test_what_is_too_long_is_cut_and_says_so(self):
        key = self.mint(stores_bodies=True)
        kept = self.wait_kept(self.ask(key, messages=[{"role": "user", "content": "x" * 1_500_000}]))
        self.assertEqual(len(kept["request"]["text"]), 1_000_000)
        self.assertTrue(kept["cut"])

    def test_only_an_owner_sees_them_and_each_look_is_written_down(self):
        key = self.mint(stores_bodies=True)
        answer = self.ask(key)
        self.wait_kept(answer)
        record = answer.header("x-request-id")
        viewer = self.api("POST", "/tokens", {"name": "eyes", "role": "viewer"}).json()["token"]
        seen = client.call(self.stage.gateway.admin_url, "GET", f"/admin/v1/records/{record}/bodies", None, viewer)
        self.assertEqual(seen.status, 403)
        looks = [row for row in self.api("GET", f"/audit?object={record}").json()["data"] if row["status"] == 200]
        self.assertTrue(looks)
        self.assertEqual(looks[0]["route"], "/admin/v1/records/{id}/bodies")

    def test_one_who_asks_again_by_the_same_name_gets_the_same_answer(self):
        key = self.mint(stores_bodies=True)
        for stream in (False, True):
            for path, model in (("/v1/chat/completions", "up/good"), ("/v1/messages", "up/good")):
                with self.subTest(stream=stream, path=path):
                    body = {"model": model, "max_tokens": 20, "messages": client.MESSAGES, "stream": stream}
                    named = {"Idempotency-Key": f"{path} {stream}"}
                    self.stage.upstream.clear()
                    first = self.stage.call("POST", path, body, key["key"], named)
                    self.stage.record(first)
                    again = self.stage.call("POST", path, body, key["key"], named)
                    self.assertEqual((again.status, again.text), (200, first.text))
                    self.assertEqual(again.header("content-type"), first.header("content-type"))
                    self.assertEqual(again.header("idempotent-replayed"), "true")
                    self.assertIsNone(first.header("idempotent-replayed"))
                    self.assertEqual(len(self.stage.upstream.requests), 1)
                    record = self.stage.record(again)
                    self.assertEqual(record("attempts", "final_status", "provider"), (0, "ok", None), record)
                    # Nobody else's, though the name is the same.
                    other = self.stage.call("POST", path, body, self.mint(stores_bodies=True)["key"], named)
                    self.assertIsNone(other.header("idempotent-replayed"))
                    self.assertEqual(len(self.stage.upstream.requests), 2)

    def test_of_other_keys_and_of_what_is_too_long_no_answer_is_stored(self):
        named = {"Idempotency-Key": "one"}
        self.stage.upstream.add("long", lambda exchange: exchange.answer(body=chat(content="x" * 1_500_000)))
        for key, model in ((self.mint(), "up/good"), (self.mint(stores_bodies=True), "up/long")):
            with self.subTest(model=model):
                self.stage.record(self.stage.chat(model, key=key["key"], headers=named))
                again = self.stage.chat(model, key=key["key"], headers=named)
                self.assertEqual((again.status, again.error["code"]), (409, "request_already_answered"), again.text)

    def test_the_command_shows_them(self):
        key = self.mint(stores_bodies=True)
        answer = self.ask(key)
        self.wait_kept(answer)
        gateway = self.stage.gateway
        shown = subprocess.run([gateway.binary, "record", "bodies", answer.header("x-request-id"), "--state",
                                str(gateway.state)], env=gateway.env, capture_output=True, text=True, timeout=60)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn(SAID, shown.stdout)


if __name__ == "__main__":
    unittest.main()
