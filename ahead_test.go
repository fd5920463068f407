package tickstorm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// manySymbols are more than the parser takes a processor's caches to hold.
func manySymbols() []string {
	symbols := make([]string, 20_000)
	for i := range symbols {
		symbols[i] = fmt.Sprintf("O:ZZZ26%04d%c%08d", i%367, "CP"[i/367%2], i/734*500)
	}
	return symbols
}

// TestLookAhead: in a market of many symbols, where the parser looks ahead for them, messages
// are what they are in a small one, wherever they break off.
func TestLookAhead(t *testing.T) {
	many := manySymbols()
	messages := func(corpus string) (messages [][]byte) {
		all, err := sim.Corpus(corpus, 60, 7)
		require.NoError(t, err)
		for i, m := range all {
			messages = append(messages, m)
			for end := range m { // the last one broken off everywhere, others somewhere
				if end%97 == i%97 || i == len(all)-1 && end%3 == 0 {
					messages = append(messages, m[:end])
				}
			}
			messages = append(messages, []byte(strings.ReplaceAll(string(m), `,"`, `, "`)))
		}
		long := strings.Repeat("x", 600)
		return append(messages, []byte(`[{"ev":"T","i":"`+long+`"},`), []byte(`[{"ev":"T","i":"`+long+`"}`), []byte("["+long))
	}
	for _, corpus := range sim.Corpora() {
		for _, interested := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/interest %v", corpus, interested), func(t *testing.T) {
				messages := messages(corpus)
				parse := func(symbols *tickstorm.Symbols, others ...string) (fixture.Recorder, tickstorm.Stats) {
					var got fixture.Recorder
					p := tickstorm.NewParser(sim.CorpusMarket(corpus))
					p.SetSymbols(symbols)
					if interested {
						wanted := sim.Symbols(sim.CorpusMarket(corpus))
						p.SetInterest(tickstorm.Interest{Symbols: append(others, wanted[:len(wanted)/2]...)})
					}
					for _, m := range messages {
						_ = p.Parse(m, &got)
					}
					for _, e := range got.Events {
						e.Head().SymbolID = 0
					}
					return got, p.Stats()
				}
				large := tickstorm.NewSymbols(0)
				for _, s := range many {
					large.Intern([]byte(s))
				}
				want, wantStats := parse(tickstorm.NewSymbols(0))
				got, gotStats := parse(large, many...)
				require.Equal(t, want, got)
				require.Equal(t, wantStats, gotStats)
			})
		}
	}
}
