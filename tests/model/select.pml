// tests/model/select.pml - chan/select.cc: who waits on two channels is claimed by one side only, and withdraws.
// SPDX-License-Identifier: BSD-2-Clause
//
// Two selects over the same two unbuffered channels, one receives from both and one sends to both, so that each may
// find the other one waiting on either; a plain sender that does not wait, on the first channel; who closes both.
//
// Shown: (1) each select ends by exactly one case, nothing is received twice or lost; (2) no wake-up is lost: all end;
// (3) nobody is made ready twice, or without waiting; (4) the commit reads no item of a select that has returned;
// (5) what returned is in no queue.
// To see the model work:
//   -DNO_CLAIM      wakers take a waiter without looking whether another case has won
//   -DRESET_EARLY   select_done is cleared on return from the park, before the losers are out
//   -DNO_WITHDRAW   the losers stay in their queues
//   -DLATE_READ     the commit reads the next item after it released a lock
//   -DCLOSE_SKIPS   close does not wake the selects that wait
//
// run: -DROUNDS=2 -DSENDS=2
// fails: -DROUNDS=2 -DSENDS=1 -DNO_CLAIM
// fails: -DROUNDS=2 -DSENDS=1 -DRESET_EARLY
// fails: -DROUNDS=2 -DSENDS=1 -DNO_WITHDRAW
// fails: -DROUNDS=2 -DSENDS=1 -DLATE_READ
// fails: -DROUNDS=2 -DSENDS=1 -DCLOSE_SKIPS
#define RECV 0                  /* the select that receives */
#define SEND 1                  /* the one that sends */
#define NOBODY 2

bit locked[2];                  /* the channels' locks */
bit closed[2];
bit linked[4];                  /* select * 2 + channel: its Sudog is in the channel's queue */
bit claimed[2] = 1;                /* select_done */
bit frame[2];                   /* the select's items exist */
bit waits[2];                   /* its stack is at rest, nobody has made it ready */
bit committing[2];              /* its commit is due */
byte woke[2];                   /* by which channel */
byte wins[2];                   /* how many times it was claimed in this select */
byte sent, received;
byte ended;

inline lock(c) { atomic { !locked[c] -> locked[c] = 1 } }
inline unlock(c) { locked[c] = 0 }

/* Under the lock of c: takes select `who` out of c's queue; taken says whether it is ours. */
inline take_waiter(who, c, taken) {
    taken = 0;
    if
    :: linked[who * 2 + c] ->
        linked[who * 2 + c] = 0;
#ifdef NO_CLAIM
        taken = 1; claimed[who] = 1;
#else
        atomic {                /* the exchange */
            if
            :: !claimed[who] -> claimed[who] = 1; taken = 1
            :: else
            fi
        }
#endif
        if
        :: taken -> wins[who]++; woke[who] = c
        :: else
        fi
    :: else
    fi
}

inline make_ready(who) {
    assert(waits[who]);
    waits[who] = 0
}

/* The incoming side of the park, while the select may be woken already. */
proctype Commit(byte who) {
end:
    do
    :: atomic { committing[who] -> committing[who] = 0 };
        assert(frame[who]);     /* reads item 0 and its link */
        unlock(0);
        assert(frame[who]);     /* item 1 and its link, which is null */
        unlock(1);
#ifdef LATE_READ
        assert(frame[who])
#else
        skip
#endif
    od
}

/* One look at channel c with both locks held: over is set when the select ends by it. */
inline look(me, other, c) {
    if
    :: over
    :: else ->
        take_waiter(other, c, taken);
        if
        :: taken ->
            over = 1; to_wake = other;
            if
            :: me == RECV -> received++; sent++
            :: else -> sent++; received++
            fi
        :: !taken && closed[c] -> over = 1
        :: else
        fi
    fi
}

proctype Select(byte me) {
    byte round = 0, to_wake, first;
    bit over, taken;
    byte other = 1 - me;
    do
    :: round < ROUNDS ->
        frame[me] = 1; over = 0; to_wake = NOBODY;
        lock(0); lock(1);
        if                      /* the order of looking is random */
        :: first = 0
        :: first = 1
        fi;
        look(me, other, first);
        look(me, other, 1 - first);
        if
        :: over ->
            unlock(0); unlock(1);
            if
            :: to_wake != NOBODY -> make_ready(to_wake)
            :: else
            fi
        :: else ->
            atomic {
                linked[me * 2] = 1; linked[me * 2 + 1] = 1;
                wins[me] = 0; claimed[me] = 0;
            }
            waits[me] = 1;      /* the switch: the stack is at rest */
            committing[me] = 1;
            !waits[me];
            assert(wins[me] == 1);
#ifdef RESET_EARLY
            claimed[me] = 0;
#endif
#ifndef NO_WITHDRAW
            first = 1 - woke[me];
            lock(first);
            linked[me * 2 + first] = 0;
            unlock(first);
#endif
            assert(wins[me] == 1);
            assert(!linked[me * 2] && !linked[me * 2 + 1])
        fi;
        frame[me] = 0;
        round++
    :: else -> break
    od;
    ended++
}

/* Sends to channel 0 if somebody waits for it. */
proctype Sender() {
    byte n = 0;
    bit taken;
    do
    :: n < SENDS ->
        lock(0);
        take_waiter(RECV, 0, taken);
        if
        :: taken -> sent++; received++
        :: else
        fi;
        unlock(0);
        if
        :: taken -> make_ready(RECV)
        :: else
        fi;
        n++
    :: else -> break
    od;
    ended++
}

proctype Closer() {
    byte c = 0;
    bit one, two;
    do
    :: c < 2 ->
        lock(c);
        closed[c] = 1;
#ifdef CLOSE_SKIPS
        one = 0; two = 0;
#else
        take_waiter(RECV, c, one);
        take_waiter(SEND, c, two);
#endif
        unlock(c);
        if
        :: one -> make_ready(RECV)
        :: else
        fi;
        if
        :: two -> make_ready(SEND)
        :: else
        fi;
        c++
    :: else -> break
    od;
    ended++
}

init {
    atomic {
        run Select(RECV); run Select(SEND); run Sender(); run Closer(); run Commit(RECV); run Commit(SEND)
    }
    ended == 4;
    assert(sent == received);
    assert(!linked[0] && !linked[1] && !linked[2] && !linked[3])
}
