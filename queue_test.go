package tickstorm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
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
	"github.com/tickstorm/tickstorm/sim"
)

func newQueue(t testing.TB, cfg tickstorm.QueueConfig, h tickstorm.Handler) *tickstorm.Queue {
	t.Helper()
	q, err := tickstorm.NewQueue(tickstorm.Config{Market: tickstorm.Stocks, Queue: cfg}, h)
	require.NoError(t, err)
	return q
}

// drainQueue runs a queue until it has handled what it holds.
func drainQueue(t testing.TB, q *tickstorm.Queue) {
	t.Helper()
	q.Close()
	require.NoError(t, q.Run(t.Context()))
	requireAccounts(t, q)
}

// requireAccounts checks that every event is somewhere.
func requireAccounts(t testing.TB, q *tickstorm.Queue) {
	t.Helper()
	st := q.Stats()
	require.Equal(t, st.Enqueued, st.Delivered+st.Dropped+st.Conflated+uint64(st.Events), "%+v", st)
	var by uint64
	for _, c := range st.DroppedBy {
		by += c.Count
	}
	require.Equal(t, st.Dropped, by)
	require.LessOrEqual(t, st.HighWater, st.Capacity)
}

// viaQueue feeds messages by a parser to a queue, which handles them when all are in.
func viaQueue(t testing.TB, cfg tickstorm.Config, messages [][]byte) (*fixture.Recorder, tickstorm.Stats) {
	t.Helper()
	var r fixture.Recorder
	cfg.Symbols = tickstorm.NewSymbols(0)
	q, err := tickstorm.NewQueue(cfg, &r)
	require.NoError(t, err)
	front := tickstorm.NewParser(cfg.Market)
	for i, msg := range messages {
		front.SetReceived(int64(i / 3))
		_ = front.Parse(msg, q)
	}
	drainQueue(t, q)
	return &r, q.ParserStats()
}

// inline decodes messages by a parser, and tells the handler of whole messages that are
// wrong as a connection does.
func inline(cfg tickstorm.Config, messages [][]byte) (*fixture.Recorder, tickstorm.Stats) {
	var r fixture.Recorder
	p := tickstorm.NewParser(cfg.Market)
	p.SetLimits(cfg.Limits)
	p.SetInterest(cfg.Interest)
	told := uint64(0)
	for i, msg := range messages {
		p.SetReceived(int64(i / 3))
		switch err := p.Parse(msg, &r); err {
		case nil, tickstorm.ErrTruncated:
		case tickstorm.ErrUTF8, tickstorm.ErrMessageTooLong: // do not come to a queue
			told++
		default:
			r.OnError(&tickstorm.EventError{Err: err, Market: cfg.Market, Received: int64(i / 3), Raw: msg})
		}
	}
	stats := p.Stats()
	stats.Errors -= told
	stats.ErrorCauses[tickstorm.CauseUTF8], stats.ErrorCauses[tickstorm.CauseMessageTooLong] = 0, 0
	stats.ErrorSamples[tickstorm.CauseUTF8], stats.ErrorSamples[tickstorm.CauseMessageTooLong] = "", ""
	return &r, stats
}

func requireSameAsInline(t testing.TB, cfg tickstorm.Config, messages [][]byte) {
	t.Helper()
	want, wantStats := inline(cfg, messages)
	got, gotStats := viaQueue(t, cfg, messages)
	require.Equal(t, want, got)
	wantStats.Fast, wantStats.Strange, gotStats.Fast, gotStats.Strange = 0, 0, 0, 0
	if wantStats.Total() > 0 {
		require.NotZero(t, gotStats.Decode.Count())
	}
	gotStats.Latency, wantStats.Latency = tickstorm.Latency{}, tickstorm.Latency{} // what is sampled differs
	require.Equal(t, wantStats, gotStats)
}

func TestQueueIsAsInline(t *testing.T) {
	for _, name := range sim.Corpora() {
		t.Run(name, func(t *testing.T) {
			messages, err := sim.Corpus(name, 3000, 11)
			require.NoError(t, err)
			cfg := tickstorm.Config{Market: sim.CorpusMarket(name)}
			requireSameAsInline(t, cfg, messages)

			first, _ := inline(cfg, messages[:1])
			symbol := first.Events[0].Head().Symbol
			cfg.Interest.Symbols = []string{symbol, "X:BTC-USD", "AAPL"}
			requireSameAsInline(t, cfg, messages)
			cfg.Interest = tickstorm.Interest{Streams: []tickstorm.Stream{tickstorm.Trades}}
			requireSameAsInline(t, cfg, messages)
			cfg.Interest.Symbols = []string{symbol}
			requireSameAsInline(t, cfg, messages)
		})
	}
	t.Run("every channel", func(t *testing.T) {
		forEach(t, func(t *testing.T, m tickstorm.Market, f sample) {
			requireSameAsInline(t, tickstorm.Config{Market: m}, [][]byte{
				[]byte("[" + f.live + "," + f.documented + "]"), []byte("[" + f.live + "]"), []byte(f.live),
			})
		})
	})
}

// oddForms are messages that are broken, or not as the vendor writes them.
var oddForms = []string{
	``, ` `, `[`, `]`, `[]`, `[ ]`, ` []`, `[] `, `[]]`, `{}`, `[{}]`, `[{},{}]`, `[,]`, `[{},]`, `[,{}]`, `null`, `[1]`, `["x"]`, `[[]]`,
	`{"ev":"T","sym":"A"}`, `{"ev":"T","sym":"A"} `, `{"ev":"T","sym":"A"},`, `{"ev":"T"`, `{"ev":"T"}]`,
	`[{"ev":"T","sym":"A"},{"ev":"T","sym":"B"}`, `[{"ev":"T","sym":"A"},{"ev":"T","sym":"B`, `[{"ev":"T","sym":"A"},`,
	`[{"ev":"T","sym":"A"}]x`, `[{"ev":"T","sym":"A"}] `, `[{"ev":"T","sym":"A"}][{"ev":"T","sym":"B"}]`,
	`[ {"ev":"T","sym":"A"}]`, `[{"ev":"T","sym":"A"} ,{"ev":"T","sym":"B"}]`, `[{"ev":"T","sym":"A"}, {"ev":"T","sym":"B"}]`,
	`[{ "ev":"T","sym":"A"},{"ev" :"T","sym":"B"},{"ev": "T","sym":"C"}]`, "[{\"ev\":\"T\",\"sym\":\n\"A\"}]",
	`[{"ev":"T","sym":"\u0041"},{"ev":"T","sym":"A"}]`, `[{"ev":"T","sym":"A\"B"},{"ev":"T","sym":"A"}]`, `[{"e\u0076":"T","sym":"A"}]`,
	`[{"ev":"T","sym":"}]"},{"ev":"T","sym":"[{"}]`, `[{"ev":"T","sym":"A","x":"},{\"ev\":"}]`, `[{"ev":"T","sym":"A},{"ev":"T","sym":"B"}]`,
	`[{"ev":"T","sym":"A"]},{"ev":"T","sym":"B"}]`, `[{"ev":"T","c":[1,2},{"ev":"T","sym":"B"}]`, `[{"ev":"T","c":[1,2}],{"ev":"T","sym":"B"}]`,
	`[{"ev":"T","sym":"A"}{"ev":"T","sym":"B"}]`, `[{"ev":"T","sym":"A"}x,{"ev":"T","sym":"B"}]`, `[{"ev":"T","sym":"A"}},{"ev":"T","sym":"B"}]`,
	`[{bad},{"ev":"T","sym":"A"},{"ev":"T",},{"ev":"T","p":01},{"sym":"A"},{"ev":5},{"ev":"T","sym":"B"}]`,
	`[{"ev":"T","sym":"A","p":1.},{"ev":"Q","sym":"A","bp":-},{"ev":"T","sym":"A` + "\x01" + `"}]`,
	`[{"ev":"T","sym":5},{"ev":"T","sym":null},{"ev":"T","sym":""},{"ev":"T","sym":"A","sym":"B"},{"sym":"A","ev":"T"}]`,
	`[{"ev":"T","a":{"sym":"B"},"sym":"A"},{"ev":"T","a":["sym"],"sym":"A"},{"ev":"T","a":"sym","sym":"A"}]`,
	`[{"ev":"zz","sym":"A"},{"ev":"TT"},{"ev":""},{"ev":"AM","sym":"A"},{"ev":"LULD","h":1,"T":"A"},{"ev":"T","sym":"_yY` + "\x7f" + `[]"}]`,
	`[{"ev":"status","status":"success","message":"subscribed to: T.A"},{"ev":"T","sym":"A"}]`,
	`[{"ev":"status","status":"success","message":"x"},{"ev":"T","sym":"A"}]]`,
	`[{"ev":"status","status":"a\"b"}`, `[{"ev":"status"},[]]`,
	`[{"ev":"T","sym":"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"},{"ev":"T","sym":"é"}]`,
	"\xff", "[{\"ev\":\"T\",\"sym\":\"\xff\"}]",
}

func TestQueueOddForms(t *testing.T) {
	messages := [][]byte{
		[]byte(`[` + strings.Repeat(`{},`, 20_000) + `{}]`),
		[]byte(`[{"ev":"T","sym":"A","x":` + strings.Repeat("[", 80) + strings.Repeat("]", 80) + `},{"ev":"T","sym":"B"}]`),
		[]byte(`[{"ev":"T","sym":"A","x":"` + strings.Repeat("x", 3000) + `"},{"ev":"T","sym":"B"}]`),
	}
	for _, m := range oddForms {
		messages = append(messages, []byte(m))
		for _, n := range []int{1, 2, 7, 8, 9} { // at other places in a word
			messages = append(messages, []byte(strings.Replace(m, `{"ev":"T","sym":`, `{"ev":"T","p":`+strings.Repeat("1", n)+`,"sym":`, 1)))
		}
	}
	cfg := tickstorm.Config{Market: tickstorm.Stocks, Limits: tickstorm.Limits{Element: 2000}, Queue: tickstorm.QueueConfig{Bytes: 256 << 10}}
	for _, m := range messages {
		requireSameAsInline(t, cfg, [][]byte{m})
	}
	requireSameAsInline(t, cfg, messages)

	whole := []byte(`[{"ev":"T","sym":"A","p":1.5,"c":[1,2]},{"ev":"Q","sym":"B","bp":1},{"ev":"status","status":"x"}]`)
	for i := range whole { // cut, one byte missing, one byte wrong
		requireSameAsInline(t, cfg, [][]byte{whole[:i], append(bytes.Clone(whole[:i]), whole[i+1:]...), whole})
		for _, c := range []byte(`"[]{},:\ x`) {
			wrong := bytes.Clone(whole)
			wrong[i] = c
			requireSameAsInline(t, cfg, [][]byte{wrong, whole})
		}
	}
}

// TestQueueBehindSession: a session acts on statuses by itself, and the handler behind the
// queue gets each once, in its place; binary messages get through too.
func TestQueueBehindSession(t *testing.T) {
	var r fixture.Recorder
	q := newQueue(t, tickstorm.QueueConfig{}, &r)
	s, err := tickstorm.NewSession(testConfig(), q)
	require.NoError(t, err)
	feed := func(op ws.OpCode, m string) {
		require.NoError(t, s.Feed(ws.MustCompileFrame(ws.NewFrame(op, true, []byte(m)))))
	}
	s.Advance(time.Unix(0, 77))
	feed(ws.OpText, `[{"ev":"T","sym":"A"},{"ev":"status","status":"auth_success"},{"ev":"T","sym":"B"}]`)
	require.Equal(t, tickstorm.Ready, s.State())
	feed(ws.OpBinary, "\x00\xff")
	feed(ws.OpText, `[{"ev":"status","status":"error"}] x`)
	drainQueue(t, q)
	require.Len(t, r.Events, 4)
	require.Equal(t, "A", r.Events[0].Head().Symbol)
	require.Equal(t, "auth_success", string(r.Events[1].(*tickstorm.Status).Status))
	require.Equal(t, "B", r.Events[2].Head().Symbol)
	require.Equal(t, int64(77), r.Events[2].Head().Received)
	require.Len(t, r.Errors, 2)
	require.ErrorIs(t, r.Errors[0], tickstorm.ErrBinary)
	require.Equal(t, "\x00\xff", string(r.Errors[0].Raw))
	require.ErrorIs(t, r.Errors[1], tickstorm.ErrTrailing)
}

// TestQueueRawHandler: who wants messages gets them as they came, and decides on each.
func TestQueueRawHandler(t *testing.T) {
	for _, consumers := range []int{1, 3} {
		h := &rawRecorder{}
		q := newQueue(t, tickstorm.QueueConfig{Consumers: consumers}, h)
		q.OnRaw([]byte(`[{"ev":"T","sym":"A"}, {"ev":"Q","sym":"B"}]`), 5)
		q.OnRaw([]byte(`[{"ev":"Q","sym":"no"},{"ev":"status","status":"x"}]`), 6)
		drainQueue(t, q)
		require.Equal(t, []string{
			`5 [{"ev":"T","sym":"A"}, {"ev":"Q","sym":"B"}]`, "trade A", "end",
			`6 [{"ev":"Q","sym":"no"},{"ev":"status","status":"x"}]`, "status", "end",
		}, h.calls)
		require.Equal(t, uint64(4), q.Stats().Delivered)
	}
}

type rawRecorder struct {
	tickstorm.NopHandler
	calls []string
}

func (h *rawRecorder) OnRaw(msg []byte, received int64) bool {
	h.calls = append(h.calls, fmt.Sprintf("%d %s", received, msg))
	return !bytes.Contains(msg, []byte("no"))
}
func (h *rawRecorder) OnTrade(e *tickstorm.Trade)   { h.calls = append(h.calls, "trade "+e.Symbol) }
func (h *rawRecorder) OnStatus(e *tickstorm.Status) { h.calls = append(h.calls, "status") }
func (h *rawRecorder) OnMessageEnd()                { h.calls = append(h.calls, "end") }

func TestQueueMessageEnd(t *testing.T) {
	h := new(endCounter)
	q := newQueue(t, tickstorm.QueueConfig{}, h)
	for i := range 3 {
		q.OnRaw([]byte(`[{"ev":"T","sym":"A"},{"ev":"T","sym":"A"}]`), int64(i))
		q.OnRaw([]byte(`{"ev":"T","sym":"A"}`), int64(i))
	}
	drainQueue(t, q)
	require.Equal(t, "TTTTTTTTTE", h.calls, "a batch of all")
	require.NotPanics(t, func() { q.OnTrade(nil); q.OnQuote(nil); q.OnStatus(nil) })
}

type endCounter struct {
	tickstorm.NopHandler
	calls string
}

func (h *endCounter) OnTrade(*tickstorm.Trade) { h.calls += "T" }
func (h *endCounter) OnMessageEnd()            { h.calls += "E" }

func TestQueueErrors(t *testing.T) {
	for _, tc := range []struct {
		name string
		cfg  tickstorm.QueueConfig
	}{
		{"bytes", tickstorm.QueueConfig{Bytes: -1}},
		{"consumers", tickstorm.QueueConfig{Consumers: -1}},
		{"bytes for each", tickstorm.QueueConfig{Bytes: 4000, Consumers: 4}},
		{"overflow", tickstorm.QueueConfig{Overflow: 5}},
		{"negative alarm", tickstorm.QueueConfig{Alarm: -0.1}},
		{"alarm above all", tickstorm.QueueConfig{Alarm: 1.1}},
		{"alarm that is none", tickstorm.QueueConfig{Alarm: math.NaN()}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.Queue = tc.cfg
			_, err := tickstorm.NewQueue(cfg, nil)
			require.Error(t, err)
			_, clientErr := tickstorm.NewClient(cfg, nil)
			require.Equal(t, err, clientErr)
		})
	}
	_, err := tickstorm.NewQueue(tickstorm.Config{}, nil)
	require.ErrorIs(t, err, tickstorm.ErrNoMarket)
	q := newQueue(t, tickstorm.QueueConfig{}, nil)
	require.Equal(t, 64<<20, q.Stats().Capacity)
	q.OnRaw([]byte(`[{"ev":"T"}]`), 1)
	drainQueue(t, q)
	require.ErrorIs(t, q.Run(t.Context()), tickstorm.ErrEnded)
	require.Equal(t, "drop oldest", tickstorm.OverflowDropOldest.String())
	require.Equal(t, "unknown", tickstorm.Overflow(9).String())
}

// TestQueueOrder: with several consumers the events of a symbol stay in order, each on one
// consumer, and the consumers' handlers may be their own.
func TestQueueOrder(t *testing.T) {
	const symbols, each = 40, 200
	h := &serials{t: t}
	q := newQueue(t, tickstorm.QueueConfig{Consumers: 4, Bytes: 64 << 10}, h)
	ran := make(chan error)
	go func() { ran <- q.Run(t.Context()) }()
	for serial := range each {
		var msg strings.Builder
		for i := range symbols {
			fmt.Fprintf(&msg, `,{"ev":"%s","sym":"S%d","q":%d}`, [...]string{"T", "Q"}[serial%2], i, serial)
		}
		q.OnRaw([]byte("["+msg.String()[1:]+"]"), 1)
	}
	q.Close()
	require.NoError(t, <-ran)
	requireAccounts(t, q)
	require.Len(t, h.of, 4)
	found := map[string]bool{}
	for _, own := range h.of {
		require.NotEmpty(t, own.seen, "a consumer without symbols")
		for symbol, seen := range own.seen {
			require.False(t, found[symbol], "%s has two consumers", symbol)
			found[symbol] = true
			require.Len(t, seen, each)
			for i, serial := range seen {
				require.Equal(t, int64(i), serial)
			}
		}
	}
	require.Len(t, found, symbols)
}

// serials keeps the sequence numbers of trades and quotes by symbol, a consumer apart from another.
type serials struct {
	tickstorm.NopHandler
	t    *testing.T
	of   []*serials
	seen map[string][]int64
}

func (h *serials) Shard(i, n int) tickstorm.Handler {
	require.Equal(h.t, len(h.of), i)
	require.Equal(h.t, 4, n)
	h.of = append(h.of, &serials{seen: map[string][]int64{}})
	return h.of[i]
}
func (h *serials) OnTrade(e *tickstorm.Trade) {
	h.seen[e.Symbol] = append(h.seen[e.Symbol], e.Sequence)
}
func (h *serials) OnQuote(e *tickstorm.Quote) {
	h.seen[e.Symbol] = append(h.seen[e.Symbol], e.Sequence)
}

// stall is a handler that stands still at its first event until it is let go.
type stall struct {
	tickstorm.NopHandler
	entered, gate chan struct{}
	once          sync.Once
}

func newStall() *stall { return &stall{entered: make(chan struct{}), gate: make(chan struct{})} }

func (h *stall) OnTrade(*tickstorm.Trade) {
	h.once.Do(func() {
		close(h.entered)
		<-h.gate
	})
}

var oneTrade = []byte(`[{"ev":"T","sym":"A"}]`)

// TestQueueCloseWhileBlocked: a reader that waits for room goes on when the queue is
// closed, or when Run is over, and what it has then is counted.
func TestQueueCloseWhileBlocked(t *testing.T) {
	for _, by := range []string{"close", "context", "close before run"} {
		t.Run(by, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newStall()
				q := newQueue(t, tickstorm.QueueConfig{Bytes: 1 << 10}, h)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ran, read := make(chan error, 1), make(chan struct{})
				if by != "close before run" {
					go func() { ran <- q.Run(ctx) }()
				}
				go func() {
					for range 100 {
						q.OnRaw(oneTrade, 1)
					}
					close(read)
				}()
				synctest.Wait()
				select {
				case <-read:
					t.Fatal("the reader did not wait")
				default:
				}
				if by == "context" {
					cancel()
				} else {
					q.Close()
				}
				<-read
				if by == "close before run" {
					go func() { ran <- q.Run(ctx) }()
				}
				require.Empty(t, ran, "the handler runs still")
				close(h.gate)
				err := <-ran
				requireAccounts(t, q)
				st := q.Stats()
				require.Equal(t, uint64(100), st.Enqueued)
				require.Greater(t, st.Dropped, uint64(50))
				if by == "context" {
					require.ErrorIs(t, err, context.Canceled)
					require.Positive(t, st.Events, "left in the queue")
				} else {
					require.NoError(t, err)
					require.Zero(t, st.Events)
				}
			})
		})
	}
}

// TestQueueBlockLosesNothing: the reader waits for a slow handler, again and again.
func TestQueueBlockLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &sleeper{}
		q := newQueue(t, tickstorm.QueueConfig{Bytes: 1 << 10}, h)
		ran := make(chan error, 1)
		go func() { ran <- q.Run(t.Context()) }()
		for i := range 500 {
			q.OnRaw(fmt.Appendf(nil, `[{"ev":"T","sym":"A","q":%d}]`, i), 1)
		}
		q.Close()
		require.NoError(t, <-ran)
		require.Len(t, h.seen, 500)
		for i, serial := range h.seen {
			require.Equal(t, int64(i), serial)
		}
	})
}

type sleeper struct {
	tickstorm.NopHandler
	nap  time.Duration
	seen []int64
}

func (h *sleeper) OnTrade(e *tickstorm.Trade) {
	time.Sleep(max(h.nap, time.Millisecond))
	h.seen = append(h.seen, e.Sequence)
}

// TestQueueStopsSoon: the end of the context does not wait for what was taken from the queue
// but for what one read brought, and of that little is taken once a handler is known to be slow.
func TestQueueStopsSoon(t *testing.T) {
	for _, tc := range []struct {
		name     string
		nap, end time.Duration
		reads    int64
	}{
		{"slow", time.Millisecond, time.Second, 1},
		{"very slow", 100 * time.Millisecond, 150 * time.Millisecond, 10_000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &sleeper{nap: tc.nap}
				q := newQueue(t, tickstorm.QueueConfig{}, h)
				for i := range int64(10_000) {
					q.OnRaw(oneTrade, i%tc.reads)
				}
				ctx, cancel := context.WithTimeout(t.Context(), tc.end)
				defer cancel()
				start := time.Now()
				require.ErrorIs(t, q.Run(ctx), context.DeadlineExceeded)
				require.Less(t, time.Since(start), tc.end+100*time.Millisecond)
				st := q.Stats()
				require.Equal(t, len(h.seen), int(st.Delivered))
				require.Equal(t, 10_000-len(h.seen), st.Events)
			})
		})
	}
}

func TestQueueContextEndedBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q := newQueue(t, tickstorm.QueueConfig{Consumers: 2}, panics{errors.New("must not be called")})
	q.OnRaw(oneTrade, 1)
	require.ErrorIs(t, q.Run(ctx), context.Canceled)
	require.Equal(t, 1, q.Stats().Events)
}

type panics struct{ value any }

func (panics) OnQuote(*tickstorm.Quote)         {}
func (panics) OnAggregate(*tickstorm.Aggregate) {}
func (panics) OnBook(*tickstorm.Book)           {}
func (panics) OnLULD(*tickstorm.LULD)           {}
func (panics) OnImbalance(*tickstorm.Imbalance) {}
func (panics) OnValue(*tickstorm.Value)         {}
func (panics) OnStatus(*tickstorm.Status)       {}
func (panics) OnUnknown(*tickstorm.Unknown)     {}
func (panics) OnError(*tickstorm.EventError)    {}
func (h panics) OnTrade(*tickstorm.Trade) {
	if h.value == nil {
		runtime.Goexit()
	}
	panic(h.value)
}

// TestQueuePanic: a panic in a handler ends Run with all consumers, and the queue takes
// nothing more.
func TestQueuePanic(t *testing.T) {
	cause := errors.New("out of cheese")
	for _, symbol := range []string{"A", "B", "C", "D", "E", "F", "G", "H"} { // on the first consumer, and on others
		q := newQueue(t, tickstorm.QueueConfig{Consumers: 3}, panics{cause})
		q.OnRaw([]byte(`[{"ev":"T","sym":"`+symbol+`"}]`), 1)
		err := q.Run(t.Context())
		var panicked *tickstorm.PanicError
		require.ErrorAs(t, err, &panicked)
		require.ErrorIs(t, err, cause)
		require.Equal(t, "a handler panicked: out of cheese", err.Error())
		require.Contains(t, string(panicked.Stack), "OnTrade")
		require.False(t, tickstorm.Retryable(err))
		require.False(t, q.Push(oneTrade, 2))
		require.False(t, q.Control(nil))
		requireAccounts(t, q)
	}
	require.NoError(t, (&tickstorm.PanicError{Value: "no error"}).Unwrap())

	q := newQueue(t, tickstorm.QueueConfig{}, tickstorm.NopHandler{})
	require.True(t, q.Control(func(tickstorm.Handler) { panic("in a control") }))
	require.ErrorContains(t, q.Run(t.Context()), "in a control")
}

// TestQueueGoexit: a handler that ends its goroutine, as a failing test does, ends the
// other consumers as well.
func TestQueueGoexit(t *testing.T) {
	for _, symbol := range []string{"A", "B", "C", "D", "E", "F"} {
		q := newQueue(t, tickstorm.QueueConfig{Consumers: 2}, panics{})
		q.OnRaw([]byte(`[{"ev":"T","sym":"`+symbol+`"}]`), 1)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = q.Run(t.Context())
		}()
		<-ended
		require.False(t, q.Push(oneTrade, 2))
	}
}
