package sink

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/past"
	"github.com/tickstorm/tickstorm/record"
)

// liveNumber is that of a live source's segment, which no recording has.
const liveNumber = "-000000"

// Live is a [Source] that takes what a client receives, at most once: it is the client's
// [tickstorm.Config].Tap. On the goroutine that reads it copies each message into its buffer;
// messages that have no room are dropped, the newest first, counted, and told as a notice in
// their place; so are states and gaps. What a relay sends of the past is left out, as a [record.Reader]
// does. What is in memory when the process ends is gone: where nothing may be, record and
// use a [Folder].
//
// It is for one run of one [Runner], and for one client after another. Close it after the client: the
// run ends when all is written.
type Live struct {
	market  tickstorm.Market
	segment string
	half    int           // bytes of a buffer
	states  record.States // the tap's

	mu     sync.Mutex // protects what follows
	in     liveBuffer
	lost   record.Control // what was dropped since in took something; Count is 0 if nothing
	all    uint64         // that was dropped
	heard  int64          // when the last message came
	closed bool

	more  chan struct{} // has room for one: in has something, or it is closed
	out   liveBuffer
	place int // in out
	entry record.Entry
	count uint64
}

type liveBuffer struct {
	raw   []byte
	items []liveItem
	used  int // bytes: of raw, of items and of what these refer to
}

// liveItem is a message, or a control.
type liveItem struct {
	start, end int
	received   int64
	control    *record.Control
}

var _ tickstorm.Tap = (*Live)(nil)

// DefaultLiveBuffer is how many bytes may wait in a [Live] unless it is told otherwise.
const DefaultLiveBuffer = 64 << 20

// NewLive returns a source for a client of a market; buffer is how many bytes may wait, 0 is
// [DefaultLiveBuffer].
func NewLive(m tickstorm.Market, buffer int) *Live {
	if buffer <= 0 {
		buffer = DefaultLiveBuffer
	}
	name := strings.ReplaceAll(string(m), "/", "-") + "-" + time.Now().UTC().Format("20060102T150405.000Z") + liveNumber
	return &Live{market: m, segment: name, half: buffer / 2, more: make(chan struct{}, 1)}
}

// OnMessage copies a message into the buffer, but of the past that a relay sends it notes that it came,
// as a gap. It implements [tickstorm.Tap].
func (l *Live) OnMessage(msg []byte, received int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.heard
	l.heard = received
	if past.Message(msg) {
		l.note(record.PastGap(before, received))
		return
	}
	if !l.room(len(msg)) {
		l.drop(len(msg), received)
		return
	}
	l.told()
	start := len(l.in.raw)
	l.in.raw = append(l.in.raw, msg...)
	l.put(liveItem{start, len(l.in.raw), received, nil}, len(msg))
}

// itemSize is what an item takes beside what it refers to, or less.
const itemSize = 32

// room reports whether there is room for something of so many bytes. Where nothing waits there is
// for whatever comes.
func (l *Live) room(size int) bool {
	return !l.closed && (l.in.used+itemSize+size <= l.half || l.in.used == 0)
}

// sizeOf is about what a control takes.
func sizeOf(c *record.Control) int {
	size := 256 + len(c.Cause) + len(c.Text)
	for _, t := range c.Topics {
		size += 16 + len(t)
	}
	return size
}

func (l *Live) drop(n int, received int64) {
	at := timeAt(received)
	if l.lost.Count == 0 {
		l.lost = record.Control{Kind: record.Dropped, Cause: "the sink's buffer is full", From: tickstorm.Moment{Received: at}}
	}
	l.lost.Received, l.lost.To.Received = received, at
	l.lost.Count++
	l.lost.Bytes += uint64(n)
	l.all++
}

// told puts what was dropped before what comes now.
func (l *Live) told() {
	if l.lost.Count > 0 {
		c := l.lost
		l.lost = record.Control{}
		l.put(liveItem{received: c.Received, control: &c}, sizeOf(&c))
	}
}

func (l *Live) put(item liveItem, size int) {
	l.in.items = append(l.in.items, item)
	l.in.used += itemSize + size
	l.wake()
}

func (l *Live) wake() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

func (l *Live) control(c *record.Control) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(c)
}

// note puts a control in; l.mu is held.
func (l *Live) note(c *record.Control) {
	size := sizeOf(c)
	switch {
	case l.closed:
	case !l.room(size):
		l.drop(0, c.Received)
	default:
		l.told()
		l.put(liveItem{received: c.Received, control: c}, size)
	}
}

// OnState notes where connections begin and end. It implements [tickstorm.Tap].
func (l *Live) OnState(s *tickstorm.StateChange) {
	for _, c := range l.states.Controls(s) {
		l.control(c)
	}
}

// OnGap notes a gap. It implements [tickstorm.Tap].
func (l *Live) OnGap(g *tickstorm.Gap) { l.control(record.GapControl(g)) }

// Close ends the source behind what it has: what comes later counts as dropped.
func (l *Live) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.told()
		l.closed = true
		l.wake()
	}
	return nil
}

func (l *Live) begin() error { return nil }

func (l *Live) next(ctx context.Context) (*record.Entry, error) {
	if err := l.wait(ctx); err != nil {
		return nil, err
	}
	item := &l.out.items[l.place]
	l.place++
	l.entry = record.Entry{Market: l.market, Received: item.received, Control: item.control, Segment: l.segment, Sequence: l.count}
	l.count++
	if item.control == nil {
		l.entry.Raw = l.out.raw[item.start:item.end:item.end]
	}
	return &l.entry, nil
}

// wait waits until out has something that was not taken. The error is io.EOF if nothing will come, or ctx's.
func (l *Live) wait(ctx context.Context) error {
	for l.place == len(l.out.items) {
		l.mu.Lock()
		clear(l.out.items) // controls are not to be kept
		l.out, l.in = l.in, liveBuffer{raw: l.out.raw[:0], items: l.out.items[:0]}
		if cap(l.in.raw) > 2*l.half { // a message that was longer than all the room
			l.in.raw = nil
		}
		closed := l.closed
		l.mu.Unlock()
		l.place = 0
		switch {
		case len(l.out.items) > 0:
		case closed:
			return io.EOF
		default:
			select {
			case <-l.more:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

func (l *Live) start() positions                            { return nil }
func (l *Live) skips(*ID) bool                              { return false }
func (l *Live) confirm([]position, bool) (saveState, error) { return nothingToSave, nil }
func (l *Live) end() error                                  { return l.Close() }

func (l *Live) dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}
