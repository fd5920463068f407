package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tickstorm/tickstorm/sink"
)

// This file is what no other try mends at a server: that it has no JetStream, or none for who asks.

// Reach asks a server whether JetStream is there for who asks, as a program does that would rather end
// than wait. It is a [*sink.PermanentError] if it is not: [jetstream.ErrJetStreamNotEnabledForAccount], or
// [jetstream.ErrJetStreamNotEnabled] of a server that says that it is in no cluster. Other nodes of a
// cluster may have it and be about to come up: there, and where nobody answers, Reach asks again until
// ctx ends, which is to have a deadline. Then it is [jetstream.ErrJetStreamNotEnabled] too if there was
// none to the last, and else ctx's error, such as for who may not ask. A server that elects is nil: of
// that an [Engine] and a [Consumer] make something.
func Reach(ctx context.Context, nc *nats.Conn) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	var missing error
	for patience := firstAnswer; ; {
		asked, cancel := context.WithTimeout(ctx, patience)
		_, err := js.AccountInfo(asked)
		silent := asked.Err() != nil
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
		case errors.Is(err, jetstream.ErrJetStreamNotEnabled):
			if alone(nc) {
				return sink.Permanent(err)
			}
			missing = err
		case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
			return sink.Permanent(err)
		case silent: // somebody listens, or the connection is lost
			missing = nil
			patience *= 2
			continue
		default:
			if err = classify(err); sink.Retryable(err) {
				return nil
			}
			return err
		}
		select {
		case <-time.After(nextQuestion):
		case <-ctx.Done():
			if missing != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return sink.Permanent(fmt.Errorf("%w: %w", missing, ctx.Err()))
			}
			return ctx.Err()
		}
	}
}

const (
	// firstAnswer is how long the answer to Reach's first question is waited for: in a cluster that starts,
	// whoever heard it may not be who answers later.
	firstAnswer = 500 * time.Millisecond
	// nextQuestion is when Reach asks again where nobody has heard it.
	nextQuestion = 50 * time.Millisecond
)

// alone reports whether the server that nc is connected to says that it has no JetStream, and that it is in
// no cluster whose other nodes may have it.
func alone(nc *nats.Conn) bool {
	id := nc.ConnectedServerId() // none while there is no connection, of which the rest says nothing
	enabled, _ := nc.ConnectedServerJetStream()
	return !enabled && nc.ConnectedClusterName() == "" && id != "" && id == nc.ConnectedServerId()
}

// absence is how long JetStream has not been there, for who has never found it. One that was there once
// comes back.
type absence struct {
	patience time.Duration
	since    time.Time
	found    bool
	before   error // that the connection had before JetStream was asked last
}

// asks says that JetStream is asked from now on.
func (a *absence) asks(nc *nats.Conn) { a.before = nc.LastError() }

// judge makes of an error one that no other try mends, if it is such a one or JetStream has been missed for
// too long. A server that says that it has none is no other than one that says nothing: so does one that
// goes down.
func (a *absence) judge(nc *nats.Conn, err error) error {
	if err == nil || a.found {
		a.found = true
		return classify(err)
	}
	refused := a.refusal(nc)
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
	case errors.Is(err, nats.ErrNoResponders):
		err = fmt.Errorf("%w: %w", jetstream.ErrJetStreamNotEnabled, err)
	case errors.Is(err, context.DeadlineExceeded) && refused != nil: // which is no answer to who asks
		err = fmt.Errorf("%w: %w", refused, err)
	default:
		a.since = time.Time{}
		return classify(err)
	}
	if a.since.IsZero() {
		a.since = time.Now()
	}
	if time.Since(a.since) < a.patience {
		return err
	}
	return sink.Permanent(fmt.Errorf("nats: for %v there has been no JetStream here for who asks: %w", a.patience, err))
}

// refusal is why a server does not take what JetStream was asked, or would not give its answer; nil if it has
// said no such thing. The connection is the caller's, and its last error may be of something else, or old.
func (a *absence) refusal(nc *nats.Conn) error {
	refused := nc.LastError()
	if !errors.Is(refused, nats.ErrPermissionViolation) {
		return nil
	}
	inbox := nc.NewInbox()
	inbox = inbox[:strings.LastIndexByte(inbox, '.')+1]
	switch said := refused.Error(); {
	case strings.Contains(said, `"`+jetstream.DefaultAPIPrefix) && refused != a.before:
		return refused
	case strings.Contains(said, `"`+inbox): // of which a connection subscribes to one, once
		return refused
	}
	return nil
}
