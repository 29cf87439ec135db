#include "core/plugin/logger.hpp"

#include "core/base/json_scan.hpp"
#include "core/plugin/configuration.hpp"
#include "core/plugin/http.hpp"
#include "core/plugin/table.hpp"
#include "core/store/call_note.hpp"

namespace switchyard::plugin {
namespace {

swy_err empty_err() {
  swy_err err{};
  err.size = sizeof err;
  return err;
}

}  // namespace

LoggerInstance::LoggerInstance() = default;

Result<std::unique_ptr<LoggerInstance>> LoggerInstance::from_table(
    const swy_logger* table, std::string name, std::string_view config_json,
    std::unique_ptr<Destinations> destinations) {
  std::unique_ptr<LoggerInstance> logger(new LoggerInstance);
  logger->name_ = std::move(name);
  logger->destinations_ = std::move(destinations);
  logger->tag_ =
      std::make_unique<InstanceTag>(InstanceTag{logger->name_, logger->destinations_.get()});
  swy_err err = empty_err();
  const swy_rc rc =
      table->open(to_swy(config_json), host_table(), logger->tag_.get(), &logger->instance_, &err);
  // Where nothing was opened nothing may be closed: table_ stays null.
  if (rc < 0) return Error{"logger \"" + logger->name_ + "\": " + fault_text(rc, err)};
  logger->table_ = table;
  return logger;
}

Result<std::unique_ptr<LoggerInstance>> LoggerInstance::open(
    const Libraries& libraries, std::string_view kind_name, std::string_view config_json,
    std::unique_ptr<Destinations> destinations) {
  const Libraries::Found found = libraries.find("logger", kind_name);
  if (!found.kind) {
    return Error{"logger \"" + std::string(kind_name) + "\": no plugin of that name is loaded"};
  }
  if (const std::string wrong = configuration_fault(*found.kind, config_json); !wrong.empty()) {
    return Error{"logger \"" + std::string(kind_name) + "\": " + wrong};
  }
  const store::CallNote note(found.library->note(), store::Call::kOpen);
  auto logger = from_table(static_cast<const swy_logger*>(found.kind->vt), std::string(kind_name),
                           config_json, std::move(destinations));
  if (!logger) return logger;
  (*logger)->library_ = found.library;
  (*logger)->note_ = found.library->note();
  return logger;
}

LoggerInstance::~LoggerInstance() {
  if (!table_) return;
  const store::CallNote note(note_, store::Call::kClose);
  table_->close(instance_);
}

LoggerFault LoggerInstance::fault(const char* call, swy_rc rc, const swy_err& err) const {
  const bool overloaded = err.cls == SWY_CLS_OVERLOADED;
  return {"logger \"" + name_ + "\": " + call + ": " + fault_text(rc, err), overloaded,
          overloaded ? err.retry_after_ms : 0};
}

Result<std::uint32_t, LoggerFault> LoggerInstance::write(std::span<const swy_rec> records,
                                                         std::uint64_t deadline_ns) {
  const PostingCall call(*tag_, deadline_ns);
  const store::CallNote note(note_, store::Call::kWrite);
  swy_err err = empty_err();
  std::uint32_t taken = 0;
  const auto n = static_cast<std::uint32_t>(records.size());
  const swy_rc rc =
      table_->write(instance_, records.data(), n, sizeof(swy_rec), deadline_ns, &taken, &err);
  if (rc < 0) return fault("write", rc, err);
  if (taken > n) {
    return LoggerFault{"logger \"" + name_ + "\": write: took " + std::to_string(taken) + " of " +
                       std::to_string(n) + " records"};
  }
  return taken;
}

Result<void, LoggerFault> LoggerInstance::flush(std::uint64_t deadline_ns) {
  const PostingCall call(*tag_, deadline_ns);
  const store::CallNote note(note_, store::Call::kFlush);
  swy_err err = empty_err();
  const swy_rc rc = table_->flush(instance_, deadline_ns, &err);
  if (rc < 0) return fault("flush", rc, err);
  return {};
}

}  // namespace switchyard::plugin
