"""Tencent Hunyuan on TokenHub."""

from providers.family import MEMBERS, MESSAGE, STREAM_USAGE, Family, error


def told(code, kind):
    return error(type=kind, code=code, source="gateway", request_id="r")


class Hunyuan(Family):
    model = "hy3"
    members = MEMBERS | STREAM_USAGE | {"max_completion_tokens", "thinking", "reasoning_effort", "stop", "seed", "user",
                                        "parallel_tool_calls", "presence_penalty", "frequency_penalty", "logprobs"}
    message_members = MESSAGE | {"name", "reasoning_content"}
    function_members = Family.function_members | {"strict"}
    schemas = False
    reasoning_required = True
    lost = ["/metadata"]
    lost_choice = False
    finishes = {**Family.finishes, "repetition_truncation": "length"}
    failures = {
        "plan": (402, told("401007", "permission_error"), "upstream_quota_exhausted"),
        "key": (401, told("401002", "authentication_error"), "upstream_auth"),
        "rate": (429, told("429001", "rate_limit_error"), "rate_limit_exceeded"),
        "filter": (451, told("451001", "content_filter_error"), "content_policy_violation"),
        "upstream": (502, told("502001", "upstream_error"), "upstream_error"),
    }
