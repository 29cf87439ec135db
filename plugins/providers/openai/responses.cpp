#include "providers/openai/responses.hpp"

#include <algorithm>
#include <initializer_list>
#include <switchyard/fault.hpp>
#include <switchyard/json.hpp>

#include "providers/openai/errors.hpp"

namespace openai {

namespace json = swy::json;

namespace {

constexpr std::string_view kPath = "/responses", kCountPath = "/responses/input_tokens";

// The client's body with the upstream's name of the model, which is to outlive it.
swy::Gather renamed(const swy::Request& request, std::string_view name) {
  swy::Gather pieces;
  const std::string_view body = request.body();
  const swy_member* const model = request.find("model");
  pieces.add(body.substr(0, model->value_at));
  pieces.add(name);
  pieces.add(body.substr(model->value_at + model->value_n));
  return pieces;
}

// More tokens than any tool uses; beyond it nothing is added up.
constexpr std::int64_t kTokensMax = 1'000'000'000'000;

std::optional<std::int64_t> count_of(std::string_view usage, std::string_view path) {
  const auto count = json::to_integer(json::find_path(usage, path));
  return count && *count >= 0 && *count <= kTokensMax ? count : std::nullopt;
}

// How many items of the answer are of these types.
std::int64_t items_of(std::string_view response, std::initializer_list<std::string_view> types) {
  std::int64_t count = 0;
  json::Cursor items(json::find(response, "output"));
  if (!items.array()) return count;
  while (items.element()) {
    const std::string_view type = json::inside(json::find(items.value(), "type"));
    count += std::find(types.begin(), types.end(), type) != types.end() ? 1 : 0;
  }
  return count;
}

// Usage as canonical JSON has it; empty where there is none. What the tool that draws used stands
// beside the model's own tokens and is not among them.
std::string usage_of(std::string_view response) {
  const std::string_view usage = json::find(response, "usage");
  if (json::type_of(usage) != 'o') return {};
  const std::string_view drawn = json::find_path(response, "tool_usage.image_gen");
  std::string out;
  json::Writer writer(out);
  writer.open_object();
  const auto put = [&](std::string_view name, std::string_view path) {
    const std::string_view value = json::find_path(usage, path);
    if (json::type_of(value) == 'n') writer.key(name).raw(value);
  };
  const auto put_sum = [&](std::string_view name, std::string_view path) {
    const auto own = count_of(usage, path), more = count_of(drawn, path);
    if (!own || !more) return put(name, path);
    writer.key(name).integer(*own + *more);
  };
  const auto put_pictures = [&](std::string_view path) {
    const auto count = count_of(drawn, path);
    if (count) writer.key("image_tokens").integer(*count);
  };
  put_sum("prompt_tokens", "input_tokens");
  put_sum("completion_tokens", "output_tokens");
  put_sum("total_tokens", "total_tokens");
  writer.key("prompt_tokens_details").open_object();
  put("cached_tokens", "input_tokens_details.cached_tokens");
  put("cache_write_tokens", "input_tokens_details.cache_write_tokens");
  put_pictures("input_tokens_details.image_tokens");
  writer.close_object().key("completion_tokens_details").open_object();
  put("reasoning_tokens", "output_tokens_details.reasoning_tokens");
  put_pictures("output_tokens_details.image_tokens");
  writer.close_object();
  const std::string_view tier = json::find(response, "service_tier");
  if (json::type_of(tier) == 's') writer.key("service_tier").raw(tier);
  const std::int64_t searches = items_of(response, {"web_search_call"});
  if (searches > 0) writer.key("searches").integer(searches);
  writer.close_object();
  return out;
}

bool calls_a_function(std::string_view response) {
  return items_of(response, {"function_call", "custom_tool_call"}) > 0;
}

std::string_view finish_of(std::string_view response) {
  const std::string_view why = json::inside(json::find_path(response, "incomplete_details.reason"));
  if (why == "content_filter") return "content_filter";
  if (!why.empty()) return "length";
  return calls_a_function(response) ? "tool_calls" : "stop";
}

}  // namespace

swy::Next ResponsesOperation::step(const swy::Event& event, swy::Out& out) {
  switch (event.kind()) {
    case SWY_EV_DATA:
      return on_data(event.data(), out);
    case SWY_EV_START:
      return start(out);
    case SWY_EV_HEAD:
      return on_head(event, out);
    case SWY_EV_END:
      if (status_ >= 300) return refuse({}, out);
      return finished_ ? swy::Next::done()
                       : bad_answer("the answer ended before the response was complete");
    case SWY_EV_IOERR:
      return swy::Next::fail(
          {static_cast<std::int32_t>(event.status()), std::string(event.data())});
    case SWY_EV_CANCEL:
      return swy::Next::done();
    default:
      return swy::Next::unknown_event();
  }
}

swy::Next ResponsesOperation::start(swy::Out& out) {
  if (request_.find("model") == nullptr) {
    return swy::Next::fail({SWY_CLS_BAD_REQUEST, "model: missing"});
  }
  const Dialect& dialect = settings_->dialect;
  const std::string path(request_.task() == "count_tokens" ? kCountPath : kPath);
  out.begin("POST", upstream_path(dialect, settings_->query, path, request_),
            streaming_ ? SWY_FRAME_SSE : SWY_FRAME_WHOLE);
  out.auth(dialect.auth_scheme, dialect.auth_name);
  out.header("accept", streaming_ ? "text/event-stream" : "application/json");
  for (std::uint32_t i = 0; i < request_.raw().nhdr; ++i) {
    const std::string_view name = swy::view(request_.raw().hdr[i].k);
    if (name == "accept" || name == "content-type") continue;
    out.header(name, swy::view(request_.raw().hdr[i].v));
  }
  for (const auto& [name, value] : dialect.headers) out.header(name, value);
  for (const auto& [name, value] : settings_->headers) out.header(name, value);
  out.header("content-type", "application/json");
  const std::string name = json::quoted(request_.model());
  out.body(renamed(request_, name));
  return swy::Next::send();
}

swy::Next ResponsesOperation::on_head(const swy::Event& event, swy::Out& out) {
  status_ = event.status();
  document_ = !streaming_ || event.header("content-type").starts_with("application/json");
  if (status_ >= 300) retry_after_ms_ = retry_after_ms(settings_->dialect, event.headers());
  const std::string limits = read_limits(event.headers());
  if (!limits.empty()) out.limits(limits);
  return swy::Next::feed();
}

swy::Next ResponsesOperation::on_data(std::string_view data, swy::Out& out) {
  if (status_ >= 300) return refuse(data, out);
  if (!json::valid(data) || json::type_of(data) != 'o') {
    return bad_answer("the upstream's answer is not a JSON object");
  }
  return document_ ? on_whole(data, out) : on_event(data, out);
}

swy::Next ResponsesOperation::on_event(std::string_view data, swy::Out& out) {
  const std::string_view type = json::inside(json::find(data, "type"));
  // Some faults come without a type, as a document would say them.
  if (type.empty() || type == "error") {
    return refuse(type.empty() ? data : R"({"error":)" + std::string(data) + "}", out);
  }
  if (type == "response.failed") return refuse(json::find(data, "response"), out);
  if (type == "response.completed" || type == "response.incomplete") {
    finished_ = read_response(json::find(data, "response"), out);
  }
  out.delta(data, SWY_EMIT_NATIVE | (type.ends_with(".delta") ? SWY_EMIT_CONTENT : 0U));
  return finished_ ? swy::Next::done() : swy::Next::feed();
}

swy::Next ResponsesOperation::on_whole(std::string_view body, swy::Out& out) {
  if (!json::is_null(json::find(body, "error"))) return refuse(body, out);
  if (streaming_) {
    return bad_answer("the upstream answered a request for a stream with a document");
  }
  if (request_.task() == "chat" && !read_response(body, out)) {
    return bad_answer("the upstream's answer is no response that is complete");
  }
  out.whole(body, SWY_EMIT_NATIVE);
  return swy::Next::done();
}

bool ResponsesOperation::read_response(std::string_view response, swy::Out& out) {
  const std::string_view status = json::inside(json::find(response, "status"));
  if (status != "completed" && status != "incomplete") return false;
  const std::string usage = usage_of(response);
  if (!usage.empty()) out.usage(usage);
  out.finish_reason(finish_of(response));
  return true;
}

swy::Next ResponsesOperation::refuse(std::string_view body, swy::Out& out) {
  Fault fault = read_fault(settings_->dialect, status_, retry_after_ms_, body);
  out.error(fault.client);
  return swy::Next::fail(std::move(fault.error));
}

swy::Next ResponsesOperation::bad_answer(std::string what) const {
  return swy::Next::fail({SWY_CLS_BAD_ANSWER, std::move(what), status_});
}

}  // namespace openai
