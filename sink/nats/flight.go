package nats

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tickstorm/tickstorm/sink"
)

// This file is what is under way to the servers: of each lane a batch in the sense of JetStream's
// fast ingest, of which a server stores what comes without a hole from the first message on, and
// nothing behind a hole.

// Errors of publishing, all worth another try.
var (
	// ErrNoAnswer: the servers have not acknowledged a batch in time. It may be stored.
	ErrNoAnswer = errors.New("nats: no acknowledgement")
	// ErrNoStream: nothing listens to a subject, such as while a cluster elects a leader.
	ErrNoStream = errors.New("nats: no stream answers")
	// ErrOutOfStep: a stream has more than this sink has written, or less: a message was lost on its
	// way, or another writes to it.
	ErrOutOfStep = errors.New("nats: the stream is elsewhere")
)

// Codes of JetStream's errors that the client library has no names for.
const (
	codeWrongLastSequence = 10071
	codeMessageTooLong    = 10054
)

// What a message of a batch is, in its reply subject:
// <inbox>.<batch>.<flow>.fail.<number in the batch>.<what>.$FI
const (
	batchStart  = "0"
	batchAppend = "1"
	batchEnd    = "3" // no message, and the end
	batchFlow   = ".500.fail."
)

// leg is what is under way to one lane.
type leg struct {
	lane    *lane
	rows    []int  // of the batch
	reply   string // subject, up to the number
	subject string // that the lane's stream has

	over   bool // the server has said all it will
	err    error
	bad    int // row that the server will never take; -1 none
	stored int // messages
	seq    uint64
}

// flight are the legs of a batch. Numbers go on from one flight to the next, so that an answer that
// comes late is known.
type flight struct {
	inbox string

	mu    sync.Mutex // protects what follows
	base  uint64     // the number of the first
	legs  []*leg
	heard bool          // since it was looked at last
	woken chan struct{} // has room for one: a leg is over
}

func newFlight(inbox string) *flight { return &flight{inbox: inbox, woken: make(chan struct{}, 1)} }

func (f *flight) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.base += uint64(len(f.legs))
	for _, g := range f.legs {
		g.lane.leg = nil
	}
	f.legs = f.legs[:0]
	select {
	case <-f.woken:
	default:
	}
}

// leg begins a lane's.
func (f *flight) leg(l *lane, subject string) *leg {
	f.mu.Lock()
	defer f.mu.Unlock()
	number := f.base + uint64(len(f.legs))
	g := &leg{lane: l, subject: subject, reply: f.inbox + strconv.FormatUint(number, 36) + batchFlow, bad: -1}
	f.legs = append(f.legs, g)
	l.leg = g
	return g
}

// next is the reply subject of a leg's next message.
func (g *leg) next(row int) string {
	what := batchAppend
	if len(g.rows) == 0 {
		what = batchStart
	}
	g.rows = append(g.rows, row)
	return g.reply + strconv.Itoa(len(g.rows)) + "." + what + ".$FI"
}

// last is the reply subject of its end.
func (g *leg) last() string { return g.reply + strconv.Itoa(len(g.rows)+1) + "." + batchEnd + ".$FI" }

// onAnswer takes an answer, on the connection's goroutine.
func (f *flight) onAnswer(m *nats.Msg) {
	tokens := strings.Split(strings.TrimPrefix(m.Subject, f.inbox), ".")
	if len(tokens) < 4 {
		return
	}
	number, err := strconv.ParseUint(tokens[0], 36, 64)
	message, err2 := strconv.Atoi(tokens[3])
	if err != nil || err2 != nil {
		return
	}
	a := readAnswer(m)
	f.mu.Lock()
	defer f.mu.Unlock()
	at := number - f.base
	if number < f.base || at >= uint64(len(f.legs)) {
		return
	}
	f.heard = true
	g := f.legs[at]
	if a.kind == "ack" || g.over { // how far it is
		return
	}
	g.over, g.err = true, a.err
	if long := (*tooLong)(nil); errors.As(a.err, &long) && message >= 1 {
		g.bad = message - 1
	}
	if a.err == nil {
		g.stored, g.seq = a.count, a.seq
		if a.duplicate { // the first was there, and so the batch has not begun
			g.stored, g.err = 1, errDuplicate
		}
	}
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

var errDuplicate = errors.New("nats: an id that the stream has seen")

// await waits until all legs are over, for as long as something is heard.
func (f *flight) await(ctx context.Context, patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		f.mu.Lock()
		over := true
		for _, g := range f.legs {
			over = over && g.over
		}
		f.mu.Unlock()
		if over {
			return nil
		}
		select {
		case <-f.woken:
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			f.mu.Lock()
			heard := f.heard
			f.heard = false
			f.mu.Unlock()
			if !heard {
				return ErrNoAnswer
			}
			timer.Reset(patience)
		}
	}
}

// end notes what the streams have. Lanes of which not all was stored have to ask their streams anew.
func (f *flight) end(b *sink.Batch) (progress bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.legs {
		l := g.lane
		g.over = true // what comes now is late
		g.stored = min(g.stored, len(g.rows))
		for _, row := range g.rows[:g.stored] {
			l.marks.Add(&b.Rows[row].ID)
			progress = true
		}
		if g.err == nil && g.stored == len(g.rows) {
			l.seq = g.seq
			continue
		}
		l.synced = false
		l.alone = errors.Is(g.err, errDuplicate)
		if g.err == nil {
			g.err = ErrOutOfStep
		}
		if g.bad >= 0 && g.bad < len(g.rows) {
			err = sink.Poison(g.rows[g.bad], g.err)
		} else if err == nil {
			err = g.err
		}
	}
	return progress, err
}

// tooLong is that a stream takes no message of this length.
type tooLong struct{ text string }

func (e *tooLong) Error() string { return "nats: " + e.text }

// answer is what a server said: how far a batch is (of the kind "ack"), what it has stored, or why
// it stores no more.
type answer struct {
	kind      string
	count     int // messages of the batch
	seq       uint64
	duplicate bool
	err       error
}

var flowAck = []byte(`{"type":"ack"`)

func readAnswer(m *nats.Msg) (a answer) {
	if len(m.Data) == 0 {
		if m.Header.Get("Status") == "503" {
			return answer{err: ErrNoStream}
		}
		return answer{err: fmt.Errorf("%w: an empty one", ErrNoAnswer)}
	}
	if bytes.HasPrefix(m.Data, flowAck) {
		return answer{kind: "ack"}
	}
	var said struct {
		Type      string              `json:"type"`
		Seq       uint64              `json:"seq"`
		Count     int                 `json:"count"`
		Duplicate bool                `json:"duplicate"`
		Error     *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &said); err != nil {
		return answer{err: fmt.Errorf("%w: %.100q", ErrNoAnswer, m.Data)}
	}
	switch {
	case said.Error != nil && said.Error.ErrorCode == codeWrongLastSequence:
		return answer{err: fmt.Errorf("%w: %s", ErrOutOfStep, said.Error.Description)}
	case said.Error != nil && said.Error.ErrorCode == codeMessageTooLong:
		return answer{err: &tooLong{said.Error.Description}}
	case said.Error != nil:
		return answer{err: fmt.Errorf("nats: %w", said.Error)}
	case said.Type == "ack":
		return answer{kind: "ack"}
	case said.Type != "": // a hole
		return answer{err: fmt.Errorf("%w: %.100q", ErrOutOfStep, m.Data)}
	}
	return answer{count: said.Count, seq: said.Seq, duplicate: said.Duplicate}
}
