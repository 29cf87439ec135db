#include "core/config/history.hpp"

#include <sys/stat.h>

#include "../scratch.hpp"
#include "core/config/json_text.hpp"

using namespace switchyard;
using namespace switchyard::config;
namespace fs = std::filesystem;

namespace {

std::ptrdiff_t files_in(const fs::path& directory) {
  return std::distance(fs::directory_iterator(directory), fs::directory_iterator());
}

}  // namespace

TEST_CASE_METHOD(Scratch, "config: the history tells the newest first, each once",
                 "[unit][config]") {
  const History history(path() / "config");
  CHECK(history.list()->empty());
  CHECK_FALSE(history.text("1"));
  for (const char* text : {"a", "a", "b", "a"}) REQUIRE(history.add(text, 1'900'000'000));
  const auto entries = *history.list();
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].id == "3");
  CHECK(entries[0].at == "2030-03-17T17:46:40Z");
  CHECK(entries[0].bytes == 1);
  CHECK(*history.text("3") == "a");
  CHECK(*history.text("2") == "b");
  for (const char* id : {"", "4", "02", "../1", "x"}) CHECK_FALSE(history.text(id));

  struct stat facts{};
  REQUIRE(stat((path() / "config").c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0700);
}

TEST_CASE_METHOD(Scratch, "config: the history forgets its oldest", "[unit][config]") {
  const History history(path() / "config");
  for (std::size_t i = 0; i < History::kEntriesMax + 3; ++i) {
    REQUIRE(history.add(std::to_string(i), 1'900'000'000));
  }
  const auto entries = *history.list();
  CHECK(entries.size() == History::kEntriesMax);
  CHECK(entries.back().id == "4");
}

TEST_CASE_METHOD(Scratch, "config: what is no entry in the history's directory is left alone",
                 "[unit][config]") {
  const History history(path());
  write("README", "mine");
  write("x_20300317T174640Z.json", "mine");
  REQUIRE(history.add("a", 1'900'000'000));
  CHECK(history.list()->size() == 1);
  CHECK(files_in(path()) == 3);
}

TEST_CASE_METHOD(Scratch, "config: a file is replaced whole, keeps its mode, and leaves no draft",
                 "[unit][config]") {
  const fs::path file = write("switchyard.json", "old");
  REQUIRE(chmod(file.c_str(), 0640) == 0);
  fs::create_symlink(file, path() / "link.json");
  REQUIRE(replace_file(path() / "link.json", "new"));
  CHECK(*read_file(file) == "new");
  CHECK(fs::is_symlink(path() / "link.json"));
  struct stat facts{};
  REQUIRE(stat(file.c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0640);
  CHECK(files_in(path()) == 2);
  CHECK_FALSE(replace_file(path() / "none.json", "new"));
  CHECK(files_in(path()) == 2);
}
