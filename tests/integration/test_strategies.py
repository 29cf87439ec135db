"""Strategies: who is asked first, what the record says of it, and what becomes of one that fails."""

import collections
import os
import pathlib
import re
import shutil
import tempfile
import unittest

from stage import Stage, provider  # first: it says where the others are
import client
from gateway import find_binary, wait_for
from upstream import Upstream, good

PLUGINS = pathlib.Path(os.environ.get("SWITCHYARD_TEST_PLUGINS") or
                       pathlib.Path(find_binary()).parents[1] / "tests/integration/plugins")


def alias(candidates, *strategies):
    chosen = [{"plugin": name, "config": config} for name, config in strategies]
    return {"candidates": candidates, "strategy": chosen[0] if len(chosen) == 1 else chosen}


def plugin_directory():
    """The built plugins and the faulty one, where the host takes them from."""
    directory = tempfile.TemporaryDirectory(prefix="switchyard-plugins-")
    for folder in (pathlib.Path(find_binary()).parents[1] / "plugins", PLUGINS):
        for file in folder.glob("*.so"):
            shutil.copy(file, directory.name)
            os.chmod(os.path.join(directory.name, file.name), 0o644)
    return directory


class Strategies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.others = {name: Upstream() for name in ("east", "west")}
        for upstream in cls.others.values():
            cls.addClassCleanup(upstream.close)
        cls.plugins = plugin_directory()
        cls.addClassCleanup(cls.plugins.cleanup)
        three = ["up/m", "east/m", "west/m"]
        priced = ["up/gpt-5.5", "east/gpt-5-nano", "west/not-in-the-catalog"]
        models = {
            "shares": alias([{"target": "up/m", "weight": 6}, {"target": "east/m", "weight": 3},
                             {"target": "west/m"}], ("weighted", {})),
            "cheap": alias(priced, ("cost", {})),
            "looks": alias(["up/slow", "east/quick"], ("latency", {"explore_percent": 100})),
            "quick": alias(["up/slow", "east/quick"], ("latency", {"explore_percent": 0})),
            "tiers": alias([{"target": "up/m", "priority": 1}, "east/m", "west/m"],
                           ("priority", {}), ("weighted", {})),
            "next-best": alias([{"target": "up/m", "weight": 1},
                                {"target": "east/status-500", "weight": 1000000}],
                               ("weighted", {})),
            "kept": alias(three, ("sticky", {})),
            "trial": alias([{"target": "up/m", "tags": {"variant": "old"}},
                            {"target": "east/m", "tags": {"variant": "new"}}],
                           ("split", {"experiment": "t1", "variants": {"old": 0, "new": 1}})),
            "fails": alias([{"target": "up/m", "tags": {"variant": "old"}},
                            {"target": "east/status-500", "tags": {"variant": "new"}}],
                           ("split", {"experiment": "t1", "variants": {"old": 0, "new": 1}})),
            "able": alias([{"target": "up/m", "tags": {"bench": "9"}},
                           {"target": "east/m", "tags": {"open": "yes", "bench": "5"}},
                           {"target": "west/m", "tags": {"open": "yes", "bench": "7"}}],
                          ("capability", {"require": {"open": True}, "rank_by": "bench"})),
            "tongues": alias([{"target": "up/m", "tags": {"languages": "en, de"}},
                              {"target": "east/m", "tags": {"languages": "zh, ja"}}], ("capability", {})),
            "throws": alias(three, ("faulty", {"how": "throw"})),
            "forgets": alias(three, ("priority", {}), ("faulty", {"how": "forget"})),
            "plain": three,
            "by-priority": [{"target": "up/m", "priority": 1}, "east/m"],
        }
        cls.stage = Stage(
            providers={name: provider(upstream.url) for name, upstream in cls.others.items()},
            models=models, plugins={"directory": cls.plugins.name})
        cls.addClassCleanup(cls.stage.close)

    def ask(self, model, count=1, **members):
        """The providers that answered, by how often, and the last record."""
        answers = [self.stage.chat(model, **members) for _ in range(count)]
        for answer in answers:
            self.assertEqual(answer.status, 200, answer.text)
        records = [self.stage.record(answer) for answer in answers]
        return collections.Counter(record["provider"] for record in records), records[-1]

    def test_weights_split_the_requests(self):
        # 300 requests of weight 6, 3 and 1; a fair split leaves these bounds once in a million runs.
        with client.Connection(self.stage.url) as connection:
            for number in range(300):
                answer = connection.request(
                    "POST", "/v1/chat/completions",
                    {"model": "shares", "messages": client.MESSAGES}, self.stage.key,
                    {"X-Request-Id": f"split-{number}"})
                self.assertEqual(answer.status, 200, answer.text)
        self.stage.record("split-299")
        found = [record for record in self.stage.gateway.records()
                 if record["switchyard.request_id"].startswith("split-")]
        self.assertEqual(len(found), 300)
        shares = collections.Counter(record["switchyard.provider"] for record in found)
        self.assertTrue(135 <= shares["up"] <= 225, shares)
        self.assertTrue(50 <= shares["east"] <= 130, shares)
        self.assertTrue(5 <= shares["west"] <= 60, shares)
        reasons = {record["switchyard.route_reason"] for record in found}
        self.assertEqual(reasons, {f"alias shares: weighted weight {weight} (of 3)"
                                   for weight in (6, 3, 1)})

    def test_a_session_stays_where_it_is(self):
        for user in ("ann", "bob", "cid"):
            shares, record = self.ask("shares", 12, user=user)
            self.assertEqual(len(shares), 1, shares)
            self.assertIn(", by session (of 3)", record["route_reason"])

    def test_the_cheapest_is_asked(self):
        shares, record = self.ask("cheap", 5)
        self.assertEqual(shares, {"east": 5})
        self.assertRegex(record["route_reason"], r"^alias cheap: cost 0\.0002\d* USD \(of 3\)$")

    def test_a_slow_upstream_is_left_alone(self):
        def slow(exchange):
            exchange.wait(0.3)
            return good(exchange)

        self.stage.upstream.add("slow", slow)
        # Whoever is not measured is asked at once: after two requests both are. What was measured is the
        # targets', whichever alias asks them.
        shares, record = self.ask("looks", 2)
        self.assertEqual(shares, {"up": 1, "east": 1})
        self.assertEqual(record["route_reason"],
                         "alias looks: latency not measured yet, looked at (of 2)")
        shares, record = self.ask("quick", 20)
        self.assertEqual(shares, {"east": 20})
        self.assertRegex(record["route_reason"],
                         r"^alias quick: latency answer (<1|\d+) ms, 0 in flight \(of 2\)$")

    def test_a_session_goes_home_and_another_accounts_does_not_matter(self):
        homes = {}
        for session in ("s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"):
            answers = [self.stage.chat("kept", headers={"X-Switchyard-Session": session})
                       for _ in range(3)]
            found = [self.stage.record(answer) for answer in answers]
            self.assertEqual(len({record["provider"] for record in found}), 1)
            self.assertEqual(found[0]["route_reason"], "alias kept: sticky home of the session (of 3)")
            homes[session] = found[0]["provider"]
        self.assertGreater(len(set(homes.values())), 1, homes)
        shares, record = self.ask("kept", 3)
        self.assertEqual(len(shares), 1, shares)
        self.assertEqual(record["route_reason"],
                         "alias kept: sticky home of the prompt's start (of 3)")

    def test_an_experiment_is_named_in_the_record(self):
        shares, record = self.ask("trial", 5)
        self.assertEqual(shares, {"east": 5})
        self.assertEqual(record["route_reason"], "alias trial: split t1=new (of 2)")
        shares, record = self.ask("fails", 2)
        self.assertEqual(shares, {"up": 2})
        self.assertEqual(record["fallback_path"], "east/status-500:server > up/m:ok")

    def test_who_lacks_what_is_required_is_left_out(self):
        shares, record = self.ask("able", 3)
        self.assertEqual(shares, {"west": 3})
        self.assertEqual(record["route_reason"],
                         "alias able: capability 7: bench (of 3, 1 excluded)")

    def test_an_answer_is_asked_of_who_speaks_the_language_of_the_question(self):
        for asked, provider_asked in (("请用三句话介绍一下北京的历史。", "east"), ("Tell me of Beijing.", "up")):
            with self.subTest(asked):
                # The user's last words count, not what an operator put before them.
                messages = [{"role": "system", "content": "Be brief. 简短。"}, {"role": "user", "content": asked}]
                shares, record = self.ask("tongues", messages=messages)
                self.assertEqual(shares, {provider_asked: 1}, record["route_reason"])

    def test_the_second_strategy_decides_among_equals(self):
        shares, record = self.ask("tiers", 40)
        self.assertEqual(set(shares), {"east", "west"}, shares)
        self.assertEqual(record["route_reason"], "alias tiers: priority 0, weighted weight 1 (of 3)")

    def test_a_failed_attempt_goes_on_in_the_strategys_order(self):
        answer = self.stage.chat("next-best")
        self.assertEqual(answer.status, 200, answer.text)
        record = self.stage.record(answer)
        self.assertEqual((record["provider"], record["fallback_path"]),
                         ("up", "east/status-500:server > up/m:ok"))

    def test_a_strategy_that_fails_leaves_the_configurations_order(self):
        for model, said in (("throws", "lost its way"), ("forgets", "left out east/m")):
            with self.subTest(model):
                shares, record = self.ask(model, 3)
                self.assertEqual(shares, {"up": 3})
                self.assertEqual(record["route_reason"],
                                 f"alias {model}: configuration order, for a strategy failed (of 3)")
                # One line a second is logged: it is asked until its turn has come.
                # After five the plugin rests, whichever alias asks it.
                line = rf'alias={model} reason="strategy \\"faulty\\": score: ({said}|rests after many faults)"'
                wait_for(lambda: self.stage.chat(model) and re.search(line, self.stage.gateway.log()),
                         what=line)
        metrics = client.call(self.stage.gateway.admin_url, "GET", "/metrics").body.decode()
        for model, count in (("throws", "[1-9][0-9]*"), ("forgets", "[1-9][0-9]*"), ("cheap", "0")):
            self.assertRegex(metrics,
                             rf'switchyard_strategy_faults_total\{{alias="{model}"\}} {count}\n')

    def test_an_alias_without_a_strategy_is_as_it_was(self):
        shares, record = self.ask("plain", 5)
        self.assertEqual(shares, {"up": 5})
        self.assertEqual(record["route_reason"], "alias plain")
        shares, record = self.ask("by-priority", 5)
        self.assertEqual(shares, {"east": 5})
        self.assertEqual(record["route_reason"], "alias by-priority")


class Faults(unittest.TestCase):
    """What is refused, and where it is said to be."""

    def test_a_configuration_that_a_strategy_does_not_take(self):
        directory = plugin_directory()
        self.addCleanup(directory.cleanup)
        cases = (
            ({"plugin": "nobody"}, "/models/m/strategy/plugin",
             'strategy \\"nobody\\": no plugin of that name is loaded'),
            ({"plugin": "weighted", "config": {"stiky": True}},
             "/models/m/strategy/config/stiky", 'unknown key; did you mean \\"sticky\\"?'),
            ([{"plugin": "cost"}, {"plugin": "latency", "config": {"concurrency": 0}}],
             "/models/m/strategy/1/config/concurrency", "found 0, expected at least 1"),
            ({"plugin": "faulty", "config": {"how": "refuse"}}, "/models/m/strategy/config",
             'strategy \\"faulty\\": refuses to open'),
        )
        for strategy, pointer, message in cases:
            with self.subTest(pointer):
                with self.assertRaises(RuntimeError) as raised:
                    Stage(models={"m": {"candidates": ["up/a", "up/b"], "strategy": strategy}},
                          plugins={"directory": directory.name})
                self.assertIn(f'at={pointer} reason="{message}"', str(raised.exception))

    def test_a_reload_keeps_what_serves_where_a_strategy_is_refused(self):
        with Stage(models={"m": {"candidates": ["up/a", "up/b"],
                                 "strategy": {"plugin": "priority"}}}) as stage:
            stage.config["models"]["m"]["strategy"] = {"plugin": "nobody"}
            stage.gateway.write_config(stage.config)
            stage.gateway.signal(1)
            wait_for(lambda: "no plugin of that name" in stage.gateway.log(), what="the refusal")
            answer = stage.chat("m")
            self.assertEqual(answer.status, 200)
            self.assertEqual(stage.record(answer)["route_reason"], "alias m: priority 0 (of 2)")


if __name__ == "__main__":
    unittest.main()
