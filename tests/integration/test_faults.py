"""Each fault of an upstream, and exactly what a client gets and the record says."""

import concurrent.futures
import json
import time
import unittest

from stage import Stage, closed_port, provider  # first: it says where the others are
import client
from upstream import chat

# What is said before any content went out: status, type and code of the answer.
UNREACHABLE = (502, "upstream_error", "upstream_unreachable")
TIMEOUT = (504, "upstream_error", "upstream_timeout")
CLOSED = (502, "upstream_error", "upstream_closed")
BAD_ANSWER = (502, "upstream_error", "upstream_bad_answer")
AUTH = (502, "upstream_error", "upstream_auth")
ERROR = (502, "upstream_error", "upstream_error")
OVERLOADED = (503, "upstream_error", "upstream_overloaded")
RATE_LIMIT = (429, "rate_limit_error", "rate_limit_exceeded")
QUOTA = (429, "insufficient_quota", "upstream_quota_exhausted")

# A kept connection that its peer closes unanswered is tried once more on a new one, beside the three attempts.
AGAIN = (3, 4, 5, 6)

# script -> (answer, attempts), both for plain requests and for streams.
BEFORE_HEAD = {
    "stall-before-head": (TIMEOUT, 1),
    "stall-mid-head": (TIMEOUT, 1),
    "cut-before-head": (CLOSED, AGAIN),
    "cut-mid-head": (CLOSED, AGAIN),
    "reset-before-head": (CLOSED, AGAIN),
    "reset-mid-head": (CLOSED, AGAIN),
    "garbage": (BAD_ANSWER, 1),
    "no-http": (BAD_ANSWER, 1),
    "huge-head": (BAD_ANSWER, 1),
    "informational-flood": (BAD_ANSWER, 1),
    "two-lengths": (BAD_ANSWER, 1),
    "bad-length": (BAD_ANSWER, 1),
    "length-and-chunked": (BAD_ANSWER, 1),
    "bad-chunk-size": (BAD_ANSWER, 1),
    "status-400": ((400, "invalid_request_error", "invalid_value"), 1),
    "context-length": ((400, "invalid_request_error", "context_length_exceeded"), 1),
    "status-401": (AUTH, 1),
    "status-403": (AUTH, 1),
    "status-404": ((404, "invalid_request_error", "model_not_found"), 1),
    "status-429-absent": (RATE_LIMIT, 3),
    "quota": (QUOTA, 1),
    "status-500": (ERROR, 3),
    "status-502": (ERROR, 3),
    "html-502": (ERROR, 3),
    "status-503": (OVERLOADED, 3),
    "status-529": (OVERLOADED, 3),
    "redirect": (BAD_ANSWER, 1),
    "no-content": (BAD_ANSWER, 1),
    "html-200": (BAD_ANSWER, 1),
    "empty-200": (BAD_ANSWER, 1),
    "brotli": (BAD_ANSWER, 1),
    "gzip-broken": (BAD_ANSWER, 1),
    "gzip-bomb": (BAD_ANSWER, 1),
}

# A status says more than a body of type "server_error".
STATUS_BEFORE_BODY = {
    "status-408": (TIMEOUT, 1),
    "status-504": (TIMEOUT, 1),
}

# Bytes that keep coming are no way around a deadline.
DRIPPING = {
    "drip-head": (TIMEOUT, 1),
}

# Only where the answer comes whole.
WHOLE = {
    "error-in-200": (ERROR, 3),
    "stall-mid-body": (TIMEOUT, 1),
    "cut-mid-body": (CLOSED, 3),
    "reset-mid-body": (CLOSED, 3),
    "no-last-chunk": (CLOSED, 3),
    "truncated-json": (BAD_ANSWER, 1),
    "not-an-object": (BAD_ANSWER, 1),
}

# Streams that broke before their first content: nothing of them has gone out.
STREAMS_BEFORE_CONTENT = {
    "error-in-200": (ERROR, 3),  # the document tells why there is no stream
    "stream-as-json": (BAD_ANSWER, 1),
    "cut-before-content": (CLOSED, 3),
    "stall-before-content": (TIMEOUT, 1),
    "error-before-content": (ERROR, 3),
}

# Streams that broke after content: the code of the error event that ends them.
STREAMS_AFTER_CONTENT = {
    "cut-between-events": "upstream_closed",
    "cut-mid-event": "upstream_closed",
    "reset-mid-stream": "upstream_closed",
    "stall-mid-stream": "upstream_timeout",
    "no-done": "upstream_bad_answer",
    "error-mid-stream": "upstream_error",
    "garbage-mid-stream": "upstream_bad_answer",
    "bad-chunk-mid-stream": "upstream_bad_answer",
}

# What the gateway tells of the upstream's Retry-After; the upstream's own attempts are its "status-429-*".
RETRY_AFTER = {
    "status-429-seconds": (("7",), 1),
    "status-429-ms": (("2",), 3),
    "status-429-date": (("18", "19", "20"), 1),
    "status-429-huge": (("3600",), 1),
    "status-429-absent": ((None,), 3),
    "status-429-past": ((None,), 3),
    "status-429-negative": ((None,), 3),
    "status-429-text": ((None,), 3),
}


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        held, port = closed_port()
        cls.addClassCleanup(held.close)
        cls.stage = Stage(providers={
            "refuse": provider(f"http://127.0.0.1:{port}/v1"),
            "nowhere": provider("http://nowhere.invalid/v1"),
        })
        cls.addClassCleanup(cls.stage.close)
        wanted = [("up", script, stream) for stream in (False, True)
                  for script in {*BEFORE_HEAD, *STATUS_BEFORE_BODY, *DRIPPING}]
        wanted += [("up", script, False) for script in {*WHOLE, *RETRY_AFTER}]
        wanted += [("up", script, True)
                   for script in {*STREAMS_BEFORE_CONTENT, *STREAMS_AFTER_CONTENT}]
        wanted += [(name, "m", stream) for name in ("refuse", "nowhere") for stream in (False, True)]
        cls.answers = {}

        def ask(case):
            name, script, stream = case
            began = time.monotonic()
            try:
                answer = cls.stage.chat(f"{name}/{script}", stream, timeout=10)
                answer.seconds = time.monotonic() - began
            except OSError as error:  # shown by the case's own test
                answer = error
            return case, answer

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            cls.answers = dict(pool.map(ask, wanted))
        cls.addClassCleanup(cls.stage.close)

    def each(self, table, streams, check):
        """Calls check(script, stream, answer, expected) for each case, as a test of its own."""
        for script, expected in table.items():
            for stream in streams:
                with self.subTest(script, stream=stream):
                    check(script, stream, self.answers["up", script, stream], expected)

    def check_refused(self, answer, expected):
        self.assertNotIsInstance(answer, OSError, "no answer came")
        status, kind, code = expected
        self.assertEqual((answer.status, answer.error.get("type"), answer.error.get("code")),
                         (status, kind, code), answer.text)
        self.assertEqual(set(answer.error), {"message", "type", "param", "code"})
        self.assertTrue(answer.error["message"])
        self.assertEqual(answer.header("content-type"), "application/json")
        self.assertTrue(answer.clean)
        self.assertEqual(answer.header("x-should-retry"), "false")
        self.assertLess(answer.seconds, 6)

    def check_record(self, answer, script, stream, status, code, attempts):
        record = self.stage.record(answer)
        final = "upstream_error" if status >= 500 or status == 429 or code.startswith("upstream_") \
            else "client_error"
        self.assertEqual(
            {"status": record["status"], "final_status": record["final_status"],
             "error_code": record["error_code"], "provider": record["provider"],
             "model": record["model_asked"], "stream": record["stream"]},
            {"status": status, "final_status": final, "error_code": code, "provider": "up",
             "model": f"up/{script}", "stream": stream})
        self.assertIn(record["attempts"], (attempts,) if isinstance(attempts, int) else attempts)

    def check_case(self, script, stream, answer, expected):
        answered, attempts = expected
        self.check_refused(answer, answered)
        self.check_record(answer, script, stream, answered[0], answered[2], attempts)

    def test_faults_of_heads_framing_and_statuses(self):
        self.each(BEFORE_HEAD, (False, True), self.check_case)

    def test_faults_of_whole_answers(self):
        self.each(WHOLE, (False,), self.check_case)

    def test_faults_of_streams_before_content(self):
        self.each(STREAMS_BEFORE_CONTENT, (True,), self.check_case)

    def test_a_status_says_more_than_a_general_body(self):
        self.each(STATUS_BEFORE_BODY, (False, True), self.check_case)

    def test_dripping_is_no_way_around_a_deadline(self):
        self.each(DRIPPING, (False, True), self.check_case)

    def test_an_upstream_that_cannot_be_reached(self):
        for name in ("refuse", "nowhere"):
            for stream in (False, True):
                with self.subTest(name, stream=stream):
                    answer = self.answers[name, "m", stream]
                    self.check_refused(answer, UNREACHABLE)
                    record = self.stage.record(answer)
                    self.assertEqual((record["status"], record["error_code"], record["attempts"]),
                                     (502, "upstream_unreachable", 0))

    def test_faults_after_content_end_the_stream_with_an_error_event(self):
        def check(script, stream, answer, code):
            self.assertEqual((answer.status, answer.clean), (200, True))
            events = answer.events()
            self.assertEqual(client.text_of(events[:-1]), "Hello from")
            self.assertNotIn("[DONE]", events)
            error = json.loads(events[-1])["error"]
            self.assertEqual((error["type"], error["code"]), ("upstream_error", code))
            self.check_record(answer, script, stream, 200, code, 1)
        self.each(STREAMS_AFTER_CONTENT, (True,), check)

    def test_a_refusal_of_the_upstream_passes_as_it_is(self):
        answer = self.answers["up", "status-400", False]
        self.assertEqual(answer.error, {"message": "max_tokens is too large: 999999.",
                                        "type": "invalid_request_error", "param": "max_tokens",
                                        "code": "invalid_value"})

    def test_retry_after_in_all_its_forms(self):
        for script, (expected, attempts) in RETRY_AFTER.items():
            with self.subTest(script):
                answer = self.answers["up", script, False]
                self.check_refused(answer, RATE_LIMIT)
                self.assertIn(answer.header("retry-after"), expected)
                self.assertEqual(self.stage.record(answer)["attempts"], attempts)

    def test_headers_of_the_upstream_do_not_pass(self):
        for script in ("status-429-seconds", "status-400"):
            answer = self.answers["up", script, False]
            names = {name for name, _ in answer.headers}
            self.assertFalse(names & {"set-cookie", "x-ratelimit-remaining-requests"}, names)

    def test_the_upstream_of_a_fault_is_named_but_not_its_address(self):
        text = self.answers["refuse", "m", False].text
        self.assertIn("refuse", text)
        self.assertNotIn(self.stage.upstream.origin, self.answers["up", "garbage", False].text)

    def test_it_still_serves(self):
        answer = self.stage.chat("up/good")
        self.assertEqual((answer.status, answer.json()["choices"][0]["message"]["content"]),
                         (200, "Hello from the upstream."))


class Poison(unittest.TestCase):
    """What an upstream sends beyond its answer never reaches the next client."""

    def test_bytes_behind_an_answer_are_not_the_next_answer(self):
        with Stage(workers=1) as stage:
            for number in range(5):
                first = stage.chat("up/beyond-length")
                self.assertEqual(first.status, 200)
                self.assertNotIn("stolen", first.text)
                second = stage.chat("up/good")
                self.assertEqual(second.json()["choices"][0]["message"]["content"],
                                 "Hello from the upstream.", number)
            connections = [request.connection for request in stage.upstream.requests]
            self.assertEqual(len(set(connections[0::2])), 5)  # a poisoned one is never used again

    def test_a_kept_connection_that_the_upstream_closed_is_no_fault(self):
        with Stage(workers=1) as stage:
            def close_behind(exchange):
                exchange.answer(body=chat())
                return False
            stage.upstream.add("close-behind", close_behind)
            for _ in range(20):
                self.assertEqual(stage.chat("up/close-behind").status, 200)


if __name__ == "__main__":
    unittest.main()
