/* http.h - host extension "swy.http/1": a logger posts to a named destination of the configuration.
 *
 * The host knows the destination's address, adds its credential and its fixed headers, verifies its
 * certificate, keeps connections alive and holds the deadline. The plugin sees none of the secrets;
 * where an answer repeats one, it is replaced. No redirect is followed.
 *
 * An instance may post to the destinations that its own entry of the configuration lists
 * (loggers[i].destinations), to no other. */
#ifndef SWITCHYARD_HTTP_H
#define SWITCHYARD_HTTP_H

#include "plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SWY_HTTP_EXT "swy.http/1"

/* What is posted. */
typedef struct swy_http_post {
  uint32_t size, nhdr;
  swy_str destination; /* a name of loggers[i].destinations */
  swy_str path;        /* behind the destination's URL: begins with '/', or is empty */
  const swy_kv* hdr;   /* such as content-type; none that frames, authenticates or is configured */
  swy_str body;
  uint64_t deadline_ns; /* monotonic; 0 is that of the call the plugin is in. The earliest of this,
                           that of the call and the destination's own timeout holds */
} swy_http_post;

/* On the caller's stack, zeroed but for size, body and body_max; the host fills the rest. */
typedef struct swy_http_answer {
  uint32_t size;
  uint32_t status;         /* as the destination answered */
  uint32_t retry_after_ms; /* of the header, 0 where there was none */
  uint32_t flags;
  char* body;        /* the caller's room for the answer's body, or NULL */
  uint64_t body_max; /* bytes of that room; a longer body is cut */
  uint64_t body_n;   /* bytes written there */
} swy_http_answer;

/* The table that host->ext("swy.http/1") gives. Host-owned, constant. */
typedef struct swy_http {
  uint32_t size, flags;

  /* Whether this instance may post to that destination: SWY_OK, or SWY_E_ARG and the reason in err.
   * For open(), which refuses a configuration that could never work.
   * tag: as given to open(). destination: borrowed. err: filled on a fault, may be NULL. [any] */
  swy_rc(SWY_CALL* check)(const swy_host* host, void* tag, swy_str destination, swy_err* err);

  /* Posts and waits for the answer. Only inside write() or flush() of the instance whose tag it is,
   * on the thread of that call. Everything is borrowed for the call.
   * SWY_OK: there was an answer, whatever its status; `answer` is filled.
   * SWY_E_ARG: not one of this instance's destinations, a malformed path or header, or outside
   *   write() and flush(); err says which. Nothing was sent.
   * SWY_E_GONE: no answer; err says why. cls is SWY_CLS_TIMEOUT where the deadline passed,
   *   SWY_CLS_OVERLOADED where nothing reached the destination or the connection broke,
   *   SWY_CLS_BAD_ANSWER where what came is no HTTP. Whether it acted upon the post is unknown.
   * [logger] */
  swy_rc(SWY_CALL* post)(const swy_host* host, void* tag, const swy_http_post* post,
                         swy_http_answer* answer, swy_err* err);
} swy_http;

#ifdef __cplusplus
}
#endif
#endif
