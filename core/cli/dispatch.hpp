#pragma once

namespace switchyard::cli {

// Runs the command that the arguments name; the exit code of the process: 0 done, 1 failed, 2 wrong
// usage.
int dispatch(int argc, char** argv);

}  // namespace switchyard::cli
