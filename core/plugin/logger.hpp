// A logger plugin as the host uses it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/plugin/destinations.hpp"
#include "core/plugin/host.hpp"
#include "core/plugin/library.hpp"

namespace switchyard::plugin {

// Why a write or a flush failed.
struct LoggerFault {
  std::string message;
  bool overloaded = false;  // not the records' fault: they may be offered again
  std::uint32_t retry_after_ms = 0;
};

class LoggerInstance {
 public:
  // `destinations`: those that it may post to; null: none. [control thread]
  static Result<std::unique_ptr<LoggerInstance>> open(
      const Libraries& libraries, std::string_view kind_name, std::string_view config_json,
      std::unique_ptr<Destinations> destinations = nullptr);
  // The same of a table that is in the program already, such as a test's. The table outlives the
  // instance.
  static Result<std::unique_ptr<LoggerInstance>> from_table(
      const swy_logger* table, std::string name, std::string_view config_json,
      std::unique_ptr<Destinations> destinations = nullptr);
  ~LoggerInstance();
  LoggerInstance(const LoggerInstance&) = delete;
  LoggerInstance& operator=(const LoggerInstance&) = delete;

  const std::string& name() const { return name_; }

  // How many of `records` were taken, a prefix. [logger thread]
  Result<std::uint32_t, LoggerFault> write(std::span<const swy_rec> records,
                                           std::uint64_t deadline_ns);
  Result<void, LoggerFault> flush(std::uint64_t deadline_ns);

 private:
  LoggerInstance();
  LoggerFault fault(const char* call, swy_rc rc, const swy_err& err) const;
  std::shared_ptr<const Library> library_;
  const swy_logger* table_ = nullptr;
  void* instance_ = nullptr;
  std::uint32_t note_ = 0;  // of library_
  std::string name_;
  std::unique_ptr<InstanceTag> tag_;
  std::unique_ptr<Destinations> destinations_;
};

}  // namespace switchyard::plugin
