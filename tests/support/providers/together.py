"""Together AI: counts for logprobs, eos, models as a bare list."""

from providers.family import MEMBERS, MESSAGE, Family, error, need


class Together(Family):
    members = MEMBERS | {"reasoning_effort", "stop", "seed", "user", "metadata", "n", "store", "logprobs",
                         "parallel_tool_calls", "presence_penalty", "frequency_penalty", "logit_bias", "top_k", "reasoning"}
    message_members = MESSAGE | {"name", "reasoning", "reasoning_content"}
    function_members = Family.function_members | {"strict"}
    reasoning = "reasoning"
    asks_usage = False
    lost = []
    lost_choice, lost_schema = False, False
    finishes = {**Family.finishes, "eos": "stop"}
    failures = {
        "context": (403, error("inputs tokens + max_new_tokens must be <= 8193"), "context_length_exceeded"),
        "key": (401, error(code="invalid_api_key"), "upstream_auth"),
        "rate": (429, error("slow down"), "rate_limit_exceeded"),
    }

    def check(self, body):
        super().check(body)
        need(isinstance(body.get("stop", []), list), "stop: a list")
        need(type(body.get("logprobs", 0)) is int, "logprobs: a number")
