/* A logger built with the headers of the next minor (freeze/next_headers.cmake): it fills the slots
 * that those append. With ZOO_needs_next it can't do without a host of that minor. */
#include <switchyard/logger.h>

static swy_rc SWY_CALL later_open(swy_str cfg, const swy_host* host, void* tag, void** inst,
                                  swy_err* err) {
  (void)cfg, (void)host, (void)tag, (void)err;
  *inst = NULL;
  return SWY_OK;
}
static void SWY_CALL later_close(void* inst) { (void)inst; }
static swy_rc SWY_CALL later_write(void* inst, const swy_rec* rec, uint32_t n, uint32_t stride,
                                   uint64_t deadline_ns, uint32_t* taken, swy_err* err) {
  (void)inst, (void)rec, (void)stride, (void)deadline_ns, (void)err;
  *taken = n;
  return SWY_OK;
}
static swy_rc SWY_CALL later_flush(void* inst, uint64_t deadline_ns, swy_err* err) {
  (void)inst, (void)deadline_ns, (void)err;
  return SWY_OK;
}
static swy_rc SWY_CALL later_rotate(void* inst) {
  (void)inst;
  return SWY_OK;
}
static const swy_logger logger = {sizeof(swy_logger), 0,           later_open,  later_close,
                                  later_write,        later_flush, later_rotate};

static const swy_kind kind = {sizeof(swy_kind), 0, SWY_LOGGER_IFACE, "later", NULL, "{}", &logger};
static const swy_kind* const kinds[] = {&kind};

static swy_rc SWY_CALL refresh(void) { return SWY_OK; }

#if defined(ZOO_needs_next)
#define NEEDED SWY_MINOR
#else
#define NEEDED 0
#endif
static const swy_lib lib = {sizeof(swy_lib), SWY_MINOR, NEEDED, 0,    1,    "zoo.later", "2.0.0",
                            "zoo",           kinds,     NULL,   NULL, NULL, refresh};

SWY_EXPORT const swy_lib* SWY_CALL swy_plugin_v1(const swy_hello* hello) {
  (void)hello;
  return &lib;
}
