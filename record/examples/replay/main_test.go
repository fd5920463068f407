package main

import (
	"bytes"
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sim"
)

// TestReplay: what was recorded is counted, with the same hash each time, and served.
func TestReplay(t *testing.T) {
	dir := t.TempDir()
	recordSome(t, dir)
	var first, again bytes.Buffer
	require.NoError(t, run(t.Context(), options{dir: dir}, &first))
	require.NoError(t, run(t.Context(), options{dir: dir}, &again))
	require.Regexp(t, `^[1-9]\d* events in [1-9]\d* messages.* [1-9]\d* states, 0 gaps, 0 errors, 0 damages\nsha256 [0-9a-f]{64}\n$`, first.String())
	hash := regexp.MustCompile(`sha256 .*`)
	require.Equal(t, hash.FindString(first.String()), hash.FindString(again.String()))
	require.Error(t, run(t.Context(), options{dir: dir + "/none"}, &again))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var served bytes.Buffer
	require.NoError(t, run(ctx, options{dir: dir, serve: "127.0.0.1:0"}, &served))
	require.Contains(t, served.String(), "ws://127.0.0.1:")
}

// recordSome records some events of the simulator.
func recordSome(t *testing.T, dir string) {
	server, err := sim.Start(sim.Config{Rate: 10_000})
	require.NoError(t, err)
	defer server.Close()
	cfg := server.ClientConfig(tickstorm.Stocks)
	rec, err := record.NewRecorder(record.Config{Dir: dir, Market: cfg.Market, Feed: cfg.Feed, MinFree: -1})
	require.NoError(t, err)
	require.NoError(t, rec.Start())
	cfg.Tap = rec
	some := &enough{done: make(chan struct{})}
	client, err := tickstorm.NewClient(cfg, some)
	require.NoError(t, err)
	require.NoError(t, client.Start(t.Context()))
	require.NoError(t, client.Subscribe(t.Context(), tickstorm.Trades, tickstorm.All))
	select {
	case <-some.done:
	case <-time.After(time.Minute):
		require.Fail(t, "no events")
	}
	require.NoError(t, client.Close())
	require.NoError(t, rec.Close(context.Background()))
}

type enough struct {
	tickstorm.NopHandler
	n    int
	done chan struct{}
}

func (e *enough) OnTrade(*tickstorm.Trade) {
	if e.n++; e.n == 1000 {
		close(e.done)
	}
}
