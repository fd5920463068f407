package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/sim"
)

// TestSinceFromRecording: a relay whose upstream is recorded gives a client that joins late what it
// has missed, out of many segments and over connections that broke, which it is told of in their places,
// then out of memory, then live, every event once and in order.
func TestSinceFromRecording(t *testing.T) {
	const patience = time.Minute
	up, err := sim.Start(sim.Config{Quiet: true})
	require.NoError(t, err)
	defer up.Close()
	dir := t.TempDir()
	cfg := up.ClientConfig(tickstorm.Stocks)
	cfg.Backoff = tickstorm.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}
	rec, err := record.NewRecorder(record.Config{
		Dir: dir, Market: cfg.Market, Feed: cfg.Feed, RotateSize: 4 << 10, Flush: 10 * time.Millisecond, MinFree: -1,
	})
	require.NoError(t, err)
	require.NoError(t, rec.Start())
	cfg.Tap = rec
	server, err := relay.New(relay.Config{
		Upstreams: []tickstorm.Config{cfg}, History: 1 << 20,
		Past: func(ctx context.Context, m tickstorm.Market, from, to time.Time) (relay.Source, error) {
			h, err := record.OpenHistory(ctx, m, from, to, dir)
			if err == nil {
				h.Complete = true
			}
			return h, err
		},
	})
	require.NoError(t, err)
	l, err := relay.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), l) }()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	require.NoError(t, up.Await(ctx, func(s sim.Stats) bool { return s.Authenticated == 1 }))

	require.Eventually(t, func() bool { return server.Stats().Markets[0].Up }, patience, time.Millisecond)
	begun := time.Now()
	next := 0
	send := func(messages int) {
		for range messages {
			var parts []string
			for range 10 {
				next++
				parts = append(parts, fmt.Sprintf(`{"ev":"T","sym":"S%d","q":%d,"c":[%s12]}`, next%7, next, strings.Repeat("1,", next*7919%60)))
			}
			up.Broadcast([]byte("[" + strings.Join(parts, ",") + "]"))
		}
	}
	recorded := func() (messages int) {
		s, err := record.OpenSource(tickstorm.Stocks, dir)
		if err != nil {
			return 0
		}
		defer s.Close()
		for {
			msg, _, err := s.Next()
			if errors.Is(err, io.EOF) {
				return messages
			}
			require.NoError(t, err)
			if strings.Contains(string(msg), `"q":`) {
				messages++
			}
		}
	}
	var breaks []int // behind so many events
	for n := 300; n <= 3000; n += 300 {
		send(300)
		require.Eventually(t, func() bool { return recorded() == n }, patience, 10*time.Millisecond)
		if n%900 == 0 && n < 2700 { // what is in memory by then
			breaks = append(breaks, next)
			up.Conns()[0].Cut()
			require.Eventually(t, func() bool {
				m := server.Stats().Markets[0]
				return m.Upstream.Reconnects == uint64(len(breaks)) && m.Up
			}, patience, time.Millisecond)
		}
	}
	require.Eventually(t, func() bool { return rec.Stats().Segments > 2 }, patience, time.Millisecond, "they are closed beside")
	past := server.Stats().Markets[0].Past
	require.True(t, past.From.After(begun), "the memory does not reach back")

	c, _, err := websocket.Dial(ctx, fmt.Sprintf("ws://%s/stocks?subscribe=T.*&since=%d", l.Addr(), begun.UnixNano()), nil)
	require.NoError(t, err)
	defer c.CloseNow()
	c.SetReadLimit(1 << 20)
	var beside sync.WaitGroup
	beside.Go(func() { send(300) }) // less than the memory has room for
	h := &serials{}
	parser := tickstorm.NewParser(tickstorm.Stocks)
	for len(h.got) < 33_000 || h.ends == 0 {
		_, msg, err := c.Read(ctx)
		require.NoError(t, err, "after %d", len(h.got))
		require.NoError(t, parser.Parse(msg, h))
	}
	beside.Wait()
	for i, n := range h.got {
		require.EqualValues(t, i+1, n)
	}
	require.Equal(t, 1, h.ends)
	require.Len(t, h.gaps, len(breaks)+1, "nobody held it before: %v", h.told)
	require.Equal(t, breaks, h.gaps[:len(breaks)])
	require.NoError(t, server.Shutdown(ctx))
	require.NoError(t, <-served)
	require.NoError(t, rec.Close(ctx))
}

// serials is what a client has got.
type serials struct {
	tickstorm.NopHandler
	got  []int64
	ends int
	gaps []int // behind so many events
	told []string
}

func (s *serials) OnTrade(e *tickstorm.Trade) { s.got = append(s.got, e.Sequence) }

func (s *serials) OnStatus(e *tickstorm.Status) {
	switch string(e.Status) {
	case "history_end":
		if strings.HasSuffix(string(e.Message), "next=live") {
			s.ends++
		}
	case "gap":
		s.gaps, s.told = append(s.gaps, len(s.got)), append(s.told, string(e.Message))
	}
}
