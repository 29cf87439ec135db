// testing.hpp - fakes for an author's tests: a request made from JSON, events, a host side that
// notes what an operation writes, and a choice for a strategy to make.
#pragma once

#include <algorithm>
#include <deque>
#include <string>
#include <string_view>
#include <switchyard/json.hpp>
#include <switchyard/provider.hpp>
#include <switchyard/strategy.hpp>
#include <utility>
#include <vector>

namespace swy::testing {

using Headers = std::vector<std::pair<std::string, std::string>>;

// A request and all that it points at.
class FakeRequest {
 public:
  FakeRequest(std::string task, std::string model, std::string body,
              std::uint32_t flags = SWY_REQ_NATIVE)
      : task_(std::move(task)), model_(std::move(model)), body_(std::move(body)) {
    raw_.size = sizeof raw_;
    raw_.flags = flags;
    raw_.id = str("req-1");
    raw_.task = str(task_);
    raw_.dialect = str("openai");
    raw_.model = str(model_);
    raw_.body = str(body_);
    scan();
  }
  FakeRequest(const FakeRequest&) = delete;
  FakeRequest& operator=(const FakeRequest&) = delete;

  Request get() const { return Request(&raw_); }
  swy_req& raw() { return raw_; }

 private:
  void scan() {
    json::Cursor cursor(body_);
    std::string_view name;
    if (!cursor.object()) return;
    while (cursor.member(name)) {
      swy_member member{};
      names_.push_back(json::unescape("\"" + std::string(name) + "\""));
      member.name = str(names_.back());
      member.at = cursor.name_offset();
      const std::string_view value = cursor.value();
      member.value_at = static_cast<std::uint64_t>(value.data() - body_.data());
      member.value_n = value.size();
      member.type = static_cast<std::uint32_t>(json::type_of(value));
      members_.push_back(member);
    }
    raw_.member = members_.data();
    raw_.nmember = static_cast<std::uint32_t>(members_.size());
    raw_.member_stride = sizeof(swy_member);
  }

  std::string task_, model_, body_;
  std::deque<std::string> names_;
  std::vector<swy_member> members_;
  swy_req raw_{};
};

// One event and all that it points at.
class FakeEvent {
 public:
  explicit FakeEvent(std::uint32_t kind, std::string data = {}, std::string name = {})
      : data_(std::move(data)), name_(std::move(name)) {
    raw_.size = sizeof raw_;
    raw_.kind = kind;
    raw_.data = str(data_);
    raw_.name = str(name_);
  }
  FakeEvent(const FakeEvent&) = delete;
  FakeEvent& operator=(const FakeEvent&) = delete;

  FakeEvent& status(std::uint32_t status) {
    raw_.status = status;
    return *this;
  }
  FakeEvent& headers(Headers headers) {
    headers_ = std::move(headers);
    kv_.clear();
    for (const auto& [k, v] : headers_) kv_.push_back({str(k), str(v)});
    raw_.hdr = kv_.data();
    raw_.nhdr = static_cast<std::uint32_t>(kv_.size());
    return *this;
  }
  Event get() const { return Event(&raw_); }

 private:
  std::string data_, name_;
  Headers headers_;
  std::vector<swy_kv> kv_;
  swy_ev raw_{};
};

// The host's side of an operation: notes everything.
class Recorder {
 public:
  struct Emit {
    std::uint32_t what, flags;
    std::string data;
  };

  Recorder() {
    raw_.size = sizeof raw_;
    raw_.ctx = this;
    raw_.req_begin = [](void* ctx, swy_str m, swy_str u, std::uint32_t, std::uint32_t f) {
      Recorder& self = *static_cast<Recorder*>(ctx);
      self.method.assign(view(m));
      self.url.assign(view(u));
      self.framing = f;
      return swy_rc(SWY_OK);
    };
    raw_.req_header = [](void* ctx, swy_str k, swy_str v) {
      static_cast<Recorder*>(ctx)->headers.emplace_back(view(k), view(v));
      return swy_rc(SWY_OK);
    };
    raw_.req_auth = [](void* ctx, swy_str scheme, swy_str arg) {
      static_cast<Recorder*>(ctx)->auth = std::string(view(scheme)) + " " + std::string(view(arg));
      return swy_rc(SWY_OK);
    };
    raw_.req_part = [](void*, const swy_kv*, std::uint32_t) { return swy_rc(SWY_E_UNSUP); };
    raw_.req_body = [](void* ctx, const swy_seg* seg, std::uint32_t n) {
      Recorder& self = *static_cast<Recorder*>(ctx);
      for (std::uint32_t i = 0; i < n; ++i) self.body += view(seg[i].b);
      self.pieces += n;
      return swy_rc(SWY_OK);
    };
    raw_.emit = [](void* ctx, std::uint32_t what, std::uint32_t flags, swy_str data) {
      static_cast<Recorder*>(ctx)->emits.push_back({what, flags, std::string(view(data))});
      return swy_rc(SWY_OK);
    };
    raw_.keep = [](void*, swy_str) { return swy_rc(SWY_E_UNSUP); };
    raw_.ws_send = [](void*, std::uint32_t, std::uint32_t, const swy_seg*, std::uint32_t) {
      return swy_rc(SWY_E_UNSUP);
    };
  }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  Out out() { return Out(&raw_); }
  const swy_out* raw() const { return &raw_; }

  // The data of everything emitted of one kind, in order.
  std::vector<std::string> all(std::uint32_t what) const {
    std::vector<std::string> found;
    for (const Emit& emit : emits) {
      if (emit.what == what) found.push_back(emit.data);
    }
    return found;
  }
  // Of the last one, empty where there is none.
  std::string last(std::uint32_t what) const {
    std::string found;
    for (const Emit& emit : emits) {
      if (emit.what == what) found = emit.data;
    }
    return found;
  }

  std::string method, url, auth, body;
  std::uint32_t framing = 0, pieces = 0;
  Headers headers;
  std::vector<Emit> emits;

 private:
  swy_out raw_{};
};

// A choice to make: a request and its candidates, which the host's defaults fill.
//   FakeRoute route;
//   route.add("eu/small").est_cost_nano = 1000;
//   CHECK(route.order(Mine()) == "eu/small us/small");
class FakeRoute {
 public:
  struct Scored {
    std::string name;  // "provider/model"
    std::int64_t score = SWY_SCORE_UNSET;
    bool excluded = false;
    std::string reason;
  };

  FakeRoute() {
    request_.size = sizeof request_;
    request_.task = str("chat");
    request_.model = str("alias");
    request_.currency = str("USD");
    request_.tok_in_est = 100;
    request_.tok_out_est = 500;
  }
  FakeRoute(const FakeRoute&) = delete;
  FakeRoute& operator=(const FakeRoute&) = delete;

  swy_rreq& request() { return request_; }

  // The candidate is good until the next one is added.
  swy_cand& add(const std::string& provider_and_model, const Headers& tags = {}) {
    const std::string& name = texts_.emplace_back(provider_and_model);
    const std::size_t slash = name.find('/');
    swy_cand candidate{};
    candidate.size = sizeof candidate;
    candidate.id = candidates_.size() + 1;
    candidate.provider = str(std::string_view(name).substr(0, slash));
    candidate.model = str(std::string_view(name).substr(slash + 1));
    candidate.est_cost_nano = INT64_MIN;
    candidate.weight = 1;
    candidate.inflight_max = candidate.rpm_left = UINT32_MAX;
    candidate.tpm_left = UINT64_MAX;
    auto& kept = tags_.emplace_back();
    for (const auto& [k, v] : tags) {
      kept.push_back({str(texts_.emplace_back(k)), str(texts_.emplace_back(v))});
    }
    candidate.tag = kept.data();
    candidate.ntag = kept.size();
    names_.push_back(name);
    candidates_.push_back(candidate);
    return candidates_.back();
  }
  swy_cand& operator[](std::size_t i) { return candidates_[i]; }

  // What a strategy makes of it, in the order of the candidates.
  template <class S>
  std::vector<Scored> score(const S& strategy) {
    std::vector<swy_score> out(candidates_.size());
    for (swy_score& each : out) {
      each.size = sizeof each;
      each.score = SWY_SCORE_UNSET;
    }
    Scores scores(out.data(), sizeof(swy_score));
    const RouteRequest request(&request_);
    const Candidates shown(candidates_.data(), static_cast<std::uint32_t>(candidates_.size()),
                           sizeof(swy_cand));
    error_.clear();
    if constexpr (std::is_void_v<decltype(strategy.score(request, shown, scores))>) {
      strategy.score(request, shown, scores);
    } else {
      const Result<> scored = strategy.score(request, shown, scores);
      if (!scored) error_ = scored.error().message;
    }
    std::vector<Scored> found;
    for (std::size_t i = 0; i < out.size(); ++i) {
      found.push_back({names_[i], out[i].score, out[i].score == SWY_SCORE_EXCLUDE, out[i].reason});
    }
    return found;
  }

  // Why the last score() failed; empty where it did not.
  const std::string& error() const { return error_; }

  // The names in the order in which they would be tried, without those that are excluded.
  template <class S>
  std::string order(const S& strategy) {
    const std::vector<Scored> scored = score(strategy);
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < scored.size(); ++i) {
      if (!scored[i].excluded) places.push_back(i);
    }
    std::sort(places.begin(), places.end(), [&](std::size_t a, std::size_t b) {
      return scored[a].score != scored[b].score ? scored[a].score > scored[b].score : a < b;
    });
    std::string text;
    for (const std::size_t i : places) text += (text.empty() ? "" : " ") + scored[i].name;
    return text;
  }

 private:
  swy_rreq request_{};
  std::deque<std::string> texts_;
  std::deque<std::vector<swy_kv>> tags_;
  std::vector<std::string> names_;
  std::vector<swy_cand> candidates_;
  std::string error_;
};

}  // namespace swy::testing
