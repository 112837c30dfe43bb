// SPDX-License-Identifier: BSD-2-Clause
// tests/model/gate.pml - The P gate of rt/own/gate.h on a machine with a store buffer: the owner's stores reach
// memory late and in order, its loads overtake them; the taker's heavy_barrier empties that buffer, as
// membarrier does to a running thread.
//
// Shown: (1) the owner inside the gate and a taker never use the P at once; (2) each sees all that the other did to it;
// (3) nobody waits for ever: every run ends with all the owner's rounds done.
// To see the model work: build with -DNO_BARRIER (takers without heavy_barrier) and spin finds a violation of (1).
//
// run: -DROUNDS=3
// run: -DROUNDS=2 -DTHIEVES=2
// fails: -DROUNDS=2 -DNO_BARRIER
#ifndef THIEVES
#define THIEVES 1
#endif

#define IN_RT 0
#define DATA 1

byte in_rt, shut;                /* memory, as in rt/own/m.h */
byte data;                       /* the P's plain fields, in memory */
byte latest;                     /* what its last user wrote, whether it has reached memory or not */
byte gate_lock;
bool asked;                      /* p.attention */
bool lost, p_free;               /* sysmon kept the P; and has done with it */
byte users;
bool finished;

chan buffer = [6] of { byte, byte };

inline drain_one() {
    atomic {
        if
        :: buffer?[IN_RT, 0] -> buffer?IN_RT, 0; in_rt = 0
        :: buffer?[IN_RT, 1] -> buffer?IN_RT, 1; in_rt = 1
        :: buffer?[DATA, 0] -> buffer?DATA, 0; data = 0
        :: buffer?[DATA, 1] -> buffer?DATA, 1; data = 1
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
inline lock() { atomic { gate_lock == 0 -> gate_lock = 1 } }
inline unlock() { gate_lock = 0 }

inline begin_use() { users++; assert(users == 1) }
inline end_use() { users-- }

active proctype StoreBuffer() {
    do
    :: atomic { nempty(buffer) -> drain_one() }
    :: finished && empty(buffer) -> break
    od
}

active proctype Owner() {
    byte round = 0;
    do
    :: round < ROUNDS ->
        buffer!IN_RT, 1;                        /* 1; light_barrier is the compiler's only */
        if
        :: shut == 0 -> skip                    /* 3 */
        :: else ->                              /* enter_slow */
            drain();                            /* a locked instruction */
            lock();
            if
            :: lost -> unlock(); p_free; lock(); lost = false; p_free = false; shut = 0; unlock()
            :: else -> shut = 0; asked = false; unlock()    /* answers what is asked */
            fi
        fi;
        begin_use();
        /* It reads its own store while that is in the buffer, else memory: either must be the latest. */
        if
        :: buffer??[DATA, 0] || buffer??[DATA, 1] -> skip
        :: else -> assert(data == latest)
        fi;
        latest = 1 - latest;
        buffer!DATA, latest;
        end_use();
        buffer!IN_RT, 0;                        /* G1: after the data, in order */
        round++
    :: else -> break
    od;
    finished = true
}

inline take_or_go(taken) {
    taken = false;
    if
    :: lost -> unlock()                         /* somebody keeps it: m.p is not this P */
    :: else ->
        shut = 1;                               /* 1 */
#ifndef NO_BARRIER
        drain();                                /* 2 */
#endif
        if
        :: in_rt == 0 -> taken = true           /* 3 */
        :: else -> /* inside */
            if
            :: shut = 0
            :: asked = true                     /* and the gate stays shut until the owner comes to it */
            fi;
            unlock()
        fi
    fi
}
inline use_by_taker() {
    begin_use();
    assert(data == latest);
    latest = 1 - latest;
    data = latest;
    end_use()
}

active [THIEVES] proctype Thief() {
    bool taken;
    do
    :: finished -> break
    :: lock(); take_or_go(taken);
        if
        :: taken -> use_by_taker(); shut = 0; unlock()      /* give_back */
        :: else -> skip
        fi;
        break
    od
}

active proctype Sysmon() {
    bool taken;
    do
    :: finished -> break
    :: lock(); take_or_go(taken);
        if
        :: taken -> lost = true; unlock();                  /* keep: another M goes on with the P */
            use_by_taker();
            p_free = true
        :: else -> skip
        fi;
        break
    od
}
