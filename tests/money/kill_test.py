"""What a killed program said was settled is in the books exactly once, and nothing else was taken."""

import os
import random
import signal
import sqlite3
import subprocess
import tempfile
import unittest

SPENDER = os.environ["SWITCHYARD_SPENDER"]
SWITCHYARD = os.environ["SWITCHYARD_BINARY"]
START = 1_000_000_000
ROUNDS = int(os.environ.get("SWITCHYARD_KILLS", "20"))


def spend_and_kill(state, run, lines_wanted):
    """The lines that came out before the program was killed, whole ones only."""
    with subprocess.Popen([SPENDER, state, run], stdout=subprocess.PIPE) as spender:
        lines = [spender.stdout.readline() for _ in range(lines_wanted)]
        os.kill(spender.pid, signal.SIGKILL)
        rest = spender.stdout.read()
    lines += [line + b"\n" for line in rest.split(b"\n")[:-1]]
    return [line.decode().split() for line in lines]


class Kill(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="switchyard-kill-")
        self.addCleanup(self.directory.cleanup)
        self.state = os.path.join(self.directory.name, "state")
        os.mkdir(self.state, 0o700)
        subprocess.run([SPENDER, self.state, "--pay", str(START)], check=True)

    def ask(self, sql):
        with sqlite3.connect(os.path.join(self.state, "switchyard.db")) as books:
            return books.execute(sql).fetchall()

    def test_each_settlement_is_booked_once(self):
        seed = int(os.environ.get("SWITCHYARD_SEED", "0")) or random.randrange(1, 1 << 32)
        print(f"seed {seed}: SWITCHYARD_SEED={seed} repeats it")
        chance = random.Random(seed)
        settled = {}
        for kill in range(ROUNDS):
            for request, charge in spend_and_kill(self.state, f"r{kill}", chance.randrange(1, 4000)):
                self.assertNotIn(request, settled)
                settled[request] = int(charge)
            # Some are recovered by the next spender, which is killed in its turn.
            if kill % 3 == 2:
                self.check(settled)
        subprocess.run([SPENDER, self.state, "--recover"], check=True)
        self.check(settled)
        self.assertEqual(os.listdir(os.path.join(self.state, "journal")), [])

    def check(self, settled):
        subprocess.run([SPENDER, self.state, "--recover"], check=True)
        receipts = self.ask("SELECT request_id, charge FROM receipts")
        booked = dict(receipts)
        self.assertEqual(len(booked), len(receipts), "a request is booked twice")
        for request, charge in settled.items():
            self.assertEqual(booked.get(request), charge, request)
        ((balance,),) = self.ask("SELECT amount FROM balances WHERE account = 'account:a'")
        self.assertEqual(balance, START - sum(booked.values()))
        self.assertEqual(
            self.ask("SELECT request_id FROM interrupted WHERE request_id IN (SELECT request_id FROM receipts)"), [])
        # At most one request of each loop was settled and could not say so any more.
        self.assertLessEqual(len(booked) - len(settled), 2 * ROUNDS)
        proof = subprocess.run([SWITCHYARD, "ledger", "verify", "--state", self.state], capture_output=True, text=True)
        self.assertEqual((proof.returncode, proof.stderr), (0, ""), proof.stdout)


if __name__ == "__main__":
    unittest.main()
