"""Plugins are swapped, rolled back and refused while requests run: none fails, none changes its generation."""

import collections
import hashlib
import json
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

import stage  # noqa: F401  first: it says where the others are
import client
from gateway import Gateway, find_binary, wait_for

ZOO = pathlib.Path(find_binary()).resolve().parents[1] / "tests" / "abi" / "zoo"


def zoo(name):
    return ZOO / f"zoo_answer_{name}.so"


class Setting:
    """A gateway whose one provider and one logger are the zoo's "answer" and "note"."""

    def __init__(self, first="one", plugins=None):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="switchyard-swap-"))
        self.directory = self.scratch / "plugins"
        self.directory.mkdir(0o700)
        self.gate = self.scratch / "gate"
        self.notes = self.scratch / "notes"
        self.put(first)
        self.config = {
            "providers": {"a": {"plugin": "answer", "models": ["m", "held", "crash", "bug"],
                                "settings": {"gate": str(self.gate)}}},
            "loggers": [{"plugin": "note", "config": {"file": str(self.notes)}}],
            "plugins": {"directory": str(self.directory), **(plugins or {})},
        }
        try:
            self.gateway = Gateway(self.config)
        except BaseException:
            shutil.rmtree(self.scratch)
            raise
        self.token = (self.gateway.state / "admin.token").read_text().strip()

    def __enter__(self):
        return self

    def __exit__(self, *trace):
        self.gateway.__exit__(*trace)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def put_bytes(self, content, name="answer.so"):
        """As an installer does: written aside, then renamed."""
        aside = self.directory / f".{name}.new"
        aside.write_bytes(content)
        aside.chmod(0o644)
        aside.replace(self.directory / name)

    def put(self, build, name="answer.so"):
        self.put_bytes(zoo(build).read_bytes(), name)

    def admin(self, method, path, body=None):
        return client.call(self.gateway.admin_url, method, "/admin/v1" + path, body, self.token,
                           timeout=40)

    def post(self, verb, file="answer.so"):
        """(status, generation that serves) or (status, message)."""
        answer = self.admin("POST", f"/plugins/{verb}", {"file": file})
        body = answer.json()
        if answer.status == 200:
            return 200, body["generation"]
        return answer.status, body["error"]["message"]

    def swap(self, build):
        self.put(build)
        return self.post("swap")

    def plugin(self, file="answer.so"):
        report = self.admin("GET", "/plugins").json()
        return next((each for each in report["plugins"] if each["file"] == file), None)

    def states(self):
        return [(each["number"], each["state"]) for each in self.plugin()["generations"]]

    def ask(self, model="m"):
        answer = client.chat(self.gateway.url, f"a/{model}", self.gateway.key)
        if answer.status != 200:
            return answer.status, answer.text
        return answer.json()["choices"][0]["message"]["content"]

    def cli(self, *words):
        return subprocess.run([self.gateway.binary, "plugin", *words, "--state",
                               str(self.gateway.state)], env=self.gateway.env, text=True,
                              capture_output=True, timeout=60)


class Load:
    """Asks without pause on connections that stay open; counts what came back."""

    def __init__(self, setting, threads=4):
        self.setting = setting
        self.answers = collections.Counter()
        self.failed = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _run(self):
        body = {"model": "a/m", "messages": client.MESSAGES}
        with client.Connection(self.setting.gateway.url, 20, None) as connection:
            while not self._end.is_set():
                try:
                    answer = connection.request("POST", "/v1/chat/completions", body,
                                                self.setting.gateway.key)
                    content = answer.json()["choices"][0]["message"]["content"]
                    self.answers[content] += 1
                except Exception as error:
                    self.failed.append(repr(error))
                    return

    def total(self):
        return sum(self.answers.values())

    def stop(self):
        self._end.set()
        for thread in self._threads:
            thread.join(20)


class Held:
    """One request that its plugin has begun and does not answer before the gate opens."""

    def __init__(self, setting):
        self.answer = None
        self.setting = setting
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        begun = setting.gate.with_name("gate.begun")
        wait_for(begun.exists, what="the held request's begin")
        begun.unlink()

    def _run(self):
        self.answer = self.setting.ask("held")

    def finish(self):
        self.setting.gate.touch()
        self._thread.join(20)
        self.setting.gate.unlink()
        return self.answer


class Swap(unittest.TestCase):
    def test_swaps_under_load(self):
        with Setting() as setting:
            load = Load(setting)
            for turn in range(12):
                build = ("two", "three", "one")[turn % 3]
                self.assertEqual(setting.swap(build), (200, turn + 2))
                self.assertEqual(setting.ask(), build)
                seen = load.answers[build]
                wait_for(lambda: load.answers[build] > seen + 5 or load.failed,
                         what=f"answers of {build}")
            load.stop()
            self.assertEqual(load.failed, [])
            self.assertEqual(set(load.answers), {"one", "two", "three"})
            report = setting.admin("GET", "/plugins").json()
            self.assertEqual(report["mapped_libraries"], 3)
            self.assertEqual(report["retained_generations"], 2)
            self.assertEqual(len(list((setting.gateway.state / "plugins").glob("*.so"))), 3)
            # Every request left its record with one of the loggers that were swapped meanwhile.
            requests = load.total() + 12
            wait_for(lambda: len(setting.notes.read_text().splitlines()) >= requests,
                     what="the records")
            lines = setting.notes.read_text().splitlines()
            self.assertEqual(len(lines), requests)
            self.assertEqual(set(lines), {"one", "two", "three"})

    def test_a_request_finishes_on_the_generation_it_began_on(self):
        with Setting() as setting:
            held = Held(setting)
            self.assertEqual(setting.swap("two"), (200, 2))
            self.assertEqual(setting.ask(), "two")
            old = setting.plugin()["generations"][0]
            self.assertEqual((old["state"], old["version"]), ("draining", "one"))
            self.assertGreaterEqual(old["pins"], 1)
            self.assertGreater(old["rollback_s"], 590)
            self.assertEqual(held.finish(), "one")
            wait_for(lambda: setting.plugin()["generations"][0]["pins"] == 0,
                     what="the end of the old generation's last snapshot")

    def test_a_swap_that_is_refused_changes_nothing(self):
        refusals = {
            "open_crashes": "crashed in open(provider a) with SIGSEGV",
            "open_hangs": "hung in open(provider a): no answer within 10 s",
            "open_refuses": "open(provider a) failed: settings: expected something else",
            "step_crashes": "crashed in op_step(provider a) with SIGSEGV",
            "step_nonsense": "op_step(provider a) failed: op_step answered with act 77, "
                             "which the contract does not know",
        }
        with Setting() as setting:
            load = Load(setting, 1)
            for build, reason in refusals.items():
                with self.subTest(build):
                    self.assertEqual(setting.swap(build), (422, f"answer.so: {reason}"))
                    self.assertEqual(setting.plugin()["generations"][-1]["reason"], reason)
            setting.put_bytes(b"#!/bin/sh\necho no plugin\n")
            self.assertEqual(setting.post("swap"), (422, "answer.so: is not an ELF file"))
            (setting.directory / "answer.so").chmod(0o666)
            self.assertEqual(setting.post("swap"),
                             (422, "answer.so: the file is writable by others (mode 0666): "
                                   "chmod go-w it"))
            (setting.directory / "answer.so").unlink()
            self.assertEqual(setting.post("swap"), (422, "answer.so: can't be opened: "
                                                         "No such file or directory"))
            load.stop()
            self.assertEqual(load.failed, [])
            self.assertEqual(set(load.answers), {"one"})
            self.assertEqual(setting.plugin()["generation"], 1)

    def test_rollback(self):
        with Setting() as setting:
            self.assertEqual(setting.post("rollback"),
                             (409, "answer.so: no generation served before this one"))
            self.assertEqual(setting.post("rollback", "other.so"),
                             (409, "other.so: there is no plugin other.so"))
            self.assertEqual(setting.swap("two"), (200, 2))
            self.assertEqual(setting.post("rollback"), (200, 1))
            self.assertEqual(setting.ask(), "one")
            # The file still has what was left: a reload does not bring it back.
            self.assertEqual(setting.admin("POST", "/reload").status, 200)
            self.assertEqual(setting.ask(), "one")
            self.assertEqual(setting.post("rollback"), (200, 2))
            self.assertEqual(setting.ask(), "two")
            self.assertEqual(setting.states(), [(1, "draining"), (2, "serving")])

    def test_a_reload_takes_changed_files_and_keeps_the_rest_open(self):
        with Setting() as setting:
            self.assertEqual(setting.admin("POST", "/reload").status, 200)
            self.assertEqual(setting.states(), [(1, "serving")])
            self.assertEqual(setting.plugin()["generations"][0]["instances"], 2)
            setting.put("two")
            self.assertEqual(setting.admin("POST", "/reload").status, 200)
            self.assertEqual(setting.ask(), "two")

            # A configuration that the plugin would crash with is refused, and it serves on.
            setting.config["providers"]["a"]["settings"]["do"] = "crash"
            setting.gateway.write_config(setting.config)
            refused = setting.admin("POST", "/reload")
            self.assertEqual(refused.status, 422)
            self.assertEqual(refused.json()["error"]["faults"], [
                {"pointer": "/plugins",
                 "message": "answer.so crashed in open(provider a) with SIGSEGV"}])
            setting.config["providers"]["a"]["settings"]["do"] = "refuse"
            setting.gateway.write_config(setting.config)
            faults = setting.admin("POST", "/reload").json()["error"]["faults"]
            self.assertEqual([fault["pointer"] for fault in faults], ["/providers/a"])
            self.assertEqual(setting.ask(), "two")

    def test_quarantine(self):
        with Setting() as setting:
            reason = "open(provider a) failed: settings: expected something else"
            for _ in range(3):
                self.assertEqual(setting.swap("open_refuses"), (422, f"answer.so: {reason}"))
            self.assertEqual(setting.post("swap"),
                             (422, "answer.so: is quarantined: it was refused 3 times, last because "
                                   f"it {reason}"))
            self.assertEqual(setting.states(), [(1, "serving"), (2, "quarantined")])
            sha256 = hashlib.sha256(zoo("open_refuses").read_bytes()).hexdigest()
            self.assertEqual(setting.plugin()["generations"][1]["sha256"], sha256)
            unknown = setting.admin("POST", "/plugins/release", {"sha256": "0" * 64})
            self.assertEqual(unknown.status, 404)
            self.assertEqual(
                setting.admin("POST", "/plugins/release", {"sha256": sha256}).status, 200)
            self.assertEqual(setting.post("swap"), (422, f"answer.so: {reason}"))
            self.assertEqual(setting.swap("two")[0], 200)

    def test_watch(self):
        with Setting(plugins={"watch": True}) as setting:
            setting.put("two")
            wait_for(lambda: setting.ask() == "two", what="the swap of a renamed file")
            # Written in place, as by cp.
            shutil.copyfile(zoo("three"), setting.directory / "answer.so")
            wait_for(lambda: setting.ask() == "three", what="the swap of a written file")
            setting.put("step_crashes")
            told = "reason=\"crashed in op_step(provider a) with SIGSEGV\""
            wait_for(lambda: told in setting.gateway.log(), what="the refusal in the log")
            # Touched again, it is not tried again; what comes next is.
            (setting.directory / "answer.so").open("ab").close()
            setting.put("one")
            wait_for(lambda: setting.ask() == "one", what="the next file")
            self.assertEqual(setting.gateway.log().count(told), 1)

            # Turned off by a reload.
            setting.config["plugins"]["watch"] = False
            setting.gateway.write_config(setting.config)
            self.assertEqual(setting.admin("POST", "/reload").status, 200)
            setting.put("two")
            self.assertEqual(setting.post("swap", "none.so")[0], 422)  # what came before it is done
            self.assertEqual(setting.ask(), "one")

    def test_required_pins(self):
        sha256 = hashlib.sha256(zoo("one").read_bytes()).hexdigest()
        with Setting(plugins={"require_pins": True, "pins": {"answer.so": sha256}}) as setting:
            self.assertEqual(setting.ask(), "one")
            other = hashlib.sha256(zoo("two").read_bytes()).hexdigest()
            self.assertEqual(setting.swap("two"),
                             (422, f"answer.so: is pinned to SHA-256 {sha256}, it has {other}"))
            setting.put("two", "more.so")
            self.assertEqual(setting.post("swap", "more.so"),
                             (422, "more.so: is not pinned, and only pinned files are loaded"))
        with self.assertRaises(RuntimeError) as refused:
            Setting(plugins={"require_pins": True})
        self.assertIn("is not pinned, and only pinned files are loaded", str(refused.exception))

    def test_metrics_and_status_of_a_worker_that_is_replaced(self):
        with Setting() as setting:
            self.assertEqual(setting.swap("two")[0], 200)
            metrics = client.call(setting.gateway.admin_url, "GET", "/metrics").text
            self.assertIn("switchyard_plugin_libraries_mapped 2", metrics)
            self.assertIn("switchyard_plugin_generations_retained 1", metrics)
            before, = setting.gateway.workers()
            setting.gateway.signal(signal.SIGUSR2)
            wait_for(lambda: not pathlib.Path(f"/proc/{before}").exists(), 20,
                     "the old worker's end")
            self.assertEqual(setting.ask(), "two")
            self.assertEqual(setting.states(), [(1, "serving")])

    def test_the_command_line(self):
        with Setting() as setting:
            table = setting.cli("list")
            self.assertEqual(table.returncode, 0, table.stderr)
            self.assertRegex(table.stdout, r"(?m)^answer\.so +1 +serving +zoo\.answer +one +\w{12} ")
            listed = json.loads(setting.cli("list", "--json").stdout)
            self.assertEqual(listed["plugins"][0]["id"], "zoo.answer")

            setting.put("two")
            swapped = setting.cli("swap", "answer.so")
            self.assertEqual((swapped.returncode, swapped.stdout),
                             (0, "answer.so: generation 2 serves: zoo.answer two\n"))
            self.assertEqual(setting.cli("rollback", "answer.so").returncode, 0)
            self.assertEqual(setting.ask(), "one")

            # A file elsewhere is installed; where it is refused what was there comes back.
            build = setting.scratch / "answer.so"
            shutil.copyfile(zoo("three"), build)
            self.assertEqual(setting.cli("swap", str(build)).returncode, 0)
            self.assertEqual(setting.ask(), "three")
            shutil.copyfile(zoo("step_crashes"), build)
            refused = setting.cli("swap", str(build))
            self.assertEqual((refused.returncode, refused.stderr), (
                1, "answer.so: crashed in op_step(provider a) with SIGSEGV\n"))
            self.assertEqual((setting.directory / "answer.so").read_bytes(),
                             zoo("three").read_bytes())
            fresh = setting.scratch / "fresh.so"
            shutil.copyfile(zoo("two"), fresh)
            refused = setting.cli("swap", str(fresh), "--json")
            self.assertEqual(refused.returncode, 1)
            self.assertEqual(json.loads(refused.stdout)["error"]["message"],
                             "fresh.so: id \"zoo.answer\" is taken by answer.so")
            self.assertEqual([each.name for each in setting.directory.iterdir()], ["answer.so"])
            self.assertEqual(setting.ask(), "three")

            self.assertEqual(setting.cli("swap").returncode, 2)
            self.assertEqual(setting.cli("drop", "answer.so").returncode, 2)

    def test_the_command_line_without_a_gateway(self):
        with Setting() as setting:
            setting.gateway.stop()
            gone = setting.cli("list")
            self.assertEqual(gone.returncode, 1)
            self.assertRegex(gone.stderr, r"^no gateway answers at http://127\.0\.0\.1:\d+ ")
            nowhere = subprocess.run([setting.gateway.binary, "plugin", "list", "--state",
                                      str(setting.scratch / "nowhere")], text=True,
                                     capture_output=True)
            self.assertEqual(nowhere.returncode, 1)
            self.assertIn("no gateway has served with this state directory", nowhere.stderr)
            self.assertFalse((setting.scratch / "nowhere").exists())


if __name__ == "__main__":
    unittest.main()
