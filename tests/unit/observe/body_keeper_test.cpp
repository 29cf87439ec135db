#include "core/observe/body_keeper.hpp"

#include "../scratch.hpp"
#include "core/base/clock.hpp"

using namespace switchyard;
using namespace switchyard::observe;

namespace {

const Secret kSecret(std::string(32, 'p'));

store::BodyRow row(const std::string& record, const std::string& key, std::size_t size = 8) {
  return {record, key, std::string(size, 'q'), "a", unix_ns() / 1'000'000'000u, false};
}

std::unique_ptr<BodyKeeper> keeper(const std::filesystem::path& file, BodyKeeper::HasKey has_key) {
  return std::make_unique<BodyKeeper>(file, kSecret, std::move(has_key), store::BodyLimits());
}

}  // namespace

TEST_CASE("observe: bodies are written before their keeper ends", "[unit][observe][bodies]") {
  const Scratch scratch;
  const auto file = store::bodies_file(scratch.path());
  const auto has_key = [](const std::string&) -> Result<bool> { return true; };
  {
    const auto first = keeper(file, has_key);
    CHECK_FALSE(*first->find("r1", "k1"));
    CHECK_FALSE(std::filesystem::exists(file));
    first->put(row("r1", "k1"));
  }
  const auto second = keeper(file, has_key);
  CHECK((*second->find("r1", "k1"))->request == "qqqqqqqq");
}

TEST_CASE("observe: what a key that is gone had kept goes as well", "[unit][observe][bodies]") {
  const Scratch scratch;
  const auto file = store::bodies_file(scratch.path());
  keeper(file, [](const std::string&) -> Result<bool> { return true; })->put(row("r1", "gone"));
  // A keeper looks first of all.
  keeper(file, [](const std::string&) -> Result<bool> { return false; });
  const auto bodies = store::Bodies::open(file, kSecret);
  CHECK((*bodies)->keys()->empty());
}

TEST_CASE("observe: bodies that a disk can't take in time are dropped and counted",
          "[unit][observe][bodies]") {
  const Scratch scratch;
  // No file can be made there.
  const auto file = store::bodies_file(scratch.path() / "missing");
  const auto full = keeper(file, [](const std::string&) -> Result<bool> { return true; });
  full->put(row("big", "k1", BodyKeeper::kWaitingMax + 1));
  CHECK(full->dropped() == 1);
}
