package sim

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// Source is a recording as it is read for one connection, message by message. One that has a
// Close method is closed when the connection has ended.
type Source interface {
	// Next returns the next message and when it was received, in nanoseconds since 1970; 0 is
	// with the one before. msg is valid until the next call. The error is io.EOF at the end;
	// with any other the connection's replay ends, and the server logs it.
	Next() (msg []byte, received int64, err error)
}

// Seeker is an optional ability of a [Source]: SeekTo has Next go on with the first message that
// was received at a time, in nanoseconds since 1970, or later, forwards or back.
type Seeker interface {
	SeekTo(received int64) error
}

// Replay is a recording to send in place of a generated market. Each connection gets it from
// the beginning, once it has subscribed to something, and of it what it has subscribed to:
// elements of the channels and symbols of its topics, each as it was recorded. Statuses in it,
// which were another dialogue's, are left out, but for upstream_disconnected, upstream_connected,
// gap and dropped, by which a recording tells what it lacks: those, and what is of no channel that
// the market has, or no JSON, every connection gets. Messages stay below 1,000,000 bytes, more than which the vendor's
// clients do not read, unless one element is longer.
type Replay struct {
	// Open opens the recording for one connection. It is called concurrently.
	Open func(m tickstorm.Market) (Source, error)
	// Speed is how many times faster than recorded the messages are sent; 0 is as fast as the
	// connection takes them. Each message has its time from the beginning on, so that delays do
	// not add up; one that is older than the one before goes out with that. A [Playback] can
	// change it.
	Speed float64
	// MaxIdle is the longest time that nothing is sent where the recording has nothing for
	// longer, as it is played; 0 is as long as that.
	MaxIdle time.Duration
	// Loop begins again at the end, as long as there is more than statuses. Without it the server
	// then stays silent.
	Loop bool
}

// ReplayFile replays messages in a file, one a line, on all markets, at a speed as in [Replay]
// by the times of their events.
func ReplayFile(path string, speed float64) *Replay {
	return &Replay{Speed: speed, Open: func(m tickstorm.Market) (Source, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		return newLines(m, f, f), nil
	}}
}

// ReplayMessages replays messages that have no line breaks on all markets, at a speed as in
// [Replay] by the times of their events.
func ReplayMessages(messages [][]byte, speed float64) *Replay {
	all := bytes.Join(messages, []byte{'\n'})
	return &Replay{Speed: speed, Open: func(m tickstorm.Market) (Source, error) {
		return newLines(m, bytes.NewReader(all), nil), nil
	}}
}

// lines is a Source of messages, one a line, by the times of their events.
type lines struct {
	io.Closer
	from  io.ReadSeeker
	scan  *bufio.Scanner
	clock *messageClock
	held  bool // the line that was read last comes next
	at    int64
}

// maxLine is the longest message of a recording.
const maxLine = 64 << 20

func newLines(m tickstorm.Market, from io.ReadSeeker, closer io.Closer) *lines {
	if closer == nil {
		closer = io.NopCloser(nil)
	}
	l := &lines{Closer: closer, from: from, clock: newMessageClock(m)}
	l.rewind()
	return l
}

func (l *lines) rewind() {
	l.scan, l.held, l.at = bufio.NewScanner(l.from), false, 0
	l.scan.Buffer(nil, maxLine)
}

func (l *lines) Next() (msg []byte, received int64, err error) {
	for l.held || l.scan.Scan() {
		line := bytes.TrimSpace(l.scan.Bytes())
		if l.held {
			l.held = false
			return line, l.at, nil
		}
		if len(line) > 0 {
			l.at = l.clock.read(line)
			return line, l.at, nil
		}
	}
	if err := l.scan.Err(); err != nil {
		return nil, 0, err
	}
	return nil, 0, io.EOF
}

// SeekTo reads from the beginning: lines have no index.
func (l *lines) SeekTo(received int64) error {
	if _, err := l.from.Seek(0, io.SeekStart); err != nil {
		return err
	}
	l.rewind()
	for {
		_, at, err := l.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case at >= received:
			l.held = true
			return nil
		}
	}
}

// replay sends the recording, again and again if that is wanted.
func (c *Conn) replay(r *Replay) {
	for !c.holds() {
		select {
		case <-c.subscribed:
		case <-c.dying:
			return
		}
	}
	p := player{playback: c.server.playback, maxIdle: r.MaxIdle, wake: newStopped()}
	defer p.wake.Stop()
	for again := true; again; again = r.Loop {
		sent, err := c.replayOnce(r, &p)
		if err != nil {
			c.server.cfg.Logger.Error("sim: replay", "conn", c.id, "err", err)
		}
		if err != nil || sent == 0 {
			return
		}
	}
}

// holds reports whether the client has subscribed to anything and was told so: a recording that
// began before that would lose its first messages.
func (c *Conn) holds() bool {
	c.streaming.Lock()
	defer c.streaming.Unlock()
	return c.wants.any()
}

// replayOnce sends the recording. It returns how many messages of it there were that are not of
// statuses alone: none if the connection has ended.
func (c *Conn) replayOnce(r *Replay, p *player) (read int, err error) {
	source, err := r.Open(c.market)
	if err != nil {
		return 0, err
	}
	if closer, ok := source.(io.Closer); ok {
		defer closer.Close()
	}
	p.begin(source)
	timer := newStopped()
	for {
		msg, waits, err := p.next()
		switch {
		case errors.Is(err, io.EOF):
			c.handOver()
			return read, nil
		case err != nil:
			return 0, err
		case waits:
			c.handOver()
			if !p.wait(c.dying) {
				return 0, nil
			}
			continue
		}
		if !c.awaitRoom(c.sendBuffer(), timer) || c.finishing.Load() {
			return 0, nil
		}
		if c.sendRecorded(msg) {
			read++
		}
	}
}

// handOver gives what is ready to the writer.
func (c *Conn) handOver() {
	c.streaming.Lock()
	defer c.streaming.Unlock()
	c.chunk = c.out.give(c.chunk)
}

// sendRecorded sends of a recorded message what the client has subscribed to, with the faults
// that are due before it, and reports whether it is more than statuses.
func (c *Conn) sendRecorded(message []byte) bool {
	c.streaming.Lock()
	defer c.streaming.Unlock()
	for part, events := range c.wants.parts(message) {
		c.streamFaults()
		c.chunk = dialogue.AppendFrame(c.chunk, ws.OpText, part)
		c.messages++
		c.bytes += int64(len(part))
		c.server.counters.events.Add(int64(events))
		c.server.counters.messages.Add(1)
		c.server.counters.bytes.Add(int64(len(part)))
	}
	if len(c.chunk) >= chunk {
		c.chunk = c.out.give(c.chunk)
	}
	c.server.change()
	return !c.wants.statuses
}

// messageClock reads the time of the first event of messages.
type messageClock struct {
	tickstorm.NopHandler
	parser *tickstorm.Parser
	at     int64
}

func newMessageClock(m tickstorm.Market) *messageClock {
	return &messageClock{parser: tickstorm.NewParser(m)}
}

// read returns the time in nanoseconds since 1970, 0 if the message has none.
func (m *messageClock) read(message []byte) int64 {
	m.at = 0
	_ = m.parser.Parse(message, m) // recordings of broken messages are replayed too
	return m.at
}

func (m *messageClock) see(t tickstorm.Timestamp) {
	if m.at == 0 {
		m.at = t.Nanoseconds()
	}
}

// OnTrade and the other methods make the clock a handler.
func (m *messageClock) OnTrade(e *tickstorm.Trade)         { m.see(e.Timestamp) }
func (m *messageClock) OnQuote(e *tickstorm.Quote)         { m.see(e.Timestamp) }
func (m *messageClock) OnAggregate(e *tickstorm.Aggregate) { m.see(e.End) }
func (m *messageClock) OnBook(e *tickstorm.Book)           { m.see(e.Timestamp) }
func (m *messageClock) OnLULD(e *tickstorm.LULD)           { m.see(e.Timestamp) }
func (m *messageClock) OnImbalance(e *tickstorm.Imbalance) { m.see(e.Timestamp) }
func (m *messageClock) OnValue(e *tickstorm.Value)         { m.see(e.Timestamp) }
