// The table that the host gives to every plugin.
#pragma once

#include <switchyard/plugin.h>

#include <string>

namespace switchyard::plugin {

// What `tag` points to: who is logging.
struct InstanceTag {
  std::string name;
};

const swy_host* host_table();

// A plugin's text made fit for one line of the log: control bytes escaped, cut at 4 KiB.
std::string log_line(swy_str text);

}  // namespace switchyard::plugin
