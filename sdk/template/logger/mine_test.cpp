// The form of a line; the file itself is the standard library's business.
#include "mine.hpp"

#include <cstdio>

int main() {
  swy_rec record{};
  record.size = sizeof record;
  record.status = 502;
  record.id = swy::str("req_1");
  record.model_asked = swy::str("m-1");
  record.error_code = swy::str("upstream_timeout");
  const std::string line = mine::line_of(record);
  if (line == "req_1 502 m-1 upstream_timeout\n") return 0;
  std::printf("FAILED: %s", line.c_str());
  return 1;
}
