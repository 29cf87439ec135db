#include "core/plugin/logger.hpp"

#include "core/base/json_scan.hpp"
#include "core/plugin/table.hpp"

namespace switchyard::plugin {
namespace {

swy_err empty_err() {
  swy_err err{};
  err.size = sizeof err;
  return err;
}

}  // namespace

Result<std::unique_ptr<LoggerInstance>> LoggerInstance::from_table(const swy_logger* table,
                                                                   std::string name,
                                                                   std::string_view config_json) {
  std::unique_ptr<LoggerInstance> logger(new LoggerInstance);
  logger->name_ = std::move(name);
  logger->tag_ = std::make_unique<InstanceTag>(InstanceTag{logger->name_});
  swy_err err = empty_err();
  const swy_rc rc =
      table->open(to_swy(config_json), host_table(), logger->tag_.get(), &logger->instance_, &err);
  // Where nothing was opened nothing may be closed: table_ stays null.
  if (rc < 0) return Error{"logger \"" + logger->name_ + "\": " + fault_text(rc, err)};
  logger->table_ = table;
  return logger;
}

Result<std::unique_ptr<LoggerInstance>> LoggerInstance::open(const Libraries& libraries,
                                                             std::string_view kind_name,
                                                             std::string_view config_json) {
  const Libraries::Found found = libraries.find("logger", kind_name);
  if (!found.kind) {
    return Error{"logger \"" + std::string(kind_name) + "\": no plugin of that name is loaded"};
  }
  auto logger = from_table(static_cast<const swy_logger*>(found.kind->vt), std::string(kind_name),
                           config_json);
  if (logger) (*logger)->library_ = found.library;
  return logger;
}

LoggerInstance::~LoggerInstance() {
  if (table_) table_->close(instance_);
}

Result<std::uint32_t> LoggerInstance::write(std::span<const swy_rec> records,
                                            std::uint64_t deadline_ns) {
  swy_err err = empty_err();
  std::uint32_t taken = 0;
  const auto n = static_cast<std::uint32_t>(records.size());
  const swy_rc rc =
      table_->write(instance_, records.data(), n, sizeof(swy_rec), deadline_ns, &taken, &err);
  const std::string place = "logger \"" + name_ + "\": write: ";
  if (rc < 0) return Error{place + fault_text(rc, err)};
  if (taken > n) {
    return Error{place + "took " + std::to_string(taken) + " of " + std::to_string(n) + " records"};
  }
  return taken;
}

Result<void> LoggerInstance::flush(std::uint64_t deadline_ns) {
  swy_err err = empty_err();
  const swy_rc rc = table_->flush(instance_, deadline_ns, &err);
  if (rc < 0) return Error{"logger \"" + name_ + "\": flush: " + fault_text(rc, err)};
  return {};
}

}  // namespace switchyard::plugin
