"""The ledger as an operator sees it: proven at any time, told by API, command and metrics, gone from the disk with the gateway."""

import json
import os
import signal
import subprocess
import unittest
import urllib.error
import urllib.request

from stage import Stage  # first: it says where the others are
from gateway import find_binary, wait_for


def state_of(stage):
    return stage.gateway.state


def ledger(state, *words):
    return subprocess.run([find_binary(), "ledger", *words, "--state", str(state)], capture_output=True, text=True)


def admin(stage, path):
    token = (state_of(stage) / "admin.token").read_text().strip()
    request = urllib.request.Request(stage.gateway.admin_url + path, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


class Ledger(unittest.TestCase):
    def test_it_is_proven_while_the_gateway_runs_and_after(self):
        with Stage() as stage:
            state = state_of(stage)
            self.assertEqual(admin(stage, "/admin/v1/ledger/verify"), {"proven": True, "violations": []})
            self.assertEqual(admin(stage, "/admin/v1/ledger/entries"), {"data": [], "next": None})
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(stage.gateway.admin_url + "/admin/v1/ledger/balances")
            self.assertEqual(refused.exception.code, 401)
            proof = ledger(state, "verify")
            self.assertEqual((proof.returncode, proof.stderr), (0, ""), proof.stdout)
            metrics = urllib.request.urlopen(stage.gateway.admin_url + "/metrics").read().decode()
            self.assertRegex(metrics, r"(?m)^switchyard_ledger_lag_entries 0$")
            self.assertRegex(metrics, r"(?m)^switchyard_ledger_sync_faults_total 0$")
            self.assertNotEqual(os.listdir(state / "journal"), [])
            stage.gateway.stop()
            self.assertEqual(os.listdir(state / "journal"), [])
            self.assertEqual(ledger(state, "verify").returncode, 0)

    def test_what_a_killed_worker_left_is_taken_over_by_the_next(self):
        with Stage() as stage:
            journal = state_of(stage) / "journal"
            before = set(os.listdir(journal))
            (worker,) = stage.gateway.workers()
            os.kill(worker, signal.SIGKILL)
            wait_for(lambda: set(os.listdir(journal)) and not before & set(os.listdir(journal)),
                     what="a journal of the next worker alone")
            self.assertEqual(ledger(state_of(stage), "verify").returncode, 0)


if __name__ == "__main__":
    unittest.main()
