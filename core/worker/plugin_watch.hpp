// Tells when a plugin file was written or renamed into the plugin directory.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "core/base/result.hpp"

namespace switchyard {

// [control thread]
class PluginWatch {
 public:
  // Called with the name of each *.so that is complete, shortly after the last of a run of changes.
  using Changed = std::function<void(const std::string& file)>;

  static Result<std::unique_ptr<PluginWatch>> start(boost::asio::io_context& context,
                                                    const std::filesystem::path& directory,
                                                    Changed changed);
  PluginWatch(const PluginWatch&) = delete;
  PluginWatch& operator=(const PluginWatch&) = delete;

 private:
  PluginWatch(boost::asio::io_context& context, int inotify, std::filesystem::path directory,
              Changed changed);
  void wait();
  void read_events();
  void note_all();
  void tell();

  boost::asio::posix::stream_descriptor inotify_;
  boost::asio::steady_timer settle_;
  const std::filesystem::path directory_;
  const Changed changed_;
  std::set<std::string> names_;
  // Handlers that are queued already when this goes find it gone.
  const std::shared_ptr<const bool> life_ = std::make_shared<const bool>(true);
};

}  // namespace switchyard
