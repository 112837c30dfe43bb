// examples/sim_election.cc - three nodes elect a leader over a network that falls apart, in virtual time.
// SPDX-License-Identifier: BSD-2-Clause
//
// A node that has not heard of a leader for a while stands for the next term and asks the others for their votes; who
// has more than half leads. There may be one leader a term and no more. A node that forgets whom it has voted for in
// this term is enough to break that, if two stand at the same time: seldom, but explore tries thousands of elections,
// with partitions, each of some seconds of virtual time.
#include <gort.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace {

const std::vector<std::string> kHosts = {"ann", "bob", "cid"};

struct Message {
    enum Kind : int { kVoteForMe, kVote, kILead } kind;
    int term, from;
};

struct Cluster {
    std::map<int, int> leader_of;  // a term
    bool over = false;
};

template <bool repaired>
class Node {
public:
    Node(Cluster& cluster, int me) : cluster_(cluster), me_(me) {}

    void live() {
        gort::sim::network::host(kHosts[static_cast<size_t>(me_)]);
        socket_ = gort::net::listen_udp(":7000").value();
        while (!cluster_.over) {
            // Somebody else's random time, or all would stand at once for ever.
            const std::chrono::milliseconds patience(
                leads_ ? 50 : 150 + 10 * static_cast<int>(gort::sim::random(16)));
            (void)socket_.set_read_deadline(gort::sim::now() + patience);
            Message m{};
            const auto got = socket_.read_from({&m, sizeof m});
            if (got && got->size == sizeof m) hear(m);
            else if (leads_) say_to_all({Message::kILead, term_, me_});
            else stand();
        }
    }

private:
    void say(int to, const Message& m) {
        const auto where = gort::net::resolve("udp", kHosts[static_cast<size_t>(to)] + ":7000");
        if (where) (void)socket_.write_to({&m, sizeof m}, where->front());
    }
    void say_to_all(const Message& m) {
        for (int i = 0; i < static_cast<int>(kHosts.size()); ++i)
            if (i != me_) say(i, m);
    }
    void new_term(int term) {
        term_ = term;
        leads_ = false;
        votes_ = 0;
        voted_for_ = -1;
    }
    void stand() {
        new_term(term_ + 1);
        voted_for_ = me_;
        votes_ = 1;
        say_to_all({Message::kVoteForMe, term_, me_});
    }
    void hear(const Message& m) {
        if (m.term > term_) new_term(m.term);
        if (m.term < term_) return;
        if (m.kind == Message::kVoteForMe) {
            const bool free = voted_for_ < 0 || voted_for_ == m.from;
            if (free || (!repaired && voted_for_ != me_)) {
                voted_for_ = m.from;
                say(m.from, {Message::kVote, term_, me_});
            }
        } else if (m.kind == Message::kVote && !leads_ && ++votes_ > static_cast<int>(kHosts.size()) / 2) {
            leads_ = true;
            const auto [at, first] = cluster_.leader_of.emplace(term_, me_);
            gort::sim::check(first || at->second == me_, "two leaders in term " + std::to_string(term_));
            say_to_all({Message::kILead, term_, me_});
        }
    }

    Cluster& cluster_;
    const int me_;
    gort::net::packet_conn socket_;
    int term_ = 0, voted_for_ = -1, votes_ = 0;
    bool leads_ = false;
};

template <bool repaired>
void elections() {
    using gort::sim::network;
    network::all({.latency = 2ms, .jitter = 8ms, .loss = 0.05});
    auto cluster = std::make_shared<Cluster>();
    gort::wait_group nodes;
    for (int i = 0; i < 3; ++i) nodes.go([=] { Node<repaired>(*cluster, i).live(); });
    for (int i = 0; i < 3; ++i) {
        gort::sleep(500ms);
        const auto alone = gort::sim::random(3);
        network::partition({kHosts[alone]}, {kHosts[(alone + 1) % 3], kHosts[(alone + 2) % 3]});
        gort::sleep(500ms);
        network::heal();
    }
    gort::sleep(1s);
    cluster->over = true;
    nodes.wait();
    gort::sim::check(!cluster->leader_of.empty(), "nobody ever led");
}

}  // namespace

int main() {
    const auto found = gort::sim::explore({.seed = 1, .runs = 2000, .shorten = false}, elections<false>);
    std::printf("%s, in run %d\n", found.what.c_str(), static_cast<int>(found.runs));
    const auto repaired = gort::sim::explore({.seed = 1, .runs = 500}, elections<true>);
    std::printf("with votes remembered: %d runs of 4 s, %s\n", static_cast<int>(repaired.runs),
                repaired ? "one leader a term" : repaired.what.c_str());
    return found.failed && repaired ? 0 : 1;
}
