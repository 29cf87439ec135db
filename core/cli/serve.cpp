#include "core/cli/serve.hpp"

#include <charconv>
#include <cstdio>
#include <functional>
#include <map>
#include <optional>

#include "core/base/os_process.hpp"
#include "core/cli/arguments.hpp"
#include "core/observe/log.hpp"
#include "core/supervisor/supervisor.hpp"
#include "core/worker/worker.hpp"

namespace switchyard::cli {
namespace {

constexpr int kUsage = 2;

constexpr char kServeHelp[] =
    "usage: switchyard serve [options]\n"
    "\n"
    "  --config FILE       the configuration; without one the embedded default serves on loopback\n"
    "  --state DIR         where keys, tokens and the database are kept\n"
    "  --log-level LEVEL   trace, debug, info, warn, error or off\n"
    "  --port N            instead of the first listener's port; 0: any free one\n"
    "  --admin-port N      likewise for the admin listener\n"
    "\n"
    "Signals: TERM and INT drain and stop (twice: at once), HUP loads the configuration again,\n"
    "USR2 replaces the program by the one that now lies in its place.\n";

// What an option does with its value; false where it can't be one.
using Setter = std::function<bool(const std::string&)>;

template <class Number>
bool to_number(const std::string& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

Setter into(std::filesystem::path& path) {
  return [&path](const std::string& value) {
    path = std::filesystem::absolute(value);
    return !value.empty();
  };
}

Setter into(std::string& text) {
  return [&text](const std::string& value) {
    text = value;
    return !value.empty();
  };
}

Setter into(std::optional<std::uint16_t>& port) {
  return [&port](const std::string& value) {
    std::uint16_t number = 0;
    if (!to_number(value, number)) return false;
    port = number;
    return true;
  };
}

Setter into(int& number) {
  return [&number](const std::string& value) { return to_number(value, number); };
}

Setter into(std::vector<int>& numbers) {
  return [&numbers](const std::string& value) {
    std::size_t at = 0;
    while (at <= value.size()) {
      const std::size_t end = std::min(value.find(',', at), value.size());
      int number = 0;
      if (!to_number(value.substr(at, end - at), number)) return false;
      numbers.push_back(number);
      at = end + 1;
    }
    return true;
  };
}

// Sets what the options say; a fault is told and false returned.
bool set_options(const Arguments& given, const std::map<std::string, Setter>& options,
                 const char* command) {
  for (const auto& [name, set] : options) {
    if (!given.has(name) || set(given.value(name))) continue;
    std::fprintf(stderr, "switchyard %s: %s: \"%s\" can't be its value\n", command, name.c_str(),
                 given.value(name).c_str());
    return false;
  }
  return true;
}

// Reads the options of a command that takes no words besides.
std::optional<Arguments> read_options(std::span<const std::string> arguments,
                                      const std::map<std::string, Setter>& options,
                                      const std::vector<std::string>& flags, const char* command) {
  std::vector<std::string> names;
  for (const auto& option : options) names.push_back(option.first);
  auto given = parse_arguments(arguments, names, flags);
  if (given && !given->words.empty()) given = Error{"unexpected " + given->words.front()};
  if (!given) {
    std::fprintf(stderr, "switchyard %s: %s\n", command, given.error().message.c_str());
    return std::nullopt;
  }
  if (!set_options(*given, options, command)) return std::nullopt;
  return std::move(*given);
}

bool start_log(const std::string& level) {
  const auto started = observe::init_log(level.empty() ? "info" : level);
  if (!started) std::fprintf(stderr, "switchyard: %s\n", started.error().message.c_str());
  return started.has_value();
}

}  // namespace

int run_serve(std::span<const std::string> arguments) {
  supervisor::ServeOptions options;
  const std::map<std::string, Setter> known{{"--config", into(options.load.file)},
                                            {"--state", into(options.load.state)},
                                            {"--log-level", into(options.log_level)},
                                            {"--port", into(options.port)},
                                            {"--admin-port", into(options.admin_port)}};
  const auto given = read_options(arguments, known, {"--help"}, "serve");
  if (!given) return kUsage;
  if (given->has("--help")) {
    std::fputs(kServeHelp, stdout);
    return 0;
  }
  if (!start_log(options.log_level)) return kUsage;
  options.load.data_directory = config::find_data_directory();

  std::vector<std::string> again{"serve"};
  again.insert(again.end(), arguments.begin(), arguments.end());
  return supervisor::Supervisor(std::move(options), std::move(again)).run();
}

int run_worker_command(std::span<const std::string> arguments) {
  WorkerOptions options;
  std::optional<std::uint16_t> admin_port;
  const std::map<std::string, Setter> known{
      {"--control", into(options.control_fd)}, {"--listen", into(options.listen_fds)},
      {"--admin-port", into(admin_port)},      {"--config", into(options.load.file)},
      {"--state", into(options.state)},        {"--log-level", into(options.log_level)}};
  const auto given = read_options(arguments, known, {"--open-access"}, "worker");
  if (!given || options.control_fd < 0 || options.listen_fds.empty() || !admin_port) {
    std::fputs("switchyard worker: started by `switchyard serve`, not by hand\n", stderr);
    return kUsage;
  }
  if (!start_log(options.log_level)) return kUsage;
  options.open_access = given->has("--open-access");
  options.admin_port = *admin_port;
  options.load.state = options.state;
  options.load.data_directory = config::find_data_directory();
  // A child of the worker must not keep the listening sockets open, nor hold the supervisor's line.
  os::set_inherited(options.control_fd, false);
  for (const int fd : options.listen_fds) os::set_inherited(fd, false);
  return run_worker(options);
}

}  // namespace switchyard::cli
