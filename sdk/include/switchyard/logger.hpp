// logger.hpp - C++20 comfort over logger.h: a logger is a class with write() and, where it can,
// flush().
//
//   class Mine {
//    public:
//     // Or a default constructor.
//     static swy::Result<Mine> open(std::string_view config_json, swy::Host host);
//     // How many were taken. swy::overloaded() where it is not the records' fault.
//     swy::Result<std::uint32_t> write(const swy::Records& records, std::uint64_t deadline_ns);
//     swy::Result<> flush(std::uint64_t deadline_ns);  // optional
//   };
//   SWY_PLUGIN("vendor.mine", "1.0.0", swy::logger<Mine>("mine", schema));
//
// A logger that sends its records over the network opens a swy::Destination.
#pragma once

#include <switchyard/http.h>
#include <switchyard/logger.h>

#include <span>
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

// What write() and flush() return where the records wait for better times: all of them are offered
// again, after `retry_after_ms` where it is not 0.
inline Error overloaded(std::string message, std::uint32_t retry_after_ms = 0) {
  return {SWY_CLS_OVERLOADED, std::move(message), 0, retry_after_ms};
}

// A named destination of the configuration (http.h): address, credential and TLS are the host's.
class Destination {
 public:
  struct Answer {
    std::uint32_t status = 0;
    std::uint32_t retry_after_ms = 0;  // 0 where the answer names no time
    std::string body;                  // at most kAnswerMax bytes of it
  };
  static constexpr std::size_t kAnswerMax = 16 * 1024;

  // Fails where this logger's entry of the configuration does not list the destination.
  static Result<Destination> open(Host host, std::string_view name) {
    const auto* table = static_cast<const swy_http*>(host.extension(SWY_HTTP_EXT));
    if (table == nullptr) return Error{SWY_CLS_PLUGIN, "this host has no swy.http/1"};
    swy_err err{};
    err.size = sizeof err;
    if (table->check(host.raw(), host.tag(), str(name), &err) < 0) {
      return Error{SWY_CLS_PLUGIN, err.msg};
    }
    return Destination(host, table, name);
  }

  // Posts and waits; only inside write() and flush(). An answer of any status is no Error.
  Result<Answer> post(std::string_view path, std::span<const swy_kv> headers, std::string_view body,
                      std::uint64_t deadline_ns) {
    swy_http_post post{};
    post.size = sizeof post;
    post.destination = str(name_);
    post.path = str(path);
    post.hdr = headers.data();
    post.nhdr = static_cast<std::uint32_t>(headers.size());
    post.body = str(body);
    post.deadline_ns = deadline_ns;
    Answer answer;
    answer.body.resize(kAnswerMax);
    swy_http_answer raw{};
    raw.size = sizeof raw;
    raw.body = answer.body.data();
    raw.body_max = answer.body.size();
    swy_err err{};
    err.size = sizeof err;
    if (table_->post(host_.raw(), host_.tag(), &post, &raw, &err) < 0) {
      return Error{err.cls, err.msg, err.http, err.retry_after_ms};
    }
    answer.status = raw.status;
    answer.retry_after_ms = raw.retry_after_ms;
    answer.body.resize(raw.body_n);
    return answer;
  }
  Result<Answer> post_json(std::string_view path, std::string_view json,
                           std::uint64_t deadline_ns) {
    const swy_kv type{str("content-type"), str("application/json")};
    return post(path, {&type, 1}, json, deadline_ns);
  }

  const std::string& name() const { return name_; }

 private:
  Destination(Host host, const swy_http* table, std::string_view name)
      : host_(host), table_(table), name_(name) {}

  Host host_;
  const swy_http* table_;
  std::string name_;
};

namespace detail {

template <class L>
struct LoggerTable : Instances<L> {
  using Instance = typename Instances<L>::Instance;

  static swy_rc SWY_CALL write(void* instance, const swy_rec* rec, std::uint32_t n,
                               std::uint32_t stride, std::uint64_t deadline_ns,
                               std::uint32_t* taken, swy_err* err) noexcept {
    auto& self = *static_cast<Instance*>(instance);
    *taken = 0;
    return guarded(self.host, err, [&] {
      const Result<std::uint32_t> wrote =
          as_result(deref(self.held).write(Records(rec, n, stride), deadline_ns));
      if (!wrote) return put_error(err, wrote.error(), SWY_E_DATA);
      *taken = *wrote;
      return SWY_OK;
    });
  }

  static swy_rc SWY_CALL flush(void* instance, std::uint64_t deadline_ns, swy_err* err) noexcept {
    auto& self = *static_cast<Instance*>(instance);
    return guarded(self.host, err, [&] {
      if constexpr (requires { deref(self.held).flush(deadline_ns); }) {
        const Result<> flushed = deref(self.held).flush(deadline_ns);
        if (!flushed) return put_error(err, flushed.error(), SWY_E_DATA);
      }
      return SWY_OK;
    });
  }

  static constexpr swy_logger table = {
      sizeof(swy_logger), 0, &Instances<L>::open, &Instances<L>::close, &write, &flush,
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
