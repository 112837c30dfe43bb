// PUBLIC
// gort.h - all of gort: #include <gort.h>. Each part also stands alone.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "rt/go.h"
#include "rt/local.h"
#include "rt/panic.h"
#include "rt/stats.h"
#include "rt/time.h"
#include "rt/sync/cond.h"
#include "rt/sync/mutex.h"
#include "rt/sync/once.h"
#include "rt/sync/pool.h"
#include "rt/sync/rw_mutex.h"
#include "rt/sync/single_flight.h"
#include "rt/sync/sync_map.h"
#include "rt/sync/wait_group.h"
#include "chan/chan.h"
#include "chan/select.h"
#include "chan/time.h"
#include "rt/net/tcp.h"
#include "rt/net/udp.h"
#include "rt/net/unix.h"
#include "rt/net/fd.h"
#include "ctx/context.h"
#include "ctx/err_group.h"
#include "ctx/semaphore.h"
