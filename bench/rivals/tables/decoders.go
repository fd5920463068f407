package main

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/tickstorm/tickstorm/bench"
	"github.com/tickstorm/tickstorm/bench/rivals"
)

// detailed is the corpus of which more than the rate is told.
const detailed = "stocks20"

// chunkEvents is how many events a side decodes in one round: less than 100 ms for the
// slowest.
const chunkEvents = 10_000

// row is one decoder with what was measured of it.
type row struct {
	label  string
	engine bench.Engine
	rates  map[string]float64 // MB/s by corpus
	ns     float64            // per event of the detailed corpus
	allocs float64            // likewise
}

func printDecoders(rounds int) error {
	rows := decoderRows()
	head := []string{"MB/s"}
	for _, corpus := range bench.Corpora() {
		progress("decoders: %s", corpus)
		if err := race(rows, corpus, rounds); err != nil {
			return fmt.Errorf("%s: %w", corpus, err)
		}
		head = append(head, corpus)
	}
	head = append(head, "ns/event "+detailed, "allocs/event")
	var cells [][]string
	for _, r := range rows {
		line := []string{r.label}
		for _, corpus := range bench.Corpora() {
			line = append(line, fmt.Sprintf("%.0f", r.rates[corpus]))
		}
		cells = append(cells, append(line, fmt.Sprintf("%.0f", r.ns), fmt.Sprintf("%.1f", r.allocs)))
	}
	printTable(head, cells)
	for _, d := range rivals.Decoders() {
		if d.Missing != "" {
			fmt.Printf("\n%s was left out: %s.\n", d.Name, d.Missing)
		}
	}
	return nil
}

// decoderRows has the official client first and the library last.
func decoderRows() []*row {
	var rows, ours []*row
	for _, e := range bench.Engines() {
		r := &row{engine: e, rates: map[string]float64{}}
		switch e.Name {
		case "encodingjson":
			r.label = "the official client's way: encoding/json three times"
			rows = append(rows, r)
		case "fastjson-raw":
			r.label = "fastjson" + version("github.com/valyala/fastjson")
			ours = append(ours, r)
		default:
			r.label = "**Tickstorm, engine " + e.Name + "**"
			ours = append(ours, r)
		}
		if !e.Exact {
			r.label += ", floats inexact"
		}
	}
	for _, d := range rivals.Decoders() {
		if d.Missing == "" {
			rows = append(rows, &row{label: d.Name + version(d.Module), engine: d.Engine, rates: map[string]float64{}})
		}
	}
	slices.Reverse(ours)
	return append(rows, ours...)
}

// race measures all decoders on a corpus. Each has decoded the whole of it before, to
// the same checksum as all others.
func race(rows []*row, corpus string, rounds int) error {
	c, err := bench.Load(corpus)
	if err != nil {
		return err
	}
	perChunk := chunkEvents * len(c.Messages) / c.Events
	chunks := len(c.Messages) / perChunk
	contest := &bench.Contest{}
	for _, r := range rows {
		if err := verify(r, c); err != nil {
			return err
		}
		d := r.engine.New(c.Market)
		var sum bench.Checksum
		if err := bench.DecodeAll(d, c.Messages, &sum); err != nil { // meets the symbols
			return err
		}
		chunk := func(round int) [][]byte { return c.Messages[round%chunks*perChunk:][:perChunk] }
		if corpus == detailed {
			events, objects := sum.Events, mallocs()
			if err := bench.DecodeAll(d, chunk(0), &sum); err != nil {
				return err
			}
			r.allocs = float64(mallocs()-objects) / float64(sum.Events-events)
		}
		contest.Sides = append(contest.Sides, func(round int) (float64, error) {
			// Nobody pays for what others left behind. Whoever makes little garbage
			// in a turn is let off for its own as well.
			runtime.GC()
			messages, bytes := chunk(round), 0
			for _, msg := range messages {
				bytes += len(msg)
			}
			start := time.Now()
			err := bench.DecodeAll(d, messages, &sum)
			return float64(bytes) / 1e6 / time.Since(start).Seconds(), err
		})
	}
	for contest.Rounds() < rounds {
		if err := contest.Round(); err != nil {
			return err
		}
	}
	for i, r := range rows {
		r.rates[corpus] = contest.Rate(i)
		if corpus == detailed {
			r.ns = 1e3 * float64(c.Bytes) / float64(c.Events) / contest.Rate(i)
		}
	}
	return nil
}

// verify compares a decoder with the library's own over a whole corpus.
func verify(r *row, c *bench.Corpus) error {
	var want, got bench.Checksum
	if !r.engine.Exact {
		want, got = bench.NewRounded(), bench.NewRounded()
	}
	if err := bench.DecodeAll(bench.Engines()[0].New(c.Market), c.Messages, &want); err != nil {
		return err
	}
	if err := bench.DecodeAll(r.engine.New(c.Market), c.Messages, &got); err != nil {
		return fmt.Errorf("%s: %w", r.engine.Name, err)
	}
	if got != want {
		return fmt.Errorf("%s: checksum %x of %d events, want %x of %d", r.engine.Name, got.Sum, got.Events, want.Sum, want.Events)
	}
	return nil
}
