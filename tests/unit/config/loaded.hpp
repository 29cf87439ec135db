// Loading configurations in a made-up world: own files, own environment, no network.
#pragma once

#include <algorithm>

#include "../scratch.hpp"
#include "core/config/config.hpp"

class World {
 public:
  World() {
    namespace fs = std::filesystem;
    const fs::path shipped = fs::path(SWITCHYARD_SOURCE_DIR) / "config" / "switchyard.schema.json";
    fs::create_directories(scratch_.path() / "data");
    fs::copy_file(shipped, scratch_.path() / "data" / "switchyard.schema.json");
    for (const char* name : {"openai", "deepseek", "xai"}) {
      dialect(name, R"({"base_url":"https://api.)" + std::string(name) +
                        R"(.example/v1","key_env":")" + upper(name) +
                        R"(_API_KEY","key_optional":true})");
    }
    dialect("vllm", "{}");
  }

  void dialect(const std::string& name, const std::string& text) {
    scratch_.write("data/dialects/" + name + ".json", text);
  }

  switchyard::config::LoadOptions options() const {
    switchyard::config::LoadOptions options;
    options.file = scratch_.path() / "switchyard.json";
    options.data_directory = scratch_.path() / "data";
    options.environment = environment;
    options.probe = [](const std::string&) { return std::nullopt; };
    return options;
  }

  auto load(std::string_view text) const { return switchyard::config::load_text(text, options()); }

  // "POINTER: message" of each fault, a line each, in pointer order; empty where there is none.
  std::string faults(std::string_view text) const {
    const auto loaded = load(text);
    if (loaded) return {};
    std::vector<std::string> lines;
    for (const auto& fault : loaded.error()) lines.push_back(fault.pointer + ": " + fault.message);
    std::sort(lines.begin(), lines.end());
    std::string joined;
    for (const std::string& line : lines) joined += (joined.empty() ? "" : "\n") + line;
    return joined;
  }

  // What must load.
  switchyard::config::Config config(std::string_view text) const {
    const auto loaded = load(text);
    if (!loaded) FAIL(faults(text));
    return **loaded;
  }

  const Scratch& scratch() const { return scratch_; }

  std::vector<std::string> environment{"HOME=/home/somebody"};

 private:
  static std::string upper(std::string text) {
    for (char& c : text) c = static_cast<char>(std::toupper(c));
    return text;
  }

  Scratch scratch_;
};
