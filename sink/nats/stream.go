package nats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tickstorm/tickstorm/sink"
)

// Limits are those of the streams that are made. A stream that is there keeps its own, which
// whoever made it has chosen.
type Limits struct {
	// MaxAge and MaxBytes have a stream forget its oldest messages; default 24 h, and 8 GiB for all
	// partitions of a market together. A consumer that is further behind is told what it misses.
	MaxAge   time.Duration
	MaxBytes int64
	// Replicas is on how many nodes of a cluster a stream is; default 1.
	Replicas int
}

func (l Limits) withDefaults() Limits {
	l.MaxAge = cmp.Or(l.MaxAge, 24*time.Hour)
	l.MaxBytes = cmp.Or(l.MaxBytes, 8<<30)
	l.Replicas = cmp.Or(l.Replicas, 1)
	return l
}

// StreamError is that a stream of the name is there and is not what a sink can use. It is never
// changed.
type StreamError struct {
	Stream string
	// Faults are what is wrong with it.
	Faults []string
}

// Error says all of it.
func (e *StreamError) Error() string {
	return fmt.Sprintf("nats: stream %s cannot be used: %s", e.Stream, strings.Join(e.Faults, "; "))
}

// checkStream returns what is wrong with a stream, nil if nothing is.
func checkStream(want, have *jetstream.StreamConfig) error {
	e := &StreamError{Stream: have.Name}
	fault := func(bad bool, format string, args ...any) {
		if bad {
			e.Faults = append(e.Faults, fmt.Sprintf(format, args...))
		}
	}
	fault(!slices.Equal(sorted(have.Subjects), sorted(want.Subjects)), "its subjects are %q and not %q", have.Subjects, want.Subjects)
	fault(have.Retention != jetstream.LimitsPolicy, "its messages are removed when they were consumed, and others have to read them too")
	fault(have.MaxMsgsPerSubject != want.MaxMsgsPerSubject && have.MaxMsgsPerSubject > 0, "it keeps %d messages of a subject only", have.MaxMsgsPerSubject)
	fault(have.NoAck, "it acknowledges nothing")
	fault(have.Sealed, "it is sealed")
	fault(have.Mirror != nil || len(have.Sources) > 0, "it is a copy of others")
	fault(have.SubjectTransform != nil, "it changes subjects")
	fault(want.AllowBatchPublish && !have.AllowBatchPublish, "it does not allow batch publishing, for which servers must be of version 2.14 or newer")
	if e.Faults == nil {
		return nil
	}
	return e
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

// ensureStream returns a stream, which it makes if it is not there.
func ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	for {
		s, err := js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			s, err = js.CreateStream(ctx, want)
			if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another has just made it
				continue
			}
			if api := (*jetstream.APIError)(nil); errors.As(err, &api) && slices.Contains(impossible, api.ErrorCode) {
				err = sink.Permanent(err)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("nats: stream %s: %w", want.Name, err)
		}
		if err := checkStream(&want, &s.CachedInfo().Config); err != nil {
			return nil, sink.Permanent(err)
		}
		return s, nil
	}
}

// Codes of JetStream's errors for which a stream is not made, however often it is tried.
var impossible = []jetstream.ErrorCode{
	10023, // insufficient resources
	10047, // insufficient storage
	10052, // invalid stream configuration
	10065, // subjects overlap with those of another stream
	10074, // replicas without a cluster
}
