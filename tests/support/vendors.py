"""Scripts for upstream.Upstream that speak Anthropic's and Google's own APIs, and strictly so: a member that the vendor
does not know, or one in the wrong place, is answered with the vendor's own 400.

    upstream.add("claude-opus-5-5", vendors.anthropic)
    upstream.add("gemini-3.8-flash:generateContent", vendors.gemini)   # and :streamGenerateContent
"""

import json
import re

ANTHROPIC_MEMBERS = {"model", "max_tokens", "stream", "system", "messages", "tools", "tool_choice",
                     "thinking", "output_config", "temperature", "top_p", "top_k",
                     "stop_sequences", "metadata", "service_tier", "cache_control", "container",
                     "context_management", "inference_geo", "mcp_servers"}
ANTHROPIC_BLOCKS = {
    "text": {"type", "text", "cache_control", "citations"},
    "image": {"type", "source", "cache_control"},
    "document": {"type", "source", "title", "context", "citations", "cache_control"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
    "tool_use": {"type", "id", "name", "input", "cache_control"},
    "tool_result": {"type", "tool_use_id", "content", "is_error", "cache_control"},
}
GEMINI_MEMBERS = {"contents", "systemInstruction", "tools", "toolConfig", "safetySettings",
                  "cachedContent", "labels", "serviceTier", "store", "generationConfig"}
GEMINI_GENERATION = {"temperature", "topP", "topK", "candidateCount", "maxOutputTokens",
                     "stopSequences", "seed", "presencePenalty", "frequencyPenalty",
                     "responseLogprobs", "logprobs", "responseMimeType", "responseJsonSchema",
                     "responseModalities", "thinkingConfig"}
GEMINI_PARTS = {"text", "inlineData", "fileData", "functionCall", "functionResponse",
                "thought", "thoughtSignature", "mediaResolution"}

SIGNATURE = "c2lnbmF0dXJl"  # of what these upstreams think


class Wrong(Exception):
    """What the vendor would say of a request."""


def need(holds, message):
    if not holds:
        raise Wrong(message)


def known(value, members, where):
    need(isinstance(value, dict), f"{where}: Input should be an object")
    extra = sorted(set(value) - members)
    need(not extra, f"{where}.{extra[0]}: Extra inputs are not permitted" if extra else "")


# -- Anthropic

def check_anthropic(request):
    need(request.header("x-api-key"), "x-api-key header is required")
    need(request.header("authorization") is None, "two credentials")
    need(request.header("anthropic-version") in ("2023-06-01", "2026-10-21"),
         "anthropic-version: header is required")
    need(request.target == "/v1/messages", f"no such path: {request.target}")
    body = json.loads(request.body)
    known(body, ANTHROPIC_MEMBERS, "body")
    need(isinstance(body.get("max_tokens"), int), "max_tokens: Field required")
    calls = []
    before = None
    for index, message in enumerate(body["messages"]):
        where = f"messages.{index}"
        known(message, {"role", "content"}, where)
        role = message["role"]
        need(role in ("user", "assistant", "system"), f"{where}.role")
        need(index > 0 or role == "user", "messages: first message must use the \"user\" role")
        need(role != before, f"{where}: roles must alternate")
        before = role
        content = message["content"]
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        need(content, f"{where}: content is empty")
        answered = check_blocks(content, role, where)
        need(answered == calls, f"{where}: tool_use ids were found without tool_result blocks "
                                f"immediately after: {calls} {answered}")
        calls = [block["id"] for block in content if block["type"] == "tool_use"]
    for tool in body.get("tools", []):
        if "type" not in tool:
            known(tool, {"name", "description", "input_schema", "strict", "cache_control",
                         "eager_input_streaming"}, "tools")
            need(tool["input_schema"].get("type") == "object", "tools.input_schema.type")
    need("tool_choice" not in body or body.get("tools"), "tool_choice without tools")
    if before == "assistant":
        need(not re.match("claude-(opus|sonnet|haiku)-(5|4-[6-9])", body["model"]),
             "This model does not support assistant message prefill.")
        need(not content or content[-1]["type"] != "text" or content[-1]["text"] == content[-1]["text"].rstrip(),
             "final assistant content cannot end with trailing whitespace")
    if body["model"].startswith("claude-opus-5"):
        for name in ("temperature", "top_p", "top_k"):
            need(name not in body, f"{name}: not supported by this model")
        need(body.get("thinking", {}).get("type") in (None, "adaptive"), "thinking.type")
        need(body.get("tool_choice", {}).get("type") not in ("any", "tool"), "tool_choice")
    return body


def check_blocks(content, role, where):
    results = []
    only_results = True
    for number, block in enumerate(content):
        kind = block.get("type")
        need(kind in ANTHROPIC_BLOCKS, f"{where}.content.{number}.type: {kind}")
        known(block, ANTHROPIC_BLOCKS[kind], f"{where}.content.{number}")
        if kind == "text":
            need(block["text"].strip(), "text content blocks must be non-empty")
        if kind in ("thinking", "redacted_thinking", "tool_use"):
            need(role == "assistant", f"{kind} in a {role} message")
        if kind == "thinking":
            need(block["signature"] == SIGNATURE, "Invalid `signature` in `thinking` block")
        if kind == "tool_use":
            need(isinstance(block["input"], dict), "tool_use.input: Input should be an object")
        if kind == "tool_result":
            need(role == "user" and only_results, "tool_result must come first")
            results.append(block["tool_use_id"])
        else:
            only_results = False
    return results


def anthropic_blocks(body):
    """What the model says: it calls both tools once, then tells how many results it saw."""
    results = [block for message in body["messages"] if isinstance(message["content"], list)
               for block in message["content"] if block["type"] == "tool_result"]
    if body.get("tools") and not results:
        return [{"type": "thinking", "thinking": "Two calls.", "signature": SIGNATURE},
                {"type": "text", "text": "Looking."},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}},
                {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {"city": "Rome"}}]
    return [{"type": "text", "text": f"Hello after {len(results)} results."}]


def anthropic(exchange):
    request = exchange.request
    try:
        body = check_anthropic(request)
    except (Wrong, KeyError, TypeError, ValueError) as error:
        return exchange.answer(400, {"type": "error", "request_id": "req_1", "error": {
            "type": "invalid_request_error", "message": str(error)}})
    blocks = anthropic_blocks(body)
    stop = "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn"
    usage = {"input_tokens": 12, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 900,
             "output_tokens": 31, "output_tokens_details": {"thinking_tokens": 7}}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"],
               "content": blocks, "stop_reason": stop, "stop_sequence": None, "usage": usage}
    if not body.get("stream"):
        return exchange.answer(body=message)
    exchange.start_stream()
    for event in anthropic_events(message):
        exchange.chunk(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n")
    exchange.last_chunk()
    return True


def anthropic_events(message):
    begun = {**message, "content": [], "stop_reason": None,
             "usage": {**message["usage"], "output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    yield {"type": "ping"}
    for index, block in enumerate(message["content"]):
        kind = block["type"]
        if kind == "text":
            empty, deltas = {"type": kind, "text": ""}, [
                {"type": "text_delta", "text": part} for part in (block["text"][:3], block["text"][3:])]
        elif kind == "thinking":
            empty, deltas = {"type": kind, "thinking": "", "signature": ""}, [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]}]
        else:
            text = json.dumps(block["input"])
            empty, deltas = {**block, "input": {}}, [
                {"type": "input_json_delta", "partial_json": part} for part in ("", text[:5], text[5:])]
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": message["stop_reason"],
                                              "stop_sequence": None},
           "usage": {"output_tokens": message["usage"]["output_tokens"],
                     "output_tokens_details": message["usage"]["output_tokens_details"]}}
    yield {"type": "message_stop"}


# -- Google

def check_gemini(request):
    need(request.header("x-goog-api-key"), "API key not valid.")
    need("key=" not in request.target, "a key in the URL")
    return check_gemini_body(json.loads(request.body), GEMINI_MEMBERS)


def check_gemini_body(body, members):
    known(body, members, "body")
    known(body.get("generationConfig", {}), GEMINI_GENERATION, "generationConfig")
    need(body["contents"], "contents is not specified")
    names = {}
    before = None
    for index, content in enumerate(body["contents"]):
        where = f"contents[{index}]"
        known(content, {"role", "parts"}, where)
        need(content["role"] in ("user", "model") and content["role"] != before, f"{where}.role")
        before = content["role"]
        need(content["parts"], f"{where}.parts must not be empty")
        signed = False
        for part in content["parts"]:
            known(part, GEMINI_PARTS, where)
            call, result = part.get("functionCall"), part.get("functionResponse")
            if call:
                known(call, {"id", "name", "args"}, where)
                need(isinstance(call["args"], dict), f"{where}: args")
                need(signed or part.get("thoughtSignature") in
                     (SIGNATURE, "skip_thought_signature_validator"),
                     "Function call is missing a thought_signature in functionCall parts")
                signed = True
                names[call["id"]] = call["name"]
            if result:
                known(result, {"id", "name", "response"}, where)
                need(names.get(result["id"]) == result["name"], f"{where}: functionResponse.name")
                need(isinstance(result["response"], dict), f"{where}: response")
    need(before == "user", "the last turn has to be the user's")
    for tool in body.get("tools", []):
        known(tool, {"functionDeclarations", "googleSearch"}, "tools")
        for function in tool.get("functionDeclarations", []):
            known(function, {"name", "description", "parametersJsonSchema"}, "functionDeclarations")
    return body


def gemini_parts(body):
    results = [part for content in body["contents"] for part in content["parts"]
               if "functionResponse" in part]
    if body.get("tools") and not results:
        return [{"text": "Two calls.", "thought": True}, {"text": "Looking."},
                {"functionCall": {"id": "fc1", "name": "weather", "args": {"city": "Oslo"}},
                 "thoughtSignature": SIGNATURE},
                {"functionCall": {"id": "fc2", "name": "weather", "args": {"city": "Rome"}}}]
    return [{"text": f"Hello after {len(results)} results."}]


def gemini(exchange):
    request = exchange.request
    try:
        body = check_gemini(request)
    except (Wrong, KeyError, TypeError, ValueError) as error:
        return exchange.answer(400, {"error": {"code": 400, "message": str(error),
                                               "status": "INVALID_ARGUMENT"}})
    model = request.target.split("/models/")[1].split(":")[0]
    return gemini_answer(exchange, body, model, ":streamGenerateContent" in request.target)


def gemini_answer(exchange, body, model, stream):
    parts = gemini_parts(body)
    usage = {"promptTokenCount": 912, "cachedContentTokenCount": 900, "candidatesTokenCount": 24,
             "thoughtsTokenCount": 7, "totalTokenCount": 943}
    common = {"modelVersion": model, "responseId": "resp-1"}
    if not stream:
        return exchange.answer(body={"candidates": [{
            "content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": usage, **common})
    exchange.start_stream()
    for part in parts:
        exchange.event({"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}],
                        **common})
    exchange.event({"candidates": [{"content": {"role": "model", "parts": [{"text": ""}]},
                                    "finishReason": "STOP", "index": 0}],
                    "usageMetadata": usage, **common})
    exchange.last_chunk()
    return True


def add(upstream, claude="claude-opus-5-5", google="gemini-3.8-flash"):
    upstream.add(claude, anthropic)
    for call in ("generateContent", "streamGenerateContent"):
        upstream.add(f"{google}:{call}", gemini)
