package tickstorm_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// journal is a Tap that writes down what it gets.
type journal struct{ lines []string }

func (j *journal) OnMessage(msg []byte, received int64) {
	j.lines = append(j.lines, fmt.Sprintf("%s at %v", msg, time.Unix(0, received).Sub(began)))
}
func (j *journal) OnState(s *tickstorm.StateChange) { j.lines = append(j.lines, s.State.String()) }
func (j *journal) OnGap(g *tickstorm.Gap)           { j.lines = append(j.lines, "gap "+fixture.Listed(g.Topics)) }

// TestTap: the tap has everything as it came and in its order, before the handler.
func TestTap(t *testing.T) {
	j := new(journal)
	d := driveByHand(t, func(cfg *tickstorm.Config) { cfg.Tap = j })
	require.NoError(t, d.l.Request(nil, fixture.Topics(t, "T.A")...))
	handled := 0
	d.l.SetHandler(&fixture.OnTrade{Do: func(*tickstorm.Trade) {
		handled++
		require.Contains(t, j.lines[len(j.lines)-1], `"sym":"A"`)
	}})
	p := d.connect()
	require.NoError(t, p.say(fixture.Acks("T.A")...))
	p.after(time.Second)
	require.NoError(t, p.say(fixture.Trade("A"), `{"ev":"status","status":"success","message":"your key is `+fixture.Key+`"}`))
	_, err := d.l.Lost(io.EOF, p.now)
	require.NoError(t, err)
	p = d.connect()
	require.NoError(t, p.say(fixture.Acks("T.A")...))
	require.NoError(t, p.say(fixture.Trade("A")))
	require.Equal(t, 2, handled)
	auth := "[" + fixture.Status("auth_success", "authenticated") + "] at 0s"
	require.Equal(t, []string{
		"connecting", "authenticating", auth, "subscribing", "[" + fixture.Acks("T.A")[0] + "] at 0s", "streaming",
		"[" + fixture.Trade("A") + `,{"ev":"status","status":"success","message":"your key is [redacted]"}] at 1s`, "backoff",
		"connecting", "authenticating", auth, "subscribing", "[" + fixture.Acks("T.A")[0] + "] at 0s", "streaming",
		"gap T.A", "[" + fixture.Trade("A") + "] at 0s",
	}, j.lines)
}

// TestConfigCallbacks: what a handler behind a queue is told in its turn, these are told at
// once.
func TestConfigCallbacks(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		var states, gaps []string
		release := make(chan struct{})
		d := &diary{}
		slow := &onTradeDiary{diary: d, do: func() { <-release }}
		c := simClientWith(t, server, slow, func(cfg *tickstorm.Config) {
			cfg.OnState = func(s *tickstorm.StateChange) { states = append(states, s.State.String()) }
			cfg.OnGap = func(g *tickstorm.Gap) { gaps = append(gaps, fixture.Listed(g.Topics)) }
		})
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 1)
		server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
		synctest.Wait()
		server.Conns()[0].Cut()
		fixture.Settled(t, server, 2, 1)
		server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
		synctest.Wait()
		require.Equal(t, "connecting, authenticating, subscribing, streaming, backoff, "+
			"connecting, authenticating, subscribing, streaming", strings.Join(states, ", "))
		require.Equal(t, []string{"T.A"}, gaps)
		require.Equal(t, "connecting, authenticating, subscribing, streaming", d.text(), "the handler has not got that far")
		close(release)
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
		require.Equal(t, "closed", states[len(states)-1])
		require.Equal(t, "connecting, authenticating, subscribing, streaming, A, backoff, "+
			"connecting, authenticating, subscribing, streaming, gap, A, closed", d.text())
	})
}

// onTradeDiary does something before it writes a trade down.
type onTradeDiary struct {
	*diary
	do func()
}

func (d *onTradeDiary) OnTrade(e *tickstorm.Trade) {
	d.do()
	d.diary.OnTrade(e)
}

// TestConfigOnDrop: what a message has made the queue drop is told before the next one comes.
func TestConfigOnDrop(t *testing.T) {
	for _, consumers := range []int{1, 3} {
		var told []string
		q, err := tickstorm.NewQueue(tickstorm.Config{
			Market: tickstorm.Stocks,
			Queue:  tickstorm.QueueConfig{Bytes: 1 << 10 * consumers, Consumers: consumers, Overflow: tickstorm.OverflowDropNewest},
			OnDrop: func(d *tickstorm.Drop) { told = append(told, fmt.Sprint(d.Count, d.Channels, d.First, d.Last)) },
		}, nil)
		require.NoError(t, err)
		long := `{"ev":"T","sym":"A","i":"` + strings.Repeat("x", 1<<10) + `"}`
		q.OnRaw([]byte("["+fixture.Trade("A")+"]"), 1)
		require.Empty(t, told)
		q.OnRaw([]byte("["+long+","+fixture.Trade("B")+","+strings.Replace(long, `"A"`, `"C"`, 1)+"]"), 2)
		q.OnRaw([]byte("["+fixture.Trade("C")+"]"), 3)
		q.OnRaw([]byte("["+strings.Replace(long, `"T"`, `"Q"`, 1)+"]"), 4)
		require.Equal(t, []string{"2 [T 2] 2 2", "1 [Q 1] 4 4"}, told)
	}
}
