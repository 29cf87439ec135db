/* What a host on Windows would do with a plugin: load.exe FILE CONFIG [FILE CONFIG]...
 *
 * Loads each .dll, negotiates, checks its tables, opens and closes an instance of each kind. */
#include <stdio.h>
#include <string.h>
#define WIN32_LEAN_AND_MEAN
#define SWY_HOST
#include <switchyard/logger.h>
#include <switchyard/provider.h>
#include <switchyard/strategy.h>
#include <windows.h>

/* How every kind's table begins. */
typedef swy_rc(SWY_CALL* open_fn)(swy_str cfg, const swy_host* host, void* tag, void** inst,
                                  swy_err* err);
typedef void(SWY_CALL* close_fn)(void* inst);

static void SWY_CALL host_log(const swy_host* host, void* tag, int32_t level, swy_str msg) {
  (void)host;
  (void)tag;
  printf("  log %d %.*s\n", (int)level, (int)msg.n, msg.p);
}

static uint64_t SWY_CALL host_now(const swy_host* host, int32_t wall) {
  (void)host;
  (void)wall;
  return 1;
}

static const void* SWY_CALL host_ext(const swy_host* host, const char* id) {
  (void)host;
  (void)id;
  return NULL;
}

static const swy_host host = {sizeof(swy_host), SWY_MINOR, NULL, host_log, host_now, host_ext};
static const swy_hello hello = {sizeof(swy_hello), SWY_MINOR, 0, 0, "load.exe"};

static int fail(const char* file, const char* what, const char* why) {
  printf("FAILED %s: %s %s\n", file, what, why);
  return 1;
}

/* The slots of a table that this host calls; 0 where it does not know the kind. */
static int slots_of(const swy_kind* kind, open_fn* open, close_fn* close) {
  if (strcmp(kind->iface, SWY_PROVIDER_IFACE) == 0) {
    *open = ((const swy_provider*)kind->vt)->open;
    *close = ((const swy_provider*)kind->vt)->close;
  } else if (strcmp(kind->iface, SWY_STRATEGY_IFACE) == 0) {
    *open = ((const swy_strategy*)kind->vt)->open;
    *close = ((const swy_strategy*)kind->vt)->close;
  } else if (strcmp(kind->iface, SWY_LOGGER_IFACE) == 0) {
    *open = ((const swy_logger*)kind->vt)->open;
    *close = ((const swy_logger*)kind->vt)->close;
  } else {
    return 0;
  }
  return 1;
}

static int use_kind(const char* file, const swy_kind* kind, const char* config) {
  open_fn open;
  close_fn close;
  void* inst = NULL;
  swy_str cfg;
  swy_err err;
  memset(&err, 0, sizeof err);
  err.size = sizeof err;
  cfg.p = config;
  cfg.n = strlen(config);
  if (!slots_of(kind, &open, &close)) return fail(file, "unknown interface", kind->iface);
  if (open(cfg, &host, NULL, &inst, &err) != SWY_OK) return fail(file, "open:", err.msg);
  close(inst);
  printf("%s: %s %s\n", file, kind->iface, kind->name);
  return 0;
}

static int use(const char* file, const char* config) {
  char step[32];
  const swy_lib* lib;
  swy_entry entry;
  FARPROC found;
  uint32_t i;
  swy_err err;
  const HMODULE module = LoadLibraryA(file);
  sprintf(step, "%lu", (unsigned long)GetLastError());
  if (module == NULL) return fail(file, "LoadLibrary: error", step);
  found = GetProcAddress(module, SWY_ENTRY_NAME);
  if (found == NULL) return fail(file, "does not export", SWY_ENTRY_NAME);
  memcpy(&entry, &found, sizeof entry);
  lib = entry(&hello);
  if (lib == NULL || lib->need_host_minor > SWY_MINOR) return fail(file, "refuses this host", "");
  memset(&err, 0, sizeof err);
  err.size = sizeof err;
  if (SWY_FN(lib, swy_lib, init) && lib->init(&host, &err) != SWY_OK) {
    return fail(file, "init:", err.msg);
  }
  for (i = 0; i < lib->nkinds; ++i) {
    if (use_kind(file, lib->kinds[i], config) != 0) return 1;
  }
  if (SWY_FN(lib, swy_lib, fini)) lib->fini();
  return 0;
}

int main(int argc, char** argv) {
  int i, failures = argc < 3 || argc % 2 == 0;
  for (i = 1; i + 1 < argc; i += 2) failures += use(argv[i], argv[i + 1]);
  return failures;
}
