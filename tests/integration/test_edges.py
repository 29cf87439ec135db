"""Connections at their edges: caps, clients that leave while nobody writes, answers to requests that were not read, ends."""

import resource
import signal
import ssl
import threading
import time
import unittest

from stage import PATIENT, UPSTREAM_KEY, Stage, certificates, live  # first: it says where the others are
import client
from gateway import wait_for
from upstream import chat, chunk_of, error_body, usage_chunk


def tls_client():
    return ssl.create_default_context(cafile=certificates().ca)


class Caps(unittest.TestCase):
    def test_an_address_has_its_share_and_no_more(self):
        with Stage(limits={"connections_per_ip_max": 2}) as stage:
            held = [client.Connection(stage.url) for _ in range(2)]
            for connection in held:
                self.assertEqual(connection.request("GET", "/healthz").status, 200)
            with client.Connection(stage.url) as third:
                answer = third.receive_answer("GET")
                self.assertEqual((answer.status, answer.error["code"]), (503, "overloaded"))
            held[0].close()

            def served():
                try:
                    return client.call(stage.url, "GET", "/healthz").status == 200
                except (ConnectionError, OSError):
                    return False
            wait_for(served, 5, "the place that was given back")
            held[1].close()

    def test_every_listener_recovers_from_having_no_descriptors(self):
        with Stage(listen=["127.0.0.1:0", "127.0.0.1:0"], workers=1) as stage:
            urls = stage.gateway.urls
            worker = stage.gateway.workers()[0]
            # All threads are under way: sanitizers take a descriptor to look at what they don't know yet.
            self.assertEqual(client.call(stage.gateway.admin_url, "GET", "/healthz").status, 200)
            usual = resource.prlimit(worker, resource.RLIMIT_NOFILE)
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (3, usual[1]))
            try:
                waiting = [client.Connection(url) for url in urls for _ in range(3)]
                wait_for(lambda: "accept_failed" in stage.gateway.log(), 5, "the shortage")
                time.sleep(0.3)
            finally:
                resource.prlimit(worker, resource.RLIMIT_NOFILE, usual)
            for connection in waiting:
                connection.close()
            for url in urls:
                self.assertEqual(client.call(url, "GET", "/healthz", timeout=5).status, 200)


class Leaving(unittest.TestCase):
    """However the client goes, the upstream is told."""

    def start(self, stage, model, tls=None, behind=b"", **members):
        connection = client.Connection(stage.url, tls=tls)
        body = {"model": model, "messages": client.MESSAGES, "stream": True, **members}
        connection.send_request("POST", "/v1/chat/completions", body, stage.key,
                                {"X-Request-Id": "leaves"})
        events = connection.receive_head().live_events()
        for _ in range(2):
            next(events)
        connection.send(behind)
        return connection, stage.upstream.wait_requests(1)[0]

    def test_over_tls(self):
        pair = certificates().good
        listen = [{"address": "127.0.0.1:0", "tls": {"certificate": pair.certificate, "key": pair.key}}]
        with Stage(up=PATIENT, listen=listen) as stage:
            connection, request = self.start(stage, "up/stall-mid-stream", tls_client())
            time.sleep(0.3)
            # close_notify first, as TLS clients do; the connection's end a moment later.
            connection.socket.settimeout(0.3)
            try:
                connection.socket.unwrap()
            except OSError:
                pass
            time.sleep(0.3)
            connection.close()
            self.assertTrue(request.left.wait(5), "the upstream was not cancelled")
            self.assertEqual(stage.record("leaves")["final_status"], "client_left")

    def test_with_a_request_behind(self):
        with Stage(up=PATIENT) as stage:
            connection, request = self.start(stage, "up/stall-mid-stream",
                                             behind=b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.5)
            connection.close()
            self.assertTrue(request.left.wait(5), "the upstream was not cancelled")
            self.assertEqual(stage.record("leaves")["final_status"], "client_left")

    def test_in_the_pause_before_another_attempt(self):
        def busy(exchange):
            return exchange.answer(429, error_body("Slower.", "rate_limit_error", "rate_limit"),
                                   {"Retry-After": "5"})
        with Stage(up=PATIENT) as stage:
            stage.upstream.add("busy", busy)
            connection = client.Connection(stage.url)
            connection.send_request("POST", "/v1/chat/completions",
                                    {"model": "up/busy", "messages": client.MESSAGES}, stage.key,
                                    {"X-Request-Id": "leaves"})
            stage.upstream.wait_requests(1)[0].done.wait(5)
            time.sleep(0.3)
            connection.close()
            record = stage.record("leaves", 3)
            self.assertEqual((record["status"], record["final_status"]), (499, "client_left"))


class Draining(unittest.TestCase):
    """on_disconnect: drain reads on for what the upstream reports."""

    @staticmethod
    def prepared():
        return Stage(up={**PATIENT, "on_disconnect": "drain"})

    def ask(self, stage, model, stream):
        connection = client.Connection(stage.url)
        body = {"model": model, "messages": client.MESSAGES, "stream": stream}
        connection.send_request("POST", "/v1/chat/completions", body, stage.key,
                                {"X-Request-Id": "leaves"})
        return connection, stage.upstream.wait_requests(1)[0]

    def test_a_stream_is_read_to_its_usage(self):
        go = threading.Event()

        def paused(exchange):
            exchange.start_stream()
            exchange.event(chunk_of({"content": "Hello"}))
            go.wait(10)
            for _ in range(20):
                exchange.event(chunk_of({"content": " more"}))
            exchange.event(chunk_of({}, "stop"))
            exchange.event(usage_chunk())
            exchange.event("[DONE]")
            exchange.last_chunk()
            return True
        with self.prepared() as stage:
            stage.upstream.add("paused", paused)
            connection, request = self.ask(stage, "up/paused", True)
            next(connection.receive_head().live_events())
            connection.close()
            time.sleep(0.5)  # the gateway has noticed
            self.assertFalse(request.left.is_set())
            go.set()
            record = stage.record("leaves")
            self.assertEqual((record["status"], record["final_status"], record["tokens_in"],
                              record["tokens_out"], record["estimated"]),
                             (200, "client_left", 11, 5, False))
            self.assertEqual(stage.upstream.connections, 1)
            self.assertEqual(stage.chat("up/good").status, 200)
            self.assertEqual(stage.upstream.connections, 1)  # the drained one serves again

    def test_a_whole_answer_is_waited_for(self):
        go = threading.Event()

        def late(exchange):
            go.wait(10)
            return exchange.answer(body=chat())
        with self.prepared() as stage:
            stage.upstream.add("late", late)
            connection, _ = self.ask(stage, "up/late", False)
            connection.close()
            time.sleep(0.5)
            go.set()
            record = stage.record("leaves")
            self.assertEqual((record["status"], record["final_status"], record["tokens_out"],
                              record["estimated"]), (499, "client_left", 5, False))

    def test_it_is_bounded_in_pieces(self):
        with self.prepared() as stage:
            connection, request = self.ask(stage, "up/flood", True)
            next(connection.receive_head().live_events())
            connection.reset()
            self.assertTrue(request.left.wait(15), "the upstream was not cancelled")
            record = stage.record("leaves")
            self.assertEqual((record["final_status"], record["estimated"]), ("client_left", True))
            self.assertGreater(record["tokens_out"], 4096)

    def test_a_failure_meanwhile_is_not_tried_again(self):
        go = threading.Event()

        def fails(exchange):
            go.wait(10)
            return exchange.answer(500, error_body("Broken.", "server_error", "broken"))
        with self.prepared() as stage:
            stage.upstream.add("fails", fails)
            connection, _ = self.ask(stage, "up/fails", False)
            connection.close()
            time.sleep(0.5)
            go.set()
            self.assertEqual(stage.record("leaves")["final_status"], "client_left")
            self.assertEqual(len(stage.upstream.requests), 1)


class Unread(unittest.TestCase):
    """A connection that closes after its answer says so in the answer."""

    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(limits={"body_bytes_max": 100_000})

    @classmethod
    def tearDownClass(cls):
        cls.stage.close()

    def check_closes(self, head, status, key=None):
        with client.Connection(self.stage.url) as connection:
            lines = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n{head}"
            if key:
                lines += f"Authorization: Bearer {key}\r\n"
            connection.send(lines + "\r\n")
            answer = connection.receive_answer()
            self.assertEqual((answer.status, answer.header("connection")), (status, "close"))
            self.assertEqual(connection.receive(), b"")

    def test_refused_before_the_body(self):
        for name, head in (("large", "Content-Length: 90000\r\n"),
                           ("chunked", "Transfer-Encoding: chunked\r\n"),
                           ("expects", "Content-Length: 10\r\nExpect: 100-continue\r\n")):
            with self.subTest(name):
                self.check_closes(head, 401)

    def test_too_large(self):
        self.check_closes("Content-Length: 100001\r\n", 413, self.stage.key)

    def test_a_small_body_is_passed_over(self):
        with client.Connection(self.stage.url) as connection:
            answer = connection.request("POST", "/v1/chat/completions", {"model": "m"})
            self.assertEqual((answer.status, answer.header("connection")), (401, None))
            self.assertEqual(connection.request("GET", "/healthz").status, 200)

    def test_http_1_0(self):
        with client.Connection(self.stage.url) as connection:
            for asked, told in (("keep-alive", "keep-alive"), ("close", "close")):
                connection.send(f"GET /healthz HTTP/1.0\r\nConnection: {asked}\r\n\r\n")
                answer = connection.receive_answer("GET")
                self.assertEqual((answer.status, answer.header("connection")), (200, told))


class Ends(unittest.TestCase):
    def test_a_silent_stream_is_cut_and_recorded_at_the_drains_deadline(self):
        with Stage(up=PATIENT, limits={"drain_timeout": "1s"}) as stage:
            connection, answer = live(stage, "up/stall-mid-stream")
            next(answer.live_events())
            name = answer.header("x-request-id")
            stage.gateway.signal(signal.SIGTERM)
            self.assertEqual(stage.gateway.wait(10), 0)
            records = [line for line in stage.gateway.records()
                       if line["switchyard.request_id"] == name]
            self.assertEqual([line["switchyard.status"] for line in records], ["client_left"])
            connection.close()

    def test_an_answer_that_is_due_when_the_drain_begins_says_that_it_is_the_last(self):
        def paused(exchange):
            exchange.upstream.finish.wait(10)
            return exchange.answer(body=chat())
        with Stage(up=PATIENT) as stage:
            stage.upstream.add("paused", paused)
            with client.Connection(stage.url) as connection:
                connection.send_request("POST", "/v1/chat/completions",
                                        {"model": "up/paused", "messages": client.MESSAGES}, stage.key)
                stage.upstream.wait_requests(1)
                stage.gateway.signal(signal.SIGTERM)
                wait_for(lambda: "draining" in stage.gateway.log(), 5, "the drain")
                time.sleep(0.2)
                stage.upstream.finish.set()
                answer = connection.receive_answer()
                self.assertEqual((answer.status, answer.header("connection")), (200, "close"))

    def test_an_error_behind_a_keep_alive_is_an_event_and_the_record_says_200(self):
        with Stage(up={"timeouts": {**PATIENT["timeouts"], "between_bytes": "11s"}}) as stage:
            answer = stage.chat("up/stall-before-content", stream=True, timeout=30)
            self.assertEqual((answer.status, answer.clean), (200, True))
            self.assertTrue(answer.text.startswith(": keep-alive\n\n"), answer.text)
            self.assertNotIn("[DONE]", answer.text)
            record = stage.record(answer)
            self.assertEqual((record["status"], record["final_status"], record["error_code"]),
                             (200, "upstream_error", "upstream_timeout"))

    def test_an_upstream_that_echoes_the_key_is_not_repeated(self):
        def echo(exchange):
            said = exchange.request.header("authorization")
            return exchange.answer(400, error_body(f"Bad header {said}", "invalid_request_error", "x"))
        with Stage() as stage:
            stage.upstream.add("echo", echo)
            answer = stage.chat("up/echo")
            self.assertEqual(answer.status, 400)
            stage.record(answer)
            for text in (answer.text, stage.gateway.records_file.read_text(), stage.gateway.log()):
                self.assertNotIn(UPSTREAM_KEY, text)


if __name__ == "__main__":
    unittest.main()
