#include "core/catalog/price.hpp"

#include <numeric>
#include <random>

#include "../scratch.hpp"
#include "core/catalog/catalog.hpp"
#include "core/catalog/tariff_reader.hpp"

using namespace switchyard;
using namespace switchyard::catalog;

namespace {

// What the shipped lists say of the models of November 2026.
const PriceBook& shipped() {
  static const PriceBook book = [] {
    const auto loaded =
        Catalog::load(std::filesystem::path(SWITCHYARD_SOURCE_DIR) / "config" / "models");
    if (!loaded) FAIL(loaded.error().message);
    return PriceBook(*loaded, {}, {});
  }();
  return book;
}

std::uint64_t utc_ns(std::string_view text) {
  const auto unix_s = parse_utc(text);
  if (!unix_s) FAIL("no time: " << text);
  return static_cast<std::uint64_t>(*unix_s) * 1'000'000'000u;
}

using Used = std::vector<std::pair<Meter, std::uint64_t>>;

Quantities quantities_of(const Used& used) {
  Quantities quantities{};
  for (const auto& [meter, count] : used) at(quantities, meter) = count;
  return quantities;
}

// The whole prompt is what stands before the output among the meters of tokens.
PriceContext context_of(const Used& used, std::string_view when = "2026-11-20T12:00:00Z") {
  PriceContext context;
  context.unix_ns = utc_ns(when);
  for (const auto& [meter, count] : used) {
    const bool read = meter != Meter::kOutput && meter != Meter::kReasoning &&
                      meter != Meter::kAudioOut && meter != Meter::kImageOut &&
                      is_by_million(meter);
    if (read) context.prompt_tokens += count;
  }
  return context;
}

std::string told(const std::optional<Rated>& rated) {
  return rated ? format_nano(rated->total) + " " + std::string(rated->currency) : "unknown";
}

std::string cost(std::string_view family, std::string_view model, const Used& used,
                 std::string_view when = "2026-11-20T12:00:00Z", std::string_view tier = "",
                 bool batch = false) {
  PriceContext context = context_of(used, when);
  context.service_tier = tier;
  context.batch = batch;
  return told(shipped().rate({"p", family, model}, quantities_of(used), context));
}

std::shared_ptr<const Tariff> tariff_of(const std::string& json, const std::string& factors = "{}",
                                        const std::string& version = "test#1") {
  config::Faults faults;
  TariffReader reader(faults);
  rapidjson::Document price, all, holidays;
  price.Parse(json.c_str());
  all.Parse(factors.c_str());
  holidays.Parse(R"({"DE":["2026-12-25"]})");
  reader.read_holidays(holidays, "/holidays");
  auto tariff = reader.read(price, "/price", "EUR", version, reader.read_factors(all, "/factors"));
  if (!tariff) FAIL(faults.front().pointer << ": " << faults.front().message);
  return std::make_shared<const Tariff>(std::move(*tariff));
}

std::string faults_of(const std::string& json) {
  config::Faults faults;
  TariffReader reader(faults);
  rapidjson::Document price;
  price.Parse(json.c_str());
  CHECK_FALSE(reader.read(price, "", "EUR", "v", {}).has_value());
  std::string text;
  for (const auto& fault : faults) text += fault.pointer + ": " + fault.message + "\n";
  return text;
}

PriceBook book_of(const std::string& json, const std::string& factors = "{}") {
  return PriceBook(Catalog(), {{"", "m", tariff_of(json, factors)}}, {});
}

constexpr Sold kM{"p", "f", "m"};

}  // namespace

// ---- worked by hand from each provider's rules ----

TEST_CASE("prices: Anthropic, with cache writes of both lifetimes, tiers and fast mode",
          "[unit][catalog][prices]") {
  // claude-opus-5-5: 4 in, 0.2 read from the cache, 5 and 8 written to it, 20 out, thinking too.
  //   1,000 * 4 = 4,000;  20,000 * 0.2 = 4,000;  3,000 * 5 = 15,000;  2,000 * 8 = 16,000;
  //   300 * 20 = 6,000;  200 * 20 = 4,000;  together 49,000 millionths.
  const Used used{{Meter::kInput, 1000},        {Meter::kCachedInput, 20'000},
                  {Meter::kCacheWrite5m, 3000}, {Meter::kCacheWrite1h, 2000},
                  {Meter::kOutput, 300},        {Meter::kReasoning, 200}};
  CHECK(cost("anthropic", "claude-opus-5-5", used) == "0.049 USD");
  // Batches at half, fast mode at twice the price.
  CHECK(cost("anthropic", "claude-opus-5-5", used, "2026-11-20T12:00:00Z", "standard", true) ==
        "0.0245 USD");
  CHECK(cost("anthropic", "claude-opus-5-5", used, "2026-11-20T12:00:00Z", "fast") == "0.098 USD");
  // 1,000 in are 0.004, or 0.008; the two searches 0.02 either way.
  const Used searched{{Meter::kInput, 1000}, {Meter::kSearch, 2}};
  CHECK(cost("anthropic", "claude-opus-5-5", searched) == "0.024 USD");
  CHECK(cost("anthropic", "claude-opus-5-5", searched, "2026-11-20T12:00:00Z", "fast") ==
        "0.028 USD");
  // That a batch is told of twice makes it no cheaper.
  CHECK(cost("anthropic", "claude-opus-5-5", used, "2026-11-20T12:00:00Z", "batch", true) ==
        "0.0245 USD");
  CHECK(cost("anthropic", "claude-opus-5-5", used, "2026-11-20T12:00:00Z", "batch") ==
        "0.0245 USD");
  // claude-haiku-5-5: 0.1 up to 100,000 tokens of prompt, 0.5 for all of a longer one.
  //   100,000 * 0.1 = 10,000;  100,001 * 0.5 = 50,000.5 millionths.
  CHECK(cost("anthropic", "claude-haiku-5-5", {{Meter::kInput, 100'000}}) == "0.01 USD");
  CHECK(cost("anthropic", "claude-haiku-5-5", {{Meter::kInput, 100'001}}) == "0.0500005 USD");
  // The tier is that of the whole prompt, whatever was cached of it:
  //   60,000 * 0.5 = 30,000;  60,000 * 0.05 = 3,000;  10 * 2.5 = 25 millionths.
  CHECK(cost("anthropic", "claude-haiku-5-5",
             {{Meter::kInput, 60'000}, {Meter::kCachedInput, 60'000}, {Meter::kOutput, 10}}) ==
        "0.033025 USD");
}

TEST_CASE("prices: OpenAI, with long prompts, cache writes and service tiers",
          "[unit][catalog][prices]") {
  // gpt-6.1-sol: 2 in, 0.1 cached, 2.5 written, 10 out; above 272,000 tokens 4, 0.2, 5 and 15.
  //   40,000 * 4 = 160,000;  250,000 * 0.2 = 50,000;  10,000 * 5 = 50,000;
  //   2,000 * 15 = 30,000;  6,000 * 15 = 90,000;  together 380,000 millionths.
  const Used used{{Meter::kInput, 40'000},
                  {Meter::kCachedInput, 250'000},
                  {Meter::kCacheWrite5m, 10'000},
                  {Meter::kOutput, 2000},
                  {Meter::kReasoning, 6000}};
  const char* const when = "2026-11-20T12:00:00Z";
  CHECK(cost("openai", "gpt-6.1-sol", used) == "0.38 USD");
  CHECK(cost("openai", "gpt-6.1-sol", used, when, "default") == "0.38 USD");
  CHECK(cost("openai", "gpt-6.1-sol", used, when, "flex") == "0.19 USD");
  CHECK(cost("openai", "gpt-6.1-sol", used, when, "priority") == "0.76 USD");
  CHECK(cost("openai", "gpt-6.1-sol", used, when, "", true) == "0.19 USD");
  // Capacity that was bought otherwise: nothing is known of its price.
  CHECK(cost("openai", "gpt-6.1-sol", used, when, "scale") == "unknown");
  // 272,000 is not above 272,000:  272,000 * 2 = 544,000;  272,001 * 4 = 1,088,004 millionths.
  CHECK(cost("openai", "gpt-6.1-sol", {{Meter::kInput, 272'000}}) == "0.544 USD");
  CHECK(cost("openai", "gpt-6.1-sol", {{Meter::kInput, 272'001}}) == "1.088004 USD");
  // One cached token of gpt-5.4-mini: 0.075 millionths; with flex 0.0375, which is 37.5 billionths.
  CHECK(cost("openai", "gpt-5.4-mini", {{Meter::kCachedInput, 1}}) == "0.000000075 USD");
  CHECK(cost("openai", "gpt-5.4-mini", {{Meter::kCachedInput, 1}}, when, "flex") ==
        "0.000000038 USD");
  // gpt-5.5-pro gives no discount for cached input:  1,000 * 30 = 30,000 millionths.
  CHECK(cost("openai", "gpt-5.5-pro", {{Meter::kCachedInput, 1000}}) == "0.03 USD");
  // gpt-image-2: 5 in, pictures that were sent too, 30 out; its pictures are not sold by the piece.
  //   50 * 5 = 250;  500 * 5 = 2,500;  4,160 * 30 = 124,800;  together 127,550 millionths.
  CHECK(cost("openai", "gpt-image-2",
             {{Meter::kInput, 50},
              {Meter::kImageIn, 500},
              {Meter::kImageOut, 4160},
              {Meter::kImage, 1}}) == "0.12755 USD");
  // Of a picture whose tokens nobody told, what it cost is not known.
  CHECK(cost("openai", "gpt-image-2", {{Meter::kInput, 50}, {Meter::kImage, 1}}) == "unknown");
}

TEST_CASE("prices: DeepSeek, by the hour in Beijing", "[unit][catalog][prices]") {
  // deepseek-v4-pro: 4.5 in, 0.15 cached, 13.5 out; at peak hours 9, 0.3 and 27, in yuan.
  //   Peak: 56 * 9 = 504;  64 * 0.3 = 19.2;  22 * 27 = 594;  together 1,117.2 millionths.
  const Used used{{Meter::kInput, 56}, {Meter::kCachedInput, 64}, {Meter::kOutput, 22}};
  const auto at_hour = [&](const char* when) {
    return cost("deepseek", "deepseek-v4-pro", used, when);
  };
  const std::string peak = "0.0011172 CNY", off_peak = "0.0005586 CNY";
  // Monday the 16th; Beijing is 8 hours ahead.
  CHECK(at_hour("2026-11-16T00:59:59Z") == off_peak);
  CHECK(at_hour("2026-11-16T01:00:00Z") == peak);
  CHECK(at_hour("2026-11-16T03:59:59Z") == peak);
  CHECK(at_hour("2026-11-16T04:00:00Z") == off_peak);
  CHECK(at_hour("2026-11-16T06:00:00Z") == peak);
  CHECK(at_hour("2026-11-16T10:00:00Z") == off_peak);
  CHECK(at_hour("2026-11-21T02:00:00Z") == off_peak);  // Saturday
  CHECK(at_hour("2026-10-01T02:00:00Z") == off_peak);  // Thursday, National Day
  CHECK(at_hour("2026-10-08T02:00:00Z") == peak);      // Thursday after the holidays
  // deepseek-flash at peak:  56 * 2 = 112;  64 * 0.04 = 2.56;  22 * 8 = 176.
  CHECK(cost("deepseek", "deepseek-flash", used, "2026-11-16T01:00:00Z") == "0.00029056 CNY");
}

TEST_CASE("prices: Gemini, with a price that changes, sound, searches and long prompts",
          "[unit][catalog][prices]") {
  // gemini-4-argon: 2 in and 10 out until the end of November, then 4 and 20; a search 0.014.
  //   100,000 * 2 = 200,000;  1,000 * 10 = 10,000;  500 * 10 = 5,000;  3 searches 42,000.
  const Used used{{Meter::kInput, 100'000},
                  {Meter::kOutput, 1000},
                  {Meter::kReasoning, 500},
                  {Meter::kSearch, 3}};
  CHECK(cost("gemini", "gemini-4-argon", used, "2026-11-30T23:59:59Z") == "0.257 USD");
  //   400,000 + 20,000 + 10,000 + 42,000
  CHECK(cost("gemini", "gemini-4-argon", used, "2026-12-01T00:00:00Z") == "0.472 USD");
  // gemini-2.5-flash:  1,000 * 0.3 = 300;  100,000 tokens of sound * 1 = 100,000.
  CHECK(cost("gemini", "gemini-2.5-flash", {{Meter::kInput, 1000}, {Meter::kAudioIn, 100'000}}) ==
        "0.1003 USD");
  // What sound costs with gemini-4-argon is not known.
  CHECK(cost("gemini", "gemini-4-argon", {{Meter::kInput, 1000}, {Meter::kAudioIn, 1}}) ==
        "unknown");
  // gemini-3-pro-image: 2 in, 12 out, 120 for its pictures.
  //   50 * 2 = 100;  300 * 12 = 3,600;  20 * 12 = 240;  1,120 * 120 = 134,400.
  const Used drawn{{Meter::kInput, 50},
                   {Meter::kReasoning, 300},
                   {Meter::kOutput, 20},
                   {Meter::kImageOut, 1120}};
  CHECK(cost("gemini", "gemini-3-pro-image", drawn) == "0.13834 USD");
  // nano-banana-2.1:  1,000 * 1.5 = 1,500;  1,290 * 30 = 38,700.
  CHECK(cost("gemini", "nano-banana-2.1", {{Meter::kInput, 1000}, {Meter::kImageOut, 1290}}) ==
        "0.0402 USD");
  // gemini-3.1-pro-preview:  200,001 * 4 = 800,004;  100 * 18 = 1,800.
  CHECK(cost("gemini", "gemini-3.1-pro-preview",
             {{Meter::kInput, 200'001}, {Meter::kReasoning, 100}}) == "0.801804 USD");
}

TEST_CASE("prices: Grok, Kimi, Qwen and Bedrock", "[unit][catalog][prices]") {
  // grok-4.7 doubles from 200,000 tokens on:  50,000 * 4 = 200,000;  150,000 * 1 = 150,000;
  //   1,000 * 12 = 12,000.  One token less: 49,999 * 2 = 99,998;  150,000 * 0.5 = 75,000;  6,000.
  CHECK(cost("grok", "grok-4.7",
             {{Meter::kInput, 50'000}, {Meter::kCachedInput, 150'000}, {Meter::kOutput, 1000}}) ==
        "0.362 USD");
  CHECK(cost("grok", "grok-4.7",
             {{Meter::kInput, 49'999}, {Meter::kCachedInput, 150'000}, {Meter::kOutput, 1000}}) ==
        "0.180998 USD");
  // grok-4.3 doubles above it.
  CHECK(cost("grok", "grok-4.3", {{Meter::kInput, 200'000}}) == "0.25 USD");
  CHECK(cost("grok", "grok-4.3", {{Meter::kInput, 200'001}}) == "0.5000025 USD");
  // kimi-k3:  1,000 * 3 = 3,000;  1,000 written for an hour * 6 = 6,000.
  CHECK(cost("moonshot", "kimi-k3", {{Meter::kInput, 1000}, {Meter::kCacheWrite1h, 1000}}) ==
        "0.009 USD");
  // qwen3.7-plus above 256,000 tokens:  256,001 * 2 = 512,002;  10 * 6 = 60.
  CHECK(cost("qwen", "qwen3.7-plus", {{Meter::kInput, 256'001}, {Meter::kOutput, 10}}) ==
        "0.512062 USD");
  // Sound of qwen3-omni-flash:  1,000 * 3.81 = 3,810;  100 * 15.11 = 1,511.
  CHECK(cost("qwen", "qwen3-omni-flash", {{Meter::kAudioIn, 1000}, {Meter::kAudioOut, 100}}) ==
        "0.005321 USD");
  // A tenth more through a profile of one geography:  1,000 * 4.4;  1,000 * 22;  1,000 * 5.5.
  CHECK(cost("bedrock", "us.anthropic.claude-opus-5-5",
             {{Meter::kInput, 1000}, {Meter::kOutput, 1000}, {Meter::kCacheWrite5m, 1000}}) ==
        "0.0319 USD");
  CHECK(cost("kling", "kling-v3", {{Meter::kSecond, 5}}) == "unknown");
  CHECK(cost("openai", "no-such-model", {{Meter::kInput, 1}}) == "unknown");
}

TEST_CASE("prices: MiniMax and Wenxin, by the length of the prompt", "[unit][catalog][prices]") {
  // MiniMax-M3:  12,000 * 0.3 = 3,600;  500,000 * 0.06 = 30,000;  1,000 * 1.2 = 1,200 millionths.
  //   With one token more:  12,001 * 0.6 = 7,200.6;  500,000 * 0.12 = 60,000;  2,400.
  const auto used = [](std::uint64_t input) {
    return Used{{Meter::kInput, input}, {Meter::kCachedInput, 500'000}, {Meter::kOutput, 1000}};
  };
  CHECK(cost("minimax", "MiniMax-M3", used(12'000)) == "0.0348 USD");
  CHECK(cost("minimax", "MiniMax-M3", used(12'001)) == "0.0696006 USD");
  // Half as much more for priority.
  CHECK(cost("minimax", "MiniMax-M3", used(12'000), "2026-11-20T12:00:00Z", "priority") ==
        "0.0522 USD");
  // MiniMax-M2.7:  1,000 * 0.3 = 300;  8,000 written * 0.375 = 3,000;  100 * 1.2 = 120.
  CHECK(cost("minimax", "MiniMax-M2.7",
             {{Meter::kInput, 1000}, {Meter::kCacheWrite5m, 8000}, {Meter::kOutput, 100}}) ==
        "0.00342 USD");
  // ernie-5.1:  32,000 * 4 = 128,000;  100 * 18 = 1,800.  One more:  32,001 * 6;  100 * 22.
  CHECK(cost("wenxin", "ernie-5.1", {{Meter::kInput, 32'000}, {Meter::kOutput, 100}}) ==
        "0.1298 CNY");
  CHECK(cost("wenxin", "ernie-5.1", {{Meter::kInput, 32'001}, {Meter::kOutput, 100}}) ==
        "0.194206 CNY");
}

TEST_CASE("prices: those who sell by what is read, from a cache or not, and what is written",
          "[unit][catalog][prices]") {
  const auto three = [](const char* family, const char* model) {
    return cost(family, model,
                {{Meter::kInput, 10'000}, {Meter::kCachedInput, 2000}, {Meter::kOutput, 300}});
  };
  // glm-5.3:  10,000 * 1.4 = 14,000;  2,000 * 0.26 = 520;  300 * 4.4 = 1,320 millionths.
  CHECK(three("glm", "glm-5.3") == "0.01584 USD");
  // mistral-large-4:  10,000 * 0.7 = 7,000;  2,000 * 0.07 = 140;  300 * 2.1 = 630.
  CHECK(three("mistral", "mistral-large-4") == "0.00777 USD");
  // ministral-8b-latest gives no discount:  12,000 * 0.15 = 1,800;  300 * 0.15 = 45.
  CHECK(three("mistral", "ministral-8b-latest") == "0.001845 USD");
  // step-5-preview:  10,000 * 1 = 10,000;  2,000 * 0.05 = 100;  300 * 2.7 = 810.
  CHECK(three("stepfun", "step-5-preview") == "0.01091 USD");
  // openai/gpt-oss-120b at Groq:  10,000 * 0.15 = 1,500;  2,000 * 0.075 = 150;  300 * 0.6 = 180.
  CHECK(three("groq", "openai/gpt-oss-120b") == "0.00183 USD");
  // And at Together, where what was cached costs as much:  12,000 * 0.15 = 1,800;  180.
  CHECK(three("together", "openai/gpt-oss-120b") == "0.00198 USD");
  // hy3:  12,000 * 0.132 = 1,584;  300 * 0.528 = 158.4.
  CHECK(three("hunyuan", "hy3") == "0.0017424 USD");
  CHECK(three("spark", "lite") == "0 CNY");
  // Cohere:  1,000 * 2.5 = 2,500;  100 * 10 = 1,000.  embed-v4.0 has a price of pictures:
  //   1,000 * 0.12 = 120;  1,000 * 0.47 = 470.  rerank-v5.0-pro:  4,000 * 0.05 = 200.
  CHECK(cost("cohere", "command-a-03-2025", {{Meter::kInput, 1000}, {Meter::kOutput, 100}}) ==
        "0.0035 USD");
  CHECK(cost("cohere", "embed-v4.0", {{Meter::kInput, 1000}, {Meter::kImageIn, 1000}}) ==
        "0.00059 USD");
  CHECK(cost("cohere", "rerank-v5.0-pro", {{Meter::kInput, 4000}}) == "0.0002 USD");
  // voyage-4:  10,000 * 0.06 = 600.
  CHECK(cost("voyage", "voyage-4", {{Meter::kInput, 10'000}}) == "0.0006 USD");
}

// ---- what is unknown ----

TEST_CASE("prices: a meter without a price makes the whole unknown, never zero",
          "[unit][catalog][prices]") {
  const PriceBook book = book_of(R"({"input":"1","output":"2"})");
  const auto rate = [&](const Used& used) {
    return told(book.rate(kM, quantities_of(used), context_of(used)));
  };
  CHECK(rate({{Meter::kInput, 1'000'000}}) == "1 EUR");
  // Billed by another meter's price: the table in price.hpp.
  CHECK(rate({{Meter::kReasoning, 1'000'000}}) == "2 EUR");
  CHECK(rate({{Meter::kCachedInput, 1'000'000}}) == "1 EUR");
  CHECK(rate({{Meter::kCacheWrite5m, 1'000'000}}) == "1 EUR");
  CHECK(rate({{Meter::kCacheWrite1h, 1'000'000}}) == "1 EUR");
  CHECK(rate({{Meter::kImageIn, 1'000'000}}) == "1 EUR");
  CHECK(rate({{Meter::kImageOut, 1'000'000}}) == "2 EUR");
  CHECK(rate({{Meter::kCall, 1}}) == "0 EUR");
  for (const Meter meter : {Meter::kAudioIn, Meter::kCachedAudioIn, Meter::kAudioOut, Meter::kImage,
                            Meter::kSecond, Meter::kCharacter, Meter::kSearch}) {
    CAPTURE(to_string(meter));
    CHECK(rate({{Meter::kInput, 1'000'000}, {meter, 1}}) == "unknown");
  }
  // A list that knows what one lifetime costs does not know the other.
  const PriceBook half = book_of(R"({"input":"1","cache_write_5m":"1.25"})");
  CHECK_FALSE(half.rate(kM, quantities_of({{Meter::kCacheWrite1h, 1}}), context_of({})));
  CHECK_FALSE(half.rate(kM, quantities_of({{Meter::kReasoning, 1}}), context_of({})));
  // Free of charge is known.
  CHECK(told(book_of(R"({"input":"0"})")
                 .rate(kM, quantities_of({{Meter::kInput, 9}}), context_of({}))) == "0 EUR");
}

TEST_CASE("prices: outside its periods a model has no price", "[unit][catalog][prices]") {
  const PriceBook book = book_of(
      R"([{"from":"2026-01-01","to":"2026-02-01","input":"1"},
          {"from":"2026-03-01T12:00:00Z","input":"2"}])");
  const auto at_time = [&](const char* when) {
    const Used used{{Meter::kInput, 1'000'000}};
    return told(book.rate(kM, quantities_of(used), context_of(used, when)));
  };
  CHECK(at_time("2025-12-31T23:59:59Z") == "unknown");
  CHECK(at_time("2026-01-01") == "1 EUR");
  CHECK(at_time("2026-02-01") == "unknown");
  CHECK(at_time("2026-03-01T11:59:59Z") == "unknown");
  CHECK(at_time("2026-03-01T12:00:00Z") == "2 EUR");
}

TEST_CASE("prices: pictures, seconds, searches and calls are told by the piece",
          "[unit][catalog][prices]") {
  const PriceBook book = book_of(
      R"({"image":"0.04","second":"0.35","search":"0.01","call":"0.001","character":"15"})");
  // 3 * 0.04 + 8 * 0.35 + 2 * 0.01 + 0.001 + 1,000 * 15 / 1,000,000 = 2.956
  const Used used{{Meter::kImage, 3}, {Meter::kSecond, 8},       {Meter::kSearch, 2},
                  {Meter::kCall, 1},  {Meter::kCharacter, 1000}, {Meter::kInput, 50}};
  CHECK(told(book.rate(kM, quantities_of(used), context_of(used))) == "2.956 EUR");
}

TEST_CASE("prices: speech is sold by its characters or by the tokens of its sound",
          "[unit][catalog][prices]") {
  const Used spoken{{Meter::kInput, 10}, {Meter::kCharacter, 1000}, {Meter::kAudioOut, 500}};
  const auto cost = [&](const char* price) {
    return told(book_of(price).rate(kM, quantities_of(spoken), context_of(spoken)));
  };
  CHECK(cost(R"({"character":"15"})") == "0.015 EUR");  // 1,000 * 15 / 1,000,000
  CHECK(cost(R"({"input":"0","character":"15"})") == "0.015 EUR");
  CHECK(cost(R"({"input":"0","audio_out":"12"})") == "0.006 EUR");  // 500 * 12 / 1,000,000
  CHECK(cost(R"({"input":"100","audio_out":"12"})") == "0.007 EUR");
  CHECK(cost(R"({"audio_out":"12"})") == "unknown");  // what is read is sold by tokens there

  // A conversation has no characters, so that their price says nothing of its sound.
  const Used talk{{Meter::kInput, 10}, {Meter::kAudioIn, 300}, {Meter::kAudioOut, 500}};
  const PriceBook book = book_of(R"({"input":"1","output":"1","audio_in":"2","character":"15"})");
  CHECK(told(book.rate(kM, quantities_of(talk), context_of(talk))) == "unknown");
  CHECK(told(book_of(R"({"character":"15"})").rate(kM, quantities_of(talk), context_of(talk))) ==
        "unknown");
  CHECK_FALSE(book.worst_case(kM, quantities_of(talk), context_of(talk)));
  CHECK(book.unpriced("m", kM, quantities_of(talk), context_of(talk)) ==
        std::vector<Meter>{Meter::kAudioOut});
}

TEST_CASE("prices: pictures are sold by the piece or by their tokens", "[unit][catalog][prices]") {
  const Used drawn{{Meter::kInput, 1000}, {Meter::kImage, 2}, {Meter::kImageOut, 4000}};
  const auto cost = [&](const char* price) {
    const PriceBook book = book_of(price);
    const auto rated = book.rate(kM, quantities_of(drawn), context_of(drawn));
    const auto bound = book.worst_case(kM, quantities_of(drawn), context_of(drawn));
    CHECK(rated.has_value() == bound.has_value());
    if (rated && bound) CHECK(rated->total <= bound->amount);
    return told(rated);
  };
  CHECK(cost(R"({"image":"0.04"})") == "0.08 EUR");
  CHECK(cost(R"({"image":"0.04","input":"1"})") == "0.081 EUR");
  CHECK(cost(R"({"input":"1","output":"5","image_out":"30"})") == "0.121 EUR");
  CHECK(cost(R"({"input":"1","output":"5"})") == "0.021 EUR");
  CHECK(cost(R"({"input":"1","image":"0.04","image_out":"30"})") ==
        "0.201 EUR");  // both, as it says
  CHECK(cost(R"({"input":"1"})") == "unknown");
  CHECK(cost(R"({"second":"1"})") == "unknown");  // there are none to pay for
}

TEST_CASE("prices: a list that sells calls alone has the tokens in them",
          "[unit][catalog][prices]") {
  const Used asked{{Meter::kInput, 1000}, {Meter::kOutput, 500}, {Meter::kCall, 1}};
  const auto cost = [&](const char* price) {
    return told(book_of(price).rate(kM, quantities_of(asked), context_of(asked)));
  };
  CHECK(cost(R"({"call":"0.01"})") == "0.01 EUR");
  CHECK(cost(R"({"call":"0.01","input":"1"})") == "unknown");  // nothing is known of the answer
  CHECK(cost(R"({"search":"0.01"})") == "unknown");
}

// ---- whose price ----

TEST_CASE("prices: the operator's price goes before the list, and its own provider's before any",
          "[unit][catalog][prices]") {
  const Scratch scratch;
  scratch.write("f.json", R"({"family":"f","models":[{"name":"m","price":{"input":"1"}}]})");
  const auto catalog = Catalog::load(scratch.path());
  REQUIRE(catalog);
  const PriceBook book(*catalog,
                       {{"", "m", tariff_of(R"({"input":"2"})", "{}", "buy#1")},
                        {"eu", "m", tariff_of(R"({"input":"3"})", "{}", "buy#1")}},
                       {{"", "fast", tariff_of(R"({"input":"9"})", "{}", "retail#4")}});
  const PriceBook bare(*catalog, {}, {});
  const Used used{{Meter::kInput, 1'000'000}};
  const auto quantities = quantities_of(used);
  const auto context = context_of(used);
  CHECK(told(bare.rate({"eu", "f", "m"}, quantities, context)) == "1 USD");
  CHECK(told(book.rate({"us", "f", "m"}, quantities, context)) == "2 EUR");
  CHECK(told(book.rate({"eu", "f", "m"}, quantities, context)) == "3 EUR");

  // Sale: by the name that was asked for; else the purchase price and the account's markup.
  const auto sold = book.rate_sale("fast", {"eu", "f", "m"}, 200'000, quantities, context);
  CHECK(told(sold) == "9 EUR");
  CHECK(sold->version == "retail#4");
  const auto raised = book.rate_sale("m", {"eu", "f", "m"}, 200'000, quantities, context);
  CHECK(told(raised) == "3.6 EUR");
  CHECK(raised->version == "buy#1*1.2");
  CHECK(told(bare.rate_sale("m", {"x", "f", "m"}, -250'000, quantities, context)) == "0.75 USD");
  CHECK(bare.rate({"x", "f", "m"}, quantities, context)->version.starts_with("catalog/f@"));
  CHECK_FALSE(bare.rate_sale("m", {"x", "other", "m"}, 0, quantities, context));
}

// ---- windows ----

TEST_CASE("prices: a window over midnight belongs to the day on which it began",
          "[unit][catalog][prices]") {
  const auto tariff = tariff_of(
      R"({"input":"2","windows":[{"zone":"Europe/Berlin","weekdays":["fri"],"hours":"22:00-06:00",
          "except":"DE","input":"1"}]})");
  const auto cheap = [&](const char* when) {
    return tariff->at(utc_ns(when)) != &tariff->periods.front().tiers;
  };
  // Friday the 20th of November; Berlin is an hour ahead.
  CHECK_FALSE(cheap("2026-11-20T20:59:59Z"));
  CHECK(cheap("2026-11-20T21:00:00Z"));
  CHECK(cheap("2026-11-21T04:59:59Z"));
  CHECK_FALSE(cheap("2026-11-21T05:00:00Z"));
  CHECK_FALSE(cheap("2026-11-21T22:00:00Z"));  // Saturday
  CHECK_FALSE(cheap("2026-11-20T00:00:00Z"));  // the small hours of Friday are Thursday's
  // Christmas is a Friday: neither its evening nor what follows.
  CHECK_FALSE(cheap("2026-12-25T22:00:00Z"));
  CHECK_FALSE(cheap("2026-12-26T03:00:00Z"));
}

TEST_CASE("prices: a window follows the clock on the wall when that changes",
          "[unit][catalog][prices]") {
  const auto tariff = tariff_of(
      R"({"input":"2","windows":[{"zone":"Europe/Berlin","hours":"01:00-04:00","input":"1"}]})");
  const auto minutes = [&](const char* from) {
    int count = 0;
    for (std::uint64_t at = utc_ns(from), end = at + 86'400'000'000'000u; at < end;
         at += 60'000'000'000u) {
      count += tariff->at(at) != &tariff->periods.front().tiers ? 1 : 0;
    }
    return count;
  };
  CHECK(minutes("2026-03-27T12:00:00Z") == 180);
  CHECK(minutes("2026-03-28T12:00:00Z") == 120);  // an hour of the night is skipped
  CHECK(minutes("2026-10-24T12:00:00Z") == 240);  // and one comes twice
}

// ---- properties ----

TEST_CASE("prices: whatever is used, the lines make the sum and each is rounded once",
          "[unit][catalog][prices]") {
  std::mt19937_64 random(20261121);
  for (int round = 0; round < 500; ++round) {
    std::string json = "{", comma;
    for (std::size_t i = 0; i < kMeters; ++i) {
      const Nano price = static_cast<Nano>(random() % (std::uint64_t{1} << (random() % 38)));
      json += comma + "\"" + std::string(to_string(static_cast<Meter>(i))) + "\":\"" +
              format_nano(price) + "\"";
      comma = ",";
    }
    const PriceBook book = book_of(json + "}");
    Quantities quantities{};
    for (auto& each : quantities) each = random() % (std::uint64_t{1} << (random() % 24));
    const auto markup = static_cast<std::int64_t>(random() % 2'000'001) - 1'000'000;
    const auto rated = book.rate_sale("x", kM, markup, quantities, context_of({}));
    REQUIRE(rated);
    Nano sum = 0;
    for (const Line& line : rated->lines) {
      sum += line.amount;
      const auto exact = static_cast<long double>(line.quantity) *
                         static_cast<long double>(line.per_million) / 1e6L;
      CHECK(std::abs(static_cast<long double>(line.amount) - exact) <= 0.500001L);
      CHECK(line.quantity == at(quantities, line.meter));
    }
    CHECK(sum == rated->total);
  }
}

TEST_CASE("prices: what is too large for an amount is unknown, and its bound the largest",
          "[unit][catalog][prices]") {
  const std::uint64_t most = std::uint64_t{1} << 53;
  // 2^53 * 0.1 / 1,000,000 = 900,719,925.4740992
  const Quantities quantities = quantities_of({{Meter::kInput, most}});
  CHECK(told(book_of(R"({"input":"0.1"})").rate(kM, quantities, context_of({}))) ==
        "900719925.4740992 EUR");
  const PriceBook dear = book_of(R"({"input":"9223372036.854775807","output":"1"})");
  CHECK_FALSE(dear.rate(kM, quantities, context_of({})));
  CHECK_FALSE(dear.rate_sale("x", kM, INT64_MAX / 2, quantities, context_of({})));
  CHECK(dear.worst_case(kM, quantities, context_of({}))->amount == INT64_MAX);
  // Two lines that fit, and whose sum does not.
  const PriceBook two = book_of(R"({"input":"1000","output":"1000"})");
  const std::uint64_t large = 5'000'000'000'000u;
  const Quantities both = quantities_of({{Meter::kInput, large}, {Meter::kOutput, large}});
  CHECK_FALSE(two.rate(kM, both, context_of({})));
  CHECK(two.worst_case(kM, both, context_of({}))->amount == INT64_MAX);
}

TEST_CASE("prices: a bound holds for every way in which its tokens may turn out",
          "[unit][catalog][prices]") {
  std::mt19937_64 random(7);
  const std::pair<const char*, const char*> models[] = {{"anthropic", "claude-opus-5-5"},
                                                        {"anthropic", "claude-haiku-5-5"},
                                                        {"gemini", "gemini-3-pro-image"}};
  for (int round = 0; round < 2000; ++round) {
    const auto [family, model] = models[round % 3];
    const Sold sold{"p", family, model};
    const std::uint64_t in = random() % 200'000, out = random() % 10'000;
    PriceContext context;
    context.unix_ns = utc_ns("2026-11-20");
    context.prompt_tokens = in;
    const auto bound = shipped().worst_sale(
        "x", sold, 123'456, quantities_of({{Meter::kInput, in}, {Meter::kOutput, out}}), context);
    REQUIRE(bound);
    Quantities used{};
    std::uint64_t left = random() % (in + 1);
    context.prompt_tokens = left;
    for (const Meter meter :
         {Meter::kCachedInput, Meter::kCacheWrite5m, Meter::kCacheWrite1h, Meter::kImageIn}) {
      const std::uint64_t part = random() % (left + 1);
      at(used, meter) = part;
      left -= part;
    }
    at(used, Meter::kInput) = left;
    at(used, Meter::kReasoning) = random() % (out + 1);
    at(used, Meter::kImageOut) = random() % (out - at(used, Meter::kReasoning) + 1);
    at(used, Meter::kOutput) = out - at(used, Meter::kReasoning) - at(used, Meter::kImageOut);
    const auto rated = shipped().rate_sale("x", sold, 123'456, used, context);
    REQUIRE(rated);
    CHECK(rated->total <= bound->amount);
  }
  CHECK_FALSE(shipped().worst_case({"p", "kling", "kling-v3"}, quantities_of({{Meter::kSecond, 5}}),
                                   context_of({})));
}

// ---- faults ----

TEST_CASE("prices: every fault of a price is told with its pointer", "[unit][catalog][prices]") {
  CHECK(faults_of("7") == ": not an object, nor an array of some\n");
  CHECK(faults_of(R"({"input":2,"outptu":"1","image":"99999999"})") ==
        "/outptu: unknown key; did you mean \"output\"?\n"
        "/input: expected a decimal in quotes such as \"2.5\", with at most 9 decimals\n"
        "/image: too large\n");
  CHECK(faults_of(R"({"input":"1","output":"2","tiers":[{"above":5,"input":"2"},
          {"above":5,"input":"2","output":"3"}]})") ==
        "/tiers/0/output: missing; tell each price again that the base has\n"
        "/tiers/1/above: expected a whole number of tokens, more than that of the tier before\n");
  CHECK(faults_of(R"({"input":"1","windows":[{"zone":"Nowhere/Land","hours":"9-12",
          "weekdays":["monday"],"except":"CN","input":"2"}]})") ==
        "/windows/0/zone: time zone Nowhere/Land: there is no such zone in /usr/share/zoneinfo\n"
        "/windows/0/hours: expected hours such as \"09:00-12:00\" or \"22:00-06:00\"\n"
        "/windows/0/weekdays: expected an array of mon, tue, wed, thu, fri, sat, sun\n"
        "/windows/0/except: \"holidays\" of this file has no list of this name\n");
  CHECK(faults_of(R"([{"to":"2026-02-30","input":"1"},{"from":"2026-01-01","input":"1"}])") ==
        "/0/to: expected a day or a time in UTC: \"2026-12-01\" or \"2026-12-01T08:00:00Z\"\n"
        "/1/from: before the end of the period before it\n");
  CHECK(faults_of(R"({"from":"2026-02-01","to":"2026-02-01","input":"1"})") ==
        "/to: not after \"from\"\n");
}
