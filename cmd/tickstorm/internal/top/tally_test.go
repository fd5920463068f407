package top_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/top"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// books are a tally with what feeds it.
type books struct {
	*top.Tally
	*top.Meter
	table  *tickstorm.Symbols
	parser *tickstorm.Parser
}

func newBooks(m tickstorm.Market, topics ...tickstorm.Topic) *books {
	b := &books{Tally: top.NewTally(m), table: tickstorm.NewSymbols(top.MaxSymbols)}
	b.Meter = top.NewMeter(day, top.MeterConfig{Market: m, Feed: "ws://feed", Topics: topics, Tally: b.Tally, Symbols: b.table})
	b.parser = tickstorm.NewParser(m)
	b.parser.SetSymbols(b.table)
	return b
}

// feed has messages come at a time.
func (b *books) feed(t *testing.T, at time.Time, messages ...string) {
	t.Helper()
	b.parser.SetReceived(at.UnixNano())
	for _, msg := range messages {
		require.NoError(t, b.parser.Parse([]byte(msg), b.Tally))
		b.Tally.OnMessageEnd()
	}
}

// see has a trade of a symbol come, by its number.
func (b *books) see(id uint32) {
	b.OnTrade(&tickstorm.Trade{Header: tickstorm.Header{SymbolID: id, Received: day.UnixNano(), Stream: tickstorm.Trades}, Price: 1})
	b.OnMessageEnd()
}

func trade(symbol string, price float64) string {
	return fmt.Sprintf(`[{"ev":"T","sym":%q,"x":4,"i":"1","z":3,"p":%v,"s":100,"c":[12,37],"t":%d,"q":1}]`, symbol, price, day.UnixMilli())
}

// TestPast: what a relay sends of the past is no event that has come.
func TestPast(t *testing.T) {
	b := newBooks(tickstorm.Stocks, tickstorm.Topic{Channel: "T", Symbol: "*"})
	piece := `[{"ev":"status","status":"snapshot_begin","message":"topics=T.*"},` + strings.Trim(trade("A", 1), "[]") +
		`,{"ev":"status","status":"snapshot_end","message":"events=1 next=live"}]`
	b.feed(t, day, piece, trade("B", 2))
	s := b.Sample(day.Add(time.Second), true)
	require.EqualValues(t, 1, s.Events)
	require.Equal(t, 1.0, s.EventRate)
	require.Len(t, b.Rank(top.Query{Rows: 5}), 1)
	b.feed(t, day.Add(time.Second), strings.Replace(piece, "snapshot_end", "lost", 1))
	b.feed(t, day.Add(2*time.Second), trade("A", 3))
	require.EqualValues(t, 2, b.Sample(day.Add(3*time.Second), true).Events)
}

// TestMeter: events are counted by channel and symbol, and rates are of the time between two samples.
func TestMeter(t *testing.T) {
	b := newBooks(tickstorm.Stocks, tickstorm.Topic{Channel: "T", Symbol: "*"}, tickstorm.Topic{Channel: "Q", Symbol: "*"})
	b.feed(t, day, trade("A", 1), trade("B", 2), trade("B", 3))
	s := b.Sample(day.Add(time.Second), true)
	require.Equal(t, 3.0, s.EventRate)
	b.feed(t, day.Add(time.Second), trade("A", 1.5), `[{"ev":"XX","sym":"A"}]`)
	s = b.Sample(day.Add(3*time.Second), true)
	require.Equal(t, 1.0, s.EventRate)
	require.EqualValues(t, 5, s.Events)
	require.Equal(t, 2, s.SymbolCount)
	require.Equal(t, 2.0, *s.Age)
	require.Equal(t, []string{"T.*", "Q.*"}, s.Topics)
	require.Len(t, s.Channels, 3, "what is asked for and silent is shown, and what came without being known")
	require.Equal(t, "", s.Channels[0].Channel)
	require.EqualValues(t, 1, s.Channels[0].Events)
	require.Equal(t, "T", s.Channels[1].Channel)
	require.EqualValues(t, 4, s.Channels[1].Events)
	require.Equal(t, 0.5, s.Channels[1].EventRate)
	require.EqualValues(t, len(trade("A", 1))-2, s.Channels[1].Bytes/4, "bytes are those of elements")
	require.Equal(t, "Q", s.Channels[2].Channel)

	names := func(q top.Query) (names []string) {
		for _, s := range b.Rank(q) {
			names = append(names, s.Symbol)
		}
		return names
	}
	for sort, want := range map[top.Sort][]string{
		top.ByRate: {"A", "B"}, top.ByTotal: {"A", "B"}, top.BySilent: {"B", "A"}, top.ByLatest: {"A", "B"}, top.ByName: {"A", "B"},
	} {
		require.Equal(t, want, names(top.Query{Sort: sort, Rows: 5}), sort.String())
	}
	require.Equal(t, []string{"B"}, names(top.Query{Rows: 5, Filter: top.NewFilter("b")}))
	require.Empty(t, b.Rank(top.Query{}))
	first := b.Rank(top.Query{Rows: 1})[0]
	require.Equal(t, top.Symbol{Symbol: "A", EventRate: 0.5, Events: 2, Share: 1, Silent: 2, Price: 1.5, ID: first.ID}, first)
}

// TestSymbolsStay: symbols that are not counted anew stay as they were, in any order, and what came meanwhile
// is of the time that it came in.
func TestSymbolsStay(t *testing.T) {
	b := newBooks(tickstorm.Stocks)
	b.feed(t, day, trade("A", 1), trade("B", 2), trade("B", 3))
	b.Sample(day.Add(time.Second), true)
	before := b.Rank(top.Query{Sort: top.ByName, Rows: 9})
	require.Len(t, before, 2)
	b.feed(t, day.Add(time.Second), trade("A", 5), trade("C", 1))
	require.Equal(t, 2.0, b.Sample(day.Add(2*time.Second), false).EventRate)
	require.Equal(t, 0.0, b.Sample(day.Add(3*time.Second), false).EventRate)
	require.Equal(t, before, b.Rank(top.Query{Sort: top.ByName, Rows: 9}))
	require.Equal(t, []top.Symbol{before[1], before[0]}, b.Rank(top.Query{Sort: top.ByRate, Rows: 9}))
	_, known := b.Meter.Symbol(before[1].ID + 1)
	require.False(t, known)
	require.Equal(t, 3, b.Sample(day.Add(5*time.Second), true).SymbolCount)
	a, known := b.Meter.Symbol(before[0].ID)
	require.True(t, known)
	require.Equal(t, top.Symbol{Symbol: "A", EventRate: 0.25, Events: 2, Share: 0.5, Silent: 4, Price: 5, ID: before[0].ID}, a)
}

// TestManySymbolsSeenLate: it takes a moment to find symbols in the books, however many there are, and in
// whatever order they have come.
func TestManySymbolsSeenLate(t *testing.T) {
	b := newBooks(tickstorm.Options)
	const n = 300_000
	for id := uint32(n); id > n/2; id-- {
		b.see(id)
	}
	b.Sample(day, true)
	for id := uint32(n / 2); id > 0; id-- {
		b.see(id)
	}
	begun := time.Now()
	require.Equal(t, n, b.Sample(day.Add(time.Second), true).SymbolCount)
	require.Less(t, time.Since(begun), 10*time.Second)
	s, ok := b.Meter.Symbol(n / 2)
	require.True(t, ok)
	require.EqualValues(t, 1, s.Events)
}

// TestRankIsSorted: the first of many are the first of all.
func TestRankIsSorted(t *testing.T) {
	b := newBooks(tickstorm.Stocks)
	for i := range 3000 {
		b.feed(t, day, trade(fmt.Sprintf("S%04d", i*7919%3000), 1))
	}
	b.Sample(day.Add(time.Second), true)
	for _, rows := range []int{1, 7, 2999, 3000, 9999} {
		found := b.Rank(top.Query{Sort: top.ByName, Rows: rows})
		require.Len(t, found, min(rows, 3000))
		for i, s := range found {
			require.Equal(t, fmt.Sprintf("S%04d", i), s.Symbol)
		}
	}
}

// TestEveryKind: all kinds of events are counted, and those of a symbol that is looked at are kept, the
// latest first.
func TestEveryKind(t *testing.T) {
	for _, m := range []tickstorm.Market{tickstorm.Stocks, tickstorm.Crypto, tickstorm.Forex, tickstorm.Indices, tickstorm.Futures} {
		t.Run(string(m), func(t *testing.T) {
			generator := fixture.Generator(t, m, 1)
			b := newBooks(m)
			now := day
			seen := map[string]bool{}
			for range 200 {
				now = now.Add(time.Second)
				b.feed(t, now, string(generator.AppendMessage(nil, now, 200)))
			}
			s := b.Sample(now, true)
			for _, c := range s.Channels {
				seen[c.Channel] = true
			}
			require.NotEmpty(t, seen)
			hottest := b.Rank(top.Query{Rows: 1})[0]
			require.NotZero(t, hottest.Price, "%+v", hottest)
			b.Meter.Watch(hottest.ID)
			for range 50 {
				now = now.Add(time.Second)
				b.feed(t, now, string(generator.AppendMessage(nil, now, 400)))
			}
			var tail top.Tail
			require.True(t, b.Meter.Tail(&tail))
			require.False(t, b.Meter.Tail(&tail), "nothing has come since")
			var total uint64
			for k := range tickstorm.Kinds {
				rows := tail.Rows(tickstorm.Kind(k), 1000)
				total += tail.Total(tickstorm.Kind(k))
				require.LessOrEqual(t, len(rows), 64)
				require.EqualValues(t, min(64, tail.Total(tickstorm.Kind(k))), len(rows))
			}
			require.NotZero(t, total)
			b.Meter.Watch(0)
			require.True(t, b.Meter.Tail(&tail))
			require.Zero(t, tail.Total(tickstorm.KindTrade))
		})
	}
}

// TestJournal: what happens to a connection is told, and counted.
func TestJournal(t *testing.T) {
	b := newBooks(tickstorm.Stocks)
	b.OnState(&tickstorm.StateChange{State: tickstorm.StateConnecting, At: day, Attempt: 1})
	b.OnState(&tickstorm.StateChange{
		State: tickstorm.StateStreaming, At: day, Attempt: 1, Acked: 1, Refused: []tickstorm.Topic{{Channel: "Q", Symbol: "*"}}, Unnamed: 1,
	})
	b.OnState(&tickstorm.StateChange{State: tickstorm.StateBackoff, At: day.Add(time.Second), Attempt: 1, Err: tickstorm.ErrDisconnected, Wait: 2 * time.Second})
	s := b.Sample(day.Add(3*time.Second), true)
	require.Equal(t, tickstorm.ErrDisconnected.Error(), s.Why)
	require.Equal(t, 2.0, s.StateFor)
	require.Equal(t, []string{"Q.*"}, s.Refused)
	b.OnGap(&tickstorm.Gap{From: tickstorm.Moment{Received: day}, To: tickstorm.Moment{Received: day.Add(4 * time.Second)}, Cause: tickstorm.ErrDisconnected})
	b.OnGap(&tickstorm.Gap{From: tickstorm.Moment{Received: day}, To: tickstorm.Moment{Received: day.Add(5 * time.Second)}})
	for i := range 3 { // the third comes later than a second after the first
		b.OnDrop(&tickstorm.Drop{Count: 10, Last: day.Add(time.Duration(i) * 600 * time.Millisecond).UnixNano()})
	}
	b.OnState(&tickstorm.StateChange{State: tickstorm.StateStreaming, Previous: tickstorm.StateSubscribing, At: day.Add(5 * time.Second), Attempt: 2})
	s = b.Sample(day.Add(6*time.Second), true)
	require.Empty(t, s.Why)
	require.EqualValues(t, 2, s.Gaps)
	require.Equal(t, 9.0, s.Missing)
	var told []string
	for _, i := range s.Incidents {
		told = append(told, i.Kind+": "+i.Text)
	}
	require.Equal(t, []string{
		"refused: 2 of the topics: Q.*",
		"reconnect: attempt 2, in 2.0s: " + tickstorm.ErrDisconnected.Error(),
		"gap: 4.0s without events: " + tickstorm.ErrDisconnected.Error(),
		"gap: 5.0s without events: not known",
		"drop: 20 events that the queue had no room for",
		"drop: 10 events that the queue had no room for",
		"state: streaming again",
	}, told)
	for range 3 {
		_ = b.parser.Parse([]byte(`[{]`), b.Tally) // the handler is told
	}
	incidents := b.Sample(day.Add(6*time.Second), true).Incidents
	require.Len(t, incidents, len(told)+1, "what comes together is told once")
	require.Equal(t, "error", incidents[len(told)].Kind)
	for range 1000 {
		b.Tally.Note(day, "state", top.Well, "again")
	}
	require.Len(t, b.Sample(day.Add(7*time.Second), true).Incidents, 100, "it is bounded")
}

// BenchmarkTally is what counting costs an event, decoding included, beside decoding alone.
func BenchmarkTally(b *testing.B) {
	messages, err := sim.Corpus("stocks20", 20000, 1)
	require.NoError(b, err)
	for name, h := range map[string]tickstorm.Handler{"nothing": tickstorm.NopHandler{}, "tally": top.NewTally(tickstorm.Stocks)} {
		b.Run(name, func(b *testing.B) {
			parser := tickstorm.NewParser(tickstorm.Stocks)
			end, _ := h.(tickstorm.MessageEndHandler)
			for b.Loop() {
				for _, msg := range messages {
					_ = parser.Parse(msg, h)
					if end != nil {
						end.OnMessageEnd()
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/20000, "ns/event")
		})
	}
}
