// A canonical chat request as Anthropic's Messages API wants it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <switchyard/chat_readers.hpp>
#include <switchyard/fault.hpp>
#include <unordered_set>
#include <vector>

#include "providers/anthropic/models.hpp"

namespace anthropic {

// Marks reasoning blocks of this upstream; only those go back to it.
constexpr char kFormat[] = "anthropic-claude-v1";

// Schemas by Anthropic's structured outputs.
extern const swy::SchemaRules kStrict;

// What one instance was configured with.
struct Settings {
  std::string version = "2023-06-01";  // anthropic-version
  std::string betas;                   // anthropic-beta, or empty
  std::int64_t max_tokens = 0;         // where a request says nothing; 0: by model
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

  // A block of the assistant's that goes back as it was.
  struct Replay {
    std::string_view type, text, signature, data, block;
    std::uint64_t after_text = 0, after_calls = 0;
  };

  void write();
  void refuse(std::int32_t cls, std::string param, std::string message);
  void check_unsupported();
  void check_prefill();
  void note_unknown();

  void read_thinking();
  bool lacks_thinking();
  std::int64_t max_tokens() const;

  void write_system();
  void write_messages();
  std::size_t write_user_turn(std::size_t first);
  std::size_t write_assistant_turn(std::size_t first);
  void write_assistant(const Message& message);
  void write_system_turn(const Message& message);
  void write_tool_result(const Message& message);
  void write_plain_content(const Message& message);
  void write_parts(std::string_view parts, const Place& place, bool assistant);
  void write_part(std::string_view part, const Place& place, bool assistant);
  void write_image(std::string_view image, std::string_view cache, const Place& place);
  void write_file(std::string_view file, std::string_view cache);
  void write_source(std::string_view mime, std::string_view data);
  void write_text(std::string_view inside, std::string_view cache = {});
  void write_cache(std::string_view cache);
  void write_call(std::string_view call, const Place& place);
  void write_id(std::string_view value);
  std::vector<Replay> read_replays(const Message& message);
  bool read_replay(std::string_view entry, Replay& replay);
  void write_replay(const Replay& replay);
  void end_turn();

  void write_tools();
  void write_function(std::string_view tool, const Place& place);
  void write_custom(std::string_view tool, const Place& place);
  void write_parameters(std::string_view parameters, bool strict, const Place& place);
  void write_web_search(std::string_view options);
  void write_choice();
  bool allowed(std::string_view name) const;

  void write_thinking();
  void write_output_config();
  void write_sampling();
  void write_number(std::string_view name, std::string_view upstream_name, double maximum);
  void write_stop();
  void write_user();
  void write_tier();

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
  std::size_t first_turn_ = 0;  // messages before it are the system prompt
  bool any_block_ = false;      // the open turn has one

  using Mode = swy::ChatChoice::Mode;
  swy::ChatChoice choice_;
  bool any_tool_ = false;

  swy::ChatReasoning reasoning_;
  enum class Think { kUnsaid, kOff, kBetweenTools, kAdaptive, kBudget };
  Think think_ = Think::kUnsaid;
  std::int64_t budget_ = 0;
  std::string_view effort_;
  std::string instruction_;  // of our own, behind the system prompt
};

}  // namespace anthropic
