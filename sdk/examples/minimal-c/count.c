/* The smallest logger in plain C: counts the records and says how many there were when it is
 * closed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <switchyard/logger.h>

typedef struct counter {
  const swy_host* host;
  void* tag;
  unsigned long records, failed;
} counter;

static swy_rc SWY_CALL count_open(swy_str cfg, const swy_host* host, void* tag, void** inst,
                                  swy_err* err) {
  counter* self = (counter*)calloc(1, sizeof(counter));
  (void)cfg;
  if (self == NULL) {
    strcpy(err->msg, "out of memory");
    return SWY_E_LIMIT;
  }
  self->host = host;
  self->tag = tag;
  *inst = self;
  return SWY_OK;
}

static void SWY_CALL count_close(void* inst) {
  counter* self = (counter*)inst;
  char line[96];
  swy_str text;
  sprintf(line, "counted records=%lu failed=%lu", self->records, self->failed);
  text.p = line;
  text.n = strlen(line);
  self->host->log(self->host, self->tag, SWY_LOG_INFO, text);
  free(self);
}

static swy_rc SWY_CALL count_write(void* inst, const swy_rec* rec, uint32_t n, uint32_t stride,
                                   uint64_t deadline_ns, uint32_t* taken, swy_err* err) {
  counter* self = (counter*)inst;
  uint32_t i;
  (void)deadline_ns;
  (void)err;
  for (i = 0; i < n; ++i) {
    if (SWY_AT(swy_rec, rec, i, stride)->status >= 400) ++self->failed;
  }
  self->records += n;
  *taken = n;
  return SWY_OK;
}

static swy_rc SWY_CALL count_flush(void* inst, uint64_t deadline_ns, swy_err* err) {
  (void)inst;
  (void)deadline_ns;
  (void)err;
  return SWY_OK;
}

static const swy_logger logger = {sizeof(swy_logger), 0,           count_open,
                                  count_close,        count_write, count_flush};
static const swy_kind kind = {sizeof(swy_kind), 0, SWY_LOGGER_IFACE, "count", NULL, "{}", &logger};
static const swy_kind* const kinds[] = {&kind};
static const swy_lib lib = {sizeof(swy_lib), SWY_MINOR, 0,     0,    1,    "example.count",
                            "1.0.0",         "C",       kinds, NULL, NULL, NULL};

const swy_lib* SWY_CALL swy_plugin_v1(const swy_hello* hello) {
  (void)hello;
  return &lib;
}
