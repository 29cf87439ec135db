#include "core/cli/state_directory.hpp"

#include "core/store/refresh.hpp"

namespace switchyard::cli {
namespace fs = std::filesystem;

std::string faults_of(const std::string& file, const config::Faults& faults) {
  std::string text;
  for (const config::Fault& fault : faults) {
    if (!text.empty()) text += '\n';
    text += file + ": " + fault.pointer + (fault.pointer.empty() ? "" : ": ") + fault.message;
  }
  return text;
}

Result<fs::path> state_directory(const Arguments& args) {
  if (args.has("--state")) return fs::path(args.value("--state"));
  if (args.has("--config")) {
    config::LoadOptions options;
    options.file = args.value("--config");
    options.data_directory = config::find_data_directory();
    // Where the state is does not depend on which servers run here.
    options.probe = [](const std::string&) { return std::nullopt; };
    const auto loaded = config::load(options);
    if (!loaded) return Error{faults_of(options.file.string(), loaded.error())};
    return (*loaded)->state;
  }
  const fs::path directory = config::default_state_directory({});
  if (directory.empty()) return Error{"neither XDG_STATE_HOME nor HOME is set; give --state DIR"};
  return directory;
}

void await_gateway(const fs::path& state, std::ostream& err) {
  // Longer than the trial of a plugin, which may be in its way.
  constexpr std::chrono::seconds kWait{15};
  if (store::ask_refresh(state, kWait) != store::Refreshed::kLate) return;
  err << "it is stored; the running gateway is busy and takes it over later\n";
}

}  // namespace switchyard::cli
