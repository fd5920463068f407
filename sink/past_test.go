package sink_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/sim"
	"github.com/tickstorm/tickstorm/sink"
)

// TestPast: a relay sends its clients the last events unasked, each time they connect. Behind it a recorder
// has these as they came, and whoever takes events from the recording, or beside it, has each once.
func TestPast(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server, err := sim.Start(sim.Config{Quiet: true})
	require.NoError(t, err)
	defer server.Close()
	const token = "tOkEn-0123456789-desk"
	keys, err := relay.NewKeys(relay.Key{Name: "desk", Token: token, Policy: relay.Policy{Wildcards: true, SnapshotOnSubscribe: true}})
	require.NoError(t, err)
	up := server.ClientConfig(tickstorm.Stocks)
	shared, err := relay.New(relay.Config{Upstreams: []tickstorm.Config{up}, Snapshots: relay.SnapshotConfig{Bytes: 1 << 20}, Keys: keys})
	require.NoError(t, err)
	listener, err := relay.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- shared.Serve(ctx, listener) }()

	dir := t.TempDir()
	cfg := tickstorm.Config{Key: token, Market: tickstorm.Stocks, Feed: tickstorm.Feed("ws://" + listener.Addr().String()), Proxy: tickstorm.NoProxy}
	rec, err := record.NewRecorder(record.Config{Dir: dir, Market: cfg.Market, Feed: cfg.Feed, MinFree: -1})
	require.NoError(t, err)
	require.NoError(t, rec.Start())
	live := sink.NewLive(tickstorm.Stocks, 0)
	cfg.Tap = taps{rec, live}

	next := 0
	program := func(messages int) {
		h := &lateJoiner{live: make(chan struct{}), came: make(chan int64, 100)}
		client, err := tickstorm.NewClient(cfg, h)
		require.NoError(t, err)
		require.NoError(t, client.Start(ctx))
		require.NoError(t, client.Subscribe(ctx, tickstorm.Trades, tickstorm.All))
		select {
		case <-h.live:
		case <-ctx.Done():
			t.Fatal("no end of the past")
		}
		for range messages {
			next++
			server.Broadcast(fmt.Appendf(nil, `[{"ev":"T","sym":"S%d","q":%d}]`, next%2, next))
			for n := int64(-1); n != int64(next); {
				select {
				case n = <-h.came:
				case <-ctx.Done():
					t.Fatal("no event")
				}
			}
		}
		require.NoError(t, client.Close())
	}
	program(3)
	program(2)
	require.NoError(t, rec.Close(ctx))
	require.NoError(t, live.Close())
	require.NoError(t, shared.Shutdown(ctx))
	require.NoError(t, <-served)

	all, err := record.Open(dir)
	require.NoError(t, err)
	defer all.Close()
	all.Past()
	var past bytes.Buffer
	for e, err := range all.All(ctx) {
		require.NoError(t, err)
		if e.Past {
			past.Write(e.Raw)
		}
	}
	require.Equal(t, 2, strings.Count(past.String(), "snapshot_begin"), "it is in the recording")
	require.Equal(t, 2, strings.Count(past.String(), `"ev":"T"`), past.String())

	want := []string{"1", "2", "3", "4", "5"}
	reader := func() *record.Reader {
		r, err := record.Open(dir)
		require.NoError(t, err)
		t.Cleanup(func() { _ = r.Close() })
		return r
	}
	var replayed serials
	p, err := record.NewReplay(reader(), &replayed, record.ReplayConfig{})
	require.NoError(t, err)
	require.NoError(t, p.Run(ctx))
	require.Equal(t, want, replayed.got)

	folder := filepath.Join(t.TempDir(), "csv")
	_, err = record.CSV(ctx, folder, reader())
	require.NoError(t, err)
	file, err := os.Open(filepath.Join(folder, "trades.csv"))
	require.NoError(t, err)
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	require.NoError(t, err)
	var written []string
	for _, row := range rows[1:] {
		written = append(written, row[slices.Index(rows[0], "sequence_number")])
	}
	require.Equal(t, want, written)

	for name, source := range map[string]sink.Source{"folder": sink.NewFolder(sink.FolderConfig{Paths: []string{dir}}), "live": live} {
		e := &memory{}
		run(t, e, source, sink.Config{})
		var got []string
		gaps := 0
		for _, k := range e.rows {
			require.NotContains(t, k.raw, "snapshot_", name)
			if k.notice == sink.NoticeKind(record.Gap) {
				gaps++
			}
			if k.channel == "T" {
				_, number, _ := strings.Cut(k.raw, `"q":`)
				got = append(got, strings.Trim(number, "}"))
			}
		}
		require.Equal(t, want, got, name)
		require.Equal(t, 2, gaps, "%s: what comes until topics are live may be in none of these", name)
	}
}

// lateJoiner tells when the past has ended, and what comes.
type lateJoiner struct {
	tickstorm.NopHandler
	live chan struct{}
	came chan int64
}

func (h *lateJoiner) OnStatus(s *tickstorm.Status) {
	if string(s.Status) == "snapshot_end" && strings.HasSuffix(string(s.Message), "next=live") {
		close(h.live)
	}
}

func (h *lateJoiner) OnTrade(e *tickstorm.Trade) { h.came <- e.Sequence }

// serials are the numbers of trades.
type serials struct {
	tickstorm.NopHandler
	got []string
}

func (s *serials) OnTrade(e *tickstorm.Trade) { s.got = append(s.got, fmt.Sprint(e.Sequence)) }

// taps are several Taps.
type taps []tickstorm.Tap

func (all taps) OnMessage(msg []byte, received int64) {
	for _, t := range all {
		t.OnMessage(msg, received)
	}
}

func (all taps) OnState(s *tickstorm.StateChange) {
	for _, t := range all {
		t.OnState(s)
	}
}

func (all taps) OnGap(g *tickstorm.Gap) {
	for _, t := range all {
		t.OnGap(g)
	}
}
