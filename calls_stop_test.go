package tickstorm_test

import (
	"context"
	"fmt"
	"iter"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// Stopping means stopping: after a cancel, and after Close has been called, the handler that
// runs may finish and no other is called, not even for the rest of the same message.

// stopped is what is driven, and by what it is stopped.
type stopped interface {
	Run(context.Context) error
	Close() error
}

// stopDrivers are all that call handlers in memory. Those with a queue handle what is queued
// after Close, and stop at once only when their context ends.
var stopDrivers = []struct {
	name  string
	queue bool
	start func(t *testing.T, cfg tickstorm.Config, h tickstorm.Handler) stopped
}{
	{"Conn", false, func(t *testing.T, cfg tickstorm.Config, h tickstorm.Handler) stopped {
		conn, err := tickstorm.Dial(t.Context(), cfg, h)
		require.NoError(t, err)
		return conn
	}},
	{"Client inline", false, func(t *testing.T, cfg tickstorm.Config, h tickstorm.Handler) stopped {
		cfg.Queue.Inline = true
		return fixture.NewClientAsIs(t, cfg, h)
	}},
	{"Client", true, func(t *testing.T, cfg tickstorm.Config, h tickstorm.Handler) stopped {
		return fixture.NewClientAsIs(t, cfg, h)
	}},
	{"Queue", true, func(t *testing.T, cfg tickstorm.Config, h tickstorm.Handler) stopped {
		q := newQueue(t, cfg.Queue, h)
		for i := range fixture.StopMessages {
			q.OnRaw([]byte(fixture.StopMessage()), int64(i))
		}
		return closingQueue{q}
	}},
}

// closingQueue is a Queue whose Close has a result, as that of others.
type closingQueue struct{ *tickstorm.Queue }

func (q closingQueue) Close() error {
	q.Queue.Close()
	return nil
}

func TestStop(t *testing.T) {
	for _, d := range stopDrivers {
		for _, how := range []string{"cancel", "close"} {
			if d.queue && how == "close" {
				continue
			}
			for _, from := range []string{"beginning", "end", "elsewhere"} {
				for _, at := range []struct {
					method string
					nth    int
				}{{"trade", 2*fixture.StopTrades + 7}, {"trade", 3 * fixture.StopTrades}, {"unknown", 2}, {"error", 3}, {"end", 4}, {"raw", 4}} {
					if at.method == "end" && d.queue {
						at.nth = 1 // of a batch
					}
					t.Run(fmt.Sprintf("%s, %s, %s of %s %d", d.name, how, from, at.method, at.nth), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							raw := &fixture.RawStopping{Stopping: fixture.Stopping{On: at.method, Nth: at.nth, Late: from == "end"}}
							h, handler := &raw.Stopping, tickstorm.Handler(&raw.Stopping)
							if at.method == "raw" {
								handler = raw
							}
							cfg := fixture.DialConfig("ws://host")
							cfg.NetDial = pipeTo(fixture.StopServer)
							driven := d.start(t, cfg, handler)
							ctx, cancel := context.WithCancel(t.Context())
							defer cancel()
							closed := make(chan error, 1)
							h.Do = cancel
							if how == "close" {
								h.Do = func() { closed <- driven.Close() }
							}
							if stop := h.Do; from == "elsewhere" {
								h.Do = func() { go stop() }
							}
							start := time.Now()
							err := driven.Run(ctx)
							if how == "close" {
								require.NoError(t, err)
								require.NoError(t, <-closed)
							} else {
								require.ErrorIs(t, err, context.Canceled)
							}
							require.True(t, h.Done, "%v", h.Calls)
							require.Empty(t, h.After)
							require.Less(t, time.Since(start), 10*time.Second)
							if strings.HasPrefix(d.name, "Client") {
								require.Equal(t, 1, h.Closed, "the end is told all the same")
							}
							_ = driven.Close()
						})
					})
				}
			}
		}
	}
}

// TestStopInStatus: a status is handled while Dial or a client connects.
func TestStopInStatus(t *testing.T) {
	dial := func(t *testing.T, cfg tickstorm.Config, h tickstorm.Handler) stopped {
		return dialling{cfg, h}
	}
	for _, tc := range []struct {
		name  string
		start func(*testing.T, tickstorm.Config, tickstorm.Handler) stopped
		close bool
	}{
		{"Dial, cancel", dial, false},
		{"Client inline, cancel", stopDrivers[1].start, false},
		{"Client inline, close", stopDrivers[1].start, true},
		{"Client, cancel", stopDrivers[2].start, false},
	} {
		for _, late := range []bool{false, true} {
			for nth := range 2 {
				t.Run(fmt.Sprintf("%s, %v, status %d", tc.name, late, nth), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						h := &fixture.Stopping{On: "status", Nth: nth + 1, Late: late}
						cfg := fixture.DialConfig("ws://host")
						cfg.NetDial = pipeTo(fixture.StopServer)
						driven := tc.start(t, cfg, h)
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						h.Do = cancel
						if tc.close {
							h.Do = func() { require.NoError(t, driven.Close()) }
						}
						err := driven.Run(ctx)
						if tc.close {
							require.NoError(t, err)
						} else {
							require.ErrorIs(t, err, context.Canceled)
						}
						require.True(t, h.Done)
						require.Empty(t, h.After)
					})
				})
			}
		}
	}
}

// dialling is a Dial as something that runs.
type dialling struct {
	cfg tickstorm.Config
	h   tickstorm.Handler
}

func (d dialling) Run(ctx context.Context) error {
	_, err := tickstorm.Dial(ctx, d.cfg, d.h)
	return err
}

func (dialling) Close() error { return nil }

// TestStopInState: what a client tells besides events is no exception, but for its end.
func TestStopInState(t *testing.T) {
	for _, inline := range []bool{false, true} {
		for _, closes := range []bool{false, true} {
			for _, at := range []string{"connecting", "authenticating", "subscribing", "streaming", "gap", "backoff"} {
				for _, beside := range []bool{false, true} {
					t.Run(fmt.Sprintf("inline %v, close %v, in %s, backfill beside %v", inline, closes, at, beside), func(t *testing.T) {
						fixture.InBubble(t, sim.Config{Rate: 1000, Faults: []sim.Fault{{At: sim.OnStreaming, After: 20, Times: 1, Do: sim.Cut()}}}, func(t *testing.T, server *sim.Server) {
							h := &fixture.Stopping{On: at, Nth: 1}
							c := simClientWith(t, server, h, func(cfg *tickstorm.Config) {
								cfg.Queue.Inline = inline
								cfg.BackfillBeside = beside
								cfg.Backfill = func(_ context.Context, _ *tickstorm.Gap, deliver func([]byte) error) error {
									return deliver([]byte(fixture.StopMessage()))
								}
							})
							require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, tickstorm.All))
							ctx, cancel := context.WithCancel(t.Context())
							defer cancel()
							h.Do = cancel
							if closes {
								h.Do = func() { require.NoError(t, c.Close()) }
							}
							err := c.Run(ctx)
							require.Equal(t, closes, err == nil, "%v", err)
							require.True(t, h.Done, "%v", h.Calls)
							require.Equal(t, 1, h.Closed)
							if inline || !closes { // what is queued is handled otherwise
								require.Empty(t, h.After)
							}
						})
					})
				}
			}
		}
	}
}

// TestStopInBackfill: nor are events that were fetched.
func TestStopInBackfill(t *testing.T) {
	for _, inline := range []bool{false, true} {
		for _, closes := range []bool{false, true} {
			if closes && !inline {
				continue
			}
			for _, beside := range []bool{false, true} {
				t.Run(fmt.Sprintf("inline %v, close %v, beside %v", inline, closes, beside), func(t *testing.T) {
					fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
						h := &fixture.Stopping{On: "trade", Nth: 4}
						delivered := make(chan error, 1)
						c := simClientWith(t, server, h, func(cfg *tickstorm.Config) {
							cfg.Queue.Inline, cfg.BackfillBeside = inline, beside
							cfg.Backfill = func(_ context.Context, _ *tickstorm.Gap, deliver func([]byte) error) error {
								_ = deliver([]byte(fixture.StopMessage()))
								delivered <- deliver([]byte(fixture.StopMessage()))
								return context.Canceled
							}
						})
						require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						h.Do = cancel
						if closes {
							h.Do = func() { require.NoError(t, c.Close()) }
						}
						running := fixture.Runs(ctx, c)
						fixture.Settled(t, server, 1, 1)
						server.Broadcast(tradeMessageAt("A", time.Now()))
						time.Sleep(time.Second)
						server.Conns()[0].Cut()
						fixture.Settled(t, server, 2, 1)
						require.Equal(t, closes, <-running == nil)
						require.True(t, h.Done, "%v", h.Calls)
						require.Empty(t, h.After)
						require.ErrorIs(t, <-delivered, tickstorm.ErrClosed)
					})
				})
			}
		}
	}
}

// TestStopEvents: a loop's body is no exception, be it quick or slow.
func TestStopEvents(t *testing.T) {
	for _, tc := range []struct {
		name  string
		queue bool
		start func(t *testing.T, cfg tickstorm.Config, h tickstorm.Handler) stopped
	}{
		{"Conn", false, stopDrivers[0].start},
		{"Client inline", false, stopDrivers[1].start},
		{"Client", true, stopDrivers[2].start},
	} {
		for _, how := range []string{"cancel", "close", "break"} {
			if tc.queue && how == "close" {
				continue
			}
			for _, pause := range []time.Duration{0, fixture.StopPause} {
				t.Run(fmt.Sprintf("%s, %s, %v", tc.name, how, pause), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						cfg := fixture.DialConfig("ws://host")
						cfg.NetDial = pipeTo(fixture.StopServer)
						driven := tc.start(t, cfg, nil).(interface {
							Events(context.Context) iter.Seq2[tickstorm.Event, error]
							Close() error
						})
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						trades, ended := 0, error(nil)
						for e, err := range driven.Events(ctx) {
							if e == nil {
								ended = err
								continue
							}
							require.Less(t, trades, 1000)
							if e.Kind() == tickstorm.KindTrade {
								trades++
							}
							time.Sleep(pause)
							if trades < 1000 {
								continue
							}
							if how == "break" {
								break
							}
							if how == "cancel" {
								cancel()
							} else {
								require.NoError(t, driven.Close())
							}
						}
						require.Equal(t, 1000, trades)
						if how == "cancel" {
							require.ErrorIs(t, ended, context.Canceled)
						}
						require.NoError(t, driven.Close())
					})
				})
			}
		}
	}
}

// TestStopBusy: Close gives up on a handler that stays, and none is called when it returns.
func TestStopBusy(t *testing.T) {
	for _, d := range stopDrivers[:3] {
		t.Run(d.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				busy, release := make(chan struct{}), make(chan struct{})
				h := &fixture.Stopping{On: "trade", Nth: 3, Do: func() {
					close(busy)
					<-release
				}}
				cfg := fixture.DialConfig("ws://host")
				cfg.NetDial = pipeTo(fixture.StopServer)
				driven := d.start(t, cfg, h)
				running := fixture.Runs(t.Context(), driven)
				<-busy
				start := time.Now()
				require.ErrorIs(t, driven.Close(), tickstorm.ErrHandlerBusy)
				require.LessOrEqual(t, time.Since(start), 5*time.Second)
				require.Empty(t, running)
				close(release)
				require.NoError(t, <-running)
				require.Empty(t, h.After)
			})
		})
	}
}

// TestShutdown: the patient form delivers what came before the server's answer, however
// many reads that takes and however slow the handler is.
func TestShutdown(t *testing.T) {
	for _, d := range stopDrivers[:3] {
		for _, from := range []string{"inside", "elsewhere"} {
			t.Run(d.name+", "+from, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					trades := 0
					var driven stopped
					down := make(chan error, 1)
					shutdown := func() { down <- driven.(shutter).Shutdown(t.Context()) }
					h := &fixture.OnTrade{Do: func(*tickstorm.Trade) {
						if trades++; trades == 7 && from == "inside" {
							shutdown()
						} else if trades == 7 {
							go shutdown()
						}
						time.Sleep(fixture.StopPause)
					}}
					cfg := fixture.DialConfig("ws://host")
					cfg.NetDial = pipeTo(fixture.StopServer)
					cfg.ReadBuffer = 4 << 10 // less than a tenth of what comes
					driven = d.start(t, cfg, h)
					require.NoError(t, driven.Run(t.Context()))
					require.NoError(t, <-down)
					require.Equal(t, fixture.StopMessages*fixture.StopTrades, trades)
					require.NoError(t, driven.Close())
				})
			})
		}
	}
}

type shutter interface{ Shutdown(context.Context) error }

// TestShutdownImpatient: when its context ends, Shutdown is as impatient as Close.
func TestShutdownImpatient(t *testing.T) {
	for _, d := range stopDrivers[:3] {
		t.Run(d.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				trades := 0
				var driven stopped
				down := make(chan error, 1)
				h := &fixture.OnTrade{Do: func(*tickstorm.Trade) {
					switch trades++; trades {
					case 7:
						go func() { down <- driven.(shutter).Shutdown(ctx) }()
					case 99:
						cancel()
					}
					time.Sleep(fixture.StopPause)
				}}
				cfg := fixture.DialConfig("ws://host")
				cfg.NetDial = pipeTo(fixture.StopServer)
				driven = d.start(t, cfg, h)
				start := time.Now()
				require.NoError(t, driven.Run(t.Context()))
				require.ErrorIs(t, <-down, context.Canceled)
				require.Equal(t, 99, trades)
				require.Less(t, time.Since(start), 5*time.Second)
			})
		})
	}
}

// TestClientShutdown: in every state that has nothing to deliver Shutdown is at once.
func TestClientShutdown(t *testing.T) {
	for _, inline := range []bool{false, true} {
		for _, tc := range []struct {
			name string
			dial func(context.Context, string, string) (net.Conn, error)
		}{
			{"connecting", func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }},
			{"authenticating", pipeTo(func(nc net.Conn) {
				if _, answer, err := fixture.Accept(nc); err == nil {
					_, _ = nc.Write(answer)
					fixture.Swallow(nc)
				}
			})},
			{"streaming", pipeTo(func(nc net.Conn) {
				if _, answer, err := fixture.Accept(nc); err == nil {
					_, _ = nc.Write(append(answer, fixture.Welcome()...))
					fixture.Attend(nc)
				}
			})},
			{"backoff", func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }},
		} {
			t.Run(fmt.Sprintf("inline %v, %s", inline, tc.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := fixture.DialConfig("ws://host")
					cfg.NetDial, cfg.Queue.Inline = tc.dial, inline
					cfg.Backoff = tickstorm.Backoff{Min: time.Hour, Max: time.Hour}
					c := fixture.NewClientAsIs(t, cfg, nil)
					running := fixture.Runs(t.Context(), c)
					synctest.Wait()
					require.Equal(t, tc.name, c.State().String())
					start := time.Now()
					require.NoError(t, c.Shutdown(t.Context()))
					require.NoError(t, <-running)
					require.Zero(t, time.Since(start))
					require.NoError(t, c.Shutdown(t.Context()))
					require.NoError(t, c.Close())
				})
			})
		}
	}
	c := fixture.NewClientAsIs(t, fixture.DialConfig("ws://host"), nil)
	require.NoError(t, c.Shutdown(t.Context()), "before Run")
	require.NoError(t, c.Run(t.Context()))
}

// TestSessionMute: a session that is muted goes on without its handler.
func TestSessionMute(t *testing.T) {
	for _, method := range []string{"trade", "unknown", "error", "end"} {
		t.Run(method, func(t *testing.T) {
			h := &fixture.Stopping{On: method, Nth: 7, Quick: true}
			p := readyPeer(t, testConfig(), h)
			h.Do = p.s.Mute
			require.NoError(t, p.s.Feed(fixture.StopWindow()))
			require.True(t, h.Done)
			require.Empty(t, h.After)
			p.s.SetHandler(h)
			require.NoError(t, p.say(fixture.Trade("A")))
			require.NoError(t, p.s.Feed(fixture.Wire(false, true, ws.OpBinary, "?")))
			require.Empty(t, h.After, "for good")
			events := uint64(0)
			for _, name := range []string{"status", "trade", "unknown"} {
				events += uint64(h.Calls[name])
			}
			s := p.s.Stats()
			require.Equal(t, events, s.Total(), "what is not delivered is not counted")
			require.EqualValues(t, h.Calls["error"], s.Errors)
			p.requests()
			require.NoError(t, p.s.Feed(fixture.Wire(false, true, ws.OpPing, "ping")))
			require.Len(t, p.requests(), 1, "a ping is answered")
			p.s.Close()
			require.Equal(t, []string{"close 1000"}, p.requests())
			require.ErrorIs(t, p.answer(), tickstorm.ErrClosed)
		})
	}
}
