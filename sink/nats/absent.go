package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tickstorm/tickstorm/sink"
)

// This file is what no other try mends at a server: that it has no JetStream, or none for who asks.

// Reach asks a server whether JetStream is there for who asks, as a program does that would rather end
// than wait. It is a [*sink.PermanentError] if it is not: [jetstream.ErrJetStreamNotEnabled], or
// [jetstream.ErrJetStreamNotEnabledForAccount]. A server that elects, or may not be asked, is nil: of
// that an [Engine] and a [Consumer] make something.
func Reach(ctx context.Context, nc *nats.Conn) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	if _, err = js.AccountInfo(ctx); err != nil && ctx.Err() == nil {
		if err = classify(err); !sink.Retryable(err) {
			return err
		}
	}
	return ctx.Err()
}

// absence is how long JetStream has not been there, for who has never found it. One that was there once
// comes back.
type absence struct {
	patience time.Duration
	since    time.Time
	found    bool
}

// judge makes of an error one that no other try mends, if JetStream has been missed for too long.
func (a *absence) judge(nc *nats.Conn, err error) error {
	if err == nil || a.found {
		a.found = true
		return err
	}
	switch refused := nc.LastError(); {
	case errors.Is(err, nats.ErrNoResponders):
		err = fmt.Errorf("%w: %w", jetstream.ErrJetStreamNotEnabled, err)
	case errors.Is(err, context.DeadlineExceeded) && errors.Is(refused, nats.ErrPermissionViolation): // which is no answer to who asks
		err = fmt.Errorf("%w: %w", refused, err)
	default:
		a.since = time.Time{}
		return err
	}
	if a.since.IsZero() {
		a.since = time.Now()
	}
	if time.Since(a.since) < a.patience {
		return err
	}
	return sink.Permanent(fmt.Errorf("nats: for %v there has been no JetStream here for who asks: %w", a.patience, err))
}
