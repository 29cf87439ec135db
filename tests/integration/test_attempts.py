"""Which credential serves, what limits of upstreams do, breakers in service, and how long a client waits."""

import subprocess
import threading
import unittest

from stage import GATEWAY_KEY, Stage, find_binary, provider  # first: it says where the others are
from admin import Admin
import client
from gateway import wait_for
from upstream import Upstream, chat, error_body


def keyed(names, **more):
    """Credentials of these names, whose keys are told apart by their last word."""
    return [{"name": name, "key": "${KEY_%s}" % name.upper(), **more.get(name, {})} for name in names]


KEYS = {f"KEY_{name}": f"sk-canary-upstream-{name.lower()}" for name in ("EU", "US", "OLD")}


def key_of(request):
    return request.header("authorization").rpartition("-")[2]


def lane_of(stage, provider_id, model, credential=None):
    for lane in Admin(stage.gateway).get("/breakers?all=true").json()["data"]:
        if (lane["provider"], lane["model"]) == (provider_id, model) and credential in (None, lane["credential"]):
            return lane
    raise AssertionError(f"no lane of {provider_id}/{model}")


class Credentials(unittest.TestCase):
    def stage(self, refuse, **more):
        """An upstream that refuses some keys, and an alias that has nowhere else to go."""
        upstream = Upstream()
        self.addCleanup(upstream.close)

        def script(exchange):
            status, body = refuse.get(key_of(exchange.request), (200, chat()))
            return exchange.answer(status, body)
        upstream.add("m", script)
        stage = Stage(providers={"two": provider(upstream.url, credentials=keyed(("eu", "us"), **more))}, env=KEYS)
        self.addCleanup(stage.close)
        stage.upstream.close()
        stage.two = upstream
        return stage

    def test_a_refused_credential_gives_way_to_another_and_is_not_used_again(self):
        for status, code, cls in ((401, "invalid_api_key", "auth"), (402, "insufficient_quota", "quota"),
                                  (429, "insufficient_quota", "quota")):
            with self.subTest(status=status, code=code):
                stage = self.stage({"eu": (status, error_body("No.", "invalid_request_error", code))})
                paths = []
                for _ in range(12):
                    answer = stage.chat("two/m")
                    self.assertEqual(answer.status, 200, answer.text)
                    paths.append(stage.record(answer)["fallback_path"] or "")
                rotated = [path for path in paths if path]
                self.assertEqual(rotated, [f"two/m#eu:{cls} > two/m#us:ok"])
                self.assertEqual(sum(key_of(request) == "eu" for request in stage.two.requests), 1)
                self.assertIn("credential_refused provider=two credential=eu", stage.gateway.log())
                self.assertEqual(lane_of(stage, "two", "m", "eu")["standing"], "credential_refused")
                self.assertEqual(lane_of(stage, "two", "m", "us")["standing"], "ready")

    def test_calls_are_shared_by_weight(self):
        stage = self.stage({}, eu={"weight": 1}, us={"weight": 3})
        for _ in range(60):
            self.assertEqual(stage.chat("two/m").status, 200)
        by_us = sum(key_of(request) == "us" for request in stage.two.requests)
        self.assertTrue(30 <= by_us <= 58, by_us)

    def test_where_all_are_refused_the_upstream_is_asked_nevertheless(self):
        no = (401, error_body("No.", "invalid_request_error", "invalid_api_key"))
        stage = self.stage({"eu": no, "us": no})
        for _ in range(3):
            answer = stage.chat("two/m")
            self.assertEqual((answer.status, answer.error["code"]), (502, "upstream_auth"))
        self.assertGreaterEqual(len(stage.two.requests), 4)
        self.assertEqual(stage.gateway.log().count("credential_refused"), 2)


class Limits(unittest.TestCase):
    def test_no_more_run_at_once_than_configured(self):
        gate = threading.Event()
        with Stage(up={"model_limits": {"slow": {"concurrency": 2}}},
                   models={"limited": "up/slow", "spill": ["up/slow", "up/good"]}) as stage:
            def slow(exchange):
                gate.wait(20)
                return exchange.answer(body=chat())
            stage.upstream.add("slow", slow)
            threads = [threading.Thread(target=stage.chat, args=("limited",)) for _ in range(2)]
            for thread in threads:
                thread.start()
            stage.upstream.wait_requests(2)
            answer = stage.chat("limited")
            self.assertEqual((answer.status, answer.error["code"]), (429, "upstream_limit_reached"), answer.text)
            self.assertGreaterEqual(int(answer.header("retry-after")), 1)
            self.assertIsNone(answer.header("x-should-retry"))
            self.assertEqual(stage.record(answer)["attempts"], 0)
            spilt = stage.chat("spill")
            self.assertEqual(spilt.status, 200)
            self.assertEqual(stage.record(spilt)["fallback_path"], "up/slow:at_limit > up/good:ok")
            gate.set()
            for thread in threads:
                thread.join()
            self.assertEqual(stage.chat("limited").status, 200)

    def test_a_limit_that_adapts_follows_what_the_upstream_takes(self):
        with Stage(up={"model_limits": {"narrow": {"adaptive": True}}, "breaker": {"enabled": False}},
                   models={"two": ["up/narrow", "up/good"]}) as stage:
            full, held = threading.Event(), threading.Event()

            def narrow(exchange):
                if full.is_set():
                    return exchange.answer(503, error_body("Too many at once.", "overloaded_error"))
                held.wait(20)
                return exchange.answer(body=chat())
            stage.upstream.add("narrow", narrow)
            most = lambda: lane_of(stage, "up", "narrow")["limits"]["concurrency"]

            def begin(count):
                before = len(stage.upstream.requests)
                threads = [threading.Thread(target=stage.chat, args=("up/narrow",)) for _ in range(count)]
                for thread in threads:
                    thread.start()
                stage.upstream.wait_requests(before + count)
                return threads

            def end(threads):
                held.set()
                for thread in threads:
                    thread.join()
                held.clear()
            seven = begin(7)
            self.assertIsNone(most())
            # Seven run, and the next one is refused: three quarters of seven from now on, and what is more goes elsewhere.
            full.set()
            self.assertEqual(stage.record(stage.chat("two"))["fallback_path"], "up/narrow:overloaded > up/good:ok")
            self.assertEqual(most(), 5)
            self.assertEqual(stage.record(stage.chat("two"))["fallback_path"], "up/narrow:at_limit > up/good:ok")
            # Used to the full, and all goes well: about one more for each round.
            full.clear()
            end(seven)
            end(begin(5))
            self.assertEqual(most(), 6)

    def test_no_more_in_a_minute_than_configured(self):
        with Stage(up={"limits": {"rpm": 3}}) as stage:
            statuses = [stage.chat("up/good").status for _ in range(5)]
            self.assertEqual(statuses, [200, 200, 200, 429, 429])
            self.assertEqual(len(stage.upstream.requests), 3)

    def test_what_the_upstream_says_is_left_is_believed(self):
        with Stage(models={"two": ["up/said", "up/good"]}) as stage:
            left = iter((2, 1, 0))

            def said(exchange):
                return exchange.answer(body=chat(), headers={
                    "x-ratelimit-limit-requests": "10", "x-ratelimit-reset-requests": "10m",
                    "x-ratelimit-remaining-requests": str(next(left))})
            stage.upstream.add("said", said)
            models = []
            for _ in range(5):
                answer = stage.chat("two")
                self.assertEqual(answer.status, 200)
                models.append(stage.record(answer)["model_used"])
            self.assertEqual(models, ["said", "said", "said", "good", "good"])
            lane = lane_of(stage, "up", "said")
            self.assertEqual((lane["standing"], lane["limits"]["requests_left"], lane["limits"]["said_rpm"]),
                             ("at_limit", 0, 10))


class Breakers(unittest.TestCase):
    BREAKER = {"calls_min": 5, "cool_down": "1s", "cool_down_max": "1s", "probes": 2, "ramp": "1s"}

    def stage(self, **breaker):
        stage = Stage(up={"breaker": {**self.BREAKER, **breaker}}, models={"two": ["up/ill", "up/good"]})
        self.addCleanup(stage.close)
        stage.well = threading.Event()

        def ill(exchange):
            if stage.well.is_set():
                return exchange.answer(body=chat())
            return exchange.answer(500, error_body("Ill."))
        stage.upstream.add("ill", ill)
        return stage

    def served_by(self, stage):
        answer = stage.chat("two")
        self.assertEqual(answer.status, 200, answer.text)
        return stage.record(answer)

    def test_an_ill_target_is_left_alone_and_comes_back(self):
        stage = self.stage()
        for _ in range(5):
            self.assertEqual(self.served_by(stage)["fallback_path"], "up/ill:server > up/good:ok")
        self.assertEqual(lane_of(stage, "up", "ill")["state"], "open")
        before = sum(request.model == "ill" for request in stage.upstream.requests)
        record = self.served_by(stage)
        self.assertEqual((record["fallback_path"], record["attempts"]), ("up/ill:breaker_open > up/good:ok", 1))
        self.assertEqual(sum(request.model == "ill" for request in stage.upstream.requests), before)
        self.assertEqual(stage.gateway.log().count("breaker_open "), 1)
        metrics = client.call(stage.gateway.admin_url, "GET", "/metrics").text
        self.assertIn('switchyard_breaker_state{provider="up",model="ill",credential="default"} 2', metrics)

        stage.well.set()
        wait_for(lambda: self.served_by(stage)["model_used"] == "ill", 20, "calls to the mended target")
        # The first call after its ramp is over closes it.
        wait_for(lambda: self.served_by(stage) and "breaker_closed " in stage.gateway.log(), 20, "its breaker to close")
        self.assertEqual(lane_of(stage, "up", "ill")["state"], "closed")
        log = stage.gateway.log()
        self.assertLess(log.index("breaker_open "), log.index("breaker_half_open "))
        self.assertLess(log.index("breaker_half_open "), log.index("breaker_closed "))

    def test_where_nobody_else_could_serve_it_is_asked_nevertheless(self):
        stage = self.stage(cool_down="1h", cool_down_max="1h")
        for _ in range(4):
            self.assertEqual(stage.chat("up/ill").status, 502)
        self.assertEqual(lane_of(stage, "up", "ill")["state"], "open")
        stage.well.set()
        self.assertEqual(stage.chat("up/ill").status, 200)
        self.assertEqual(lane_of(stage, "up", "ill")["state"], "half_open")

    def test_an_ill_target_is_a_last_resort_with_a_strategy_and_without(self):
        for more in ({}, {"strategy": {"plugin": "priority"}}):
            with self.subTest(**more):
                stage = Stage(up={"breaker": {**self.BREAKER, "cool_down": "1h", "cool_down_max": "1h"}},
                              models={"two": {"candidates": ["up/ill", "up/falls"], **more}})
                self.addCleanup(stage.close)
                well = threading.Event()
                stage.upstream.add("ill", lambda exchange: exchange.answer(body=chat()) if well.is_set()
                                   else exchange.answer(500, error_body("Ill.")))
                stage.upstream.add("falls", lambda exchange: exchange.answer(400, error_body("No.", "invalid_request_error"))
                                   if not well.is_set() else exchange.answer(500, error_body("Ill.")))
                for _ in range(5):
                    self.assertEqual(stage.chat("two").status, 400)
                self.assertEqual(lane_of(stage, "up", "ill")["state"], "open")
                well.set()
                answer = stage.chat("two")
                self.assertEqual(answer.status, 200, answer.text)
                self.assertEqual(stage.record(answer)["model_used"], "ill")

    def test_an_operator_closes_a_target_off_and_opens_it_again(self):
        stage = self.stage()
        stage.well.set()
        admin = Admin(stage.gateway)
        path = f"/breakers/{lane_of(stage, 'up', 'ill')['id']}"
        self.assertEqual(admin.post(path, {"state": "ajar"}).status, 400)
        self.assertEqual(admin.post("/breakers/0123456789abcdef", {"state": "open"}).status, 404)
        _, viewer = admin.token("viewer")
        self.assertEqual(admin.post(path, {"state": "open"}, token=viewer).status, 403)
        self.assertEqual(admin.post(path, {"state": "open"}).json()["forced"], "open")
        self.assertEqual(self.served_by(stage)["fallback_path"], "up/ill:forced_open > up/good:ok")
        answer = stage.chat("up/ill")
        self.assertEqual((answer.status, answer.error["code"]), (503, "upstream_closed_off"))
        self.assertEqual([request.model for request in stage.upstream.requests], ["good"])

        said = subprocess.run([find_binary(), "breaker", "set", path.rpartition("/")[2], "--to", "auto",
                               "--state", str(stage.gateway.state)], capture_output=True, text=True, check=False)
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertEqual(self.served_by(stage)["model_used"], "ill")
        listed = subprocess.run([find_binary(), "breaker", "list", "--state", str(stage.gateway.state)],
                                capture_output=True, text=True, check=False)
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertIn("closed", listed.stdout)
        self.assertNotIn("sk-canary", listed.stdout)


class Waiting(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        patient = {"connect": "5s", "first_byte": "60s", "between_bytes": "60s", "total": "60s"}
        cls.stage = Stage(up={"timeouts": patient}, models={"two": ["up/stall-before-head", "up/good"]})
        cls.addClassCleanup(cls.stage.close)

    def test_the_clients_own_deadline_ends_an_answer_and_is_no_fault_of_the_target(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                answer = self.stage.chat("two", stream, headers={"X-Switchyard-Timeout": "400"})
                self.assertEqual((answer.status, answer.error["code"]), (504, "upstream_timeout"), answer.text)
                self.assertIn("the request took longer than its total time", answer.error["message"])
                self.assertEqual(self.stage.record(answer)["fallback_path"], "up/stall-before-head:timeout")
        self.assertEqual(lane_of(self.stage, "up", "stall-before-head")["samples"], 0)

    def test_what_sdks_send_bounds_what_they_wait_for(self):
        headers = {"X-Stainless-Timeout": "1"}
        answer = self.stage.chat("up/stall-before-head", headers=headers)
        self.assertEqual((answer.status, answer.error["code"]), (504, "upstream_timeout"))
        # A stream that has begun is what they waited for.
        connection = client.Connection(self.stage.url)
        self.addCleanup(connection.close)
        body = {"model": "up/paced", "messages": client.MESSAGES, "stream": True}
        connection.send_request("POST", "/v1/chat/completions", body, GATEWAY_KEY, headers)
        events = connection.receive_head().live_events()
        for _ in range(10):  # 200 ms apart: two seconds
            next(events)
        self.stage.upstream.finish.set()
        self.assertEqual(list(events)[-1], "[DONE]")
        self.stage.upstream.finish.clear()

    def test_a_deadline_that_cannot_be_read(self):
        for value in ("soon", "0", "-1", "1.5", "99999999999"):
            answer = self.stage.chat("up/good", headers={"X-Switchyard-Timeout": value})
            self.assertEqual((answer.status, answer.error["code"]), (400, "invalid_header"), value)
        self.assertEqual(self.stage.chat("up/good", headers={"X-Stainless-Timeout": "soon"}).status, 200)


class Named(unittest.TestCase):
    """Requests with an Idempotency-Key."""

    def setUp(self):
        self.stage = Stage()
        self.addCleanup(self.stage.close)
        self.gate = threading.Event()

        def held(exchange):
            self.gate.wait(20)
            return exchange.answer(body=chat())
        self.stage.upstream.add("held", held)

    def ask(self, model, name="one", path="/v1/chat/completions", **members):
        body = {"model": model, "messages": client.MESSAGES, **members}
        return self.stage.call("POST", path, body, headers={"Idempotency-Key": name})

    def test_one_runs_at_a_time_and_an_answered_one_not_again(self):
        answers = []
        first = threading.Thread(target=lambda: answers.append(self.ask("up/held")))
        first.start()
        self.stage.upstream.wait_requests(1)
        again = self.ask("up/held")
        self.assertEqual((again.status, again.error["code"]), (409, "request_in_progress"), again.text)
        self.assertEqual(again.header("retry-after"), "1")
        self.assertIsNone(again.header("x-should-retry"))
        other = self.ask("up/held", temperature=1)
        self.assertEqual((other.status, other.error["code"]), (422, "idempotency_key_reused"))
        self.gate.set()
        first.join()
        self.assertEqual(answers[0].status, 200)
        again = self.ask("up/held")
        self.assertEqual((again.status, again.error["code"], again.header("x-should-retry")),
                         (409, "request_already_answered", "false"))
        self.assertEqual(len(self.stage.upstream.requests), 1)
        self.assertEqual(self.ask("up/good", "two").status, 200)

    def test_one_that_failed_runs_again(self):
        for _ in range(2):
            self.assertEqual(self.ask("up/status-400").status, 400)
        self.assertEqual(len(self.stage.upstream.requests), 2)
        self.assertEqual(self.ask("up/good", "x" * 256).error["code"], "invalid_header")

    def test_one_whose_client_left_runs_again(self):
        connection = client.Connection(self.stage.url)
        body = {"model": "up/held", "messages": client.MESSAGES}
        connection.send_request("POST", "/v1/chat/completions", body, GATEWAY_KEY,
                                {"Idempotency-Key": "one", "X-Request-Id": "left"})
        self.stage.upstream.wait_requests(1)
        connection.close()
        self.assertEqual(self.stage.record("left")["final_status"], "client_left")
        self.gate.set()
        self.assertEqual(self.ask("up/held").status, 200)


if __name__ == "__main__":
    unittest.main()
