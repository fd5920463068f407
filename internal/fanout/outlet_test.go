package fanout_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fanout"
)

func topic(s string) tickstorm.Topic {
	t, err := tickstorm.ParseTopic(s)
	if err != nil {
		panic(err)
	}
	return t
}

// joined is an outlet of a hub of its own, and its connection.
type joined struct {
	*fanout.Outlet
	hub   *fanout.Hub
	conn  *sink
	ended chan error
}

func join(cfg fanout.OutletConfig, topics ...string) *joined {
	j := &joined{hub: fanout.New(fanout.Config{Market: tickstorm.Stocks}), conn: newSink(), ended: make(chan error, 1)}
	cfg.Dropped = dropped
	cfg.OnEnd = func(err error) { j.ended <- err }
	j.Outlet = j.hub.Join(j.conn, cfg)
	for _, t := range topics {
		j.Subscribe(topic(t))
	}
	return j
}

// over waits for the end, and holds it against what an end leaves behind.
func (j *joined) over(t *testing.T) error {
	t.Helper()
	err := <-j.ended
	<-j.Done()
	require.Zero(t, j.hub.Lent(), "buffers")
	require.Zero(t, j.hub.Stats().Outlets)
	st := j.Stats()
	require.Zero(t, st.Waiting)
	require.Zero(t, st.Bytes)
	require.Equal(t, st.Events, st.Written+st.Dropped+st.Conflated+st.Left)
	return err
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) { t.Helper(); synctest.Test(t, f) }

// event is one of 200 bytes or so.
func event(channel, symbol string, n int) string {
	return fmt.Sprintf(`{"ev":"%s","sym":"%s","n":%d,"pad":"%0150d"}`, channel, symbol, n, 0)
}

// TestElements: what goes to whom.
func TestElements(t *testing.T) {
	const trade, quote = `{"ev":"T","sym":"A","p":1.50}`, `{"ev":"Q","sym":"A"}`
	for _, c := range []struct {
		name   string
		topics string
		msg    string
		want   string
	}{
		{"as it came", "T.A", `[ {"p": 1.50e0, "ev":"T" ,"sym":"\u0041"} ]`, `[{"p": 1.50e0, "ev":"T" ,"sym":"\u0041"}]`},
		{"one of several", "Q.A", "[" + trade + "," + quote + "," + trade + "]", "[" + quote + "]"},
		{"all", "T.*,Q.*", "[" + trade + "," + quote + "]", "[" + trade + "," + quote + "]"},
		{"single beside wildcard is once", "T.A,T.*", "[" + trade + "]", "[" + trade + "]"},
		{"wildcard beside single of another channel", "T.*,Q.A", "[" + quote + "," + trade + "," + quote + "]", "[" + quote + "," + trade + "," + quote + "]"},
		{"an object without an array", "T.A", trade, "[" + trade + "]"},
		{"statuses stay", "T.*,Q.*", `[{"ev":"status","status":"success"},` + trade + "]", "[" + trade + "]"},
		{"what is no event stays", "T.*", `[7,{},{"ev":"T","sym":}x,` + trade + "]", "[" + trade + "]"},
		{"another symbol", "T.B", "[" + trade + "]", ""},
		{"symbols have case", "T.a", "[" + trade + "]", ""},
		{"without a symbol to who has all", "T.*", `[{"ev":"T"}]`, `[{"ev":"T"}]`},
		{"without a symbol not to who has some", "T.A", `[{"ev":"T"}]`, ""},
		{"with a symbol that is none", "T.A,T.*", `[{"ev":"T","sym":7}]`, `[{"ev":"T","sym":7}]`},
		{"with an empty symbol", "T.*", `[{"ev":"T","sym":""}]`, `[{"ev":"T","sym":""}]`},
		{"a channel that the market lacks", "ZZ.*", `[{"ev":"ZZ","x":1}]`, `[{"ev":"ZZ","x":1}]`},
		{"and one symbol of it, which nobody can tell", "ZZ.B,ZZ.C", `[{"ev":"ZZ","sym":"A"}]`, `[{"ev":"ZZ","sym":"A"}]`},
		{"and another", "T.*", `[{"ev":"ZZ","x":1}]`, ""},
		{"a channel that is called as all is", "*.A", `[{"ev":"ZZ"},{"ev":"*"}]`, `[{"ev":"*"}]`},
		{"a long symbol", "T." + strings.Repeat("x", 100), `[{"ev":"T","sym":"` + strings.Repeat("x", 100) + `"}]`, `[{"ev":"T","sym":"` + strings.Repeat("x", 100) + `"}]`},
		{"nothing", "T.*", `[]`, ""},
		{"no array", "T.*", `x`, ""},
		{"cut off", "T.*", "[" + trade + `,{"ev":"T"`, "[" + trade + "]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				j := join(fanout.OutletConfig{}, strings.Split(c.topics, ",")...)
				j.hub.Message([]byte(c.msg), 1)
				synctest.Wait()
				require.Equal(t, c.want, strings.Join(j.conn.written(t), " "))
				j.Unsubscribe(topic(strings.Split(c.topics, ",")[0]))
				for _, s := range strings.Split(c.topics, ",") {
					j.Unsubscribe(topic(s))
				}
				before := j.Stats().Events
				j.hub.Message([]byte(c.msg), 1)
				require.Equal(t, before, j.Stats().Events)
				j.Close(1000, "")
				require.NoError(t, j.over(t))
			})
		})
	}
}

// TestHubStats: what came and is no event, or nobody's, is counted.
func TestHubStats(t *testing.T) {
	bubble(t, func(t *testing.T) {
		j := join(fanout.OutletConfig{}, "T.A")
		j.hub.Message([]byte(`[{"ev":"T","sym":"A"},{"ev":"T","sym":"B"},{"ev":"Q","sym":"A"},{"ev":"NEW"},{"ev":"status"},7,{"ev":""}]`), 7)
		j.hub.Message([]byte(`x`), 8)
		got := j.hub.Stats()
		require.Equal(t, []tickstorm.ChannelCount{{Channel: "T", Count: 2}, {Channel: "Q", Count: 1}, {Channel: "A"}}, got.Channels[:3])
		got.Channels = nil
		require.Equal(t, fanout.Stats{Messages: 2, Events: 5, Unwanted: 4, Statuses: 1, Errors: 2, Outlets: 1}, got)
		for text, last := range map[string]int64{"T.A": 7, "T.*": 7, "T.B": 0, "Q.A": 0, "Q.*": 7, "NEW.A": 0} {
			require.Equal(t, last, j.hub.Last(topic(text)), text)
		}
		j.Cut()
		require.ErrorIs(t, j.over(t), fanout.ErrCut)
	})
}

// TestValidate: with it a broken element goes to nobody.
func TestValidate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := fanout.New(fanout.Config{Market: tickstorm.Stocks, Validate: true})
		conn := newSink()
		o := h.Join(conn, fanout.OutletConfig{})
		o.Subscribe(topic("T.*"))
		h.Message([]byte(`[{"ev":"T","sym":"A","p":01},{"ev":"T","sym":"B"}]`), 1)
		synctest.Wait()
		require.Equal(t, []string{`[{"ev":"T","sym":"B"}]`}, conn.written(t))
		o.Cut()
		<-o.Done()
	})
}

// TestAnswersOvertake: answers come before events that wait, notes behind them.
func TestAnswersOvertake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		j := join(fanout.OutletConfig{}, "T.*")
		j.conn.stall(true)
		j.hub.Message([]byte(`[{"ev":"T","n":1}]`), 1)
		synctest.Wait() // it is being written
		j.hub.Message([]byte(`[{"ev":"T","n":2}]`), 1)
		j.Note([]byte(`note`))
		j.hub.Message([]byte(`[{"ev":"T","n":3}]`), 1)
		j.Answer([]byte(`one`))
		j.Answer([]byte(`two`))
		j.conn.stall(false)
		synctest.Wait()
		require.Equal(t, []string{`[{"ev":"T","n":1}]`, "one", "two", `[{"ev":"T","n":2}]`, "note", `[{"ev":"T","n":3}]`}, j.conn.written(t))
		j.Close(1012, "restart")
		require.NoError(t, j.over(t))
		require.Equal(t, []string{"close 1012 restart"}, j.conn.written(t))
	})
}

// TestControlFull: who asks, or is told, and does not read is cut off.
func TestControlFull(t *testing.T) {
	for name, ask := range map[string]func(*joined){
		"answers": func(j *joined) { j.Answer(make([]byte, 1000)) },
		"notes":   func(j *joined) { j.Note(make([]byte, 1000)) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				j := join(fanout.OutletConfig{Control: 10_000}, "T.*")
				j.conn.stall(true)
				synctest.Wait()
				asked := 0
				for ; len(j.ended) == 0; asked++ {
					ask(j)
					synctest.Wait()
				}
				require.Greater(t, asked, 7)
				require.LessOrEqual(t, asked, 12) // one is being written
				require.ErrorIs(t, j.over(t), fanout.ErrControlFull)
			})
		})
	}
}

// TestEnds: the ways in which an outlet ends, while what waits is being read and while not.
func TestEnds(t *testing.T) {
	gone := errors.New("the peer is gone")
	for _, c := range []struct {
		name    string
		end     func(*joined)
		reading bool
		want    []string // behind the first event
		reason  error
		within  time.Duration
	}{
		{"close", func(j *joined) { j.Close(1001, "") }, true, []string{`[{"ev":"T","n":2}]`, "note", "close 1001 "}, nil, 0},
		{"close of who does not read", func(j *joined) { j.Close(1001, "") }, false, nil, fanout.ErrTooSlow, time.Second},
		{"close without a code", func(j *joined) { j.Close(0, "") }, true, []string{`[{"ev":"T","n":2}]`, "note", "close 0 "}, nil, 0},
		{"close with a long reason", func(j *joined) { j.Close(1012, strings.Repeat("é", 100)) }, true,
			[]string{`[{"ev":"T","n":2}]`, "note", "close 1012 " + strings.Repeat("é", 61)}, nil, 0},
		{"hangup", func(j *joined) { j.Answer([]byte("last")); j.Hangup([]byte{0x88, 0}) }, true, []string{"last", "close 0 "}, nil, 0},
		{"hangup of who does not read", func(j *joined) { j.Hangup([]byte{0x88, 0}) }, false, nil, fanout.ErrGone, time.Second},
		{"hangup of who was to be told why", func(j *joined) { j.Close(1001, ""); j.Hangup([]byte{0x88, 0}) }, false, nil, fanout.ErrGone, time.Second},
		{"cut", func(j *joined) { j.Cut(); j.Cut() }, false, nil, fanout.ErrCut, 0},
		{"cut after close", func(j *joined) { j.Close(1001, ""); j.Cut() }, false, nil, fanout.ErrCut, 0},
		{"a write that fails", func(j *joined) { j.conn.fail(gone) }, false, nil, gone, 0},
		{"a write that takes too long", func(j *joined) {}, false, nil, fanout.ErrTooSlow, 30*time.Second + 30*time.Second/4},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				j := join(fanout.OutletConfig{}, "T.*")
				j.conn.stall(true)
				j.hub.Message([]byte(`[{"ev":"T","n":1}]`), 1)
				synctest.Wait()
				j.hub.Message([]byte(`[{"ev":"T","n":2}]`), 1)
				j.Note([]byte("note"))
				start := time.Now()
				c.end(j)
				if c.reading {
					j.conn.stall(false)
				}
				err := j.over(t)
				if c.reason == nil {
					require.NoError(t, err)
					require.Equal(t, append([]string{`[{"ev":"T","n":1}]`}, c.want...), j.conn.written(t))
				} else {
					require.ErrorIs(t, err, c.reason)
				}
				require.LessOrEqual(t, time.Since(start), c.within)
				st := j.Stats()
				require.EqualValues(t, 2, st.Written+st.Dropped+st.Left)
				require.Equal(t, c.reason == fanout.ErrTooSlow, st.Dropped > 0, "who goes is not too slow")

				// All that comes then does nothing.
				j.hub.Message([]byte(`[{"ev":"T","n":3}]`), 1)
				j.Subscribe(topic("Q.*"))
				j.Unsubscribe(topic("T.*"))
				j.Answer([]byte("x"))
				j.Note([]byte("x"))
				j.Hangup(nil)
				j.Close(1000, "")
				j.Cut()
				require.Empty(t, j.ended)
				require.Zero(t, j.hub.Lent())
			})
		})
	}
}

// TestTooSlow: under OverflowDisconnect, and OverflowBlock, which cannot be, who does not keep up
// gets a close frame of 1008, if it reads within the time.
func TestTooSlow(t *testing.T) {
	for _, policy := range []tickstorm.Overflow{tickstorm.OverflowBlock, tickstorm.OverflowDisconnect} {
		for _, reads := range []bool{true, false} {
			t.Run(fmt.Sprint(policy, reads), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					j := join(fanout.OutletConfig{Overflow: policy, Bytes: 64 << 10}, "T.*")
					j.conn.stall(true)
					for i := range 500 {
						j.hub.Message([]byte("["+event("T", "A", i)+"]"), 1)
					}
					require.LessOrEqual(t, j.Stats().HighWater, 64<<10)
					if reads {
						j.conn.stall(false)
					}
					require.ErrorIs(t, j.over(t), fanout.ErrTooSlow)
					if reads {
						frames := j.conn.written(t)
						require.Equal(t, "close 1008 too slow", frames[len(frames)-1])
					}
				})
			})
		}
	}
}

// TestTrailingEdge: the last quote of each symbol arrives, and no trade is conflated; a symbol with
// many events is not put off by others while the client is slow.
func TestTrailingEdge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		j := join(fanout.OutletConfig{Overflow: tickstorm.OverflowConflate, Bytes: 256 << 10}, "Q.*", "T.*")
		j.conn.stall(true)
		symbols := 100
		for i := range 20_000 {
			symbol := fmt.Sprint("S", i%symbols)
			j.hub.Message([]byte("["+event("Q", symbol, i)+","+event("Q", "HOT", i)+"]"), 1)
			if i%100 == 0 {
				j.hub.Message([]byte("["+event("T", symbol, i)+"]"), 1)
			}
		}
		st := j.Stats()
		require.True(t, st.Conflating)
		require.Zero(t, st.Dropped)
		require.LessOrEqual(t, st.Bytes, 256<<10)
		j.conn.stall(false)
		synctest.Wait()
		st = j.Stats()
		require.False(t, st.Conflating, "it has been left")
		require.Zero(t, st.Waiting)
		last, trades, hot := map[string]string{}, 0, 0
		for _, f := range j.conn.written(t) {
			for _, text := range elements(t, f) {
				if strings.Contains(text, `"T"`) {
					trades++
					continue
				}
				_, symbol, _ := strings.Cut(text, `"sym":"`)
				symbol, _, _ = strings.Cut(symbol, `"`)
				last[symbol] = text
				if symbol == "HOT" {
					hot++
				}
			}
		}
		require.Equal(t, 200, trades)
		require.Greater(t, hot, 1)
		require.Len(t, last, symbols+1)
		for i := 20_000 - symbols; i < 20_000; i++ {
			symbol := fmt.Sprint("S", i%symbols)
			require.Equal(t, event("Q", symbol, i), last[symbol])
		}
		require.Equal(t, event("Q", "HOT", 19_999), last["HOT"])
		j.Cut()
		require.ErrorIs(t, j.over(t), fanout.ErrCut)
	})
}

// TestHotSymbol: under conflation a symbol whose events come faster than the client takes any is
// not put off behind those of others.
func TestHotSymbol(t *testing.T) {
	bubble(t, func(t *testing.T) {
		j := join(fanout.OutletConfig{Overflow: tickstorm.OverflowConflate, Bytes: 1 << 20, High: 64 << 10}, "Q.*")
		j.conn.stall(true)
		const symbols = 1500 // whose quotes are more than a write takes
		n := 0
		round := func() {
			for i := range symbols {
				n++
				j.hub.Message([]byte("["+event("Q", fmt.Sprint("S", i), n)+","+event("Q", "HOT", n)+"]"), 1)
			}
		}
		round()
		round()
		hot := 0
		for i := range 40 { // in which the client takes less than a half of what comes
			j.conn.let(1)
			synctest.Wait()
			round()
			frames := j.conn.written(t)
			if i >= 10 { // and what waited from before is gone
				hot += strings.Count(strings.Join(frames, ""), `"HOT"`)
			}
		}
		require.True(t, j.Stats().Conflating)
		require.Greater(t, hot, 2)
		j.Cut()
		require.ErrorIs(t, j.over(t), fanout.ErrCut)
	})
}

// TestFlapping: around its threshold a policy does not begin and end with each event: between
// two notes there is as much as lies between High and Low.
func TestFlapping(t *testing.T) {
	for _, policy := range []tickstorm.Overflow{tickstorm.OverflowDropNewest, tickstorm.OverflowDropOldest} {
		t.Run(policy.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const high, low = 400 << 10, 200 << 10
				j := join(fanout.OutletConfig{Overflow: policy, Bytes: high, Low: low}, "T.*")
				j.conn.stall(true)
				n, written, notes := 0, 0, 0
				for i := range 2000 { // somewhat more comes than a write takes
					for range 30 {
						n++
						j.hub.Message([]byte("["+event("T", "A", n)+"]"), 1)
					}
					if i%20 == 0 {
						j.conn.let(1)
						synctest.Wait()
					}
					require.LessOrEqual(t, j.Stats().Bytes, high+8<<10)
				}
				j.conn.stall(false)
				synctest.Wait()
				for _, f := range j.conn.written(t) {
					written += len(f)
					if strings.Contains(f, "dropped") {
						notes++
					}
				}
				st := j.Stats()
				require.Positive(t, notes)
				require.LessOrEqual(t, notes, 2+(n*len(event("T", "A", n)))/((high-low)*3/4))
				require.Equal(t, uint64(n), st.Events)
				require.Zero(t, st.Waiting)
				require.False(t, st.Dropping)
				j.Cut()
				require.ErrorIs(t, j.over(t), fanout.ErrCut)
			})
		})
	}
}

// TestConflationKeepsOrder: of a symbol no event comes behind a later one, also where conflation
// begins and ends while there is more than is written at once.
func TestConflationKeepsOrder(t *testing.T) {
	t.Run("short messages", func(t *testing.T) { conflationKeepsOrder(t, 1, 300) })
	t.Run("long messages, which have frames of their own", func(t *testing.T) { conflationKeepsOrder(t, 10, 30) })
}

// conflationKeepsOrder sends messages of up to so many events, and now and then writes a batch each
// so many events.
func conflationKeepsOrder(t *testing.T, most, rate int) {
	t.Helper()
	bubble(t, func(t *testing.T) {
		j := join(fanout.OutletConfig{Overflow: tickstorm.OverflowConflate, Bytes: 1 << 20, High: 500 << 10, Low: 400 << 10}, "Q.*")
		j.conn.stall(true)
		const symbols, events = 1200, 40_000
		ended, was := 0, false
		var message []string
		for n := range events {
			message = append(message, event("Q", fmt.Sprint("S", n*7%symbols), n))
			if len(message) < 1+n/1000%most && n < events-1 {
				continue
			}
			j.hub.Message([]byte("["+strings.Join(message, ",")+"]"), 1)
			message = message[:0]
			if n%rate == 0 && n%12_000 > 9000 { // it catches up at times
				j.conn.let(1)
				synctest.Wait()
			}
			if conflating := j.Stats().Conflating; conflating != was {
				was = conflating
				if !was {
					ended++
				}
			}
		}
		require.Positive(t, ended)
		require.Positive(t, j.Stats().Conflated)
		j.conn.stall(false)
		synctest.Wait()
		last := map[string]int{}
		for _, f := range j.conn.written(t) {
			for _, text := range elements(t, f) {
				var e struct {
					Sym string
					N   int
				}
				require.NoError(t, json.Unmarshal([]byte(text), &e))
				before, seen := last[e.Sym]
				require.True(t, !seen || before < e.N, "%d of %s came behind %d", e.N, e.Sym, before)
				last[e.Sym] = e.N
			}
		}
		for n := events - symbols; n < events; n++ {
			require.Equal(t, n, last[fmt.Sprint("S", n*7%symbols)])
		}
		j.Cut()
		require.ErrorIs(t, j.over(t), fanout.ErrCut)
	})
}

// TestConflationFlapping: it begins and ends at thresholds of its own.
func TestConflationFlapping(t *testing.T) {
	bubble(t, func(t *testing.T) {
		j := join(fanout.OutletConfig{Overflow: tickstorm.OverflowConflate, Bytes: 400 << 10, High: 200 << 10, Low: 50 << 10}, "Q.*")
		j.conn.stall(true)
		changes, was := 0, false
		for n := range 20_000 {
			j.hub.Message([]byte("["+event("Q", fmt.Sprint("S", n%400), n)+"]"), 1)
			if n%2000 > 1400 && n%50 == 0 { // it catches up at times
				j.conn.let(1)
				synctest.Wait()
			}
			st := j.Stats()
			if st.Conflating != was {
				was = st.Conflating
				changes++
				if was {
					require.Greater(t, st.Bytes, 180<<10)
				} else {
					require.LessOrEqual(t, st.Bytes, 60<<10)
				}
			}
		}
		require.Greater(t, changes, 10)
		require.Less(t, changes, 40)
		j.conn.stall(false)
		synctest.Wait()
		require.False(t, j.Stats().Conflating)
		j.Cut()
		require.ErrorIs(t, j.over(t), fanout.ErrCut)
	})
}

// TestStuck: one of a hundred that takes nothing holds up neither Message nor the others.
func TestStuck(t *testing.T) {
	for _, policy := range modelPolicies {
		t.Run(policy.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := fanout.New(fanout.Config{Market: tickstorm.Stocks})
				var outlets []*fanout.Outlet
				var conns []*sink
				for i := range 100 {
					conns = append(conns, newSink())
					outlets = append(outlets, h.Join(conns[i], fanout.OutletConfig{Overflow: policy, Bytes: 64 << 10, WriteTimeout: time.Hour}))
					outlets[i].Subscribe(topic("T.*"))
				}
				conns[99].stall(true)
				start := time.Now()
				for i := range 500 {
					h.Message([]byte("["+event("T", "A", i)+"]"), time.Now().UnixNano())
					synctest.Wait()
				}
				for i, o := range outlets[:99] {
					require.EqualValues(t, 500, o.Stats().Written)
					require.Equal(t, 500, countEvents(t, conns[i].written(t)))
					d := o.Stats().Delay
					require.LessOrEqual(t, d.Quantile(1), 64*time.Nanosecond) // nobody has waited for anything
				}
				require.Equal(t, start, time.Now())
				for _, o := range outlets {
					o.Cut()
					<-o.Done()
				}
				require.Zero(t, h.Lent())
			})
		})
	}
}

// TestLongMessages: no message is a million bytes long. One that would be is written in parts, and
// an element that is too long for any is dropped, and told.
func TestLongMessages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		j := join(fanout.OutletConfig{Bytes: 4 << 20}, "T.*")
		long := func(n int) string { return fmt.Sprintf(`{"ev":"T","pad":"%s"}`, strings.Repeat("x", n)) }
		var want []string
		for _, n := range []int{400_000, 10, 400_000, 999_900, 400_000, 999_970} {
			want = append(want, long(n))
		}
		j.hub.Message([]byte("["+strings.Join(append(want, long(999_990), want[0]), ",")+"]"), 1)
		synctest.Wait()
		var got []string
		for _, f := range j.conn.written(t) { // which holds its length against the limit
			got = append(got, elements(t, f)...)
		}
		want = append(want, `{"ev":"status","status":"dropped","message":"1"}`, want[0])
		require.Equal(t, want, got)
		require.EqualValues(t, 1, j.Stats().Dropped)
		j.Cut()
		require.ErrorIs(t, j.over(t), fanout.ErrCut)
	})
}

// TestSymbolsAreForgotten: the table does not keep what came and went.
func TestSymbolsAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := fanout.New(fanout.Config{Market: tickstorm.Stocks})
		conn := newSink()
		o := h.Join(conn, fanout.OutletConfig{})
		for i := range 50_000 {
			o.Subscribe(tickstorm.Topic{Channel: "T", Symbol: fmt.Sprint("S", i)}, tickstorm.Topic{Channel: fmt.Sprint("N", i), Symbol: "A"})
			if i >= 100 {
				o.Unsubscribe(tickstorm.Topic{Channel: "T", Symbol: fmt.Sprint("S", i-100)}, tickstorm.Topic{Channel: fmt.Sprint("N", i-100), Symbol: "A"})
			}
			require.Less(t, h.Symbols(), 4000)
		}
		h.Message([]byte(`[{"ev":"T","sym":"S49899"},{"ev":"T","sym":"S49900"},{"ev":"N49899"},{"ev":"N49999"}]`), 1)
		synctest.Wait()
		require.Equal(t, []string{`[{"ev":"T","sym":"S49900"},{"ev":"N49999"}]`}, conn.written(t))
		o.Cut()
		<-o.Done()
	})
}

// TestSymbolsAreForgottenMeanwhile: forgetting and messages do not disturb each other.
func TestSymbolsAreForgottenMeanwhile(t *testing.T) {
	j := join(fanout.OutletConfig{Overflow: tickstorm.OverflowDropNewest}, "T.A")
	begun, stop := make(chan struct{}), make(chan struct{})
	sent := make(chan uint64)
	go func() {
		for n := uint64(1); ; n++ {
			select {
			case <-stop:
				sent <- n - 1
				return
			default:
				j.hub.Message([]byte(`[{"ev":"T","sym":"A"}]`), int64(n))
			}
			if n == 1 {
				close(begun)
			}
		}
	}()
	<-begun
	for round := range 20 {
		var topics []tickstorm.Topic
		for i := range 3000 {
			topics = append(topics, tickstorm.Topic{Channel: "T", Symbol: fmt.Sprint(round, "-", i)})
		}
		j.Subscribe(topics...)
		j.Unsubscribe(topics...)
	}
	close(stop)
	require.Equal(t, <-sent, j.Stats().Events)
	require.Less(t, j.hub.Symbols(), 4000)
	j.Cut()
	require.ErrorIs(t, j.over(t), fanout.ErrCut)
}

// TestManyHolders: who comes and goes of many that hold the same.
func TestManyHolders(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := fanout.New(fanout.Config{Market: tickstorm.Stocks})
		var outlets []*fanout.Outlet
		for range 20 {
			o := h.Join(newSink(), fanout.OutletConfig{})
			o.Subscribe(topic("T.A"), topic("NEW.A"))
			outlets = append(outlets, o)
		}
		want := make([]uint64, 20)
		for _, leaves := range []int{3, 0, 19, 1, 2, 17, 18, 10, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16} {
			if leaves%2 == 0 {
				outlets[leaves].Cut()
				<-outlets[leaves].Done()
			} else {
				outlets[leaves].Unsubscribe(topic("T.A"), topic("NEW.A"))
			}
			want[leaves] = 1 << 63
			h.Message([]byte(`[{"ev":"T","sym":"A"},{"ev":"NEW","sym":"A"}]`), 1)
			for i, o := range outlets {
				if want[i] < 1<<63 {
					want[i] += 2
					require.Equal(t, want[i], o.Stats().Events, "%d after %d", i, leaves)
				}
			}
		}
		for _, o := range outlets {
			o.Cut()
			<-o.Done()
		}
		require.Zero(t, h.Lent())
	})
}

// TestSockets writes to real ones, which take several frames in one call.
func TestSockets(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			address := "127.0.0.1:0"
			if network == "unix" {
				address = t.TempDir() + "/s"
			}
			l, err := net.Listen(network, address)
			require.NoError(t, err)
			defer l.Close()
			far, err := net.Dial(network, l.Addr().String())
			require.NoError(t, err)
			defer far.Close()
			near, err := l.Accept()
			require.NoError(t, err)
			defer near.Close()
			h := fanout.New(fanout.Config{Market: tickstorm.Stocks})
			o := h.Join(near, fanout.OutletConfig{Bytes: 64 << 20, CloseTimeout: time.Minute})
			o.Subscribe(topic("T.*"))
			const n = 20_000
			go func() {
				for i := range n {
					if i%3 == 0 { // more than is copied
						h.Message([]byte("["+strings.Repeat(event("T", "A", i)+",", 9)+event("T", "A", i)+"]"), 1)
					} else {
						h.Message([]byte("["+event("T", "A", i)+"]"), 1)
					}
				}
				o.Close(1012, "restart")
			}()
			require.NoError(t, far.SetReadDeadline(time.Now().Add(time.Minute)))
			i, left, r := -1, 0, bufio.NewReader(far)
			for {
				op, payload := readFrame(t, r)
				if op == ws.OpClose {
					break
				}
				for _, text := range elements(t, string(payload)) {
					if left == 0 {
						i++
						left = 1
						if i%3 == 0 {
							left = 10
						}
					}
					left--
					require.Equal(t, event("T", "A", i), text)
				}
			}
			require.Equal(t, n-1, i)
			<-o.Done()
			require.Zero(t, h.Lent())
		})
	}
}
