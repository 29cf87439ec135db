#!/usr/bin/env python3
"""Thirty of a hundred answers of the first upstream are faults, those of the second are good: clients notice nothing,
and the first is soon left alone. chaos.py --cache DIR --requests N

Both upstreams are a mock that nobody here wrote; it is installed as for tests/clients, whose rules for SKIPPED hold.
"""

import argparse
import concurrent.futures
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "clients"))

import run  # noqa: E402
from run import Aimock, Skipped  # noqa: E402
from stage import Stage, provider  # noqa: E402
from admin import Admin  # noqa: E402
import client  # noqa: E402

THREADS = 16
MODEL = "gpt-4o-mini"
# Four kinds of faults, drawn one after the other: 1 - (1 - 0.085)^4 = 30 %.
CHAOS = [word for kind in ("drop", "malformed", "disconnect", "ratelimit") for word in (f"--chaos-{kind}", "0.085")]
TEXT = "Hello! How can I help you today?"


def calls(upstream):
    """How many requests the mock itself counted."""
    answer = client.call(upstream.url.removesuffix("/v1"), "GET",
                         "/__aimock/journal?limit=0&method=POST&path=chat/completions", key=run.UPSTREAM_KEY)
    return int(answer.header("x-total-count"))


def ask(stage, numbers, failures):
    """Requests one after the other on one connection, every second a stream."""
    connection = client.Connection(stage.url, timeout=60)
    for number in numbers:
        stream = number % 2 == 1
        body = {"model": "chaos", "messages": [{"role": "user", "content": "hello"}], "stream": stream}
        try:
            answer = connection.request("POST", "/v1/chat/completions", body, stage.key)
            said = client.text_of(answer.events()) if stream else \
                answer.json()["choices"][0]["message"]["content"]
        except (OSError, ValueError, KeyError) as error:
            answer, said = None, repr(error)
        if answer is None or answer.status != 200 or said != TEXT or not answer.clean:
            failures.append((number, stream, answer and answer.status, said))
            connection.close()
            connection = client.Connection(stage.url, timeout=60)
    connection.close()


def check(requests, ill, well):
    stage = Stage(providers={"a": provider(ill.url, models=[MODEL]), "b": provider(well.url, models=[MODEL])},
                  models={"chaos": [f"a/{MODEL}", f"b/{MODEL}"]})
    failures = []  # appended to by all threads, which a list allows
    with stage:
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            for done in [pool.submit(ask, stage, range(start, requests, THREADS), failures)
                         for start in range(THREADS)]:
                done.result()
        lanes = {lane["provider"]: lane for lane in Admin(stage.gateway).get("/breakers").json()["data"]}
        at_a, at_b = calls(ill), calls(well)
    print(f"{requests} requests, {len(failures)} failed, {(at_a + at_b) / requests:.3f} calls for each, "
          f"{100 * at_a / requests:.1f} % at the ill one, whose breaker opened {lanes['a']['opened']} times "
          f"({lanes['a']['failed']})")
    assert not failures, failures[:10]
    assert at_b >= requests * 0.9, at_b
    assert (at_a + at_b) / requests <= 1.35, (at_a, at_b)
    assert at_a / requests < 0.10, at_a
    # Whichever comes first: too many faults, or a 429 that says how long there is nothing left.
    rests = lanes["a"]["opened"] >= 1 or lanes["a"]["standing"] != "ready"
    assert rests and lanes["b"]["opened"] == 0, lanes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--requests", type=int, default=2000)
    options = parser.parse_args()
    try:
        node, packages = run.javascript(options.cache)
    except Skipped as reason:
        print(f"SKIPPED: {reason}")
        return 1 if os.environ.get("CI") == "true" else 77
    with Aimock(node, packages, *CHAOS) as ill, Aimock(node, packages) as well:
        check(options.requests, ill, well)
    return 0


if __name__ == "__main__":
    sys.exit(main())
