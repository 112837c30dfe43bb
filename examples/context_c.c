// examples/context_c.c - contexts in C: a request with a deadline and a name, and the work that ends with it.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort_c.h>
#include <stdio.h>

static const char kName = 0;  // keys are addresses

struct request {
    gort_ctx* ctx;
    gort_wg done;
};

static void work(void* arg) {
    struct request* r = arg;
    gort_chan_recv(gort_ctx_done(r->ctx), NULL);  // closed when the request is over
    printf("%s: %s\n", (char*)gort_ctx_value(r->ctx, &kName), gort_status_text(gort_ctx_err(r->ctx)));
}

static void run_request(gort_ctx* parent, char* name, int64_t ns, int cancel) {
    gort_ctx* named = gort_ctx_with_value(parent, &kName, name);
    struct request r = {.ctx = gort_ctx_with_deadline(named, gort_now_ns() + ns)};
    gort_ctx_unref(named);  // its child keeps it
    gort_wg_go(&r.done, work, &r);
    if (cancel) gort_ctx_cancel(r.ctx);
    gort_wg_wait(&r.done);
    gort_ctx_unref(r.ctx);
}

static int program(void* arg) {
    (void)arg;
    gort_ctx* server = gort_ctx_with_cancel(gort_ctx_background());
    run_request(server, "slow", 1000000, 0);
    run_request(server, "given up", 60000000000, 1);
    gort_ctx_cancel(server);
    run_request(server, "too late", 60000000000, 0);
    gort_ctx_unref(server);
    return 0;
}

int main(void) { return gort_run(program, NULL, NULL); }
