// A logger: a line of text for each failed request, appended to a file. Put your own form in
// line_of().
#pragma once

#include <fstream>
#include <string>
#include <switchyard/json.hpp>
#include <switchyard/logger.hpp>

namespace mine {

inline std::string line_of(const swy_rec& record) {
  return std::string(swy::view(record.id)) + ' ' + std::to_string(record.status) + ' ' +
         std::string(swy::view(record.model_asked)) + ' ' +
         std::string(swy::view(record.error_code)) + '\n';
}

class Logger {
 public:
  // {"path": "/var/log/switchyard/failed.log"}
  static swy::Result<Logger> open(std::string_view config, swy::Host) {
    const auto path = swy::json::to_text(swy::json::find(config, "path"));
    if (!path || path->empty()) return swy::Error{SWY_CLS_PLUGIN, "path: expected a file's name"};
    Logger made;
    made.file_.open(*path, std::ios::app);
    if (!made.file_) return swy::Error{SWY_CLS_PLUGIN, "path: " + *path + " can't be opened"};
    return made;
  }

  // How many were taken, a prefix: the host offers the rest again.
  swy::Result<std::uint32_t> write(const swy::Records& records, std::uint64_t) {
    for (std::uint32_t i = 0; i < records.size(); ++i) {
      if (records[i].status < 400) continue;
      file_ << line_of(records[i]);
      if (!file_) {
        file_.clear();
        return i;
      }
    }
    return records.size();
  }

  swy::Result<> flush(std::uint64_t) {
    file_.flush();
    if (!file_) return swy::Error{SWY_CLS_PLUGIN, "the file can't be written"};
    return {};
  }

 private:
  std::ofstream file_;
};

}  // namespace mine
