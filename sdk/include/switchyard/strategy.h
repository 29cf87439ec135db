/* strategy.h - interface "swy.strategy/0" (a draft): scores the candidates of a request.
 *
 * A strategy is a pure function of a snapshot, its configuration and the feedback it was given. The
 * host runs the configured pipeline, applies breakers, limits and budgets around it, and can
 * explain and replay every decision: use `seed`, never a clock or a random source of your own.
 *
 * The pipeline is filter, score, pick. Each strategy of a route is shown what those before it left,
 * and may exclude. Candidates are then tried in the order of the first strategy's scores; where
 * these are equal, of the second's, and so on; at last in configuration order. Where all are
 * excluded, or a strategy fails, they are tried in configuration order (less what strategies that
 * answered had excluded, unless that is everything). */
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

/* One candidate: a model at a provider instance, as the snapshot sees it. Integers only.
 *
 * What is measured is of the last minute, over all attempts of this process: 0 where nothing was.
 * What is limited has its type's largest value where it is unlimited or not known. */
typedef struct swy_cand {
  uint32_t size, state; /* SWY_STATE_* */
  uint64_t id;          /* of provider and model: the same in every process and configuration */
  swy_str provider, model, region;
  int64_t
      est_cost_nano; /* of THIS request, in nano-units of its currency; INT64_MIN where unknown */
  uint32_t weight;   /* as configured; 1 where it was not */
  uint32_t priority; /* as configured; 0, which is the best, where it was not */
  uint32_t inflight, inflight_max; /* attempts that run now */
  uint32_t err_ppm;                /* attempts that failed by the target's fault, of a million */
  uint32_t rpm_left;
  uint64_t tpm_left, ctx_tokens; /* ctx_tokens: the context window, 0 where unknown */
  uint64_t samples;              /* how many attempts err_ppm is of */
  /* Of attempts that went well. ttft: to the first token, of streams; latency: to the end. The mean
   * favours what is recent. */
  uint32_t ttft_us, ttft_p95_us, latency_us, latency_p95_us, tok_per_s, flags;
  const swy_kv* tag;
  uint64_t ntag;
} swy_cand;

#define SWY_RREQ_STREAM 1u
#define SWY_RREQ_PREFIX 2u /* affinity is of the prompt's start, for no session is named */

/* The request's facts. */
typedef struct swy_rreq {
  uint32_t size, flags; /* SWY_RREQ_* */
  swy_str task, model, feature, account, key_id, region, language;
  swy_str currency;                 /* of est_cost_nano: "USD"; empty where no price is known */
  uint64_t tok_in_est, tok_out_est; /* what est_cost_nano is for */
  uint64_t tok_out_max;             /* as the request says, 0 where it does not */
  uint64_t deadline_ns, now_ns;     /* monotonic; deadline_ns 0 where there is none */
  uint64_t seed;                    /* the only source of chance */
  uint64_t affinity; /* hash of the session or prompt prefix, 0 where there is none */
} swy_rreq;

#define SWY_SCORE_EXCLUDE INT64_MIN /* not to be tried */
#define SWY_SCORE_UNSET INT64_MAX   /* what the host hands over; left so, the answer is a fault */

/* The answer for one candidate. The host hands it over zeroed but for size and score. */
typedef struct swy_score {
  uint32_t size, flags;
  int64_t score; /* higher is better, equal leaves it to the next strategy; or SWY_SCORE_EXCLUDE */
  uint32_t timeout_ms, hedge_after_ms, retries, retry_cls_mask; /* 0: the host's own settings */
  char reason[64]; /* NUL-terminated UTF-8, for people */
} swy_score;

/* What came of one attempt. None is told of one that the client left. */
typedef struct swy_outcome {
  uint32_t size;
  int32_t cls; /* -1 where it went well, else SWY_CLS_* */
  uint32_t http, flags;
  uint64_t cand;                /* swy_cand.id */
  uint32_t ttft_us, latency_us; /* ttft_us: 0 where no token came, or no stream was asked for */
  uint64_t tok_in, tok_out;
  int64_t cost_nano; /* INT64_MIN where unknown */
} swy_outcome;

typedef struct swy_strategy {
  uint32_t size, flags;

  /* Makes an instance of a configuration. [ctl] */
  swy_rc(SWY_CALL* open)(swy_str cfg, const swy_host* host, void* tag, void** inst, swy_err* err);
  /* No score() is running. [ctl] */
  void(SWY_CALL* close)(void* inst);

  /* Fills out[i] for cand[i], i < n. Called only where there is a choice: n > 1, or an earlier
   * strategy left one. Runs beside itself, observe and save. At most 100 us. [any] */
  swy_rc(SWY_CALL* score)(void* inst, const swy_rreq* req, const swy_cand* cand, uint32_t n,
                          uint32_t cand_stride, swy_score* out, uint32_t out_stride, swy_err* err);

  /* Optional: what came of an attempt that this instance scored. At most 20 us. [any] */
  void(SWY_CALL* observe)(void* inst, const swy_outcome* outcome);

  /* Optional: hands the learned state to `write`, in as many pieces as it likes, for a successor or
   * a replay. Runs beside score and observe. [ctl] */
  swy_rc(SWY_CALL* save)(void* inst, swy_rc(SWY_CALL* write)(void* ctx, swy_str bytes), void* ctx);
  /* Optional: takes a predecessor's state before the first score(). SWY_E_DATA starts fresh and is
   * no failure. [ctl] */
  swy_rc(SWY_CALL* load)(void* inst, swy_str state);
} swy_strategy;

#ifdef __cplusplus
}
#endif
#endif
