// A stream that was cut behind its first content and is gone on with by another model: that one is
// given the text which the client has had as the begin of its own answer, and says the rest
// (core/decisions/0030-continuation.md).
#pragma once

#include <functional>
#include <string>
#include <switchyard/json.hpp>

#include "core/exchange/attempt.hpp"

namespace switchyard::exchange {

class Payment;

// Lives as long as the request. Until begin() it only reads along.
class Continuation {
 public:
  // The route asks for it, and the request is for text alone.
  static bool is_wanted(const Request& request);

  Continuation(const LoopContext& context, const Request& request, ClientWriter& writer);
  Continuation(const Continuation&) = delete;
  Continuation& operator=(const Continuation&) = delete;

  // What all attempts write to.
  ClientWriter& writer() { return out_; }

  // After an attempt that failed behind the first content: true where its upstream was cut off, and
  // what the client has had is text that another one can go on with.
  bool is_possible(const AttemptFault& fault) const;
  // The answer that was cut, who gave it, and what that used. False where no request can be made
  // for the rest of it.
  net::Task<bool> begin(const ProviderSlot& slot, const routing::Target& target,
                        const observe::Usage& usage);
  bool begun() const { return begun_; }

  // From here on: once begun.
  // The request for the rest.
  const Request& request() const { return rest_; }
  // Of the route's targets: its provider can be asked for the rest of an answer.
  static std::function<bool(std::uint32_t)> able(const Snapshot& snapshot,
                                                 const routing::Route& route);
  // The rest has begun to come: from now on nobody else can go on.
  bool brought() const { return brought_; }
  // How long the begin is.
  std::uint64_t text_bytes() const { return text_bytes_; }
  // An attempt at the rest is over: takes what is known of it into the request's record, beside
  // what there is of the begin.
  void take_over(const ProviderSlot& slot, const routing::Target& target);
  // What both used, and the payment told of the parts.
  observe::Usage sum(const observe::Usage& rest, Payment& payment) const;

 private:
  // Passes everything on; of the rest only what belongs behind the begin, under its name.
  class Writer final : public ClientWriter {
   public:
    Writer(Continuation& all, ClientWriter& client) : all_(all), client_(client) {}

    void native(bool on) override;
    void delta(std::string_view json, bool content) override;
    void dropped(std::string_view pointers) override;
    void served_by(std::string_view provider, std::string_view model) override;
    void explained(std::string_view text) override { client_.explained(text); }
    void whole(std::string_view json) override { client_.whole(json); }
    void end_stream(const observe::Usage& usage) override { client_.end_stream(usage); }
    void fail(const Failure& failure) override { client_.fail(failure); }
    void discard() override;
    bool started() const override { return client_.started(); }
    bool committed() const override { return client_.committed(); }
    bool try_flush() override { return client_.try_flush(); }
    net::Task<bool> flush() override { return client_.flush(); }
    bool gone() const override { return client_.gone(); }
    void on_gone(std::function<void()> callback) override { client_.on_gone(std::move(callback)); }

   private:
    Continuation& all_;
    ClientWriter& client_;
  };

  void note(std::string_view chunk);
  void note_choice(std::string_view choice);
  std::string joined(std::string_view chunk);
  bool join_choice(std::string_view choice, swy::json::Writer& writer);
  bool make_body();
  std::string with_text(std::string_view messages) const;

  const LoopContext& context_;
  const Request& request_;
  Writer out_;

  std::string id_, object_, created_, model_;  // of the first chunk, as JSON
  std::string text_;   // that the client has had: the inside of a JSON string
  bool plain_ = true;  // there is nothing but that text, and no end yet
  bool begun_ = false, brought_ = false;

  observe::Usage begin_;
  std::string from_;  // who said it
  std::uint64_t text_bytes_ = 0;
  std::string body_;
  JsonIndex index_;
  observe::Record record_;  // of the attempts at the rest
  Request rest_;
};

}  // namespace switchyard::exchange
