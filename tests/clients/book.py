"""The model of the scenario book, as two upstreams: OpenAI's chat completions, and a strict Bedrock."""

import json
import threading

import upstream
import vendors_signed
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


# -- OpenAI's dialect

def said_to_openai(body):
    results = [message for message in body["messages"] if message["role"] == "tool"]
    parts = [part for message in body["messages"] if isinstance(message["content"], list)
             for part in message["content"]]
    pictures = [part["image_url"]["url"][:15] for part in parts if part["type"] == "image_url"]
    thoughts = [message.get("reasoning_content") for message in body["messages"] if message.get("tool_calls")]
    thought, text, cities, finish = said(
        body.get("tools"), len(results), body.get("response_format"), pictures, thoughts)
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


class StrictBedrock(Bedrock):
    """Verifies each signature, and refuses what Bedrock would (vendors_signed.py)."""

    CLAUDE = "anthropic.claude-opus-5-5"
    USAGE = {"inputTokens": 11, "outputTokens": 5, "totalTokens": 16}

    def __init__(self):
        self.paced = []  # of each stream that waits for its client to leave: set when it has
        super().__init__()

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
        left = threading.Event()
        self.paced.append(left)
        self.stream(handler, list(self.text_events())[:2], finish=False)
        handler.connection.settimeout(20)
        if handler.connection.recv(1) == b"":
            left.set()
        handler.close_connection = True

    SCRIPTS = {**Bedrock.SCRIPTS, CLAUDE: book, "paced": pace}

    def faults(self):
        """What did not come as it should have."""
        faults = [f"bedrock refused: {why}" for why in self.refused]
        if not self.paced:
            faults.append("no stream of bedrock's was left")
        if not all(left.wait(10) for left in self.paced):
            faults.append("a stream of bedrock's went on after its client had left")
        return faults


def bedrock_provider(url):
    return {"plugin": "bedrock", "base_url": url,
            "models": [StrictBedrock.CLAUDE, "paced", "refuse", "throttled-inside"],
            "credentials": [{"key": "${AWS_SECRET}", "parts": {
                "access_key_id": vendors_signed.ACCESS_KEY_ID, "region": Bedrock.REGION}}]}
