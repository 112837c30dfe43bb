// bench/startup/hello_boost.cc - starts one fiber, joins it and exits.
// SPDX-License-Identifier: BSD-2-Clause
#include <boost/fiber/fiber.hpp>

int main() {
    boost::fibers::fiber([] {}).join();
}
