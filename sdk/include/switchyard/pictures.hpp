// pictures.hpp - for providers whose upstream takes pictures as data only: fetches those that a
// request names by their address. The host does it: without a credential, at public addresses,
// within the attempt's timeouts; nothing is followed to where an answer points.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <switchyard/chat_request.hpp>
#include <switchyard/json.hpp>
#include <switchyard/provider.hpp>
#include <switchyard/sign.hpp>
#include <utility>
#include <vector>

namespace swy {

class Pictures {
 public:
  static constexpr std::size_t kCountMax = 16;
  // Of all together: they are encoded in a step, for which other requests wait.
  static constexpr std::size_t kBytesMax = 4U << 20;

  // Notes the addresses in the parts of a chat request's messages, each once.
  void find(std::string_view messages) {
    json::Cursor cursor(messages);
    if (!cursor.array()) return;
    while (cursor.element()) {
      json::Cursor parts(json::find(cursor.value(), "content"));
      if (!parts.array()) continue;
      while (parts.element()) {
        const std::string_view part = parts.value();
        if (json::inside(json::find(part, "type")) != "image_url") continue;
        note(json::to_text(json::find_path(part, "image_url.url")).value_or(""));
      }
    }
  }

  // Some are yet to be fetched: events are for step().
  bool wanted() const { return done_ < found_.size(); }

  // Asks for the first one, or says why none is.
  Next start(Out& out) {
    if (found_.size() > kCountMax) {
      return refuse("more than " + std::to_string(kCountMax) + " pictures by their address");
    }
    return ask(out);
  }

  // What follows an event; nothing once all are there.
  std::optional<Next> step(const Event& event, Out& out) {
    switch (event.kind()) {
      case SWY_EV_HEAD:
        status_ = event.status();
        type_ = event.header("content-type");
        return Next::feed();
      case SWY_EV_DATA:
        return on_data(event.data(), out);
      case SWY_EV_END:
        return refuse("a picture could not be fetched: the answer is empty");
      case SWY_EV_IOERR:
        return refuse("a picture could not be fetched; it has to be at a public address");
      case SWY_EV_CANCEL:
        return Next::done();
      default:
        return Next::unknown_event();
    }
  }

  // A fetched picture as a data: URL; nullptr where there is none of that address.
  const std::string* data(std::string_view url) const {
    for (const Picture& picture : found_) {
      if (picture.url == url && !picture.data.empty()) return &picture.data;
    }
    return nullptr;
  }

 private:
  struct Picture {
    std::string url, data;
  };

  void note(std::string url) {
    if (!url.starts_with("http://") && !url.starts_with("https://")) return;
    for (const Picture& picture : found_) {
      if (picture.url == url) return;
    }
    found_.push_back({std::move(url), {}});
  }

  Next ask(Out& out) {
    status_ = 0;
    if (out.begin("GET", found_[done_].url, SWY_FRAME_WHOLE) < 0) {
      return refuse("a picture's address is none");
    }
    out.auth("none");
    out.header("accept", "image/*");
    return Next::send();
  }

  std::optional<Next> on_data(std::string_view bytes, Out& out) {
    if (status_ != 200) {
      return refuse("a picture could not be fetched: its address answers with status " +
                    std::to_string(status_));
    }
    bytes_ += bytes.size();
    if (bytes_ > kBytesMax) {
      return refuse("the pictures have more than " + std::to_string(kBytesMax >> 20) + " MiB");
    }
    const std::string text = base64(bytes);
    std::string_view mime = image_mime(text);
    if (mime.empty() && type_.starts_with("image/")) mime = type_;
    mime = mime.substr(0, mime.find(';'));
    if (mime.empty()) return refuse("what was fetched is no picture");
    found_[done_++].data = "data:" + std::string(mime) + ";base64," + text;
    if (wanted()) return ask(out);
    return std::nullopt;
  }

  static Next refuse(std::string what) {
    return Next::fail(
        {SWY_CLS_NOT_OFFERED, "messages: " + std::move(what) + "; or send it as a data: URL"});
  }

  std::vector<Picture> found_;
  std::size_t done_ = 0, bytes_ = 0;
  unsigned status_ = 0;
  std::string type_;
};

}  // namespace swy
