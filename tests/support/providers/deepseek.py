"""DeepSeek."""

from providers.family import MEMBERS, MESSAGE, STREAM_USAGE, Family, error, need


class DeepSeek(Family):
    prefix = ""
    members = MEMBERS | STREAM_USAGE | {"thinking", "reasoning_effort", "stop", "presence_penalty",
                                        "frequency_penalty", "logprobs", "top_logprobs"}
    message_members = MESSAGE | {"name", "reasoning_content"}
    efforts = {"low", "high", "max"}
    vision, schemas = False, False
    parts = {"text"}
    reasoning_required = True
    mark, goes_on_with = "prefix", {"thinking": {"type": "disabled"}}
    named_choice = False
    lost = ["/seed", "/user", "/metadata"]
    finishes = {**Family.finishes, "content_filter": "content_filter"}
    failures = {
        "balance": (402, error("Insufficient Balance", type="unknown_error", code="invalid_request_error"),
                    "upstream_quota_exhausted"),
        "risk": (400, error("Content Exists Risk", code="invalid_request_error"), "content_policy_violation"),
        "parameter": (422, error("bad"), "upstream_refused"),
        "rate": (429, error("slow down"), "rate_limit_exceeded"),
        "busy": (503, error("busy"), "upstream_overloaded"),
        "key": (401, error("Authentication Fails"), "upstream_auth"),
    }

    def path_of(self, request):
        goes_on = self.mark in request.json()["messages"][-1]
        return "/beta/chat/completions" if goes_on else self.path

    def check(self, body):
        super().check(body)
        thinks = body.get("thinking", {"type": "enabled"})["type"] == "enabled"
        need("presence_penalty" not in body and "frequency_penalty" not in body, "of no effect")
        need(not thinks or body.get("tool_choice") in (None, "auto", "none"), "tool_choice while thinking")

    def usage(self):
        return {**super().usage(), "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 4}

    def events(self, body, said):
        yield ": keep-alive\n\n"
        yield from super().events(body, said)
