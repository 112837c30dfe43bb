// SPDX-License-Identifier: BSD-2-Clause
// tests/model/chan_lock.pml - A channel that goes to and fro between the Ps (chan/lock.h), on a machine with a store
// buffer: the stores of one M reach memory late and in order, its loads see its own; the other one's heavy_barrier
// empties that buffer, and so do its own locked instructions. The other M is in order. Each has a P and keeps it.
//
// Shown: (1) never two are at the channel, though each makes it its own at any time that it has the lock; (2) nobody
// waits for ever.
//
// run: -DROUNDS=3
// fails: -DROUNDS=2 -DNO_BARRIER
// fails: -DROUNDS=2 -DNO_WAIT
// fails: -DROUNDS=2 -DNO_RECHECK
// fails: -DROUNDS=2 -DWAIT_INSIDE
#define IN0 0 /* in_rt of M0 and M1 */
#define IN1 1
#define BIAS 2
#define LOCK 3

#define OWN0 0 /* of the bias */
#define OWN1 1
#define REVOKING 2
#define SHARED 3

byte memory[4]; /* M0 owns it to begin with */
byte pending[4], own[4];
byte holders, left = 2;

chan buffer = [8] of { byte, byte };

inline drain() {
    atomic {
        do
        :: nempty(buffer) ->
            buffer?where_, value_;
            memory[where_] = value_;
            pending[where_]--
        :: empty(buffer) -> break
        od
    }
}
inline store(where, value) {
    atomic {
        if
        :: me == 0 ->
            buffer!where, value;
            pending[where]++;
            own[where] = value
        :: else -> memory[where] = value
        fi
    }
}
inline load(where, to) {
    atomic {
        if
        :: me == 0 && pending[where] > 0 -> to = own[where]
        :: else -> to = memory[where]
        fi
    }
}
inline drain_mine() {
    if
    :: me == 0 -> drain()
    :: else -> skip
    fi
}

inline revoke() {
    do
    :: load(BIAS, seen);
        if
        :: seen == SHARED -> break
        :: seen == REVOKING -> (memory[BIAS] != REVOKING)
        :: else ->
            atomic {                            /* 1 */
                drain_mine();
                mine = (memory[BIAS] == seen);
                if
                :: mine -> memory[BIAS] = REVOKING
                :: else -> skip
                fi
            }
            if
            :: mine ->
#ifndef NO_BARRIER
                drain();                        /* 2 */
#endif
#ifndef NO_WAIT
                memory[IN0 + seen] == 0;        /* 3 */
#endif
                store(BIAS, SHARED);            /* 4 */
                break
            :: else -> skip
            fi
        fi
    od
}

active proctype StoreBuffer() {
    byte where_, value_;
    do
    :: atomic {
            nempty(buffer) ->
            buffer?where_, value_;
            memory[where_] = value_;
            pending[where_]--
        }
    :: left == 0 && empty(buffer) -> break
    od
}

proctype M(byte me) {
    byte where_, value_, round = 0, seen, mine;
    do
    :: round == ROUNDS -> break
    :: else ->
        store(IN0 + me, 1);
        do
        :: load(BIAS, seen);
            if
            :: seen == OWN0 + me -> break
            :: seen == SHARED ->
                atomic { drain_mine(); memory[LOCK] == 0 -> memory[LOCK] = 1 }
#ifndef NO_RECHECK
                load(BIAS, seen);
#endif
                if
                :: seen != SHARED -> store(LOCK, 0)
                :: seen == SHARED -> break
                :: seen == SHARED -> store(BIAS, OWN0 + me); store(LOCK, 0); break   /* its own */
                fi
            :: else -> skip
            fi;
#ifndef WAIT_INSIDE
            store(IN0 + me, 0);
#endif
            revoke();
            store(IN0 + me, 1)
        od;
        holders++;
        assert(holders == 1);
        holders--;
        load(BIAS, seen);
        if
        :: seen == SHARED -> store(LOCK, 0)
        :: else -> skip
        fi;
        store(IN0 + me, 0);
        round++
    od;
    drain_mine();
    left--
}

init { atomic { run M(0); run M(1) } }
