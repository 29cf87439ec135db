"""Why a request went where it went: the answer's head, the record, the dry run, and the replay."""

import json
import subprocess
import unittest

from stage import Stage, provider  # first: it says where the others are
import client
from admin import Admin
from gateway import find_binary, wait_for
from upstream import Upstream

EXPLAIN = {"X-Switchyard-Explain": "true"}


class Explain(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.west = Upstream()
        cls.addClassCleanup(cls.west.close)
        weighted = {"plugin": "weighted"}
        cls.stage = Stage(
            up={"models": ["m", "status-500", "gpt-5.5"]},
            providers={"west": {**provider(cls.west.url), "models": ["m", "gpt-5-nano"]}},
            models={
                "cheap": {"candidates": ["up/gpt-5.5", "west/gpt-5-nano"],
                          "strategy": {"plugin": "cost"}},
                "out": {"candidates": [{"target": "up/m", "weight": 0}, "west/m"],
                        "strategy": weighted},
                "falls": {"candidates": [{"target": "up/status-500", "weight": 1000000}, "west/m"],
                          "strategy": weighted},
                "plain": ["up/m", "west/m"],
                "odd": {"candidates": ["up/m", "west/m"],
                        "strategy": {"plugin": "split", "config": {"experiment": "é\n", "variants": {"x": 1}}}},
            },
            records={"plans_one_in": 0})
        cls.addClassCleanup(cls.stage.close)
        cls.admin = Admin(cls.stage.gateway)
        cls.key = cls.admin.post("/keys", {"name": "asks", "may_explain": True}).json()["key"]

    def chat(self, model, key=None, headers=EXPLAIN, **more):
        return self.stage.chat(model, key=key or self.key, headers=headers, **more)

    def record(self, answer):
        name = answer.header("x-request-id")

        def found():
            shown = self.admin.call("GET", "/records/" + name)
            return shown.json() if shown.status == 200 else None
        return wait_for(found, what=f"the record of {name}")

    # -- the header

    def test_a_key_that_may_not_ask_is_refused_in_its_dialect(self):
        answer = self.chat("cheap", key=self.stage.key)
        self.assertEqual(answer.status, 403)
        self.assertEqual(answer.json()["error"]["code"], "explain_not_allowed")
        self.assertEqual(answer.json()["error"]["param"], "x-switchyard-explain")
        answer = self.stage.call(
            "POST", "/v1/messages", {"model": "cheap", "max_tokens": 9, "messages": client.MESSAGES},
            self.stage.key, EXPLAIN)
        self.assertEqual((answer.status, answer.json()["type"], answer.json()["error"]["type"]),
                         (403, "error", "permission_error"))

    def test_who_does_not_ask_is_told_nothing_and_nothing_is_kept(self):
        for headers in (None, {"X-Switchyard-Explain": "false"}):
            answer = self.chat("cheap", headers=headers)
            self.assertEqual(answer.status, 200, answer.text)
            self.assertIsNone(answer.header("x-switchyard-route"))
            self.assertNotIn("plan", self.record(answer))

    def test_the_head_says_who_was_taken_and_why(self):
        for stream in (False, True):
            answer = self.chat("cheap", stream=stream)
            self.assertEqual(answer.status, 200, answer.text)
            self.assertRegex(
                answer.header("x-switchyard-route"),
                r"^took west/gpt-5-nano; alias cheap: cost 0\.000\d+ USD \(of 2\); "
                r"1 west/gpt-5-nano \(0\.000\d+ USD\); 2 up/gpt-5\.5 \(0\.0\d+ USD\)$")
            plan = self.record(answer)["plan"]
            self.assertEqual([each["provider"] for each in plan["candidates"]], ["up", "west"])
            self.assertEqual(plan["order"], [1, 0])

    def test_what_is_left_out_is_named_and_a_failover_too(self):
        said = self.chat("out").header("x-switchyard-route")
        self.assertTrue(said.endswith("; not up/m (weight 0)"), said)
        said = self.chat("falls").header("x-switchyard-route")
        self.assertTrue(said.startswith("took west/m after up/status-500:server; "), said)
        self.assertTrue(self.chat("plain").header("x-switchyard-route").startswith(
            "took up/m; alias plain"))

    def test_an_answer_that_fails_is_explained_too(self):
        answer = self.chat("up/status-500")
        self.assertGreaterEqual(answer.status, 500)
        self.assertTrue(answer.header("x-switchyard-route").startswith("took up/status-500"))

    def test_no_text_ends_the_head(self):
        said = self.chat("odd").header("x-switchyard-route")
        self.assertIn("???=x", said)
        self.assertRegex(said, r"^[ -~]+$")

    # -- the dry run

    def test_a_dry_run_calls_nobody(self):
        before = len(self.stage.upstream.requests) + len(self.west.requests)
        told = self.admin.post("/routes/explain", {"model": "cheap"}).json()
        self.assertEqual(told["targets"], [{"provider": "west", "model": "gpt-5-nano"},
                                           {"provider": "up", "model": "gpt-5.5"}])
        self.assertRegex(told["reason"], r"^alias cheap: cost 0\.000\d+ USD \(of 2\)$")
        self.assertEqual(told["plan"]["order"], [1, 0])
        long = {"model": "cheap", "messages": [{"role": "user", "content": "word " * 4000}]}
        dearer = self.admin.post("/routes/explain", {"request": long}).json()
        cost = [told_["plan"]["candidates"][1]["est_cost_nano"] for told_ in (told, dearer)]
        self.assertGreater(cost[1], 2 * cost[0])
        self.assertEqual(len(self.stage.upstream.requests) + len(self.west.requests), before)

    def test_a_seed_and_a_session_say_what_chance_would(self):
        orders = [json.dumps(self.admin.post("/routes/explain", {"model": "falls", "seed": 7})
                             .json()["targets"]) for _ in range(5)]
        self.assertEqual(len(set(orders)), 1)
        told = self.admin.post("/routes/explain", {"model": "falls", "session": "s1"}).json()
        self.assertIn(", by session", told["reason"])

    def test_a_dry_run_of_what_can_not_be_asked(self):
        for body, status, code, part in (
                ({}, 400, "bad_request_body", "model: missing"),
                ({"model": 7}, 400, "bad_request_body", "model: expected a text"),
                ({"model": "cheap", "requst": {}}, 400, "bad_request_body", 'mean "request"'),
                ({"model": "cheap", "request": []}, 400, "bad_request_body", "request: expected"),
                ({"model": "cheap", "seed": -1}, 400, "bad_request_body", "seed: expected"),
                ({"model": "nobody"}, 404, "model_not_found", "'nobody'"),
                ({"model": "cheap", "task": "knitting"}, 404, "model_not_found", "knitting")):
            with self.subTest(body):
                answer = self.admin.call("POST", "/routes/explain", body)
                self.assertEqual((answer.status, answer.json()["error"]["code"]), (status, code))
                self.assertIn(part, answer.json()["error"]["message"])

    def test_a_dry_run_goes_by_what_its_key_may_use(self):
        def explain(key, model="cheap", **more):
            return self.admin.post("/routes/explain", {"model": model, "key": key, **more})
        near = self.admin.post("/keys", {"name": "near", "providers": ["up"]}).json()["id"]
        far = self.admin.post("/keys", {"name": "far", "regions": ["mars"]}).json()["id"]
        one = self.admin.post("/keys", {"name": "one", "models": ["plain"], "endpoints": ["chat"]}).json()["id"]
        wait_for(lambda: explain(one, "plain").status == 200, what="the keys to be known")
        told = explain(near).json()
        self.assertEqual([target["provider"] for target in told["targets"]], ["up"])
        self.assertEqual([each["provider"] for each in told["plan"]["left_out"]], ["west"])
        told = explain(far).json()
        self.assertEqual(told["targets"], [])
        self.assertEqual(len(told["plan"]["left_out"]), 2)
        for answer in (explain(one), explain(one, "plain", task="embeddings"), explain("key_none")):
            self.assertEqual(answer.status, 400, answer.text)
        self.assertEqual(explain(one).json()["error"]["code"], "not_allowed")
        self.assertIn("key_none", explain("key_none").json()["error"]["message"])
        self.assertEqual(len(self.admin.post("/routes/explain", {"model": "cheap"}).json()["targets"]), 2)

    def run_command(self, *arguments, code=0):
        done = subprocess.run([find_binary(), *arguments], env=self.stage.gateway.env,
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout if code == 0 else done.stderr

    def test_the_command_line_tells_a_table(self):
        state = str(self.stage.gateway.state)
        told = self.run_command("route", "explain", "out", "--state", state)
        lines = [line.split() for line in told.splitlines() if line]
        self.assertEqual(lines[1][:3], ["TARGET", "STATE", "COST"])
        self.assertEqual(lines[2][:3], ["1", "west/m", "closed"])
        self.assertEqual(lines[3][:3], ["not", "up/m", "closed"])
        self.assertIn("excluded: weight 0", told)
        told = self.run_command("route", "explain", "out", "--stream", "--json", "--state", state)
        self.assertEqual(json.loads(told)["model"], "out")
        self.assertIn("Nothing serves the model 'x'",
                      self.run_command("route", "explain", "x", "--state", state, code=1))

    # -- the replay

    def test_a_replay_tells_what_another_configuration_would_have_done(self):
        answers = [self.chat("plain") for _ in range(6)] + [self.chat("cheap") for _ in range(4)]
        for answer in answers:
            self.assertEqual(answer.status, 200, answer.text)
            self.record(answer)
        config = self.stage.gateway.directory / "other.json"
        models = {"plain": {"candidates": ["up/m", {"target": "west/m", "priority": 0}],
                            "strategy": {"plugin": "capability",
                                         "config": {"prefer": [{"tag": "good", "points": 1}]}}},
                  "cheap": ["up/gpt-5.5", "west/gpt-5-nano"]}
        models["plain"]["candidates"][1]["tags"] = {"good": "yes"}
        config.write_text(json.dumps({**self.stage.config, "models": models}))
        records = str(self.stage.gateway.state / "records")
        told = json.loads(self.run_command("replay", records, "--config", str(config), "--json"))
        by_alias = {each["alias"]: each for each in told}
        plain, cheap = by_alias["plain"], by_alias["cheap"]
        self.assertEqual(plain["recorded"]["shares"], {"up/m": 1})
        self.assertEqual(plain["replayed"]["shares"], {"west/m": 1})
        self.assertEqual(plain["recorded"]["calls"], plain["plans"])
        self.assertEqual(cheap["recorded"]["shares"], {"west/gpt-5-nano": 1})
        self.assertEqual(cheap["replayed"]["shares"], {"up/gpt-5.5": 1})
        costs = [float(cheap[side]["cost"][0]["amount"]) for side in ("recorded", "replayed")]
        self.assertGreater(costs[1], 5 * costs[0])

        table = self.run_command("replay", records, "--config", str(config), "--alias", "cheap")
        self.assertRegex(table, r"up/gpt-5\.5 +0\.0 % +100\.0 % +\+100\.0 points")
        self.assertNotIn("plain", table)

        # An export of records does as well as the days' files.
        export = self.stage.gateway.directory / "export.jsonl"
        export.write_text("".join(json.dumps(self.record(answer)) + "\n" for answer in answers[6:]))
        told = json.loads(self.run_command("replay", str(export), "--config", str(config), "--json"))
        self.assertEqual([each["alias"] for each in told], ["cheap"])
        self.assertEqual(told[0]["plans"], 4)

    def test_a_replay_of_nothing_says_what_would_do(self):
        config = str(self.stage.gateway.config_file)
        missing = self.run_command("replay", "/nowhere", "--config", config, code=1)
        self.assertIn("/nowhere: there is no such file or directory", missing)
        empty = self.stage.gateway.directory / "empty.json"
        empty.write_text('{"data":[{"model_asked":"cheap","final_status":"ok"}]}')
        none = self.run_command("replay", str(empty), "--config", config, code=1)
        self.assertIn("none of 1 records has a plan", none)
        empty.write_text('{"data":')
        self.assertIn("not JSON at byte", self.run_command("replay", str(empty), "--config", config, code=1))
        self.run_command("replay", str(empty), code=2)


if __name__ == "__main__":
    unittest.main()
