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
	"time"
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
	span := 3000.0
	if r.ms < 550 {
		span *= r.ms / 550
	}
	r.totalMs("few", 200, func() { blockAtOnce(200) })
	many := r.sizeOr(5000)
	r.totalMs("many", many, func() { blockAtOnce(many) })
	if !r.wants("late_p50") && !r.wants("late_p99") && !r.wants("late_max") {
		return
	}
	var late [][]float64
	count := 0
	for i := 0; i < r.reps; i++ {
		var stop atomic.Bool
		var wg sync.WaitGroup
		wg.Add(200)
		for p := 0; p < 200; p++ {
			go func() {
				for !stop.Load() {
					C.block(1000)
					runtime.Gosched()
				}
				wg.Done()
			}()
		}
		var samples []float64
		for end := nowNs() + int64(span*1e6); nowNs() < end; {
			before := nowNs()
			time.Sleep(time.Millisecond)
			samples = append(samples, float64(nowNs()-before-1e6)/1e6)
		}
		stop.Store(true)
		wg.Wait()
		count = len(samples)
		late = append(late, []float64{percentile(samples, 0.5), percentile(samples, 0.99), percentile(samples, 1)})
	}
	r.emitColumns([]string{"late_p50", "late_p99", "late_max"}, "ms", uint64(count), late)
}
