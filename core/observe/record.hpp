// What is known of one finished request, and the way of records to the loggers.
#pragma once

#include <chrono>
#include <cstdint>
#include <forward_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/plugin/logger.hpp"

namespace switchyard::observe {

enum class FinalStatus { kOk, kClientError, kUpstreamError, kClientLeft, kGatewayError };
const char* to_string(FinalStatus status);

// As it is billed. What an upstream's report could not be true in is clamped, and kept as it came.
struct Usage {
  // All tokens read and generated, and the parts of them that are counted apart.
  std::uint64_t tok_in = 0, tok_out = 0, tok_cached = 0, tok_reasoning = 0;
  bool reported = false;  // by the upstream; otherwise estimated
  std::uint64_t tok_cache_write = 0, tok_cache_write_1h = 0;  // the second is part of the first
  std::uint64_t tok_audio_in = 0, tok_cached_audio = 0, tok_image_in = 0;
  std::uint64_t tok_audio_out = 0, tok_image_out = 0;
  std::uint64_t images = 0, seconds = 0, characters = 0, searches = 0;
  std::uint64_t told_in = 0, told_out = 0;  // as the upstream said, at most 2^53
  bool clamped = false;                     // `told` could not be true
  bool none_made = false;                   // the upstream says that no picture came of it
  std::string told;                         // the report; empty where it is billed as it came
  std::string service_tier;                 // that the upstream says it served by; empty: not said
};

// What only some requests have to tell. `kv` points into `texts`.
struct Facts {
  // `name` is static.
  void add(const char* name, std::string value);
  std::forward_list<std::string> texts;
  std::vector<swy_kv> kv;
};

// Whether another model went on with a stream that was cut.
enum class Continued : std::uint8_t { kNo, kTried, kBrought };

struct Record {
  std::string id, key_id, account, feature;
  std::string trace, parent_span;  // of the client's traceparent, or empty
  unsigned trace_flags = 0;
  std::string task, surface, model_asked, model_used, provider;
  std::string provider_family;  // "openai", "deepseek" ... as config::Provider has it
  bool stream = false;
  unsigned status = 0;    // as the client got it; 499 where it left before any
  unsigned attempts = 0;  // calls made upstream
  std::uint64_t start_unix_ns = 0, start_ns = 0;  // head complete (wall, monotonic)
  std::uint64_t body_ns = 0;                      // monotonic: body complete
  std::uint64_t planned_ns = 0;                   // monotonic: plan made, first attempt begins
  std::uint64_t sent_ns =
      0;  // monotonic: request handed to the upstream's connection (last attempt)
  std::uint64_t head_ns = 0;  // monotonic: upstream's head came (last attempt)
  std::uint64_t first_ns =
      0;                     // monotonic: first content handed to the client's connection; 0: none
  std::uint64_t end_ns = 0;  // monotonic: last byte handed over
  std::uint64_t upstream_ns = 0;  // waited for upstream heads, all attempts
  Usage usage;
  FinalStatus final_status = FinalStatus::kOk;
  Continued continued = Continued::kNo;
  // What the client owes and what the attempts cost, in billionths of the currency's unit. Not
  // known is nothing, which is not zero.
  std::optional<std::int64_t> charge_nano, cost_nano;
  std::string charge_currency, cost_currency, price_version;
  std::string error_code, error_text, finish_reason, fallback_path, route_reason;
  std::string dropped;  // JSON pointers of what did not reach the upstream, separated by ", "
  std::shared_ptr<const Facts> facts;       // or null
  std::shared_ptr<const std::string> plan;  // routing/decision.hpp; null where it isn't kept
  // What loggers get as further facts: those above, and what has no field of its own there. Set by
  // cut_texts().
  std::shared_ptr<const Facts> logger_facts;
};

// Cuts what a client or an upstream may have made long: a record waits in queues that count
// records, not bytes. The last touch: the record neither changes nor moves after it.
void cut_texts(Record& record);

// At most `bytes_max` bytes from the start of UTF-8 text, never half a character.
std::string_view cut_utf8(std::string_view text, std::size_t bytes_max);

// Where one line's records go: a logger plugin, or a part of the host. Called on the line's thread.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  // How many of `records` were taken, a prefix.
  virtual Result<std::uint32_t, plugin::LoggerFault> write(
      std::span<const std::shared_ptr<const Record>> records, std::uint64_t deadline_ns) = 0;
  virtual Result<void, plugin::LoggerFault> flush(std::uint64_t deadline_ns) = 0;
  // Nothing came for a while.
  virtual void idle() {}
};

struct FanoutTimes {
  std::chrono::milliseconds window{50};  // a batch waits this long to fill
  std::chrono::milliseconds flush_after{
      1000};  // under steady load; an idle logger is flushed after one window
  std::chrono::milliseconds call_max{5000};  // deadline of one write or flush
  std::chrono::milliseconds back_off_min{10}, back_off_max{1000};
  std::chrono::milliseconds idle_every{60'000};
  std::chrono::milliseconds close_max{5000};  // to write what is queued at the end
};

// Fans records out to loggers, each on its own thread behind a bounded queue. A full queue drops
// and counts. A logger that takes fewer than it was given, or fails, is asked again later; a
// record that it fails on alone, three times over, is dropped, unless it says that where records go
// is overloaded: then they wait, for the time that it names.
class LoggerFanout {
 public:
  struct Stats {
    std::string name;  // of the plugin; the second of one name is "jsonl-2"
    std::uint64_t written = 0;
    std::uint64_t dropped = 0;  // records lost
    std::uint64_t failed = 0;   // calls in which the logger failed
    std::uint64_t queued = 0;
  };

  static constexpr std::size_t kQueueMax = 16 * 1024;
  static constexpr std::size_t kBatchMax = 256;

  // One logger on a thread of its own, behind its queue. The fan-outs of several configurations may
  // share it: a logger that stays keeps its file and its queue. Its last owner goes on the control
  // thread.
  class Line {
   public:
    Line(std::unique_ptr<plugin::LoggerInstance> logger, std::string name,
         const FanoutTimes& times = FanoutTimes());
    Line(std::unique_ptr<RecordSink> sink, std::string name,
         const FanoutTimes& times = FanoutTimes());
    // Writes what is queued (at most 5 s), flushes, closes. A logger that hangs past its deadline
    // is left behind.
    ~Line();
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

   private:
    friend class LoggerFanout;
    struct Sink;
    void stop();
    std::shared_ptr<Sink> sink_;  // shared with its thread
  };
  using Lines = std::vector<std::shared_ptr<Line>>;

  explicit LoggerFanout(Lines lines) : lines_(std::move(lines)) {}
  // A line for each instance, under its own name or, where that is taken, NAME-2 and so on.
  explicit LoggerFanout(std::vector<std::unique_ptr<plugin::LoggerInstance>> loggers,
                        const FanoutTimes& times = FanoutTimes());
  // Lines that nobody else has end side by side.
  ~LoggerFanout();
  LoggerFanout(const LoggerFanout&) = delete;
  LoggerFanout& operator=(const LoggerFanout&) = delete;

  // Never blocks beyond a short mutex; the record is shared by all loggers. [any thread]
  void publish(std::shared_ptr<const Record> record);
  std::vector<Stats> stats() const;
  bool empty() const { return lines_.empty(); }

 private:
  Lines lines_;
};

// OpenTelemetry's gen_ai.provider.name of a provider's family; the family's own where it has none.
// (GenAI conventions, registry of 2026.)
std::string_view provider_name(std::string_view family);

// As a logger plugin sees it. Every string is a view into `record`, which must outlive the result
// unmoved.
swy_rec to_plugin(const Record& record);

}  // namespace switchyard::observe
