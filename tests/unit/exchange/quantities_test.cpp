#include "core/exchange/quantities.hpp"

#include <catch2/catch.hpp>

#include "core/base/json_scan.hpp"

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
