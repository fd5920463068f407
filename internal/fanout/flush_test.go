package fanout_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/internal/fanout"
)

// What comes soon after a write goes out with what comes until then; the first does not wait.
func TestFlushInterval(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const interval = time.Millisecond
		j := join(fanout.OutletConfig{FlushInterval: interval}, "T.*", "Q.A")
		send := func(events ...string) {
			j.hub.Message([]byte("["+strings.Join(events, ",")+"]"), time.Now().UnixNano())
			synctest.Wait()
		}
		one, two, three, four := event("T", "A", 1), event("Q", "A", 2), event("T", "B", 3), event("T", "C", 4)

		send(one)
		require.Equal(t, []string{"[" + one + "]"}, j.conn.written(t), "nothing was written before")
		send(two)
		send(three)
		time.Sleep(interval - 1)
		synctest.Wait()
		require.Empty(t, j.conn.written(t))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		var got []string
		for _, m := range j.conn.written(t) {
			got = append(got, elements(t, m)...)
		}
		require.Equal(t, []string{two, three}, got)
		require.EqualValues(t, 2, j.Stats().Writes)

		time.Sleep(interval)
		send(four)
		require.Equal(t, []string{"[" + four + "]"}, j.conn.written(t), "the last write is long ago")

		j.Close(ws.StatusNormalClosure, "")
		require.NoError(t, j.over(t))
	})
}

// What does not wait for the interval, and takes what waits along.
func TestFlushAtOnce(t *testing.T) {
	waits := event("T", "A", 2)
	for _, c := range []struct {
		name string
		do   func(j *joined)
		want []string // behind what the first write was
	}{
		{"an answer", func(j *joined) { j.Answer([]byte("answer")) }, []string{"answer", "[" + waits + "]"}},
		{"an end", func(j *joined) { j.Close(1012, "restart") }, []string{"[" + waits + "]", "close 1012 restart"}},
		{"a hangup", func(j *joined) { j.Hangup(nil) }, nil},
		{"a cut", func(j *joined) { j.Cut() }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				j := join(fanout.OutletConfig{FlushInterval: time.Hour}, "T.*")
				began := time.Now()
				for _, e := range []string{event("T", "A", 1), waits} {
					j.hub.Message([]byte("["+e+"]"), began.UnixNano())
					synctest.Wait()
				}
				require.Len(t, j.conn.written(t), 1)
				c.do(j)
				synctest.Wait()
				require.Equal(t, c.want, j.conn.written(t))
				j.Cut()
				_ = j.over(t) // of whichever end
				require.Equal(t, began, time.Now(), "nobody has waited")
			})
		})
	}
}

// Much goes out before its time: the queue of a client that reads never fills because of the
// interval.
func TestFlushMuch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		j := join(fanout.OutletConfig{FlushInterval: time.Hour, Bytes: 64 << 10}, "T.*")
		const events = 2000 // of 200 bytes, six times the queue
		for n := range events {
			j.hub.Message([]byte("["+event("T", "A", n)+"]"), time.Now().UnixNano())
			synctest.Wait()
		}
		st := j.Stats()
		require.Zero(t, st.Dropped)
		require.Greater(t, st.Written, uint64(events*9/10))
		require.Less(t, st.Writes, uint64(events/10))
		j.Close(ws.StatusNormalClosure, "")
		require.NoError(t, j.over(t))
	})
}
