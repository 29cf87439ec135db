"""The model of the scenario book, as upstreams: OpenAI's chat completions, a strict Bedrock, and China's vendors, as strict.
`table` says what each of them can do; every SDK asks them all."""

import contextlib
import itertools
import json
import threading

import upstream
import vendors_signed
from providers.dashscope import DashScope
from providers.deepseek import DeepSeek
from providers.doubao import Doubao
from providers.family import start_stream
from providers.glm import Glm
from providers.hunyuan import Hunyuan
from providers.minimax import MiniMax
from providers.moonshot import Moonshot
from providers.qwen import Qwen
from providers.stepfun import StepFun
from providers.wenxin import Wenxin
from vendors_signed import Bedrock, event

SIGNATURE = "c2lnbmF0dXJl"  # of what the model on Bedrock thinks


def said(tools, results, structured, pictures, thoughts):
    """What the model says of what it was shown: thinking, text, calls and why it ended."""
    if tools and not results:
        return "Two calls.", "Looking.", ("Oslo", "Rome"), "tool_calls"
    if structured:
        text = '{"city": "Oslo"}'
    elif pictures:
        text = f"I see {len(pictures)}: {pictures[0]}"
    elif results:  # thinking comes back beside the calls that it led to
        text = f"Hello after {results} results and {thoughts}."
    else:
        text = upstream.ANSWER
    return "", text, (), "stop"


class Strict:
    """Mixed into a vendor that refuses what it does not know: tells what it refused, and whether clients that left were
    followed."""

    def __init__(self):
        self.paced = []  # of each stream that waits for its client to leave: set when it has
        super().__init__()

    @contextlib.contextmanager
    def until_left(self, handler):
        """Around the beginning of a stream, which then has no more to say."""
        left = threading.Event()
        self.paced.append(left)
        yield
        handler.connection.settimeout(20)
        if handler.connection.recv(1) == b"":
            left.set()
        handler.close_connection = True

    def faults(self):
        """What did not come as it should have."""
        name = type(self).__name__
        faults = [f"{name} refused: {why}" for why in self.refused]
        if not self.paced:
            faults.append(f"no stream of {name}'s was left")
        if not all(left.wait(10) for left in self.paced):
            faults.append(f"a stream of {name}'s went on after its client had left")
        return faults


# -- OpenAI's dialect

def thought_of(message):
    details = message.get("reasoning_details", [])  # as MiniMax has it
    return message.get("reasoning_content") or "".join(detail["text"] for detail in details)


def shown(messages, given):
    """What `said` asks, of messages as OpenAI and DashScope have them and the members that go with them."""
    results = [message for message in messages if message["role"] == "tool"]
    parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
    pictures = [part["image_url"]["url"] for part in parts if "image_url" in part]
    pictures += [part["image"] for part in parts if "image" in part]
    thoughts = [thought_of(message) for message in messages if message.get("tool_calls")]
    return given.get("tools"), len(results), given.get("response_format"), [url[:15] for url in pictures], thoughts


def said_to_openai(body):
    thought, text, cities, finish = said(*shown(body["messages"], body))
    message = {"content": text}
    if cities:
        message["reasoning_content"] = thought
        message["tool_calls"] = [{"id": f"call_{city}", "type": "function", "function": {
            "name": "weather", "arguments": json.dumps({"city": city})}} for city in cities]
    return message, finish


def openai(exchange):
    """A script of upstream.Upstream."""
    request = exchange.request
    message, finish = said_to_openai(request.json())
    if not request.streams:
        answer = upstream.chat("book", finish=finish)
        answer["choices"][0]["message"].update(message)
        return exchange.answer(body=answer)
    exchange.start_stream()
    deltas = [{"role": "assistant", "content": ""}]
    for name in ("reasoning_content", "content"):
        text = message.get(name, "")
        deltas += [{name: part} for part in (text[:4], text[4:]) if part]
    for index, call in enumerate(message.get("tool_calls", [])):
        arguments = call["function"]["arguments"]
        deltas.append({"tool_calls": [{**call, "index": index, "function": {
            "name": call["function"]["name"], "arguments": ""}}]})
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": part}}]}
                   for part in (arguments[:5], arguments[5:])]
    for delta in deltas:
        exchange.event(upstream.chunk_of(delta, model="book"))
    exchange.event(upstream.chunk_of({}, finish, model="book"))
    if request.wants_usage:
        exchange.event(upstream.usage_chunk(model="book"))
    exchange.event("[DONE]")
    exchange.last_chunk()
    return True


# -- Bedrock's Converse

def said_by_converse(body):
    blocks = [block for message in body["messages"] for block in message["content"]]
    results = [block for block in blocks if "toolResult" in block]
    pictures = [f"data:image/{block['image']['format']};" for block in blocks if "image" in block]
    thoughts = [block["reasoningContent"]["reasoningText"] for block in blocks if "reasoningContent" in block]
    if any(thought["signature"] != SIGNATURE for thought in thoughts):
        raise ValueError("a thought with another signature")
    thought, text, cities, finish = said(
        body.get("toolConfig"), len(results), "textFormat" in body.get("outputConfig", {}), pictures,
        [thought["text"] for thought in thoughts])
    content = [{"reasoningContent": {"reasoningText": {"text": thought, "signature": SIGNATURE}}}] if thought else []
    content.append({"text": text})
    content += [{"toolUse": {"toolUseId": f"tooluse_{city}", "name": "weather", "input": {"city": city}}}
                for city in cities]
    return content, {"tool_calls": "tool_use", "stop": "end_turn"}[finish]


def deltas_of(block):
    if "toolUse" in block:
        text = json.dumps(block["toolUse"]["input"])
        return [{"toolUse": {"input": part}} for part in (text[:5], text[5:])]
    if "reasoningContent" in block:
        thought = block["reasoningContent"]["reasoningText"]
        return [{"reasoningContent": {name: thought[name]}} for name in ("text", "signature")]
    return [{"text": part} for part in (block["text"][:4], block["text"][4:])]


class StrictBedrock(Strict, Bedrock):
    """Verifies each signature, and refuses what Bedrock would (vendors_signed.py)."""

    CLAUDE = "anthropic.claude-opus-5-5"
    USAGE = {"inputTokens": 11, "outputTokens": 5, "totalTokens": 16}

    def book(self, handler, body, stream):
        content, reason = said_by_converse(body)
        if not stream:
            return handler.whole(200, {"output": {"message": {"role": "assistant", "content": content}},
                                       "stopReason": reason, "usage": self.USAGE, "metrics": {"latencyMs": 7}})
        events = [event("messageStart", {"role": "assistant"})]
        for index, block in enumerate(content):
            if "toolUse" in block:  # text and thinking begin with their first delta
                call = {name: block["toolUse"][name] for name in ("toolUseId", "name")}
                events.append(event("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": call}}))
            events += [event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})
                       for delta in deltas_of(block)]
            events.append(event("contentBlockStop", {"contentBlockIndex": index}))
        events += [event("messageStop", {"stopReason": reason}),
                   event("metadata", {"usage": self.USAGE, "metrics": {"latencyMs": 7}})]
        return self.stream(handler, events)

    def pace(self, handler, body, stream):
        with self.until_left(handler):
            self.stream(handler, list(self.text_events())[:2], finish=False)

    SCRIPTS = {**Bedrock.SCRIPTS, CLAUDE: book, "paced": pace}


def bedrock_provider(url):
    return {"plugin": "bedrock", "base_url": url,
            "models": [StrictBedrock.CLAUDE, "paced", "refuse", "throttled-inside"],
            "credentials": [{"key": "${AWS_SECRET}", "parts": {
                "access_key_id": vendors_signed.ACCESS_KEY_ID, "region": Bedrock.REGION}}]}


# -- China

class Reader(Strict):
    """Mixed into a vendor of support/providers: says what the book's model says, in that vendor's form. Models "refuse",
    "cut" and "paced" do so; the others read."""

    def said_to(self, body):
        # DashScope has all in two members.
        messages = body.get("input", body)["messages"]
        thought, text, cities, finish = said(*shown(messages, body.get("parameters", body)))
        return {"text": [text[:4], text[4:]], "thought": [thought] if thought else [],
                "calls": [("weather", {"city": city}) for city in cities], "finish": finish}

    def say(self, body, handler):
        if body["model"] == "refuse":
            return self.fail(self.refusal, handler)
        if body["model"] == "cut":
            self.begin(body, handler)
            handler.close_connection = True
        elif body["model"] == "paced":
            with self.until_left(handler):
                self.begin(body, handler)
        else:
            super().say(body, handler)

    def begin(self, body, handler):
        """A stream, up to the first half of its text."""
        start_stream(handler)
        second_half = upstream.ANSWER[4:].encode()
        for line in itertools.takewhile(lambda line: second_half not in line, self.lines(body, self.said_to(body))):
            handler.chunk(line)


def reader(family, failure, **members):
    """failure: what it refuses a client's own request with. members: what is different of the model that reads."""
    return type(family.__name__, (Reader, family), {"refusal": failure, **members})


# Chat completions have no place for thinking, so not every client sends it back to MiniMax; hy3 and ERNIE 5.1 read text alone.
READERS = {"dashscope": reader(DashScope, "inspected"), "deepseek": reader(DeepSeek, "risk", model="deepseek-v4-pro"),
           "doubao": reader(Doubao, "sensitive"), "glm": reader(Glm, "sensitive"),
           "hunyuan": reader(Hunyuan, "filter", vision=False),
           "minimax": reader(MiniMax, "sensitive", thinking_required=False),
           "moonshot": reader(Moonshot, "filter"), "qwen": reader(Qwen, "inspected", model="qwen3.6-plus"),
           "stepfun": reader(StepFun, "review"), "wenxin": reader(Wenxin, "unsafe", vision=False)}


def reader_provider(name, family):
    plugin = {"plugin": "dashscope"} if name == "dashscope" else {"plugin": "openai", "dialect": name}
    return {**plugin, "base_url": family.url, "models": [family.model, "refuse", "cut", "paced"],
            "credentials": [{"key": "${TEST_UPSTREAM_KEY}"}]}


# -- what the SDKs' tests ask

def model(name, counted=(11, 5, 0, 0), pictures=True, thoughts=True):
    """counted: tokens that it read, said, had cached, and thought. pictures: it sees them, else they are refused.
    thoughts: it takes back what it thought before its calls."""
    return {"name": name, "counted": counted, "pictures": pictures, "thoughts": thoughts}


def table():
    """What all the SDKs' tests ask, in $BOOK."""
    families = [model(f"{name}/{family.model}", family.counted, family.vision,
                      any(member.startswith("reasoning") for member in family.message_members))
                for name, family in READERS.items()]
    return {"models": [model("up/book"), model(f"strict-aws/{StrictBedrock.CLAUDE}"), *families],
            "refusing": ["up/status-400", "strict-aws/refuse", *(f"{name}/refuse" for name in READERS)],
            "breaking": ["up/cut-between-events", "strict-aws/throttled-inside", *(f"{name}/cut" for name in READERS)],
            "paced": ["up/paced", "strict-aws/paced", *(f"{name}/paced" for name in READERS)]}
