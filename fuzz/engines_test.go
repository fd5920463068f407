package fuzz

import (
	"bytes"
	"encoding/json"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// FuzzEngines gives the same messages to the fast path and to the reference: events,
// masks, errors and counts must be the same. Each is parsed twice, since the fast path
// learns from the first time what it does the second.
func FuzzEngines(f *testing.F) {
	for i, name := range sim.Corpora() {
		messages, err := sim.Corpus(name, 40, int64(i))
		require.NoError(f, err)
		for _, m := range messages {
			f.Add(name, m)
		}
	}
	for _, name := range sim.Corpora() {
		for _, m := range append(oddMessages, spacedMessages...) {
			f.Add(name, []byte(m))
		}
	}
	f.Fuzz(func(t *testing.T, corpus string, message []byte) {
		market := tickstorm.Stocks
		for _, name := range sim.Corpora() {
			if name == corpus {
				market = sim.CorpusMarket(name)
			}
		}
		if len(message) > 64<<10 {
			return
		}
		var interest tickstorm.Interest
		parseIn := func(symbols *tickstorm.Symbols, e tickstorm.Engine) (everything, tickstorm.Stats) {
			var l everything
			p := tickstorm.NewParser(market)
			p.SetSymbols(symbols)
			p.SetEngine(e)
			p.SetReceived(42)
			p.SetInterest(interest)
			for range 2 {
				l.note(p.Parse(message, &l))
			}
			stats := p.Stats()
			stats.Fast, stats.Strange = 0, 0 // the one thing that differs
			return l, stats
		}
		parse := func(e tickstorm.Engine) (everything, tickstorm.Stats) {
			return parseIn(tickstorm.NewSymbols(3), e) // they number alike, and run out alike
		}
		want, wantStats := parse(tickstorm.EngineFastJSON)
		got, gotStats := parse(tickstorm.EngineAuto)
		require.Equal(t, want, got)
		require.Equal(t, wantStats, gotStats)
		got, gotStats = parseIn(manySymbols, tickstorm.EngineAuto)
		for i := range want.events { // of another table, and none is new to it
			require.Len(t, got.events, len(want.events))
			want.events[i].Head().SymbolID, got.events[i].Head().SymbolID = 0, 0
		}
		require.Equal(t, want, got)
		require.Equal(t, wantStats, gotStats)

		// What nobody wants is not checked: only what is valid, and not too deep, is passed
		// over alike.
		if !json.Valid(message) || bytes.Count(message, []byte{'['})+bytes.Count(message, []byte{'{'}) > tickstorm.DefaultDepth {
			return
		}
		interest.Symbols = []string{"A"}
		if len(want.events) > 0 {
			interest.Symbols = append(interest.Symbols, want.events[len(want.events)-1].Head().Symbol)
		}
		want, wantStats = parse(tickstorm.EngineFastJSON)
		got, gotStats = parse(tickstorm.EngineAuto)
		require.Equal(t, want, got)
		require.Equal(t, wantStats, gotStats)
	})
}

// manySymbols are a full table, of so many symbols that a parser looks ahead for them.
var manySymbols = func() *tickstorm.Symbols {
	const n = 20_000
	s := tickstorm.NewSymbols(n)
	for i := range n {
		s.Intern([]byte(strconv.Itoa(i)))
	}
	return s
}()

// oddMessages have what the fast path must leave to the reference, or read as it does.
var oddMessages = []string{
	`[{"ev":"T","sym":"A","p":1.0,"s":12.0,"q":1e3},{"ev":"T","sym":"A","p":01,"s":1}]`,
	`[{"ev":"Q","sym":"A","bx":"4","bp":null,"z":-1},{"ev":"Q","sym":"\u0041","bp":.5}]`,
	`[{"ev":"Q","sym":"A","bp":1.,"ap":-0,"as":1e400},{"ev":"Q","bp":1,"bp":2,"sym":"B"}]`,
	`[{"ev":"T","sym":"ABCDEFGH","i":"x\ny","c":[1,2,],"t":12345678901234567890}]`,
	`[{"ev":"T","sym":"ABCDEFGHIJKLMNOPQ","new":{"a":[1,{"b":2}]},"newlongkey":"v","ds":"1.5","x":1} ]`,
	`[{"ev":"XL2","pair":"X","b":[[1,2],[3,4e-05]],"a":[]},{"ev":"XL2","b":[[1]],"a":[[1,2,3]]}]`,
	`[{"ev":"AM","sym":"A","otc":true,"dv":"1.50","dav":"x","v":1e21,"a":123456789.123456789}]`,
	`[{"ev":"NOI","T":"A","a":"M","at":930,"i":1},{"ev":"NOI","T":"A","a":"MM"},{"ev":"LULD","i":[1],"T":"A"}]`,
	`[{"ev":"status","status":"success","message":"subscribed to: T.A"},{"ev":"zz"},{"ev":"T"} x,{"ev":"T"}]`,
	`[{"ev":"T","p":1234567.},{"ev":"T","p":1.5e-22,"s":1e-23},{"ev":"T","p":12345678901234.5e-07},{"ev":"T","p":1e+23},{"ev":"T","p":00e-05}]`,
	"[{\"ev\":\"T\",\v\"sym\":\"A\"},{\"ev\":\"T\"\f,\"sym\":\"A\"},{\"ev\":\"T\",\"sym\"\u00a0:\"A\"}]",
	`[{"ev":"T","sym":"A","condition_one":1,"condition_two":2,"condition":3,"p":101657.74,"s":5.35523328}]`,
	`[{"ev": "Q", "sym": "A", "bp": 1.5, "bs": 3e-05},{"ev": "Q", "sym": "A", "bp":  1.5, "bs" : 123456789.5e-05 }, {"ev": "Q"}]`,
	`[{"ev":"T","sym":"A","z":0.000100000000000000000001,"t":1786649956446000000,"s":99999999999999999999}]`,
}

// everything keeps a copy of all it is given, in order.
type everything struct {
	events []tickstorm.Event
	errs   []string
}

func (l *everything) note(err error) {
	if err != nil {
		l.errs = append(l.errs, err.Error())
	}
}

func (l *everything) OnTrade(e *tickstorm.Trade)         { l.events = append(l.events, e.Clone()) }
func (l *everything) OnQuote(e *tickstorm.Quote)         { l.events = append(l.events, e.Clone()) }
func (l *everything) OnAggregate(e *tickstorm.Aggregate) { l.events = append(l.events, e.Clone()) }
func (l *everything) OnBook(e *tickstorm.Book)           { l.events = append(l.events, e.Clone()) }
func (l *everything) OnLULD(e *tickstorm.LULD)           { l.events = append(l.events, e.Clone()) }
func (l *everything) OnImbalance(e *tickstorm.Imbalance) { l.events = append(l.events, e.Clone()) }
func (l *everything) OnValue(e *tickstorm.Value)         { l.events = append(l.events, e.Clone()) }
func (l *everything) OnStatus(e *tickstorm.Status)       { l.events = append(l.events, e.Clone()) }
func (l *everything) OnUnknown(e *tickstorm.Unknown)     { l.events = append(l.events, e.Clone()) }
func (l *everything) OnError(e *tickstorm.EventError) {
	l.errs = append(l.errs, e.Err.Error()+" "+string(e.Raw))
}
