#include "core/worker/plugin_watch.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace switchyard {
namespace {

// An installer writes aside, renames, and may touch the file once more.
constexpr std::chrono::milliseconds kSettle{200};

bool is_plugin_name(const std::string& name) {
  return name.ends_with(".so") && !name.starts_with('.');
}

}  // namespace

Result<std::unique_ptr<PluginWatch>> PluginWatch::start(boost::asio::io_context& context,
                                                        const std::filesystem::path& directory,
                                                        Changed changed) {
  const int inotify = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (inotify < 0) return Error{std::string("inotify_init1: ") + std::strerror(errno)};
  if (::inotify_add_watch(inotify, directory.c_str(), IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR) <
      0) {
    const std::string why = std::strerror(errno);
    ::close(inotify);
    return Error{directory.string() + ": " + why};
  }
  std::unique_ptr<PluginWatch> watch(
      new PluginWatch(context, inotify, directory, std::move(changed)));
  watch->wait();
  return watch;
}

PluginWatch::PluginWatch(boost::asio::io_context& context, int inotify,
                         std::filesystem::path directory, Changed changed)
    : inotify_(context, inotify),
      settle_(context),
      directory_(std::move(directory)),
      changed_(std::move(changed)) {}

void PluginWatch::wait() {
  inotify_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      [this, life = std::weak_ptr(life_)](boost::system::error_code ec) {
                        if (ec || life.expired()) return;
                        read_events();
                        wait();
                      });
}

void PluginWatch::read_events() {
  alignas(inotify_event) char buffer[16 * 1024];
  for (;;) {
    const ssize_t size = ::read(inotify_.native_handle(), buffer, sizeof buffer);
    if (size <= 0) break;
    for (const char* at = buffer; at < buffer + size;) {
      const auto& event = *reinterpret_cast<const inotify_event*>(at);
      at += sizeof event + event.len;
      if ((event.mask & IN_Q_OVERFLOW) != 0) note_all();
      if (event.len > 0 && is_plugin_name(event.name)) names_.insert(event.name);
    }
  }
  if (names_.empty()) return;
  settle_.expires_after(kSettle);
  settle_.async_wait([this, life = std::weak_ptr(life_)](boost::system::error_code ec) {
    if (!ec && !life.expired()) tell();
  });
}

void PluginWatch::note_all() {
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, failed)) {
    const std::string name = entry.path().filename().string();
    if (is_plugin_name(name)) names_.insert(name);
  }
}

void PluginWatch::tell() {
  std::set<std::string> names;
  names.swap(names_);
  for (const std::string& name : names) changed_(name);
}

}  // namespace switchyard
