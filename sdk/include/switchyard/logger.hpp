// logger.hpp - C++20 comfort over logger.h: a logger is a class with write() and, where it can,
// flush().
//
//   class Mine {
//    public:
//     static swy::Result<Mine> open(std::string_view config_json, swy::Host host);  // or a default
//     constructor swy::Result<std::uint32_t> write(const swy::Records& records, std::uint64_t
//     deadline_ns);  // how many were taken swy::Result<> flush(std::uint64_t deadline_ns); //
//     optional
//   };
//   SWY_PLUGIN("vendor.mine", "1.0.0", swy::logger<Mine>("mine", schema));
#pragma once

#include <switchyard/logger.h>

#include <memory>
#include <switchyard/plugin.hpp>

namespace swy {

// A batch of records. Strings are read with swy::view(record.id) and so on.
class Records {
 public:
  Records(const swy_rec* first, std::uint32_t count, std::uint32_t stride)
      : first_(first), count_(count), stride_(stride) {}

  std::uint32_t size() const { return count_; }
  const swy_rec& operator[](std::uint32_t i) const { return *SWY_AT(swy_rec, first_, i, stride_); }

 private:
  const swy_rec* first_;
  std::uint32_t count_, stride_;
};

namespace detail {

template <class L>
struct LoggerTable {
  struct Instance {
    std::unique_ptr<L> logger;
    Host host;
  };

  static Result<std::unique_ptr<L>> make(std::string_view config, Host host) {
    if constexpr (requires { L::open(config, host); }) {
      auto opened = as_result(L::open(config, host));
      if (!opened) return opened.error();
      if constexpr (std::is_same_v<std::decay_t<decltype(*opened)>, std::unique_ptr<L>>) {
        return *std::move(opened);
      } else {
        return std::make_unique<L>(*std::move(opened));
      }
    } else {
      return std::make_unique<L>();
    }
  }

  static swy_rc SWY_CALL open(swy_str config, const swy_host* host, void* tag, void** instance,
                              swy_err* err) noexcept {
    const Host mine(host, tag);
    return guarded(mine, err, [&] {
      auto made = make(view(config), mine);
      if (!made) return put_error(err, made.error(), SWY_E_ARG);
      *instance = new Instance{*std::move(made), mine};
      return SWY_OK;
    });
  }

  static void SWY_CALL close(void* instance) noexcept {
    const Host host = static_cast<Instance*>(instance)->host;
    guarded(host, nullptr, [&] {
      delete static_cast<Instance*>(instance);
      return SWY_OK;
    });
  }

  static swy_rc SWY_CALL write(void* instance, const swy_rec* rec, std::uint32_t n,
                               std::uint32_t stride, std::uint64_t deadline_ns,
                               std::uint32_t* taken, swy_err* err) noexcept {
    auto& self = *static_cast<Instance*>(instance);
    *taken = 0;
    return guarded(self.host, err, [&] {
      const Result<std::uint32_t> wrote =
          as_result(self.logger->write(Records(rec, n, stride), deadline_ns));
      if (!wrote) return put_error(err, wrote.error(), SWY_E_DATA);
      *taken = *wrote;
      return SWY_OK;
    });
  }

  static swy_rc SWY_CALL flush(void* instance, std::uint64_t deadline_ns, swy_err* err) noexcept {
    auto& self = *static_cast<Instance*>(instance);
    return guarded(self.host, err, [&] {
      if constexpr (requires { self.logger->flush(deadline_ns); }) {
        const Result<> flushed = self.logger->flush(deadline_ns);
        if (!flushed) return put_error(err, flushed.error(), SWY_E_DATA);
      }
      return SWY_OK;
    });
  }

  static constexpr swy_logger table = {
      sizeof(swy_logger), 0, &open, &close, &write, &flush,
  };
};

}  // namespace detail

// The kind to give to SWY_PLUGIN. schema: of the configuration, or nullptr.
template <class L>
constexpr swy_kind logger(const char* name, const char* schema = nullptr) {
  return {
      sizeof(swy_kind), 0, SWY_LOGGER_IFACE, name, schema, "{}", &detail::LoggerTable<L>::table};
}

}  // namespace swy
