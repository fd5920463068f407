package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// curve is what one distribution costs, by number of symbols in ascending order.
type curve struct {
	distribution string
	old          bool
	points       []point
}

type point struct {
	symbols int
	ns      float64 // per event
}

const (
	benchmark = "BenchmarkSymbols/"
	unit      = "ns/event"
)

// parse reads curves from benchmark output, in the order in which they come there. Lines of
// other benchmarks are passed over; a failed run is an error, because its figures are
// none or not all. name is the input's in errors.
func parse(name string, in io.Reader) ([]curve, error) {
	var order []string
	measured := map[string]map[int][]float64{}
	lines, number := bufio.NewScanner(in), 0
	for lines.Scan() {
		number++
		fields := strings.Fields(lines.Text())
		if failed(fields) {
			return nil, fmt.Errorf("%s:%d: the run failed: %s", name, number, lines.Text())
		}
		// A name alone is what -v prints when a benchmark begins.
		if len(fields) < 2 || !strings.HasPrefix(fields[0], benchmark) {
			continue
		}
		distribution, p, err := parseLine(fields)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
		if measured[distribution] == nil {
			measured[distribution] = map[int][]float64{}
			order = append(order, distribution)
		}
		measured[distribution][p.symbols] = append(measured[distribution][p.symbols], p.ns)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", name, number+1, err)
	}
	if len(order) == 0 {
		return nil, fmt.Errorf("%s: no results of %s", name, strings.TrimSuffix(benchmark, "/"))
	}
	curves := make([]curve, 0, len(order))
	for _, distribution := range order {
		c := curve{distribution: distribution}
		for symbols, ns := range measured[distribution] {
			c.points = append(c.points, point{symbols, median(ns)})
		}
		slices.SortFunc(c.points, func(a, b point) int { return a.symbols - b.symbols })
		curves = append(curves, c)
	}
	return curves, nil
}

// failed reports whether a line says that a test, a benchmark or a package failed.
func failed(fields []string) bool {
	return len(fields) > 0 && (fields[0] == "FAIL" || fields[0] == "panic:") ||
		len(fields) > 1 && fields[0] == "---" && fields[1] == "FAIL:"
}

// parseLine reads a line such as
//
//	BenchmarkSymbols/1000/uniform-2   9   1195 MB/s   88.05 ns/event
func parseLine(fields []string) (distribution string, p point, err error) {
	size, distribution, ok := strings.Cut(strings.TrimPrefix(fields[0], benchmark), "/")
	if !ok {
		return "", p, fmt.Errorf("%q is not %s<symbols>/<distribution>", fields[0], benchmark)
	}
	// Behind the last hyphen is the number of processors, unless that is one.
	if i := strings.LastIndexByte(distribution, '-'); i >= 0 {
		if _, err := strconv.ParseUint(distribution[i+1:], 10, 32); err == nil {
			distribution = distribution[:i]
		}
	}
	if distribution == "" {
		return "", p, fmt.Errorf("%q names no distribution", fields[0])
	}
	if p.symbols, err = strconv.Atoi(size); err != nil || p.symbols < 1 {
		return "", p, fmt.Errorf("%q is no number of symbols", size)
	}
	if _, err := strconv.ParseUint(fields[1], 10, 64); err != nil {
		return "", p, fmt.Errorf("%q is no number of iterations", fields[1])
	}
	metrics := fields[2:]
	if len(metrics)%2 != 0 {
		return "", p, errors.New("a value without its unit: the line is cut off")
	}
	for pair := range slices.Chunk(metrics, 2) {
		if pair[1] != unit {
			continue
		}
		p.ns, err = strconv.ParseFloat(pair[0], 64)
		if err != nil || math.IsInf(p.ns, 0) || !(p.ns > 0) {
			return "", p, fmt.Errorf("%q is no time", pair[0])
		}
		return distribution, p, nil
	}
	return "", p, fmt.Errorf("no %s", unit)
}

func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
