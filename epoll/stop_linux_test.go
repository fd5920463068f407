package epoll_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/epoll"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

// elsewhere calls f on another goroutine and waits for it.
func elsewhere(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// fromAnywhere is where a driver may be stopped from while its handler runs.
var fromAnywhere = []struct {
	name string
	call func(func())
}{
	{"inside", func(f func()) { f() }},
	{"elsewhere", elsewhere},
}

// TestStopDetached: of a window that was read, nothing is delivered after Close inside a
// handler, or Mute from anywhere.
func TestStopDetached(t *testing.T) {
	for _, tc := range []struct {
		name string
		stop func(d *epoll.Detached)
	}{
		{"Close", func(d *epoll.Detached) { _ = d.Close() }},
		{"Mute", func(d *epoll.Detached) { elsewhere(d.Mute) }},
	} {
		for _, method := range []string{"trade", "unknown", "error", "end", "raw"} {
			t.Run(tc.name+" in "+method, func(t *testing.T) {
				raw := &fixture.RawStopping{Stopping: fixture.Stopping{On: method, Nth: 9, Quick: true}}
				h, handler := &raw.Stopping, tickstorm.Handler(&raw.Stopping)
				if method == "raw" {
					handler = raw
				}
				gate := make(chan struct{})
				d := dialDetached(t, fixture.DialConfig(fixture.Listen(t, fixture.StopServerAfter(gate))), handler)
				close(gate)
				h.Do = func() { tc.stop(d) }
				l := newLoop(t, d)
				_ = l.until(func() bool { return h.Done })
				d.Shutdown()
				require.ErrorIs(t, l.until(func() bool { return false }), tickstorm.ErrClosed)
				require.Empty(t, h.After)
			})
		}
	}
}

// stopClients adds clients with a window each to a poller. The first trade of any that is
// handled is where to stop.
func stopClients(t *testing.T, p *epoll.Poller, h *fixture.Stopping, n int) ([]*epoll.Client, []*ending) {
	t.Helper()
	clients, ends := make([]*epoll.Client, n), make([]*ending, n)
	for i := range n {
		clients[i], ends[i] = addClient(t, p, fixture.DialConfig(fixture.Listen(t, fixture.StopServer)), h)
	}
	return clients, ends
}

func TestStopClient(t *testing.T) {
	for _, from := range fromAnywhere {
		for _, method := range []string{"status", "trade", "unknown", "end"} {
			t.Run(from.name+" of "+method, func(t *testing.T) {
				p := newPoller(t, epoll.Config{})
				h := &fixture.Stopping{On: method, Nth: 2, Quick: true}
				clients, ends := stopClients(t, p, h, 1)
				h.Do = func() { from.call(func() { _ = clients[0].Close() }) }
				pollUntil(t, p, func() bool { return ends[0].over })
				require.Equal(t, &ending{over: true, times: 1}, ends[0])
				require.True(t, h.Done)
				require.Empty(t, h.After)
			})
		}
	}
}

// TestShutdownClient: what comes before the server's answer is delivered.
func TestShutdownClient(t *testing.T) {
	for _, from := range fromAnywhere {
		t.Run(from.name, func(t *testing.T) {
			p := newPoller(t, epoll.Config{Budget: 4 << 10})
			var c *epoll.Client
			trades := 0
			h := &fixture.OnTrade{Do: func(*tickstorm.Trade) {
				if trades++; trades == 7 {
					from.call(c.Shutdown)
				}
			}}
			c, end := addClient(t, p, fixture.DialConfig(fixture.Listen(t, fixture.StopServer)), h)
			pollUntil(t, p, func() bool { return end.over })
			require.NoError(t, end.err)
			require.Equal(t, fixture.StopMessages*fixture.StopTrades, trades)
		})
	}
}

// TestStopPoller: Close stops the handlers of all connections, Remove those of one.
func TestStopPoller(t *testing.T) {
	for _, from := range fromAnywhere {
		t.Run("Close, "+from.name, func(t *testing.T) {
			p := newPoller(t, epoll.Config{})
			h := &fixture.Stopping{On: "trade", Nth: 60, Quick: true}
			_, ends := stopClients(t, p, h, 4)
			h.Do = func() { from.call(func() { _ = p.Close() }) }
			require.NoError(t, p.Run(t.Context()))
			require.True(t, h.Done)
			require.Empty(t, h.After)
			for _, end := range ends {
				require.Equal(t, &ending{over: true, times: 1}, end)
			}
		})
		t.Run("Remove, "+from.name, func(t *testing.T) {
			p := newPoller(t, epoll.Config{})
			h := &fixture.Stopping{On: "trade", Nth: 60, Quick: true}
			gate := make(chan struct{})
			d := dialDetached(t, fixture.DialConfig(fixture.Listen(t, fixture.StopServerAfter(gate))), h)
			close(gate)
			h.Do = func() { from.call(func() { p.Remove(d) }) }
			end := new(ending)
			require.NoError(t, p.Add(d, end.ended))
			other := dialDetached(t, fixture.DialConfig(fixture.Listen(t, fixture.StopServer)), nil)
			p.Remove(other) // which is not its own
			pollUntil(t, p, func() bool { return end.over })
			require.Empty(t, h.After)
			require.NoError(t, other.Err())
		})
	}
}

// TestPollerRunCancel: the connection whose turn it is has it to its end when Run's context
// ends, no other has one, and nothing is lost: another Run goes on.
func TestPollerRunCancel(t *testing.T) {
	const connections = 4
	p := newPoller(t, epoll.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	gate := make(chan struct{})
	seen := make([]int, connections)
	var served []int
	for i := range seen {
		h := &fixture.OnTrade{Do: func(*tickstorm.Trade) {
			if ctx.Err() != nil && seen[i] == 0 {
				served = append(served, i)
			}
			seen[i]++
			cancel()
		}}
		d := dialDetached(t, fixture.DialConfig(fixture.Listen(t, fixture.StopServerAfter(gate))), h)
		require.NoError(t, p.Add(d, nil))
	}
	close(gate)
	require.ErrorIs(t, p.Run(ctx), context.Canceled)
	require.Empty(t, served, "others had a turn: %v", seen)
	pollUntil(t, p, func() bool {
		for _, n := range seen {
			if n < fixture.StopMessages*fixture.StopTrades {
				return false
			}
		}
		return true
	})
	require.Equal(t, slices.Repeat([]int{fixture.StopMessages * fixture.StopTrades}, connections), seen)
}
