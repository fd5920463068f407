package intern_test

import (
	"fmt"
	"math"
	"math/bits"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/internal/intern"
)

// words gives a text as FindWords takes it.
func words(text string) (a, b, c uint64, n int) {
	var w [3]uint64
	for i := range len(text) {
		w[i/8] |= uint64(text[i]) << (i % 8 * 8)
	}
	return w[0], w[1], w[2], len(text)
}

// contract returns the text of an option contract.
func contract(i int) string {
	return fmt.Sprintf("O:SPXW26%04d%c%08d", i%367, "CP"[i/367%2], i/734*500)
}

// find asks for a text in every way that there is.
func find(t *testing.T, table *intern.Table, text string) (string, uint32) {
	t.Helper()
	s, id := table.Find([]byte(text))
	if a, b, c, n := words(text[:min(len(text), intern.Inline)]); len(text) <= intern.Inline {
		other, number := table.FindWords(a, b, c, n)
		require.Equal(t, s, other)
		require.Equal(t, id, number)
		if n < 8 {
			other, number = table.FindWord(a, n)
			require.Equal(t, s, other)
			require.Equal(t, id, number)
		}
	}
	return s, id
}

func TestTable(t *testing.T) {
	for name, text := range map[string]func(i int) string{
		"contracts":                          contract,
		"tickers":                            func(i int) string { return fmt.Sprintf("S%d", i) },
		"longer than a slot":                 func(i int) string { return fmt.Sprint(strings.Repeat("LONG", 7), i) },
		"as long as a slot, and a byte more": func(i int) string { return fmt.Sprintf("%0*d", intern.Inline+i%2, i) },
		"of all lengths":                     func(i int) string { return fmt.Sprint(strings.Repeat("x", i%50), i) },
		"that differ in zeros behind":        func(i int) string { return fmt.Sprintf("%d", i/4) + strings.Repeat("\x00", i%4) },
	} {
		t.Run(name, func(t *testing.T) {
			const n = 5000 // of which a segment holds a tenth
			table := intern.New(math.MaxUint32)
			kept := make([]string, n)
			for i := range n {
				want := text(i)
				_, id := find(t, table, want)
				require.Zero(t, id)
				own := []byte(want)
				s, id, ok := table.Insert(own)
				clear(own) // it is the caller's
				require.True(t, ok)
				require.Equal(t, want, s)
				require.Equal(t, uint32(i+1), id)
				require.Equal(t, i+1, table.Len())
				kept[i] = s
			}
			for i := range n {
				want := text(i)
				require.Equal(t, want, kept[i], "kept while the table grew")
				s, id := find(t, table, want)
				require.Equal(t, want, s)
				require.Equal(t, uint32(i+1), id)
				s, id, ok := table.Insert([]byte(want))
				require.True(t, ok)
				require.Equal(t, want, s)
				require.Equal(t, uint32(i+1), id)
				require.Equal(t, want, table.Text(id))
			}
			require.Equal(t, n, table.Len())
			require.Empty(t, table.Text(0))
			require.Empty(t, table.Text(n+1))
			require.Empty(t, table.Text(math.MaxUint32))
		})
	}
}

func TestTableEmptyText(t *testing.T) {
	table := intern.New(10)
	_, id := find(t, table, "")
	require.Zero(t, id)
	_, _, _ = table.Insert([]byte("A"))
	s, id, ok := table.Insert(nil)
	require.True(t, ok)
	require.Empty(t, s)
	require.Equal(t, uint32(2), id)
	_, id = find(t, table, "")
	require.Equal(t, uint32(2), id)
}

// TestTableTooLong: a text whose length is no byte is neither taken nor found, also where another
// of its hash is, whose length is the same but for the bits beyond.
func TestTableTooLong(t *testing.T) {
	table := intern.NewUnseeded(1000)
	for i := range 100 {
		short := fmt.Sprintf("%06d", i)
		_, _, ok := table.Insert([]byte(short))
		require.True(t, ok)
		// What is folded into nothing last is what the hash of a short text is made of.
		long := strings.Repeat("\x00", intern.Longest+1) + short
		require.Equal(t, intern.Hasher{}.Hash([]byte(short)), intern.Hasher{}.Hash([]byte(long)))
		for _, text := range []string{long, long[:intern.Longest+1], strings.Repeat(short, 50)} {
			s, id := table.Find([]byte(text))
			require.Empty(t, s)
			require.Zero(t, id)
			_, _, ok = table.Insert([]byte(text))
			require.False(t, ok)
		}
	}
	longest := strings.Repeat("x", intern.Longest)
	_, id, ok := table.Insert([]byte(longest))
	require.True(t, ok)
	s, found := table.Find([]byte(longest))
	require.Equal(t, longest, s)
	require.Equal(t, id, found)
}

func TestTableFull(t *testing.T) {
	for _, max := range []uint32{0, 1, 300, 5000} {
		t.Run(fmt.Sprint(max), func(t *testing.T) {
			table := intern.New(max)
			for i := range max {
				_, _, ok := table.Insert([]byte(contract(int(i))))
				require.True(t, ok)
			}
			s, id, ok := table.Insert([]byte("one too many"))
			require.False(t, ok)
			require.Empty(t, s)
			require.Zero(t, id)
			_, id = find(t, table, "one too many")
			require.Zero(t, id)
			require.Equal(t, int(max), table.Len())
			for i := range max { // those that it has are not affected
				_, id, ok := table.Insert([]byte(contract(int(i))))
				require.True(t, ok)
				require.Equal(t, i+1, id)
			}
		})
	}
}

// TestTableConcurrent reads while the table grows, through every size of its directory: a text
// that was told of is found, whole and with its number, and what is not there is not.
func TestTableConcurrent(t *testing.T) {
	const n = 20_000
	table := intern.New(n)
	var told atomic.Uint32
	var readers sync.WaitGroup
	for r := range 3 {
		readers.Go(func() {
			for i := uint32(r); ; i = i*1664525 + 1013904223 {
				last := told.Load()
				if last == n {
					return
				}
				text := contract(int(i % (n + 1000)))
				s, id := table.Find([]byte(text))
				switch {
				case id == 0 && i%(n+1000) < last:
					t.Errorf("%s was told of, and is not found", text)
				case id != 0 && (id != i%(n+1000)+1 || s != text):
					t.Errorf("%s is %s, %d", text, s, id)
				}
				if t.Failed() {
					return
				}
				a, b, c, length := words(text)
				_ = table.Touch([]uint64{table.Hash(a, b, c, length)})
			}
		})
	}
	for i := range n {
		_, id, ok := table.Insert([]byte(contract(i)))
		require.True(t, ok)
		told.Store(id)
	}
	readers.Wait()
}

// TestTableLarge: of what size a table is worth to be touched ahead.
func TestTableLarge(t *testing.T) {
	table := intern.New(math.MaxUint32)
	for i := 0; !table.Large(); i++ {
		require.Less(t, i, 100_000)
		table.Insert([]byte(contract(i)))
	}
	require.Greater(t, table.Len(), 10_000)
}

// TestTableMemory holds the table to what Symbols documents, at sizes where segments are about
// to be split and where they just were.
func TestTableMemory(t *testing.T) {
	if bits.UintSize < 64 || intern.Safe {
		t.Skip("the figures are of 64 bits, and without the tag tickstorm_safe")
	}
	for _, n := range []int{50_000, 70_000, 100_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			texts := make([][]byte, n)
			for i := range texts {
				texts[i] = []byte(contract(i))
			}
			before := heap()
			table := intern.New(math.MaxUint32)
			for _, text := range texts {
				table.Insert(text)
			}
			bytes := float64(heap()-before) / float64(n)
			runtime.KeepAlive(table)
			runtime.KeepAlive(texts)
			require.InDelta(t, 72, bytes, 24, "bytes a text")
		})
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // what the first one has swept
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestHasher(t *testing.T) {
	one, other := intern.NewHasher(), intern.NewHasher()
	seen := map[uint64]string{}
	for i := range 20_000 {
		text := contract(i) + strings.Repeat("x", i%60)
		h := one.Hash([]byte(text))
		require.Empty(t, seen[h], text)
		seen[h] = text
		require.Equal(t, h, one.Hash([]byte(text)))
		require.NotEqual(t, h, other.Hash([]byte(text)), "seeds are secret")
	}
}

func TestPages(t *testing.T) {
	var p intern.Pages[int]
	require.Zero(t, p.Len())
	require.Nil(t, p.Lookup(0))
	for _, id := range []uint32{700, 0, 255, 256, 100_000} {
		*p.At(id) = int(id) + 1
	}
	first := p.At(0)
	for _, id := range []uint32{0, 255, 256, 700, 100_000} {
		require.Equal(t, int(id)+1, *p.Lookup(id))
	}
	require.Same(t, first, p.Lookup(0), "what is in it stays where it is")
	require.Zero(t, *p.Lookup(1))
	require.Nil(t, p.Lookup(50_000), "a page that nothing was asked of")
	require.Nil(t, p.Lookup(math.MaxUint32))
	require.Greater(t, p.Len(), 100_000)
}

func TestNames(t *testing.T) {
	var n intern.Names
	require.Empty(t, n.Of(1))
	for i := range uint32(1000) {
		n.Set(i, strings.Repeat("n", int(i%40))+fmt.Sprint(i))
	}
	for i := range uint32(1000) {
		require.Equal(t, strings.Repeat("n", int(i%40))+fmt.Sprint(i), n.Of(i))
	}
	require.Empty(t, n.Of(5000))
}
