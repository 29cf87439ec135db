"""Gemini on Vertex AI: a service account's key is exchanged for a token, which is kept."""

import tempfile
import unittest

from stage import TIMEOUTS, Stage  # first: it says where the others are
import vertex
from upstream import Upstream

MODEL = "gemini-3.8-flash"


def parts(**more):
    return {"client_email": vertex.Account.EMAIL, "private_key_id": "k-1", **more}


class Vertex(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="switchyard-vertex-")
        cls.addClassCleanup(directory.cleanup)
        cls.account = vertex.Account(directory.name)
        cls.google = Upstream()
        cls.addClassCleanup(cls.google.close)
        vertex.add(cls.google, cls.account, MODEL)

    def stage(self, **credential):
        credential = {"key": f"file:{self.account.document}", "parts": parts(), **credential}
        stage = Stage(
            providers={"vertex": {
                "plugin": "gemini", "base_url": self.google.origin + vertex.PATH, "models": ["*"],
                "origins": [self.google.origin], "timeouts": TIMEOUTS, "credentials": [credential],
                "settings": {"vertex": True, "token_url": self.google.origin + "/token"}}},
            models={"else": [f"vertex/{MODEL}", "up/m"]})
        self.addCleanup(stage.close)
        self.account.exchanges.clear()
        self.account.refused.clear()
        return stage

    def test_one_token_serves_many_requests(self):
        stage = self.stage()
        for stream in (False, True, False):
            answer = stage.chat(f"vertex/{MODEL}", stream)
            self.assertEqual((answer.status, answer.clean), (200, True), (answer.text, self.account.refused))
            self.assertIn("Hello", answer.text)
            self.assertEqual(stage.record(answer)("tokens_in", "final_status"), (912, "ok"))
        self.assertEqual(len(self.account.exchanges), 1)
        native = stage.call("POST", f"/v1beta/models/vertex/{MODEL}:generateContent",
                            {"contents": [{"role": "user", "parts": [{"text": "x"}]}]})
        self.assertEqual(native.status, 200, (native.text, self.account.refused))
        self.assertEqual(len(self.account.exchanges), 1)
        said = stage.gateway.log() + stage.gateway.records_file.read_text()
        for secret in (vertex.TOKEN, self.account.private_key.split("\n")[1]):
            self.assertNotIn(secret, said)

    def test_an_account_that_google_refuses_is_the_gateways_fault(self):
        for credential in ({"parts": parts(client_email="other@p-1.iam.gserviceaccount.com")}, {"key": "${TEST_UPSTREAM_KEY}"}):
            with self.subTest(credential):
                stage = self.stage(**credential)
                answer = stage.chat(f"vertex/{MODEL}")
                self.assertEqual((answer.status, answer.error["code"]), (502, "upstream_auth"), answer.text)
                self.assertNotIn("iam.gserviceaccount.com", answer.text)
                self.assertEqual(stage.chat("else").status, 200)

    def test_what_vertex_does_not_offer_is_refused(self):
        stage = self.stage()
        answer = stage.call("POST", "/v1/embeddings", {"model": f"vertex/{MODEL}", "input": "x"})
        self.assertEqual((answer.status, answer.error["code"]), (400, "not_offered"))


if __name__ == "__main__":
    unittest.main()
