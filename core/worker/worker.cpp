#include "core/worker/worker.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/thread_pool.hpp>
#include <csignal>
#include <future>
#include <thread>

#include "core/account/ledger.hpp"
#include "core/account/loader.hpp"
#include "core/account/registry.hpp"
#include "core/admin/account_routes.hpp"
#include "core/admin/api.hpp"
#include "core/admin/desk.hpp"
#include "core/admin/ledger_routes.hpp"
#include "core/admin/price_routes.hpp"
#include "core/admin/records_routes.hpp"
#include "core/base/clock.hpp"
#include "core/base/os_process.hpp"
#include "core/catalog/price_list.hpp"
#include "core/config/change.hpp"
#include "core/observe/body_keeper.hpp"
#include "core/observe/log.hpp"
#include "core/store/accounts.hpp"
#include "core/store/call_note.hpp"
#include "core/store/crashes.hpp"
#include "core/store/prices.hpp"
#include "core/store/refresh.hpp"
#include "core/store/store.hpp"
#include "core/surface/background.hpp"
#include "core/surface/repeats.hpp"
#include "core/worker/acceptor.hpp"
#include "core/worker/admin_backend.hpp"
#include "core/worker/balance_watch.hpp"
#include "core/worker/billing.hpp"
#include "core/worker/control.hpp"
#include "core/worker/ending.hpp"
#include "core/worker/limit_keeper.hpp"
#include "core/worker/logger_opener.hpp"
#include "core/worker/loop_runtime.hpp"
#include "core/worker/plugin_changes.hpp"
#include "core/worker/plugin_uses.hpp"
#include "core/worker/pressure.hpp"
#include "core/worker/refresh_door.hpp"
#include "core/worker/snapshot_builder.hpp"
#include "switchyard_version.hpp"

namespace switchyard {
namespace {

using std::chrono::milliseconds;
namespace asio = boost::asio;

constexpr milliseconds kHousekeeping{500};
constexpr milliseconds kDrainPoll{20};
// Longer than the trial of a plugin, which the control thread may be at.
constexpr std::chrono::seconds kRefreshMax{15};

// As a program on this machine reaches it.
std::string admin_url(const config::Listen& listen, std::uint16_t port) {
  std::string host = listen.address;
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return (listen.tls ? "https://" : "http://") + host + ":" + std::to_string(port);
}

std::size_t descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur == RLIM_INFINITY ? 1'000'000 : static_cast<std::size_t>(limit.rlim_cur);
}

std::shared_ptr<const net::ServerLimits> server_limits(const config::Limits& from) {
  net::ServerLimits limits;
  limits.head = {from.head_bytes_max, from.target_bytes_max, from.headers_max};
  limits.head_timeout = from.head_timeout;
  limits.tls_timeout = from.tls_timeout;
  limits.body_timeout = from.body_timeout;
  limits.keep_alive_timeout = from.keep_alive_timeout;
  limits.write_timeout = from.write_timeout;
  limits.body_bytes_per_s_min = from.body_bytes_per_s_min;
  return std::make_shared<const net::ServerLimits>(limits);
}

// One worker. Everything but the loops' own work happens on the thread that calls run(): the
// control thread.
class Worker final : public PluginHost {
 public:
  explicit Worker(const WorkerOptions& options);
  ~Worker();

  int run();

  const config::Config& config() const override { return *config_; }
  const exchange::Snapshot& snapshot() const override { return *snapshot_; }
  Result<void, config::Faults> serve_proposed() override;
  void publish() override;
  void tell(PluginReport report) override { admin_state_->publish_plugins(std::move(report)); }

 private:
  // What becomes visible together once every part of it was made.
  struct Next {
    std::shared_ptr<const config::Config> config;
    std::shared_ptr<const exchange::Snapshot> snapshot;
    std::shared_ptr<observe::LoggerFanout> loggers;
    std::vector<std::shared_ptr<net::TlsServer>> tls;
  };

  Result<Next, config::Faults> prepare(std::shared_ptr<const config::Config> config);
  Result<Next, config::Faults> prepare_proposed(std::shared_ptr<const config::Config> config,
                                                std::shared_ptr<const catalog::Catalog> catalog);
  config::Faults propose_plugins(const config::Config& config);
  Result<std::vector<std::shared_ptr<net::TlsServer>>, config::Faults> open_tls(
      const config::Config& config);
  void adopt(Next next);
  void take_changes();
  void refresh(RefreshDoor::Done done);
  void refresh_and_wait();
  void open_refresh_door();
  bool refresh_directory();
  bool load_prices();
  bool open_ledger();
  void end_ledger();
  Result<std::uint64_t, config::Faults> reload();  // the new generation
  Result<std::uint64_t, config::Faults> reload_in_place();
  Result<std::uint64_t, admin::ConfigRefusal> apply_config(const std::string& text);
  std::uint64_t put_in_force(Next next);

  bool start();
  bool open_billing();
  void start_loops();
  void start_admin();
  std::filesystem::path data_directory() const {
    return options_.load.data_directory.empty() ? config::find_data_directory()
                                                : options_.load.data_directory;
  }
  AdminState::Commands commands();
  void read_control();
  void on_message(const control::Message& message);
  void housekeep();
  void begin_drain(milliseconds deadline);
  void poll_drain();
  std::filesystem::path records_directory() const { return state_.directory / "records"; }
  void stop_loops();
  void stop_admin();

  // Runs on the control thread, soon. [any thread]
  template <class Work>
  void on_control(Work work) {
    asio::post(control_, std::move(work));
  }
  // Waits for what the control thread answers. [admin threads]
  template <class Work>
  auto ask_control(Work work) {
    auto done = std::make_shared<std::promise<decltype(work())>>();
    auto answer = done->get_future();
    on_control([done, work] { done->set_value(work()); });
    return answer.get();
  }

  const WorkerOptions& options_;
  asio::io_context control_;
  asio::posix::stream_descriptor control_socket_;
  asio::steady_timer housekeeping_, drain_timer_;
  bool draining_ = false, keys_seen_ = false;
  observe::LogGate keys_gate_{std::chrono::seconds(10)};
  std::chrono::steady_clock::time_point drain_deadline_;

  std::unique_ptr<store::Store> store_;
  std::unique_ptr<store::Database> database_;  // of the classes beside the store
  std::unique_ptr<store::Prices> price_lists_;
  store::State state_;
  std::unique_ptr<store::Accounts> accounts_;
  std::unique_ptr<account::Registry> registry_;
  std::unique_ptr<account::Loader> directory_;
  std::int64_t prices_version_ = 0;
  std::unique_ptr<account::Ledger> ledger_;
  std::unique_ptr<account::SelfService> self_service_;
  std::unique_ptr<store::Database> books_database_;  // the admin's
  std::unique_ptr<store::Books> books_;
  std::shared_ptr<const account::BudgetTable> budgets_;  // as published
  std::unique_ptr<LimitKeeper> limits_;                  // outlives the pool, which prepares them
  BalanceWatch balance_watch_;
  std::unique_ptr<Billing> billing_;  // outlives the pool, which asks it
  std::unique_ptr<plugin::Libraries> libraries_;
  std::unique_ptr<SnapshotBuilder> builder_;
  std::unique_ptr<LoggerOpener> logger_opener_;
  std::unique_ptr<PluginChanges> plugin_changes_;
  std::unique_ptr<RefreshDoor> refresh_door_;
  observe::Metrics metrics_;
  surface::Repeats repeats_;
  surface::BackgroundRuns background_;
  asio::thread_pool compute_{1};
  net::Resolver resolver_{net::Resolver::Options{}};

  std::shared_ptr<const config::Config> config_;
  std::shared_ptr<const exchange::Snapshot> snapshot_;
  catalog::PricesInForce prices_;
  std::shared_ptr<observe::LoggerFanout> loggers_;
  std::unique_ptr<observe::BodyKeeper> body_keeper_;
  std::vector<std::shared_ptr<net::TlsServer>> tls_;

  std::vector<std::unique_ptr<LoopRuntime>> loops_;
  std::unique_ptr<PressureGauge> pressure_;
  std::unique_ptr<Acceptor> acceptor_;
  std::unique_ptr<AdminState> admin_state_;
  std::unique_ptr<admin::Desk> desk_;
  std::unique_ptr<admin::Server> admin_;
};

Worker::Worker(const WorkerOptions& options)
    : options_(options),
      control_socket_(control_, options.control_fd),
      housekeeping_(control_),
      drain_timer_(control_) {}

Worker::~Worker() = default;

// ---- configuration ----

store::BodyLimits body_limits(const config::Records& records) {
  return {records.bodies_keep, records.bodies_size_max};
}

Result<std::vector<std::shared_ptr<net::TlsServer>>, config::Faults> Worker::open_tls(
    const config::Config& config) {
  std::vector<std::shared_ptr<net::TlsServer>> contexts;
  config::Faults faults;
  for (std::size_t i = 0; i < config.listen.size(); ++i) {
    const auto& files = config.listen[i].tls;
    contexts.push_back(nullptr);
    if (!files) continue;
    auto created = net::TlsServer::create(files->certificate.string(), files->key.string());
    if (created) {
      contexts.back() = std::move(*created);
    } else {
      faults.push_back({"/listen/" + std::to_string(i) + "/tls", created.error().message});
    }
  }
  if (!faults.empty()) return faults;
  return contexts;
}

// What the directory holds now. The error: what serves can't take this configuration.
config::Faults Worker::propose_plugins(const config::Config& config) {
  config::Faults unfit;
  for (const auto& refused : libraries_->propose_all(plugin_uses(config))) {
    const std::string file = refused.file.filename().string();
    spdlog::error("plugin_refused file={} reason={}", file, observe::quote(refused.reason));
    if (refused.serving) unfit.push_back({"/plugins", file + " " + refused.reason});
  }
  return unfit;
}

// With the plugins that were proposed. TLS is not part of it.
Result<Worker::Next, config::Faults> Worker::prepare_proposed(
    std::shared_ptr<const config::Config> config, std::shared_ptr<const catalog::Catalog> catalog) {
  Next next;
  next.config = std::move(config);
  // Instances are closed on this thread, whichever loop lets the last request go.
  auto destroy = [this](const exchange::Snapshot* snapshot) {
    on_control([snapshot] { delete snapshot; });
  };
  auto snapshot = builder_->build(next.config, std::move(catalog), std::move(destroy));
  if (!snapshot) return std::move(snapshot).error();
  next.snapshot = std::move(*snapshot);
  auto loggers = logger_opener_->open(*next.config);
  if (!loggers) return std::move(loggers).error();
  next.loggers = std::move(*loggers);
  return next;
}

Result<Worker::Next, config::Faults> Worker::prepare(std::shared_ptr<const config::Config> config) {
  auto catalog = catalog::Catalog::load(data_directory() / "models");
  if (!catalog) return config::Faults{{"", catalog.error().message}};
  auto tls = open_tls(*config);
  if (!tls) return std::move(tls).error();

  config::Faults unfit = propose_plugins(*config);
  auto next = unfit.empty()
                  ? prepare_proposed(std::move(config),
                                     std::make_shared<const catalog::Catalog>(std::move(*catalog)))
                  : Result<Next, config::Faults>(std::move(unfit));
  if (!next) {
    libraries_->withdraw();
    return next;
  }
  next->tls = std::move(*tls);
  return next;
}

// From here on what was proposed serves, and new requests find it with publish().
void Worker::adopt(Next next) {
  plugin_changes_->supersede();
  libraries_->publish();
  config_ = std::move(next.config);
  snapshot_ = std::move(next.snapshot);
  loggers_ = std::move(next.loggers);
  tls_ = std::move(next.tls);
  logger_opener_->set_limits(config_->records);
  body_keeper_->set_limits(body_limits(config_->records));
  const auto configured = billing_->configure(config_);
  if (!configured) {
    spdlog::error("alerts_not_posted reason={}", observe::quote(configured.error().message));
  }
  const auto watched = balance_watch_.configure(*config_);
  if (!watched) {
    spdlog::error("balances_not_watched reason={}", observe::quote(watched.error().message));
  }
}

// ---- plugins ----

Result<void, config::Faults> Worker::serve_proposed() {
  auto next = prepare_proposed(config_, snapshot_->catalog);
  if (!next) return std::move(next).error();
  next->tls = tls_;
  adopt(std::move(*next));
  publish();
  return {};
}

// True: accounts or keys changed, and wait for publish().
bool Worker::refresh_directory() {
  const auto refreshed = directory_->refresh();
  if (!refreshed) {
    if (const auto held = keys_gate_.pass(mono_ns())) {
      spdlog::error("keys_not_loaded reason={} held_back={}",
                    observe::quote(refreshed.error().message), *held);
    }
    return false;
  }
  for (const std::string& id : directory_->take_unreadable()) {
    spdlog::error("key_unusable key={} reason=\"its account, MAC or IP ranges can't be read\"", id);
  }
  return *refreshed;
}

// Of the catalog in force. Where a list can't be read what was in force stays.
bool Worker::load_prices() {
  const auto version = price_lists_->version();
  const auto lists = price_lists_->in_force();
  if (!version || !lists) {
    const Error& fault = version ? lists.error() : version.error();
    spdlog::error("prices_not_loaded reason={}", observe::quote(fault.message));
    return false;
  }
  auto prices = catalog::prices_in_force(*snapshot_->catalog, *lists);
  prices_version_ = *version;
  if (!prices) {
    spdlog::error("prices_not_loaded reason={}", observe::quote(prices.error().message));
    return false;
  }
  prices_ = std::move(*prices);
  return true;
}

// ---- money ----

bool Worker::open_ledger() {
  account::LedgerOptions options;
  options.state = state_.directory;
  options.durable = config_->ledger.durable;
  options.serve_without_disk = config_->ledger.serve_without_disk;
  auto opened = account::Ledger::open(std::move(options));
  if (!opened) {
    spdlog::error("ledger_not_opened reason={}", observe::quote(opened.error().message));
    return false;
  }
  ledger_ = std::move(*opened);
  auto database = store::open_database(state_.directory);
  if (!database) {
    spdlog::error("books_not_opened reason={}", observe::quote(database.error().message));
    return false;
  }
  books_database_ = std::move(*database);
  books_ = std::make_unique<store::Books>(*books_database_);
  return true;
}

// What is not booked now is when the next worker starts.
void Worker::end_ledger() {
  const auto ended = ledger_->end();
  if (!ended) spdlog::error("ledger_not_ended reason={}", observe::quote(ended.error().message));
}

void Worker::publish() {
  auto published = std::make_shared<surface::Published>();
  published->snapshot = snapshot_;
  published->directory = directory_->current();
  published->loggers = loggers_;
  published->prices = prices_;
  published->stripe_webhook = billing_->stripe_webhook(config_);
  published->redeem = billing_->redeemer();
  // Once there was a key, taking it away closes the door rather than opening it to everybody.
  const std::size_t keys = directory_->current()->enabled();
  if (keys > 0) keys_seen_ = true;
  published->open_access = options_.open_access && !keys_seen_;
  published->open_account = directory_->current()->account(std::string(store::kDefaultAccount));
  published->budgets = budgets_ = billing_->budgets();
  published->plans = limits_->plans();
  published->shadow = plugin_changes_->shadow();
  pressure_->configure(config_->overload);
  const auto shared = std::shared_ptr<const surface::Published>(
      new surface::Published(*published), [this](const surface::Published* last) {
        // Loggers write out what is queued when they go, which takes its time.
        on_control([last] { delete last; });
      });
  for (auto& runtime : loops_) {
    runtime->post([gateway = &runtime->gateway, shared] { gateway->publish(shared); });
  }
  LoopRuntime& first = *loops_.front();
  first.post([prober = &first.prober, shared] { prober->publish(shared); });
  admin_state_->publish(snapshot_, loggers_, directory_->current(), prices_);
  plugin_changes_->tell();

  std::vector<ListenerSettings> settings;
  const auto limits = server_limits(config_->limits);
  for (const auto& tls : tls_) settings.push_back({tls, limits});
  const std::size_t descriptors = descriptor_limit();
  const std::size_t usual = descriptors > 200 ? descriptors * 45 / 100 - 64 : descriptors / 4;
  const std::size_t connections_max =
      config_->limits.connections_max > 0 ? config_->limits.connections_max : usual;
  const std::size_t per_address = config_->limits.connections_per_ip_max;
  asio::post(loops_.front()->loop.context(),
             [acceptor = acceptor_.get(), settings, connections_max, per_address]() mutable {
               acceptor->configure(std::move(settings), connections_max, per_address);
             });
}

// Sockets and who may reach them are the supervisor's: it hears of a new configuration by SIGHUP.
Result<std::uint64_t, config::Faults> Worker::reload_in_place() {
  if (draining_) return config::Faults{{"", kEnding}};
  const auto next = config::load(options_.load);
  if (!next) return next.error();
  if (!config::same_listeners(*config_, **next)) {
    return config::Faults{{"/listen", "listeners changed: send SIGHUP to process " +
                                          std::to_string(::getppid()) + " instead"}};
  }
  return reload();
}

Result<std::uint64_t, config::Faults> Worker::reload() {
  auto loaded = config::load(options_.load);
  if (!loaded) return std::move(loaded).error();
  auto next = prepare(std::move(*loaded));
  if (!next) return std::move(next).error();
  return put_in_force(std::move(*next));
}

// Written to the file only once everything that it asks for is open, and in force only once it is
// written: what is refused on the way has changed nothing.
Result<std::uint64_t, admin::ConfigRefusal> Worker::apply_config(const std::string& text) {
  const auto refuse = [](config::Faults faults) {
    admin::ConfigRefusal refusal;
    refusal.faults = std::move(faults);
    return refusal;
  };
  if (draining_) return admin::ConfigRefusal{409, "gateway_ending", kEnding, {}};
  const auto before = admin_state_->config_file_text();
  if (!before) {
    return admin::ConfigRefusal{
        409, "no_config_file", before.error().message + "; start it with --config FILE", {}};
  }
  auto loaded = config::load_text(text, options_.load);
  if (!loaded) return refuse(std::move(loaded).error());
  auto faults = config::unchangeable(*config_, *before, **loaded, text);
  if (!faults.empty()) return refuse(std::move(faults));
  auto next = prepare(std::move(*loaded));
  if (!next) return refuse(std::move(next).error());

  const config::History& history = admin_state_->config_history();
  auto written = history.add(*before, unix_ns() / 1'000'000'000u);
  if (written) written = config::replace_file(options_.load.file, text);
  if (!written) {
    libraries_->withdraw();
    return admin::ConfigRefusal{500, "config_not_written", written.error().message, {}};
  }
  const auto kept = history.add(text, unix_ns() / 1'000'000'000u);
  if (!kept) spdlog::warn("config_history reason={}", observe::quote(kept.error().message));
  return put_in_force(std::move(*next));
}

std::uint64_t Worker::put_in_force(Next next) {
  adopt(std::move(next));
  if (options_.log_level.empty()) (void)observe::set_log_level(config_->log_level).has_value();
  directory_->configure(config_->keys);
  refresh_directory();
  load_prices();
  publish();
  plugin_changes_->watch();
  spdlog::info("configuration_loaded generation={} providers={}", snapshot_->generation,
               snapshot_->providers.size());
  return snapshot_->generation;
}

// ---- start ----

bool Worker::start() {
  auto loaded = config::load(options_.load);
  if (!loaded) {
    for (const auto& fault : loaded.error()) {
      spdlog::error("configuration_fault at={} reason={}", fault.pointer,
                    observe::quote(fault.message));
    }
    return false;
  }
  config_ = std::move(*loaded);
  (void)observe::set_log_level(options_.log_level.empty() ? config_->log_level : options_.log_level)
      .has_value();
  const auto directory = options_.state.empty() ? config_->state : options_.state;
  auto state = store::open_state(directory);
  if (!state) {
    spdlog::error("state_not_opened reason={}", observe::quote(state.error().message));
    return false;
  }
  state_ = std::move(*state);
  auto opened = store::Store::open(directory);
  if (!opened) {
    spdlog::error("store_not_opened reason={}", observe::quote(opened.error().message));
    return false;
  }
  store_ = std::move(*opened);
  auto database = store::open_database(directory);
  if (!database) {
    spdlog::error("store_not_opened reason={}", observe::quote(database.error().message));
    return false;
  }
  database_ = std::move(*database);
  accounts_ = std::make_unique<store::Accounts>(*database_);
  const account::Pepper pepper{Secret(state_.pepper)};
  registry_ = std::make_unique<account::Registry>(*accounts_, pepper);
  body_keeper_ = std::make_unique<observe::BodyKeeper>(
      store::bodies_file(directory), Secret(state_.pepper),
      [this](const std::string& key_id) -> Result<bool> {
        const auto key = accounts_->key(key_id);
        if (!key) return key.error();
        return key->has_value();
      },
      body_limits(config_->records));
  directory_ = std::make_unique<account::Loader>(*accounts_, pepper);
  price_lists_ = std::make_unique<store::Prices>(*database_);
  if (!open_ledger() || !open_billing()) return false;
  limits_ = LimitKeeper::open(state_.directory, *database_);
  if (!limits_) return false;
  self_service_ = std::make_unique<account::SelfService>(*database_, *ledger_);

  plugin::LibraryOptions libraries;
  libraries.directory = plugin_directory(*config_);
  libraries.private_directory = directory / "plugins";
  libraries.pins = config_->plugins.pins;
  libraries.require_pins = config_->plugins.require_pins;
  libraries.quarantined = store::CrashList(libraries.private_directory).quarantined();
  std::error_code ignored;  // where it can't be made no plugin loads, and says why
  std::filesystem::create_directory(libraries.private_directory, ignored);
  std::filesystem::permissions(libraries.private_directory, std::filesystem::perms::owner_all,
                               ignored);
  store::keep_notes(libraries.private_directory);
  libraries_ = std::make_unique<plugin::Libraries>(std::move(libraries));
  builder_ = std::make_unique<SnapshotBuilder>(*libraries_);
  logger_opener_ = std::make_unique<LoggerOpener>(
      *libraries_, records_directory(),
      [this](const observe::LoggerFanout* fanout) { on_control([fanout] { delete fanout; }); });
  plugin_changes_ = std::make_unique<PluginChanges>(control_, *libraries_, *builder_, *this);

  auto next = prepare(config_);
  if (!next) {
    for (const auto& fault : next.error()) {
      spdlog::error("configuration_fault at={} reason={}", fault.pointer,
                    observe::quote(fault.message));
    }
    return false;
  }
  adopt(std::move(*next));
  directory_->configure(config_->keys);
  billing_->read_budgets(static_cast<std::int64_t>(unix_ns() / 1'000'000'000u));
  return refresh_directory() && load_prices();
}

// With the configuration that is loaded.
bool Worker::open_billing() {
  auto database = store::open_database(state_.directory);
  if (!database) {
    spdlog::error("store_not_opened reason={}", observe::quote(database.error().message));
    return false;
  }
  billing_ = std::make_unique<Billing>(std::move(*database), *ledger_,
                                       account::Pepper(Secret(state_.pepper)));
  return true;
}

void Worker::start_loops() {
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  const unsigned count = config_->workers > 0 ? config_->workers : cores;
  std::vector<ServingLoop> serving;
  pressure_ = std::make_unique<PressureGauge>(descriptor_limit());
  for (unsigned i = 0; i < count; ++i) {
    auto& metrics = metrics_.add_loop();
    loops_.push_back(
        std::make_unique<LoopRuntime>(i, resolver_, metrics, compute_, *store_, *ledger_));
    LoopRuntime& runtime = *loops_.back();
    runtime.gateway.set_self_service(self_service_.get());
    runtime.gateway.set_body_keeper(body_keeper_.get());
    runtime.gateway.set_limits(&limits_->limits());
    runtime.gateway.set_overload(&pressure_->overload());
    runtime.gateway.set_repeats(&repeats_);
    runtime.gateway.set_background(&background_);
    pressure_->add_loop(runtime.loop, metrics);
    serving.push_back(
        {&runtime.loop, &runtime.server, &metrics.connections, &metrics.refused_connections});
  }
  acceptor_ = std::make_unique<Acceptor>(loops_.front()->loop, std::move(serving));
  for (const int fd : options_.listen_fds) acceptor_->listen(fd);

  admin_state_ =
      std::make_unique<AdminState>(metrics_, *ledger_, commands(), options_.load, state_.directory);
  admin_state_->watch(&balance_watch_);
  for (auto& runtime : loops_) {
    admin_state_->add_loop(&runtime->loop, &runtime->server, &runtime->pool);
  }

  // Published before the threads run: no connection is served without a snapshot.
  publish();
  for (auto& runtime : loops_) {
    runtime->start();
  }
  pressure_->start();
  start_admin();
}

// The admin's threads may load nothing themselves: they wait for the control thread.
AdminState::Commands Worker::commands() {
  AdminState::Commands commands;
  commands.reload = [this] { return ask_control([this] { return reload_in_place(); }); };
  commands.swap = [this](const std::string& file) {
    return ask_control([this, &file] { return plugin_changes_->swap(file); });
  };
  commands.shadow = [this](const std::string& file, const admin::ShadowTerms& terms) {
    return ask_control([this, &file, &terms] { return plugin_changes_->shadow(file, terms); });
  };
  commands.rollback = [this](const std::string& file) {
    return ask_control([this, &file] { return plugin_changes_->rollback(file); });
  };
  commands.apply = [this](const std::string& text) {
    return ask_control([this, &text] { return apply_config(text); });
  };
  commands.release = [this](const std::string& sha256) {
    return ask_control([this, &sha256] { return plugin_changes_->release(sha256); });
  };
  return commands;
}

// Every change that a call of the admin API makes is in force when it answers. [admin threads]
void Worker::refresh_and_wait() {
  auto told = std::make_shared<std::promise<void>>();
  const auto answer = told->get_future();
  on_control(
      [this, told] { refresh(RefreshDoor::Done(nullptr, [told](void*) { told->set_value(); })); });
  if (answer.wait_for(kRefreshMax) != std::future_status::ready) {
    spdlog::warn("change_not_in_force_yet waited_s={}", kRefreshMax.count());
  }
}

// Without it commands take effect with the next look at the store.
void Worker::open_refresh_door() {
  auto listening = store::listen_for_refresh(state_.directory);
  if (!listening) {
    spdlog::error("refresh_not_listening reason={}", observe::quote(listening.error().message));
    return;
  }
  refresh_door_ =
      std::make_unique<RefreshDoor>(control_, std::move(*listening),
                                    [this](RefreshDoor::Done done) { refresh(std::move(done)); });
}

void Worker::start_admin() {
  auto database = store::open_database(state_.directory);
  if (!database) {
    spdlog::error("admin_not_started reason={}", observe::quote(database.error().message));
    return;
  }
  desk_ = std::make_unique<admin::Desk>(std::move(*database), Secret(state_.pepper));
  std::vector<admin::Route> routes = admin::make_routes(*admin_state_);
  const auto add = [&routes](std::vector<admin::Route> part) {
    std::move(part.begin(), part.end(), std::back_inserter(routes));
  };
  add(admin::account_routes(*registry_, [] { return unix_ns() / 1'000'000'000u; }));
  const admin::FindFamily family = [this](const std::string& id) { return accounts_->family(id); };
  add(admin::ledger_routes(*books_, state_.directory, family));
  add(admin::price_routes(*database_));
  add(admin::records_routes(
      records_directory(),
      [this](const std::string& record_id, const std::string& key_id) {
        return body_keeper_->find(record_id, key_id);
      },
      family));
  add(billing_->routes());
  const auto document = data_directory() / "admin-openapi.json";
  const auto is_within = [this](const std::string& account,
                                const std::string& above) -> Result<bool> {
    const auto lineage = accounts_->lineage(account);
    if (!lineage) return lineage.error();
    return std::any_of(lineage->begin(), lineage->end(),
                       [&](const store::AccountRow& row) { return row.id == above; });
  };
  config::Listen listen = config_->admin;
  if (options_.admin_port != 0) listen.port = options_.admin_port;
  auto started = admin::Server::start(
      listen, Secret(state_.admin_token),
      desk_->complete(std::move(routes), is_within, document, [this] { refresh_and_wait(); }),
      desk_->find_caller());
  if (started) {
    admin_ = std::move(*started);
    const auto written =
        store::write_admin_url(state_.directory, admin_url(listen, admin_->port()));
    if (!written)
      spdlog::warn("admin_url_not_kept reason={}", observe::quote(written.error().message));
  } else {
    spdlog::error("admin_not_started reason={}", observe::quote(started.error().message));
  }
}

int Worker::run() {
  if (!start()) {
    control_.poll();  // what was made on the way is destroyed there
    return kWorkerCannotStart;
  }
  start_loops();
  billing_->start({[this] { return admin_state_->refused_credentials(); },
                   [this] { return balance_watch_.low_balances(); }},
                  [this] { limits_->keep(); });
  read_control();
  plugin_changes_->watch();
  housekeep();
  open_refresh_door();
  control::send(options_.control_fd, control::Tag::kReady);
  // It ends by stop() alone: where the supervisor is gone and a loop is asked, nothing else is
  // pending here.
  const auto work = asio::make_work_guard(control_);
  control_.run();
  // What was published is taken back and destroyed while everything it may need still stands.
  stop_loops();
  compute_.join();  // what is done there comes back to a loop
  stop_admin();
  billing_.reset();
  pressure_.reset();
  limits_->keep();
  end_ledger();  // its threads post to the loops
  control_.restart();
  plugin_changes_.reset();
  snapshot_.reset();
  loggers_.reset();
  admin_state_.reset();
  acceptor_.reset();  // its sockets and timers are of the first loop
  loops_.clear();
  control_.poll();
  control::send(options_.control_fd, control::Tag::kDrained);
  return 0;
}

// ---- control ----

void Worker::read_control() {
  control_socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                             [this](boost::system::error_code ec) {
                               if (ec) return;
                               control::Message message;
                               for (;;) {
                                 const auto got = control::receive(options_.control_fd, message);
                                 if (got == control::Received::kNothing) break;
                                 if (got == control::Received::kClosed) {
                                   spdlog::warn("supervisor_gone action=drain");
                                   begin_drain(config_->limits.drain_timeout);
                                   return;
                                 }
                                 on_message(message);
                               }
                               read_control();
                             });
}

void Worker::on_message(const control::Message& message) {
  switch (message.tag) {
    case control::Tag::kReload: {
      // The loops may be gone by the time that it is read.
      if (draining_) {
        control::send(options_.control_fd, control::Tag::kRefused, kEnding);
        break;
      }
      auto reloaded = reload();
      if (reloaded) {
        control::send(options_.control_fd, control::Tag::kReloaded);
      } else {
        control::send(options_.control_fd, control::Tag::kRefused, join(reloaded.error()));
      }
      break;
    }
    case control::Tag::kDrain: {
      const auto ms = control::parse_ms(message.text);
      begin_drain(ms ? milliseconds(*ms) : config_->limits.drain_timeout);
      break;
    }
    case control::Tag::kLogLevel:
      if (!observe::set_log_level(message.text)) spdlog::warn("log_level_unknown");
      break;
    default:
      break;
  }
}

// What the store says now holds for requests from here on.
void Worker::take_changes() {
  const bool keys = refresh_directory();
  const bool plans = limits_->load_plans();
  const auto version = price_lists_->version();
  const bool prices = version && *version != prices_version_ && load_prices();
  if (!keys && !plans && !prices && billing_->budgets() == budgets_) return;
  publish();
  if (keys) spdlog::info("keys_loaded count={}", directory_->current()->enabled());
  if (prices) spdlog::info("prices_loaded version={}", prices_version_);
}

// `done` goes when every loop has what the store says now.
void Worker::refresh(RefreshDoor::Done done) {
  if (draining_) return;
  billing_->take_budget_changes(static_cast<std::int64_t>(unix_ns() / 1'000'000'000u));
  take_changes();
  for (auto& runtime : loops_) {
    runtime->post([done] {});
  }
}

// What changes outside: keys made while nobody asked for a refresh, certificates renewed on disk.
// And what loops alone can read.
void Worker::housekeep() {
  if (draining_) return;
  take_changes();
  plugin_changes_->leave_resting();
  plugin_changes_->tell();
  for (const auto& tls : tls_) {
    if (!tls) continue;
    const auto changed = tls->reload_if_changed();
    if (!changed) {
      spdlog::error("certificate_not_reloaded reason={}", observe::quote(changed.error().message));
    } else if (*changed) {
      spdlog::info("certificate_reloaded");
    }
  }
  libraries_->settle();
  plugin_changes_->tell();
  for (auto& runtime : loops_) {
    runtime->post([runtime = runtime.get()] { runtime->measure(); });
  }
  housekeeping_.expires_after(kHousekeeping);
  housekeeping_.async_wait([this](boost::system::error_code ec) {
    if (!ec) housekeep();
  });
}

// ---- end ----

void Worker::begin_drain(milliseconds deadline) {
  if (draining_) return;
  draining_ = true;
  drain_deadline_ = std::chrono::steady_clock::now() + deadline;
  housekeeping_.cancel();
  plugin_changes_->end();
  spdlog::info("draining deadline_ms={}", deadline.count());
  // The sockets first, wholly: what is queued on them becomes connections that the loops then know
  // of.
  asio::post(loops_.front()->loop.context(), [this] {
    acceptor_->stop();
    on_control([this] {
      for (auto& runtime : loops_) {
        runtime->post([runtime = runtime.get()] { runtime->drain(); });
      }
      poll_drain();
    });
  });
}

void Worker::poll_drain() {
  auto open = static_cast<std::int64_t>(background_.count());
  for (const auto& runtime : loops_) open += runtime->server.connections();
  const bool late = std::chrono::steady_clock::now() >= drain_deadline_;
  if (open == 0 || late) {
    if (open > 0) spdlog::warn("drain_cut connections={}", open);
    control_.stop();
    return;
  }
  drain_timer_.expires_after(kDrainPoll);
  drain_timer_.async_wait([this](boost::system::error_code ec) {
    if (!ec) poll_drain();
  });
}

// The admin's threads may be waiting for this one: it goes on until they are through.
void Worker::stop_admin() {
  std::thread closing([this] {
    admin_.reset();
    on_control([this] { control_.stop(); });
  });
  control_.restart();
  control_.run();
  closing.join();
}

void Worker::stop_loops() {
  background_.stop_all();
  for (auto& runtime : loops_) runtime->cut();
  for (auto& runtime : loops_) runtime->join();
}

}  // namespace

int run_worker(const WorkerOptions& options) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE}) {
    std::signal(signal, SIG_IGN);
  }
  if (const auto ready = observe::init_log(options.log_level.empty() ? "info" : options.log_level);
      !ready) {
    return kWorkerCannotStart;
  }
  Worker worker(options);
  return worker.run();
}

}  // namespace switchyard
