#include <catch2/catch.hpp>
#include <map>
#include <regex>
#include <sstream>

#include "core/plugin/provider.hpp"
#include "core/plugin/trial.hpp"
#include "tests/abi/zoo.hpp"

namespace switchyard::plugin::test {
namespace {

using Intent = Libraries::Intent;

Uses answer_use(const std::string& config = "{}") {
  return {{"provider", "answer", "a", config, "m"}, {"provider", "other", "b", "{}", "m"}};
}

std::string swap(Libraries& libraries, const fs::path& file, const Uses& uses = answer_use()) {
  const auto proposed = libraries.propose(file, uses, Intent::kSwap);
  if (!proposed) return proposed.error().reason;
  libraries.publish();
  return "";
}

std::string reload(Libraries& libraries, const Uses& uses) {
  const auto refused = libraries.propose_all(uses);
  libraries.publish();
  return refused.empty() ? "" : refused.front().reason;
}

// "1 draining, 2 serving"
std::string states(const Libraries& libraries, const std::string& file = "a.so") {
  std::string text;
  for (const auto& generation : libraries.files().at(file)) {
    text += (text.empty() ? "" : ", ") + std::to_string(generation->number) + " " +
            to_string(generation->state);
  }
  return text;
}

std::string version(const Libraries& libraries) {
  const auto found = libraries.find("provider", "answer");
  return found.library ? found.library->version() : "none";
}

using Instance = std::shared_ptr<ProviderInstance>;

Instance share(Libraries& libraries, const std::string& config = "{}",
               ProviderInstance** predecessor = nullptr, Keep keep = Keep::kWarm) {
  const auto open = [&](ProviderInstance* before) -> Result<Instance> {
    if (predecessor) *predecessor = before;
    auto opened = ProviderInstance::open(libraries, "answer", config, "a");
    if (!opened) return opened.error();
    return Instance(std::move(*opened));
  };
  auto shared = libraries.share<ProviderInstance>({"provider", "answer", "a", config}, keep, open);
  REQUIRE(shared);
  return *shared;
}

const std::map<std::string, std::string> kUseDefects = {
    {"open_crashes", "crashed in open(provider a) with SIGSEGV"},
    {"open_hangs", "hung in open(provider a): no answer within 0.2 s"},
    {"open_refuses", "open(provider a) failed: settings: expected something else"},
    {"op_new_fails", "op_new(provider a) failed: no more operations"},
    {"step_crashes", "crashed in op_step(provider a) with SIGSEGV"},
    {"step_nonsense",
     "op_step(provider a) failed: op_step answered with act 77, which the contract does not know"},
    {"step_feeds",
     "op_step(provider a) failed: START was answered FEED, but nothing is there to feed"},
    {"step_sends_nothing", "op_step(provider a) failed: START was answered SEND without a request"},
    {"step_says_nothing", "op_step(provider a) failed: START was answered DONE without an answer"},
    {"step_garbles",
     "op_step(provider a) failed: START was answered with a whole answer that is not JSON"},
    {"close_crashes", "crashed in close(provider a) with SIGSEGV"},
};

}  // namespace

TEST_CASE("plugin: a swap is refused with the step in which the configured plugin fails", "[abi]") {
  for (const auto& [defect, text] : kUseDefects) {
    CAPTURE(defect);
    const Directory directory;
    LibraryOptions options = directory.options();
    if (defect == "open_hangs") options.trial_max = std::chrono::milliseconds(200);
    Libraries libraries(options);
    REQUIRE(swap(libraries, directory.add("answer_one", "a.so")) == "");
    CHECK(swap(libraries, directory.add("answer_" + defect, "a.so")) == text);
    CHECK(version(libraries) == "one");
    CHECK(states(libraries) == "1 serving, 2 refused");
    CHECK(libraries.files().at("a.so").back()->reason == text);
  }
}

TEST_CASE("plugin: each refusal of a rehearsal is in the table of sdk/PLUGINS.md", "[abi]") {
  const auto documented = documented_refusals();
  for (const auto& [defect, text] : kUseDefects) {
    CAPTURE(text);
    CHECK(is_documented(documented, text));
  }
}

TEST_CASE("plugin: a trial opens only what the configuration asks of this library", "[abi]") {
  const Directory directory;
  Libraries libraries(directory.options());
  const Uses elsewhere = {{"provider", "other", "b", "{}", "m"}};
  CHECK(swap(libraries, directory.add("answer_open_crashes", "a.so"), elsewhere) == "");
}

TEST_CASE("plugin: uses of any size and content reach the trial unchanged", "[abi]") {
  const Directory directory;
  Libraries libraries(directory.options());
  Uses many;
  for (int i = 0; i < 40; ++i) {
    many.push_back({"provider", "answer", std::string("p\n\"") + std::to_string(i),
                    "{\"pad\":\"" + std::string(10'000, 'x') + "\\n\"}", "m"});
  }
  many.push_back({"logger", "note", "last", R"({"do":"refuse"})", ""});
  CHECK(swap(libraries, directory.add("answer_one", "a.so"), many) ==
        "open(logger last) failed: do: it does not");

  const auto again = parse_uses(to_json(many));
  REQUIRE(again);
  CHECK(again->at(3).id == many[3].id);
  CHECK(again->at(3).config == many[3].config);
  for (const char* bad : {"", "{}", "[1]", R"([{"kind":1}])", "[{}"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_uses(bad));
  }
}

TEST_CASE("plugin: a swap serves at once, and what served before drains until nobody has it",
          "[abi]") {
  const Directory directory;
  LibraryOptions options = directory.options();
  options.warm = std::chrono::milliseconds(0);
  Libraries libraries(options);
  REQUIRE(swap(libraries, directory.add("answer_one", "a.so")) == "");
  Instance old = share(libraries);
  REQUIRE(swap(libraries, directory.add("answer_two", "a.so")) == "");
  const Instance fresh = share(libraries);
  CHECK(fresh->library().version() == "two");
  CHECK(old->library().version() == "one");

  libraries.settle();
  CHECK(states(libraries) == "1 draining, 2 serving");
  CHECK(libraries.files().at("a.so")[0]->instances() == 1);
  CHECK(libraries.files().at("a.so")[0]->pins() == 1);
  old.reset();
  libraries.settle();
  CHECK(states(libraries) == "1 retired, 2 serving");
  CHECK_FALSE(libraries.files().at("a.so")[0]->library);
}

TEST_CASE("plugin: a proposal is seen while it is made, and gone when it is withdrawn", "[abi]") {
  const Directory directory;
  Libraries libraries(directory.options());
  REQUIRE(swap(libraries, directory.add("answer_one", "a.so")) == "");
  const Instance served = share(libraries);

  REQUIRE(libraries.propose(directory.add("answer_two", "a.so"), {}, Intent::kSwap));
  CHECK(version(libraries) == "two");
  ProviderInstance* predecessor = nullptr;
  Instance proposed = share(libraries, "{}", &predecessor);
  CHECK(proposed != served);
  CHECK(predecessor == served.get());
  proposed.reset();

  libraries.withdraw("/providers/a: no");
  CHECK(version(libraries) == "one");
  CHECK(share(libraries) == served);
  CHECK(states(libraries) == "1 serving, 2 refused");
}

TEST_CASE("plugin: instances are shared while library and configuration stay", "[abi]") {
  const Directory directory;
  Libraries libraries(directory.options());
  const fs::path file = directory.add("answer_one", "a.so");
  REQUIRE(swap(libraries, file) == "");
  const Instance first = share(libraries);
  CHECK(share(libraries) == first);
  CHECK(reload(libraries, answer_use()) == "");
  CHECK(share(libraries) == first);
  CHECK(states(libraries) == "1 serving");

  ProviderInstance* predecessor = nullptr;
  const Instance changed = share(libraries, R"({"k":1})", &predecessor);
  CHECK(changed != first);
  CHECK(predecessor == first.get());

  // The same content swapped: nothing is mapped, and what is made of it is new.
  const std::size_t mapped = libraries.mapped();
  REQUIRE(swap(libraries, file) == "");
  CHECK(libraries.mapped() == mapped);
  const Instance second = share(libraries);
  CHECK(second != first);
  CHECK(&second->library() == &first->library());
  CHECK(states(libraries) == "1 draining, 2 serving");
}

TEST_CASE("plugin: a rollback brings back the generation before with its instances", "[abi]") {
  const Directory directory;
  Libraries libraries(directory.options());
  CHECK(libraries.propose_previous("a.so").error().message == "there is no plugin a.so");
  REQUIRE(swap(libraries, directory.add("answer_one", "a.so")) == "");
  CHECK(libraries.propose_previous("a.so").error().message ==
        "no generation served before this one");
  // Held by nobody but the swap, which keeps it warm.
  Instance held = share(libraries);
  const std::weak_ptr<ProviderInstance> first = held;
  REQUIRE(swap(libraries, directory.add("answer_two", "a.so")) == "");
  held.reset();
  libraries.settle();

  // Until it is published the swap holds it, then whoever asked for it.
  REQUIRE(libraries.propose_previous("a.so"));
  REQUIRE_FALSE(first.expired());
  const Instance again = share(libraries);
  CHECK(again == first.lock());
  libraries.publish();
  CHECK(states(libraries) == "1 serving, 2 draining");
  CHECK(version(libraries) == "one");

  // A reload does not bring back what was left; a swap does, and so does a rollback of the
  // rollback.
  CHECK(reload(libraries, answer_use()) == "");
  CHECK(version(libraries) == "one");
  REQUIRE(libraries.propose_previous("a.so"));
  libraries.publish();
  CHECK(version(libraries) == "two");
  CHECK(states(libraries) == "1 draining, 2 serving");
}

TEST_CASE("plugin: a generation is let go when its time is over", "[abi]") {
  const Directory directory;
  LibraryOptions options = directory.options();
  options.warm = std::chrono::milliseconds(0);
  Libraries libraries(options);
  REQUIRE(swap(libraries, directory.add("answer_one", "a.so")) == "");
  REQUIRE(swap(libraries, directory.add("answer_two", "a.so")) == "");
  CHECK(libraries.propose_previous("a.so").error().message ==
        "the generation before is gone: it is kept for 0 s");
}

TEST_CASE("plugin: what may not be kept warm ends with its last user", "[abi]") {
  const Directory directory;
  Libraries libraries(directory.options());
  REQUIRE(swap(libraries, directory.add("answer_one", "a.so")) == "");
  std::weak_ptr<ProviderInstance> kept = share(libraries, R"({"k":1})");
  Instance held = share(libraries, "{}", nullptr, Keep::kNot);
  const std::weak_ptr<ProviderInstance> not_kept = held;
  REQUIRE(swap(libraries, directory.add("answer_two", "a.so")) == "");
  held.reset();
  CHECK(not_kept.expired());
  CHECK(kept.expired());  // nobody had it at the swap
}

TEST_CASE("plugin: three refusals of one content quarantine it until it is released", "[abi]") {
  const Directory directory;
  Libraries libraries(directory.options());
  REQUIRE(swap(libraries, directory.add("answer_one", "a.so")) == "");
  const fs::path bad = directory.add("answer_open_refuses", "a.so");
  const std::string reason = "open(provider a) failed: settings: expected something else";
  for (int i = 0; i < 3; ++i) CHECK(swap(libraries, bad) == reason);
  CHECK(states(libraries) == "1 serving, 2 quarantined");
  const std::string quarantined =
      "is quarantined: it was refused 3 times, last because it " + reason;
  CHECK(swap(libraries, bad) == quarantined);
  // Under another name too, and for a reload.
  CHECK(swap(libraries, directory.add("answer_open_refuses", "b.so")) == quarantined);
  fs::remove(directory.plugins() / "b.so");
  CHECK(reload(libraries, answer_use()) == quarantined);

  // A changed file is another content.
  CHECK(swap(libraries, directory.add("answer_two", "a.so")) == "");

  const std::string sha256 = libraries.files().at("a.so")[1]->sha256;
  CHECK_FALSE(libraries.release(std::string(64, '0')));
  CHECK(libraries.release(sha256));
  CHECK_FALSE(libraries.release(sha256));
  CHECK(swap(libraries, directory.add("answer_open_refuses", "a.so")) == reason);
  CHECK(swap(libraries, directory.plugins() / "a.so", {}) == "");
}

TEST_CASE("plugin: a reload tries what serves with the new configuration", "[abi]") {
  const Directory directory;
  Libraries libraries(directory.options());
  directory.add("answer_one", "a.so");
  REQUIRE(reload(libraries, answer_use()) == "");

  const auto refused = libraries.propose_all(answer_use(R"({"do":"crash"})"));
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].serving);
  CHECK(refused[0].reason == "crashed in open(provider a) with SIGSEGV");
  libraries.withdraw();
  CHECK(version(libraries) == "one");

  // An open() that says no is for whoever opens it: the fault has a place in the configuration.
  CHECK(reload(libraries, answer_use(R"({"do":"refuse"})")) == "");
  directory.add("answer_two", "a.so");
  CHECK(reload(libraries, answer_use(R"({"do":"refuse"})")) == "");
  CHECK(version(libraries) == "two");
}

TEST_CASE("plugin: the watch takes what is new and does not try a refused content again", "[abi]") {
  const Directory directory;
  Libraries libraries(directory.options());
  const auto watch = [&](const fs::path& file) {
    const auto proposed = libraries.propose(file, answer_use(), Intent::kWatch);
    if (!proposed) return std::string("refused");
    libraries.publish();
    return std::string(proposed->changed ? "changed" : "unchanged");
  };
  CHECK(watch(directory.add("answer_one", "a.so")) == "changed");
  CHECK(watch(directory.plugins() / "a.so") == "unchanged");
  CHECK(watch(directory.add("answer_step_crashes", "a.so")) == "refused");
  CHECK(watch(directory.plugins() / "a.so") == "unchanged");
  CHECK(version(libraries) == "one");
  CHECK(watch(directory.add("answer_two", "a.so")) == "changed");
}

TEST_CASE("plugin: two files of the same content are one plugin", "[abi]") {
  const Directory directory;
  Libraries libraries(directory.options());
  REQUIRE(swap(libraries, directory.add("answer_one", "a.so")) == "");
  CHECK(swap(libraries, directory.add("answer_one", "b.so")) ==
        "has the content of a.so, which serves");
}

TEST_CASE("plugin: only so many libraries are mapped", "[abi]") {
  const Directory directory;
  LibraryOptions options = directory.options();
  {
    Libraries libraries(options);
    REQUIRE(swap(libraries, directory.add("answer_one", "a.so")) == "");
    options.mapped_max = static_cast<unsigned>(libraries.mapped());
  }
  Libraries libraries(options);
  // What is mapped may serve again; what is not is one too many.
  CHECK(swap(libraries, directory.plugins() / "a.so") == "");
  CHECK(swap(libraries, directory.add("answer_three", "a.so")) ==
        "can't be mapped: " + std::to_string(options.mapped_max) +
            " libraries are, and none is ever unmapped; a hot restart begins anew");
  CHECK(version(libraries) == "one");
}

TEST_CASE("plugin: a content is not blamed for a trial that can't be held", "[abi]") {
  const Directory directory;
  LibraryOptions options = directory.options();
  options.trial_program = "/nowhere/switchyard";
  Libraries libraries(options);
  const fs::path file = directory.add("answer_one", "a.so");
  for (int i = 0; i < 5; ++i) {
    CHECK(swap(libraries, file) ==
          "trial: can't start /nowhere/switchyard: No such file or directory");
  }
  CHECK(states(libraries) == "1 refused");
  // And a name that is nowhere leaves no trace.
  CHECK(swap(libraries, directory.plugins() / "no.so") ==
        "can't be opened: No such file or directory");
  CHECK_FALSE(libraries.files().contains("no.so"));
}

TEST_CASE("plugin: the history of a file stays short", "[abi]") {
  const Directory directory;
  LibraryOptions options = directory.options();
  options.warm = std::chrono::milliseconds(0);
  options.trial = false;
  Libraries libraries(options);
  const fs::path file = directory.add("answer_one", "a.so");
  for (int i = 0; i < 50; ++i) {
    REQUIRE(swap(libraries, file) == "");
    libraries.settle();
  }
  CHECK(libraries.files().at("a.so").size() == 17);
  CHECK(libraries.files().at("a.so").back()->number == 50);
}

}  // namespace switchyard::plugin::test
