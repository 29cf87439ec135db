/* strategy.h - interface "swy.strategy/0" (a draft): scores the candidates of a request.
 *
 * A strategy is a pure function of a snapshot, its configuration and the feedback it was given. The
 * host runs the configured pipeline (filter, score, pick), applies breakers, limits and budgets
 * around it, and can explain and replay every decision: use `seed`, never a random source of your
 * own. */
#ifndef SWITCHYARD_STRATEGY_H
#define SWITCHYARD_STRATEGY_H

#include "plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SWY_STRATEGY_IFACE "swy.strategy/0"

#define SWY_STATE_CLOSED 0u /* the breaker lets calls through */
#define SWY_STATE_HALF_OPEN 1u
#define SWY_STATE_OPEN 2u

/* One candidate: a model at a provider instance, as the snapshot sees it. Integers only. */
typedef struct swy_cand {
  uint32_t size, state; /* SWY_STATE_* */
  uint64_t id;
  swy_str provider, model, region;
  int64_t est_cost_nano; /* of THIS request, in nano-units of the route's currency; INT64_MIN where
                            unknown */
  uint32_t weight, priority, inflight, inflight_max;
  uint32_t err_ppm, rpm_left; /* UINT32_MAX where unlimited */
  uint64_t tpm_left, ctx_tokens;
  uint32_t ttft_us, ttft_p95_us, latency_us, latency_p95_us, tok_per_s, flags;
  const swy_kv* tag;
  uint64_t ntag;
} swy_cand;

#define SWY_RREQ_STREAM 1u

/* The request's facts. */
typedef struct swy_rreq {
  uint32_t size, flags; /* SWY_RREQ_* */
  swy_str task, model, feature, account, key_id, region, language;
  uint64_t tok_in_est, tok_out_max, deadline_ns, now_ns;
  uint64_t seed;     /* the only source of chance */
  uint64_t affinity; /* hash of the session or prompt prefix, 0 where there is none */
} swy_rreq;

/* The answer for one candidate; zeroed by the host. */
typedef struct swy_score {
  uint32_t size, flags;
  int64_t score; /* higher is better; INT64_MIN excludes */
  uint32_t timeout_ms, hedge_after_ms, retries, retry_cls_mask; /* 0: the host's own settings */
  char reason[64];                                              /* NUL-terminated, for people */
} swy_score;

/* What came of one attempt. */
typedef struct swy_outcome {
  uint32_t size;
  int32_t cls; /* -1 where it went well, else SWY_CLS_* */
  uint32_t http, flags;
  uint64_t cand;
  uint32_t ttft_us, latency_us;
  uint64_t tok_in, tok_out;
  int64_t cost_nano;
} swy_outcome;

typedef struct swy_strategy {
  uint32_t size, flags;

  /* Makes an instance of a configuration. [ctl] */
  swy_rc(SWY_CALL* open)(swy_str cfg, const swy_host* host, void* tag, void** inst, swy_err* err);
  /* No score() is running. [ctl] */
  void(SWY_CALL* close)(void* inst);

  /* Fills out[i] for cand[i], i < n. Runs beside itself and observe. At most 100 us. [any] */
  swy_rc(SWY_CALL* score)(void* inst, const swy_rreq* req, const swy_cand* cand, uint32_t n,
                          uint32_t cand_stride, swy_score* out, uint32_t out_stride, swy_err* err);

  /* Optional: what came of an attempt that this instance scored. At most 20 us. [any] */
  void(SWY_CALL* observe)(void* inst, const swy_outcome* outcome);

  /* Optional: hands the learned state to `write`, for a successor or a replay. [ctl] */
  swy_rc(SWY_CALL* save)(void* inst, swy_rc(SWY_CALL* write)(void* ctx, swy_str bytes), void* ctx);
  /* Optional: takes a predecessor's state before the first score(). SWY_E_DATA starts fresh and is
   * no failure. [ctl] */
  swy_rc(SWY_CALL* load)(void* inst, swy_str state);
} swy_strategy;

#ifdef __cplusplus
}
#endif
#endif
