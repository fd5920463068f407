package record

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// script notes what a handler is told.
type script struct {
	tickstorm.NopHandler
	told []string
	then func()
}

func (s *script) note(format string, args ...any) {
	s.told = append(s.told, fmt.Sprintf(format, args...))
	if s.then != nil {
		s.then()
	}
}

func (s *script) OnTrade(e *tickstorm.Trade) {
	if !e.Replayed || e.Backfilled {
		s.note("taken for live")
	}
	s.note("%s %s %d at %d", e.Market, e.Symbol, e.Sequence, (e.Received-t0.UnixNano())/1e6)
}

func (s *script) OnError(e *tickstorm.EventError) { s.note("error %v", e.Err) }

func (s *script) OnState(c *tickstorm.StateChange) {
	s.note("%v after %v: %v", c.State, c.Previous, c.Err)
}

func (s *script) OnGap(g *tickstorm.Gap) {
	since := func(t time.Time) int64 {
		if t.IsZero() {
			return -1
		}
		return t.Sub(t0).Milliseconds()
	}
	cause := g.Cause.Error()
	var d *Damage
	if errors.As(g.Cause, &d) {
		cause = string(d.Reason)
	}
	s.note("%s gap %d to %d: %s", g.Market, since(g.From.Received), since(g.To.Received), cause)
}

// segmentOf is a finished segment of messages and controls, a frame each.
func segmentOf(t testing.TB, h Header, lines ...any) []byte {
	t.Helper()
	var b bytes.Buffer
	s, err := newSegmentWriter(&b, h, LevelDefault)
	require.NoError(t, err)
	for _, l := range lines {
		switch l := l.(type) {
		case int:
			require.NoError(t, s.message(at(l), trade(l)))
		case []byte:
			require.NoError(t, s.message(at(0), l))
		case stamped:
			require.NoError(t, s.message(at(l.ms), l.msg))
		case Control:
			require.NoError(t, s.control(l))
		}
		require.NoError(t, s.flush())
	}
	require.NoError(t, s.finish())
	return b.Bytes()
}

func both(market string, ms int) []string {
	return []string{fmt.Sprintf("%s AAPL %d at %d", market, ms, ms), fmt.Sprintf("%s MSFT %d at %d", market, ms, ms)}
}

func TestReplay(t *testing.T) {
	dir := t.TempDir()
	moment := func(ms int) tickstorm.Moment {
		return tickstorm.Moment{Received: t0.Add(time.Duration(ms) * time.Millisecond)}
	}
	stocks := segmentOf(t, testHeader(),
		Control{Kind: Up, Received: at(0)},
		Control{Kind: Subscribed, Received: at(1), Topics: []string{"T.*"}},
		10, 30,
		Control{Kind: Down, Received: at(40), Cause: "EOF"},
		Control{Kind: Up, Received: at(50)},
		Control{Kind: Gap, Received: at(60), From: moment(30), To: moment(60), Topics: []string{"T.*"}, Cause: "EOF"},
		60,
		Control{Kind: Dropped, Received: at(70), From: moment(61), To: moment(69), Count: 3, Cause: "buffer full"},
		80, 90)
	x := partsOf(t, stocks)
	stocks[x[len(x)-5].to-5] ^= 1 // in the frame of the message before the last
	put(t, dir, "a"+Suffix, stocks)
	h := testHeader()
	h.Market = tickstorm.Options
	put(t, dir, "b"+Suffix, segmentOf(t, h, 20, []byte(`[{"ev":"T","p":x}]`), 85))

	var want []string
	for _, part := range [][]string{
		{"subscribing after idle: <nil>", "streaming after subscribing: <nil>"}, both("stocks", 10), both("options", 20),
		{"error element is not valid JSON"}, both("stocks", 30),
		{"backoff after streaming: EOF", "subscribing after backoff: <nil>", "stocks gap 30 to 60: EOF"}, both("stocks", 60),
		{"stocks gap 61 to 69: 3 messages of the recording were dropped: buffer full"}, both("options", 85),
		{"stocks gap 60 to 90: checksum"}, both("stocks", 90), {"closed after idle: <nil>"},
	} {
		want = append(want, part...)
	}
	var sums [][]byte
	for _, ahead := range []bool{false, true, false} {
		var s script
		sum := sha256.New()
		p, err := NewReplay(open(t, dir), &s, ReplayConfig{Ahead: ahead, Hash: sum})
		require.NoError(t, err)
		require.NoError(t, p.Run(t.Context()))
		require.Equal(t, want, s.told)
		require.Equal(t, ReplayStats{Messages: 7, Controls: 6, Damages: 2}, p.Stats())
		sums = append(sums, sum.Sum(nil))
	}
	require.Equal(t, sums[0], sums[1])
	require.Equal(t, sums[0], sums[2])
}

// TestReplayPace: with a handler that takes its time, the last message of an hour comes when it
// is due, and idle stretches are cut.
func TestReplayPace(t *testing.T) {
	var all []any
	const messages = 1200
	for i := range messages {
		all = append(all, 3000*i)
	}
	all = append(all, 3000*messages+3_600_000) // an hour later
	path := put(t, t.TempDir(), "a"+Suffix, segmentOf(t, testHeader(), all...))
	for _, ahead := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{then: func() { time.Sleep(50 * time.Microsecond) }}
			p, err := NewReplay(open(t, path), s, ReplayConfig{Speed: 3, MaxIdle: time.Minute, Ahead: ahead})
			require.NoError(t, err)
			begun := time.Now()
			require.NoError(t, p.Run(t.Context()))
			took := time.Since(begun) - (messages-1)*time.Second - time.Minute
			require.GreaterOrEqual(t, took, time.Duration(0))
			require.Less(t, took, time.Millisecond)
			require.Less(t, p.Stats().Late, time.Millisecond)
			require.Len(t, s.told, 2*messages+3)
		})
	}
}

func TestReplayRange(t *testing.T) {
	path := put(t, t.TempDir(), "a"+Suffix, segmentOf(t, testHeader(), 0, 10, 20, 30, 40))
	r := open(t, path)
	r.Seek(Received, t0.Add(10*time.Millisecond))
	r.Filter(Filter{Symbols: []string{"MSFT"}})
	ctx, cancel := context.WithCancel(t.Context())
	s := &script{}
	s.then = func() {
		if len(s.told) == 7 {
			cancel()
		}
	}
	p, err := NewReplay(r, s, ReplayConfig{Until: t0.Add(40 * time.Millisecond), Loop: true, Ahead: true})
	require.NoError(t, err)
	require.ErrorIs(t, p.Run(ctx), context.Canceled)
	line := func(ms int) string { return fmt.Sprintf("stocks MSFT %d at %d", ms, ms) }
	require.Equal(t, []string{line(10), line(20), line(30), line(10), line(20), line(30), line(10),
		"closed after idle: context canceled"}, s.told)
}

func TestReplayStep(t *testing.T) {
	path := put(t, t.TempDir(), "a"+Suffix, segmentOf(t, testHeader(), 0, Control{Kind: Up, Received: at(1)}, 10))
	for _, ahead := range []bool{false, true} {
		s := &script{}
		p, err := NewReplay(open(t, path), s, ReplayConfig{Speed: 1e-9, Ahead: ahead})
		require.NoError(t, err)
		for _, n := range []int{2, 3, 5} {
			require.NoError(t, p.Step(t.Context()))
			require.Len(t, s.told, n)
		}
		require.Equal(t, io.EOF, p.Step(t.Context()))
		require.Equal(t, "closed after idle: <nil>", s.told[len(s.told)-1])
		p.Close()
	}
}

// TestReplayFollow: what is written is told when it is there, also where reading ahead was asked for.
func TestReplayFollow(t *testing.T) {
	var b bytes.Buffer
	w, err := newSegmentWriter(&b, testHeader(), LevelDefault)
	require.NoError(t, err)
	require.NoError(t, w.message(at(0), trade(0)))
	require.NoError(t, w.flush())
	dir := t.TempDir()
	path := put(t, dir, "a"+PartSuffix, b.Bytes())
	r := open(t, dir)
	r.Follow(time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	s := &script{}
	s.then = func() {
		switch len(s.told) {
		case 2: // both of the message, and nothing more is there
			require.NoError(t, w.message(at(10), trade(10)))
			require.NoError(t, w.flush())
			require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
		case 4:
			cancel()
		}
	}
	p, err := NewReplay(r, s, ReplayConfig{Ahead: true})
	require.NoError(t, err)
	require.ErrorIs(t, p.Run(ctx), context.Canceled)
	require.Equal(t, append(both("stocks", 0), both("stocks", 10)...), s.told[:4])
}

// TestReplayEnds: what is damaged at the end is told there, before it begins again, and what is of no
// market where it comes.
func TestReplayEnds(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "0"+Suffix, []byte("garbage"))
	h := testHeader()
	for _, m := range []tickstorm.Market{tickstorm.Stocks, tickstorm.Crypto, tickstorm.FuturesCME} {
		h.Market = m
		b := segmentOf(t, h, 0, 10)
		p := partsOf(t, b)
		put(t, dir, strings.ReplaceAll(string(m), "/", "-")+Suffix, b[:p[len(p)-2].from])
	}
	for _, ahead := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		s := &script{}
		var gaps []string
		s.then = func() {
			if last := s.told[len(s.told)-1]; strings.Contains(last, "gap") {
				if gaps = append(gaps, last); len(gaps) == 8 {
					cancel()
				}
			}
		}
		p, err := NewReplay(open(t, dir), s, ReplayConfig{Loop: true, Ahead: ahead})
		require.NoError(t, err)
		require.ErrorIs(t, p.Run(ctx), context.Canceled)
		once := []string{" gap -1 to -1: no segment", "crypto gap 10 to -1: unfinished", "futures/cme gap 10 to -1: unfinished", "stocks gap 10 to -1: unfinished"}
		require.Equal(t, append(once, once...), gaps[:8])
		require.Equal(t, once[0], s.told[0])
	}
}

// TestReplayBad: what cannot be meant is refused, and an empty recording ends though it is looped.
func TestReplayBad(t *testing.T) {
	path := put(t, t.TempDir(), "a"+Suffix, segmentOf(t, testHeader()))
	for _, cfg := range []ReplayConfig{{Speed: -1}, {Speed: nan()}, {MaxIdle: -1}} {
		_, err := NewReplay(open(t, path), tickstorm.NopHandler{}, cfg)
		require.ErrorIs(t, err, ErrSpeed)
	}
	for _, path := range []string{path, put(t, t.TempDir(), "b"+Suffix, segmentOf(t, testHeader(), Control{Kind: Up, Received: at(0)})), put(t, t.TempDir(), "c"+Suffix, nil)} {
		p, err := NewReplay(open(t, path), tickstorm.NopHandler{}, ReplayConfig{Loop: true})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		require.NoError(t, p.Run(ctx))
	}
}

func nan() float64 { var zero float64; return zero / zero }

// TestSourceTells: what is between the messages comes as statuses, in its order and at its time.
func TestSourceTells(t *testing.T) {
	moment := func(ms int) tickstorm.Moment { return tickstorm.Moment{Received: time.Unix(0, at(ms))} }
	stocks := segmentOf(t, testHeader(),
		Control{Kind: Up, Received: at(1)},
		Control{Kind: Subscribed, Received: at(2), Topics: []string{"T.*"}},
		10,
		Control{Kind: Down, Received: at(11), Cause: "read: \"EOF\""},
		Control{Kind: Status, Received: at(12), Text: "backoff"},
		Control{Kind: Up, Received: at(19)},
		Control{Kind: Gap, Received: at(20), From: moment(10), To: moment(20), Topics: []string{"T.*"}, Count: 1, Cause: "EOF"},
		20,
		Control{Kind: Dropped, Received: at(29), From: moment(21), To: moment(28), Count: 3, Cause: "buffer full"},
		Control{Kind: Lost, Received: at(29), Cause: "checksum"},
		30, // which is damaged
		19, // back in time: nothing is missing
		Control{Kind: Gap, Received: at(41), From: tickstorm.Moment{Event: time.Unix(0, at(35))}, Cause: strings.Repeat("x", 300)},
		Control{Kind: Rotate, Received: at(50), Text: "next"},
	)
	x := partsOf(t, stocks)
	stocks[x[len(x)-9].to-5] ^= 1
	s, err := OpenSource(tickstorm.Stocks, put(t, t.TempDir(), "a"+Suffix, stocks))
	require.NoError(t, err)
	defer s.Close()
	var got []string
	for {
		msg, received, err := s.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		require.True(t, json.Valid(msg), string(msg))
		if status, ok := strings.CutPrefix(string(msg), `[{"ev":"status","status":`); ok {
			got = append(got, fmt.Sprint((received-t0.UnixNano())/1e6, " ", strings.ReplaceAll(strings.TrimSuffix(status, "}]"), fmt.Sprint(t0.UnixNano())[:11], "…")))
		} else {
			got = append(got, fmt.Sprint((received-t0.UnixNano())/1e6))
		}
	}
	require.Equal(t, []string{
		`1 "upstream_connected","message":""`,
		`10`,
		`11 "upstream_disconnected","message":"read: \"EOF\""`,
		`19 "upstream_connected","message":""`,
		`20 "gap","message":"from=…10000000 to=…20000000 cause=EOF"`,
		`20`,
		`29 "gap","message":"from=…21000000 to=…28000000 cause=dropped, 3 messages: buffer full"`,
		`29 "gap","message":"from=0 to=0 cause=lost: checksum"`,
		`29 "gap","message":"from=…29000000 to=0 cause=damage: checksum"`,
		`19`,
		`41 "gap","message":"from=…35000000 to=0 cause=` + strings.Repeat("x", 256) + `"`,
	}, got)
}

// TestSourceSeeks: whoever has been told that the connection ended is told that one stands before
// anything comes of it, wherever reading goes on.
func TestSourceSeeks(t *testing.T) {
	greeting := []byte(`[{"ev":"status","status":"connected","message":"Connected Successfully"}]`)
	path := put(t, t.TempDir(), "a"+Suffix, segmentOf(t, testHeader(),
		10, Control{Kind: Down, Received: at(15), Cause: "EOF"}, greeting, Control{Kind: Up, Received: at(20)}, 30,
		Control{Kind: Down, Received: at(40), Cause: "EOF"}))
	s, err := OpenSource(tickstorm.Stocks, path)
	require.NoError(t, err)
	defer s.Close()
	next := func() string {
		msg, _, err := s.Next()
		if err != nil {
			return err.Error()
		}
		var e []struct{ Status, Sym string }
		require.NoError(t, json.Unmarshal(msg, &e))
		return e[0].Status + e[0].Sym
	}
	all := []string{"upstream_connected", "AAPL", "upstream_disconnected", "connected", "upstream_connected", "AAPL", "upstream_disconnected", "EOF"}
	rounds := func(want ...string) {
		t.Helper()
		for _, w := range want {
			require.Equal(t, w, next())
		}
	}
	rounds(all...)
	require.NoError(t, s.SeekTo(at(0)))
	rounds(all[:3]...)
	require.NoError(t, s.SeekTo(at(25)))
	rounds("upstream_connected") // and the message that is behind it is left for another moment
	require.NoError(t, s.SeekTo(at(35)))
	rounds("upstream_disconnected", "EOF")
	require.NoError(t, s.SeekTo(at(25)))
	rounds("upstream_connected", "AAPL", "upstream_disconnected", "EOF")
}

// TestSource: the simulator serves a recording, to each market its own, and seeks in it.
func TestSource(t *testing.T) {
	dir := t.TempDir()
	stocks := segmentOf(t, testHeader(), 10, Control{Kind: Up, Received: at(11)}, 20, 30)
	x := partsOf(t, stocks)
	stocks[x[len(x)-5].to-5] ^= 1 // in that of the message at 20
	put(t, dir, "a"+Suffix, stocks)
	h := testHeader()
	h.Market = tickstorm.Crypto
	put(t, dir, "b"+Suffix, segmentOf(t, h, 15))

	var damages []*Damage
	replay := &sim.Replay{Open: func(m tickstorm.Market) (sim.Source, error) {
		s, err := OpenSource(m, dir)
		if err == nil {
			s.OnDamage = func(d *Damage) { damages = append(damages, d) }
		}
		return s, err
	}}
	server, err := sim.Start(sim.Config{Replay: replay})
	require.NoError(t, err)
	server.Playback().Seek(t0.Add(5 * time.Millisecond))
	got := make(chan string, 10)
	client, err := tickstorm.NewClient(server.ClientConfig(tickstorm.Stocks), tradesTo(got))
	require.NoError(t, err)
	require.NoError(t, client.Start(t.Context()))
	require.NoError(t, client.Subscribe(t.Context(), tickstorm.Trades, "AAPL"))
	for _, want := range []string{"upstream_connected", "AAPL 10", "upstream_connected", "gap", "AAPL 30"} {
		require.Equal(t, want, <-got)
	}
	require.NoError(t, client.Close())
	require.NoError(t, server.Close())
	require.Len(t, damages, 1)
	require.Equal(t, Checksum, damages[0].Reason)
}

type tradeSink struct {
	tickstorm.NopHandler
	to chan<- string
}

func tradesTo(to chan<- string) tickstorm.Handler { return &tradeSink{to: to} }

func (s *tradeSink) OnStatus(e *tickstorm.Status) {
	if e.Code() == tickstorm.StatusOther { // not one of the dialogue's own
		s.to <- string(e.Status)
	}
}

func (s *tradeSink) OnTrade(e *tickstorm.Trade) { s.to <- fmt.Sprint(e.Symbol, " ", e.Sequence) }

var (
	_ sim.Source = (*Source)(nil)
	_ sim.Seeker = (*Source)(nil)
)
