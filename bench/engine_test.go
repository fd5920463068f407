package bench_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/bench"
)

func load(t testing.TB, name string) *bench.Corpus {
	t.Helper()
	c, err := bench.Load(name)
	require.NoError(t, err)
	return c
}

func TestEnginesAgree(t *testing.T) {
	for _, name := range bench.Corpora() {
		t.Run(name, func(t *testing.T) {
			c := load(t, name)
			messages := c.Messages
			if raceEnabled { // encoding/json takes a minute then
				messages = messages[:len(messages)/10]
			}
			decode := func(e bench.Engine, sum bench.Checksum) bench.Checksum {
				require.NoError(t, bench.DecodeAll(e.New(c.Market), messages, &sum), e.Name)
				return sum
			}
			engines := bench.Engines()
			exact := decode(engines[0], bench.Checksum{})
			rounded := decode(engines[0], bench.NewRounded())
			if !raceEnabled {
				require.Equal(t, c.Events, exact.Events)
			}
			for _, e := range engines[1:] {
				if e.Exact {
					require.Equal(t, exact, decode(e, bench.Checksum{}), e.Name)
				} else {
					require.Equal(t, rounded, decode(e, bench.NewRounded()), e.Name)
				}
			}
		})
	}
}

func TestDecodersRefuse(t *testing.T) {
	for _, msg := range []string{``, `[`, `[{"ev":"T"]`, `[{"ev":"nothing"}]`, `[1]`} {
		for _, e := range bench.Engines() {
			require.Error(t, e.New("stocks").Decode([]byte(msg), new(bench.Checksum)), "%s: %s", e.Name, msg)
		}
	}
}

func TestLoadUnknown(t *testing.T) {
	_, err := bench.Load("bonds")
	require.Error(t, err)
}
