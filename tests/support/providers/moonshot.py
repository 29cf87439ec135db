"""Moonshot (Kimi)."""

from providers.family import MEMBERS, MESSAGE, STREAM_USAGE, Family, error, need


class Moonshot(Family):
    model = "kimi-k3"
    members = (MEMBERS | STREAM_USAGE | {"max_completion_tokens", "reasoning_effort", "stop",
                                         "prompt_cache_key"}) - {"temperature", "top_p"}
    message_members = MESSAGE | {"reasoning_content"}
    efforts = {"low", "high", "max"}
    reasoning_required = True
    mark = "partial"
    public_pictures, named_choice = False, False
    lost = ["/temperature", "/seed", "/user", "/metadata"]
    lost_choice, lost_schema = False, False
    counted = (12, 9, 8, 0)
    failures = {
        "engine": (429, error(type="engine_overloaded_error"), "upstream_overloaded"),
        "quota": (429, error(type="exceeded_current_quota_error"), "upstream_quota_exhausted"),
        "rate": (429, error(type="rate_limit_reached_error"), "rate_limit_exceeded"),
        "filter": (400, error(type="content_filter"), "content_policy_violation"),
        "long": (400, error("token length too long", type="invalid_request_error"), "context_length_exceeded"),
        "model": (404, error(type="resource_not_found_error"), "model_not_found"),
        "page": (504, b"<html><body>504</body></html>", "upstream_timeout"),
    }

    def check_messages(self, messages, body):
        super().check_messages(messages, body)
        need(self.mark not in messages[-1] or body.get("response_format", {}).get("type") != "json_object",
             "partial: not with JSON mode")
        for message in messages:
            for part in message["content"] if isinstance(message["content"], list) else []:
                need(part["type"] == "text" or part["image_url"]["url"].startswith("data:"), "public pictures")

    def call(self, index, name, arguments):
        return {**super().call(index, name, arguments), "id": f"functions.{name}:{index}"}

    def usage(self):
        return {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21, "cached_tokens": 8}

    def events(self, body, said):  # usage is in the choice that ends
        for event in super().events(body, said):
            if isinstance(event, dict) and event["choices"] and event["choices"][0]["finish_reason"]:
                event["choices"][0]["usage"] = self.usage()
            if not isinstance(event, dict) or event["choices"]:
                yield event
