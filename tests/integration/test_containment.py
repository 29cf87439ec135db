"""A plugin that passed its trial and goes wrong in service: blamed, set aside, and nobody else suffers."""

import contextlib
import os
import re
import signal
import unittest

import stage  # noqa: F401  first: it says where the others are
import client
from gateway import wait_for
from test_swap import Setting


def crash(setting):
    """Makes the worker die in the plugin; the client's connection just ends."""
    worker = setting.gateway.workers()[0]
    with contextlib.suppress(OSError):
        setting.ask("crash")
    wait_for(lambda: (now := setting.gateway.workers()) and now[0] != worker, what="another worker")


def answers(setting):
    def asked():
        try:
            return setting.ask()
        except OSError:
            return None
    return wait_for(asked, what="an answer")


def until_ready(setting):
    """The admin API answers a moment after requests are served."""
    def ready():
        worker = setting.gateway.workers()
        return worker and f"worker_ready pid={worker[0]} " in setting.gateway.log()
    wait_for(ready, what="READY")


@unittest.skipIf(os.environ.get("SWITCHYARD_SANITIZER"), "a sanitizer turns a crash into its report and an exit")
class Crash(unittest.TestCase):
    def test_the_worker_is_back_and_the_log_names_the_plugin(self):
        with Setting() as setting:
            worker = setting.gateway.workers()[0]
            with self.assertRaises(OSError):
                setting.ask("crash")
            self.assertEqual(answers(setting), "one")
            self.assertNotEqual(setting.gateway.workers()[0], worker)
            self.assertIn("plugin_crashed file=answer.so sha256=", setting.gateway.log())
            self.assertIn("in=op_step signal=SIGSEGV times=1", setting.gateway.log())
            until_ready(setting)

    def test_the_second_crash_brings_the_last_good_one_back(self):
        with Setting() as setting:
            self.assertEqual(setting.swap("two")[0], 200)
            crash(setting)
            self.assertEqual(answers(setting), "two")  # once may be chance
            crash(setting)
            self.assertEqual(answers(setting), "one")
            self.assertRegex(setting.gateway.log(), "plugin_crashed .* times=2 action=quarantine")
            self.assertIn("plugin_last_good_serves file=answer.so", setting.gateway.log())
            until_ready(setting)
            reasons = [each.get("reason", "") for each in setting.plugin()["generations"]]
            self.assertTrue(any("crashed twice within 10 minutes, last in op_step with SIGSEGV" in reason
                                for reason in reasons), reasons)
            # A reload changes nothing; an operator can.
            status, message = setting.post("swap")
            self.assertEqual(status, 422, message)
            self.assertIn("is quarantined", message)
            self.assertEqual(setting.ask(), "one")

    def test_without_a_last_good_one_the_gateway_serves_on_without_it(self):
        with Setting() as setting:
            crash(setting)
            crash(setting)
            answer = wait_for(lambda: self.refused(setting), what="a refusal")
            self.assertEqual(answer.status, 503)
            self.assertEqual(answer.json()["error"]["code"], "plugin_unavailable")
            self.assertTrue(setting.gateway.alive())

    @staticmethod
    def refused(setting):
        try:
            answer = client.chat(setting.gateway.url, "a/m", setting.gateway.key)
        except OSError:
            return None
        return answer if answer.status == 503 else None

    def test_an_operator_releases_it(self):
        with Setting() as setting:
            crash(setting)
            crash(setting)
            wait_for(lambda: self.refused(setting), what="a refusal")
            until_ready(setting)
            sha = re.search("sha256=([0-9a-f]{64}) in=op_step", setting.gateway.log()).group(1)
            self.assertEqual(setting.admin("POST", "/plugins/release", {"sha256": sha}).status, 200)
            self.assertEqual(setting.post("swap")[0], 200)
            self.assertEqual(setting.ask(), "one")

    def test_a_worker_that_is_killed_blames_nobody(self):
        with Setting() as setting:
            worker = setting.gateway.workers()[0]
            os.kill(worker, signal.SIGKILL)
            self.assertEqual(answers(setting), "one")
            self.assertNotIn("plugin_crashed", setting.gateway.log())


class Faults(unittest.TestCase):
    def test_one_that_fails_again_and_again_rests(self):
        with Setting() as setting:
            codes = []
            for _ in range(8):
                answer = client.chat(setting.gateway.url, "a/bug", setting.gateway.key)
                codes.append(answer.json()["error"]["code"])
            self.assertEqual(codes[0], "plugin_error")
            self.assertEqual(codes[-1], "plugin_unavailable")
            def rests():
                generation = setting.plugin()["generations"][-1]
                return generation if "rests_s" in generation else None
            self.assertGreaterEqual(wait_for(rests, what="a report")["faults"], 5)

    def test_one_that_fails_gives_way_to_its_warm_predecessor(self):
        with Setting() as setting:
            self.assertEqual(setting.swap("two")[0], 200)
            for _ in range(5):
                client.chat(setting.gateway.url, "a/bug", setting.gateway.key)
            wait_for(lambda: "plugin_rolled_back file=answer.so" in setting.gateway.log(),
                     what="the roll back")
            self.assertEqual(answers(setting), "one")


if __name__ == "__main__":
    unittest.main()
