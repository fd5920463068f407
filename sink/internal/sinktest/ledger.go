package sinktest

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
)

// Ledger is a database, as a handler may have one: what it makes of events, which are books here, and the
// watermarks are written at once.
type Ledger struct {
	*Books

	mu    sync.Mutex // protects what follows
	marks map[string][]byte
	revs  map[string]uint64
}

// NewLedger returns an empty one.
func NewLedger() *Ledger {
	return &Ledger{Books: NewBooks(), marks: map[string][]byte{}, revs: map[string]uint64{}}
}

// LedgerClient is a consumer's end of a ledger, and implements [sink.Watermarks].
type LedgerClient struct {
	ledger *Ledger
	mu     sync.Mutex
	mine   map[string]*shard // by lane
}

// Client returns one of a new consumer's.
func (l *Ledger) Client() *LedgerClient {
	return &LedgerClient{ledger: l, mine: map[string]*shard{}}
}

// shard is what one consumer has of a lane, and has not written yet.
type shard struct {
	tickstorm.NopHandler
	trades []tickstorm.Trade
	quotes []tickstorm.Quote
	gaps   []tickstorm.Gap
}

func (s *shard) OnTrade(t *tickstorm.Trade) { s.trades = append(s.trades, *t.Clone()) }
func (s *shard) OnQuote(q *tickstorm.Quote) { s.quotes = append(s.quotes, *q.Clone()) }
func (s *shard) OnGap(g *tickstorm.Gap)     { s.gaps = append(s.gaps, *g) }

// Lane returns the handler of a lane.
func (c *LedgerClient) Lane(name string) tickstorm.Handler {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &shard{}
	c.mine[name] = s
	return s
}

// Load implements [sink.Watermarks].
func (c *LedgerClient) Load(_ context.Context, lane string) (w sink.Watermark, err error) {
	l := c.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if text := l.marks[lane]; text != nil {
		err = json.Unmarshal(text, &w)
	}
	w.Revision = l.revs[lane]
	return w, err
}

// Save implements [sink.Watermarks].
func (c *LedgerClient) Save(_ context.Context, lane string, w *sink.Watermark) error {
	c.mu.Lock()
	s := c.mine[lane]
	c.mu.Unlock()
	l := c.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.Revision != l.revs[lane] {
		return sink.ErrFenced
	}
	text, err := json.Marshal(w)
	if err != nil {
		return err
	}
	if s != nil { // nil while the lane is claimed for the first time
		ear := Ear{Books: l.Books}
		for i := range s.trades {
			ear.OnTrade(&s.trades[i])
		}
		for i := range s.quotes {
			ear.OnQuote(&s.quotes[i])
		}
		for i := range s.gaps {
			ear.OnGap(&s.gaps[i])
		}
		s.trades, s.quotes, s.gaps = nil, nil, nil
	}
	l.revs[lane]++
	l.marks[lane], w.Revision = text, l.revs[lane]
	return nil
}
