"""OpenRouter: comments while one waits, thinking in two forms, faults within good answers."""

from providers.family import MEMBERS, MESSAGE, STREAM_USAGE, Family, error


class OpenRouter(Family):
    prefix = "/api/v1"
    members = MEMBERS | STREAM_USAGE | {"max_completion_tokens", "reasoning_effort", "stop", "seed", "user", "metadata",
                                        "n", "store", "parallel_tool_calls", "presence_penalty", "frequency_penalty",
                                        "logit_bias", "logprobs", "service_tier", "prediction", "verbosity",
                                        "web_search_options", "safety_identifier", "prompt_cache_key", "reasoning",
                                        "top_k", "cache_control"}
    message_members = MESSAGE | {"name", "reasoning", "reasoning_content", "reasoning_details"}
    part_members = {**Family.part_members, "text": {"type", "text", "cache_control"}}
    tool_members = Family.tool_members | {"cache_control"}
    parts = Family.parts | {"input_audio", "file"}
    efforts = {"none", "minimal", "low", "medium", "high", "xhigh"}
    function_members = Family.function_members | {"strict"}
    reasoning = "reasoning"
    asks_usage = False
    developer = True
    lost = []
    lost_choice, lost_schema = False, False
    failures = {
        "credits": (402, error("Insufficient credits", code=402), "upstream_quota_exhausted"),
        "flagged": (403, error("Your input was flagged", code=403), "content_policy_violation"),
        "none": (503, error("No endpoints found", code=503), "model_not_found"),
        "within": (200, error("Provider returned error", code=502), "upstream_error"),
        "rate": (429, error("slow down", code=429), "rate_limit_exceeded"),
    }

    def events(self, body, said):
        yield ": OPENROUTER PROCESSING\n\n"
        yield from super().events(body, said)
