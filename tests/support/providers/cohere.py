"""Version 2 of Cohere's API: chat, embeddings and rerank."""

import base64
import json
import struct

from providers.family import CALLS, Vendor, Wrong, known, need
from stage import UPSTREAM_KEY

CHAT = {"model", "messages", "stream", "tools", "tool_choice", "strict_tools", "documents", "citation_options",
        "response_format", "safety_mode", "max_tokens", "stop_sequences", "temperature", "seed", "frequency_penalty",
        "presence_penalty", "k", "p", "logprobs", "thinking", "priority"}
ROLES = {"system": {"role", "content"}, "user": {"role", "content"},
         "assistant": {"role", "content", "tool_calls", "tool_plan", "citations"},
         "tool": {"role", "content", "tool_call_id"}}
USAGE = {"billed_units": {"input_tokens": 4, "output_tokens": 9},
         "tokens": {"input_tokens": 12, "output_tokens": 9}, "cached_tokens": 8}


class Cohere(Vendor):
    def __init__(self):
        self.bodies = []
        super().__init__()

    def answer(self, request, handler):
        try:
            need(request.header_values("authorization") == [f"Bearer {UPSTREAM_KEY}"], "invalid api token")
            task = {"/v2/chat": self.chat, "/v2/embed": self.embed, "/v2/rerank": self.rerank}.get(request.target)
            need(task, f"no such path: {request.target}")
            body = request.json()
            self.bodies.append(body)
            task(body, handler)
        except Wrong as wrong:
            self.refused.append(str(wrong))
            handler.whole(400, {"id": "e", "message": str(wrong)})

    # -- chat

    def check(self, body):
        known(body, CHAT, "body")
        need(0 <= body.get("temperature", 0.3) <= 1, "temperature: must be between 0 and 1")
        need(0.01 <= body.get("p", 0.75) <= 0.99, "p: must be between 0.01 and 0.99")
        need(len(body.get("stop_sequences", [])) <= 5, "stop_sequences: at most 5")
        need(body.get("tool_choice") in (None, "REQUIRED", "NONE"), "tool_choice")
        form = body.get("response_format", {"type": "text"})
        known(form, {"type", "json_schema"}, "response_format")
        need(form["type"] in ("text", "json_object"), "response_format.type")
        known(body.get("thinking", {"type": "enabled"}), {"type", "token_budget"}, "thinking")
        calls = []
        for index, message in enumerate(body["messages"]):
            where = f"messages[{index}]"
            need(message.get("role") in ROLES, f"{where}.role: {message.get('role')}")
            known(message, ROLES[message["role"]], where)
            if message["role"] == "tool":
                need(message["tool_call_id"] in calls, f"{where}: an answer to no call")
                continue
            calls = [call["id"] for call in message.get("tool_calls", [])]
            need(calls or message.get("content"), f"{where}: content is empty")
            if calls:
                need(message.get("tool_plan") == "Two calls.", f"{where}: the plan was not sent back")
        for tool in body.get("tools", []):
            known(tool, {"type", "function"}, "tools")
            known(tool["function"], {"name", "description", "parameters"}, "tools.function")

    def chat(self, body, handler):
        self.check(body)
        results = sum(message["role"] == "tool" for message in body["messages"])
        calls = CALLS if body.get("tools") and not results else []
        words = ["Hello after ", f"{results} results."] if results else [] if calls else ["Hello", " from", " here"]
        if body.get("response_format", {}).get("json_schema"):
            words = ['{"city":', '"Oslo"}']
        finish = "TOOL_CALL" if calls else "COMPLETE"
        calls = [{"id": f"weather_{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
                 for n, (name, given) in enumerate(calls)]
        if not body.get("stream"):
            content = [{"type": "thinking", "thinking": "A greeting."}, {"type": "text", "text": "".join(words)}]
            message = {"role": "assistant", **({"tool_plan": "Two calls.", "tool_calls": calls} if calls else
                                               {"content": content})}
            return handler.whole(200, {"id": "c1", "finish_reason": finish, "message": message, "usage": USAGE})
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for event in self.events(words, calls, finish):
            handler.chunk(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        handler.wfile.write(b"0\r\n\r\n")

    @staticmethod
    def events(words, calls, finish):
        def event(kind, index=0, **message):
            return {"type": kind, "index": index, "delta": {"message": message}}
        yield {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant", "content": []}}}
        for word in ["Two ", "calls."] if calls else []:
            yield event("tool-plan-delta", tool_plan=word)
        if words:
            yield event("content-start", content={"type": "thinking", "thinking": ""})
            yield event("content-delta", content={"thinking": "A greeting."})
            yield {"type": "content-end", "index": 0}
            yield event("content-start", 1, content={"type": "text", "text": ""})
            for word in words:
                yield event("content-delta", 1, content={"text": word})
            yield {"type": "content-end", "index": 1}
        for index, call in enumerate(calls):
            arguments = call["function"]["arguments"]
            yield event("tool-call-start", index,
                        tool_calls={**call, "function": {**call["function"], "arguments": ""}})
            yield event("tool-call-delta", index, tool_calls={"function": {"arguments": arguments[:5]}})
            yield event("tool-call-delta", index, tool_calls={"function": {"arguments": arguments[5:]}})
            yield {"type": "tool-call-end", "index": index}
        yield {"type": "message-end", "delta": {"finish_reason": finish, "usage": USAGE}}

    # -- lists

    def embed(self, body, handler):
        known(body, {"model", "texts", "input_type", "embedding_types", "output_dimension", "truncate"}, "body")
        need(0 < len(body["texts"]) <= 96, "texts: at most 96")
        need(body["input_type"] in ("search_query", "search_document"), "input_type")
        kind, = body["embedding_types"]
        vectors = [[float(text), 0.5] for text in body["texts"]]
        if kind == "base64":
            vectors = [base64.b64encode(struct.pack("<2f", *vector)).decode() for vector in vectors]
        handler.whole(200, {"id": "e1", "embeddings": {kind: vectors}, "texts": body["texts"],
                            "meta": {"billed_units": {"input_tokens": len(vectors)}}})

    def rerank(self, body, handler):
        known(body, {"model", "query", "documents", "top_n", "max_tokens_per_doc"}, "body")
        need(all(isinstance(document, str) for document in body["documents"]), "documents: strings")
        order = sorted(range(len(body["documents"])), key=lambda index: -len(body["documents"][index]))
        results = [{"index": index, "relevance_score": 0.5} for index in order][:body.get("top_n")]
        handler.whole(200, {"id": "r1", "results": results, "meta": {
            "billed_units": {"search_units": 1}, "tokens": {"input_tokens": 14}}})
