// SPDX-License-Identifier: BSD-2-Clause
// tests/model/owned_lock.pml - The lock that goes to and fro (rt/own/owned_lock.h), on a machine with a store buffer:
// the owner's stores reach memory late and in order, its loads see its own; a taker's heavy_barrier empties that
// buffer, and so does the owner's exchange. What a taker does is in order.
//
// Shown: (1) never two hold the lock, though the owner makes it its own again at any time that it holds it; (2) nobody
// waits for ever.
//
// run: -DROUNDS=3
// run: -DROUNDS=2 -DTAKERS=2
// fails: -DROUNDS=2 -DNO_BARRIER
// fails: -DROUNDS=2 -DNO_WAIT
// fails: -DROUNDS=2 -DNO_SECOND_LOOK
// fails: -DROUNDS=2 -DNO_RECHECK
#ifndef TAKERS
#define TAKERS 1
#endif

#define HELD 0 /* what may be in the buffer */
#define WHOSE 1
#define LOCK 2

#define REVOKING 1 /* whose it is; 0 is below, so that memory is the owner's to begin with */
#define SHARED 2
#define OWNER 0

byte memory[3];     /* held, whose, the InsideLock */
byte pending[3], own[3];
byte holders, left = TAKERS + 1;

chan buffer = [8] of { byte, byte };

inline drain_one() {
    d_step {
        buffer?where_, value_;
        memory[where_] = value_;
        pending[where_]--
    }
}
inline drain() {
    atomic {
        do
        :: nempty(buffer) -> drain_one()
        :: empty(buffer) -> break
        od
    }
}
inline store(where, value) {
    atomic {
        buffer!where, value;
        pending[where]++;
        own[where] = value
    }
}
inline load(where, to) {
    atomic {
        if
        :: pending[where] > 0 -> to = own[where]
        :: else -> to = memory[where]
        fi
    }
}
inline hold() { holders++; assert(holders == 1) }
inline release() { holders-- }

active proctype StoreBuffer() {
    byte where_, value_;
    do
    :: atomic { nempty(buffer) -> drain_one() }
    :: left == 0 && empty(buffer) -> break
    od
}

active proctype Owner() {
    byte where_, value_, round = 0, seen, got;
    do
    :: round == ROUNDS -> break
    :: else ->
        got = 0;
        load(WHOSE, seen);
        if
        :: seen == OWNER ->
            store(HELD, 1);                     /* 1; 2 is for the compiler */
#ifndef NO_SECOND_LOOK
            load(WHOSE, seen);                   /* 3 */
#endif
            if
            :: seen == OWNER -> got = 1
            :: else -> store(HELD, 0)
            fi
        :: else -> skip
        fi;
        if
        :: got -> skip
        :: else ->
            memory[WHOSE] == SHARED;
            atomic { drain(); memory[LOCK] == 0 -> memory[LOCK] = 1 }
            if
            :: skip
            :: store(HELD, 1); store(WHOSE, OWNER); store(LOCK, 0)   /* its own again */
            fi
        fi;
        hold(); release();
        load(WHOSE, seen);
        if
        :: seen == SHARED -> store(LOCK, 0)
        :: else -> store(HELD, 0)
        fi;
        round++
    od;
    drain();
    left--
}

active [TAKERS] proctype Taker() {
    byte where_, value_, round = 0, mine;
    do
    :: round == ROUNDS -> break
    :: else ->
        atomic {                                /* 1 */
            mine = (memory[WHOSE] == OWNER);
            if
            :: mine -> memory[WHOSE] = REVOKING
            :: else -> skip
            fi
        }
        if
        :: mine ->
#ifndef NO_BARRIER
            drain();                            /* 2 */
#endif
#ifndef NO_WAIT
            memory[HELD] == 0;                  /* 3 */
#endif
            memory[WHOSE] = SHARED               /* 4 */
        :: else -> skip
        fi;
        if
        :: memory[WHOSE] == SHARED ->
            atomic { memory[LOCK] == 0 -> memory[LOCK] = 1 }
            if
#ifndef NO_RECHECK
            :: memory[WHOSE] != SHARED -> memory[LOCK] = 0
            :: else ->
#else
            :: true ->
#endif
                hold(); release(); memory[LOCK] = 0; round++
            fi
        :: else -> skip
        fi
    od;
    left--
}
