#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <switchyard/json.hpp>

#include "loggers/jsonl/file.hpp"
#include "loggers/jsonl/translate.hpp"

namespace fs = std::filesystem;
namespace json = swy::json;

namespace {

std::string line_of(const swy_rec& record) {
  std::string line;
  jsonl::append_line(line, record);
  REQUIRE(line.back() == '\n');
  line.pop_back();
  REQUIRE(line.find('\n') == std::string::npos);
  return line;
}

std::string text(const std::string& line, const char* name) {
  return json::to_text(json::find(line, name)).value_or("(none)");
}

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

struct Folder {
  Folder() {
    std::string name = (fs::temp_directory_path() / "jsonl-test-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
};

constexpr std::uint64_t kHour = 3600, kDay = 24 * kHour;
constexpr std::uint64_t kNoon = 20'000 * kDay + 12 * kHour;  // in 2024

jsonl::LogFile open(jsonl::FileOptions options) {
  auto file = jsonl::LogFile::open(std::move(options));
  REQUIRE(file);
  return *std::move(file);
}
jsonl::LogFile open(const fs::path& path, std::uint64_t rotate_bytes = 0, unsigned keep = 2) {
  return open({path.string(), rotate_bytes, keep});
}

void append(jsonl::LogFile& file, std::string_view lines, std::uint64_t now_s = kNoon) {
  std::size_t written = 0;
  REQUIRE(file.append(lines, written, now_s * 1'000'000'000));
  REQUIRE(written == lines.size());
}

void set_time(const fs::path& path, std::uint64_t seconds) {
  const timespec time{static_cast<std::time_t>(seconds), 0};
  const timespec both[] = {time, time};
  REQUIRE(utimensat(AT_FDCWD, path.c_str(), both, 0) == 0);
}

}  // namespace

TEST_CASE("jsonl: a record is one line with the names of OpenTelemetry", "[unit][jsonl]") {
  const swy_kv fact{swy::str("region"), swy::str("eu\n\"1\"")};
  swy_rec record{};
  record.size = sizeof record;
  record.flags = SWY_REC_STREAM | SWY_REC_COST_KNOWN | SWY_REC_USAGE_ESTIMATED;
  record.status = 200;
  record.attempts = 2;
  record.start_unix_ns = 1'795'176'000'123'456'789;
  record.dur_ns = 1'234'567'890;
  record.ttft_ns = 5'000'999;
  record.tok_in = 7;
  record.tok_out = 8;
  record.tok_cached = 3;
  record.cost_nano = -12;
  record.cost_currency = swy::str("USD");
  record.task = swy::str("completions");
  record.provider = swy::str("openai-eu");
  record.provider_name = swy::str("openai");
  record.parent_span = swy::str("00f067aa0ba902b7");
  record.model_asked = swy::str("fast");
  record.model_used = swy::str("gpt-x");
  record.finish_reason = swy::str("stop");
  record.error_text = swy::str("a\r\nb\x01\xff");
  record.kv = &fact;
  record.nkv = 1;

  const std::string line = line_of(record);
  REQUIRE(text(line, "timestamp") == "2026-11-20T12:00:00.123456Z");
  REQUIRE(text(line, "gen_ai.operation.name") == "text_completion");
  REQUIRE(text(line, "gen_ai.provider.name") == "openai");
  REQUIRE(text(line, "switchyard.provider") == "openai-eu");
  REQUIRE(text(line, "parent_span_id") == "00f067aa0ba902b7");
  REQUIRE(text(line, "gen_ai.request.model") == "fast");
  REQUIRE(text(line, "gen_ai.response.model") == "gpt-x");
  REQUIRE(json::find(line, "gen_ai.response.finish_reasons") == R"(["stop"])");
  REQUIRE(json::find(line, "gen_ai.usage.input_tokens") == "7");
  REQUIRE(json::find(line, "gen_ai.usage.output_tokens") == "8");
  REQUIRE(json::find(line, "switchyard.usage.estimated") == "true");
  REQUIRE(json::find(line, "switchyard.duration_ms") == "1234.567");
  REQUIRE(json::find(line, "switchyard.time_to_first_token_ms") == "5.000");
  REQUIRE(json::find(line, "switchyard.cost_nano") == "-12");
  REQUIRE(text(line, "switchyard.error_text") == "a\r\nb\x01\xEF\xBF\xBD");
  REQUIRE(json::find(line, "switchyard.facts") == R"({"region":"eu\n\"1\""})");
}

TEST_CASE("jsonl: what is not known is not claimed", "[unit][jsonl]") {
  swy_rec record{};
  record.size = sizeof record;
  record.status = 401;
  const std::string line = line_of(record);
  for (const char* name :
       {"gen_ai.response.model", "switchyard.cost_nano", "error.type", "switchyard.stream",
        "switchyard.time_to_first_token_ms", "gen_ai.response.finish_reasons"}) {
    CAPTURE(name);
    REQUIRE(json::find(line, name).empty());
  }
  REQUIRE(json::find(line, "http.response.status_code") == "401");
}

TEST_CASE("jsonl: lines are appended, for the owner's eyes only", "[unit][jsonl]") {
  const Folder folder;
  const fs::path path = folder.path / "log";
  {
    jsonl::LogFile file = open(path);
    append(file, "a\nb\n");
  }
  jsonl::LogFile file = open(path);
  append(file, "c\n");
  REQUIRE(file.sync());
  REQUIRE(read(path) == "a\nb\nc\n");
  REQUIRE((fs::status(path).permissions() & fs::perms::all) ==
          (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("jsonl: a file that was moved or deleted is made anew", "[unit][jsonl]") {
  const Folder folder;
  const fs::path path = folder.path / "log";
  jsonl::LogFile file = open(path);
  append(file, "a\n");
  fs::rename(path, folder.path / "away");
  append(file, "b\n");
  REQUIRE(read(folder.path / "away") == "a\n");
  REQUIRE(read(path) == "b\n");
  fs::remove(path);
  append(file, "c\n");
  REQUIRE(read(path) == "c\n");
}

TEST_CASE("jsonl: files rotate by size and only the youngest are kept", "[unit][jsonl]") {
  const Folder folder;
  const fs::path path = folder.path / "log";
  jsonl::LogFile file = open(path, 4);
  for (const char* line : {"1\n", "2\n", "3\n", "4\n", "5\n", "6\n", "7\n", "long line\n", "9\n"})
    append(file, line);
  REQUIRE(read(path) == "9\n");
  REQUIRE(read(path.string() + ".1") == "long line\n");
  REQUIRE(read(path.string() + ".2") == "7\n");
  REQUIRE_FALSE(fs::exists(path.string() + ".3"));
}

TEST_CASE("jsonl: two writers of one file rotate it without losing a line", "[unit][jsonl]") {
  const Folder folder;
  const fs::path path = folder.path / "log";
  jsonl::LogFile first = open(path, 8, 9), second = open(path, 8, 9);
  for (int i = 0; i < 8; ++i) append(i % 2 == 0 ? first : second, std::to_string(i) + "x\n");
  std::string all;
  for (int n = 9; n > 0; --n) all += read(path.string() + "." + std::to_string(n));
  REQUIRE(all + read(path) == "0x\n1x\n2x\n3x\n4x\n5x\n6x\n7x\n");
}

TEST_CASE("jsonl: a path that can't be opened is named with the reason", "[unit][jsonl]") {
  const Folder folder;
  const auto file = jsonl::LogFile::open({(folder.path / "no" / "log").string(), 0, 1});
  REQUIRE_FALSE(file);
  REQUIRE(file.error().message.find("no/log: can't be opened: No such file or directory") !=
          std::string::npos);

  jsonl::LogFile moved = open(folder.path / "log");
  fs::remove_all(folder.path);
  std::size_t written = 1;
  REQUIRE_FALSE(moved.append("a\n", written, 0));
  REQUIRE(written == 0);
}

TEST_CASE("jsonl: a full disk is told, nothing counts as written", "[unit][jsonl]") {
  if (!fs::exists("/dev/full")) return;
  jsonl::LogFile full = open("/dev/full");
  std::size_t written = 1;
  const auto appended = full.append("a\n", written, 0);
  REQUIRE_FALSE(appended);
  REQUIRE(written == 0);
  REQUIRE(appended.error().message.find("No space left") != std::string::npos);
}

TEST_CASE("jsonl: files rotate where a period of UTC ends", "[unit][jsonl]") {
  const Folder folder;
  const fs::path path = folder.path / "log";
  jsonl::LogFile file = open({path.string(), 0, 3, kDay});
  append(file, "noon\n");
  append(file, "evening\n", kNoon + 12 * kHour - 1);
  REQUIRE_FALSE(fs::exists(path.string() + ".1"));
  append(file, "midnight\n", kNoon + 12 * kHour);
  append(file, "morning\n", kNoon + 20 * kHour);
  REQUIRE(read(path) == "midnight\nmorning\n");
  REQUIRE(read(path.string() + ".1") == "noon\nevening\n");
  // Days without a line make no empty files.
  append(file, "later\n", kNoon + 9 * kDay);
  REQUIRE(read(path) == "later\n");
  REQUIRE(read(path.string() + ".1") == "midnight\nmorning\n");
  REQUIRE_FALSE(fs::exists(path.string() + ".3"));
}

TEST_CASE("jsonl: a period that ended while nobody wrote is noticed", "[unit][jsonl]") {
  const Folder folder;
  const fs::path path = folder.path / "log";
  {
    jsonl::LogFile file = open(path);
    append(file, "old\n");
  }
  set_time(path, kNoon - 30 * 60);
  jsonl::LogFile file = open({path.string(), 0, 2, kHour});
  append(file, "new\n");
  REQUIRE(read(path) == "new\n");
  REQUIRE(read(path.string() + ".1") == "old\n");
}

TEST_CASE("jsonl: old files go by their age", "[unit][jsonl]") {
  const Folder folder;
  const fs::path path = folder.path / "log";
  const auto old = [&](int n) { return path.string() + "." + std::to_string(n); };
  for (int n = 1; n <= 3; ++n) {
    std::ofstream(old(n)) << n;
    set_time(old(n), kNoon - static_cast<std::uint64_t>(n) * kDay);
  }
  jsonl::LogFile file = open({path.string(), 0, 9, 0, 2 * kDay + kHour});
  append(file, "a\n");
  REQUIRE(fs::exists(old(2)));
  REQUIRE_FALSE(fs::exists(old(3)));
  // Again an hour later, and not with every batch.
  append(file, "b\n", kNoon + kHour - 1);
  REQUIRE(fs::exists(old(2)));
  append(file, "b\n", kNoon + 2 * kHour);
  REQUIRE_FALSE(fs::exists(old(2)));
  REQUIRE(fs::exists(old(1)));
}

TEST_CASE("jsonl: where a rotation fails lines go on into the old file", "[unit][jsonl]") {
  const Folder folder;
  const fs::path path = folder.path / "log";
  jsonl::LogFile file = open(path, 4, 1);
  append(file, "1\n");
  // Nothing can be renamed to the name of a folder that has something in it.
  fs::create_directories(folder.path / "log.1" / "in the way");
  append(file, "2\n");
  append(file, "3\n");
  REQUIRE(read(path) == "1\n2\n3\n");
  REQUIRE(file.trouble().find("log: can't be rotated: ") != std::string::npos);
  fs::remove_all(folder.path / "log.1");
  append(file, "4\n");
  REQUIRE(file.trouble().empty());
  REQUIRE(read(path) == "4\n");
  REQUIRE(read(path.string() + ".1") == "1\n2\n3\n");
}

TEST_CASE("jsonl: what a failing shift would overwrite stays", "[unit][jsonl]") {
  const Folder folder;
  const fs::path path = folder.path / "log";
  jsonl::LogFile file = open(path, 2);
  append(file, "1\n");
  append(file, "2\n");
  fs::create_directories(folder.path / "log.2" / "in the way");
  append(file, "3\n");
  REQUIRE(read(path) == "2\n3\n");
  REQUIRE(read(path.string() + ".1") == "1\n");
}
