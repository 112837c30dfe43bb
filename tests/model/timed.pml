// SPDX-License-Identifier: BSD-2-Clause
// tests/model/timed.pml - a wait with a deadline (rt/sched/timed.h): a waker and a timer race for a waiter whose frame
// holds the timer. What is done under the object's lock, or by one locked instruction, is one step; between two steps
// anybody may run. The timer's function may come late: it has been taken off the heap, and its M has been stopped.
//
// Shown: (1) there is one ready for each park, (2) nobody touches the frame once the waiter has left it, (3) every
// round ends.
//
// run: -DROUNDS=3
// fails: -DROUNDS=2 -DNO_AWAIT
// fails: -DROUNDS=2 -DREADY_FIRST
// fails: -DROUNDS=2 -DBOTH_READY
#define SET 0
#define AWAITED 1
#define OVER 2

bool frame, linked, pending, parked, ready_;
byte state, rounds_done;

inline make_ready() {
    atomic {
        assert(parked && !ready_);
        ready_ = 1
    }
}

active proctype waiter() {
    byte i;
    for (i : 1 .. ROUNDS) {
        frame = 1;
        state = SET;
        /* the commit: the stack is at rest, the timer is started, the object unlocked */
        parked = 1;
        pending = 1;
        linked = 1;
        atomic { ready_ -> ready_ = 0; parked = 0 }
        /* timer_stop */
        if
        :: atomic { pending -> pending = 0 }
        :: atomic { !pending -> skip };
#ifndef NO_AWAIT
            if
            :: state == OVER -> skip
            :: state != OVER ->
                parked = 1;
                /* the commit of the second park */
                if
                :: atomic { state == SET -> state = AWAITED }
                :: atomic { state == OVER -> skip }; make_ready()
                fi;
                atomic { ready_ -> ready_ = 0; parked = 0 }
            fi
#endif
        fi;
        assert(!linked);
        frame = 0
    }
    rounds_done = ROUNDS
}

active proctype waker() {
end:
    do
    :: atomic { linked -> linked = 0 }; make_ready()
    od
}

/* Whoever runs the heap; two of them, as a late one does not hinder the next. */
active [2] proctype heap() {
    bool gave_up;
    byte before;
end:
    do
    :: atomic { pending -> pending = 0 };
        assert(frame);
        atomic { gave_up = linked; linked = 0 }
#ifdef READY_FIRST
        if
        :: gave_up -> make_ready()
        :: else -> skip
        fi;
#endif
        atomic { assert(frame); before = state; state = OVER };
#ifndef READY_FIRST
        if
#ifdef BOTH_READY
        :: true -> make_ready()
#else
        :: gave_up || before == AWAITED -> make_ready()
        :: else -> skip
#endif
        fi
#else
        if
        :: !gave_up && before == AWAITED -> make_ready()
        :: else -> skip
        fi
#endif
    od
}

ltl ends { <> (rounds_done == ROUNDS) }
