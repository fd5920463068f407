package fuzz

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// FuzzSymbols holds a table of symbols to a map: texts, one a line, are interned over and over, with
// prefixes that make enough of them for the table to grow.
func FuzzSymbols(f *testing.F) {
	f.Add([]byte("AAPL\nMSFT\n\nA\nO:SPXW261120C05000000"), uint16(1), uint16(0))
	f.Add([]byte("O:SPX261120C05000000\nO:SPX261120P05000000\nO:SPX261120C05000500"), uint16(400), uint16(0))
	f.Add([]byte("1234567\n12345678\n123456789012345678901234\n1234567890123456789012345\n"+strings.Repeat("x", 70)), uint16(200), uint16(100))
	f.Add([]byte("zeros\x00\nzeros\x00\x00\nzeros"), uint16(3), uint16(7))
	f.Fuzz(func(t *testing.T, lines []byte, rounds, bound uint16) {
		texts := bytes.Split(lines, []byte("\n"))
		if len(texts)*int(rounds%512) > 1<<14 {
			return
		}
		table := tickstorm.NewSymbols(int(bound))
		limit := int(bound)
		if limit == 0 {
			limit = tickstorm.DefaultSymbols
		}
		ids := map[string]uint32{}
		kept := map[string]string{}
		overflows := uint64(0)
		intern := func(text string) {
			own := []byte(text)
			got, id := table.Intern(own)
			clear(own)
			require.Equal(t, text, got)
			want, known := ids[text]
			switch {
			case known:
			case len(text) > tickstorm.MaxSymbol || len(ids) >= limit:
				overflows++
			default:
				want = uint32(len(ids) + 1)
				ids[text], kept[text] = want, got
			}
			require.Equal(t, want, id)
			require.Equal(t, want, table.ID(text))
		}
		for round := range int(rounds % 512) {
			prefix := []string{"", string(rune('A' + round%26)), strings.Repeat("p", round%30) + string(rune('0'+round/30))}[round%3]
			for _, text := range texts {
				intern(prefix + string(text))
			}
		}
		require.Equal(t, len(ids), table.Len())
		require.Equal(t, overflows, table.Overflows())
		for text, id := range ids {
			require.Equal(t, text, kept[text])
			require.Equal(t, text, table.Symbol(id))
			require.Equal(t, id, table.ID(text))
		}
	})
}
