package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/examples/internal/simproc"
)

// patience is how long handling what is queued may take after the end of the stream.
const patience = time.Minute

// measure streams under one policy.
func measure(ctx context.Context, o options, policy string) (f figures, err error) {
	child, err := simproc.Start(simproc.Options{Rate: o.rate})
	if err != nil {
		return f, err
	}
	defer child.Stop()
	var conn *tickstorm.Conn
	cfg := child.Config(tickstorm.Stocks)
	cfg.Queue.Overflow = policies[policy]
	cfg.Queue.OnOverflow = func() { _ = conn.Close() } // on the goroutine that reads it does not wait

	h := &sleeper{sleep: o.sleep, every: o.every}
	var handler tickstorm.Handler = h
	var queue *tickstorm.Queue
	ran := make(chan error, 1)
	if policy == inline {
		ran <- nil
	} else {
		if queue, err = tickstorm.NewQueue(cfg, h); err != nil {
			return f, err
		}
		handler = queue
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.length+patience)
		defer cancel()
		go func() { ran <- queue.Run(limited) }()
	}
	if conn, err = tickstorm.Dial(ctx, cfg, handler); err != nil {
		return f, err
	}
	topics := []tickstorm.Topic{{Channel: "T", Symbol: tickstorm.All}, {Channel: "Q", Symbol: tickstorm.All}}
	if err := conn.SubscribeTopics(ctx, topics...); err != nil {
		return f, err
	}
	start := time.Now()
	reason := stream(ctx, conn, o.length)
	f.Streamed = time.Since(start)
	if queue != nil {
		queue.Close()
	}
	if err := <-ran; err != nil {
		return f, err
	}
	f.Took = time.Since(start)

	f.Policy, f.Connection = policy, connection(queue, reason, f.Streamed)
	f.Handled, f.Came = h.events, h.events+h.statuses
	f.Lag, f.Age = quantilesOf(&h.lag), quantilesOf(&h.age)
	f.Memory = mostMemory()
	if queue != nil {
		err = f.account(queue.Stats(), h)
	}
	if h.events == 0 && err == nil {
		err = errors.New("no events came")
	}
	return f, err
}

// stream reads until the time is up, and returns nil then, or why it ended before.
func stream(ctx context.Context, conn *tickstorm.Conn, length time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	err := conn.Run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err == nil {
		err = tickstorm.ErrClosed
	}
	return err
}

func connection(queue *tickstorm.Queue, reason error, after time.Duration) string {
	switch {
	case reason == nil:
		return "kept"
	case queue != nil && queue.Err() != nil:
		return fmt.Sprintf("given up after %.1f s", after.Seconds())
	}
	return fmt.Sprintf("cut by the server after %.1f s", after.Seconds())
}

// account checks that every event that came was handled, dropped and told, or conflated.
func (f *figures) account(st tickstorm.QueueStats, h *sleeper) error {
	f.Came, f.Dropped, f.Conflated = st.Enqueued, st.Dropped, st.Conflated
	switch {
	case st.Enqueued != st.Delivered+st.Dropped+st.Conflated:
		return fmt.Errorf("events are not accounted for: %+v", st)
	case st.Delivered != h.events+h.statuses:
		return fmt.Errorf("%d events came to the handler, the queue says %d", h.events+h.statuses, st.Delivered)
	case st.Dropped != h.told:
		return fmt.Errorf("%d events were dropped, %d were told", st.Dropped, h.told)
	}
	return nil
}
