// SPDX-License-Identifier: BSD-2-Clause
// tests/model/bias.pml - The mutex that is biased to a P (rt/gate_fast.h, rt/sync/mutex.h), on a machine with a store
// buffer: the owner's stores to in_rt and state reach memory late and in order, its loads overtake them; a taker's
// heavy_barrier empties that buffer. A taker's own compare and swap and what follows are in order.
//
// Shown: (1) never two hold the mutex; (2) nobody waits for ever: every run ends with all rounds done.
//
// run: -DROUNDS=3
// run: -DROUNDS=2 -DTAKERS=2
// fails: -DROUNDS=2 -DNO_BARRIER
// fails: -DROUNDS=2 -DNO_WAIT
// fails: -DROUNDS=2 -DLOOK_BEFORE
#ifndef TAKERS
#define TAKERS 1
#endif

#define IN_RT 0
#define STATE 1

#define OWNER 0 /* of the bias */
#define REVOKING 1
#define SHARED 2

byte in_rt, state, bias = OWNER; /* memory */
byte pending, own;               /* stores to state in the buffer, and the last of them: what the owner's loads see */
byte holders, left = TAKERS + 1;

chan buffer = [8] of { byte, byte };

inline drain_one() {
    atomic {
        if
        :: buffer?[IN_RT, 0] -> buffer?IN_RT, 0; in_rt = 0
        :: buffer?[IN_RT, 1] -> buffer?IN_RT, 1; in_rt = 1
        :: buffer?[STATE, 0] -> buffer?STATE, 0; state = 0; pending--
        :: buffer?[STATE, 1] -> buffer?STATE, 1; state = 1; pending--
        fi
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
        if
        :: where == STATE -> pending++; own = value
        :: else -> skip
        fi
    }
}
inline load_state(to) {
    atomic {
        if
        :: pending > 0 -> to = own
        :: else -> to = state
        fi
    }
}
inline hold() { holders++; assert(holders == 1) }
inline release() { holders-- }

active proctype StoreBuffer() {
    do
    :: atomic { nempty(buffer) -> drain_one() }
    :: left == 0 && empty(buffer) -> break
    od
}

active proctype Owner() {
    byte round = 0, seen, locked;
    do
    :: round == ROUNDS -> break
    :: else ->
        locked = 0;
#ifdef LOOK_BEFORE
        byte early = bias;
#endif
        store(IN_RT, 1);                        /* 1; 2 is for the compiler */
        if                                      /* 3 */
#ifdef LOOK_BEFORE
        :: early == OWNER ->
#else
        :: bias == OWNER ->
#endif
            load_state(seen);
            if
            :: seen == 0 -> store(STATE, 1); locked = 1
            :: else -> skip
            fi;
            store(IN_RT, 0)
        :: else ->
            store(IN_RT, 0);
            bias == SHARED;                     /* outside the gate */
            drain();                            /* a locked instruction */
            atomic {
                if
                :: state == 0 -> state = 1; locked = 1
                :: else -> skip
                fi
            }
        fi;
        if
        :: locked -> hold(); release(); store(STATE, 0); round++
        :: else -> skip                         /* somebody has it: again */
        fi
    od;
    drain();
    left--
}

active [TAKERS] proctype Taker() {
    byte round = 0, mine, locked;
    do
    :: round == ROUNDS -> break
    :: else ->
        locked = 0;
        atomic {                                /* 1 */
            mine = (bias == OWNER);
            if
            :: mine -> bias = REVOKING
            :: else -> skip
            fi
        }
        if
        :: mine ->
#ifndef NO_BARRIER
            drain();                            /* 2 */
#endif
#ifndef NO_WAIT
            in_rt == 0;                         /* 3 */
#endif
            bias = SHARED                       /* 4 */
        :: else -> bias == SHARED
        fi;
        atomic {
            if
            :: state == 0 -> state = 1; locked = 1
            :: else -> skip
            fi
        }
        if
        :: locked -> hold(); release(); state = 0; round++
        :: else -> skip
        fi
    od;
    left--
}
