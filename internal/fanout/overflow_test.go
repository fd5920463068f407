package fanout_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fanout"
)

// TestSetOverflow: an outlet that is full under one policy goes on under the other, with what
// waits in its order.
func TestSetOverflow(t *testing.T) {
	pad := strings.Repeat("x", 1000)
	quote := func(n int) string {
		return fmt.Sprintf(`{"ev":"Q","sym":"S%d","q":%d,"pad":"%s"}`, n%4, n, pad)
	}
	for _, from := range []tickstorm.Overflow{
		tickstorm.OverflowDisconnect, tickstorm.OverflowDropNewest, tickstorm.OverflowDropOldest, tickstorm.OverflowConflate,
	} {
		for _, to := range []tickstorm.Overflow{
			tickstorm.OverflowDisconnect, tickstorm.OverflowDropNewest, tickstorm.OverflowDropOldest, tickstorm.OverflowConflate,
		} {
			t.Run(from.String()+" to "+to.String(), func(t *testing.T) {
				h, s := fanout.New(fanout.Config{Market: tickstorm.Stocks}), newSink()
				s.stall(true)
				o := h.Join(s, fanout.OutletConfig{Bytes: 256 << 10, Overflow: from, Dropped: dropped})
				o.Subscribe(tickstorm.Topic{Channel: "Q", Symbol: tickstorm.All})
				n := 0
				fill := func(bytes int) {
					for o.Stats().Bytes < bytes && o.Stats().Dropped+o.Stats().Conflated == 0 {
						n++
						h.Message([]byte("["+quote(n)+"]"), int64(n))
					}
				}
				fill(60 << 10) // with any policy's room
				if from != tickstorm.OverflowDisconnect {
					fill(1 << 30)
				}
				before := o.Stats()
				o.SetOverflow(to, 0, 0)
				if to != tickstorm.OverflowConflate {
					require.False(t, o.Stats().Conflating)
				}
				for range 1000 {
					n++
					h.Message([]byte("["+quote(n)+"]"), int64(n))
				}
				after := o.Stats()
				if to == tickstorm.OverflowDisconnect {
					s.stall(false)
					ended(t, o)
					frames := s.written(t)
					require.Equal(t, "close 1008 too slow", frames[len(frames)-1])
					return
				}
				if to == tickstorm.OverflowConflate {
					require.Greater(t, after.Conflated+after.Dropped, before.Conflated+before.Dropped) // there may be no room yet for the latest
				} else {
					require.Greater(t, after.Dropped, before.Dropped)
					require.Equal(t, before.Conflated, after.Conflated)
				}
				s.stall(false)
				o.Close(1000, "")
				ended(t, o)
				last := map[string]int{}
				for _, m := range s.written(t) {
					if strings.HasPrefix(m, "close ") {
						continue
					}
					for _, e := range elements(t, m) {
						var symbol, q int
						if _, err := fmt.Sscanf(e, `{"ev":"Q","sym":"S%d","q":%d,`, &symbol, &q); err != nil {
							continue // a note
						}
						require.Greater(t, q, last[fmt.Sprint(symbol)], "in its order")
						last[fmt.Sprint(symbol)] = q
					}
				}
				st := o.Stats()
				require.Equal(t, st.Events, st.Written+st.Dropped+st.Conflated)
			})
		}
	}
}

func ended(t *testing.T, o *fanout.Outlet) {
	t.Helper()
	select {
	case <-o.Done():
	case <-time.After(time.Minute):
		require.Fail(t, "the outlet does not end")
	}
}
