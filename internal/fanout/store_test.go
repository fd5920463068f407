package fanout

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStore holds a store against a map, with elements that grow and shrink, symbols that come and
// go, and no more memory than it may have.
func TestStore(t *testing.T) {
	const limit = minStore
	s := newStore(limit)
	rnd := rand.New(rand.NewPCG(1, 1))
	want := map[string]string{}
	lost := 0
	check := func() {
		require.LessOrEqual(t, s.bytes(), limit)
		found := 0
		cells := 0
		for chunk := range s.chunks {
			units := s.chunks[chunk].units
			for at := uint32(0); at+units <= chunkUnits; at += units {
				id := uint32(chunk)*chunkUnits + at
				if id == 0 {
					continue
				}
				cells++
				c := s.cell(id)
				if c[cellStream] == 0 {
					continue
				}
				found++
				symbol := string(symbolOf(c))
				if have := string(elementOf(c)); want[fmt.Sprint(c[cellStream], symbol)] != have { // there are many
					require.Equal(t, want[fmt.Sprint(c[cellStream], symbol)], have)
				}
				if _, at := s.find(s.tag(c[cellStream], []byte(symbol)), c[cellStream], []byte(symbol)); at != id {
					require.Equal(t, id, at)
				}
			}
		}
		require.Equal(t, s.used, found)
		free := 0
		for i := range s.classes {
			for id := s.classes[i].free; id != 0; id = tagOf(s.cell(id)) {
				free++
			}
		}
		require.Equal(t, cells, found+free, "none is lost")
		lost = len(want) - found
		require.LessOrEqual(t, uint64(lost), s.evicted+s.unkept)
	}
	for i := range 60_000 {
		stream, symbol := uint8(1+rnd.IntN(3)), fmt.Sprintf("S%d", rnd.IntN(1+i/4))
		if rnd.IntN(200) == 0 {
			symbol = strings.Repeat("y", rnd.IntN(100)) + symbol
		}
		element := strings.Repeat(fmt.Sprint(i), 1+rnd.IntN(40))
		if rnd.IntN(5000) == 0 {
			element = strings.Repeat("z", rnd.IntN(limit/4))
		}
		s.take(stream, []byte(symbol), []byte(element))
		if rnd.IntN(5) == 0 {
			s.flush(uint64(i))
		}
		want[fmt.Sprint(stream, symbol)] = element
		if i%5000 == 0 {
			s.flush(uint64(i))
			check()
		}
	}
	s.flush(60_000)
	check()
	require.NotZero(t, s.evicted)
	require.NotZero(t, lost)
}

// TestStoreAllocates: a store that has all symbols allocates nothing more.
func TestStoreAllocates(t *testing.T) {
	s := newStore(minStore)
	symbols, element := [][]byte{}, []byte(strings.Repeat("x", 200))
	for i := range 8000 { // more than it has room for
		symbols = append(symbols, fmt.Append(nil, i))
		s.take(1, symbols[i], element)
		s.flush(1)
	}
	i := 0
	require.Zero(t, testing.AllocsPerRun(20_000, func() {
		i++
		s.take(1, symbols[i%len(symbols)], element[:100+i%100])
		s.flush(uint64(i))
	}))
	require.NotZero(t, s.evicted)
}

// TestRing holds a history against a list, with messages of all lengths.
func TestRing(t *testing.T) {
	r := newHistory(1)
	rnd := rand.New(rand.NewPCG(1, 1))
	type sent struct {
		number uint64
		text   string
	}
	var all []sent
	for i := range 20_000 {
		e := sent{uint64(i + 1), strings.Repeat("m", 1+rnd.IntN(1000))}
		if rnd.IntN(500) == 0 {
			e.text = strings.Repeat("m", rnd.IntN(2*minHistory)+1)
		}
		r.put(entry{number: e.number, received: int64(i + 1), text: []byte(e.text)})
		all = append(all, e)
		if i%500 > 0 && i < 19_000 {
			continue
		}
		got := []sent{}
		for place := r.tail; place < r.head; {
			e, next := r.at(place)
			if place = next; len(e.text) > 0 {
				require.EqualValues(t, e.number, e.received)
				got = append(got, sent{e.number, string(e.text)})
			}
		}
		require.Equal(t, all[len(all)-len(got):], got)
		if n := len(all) - len(got); n > 0 {
			require.EqualValues(t, n, r.lost)
		}
	}
}
