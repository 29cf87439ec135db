#!/usr/bin/env python3
"""HTTP/1.1 framing on raw sockets: the built binary between a client and an upstream that both misbehave.

    run.py --binary PATH [--only TEXT] [--list]
"""

import argparse
import sys
import time

import client_cases
import upstream_cases
from harness import Context, Failure, Gateway, Upstream

GROUPS = (("client", client_cases.CASES), ("upstream", upstream_cases.CASES))


def run_case(run, context):
    """None, or what went wrong."""
    try:
        run(context)
        violations = context.upstream.take_violations()
        if violations:
            return "; ".join(violations)
        return None if context.gateway.alive() else "the gateway has died"
    except (Failure, OSError, ValueError, LookupError) as failure:
        return "%s: %s" % (type(failure).__name__, failure)
    finally:
        context.close()
        context.upstream.take_violations()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only", default="", help="cases whose name has this text")
    parser.add_argument("--list", action="store_true", help="names and clauses, runs nothing")
    arguments = parser.parse_args()

    chosen = [
        (group + ": " + name, clause, run)
        for group, cases in GROUPS
        for name, clause, run in cases
        if arguments.only in group + ": " + name
    ]
    if arguments.list:
        for name, clause, _ in chosen:
            print("%-70s %s" % (name, clause))
        return 0

    upstream = Upstream()
    gateway = Gateway(arguments.binary, upstream.port)
    failed = 0
    started = time.monotonic()
    for number, (name, clause, run) in enumerate(chosen, 1):
        problem = run_case(run, Context(gateway, upstream, number))
        if problem is None:
            continue
        failed += 1
        print("FAILED %s [%s]\n       %s" % (name, clause, problem), flush=True)
        if not gateway.alive():
            print(gateway.log())
            gateway = Gateway(arguments.binary, upstream.port)

    log = gateway.log()
    code = gateway.stop()
    if code != 0:
        failed += 1
        print("FAILED the gateway's exit: %s\n%s" % (code, log))
    crash = gateway.crash()
    if crash is not None:
        failed += 1
        print("FAILED a worker crashed, or a sanitizer reported:\n%s" % crash)
    extra = (code != 0) + (crash is not None)
    print("%d cases in %.1f s" % (len(chosen), time.monotonic() - started))
    print("%d passed, %d failed" % (len(chosen) + extra - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
