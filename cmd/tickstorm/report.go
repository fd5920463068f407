package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// A report counts events by symbol.
type report struct {
	symbols     map[string]*tally
	total       uint64
	first, last int64
}

// tally is what was counted of a symbol.
type tally struct {
	symbol      string
	events      uint64
	first, last int64 // received, in nanoseconds since 1970
}

func newReport() *report { return &report{symbols: map[string]*tally{}} }

func (r *report) add(symbol []byte, received int64) {
	t := r.symbols[string(symbol)]
	if t == nil {
		t = &tally{symbol: string(symbol), first: received}
		r.symbols[t.symbol] = t
	}
	if r.total == 0 {
		r.first = received
	}
	r.total++
	t.events++
	t.last, r.last = received, received
}

// print writes the report on a console, which is given the time of a pager until ctx ends: nothing comes
// any more, and a report may be longer than what else may wait.
func (r *report) print(ctx context.Context, to *console) error {
	to.lines.settle(ctx)
	var text bytes.Buffer
	err := r.write(&text)
	_, _ = text.WriteTo(to) // never fails
	to.lines.settle(ctx)
	return err
}

// write writes the report, the busiest symbols first.
func (r *report) write(w io.Writer) error {
	all := slices.SortedFunc(maps.Values(r.symbols), func(a, b *tally) int {
		return cmp.Or(cmp.Compare(b.events, a.events), cmp.Compare(a.symbol, b.symbol))
	})
	length := time.Duration(r.last - r.first)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "SYMBOL\tEVENTS\tA SECOND\tSHARE\tSILENT FOR\t")
	line := func(name string, events uint64, last int64) {
		rate := "-"
		if length > 0 {
			rate = fmt.Sprintf("%.1f", float64(events)/length.Seconds())
		}
		share := 0.0
		if r.total > 0 {
			share = 100 * float64(events) / float64(r.total)
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%.1f%%\t%v\t\n", name, events, rate, share, time.Duration(r.last-last).Round(time.Millisecond))
	}
	for _, s := range all {
		name := s.symbol
		if name == "" {
			name = "(none)"
		}
		line(name, s.events, s.last)
	}
	line("ALL", r.total, r.last)
	return t.Flush()
}
