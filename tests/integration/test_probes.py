"""Small requests of the gateway's own to targets that are unwell: only where they are asked for, seen and paid for."""

import sqlite3
import threading
import unittest

from stage import Stage, wait_for  # first: it says where the others are
from admin import Admin
from upstream import chat, error_body

BREAKER = {"calls_min": 3, "cool_down": "1h", "cool_down_max": "1h", "probes": 2, "ramp": "1s"}
PRICES = {"name": "list", "book": "purchase", "currency": "USD",
          "prices": [{"provider": "up", "model": "ill", "price": {"input": "1000", "output": "2000"}}]}


class Probes(unittest.TestCase):
    def stage(self, probe=None, **more):
        stage = Stage(up={"breaker": BREAKER, **({"probe": {"interval": "1s", **probe}} if probe else {}), **more},
                      models={"two": ["up/ill", "up/good"]})
        self.addCleanup(stage.close)
        stage.admin = Admin(stage.gateway)
        stage.well = threading.Event()
        stage.upstream.add("ill", lambda exchange: exchange.answer(body=chat()) if stage.well.is_set()
                           else exchange.answer(500, error_body("Ill.")))
        return stage

    def lane(self, stage, model="ill"):
        lanes = stage.admin.get("/breakers?all=true").json()["data"]
        return next((lane for lane in lanes if lane["model"] == model), None)

    def fall_ill(self, stage):
        for _ in range(3):
            self.assertEqual(stage.chat("two").status, 200)
        self.assertEqual(self.lane(stage)["state"], "open")
        stage.upstream.clear()

    def asked(self, stage, model="ill"):
        return [request for request in stage.upstream.requests if request.model == model]

    def test_one_that_is_well_again_is_found_without_a_client(self):
        stage = self.stage({"models": ["ill"]})
        self.assertEqual(stage.admin.post("/prices", PRICES).status, 201)
        wait_for(lambda: "prices_loaded" in stage.gateway.log(), what="the prices")
        self.fall_ill(stage)
        wait_for(lambda: (self.lane(stage)["probe"] or {}).get("ok") is False, 20, "a probe that fails")
        self.assertEqual(self.lane(stage)["state"], "open")
        stage.well.set()
        wait_for(lambda: self.lane(stage)["state"] == "closed", 20, "the breaker to close")
        self.assertTrue(self.lane(stage)["probe"]["ok"])
        # Once it is well, nobody asks it any more.
        body = self.asked(stage)[-1].json()
        self.assertEqual((body["model"], body["max_tokens"], body["messages"][0]["content"]), ("ill", 16, "ping"))
        self.assertEqual({request.model for request in stage.upstream.requests}, {"ill"})

        records = [record for record in stage.gateway.records()
                   if record["switchyard.request_id"].startswith("probe_")]
        self.assertGreaterEqual(len(records), 3)
        stage.gateway.stop()  # what was written down is booked
        with sqlite3.connect(stage.gateway.state / "switchyard.db", timeout=10) as database:
            rows = database.execute("SELECT outcome, provider, model, amount, account FROM costs "
                                    "WHERE outcome = 'probe'").fetchall()
        self.assertGreaterEqual(len(rows), 2)
        self.assertEqual(set(rows), {("probe", "up", "ill", 11 * 1_000_000 + 5 * 2_000_000, "")})

    def test_its_request_is_the_operators_and_a_refused_credential_is_tried(self):
        refuses = threading.Event()
        refuses.set()
        stage = self.stage({"models": ["key"], "request": {"messages": [{"role": "user", "content": "are you there"}],
                                                           "max_completion_tokens": 5}})
        stage.upstream.add("key", lambda exchange: exchange.answer(401, error_body("No.", code="invalid_api_key"))
                           if refuses.is_set() else exchange.answer(body=chat()))
        self.assertEqual(stage.chat("up/key").status, 502)
        self.assertEqual(self.lane(stage, "key")["standing"], "credential_refused")
        refuses.clear()
        wait_for(lambda: self.lane(stage, "key")["standing"] == "ready", 20, "the credential to be taken")
        self.assertEqual(self.asked(stage, "key")[-1].json(), {
            "model": "key", "max_completion_tokens": 5, "messages": [{"role": "user", "content": "are you there"}]})

    def test_a_quiet_target_is_asked_where_that_is_wanted(self):
        stage = self.stage({"models": ["good"], "quiet": True})
        self.assertEqual(stage.upstream.wait_requests(1)[0].model, "good")

    def test_what_an_operator_closed_off_is_left_alone(self):
        stage = self.stage({"models": ["ill", "off"]})
        stage.upstream.add("off", lambda exchange: exchange.answer(500, error_body("Ill.")))
        self.fall_ill(stage)
        for _ in range(3):
            stage.chat("up/off")
        lane = self.lane(stage, "off")
        self.assertEqual(stage.admin.post(f"/breakers/{lane['id']}", {"state": "open"}).status, 200)
        stage.upstream.clear()
        # Both are looked at in the same turn.
        wait_for(lambda: len(self.asked(stage)) >= 2, 20, "two probes of the other one")
        self.assertEqual(self.asked(stage, "off"), [])

    def test_a_configuration_that_can_not_be_is_refused(self):
        stage = self.stage()
        config = {**stage.config, "providers": {"up": {**stage.config["providers"]["up"], "models": ["m"],
                                                       "probe": {"models": ["other"], "interval": "10ms"}}}}
        answer = stage.admin.post("/config/validate", config)
        self.assertIn('\\"other\\" is none of the provider', answer.text)
        self.assertIn("expected 1s to 30 days", answer.text)


if __name__ == "__main__":
    unittest.main()
