//go:build !race && !tickstorm_poison

package tickstorm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// TestSplitterAllocs: messages of any form cost none, once a channel that the market lacks was
// seen.
func TestSplitterAllocs(t *testing.T) {
	odd := []byte(` [ { "ev":"T","sym":"A"},{"sym":"\u0041","ev":"T"},{"ev":"NEW"},{"ev":"NEW","x":"\\"},1,{"ev":,},{"ev":"T"}]`)
	for _, name := range sim.Corpora() {
		messages, err := sim.Corpus(name, 500, 3)
		require.NoError(t, err)
		messages = append(messages, odd, []byte(`{"ev":"NEW"}`), []byte(`[{`))
		for _, validate := range []bool{false, true} {
			s := tickstorm.NewSplitter(sim.CorpusMarket(name))
			s.SetValidate(validate)
			require.Zero(t, testing.AllocsPerRun(100, func() {
				for _, m := range messages {
					for s.Reset(m); s.Next(); {
					}
				}
			}), name)
		}
	}
}
