// A file that lines are appended to: rotated by size, opened anew where somebody moved it away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <switchyard/plugin.hpp>

namespace jsonl {

struct FileOptions {
  std::string path;
  std::uint64_t rotate_bytes = 256ULL << 20;  // 0: never
  unsigned keep = 4;                          // old files: path.1 is the youngest
};

class LogFile {
 public:
  static swy::Result<LogFile> open(FileOptions options);
  LogFile(LogFile&& other) noexcept;
  LogFile& operator=(LogFile&&) = delete;
  ~LogFile();

  // Appends whole lines with one write. On failure the error tells why and `written` how many bytes
  // went out; a line that was torn is closed before the next append, so that it can be given again.
  swy::Result<> append(std::string_view lines, std::size_t& written);
  swy::Result<> sync();

 private:
  explicit LogFile(FileOptions options) : options_(std::move(options)) {}
  swy::Result<> reopen();
  swy::Result<> rotate();
  bool moved_away() const;
  swy::Error fault(const char* what) const;
  void close();

  FileOptions options_;
  int fd_ = -1;
  bool torn_ = false;
};

}  // namespace jsonl
