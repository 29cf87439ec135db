"""Supervisor and worker as processes: restart, reload, hot restart, drain, first start.

Runs against $SWITCHYARD_BINARY. With SWITCHYARD_WORKER=fake its worker misbehaves on request (fake_worker.cpp) and the
cases that need that run too.
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from gateway import ROOT, Gateway, find_binary, wait_for  # noqa: E402

FAKE = os.environ.get("SWITCHYARD_WORKER") == "fake"
CONFIG = {"providers": {"demo": {"plugin": "demo"}}}


def get(url, seconds=10.0):
    """Status and body of a GET."""
    request = urllib.request.Request(url, headers={"connection": "close"})
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def refuses(url):
    try:
        get(url + "/healthz")
        return False
    except OSError:
        return True


def misbehave(gateway, how):
    gateway.state.mkdir(mode=0o700, exist_ok=True)  # where it has not started yet
    (gateway.state / "behaviour").write_text(how)


def only_worker(gateway):
    return wait_for(lambda: (found := gateway.workers()) and len(found) == 1 and found[0],
                    what="one worker")


def worker_other_than(gateway, old):
    return wait_for(lambda: (found := gateway.workers()) and len(found) == 1 and found[0] != old
                    and found[0], what="another worker alone")


class Traffic:
    """Asks without pause, a new connection each time, and keeps every failure."""

    def __init__(self, url, threads=4):
        self.failures, self.count, self._stop = [], 0, threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(url,)) for _ in range(threads)]

    def _run(self, url):
        while not self._stop.is_set():
            try:
                status, _ = get(url)
                if status != 200:
                    self.failures.append(status)
            except OSError as fault:
                self.failures.append(repr(fault))
            self.count += 1

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()


class BinaryCopy:
    """A copy of the binary where a test may replace it, with the build's plugins beside it."""

    ENV = {"SWITCHYARD_DATA": os.environ.get("SWITCHYARD_DATA", str(ROOT / "config"))}

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="switchyard-binary-"))
        built = pathlib.Path(find_binary())
        (self.directory / "bin").mkdir()
        self.path = self.directory / "bin" / "switchyard"
        shutil.copy2(built, self.path)
        (self.directory / "plugins").mkdir(mode=0o755)
        for plugin in (built.parents[1] / "plugins").glob("*.so"):
            shutil.copy2(plugin, self.directory / "plugins")

    def replace(self, content=None):
        """Puts another file in its place: a script, or the same program again."""
        fresh = self.path.with_name("fresh")
        if content is None:
            shutil.copy2(self.path, fresh)
        else:
            fresh.write_text(content)
            fresh.chmod(0o755)
        fresh.replace(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory)


class Restart(unittest.TestCase):
    def test_a_killed_worker_is_back_within_a_second_and_no_connect_is_refused(self):
        with Gateway(CONFIG) as gateway:
            worker = only_worker(gateway)
            os.kill(worker, signal.SIGKILL)
            killed = time.monotonic()
            status, _ = get(gateway.url + "/healthz")  # queued on the socket until the next worker accepts
            took = time.monotonic() - killed
            self.assertEqual(status, 200)
            self.assertNotEqual(only_worker(gateway), worker)
            self.assertLess(took, 1.0 if FAKE else 5.0)
            self.assertIn(f"worker_died pid={worker} signal=9", gateway.log())

    def test_a_worker_killed_again_and_again_comes_back_each_time(self):
        with Gateway(CONFIG) as gateway:
            for _ in range(4):
                os.kill(only_worker(gateway), signal.SIGKILL)
                self.assertEqual(get(gateway.url + "/healthz")[0], 200)

    def test_a_worker_that_dies_young_is_tried_again_with_pauses_of_at_most_a_second(self):
        if not FAKE:
            self.skipTest("needs the worker made for tests")
        with Gateway(CONFIG) as gateway:
            misbehave(gateway, "die-at-start")
            os.kill(only_worker(gateway), signal.SIGKILL)
            wait_for(lambda: gateway.log().count("worker_died") >= 4, what="four deaths")
            self.assertLess(gateway.log().count("worker_died"), 10)
            misbehave(gateway, "")
            self.assertEqual(get(gateway.url + "/healthz")[0], 200)

    def test_a_first_worker_that_can_not_start_ends_the_program(self):
        if not FAKE:
            self.skipTest("needs the worker made for tests")
        gateway = Gateway(CONFIG, start=False)
        misbehave(gateway, "cannot-start")
        with self.assertRaisesRegex(RuntimeError, "exit code 78"):
            gateway.start()
        gateway.close()

    def test_the_worker_drains_and_leaves_when_its_supervisor_is_killed(self):
        with Gateway(CONFIG) as gateway:
            worker = only_worker(gateway)
            gateway.process.kill()
            gateway.process.wait()
            wait_for(lambda: not pathlib.Path(f"/proc/{worker}").exists(), what="the worker's end")


class Reload(unittest.TestCase):
    def test_a_faulty_configuration_is_refused_by_pointer_and_the_old_one_serves_on(self):
        with Gateway(CONFIG) as gateway:
            worker = only_worker(gateway)
            gateway.write_config({**CONFIG, "listen": ["127.0.0.1:x"]})
            gateway.signal(signal.SIGHUP)
            wait_for(lambda: "reload_refused" in gateway.log(), what="a refusal")
            self.assertIn("/listen/0", gateway.log())
            self.assertEqual(get(gateway.url + "/healthz")[0], 200)
            self.assertEqual(only_worker(gateway), worker)

    def test_a_file_that_is_no_json_is_refused(self):
        with Gateway(CONFIG) as gateway:
            gateway.write_text("{ \"listen\": ")
            gateway.signal(signal.SIGHUP)
            wait_for(lambda: "reload_refused" in gateway.log(), what="a refusal")
            self.assertEqual(get(gateway.url + "/healthz")[0], 200)

    def test_an_unchanged_listener_keeps_the_worker(self):
        with Gateway(CONFIG) as gateway:
            worker = only_worker(gateway)
            gateway.signal(signal.SIGHUP)
            wait_for(lambda: re.search(r"\breloaded\b", gateway.log()), what="the reload")
            self.assertEqual(only_worker(gateway), worker)

    def test_what_the_worker_refuses_is_logged(self):
        if not FAKE:
            self.skipTest("needs the worker made for tests")
        with Gateway(CONFIG) as gateway:
            misbehave(gateway, "refuse-reload")
            gateway.signal(signal.SIGHUP)
            wait_for(lambda: "reload_refused as told" in gateway.log(), what="a refusal")
            self.assertEqual(get(gateway.url + "/healthz")[0], 200)

    def test_a_new_listener_is_served_and_a_dropped_one_closed_without_a_failed_request(self):
        with Gateway(CONFIG) as gateway:
            first = gateway.url
            worker = only_worker(gateway)
            with Traffic(first + "/healthz") as traffic:
                gateway.write_config({**CONFIG, "listen": ["127.0.0.1:0", "127.0.0.2:0"]})
                gateway.signal(signal.SIGHUP)
                wait_for(lambda: any("127.0.0.2" in url for url in gateway.urls), what="a listener")
                worker_other_than(gateway, worker)
            self.assertEqual(traffic.failures, [])
            second = next(url for url in gateway.urls if "127.0.0.2" in url)
            self.assertEqual(get(second + "/healthz")[0], 200)

            worker = only_worker(gateway)
            gateway.write_config({**CONFIG, "listen": ["127.0.0.2:0"]})
            gateway.signal(signal.SIGHUP)
            worker_other_than(gateway, worker)
            self.assertEqual(get(second + "/healthz")[0], 200)
            with self.assertRaises(OSError):
                get(first + "/healthz")

    def test_a_listener_that_can_not_be_bound_is_refused_and_the_old_one_serves_on(self):
        with socket.create_server(("127.0.0.1", 0)) as taken, Gateway(CONFIG) as gateway:
            port = taken.getsockname()[1]
            gateway.write_config({**CONFIG, "listen": [f"127.0.0.1:{port}"]})
            gateway.signal(signal.SIGHUP)
            wait_for(lambda: f"127.0.0.1:{port}: Address already in use" in gateway.log(),
                     what="a refusal")
            self.assertEqual(get(gateway.url + "/healthz")[0], 200)


class HotRestart(unittest.TestCase):
    def test_the_process_id_stays_and_no_request_fails(self):
        with BinaryCopy() as binary, Gateway(CONFIG, binary=str(binary.path), env=binary.ENV) as gateway:
            pid, worker = gateway.pid, only_worker(gateway)
            before = os.stat(f"/proc/{pid}/exe").st_ino
            binary.replace()
            with Traffic(gateway.url + "/healthz") as traffic:
                for _ in range(2):  # the second one shows that a successor can be succeeded
                    gateway.signal(signal.SIGUSR2)
                    worker = worker_other_than(gateway, worker)
            self.assertEqual(traffic.failures, [])
            self.assertGreater(traffic.count, 0)
            self.assertTrue(gateway.alive())
            self.assertNotEqual(os.stat(f"/proc/{pid}/exe").st_ino, before)
            self.assertEqual(get(gateway.url + "/healthz")[0], 200)
            self.assertEqual(gateway.stop(), 0)

    def test_a_request_that_runs_meanwhile_is_finished_by_the_old_worker(self):
        if not FAKE:
            self.skipTest("needs the worker made for tests")
        with Gateway(CONFIG) as gateway, concurrent.futures.ThreadPoolExecutor() as pool:
            worker = only_worker(gateway)
            slow = pool.submit(get, gateway.url + "/slow")
            wait_for(lambda: len(os.listdir(f"/proc/{worker}/task")) > 1, what="the request")
            gateway.signal(signal.SIGUSR2)
            wait_for(lambda: "worker_draining" in gateway.log(), what="the drain")
            self.assertNotEqual(get(gateway.url + "/healthz")[1].strip(), str(worker).encode())
            (gateway.state / "finish").touch()
            status, body = slow.result()
            self.assertEqual((status, body.strip()), (200, str(worker).encode()))
            worker_other_than(gateway, worker)

    def test_a_file_that_is_no_gateway_is_refused(self):
        broken = {"exits": "#!/bin/sh\nexit 3\n", "other program": "#!/bin/sh\necho hello\n",
                  "not a program": "nonsense"}
        for name, content in broken.items():
            with self.subTest(name), BinaryCopy() as binary, \
                    Gateway(CONFIG, binary=str(binary.path), env=binary.ENV) as gateway:
                worker = only_worker(gateway)
                binary.replace(content)
                gateway.signal(signal.SIGUSR2)
                wait_for(lambda: "hot_restart_refused" in gateway.log(), what="a refusal")
                self.assertEqual(get(gateway.url + "/healthz")[0], 200)
                self.assertEqual(only_worker(gateway), worker)

    def test_a_missing_file_is_refused_and_the_worker_still_restarted(self):
        with BinaryCopy() as binary, Gateway(CONFIG, binary=str(binary.path), env=binary.ENV) as gateway:
            binary.path.unlink()
            gateway.signal(signal.SIGUSR2)
            wait_for(lambda: "hot_restart_refused" in gateway.log(), what="a refusal")
            os.kill(only_worker(gateway), signal.SIGKILL)
            self.assertEqual(get(gateway.url + "/healthz")[0], 200)

    def test_a_configuration_that_the_new_binary_refuses_stops_the_restart(self):
        with Gateway(CONFIG) as gateway:
            worker = only_worker(gateway)
            gateway.write_text("[")
            gateway.signal(signal.SIGUSR2)
            wait_for(lambda: "hot_restart_refused" in gateway.log(), what="a refusal")
            self.assertEqual(only_worker(gateway), worker)

    def test_the_old_worker_serves_on_where_the_new_one_is_never_ready(self):
        if not FAKE:
            self.skipTest("needs the worker made for tests")
        with Gateway(CONFIG) as gateway:
            worker = only_worker(gateway)
            misbehave(gateway, "never-ready")
            gateway.signal(signal.SIGUSR2)
            wait_for(lambda: "successor_dropped" in gateway.log(), 20, what="giving up")
            self.assertEqual(only_worker(gateway), worker)
            self.assertEqual(get(gateway.url + "/healthz")[0], 200)

    def test_a_reload_does_not_cut_what_a_successor_took_before_it_was_ready(self):
        if not FAKE:
            self.skipTest("needs the worker made for tests")
        with Gateway(CONFIG) as gateway, concurrent.futures.ThreadPoolExecutor() as pool:
            worker = only_worker(gateway)
            misbehave(gateway, "mute")
            gateway.signal(signal.SIGUSR2)
            successor = wait_for(lambda: re.search(r"successor_started pid=(\d+)", gateway.log()),
                                 what="the successor").group(1)
            os.kill(worker, signal.SIGSTOP)  # so that the successor takes the request
            slow = pool.submit(get, gateway.url + "/slow")
            wait_for(lambda: len(os.listdir(f"/proc/{successor}/task")) > 1, what="the request")
            os.kill(worker, signal.SIGCONT)
            misbehave(gateway, "")
            gateway.signal(signal.SIGHUP)
            wait_for(lambda: len(re.findall("worker_ready", gateway.log())) >= 2, what="the next one")
            (gateway.state / "finish").touch()
            status, body = slow.result()
            self.assertEqual((status, body.decode().strip()), (200, successor))


class Stop(unittest.TestCase):
    def test_sigterm_finishes_what_runs_and_refuses_new_connects(self):
        if not FAKE:
            self.skipTest("needs the worker made for tests")
        with Gateway(CONFIG) as gateway, concurrent.futures.ThreadPoolExecutor() as pool:
            worker = only_worker(gateway)
            slow = pool.submit(get, gateway.url + "/slow")
            wait_for(lambda: len(os.listdir(f"/proc/{worker}/task")) > 1, what="the request")
            gateway.signal(signal.SIGTERM)
            wait_for(lambda: "worker_draining" in gateway.log(), what="the drain")
            wait_for(lambda: refuses(gateway.url), what="connects to be refused")
            (gateway.state / "finish").touch()
            self.assertEqual(slow.result()[0], 200)
            self.assertEqual(gateway.wait(), 0)

    def test_sigint_stops_an_idle_gateway(self):
        with Gateway(CONFIG) as gateway:
            worker = only_worker(gateway)
            gateway.signal(signal.SIGINT)
            self.assertEqual(gateway.wait(), 0)
            self.assertFalse(pathlib.Path(f"/proc/{worker}").exists())

    def test_a_worker_that_does_not_drain_is_killed_after_the_deadline(self):
        if not FAKE:
            self.skipTest("needs the worker made for tests")
        config = {**CONFIG, "limits": {"drain_timeout": "100ms"}}
        with Gateway(config) as gateway:
            misbehave(gateway, "ignore-drain")
            gateway.signal(signal.SIGTERM)
            self.assertEqual(gateway.wait(), 0)
            self.assertIn("not drained in time", gateway.log())

    def test_a_second_signal_kills_at_once(self):
        if not FAKE:
            self.skipTest("needs the worker made for tests")
        with Gateway(CONFIG) as gateway:
            misbehave(gateway, "ignore-drain")
            gateway.signal(signal.SIGTERM)
            wait_for(lambda: "worker_draining" in gateway.log(), what="the drain")
            gateway.signal(signal.SIGINT)
            self.assertEqual(gateway.wait(1.0), 0)


class Start(unittest.TestCase):
    def test_the_first_start_shows_key_and_token_once(self):
        with Gateway() as gateway:
            shown = "\n".join(gateway.output)
            self.assertRegex(shown, r"(?m)^gateway key: sy-\S+$")
            self.assertRegex(shown, r"(?m)^admin token: \S+$")
            self.assertIn(f"curl {gateway.url}/v1/chat/completions", shown)
            key, token = gateway.key, gateway.admin_token
            self.assertEqual(stat.S_IMODE(gateway.state.stat().st_mode), 0o700)
            gateway.stop()
            gateway.start()
            self.assertFalse([line for line in gateway.output if key in line or token in line])
            self.assertNotIn(key, gateway.log())
            self.assertNotIn(token, gateway.log())

    def test_a_wide_listener_without_a_key_is_refused_with_the_line_to_add(self):
        for address in ("0.0.0.0:0", "[::]:0"):
            with self.subTest(address):
                gateway = Gateway({**CONFIG, "keys": [], "listen": [address]},
                                  start=False)
                with self.assertRaisesRegex(RuntimeError, r'"keys": \['):
                    gateway.start()
                self.assertIn("/listen/0", gateway.log())
                gateway.close()

    def test_a_wide_listener_with_a_key_is_served(self):
        with Gateway({**CONFIG, "listen": ["0.0.0.0:0"]}) as gateway:
            self.assertEqual(get(gateway.url.replace("0.0.0.0", "127.0.0.1") + "/healthz")[0], 200)

    def test_keys_taken_away_do_not_open_a_wide_listener(self):
        wide = {**CONFIG, "listen": ["0.0.0.0:0"]}
        with Gateway(wide) as gateway:
            gateway.write_config({**wide, "keys": []})
            gateway.signal(signal.SIGHUP)
            wait_for(lambda: "reload_refused" in gateway.log(), what="a refusal")

    def test_a_port_that_is_taken_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            gateway = Gateway({**CONFIG, "listen": [f"127.0.0.1:{port}"]},
                              start=False)
            with self.assertRaisesRegex(RuntimeError, f"127.0.0.1:{port}: Address already in use"):
                gateway.start()
            gateway.close()

    def test_the_descriptor_limit_is_raised(self):
        with Gateway(CONFIG) as gateway:
            limits = pathlib.Path(f"/proc/{only_worker(gateway)}/limits").read_text()
            soft, hard = re.search(r"Max open files\s+(\d+)\s+(\d+)", limits).groups()
            self.assertEqual(soft, hard)

    def test_ipv6_is_served(self):
        with Gateway({**CONFIG, "listen": ["[::1]:0"]}) as gateway:
            self.assertTrue(gateway.url.startswith("http://[::1]:"))
            self.assertEqual(get(gateway.url + "/healthz")[0], 200)


class CommandLine(unittest.TestCase):
    def run_it(self, *arguments):
        return subprocess.run([find_binary(), *arguments], capture_output=True, text=True, timeout=30)

    def test_a_wrong_option_is_named_and_nothing_is_served(self):
        wrong = {("serve", "--prot", "1"): "--prot", ("serve", "--port", "70000"): "--port",
                 ("serve", "--config"): "--config", ("serve", "stray"): "stray",
                 ("serve", "--log-level", "loud"): "loud", ("sevre",): "sevre",
                 ("worker",): "switchyard serve"}
        for arguments, named in wrong.items():
            with self.subTest(arguments):
                done = self.run_it(*arguments)
                self.assertEqual(done.returncode, 2)
                self.assertIn(named, done.stderr)

    def test_help_and_version_are_printed(self):
        for arguments in (("help",), ("--help",), ("serve", "--help"), ("version",), ("--version",)):
            with self.subTest(arguments):
                done = self.run_it(*arguments)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("switchyard", done.stdout)

    def test_state_decides_where_keys_and_records_go(self):
        with tempfile.TemporaryDirectory() as directory, \
                Gateway(args=["--state", directory + "/elsewhere"]) as gateway:
            self.assertTrue(os.path.exists(directory + "/elsewhere/admin.token"))
            self.assertFalse(gateway.state.exists())
            if not FAKE:
                self.assertTrue(os.path.exists(directory + "/elsewhere/records.jsonl"))


class ServiceManager(unittest.TestCase):
    """What sd_notify(3) would send."""

    def said(self, manager, word):
        manager.settimeout(10)
        while True:
            lines = manager.recv(4096).decode().split("\n")
            if any(line.startswith(word) for line in lines):
                return lines

    def serve(self, name, bind_to):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(bind_to)
            with Gateway(CONFIG, env={"NOTIFY_SOCKET": name}) as gateway:
                self.assertIn(f"MAINPID={gateway.pid}", self.said(manager, "READY=1"))
                gateway.signal(signal.SIGHUP)
                self.assertTrue(any(line.startswith("MONOTONIC_USEC=")
                                    for line in self.said(manager, "RELOADING=1")))
                self.said(manager, "READY=1")
                gateway.signal(signal.SIGTERM)
                self.said(manager, "STOPPING=1")
                self.assertEqual(gateway.wait(), 0)

    def test_it_is_told_of_ready_reloading_and_stopping(self):
        with tempfile.TemporaryDirectory() as directory:
            self.serve(directory + "/notify", directory + "/notify")

    def test_an_abstract_name_works_too(self):
        name = f"switchyard-test-{os.getpid()}"
        self.serve("@" + name, "\0" + name)


if __name__ == "__main__":
    unittest.main(verbosity=1)
