// yield and spawn.
// SPDX-License-Identifier: BSD-2-Clause
package main

import (
	"runtime"
	"sync"
)

// g goroutines yield n/g times each; the main one waits.
func yieldLoop(g, n uint64) {
	var wg sync.WaitGroup
	wg.Add(int(g))
	for i := uint64(0); i < g; i++ {
		go func() {
			for k := n / g; k > 0; k-- {
				runtime.Gosched()
			}
			wg.Done()
		}()
	}
	wg.Wait()
}

func benchYield(r *run) {
	r.perOp("g2", 2, func(n uint64) { yieldLoop(2, n) })
	r.perOp("g1000", 1000, func(n uint64) { yieldLoop(1000, n) })
}

func benchSpawn(r *run) {
	const batch = 10000
	r.perOp("batch10k", batch, func(n uint64) {
		var wg sync.WaitGroup
		for ; n > 0; n -= batch {
			wg.Add(batch)
			for i := 0; i < batch; i++ {
				go func() { wg.Done() }()
			}
			wg.Wait()
		}
	})
	r.perOp("one_and_join", 1, func(n uint64) {
		var wg sync.WaitGroup
		for ; n > 0; n-- {
			wg.Add(1)
			go func() { wg.Done() }()
			wg.Wait()
		}
	})
}
