#include "core/plugin/logger.hpp"

#include "core/base/json_scan.hpp"

namespace switchyard::plugin {
namespace {

Error fault(const std::string& name, const char* call, swy_rc rc, const swy_err& err) {
  const std::size_t length = strnlen(err.msg, sizeof err.msg);
  const std::string why = length == 0 ? "code " + std::to_string(rc) : std::string(err.msg, length);
  return Error{"logger " + name + ": " + call + ": " + why};
}

}  // namespace

Result<std::unique_ptr<LoggerInstance>> LoggerInstance::from_table(const swy_logger* table,
                                                                   std::string name,
                                                                   std::string_view config_json,
                                                                   const swy_host* host) {
  std::unique_ptr<LoggerInstance> instance(new LoggerInstance);
  swy_err err{};
  err.size = sizeof err;
  const swy_rc rc =
      table->open(to_swy(config_json), host, instance.get(), &instance->instance_, &err);
  if (rc < 0) return fault(name, "open", rc, err);
  instance->table_ = table;
  instance->name_ = std::move(name);
  return instance;
}

LoggerInstance::~LoggerInstance() {
  if (table_ != nullptr) table_->close(instance_);
}

Result<std::uint32_t> LoggerInstance::write(std::span<const swy_rec> records,
                                            std::uint64_t deadline_ns) {
  swy_err err{};
  err.size = sizeof err;
  std::uint32_t taken = 0;
  const auto n = static_cast<std::uint32_t>(records.size());
  const swy_rc rc =
      table_->write(instance_, records.data(), n, sizeof(swy_rec), deadline_ns, &taken, &err);
  if (rc < 0) return fault(name_, "write", rc, err);
  return std::min(taken, n);
}

Result<void> LoggerInstance::flush(std::uint64_t deadline_ns) {
  swy_err err{};
  err.size = sizeof err;
  const swy_rc rc = table_->flush(instance_, deadline_ns, &err);
  if (rc < 0) return fault(name_, "flush", rc, err);
  return {};
}

}  // namespace switchyard::plugin
