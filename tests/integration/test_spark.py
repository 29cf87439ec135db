"""Spark behind the gateway by its signed WebSocket: answers that come in messages, and what is no answer."""

import json
import threading
import unittest

from stage import GATEWAY_KEY, PATIENT, TIMEOUTS, UPSTREAM_KEY, Stage, certificates, wait_for  # first: it says where the others are
import client
from providers.family import CALLS
from providers.spark_socket import API_KEY, APP_ID, CREDENTIAL, FLOOD, FLOOD_TEXT, SparkSocket, signed
from test_dialects import SCHEMA, TOOLS, asked, merged

# What the vendor's published steps make of these; computed apart from both sides.
VECTOR = ("spark-api.xf-yun.com", "/v3.5/chat", "Fri, 20 Nov 2026 12:00:00 GMT", "TestApiKey0123456789abcdef012345",
          "TestApiSecret0123456789abcdef0123")
AUTHORIZATION = ("YXBpX2tleT0iVGVzdEFwaUtleTAxMjM0NTY3ODlhYmNkZWYwMTIzNDUiLCBhbGdvcml0aG09ImhtYWMtc2hhMjU2IiwgaGVhZGVycz0i"
                 "aG9zdCBkYXRlIHJlcXVlc3QtbGluZSIsIHNpZ25hdHVyZT0ialBjeUNPaUMvdjlSTjdYOVBoeGJmdFZRSi9qY0NtTldzOHJSU09DL1M2"
                 "dz0i")
MODEL = "generalv3.5"
# Addresses where no upgrade is had, and what the client is told.
REFUSALS = {"status-401": (502, "upstream_auth"), "status-403": (502, "upstream_auth"),
            "status-404": (404, "model_not_found"), "status-429": (429, "rate_limit_exceeded"),
            "status-503": (503, "upstream_overloaded"), "plain-200": (502, "upstream_bad_answer"),
            "wrong-accept": (502, "upstream_bad_answer")}


def spark(vendor, **more):
    return {"plugin": "spark", "base_url": vendor.url, "models": ["*"], "timeouts": TIMEOUTS, "credentials": [CREDENTIAL],
            "breaker": {"enabled": False}, **more}


def once(name):
    return {"candidates": [name], "retry": {"attempts_max": 1}}


def closed_with(request):
    return wait_for(lambda: getattr(request, "closed_with", None), what="the Close")


class Spark(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vendor = SparkSocket()
        cls.addClassCleanup(cls.vendor.close)
        own = {"mine": {"path": "/v9/chat", "domain": "mine"},
               **{name: {"path": f"/{name}"} for name in REFUSALS}}
        other = {"key": "${TEST_UPSTREAM_KEY}", "parts": {"app_id": APP_ID, "api_key": "another"}}
        cls.stage = Stage(
            providers={"spark": spark(cls.vendor, settings={"models": own}),
                       "patient": spark(cls.vendor, **PATIENT),
                       "drains": spark(cls.vendor, on_disconnect="drain", **PATIENT),
                       "stranger": spark(cls.vendor, credentials=[other]),
                       "nameless": spark(cls.vendor, credentials=[{"key": "${TEST_UPSTREAM_KEY}"}])},
            models={"else": [f"spark/{MODEL}", "up/m"], "once": once(f"spark/{MODEL}"),
                    **{f"once-{name}": once(f"spark/{name}") for name in REFUSALS}})
        cls.addClassCleanup(cls.stage.close)

    def setUp(self):
        self.vendor.clear()

    def ask(self, stream, messages, model=MODEL, **members):
        options = {"stream_options": {"include_usage": True}} if stream else {}
        answer = self.stage.chat(f"spark/{model}", stream, messages=messages, **options, **members)
        self.assertEqual((answer.status, answer.clean, self.vendor.refused), (200, True, []), answer.text)
        if not stream:
            choice = answer.json()["choices"][0]
            return answer, choice["message"], choice["finish_reason"], answer.json()["usage"]
        events = answer.events()
        self.assertEqual(events[-1], "[DONE]")
        return answer, *merged([json.loads(event) for event in events[:-1]])

    def each(self, check, *streams):
        for stream in streams or (False, True):
            with self.subTest(stream=stream):
                self.setUp()
                check(stream)

    # -- answers

    def test_text_with_all_that_a_client_may_say(self):
        def check(stream):
            answer, said, finish, usage = self.ask(
                stream, asked("say"), temperature=1.5, max_completion_tokens=50, top_k=9, seed=3, stop="END",
                user="u" * 33, n=1)
            self.assertEqual((said["content"], finish), ("Hello from here", "stop"))
            self.assertEqual(answer.header("x-switchyard-dropped"), "/user, /temperature, /top_k, /seed, /stop")
            # The last count stands; none is added up.
            self.assertEqual((usage["prompt_tokens"], usage["completion_tokens"]), (12, 9))
            self.assertEqual(
                self.stage.record(answer)("tokens_in", "tokens_out", "estimated", "finish", "final_status", "attempts"),
                (12, 9, False, "stop", "ok", 1))
            self.assertEqual(self.vendor.bodies(), [{
                "header": {"app_id": APP_ID},
                "parameter": {"chat": {"domain": MODEL, "temperature": 1, "top_k": 6, "max_tokens": 50}},
                "payload": {"message": {"text": [{"role": "system", "content": "Be brief."},
                                                 {"role": "user", "content": "say"}]}}}])
            self.assertEqual(closed_with(self.vendor.requests[0]), 1000)
        self.each(check)

    def test_each_model_is_asked_at_its_address(self):
        for model in ("lite", "generalv2", "generalv3", "pro-128k", "max-32k", "4.0ultra", "x1", "mine"):
            with self.subTest(model):
                _, said, _, _ = self.ask(True, asked("say"), model)
                self.assertEqual(said["content"], "Hello from here")
        answer = self.stage.chat("spark/generalv9")
        self.assertEqual((answer.status, answer.error["code"]), (404, "model_not_found"))

    def test_thinking_is_shown_as_such(self):
        def check(stream):
            _, said, _, _ = self.ask(stream, asked("say"), "x1")
            self.assertEqual((said["reasoning_content"], said["content"]), ("A greeting.", "Hello from here"))
        self.each(check)

    def test_old_models_have_their_system_prompt_in_front_of_the_users_words(self):
        answer, *_ = self.ask(False, asked("say"), "lite")
        self.assertEqual(self.vendor.bodies()[0]["payload"]["message"]["text"],
                         [{"role": "user", "content": "Be brief.\nsay"}])
        self.assertEqual(answer.header("x-switchyard-dropped"), "/messages/0/role")

    def test_a_call_and_the_results_of_two(self):
        def check(stream):
            _, said, finish, _ = self.ask(stream, asked("tools"), tools=TOOLS)
            (call,) = said["tool_calls"]
            self.assertEqual((call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]), finish),
                             ("call_cht1", *CALLS[0], "tool_calls"))
            calls = [{**call, "id": f"call_{n}"} for n in range(2)]
            messages = [{"role": "user", "content": "Rain?"},
                        {"role": "assistant", "content": "I look.", "tool_calls": calls},
                        *({"role": "tool", "tool_call_id": each["id"], "content": '5 "°C"'} for each in calls)]
            answer, said, finish, _ = self.ask(stream, messages, tools=TOOLS, tool_choice="required")
            self.assertEqual((said["content"], finish), ("Hello after 2 results.", "stop"))
            self.assertEqual(answer.header("x-switchyard-dropped"),
                             "/messages/1/tool_calls, /messages/2/role, /messages/3/role, /tool_choice")
            texts = self.vendor.bodies()[-1]["payload"]["message"]["text"]
            self.assertEqual([text["role"] for text in texts], ["user", "assistant", "user", "user"])
            first, *told = texts[1]["content"].split("\n")
            self.assertEqual((first, [json.loads(each)["function_call"]["name"] for each in told]),
                             ("I look.", ["weather", "weather"]))
            self.assertEqual(json.loads(texts[2]["content"]), {"function": "weather", "result": '5 "°C"'})
        self.each(check)

    def test_a_schema_is_followed(self):
        _, said, _, _ = self.ask(False, asked("Where?"), response_format=SCHEMA)
        self.assertEqual(json.loads(said["content"]), {"city": "Oslo"})
        wrong = json.loads(json.dumps(SCHEMA))
        wrong["json_schema"]["schema"]["properties"]["city"] = {"type": "integer"}
        refused = self.stage.chat(f"spark/{MODEL}", messages=asked("Where?"), response_format=wrong)
        self.assertEqual((refused.status, refused.error["code"]), (502, "upstream_bad_answer"))

    def test_why_an_answer_ended(self):
        def check(stream):
            _, _, finish, _ = self.ask(stream, asked("say"), max_tokens=9)
            self.assertEqual(finish, "length")
            answer, said, finish, usage = self.ask(stream, asked("filtered"))
            self.assertEqual((said["content"], finish, usage["completion_tokens"]), ("Some", "content_filter", 1))
            self.assertEqual(self.stage.record(answer)("final_status", "finish"), ("ok", "content_filter"))
        self.each(check)

    def test_several_answers_are_got_by_as_many_connections(self):
        before = self.vendor.connections
        answer = self.stage.chat(f"spark/{MODEL}", messages=asked("say"), n=2)
        self.assertEqual([choice["message"]["content"] for choice in answer.json()["choices"]], ["Hello from here"] * 2)
        self.assertEqual(self.vendor.connections - before, 2)

    def test_a_message_in_fragments_and_pings_between(self):
        _, said, _, _ = self.ask(True, asked("fragments"))
        self.assertEqual(said["content"], "Häß€😀")
        _, said, _, _ = self.ask(True, asked("pings"))
        self.assertEqual(said["content"], "Hello there")

    def test_what_is_not_offered_is_refused_before_anything_is_sent(self):
        picture = [{"type": "image_url", "image_url": {"url": "https://a/b"}}]
        answer = self.stage.chat(f"spark/{MODEL}", messages=[{"role": "user", "content": picture}])
        self.assertEqual((answer.status, answer.error["code"]), (400, "not_offered"))
        self.assertEqual(self.vendor.requests, [])

    # -- refusals

    def test_the_signature_is_the_vendors(self):
        self.assertEqual(signed(*VECTOR), [("authorization", AUTHORIZATION), ("date", VECTOR[2]), ("host", VECTOR[0])])

    def test_a_signature_that_is_refused_is_the_gateways_fault_and_shows_nothing(self):
        for model in (f"stranger/{MODEL}", f"nameless/{MODEL}"):
            answer = self.stage.chat(model)
            self.assertEqual((answer.status, answer.error["code"]), (502, "upstream_auth"))
            for text in (answer.text, self.stage.gateway.log(), json.dumps(self.stage.gateway.records())):
                for secret in (UPSTREAM_KEY, "authorization=", API_KEY):
                    self.assertNotIn(secret, text)
        self.assertEqual(self.vendor.refused, ["HMAC signature cannot be verified"])

    def test_a_refused_upgrade_is_an_ordinary_error(self):
        for name, (status, code) in REFUSALS.items():
            for stream in (False, True):
                with self.subTest(name, stream=stream):
                    answer = self.stage.chat(f"once-{name}", stream)
                    self.assertEqual((answer.status, answer.error["code"]), (status, code), answer.text)
                    self.assertEqual(self.stage.record(answer)("status", "attempts"), (status, 1))

    def test_what_the_vendor_says_of_a_fault(self):
        for fault, status, code in (
                (10000, 502, "upstream_error"), (10222, 502, "upstream_error"), (10003, 400, "10003"),
                (10163, 400, "10163"), (11501, 400, "11501"), (10006, 429, "rate_limit_exceeded"),
                (10007, 429, "rate_limit_exceeded"), (11202, 429, "rate_limit_exceeded"),
                (11203, 429, "rate_limit_exceeded"), (10008, 503, "upstream_overloaded"),
                (10110, 503, "upstream_overloaded"), (10013, 400, "content_policy_violation"),
                (10014, 400, "content_policy_violation"), (10019, 400, "content_policy_violation"),
                (10021, 400, "content_policy_violation"), (10015, 502, "upstream_auth"), (11200, 502, "upstream_auth"),
                (11500, 502, "upstream_auth"), (10016, 429, "upstream_quota_exhausted"),
                (11201, 429, "upstream_quota_exhausted"), (10017, 502, "upstream_error"), (10404, 404, "model_not_found"),
                (10907, 400, "context_length_exceeded"), (19999, 502, "upstream_error")):
            with self.subTest(fault):
                answer = self.stage.chat("once", fault % 2 == 0, messages=asked(f"fail:{fault}"))
                self.assertEqual((answer.status, answer.error["code"]), (status, code), answer.text)

    # -- what is no answer

    def test_what_is_no_answer_is_never_a_clean_end(self):
        for fault, code in (("cut", "upstream_closed"), ("cut-in-frame", "upstream_closed"), ("closed", "upstream_bad_answer"),
                            ("garbage", "upstream_bad_answer"), ("no-code", "upstream_bad_answer"),
                            ("oversize", "upstream_bad_answer"), ("masked", "upstream_bad_answer"),
                            ("stall", "upstream_timeout")):
            with self.subTest(fault):
                answer = self.stage.chat("once", True, messages=asked(fault))
                events = answer.events()
                self.assertEqual(client.text_of(events[:-1]), "Hello")
                self.assertEqual(json.loads(events[-1])["error"]["code"], code)
                self.assertEqual(self.stage.record(answer)("final_status", "error_code"), ("upstream_error", code))
                whole = self.stage.chat("once", messages=asked(fault))
                self.assertEqual((whole.status, whole.error["code"]), (504 if fault == "stall" else 502, code))

    def test_an_upstream_that_says_nothing_is_given_up_in_time(self):
        def check(stream):
            answer = self.stage.chat("once", stream, messages=asked("stall-first"))
            self.assertEqual((answer.status, answer.error["code"]), (504, "upstream_timeout"))
            self.assertEqual(closed_with(self.vendor.requests[0]), 1001)
        self.each(check)

    def test_another_target_serves_where_no_content_came(self):
        for wish in ("stall-first", "fail:10110"):
            for stream in (False, True):
                with self.subTest(wish, stream=stream):
                    answer = self.stage.chat("else", stream, messages=asked(wish))
                    self.assertEqual((answer.status, answer.clean), (200, True))
                    self.assertEqual(self.stage.record(answer)("provider", "attempts", "final_status")[::2], ("up", "ok"))

    def test_a_client_that_leaves_takes_the_upstream_along(self):
        connection = client.Connection(self.stage.url)
        body = {"model": f"patient/{MODEL}", "messages": asked("stall"), "stream": True}
        connection.send_request("POST", "/v1/chat/completions", body, GATEWAY_KEY, {"X-Request-Id": "leaves"})
        next(iter(connection.receive_head().live_events()))
        connection.close()
        (request,) = self.vendor.requests
        self.assertTrue(request.left.wait(10))
        self.assertEqual(closed_with(request), 1001)
        self.assertEqual(self.stage.record("leaves")["final_status"], "client_left")

    def test_what_was_begun_is_counted_to_its_end_where_that_is_wanted(self):
        self.addCleanup(self.vendor.release.clear)
        connection = client.Connection(self.stage.url)
        body = {"model": f"drains/{MODEL}", "messages": asked("late"), "stream": True}
        connection.send_request("POST", "/v1/chat/completions", body, GATEWAY_KEY, {"X-Request-Id": "drains"})
        next(iter(connection.receive_head().live_events()))
        connection.reset()
        self.vendor.release.set()
        self.assertEqual(self.stage.record("drains")("tokens_in", "tokens_out", "estimated", "final_status"),
                         (12, 9, False, "client_left"))
        self.assertEqual(closed_with(self.vendor.requests[0]), 1000)

    def test_a_client_that_does_not_read_holds_the_upstream_back(self):
        connection = client.Connection(self.stage.url, receive_buffer=4096)
        body = {"model": f"patient/{MODEL}", "messages": asked("flood"), "stream": True}
        self.addCleanup(connection.close)
        connection.send_request("POST", "/v1/chat/completions", body, GATEWAY_KEY)
        answer = connection.receive_head()
        seen = -1

        def stands():
            nonlocal seen
            before, seen = seen, self.vendor.sent
            return before == seen and before > 0 and not threading.Event().wait(0.3) and self.vendor.sent == before
        wait_for(stands, what="the upstream's writing to stand still")
        self.assertLess(self.vendor.sent, 150)  # of 400: sockets and buffers hold some megabytes at most
        text = client.text_of(list(answer.live_events()))
        self.assertEqual((answer.clean, text == FLOOD_TEXT * FLOOD), (True, True))

    def test_two_at_once_have_each_their_own_connection_and_answer(self):
        answers = {}

        def ask(wish):
            answers[wish] = self.stage.chat(f"patient/{MODEL}", True, messages=asked(wish))
        before = self.vendor.connections
        threads = [threading.Thread(target=ask, args=(wish,)) for wish in ("fragments", "say", "pings")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({wish: client.text_of(answer.events()) for wish, answer in answers.items()},
                         {"fragments": "Häß€😀", "say": "Hello from here", "pings": "Hello there"})
        self.assertEqual(self.vendor.connections - before, 3)


class Hedged(unittest.TestCase):
    def test_the_one_that_was_slower_is_left(self):
        vendor = SparkSocket()
        self.addCleanup(vendor.close)
        with Stage(providers={"spark": spark(vendor, **PATIENT)}, up=PATIENT,
                   models={"hedged": {"candidates": [f"spark/{MODEL}", "up/m"],
                                      "hedge": {"percent": 100, "after_min": "50ms"}}}) as stage:
            for _ in range(20):  # so that it is known what is slow
                self.assertEqual(stage.chat("hedged", True, messages=asked("say")).status, 200)
            vendor.clear()
            answer = stage.chat("hedged", True, messages=asked("stall-first"))
            self.assertEqual(stage.record(answer)["fallback_path"], f"spark/{MODEL}:outrun > up/m:ok")
            self.assertEqual(closed_with(vendor.requests[0]), 1001)


class Tls(unittest.TestCase):
    def test_the_address_is_https(self):
        made = certificates()
        vendor = SparkSocket(made.good)
        self.addCleanup(vendor.close)
        with Stage(providers={"spark": spark(vendor, tls={"ca_file": made.ca})}) as stage:
            answer = stage.chat(f"spark/{MODEL}", True, messages=asked("say"))
            self.assertEqual((client.text_of(answer.events()), vendor.refused), ("Hello from here", []))


if __name__ == "__main__":
    unittest.main()
