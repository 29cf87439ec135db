/* plugin.h - the loader protocol and the leaf types of the Switchyard plugin ABI, major 1.
 *
 * C89-clean, 64-bit targets only. Fixed-width integers only: no enum, bool, bit-field, long or
 * float in any struct.
 *
 * Thread tags, written in brackets behind each function:
 *   [ctl]    one control thread, never beside another [ctl] call of the same library; may take
 * seconds, no network. [op]     a worker thread; calls on ONE operation are serialised, operations
 * run in parallel; never blocks (1 ms). [any]    any thread, concurrently with everything; never
 * blocks. [logger] the logger's own thread, serialised per instance; may block until the given
 * deadline.
 *
 * Memory: a pointer argument is borrowed until the call returns unless a longer life is written
 * beside it. Nobody frees what the other side allocated; results go out through writer callbacks,
 * which copy what they are given.
 *
 * Growth: every struct but the leaf types begins with `size`, as its producer compiled it. Fields
 * are appended, never moved, retyped or reused; arrays carry a stride. The leaf types (swy_str,
 * swy_kv, swy_seg, swy_member) are frozen.
 *
 * No call may unwind or longjmp across this interface. Host callbacks never re-enter the plugin. A
 * library is never unmapped once it was loaded. */
#ifndef SWITCHYARD_PLUGIN_H
#define SWITCHYARD_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define SWY_CALL __cdecl
#define SWY_EXPORT __declspec(dllexport)
#else
#define SWY_CALL
#define SWY_EXPORT __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The minor that these headers describe. The major is part of the entry symbol's name. */
#define SWY_MINOR 0u

/* True where the producer of *p was compiled with member f. Read no appended member without it. */
#define SWY_HAS(p, T, f) ((p)->size >= offsetof(T, f) + sizeof(((T*)0)->f))
/* The same for a function slot: present and not NULL. */
#define SWY_FN(p, T, f) (SWY_HAS(p, T, f) && (p)->f != NULL)
/* Element i of an array whose producer's element size is `stride`. */
#define SWY_AT(T, base, i, stride) \
  ((const T*)((const char*)(base) + (size_t)(i) * (size_t)(stride)))

/* 0 is success, negative a fault of the callee, positive an advice to the caller. */
typedef int32_t swy_rc;
#define SWY_OK 0
#define SWY_SLOW                                                                  \
  1 /* from a writer: taken, but the other side is slow; carry on and return soon \
     */
#define SWY_E_UNSUP (-1) /* not known here: an unknown event kind, extension or task */
#define SWY_E_ARG (-2)   /* called out of order, or with an argument the contract forbids */
#define SWY_E_DATA (-3)  /* the bytes given can't be understood */
#define SWY_E_LIMIT (-4) /* a size or count limit of the host was passed */
#define SWY_E_GONE (-5)  /* the other side has left; return soon, swy_op_free follows */
#define SWY_E_BUG (-6)   /* the callee caught a fault of its own, such as a C++ exception */

/* ---- leaf types, frozen: they carry no size ---- */

/* Bytes, UTF-8 where they are text. No terminating NUL is promised. p may be NULL where n is 0. */
typedef struct swy_str {
  const char* p;
  uint64_t n;
} swy_str;

typedef struct swy_kv {
  swy_str k, v;
} swy_kv;

/* One piece of a gather list.
 * kind SWY_SEG_BYTES: the bytes at b. SWY_SEG_BLOB: bytes [off, off + b.n) of the host's blob
 * number `blob` (b.p NULL). enc: how the host writes the piece while sending: as it is, in base64,
 * or as the inside of a JSON string. */
#define SWY_SEG_BYTES 0u
#define SWY_SEG_BLOB 1u
#define SWY_ENC_RAW 0u
#define SWY_ENC_BASE64 1u
#define SWY_ENC_JSON 2u
typedef struct swy_seg {
  uint32_t kind, enc;
  uint64_t blob, off;
  swy_str b;
} swy_seg;

/* One member of a JSON object: its unescaped name, and where its value stands in the text it was
 * found in. type: 'o' object, 'a' array, 's' string, 'n' number, 't' true, 'f' false, '0' null. at:
 * offset of the member's opening name quote. */
typedef struct swy_member {
  swy_str name;
  uint64_t at, value_at, value_n;
  uint32_t type, flags;
} swy_member;

/* ---- faults ---- */

/* What a fault means to the caller of the plugin; drives retry, cool-down and the client's status.
 */
#define SWY_CLS_PLUGIN 0 /* the plugin itself failed */
#define SWY_CLS_BAD_REQUEST \
  1 /* the upstream refuses this request; another target of the same kind would too */
#define SWY_CLS_AUTH 2       /* the upstream refuses the credential */
#define SWY_CLS_RATE_LIMIT 3 /* too many requests or tokens; retryable after retry_after_ms */
#define SWY_CLS_OVERLOADED 4 /* the upstream is at capacity; retryable */
#define SWY_CLS_TOO_LONG 5   /* the context window is too small for the request */
#define SWY_CLS_FILTERED 6   /* a safety filter refused */
#define SWY_CLS_TIMEOUT 7    /* the upstream gave up waiting */
#define SWY_CLS_NOT_OFFERED \
  8                       /* this provider does not do this task, member or modality; no penalty */
#define SWY_CLS_QUOTA 9   /* the credential's money or quota is spent; not retryable with it */
#define SWY_CLS_SERVER 10 /* the upstream failed inside; retryable */
#define SWY_CLS_NO_MODEL 11   /* the model does not exist there, or not in that region */
#define SWY_CLS_BAD_ANSWER 12 /* the upstream's answer can't be understood */

/* On the caller's stack, zeroed; the callee fills it. msg is NUL-terminated UTF-8 and holds no
 * secret. */
typedef struct swy_err {
  uint32_t size;
  int32_t cls;             /* SWY_CLS_* */
  uint32_t http;           /* the upstream's status, 0 where there was none */
  uint32_t retry_after_ms; /* 0 where the upstream said nothing */
  char msg[256];
} swy_err;

/* ---- the host, as a plugin sees it ---- */

#define SWY_LOG_DEBUG 0
#define SWY_LOG_INFO 1
#define SWY_LOG_WARN 2
#define SWY_LOG_ERROR 3 /* somebody has to act */

/* Owned by the host, constant, outlives swy_lib.fini. `tag` is what open() was given; NULL before
 * that. */
typedef struct swy_host swy_host;
struct swy_host {
  uint32_t size, minor;
  void* ctx;
  /* One line of the host's log; longer than 4 KiB is cut. [any] */
  void(SWY_CALL* log)(const swy_host* host, void* tag, int32_t level, swy_str msg);
  /* Nanoseconds: wall != 0 since 1970-01-01 UTC, else of a monotonic clock. [any] */
  uint64_t(SWY_CALL* now_ns)(const swy_host* host, int32_t wall);
  /* The table of a host extension such as "swy.http/1"; NULL where this host has none. Lives as
   * long as host. [any] */
  const void*(SWY_CALL* ext)(const swy_host* host, const char* id);
};

/* ---- the library ---- */

/* One thing that the library offers. All strings are static; the host copies them at load. */
typedef struct swy_kind {
  uint32_t size, flags;
  const char* iface;  /* "swy.provider/0", "swy.strategy/0", "swy.logger/0" */
  const char* name;   /* what the configuration calls it, [a-z0-9_-]{1,63} */
  const char* schema; /* JSON Schema (draft 4) of its configuration, or NULL where it takes none */
  const char* caps;   /* JSON object, of a form that the kind's header defines */
  const void* vt;     /* the kind's function table */
} swy_kind;

/* Owned by the plugin, static and constant; valid while mapped, which is for ever. */
typedef struct swy_lib {
  uint32_t size;
  uint16_t minor;           /* SWY_MINOR as compiled */
  uint16_t need_host_minor; /* the oldest host minor that this plugin can work with */
  uint32_t flags, nkinds;
  const char* id;      /* "vendor.name", stable over versions */
  const char* version; /* of the plugin, for people */
  const char* build;   /* what built it, for people */
  const swy_kind* const* kinds;
  /* Once, before any other call. Starts no threads. NULL where there is nothing to do. [ctl] */
  swy_rc(SWY_CALL* init)(const swy_host* host, swy_err* err);
  /* After the last close(): keys, handlers and threads are gone when it returns. NULL allowed.
   * [ctl] */
  void(SWY_CALL* fini)(void);
  /* Pure, under one second; run in a trial process before the real load. NULL allowed. [ctl] */
  swy_rc(SWY_CALL* self_test)(const swy_host* host, swy_err* err);
} swy_lib;

/* What the host offers before anything else is called. */
typedef struct swy_hello {
  uint32_t size;
  uint32_t host_minor;          /* the newest minor the host serves */
  uint32_t oldest_plugin_minor; /* the oldest plugin minor it still serves */
  uint32_t flags;
  const char* host_version; /* for people */
} swy_hello;

/* The one export of a plugin. May be called again and answers the same. NULL refuses the host.
 * [ctl] */
typedef const swy_lib*(SWY_CALL* swy_entry)(const swy_hello* hello);
#define SWY_ENTRY_NAME "swy_plugin_v1"
#ifndef SWY_HOST
SWY_EXPORT const swy_lib* SWY_CALL swy_plugin_v1(const swy_hello* hello);
#endif

#ifdef __cplusplus
}
#endif
#endif
