"""DashScope, the own API of Alibaba Model Studio: chat in frames, embeddings and rerank."""

import json

from providers.family import CALLS, TEXT, THOUGHT, Vendor, Wrong, known, need, start_stream, text_of
from stage import UPSTREAM_KEY

PREFIX = "/api/v1/services"
PARAMETERS = {"result_format", "incremental_output", "max_tokens", "temperature", "top_p", "top_k", "seed", "stop",
              "repetition_penalty", "presence_penalty", "enable_search", "search_options", "tools", "tool_choice",
              "parallel_tool_calls", "enable_thinking", "thinking_budget", "n", "logprobs", "top_logprobs",
              "response_format"}
ROLES = {"system": {"role", "content"}, "user": {"role", "content"},
         "assistant": {"role", "content", "tool_calls"}, "tool": {"role", "content", "tool_call_id"}}
USAGE = {"input_tokens": 12, "output_tokens": 9, "total_tokens": 21, "output_tokens_details": {"reasoning_tokens": 4},
         "prompt_tokens_details": {"cached_tokens": 8, "cache_creation_input_tokens": 1},
         "input_tokens_details": {"image_tokens": 2, "audio_tokens": 3}}
FAILURES = {
    "key": (401, "InvalidApiKey", "Invalid API-key provided."),
    "arrears": (400, "Arrearage", "Access denied, please make sure your account is in good standing."),
    "inspected": (400, "DataInspectionFailed", "Input data may contain inappropriate content."),
    "long": (400, "InvalidParameter", "Range of input length should be [1, 1000]"),
    "minute": (429, "Throttling.AllocationQuota", "Allocated quota exceeded, please increase your quota limit."),
    "rate": (429, "Throttling.RateQuota", "Requests rate limit exceeded."),
    "none": (404, "ModelNotFound", "Model not exist."),
    "serving": (503, "ModelServingError", "Too many requests."),
}


def is_multimodal(model):
    return "plus" in model or "-vl" in model


class DashScope(Vendor):
    model = "qwen3.6-plus"
    message_members = ROLES["assistant"]
    vision = True
    counted = (12, 9, 8, 4)  # as in Family

    def __init__(self):
        self.bodies = []
        super().__init__()
        self.origin, self.url = self.url, self.url + "/api/v1"

    def clear(self):
        super().clear()
        self.bodies.clear()

    def answer(self, request, handler):
        try:
            need(request.header_values("authorization") == [f"Bearer {UPSTREAM_KEY}"], "no such key")
            body = request.json()
            self.bodies.append(body)
            if body.get("model") in FAILURES:
                return self.fail(body["model"], handler)
            task = {"/aigc/text-generation/generation": lambda: self.chat(request, body, handler, False),
                    "/aigc/multimodal-generation/generation": lambda: self.chat(request, body, handler, True),
                    "/embeddings/text-embedding/text-embedding": lambda: self.embed(body, handler),
                    "/rerank/text-rerank/text-rerank": lambda: self.rerank(body, handler),
                    }.get(request.target.removeprefix(PREFIX))
            need(task, f"no such path: {request.target}")
            task()
        except Wrong as wrong:
            self.refused.append(str(wrong))
            handler.whole(400, {"code": "InvalidParameter", "message": str(wrong), "request_id": "r"})
        return None

    @staticmethod
    def fail(failure, handler):
        status, code, message = FAILURES[failure]
        handler.whole(status, {"code": code, "message": message, "request_id": "r"})

    # -- chat

    def check(self, body, multimodal):
        # Each model is served at one place.
        need(multimodal == is_multimodal(body["model"]), "url error, please check url")
        known(body, {"model", "input", "parameters"}, "body")
        known(body["input"], {"messages"}, "input")
        given = body["parameters"]
        known(given, PARAMETERS, "parameters")
        need(given.get("result_format") == "message" and given.get("incremental_output") is True, "parameters")
        need(0 <= given.get("temperature", 1) < 2, "temperature: [0, 2)")
        need(given.get("n", 1) == 1 or (given["n"] <= 4 and not given.get("tools")), "n")
        need(not given.get("tools") or "parallel_tool_calls" in given, "one call at a time only")
        choice = given.get("tool_choice", "auto")
        need(choice in ("auto", "none") or isinstance(choice, dict), f"tool_choice: {choice}")
        known(given.get("response_format", {"type": "text"}), {"type"}, "response_format")
        need(given.get("response_format", {}).get("type") in (None, "json_object"), "response_format.type")
        for tool in given.get("tools", []):
            known(tool, {"type", "function"}, "tools")
            known(tool["function"], {"name", "description", "parameters"}, "tools.function")
        calls = []
        for index, message in enumerate(body["input"]["messages"]):
            where = f"messages[{index}]"
            need(message.get("role") in ROLES, f"{where}.role")
            known(message, ROLES[message["role"]], where)
            need(isinstance(message["content"], list if multimodal else str), f"{where}.content: {message['content']}")
            for part in message["content"] if multimodal else []:
                need(len(part) == 1 and set(part) <= {"text", "image", "audio", "video"}, f"{where}.content: {part}")
            if message["role"] == "tool":
                need(message["tool_call_id"] in calls, f"{where}: an answer to no call")
            elif message["role"] == "assistant":
                calls = [call["id"] for call in message.get("tool_calls", [])]
                for call in message.get("tool_calls", []):
                    known(call, {"id", "type", "index", "function"}, f"{where}.tool_calls")
                    known(call["function"], {"name", "arguments"}, f"{where}.tool_calls")
        if given.get("response_format"):
            said = "".join(text_of(message["content"]) for message in body["input"]["messages"])
            need("json" in said.lower(), "the prompt must contain the word json")

    def chat(self, request, body, handler, multimodal):
        self.check(body, multimodal)
        need(request.header_values("x-dashscope-sse") == ["enable"], "this model streams alone")
        self.say(body, handler)

    def say(self, body, handler):
        start_stream(handler, "text/event-stream;charset=UTF-8")
        for line in self.lines(body, self.said_to(body)):
            handler.chunk(line)
        handler.chunk(b"")

    @staticmethod
    def said_to(body):
        given = body["parameters"]
        results = sum(message["role"] == "tool" for message in body["input"]["messages"])
        calls = CALLS if given.get("tools") and not results and given.get("tool_choice") != "none" else []
        words = ["Hello after ", f"{results} results."] if results else [] if calls else TEXT
        if given.get("response_format"):
            words = ['{"city":', '"Oslo"}']
        return {"text": words, "thought": THOUGHT, "calls": calls, "finish": "tool_calls" if calls else "stop"}

    def lines(self, body, said):
        """A stream, as it goes over the wire."""
        frames = list(self.frames(body, said))
        last = frames[-1] if body["model"] != "broken" else None
        if body["model"] in ("sensitive", "stop"):
            frames[-1]["choices"][0]["finish_reason"] = body["model"]
        for number, frame in enumerate(frames):
            if body["model"] == "fails" and number == 2:
                fault = json.dumps({"code": "InternalError.Algo", "message": "down", "request_id": "r"})
                yield f"id:{number}\nevent:error\n:HTTP_STATUS/500\ndata:{fault}\n\n".encode()
                break
            if last is None and number == len(frames) - 1:
                break  # ends without having ended
            frame = {"output": frame, "usage": USAGE if frame is last else {"input_tokens": 12, "output_tokens": 1},
                     "request_id": "r-1"}
            yield f"id:{number}\nevent:result\n:HTTP_STATUS/200\ndata:{json.dumps(frame)}\n\n".encode()

    @staticmethod
    def frames(body, said):
        given = body["parameters"]

        def frame(finish="null", content="", **message):
            content = [{"text": content}] if is_multimodal(body["model"]) else content
            choices = [{"finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
                       for _ in range(given.get("n", 1))]
            sources = {"search_info": {"search_results": [{"index": 1, "title": "Trams", "url": "https://a.example/"}]}}
            return {"choices": choices, **(sources if given.get("enable_search") else {})}
        if given.get("enable_thinking") is not False:
            for word in said["thought"]:
                yield frame(reasoning_content=word)
        for word in said["text"]:
            yield frame(content=word)
        for index, (name, arguments) in enumerate(said["calls"]):
            text = json.dumps(arguments)
            yield frame(tool_calls=[{"index": index, "id": f"call_{index}", "type": "function",
                                     "function": {"name": name, "arguments": text[:5]}}])
            yield frame(tool_calls=[{"index": index, "id": "", "type": "function",
                                     "function": {"name": "", "arguments": text[5:]}}])
        yield frame(said["finish"])

    # -- lists

    @staticmethod
    def embed(body, handler):
        known(body, {"model", "input", "parameters"}, "body")
        known(body["input"], {"texts"}, "input")
        known(body["parameters"], {"dimension", "text_type", "output_type", "instruct"}, "parameters")
        texts = body["input"]["texts"]
        need(0 < len(texts) <= 10, "texts: at most 10")
        vectors = [{"text_index": index, "embedding": [float(text), 0.5]} for index, text in enumerate(texts)]
        handler.whole(200, {"output": {"embeddings": vectors[::-1]}, "usage": {"total_tokens": len(texts)},
                            "request_id": "r"})

    @staticmethod
    def rerank(body, handler):
        known(body, {"model", "input", "parameters"}, "body")
        known(body["input"], {"query", "documents"}, "input")
        known(body["parameters"], {"top_n", "return_documents", "instruct"}, "parameters")
        documents = body["input"]["documents"]
        need(all(isinstance(document, str) for document in documents), "documents: strings")
        order = sorted(range(len(documents)), key=lambda index: -len(documents[index]))
        results = [{"index": index, "relevance_score": 0.5} for index in order][:body["parameters"].get("top_n")]
        handler.whole(200, {"output": {"results": results}, "usage": {"total_tokens": 14}, "request_id": "r"})
