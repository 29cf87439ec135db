"""Starts the gateway for a test: its own directory, free ports, stopped and removed afterwards.

    with Gateway({"providers": {...}}) as gateway:
        urllib.request.urlopen(gateway.url + "/healthz")
        gateway.records()

`config` is the configuration as a dictionary; listen, admin, keys and state are filled in where it has none.
None starts the embedded default. The binary is $SWITCHYARD_BINARY unless one is given. `ports` are those of the public
and of the admin listener, instead of free ones (embedded default) or the configuration's.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# How a sanitizer's report begins, in whichever process it was made.
SANITIZER_REPORT = re.compile(r"^.*(\w+Sanitizer: |: runtime error: )", re.MULTILINE)
TEST_KEY = "sy-test-0123456789abcdefghijklmnopqrstuvwxyz"


def find_binary():
    """$SWITCHYARD_BINARY, or the newest build in the tree."""
    given = os.environ.get("SWITCHYARD_BINARY")
    if given:
        return given
    built = list(ROOT.glob("build/*/bin/switchyard"))
    if not built:
        raise RuntimeError("no switchyard binary: build one, or set SWITCHYARD_BINARY")
    return str(max(built, key=lambda path: path.stat().st_mtime))


def wait_for(condition, seconds=10.0, what="the condition"):
    """The first true value of condition(), asked every 10 ms; an AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


class Gateway:
    """One `switchyard serve`, started by the constructor unless start=False.

    url, urls   the public listeners, "http://127.0.0.1:PORT"
    admin_url   the admin listener
    key         a gateway key: the configuration's, or the one printed at the first start of the embedded default
    admin_token printed at the first start
    state       the state directory
    pid         the supervisor's process id
    """

    def __init__(self, config=None, binary=None, env=None, args=(), directory=None, start=True,
                 start_seconds=30.0, ports=None):
        self.binary = os.path.abspath(binary or find_binary())
        self._own_directory = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="switchyard-test-"))
        self.state = self.directory / "switchyard"
        self.records_file = self.state / "records.jsonl"
        self.config_file = None
        self.key = None
        self.admin_token = None
        self.url = None
        self.urls = []
        self.admin_url = None
        self.process = None
        self.output = []  # lines of standard output
        self._args = list(args)
        self._ports = ports
        self._start_seconds = start_seconds
        self._log_file = self.directory / "log"
        self._ready, self._ended = threading.Event(), threading.Event()
        # Nothing of the caller's environment decides what a test sees: no provider keys, no proxies.
        self.env = {
            name: value for name, value in os.environ.items()
            if not re.search(r"(_API_KEY|_proxy|_PROXY|^SWITCHYARD_\w+|^NOTIFY_SOCKET)$", name)
            or name == "SWITCHYARD_DATA"
        }
        self.env["HOME"] = str(self.directory)
        self.env["XDG_STATE_HOME"] = str(self.directory)  # holds the directory "switchyard"
        self.env["SWITCHYARD_TEST_KEY"] = TEST_KEY
        self.env.update(env or {})
        if config is not None:
            self.config_file = self.directory / "switchyard.json"
            self.write_config(config)
        if start:
            self.start()

    # -- configuration

    def write_config(self, config):
        """Replaces the configuration file (atomically, as an editor does). Does not reload."""
        filled = dict(config)
        filled.setdefault("listen", ["127.0.0.1:0"])
        filled.setdefault("admin", {"listen": "127.0.0.1:0"})
        filled.setdefault("keys", [{"name": "test", "key": "${SWITCHYARD_TEST_KEY}"}])
        filled.setdefault("state", str(self.state))
        references = [key.get("key", "") for key in filled["keys"]]
        names = [name for reference in references for name in re.findall(r"^\$\{(\w+)\}$", reference)]
        self.key = self.env.get(names[0]) if names else None
        self.write_text(json.dumps(filled, indent=2))

    def write_text(self, text):
        """Replaces the configuration file by any text."""
        fresh = self.config_file.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.config_file)

    # -- life

    def start(self):
        command = [self.binary, "serve"]
        if self.config_file is not None:
            command += ["--config", str(self.config_file)]
        if self._ports or (self.config_file is None and "--port" not in self._args):
            public, admin = self._ports or (0, 0)
            command += ["--port", str(public), "--admin-port", str(admin)]
        self.output, self.urls = [], []
        self._ready.clear()
        self._ended.clear()
        with open(self._log_file, "ab") as log:
            self.process = subprocess.Popen(command + self._args, env=self.env, cwd=self.directory,
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=log, text=True)
        self._reader = threading.Thread(target=self._read_output, args=(self.process,), daemon=True)
        self._reader.start()
        if not self._ready.wait(self._start_seconds) or not self.urls:
            if self._ended.is_set():  # it ended by itself
                wait_for(lambda: not self.alive(), what="the end of a gateway that did not start")
            code = self.process.poll()
            self.stop(graceful=False)
            raise RuntimeError(f"the gateway did not start (exit code {code}):\n"
                               + "\n".join(self.output) + "\n" + self.log())
        return self

    def _read_output(self, process):
        for line in process.stdout:
            line = line.rstrip("\n")
            self.output.append(line)
            if match := re.search(r"\bsy-[\w-]+", line):
                self.key = self.key or match.group(0)
            if match := re.match(r"admin token: (\S+)", line):
                self.admin_token = match.group(1)
            if match := re.match(r"listening on (\S+)", line):
                self.urls.append(match.group(1))
                self.url = self.urls[0]
            if match := re.match(r"admin on (\S+)", line):  # the last line of a start
                self.admin_url = match.group(1)
                self._ready.set()
        self._ended.set()
        self._ready.set()  # start() looks at what there is

    @property
    def pid(self):
        return self.process.pid

    def workers(self):
        """Process ids of the supervisor's children that serve."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except (OSError, ValueError):
                continue  # gone meanwhile
            if parent == self.pid and arguments[1:2] == [b"worker"]:
                found.append(int(entry.name))
        return sorted(found)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        """Sends a signal to the supervisor."""
        self.process.send_signal(number)

    def wait(self, seconds=30.0):
        """Waits for the supervisor's end; its exit code."""
        return self.process.wait(seconds)

    def stop(self, graceful=True, seconds=15.0):
        """Drains and stops (SIGTERM), or kills; the exit code. An AssertionError where a sanitizer reported."""
        if self.process is None:
            return None
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            if not graceful:
                self.process.send_signal(signal.SIGINT)  # the second signal kills at once
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        code = self.process.wait()
        self._reader.join(5)
        self.process.stdout.close()
        self._check_log()
        return code

    def _check_log(self):
        # A worker's exit code goes to its supervisor, which carries on: only the log tells.
        log = self.log()
        if report := SANITIZER_REPORT.search(log):
            raise AssertionError(log[report.start():][:20000])

    def close(self, prove=True):
        """Ends it; an AssertionError where its books are not as they have to be after whatever the test did."""
        try:
            if prove and self.alive():
                self._prove_books()
        finally:
            self._end()

    def _end(self):
        try:
            if os.environ.get("SWITCHYARD_SANITIZER") and self.alive():
                self._end_orderly()
            self.stop(graceful=False)
        finally:
            if self._own_directory:
                shutil.rmtree(self.directory, ignore_errors=True)

    def _prove_books(self):
        # What a worker that was killed right now still held is released by the next one.
        end = time.monotonic() + 10
        while faults := self._faults_in_books():
            if time.monotonic() > end:
                raise AssertionError("the books are not proven: " + "; ".join(faults))
            time.sleep(0.1)

    def _faults_in_books(self):
        """None where there are no books that can be looked at. What ran may not be a gateway any more."""
        done = subprocess.run([find_binary(), "ledger", "verify", "--state", str(self.state), "--json"],
                              env=self.env, capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout)["violations"] if done.stdout.startswith("{") else None

    def _end_orderly(self):
        # Leaks are only reported by a worker that ends by itself.
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass  # connections that the test left open

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print(f"--- log of the gateway ---\n{self.log()}\n---", flush=True)
        self.close(prove=kind is None)

    # -- what it said

    def log(self):
        """What it logged so far."""
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    def records(self, count=None, seconds=10.0):
        """The request records written so far, oldest first. With `count`, waits until there are that many."""
        def read():
            if not self.records_file.exists():
                return []
            lines = self.records_file.read_text().split("\n")
            return [json.loads(line) for line in lines[:-1]]  # the last one may be half written
        if count is not None:
            wait_for(lambda: len(read()) >= count, seconds, f"{count} records")
        return read()
