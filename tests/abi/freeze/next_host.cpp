// The host's negotiation as the next minor's host would have it: this file, core/plugin/table.cpp
// and host.cpp are compiled with the headers of freeze/next_headers.cmake. Prints what it was
// offered, or the refusal.
//   next_host FILE.so
#include <cstdio>

#include "core/plugin/loading.hpp"
#include "core/plugin/table.hpp"

int main(int argc, char** argv) {
  using namespace switchyard::plugin;
  if (argc != 2) return 2;
  const auto entry = map_library(argv[1]);
  if (!entry) {
    std::printf("%s\n", entry.error().message.c_str());
    return 1;
  }
  const auto offer = negotiate(entry->call);
  if (!offer) {
    std::printf("%s\n", offer.error().message.c_str());
    return 1;
  }
  std::printf("host minor %u, plugin %s minor %u, lib table %u of %zu bytes\n", SWY_MINOR,
              offer->id.c_str(), offer->table->minor, offer->table->size, sizeof(swy_lib));
  return 0;
}
