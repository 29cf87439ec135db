"""The matrix of tests/matrix.json: each member of a chat request at each provider, before an upstream that takes nothing
else. What was seen is plugins/providers/SUPPORT.md, which `test_matrix.py --write` writes anew.
"""

import base64
import json
import pathlib
import sys
import unittest
import urllib.parse

from stage import TIMEOUTS, UPSTREAM_KEY, Stage  # first: it says where the others are
import vendors
import vendors_signed
from providers.azure import Azure, AzureClassic
from providers.cohere import Cohere
from providers.dashscope import DashScope
from providers.deepseek import DeepSeek
from providers.doubao import Doubao
from providers.glm import Glm
from providers.grok import Grok
from providers.groq import Groq
from providers.hunyuan import Hunyuan
from providers.local import LlamaCpp, Ollama, Vllm
from providers.minimax import MiniMax
from providers.mistral import Mistral
from providers.moonshot import Moonshot
from providers.openai import OpenAI
from providers.openrouter import OpenRouter
from providers.qwen import Qwen
from providers.spark import Spark
from providers.spark_socket import CREDENTIAL as SPARK_CREDENTIAL, SparkSocket
from providers.stepfun import StepFun
from providers.together import Together
from providers.wenxin import Wenxin
from providers.wenxinworkshop import API_KEY, WenxinWorkshop
from upstream import Upstream

ROOT = pathlib.Path(__file__).resolve().parents[2]
MATRIX = json.loads((ROOT / "tests" / "matrix.json").read_text())
SUPPORT = ROOT / "plugins" / "providers" / "SUPPORT.md"
DIALECTS = {"openai": OpenAI, "azure": Azure, "azure-classic": AzureClassic, "grok": Grok, "mistral": Mistral,
            "deepseek": DeepSeek, "qwen": Qwen, "doubao": Doubao, "moonshot": Moonshot, "glm": Glm, "minimax": MiniMax,
            "wenxin": Wenxin, "spark": Spark, "hunyuan": Hunyuan, "stepfun": StepFun, "openrouter": OpenRouter,
            "groq": Groq, "together": Together, "vllm": Vllm, "llamacpp": LlamaCpp, "ollama": Ollama}
GROUPS = [("OpenAI, its hosts, and other vendors' APIs", ["openai", "azure", "azure-classic", "anthropic", "gemini",
                                                          "bedrock", "cohere", "mistral", "grok"]),
          ("China", ["deepseek", "qwen", "dashscope", "doubao", "moonshot", "glm", "minimax", "wenxin",
                     "wenxinworkshop", "spark", "spark-ws", "hunyuan", "stepfun"]),
          ("Hosts of open models, and servers of one's own", ["openrouter", "groq", "together", "vllm", "llamacpp",
                                                              "ollama"])]
PICTURE = "iVBORw0KGgo="  # a.png
QUESTION = [{"role": "user", "content": "Say it as JSON."}]
MARKS = {"same": "=", "form": "form", "weaker": "weaker", "dropped": "–", "calls": "calls", "refused": "no",
         "rejected": "×"}
HEAD = """# What each provider takes

Made by `tests/integration/test_matrix.py --write` from what it saw: each cell is a request that went through the gateway
to an upstream that refuses what its vendor would refuse. `tests/matrix.json` holds what has to come out.

`=` arrives as it was sent · `form` arrives in that API's own form · `weaker` arrives as less than was asked for, and the
client is told · `–` left out, and the client is told · `calls` got by as many calls · `no` refused, so that another
target may serve · `×` sent on, and that API refuses it.
"""


def at(value, path):
    """What stands there, None where nothing does."""
    for name in path.split("."):
        if isinstance(value, list) and name.lstrip("-").isdigit() and -len(value) <= int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, dict) and name in value:
            value = value[name]
        else:
            return None
    return value


class Cell:
    def __init__(self, provider, member, pictures="https://pictures.example"):
        # Pictures by their address are on a server of the test's own.
        def placed(value):
            return json.loads(json.dumps(value).replace("https://pictures.example", pictures))
        row = placed(MATRIX["providers"][provider])
        self.sent = placed(MATRIX["members"][member]["send"])
        pointer = MATRIX["members"][member].get("at", "/" + member)
        self.kind, self.body, self.lost = "same", {}, []
        if member in row.get("rejected", []):
            self.kind = "rejected"
        elif member in row.get("refused", []):
            self.kind = "refused"
        elif member in row.get("calls", []):
            self.kind, self.body = "calls", {pointer[1:].replace("/", "."): None}
        elif member in row.get("dropped", []):
            self.kind, self.lost = "dropped", [pointer]
            self.body = {pointer[1:].replace("/", "."): None}
        elif member in row.get("forms", {}):
            form = row["forms"][member]
            self.body, self.lost = form["body"], form.get("lost", [])
            self.kind = "weaker" if self.lost else "form"

    def faults(self, upstream):
        """Where the upstream's body is not what it has to be."""
        wanted = self.body
        if self.kind == "same":
            wanted = {"messages": QUESTION, **self.sent}
        return [f"{path}: {at(upstream, path)!r}, expected {value!r}" for path, value in wanted.items()
                if at(upstream, path) != value]


class Matrix(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.families = {name: family() for name, family in DIALECTS.items()}
        cls.families["cohere"], cls.families["dashscope"] = Cohere(), DashScope()
        cls.families["wenxinworkshop"] = WenxinWorkshop()
        cls.families["spark-ws"] = SparkSocket()
        cls.families["bedrock"] = vendors_signed.Bedrock()
        for family in cls.families.values():
            cls.addClassCleanup(family.close)
        cls.vendor = Upstream()
        cls.addClassCleanup(cls.vendor.close)
        vendors.add(cls.vendor)
        cls.pictures = Upstream()
        cls.addClassCleanup(cls.pictures.close)
        cls.pictures.add("a.png", lambda exchange: exchange.answer(body=base64.b64decode(PICTURE),
                                                                   content_type="image/png"))
        # Else pictures are fetched from public addresses only.
        common = {"models": ["*"], "credentials": [{"key": "${TEST_UPSTREAM_KEY}"}], "timeouts": TIMEOUTS,
                  "origins": [cls.pictures.origin]}
        providers = {name: {"plugin": "openai", "dialect": name, "base_url": cls.families[name].url, **common}
                     for name in DIALECTS}
        for name in ("cohere", "dashscope"):
            providers[name] = {"plugin": name, "base_url": cls.families[name].url, **common}
        providers["wenxinworkshop"] = {
            "plugin": "wenxinworkshop", "base_url": cls.families["wenxinworkshop"].url, **common,
            "credentials": [{"key": "${TEST_UPSTREAM_KEY}", "parts": {"api_key": API_KEY}}]}
        providers["spark-ws"] = {"plugin": "spark", "base_url": cls.families["spark-ws"].url, **common,
                                 "credentials": [SPARK_CREDENTIAL]}
        providers["anthropic"] = {"plugin": "anthropic", "base_url": cls.vendor.origin + "/v1", **common}
        providers["gemini"] = {"plugin": "gemini", "base_url": cls.vendor.origin + "/v1beta", **common}
        providers["bedrock"] = {
            "plugin": "bedrock", "base_url": cls.families["bedrock"].url, **common,
            "credentials": [{"key": "${AWS_SECRET}", "parts": {
                "access_key_id": vendors_signed.ACCESS_KEY_ID, "region": vendors_signed.Bedrock.REGION}}]}
        cls.stage = Stage(providers=providers, env={"AWS_SECRET": vendors_signed.SECRET_ACCESS_KEY})
        cls.addClassCleanup(cls.stage.close)
        cls.seen = {}

    def upstream(self, provider):
        return self.families.get(provider, self.vendor)

    def look(self, provider, member):
        """What became of one member: the kind of cell, and what is wrong with it."""
        cell = Cell(provider, member, self.pictures.origin)
        self.pictures.clear()
        upstream = self.upstream(provider)
        upstream.clear()
        model = MATRIX["providers"][provider]["model"]
        answer = self.stage.chat(f"{provider}/{model}", **{"messages": QUESTION, **cell.sent})
        if not upstream.requests:
            said = f"{answer.status} {answer.text}"
            return ("refused", []) if answer.status == 400 and '"not_offered"' in answer.text else (None, [said])
        if any(request.header("authorization") or request.header("x-amz-date") for request in self.pictures.requests):
            return None, ["a credential went to the pictures"]
        if answer.status != (400 if cell.kind == "rejected" else 200):
            return None, [f"{answer.status} {answer.text} {getattr(upstream, 'refused', '')}"]
        faults = [fault for request in upstream.requests for fault in cell.faults(json.loads(request.body))]
        calls = cell.sent["n"] if cell.kind == "calls" else 1
        if len(upstream.requests) != calls:
            faults.append(f"{len(upstream.requests)} calls, expected {calls}")
        lost = [urllib.parse.unquote(each) for each in (answer.header("x-switchyard-dropped") or "").split(", ") if each]
        if lost != cell.lost:
            faults.append(f"lost: {lost}, expected {cell.lost}")
        return cell.kind, faults

    def test_every_cell(self):
        self.assertEqual({name for _, names in GROUPS for name in names}, set(MATRIX["providers"]))
        for provider, row in MATRIX["providers"].items():
            named = [member for kind in ("dropped", "refused", "rejected", "calls", "forms") for member in row.get(kind, [])]
            self.assertEqual((sorted(set(named)), set(named) - set(MATRIX["members"])), (sorted(named), set()), provider)
            for member in MATRIX["members"]:
                with self.subTest(provider, member=member):
                    kind, faults = self.look(provider, member)
                    self.seen[provider, member] = kind
                    self.assertEqual((kind, faults), (Cell(provider, member).kind, []))
        page = self.page()
        if "--write" in ARGUMENTS:
            SUPPORT.write_text(page)
        self.assertEqual(SUPPORT.read_text(), page, "SUPPORT.md is not what was seen: test_matrix.py --write")

    def page(self):
        lines = [HEAD]
        for title, providers in GROUPS:
            lines += [f"## {title}", "", "| | " + " | ".join(providers) + " |", "|---" * (len(providers) + 1) + "|"]
            for member in MATRIX["members"]:
                cells = [MARKS.get(self.seen[provider, member], "?") for provider in providers]
                lines.append(f"| {member} | " + " | ".join(cells) + " |")
            lines.append("")
        return "\n".join(lines)


ARGUMENTS = [each for each in sys.argv[1:] if each == "--write"]
if __name__ == "__main__":
    unittest.main(argv=[each for each in sys.argv if each != "--write"])
