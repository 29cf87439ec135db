// The body of batchEmbedContents.
#include "providers/gemini/to_upstream.hpp"

namespace gemini {

namespace json = swy::json;

namespace {

void write_one(const swy::Request& request, std::string_view text, swy::BodyWriter& writer) {
  json::Writer& json = writer.json();
  json.open_object().key("model").text("models/" + std::string(request.model()));
  json.key("content").open_object().key("parts").open_array().open_object().key("text");
  writer.string_of(json::inside(text));
  json.close_object().close_array().close_object();
  const std::string_view dimensions = request.value("dimensions");
  if (!json::is_null(dimensions)) json.key("outputDimensionality").raw(dimensions);
  json.close_object();
}

}  // namespace

void write_embeddings(const swy::Request& request, EmbeddingsBody& body) {
  const std::string_view input = request.value("input");
  json::Writer& json = body.writer.json();
  const auto refuse = [&body](std::int32_t cls, const char* message) {
    body.refusal.emplace();
    body.refusal->cls = cls;
    body.refusal->status = 400;
    body.refusal->param = "input";
    body.refusal->message = message;
  };
  json.open_object().key("requests").open_array();
  json::Cursor cursor(input);
  if (json::type_of(input) == 's') {
    write_one(request, input, body.writer);
  } else if (cursor.array() && input != "[]") {
    while (cursor.element()) {
      const std::string_view text = cursor.value();
      if (json::type_of(text) != 's') {
        return refuse(SWY_CLS_NOT_OFFERED, "input: Google takes text, not tokens");
      }
      write_one(request, text, body.writer);
    }
  } else {
    return refuse(SWY_CLS_BAD_REQUEST, "input: expected a string or strings");
  }
  json.close_array().close_object();
  for (std::size_t i = 0; i < request.member_count(); ++i) {
    const std::string_view name = swy::view(request.member(i).name);
    if (swy::is_one_of(name, {"model", "input", "dimensions", "encoding_format"})) continue;
    if (!swy::is_nothing(request.value(request.member(i)))) body.losses.add(name);
  }
}

}  // namespace gemini
