// SPDX-License-Identifier: BSD-2-Clause
// tests/model/share.pml - The public part of a P's queue (rt/own/share.h PublicQueue, rt/sched/share.cc): two Ps, each
// with an M that goes idle and is woken. The owner makes some of its queue public, or offers runnext; the other one
// takes all by one exchange, or gathers what it has into the owner's public part. P 1 may be retired and come back.
// Whether anybody looks, shares, gathers or begins a round at some decision is left open, as are the times of wakes.
// What is private is touched by the owner only and in one step here; the machine is in order, since every publication
// is a locked instruction.
//
// Shown: (1) no goroutine is lost or run twice: when nothing can happen any more each has come to its end; (2) nobody
// runs one before it is at rest, though one that yields is queued while its stack is live; (3) nothing lies in the
// public part of a P that goes idle, is idle or comes back from retirement.
//
// To see the model work, one step each is left out or done at another place: go_idle does not look at its own public
// part (NO_LAST_LOOK), or before it has the lock (LOOK_UNLOCKED); gather does without the lock (GATHER_UNLOCKED), or
// does not ask whether the other P is being retired (GATHER_RETIRED); the public part of a retired P stays as it is
// (RETIRE_PRIVATE); who yields shares before the switch (SHARE_LIVE); an offer stays in runnext (OFFER_KEPT); a store
// instead of the CAS of push and keep_offer, a load and a store instead of the exchange (PUSH_STORE, KEEP_STORE,
// TAKE_STORE).
//
// run: -DGS=3 -DSTEPS=2 -DWAKES=1
// run: -DGS=3 -DSTEPS=1 -DWAKES=2 -DPROCS
// run: -DGS=2 -DSTEPS=2 -DWAKES=1 -DPROCS
// fails: -DGS=3 -DSTEPS=1 -DWAKES=1 -DNO_LAST_LOOK
// fails: -DGS=3 -DSTEPS=1 -DWAKES=1 -DLOOK_UNLOCKED
// fails: -DGS=3 -DSTEPS=1 -DWAKES=1 -DGATHER_UNLOCKED
// fails: -DGS=3 -DSTEPS=1 -DWAKES=1 -DPROCS -DGATHER_RETIRED
// fails: -DGS=3 -DSTEPS=1 -DWAKES=1 -DPROCS -DRETIRE_PRIVATE
// fails: -DGS=2 -DSTEPS=2 -DWAKES=1 -DSHARE_LIVE
// fails: -DGS=3 -DSTEPS=1 -DWAKES=1 -DOFFER_KEPT
// fails: -DGS=3 -DSTEPS=1 -DWAKES=1 -DPUSH_STORE
// fails: -DGS=3 -DSTEPS=1 -DWAKES=1 -DKEEP_STORE
// fails: -DGS=3 -DSTEPS=1 -DWAKES=1 -DTAKE_STORE
#define OFFER 16 /* bit of head */

byte head[2];                   /* open_to_all */
byte next[GS + 1];              /* G::next */
chan q[2] = [GS] of { byte };   /* runq and fresh */
byte runnext[2];
bool ask_take_back[2], ask_release[2]; /* attention */
bool has_m[2], idle[2], retired[2], note[2];

byte sched_lock;
chan runq = [GS] of { byte };   /* the global queue */

byte born = 1, ended;
bool at_rest[GS + 1], running[GS + 1];
byte runs[GS + 1];

inline lock() { atomic { sched_lock == 0 -> sched_lock = 1 } }
inline unlock() { sched_lock = 0 }

inline append(gp) {
    next[gp] = 0;
    if
    :: first -> next[last] = gp
    :: else -> first = gp
    fi;
    last = gp
}
/* first to last becomes public at P `to` */
inline push(to) {
    do
    :: last == 0 -> break
    :: else ->
        atomic { h = head[to]; next[last] = h & 15 }
        atomic {
            if
#ifndef PUSH_STORE
            :: head[to] != h -> skip
#endif
            :: else -> head[to] = first; last = 0; first = 0
            fi;
            h = 0
        }
    od
}
/* adopt, and the end of take_back */
inline put_list_aside() {
    do
    :: list -> q[p]!list; list = next[list]
    :: else -> break
    od
}
inline take_all(from) {
#ifdef TAKE_STORE
    list = head[from] & 15;
    atomic {
        if
        :: list -> head[from] = 0
        :: else -> skip
        fi;
#else
    atomic {
        list = head[from] & 15;
        head[from] = 0;
#endif
        found = (list != 0);
        if
        :: from == p && list && !next[list] && !runnext[p] -> runnext[p] = list; list = 0
        :: else -> put_list_aside()
        fi
    }
}
inline share() {
    atomic {
        if
        :: head[p] == 0 && len(q[p]) > 0 ->     /* half of it: here any number */
            do
            :: len(q[p]) > 0 -> q[p]?list; append(list); list = 0
            :: first -> break
            od
        :: else -> skip
        fi
    }
    push(p)
}
inline push_offer() {
    atomic {
        if
        :: runnext[p] && head[p] == 0 ->
            next[runnext[p]] = 0;
            head[p] = runnext[p] + OFFER;
#ifndef OFFER_KEPT
            runnext[p] = 0;                     /* a moment later, but nobody else reads it */
#endif
            ask_take_back[p] = true
        :: else -> skip
        fi
    }
}
inline end_offer() {
    atomic {
        if
        :: len(q[p]) > 0 || runnext[p] -> h = head[p] & OFFER; list = head[p]
        :: else -> skip
        fi
    }
    atomic {                                    /* keep_offer */
        if
#ifdef KEEP_STORE
        :: h -> head[p] = list - OFFER; ask_take_back[p] = true
#else
        :: h && head[p] == list -> head[p] = list - OFFER; ask_take_back[p] = true
#endif
        :: else -> h = 0
        fi;
        list = 0
    }
    if
    :: h -> h = 0
    :: else -> take_all(p)
    fi
}
inline gather() {
    atomic {
        if
        :: runnext[p] -> append(runnext[p]); runnext[p] = 0
        :: else -> skip
        fi;
        do
        :: len(q[p]) > 0 -> q[p]?list; append(list); list = 0
        :: else -> break
        od
    }
    if
    :: first ->
        atomic {
#ifndef GATHER_UNLOCKED
            lock();
#endif
#ifdef GATHER_RETIRED
            found = has_m[other]
#else
            found = has_m[other] && !retired[other]
#endif
        }
        if
        :: found -> push(other)
        :: else -> skip
        fi;
        atomic {
            if
            :: found -> ask_take_back[other] = true
            :: else -> list = first; first = 0; last = 0; put_list_aside()
            fi;
#ifndef GATHER_UNLOCKED
            unlock();
#endif
            found = false
        }
    :: else -> skip
    fi
}
inline wake_one() {
    if
    :: idle[0] -> idle[0] = false; note[0] = true
    :: !idle[0] && idle[1] -> idle[1] = false; note[1] = true
    :: else -> skip
    fi
}
/* P p is the caller's */
inline empty_into_global() {
#ifndef RETIRE_PRIVATE
    take_all(p);
#endif
    atomic {
        lock();
        found = (runnext[p] || len(q[p]) > 0);
        do
        :: runnext[p] -> runq!runnext[p]; runnext[p] = 0
        :: len(q[p]) > 0 -> q[p]?list; runq!list; list = 0
        :: else -> break
        od;
        if
        :: found -> wake_one()
        :: else -> skip
        fi;
        found = false;
        unlock()
    }
}

proctype M(byte p) {
    byte other = 1 - p, cur, h, list, first, last;
    bool found;

wait:
end_idle:
    atomic { note[p] -> note[p] = false; has_m[p] = true }      /* acquire_p */

decide:
    if
    :: ask_release[p] ->                        /* retire_p */
        has_m[p] = false;
        empty_into_global();
        ask_release[p] = false;
        goto wait
    :: else -> skip
    fi;
    if                                          /* look_around */
    :: ask_take_back[p] -> ask_take_back[p] = false; end_offer()
    :: else -> skip
    fi;
    if
    :: true -> gather()
    :: true -> share()
    :: true -> take_all(p)                           /* begin_round */
    :: skip
    fi;
pick:
    atomic {
        if
        :: runnext[p] -> cur = runnext[p]; runnext[p] = 0
        :: !runnext[p] && len(q[p]) > 0 -> q[p]?cur
        :: !runnext[p] && len(q[p]) == 0 && len(runq) > 0 ->    /* take_global */
            lock();
            if
            :: len(runq) > 0 -> runq?cur
            :: else -> skip
            fi;
            if
            :: len(runq) > 0 -> wake_one()
            :: else -> skip
            fi;
            unlock()
        :: else -> skip
        fi
    }
    if
    :: cur -> goto execute
    :: else -> take_all(p)
    fi;
    if
    :: found -> found = false; goto decide
    :: else -> skip
    fi;
    if                                          /* look */
    :: head[other] -> take_all(other); found = false; goto pick
    :: skip
    fi;
    /* go_idle */
#ifdef LOOK_UNLOCKED
    found = head[p] || ask_take_back[p];
#endif
    atomic {
        lock();
#ifndef LOOK_UNLOCKED
        found = head[p] || ask_take_back[p];
#endif
#ifdef NO_LAST_LOOK
        found = false;
#endif
        if
        :: found || len(runq) > 0 || ask_release[p] -> found = false; unlock(); goto decide
        :: else ->
            has_m[p] = false;
            idle[p] = true;
            assert(head[p] == 0);
            unlock();
            goto wait
        fi
    }

execute:
    atomic {
        assert(!running[cur] && at_rest[cur]);
        running[cur] = true;
        at_rest[cur] = false;
        runs[cur]++;
        found = false
    }
    do
    :: atomic {                                 /* spawn: put_next */
            born < GS -> born++;
            at_rest[born] = true;
            if
            :: runnext[p] -> q[p]!runnext[p]
            :: else -> skip
            fi;
            runnext[p] = born
        }
        if
        :: true -> share(); push_offer()           /* left_behind: share_all */
        :: skip
        fi
    :: break
    od;
    if
    :: runs[cur] >= STEPS -> atomic { running[cur] = false; ended++; cur = 0 }
    :: else ->                                  /* yield: queued, and its stack is live still */
#ifdef SHARE_LIVE
        q[p]!cur;
        share();
        atomic { running[cur] = false; at_rest[cur] = true; cur = 0 }
#else
        atomic { q[p]!cur; running[cur] = false; at_rest[cur] = true; cur = 0 }     /* the switch */
#endif
    fi;
    goto decide
}

/* gomaxprocs(1), and (2) again */
proctype Procs() {
    byte p = 1, list;
    bool was_idle, found;
    atomic {
        lock();
        retired[p] = true;
        was_idle = idle[p];
        idle[p] = false;
        ask_release[p] = !was_idle;
        unlock()
    }
    if
    :: was_idle -> empty_into_global()
    :: else -> !ask_release[p]
    fi;
    atomic {
        lock();
        assert(head[p] == 0);
        retired[p] = false;
        idle[p] = true;
        if
        :: len(runq) > 0 -> wake_one()
        :: else -> skip
        fi;
        unlock()
    }
}

/* left_behind and sysmon: at any time */
proctype Waker() {
    byte n;
    do
    :: n < WAKES -> atomic { n++; lock(); wake_one(); unlock() }
    :: break
    od
}

init {
    atomic {
        at_rest[1] = true;
        runnext[0] = 1;
        note[0] = true;
        idle[1] = true;
        run M(0);
        run M(1);
        run Waker();
#ifdef PROCS
        run Procs()
#endif
    }
}

/* When nothing more can happen. */
active proctype AtRest() {
end_watch:
    timeout;
    assert(ended == born && idle[0] && idle[1]);
    assert(head[0] == 0 && head[1] == 0 && len(q[0]) == 0 && len(q[1]) == 0 && !runnext[0] && !runnext[1]);
    assert(len(runq) == 0)
}
