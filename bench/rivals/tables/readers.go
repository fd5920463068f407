package main

import (
	"fmt"
	"time"

	"github.com/tickstorm/tickstorm/bench"
	"github.com/tickstorm/tickstorm/bench/rivals"
	"github.com/tickstorm/tickstorm/internal/cputime"
)

// way is one reader with its name in the tables.
type way struct {
	label   string
	connect func(s *bench.Sender) (*bench.Receiver, error)
}

// ways has the bare drain first, with which the others are compared.
func ways() []way {
	own := func(name string) func(*bench.Sender) (*bench.Receiver, error) {
		return func(s *bench.Sender) (*bench.Receiver, error) { return bench.Connect(s, name) }
	}
	all := []way{
		{"bare drain", own("drain")},
		{"**Tickstorm, messages** (`frame`)", own("frames")},
		{"**Tickstorm, every event decoded**", own("tickstorm")},
	}
	for _, r := range rivals.Readers() {
		all = append(all, way{r.Name + version(r.Module) + ", " + r.Use, func(s *bench.Sender) (*bench.Receiver, error) {
			return bench.ConnectBy(s, r.Way)
		}})
	}
	return all
}

// A turn: what is measured comes after a time in which the sender fills the buffers of
// those that had their turn before.
const (
	settling = 10 * time.Millisecond
	turnTime = 30 * time.Millisecond
)

// match is what was measured of all readers on one transport with one corpus.
type match struct {
	name      string
	wall, cpu bench.Contest
	allocs    []float64 // per message, by reader
}

func printReaders(rounds int) error {
	var matches []*match
	for _, transport := range []string{"TCP", "TLS"} {
		for _, corpus := range []string{"stocks1", "stocks20", "stocks400"} {
			progress("readers: %s %s", transport, corpus)
			m := &match{name: transport + " " + corpus}
			if err := m.hold(transport == "TLS", corpus, rounds); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			matches = append(matches, m)
		}
	}
	printContest("bytes a second, beside a bare drain", matches, func(m *match) *bench.Contest { return &m.wall })
	if cputime.Used() > 0 { // where it is known
		printContest("the same a second of processor time", matches, func(m *match) *bench.Contest { return &m.cpu })
	}
	return nil
}

func printContest(title string, matches []*match, contest func(*match) *bench.Contest) {
	head := []string{title}
	var cells [][]string
	for i, w := range ways() {
		line := []string{w.label}
		for _, m := range matches {
			cell := fmt.Sprintf("%.2f", contest(m).Ratio(i, 0))
			if i == 0 {
				cell += fmt.Sprintf(" (%.1f GB/s)", contest(m).Rate(0)/1e9)
			}
			line = append(line, cell)
		}
		cells = append(cells, append(line, fmt.Sprintf("%.1f", matches[1].allocs[i])))
	}
	for _, m := range matches {
		head = append(head, m.name)
	}
	printTable(append(head, "allocs/message "+matches[1].name), cells)
}

// hold has all readers read from the same sender.
func (m *match) hold(encrypted bool, corpus string, rounds int) (err error) {
	s, err := bench.StartSender(corpus, encrypted)
	if err != nil {
		return err
	}
	defer func() {
		if closed := s.Close(); err == nil {
			err = closed
		}
	}()
	perByte := float64(len(s.Corpus.Messages)) / float64(len(s.Corpus.Wire()))
	for _, w := range ways() {
		r, err := w.connect(s)
		if err != nil {
			return fmt.Errorf("%s: %w", w.label, err)
		}
		defer r.Close()
		// The first turn is for the symbols and the buffers.
		if _, err := r.Receive(s.Corpus.Bytes, time.Second); err != nil {
			return fmt.Errorf("%s: %w", w.label, err)
		}
		before := mallocs()
		got, err := r.Receive(0, turnTime)
		if err != nil {
			return fmt.Errorf("%s: %w", w.label, err)
		}
		m.allocs = append(m.allocs, float64(mallocs()-before)/(float64(got.Bytes)*perByte))
		var perCPU float64 // of the last round
		m.wall.Sides = append(m.wall.Sides, func(int) (float64, error) {
			if _, err := r.Receive(0, settling); err != nil {
				return 0, err
			}
			before := cputime.Used()
			got, err := r.Receive(0, turnTime)
			after := cputime.Used()
			perCPU = float64(got.Bytes) / (after - before).Seconds()
			return got.Rate(), err
		})
		m.cpu.Sides = append(m.cpu.Sides, func(int) (float64, error) { return perCPU, nil })
	}
	for m.wall.Rounds() < rounds {
		if err := m.wall.Round(); err != nil {
			return err
		}
		if err := m.cpu.Round(); err != nil {
			return err
		}
	}
	return nil
}
