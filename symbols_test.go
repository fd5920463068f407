package tickstorm_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

func TestSymbols(t *testing.T) {
	s := tickstorm.NewSymbols(0)
	require.Zero(t, s.Len())
	require.Zero(t, s.ID("ACME"))
	require.Zero(t, s.ID(""))
	require.Empty(t, s.Symbol(0))
	require.Empty(t, s.Symbol(1))
	for round := range 2 { // enough of them to make the table grow
		for i := range 5000 {
			want := "SYM" + strconv.Itoa(i)
			text := []byte(want)
			got, id := s.Intern(text)
			clear(text) // it is the caller's
			require.Equal(t, want, got)
			require.Equal(t, uint32(i+1), id)
			require.Equal(t, want, s.Symbol(id))
			require.Equal(t, id, s.ID(want))
			if round == 0 {
				require.Equal(t, i+1, s.Len())
			}
		}
	}
	require.Equal(t, 5000, s.Len())
	require.Empty(t, s.Symbol(5001))
	require.Empty(t, s.Symbol(1<<32-1))
	require.Zero(t, s.ID("SYM5000"))
	require.Zero(t, s.ID("sym1"))
	require.Zero(t, s.Overflows())
}

func TestSymbolsBound(t *testing.T) {
	s := tickstorm.NewSymbols(300)
	for i := range 300 {
		_, id := s.Intern([]byte(strconv.Itoa(i)))
		require.Equal(t, uint32(i+1), id)
	}
	for n := range uint64(3) {
		got, id := s.Intern([]byte("one too many"))
		require.Equal(t, "one too many", got)
		require.Zero(t, id)
		require.Equal(t, n+1, s.Overflows())
	}
	require.Equal(t, 300, s.Len())
	require.Zero(t, s.ID("one too many"))
	_, id := s.Intern([]byte("299")) // those that it holds are not affected
	require.Equal(t, uint32(300), id)
	require.Equal(t, uint64(3), s.Overflows())
}

func TestSymbolsTooLong(t *testing.T) {
	s := tickstorm.NewSymbols(0)
	longest, longer := strings.Repeat("A", tickstorm.MaxSymbol), strings.Repeat("A", tickstorm.MaxSymbol+1)
	got, id := s.Intern([]byte(longer))
	require.Equal(t, longer, got)
	require.Zero(t, id)
	require.Equal(t, uint64(1), s.Overflows())
	require.Zero(t, s.Len())
	require.Zero(t, s.ID(longer))

	_, id = s.Intern([]byte(longest))
	require.Equal(t, uint32(1), id)
	require.Equal(t, uint64(1), s.Overflows())
}

func TestSymbolsDefaultBound(t *testing.T) {
	for _, max := range []int{0, -1} {
		s := tickstorm.NewSymbols(max)
		_, id := s.Intern([]byte("A"))
		require.Equal(t, uint32(1), id)
	}
}

// TestSymbolsConcurrent: however many intern at once, a symbol has one number and a
// number one symbol, also while the table grows and once it is full.
func TestSymbolsConcurrent(t *testing.T) {
	for name, bound := range map[string]int{"roomy": 0, "full": 700} {
		t.Run(name, func(t *testing.T) {
			const workers, symbols = 8, 1000
			s := tickstorm.NewSymbols(bound)
			var seen [workers][symbols]uint32
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					for i := range symbols {
						i = (i*7 + w*131) % symbols // each in an order of its own
						text := fmt.Sprintf("S%d", i)
						got, id := s.Intern([]byte(text))
						if got != text || id != 0 && s.Symbol(id) != text || int(id) > s.Len() {
							t.Errorf("%s is %s, %d", text, got, id)
						}
						seen[w][i] = id
						s.ID(text)
					}
				})
			}
			wg.Wait()
			of := make(map[uint32]int)
			for i := range symbols {
				id := s.ID(fmt.Sprintf("S%d", i))
				for w := range workers {
					require.Equal(t, id, seen[w][i])
				}
				if id != 0 {
					require.NotContains(t, of, id)
					of[id] = i
				}
			}
			want := symbols
			if bound > 0 {
				want = bound
			}
			require.Len(t, of, want)
			require.Equal(t, want, s.Len())
			require.Equal(t, uint64(workers*(symbols-want)), s.Overflows())
			for id := range uint32(want) {
				require.Contains(t, of, id+1)
			}
		})
	}
}
