/* A strategy "choose" for swaps: CHOOSE, a macro of the build, tells one version from another. The
 * first prefers the first candidate, the second the second, the third the third; the setting
 * "shift" ("0", "1", "2") moves on from there. Version and shift are its reason. "twin" prefers
 * what the first does; "fails" and "crashes" do so once they are asked, which no trial does. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <switchyard/strategy.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

#if defined(CHOOSE_two)
#define FIRST 1u
#elif defined(CHOOSE_three)
#define FIRST 2u
#else
#define FIRST 0u
#endif

struct instance {
  unsigned shift;
};

static swy_rc choose_open(swy_str cfg, const swy_host* host, void* tag, void** inst, swy_err* err) {
  static const char member[] = "\"shift\":\"";
  struct instance* const made = calloc(1, sizeof *made);
  char copy[256];
  const char* found;
  (void)host, (void)tag, (void)err;
  snprintf(copy, sizeof copy, "%.*s", (int)cfg.n, cfg.p);
  found = strstr(copy, member);
  if (found) made->shift = (unsigned)(found[sizeof member - 1] - '0');
  *inst = made;
  return SWY_OK;
}

static void choose_close(void* inst) { free(inst); }

static swy_rc choose_score(void* inst, const swy_rreq* req, const swy_cand* cand, uint32_t n,
                           uint32_t cand_stride, swy_score* out, uint32_t out_stride,
                           swy_err* err) {
  const unsigned shift = ((const struct instance*)inst)->shift;
  uint32_t i;
  (void)req, (void)cand, (void)cand_stride, (void)err;
#if defined(CHOOSE_fails)
  return SWY_E_BUG;
#elif defined(CHOOSE_crashes)
  raise(SIGSEGV);
#endif
  for (i = 0; i < n; ++i) {
    swy_score* const score = (swy_score*)((char*)out + (size_t)i * out_stride);
    score->score = i == (FIRST + shift) % n;
    snprintf(score->reason, sizeof score->reason, TEXT(CHOOSE) "+%u", shift);
  }
  return SWY_OK;
}

static const swy_strategy strategy = {sizeof(swy_strategy), 0,    choose_open, choose_close,
                                      choose_score,         NULL, NULL,        NULL};

static const swy_kind kind = {sizeof(swy_kind), 0, SWY_STRATEGY_IFACE, "choose", NULL, "{}",
                              &strategy};
static const swy_kind* const kinds[] = {&kind};
static const swy_lib lib = {sizeof(swy_lib), SWY_MINOR, 0,     0,    1,    "zoo.choose",
                            TEXT(CHOOSE),    "test",    kinds, NULL, NULL, NULL};

const swy_lib* swy_plugin_v1(const swy_hello* hello) {
  (void)hello;
  return &lib;
}
