"""Version 1 of Baidu's API: a token for a key and its secret, messages that alternate, functions of the old form."""

import json
import urllib.parse

from providers.family import CALLS, TEXT, Vendor, Wrong, known, need
from stage import UPSTREAM_KEY

API_KEY = "ak-public/1"
WORKSHOP = "/rpc/2.0/ai_custom/v1/wenxinworkshop/"
CHAT = {"messages", "system", "temperature", "top_p", "penalty_score", "stream", "stop", "disable_search",
        "enable_citation", "max_output_tokens", "response_format", "functions", "tool_choice", "user_id"}
MESSAGE = {"user": {"role", "content"}, "assistant": {"role", "content", "function_call"},
           "function": {"role", "name", "content"}}
USAGE = {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21}
FAILURES = {"long": 336103, "rate": 336501, "spent": 17, "unsafe": 336101, "down": 336100, "bad": 336003}


class WenxinWorkshop(Vendor):
    def __init__(self):
        self.bodies, self.tokens, self.stale = [], [], set()
        super().__init__()

    def clear(self):
        super().clear()
        self.bodies.clear()

    def expire(self):
        """Every token so far is good no more."""
        self.stale |= set(self.tokens)

    def answer(self, request, handler):
        path, _, query = request.target.partition("?")
        given = dict(urllib.parse.parse_qsl(query, strict_parsing=True))
        if path == "/oauth/2.0/token":
            self.requests.pop()  # no request of a client
            return self.exchange(request, given, handler)
        try:
            need(request.header_values("authorization") == [], "a key beside the token")
            token = given.pop("access_token")
            need(not given, f"query: {given}")
            if token not in self.tokens or token in self.stale:
                return handler.whole(200, {"error_code": 110, "error_msg": "Access token invalid or no longer valid"})
            body = request.json()
            self.bodies.append(body)
            kind, _, name = path.removeprefix(WORKSHOP).partition("/")
            if name in FAILURES:
                return handler.whole(200, {"error_code": FAILURES[name], "error_msg": "no", "id": "as-1"})
            if kind == "embeddings":
                need(name == "bge_large_zh", f"no such path: {path}")
                return self.embed(body, handler)
            need(kind == "chat" and name in ("completions_pro", "own", "cut", "cleared", "truncated"), f"no such path: {path}")
            self.check(body)
            return self.say(name, body, handler)
        except Wrong as wrong:
            self.refused.append(str(wrong))
            return handler.whole(200, {"error_code": 336003, "error_msg": str(wrong), "id": "as-1"})

    def exchange(self, request, given, handler):
        wanted = {"grant_type": "client_credentials", "client_id": API_KEY, "client_secret": UPSTREAM_KEY}
        if given != wanted or request.body:
            return handler.whole(401, {"error": "invalid_client", "error_description": f"unknown client: {given}"})
        self.tokens.append(f"24.canary-token-{len(self.tokens)}")
        return handler.whole(200, {"access_token": self.tokens[-1], "expires_in": 2592000, "scope": "public"})

    @staticmethod
    def check(body):
        known(body, CHAT, "body")
        need(0 < body.get("temperature", 0.5) <= 1, "temperature: (0, 1]")
        need(body.get("max_output_tokens", 2) >= 2 and len(body.get("stop", [])) <= 4, "limits")
        need(body.get("response_format") in (None, "text", "json_object"), "response_format")
        messages = body["messages"]
        need(len(messages) % 2 == 1, "the length of messages must be an odd number")
        for index, message in enumerate(messages):
            wanted = ("assistant",) if index % 2 else ("user",) if index == 0 else ("user", "function")
            need(message["role"] in wanted, f"messages[{index}].role: {message['role']}")
            known(message, MESSAGE[message["role"]], f"messages[{index}]")
            need(message["content"] or "function_call" in message, f"messages[{index}].content: empty")
            if message["role"] == "function":
                call = messages[index - 1].get("function_call", {})
                need(call.get("name") == message["name"], f"messages[{index}]: the result of no call")
                known(call, {"name", "arguments"}, "function_call")
        for function in body.get("functions", []):
            known(function, {"name", "description", "parameters"}, "functions")
            need(function.get("description") and function.get("parameters"), "functions")

    @staticmethod
    def say(name, body, handler):
        results = sum(message["role"] == "function" for message in body["messages"])
        words = ["Hello after ", f"{results} results."] if results else TEXT
        if body.get("response_format") == "json_object":
            words = ['{"city":', '"Oslo"}']
        calls = CALLS if body.get("functions") and not results else []
        common = {"id": "as-2", "object": "chat.completion", "created": 1, "usage": USAGE,
                  "need_clear_history": name == "cleared", "is_truncated": name == "truncated"}
        call = {"function_call": {"name": calls[0][0], "thoughts": "t", "arguments": json.dumps(calls[0][1])}} \
            if calls else {}
        if not body.get("stream"):
            return handler.whole(200, {**common, "result": "" if calls else "".join(words),
                                       "finish_reason": "function_call" if calls else "normal", **call})
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        frames = [{"result": "", **call}] if calls else [{"result": word} for word in words]
        for index, frame in enumerate(frames):
            last = index == len(frames) - 1
            if name == "cut" and last:
                break
            frame = {**common, "sentence_id": index, "is_end": last, **frame,
                     **({"finish_reason": "function_call" if calls else "normal"} if last else {})}
            handler.chunk(f"data: {json.dumps(frame)}\n\n".encode())
        handler.wfile.write(b"0\r\n\r\n")
        return None

    @staticmethod
    def embed(body, handler):
        known(body, {"input", "user_id"}, "body")
        need(0 < len(body["input"]) <= 16, "input: at most 16")
        handler.whole(200, {"id": "e", "object": "embedding_list", "created": 1, "data": [
            {"object": "embedding", "embedding": [float(text), 0.5], "index": index}
            for index, text in enumerate(body["input"])],
            "usage": {"prompt_tokens": len(body["input"]), "total_tokens": len(body["input"])}})
