// A file that lines are appended to: rotated by size and by time, opened anew where somebody moved
// it away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <switchyard/plugin.hpp>

namespace jsonl {

struct FileOptions {
  std::string path;
  std::uint64_t rotate_bytes = 256ULL << 20;  // 0: never by size
  unsigned keep = 4;                          // old files: path.1 is the youngest
  std::uint64_t rotate_every_s = 0;           // periods of UTC, from 1970 on; 0: never by time
  std::uint64_t keep_for_s = 0;               // old files by their age; 0: for ever
};

class LogFile {
 public:
  static swy::Result<LogFile> open(FileOptions options);
  LogFile(LogFile&& other) noexcept;
  LogFile& operator=(LogFile&&) = delete;
  ~LogFile();

  // Appends whole lines with one write. On failure the error tells why and `written` how many bytes
  // went out; a line that was torn is closed before the next append, so that it can be given again.
  swy::Result<> append(std::string_view lines, std::size_t& written, std::uint64_t now_unix_ns);
  swy::Result<> sync();

  // Why the last rotation failed, empty where it did not: lines go on into the old file then.
  const std::string& trouble() const { return trouble_; }

 private:
  explicit LogFile(FileOptions options) : options_(std::move(options)) {}
  swy::Result<> reopen();
  swy::Result<> rotate();
  void rotate_where_due(std::size_t bytes, std::uint64_t now_s);
  void prune(std::uint64_t now_s);
  bool moved_away() const;
  std::string numbered(unsigned n) const { return options_.path + "." + std::to_string(n); }
  swy::Error fault(const char* what) const;
  void close();

  FileOptions options_;
  int fd_ = -1;
  bool torn_ = false;
  std::uint64_t last_s_ = 0;    // of the last line that the file has; 0: none
  std::uint64_t pruned_s_ = 0;  // when old files were last looked through
  std::string trouble_;
};

}  // namespace jsonl
