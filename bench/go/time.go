// park1m, timers, hog, wake: memory, sleeping and lateness.
// SPDX-License-Identifier: BSD-2-Clause
package main

import (
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Milliseconds until all are parked on a receive of one channel, until all have ended after its close, and what a
// parked one costs in bytes of memory and of page tables.
func parkRound(size uint64) (spawn, wake, rss, pte float64) {
	rss0, pte0 := rssBytes(), pageTableBytes()
	c := make(chan int)
	var wg sync.WaitGroup
	var arrived atomic.Uint64
	wg.Add(int(size))
	start := nowNs()
	for i := uint64(0); i < size; i++ {
		go func() {
			arrived.Add(1)
			<-c
			wg.Done()
		}()
	}
	for arrived.Load() != size {
		runtime.Gosched()
	}
	spawn = float64(nowNs()-start) / 1e6
	rss, pte = (rssBytes()-rss0)/float64(size), (pageTableBytes()-pte0)/float64(size)
	start = nowNs()
	close(c)
	wg.Wait()
	wake = float64(nowNs()-start) / 1e6
	return
}

// Cold memory exists once in a process, so each repetition is one.
func benchPark(r *run) {
	size := r.sizeOr(1000000)
	if inFreshProcess() {
		spawn, wake, rss, pte := parkRound(size)
		spawn2, wake2, _, _ := parkRound(size)
		fmt.Println(spawn, wake, spawn2, wake2, rss, pte)
		return
	}
	var times, bytes [][]float64
	for i := 0; i < r.reps; i++ {
		pretouch(size * 4608)
		v := r.freshProcess()
		times, bytes = append(times, v[:4]), append(bytes, v[4:])
	}
	r.emitColumns([]string{"spawn_all_parked", "wake_all_join", "spawn_all_parked_again", "wake_all_join_again"},
		"ms", size, times)
	r.emitColumns([]string{"rss_each", "pte_each"}, "B", size, bytes)
}

func sleepAll(size uint64) {
	var wg sync.WaitGroup
	wg.Add(int(size))
	for i := uint64(0); i < size; i++ {
		d := time.Duration(1+i%1000) * time.Millisecond
		go func() {
			time.Sleep(d)
			wg.Done()
		}()
	}
	wg.Wait()
}

// 100 goroutines sleep 1 ms again and again; how many microseconds late each wakes.
func lateness(ms float64) []float64 {
	const sleepers = 100
	var all [sleepers][]float64
	var wg sync.WaitGroup
	end := nowNs() + int64(ms*1e6)
	wg.Add(sleepers)
	for i := range all {
		go func(mine *[]float64) {
			for now := nowNs(); now < end; {
				time.Sleep(time.Millisecond)
				after := nowNs()
				*mine = append(*mine, float64(after-now-1e6)/1e3)
				now = after
			}
			wg.Done()
		}(&all[i])
	}
	wg.Wait()
	var samples []float64
	for i := range all {
		samples = append(samples, all[i]...)
	}
	return samples
}

func benchTimers(r *run) {
	const pending = 100000
	size := r.sizeOr(1000000)
	pretouch(size * 4608)
	r.totalMs("sleep1m", size, func() { sleepAll(size) })

	ran := false
	f := func() { ran = true }
	rnd := rand.New(rand.NewSource(1))
	between := func(lo, hi int) time.Duration {
		return time.Duration(lo)*time.Second + time.Duration(rnd.Int63n(int64(time.Second)*int64(hi-lo)))
	}
	others := make([]*time.Timer, pending)
	for i := range others {
		others[i] = time.AfterFunc(between(600, 1200), f)
	}
	r.perOp("afterfunc_stop_30s", 1, func(n uint64) {
		for ; n > 0; n-- {
			time.AfterFunc(30*time.Second, f).Stop()
		}
	})
	// The timers that are stopped lie anywhere among the pending ones.
	var durations [1024]time.Duration
	for i := range durations {
		durations[i] = between(600, 1200)
	}
	r.perOp("afterfunc_stop_random", 1, func(n uint64) {
		for ; n > 0; n-- {
			time.AfterFunc(durations[n%1024], f).Stop()
		}
	})
	for _, t := range others {
		t.Stop()
	}
	r.check(!ran, "a stopped timer ran")

	var late [][]float64
	count := 0
	for i := 0; i < r.reps; i++ {
		samples := lateness(r.ms)
		count = len(samples)
		late = append(late, []float64{percentile(samples, 0.5), percentile(samples, 0.99)})
	}
	r.emitColumns([]string{"sleep1ms_x100_late_p50", "sleep1ms_x100_late_p99"}, "us", uint64(count), late)
}

// How late a sleeper of 1 ms wakes beside goroutines that are at it all the time: body(&stop) of each returns once stop
// has become true. For 3 s, or less when --ms asks for short repetitions.
func sleeperBeside(r *run, others int, body func(stop *atomic.Bool)) {
	span := 3000.0
	if r.ms < 550 {
		span *= r.ms / 550
	}
	var late [][]float64
	count := 0
	for i := 0; i < r.reps; i++ {
		var stop atomic.Bool
		var wg sync.WaitGroup
		wg.Add(others)
		for p := 0; p < others; p++ {
			go func() {
				body(&stop)
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

// One goroutine a P spins.
func benchHog(r *run) {
	sleeperBeside(r, r.procs, func(stop *atomic.Bool) {
		for !stop.Load() {
		}
	})
}

// Touches no memory, so that those who compute at the same time are not in each other's way. The result keeps the loop.
//
//go:noinline
func compute(steps uint64) uint64 {
	x := steps
	for ; steps > 0; steps-- {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

func stepsPerMs() uint64 {
	best := int64(1) << 62
	const steps = 1000000
	for end := nowNs() + 20e6; nowNs() < end; { // the clock has come up to its speed
		compute(steps)
	}
	for i := 0; i < 5; i++ {
		start := nowNs()
		compute(steps)
		if took := nowNs() - start; took < best {
			best = took
		}
	}
	return uint64(steps * 1e6 / float64(best))
}

// The waker sends to a parked receiver and then computes for 1 ms: how many microseconds until the receiver runs.
func benchWake(r *run) {
	if r.procs < 2 {
		fmt.Fprintln(os.Stderr, "wake: needs --procs 2 or more")
		return
	}
	steps := stepsPerMs()
	var figures [][]float64
	count := 0
	for i := 0; i < r.reps; i++ {
		var samples []float64
		ball, ack := make(chan int64), make(chan bool, 1)
		go func() {
			for sent := range ball {
				samples = append(samples, float64(nowNs()-sent)/1e3)
				ack <- true
			}
			close(ack)
		}()
		for end := nowNs() + int64(r.ms*1e6); nowNs() < end; {
			time.Sleep(200 * time.Microsecond) // the receiver parks meanwhile, and the other threads go idle
			ball <- nowNs()
			compute(steps)
			<-ack
		}
		close(ball)
		<-ack
		count = len(samples)
		figures = append(figures, []float64{percentile(samples, 0.5), percentile(samples, 0.99)})
	}
	r.emitColumns([]string{"runnext_p50", "runnext_p99"}, "us", uint64(count), figures)
}
