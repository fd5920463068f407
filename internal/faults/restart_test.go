package faults_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// host is an address at which one server after the other runs, or none.
type host struct {
	cfg    sim.Config
	mu     sync.Mutex
	server *sim.Server // nil while it is down
	last   int64
}

func newHost(t *testing.T, cfg sim.Config) *host {
	h := &host{cfg: cfg}
	h.up(t)
	t.Cleanup(h.down)
	return h
}

// up starts a server, which goes on with the numbers of the one before.
func (h *host) up(t *testing.T) {
	t.Helper()
	h.cfg.Numbered, h.cfg.FirstNumber = true, h.last+1
	server, err := sim.StartPipe(h.cfg)
	require.NoError(t, err)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.server = server
}

func (h *host) down() {
	h.mu.Lock()
	server := h.server
	h.server = nil
	h.mu.Unlock()
	if server != nil {
		_ = server.Close()
		h.last = server.Stats().LastNumber
	}
}

func (h *host) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	h.mu.Lock()
	server := h.server
	h.mu.Unlock()
	if server == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
	}
	return server.ClientConfig(tickstorm.Stocks).NetDial(ctx, network, addr)
}

func (h *host) config(queue tickstorm.QueueConfig) tickstorm.Config {
	cfg := h.server.ClientConfig(tickstorm.Stocks)
	cfg.NetDial, cfg.Queue = h.dial, queue
	return cfg
}

// TestFaultsRestart: servers that are away for longer and longer.
func TestFaultsRestart(t *testing.T) {
	holdsHeap(t)
	overQueues(t, func(t *testing.T, queue tickstorm.QueueConfig) {
		synctest.Test(t, func(t *testing.T) {
			h := newHost(t, sim.Config{Rate: 200})
			r := rigOf(t, h.server, h.config(queue))
			r.start()
			r.flows(100)
			for n, away := range []time.Duration{0, time.Millisecond, time.Second, time.Minute, 10 * time.Minute} {
				h.down()
				time.Sleep(away)
				back := time.Now()
				h.up(t)
				r.flows(100)
				require.Less(t, time.Since(back), 31*time.Second, "the longest wait, and the events")
				require.EqualValues(t, n+1, r.client.Stats().Reconnects)
				gaps, _ := r.audit.told()
				require.Len(t, gaps, n+1)
				require.GreaterOrEqual(t, gaps[n].To.Received.Sub(gaps[n].From.Received), away)
			}
			r.server = h.server
			r.finish()
		})
	})
}

// TestFaultsSockets: restarts and resets of real connections leave no descriptor behind.
func TestFaultsSockets(t *testing.T) {
	holdsHeap(t)
	overQueues(t, func(t *testing.T, queue tickstorm.QueueConfig) {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprint("TLS ", secure), func(t *testing.T) {
				files := fixture.Descriptors(t)
				cfg := sim.Config{Numbered: true, TLS: secure}
				server, err := sim.Start(cfg)
				require.NoError(t, err)
				config := server.ClientConfig(tickstorm.Stocks)
				config.Queue = queue
				// A restarted server has a port of its own: the old one may be another program's by then.
				var address atomic.Pointer[string]
				serves := func(s *sim.Server) {
					_, host, _ := strings.Cut(string(s.Feed()), "://")
					address.Store(&host)
				}
				serves(server)
				config.NetDial = func(ctx context.Context, network, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, *address.Load())
				}
				config.Backoff = tickstorm.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond, MaxConnections: time.Millisecond}
				if secure {
					config.TLS = config.TLS.Clone()
					config.TLS.InsecureSkipVerify = true // each server has another certificate
				}
				r := rigOf(t, server, config)
				r.start()
				r.flows(50)
				for _, do := range []sim.Action{sim.Cut(), sim.Drop(), sim.HalfFrame(), sim.Garbage(), sim.GiantLength(), sim.Close(1001, "")} {
					server.Conns()[0].Do(do)
					r.reconnected(server)
					require.NoError(t, server.Close())
					cfg.FirstNumber = server.Stats().LastNumber + 1
					server, err = sim.Start(cfg)
					require.NoError(t, err)
					serves(server)
					r.server = server
					// What flows may still be the old server's.
					require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Topics == 2 }))
					r.flows(50)
				}
				r.finish()
				require.NoError(t, server.Close())
				require.Eventually(t, func() bool { return fixture.Descriptors(t) <= files }, rigPatience, time.Millisecond)
			})
		}
	})
}

// reconnected waits for the server's second connection to stream.
func (r *rig) reconnected(server *sim.Server) {
	r.t.Helper()
	require.NoError(r.t, server.Await(r.t.Context(), func(s sim.Stats) bool { return s.Opened == 2 && s.Topics == 2 }))
	r.flows(50)
}

// TestFaultsEviction: two clients of one key on an account that has one connection. They
// take turns, without a storm of connections, and each has a clean report.
func TestFaultsEviction(t *testing.T) {
	for _, eviction := range []sim.Eviction{sim.EvictOlder, sim.EvictNewcomer} {
		t.Run([]string{"older", "newcomer"}[eviction], func(t *testing.T) {
			overQueues(t, func(t *testing.T, queue tickstorm.QueueConfig) {
				fixture.InBubble(t, sim.Config{Numbered: true, Rate: 20, Eviction: eviction}, func(t *testing.T, server *sim.Server) {
					const length = 20 * time.Minute
					first, second := newRig(t, server, queue), newRig(t, server, queue)
					first.start()
					first.flows(100)
					second.start()
					time.Sleep(length)
					stats := server.Stats()
					require.Greater(t, stats.Evicted, 5, "they did meet")
					require.Less(t, stats.Opened, 2*int(length/time.Minute)+2, "each waits for a minute")
					for _, r := range []*rig{first, second} {
						report := r.clean()
						causes := r.client.Stats().ReconnectCauses
						switch {
						case eviction == sim.EvictOlder:
							require.Greater(t, report.Gaps, uint64(2))
							require.NotZero(t, report.InGaps, "the other's")
						case r == first:
							require.Zero(t, report.Gaps)
							require.EqualValues(t, report.Last, report.Events, "nobody took its connection")
						default:
							require.Zero(t, report.Events)
						}
						if eviction == sim.EvictOlder || r == second {
							require.Equal(t, tickstorm.ReconnectCounts{tickstorm.ReconnectMaxConnections: causes[tickstorm.ReconnectMaxConnections]}, causes)
						}
						require.NoError(t, r.client.Close())
						require.NoError(t, <-r.running)
					}
				})
			})
		})
	}
}
