// blockers: goroutines that block their threads in C.
// SPDX-License-Identifier: BSD-2-Clause

//go:build cgo

package main

/*
#include <time.h>

static void block(long us) {
	struct timespec t = {0, us * 1000};
	nanosleep(&t, 0);
}
*/
import "C"

import (
	"runtime"
	"sync"
	"sync/atomic"
)

func init() {
	add := workload{"blockers", "200 and 5000 goroutines that block their thread for 50 ms; a sleeper beside 200 in a loop", benchBlockers}
	for i, w := range workloads {
		if w.name == "hog" {
			workloads = append(workloads[:i+1], append([]workload{add}, workloads[i+1:]...)...)
			return
		}
	}
}

func blockAtOnce(n uint64) {
	var wg sync.WaitGroup
	wg.Add(int(n))
	for i := uint64(0); i < n; i++ {
		go func() {
			C.block(50000)
			wg.Done()
		}()
	}
	wg.Wait()
}

func benchBlockers(r *run) {
	r.totalMs("few", 200, func() { blockAtOnce(200) })
	many := r.sizeOr(5000)
	r.totalMs("many", many, func() { blockAtOnce(many) })
	if !r.wants("late_p50") && !r.wants("late_p99") && !r.wants("late_max") {
		return
	}
	sleeperBeside(r, 200, func(stop *atomic.Bool) {
		for !stop.Load() {
			C.block(1000)
			runtime.Gosched()
		}
	})
}
