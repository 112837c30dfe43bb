// tests/kernel_sys_test.cc - every system call wrapper once, and a failure injected into each.
// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

#include <cerrno>

#include "kernel/sys.h"
#include "tests/kernel_test.h"

using namespace gort::kernel;
using namespace kernel_test;

// ---- each wrapper: does it reach the call it is named after, with its arguments in order? ----

TEST(memory_calls) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const long r = sys_mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(!is_error(r));
    auto* p = reinterpret_cast<unsigned char*>(r);
    p[0] = 7;
    unsigned char in[2] = {9, 9};
    CHECK_EQ(sys_mincore(p, 2 * page, in), 0);
    CHECK_EQ(in[0] & 1, 1);
    CHECK_EQ(in[1] & 1, 0);
    CHECK_EQ(sys_madvise(p, page, MADV_DONTNEED), 0);
    CHECK_EQ(p[0], 0);
    CHECK_EQ(sys_mprotect(p, page, PROT_READ), 0);
    CHECK_EQ(sys_clock_gettime(CLOCK_MONOTONIC, reinterpret_cast<Timespec*>(p)), -EFAULT);  // read-only now
    CHECK_EQ(sys_munmap(p, 2 * page), 0);
    CHECK_EQ(sys_mincore(p, page, in), -ENOMEM);
    CHECK_EQ(sys_mmap(nullptr, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), -EINVAL);

    // The offset: the second page of a file.
    TempDir dir;
    dir.write("/file", std::string(page, 'a') + std::string(page, 'b'));
    const int fd = sys_open((dir.path + "/file").c_str(), O_RDONLY | O_CLOEXEC);
    CHECK_LE(0, fd);
    const long file = sys_mmap(nullptr, page, PROT_READ, MAP_PRIVATE, fd, static_cast<int64_t>(page));
    CHECK(!is_error(file));
    CHECK_EQ(*reinterpret_cast<char*>(file), 'b');
    CHECK_EQ(sys_munmap(reinterpret_cast<void*>(file), page), 0);
    CHECK_EQ(sys_close(fd), 0);
    CHECK_EQ(sys_close(fd), -EBADF);
}

TEST(process_madvise_call) {
    // No pidfd: the call itself must be reached and refuse it (or be unknown to an old kernel or emulator).
    const iovec range{nullptr, 0};
    const long r = sys_process_madvise(-1, &range, 1, MADV_DONTNEED, 0);
    CHECK(r == -EBADF || r == -ENOSYS || r == -EINVAL);
}

TEST(descriptor_calls) {
    TempDir dir;
    const std::string name = dir.path + "/f";
    const int fd = sys_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK_LE(0, fd);
    CHECK_EQ(sys_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600), -EEXIST);
    struct stat st {};
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK_EQ(sys_write(fd, "hello ", 6), 6);
    char w[] = "world", bang[] = "!";
    const iovec vec[2] = {{w, 5}, {bang, 1}};
    CHECK_EQ(sys_writev(fd, vec, 2), 6);
    char buf[16] = {};
    CHECK_EQ(sys_pread(fd, buf, 5, 6), 5);
    CHECK_EQ(static_cast<const char*>(buf), std::string("world"));
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    char a[3] = {}, b[9] = {};
    const iovec in[2] = {{a, 2}, {b, 8}};
    CHECK_EQ(sys_readv(fd, in, 2), 10);
    CHECK_EQ(static_cast<const char*>(a), std::string("he"));
    CHECK_EQ(static_cast<const char*>(b), std::string("llo worl"));
    CHECK_EQ(sys_read(fd, buf, 16), 2);
    CHECK_EQ(buf[1], '!');
    CHECK_EQ(sys_fcntl(fd, F_GETFD, 0), FD_CLOEXEC);
    CHECK_EQ(sys_fcntl(fd, F_SETFD, 0), 0);
    CHECK_EQ(sys_fcntl(fd, F_GETFD, 0), 0);
    const int other = sys_dup3(fd, fd + 40, O_CLOEXEC);
    CHECK_EQ(other, fd + 40);
    CHECK_EQ(sys_fcntl(other, F_GETFD, 0), FD_CLOEXEC);
    CHECK_EQ(sys_close(other), 0);
    CHECK_EQ(sys_close(fd), 0);
    CHECK_EQ(sys_unlink(name.c_str()), 0);
    CHECK_EQ(sys_unlink(name.c_str()), -ENOENT);
    CHECK_EQ(sys_openat(AT_FDCWD, name.c_str(), O_RDONLY, 0), -ENOENT);

    int fds[2];
    CHECK_EQ(sys_pipe2(fds, O_NONBLOCK), 0);
    CHECK_EQ(sys_read(fds[0], buf, 1), -EAGAIN);
    CHECK_EQ(sys_write(fds[1], "abc", 3), 3);
    int waiting = 0;
    CHECK_EQ(sys_ioctl(fds[0], FIONREAD, &waiting), 0);
    CHECK_EQ(waiting, 3);
    CHECK_EQ(sys_close(fds[0]), 0);
    CHECK_EQ(sys_close(fds[1]), 0);
}

TEST(event_calls) {
    const int event = sys_eventfd2(3, O_NONBLOCK);
    CHECK_LE(0, event);
    uint64_t count = 0;
    CHECK_EQ(sys_read(event, &count, 8), 8);
    CHECK_EQ(count, 3);
    const int ep = sys_epoll_create1(EPOLL_CLOEXEC);
    CHECK_LE(0, ep);
    epoll_event e{};
    e.events = EPOLLIN;
    e.data.u64 = 0x123456789abcdef0;
    CHECK_EQ(sys_epoll_ctl(ep, EPOLL_CTL_ADD, event, &e), 0);
    epoll_event got[4] = {};
    CHECK_EQ(sys_epoll_pwait(ep, got, 4, 0), 0);
    count = 1;
    CHECK_EQ(sys_write(event, &count, 8), 8);
    CHECK_EQ(sys_epoll_pwait(ep, got, 4, -1), 1);
    CHECK_EQ(uint64_t{got[0].data.u64}, 0x123456789abcdef0);
    const Timespec none{0, 0};
    const int n = sys_epoll_pwait2(ep, got, 4, &none);
    CHECK(n == 1 || n == -ENOSYS);
    CHECK_EQ(sys_close(ep), 0);
    CHECK_EQ(sys_close(event), 0);
}

TEST(thread_calls) {
    CHECK_EQ(sys_getpid(), ::getpid());
    CHECK_EQ(sys_gettid(), ::getpid());
    CHECK_EQ(sys_sched_yield(), 0);
    CHECK_EQ(sys_tgkill(sys_getpid(), sys_gettid(), 0), 0);
    CHECK_EQ(sys_tgkill(sys_getpid(), 1, 0), -ESRCH);
    uint64_t mask[128] = {};
    const int size = sys_sched_getaffinity(0, sizeof mask, mask);
    CHECK_LT(0, size);
    CHECK_EQ(sys_sched_setaffinity(0, static_cast<size_t>(size), mask), 0);
    SchedAttr attr;
    CHECK_EQ(sys_sched_getattr(0, &attr), 0);
    CHECK_EQ(attr.size, sizeof attr);
    CHECK_EQ(sys_sched_setattr(0, &attr), 0);
    uint32_t word = 1;
    CHECK_EQ(sys_futex(&word, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0), -EAGAIN);
    CHECK_EQ(sys_futex(&word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0), 0);
    const Timespec soon{0, 1};
    CHECK_EQ(sys_futex(&word, FUTEX_WAIT_PRIVATE, 1, &soon, nullptr, 0), -ETIMEDOUT);
    CHECK_EQ(sys_prctl(PR_SET_NAME, reinterpret_cast<unsigned long>("a-name")), 0);
    char name[16] = {};
    CHECK_EQ(sys_prctl(PR_GET_NAME, reinterpret_cast<unsigned long>(name)), 0);
    CHECK_EQ(static_cast<const char*>(name), std::string("a-name"));
    Rlimit files{};
    CHECK_EQ(sys_prlimit(0, RLIMIT_NOFILE, nullptr, &files), 0);
    rlimit libc_files{};
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &libc_files), 0);
    CHECK_EQ(files.soft, libc_files.rlim_cur);
    CHECK_EQ(files.hard, libc_files.rlim_max);
    const int commands = sys_membarrier(MEMBARRIER_CMD_QUERY, 0);
    CHECK(commands >= 0 || commands == -ENOSYS);
    // A stack that is not there: refused before anything is made, on the way through all seven arguments.
    CHECK(sys_clone(CLONE_THREAD, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr) < 0);
}

TEST(signal_calls) {
    uint64_t before = 0, now = 0;
    const uint64_t usr1 = uint64_t{1} << (SIGUSR1 - 1);
    CHECK_EQ(sys_rt_sigprocmask(SIG_BLOCK, &usr1, &before), 0);
    CHECK_EQ(sys_rt_sigprocmask(SIG_SETMASK, &before, &now), 0);
    CHECK_EQ(now, before | usr1);
    struct {
        unsigned long words[4];
    } action = {};
    CHECK_EQ(sys_rt_sigaction(SIGUSR1, nullptr, &action), 0);
    CHECK_EQ(action.words[0], 0);  // SIG_DFL
    CHECK_EQ(sys_rt_sigaction(SIGKILL, &action, nullptr), -EINVAL);
    stack_t stack{};
    CHECK_EQ(sys_sigaltstack(nullptr, &stack), 0);
}

TEST(time_calls) {
    Timespec t{}, left{};
    CHECK_EQ(sys_clock_gettime(CLOCK_MONOTONIC, &t), 0);
    CHECK_LT(0, to_ns(t));
    CHECK_EQ(sys_clock_gettime(12345, &t), -EINVAL);
    const Timespec soon = to_timespec(1000);
    CHECK_EQ(sys_nanosleep(&soon, &left), 0);
    CHECK_EQ(sys_clock_nanosleep(CLOCK_MONOTONIC, 0, &soon, &left), 0);
    const Timespec past = {0, 1};
    CHECK_EQ(sys_clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, nullptr), 0);
    uint64_t a = 0, b = 0;
    CHECK_EQ(sys_getrandom(&a, sizeof a, 0), 8);
    CHECK_EQ(sys_getrandom(&b, sizeof b, 0), 8);
    CHECK_NE(a, b);
    CHECK_EQ(to_ns(to_timespec(1'234'567'890'123)), 1'234'567'890'123);
    CHECK_EQ(to_timespec(1'234'567'890'123).nsec, 567'890'123);
}

TEST(socket_calls) {
    const int server = sys_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_LE(0, server);
    int on = 1, got = 0;
    uint32_t len = sizeof got;
    CHECK_EQ(sys_setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    CHECK_EQ(sys_getsockopt(server, SOL_SOCKET, SO_REUSEADDR, &got, &len), 0);
    CHECK_NE(got, 0);
    sockaddr_in addr{};
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* any = reinterpret_cast<sockaddr*>(&addr);
    CHECK_EQ(sys_bind(server, any, sizeof addr), 0);
    len = sizeof addr;
    CHECK_EQ(sys_getsockname(server, any, &len), 0);
    CHECK_NE(addr.sin_port, 0);
    CHECK_EQ(sys_listen(server, 4), 0);
    const int client = sys_socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(sys_getpeername(client, any, &len), -ENOTCONN);
    CHECK_EQ(sys_connect(client, any, len), 0);
    sockaddr_in peer{};
    len = sizeof peer;
    const int conn =
        sys_accept4(server, reinterpret_cast<sockaddr*>(&peer), &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    CHECK_LE(0, conn);
    CHECK_EQ(sys_fcntl(conn, F_GETFD, 0), FD_CLOEXEC);
    sockaddr_in seen{};
    len = sizeof seen;
    CHECK_EQ(sys_getpeername(conn, reinterpret_cast<sockaddr*>(&seen), &len), 0);
    CHECK_EQ(seen.sin_port, peer.sin_port);
    char buf[8] = {};
    CHECK_EQ(sys_recvfrom(conn, buf, sizeof buf, 0, nullptr, nullptr), -EAGAIN);
    CHECK_EQ(sys_sendto(client, "ab", 2, MSG_NOSIGNAL, nullptr, 0), 2);
    CHECK_EQ(sys_recvfrom(conn, buf, sizeof buf, MSG_PEEK, nullptr, nullptr), 2);
    iovec part{buf, sizeof buf};
    msghdr msg{};
    msg.msg_iov = &part;
    msg.msg_iovlen = 1;
    CHECK_EQ(sys_recvmsg(conn, &msg, 0), 2);
    CHECK_EQ(static_cast<const char*>(buf), std::string("ab"));
    part.iov_len = 1;
    CHECK_EQ(sys_sendmsg(client, &msg, MSG_NOSIGNAL), 1);
    CHECK_EQ(sys_shutdown(client, SHUT_WR), 0);
    CHECK_EQ(sys_recvfrom(conn, buf, sizeof buf, 0, nullptr, nullptr), 1);
    CHECK_EQ(sys_recvfrom(conn, buf, sizeof buf, 0, nullptr, nullptr), 0);
    for (int fd : {server, client, conn}) CHECK_EQ(sys_close(fd), 0);

    // sendto with an address, recvfrom that learns it.
    int udp[2];
    for (int& fd : udp) {
        fd = sys_socket(AF_INET, SOCK_DGRAM, 0);
        addr.sin_port = 0;
        CHECK_EQ(sys_bind(fd, any, sizeof addr), 0);
        len = sizeof addr;
        CHECK_EQ(sys_getsockname(fd, any, &len), 0);
    }
    CHECK_EQ(sys_sendto(udp[0], "x", 1, 0, any, sizeof addr), 1);
    len = sizeof peer;
    CHECK_EQ(sys_recvfrom(udp[1], buf, sizeof buf, 0, reinterpret_cast<sockaddr*>(&peer), &len), 1);
    len = sizeof seen;
    CHECK_EQ(sys_getsockname(udp[0], reinterpret_cast<sockaddr*>(&seen), &len), 0);
    CHECK_EQ(peer.sin_port, seen.sin_port);
    for (int fd : udp) CHECK_EQ(sys_close(fd), 0);
}

TEST_DIES(exit_ends_a_thread_and_exit_group_the_process, "going", 7) {
    // sys_exit of another thread leaves this one alive; tests/kernel_thread_test.cc joins one that left that way.
    dprintf(2, "going\n");
    sys_exit_group(7);
}

// ---- injection ----

// One harmless call of every wrapper. Without an injection it must not return kMark.
constexpr int kMark = EXDEV;
static long call(Sys which) {
    sockaddr_in addr{};
    auto* a = reinterpret_cast<sockaddr*>(&addr);
    uint32_t len = sizeof addr, word = 0;
    char buf[64] = {};
    int pair[2] = {-1, -1};
    msghdr msg{};
    epoll_event event{};
    uint64_t mask[128] = {};
    const Timespec none{0, 0};
    Timespec t{};
    Rlimit limit{};
    stack_t stack{};
    const iovec vec{buf, 1};
    unsigned char in;
    long r = 0;
    switch (which) {
    case Sys::kMmap: return sys_mmap(nullptr, 0, 0, 0, -1, 0);
    case Sys::kMunmap: return sys_munmap(nullptr, 0);
    case Sys::kMprotect: return sys_mprotect(nullptr, 0, 0);
    case Sys::kMadvise: return sys_madvise(nullptr, 0, 0);
    case Sys::kProcessMadvise: return sys_process_madvise(-1, &vec, 1, 0, 0);
    case Sys::kMincore: return sys_mincore(nullptr, 0, &in);
    case Sys::kGetrusage: return sys_getrusage(-2, nullptr);
    case Sys::kMlock2: return sys_mlock2(nullptr, 0, 0);
    case Sys::kFutex: return sys_futex(&word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    case Sys::kClone: return sys_clone(CLONE_THREAD, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
    case Sys::kGettid: return sys_gettid();
    case Sys::kGetpid: return sys_getpid();
    case Sys::kTgkill: return sys_tgkill(::getpid(), ::getpid(), 0);
    case Sys::kRtSigaction: return sys_rt_sigaction(SIGUSR1, nullptr, buf);
    case Sys::kRtSigprocmask: return sys_rt_sigprocmask(SIG_BLOCK, nullptr, mask);
    case Sys::kRtSigtimedwait: return sys_rt_sigtimedwait(nullptr, &none);
    case Sys::kSigaltstack: return sys_sigaltstack(nullptr, &stack);
    case Sys::kRead: return sys_read(-1, buf, 1);
    case Sys::kWrite: return sys_write(-1, buf, 1);
    case Sys::kWritev: return sys_writev(-1, &vec, 1);
    case Sys::kReadv: return sys_readv(-1, &vec, 1);
    case Sys::kPread: return sys_pread(-1, buf, 1, 0);
    case Sys::kOpenat: return sys_openat(-1, "", 0, 0);
    case Sys::kClose: return sys_close(-1);
    case Sys::kFcntl: return sys_fcntl(-1, F_GETFD, 0);
    case Sys::kFstat: return sys_fstat(-1, nullptr);
    case Sys::kIoctl: return sys_ioctl(-1, FIONREAD, buf);
    case Sys::kDup3: return sys_dup3(-1, -1, 0);
    case Sys::kPipe2: return sys_pipe2(pair, -1);
    case Sys::kUnlinkat: return sys_unlinkat(-1, "", 0);
    case Sys::kEventfd2: return sys_eventfd2(0, -1);
    case Sys::kEpollCreate1: return sys_epoll_create1(-1);
    case Sys::kEpollCtl: return sys_epoll_ctl(-1, EPOLL_CTL_ADD, -1, &event);
    case Sys::kEpollPwait: return sys_epoll_pwait(-1, &event, 1, 0);
    case Sys::kEpollPwait2: return sys_epoll_pwait2(-1, &event, 1, &none);
    case Sys::kPpoll: return sys_ppoll(nullptr, 1, &none);
    case Sys::kSchedYield: return sys_sched_yield();
    case Sys::kSchedGetaffinity: return sys_sched_getaffinity(0, sizeof mask, mask);
    case Sys::kSchedSetaffinity: return sys_sched_setaffinity(0, 8, mask);
    case Sys::kSchedGetattr: {
        SchedAttr attr;
        return sys_sched_getattr(0, &attr);
    }
    case Sys::kSchedSetattr: {
        const SchedAttr attr;
        return sys_sched_setattr(0, &attr);
    }
    case Sys::kNanosleep: return sys_nanosleep(&none, &t);
    case Sys::kClockNanosleep: return sys_clock_nanosleep(CLOCK_MONOTONIC, 0, &none, &t);
    case Sys::kClockGettime: return sys_clock_gettime(CLOCK_MONOTONIC, &t);
    case Sys::kGetrandom: return sys_getrandom(buf, 1, 0);
    case Sys::kMembarrier: return sys_membarrier(MEMBARRIER_CMD_QUERY, 0);
    case Sys::kPrctl: return sys_prctl(PR_GET_NAME, reinterpret_cast<unsigned long>(buf));
    case Sys::kPrlimit: return sys_prlimit(0, RLIMIT_NOFILE, nullptr, &limit);
    case Sys::kSocket: return sys_socket(-1, 0, 0);
    case Sys::kBind: return sys_bind(-1, a, len);
    case Sys::kListen: return sys_listen(-1, 1);
    case Sys::kAccept4: return sys_accept4(-1, a, &len, 0);
    case Sys::kConnect: return sys_connect(-1, a, len);
    case Sys::kGetsockname: return sys_getsockname(-1, a, &len);
    case Sys::kGetpeername: return sys_getpeername(-1, a, &len);
    case Sys::kGetsockopt: return sys_getsockopt(-1, 0, 0, buf, &len);
    case Sys::kSetsockopt: return sys_setsockopt(-1, 0, 0, buf, len);
    case Sys::kShutdown: return sys_shutdown(-1, 0);
    case Sys::kRecvfrom: return sys_recvfrom(-1, buf, 1, 0, nullptr, nullptr);
    case Sys::kSendto: return sys_sendto(-1, buf, 1, 0, nullptr, 0);
    case Sys::kRecvmsg: return sys_recvmsg(-1, &msg, 0);
    case Sys::kSendmsg: return sys_sendmsg(-1, &msg, 0);
    case Sys::kCount: break;  // no default: the compiler names a call that is missing here
    }
    return r;
}

TEST(every_call_can_be_made_to_fail) {
    INJECT(Sys::kRead, 1, EIO);
    inject_clear();
    for (int i = 0; i < static_cast<int>(Sys::kCount); ++i) {
        const auto which = static_cast<Sys>(i);
        if (call(which) == -kMark) gort::test::fail(__FILE__, __LINE__, "%s", sys_name(which));
        CHECK_EQ(inject_count(which), 1);
        inject(which, 2, kMark, 2);
        for (int nth = 1; nth <= 4; ++nth) {
            const bool failed = call(which) == -kMark;
            if (failed != (nth == 2 || nth == 3))
                gort::test::fail(__FILE__, __LINE__, "%s, call %d", sys_name(which), nth);
        }
        CHECK_EQ(inject_count(which), 5);
        CHECK_EQ(inject_failures(which), 2);
    }
}

TEST(injection_is_replaced_cleared_and_endless) {
    INJECT(Sys::kGetpid, 1, EIO, kInjectForever);
    for (uint32_t i = 0; i < kInjectForever + 1000; ++i)
        if (sys_getpid() != -EIO) gort::test::fail(__FILE__, __LINE__, "call %u", i);
    inject(Sys::kGetpid, 3, ENOMEM);  // instead of the first
    CHECK_EQ(sys_getpid(), ::getpid());
    CHECK_EQ(sys_getpid(), ::getpid());
    CHECK_EQ(sys_getpid(), -ENOMEM);
    CHECK_EQ(sys_getpid(), ::getpid());
    inject(Sys::kGetpid, 1, EIO);
    CHECK_EQ(sys_gettid(), ::getpid());  // another call is not touched
    inject_clear();
    CHECK_EQ(sys_getpid(), ::getpid());
    CHECK_EQ(inject_count(Sys::kGetpid), 1);
    CHECK_EQ(inject_failures(Sys::kGetpid), 0);
}

TEST(injection_from_several_threads_fires_exactly_as_often_as_asked) {
    constexpr int kThreads = 4, kCalls = 30'000, kAll = kThreads * kCalls;
    // A step of the countdown to the first failure that is lost leaves fewer than the last 100 calls to fail, and one
    // of the countdown of failures makes more than half of the calls fail.
    for (int times : {100, kAll / 2}) {
        inject_clear();
        INJECT(Sys::kGetpid, times == 100 ? kAll - 99 : 1, EIO, static_cast<uint32_t>(times));
        std::atomic<int> failed{0}, ready{0};
        std::thread threads[kThreads];
        for (auto& t : threads)
            t = std::thread([&] {
                for (++ready; ready < kThreads;) std::this_thread::yield();
                for (int i = 0; i < kCalls; ++i)
                    if (sys_getpid() == -EIO) ++failed;
            });
        for (auto& t : threads) t.join();
        CHECK_EQ(failed, times);
        CHECK_EQ(inject_failures(Sys::kGetpid), times);
        CHECK_EQ(inject_count(Sys::kGetpid), kAll);
    }
}

// A handler that makes the same call in the middle of a step of the countdown: neither call may go uncounted.
TEST(injection_counts_what_a_signal_handler_calls) {
    constexpr uint32_t kFirst = 200'000;
    INJECT(Sys::kGetpid, kFirst / static_cast<uint32_t>(gort::test::slow()), EIO, kInjectForever);
    signal(SIGALRM, [](int) { sys_getpid(); });
    const int us = 20 * gort::test::slow();
    const itimerval often{{0, us}, {0, us}}, never{};
    CHECK_EQ(setitimer(ITIMER_REAL, &often, nullptr), 0);
    while (inject_failures(Sys::kGetpid) < 100) sys_getpid();
    CHECK_EQ(setitimer(ITIMER_REAL, &never, nullptr), 0);
    const uint32_t good = inject_count(Sys::kGetpid) - inject_failures(Sys::kGetpid);
    CHECK_EQ(good, kFirst / static_cast<uint32_t>(gort::test::slow()) - 1);
}

TEST(release_builds_inject_nothing) {
#if defined(GORT_DEBUG)
    TEST_SKIP("this build injects");
#else
    CHECK(!inject(Sys::kGetpid, 1, EIO));
    CHECK_EQ(sys_getpid(), ::getpid());
    CHECK_EQ(inject_count(Sys::kGetpid), 0);
#endif
}

TEST(names_are_the_kernels) {
    CHECK_EQ(sys_name(Sys::kMmap), std::string("mmap"));
    CHECK_EQ(sys_name(Sys::kPread), std::string("pread64"));
    CHECK_EQ(sys_name(Sys::kSendmsg), std::string("sendmsg"));
    CHECK_EQ(sys_name(Sys::kCount), std::string("?"));
}
