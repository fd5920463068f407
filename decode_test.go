package tickstorm_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
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
		{"new long fields that begin alike", `{"ev":"Q","sym":"ACME","condition_one":1,"condition_two":[2],"condition":3,"conditions_of_all_quotes":"x","bp":1.25}`},
		{"spaced", `{"ev": "Q", "sym": "ACME", "bx": 4, "bp": 1.25, "c": [1, 2], "t": 1786649956446, "i": [604, 37]}`},
		{"on lines of their own", "{\n\t\"ev\": \"Q\",\n\t\"sym\": \"ACME\",\n\t\"bp\": 1.25\n}"},
		{"spaced here and there", `{"ev":"Q", "sym":"ACME" ,"bx": 4,"bp" : 1.25,  "ap":  2 }`},
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

// TestFastPathSpacedLater: space that comes where none was learned, and more or less of it each
// time, costs the fast path neither.
func TestFastPathSpacedLater(t *testing.T) {
	compact := `{"ev":"Q","sym":"ACME","i":[604],"bx":4,"bp":1.25,"t":1786649956446}`
	behindColons := compact[:9] + strings.ReplaceAll(compact[9:], `":`, `": `)
	p := tickstorm.NewParser(tickstorm.Stocks)
	var r fixture.Recorder
	for i := range 100 {
		for _, event := range []string{compact, behindColons, strings.ReplaceAll(behindColons, `"bp":`, `"bp":`+strings.Repeat(" ", i))} {
			require.NoError(t, p.Parse([]byte("["+event+"]"), &r))
			q := r.Events[len(r.Events)-1].(*tickstorm.Quote)
			require.Equal(t, "ACME", q.Symbol)
			require.Equal(t, 1.25, q.BidPrice)
			require.Equal(t, tickstorm.Timestamp(1786649956446), q.Timestamp)
			require.Equal(t, event, string(q.Raw))
		}
	}
	stats := p.Stats()
	require.Equal(t, stats.Total(), stats.Fast)
}

// TestFastPathKeysAlike: keys that are alike for several words, in turn.
func TestFastPathKeysAlike(t *testing.T) {
	var events []string
	for _, end := range []string{"one", "two", "three", "", "one_and_more_than_that", "two"} {
		events = append(events, `{"ev":"T","sym":"ACME","a_long_common_prefix_`+end+`":1,"p":2.5}`,
			`{"ev": "T", "sym": "ACME", "a_long_common_prefix_`+end+`": 1, "p": 2.5}`)
	}
	requireEnginesAgree(t, "["+strings.Join(events, ",")+"]")
}

// TestFastPathNoSpace: what is no space in JSON is none here, wherever space can be.
func TestFastPathNoSpace(t *testing.T) {
	parts := []string{`{"ev":"T"`, `,`, `"sym"`, `:`, `"A"`, `,`, `"p"`, `:`, `1`, `}`, ``}
	for _, space := range []string{"\v", "\f", "\x00", "\x1f", "\u00a0", "\ufeff"} {
		for i := 1; i < len(parts); i++ {
			msg := "[" + strings.Join(parts[:i], "") + space + strings.Join(parts[i:], "") + "]"
			for _, e := range []tickstorm.Engine{tickstorm.EngineAuto, tickstorm.EngineFastJSON} {
				p := tickstorm.NewParser(tickstorm.Stocks)
				p.SetEngine(e)
				require.NoError(t, p.Parse([]byte(`[{"ev":"T","sym":"A","p":1}, {"ev": "T", "sym": "A", "p": 1}]`), nil))
				for range 2 {
					var r fixture.Recorder
					_ = p.Parse([]byte(msg), &r)
					require.Empty(t, r.Events, "%q", msg)
					require.NotEmpty(t, r.Errors, "%q", msg)
				}
			}
		}
	}
}

// TestFastPathElementLimit: space behind an element is not its length.
func TestFastPathElementLimit(t *testing.T) {
	const event = `{"ev":"T","sym":"ACME","p":2.5}`
	for _, behind := range []string{"", "   ", "\n"} {
		p := tickstorm.NewParser(tickstorm.Stocks)
		p.SetLimits(tickstorm.Limits{Element: len(event)})
		require.NoError(t, p.Parse([]byte("["+event+behind+","+event+behind+"]"), nil))
		stats := p.Stats()
		require.EqualValues(t, 2, stats.Fast)

		p.SetLimits(tickstorm.Limits{Element: len(event) - 1})
		var r fixture.Recorder
		require.NoError(t, p.Parse([]byte("["+event+behind+"]"), &r))
		require.Len(t, r.Errors, 1)
		require.ErrorIs(t, r.Errors[0].Err, tickstorm.ErrElementTooLong)
	}
}

// TestFastPathNumbers: numbers of all forms and lengths are what strconv makes of them, as a
// field and in a book, and those of the feed's forms are the fast path's.
func TestFastPathNumbers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	digits := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte('0' + rnd.IntN(10))
		}
		return string(b)
	}
	number := func() string {
		s := strings.TrimLeft(digits(1+rnd.IntN(12)), "0")
		if s == "" {
			s = "0"
		}
		if rnd.IntN(3) > 0 {
			s += "." + digits(1+rnd.IntN(12))
		}
		switch rnd.IntN(8) {
		case 0:
			s += []string{"e-05", "e-08", "e+16", "e-12", "E+05"}[rnd.IntN(5)]
		case 1:
			s += []string{"e5", "E-7", "e-005", "e+290", "e-330", "e00", "e-00", "e+0"}[rnd.IntN(8)]
		}
		return s
	}
	p := tickstorm.NewParser(tickstorm.Crypto)
	for range 20_000 {
		n := [6]string{number(), number(), number(), number(), number(), number()}
		var want [6]float64
		for i := range n {
			var err error
			want[i], err = strconv.ParseFloat(n[i], 64)
			require.NoError(t, err)
		}
		msg := fmt.Sprintf(`[{"ev":"XQ","pair":"A-B","bp":%s,"ap":%s},{"ev":"XL2","pair":"A-B","b":[[%s,%s],[%s,%s]],"a":[]}]`,
			n[0], n[1], n[2], n[3], n[4], n[5])
		var r fixture.Recorder
		require.NoError(t, p.Parse([]byte(msg), &r))
		q, b := r.Events[0].(*tickstorm.Quote), r.Events[1].(*tickstorm.Book)
		got := [6]float64{q.BidPrice, q.AskPrice, b.Bids[0].Price, b.Bids[0].Size, b.Bids[1].Price, b.Bids[1].Size}
		require.Equal(t, want, got, msg)
	}
	stats := p.Stats()
	require.Equal(t, stats.Total(), stats.Fast)
	for _, odd := range []string{"1.", ".5", "01", "1.e5", "1e", "1e+", "1.5e-", "12345678.", "1234567.", "123456.e-05", "1e-0x", "123456789.5.5", "-", "+1", "1.2345678901x"} {
		for _, msg := range []string{
			`[{"ev":"XQ","pair":"A-B","bp":` + odd + `,"ap":1}]`,
			`[{"ev":"XL2","pair":"A-B","b":[[` + odd + `,1]],"a":[]}]`,
			`[{"ev":"XL2","pair":"A-B","b":[[1,` + odd + `]],"a":[]}]`,
		} {
			var r fixture.Recorder
			require.NoError(t, p.Parse([]byte(msg), &r), "an event's error is its own")
			require.Empty(t, r.Events, msg)
			require.Len(t, r.Errors, 1, msg)
		}
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
