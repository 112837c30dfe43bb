// scale: items of 0 to 100 us, spread in eight ways, as bench/scale.cc has them, which also alternates.
// SPDX-License-Identifier: BSD-2-Clause
package main

import (
	"fmt"
	"math"
	"runtime"
	"sync"
)

const (
	mostItems = 200000
	roundNs   = 20e6
	workers   = 8
	yielders  = 64
)

var grains = []uint64{0, 100, 300, 1000, 3000, 10000, 100000}

// What a round needs to know. steps are compute's.
type job struct {
	run          *run
	items, steps uint64
}

// What wg.Go does in later versions.
func start(wg *sync.WaitGroup, body func()) {
	wg.Add(1)
	go func() {
		defer wg.Done()
		body()
	}()
}

func scaleYield(j job) {
	var wg sync.WaitGroup
	for i := 0; i < yielders; i++ {
		start(&wg, func() {
			for k := j.items / yielders; k > 0; k-- {
				compute(j.steps)
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
}

func scaleSpawn(j job) {
	var wg sync.WaitGroup
	for k := j.items; k > 0; k-- {
		start(&wg, func() { compute(j.steps) })
	}
	wg.Wait()
}

func scalePool(capacity int) func(job) {
	return func(j job) {
		c := make(chan int, capacity)
		var sums [workers]uint64
		var wg sync.WaitGroup
		for i := 0; i < workers; i++ {
			mine := &sums[i]
			start(&wg, func() {
				taken := uint64(0)
				for v := range c {
					compute(j.steps)
					taken += uint64(v)
				}
				*mine = taken
			})
		}
		for k := 0; k < int(j.items); k++ {
			c <- k
		}
		close(c)
		wg.Wait()
		sum := uint64(0)
		for _, one := range sums {
			sum += one
		}
		j.run.check(sum == j.items*(j.items-1)/2, "an item was lost or doubled")
	}
}

func scalePipe(j job) {
	first := make(chan int, 16)
	in := first
	var wg sync.WaitGroup
	for i := 0; i < workers; i++ {
		from, out := in, make(chan int, 16)
		start(&wg, func() {
			for v := range from {
				compute(j.steps)
				out <- v
			}
			close(out)
		})
		in = out
	}
	values := int(j.items / workers)
	start(&wg, func() {
		for k := 0; k < values; k++ {
			first <- k
		}
		close(first)
	})
	next := 0
	for v := range in {
		j.run.check(v == next, "a value overtook another one")
		next++
	}
	j.run.check(next == values, "a value was lost")
	wg.Wait()
}

func scalePair(j job) {
	there, back := make(chan int), make(chan int)
	var wg sync.WaitGroup
	start(&wg, func() {
		for v := range there {
			compute(j.steps)
			back <- v
		}
	})
	for k := 0; k < int(j.items/2); k++ {
		there <- k
		compute(j.steps)
		j.run.check(<-back == k, "another ball came back")
	}
	close(there)
	wg.Wait()
}

func scalePhases(tasks uint64) func(job) {
	return func(j job) {
		for p := j.items / tasks; p > 0; p-- {
			var all sync.WaitGroup
			for k := tasks; k > 0; k-- {
				start(&all, func() { compute(j.steps) })
			}
			all.Wait()
		}
	}
}

type way struct {
	name    string
	round   func(job)
	granule uint64 // of items
}

var ways = []way{
	{"yield", scaleYield, yielders}, {"spawn", scaleSpawn, 1}, {"pool", scalePool(128), 1},
	{"pool0", scalePool(0), 1}, {"pipe", scalePipe, workers}, {"pair", scalePair, 2},
	{"phases", scalePhases(16), 16}, {"phases2", scalePhases(2), 2},
}

// Every metric in a process of its own: this one starts them, each measures what it was asked for.
func benchScale(r *run) {
	perMs := uint64(0)
	if inFreshProcess() {
		perMs = stepsPerMs()
	}
	for _, w := range ways {
		for _, grain := range grains {
			metric := fmt.Sprintf("%s_g%d", w.name, grain)
			if !inFreshProcess() {
				if r.wants(metric) {
					r.ownProcess(metric)
				}
			} else if r.metric == metric {
				most := float64(r.sizeOr(mostItems))
				fit := math.Min(most, roundNs*most/mostItems/(float64(grain)+50))
				items := uint64(math.Max(fit/float64(w.granule), 1)) * w.granule
				j := job{r, items, grain * perMs / 1000000}
				r.rounds(metric, items, func() { w.round(j) })
			}
		}
	}
}
