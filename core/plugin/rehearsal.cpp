#include "core/plugin/rehearsal.hpp"

#include <rapidjson/document.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <sstream>

#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/plugin/destinations.hpp"
#include "core/plugin/host.hpp"
#include "core/plugin/provider.hpp"

namespace switchyard::plugin {
namespace {

using Step = std::function<void(const std::string&)>;

// The smallest request of each task that CANONICAL.md has; what comes after the model's name.
struct Sample {
  const char* task;
  const char* rest;
};
constexpr std::array<Sample, 4> kSamples = {{
    {"chat", R"("messages":[{"role":"user","content":"Hello"}]})"},
    {"completions", R"("prompt":"Hello"})"},
    {"embeddings", R"("input":"Hello"})"},
    {"moderations", R"("input":"Hello"})"},
}};

const Sample* sample_for(const ProviderCaps& caps) {
  const auto found = std::find_if(kSamples.begin(), kSamples.end(),
                                  [&](const Sample& sample) { return caps.has_task(sample.task); });
  return found == kSamples.end() ? nullptr : &*found;
}

bool is_json(std::string_view text) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
  return !document.HasParseError();
}

// Takes whatever an operation writes; remembers what the answer to START has to agree with.
class Witness : public OperationSink {
 public:
  swy_rc req_begin(std::string_view method, std::string_view url, std::uint32_t,
                   std::uint32_t) override {
    asked = !method.empty() && !url.empty();
    return SWY_OK;
  }
  swy_rc req_header(std::string_view, std::string_view) override { return SWY_OK; }
  swy_rc req_auth(std::string_view, std::string_view, std::string_view) override { return SWY_OK; }
  swy_rc req_body(std::span<const swy_seg>) override { return SWY_OK; }
  swy_rc emit(std::uint32_t what, std::uint32_t, std::string_view data) override {
    if (what != SWY_EMIT_WHOLE) return SWY_OK;
    answered = true;
    broken = !is_json(data);
    return SWY_OK;
  }

  bool asked = false, answered = false, broken = false;
};

Result<void> judge_start(const Operation::Next& next, const Witness& seen) {
  const auto answered = [](const std::string& what) { return Error{"START was answered " + what}; };
  if (seen.broken) return answered("with a whole answer that is not JSON");
  switch (next.act) {
    case SWY_ACT_SEND:
      if (!seen.asked) return answered("SEND without a request");
      return {};
    case SWY_ACT_DONE:
      if (!seen.answered) return answered("DONE without an answer");
      return {};
    case SWY_ACT_WAIT:
      return {};
    case SWY_ACT_FEED:
      return answered("FEED, but nothing is there to feed");
    default:
      // What it says of the request or of the upstream is no fault of its own.
      if (next.fault.cls == SWY_CLS_PLUGIN) return Error{next.fault.message};
      return {};
  }
}

Result<void> begin_request(ProviderInstance& instance, const Use& use, const Sample& sample,
                           const std::string& where, const Step& step) {
  const std::string model = use.model.empty() ? "trial" : use.model;
  std::string body = R"({"model":)";
  append_json_string(body, model);
  body += ',';
  body += sample.rest;
  JsonIndex index;
  [[maybe_unused]] const auto scanned = index.scan(body);
  assert(scanned);  // made above

  swy_req request{};
  request.size = sizeof request;
  request.id = to_swy("trial");
  request.task = to_swy(sample.task);
  request.model = to_swy(model);
  request.body = to_swy(body);
  request.member = index.members().data();
  request.nmember = static_cast<std::uint32_t>(index.members().size());
  request.member_stride = sizeof(swy_member);

  const auto failed = [&](const char* call, const std::string& why) {
    return Error{std::string(call) + where + " failed: " + why};
  };
  step("op_new" + where);
  auto operation = Operation::start(instance, request);
  if (!operation) {
    if (operation.error().cls != SWY_CLS_PLUGIN) return {};
    return failed("op_new", operation.error().message);
  }
  swy_ev event{};
  event.size = sizeof event;
  event.kind = SWY_EV_START;
  event.now_ns = mono_ns();
  Witness seen;
  step("op_step" + where);
  const Operation::Next next = operation->step(event, seen);
  if (const auto sound = judge_start(next, seen); !sound) {
    return failed("op_step", sound.error().message);
  }
  step("op_free" + where);
  return {};
}

Result<void> rehearse_provider(const Libraries& libraries, const Use& use, const std::string& where,
                               const Step& step) {
  step("open" + where);
  auto instance = ProviderInstance::open(libraries, use.kind, use.config, use.id);
  if (!instance) {
    // Its name is in the step already.
    std::string why = instance.error().message;
    const std::string named = "provider \"" + use.id + "\": plugin \"" + use.kind + "\": ";
    if (why.starts_with(named)) why.erase(0, named.size());
    return Error{"open" + where + " failed: " + why};
  }
  if (const Sample* sample = sample_for((*instance)->caps())) {
    const auto begun = begin_request(**instance, use, *sample, where, step);
    if (!begun) return begun.error();
  }
  step("close" + where);
  instance->reset();
  return {};
}

// Such as a logger may post to, by name alone: nothing is posted in a trial, and nothing could be.
std::unique_ptr<Destinations> named_destinations(const std::string& names) {
  config::Config config;
  std::vector<std::string> wanted;
  std::istringstream words(names);
  for (std::string name; std::getline(words, name, ',');) {
    config::Destination destination;
    destination.name = name;
    destination.url = "http://127.0.0.1:9";
    config.destinations.push_back(std::move(destination));
    wanted.push_back(name);
  }
  auto made = Destinations::make(config, wanted);
  return made ? std::move(*made) : nullptr;
}

// A strategy or a logger: their tables begin alike.
template <class Table>
Result<void> rehearse_table(const Kind& kind, const Use& use, const std::string& where,
                            const Step& step) {
  const auto& table = *static_cast<const Table*>(kind.vt);
  const auto destinations = named_destinations(use.destinations);
  InstanceTag tag{use.id, destinations.get()};
  swy_err err{};
  err.size = sizeof err;
  void* instance = nullptr;
  step("open" + where);
  const swy_rc rc = table.open(to_swy(use.config), host_table(), &tag, &instance, &err);
  if (rc < 0) return Error{"open" + where + " failed: " + fault_text(rc, err)};
  step("close" + where);
  table.close(instance);
  return {};
}

}  // namespace

Result<void> rehearse(const Offer& offer, const Uses& uses, const Step& step) {
  Libraries libraries(offer);
  for (const Use& use : uses) {
    const Libraries::Found found = libraries.find(use.family, use.kind);
    if (!found.kind) continue;
    const std::string where = "(" + use.family + " " + use.id + ")";
    Result<void> done;
    if (use.family == "provider") {
      done = rehearse_provider(libraries, use, where, step);
    } else if (use.family == "strategy") {
      done = rehearse_table<swy_strategy>(*found.kind, use, where, step);
    } else if (use.family == "logger") {
      done = rehearse_table<swy_logger>(*found.kind, use, where, step);
    }
    if (!done) return done;
  }
  return {};
}

}  // namespace switchyard::plugin
