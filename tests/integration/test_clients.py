"""Clients that leave, and clients that do not read."""

import os
import pathlib
import re
import threading
import time
import unittest

from stage import PATIENT, Stage, live  # first: it says where the others are
import client
from gateway import wait_for


def memory_kb(gateway):
    total = 0
    for pid in gateway.workers():
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        # Its own: the journal's files are in memory whatever runs.
        total += int(re.search(r"RssAnon:\s+(\d+)", status).group(1))
    return total


class ClientLeaves(unittest.TestCase):
    """The upstream is cancelled at once, and the record says who left."""

    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(up=PATIENT)
        cls.addClassCleanup(cls.stage.close)

    def setUp(self):
        self.stage.upstream.clear()

    def leave(self, script, stream, how, after=None):
        """Sends a request, leaves; the upstream's request and the record."""
        connection = client.Connection(self.stage.url)
        body = {"model": f"up/{script}", "messages": client.MESSAGES, "stream": stream}
        name = f"leaves-{script}-{stream}-{how}"
        connection.send_request("POST", "/v1/chat/completions", body, self.stage.key,
                                {"X-Request-Id": name})
        request = self.stage.upstream.wait_requests(1)[0]
        if after:
            events = connection.receive_head().live_events()
            for _ in range(after):
                next(events)
        if how == "reset":
            connection.reset()
        else:
            connection.close()
        self.assertTrue(request.left.wait(5), "the upstream was not cancelled")
        return self.stage.record(name)

    def test_before_any_answer(self):
        for stream in (False, True):
            for how in ("close", "reset"):
                with self.subTest(stream=stream, how=how):
                    self.stage.upstream.clear()
                    record = self.leave("stall-before-head", stream, how)
                    self.assertEqual((record["status"], record["final_status"]),
                                     (499, "client_left"))

    def test_in_a_plain_answer(self):
        record = self.leave("stall-mid-body", False, "close")
        self.assertEqual((record["status"], record["final_status"]), (499, "client_left"))

    def test_in_a_stream(self):
        for how in ("close", "reset"):
            with self.subTest(how):
                self.stage.upstream.clear()
                record = self.leave("paced", True, how, after=3)
                self.assertEqual((record["status"], record["final_status"], record["error_code"]),
                                 (200, "client_left", None))
                self.assertTrue(record["estimated"])
                self.assertGreater(record["tokens_out"], 0)

    def test_in_a_silent_stream(self):
        record = self.leave("stall-mid-stream", True, "close", after=2)
        self.assertEqual((record["status"], record["final_status"]), (200, "client_left"))

    def test_many_at_once(self):
        streams = [live(self.stage, "up/paced") for _ in range(50)]
        requests = self.stage.upstream.wait_requests(50)
        for connection, _ in streams:
            connection.close()
        for request in requests:
            self.assertTrue(request.left.wait(10))
        self.assertEqual(self.stage.chat("up/good").status, 200)


class SlowClients(unittest.TestCase):
    def test_a_client_that_does_not_read_stops_the_upstream_and_costs_little(self):
        with Stage(up=PATIENT) as stage:
            self.assertEqual(stage.chat("up/good").status, 200)
            before = memory_kb(stage.gateway)
            held = []
            for _ in range(20):
                # Else the kernel may take the whole flood on the client's behalf.
                connection = client.Connection(stage.url, receive_buffer=64 * 1024)
                body = {"model": "up/flood", "messages": client.MESSAGES, "stream": True}
                connection.send_request("POST", "/v1/chat/completions", body, stage.key)
                held.append(connection)
            requests = stage.upstream.wait_requests(20)

            def sent():
                return [request.sent for request in requests]

            def stands_still():
                seen = sent()
                time.sleep(0.5)
                return seen == sent()
            wait_for(stands_still, 20, "the upstreams to be held back")
            # What the kernel's buffers of both connections take, and no more than that.
            self.assertLess(max(sent()), 16 * 1024 * 1024)
            if not os.environ.get("SWITCHYARD_SANITIZER"):  # they keep what was freed
                self.assertLess(memory_kb(stage.gateway) - before, 20 * 256)
            self.assertEqual(stage.chat("up/good").status, 200)

            # One of them reads on: it gets everything.
            answer = held[0].receive_head()
            events = sum(1 for _ in answer.live_events())
            self.assertTrue(answer.clean)
            self.assertGreater(events, 7_000)
            for connection in held:
                connection.close()

    def test_a_client_that_never_reads_is_given_up(self):
        with Stage(up=PATIENT, limits={"write_timeout": "1s"}) as stage:
            connection = client.Connection(stage.url, receive_buffer=4096)
            body = {"model": "up/flood", "messages": client.MESSAGES, "stream": True}
            connection.send_request("POST", "/v1/chat/completions", body, stage.key,
                                    {"X-Request-Id": "never-reads"})
            request = stage.upstream.wait_requests(1)[0]
            self.assertTrue(request.left.wait(15), "the upstream was not cancelled")
            self.assertEqual(stage.record("never-reads")["final_status"], "client_left")
            connection.close()


class Parallel(unittest.TestCase):
    def test_answers_go_to_those_who_asked(self):
        """200 at a time, each with its own text, streamed and not."""
        def echo(exchange):
            from upstream import chat, chunk_of
            text = exchange.request.json()["messages"][0]["content"]
            if not exchange.request.streams:
                return exchange.answer(body=chat(content=text))
            exchange.start_stream()
            for letter in text:
                exchange.event(chunk_of({"content": letter}))
            exchange.event(chunk_of({}, "stop"))
            exchange.event("[DONE]")
            exchange.last_chunk()
            return True

        with Stage(up=PATIENT) as stage:
            stage.upstream.add("echo", echo)
            wrong = []

            def ask(number):
                for turn in range(5):
                    text = f"{number}-{turn}"
                    answer = stage.chat("up/echo", stream=number % 2 == 0,
                                        messages=[{"role": "user", "content": text}])
                    said = client.text_of(answer.events()) if number % 2 == 0 else \
                        answer.json()["choices"][0]["message"]["content"]
                    if said != text:
                        wrong.append((text, said))
            threads = [threading.Thread(target=ask, args=(number,)) for number in range(200)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(wrong, [])
            self.assertEqual(len(stage.upstream.requests), 1000)
            self.assertEqual(len(stage.gateway.records(1000)), 1000)


if __name__ == "__main__":
    unittest.main()
