// examples/echo_server_c.c - an echo server in C: a goroutine for each connection, plain sockets, gort_fd_wait.
// SPDX-License-Identifier: BSD-2-Clause
//
//      echo_server_c              serves one client of its own on a free port of 127.0.0.1, and ends
//      echo_server_c PORT         serves until it is killed
#include <gort_c.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int nonblocking(int fd) { return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

static void close_fd(int fd) {
    gort_fd_forget(fd);
    close(fd);
}

// What read and write of a blocking socket would do, but only the goroutine waits.
static ssize_t read_some(int fd, void* buf, size_t size) {
    for (;;) {
        const ssize_t n = read(fd, buf, size);
        if (n >= 0 || errno != EAGAIN) return n;
        if (gort_fd_wait(fd, 1, GORT_FOREVER) != GORT_OK) return -1;
    }
}
static int write_all(int fd, const char* buf, size_t size) {
    while (size) {
        const ssize_t n = send(fd, buf, size, MSG_NOSIGNAL);
        if (n > 0) {
            buf += n;
            size -= (size_t)n;
        } else if (errno != EAGAIN || gort_fd_wait(fd, 2, GORT_FOREVER) != GORT_OK) {
            return -1;
        }
    }
    return 0;
}

static void serve(void* arg) {
    const int fd = (int)(intptr_t)arg;
    char buf[4096];
    ssize_t n;
    while ((n = read_some(fd, buf, sizeof buf)) > 0)
        if (write_all(fd, buf, (size_t)n)) break;
    close_fd(fd);
}

static void accept_all(void* arg) {
    const int listener = (int)(intptr_t)arg;
    while (gort_fd_wait(listener, 1, GORT_FOREVER) == GORT_OK) {
        const int fd = accept(listener, NULL, NULL);
        if (fd < 0) continue;  // somebody gave up meanwhile
        nonblocking(fd);
        gort_go(serve, (void*)(intptr_t)fd);
    }
}

static int listen_on(int port, struct sockaddr_in* bound) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t len = sizeof *bound;
    const int on = 1;
    memset(bound, 0, sizeof *bound);
    bound->sin_family = AF_INET;
    bound->sin_port = htons((uint16_t)port);
    bound->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr*)bound, len) || listen(fd, 128) || nonblocking(fd)) {
        perror("listen");
        exit(1);
    }
    getsockname(fd, (struct sockaddr*)bound, &len);
    return fd;
}

static void try_it(const struct sockaddr_in* to) {
    const char said[] = "hello from a goroutine";
    char heard[sizeof said] = "";
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    nonblocking(fd);
    if (connect(fd, (const struct sockaddr*)to, sizeof *to) && errno == EINPROGRESS)
        gort_fd_wait(fd, 2, GORT_FOREVER);
    write_all(fd, said, sizeof said);
    for (size_t got = 0; got < sizeof said;) {
        const ssize_t n = read_some(fd, heard + got, sizeof said - got);
        if (n <= 0) break;
        got += (size_t)n;
    }
    printf("%s\n", heard);
    close_fd(fd);
}

static int program(void* arg) {
    const int port = *(int*)arg;
    struct sockaddr_in bound;
    const int listener = listen_on(port, &bound);
    if (port) {
        accept_all((void*)(intptr_t)listener);
        return 1;
    }
    gort_wg acceptor = GORT_INIT;
    gort_wg_go(&acceptor, accept_all, (void*)(intptr_t)listener);
    try_it(&bound);
    gort_fd_forget(listener);  // ends accept_all
    gort_wg_wait(&acceptor);
    close(listener);
    return 0;
}

int main(int argc, char** argv) {
    int port = argc > 1 ? atoi(argv[1]) : 0;
    return gort_run(program, &port, NULL);
}
