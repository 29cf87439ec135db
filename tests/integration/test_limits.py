"""What a key, an account or a plan may ask for in a time is never exceeded, whoever asks and whatever dies; and who
has more to do than it can says so early."""

import os
import signal
import ssl
import subprocess
import threading
import unittest

from stage import GATEWAY_KEY, PATIENT, Stage, certificates, wait_for  # first: it says where the others are
import client
from admin import Admin
from upstream import USAGE, chat

CLIENTS = 64
OTHER_KEY = "sy-canary-other-0123456789abcdefghijklmnopqrstuv"


class Held:
    """An upstream's script that answers when it is told to, and knows how many it holds."""

    def __init__(self, upstream, name="held"):
        self._lock = threading.Condition()
        self._free = 0
        self.running, self.most, self.begun = 0, 0, []
        upstream.add(name, self)

    def __call__(self, exchange):
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
            self.begun.append(exchange.request.json()["messages"][0]["content"])
            self._lock.notify_all()
            self._lock.wait_for(lambda: self._free > 0, 30)
            self._free -= 1
            self.running -= 1
        return exchange.answer(body=chat())

    def release(self, count=1):
        with self._lock:
            self._free += count
            self._lock.notify_all()


class Case(unittest.TestCase):
    config = {}

    def setUp(self):
        self.stage = Stage(workers=2, up=PATIENT, env={"TEST_OTHER_KEY": OTHER_KEY}, **self.config)
        self.addCleanup(self.stage.close)
        self.admin = Admin(self.stage.gateway)

    def api(self, method, path, body=None):
        answer = self.admin.call(method, path, body)
        self.assertLess(answer.status, 300, answer.text)
        return answer.json()

    def cli(self, *args):
        done = subprocess.run([self.stage.gateway.binary, *args, "--state", str(self.stage.gateway.state)],
                              env=self.stage.gateway.env, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def mint(self, **fields):
        return self.api("POST", "/keys", {"name": "app", **fields})

    def ask(self, key=GATEWAY_KEY, model="up/good", **more):
        return self.stage.chat(model, key=key, timeout=60, **more)

    def in_parallel(self, clients, ask):
        answers, lock = [], threading.Lock()

        def work(number):
            answer = ask(number)
            with lock:
                answers.append(answer)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def metric(self, name):
        text = client.call(self.stage.gateway.admin_url, "GET", "/metrics", key=self.admin.owner).text
        return sum(float(line.rpartition(" ")[2]) for line in text.split("\n") if line.startswith(name))

    def refused(self, answer, code, status=429):
        self.assertEqual((answer.status, answer.error["code"]), (status, code), answer.text)
        record = self.stage.record(answer)
        self.assertEqual(record("status", "error_code"), (status, code))

    def reached(self):
        return len([each for each in self.stage.upstream.requests if each.method == "POST"])

    def start_again(self):
        """As after kill -9 of all of it."""
        gateway = self.stage.gateway
        for pid in [gateway.pid, *gateway.workers()]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        gateway.wait()
        gateway.stop()
        gateway.start()
        gateway.key = GATEWAY_KEY
        self.stage.url = gateway.url


class Rates(Case):
    config = {"keys": [{"name": "test", "key": "${TEST_GATEWAY_KEY}"},
                       {"name": "slow", "key": "${TEST_OTHER_KEY}", "limits": {"rpm": 20}}]}

    def test_requests_never_exceed_their_limit_whatever_dies(self):
        answers = self.in_parallel(CLIENTS, lambda _: self.ask(OTHER_KEY))
        served = [each for each in answers if each.status == 200]
        self.assertEqual((len(served), self.reached()), (20, 20))
        for each in answers:
            self.assertEqual(each.header("x-ratelimit-limit-requests"), "20")
            self.assertRegex(each.header("x-ratelimit-reset-requests"), r"^\d+(\.\d+)?m?s$")
            self.assertIsNone(each.header("x-ratelimit-limit-tokens"))
        self.assertEqual(sorted(int(each.header("x-ratelimit-remaining-requests")) for each in served),
                         list(range(20)))
        refused = next(each for each in answers if each.status == 429)
        self.refused(refused, "rate_limit_exceeded")
        self.assertEqual(refused.error["type"], "requests")
        self.assertIn("20 requests in 60 seconds", refused.error["message"])
        self.assertTrue(1 <= int(refused.header("retry-after")) <= 61)
        self.assertGreater(int(refused.header("retry-after-ms")), 0)
        # Another key is not touched, and has no such headers.
        other = self.ask()
        self.assertEqual((other.status, other.header("x-ratelimit-limit-requests")), (200, None))

        with self.subTest("a reload"):
            self.stage.gateway.signal(signal.SIGHUP)
            wait_for(lambda: "generation=2" in self.stage.gateway.log(), what="the reload")
            self.assertEqual(self.ask(OTHER_KEY).status, 429)
        with self.subTest("a hot restart"):
            before = self.stage.gateway.workers()
            self.stage.gateway.signal(signal.SIGUSR2)
            wait_for(lambda: len(now := self.stage.gateway.workers()) == 1 and now != before, 30, "the next worker")
            self.assertEqual(self.ask(OTHER_KEY).status, 429)
        with self.subTest("a worker that is killed"):
            [worker] = self.stage.gateway.workers()
            os.kill(worker, signal.SIGKILL)
            wait_for(lambda: self.stage.gateway.workers() not in ([], [worker]), what="another worker")
            self.assertEqual(self.ask(OTHER_KEY).status, 429)
        with self.subTest("all of it killed"):
            self.start_again()
            self.assertEqual(self.ask(OTHER_KEY).status, 429)
        self.assertEqual(self.reached(), 21)

    def test_a_limit_holds_when_its_command_returns(self):
        minted = self.mint(limits={"rpm": 1})
        self.assertEqual(self.ask(minted["key"]).status, 200)
        self.refused(self.ask(minted["key"]), "rate_limit_exceeded")
        shown = self.cli("key", "set", minted["id"], "--rpm", "0", "--concurrency", "9", "--priority", "low")
        self.assertIn('{"concurrency":9}', shown)
        self.assertEqual(self.ask(minted["key"]).status, 200)
        self.api("PATCH", f"/keys/{minted['id']}", {"limits": {"rpm": 1, "concurrency": None}})
        self.refused(self.ask(minted["key"]), "rate_limit_exceeded")

    def test_limits_that_can_not_be_are_refused(self):
        for limits in ({"rpm": -1}, {"rps": 1}, {"tpm": "many"}, {"rpm": 10**13}, 5):
            answer = self.admin.call("POST", "/keys", {"name": "app", "limits": limits})
            self.assertEqual((answer.status, answer.error["code"]), (400, "invalid_value"), answer.text)

    def test_keys_of_an_account_share_its_limit(self):
        account = self.api("POST", "/accounts", {"name": "Acme", "limits": {"rpm": 5}})
        below = self.api("POST", "/accounts", {"name": "Team", "parent": account["id"]})
        keys = [self.mint(account=owner["id"])["key"] for owner in (account, account, below)]
        answers = self.in_parallel(30, lambda number: self.ask(keys[number % 3]))
        self.assertEqual(len([each for each in answers if each.status == 200]), 5)
        self.assertEqual(self.reached(), 5)
        messages = {each.error["message"] for each in answers if each.status == 429}
        self.assertTrue(any("this account is 5 requests" in each for each in messages), messages)
        self.assertTrue(any("the account 'Acme' is 5 requests" in each for each in messages), messages)

    def test_other_dialects_are_told_in_their_own_way(self):
        key = self.mint(limits={"rpm": 1, "tpm": 5000})["key"]
        body = {"model": "up/good", "max_tokens": 20, "messages": client.MESSAGES}
        answers = [self.stage.call("POST", "/v1/messages", body, None, {"x-api-key": key}) for _ in range(2)]
        self.assertEqual([each.status for each in answers], [200, 429], answers[0].text)
        self.assertEqual(answers[0].header("anthropic-ratelimit-requests-remaining"), "0")
        self.assertRegex(answers[0].header("anthropic-ratelimit-tokens-reset"), r"^\d{4}-\d\d-\d\dT.*Z$")
        self.assertIsNone(answers[0].header("x-ratelimit-limit-requests"))
        self.assertEqual(answers[1].json()["error"]["type"], "rate_limit_error")
        self.assertIsNotNone(answers[1].header("retry-after"))


class Features(Case):
    config = {"features": {"search": {"candidates": ["up/good"], "limits": {"rpm": 10}},
                           "background": {"candidates": ["up/good"], "priority": "low"}},
              "overload": {"open_requests_max": 10, "loop_lag_max": "0s"}}

    def test_a_feature_is_limited_whoever_asks_for_it(self):
        keys = [GATEWAY_KEY, self.mint()["key"]]
        # Not more at a time than the gateway takes.
        answers = [answer for _ in range(5) for answer in
                   self.in_parallel(6, lambda number: self.ask(keys[number % 2], "feature/search"))]
        self.assertEqual(len([each for each in answers if each.status == 200]), 10)
        self.assertEqual(self.reached(), 10)
        refused = next(each for each in answers if each.status == 429)
        self.refused(refused, "rate_limit_exceeded")
        self.assertIn("feature/search", refused.error["message"])
        self.assertEqual(self.ask().status, 200)

    def test_a_feature_that_can_wait_is_turned_away_first(self):
        held = Held(self.stage.upstream)
        threads = [threading.Thread(target=self.ask, kwargs={"model": "up/held"}) for _ in range(8)]
        for thread in threads:
            thread.start()
        wait_for(lambda: held.running == 8, what="eight that run")
        named = {"X-Switchyard-Feature": "background"}
        self.refused(self.ask(model="", headers=named), "overloaded", 503)
        self.assertEqual(self.ask().status, 200)
        held.release(8)
        for thread in threads:
            thread.join()
        self.assertEqual(self.ask(model="", headers=named).status, 200)


class Tokens(Case):
    config = {"limits": {"default_key": {"tpm": 1000}}}

    def test_tokens_never_exceed_their_limit(self):
        answers = self.in_parallel(CLIENTS, lambda _: self.ask(max_tokens=100))
        # What was reserved and not used was given back: there is room until a reservation exceeds what is left.
        while answers[-1].status == 200 or len(answers) == CLIENTS:
            answers.append(self.ask(max_tokens=100))
        served = len([each for each in answers if each.status == 200])
        self.assertEqual(served, self.reached())
        used = served * USAGE["total_tokens"]
        self.assertLessEqual(used, 1000)
        self.assertGreater(used, 1000 - 150)
        refused = next(each for each in answers if each.status == 429)
        self.refused(refused, "rate_limit_exceeded")
        self.assertEqual(refused.error["type"], "tokens")
        self.assertEqual(refused.header("x-ratelimit-limit-tokens"), "1000")

    def test_what_alone_is_too_much_is_said_to_be(self):
        answer = self.ask(max_tokens=2000)
        self.refused(answer, "rate_limit_exceeded")
        self.assertIn("max_tokens", answer.error["message"])
        self.assertEqual((answer.header("retry-after"), answer.header("x-should-retry")), (None, "false"))
        # Without a limit of its own it is not known to be.
        self.assertEqual(self.ask().status, 200)

    def test_a_stream_gives_back_what_it_did_not_use(self):
        for _ in range(5):
            self.assertEqual(self.ask(max_tokens=900, stream=True).status, 200)
        left = int(self.ask(max_tokens=10).header("x-ratelimit-remaining-tokens"))
        self.assertTrue(1000 - 5 * 16 - 40 <= left < 1000 - 5 * 16, left)


class Concurrency(Case):
    config = {"keys": [{"name": "test", "key": "${TEST_GATEWAY_KEY}", "limits": {"concurrency": 3}}],
              "limits": {"queue_timeout": "60s"}}

    def test_never_more_at_a_time_and_nobody_is_left_out(self):
        held = Held(self.stage.upstream)
        held.release(10_000)
        answers = self.in_parallel(CLIENTS, lambda _: self.ask(model="up/held"))
        self.assertEqual([each.status for each in answers], [200] * CLIENTS)
        self.assertLessEqual(held.most, 3)

    def waiting(self, held, count):
        """So many clients that wait, one behind the other; returns when the last of them does."""
        answers, threads = {}, []
        for number in range(count):
            def work(number=number):
                answers[number] = self.ask(model="up/held", messages=[{"role": "user", "content": str(number)}])
            before = self.metric("switchyard_open_requests")
            threads.append(threading.Thread(target=work))
            threads[-1].start()
            wait_for(lambda: self.metric("switchyard_open_requests") > before, what=f"request {number}")
        return answers, threads

    def test_who_came_first_is_served_first(self):
        held = Held(self.stage.upstream)
        answers, threads = self.waiting(held, 12)
        self.assertEqual(sorted(held.begun), ["0", "1", "2"])
        for done in range(1, 10):
            held.release()
            wait_for(lambda: len(held.begun) == 3 + done, what="the next one")
            self.assertEqual(held.begun[-1], str(2 + done))
        held.release(3)
        for thread in threads:
            thread.join()
        self.assertEqual({each.status for each in answers.values()}, {200})
        self.assertEqual(held.most, 3)

    def test_who_leaves_while_it_waits_leaves_its_turn(self):
        held = Held(self.stage.upstream)
        answers, threads = self.waiting(held, 3)
        connection = client.Connection(self.stage.url)
        body = {"model": "up/held", "messages": [{"role": "user", "content": "gone"}]}
        before = self.metric("switchyard_open_requests")
        connection.send_request("POST", "/v1/chat/completions", body, GATEWAY_KEY)
        wait_for(lambda: self.metric("switchyard_open_requests") > before, what="the waiting one")
        connection.close()
        wait_for(lambda: self.metric("switchyard_open_requests") == before, what="its end")
        held.release(3)
        for thread in threads:
            thread.join()
        held.release(1)
        self.assertEqual(self.ask(model="up/held", messages=[{"role": "user", "content": "last"}]).status, 200)
        self.assertEqual(sorted(held.begun), ["0", "1", "2", "last"])


class NoQueue(Case):
    config = {"keys": [{"name": "test", "key": "${TEST_GATEWAY_KEY}", "limits": {"concurrency": 2}}],
              "limits": {"queue_timeout": "0s"}}

    def test_without_a_queue_who_is_too_many_is_refused_at_once(self):
        held = Held(self.stage.upstream)

        def cut():
            with self.assertRaises(ConnectionError):
                self.ask(model="up/held")
        first = [threading.Thread(target=cut) for _ in range(2)]
        for thread in first:
            thread.start()
        wait_for(lambda: held.running == 2, what="two that run")
        answers = self.in_parallel(CLIENTS, lambda _: self.ask())
        self.assertEqual({each.status for each in answers}, {429})
        self.refused(answers[0], "rate_limit_exceeded")
        self.assertIn("2 requests at a time", answers[0].error["message"])
        self.assertIsNotNone(answers[0].header("retry-after"))
        self.assertEqual(self.reached(), 2)
        # What a killed worker ran, runs no more.
        [worker] = self.stage.gateway.workers()
        os.kill(worker, signal.SIGKILL)
        held.release(2)
        for thread in first:
            thread.join()
        wait_for(lambda: self.stage.gateway.workers() not in ([], [worker]), what="another worker")
        self.assertEqual(self.ask().status, 200)


class Caps(Case):
    def test_a_day_is_a_day_also_after_kill_9(self):
        key = self.mint(limits={"requests_per_day": 10})["key"]
        answers = self.in_parallel(CLIENTS, lambda _: self.ask(key))
        self.assertEqual(len([each for each in answers if each.status == 200]), 10)
        self.start_again()
        answer = self.ask(key)
        self.refused(answer, "insufficient_quota")
        self.assertEqual((answer.error["type"], answer.header("x-should-retry")), ("insufficient_quota", "false"))
        self.assertTrue(0 < int(answer.header("retry-after")) <= 86_400)
        self.assertEqual(self.reached(), 10)

    def test_counts_are_in_the_store_against_a_loss_of_power(self):
        key = self.mint(limits={"requests_per_month": 3})["key"]
        for _ in range(2):
            self.assertEqual(self.ask(key).status, 200)
        self.stage.gateway.stop()
        (self.stage.gateway.state / "limits.1").unlink()
        self.stage.gateway.start()
        self.stage.url = self.stage.gateway.url
        self.assertEqual([self.ask(key).status for _ in range(2)], [200, 429])

    def test_tokens_of_a_month_are_those_that_were_used(self):
        key = self.mint(limits={"tokens_per_month": 100})["key"]
        statuses = [self.ask(key, max_tokens=20).status for _ in range(8)]
        served = statuses.count(200)
        self.assertEqual(statuses, [200] * served + [429] * (8 - served))
        self.assertTrue(3 <= served <= 6, served)


class Plans(Case):
    def test_what_a_plan_says_holds_for_its_account(self):
        account = self.api("POST", "/accounts", {"name": "Acme"})
        key = self.mint(account=account["id"])["key"]
        self.assertEqual(self.ask(key, "up/other").status, 200)
        self.api("POST", "/plans", {
            "id": "basic", "name": "Basic", "currency": "USD", "period": "month", "price": "0",
            "limits": {"rpm": 6}, "models": ["up/good", "up/slow*"],
            "quota_tokens": [{"model": "up/slow*", "tokens": 60}]})
        subscription = self.api("POST", "/subscriptions", {"account": account["id"], "plan": "basic"})
        wait_for(lambda: self.ask(key, "up/other").status == 403, 3, "the plan")
        answer = self.ask(key, "up/other")
        self.refused(answer, "model_not_in_plan", 403)
        # What was refused was not counted: four of the minute's six are left.
        quota = [self.ask(key, "up/slow", max_tokens=8) for _ in range(4)]
        self.assertEqual([each.status for each in quota], [200, 200, 429, 429])
        self.assertEqual(quota[-1].error["code"], "insufficient_quota")
        self.assertIn("the plan 'basic' of this account is 60 tokens", quota[-1].error["message"])
        statuses = [self.ask(key).status for _ in range(8)]
        self.assertEqual(statuses, [200] * 4 + [429] * 4)
        self.api("POST", f"/subscriptions/{subscription['id']}/cancel", {"when": "now"})
        wait_for(lambda: self.ask(key, "up/other").status == 200, 3, "the plan's end")

    def test_terms_that_can_not_be_are_refused(self):
        plan = {"id": "p", "name": "P", "currency": "USD", "period": "month", "price": "0"}
        for field, value in (("limits", {"rps": 1}), ("models", [1]), ("quota_tokens", [{"model": "a"}])):
            answer = self.admin.call("POST", "/plans", {**plan, field: value})
            self.assertEqual((answer.status, answer.error["code"]), (400, "invalid_plan"), answer.text)
            self.assertTrue(answer.error["message"].startswith(field), answer.text)


class Overload(Case):
    config = {"overload": {"open_requests_max": 10, "loop_lag_max": "0s"},
              "keys": [{"name": "test", "key": "${TEST_GATEWAY_KEY}", "priority": "high"}]}

    def test_low_priorities_are_turned_away_first_and_streams_go_on(self):
        low, normal = (self.mint(priority=priority)["key"] for priority in ("low", "normal"))
        held = Held(self.stage.upstream)
        threads, answers = [], []
        for _ in range(8):
            threads.append(threading.Thread(target=lambda: answers.append(self.ask(model="up/held"))))
            threads[-1].start()
        wait_for(lambda: held.running == 8, what="eight that run")
        answer = self.ask(low)
        self.refused(answer, "overloaded", 503)
        self.assertGreaterEqual(int(answer.header("retry-after")), 1)
        self.assertEqual(self.ask(normal).status, 200)
        threads.append(threading.Thread(target=lambda: answers.append(self.ask(model="up/held"))))
        threads[-1].start()
        wait_for(lambda: held.running == 9, what="nine that run")
        self.refused(self.ask(normal), "overloaded", 503)
        self.assertEqual(self.ask().status, 200)
        self.assertEqual(self.metric('switchyard_requests_shed_total{reason="requests"}'), 2)
        # Who looks on is not turned away.
        self.assertEqual(self.stage.call("GET", "/v1/models", key=low).status, 200)
        held.release(9)
        for thread in threads:
            thread.join()
        self.assertEqual({each.status for each in answers}, {200})
        self.assertEqual(self.ask(low).status, 200)

    def test_who_is_turned_away_need_not_send_its_body(self):
        low = self.mint(priority="low")["key"]
        held = Held(self.stage.upstream)
        threads = [threading.Thread(target=self.ask, kwargs={"model": "up/held"}) for _ in range(8)]
        for thread in threads:
            thread.start()
        wait_for(lambda: held.running == 8, what="eight that run")
        with client.Connection(self.stage.url) as connection:
            connection.send(f"POST /v1/messages HTTP/1.1\r\nHost: a\r\nx-api-key: {low}\r\n"
                            "Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n")
            answer = connection.receive_answer()
        self.assertEqual((answer.status, answer.json()["error"]["type"]), (503, "overloaded_error"), answer.text)
        held.release(8)
        for thread in threads:
            thread.join()


class Doors(unittest.TestCase):
    def test_a_tls_listener_without_room_says_so_in_tls(self):
        made = certificates()
        files = {"certificate": str(made.good.certificate), "key": str(made.good.key)}
        config = {"listen": [{"address": "127.0.0.1:0", "tls": files}], "limits": {"connections_max": 1}}
        with Stage(**config) as stage:
            context = ssl.create_default_context(cafile=made.ca)
            url = stage.gateway.url
            with client.Connection(url, tls=context):
                with self.assertRaises(ssl.SSLError) as caught:
                    client.Connection(url, tls=context)
            self.assertIn("ALERT_INTERNAL_ERROR", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
