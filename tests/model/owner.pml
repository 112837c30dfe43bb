// SPDX-License-Identifier: BSD-2-Clause
// tests/model/owner.pml - An object that goes to and fro between the Ps (rt/own/owner.h), on a machine with a store
// buffer: the stores of one M reach memory late and in order, its loads see its own; the other one's heavy_barrier
// empties that buffer, and so do its own locked instructions. The other M is in order. Each has a P and keeps it. As a
// channel, whose lock is another word; with -DONE_WORD as a mutex, whose state is in one word with the owner, so that a
// compare and swap sees both, and which is held outside of the gate, also while it changes hands.
//
// Shown: (1) never two have it, though each makes it its own at any time that it has the lock; (2) nobody waits for
// ever.
//
// run: -DROUNDS=3
// fails: -DROUNDS=2 -DNO_BARRIER
// fails: -DROUNDS=2 -DNO_WAIT
// fails: -DROUNDS=2 -DNO_RECHECK
// fails: -DROUNDS=2 -DWAIT_INSIDE
// run: -DONE_WORD -DROUNDS=3
// fails: -DONE_WORD -DROUNDS=2 -DNO_BARRIER
// fails: -DONE_WORD -DROUNDS=2 -DNO_WAIT
// fails: -DONE_WORD -DROUNDS=2 -DTWO_WORDS
#define IN0 0 /* in_rt of M0 and M1 */
#define IN1 1
#define WHOSE 2
#define LOCK 3

#define OWN0 0 /* whose it is */
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
    :: load(WHOSE, seen);
        if
        :: seen == SHARED -> break
        :: seen == REVOKING -> (memory[WHOSE] != REVOKING)
        :: else ->
            atomic {                            /* 1 */
                drain_mine();
                mine = (memory[WHOSE] == seen);
                if
                :: mine -> memory[WHOSE] = REVOKING
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
                store(WHOSE, SHARED);            /* 4 */
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

#ifndef ONE_WORD
proctype M(byte me) {
    byte where_, value_, round = 0, seen, mine;
    do
    :: round == ROUNDS -> break
    :: else ->
        store(IN0 + me, 1);
        do
        :: load(WHOSE, seen);
            if
            :: seen == OWN0 + me -> break
            :: seen == SHARED ->
                atomic { drain_mine(); memory[LOCK] == 0 -> memory[LOCK] = 1 }
#ifndef NO_RECHECK
                load(WHOSE, seen);
#endif
                if
                :: seen != SHARED -> store(LOCK, 0)
                :: seen == SHARED -> break
                :: seen == SHARED -> store(WHOSE, OWN0 + me); store(LOCK, 0); break   /* its own */
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
        load(WHOSE, seen);
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
#else
proctype M(byte me) {
    byte where_, value_, round = 0, seen, mine, got;
    do
    :: round == ROUNDS -> break
    :: else ->
        got = 0;
        store(IN0 + me, 1);
        load(WHOSE, seen);
        if
        :: seen == OWN0 + me ->
            load(LOCK, got);
            if
            :: got == 0 -> store(LOCK, 1); got = 1
            :: else -> got = 0
            fi;
            store(IN0 + me, 0)
        :: seen == SHARED ->                    /* outside of the gate */
            store(IN0 + me, 0);
            atomic {
                drain_mine();
                if
#ifdef TWO_WORDS
                :: memory[LOCK] == 0 -> memory[LOCK] = 1; got = 1
#else
                :: memory[LOCK] == 0 && memory[WHOSE] == SHARED -> memory[LOCK] = 1; got = 1
#endif
                :: else -> skip
                fi
            }
            if
            :: got -> store(IN0 + me, 1); store(WHOSE, OWN0 + me); store(IN0 + me, 0)    /* its own */
            :: true -> skip
            fi
        :: else ->
            store(IN0 + me, 0);
            revoke()
        fi;
        if
        :: got ->
            holders++;
            assert(holders == 1);
            holders--;
            store(LOCK, 0);
            round++
        :: else -> skip                         /* somebody has it: again */
        fi
    od;
    drain_mine();
    left--
}
#endif

init { atomic { run M(0); run M(1) } }
