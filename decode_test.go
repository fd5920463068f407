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

// TestEnginesAgree decodes the corpora by both engines, and finds that the fast path
// decodes them alone.
func TestEnginesAgree(t *testing.T) {
	for _, name := range sim.Corpora() {
		t.Run(name, func(t *testing.T) {
			messages, err := sim.Corpus(name, 3000, 7)
			require.NoError(t, err)
			symbols := tickstorm.NewSymbols(0)
			parse := func(e tickstorm.Engine) (*fixture.Recorder, tickstorm.Stats) {
				var r fixture.Recorder
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

// TestFastPathLearns: after a few events of a new form the fast path meets nothing strange
// any more, however long the keys, as long as they are few.
func TestFastPathLearns(t *testing.T) {
	for _, tc := range []struct{ name, event string }{
		{"live order", `{"ev":"Q","sym":"ACME","bx":4,"bp":1.25,"t":1786649956446}`},
		{"other order", `{"ev":"Q","t":1786649956446,"bp":1.25,"sym":"ACME","bx":4}`},
		{"new field", `{"ev":"Q","sym":"ACME","nf":[1,{"a":"b"}],"bp":1.25}`},
		{"new long field", `{"ev":"Q","sym":"ACME","quite_a_long_new_field":"x","another_long_new_field":1,"bp":1.25}`},
		{"same key twice", `{"ev":"Q","sym":"ACME","bp":1.25,"bp":2,"ev":"T"}`},
		{"numbers of other forms", `{"ev":"Q","sym":"ACME","bx":4.0,"bp":4.522e-05,"ap":-1,"q":1e3,"z":12.0,"bs":1234567890123}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := tickstorm.NewParser(tickstorm.Stocks)
			msg := []byte("[" + tc.event + "," + tc.event + "]")
			require.NoError(t, p.Parse(msg, tickstorm.NopHandler{}))
			before := p.Stats()
			for range 100 {
				require.NoError(t, p.Parse(msg, tickstorm.NopHandler{}))
			}
			after := p.Stats()
			require.Equal(t, uint64(202), after.Fast)
			require.Equal(t, before.Strange, after.Strange)
		})
	}
}

// TestFastPathWithoutRoom: what the tree of keys has no room for is decoded all the same.
func TestFastPathWithoutRoom(t *testing.T) {
	for _, n := range []int{1, 4, 5, 6, 7, 8, 57, 58, 59, 60, 61, 62, 63, 64, 65, 200} {
		key := strings.Repeat("k", n)
		event := `{"ev":"T","sym":"ACME","` + key + `":1,"p":2.5,"` + key + `":2,"s":100}`
		requireEnginesAgree(t, `[`+event+`,`+event+`,`+event+`]`)
	}
	var events []string
	for i := range 600 { // more places, and more keys at a place, than the tree has
		events = append(events, fmt.Sprintf(`{"ev":"T","u%d":1,"sym":"ACME","v%d":2,"p":%d.5,"c":[1]}`, i, i%40, i))
	}
	requireEnginesAgree(t, "["+strings.Join(events, ",")+"]")
}

func requireEnginesAgree(t *testing.T, msg string) {
	t.Helper()
	parse := func(e tickstorm.Engine) (*fixture.Recorder, tickstorm.Stats) {
		var r fixture.Recorder
		p := tickstorm.NewParser(tickstorm.Stocks)
		p.SetEngine(e)
		for range 3 {
			require.NoError(t, p.Parse([]byte(msg), &r))
		}
		stats := p.Stats()
		if e == tickstorm.EngineAuto {
			require.Equal(t, stats.Total(), stats.Fast)
		}
		stats.Fast, stats.Strange = 0, 0
		return &r, stats
	}
	want, wantStats := parse(tickstorm.EngineFastJSON)
	got, gotStats := parse(tickstorm.EngineAuto)
	require.Equal(t, want, got)
	require.Equal(t, wantStats, gotStats)
}

// TestFastPathAtTheEnd: the last bytes of a message are no reason to be slow, be its last
// element short or long.
func TestFastPathAtTheEnd(t *testing.T) {
	for _, levels := range []int{1, 30, 61, 100} {
		book := `{"ev":"XL2","pair":"BTC-USD","b":[` + strings.TrimSuffix(strings.Repeat("[27000.5,0.25],", levels), ",") +
			`],"a":[[27001,2]],"t":1786649956446,"r":1786649956449,"x":1}`
		p := tickstorm.NewParser(tickstorm.Crypto)
		var r fixture.Recorder
		for range 100 {
			require.NoError(t, p.Parse([]byte("["+book+"]"), &r))
			require.NoError(t, p.Parse([]byte("["+book+","+book+"]"), &r))
		}
		stats := p.Stats()
		require.Len(t, r.Events, 300)
		require.Len(t, r.Events[299].(*tickstorm.Book).Bids, levels)
		require.Equal(t, uint64(300), stats.Fast, "%d levels", levels)
		require.LessOrEqual(t, stats.Strange, uint64(20))
	}
}

// TestFastPathSpaced: space between tokens does not cost the fast path, space in strings
// stays where it is.
func TestFastPathSpaced(t *testing.T) {
	for _, event := range []string{
		`{"ev":"T", "sym":"ACME", "i":"a b", "p":2.5, "c":[1, 12]}`,
		`{ "ev" : "T" , "sym" : "ACME" , "i" : "7" , "p" : 2.5 , "s" : 100 }`,
		"{\n\t\"ev\": \"T\",\r\n\t\"sym\": \"ACME\",\n\t\"unknown of mine\": {\"a b\": [1, null]},\n\t\"p\": 2.5\n}",
		`{"ev":"T","sym":"A","i":"  two  ","p":1 }`,
	} {
		requireEnginesAgree(t, "["+event+"]")
		requireEnginesAgree(t, "[ "+event+" ,\n"+event+","+event+" ]")
	}
}

// TestSpacedInterest: an Interest is in events with space in them too.
func TestSpacedInterest(t *testing.T) {
	p := tickstorm.NewParser(tickstorm.Crypto)
	p.SetInterest(tickstorm.Interest{Symbols: []string{"BTC-USD"}})
	msg := `[{"ev":"XT","pair": "ETH-USD","p":1},{"ev":"XT","pair": "BTC-USD","p":2},` +
		`{"ev":"XT","pair":"ETH-USD", "p":3},{"ev":"XT", "pair":"BTC-USD","p":4}]`
	var r fixture.Recorder
	require.NoError(t, p.Parse([]byte(msg), &r))
	require.Len(t, r.Events, 2)
	require.Equal(t, 2.0, r.Events[0].(*tickstorm.Trade).Price)
	require.Equal(t, `{"ev":"XT", "pair":"BTC-USD","p":4}`, string(r.Events[1].Head().Raw))
	require.Equal(t, uint64(2), p.Stats().Skipped)
	for n := range len(msg) {
		require.Error(t, p.Parse([]byte(msg[:n]), tickstorm.NopHandler{}))
		require.Error(t, p.Parse([]byte(strings.Repeat(" ", 600)+msg[:n]), tickstorm.NopHandler{}))
	}
}

// TestFastPathComesBack: after a time of keys in no order, the orders that are known are
// walked again.
func TestFastPathComesBack(t *testing.T) {
	p := tickstorm.NewParser(tickstorm.Stocks)
	usual := []byte(`[{"ev":"T","sym":"ACME","p":2.5,"s":100,"t":1786649956446}]`)
	require.NoError(t, p.Parse(usual, tickstorm.NopHandler{}))
	for i := range 3000 {
		msg := fmt.Sprintf(`[{"ev":"T","u%d":1,"sym":"ACME","v%d":2,"p":%d.5}]`, i%600, i%40, i)
		require.NoError(t, p.Parse([]byte(msg), tickstorm.NopHandler{}))
	}
	for range 2000 {
		require.NoError(t, p.Parse(usual, tickstorm.NopHandler{}))
	}
	before := p.Stats()
	for range 100 {
		require.NoError(t, p.Parse(usual, tickstorm.NopHandler{}))
	}
	after := p.Stats()
	require.Equal(t, before.Strange, after.Strange)
	require.Equal(t, after.Total(), after.Fast)
}
