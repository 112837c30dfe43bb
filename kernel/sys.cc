// kernel/sys.cc - the system calls, and the table of failures to inject.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/sys.h"

#include <asm/unistd.h>

#include <atomic>
#include <type_traits>

#include "arch/sanitize.h"

#if defined(__x86_64__)
#include "arch/x86_64/syscall.h"
#elif defined(__aarch64__)
#include "arch/aarch64/syscall.h"
#endif

namespace gort::kernel {

namespace {

constexpr size_t kCalls = static_cast<size_t>(Sys::kCount);
constexpr const char* kNames[kCalls] = {
#define X(name, nr) #nr,
    GORT_SYSCALLS(X)
#undef X
};
constexpr long kNumbers[kCalls] = {
#define X(name, nr) __NR_##nr,
    GORT_SYSCALLS(X)
#undef X
};
constexpr int kAtFdcwd = -100;

#if defined(GORT_DEBUG)
// One word per call, so that a step of the countdown is one compare-and-swap and a handler that interrupts it
// finds nothing half done. 0: nothing armed.
//   bits 0-11 errno   12-31 failures left   32-63 calls until the first of them
struct Fault {
    std::atomic<uint64_t> armed;
    std::atomic<uint32_t> calls;
    std::atomic<uint32_t> failures;
};
Fault faults[kCalls];
constexpr int kTimesShift = 12, kNthShift = 32;
constexpr uint64_t kErrMask = 0xfff, kTimesMask = kInjectForever;

int injected(Sys which) {
    Fault& f = faults[static_cast<size_t>(which)];
    f.calls.fetch_add(1, std::memory_order_relaxed);
    uint64_t armed = f.armed.load(std::memory_order_relaxed);
    while (armed) {
        uint64_t nth = armed >> kNthShift;
        uint64_t times = (armed >> kTimesShift) & kTimesMask;
        const uint64_t err = armed & kErrMask;
        const bool fires = nth <= 1;
        if (!fires) --nth;
        if (fires && times != kInjectForever) --times;
        const uint64_t next = times ? nth << kNthShift | times << kTimesShift | err : 0;
        if (!f.armed.compare_exchange_weak(armed, next, std::memory_order_relaxed)) continue;
        if (!fires) return 0;
        f.failures.fetch_add(1, std::memory_order_relaxed);
        return static_cast<int>(err);
    }
    return 0;
}
#else
int injected(Sys) { return 0; }
#endif

template <class T>
long word(T value) {
    if constexpr (std::is_pointer_v<T>) return reinterpret_cast<long>(value);
    else return static_cast<long>(value);
}

template <class... A>
inline long call(Sys which, A... args) {
    if (int err = injected(which)) return -err;
    return arch::syscall(kNumbers[static_cast<size_t>(which)], word(args)...);
}
// For calls whose result fits an int: all but addresses and byte counts.
template <class... A>
inline int icall(Sys which, A... args) {
    return static_cast<int>(call(which, args...));
}

constexpr size_t kSignalSetSize = 8;  // the kernel's sigset_t

}  // namespace

#if defined(GORT_DEBUG)
bool inject(Sys which, uint32_t nth, int err, uint32_t times) {
    const uint64_t n = times < kInjectForever ? times : kInjectForever;
    const uint64_t e = static_cast<uint64_t>(err) & kErrMask;
    faults[static_cast<size_t>(which)].armed.store(uint64_t{nth} << kNthShift | n << kTimesShift | e,
                                                   std::memory_order_relaxed);
    return true;
}
int injected_error(Sys which) { return injected(which); }
void inject_clear() {
    for (Fault& f : faults) {
        f.armed.store(0, std::memory_order_relaxed);
        f.calls.store(0, std::memory_order_relaxed);
        f.failures.store(0, std::memory_order_relaxed);
    }
}
uint32_t inject_count(Sys which) {
    return faults[static_cast<size_t>(which)].calls.load(std::memory_order_relaxed);
}
uint32_t inject_failures(Sys which) {
    return faults[static_cast<size_t>(which)].failures.load(std::memory_order_relaxed);
}
#else
bool inject(Sys, uint32_t, int, uint32_t) { return false; }
int injected_error(Sys) { return 0; }
void inject_clear() {}
uint32_t inject_count(Sys) { return 0; }
uint32_t inject_failures(Sys) { return 0; }
#endif

const char* sys_name(Sys which) { return which < Sys::kCount ? kNames[static_cast<size_t>(which)] : "?"; }

#if GORT_TSAN
// TSan does not see our system calls, and that memory which was given back and comes again is not what it was. The
// kernel's own lock orders the two; this says so.
static std::atomic<uint32_t> mappings{0};
static void order_mappings() { mappings.fetch_add(1, std::memory_order_acq_rel); }
#else
static void order_mappings() {}
#endif
long sys_mmap(void* addr, size_t size, int prot, int flags, int fd, int64_t offset) {
    const long at = call(Sys::kMmap, addr, size, prot, flags, fd, offset);
    order_mappings();
    return at;
}
int sys_munmap(void* addr, size_t size) {
    order_mappings();
    return icall(Sys::kMunmap, addr, size);
}
int sys_mprotect(void* addr, size_t size, int prot) { return icall(Sys::kMprotect, addr, size, prot); }
int sys_madvise(void* addr, size_t size, int advice) { return icall(Sys::kMadvise, addr, size, advice); }
long sys_process_madvise(int pidfd, const iovec* ranges, size_t n, int advice, unsigned flags) {
    return call(Sys::kProcessMadvise, pidfd, ranges, n, advice, flags);
}
int sys_mlock2(void* addr, size_t size, unsigned flags) { return icall(Sys::kMlock2, addr, size, flags); }
int sys_mincore(void* addr, size_t size, unsigned char* pages) {
    return icall(Sys::kMincore, addr, size, pages);
}

int sys_getrusage(int who, rusage* usage) { return icall(Sys::kGetrusage, who, usage); }

long sys_futex(uint32_t* addr, int op, uint32_t value, const Timespec* timeout, uint32_t* addr2,
               uint32_t value3) {
    return call(Sys::kFutex, addr, op, value, timeout, addr2, value3);
}
int sys_clone(unsigned long flags, void* stack_top, int* parent_tid, int* child_tid, void* tls,
              void (*fn)(void*), void* arg) {
    if (int err = injected(Sys::kClone)) return -err;
    return static_cast<int>(gort_clone(flags, stack_top, parent_tid, child_tid, tls, fn, arg));
}
void sys_exit(int status) {
    for (;;) arch::syscall(__NR_exit, status);
}
void sys_exit_group(int status) {
    for (;;) arch::syscall(__NR_exit_group, status);
}
int sys_gettid() { return icall(Sys::kGettid); }
int sys_getpid() { return icall(Sys::kGetpid); }
int sys_tgkill(int pid, int tid, int sig) { return icall(Sys::kTgkill, pid, tid, sig); }
int sys_sched_yield() { return icall(Sys::kSchedYield); }
int sys_sched_getaffinity(int tid, size_t size, void* mask) {
    return icall(Sys::kSchedGetaffinity, tid, size, mask);
}
int sys_sched_setaffinity(int tid, size_t size, const void* mask) {
    return icall(Sys::kSchedSetaffinity, tid, size, mask);
}
int sys_sched_getattr(int tid, SchedAttr* attr) {
    return icall(Sys::kSchedGetattr, tid, attr, sizeof *attr, 0);
}
int sys_sched_setattr(int tid, const SchedAttr* attr) { return icall(Sys::kSchedSetattr, tid, attr, 0); }
int sys_prctl(int op, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    return icall(Sys::kPrctl, op, a, b, c, d);
}
int sys_prlimit(int pid, int resource, const Rlimit* set, Rlimit* get) {
    return icall(Sys::kPrlimit, pid, resource, set, get);
}
int sys_membarrier(int command, unsigned flags) { return icall(Sys::kMembarrier, command, flags, 0); }

int sys_rt_sigaction(int sig, const void* set, void* get) {
    return icall(Sys::kRtSigaction, sig, set, get, kSignalSetSize);
}
int sys_rt_sigprocmask(int how, const uint64_t* set, uint64_t* get) {
    return icall(Sys::kRtSigprocmask, how, set, get, kSignalSetSize);
}
int sys_rt_sigtimedwait(const uint64_t* set, const Timespec* timeout) {
    return icall(Sys::kRtSigtimedwait, set, 0, timeout, kSignalSetSize);
}
int sys_sigaltstack(const void* set, void* get) { return icall(Sys::kSigaltstack, set, get); }

int sys_nanosleep(const Timespec* time, Timespec* left) { return icall(Sys::kNanosleep, time, left); }
int sys_clock_nanosleep(int clock, int flags, const Timespec* time, Timespec* left) {
    return icall(Sys::kClockNanosleep, clock, flags, time, left);
}
int sys_clock_gettime(int clock, Timespec* out) { return icall(Sys::kClockGettime, clock, out); }
long sys_getrandom(void* buf, size_t size, unsigned flags) { return call(Sys::kGetrandom, buf, size, flags); }

long sys_read(int fd, void* buf, size_t size) { return call(Sys::kRead, fd, buf, size); }
long sys_write(int fd, const void* buf, size_t size) { return call(Sys::kWrite, fd, buf, size); }
long sys_readv(int fd, const iovec* vec, int n) { return call(Sys::kReadv, fd, vec, n); }
long sys_writev(int fd, const iovec* vec, int n) { return call(Sys::kWritev, fd, vec, n); }
long sys_pread(int fd, void* buf, size_t size, int64_t offset) {
    return call(Sys::kPread, fd, buf, size, offset);
}
int sys_openat(int dirfd, const char* path, int flags, unsigned mode) {
    return icall(Sys::kOpenat, dirfd, path, flags, mode);
}
int sys_open(const char* path, int flags, unsigned mode) { return sys_openat(kAtFdcwd, path, flags, mode); }
int sys_close(int fd) { return icall(Sys::kClose, fd); }
int sys_fcntl(int fd, int command, unsigned long arg) { return icall(Sys::kFcntl, fd, command, arg); }
int sys_fstat(int fd, void* status) { return icall(Sys::kFstat, fd, status); }
int sys_ioctl(int fd, unsigned long command, void* arg) { return icall(Sys::kIoctl, fd, command, arg); }
int sys_dup3(int from, int to, int flags) { return icall(Sys::kDup3, from, to, flags); }
int sys_pipe2(int* fds, int flags) { return icall(Sys::kPipe2, fds, flags); }
int sys_unlinkat(int dirfd, const char* path, int flags) { return icall(Sys::kUnlinkat, dirfd, path, flags); }
int sys_unlink(const char* path) { return sys_unlinkat(kAtFdcwd, path, 0); }
int sys_eventfd2(unsigned count, int flags) { return icall(Sys::kEventfd2, count, flags); }
int sys_epoll_create1(int flags) { return icall(Sys::kEpollCreate1, flags); }
int sys_epoll_ctl(int epfd, int op, int fd, epoll_event* event) {
    return icall(Sys::kEpollCtl, epfd, op, fd, event);
}
// No signal mask: the last two arguments stay null and its size.
int sys_epoll_pwait(int epfd, epoll_event* events, int max, int timeout_ms) {
    return icall(Sys::kEpollPwait, epfd, events, max, timeout_ms, 0, kSignalSetSize);
}
int sys_epoll_pwait2(int epfd, epoll_event* events, int max, const Timespec* timeout) {
    return icall(Sys::kEpollPwait2, epfd, events, max, timeout, 0, kSignalSetSize);
}

int sys_ppoll(pollfd* fds, unsigned n, const Timespec* timeout) {
    return icall(Sys::kPpoll, fds, n, timeout, 0, kSignalSetSize);
}

int sys_socket(int family, int type, int protocol) { return icall(Sys::kSocket, family, type, protocol); }
int sys_bind(int fd, const sockaddr* addr, uint32_t len) { return icall(Sys::kBind, fd, addr, len); }
int sys_listen(int fd, int backlog) { return icall(Sys::kListen, fd, backlog); }
int sys_accept4(int fd, sockaddr* addr, uint32_t* len, int flags) {
    return icall(Sys::kAccept4, fd, addr, len, flags);
}
int sys_connect(int fd, const sockaddr* addr, uint32_t len) { return icall(Sys::kConnect, fd, addr, len); }
int sys_getsockname(int fd, sockaddr* addr, uint32_t* len) { return icall(Sys::kGetsockname, fd, addr, len); }
int sys_getpeername(int fd, sockaddr* addr, uint32_t* len) { return icall(Sys::kGetpeername, fd, addr, len); }
int sys_getsockopt(int fd, int level, int name, void* value, uint32_t* len) {
    return icall(Sys::kGetsockopt, fd, level, name, value, len);
}
int sys_setsockopt(int fd, int level, int name, const void* value, uint32_t len) {
    return icall(Sys::kSetsockopt, fd, level, name, value, len);
}
int sys_shutdown(int fd, int how) { return icall(Sys::kShutdown, fd, how); }
long sys_recvfrom(int fd, void* buf, size_t size, int flags, sockaddr* addr, uint32_t* len) {
    return call(Sys::kRecvfrom, fd, buf, size, flags, addr, len);
}
long sys_sendto(int fd, const void* buf, size_t size, int flags, const sockaddr* addr, uint32_t len) {
    return call(Sys::kSendto, fd, buf, size, flags, addr, len);
}
long sys_recvmsg(int fd, msghdr* msg, int flags) { return call(Sys::kRecvmsg, fd, msg, flags); }
long sys_sendmsg(int fd, const msghdr* msg, int flags) { return call(Sys::kSendmsg, fd, msg, flags); }

}  // namespace gort::kernel
