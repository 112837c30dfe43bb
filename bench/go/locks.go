// mutex and sync.
// SPDX-License-Identifier: BSD-2-Clause
package main

import (
	"fmt"
	"sync"
)

// g goroutines do their share of n operations each; the main one waits.
func share(g, n uint64, loop func(n uint64)) {
	var wg sync.WaitGroup
	wg.Add(int(g))
	for i := uint64(0); i < g; i++ {
		go func() {
			loop(n / g)
			wg.Done()
		}()
	}
	wg.Wait()
}

func benchMutex(r *run) {
	for _, g := range []uint64{1, 8} {
		g := g
		r.perOp(fmt.Sprintf("lock_g%d", g), g, func(n uint64) {
			var mu sync.Mutex
			x := uint64(0)
			share(g, n, func(n uint64) {
				for ; n > 0; n-- {
					mu.Lock()
					x++
					mu.Unlock()
				}
			})
			r.check(x == n, "two were inside at once")
		})
	}
	for _, g := range []uint64{1, 8} {
		g := g
		r.perOp(fmt.Sprintf("rlock_g%d", g), g, func(n uint64) {
			var mu sync.RWMutex
			x := uint64(1)
			sum := uint64(0)
			share(g, n, func(n uint64) {
				s := uint64(0)
				for ; n > 0; n-- {
					mu.RLock()
					s += x
					mu.RUnlock()
				}
				mu.Lock()
				sum += s
				mu.Unlock()
			})
			r.check(sum == n, "a reader was lost")
		})
	}
}

func benchSync(r *run) {
	var once sync.Once
	calls := 0
	call := func() { calls++ }
	once.Do(call)
	r.perOp("once_done", 1, func(n uint64) {
		for ; n > 0; n-- {
			once.Do(call)
		}
		r.check(calls == 1, "once ran twice")
	})
	pool := sync.Pool{New: func() any { return new(int) }}
	r.perOp("pool_get_put", 1, func(n uint64) {
		for ; n > 0; n-- {
			p := pool.Get().(*int)
			*p++
			pool.Put(p)
		}
	})
	var m sync.Map
	for i := 0; i < 100; i++ {
		m.Store(i, i)
	}
	r.perOp("map_load_hit100", 1, func(n uint64) {
		key := 0
		for ; n > 0; n-- {
			v, ok := m.Load(key)
			if !ok || v.(int) != key {
				r.check(false, "a stored key is missing")
			}
			if key++; key == 100 {
				key = 0
			}
		}
	})
	var wg sync.WaitGroup
	r.perOp("waitgroup_add_done", 1, func(n uint64) {
		for ; n > 0; n-- {
			wg.Add(1)
			wg.Done()
		}
	})
	// Two goroutines hand a turn to and fro under one mutex, with a condition each.
	r.perOp("cond_roundtrip", 1, func(n uint64) {
		var mu sync.Mutex
		mine, yours := sync.NewCond(&mu), sync.NewCond(&mu)
		turn := 0
		var wg sync.WaitGroup
		wg.Add(1)
		go func() {
			mu.Lock()
			for i := uint64(0); i < n; i++ {
				for turn != 1 {
					yours.Wait()
				}
				turn = 0
				mine.Signal()
			}
			mu.Unlock()
			wg.Done()
		}()
		mu.Lock()
		for i := uint64(0); i < n; i++ {
			turn = 1
			yours.Signal()
			for turn != 0 {
				mine.Wait()
			}
		}
		mu.Unlock()
		wg.Wait()
	})
}
