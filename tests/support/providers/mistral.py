"""Mistral: content in chunks, ids of nine characters, an order of roles, nothing unknown."""

import re

from providers.family import MEMBERS, MESSAGE, Family, error, need


class Mistral(Family):
    model = "mistral-small-latest"
    members = MEMBERS | {"random_seed", "stop", "n", "presence_penalty", "frequency_penalty", "metadata",
                         "parallel_tool_calls", "reasoning_effort", "prompt_cache_key", "prediction", "safe_prompt",
                         "service_tier"}
    message_members = MESSAGE | {"name"}
    function_members = Family.function_members | {"strict"}
    parts = Family.parts | {"input_audio", "document_url"}
    part_members = {**Family.part_members, "document_url": {"type", "document_url", "document_name"}}
    efforts = {"none", "high"}
    asks_usage = False
    lost = ["/user", "/reasoning_effort"]
    lost_choice, lost_schema = False, False
    finishes = {**Family.finishes, "model_length": "length"}
    counted = (12, 9, 8, 0)
    failures = {
        "order": (400, {"object": "error", "message": {"detail": "x"}, "type": "invalid_request_message_order",
                        "code": "3230"}, "upstream_refused"),
        "long": (400, {"object": "error", "message": "Prompt contains 9 tokens, too large for model with 8 maximum "
                                                     "context length", "code": "3051"}, "context_length_exceeded"),
        "extra": (422, {"detail": [{"loc": ["body", "x"], "msg": "Extra inputs are not permitted",
                                    "type": "extra_forbidden"}]}, "upstream_refused"),
        "guardrail": (403, {"error": {"message": "Content blocked by guardrail", "status": 403}, "guardrails": {}},
                      "content_policy_violation"),
        "tier": (429, {"object": "error", "message": "m", "code": "3505"}, "rate_limit_exceeded"),
        "key": (401, {"message": "Unauthorized", "request_id": "x"}, "upstream_auth"),
    }

    def check_messages(self, messages, body):
        super().check_messages(messages, body)
        before = None
        for index, message in enumerate(messages):
            need((before, message["role"]) != ("tool", "user"), f"3230: user after tool at {index}")
            need(message.get("content") is not None or "content" not in message, f"{index}: content is null")
            ids = [call["id"] for call in message.get("tool_calls", [])] + [message.get("tool_call_id", "123456789")]
            need(all(re.fullmatch("[a-zA-Z0-9]{9}", each) for each in ids), f"tool call ids: {ids}")
            before = message["role"]

    def call(self, index, name, arguments):
        return {"id": f"aB3dE5gH{index}", "function": {"name": name, "arguments": arguments}}  # an object, no type

    def message(self, said):
        content = [{"type": "thinking", "thinking": [{"type": "text", "text": "".join(said["thought"])}]},
                   {"type": "text", "text": "".join(said["text"])}]
        message = {"role": "assistant", "content": content}
        return {**message, "tool_calls": self.calls(said)} if said["calls"] else message

    def deltas(self, said):
        yield {"role": "assistant", "content": ""}
        for word in said["thought"]:
            yield {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": word}]}]}
        for word in said["text"]:
            yield {"content": word}

    def events(self, body, said):
        for event in super().events(body, said):
            if isinstance(event, dict):
                if not event["choices"]:
                    continue
                if event["choices"][0]["finish_reason"]:  # all that is left in one chunk, every index 0
                    event["usage"] = self.usage()
                    if said["calls"]:
                        event["choices"][0]["delta"] = {
                            "tool_calls": [{"index": 0, **call} for call in self.calls(said)]}
            yield event

    def usage(self):
        return {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21, "num_cached_tokens": 8}
