#include "core/exchange/quantities.hpp"

#include <catch2/catch.hpp>

#include "core/base/json_scan.hpp"
#include "core/exchange/counts.hpp"

namespace switchyard::exchange {
namespace {

using catalog::at;
using catalog::Meter;
using catalog::Quantities;

// A request of a task with this body.
struct Asked {
  Asked(const char* task, std::string text) : body(std::move(text)) {
    REQUIRE(index.scan(body));
    request.task = task;
    request.body = body;
    request.members = index.members();
  }
  std::string body;
  JsonIndex index;
  Request request;
};

Quantities quantities(std::initializer_list<std::pair<Meter, std::uint64_t>> some) {
  Quantities made{};
  for (const auto& [meter, quantity] : some) at(made, meter) = quantity;
  return made;
}

std::vector<Count> all(const Counts& counts) { return {counts.begin(), counts.end()}; }

std::uint64_t seconds_of(const std::string& body) {
  const Asked film("videos", body);
  const Quantities held = upper_bounds(film.request, {}, 0);
  const Quantities paid = billed(film.request, observe::Usage());
  CHECK(at(held, Meter::kSecond) == at(paid, Meter::kSecond));
  return at(paid, Meter::kSecond);
}

TEST_CASE("exchange: a film is paid by its seconds, however the request writes them",
          "[unit][exchange]") {
  CHECK(seconds_of(R"({"seconds":8})") == 8);
  CHECK(seconds_of(R"({"seconds":"8"})") == 8);
  CHECK(seconds_of(R"({"duration":"10"})") == 10);
  // Nobody says: it is not for nothing.
  CHECK(seconds_of(R"({"prompt":"x"})") == 5);
  CHECK(seconds_of(R"({"seconds":"many"})") == 5);
  CHECK(seconds_of(R"({"seconds":999999999999})") == 3600);
  CHECK(seconds_of(R"({"seconds":-8})") == 5);
}

TEST_CASE("exchange: what a request says in two ways counts as the more", "[unit][exchange]") {
  CHECK(seconds_of(R"({"seconds":4,"duration":12})") == 12);
  CHECK(seconds_of(R"({"seconds":"12","duration":"4"})") == 12);
  CHECK(seconds_of(R"({"seconds":"many","duration":10})") == 10);
}

TEST_CASE("exchange: a number counts as an upstream may read it", "[unit][exchange]") {
  CHECK(seconds_of(R"({"seconds":8.0})") == 8);
  CHECK(seconds_of(R"({"seconds":"8.0"})") == 8);
  CHECK(seconds_of(R"({"seconds":" 8 "})") == 8);
  CHECK(seconds_of(R"({"seconds":"+8"})") == 8);
  CHECK(seconds_of(R"({"seconds":7.2})") == 8);
  CHECK(seconds_of(R"({"seconds":1e1})") == 10);
  const auto answers = [](const std::string& body) {
    return answers_asked(Asked("chat", body).request);
  };
  CHECK(answers(R"({"n":3})") == 3);
  CHECK(answers(R"({"n":3.0})") == 3);
  CHECK(answers(R"({"n":3e0})") == 3);
  CHECK(answers(R"({"n":2.5})") == 1);  // of an answer there is no half
  CHECK(answers(R"({"n":-3})") == 1);
  CHECK(tokens_max(Asked("chat", R"({"max_tokens":1e5})").request) == 100'000);
}

TEST_CASE("exchange: a text of the request is read without its quotes", "[unit][exchange]") {
  const Asked asked("chat", R"({"service_tier":"flex","x":1})");
  CHECK(text_member(asked.request, "service_tier") == "flex");
  CHECK(text_member(asked.request, "x").empty());
}

TEST_CASE("exchange: what nobody reported is what the request says", "[unit][exchange]") {
  const Asked speech("audio.speech", R"({"input":"h\u00e9!"})");
  const observe::Usage spoken = asked_usage(speech.request, {});
  CHECK(spoken.characters == 3);
  CHECK_FALSE(spoken.reported);
  observe::Usage told;
  told.characters = 2;
  CHECK(asked_usage(speech.request, told).characters == 2);
  const Asked pictures("images.generations", R"({"n":3})");
  const observe::Usage drawn = asked_usage(pictures.request, {});
  CHECK(drawn.images == 3);
  // As tokens too: some lists have a price of these alone.
  CHECK(drawn.tok_out == 3360);
  CHECK(drawn.tok_image_out == 3360);
}

TEST_CASE("exchange: speech is paid by what it may read", "[unit][exchange]") {
  const Asked list("audio.speech", R"({"input":["one","two"]})");
  CHECK(asked_usage(list.request, {}).characters == 13);
}

// A transcription whose upload was measured.
struct Heard : Asked {
  Heard(std::uint64_t seconds, std::uint64_t most)
      : Asked("audio.transcriptions", R"({"file":{"$blob":1}})") {
    rare.sound = {seconds, most};
    request.rare = &rare;
  }
  Rare rare;
};

TEST_CASE("exchange: sound is counted by its seconds, by tokens, and by tokens of text",
          "[unit][exchange]") {
  const Heard heard(10, 20);
  const std::vector<Count> used = all(counts_of(heard.request, asked_usage(heard.request, {})));
  REQUIRE(used.size() == 3);
  CHECK(used[0].quantities == quantities({{Meter::kSecond, 10}, {Meter::kCall, 1}}));
  CHECK(used[1].quantities ==
        quantities({{Meter::kAudioIn, 100}, {Meter::kOutput, 30}, {Meter::kCall, 1}}));
  CHECK(used[2].quantities ==
        quantities({{Meter::kInput, 100}, {Meter::kOutput, 30}, {Meter::kCall, 1}}));
  const Quantities most = upper_bounds(heard.request, {50}, 0);
  const std::vector<Count> held = all(counts_of(heard.request, most));
  REQUIRE(held.size() == 3);
  CHECK(held[0].quantities == quantities({{Meter::kSecond, 20}, {Meter::kCall, 1}}));
  CHECK(
      held[1].quantities ==
      quantities(
          {{Meter::kInput, 50}, {Meter::kAudioIn, 640}, {Meter::kOutput, 200}, {Meter::kCall, 1}}));
  CHECK(held[2].quantities ==
        quantities({{Meter::kInput, 690}, {Meter::kOutput, 200}, {Meter::kCall, 1}}));
}

TEST_CASE("exchange: of sound what was told counts, and what was not is an estimate",
          "[unit][exchange]") {
  const Heard heard(10, 20);
  observe::Usage seconds;
  seconds.seconds = 12;
  std::vector<Count> used = all(counts_of(heard.request, seconds));
  CHECK(used[0].quantities == quantities({{Meter::kSecond, 12}, {Meter::kCall, 1}}));
  CHECK(at(used[1].quantities, Meter::kAudioIn) == 120);
  CHECK_FALSE(used[0].estimated);
  CHECK(used[1].estimated);
  CHECK(used[2].estimated);
  observe::Usage tokens;
  tokens.tok_in = 90;
  tokens.tok_audio_in = 80;
  tokens.tok_out = 7;
  used = all(counts_of(heard.request, tokens));
  CHECK(used[0].quantities == quantities({{Meter::kSecond, 10}, {Meter::kCall, 1}}));
  CHECK(used[1].quantities ==
        quantities(
            {{Meter::kInput, 10}, {Meter::kAudioIn, 80}, {Meter::kOutput, 7}, {Meter::kCall, 1}}));
  CHECK(at(used[2].quantities, Meter::kInput) == 90);
  CHECK(used[0].estimated);
  CHECK_FALSE(used[1].estimated);
  CHECK_FALSE(used[2].estimated);
}

TEST_CASE("exchange: seconds that can't be become those of the sound", "[unit][exchange]") {
  Heard heard(10, 20);
  const std::string file(10'000, ' ');
  const Blob blobs[] = {{file, "file", "audio/wav", "a.wav"}};
  heard.rare.blobs = blobs;
  const auto clamped = [](const Request& request, std::uint64_t seconds) {
    observe::Usage usage;
    usage.seconds = seconds;
    usage.reported = true;
    clamp_seconds(request, usage);
    CHECK(usage.clamped == !usage.reported);
    return std::pair(usage.seconds, usage.clamped);
  };
  CHECK(clamped(heard.request, 140) == std::pair(std::uint64_t{140}, false));
  CHECK(clamped(heard.request, 141) == std::pair(std::uint64_t{10}, true));
  const Asked film("videos", R"({"seconds":8})");
  CHECK(clamped(film.request, 86'400) == std::pair(std::uint64_t{86'400}, false));
  CHECK(clamped(film.request, 86'401) == std::pair(std::uint64_t{8}, true));
}

TEST_CASE("exchange: speech is counted by characters, and by tokens where none were told",
          "[unit][exchange]") {
  const Asked speech("audio.speech", R"({"input":"0123456789"})");
  observe::Usage usage;
  usage.characters = 10;
  const std::vector<Count> used = all(counts_of(speech.request, usage));
  REQUIRE(used.size() == 2);
  CHECK(used[0].quantities == quantities({{Meter::kCharacter, 10}, {Meter::kCall, 1}}));
  CHECK(at(used[1].quantities, Meter::kAudioOut) == 15);
  CHECK(at(used[1].quantities, Meter::kInput) == 3);
  CHECK_FALSE(used[0].estimated);
  CHECK(used[1].estimated);
  usage.tok_out = usage.tok_audio_out = 40;
  CHECK(all(counts_of(speech.request, usage)).size() == 1);
}

TEST_CASE("exchange: what speech may come to covers a price by tokens", "[unit][exchange]") {
  const Asked speech("audio.speech", R"({"input":"0123456789"})");
  const Quantities most = upper_bounds(speech.request, {8}, 0);
  CHECK(at(most, Meter::kCharacter) == 10);
  CHECK(at(most, Meter::kAudioOut) == 40);
}

TEST_CASE("exchange: a picture in the prompt is no text, however large it is", "[unit][exchange]") {
  const std::string data = "data:image/png;base64," + std::string(400'000, 'A');
  const auto chat = [](const std::string& messages, const std::string& more = "") {
    return R"({"model":"m")" + more + R"(,"messages":[)" + messages + "]}";
  };
  const std::string picture =
      R"({"role":"user","content":[{"type":"image_url","image_url":{"url" : ")" + data + R"("}}]})";
  const Asked shown("chat", chat(picture));
  CHECK(estimated_prompt(shown.request) < 1120 + 60);
  CHECK(prompt_bound(shown.request).tokens < 16'384 + 120);
  CHECK(estimated_prompt(shown.request) > 1120);
  CHECK(prompt_bound(shown.request).tokens > 16'384);
  const Asked two("chat", chat(picture + "," + picture));
  CHECK(prompt_bound(two.request).tokens > 2 * 16'384);
  // What only looks like one is as long as it is.
  const std::string said = R"({"role":"user","content":"{\"url\":\")" + data + R"(\"}"})";
  const Asked text("chat", chat(said));
  CHECK(estimated_prompt(text.request) > 100'000);
  CHECK(prompt_bound(text.request).tokens > 200'000);
  const Asked tool("chat", chat("", R"(,"tools":[{"url":")" + data + R"("}])"));
  CHECK(prompt_bound(tool.request).tokens > 200'000);
  const Asked small(
      "chat",
      chat(R"({"role":"user","content":[{"image_url":{"url":"data:image/gif;base64,AAAA"}}]})"));
  CHECK(prompt_bound(small.request).tokens <= small.body.size() / 2 + 16);
}

TEST_CASE("exchange: pages, sound and films in the prompt are no text", "[unit][exchange]") {
  constexpr std::uint64_t kBytes = 1'500'000;
  const std::string data(kBytes, 'A');
  struct Case {
    std::string part;
    std::uint64_t about, most, sound;  // a little less than these, and not much
  };
  const auto file = [&](const std::string& mime) {
    return R"({"type":"file","file":{"filename":"f","file_data" : "data:)" + mime + ";base64," +
           data + R"("}})";
  };
  const Case cases[] = {
      {file("application/pdf"), 49'000, 255'200, 0},
      {R"({"type":"file","file":{"file_data":"JVBERi)" + data + R"("}})", 49'000, 255'200, 0},
      {R"({"type":"input_audio","input_audio":{"format":"mp3","data":")" + data + R"("}})", 2'300,
       15'800, 15'800},
      {R"({"type":"audio_url","audio_url":{"url":"data:audio/ogg;base64,)" + data + R"("}})", 2'300,
       15'800, 15'800},
      {file("video/mp4"), 3'000, 9'300, 0},
      // Text that is written in another way.
      {file("text/csv"), kBytes / 4 + 100, kBytes / 2 + 100, 0},
      {R"({"type":"text","text":"\"file_data\":\"data:application/pdf;base64,)" + data + R"("})",
       kBytes / 4 + 100, kBytes / 2 + 100, 0},
  };
  for (const Case& each : cases) {
    CAPTURE(each.part.substr(0, 80));
    const Asked asked("chat", R"({"messages":[{"role":"user","content":[)" + each.part + "]}]}");
    const PromptBound most = prompt_bound(asked.request);
    CHECK(estimated_prompt(asked.request) <= each.about);
    CHECK(estimated_prompt(asked.request) >= each.about * 9 / 10);
    CHECK(most.tokens <= each.most);
    CHECK(most.tokens >= each.most * 9 / 10);
    CHECK(most.sound <= each.sound);
    CHECK(most.sound >= each.sound * 9 / 10);
  }
  const Asked tiny(
      "chat",
      R"({"messages":[{"content":[{"file":{"file_data":"data:application/pdf;base64,AA"}}]}]})");
  CHECK(prompt_bound(tiny.request).tokens <= tiny.body.size() / 2 + 16);
}

TEST_CASE("exchange: sound is held for at its own price, asked and answered", "[unit][exchange]") {
  const Asked asked("chat", R"({"audio":{"voice":"alloy","format":"wav"},"n":2,"messages":[]})");
  const Quantities most = upper_bounds(asked.request, {100, 40}, 50);
  CHECK(at(most, Meter::kInput) == 100);
  CHECK(at(most, Meter::kAudioIn) == 40);
  CHECK(at(most, Meter::kOutput) == 100);
  CHECK(at(most, Meter::kAudioOut) == 100);
}

TEST_CASE("exchange: what pictures may come to covers a price by tokens", "[unit][exchange]") {
  const Asked pictures("images.generations", R"({"prompt":"x","n":2})");
  const Quantities most = upper_bounds(pictures.request, {8}, 0);
  CHECK(at(most, Meter::kImage) == 2);
  CHECK(at(most, Meter::kImageOut) == 16'384);
}

TEST_CASE("exchange: a session is held for what it came to and a slice ahead", "[unit][exchange]") {
  const Asked session("realtime", "{}");
  observe::Usage usage;
  usage.tok_in = 1000;
  usage.tok_out = 500;
  usage.tok_audio_out = 200;
  const Quantities before = ahead_of(session.request, {}), after = ahead_of(session.request, usage);
  CHECK(at(after, Meter::kInput) == at(before, Meter::kInput) + 1000);
  CHECK(at(after, Meter::kOutput) == at(before, Meter::kOutput) + 300);
  CHECK(at(after, Meter::kAudioOut) == at(before, Meter::kAudioOut) + 200);
  CHECK(at(after, Meter::kCall) == 1);
}

}  // namespace
}  // namespace switchyard::exchange
