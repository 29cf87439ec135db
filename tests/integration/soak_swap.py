"""Plugins and configurations are swapped under constant load, and every answer is held against what served then.

    soak_swap.py [--long] [--swaps N] [--seed N]

A provider with its logger, a logger, and two strategies are swapped, rolled back and reloaded, by the admin API and by
SIGHUP, among ten builds and as many configurations as there are reloads. Each answer tells the builds and the settings
that made it. No request may fail; an answer must be that of a state that served between the request's begin and its
end; a stream must say one and the same in all its pieces. Then the process is looked at: what is mapped, memory,
descriptors, and whether both loggers have each request once.

--long makes 1,000 swaps, else there are 500.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time

import stage  # noqa: F401  first: it says where the others are
import client
from gateway import Gateway, find_binary, wait_for
from test_swap import Setting

ROOT = pathlib.Path(find_binary()).resolve().parents[1]
VERSIONS = ("one", "two", "three")
PIECES = 6
# What a worker may grow by from one stop to the next, beyond what the first swaps have warmed up.
RSS_GROWTH_MAX_KIB = 4 * 1024
# Under a sanitizer memory that was freed is kept for a while, and each step takes several times as long.
SANITIZED = bool(os.environ.get("SWITCHYARD_SANITIZER"))

# What serves: the versions of three files, the provider's and the strategy's setting.
State = collections.namedtuple("State", "answer choose journal tell shift")


def text_of(state):
    """What a request is answered while this state serves, but for the first letter of the model's name."""
    candidate = (VERSIONS.index(state.choose) + state.shift) % 3 + 1
    return f"{state.answer}:{candidate}:{state.tell}"


class Timeline:
    """The states in their order: those up to `settled` have been replaced, or serve; those after may serve already."""

    def __init__(self, first):
        self.states = [first]
        self.settled = 0

    @property
    def last(self):
        return self.states[-1]

    def begin(self, state):
        self.states.append(state)

    def settle(self):
        self.settled = len(self.states) - 1

    def allowed(self, since):
        return {text_of(state) for state in self.states[since:]}


class Soak(Setting):
    """The gateway with the four files, and what is expected of it."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="switchyard-soak-"))
        self.directory = self.scratch / "plugins"
        self.directory.mkdir(0o700)
        self.timeline = Timeline(State("one", "one", "one", "t0", 0))
        self.before = {}  # field -> the version that a rollback brings back
        self.left = {}    # field -> the version that a rollback has left: no reload brings it back
        self.counts = collections.Counter()
        for field in ("answer", "choose", "journal"):
            self.put_version(field, "one")
        self.put_bytes((ROOT / "plugins" / "latency.so").read_bytes(), "latency.so")
        try:
            self.gateway = Gateway(self.configuration(self.timeline.last))
        except BaseException:
            shutil.rmtree(self.scratch)
            raise
        self.token = (self.gateway.state / "admin.token").read_text().strip()
        self.worker, = self.gateway.workers()

    def configuration(self, state):
        def alias(letter):
            return {"candidates": [f"a/{letter}{number}" for number in (1, 2, 3)],
                    "strategy": [{"plugin": "choose", "config": {"shift": str(state.shift)}},
                                 {"plugin": "latency", "config": {}}]}

        def logger(name):
            return {"plugin": name, "config": {"file": str(self.scratch / name), "tell": state.tell}}

        models = [f"{letter}{number}" for letter in "qs" for number in (1, 2, 3)]
        return {
            "providers": {"a": {"plugin": "answer", "models": models,
                                "settings": {"tell": state.tell}}},
            "models": {"quick": alias("q"), "slow": alias("s")},
            "loggers": [logger("note"), logger("journal")],
            "plugins": {"directory": str(self.directory)},
        }

    def put_version(self, field, version):
        file = ROOT / "tests" / "abi" / "zoo" / f"zoo_{field}_{version}.so"
        self.put_bytes(file.read_bytes(), f"{field}.so")

    # -- one change of what serves each

    def change(self):
        steps = [self.swap_version] * 5 + [self.swap_again] + [self.roll_back] * 2 + \
                [self.reload, self.hang_up]
        step = self.random.choice(steps)
        self.counts[step.__name__] += step()
        self.timeline.settle()

    def _put(self, avoid=None):
        """A file is replaced by another version, which is not that of `avoid`; the state that will serve it."""
        field = self.random.choice(("answer", "choose", "journal"))
        now = getattr(self.timeline.last, field)
        version = self.random.choice([each for each in VERSIONS
                                      if each != now and each != (avoid or {}).get(field)])
        self.put_version(field, version)
        self.before[field] = now
        self.left.pop(field, None)
        return field, self.timeline.last._replace(**{field: version})

    def swap_version(self):
        field, state = self._put()
        self.timeline.begin(state)
        self._expect_serves(self.post("swap", f"{field}.so"), field)
        return 1

    def swap_again(self):
        """The same content: a new generation of it, to which a strategy's state is handed over."""
        status, told = self.post("swap", "latency.so")
        assert status == 200, told
        return 1

    def roll_back(self):
        if not self.before:
            return 0
        field = self.random.choice(sorted(self.before))
        version = self.before[field]
        self.before[field] = self.left[field] = getattr(self.timeline.last, field)
        self.timeline.begin(self.timeline.last._replace(**{field: version}))
        self._expect_serves(self.post("rollback", f"{field}.so"), field)
        return 1

    def _expect_serves(self, answer, field):
        status, told = answer
        version = getattr(self.timeline.last, field)
        assert status == 200, told
        generations = self.plugin(f"{field}.so")["generations"]
        serving, = [each for each in generations if each["state"] == "serving"]
        assert serving["version"] == version, (field, version, generations)

    def _configure(self):
        """Other settings, and often another version of a file at the same time."""
        state = self.timeline.last
        if self.random.random() < 0.5:
            _, state = self._put(avoid=self.left)
        state = state._replace(tell=f"t{len(self.timeline.states)}",
                               shift=self.random.randrange(3))
        self.timeline.begin(state)
        self.gateway.write_config(self.configuration(state))

    def reload(self):
        self._configure()
        answer = self.admin("POST", "/reload")
        assert answer.status == 200, answer.text
        return 1

    def hang_up(self):
        self._configure()
        log = self.gateway.directory / "log"
        with open(log, "rb") as lines:
            lines.seek(0, os.SEEK_END)
            self.gateway.signal(signal.SIGHUP)
            told = b""

            def reloaded():
                nonlocal told
                told += lines.read()
                assert b"reload_refused" not in told, told.decode()
                return re.search(rb"\breloaded\n", told)

            wait_for(reloaded, 60, "the reload")
        return 1

    # -- the process

    def rss_kib(self):
        """Its own: the journal's files are mapped, and how many there are depends on the load."""
        status = pathlib.Path(f"/proc/{self.worker}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+) kB", status).group(1))

    def descriptors(self):
        """Those of swaps and requests; the journal and the day's records have theirs as they need them."""
        folder = pathlib.Path(f"/proc/{self.worker}/fd")
        count = 0
        for name in os.listdir(folder):
            try:
                target = os.readlink(folder / name)
            except FileNotFoundError:
                continue
            count += "/journal/" not in target and "/records/" not in target
        return count

    def at_rest(self):
        """Nothing runs: of each file one generation serves, and at most one is kept for a rollback."""
        def unused():
            for each in self.admin("GET", "/plugins").json()["plugins"]:
                drains = [one for one in each["generations"] if one["state"] == "draining"]
                if len(drains) > 1 or any(one["pins"] for one in drains):
                    return False
            return True

        wait_for(unused, 30, "the end of what no request uses")


class Load:
    """Requests without pause: plain ones and streams, on connections that stay open and on new ones."""

    def __init__(self, soak):
        self.soak = soak
        self.counts = collections.Counter()
        self.wrong, self.failed = [], []
        self._lock = threading.Lock()
        self._end = threading.Event()
        kinds = [("quick", False, True), ("quick", False, True), ("quick", False, False),
                 ("quick", True, True), ("quick", True, False), ("slow", True, True),
                 ("slow", True, True), ("slow", True, False), ("slow", True, False)]
        self._threads = [threading.Thread(target=self._run, args=kind, daemon=True)
                         for kind in kinds]
        for thread in self._threads:
            thread.start()

    def _run(self, model, stream, stays):
        connection = None
        while not self._end.is_set() and not self.failed:
            try:
                connection = connection or client.Connection(self.soak.gateway.url, 60)
                self._ask(connection, model, stream)
                if not stays:
                    connection.close()
                    connection = None
            except Exception as error:
                self.failed.append(f"{model} stream={stream}: {error!r}")
        if connection:
            connection.close()

    def _ask(self, connection, model, stream):
        timeline = self.soak.timeline
        since = timeline.settled
        body = {"model": model, "messages": client.MESSAGES, "stream": stream}
        connection.send_request("POST", "/v1/chat/completions", body, self.soak.gateway.key)
        answer = connection.receive_head()
        if stream:
            pieces, allowed = self._read_stream(answer, since)
        else:
            answer.read()
            if answer.status != 200:
                raise AssertionError(f"{answer.status}: {answer.text}")
            pieces = [answer.json()["choices"][0]["message"]["content"]]
            allowed = timeline.allowed(since)
        if not answer.clean:
            raise AssertionError(f"cut off after {answer.text}")
        letter = "s" if model == "slow" else "q"
        said = {piece.replace(f":{letter}", ":", 1) for piece in pieces}
        with self._lock:
            self.counts["streams" if stream else "plain"] += 1
            self.counts["across a swap"] += stream and timeline.settled > since
            if len(said) != 1 or not said <= allowed:
                self.wrong.append((pieces, allowed))

    def _read_stream(self, answer, since):
        if answer.status != 200:
            raise AssertionError(f"{answer.status}: {answer.read().text}")
        pieces, allowed, ended = [], None, False
        for event in answer.live_events():
            if event == "[DONE]":
                ended = True
                continue
            # What serves once the first piece is here is too late for this stream.
            allowed = allowed or self.soak.timeline.allowed(since)
            pieces += [choice["delta"]["content"] for choice in json.loads(event)["choices"]
                       if choice["delta"].get("content")]
        if len(pieces) != PIECES or not ended:
            raise AssertionError(f"a stream of {len(pieces)} pieces, ended: {ended}")
        return pieces, allowed

    def stop(self):
        self._end.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a request has no end"


def expect(problems, what, found, expected):
    if found != expected:
        problems.append(f"{what}: {found}, expected {expected}")


def swap_under_load(soak, swaps, totals, problems):
    load = Load(soak)
    try:
        for _ in range(swaps):
            made = sum(soak.counts.values())
            while sum(soak.counts.values()) == made:
                soak.change()
            if load.failed or load.wrong:
                break
    finally:
        load.stop()
    totals.update(load.counts)
    problems += [f"failed: {each}" for each in load.failed]
    problems += [f"wrong: {pieces}, expected one of {sorted(allowed)}"
                 for pieces, allowed in load.wrong]


def check_process(soak, rss, descriptors, problems):
    """Against memory after the warm-up, and descriptors before any request."""
    wait_for(lambda: soak.descriptors() <= descriptors, 10, f"{descriptors} descriptors")
    grown = soak.rss_kib() - rss
    if not SANITIZED and grown > RSS_GROWTH_MAX_KIB:
        problems.append(f"memory grew by {grown} KiB, expected at most {RSS_GROWTH_MAX_KIB}")
    report = soak.admin("GET", "/plugins").json()
    mapped, retained = report["mapped_libraries"], report["retained_generations"]
    files = len(list(soak.directory.glob("*.so")))
    builds = 3 * len(VERSIONS) + 1
    expect(problems, "mapped libraries", mapped, builds)
    expect(problems, "retained generations", retained, builds - files)
    expect(problems, "workers", soak.gateway.workers(), [soak.worker])
    print(f"{mapped} libraries mapped for {builds} builds, {retained} generations retained; memory "
          f"{rss} KiB after the warm-up, {grown:+} KiB since; {soak.descriptors()} descriptors, "
          f"{descriptors} before")


def check_records(soak, requests, problems):
    """Each logger has each request once, with the model that the strategy named in the record chose."""
    for name in ("note", "journal"):
        file = soak.scratch / name
        wait_for(lambda: file.read_bytes().count(b"\n") >= requests, 30, f"the records of {name}")
        lines = file.read_text().splitlines()
        expect(problems, f"lines of {name}", len(lines), requests)
        for line in lines:
            match = re.fullmatch(r"(one|two|three)\t[qs]([123])\talias \w+: choose "
                                 r"(one|two|three)\+([012])\b.*", line)
            if not match or (VERSIONS.index(match[3]) + int(match[4])) % 3 + 1 != int(match[2]):
                problems.append(f"a line of {name}: {line}")
                break


def run(swaps, seed):
    problems, totals, begin = [], collections.Counter(), time.monotonic()
    with Soak(seed) as soak:
        descriptors = soak.descriptors()
        warm_up = max(swaps // 4, 60)
        swap_under_load(soak, warm_up, totals, problems)
        soak.at_rest()
        rss = soak.rss_kib()
        if not problems:
            swap_under_load(soak, swaps - warm_up, totals, problems)
            soak.at_rest()
        requests = totals["plain"] + totals["streams"]
        if not problems:
            check_process(soak, rss, descriptors, problems)
            check_records(soak, requests, problems)
        if not totals["across a swap"]:
            problems.append("no stream ran across a swap")
        print(f"{sum(soak.counts.values())} swaps of {len(soak.timeline.states)} states in "
              f"{time.monotonic() - begin:.1f} s, seed {seed}: "
              + ", ".join(f"{name} {count}" for name, count in sorted(soak.counts.items())))
        print(f"{requests} requests: {totals['plain']} plain, {totals['streams']} streams, of which "
              f"{totals['across a swap']} ran across a swap; {len(problems)} problems", flush=True)
    for problem in problems[:20]:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true", help="1,000 swaps")
    parser.add_argument("--swaps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    sys.exit(run(1000 if arguments.long else arguments.swaps, arguments.seed))


if __name__ == "__main__":
    main()
