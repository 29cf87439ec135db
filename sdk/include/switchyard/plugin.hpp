// plugin.hpp - C++20 comfort over plugin.h for plugin authors: errors as values, the host, and the
// one barrier that keeps exceptions inside. Header-only; nothing here allocates on a good path.
#pragma once

#include <switchyard/plugin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <switchyard/json.hpp>
#include <type_traits>
#include <utility>
#include <variant>

namespace swy {

inline std::string_view view(swy_str s) { return {s.p, static_cast<std::size_t>(s.n)}; }
inline swy_str str(std::string_view s) { return {s.data(), s.size()}; }

// A fault as a value: what it means to the host (SWY_CLS_*), and a text for people that holds no
// secret.
struct Error {
  std::int32_t cls = SWY_CLS_PLUGIN;
  std::string message;
  std::uint32_t http = 0;            // the upstream's status, 0 where there was none
  std::uint32_t retry_after_ms = 0;  // 0 where the upstream said nothing
};

// A value or an Error: a subset of std::expected.
template <class T = void>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::move(value)) {}
  Result(Error error) : content_(std::move(error)) {}

  explicit operator bool() const { return content_.index() == 0; }
  bool has_value() const { return content_.index() == 0; }
  T& operator*() & { return *std::get_if<0>(&content_); }
  const T& operator*() const& { return *std::get_if<0>(&content_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&content_)); }
  T* operator->() { return std::get_if<0>(&content_); }
  const T* operator->() const { return std::get_if<0>(&content_); }
  const Error& error() const { return *std::get_if<1>(&content_); }

 private:
  std::variant<T, Error> content_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  explicit operator bool() const { return !error_; }
  bool has_value() const { return !error_; }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

// The host, as the library or one of its instances sees it. Cheap to copy; usable from any thread.
class Host {
 public:
  Host() = default;
  Host(const swy_host* host, void* tag) : host_(host), tag_(tag) {}

  // One line of the host's log; `level` is SWY_LOG_*.
  void log(std::int32_t level, std::string_view text) const {
    if (host_ != nullptr && SWY_FN(host_, swy_host, log)) host_->log(host_, tag_, level, str(text));
  }
  std::uint64_t monotonic_ns() const { return now(0); }
  std::uint64_t unix_ns() const { return now(1); }
  // The table of a host extension, nullptr where this host has none; its functions take raw() and
  // tag().
  const void* extension(const char* id) const {
    return host_ != nullptr && SWY_FN(host_, swy_host, ext) ? host_->ext(host_, id) : nullptr;
  }
  const swy_host* raw() const { return host_; }
  void* tag() const { return tag_; }

 private:
  std::uint64_t now(std::int32_t wall) const {
    return host_ != nullptr && SWY_FN(host_, swy_host, now_ns) ? host_->now_ns(host_, wall) : 0;
  }

  const swy_host* host_ = nullptr;
  void* tag_ = nullptr;
};

namespace detail {

// Copies as much of `text` as fits, cut between code points, NUL-terminated. What an upstream said
// may be anything: a byte that is not UTF-8, or is NUL, becomes a question mark.
inline void put_message(swy_err& err, std::string_view text) noexcept {
  std::size_t at = 0;
  while (!text.empty()) {
    const std::size_t n = text.front() == '\0' ? 0 : json::detail::utf8_length(text);
    const std::size_t taken = n == 0 ? 1 : n;
    if (at + taken >= sizeof err.msg) break;
    std::memcpy(err.msg + at, n == 0 ? "?" : text.data(), taken);
    at += taken;
    text.remove_prefix(taken);
  }
  err.msg[at] = '\0';
}

inline swy_rc put_error(swy_err* err, const Error& error, swy_rc rc) noexcept {
  if (err == nullptr) return rc;
  err->cls = error.cls;
  err->http = error.http;
  err->retry_after_ms = error.retry_after_ms;
  put_message(*err, error.message);
  return rc;
}

inline swy_rc report_bug(const Host& host, swy_err* err, const char* what) noexcept {
  if (err != nullptr) {
    err->cls = SWY_CLS_PLUGIN;
    put_message(*err, what);
  }
  host.log(SWY_LOG_ERROR, what);
  return SWY_E_BUG;
}

// The barrier: every function of a table runs its body through here, so that nothing ever unwinds
// into the host.
template <class Body>
swy_rc guarded(const Host& host, swy_err* err, Body&& body) noexcept {
  try {
    return body();
  } catch (const std::exception& fault) {
    return report_bug(host, err, fault.what());
  } catch (...) {
    return report_bug(host, err, "an exception that is no std::exception");
  }
}

template <class T>
struct IsResult : std::false_type {};
template <class T>
struct IsResult<Result<T>> : std::true_type {};

// Lets an author return T, or Result<T> where it can fail.
template <class T>
decltype(auto) as_result(T&& value) {
  if constexpr (IsResult<std::decay_t<T>>::value) {
    return std::forward<T>(value);
  } else {
    return Result<std::decay_t<T>>(std::forward<T>(value));
  }
}

// An instance is held as what open() returns, or a smart pointer to it; a class without open() is
// made by its default constructor.
template <class T>
auto open_instance(std::string_view config, Host host) {
  if constexpr (requires { T::open(config, host); }) {
    return as_result(T::open(config, host));
  } else {
    return Result<std::unique_ptr<T>>(std::make_unique<T>());
  }
}

template <class T>
T& deref(T& value) {
  return value;
}
template <class T>
T& deref(std::unique_ptr<T>& value) {
  return *value;
}

// open() and close(), which every kind's table has.
template <class T>
struct Instances {
  using Held = std::decay_t<decltype(*open_instance<T>({}, {}))>;

  struct Instance {
    Held held;
    Host host;
  };

  static swy_rc SWY_CALL open(swy_str config, const swy_host* host, void* tag, void** instance,
                              swy_err* err) noexcept {
    const Host mine(host, tag);
    return guarded(mine, err, [&] {
      auto opened = open_instance<T>(view(config), mine);
      if (!opened) return put_error(err, opened.error(), SWY_E_ARG);
      *instance = new Instance{*std::move(opened), mine};
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
};

}  // namespace detail

// What a library is, built once by SWY_PLUGIN.
template <std::size_t N>
class Library {
 public:
  template <class... Kinds>
  Library(const char* id, const char* version, Kinds... kinds) : kinds_{kinds...} {
    for (std::size_t i = 0; i < N; ++i) pointers_[i] = &kinds_[i];
    lib_.size = sizeof lib_;
    lib_.minor = SWY_MINOR;
    lib_.nkinds = static_cast<std::uint32_t>(N);
    lib_.id = id;
    lib_.version = version;
    lib_.build = "C++ " __VERSION__;
    lib_.kinds = pointers_;
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  const swy_lib* get() const { return &lib_; }

 private:
  swy_kind kinds_[N];
  const swy_kind* pointers_[N] = {};
  swy_lib lib_{};
};
template <class... Kinds>
Library(const char*, const char*, Kinds...) -> Library<sizeof...(Kinds)>;

}  // namespace swy

// The entry of a plugin: SWY_PLUGIN("vendor.name", "1.0.0", swy::provider<Mine>("mine", caps),
// ...);
#define SWY_PLUGIN(id, version, ...)                                   \
  extern "C" const swy_lib* SWY_CALL swy_plugin_v1(const swy_hello*) { \
    static const swy::Library library{id, version, __VA_ARGS__};       \
    return library.get();                                              \
  }                                                                    \
  static_assert(true, "takes the semicolon")
