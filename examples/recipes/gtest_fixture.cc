// examples/recipes/gtest_fixture.cc - GoogleTest with goroutines: a fixture that starts a server and looks for leaks.
// SPDX-License-Identifier: BSD-2-Clause
// needs: gtest
//
// main runs all tests in one gort::run, so each test's body is the main goroutine and may block. EXPECT_* may be used
// by any goroutine; ASSERT_* returns from the function that it is in, so only in the body. SCOPED_TRACE is a
// thread's and not a goroutine's: do without.
#include <gort.h>
#include <gtest/gtest.h>

#include <string>

namespace net = gort::net;
using namespace std::chrono_literals;

// Derive from it: the goroutines that a test starts must have ended when it ends.
class gort_test : public testing::Test {
protected:
    void SetUp() override { before_ = gort::num_goroutine(); }
    void TearDown() override {
        const auto patience = std::chrono::steady_clock::now() + 10s;
        while (gort::num_goroutine() > before_ && std::chrono::steady_clock::now() < patience)
            gort::sleep(1ms);
        EXPECT_EQ(gort::num_goroutine(), before_) << "goroutines are left over";
        if (HasFailure()) gort::dump_goroutines(2);
    }

private:
    int before_ = 0;
};

// An upper-casing server on a free port, for as long as the test lasts.
class server_test : public gort_test {
protected:
    void SetUp() override {
        gort_test::SetUp();
        listener_ = net::listen("127.0.0.1:0").value();
        all_.go([this] {
            while (const auto c = listener_.accept()) all_.go([c = *c] { shout(c); });
        });
    }
    void TearDown() override {
        EXPECT_TRUE(listener_.close());
        all_.wait();
        gort_test::TearDown();
    }
    net::conn dial() const {
        auto c = net::dial("127.0.0.1:" + std::to_string(listener_.port()));
        return c.value();
    }

private:
    static void shout(const net::conn& c) {
        char buf[64];
        for (size_t n; (n = c.read(buf).value_or(0)) > 0;) {
            for (size_t i = 0; i < n; ++i) buf[i] = static_cast<char>(std::toupper(buf[i]));
            if (!c.write({buf, n})) return;
        }
    }
    net::listener listener_;
    gort::wait_group all_;
};

TEST_F(gort_test, ChannelsKeepTheOrder) {
    auto c = gort::make_chan<int>();
    gort::go([=] {
        for (int i = 0; i < 100; ++i) c << i;
        c.close();
    });
    int want = 0;
    for (int got : c) ASSERT_EQ(got, want++);
    EXPECT_EQ(want, 100);
}

TEST_F(server_test, Shouts) {
    const net::conn c = dial();
    ASSERT_TRUE(c.write("hello"));
    char buf[5];
    ASSERT_TRUE(c.read_full(buf));
    EXPECT_EQ(std::string(buf, 5), "HELLO");
    EXPECT_TRUE(c.close());
}

TEST_F(server_test, ServesManyAtOnce) {
    gort::wait_group clients;
    for (int i = 0; i < 50; ++i)
        clients.go([this, i] {
            const net::conn c = dial();
            const std::string text = "client " + std::to_string(i);
            EXPECT_TRUE(c.write(text));
            std::string heard(text.size(), '\0');
            EXPECT_TRUE(c.read_full(heard));
            EXPECT_EQ(heard, "CLIENT " + std::to_string(i));
        });
    clients.wait();
}

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    return gort::run([] { return RUN_ALL_TESTS(); });
}
