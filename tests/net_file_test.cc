// tests/net_file_test.cc - net::fd on what epoll does not take: files, /dev/null, directories.
// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>

#include "tests/child.h"
#include "tests/net_test.h"

using namespace gort;
using namespace gort::net_test;

namespace {

// A file of its own that nobody else sees.
int temp_file() {
    char path[] = "/tmp/gort-file-XXXXXX";
    const int fd = mkostemp(path, O_CLOEXEC);
    CHECK_LE(0, fd);
    CHECK_EQ(unlink(path), 0);
    return fd;
}

std::string rest_of(const net::fd& f) {
    std::string all;
    for (;;) {
        char buf[7777];
        auto n = f.read(buf);
        if (!n) {
            CHECK_EQ(n.error(), make_error_code(net::errc::eof));
            return all;
        }
        all.append(buf, *n);
    }
}

}  // namespace

TEST_P(a_regular_file_is_read_and_written, 1, 2, 8) {
    with_procs(procs, [] {
        const int number = temp_file();
        net::fd f(number);
        CHECK_EQ(fcntl(number, F_GETFL) & O_NONBLOCK, 0);  // as it was
        CHECK_EQ(f.native_handle(), number);
        std::string text(1 << 20, 'x');
        for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 26);
        CHECK_EQ(f.write(text).value(), text.size());
        CHECK_EQ(lseek(number, 0, SEEK_SET), 0);
        f.wait_readable().value();
        f.wait_writable().value();
        CHECK(rest_of(f) == text);
        char one;
        CHECK_EQ(f.read({&one, 1}).error(), make_error_code(net::errc::eof));
        CHECK_EQ(lseek(number, 100, SEEK_SET), 100);
        CHECK_EQ(f.read({&one, 1}).value(), 1u);
        CHECK_EQ(one, text[100]);
        CHECK_EQ(f.read({&one, 0}).value(), 0u);
        f.close().value();
        CHECK_EQ(fcntl(number, F_GETFL), -1);
        CHECK_EQ(f.read({&one, 1}).error(), make_error_code(net::errc::closed));
    });
}

TEST_P(a_deadline_that_has_passed_holds_for_files_too, 1, 2) {
    with_procs(procs, [] {
        net::fd f(temp_file());
        f.set_deadline(-1s).value();
        char c;
        CHECK(timed_out(f.read({&c, 1}).error()));
        CHECK(timed_out(f.write("x").error()));
        f.set_deadline(time_point{}).value();
        CHECK_EQ(f.write("x").value(), 1u);
    });
}

TEST_P(a_file_is_borrowed_and_released, 1, 2) {
    with_procs(procs, [] {
        const int number = temp_file();
        {
            auto f = net::fd::borrow(number).value();
            CHECK_EQ(f.write("borrowed").value(), 8u);
        }
        auto f = net::fd::adopt(number).value();
        CHECK_EQ(f.write(" and adopted").value(), 12u);
        CHECK_EQ(f.release().value(), number);
        struct stat st {};
        CHECK_EQ(fstat(number, &st), 0);
        CHECK_EQ(st.st_size, 20);
        CHECK_EQ(close(number), 0);
    });
}

TEST_P(devices_without_poll, 1, 2) {
    with_procs(procs, [] {
        net::fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
        char c;
        CHECK_EQ(null.read({&c, 1}).error(), make_error_code(net::errc::eof));
        CHECK_EQ(null.write("gone").value(), 4u);
        net::fd zero(open("/dev/zero", O_RDONLY | O_CLOEXEC));
        char many[1000];
        std::fill_n(many, sizeof many, 'x');
        CHECK_EQ(zero.read(many).value(), sizeof many);
        CHECK_EQ(std::count(many, many + sizeof many, '\0'), long(sizeof many));
    });
}

// What the system says of the call is what the caller gets.
TEST_P(errors_are_those_of_the_call, 1, 2) {
    with_procs(procs, [] {
        char c;
        net::fd directory(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        CHECK_EQ(directory.read({&c, 1}).error(), std::make_error_code(std::errc::is_a_directory));
        CHECK_EQ(directory.write("x").error(), std::make_error_code(std::errc::bad_file_descriptor));
        net::fd readable(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
        CHECK_EQ(readable.write("x").error(), std::make_error_code(std::errc::bad_file_descriptor));
        CHECK_EQ(readable.read({&c, 1}).value(), 1u);
        net::fd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
        CHECK_EQ(full.write("x").error(), std::make_error_code(std::errc::no_space_on_device));
    });
}

TEST_P(readers_of_one_file_take_turns, 1, 2, 8) {
    with_procs(procs, [] {
        const int number = temp_file();
        net::fd f(number);
        constexpr size_t kSize = 300000;
        CHECK_EQ(f.write(std::string(kSize, 'r')).value(), kSize);
        CHECK_EQ(lseek(number, 0, SEEK_SET), 0);
        std::atomic<size_t> got{0};
        Join join;
        for (int i = 0; i < 8; ++i) {
            join.add();
            go([&] {
                got += rest_of(f).size();
                join.done();
            });
        }
        join.wait();
        CHECK_EQ(got.load(), kSize);
    });
}

// On a thread of the program's own.
TEST(a_foreign_thread_reads_a_file) {
    gort::start();
    {
        net::fd f(temp_file());
        CHECK_EQ(f.write("foreign").value(), 7u);
        CHECK_EQ(lseek(f.native_handle(), 0, SEEK_SET), 0);
        CHECK_EQ(rest_of(f), "foreign");
    }
    gort::stop();
}

// prog < file > file
TEST_P(standard_input_and_output_are_files, 1, 2) {
    const auto d = test::run_child([procs] {
        const int in = temp_file();
        CHECK_EQ(write(in, "from a file", 11), 11);
        CHECK_EQ(lseek(in, 0, SEEK_SET), 0);
        dup2(in, 0);
        with_procs(procs, [] {
            auto from = net::fd::borrow(0).value(), to = net::fd::borrow(1).value();
            CHECK_EQ(to.write(rest_of(from)).value(), 11u);
        });
    });
    CHECK_DIED(d, d.status == 0);
    CHECK_EQ(d.out, "from a file");
}
