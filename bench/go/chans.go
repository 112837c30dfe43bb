// pingpong, buffered, select, mpmc: channels in a loop.
// SPDX-License-Identifier: BSD-2-Clause
package main

import "sync"

func benchPingpong(r *run) {
	r.perOp("roundtrip", 1, func(n uint64) {
		there, back := make(chan int), make(chan int)
		go func() {
			for v := range there {
				back <- v
			}
		}()
		for i := 0; i < int(n); i++ {
			there <- i
			r.check(<-back == i, "a ball came back changed")
		}
		close(there)
	})
}

// sumTo is 0 + 1 + ... + n-1.
func sumTo(n uint64) uint64 { return n * (n - 1) / 2 }

func benchBuffered(r *run) {
	pipe := func(cap int) func(uint64) {
		return func(n uint64) {
			c := make(chan int, cap)
			go func() {
				for i := 0; i < int(n); i++ {
					c <- i
				}
			}()
			sum := uint64(0)
			for i := uint64(0); i < n; i++ {
				sum += uint64(<-c)
			}
			r.check(sum == sumTo(n), "an item was lost or doubled")
		}
	}
	r.perOp("cap100", 1, pipe(100))
	r.perOp("cap1024", 1, pipe(1024))
	r.perOp("alone_send_recv", 1, func(n uint64) {
		c := make(chan int, 1)
		sum := uint64(0)
		for i := 0; i < int(n); i++ {
			c <- i
			sum += uint64(<-c)
		}
		r.check(sum == sumTo(n), "an item was lost or doubled")
	})
}

// k producers send n/k ones each on channels of their own.
func producers(k int, n uint64) []chan int {
	chans := make([]chan int, k)
	for p := range chans {
		c := make(chan int)
		chans[p] = c
		go func() {
			for i := n / uint64(k); i > 0; i-- {
				c <- 1
			}
		}()
	}
	return chans
}

func benchSelect(r *run) {
	r.perOp("recv2", 2, func(n uint64) {
		c := producers(2, n)
		a, b := c[0], c[1]
		sum := 0
		for i := uint64(0); i < n; i++ {
			select {
			case v := <-a:
				sum += v
			case v := <-b:
				sum += v
			}
		}
		r.check(sum == int(n), "an item was lost or doubled")
	})
	r.perOp("recv4", 4, func(n uint64) {
		c := producers(4, n)
		a, b, d, e := c[0], c[1], c[2], c[3]
		sum := 0
		for i := uint64(0); i < n; i++ {
			select {
			case v := <-a:
				sum += v
			case v := <-b:
				sum += v
			case v := <-d:
				sum += v
			case v := <-e:
				sum += v
			}
		}
		r.check(sum == int(n), "an item was lost or doubled")
	})
	a, b := make(chan int), make(chan int)
	r.perOp("default1", 1, func(n uint64) {
		missed := uint64(0)
		for i := uint64(0); i < n; i++ {
			select {
			case <-a:
			default:
				missed++
			}
		}
		r.check(missed == n, "something came out of an empty channel")
	})
	r.perOp("default2", 1, func(n uint64) {
		missed := uint64(0)
		for i := uint64(0); i < n; i++ {
			select {
			case <-a:
			case <-b:
			default:
				missed++
			}
		}
		r.check(missed == n, "something came out of an empty channel")
	})
	// One of the two is ready, in turns: what comes out of one goes into the other.
	r.perOp("ready2_and_send", 1, func(n uint64) {
		a, b := make(chan int, 1), make(chan int, 1)
		a <- 0
		for i := uint64(0); i < n; i++ {
			select {
			case v := <-a:
				b <- v + 1
			case v := <-b:
				a <- v + 1
			}
		}
		r.check(len(a)+len(b) == 1, "an item was lost or doubled")
	})
}

func benchMpmc(r *run) {
	r.perOp("p8c8_cap128", 8, func(n uint64) {
		c := make(chan int, 128)
		var makers, takers sync.WaitGroup
		var mu sync.Mutex
		total := uint64(0)
		makers.Add(8)
		takers.Add(8)
		for p := 0; p < 8; p++ {
			go func() {
				for i := uint64(0); i < n/8; i++ {
					c <- int(i)
				}
				makers.Done()
			}()
			go func() {
				sum := uint64(0)
				for v := range c {
					sum += uint64(v)
				}
				mu.Lock()
				total += sum
				mu.Unlock()
				takers.Done()
			}()
		}
		makers.Wait()
		close(c)
		takers.Wait()
		r.check(total == 8*sumTo(n/8), "an item was lost or doubled")
	})
}
