"""Price lists: imported by command and by API into a gateway that runs, kept as versions, refused whole."""

import functools
import json
import subprocess
import unittest

from stage import Stage  # first: it says where the others are
import client

RETAIL = {"name": "retail", "book": "sale", "currency": "EUR",
          "prices": [{"model": "m", "price": {"input": "1.2", "output": "4"}}]}


class Prices(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage()
        cls.addClassCleanup(cls.stage.close)
        cls.gateway = cls.stage.gateway
        cls.token = (cls.gateway.state / "admin.token").read_text().strip()

    def admin(self, method, path, body=None):
        return client.call(self.gateway.admin_url, method, "/admin/v1" + path, body, self.token)

    def cli(self, *words):
        return subprocess.run([self.gateway.binary, "price", *words, "--state", str(self.gateway.state)],
                              capture_output=True, text=True, timeout=30, env=self.gateway.env)

    def loads(self):
        return self.gateway.log().count("prices_loaded")

    def test_a_list_is_taken_over_while_the_gateway_runs_and_a_wrong_one_is_not(self):
        before = self.loads()
        file = self.gateway.directory / "retail.json"
        file.write_text(json.dumps(RETAIL))
        imported = self.cli("import", str(file))
        self.assertEqual((imported.returncode, imported.stdout), (0, "retail#1 is in force.\n"),
                         imported.stderr)
        self.assertEqual(self.loads(), before + 1)
        listed = self.admin("GET", "/prices").json()
        self.assertEqual([(row["name"], row["version"]) for row in listed["data"]], [("retail", 1)])

        dearer = {**RETAIL, "prices": [{"model": "m", "price": {"input": "2"}}]}
        posted = self.admin("POST", "/prices", dearer)
        self.assertEqual((posted.status, posted.json()["version"]), (201, 2))
        self.assertEqual(self.loads(), before + 2)
        wrong = self.admin("POST", "/prices", {**RETAIL, "prices": [{"model": "m"}]})
        self.assertEqual((wrong.status, wrong.json()["error"]["faults"][0]["pointer"]),
                         (422, "/prices/0/price"))

        shown = self.admin("GET", "/prices/retail?version=1").json()
        self.assertEqual(shown["list"], RETAIL)
        history = json.loads(self.cli("history", "retail", "--json").stdout)
        self.assertEqual([row["version"] for row in history], [2, 1])
        self.assertIn("2 per million", self.cli("show", "m").stdout)
        self.assertEqual(self.stage.chat("up/m").status, 200)

    def list_of(self, size, price):
        """A list of so many bytes, some thousand models long."""
        prices = [{"model": f"m{number}", "price": {"input": price}} for number in range(5000)]
        text = json.dumps({**RETAIL, "name": "long", "prices": prices})
        return text + " " * (size - len(text))

    def test_a_list_of_up_to_8_mib_is_taken_and_a_longer_one_refused_whole(self):
        most = 8 * 1024 * 1024
        post = functools.partial(client.call, self.gateway.admin_url, "POST", "/admin/v1/prices", key=self.token,
                                 timeout=60)
        taken = post(body=self.list_of(most, "1"))
        self.assertEqual((taken.status, taken.json()["version"]), (201, 1), taken.text[:300])
        refused = post(body=self.list_of(most + 1, "2"))
        self.assertEqual((refused.status, refused.error["code"]), (413, "body_too_large"), refused.text[:300])
        self.assertIn("8192 KiB", refused.error["message"])

        file = self.gateway.directory / "long.json"
        file.write_text(self.list_of(most, "3"))
        imported = self.cli("import", str(file))
        self.assertEqual((imported.returncode, imported.stdout), (0, "long#2 is in force.\n"), imported.stderr)
        file.write_text(self.list_of(most + 1, "4"))
        imported = self.cli("import", str(file))
        self.assertEqual((imported.returncode, imported.stderr),
                         (1, f"{file}: longer than {most} bytes\n"))
        self.assertIn("3 per million", self.cli("show", "m4999").stdout)

    def test_prices_need_the_token(self):
        for method, path in (("GET", "/prices"), ("POST", "/prices"), ("GET", "/prices/retail"),
                             ("GET", "/prices/retail/history")):
            answer = client.call(self.gateway.admin_url, method, "/admin/v1" + path,
                                 RETAIL if method == "POST" else None)
            self.assertEqual(answer.status, 401, path)


if __name__ == "__main__":
    unittest.main()
