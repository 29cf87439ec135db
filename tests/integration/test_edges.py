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


if __name__ == "__main__":
    unittest.main()
