"""Doubao on Volcengine Ark."""

from providers.family import MEMBERS, MESSAGE, STREAM_USAGE, Family, error, need


class Doubao(Family):
    prefix = "/api/v3"
    model = "doubao-seed-2-1-turbo-260628"
    members = MEMBERS | STREAM_USAGE | {"max_completion_tokens", "thinking", "reasoning_effort", "stop", "user",
                                        "parallel_tool_calls", "service_tier"}
    message_members = MESSAGE | {"name", "reasoning_content", "encrypted_content"}
    parts = Family.parts | {"input_audio"}
    function_members = Family.function_members | {"strict"}
    efforts = {"minimal", "low", "medium", "high"}
    lost = ["/seed", "/metadata"]
    lost_choice, lost_schema = False, False
    finishes = {**Family.finishes, "content_filter": "content_filter"}
    failures = {
        "sensitive": (400, error(code="InputTextSensitiveContentDetected.PolicyViolation"),
                      "content_policy_violation"),
        "overdue": (403, error(code="AccountOverdueError"), "upstream_quota_exhausted"),
        "closed": (404, error(code="InvalidEndpointOrModel.NotFound"), "model_not_found"),
        "limit": (429, error(code="SetLimitExceeded"), "upstream_quota_exhausted"),
        "rate": (429, error(code="RateLimitExceeded.EndpointTPMExceeded"), "rate_limit_exceeded"),
        "overloaded": (429, error(code="ServerOverloaded"), "upstream_overloaded"),
        "inside": (500, error(code="InternalServiceError"), "upstream_error"),
    }

    def check(self, body):
        super().check(body)
        for index, message in enumerate(body["messages"]):
            need(message["content"] is not None, f"MissingParameter: messages.content {index}")

    def whole(self, body, said):
        answer = super().whole(body, said)
        answer["choices"][0]["moderation_hit_type"] = None
        return {**answer, "service_tier": "default"}
