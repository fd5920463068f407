package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm"
)

// lasting are the flags of verbs that keep a connection.
type lasting struct {
	For       time.Duration `placeholder:"DURATION" help:"End after so long, counted from when the subscription stands."`
	Stale     time.Duration `placeholder:"DURATION" group:"source" help:"End with code 6 when no event came for so long."`
	Attempts  int           `placeholder:"N" default:"3" group:"source" help:"How often to try the first connection; 0 is for ever. Later ones are always tried for ever."`
	Evictions int           `placeholder:"N" default:"1" group:"source" help:"End with code 5 when another connection with the key has taken this one's place so often; 0 is never."`
}

func (l *lasting) check() error {
	if l.For < 0 || l.Stale < 0 || l.Attempts < 0 || l.Evictions < 0 {
		return usagef("a negative --for, --stale, --attempts or --evictions")
	}
	return nil
}

// following is what a command wants of a connection beside its events.
type following struct {
	lasting
	topics []tickstorm.Topic
	// begun is given the client before it starts; may be nil.
	begun func(*tickstorm.Client)
	// reload is asked at each signal for what is wanted from then on; nil if it never changes.
	reload func() ([]tickstorm.Topic, error)
	// last is when the last event came.
	last func() time.Time
	// until is told when time is up: enough is closed once all was handled that had come by then. Where it is
	// nil, or nothing waits to be handled, it ends at once.
	until func(time.Time)
	// enough ends it, and so does failed.
	enough, failed <-chan struct{}
	// streaming is called when the subscription stands; may be nil.
	streaming func(*tickstorm.Client)
	// each is called each second; may be nil.
	each func(*tickstorm.Client)
}

// follow keeps a connection until it is told to end, and returns why it did: nil where that was
// as wanted. What was received by then has been handled.
func (a *app) follow(ctx context.Context, cfg tickstorm.Config, h tickstorm.Handler, f following) error {
	if err := f.check(); err != nil {
		return err
	}
	cfg.Backoff.Evictions = f.Evictions
	given := &giveUp{attempts: f.Attempts, failed: make(chan error, 1)}
	cfg.OnState = given.OnState
	cfg.OnGap = func(g *tickstorm.Gap) {
		a.log.Warn("gap", "from", g.From.Received.UTC(), "to", g.To.Received.UTC(), "cause", g.Cause)
	}
	dropped := &drops{app: a}
	cfg.OnDrop = dropped.OnDrop
	client, err := tickstorm.NewClient(cfg, h)
	if err != nil {
		return err
	}
	if f.begun != nil {
		f.begun(client)
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	asked, ended := make(chan error, 1), make(chan struct{})
	var result error // once ended is closed
	go func() {
		err := client.Start(life)
		if err == nil {
			err = client.SubscribeTopics(life, f.topics...)
		}
		asked <- err
		result = client.Wait()
		close(ended)
	}()
	err = a.attend(ctx, client, f, asked, given.failed, ended)
	switch {
	case client.Close() == nil: // what is queued is handled
		<-ended
		err = cmp.Or(err, result)
	case isClosed(f.enough): // and so was all that was wanted
	default:
		a.log.Error("given up what was received and not written, since the output takes too long", "waiting", client.Stats().Queue.Events)
	}
	dropped.sum()
	stats := client.Stats()
	a.log.Info("ended", "messages", stats.Messages, "bytes", stats.Bytes, "dropped", stats.Queue.Dropped, "reconnects", stats.Reconnects)
	return err
}

// attend waits for what ends a stream.
func (a *app) attend(ctx context.Context, client *tickstorm.Client, f following, asked, gaveUp <-chan error, ended <-chan struct{}) error {
	var over, tick, waiting <-chan time.Time
	var signals <-chan os.Signal
	wanted := make(chan []tickstorm.Topic, 1)
	if f.reload != nil {
		s, stop := a.hangups()
		defer stop()
		signals = s
		defer close(wanted)
		go a.want(ctx, client, wanted)
	}
	begun := time.Now()
	silence := make(<-chan time.Time)
	if f.Stale > 0 {
		t := time.NewTicker(min(max(f.Stale/10, time.Millisecond), time.Second))
		defer t.Stop()
		silence = t.C
	}
	if f.each != nil {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-gaveUp:
			return err
		case err := <-asked:
			asked = nil
			if err := a.judge(err); err != nil {
				return err
			}
			begun = time.Now()
			over = after(f.For)
			if f.streaming != nil {
				f.streaming(client)
			}
		case <-ended:
			return nil // the result is looked at later
		case <-f.enough:
			return nil
		case <-f.failed:
			return nil // the output says what has failed
		case now := <-over:
			if f.until == nil {
				return nil
			}
			f.until(now)
			t := time.NewTicker(longest / 4)
			defer t.Stop()
			waiting = t.C
		case <-waiting:
			if client.Stats().Queue.Events == 0 {
				return nil
			}
		case <-tick:
			f.each(client)
		case <-silence:
			since := begun
			if last := f.last(); last.After(since) {
				since = last
			}
			if silent := time.Since(since); silent > f.Stale {
				return fmt.Errorf("%w: no event came for %v", errStale, silent.Round(time.Millisecond))
			}
		case <-signals:
			a.reload(f.reload, wanted)
		}
	}
}

// isClosed reports whether a channel is closed on which nothing is sent; nil is not.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// reload has another list of topics wanted; where there is none all stays as it is.
func (a *app) reload(read func() ([]tickstorm.Topic, error), wanted chan []tickstorm.Topic) {
	topics, err := read()
	if err != nil {
		a.log.Error("the symbols stay as they are", "err", err)
		return
	}
	a.log.Info("symbols read again", "topics", len(topics))
	select {
	case <-wanted: // the one before, which nobody has come to
	default:
	}
	wanted <- topics
}

// want asks for one list of topics after the other.
func (a *app) want(ctx context.Context, client *tickstorm.Client, wanted <-chan []tickstorm.Topic) {
	for topics := range wanted {
		if err := client.SetTopics(ctx, topics...); err != nil && ctx.Err() == nil {
			a.log.Warn("subscription", "err", err)
		}
	}
}

// judge decides what becomes of a subscription that was not granted in full: as long as there is
// something to be had it is only told.
func (a *app) judge(err error) error {
	refused, ok := errors.AsType[*tickstorm.SubscribeError](err)
	if !ok {
		return err
	}
	switch {
	case refused.Err != nil:
		return refused.Err
	case len(refused.Refusals) == 0:
		a.log.Warn("not acknowledged", "topics", refused.Pending)
		return nil
	case len(refused.Acked) > 0 && !errors.Is(err, tickstorm.ErrNotRealTime):
		a.log.Error("refused", "topics", refused.Refused, "unnamed", refused.Unnamed, "err", refused.Refusals[0])
		return nil
	}
	return err
}

// giveUp ends what never was connected.
type giveUp struct {
	attempts int
	failed   chan error

	authenticated bool
}

// OnState is [tickstorm.Config].OnState.
func (g *giveUp) OnState(s *tickstorm.StateChange) {
	switch {
	case s.State == tickstorm.StateSubscribing || s.State == tickstorm.StateStreaming:
		g.authenticated = true
	case s.State == tickstorm.StateBackoff && !g.authenticated && g.attempts > 0 && s.Attempt >= g.attempts:
		select {
		case g.failed <- fmt.Errorf("no connection after %d attempts: %w", s.Attempt, s.Err):
		default:
		}
	}
}

// drops tells what was dropped, no more than once a second.
type drops struct {
	app *app

	mu    sync.Mutex
	count uint64
	told  time.Time
}

// OnDrop is [tickstorm.Config].OnDrop.
func (d *drops) OnDrop(drop *tickstorm.Drop) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count += drop.Count
	if now := time.Now(); now.Sub(d.told) >= time.Second {
		d.told = now
		d.tell()
	}
}

func (d *drops) tell() {
	if d.count > 0 {
		d.app.log.Warn("dropped, since the output takes less than comes", "events", d.count)
		d.count = 0
	}
}

// sum tells the rest.
func (d *drops) sum() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tell()
}
