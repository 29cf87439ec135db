#!/usr/bin/env python3
"""sdk/PLUGINS.md, followed by a newcomer: plugins_doc_test.py --build-dir DIR

Runs the blocks marked sh of the section "From nothing to a swapped-in plugin" as they stand, in their order and in one
shell, in an empty folder outside the tree, with nothing but the installed SDK and the binary on the PATH. Only where a
port of the text is taken, another one stands in for it.
"""

import argparse
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECTION = "## From nothing to a swapped-in plugin\n"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORTS = ("8080", "8081", "9000")
SECONDS_MAX = 300  # it compiles a plugin twice

# (what a block holds, what it has to print), in the order of the text.
EXPECTED = [
    ("plugin new", r"100% tests passed"),
    ("plugin check", r"^\d+ passed, 0 failed, \d+ warnings, 0 skipped$"),
    ("switchyard serve", r'"status": ?"ok"'),
    ("chat/completions", r'"content": ?"/generate heard: Hello"'),
    ("plugin swap", r"^mine\.so: generation 2 serves: example\.mine "),
    ("chat/completions", r'"content": ?"/v2/generate heard: Hello"'),
    ("plugin rollback", r"(?s)^mine\.so: generation 1 serves.*^mine\.so +1 +serving.*^mine\.so +2 +draining"),
]


def blocks(text):
    """(line, content) of each block of the section."""
    start = text.index(SECTION)
    end = text.index("\n## ", start + len(SECTION))
    return [(text.count("\n", 0, match.start()) + 1, match.group(1))
            for match in BLOCK.finditer(text, start, end)]


def own_ports():
    """port of the text -> itself, or a free one where it is taken."""
    chosen, probes = {}, []
    for port in PORTS:
        probe = socket.socket()
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(port)))
        except OSError:
            probe.bind(("127.0.0.1", 0))
            print(f"port {port} is taken: {probe.getsockname()[1]} stands in for it")
        chosen[port] = str(probe.getsockname()[1])
        probes.append(probe)
    for probe in probes:
        probe.close()
    return chosen


def script_of(parts):
    text = "trap 'kill $(jobs -p); wait' EXIT\n"  # the jobs in its background end with it
    text += "".join(f"printf '\\n--- PLUGINS.md:%d\\n' {line}\n{content}" for line, content in parts)
    for port, own in own_ports().items():
        text = re.sub(rf"\b{port}\b", own, text)
    return text


def environment(home, build):
    """Nothing of the caller's decides what a test sees: no configuration, no provider keys, no proxies."""
    kept = {name: os.environ[name] for name in ("CC", "CXX", "LANG", "TMPDIR") if name in os.environ}
    path = f"{build / 'bin'}:{os.environ['PATH']}"
    return {**kept, "HOME": str(home), "PATH": path, "PYTHONUNBUFFERED": "1"}


def run(script, folder, env):
    """Exit code and output, all of it in one stream."""
    with open(folder.parent / "output", "w+b") as output:
        shell = subprocess.Popen(["bash", "-e", "-c", script], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                                 stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code = shell.wait(SECONDS_MAX)
        except subprocess.TimeoutExpired:
            code = f"none within {SECONDS_MAX} s"
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
        output.seek(0)
        return code, output.read().decode(errors="replace")


def faults_of(parts, code, output):
    said = re.split(r"^--- PLUGINS\.md:(\d+)\n", output, flags=re.MULTILINE)
    said = dict(zip(map(int, said[1::2]), said[2::2]))
    if code != 0:
        yield f"exit code {code} in the block of line {max(said, default='?')}"
    unmet = list(EXPECTED)
    for line, content in parts:
        if unmet and unmet[0][0] in content:
            _, wanted = unmet.pop(0)
            if not re.search(wanted, said.get(line, ""), re.MULTILINE):
                yield f"PLUGINS.md:{line}: nothing like {wanted} in what it printed"
    for mark, _ in unmet:
        yield f"there is no block with {mark}, or it is out of order"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-dir", type=pathlib.Path, required=True)
    build = parser.parse_args().build_dir.resolve()
    parts = blocks((ROOT / "sdk" / "PLUGINS.md").read_text())
    with tempfile.TemporaryDirectory(prefix="switchyard-plugins-doc-") as name:
        home, folder = pathlib.Path(name) / "home", pathlib.Path(name) / "folder"
        home.mkdir()
        folder.mkdir()
        subprocess.run(["cmake", "--install", str(build), "--component", "sdk", "--prefix",
                        str(home / "switchyard-sdk")], check=True, stdout=subprocess.DEVNULL)
        code, output = run(script_of(parts), folder, environment(home, build))
    print(output)
    faults = list(faults_of(parts, code, output))
    for fault in faults:
        print(f"FAILED: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
