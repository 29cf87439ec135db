// Throws where the contract forbids it.
#include <switchyard/logger.h>

#include <stdexcept>

namespace {

swy_rc open(swy_str, const swy_host*, void*, void**, swy_err*) { return SWY_OK; }
void close(void*) {}
swy_rc write(void*, const swy_rec*, std::uint32_t, std::uint32_t, std::uint64_t, std::uint32_t*,
             swy_err*) {
  return SWY_OK;
}
swy_rc flush(void*, std::uint64_t, swy_err*) { return SWY_OK; }
swy_rc init(const swy_host*, swy_err*) { throw std::runtime_error("thrown over the line"); }

constexpr swy_logger kLogger = {sizeof(swy_logger), 0, open, close, write, flush};
constexpr swy_kind kKind = {sizeof(swy_kind), 0,    SWY_LOGGER_IFACE, "thrower",
                            nullptr,          "{}", &kLogger};
constexpr const swy_kind* kKinds[] = {&kKind};
constexpr swy_lib kLib = {sizeof(swy_lib), SWY_MINOR, 0,    0,       1,      "zoo.throws", "1",
                          "test",          kKinds,    init, nullptr, nullptr};

}  // namespace

const swy_lib* swy_plugin_v1(const swy_hello*) { return &kLib; }
