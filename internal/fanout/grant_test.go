package fanout_test

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fanout"
)

// onWrite is a connection that calls a function with what is written to it.
type onWrite func(p []byte)

func (f onWrite) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

func (onWrite) SetWriteDeadline(time.Time) error { return nil }

// TestGrant: what comes as soon as an acknowledgement has been written is not missed, and nothing
// comes before it, while events of the topics come all the time. There are so many topics that
// there is time for both.
func TestGrant(t *testing.T) {
	const rounds, topics = 20, 5000
	var acked [rounds]atomic.Bool
	var round atomic.Int64
	message := func(i, topic int, mark string) []byte {
		return fmt.Appendf(nil, `[{"ev":"T","sym":"S%d.%d","i":"%s"}]`, i, topic, mark)
	}
	h := fanout.New(fanout.Config{Market: tickstorm.Stocks})
	got, early := make(chan string, rounds), make(chan string, rounds)
	o := h.Join(onWrite(func(p []byte) {
		i := int(round.Load())
		ack, event := bytes.Index(p, []byte("subscribed to")), bytes.Index(p, fmt.Appendf(nil, `"sym":"S%d.0"`, i))
		if event >= 0 && !acked[i].Load() && (ack < 0 || event < ack) {
			select {
			case early <- string(p):
			default:
			}
		}
		if ack >= 0 && !acked[i].Swap(true) {
			h.Message(message(i, topics-1, "behind"), 1)
		}
		if bytes.Contains(p, []byte("behind")) {
			got <- string(p)
		}
	}), fanout.OutletConfig{Bytes: 64 << 20})
	defer func() {
		o.Cut()
		ended(t, o)
	}()
	for i := range rounds {
		round.Store(int64(i))
		var flooding sync.WaitGroup
		flooding.Go(func() {
			for !acked[i].Load() {
				h.Message(message(i, 0, "any"), 1)
			}
		})
		asked := make([]tickstorm.Topic, topics)
		for n := range asked {
			asked[n] = tickstorm.Topic{Channel: "T", Symbol: fmt.Sprintf("S%d.%d", i, n)}
		}
		o.Grant(ws.MustCompileFrame(ws.NewTextFrame([]byte(`[{"ev":"status","message":"subscribed to: T.S"}]`))), asked...)
		select {
		case <-got:
		case <-time.After(time.Minute):
			require.Fail(t, "an event is missing behind the acknowledgement")
		}
		flooding.Wait()
		o.Unsubscribe(asked...)
	}
	require.Empty(t, early)
}
