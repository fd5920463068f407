package sinktest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// KillClients requires that of two consumers of a market in so many lanes, which are killed at any moment
// and keep their watermarks with what they make of the events, each event has come to something once.
// The sink takes what the tape says.
func KillClients(t testing.TB, tp *Tape, sink *Runs, lanes int, consumer func(*LedgerClient) *Runs) {
	t.Helper()
	l := NewLedger()
	consumers := []*Runs{consumer(l.Client()), consumer(l.Client())}
	random := Random(22)
	for range Turns(t, 8) {
		tp.Say(100)
		tp.Gap()
		l.Await(t, random.IntN(tp.Said()))
		at := random.IntN(len(consumers))
		consumers[at].Kill()
		consumers[at] = consumer(l.Client())
	}
	l.Whole(t, tp.Said(), tp.Gaps(), lanes)
	sink.Halt(t)
	for _, c := range consumers {
		c.Halt(t)
	}
	l.Whole(t, tp.Said(), tp.Gaps(), lanes)
}

// KillUnsaved requires that the successor of a consumer that is killed before it has saved anything repeats
// what that one was told, and that nothing is missing. The sink takes what the tape says.
func KillUnsaved(t testing.TB, tp *Tape, sink *Runs, consumer func(Ear) *Runs) {
	t.Helper()
	b := NewBooks()
	for range Turns(t, 4) {
		c := consumer(Ear{Books: b})
		tp.Say(30)
		b.Await(t, tp.Said())
		c.Kill()
	}
	require.Greater(t, b.Calls(), tp.Said())
	require.Equal(t, tp.Said(), b.Count())
	sink.Halt(t)
}

// EndInHandler has the context of a consumer end while its handler is at work, which then takes nothing any
// more of what it is told.
func EndInHandler(t testing.TB, consumer func(tickstorm.Handler) (run func(context.Context) error)) {
	t.Helper()
	came, let := make(chan struct{}, 1), make(chan struct{})
	run := consumer(LetGo{Came: came, Let: let})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	<-came
	cancel()
	close(let)
	require.ErrorIs(t, <-ended, context.Canceled)
}

// LetGo is a handler that takes nothing any more from an event on, at which it waits until it may go.
type LetGo struct {
	tickstorm.NopHandler
	Came chan<- struct{} // holds a token once it is at work
	Let  <-chan struct{} // closed when it may go
}

func (h LetGo) OnTrade(*tickstorm.Trade) {
	select {
	case h.Came <- struct{}{}:
	default:
	}
	<-h.Let
}
