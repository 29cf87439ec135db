#!/usr/bin/env python3
"""The performance ruler: Switchyard against nginx proxying the same bytes, interleaved in one run.

    bench.py                                 everything, 7 rounds; writes RESULTS.md
    bench.py --only request --rounds 3       one figure, for tuning; writes nothing
    bench.py --only request --subjects relay --seconds 2

Figures: request (CPU per request of 32 clients that never wait), paced (the same where all get as many requests a
second), event (CPU per relayed stream event), translation (of a 20 KB request and of an event, without sockets), memory
(RSS per open stream), latency (added under half load), durable (what `durability: disk` adds to the latency at 2,000
requests/s). Subjects, each also with a TLS upstream ("-tls"): nginx, relay (key, plugin, limits, metrics; every request
has its receipt in the books), logged (relay with the jsonl logger writing a real file), full (everything on: prices, so that each request is charged and has
a cost, records with their sums, and the logger) and, in the event figure alone, translated (relay whose upstream streams
as Anthropic's; nginx relays the same text as OpenAI's). CPU is user and system time of all processes of the proxy; of
it, "loops" is what the event loops' threads had, and "behind" all others: the books, records, loggers.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from certificates import Certificates  # noqa: E402
import client  # noqa: E402
from gateway import Gateway, wait_for  # noqa: E402

FIGURES = ("request", "paced", "event", "translation", "memory", "latency", "durable")
TARGETS = {  # at most so many times nginx, or at most so much
    ("request", "relay"): 1.5, ("request", "logged"): 2.0, ("request", "full"): 2.0,
    ("request", "relay-tls"): 1.5, ("request", "logged-tls"): 2.0, ("request", "full-tls"): 2.0,
    ("event", "relay"): 1.25, ("event", "relay-tls"): 1.25, ("event", "translated"): 2.5,
}
TRANSLATED_REQUEST_TARGET_US = 60
MEMORY_TARGETS_KB = {"relay": 18, "relay-tls": 40}
ADDED_P99_TARGET_US = 300
DURABLE_RATE, DURABLE_P99_TARGET_US = 2000, 5000
PACED_RATE = 4000  # of the paced figure, requests per second
TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")


# -- processes

def process_tree(pid):
    """The process and all its descendants."""
    parents = {}
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    tree = [pid]
    for parent in tree:
        tree += [child for child, of in parents.items() if of == parent]
    return tree


def cpu_us(pid):
    total = 0
    for one in process_tree(pid):
        fields = pathlib.Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total * TICK_US


def loops_us(pid):
    """Of the threads that are named as event loops."""
    total = 0
    for one in process_tree(pid):
        for task in pathlib.Path(f"/proc/{one}/task").iterdir():
            stat = (task / "stat").read_text()
            if "(loop)" in stat:
                fields = stat.rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
    return total * TICK_US


def rss_kb(pid):
    total = 0
    for one in process_tree(pid):
        status = pathlib.Path(f"/proc/{one}/status").read_text()
        total += int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))
    return total


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Upstream:
    def __init__(self, tool, certificate):
        self.process = subprocess.Popen([tool, certificate.certificate, certificate.key],
                                        stdout=subprocess.PIPE, text=True)
        self.plain = int(self.process.stdout.readline().split()[1])
        self.tls = int(self.process.stdout.readline().split()[1])

    def close(self):
        self.process.kill()
        self.process.wait()


# -- the proxies that are measured: each has a pid, ports for requests and streams, and a name

class Nginx:
    def __init__(self, directory, upstream, ca):
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=directory, prefix="nginx-"))
        shutil.copy(ca, self.directory / "ca.pem")
        ports = free_ports(4)
        self.ports = {"request": ports[0], "stream": ports[1],
                      "request-tls": ports[2], "stream-tls": ports[3]}
        values = {"DIR": self.directory, "PLAIN": upstream.plain, "TLS": upstream.tls,
                  "REQUEST_PLAIN": ports[0], "STREAM_PLAIN": ports[1],
                  "REQUEST_TLS": ports[2], "STREAM_TLS": ports[3]}
        text = (HERE / "nginx.conf").read_text()
        text = re.sub(r"@([A-Z_]+)@",
                      lambda match: str(values.get(match.group(1), match.group(0))), text)
        (self.directory / "nginx.conf").write_text(text)
        command = ["nginx", "-p", str(self.directory), "-c", str(self.directory / "nginx.conf"),
                   "-e", str(self.directory / "nginx-error.log")]
        if os.geteuid() == 0:
            command += ["-g", "user root;"]
        self.process = subprocess.Popen(command)
        self.pid = self.process.pid
        wait_for_port(ports[0])

    def port(self, kind, tls):
        return self.ports[kind + ("-tls" if tls else "")]

    def close(self):
        self.process.terminate()
        self.process.wait()


class Switchyard:
    def __init__(self, directory, binary, upstream, ca, kind):
        def provider(url):
            return {"plugin": "openai", "dialect": "openai", "base_url": url, "models": ["*"],
                    "credentials": [{"key": "${BENCH_UPSTREAM_KEY}"}], "tls": {"ca_file": str(ca)}}
        home = pathlib.Path(tempfile.mkdtemp(dir=directory, prefix="switchyard-"))
        models = {}
        for name in MODELS:
            models[name] = f"plain/{name}"
            models[f"tls-{name}"] = f"tls/{name}"
            models[f"translated-{name}"] = f"claude/{name}"
        config = {
            "workers": 1,
            "providers": {"plain": provider(f"http://127.0.0.1:{upstream.plain}/v1"),
                          "tls": provider(f"https://localhost:{upstream.tls}/v1"),
                          "claude": {"plugin": "anthropic", "base_url": f"http://127.0.0.1:{upstream.plain}/v1",
                                     "models": ["*"], "credentials": [{"key": "${BENCH_UPSTREAM_KEY}"}]}},
            "models": models,
        }
        if kind != "full":
            config["records"] = {"enabled": False}
        if kind in ("relay", "translated"):
            config["loggers"] = []
        if kind == "durable":
            config["ledger"] = {"durability": "disk"}
        self.gateway = Gateway(config, binary=binary, directory=home,
                               env={"BENCH_UPSTREAM_KEY": "sk-bench-upstream"})
        self.key = self.gateway.key
        self.pid = self.gateway.pid
        self._port = int(self.gateway.url.rpartition(":")[2])
        if kind == "full":
            self.price()

    # What each model costs, and what it is sold for.
    def price(self):
        for name, book, amount in (("bought", "purchase", "1.5"), ("sold", "sale", "2")):
            models = [*MODELS, *(f"tls-{model}" for model in MODELS)]  # as asked for, and upstream
            prices = [{"model": model, "price": {"input": amount, "output": "6"}} for model in models]
            answer = client.call(self.gateway.admin_url, "POST", "/admin/v1/prices",
                                 {"name": name, "book": book, "currency": "USD", "prices": prices},
                                 (self.gateway.state / "admin.token").read_text().strip())
            if answer.status != 201:
                raise RuntimeError(answer.text)
        wait_for(lambda: "prices_loaded" in self.gateway.log(), what="the prices")

    def port(self, kind, tls):
        return self._port

    def close(self):
        self.gateway.stop()


def wait_for_port(port):
    for _ in range(500):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise RuntimeError(f"nothing listens on port {port}")


# -- what is sent

EVENT_INTERVAL_MS = 10
BEHIND_SECONDS = 1.5  # within which books, records and sums come up to the last request
PACED = f"sse-{EVENT_INTERVAL_MS}-100000000"
MODELS = ("json", "idle", PACED)


def request_body(model, stream):
    """About 1 KB, as a chat request of an ordinary application."""
    body = {"model": model, "messages": [
        {"role": "system", "content": "You are the support desk of a small shop. " * 8},
        {"role": "user", "content": "My parcel has not arrived yet; what can I do about it? " * 9},
    ], "temperature": 0.2}
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return json.dumps(body, separators=(",", ":"))


def request_bytes(port, key, body):
    return (f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}")


class Bench:
    def __init__(self, options):
        self.options = options
        self.load_before = os.getloadavg()[0]
        self.build = pathlib.Path(options.build_dir).resolve()
        self.binary = options.binary or str(self.build / "bin" / "switchyard")
        self.build_tools()
        # On a disk, not in memory: the logger's file is to be a real one.
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=self.build, prefix="bench-"))
        self.certificates = Certificates(self.directory)
        self.upstream = Upstream(self.build / "bin" / "bench_upstream", self.certificates.good)
        self.names = [name for name in self.subject_names()
                      if name.startswith("nginx") or not options.subjects
                      or name in options.subjects.split(",")]

    def build_tools(self):
        names = ("bench_upstream", "bench_client", "bench_translate")
        tools = [self.build / "bin" / name for name in names]
        sources = [HERE / name for name in ("bench_upstream.cpp", "bench_client.cpp", "bench_io.hpp", "translate.cpp")]
        newest = max(source.stat().st_mtime for source in sources)
        if any(not tool.exists() or tool.stat().st_mtime < newest for tool in tools):
            subprocess.run(["cmake", "--build", str(self.build), "--target", "bench_tools"],
                           check=True, stdout=sys.stderr)

    @staticmethod
    def subject_names():
        names = [name + tls for tls in ("", "-tls") for name in ("nginx", "relay", "logged", "full")]
        return [*names, "translated"]

    def start(self, name):
        base = name.removesuffix("-tls")
        if base == "nginx":
            return Nginx(self.directory, self.upstream, self.certificates.ca)
        return Switchyard(self.directory, self.binary, self.upstream, self.certificates.ca,
                          base)

    def start_all(self, started):
        for name in self.names:
            base = name.removesuffix("-tls")
            if base not in started:
                started[base] = self.start(base)

    def close(self):
        self.upstream.close()
        if not self.options.keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    # The bytes of one request for a subject, in a file for the load tools.
    def request_file(self, proxy, name, model, stream):
        tls = name.endswith("-tls")
        is_nginx = name.startswith("nginx")
        accent = "translated-" if name == "translated" else "tls-" if tls and not is_nginx else ""
        named = accent + model
        port = proxy.port("stream" if stream else "request", tls)
        key = "sy-bench" if is_nginx else proxy.key
        body = request_body(named, stream)
        file = self.directory / f"request-{name}-{model}"
        file.write_text(request_bytes(port, key, body))
        return port, key, body, file

    # -- figures: each measures one subject once and returns a dictionary of numbers

    def wrk(self, port, key, body, seconds):
        script = self.directory / "post.lua"
        script.write_text(
            "wrk.method = 'POST'\n"
            f"wrk.headers['Authorization'] = 'Bearer {key}'\n"
            "wrk.headers['Content-Type'] = 'application/json'\n"
            f"wrk.body = [==[{body}]==]\n"
            "done = function(summary)\n"
            "  local e = summary.errors\n"
            "  io.stdout:write(string.format('\\nRESULT %d %d %d\\n', summary.requests,\n"
            "    e.connect + e.read + e.write + e.timeout + e.status, summary.duration))\n"
            "end\n")
        output = subprocess.run(
            ["wrk", "-t1", "-c32", f"-d{seconds}s", "-s", str(script),
             f"http://127.0.0.1:{port}/v1/chat/completions"],
            check=True, capture_output=True, text=True).stdout
        requests, errors, duration_us = map(
            int, re.search(r"RESULT (\d+) (\d+) (\d+)", output).groups())
        if errors or not requests:
            raise RuntimeError(f"port {port}: {errors} errors in {requests} requests\n{output}")
        return requests, duration_us

    def cpu_of(self, proxy, name, load):
        """Of each request that load() makes; it gives their number."""
        before, loops = cpu_us(proxy.pid), loops_us(proxy.pid)
        requests = load()
        time.sleep(BEHIND_SECONDS)  # what is behind catches up
        cpu, loops = cpu_us(proxy.pid) - before, loops_us(proxy.pid) - loops
        if name.startswith("nginx"):
            loops = cpu
        return {"cpu_us": cpu / requests, "loops_us": loops / requests, "behind_us": (cpu - loops) / requests}

    def measure_request(self, proxy, name):
        port, key, body, _ = self.request_file(proxy, name, "json", stream=False)
        self.wrk(port, key, body, 1)  # warm: connections, caches, lazily made buffers
        done = []

        def load():
            done.extend(self.wrk(port, key, body, self.options.seconds))
            return done[0]
        numbers = self.cpu_of(proxy, name, load)
        return numbers | {"per_s": done[0] * 1e6 / done[1]}

    def measure_paced(self, proxy, name):
        port, _, _, file = self.request_file(proxy, name, "json", stream=False)

        def load():
            self.rate_run(port, file, PACED_RATE)
            return PACED_RATE * self.options.seconds
        load()
        return self.cpu_of(proxy, name, load)

    def open_streams(self, proxy, name, model, count):
        port, _, _, file = self.request_file(proxy, name, model, stream=True)
        client = subprocess.Popen([self.build / "bin" / "bench_client", "stream", str(port),
                                   str(count), str(file)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if client.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{name}: the streams did not open")
        return client

    @staticmethod
    def close_streams(client):
        client.stdin.close()
        client.wait()

    @staticmethod
    def events_seen(client):
        client.stdin.write("?\n")
        client.stdin.flush()
        answer = client.stdout.readline()
        if not answer:
            raise RuntimeError("a stream broke")
        return int(answer)

    def measure_event(self, proxy, name):
        numbers = {}
        for streams in self.options.streams:
            client = self.open_streams(proxy, name, PACED, streams)
            time.sleep(0.5)
            cpu, seen = cpu_us(proxy.pid), self.events_seen(client)
            began = time.monotonic()
            time.sleep(self.options.seconds)
            cpu, seen = cpu_us(proxy.pid) - cpu, self.events_seen(client) - seen
            due = (time.monotonic() - began) * 1000 / EVENT_INTERVAL_MS * streams
            self.close_streams(client)
            if seen < 0.9 * due:
                print(f"  note: {name} with {streams} streams relayed {seen} of {due:.0f} events",
                      file=sys.stderr)
            numbers[f"cpu_us_{streams}"] = cpu / seen
            time.sleep(0.3)
        return numbers

    def measure_translation(self, *_):
        tool = self.build / "bin" / "bench_translate"
        said = subprocess.run([tool], check=True, capture_output=True, text=True).stdout
        return {name: float(value) for name, value in map(str.split, said.splitlines())}

    def measure_memory(self, _, name):
        proxy = self.start(name)
        try:
            port, key, body, _ = self.request_file(proxy, name, "json", stream=False)
            self.wrk(port, key, body, 1)
            time.sleep(0.3)
            before = rss_kb(proxy.pid)
            client = self.open_streams(proxy, name, "idle", self.options.open_streams)
            time.sleep(0.5)
            grown = rss_kb(proxy.pid) - before
            self.close_streams(client)
            return {"kb": grown / self.options.open_streams, "base_mb": before / 1024}
        finally:
            proxy.close()

    def rate_run(self, port, file, rate):
        done = subprocess.run(
            [self.build / "bin" / "bench_client", "rate", str(port), str(rate), "32",
             str(self.options.seconds), str(file)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"port {port} at {rate} requests/s: {done.stderr}")
        return json.loads(done.stdout)

    def measure_latency(self, proxy, name):
        # Half of what the slowest subject can do, the same for all in this run.
        port, _, _, file = self.request_file(proxy, name, "json", stream=False)
        direct_port = self.upstream.plain
        direct = self.directory / "request-direct"
        direct.write_text(request_bytes(direct_port, "sk", request_body("json", False)))
        self.rate_run(port, file, self.half_rate)
        through = self.rate_run(port, file, self.half_rate)
        without = self.rate_run(direct_port, direct, self.half_rate)
        return {"added_p50_us": through["p50_us"] - without["p50_us"],
                "added_p99_us": through["p99_us"] - without["p99_us"],
                "p50_us": through["p50_us"], "p99_us": through["p99_us"]}

    def measure_durable(self, _, name):
        subjects = {}
        try:
            numbers = {}
            for kind in ("process", "disk"):
                subject = subjects[kind] = self.start("relay" if kind == "process" else "durable")
                port, _, _, file = self.request_file(subject, f"{name}-{kind}", "json", stream=False)
                self.rate_run(port, file, DURABLE_RATE)
                run = self.rate_run(port, file, DURABLE_RATE)
                numbers |= {f"{kind}_p50_us": run["p50_us"], f"{kind}_p99_us": run["p99_us"]}
        finally:
            for subject in subjects.values():
                subject.close()
        numbers["added_p99_us"] = numbers["disk_p99_us"] - numbers["process_p99_us"]
        return numbers

    def find_half_rate(self, proxies):
        if self.options.rate:
            self.half_rate = self.options.rate
            return
        rates = []
        for name in self.subjects_of("latency"):
            proxy = proxies[name.removesuffix("-tls")]
            port, key, body, _ = self.request_file(proxy, name, "json", stream=False)
            requests, duration_us = self.wrk(port, key, body, 2)
            rates.append(requests * 1e6 / duration_us)
        self.half_rate = int(min(rates) / 2)

    # -- a run

    def run(self, figures):
        results, proxies = {}, {}
        try:
            self.start_all(proxies)
            if "latency" in figures:
                self.find_half_rate(proxies)
            for figure in figures:
                results[figure] = self.run_figure(figure, proxies)
        finally:
            for proxy in proxies.values():
                proxy.close()
        return results

    def subjects_of(self, figure):
        alone = {"durable": "relay", "translation": "translated"}
        if figure in alone:
            return [alone[figure]]
        skipped = () if figure in ("request", "paced") else ("logged", "full")
        skipped += () if figure == "event" else ("translated",)
        return [name for name in self.names if not name.startswith(skipped)]

    def run_figure(self, figure, proxies):
        names = self.subjects_of(figure)
        rounds = []
        for number in range(self.options.rounds):
            rounds.append({})
            # Another first one in each round, so that no subject always runs in the same neighbourhood.
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                measured = getattr(self, f"measure_{figure}")(
                    proxies.get(name.removesuffix("-tls")), name)
                rounds[-1][name] = measured
                print(f"  {figure} {number + 1}/{self.options.rounds} {name:10} " + "  ".join(
                    f"{key} {value:.2f}" for key, value in measured.items()), file=sys.stderr)
        return rounds


# -- what came out

def spread(values):
    return statistics.median(values), min(values), max(values)


def columns(rounds):
    return list(next(iter(rounds[0].values())))


def ruler_of(name):
    return "nginx-tls" if name.endswith("-tls") else "nginx"


def verdict(figure, name, column, value, ratio):
    if figure == "memory" and column == "kb" and name in MEMORY_TARGETS_KB:
        target = MEMORY_TARGETS_KB[name]
        return f"≤ {target} KB", value <= target
    if figure == "latency" and column == "added_p99_us" and name.startswith("relay"):
        return f"≤ {ADDED_P99_TARGET_US} µs", value <= ADDED_P99_TARGET_US
    if figure == "durable" and column == "added_p99_us":
        return f"≤ {DURABLE_P99_TARGET_US} µs", value <= DURABLE_P99_TARGET_US
    if figure == "translation" and column.startswith("request"):
        return f"≤ {TRANSLATED_REQUEST_TARGET_US} µs", value <= TRANSLATED_REQUEST_TARGET_US
    if column.startswith("cpu_us") and (figure, name) in TARGETS:
        target = TARGETS[(figure, name)]
        return f"≤ {target} ×", ratio <= target
    return "", None


def rows(figure, rounds):
    """Lines of (what, subject, value, ratio to nginx, target, met)."""
    for column in columns(rounds):
        for name in rounds[0]:
            median, low, high = spread([one[name][column] for one in rounds])
            ruler = ruler_of(name)
            ratios = [one[name][column] / one[ruler][column]
                      for one in rounds if ruler in one and one[ruler][column] > 0]
            ratio, ratio_low, ratio_high = spread(ratios) if ratios else (0, 0, 0)
            target, met = verdict(figure, name, column, median, ratio)
            compared = "" if name == ruler or not ratios or column.startswith("base") else \
                f"{ratio:.2f} ({ratio_low:.2f}–{ratio_high:.2f})"
            yield (column, name, f"{median:.1f} ({low:.1f}–{high:.1f})", compared, target,
                   "" if met is None else ("yes" if met else "**no**"))


BUSY = ("- **Other work ran on this machine**: the CPU ratios are rough, and the latencies say nothing; "
        "run it again on a quiet one")

TITLES = {
    "request": "CPU time per request (µs) and requests per second with `wrk -c32`",
    "paced": f"CPU time per request (µs) at {PACED_RATE} requests per second, on 32 connections",
    "event": "CPU time per relayed stream event (µs), streams paced 10 ms, by number of streams",
    "translation": "CPU time of a translation alone (µs): of a 20 KB request, of one event of a stream",
    "memory": "Resident memory per open stream (KB), and before the streams (MB)",
    "latency": "Latency added by the proxy at half load (µs), and in all",
    "durable": "Latency (µs) at 2,000 requests/s with `durability` `process` and `disk`, and what `disk` adds",
}


def table(figure, rounds):
    lines = [f"### {TITLES[figure]}", "",
             "| figure | subject | median (range) | × nginx, median (range) | target | met |",
             "| --- | --- | --- | --- | --- | --- |"]
    lines += ["| " + " | ".join(row) + " |" for row in rows(figure, rounds)]
    return "\n".join(lines) + "\n"


def machine():
    model = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return (f"{os.cpu_count()} × {model.group(1) if model else platform.machine()}, "
            f"{int(memory.group(1)) // 1024 // 1024} GB, Linux {platform.release()}")


def version(command):
    if not shutil.which(command[0]):
        return f"{command[0]}: not there"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return ((done.stdout + done.stderr).strip().splitlines() or ["?"])[0]


def report(bench, results):
    options = bench.options
    text = [
        "# Results of the last full benchmark", "",
        "Written by `./dev bench`; the method is in `bench.py` beside this file.", "",
        f"- Date: {datetime.date.today().isoformat()}",
        f"- Machine: {machine()}; load average before the run {bench.load_before:.1f}",
        f"- {version([bench.binary, '--version'])}; {version(['nginx', '-v'])}",
        f"- {options.rounds} rounds of {options.seconds} s for each subject, interleaved; one worker each; "
        "1 KB requests, 0.9 KB answers, keep-alive; the upstream on loopback",
    ]
    if bench.load_before > 0.5:
        text.append(BUSY)
    if hasattr(bench, "half_rate"):
        text.append(f"- Half load: {bench.half_rate} requests/s, 32 connections")
    text += ["", "`relay`: key, plugin, limits, metrics, a receipt in the books. `logged`: with the jsonl logger writing a "
             "file too. `full`: everything on: charged by a price list, records and their sums, the logger. "
             "`loops_us`: of the CPU time that of the event loops; `behind_us`: of all other threads. "
             "`-tls`: the upstream speaks TLS. `translated`: the upstream speaks Anthropic's dialect, the client OpenAI's. "
             "A ratio is taken within each round.", ""]
    text += [table(figure, rounds) for figure, rounds in results.items()]
    text += ["## nginx.conf", "", "```nginx", (HERE / "nginx.conf").read_text().rstrip(), "```", ""]
    return "\n".join(text)


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="figures, comma-separated: " + ", ".join(FIGURES))
    parser.add_argument("--subjects", help="beside nginx, comma-separated: relay, logged, full, translated, relay-tls, "
                        "logged-tls, full-tls")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=5, help="of one measurement")
    parser.add_argument("--streams", type=lambda text: [int(one) for one in text.split(",")],
                        default=[100, 400])
    parser.add_argument("--open-streams", type=int, default=1000)
    parser.add_argument("--rate", type=int, help="requests/s of the latency figure")
    parser.add_argument("--build-dir", default=str(ROOT / "build" / "release"))
    parser.add_argument("--binary")
    parser.add_argument("--keep", action="store_true", help="keep the run's directory")
    parser.add_argument("--output", help="where to write the results; RESULTS.md for a full run")
    options = parser.parse_args(arguments)
    figures = options.only.split(",") if options.only else list(FIGURES)
    for figure in figures:
        if figure not in FIGURES:
            parser.error(f"no figure {figure!r}; there are {', '.join(FIGURES)}")
    if not options.output and not options.only and not options.subjects and options.rounds >= 7:
        options.output = str(HERE / "RESULTS.md")
    return options, figures


def main(arguments):
    options, figures = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the proxies are stopped too
    missing = [tool for tool in ("nginx", "wrk", "openssl") if not shutil.which(tool)]
    if missing:
        sys.exit(f"bench.py needs {', '.join(missing)}: apt-get install nginx-light wrk openssl")
    bench = Bench(options)
    try:
        results = bench.run(figures)
        text = report(bench, results)
    finally:
        bench.close()
    for figure, rounds in results.items():
        print(table(figure, rounds))
    if options.output:
        pathlib.Path(options.output).write_text(text)
        print(f"written to {options.output}")


if __name__ == "__main__":
    main(sys.argv[1:])
