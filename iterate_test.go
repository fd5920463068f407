package tickstorm_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// everyKind has one event of each kind of the stock market, an unknown one, and one that is none.
const everyKind = `[{"ev":"T","sym":"A"},{"ev":"Q","sym":"A"},{"ev":"A","sym":"A"},{"ev":"LULD","T":"A"},{"ev":"NOI","T":"A"},{"ev":"FMV","sym":"A"},{"ev":"NEW"},{"ev":7},{"ev":"status","status":"x"}]`

func TestConnEvents(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, nil)
		server.Broadcast([]byte(everyKind))
		server.Conns()[0].Do(sim.Drop())
		var kinds []tickstorm.Kind
		var errs []error
		for e, err := range conn.Events(t.Context()) {
			require.Equal(t, e == nil, err != nil)
			var lent *tickstorm.EventError
			switch {
			case errors.As(err, &lent):
				errs = append(errs, lent.Clone())
			case err != nil:
				errs = append(errs, err)
			default:
				kinds = append(kinds, e.Kind())
			}
		}
		require.Equal(t, []tickstorm.Kind{
			tickstorm.KindTrade, tickstorm.KindQuote, tickstorm.KindAggregate, tickstorm.KindLULD,
			tickstorm.KindImbalance, tickstorm.KindValue, tickstorm.KindUnknown, tickstorm.KindStatus,
		}, kinds)
		require.Len(t, errs, 2)
		require.ErrorIs(t, errs[0], tickstorm.ErrNoEvent)
		require.ErrorIs(t, errs[1], tickstorm.ErrDisconnected, "the last error is why it ended")
	})
}

func TestConnEventsOfCrypto(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn, err := tickstorm.Dial(t.Context(), server.ClientConfig(tickstorm.Crypto), nil)
		require.NoError(t, err)
		server.Broadcast([]byte(`[{"ev":"XL2","pair":"BTC-USD","b":[[1,2]],"a":[[3,4]]}]`))
		for e, err := range conn.Events(t.Context()) {
			require.NoError(t, err)
			require.Len(t, e.(*tickstorm.Book).Bids, 1)
			break
		}
	})
}

// TestConnEventsBreak: leaving the loop, in whatever place, closes the connection.
func TestConnEventsBreak(t *testing.T) {
	for _, tc := range []struct {
		name  string
		leave func(e tickstorm.Event, err error) bool
	}{
		{"at an event", func(e tickstorm.Event, _ error) bool { return e != nil && e.Kind() == tickstorm.KindQuote }},
		{"at an error", func(_ tickstorm.Event, err error) bool { return err != nil }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
				conn := fixture.Dial(t, server, nil)
				peer := server.Conns()[0]
				server.Broadcast([]byte(everyKind))
				start := time.Now()
				left := false
				for e, err := range conn.Events(t.Context()) {
					require.False(t, left)
					if left = tc.leave(e, err); left {
						break
					}
				}
				require.True(t, left)
				<-peer.Done()
				require.Zero(t, time.Since(start))
				require.Equal(t, tickstorm.ErrEnded, conn.Run(t.Context()))
			})
		})
	}
}

func TestConnEventsClose(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, nil)
		server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
		n := 0
		for _, err := range conn.Events(t.Context()) {
			require.NoError(t, err, "after Close there is no error")
			require.ErrorIs(t, conn.Subscribe(t.Context(), tickstorm.Trades, "A"), tickstorm.ErrInHandler)
			require.NoError(t, conn.Close())
			n++
		}
		require.Equal(t, 1, n)
	})
}

func TestConnEventsContext(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var errs []error
		for _, err := range conn.Events(ctx) {
			errs = append(errs, err)
		}
		require.Len(t, errs, 1)
		require.ErrorIs(t, errs[0], context.DeadlineExceeded)
	})
}

func TestConnEventsTwice(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, nil)
		running := fixture.Runs(t.Context(), conn)
		synctest.Wait()
		n := 0
		for _, err := range conn.Events(t.Context()) {
			require.ErrorIs(t, err, tickstorm.ErrRunning)
			n++
		}
		require.Equal(t, 1, n)
		require.NoError(t, conn.Close())
		require.NoError(t, <-running)
	})
}

// TestClientEvents: the loop goes on across reconnects, and ends when it is left.
func TestClientEvents(t *testing.T) {
	cfg := sim.Config{Quiet: true, Faults: []sim.Fault{{At: sim.OnSubscribe, Conn: 1, Do: sim.Drop()}}}
	fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
		c := simClient(t, server, nil)
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
		acknowledged := 0
		for e, err := range c.Events(t.Context()) {
			require.NoError(t, err)
			if s, ok := e.(*tickstorm.Status); ok && s.Code() == tickstorm.StatusSubscribed {
				acknowledged++
				break
			}
		}
		require.Equal(t, 1, acknowledged)
		require.EqualValues(t, 1, c.Stats().Reconnects)
		require.NoError(t, c.Close())
	})
}

func TestClientEventsFinalError(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		cfg := server.ClientConfig(tickstorm.Stocks)
		cfg.Key = sim.BadKey
		var last error
		for e, err := range fixture.NewClient(t, cfg, nil).Events(t.Context()) {
			if e == nil {
				last = err
			}
		}
		require.ErrorIs(t, last, tickstorm.ErrAuthFailed)
	})
}

// TestEventsBodyPanics: a panic in the loop's body stays one, with the socket closed.
func TestEventsBodyPanics(t *testing.T) {
	for _, lasting := range []bool{false, true} {
		fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
			var events iter.Seq2[tickstorm.Event, error]
			if lasting {
				events = simClient(t, server, nil).Events(t.Context())
			} else {
				events = fixture.Dial(t, server, nil).Events(t.Context())
			}
			time.AfterFunc(time.Second, func() { server.Broadcast([]byte("[" + fixture.Trade("A") + "]")) })
			require.PanicsWithValue(t, errBug, func() {
				for e := range events {
					if e.Kind() == tickstorm.KindTrade {
						panic(errBug)
					}
				}
			})
			require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Open == 0 }))
		})
	}
}
