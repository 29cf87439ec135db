/* A provider "answer" and a logger "note" for swaps: ANSWER, a macro of the build, tells one
 * version from another, and ANSWER_<defect> gives it a defect. The provider answers with ANSWER; a
 * request for the model "held" is answered once the file that the setting "gate" names is there; a
 * request for "crash" or "bug" shows what trials do not find. A stream says the answer in six
 * pieces, slowly where the model's name begins with "s". With the setting "tell" an answer is
 * ANSWER:MODEL:TELL.
 * The logger appends ANSWER to the file that its setting "file" names, a line for each record; with
 * the setting "tell" model and reason follow, separated by tabs. ANSWER_journal makes a library of
 * the logger alone, which is then called "journal". */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <switchyard/logger.h>
#include <switchyard/provider.h>
#include <unistd.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define PIECES 6

struct instance {
  char path[512], tell[64];
};

static swy_str str(const char* text) {
  swy_str s;
  s.p = text;
  s.n = strlen(text);
  return s;
}

/* The text of a member, which is taken to be the only one of its name and to hold no escape. */
static void member_of(swy_str json, const char* name, char* out, size_t size) {
  char quoted[64], copy[4096];
  const char *found, *end;
  snprintf(copy, sizeof copy, "%.*s", (int)json.n, json.p);
  snprintf(quoted, sizeof quoted, "\"%s\":\"", name);
  out[0] = '\0';
  found = strstr(copy, quoted);
  if (!found) return;
  found += strlen(quoted);
  end = strchr(found, '"');
  if (end) snprintf(out, size, "%.*s", (int)(end - found), found);
}

static swy_rc open_with(swy_str cfg, const char* name, void** inst, swy_err* err) {
  struct instance* made;
  char wish[32];
  (void)err;
  member_of(cfg, "do", wish, sizeof wish);
  if (strcmp(wish, "crash") == 0) raise(SIGSEGV);
  if (strcmp(wish, "refuse") == 0) {
    strcpy(err->msg, "do: it does not");
    return SWY_E_DATA;
  }
#if defined(ANSWER_open_crashes)
  raise(SIGSEGV);
#elif defined(ANSWER_open_hangs)
  for (;;) pause();
#elif defined(ANSWER_open_refuses)
  strcpy(err->msg, "settings: expected something else");
  return SWY_E_DATA;
#endif
  made = calloc(1, sizeof *made);
  member_of(cfg, name, made->path, sizeof made->path);
  member_of(cfg, "tell", made->tell, sizeof made->tell);
  *inst = made;
  return SWY_OK;
}

/* ---- provider ---- */

#if !defined(ANSWER_journal)

struct operation {
  const struct instance* instance;
  char text[160];
  int held, crash, bug, stream, slow, pieces;
};

static int is(swy_str text, const char* word) {
  return text.n == strlen(word) && memcmp(text.p, word, text.n) == 0;
}

static swy_rc answer_open(swy_str cfg, const swy_host* host, void* tag, void** inst, swy_err* err) {
  (void)host, (void)tag;
  return open_with(cfg, "gate", inst, err);
}

static void answer_close(void* inst) {
#if defined(ANSWER_close_crashes)
  raise(SIGSEGV);
#endif
  free(inst);
}

static void say(struct operation* op, swy_str model) {
  const char* const tell = op->instance->tell;
  if (tell[0] == '\0') {
    strcpy(op->text, TEXT(ANSWER));
  } else {
    snprintf(op->text, sizeof op->text, "%s:%.*s:%s", TEXT(ANSWER), (int)model.n, model.p, tell);
  }
}

static swy_rc emit_piece(const struct operation* op, int last, const swy_out* out) {
  char chunk[512];
  snprintf(chunk, sizeof chunk,
           "{\"id\":\"a\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":\"m\","
           "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"},\"finish_reason\":%s}]}",
           op->text, last ? "\"stop\"" : "null");
  return out->emit(out->ctx, SWY_EMIT_DELTA, SWY_EMIT_CONTENT, str(chunk));
}

static swy_rc emit_whole(const struct operation* op, const swy_out* out) {
  char answer[512];
  snprintf(answer, sizeof answer,
           "{\"id\":\"a\",\"object\":\"chat.completion\",\"created\":0,\"model\":\"m\","
           "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},"
           "\"finish_reason\":\"stop\"}]}",
           op->text);
  return out->emit(out->ctx, SWY_EMIT_WHOLE, 0, str(answer));
}

static swy_rc answer_op_new(void* inst, const swy_req* req, void** op, swy_err* err) {
  struct operation* made = calloc(1, sizeof *made);
  (void)err;
#if defined(ANSWER_op_new_fails)
  strcpy(err->msg, "no more operations");
  return SWY_E_LIMIT;
#endif
  made->instance = inst;
  say(made, req->model);
  made->stream = (req->flags & SWY_REQ_STREAM) != 0;
  made->slow = req->model.n > 0 && req->model.p[0] == 's';
  made->held = is(req->model, "held");
  made->crash = is(req->model, "crash");
  made->bug = is(req->model, "bug");
  *op = made;
  return SWY_OK;
}

static swy_rc answer_op_step(void* state, const swy_ev* ev, const swy_out* out, swy_next* next,
                             swy_err* err) {
  struct operation* op = state;
  (void)ev, (void)err;
#if defined(ANSWER_step_crashes)
  raise(SIGSEGV);
#elif defined(ANSWER_step_nonsense)
  next->act = 77;
  return SWY_OK;
#elif defined(ANSWER_step_feeds)
  next->act = SWY_ACT_FEED;
  return SWY_OK;
#elif defined(ANSWER_step_sends_nothing)
  next->act = SWY_ACT_SEND;
  return SWY_OK;
#elif defined(ANSWER_step_says_nothing)
  next->act = SWY_ACT_DONE;
  return SWY_OK;
#elif defined(ANSWER_step_garbles)
  next->act = SWY_ACT_DONE;
  return out->emit(out->ctx, SWY_EMIT_WHOLE, 0, str("{\"choices\":["));
#endif
  if (op->crash) raise(SIGSEGV);
  if (op->bug) return SWY_E_BUG;
  if (op->held && access(op->instance->path, F_OK) != 0) {
    char begun[600];
    FILE* file;
    snprintf(begun, sizeof begun, "%s.begun", op->instance->path);
    file = fopen(begun, "w");
    if (file) fclose(file);
    next->act = SWY_ACT_WAIT;
    next->delay_ns = 5000000;
    return SWY_OK;
  }
  if (op->stream && ++op->pieces < PIECES) {
    next->act = SWY_ACT_WAIT;
    next->delay_ns = op->slow ? 50000000 : 2000000;
    return emit_piece(op, 0, out);
  }
  next->act = SWY_ACT_DONE;
  return op->stream ? emit_piece(op, 1, out) : emit_whole(op, out);
}

static void answer_op_free(void* op) { free(op); }

static const swy_provider provider = {
    sizeof(swy_provider), 0, answer_open, answer_close, answer_op_new, answer_op_step,
    answer_op_free};

#endif

/* ---- logger ---- */

static swy_rc note_open(swy_str cfg, const swy_host* host, void* tag, void** inst, swy_err* err) {
  (void)host, (void)tag;
  return open_with(cfg, "file", inst, err);
}

static void note_close(void* inst) { free(inst); }

static swy_rc note_write(void* inst, const swy_rec* rec, uint32_t n, uint32_t stride,
                         uint64_t deadline_ns, uint32_t* taken, swy_err* err) {
  const struct instance* const self = inst;
  FILE* file = fopen(self->path, "a");
  uint32_t i;
  (void)deadline_ns;
  if (!file) {
    strcpy(err->msg, "the file can't be opened");
    return SWY_E_LIMIT;
  }
  for (i = 0; i < n; ++i) {
    const swy_rec* const one = SWY_AT(swy_rec, rec, i, stride);
    fputs(TEXT(ANSWER), file);
    if (self->tell[0] != '\0') {
      fprintf(file, "\t%.*s\t%.*s", (int)one->model_used.n, one->model_used.p,
              (int)one->route_reason.n, one->route_reason.p);
    }
    fputc('\n', file);
    fflush(file); /* the generation before may be writing its last lines */
  }
  fclose(file);
  *taken = n;
  return SWY_OK;
}

static swy_rc note_flush(void* inst, uint64_t deadline_ns, swy_err* err) {
  (void)inst, (void)deadline_ns, (void)err;
  return SWY_OK;
}

static const swy_logger logger = {sizeof(swy_logger), 0,          note_open,
                                  note_close,         note_write, note_flush};

/* ---- library ---- */

#if defined(ANSWER_journal)
#define ID "zoo.journal"
#define NAME "journal"
#else
#define ID "zoo.answer"
#define NAME "note"
static const swy_kind provider_kind = {
    sizeof(swy_kind), 0, SWY_PROVIDER_IFACE, "answer", NULL, "{\"tasks\":[\"chat\"]}", &provider};
#endif
static const swy_kind logger_kind = {sizeof(swy_kind), 0, SWY_LOGGER_IFACE, NAME, NULL, "{}",
                                     &logger};
static const swy_kind* const kinds[] = {
#if !defined(ANSWER_journal)
    &provider_kind,
#endif
    &logger_kind};
static const swy_lib lib = {
    sizeof(swy_lib), SWY_MINOR, 0,    0,   sizeof kinds / sizeof *kinds, ID, TEXT(ANSWER), "test",
    kinds,           NULL,      NULL, NULL};

const swy_lib* swy_plugin_v1(const swy_hello* hello) {
  (void)hello;
  return &lib;
}
