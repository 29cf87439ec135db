/* A provider whose answers show what the host gave it, and a logger that takes what it is told to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <switchyard/logger.h>
#include <switchyard/provider.h>

static int open_instances, open_operations;

struct instance {
  const swy_host* host;
  void* tag;
  char config[256];
};

struct operation {
  const swy_req* req;
  const struct instance* instance;
};

static swy_str str(const char* text) {
  swy_str s;
  s.p = text;
  s.n = strlen(text);
  return s;
}

static int is(swy_str s, const char* text) {
  return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static swy_rc mirror_open(swy_str cfg, const swy_host* host, void* tag, void** inst, swy_err* err) {
  struct instance* made;
  if (is(cfg, "{\"bad\":1}")) {
    strcpy(err->msg, "bad: not known here");
    return SWY_E_DATA;
  }
  made = calloc(1, sizeof *made);
  made->host = host;
  made->tag = tag;
  snprintf(made->config, sizeof made->config, "%.*s", (int)cfg.n, cfg.p);
  *inst = made;
  ++open_instances;
  return SWY_OK;
}

static void mirror_close(void* inst) {
  free(inst);
  --open_instances;
}

static swy_rc mirror_op_new(void* inst, const swy_req* req, void** op, swy_err* err) {
  struct operation* made;
  if (is(req->model, "refused")) {
    err->cls = SWY_CLS_NO_MODEL;
    err->http = 404;
    strcpy(err->msg, "no such model here");
    return SWY_E_DATA;
  }
  made = calloc(1, sizeof *made);
  made->req = req;
  made->instance = inst;
  *op = made;
  ++open_operations;
  return SWY_OK;
}

/* Calls every slot once and answers with what each returned. */
static swy_rc use_all(const struct operation* op, const swy_out* out) {
  static char answer[512];
  swy_seg piece = {SWY_SEG_BYTES, SWY_ENC_RAW, 0, 0, {NULL, 0}};
  swy_seg broken = {SWY_SEG_BYTES, SWY_ENC_RAW, 0, 0, {NULL, 7}};
  swy_str null_text = {NULL, 5};
  swy_rc rc[10];
  piece.b = op->req->body;
  rc[0] = out->req_begin(out->ctx, str("POST"), str("/chat"), 3, SWY_FRAME_SSE);
  rc[1] = out->req_header(out->ctx, str("x-a"), str("1"));
  rc[2] = out->req_auth(out->ctx, str("bearer"), str(""), str(""));
  rc[3] = out->req_part(out->ctx, NULL, 0);
  rc[4] = out->req_body(out->ctx, &piece, 1);
  rc[5] = out->keep(out->ctx, str("token"));
  rc[6] = out->ws_send(out->ctx, 0, 1, &piece, 1);
  rc[7] = out->emit(out->ctx, SWY_EMIT_DELTA, SWY_EMIT_CONTENT, null_text);
  rc[8] = out->req_body(out->ctx, &broken, 1);
  rc[9] = op->instance->host->ext(op->instance->host, "swy.nothing/1") == NULL ? SWY_OK : SWY_E_BUG;
  snprintf(answer, sizeof answer, "%d %d %d %d %d %d %d %d %d %d %s", rc[0], rc[1], rc[2], rc[3],
           rc[4], rc[5], rc[6], rc[7], rc[8], rc[9], op->instance->config);
  op->instance->host->log(op->instance->host, op->instance->tag, SWY_LOG_WARN, str("two\nlines"));
  return out->emit(out->ctx, SWY_EMIT_WHOLE, 0, str(answer));
}

static swy_rc mirror_op_step(void* state, const swy_ev* ev, const swy_out* out, swy_next* next,
                             swy_err* err) {
  const struct operation* op = state;
  switch (ev->kind) {
    case SWY_EV_START:
      if (is(op->req->model, "all")) {
        next->act = SWY_ACT_SEND;
        return use_all(op, out);
      }
      next->act = SWY_ACT_WAIT;
      next->delay_ns = 5;
      return SWY_OK;
    case SWY_EV_DATA: /* passes the frame on as it is */
      next->act = SWY_ACT_FEED;
      return out->emit(out->ctx, SWY_EMIT_DELTA, SWY_EMIT_NATIVE, ev->data);
    case SWY_EV_END: {
      char counts[64];
      snprintf(counts, sizeof counts, "%d %d", open_instances, open_operations);
      next->act = SWY_ACT_DONE;
      return out->emit(out->ctx, SWY_EMIT_WHOLE, 0, str(counts));
    }
    case SWY_EV_IOERR:
      next->act = SWY_ACT_FAIL;
      err->cls = (int32_t)ev->status;
      err->http = 99999;
      err->retry_after_ms = 250;
      memset(err->msg, 'm', sizeof err->msg); /* not terminated */
      return SWY_OK;
    case SWY_EV_TIMER:
      next->act = 9;
      return SWY_OK;
    case SWY_EV_CANCEL:
      return SWY_E_BUG;
    default:
      return SWY_E_UNSUP;
  }
}

static void mirror_op_free(void* op) {
  free(op);
  --open_operations;
}

static const swy_provider provider = {
    sizeof(swy_provider), 0, mirror_open, mirror_close, mirror_op_new, mirror_op_step,
    mirror_op_free};

/* ---- logger: {"take":N} takes N more than it may where N is negative ---- */

static swy_rc counter_write(void* inst, const swy_rec* rec, uint32_t n, uint32_t stride,
                            uint64_t deadline_ns, uint32_t* taken, swy_err* err) {
  const char* config = ((const struct instance*)inst)->config;
  (void)deadline_ns;
  if (strstr(config, "fail")) {
    snprintf(err->msg, sizeof err->msg, "disk full at %.*s",
             (int)SWY_AT(swy_rec, rec, n - 1, stride)->id.n,
             SWY_AT(swy_rec, rec, n - 1, stride)->id.p);
    return SWY_E_LIMIT;
  }
  *taken = strstr(config, "half") ? n / 2 : strstr(config, "more") ? n + 1 : n;
  return SWY_OK;
}

static swy_rc counter_flush(void* inst, uint64_t deadline_ns, swy_err* err) {
  (void)inst, (void)err;
  return deadline_ns == 0 ? SWY_E_LIMIT : SWY_OK;
}

static const swy_logger logger = {sizeof(swy_logger), 0, mirror_open, mirror_close, counter_write,
                                  counter_flush};

static const swy_kind provider_kind = {
    sizeof(swy_kind),
    0,
    SWY_PROVIDER_IFACE,
    "mirror",
    "{\"type\":\"object\"}",
    "{\"tasks\":[\"chat\",\"embeddings\"],\"dialects\":[\"openai\"]}",
    &provider};
static const swy_kind logger_kind = {sizeof(swy_kind), 0, SWY_LOGGER_IFACE, "counter", NULL, "{}",
                                     &logger};
static const swy_kind* const kinds[] = {&provider_kind, &logger_kind};
static const swy_lib lib = {sizeof(swy_lib), SWY_MINOR, 0,     0,    2,    "zoo.mirror",
                            "1.2.3",         "test",    kinds, NULL, NULL, NULL};

const swy_lib* swy_plugin_v1(const swy_hello* hello) {
  (void)hello;
  return &lib;
}
