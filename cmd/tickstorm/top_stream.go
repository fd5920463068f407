package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/top"
)

// topStream looks at a stream, of one market at a time.
type topStream struct {
	app   *app
	cmd   *topCmd
	src   *source
	admin *top.Admin // nil without one
	first tickstorm.Market
	given []tickstorm.Topic // those of the first market, if any were named
	stood chan struct{}     // closed when the first subscription stands
	// patient waits, when a market fails that something has come of, for another to be wanted.
	patient bool

	mu       sync.Mutex
	on       *topMarket
	switched context.CancelCauseFunc // of what follows the market that is on
	once     sync.Once
}

// topMarket is a market that is looked at.
type topMarket struct {
	market tickstorm.Market
	topics []tickstorm.Topic
	table  *tickstorm.Symbols
	tally  *top.Tally
	meter  *top.Meter
}

// errSwitched: another market is wanted.
var errSwitched = errors.New("another market")

func newTopStream(a *app, c *topCmd, src *source, admin *top.Admin, market tickstorm.Market, topics []tickstorm.Topic) *topStream {
	s := &topStream{app: a, cmd: c, src: src, admin: admin, first: market, given: topics, stood: make(chan struct{}), switched: func(error) {}}
	s.on = s.open(market)
	return s
}

// open has books for a market.
func (s *topStream) open(market tickstorm.Market) *topMarket {
	m := &topMarket{market: market, topics: everything(market), table: tickstorm.NewSymbols(top.MaxSymbols), tally: top.NewTally(market)}
	if market == s.first && len(s.given) > 0 {
		m.topics = s.given
	}
	cfg := top.MeterConfig{
		Market: market, Feed: withoutQuery(s.src.Feed), Simulator: s.src.server != nil,
		Topics: m.topics, Tally: m.tally, Symbols: m.table,
	}
	if s.admin != nil {
		cfg.Relay = s.admin.Latest
	}
	m.meter = top.NewMeter(time.Now(), cfg)
	return m
}

// run implements shown.
func (s *topStream) run(ctx context.Context) error {
	for {
		life, cancel := context.WithCancelCause(ctx)
		s.mu.Lock()
		on := s.on
		s.switched = cancel
		s.mu.Unlock()
		err := s.follow(life, on)
		failed := err != nil && context.Cause(life) == nil
		if failed && s.patient && (on.market != s.first || on.tally.LastEvent() != 0) {
			on.meter.Note(time.Now(), "state", top.Bad, "ended: "+err.Error())
			<-life.Done()
		}
		switch cancel(nil); {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case context.Cause(life) != errSwitched:
			return err
		}
	}
}

// follow keeps a connection to a market.
func (s *topStream) follow(ctx context.Context, m *topMarket) error {
	cfg := s.src.Config
	cfg.Market, cfg.Symbols, cfg.Logger = m.market, m.table, s.app.log
	cfg.Queue.Overflow = tickstorm.OverflowDropNewest
	return s.app.follow(ctx, cfg, m.tally, following{
		lasting: s.cmd.lasting, topics: m.topics, begun: m.meter.SetClient,
		streaming: func(*tickstorm.Client) { s.once.Do(func() { close(s.stood) }) },
		last: func() time.Time {
			if n := m.tally.LastEvent(); n != 0 {
				return time.Unix(0, n)
			}
			return time.Time{}
		},
	})
}

func (s *topStream) ready() <-chan struct{} { return s.stood }
func (s *topStream) close()                 { s.src.close() }

func (s *topStream) meter() *top.Meter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.on.meter
}

// Sample and the other methods implement [top.Feed].
func (s *topStream) Sample(now time.Time, symbols bool) *top.Snapshot {
	return s.meter().Sample(now, symbols)
}
func (s *topStream) Rank(q top.Query) []top.Symbol       { return s.meter().Rank(q) }
func (s *topStream) Symbol(id uint32) (top.Symbol, bool) { return s.meter().Symbol(id) }
func (s *topStream) Watch(id uint32)                     { s.meter().Watch(id) }
func (s *topStream) Tail(to *top.Tail) bool              { return s.meter().Tail(to) }
func (s *topStream) Markets() []tickstorm.Market         { return tickstorm.Markets() }

// Switch ends what is looked at, and begins with another market.
func (s *topStream) Switch(market tickstorm.Market) {
	next := s.open(market)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = next
	s.switched(errSwitched)
}
