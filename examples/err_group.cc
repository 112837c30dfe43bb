// examples/err_group.cc - a pipeline whose stages are one group: the first error stops all of them and is what wait
// returns.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace {

const std::vector<std::string> kFiles = {"one", "two", "three", "four", "five", "six"};

struct Sum {
    std::string name;
    unsigned value;
};

// What takes time and can fail.
std::error_code digest(const std::string& name, const std::string& bad, unsigned* out) {
    gort::yield();
    if (name == bad) return std::make_error_code(std::errc::no_such_file_or_directory);
    *out = 0;
    for (char c : name) *out = *out * 31 + static_cast<unsigned char>(c);
    return {};
}

// Names go down one channel to three workers, sums come back on another one.
std::error_code digest_all(const std::string& bad, std::map<std::string, unsigned>* sums) {
    gort::err_group g{gort::ctx::background()};
    const auto stop = g.context().done();
    auto names = gort::make_chan<std::string>();
    auto results = gort::make_chan<Sum>();

    g.go([&]() -> std::error_code {
        gort::defer close{[&] { names.close(); }};
        for (const auto& name : kFiles)
            if (gort::select(gort::on_send(names, name), gort::on_recv(stop)) == 1) return g.context().err();
        return {};
    });
    gort::wait_group workers;
    for (int i = 0; i < 3; ++i) {
        workers.add(1);
        g.go([&]() -> std::error_code {
            gort::defer done{[&] { workers.done(); }};
            for (const std::string& name : names) {
                Sum sum{name, 0};
                if (auto err = digest(name, bad, &sum.value)) return err;
                if (gort::select(gort::on_send(results, sum), gort::on_recv(stop)) == 1)
                    return g.context().err();
            }
            return {};
        });
    }
    gort::go([workers = &workers, results] {
        workers->wait();
        results.close();
    });
    for (const Sum& sum : results) (*sums)[sum.name] = sum.value;
    return g.wait();
}

}  // namespace

int main() {
    return gort::run([] {
        std::map<std::string, unsigned> sums;
        std::error_code err = digest_all("", &sums);
        for (auto& [name, sum] : sums) std::printf("%-5s %u\n", name.c_str(), sum);
        std::printf("all: %s\n", err ? err.message().c_str() : "fine");
        err = digest_all("four", &sums);
        std::printf("with a bad one: %s\n", err.message().c_str());
    });
}
