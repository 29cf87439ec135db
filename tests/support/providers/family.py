"""What the strict upstreams have in common; see the package."""

import json
import re

from vendors_signed import Vendor

TEXT = ["Hello", " from", " here"]
THOUGHT = ["A", " greeting."]
CALLS = [("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})]
CREATED = 1795132800
MEMBERS = {"model", "messages", "stream", "temperature", "top_p", "max_tokens", "tools", "tool_choice",
           "response_format"}
STREAM_USAGE = {"stream_options"}
MESSAGE = {"role", "content", "tool_calls", "tool_call_id"}


class Wrong(Exception):
    """What the vendor would say of a request."""


def need(holds, message):
    if not holds:
        raise Wrong(message)


def known(value, members, where):
    need(isinstance(value, dict), f"{where}: not an object")
    need(not set(value) - members, f"{where}: unknown member {sorted(set(value) - members)}")


def text_of(content):
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [])


def wish_of(body):
    return text_of([message for message in body["messages"] if message["role"] == "user"][-1]["content"])


def start_stream(handler, content_type="text/event-stream"):
    handler.send_response(200)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()


class Family(Vendor):
    """One upstream. Members of the class say what the vendor takes and how it answers."""

    path = "/chat/completions"
    header = "authorization"
    model = "m"                  # a model that thinks and calls tools
    members = MEMBERS | STREAM_USAGE | {"reasoning_effort"}
    message_members = MESSAGE
    function_members = {"name", "description", "parameters"}
    tool_members = {"type", "function"}
    part_members = {"text": {"type", "text"}, "image_url": {"type", "image_url"},
                    "input_audio": {"type", "input_audio"}, "file": {"type", "file"}}
    parts = {"text", "image_url"}
    public_pictures = True       # takes them by address
    tool_choices = {"auto", "none", "required"}
    named_choice = True          # takes a tool by its name
    efforts = {"low", "medium", "high"}
    developer = False            # knows that role
    vision = True                # takes pictures
    schemas = True               # knows json_schema; else only json_object, with the word "json" in the prompt
    asks_usage = True            # a stream has usage only where stream_options ask for it
    reasoning = "reasoning_content"
    reasoning_required = False   # a message with calls must have its reasoning
    lost = []                    # of the members of test_dialects.MANY
    lost_choice = True           # tool_choice "required" has no equal
    lost_schema = True
    counted = (12, 9, 8, 4)      # tokens as the record should have them: read, said, cached, thought
    failures = {}                # NAME: (status, body, the gateway's code)
    finishes = {"stop": "stop", "length": "length", "tool_calls": "tool_calls"}
    prefix = "/v1"
    mark = None                  # of a last message of the assistant's that the answer goes on with
    goes_on_with = {}            # what the body has to say beside that

    def __init__(self):
        self.bodies = []
        super().__init__()
        self.origin, self.url = self.url, self.url + self.prefix

    def clear(self):
        super().clear()
        self.bodies.clear()

    # -- requests

    def answer(self, request, handler):
        try:
            need(request.header_values(self.header) == [self.credential()], "no such key")
            need(request.target == self.prefix + self.path_of(request), f"no such path: {request.target}")
            body = request.json()
            self.bodies.append(body)
            self.check(body)
            self.say(body, handler)
        except Wrong as wrong:
            self.refused.append(str(wrong))
            handler.whole(400, {"error": {"message": str(wrong), "type": "invalid_request_error",
                                          "param": None, "code": None}})

    def credential(self):
        from stage import UPSTREAM_KEY
        return f"Bearer {UPSTREAM_KEY}"

    def path_of(self, request):
        return self.path

    def check(self, body):
        known(body, self.members, "body")
        need(isinstance(body.get("stream", False), bool), "stream")
        self.check_messages(body["messages"], body)
        for tool in body.get("tools", []):
            known(tool, self.tool_members, "tools")
            known(tool["function"], self.function_members, "tools.function")
        choice = body.get("tool_choice")
        if isinstance(choice, dict):
            known(choice, {"type", "function"}, "tool_choice")
            need(body.get("tools") and self.named_choice, "tool_choice: a tool's name")
        else:
            need(choice is None or (body.get("tools") and choice in self.tool_choices), f"tool_choice: {choice}")
        effort = body.get("reasoning_effort")
        need(effort is None or effort in self.efforts, f"reasoning_effort: {effort}")
        form = body.get("response_format", {"type": "text"})
        need(self.schemas or form["type"] != "json_schema", "response_format: json_schema is not known")
        if form["type"] == "json_object":
            said = "".join(text_of(message["content"]) for message in body["messages"])
            need("json" in said.lower(), "the prompt must contain the word json")

    def check_messages(self, messages, body):
        calls = []
        for index, message in enumerate(messages):
            where = f"messages[{index}]"
            last = index == len(messages) - 1
            known(message, self.message_members | ({self.mark} if self.mark and last else set()), where)
            if self.mark in message:
                self.check_mark(message, body, where)
            roles = ("system", "user", "assistant", "tool", *(("developer",) if self.developer else ()))
            need(message["role"] in roles, f"{where}.role: {message['role']}")
            need("content" in message or message.get("tool_calls"), f"{where}.content is missing")
            if message["role"] == "tool":
                need(message["tool_call_id"] in calls, f"{where}: an answer to no call: {message}")
                continue
            calls = [call["id"] for call in message.get("tool_calls", [])]
            need(len(set(calls)) == len(calls), f"{where}: two calls of one id")
            for call in message.get("tool_calls", []):
                known(call, {"id", "type", "function"}, f"{where}.tool_calls")
                need(isinstance(json.loads(call["function"]["arguments"]), dict), f"{where}: arguments")
            if calls and self.reasoning_required:
                need(isinstance(message.get(self.reasoning), str), f"{where}: {self.reasoning} must be passed back")
            for part in message["content"] if isinstance(message.get("content"), list) else []:
                kind = part["type"]
                need(kind in self.parts and (self.vision or kind != "image_url"), f"{where}: a part of type {kind}")
                known(part, self.part_members[kind], f"{where}: a part")
                need(kind != "image_url" or self.public_pictures or part[kind]["url"].startswith("data:"),
                     f"{where}: a public picture")

    def check_mark(self, message, body, where):
        need(message["role"] == "assistant" and message[self.mark] is True, f"{where}.{self.mark}")
        need(isinstance(message.get("content"), str) and message["content"], f"{where}.content: nothing to go on with")
        need(not message.get("tool_calls") and "tools" not in body, f"{where}: goes on with text alone")
        for name, value in self.goes_on_with.items():
            need(body.get(name) == value, f"{name}: {body.get(name)}, where an answer is gone on with")

    # -- answers

    def say(self, body, handler):
        wish = wish_of(body)
        if wish.startswith("fail:"):
            return self.fail(wish[5:], handler)
        said = self.said_to(body)
        if not body.get("stream"):
            return handler.whole(200, self.whole(body, said))
        start_stream(handler)
        for line in self.lines(body, said):
            handler.chunk(line)
        handler.chunk(b"")

    def fail(self, failure, handler):
        status, body, _ = self.failures[failure]
        handler.whole(status, body, content_type="text/plain" if isinstance(body, bytes) else "application/json")

    def said_to(self, body):
        wish = wish_of(body)
        results = sum(message["role"] == "tool" for message in body["messages"])
        said = {"text": TEXT, "thought": THOUGHT, "calls": [], "finish": "stop"}
        if wish.startswith("finish:"):
            said["finish"] = wish[7:]
        elif body.get("tools") and not results:
            said.update(text=[], calls=CALLS, finish="tool_calls")
        elif results:
            said["text"] = ["Hello after ", f"{results} results."]
        elif wish == "misfit":
            said["text"] = ['{"city":', '7}']
        elif body.get("response_format", {}).get("type", "text") != "text":
            said["text"] = ['{"city":', '"Oslo"}']
        return said

    def lines(self, body, said):
        """A stream, as it goes over the wire."""
        for event in self.events(body, said):
            yield (event if isinstance(event, str) else f"data: {json.dumps(event)}\n\n").encode()

    def usage(self):
        return {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21,
                "prompt_tokens_details": {"cached_tokens": 8},
                "completion_tokens_details": {"reasoning_tokens": 4}}

    def call(self, index, name, arguments):
        return {"id": f"call_{index}", "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)}}

    def calls(self, said):
        return [self.call(index, *call) for index, call in enumerate(said["calls"])]

    def message(self, said):
        message = {"role": "assistant", "content": "".join(said["text"]) or None}
        if self.reasoning:
            message[self.reasoning] = "".join(said["thought"])
        if said["calls"]:
            message["tool_calls"] = self.calls(said)
        return message

    def head(self, body, kind):
        return {"id": "u1", "object": kind, "created": CREATED, "model": body["model"]}

    def whole(self, body, said):
        return {**self.head(body, "chat.completion"),
                "choices": [{"index": 0, "message": self.message(said), "finish_reason": said["finish"]}],
                "usage": self.usage()}

    def deltas(self, said):
        yield {"role": "assistant", "content": ""}
        if self.reasoning:
            for word in said["thought"]:
                yield {"content": None, self.reasoning: word}
        for word in said["text"]:
            yield {"content": word}
        for index, call in enumerate(self.calls(said)):  # as OpenAI: in fragments
            arguments = call["function"]["arguments"]
            call["function"]["arguments"] = ""
            yield {"tool_calls": [{"index": index, **call}]}
            for part in re.findall(".{1,9}", arguments):
                yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}

    def events(self, body, said):
        head = self.head(body, "chat.completion.chunk")
        for delta in self.deltas(said):
            yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": said["finish"]}]}
        yield from self.last(body, head)
        yield "data: [DONE]\n\n"

    def last(self, body, head):
        if not self.asks_usage or (body.get("stream_options") or {}).get("include_usage"):
            yield {**head, "choices": [], "usage": self.usage()}


def error(message="m", **members):
    return {"error": {"message": message, **members}}
