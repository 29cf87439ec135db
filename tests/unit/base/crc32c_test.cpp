#include "core/base/crc32c.hpp"

#include <string>

using namespace switchyard;

TEST_CASE("crc32c: the vectors of RFC 3720, B.4", "[unit][base]") {
  std::string rising;
  for (int i = 0; i < 32; ++i) rising += static_cast<char>(i);
  for (const auto crc : {crc32c, crc32c_portable}) {
    CHECK(crc(std::string(32, '\0').data(), 32) == 0x8A9136AA);
    CHECK(crc(std::string(32, '\xff').data(), 32) == 0x62A8AB43);
    CHECK(crc(rising.data(), 32) == 0x46DD794E);
    CHECK(crc("123456789", 9) == 0xE3069283);
    CHECK(crc("", 0) == 0);
  }
}

TEST_CASE("crc32c: both ways agree on every length", "[unit][base]") {
  std::string bytes;
  for (int i = 0; i < 70; ++i) {
    CHECK(crc32c(bytes.data(), bytes.size()) == crc32c_portable(bytes.data(), bytes.size()));
    bytes += static_cast<char>(i * 37 + 11);
  }
}
