#include "core/supervisor/plan.hpp"

#include "core/account/keys.hpp"
#include "core/base/clock.hpp"
#include "core/base/os_socket.hpp"
#include "core/store/accounts.hpp"
#include "core/store/store.hpp"

namespace switchyard::supervisor {
namespace {

using Faults = std::vector<std::string>;

Endpoint to_endpoint(const config::Listen& listen) {
  return {listen.address, listen.port, listen.tls.has_value()};
}

std::string name_of(const config::Config& config) {
  return config.source.empty() ? "embedded default" : config.source.string();
}

// "switchyard.json: /listen/0/port: -1, expected 0..65535"
Faults to_lines(const config::LoadOptions& load, const config::Faults& faults) {
  const std::string source = load.file.empty() ? "embedded default" : load.file.string();
  Faults lines;
  for (const config::Fault& fault : faults) {
    const std::string place = fault.pointer.empty() ? "" : fault.pointer + ": ";
    lines.push_back(source + ": " + place + fault.message);
  }
  return lines;
}

Result<Secret> add_first_key(store::Accounts& accounts, const std::string& pepper) {
  Secret key = account::new_gateway_key();
  const account::Pepper mac_maker{Secret(pepper)};
  store::KeyRow row;
  row.id = account::new_id("key_");
  row.name = "first";
  row.account = store::kDefaultAccount;
  row.mac_hex = account::to_hex(mac_maker.mac(key.reveal()));
  row.created_unix_s = unix_ns() / 1'000'000'000u;
  auto added = accounts.add_key(row);
  if (!added) return std::move(added).error();
  return key;
}

// Fills what the state directory decides.
Result<void> consult_store(Plan& plan) {
  auto state = store::open_state(plan.config->state);
  if (!state) return std::move(state).error();
  if (state->fresh) plan.admin_token = Secret(state->admin_token);

  auto database = store::open_database(plan.config->state);
  if (!database) return std::move(database).error();
  store::Accounts accounts(**database);
  const auto keys = accounts.presence();
  if (!keys) return keys.error();

  plan.open_access = plan.config->keys.empty() && !keys->enabled;
  if (plan.open_access && !keys->any && plan.config->source.empty()) {
    auto key = add_first_key(accounts, state->pepper);
    if (!key) return std::move(key).error();
    plan.first_key = std::move(*key);
    plan.open_access = false;
  }
  return {};
}

// Without a key whoever reaches the port spends the credentials behind it: so only this machine
// may.
Faults refuse_wide(const Plan& plan) {
  Faults faults;
  for (std::size_t i = 0; i < plan.listen.size(); ++i) {
    const Endpoint& endpoint = plan.listen[i];
    if (os::is_loopback(endpoint.address)) continue;
    faults.push_back(
        name_of(*plan.config) + ": /listen/" + std::to_string(i) + ": " +
        os::host_port(endpoint.address, endpoint.port) +
        " is not loopback and there is no gateway key: add one with `switchyard key create "
        "--name first`, or the line \"keys\": [{\"name\": \"first\", \"key\": "
        "\"${SWITCHYARD_KEY}\"}] to the configuration");
  }
  return faults;
}

bool same_pins(const config::Plugins& a, const config::Plugins& b) {
  return a.directory == b.directory && a.pins == b.pins && a.require_pins == b.require_pins;
}

// A model that answers without a credential where there is one.
std::string model_to_try(const config::Config& config) {
  for (const config::Provider& provider : config.providers) {
    if (provider.plugin == "demo" && !provider.models.empty()) return provider.models.front();
  }
  return config.models.empty() ? "demo" : config.models.front().name;
}

}  // namespace

Result<Plan, std::vector<std::string>> make_plan(const ServeOptions& options) {
  auto loaded = config::load(options.load);
  if (!loaded) return to_lines(options.load, loaded.error());

  Plan plan;
  plan.config = std::move(*loaded);
  for (const config::Listen& listen : plan.config->listen)
    plan.listen.push_back(to_endpoint(listen));
  plan.admin = to_endpoint(plan.config->admin);
  if (options.port && !plan.listen.empty()) plan.listen.front().port = *options.port;
  if (options.admin_port) plan.admin.port = *options.admin_port;
  plan.log_level = options.log_level.empty() ? plan.config->log_level : options.log_level;

  auto consulted = consult_store(plan);
  if (!consulted) return Faults{consulted.error().message};
  if (plan.open_access) {
    Faults wide = refuse_wide(plan);
    if (!wide.empty()) return wide;
  }
  return plan;
}

bool same_process(const Plan& now, const Plan& next) {
  return now.listen == next.listen && now.admin == next.admin &&
         now.config->state == next.config->state && now.open_access == next.open_access &&
         now.config->workers == next.config->workers &&
         same_pins(now.config->plugins, next.config->plugins);
}

std::string first_start_text(const Plan& plan, const ListenerSet& sockets) {
  if (!plan.first_key && !plan.admin_token) return {};
  std::string text = "First start. State directory: " + plan.config->state.string() + "\n\n";
  if (plan.first_key) text += "gateway key: " + std::string(plan.first_key->reveal()) + '\n';
  if (plan.admin_token) text += "admin token: " + std::string(plan.admin_token->reveal()) + '\n';
  text += "They are shown this once.";
  if (plan.first_key && !sockets.open.empty()) {
    text += " A first request:\n\n  curl " + sockets.open.front()->url() +
            "/v1/chat/completions \\\n    -H 'authorization: Bearer " +
            std::string(plan.first_key->reveal()) +
            "' -H 'content-type: application/json' \\\n    -d '{\"model\": \"" +
            model_to_try(*plan.config) +
            "\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}'\n";
  }
  return text + '\n';
}

}  // namespace switchyard::supervisor
