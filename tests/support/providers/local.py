"""Servers of one's own: vLLM, llama.cpp, Ollama."""

from providers.family import MEMBERS, MESSAGE, STREAM_USAGE, Family, error, need

TAKEN = MEMBERS | STREAM_USAGE | {"reasoning_effort", "stop", "seed", "metadata", "store", "presence_penalty",
                                  "frequency_penalty",
                                  "parallel_tool_calls"}


class Vllm(Family):
    members = TAKEN | {"n", "logit_bias", "logprobs", "top_k", "continue_final_message", "add_generation_prompt"}
    message_members = MESSAGE | {"name", "reasoning", "reasoning_content"}
    parts = Family.parts | {"input_audio"}
    efforts = {"none", "low", "medium", "high", "xhigh"}
    function_members = Family.function_members | {"strict"}
    reasoning = "reasoning"
    lost = ["/user"]
    lost_choice, lost_schema = False, False
    failures = {
        "old": (400, {"object": "error", "message": "This model's maximum context length is 8", "code": 400},
                "context_length_exceeded"),
        "new": (400, error("You passed 9 input tokens and requested 9 output tokens. However, the model's context length "
                           "is only 8", type="BadRequestError", code=400), "context_length_exceeded"),
        "model": (404, error("no such model", type="NotFoundError", code=404), "model_not_found"),
    }

    def check(self, body):
        super().check(body)
        if body.get("continue_final_message"):
            need(body.get("add_generation_prompt") is False,
                 "Cannot set both `continue_final_message` and `add_generation_prompt` to True.")
            need(body["messages"][-1]["role"] == "assistant", "continue_final_message: the last message is not the assistant's")

    def whole(self, body, said):  # a named or forced choice may end with stop
        return super().whole(body, {**said, "finish": "stop" if said["calls"] else said["finish"]})


class LlamaCpp(Vllm):
    members = (Vllm.members | {"user"}) - {"continue_final_message", "add_generation_prompt"}
    reasoning = "reasoning_content"
    lost = []
    failures = {
        "loading": (503, error("Loading model", code=503, type="unavailable_error"), "upstream_overloaded"),
        "long": (400, error("the request exceeds the available context size", code=400,
                            type="exceed_context_size_error", n_ctx=8), "context_length_exceeded"),
        "not": (501, error("This feature is not supported", code=501, type="not_supported_error"), "not_offered"),
    }


class Ollama(Vllm):
    members = TAKEN | {"logprobs"}
    parts = Family.parts
    efforts = {"none", "low", "medium", "high"}
    lost = ["/user"]
    failures = {"model": (404, {"error": "model 'x' not found"}, "model_not_found")}

    def whole(self, body, said):
        return Family.whole(self, body, said)
