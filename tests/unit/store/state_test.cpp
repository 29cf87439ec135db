#include <sys/stat.h>
#include <unistd.h>

#include "../scratch.hpp"
#include "core/store/store.hpp"

using namespace switchyard;
namespace fs = std::filesystem;

namespace {

std::string fault_of(const fs::path& directory) {
  const auto state = store::open_state(directory);
  return state ? "" : state.error().message;
}

unsigned mode_of(const fs::path& path) {
  struct stat facts{};
  REQUIRE(stat(path.c_str(), &facts) == 0);
  return facts.st_mode & 0777;
}

}  // namespace

TEST_CASE("state: what is missing is made, private, and stays", "[unit][store]") {
  const Scratch scratch;
  const fs::path directory = scratch.path() / "a" / "b" / "switchyard";
  const auto first = store::open_state(directory);
  if (!first) FAIL(first.error().message);
  CHECK(first->fresh);
  CHECK(first->directory == directory);
  CHECK(first->pepper.size() == 32);
  CHECK(first->admin_token.size() == 43);
  CHECK(mode_of(directory) == 0700);
  CHECK(mode_of(directory / "pepper") == 0600);
  CHECK(mode_of(directory / "admin.token") == 0600);

  const auto again = store::open_state(directory);
  REQUIRE(again);
  CHECK_FALSE(again->fresh);
  CHECK(again->pepper == first->pepper);
  CHECK(again->admin_token == first->admin_token);
  // No draft is left.
  CHECK(std::distance(fs::directory_iterator(directory), fs::directory_iterator()) == 2);

  const auto elsewhere = store::open_state(scratch.path() / "other");
  REQUIRE(elsewhere);
  CHECK(elsewhere->pepper != first->pepper);
  CHECK(elsewhere->admin_token != first->admin_token);
}

TEST_CASE("state: a directory that others may enter is refused", "[unit][store]") {
  const Scratch scratch;
  const fs::path directory = scratch.path() / "state";
  REQUIRE(store::open_state(directory));
  for (const mode_t mode : {0710, 0701, 0750, 0755, 0777, 0720}) {
    CAPTURE(mode);
    REQUIRE(chmod(directory.c_str(), mode) == 0);
    CHECK(fault_of(directory) ==
          directory.string() + ": open to other users; run: chmod 700 " + directory.string());
  }
  REQUIRE(chmod(directory.c_str(), 0700) == 0);
  CHECK(fault_of(directory).empty());
}

TEST_CASE("state: secrets that others may read, or of a wrong size, are refused", "[unit][store]") {
  const Scratch scratch;
  const fs::path directory = scratch.path() / "state";
  REQUIRE(store::open_state(directory));
  REQUIRE(chmod((directory / "pepper").c_str(), 0640) == 0);
  CHECK(fault_of(directory) == (directory / "pepper").string() +
                                   ": open to other users; run: chmod 600 " +
                                   (directory / "pepper").string());
  REQUIRE(chmod((directory / "pepper").c_str(), 0600) == 0);
  fs::resize_file(directory / "pepper", 31);
  CHECK(fault_of(directory).find("has 31 bytes, expected 32") != std::string::npos);
  fs::resize_file(directory / "pepper", 32);
  fs::resize_file(directory / "admin.token", 5);
  CHECK(fault_of(directory).find("shorter than 32 characters") != std::string::npos);
}

TEST_CASE("state: what is no directory of ours is refused", "[unit][store]") {
  const Scratch scratch;
  const fs::path file = scratch.write("file", "");
  CHECK(fault_of(file) == file.string() + ": open: Not a directory");
  CHECK(fault_of(file / "below").find(file.string()) == 0);
  CHECK(fault_of("") == "the state directory has no name");
  if (geteuid() == 0) {
    const fs::path foreign = scratch.path() / "foreign";
    fs::create_directory(foreign);
    REQUIRE(chmod(foreign.c_str(), 0700) == 0);
    REQUIRE(chown(foreign.c_str(), 12345, 12345) == 0);
    CHECK(fault_of(foreign) == foreign.string() + ": belongs to user 12345, and this is user 0");
  }
}

TEST_CASE("state: a pepper that is a link is not followed", "[unit][store]") {
  const Scratch scratch;
  const fs::path directory = scratch.path() / "state";
  fs::create_directory(directory);
  REQUIRE(chmod(directory.c_str(), 0700) == 0);
  const fs::path elsewhere = scratch.write("elsewhere", std::string(32, 'x'));
  REQUIRE(chmod(elsewhere.c_str(), 0600) == 0);
  fs::create_symlink(elsewhere, directory / "pepper");
  CHECK_FALSE(fault_of(directory).empty());
}
