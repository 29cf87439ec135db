"""iFlytek Spark over HTTP: answers without ids and ends, one call without its list, a code in every answer."""

from providers.family import MEMBERS, MESSAGE, Family, need


def told(code):
    return {"code": code, "message": "m", "sid": "cha1"}


class Spark(Family):
    prefix = ""
    path = "/x2/chat/completions"
    model = "spark-x2"
    members = MEMBERS | {"user", "presence_penalty", "frequency_penalty", "tool_calls_switch", "thinking", "top_k"}
    message_members = MESSAGE | {"reasoning_content"}
    function_members = Family.function_members | {"strict"}
    vision, schemas, asks_usage = False, False, False
    lost = ["/seed", "/stop", "/reasoning_effort", "/metadata"]
    lost_choice = False
    finishes = {"stop": "stop"}
    counted = (12, 9, 0, 0)
    failures = {
        "licence": (403, {"error": {"message": "AppIdNoAuthError", "type": "api_error", "param": None,
                                    "code": "11200"}}, "upstream_auth"),
        "second": (200, told(11202), "rate_limit_exceeded"),
        "day": (200, told(11201), "upstream_quota_exhausted"),
        "input": (200, told(10013), "content_policy_violation"),
        "busy": (200, told(10110), "upstream_overloaded"),
        "long": (200, told(10907), "context_length_exceeded"),
        "schema": (200, told(10163), "upstream_refused"),
        "path": (200, told(10404), "model_not_found"),
    }

    def check(self, body):
        super().check(body)
        need(body["model"] == "spark-x", f"10404: {body['model']}")
        need("tools" not in body or body.get("tool_calls_switch") is True, "one call only")
        for message in body["messages"]:
            need(isinstance(message["content"], str), "10163: content is no string")

    def usage(self):
        return {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21}

    def head(self, body, kind):
        return {"code": 0, "message": "Success", "sid": "cha1"}

    def whole(self, body, said):
        answer = super().whole(body, said)
        del answer["choices"][0]["finish_reason"]
        return answer

    def events(self, body, said):
        events = [event for event in super().events(body, said) if isinstance(event, dict)]
        for event in events[:-2]:
            del event["choices"][0]["finish_reason"]
            if event is events[-3]:
                event["usage"] = self.usage()
            yield event
        yield "data: [DONE]\n\n"
