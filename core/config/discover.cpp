#include "core/config/discover.hpp"

#include <httplib.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <set>

#include "core/config/json_text.hpp"

namespace switchyard::config {
namespace {

using Names = std::optional<std::vector<std::string>>;
using Allocator = rapidjson::Document::AllocatorType;

struct LocalServer {
  const char* id;
  const char* origin;
};
// Their projects' default ports.
constexpr LocalServer kLocalServers[] = {{"ollama", "http://127.0.0.1:11434"},
                                         {"vllm", "http://127.0.0.1:8000"}};

Names model_names(std::string_view body) {
  const auto document = parse_text(body);
  if (!document) return std::nullopt;
  const Json* data = member(*document, "data");
  if (data == nullptr || !data->IsArray()) return std::nullopt;
  std::set<std::string> names;
  for (const Json& each : data->GetArray()) {
    const Json* id = member(each, "id");
    if (id == nullptr || !id->IsString()) continue;
    // Not a reference, whatever the server calls its models.
    if (id->GetStringLength() == 0 || id->GetStringLength() > 256) continue;
    if (text_of(*id).find("${") != std::string_view::npos) continue;
    if (!text_of(*id).starts_with("file:")) names.emplace(text_of(*id));
  }
  if (names.empty()) return std::nullopt;
  return std::vector<std::string>(names.begin(), names.end());
}

// Asks a server on this machine for its models, for at most 300 ms.
Names ask(const std::string& base_url) {
  constexpr std::chrono::milliseconds kPatience{300};
  constexpr std::size_t kBodyBytesMax = 1024 * 1024;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  const std::size_t path_at = base_url.find('/', base_url.find("://") + 3);
  httplib::Client client(base_url.substr(0, path_at));
  client.set_connection_timeout(kPatience);
  client.set_read_timeout(kPatience);
  client.set_write_timeout(kPatience);
  std::string body;
  const auto take = [&](const char* bytes, std::size_t size) {
    body.append(bytes, size);
    return body.size() <= kBodyBytesMax && std::chrono::steady_clock::now() < deadline;
  };
  const auto answer = client.Get(base_url.substr(path_at) + "/models", take);
  if (!answer || answer->status != 200) return std::nullopt;
  return model_names(body);
}

Json text(std::string_view value, Allocator& allocator) {
  return Json(value.data(), static_cast<rapidjson::SizeType>(value.size()), allocator);
}

// member: what names it, "dialect" or "plugin".
Json with_key(const Dialect& dialect, const char* member, Allocator& allocator) {
  Json credential(rapidjson::kObjectType);
  credential.AddMember("key", text("${" + dialect.key_env + "}", allocator), allocator);
  Json credentials(rapidjson::kArrayType);
  credentials.PushBack(credential, allocator);
  Json provider(rapidjson::kObjectType);
  provider.AddMember(rapidjson::StringRef(member), text(dialect.name, allocator), allocator);
  provider.AddMember("credentials", credentials, allocator);
  return provider;
}

void add_keyed(Json& providers, const Environment& environment, const Dialects& dialects,
               Allocator& allocator) {
  std::set<std::string> used;
  const auto add = [&](const Result<Dialect>& found, const char* what) {
    // A faulty file is told of when somebody names it; here it only has nothing to offer.
    if (!found || found->key_env.empty() || found->base_url.empty()) return;
    const auto key = environment.find(found->key_env);
    if (!key || key->empty()) return;
    if (member(providers, found->name) != nullptr || !used.insert(found->key_env).second) return;
    providers.AddMember(text(found->name, allocator), with_key(*found, what, allocator), allocator);
  };
  // A plugin that speaks the vendor's own API comes before an accent of OpenAI's with the same key.
  for (const std::string& name : dialects.plugin_names()) add(dialects.read_plugin(name), "plugin");
  for (const std::string& name : dialects.names()) {
    // Those on this machine are asked whether they are there.
    const bool local = std::any_of(std::begin(kLocalServers), std::end(kLocalServers),
                                   [&](const LocalServer& server) { return server.id == name; });
    if (!local) add(dialects.read(name), "dialect");
  }
}

void add_local(Json& providers, const Dialects& dialects, const decltype(LoadOptions::probe)& probe,
               Allocator& allocator) {
  std::vector<std::future<Names>> answers;
  for (const LocalServer& server : kLocalServers) {
    answers.push_back(std::async(std::launch::async, probe, std::string(server.origin) + "/v1"));
  }
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const LocalServer& server = kLocalServers[i];
    const Names names = answers[i].get();
    if (!names || names->empty() || member(providers, server.id) != nullptr) continue;
    Json models(rapidjson::kArrayType);
    for (const std::string& name : *names) models.PushBack(text(name, allocator), allocator);
    Json provider(rapidjson::kObjectType);
    const char* dialect = dialects.has(server.id) ? server.id : "openai";
    provider.AddMember("dialect", text(dialect, allocator), allocator);
    const std::string base_url = std::string(server.origin) + "/v1";
    provider.AddMember("base_url", text(base_url, allocator), allocator);
    provider.AddMember("models", models, allocator);
    providers.AddMember(text(server.id, allocator), provider, allocator);
  }
}

}  // namespace

void add_discovered(rapidjson::Document& document, const Environment& environment,
                    const Dialects& dialects, decltype(LoadOptions::probe) probe) {
  Allocator& allocator = document.GetAllocator();
  Json demo(rapidjson::kObjectType);
  demo.AddMember("plugin", "demo", allocator);
  Json providers(rapidjson::kObjectType);
  providers.AddMember("demo", demo, allocator);
  add_keyed(providers, environment, dialects, allocator);
  add_local(providers, dialects, probe ? probe : ask, allocator);
  document.AddMember("providers", providers, allocator);
}

}  // namespace switchyard::config
