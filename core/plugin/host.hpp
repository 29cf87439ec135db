// The table that the host gives to every plugin.
#pragma once

#include <switchyard/plugin.h>

#include <string>

namespace switchyard::plugin {

class Destinations;

// What `tag` points to: who is calling.
struct InstanceTag {
  std::string name;
  Destinations* destinations = nullptr;  // where it may post to; null: nowhere
};

const swy_host* host_table();

// A plugin's text made fit for one line of the log: control bytes escaped, cut at 4 KiB.
std::string log_line(swy_str text);

}  // namespace switchyard::plugin
