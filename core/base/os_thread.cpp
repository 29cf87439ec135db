#include "core/base/os_thread.hpp"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace switchyard {
namespace {

constexpr std::int32_t kNice = 5;
constexpr std::uint64_t kSliceNs = 100'000;

// The kernel's sched_attr, first version; the C library of Debian 12 does not declare it.
struct SchedulingAttributes {
  std::uint32_t size = sizeof(SchedulingAttributes);
  std::uint32_t policy = SCHED_BATCH;  // its waking up interrupts nobody
  std::uint64_t flags = 0;
  std::int32_t nice = kNice;
  std::uint32_t priority = 0;
  // How long it runs undisturbed. Kernels before 6.12 take no wish, and let it have milliseconds.
  std::uint64_t runtime_ns = kSliceNs, deadline_ns = 0, period_ns = 0;
};

}  // namespace

void work_behind() {
  SchedulingAttributes wish;
  ::syscall(SYS_sched_setattr, 0, &wish, 0);
}

}  // namespace switchyard
