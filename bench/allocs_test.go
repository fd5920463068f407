//go:build !race && !tickstorm_poison

package bench_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/bench"
)

// The tests of this file are left out of builds that poison what was lent, since the
// race detector allocates on its own account.

// TestParseAllocations: no engine that reuses its events allocates, once it has met every
// symbol and its buffers have grown.
func TestParseAllocations(t *testing.T) {
	for _, name := range bench.Corpora() {
		c := load(t, name)
		for _, e := range bench.Engines() {
			if e.Name == "encodingjson" { // it allocates for every event
				continue
			}
			d := e.New(c.Market)
			sum := new(bench.Checksum)
			require.NoError(t, bench.DecodeAll(d, c.Messages, sum))
			require.Zero(t, leastAllocations(func() int {
				require.NoError(t, bench.DecodeAll(d, c.Messages, sum))
				return 0
			}), "%s, %s", name, e.Name)
		}
	}
}

// TestStreamAllocations: from the socket to the handler nothing is allocated, by event, by
// message or by read. Below TLS crypto/tls allocates 24 bytes whenever it has to read
// the socket: one object for up to 16 KiB, however many events they are.
func TestStreamAllocations(t *testing.T) {
	for _, transport := range transports {
		for _, name := range []string{"stocks1", "stocks20", "stocks400"} {
			t.Run(transport+"/"+name, func(t *testing.T) {
				s := startSender(t, transport, name)
				r := connect(t, s, "tickstorm")
				receive(t, r, 2*s.Corpus.Bytes, 0)
				var got bench.Received
				least := leastAllocations(func() (allowed int) {
					got = receive(t, r, 4<<20, 0)
					if transport == "tls" {
						allowed = got.Reads
					}
					return allowed
				})
				require.Zero(t, least)
				require.Greater(t, got.Events, 10_000.0)
				require.Less(t, got.Reads, got.Bytes/(4<<10), "so many reads bound nothing")
			})
		}
	}
}

// leastAllocations returns how many objects f allocates beyond what it says is allowed.
// The runtime allocates now and then for itself, so several tries are made: what
// belongs to f is in all of them.
func leastAllocations(f func() (allowed int)) int {
	least := math.MaxInt
	for try := 0; try < 5 && least > 0; try++ {
		before := mallocs()
		allowed := f()
		least = min(least, max(0, int(mallocs()-before)-allowed))
	}
	return least
}
