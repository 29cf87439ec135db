#!/usr/bin/env python3
"""Real SDKs against the gateway: run.py node|python --cache DIR

Installs the packages that the lock files pin into the cache (once for each state of the lock files), starts scripted
and mock upstreams and the gateway, and runs the SDK's tests. Where a registry can't be reached or a tool is missing it
prints SKIPPED with the reason and exits with 77; with CI=true that is a failure.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
sys.path.insert(0, str(HERE.parent / "integration"))

from stage import Stage, UPSTREAM_KEY, provider  # noqa: E402
import book  # noqa: E402
import client  # noqa: E402
import upstream  # noqa: E402
import vendors  # noqa: E402
import vendors_signed  # noqa: E402
import websocket  # noqa: E402

NODE_MAJOR_MIN = 22
NODE_BINARY = "node_modules/node-*/bin/node"
UNREACHABLE = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|network timeout|"
    r"NewConnectionError|ConnectTimeout|ReadTimeout|name resolution|Connection refused|"
    r"Network is unreachable|ProxyError|from versions: none", re.IGNORECASE)


class Skipped(Exception):
    pass


def install(cache, name, files, make):
    """The directory in which make(directory) installed what `files` pin; made once."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    directory = cache / f"{name}-{digest.hexdigest()[:16]}"
    if (directory / "complete").exists():
        return directory
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for file in files:
        shutil.copy(file, directory)
    make(directory)
    (directory / "complete").touch()
    return directory


def run_installer(command, directory):
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    said = done.stdout + done.stderr
    if UNREACHABLE.search(said):
        line = next(line for line in said.splitlines() if UNREACHABLE.search(line))
        raise Skipped(f"{command[0]} can't reach its registry: {line.strip()}")
    sys.exit(f"{' '.join(map(str, command))} failed:\n{said}")


def npm(directory):
    if not shutil.which("npm"):
        raise Skipped("npm is not installed")
    run_installer(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], directory)


def find_node(cache):
    """The system's where it is new enough, else the one from the registry."""
    system = shutil.which("node")
    if system:
        said = subprocess.run([system, "--version"], capture_output=True, text=True, check=False).stdout
        if int(re.match(r"v(\d+)", said or "v0").group(1)) >= NODE_MAJOR_MIN:
            return system
    def make(directory):
        npm(directory)
        # One package for each processor, all optional: npm says nothing where it got none.
        if not list(directory.glob(NODE_BINARY)):
            raise Skipped(f"Node.js {NODE_MAJOR_MIN} is needed: the system's is older or missing, and none "
                          "could be installed")
    files = [HERE / "node" / "package.json", HERE / "node" / "package-lock.json"]
    return str(next(install(cache, "node", files, make).glob(NODE_BINARY)))


def javascript(cache):
    """The node binary, and the directory with the packages."""
    node = find_node(cache)
    return node, install(cache, "npm", [HERE / "package.json", HERE / "package-lock.json"], npm)


def python(cache):
    """The interpreter of an environment with the packages."""
    def make(directory):
        run_installer([sys.executable, "-m", "venv", str(directory / "venv")], directory)
        run_installer([str(directory / "venv" / "bin" / "python"), "-m", "pip", "install",
                       "--disable-pip-version-check", "--require-hashes", "--no-deps",
                       "-r", "requirements.txt"], directory)
    if subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True,
                      check=False).returncode != 0:
        raise Skipped("Python's venv is not installed (apt-get install python3-venv)")
    return install(cache, "python", [HERE / "requirements.txt"], make) / "venv" / "bin" / "python"


class Aimock:
    """A mock upstream that nobody here wrote. It takes the upstream's key only: the gateway's must not get there."""

    def __init__(self, node, packages, *options):
        cli = packages / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
        self.process = subprocess.Popen(
            [node, str(cli), "-p", "0", "-f", str(HERE / "fixtures"), "--journal-max", "0",
             *options],
            env={**os.environ, "AIMOCK_API_KEYS": UPSTREAM_KEY},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = ""
        for line in self.process.stdout:
            said += line
            if match := re.search(r"http://[^\s:]+:(\d+)", line):
                self.url = f"http://127.0.0.1:{match.group(1)}/v1"
                break
        else:
            sys.exit(f"aimock did not start:\n{said}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def realtime(exchange):
    """A script of the upstream: a session that confirms updates and answers each response.create in 1 MB of text."""
    socket = websocket.accept(exchange)

    def say(kind, **members):
        socket.send(websocket.TEXT, json.dumps({"type": kind, "event_id": "event_1", **members}))
    say("session.created", session={"id": "sess_1", "type": "realtime"})
    while True:
        opcode, payload = socket.receive()
        if opcode == websocket.CLOSE:
            socket.send_frame(websocket.CLOSE, payload)
            return False
        event = json.loads(payload)
        if event["type"] == "session.update":
            say("session.updated", session=event["session"])
        elif event["type"] == "response.create":
            say("response.output_text.done", text="x" * 1_000_000)
            say("response.done", response={"id": "resp_1", "usage": {
                "input_tokens": 3, "output_tokens": 2, "total_tokens": 5}})


def check_upstream(stage):
    """What must hold of the requests that reached the scripted upstream."""
    faults = []
    by_model = {}
    for request in stage.upstream.requests:
        by_model.setdefault(request.model, []).append(request)
        if request.header("authorization") != f"Bearer {UPSTREAM_KEY}":
            faults.append(f"{request.line} came with {request.header('authorization')!r}")
    for request in by_model.get("paced", []):
        if not request.left.wait(10):
            faults.append("a stream went on upstream after its client had left")
    for model in ("quota", "stall-before-head"):
        if len(by_model.get(model, [])) != 1:
            faults.append(f"{len(by_model.get(model, []))} requests for {model}, expected 1: "
                          "the SDK multiplied the gateway's attempts")
    return faults


def storing_key(stage):
    """A key that has its responses stored."""
    token = (pathlib.Path(stage.gateway.state) / "admin.token").read_text().strip()
    fields = {"name": "storing", "stores_bodies": True}
    return client.call(stage.gateway.admin_url, "POST", "/admin/v1/keys", fields, token).json()["key"]


def run_sdk(commands, directory, aimock):
    vendor = upstream.Upstream()
    vendors.add(vendor)
    bedrock = book.StrictBedrock()
    readers = {name: family() for name, family in book.READERS.items()}
    own = {"credentials": [{"key": "${TEST_UPSTREAM_KEY}"}]}
    # Strict upstreams with the vendors' own APIs.
    providers = {
        "strict-claude": {"plugin": "anthropic", "base_url": vendor.origin + "/v1",
                          "models": ["claude-opus-5-5"], **own},
        "strict-google": {"plugin": "gemini", "base_url": vendor.origin + "/v1beta",
                          "models": ["gemini-3.8-flash"], **own},
        "strict-aws": book.bedrock_provider(bedrock.url),
        **{name: book.reader_provider(name, family) for name, family in readers.items()}}
    if aimock:
        google = aimock.url.replace("/v1", "/v1beta")
        bearer = {"credentials": [{"key": "${TEST_UPSTREAM_KEY}", "parts": {"auth": "bearer"}}]}
        providers |= {
            "aimock": provider(aimock.url, models=["gpt-4o", "text-embedding-3-small"]),
            # The same mock in the vendors' own APIs.
            "claude": {"plugin": "anthropic", "base_url": aimock.url,
                       "models": ["claude-opus-5-5"], **own},
            "google": {"plugin": "gemini", "base_url": google, "models": ["gemini-3.8-flash"],
                       **own},
            # It verifies no signature, and its errors are not AWS's: for these there is strict-aws.
            "aws": {"plugin": "bedrock", "base_url": aimock.url.removesuffix("/v1"),
                    "models": [book.StrictBedrock.CLAUDE], **bearer}}
    up = {"models": ["good", "m", "e", "c", "status-400", "quota", "stall-before-head", "stall-mid-head",
                     "cut-between-events", "paced", "realtime", "book"]}
    secrets = {"AWS_SECRET": vendors_signed.SECRET_ACCESS_KEY}
    with Stage(providers=providers, up=up, env=secrets) as stage:
        stage.upstream.add("realtime", realtime)
        stage.upstream.add("book", book.openai)
        env = {**os.environ, "GATEWAY_URL": stage.url, "GATEWAY_KEY": stage.key, "STORING_KEY": storing_key(stage),
               "WITH_AIMOCK": "1" if aimock else "", "BOOK": json.dumps(book.table())}
        env.pop("OPENAI_API_KEY", None)
        code = 0
        for command in commands:
            code = code or subprocess.run(command, cwd=directory, env=env, check=False).returncode
        strict = [bedrock, *readers.values()]
        faults = check_upstream(stage) + [fault for one in strict for fault in one.faults()] if code == 0 else []
    vendor.close()
    for one in strict:
        one.close()
    for fault in faults:
        print(f"FAILED: {fault}")
    return code or (1 if faults else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sdk", choices=("node", "python"))
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    cache = options.cache.resolve()
    try:
        if options.sdk == "node":
            node, packages = javascript(cache)
            tests = ["sdk.test.mjs", "dialects.test.mjs", "ai.test.mjs"]
            for file in tests:
                shutil.copy(HERE / file, packages)  # beside node_modules, where imports look
            with Aimock(node, packages) as aimock:
                return run_sdk([[node, "--test", *tests]], packages, aimock)
        interpreter = str(python(cache))
        commands = [[interpreter, "-B", str(HERE / file)]
                    for file in ("sdk_test.py", "book_test.py", "dialects_test.py", "langchain_test.py")]
        try:
            node, packages = javascript(cache)
        except Skipped:
            return run_sdk(commands, cache, None)
        with Aimock(node, packages) as aimock:
            return run_sdk(commands, cache, aimock)
    except Skipped as reason:
        print(f"SKIPPED: {reason}")
        return 1 if os.environ.get("CI") == "true" else 77


if __name__ == "__main__":
    sys.exit(main())
