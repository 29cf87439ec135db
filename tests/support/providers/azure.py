"""OpenAI on Azure, by both its addresses: filters' results in chunks without content, the deployment in the path."""

from providers.family import MEMBERS, MESSAGE, STREAM_USAGE, Family, error

FILTER = {"hate": {"filtered": False, "severity": "safe"}}


class Azure(Family):
    prefix = "/openai/v1"
    header = "api-key"
    members = MEMBERS | STREAM_USAGE | {"max_completion_tokens", "reasoning_effort", "stop", "seed", "user", "metadata",
                                        "n", "store", "parallel_tool_calls", "presence_penalty", "frequency_penalty",
                                        "logit_bias", "logprobs", "service_tier", "prediction", "verbosity",
                                        "safety_identifier", "prompt_cache_key"}
    message_members = MESSAGE | {"name", "reasoning_content"}
    parts = Family.parts | {"input_audio", "file"}
    efforts = {"none", "minimal", "low", "medium", "high", "xhigh"}
    function_members = Family.function_members | {"strict"}
    reasoning = None
    developer = True
    lost = []
    lost_choice, lost_schema = False, False
    finishes = {**Family.finishes, "content_filter": "content_filter"}
    failures = {
        "filter": (400, error("The response was filtered", param="prompt", code="content_filter", status=400,
                              innererror={"code": "ResponsibleAIPolicyViolation"}), "content_policy_violation"),
        "deployment": (404, error(code="DeploymentNotFound"), "model_not_found"),
        "rate": (429, error(code="429"), "rate_limit_exceeded"),
        "manager": (429, {"statusCode": 429, "message": "Rate limit is exceeded"}, "rate_limit_exceeded"),
        "capacity": (429, error(code="NoCapacity"), "upstream_overloaded"),
        "key": (401, error(code="401"), "upstream_auth"),
    }

    def credential(self):
        return super().credential().removeprefix("Bearer ")

    def events(self, body, said):
        empty = {"id": "", "model": "", "object": "", "created": 0}
        yield {**empty, "choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": FILTER}]}
        for event in super().events(body, said):
            yield event
            if isinstance(event, dict) and event["choices"] and event["choices"][0]["delta"].get("content"):
                yield {**empty, "choices": [{"index": 0, "finish_reason": None, "content_filter_results": FILTER,
                                             "content_filter_offsets": {"check_offset": 0}}]}


class AzureClassic(Azure):
    prefix = "/openai"
    lost = ["/metadata"]

    def path_of(self, request):
        return "/deployments/my%20model/chat/completions?api-version=2024-10-21"

    model = "my model"
