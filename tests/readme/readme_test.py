#!/usr/bin/env python3
"""README.md, followed by a newcomer: readme_test.py --build-dir DIR --cache DIR

Runs the blocks marked sh, python and js as they stand, in their order, against a gateway that was started with nothing
but a fresh state directory; a text block `./dev run --config FILE` starts it again with that file. They run in a
directory laid out like a checkout with a finished build/release, so that what they write stays there. Only where ports
8080 and 8081 are taken, other ones stand in for them.

Where the SDKs can't be installed their blocks are left out, and at the end SKIPPED is printed and the exit code is 77;
with CI=true that is a failure.
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
sys.path.insert(0, str(ROOT / "tests" / "clients"))

import run as clients  # noqa: E402
from gateway import Gateway  # noqa: E402

DEFAULT_PORTS = (8080, 8081)
BLOCK_SECONDS = 300  # the slowest one compiles a plugin
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
START = re.compile(r"^\./dev run --config (\S+)$")

# (what a block holds, what it has to print). Each line must be true of some block: none may go stale.
EXPECTED = [
    ('"model": "demo", "messages"', r'"object": ?"chat\.completion"'),
    ("stream_options", r'(?s)^data: \{.*"usage": ?\{.*^data: \[DONE\]$'),
    ("/v1/models", r'"id": ?"demo"'),
    ("from openai import", r"(?s)\S+.*\n.*\S+"),
    ('from "openai"', r"(?s)\S+.*\n.*\S+"),
    ("key create --name laptop", r"\bsy-[\w-]{20,}"),
    ("account create --name \"Team", r"(?s)\bsy-[\w-]{20,}.*key_\w+ +indexer +acc_\w+ "),
    ("records.jsonl", r'^\{.*"demo".*\}$'),
    ("record list --model", r"(?m)^\S+ +\S+ +default +\S+ +demo +200 +ok "),
    ("usage --by", r"(?m)^\S+ +default +\S+ +[1-9]"),
    ("invoice preview --account \"$BUYER", r"(?s)closing_balance: 24\.99.*the books are proven"),
    ("/metrics", r"^switchyard_requests_total\{.*\} [1-9]"),
    ("/admin/v1/status", r'^\{.*"uptime'),
    ('"model": "echo"', r'"content": ?"Is there an echo\?"'),
]


def blocks(text):
    """(line, language, content) of each fenced block that has a language."""
    for match in BLOCK.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group(1), match.group(2)


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose_ports():
    taken = [port for port in DEFAULT_PORTS if not is_free(port)]
    if not taken:
        return DEFAULT_PORTS
    print(f"port {' and '.join(map(str, taken))} taken: other ports stand in the commands below")
    return (0, 0)


def lay_out(checkout, build):
    """A checkout as it is after `./dev run`: links, but for what the blocks or the binary's own path look at."""
    release = checkout / "build" / "release"
    release.mkdir(parents=True)
    for name in ("config", "sdk"):
        (checkout / name).symlink_to(ROOT / name)
    for entry in build.iterdir():
        if entry.name not in ("bin", "plugins"):
            (release / entry.name).symlink_to(entry)
    (release / "bin").mkdir()
    shutil.copy(build / "bin" / "switchyard", release / "bin")
    # cmake --install walks into the folder of plugins; the plugins themselves must be its own files.
    (release / "plugins").mkdir(mode=0o755)
    for entry in (build / "plugins").iterdir():
        if entry.suffix == ".so":
            shutil.copy(entry, release / "plugins")
        else:
            (release / "plugins" / entry.name).symlink_to(entry)
    return release / "bin" / "switchyard"


class Newcomer:
    def __init__(self, gateway, checkout, sdks):
        self.gateway, self.checkout, self.sdks = gateway, checkout, sdks
        printed = [line for line in gateway.output if line.startswith("gateway key: sy-")]
        if len(printed) != 1:
            raise AssertionError("no line \"gateway key: sy-...\" in:\n" + "\n".join(gateway.output))
        self.env = {**gateway.env, "SWITCHYARD_KEY": printed[0].split()[-1]}
        self.unmet = list(EXPECTED)
        self.faults = []

    def command(self, language, text):
        """The command for a block, or None where it can't be run."""
        if language == "sh":
            return ["sh", "-e", "-c", text]
        if language not in self.sdks:
            return None
        script = self.checkout / ("hello.py" if language == "python" else "hello.mjs")
        script.write_text(text)
        return [self.sdks[language], script.name]

    def follow(self, line, language, text):
        text = text.replace("http://127.0.0.1:8080", self.gateway.url)
        text = text.replace("http://127.0.0.1:8081", self.gateway.admin_url)
        command = self.command(language, text)
        if command is None:
            return
        print(f"--- README.md:{line} ({language})\n{text}", end="", flush=True)
        done = subprocess.run(command, cwd=self.checkout, env=self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=BLOCK_SECONDS, check=False)
        print(f"--- says\n{done.stdout}{done.stderr}", flush=True)
        if done.returncode != 0:
            self.faults.append(f"README.md:{line}: exit code {done.returncode}")
        for expected in [one for one in EXPECTED if one[0] in text]:
            if re.search(expected[1], done.stdout, re.MULTILINE):
                self.unmet = [one for one in self.unmet if one != expected]
            else:
                self.faults.append(f"README.md:{line}: nothing like {expected[1]} in what it printed")

    def restart(self, file):
        print(f"--- started again with {file}", flush=True)
        self.gateway.signal(signal.SIGTERM)
        if self.gateway.wait() != 0:
            self.faults.append("the gateway did not end well")
        self.gateway.stop()
        self.gateway.config_file = self.checkout / file
        self.gateway.start()


def install_sdks(cache, checkout):
    """language -> its interpreter, and the reasons why one is missing."""
    sdks, missing = {}, []
    try:
        sdks["python"] = str(clients.python(cache))
    except clients.Skipped as reason:
        missing.append(str(reason))
    try:
        node, packages = clients.javascript(cache)
        sdks["js"] = node
        (checkout / "node_modules").symlink_to(packages / "node_modules")
    except clients.Skipped as reason:
        missing.append(str(reason))
    return sdks, missing


def follow_all(directory, options):
    checkout = directory / "checkout"
    binary = lay_out(checkout, options.build_dir.resolve())
    sdks, missing = install_sdks(options.cache.resolve(), checkout)
    with Gateway(binary=binary, directory=directory / "home", ports=choose_ports()) as gateway:
        newcomer = Newcomer(gateway, checkout, sdks)
        for line, language, text in blocks((ROOT / "README.md").read_text()):
            if language in ("sh", "python", "js"):
                newcomer.follow(line, language, text)
            elif language == "text" and (start := START.match(text)):
                newcomer.restart(start.group(1))
    unrun = {"python": "from openai import", "js": 'from "openai"'}
    excused = [mark for language, mark in unrun.items() if language not in sdks]
    for mark, _ in newcomer.unmet:
        if mark not in excused:
            newcomer.faults.append(f"no block with {mark} did what is expected of it")
    return newcomer.faults, missing


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-dir", type=pathlib.Path, required=True)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="switchyard-readme-") as name:
        directory = pathlib.Path(name)
        (directory / "home").mkdir()
        faults, missing = follow_all(directory, options)
    for fault in faults:
        print(f"FAILED: {fault}")
    for reason in missing:
        print(f"SKIPPED: {reason}")
    if faults:
        return 1
    if missing:
        return 1 if os.environ.get("CI") == "true" else 77
    return 0


if __name__ == "__main__":
    sys.exit(main())
