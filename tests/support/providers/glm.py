"""GLM (Z.ai)."""

from providers.family import MEMBERS, MESSAGE, Family, error, need


class Glm(Family):
    prefix = "/api/paas/v4"
    model = "glm-5.3"
    members = MEMBERS | {"thinking", "reasoning_effort", "do_sample", "stop", "tool_stream", "user_id", "request_id"}
    message_members = MESSAGE | {"reasoning_content"}
    tool_choices = {"auto"}
    efforts = {"low", "high", "max"}
    vision, schemas, asks_usage, named_choice = False, False, False, False
    lost = ["/temperature", "/seed", "/user", "/metadata"]
    finishes = {**Family.finishes, "sensitive": "content_filter", "model_context_window_exceeded": "length"}
    failures = {
        "balance": (429, error(code="1113"), "upstream_quota_exhausted"),
        "rate": (429, error(code="1302"), "rate_limit_exceeded"),
        "busy": (429, error(code="1305"), "upstream_overloaded"),
        "model": (400, error(code="1211"), "model_not_found"),
        "long": (400, error(code="1261"), "context_length_exceeded"),
        "sensitive": (400, error(code="1301"), "content_policy_violation"),
        "fine": (200, error(code="1301"), "content_policy_violation"),  # in a good answer
    }

    def check(self, body):
        super().check(body)
        for name in ("temperature", "top_p"):
            need(0 < body.get(name, 0.5) < 1, f"1210: {name}")
        need(isinstance(body.get("stop", []), list) and len(body.get("stop", [])) < 2, "1210: stop")
        need(body["model"] != "glm-5.3" or body.get("thinking", {}).get("type") != "disabled", "1210: thinking")

    def deltas(self, said):  # calls come whole
        for delta in super().deltas({**said, "calls": []}):
            yield delta
        for index, call in enumerate(self.calls(said)):
            yield {"tool_calls": [{"index": index, **call}]}

    def events(self, body, said):  # usage sits on the chunk that ends
        for event in super().events(body, said):
            if isinstance(event, dict) and not event["choices"]:
                continue
            if isinstance(event, dict) and event["choices"][0]["finish_reason"]:
                event["usage"] = self.usage()
            yield event
