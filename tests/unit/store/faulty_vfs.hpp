// A disk that fails for SQLite: while one of these lives, every database is opened through it, and
// its system calls that change or bring to the disk can be made to fail.
#pragma once

#include <sqlite3.h>

#include <atomic>

namespace switchyard {

class FaultyVfs {
 public:
  FaultyVfs();
  ~FaultyVfs();
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;

  std::atomic<long> calls{0};
  std::atomic<long> fail_at{0};  // the call that fails, counted from 1; 0: none
  std::atomic<int> always{0};    // what every one of them answers, such as SQLITE_FULL; 0: no fault

  // What a call answers instead of being made; SQLITE_OK: it is made.
  int fault(int code);

 private:
  sqlite3_vfs vfs_{};
  sqlite3_vfs* system_ = nullptr;
};

}  // namespace switchyard
