package tickstorm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// TestEnginesAgree decodes the corpora by both engines, and finds that the fast path
// decodes them alone.
func TestEnginesAgree(t *testing.T) {
	for _, name := range sim.Corpora() {
		t.Run(name, func(t *testing.T) {
			messages, err := sim.Corpus(name, 3000, 7)
			require.NoError(t, err)
			symbols := tickstorm.NewSymbols(0)
			parse := func(e tickstorm.Engine) (*recorder, tickstorm.Stats) {
				var r recorder
				p := tickstorm.NewParser(sim.CorpusMarket(name))
				p.SetSymbols(symbols)
				p.SetEngine(e)
				for _, m := range messages {
					require.NoError(t, p.Parse(m, &r))
				}
				return &r, p.Stats()
			}
			want, _ := parse(tickstorm.EngineFastJSON)
			got, stats := parse(tickstorm.EngineAuto)
			require.Equal(t, want, got)
			require.Equal(t, stats.Total(), stats.Fast)
			require.Less(t, stats.Strange, uint64(200))
		})
	}
}
