#include "core/cli/plugin_new.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

namespace switchyard::cli {
namespace {

namespace fs = std::filesystem;

struct Work {
  Work() {
    std::string name = (fs::temp_directory_path() / "swy_new.XXXXXX").string();
    root = ::mkdtemp(name.data());
  }
  ~Work() { fs::remove_all(root); }
  fs::path root;
};

struct Ran {
  int status;
  std::string out, err;
};

Ran run(const std::vector<std::string>& words) {
  std::ostringstream out, err;
  const int status = run_plugin_new(words, out, err);
  return {status, out.str(), err.str()};
}

std::string read_file(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("cli: plugin new refuses what would not become a plugin", "[cli]") {
  const Work work;
  const auto refused = [&](const char* kind, const char* name, const char* because) {
    const Ran ran = run({kind, name, (work.root / "p").string()});
    CAPTURE(kind, name, ran.err);
    CHECK(ran.status == 2);
    CHECK(ran.err.find(because) != std::string::npos);
    CHECK_FALSE(fs::exists(work.root / "p"));
  };
  refused("providr", "acme", "did you mean");
  refused("provider", "Acme", "expected a small letter");
  refused("provider", "../acme", "expected a small letter");
  refused("provider", "", "expected a small letter");
  CHECK(run({"provider"}).status == 2);
}

TEST_CASE("cli: plugin new touches nothing that is there", "[cli]") {
  const Work work;
  const Ran ran = run({"logger", "acme", work.root.string()});
  CHECK(ran.status == 1);
  CHECK(ran.err.find("is there already") != std::string::npos);
  CHECK(fs::is_empty(work.root));
}

TEST_CASE("cli: plugin new gives the project its name, as a namespace where one is needed",
          "[cli]") {
  const Work work;
  const fs::path project = work.root / "p";
  const Ran ran = run({"strategy", "night-rate", project.string()});
  REQUIRE(ran.status == 0);
  const std::string code = read_file(project / "night-rate.cpp");
  CHECK(code.find("example.night-rate") != std::string::npos);
  CHECK(code.find("swy::strategy<night_rate::Strategy>(\"night-rate\"") != std::string::npos);
  CHECK(read_file(project / "night-rate.hpp").find("namespace night_rate {") != std::string::npos);
  CHECK(read_file(project / "CMakeLists.txt").find("NAME night-rate SOURCES night-rate.cpp") !=
        std::string::npos);
  for (const auto& file : fs::directory_iterator(project)) {
    CAPTURE(file.path());
    CHECK(read_file(file.path()).find("mine") == std::string::npos);
  }
}

}  // namespace switchyard::cli
