"""Reload, hot restart and drain while streams run: none is cut, no connect is refused."""

import json
import pathlib
import signal
import socket
import threading
import time
import unittest

from stage import PATIENT, Stage, live  # first: it says where the others are
import client
from gateway import wait_for

STREAMS = 500


class Streams:
    """Open streams, all read by one thread."""

    def __init__(self, stage, count):
        self.stage = stage
        self.opened = [live(stage, "up/paced") for _ in range(count)]
        self.readers = []
        self.ends = {}
        for number, (connection, answer) in enumerate(self.opened):
            thread = threading.Thread(target=self._read, args=(number, answer), daemon=True)
            self.readers.append(thread)
            thread.start()
        stage.upstream.wait_requests(count, 30)

    def _read(self, number, answer):
        try:
            last = None
            for last in answer.live_events():
                pass
            self.ends[number] = (answer.clean, last)
        except Exception as error:  # recorded, and shown by the test
            self.ends[number] = (False, repr(error))

    def finish(self):
        """Lets the upstream end all streams well; how each ended."""
        self.stage.upstream.finish.set()
        for reader in self.readers:
            reader.join(30)
        for connection, _ in self.opened:
            connection.close()
        return [self.ends.get(number) for number in range(len(self.opened))]


class Knocking:
    """Connects and asks in a loop; keeps what failed."""

    def __init__(self, stage):
        self.stage = stage
        self.failed = []
        self.served = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._end.is_set():
            try:
                answer = self.stage.chat("up/good", timeout=10)
                if answer.status != 200:
                    self.failed.append((answer.status, answer.text))
                else:
                    self.served += 1
            except (OSError, ConnectionError) as error:
                self.failed.append(repr(error))
            time.sleep(0.002)

    def stop(self):
        self._end.set()
        self._thread.join(15)
        return self.failed


class Lifecycle(unittest.TestCase):
    def test_hot_restart_with_open_streams(self):
        with Stage(up=PATIENT) as stage:
            streams = Streams(stage, STREAMS)
            knocking = Knocking(stage)
            old = set(stage.gateway.workers())
            time.sleep(0.3)
            stage.gateway.signal(signal.SIGUSR2)
            wait_for(lambda: set(stage.gateway.workers()) - old, 20, "a new worker")
            served = knocking.served
            wait_for(lambda: knocking.served > served + 50, 20, "requests after the restart")
            time.sleep(0.5)
            self.assertEqual(streams.ends, {})  # all still open
            ends = streams.finish()
            self.assertEqual(knocking.stop(), [])
            self.assertEqual(ends, [(True, "[DONE]")] * STREAMS)
            wait_for(lambda: not old & set(stage.gateway.workers()), 20, "the old worker's end")
            self.assertEqual(stage.chat("up/good").status, 200)

    def test_drain_with_open_streams(self):
        with Stage(up=PATIENT) as stage:
            streams = Streams(stage, STREAMS)
            idle = client.Connection(stage.url)
            self.assertEqual(idle.request("GET", "/healthz").status, 200)
            stage.gateway.signal(signal.SIGTERM)
            self.assertEqual(idle.receive(), b"")  # an idle connection is let go
            idle.close()
            time.sleep(0.5)
            self.assertTrue(stage.gateway.alive())
            self.assertEqual(streams.ends, {})
            ends = streams.finish()
            self.assertEqual(ends, [(True, "[DONE]")] * STREAMS)
            self.assertEqual(stage.gateway.wait(15), 0)
            self.assertEqual(len(stage.gateway.records()), STREAMS)  # all were written

    def test_streams_outlive_their_supervisor(self):
        with Stage(up=PATIENT) as stage:
            worker, = stage.gateway.workers()
            streams = Streams(stage, 10)
            stage.gateway.process.kill()
            wait_for(lambda: "supervisor_gone" in stage.gateway.log(), what="the worker's notice")
            time.sleep(0.5)
            self.assertEqual(streams.ends, {})
            self.assertEqual(streams.finish(), [(True, "[DONE]")] * 10)
            wait_for(lambda: not pathlib.Path(f"/proc/{worker}").exists(), what="the worker's end")

    def test_the_drain_has_a_deadline(self):
        with Stage(up=PATIENT, limits={"drain_timeout": "1s"}) as stage:
            connection, answer = live(stage, "up/paced")
            events = answer.live_events()
            next(events)
            began = time.monotonic()
            stage.gateway.signal(signal.SIGTERM)
            rest = list(events)
            self.assertNotIn("[DONE]", rest)  # a cut is never a clean end
            stage.gateway.wait(15)
            self.assertLess(time.monotonic() - began, 4)
            connection.close()

    def test_a_worker_that_dies_is_replaced(self):
        import os
        with Stage() as stage:
            for _ in range(2):
                worker = stage.gateway.workers()[0]
                os.kill(worker, signal.SIGKILL)
                wait_for(lambda: stage.gateway.workers() not in ([], [worker]), 5, "a new worker")

                def serves():
                    try:
                        return stage.chat("up/good").status == 200
                    except OSError:
                        return False
                wait_for(serves, 5, "service")

    def test_reload(self):
        with Stage(up={**PATIENT, "models": ["good", "paced", "m"]}) as stage:
            connection, answer = live(stage, "up/paced")
            next(answer.live_events())
            self.assertEqual(stage.chat("fresh").status, 404)
            config = json.loads(json.dumps(stage.config))
            config["models"]["fresh"] = "up/m"
            stage.gateway.write_config(config)
            stage.gateway.signal(signal.SIGHUP)
            wait_for(lambda: stage.chat("fresh").status == 200, 10, "the new configuration")

            # A broken one is refused with the place of each fault, and the old one serves on.
            config["providers"]["up"]["timeouts"] = {"connect": "soon"}
            config["models"]["broken"] = "nobody/m"
            stage.gateway.write_config(config)
            stage.gateway.signal(signal.SIGHUP)
            wait_for(lambda: "/providers/up/timeouts/connect" in stage.gateway.log(), 10,
                     "the refusal in the log")
            self.assertEqual(stage.chat("fresh").status, 200)

            stage.upstream.finish.set()
            self.assertEqual(list(answer.live_events())[-1], "[DONE]")
            connection.close()

    def test_a_key_that_was_taken_away_is_dead(self):
        with Stage(keys=[{"name": "test", "key": "${TEST_GATEWAY_KEY}"},
                         {"name": "leaving", "key": "${LEAVING}"}],
                   env={"LEAVING": "sy-leaving-0123456789abcdefghijklmnopqrstuv"}) as stage:
            key = stage.gateway.env["LEAVING"]
            self.assertEqual(stage.chat("up/good", key=key).status, 200)
            config = json.loads(json.dumps(stage.config))
            config["keys"] = config["keys"][:1]
            stage.gateway.write_config(config)
            stage.gateway.signal(signal.SIGHUP)
            wait_for(lambda: stage.chat("up/good", key=key).status == 401, 10, "the key's end")

    def test_health(self):
        with Stage() as stage:
            for path in ("/healthz", "/readyz"):
                answer = stage.call("GET", path, key=None)
                self.assertEqual((answer.status, answer.json()["status"]), (200, "ok"))

    def test_a_busy_port_is_said(self):
        with socket.create_server(("127.0.0.1", 0)) as held:
            with self.assertRaises(RuntimeError) as caught:
                Stage(listen=[f"127.0.0.1:{held.getsockname()[1]}"]).close()
            self.assertIn(str(held.getsockname()[1]), str(caught.exception))


if __name__ == "__main__":
    unittest.main()
