// ctx: contexts.
// SPDX-License-Identifier: BSD-2-Clause
package main

import (
	"context"
	"time"
)

type ctxKey int

func benchCtx(r *run) {
	root := context.Background()
	createAndCancel := func(parent context.Context) func(uint64) {
		return func(n uint64) {
			for ; n > 0; n-- {
				c, cancel := context.WithCancel(parent)
				cancel()
				if c.Err() == nil {
					r.check(false, "not cancelled")
				}
			}
		}
	}
	r.perOp("withcancel_cancel", 1, createAndCancel(root))
	parent, stop := context.WithCancel(root)
	r.perOp("withcancel_cancel_under_parent", 1, createAndCancel(parent))
	stop()
	r.perOp("withtimeout_cancel", 1, func(n uint64) {
		for ; n > 0; n-- {
			_, cancel := context.WithTimeout(root, 30*time.Second)
			cancel()
		}
	})

	// Only the parent's cancel is timed, not the making of its children.
	const children = 10000
	s := series{metric: "cancel_tree10k_per_child", unit: "ns", cpu: -1}
	for len(s.values) < r.reps {
		took := int64(0)
		s.n = 0
		for took < int64(r.ms*1e6) {
			parent, cancelAll := context.WithCancel(root)
			last, cancelLast := context.WithCancel(parent)
			cancels := []context.CancelFunc{cancelLast}
			for i := 1; i < children; i++ {
				_, cancel := context.WithCancel(parent)
				cancels = append(cancels, cancel)
			}
			start := nowNs()
			cancelAll()
			took += nowNs() - start
			s.n += children
			r.check(last.Err() != nil && len(cancels) == children, "a child was not cancelled")
		}
		s.values = append(s.values, float64(took)/float64(s.n))
	}
	r.emit(s)

	c := context.WithValue(root, ctxKey(0), 7)
	for i := 1; i < 10; i++ {
		c = context.WithValue(c, ctxKey(i), i)
	}
	r.perOp("value_depth10", 1, func(n uint64) {
		for ; n > 0; n-- {
			if c.Value(ctxKey(0)).(int) != 7 {
				r.check(false, "wrong value")
			}
		}
	})
}
