// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"math/bits"
	"os"
	"syscall"
	"time"
)

// A log-linear histogram: each power of two is cut into 64 parts, as in lash-bench, so that quantiles err by the same 1.6 %.
const partBits = 6

type histogram map[int]uint64

func bucket(value uint64) int {
	power := bits.Len64(value)
	if power <= partBits+1 {
		return int(value)
	}
	shift := power - partBits - 1
	return shift<<partBits + int(value>>shift)
}

func bucketEnd(number int) uint64 {
	if number < 2<<partBits {
		return uint64(number)
	}
	shift := number>>partBits - 1
	part := uint64(number - shift<<partBits)
	return (part+1)<<shift - 1
}

func (h *histogram) record(latency time.Duration) {
	if *h == nil {
		*h = histogram{}
	}
	(*h)[bucket(uint64(latency.Nanoseconds()))]++
}

func (h histogram) quantile(fraction float64) uint64 {
	var count, passed uint64
	last := 0
	for number, times := range h {
		count += times
		last = max(last, number)
	}
	for number := 0; number <= last; number++ {
		passed += h[number]
		if passed > 0 && float64(passed) >= fraction*float64(count) {
			return bucketEnd(number)
		}
	}
	return 0
}

// What a process has used, from the kernel's counters.
type usage struct {
	CPU       int64  // nanoseconds
	Transfers uint64 // system calls that read or wrote
	Written   uint64 // bytes sent to a disk
	MaxRSS    int64  // bytes
}

func readUsage() usage {
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		return usage{}
	}
	u := usage{CPU: self.Utime.Nano() + self.Stime.Nano(), MaxRSS: self.Maxrss * 1024}
	file, err := os.Open("/proc/self/io")
	if err != nil {
		return u
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var name string
		var value uint64
		if _, err := fmt.Sscanf(lines.Text(), "%s %d", &name, &value); err != nil {
			continue
		}
		switch name {
		case "syscr:", "syscw:":
			u.Transfers += value
		case "write_bytes:":
			u.Written = value
		}
	}
	return u
}

func (u usage) since(before usage) usage {
	u.CPU -= before.CPU
	u.Transfers -= before.Transfers
	u.Written -= before.Written
	return u
}

type result struct {
	Operations uint64
	Seconds    float64
	Failure    string
	Latency    histogram
	Usage      usage
}

func (r *result) add(other *result) {
	r.Operations += other.Operations
	r.Seconds = max(r.Seconds, other.Seconds)
	if r.Failure == "" {
		r.Failure = other.Failure
	}
	for number, times := range other.Latency {
		if r.Latency == nil {
			r.Latency = histogram{}
		}
		r.Latency[number] += times
	}
	r.Usage.CPU += other.Usage.CPU
	r.Usage.Transfers += other.Usage.Transfers
	r.Usage.Written += other.Usage.Written
	r.Usage.MaxRSS = max(r.Usage.MaxRSS, other.Usage.MaxRSS)
}
