#include "faulty_vfs.hpp"

#include <new>

namespace switchyard {
namespace {

sqlite3_vfs* system_of(sqlite3_vfs* vfs);
FaultyVfs& of(sqlite3_vfs* vfs) { return *static_cast<FaultyVfs*>(vfs->pAppData); }

// SQLite gives the room for it, and for the system's file behind it.
struct File {
  sqlite3_file base;
  FaultyVfs* vfs;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
File& at(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }

template <auto Method, class... Args>
int pass(sqlite3_file* file, Args... args) {
  sqlite3_file* const real = at(file).real();
  return (real->pMethods->*Method)(real, args...);
}

template <auto Method, int Code, class... Args>
int pass_or_fail(sqlite3_file* file, Args... args) {
  const int fault = at(file).vfs->fault(Code);
  return fault != SQLITE_OK ? fault : pass<Method>(file, args...);
}

int close(sqlite3_file* file) {
  sqlite3_file* const real = at(file).real();
  return real->pMethods == nullptr ? SQLITE_OK : real->pMethods->xClose(real);
}

using M = sqlite3_io_methods;
const sqlite3_io_methods kMethods{
    .iVersion = 2,
    .xClose = close,
    .xRead = pass<&M::xRead, void*, int, sqlite3_int64>,
    .xWrite = pass_or_fail<&M::xWrite, SQLITE_IOERR_WRITE, const void*, int, sqlite3_int64>,
    .xTruncate = pass_or_fail<&M::xTruncate, SQLITE_IOERR_TRUNCATE, sqlite3_int64>,
    .xSync = pass_or_fail<&M::xSync, SQLITE_IOERR_FSYNC, int>,
    .xFileSize = pass<&M::xFileSize, sqlite3_int64*>,
    .xLock = pass<&M::xLock, int>,
    .xUnlock = pass<&M::xUnlock, int>,
    .xCheckReservedLock = pass<&M::xCheckReservedLock, int*>,
    .xFileControl = pass<&M::xFileControl, int, void*>,
    .xSectorSize = pass<&M::xSectorSize>,
    .xDeviceCharacteristics = pass<&M::xDeviceCharacteristics>,
    .xShmMap = pass_or_fail<&M::xShmMap, SQLITE_IOERR_SHMMAP, int, int, int, void volatile**>,
    .xShmLock = pass<&M::xShmLock, int, int, int>,
    .xShmBarrier =
        [](sqlite3_file* file) {
          sqlite3_file* const real = at(file).real();
          real->pMethods->xShmBarrier(real);
        },
    .xShmUnmap = pass<&M::xShmUnmap, int>,
    .xFetch = nullptr,
    .xUnfetch = nullptr};

int open(sqlite3_vfs* vfs, sqlite3_filename name, sqlite3_file* file, int flags, int* out_flags) {
  File& opened = *new (file) File{{nullptr}, &of(vfs)};
  opened.real()->pMethods = nullptr;
  const int fault = opened.vfs->fault(SQLITE_CANTOPEN);
  if (fault != SQLITE_OK) return fault;
  sqlite3_vfs* const system = system_of(vfs);
  const int code = system->xOpen(system, name, opened.real(), flags, out_flags);
  if (opened.real()->pMethods != nullptr) file->pMethods = &kMethods;
  return code;
}

const char* const kName = "faulty";
sqlite3_vfs* found_system = nullptr;
sqlite3_vfs* system_of(sqlite3_vfs*) { return found_system; }

}  // namespace

FaultyVfs::FaultyVfs() : system_(sqlite3_vfs_find(nullptr)) {
  found_system = system_;
  vfs_ = *system_;
  vfs_.zName = kName;
  vfs_.pAppData = this;
  vfs_.pNext = nullptr;
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + system_->szOsFile;
  vfs_.xOpen = open;
  vfs_.xDelete = [](sqlite3_vfs*, const char* name, int sync) {
    return found_system->xDelete(found_system, name, sync);
  };
  vfs_.xAccess = [](sqlite3_vfs*, const char* name, int flags, int* out) {
    return found_system->xAccess(found_system, name, flags, out);
  };
  vfs_.xFullPathname = [](sqlite3_vfs*, const char* name, int size, char* out) {
    return found_system->xFullPathname(found_system, name, size, out);
  };
  sqlite3_vfs_register(&vfs_, 1);
}

FaultyVfs::~FaultyVfs() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(system_, 1);
}

int FaultyVfs::fault(int code) {
  const long call = ++calls;
  if (always != 0) return always;
  return call == fail_at ? code : SQLITE_OK;
}

}  // namespace switchyard
