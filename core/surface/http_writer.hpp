// What the writers of all dialects have in common: an answer's way to its client. A stream is held
// back until content came, kept alive while the upstream thinks, and sent as the client reads.
#pragma once

#include <memory>
#include <string>

#include "core/exchange/exchange.hpp"
#include "core/net/server.hpp"

namespace switchyard::surface {

class HttpWriter : public exchange::ClientWriter {
 public:
  void dropped(std::string_view pointers) override;
  void served_by(std::string_view provider, std::string_view model) override {
    provider_ = provider;
    model_ = model;
  }
  void explained(std::string_view text) override;
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

 protected:
  // `headers` are the lines that every answer of this request carries; they must outlive the
  // writer.
  HttpWriter(net::Loop& loop, net::HttpExchange& http, std::string_view headers, bool stream);

  // Events were appended to events_.
  void appended(bool content);
  // The stream's last events were.
  void finish_stream();
  // `json` lives until flush() has returned.
  void send_whole(std::string_view json);

  virtual std::string_view stream_type() const { return "text/event-stream"; }
  virtual std::string_view keep_alive() const { return ": keep-alive\n\n"; }
  virtual std::string error_body(const exchange::Failure& failure) const = 0;
  // Appends the event that ends a stream which has begun.
  virtual void append_failure(const exchange::Failure& failure) = 0;

  std::string events_;  // what the next flush sends; held back until content came

 private:
  void begin_stream();
  void append_model(std::string& lines) const;
  void send_keep_alive();

  net::HttpExchange& http_;
  std::string_view headers_;
  bool stream_, committed_ = false;
  std::string dropped_, explained_;  // header lines, or empty
  std::string_view provider_, model_;
  struct Raw {
    std::string lines;         // of the head
    std::uint64_t length = 0;  // 0: not known
    std::uint64_t left = 0;
  };
  std::unique_ptr<Raw> raw_;  // a binary answer
  net::Deadline keep_alive_;
};

}  // namespace switchyard::surface
