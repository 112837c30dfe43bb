// SPDX-License-Identifier: BSD-2-Clause
// tests/model/idle.pml - Going idle and waking of rt/sched/mach.cc, and sysmon's rest of rt/sched/sysmon.cc. Two Ms,
// two Ps. A submitter puts work into the global queue as foreign threads, the poller and timers do; an M
// that runs a piece leaves another one in its own queue, without waking anybody; only sysmon may bring that
// to the idle P, and it rests while all Ps are idle.
//
// Shown: every piece of work is done, with the M asleep, going to sleep, or awake; when all is done all sleep, sysmon
// too; a P is never lost (each is idle or with one M).
// To see the model work: -DLATE_LOOK lets an M look at the queue before it takes the lock.
//
// run: -DITEMS=3
// fails: -DITEMS=2 -DLATE_LOOK
byte sched_lock;
byte queue;                     /* global queue */
byte own[2];                    /* what an M left in its own queue */
byte idle_ps = 2;
bool in_midle[2];
bool note[2];                   /* a woken note */
bool has_p[2];
bool sysmon_rests;
byte word;                      /* sysmon's futex, counts nudges (bounded) */
byte submitted, spawned, done;

inline lock() { atomic { sched_lock == 0 -> sched_lock = 1 } }
inline unlock() { sched_lock = 0 }

/* wake_one_locked */
inline wake_one() {
    if
    :: idle_ps > 0 && (in_midle[0] || in_midle[1]) ->
        idle_ps--;
        if
        :: sysmon_rests -> sysmon_rests = false; word = 1
        :: else -> skip
        fi;
        if
        :: in_midle[0] -> in_midle[0] = false; has_p[0] = true; note[0] = true
        :: else -> in_midle[1] = false; has_p[1] = true; note[1] = true
        fi
    :: else -> skip
    fi
}

proctype M(byte me) {
    bool saw;
    do
    :: has_p[me] ->
        if
        :: atomic { own[me] > 0 -> own[me]--; done++ }
        :: else ->
#ifdef LATE_LOOK
            saw = queue > 0;
            lock();
#else
            lock();
            saw = queue > 0;
#endif
            if
            :: saw ->
                if
                :: queue > 0 -> queue--
                :: else -> saw = false
                fi;
                unlock();
                if
                :: saw -> atomic {
                        done++;
                        if
                        :: spawned < ITEMS -> spawned++; own[me]++      /* work makes work */
                        :: else -> skip
                        fi
                    }
                :: else -> skip
                fi
            :: else ->                                      /* go_idle */
                has_p[me] = false;
                idle_ps++;
                in_midle[me] = true;
                unlock();
end_idle:       note[me]; note[me] = false
            fi
        fi
    :: else ->
end_start: note[me]; note[me] = false
    od
}

proctype Submitter() {
    byte n = 0;
    do
    :: n < ITEMS -> lock(); queue++; submitted++; wake_one(); unlock(); n++
    :: else -> break
    od
}

proctype Sysmon() {
    do
    :: idle_ps < 2 ->                                       /* it looks, and sheds what waits */
        if
        :: atomic { own[0] > 0 -> own[0]-- }; lock(); queue++; wake_one(); unlock()
        :: atomic { own[1] > 0 -> own[1]-- }; lock(); queue++; wake_one(); unlock()
        :: skip
        fi
    :: idle_ps == 2 ->
        word = 0;
        lock();
        sysmon_rests = (idle_ps == 2);
        if
        :: sysmon_rests -> unlock();
end_rest:    (word == 1); word = 0
        :: else -> unlock()
        fi
    od
}

init { atomic { in_midle[0] = true; in_midle[1] = true; run M(0); run M(1); run Submitter(); run Sysmon() } }

/* When nothing more can happen. */
active proctype AtRest() {
end_watch:
    timeout;
    assert(queue == 0 && own[0] == 0 && own[1] == 0 && submitted == ITEMS && done == ITEMS + spawned);
    assert(idle_ps == 2 && in_midle[0] && in_midle[1] && sysmon_rests)
}

