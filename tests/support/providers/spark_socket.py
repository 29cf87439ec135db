"""iFlytek Spark over its WebSocket: a signature in the query, one request to a connection, a code in every message.

What it does is said by the last message of the user: "say", "tools", "fail:CODE" (that code in place of an answer),
"filtered" (the output is stopped after a word), "fragments", "pings", "late" (once it is released), "flood", or one of FAULTS, which are no answers.
"""

import base64
import datetime
import email.utils
import hashlib
import hmac
import json
import re
import struct
import threading
import urllib.parse

from providers.family import CALLS, TEXT, THOUGHT, Wrong, known, need
from stage import UPSTREAM_KEY
from upstream import Gone, Upstream
from websocket import CLOSE, PING, TEXT as TEXT_FRAME, Broken, Ended, accept, encode

APP_ID, API_KEY = "app-1", "TestApiKey0123456789abcdef012345"
CREDENTIAL = {"key": "${TEST_UPSTREAM_KEY}", "parts": {"app_id": APP_ID, "api_key": API_KEY}}
DOMAINS = {"/v1.1/chat": "lite", "/v2.1/chat": "generalv2", "/v3.1/chat": "generalv3", "/chat/pro-128k": "pro-128k",
           "/v3.5/chat": "generalv3.5", "/chat/max-32k": "max-32k", "/v4.0/chat": "4.0Ultra", "/v1/x1": "x1",
           "/v9/chat": "mine"}
CHAT = {"domain", "temperature", "top_k", "max_tokens", "auditing", "show_ref_label"}
USAGE = {"question_tokens": 3, "prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21}
SKEW_MAX = datetime.timedelta(seconds=300)
FAULTS = ("cut", "closed", "cut-in-frame", "garbage", "no-code", "oversize", "masked", "stall-first", "stall")
FLOOD = 400
FLOOD_TEXT = "x" * 100_000


def signed(host, path, date, api_key, api_secret):
    """The query that is right for these, as pairs."""
    origin = f"host: {host}\ndate: {date}\nGET {path} HTTP/1.1"
    signature = base64.b64encode(hmac.new(api_secret.encode(), origin.encode(), hashlib.sha256).digest()).decode()
    authorization = (f'api_key="{api_key}", algorithm="hmac-sha256", headers="host date request-line", '
                     f'signature="{signature}"')
    return [("authorization", base64.b64encode(authorization.encode()).decode()), ("date", date), ("host", host)]


class SparkSocket(Upstream):
    """`requests` have the message that came as their body, and `closed_with`, the code of the Close behind it; `refused`
    says what was wrong with any."""

    def __init__(self, pair=None):
        self.refused, self.sent, self.release = [], 0, threading.Event()
        super().__init__(pair)
        self.url = self.origin
        for path in DOMAINS:
            self.add(path.rpartition("/")[2], self.serve)
        self.add("plain-200", lambda exchange: exchange.answer(200, {"header": {"code": 0}}))
        self.add("wrong-accept", lambda exchange: exchange.head(101, {
            "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": "c2hvdWxkIG5vdCBtYXRjaCBhbnk="}))

    def clear(self):
        super().clear()
        self.refused.clear()

    def bodies(self):
        return [request.json() for request in self.requests if request.body]

    def serve(self, exchange):
        try:
            self.check_signature(exchange.request)
        except Wrong as wrong:
            self.refused.append(str(wrong))
            return exchange.answer(403 if "date" in str(wrong) else 401, {"message": str(wrong)})
        socket = accept(exchange)
        socket.request = exchange.request
        try:
            self.talk(socket)
        except (Ended, Broken, Gone):
            pass
        return False

    def check_signature(self, request):
        path, _, query = request.target.partition("?")
        given = urllib.parse.parse_qsl(query, strict_parsing=True)
        need([name for name, _ in given] == ["authorization", "date", "host"], f"query: {given}")
        need(re.fullmatch(r"[A-Za-z0-9%._~=&-]*", query), f"not percent-encoded: {query}")
        named = dict(given)
        need(named["host"] == request.header("host"), f"host {named['host']}")
        need(request.header("authorization") is None, "a key beside the signature")
        date = email.utils.parsedate_to_datetime(named["date"])
        need(abs(datetime.datetime.now(datetime.timezone.utc) - date) <= SKEW_MAX, "HMAC signature: date out of range")
        need(email.utils.format_datetime(date, usegmt=True) == named["date"], f"date: {named['date']}")
        need(given == signed(named["host"], path, named["date"], API_KEY, UPSTREAM_KEY),
             "HMAC signature cannot be verified")

    # -- the request

    def talk(self, socket):
        opcode, payload = socket.receive()
        need(opcode == TEXT_FRAME, f"opcode {opcode}")
        socket.request.body = payload
        body = json.loads(payload)
        try:
            self.check(body, DOMAINS[socket.request.target.partition("?")[0]])
        except Wrong as wrong:
            self.refused.append(str(wrong))
            return self.conclude(socket, self.failure(10163, str(wrong)))
        wish = [text["content"] for text in body["payload"]["message"]["text"] if text["role"] == "user"][-1]
        if wish in FAULTS or wish in ("flood", "fragments", "pings", "late"):
            return getattr(self, wish.replace("-", "_"))(socket)
        return self.answer(socket, body, wish)

    def check(self, body, domain):
        known(body, {"header", "parameter", "payload"}, "message")
        known(body["header"], {"app_id", "uid"}, "header")
        need(body["header"]["app_id"] == APP_ID, "header.app_id")
        need(len(body["header"].get("uid", "")) <= 32, "header.uid")
        known(body["parameter"], {"chat"}, "parameter")
        chat = body["parameter"]["chat"]
        known(chat, CHAT, "parameter.chat")
        need(chat["domain"] == domain, f"parameter.chat.domain: {chat['domain']}")
        need(0 < chat.get("temperature", 0.5) <= 1, "parameter.chat.temperature")
        need(chat.get("top_k", 4) in range(1, 7), "parameter.chat.top_k")
        need(chat.get("max_tokens", 1) in range(1, 32769), "parameter.chat.max_tokens")
        payload = body["payload"]
        known(payload, {"message", "functions"}, "payload")
        known(payload["message"], {"text"}, "payload.message")
        roles = ("user", "assistant") if domain in ("lite", "generalv2") else ("system", "user", "assistant")
        for text in payload["message"]["text"]:
            known(text, {"role", "content"}, "payload.message.text")
            need(text["role"] in roles and isinstance(text["content"], str), f"payload.message.text: {text}")
        if "functions" in payload:
            known(payload["functions"], {"text"}, "payload.functions")
            need(payload["functions"]["text"], "payload.functions.text")
            for function in payload["functions"]["text"]:
                known(function, {"name", "description", "parameters"}, "payload.functions.text")

    # -- answers

    @staticmethod
    def message(number, status, *texts, usage=None):
        payload = {"choices": {"status": status, "seq": number, "text": [
            {"role": "assistant", "index": 0, "content": "", **text} for text in texts]}}
        if usage:
            payload["usage"] = {"text": usage}
        return {"header": {"code": 0, "message": "Success", "sid": "cht1", "status": status}, "payload": payload}

    @staticmethod
    def failure(code, message="no"):
        return {"header": {"code": code, "message": message, "sid": "cht1", "status": 2}}

    @staticmethod
    def say(socket, message):
        socket.send(TEXT_FRAME, json.dumps(message, ensure_ascii=False))

    def conclude(self, socket, *messages):
        """The last of an answer, then a Close: another request on this connection would be wrong."""
        for message in messages:
            self.say(socket, message)
        socket.close(1000)
        self.end(socket)

    def end(self, socket):
        opcode, payload = socket.receive()
        if opcode != CLOSE:
            self.refused.append("a second message of one connection")
            return
        socket.request.closed_with = struct.unpack("!H", payload[:2])[0]

    def answer(self, socket, body, wish):
        if wish.startswith("fail:"):
            return self.conclude(socket, self.failure(int(wish[5:])))
        if wish == "filtered":
            return self.conclude(socket, self.message(0, 0, {"content": "Some"}, usage={**USAGE, "completion_tokens": 1}),
                               self.failure(10014))
        texts = body["payload"]["message"]["text"]
        results = sum('"result":' in text["content"] for text in texts)
        words = ["Hello after ", f"{results} results."] if results else TEXT
        if "JSON" in texts[0]["content"] and texts[0]["role"] == "system":
            words = ['{"city":', '"Oslo"}']
        if body["payload"].get("functions") and not results:
            name, arguments = CALLS[0]
            call = {"function_call": {"name": name, "arguments": json.dumps(arguments)}}
            return self.conclude(socket, self.message(0, 2, call, usage=USAGE))
        thoughts = [{"reasoning_content": word} for word in THOUGHT] if body["parameter"]["chat"]["domain"] == "x1" else []
        parts = thoughts + [{"content": word} for word in words]
        messages = [self.message(number, 1 if number else 0, part, usage={**USAGE, "completion_tokens": number})
                    for number, part in enumerate(parts)]
        return self.conclude(socket, *messages, self.message(len(parts), 2, {}, usage=USAGE))

    # -- what is no answer

    def begin(self, socket):
        self.say(socket, self.message(0, 0, {"content": "Hello"}))

    def cut(self, socket):
        self.begin(socket)

    def closed(self, socket):
        self.begin(socket)
        socket.close(1000)
        self.end(socket)

    def cut_in_frame(self, socket):
        self.begin(socket)
        socket.send_bytes(encode(TEXT_FRAME, json.dumps(self.message(1, 2, {"content": "?"})))[:20])

    def garbage(self, socket):
        self.begin(socket)
        socket.send(TEXT_FRAME, '{"header":')
        self.end(socket)

    def no_code(self, socket):
        self.begin(socket)
        socket.send(TEXT_FRAME, '{"payload":{"choices":{"status":2}}}')
        self.end(socket)

    def oversize(self, socket):
        self.begin(socket)
        socket.send_frame(TEXT_FRAME, b"", length=(127, (16 << 20) + 1))
        self.end(socket)

    def masked(self, socket):
        self.begin(socket)
        socket.send_frame(TEXT_FRAME, "{}", masked=True)
        self.end(socket)

    def stall_first(self, socket):
        self.wait(socket)

    def stall(self, socket):
        self.begin(socket)
        self.wait(socket)

    def wait(self, socket):
        """Until the peer leaves."""
        try:
            self.end(socket)
        finally:
            socket.request.left.set()

    # -- what is an answer all the same

    def fragments(self, socket):
        whole = json.dumps(self.message(0, 0, {"content": "Häß€😀"}), ensure_ascii=False)
        socket.send(TEXT_FRAME, whole, fragment=7)  # characters are cut
        self.conclude(socket, self.message(1, 2, {}, usage=USAGE))

    def pings(self, socket):
        self.begin(socket)
        socket.send_frame(PING, "still there?")
        self.say(socket, self.message(1, 1, {"content": " there"}))
        socket.receive_frame()  # the pong
        self.conclude(socket, self.message(2, 2, {}, usage=USAGE))

    def late(self, socket):
        self.begin(socket)
        self.release.wait(20)
        self.conclude(socket, self.message(1, 2, {}, usage=USAGE))

    def flood(self, socket):
        for number in range(FLOOD):
            self.sent = number
            self.say(socket, self.message(number, 1, {"content": FLOOD_TEXT}))
        self.conclude(socket, self.message(FLOOD, 2, {}, usage=USAGE))
