// threadring, skynet, sieve, forkjoin: many goroutines that talk through channels.
// SPDX-License-Identifier: BSD-2-Clause
package main

import "sync"

const ringSize = 503

// The token counts down; who gets 0 reports its number. The ring then closes itself.
func ring(hops int) int {
	var in [ringSize]chan int
	for i := range in {
		in[i] = make(chan int)
	}
	done := make(chan int)
	for i := range in {
		go func(me int) {
			next := in[(me+1)%ringSize]
			for token := range in[me] {
				if token == 0 {
					done <- me
				} else {
					next <- token - 1
				}
			}
			if me != ringSize-1 {
				close(next)
			}
		}(i)
	}
	in[0] <- hops
	last := <-done
	close(in[0])
	return last
}

func benchThreadring(r *run) {
	hops := r.sizeOr(5000000)
	r.perOp("hop", hops, func(n uint64) {
		for ; n > 0; n -= hops {
			r.check(ring(int(hops)) == int(hops%ringSize), "the token ended elsewhere")
		}
	})
}

func skynet(up chan int64, num, size int64) {
	if size == 1 {
		up <- num
		return
	}
	mine := make(chan int64)
	for i := int64(0); i < 10; i++ {
		go skynet(mine, num+i*(size/10), size/10)
	}
	sum := int64(0)
	for i := 0; i < 10; i++ {
		sum += <-mine
	}
	up <- sum
}

func benchSkynet(r *run) {
	size := int64(10)
	for size < int64(r.sizeOr(1000000)) {
		size *= 10
	}
	peak := series{metric: "peak_rss", unit: "MiB", n: uint64(size), cpu: -1}
	r.totalMs("total", uint64(size), func() {
		resetPeakRss()
		up := make(chan int64)
		go skynet(up, 0, size)
		r.check(<-up == size*(size-1)/2, "wrong sum")
		peak.values = append(peak.values, peakRssBytes()/(1<<20))
	})
	r.emit(peak)
}

func filter(in, out chan int, prime int) {
	for v := range in {
		if v%prime != 0 {
			out <- v
		}
	}
	close(out)
}

// The generator stops at the last prime wanted, so that every filter ends.
func benchSieve(r *run) {
	const count, last = 2000, 17389
	r.totalMs("first2000", count, func() {
		c := make(chan int)
		go func(out chan int) {
			for i := 2; i <= last; i++ {
				out <- i
			}
			close(out)
		}(c)
		prime := 0
		for i := 0; i < count; i++ {
			prime = <-c
			next := make(chan int)
			go filter(c, next, prime)
			c = next
		}
		_, more := <-c
		r.check(prime == last && !more, "not the 2000th prime")
	})
}

func fib(n int, up chan int) {
	if n < 2 {
		up <- n
		return
	}
	mine := make(chan int)
	go fib(n-1, mine)
	go fib(n-2, mine)
	a := <-mine
	b := <-mine
	up <- a + b
}

func fibWg(n int) int {
	if n < 2 {
		return n
	}
	a := 0
	var wg sync.WaitGroup
	start(&wg, func() { a = fibWg(n - 1) })
	b := fibWg(n - 2)
	wg.Wait()
	return a + b
}

func benchForkjoin(r *run) {
	r.totalMs("fib27", 635621, func() { // n: the number of calls
		up := make(chan int)
		go fib(27, up)
		r.check(<-up == 196418, "wrong sum")
	})
	r.totalMs("fib27_wg", 317810, func() { // n: the number of forks
		r.check(fibWg(27) == 196418, "wrong sum")
	})
}
