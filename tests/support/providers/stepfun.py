"""StepFun: thinking is called so where it is asked for, calls end with stop."""

from providers.family import MEMBERS, MESSAGE, STREAM_USAGE, Family, error, need


class StepFun(Family):
    model = "step-3.7-flash"
    members = MEMBERS | STREAM_USAGE | {"reasoning_effort", "reasoning_format", "stop", "user", "parallel_tool_calls",
                                        "presence_penalty", "frequency_penalty"}
    message_members = MESSAGE | {"name", "reasoning_content", "reasoning"}
    parts = Family.parts | {"input_audio"}
    function_members = Family.function_members | {"strict"}
    reasoning = "reasoning"
    lost = ["/seed", "/metadata"]
    lost_choice, lost_schema = False, False
    failures = {
        "key": (401, error(type="invalid_api_key"), "upstream_auth"),
        "balance": (402, error(type="x"), "upstream_quota_exhausted"),
        "review": (451, error(type="censorship_blocked"), "content_policy_violation"),
        "rate": (429, b"too many requests", "rate_limit_exceeded"),
        "model": (400, error("model not found", type="request_params_invalid"), "model_not_found"),
        "busy": (503, error(type="x"), "upstream_overloaded"),
    }

    def check(self, body):
        super().check(body)
        need(body.get("reasoning_format") == "deepseek-style", "reasoning_format")


    def whole(self, body, said):
        return super().whole(body, {**said, "finish": "stop" if said["calls"] else said["finish"]})

    def events(self, body, said):
        return super().events(body, {**said, "finish": "stop" if said["calls"] else said["finish"]})
