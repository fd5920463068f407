package fanout_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fanout"
)

// sent is an event as the model knows it.
type sent struct {
	serial  int
	text    string
	channel string
	symbol  string // "" if it has none
}

// client is a small reference of one outlet: what must come out, event by event.
type client struct {
	out    *fanout.Outlet
	conn   *sink
	policy tickstorm.Overflow
	topics map[tickstorm.Topic]bool // as the hub has them
	want   []sent                   // since it was checked last
	ended  chan error

	asked map[tickstorm.Topic]int // how often
	told  map[tickstorm.Topic]int // for what time it has been told
	notes map[string]func()       // what a message tells
	next  int                     // of notes
	total uint64                  // events wanted
	noted bool                    // a note has parted what waits, so that it may not have had room
}

// covers reports whether an event is of some topics, by the rules of Hub.Message.
func covers[V any](topics map[tickstorm.Topic]V, e sent) bool {
	for t := range topics {
		if t.Channel == e.channel && (t.Symbol == tickstorm.All || t.Symbol == e.symbol || e.channel == "NEW") {
			return true
		}
	}
	return false
}

// model drives a hub at random, and knows what each outlet has to write.
type model struct {
	t       testing.TB
	rnd     *rand.Rand
	hub     *fanout.Hub
	clients []*client
	serial  int
	long    bool // elements may be
}

// modelFlush is the interval at which some of the clients are written to.
const modelFlush = time.Millisecond

var modelPolicies = []tickstorm.Overflow{
	tickstorm.OverflowDropNewest, tickstorm.OverflowDropOldest, tickstorm.OverflowConflate, tickstorm.OverflowDisconnect,
}

// TestModel joins, subscribes, stalls and ends clients at random while messages flow, under every
// policy, and holds what they get against the reference: every event once, in its place, as it
// came, or in a note that tells at its place that it was dropped, or superseded by a later one.
func TestModel(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &model{
					t: t, rnd: rand.New(rand.NewPCG(seed, 0)), long: seed%3 == 0,
					hub: fanout.New(fanout.Config{Market: tickstorm.Stocks, MaxMessage: 20 << 10}),
				}
				m.run()
			})
		})
	}
}

func (m *model) run() {
	for range 4 {
		m.join()
	}
	for range 2000 {
		c := m.clients[m.rnd.IntN(len(m.clients))]
		switch m.rnd.IntN(24) {
		case 0, 1:
			m.subscribe(c)
		case 2:
			m.unsubscribe(c)
		case 3:
			c.conn.stall(m.rnd.IntN(3) > 0)
		case 4:
			if !m.check(c) {
				m.drop(c)
				m.join()
			}
		case 5:
			if m.rnd.IntN(6) == 0 {
				m.end(c)
				m.join()
			}
		case 6:
			if len(m.clients) < 9 {
				m.join()
			}
		case 7:
			time.Sleep(time.Duration(m.rnd.IntN(2)) * modelFlush)
			synctest.Wait()
		default:
			m.send()
		}
	}
	for len(m.clients) > 0 {
		m.end(m.clients[0])
	}
	require.Zero(m.t, m.hub.Lent())
	require.Zero(m.t, m.hub.Stats().Outlets)
}

func (m *model) join() {
	c := &client{
		conn: newSink(), policy: modelPolicies[m.rnd.IntN(len(modelPolicies))],
		topics: map[tickstorm.Topic]bool{}, asked: map[tickstorm.Topic]int{}, told: map[tickstorm.Topic]int{}, notes: map[string]func(){}, ended: make(chan error, 1),
	}
	cfg := fanout.OutletConfig{
		Bytes: 64 << 10, Overflow: c.policy, Dropped: dropped, WriteTimeout: 1 << 50, CloseTimeout: 1 << 40,
		Control: 1 << 20, OnEnd: func(err error) { c.ended <- err },
	}
	if m.rnd.IntN(2) == 0 {
		cfg.High = 20<<10 + m.rnd.IntN(40<<10)
		cfg.Low = m.rnd.IntN(cfg.High)
	}
	if m.rnd.IntN(2) == 0 {
		cfg.FlushInterval = modelFlush
	}
	c.out = m.hub.Join(c.conn, cfg)
	m.clients = append(m.clients, c)
	for range m.rnd.IntN(4) {
		m.subscribe(c)
	}
}

func (m *model) topic() tickstorm.Topic {
	t := tickstorm.Topic{Channel: []string{"T", "Q", "AM", "LULD", "NEW"}[m.rnd.IntN(5)], Symbol: string(rune('A' + m.rnd.IntN(12)))}
	switch {
	case t.Channel == "NEW":
		t.Symbol = string(rune('A' + m.rnd.IntN(2)))
	case m.rnd.IntN(4) == 0:
		t.Symbol = tickstorm.All
	}
	return t
}

// tells returns a message of its own, which does something when it is read.
func (c *client) tells(f func()) []byte {
	c.next++
	msg := fmt.Sprintf(`[{"ev":"status","message":"note %d"}]`, c.next)
	c.notes[msg] = f
	return []byte(msg)
}

// subscribe acknowledges before events come.
func (m *model) subscribe(c *client) {
	t := m.topic()
	c.asked[t]++
	asked := c.asked[t]
	c.out.Answer(c.tells(func() { c.told[t] = asked }))
	c.out.Subscribe(t)
	c.topics[t] = true
}

// unsubscribe acknowledges behind the last event.
func (m *model) unsubscribe(c *client) {
	t := m.topic()
	delete(c.topics, t)
	c.noted = c.noted || c.out.Stats().Conflating
	c.out.Unsubscribe(t)
	asked := c.asked[t]
	c.out.Note(c.tells(func() {
		if c.told[t] == asked { // else it was wanted again, and the answer has overtaken this
			delete(c.told, t)
		}
	}))
}

// event makes one of the forms that the feed may have.
func (m *model) event() (e sent, text string) {
	m.serial++
	e = sent{serial: m.serial, channel: []string{"T", "Q", "Q", "AM", "LULD", "NEW", "ODD"}[m.rnd.IntN(7)]}
	pad := ""
	if m.rnd.IntN(4) == 0 {
		pad = strings.Repeat("x", m.rnd.IntN(500))
	}
	if m.long && m.rnd.IntN(40) == 0 {
		pad = strings.Repeat("x", 6000)
	}
	if m.rnd.IntN(12) > 0 && e.channel != "NEW" && e.channel != "ODD" {
		e.symbol = string(rune('A' + m.rnd.IntN(12)))
	}
	sym := ""
	key := "sym"
	if e.channel == "LULD" {
		key = "T"
	}
	if e.symbol != "" {
		sym = fmt.Sprintf(`"%s":"%s",`, key, e.symbol)
	}
	switch m.rnd.IntN(6) {
	case 0:
		text = fmt.Sprintf(`{"n":%d, "pad":"%s" , %s"ev":"%s"}`, e.serial, pad, sym, e.channel)
	case 1:
		text = fmt.Sprintf(`{ "ev" : "%s",%s"n":%d,"pad":"\"}%s"}`, e.channel, sym, e.serial, pad)
	case 2:
		if e.symbol != "" {
			sym = fmt.Sprintf(`"%s":"\u%04x",`, key, e.symbol[0])
		}
		text = fmt.Sprintf(`{"ev":"%s",%s"n":%d,"pad":"%s"}`, e.channel, sym, e.serial, pad)
	default:
		text = fmt.Sprintf(`{"ev":"%s",%s"n":%d,"pad":"%s"}`, e.channel, sym, e.serial, pad)
	}
	e.text = text
	return e, text
}

func (m *model) send() {
	var msg strings.Builder
	msg.WriteString("[")
	n := 1 + m.rnd.IntN(4)
	if m.rnd.IntN(4) == 0 {
		n = 1 + m.rnd.IntN(60)
	}
	for i := range n {
		if i > 0 {
			msg.WriteString([]string{",", ",", ",", " , "}[m.rnd.IntN(4)])
		}
		switch m.rnd.IntN(30) {
		case 0:
			msg.WriteString(`{"ev":"status","status":"success","message":"subscribed to: T.A"}`)
			continue
		case 1:
			msg.WriteString([]string{`7`, `{}`, `{"ev":3}`, `{"n":1}`}[m.rnd.IntN(4)])
			continue
		}
		e, text := m.event()
		msg.WriteString(text)
		for _, c := range m.clients {
			if covers(c.topics, e) {
				c.want = append(c.want, e)
				c.total++
			}
		}
	}
	msg.WriteString("]")
	m.hub.Message([]byte(msg.String()), int64(m.serial))
	for _, c := range m.clients {
		require.LessOrEqual(m.t, c.out.Stats().Bytes, 64<<10+5<<10) // and some notes
	}
}

// check lets a client read all that there is, and holds it against the reference. It reports
// whether the client is still there.
func (m *model) check(c *client) bool {
	c.conn.stall(false)
	synctest.Wait() // for the write that it held up, which may be what the interval begins with
	time.Sleep(modelFlush)
	synctest.Wait()
	st := c.out.Stats()
	require.Zero(m.t, st.Waiting)
	require.Zero(m.t, st.Bytes)
	require.False(m.t, st.Conflating)
	require.False(m.t, st.Dropping)
	require.Equal(m.t, st.Events, st.Written+st.Dropped+st.Conflated)
	frames := c.conn.written(m.t)
	select {
	case err := <-c.ended: // for which there is one reason here
		require.Equal(m.t, tickstorm.OverflowDisconnect, c.policy)
		require.ErrorIs(m.t, err, fanout.ErrTooSlow)
		require.Equal(m.t, "close 1008 too slow", frames[len(frames)-1])
		frames = frames[:len(frames)-1]
		c.want = c.want[:countEvents(m.t, frames)]
		m.compare(c, frames)
		return false
	default:
		require.Equal(m.t, c.total, st.Events)
		m.compare(c, frames)
		return true
	}
}

// compare takes off what a client wants what it got, and what it was told that it has not got.
func (m *model) compare(c *client, frames []string) {
	t := m.t
	if c.policy == tickstorm.OverflowConflate {
		m.compareConflated(c, frames)
		return
	}
	missing := 0
	for _, f := range frames {
		if m.tells(c, f, &missing) {
			continue
		}
		for _, text := range elements(t, f) {
			require.GreaterOrEqual(t, len(c.want), missing+1, text)
			c.want = c.want[missing:]
			missing = 0
			require.Equal(t, c.want[0].text, text)
			require.True(t, covers(c.told, c.want[0]), "%s and has been told of %v", text, c.told)
			c.want = c.want[1:]
		}
	}
	require.Len(t, c.want, missing)
	c.want = nil
}

// tells reports whether a frame is no message of events, and does what it tells.
func (m *model) tells(c *client, frame string, missing *int) bool {
	if f, ok := c.notes[frame]; ok {
		f()
		delete(c.notes, frame)
		return true
	}
	var statuses []struct{ EV, Status, Message string }
	require.NoError(m.t, json.Unmarshal([]byte(frame), &statuses), frame)
	if statuses[0].Status != "dropped" {
		return false
	}
	n := 0
	require.NoError(m.t, json.Unmarshal([]byte(statuses[0].Message), &n))
	*missing += n
	return true
}

func countEvents(t testing.TB, frames []string) (n int) {
	for _, f := range frames {
		if !strings.Contains(f, `"status"`) {
			n += len(elements(t, f))
		}
	}
	return n
}

// compareConflated: of each channel and symbol events come in order, the last of them if they
// may be conflated, and all others are told.
func (m *model) compareConflated(c *client, frames []string) {
	t := m.t
	index := map[string]int{}
	for i, e := range c.want {
		index[e.text] = i
	}
	got, last, missing := map[int]bool{}, map[string]int{}, 0
	for _, f := range frames {
		if m.tells(c, f, &missing) {
			continue
		}
		for _, text := range elements(t, f) {
			i, ok := index[text]
			require.True(t, ok, text)
			require.False(t, got[i])
			got[i] = true
			e := c.want[i]
			require.True(t, covers(c.told, e), "%s and has been told of %v", text, c.told)
			key := e.channel + " " + e.symbol
			require.LessOrEqual(t, last[key], e.serial, key)
			last[key] = e.serial
		}
	}
	conflated := 0
	for i, e := range c.want {
		switch {
		case got[i]:
		case e.symbol != "" && (e.channel == "Q" || e.channel == "AM") && last[e.channel+" "+e.symbol] > e.serial:
			conflated++
		default:
			missing--
			last := e.symbol != "" && (e.channel == "Q" || e.channel == "AM")
			require.False(t, last && !m.long && !c.noted, "the last of its kind is missing: %s", e.text)
		}
	}
	// What was conflated may have been dropped instead, and told.
	require.GreaterOrEqual(t, missing, 0)
	require.LessOrEqual(t, missing, conflated)
	c.want, c.noted = nil, false
}

// end ends a client in one of the ways.
func (m *model) end(c *client) {
	alive := m.check(c)
	if alive {
		c.conn.stall(m.rnd.IntN(2) == 0)
		for range m.rnd.IntN(20) {
			m.send()
		}
		switch m.rnd.IntN(3) {
		case 0:
			c.out.Close(1012, "bye")
			frames := m.last(c)
			if len(frames) > 0 && frames[len(frames)-1] == "close 1012 bye" {
				m.compare(c, frames[:len(frames)-1])
			}
		case 1:
			c.out.Hangup([]byte{0x8A, 0})
			m.last(c)
		case 2:
			c.out.Cut()
			m.last(c)
		}
	}
	m.drop(c)
}

// last sends what comes too late, and returns what a client gets before the end.
func (m *model) last(c *client) []string {
	want := c.want
	m.send()
	c.want = want
	c.conn.stall(false)
	<-c.out.Done()
	return c.conn.written(m.t)
}

// drop takes a client out that has ended.
func (m *model) drop(c *client) {
	<-c.out.Done()
	st := c.out.Stats()
	require.Zero(m.t, st.Bytes)
	require.Zero(m.t, st.Waiting)
	m.clients = slices.DeleteFunc(m.clients, func(other *client) bool { return other == c })
}
