"""MiniMax: faults within good answers, thinking split off, every delta with its role."""

from providers.family import MEMBERS, MESSAGE, STREAM_USAGE, Family, error, need

FINE = {"status_code": 0, "status_msg": ""}


def told(code, words="m"):
    return {"id": "u1", "choices": None, "base_resp": {"status_code": code, "status_msg": words}}


class MiniMax(Family):
    model = "MiniMax-M3"
    members = MEMBERS | STREAM_USAGE | {"max_completion_tokens", "reasoning_split", "thinking", "user",
                                        "parallel_tool_calls"}
    message_members = MESSAGE | {"name", "audio_content", "reasoning_details"}
    function_members = Family.function_members | {"strict"}
    schemas = False
    thinking_required = True     # with calls, so that tests see it sent back
    lost = ["/temperature", "/seed", "/stop", "/reasoning_effort", "/metadata"]
    lost_choice = False
    failures = {
        "balance": (200, told(1008, "insufficient balance"), "upstream_quota_exhausted"),
        "rate": (200, told(1002), "rate_limit_exceeded"),
        "key": (200, told(2049), "upstream_auth"),
        "sensitive": (200, told(1026), "content_policy_violation"),
        "long": (200, told(2013, "the context is too long"), "context_length_exceeded"),
        "parameter": (200, told(2013, "invalid params"), "upstream_refused"),
        "inside": (200, told(1033), "upstream_error"),
        "number": (500, {"type": "error", "error": {"type": "x", "message": "insufficient balance (1008)"}},
                   "upstream_quota_exhausted"),
    }

    def check(self, body):
        super().check(body)
        need(body.get("reasoning_split") is True, "the thinking would be in the text")
        for name in ("temperature", "top_p"):
            need(0 < body.get(name, 1) <= 1, f"2013: {name}")
        for message in body["messages"]:
            if message.get("tool_calls") and (self.thinking_required or "reasoning_details" in message):
                need(message["reasoning_details"][0]["text"] in ("A greeting.", "Two calls."), "the thinking was not sent back")

    def message(self, said):
        message = super().message(said)
        return {**message, "name": "MiniMax AI", "audio_content": "",
                "reasoning_details": [{"type": "reasoning.text", "text": message["reasoning_content"]}]}

    def whole(self, body, said):
        return {**super().whole(body, said), "input_sensitive": False, "base_resp": FINE}

    def deltas(self, said):
        for delta in super().deltas(said):
            yield {"role": "assistant", "name": "MiniMax AI", "audio_content": "", **delta}

    def events(self, body, said):
        for event in super().events(body, said):
            if event == "data: [DONE]\n\n":  # and all of it once more, as version 2 of the API ends
                yield {**super().whole(body, said), "base_resp": FINE}
            yield event
