#include "core/worker/balance_watch.hpp"

#include <rapidjson/document.h>

#include <algorithm>

#include "core/base/clock.hpp"
#include "core/base/os_thread.hpp"
#include "core/observe/log.hpp"

namespace switchyard {
namespace {

using Json = rapidjson::Value;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kAnswerMaxNs = 5'000'000'000;
constexpr std::size_t kDecimals = 9;

// "data.0.total": members, and elements by their number.
const Json* at_place(const Json& from, std::string_view place) {
  const Json* at = &from;
  while (!place.empty()) {
    const std::size_t dot = std::min(place.find('.'), place.size());
    const std::string step(place.substr(0, dot));
    place.remove_prefix(std::min(dot + 1, place.size()));
    if (at->IsArray()) {
      const bool number = !step.empty() && step.size() < 4 &&
                          step.find_first_not_of("0123456789") == std::string::npos;
      const auto index = number ? static_cast<rapidjson::SizeType>(std::stoul(step)) : at->Size();
      if (index >= at->Size()) return nullptr;
      at = &(*at)[index];
    } else {
      if (!at->IsObject()) return nullptr;
      const auto found = at->FindMember(step.c_str());
      if (found == at->MemberEnd()) return nullptr;
      at = &found->value;
    }
  }
  return at;
}

// Numbers are read as the texts that they are.
std::optional<std::string> text_at(const Json& from, const std::string& place) {
  const Json* const found = at_place(from, place);
  if (found == nullptr || !found->IsString()) return std::nullopt;
  return std::string(found->GetString(), found->GetStringLength());
}

// What is beyond the ninth decimal is no money.
Result<Nano> amount_at(const Json& from, const std::string& place) {
  const auto text = text_at(from, place);
  if (!text) return Error{"no amount at \"" + place + '"'};
  const auto amount = parse_signed_nano(std::string_view(*text).substr(
      0, std::min(text->size(), std::min(text->find('.'), text->size()) + 1 + kDecimals)));
  if (!amount) return Error{"no amount at \"" + place + "\" but \"" + text->substr(0, 40) + '"'};
  return *amount;
}

Result<ToldBalance> read_balance(const config::BalanceSource& source, const Json& from) {
  const auto amount = amount_at(from, source.amount);
  if (!amount) return amount.error();
  ToldBalance told{source.currency, *amount};
  if (!source.minus.empty()) {
    const auto used = amount_at(from, source.minus);
    if (!used) return used.error();
    const auto left = add_nano(*amount, -*used);
    if (!left) return Error{"amounts that can't be"};
    told.amount = *left;
  }
  if (!source.currency_at.empty()) told.currency = text_at(from, source.currency_at).value_or("");
  return told;
}

std::string name_of(const config::Provider& provider, const config::Credential& credential) {
  return provider.id + '/' + credential.name;
}

config::Destination destination_of(const config::Provider& provider,
                                   const config::Credential& credential) {
  config::Destination destination;
  destination.name = name_of(provider, credential);
  destination.url = provider.base_url;
  destination.headers = provider.headers;
  destination.credential_header = "authorization";
  destination.credential_prefix = "Bearer ";
  destination.credential = credential.key;
  destination.proxy = provider.proxy;
  destination.ca_file = provider.ca_file;
  destination.allow_private = provider.allow_private;
  return destination;
}

Result<std::vector<ToldBalance>> ask(plugin::Destinations& destinations, const std::string& name,
                                     const config::BalanceSource& source) {
  plugin::Destinations::Post get;
  get.method = "GET";
  get.destination = name;
  get.path = source.path;
  get.deadline_ns = mono_ns() + kAnswerMaxNs;
  const auto answer = destinations.post(get);
  if (!answer) return Error{answer.error().message};
  if (answer->status != 200) return Error{"it answered " + std::to_string(answer->status)};
  return read_balances(source, answer->body);
}

}  // namespace

Result<std::vector<ToldBalance>> read_balances(const config::BalanceSource& source,
                                               std::string_view json) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseNumbersAsStringsFlag | rapidjson::kParseIterativeFlag>(
      json.data(), json.size());
  if (document.HasParseError()) return Error{"its answer is no JSON"};
  std::vector<ToldBalance> all;
  if (source.list.empty()) {
    const auto told = read_balance(source, document);
    if (!told) return told.error();
    all.push_back(*told);
    return all;
  }
  const Json* const list = at_place(document, source.list);
  if (list == nullptr || !list->IsArray()) return Error{"no list at \"" + source.list + '"'};
  for (const Json& each : list->GetArray()) {
    const auto told = read_balance(source, each);
    if (!told) return told.error();
    all.push_back(*told);
  }
  if (all.empty()) return Error{"nothing in the list at \"" + source.list + '"'};
  return all;
}

bool UpstreamBalance::is_low() const {
  return floor && !balances.empty() &&
         std::all_of(balances.begin(), balances.end(),
                     [this](const ToldBalance& told) { return told.amount < *floor; });
}

BalanceWatch::BalanceWatch()
    : thread_([this] {
        name_thread("balances");
        run();
      }) {}

BalanceWatch::~BalanceWatch() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

Result<void> BalanceWatch::configure(const config::Config& config) {
  config::Config asked;
  std::vector<std::string> names;
  std::vector<Watched> next;
  for (const config::Provider& provider : config.providers) {
    if (!provider.balance) continue;
    for (const config::Credential& credential : provider.credentials) {
      asked.destinations.push_back(destination_of(provider, credential));
      names.push_back(asked.destinations.back().name);
      Watched watched{provider.balance->source, provider.balance->every, {}, {}};
      watched.state.provider = provider.id;
      watched.state.credential = credential.name;
      watched.state.floor = provider.balance->floor;
      next.push_back(std::move(watched));
    }
  }
  auto made = plugin::Destinations::make(asked, names);
  const std::lock_guard lock(mutex_);
  ++generation_;
  watched_ = made ? std::move(next) : std::vector<Watched>();
  destinations_ = made ? std::shared_ptr<plugin::Destinations>(std::move(*made)) : nullptr;
  wake_.notify_all();
  if (!made) return made.error();
  return {};
}

// Waits until one is due. At the end it has no destinations.
BalanceWatch::Question BalanceWatch::next(std::unique_lock<std::mutex>& lock) {
  while (!ending_) {
    const auto first =
        std::min_element(watched_.begin(), watched_.end(),
                         [](const Watched& a, const Watched& b) { return a.due < b.due; });
    if (first == watched_.end()) {
      wake_.wait(lock);
    } else if (first->due > Clock::now()) {
      wake_.wait_until(lock, first->due);
    } else {
      first->due = Clock::now() + first->every;
      const auto index = static_cast<std::size_t>(first - watched_.begin());
      return {destinations_, generation_, index,
              first->state.provider + '/' + first->state.credential, first->source};
    }
  }
  return {};
}

void BalanceWatch::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    const Question question = next(lock);
    if (!question.destinations) return;
    lock.unlock();
    auto told = ask(*question.destinations, question.name, question.source);
    lock.lock();
    take(question, std::move(told));
  }
}

void BalanceWatch::take(const Question& question, Result<std::vector<ToldBalance>> told) {
  if (question.generation != generation_) return;
  UpstreamBalance& state = watched_[question.index].state;
  if (told) {
    state.balances = std::move(*told);
    state.told_unix_s = unix_ns() / 1'000'000'000u;
    state.error.clear();
    return;
  }
  // Once for each reason: it is asked again and again.
  if (state.error != told.error().message) {
    spdlog::warn("upstream_balance_unknown provider={} credential={} reason={}", state.provider,
                 state.credential, observe::quote(told.error().message));
  }
  state.error = told.error().message;
}

std::vector<UpstreamBalance> BalanceWatch::balances() const {
  const std::lock_guard lock(mutex_);
  std::vector<UpstreamBalance> all;
  for (const Watched& watched : watched_) all.push_back(watched.state);
  return all;
}

std::vector<account::LowUpstream> BalanceWatch::low_balances() const {
  std::vector<account::LowUpstream> low;
  for (const UpstreamBalance& each : balances()) {
    if (!each.is_low()) continue;
    const auto most = std::max_element(
        each.balances.begin(), each.balances.end(),
        [](const ToldBalance& a, const ToldBalance& b) { return a.amount < b.amount; });
    low.push_back({each.provider, each.credential, most->currency, most->amount, *each.floor});
  }
  return low;
}

}  // namespace switchyard
