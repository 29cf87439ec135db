// Stands in for the switchyard binary where a library test starts a trial.
#include <cstring>

#include "core/plugin/library.hpp"

int main(int argc, char** argv) {
  const bool uses = argc == 4 && std::strcmp(argv[3], "--uses") == 0;
  if ((argc != 3 && !uses) || std::strcmp(argv[1], "plugin-trial") != 0) return 64;
  return switchyard::plugin::run_trial(argv[2], uses);
}
