#include "core/surface/gemini_surface.hpp"

#include <algorithm>
#include <optional>

#include "core/net/text.hpp"
#include "core/surface/admission.hpp"
#include "core/surface/gemini_answer.hpp"
#include "core/surface/gemini_request.hpp"

namespace switchyard::surface {

namespace json = swy::json;

namespace {

// Its SDKs know both; the second is OpenAI's and Anthropic's too.
constexpr std::string_view kPrefixes[] = {"/v1beta/models", "/v1/models"};
constexpr std::string_view kVersion = "/v1beta/";

// The part behind the last colon: models' names may hold colons too.
std::string_view method_of(std::string_view path) {
  const std::size_t colon = path.rfind(':');
  return colon == std::string_view::npos ? std::string_view() : path.substr(colon + 1);
}

bool is_call(std::string_view method) {
  return method == "streamGenerateContent" || method == "generateContent" ||
         method == "countTokens" || method == "embedContent" || method == "batchEmbedContents";
}

// What stands behind a prefix; nothing where the path has none.
std::optional<std::string_view> below_models(std::string_view path) {
  for (const std::string_view prefix : kPrefixes) {
    if (!path.starts_with(prefix)) continue;
    path.remove_prefix(prefix.size());
    if (path.empty() || path.front() == '/') return path;
    return std::nullopt;
  }
  // Vercel's SDK takes a name with a slash for a whole resource and leaves "models" away.
  if (!path.starts_with(kVersion) || !is_call(method_of(path))) return std::nullopt;
  return path.substr(kVersion.size() - 1);
}

// Ask::form
enum Form : unsigned { kWhole, kEvents, kArray, kEmbed, kEmbedBatch };

void write_model(json::Writer& json, std::string_view name) {
  json.open_object().key("name").text("models/" + std::string(name));
  json.key("displayName").text(name).key("version").text("1");
  json.key("supportedGenerationMethods").open_array();
  for (const std::string_view method :
       {"generateContent", "streamGenerateContent", "countTokens", "embedContent"}) {
    json.text(method);
  }
  json.close_array().close_object();
}

}  // namespace

bool GeminiSurface::serves(const net::RequestHead& head) const {
  if (!below_models(head.path)) return false;
  if (head.path.starts_with(kVersion) || !head.find("x-goog-api-key").empty()) return true;
  return is_call(method_of(head.path));
}

Ask GeminiSurface::ask(const net::RequestHead& head) const {
  Ask ask;
  std::string_view path = below_models(head.path).value_or("");
  if (path.size() <= 1) {
    ask.what = Ask::What::kModels;
    ask.allowed = "GET, HEAD";
    return ask;
  }
  path.remove_prefix(1);
  const std::string_view method = method_of(path);
  ask.model = net::percent_decode(path.substr(0, path.rfind(':')));
  ask.what = Ask::What::kTask;
  ask.task = "chat";
  if (method == "generateContent") {
    ask.form = kWhole;
  } else if (method == "streamGenerateContent") {
    ask.form = query_parameter(head.query, "alt") == "sse" ? kEvents : kArray;
    ask.stream = true;
  } else if (method == "countTokens") {
    ask.what = Ask::What::kCount;
  } else if (method == "embedContent" || method == "batchEmbedContents") {
    ask.form = method == "embedContent" ? kEmbed : kEmbedBatch;
    ask.task = "embeddings";
  } else {
    ask.model = net::percent_decode(path);
    ask.what = Ask::What::kModel;
    ask.allowed = "GET, HEAD";
  }
  return ask;
}

std::string GeminiSurface::key(const net::RequestHead& head) const {
  const std::string_view key = head.find("x-goog-api-key");
  if (!key.empty()) return std::string(key);
  std::string given = query_parameter(head.query, "key");
  return given.empty() ? std::string(bearer(head.find("authorization"))) : given;
}

Canonical GeminiSurface::to_canonical(const Ask& ask, const JsonIndex& body) const {
  if (ask.form == kEmbed || ask.form == kEmbedBatch) {
    Canonical canonical = from_embed_content(body, ask.model, ask.form == kEmbedBatch);
    canonical.answer = std::make_unique<GeminiEmbeddings>(ask.form == kEmbedBatch);
    return canonical;
  }
  bool shows_thoughts = false;
  // A count may be asked of a whole request.
  const swy_member* const inner =
      ask.what == Ask::What::kCount ? body.find("generateContentRequest") : nullptr;
  JsonIndex whole;
  const bool nested = inner != nullptr && whole.scan(body.value(*inner));
  Canonical canonical =
      from_generate_content(nested ? whole : body, ask.model, ask.stream, shows_thoughts);
  const auto stream =
      ask.form == kArray ? GeminiAnswer::Stream::kArray : GeminiAnswer::Stream::kEvents;
  canonical.answer = std::make_unique<GeminiAnswer>(stream, shows_thoughts);
  return canonical;
}

std::string GeminiSurface::error(const exchange::Failure& failure,
                                 std::string_view /*request_id*/) const {
  return gemini_error(failure);
}

std::string GeminiSurface::models(const Ask& ask, std::string_view query,
                                  std::span<const ListedModel> models) const {
  std::string out;
  json::Writer writer(out);
  if (ask.what == Ask::What::kModel) {
    for (const ListedModel& model : models) write_model(writer, model.name);
    return out;
  }
  const std::string size_text = query_parameter(query, "pageSize");
  const std::int64_t size = json::to_integer(size_text).value_or(size_text.empty() ? 50 : 0);
  if (size < 1 || size > 1000) return {};
  const std::string after = query_parameter(query, "pageToken");
  auto first = models.begin();
  if (!after.empty()) {
    first = std::find_if(models.begin(), models.end(),
                         [&](const ListedModel& model) { return model.name == after; });
    if (first != models.end()) ++first;
  }
  const auto last = first + std::min<std::ptrdiff_t>(size, models.end() - first);
  writer.open_object().key("models").open_array();
  for (auto model = first; model != last; ++model) write_model(writer, model->name);
  writer.close_array();
  if (last != models.end()) writer.key("nextPageToken").text((last - 1)->name);
  writer.close_object();
  return out;
}

std::string GeminiSurface::token_count(std::uint64_t tokens) const {
  return R"({"totalTokens":)" + std::to_string(tokens) + "}";
}

}  // namespace switchyard::surface
