// rt/base/sim_seam.h - what the runtime asks of a simulation (rt/sim.h) while one runs; nothing is linked in without.
// SPDX-License-Identifier: BSD-2-Clause
//
// A simulation runs a whole program on one thread and decides everything that is left to chance. Fast paths are inlined
// in users' code, so they must come to us by themselves: the words that they read anyway say "not here, go the slow
// way". While a simulation runs
//      open of its M's gate is 0        every enter() goes through enter_slow, which asks at()
//      g_strays is not 0                locks that are shared, and looks without the gate, enter it
//      g_sema_wanted[] are not 0        unlock goes to unlock_slow
//      P::attention has kAskSimulation  the goroutine that is left goes to g0, where the simulation chooses the next
//      P::wanted is not 0               spawn and ready say so to left_behind()
//      M::place                         another one at each step: an object that was used at another step is somebody
//                                       else's (rt/own/owner.h), and settling whose it is says so to takes()
//      g_now_hook, g_choose_hook        the clock, and every random choice of the runtime
// What remains are these questions, all of them in functions that are cold without a simulation as well.
// Context: the hooks are called on the simulation's thread, but for foreign(), which is called on any other.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace gort {
struct options;
namespace detail {
struct Owner;
}
}  // namespace gort

namespace gort::rt {

struct G;
struct M;
struct PollDesc;
struct Trace;

// The system calls of sockets, for descriptors from kSimFd on, which are the simulation's: results as the kernel's.
// Context: as the call that they stand for; watch: [inside the gate, under the PollDesc's lock].
inline constexpr int kSimFd = 1 << 28;
struct SimNet {
    int (*socket)(int family, int type);
    int (*bind)(int fd, const void* address, uint32_t size);
    int (*listen)(int fd, int backlog);
    int (*connect)(int fd, const void* address, uint32_t size);
    int (*accept)(int fd);
    long (*receive)(int fd, void* to, size_t n, void* from, uint32_t* from_size,
                    bool* truncated);                                                    // from: may be null
    long (*send)(int fd, const void* from, size_t n, const void* to, uint32_t to_size);  // to: may be null
    int (*shutdown)(int fd, int how);
    int (*name)(int fd, bool peer, void* out, uint32_t* size);
    int (*error)(int fd);                 // SO_ERROR
    int (*ready)(int fd, bool to_write);  // 1 or 0
    void (*watch)(int fd, PollDesc* d);   // instead of epoll: edges go there
    void (*close)(int fd);
    // a name's address into a net::endpoint; how many, or an error
    int (*resolve)(const char* host, size_t n, uint16_t port, int family, void* out);
};

// Places of a simulation: no P has them. What is left of them in an object after it is nobody's any more.
inline constexpr uint16_t kSimPlace = 0x8000, kSimPlaceEnd = 0xfff0;
inline bool is_sim_place(uint32_t whose) { return whose >= kSimPlace && whose < kSimPlaceEnd; }
// sched.epoch of a simulation's runs has this bit.
inline constexpr uint64_t kSimEpoch = uint64_t{1} << 63;

struct SimHooks {
    // [inside the gate] The caller's goroutine is about to use the object, whose owner is not mp's place: it is now.
    void (*takes)(M* mp, gort::detail::Owner& o);
    // [inside the gate] The same, of an object without an owner.
    void (*touches)(const void* object);
    // Is this a place of the run that goes on?
    bool (*of_this_run)(uint16_t whose);
    // [inside the gate, a goroutine] It is about to do something that others can notice: a scheduling point. Returns
    // when it is its turn.
    M* (*at)(M* mp);
    // [inside the gate, a goroutine] It has done something that others find when they look, without being woken.
    void (*after)(M* mp);
    // [inside the gate, maybe on g0] spawn or ready has just put somebody into runnext. A scheduling point, too, unless
    // on g0: nothing that the caller still does with the object may depend on its being alone.
    void (*left_behind)(M* mp);
    // [a goroutine] A panic has reached the goroutine's end, or there is a fatal error: the run has failed. Never
    // returns. trace: of the place, or null for the caller's.
    void (*fail)(const char* text, const Trace* trace);
    // [a thread of the program's own] It called into gort. Never returns.
    void (*foreign)();
    // gomaxprocs(n) of the simulated machine.
    int (*procs)(int n);
    const SimNet* net;
};
inline constinit std::atomic<const SimHooks*> g_sim{nullptr};

// The simulation that runs, or null. Constant while it runs.
[[gnu::always_inline]] inline const SimHooks* simulation() { return g_sim.load(std::memory_order_relaxed); }

// [inside the gate] For a simulation: the object is used, by the operation that has just begun.
inline void touches(const void* object) {
    if (const SimHooks* sim = simulation()) [[unlikely]]
        sim->touches(object);
}

// A descriptor of the simulation's, or of one that has ended.
inline bool is_simulated(int fd) { return fd >= kSimFd; }

// rt/sched/run.cc: the runtime without a thread of its own, for a simulation. Why it cannot start, or null.
const char* begin_simulation(const options& o);
void end_simulation();
void read_environment();  // GORT_... may be asked for

}  // namespace gort::rt
