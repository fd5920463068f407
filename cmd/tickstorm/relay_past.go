package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/relay"
)

// late are the flags of what programs get that join late.
type late struct {
	Snapshots  int      `default:"0" placeholder:"MB" group:"serve" help:"Keep the last event of each symbol, of each market in so much memory, for programs that ask for ?snapshot=1; 0 is none."`
	SnapshotOf []string `placeholder:"CHANNEL,..." group:"serve" help:"Channels whose last events are kept, such as T,Q; default all."`
	History    int      `default:"0" placeholder:"MB" group:"serve" help:"Keep the latest messages, of each market so much, for programs that ask for ?since=-5m; with --record that reaches back into the recording."`
}

func (c *late) check() error {
	switch {
	case c.Snapshots < 0 || c.Snapshots > mostMB || c.History < 0 || c.History > mostMB:
		return usagef("--snapshots and --history are from 0 to %d", mostMB)
	case len(c.SnapshotOf) > 0 && c.Snapshots == 0:
		return usagef("--snapshot-of is of what is kept: --snapshots MB")
	}
	return nil
}

// of reports which of the channels no market has.
func (c *late) of(markets []tickstorm.Market) error {
	for _, channel := range c.SnapshotOf {
		if !slices.ContainsFunc(markets, func(m tickstorm.Market) bool { _, ok := m.StreamOf(channel); return ok }) {
			return usagef("--snapshot-of: no channel %s in %v", channel, markets)
		}
	}
	return nil
}

func (c *late) set(cfg *relay.Config) {
	cfg.Snapshots = relay.SnapshotConfig{Bytes: c.Snapshots << 20, Channels: c.SnapshotOf}
	cfg.History = c.History << 20
}

// recorders are those of a relay's markets.
type recorders struct {
	app   *app
	dir   string
	flush time.Duration
	all   []*marketRecorder
}

// marketRecorder is the recorder of a market.
type marketRecorder struct {
	*record.Recorder
	market tickstorm.Market
	begun  atomic.Int64 // nothing was received before it, and what is older is of other processes
}

// OnState implements [tickstorm.Tap].
func (r *marketRecorder) OnState(s *tickstorm.StateChange) {
	r.begun.CompareAndSwap(0, time.Now().UnixNano()) // it connects
	r.Recorder.OnState(s)
}

// add makes one more, which writes nothing before start: a standby leaves the folder to who has the lock.
func (r *recorders) add(cfg record.Config) (*marketRecorder, error) {
	rec, err := record.NewRecorder(cfg)
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	one := &marketRecorder{Recorder: rec, market: cfg.Market}
	r.all = append(r.all, one)
	return one, nil
}

// start starts them.
func (r *recorders) start() error {
	for _, rec := range r.all {
		if err := rec.Start(); err != nil {
			return err
		}
	}
	return nil
}

// close writes what they have.
func (r *recorders) close(ctx context.Context) error {
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	var errs []error
	for _, rec := range r.all {
		errs = append(errs, rec.Close(closing))
	}
	return errors.Join(errs...)
}

// past opens what was recorded of a market from a time up to another, which is when the memory of the relay
// begins.
func (r *recorders) past(ctx context.Context, m tickstorm.Market, from, to time.Time) (relay.Source, error) {
	rec := r.all[slices.IndexFunc(r.all, func(r *marketRecorder) bool { return r.market == m })]
	running := to.UnixNano() > rec.begun.Load()
	if running {
		if err := r.await(ctx, rec, to); err != nil {
			return nil, err
		}
	}
	h, err := record.OpenHistory(ctx, m, from, to, r.dir)
	if err != nil {
		return nil, err
	}
	h.Complete = running
	h.OnDamage = func(d *record.Damage) { r.app.damage([]*record.Damage{d}) }
	return h, nil
}

// writing is how long what a recorder has is waited for beyond the time in which it should be written.
const writing = 10 * time.Second

// await waits until a recorder has written what was received before a time: until it has written something
// that was received then or later, or could have, if that is all.
func (r *recorders) await(ctx context.Context, rec *marketRecorder, to time.Time) error {
	all := to.Add(2*r.flush + time.Second)
	patience := time.NewTimer(2*r.flush + writing)
	defer patience.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		newest := rec.Stats().Newest
		if newest >= to.UnixNano() || newest == to.UnixNano()-1 && time.Now().After(all) {
			return nil
		}
		select {
		case <-tick.C:
		case <-patience.C:
			return fmt.Errorf("the recording of %s is behind: it does not reach %v", rec.market, to.UTC())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
