// Answers in OpenAI's dialect: one JSON document, or server-sent events that end with [DONE].
#pragma once

#include <memory>
#include <string>

#include "core/exchange/exchange.hpp"
#include "core/net/server.hpp"

namespace switchyard::surface {

class OpenAiWriter : public exchange::ClientWriter {
 public:
  // `headers` are the lines that every answer of this request carries; they must outlive the
  // writer.
  OpenAiWriter(net::Loop& loop, net::HttpExchange& http, std::string_view headers, bool stream,
               bool want_usage);

  void delta(std::string_view json, bool content) override;
  void whole(std::string_view json) override;
  void end_stream(const observe::Usage& usage) override;
  void raw_head(std::string_view content_type, std::uint64_t length) override;
  void raw(std::string_view bytes) override;
  void raw_end() override;
  void fail(const exchange::Failure& failure) override;
  void discard() override;
  bool started() const override { return http_.started(); }
  bool committed() const override { return committed_; }
  bool try_flush() override;
  net::Task<bool> flush() override;
  bool gone() const override { return http_.client_gone(); }
  void on_gone(std::function<void()> callback) override {
    http_.on_client_gone(std::move(callback));
  }

 private:
  void begin_stream();
  void send_keep_alive();
  void append_event(std::string_view json);
  void note_head(std::string_view json);
  std::string usage_chunk(const observe::Usage& usage) const;

  net::HttpExchange& http_;
  std::string_view headers_;
  bool stream_, want_usage_;
  bool committed_ = false, usage_seen_ = false;
  std::string events_;  // what the next flush sends; held back until content came
  struct Raw {
    std::string lines;         // of the head
    std::uint64_t length = 0;  // 0: not known
    std::uint64_t left = 0;
  };
  std::unique_ptr<Raw> raw_;  // a binary answer
  std::string chunk_head_;    // id, created and model of the stream, for a chunk of our own
  net::Deadline keep_alive_;
};

}  // namespace switchyard::surface
