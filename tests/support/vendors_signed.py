"""Upstreams that check a signature over each request, as strict as the real ones: Amazon Bedrock's Converse and Kling.

    with Bedrock() as bedrock:
        bedrock.url                  # "http://127.0.0.1:PORT"
        bedrock.requests[0].body     # what came in, signature verified
        bedrock.refused              # why requests were refused, in words

Signatures are computed here from the published rules and shared with nothing of the gateway. The model's name picks
what Bedrock does (see Bedrock.SCRIPTS); Kling's tasks go one step on each time they are asked for.
"""

import base64
import binascii
import calendar
import hashlib
import hmac
import http.server
import json
import re
import struct
import threading
import time
import urllib.parse

ACCESS_KEY_ID = "AKIDEXAMPLE"
SECRET_ACCESS_KEY = "canary-wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SESSION_TOKEN = "FwoGZXIvYXdzEBYaEXAMPLETOKEN=="
BEDROCK_API_KEY = "ABSK-canary-bedrock-api-key"
KLING_ACCESS_KEY = "AKTEST0123"
KLING_SECRET_KEY = "canary-SKTEST4567"
VIDEO = bytes(range(256)) * 1024  # what a finished video holds


class Request:
    def __init__(self, handler, body):
        self.method = handler.command
        self.target = handler.path  # as on the wire
        self.path = handler.path.partition("?")[0]
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.body = body
        self._fields = handler.headers.items()

    def header_values(self, name):
        return [value for field, value in self._fields if field.lower() == name]

    def json(self):
        return json.loads(self.body)


class Vendor:
    """A server on a free port; `answer(request, handler)` of the subclass says what it does."""

    def __init__(self):
        self.requests, self.refused = [], []
        vendor = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two writes

            def handle_any(self):
                length = int(self.headers.get("content-length", 0))
                request = Request(self, self.rfile.read(length))
                vendor.requests.append(request)
                vendor.answer(request, self)

            do_GET = do_POST = do_DELETE = handle_any

            def log_message(self, *_):
                pass

            def whole(self, status, body, headers=None, content_type="application/json"):
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Type": content_type, "Content-Length": str(len(data)),
                                    **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def chunk(self, data):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
                self.wfile.flush()

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a peer that left

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def answer(self, request, handler):
        raise NotImplementedError

    def clear(self):
        self.requests.clear()
        self.refused.clear()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *trace):
        self.close()


# -- Amazon Bedrock

class Refused(Exception):
    def __init__(self, status, kind, message):
        super().__init__(f"{kind}: {message}")
        self.status, self.kind, self.message = status, kind, message


def sigv4(request, secret, scope, signed_headers):
    """The signature that a request should have: AWS, "Create a signed AWS API request"."""
    path, _, query = request.target.partition("?")
    pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))

    def encode(text, safe=""):
        return urllib.parse.quote(text, safe=safe + "-_.~")

    canonical = "\n".join([
        request.method,
        encode(path, "/"),  # what is encoded on the wire once more
        "&".join(f"{encode(name)}={encode(value)}" for name, value in pairs),
        "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in signed_headers),
        ";".join(signed_headers),
        hashlib.sha256(request.body).hexdigest()])
    text = "\n".join(["AWS4-HMAC-SHA256", request.headers["x-amz-date"], "/".join(scope),
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for step in (*scope, text):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return key.hex()


def event_message(headers, payload):
    """One message of application/vnd.amazon.eventstream; headers are of type string."""
    block = b"".join(struct.pack(">B", len(name)) + name.encode() + b"\x07" +
                     struct.pack(">H", len(value)) + value.encode() for name, value in headers.items())
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    message = prelude + struct.pack(">I", binascii.crc32(prelude)) + block + payload
    return message + struct.pack(">I", binascii.crc32(message))


def event(name, payload):
    return event_message({":event-type": name, ":content-type": "application/json",
                          ":message-type": "event"}, json.dumps(payload).encode())


def exception(name, payload):
    return event_message({":exception-type": name, ":content-type": "application/json",
                          ":message-type": "exception"}, json.dumps(payload).encode())


TEXT = ["Hel", "lo from", " Bedrock \u263a"]
USAGE = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 45,
         "cacheReadInputTokens": 20, "cacheWriteInputTokens": 10}


class Bedrock(Vendor):
    """region: what a signature has to be made for."""

    REGION = "us-east-1"

    def __init__(self, region=REGION):
        self.region = region
        super().__init__()

    def answer(self, request, handler):
        try:
            self.check_auth(request)
            match = re.fullmatch(r"/model/([^/]+)/(converse|converse-stream)", request.path)
            if not match or request.method != "POST":
                raise Refused(404, "UnknownOperationException", "no such operation")
            model = urllib.parse.unquote(match[1])
            body = check_converse(request)
        except Refused as refused:
            self.refused.append(str(refused))
            return handler.whole(refused.status, {"message": refused.message}, {
                "x-amzn-ErrorType": refused.kind + ":http://internal.amazon.com/coral/",
                "x-amzn-RequestId": "r-refused"})
        script = self.SCRIPTS.get(model, Bedrock.good)
        return script(self, handler, body, match[2] == "converse-stream")

    # -- who asks

    def check_auth(self, request):
        authorization = request.headers.get("authorization", "")
        if authorization == f"Bearer {BEDROCK_API_KEY}":
            return
        match = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/(aws4_request), "
                             r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})", authorization)
        if not match:
            raise Refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        access_key_id, date, region, service, end, names, signature = match.groups()
        if access_key_id != ACCESS_KEY_ID:
            raise Refused(403, "UnrecognizedClientException",
                          "The security token included in the request is invalid.")
        stamp = request.headers.get("x-amz-date", "")
        if not stamp.startswith(date) or (region, service) != (self.region, "bedrock"):
            raise Refused(403, "InvalidSignatureException", "Credential should be scoped otherwise")
        age = time.time() - calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
        if abs(age) > 300:
            raise Refused(403, "InvalidSignatureException", "Signature expired")
        signed = names.split(";")
        needed = {"host", "x-amz-date"} | {name for name in request.headers if name.startswith("x-amz-")}
        if signed != sorted(signed) or needed - set(signed) or set(signed) - set(request.headers):
            raise Refused(403, "InvalidSignatureException", "SignedHeaders are incomplete")
        token = request.headers.get("x-amz-security-token")
        if token is not None and token != SESSION_TOKEN:
            raise Refused(403, "ExpiredTokenException", "The security token is expired")
        right = sigv4(request, SECRET_ACCESS_KEY, (date, region, service, end), signed)
        if not hmac.compare_digest(right, signature):
            raise Refused(403, "InvalidSignatureException",
                          "The request signature we calculated does not match the signature you provided.")

    # -- what it says

    def good(self, handler, body, stream):
        tools = body.get("toolConfig")
        call = {"toolUse": {"toolUseId": "tooluse_1", "name": "clock", "input": {"city": "Oslo"}}}
        asked_back = any("toolResult" in block for block in body["messages"][-1]["content"])
        calls = bool(tools) and not asked_back
        if not stream:
            content = [call] if calls else [{"text": "".join(TEXT)}]
            return handler.whole(200, {
                "output": {"message": {"role": "assistant", "content": content}},
                "stopReason": "tool_use" if calls else "end_turn", "usage": USAGE,
                "metrics": {"latencyMs": 7}}, {"x-amzn-RequestId": "r-1"})
        messages = list(self.tool_events() if calls else self.text_events())
        return self.stream(handler, messages + self.end_events("tool_use" if calls else "end_turn"))

    @staticmethod
    def text_events():
        yield event("messageStart", {"role": "assistant", "p": "abcdefgh"})
        for text in TEXT:
            yield event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}, "p": "abc"})
        yield event("contentBlockStop", {"contentBlockIndex": 0})

    @staticmethod
    def tool_events():
        yield event("messageStart", {"role": "assistant"})
        yield event("contentBlockStart", {"contentBlockIndex": 0, "start": {
            "toolUse": {"toolUseId": "tooluse_1", "name": "clock"}}})
        for piece in ('{"city":', ' "Oslo"}'):
            yield event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": piece}}})
        yield event("contentBlockStop", {"contentBlockIndex": 0})

    @staticmethod
    def end_events(reason):
        return [event("messageStop", {"stopReason": reason}),
                event("metadata", {"usage": USAGE, "metrics": {"latencyMs": 7}})]

    @staticmethod
    def stream(handler, messages, cut=None, finish=True):
        """cut: bytes per chunk, so that messages come in pieces."""
        handler.send_response(200)
        for name, value in (("Content-Type", "application/vnd.amazon.eventstream"),
                            ("Transfer-Encoding", "chunked"), ("x-amzn-RequestId", "r-1")):
            handler.send_header(name, value)
        handler.end_headers()
        data = b"".join(messages)
        step = cut or len(data)
        for at in range(0, len(data), step):
            handler.chunk(data[at:at + step])
        if finish:
            handler.chunk(b"")

    def drip(self, handler, body, stream):
        self.stream(handler, list(self.text_events()) + self.end_events("end_turn"), cut=3)

    def throttled_inside(self, handler, body, stream):
        self.stream(handler, list(self.text_events()) + [
            exception("throttlingException", {"message": "Too many requests"})])

    def throttled_at_once(self, handler, body, stream):
        self.stream(handler, [exception("throttlingException", {"message": "Too many requests"})])

    def no_stop(self, handler, body, stream):
        self.stream(handler, list(self.text_events()))

    def cut_message(self, handler, body, stream):
        self.stream(handler, list(self.text_events()) + [self.end_events("end_turn")[0][:20]])

    def bad_checksum(self, handler, body, stream):
        broken = bytearray(event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "!"}}))
        broken[-9] ^= 1
        self.stream(handler, list(self.text_events()) + [bytes(broken)] + self.end_events("end_turn"))

    def refuse(self, handler, body, stream):
        handler.whole(400, {"message": "Input is too long for requested model."},
                      {"x-amzn-ErrorType": "ValidationException:http://internal.amazon.com/coral/"})

    def throttle(self, handler, body, stream):
        handler.whole(429, {"message": "Too many requests, please wait before trying again."},
                      {"x-amzn-ErrorType": "ThrottlingException"})

    SCRIPTS = {"drip": drip, "throttled-inside": throttled_inside, "no-stop": no_stop,
               "throttled-at-once": throttled_at_once, "cut-message": cut_message,
               "bad-checksum": bad_checksum, "refuse": refuse, "throttle": throttle}


CONVERSE_MEMBERS = {"messages", "system", "inferenceConfig", "toolConfig", "guardrailConfig",
                    "additionalModelRequestFields", "additionalModelResponseFieldPaths", "promptVariables",
                    "requestMetadata", "performanceConfig", "serviceTier", "outputConfig"}
BLOCKS = {"text", "image", "document", "audio", "video", "toolUse", "toolResult", "cachePoint",
          "reasoningContent", "guardContent", "citationsContent"}


def check_converse(request):
    """Refuses what the real one refuses; the request's body as a dictionary."""
    def need(condition, message):
        if not condition:
            raise Refused(400, "ValidationException", message)

    need(request.headers.get("content-type") == "application/json", "content-type")
    try:
        body = request.json()
    except ValueError:
        raise Refused(400, "SerializationException", "no JSON") from None
    need(set(body) <= CONVERSE_MEMBERS, f"unknown members {set(body) - CONVERSE_MEMBERS}")
    role, called, tools_seen = "assistant", set(), False
    for message in body.get("messages") or [{}]:
        need(message.get("role") in ("user", "assistant"), "a message's role")
        need(message["role"] != role, "roles must alternate, beginning with the user")
        role = message["role"]
        need(message.get("content"), "The content field is empty")
        answered = set()
        for block in message["content"]:
            need(len(block) == 1 and set(block) <= BLOCKS, f"a block {list(block)}")
            need("text" not in block or block["text"].strip(), "The text field is blank")
            for kind in ("image", "document", "audio"):
                if kind in block:
                    base64.b64decode(block[kind]["source"]["bytes"], validate=True)
            if "toolUse" in block:
                tools_seen = True
                need(isinstance(block["toolUse"]["input"], dict), "toolUse.input is no object")
                need(re.fullmatch("[a-zA-Z0-9_-]{1,64}", block["toolUse"]["toolUseId"]), "toolUseId")
            if "toolResult" in block:
                need(block["toolResult"]["content"], "toolResult.content is empty")
                answered.add(block["toolResult"]["toolUseId"])
        need(role != "user" or answered == called, "toolResult blocks and toolUse blocks do not match")
        called = {block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block}
    need(not tools_seen or body.get("toolConfig", {}).get("tools"),
         "The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    for tool in body.get("toolConfig", {}).get("tools", []):
        spec = tool.get("toolSpec")
        need("cachePoint" in tool or (spec["name"] and spec.get("description") != "" and
                                      isinstance(spec["inputSchema"]["json"], dict)), "a tool")
    for value in body.get("inferenceConfig", {}).get("stopSequences", []):
        need(isinstance(value, str), "stopSequences")
    return body


# -- Kling

def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Kling(Vendor):
    """Tasks go submitted, processing, succeed as they are asked for; a prompt with "forbidden" fails. storage: another
    Kling, where the videos are."""

    def __init__(self, storage=None):
        self.tasks = storage.tasks if storage else {}  # id: {"path", "body", "asked"}
        self.storage = storage or self
        super().__init__()

    def answer(self, request, handler):
        if match := re.fullmatch(r"/files/(\w+)\.mp4", request.path):
            return self.answer_file(request, handler, match[1])
        fault = self.wrong_token(request)
        if fault:
            self.refused.append(fault[1])
            return handler.whole(401, {"code": fault[0], "message": fault[1], "request_id": "r"})
        match = re.fullmatch(r"/v1/videos/(text2video|image2video)(?:/(\w+))?", request.path)
        if not match:
            return handler.whole(404, {"code": 1202, "message": "no such path", "request_id": "r"})
        if request.method == "POST" and not match[2]:
            return self.create(request, handler, match[1])
        task = self.tasks.get(match[2])
        if request.method != "GET" or task is None or task["path"] != match[1]:
            return handler.whole(404, {"code": 1203, "message": "no such task", "request_id": "r"})
        task["asked"] += 1
        return self.tell(handler, match[2])

    @staticmethod
    def wrong_token(request):
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        parts = token.split(".")
        if scheme != "Bearer" or len(parts) != 3:
            return 1001, "Authorization is empty"
        head, claims = json.loads(unpadded(parts[0])), json.loads(unpadded(parts[1]))
        right = hmac.new(KLING_SECRET_KEY.encode(), f"{parts[0]}.{parts[1]}".encode(), hashlib.sha256)
        if head != {"alg": "HS256", "typ": "JWT"} or claims.get("iss") != KLING_ACCESS_KEY or \
                not hmac.compare_digest(right.digest(), unpadded(parts[2])) or "=" in token:
            return 1002, "Authorization is invalid"
        now = time.time()
        if claims["nbf"] > now:
            return 1003, "Authorization is not valid yet"
        if not now < claims["exp"] <= now + 1860:
            return 1004, "Authorization is expired"
        return None

    def create(self, request, handler, path):
        body = request.json()
        wrong = None
        if not isinstance(body.get("model_name"), str) or "model" in body:
            wrong = "model_name"
        elif not isinstance(body.get("duration", "5"), str):
            wrong = "duration is a string"
        elif body.get("aspect_ratio", "1:1") not in ("16:9", "9:16", "1:1"):
            wrong = "aspect_ratio"
        elif (path == "image2video") != ("image" in body):
            wrong = "image"
        elif body.get("image", "").startswith("data:"):
            wrong = "image: bare base64"
        if wrong:
            return handler.whole(400, {"code": 1201, "message": wrong, "request_id": "r"})
        if "forbidden at once" in body.get("prompt", ""):
            return handler.whole(400, {"code": 1301, "message": "content safety", "request_id": "r"})
        if "unpaid" in body.get("prompt", ""):
            return handler.whole(429, {"code": 1101, "message": "arrears", "request_id": "r"})
        task = str(84011 + len(self.tasks))
        self.tasks[task] = {"path": path, "body": body, "asked": 0}
        return self.tell(handler, task)

    def tell(self, handler, task):
        state = self.tasks[task]
        fails = "forbidden" in state["body"].get("prompt", "")
        status = ["submitted", "processing", "failed" if fails else "succeed"][min(state["asked"], 2)]
        data = {"task_id": task, "task_info": {}, "task_status": status, "created_at": 1763630000000,
                "updated_at": 1763630190000, "task_status_msg": "risk control" if status == "failed" else ""}
        if status == "succeed":
            data["task_result"] = {"videos": [
                {"id": "v" + task, "url": f"{self.storage.url}/files/{task}.mp4", "duration": "5.1"}]}
        handler.whole(200, {"code": 0, "message": "SUCCEED", "request_id": "r", "data": data})

    def answer_file(self, request, handler, task):
        if "authorization" in request.headers:
            self.refused.append("a credential on an open link")
            return handler.whole(400, b"", content_type="application/xml")
        if task not in self.tasks:
            return handler.whole(403, b"<Error/>", content_type="application/xml")
        return handler.whole(200, VIDEO, content_type="video/mp4")
