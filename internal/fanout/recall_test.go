package fanout_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fanout"
)

// mark is how tests mark what is recalled.
func mark(dst []byte, m fanout.Mark) []byte {
	kind := [...]string{"begin", "end", "gap"}[m.Kind]
	text, err := json.Marshal(wire{
		Ev: "status", Kind: kind, Snapshot: m.Snapshot, From: m.From, To: m.To, Events: m.Events, More: m.More, Cause: m.Cause,
	})
	if err != nil {
		panic(err)
	}
	return append(dst, text...)
}

// wire is an element as these tests send and get them.
type wire struct {
	Ev     string `json:"ev"`
	Sym    string `json:"sym,omitempty"`
	Serial int    `json:"n,omitempty"` // of the symbol, from 1
	At     int64  `json:"at,omitempty"`
	Pad    string `json:"pad,omitempty"`

	Kind     string
	Snapshot bool
	From, To int64
	Events   int
	More     bool
	Cause    string
}

// feed is an upstream that makes messages, and keeps what it has sent.
type feed struct {
	hub *fanout.Hub
	rnd *rand.Rand

	mu      sync.Mutex
	symbols int
	now     int64
	serials map[string]int
	sent    map[string][]wire // by channel and symbol
	taped   []taped
}

type taped struct {
	msg []byte
	at  int64
}

func newFeed(h *fanout.Hub, symbols int, seed uint64) *feed {
	return &feed{
		hub: h, rnd: rand.New(rand.NewPCG(seed, 1)), symbols: symbols, now: time.Now().UnixNano(),
		serials: map[string]int{}, sent: map[string][]wire{},
	}
}

// send sends a message. Some have the same time as the one before.
func (f *feed) send(events, pad int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rnd.IntN(3) > 0 {
		f.now += 1000
	}
	var parts []string
	for range events {
		w := wire{Ev: []string{"T", "Q", "A"}[f.rnd.IntN(3)], Sym: fmt.Sprintf("S%d", f.rnd.IntN(f.symbols)), At: f.now}
		if pad > 0 {
			w.Pad = strings.Repeat("x", f.rnd.IntN(pad))
		}
		key := w.Ev + "." + w.Sym
		f.serials[key]++
		w.Serial = f.serials[key]
		f.sent[key] = append(f.sent[key], w)
		parts = append(parts, fmt.Sprintf(`{"ev":%q,"sym":%q,"n":%d,"at":%d,"pad":%q}`, w.Ev, w.Sym, w.Serial, w.At, w.Pad))
	}
	msg := []byte("[" + strings.Join(parts, ",") + "]")
	f.taped = append(f.taped, taped{msg, f.now})
	f.hub.Message(msg, f.now)
}

// past is a recording of the feed.
func (f *feed) past(ctx context.Context, from, to int64) (fanout.Source, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first, _ := slices.BinarySearchFunc(f.taped, from, func(t taped, from int64) int { return cmp.Compare(t.at, from) })
	return &tapedSource{rest: slices.Clone(f.taped[first:])}, nil
}

type tapedSource struct{ rest []taped }

func (s *tapedSource) Next() ([]byte, int64, error) {
	if len(s.rest) == 0 {
		return nil, 0, io.EOF
	}
	next := s.rest[0]
	s.rest = s.rest[1:]
	return next.msg, next.at, nil
}

// listener is what one outlet has written, by channel and symbol.
type listener struct {
	out      *fanout.Outlet
	conn     *sink
	recalled map[string][]wire
	live     map[string][]wire
	gaps     []wire
	begins   int
	ends     int // of pieces that are the last
	inside   bool
	snapshot bool
}

func listen(h *fanout.Hub, cfg fanout.OutletConfig) *listener {
	l := &listener{conn: newSink(), recalled: map[string][]wire{}, live: map[string][]wire{}}
	l.out = h.Join(l.conn, cfg)
	return l
}

// read takes what was written.
func (l *listener) read(t testing.TB) {
	for _, msg := range l.conn.written(t) {
		if strings.HasPrefix(msg, "close ") {
			continue
		}
		var all []wire
		require.NoError(t, json.Unmarshal([]byte(msg), &all), msg)
		for _, w := range all {
			key := w.Ev + "." + w.Sym
			switch {
			case w.Kind == "begin":
				require.False(t, l.inside)
				l.inside, l.snapshot = true, w.Snapshot
				l.begins++
			case w.Kind == "end":
				require.True(t, l.inside)
				require.Equal(t, l.snapshot, w.Snapshot)
				l.inside = false
				if !w.More {
					l.ends++
				}
			case w.Kind == "gap":
				require.True(t, l.inside)
				l.gaps = append(l.gaps, w)
			case l.inside:
				l.recalled[key] = append(l.recalled[key], w)
			default:
				l.live[key] = append(l.live[key], w)
			}
		}
		require.False(t, l.inside, "a piece is one message")
	}
}

func (l *listener) end(t testing.TB) {
	l.out.Close(0, "")
	<-l.out.Done()
	l.read(t)
}

func topics(some ...string) (all []tickstorm.Topic) {
	for _, s := range some {
		all = append(all, topic(s))
	}
	return all
}

// within runs a function beside a feed that does not rest for ten seconds: on a machine with much else to
// do it may outrun for ever who is to catch up with it.
func within(f *feed, events, pad int, do func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		enough := time.After(10 * time.Second)
		for {
			select {
			case <-stop:
				return
			case <-enough:
				return
			default:
				f.send(events, pad)
			}
		}
	}()
	do()
	close(stop)
	<-stopped
}

// await waits until an outlet has written so many last pieces.
func (l *listener) await(t testing.TB, ends int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); l.ends < ends; time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "a recall does not end")
		l.read(t)
	}
}

func serials(all []wire) (n []int) {
	for _, w := range all {
		n = append(n, w.Serial)
	}
	return n
}

// TestSnapshotSeam: behind a snapshot each symbol goes on from its last element, while messages
// come that do not wait for it.
func TestSnapshotSeam(t *testing.T) {
	for name, tc := range map[string]struct {
		symbols, pad int
		topics       [][]string
	}{
		"few":               {10, 0, [][]string{{"T.S1", "Q.S1"}, {"T.S2"}}},
		"all":               {10, 0, [][]string{{"T.*"}, {"Q.*", "A.S1"}}},
		"one, then all":     {10, 0, [][]string{{"T.S1"}, {"T.*"}, {"T.S2"}, {"Q.S1", "Q.*"}}},
		"more than at once": {3000, 600, [][]string{{"T.S1", "T.*"}, {"A.*", "Q.*"}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := fanout.New(fanout.Config{Market: tickstorm.Stocks, Snapshots: 64 << 20, Mark: mark})
			f := newFeed(h, tc.symbols, 1)
			for range tc.symbols / 3 {
				f.send(30, tc.pad)
			}
			l := listen(h, fanout.OutletConfig{Bytes: 1 << 30})
			within(f, 20, tc.pad, func() {
				ends := 0
				for _, some := range tc.topics {
					l.out.Recall(fanout.Recall{}, topics(some...)...)
					alls := strings.Count(strings.Join(some, " "), "*")
					ends += alls + min(1, len(some)-alls)
					l.await(t, ends)
				}
			})
			l.end(t)
			require.Zero(t, l.out.Stats().Dropped)
			require.Empty(t, l.gaps)
			held := map[tickstorm.Topic]bool{}
			for _, some := range tc.topics {
				for _, t := range topics(some...) {
					held[t] = true
				}
			}
			for key, sent := range f.sent {
				w := topic(key)
				if !held[w] && !held[tickstorm.Topic{Channel: w.Channel, Symbol: tickstorm.All}] {
					require.Empty(t, l.recalled[key], key)
					require.Empty(t, l.live[key], key)
					continue
				}
				snap := serials(l.recalled[key])
				require.True(t, slices.IsSorted(snap), key)
				from := 0
				if len(snap) > 0 {
					from = snap[len(snap)-1]
				}
				require.Equal(t, serials(sent[from:]), serials(l.live[key]), "%s behind %v", key, snap)
			}
			require.Zero(t, h.Lent())
		})
	}
}

// TestSnapshotAsItCame: a snapshot is the last elements of what is wanted, byte for byte.
func TestSnapshotAsItCame(t *testing.T) {
	h := fanout.New(fanout.Config{
		Market: tickstorm.Stocks, Snapshots: 1, SnapshotOf: []string{"T"},
		Mark: func(dst []byte, m fanout.Mark) []byte {
			return fmt.Appendf(dst, "\"%d %v %d %v\"", m.Kind, m.Topics, m.Events, m.More)
		},
	})
	h.Message([]byte(`[{"ev":"T","sym":"A","p":1.50},{"ev":"Q","sym":"A"}, {"x":2, "ev":"T","sym":"B" },`+
		`{"ev":"T","sym":"A","p":"`+strings.Repeat("long", 50)+`"},{"ev":"T","sym":"A","p":1.5e0}]`), 1)
	l := newSink()
	o := h.Join(l, fanout.OutletConfig{})
	next := func() string {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			require.True(t, time.Now().Before(deadline))
			if written := l.written(t); len(written) > 0 {
				require.Len(t, written, 1)
				return written[0]
			}
		}
	}
	o.Recall(fanout.Recall{}, topics("T.A", "T.C", "Q.A")...)
	require.Equal(t, `["0 [Q.A T.A T.C] 0 false",{"ev":"T","sym":"A","p":1.5e0},"1 [Q.A T.A T.C] 1 false"]`, next())
	o.Recall(fanout.Recall{}, topics("T.*")...)
	require.Equal(t, `["0 [T.*] 0 false",{"x":2, "ev":"T","sym":"B" },"1 [T.*] 1 false"]`, next())
	o.Recall(fanout.Recall{}, topics("T.*", "T.A")...) // which it has
	h.Message([]byte(`[{"ev":"T","sym":"A"}]`), 2)
	require.Equal(t, `[{"ev":"T","sym":"A"}]`, next())
	o.Cut()
	<-o.Done()
	require.Equal(t, 2, h.Stats().Snapshots.Symbols)
	require.EqualValues(t, 2, o.Stats().Recalled)
}

// TestHistorySeam: from its time on all comes once, in order, however slow the reader is, whatever
// it gives up in between, and whether the ring has it or a recording.
func TestHistorySeam(t *testing.T) {
	for name, tc := range map[string]struct {
		ring   int
		past   bool
		stall  bool
		topics [][]string
	}{
		"from the ring":             {64 << 20, false, false, [][]string{{"T.*"}, {"Q.S1", "Q.S2"}, {"Q.*"}}},
		"a slow one":                {64 << 20, false, true, [][]string{{"T.*", "Q.*", "A.*"}}},
		"from a recording":          {256 << 10, true, false, [][]string{{"T.*", "Q.S1"}, {"Q.*"}}},
		"a slow one of a recording": {256 << 10, true, true, [][]string{{"T.*"}}},
		"lapped":                    {256 << 10, false, true, [][]string{{"T.*"}, {"Q.*"}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := fanout.New(fanout.Config{Market: tickstorm.Stocks, History: tc.ring, Mark: mark})
			f := newFeed(h, 10, 2)
			for range 2000 {
				f.send(10, 50)
			}
			since := f.taped[700].at
			l := listen(h, fanout.OutletConfig{Bytes: 1 << 30})
			r := fanout.Recall{Since: since}
			if tc.past {
				r.Past = f.past
			}
			within(f, 5, 50, func() {
				for i, some := range tc.topics {
					if tc.stall {
						l.conn.stall(true)
						time.AfterFunc(300*time.Millisecond, func() { l.conn.stall(false) })
					}
					l.out.Recall(r, topics(some...)...)
					l.await(t, i+1)
				}
			})
			l.end(t)
			require.Zero(t, l.out.Stats().Dropped)
			if name == "lapped" {
				require.NotEmpty(t, l.gaps)
			} else {
				require.Empty(t, l.gaps)
			}
			missing := func(w wire) bool {
				return slices.ContainsFunc(l.gaps, func(g wire) bool { return g.From <= w.At && w.At < g.To })
			}
			held := map[string]bool{}
			for _, some := range tc.topics {
				for _, t := range some {
					held[t] = true
				}
			}
			for key, sent := range f.sent {
				var want []int
				got := serials(append(slices.Clone(l.recalled[key]), l.live[key]...))
				came := map[int]bool{}
				for _, n := range got {
					came[n] = true
				}
				for _, w := range sent {
					if (held[key] || held[w.Ev+".*"]) && w.At >= since && (came[w.Serial] || !missing(w)) {
						want = append(want, w.Serial)
					}
				}
				require.Equal(t, want, got, key)
			}
			require.Zero(t, h.Lent())
		})
	}
}

// TestHistoryGiveUp: what was live until it was given up does not come again from the history of
// what has it too.
func TestHistoryGiveUp(t *testing.T) {
	h := fanout.New(fanout.Config{Market: tickstorm.Stocks, History: 1 << 20, Mark: mark})
	f := newFeed(h, 3, 3)
	since := f.now
	l := listen(h, fanout.OutletConfig{})
	l.out.Recall(fanout.Recall{Since: since}, topics("T.S1")...)
	l.await(t, 1)
	f.send(50, 0)
	l.conn.stall(true)
	f.send(50, 0)
	l.out.Recall(fanout.Recall{Since: since}, topics("T.*")...)
	f.send(50, 0)
	l.out.Unsubscribe(topics("T.S1")...)
	f.send(50, 0)
	l.conn.stall(false)
	l.await(t, 2)
	f.send(50, 0)
	l.end(t)
	for key, sent := range f.sent {
		if strings.HasPrefix(key, "T.") {
			got := serials(append(slices.Clone(l.recalled[key]), l.live[key]...))
			slices.Sort(got)
			require.Equal(t, serials(sent), got, key)
		}
	}
}

// TestHistoryPastFails: a recording that cannot be read is a gap, with what is known of it.
func TestHistoryPastFails(t *testing.T) {
	h := fanout.New(fanout.Config{Market: tickstorm.Stocks, History: 64 << 10, Mark: mark})
	f := newFeed(h, 3, 4)
	for range 1000 {
		f.send(10, 0)
	}
	since := f.taped[0].at
	for name, past := range map[string]func(context.Context, int64, int64) (fanout.Source, error){
		"at once": func(context.Context, int64, int64) (fanout.Source, error) { return nil, errors.New("no disk") },
		"later": func(context.Context, int64, int64) (fanout.Source, error) {
			return &brokenSource{tapedSource{slices.Clone(f.taped[:100])}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(h, fanout.OutletConfig{})
			l.out.Recall(fanout.Recall{Since: since, Past: past}, topics("T.*")...)
			l.await(t, 1)
			l.end(t)
			require.Len(t, l.gaps, 1)
			require.Equal(t, "no disk", l.gaps[0].Cause)
			require.LessOrEqual(t, l.gaps[0].To, h.Stats().History.From)
			require.NotEmpty(t, l.recalled["T.S1"])
		})
	}
}

type brokenSource struct{ tapedSource }

func (s *brokenSource) Next() ([]byte, int64, error) {
	msg, at, err := s.tapedSource.Next()
	if err == io.EOF {
		err = errors.New("no disk")
	}
	return msg, at, err
}

// TestHistoryHangs: a recording that does not answer holds up neither answers nor the end, and is said to be waited for.
func TestHistoryHangs(t *testing.T) {
	h := fanout.New(fanout.Config{Market: tickstorm.Stocks, History: 64 << 10, Mark: mark})
	l := listen(h, fanout.OutletConfig{})
	closed := make(chan struct{})
	l.out.Recall(fanout.Recall{Since: 1, Past: func(ctx context.Context, _, _ int64) (fanout.Source, error) {
		<-ctx.Done()
		close(closed)
		return nil, ctx.Err()
	}}, topics("T.*")...)
	l.out.Subscribe(topics("Q.*")...)
	h.Message([]byte(`[{"ev":"Q","sym":"A"}]`), 2)
	for deadline := time.Now().Add(time.Minute); len(l.live) == 0; time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(deadline))
		l.read(t)
	}
	l.end(t)
	<-closed
}

// TestHistoryKnown: where it is known that topics were not streamed, that is told.
func TestHistoryKnown(t *testing.T) {
	h := fanout.New(fanout.Config{Market: tickstorm.Stocks, History: 1 << 20, Mark: mark})
	now := time.Now().UnixNano()
	h.Message([]byte(`[{"ev":"T","sym":"A","n":1}]`), now+10)
	h.Message([]byte(`[{"ev":"T","sym":"A","n":2}]`), now+20)
	l := listen(h, fanout.OutletConfig{})
	l.out.Recall(fanout.Recall{Since: now + 5, Known: now + 15}, topics("T.A")...)
	l.await(t, 1)
	l.end(t)
	require.Equal(t, []int{1, 2}, serials(l.recalled["T.A"]))
	require.Len(t, l.gaps, 1)
	require.Equal(t, "not streamed", l.gaps[0].Cause)
	require.Equal(t, []int64{now + 5, now + 15}, []int64{l.gaps[0].From, l.gaps[0].To})
}

// TestRecallLong: no message of the past is longer than clients read, however long its elements are;
// one that no message has room for is told as a gap.
func TestRecallLong(t *testing.T) {
	h := fanout.New(fanout.Config{Market: tickstorm.Stocks, History: 16 << 20, Snapshots: 64 << 20, Mark: mark})
	since := time.Now().UnixNano()
	var all []tickstorm.Topic
	var parts []string
	for i := range 80 {
		sym := fmt.Sprintf("S%d", i)
		all = append(all, tickstorm.Topic{Channel: "T", Symbol: sym})
		parts = append(parts, fmt.Sprintf(`{"ev":"T","sym":%q,"n":1,"pad":%q}`, sym, strings.Repeat("x", 90_000)))
	}
	for some := range slices.Chunk(parts, 10) {
		h.Message([]byte("["+strings.Join(some, ",")+"]"), since+1)
	}
	for _, r := range []fanout.Recall{{}, {Since: since}} {
		l := listen(h, fanout.OutletConfig{})
		l.out.Recall(r, all...)
		l.await(t, 1)
		for _, topic := range all {
			require.Equal(t, []int{1}, serials(l.recalled[topic.String()]))
		}
		require.EqualValues(t, len(all), l.out.Stats().Recalled)
		l.end(t)
	}
	h.Message([]byte(`[{"ev":"T","sym":"S1","n":2,"pad":"`+strings.Repeat("x", 990_000)+`"}]`), since+2)
	l := listen(h, fanout.OutletConfig{})
	l.out.Recall(fanout.Recall{Since: since + 2}, all...)
	l.await(t, 1)
	require.Len(t, l.gaps, 1)
	require.Equal(t, since+2, l.gaps[0].From)
	l.end(t)
	require.EqualValues(t, 1, h.Stats().Snapshots.Unkept)
	require.Zero(t, h.Lent())
}

// TestRecallEnds: outlets that end in the middle of it leave nothing behind.
func TestRecallEnds(t *testing.T) {
	h := fanout.New(fanout.Config{Market: tickstorm.Stocks, History: 1 << 20, Snapshots: 8 << 20, Mark: mark})
	f := newFeed(h, 3000, 5)
	for range 500 {
		f.send(50, 300)
	}
	since := f.taped[0].at
	for i := range 60 {
		l := listen(h, fanout.OutletConfig{})
		l.conn.stall(i%3 > 0)
		r := fanout.Recall{Past: f.past}
		if i%2 == 0 {
			r.Since = since
		}
		l.out.Recall(r, topics("T.*", "Q.*", "T.S1")...)
		switch i % 4 {
		case 0:
			l.out.Cut()
		case 1:
			l.out.Hangup(nil)
		case 2:
			l.out.Unsubscribe(topics("T.*", "Q.*", "T.S1")...)
			l.out.Recall(r, topics("T.S1")...)
			l.out.Cut()
		case 3:
			l.conn.stall(false)
			l.await(t, 1)
			l.out.Close(0, "")
		}
		l.conn.stall(false)
		<-l.out.Done()
	}
	require.Zero(t, h.Stats().Outlets)
	require.Zero(t, h.Lent())
}

// TestHistoryGiveUpOther: what a client gives up takes nothing from what a recording has of the rest.
func TestHistoryGiveUpOther(t *testing.T) {
	h := fanout.New(fanout.Config{Market: tickstorm.Stocks, History: 64 << 10, Mark: mark})
	f := newFeed(h, 3, 5)
	for range 2000 {
		f.send(10, 0)
	}
	since := f.taped[0].at
	l := listen(h, fanout.OutletConfig{})
	l.out.Subscribe(topics("Q.S1")...)
	f.send(50, 0)
	opened, goOn := make(chan struct{}), make(chan struct{})
	l.out.Recall(fanout.Recall{Since: since, Past: func(ctx context.Context, from, to int64) (fanout.Source, error) {
		close(opened)
		<-goOn
		return f.past(ctx, from, to)
	}}, topics("T.*")...)
	<-opened
	l.out.Unsubscribe(topics("Q.S1")...)
	close(goOn)
	l.await(t, 1)
	l.end(t)
	require.Empty(t, l.gaps)
	for key, sent := range f.sent {
		if strings.HasPrefix(key, "T.") {
			require.Equal(t, serials(sent), serials(l.recalled[key]), key)
		}
	}
}

// TestHistoryPastTells: what a recording tells of itself, such as a gap, stands in its place among the
// events, and what is no such thing, or longer than it could be, does not.
func TestHistoryPastTells(t *testing.T) {
	h := fanout.New(fanout.Config{Market: tickstorm.Stocks, History: 64 << 10, Mark: mark, Tells: func(element []byte) bool {
		return strings.Contains(string(element), `"gap"`)
	}})
	now := time.Now().Add(-time.Minute).UnixNano()
	tape := []taped{
		{[]byte(`[{"ev":"status","Kind":"gap","From":1}]`), now - 50},
		{[]byte(`[{"ev":"T","sym":"A","n":1}]`), now - 40},
		{[]byte(`[{"ev":"status","status":"success"},{"ev":"T","sym":"A","n":2},{"ev":"status","Kind":"gap","From":2},{"ev":"T","sym":"A","n":3}]`), now - 30},
		{[]byte(`[{"ev":"status","Kind":"gap","From":3,"pad":"` + strings.Repeat("x", 300_000) + `"}]`), now - 20},
	}
	l := listen(h, fanout.OutletConfig{})
	l.out.Recall(fanout.Recall{Since: now - 100, Past: func(context.Context, int64, int64) (fanout.Source, error) {
		return &tapedSource{rest: tape}, nil
	}}, topics("T.*")...)
	h.Message([]byte(`[{"ev":"T","sym":"A","n":4}]`), time.Now().UnixNano())
	l.await(t, 1)
	require.Equal(t, []int{1, 2, 3, 4}, serials(append(l.recalled["T.A"], l.live["T.A"]...)))
	var gaps []int64
	for _, g := range l.gaps {
		gaps = append(gaps, g.From)
	}
	require.Equal(t, []int64{1, 2, now - 20}, gaps)
	l.end(t)
}

// TestHistoryOfDays: a history goes on when more has come to it than 32 bits count.
func TestHistoryOfDays(t *testing.T) {
	h := fanout.New(fanout.Config{Market: tickstorm.Stocks, History: 1 << 20, Mark: mark})
	h.Age(1<<31 - 1)
	f := newFeed(h, 3, 6)
	since := f.now
	for range 3000 {
		f.send(10, 0)
	}
	l := listen(h, fanout.OutletConfig{})
	l.out.Recall(fanout.Recall{Since: since}, topics("T.*")...)
	l.await(t, 1)
	l.end(t)
	require.Len(t, l.gaps, 1)
	for key, sent := range f.sent {
		if strings.HasPrefix(key, "T.") {
			got := serials(l.recalled[key])
			require.Equal(t, serials(sent)[len(sent)-len(got):], got)
			require.NotEmpty(t, got)
		}
	}
}

// TestRecallOfLittle: who waits for the table of topics waits for some of what is looked through, not for
// all of it, where nothing of it is wanted.
func TestRecallOfLittle(t *testing.T) {
	h := fanout.New(fanout.Config{Market: tickstorm.Stocks, History: 32 << 20, Snapshots: 32 << 20, Mark: mark})
	since := time.Now().UnixNano()
	pad := strings.Repeat("x", 100)
	for from := range 400 {
		var parts []string
		for i := range 200 {
			parts = append(parts, fmt.Sprintf(`{"ev":"Q","sym":"S%d","pad":%q}`, from*200+i, pad))
		}
		h.Message([]byte("["+strings.Join(parts, ",")+"]"), since+int64(from))
	}
	require.Greater(t, h.Stats().Snapshots.Symbols, 50_000)
	for name, r := range map[string]fanout.Recall{"snapshot": {}, "history": {Since: since}} {
		t.Run(name, func(t *testing.T) {
			o := h.Inert(fanout.OutletConfig{})
			o.Recall(r, topics("T.*")...)
			calls := 0
			for made, more := false, true; more; calls++ {
				require.False(t, made, "nothing before the last")
				if made, more = o.Piece(); !more {
					require.True(t, made)
				}
			}
			require.Greater(t, calls, 3)
		})
	}
	require.Zero(t, h.Lent())
}

// TestEndRecalls: what is given up between two pieces goes live behind a gap that tells it, and what reads
// a recording for it is stopped; also where its topics are given up.
func TestEndRecalls(t *testing.T) {
	h := fanout.New(fanout.Config{Market: tickstorm.Stocks, History: 4 << 20, Snapshots: 4 << 20, Mark: mark})
	f := newFeed(h, 10, 8)
	for range 4000 {
		f.send(10, 50)
	}
	stopped := make(chan struct{}, 1)
	hanging := func(ctx context.Context, _, _ int64) (fanout.Source, error) {
		<-ctx.Done()
		stopped <- struct{}{}
		return nil, ctx.Err()
	}
	for name, r := range map[string]fanout.Recall{
		"snapshot": {}, "history": {Since: f.taped[0].at}, "recording": {Since: 1, Past: hanging},
	} {
		t.Run(name, func(t *testing.T) {
			l := &listener{conn: newSink(), recalled: map[string][]wire{}, live: map[string][]wire{}}
			l.out = h.Inert(fanout.OutletConfig{})
			l.out.Recall(r, topics("T.*", "Q.*")...)
			made, more := l.out.Piece()
			require.True(t, made, "though there may be nothing in it yet")
			require.Equal(t, name != "recording", more)
			l.out.EndRecalls("no more")
			made, more = l.out.Piece()
			require.True(t, made)
			require.False(t, more)
			before := l.out.Stats().Events
			h.Message([]byte(`[{"ev":"T","sym":"A"},{"ev":"Q","sym":"A"}]`), f.now)
			require.Equal(t, before+2, l.out.Stats().Events, "they are live")
			if name == "recording" {
				<-stopped
			}
		})
	}
	o := h.Join(newSink(), fanout.OutletConfig{})
	o.Recall(fanout.Recall{Since: 1, Past: hanging}, topics("T.A", "T.B")...)
	o.Unsubscribe(topics("T.A")...)
	o.Unsubscribe(topics("T.B")...)
	o.Recall(fanout.Recall{Since: f.taped[3999].at}, topics("Q.*")...) // which the other must not hold up
	for deadline := time.Now().Add(time.Minute); o.Stats().Recalled == 0; time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(deadline))
	}
	o.Cut()
	<-o.Done()
}

// TestLastSweep: messages wait for a last sweep of a snapshot where little has changed, wherever that is, and
// not where much has, of whatever channel.
func TestLastSweep(t *testing.T) {
	h := fanout.New(fanout.Config{Market: tickstorm.Stocks, Snapshots: 64 << 20, Mark: mark})
	send := func(step int) {
		for from := 0; from < 100_000; from += step {
			h.Message(fmt.Appendf(nil, `[{"ev":"Q","sym":"S%d"}]`, from), 1)
		}
	}
	send(1)
	messages := h.Stats().Messages
	send(1000)
	n, whole := h.LastSweep("Q", messages)
	require.Equal(t, 100, n)
	require.True(t, whole)
	messages = h.Stats().Messages
	send(1)
	_, whole = h.LastSweep("LULD", messages)
	require.False(t, whole)
}
