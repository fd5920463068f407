package tickstorm_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

// forms are the ways to write a quote; the vendor uses the first.
var forms = []string{
	`{"ev":"Q","sym":"%s","q":%d}`,
	`{ "ev" : "Q", "sym" : "%s", "q" : %d }`,
	`{"ev":"Q", "sym": "%s", "q": %d}`,
	`{"q":%[2]d,"sym":"%[1]s","ev":"Q"}`,
	`{"ev":"Q","x":"\\","sym":"%s","q":%d}`,
}

// TestQueueForms: however events are written, those of one symbol are one consumer's and in
// their order, give way to each other, and are dropped and told one by one.
func TestQueueForms(t *testing.T) {
	message := func(first int64) []byte {
		msg := []byte("[")
		for i, form := range slices.Concat(forms, forms)[:2*len(forms)-1] {
			msg = fmt.Appendf(msg, form+" ,", fmt.Sprint("S", i%3), first+int64(i))
		}
		msg[len(msg)-1] = ']'
		return msg
	}
	n := int64(2 * len(forms)) // numbers a message

	t.Run("order", func(t *testing.T) {
		h := &dealtQuotes{}
		q := newQueue(t, tickstorm.QueueConfig{Consumers: 4, Bytes: 1 << 20}, h)
		for i := range int64(50) {
			q.OnRaw(message(1+i*n), 1)
			q.OnRaw(fmt.Appendf(nil, "["+forms[0]+"]", fmt.Sprint("S", i%3), (i+1)*n), 1)
		}
		drainQueue(t, q)
		seen := map[string]int{}
		for shard, last := range h.last {
			for symbol := range last {
				require.NotContains(t, seen, symbol, "of one consumer")
				seen[symbol] = shard
			}
		}
		require.Len(t, seen, 3)
		require.EqualValues(t, 50*n, h.count())
	})
	t.Run("conflation", func(t *testing.T) {
		r := new(fixture.Recorder)
		q := newQueue(t, tickstorm.QueueConfig{Overflow: tickstorm.OverflowConflate, Bytes: 1 << 20}, r)
		for i := range int64(50) {
			q.OnRaw(message(1+i*n), 1)
		}
		drainQueue(t, q)
		require.EqualValues(t, 50*(n-1)-3, q.Stats().Conflated)
		require.Len(t, r.Events, 3)
	})
	t.Run("drops", func(t *testing.T) {
		q := newQueue(t, tickstorm.QueueConfig{Overflow: tickstorm.OverflowDropNewest, Bytes: 1 << 10}, nil)
		for i := range int64(50) {
			q.OnRaw(message(1+i*n), 1)
		}
		stats := q.Stats()
		require.EqualValues(t, 50*(n-1), stats.Enqueued)
		require.Equal(t, []tickstorm.ChannelCount{{Channel: "Q", Count: stats.Dropped}}, stats.DroppedBy)
	})
}

// dealtQuotes checks the order of each consumer's quotes.
type dealtQuotes struct {
	tickstorm.NopHandler
	last   [4]map[string]int64
	counts [4]int
}

func (h *dealtQuotes) count() int { return h.counts[0] + h.counts[1] + h.counts[2] + h.counts[3] }

func (h *dealtQuotes) Shard(i, _ int) tickstorm.Handler {
	h.last[i] = map[string]int64{}
	return &dealtQuotesOf{dealtQuotes: h, i: i}
}

type dealtQuotesOf struct {
	*dealtQuotes
	i int
}

func (h *dealtQuotesOf) OnQuote(e *tickstorm.Quote) {
	if h.last[h.i][e.Symbol] >= e.Sequence {
		panic(fmt.Sprint(e.Symbol, ": ", e.Sequence, " after ", h.last[h.i][e.Symbol]))
	}
	h.last[h.i][e.Symbol] = e.Sequence
	h.counts[h.i]++
}
