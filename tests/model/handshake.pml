// SPDX-License-Identifier: BSD-2-Clause
// tests/model/handshake.pml - Taking an object away from a P by an answer instead of a barrier (rt/own/gate.h handshake
// and answer, with the protocol of rt/own/owner.h): M 0 has P 0, M 1 has P 1, each P an object, and each M may
// take the other P's away while its own is being taken. M 0 works through a store buffer: its stores reach memory late
// and in order, its loads see its own, its locked instructions and others' barriers empty it. With -DHANDS sysmon may
// take P 0 through the gate, at any time, and M 2 goes on with it.
// A goroutine may park with the object in use: then the commit, on g0, gives it free. Patience ends at any time; with
// -DANSWERS never, so that only answers count.
//
// Shown: (1) who got an answer or paid the barrier is alone with the object, and sees all that was done to it; (2)
// nobody waits for ever, also of two that revoke each other's at once, also by answers alone.
// To see the model work, one step each is left out or done at another place: the barrier (NO_BARRIER); the wait until
// the holder is outside (NO_WAIT); the number is drawn before the object is taken (NUMBER_FIRST); g0 answers before the
// commit (EARLY_ANSWER); a holder answers when it comes in, not only on g0 (ANSWER_INSIDE); who waits does not answer
// (NO_OUTSIDE), or answers without a look at his gate (OUTSIDE_BLIND); kAskAnswer is taken off after the number was
// read (CLEAR_LATE).
//
// run: -DROUNDS=3
// run: -DROUNDS=3 -DANSWERS
// run: -DROUNDS=3 -DTHIRD
// run: -DROUNDS=3 -DTHIRD -DANSWERS
// run: -DROUNDS=2 -DHANDS -DANSWERS
// run: -DROUNDS=1 -DHANDS
// fails: -DROUNDS=2 -DNO_BARRIER
// fails: -DROUNDS=2 -DNO_WAIT
// fails: -DROUNDS=2 -DTHIRD -DNUMBER_FIRST
// fails: -DROUNDS=2 -DEARLY_ANSWER
// fails: -DROUNDS=2 -DANSWER_INSIDE
// fails: -DROUNDS=2 -DANSWERS -DNO_OUTSIDE
// fails: -DROUNDS=2 -DHANDS -DOUTSIDE_BLIND
// fails: -DROUNDS=2 -DTHIRD -DANSWERS -DCLEAR_LATE
#define IN 0       /* in_rt of the Ms; what may be in the buffer */
#define ANSWERED 3 /* of the Ps */
#define DATA 5     /* of the objects, which are numbered as the Ps they belong to */
#define WHOSE 7

#define OWN 0 /* whose it is: the P's */
#define REVOKING 1
#define SHARED 2

#define NOBODY 3
#define PLACES 9

byte memory[PLACES];
byte pending[PLACES], own[PLACES];
byte wanted[2];                 /* answers_wanted */
bool ask[2];                    /* kAskAnswer of attention */
byte m[2];                      /* P::m */
bool open[3], lost[3];          /* the gates; lost_p */
byte gate_lock;                 /* of M 0; nobody wants the others' */
byte latest[2], holders[2];     /* of the objects */
#if defined(HANDS) || defined(THIRD)
byte left = 3;
#else
byte left = 2;
#endif

chan buffer = [8] of { byte, byte };

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
inline drain_mine() {
    if
    :: me == 0 -> drain()
    :: else -> skip
    fi
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
#define SEES(where) (me == 0 && pending[where] > 0 -> own[where] : memory[where])

inline touch(o) {
    assert(SEES(DATA + o) == latest[o]);
    latest[o] = 1 - latest[o];
    store(DATA + o, latest[o])
}
inline hold(o) { atomic { holders[o]++; assert(holders[o] == 1); touch(o) } }
inline release(o) { holders[o]-- }

/* [the P's holder] */
inline answer() {
    if
    :: ask[p] ->
#ifdef CLEAR_LATE
        seen = wanted[p];
        store(ANSWERED + p, seen);
        atomic { drain_mine(); ask[p] = false; seen = 0 }
#else
        atomic { drain_mine(); ask[p] = false }
        seen = wanted[p];
        atomic { store(ANSWERED + p, seen); seen = 0 }
#endif
    :: else -> skip
    fi
}
inline answer_from_outside() {
    store(IN + me, 1);
    if
#ifdef OUTSIDE_BLIND
    :: true -> answer()
#else
    :: open[me] -> answer()
    :: else -> skip
#endif
    fi;
    store(IN + me, 0)
}
inline wait_for_outside(pp) {
    seen = m[pp];
    if
    :: seen != NOBODY -> (memory[IN + seen] == 0 || m[pp] != seen)
    :: else -> skip
    fi;
    seen = 0
}
inline draw_number(pp) { atomic { drain_mine(); wanted[pp]++; number = wanted[pp] } }

/* Object o, which is P o's */
inline revoke(o) {
#ifdef NUMBER_FIRST
    draw_number(o);
#endif
    atomic {
        drain_mine();
        mine = (memory[WHOSE + o] == OWN);
        if
        :: mine -> memory[WHOSE + o] = REVOKING
        :: else -> skip
        fi
    }
    if
    :: mine ->
#ifndef NUMBER_FIRST
        draw_number(o);
#endif
        atomic { drain_mine(); ask[o] = true }
        do
        :: SEES(ANSWERED + o) >= number -> break
#ifndef NO_OUTSIDE
        :: has_p && ask[p] -> answer_from_outside()
#endif
#ifndef ANSWERS
        :: true ->                              /* patience is over */
#ifndef NO_BARRIER
            atomic { drain() }
#endif
#ifndef NO_WAIT
            wait_for_outside(o);
#endif
            break
#endif
        od;
        hold(o);
        release(o);
        store(WHOSE + o, SHARED)
    :: else -> skip
    fi;
    atomic { mine = false; number = 0 }
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

inline count_round() {
    atomic {
        if
        :: round < ROUNDS ->
            round = (has_p -> round + 1 : ROUNDS);
            if
            :: round == ROUNDS -> left--
            :: else -> skip
            fi
        :: else -> skip
        fi
    }
}

proctype M(byte me; byte p) {
    byte where_, value_, round = 0, seen, number;
    bool mine, has_p = true;
    if
    :: me == 2 -> m[p] == 2                     /* handed over */
    :: else -> skip
    fi;
    do
    :: !has_p -> break
    :: has_p && round == ROUNDS && left == 0 -> break
    :: has_p && (round < ROUNDS || ask[p]) ->   /* enter; at the end only to answer */
        store(IN + me, 1);
        if
        :: open[me] -> skip
        :: else ->                              /* enter_slow */
            atomic { drain_mine(); gate_lock == 0 -> gate_lock = 1 }
            if
            :: lost[me] -> has_p = false
            :: else -> open[me] = true
            fi;
            gate_lock = 0
        fi;
        if
        :: has_p ->
#ifdef ANSWER_INSIDE
            mine = (SEES(WHOSE + p) == OWN);
            answer();
#else
            mine = (SEES(WHOSE + p) == OWN);
#endif
            if
            :: mine ->
                hold(p);
                if
                :: true -> release(p)
                :: true ->                      /* parks: on g0 */
#ifdef EARLY_ANSWER
                    answer();
#endif
                    release(p);                 /* the commit */
                    answer()
                fi
            :: else -> answer()                 /* or a decision, on g0 */
            fi
        :: else -> skip
        fi;
        atomic { mine = false; seen = 0 }
        store(IN + me, 0);
        count_round()
    :: has_p && round < ROUNDS && me < 2 ->     /* outside */
        revoke(1 - p);
        count_round()
    od
}

#ifdef HANDS
proctype Sysmon() {
    byte where_, value_;
    do
    :: atomic { gate_lock == 0 -> gate_lock = 1 }
        open[0] = false;
        atomic { drain() }
        if
        :: memory[IN + 0] == 0 ->               /* keep */
            lost[0] = true;
            m[0] = NOBODY;
            gate_lock = 0;
            open[2] = true;                     /* acquire_p of M 2 */
            m[0] = 2;
            break
        :: else ->
            open[0] = true;
            gate_lock = 0
        fi
    od
}
#endif

/* A thread of the program's own wants something else of P 0. */
proctype Third() {
    byte number;
    atomic { wanted[0]++; number = wanted[0] }
    ask[0] = true;
#ifdef ANSWERS
    memory[ANSWERED + 0] >= number;
#endif
    left--
}

init {
    atomic {
        m[0] = 0;
        m[1] = 1;
        open[0] = true;
        open[1] = true;
        run M(0, 0);
        run M(1, 1);
#ifdef HANDS
        run M(2, 0);
        run Sysmon()
#endif
#ifdef THIRD
        run Third()
#endif
    }
}
