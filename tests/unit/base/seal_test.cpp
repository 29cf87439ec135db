#include "core/base/seal.hpp"

using namespace switchyard;

namespace {

const Secret kSecret(std::string(32, 'p'));

Sealer sealer(std::string_view purpose = "one") { return *Sealer::make(kSecret, purpose); }

}  // namespace

TEST_CASE("base: what was sealed is opened by the same key and about the same thing alone",
          "[unit][base][seal]") {
  const std::string sealed = *sealer().seal("what was said", "request r1");
  CHECK(sealed.find("said") == std::string::npos);
  CHECK(sealer().open(sealed, "request r1") == "what was said");
  CHECK_FALSE(sealer().open(sealed, "answer r1"));
  CHECK_FALSE(sealer("two").open(sealed, "request r1"));
  CHECK_FALSE(Sealer::make(Secret(std::string(32, 'q')), "one")->open(sealed, "request r1"));
}

TEST_CASE("base: a sealed text that was changed anywhere is not opened", "[unit][base][seal]") {
  const std::string sealed = *sealer().seal("x", "r1");
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] ^= 1;
    CHECK_FALSE(sealer().open(changed, "r1"));
    CHECK_FALSE(sealer().open(sealed.substr(0, i), "r1"));
  }
}

TEST_CASE("base: the same text is never sealed alike, and nothing seals too",
          "[unit][base][seal]") {
  CHECK(*sealer().seal("x", "r1") != *sealer().seal("x", "r1"));
  CHECK(sealer().open(*sealer().seal("", "r1"), "r1") == "");
}
