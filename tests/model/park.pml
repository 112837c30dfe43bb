// tests/model/park.pml - park and ready of rt/sched/park.h: a waiter links itself under the object's lock and
// releases that lock only in the commit, which the incoming side runs once the waiter's stack is at rest.
// SPDX-License-Identifier: BSD-2-Clause
//
// Shown: (1) no wake-up is lost; (2) a stack is never resumed before it is at rest, nor by two Ms.
// To see the model work: -DEARLY_UNLOCK releases the lock before the switch.
//
// run: -DROUNDS=3
// fails: -DROUNDS=2 -DEARLY_UNLOCK
byte object;                    /* the lock */
byte waiter_linked;             /* the object's wait queue holds the goroutine */
byte tokens;                    /* what it waits for */
byte runnable;                  /* in a run queue */
byte at_rest;                   /* its stack is saved */
byte running;                   /* Ms that run it */
byte taken;

inline lock() { atomic { object == 0 -> object = 1 } }
inline unlock() { object = 0 }

/* An M that runs the waiter, switches away, and picks it up again when it is runnable: two of them. */
proctype M(byte first) {
    byte parked;
    if
    :: first -> goto running_it
    :: else -> goto waiting
    fi;
running_it:
    running++;
    assert(running == 1);
    at_rest = 0;
    lock();
    if
    :: tokens > 0 -> tokens--; unlock(); taken++; running--;
        if
        :: taken == ROUNDS -> goto over
        :: else -> goto running_it
        fi
    :: else ->
        waiter_linked = 1;
#ifdef EARLY_UNLOCK
        unlock();
#endif
        running--;
        at_rest = 1;            /* the switch */
#ifndef EARLY_UNLOCK
        unlock();               /* the commit, on the next stack */
#endif
    fi;
waiting:
    do
    :: atomic { runnable > 0 -> runnable--; assert(at_rest == 1) }; goto running_it
    :: taken == ROUNDS -> break
    od;
over:
    skip
}

proctype Waker() {
    byte n = 0;
    byte wake;
    do
    :: n < ROUNDS ->
        lock();
        tokens++;
        wake = waiter_linked;
        waiter_linked = 0;
        unlock();
        if
        :: wake -> assert(runnable == 0); runnable++     /* ready, after the lock */
        :: else -> skip
        fi;
        n++
    :: else -> break
    od
}

init { atomic { run M(1); run M(0); run Waker() } }
