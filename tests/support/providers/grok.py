"""xAI (Grok): thinking is counted beside the answer, calls come whole."""

from providers.family import MEMBERS, MESSAGE, STREAM_USAGE, Family, error


class Grok(Family):
    model = "grok-4.7"
    members = MEMBERS | STREAM_USAGE | {"max_completion_tokens", "reasoning_effort", "seed", "user", "n", "logprobs",
                                        "parallel_tool_calls"}
    message_members = MESSAGE | {"name", "reasoning_content"}
    function_members = Family.function_members | {"strict"}
    efforts = {"low", "medium", "high", "xhigh"}
    developer = True
    lost = ["/stop", "/metadata"]
    lost_choice, lost_schema = False, False
    counted = (12, 13, 8, 4)
    failures = {
        "key": (400, {"code": "x", "error": "Incorrect API key provided"}, "upstream_auth"),
        "credit": (429, {"error": "You are out of credits"}, "upstream_quota_exhausted"),
        "guidelines": (403, {"error": "Content violates usage guidelines"}, "content_policy_violation"),
        "long": (400, error("This model's maximum prompt length is 10 but the request contains 12 tokens"),
                 "context_length_exceeded"),
        "rate": (429, error("slow down"), "rate_limit_exceeded"),
    }

    def usage(self):
        return {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 25,
                "prompt_tokens_details": {"cached_tokens": 8}, "completion_tokens_details": {"reasoning_tokens": 4}}

    def deltas(self, said):
        yield from super().deltas({**said, "calls": []})
        if said["calls"]:
            yield {"tool_calls": [{"index": index, **call} for index, call in enumerate(self.calls(said))]}
