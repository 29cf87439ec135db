#include "core/exchange/quantities.hpp"

#include <charconv>
#include <cmath>
#include <switchyard/json.hpp>

#include "core/exchange/usage.hpp"

namespace switchyard::exchange {
namespace {

using catalog::Meter;
using catalog::Quantities;

// More than any voice needs.
constexpr std::uint64_t kSpeechTokensPerCharacter = 4;
// More than any picture that is made; more than any that is read.
constexpr std::uint64_t kPictureTokensMax = 8192;
constexpr std::uint64_t kPictureReadMax = 16'384;
// Tokens of a second of speech, as sound and as what was said: about (OpenAI, November 2026), and
// more than any model has (Gemini's sound; fast Chinese).
constexpr std::uint64_t kHeardTokens = 10, kHeardTokensMax = 32;
constexpr std::uint64_t kSaidTokens = 3, kSaidTokensMax = 10;

std::string_view member(const Request& request, std::string_view name, char type) {
  for (const swy_member& each : request.members) {
    if (view(each.name) == name && each.type == static_cast<std::uint32_t>(type)) {
      return request.body.substr(each.value_at, each.value_n);
    }
  }
  return {};
}

// However an upstream may read it: 8, 8.0, 8e0, " 8". 0 where it is no number above 0.
double number(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" +"), text.size()));
  text = text.substr(0, text.find_last_not_of(' ') + 1);
  double number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool good = fault == std::errc() && end == text.data() + text.size() && number > 0;
  constexpr double kMost = 1e15;
  return good ? std::min(number, kMost) : 0;
}

// 0 where the request does not say, or not as a whole number.
std::uint64_t count(const Request& request, std::string_view name) {
  const double found = number(member(request, name, 'n'));
  return found == std::floor(found) ? static_cast<std::uint64_t>(found) : 0;
}

// Of a film: which of the two an upstream goes by is its own affair. Where the request does not say
// it is as long as providers make one then.
std::uint64_t film_seconds(const Request& request) {
  constexpr double kUsual = 5, kMost = 3600;
  double said = 0;
  for (const char* const name : {"seconds", "duration"}) {
    said = std::max({said, number(member(request, name, 'n')), number(text_member(request, name))});
  }
  return static_cast<std::uint64_t>(std::ceil(std::min(said > 0 ? said : kUsual, kMost)));
}

Sound sound_of(const Request& request) {
  return request.rare != nullptr ? request.rare->sound : Sound();
}

// Characters of a JSON text; an escape counts as one.
std::uint64_t characters(std::string_view text) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      i += i + 1 < text.size() && text[i + 1] == 'u' ? 5 : 1;
      ++total;
    } else {
      total += (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80 ? 1 : 0;
    }
  }
  return total;
}

// That are spoken. What is no text is as long as it stands there.
std::uint64_t spoken_characters(const Request& request) {
  const std::string_view list = member(request, "input", 'a');
  return list.empty() ? characters(text_member(request, "input")) : characters(list);
}

// What a client writes there may be anything.
std::uint64_t product(std::uint64_t a, std::uint64_t b) {
  std::uint64_t result = 0;
  return __builtin_mul_overflow(a, b, &result) ? UINT64_MAX : result;
}

// Elements of a scanned array.
std::uint64_t elements(std::string_view array) {
  std::uint64_t found = 0;
  int depth = 0;
  for (std::size_t i = 0; i < array.size(); ++i) {
    const char c = array[i];
    if (c == '"') {
      while (array[++i] != '"') i += array[i] == '\\' ? 1 : 0;
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (c == ',' && depth == 1) {
      ++found;
    }
  }
  return found + 1;
}

// Of a legacy completion; an array of numbers is one prompt, already in tokens.
std::uint64_t prompts(const Request& request) {
  const std::string_view prompt = member(request, "prompt", 'a');
  const std::size_t first = prompt.find_first_not_of(" \t\r\n", 1);
  const bool several = first < prompt.size() && (prompt[first] == '"' || prompt[first] == '[');
  return several ? elements(prompt) : 1;
}

// What no usage report tells.
void add_request(const Request& request, Quantities& quantities) {
  at(quantities, Meter::kCall) = 1;
  if (request.task.starts_with("images.")) at(quantities, Meter::kImage) = answers_asked(request);
  if (request.task == "audio.speech") {
    at(quantities, Meter::kCharacter) = spoken_characters(request);
  }
  if (request.task == "videos") at(quantities, Meter::kSecond) = film_seconds(request);
  if (hears(request.task)) at(quantities, Meter::kSecond) = sound_of(request).seconds;
}

// Where sound that was heard is sold by its tokens, and what was said as well.
void add_heard(Quantities& quantities, std::uint64_t heard_each, std::uint64_t said_each) {
  at(quantities, Meter::kAudioIn) = product(at(quantities, Meter::kSecond), heard_each);
  at(quantities, Meter::kOutput) = product(at(quantities, Meter::kSecond), said_each);
}

// How far a session may go on before its hold is looked at again: about a turn of speech each way.
void add_session_slice(Quantities& most) {
  at(most, Meter::kInput) += 4096;
  at(most, Meter::kOutput) += 1024;
  at(most, Meter::kAudioIn) += 2048;
  at(most, Meter::kAudioOut) += 2048;
}

// Of embedded files.
std::uint64_t base64_bytes(std::string_view text) {
  constexpr std::string_view kMark = ";base64,";
  std::uint64_t total = 0;
  for (std::size_t at = text.find(kMark); at != std::string_view::npos; at = text.find(kMark, at)) {
    const std::size_t end = std::min(text.find('"', at), text.size());
    total += end - at;
    at = end;
  }
  return total;
}

std::size_t after_space(std::string_view json, std::size_t at) {
  return std::min(json.find_first_not_of(" \t\r\n", at), json.size());
}

// What a prompt holds as data and not as text comes to, in tokens: so many for one, and one more
// for so many bytes as they stand in the body, which is four thirds of the file.
struct Weight {
  std::uint64_t each, bytes_per_token;
  std::uint64_t of(std::uint64_t count, std::uint64_t bytes) const {
    return count * each + (bytes_per_token == 0 ? 0 : bytes / bytes_per_token);
  }
};

struct Kind {
  Weight about, most;
};

// Pictures have a most, whatever their size. No size tells how many pages or seconds another file
// has: these are an ordinary one and a dense one, and what is denser still is a shortfall. Sources,
// as of November 2026:
// - pages: 1,500 to 3,000 tokens of text and a picture each (Anthropic, PDF support); 258 (Gemini,
//   document processing). About 2,000 in 64 KB; at most 5,000 in 32 KB, and one page at least.
// - sound: 32 tokens a second (Gemini, audio), 10 (OpenAI, gpt-4o-audio). MP3 at 128 kbit/s is
//   21 KB of base64 a second; speech at 18 kbit/s is 3 KB.
// - film: 258 tokens a second, and its sound (Gemini, video). At 1 Mbit/s it is 167 KB a second; at
//   300 kbit/s 50 KB.
constexpr Kind kPicture{{kPictureTokens, 0}, {kPictureReadMax, 0}};
constexpr Kind kDocument{{2000, 32}, {5000, 6}};
constexpr Kind kSound{{32, 680}, {32, 96}};
constexpr Kind kFilm{{290, 570}, {290, 170}};

const Kind* kind_of(std::string_view data) {
  constexpr std::pair<std::string_view, const Kind*> kBegins[] = {
      // The slash may be escaped.
      {"data:image", &kPicture},
      {"data:application/pdf", &kDocument},
      {R"(data:application\/pdf)", &kDocument},
      {"data:audio", &kSound},
      {"data:video", &kFilm},
      {"JVBERi", &kDocument},  // "%PDF-" without a media type
  };
  for (const auto& [begin, kind] : kBegins) {
    if (data.starts_with(begin)) return kind;
  }
  return nullptr;
}

// What a prompt holds as data. Tokens are never more than as if it were text.
struct Media {
  std::uint64_t bytes = 0, about = 0, most = 0;
  std::uint64_t sound = 0;  // of the most, what may be sold as sound

  void add(const Kind& kind, std::uint64_t size) {
    const std::uint64_t most_here = std::min(kind.most.of(1, size), size / 2);
    bytes += size;
    about += std::min(kind.about.of(1, size), estimate_tokens(size));
    most += most_here;
    if (&kind == &kSound) sound += most_here;
  }
  // What the upstream fetches itself; most often it is a picture.
  void add_unseen() {
    about += kPicture.about.of(1, 0);
    most += kPicture.most.of(1, 0);
  }
};

// Where the value of the member whose name ends at `at` begins; nothing where it is no member.
std::optional<std::size_t> value_of(std::string_view json, std::size_t at) {
  at = after_space(json, at);
  if (!json.substr(at).starts_with(':')) return std::nullopt;
  return after_space(json, at + 1);
}

std::string_view text_at(std::string_view json, std::size_t at) {
  if (!json.substr(at).starts_with('"')) return {};
  return json.substr(at + 1, json.find('"', at + 1) - at - 1);
}

// Files by their addresses, most of which are data: "url" of a picture, "file_data" of a file.
void add_named(std::string_view messages, std::string_view quoted_name, Media& media) {
  for (std::size_t at = messages.find(quoted_name); at != std::string_view::npos;
       at = messages.find(quoted_name, at)) {
    at += quoted_name.size();
    const auto value = value_of(messages, at);
    if (!value) continue;
    const std::string_view data = text_at(messages, *value);
    if (const Kind* const kind = kind_of(data)) media.add(*kind, data.size());
    if (data.starts_with("http")) media.add_unseen();
    at = *value + data.size();
  }
}

// "input_audio":{"data":"...","format":"wav"}
void add_sound(std::string_view messages, Media& media) {
  constexpr std::string_view kName = R"("input_audio")";
  for (std::size_t at = messages.find(kName); at != std::string_view::npos;
       at = messages.find(kName, at)) {
    at += kName.size();
    const auto value = value_of(messages, at);
    if (!value) continue;
    // Passed over whole, so that nothing is read twice, however deep it is nested.
    const std::string_view sound = swy::json::Cursor(messages.substr(*value)).value();
    const std::string_view data = swy::json::find(sound, "data");
    if (swy::json::type_of(data) == 's') media.add(kSound, data.size());
    at = *value + sound.size();
  }
}

// Within the messages alone: elsewhere, as in a tool's schema, it would be read as text; and in a
// text its quotes would be escaped.
Media media_in(const Request& request) {
  const std::string_view messages = member(request, "messages", 'a');
  Media media;
  add_named(messages, R"("url")", media);
  add_named(messages, R"("file_data")", media);
  add_sound(messages, media);
  return media;
}

}  // namespace

std::uint64_t estimated_prompt(const Request& request) {
  const Media media = media_in(request);
  return estimate_tokens(request.body.size() - media.bytes) + media.about;
}

// Tokens of a text are fewer than half its bytes; what is denser is a shortfall, not a refusal.
PromptBound prompt_bound(const Request& request) {
  const Media media = media_in(request);
  return {(request.body.size() - media.bytes) / 2 + 16 + media.most, media.sound};
}

std::string_view text_member(const Request& request, std::string_view name) {
  const std::string_view quoted = member(request, name, 's');
  return quoted.size() < 2 ? quoted : quoted.substr(1, quoted.size() - 2);
}

std::uint64_t answers_asked(const Request& request) {
  return std::max<std::uint64_t>(count(request, "n"), 1);
}

// A legacy completion answers each of its prompts, and may make more answers than it shows.
std::uint64_t of_all_answers(const Request& request, std::uint64_t tokens) {
  if (request.task != "completions") return product(tokens, answers_asked(request));
  const std::uint64_t made = std::max(answers_asked(request), count(request, "best_of"));
  return product(product(tokens, made), prompts(request));
}

bool hears(std::string_view task) {
  return task == "audio.transcriptions" || task == "audio.translations";
}

bool makes_text(std::string_view task) { return task == "chat" || task == "completions"; }

// Which of the two an upstream goes by is its own affair.
std::uint64_t tokens_max(const Request& request) {
  return std::max(count(request, "max_completion_tokens"), count(request, "max_tokens"));
}

TokensAsked tokens_asked(const Request& request) {
  constexpr std::uint64_t kAssumed = 1024, kMost = 1'000'000'000'000;
  TokensAsked asked;
  if (is_text(request.task)) {
    asked.prompt = estimate_tokens(request.body.size() - base64_bytes(request.body));
  }
  if (!makes_text(request.task)) return asked;
  const std::uint64_t most = tokens_max(request);
  asked.limited = most > 0;
  // Bounded first: what a client writes there may be anything.
  asked.answer = std::min(asked.limited ? most : kAssumed, kMost) *
                 std::min<std::uint64_t>(answers_asked(request), 1000);
  return asked;
}

Quantities upper_bounds(const Request& request, const PromptBound& prompt,
                        std::uint64_t answer_tokens) {
  Quantities most{};
  at(most, Meter::kInput) = prompt.tokens;
  at(most, Meter::kAudioIn) = prompt.sound;
  if (makes_text(request.task)) {
    const std::uint64_t answers = of_all_answers(request, answer_tokens);
    at(most, Meter::kOutput) = answers;
    if (!member(request, "audio", 'o').empty()) at(most, Meter::kAudioOut) = answers;
  }
  add_request(request, most);
  if (request.session != nullptr) add_session_slice(most);
  // Where speech and pictures are sold by their tokens.
  if (request.task == "audio.speech") {
    at(most, Meter::kAudioOut) = kSpeechTokensPerCharacter * at(most, Meter::kCharacter);
  }
  at(most, Meter::kImageOut) = product(kPictureTokensMax, at(most, Meter::kImage));
  if (hears(request.task)) {
    at(most, Meter::kSecond) = sound_of(request).seconds_most;
    add_heard(most, kHeardTokensMax, kSaidTokensMax);
  }
  return most;
}

Quantities ahead_of(const Request& request, const observe::Usage& so_far) {
  Quantities most = billed(request, so_far);
  add_session_slice(most);
  return most;
}

observe::Usage asked_usage(const Request& request, observe::Usage usage) {
  Quantities asked{};
  add_request(request, asked);
  if (usage.images == 0) usage.images = at(asked, Meter::kImage);
  if (usage.tok_out == 0) usage.tok_out = usage.tok_image_out = kPictureTokens * usage.images;
  if (usage.seconds == 0) usage.seconds = at(asked, Meter::kSecond);
  if (usage.characters == 0) usage.characters = at(asked, Meter::kCharacter);
  return usage;
}

namespace {

// By its bytes at 1 kbit/s, for its headers may lie; a day where they are not seen.
std::uint64_t longest(const Request& request) {
  constexpr std::uint64_t kDay = 86'400;
  if (!hears(request.task) || request.rare == nullptr || request.rare->blobs.empty()) return kDay;
  std::uint64_t bytes = 0;
  for (const Blob& blob : request.rare->blobs) bytes += blob.bytes.size();
  return bytes / 125 + 60;
}

}  // namespace

void clamp_seconds(const Request& request, observe::Usage& usage) {
  const std::uint64_t most = longest(request);
  if (usage.seconds <= most) return;
  Quantities asked{};
  add_request(request, asked);
  usage.seconds = at(asked, Meter::kSecond);
  usage.reported = false;
  usage.clamped = true;
}

Quantities billed(const Request& request, const observe::Usage& usage) {
  // Each picture failed in its place: nobody pays for that, by whatever it is sold.
  if (usage.none_made && request.task.starts_with("images.")) return {};
  Quantities quantities = quantities_of(usage);
  Quantities asked{};
  add_request(request, asked);
  // What the upstream counted itself counts.
  for (std::size_t i = 0; i < quantities.size(); ++i) {
    if (quantities[i] == 0) quantities[i] = asked[i];
  }
  if (hears(request.task) && usage.tok_in == 0 && usage.tok_out == 0) {
    add_heard(quantities, kHeardTokens, kSaidTokens);
  }
  return quantities;
}

std::uint64_t prompt_tokens(const Quantities& quantities) {
  std::uint64_t total = 0;
  for (const Meter meter :
       {Meter::kInput, Meter::kCachedInput, Meter::kCacheWrite5m, Meter::kCacheWrite1h,
        Meter::kAudioIn, Meter::kCachedAudioIn, Meter::kImageIn}) {
    total += at(quantities, meter);
  }
  return total;
}

}  // namespace switchyard::exchange
