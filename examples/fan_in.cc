// examples/fan_in.cc - several channels into one: a goroutine for each input, the last one closes the output.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

using Lines = gort::recv_chan<std::string>;

Lines speaker(std::string name, int count) {
    auto out = gort::make_chan<std::string>();
    gort::go([=] {
        for (int i = 0; i < count; ++i) out << name + ' ' + std::to_string(i);
        out.close();
    });
    return out;
}

Lines fan_in(std::vector<Lines> inputs) {
    auto out = gort::make_chan<std::string>();
    auto left = std::make_shared<gort::wait_group>();
    for (auto& in : inputs)
        left->go([=] {
            for (std::string line : in) out << std::move(line);
        });
    gort::go([=] {
        left->wait();
        out.close();
    });
    return out;
}

int main() {
    return gort::run([] {
        std::vector<std::string> heard;
        for (std::string line : fan_in({speaker("ann", 2), speaker("bob", 3), speaker("cid", 1)}))
            heard.push_back(line);
        std::sort(heard.begin(),
                  heard.end());  // each speaker's lines came in order, but who spoke when is chance
        for (const auto& line : heard) std::printf("%s\n", line.c_str());
    });
}
