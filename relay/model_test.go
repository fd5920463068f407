package relay_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/sim"
)

// TestModel: clients come, subscribe, unsubscribe and go at random, and the upstream's connection
// breaks now and then. Each client must get, serial by serial, what came from upstream while it
// held a topic of it, once and in order, and nothing else.
func TestModel(t *testing.T) {
	left := operations(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d operations", seed, left)
	up := fixture.Start(t, sim.Config{Numbered: true, Rate: 4000})
	r := &record{parser: tickstorm.NewParser(tickstorm.Stocks)}
	cfg := up.ClientConfig(tickstorm.Stocks)
	cfg.Tap = r
	b := startAt(t, up, cfg, func(c *relay.Config) {
		c.Linger = 3 * time.Millisecond
		c.Queue.Bytes = 256 << 20 // a client that is behind is not what this is about
	})
	const clients = 8
	results := make(chan error, clients)
	for i := range clients {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		go func() { results <- live(b.addr, r, random, left/clients) }()
	}
	chaos := rand.New(rand.NewPCG(seed, clients))
	cuts := time.NewTicker(50 * time.Millisecond)
	defer cuts.Stop()
	for running := clients; running > 0; {
		select {
		case err := <-results:
			require.NoError(t, err)
			running--
		case <-cuts.C:
			if conns := up.Conns(); len(conns) > 0 && chaos.IntN(4) == 0 {
				conns[0].Cut()
			}
		}
	}
	require.Positive(t, r.len())
}

// operations is how many operations the model test does; "make proof" asks for a million.
func operations(t *testing.T) int {
	t.Helper()
	text := os.Getenv("TICKSTORM_OPERATIONS")
	if text == "" {
		return 4000
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// live is one client after the other, for so many operations.
func live(addr string, r *record, random *rand.Rand, operations int) error {
	symbols := append([]string{tickstorm.All}, sim.Symbols(tickstorm.Stocks)[:5]...)
	var m *member
	for range operations {
		if m == nil {
			var err error
			if m, err = join(addr, r); err != nil {
				return err
			}
		}
		var topics []string
		for range 1 + random.IntN(3) {
			topics = append(topics, string("TQ"[random.IntN(2)])+"."+symbols[random.IntN(len(symbols))])
		}
		var err error
		switch n := random.IntN(40); {
		case n == 0: // goes without a word
			err = m.leave(false)
			m = nil
		case n == 1:
			err = m.leave(true)
			m = nil
		case n < 20:
			err = m.subscribe(topics)
		case n < 36:
			err = m.unsubscribe(topics)
		default:
			err = m.settle()
		}
		if err != nil {
			return err
		}
	}
	if m == nil {
		return nil
	}
	return m.leave(true)
}

// record is all that has come from upstream, each event with its serial number and its topic. It
// hears each event before the relay hands it out.
type record struct {
	tickstorm.NopHandler
	parser *tickstorm.Parser

	mu     sync.Mutex
	events []serial
	handed int // how many of them the relay has handed out for certain
}

type serial struct {
	number int64
	topic  tickstorm.Topic
}

func (r *record) OnMessage(msg []byte, _ int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handed = len(r.events) // one message is handed out before the next is heard
	if err := r.parser.Parse(msg, r); err != nil {
		panic(err)
	}
}

func (r *record) OnState(*tickstorm.StateChange) {}
func (r *record) OnGap(*tickstorm.Gap)           {}
func (r *record) OnTrade(e *tickstorm.Trade)     { r.add(e.Sequence, "T", e.Symbol) }
func (r *record) OnQuote(e *tickstorm.Quote)     { r.add(e.Sequence, "Q", e.Symbol) }

func (r *record) add(number int64, channel, symbol string) {
	r.events = append(r.events, serial{number, tickstorm.Topic{Channel: channel, Symbol: symbol}})
}

// len returns how many events have come, and done how many the relay is done with.
func (r *record) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events)
}

func (r *record) done() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.handed
}

func (r *record) between(from, to int) []serial {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[from:to:to]
}

// span is what the model knows of one subscription, in places of the record: events of its topic
// may come from mayFrom on and before mayTo, and must from mustFrom on and before mustTo.
type span struct{ mayFrom, mustFrom, mustTo, mayTo int }

const open = math.MaxInt

// member is a client with its model.
type member struct {
	tickstorm.NopHandler
	record  *record
	c       *client
	parser  *tickstorm.Parser
	born    int // where in the record
	held    map[tickstorm.Topic]*span
	spans   map[tickstorm.Topic][]*span
	got     []int64
	waiting map[tickstorm.Topic]bool // for acknowledgements
	barrier int
	passed  string // the last barrier that was
	refused error
}

// join connects.
func join(addr string, r *record) (*member, error) {
	c, err := dial("tcp", addr, "/stocks", nil)
	if err != nil {
		return nil, err
	}
	m := &member{
		record: r, c: c, born: r.done(), parser: tickstorm.NewParser(tickstorm.Stocks),
		held: map[tickstorm.Topic]*span{}, spans: map[tickstorm.Topic][]*span{}, waiting: map[tickstorm.Topic]bool{},
	}
	c.framer = frame.New(frame.Config{Buffer: 64 << 10}, m)
	return m, m.do(auth)
}

func (m *member) OnMessage(_ ws.OpCode, p []byte) error { return m.parser.Parse(p, m) }
func (m *member) OnControl(ws.OpCode, []byte)           {}
func (m *member) OnTrade(e *tickstorm.Trade)            { m.got = append(m.got, e.Sequence) }
func (m *member) OnQuote(e *tickstorm.Quote)            { m.got = append(m.got, e.Sequence) }

func (m *member) OnStatus(s *tickstorm.Status) {
	switch s.Code() {
	case tickstorm.StatusSubscribed:
		for t := range s.Topics() {
			delete(m.waiting, t)
		}
	case tickstorm.StatusUnsubscribed:
		for t := range s.Topics() {
			if t.Channel == "A" {
				m.passed = t.Symbol
			}
		}
	case tickstorm.StatusConnected, tickstorm.StatusAuthSuccess, tickstorm.StatusOther:
	default:
		m.refused = fmt.Errorf("refused: %s", s.Raw)
	}
}

// do sends a request and waits until it has been dealt with.
func (m *member) do(request string) error {
	_ = m.c.framer.Send(ws.OpText, []byte(request)) // the errors are those of who writes nonsense
	for len(m.waiting) > 0 {
		if err := m.turn(); err != nil {
			return err
		}
	}
	return m.settle()
}

// settle waits until all that was sent has been dealt with: what is behind it is answered.
func (m *member) settle() error {
	m.barrier++
	name := strconv.Itoa(m.barrier)
	_ = m.c.framer.Send(ws.OpText, []byte(unsubscribe("A."+name)))
	for m.passed != name {
		if err := m.turn(); err != nil {
			return err
		}
	}
	return m.refused
}

// turn writes what there is to write, and reads once.
func (m *member) turn() error {
	if out := m.c.framer.Outgoing(); len(out) > 0 {
		if _, err := m.c.nc.Write(out); err != nil {
			return err
		}
		m.c.framer.Sent(len(out))
	}
	return m.c.more()
}

func (m *member) subscribe(names []string) error {
	var added []*span
	for _, name := range names {
		t, err := tickstorm.ParseTopic(name)
		if err != nil {
			return err
		}
		m.waiting[t] = true
		if m.held[t] == nil {
			s := &span{m.record.done(), open, open, open}
			m.held[t] = s
			m.spans[t] = append(m.spans[t], s)
			added = append(added, s)
		}
	}
	err := m.do(subscribe(strings.Join(names, ",")))
	now := m.record.len()
	for _, s := range added {
		s.mustFrom = now
	}
	return err
}

func (m *member) unsubscribe(names []string) error {
	var ended []*span
	for _, name := range names {
		t, err := tickstorm.ParseTopic(name)
		if err != nil {
			return err
		}
		if s := m.held[t]; s != nil {
			s.mustTo = m.record.done()
			ended = append(ended, s)
			delete(m.held, t)
		}
	}
	err := m.do(unsubscribe(strings.Join(names, ",")))
	now := m.record.len()
	for _, s := range ended {
		s.mayTo = now
	}
	return err
}

// leave ends the connection, and checks what has come on it: all of it, if politely, or what came
// before it ended.
func (m *member) leave(politely bool) error {
	if politely {
		var names []string
		for t := range m.held {
			names = append(names, t.String())
		}
		if err := m.unsubscribe(append(names, "T.NONE")); err != nil {
			return err
		}
	}
	end := m.record.len()
	if politely { // answers overtake events
		if err := m.drain(end); err != nil {
			return err
		}
	}
	_ = m.c.nc.Close()
	return m.check(end, politely)
}

// drain reads until the last event that must come has.
func (m *member) drain(end int) error {
	last := int64(0)
	for i, e := range m.record.between(m.born, end) {
		if must, _ := m.covers(m.born+i, e.topic); must {
			last = e.number
		}
	}
	for last > 0 && (len(m.got) == 0 || m.got[len(m.got)-1] < last) {
		if err := m.turn(); err != nil {
			return err
		}
	}
	return nil
}

// covers returns whether an event at a place of the record must come, and whether it may.
func (m *member) covers(at int, t tickstorm.Topic) (must, may bool) {
	for _, t := range [2]tickstorm.Topic{t, {Channel: t.Channel, Symbol: tickstorm.All}} {
		for _, s := range m.spans[t] {
			must = must || s.mustFrom <= at && at < s.mustTo
			may = may || s.mayFrom <= at && at < s.mayTo
		}
	}
	return must, may
}

// check holds what came against the record.
func (m *member) check(end int, whole bool) error {
	got := m.got
	for i, e := range m.record.between(m.born, end) {
		if len(got) == 0 && !whole {
			return nil
		}
		must, may := m.covers(m.born+i, e.topic)
		switch {
		case len(got) > 0 && got[0] == e.number:
			if !may {
				return fmt.Errorf("%d of %s came, and was not wanted", e.number, e.topic)
			}
			got = got[1:]
		case must:
			return fmt.Errorf("%d of %s did not come; next is %v", e.number, e.topic, got[:min(len(got), 3)])
		}
	}
	if len(got) > 0 {
		return fmt.Errorf("%v came twice, out of order or from nowhere", got[:min(len(got), 3)])
	}
	return nil
}
