// tests/sched_lock_test.cc - lock_os_thread in all its rules, and what a thread of its own means for the others.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (GR-…, RT-…, CC-…) are those of the list of Go's behaviours.
#include <signal.h>
#include <sys/resource.h>

#include <mutex>

#include "tests/sched_test.h"

using namespace gort;
using namespace gort::sched_test;
using namespace std::chrono_literals;

namespace {

bool thread_exists(int tid) { return access(("/proc/self/task/" + std::to_string(tid)).c_str(), F_OK) == 0; }

// Others who move around while a test looks at one who must not.
class Crowd {
public:
    explicit Crowd(int n) {
        join_.add(n);
        for (int i = 0; i < n; ++i)
            go([this] {
                while (!stop_) {
                    const int tid = gettid();
                    for (int k = 0; k < 4; ++k)
                        if (forbidden_[k].load() == tid) ++trespasses_;
                    yield();
                }
                join_.done();
            });
    }
    void keep_off(int slot, int tid) { forbidden_[slot] = tid; }
    int end() {
        stop_ = true;
        join_.wait();
        return trespasses_;
    }

private:
    std::atomic<bool> stop_{false};
    std::atomic<int> forbidden_[4] = {};
    std::atomic<int> trespasses_{0};
    Join join_;
};

TEST_P(RT_10_the_thread_stays_and_nobody_else_runs_on_it, 1, 2, 8) {
    with_procs(procs, [] {
        Crowd crowd(10);
        Join join;
        join.add(2);
        for (int slot = 0; slot < 2; ++slot)
            go([&, slot] {
                lock_os_thread();
                const int tid = gettid();
                crowd.keep_off(slot, tid);
                Sema mine;
                for (int i = 0; i < 100; ++i) {
                    yield();
                    CHECK_EQ(gettid(), tid);
                    if (i % 20 == 0) nap(100us);
                    CHECK_EQ(gettid(), tid);
                    go([&] { mine.release(); });
                    mine.acquire();
                    CHECK_EQ(gettid(), tid);
                }
                crowd.keep_off(slot, 0);
                unlock_os_thread();
                join.done();
            });
        join.wait();
        CHECK_EQ(crowd.end(), 0);
    });
}

TEST(RT_11_as_many_unlocks_as_locks) {
    with_procs(2, [] {
        Join join;
        join.add(1);
        go([&] {
            lock_os_thread();
            lock_os_thread();
            unlock_os_thread();
            CHECK(rt::self()->locked_g == rt::self()->curg);  // still
            const int tid = gettid();
            for (int i = 0; i < 50; ++i) {
                nap(50us);
                CHECK_EQ(gettid(), tid);
            }
            unlock_os_thread();
            CHECK(!rt::self()->locked_g);
            join.done();
        });
        join.wait();
    });
}

TEST(RT_12_one_unlock_too_many_does_nothing) {
    with_procs(1, [] {
        unlock_os_thread();
        lock_os_thread();
        unlock_os_thread();
        unlock_os_thread();
        CHECK(!rt::self()->locked_g);
        yield();
    });
    unlock_os_thread();  // a thread of the program's own
    lock_os_thread();
}

TEST(RT_13_nesting_overflow_is_a_panic) {
    with_procs(1, [] {
        lock_os_thread();
        rt::self()->lock_depth = UINT32_MAX;
        std::string what;
        try {
            lock_os_thread();
        } catch (const panic_error& e) {
            what = e.what();
        }
        CHECK_EQ(what, "LockOSThread nesting overflow");
        CHECK_EQ(rt::self()->lock_depth, UINT32_MAX);
        rt::self()->lock_depth = 1;
        unlock_os_thread();
    });
}

TEST_P(RT_14_GR_39_a_locked_goroutine_blocks_and_wakes_as_any, 1, 2, 8) {
    with_procs(procs, [] {
        Sema to, back;
        go([&] {
            for (int i = 0; i < 300; ++i) {
                to.acquire();
                back.release();
            }
        });
        lock_os_thread();
        for (int i = 0; i < 300; ++i) {
            to.release();
            back.acquire();
        }
        unlock_os_thread();
    });
}

TEST_P(RT_14_two_locked_ones_wake_each_other, 1, 2, 8) {
    with_procs(procs, [] {
        Sema to, back;
        Join join;
        join.add(2);
        go([&] {
            lock_os_thread();
            for (int i = 0; i < 300; ++i) {
                to.acquire();
                back.release();
            }
            unlock_os_thread();
            join.done();
        });
        go([&] {
            lock_os_thread();
            for (int i = 0; i < 300; ++i) {
                to.release();
                back.acquire();
            }
            unlock_os_thread();
            join.done();
        });
        join.wait();
    });
}

TEST_P(RT_15_GR_38_main_starts_on_the_calling_thread_and_stays_there_if_locked, 1, 2, 8) {
    const int caller = gettid();
    with_procs(procs, [caller] {
        CHECK_EQ(gettid(), caller);
        lock_os_thread();
        for (int i = 0; i < 20; ++i) {
            Join join;
            join.add(4);
            for (int k = 0; k < 4; ++k)
                go([&] {
                    CHECK_NE(gettid(), caller);
                    join.done();
                });
            join.wait();
            CHECK_EQ(gettid(), caller);
        }
    });
    CHECK_EQ(gettid(), caller);
}

TEST_P(RT_17_the_end_of_a_locked_goroutine_is_its_threads, 1, 2, 8) {
    with_procs(procs, [] {
        for (bool by_goexit : {false, true}) {
            std::atomic<int> tid{0};
            go([&, by_goexit] {
                lock_os_thread();
                lock_os_thread();  // however deep
                tid = gettid();
                if (by_goexit) goexit();
            });
            EVENTUALLY(tid != 0);
            EVENTUALLY(!thread_exists(tid));
            Sema alive;  // and the others have its P
            go([&] { alive.release(); });
            alive.acquire();
        }
    });
}

bool usr1_is_blocked() {
    sigset_t now;
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &now), 0);
    return sigismember(&now, SIGUSR1) == 1;
}

void block_usr1() {
    sigset_t block;
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &block, nullptr), 0);
}

// How many of 200 looks, on as many threads as they can get, find it blocked.
int looks_that_find_it_blocked() {
    std::atomic<int> found{0};
    Join join;
    join.add(100);
    for (int i = 0; i < 100; ++i)
        go([&] {
            if (usr1_is_blocked()) ++found;
            nap(100us);
            if (usr1_is_blocked()) ++found;
            join.done();
        });
    join.wait();
    return found;
}

TEST_P(RT_17_and_what_it_made_of_its_thread_goes_with_it, 1, 2, 8) {
    for (bool by_goexit : {false, true})
        with_procs(procs, [by_goexit] {
            Sema blocked;
            go([&, by_goexit] {
                lock_os_thread();
                block_usr1();
                blocked.release();
                if (by_goexit) goexit();
            });
            blocked.acquire();
            CHECK_EQ(looks_that_find_it_blocked(), 0);
        });
}

// Its thread is M0, which has to stay, and would make the next one.
TEST_P(RT_17_main_that_ends_locked_by_goexit_leaves_nothing_to_the_others, 1, 2, 8) {
    const Died d = run_child([procs] {
        with_procs(procs, [] {
            go([] { std::_Exit(looks_that_find_it_blocked() ? 1 : 0); });
            lock_os_thread();
            block_usr1();
            goexit();
        });
    });
    CHECK_DIED(d, d.exit_code() == 0);
}

// What a thread of the program's own has made of itself is not the others' either, although nobody but it is there to
// make sysmon, which makes them: main waits for it without a word.
TEST_P(GR_40_a_foreign_threads_state_is_not_the_new_threads, 1, 2) {
    with_procs(procs, [] {
        errno = 0;
        const int nice = getpriority(PRIO_PROCESS, 0);
        if (errno) TEST_SKIP("no priorities here");
        std::atomic<int> low{0}, blocked{0};
        Join join;
        join.add(20);
        std::thread([&] {
            auto become = [](int n) { return setpriority(PRIO_PROCESS, id_t(gettid()), n) == 0; };
            if (become(nice + 2) && become(nice) && become(nice + 2)) low = 1;  // who may go back
            block_usr1();
            for (int i = 0; i < 20; ++i)
                go([&] {
                    const int mine = getpriority(PRIO_PROCESS, id_t(gettid()));
                    if (low && mine != nice) low = 2;
                    if (usr1_is_blocked()) ++blocked;
                    usleep(100);
                    join.done();
                });
        }).join();
        join.wait();
        CHECK_EQ(blocked.load(), 0);
        CHECK_NE(low.load(), 2);
    });
}

TEST(RT_17_after_the_unlock_it_is_not) {
    with_procs(1, [] {
        std::atomic<int> tid{0};
        go([&] {
            lock_os_thread();
            tid = gettid();
            unlock_os_thread();
        });
        EVENTUALLY(tid != 0);
        for (int i = 0; i < 100; ++i) yield();
        CHECK(thread_exists(tid));
    });
}

TEST(RT_17_main_may_end_locked) {
    const int caller = gettid();
    for (int i = 0; i < 20; ++i) {
        with_procs(2, [] {
            lock_os_thread();
            nap(10us);
        });
        CHECK_EQ(gettid(), caller);
    }
}

TEST_P(RT_18_more_locked_goroutines_than_ps, 1, 2) {
    with_procs(procs, [] {
        std::atomic<bool> stop{false};
        Join join;
        join.add(20);
        for (int i = 0; i < 20; ++i)
            go([&, i] {
                lock_os_thread();
                const int tid = gettid();
                for (int k = 0; k < 50; ++k) {
                    if (i % 4 == 0) nap(10us);
                    else yield();
                    CHECK_EQ(gettid(), tid);
                }
                if (i % 2) unlock_os_thread();
                join.done();
            });
        go([&] {
            while (!stop) {
                gomaxprocs(int(test::rnd() % 4) + 1);
                yield();
            }
            join.done();
        });
        join.add();
        for (int i = 0; i < 200; ++i) yield();
        stop = true;
        join.wait();
    });
}

TEST(a_locked_goroutine_loses_its_p_and_gets_one_again) {
    with_procs(1, [] {
        Pipe pipe, back;
        Join join;
        join.add(1);
        go([&] {
            lock_os_thread();
            const int tid = gettid();
            for (int i = 0; i < 5; ++i) {
                pipe.wait();  // loses the P
                CHECK_EQ(gettid(), tid);
                yield();      // waits for one
                CHECK_EQ(gettid(), tid);
                back.tell();
            }
            join.done();
        });
        for (int i = 0; i < 5; ++i) {
            yield();
            pipe.tell();
            back.wait();
        }
        join.wait();
    });
}

// CC-15: what a thread holds may be held across a blocking call.
TEST_P(CC_15_a_std_mutex_may_be_held_by_a_locked_goroutine_that_blocks, 1, 2) {
    with_procs(procs, [] {
        std::mutex mutex;
        Sema gate;
        Join join;
        join.add(1);
        go([&] {
            lock_os_thread();
            mutex.lock();
            gate.acquire();
            mutex.unlock();
            unlock_os_thread();
            join.done();
        });
        EVENTUALLY(gate.waiting() == 1);
        gate.release();
        join.wait();
        CHECK(mutex.try_lock());
        mutex.unlock();
    });
}

// Another thread_local or errno after a park is allowed; the library itself must not keep an address of one.
thread_local int t_mine = 0;
[[gnu::noinline]] int* mine() { return &t_mine; }
TEST_P(CC_13_goroutines_move_between_threads_and_stay_themselves, 2, 8) {
    with_procs(procs, [] {
        std::atomic<int> moves{0};
        Join join;
        join.add(20);
        for (int i = 0; i < 20; ++i)
            go([&, i] {
                rt::G* me = rt::self()->curg;
                int last = gettid();
                for (int k = 0; k < 200 || (moves < 20 && k < 100'000); ++k) {
                    if (k % 8 == i % 8) nap(1us);  // timers and thieves spread them
                    else yield();
                    CHECK(rt::self()->curg == me);
                    CHECK_EQ(rt::self()->tid, gettid());
                    *mine() = i;
                    CHECK_EQ(*mine(), i);
                    if (gettid() != last) ++moves;
                    last = gettid();
                }
                join.done();
            });
        join.wait();
        CHECK_LT(0, moves.load());
    });
}

// A new thread must not start with what a locked goroutine has done to its own.
TEST(GR_40_threads_do_not_inherit_from_a_locked_one) {
    with_procs(1, [] {
        lock_os_thread();
        sigset_t block;
        sigemptyset(&block);
        sigaddset(&block, SIGUSR1);
        CHECK_EQ(pthread_sigmask(SIG_BLOCK, &block, nullptr), 0);
        for (int i = 0; i < 3; ++i) {
            Sema end;
            Pipe pipe;
            go([&] {
                blocking([&] { pipe.wait(); });  // another M has to be made meanwhile
                end.release();
            });
            go([&] {
                sigset_t now;
                CHECK_EQ(pthread_sigmask(SIG_SETMASK, nullptr, &now), 0);
                CHECK_EQ(sigismember(&now, SIGUSR1), 0);
                pipe.tell();
            });
            end.acquire();
        }
        pthread_sigmask(SIG_UNBLOCK, &block, nullptr);
        unlock_os_thread();
    });
}

}  // namespace
