package sim_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

func TestReplay(t *testing.T) {
	message := func(second int) []byte {
		return fmt.Appendf(nil, `[{"ev":"T","sym":"AAPL","t":%d}]`, 1_765_000_000_000+1000*int64(second))
	}
	recording := [][]byte{message(0), message(2), []byte(`not JSON`), message(1), message(10)}
	synctest.Test(t, func(t *testing.T) {
		s := startPipe(t, sim.Config{Replay: sim.ReplayMessages(recording, 2)})
		c := login(t, s, tickstorm.Stocks)
		time.Sleep(time.Minute) // nothing comes before there is a subscription
		begun := time.Now()
		c.send(subscribe("T.*"))
		c.next()
		for i, at := range []time.Duration{0, time.Second, time.Second, time.Second, 5 * time.Second} {
			c.expect(string(recording[i]))
			require.Equal(t, at, time.Since(begun), "message %d", i)
		}
	})
}

func TestReplayFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "messages.ndjson")
	require.NoError(t, os.WriteFile(file, []byte("[1]\n\n[2]\n"), 0o600))
	replay := sim.ReplayFile(file, 0)
	replay.Loop = true
	s := start(t, sim.Config{Replay: replay})
	c := login(t, s, tickstorm.Crypto)
	c.send(subscribe("XT.*"))
	c.next()
	for range 100 {
		c.expect("[1]")
		c.expect("[2]")
	}
}

// recorded is a Source of messages at times in nanoseconds.
type recorded struct {
	messages []timed
	next     int
	closed   *atomic.Int32
}

type timed struct {
	at  int64
	msg string
}

func (r *recorded) Next() ([]byte, int64, error) {
	if r.next == len(r.messages) {
		return nil, 0, io.EOF
	}
	m := r.messages[r.next]
	r.next++
	return []byte(m.msg), m.at, nil
}

func (r *recorded) Close() error {
	r.closed.Add(1)
	return nil
}

// sought is a recorded that is a Seeker.
type sought struct{ recorded }

func (s *sought) SeekTo(received int64) error {
	for s.next = 0; s.next < len(s.messages) && s.messages[s.next].at < received; s.next++ {
	}
	return nil
}

// each is a recording of one message a second.
func each(n int) []timed {
	var all []timed
	for i := range n {
		all = append(all, timed{1e18 + int64(i)*1e9, fmt.Sprintf(`[{"ev":"T","sym":"A","q":%d}]`, i)})
	}
	return all
}

func replayOf(messages []timed, closed *atomic.Int32) *sim.Replay {
	return &sim.Replay{Speed: 1, Open: func(tickstorm.Market) (sim.Source, error) {
		return &sought{recorded{messages: messages, closed: closed}}, nil
	}}
}

// TestReplayTopics: a client gets of a recording what it has subscribed to, as it was recorded.
func TestReplayTopics(t *testing.T) {
	const (
		apple  = `{"ev":"T", "sym":"AAPL", "p":1.50}`
		quote  = `{"sym":"AAPL","ev":"Q","new":{"a":[1]}}`
		micro  = `{"ev":"T","sym":"MSFT","p":2}`
		status = `{"ev":"status","status":"success","message":"subscribed to: T.*"}`
		other  = `{"ev":"NEW","sym":"MSFT"}`
	)
	message := "[" + strings.Join([]string{apple, status, quote, micro, other}, ",") + "]"
	for _, tc := range []struct{ topics, want string }{
		{"T.AAPL", "[" + apple + "," + other + "]"},
		{"T.*", "[" + apple + "," + micro + "," + other + "]"},
		{"T.*,T.MSFT,Q.AAPL", "[" + apple + "," + quote + "," + micro + "," + other + "]"},
		{"A.*", "[" + other + "]"},
	} {
		t.Run(tc.topics, func(t *testing.T) {
			s := start(t, sim.Config{Replay: sim.ReplayMessages([][]byte{[]byte("[" + status + "]"), []byte(message), []byte("broken")}, 0)})
			c := login(t, s, tickstorm.Stocks)
			c.send(subscribe(tc.topics))
			c.next()
			c.expect(tc.want)
			c.expect("broken")
		})
	}
	t.Run("a pair in another spelling", func(t *testing.T) {
		s := start(t, sim.Config{Replay: sim.ReplayMessages([][]byte{
			[]byte(`[{"ev":"XT","pair":"ETH-USD"},{"ev":"XT","pair":"BTC-USD"},{"ev":"XT","pair":"BTC-USD","p":1}]`)}, 0)})
		c := login(t, s, tickstorm.Crypto)
		c.send(subscribe("XT.BTCUSD"))
		c.next()
		c.expect(`[{"ev":"XT","pair":"BTC-USD"},{"ev":"XT","pair":"BTC-USD","p":1}]`)
	})
	t.Run("changed meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var all []timed
			for i := range 6 {
				all = append(all, timed{1e18 + int64(i)*1e9, fmt.Sprintf(`[{"ev":"T","sym":"A","q":%d},{"ev":"T","sym":"B","q":%d}]`, i, i)})
			}
			s := startPipe(t, sim.Config{Replay: replayOf(all, new(atomic.Int32))})
			c := login(t, s, tickstorm.Stocks)
			c.send(subscribe("T.A"))
			c.next()
			c.expect(`[{"ev":"T","sym":"A","q":0}]`)
			c.expect(`[{"ev":"T","sym":"A","q":1}]`)
			c.send(subscribe("T.B"))
			c.next()
			c.expect(all[2].msg)
			c.send(`{"action":"unsubscribe","params":"T.A"}`)
			c.next()
			c.expect(`[{"ev":"T","sym":"B","q":3}]`)
		})
	})
}

// TestReplayLong: messages stay below what the official clients read, and lose nothing.
func TestReplayLong(t *testing.T) {
	var elements []string
	for i := range 30_000 {
		elements = append(elements, fmt.Sprintf(`{"ev":"T","sym":"A","q":%d,"x":"%s"}`, i, strings.Repeat("x", i%100)))
	}
	s := start(t, sim.Config{Replay: sim.ReplayMessages([][]byte{[]byte("[" + strings.Join(elements, ",") + "]")}, 0)})
	c := login(t, s, tickstorm.Stocks)
	c.send(subscribe("T.*"))
	c.next()
	var got []string
	for n := 0; n < len(strings.Join(elements, ",")); {
		m := c.next()
		require.Less(t, len(m), 1_000_000)
		got = append(got, m[1:len(m)-1])
		n += len(m) - 1
	}
	require.Greater(t, len(got), 2)
	require.Equal(t, strings.Join(elements, ","), strings.Join(got, ","))
}

// TestReplayTells: what a recording says of its gaps every client gets, in its place, whatever it
// has subscribed to. Statuses of the recording's own dialogue nobody gets.
func TestReplayTells(t *testing.T) {
	status := fixture.Status
	const (
		apple = `{"ev":"T","sym":"AAPL"}`
		micro = `{"ev":"T","sym":"MSFT"}`
	)
	down, up, gap, dropped := status("upstream_disconnected", "EOF"), status("upstream_connected", ""), status("gap", "from=1 to=2 cause=EOF"), status("dropped", "3 events")
	spelled := `{ "message":"from=3 to=4 cause=x", "status":"g\u0061p", "ev":"status" }`
	var recording [][]byte
	for _, m := range []string{
		"[" + up + "]",
		"[" + status("success", "subscribed to: T.*") + "]",
		"[" + apple + "]",
		"[" + down + "]", "[" + up + "]", "[" + gap + "]",
		"[" + micro + "," + dropped + "," + status("error", "not authorized") + "," + status("pending", "pending: T.A") + "," + apple + "]",
		"[" + spelled + `,{"ev":"status"},{"ev":"status","status":["gap"]}]`,
		"[" + micro + "]",
	} {
		recording = append(recording, []byte(m))
	}
	s := start(t, sim.Config{Replay: sim.ReplayMessages(recording, 0), MaxConnections: -1})
	for topics, want := range map[string][]string{
		"T.MSFT": {"[" + up + "]", "[" + down + "]", "[" + up + "]", "[" + gap + "]", "[" + micro + "," + dropped + "]", "[" + spelled + "]", "[" + micro + "]"},
		"A.*":    {"[" + up + "]", "[" + down + "]", "[" + up + "]", "[" + gap + "]", "[" + dropped + "]", "[" + spelled + "]"},
	} {
		c := login(t, s, tickstorm.Stocks)
		c.send(subscribe(topics))
		c.next()
		for _, m := range want {
			c.expect(m)
		}
	}
}

// TestReplayLoopOfStatuses: what a recording without events tells is told once, though it is looped.
func TestReplayLoopOfStatuses(t *testing.T) {
	const gap = `[{"ev":"status","status":"gap","message":"from=1 to=2 cause=EOF"}]`
	opened := make(chan struct{}, 1000)
	replay := sim.ReplayMessages([][]byte{[]byte(gap)}, 0)
	open := replay.Open
	replay.Loop = true
	replay.Open = func(m tickstorm.Market) (sim.Source, error) {
		opened <- struct{}{}
		return open(m)
	}
	s := start(t, sim.Config{Replay: replay})
	c := login(t, s, tickstorm.Stocks)
	c.send(subscribe("T.A"))
	c.next()
	c.expect(gap)
	c.send(subscribe("T.B"))
	c.expect(`[{"ev":"status","status":"success","message":"subscribed to: T.B"}]`)
	require.Len(t, opened, 1)
}

// TestReplayBegins: nothing of a recording is lost to clients that subscribe just as their streams
// set out, and so many that these are late.
func TestReplayBegins(t *testing.T) {
	recording := [][]byte{[]byte(`[{"ev":"T","sym":"A","q":0}]`), []byte(`[{"ev":"T","sym":"A","q":1}]`)}
	s := startPipe(t, sim.Config{MaxConnections: 1000, AuthTimeout: -1, SlowTimeout: -1, Replay: sim.ReplayMessages(recording, 0)})
	topics := "T.A" // and some more that take a while to be acknowledged
	for i := range 500 {
		topics += fmt.Sprintf(",T.%d", i)
	}
	clients := make([]*client, 600)
	for i := range clients {
		clients[i] = connect(t, s, tickstorm.Stocks)
		clients[i].next()
	}
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			_ = c.framer.Send(ws.OpText, []byte(`{"action":"auth","params":"`+s.ClientConfig(tickstorm.Stocks).Key+`"}`))
			_ = c.framer.Send(ws.OpText, []byte(subscribe(topics)))
			_, _ = c.nc.Write(c.framer.Outgoing())
		})
	}
	for _, c := range clients {
		first := c.next()
		for strings.Contains(first, `"status"`) {
			first = c.next()
		}
		require.Equal(t, string(recording[0]), first)
		c.expect(string(recording[1]))
	}
	all.Wait()
}

// TestReplayPace: each message has its time from the beginning on, and idle stretches are cut.
func TestReplayPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3600
		all := each(n)
		all = append(all, timed{all[n-1].at + 1e12, "[]"}, timed{all[n-1].at + 1e12 + 2e9, "[]"})
		replay := replayOf(all, new(atomic.Int32))
		replay.Speed, replay.MaxIdle = 10, time.Second
		s := startPipe(t, sim.Config{Replay: replay})
		c := login(t, s, tickstorm.Stocks)
		c.send(subscribe("T.*"))
		c.next()
		begun := time.Now()
		for i := range n {
			c.expect(all[i].msg)
			require.Equal(t, time.Duration(i)*time.Second/10, time.Since(begun))
		}
		c.next()
		require.Equal(t, (n-1)*time.Second/10+time.Second, time.Since(begun))
		c.next()
		require.Equal(t, (n-1)*time.Second/10+1200*time.Millisecond, time.Since(begun))
	})
}

func TestPlayback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, closed := each(100), new(atomic.Int32)
		s := startPipe(t, sim.Config{Replay: replayOf(all, closed)})
		c := login(t, s, tickstorm.Stocks)
		c.send(subscribe("T.*"))
		c.next()
		begun := time.Now()
		at := func(message int, want time.Duration) {
			t.Helper()
			c.expect(all[message].msg)
			require.Equal(t, want, time.Since(begun))
		}
		p := s.Playback()
		at(0, 0)
		at(1, time.Second)
		p.Pause()
		time.Sleep(time.Hour)
		synctest.Wait()
		begun = time.Now()
		p.Resume()
		at(2, time.Second)
		p.SetSpeed(4)
		at(3, 1250*time.Millisecond)
		p.Seek(time.Unix(0, all[50].at-1))
		at(50, 1250*time.Millisecond)
		at(51, 1500*time.Millisecond)
		p.Seek(time.Unix(0, all[10].at))
		at(10, 1500*time.Millisecond)
		p.Pause()
		p.Seek(time.Unix(0, all[90].at))
		time.Sleep(time.Minute)
		p.SetSpeed(0)
		p.Resume()
		begun = time.Now()
		for i := 90; i < 100; i++ {
			at(i, 0)
		}

		late := login(t, s, tickstorm.Crypto) // begins where was sought to
		late.send(subscribe("XT.*"))
		late.next()
		synctest.Wait()
		require.EqualValues(t, 2, closed.Load(), "both have come to the end")
	})
}

// TestReplayLoop: what is looped begins at the beginning, wherever was sought to.
func TestReplayLoop(t *testing.T) {
	all := each(3)
	replay := replayOf(all, new(atomic.Int32))
	replay.Speed, replay.Loop = 0, true
	s := start(t, sim.Config{Replay: replay})
	s.Playback().Seek(time.Unix(0, all[2].at))
	c := login(t, s, tickstorm.Stocks)
	c.send(subscribe("T.*"))
	c.next()
	for _, i := range []int{2, 0, 1, 2, 0, 1, 2} {
		c.expect(all[i].msg)
	}
}

// TestReplayCannotSeek: a source that cannot seek ends its connection's replay, and is closed.
func TestReplayCannotSeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := new(atomic.Int32)
		s := startPipe(t, sim.Config{Replay: &sim.Replay{Speed: 1, Open: func(tickstorm.Market) (sim.Source, error) {
			return &recorded{messages: each(10), closed: closed}, nil
		}}})
		c := login(t, s, tickstorm.Stocks)
		c.send(subscribe("T.*"))
		c.next()
		c.next()
		s.Playback().Seek(time.Unix(0, 0))
		synctest.Wait()
		require.EqualValues(t, 1, closed.Load())
		require.NoError(t, c.nc.SetReadDeadline(time.Now().Add(time.Hour)))
		_, err := c.receive()
		require.True(t, errors.Is(err, os.ErrDeadlineExceeded), "%v", err)
	})
}
