package fuzz

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// FuzzSplitter holds a splitter to the parser: the same elements, each event of the same
// channel, kind, stream and symbol, the same of them broken for the same reason, and the same
// to say of the message. A splitter that does not validate may miss what is broken within an
// element that begins as the vendor's do; where it ends must be the same all the same.
func FuzzSplitter(f *testing.F) {
	for i, name := range sim.Corpora() {
		messages, err := sim.Corpus(name, 40, int64(i))
		require.NoError(f, err)
		for _, m := range messages {
			f.Add(name, m, false)
			f.Add(name, bytes.ReplaceAll(m, []byte(`,"`), []byte(`, "`)), false)
			f.Add(name, bytes.ReplaceAll(m, []byte(`:`), []byte(" :\n")), true)
			f.Add(name, bytes.ReplaceAll(bytes.ReplaceAll(m, []byte(`:`), []byte(`: `)), []byte(`,`), []byte(`, `)), false)
		}
		for _, m := range append(append(oddMessages, splitMessages...), spacedMessages...) {
			f.Add(name, []byte(m), false)
			f.Add(name, []byte(m), true)
		}
	}
	f.Fuzz(func(t *testing.T, corpus string, message []byte, tight bool) {
		market := tickstorm.Stocks
		for _, name := range sim.Corpora() {
			if name == corpus {
				market = sim.CorpusMarket(name)
			}
		}
		if len(message) > 64<<10 || !utf8.Valid(message) {
			return
		}
		var limits tickstorm.Limits
		if tight {
			limits = tickstorm.Limits{Depth: 3, Element: 48}
		}
		p := tickstorm.NewParser(market)
		p.SetEngine(tickstorm.EngineFastJSON)
		p.SetLimits(limits)
		want := parts{market: market}
		whole := p.Parse(message, &want)

		before := bytes.Clone(message)
		s := tickstorm.NewSplitter(market)
		s.SetLimits(limits)
		for _, validate := range []bool{false, true, false} { // what came before does not matter
			s.SetValidate(validate)
			got, end := parts{}, 0
			for s.Reset(message); s.Next(); {
				e := s.Element()
				require.LessOrEqual(t, end, e.Start)
				require.LessOrEqual(t, e.Start, e.End)
				require.Empty(t, strings.Trim(string(message[end:e.Start]), ",[ \t\r\n"))
				end = e.End
				got.list = append(got.list, part{
					string(message[e.Start:e.End]), e.Channel, string(e.Symbol), e.Symbol != nil, e.Kind, e.Stream, e.Err,
				})
			}
			require.False(t, s.Next())
			require.Equal(t, whole, s.Err())
			require.Equal(t, before, message)
			require.Len(t, got.list, len(want.list))
			for i, w := range want.list {
				g := got.list[i]
				if !validate && w.err != nil && g.err == nil {
					require.Equal(t, w.raw, g.raw)
					require.True(t, strings.HasPrefix(g.raw, `{"ev":"`) || strings.HasPrefix(g.raw, `{"ev": "`), g.raw)
					require.NotContains(t, g.raw, `\`)
					require.NotEqual(t, tickstorm.ErrElementTooLong, w.err)
					continue
				}
				require.Equal(t, w, g)
			}
		}
	})
}

// spacedMessages have their channels and symbols where only a parser finds them.
var spacedMessages = []string{
	` [ { "ev" : "T" , "sym" : "A" } , {"sym":"B","ev":"T"},{"ev":"T","sym" :"C"}, {"ev":"T","sym": null,"sym":"D"} ] `,
	`[{"\u0065v":"\u0054","\u0073ym":"\u0041\ud83d"},{"ev":"T","sym":"A\\"},{"ev":"T","x":"\"},{","sym":"B"},{"ev":"T","sym":"C"}]`,
	`[{"ev":"NEW","sym":"A"},{"ev":"","sym":"A"},{"ev":1,"ev":"T"},{"x":{"ev":"T"}},{"ev":"status"},{"ev":"T"},1,"x",null,[]]`,
	`[{"ev":"T","sym":"A"}] x`, `{"ev":"T","sym":"A"} `, `{"ev":"T","sym":"A"},{}`, `{"ev":"T"`, `[{"ev":"T"},{"ev":"T"`, `[`, `[ ] `, `[] 1`, `x`, ` `,
	`[{"ev":"T","sym":"A" 1},{"ev":"T","sym":[[[[1]]]]},{"ev":"T","sym":"` + strings.Repeat("A", 80) + `"},{"ev":"T","p":1,"sym":"B"}]`,
	`[{"ev":"T","x":{"sym":"B"},"y":"sym","sym":"A"},{"ev":"T","sym":1,"sym":"B"},{"ev":"T}","sym":"A"},{"ev":"T\n","sym":"A"},{"ev":"LULD","T":""}]`,
	`[,]`, `[{},,{"ev":"T"}]`, `[{"ev":"T"}}},{"ev":"Q"}]`, `[{"ev":"T]},{"ev":"Q"}]`,
}

// part is what is known of an element.
type part struct {
	raw, channel, symbol string
	hasSymbol            bool
	kind                 tickstorm.Kind
	stream               tickstorm.Stream
	err                  error
}

// parts lists the elements of a message as a parser tells them.
type parts struct {
	market tickstorm.Market
	list   []part
}

func (l *parts) note(e tickstorm.Event, channel string) {
	h := e.Head()
	p := part{raw: string(h.Raw), channel: channel, kind: e.Kind(), stream: h.Stream}
	if p.channel == "" {
		p.channel, _ = l.market.Channel(h.Stream)
	}
	if p.kind != tickstorm.KindStatus && h.Has&1 != 0 { // the symbol of every kind of data
		p.symbol, p.hasSymbol = h.Symbol, true
	}
	l.list = append(l.list, p)
}

func (l *parts) OnTrade(e *tickstorm.Trade)         { l.note(e, "") }
func (l *parts) OnQuote(e *tickstorm.Quote)         { l.note(e, "") }
func (l *parts) OnAggregate(e *tickstorm.Aggregate) { l.note(e, "") }
func (l *parts) OnBook(e *tickstorm.Book)           { l.note(e, "") }
func (l *parts) OnLULD(e *tickstorm.LULD)           { l.note(e, "") }
func (l *parts) OnImbalance(e *tickstorm.Imbalance) { l.note(e, "") }
func (l *parts) OnValue(e *tickstorm.Value)         { l.note(e, "") }
func (l *parts) OnStatus(e *tickstorm.Status)       { l.note(e, "status") }
func (l *parts) OnUnknown(e *tickstorm.Unknown) {
	l.list = append(l.list, part{raw: string(e.Raw), channel: string(e.Event)})
}
func (l *parts) OnError(e *tickstorm.EventError) {
	l.list = append(l.list, part{raw: string(e.Raw), err: e.Err})
}
