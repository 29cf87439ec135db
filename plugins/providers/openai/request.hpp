// A client's request as the upstream's: what need not change is a view into the client's body.
#pragma once

#include <forward_list>
#include <optional>
#include <string>
#include <string_view>
#include <switchyard/chat_request.hpp>
#include <switchyard/pictures.hpp>
#include <switchyard/provider.hpp>

#include "providers/openai/dialect.hpp"
#include "providers/openai/edits.hpp"

namespace openai {

class UpstreamBody {
 public:
  // pictures: those fetched for a dialect that takes data only.
  UpstreamBody(const Dialect& dialect, const swy::Request& request,
               const swy::Pictures* pictures = nullptr);
  UpstreamBody(const UpstreamBody&) = delete;
  UpstreamBody& operator=(const UpstreamBody&) = delete;

  const swy::Gather& pieces() const { return pieces_; }
  // Why it can't be sent at all; nothing where it can.
  const std::optional<swy::Error>& refusal() const { return refusal_; }
  const swy::Losses& losses() const { return losses_; }
  const Pairs& headers() const { return headers_; }  // that stand for members

 private:
  void look_around();
  void read_prefix();
  bool leaves_out(const swy_member& member);
  bool stands_instead(std::string_view name, std::string_view value);
  bool leaves_out_choice(std::string_view value);
  void read_reasoning();
  void put_effort();
  bool maps_effort(std::string_view word) const;
  void put_member(const swy_member& member);
  void put_value(const swy_member& member);
  bool put_mapped(std::string_view name, std::string_view value);
  bool put_word(const Named<Pairs>& maps, std::string_view name, std::string_view value,
                bool loses);
  bool put_limited(std::string_view name, std::string_view value);
  bool put_shortened(std::string_view name, std::string_view value);
  bool put_tool_choice(std::string_view value);
  void put_stream_options(std::string_view value);
  void put_messages(std::string_view messages);
  void mark_last(std::string_view messages, std::vector<Edit>& edits);
  void put_tools(std::string_view tools);
  void put_documents(std::string_view documents);
  void put_edited(std::string_view text, const std::vector<Edit>& edits);
  void put_missing();
  void put_missing(std::string_view name, std::string_view json);
  void put_own_member(std::string_view name, std::string_view json);
  void put_own(std::string text);
  bool given(std::string_view name) const;
  bool applies(std::string_view conditions) const;
  bool asks_for_usage() const;

  const Dialect& dialect_;
  const Rules& rules_;
  swy::Request request_;
  const swy::Pictures* pictures_;
  swy::Gather pieces_;
  std::forward_list<std::string> own_;  // backs the pieces that are ours
  Pairs headers_, extra_;               // extra_: members that stand instead of others
  swy::Losses losses_;
  std::optional<swy::Error> refusal_;
  // reasoning_effort's value; where only the extension `reasoning` says it, that is derived_.
  std::string_view effort_;
  std::string derived_;
  bool reasoning_told_ = false;     // a part of `reasoning` is among the losses
  const Prefix* prefix_ = nullptr;  // how it goes on with its last message, if it does
  bool any_ = false;                // a member has been put
  bool thinking_off_ = false, no_tools_ = false;  // what the request says
};

// True where a member's value asks for what happens without it: leaving it out loses nothing.
bool asks_for_nothing(std::string_view name, std::string_view value);

// The path for a request, the query included.
std::string upstream_path(const Dialect& dialect, const Pairs& query, const std::string& path,
                          const swy::Request& request);

}  // namespace openai
