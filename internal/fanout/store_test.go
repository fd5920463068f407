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
		require.LessOrEqual(t, s.bytes, limit)
		found := 0
		for id := range uint32(len(s.pages) * pageSlots) {
			k := s.slot(id)
			if k.stream == 0 {
				continue
			}
			found++
			symbol := string(s.symbolOf(k))
			require.Equal(t, want[fmt.Sprint(k.stream, symbol)], string(s.appendTo(nil, k)))
			_, at := s.find(s.tagOf(k.stream, []byte(symbol)), k.stream, []byte(symbol))
			require.Equal(t, id, at)
		}
		require.Equal(t, s.used, found)
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
		s.keep(stream, []byte(symbol), []byte(element), uint64(i))
		want[fmt.Sprint(stream, symbol)] = element
		if i%5000 == 0 {
			check()
		}
	}
	check()
	require.NotZero(t, s.evicted)
	require.NotZero(t, lost)
	blocks := 0
	for id := s.spare; id != 0; id = linkOf(s.block(id)) {
		blocks++
	}
	for id := range uint32(len(s.pages) * pageSlots) {
		if k := s.slot(id); k.stream != 0 {
			for id := k.first; id != 0; id = linkOf(s.block(id)) {
				blocks++
			}
		}
	}
	require.Equal(t, len(s.chunks)*chunkBlocks-1, blocks, "none is lost")
}

// TestStoreAllocates: a store that has all symbols allocates nothing more.
func TestStoreAllocates(t *testing.T) {
	s := newStore(minStore)
	symbols, element := [][]byte{}, []byte(strings.Repeat("x", 200))
	for i := range 5000 { // more than it has room for
		symbols = append(symbols, fmt.Append(nil, i))
		s.keep(1, symbols[i], element, 1)
	}
	i := 0
	require.Zero(t, testing.AllocsPerRun(20_000, func() {
		i++
		s.keep(1, symbols[i%len(symbols)], element[:100+i%100], uint64(i))
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
