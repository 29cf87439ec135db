// Stands in for the switchyard binary where a library test starts a trial.
#include <cstring>

#include "core/plugin/library.hpp"

int main(int argc, char** argv) {
  if (argc != 3 || std::strcmp(argv[1], "plugin-trial") != 0) return 64;
  return switchyard::plugin::run_trial(argv[2]);
}
