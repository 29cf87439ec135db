"""Qwen on Alibaba Model Studio, compatible mode."""

from providers.family import MEMBERS, MESSAGE, STREAM_USAGE, Family, error, need


class Qwen(Family):
    prefix = "/compatible-mode/v1"
    model = "qwen3-32b"
    members = MEMBERS | STREAM_USAGE | {"max_completion_tokens", "n", "seed", "stop", "presence_penalty",
                                        "enable_thinking", "thinking_budget", "parallel_tool_calls",
                                        "top_k", "logprobs", "top_logprobs"}
    message_members = MESSAGE | {"reasoning_content"}
    parts = Family.parts | {"input_audio"}
    part_members = {**Family.part_members, "text": {"type", "text", "cache_control"}}
    tool_members = Family.tool_members | {"cache_control"}
    tool_choices = {"auto", "none"}
    schemas = False
    mark, goes_on_with = "partial", {"enable_thinking": False}
    lost = ["/user", "/metadata"]
    failures = {
        "key": (401, error(code="InvalidApiKey"), "upstream_auth"),
        "arrears": (400, error(code="Arrearage"), "upstream_quota_exhausted"),
        "inspected": (400, error(code="data_inspection_failed"), "content_policy_violation"),
        "long": (400, error("Range of input length should be [1, 1000]", code="InvalidParameter"),
                 "context_length_exceeded"),
        "rate": (429, error(code="Throttling.RateQuota"), "rate_limit_exceeded"),
        "serving": (503, error(code="ModelServingError"), "upstream_overloaded"),
    }

    def check(self, body):
        super().check(body)
        need("tools" not in body or "parallel_tool_calls" in body, "one call at a time only")
        need(body["model"] != "qwen3-32b" or body.get("stream") or body.get("enable_thinking") is False or "thinking_budget" in body,
             "parameter.enable_thinking must be set to false for non-streaming calls")

    def deltas(self, said):
        for delta in super().deltas(said):
            for call in delta.get("tool_calls", []):  # later fragments have empty names
                call.setdefault("id", "")
                call["function"].setdefault("name", None)
            yield delta
