/* A small logger and provider with one defect, chosen by a macro of the build: ZOO_none has none.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <switchyard/logger.h>
#include <switchyard/provider.h>
#include <unistd.h>

static void crash(void) { raise(SIGSEGV); }

/* ---- logger "sink" ---- */

static swy_rc logger_open(swy_str cfg, const swy_host* host, void* tag, void** inst, swy_err* err) {
  (void)cfg, (void)host, (void)tag, (void)err;
  *inst = NULL;
  return SWY_OK;
}
static void logger_close(void* inst) { (void)inst; }
static swy_rc logger_write(void* inst, const swy_rec* rec, uint32_t n, uint32_t stride,
                           uint64_t deadline_ns, uint32_t* taken, swy_err* err) {
  (void)inst, (void)rec, (void)stride, (void)deadline_ns, (void)err;
  *taken = n;
  return SWY_OK;
}
#if !defined(ZOO_half_vt)
static swy_rc logger_flush(void* inst, uint64_t deadline_ns, swy_err* err) {
  (void)inst, (void)deadline_ns, (void)err;
  return SWY_OK;
}
#endif

static const swy_logger logger = {
#if defined(ZOO_short_vt)
    (uint32_t)offsetof(swy_logger, write),
#elif defined(ZOO_empty_vt)
    0,
#else
    sizeof(swy_logger),
#endif
    0,
    logger_open,
    logger_close,
    logger_write,
#if defined(ZOO_half_vt)
    NULL
#else
    logger_flush
#endif
};

/* ---- kinds ---- */

static const swy_kind sink = {
#if defined(ZOO_short_kind)
    24,
#else
    sizeof(swy_kind),
#endif
    0,
#if defined(ZOO_null_iface)
    NULL,
#elif defined(ZOO_unknown_iface)
    "swy.guardrail/1",
#elif defined(ZOO_no_tasks) || defined(ZOO_bad_tasks)
    SWY_PROVIDER_IFACE,
#else
    SWY_LOGGER_IFACE,
#endif
#if defined(ZOO_null_name)
    NULL,
#elif defined(ZOO_bad_name)
    "Sink One",
#else
    "sink",
#endif
#if defined(ZOO_bad_schema)
    "[]",
#else
    NULL,
#endif
#if defined(ZOO_null_caps)
    NULL,
#elif defined(ZOO_bad_caps)
    "{\"a\":}",
#elif defined(ZOO_caps_array)
    "[]",
#elif defined(ZOO_bad_tasks)
    "{\"tasks\":\"chat\"}",
#else
    "{}",
#endif
#if defined(ZOO_null_vt)
    NULL
#else
    &logger
#endif
};

#if defined(ZOO_null_kind)
static const swy_kind* const kinds[] = {&sink, NULL};
#define NKINDS 2
#elif defined(ZOO_twice)
static const swy_kind* const kinds[] = {&sink, &sink};
#define NKINDS 2
#elif defined(ZOO_none)
/* A kind for a newer host beside one that today's host knows. */
static const swy_kind future = {sizeof(swy_kind), 0, "swy.logger/9", "sink", NULL, NULL, NULL};
static const swy_kind* const kinds[] = {&future, &sink};
#define NKINDS 2
#else
static const swy_kind* const kinds[] = {&sink};
#if defined(ZOO_no_kinds)
#define NKINDS 0
#elif defined(ZOO_many_kinds)
#define NKINDS 65
#else
#define NKINDS 1
#endif
#endif

/* ---- library ---- */

static swy_rc lib_init(const swy_host* host, swy_err* err) {
  (void)host, (void)err;
#if defined(ZOO_init_fails)
  strcpy(err->msg, "no licence\nfound");
  return SWY_E_DATA;
#elif defined(ZOO_init_silent)
  return SWY_E_LIMIT;
#elif defined(ZOO_init_aborts)
  abort();
#elif defined(ZOO_init_segv)
  crash();
#elif defined(ZOO_init_hangs)
  for (;;) pause();
#elif defined(ZOO_init_exits)
  exit(0);
#elif defined(ZOO_exit_segv)
  atexit(crash);
#elif defined(ZOO_prints)
  puts("refused by what a plugin printed");
  fflush(stdout);
#endif
  return SWY_OK;
}

static void lib_fini(void) {
#if defined(ZOO_fini_aborts)
  abort();
#endif
}

static swy_rc lib_self_test(const swy_host* host, swy_err* err) {
  (void)host, (void)err;
#if defined(ZOO_self_test_fails)
  strcpy(err->msg, "2 + 2 is 5");
  return SWY_E_BUG;
#else
  return SWY_OK;
#endif
}

static const swy_lib lib = {
#if defined(ZOO_short_lib)
    16,
#else
    sizeof(swy_lib),
#endif
    SWY_MINOR,
#if defined(ZOO_need_newer)
    7,
#else
    0,
#endif
    0,         NKINDS,
#if defined(ZOO_null_id)
    NULL,
#elif defined(ZOO_bad_id)
    "Zoo Broken",
#elif defined(ZOO_rival)
    "zoo.rival",
#else
    "zoo.broken",
#endif
#if defined(ZOO_null_version)
    NULL,
#elif defined(ZOO_next)
    "2",
#else
    "1",
#endif
    "test",
#if defined(ZOO_null_kinds)
    NULL,
#else
    kinds,
#endif
    lib_init,  lib_fini, lib_self_test};

#if defined(ZOO_ctor_segv)
__attribute__((constructor)) static void constructor(void) { crash(); }
#endif

#if defined(ZOO_exports)
SWY_EXPORT int zoo_second(void);
SWY_EXPORT int zoo_first(void);
int zoo_second(void) { return 2; }
int zoo_first(void) { return 1; }
#endif

#if defined(ZOO_unresolved)
int zoo_nowhere(void);
#endif

#if defined(ZOO_unique)
__asm__(
    ".globl zoo_one\n.type zoo_one, @gnu_unique_object\n.data\nzoo_one: .quad 1\n.size zoo_one, "
    "8\n.text\n");
#endif

#if defined(ZOO_static_tls)
static __thread int counter __attribute__((tls_model("initial-exec")));
#endif

#if defined(ZOO_textrel)
__asm__(
    ".text\n.p2align 3\nzoo_absolute: .quad zoo_target\n.hidden zoo_target\n.data\nzoo_target: "
    ".quad 0\n.text\n");
#endif

#if defined(ZOO_no_entry)
const swy_lib* swy_plugin_v2(const swy_hello* hello);
const swy_lib* swy_plugin_v2(const swy_hello* hello) {
  (void)hello;
  return &lib;
}
#else
const swy_lib* swy_plugin_v1(const swy_hello* hello) {
  (void)hello;
#if defined(ZOO_null_table)
  (void)lib;
  return NULL;
#else
#if defined(ZOO_entry_segv)
  crash();
#endif
#if defined(ZOO_static_tls)
  ++counter;
#endif
#if defined(ZOO_unresolved)
  if (hello->host_minor == 99) zoo_nowhere();
#endif
  return &lib;
#endif
}
#endif
