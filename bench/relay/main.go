// Relay measures what a relay costs: the processor time of a process that stands between a feed
// of 450,000 events a second and its clients, and the time that it adds.
//
//	go run -C bench/relay .
//
// Beside package relay, in turn and with the same messages, stand a loop that writes the bytes to
// the same sockets and does nothing else, and the core of nats-server, one subject for all. The
// process that is measured is another one, so that feed and clients do not count.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"time"
)

func main() {
	log.SetFlags(0)
	if way := os.Getenv(childVariable); way != "" {
		if err := child(way); err != nil {
			log.Fatal("bench/relay: ", way, ": ", err)
		}
		return
	}
	length := flag.Duration("for", 4*time.Second, "how long each measurement lasts")
	rounds := flag.Int("rounds", 3, "how many there are of each; odd, for the median")
	rate := flag.Int("rate", 450_000, "events per second of the feed")
	flag.Parse()
	if err := run(*length, *rounds, *rate); err != nil {
		log.Fatal("bench/relay: ", err)
	}
}

// result is what came of one measurement.
type result struct {
	bytes uint64 // that clients have taken

	cpu      time.Duration // of the process between
	p50, p99 time.Duration // from the feed to a client; of what has stamps
}

// perCPU is how many bytes the process between hands out in a second of its processor.
func (r result) perCPU() float64 { return float64(r.bytes) / r.cpu.Seconds() }

// scene is what is measured.
type scene struct {
	name    string
	clients int
	share   bool // each has a hundredth of the symbols, else all have everything
	stuck   bool // one more has everything and reads nothing
	ways    []string
}

var scenes = []scene{
	{"1 client with everything", 1, false, false, []string{"loop", "relay", "nats"}},
	{"10 clients with everything", 10, false, false, []string{"loop", "relay", "nats"}},
	{"100 clients, 1 % of the symbols each", 100, true, false, []string{"loop", "relay"}},
	{"the same, and one more is stuck", 100, true, true, []string{"relay"}},
}

func run(length time.Duration, rounds, rate int) error {
	feed, err := newFeed(rate)
	if err != nil {
		return err
	}
	fmt.Printf("| | way | MB/s of clients | processor | MB per second of processor | over the loop | p50 | p99 |\n|---|---|--:|--:|--:|--:|--:|--:|\n")
	for _, s := range scenes {
		results := map[string][]result{}
		for range rounds {
			for _, way := range s.ways {
				r, err := measure(feed, s, way, length)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, way, err)
				}
				results[way] = append(results[way], r)
			}
		}
		for _, way := range s.ways {
			all := results[way]
			over := ""
			cpu := fmt.Sprintf("%.0f %% | %.0f", 100*median(all, func(r result) float64 { return r.cpu.Seconds() / length.Seconds() }),
				median(all, result.perCPU)/1e6)
			if loops := results["loop"]; way != "loop" && loops != nil {
				ratios := make([]float64, rounds)
				for i := range ratios {
					ratios[i] = all[i].perCPU() / loops[i].perCPU()
				}
				slices.Sort(ratios)
				over = fmt.Sprintf("%.2f", ratios[rounds/2])
			}
			fmt.Printf("| %s | %s | %.0f | %s | %s | %s | %s |\n", s.name, way,
				median(all, func(r result) float64 { return float64(r.bytes) })/1e6/length.Seconds(), cpu, over,
				duration(median(all, func(r result) float64 { return float64(r.p50) })),
				duration(median(all, func(r result) float64 { return float64(r.p99) })))
		}
	}
	return nil
}

func median(all []result, of func(result) float64) float64 {
	values := make([]float64, len(all))
	for i, r := range all {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func duration(ns float64) string {
	return time.Duration(ns).Round(time.Microsecond).String()
}
