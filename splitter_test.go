package tickstorm_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// split lists the elements of a message: the channel and symbol of each, or what is wrong with
// it, before the element itself.
func split(s *tickstorm.Splitter, msg string) (elements []string, err error) {
	for s.Reset([]byte(msg)); s.Next(); {
		e := s.Element()
		line := e.Channel
		if e.Symbol != nil {
			line += "." + string(e.Symbol)
		}
		if e.Err != nil {
			line += e.Err.Error()
		}
		elements = append(elements, line+" "+msg[e.Start:e.End])
	}
	return elements, s.Err()
}

func TestSplitter(t *testing.T) {
	const (
		syntax  = "element is not valid JSON "
		noEvent = "element has no ev "
		noObj   = "element is no object "
		rest    = "message is truncated "
	)
	long := strings.Repeat("A", 70)
	for _, tc := range []struct {
		name   string
		market tickstorm.Market
		msg    string
		want   []string
		err    error
	}{
		{name: "compact", msg: `[{"ev":"T","sym":"A","p":1},{"ev":"Q","sym":"BRK.B"}]`, want: []string{
			`T.A {"ev":"T","sym":"A","p":1}`, `Q.BRK.B {"ev":"Q","sym":"BRK.B"}`,
		}},
		{name: "the symbol elsewhere", msg: `[{"ev":"LULD","h":1,"x":{"T":"B"},"i":["T"],"T":"A"},{"ev":"T","s":"sym","sym":"A"}]`, want: []string{
			`LULD.A {"ev":"LULD","h":1,"x":{"T":"B"},"i":["T"],"T":"A"}`, `T.A {"ev":"T","s":"sym","sym":"A"}`,
		}},
		{name: "a pair", market: tickstorm.Forex, msg: `[{"ev":"C","p":"EUR/USD","x":48},{"ev":"CAS","pair":"EUR/USD"},{"ev":"AM","sym":"C:USD-EUR"}]`, want: []string{
			`C.EUR/USD {"ev":"C","p":"EUR/USD","x":48}`, `CAS.EUR/USD {"ev":"CAS","pair":"EUR/USD"}`, `AM.C:USD-EUR {"ev":"AM","sym":"C:USD-EUR"}`,
		}},
		{name: "an index", market: tickstorm.Indices, msg: `[{"ev":"V","val":1,"T":"I:SPX","t":2}]`, want: []string{`V.I:SPX {"ev":"V","val":1,"T":"I:SPX","t":2}`}},
		{name: "a status", msg: `[{"ev":"status","status":"success","message":"subscribed to: T.A"},{"ev":"T","sym":"A"}]`, want: []string{
			`status {"ev":"status","status":"success","message":"subscribed to: T.A"}`, `T.A {"ev":"T","sym":"A"}`,
		}},
		{name: "a channel that the market lacks", msg: `[{"ev":"XT","pair":"A"},{"ev":"NEW","sym":"A"},{"sym":"A","ev":"NEW"}]`, want: []string{
			`XT {"ev":"XT","pair":"A"}`, `NEW {"ev":"NEW","sym":"A"}`, `NEW {"sym":"A","ev":"NEW"}`,
		}},
		{name: "no symbol", msg: `[{"ev":"T"},{"ev":"T","sym":7},{"ev":"T","sym":null,"sym":"A"},{"ev":"T","sym":""}]`, want: []string{
			`T {"ev":"T"}`, `T {"ev":"T","sym":7}`, `T {"ev":"T","sym":null,"sym":"A"}`, `T. {"ev":"T","sym":""}`,
		}},
		{name: "a long symbol", msg: `[{"ev":"T","sym":"` + long + `"}]`, want: []string{`T.` + long + ` {"ev":"T","sym":"` + long + `"}`}},
		{name: "space", msg: ` [ { "ev" : "T" , "sym" : "A" } , {"ev":"Q","sym" : "B"} ] `, want: []string{
			`T.A { "ev" : "T" , "sym" : "A" }`, `Q.B {"ev":"Q","sym" : "B"}`,
		}},
		{name: "ev not first", msg: `[{"sym":"A","ev":"T"},{"x":{"ev":"Q"},"ev":"T","sym":"B"}]`, want: []string{
			`T.A {"sym":"A","ev":"T"}`, `T.B {"x":{"ev":"Q"},"ev":"T","sym":"B"}`,
		}},
		{name: "escapes", msg: `[{"ev":"T","sym":"\u0041\/"},{"ev":"T","sym":"B"},{"\u0065v":"\u0051","s\u0079m":"\ud83d"}]`, want: []string{
			`T.A/ {"ev":"T","sym":"\u0041\/"}`, `T.B {"ev":"T","sym":"B"}`, `Q.` + "\uFFFD" + ` {"\u0065v":"\u0051","s\u0079m":"\ud83d"}`,
		}},
		{name: "brackets in strings", msg: `[{"ev":"T","sym":"}]","x":"[{"},{"ev":"T","x":"\"},{","sym":"A"}]`, want: []string{
			`T.}] {"ev":"T","sym":"}]","x":"[{"}`, `T.A {"ev":"T","x":"\"},{","sym":"A"}`,
		}},
		{name: "no event", msg: `[1,"x",[{"ev":"T"}],{},{"ev":1},{"ev":null,"ev":"T"},{"ev":"T"}]`, want: []string{
			noObj + `1`, noObj + `"x"`, noObj + `[{"ev":"T"}]`, noEvent + `{}`, noEvent + `{"ev":1}`, noEvent + `{"ev":null,"ev":"T"}`, `T {"ev":"T"}`,
		}},
		{name: "broken, and not compact", msg: `[{"ev":"T"} x,{ "ev":"T",},,{"ev":"Q","sym":"A"}]`, want: []string{
			syntax + `{"ev":"T"} x`, syntax + `{ "ev":"T",}`, syntax, `Q.A {"ev":"Q","sym":"A"}`,
		}},
		{name: "a lone object", msg: ` {"ev":"T","sym":"A"} `, want: []string{`T.A {"ev":"T","sym":"A"}`}},
		{name: "a broken lone object", msg: `{"ev":"T"},{"ev":"Q"}`, want: []string{syntax + `{"ev":"T"},{"ev":"Q"}`}},
		{name: "half a lone object", msg: `{"ev":"T"`, want: []string{rest + `{"ev":"T"`}, err: tickstorm.ErrTruncated},
		{name: "no end", msg: `[{"ev":"T"},{"ev":"Q","s`, want: []string{`T {"ev":"T"}`, rest + `{"ev":"Q","s`}, err: tickstorm.ErrTruncated},
		{name: "no bracket", msg: `[{"ev":"T"},`, want: []string{`T {"ev":"T"}`, rest}, err: tickstorm.ErrTruncated},
		{name: "more behind", msg: `[{"ev":"T"}] [`, want: []string{`T {"ev":"T"}`}, err: tickstorm.ErrTrailing},
		{name: "empty", msg: ` [ ] `},
		{name: "nothing", msg: "", err: tickstorm.ErrNotArray},
		{name: "no array", msg: `"[]"`, err: tickstorm.ErrNotArray},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.market == "" {
				tc.market = tickstorm.Stocks
			}
			s := tickstorm.NewSplitter(tc.market)
			require.False(t, s.Next(), "no message yet")
			for _, validate := range []bool{false, true, false} {
				s.SetValidate(validate)
				got, err := split(s, tc.msg)
				require.Equal(t, tc.want, got)
				require.Equal(t, tc.err, err)
				require.False(t, s.Next(), "it stays over")
			}
		})
	}
}

// TestSplitterKind: what a channel is, by the market's table.
func TestSplitterKind(t *testing.T) {
	s := tickstorm.NewSplitter(tickstorm.Crypto)
	s.Reset([]byte(`[{"ev":"XL2","pair":"BTC-USD"},{ "ev":"AM","sym":"X:BTC-USD"},{"ev":"status"},{"ev":"NEW"},{}]`))
	type kind struct {
		tickstorm.Kind
		tickstorm.Stream
	}
	var got []kind
	for s.Next() {
		got = append(got, kind{s.Element().Kind, s.Element().Stream})
	}
	require.Equal(t, []kind{
		{tickstorm.KindBook, tickstorm.Level2}, {tickstorm.KindAggregate, tickstorm.LaunchpadAggregates}, {tickstorm.KindStatus, 0}, {}, {},
	}, got)
}

// TestSplitterValidate: what is broken inside an element that begins as the vendor's do is
// found only by validation; where it ends is known without.
func TestSplitterValidate(t *testing.T) {
	const msg = `[{"ev":"T","sym":"A","p":01},{"ev":"Q","sym":"B"}]`
	s := tickstorm.NewSplitter(tickstorm.Stocks)
	got, err := split(s, msg)
	require.NoError(t, err)
	require.Equal(t, []string{`T.A {"ev":"T","sym":"A","p":01}`, `Q.B {"ev":"Q","sym":"B"}`}, got)
	s.SetValidate(true)
	got, err = split(s, msg)
	require.NoError(t, err)
	require.Equal(t, []string{`element is not valid JSON {"ev":"T","sym":"A","p":01}`, `Q.B {"ev":"Q","sym":"B"}`}, got)
}

func TestSplitterLimits(t *testing.T) {
	s := tickstorm.NewSplitter(tickstorm.Stocks)
	s.SetLimits(tickstorm.Limits{Depth: 2, Element: 24})
	for _, validate := range []bool{false, true} {
		s.SetValidate(validate)
		got, err := split(s, `[{"ev":"T","sym":"AAAAAA"},{"ev":"T","sym":"A"},{"x":[[1]]},{"ev":"T","sym":"AAAAAA}]`)
		require.Equal(t, tickstorm.ErrTruncated, err)
		require.Equal(t, []string{
			`element is longer than the limit {"ev":"T","sym":"AAAAAA"}`, `T.A {"ev":"T","sym":"A"}`,
			`element is nested deeper than the limit {"x":[[1]]}`, `message is truncated {"ev":"T","sym":"AAAAAA}]`,
		}, got)
	}
}

// TestSplitterNames: names of channels that the market lacks are safe to keep, as many as come.
func TestSplitterNames(t *testing.T) {
	s := tickstorm.NewSplitter(tickstorm.Stocks)
	var kept []string
	for i := range 1000 {
		msg := fmt.Appendf(nil, `[{"ev":"N%d"}]`, i)
		s.Reset(msg)
		require.True(t, s.Next())
		kept = append(kept, s.Element().Channel)
		clear(msg)
	}
	for i, name := range kept {
		require.Equal(t, fmt.Sprintf("N%d", i), name)
	}
}

// TestSplitterLinear: no message takes more than a few looks at each byte.
func TestSplitterLinear(t *testing.T) {
	for _, unit := range []string{`{"ev":"T"\`, `{"ev":"T","x":"\\"},`, `{"a},`, `{,`, `{"ev":"T"} ,`, `\`, `[{`, `"`, `1,`, `{"ev":"T","sym":"`, `{"ev":"T","x":{`} {
		s := tickstorm.NewSplitter(tickstorm.Stocks)
		s.Reset([]byte("[" + strings.Repeat(unit, 4<<20/len(unit)))) // quadratic, it would take hours
		for s.Next() {
		}
		require.Error(t, s.Err())
	}
}

// TestSplitterAgrees: on all that the simulator sends, with and without space, a splitter finds
// the events that a parser does.
func TestSplitterAgrees(t *testing.T) {
	for _, name := range sim.Corpora() {
		messages, err := sim.Corpus(name, 2000, 5)
		require.NoError(t, err)
		s, p := tickstorm.NewSplitter(sim.CorpusMarket(name)), tickstorm.NewParser(sim.CorpusMarket(name))
		spaced := make([][]byte, len(messages))
		for i, m := range messages {
			spaced[i] = bytes.ReplaceAll(m, []byte(`,"`), []byte(",\n\t\""))
		}
		for _, m := range append(messages, spaced...) {
			r := new(fixture.Recorder)
			require.NoError(t, p.Parse(m, r))
			i := 0
			for s.Reset(m); s.Next(); i++ {
				e, h := s.Element(), r.Events[i].Head()
				require.Equal(t, string(h.Raw), string(m[e.Start:e.End]))
				require.Equal(t, h.Symbol, string(e.Symbol))
				require.Equal(t, h.Stream, e.Stream)
				require.Equal(t, r.Events[i].Kind(), e.Kind)
			}
			require.NoError(t, s.Err())
			require.Len(t, r.Events, i)
		}
	}
}

// BenchmarkSplitter measures what it takes to take messages apart, beside a queue's feed, which
// does that and copies, and a parser.
func BenchmarkSplitter(b *testing.B) {
	for _, name := range []string{"stocks1", "stocks20", "options20", "crypto"} {
		messages, err := sim.Corpus(name, 20_000, 3)
		require.NoError(b, err)
		market := sim.CorpusMarket(name)
		size := 0
		spaced := make([][]byte, len(messages))
		for i, m := range messages {
			size += len(m)
			spaced[i] = bytes.ReplaceAll(bytes.ReplaceAll(m, []byte(`:`), []byte(`: `)), []byte(`,"`), []byte(`, "`))
		}
		run := func(name string, messages [][]byte, feed func(msg []byte)) {
			b.Run(name, func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					for _, m := range messages {
						feed(m)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/20_000, "ns/event")
			})
		}
		s := tickstorm.NewSplitter(market)
		take := func(m []byte) {
			for s.Reset(m); s.Next(); {
			}
		}
		run(name+"/split", messages, take)
		run(name+"/split-spaced", spaced, take)
		s.SetValidate(true)
		run(name+"/split-validated", messages, take)
		for _, policy := range []tickstorm.Overflow{tickstorm.OverflowDropOldest, tickstorm.OverflowConflate} {
			q, err := tickstorm.NewQueue(tickstorm.Config{Market: market, Queue: tickstorm.QueueConfig{Bytes: 4 << 20, Overflow: policy}}, nil)
			require.NoError(b, err)
			run(fmt.Sprint(name, "/feed ", policy), messages, func(m []byte) { q.OnRaw(m, 1) })
		}
		p := tickstorm.NewParser(market)
		run(name+"/parse", messages, func(m []byte) { _ = p.Parse(m, tickstorm.NopHandler{}) })
	}
}
