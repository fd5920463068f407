package tickstorm_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// stuck is a handler that waits in its first trade until it is released, and notes symbols.
type stuck struct {
	diary
	entered, release chan struct{}
	once             sync.Once
}

func newStuck() *stuck { return &stuck{entered: make(chan struct{}), release: make(chan struct{})} }

func (h *stuck) OnTrade(e *tickstorm.Trade) {
	h.once.Do(func() {
		close(h.entered)
		<-h.release
	})
	h.diary.OnTrade(e)
}

func smallQueue(policy tickstorm.Overflow) func(*tickstorm.Config) {
	return func(cfg *tickstorm.Config) {
		cfg.Queue.Bytes, cfg.Queue.Overflow = 2<<10, policy
		cfg.Limits.Message = 64 << 10
		cfg.ReadBuffer = 4 << 10
	}
}

// startStuck runs a client whose handler is stuck in its first trade.
func startStuck(t *testing.T, server *sim.Server, change func(*tickstorm.Config)) (*tickstorm.Client, *stuck, <-chan error) {
	t.Helper()
	h := newStuck()
	c := simClientWith(t, server, h, change)
	require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, tickstorm.All))
	running := fixture.Runs(t.Context(), c)
	fixture.Settled(t, server, 1, 1)
	server.Broadcast([]byte("[" + fixture.Trade("S0") + "]"))
	<-h.entered
	return c, h, running
}

// TestClientReadsOn: while a handler is stuck the client goes on reading, and answers pings.
func TestClientReadsOn(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		c, h, running := startStuck(t, server, func(*tickstorm.Config) {})
		for i := range 100 {
			server.Broadcast([]byte("[" + fixture.Trade(fmt.Sprint("S", i+1)) + "]"))
		}
		require.NoError(t, server.Conns()[0].Ping(nil))
		time.Sleep(time.Minute)
		require.Equal(t, 1, server.Stats().Pongs)
		require.NotEmpty(t, server.Conns(), "the connection was kept")
		s := c.Stats()
		require.GreaterOrEqual(t, s.Queue.Events, 100)
		require.GreaterOrEqual(t, s.Queue.Oldest, time.Minute)
		close(h.release)
		synctest.Wait()
		require.Len(t, h.symbols(), 101)
		require.Zero(t, c.Stats().Queue.Events)
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	})
}

func (h *stuck) symbols() []string {
	var list []string
	for _, line := range h.lines {
		if strings.HasPrefix(line, "S") {
			list = append(list, line)
		}
	}
	return list
}

// TestClientCloseHandlesQueue: what came before Close is handled before Run returns.
func TestClientCloseHandlesQueue(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		c, h, running := startStuck(t, server, func(*tickstorm.Config) {})
		for i := range 1000 {
			server.Broadcast([]byte("[" + fixture.Trade(fmt.Sprint("S", i+1)) + "]"))
		}
		synctest.Wait()
		closing := fixture.InBackground(c.Close)
		time.Sleep(time.Second)
		require.Empty(t, server.Conns(), "the socket is closed at once")
		close(h.release)
		require.NoError(t, <-closing)
		require.NoError(t, <-running)
		require.Len(t, h.symbols(), 1001)
		require.Equal(t, "closed", h.lines[len(h.lines)-1])
	})
}

// TestClientCloseWhileFull: with a stuck handler, a full queue and a reader that waits, Close
// returns in time, and nothing is handled after it.
func TestClientCloseWhileFull(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		t.Run(fmt.Sprintf("cancelled %v", cancelled), func(t *testing.T) {
			fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
				h := newStuck()
				c := simClientWith(t, server, h, smallQueue(tickstorm.OverflowBlock))
				require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, tickstorm.All))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				running := fixture.Runs(ctx, c)
				fixture.Settled(t, server, 1, 1)
				for i := range 300 {
					server.Broadcast([]byte("[" + fixture.Trade(fmt.Sprint("S", i)) + "]"))
				}
				<-h.entered
				synctest.Wait()
				start := time.Now()
				if cancelled {
					cancel()
					synctest.Wait()
				}
				require.ErrorIs(t, c.Close(), tickstorm.ErrHandlerBusy)
				require.LessOrEqual(t, time.Since(start), 5*time.Second)
				require.Empty(t, server.Conns())
				close(h.release)
				<-running
				require.Len(t, h.symbols(), 1, "nothing is handled after Close has given up")
			})
		})
	}
}

// TestClientOverflowDisconnects: the connection ends, the queue is handled, a gap is told and
// the next connection goes on.
func TestClientOverflowDisconnects(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		told := 0
		c, h, running := startStuck(t, server, func(cfg *tickstorm.Config) {
			smallQueue(tickstorm.OverflowDisconnect)(cfg)
			cfg.Queue.OnOverflow = func() { told++ }
		})
		for i := range 300 {
			server.Broadcast([]byte("[" + fixture.Trade(fmt.Sprint("S", i+1)) + "]"))
		}
		require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Open == 0 }))
		close(h.release)
		fixture.Settled(t, server, 2, 1)
		server.Broadcast([]byte("[" + fixture.Trade("LAST") + "]"))
		synctest.Wait()
		require.Equal(t, 1, told)
		s := c.Stats()
		require.EqualValues(t, 1, s.ReconnectCauses[tickstorm.ReconnectOverflow])
		require.NotZero(t, s.Queue.Dropped)
		require.Len(t, h.gaps, 1)
		require.ErrorIs(t, h.gaps[0].Cause, tickstorm.ErrOverflow)
		require.Equal(t, []string{"gap", "LAST"}, h.lines[len(h.lines)-2:])
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	})
}

// shards gives each consumer a diary of its own.
type shards struct {
	diary
	diaries []*diary
}

func (s *shards) Shard(i, n int) tickstorm.Handler {
	if s.diaries == nil {
		s.diaries = make([]*diary, n)
	}
	s.diaries[i] = new(diary)
	return s.diaries[i]
}

// TestClientConsumers: each symbol has its handler, for live events and for backfilled
// ones, in order; states and gaps are the first handler's.
func TestClientConsumers(t *testing.T) {
	for beside, name := range map[bool]string{false: "in order", true: "beside"} {
		t.Run(name, func(t *testing.T) {
			fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
				var all []string
				for i := range 40 {
					all = append(all, fmt.Sprint("S", i))
				}
				message := func() []byte {
					var events []string
					for _, s := range all {
						events = append(events, fixture.Trade(s))
					}
					return []byte("[" + strings.Join(events, ",") + "]")
				}
				h := new(shards)
				c := simClientWith(t, server, h, func(cfg *tickstorm.Config) {
					cfg.Queue.Consumers = 4
					cfg.BackfillBeside = beside
					cfg.Backfill = func(_ context.Context, _ *tickstorm.Gap, deliver func([]byte) error) error {
						return deliver(message())
					}
				})
				require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, tickstorm.All))
				running := fixture.Runs(t.Context(), c)
				for n := 1; n <= 2; n++ {
					fixture.Settled(t, server, n, 1)
					server.Broadcast(message())
					synctest.Wait()
					if n == 1 {
						server.Conns()[0].Cut()
					}
				}
				require.NoError(t, c.Close())
				require.NoError(t, <-running)
				seen := 0
				for i, d := range h.diaries {
					text := d.text()
					require.Equal(t, i == 0, strings.Contains(text, "streaming"))
					require.Equal(t, i == 0, strings.Contains(text, "gap"))
					for _, s := range all {
						if strings.Contains(text+",", s+",") {
							seen++
							again, live := strings.Index(text+",", s+" again,"), strings.LastIndex(text+",", " "+s+",")
							if live < 0 {
								live = 0 // the line's first
							}
							require.GreaterOrEqual(t, again, 0, "%s has its backfill elsewhere: %s", s, text)
							if !beside {
								require.Less(t, again, live)
							}
						}
					}
				}
				require.Equal(t, len(all), seen, "each symbol has one handler")
			})
		})
	}
}

// everywhere is called by all consumers.
type everywhere struct {
	tickstorm.NopHandler
	trade func()
}

func (e everywhere) OnTrade(*tickstorm.Trade) { e.trade() }

// TestClientInConsumers: a handler on any consumer is inside a handler, and may panic or end
// its goroutine.
func TestClientInConsumers(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(c *tickstorm.Client)
		err  any
	}{
		{"close", func(c *tickstorm.Client) { _ = c.Close() }, nil},
		{"panic", func(*tickstorm.Client) { panic("ouch") }, new(*tickstorm.PanicError)},
		{"goexit", func(*tickstorm.Client) { runtime.Goexit() }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for i := range 8 { // of which some fall to another consumer than Run's goroutine
				fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
					var c *tickstorm.Client
					inside := make(chan error, 100)
					c = simClientWith(t, server, everywhere{trade: func() {
						inside <- c.Subscribe(context.Background(), tickstorm.Trades, "X")
						tc.do(c)
					}}, func(cfg *tickstorm.Config) { cfg.Queue.Consumers = 3 })
					require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, tickstorm.All))
					running := make(chan error, 1)
					ran := make(chan struct{})
					go func() {
						defer close(ran) // runs too where the handler ends this goroutine
						running <- c.Run(t.Context())
					}()
					fixture.Settled(t, server, 1, 1)
					start := time.Now()
					server.Broadcast([]byte("[" + fixture.Trade(fmt.Sprint("S", i)) + "]"))
					<-ran
					require.ErrorIs(t, <-inside, tickstorm.ErrInHandler)
					require.Less(t, time.Since(start), 5*time.Second)
					if tc.err != nil {
						require.ErrorAs(t, <-running, tc.err)
					}
					require.NoError(t, c.Close())
					require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Open == 0 }))
				})
			}
		})
	}
}

// TestClientEventsConsumers: a loop's body cannot run on several goroutines.
func TestClientEventsConsumers(t *testing.T) {
	c := fixture.NewClientAsIs(t, tickstorm.Config{Key: "k", Market: tickstorm.Stocks, Queue: tickstorm.QueueConfig{Consumers: 2}}, nil)
	n := 0
	for _, err := range c.Events(t.Context()) {
		require.ErrorIs(t, err, tickstorm.ErrConsumers)
		n++
	}
	require.Equal(t, 1, n)
}

// TestClientShardAsks: a Shard method may ask the client, also where it is called by SetHandler.
func TestClientShardAsks(t *testing.T) {
	var c *tickstorm.Client
	h := &asking{ask: func() {}}
	c = fixture.NewClientAsIs(t, tickstorm.Config{Key: "k", Market: tickstorm.Stocks}, h)
	h.ask = func() { c.Stats() }
	synctest.Test(t, func(t *testing.T) {
		set := make(chan struct{})
		go func() {
			defer close(set)
			c.SetHandler(h)
		}()
		synctest.Wait()
		select {
		case <-set:
		default:
			t.Fatal("SetHandler waits for itself")
		}
	})
}

type asking struct {
	tickstorm.NopHandler
	ask func()
}

func (a *asking) Shard(int, int) tickstorm.Handler {
	a.ask()
	return nil
}

// TestClientSetRawHandler: a handler that takes messages gets those that were split for another.
func TestClientSetRawHandler(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		c, h, running := startStuck(t, server, func(*tickstorm.Config) {})
		server.Broadcast([]byte("[" + fixture.Trade("S1") + "," + fixture.Trade("S2") + "]"))
		synctest.Wait()
		d := new(rawTexts)
		c.SetHandler(d)
		close(h.release)
		synctest.Wait()
		server.Broadcast([]byte("[" + fixture.Trade("S3") + "]"))
		synctest.Wait()
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
		require.Equal(t, []string{"S0"}, h.symbols())
		text := strings.Join(d.texts, "\n")
		for _, symbol := range []string{"S1", "S2", "S3"} {
			require.Equal(t, 1, strings.Count(text, symbol), symbol)
		}
	})
}

// rawTexts keeps messages, and wants no events.
type rawTexts struct {
	tickstorm.NopHandler
	texts []string
}

func (r *rawTexts) OnRaw(msg []byte, _ int64) bool {
	r.texts = append(r.texts, string(msg))
	return false
}

// TestErrorsWithoutKey: what is no event may have the key in it all the same.
func TestErrorsWithoutKey(t *testing.T) {
	for _, inline := range []bool{false, true} {
		fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
			h := new(errorTexts)
			c := simClientWith(t, server, h, func(cfg *tickstorm.Config) { cfg.Key, cfg.Queue.Inline = fixture.Key, inline })
			running := fixture.Runs(t.Context(), c)
			fixture.Settled(t, server, 1, 0)
			server.Broadcast([]byte(`[{"ev":"status","message":"not the key ` + fixture.Key + `" x}]`))
			server.Broadcast([]byte(`not the key ` + fixture.Key))
			synctest.Wait()
			require.NoError(t, c.Close())
			require.NoError(t, <-running)
			require.Len(t, h.texts, 2)
			for _, text := range h.texts {
				require.NotContains(t, text, fixture.Key)
				require.Contains(t, text, "not the key [redacted]")
			}
		})
	}
}

// TestStatusesWithoutKey: a consumer behind the queue decodes the server's words once more.
func TestStatusesWithoutKey(t *testing.T) {
	for _, inline := range []bool{false, true} {
		fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
			h := new(texts)
			c := simClientWith(t, server, h, func(cfg *tickstorm.Config) { cfg.Key, cfg.Queue.Inline = fixture.Key, inline })
			running := fixture.Runs(t.Context(), c)
			fixture.Settled(t, server, 1, 0)
			server.Broadcast([]byte("[" + fixture.Status("error", "not authorized, "+fixture.Key) + "]"))
			synctest.Wait()
			require.NoError(t, c.Close())
			require.NoError(t, <-running)
			require.Contains(t, h.texts, "not authorized, [redacted]")
			for _, text := range h.texts {
				require.NotContains(t, text, fixture.Key)
			}
		})
	}
}

type errorTexts struct {
	tickstorm.NopHandler
	texts []string
}

func (h *errorTexts) OnError(e *tickstorm.EventError) { h.texts = append(h.texts, e.Error()) }

// TestBackfillInHandler: a handler that a backfill calls on a goroutine of its own is
// inside a handler like any other: what would wait for the backfill does not.
func TestBackfillInHandler(t *testing.T) {
	for _, inline := range []bool{false, true} {
		t.Run(fmt.Sprintf("inline %v", inline), func(t *testing.T) {
			fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
				var c *tickstorm.Client
				inside := make(chan error, 2)
				h := &fixture.OnTrade{Do: func(e *tickstorm.Trade) {
					if e.Backfilled {
						inside <- c.Subscribe(context.Background(), tickstorm.Trades, "X")
						inside <- c.Close()
					}
				}}
				c = simClientWith(t, server, h, func(cfg *tickstorm.Config) {
					cfg.Queue.Inline = inline
					cfg.Backfill = func(_ context.Context, _ *tickstorm.Gap, deliver func([]byte) error) error {
						done := make(chan error)
						go func() { done <- deliver(tradeMessageAt("B", time.Now())) }()
						return <-done
					}
				})
				require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
				running := fixture.Runs(t.Context(), c)
				fixture.Settled(t, server, 1, 1)
				server.Broadcast(tradeMessageAt("A", time.Now()))
				synctest.Wait()
				server.Conns()[0].Cut()
				fixture.Settled(t, server, 2, 1)
				server.Broadcast(tradeMessageAt("A", time.Now()))
				require.NoError(t, <-running)
				require.ErrorIs(t, <-inside, tickstorm.ErrInHandler)
				require.NoError(t, <-inside)
			})
		})
	}
}
