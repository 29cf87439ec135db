"""OpenAI's own chat completions: it refuses members that it does not know, in the request and in messages."""

from providers.family import MEMBERS, MESSAGE, STREAM_USAGE, Family, error

TAKEN = MEMBERS | STREAM_USAGE | {
    "max_completion_tokens", "reasoning_effort", "verbosity", "frequency_penalty", "presence_penalty", "logit_bias",
    "seed", "n", "stop", "logprobs", "top_logprobs", "service_tier", "modalities", "audio", "prediction", "store",
    "metadata", "safety_identifier", "user", "prompt_cache_key", "web_search_options", "parallel_tool_calls"}


class OpenAI(Family):
    model = "gpt-6-sol"
    members = TAKEN
    message_members = MESSAGE | {"name", "refusal", "reasoning_content"}
    function_members = Family.function_members | {"strict"}
    efforts = {"none", "minimal", "low", "medium", "high", "xhigh", "max"}
    parts = Family.parts | {"input_audio", "file"}
    reasoning = None
    developer = True
    lost = []
    lost_choice, lost_schema = False, False
    counted = (12, 9, 8, 4)
    failures = {
        "quota": (429, error(type="insufficient_quota", code="insufficient_quota"), "upstream_quota_exhausted"),
        "rate": (429, error(type="requests", code="rate_limit_exceeded"), "rate_limit_exceeded"),
        "long": (400, error(type="invalid_request_error", code="context_length_exceeded"), "context_length_exceeded"),
        "model": (404, error(type="invalid_request_error", code="model_not_found"), "model_not_found"),
    }
