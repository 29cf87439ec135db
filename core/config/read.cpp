#include "core/config/read.hpp"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <set>

#include "core/base/nano.hpp"
#include "core/base/near.hpp"
#include "core/config/address.hpp"
#include "core/config/read_features.hpp"
#include "core/config/upstream_reader.hpp"

namespace switchyard::config {
namespace fs = std::filesystem;
namespace {

const Json* text_member(const Json& value, std::string_view name) {
  const Json* found = member(value, name);
  return found != nullptr && found->IsString() ? found : nullptr;
}

std::string text_or(const Json& value, std::string_view name, std::string_view fallback) {
  const Json* found = text_member(value, name);
  return std::string(found != nullptr ? text_of(*found) : fallback);
}

template <class Number>
void read_number(const Json& value, std::string_view name, Number& number) {
  const Json* found = member(value, name);
  if (found != nullptr && found->IsUint64()) number = static_cast<Number>(found->GetUint64());
}

std::vector<std::string> texts(const Json* list) {
  std::vector<std::string> found;
  if (list == nullptr || !list->IsArray()) return found;
  for (const Json& each : list->GetArray()) {
    if (each.IsString()) found.emplace_back(text_of(each));
  }
  return found;
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// 30 of "30d" where the unit is "d".
std::optional<std::uint32_t> parse_quantity(std::string_view text, std::string_view unit) {
  if (!text.ends_with(unit)) return std::nullopt;
  text.remove_suffix(unit.size());
  std::uint32_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, fault] = std::from_chars(text.data(), end, count);
  if (fault != std::errc() || rest != end || count > 100'000) return std::nullopt;
  return count;
}

bool is_id(std::string_view id) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789_-";
  return !id.empty() && id.size() <= 63 && id.front() != '_' && id.front() != '-' &&
         id.find_first_not_of(kAllowed) == std::string_view::npos;
}

// One pass over the document, room by room.
class Reader {
 public:
  Reader(const Json& document, const Sources& sources, Faults& faults)
      : document_(document), sources_(sources), faults_(faults) {}

  Config read() {
    read_listeners();
    read_state();
    read_number(document_, "workers", config_.workers);
    if (const Json* providers = object("providers")) {
      for (const auto& entry : providers->GetObject()) {
        read_provider(std::string(text_of(entry.name)), entry.value);
      }
    }
    read_features(document_, sources_, config_, faults_);
    read_keys();
    if (const Json* limits = object("limits")) read_limits(*limits);
    if (const Json* overload = object("overload")) read_overload(*overload);
    if (const Json* cors = object("cors")) config_.cors_origins = texts(member(*cors, "origins"));
    read_trusted_proxies();
    if (const Json* plugins = object("plugins")) read_plugins(*plugins);
    if (const Json* ledger = object("ledger")) {
      config_.ledger.durable = text_or(*ledger, "durability", "process") == "disk";
      config_.ledger.serve_without_disk = text_or(*ledger, "on_journal_fault", "refuse") == "serve";
    }
    if (const Json* destinations = object("destinations")) {
      for (const auto& entry : destinations->GetObject()) {
        read_destination(std::string(text_of(entry.name)), entry.value);
      }
    }
    read_loggers();
    if (const Json* records = object("records")) read_records(*records);
    if (const Json* prices = object("prices")) {
      config_.unpriced_allowed = text_or(*prices, "unpriced", "allow") == "allow";
    }
    if (const Json* payments = object("payments")) read_payments(*payments);
    if (const Json* alerts = object("alerts")) read_alerts(*alerts);
    if (const Json* log = object("log")) {
      config_.log_level = text_or(*log, "level", config_.log_level);
    }
    return std::move(config_);
  }

 private:
  void fault(std::string pointer, std::string message) {
    faults_.push_back({std::move(pointer), std::move(message)});
  }

  std::string shown_at(const std::string& pointer, std::string_view text) const {
    return shown(sources_.written, pointer, text);
  }

  const Json* object(std::string_view name) const {
    const Json* found = member(document_, name);
    return found != nullptr && found->IsObject() ? found : nullptr;
  }

  const Json* list(std::string_view name) const {
    const Json* found = member(document_, name);
    return found != nullptr && found->IsArray() ? found : nullptr;
  }

  fs::path path(std::string_view text) const { return sources_.directory / fs::path(text); }

  // A file that has to be there. Only opened; what is in it is for whoever uses it.
  fs::path readable_file(const Json& value, std::string_view name, const std::string& pointer) {
    const Json* text = text_member(value, name);
    if (text == nullptr || text->GetStringLength() == 0) return {};
    const fs::path file = path(text_of(*text));
    const auto content = read_file(file);
    if (!content) fault(child(pointer, name), content.error().message);
    return file;
  }

  void read_duration(const Json& value, std::string_view name, const std::string& pointer,
                     std::chrono::milliseconds& duration) {
    const Json* text = text_member(value, name);
    if (text == nullptr) return;
    const auto parsed = parse_duration(text_of(*text));
    if (parsed) {
      duration = *parsed;
    } else if (text_of(*text).find_first_not_of("0123456789mhs") == std::string_view::npos) {
      fault(child(pointer, name), "a duration of more than 30 days");
    }
  }

  // --- listeners -------------------------------------------------------------------------------

  void read_address(const Json& text, const std::string& pointer, Listen& listen) {
    const auto parsed = parse_ip_port(text_of(text));
    if (!parsed) {
      return fault(pointer, shown_at(pointer, text_of(text)) + ": " + parsed.error().message);
    }
    listen.address = parsed->address;
    listen.port = parsed->port;
    if (listen.port == 0) return;
    const std::string place = listen.address + " " + std::to_string(listen.port);
    const auto [before, fresh] = places_.emplace(place, pointer);
    if (!fresh) fault(pointer, "the same address as " + before->second);
  }

  void read_listeners() {
    // The defaults take part in the search for two listeners at one address.
    if (const Json* listen = list("listen")) {
      config_.listen.clear();
      for (rapidjson::SizeType i = 0; i < listen->Size(); ++i) {
        read_listener((*listen)[i], child("/listen", i));
      }
    } else {
      places_.emplace("127.0.0.1 8080", "/listen");
    }
    const Json* admin = object("admin");
    const Json* address = admin == nullptr ? nullptr : text_member(*admin, "listen");
    if (address != nullptr) {
      read_address(*address, "/admin/listen", config_.admin);
    } else if (places_.contains("127.0.0.1 8081")) {
      fault(places_["127.0.0.1 8081"],
            "the address of the admin listener; set /admin/listen to another");
    }
  }

  void read_listener(const Json& value, const std::string& pointer) {
    Listen listen;
    if (value.IsString()) {
      read_address(value, pointer, listen);
    } else if (const Json* address = text_member(value, "address")) {
      read_address(*address, child(pointer, "address"), listen);
    }
    const Json* tls = member(value, "tls");
    if (tls != nullptr && tls->IsObject()) {
      const std::string at = child(pointer, "tls");
      TlsFiles files;
      files.certificate = readable_file(*tls, "certificate", at);
      files.key = readable_file(*tls, "key", at);
      listen.tls = std::move(files);
    }
    config_.listen.push_back(std::move(listen));
  }

  void read_state() {
    if (const Json* state = text_member(document_, "state")) {
      config_.state = path(text_of(*state));
    } else if (!sources_.default_state.empty()) {
      config_.state = sources_.default_state;
    } else {
      fault("/state", "not set, and neither XDG_STATE_HOME nor HOME says where it would be");
    }
  }

  void check_id(std::string_view id, const std::string& pointer) {
    if (is_id(id)) return;
    fault(pointer,
          "not an id: expected 1 to 63 characters of a-z, 0-9, - and _, the first a letter or "
          "digit");
  }

  // --- providers -------------------------------------------------------------------------------

  void read_provider(const std::string& id, const Json& value) {
    const std::string pointer = child("/providers", id);
    check_id(id, pointer);
    if (!value.IsObject()) return;
    Provider provider;
    provider.id = id;
    provider.plugin = text_or(value, "plugin", default_plugin(id, value));
    provider.family = provider.plugin;
    const Dialect dialect = read_dialect(value, pointer, provider);
    read_base_url(value, pointer, dialect, provider);
    provider.plugin_json = plugin_json(value, dialect, provider);
    read_credentials(value, pointer, provider);
    if (dialect.needs_key && member(value, "base_url") == nullptr &&
        member(value, "credentials") == nullptr) {
      fault(pointer, "\"credentials\" is missing: " + provider.base_url +
                         " answers nobody without a key; such as [{\"key\": \"${" +
                         dialect.key_env + "}\"}]");
    }
    if (const Json* balance = member(value, "balance")) {
      read_balance(*balance, child(pointer, "balance"), dialect, provider);
    }
    provider.models = texts(member(value, "models"));
    read_origins(value, pointer, provider);
    read_headers(value, pointer, provider.headers);
    read_proxy(value, pointer, provider.proxy);
    if (const Json* tls = member(value, "tls")) {
      provider.ca_file = readable_file(*tls, "ca_file", child(pointer, "tls"));
    }
    if (const Json* timeouts = member(value, "timeouts")) {
      const std::string at = child(pointer, "timeouts");
      read_duration(*timeouts, "connect", at, provider.timeouts.connect);
      read_duration(*timeouts, "first_byte", at, provider.timeouts.first_byte);
      read_duration(*timeouts, "between_bytes", at, provider.timeouts.between_bytes);
      read_duration(*timeouts, "total", at, provider.timeouts.total);
      read_duration(*timeouts, "first_token", at, provider.timeouts.first_token);
      read_duration(*timeouts, "between_tokens", at, provider.timeouts.between_tokens);
    }
    if (const Json* breaker = member(value, "breaker")) {
      provider.breaker = read_breaker(*breaker, child(pointer, "breaker"), faults_);
    }
    if (const Json* probe = member(value, "probe")) {
      provider.probe = read_probe(*probe, child(pointer, "probe"), provider.models, faults_);
    }
    if (const Json* limits = member(value, "limits")) {
      provider.limits = read_upstream_limits(*limits);
    }
    if (const Json* limits = member(value, "model_limits"); limits && limits->IsObject()) {
      for (const auto& each : limits->GetObject()) {
        provider.model_limits.emplace(text_of(each.name), read_upstream_limits(each.value));
      }
    }
    provider.region = text_or(value, "region", "");
    provider.drain_on_disconnect = text_or(value, "on_disconnect", "cancel") == "drain";
    const Json* allow_private = member(value, "allow_private");
    if (allow_private != nullptr && allow_private->IsBool()) {
      provider.allow_private = allow_private->GetBool();
    }
    config_.providers.push_back(std::move(provider));
  }

  // The one that speaks the vendor's own API where only the vendor is named.
  std::string_view default_plugin(const std::string& id, const Json& value) const {
    const bool only_named =
        member(value, "dialect") == nullptr && member(value, "base_url") == nullptr;
    return only_named && sources_.dialects.has_plugin(id) ? std::string_view(id) : "openai";
  }

  Dialect read_dialect(const Json& value, const std::string& pointer, Provider& provider) {
    const Json* named = text_member(value, "dialect");
    if (provider.plugin != "openai") {
      if (named != nullptr) {
        fault(child(pointer, "dialect"),
              "the plugin \"" + provider.plugin + "\" has no dialects; they belong to \"openai\"");
      }
      if (!sources_.dialects.has_plugin(provider.plugin)) return {};
      auto said = sources_.dialects.read_plugin(provider.plugin);
      if (said) return std::move(said).value();
      fault(pointer, said.error().message);
      return {};
    }
    std::string name = sources_.dialects.has(provider.id) ? provider.id : "openai";
    if (named != nullptr) name = std::string(text_of(*named));
    provider.family = name;
    if (!sources_.dialects.has(name)) {
      fault(named != nullptr ? child(pointer, "dialect") : pointer, unknown_dialect(name));
      return {};
    }
    auto dialect = sources_.dialects.read(name);
    if (dialect) return std::move(dialect).value();
    fault(named != nullptr ? child(pointer, "dialect") : pointer, dialect.error().message);
    return {};
  }

  std::string unknown_dialect(const std::string& name) const {
    const std::vector<std::string> known = sources_.dialects.names();
    std::string message = "unknown dialect \"" + name + "\"" + did_you_mean(name, known);
    if (known.empty()) return message + "; there is no dialect file at all";
    message += message.ends_with('?') ? " Known: " : "; known: ";
    for (std::size_t i = 0; i < known.size(); ++i) message += (i == 0 ? "" : ", ") + known[i];
    return message;
  }

  void read_origins(const Json& value, const std::string& pointer, Provider& provider) {
    for (const std::string& text : texts(member(value, "origins"))) {
      const std::string at = child(child(pointer, "origins"), provider.origins.size());
      const auto url = parse_base_url(text);
      if (!url) {
        fault(at, text + ": " + url.error().message);
      } else if (url->text.find('/', url->text.find("://") + 3) != std::string::npos) {
        fault(at, text + ": expected nothing behind host and port");
      }
      provider.origins.push_back(text);
    }
  }

  void read_base_url(const Json& value, const std::string& pointer, const Dialect& dialect,
                     Provider& provider) {
    const Json* given = text_member(value, "base_url");
    const std::string at = child(pointer, "base_url");
    const std::string text = given != nullptr ? std::string(text_of(*given)) : dialect.base_url;
    if (text.empty()) {
      // A dialect that could not be read has its own fault.
      if (provider.plugin == "openai" && !dialect.json.empty()) {
        fault(pointer, "\"base_url\" is missing: the dialect \"" + dialect.name + "\" has none");
      }
      return;
    }
    const auto url = parse_base_url(text);
    if (url) {
      provider.base_url = url->text;
    } else if (given != nullptr) {
      fault(at, shown_at(at, text) + ": " + url.error().message);
    } else {
      fault(pointer,
            "the base_url of the dialect \"" + dialect.name + "\": " + url.error().message);
    }
  }

  static std::string plugin_json(const Json& value, const Dialect& dialect,
                                 const Provider& provider) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
    json.StartObject();
    if (!dialect.json.empty()) {
      json.Key("dialect");
      json.RawValue(dialect.json.data(), dialect.json.size(), rapidjson::kObjectType);
    }
    json.Key("base_url");
    json.String(provider.base_url);
    const Json* settings = member(value, "settings");
    if (provider.plugin == "openai") {
      const Json* said = settings != nullptr ? member(*settings, "responses") : nullptr;
      const bool own_address = member(value, "base_url") == nullptr;
      json.Key("responses");
      json.Bool(said != nullptr ? said->IsTrue() : dialect.responses && own_address);
    }
    json.Key("settings");
    if (settings != nullptr && settings->IsObject()) {
      settings->Accept(json);
    } else {
      json.StartObject();
      json.EndObject();
    }
    json.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
  }

  void read_credentials(const Json& value, const std::string& pointer, Provider& provider) {
    const Json* credentials = member(value, "credentials");
    if (credentials == nullptr || !credentials->IsArray()) return;
    const std::string at = child(pointer, "credentials");
    std::set<std::string> names;
    for (rapidjson::SizeType i = 0; i < credentials->Size(); ++i) {
      const Json& each = (*credentials)[i];
      if (!each.IsObject()) continue;
      const std::string here = child(at, i);
      Credential credential;
      credential.name = text_or(each, "name", i == 0 ? "default" : std::to_string(i + 1));
      if (!names.insert(credential.name).second) {
        fault(text_member(each, "name") != nullptr ? child(here, "name") : here,
              "a second credential named \"" + credential.name + "\"");
      }
      read_secret(each, "key", here, credential.key);
      if (const Json* expires = text_member(each, "expires")) {
        credential.expires_unix_s = read_date(*expires, child(here, "expires"));
      }
      read_number(each, "weight", credential.weight);
      if (const Json* limits = member(each, "limits")) {
        credential.limits = read_upstream_limits(*limits);
      }
      const Json* parts = member(each, "parts");
      if (parts != nullptr && parts->IsObject()) {
        for (const auto& part : parts->GetObject()) {
          if (part.value.IsString()) {
            credential.parts.emplace(text_of(part.name), text_of(part.value));
          }
        }
      }
      provider.credentials.push_back(std::move(credential));
    }
  }

  void read_balance(const Json& value, const std::string& pointer, const Dialect& dialect,
                    Provider& provider) {
    if (dialect.balance.path.empty()) {
      fault(pointer, "no address is known where this provider tells what is left; leave it out");
      return;
    }
    BalancePolicy policy{dialect.balance, parse_nano(text_or(value, "floor", "")), {}};
    policy.every = BalancePolicy().every;
    read_duration(value, "every", pointer, policy.every);
    if (text_member(value, "currency") != nullptr) {
      policy.source.currency = text_or(value, "currency", "");
      policy.source.currency_at.clear();
    }
    provider.balance = std::move(policy);
  }

  // The date's beginning in UTC.
  std::int64_t read_date(const Json& text, const std::string& pointer) {
    std::tm date{};
    const std::string written(text_of(text));
    const char* const rest = ::strptime(written.c_str(), "%Y-%m-%d", &date);
    const int day = date.tm_mday;
    const std::int64_t unix_s = rest == nullptr ? 0 : ::timegm(&date);
    // timegm() takes the 31st of June for the 1st of July.
    if (rest == nullptr || *rest != '\0' || date.tm_mday != day) {
      fault(pointer, shown_at(pointer, written) + ": there is no such date");
    }
    return unix_s;
  }

  void read_secret(const Json& value, std::string_view name, const std::string& pointer,
                   Secret& secret) {
    const Json* text = text_member(value, name);
    if (text == nullptr || text->GetStringLength() == 0) return;
    auto found = sources_.references.secret(text_of(*text));
    if (found) {
      secret = std::move(found).value();
    } else {
      fault(child(pointer, name), found.error().message);
    }
  }

  // "" where the gateway may send a header field of that name, else what is wrong with it.
  static std::string name_fault(const std::string& name) {
    static const std::set<std::string> kOurs{"host",       "content-length", "transfer-encoding",
                                             "connection", "upgrade",        "te",
                                             "trailer",    "expect",         "keep-alive"};
    if (!is_token(name)) return "not a header field's name";
    if (kOurs.contains(lower(name))) return "this header field is the gateway's own";
    return {};
  }

  void read_headers(const Json& value, const std::string& pointer,
                    std::map<std::string, std::string>& found) {
    const Json* headers = member(value, "headers");
    if (headers == nullptr || !headers->IsObject()) return;
    std::set<std::string> folded;
    for (const auto& entry : headers->GetObject()) {
      const std::string name(text_of(entry.name));
      const std::string at = child(child(pointer, "headers"), name);
      if (std::string wrong = name_fault(name); !wrong.empty()) {
        fault(at, std::move(wrong));
      } else if (!folded.insert(lower(name)).second) {
        fault(at, "given twice; case makes no difference in these names");
      }
      if (!entry.value.IsString()) continue;
      const std::string_view text = text_of(entry.value);
      const bool printable = std::all_of(text.begin(), text.end(), [](char c) {
        return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
      });
      if (!printable) fault(at, "holds a line break or another control character");
      found.emplace(name, text);
    }
  }

  void read_proxy(const Json& value, const std::string& pointer, std::string& found) {
    const Json* proxy = text_member(value, "proxy");
    if (proxy == nullptr || proxy->GetStringLength() == 0) return;
    const std::string_view text = text_of(*proxy);
    const auto url = parse_base_url(text);
    if (text == "none") {
      found = "none";
    } else if (!url) {
      fault(child(pointer, "proxy"), url.error().message);
    } else if (url->tls || url->text.find('/', 7) != std::string::npos) {
      fault(child(pointer, "proxy"), "expected http://HOST:PORT or none");
    } else {
      found = url->text;
    }
  }

  // --- keys ------------------------------------------------------------------------------------

  void check_default_feature(const Key& key, const std::string& pointer) {
    if (key.default_feature.empty()) return;
    std::vector<std::string> known;
    for (const Feature& each : config_.features) {
      known.push_back(each.name.substr(kFeaturePrefix.size()));
    }
    if (std::find(known.begin(), known.end(), key.default_feature) != known.end()) return;
    fault(child(pointer, "default_feature"), "there is no feature \"" + key.default_feature + "\"" +
                                                 did_you_mean(key.default_feature, known));
  }

  void read_keys() {
    const Json* keys = list("keys");
    if (keys == nullptr) return;
    std::set<std::string> names;
    for (rapidjson::SizeType i = 0; i < keys->Size(); ++i) {
      const Json& value = (*keys)[i];
      const std::string pointer = child("/keys", i);
      if (!value.IsObject()) continue;
      Key key;
      key.name = text_or(value, "name", "");
      if (!key.name.empty() && !names.insert(key.name).second) {
        fault(child(pointer, "name"), "a second key named \"" + key.name + "\"");
      }
      const bool has_key = member(value, "key") != nullptr;
      const bool has_mac = member(value, "mac") != nullptr;
      if (has_key == has_mac) {
        fault(pointer, has_key ? "has both \"key\" and \"mac\"; one of them is wanted"
                               : "has neither \"key\" nor \"mac\"");
      }
      read_secret(value, "key", pointer, key.key);
      key.mac = lower(text_or(value, "mac", ""));
      key.models = texts(member(value, "models"));
      key.features = texts(member(value, "features"));
      key.default_feature = text_or(value, "default_feature", "");
      key.reach.providers = texts(member(value, "providers"));
      key.reach.providers_denied = texts(member(value, "providers_denied"));
      key.reach.regions = texts(member(value, "regions"));
      check_default_feature(key, pointer);
      read_number(value, "body_bytes_max", key.body_bytes_max);
      if (const Json* limits = member(value, "limits")) {
        (void)read_rate_limits(*limits, key.limits);  // the schema has named what is wrong
      }
      key.priority = parse_priority(text_or(value, "priority", "normal")).value_or(key.priority);
      config_.keys.push_back(std::move(key));
    }
  }

  // --- the rest --------------------------------------------------------------------------------

  void read_limits(const Json& value) {
    Limits& limits = config_.limits;
    read_number(value, "head_bytes_max", limits.head_bytes_max);
    read_number(value, "target_bytes_max", limits.target_bytes_max);
    read_number(value, "headers_max", limits.headers_max);
    read_number(value, "body_bytes_max", limits.body_bytes_max);
    read_number(value, "json_depth_max", limits.json_depth_max);
    read_duration(value, "head_timeout", "/limits", limits.head_timeout);
    read_duration(value, "tls_timeout", "/limits", limits.tls_timeout);
    read_duration(value, "body_timeout", "/limits", limits.body_timeout);
    read_duration(value, "keep_alive_timeout", "/limits", limits.keep_alive_timeout);
    read_duration(value, "write_timeout", "/limits", limits.write_timeout);
    read_duration(value, "stream_max", "/limits", limits.stream_max);
    read_duration(value, "session_idle", "/limits", limits.session_idle);
    read_duration(value, "drain_timeout", "/limits", limits.drain_timeout);
    read_number(value, "body_bytes_per_s_min", limits.body_bytes_per_s_min);
    read_number(value, "connections_max", limits.connections_max);
    read_number(value, "connections_per_ip_max", limits.connections_per_ip_max);
    read_duration(value, "queue_timeout", "/limits", limits.queue_timeout);
    if (const Json* key = member(value, "default_key")) {
      (void)read_rate_limits(*key, limits.default_key);
    }
    if (limits.target_bytes_max > limits.head_bytes_max) {
      fault("/limits/target_bytes_max", "more than head_bytes_max, which the target is a part of");
    }
  }

  void read_overload(const Json& value) {
    Overload& overload = config_.overload;
    read_number(value, "open_requests_max", overload.open_requests_max);
    read_size(value, "memory_max", overload.memory_max);
    read_duration(value, "loop_lag_max", "/overload", overload.loop_lag_max);
  }

  void read_trusted_proxies() {
    const std::vector<std::string> proxies = texts(list("trusted_proxies"));
    for (std::size_t i = 0; i < proxies.size(); ++i) {
      const auto range = net::parse_ip_range(proxies[i]);
      if (range) {
        config_.trusted_proxies.push_back(*range);
      } else {
        const std::string pointer = child("/trusted_proxies", i);
        fault(pointer, shown_at(pointer, proxies[i]) +
                           ": expected an address or a range such as 10.0.0.0/8");
      }
    }
  }

  static bool is_true(const Json* value) { return value != nullptr && value->IsTrue(); }

  void read_plugins(const Json& value) {
    const std::string directory = text_or(value, "directory", "");
    if (!directory.empty()) config_.plugins.directory = path(directory);
    config_.plugins.watch = is_true(member(value, "watch"));
    config_.plugins.require_pins = is_true(member(value, "require_pins"));
    const Json* pins = member(value, "pins");
    if (pins == nullptr || !pins->IsObject()) return;
    for (const auto& pin : pins->GetObject()) {
      const std::string name(text_of(pin.name));
      if (name.empty() || name.find('/') != std::string::npos) {
        fault(child("/plugins/pins", name), "expected the name of a file in the directory");
      }
      if (pin.value.IsString()) config_.plugins.pins.emplace(name, lower(pin.value.GetString()));
    }
  }

  void read_destination(const std::string& name, const Json& value) {
    const std::string pointer = child("/destinations", name);
    check_id(name, pointer);
    if (!value.IsObject()) return;
    Destination destination;
    destination.name = name;
    const std::string text = text_or(value, "url", "");
    const auto url = parse_base_url(text);
    if (url) {
      destination.url = url->text;
    } else if (text_member(value, "url") != nullptr) {
      const std::string at = child(pointer, "url");
      fault(at, shown_at(at, text) + ": " + url.error().message);
    }
    read_headers(value, pointer, destination.headers);
    read_credential(value, pointer, destination);
    read_proxy(value, pointer, destination.proxy);
    if (const Json* tls = member(value, "tls")) {
      destination.ca_file = readable_file(*tls, "ca_file", child(pointer, "tls"));
    }
    read_duration(value, "timeout", pointer, destination.timeout);
    config_.destinations.push_back(std::move(destination));
  }

  void read_credential(const Json& value, const std::string& pointer, Destination& destination) {
    const Json* credential = member(value, "credential");
    if (credential == nullptr || !credential->IsObject()) return;
    const std::string at = child(pointer, "credential");
    const std::string header = text_or(*credential, "header", "authorization");
    if (std::string wrong = name_fault(header); !wrong.empty()) {
      fault(child(at, "header"), std::move(wrong));
    }
    for (const auto& [name, given] : destination.headers) {
      if (lower(name) != lower(header)) continue;
      fault(child(child(pointer, "headers"), name), "the header field of the credential");
    }
    destination.credential_header = header;
    destination.credential_prefix = text_or(*credential, "prefix", "");
    read_secret(*credential, "value", at, destination.credential);
  }

  void read_logger_destinations(const Json& value, const std::string& pointer, Logger& logger) {
    std::vector<std::string> known;
    for (const Destination& each : config_.destinations) known.push_back(each.name);
    const std::string at = child(pointer, "destinations");
    logger.destinations = texts(member(value, "destinations"));
    for (std::size_t i = 0; i < logger.destinations.size(); ++i) {
      const std::string& name = logger.destinations[i];
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      fault(child(at, i), "there is no destination \"" + name + "\"" + did_you_mean(name, known));
    }
  }

  void read_payments(const Json& payments) {
    const Json* stripe = member(payments, "stripe");
    if (stripe == nullptr || !stripe->IsObject()) return;
    read_secret(*stripe, "signing_secret", "/payments/stripe", config_.stripe_signing_secret);
  }

  void read_alerts(const Json& alerts) {
    const std::string at = "/alerts/destination";
    config_.alerts.destination = text_or(alerts, "destination", "");
    config_.alerts.balance_floor_nano = parse_nano(text_or(alerts, "balance_floor", ""));
    const std::size_t faults = faults_.size();
    read_secret(alerts, "signing_secret", "/alerts", config_.alerts.signing_secret);
    const std::string& name = config_.alerts.destination;
    if (name.empty()) return;
    std::vector<std::string> known;
    for (const Destination& each : config_.destinations) known.push_back(each.name);
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      fault(at, "there is no destination \"" + name + "\"" + did_you_mean(name, known));
    } else if (config_.alerts.signing_secret.empty() && faults_.size() == faults) {
      fault(at, "\"signing_secret\" is missing: what is posted has to be signed");
    }
  }

  void read_loggers() {
    const Json* loggers = list("loggers");
    if (member(document_, "loggers") == nullptr && !config_.state.empty()) {
      rapidjson::Document config(rapidjson::kObjectType);
      const std::string file = (config_.state / "records.jsonl").string();
      config.AddMember("path", Json(file, config.GetAllocator()), config.GetAllocator());
      config_.loggers.push_back({"jsonl", to_json(config), {}});
    }
    if (loggers == nullptr) return;
    for (rapidjson::SizeType i = 0; i < loggers->Size(); ++i) {
      const Json& each = (*loggers)[i];
      if (!each.IsObject()) continue;
      const Json* config = member(each, "config");
      const bool given = config != nullptr && config->IsObject();
      Logger logger;
      logger.plugin = text_or(each, "plugin", "");
      logger.config_json = given ? to_json(*config) : "{}";
      read_logger_destinations(each, child("/loggers", i), logger);
      config_.loggers.push_back(std::move(logger));
    }
  }

  // The schema has looked at their form; what it found is a fault already.
  static void read_days(const Json& value, std::string_view name, std::chrono::hours& hours) {
    const Json* text = text_member(value, name);
    if (text == nullptr) return;
    if (const auto days = parse_quantity(text_of(*text), "d"))
      hours = std::chrono::hours(24 * *days);
  }

  static void read_size(const Json& value, std::string_view name, std::uint64_t& bytes) {
    const Json* text = text_member(value, name);
    if (text == nullptr) return;
    std::uint64_t unit = 1'000'000;
    for (const std::string_view suffix : {"MB", "GB", "TB"}) {
      if (const auto count = parse_quantity(text_of(*text), suffix)) bytes = *count * unit;
      unit *= 1000;
    }
  }

  void read_records(const Json& value) {
    Records& records = config_.records;
    const Json* enabled = member(value, "enabled");
    if (enabled != nullptr && enabled->IsBool()) records.enabled = enabled->GetBool();
    read_days(value, "keep", records.keep);
    read_days(value, "usage_keep", records.usage_keep);
    read_size(value, "size_max", records.size_max);
    read_number(value, "plans_one_in", records.plans_one_in);
    if (const Json* bodies = member(value, "bodies")) {
      read_days(*bodies, "keep", records.bodies_keep);
      read_size(*bodies, "size_max", records.bodies_size_max);
      read_size(*bodies, "body_size_max", records.body_size_max);
    }
    if (records.usage_keep < records.keep) {
      fault("/records/usage_keep", "shorter than records.keep; sums are kept at least as long");
    }
  }

  const Json& document_;
  const Sources& sources_;
  Faults& faults_;
  Config config_;
  std::map<std::string, std::string> places_;  // "address port" -> the pointer that took it
};

}  // namespace

Config read_config(const Json& document, const Sources& sources, Faults& faults) {
  return Reader(document, sources, faults).read();
}

std::string shown(const Written& written, const std::string& pointer, std::string_view text) {
  constexpr std::size_t kShownMax = 80;
  const auto original = written.find(pointer);
  const std::string_view visible = original != written.end() ? original->second : text;
  std::string quoted = "\"";
  for (const char c : visible.substr(0, kShownMax)) {
    // A message is one line, whatever was written.
    quoted += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  return quoted + (visible.size() > kShownMax ? "...\"" : "\"");
}

}  // namespace switchyard::config
