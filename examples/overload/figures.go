package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"
)

// figures are what was measured under one policy.
type figures struct {
	Policy     string
	Connection string
	Streamed   time.Duration // how long the connection was read
	Took       time.Duration // until all was handled that was queued
	Came       uint64
	Handled    uint64
	Dropped    uint64
	Conflated  uint64
	Lag        quantiles // from the read to the handler
	Age        quantiles // from the event's own time to the handler
	Memory     uint64    // most bytes resident; 0 if not known
}

type quantiles struct{ P50, P99, Max time.Duration }

// quantilesOf gives bounds of at most 25 % above the true values, but for the longest.
func quantilesOf(l *lateness) quantiles {
	return quantiles{min(l.Quantile(0.5), l.longest), min(l.Quantile(0.99), l.longest), l.longest}
}

func (f *figures) line() string {
	memory := "not known"
	if f.Memory > 0 {
		memory = fmt.Sprintf("%.0f MiB", float64(f.Memory)/(1<<20))
	}
	perSecond := func(n uint64, d time.Duration) string { return thousands(uint64(float64(n) / d.Seconds())) }
	cells := []string{
		f.Policy, f.Connection, perSecond(f.Came, f.Streamed), perSecond(f.Handled, f.Took),
		thousands(f.Dropped), thousands(f.Conflated),
		short(f.Lag.P50), short(f.Lag.P99), short(f.Lag.Max), short(f.Age.P50), short(f.Age.P99), short(f.Age.Max), memory,
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

// short rounds to what is worth reading.
func short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.0f ms", 1e3*d.Seconds())
	}
	return fmt.Sprintf("%.1f ms", 1e3*d.Seconds())
}

func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// mostMemory returns the most that this process has had resident, where the system is
// Linux, which tells.
func mostMemory() uint64 {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var kilobytes uint64
		if n, _ := fmt.Sscanf(lines.Text(), "VmHWM: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10
		}
	}
	return 0
}
