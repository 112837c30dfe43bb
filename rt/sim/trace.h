// rt/sim/trace.h - writes down what happens in one run, for people: a line an event.
// SPDX-License-Identifier: BSD-2-Clause
//
// What an operation is called and where it is in the user's source is found when the text is made: a run notes the
// innermost return addresses only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "rt/own/g.h"

namespace gort::rt {
class Images;
}

namespace gort::sim {

struct Task;

class Recorder {
public:
    Recorder();
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;

    void born(const Task& t, const Task* by, int64_t now);
    void operation(const Task& t, int64_t now);                    // of the caller's stack
    void says(const Task& t, std::string_view text, int64_t now);  // what else it does
    void blocks(const Task& t, rt::WaitReason why);                // by its last operation
    void gives_way(const Task& t, bool could_go_on);
    void wakes(const Task* by, const Task& whom);  // null: the timer that was noted last
    void ends(const Task& t, int64_t now);
    void fires(int64_t now);                // a timer
    void passes(int64_t from, int64_t to);  // time
    void fails(const Task* t, std::string_view what, int64_t now);
    void left(const Task& t, int64_t now);  // it has not ended when the run does

    std::string text(int64_t began) const;

    enum class Kind : uint8_t { kBorn, kOperation, kSays, kEnds, kFires, kPasses, kFails, kLeft };
    static constexpr uint32_t kDepth = 24;
    struct Event {
        Kind kind;
        int64_t now = 0;
        uint64_t id = 0;  // of the goroutine; 0: none
        uint64_t other = 0;
        Site site{};
        std::string text;
        std::string result;
        uint32_t depth = 0;
        uintptr_t pc[kDepth] = {};
    };

private:
    Event& add(Kind kind, uint64_t id, int64_t now);
    Event* last_of(uint64_t id);
    std::vector<Event> events_;  // the first and the last ones
    uint64_t left_out_ = 0;
    std::map<uint64_t, Site> sites_;  // of the goroutines
    rt::Images* images_;
};

}  // namespace gort::sim
