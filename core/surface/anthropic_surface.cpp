#include "core/surface/anthropic_surface.hpp"

#include <algorithm>

#include "core/net/text.hpp"
#include "core/surface/admission.hpp"
#include "core/surface/anthropic_answer.hpp"
#include "core/surface/anthropic_request.hpp"

namespace switchyard::surface {

namespace json = swy::json;

namespace {

constexpr std::string_view kMessages = "/v1/messages";
constexpr std::string_view kModels = "/v1/models";
constexpr std::string_view kForwarded[] = {"anthropic-version", "anthropic-beta"};

void write_model(json::Writer& json, std::string_view name) {
  // When it was made is not known here; its SDKs want a time.
  json.open_object().key("type").text("model").key("id").text(name);
  json.key("display_name").text(name).key("created_at").text("1970-01-01T00:00:00Z");
  json.close_object();
}

}  // namespace

bool AnthropicSurface::serves(const net::RequestHead& head) const {
  if (head.path == kMessages || head.path.starts_with("/v1/messages/")) return true;
  // The path is OpenAI's too.
  const bool models = head.path == kModels || head.path.starts_with("/v1/models/");
  return models && !head.find("anthropic-version").empty();
}

Ask AnthropicSurface::ask(const net::RequestHead& head) const {
  Ask ask;
  if (head.path == kMessages) {
    ask.what = Ask::What::kTask;
    ask.task = "chat";
  } else if (head.path == "/v1/messages/count_tokens") {
    ask.what = Ask::What::kCount;
    ask.task = "chat";
  } else if (head.path == kModels) {
    ask.what = Ask::What::kModels;
    ask.allowed = "GET, HEAD";
  } else if (head.path.starts_with("/v1/models/")) {
    ask.what = Ask::What::kModel;
    ask.allowed = "GET, HEAD";
    ask.model = net::percent_decode(head.path.substr(kModels.size() + 1));
  }
  return ask;
}

std::string AnthropicSurface::key(const net::RequestHead& head) const {
  const std::string_view key = head.find("x-api-key");
  return std::string(key.empty() ? bearer(head.find("authorization")) : key);
}

std::string AnthropicSurface::headers(std::string_view request_id) const {
  return "request-id: " + std::string(request_id) + "\r\n";
}

std::span<const std::string_view> AnthropicSurface::forwarded() const { return kForwarded; }

Canonical AnthropicSurface::to_canonical(const Ask& ask, const JsonIndex& body) const {
  bool shows_thinking = false;
  Canonical canonical = from_messages(body, ask.what == Ask::What::kCount, shows_thinking);
  canonical.answer = std::make_unique<AnthropicAnswer>(shows_thinking);
  return canonical;
}

std::string AnthropicSurface::error(const exchange::Failure& failure,
                                    std::string_view request_id) const {
  return anthropic_error(failure, request_id);
}

std::string AnthropicSurface::models(const Ask& ask, std::string_view query,
                                     std::span<const ListedModel> models) const {
  std::string out;
  json::Writer writer(out);
  if (ask.what == Ask::What::kModel) {
    for (const ListedModel& model : models) write_model(writer, model.name);
    return out;
  }
  const auto place_of = [models](const std::string& name) {
    return static_cast<std::size_t>(
        std::find_if(models.begin(), models.end(),
                     [&](const ListedModel& model) { return model.name == name; }) -
        models.begin());
  };
  const std::string limit_text = query_parameter(query, "limit");
  const std::int64_t limit = json::to_integer(limit_text).value_or(limit_text.empty() ? 20 : 0);
  if (limit < 1 || limit > 1000) return {};
  const auto count = static_cast<std::size_t>(limit);
  const std::string after = query_parameter(query, "after_id");
  const std::string before = query_parameter(query, "before_id");
  std::size_t first = after.empty() ? 0 : std::min(place_of(after) + 1, models.size());
  std::size_t last = std::min(first + count, models.size());
  bool more = last < models.size();
  if (!before.empty()) {
    last = place_of(before);
    first = last - std::min(count, last);
    more = first > 0;
  }
  writer.open_object().key("data").open_array();
  for (std::size_t i = first; i < last; ++i) write_model(writer, models[i].name);
  writer.close_array().key("has_more").boolean(more);
  for (const auto& [name, at] : {std::pair{"first_id", first}, std::pair{"last_id", last - 1}}) {
    writer.key(name);
    if (first < last) {
      writer.text(models[at].name);
    } else {
      writer.null();
    }
  }
  writer.close_object();
  return out;
}

std::string AnthropicSurface::token_count(std::uint64_t tokens) const {
  return R"({"input_tokens":)" + std::to_string(tokens) + "}";
}

}  // namespace switchyard::surface
