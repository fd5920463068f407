package top_test

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/top"
)

// fake is a feed of which nothing changes unless the test wants it.
type fake struct {
	tally *top.Tally

	mu       sync.Mutex
	snapshot top.Snapshot
	symbols  []top.Symbol
	samples  int
	counted  bool // symbols, at the last sample
	id       uint32
}

// newFake has a bit of everything.
func newFake() *fake {
	f := &fake{tally: top.NewTally(tickstorm.Stocks)}
	relay, err := top.RelayOf([]byte(relaySays))
	if err != nil {
		panic(err)
	}
	s := &f.snapshot
	*s = top.Snapshot{
		Market: tickstorm.Stocks, Feed: "wss://socket.example.com", State: "streaming", StateFor: 3725, Topics: []string{"T.*", "Q.*", "AM.*"}, Acked: 3,
		EventRate: 12034, ByteRate: 1.93e6, MessageRate: 612, Events: 1_234_567, Bytes: 190e6, Messages: 60_000,
		LagP50: new(0.0012), LagP99: new(0.008), Age: new(0.003),
		Queue: top.Queue{Events: 120, Bytes: 20 << 20, Capacity: 64 << 20, HighWater: 63 << 20, Oldest: 0.3, Dropped: 1200},
		Gaps:  1, Missing: 4.2, Reconnects: 2, Errors: 3, SymbolCount: 4034, Refused: []string{"FMV.*"}, Relay: &relay,
		Incidents: []top.Incident{
			{At: day.Add(-70 * time.Second), Kind: "drop", Text: "1200 events that the queue had no room for", Grave: top.Bad},
			{At: day.Add(-9 * time.Second), Kind: "reconnect", Text: "attempt 2, in 2.0s: dial tcp: connection refused by somebody whose name is rather long", Grave: top.Worse},
			{At: day.Add(-5 * time.Second), Kind: "gap", Text: "4.2s without events: disconnected", Grave: top.Bad},
			{At: day.Add(-5 * time.Second), Kind: "state", Text: "streaming again", Grave: top.Well},
		},
		Channels: []top.Channel{
			{Channel: "T", EventRate: 2010, ByteRate: 0.3e6, Events: 240_000, Bytes: 34e6, Dropped: 1200},
			{Channel: "Q", EventRate: 9900, ByteRate: 1.5e6, Events: 990_000, Bytes: 150e6},
			{Channel: "AM"},
		},
	}
	s.ReconnectCauses[tickstorm.ReconnectDial] = 1
	s.ReconnectCauses[tickstorm.ReconnectDisconnected] = 2
	s.ErrorCauses[tickstorm.CauseSyntax] = 3
	s.ErrorSamples[tickstorm.CauseSyntax] = `{"ev":"T",` + "\x1b[31m"
	var rates []float64
	for i := range 60 {
		rates = append(rates, 100*(1.2+math.Sin(float64(i)/5)))
	}
	s.SetHistory(rates)
	f.symbols = []top.Symbol{
		{Symbol: "AAPL", EventRate: 352, Events: 1448, Share: 0.07, Silent: 0.0068, Price: 282.97},
		{Symbol: "NVDA", EventRate: 158, Events: 726, Share: 0.031, Silent: 0.09, Price: 127.48},
		{Symbol: "日本株", EventRate: 20, Events: 77, Share: 0.005, Silent: 0.4, Price: 1250},
		{Symbol: "EVIL\x1b[2J", EventRate: 17, Events: 70, Share: 0.004, Silent: 1.4},
		{Symbol: "O:SPY241220P00720000", EventRate: 2, Events: 12, Share: 0.003, Silent: 61, Price: 1.05},
	}
	for i := range 40 {
		f.symbols = append(f.symbols, top.Symbol{Symbol: "FILLER" + string(rune('A'+i%26)), EventRate: 1, Events: 5, Share: 0.0001, Silent: 2})
	}
	f.symbols = append(f.symbols, top.Symbol{Symbol: "LAST", Events: 1, Silent: 3725})
	for i := range f.symbols {
		f.symbols[i].ID = uint32(i + 1)
	}
	return f
}

func (f *fake) change(do func(*top.Snapshot)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do(&f.snapshot)
}

// Sample and the other methods implement [top.Feed].
func (f *fake) Sample(now time.Time, symbols bool) *top.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.samples++
	f.counted = symbols
	s := f.snapshot
	s.At = now
	return &s
}

func (f *fake) Rank(q top.Query) []top.Symbol {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := []top.Symbol{}
	for _, s := range f.symbols {
		if q.Filter.Match(s.Symbol) {
			found = append(found, s)
		}
	}
	if q.Sort == top.BySilent {
		slices.Reverse(found)
	}
	return found[:min(len(found), q.Rows)]
}

func (f *fake) Symbol(id uint32) (top.Symbol, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id == 0 || int(id) > len(f.symbols) {
		return top.Symbol{}, false
	}
	return f.symbols[id-1], true
}

func (f *fake) Watch(id uint32) {
	f.mu.Lock()
	f.id = id
	f.mu.Unlock()
	f.tally.Watch(id)
	if id != 0 {
		f.come(283.01)
		at := tickstorm.Timestamp(day.UnixMilli())
		h := tickstorm.Header{SymbolID: id, Received: day.UnixNano()}
		h.Stream = tickstorm.Quotes
		f.tally.OnQuote(&tickstorm.Quote{Header: h, Timestamp: at, BidPrice: 283, BidSize: 3, AskPrice: 283.02, AskSize: 12})
		h.Stream = tickstorm.MinuteAggregates
		f.tally.OnAggregate(&tickstorm.Aggregate{Header: h, Start: at, Open: 281, High: 284, Low: 280.5, Close: 283.01, Volume: 120_000})
	}
}

// come has a trade of the symbol that is looked at come.
func (f *fake) come(price float64) {
	h := tickstorm.Header{SymbolID: f.watched(), Received: day.UnixNano(), Stream: tickstorm.Trades}
	f.tally.OnTrade(&tickstorm.Trade{Header: h, Timestamp: tickstorm.Timestamp(day.UnixMilli()), Price: price, Size: 100, Exchange: 4, Conditions: []int32{12, 37}})
}

func (f *fake) watched() uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.id
}

func (f *fake) sampled() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.samples
}

func (f *fake) market() tickstorm.Market {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snapshot.Market
}

func (f *fake) Tail(to *top.Tail) bool      { return f.tally.Tail(to) }
func (f *fake) Markets() []tickstorm.Market { return tickstorm.Markets() }

func (f *fake) Switch(m tickstorm.Market) {
	f.change(func(s *top.Snapshot) { s.Market = m })
}
