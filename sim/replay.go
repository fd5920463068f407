package sim

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
)

// Replay is a recording to send in place of a generated market: messages, one a line.
// Each connection gets all of it from the beginning, once it has subscribed to something,
// whatever that is.
type Replay struct {
	// Open opens the recording for one connection. It is called concurrently.
	Open func(m tickstorm.Market) (io.ReadCloser, error)
	// Speed is how many times faster than recorded the messages are sent, by the
	// timestamps of their events; 0 is as fast as the connection takes them. A message
	// without a timestamp goes out with the one before it, and so does one that is older.
	Speed float64
	// Loop begins again at the end. Without it the server then stays silent.
	Loop bool
}

// ReplayFile replays a file on all markets, at a speed as in [Replay].
func ReplayFile(path string, speed float64) *Replay {
	return &Replay{Speed: speed, Open: func(tickstorm.Market) (io.ReadCloser, error) { return os.Open(path) }}
}

// ReplayMessages replays messages that have no line breaks on all markets, at a speed
// as in [Replay].
func ReplayMessages(messages [][]byte, speed float64) *Replay {
	all := bytes.Join(messages, []byte{'\n'})
	return &Replay{Speed: speed, Open: func(tickstorm.Market) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(all)), nil
	}}
}

// maxLine is the longest message of a recording.
const maxLine = 64 << 20

func (c *Conn) replay(r *Replay) {
	for !c.holds() {
		select {
		case <-c.subscribed:
		case <-c.dying:
			return
		}
	}
	for again := true; again; again = r.Loop {
		sent, err := c.replayOnce(r)
		if err != nil {
			c.server.cfg.Logger.Error("sim: replay", "conn", c.id, "err", err)
		}
		if err != nil || sent == 0 {
			return
		}
	}
}

// holds reports whether the client has subscribed to anything.
func (c *Conn) holds() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.held) > 0
}

// replayOnce sends the recording. It returns how many messages it has sent: none if
// the connection has ended.
func (c *Conn) replayOnce(r *Replay) (sent int, err error) {
	file, err := r.Open(c.market)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	clock := newMessageClock(c.market)
	timer, pause := newStopped(), newStopped()
	defer pause.Stop()
	var first int64
	begun := time.Now()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if r.Speed > 0 {
			if at := clock.read(line); at != 0 {
				if first == 0 {
					first = at
				}
				pause.Reset(time.Until(begun.Add(time.Duration(float64(at-first) / r.Speed))))
				select {
				case <-pause.C:
				case <-c.dying:
					return 0, nil
				}
			}
		}
		if !c.awaitRoom(c.sendBuffer(), timer) || c.finishing.Load() {
			return 0, nil
		}
		c.sendData(line)
		sent++
	}
	return sent, lines.Err()
}

// sendData sends a message of data, with the faults that are due before it.
func (c *Conn) sendData(message []byte) {
	c.streaming.Lock()
	c.streamFaults()
	c.scratch = appendFrame(c.scratch[:0], ws.OpText, message)
	c.out.append(c.scratch)
	c.messages++
	c.bytes += int64(len(message))
	c.streaming.Unlock()
	c.server.counters.messages.Add(1)
	c.server.counters.bytes.Add(int64(len(message)))
	c.server.change()
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
