"""Loggers as an operator has them: records to a collector that is there, away or stuck, and to files that rotate."""

import collections
import concurrent.futures
import json
import pathlib
import re
import tempfile
import time
import unittest
import urllib.request

from stage import Stage, certificates, closed_port  # first: it says where the others are
import client
from collector import Collector, attributes
from gateway import wait_for

TOKEN = "otlp-canary-0123456789"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
QUEUE_MAX = 16 * 1024


def otlp(url, more=None, **destination):
    """Members of a configuration with jsonl (for Stage.record) and otlp to that url."""
    return {"destinations": {"collector": {"url": url, "proxy": "none", **destination}},
            "loggers": [
                {"plugin": "jsonl", "config": {"path": "switchyard/records.jsonl"}},
                {"plugin": "otlp", "destinations": ["collector"],
                 "config": {"destination": "collector", **(more or {})}}]}


def metric(stage, name, logger):
    text = urllib.request.urlopen(stage.gateway.admin_url + "/metrics").read().decode()
    found = re.search(rf'^{name}{{logger="{logger}"}} (\S+)$', text, re.MULTILINE)
    return float(found.group(1)) if found else None


class Otlp(unittest.TestCase):
    def test_a_request_arrives_as_span_log_record_and_metrics(self):
        with Collector() as collector, Stage(
                env={"OTLP_TOKEN": TOKEN}, log={"level": "trace"},
                **otlp(collector.url, {"service_name": "gate", "resource": {"deployment.environment.name": "test"}},
                       headers={"X-Tenant": "t1"},
                       credential={"value": "${OTLP_TOKEN}", "prefix": "Bearer "})) as stage:
            answer = stage.chat("alias", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
            refused = stage.chat("alias", key="sy-wrong")
            streamed = stage.chat("up/good", stream=True)
            failed = stage.chat("up/status-500")
            ids = [each.header("x-request-id") for each in (answer, refused, streamed, failed)]
            self.assertEqual([each.status for each in (answer, refused, streamed, failed)],
                             [200, 401, 200, 502])
            wait_for(lambda: collector.total("switchyard.requests") == 4, what="4 requests in metrics")
            self.assertEqual(collector.faults, [])

            spans = {attributes(span)["switchyard.request_id"]: span for span in collector.spans}
            logs = {attributes(log)["switchyard.request_id"]: log for log in collector.logs}
            self.assertEqual(set(spans), set(ids))
            self.assertEqual(set(logs), set(ids))
            for each in ids:
                self.assertEqual(spans[each]["traceId"], logs[each]["traceId"])
                self.assertEqual(spans[each]["spanId"], logs[each]["spanId"])
                self.assertGreater(int(spans[each]["endTimeUnixNano"]), int(spans[each]["startTimeUnixNano"]))

            span = spans[ids[0]]
            self.assertEqual((span["traceId"], span["parentSpanId"]), (TRACE, PARENT))
            self.assertEqual((span["name"], span["kind"]), ("chat alias", 2))
            said = attributes(span)
            self.assertEqual(said["gen_ai.operation.name"], "chat")
            self.assertEqual(said["gen_ai.provider.name"], "openai")
            self.assertEqual(said["switchyard.provider"], "up")
            self.assertEqual(said["gen_ai.response.model"], "m")
            self.assertEqual(said["gen_ai.usage.input_tokens"], 11)
            self.assertEqual(said["gen_ai.usage.output_tokens"], 5)
            self.assertEqual(said["http.response.status_code"], 200)
            self.assertEqual(logs[ids[0]]["eventName"], "switchyard.request")
            self.assertTrue(attributes(spans[ids[2]])["gen_ai.request.stream"])
            self.assertEqual(spans[ids[3]]["status"]["code"], 2)
            self.assertNotIn("code", spans[ids[1]]["status"])
            self.assertNotIn("parentSpanId", spans[ids[1]])

            self.assertEqual(collector.total("gen_ai.client.operation.duration"), 3)
            self.assertIn({"service.name": "gate", "deployment.environment.name": "test"}, collector.resources)
            self.assertEqual({each.get("authorization") for each in collector.headers}, {f"Bearer {TOKEN}"})
            self.assertEqual({each.get("X-Tenant") for each in collector.headers}, {"t1"})
            self.assertEqual(collector.connections, 1)

            record = stage.record(answer)
            self.assertEqual(record["trace_id"], TRACE)
            shown = urllib.request.urlopen(stage.gateway.admin_url + "/metrics").read().decode()
            self.assertNotIn(TOKEN, stage.gateway.log() + stage.gateway.records_file.read_text() + shown
                             + "".join(body for _, body in collector.bodies))

    def test_a_collector_that_comes_late_gets_everything(self):
        held, port = closed_port()
        with Stage(**otlp(f"http://127.0.0.1:{port}")) as stage:
            ids = {stage.chat("alias").header("x-request-id") for _ in range(20)}
            wait_for(lambda: metric(stage, "switchyard_logger_faults_total", "otlp"), what="a fault that is counted")
            wait_for(lambda: "logger_failed logger=otlp" in stage.gateway.log(), what="a line that tells it")
            held.close()
            with Collector(port=port) as collector:
                wait_for(lambda: len(collector.logs) >= 20, what="20 log records")
                wait_for(lambda: collector.total("switchyard.requests") >= 20, what="20 requests in metrics")
                self.assertEqual({attributes(log)["switchyard.request_id"] for log in collector.logs}, ids)
                self.assertEqual(len(collector.logs), 20)
                self.assertEqual(collector.faults, [])
                self.assertEqual(metric(stage, "switchyard_logger_dropped_total", "otlp"), 0)

    def test_a_busy_collector_is_left_alone_for_a_while(self):
        with Collector() as collector:
            asked = []

            def busy(path):
                asked.append(time.monotonic())
                return (503, {"Retry-After": "1"}, {}) if len(asked) == 1 else None
            collector.answer = busy
            with Stage(**otlp(collector.url, {"signals": ["logs"]})) as stage:
                stage.chat("alias")
                wait_for(lambda: collector.logs, what="the log record")
                self.assertEqual(len(asked), 2)
                self.assertGreaterEqual(asked[1] - asked[0], 1.0)
                self.assertEqual(len(collector.logs), 1)

    def test_what_a_collector_refuses_for_good_is_not_sent_again(self):
        with Collector() as collector:
            paths = collections.Counter()

            def refuse(path):
                paths[path] += 1
                return (400, {}, {"message": "malformed"}) if path == "/v1/traces" else None
            collector.answer = refuse
            with Stage(**otlp(collector.url)) as stage:
                stage.chat("alias")
                wait_for(lambda: collector.total("switchyard.requests") == 1, what="the metrics")
                self.assertEqual(paths["/v1/traces"], 1)
                self.assertEqual(len(collector.logs), 1)
                self.assertIn("status 400: malformed", stage.gateway.log())

    def test_it_is_swapped_though_its_trial_can_post_nowhere(self):
        with Collector() as collector, Stage(**otlp(collector.url)) as stage:
            token = (stage.gateway.state / "admin.token").read_text().strip()
            swapped = client.call(stage.gateway.admin_url, "POST", "/admin/v1/plugins/swap", {"file": "otlp.so"},
                                  token, timeout=40)
            self.assertEqual(swapped.status, 200, swapped.text)
            stage.chat("alias")
            wait_for(lambda: collector.total("switchyard.requests") == 1, what="the metrics")

    def test_a_stuck_collector_costs_records_and_no_request(self):
        with Collector() as collector:
            collector.stuck.set()
            with Stage(**otlp(collector.url)) as stage:
                stage.chat("alias")
                wait_for(lambda: collector.headers, what="a post that hangs")
                # Refused requests are records as well, and quick ones.
                total = QUEUE_MAX + 600

                def ask(count):
                    with client.Connection(stage.url) as connection:
                        for _ in range(count):
                            connection.send_request("POST", "/v1/chat/completions", b"{}", key="sy-wrong")
                            if connection.receive_answer().status != 401:
                                raise AssertionError("not refused")
                with concurrent.futures.ThreadPoolExecutor(4) as pool:
                    list(pool.map(ask, [total // 4] * 4))
                wait_for(lambda: (metric(stage, "switchyard_logger_dropped_total", "otlp") or 0) > 0,
                         seconds=30, what="drops that are counted")
                self.assertEqual(metric(stage, "switchyard_logger_dropped_total", "jsonl"), 0)
                began = time.monotonic()
                self.assertEqual(stage.chat("alias").status, 200)
                self.assertLess(time.monotonic() - began, 2.0)
                # The end does not wait for it beyond its time.
                self.assertEqual(stage.gateway.stop(), 0)

    def test_the_collector_s_certificate_is_checked(self):
        made = certificates()
        for pair in (made.wrong_name, made.unknown_ca, made.expired):
            with self.subTest(pair.certificate), Collector(pair=pair) as collector, \
                    Stage(env={"OTLP_TOKEN": TOKEN},
                          **otlp(collector.url, tls={"ca_file": made.ca},
                                 credential={"value": "${OTLP_TOKEN}"})) as stage:
                stage.chat("alias")
                wait_for(lambda: "logger_failed logger=otlp" in stage.gateway.log(), what="a line that tells it")
                self.assertRegex(stage.gateway.log(), "certificate")
                self.assertEqual(collector.headers, [])
                self.assertNotIn(TOKEN, stage.gateway.log())
        with Collector(pair=made.good) as collector, \
                Stage(**otlp(collector.url, tls={"ca_file": made.ca})) as stage:
            stage.chat("alias")
            wait_for(lambda: collector.logs, what="the log record over TLS")
            self.assertEqual(collector.faults, [])

    def test_what_can_not_work_is_refused_at_the_start(self):
        def refused(**config):
            with self.assertRaises(RuntimeError) as caught:
                Stage(**config).close()
            return str(caught.exception)
        config = otlp("http://127.0.0.1:1")
        config["loggers"][1]["destinations"] = []
        said = refused(**config)
        self.assertIn("/loggers/1", said)
        self.assertIn("is not among loggers[i].destinations, which lists none", said)
        self.assertIn("config/signals/0", refused(**otlp("http://127.0.0.1:1", {"signals": ["spans"]})))
        self.assertIn("config/signal: unknown key", refused(**otlp("http://127.0.0.1:1", {"signal": []})))
        said = refused(env={"OTLP_TOKEN": TOKEN}, **otlp("http://127.0.0.1:1", credential={"value": "in-clear-canary"}))
        self.assertIn("/destinations/collector/credential/value", said)
        self.assertNotIn("in-clear-canary", said)


class Jsonl(unittest.TestCase):
    def ask(self, stage, count, threads=8):
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            answers = list(pool.map(lambda _: stage.chat("alias"), range(count)))
        self.assertEqual({answer.status for answer in answers}, {200})
        return {answer.header("x-request-id") for answer in answers}

    def test_rotation_under_load_loses_no_line(self):
        with Stage(loggers=[{"plugin": "jsonl", "config": {
                "path": "switchyard/records.jsonl", "rotate_bytes": 1, "keep": 1000}}]) as stage:
            path = pathlib.Path(stage.gateway.records_file)
            ids = self.ask(stage, 200)
            # As logrotate does it, in the middle.
            path.rename(path.with_name("taken-away"))
            ids |= self.ask(stage, 200)
            stage.gateway.stop()
            files = [path, path.with_name("taken-away"), *path.parent.glob("records.jsonl.*")]
            self.assertGreater(len(files), 2)
            lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
            self.assertEqual(len(lines), 400)
            self.assertEqual({line["switchyard.request_id"] for line in lines}, ids)

    def test_a_directory_that_is_gone_for_a_while_costs_no_record(self):
        with tempfile.TemporaryDirectory() as place:
            logs, away = pathlib.Path(place) / "logs", pathlib.Path(place) / "away"
            logs.mkdir()
            file = logs / "records.jsonl"

            def lines():
                return file.read_text().splitlines() if file.exists() else []
            with Stage(loggers=[{"plugin": "jsonl", "config": {"path": str(file)}}]) as stage:
                self.ask(stage, 1)
                wait_for(lambda: len(lines()) == 1, what="the first line")
                logs.rename(away)
                self.ask(stage, 10)
                wait_for(lambda: (metric(stage, "switchyard_logger_faults_total", "jsonl") or 0) > 3,
                         what="faults that are counted")
                self.assertIn("can't be opened: No such file or directory", stage.gateway.log())
                away.rename(logs)
                wait_for(lambda: len(lines()) == 11, what="all lines")
                self.assertEqual(metric(stage, "switchyard_logger_dropped_total", "jsonl"), 0)


if __name__ == "__main__":
    unittest.main()
