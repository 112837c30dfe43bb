// bench/startup/hello.c - the least a program can be.
// SPDX-License-Identifier: BSD-2-Clause
int main(void) {
    return 0;
}
