//go:build !race

package fanout_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fanout"
)

// TestAllocs: nothing is allocated for a message, whoever wants it, nor in the goroutines that write.
func TestAllocs(t *testing.T) {
	h := fanout.New(fanout.Config{Market: tickstorm.Stocks})
	stuck := make(chan struct{})
	var outlets, living []*fanout.Outlet
	join := func(conn null, policy tickstorm.Overflow, topics ...string) {
		o := h.Join(conn, fanout.OutletConfig{Overflow: policy, Bytes: 64 << 10, Dropped: dropped, WriteTimeout: time.Hour})
		for _, s := range topics {
			o.Subscribe(topic(s))
		}
		outlets = append(outlets, o)
		if conn.stuck == nil {
			living = append(living, o)
		}
	}
	for i := range 20 {
		join(null{}, tickstorm.OverflowDisconnect, "T.*", "Q.*")
		join(null{}, tickstorm.OverflowConflate, fmt.Sprint("T.S", i), fmt.Sprint("Q.S", i), "LULD.*")
	}
	for _, policy := range []tickstorm.Overflow{tickstorm.OverflowConflate, tickstorm.OverflowDropNewest, tickstorm.OverflowDropOldest} {
		join(null{stuck}, policy, "T.*", "Q.*", "T.S1")
	}
	var messages [][]byte
	for i := range 64 {
		var all []string
		for k := range 1 + i%30 {
			all = append(all, event([]string{"T", "Q", "ZZ"}[k%3], fmt.Sprint("S", (i*7+k)%40), i))
		}
		messages = append(messages, []byte("["+strings.Join(all, ",")+"]"))
	}
	pass := func() {
		for _, m := range messages {
			h.Message(m, 1)
			for _, o := range living {
				for o.Stats().Bytes > 0 {
					runtime.Gosched()
				}
			}
		}
	}
	for range 20 {
		pass()
	}
	require.Zero(t, testing.AllocsPerRun(100, pass))
	close(stuck)
	for _, o := range outlets {
		o.Cut()
		<-o.Done()
	}
	require.Zero(t, h.Lent())
}

// TestHotLine: what every event needs of an outlet is in one line of memory, and so are a symbol and who
// holds it, where pointers have 8 bytes.
func TestHotLine(t *testing.T) {
	require.LessOrEqual(t, fanout.HotLine(), uintptr(64))
	require.LessOrEqual(t, fanout.SymbolLine(), uintptr(64))
}
