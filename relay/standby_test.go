package relay_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/sim"
)

// TestStandby: of two relays with one key the second waits, refuses clients and leaves the
// upstream alone; when the first ends it takes over within a second, and neither evicts the other.
func TestStandby(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "lock")
	synctest.Test(t, func(t *testing.T) {
		up := fixture.StartPipe(t, quiet)
		pasts := make(chan time.Time, 1) // up to when the past was asked for
		another := func() *bench {
			l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
			b := serve(t, relay.Config{
				Upstreams: []tickstorm.Config{up.ClientConfig(tickstorm.Stocks)}, Lock: lock, History: 1 << 20,
				Past: func(_ context.Context, _ tickstorm.Market, _, to time.Time) (relay.Source, error) {
					pasts <- to
					return &numberedSource{}, nil
				},
			}, l)
			b.up, b.dial = up, l.dial
			return b
		}
		active := another()
		active.streaming(0)
		for range 3 {
			next := another()
			time.Sleep(time.Minute)
			require.True(t, next.relay.Stats().Standby)
			require.False(t, active.relay.Stats().Standby)
			_, err := dialBy(next.dial, "/stocks", nil)
			require.Equal(t, ws.StatusError(503), err)
			c := active.login("/stocks")
			c.take("T.AAPL")
			up.Broadcast([]byte("[" + oddTrade + "]"))
			c.expect("[" + oddTrade + "]")

			begun := time.Now()
			ended := fixture.InBackground(func() error { return active.relay.Shutdown(context.Background()) })
			require.EqualValues(t, 1012, c.end())
			next.await(func(s relay.MarketStats) bool { return s.Up })
			require.Less(t, time.Since(begun), time.Second)
			require.NoError(t, <-ended)
			require.False(t, active.relay.Stats().Standby, "it is none: it has ended")
			require.False(t, next.relay.Stats().Standby)
			c = next.login("/stocks?since=-1h")
			c.take("T.AAPL")
			require.False(t, (<-pasts).Before(begun), "while it was a standby others have had what came")
			active = next
		}
		require.Zero(t, up.Stats().Evicted)
		require.Equal(t, 4, up.Stats().Opened)
	})
}

// TestLockIsGivenUpEarly: a client that takes no farewell does not keep the next relay from its
// upstream.
func TestLockIsGivenUpEarly(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "lock")
	synctest.Test(t, func(t *testing.T) {
		up := fixture.StartPipe(t, quiet)
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		first := serve(t, relay.Config{Upstreams: []tickstorm.Config{up.ClientConfig(tickstorm.Stocks)}, Lock: lock}, l)
		first.up, first.dial = up, l.dial
		first.streaming(0)
		first.login("/stocks") // reads nothing any more; a pipe holds nothing
		second, err := relay.New(relay.Config{Upstreams: []tickstorm.Config{up.ClientConfig(tickstorm.Stocks)}, Lock: lock})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := fixture.InBackground(func() error { return second.Run(ctx) })
		begun := time.Now()
		first.cancel()
		for !second.Stats().Markets[0].Up {
			time.Sleep(time.Millisecond)
		}
		require.Less(t, time.Since(begun), 200*time.Millisecond)
		require.ErrorIs(t, first.over(), context.Canceled)
		require.Zero(t, up.Stats().Evicted)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

// TestStandbyEnds: one that waits ends like one that runs, and holds nothing.
func TestStandbyEnds(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "lock")
	server := func() *relay.Server {
		s, err := relay.New(relay.Config{Upstreams: []tickstorm.Config{{Key: "key", Market: tickstorm.Stocks}}, Lock: lock})
		require.NoError(t, err)
		return s
	}
	holder := server()
	l, err := holder.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	require.False(t, holder.Stats().Standby)
	for name, end := range map[string]func(s *relay.Server, cancel func()) error{
		"Shutdown": func(s *relay.Server, _ func()) error { return s.Shutdown(context.Background()) },
		"context":  func(_ *relay.Server, cancel func()) error { cancel(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			for _, wait := range []func(ctx context.Context, s *relay.Server) error{
				func(ctx context.Context, s *relay.Server) error { return s.Run(ctx) },
				func(ctx context.Context, s *relay.Server) error {
					_, err := s.Listen(ctx, "tcp", "127.0.0.1:0")
					return err
				},
			} {
				s := server()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				ended := fixture.InBackground(func() error { return wait(ctx, s) })
				require.Eventually(t, func() bool { return s.Stats().Standby }, patience, time.Millisecond)
				require.NoError(t, end(s, cancel))
				if err := <-ended; err != nil && !errors.Is(err, tickstorm.ErrEnded) {
					require.ErrorIs(t, err, context.Canceled)
				}
			}
		})
	}
	require.NoError(t, holder.Shutdown(t.Context()))
	l2, err := server().Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err, "it was given up")
	require.NoError(t, l2.Close())
}

// heir is a relay in a process of its own.
type heir struct {
	cmd   *exec.Cmd
	lines chan string
}

func startProcess(t *testing.T, feed tickstorm.Feed, address, lock string) *heir {
	t.Helper()
	h := &heir{cmd: exec.Command(os.Args[0]), lines: make(chan string, 10)}
	h.cmd.Env = append(os.Environ(), "TICKSTORM_RELAY_FEED="+string(feed), "TICKSTORM_RELAY_ADDRESS="+address, "TICKSTORM_RELAY_LOCK="+lock)
	out, err := h.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, h.cmd.Start())
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(h.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			h.lines <- s.Text()
		}
	})
	t.Cleanup(func() {
		_ = h.cmd.Process.Kill()
		reading.Wait()
		_ = h.cmd.Wait()
	})
	return h
}

func (h *heir) says(t *testing.T, want string) (rest string) {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case line := <-h.lines:
			rest, ok := strings.CutPrefix(line, want)
			if !ok && line == "standby" { // for a moment
				continue
			}
			require.True(t, ok, line)
			return strings.TrimSpace(rest)
		case <-late:
			require.Fail(t, "it says nothing", want)
			return ""
		}
	}
}

// TestProcesses: relays at one address, each in a process of its own, killed one after the other
// without a word, or told to end. A client goes from one to the next, is told what it has missed,
// and misses nothing else.
func TestProcesses(t *testing.T) {
	up := fixture.Start(t, sim.Config{Numbered: true, Rate: 2000})
	lock := filepath.Join(t.TempDir(), "lock")
	active := startProcess(t, up.Feed(), fixture.Loopback()+":0", lock)
	address := active.says(t, "listens")

	audit := &witness{}
	client, err := tickstorm.NewClient(tickstorm.Config{
		Key: "any", Market: tickstorm.Stocks, Feed: tickstorm.Feed("ws://" + address), Proxy: tickstorm.NoProxy,
		Backoff: tickstorm.Backoff{Min: time.Millisecond, Max: 20 * time.Millisecond},
	}, audit)
	require.NoError(t, err)
	require.NoError(t, client.Subscribe(t.Context(), tickstorm.Trades, tickstorm.All))
	require.NoError(t, client.Subscribe(t.Context(), tickstorm.Quotes, tickstorm.All))
	require.NoError(t, client.Start(t.Context()))
	defer client.Close()
	seen := func(more uint64) {
		t.Helper()
		want := audit.Report().Events + more
		require.Eventually(t, func() bool { return audit.Report().Events > want }, patience, time.Millisecond)
	}
	seen(100)
	ends := []string{"kill", "kill", "interrupt", "kill"}
	if runtime.GOOS == "windows" {
		ends = []string{"kill", "kill"} // it has no interrupts to send
	}
	for i, how := range ends {
		next := startProcess(t, up.Feed(), address, lock)
		next.says(t, "standby")
		seen(100)
		if how == "kill" {
			require.NoError(t, active.cmd.Process.Kill())
		} else {
			require.NoError(t, active.cmd.Process.Signal(os.Interrupt))
		}
		require.Equal(t, address, next.says(t, "listens"))
		require.Eventually(t, func() bool { return audit.Report().Gaps > uint64(i) }, patience, time.Millisecond)
		seen(100)
		active = next
	}
	require.NoError(t, client.Close())
	r := audit.Report()
	require.NoError(t, r.Err(), fmt.Sprint(r))
	require.Zero(t, up.Stats().Evicted, "no relay has put out another")
}

// witness is an audit of a client of relays: what those tell of gaps and drops explains what is
// missing.
type witness struct {
	sim.Audit
}

func (w *witness) OnStatus(s *tickstorm.Status) {
	if word := string(s.Status); word == "gap" || word == "dropped" {
		w.OnGap(nil)
	}
}
