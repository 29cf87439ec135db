"""Wenxin (ERNIE) on Baidu Qianfan, version 2."""

from providers.family import MEMBERS, MESSAGE, STREAM_USAGE, Family, error, need


class Wenxin(Family):
    prefix = "/v2"
    model = "ernie-5.1"
    members = MEMBERS | STREAM_USAGE | {"max_completion_tokens", "n", "stop", "seed", "user", "metadata",
                                        "parallel_tool_calls", "reasoning_effort", "enable_thinking", "web_search"}
    message_members = MESSAGE | {"name", "reasoning_content"}
    function_members = Family.function_members | {"strict"}
    lost = ["/temperature"]
    lost_choice, lost_schema = False, False
    finishes = {**Family.finishes, "content_filter": "content_filter"}
    failures = {
        "rpm": (429, error(code="rpm_rate_limit_exceeded", type="rate_limit_exceeded"), "rate_limit_exceeded"),
        "cluster": (429, error(code="cluster_rpm_rate_limit_exceeded", type="rate_limit_exceeded"),
                    "upstream_overloaded"),
        "plan": (429, error(code="coding_plan_month_limit", type="rate_limit_exceeded"), "upstream_quota_exhausted"),
        "model": (400, error(code="invalid_model", type="invalid_request_error"), "model_not_found"),
        "long": (400, error(code="tokens_too_long", type="invalid_request_error"), "context_length_exceeded"),
        "unsafe": (403, error(code="system_unsafe", type="unsafe_request"), "content_policy_violation"),
        "overdue": (403, error(code="account_overdue", type="access_denied"), "upstream_quota_exhausted"),
        "bare": (200, {"code": "rpm_rate_limit_exceeded", "msg": "slow down"}, "rate_limit_exceeded"),
    }

    def check(self, body):
        super().check(body)
        need(0 < body.get("temperature", 0.5) <= 1, "temperature")
        need(body.get("max_completion_tokens", 2) >= 2, "max_completion_tokens")

    def whole(self, body, said):
        answer = super().whole(body, said)
        answer["choices"][0]["flag"] = 0
        return {**answer, "search_results": []}
