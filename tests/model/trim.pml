// SPDX-License-Identifier: BSD-2-Clause
// tests/model/trim.pml - The trimmer of rt/sched/trim.h against who parks, wakes and resumes the goroutine whose stack
// it trims, on a machine with a store buffer: that CPU's stores reach memory late and in order, its loads overtake
// them; heavy_barrier empties the buffer.
//
// Shown: (1) no page is dropped while the goroutine runs, or below a stack pointer that is not the one where it rests;
// (2) it is resumed where it rests; (3) a goroutine that has ended is not written to; (4) nobody waits for ever.
//
// run: -DWAITS=2
// fails: -DWAITS=2 -DNO_BARRIER
// fails: -DWAITS=2 -DNO_OUTSIDE
// fails: -DWAITS=2 -DNO_SINCE
// fails: -DWAITS=2 -DALWAYS_BACK
#define IN_RT 0
#define STATUS 1
#define SINCE 2
#define SP 3

#define RUNNABLE 0
#define WAITING 1
#define FREE 2

#define HIDDEN 1
#define TRIMMING 2

byte mem[4];             /* as the trimmer sees them */
byte coarse = 1;         /* coarse_now */
byte mark, hidden_sp;    /* SlotInfo::hidden */
byte rests_at;           /* where the goroutine rests; 0: it runs */
byte dropping;           /* below which stack pointer pages are being dropped; 0: none are */
bool ended, trimmer_done;
chan buffer = [8] of { byte, byte };

inline drain() {
    atomic {
        do
        :: nempty(buffer) -> buffer?w, v; mem[w] = v
        :: empty(buffer) -> break
        od
    }
}

active proctype StoreBuffer() {
    byte w, v;
    do
    :: atomic { nempty(buffer) -> buffer?w, v; mem[w] = v }
    :: ended && trimmer_done && empty(buffer) -> break
    od
}

/* The CPU's own view of the handle: its latest store, else memory. */
inline read_sp(to) {
    atomic {
        if
        :: buffer??[SP, 0] -> to = 0
        :: buffer??[SP, 5] -> to = 5
        :: buffer??[SP, 6] -> to = 6
        :: else -> to = mem[SP]
        fi
    }
}

active proctype Cpu() {
    byte round = 0, sp, w, v;
    do
    :: round < WAITS ->
        /* park: inside since before */
        buffer!IN_RT, 1;
        buffer!SINCE, coarse;
        buffer!STATUS, WAITING;
        atomic { rests_at = 5 + round % 2; buffer!SP, rests_at }
        buffer!IN_RT, 0;
        /* ready, and whoever picks it */
        buffer!IN_RT, 1;
        buffer!STATUS, RUNNABLE;
        read_sp(sp);
        if
        :: sp -> skip
        :: else -> /* take_from_trim */
            drain();
            do
            :: mark == TRIMMING -> mark != TRIMMING
            :: mark != TRIMMING && mem[SP] -> sp = mem[SP]; break
            :: mark == 0 && mem[SP] == 0 ->
                if
                :: atomic { mem[SP] -> sp = mem[SP] }
                :: atomic { mem[SP] == 0 && mark == 0 -> sp = hidden_sp }
                fi;
                break
            :: atomic { mark == HIDDEN && mem[SP] == 0 -> mark = 0 }; sp = hidden_sp; break
            od
        fi;
        atomic { assert(sp == rests_at); assert(dropping == 0); rests_at = 0 }
        buffer!IN_RT, 0;
        round++
    :: else -> break
    od;
    /* it ends: its G is free */
    buffer!IN_RT, 1;
    buffer!STATUS, FREE;
    buffer!SP, 0;
    buffer!IN_RT, 0;
    (empty(buffer) && trimmer_done);
    assert(mem[SP] == 0);
    ended = true
}

active proctype Trimmer() {
    byte began, since, sp, w, v;
    bool same, in_time;
    atomic { coarse = 2; began = 2 }
#ifndef NO_OUTSIDE
    drain();
    mem[IN_RT] == 0;
#endif
    /* select */
    in_time = (mem[STATUS] == WAITING);
    since = mem[SINCE];
    sp = mem[SP];
    if
#ifndef NO_SINCE
    :: !in_time || since >= began || sp == 0 -> skip
#else
    :: !in_time || sp == 0 -> skip
#endif
    :: else ->
        atomic { hidden_sp = sp; mark = HIDDEN }
        atomic {
            if
            :: mem[SP] == sp -> mem[SP] = 0
            :: else -> skip
            fi
        }
#ifndef NO_BARRIER
        drain();
#endif
        same = (mem[STATUS] == WAITING);
        same = same && (mem[SINCE] == since);
        same = same && (mem[SP] == 0);
        atomic {
            if
            :: mark == HIDDEN && same -> mark = TRIMMING
            :: mark == HIDDEN && !same -> mark = 0
            :: mark != HIDDEN -> same = false
            fi
        }
        if
        :: same ->
            atomic { assert(rests_at == sp); dropping = sp }
            dropping = 0;
            mem[SP] = sp;
            mark = 0
        :: else ->
#ifdef ALWAYS_BACK
            atomic {
                if
                :: mem[SP] == 0 -> mem[SP] = sp
                :: else -> skip
                fi
            }
#else
            skip
#endif
        fi
    fi;
    trimmer_done = true
}
