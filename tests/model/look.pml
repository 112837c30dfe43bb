// SPDX-License-Identifier: BSD-2-Clause
// tests/model/look.pml - Looking, sleeping and waking (rt/sched/look.cc look; rt/sched/share.cc left_behind,
// arm_makers; rt/sched/mach.cc go_idle, wake_looker; rt/sched/sysmon.cc look_at). One M makes work in its own queue,
// through a store buffer: its stores reach memory late and in order, its loads overtake them, locked instructions and
// others' barriers empty it. Between two pieces it may make decisions; in the end it computes for ever, in user code.
// The other Ms look, at any pace, give up at any time, arm the maker and sleep. Pieces are counted, not told apart:
// share.pml does that.
//
// Shown: (1) when nothing more can happen, all work is done: with sysmon's look no lost wake lasts; (2) a maker wakes
// nobody while one looks, but for one who has begun since.
// Why sysmon is needed: without it (NO_SYSMON) a wake is lost, since nobody looks again after he has armed. If he did
// (LOOK_AGAIN), that would not do: the maker's work may be in its store buffer, and on a machine that is in order
// (IN_ORDER), for a moment neither in the queue nor in the public part.
// To see the model work: sysmon does not see what is public (SYSMON_PRIVATE) or rests beside a P at work
// (SYSMON_RESTS), left_behind does not ask whether one looks (WAKES_ALWAYS).
//
// run: -DITEMS=3 -DLOOKERS=1
// run: -DITEMS=1 -DLOOKERS=2
// fails: -DITEMS=1 -DLOOKERS=1 -DNO_SYSMON
// fails: -DITEMS=1 -DLOOKERS=1 -DNO_SYSMON -DIN_ORDER
// fails: -DITEMS=1 -DLOOKERS=1 -DNO_SYSMON -DLOOK_AGAIN
// fails: -DITEMS=1 -DLOOKERS=1 -DNO_SYSMON -DLOOK_AGAIN -DIN_ORDER
// fails: -DITEMS=2 -DLOOKERS=1 -DSYSMON_PRIVATE
// fails: -DITEMS=2 -DLOOKERS=1 -DSYSMON_RESTS
// fails: -DITEMS=1 -DLOOKERS=2 -DWAKES_ALWAYS
#define IN 0    /* in_rt of the maker; what may be in the buffer */
#define QUEUE 1 /* how much waits in its own queue */

byte memory[2], pending[2], own[2];
byte public_part;
bool hungry, wake_one;          /* wanted */
bool ask_share;                 /* attention */
byte looking, npidle;
bool idle[LOOKERS], note[LOOKERS];
byte sched_lock;
byte made, done;
bool begun;                     /* one has begun to look since the maker asked whether one does */

chan buffer = [6] of { byte, byte };

inline lock() { atomic { sched_lock == 0 -> sched_lock = 1 } }
inline unlock() { sched_lock = 0 }

inline drain() {
    do
    :: len(buffer) > 0 ->
        buffer?where_, value_;
        memory[where_] = value_;
        pending[where_]--
    :: else -> break
    od;
    where_ = 0; value_ = 0
}
/* the maker's */
inline store(where, value) {
    atomic {
#ifdef IN_ORDER
        memory[where] = value;
#else
        buffer!where, value;
        pending[where]++;
#endif
        own[where] = value
    }
}

inline wake_looker() {
    atomic {
        lock();
        if
        :: idle[0] -> idle[0] = false; npidle--; note[0] = true
#if LOOKERS > 1
        :: !idle[0] && idle[1] -> idle[1] = false; npidle--; note[1] = true
#endif
        :: else -> skip
        fi;
        unlock()
    }
}
inline share() {
    if
    :: own[QUEUE] > 0 && public_part == 0 ->
        store(QUEUE, own[QUEUE] - 1);
        atomic { drain(); public_part++ }       /* the CAS */
        hungry = false
    :: else -> skip
    fi
}
inline left_behind() {
    if
    :: saw_hungry -> share()
    :: else -> skip
    fi;
    if
    :: saw_wake && own[QUEUE] > 0 ->
        atomic { drain(); wake_one = false }
        atomic { quiet = (npidle > 0 && looking == 0); begun = false }
#ifdef WAKES_ALWAYS
        quiet = (npidle > 0);
#endif
        if
        :: quiet ->
            atomic { assert(looking == 0 || begun); wake_looker() }
        :: else -> skip
        fi
    :: else -> skip
    fi;
    atomic { saw_hungry = false; saw_wake = false; quiet = false }
}

active proctype StoreBuffer() {
    byte where_, value_;
end_empty:
    do
    :: atomic {
            len(buffer) > 0 ->
            buffer?where_, value_;
            memory[where_] = value_;
            pending[where_]--;
            where_ = 0; value_ = 0
        }
    od
}

active proctype Maker() {
    byte where_, value_;
    bool saw_hungry, saw_wake, quiet;
    do
    :: made == ITEMS -> break
    :: else ->
        store(IN, 1);
        atomic { made++; store(QUEUE, own[QUEUE] + 1) }         /* put_next */
        atomic { saw_hungry = hungry; saw_wake = wake_one }
        left_behind();
        if
        :: skip
        :: true ->                              /* a decision */
            if
            :: ask_share -> atomic { drain(); ask_share = false }; share()
            :: else -> skip
            fi;
            if
            :: own[QUEUE] > 0 -> atomic { store(QUEUE, own[QUEUE] - 1); done++ }
            :: else ->                          /* take_back */
                atomic { drain(); done = done + public_part; public_part = 0 }
            fi
        fi;
        store(IN, 0)                            /* user code */
    od
}

proctype Looker(byte me) {
    byte where_, value_, got;
    bool asked, was_hungry;
    do
    :: atomic { looking++; begun = true }
        do
        :: public_part > 0 -> atomic { got = public_part; public_part = 0 }
            if
            :: got -> break
            :: else -> skip
            fi
        :: memory[QUEUE] > 0 && !hungry -> hungry = true; was_hungry = true
        :: memory[QUEUE] > 0 && !asked -> ask_share = true; asked = true
        :: memory[QUEUE] > 0 && asked ->        /* through the gate */
            atomic {
                drain();
                if
                :: memory[IN] == 0 && memory[QUEUE] > 0 ->
                    got = 1;
                    memory[QUEUE]--;
                    own[QUEUE] = memory[QUEUE];
                    break
                :: else -> ask_share = true
                fi
            }
        :: break
        od;
        looking--;
        atomic {
            if
            :: was_hungry -> hungry = false; was_hungry = false
            :: else -> skip
            fi;
            asked = false;
            done = done + got
        }
        if
        :: got -> got = 0
        :: else ->                              /* go_idle */
            lock();
            atomic { idle[me] = true; npidle++ }
            if
            :: looking == 0 -> wake_one = true  /* arm_makers */
#ifndef NO_SYSMON
            :: looking == 0 -> skip             /* not if that was in vain lately */
#endif
            :: else -> skip
            fi;
#ifdef LOOK_AGAIN
            if
            :: memory[QUEUE] > 0 || public_part > 0 ->
                atomic { idle[me] = false; npidle--; unlock() }
                goto again
            :: else -> skip
            fi;
#endif
            unlock();
end_sleep:  atomic { note[me] -> note[me] = false }
again:      skip
        fi
    od
}

#ifndef NO_SYSMON
active proctype Sysmon() {
end_watch:
    do
#ifdef SYSMON_RESTS
    :: npidle == LOOKERS -> break
#endif
#ifdef SYSMON_PRIVATE
    :: npidle > 0 && looking == 0 && memory[QUEUE] > 0 -> wake_looker()
#else
    :: npidle > 0 && looking == 0 && (memory[QUEUE] > 0 || public_part > 0) -> wake_looker()
#endif
    :: npidle > 0 && looking == 0 && !wake_one -> wake_one = true
    od
}
#endif

init {
    atomic {
        wake_one = true;
        run Looker(0);
#if LOOKERS > 1
        run Looker(1)
#endif
    }
}

/* When nothing more can happen. */
active proctype AtRest() {
end_rest:
    timeout;
    assert(made == ITEMS && done == made && npidle == LOOKERS)
}
