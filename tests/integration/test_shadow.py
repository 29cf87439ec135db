"""A swap after a shadow run: the new strategy decides beside the one that serves, and changes no request by it."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import unittest

import stage  # noqa: F401  first: it says where the others are
import client
from gateway import Gateway, wait_for
from test_containment import until_ready
from test_swap import ZOO, Setting

FIRST, SECOND = "one:q1:t", "one:q2:t"  # what the provider says for the first candidate, and the second


class Shadow(Setting):
    """The alias "quick" asks the strategy "choose", which takes the first of three candidates in its first version."""

    def __init__(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="switchyard-shadow-"))
        self.directory = self.scratch / "plugins"
        self.directory.mkdir(0o700)
        self.put("one")
        self.put_choose("one")
        self.config = {
            "providers": {"a": {"plugin": "answer", "models": ["q1", "q2", "q3"],
                                "settings": {"tell": "t"}}},
            "models": {"quick": {"candidates": ["a/q1", "a/q2", "a/q3"],
                                 "strategy": {"plugin": "choose", "config": {"shift": "0"}}}},
            "loggers": [{"plugin": "note", "config": {"file": str(self.scratch / "notes")}}],
            "plugins": {"directory": str(self.directory)},
        }
        try:
            self.gateway = Gateway(self.config)
        except BaseException:
            shutil.rmtree(self.scratch)
            raise
        self.token = (self.gateway.state / "admin.token").read_text().strip()

    def put_choose(self, version):
        self.put_bytes((ZOO / f"zoo_choose_{version}.so").read_bytes(), "choose.so")

    def begin(self, version, **terms):
        """(status, shadow) or (status, message)."""
        self.put_choose(version)
        answer = self.admin("POST", "/plugins/swap", {"file": "choose.so", "shadow": terms})
        body = answer.json()
        return answer.status, body["shadow"] if answer.status == 202 else body["error"]["message"]

    def shadow(self):
        return self.plugin("choose.so").get("shadow")

    def serving(self):
        """(version, state) of each generation of the strategy; one that never served has no version."""
        return [(each.get("version"), each["state"])
                for each in self.plugin("choose.so")["generations"]]

    def choose(self):
        answer = client.chat(self.gateway.url, "quick", self.gateway.key)
        assert answer.status == 200, answer.text
        return answer.json()["choices"][0]["message"]["content"]

    def choose_until_over(self):
        """What was answered while it ran; requests go on until it is over."""
        said = set()
        while self.shadow()["state"] == "running":
            said |= {self.choose() for _ in range(5)}
        return said, self.shadow()

    def swap_by_command(self, version, *options):
        """The command is given a file elsewhere, and requests go on while it waits."""
        build = self.scratch / "choose.so"
        shutil.copyfile(ZOO / f"zoo_choose_{version}.so", build)
        done = []
        command = threading.Thread(target=lambda: done.append(
            self.cli("swap", str(build), *options)), daemon=True)
        command.start()
        while command.is_alive():
            self.choose()
        return done[0]

    def installed(self):
        return (self.directory / "choose.so").read_bytes()


def build(version):
    return (ZOO / f"zoo_choose_{version}.so").read_bytes()


class Agreement(unittest.TestCase):
    def test_one_that_agrees_takes_over(self):
        with Shadow() as setting:
            status, shadow = setting.begin("twin", decisions=20, agree_percent=95)
            self.assertEqual((status, shadow["state"], shadow["compared"]), (202, "running", 0))
            self.assertEqual((shadow["version"], shadow["decisions"], shadow["seconds"],
                              shadow["agree_percent"]), ("twin", 20, 600, 95))
            self.assertEqual(setting.serving(), [("one", "serving")])
            said, shadow = setting.choose_until_over()
            self.assertEqual(said, {FIRST})
            self.assertEqual((shadow["state"], shadow["compared"], shadow["agreed"],
                              shadow["same_order"], shadow["differences"]),
                             ("published", 20, 20, 20, []))
            self.assertEqual(shadow["generation"], setting.plugin("choose.so")["generation"])
            self.assertEqual(setting.serving(), [("one", "draining"), ("twin", "serving")])
            self.assertEqual(setting.post("rollback", "choose.so")[0], 200)
            self.assertEqual(setting.serving(), [("one", "serving"), ("twin", "draining")])

    def test_one_that_differs_is_shown_and_changes_no_request_before_it_serves(self):
        with Shadow() as setting:
            self.assertEqual(setting.begin("two", decisions=20)[0], 202)
            ids = [f"mine-{number}" for number in range(5)]
            for each in ids:
                answer = client.chat(setting.gateway.url, "quick", setting.gateway.key,
                                     headers={"X-Request-Id": each})
                self.assertEqual(answer.json()["choices"][0]["message"]["content"], FIRST)
            said, shadow = setting.choose_until_over()
            self.assertLessEqual(said, {FIRST, SECOND})  # the last ones may be after its end
            self.assertEqual((shadow["state"], shadow["compared"], shadow["agreed"]),
                             ("published", 20, 0))
            self.assertEqual(len(shadow["differences"]), 5)
            self.assertEqual(shadow["differences"][0], {
                "request_id": "mine-0", "alias": "quick",
                "serving": "a/q1", "serving_reason": "alias quick: choose one+0 (of 3)",
                "candidate": "a/q2", "candidate_reason": "alias quick: choose two+0 (of 3)"})
            self.assertEqual(setting.choose(), SECOND)

    def test_one_that_differs_too_much_is_refused(self):
        with Shadow() as setting:
            for _ in range(4):  # that it was to agree is no fault of it: it is never quarantined
                self.assertEqual(setting.begin("two", decisions=10, agree_percent=90)[0], 202)
                said, shadow = setting.choose_until_over()
                self.assertEqual((said, shadow["state"]), ({FIRST}, "refused"))
                reason = "agreed in 0 of 10 decisions of its shadow run; 90% were asked for"
                self.assertEqual(shadow["reason"], reason)
            self.assertEqual(setting.serving(), [("one", "serving"), (None, "refused")])
            refused = setting.plugin("choose.so")["generations"][1]
            self.assertEqual((refused["reason"], refused["refusals"]), (reason, 0))
            # The file is still there: a reload does not bring in what was refused, a swap does.
            self.assertEqual(setting.admin("POST", "/reload").status, 200)
            self.assertEqual(setting.choose(), FIRST)
            self.assertEqual(setting.post("swap", "choose.so")[0], 200)
            self.assertEqual(setting.choose(), SECOND)

    def test_without_requests_the_time_ends_it(self):
        with Shadow() as setting:
            self.assertEqual(setting.begin("two", seconds=1, agree_percent=1)[0], 202)
            _, shadow = wait_for(lambda: self.over(setting), what="its end")
            self.assertEqual((shadow["state"], shadow["compared"], shadow["reason"]), (
                "refused", 0, "agreed in no decision of its shadow run, for 0 decisions were compared; "
                              "1% were asked for"))
            self.assertEqual(setting.begin("two", seconds=1)[0], 202)
            _, shadow = wait_for(lambda: self.over(setting), what="its end")
            self.assertEqual((shadow["state"], shadow["compared"]), ("published", 0))
            self.assertEqual(setting.choose(), SECOND)

    @staticmethod
    def over(setting):
        shadow = setting.shadow()
        return None if shadow["state"] == "running" else (None, shadow)


class Faults(unittest.TestCase):
    def test_one_that_fails_is_refused_and_no_request_notices(self):
        with Shadow() as setting:
            self.assertEqual(setting.begin("fails", decisions=50)[0], 202)
            said, shadow = setting.choose_until_over()
            self.assertEqual((said, shadow["state"], shadow["compared"]), ({FIRST}, "refused", 1))
            self.assertRegex(shadow["reason"],
                             r'^failed in its shadow run: strategy "choose": score: ')
            self.assertEqual(setting.serving(), [("one", "serving"), (None, "refused")])
            self.assertEqual(setting.plugin("choose.so")["generations"][1]["refusals"], 1)
            metrics = client.call(setting.gateway.admin_url, "GET", "/metrics").text
            self.assertIn('switchyard_strategy_faults_total{alias="quick"} 0', metrics)

    @unittest.skipIf(os.environ.get("SWITCHYARD_SANITIZER"), "a sanitizer turns a crash into its report and an exit")
    def test_one_that_crashes_takes_the_worker_along_and_never_serves(self):
        with Shadow() as setting:
            worker, = setting.gateway.workers()
            self.assertEqual(setting.begin("crashes", decisions=50)[0], 202)
            with self.assertRaises(OSError):
                setting.choose()
            wait_for(lambda: (now := setting.gateway.workers()) and now[0] != worker,
                     what="another worker")
            until_ready(setting)
            # Once is enough here: it was to show whether it may serve.
            self.assertEqual(setting.choose(), FIRST)
            log = setting.gateway.log()
            self.assertRegex(log, "plugin_crashed file=choose.so .* in=shadow_run signal=SIGSEGV "
                                  "times=1 action=quarantine")
            self.assertIn("plugin_last_good_serves file=choose.so", log)
            self.assertEqual(setting.post("swap", "choose.so"), (
                422, "choose.so: is quarantined: it crashed in shadow_run with SIGSEGV"))


class Cancel(unittest.TestCase):
    def test_a_rollback_ends_it_and_a_reload_does_not_bring_it_in(self):
        with Shadow() as setting:
            self.assertEqual(setting.begin("two", decisions=1000)[0], 202)
            self.assertEqual(setting.post("rollback", "choose.so"), (200, setting.plugin("choose.so")["generation"]))
            self.assertEqual((setting.shadow()["state"], setting.shadow()["reason"]),
                             ("cancelled", "rolled back"))
            self.assertEqual(setting.admin("POST", "/reload").status, 200)
            self.assertEqual(setting.choose(), FIRST)
            self.assertEqual(setting.post("rollback", "choose.so"),
                             (409, "choose.so: no generation served before this one"))

    def test_another_swap_of_the_file_ends_it(self):
        with Shadow() as setting:
            self.assertEqual(setting.begin("twin", decisions=1000)[0], 202)
            self.assertEqual(setting.begin("two", decisions=5)[0], 202)
            self.assertEqual(setting.choose_until_over()[1]["version"], "two")
            self.assertEqual(setting.begin("one", decisions=1000)[0], 202)
            self.assertEqual(setting.post("swap", "choose.so")[0], 200)
            self.assertEqual((setting.shadow()["state"], setting.shadow()["reason"]),
                             ("cancelled", "the file was swapped again"))
            self.assertEqual(setting.choose(), FIRST)

    def test_what_it_compares_with_ends_it_by_its_own_change(self):
        with Shadow() as setting:
            self.assertEqual(setting.begin("two", decisions=1000)[0], 202)
            self.assertEqual(setting.admin("POST", "/reload").status, 200)
            self.assertEqual((setting.shadow()["state"], setting.shadow()["reason"]),
                             ("cancelled", "another configuration or plugin took over"))
            self.assertEqual(setting.choose(), FIRST)
            self.assertEqual(setting.serving(), [("one", "serving")])

    def test_a_watched_directory_leaves_it_alone(self):
        with Shadow() as setting:
            setting.config["plugins"]["watch"] = True
            setting.gateway.write_config(setting.config)
            self.assertEqual(setting.admin("POST", "/reload").status, 200)
            self.assertEqual(setting.begin("two", decisions=1000)[0], 202)
            (setting.directory / "choose.so").open("ab").close()  # as an installer's last touch
            setting.put("two")  # whatever came before it is done when it serves
            wait_for(lambda: setting.ask("q1") == "two:q1:t", what="the watched file")
            self.assertEqual(setting.choose(), "two:q1:t")
            self.assertEqual(setting.serving(), [("one", "serving")])


class Refusals(unittest.TestCase):
    def test_a_shadow_run_is_of_strategies(self):
        with Shadow() as setting:
            setting.put("two")
            answer = setting.admin("POST", "/plugins/swap", {"file": "answer.so", "shadow": {}})
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (422, "no_shadow"))
            self.assertEqual(answer.json()["error"]["message"],
                             "answer.so: no route with several candidates asks a strategy of it, and a shadow run "
                             "compares what strategies decide; swap it without one")
            self.assertEqual(setting.ask("q1"), FIRST)
            self.assertEqual(setting.states(), [(setting.states()[0][0], "serving")])
            self.assertEqual(setting.post("swap")[0], 200)  # a provider with its logger, without one

    def test_one_at_a_time(self):
        with Shadow() as setting:
            self.assertEqual(setting.begin("two", decisions=1000)[0], 202)
            answer = setting.admin("POST", "/plugins/swap", {"file": "answer.so", "shadow": {}})
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (409, "shadow_runs"))
            self.assertEqual(setting.shadow()["state"], "running")

    def test_terms(self):
        with Shadow() as setting:
            for terms, message in (
                    ({"decisions": 0}, "shadow.decisions: expected 1 to 100000."),
                    ({"seconds": 3601}, "shadow.seconds: expected 1 to 3600."),
                    ({"agree_percent": 101}, "shadow.agree_percent: expected 1 to 100."),
                    ({"agree_percent": "95"}, "agree_percent: expected a whole number."),
                    ({"loops": 1}, "loops: there is no such member here.")):
                with self.subTest(terms):
                    self.assertEqual(setting.begin("two", **terms), (400, message))
            answer = setting.admin("POST", "/plugins/swap", {"file": "choose.so", "shadow": 5})
            self.assertEqual(answer.json()["error"]["message"], "shadow: expected an object.")
            # What is left out may be null.
            answer = setting.admin("POST", "/plugins/swap", {"file": "choose.so", "shadow": None})
            self.assertEqual(answer.status, 200)


class CommandLine(unittest.TestCase):
    def test_a_run_is_told_when_it_is_over(self):
        with Shadow() as setting:
            swapped = setting.swap_by_command("twin", "--shadow", "20", "--agree", "95%")
            self.assertEqual(swapped.returncode, 0, swapped.stderr)
            told, serves = swapped.stdout.splitlines()
            self.assertRegex(told, r"^compared 20 decisions in the shadow: 20 with the same first choice, 20 of them "
                                   r"in the same order; \d+ us each, \d+ us at most$")
            self.assertRegex(serves, r"^choose\.so: generation \d+ serves: zoo\.choose twin$")
            self.assertEqual(setting.installed(), build("twin"))

            refused = setting.swap_by_command("two", "--shadow", "20", "--agree", "95")
            self.assertEqual((refused.returncode, refused.stderr), (
                1, "choose.so: refused: agreed in 0 of 20 decisions of its shadow run; 95% were asked for\n"))
            self.assertRegex(refused.stdout, r"(?m)^  req_\w+: a/q1 \(alias quick: choose twin\+0 \(of 3\)\), "
                                             r"the new one a/q2 \(alias quick: choose two\+0 \(of 3\)\)$")
            self.assertEqual(setting.installed(), build("twin"))
            self.assertEqual(setting.choose(), FIRST)

            swapped = setting.swap_by_command("two", "--shadow-for", "1s", "--json")
            self.assertEqual(swapped.returncode, 0, swapped.stderr)
            self.assertEqual(json.loads(swapped.stdout)["shadow"]["state"], "published")
            self.assertEqual(setting.choose(), SECOND)

    def test_misuse(self):
        with Shadow() as setting:
            for options, message in (
                    (["--agree", "95%"], "--agree is of a shadow run: give --shadow or --shadow-for too"),
                    (["--shadow", "many"], "--shadow: expected 1 to 100000"),
                    (["--shadow", "5", "--agree", "0%"], "--agree: expected 1 to 100"),
                    (["--shadow-for", "2h"], "--shadow-for: expected a duration such as 60s or 5m, 1h at most")):
                with self.subTest(options):
                    misused = setting.cli("swap", "choose.so", *options)
                    self.assertEqual((misused.returncode, misused.stderr.splitlines()[0]), (2, message))
            self.assertEqual(setting.cli("rollback", "choose.so", "--shadow", "5").returncode, 2)
            self.assertIsNone(setting.shadow())

    @unittest.skipIf(os.environ.get("SWITCHYARD_SANITIZER"), "a sanitizer turns a crash into its report and an exit")
    def test_a_run_that_ends_with_its_worker(self):
        with Shadow() as setting:
            file = setting.scratch / "choose.so"
            shutil.copyfile(ZOO / "zoo_choose_crashes.so", file)
            with subprocess.Popen(
                    [setting.gateway.binary, "plugin", "swap", str(file), "--shadow", "5", "--state",
                     str(setting.gateway.state)], env=setting.gateway.env, text=True,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
                wait_for(lambda: (setting.shadow() or {}).get("state") == "running", what="its begin")
                with self.assertRaises(OSError):
                    setting.choose()
                _, told = command.communicate(timeout=60)
            self.assertEqual(command.returncode, 1)
            # The worker may be gone before its answer to the command has gone out.
            self.assertIn(told, (
                "choose.so: its shadow run ended with the worker that made it, and what served before serves on; "
                "the gateway's log says why\n",
                f"the gateway at {setting.gateway.admin_url} took the request and gave no answer; its log says why\n"))
            self.assertEqual(setting.installed(), build("one"))


if __name__ == "__main__":
    unittest.main()
