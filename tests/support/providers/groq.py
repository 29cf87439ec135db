"""Groq: usage in a member of its own, no names, one answer."""

from providers.family import MEMBERS, MESSAGE, Family, error


class Groq(Family):
    prefix = "/openai/v1"
    model = "openai/gpt-oss-120b"
    members = MEMBERS | {"max_completion_tokens", "reasoning_effort", "stop", "seed", "user", "metadata", "n",
                         "store", "parallel_tool_calls", "presence_penalty", "frequency_penalty", "service_tier"}
    message_members = MESSAGE | {"reasoning", "reasoning_content"}
    function_members = Family.function_members | {"strict"}
    reasoning = "reasoning"
    asks_usage = False
    developer = True
    lost = []
    lost_choice, lost_schema = False, False
    failures = {
        "capacity": (498, error(code="capacity_exceeded"), "upstream_overloaded"),
        "tool": (400, error(code="tool_use_failed", failed_generation="x"), "upstream_error"),
        "rate": (429, error(code="rate_limit_exceeded"), "rate_limit_exceeded"),
    }

    def events(self, body, said):
        for event in super().events(body, said):
            if isinstance(event, dict):
                if not event["choices"]:
                    continue
                if event["choices"][0]["finish_reason"]:
                    event["x_groq"] = {"id": "req", "usage": self.usage()}
            yield event

    def whole(self, body, said):  # what is in x_groq here are hardware caches
        return {**super().whole(body, said), "x_groq": {"id": "req", "usage": {"dram_cached_tokens": 3}}}
