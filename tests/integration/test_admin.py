"""The admin API: who may do what, what is written down of it, what is done once, and the configuration."""

import concurrent.futures
import json
import sqlite3
import subprocess
import threading
import unittest

from stage import wait_for  # first: it says where the others are
import client
from admin import DOCUMENT, Admin
from gateway import Gateway

CONFIG = {"providers": {"demo": {"plugin": "demo", "models": ["demo"]}}}
ROLES = ["viewer", "operator", "owner"]


def spellings(path):
    """Other ways to write a path that a careless server takes for the same one."""
    inner = path.removeprefix("/admin/v1")
    return [path, "/admin//v1" + inner, "//admin/v1" + inner, "/admin%2fv1" + inner,
            "/admin/v1/../v1" + inner, "/admin/%2e%2e/admin/v1" + inner, "/./admin/v1" + inner,
            "/admin/v1;x" + inner, path + ";x", path + "/", path + "%00", "/ADMIN/v1" + inner,
            path.upper(), path + "?token=x"]


class Roles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gateway = Gateway(CONFIG)
        cls.addClassCleanup(cls.gateway.close)
        cls.admin = Admin(cls.gateway)
        cls.routes = cls.admin.get("/whoami").json()["routes"]
        cls.tokens = {role: cls.admin.token(role)[1] for role in ROLES}
        cls.tokens["scoped"] = cls.admin.token("owner", account="acc_other")[1]
        cls.tokens["none"] = ""
        cls.tokens["bad"] = "sya-" + "0" * 64
        cls.tokens["gateway key"] = cls.gateway.key
        disabled, cls.tokens["disabled"] = cls.admin.token("owner")
        cls.admin.post(f"/tokens/{disabled}/disable")
        expired, cls.tokens["expired"] = cls.admin.token("owner", expires="2099-01-01T00:00:00Z")
        with sqlite3.connect(cls.gateway.state / "switchyard.db", timeout=10) as database:
            database.execute("UPDATE admin_tokens SET expires_unix_s = 1 WHERE id = ?", (expired,))
        database.close()

    def status(self, method, path, token):
        """Of a call whose body is announced and never sent: who may not ask hears so before it."""
        fields = {"Content-Length": "9"} if method != "GET" else {}
        with client.Connection(self.gateway.admin_url) as connection:
            connection.send_request(method, path, None, token, fields)
            return connection.receive_answer(method).status

    def expected(self, who, route):
        if who not in (*ROLES, "scoped"):
            return 401
        if who == "scoped":
            return 200 if route["for_accounts"] else 403
        return 200 if ROLES.index(who) >= ROLES.index(route["role"]) else 403

    def test_matrix(self):
        """Every route x every kind of caller x every spelling: what is not allowed is refused unread."""
        refused = 0
        for route in self.routes:
            path = route["path"].replace("{id}", "none").replace("{", "").replace("}", "")
            for who, token in self.tokens.items():
                wanted = self.expected(who, route)
                if wanted == 200:
                    continue  # the other tests
                with self.subTest(route=route["path"], method=route["method"], who=who):
                    self.assertEqual(self.status(route["method"], path, token), wanted)
                    for spelling in spellings(path):
                        self.assertIn(self.status(route["method"], spelling, token),
                                      (400, 401, 403, 404, 405), spelling)
                        refused += 1
        self.assertGreater(refused, 1000)

    def test_those_who_may_are_let_in(self):
        for route in self.routes:
            path = route["path"].removeprefix("/admin/v1").replace("{id}", "none")
            for who in (*ROLES, "scoped"):
                if self.expected(who, route) != 200 or "{" in path:
                    continue
                with self.subTest(route=route["path"], method=route["method"], who=who):
                    body = None if route["method"] == "GET" else {"nothing": "that is known"}
                    answer = self.admin.call(route["method"], path, body, self.tokens[who])
                    self.assertNotIn(answer.status, (401, 403))
                    self.assertLess(answer.status, 500, answer.text)

    def test_a_caller_is_told_what_it_may(self):
        for who in (*ROLES, "scoped"):
            answer = self.admin.get("/whoami", token=self.tokens[who]).json()
            shown = {(route["method"], route["path"]) for route in answer["routes"]}
            wanted = {(route["method"], route["path"]) for route in self.routes
                      if self.expected(who, route) == 200}
            self.assertEqual(shown, wanted, who)

    def test_document_and_routes_are_the_same(self):
        served = self.admin.get("/openapi.json").json()
        self.assertEqual(served, DOCUMENT)
        described = {(method.upper(), path): operation for path, operations in DOCUMENT["paths"].items()
                     for method, operation in operations.items()}
        routes = {(route["method"], route["path"]): route for route in self.routes}
        self.assertEqual(set(described) - set(routes), set(), "described, but not there")
        self.assertEqual(set(routes) - set(described), set(), "there, but not described")
        for name, operation in described.items():
            with self.subTest(route=name):
                self.assertEqual(operation["x-role"], routes[name]["role"])
                self.assertEqual(operation.get("x-for-accounts", False), routes[name]["for_accounts"])
                keyed = {"$ref": "#/components/parameters/IdempotencyKey"} in operation.get("parameters", [])
                self.assertEqual(keyed, routes[name]["idempotent_by_key"])


class Audit(unittest.TestCase):
    def setUp(self):
        self.gateway = Gateway(CONFIG)
        self.addCleanup(self.gateway.close)
        self.admin = Admin(self.gateway)

    def cli(self, *words):
        done = subprocess.run([self.gateway.binary, *words, "--state", str(self.gateway.state)],
                              env=self.gateway.env, text=True, capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_every_change_is_there(self):
        operator_id, operator = self.admin.token("operator")
        calls = [("PUT", "/log-level", {"level": "debug"}, 200), ("PUT", "/log-level", {"level": "loud"}, 400),
                 ("POST", "/reload", None, 200), ("POST", "/config/validate", "{}", 200)]
        for method, path, body, status in calls:
            self.assertEqual(self.admin.call(method, path, body, operator).status, status)
        self.admin.post(f"/tokens/{operator_id}/disable")
        rows = self.admin.get("/audit").json()["data"]
        told = [(row["caller_id"], row["method"], row["route"], row["status"]) for row in reversed(rows)]
        self.assertEqual(told, [("owner", "POST", "/admin/v1/tokens", 201)]
                         + [(operator_id, method, "/admin/v1" + path, status)
                            for method, path, _, status in calls]
                         + [("owner", "POST", "/admin/v1/tokens/{id}/disable", 200)])
        self.assertEqual({row["peer"] for row in rows}, {"127.0.0.1"})
        self.assertEqual(rows[0]["object"], operator_id)
        self.assertEqual(rows[-1]["object"], operator_id)
        self.assertEqual(rows[-2]["body"], {"level": "debug"})
        self.assertEqual(rows[-3]["code"], "bad_log_level")
        of_one = self.admin.get(f"/audit?object={operator_id}").json()["data"]
        self.assertEqual([row["seq"] for row in of_one], [6, 1])

    def test_by_command(self):
        made = json.loads(self.cli("token", "create", "--name", "ops", "--role", "operator", "--json"))
        self.assertEqual(self.admin.get("/status", token=made["token"]).status, 200)
        self.assertIn("ops", self.cli("token", "list"))
        self.assertNotIn(made["token"], self.cli("token", "list", "--json"))
        self.cli("token", "disable", made["id"])
        self.assertEqual(self.admin.get("/status", token=made["token"]).status, 401)
        rows = json.loads(self.cli("audit", "list", "--json"))
        self.assertEqual([row["route"] for row in rows], ["token disable", "token create"])
        self.assertIn("token disable", self.cli("audit", "list", "--limit", "1"))
        self.assertNotIn("token create", self.cli("audit", "list", "--limit", "1"))

    def test_no_secret_is_anywhere(self):
        secrets = [self.admin.token("viewer")[1], self.admin.owner, self.gateway.key, "sk-canary-in-clear"]
        clear = json.loads(self.gateway.config_file.read_text())
        clear["providers"]["x"] = {"plugin": "openai", "base_url": "http://127.0.0.1:9/v1",
                                   "credentials": [{"key": "sk-canary-in-clear"}]}
        shown = []
        for path in ("/config/apply", "/config/validate", "/tokens", "/config/rollback", "/reload"):
            shown.append(self.admin.post(path, clear).text)
            shown.append(self.admin.post(path, {"name": "a", "role": "sk-canary-in-clear"}).text)
        for path in DOCUMENT["paths"]:
            if "get" in DOCUMENT["paths"][path] and "{" not in path:
                shown.append(self.admin.get(path.removeprefix("/admin/v1")).text)
        shown += [self.cli("audit", "list", "--json"), self.cli("token", "list", "--json"), self.gateway.log()]
        for secret in secrets:
            for text in shown:
                self.assertNotIn(secret, text)


class Configuration(unittest.TestCase):
    def setUp(self):
        self.gateway = Gateway(CONFIG)
        self.addCleanup(self.gateway.close)
        self.admin = Admin(self.gateway)
        self.before = self.gateway.config_file.read_text()
        self.written = json.loads(self.before)

    def with_alias(self, name, **more):
        return json.dumps({**self.written, "models": {name: ["demo/demo"]}, **more})

    def serves(self, model):
        return client.chat(self.gateway.url, model, self.gateway.key).status == 200

    def assert_unchanged(self):
        self.assertEqual(self.gateway.config_file.read_text(), self.before)
        self.assertEqual(self.admin.get("/status").json()["generation"], 1)
        self.assertEqual(list(self.gateway.directory.glob("*.new")), [])

    def test_what_is_refused_changes_nothing(self):
        refused = {
            "": "{", "/providers/demo/plugin": self.with_alias("a", providers={"demo": {"plugin": 1}}),
            "/plugins": self.with_alias("a", plugins={"directory": "/tmp"}),
            "/listen": self.with_alias("a", listen=["127.0.0.1:1"]),
            "/state": self.with_alias("a", state=str(self.gateway.directory / "elsewhere")),
            "/workers": self.with_alias("a", workers=7),
            "/providers/demo/headers/X-Note":
                self.with_alias("a", providers={"demo": {**self.written["providers"]["demo"],
                                                         "base_url": "http://127.0.0.1:9/v1",
                                                         "headers": {"X-Note": f"file:{self.gateway.state}/admin.token"}}}),
        }
        for pointer, text in refused.items():
            with self.subTest(pointer=pointer):
                answer = self.admin.post("/config/apply", text)
                self.assertEqual(answer.status, 422, answer.text)
                faults = answer.json()["error"]["faults"]
                self.assertTrue(any(fault["pointer"].startswith(pointer) for fault in faults), faults)
                checked = self.admin.post("/config/validate", text).json()
                self.assertFalse(checked["valid"])
                self.assert_unchanged()
        self.assertEqual(self.admin.get("/config/history").json()["data"], [])

    def test_what_its_plugins_refuse_changes_nothing(self):
        text = self.with_alias("a", providers={"x": {"plugin": "no-such-plugin", "models": ["m"]}})
        self.assertEqual(self.admin.post("/config/apply", text).status, 422)
        self.assert_unchanged()

    def test_there_and_back_under_load(self):
        """Requests run on while configurations come and go: none fails."""
        end, failed, served = threading.Event(), [], []

        def ask():
            with client.Connection(self.gateway.url) as connection:
                while not end.is_set():
                    answer = connection.request("POST", "/v1/chat/completions",
                                                {"model": "demo/demo", "messages": client.MESSAGES},
                                                self.gateway.key)
                    (served if answer.status == 200 else failed).append(answer.status)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask) for _ in range(4)]
            try:
                for i in range(10):
                    self.assertEqual(self.admin.post("/config/apply", self.with_alias(f"one-{i}")).status, 200)
                    self.assertTrue(self.serves(f"one-{i}"))
                    self.assertEqual(self.admin.post("/config/rollback").status, 200)
                    self.assertFalse(self.serves(f"one-{i}"))
            finally:
                end.set()
            for each in asking:
                each.result(20)
        self.assertEqual(failed, [])
        self.assertGreater(len(served), 20)
        self.assertEqual(self.gateway.config_file.read_text(), self.before)

    def test_history(self):
        for name in ("one", "two"):
            self.assertEqual(self.admin.post("/config/apply", self.with_alias(name)).status, 200)
        entries = self.admin.get("/config/history").json()["data"]
        self.assertEqual([entry["id"] for entry in entries], ["3", "2", "1"])
        self.assertEqual(self.admin.get("/config/history/1").text, self.before)
        self.assertEqual(self.admin.get("/config/history/9").status, 404)
        self.assertEqual(self.admin.post("/config/rollback", {"id": "9"}).status, 404)
        self.assertEqual(self.admin.post("/config/rollback", {"id": "1"}).status, 200)
        self.assertEqual(self.gateway.config_file.read_text(), self.before)
        self.assertFalse(self.serves("two"))

    def test_by_command(self):
        def cli(*words, code=0):
            done = subprocess.run([self.gateway.binary, "config", *words, "--state", str(self.gateway.state)],
                                  env=self.gateway.env, text=True, capture_output=True, timeout=60)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            return done.stdout + done.stderr
        good, bad = self.gateway.directory / "good.json", self.gateway.directory / "bad.json"
        good.write_text(self.with_alias("one"))
        bad.write_text(self.with_alias("one", workers="many"))
        self.assertIn("demo", cli("show"))
        self.assertIn("/workers", cli("validate", str(bad), code=1))
        self.assertIn("/workers", cli("apply", str(bad), code=1))
        self.assert_unchanged()
        self.assertIn("no faults", cli("validate", str(good)))
        self.assertIn("in force", cli("apply", str(good)))
        self.assertTrue(self.serves("one"))
        self.assertEqual(len(json.loads(cli("history", "--json"))["data"]), 2)
        self.assertIn("in force", cli("rollback"))
        self.assertFalse(self.serves("one"))

    def test_without_a_file_there_is_nothing_to_write(self):
        with Gateway() as gateway:
            answer = Admin(gateway).post("/config/apply", "{}")
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (409, "no_config_file"))


class KeyHolders(unittest.TestCase):
    """What a key may ask of its own account, on the public listener."""

    def test_balance_and_usage(self):
        with Gateway(CONFIG) as gateway:
            admin = Admin(gateway)
            account = admin.post("/accounts", {"name": "shop", "mode": "unmetered", "currency": "USD"}).json()["id"]
            key = admin.post("/keys", {"name": "till", "account": account}).json()["key"]

            def ask(path, token=key, method="GET"):
                return client.call(gateway.url, method, path, None, token)
            balance = ask("/v1/balance").json()
            self.assertEqual((balance["account"], balance["currency"], balance["limited"]), (account, "USD", False))
            for prefix in ("/v1/dashboard/billing/", "/dashboard/billing/"):
                subscription, usage = ask(prefix + "subscription").json(), ask(prefix + "usage").json()
                self.assertEqual(subscription["object"], "billing_subscription")
                self.assertEqual(subscription["hard_limit_usd"] - usage["total_usage"] / 100, 100000000)
                self.assertEqual(ask(prefix + "credit_grants").json()["object"], "credit_summary")
            self.assertEqual(ask("/v1/usage?start_date=2026-01-01&end_date=2026-01-02").json()["data"], [])
            wrong = ask("/v1/usage?start_date=yesterday")
            self.assertEqual((wrong.status, wrong.error["param"]), (400, "start_date"))
            for path in ("/v1/balance", "/v1/usage", "/v1/dashboard/billing/subscription"):
                self.assertEqual(ask(path, token="").status, 401)
                self.assertEqual(ask(path, token="sy-wrong").status, 401)
                self.assertEqual(ask(path, method="POST").status, 405)


class Accounts(unittest.TestCase):
    def test_a_scoped_token_reaches_what_is_below_its_account(self):
        with Gateway(CONFIG) as gateway:
            admin = Admin(gateway)

            def account(name, **more):
                return admin.post("/accounts", {"name": name, **more}).json()["id"]
            org, other = account("org"), account("other")
            team = account("team", parent=org)
            _, scoped = admin.token("owner", account=org)

            def made(of):
                return admin.post("/tokens", {"name": "t", "role": "viewer", "account": of}, token=scoped).status
            self.assertEqual([made(of) for of in (org, team, other, "acc_none")], [201, 201, 403, 403])
            seen = [each["account"] for each in admin.get("/tokens", token=scoped).json()["data"]]
            self.assertEqual(sorted(seen), sorted([org, org, team]))
            listed = [each["id"] for each in admin.get("/accounts", token=scoped).json()["data"]]
            self.assertEqual(sorted(listed), sorted([org, team]))
            self.assertEqual(admin.get(f"/accounts/{other}", token=scoped).status, 404)

    def test_a_token_of_a_team_s_parent_sees_the_team_s_records_usage_and_keys_and_no_others(self):
        with Gateway(CONFIG) as gateway:
            admin = Admin(gateway)
            org = admin.post("/accounts", {"name": "org"}).json()["id"]
            team = admin.post("/accounts", {"name": "team", "parent": org}).json()["id"]
            other = admin.post("/accounts", {"name": "other"}).json()["id"]
            keys, records = {}, {}
            for account in (org, team, other):
                made = admin.post("/keys", {"name": "k", "account": account}).json()
                keys[account] = made["id"]
                answer = client.call(gateway.url, "POST", "/v1/chat/completions",
                                     {"model": "demo/demo", "messages": client.MESSAGES}, made["key"])
                self.assertEqual(answer.status, 200, answer.text)
                records[account] = answer.header("x-request-id")
            wait_for(lambda: len(admin.get("/records").json()["data"]) == 3, what="the records")
            wait_for(lambda: len(admin.get("/usage?by=account").json()["data"]) == 3, what="their sums")
            tokens = {account: admin.token("viewer", account=account)[1] for account in (org, team, other)}
            sees = {org: {org, team}, team: {team}, other: {other}}

            def listed(path, member, token):
                page = admin.get(path, token=token)
                self.assertEqual(page.status, 200, page.text)
                return sorted(row[member] for row in page.json()["data"])

            for account, seen in sees.items():
                token = tokens[account]
                self.assertEqual(listed("/records", "account", token), sorted(seen))
                self.assertEqual(listed("/usage?by=account", "account", token), sorted(seen))
                self.assertEqual(listed("/keys", "id", token), sorted(keys[each] for each in seen))
                self.assertEqual(listed("/accounts", "id", token), sorted(seen))
                for each in (org, team, other):
                    ours = each in seen
                    self.assertEqual(admin.get(f"/records?account={each}", token=token).status, 200 if ours else 400)
                    self.assertEqual(admin.get(f"/usage?account={each}", token=token).status, 200 if ours else 400)
                    self.assertEqual(admin.get(f"/records/{records[each]}", token=token).status, 200 if ours else 404)
                    self.assertEqual(admin.get(f"/keys/{keys[each]}", token=token).status, 200 if ours else 404)
                    for of in ("keys?account", "accounts?below"):
                        answer = admin.get(f"/{of}={each}", token=token)
                        self.assertEqual(answer.status, 200 if ours else 404)
                    for of in ("balances", "entries"):
                        answer = admin.get(f"/ledger/{of}?account={each}", token=token)
                        self.assertEqual(answer.status, 200 if ours else 403)
                for path in ("/ledger/receipts", "/reconciliation", "/orders", "/budgets", "/audit", "/providers"):
                    self.assertEqual(admin.get(path, token=token).status, 403, path)


class Live(unittest.TestCase):
    def test_providers_and_routes_tell_how_they_fare(self):
        config = {**CONFIG, "models": {"fast": {"candidates": ["demo/demo", "demo/demo-reasoning"],
                                                "strategy": [{"plugin": "latency"}]}}}
        config["providers"] = {"demo": {"plugin": "demo", "models": ["demo", "demo-reasoning"]}}
        with Gateway(config) as gateway:
            admin = Admin(gateway)
            for _ in range(3):
                self.assertEqual(client.chat(gateway.url, "fast", gateway.key).status, 200)
            provider = admin.get("/providers").json()["data"][0]
            self.assertEqual(provider["id"], "demo")
            self.assertEqual(len(provider["plugin_state"]["sha256"]), 64)
            alias = admin.get("/routes").json()["data"][0]
            self.assertEqual((alias["alias"], alias["strategies"]), ("fast", ["latency"]))
            self.assertEqual(sum(each["measured"]["samples"] for each in alias["candidates"]), 3)


if __name__ == "__main__":
    unittest.main()
