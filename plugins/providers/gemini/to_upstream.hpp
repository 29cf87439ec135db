// A canonical chat request as Google's generateContent wants it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <switchyard/chat_readers.hpp>
#include <switchyard/fault.hpp>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "providers/gemini/models.hpp"

namespace gemini {

// Marks reasoning blocks of this upstream; only those go back to it.
constexpr char kFormat[] = "google-gemini-v1";

// What of JSON Schema Google does not know.
extern const swy::SchemaRules kSchemaRules;

// What one instance was configured with.
struct Settings {
  std::string safety_settings;  // JSON array, or empty
  bool send_store = true;       // "store": AI Studio knows it, others refuse it
  bool vertex = false;
  std::string token_url = "https://oauth2.googleapis.com/token";
};

// Writes the body in its constructor; it holds views into the request.
class UpstreamBody {
 public:
  UpstreamBody(const Settings& settings, const swy::Request& request);
  UpstreamBody(const UpstreamBody&) = delete;
  UpstreamBody& operator=(const UpstreamBody&) = delete;

  // Why the request can't be said there, where that is so.
  const std::optional<swy::Refusal>& refusal() const { return refusal_; }
  swy::Gather pieces() const { return writer_.pieces(); }
  const swy::Losses& losses() const { return losses_; }
  // Names of tools that are custom ones for the client, as the answer will have them.
  const std::unordered_set<std::string>& custom_tools() const { return custom_tools_; }

 private:
  using Message = swy::ChatMessage;
  using Place = swy::Place;

  // A signature of what was said up to a place in the text.
  struct Seal {
    std::string_view data;
    std::uint64_t after_text = 0;
  };

  void write();
  void refuse(std::int32_t cls, std::string param, std::string message);
  void note_unknown();
  void note_calls();

  void write_contents();
  std::size_t write_user_turn(std::size_t first);
  std::size_t write_model_turn(std::size_t first);
  void write_model(const Message& message);
  void write_call(std::string_view call, const Place& place);
  void write_signature(std::string_view call, const Place& place);
  void write_result(const Message& message);
  void write_output(const Message& message);
  std::vector<Seal> read_seals(const Message& message);
  void write_content(const Message& message, const Place& here);
  void write_parts(std::string_view parts, const Place& place, bool media_only);
  void write_part(std::string_view part, const Place& place, bool media_only);
  void write_text(std::string_view inside, std::string_view signature = {});
  void write_media(std::string_view url, std::string_view mime, std::string_view detail,
                   const Place& place);
  void write_inline(std::string_view mime, std::string_view data);
  void write_file(std::string_view file);
  void end_turn();
  void write_system();

  void write_tools();
  void write_function(std::string_view tool, const Place& place);
  void write_custom(std::string_view tool, const Place& place);
  void write_tool_config();

  void write_generation();
  void write_as(std::string_view name, std::string_view upstream_name);
  void write_sampling();
  void write_stop();
  void write_format();
  void write_thinking();
  void write_modalities();
  void write_own();

  const Settings& settings_;
  const swy::Request request_;
  const Rules rules_;
  swy::BodyWriter writer_;
  swy::json::Writer& json_;
  swy::Losses losses_;
  swy::PlainStrings strings_;
  std::optional<swy::Refusal> refusal_;
  std::unordered_set<std::string> custom_tools_;

  std::vector<Message> messages_;
  std::unordered_map<std::string_view, std::string_view> call_names_;  // id -> name, as written
  std::size_t first_turn_ = 0;  // messages before it are the system instruction
  bool any_part_ = false;       // the open turn has one
  bool call_signed_ = false;    // the open turn has a call
  bool functions_ = false, strict_ = false;
};

// Embeddings: the body of batchEmbedContents, or why it can't be said.
struct EmbeddingsBody {
  swy::BodyWriter writer;
  swy::Losses losses;
  std::optional<swy::Refusal> refusal;
};
void write_embeddings(const swy::Request& request, EmbeddingsBody& body);

}  // namespace gemini
