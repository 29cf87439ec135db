// The C++ comfort seen from the host: through the C tables.
#include <stdexcept>
#include <switchyard/logger.hpp>
#include <switchyard/testing.hpp>

using namespace swy::testing;

namespace {

struct LoggedHost {
  LoggedHost() {
    raw.size = sizeof raw;
    raw.ctx = this;
    raw.log = [](const swy_host* host, void* t, std::int32_t l, swy_str text) {
      auto& self = *static_cast<LoggedHost*>(host->ctx);
      self.tag = t;
      self.level = l;
      self.lines.emplace_back(swy::view(text));
    };
    raw.now_ns = [](const swy_host*, std::int32_t wall) -> std::uint64_t {
      return wall != 0 ? 7 : 5;
    };
    raw.ext = [](const swy_host*, const char*) -> const void* { return nullptr; };
  }
  swy_host raw{};
  void* tag = nullptr;
  std::int32_t level = -1;
  std::vector<std::string> lines;
};

// Does what its configuration says: throws where it is told to, fails where it is told to.
struct Clumsy {
  struct Operation {
    std::string_view where;
    swy::Next step(const swy::Event& event, swy::Out& out) {
      if (where == "step") throw std::runtime_error("step threw");
      if (where == "step-int") throw 1;
      if (where == "fail")
        return swy::Next::fail({SWY_CLS_QUOTA, std::string(300, 'x') + "\xC3\xA9", 429, 11});
      if (event.kind() != SWY_EV_START) return swy::Next::unknown_event();
      out.whole("{}", 0);
      return swy::Next::done();
    }
  };
  std::string where;

  static swy::Result<Clumsy> open(std::string_view config, swy::Host) {
    if (config == "open") throw std::runtime_error("open threw");
    if (config == "refuse") return swy::Error{SWY_CLS_PLUGIN, "not this one"};
    return Clumsy{std::string(config)};
  }
  swy::Result<Operation> start(const swy::Request&) const {
    if (where == "start") throw std::runtime_error("start threw");
    if (where == "no") return swy::Error{SWY_CLS_NOT_OFFERED, "not offered"};
    return Operation{where};
  }
};

// The least that a provider needs.
struct Plain {
  struct Operation {
    swy::Next step(const swy::Event&, swy::Out&) { return swy::Next::done(); }
  };
  Operation start(const swy::Request&) const { return {}; }
};

const swy_provider& table(const swy_kind& kind) {
  return *static_cast<const swy_provider*>(kind.vt);
}

struct Outcome {
  swy_rc open = 1, start = 1, step = 1;
  swy_next next{};
  swy_err err{};
  std::vector<std::string> log;
};

Outcome drive(const std::string& config, std::uint32_t event_kind = SWY_EV_START) {
  Outcome result;
  LoggedHost host;
  const swy_provider& vt = table(swy::provider<Clumsy>("clumsy", "{}"));
  int tag = 0;
  void* instance = nullptr;
  void* operation = nullptr;
  const FakeRequest request("chat", "m", "{}");
  const FakeEvent event(event_kind);
  Recorder recorder;
  result.open = vt.open(swy::str(config), &host.raw, &tag, &instance, &result.err);
  if (result.open == SWY_OK) {
    result.start = vt.op_new(instance, &request.get().raw(), &operation, &result.err);
    if (result.start == SWY_OK) {
      result.step =
          vt.op_step(operation, &event.get().raw(), recorder.raw(), &result.next, &result.err);
      vt.op_free(operation);
    }
    vt.close(instance);
  }
  if (!host.lines.empty()) {
    REQUIRE(host.tag == &tag);
    REQUIRE(host.level == SWY_LOG_ERROR);
  }
  result.log = host.lines;
  return result;
}

}  // namespace

TEST_CASE("sdk: no exception crosses, each is logged and told", "[unit][sdk]") {
  REQUIRE(drive("open").open == SWY_E_BUG);
  REQUIRE(drive("open").log == std::vector<std::string>{"open threw"});
  REQUIRE(drive("start").start == SWY_E_BUG);
  REQUIRE(drive("start").log == std::vector<std::string>{"start threw"});
  const Outcome step = drive("step");
  REQUIRE(step.step == SWY_E_BUG);
  REQUIRE(std::string(step.err.msg) == "step threw");
  REQUIRE(drive("step-int").step == SWY_E_BUG);
}

TEST_CASE("sdk: errors as values arrive in the C structs", "[unit][sdk]") {
  REQUIRE(drive("refuse").open == SWY_E_ARG);
  REQUIRE(std::string(drive("refuse").err.msg) == "not this one");
  REQUIRE(drive("no").err.cls == SWY_CLS_NOT_OFFERED);

  const Outcome failed = drive("fail");
  REQUIRE(failed.step == SWY_OK);
  REQUIRE(failed.next.act == SWY_ACT_FAIL);
  REQUIRE(failed.err.cls == SWY_CLS_QUOTA);
  REQUIRE(failed.err.http == 429);
  REQUIRE(failed.err.retry_after_ms == 11);
  REQUIRE(std::string(failed.err.msg) == std::string(255, 'x'));

  REQUIRE(drive("").next.act == SWY_ACT_DONE);
  REQUIRE(drive("", 99).step == SWY_E_UNSUP);
}

TEST_CASE("sdk: a message is never cut inside a character", "[unit][sdk]") {
  swy_err err{};
  swy::detail::put_message(err, std::string(254, 'x') + "\xC3\xA9");
  REQUIRE(std::string(err.msg) == std::string(254, 'x'));
  swy::detail::put_message(err, std::string(253, 'x') + "\xC3\xA9");
  REQUIRE(std::string(err.msg).size() == 255);
}

TEST_CASE("sdk: a message is UTF-8 whatever an upstream said", "[unit][sdk]") {
  swy_err err{};
  swy::detail::put_message(err, std::string_view("a\xFF\xC3\0\xE2\x82\xAC", 7));
  REQUIRE(std::string(err.msg) == "a???\xE2\x82\xAC");
}

TEST_CASE("sdk: a library says what it is, the same on each call", "[unit][sdk]") {
  static const swy::Library library{"vendor.x", "1.2.3",
                                    swy::provider<Plain>("plain", R"({"tasks":[]})"),
                                    swy::provider<Clumsy>("clumsy", "{}", "{}")};
  const swy_lib* lib = library.get();
  REQUIRE(lib->size == sizeof(swy_lib));
  REQUIRE(lib->minor == SWY_MINOR);
  REQUIRE(lib->nkinds == 2);
  REQUIRE(std::string(lib->kinds[0]->name) == "plain");
  REQUIRE(std::string(lib->kinds[1]->iface) == SWY_PROVIDER_IFACE);
  REQUIRE(lib->kinds[0]->schema == nullptr);
}

TEST_CASE("sdk: a logger tells how much it took", "[unit][sdk]") {
  struct Picky {
    swy::Result<std::uint32_t> write(const swy::Records& records, std::uint64_t) {
      if (records.size() == 0) return swy::Error{SWY_CLS_PLUGIN, "nothing"};
      if (swy::view(records[1].id) == "b") return std::uint32_t{1};
      return records.size();
    }
  };
  const swy_kind kind = swy::logger<Picky>("picky");
  const swy_logger& vt = *static_cast<const swy_logger*>(kind.vt);
  LoggedHost host;
  void* instance = nullptr;
  swy_err err{};
  REQUIRE(vt.open({}, &host.raw, nullptr, &instance, &err) == SWY_OK);
  // Records of a newer host are longer: the stride tells.
  struct Longer {
    swy_rec known;
    std::uint64_t later;
  } records[2] = {};
  records[1].known.id = swy::str("b");
  std::uint32_t taken = 9;
  REQUIRE(vt.write(instance, &records[0].known, 2, sizeof(Longer), 0, &taken, &err) == SWY_OK);
  REQUIRE(taken == 1);
  REQUIRE(vt.write(instance, &records[0].known, 0, sizeof(Longer), 0, &taken, &err) < 0);
  REQUIRE(taken == 0);
  REQUIRE(vt.flush(instance, 0, &err) == SWY_OK);
  vt.close(instance);
}
