// examples/future.cc - a query that is answered later: the request carries the channel for its reply.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort.h>

#include <cstdio>
#include <map>
#include <string>

struct Query {
    std::string name;
    gort::chan<int> reply = gort::make_chan<int>(1);  // the answerer never waits for the asker
};

int main() {
    return gort::run([] {
        auto queries = gort::make_chan<Query>();
        gort::go([=] {  // owns the data, so nobody needs a lock
            std::map<std::string, int> ages{{"ann", 31}, {"bob", 27}};
            for (Query q : queries) {
                auto found = ages.find(q.name);
                if (found != ages.end()) q.reply << found->second;
                else q.reply.close();
            }
        });
        Query ann{"ann"}, zoe{"zoe"}, bob{"bob"};
        for (const auto& q : {ann, zoe, bob}) queries << q;
        // … other work …
        for (const auto& q : {ann, zoe, bob}) {
            int age = 0;
            if (q.reply.recv(age)) std::printf("%s is %d\n", q.name.c_str(), age);
            else std::printf("%s is not known\n", q.name.c_str());
        }
        queries.close();
    });
}
