// kernel/sys.h - every system call that gort makes, raw: a result >= 0 or -errno, without libc.
// SPDX-License-Identifier: BSD-2-Clause
//
// Invariants: (1) no other file of the library enters the kernel, but for the vDSO clock (kernel/clock.h).
//             (2) no wrapper retries: EINTR and short counts are the caller's to see.
// Context:    any thread, any stack, signal handlers.
// Ordering:   none promised; a system call is not a fence.
//
// FAULT INJECTION (GORT_DEBUG only). inject(Sys::kMmap, 3, ENOMEM) makes the third mmap from now fail. Every
// wrapper asks the table first; a failed call never reaches the kernel. The table is lock-free, so it works
// in handlers too.
#pragma once

#include <linux/errno.h>

#include <cstddef>
#include <cstdint>

struct epoll_event;
struct iovec;
struct rusage;
struct msghdr;
struct pollfd;
struct sockaddr;

namespace gort::kernel {

// One line per system call: our name, the kernel's.
#define GORT_SYSCALLS(X)                   \
    X(Mmap, mmap)                          \
    X(Munmap, munmap)                      \
    X(Mprotect, mprotect)                  \
    X(Madvise, madvise)                    \
    X(ProcessMadvise, process_madvise)     \
    X(Mincore, mincore)                    \
    X(Getrusage, getrusage)                \
    X(Mlock2, mlock2)                      \
    X(Futex, futex)                        \
    X(Clone, clone)                        \
    X(Gettid, gettid)                      \
    X(Getpid, getpid)                      \
    X(Tgkill, tgkill)                      \
    X(RtSigaction, rt_sigaction)           \
    X(RtSigprocmask, rt_sigprocmask)       \
    X(RtSigtimedwait, rt_sigtimedwait)     \
    X(Sigaltstack, sigaltstack)            \
    X(Read, read)                          \
    X(Write, write)                        \
    X(Writev, writev)                      \
    X(Readv, readv)                        \
    X(Pread, pread64)                      \
    X(Openat, openat)                      \
    X(Close, close)                        \
    X(Fcntl, fcntl)                        \
    X(Fstat, fstat)                        \
    X(Ioctl, ioctl)                        \
    X(Dup3, dup3)                          \
    X(Pipe2, pipe2)                        \
    X(Unlinkat, unlinkat)                  \
    X(Eventfd2, eventfd2)                  \
    X(EpollCreate1, epoll_create1)         \
    X(EpollCtl, epoll_ctl)                 \
    X(EpollPwait, epoll_pwait)             \
    X(EpollPwait2, epoll_pwait2)           \
    X(Ppoll, ppoll)                        \
    X(SchedYield, sched_yield)             \
    X(SchedGetaffinity, sched_getaffinity) \
    X(SchedSetaffinity, sched_setaffinity) \
    X(SchedGetattr, sched_getattr)         \
    X(SchedSetattr, sched_setattr)         \
    X(Nanosleep, nanosleep)                \
    X(ClockNanosleep, clock_nanosleep)     \
    X(ClockGettime, clock_gettime)         \
    X(Getrandom, getrandom)                \
    X(Membarrier, membarrier)              \
    X(Prctl, prctl)                        \
    X(Prlimit, prlimit64)                  \
    X(Socket, socket)                      \
    X(Bind, bind)                          \
    X(Listen, listen)                      \
    X(Accept4, accept4)                    \
    X(Connect, connect)                    \
    X(Getsockname, getsockname)            \
    X(Getpeername, getpeername)            \
    X(Getsockopt, getsockopt)              \
    X(Setsockopt, setsockopt)              \
    X(Shutdown, shutdown)                  \
    X(Recvfrom, recvfrom)                  \
    X(Sendto, sendto)                      \
    X(Recvmsg, recvmsg)                    \
    X(Sendmsg, sendmsg)

enum class Sys : uint8_t {
#define X(name, nr) k##name,
    GORT_SYSCALLS(X)
#undef X
        kCount
};
const char* sys_name(Sys which);  // the kernel's name, "mmap"

struct Timespec {  // the kernel's struct __kernel_timespec
    int64_t sec;
    int64_t nsec;
};
inline constexpr int64_t kNsPerSec = 1'000'000'000;
constexpr Timespec to_timespec(int64_t ns) { return {ns / kNsPerSec, ns % kNsPerSec}; }
constexpr int64_t to_ns(const Timespec& t) { return t.sec * kNsPerSec + t.nsec; }

// An address-returning call gives an address or -errno; this tells them apart.
constexpr bool is_error(long result) { return result >= -4095 && result < 0; }

// Memory.
long sys_mmap(void* addr, size_t size, int prot, int flags, int fd, int64_t offset);
int sys_munmap(void* addr, size_t size);
int sys_mprotect(void* addr, size_t size, int prot);
int sys_madvise(void* addr, size_t size, int advice);
long sys_process_madvise(int pidfd, const iovec* ranges, size_t n, int advice, unsigned flags);
int sys_mlock2(void* addr, size_t size, unsigned flags);
int sys_mincore(void* addr, size_t size, unsigned char* pages);
int sys_getrusage(int who, rusage* usage);

// Threads and processes.
long sys_futex(uint32_t* addr, int op, uint32_t value, const Timespec* timeout, uint32_t* addr2,
               uint32_t value3);
// gort_clone of arch/*/syscall.h: the child runs fn(arg) on stack_top and exits.
int sys_clone(unsigned long flags, void* stack_top, int* parent_tid, int* child_tid, void* tls,
              void (*fn)(void*), void* arg);
[[noreturn]] void sys_exit(int status);        // this thread; its stack must outlive the call
[[noreturn]] void sys_exit_group(int status);  // the process
int sys_gettid();
int sys_getpid();
int sys_tgkill(int pid, int tid, int sig);
int sys_sched_yield();
int sys_sched_getaffinity(int tid, size_t size, void* mask);  // bytes written to the mask
int sys_sched_setaffinity(int tid, size_t size, const void* mask);
struct SchedAttr {  // the kernel's struct sched_attr, as of its first version
    uint32_t size = 48, policy = 0;
    uint64_t flags = 0;
    int32_t nice = 0;
    uint32_t priority = 0;
    uint64_t runtime = 0, deadline = 0, period = 0;
};
int sys_sched_getattr(int tid, SchedAttr* attr);
int sys_sched_setattr(int tid, const SchedAttr* attr);
int sys_prctl(int op, unsigned long a = 0, unsigned long b = 0, unsigned long c = 0, unsigned long d = 0);
struct Rlimit {
    uint64_t soft, hard;
};
int sys_prlimit(int pid, int resource, const Rlimit* set, Rlimit* get);
int sys_membarrier(int command, unsigned flags);

// Signals. Masks are the kernel's: bit sig-1. kernel/signal.h has the typed form.
int sys_rt_sigaction(int sig, const void* set, void* get);
int sys_rt_sigprocmask(int how, const uint64_t* set, uint64_t* get);
int sys_rt_sigtimedwait(const uint64_t* set, const Timespec* timeout);
int sys_sigaltstack(const void* set, void* get);

// Time and chance.
int sys_nanosleep(const Timespec* time, Timespec* left);
int sys_clock_nanosleep(int clock, int flags, const Timespec* time, Timespec* left);
int sys_clock_gettime(int clock, Timespec* out);
long sys_getrandom(void* buf, size_t size, unsigned flags);

// Descriptors.
long sys_read(int fd, void* buf, size_t size);
long sys_write(int fd, const void* buf, size_t size);
long sys_readv(int fd, const iovec* vec, int n);
long sys_writev(int fd, const iovec* vec, int n);
long sys_pread(int fd, void* buf, size_t size, int64_t offset);
int sys_openat(int dirfd, const char* path, int flags, unsigned mode);
int sys_open(const char* path, int flags,
             unsigned mode = 0);  // openat from the working directory: Sys::kOpenat
int sys_close(int fd);
int sys_fcntl(int fd, int command, unsigned long arg);
int sys_fstat(int fd, void* status);  // libc's struct stat
int sys_ioctl(int fd, unsigned long command, void* arg);
int sys_dup3(int from, int to, int flags);
int sys_pipe2(int* fds, int flags);
int sys_unlinkat(int dirfd, const char* path, int flags);
int sys_unlink(const char* path);  // Sys::kUnlinkat
int sys_eventfd2(unsigned count, int flags);
int sys_epoll_create1(int flags);
int sys_epoll_ctl(int epfd, int op, int fd, epoll_event* event);
int sys_epoll_pwait(int epfd, epoll_event* events, int max, int timeout_ms);
int sys_ppoll(pollfd* fds, unsigned n, const Timespec* timeout);
int sys_epoll_pwait2(int epfd, epoll_event* events, int max, const Timespec* timeout);

// Sockets.
int sys_socket(int family, int type, int protocol);
int sys_bind(int fd, const sockaddr* addr, uint32_t len);
int sys_listen(int fd, int backlog);
int sys_accept4(int fd, sockaddr* addr, uint32_t* len, int flags);
int sys_connect(int fd, const sockaddr* addr, uint32_t len);
int sys_getsockname(int fd, sockaddr* addr, uint32_t* len);
int sys_getpeername(int fd, sockaddr* addr, uint32_t* len);
int sys_getsockopt(int fd, int level, int name, void* value, uint32_t* len);
int sys_setsockopt(int fd, int level, int name, const void* value, uint32_t len);
int sys_shutdown(int fd, int how);
long sys_recvfrom(int fd, void* buf, size_t size, int flags, sockaddr* addr, uint32_t* len);
long sys_sendto(int fd, const void* buf, size_t size, int flags, const sockaddr* addr, uint32_t len);
long sys_recvmsg(int fd, msghdr* msg, int flags);
long sys_sendmsg(int fd, const msghdr* msg, int flags);

// Arms one failure: counting from now, the nth call (1 is the next) of `which` and the times-1 after it
// return -err. Replaces what was armed for `which`. False, and nothing armed, in a build without GORT_DEBUG.
inline constexpr uint32_t kInjectForever = 0xfffff;
bool inject(Sys which, uint32_t nth, int err, uint32_t times = 1);
// What the table has for a call that libc makes for us (pthread_create's clone): 0, or the errno it is to fail with.
int injected_error(Sys which);
void inject_clear();  // disarms everything and zeroes the counts
uint32_t inject_count(
    Sys which);  // calls of `which` since the last inject_clear, failed ones included; release: 0
uint32_t inject_failures(Sys which);  // how many of them an injection failed; release: 0

}  // namespace gort::kernel
