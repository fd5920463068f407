package tickstorm_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

// ledgerHandler writes down by serial what it is given. Serials are the events' received
// times as well, so that what it is told of drops can be held against them.
type ledgerHandler struct {
	tickstorm.NopHandler
	mu     *sync.Mutex
	got    map[int64]string // by serial
	latest map[string]int64 // by channel and symbol
	drops  []tickstorm.Drop
	wrong  []string
	pace   func()
}

func newLedger() *ledgerHandler {
	return &ledgerHandler{mu: new(sync.Mutex), got: map[int64]string{}, latest: map[string]int64{}, pace: func() {}}
}

func (h *ledgerHandler) note(head *tickstorm.Header, serial int64, pad int) {
	h.pace()
	h.mu.Lock()
	defer h.mu.Unlock()
	key := fmt.Sprint(head.Stream, " ", head.Symbol)
	if _, twice := h.got[serial]; twice {
		h.wrong = append(h.wrong, fmt.Sprintf("%d comes twice", serial))
	}
	h.got[serial] = key
	if h.latest[key] > serial {
		h.wrong = append(h.wrong, fmt.Sprintf("%s: %d after %d", key, serial, h.latest[key]))
	}
	h.latest[key] = serial
	if head.Received != serial || pad != len(head.Raw) {
		h.wrong = append(h.wrong, fmt.Sprintf("%d received at %d: %s", serial, head.Received, head.Raw))
	}
}

// OnTrade and OnQuote find in the exchange how long the event must be.
func (h *ledgerHandler) OnTrade(e *tickstorm.Trade) { h.note(&e.Header, e.Sequence, int(e.Exchange)) }
func (h *ledgerHandler) OnQuote(e *tickstorm.Quote) {
	h.note(&e.Header, e.Sequence, int(e.BidExchange))
}
func (h *ledgerHandler) OnError(e *tickstorm.EventError) { h.wrong = append(h.wrong, e.Error()) }
func (h *ledgerHandler) OnDrop(d *tickstorm.Drop) {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := *d
	kept.Channels = slices.Clone(d.Channels)
	h.drops = append(h.drops, kept)
}

// serialEvent is an event of a given serial, with so many bytes of ballast.
func serialEvent(channel, symbol string, serial int64, ballast int) string {
	exchange := map[string]string{"T": "x", "Q": "bx"}[channel]
	text := fmt.Sprintf(`{"ev":"%s","sym":"%s","q":%d,"u":"%s","%s":`, channel, symbol, serial, strings.Repeat("u", ballast), exchange)
	return fmt.Sprintf("%s%d}", text, len(text)+1+len(fmt.Sprint(len(text)+4)))
}

// sent is what went into a queue, by serial.
type sent map[int64]string

// requireSerials checks serial by serial: each was delivered in order, lies in a drop that
// was told, or gave way to a later one that was delivered.
func requireSerials(t *testing.T, q *tickstorm.Queue, h *ledgerHandler, all sent) {
	t.Helper()
	requireAccounts(t, q)
	require.Empty(t, h.wrong)
	st := q.Stats()
	require.Equal(t, len(all), int(st.Enqueued))
	require.Equal(t, len(h.got), int(st.Delivered))
	var told uint64
	byChannel := map[string]uint64{}
	for _, d := range h.drops {
		var sum uint64
		for _, c := range d.Channels {
			sum += c.Count
			byChannel[c.Channel] += c.Count
		}
		require.Equal(t, d.Count, sum)
		require.LessOrEqual(t, d.First, d.Last)
		require.GreaterOrEqual(t, d.Last-d.First+1, int64(d.Count))
		told += d.Count
	}
	require.Equal(t, st.Dropped, told, "every drop is told")
	for _, c := range st.DroppedBy {
		require.Equal(t, byChannel[c.Channel], c.Count)
	}
	missing := 0
	for serial, key := range all {
		if got, ok := h.got[serial]; ok {
			require.Equal(t, key, got)
			continue
		}
		missing++
		conflated := strings.HasPrefix(key, tickstorm.Quotes.String()) && h.latest[key] > serial
		dropped := slices.ContainsFunc(h.drops, func(d tickstorm.Drop) bool { return d.First <= serial && serial <= d.Last })
		require.True(t, dropped || conflated && st.Conflated > 0, "%d %s is lost", serial, key)
	}
	require.Equal(t, missing, int(st.Dropped+st.Conflated))
}

var policies = []tickstorm.Overflow{
	tickstorm.OverflowBlock, tickstorm.OverflowDropNewest, tickstorm.OverflowDropOldest, tickstorm.OverflowConflate, tickstorm.OverflowDisconnect,
}

// TestQueuePolicies: a handler that stands still now and then, under each policy.
func TestQueuePolicies(t *testing.T) {
	for _, policy := range policies {
		for _, consumers := range []int{1, 3} {
			for _, size := range []int{1 << 10, 5000, 100_000} {
				t.Run(fmt.Sprint(policy, " ", consumers, " ", size), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						rnd := rand.New(rand.NewPCG(uint64(size), uint64(policy)))
						h := newLedger()
						handled := 0
						h.pace = func() {
							h.mu.Lock()
							handled++
							n := handled
							h.mu.Unlock()
							if n%50 == 1 {
								time.Sleep(time.Second)
							}
						}
						overflows := 0
						q := newQueue(t, tickstorm.QueueConfig{
							Bytes: consumers * size, Consumers: consumers, Overflow: policy, OnOverflow: func() { overflows++ },
						}, h)
						ran := make(chan error, 1)
						go func() { ran <- q.Run(t.Context()) }()
						all := sent{}
						for serial := int64(1); serial < 4000; serial++ {
							channel := [...]string{"T", "Q", "Q", "Q"}[rnd.IntN(4)]
							symbol := fmt.Sprint("S", rnd.IntN(30))
							all[serial] = fmt.Sprint(map[string]tickstorm.Stream{"T": tickstorm.Trades, "Q": tickstorm.Quotes}[channel], " ", symbol)
							q.OnRaw([]byte("["+serialEvent(channel, symbol, serial, rnd.IntN(120))+"]"), serial)
							if rnd.IntN(40) == 0 {
								time.Sleep(time.Second)
							}
						}
						q.Close()
						require.NoError(t, <-ran)
						requireSerials(t, q, h, all)

						st := q.Stats()
						require.Less(t, st.Capacity, consumers*size+1, "memory is bounded")
						require.Equal(t, policy == tickstorm.OverflowConflate, st.Conflated > 0)
						switch {
						case policy == tickstorm.OverflowBlock:
							require.Zero(t, st.Dropped)
						case size == 1<<10:
							require.Positive(t, st.Dropped)
						}
						if policy == tickstorm.OverflowDisconnect && st.Dropped > 0 {
							require.Equal(t, 1, overflows)
							require.ErrorIs(t, q.Err(), tickstorm.ErrOverflow)
						} else {
							require.Zero(t, overflows)
							require.NoError(t, q.Err())
						}
					})
				})
			}
		}
	}
}

// heldBack puts trades with these serials into a queue that does not run, and returns those
// that are handled in the end.
func heldBack(t *testing.T, policy tickstorm.Overflow, n int64) (got []int64, h *ledgerHandler) {
	h = newLedger()
	q := newQueue(t, tickstorm.QueueConfig{Bytes: 1 << 10, Overflow: policy}, h)
	all := sent{}
	for serial := range n {
		all[serial] = fmt.Sprint(tickstorm.Trades, " A")
		q.OnRaw([]byte("["+serialEvent("T", "A", serial, 20)+"]"), serial)
	}
	drainQueue(t, q)
	requireSerials(t, q, h, all)
	for serial := range h.got {
		got = append(got, serial)
	}
	slices.Sort(got)
	return got, h
}

func TestQueueDropNewest(t *testing.T) {
	for _, policy := range []tickstorm.Overflow{tickstorm.OverflowDropNewest, tickstorm.OverflowConflate, tickstorm.OverflowDisconnect} {
		got, h := heldBack(t, policy, 100)
		n := int64(len(got))
		require.Greater(t, n, int64(5))
		require.Equal(t, n-1, got[n-1], "the first are there")
		require.Equal(t, []tickstorm.Drop{
			{Count: uint64(100 - n), Channels: []tickstorm.ChannelCount{{Channel: "T", Count: uint64(100 - n)}}, First: n, Last: 99},
		}, h.drops)
	}
}

func TestQueueDropOldest(t *testing.T) {
	got, h := heldBack(t, tickstorm.OverflowDropOldest, 100)
	n := int64(len(got))
	require.Greater(t, n, int64(5))
	require.Equal(t, 100-n, got[0], "the last are there")
	require.Len(t, h.drops, 1)
	require.Equal(t, int64(0), h.drops[0].First)
	require.Equal(t, 99-n, h.drops[0].Last)
}

// TestQueueConflates: what is handled is the latest of each channel and symbol, in order,
// with every trade, status and unknown event.
func TestQueueConflates(t *testing.T) {
	var r fixture.Recorder
	q := newQueue(t, tickstorm.QueueConfig{Bytes: 20_000, Overflow: tickstorm.OverflowConflate}, &r)
	q.OnRaw([]byte(`[{"ev":"Q","sym":"A","q":1},{"ev":"Q","sym":"B","q":2},{"ev":"T","sym":"A","q":3},{"ev":"Q","sym":"A","q":4}]`), 1)
	q.OnRaw([]byte(`[{"ev":"AM","sym":"A","v":5},{"ev":"A","sym":"A","v":6},{"ev":"AM","sym":"A","v":7},{"ev":"FMV","fmv":8,"sym":"A"},{"ev":"FMV","fmv":9,"sym":"A"}]`), 2)
	q.OnRaw([]byte(`[{"ev":"T","sym":"A","q":10},{"ev":"LULD","T":"A","q":11},{"ev":"LULD","T":"A","q":12},{"ev":"NOI","T":"A","i":13},{"ev":"NOI","T":"A","i":14}]`), 3)
	q.OnRaw([]byte(`[{"ev":"Z","sym":"A"},{"ev":"Z","sym":"A"},{"ev":"status"},{"ev":"status"},{"ev":"Q","q":15},{"ev":"Q","q":16},{"ev":"Q","sym":"B","q":17}]`), 4)
	drainQueue(t, q)
	var got []string
	for _, e := range r.Events {
		raw := string(e.Head().Raw)
		got = append(got, raw[strings.LastIndexByte(raw, ':')+1:len(raw)-1])
	}
	require.Equal(t, []string{"3", "4", "6", "7", `"A"`, "10", "11", "12", "13", "14", `"A"`, `"A"`, `"status"`, `"status"`, "15", "16", "17"}, got)
	require.Equal(t, uint64(4), q.Stats().Conflated)
	require.Zero(t, q.Stats().Dropped)
}

// TestQueueFindsSymbols: wherever in an event its symbol stands.
func TestQueueFindsSymbols(t *testing.T) {
	for _, tc := range []struct {
		message   string
		conflated uint64
	}{
		{`[{"ev":"Q","sym":"A"},{"ev":"Q","bp":1,"sym":"A"},{"ev":"Q","c":[1,2],"x":"sym","sym":"A","bp":2}]`, 2},
		{`[{"ev":"Q","x":{"sym":"B"},"sym":"A"},{"ev":"Q","sym":"B"}]`, 0},
		{`[{"ev":"Q","x":["sym",{"sym":"B"}],"sym":"A"},{"ev":"Q","sym":"A"}]`, 1},
		{`[{"ev":"Q","sym":"A","sym":"B"},{"ev":"Q","sym":"B"},{"ev":"Q","sym":"A"}]`, 1},
		{`[{"ev":"Q","sym":"[_Y}"},{"ev":"Q","sym":"[_Y}"},{"ev":"Q","sym":"[_Y]"}]`, 1},
		{`[{"ev":"Q","sym":5},{"ev":"Q","sym":5},{"ev":"Q","bp":5},{"ev":"Q","bp":5},{"ev":"Q","sym":null}]`, 0},
		{`[{"ev":"A","sym":"A"},{"ev":"AM","sym":"A"},{"ev":"Q","sym":"A"},{"ev":"FMV","fmv":1,"sym":"A"},{"ev":"T","sym":"A"},{"ev":"T","sym":"A"}]`, 0},
	} {
		q := newQueue(t, tickstorm.QueueConfig{Overflow: tickstorm.OverflowConflate}, nil)
		q.OnRaw([]byte(tc.message), 1)
		require.Equal(t, tc.conflated, q.Stats().Conflated, tc.message)
		drainQueue(t, q)
	}
}

// TestQueueConflatesForever: a handler that never gets on does not fill a queue that
// conflates: what is dead makes room.
func TestQueueConflatesForever(t *testing.T) {
	h := newLedger()
	alarms := 0
	q := newQueue(t, tickstorm.QueueConfig{
		Bytes: 8 << 10, Overflow: tickstorm.OverflowConflate, OnAlarm: func(tickstorm.QueueStats) { alarms++ },
	}, h)
	all := sent{}
	var before []int64
	for serial := range int64(5000) {
		channel, symbol := "Q", fmt.Sprint("S", serial%7)
		key := fmt.Sprint(tickstorm.Quotes, " ", symbol)
		if serial%1000 == 500 {
			channel, key = "T", fmt.Sprint(tickstorm.Trades, " ", symbol)
		}
		if serial == 2500 {
			require.True(t, q.Control(func(tickstorm.Handler) { before = slices.Sorted(maps.Keys(h.got)) }))
		}
		all[serial] = key
		q.OnRaw([]byte("["+serialEvent(channel, symbol, serial, int(serial%90))+"]"), serial)
	}
	require.Equal(t, 7+5, q.Stats().Events, "a quote of each symbol, and the trades")
	drainQueue(t, q)
	requireSerials(t, q, h, all)
	require.Zero(t, q.Stats().Dropped)
	require.Greater(t, alarms, 1, "each time that it fills up again")
	require.Equal(t, []int64{500, 1500}, before, "a control keeps its place when what is dead is cleared away")
}

// TestQueueLargerThanAll: an event that can never fit is dropped, whatever the policy.
func TestQueueLargerThanAll(t *testing.T) {
	for _, policy := range policies {
		h := newLedger()
		overflows := 0
		q := newQueue(t, tickstorm.QueueConfig{Bytes: 1 << 10, Overflow: policy, OnOverflow: func() { overflows++ }}, h)
		q.OnRaw([]byte("["+serialEvent("T", "A", 1, 2)+","+serialEvent("T", "A", 1, 1100)+","+serialEvent("Q", "A", 1, 900)+"]"), 1)
		q.OnRaw([]byte(" "+strings.Repeat(" ", 1<<10)), 2)
		q.Close()
		require.NoError(t, q.Run(t.Context()))
		requireAccounts(t, q)
		require.GreaterOrEqual(t, q.Stats().Dropped, uint64(2))
	}
}

// TestQueueCountsUnsplit: a message that was not split counts as its events, be it dropped or
// handled.
func TestQueueCountsUnsplit(t *testing.T) {
	events := func(n int) string {
		return strings.Repeat(serialEvent("T", "A", 1, 20)+",", n-1) + serialEvent("T", "A", 1, 20)
	}
	long := strings.Repeat("x", 1<<10)
	for _, tc := range []struct {
		name, message string
		raw           bool // a RawHandler is behind the queue, which does not split then; else it cannot
	}{
		{"compact", "[" + events(50) + "]", true},
		{"spaced", "[" + strings.ReplaceAll(events(50), ",", " ,\n") + " ]", true},
		{"in space", " \t[" + events(50) + "] ", true},
		{"with escapes", `[{"ev":"T","i":"\"],[\\"},{"ev":"T","i":"\u005d"},` + events(30) + "]", true},
		{"lists and texts", `[{"ev":"T","c":[1,[2,3],{"a":4,"b":5}]},{"ev":"T","sym":"],}[{"},` + events(30) + "]", true},
		{"of more elements than are split", "[" + strings.Repeat("{},", 20_000) + "{}]", false},
		{"numbers", "[" + strings.Repeat("1,", 1000) + "1]", true},
		{"broken elements", `[{"ev":"T"]},{bad,}},x,"],[\"",,` + events(30) + "]", false},
		{"with no end", "[" + events(30) + `,{"ev":"T"`, false},
		{"one object", `{"ev":"T","c":[1,2],"i":"` + long + `"}`, true},
		{"no array", "what, [1,2,3]" + long, false},
		{"empty", "[" + strings.Repeat(" ", 1<<10) + "]", true},
	} {
		var r fixture.Recorder
		p := tickstorm.NewParser(tickstorm.Stocks)
		if p.Parse([]byte(tc.message), &r) != nil && len(r.Errors) == 0 {
			r.Errors = append(r.Errors, nil) // told where the message is decoded
		}
		want := uint64(max(1, len(r.Events)+len(r.Errors)))
		handler := func() tickstorm.Handler {
			if tc.raw {
				return &rawRecorder{}
			}
			return new(fixture.Recorder)
		}
		for _, policy := range policies {
			t.Run(fmt.Sprint(tc.name, ", larger than all, ", policy), func(t *testing.T) {
				q := newQueue(t, tickstorm.QueueConfig{Bytes: 1 << 10, Overflow: policy}, handler())
				q.OnRaw([]byte(tc.message), 1)
				requireAccounts(t, q)
				st := q.Stats()
				require.Equal(t, []uint64{want, want}, []uint64{st.Enqueued, st.Dropped})
				require.Equal(t, []tickstorm.ChannelCount{{Count: want}}, st.DroppedBy)
			})
		}
		t.Run(tc.name+", handled", func(t *testing.T) {
			q := newQueue(t, tickstorm.QueueConfig{}, handler())
			q.OnRaw([]byte(tc.message), 1)
			require.Equal(t, 1, q.Stats().Events, "as long as it waits")
			drainQueue(t, q)
			st := q.Stats()
			require.Equal(t, []uint64{want, want}, []uint64{st.Enqueued, st.Delivered})
		})
		t.Run(tc.name+", gives way", func(t *testing.T) {
			size := max(3*len(tc.message), 1<<10) // so that some wrap around its end
			q := newQueue(t, tickstorm.QueueConfig{Bytes: size, Overflow: tickstorm.OverflowDropOldest}, handler())
			for i := range 20 {
				q.OnRaw([]byte(tc.message), int64(i))
				requireAccounts(t, q)
			}
			drainQueue(t, q)
			st := q.Stats()
			require.Equal(t, 20*want, st.Enqueued)
			require.Positive(t, st.Dropped)
			require.Zero(t, st.Dropped%want)
		})
	}
}

// TestQueueTellsOfDropsAlone: a drop is told although nothing follows it.
func TestQueueTellsOfDropsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLedger()
		q := newQueue(t, tickstorm.QueueConfig{Bytes: 1 << 10}, h)
		ran := make(chan error, 1)
		go func() { ran <- q.Run(t.Context()) }()
		synctest.Wait()
		q.OnRaw([]byte("["+serialEvent("T", "A", 1, 2000)+"]"), 42)
		synctest.Wait()
		h.mu.Lock()
		require.Equal(t, []tickstorm.Drop{{Count: 1, Channels: []tickstorm.ChannelCount{{Channel: "T", Count: 1}}, First: 42, Last: 42}}, h.drops)
		h.mu.Unlock()
		q.Close()
		require.NoError(t, <-ran)
	})
}

// TestQueueDisconnect: once it has overflowed a queue takes nothing, until it is told that
// there is a new connection.
func TestQueueDisconnect(t *testing.T) {
	h := newLedger()
	var q *tickstorm.Queue
	calls := 0
	q = newQueue(t, tickstorm.QueueConfig{Bytes: 1 << 10, Overflow: tickstorm.OverflowDisconnect, OnOverflow: func() {
		calls++
		require.ErrorIs(t, q.Err(), tickstorm.ErrOverflow)
		require.Positive(t, q.Stats().Events)
	}}, h)
	require.NoError(t, q.Err())
	for i := range 100 {
		q.OnRaw(oneTrade, int64(i))
	}
	require.Equal(t, 1, calls)
	before := q.Stats()
	q.Resume()
	require.NoError(t, q.Err())
	for i := range 100 {
		q.OnRaw(oneTrade, int64(i))
	}
	require.Equal(t, 2, calls)
	require.Equal(t, before.Events, q.Stats().Events)
}

func TestQueueAlarm(t *testing.T) {
	for _, policy := range policies {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var alarms []tickstorm.QueueStats
				h := newStall()
				q := newQueue(t, tickstorm.QueueConfig{
					Bytes: 4 << 10, Overflow: policy, Alarm: 0.75, OnAlarm: func(st tickstorm.QueueStats) { alarms = append(alarms, st) },
				}, h)
				ran := make(chan error, 1)
				go func() { ran <- q.Run(t.Context()) }()
				q.OnRaw(oneTrade, 1)
				<-h.entered
				capacity := q.Stats().Capacity
				for q.Stats().Bytes < capacity*7/10 {
					q.OnRaw(oneTrade, 1)
				}
				require.Empty(t, alarms)
				for q.Stats().Bytes < capacity*9/10 {
					q.OnRaw(oneTrade, 1)
				}
				require.Len(t, alarms, 1, "once")
				require.GreaterOrEqual(t, alarms[0].Bytes, capacity*3/4)
				close(h.gate)
				synctest.Wait()
				require.Zero(t, q.Stats().Bytes)
				q.Close()
				require.NoError(t, <-ran)
			})
		})
	}
	t.Run("again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			alarms := 0
			h := gated{gate: make(chan struct{})}
			q := newQueue(t, tickstorm.QueueConfig{Bytes: 1 << 10, OnAlarm: func(tickstorm.QueueStats) { alarms++ }}, h)
			ran := make(chan error, 1)
			go func() { ran <- q.Run(t.Context()) }()
			for i := range 3 {
				q.OnRaw(oneTrade, 1)
				synctest.Wait() // the handler has it
				for q.Stats().Bytes < q.Stats().Capacity*3/4 {
					q.OnRaw(oneTrade, 1)
				}
				require.Equal(t, i+1, alarms)
				for q.Stats().Events > 0 {
					h.gate <- struct{}{}
					synctest.Wait()
				}
			}
			q.Close()
			require.NoError(t, <-ran)
		})
	})
}

func TestQueueOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newStall()
		q := newQueue(t, tickstorm.QueueConfig{}, h)
		require.Zero(t, q.Stats().Oldest)
		for range 3 {
			q.OnRaw(oneTrade, time.Now().UnixNano())
			time.Sleep(time.Second)
		}
		require.Equal(t, 3*time.Second, q.Stats().Oldest)
		require.Equal(t, 3, q.Stats().Events)
		ran := make(chan error, 1)
		go func() { ran <- q.Run(t.Context()) }()
		<-h.entered
		q.OnRaw(oneTrade, time.Now().UnixNano())
		require.Equal(t, 3*time.Second, q.Stats().Oldest, "what is in hand waits still")
		require.Equal(t, 4, q.Stats().Events)
		close(h.gate)
		synctest.Wait()
		require.Zero(t, q.Stats().Oldest)
		q.Close()
		require.NoError(t, <-ran)
	})
}

// gated waits in every trade for a token.
type gated struct {
	tickstorm.NopHandler
	gate chan struct{}
}

func (g gated) OnTrade(*tickstorm.Trade) { <-g.gate }

// TestQueueAccountsAtAnyTime: also while a message is on its way in, for those that the
// queue calls meanwhile, and those that ask while the reader waits.
func TestQueueAccountsAtAnyTime(t *testing.T) {
	var msg strings.Builder
	for i := range 50 {
		msg.WriteString("," + serialEvent("Q", fmt.Sprint("S", i), int64(i), 20))
	}
	text := []byte("[" + msg.String()[1:] + "]")
	for _, policy := range policies {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var q *tickstorm.Queue
				calls := 0
				check := func() {
					calls++
					requireAccounts(t, q)
				}
				q = newQueue(t, tickstorm.QueueConfig{
					Bytes: 2 << 10, Overflow: policy, OnOverflow: check, OnAlarm: func(tickstorm.QueueStats) { check() },
				}, nil)
				read := make(chan struct{})
				go func() {
					defer close(read)
					q.OnRaw(text, 1)
				}()
				synctest.Wait()
				requireAccounts(t, q)
				require.Positive(t, calls)
				drainQueue(t, q)
				<-read
				require.EqualValues(t, 50, q.Stats().Enqueued)
				requireAccounts(t, q)
			})
		})
	}
}

// TestQueueConflatesAndHandlesAll: a symbol that changes faster than the queue comes round is
// handled too, however long that lasts, and so is the last of it.
func TestQueueConflatesAndHandlesAll(t *testing.T) {
	const symbols, rounds = 2000, 20 // more than a batch
	h := &busyHandler{}
	q := newQueue(t, tickstorm.QueueConfig{Bytes: 1 << 20, Overflow: tickstorm.OverflowConflate}, h)
	serial := int64(0)
	put := func(symbol string) {
		serial++
		q.OnRaw([]byte("["+serialEvent("Q", symbol, serial, 40)+"]"), serial)
	}
	busy := int64(0)
	h.on = func(symbol string) { // as many come as are handled: the queue stays as long as it is
		if h.all == symbols*rounds {
			q.Close()
		}
		if h.all < symbols*rounds {
			put(symbol)
			put("BUSY")
			busy = serial
		}
	}
	for i := range symbols {
		put(fmt.Sprint("S", i))
	}
	put("BUSY")
	require.NoError(t, q.Run(t.Context()))
	requireAccounts(t, q)
	require.Zero(t, q.Stats().Dropped)
	require.Greater(t, h.busy, rounds/5)
	require.Less(t, h.busy, 5*rounds, "it is conflated")
	require.Equal(t, busy, h.last)
}

// busyHandler counts quotes, and does something for each.
type busyHandler struct {
	tickstorm.NopHandler
	all, busy int
	last      int64 // of the busy ones
	on        func(symbol string)
}

func (h *busyHandler) OnQuote(q *tickstorm.Quote) {
	h.all++
	if q.Symbol == "BUSY" {
		h.busy++
		h.last = q.Sequence
	}
	h.on(q.Symbol)
}
