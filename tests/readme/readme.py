#!/usr/bin/env python3
"""Runs README.md as a newcomer does: its blocks, verbatim and in their order. readme.py --build DIR --cache DIR

Blocks marked sh, python and js are run, json is checked, cpp is compared with the file it shows. The ports are those
that the README names: where they are taken, everything runs in a network namespace of its own. What needs a registry
that can't be reached is reported as SKIPPED, with exit code 77; with CI=true that is a failure.
"""

import argparse
import fcntl
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
sys.path.insert(0, str(ROOT / "tests" / "clients"))

import run as clients  # noqa: E402
import client  # noqa: E402
from gateway import Gateway  # noqa: E402

PORTS = (8080, 8081)
INSIDE = "--in-own-network"


def blocks():
    """(language, text) of each fenced block, in order."""
    text = (ROOT / "README.md").read_text()
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def ports_are_free():
    for port in PORTS:
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def raise_loopback():
    """`ip link set lo up`, without the tool."""
    get_flags, set_flags, up = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(one, get_flags, request))[1]
        fcntl.ioctl(one, set_flags, struct.pack("16sh14x", b"lo", flags | up))


def move_to_own_network():
    probe = subprocess.run(["unshare", "--net", "--map-root-user", "true"], capture_output=True,
                           check=False) if shutil.which("unshare") else None
    if probe is None or probe.returncode != 0:
        raise clients.Skipped(f"ports {PORTS} are taken, and no network namespace can be made")
    os.execvp("unshare", ["unshare", "--net", "--map-root-user", sys.executable, "-B",
                          *sys.argv, INSIDE])


class Readme:
    def __init__(self, build, cache):
        self.build, self.cache = build, cache
        self.skipped = []
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="switchyard-readme-"))
        self.place = self.lay_out()
        self.gateway = None
        self.env = None

    def lay_out(self):
        """A directory in which the README's paths lead to this tree and this build."""
        place = self.directory / "switchyard"
        (place / "build").mkdir(parents=True)
        for name in ("sdk", "config", "core", "plugins", "README.md"):
            (place / name).symlink_to(ROOT / name)
        (place / "build" / "release").symlink_to(self.build)
        return place

    def close(self):
        if self.gateway:
            self.gateway.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self):
        """What `./dev run` comes to once it has built."""
        binary = str(self.build / "bin" / "switchyard")
        self.gateway = Gateway(binary=binary, args=["--port", str(PORTS[0]),
                                                    "--admin-port", str(PORTS[1])])
        self.env = {**self.gateway.env, "SWITCHYARD_KEY": self.gateway.key}

    def run(self, command, what, text, **more):
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=300,
                              check=False, **{"cwd": self.place, **more})
        print(f"--- {what}\n{text.rstrip()}\n--- said\n{done.stdout.rstrip()}", flush=True)
        if done.returncode != 0:
            raise AssertionError(f"{what} ended with {done.returncode}:\n{done.stderr}")
        if not (done.stdout.strip() or "cmake" in text or "-X PUT" in text):
            raise AssertionError(f"{what} said nothing")
        return done.stdout

    def sh(self, text):
        if "records.jsonl" in text:
            self.gateway.records(1)  # the logger writes behind the answer
        said = self.run(["bash", "-euo", "pipefail", "-c", text], "sh", text)
        if '"stream": true' in text:
            assert "data: [DONE]" in said and '"usage":{' in said.replace(" ", ""), "no whole stream"
        if "cmake --build build/echo" in text:
            self.try_echo()

    def python(self, text):
        try:
            interpreter = clients.python(self.cache)
        except clients.Skipped as reason:
            self.skipped.append(reason)
            return
        self.run([str(interpreter), "-c", text], "python", text)

    def js(self, text):
        try:
            node, packages = clients.javascript(self.cache)
        except clients.Skipped as reason:
            self.skipped.append(reason)
            return
        (packages / "hello.mjs").write_text(text)
        self.run([node, "hello.mjs"], "js", text, cwd=packages)

    def json(self, text):
        """A configuration, or a dialect; both must be what `switchyard check` takes."""
        value = json.loads(text)
        place = pathlib.Path(tempfile.mkdtemp(dir=self.directory))
        config = value
        if "base_url" in value:
            (place / "dialects").mkdir()
            (place / "dialects" / f"{value['name']}.json").write_text(text)
            config = {"providers": {value["name"]: {"models": ["m"], "credentials": [
                {"key": "${%s}" % value["key_env"]}]}}}
        (place / "switchyard.json").write_text(json.dumps(config))
        names = re.findall(r"\$\{(\w+)\}", json.dumps(config))
        env = {**self.gateway.env, **{name: "sk-of-the-readme-0123456789" for name in names}}
        done = subprocess.run([str(self.build / "bin" / "switchyard"), "check", "--config",
                               str(place / "switchyard.json")], env=env, capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"switchyard check refuses:\n{text}\n{done.stdout}{done.stderr}")

    @staticmethod
    def cpp(text):
        """The plugin that is shown is the one that is built, and as short as the README says."""
        shown = (ROOT / "sdk" / "examples" / "echo-provider" / "echo.cpp").read_text()
        if text.strip() != shown.strip():
            raise AssertionError("sdk/examples/echo-provider/echo.cpp is not what README.md shows")
        if len(text.strip().splitlines()) >= 40:
            raise AssertionError("the first plugin has grown beyond 40 lines")

    def try_echo(self):
        """The plugin that was just built, loaded and asked."""
        plugins = self.directory / "plugins"
        plugins.mkdir(mode=0o755)
        shutil.copy(self.place / "build" / "echo" / "echo.so", plugins)
        for plugin in (self.build / "plugins").glob("*.so"):
            shutil.copy(plugin, plugins)
        config = {"plugins": {"directory": str(plugins)},
                  "providers": {"echo": {"plugin": "echo", "models": ["echo"]}}}
        with Gateway(config, binary=str(self.build / "bin" / "switchyard")) as gateway:
            answer = client.chat(gateway.url, "echo", gateway.key)
            assert answer.json()["choices"][0]["message"]["content"] == "Hello?", answer.text
            answer = client.chat(gateway.url, "echo", gateway.key, stream=True)
            assert client.text_of(answer.events()) == "Hello?", answer.text

    def follow(self):
        self.start()
        seen = {}
        for language, text in blocks():
            seen[language] = seen.get(language, 0) + 1
            if language in ("sh", "python", "js", "json", "cpp"):
                getattr(self, language)(text)
        for language in ("sh", "python", "js", "json", "cpp"):
            assert seen.get(language), f"README.md has no block marked {language}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument(INSIDE, action="store_true", dest="inside")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    build, cache = options.build.resolve(), options.cache.resolve()
    skip_code = 1 if os.environ.get("CI") == "true" else 77
    try:
        if options.inside:
            raise_loopback()
        elif not ports_are_free():
            for install in (clients.python, clients.javascript):  # no registry is reached from inside
                try:
                    install(cache)
                except clients.Skipped:
                    pass
            move_to_own_network()
    except clients.Skipped as reason:
        print(f"SKIPPED: {reason}")
        return skip_code
    readme = Readme(build, cache)
    try:
        readme.follow()
    finally:
        readme.close()
    for reason in readme.skipped:
        print(f"SKIPPED: {reason}")
    return skip_code if readme.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
