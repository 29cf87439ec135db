#include "core/cli/dispatch.hpp"

int main(int argc, char** argv) { return switchyard::cli::dispatch(argc, argv); }
