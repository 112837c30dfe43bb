// tests/label_test.cc - goid and set_label.
// SPDX-License-Identifier: BSD-2-Clause
#include <set>
#include <thread>

#include "gort.h"
#include "rt/trace/label.h"
#include "tests/panic_test.h"

using namespace gort;
using namespace gort::panic_test;

namespace {

std::string dump() {
    const int fd = memfd_create("dump", 0);
    dump_goroutines(fd);
    std::string text = test::read_output(fd);
    close(fd);
    return text;
}
bool dump_has(const std::string& pattern) { return test::has_line(dump(), pattern); }

TEST(goid_is_the_one_that_dumps_show) {
    CHECK_EQ(goid(), 0);
    with_procs(2, [] {
        CHECK_EQ(goid(), 1);
        auto ids = make_chan<uint64_t>();
        std::set<uint64_t> all{1};
        for (int i = 0; i < 200; ++i) go([=] { ids << goid(); });
        for (int i = 0; i < 200; ++i) all.insert(ids.recv());
        CHECK_EQ(all.size(), 201);
        auto end = make_chan<unit>();
        go([=] {
            ids << goid();
            end.recv();
        });
        const uint64_t id = ids.recv();
        EVENTUALLY(dump_has("^goroutine " + std::to_string(id) + " \\[chan receive\\]:$"));
        end.close();
        uint64_t of_thread = 7;
        blocking([&] { std::thread([&] { of_thread = goid(); }).join(); });
        CHECK_EQ(of_thread, 0);
    });
}

TEST(a_label_is_shown_as_long_as_its_goroutine_lives) {
    with_procs(2, [] {
        auto in = make_chan<std::string>();
        auto back = make_chan<unit>();
        go([=] {
            for (std::string text : in) {
                set_label(text);
                back << unit{};
            }
            back << unit{};
        });
        const auto labelled = [&](const std::string& text, const std::string& shown) {
            in << text;
            back.recv();
            EVENTUALLY(dump_has("^goroutine [0-9]+ \\[chan receive" + shown + "\\]:$"));
        };
        labelled("conn 17", ", \"conn 17\"");
        labelled("other", ", \"other\"");
        labelled("", "");
        labelled("a\"b\nc", ", \"a\\?b\\?c\"");
        const std::string most(63, 'x');
        labelled(most, ", \"" + most + "\"");
        labelled(most + "y", ", \"" + most + "\"");
        labelled(std::string(62, 'x') + "\xc3\xa4",
                 ", \"" + std::string(62, 'x') + "\"");  // not half an umlaut
        in.close();
        back.recv();
        set_label("the main one");
        lock_os_thread();
        CHECK(dump_has("^goroutine 1 \\[running, locked to thread, \"the main one\"\\]:$"));
        unlock_os_thread();
        CHECK(!dump_has("xxx"));
        // the next goroutine, in the same memory, has none
        auto out = make_chan<unit>();
        go([=] { out.recv(); });
        EVENTUALLY(dump_has("^goroutine [0-9]+ \\[chan receive\\]:$"));
        out.close();
    });
    set_label("a thread's");  // does nothing
}

TEST(labels_end_with_their_goroutines) {
    with_procs(4, [] {
        for (int round = 0; round < 20; ++round) {
            wait_group wg;
            for (int i = 0; i < 50; ++i)
                wg.go([i] {
                    set_label("worker " + std::to_string(i));
                    yield();
                    if (i % 3 == 0) goexit();
                });
            dump();
            wg.wait();
        }
        go([] {
            set_label("left behind");
            make_chan<int>().recv();
        });
        yield();
    });
}

TEST(a_panic_and_a_deadlock_show_labels) {
    const Died p = die_in_main([] {
        set_label("parser");
        panic("bad input");
    });
    CHECK_DIED(p, p.matches("^goroutine 1 \\[running, \"parser\"\\]:$"));
    const Died d = run_child([] {
        with_procs(1, [] {
            set_label("reader");
            make_chan<int>().recv();
        });
    });
    CHECK_DIED(d, d.matches("^goroutine 1 \\[chan receive, \"reader\"\\]:$"));
}

}  // namespace
