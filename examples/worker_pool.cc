// examples/worker_pool.cc - a fixed number of workers between a channel of tasks and one of results.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort.h>

#include <cstdio>
#include <map>
#include <string>

struct Task {
    int id;
    std::string word;
};
struct Result {
    int id;
    size_t vowels;
};

int main() {
    return gort::run([] {
        auto tasks = gort::make_chan<Task>(4);
        auto results = gort::make_chan<Result>(4);
        gort::wait_group workers;
        for (int w = 0; w < 3; ++w)
            workers.go([=] {
                for (Task t : tasks) {
                    size_t n = 0;
                    for (char c : t.word) n += std::string("aeiou").find(c) != std::string::npos;
                    results << Result{t.id, n};
                }
            });
        gort::go([=] {
            int id = 0;
            for (const char* word : {"select", "channel", "goroutine", "mutex", "queue"})
                tasks << Task{id++, word};
            tasks.close();
        });
        gort::go([&] {
            workers.wait();
            results.close();
        });
        std::map<int, size_t> by_id;
        for (Result r : results) by_id[r.id] = r.vowels;
        for (auto [id, vowels] : by_id) std::printf("task %d: %zu\n", id, vowels);
    });
}
