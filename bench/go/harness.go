// Calibration, repetition and result lines, as bench/harness.cc has them.
// SPDX-License-Identifier: BSD-2-Clause
package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type options struct {
	procs  int
	ms     float64 // a repetition lasts at least this long
	reps   int
	size   uint64 // 0: the workload's own
	json   bool
	metric string // only those of this name, or with this as a part of it between underscores
}

type run struct {
	options
	workload string
}

// One metric's repetitions. The best is the lowest value unless it is a rate.
type series struct {
	metric, unit string
	values       []float64
	n            uint64
	cpu          float64 // process CPU time over wall time; negative: not measured
	note         string
	higher       bool
	steady       bool // of rounds: the median is the figure
}

const headroom = 1.08

var programStart = time.Now()

func nowNs() int64 { return int64(time.Since(programStart)) }

func cpuNs() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano() + u.Stime.Nano())
}

func roundUp(n float64, granule uint64) uint64 {
	return uint64(math.Max(math.Ceil(n/float64(granule)), 1)) * granule
}

func (r *run) sizeOr(own uint64) uint64 {
	if r.size > 0 {
		return r.size
	}
	return own
}

// Was this one asked for? Loops that are not wanted are not run; what is emitted all the same is not printed.
func (r *run) wants(metric string) bool {
	yes := r.metric == "" || strings.Contains("_"+metric+"_", "_"+r.metric+"_")
	wantedAny = wantedAny || yes
	return yes
}

var wantedAny bool

// What repetitions do to each other: the last over the best of those before.
func driftNote(values []float64) string {
	last := len(values) - 1
	if last < 1 {
		return ""
	}
	early := values[0]
	for _, v := range values[:last] {
		early = math.Min(early, v)
	}
	return "drift=" + decimals(values[last]/early)
}

const (
	allRounds    = 24
	steadyRounds = 16
	earlyRounds  = 5
)

// allRounds rounds of n operations each: the first ones show how it begins, the steadyRounds last ones what it settles
// at.
func (r *run) rounds(metric string, n uint64, round func()) {
	s := series{metric: metric, unit: "ns", n: n, steady: true}
	early, last, wall, cpu := 0.0, 0.0, 0.0, 0.0
	for i := 0; i < allRounds; i++ {
		took, used := timeOf(round)
		last = took / float64(n)
		if i >= 1 && i < earlyRounds && (early == 0 || last < early) { // the first one finds everything cold
			early = last
		}
		if i >= allRounds-steadyRounds {
			s.values = append(s.values, last)
			wall += took
			cpu += used
		}
	}
	s.cpu = cpu / wall
	s.note = "early=" + decimals(early) + " drift=" + decimals(last/early)
	r.emit(s)
}

func timeOf(body func()) (wall, cpu float64) {
	cpu0, start := cpuNs(), nowNs()
	body()
	return float64(nowNs() - start), cpuNs() - cpu0
}

// Nanoseconds per operation; n is always a multiple of granule.
func (r *run) perOp(metric string, granule uint64, body func(n uint64)) {
	if !r.wants(metric) {
		return
	}
	want := r.ms * 1e6
	n := float64(granule)
	for {
		took, _ := timeOf(func() { body(roundUp(n, granule)) })
		took = math.Max(took, 1)
		if took >= want/8 {
			n = n * want / took * headroom
			break
		}
		n = math.Min(n*10, n*want/took*headroom+1)
	}
	s := series{metric: metric, unit: "ns", n: roundUp(n, granule)}
	wall, cpu := 0.0, 0.0
	for len(s.values) < r.reps {
		took, used := timeOf(func() { body(s.n) })
		if took < want {
			s.n = roundUp(float64(s.n)*math.Min(want/took*headroom, 10)+1, granule)
			continue
		}
		s.values = append(s.values, took/float64(s.n))
		wall += took
		cpu += used
	}
	s.cpu = cpu / wall
	s.note = driftNote(s.values)
	r.emit(s)
}

// Milliseconds of the whole of body, once a repetition.
func (r *run) totalMs(metric string, n uint64, body func()) {
	if !r.wants(metric) {
		return
	}
	s := series{metric: metric, unit: "ms", n: n}
	wall, cpu := 0.0, 0.0
	for i := 0; i < r.reps; i++ {
		took, used := timeOf(body)
		s.values = append(s.values, took/1e6)
		wall += took
		cpu += used
	}
	s.cpu = cpu / wall
	s.note = driftNote(s.values)
	r.emit(s)
}

func decimals(v float64) string {
	a := math.Abs(v)
	digits := 0
	switch {
	case a < 10:
		digits = 3
	case a < 100:
		digits = 2
	case a < 1000:
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

func (r *run) emit(s series) {
	if !r.wants(s.metric) {
		return
	}
	v := append([]float64(nil), s.values...)
	sort.Float64s(v)
	best, worst := v[0], v[len(v)-1]
	if s.higher {
		best, worst = worst, best
	}
	half := len(v) / 2
	median := v[half]
	if len(v)%2 == 0 {
		median = (v[half-1] + v[half]) / 2
	}
	if r.json {
		line := fmt.Sprintf(`{"workload":"%s","P":%d,"metric":"%s","best":%s,"unit":"%s","median":%s,"worst":%s,"reps":%d,"n":%d`,
			r.workload, r.procs, s.metric, decimals(best), s.unit, decimals(median), decimals(worst), len(v), s.n)
		if s.cpu >= 0 {
			line += `,"cpu":` + decimals(s.cpu)
		}
		for _, pair := range strings.Fields(s.note) {
			kv := strings.SplitN(pair, "=", 2)
			line += fmt.Sprintf(`,"%s":"%s"`, kv[0], kv[1])
		}
		fmt.Println(line + "}")
		return
	}
	figure := best
	if s.steady {
		figure = median
	}
	line := fmt.Sprintf("%s P=%d %s %s %s median=%s worst=%s reps=%d n=%d", r.workload, r.procs, s.metric,
		decimals(figure), s.unit, decimals(median), decimals(worst), len(v), s.n)
	if s.cpu >= 0 {
		line += " cpu=" + decimals(s.cpu)
	}
	if s.steady {
		line += " best=" + decimals(best)
	}
	if s.note != "" {
		line += " " + s.note
	}
	fmt.Println(line)
}

func (r *run) check(good bool, what string) {
	if !good {
		fmt.Fprintf(os.Stderr, "%s: check failed: %s\n", r.workload, what)
		os.Exit(1)
	}
}

// Emits several figures that each repetition measures at once: figures[rep][metric].
func (r *run) emitColumns(metrics []string, unit string, n uint64, figures [][]float64) {
	for m, metric := range metrics {
		s := series{metric: metric, unit: unit, n: n, cpu: -1}
		for _, row := range figures {
			s.values = append(s.values, row[m])
		}
		r.emit(s)
	}
}

func percentile(samples []float64, q float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	sort.Float64s(samples)
	return samples[int(q*float64(len(samples)-1)+0.5)]
}

func statusField(key string) float64 {
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, key) {
			v, _ := strconv.ParseFloat(strings.Fields(line)[1], 64)
			return v * 1024
		}
	}
	return 0
}

func rssBytes() float64       { return statusField("VmRSS:") }
func peakRssBytes() float64   { return statusField("VmHWM:") }
func pageTableBytes() float64 { return statusField("VmPTE:") }
func resetPeakRss()           { os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// As bench/harness.cc: lets the host back this much memory before something that touches cold pages is timed.
func pretouch(bytes uint64) {
	mem, err := syscall.Mmap(-1, 0, int(bytes), syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
	if err != nil {
		return
	}
	for i := 0; i < len(mem); i += 4096 {
		mem[i] = 1
	}
	syscall.Munmap(mem)
}

// Runs this workload once more in a new process, for what can be measured only once in a process, and returns
// the numbers that it printed. inFreshProcess is true there.
const freshMark = "GOBENCH_FRESH"

func inFreshProcess() bool { return os.Getenv(freshMark) != "" }

// The same for one metric of many: its process prints the line itself.
func (r *run) ownProcess(metric string) {
	cmd := exec.Command("/proc/self/exe", r.workload, "--procs", fmt.Sprint(r.procs), "--metric", metric)
	if r.size != 0 {
		cmd.Args = append(cmd.Args, "--size", fmt.Sprint(r.size))
	}
	if r.json {
		cmd.Args = append(cmd.Args, "--json")
	}
	cmd.Env = append(os.Environ(), freshMark+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	r.check(cmd.Run() == nil, "the process of "+metric+" failed")
}

func (r *run) freshProcess() []float64 {
	cmd := exec.Command("/proc/self/exe", r.workload, "--procs", fmt.Sprint(r.procs), "--ms", fmt.Sprint(r.ms),
		"--size", fmt.Sprint(r.size))
	if r.size == 0 {
		cmd.Args = cmd.Args[:len(cmd.Args)-2]
	}
	cmd.Env = append(os.Environ(), freshMark+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	r.check(err == nil, "the repetition's process failed")
	var values []float64
	for _, field := range strings.Fields(string(out)) {
		v, err := strconv.ParseFloat(field, 64)
		r.check(err == nil, "the repetition's process printed something else than numbers")
		values = append(values, v)
	}
	return values
}
