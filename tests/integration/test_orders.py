"""Orders from their making to the invoice: paid by signed webhooks, credited once; plans, codes, budgets, alerts."""

import datetime
import hashlib
import hmac
import json
import re
import subprocess
import threading
import time
import unittest

import stage  # noqa: F401  first: it says where the others are
import client
from admin import Admin
from gateway import Gateway, wait_for

SECRET = "whsec_of_the_tests"
CONFIG = {
    "providers": {"demo": {"plugin": "demo", "models": ["demo"]}},
    "payments": {"stripe": {"signing_secret": "${STRIPE_SECRET}"}},
}


def signature(body, secret=SECRET, at=None):
    at = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def new_account(admin, **members):
    """The id of a prepaid one."""
    made = client.call(admin.gateway.admin_url, "POST", "/admin/v1/accounts",
                       {"name": "buyer", "mode": "prepaid", "currency": "USD", **members}, admin.owner)
    assert made.status == 201, made.text
    return made.json()["id"]


def session(event, order, cents, currency="usd"):
    return json.dumps({
        "id": event, "object": "event", "type": "checkout.session.completed",
        "data": {"object": {"client_reference_id": order, "payment_status": "paid",
                            "payment_intent": "pi_" + event, "amount_total": cents,
                            "currency": currency}}})


class Orders(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gateway = Gateway(CONFIG, env={"STRIPE_SECRET": SECRET})
        cls.addClassCleanup(cls.gateway.close)
        cls.admin = Admin(cls.gateway)

    def account(self, **members):
        return new_account(self.admin, **members)

    def order(self, account, amount="25", **members):
        made = self.admin.post("/orders", {"account": account, "provider": "stripe",
                                           "amount": amount, "currency": "USD", **members})
        self.assertEqual(made.status, 201, made.text)
        return made.json()["id"]

    def state(self, order):
        return self.admin.get(f"/orders/{order}").json()["state"]

    def month(self, account):
        month = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m")
        answer = self.admin.get(f"/invoices/preview?account={account}&month={month}")
        self.assertEqual(answer.status, 200, answer.text)
        return answer.json()

    def balance(self, account):
        return self.month(account)["closing_balance"]

    def webhook(self, body, header=None):
        fields = {"Content-Type": "application/json",
                  "Stripe-Signature": signature(body) if header is None else header}
        return client.call(self.gateway.url, "POST", "/webhooks/stripe", body, headers=fields)

    def test_order_webhook_balance_invoice(self):
        account = self.account()
        order = self.order(account, reference="shop 17")
        self.assertEqual(self.state(order), "pending")
        body = session("evt_a", order, 2500)
        answer = self.webhook(body)
        self.assertEqual((answer.status, answer.json()), (200, {"outcome": "paid"}))
        for _ in range(20):
            self.assertEqual(self.webhook(body).json(), {"outcome": "duplicate"})
        self.assertEqual(self.webhook(session("evt_a2", order, 2500)).json(),
                         {"outcome": "already_paid"})
        self.assertEqual(self.state(order), "applied")
        invoice = self.month(account)
        self.assertEqual((invoice["opening_balance"], invoice["closing_balance"]), ("0", "25"))
        self.assertEqual([(line["kind"], line["id"], line["amount"]) for line in invoice["lines"]],
                         [("top_up", order, "25")])

    def test_parallel_webhooks_credit_once(self):
        account = self.account()
        order = self.order(account)
        outcomes = []
        threads = [threading.Thread(target=lambda i=i: outcomes.append(
            self.webhook(session(f"evt_p{i % 4}", order, 2500)).json().get("outcome")))
            for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(outcomes.count("paid"), 1, outcomes)
        self.assertEqual(self.balance(account), "25")

    def test_what_is_not_genuine_credits_nothing(self):
        account = self.account()
        order = self.order(account)
        body = session("evt_b", order, 2500)
        now = int(time.time())
        for name, header in {
            "none": "", "other secret": signature(body, "whsec_other"),
            "empty secret": signature(body, ""), "old": signature(body, at=now - 301),
            "of another body": signature(body + " "), "no time": signature(body).split(",")[1],
        }.items():
            with self.subTest(name):
                self.assertEqual(self.webhook(body, header).status, 400)
        for event, wrong, outcome in (("evt_c", session("evt_c", order, 2499), "wrong_amount"),
                                      ("evt_d", session("evt_d", order, 2500, "eur"), "wrong_currency"),
                                      ("evt_e", session("evt_e", "ord_none", 2500), "unknown_order")):
            with self.subTest(outcome):
                self.assertEqual(self.webhook(wrong).json(), {"outcome": outcome})
        manual = self.order(account, provider="manual")
        self.assertEqual(self.webhook(session("evt_f", manual, 2500)).json(),
                         {"outcome": "other_provider"})
        self.assertEqual(self.webhook("[1]").status, 400)
        self.assertEqual(self.webhook("x" * 300_000).status, 413)
        self.assertEqual(client.call(self.gateway.url, "GET", "/webhooks/stripe").status, 405)
        shown = self.admin.get(f"/orders/{order}").json()
        self.assertEqual((shown["state"], shown["alarm"]), ("pending", "Paid in EUR."))
        self.assertEqual(self.balance(account), "0")
        self.assertNotIn(SECRET, self.gateway.log())

    def test_a_plan_and_its_end(self):
        account = self.account()
        plan = f"basic_{account[-6:]}"
        self.assertEqual(self.admin.post("/plans", {
            "id": plan, "name": "Basic", "price": "20", "currency": "USD", "period": "month",
            "quota": "5"}).status, 201)
        refused = self.admin.post("/subscriptions", {"account": account, "plan": plan})
        self.assertEqual((refused.status, refused.json()["error"]["code"]),
                         (402, "insufficient_funds"))
        order = self.order(account, kind="plan", plan=plan)
        self.assertEqual(self.webhook(session("evt_g", order, 2000)).json(), {"outcome": "paid"})
        self.assertEqual(self.balance(account), "5")
        rows = self.admin.get(f"/subscriptions?account={account}").json()["data"]
        self.assertEqual(sorted(row["state"] for row in rows), ["active", "ended"])
        active = [row["id"] for row in rows if row["state"] == "active"][0]
        ended = self.admin.post(f"/subscriptions/{active}/cancel", {"when": "now"}).json()
        self.assertEqual(ended["state"], "ended")
        kinds = [line["kind"] for line in self.month(account)["lines"]]
        self.assertEqual(kinds[:4], ["top_up", "plan_fee", "grant", "grant_return"])

    def test_refund(self):
        account = self.account()
        order = self.order(account)
        self.assertEqual(self.webhook(session("evt_h", order, 2500)).json(), {"outcome": "paid"})
        back = self.admin.post(f"/orders/{order}/refund", {"amount": "10", "reference": "r 1"})
        self.assertEqual((back.status, back.json()["state"]), (201, "applied"))
        self.assertEqual(self.balance(account), "15")
        event = json.dumps({"id": "evt_i", "type": "charge.refunded", "data": {"object": {
            "payment_intent": "pi_evt_h", "amount_refunded": 2500, "currency": "usd"}}})
        self.assertEqual(self.webhook(event).json(), {"outcome": "refunded"})
        self.assertEqual(self.balance(account), "0")
        self.assertEqual(self.state(order), "refunded")

    def test_corrections(self):
        account = self.account()
        path = "/ledger/corrections"
        given = {"account": account, "amount": "2.5", "reason": "outage of 21 November"}
        once = {"Idempotency-Key": "correction-1"}
        made = self.admin.post(path, given, headers=once)
        self.assertEqual(made.status, 201, made.text)
        self.assertEqual({name: made.json()[name] for name in ("account", "amount", "currency", "reason")},
                         {**given, "currency": "USD"})
        self.assertEqual(self.admin.post(path, given, headers=once).json(), made.json())
        self.assertEqual(self.balance(account), "2.5")
        taken = json.loads(self.command("ledger", "correct", "--account", account, "--amount=-1", "--reason",
                                        "charged twice", "--json"))
        self.assertEqual((taken["amount"], self.balance(account)), ("-1", "1.5"))
        for body, status, code in (({**given, "amount": "-1.500000001"}, 402, "insufficient_funds"),
                                   ({**given, "amount": "0"}, 400, "invalid_correction"),
                                   ({**given, "amount": 1}, 400, "bad_body"),
                                   ({**given, "reason": ""}, 400, "invalid_correction"),
                                   ({**given, "currency": "EUR"}, 400, "invalid_correction"),
                                   ({**given, "account": "none"}, 404, "not_found")):
            refused = self.admin.post(path, body)
            self.assertEqual((refused.status, refused.error["code"]), (status, code), body)
        self.assertEqual(self.balance(account), "1.5")
        month = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m")
        lines = self.admin.get(f"/invoices/preview?account={account}&month={month}").json()["lines"]
        self.assertEqual([(line["kind"], line["note"], line["amount"]) for line in lines],
                         [("correction", "outage of 21 November", "2.5"), ("correction", "charged twice", "-1")])
        self.assertEqual(self.admin.get("/ledger/verify").json()["proven"], True)

    def test_codes(self):
        account, other = self.account(), self.account()
        made = self.admin.post("/codes", {"name": "spring", "amount": "5", "currency": "USD",
                                          "count": 2})
        self.assertEqual(made.status, 201)
        code = made.json()["codes"][0]
        self.assertEqual(self.admin.post("/redemptions", {"account": account, "code": code}).status,
                         201)
        again = self.admin.post("/redemptions", {"account": other, "code": code})
        self.assertEqual((again.status, again.json()["error"]["code"]), (409, "code_used"))
        self.assertEqual((self.balance(account), self.balance(other)), ("5", "0"))
        self.assertNotIn(code, self.admin.get("/codes").text)
        self.assertNotIn(code, self.gateway.log())

    def test_codes_are_made_once_for_a_name(self):
        account = self.account()
        wanted = {"name": "once", "amount": "3", "currency": "USD", "count": 3}
        answers = []
        calls = [threading.Thread(target=lambda: answers.append(
            self.admin.post("/codes", wanted, headers={"Idempotency-Key": "codes-1"}))) for _ in range(8)]
        for call in calls:
            call.start()
        for call in calls:
            call.join()
        self.assertEqual({answer.status for answer in answers} - {409}, {201})
        for answer in answers:
            if answer.status == 409:
                self.assertEqual(answer.error["code"], "idempotency_in_progress")
        again = self.admin.post("/codes", wanted, headers={"Idempotency-Key": "codes-1"})
        self.assertEqual((again.status, again.header("idempotent-replayed")), (201, "true"))
        self.assertEqual({answer.text for answer in answers if answer.status == 201}, {again.text})
        batches = [row for row in self.admin.get("/codes?limit=100").json()["data"] if row["name"] == "once"]
        self.assertEqual([(row["id"], row["count"]) for row in batches], [(again.json()["id"], 3)])
        other = self.admin.post("/codes", {**wanted, "amount": "300"}, headers={"Idempotency-Key": "codes-1"})
        self.assertEqual((other.status, other.error["code"]), (422, "idempotency_key_reused"))
        # What was given twice is worth what it was: redeeming, too, may lose its answer.
        redemption = {"account": account, "code": again.json()["codes"][0]}
        first, second = (self.admin.post("/redemptions", redemption, headers={"Idempotency-Key": "redeem-1"})
                         for _ in range(2))
        self.assertEqual((first.status, second.text), (201, first.text))
        self.assertEqual(self.balance(account), "3")

    def test_a_secret_that_is_shown_again_is_nowhere_in_clear(self):
        account = self.account()
        made = self.admin.post("/keys", {"name": "rotated", "account": account})
        self.assertEqual(made.status, 201, made.text)
        made = made.json()
        for path, body, member in (("/codes", {"name": "n", "amount": "1", "currency": "USD"}, "codes"),
                                   ("/keys", {"name": "k", "account": account}, "key"),
                                   (f"/keys/{made['id']}/rotate", {"grace": "60s"}, "key"),
                                   ("/tokens", {"name": "t", "role": "viewer"}, "token")):
            with self.subTest(path):
                named = {"Idempotency-Key": "secret of " + path}
                first, second = (self.admin.post(path, body, headers=named) for _ in range(2))
                self.assertIn(first.status, (200, 201), first.text)
                self.assertEqual(second.text, first.text)
                shown = first.json()[member]
                secret = (shown[0] if isinstance(shown, list) else shown).encode()
                for file in self.gateway.state.rglob("*"):
                    if file.is_file():
                        self.assertNotIn(secret, file.read_bytes(), file)

    def test_the_holder_of_a_key_redeems_codes(self):
        account = self.account()
        key = self.admin.post("/keys", {"name": "buyer", "account": account}).json()["key"]
        codes = self.admin.post("/codes", {"name": "shop", "amount": "7", "currency": "USD",
                                           "count": 1}).json()["codes"]

        def redeem(body, key=key, method="POST"):
            return client.call(self.gateway.url, method, "/v1/redeem", body, key)
        for body, status, code in (({"code": codes[0]}, 401, "invalid_api_key"),
                                   ({"code": "no-such-code"}, 404, "unknown_code"),
                                   ({"code": 5}, 400, "invalid_value"), ("{", 400, "invalid_value"),
                                   ({"code": "x" * 5000}, 413, "bad_body")):
            refused = redeem(body, None if status == 401 else key)
            self.assertEqual((refused.status, refused.error["code"]), (status, code), refused.text)
        self.assertEqual(redeem(None, method="GET").status, 405)
        answer = redeem({"code": codes[0]})
        self.assertEqual(answer.status, 201, answer.text)
        given = answer.json()
        self.assertEqual((given["account"], given["amount"], given["state"]), (account, "7", "applied"))
        again = redeem({"code": codes[0]})
        self.assertEqual((again.status, again.error["code"]), (409, "code_used"))
        self.assertEqual(self.balance(account), "7")
        self.assertNotIn(codes[0], self.gateway.log())

    def command(self, *words, code=0):
        done = subprocess.run([self.gateway.binary, *words, "--state", str(self.gateway.state)],
                              env=self.gateway.env, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout if code == 0 else done.stderr

    def test_commands(self):
        account = self.account()
        made = self.command("order", "create", "--account", account, "--amount", "12.5",
                            "--currency", "USD", "--reference", "by hand", "--json")
        order = json.loads(made)["id"]
        self.assertIn("state: applied", self.command("order", "pay", order, "--payment", "bank 7"))
        table = self.command("order", "list", "--account", account).splitlines()
        self.assertTrue(table[0].startswith("ID  "), table)
        self.assertIn("by hand", table[1])
        self.assertIn("no more than what is left",
                      self.command("order", "refund", order, "--amount", "13", code=1))
        plan = "cli_" + account[-6:]
        self.command("plan", "create", "--id", plan, "--name", "By hand", "--price", "10",
                     "--currency", "USD", "--period", "week", "--models", "gpt-*,o3",
                     "--limits", '{"rpm":60}')
        self.assertIn('models: ["gpt-*","o3"]', self.command("plan", "show", plan))
        self.assertIn("version: 2", self.command("plan", "set", plan, "--price", "11"))
        self.command("plan", "subscribe", "--account", account, "--plan", plan)
        self.assertIn("active", self.command("plan", "subscriptions", "--account", account))
        self.assertEqual(self.balance(account), "1.5")
        month = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m")
        csv = self.command("invoice", "preview", "--account", account, "--month", month,
                           "--format", "csv")
        self.assertTrue(csv.startswith("kind,model,price_version,requests,input,"), csv)
        self.assertIn("not over", self.command("invoice", "issue", "--account", account, "--month",
                                               month, code=1))
        code = self.command("code", "create", "--name", "n", "--amount", "2", "--currency",
                            "USD").splitlines()[-1]
        self.command("code", "redeem", "--account", account, "--code", code.lower())
        self.assertEqual(self.balance(account), "3.5")
        budget = json.loads(self.command("budget", "create", "--name", "b", "--amount", "5",
                                         "--currency", "USD", "--account", account, "--zone",
                                         "Europe/Berlin", "--json"))
        self.assertEqual((budget["spent"], budget["hard"]), ("0", True))
        self.assertIn("amount: 6", self.command("budget", "set", budget["id"], "--amount", "6"))
        self.assertIn("unknown option", self.command("budget", "list", "--limt", "1", code=2))

    def test_bad_bodies(self):
        for path, body, word in (("/orders", {"amount": 5}, "amount"),
                                 ("/orders", {"amont": "5"}, "amont"),
                                 ("/orders", [], "JSON object"),
                                 ("/plans", {"id": "x", "name": "x", "price": "-1"}, "price"),
                                 ("/budgets", {"name": "b", "amount": "1", "currency": "USD",
                                               "zone": "Mars/Olympus"}, "zone"),
                                 ("/invoices", {"account": "default", "month": "October"}, "month")):
            with self.subTest(path=path, body=body):
                answer = self.admin.post(path, body)
                self.assertEqual(answer.status, 400)
                self.assertIn(word, answer.json()["error"]["message"])
        self.assertEqual(self.admin.get("/orders?limit=0").status, 400)
        self.assertEqual(self.admin.get("/orders?limit=1001").status, 400)

    def test_pages(self):
        account = self.account()
        made = [self.order(account, reference=f"page {i}") for i in range(5)]
        seen, after = [], ""
        while after is not None:
            page = self.admin.get(f"/orders?account={account}&limit=2&after={after}").json()
            seen += [order["id"] for order in page["data"]]
            after = page["next"]
        self.assertEqual(sorted(seen), sorted(made))


class WithoutSecret(unittest.TestCase):
    def test_there_is_no_webhook(self):
        for payments in ({}, {"stripe": {"signing_secret": ""}}):
            with self.subTest(payments), Gateway({**CONFIG, "payments": payments}) as gateway:
                body = session("evt", "ord", 1)
                answer = client.call(gateway.url, "POST", "/webhooks/stripe", body,
                                     headers={"Stripe-Signature": signature(body, "")})
                self.assertEqual((answer.status, answer.json()["error"]["code"]),
                                 (404, "unknown_url"))


class Told(unittest.TestCase):
    def test_a_low_balance_is_posted_signed(self):
        with Receiver() as receiver:
            config = {**CONFIG, "destinations": {"pager": {"url": receiver.url}},
                      "alerts": {"destination": "pager", "signing_secret": "${STRIPE_SECRET}"}}
            with Gateway(config, env={"STRIPE_SECRET": SECRET}) as gateway:
                self.check(gateway, config, receiver)

    def check(self, gateway, config, receiver):
        admin = Admin(gateway)
        account = new_account(admin)
        order = admin.post("/orders", {"account": account, "amount": "0.5",
                                       "currency": "USD"}).json()["id"]
        self.assertEqual(admin.post(f"/orders/{order}/pay").status, 200)
        # A new floor is looked at at once.
        config["alerts"]["balance_floor"] = "1"
        gateway.write_config(config)
        self.assertEqual(admin.post("/reload").status, 200)
        wait_for(lambda: receiver.posts, what="an alert")
        header, body = receiver.posts[0]
        at = int(header.split(",")[0].removeprefix("t="))
        self.assertEqual(header, signature(body, at=at))
        alert = json.loads(body)
        self.assertEqual((alert["kind"], alert["account"], alert["balance"]),
                         ("balance", account, "0.5"))
        wait_for(lambda: admin.get("/alerts").json()["data"][0]["delivered"], what="delivered")


    def test_keys_of_providers_that_expire_are_told_once_a_threshold(self):
        today = datetime.datetime.now(datetime.timezone.utc).date()

        def key(name, days):
            return {"name": name, "key": "${UPSTREAM_KEY}", "expires": str(today + datetime.timedelta(days))}
        keys = [key("gone", -2), key("soon", 4), key("fortnight", 11), key("later", 40)]
        with Receiver() as receiver:
            provider = {"dialect": "openai", "base_url": receiver.url, "models": ["m"], "credentials": keys}
            config = {**CONFIG, "providers": {**CONFIG["providers"], "up": provider},
                      "destinations": {"pager": {"url": receiver.url}},
                      "alerts": {"destination": "pager", "signing_secret": "${STRIPE_SECRET}"}}
            with Gateway(config, env={"STRIPE_SECRET": SECRET, "UPSTREAM_KEY": "sk-upstream"}) as gateway:
                admin = Admin(gateway)

                def told(count):
                    wait_for(lambda: len(receiver.posts) >= count, what=f"{count} alerts")
                    for header, body in receiver.posts:
                        self.assertEqual(header, signature(body, at=int(header.split(",")[0].removeprefix("t="))))
                        self.assertNotIn("sk-upstream", body)
                    alerts = [json.loads(body) for _, body in receiver.posts]
                    self.assertEqual({(alert["kind"], alert["provider"]) for alert in alerts}, {("credential", "up")})
                    return sorted((alert["credential"], alert["expires"]) for alert in alerts)

                def midnight(days):
                    day = today + datetime.timedelta(days)
                    return int(datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.timezone.utc).timestamp())
                first = [("fortnight", midnight(11)), ("gone", midnight(-2)), ("soon", midnight(4))]
                self.assertEqual(told(3), first)
                logged = re.findall(r"alert kind=credential .*", gateway.log())
                self.assertEqual(len(logged), 3, logged)
                self.assertEqual(gateway.log().count("sk-upstream"), 0)
                # The clock has come nearer to one: it is told of again, the others are not.
                keys[2] = key("fortnight", 6)
                gateway.write_config(config)
                self.assertEqual(admin.post("/reload").status, 200)
                self.assertEqual(told(4), sorted([*first, ("fortnight", midnight(6))]))
                wait_for(lambda: [row["delivered"] is not None for row in admin.get("/alerts").json()["data"]] ==
                         [True] * 4, what="all delivered")

    def test_money_that_runs_out_at_a_provider_is_told(self):
        with Receiver() as receiver:
            provider = {"dialect": "deepseek", "base_url": receiver.url, "models": ["m"],
                        "credentials": [{"key": "${UPSTREAM_KEY}"}], "balance": {"floor": "5"}}
            config = {**CONFIG, "providers": {"seek": provider, "demo": {"plugin": "demo"}},
                      "destinations": {"pager": {"url": receiver.url}},
                      "alerts": {"destination": "pager", "signing_secret": "${STRIPE_SECRET}"}}
            with Gateway(config, env={"STRIPE_SECRET": SECRET, "UPSTREAM_KEY": "sk-upstream"}) as gateway:
                admin = Admin(gateway)
                wait_for(lambda: receiver.posts, what="an alert")
                alert = json.loads(receiver.posts[0][1])
                self.assertEqual([alert[name] for name in ("kind", "provider", "credential", "balance", "floor",
                                                           "currency")],
                                 ["upstream_balance", "seek", "default", "4.99", "5", "USD"])
                self.assertEqual(receiver.asked[0], ("/alerts/user/balance", "Bearer sk-upstream"))
                told = {row["id"]: row["balances"] for row in admin.get("/providers").json()["data"]}
                self.assertIsNone(told["demo"])
                [balance] = told["seek"]
                self.assertEqual((balance["left"], balance["low"], balance["error"]),
                                 ([{"amount": "4.99", "currency": "USD"}], True, None))
                metrics = client.call(gateway.admin_url, "GET", "/metrics").text
                self.assertIn('switchyard_upstream_balance{provider="seek",credential="default",currency="USD"} 4.99',
                              metrics)
                # What can't be asked for is said, and alarms nobody.
                receiver.balance = (403, {})
                gateway.write_config({**config, "providers": {**config["providers"], "seek": {
                    **provider, "balance": {"floor": "6"}}}})
                self.assertEqual(admin.post("/reload").status, 200)

                def fault():
                    rows = {row["id"]: row["balances"] for row in admin.get("/providers").json()["data"]}
                    return rows["seek"][0]["error"]
                self.assertEqual(wait_for(fault, what="the fault"), "it answered 403")
                self.assertEqual(len(receiver.posts), 1)
                # Once for each configuration: the next time is minutes away.
                self.assertEqual(len(receiver.asked), 2)

    def test_what_was_asked_for_before_a_reload_is_told_of_nobody_else(self):
        with Receiver() as receiver:
            def watched(**members):
                return {"dialect": "deepseek", "base_url": receiver.url, "models": ["m"], "balance": {"floor": "5"},
                        "credentials": [{"key": "${UPSTREAM_KEY}"}], **members}
            receiver.answers.clear()
            with Gateway({**CONFIG, "providers": {"before": watched()}},
                         env={"STRIPE_SECRET": SECRET, "UPSTREAM_KEY": "sk-upstream"}) as gateway:
                admin = Admin(gateway)

                def balances(provider):
                    rows = {row["id"]: row["balances"] for row in admin.get("/providers").json()["data"]}
                    return rows.get(provider)
                wait_for(lambda: receiver.asked, what="the first question")
                gateway.write_config({**CONFIG, "providers": {"after": watched(headers={"x-whose": "after"})}})
                self.assertEqual(admin.post("/reload").status, 200)
                wait_for(lambda: balances("after"), what="the new configuration")
                receiver.refused = "after"
                receiver.answers.set()
                self.assertEqual(wait_for(lambda: balances("after")[0]["error"], what="its own answer"),
                                 "it answered 403")
                self.assertEqual(balances("after")[0]["left"], [])

    def test_a_provider_that_tells_no_balance_is_not_watched(self):
        config = {**CONFIG, "providers": {"up": {"dialect": "openai", "credentials": [{"key": "${UPSTREAM_KEY}"}],
                                                 "balance": {"floor": "5"}}}}
        with self.assertRaisesRegex(RuntimeError, "/providers/up/balance: no address is known"):
            Gateway(config, env={"STRIPE_SECRET": SECRET, "UPSTREAM_KEY": "sk-upstream"})


class Receiver:
    """Takes posts and keeps them; answers who asks for a balance."""

    def __init__(self):
        import http.server
        posts = self.posts = []
        asked = self.asked = []
        self.balance = (200, {"balance_infos": [{"currency": "USD", "total_balance": "4.99"}]})
        self.refused = None  # whose header x-whose says so
        self.answers = threading.Event()
        self.answers.set()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                posts.append((self.headers["switchyard-signature"], body))
                self.send_response(204)
                self.end_headers()

            def do_GET(self):
                asked.append((self.path, self.headers["Authorization"]))
                receiver.answers.wait(20)
                status, body = receiver.balance
                if receiver.refused and self.headers["x-whose"] == receiver.refused:
                    status = 403
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/alerts"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


if __name__ == "__main__":
    unittest.main()
