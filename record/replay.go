package record

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tickstorm/tickstorm"
)

// ReplayConfig says how a [Replay] plays. Its zero value plays all at once.
type ReplayConfig struct {
	// Speed is how many times faster than it was received a message is told; 0 is as fast as the
	// handler takes them. Each has its time from the beginning on, so that delays do not add up.
	Speed float64
	// MaxIdle is the longest time that nothing is told where the recording has nothing for
	// longer, as it is played; 0 is as long as that.
	MaxIdle time.Duration
	// Until ends it before what was received then or later; zero is the end of the recording.
	Until time.Time
	// Loop begins again at the end, where the reader was sought to, as long as there are messages.
	Loop bool
	// Ahead has another goroutine read and decompress while the handler is at work. It does nothing
	// where the reader follows what is being written: what came would be told later.
	Ahead bool
	// Symbols interns symbols for all markets; nil is a table of the replay's own.
	Symbols *tickstorm.Symbols
	// Hash, if not nil, is written all that the handler is told, so that two replays can be
	// compared.
	Hash hash.Hash
}

// Replay tells a handler what was recorded, as a client would that received it: events through
// a [tickstorm.Parser] of each market, with the recorded time in Received and with Replayed set;
// states to its OnState and gaps to its OnGap, if it has these. A gap's Cause is a [*Damage]
// where the recording is damaged, and a [*MissingError] where the recorder had no room.
// The same recording gives the same calls in the same order.
//
// It serves one goroutine at a time, on which it calls the handler.
type Replay struct {
	cfg     ReplayConfig
	handler tickstorm.Handler
	states  tickstorm.StateHandler
	gaps    tickstorm.GapHandler
	source  entrySource
	markets map[tickstorm.Market]*replayed
	hashed  []byte
	stats   ReplayStats

	timer    *time.Timer
	anchored bool
	began    time.Time // when what was received at first was told, or would have been
	first    int64
	last     int64 // received of what was told before
}

// replayed is what is known of a market.
type replayed struct {
	market tickstorm.Market
	parser *tickstorm.Parser
	state  tickstorm.State
	last   int64 // received of the last message
	damage *Damage
}

// ReplayStats is what a replay has told.
type ReplayStats struct {
	Messages, Controls, Damages uint64
	// Late is how much after its time the last message was told.
	Late time.Duration
}

// MissingError is why messages are missing of a recording: they were dropped since the recorder's
// buffer was full, or lost later.
type MissingError struct {
	// Kind is Dropped or Lost.
	Kind ControlKind
	// Count is how many messages; 0 if that is not known.
	Count uint64
	// Cause is why.
	Cause string
}

// Error says how many, and why.
func (e *MissingError) Error() string {
	return fmt.Sprintf("%d messages of the recording were %s: %s", e.Count, e.Kind, e.Cause)
}

// ErrSpeed: a speed is negative, or no number.
var ErrSpeed = errors.New("record: bad speed")

// NewReplay returns a replay of what a reader reads, with the reader's filter and from where it
// was sought to. The reader is the replay's from now on; closing it is the caller's.
func NewReplay(r *Reader, h tickstorm.Handler, cfg ReplayConfig) (*Replay, error) {
	if !(cfg.Speed >= 0) || math.IsInf(cfg.Speed, 1) || cfg.MaxIdle < 0 {
		return nil, fmt.Errorf("%w: %v, MaxIdle %v", ErrSpeed, cfg.Speed, cfg.MaxIdle)
	}
	if cfg.Symbols == nil {
		cfg.Symbols = tickstorm.NewSymbols(0)
	}
	p := &Replay{cfg: cfg, handler: h, source: direct{r}, markets: map[tickstorm.Market]*replayed{}}
	p.states, _ = h.(tickstorm.StateHandler)
	p.gaps, _ = h.(tickstorm.GapHandler)
	if cfg.Ahead && r.follow == 0 {
		p.source = newAhead(r)
	}
	return p, nil
}

// Stats returns what was told so far.
func (p *Replay) Stats() ReplayStats { return p.stats }

// Run tells all of it, and returns nil at its end, the context's error when that ends, or one of a
// file that cannot be read. OnState is told StateClosed last.
func (p *Replay) Run(ctx context.Context) error {
	defer p.source.stop()
	p.timer = time.NewTimer(time.Hour)
	defer p.timer.Stop()
	for {
		told := p.stats
		err := p.play(ctx)
		if err == io.EOF {
			err = nil
			if p.cfg.Loop && told.Messages != p.stats.Messages && ctx.Err() == nil {
				p.damages()
				for _, m := range p.markets {
					m.last = 0
				}
				p.source.rewind()
				p.anchored, p.last = false, 0
				continue
			}
		}
		p.end(err)
		return err
	}
}

func (p *Replay) play(ctx context.Context) error {
	for {
		if err := p.step(ctx, p.cfg.Speed > 0); err != nil {
			return err
		}
	}
}

// Step tells the next message, control or damage at once, whatever the speed. The error is io.EOF at
// the end, and else as from Run. Step and Run are not for the same replay. Close it when it is not
// stepped to the end.
func (p *Replay) Step(ctx context.Context) error {
	err := p.step(ctx, false)
	if err != nil {
		p.source.stop()
		if err == io.EOF {
			p.end(nil)
		}
	}
	return err
}

// Close ends the goroutine that reads ahead, if there is one. Run does that itself.
func (p *Replay) Close() { p.source.stop() }

func (p *Replay) step(ctx context.Context, paced bool) error {
	e, err := p.source.next(ctx)
	if err != nil {
		return err
	}
	if !p.cfg.Until.IsZero() && e.Damage == nil && e.Received >= p.cfg.Until.UnixNano() {
		return io.EOF
	}
	if paced && e.Damage == nil {
		if err := p.await(ctx, e.Received); err != nil {
			return err
		}
	}
	p.tell(e)
	return ctx.Err()
}

// await waits until something is due that was received at a time.
func (p *Replay) await(ctx context.Context, received int64) error {
	now := time.Now()
	if !p.anchored {
		p.anchored, p.began, p.first, p.last = true, now, received, received
	}
	if idle := p.played(received - p.last); p.cfg.MaxIdle > 0 && idle > p.cfg.MaxIdle {
		p.began = p.began.Add(p.cfg.MaxIdle - idle)
	}
	p.last = max(p.last, received)
	due := p.began.Add(p.played(received - p.first))
	if wait := due.Sub(now); wait > 0 {
		p.timer.Reset(wait)
		select {
		case <-p.timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		now = time.Now()
	}
	p.stats.Late = max(0, now.Sub(due))
	return nil
}

func (p *Replay) played(recorded int64) time.Duration {
	return time.Duration(float64(recorded) / p.cfg.Speed)
}

func (p *Replay) of(m tickstorm.Market) *replayed {
	r := p.markets[m]
	if r == nil {
		r = &replayed{market: m, parser: tickstorm.NewParser(m)}
		r.parser.SetLimits(tickstorm.Limits{Message: MaxMessage})
		r.parser.SetSymbols(p.cfg.Symbols)
		r.parser.SetReplayed(true)
		p.markets[m] = r
	}
	return r
}

// tell tells the handler an entry.
func (p *Replay) tell(e *Entry) {
	m := p.of(e.Market)
	if p.cfg.Hash != nil {
		p.hash(e)
	}
	switch {
	case e.Damage != nil:
		p.stats.Damages++
		if e.Market == "" { // it may be of any, and none has a message to tell it with
			m.damage = e.Damage
			p.gap(m, 0)
		} else if e.Damage.Reason != ClockBack && m.damage == nil { // told with the message that follows
			m.damage = e.Damage
		}
	case e.Control != nil:
		p.stats.Controls++
		p.control(m, e.Control)
	default:
		p.stats.Messages++
		if m.damage != nil {
			p.gap(m, e.Received)
		}
		m.last = e.Received
		m.parser.SetReceived(e.Received)
		_ = m.parser.Parse(e.Raw, p.handler) // what is wrong with it the handler is told
	}
}

func (p *Replay) hash(e *Entry) {
	b := fmt.Appendf(p.hashed[:0], "%s %d ", e.Market, e.Received)
	switch {
	case e.Damage != nil:
		b = append(b, e.Damage.Reason...)
	case e.Control != nil:
		b, _ = e.Control.appendTo(b) // which has been read as JSON
	}
	p.hashed = b
	p.cfg.Hash.Write(b)
	p.cfg.Hash.Write(e.Raw)
	p.cfg.Hash.Write([]byte{'\n'})
}

// gap tells what is missing for a damage, before a message or the end, which is 0.
func (p *Replay) gap(m *replayed, to int64) {
	damage := m.damage
	m.damage = nil
	p.missing(&tickstorm.Gap{
		Market: m.market, From: tickstorm.Moment{Received: timeAt(m.last)}, To: tickstorm.Moment{Received: timeAt(to)}, Cause: damage,
	})
}

func (p *Replay) missing(g *tickstorm.Gap) {
	if p.gaps != nil {
		p.gaps.OnGap(g)
	}
}

// control tells what a control stands for.
func (p *Replay) control(m *replayed, c *Control) {
	if gap := c.Gap(m.market); gap != nil {
		p.missing(gap)
	}
	if change, ok := c.State(); ok {
		p.state(m, change)
	}
}

func (p *Replay) state(m *replayed, change tickstorm.StateChange) {
	change.Previous, m.state = m.state, change.State
	if p.states != nil {
		p.states.OnState(&change)
	}
}

// damages tells of damage that no message comes behind.
func (p *Replay) damages() {
	for _, name := range slices.Sorted(maps.Keys(p.markets)) {
		if m := p.markets[name]; m.damage != nil {
			p.gap(m, 0)
		}
	}
}

// end tells what is to be told last.
func (p *Replay) end(err error) {
	p.damages()
	if p.states != nil {
		p.states.OnState(&tickstorm.StateChange{State: tickstorm.StateClosed, At: time.Now(), Err: err})
	}
}
