package sinktest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// Books are what the handlers of all consumers were told.
type Books struct {
	mu    sync.Mutex
	told  map[int64]int    // times, by number
	gaps  map[string]int   // times, by cause
	last  map[string]int64 // number, by channel and symbol
	wrong []string
	calls int
}

// NewBooks returns empty books.
func NewBooks() *Books {
	return &Books{told: map[int64]int{}, gaps: map[string]int{}, last: map[string]int64{}}
}

// Ear is a handler that writes into books what a tape has said.
type Ear struct {
	tickstorm.NopHandler
	*Books
}

// OnTrade implements [tickstorm.Handler].
func (e Ear) OnTrade(t *tickstorm.Trade) { e.event("T.", t.Sequence, &t.Header) }

// OnQuote implements [tickstorm.Handler].
func (e Ear) OnQuote(q *tickstorm.Quote) { e.event("Q.", q.Sequence, &q.Header) }

func (b *Books) event(channel string, number int64, h *tickstorm.Header) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	b.told[number]++
	key := channel + h.Symbol
	if last, ok := b.last[key]; ok && number <= last {
		b.wrong = append(b.wrong, fmt.Sprintf("%s: %d behind %d", key, number, last))
	}
	b.last[key] = number
	if want := Symbols[int(number)%len(Symbols)]; h.Symbol != want || !h.Replayed || h.Received == 0 {
		b.wrong = append(b.wrong, fmt.Sprintf("%d of %s: %s", number, h.Symbol, h.Raw))
	}
}

// OnGap implements [tickstorm.GapHandler].
func (e Ear) OnGap(g *tickstorm.Gap) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gaps[g.Cause.Error()]++
}

// Count is how many elements were told.
func (b *Books) Count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.told)
}

// Calls is how many times handlers were told elements.
func (b *Books) Calls() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls
}

// Gaps are how many times each was told, by its cause.
func (b *Books) Gaps() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	gaps := map[string]int{}
	for cause, times := range b.gaps {
		gaps[cause] = times
	}
	return gaps
}

// Whole waits until all was told, and requires that it was so once, in order, and each gap so many
// times.
func (b *Books) Whole(t testing.TB, said, gaps, times int) {
	t.Helper()
	b.Await(t, said)
	require.Eventually(t, func() bool { // notices are nobody's last word
		told := 0
		for _, n := range b.Gaps() {
			told += n
		}
		return told >= gaps*times
	}, Patience, 5*time.Millisecond)
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(t, b.wrong)
	require.Len(t, b.told, said)
	for n, told := range b.told {
		require.Equal(t, 1, told, "number %d", n)
	}
	require.Len(t, b.gaps, gaps, b.gaps)
	for cause, told := range b.gaps {
		require.Equal(t, times, told, cause)
	}
}

// Await waits until so many elements were told.
func (b *Books) Await(t testing.TB, said int) {
	t.Helper()
	for until := time.Now().Add(Patience); b.Count() < said; time.Sleep(5 * time.Millisecond) {
		require.True(t, time.Now().Before(until), "told %d of %d", b.Count(), said)
	}
}
