"""Records: what the gateway keeps of each request, how it is found again, and what it is summed up to."""

import csv
import datetime
import io
import json
import pathlib
import sqlite3
import subprocess
import unittest
import urllib.parse

from stage import Stage, provider  # first: it says where the others are
import client
from gateway import find_binary, wait_for
from upstream import USAGE, Upstream


def run(stage, *arguments):
    done = subprocess.run([find_binary(), *arguments, "--state", str(stage.gateway.state)],
                          env=stage.gateway.env, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


class Records(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.west = Upstream()
        cls.addClassCleanup(cls.west.close)
        cls.stage = Stage(
            providers={"west": provider(cls.west.url)},
            models={
                "chosen": {"candidates": [{"target": "up/status-500", "weight": 1},
                                          {"target": "west/status-500", "weight": 1}],
                           "strategy": {"plugin": "weighted"}},
                "second": ["up/status-500", "west/m"],
            },
            records={"plans_one_in": 0})
        cls.addClassCleanup(cls.stage.close)
        cls.token = (cls.stage.gateway.state / "admin.token").read_text().strip()

    def ask(self, path, **query):
        if query:
            path += "?" + urllib.parse.urlencode(query)
        return client.call(self.stage.gateway.admin_url, "GET", path, None, self.token)

    def list(self, **query):
        answer = self.ask("/admin/v1/records", **query)
        self.assertEqual(answer.status, 200, answer.text)
        return answer.json()

    def find(self, answer):
        name = answer.header("x-request-id")

        def found():
            shown = self.ask("/admin/v1/records/" + name)
            return shown.json() if shown.status == 200 else None
        return wait_for(found, what=f"the record of {name}")

    def test_a_request_is_told_by_api_and_command(self):
        answer = self.stage.chat("alias")
        self.assertEqual(answer.status, 200)
        record = self.find(answer)
        began = datetime.datetime.fromisoformat(record["time"].replace("Z", "+00:00"))
        now = datetime.datetime.now(datetime.timezone.utc)
        self.assertLess(abs((now - began).total_seconds()), 60)
        self.assertGreater(record["latency_ms"], 0)
        self.assertGreaterEqual(record["latency_ms"], record["upstream_ms"])
        told = {name: record[name] for name in (
            "account", "feature", "task", "surface", "model_asked", "model", "provider", "stream", "status",
            "final_status", "attempts", "error_code", "error", "finish_reason", "fallback_path", "route_reason",
            "charge", "cost")}
        self.assertEqual(told, {
            "account": "default", "feature": "", "task": "chat", "surface": "openai", "model_asked": "alias",
            "model": "m", "provider": "up", "stream": False, "status": 200, "final_status": "ok", "attempts": 1,
            "error_code": "", "error": "", "finish_reason": "stop", "fallback_path": "",
            "route_reason": "alias alias", "charge": None, "cost": None})
        self.assertEqual(record["usage"], {
            "input_tokens": USAGE["prompt_tokens"], "output_tokens": USAGE["completion_tokens"], "cached_tokens": 0,
            "reasoning_tokens": 0, "estimated": False})
        self.assertNotIn("plan", record)  # plans_one_in: 0
        self.assertTrue(record["key"])

        code, out, err = run(self.stage, "record", "show", record["id"], "--json")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(json.loads(out), record)
        code, out, err = run(self.stage, "record", "show", record["id"])
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?m)^provider +up$")
        code, out, err = run(self.stage, "record", "show", "req_nobody")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("There is no record of the request req_nobody", err)

    def test_failures_keep_the_plan(self):
        for model, order in (("chosen", 2), ("up/status-500", 1)):
            with self.subTest(model):
                answer = self.stage.chat(model)
                self.assertGreaterEqual(answer.status, 500)
                record = self.find(answer)
                self.assertEqual(record["final_status"], "upstream_error")
                plan = record["plan"]
                self.assertEqual(plan["alias"], model)
                self.assertEqual(len(plan["order"]), order)
                self.assertEqual(plan["candidates"][plan["order"][0]]["model"], "status-500")
                self.assertEqual(plan["request"]["model"], model)
        self.assertEqual(plan["candidates"][0]["provider"], "up")

    def test_a_failover_is_told(self):
        record = self.find(self.stage.chat("second"))
        self.assertEqual((record["provider"], record["attempts"], record["status"]), ("west", 2, 200))
        self.assertIn("up/status-500", record["fallback_path"])

    def test_filters_and_pages(self):
        wanted = [self.find(self.stage.chat("up/paged"))["id"] for _ in range(5)]
        wrong = self.find(self.stage.chat("no-such-model"))
        other = self.find(self.stage.chat("west/other"))
        page = self.list(model="paged", limit=2)
        found = [each["id"] for each in page["data"]]
        while page["next"]:
            self.assertEqual(len(page["data"]), 2)
            page = self.list(model="paged", limit=2, after=page["next"])
            found += [each["id"] for each in page["data"]]
        self.assertEqual(found, wanted[::-1])

        def ids(**query):
            return [each["id"] for each in self.list(**query)["data"]]
        self.assertEqual(ids(provider="west", model="other"), [other["id"]])
        self.assertIn(wrong["id"], ids(status=404, final_status="client_error", error="no-such-MODEL", failed="true"))
        self.assertEqual(ids(model_asked="no-such-model"), [wrong["id"]])
        self.assertEqual(ids(account="nobody"), [])
        self.assertEqual(ids(to="2020-01-01"), [])
        self.assertEqual(ids(model="other", latency_min_ms=3_600_000), [])
        self.assertEqual(ids(model="other", cost_min="0"), [])  # not known is not zero
        self.assertEqual(ids(model="other", key=other["key"], task="chat", **{"from": "2026-01-01T00:00:00Z"}),
                         [other["id"]])

    def test_what_is_asked_wrongly_is_refused_by_name(self):
        for query, said in (({"limit": 0}, "limit"), ({"limit": 1001}, "limit"), ({"after": "x"}, "after"),
                            ({"modle": "x"}, "model"), ({"from": "yesterday"}, "from"), ({"cost_min": "1e9"}, "cost_min"),
                            ({"error": "x" * 201}, "200 bytes"), ({"status": "abc"}, "status")):
            with self.subTest(query):
                answer = self.ask("/admin/v1/records", **query)
                self.assertEqual(answer.status, 400)
                self.assertEqual(answer.json()["error"]["code"], "bad_query")
                self.assertIn(said, answer.json()["error"]["message"])
        for query in ({"by": "model,model"}, {"by": "colour"}, {"step": "week"}, {"from": "2026-01-02", "to": "2026-01-01"}):
            with self.subTest(query):
                self.assertEqual(self.ask("/admin/v1/usage", **query).status, 400)
        self.assertEqual(client.call(self.stage.gateway.admin_url, "GET", "/admin/v1/records").status, 401)

    def test_usage_is_summed_up(self):
        for _ in range(3):
            self.find(self.stage.chat("up/summed"))
        answer = self.stage.chat("west/summed", stream=True)
        self.assertEqual(answer.status, 200)
        self.find(answer)

        def summed(**query):
            rows = self.ask("/admin/v1/usage", model="summed", **query).json()["data"]
            return rows if sum(row["requests"] for row in rows) == 4 else None
        rows = wait_for(lambda: summed(by="provider,model", step="hour", latency="true"), what="the sums")
        self.assertEqual({row["provider"]: row["requests"] for row in rows}, {"up": 3, "west": 1})
        for row in rows:
            self.assertEqual(row["model"], "summed")
            self.assertEqual(row["input_tokens"], row["requests"] * USAGE["prompt_tokens"])
            self.assertEqual((row["errors"], row["unpriced"], row["cost"]), (0, row["requests"], []))
            self.assertGreater(row["latency"]["p95_ms"], 0)
        self.assertEqual(len(summed()), 1)

        code, out, err = run(self.stage, "usage", "--by", "provider", "--model", "summed", "--csv")
        self.assertEqual((code, err), (0, ""))
        lines = list(csv.DictReader(io.StringIO(out)))
        self.assertEqual({line["provider"]: line["requests"] for line in lines}, {"up": "3", "west": "1"})
        code, out, err = run(self.stage, "usage", "--by", "provider", "--model", "summed", "--latency")
        self.assertRegex(out, r"(?m)^\S+ +west +1 +0 ")

    def test_the_list_is_a_table_and_a_sheet(self):
        answer = self.stage.chat("no-model", headers={"X-Request-Id": "-1+cmd"})
        self.assertEqual(answer.status, 404)
        bad = self.stage.chat("=1+2\nx,y")
        self.find(bad)
        code, out, err = run(self.stage, "record", "list", "--model-asked", "=1+2\nx,y", "--csv")
        self.assertEqual(code, 0, err)
        (line,) = csv.DictReader(io.StringIO(out, newline=""))
        self.assertEqual(line["model_asked"], "'=1+2\nx,y")
        self.assertEqual(line["status"], "404")
        code, out, err = run(self.stage, "record", "list", "--status", "404", "--limit", "1")
        self.assertEqual(code, 0)
        self.assertEqual(len(out.splitlines()), 2)
        self.assertIn("more with: --after ", err)
        code, out, err = run(self.stage, "record", "list", "--sttus", "404")
        self.assertEqual((code, out), (2, ""))
        self.assertIn("--status", err)


class Files(unittest.TestCase):
    def test_a_restart_keeps_them_and_a_torn_file_stops_nobody(self):
        with Stage() as stage:
            token = (stage.gateway.state / "admin.token").read_text().strip()

            def ids():
                answer = client.call(stage.gateway.admin_url, "GET", "/admin/v1/records", None, token)
                return [each["id"] for each in answer.json()["data"]], answer.json().get("unreadable_days")
            first = stage.chat("alias").header("x-request-id")
            stage.gateway.stop()
            (file,) = (stage.gateway.state / "records").glob("20*.db")
            self.assertEqual(file.stat().st_mode & 0o777, 0o600)
            self.assertEqual(file.parent.stat().st_mode & 0o777, 0o700)
            stage.gateway.start()
            stage.url = stage.gateway.url
            self.assertEqual(ids(), ([first], None))
            stage.gateway.stop()
            file.write_bytes(b"torn" * 5000)
            stage.gateway.start()
            stage.url = stage.gateway.url
            self.assertEqual(ids(), ([], [file.stem]))
            answer = stage.chat("alias")
            self.assertEqual(answer.status, 200)
            wait_for(lambda: ids() == ([answer.header("x-request-id")], None), what="the day's new file")
            self.assertIn("records_damaged", stage.gateway.log())
            sums = sqlite3.connect(stage.gateway.state / "records" / "usage.db")
            wait_for(lambda: sums.execute("SELECT SUM(requests) FROM sums WHERE step = 86400 AND kind = 0")
                     .fetchone()[0] == 2, what="both in the sums")
            sums.close()

    def test_no_room_costs_records_and_no_request(self):
        with Stage(records={"size_max": "1MB"}) as stage:
            directory = pathlib.Path(stage.gateway.state) / "records"
            stage.chat("alias")
            wait_for(lambda: list(directory.glob("20*.db")), what="the day's file")
            (directory / "2020-01-01.db.damaged").write_bytes(b"x")
            stage.gateway.stop()
            # A directory that nothing can be made in any more stands for a disk that is full.
            for file in directory.iterdir():
                file.unlink()
            directory.rmdir()
            directory.write_bytes(b"")
            stage.gateway.start()
            stage.url = stage.gateway.url
            self.assertEqual(stage.chat("alias").status, 200)
            wait_for(lambda: "logger_failed logger=records" in stage.gateway.log(), what="a line that tells it")

    def test_they_can_be_left_out_and_their_settings_are_checked(self):
        with Stage(records={"enabled": False}) as stage:
            self.assertEqual(stage.chat("alias").status, 200)
            stage.gateway.stop()
            self.assertFalse((stage.gateway.state / "records").exists())
        for records, said in (({"keep": "30"}, "/records/keep"), ({"size_max": "10"}, "/records/size_max"),
                              ({"keep": "500d"}, "/records/usage_keep")):
            with self.subTest(records), self.assertRaises(RuntimeError) as caught:
                Stage(records=records).close()
            self.assertIn(said, str(caught.exception))


if __name__ == "__main__":
    unittest.main()
