#include "core/exchange/usage.hpp"

#include <algorithm>
#include <charconv>
#include <initializer_list>

#include "core/base/json_scan.hpp"

namespace switchyard::exchange {
namespace {

constexpr std::uint64_t kCountMax = std::uint64_t{1} << 53;
constexpr std::size_t kToldMax = 512;

// What a request may hold without sending it (files and pages by their addresses), and what a
// model may think without showing it. No context is near these.
constexpr std::uint64_t kUnseenInMax = 16'000'000, kUnseenOutMax = 4'000'000;

// Reads one report, member by member.
class Report {
 public:
  explicit Report(const JsonIndex& object) : object_(object) {}

  // True where the member is there. A value that is no count reads as the largest.
  bool count(const char* name, std::uint64_t& to) { return count(object_, name, to, false); }
  // What was begun is whole.
  bool seconds(const char* name, std::uint64_t& to) { return count(object_, name, to, true); }
  struct Part {
    const char* name;
    std::uint64_t& to;
  };
  void details(const char* name, std::initializer_list<Part> parts) {
    const swy_member* const member = object_.find(name);
    if (member == nullptr || member->type != 'o') return;
    JsonIndex inner;
    if (!inner.scan(object_.value(*member))) return;
    for (const Part& part : parts) count(inner, part.name, part.to, false);
  }
  void text(const char* name, std::string& to) {
    const swy_member* const member = object_.find(name);
    if (member != nullptr && member->type == 's') to = json_unescape(object_.value(*member));
  }
  bool impossible() const { return impossible_; }

 private:
  bool count(const JsonIndex& object, const char* name, std::uint64_t& to, bool fractions) {
    const swy_member* const member = object.find(name);
    if (member == nullptr || member->type == '0') return false;
    const auto number = member->type == 'n' ? read(object.value(*member), fractions) : std::nullopt;
    if (!number) impossible_ = true;
    to = number.value_or(kCountMax);
    return true;
  }
  static std::optional<std::uint64_t> read(std::string_view digits, bool fractions) {
    std::uint64_t number = 0;
    const char* const last = digits.data() + digits.size();
    const auto [end, fault] = std::from_chars(digits.data(), last, number);
    if (fault != std::errc() || number > kCountMax) return std::nullopt;
    if (end == last) return number;
    const std::string_view rest(end, static_cast<std::size_t>(last - end));
    if (!fractions || rest.find_first_not_of(".0123456789") != std::string_view::npos) {
      return std::nullopt;
    }
    return number + (rest.find_first_not_of(".0") == std::string_view::npos ? 0 : 1);
  }

  const JsonIndex& object_;
  bool impossible_ = false;
};

// True where `part` was more than there is of the whole.
bool cut(std::uint64_t& part, std::uint64_t whole) {
  const bool more = part > whole;
  part = std::min(part, whole);
  return more;
}

// A part can't be more than what it is part of.
bool cut_parts(observe::Usage& usage) {
  bool any = cut(usage.tok_cached, usage.tok_in);
  any = cut(usage.tok_cache_write, usage.tok_in - usage.tok_cached) || any;
  any = cut(usage.tok_cache_write_1h, usage.tok_cache_write) || any;
  any = cut(usage.tok_audio_in, usage.tok_in) || any;
  any = cut(usage.tok_cached_audio, std::min(usage.tok_cached, usage.tok_audio_in)) || any;
  any = cut(usage.tok_image_in, usage.tok_in) || any;
  any = cut(usage.tok_reasoning, usage.tok_out) || any;
  any = cut(usage.tok_audio_out, usage.tok_out - usage.tok_reasoning) || any;
  return cut(usage.tok_image_out, usage.tok_out - usage.tok_reasoning - usage.tok_audio_out) || any;
}

}  // namespace

bool read_usage(std::string_view json, observe::Usage& usage) {
  JsonIndex object;
  if (!object.scan(json)) return false;
  Report report(object);
  const bool in = report.count("prompt_tokens", usage.tok_in);
  const bool out = report.count("completion_tokens", usage.tok_out);
  report.details("prompt_tokens_details", {{"cached_tokens", usage.tok_cached},
                                           {"cache_write_tokens", usage.tok_cache_write},
                                           {"cache_write_1h_tokens", usage.tok_cache_write_1h},
                                           {"audio_tokens", usage.tok_audio_in},
                                           {"cached_audio_tokens", usage.tok_cached_audio},
                                           {"image_tokens", usage.tok_image_in}});
  report.details("completion_tokens_details", {{"reasoning_tokens", usage.tok_reasoning},
                                               {"audio_tokens", usage.tok_audio_out},
                                               {"image_tokens", usage.tok_image_out}});
  const bool images = report.count("images", usage.images);
  if (images) usage.none_made = usage.images == 0;
  const bool seconds = report.seconds("seconds", usage.seconds);
  const bool characters = report.count("characters", usage.characters);
  const bool searches = report.count("searches", usage.searches);
  report.text("service_tier", usage.service_tier);
  if (in) usage.told_in = usage.tok_in;
  if (out) usage.told_out = usage.tok_out;
  usage.clamped = cut_parts(usage) || report.impossible();
  usage.told = usage.clamped ? json.substr(0, kToldMax) : std::string_view();
  const bool any = in || out || images || seconds || characters || searches;
  if (any) usage.reported = true;
  return any;
}

void clamp_usage(observe::Usage& usage, std::uint64_t bytes_in, std::uint64_t bytes_out) {
  if (usage.tok_in > bytes_in + kUnseenInMax) {
    usage.tok_in = estimate_tokens(bytes_in);
    usage.reported = false;
    usage.clamped = true;
  }
  if (usage.tok_out > bytes_out + kUnseenOutMax) {
    usage.tok_out = estimate_tokens(bytes_out);
    usage.reported = false;
    usage.clamped = true;
  }
  cut_parts(usage);
}

void add_usage(observe::Usage& sum, const observe::Usage& part) {
  using observe::Usage;
  for (const auto count :
       {&Usage::tok_in, &Usage::tok_out, &Usage::tok_cached, &Usage::tok_reasoning,
        &Usage::tok_cache_write, &Usage::tok_cache_write_1h, &Usage::tok_audio_in,
        &Usage::tok_cached_audio, &Usage::tok_image_in, &Usage::tok_audio_out,
        &Usage::tok_image_out, &Usage::images, &Usage::seconds, &Usage::characters,
        &Usage::searches, &Usage::told_in, &Usage::told_out}) {
    sum.*count += part.*count;
  }
  sum.reported = sum.reported && part.reported;
  sum.clamped = sum.clamped || part.clamped;
  if (sum.told.empty()) sum.told = part.told;
  if (sum.service_tier.empty()) sum.service_tier = part.service_tier;
}

catalog::Quantities quantities_of(observe::Usage usage) {
  using catalog::at;
  using catalog::Meter;
  cut_parts(usage);  // a difference below 0 would be a fortune
  catalog::Quantities all{};
  std::uint64_t left = usage.tok_in - usage.tok_cached - usage.tok_cache_write;
  // Sound that is not among the tokens left must have come from the cache.
  const std::uint64_t audio = std::min(usage.tok_audio_in - usage.tok_cached_audio, left);
  const std::uint64_t cached_audio = std::min(usage.tok_audio_in - audio, usage.tok_cached);
  left -= audio;
  const std::uint64_t image = std::min(usage.tok_image_in, left);
  at(all, Meter::kInput) = left - image;
  at(all, Meter::kCachedInput) = usage.tok_cached - cached_audio;
  at(all, Meter::kCacheWrite5m) = usage.tok_cache_write - usage.tok_cache_write_1h;
  at(all, Meter::kCacheWrite1h) = usage.tok_cache_write_1h;
  at(all, Meter::kAudioIn) = audio;
  at(all, Meter::kCachedAudioIn) = cached_audio;
  at(all, Meter::kImageIn) = image;
  at(all, Meter::kOutput) =
      usage.tok_out - usage.tok_reasoning - usage.tok_audio_out - usage.tok_image_out;
  at(all, Meter::kReasoning) = usage.tok_reasoning;
  at(all, Meter::kAudioOut) = usage.tok_audio_out;
  at(all, Meter::kImageOut) = usage.tok_image_out;
  at(all, Meter::kImage) = usage.images;
  at(all, Meter::kSecond) = usage.seconds;
  at(all, Meter::kCharacter) = usage.characters;
  at(all, Meter::kSearch) = usage.searches;
  at(all, Meter::kCall) = 1;
  return all;
}

std::string usage_json(const observe::Usage& usage) {
  return R"({"prompt_tokens":)" + std::to_string(usage.tok_in) + R"(,"completion_tokens":)" +
         std::to_string(usage.tok_out) + R"(,"total_tokens":)" +
         std::to_string(usage.tok_in + usage.tok_out) +
         R"(,"prompt_tokens_details":{"cached_tokens":)" + std::to_string(usage.tok_cached) +
         R"(},"completion_tokens_details":{"reasoning_tokens":)" +
         std::to_string(usage.tok_reasoning) + "}}";
}

bool is_text(std::string_view task) {
  return !task.starts_with("images.") && !task.starts_with("audio.") && !task.starts_with("videos");
}

std::uint64_t estimate_tokens(std::uint64_t bytes) { return (bytes + 3) / 4; }

}  // namespace switchyard::exchange
