// gobench - Go's side of gortbench: the same workloads, options and result lines.
// SPDX-License-Identifier: BSD-2-Clause
package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

type workload struct {
	name, what string
	body       func(*run)
}

// In the order of gortbench --list.
var workloads = []workload{
	{"yield", "goroutines that yield in a loop", benchYield},
	{"spawn", "empty goroutines: start and join", benchSpawn},
	{"pingpong", "two goroutines, two unbuffered channels", benchPingpong},
	{"buffered", "one producer, one consumer, one buffered channel", benchBuffered},
	{"select", "select over 2 and 4 producers, with default, and of one ready channel", benchSelect},
	{"mutex", "lock and unlock, alone and by 8 goroutines; the same for readers", benchMutex},
	{"threadring", "503 goroutines pass a token around", benchThreadring},
	{"skynet", "a tree of a million goroutines, ten children a node", benchSkynet},
	{"park1m", "a million parked goroutines: start, wake, bytes each", benchPark},
	{"sieve", "the concurrent prime sieve, first 2000 primes", benchSieve},
	{"timers", "a million sleeps, stopping timers, lateness of sleeps", benchTimers},
	{"mpmc", "8 producers, 8 consumers, one channel", benchMpmc},
	{"hog", "how late a sleeper wakes while every P is hogged", benchHog},
	{"wake", "how soon a readied goroutine runs while its waker computes on", benchWake},
	{"forkjoin", "fib(27): a goroutine for every call and channels; one for each fork and a wait group", benchForkjoin},
	{"scale", "items of 0 to 100 us, spread in eight ways: medians of steady rounds", benchScale},
	{"ctx", "contexts: create, cancel, look up", benchCtx},
	{"sync", "once, pool, map, wait group, condition", benchSync},
	{"echo", "TCP echo, 64 connections from an epoll client", benchEcho},
	{"http", "HTTP hello, 64 keep-alive connections", benchHTTP},
}

const accepted = "--procs N --ms T --reps R --size N --metric TEXT --json --list --help"

const anyMetric = "the name of a metric, or a part of it between underscores"

func refuse(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "gobench: "+format+"\n", args...)
	os.Exit(2)
}

func names() string {
	all := "all"
	for _, w := range workloads {
		all += " " + w.name
	}
	return all
}

func number(option, text string, lo, hi float64, whole bool) float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || v < lo || v > hi || strings.Trim(text, "0123456789.") != "" ||
		(whole && strings.Contains(text, ".")) {
		kind := ""
		if whole {
			kind = "whole "
		}
		refuse("%s: bad value '%s'; accepted: a %snumber from %.0f to %.0f", option, text, kind, lo, hi)
	}
	return v
}

func main() {
	opt := options{procs: runtime.NumCPU(), ms: 550, reps: 5}
	chosen := ""
	for i := 1; i < len(os.Args); i++ {
		arg := os.Args[i]
		value := func() string {
			if eq := strings.IndexByte(arg, '='); eq >= 0 {
				return arg[eq+1:]
			}
			if i++; i == len(os.Args) {
				refuse("%s: no value", arg)
			}
			return os.Args[i]
		}
		switch name := strings.SplitN(arg, "=", 2)[0]; {
		case arg == "--list":
			for _, w := range workloads {
				fmt.Printf("%-11s %s\n", w.name, w.what)
			}
			return
		case arg == "--help":
			fmt.Printf("usage: gobench WORKLOAD|all [--procs N] [--ms T] [--reps R] [--size N] [--metric TEXT] [--json]\n")
			return
		case arg == "--json":
			opt.json = true
		case name == "--procs":
			opt.procs = int(number(name, value(), 1, 1024, true))
		case name == "--ms":
			opt.ms = number(name, value(), 1, 600000, false)
		case name == "--reps":
			opt.reps = int(number(name, value(), 1, 1000, true))
		case name == "--size":
			opt.size = uint64(number(name, value(), 1, 1e12, true))
		case name == "--metric":
			if opt.metric = value(); opt.metric == "" {
				refuse("--metric: bad value ''; accepted: %s", anyMetric)
			}
		case strings.HasPrefix(arg, "-"):
			refuse("unknown option '%s'; accepted: %s", arg, accepted)
		case chosen != "":
			refuse("more than one workload: '%s' and '%s'; accepted: one of %s", chosen, arg, names())
		default:
			chosen = arg
		}
	}
	runtime.GOMAXPROCS(opt.procs)
	for _, w := range workloads {
		if w.name == chosen {
			w.body(&run{options: opt, workload: w.name})
			if opt.metric != "" && !wantedAny {
				refuse("--metric: %s has no '%s'; accepted: %s", w.name, opt.metric, anyMetric)
			}
			return
		}
	}
	if chosen != "all" {
		refuse("unknown workload '%s'; accepted: %s", chosen, names())
	}
	// Each in a process of its own, as gortbench does.
	failed := false
	for _, w := range workloads {
		args := []string{w.name, "--procs", fmt.Sprint(opt.procs), "--ms", fmt.Sprint(opt.ms),
			"--reps", fmt.Sprint(opt.reps)}
		if opt.size > 0 {
			args = append(args, "--size", fmt.Sprint(opt.size))
		}
		if opt.json {
			args = append(args, "--json")
		}
		if opt.metric != "" {
			args = append(args, "--metric", opt.metric)
		}
		cmd := exec.Command("/proc/self/exe", args...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		failed = cmd.Run() != nil || failed
	}
	if failed {
		os.Exit(1)
	}
}
