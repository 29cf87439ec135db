/* logger.h - interface "swy.logger/0" (a draft): takes batches of finished, redacted request
 * records. */
#ifndef SWITCHYARD_LOGGER_H
#define SWITCHYARD_LOGGER_H

#include "plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SWY_LOGGER_IFACE "swy.logger/0"

#define SWY_REC_STREAM 1u /* the client asked for a stream */
#define SWY_REC_USAGE_ESTIMATED \
  2u                           /* tokens are counted by the host, not reported by the upstream */
#define SWY_REC_CLIENT_LEFT 4u /* the client left before the answer was complete */
#define SWY_REC_COST_KNOWN 8u  /* cost_nano means something */

/* One finished request. Text is redacted by the host: no key, no header, no query string, no body.
 */
typedef struct swy_rec {
  uint32_t size, flags;   /* SWY_REC_* */
  uint32_t status;        /* HTTP status that the client got, 499 where it left before any */
  uint32_t attempts;      /* calls made upstream, 0 where the request never reached one */
  uint64_t start_unix_ns; /* when the request head was complete */
  uint64_t dur_ns;        /* until the last byte of the answer was handed to the kernel */
  uint64_t ttft_ns;       /* until the first content; 0 where there was none */
  uint64_t upstream_ns;   /* spent waiting for the upstream's answer head, over all attempts */
  uint64_t tok_in, tok_out, tok_cached, tok_reasoning;
  int64_t cost_nano; /* in 1e-9 units of cost_currency */
  swy_str cost_currency;
  swy_str id;    /* x-request-id */
  swy_str trace; /* W3C trace id, or empty */
  swy_str key_id, account, feature;
  swy_str task;    /* "chat", ... */
  swy_str surface; /* the client's dialect: "openai", ... */
  swy_str model_asked, model_used, provider;
  swy_str final_status; /* "ok", "client_error", "upstream_error", "client_left", "gateway_error" */
  swy_str error_code;   /* stable code as the client saw it, or empty */
  swy_str error_text;
  swy_str finish_reason;
  swy_str fallback_path; /* "openai/gpt-x:timeout > azure/gpt-x:ok", or empty where the first target
                            served */
  swy_str route_reason;  /* why this target was chosen */
  const swy_kv* kv;      /* further facts */
  uint64_t nkv;
  swy_str parent_span;   /* W3C parent id that came with `trace`, or empty */
  swy_str provider_name; /* OpenTelemetry's gen_ai.provider.name: "openai", "aws.bedrock", ... */
  uint32_t trace_flags;  /* W3C trace flags that came with `trace` */
  uint32_t reserved;
} swy_rec;

typedef struct swy_logger {
  uint32_t size, flags;

  /* Makes an instance of a configuration; may open files. cfg: borrowed. host, tag: live until
   * close. [ctl] */
  swy_rc(SWY_CALL* open)(swy_str cfg, const swy_host* host, void* tag, void** inst, swy_err* err);

  /* After the last write and flush. [ctl] */
  void(SWY_CALL* close)(void* inst);

  /* Takes records rec[0..n), element size `stride`. *taken receives how many were taken, a prefix;
   * the host keeps the rest and backs off. Its queue is bounded: what does not fit is dropped and
   * counted, requests never wait. deadline_ns: monotonic. Everything is borrowed for the call.
   * A fault takes nothing. With err.cls SWY_CLS_OVERLOADED it is where the records go that fails (a
   * full disk, a collector that is down): the host keeps all of them and tries again after
   * err.retry_after_ms, or as it backs off. After any other fault it looks for the record that
   * can't be stomached by offering fewer, and drops one that fails alone three times. [logger] */
  swy_rc(SWY_CALL* write)(void* inst, const swy_rec* rec, uint32_t n, uint32_t stride,
                          uint64_t deadline_ns, uint32_t* taken, swy_err* err);

  /* Makes what was taken durable, as far as the logger can. [logger] */
  swy_rc(SWY_CALL* flush)(void* inst, uint64_t deadline_ns, swy_err* err);
} swy_logger;

#ifdef __cplusplus
}
#endif
#endif
