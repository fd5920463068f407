package tickstorm

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/redact"
)

// Stats is what a parser, or the connection around it, has seen. It is a snapshot: a plain
// value of some 6 KB that changes no more.
//
// Taking one costs the stream nothing that can be measured: a connection publishes its
// Counters once per read, and whoever asks reads the histograms where they are written.
// So these may be ahead of the Counters by the read that is being worked on.
//
// encoding/json knows Stats: the names are those of the fields, ErrorCauses and the like
// are objects by name, histograms are as in [Histogram.MarshalJSON]. In print, fmt gives both
// by name as well.
type Stats struct {
	Counters
	Latency
	// Queue is the state of a Client's queue; zero without one.
	Queue QueueStats
	// ErrorSamples has the beginning of the first element or message of each cause of
	// error, at most 128 bytes: whatever the server sent, so print it with %q. One
	// that has the API key in it reads "[redacted]".
	ErrorSamples ErrorSamples
}

// Counters count from the start of a parser, a connection or a client, but for
// AckedTopics and PendingTopics.
type Counters struct {
	// Messages and Bytes are whole messages given to the parser and their length.
	Messages uint64
	Bytes    uint64
	// Events are the events decoded, by kind.
	Events EventCounts
	// Errors are the elements and messages that were no events: what OnError received,
	// or Parse returned. ErrorCauses are the same by cause. What a connection ends with
	// is no such error: see ReconnectCauses.
	Errors      uint64
	ErrorCauses ErrorCounts
	// UnknownKeys are the keys of known events that the table does not have.
	UnknownKeys uint64
	// Odd are the fields whose value did not fit: see [Header].
	Odd uint64
	// NoSymbol are the data events of a known kind that came without a symbol.
	NoSymbol uint64
	// Fast are the elements that the fast path decoded; the reference had the others.
	// Strange are the keys that it met in an order of keys it did not know, each of
	// which costs a look-up: few, once it knows the feed.
	Fast    uint64
	Strange uint64
	// Skipped are the events that were passed over because the Interest is not in them.
	Skipped uint64
	// Received are the bytes read from the connection, after TLS. A Parser has none.
	Received uint64
	// Refusals are the server's refusals of subscriptions, and RefusedTopics the topics
	// that are known to be refused: refusals name none, so that there are fewer where the
	// server's answer to a request was incomplete. A Parser has none.
	Refusals      uint64
	RefusedTopics uint64
	// AckedTopics are the topics that the connection holds now, PendingTopics those that
	// were sent and not answered (yet). A Parser has none, nor a connection that is over.
	AckedTopics   int
	PendingTopics int
	// Reconnects are the connections that a Client made after its first.
	Reconnects uint64
	// ReconnectCauses are the waits for another attempt, by what ended the one before.
	// Attempts that fail count as well, so there may be more of them than Reconnects.
	ReconnectCauses ReconnectCounts
}

// Latency is how long things took. What a Client has goes on across its connections.
type Latency struct {
	// Lag is the time from an event to its receipt, Received minus Timestamp, of the first
	// event of each read (of a Parser: after each SetReceived) that has a time: the one that
	// waited longest. Aggregates, backfilled and replayed events are not in it, nor what a relay sends
	// of the past, nor what was not decoded. Most timestamps are whole milliseconds, which makes their lag up to a
	// millisecond too long, and both clocks have their errors.
	Lag Histogram
	// AggregateLag is the same for reads whose first event with a time is an aggregate,
	// counted from the End of its window. The vendor sends a bar about two seconds after
	// that, and corrections up to 15 minutes later.
	AggregateLag Histogram
	// NegativeLag are the events that came before their time by these clocks; they are in
	// the histograms as 0.
	NegativeLag uint64
	// Decode is the time to decode a message and deliver its events, the handler's time
	// included, of one message in 64, the first among them. A Parser has none, nor a
	// [Session] without a [Conn], because they have no clock.
	Decode Histogram
	// Interval is the time between the reads that completed a message; the gap between
	// two connections is not in it. A Parser has none.
	Interval Histogram
}

// EventCounts are numbers of events, by [Kind].
type EventCounts [Kinds]uint64

// ErrorCounts are numbers of errors, by [ErrorCause].
type ErrorCounts [ErrorCauses]uint64

// ErrorSamples are samples of what was no event, by [ErrorCause].
type ErrorSamples [ErrorCauses]string

// ReconnectCounts are numbers of reconnects, by [ReconnectCause].
type ReconnectCounts [ReconnectCauses]uint64

// add adds what another connection has counted.
func (s *Stats) add(t *Stats) {
	s.Counters.add(&t.Counters)
	s.Latency.Merge(&t.Latency)
	for i, sample := range t.ErrorSamples {
		if s.ErrorSamples[i] == "" {
			s.ErrorSamples[i] = sample
		}
	}
}

func (c *Counters) add(t *Counters) {
	c.Messages += t.Messages
	c.Bytes += t.Bytes
	addAll(c.Events[:], t.Events[:])
	c.Errors += t.Errors
	addAll(c.ErrorCauses[:], t.ErrorCauses[:])
	c.UnknownKeys += t.UnknownKeys
	c.Odd += t.Odd
	c.NoSymbol += t.NoSymbol
	c.Fast += t.Fast
	c.Strange += t.Strange
	c.Skipped += t.Skipped
	c.Received += t.Received
	c.Refusals += t.Refusals
	c.RefusedTopics += t.RefusedTopics
	c.AckedTopics += t.AckedTopics
	c.PendingTopics += t.PendingTopics
	c.Reconnects += t.Reconnects
	addAll(c.ReconnectCauses[:], t.ReconnectCauses[:])
}

func addAll(to, from []uint64) {
	for i, n := range from {
		to[i] += n
	}
}

// Merge adds what another Latency has counted.
func (l *Latency) Merge(other *Latency) {
	l.Lag.Merge(&other.Lag)
	l.AggregateLag.Merge(&other.AggregateLag)
	l.NegativeLag += other.NegativeLag
	l.Decode.Merge(&other.Decode)
	l.Interval.Merge(&other.Interval)
}

// Total returns the number of events of all kinds.
func (c *Counters) Total() uint64 {
	var n uint64
	for _, events := range c.Events {
		n += events
	}
	return n
}

// liveLatency is a Latency that one goroutine writes to while others read it.
type liveLatency struct {
	lag          liveHistogram
	aggregateLag liveHistogram
	negativeLag  atomic.Uint64
	decode       liveHistogram
	interval     liveHistogram
}

func (l *liveLatency) snapshot(to *Latency) {
	l.lag.snapshot(&to.Lag)
	l.aggregateLag.snapshot(&to.AggregateLag)
	to.NegativeLag = l.negativeLag.Load()
	l.decode.snapshot(&to.Decode)
	l.interval.snapshot(&to.Interval)
}

// observeLag counts an event's lag, and reports whether it has one.
func (l *liveLatency) observeLag(e Event) bool {
	h, t := e.Head(), eventTime(e)
	if t <= 0 || h.Backfilled || h.Replayed {
		return false
	}
	lag := time.Duration(h.Received - t.Nanoseconds())
	if lag < 0 {
		l.negativeLag.Add(1)
	}
	if e.Kind() == KindAggregate {
		l.aggregateLag.observe(lag)
	} else {
		l.lag.observe(lag)
	}
	return true
}

// eventTime returns when an event happened by its own word, 0 if it does not say.
func eventTime(e Event) Timestamp {
	switch e := e.(type) {
	case *Trade:
		return e.Timestamp
	case *Quote:
		return e.Timestamp
	case *Aggregate:
		return e.End
	case *Book:
		return e.Timestamp
	case *LULD:
		return e.Timestamp
	case *Imbalance:
		return e.Timestamp
	case *Value:
		return e.Timestamp
	}
	return 0
}

// maxSample is the most of what was no event that is kept as a sample.
const maxSample = 128

// sampleOf returns the beginning of raw, unless a secret begins in it.
func sampleOf(raw []byte, secrets redact.Secrets) string {
	const longest = len(`\u0000`) // as which JSON can write a byte
	for _, secret := range secrets {
		seen := raw[:min(len(raw), maxSample+longest*len(secret))]
		if at := redact.Index(seen, secret); 0 <= at && at < maxSample {
			return secrets.String(redact.Mask)
		}
	}
	return string(raw[:min(len(raw), maxSample)])
}

// ErrorCause is why an element or a message was no event, for [Counters].ErrorCauses.
type ErrorCause uint8

// The causes of errors, in the order of the errors that they stand for: CauseTooDeep is
// [ErrTooDeep].
const (
	CauseOther ErrorCause = iota
	CauseSyntax
	CauseTooDeep
	CauseElementTooLong
	CauseNotObject
	CauseNoEvent
	CauseTruncated
	CauseTrailing
	CauseUTF8
	CauseNotArray
	CauseMessageTooLong
	CauseBinary
	errorCauseCount
)

var errorCauseNames = [ErrorCauses]string{
	"other", "syntax", "too deep", "element too long", "not object", "no event", "truncated", "trailing",
	"utf8", "not array", "message too long", "binary",
}

// String returns the cause's name in lower case, such as "too deep".
func (c ErrorCause) String() string {
	if c < errorCauseCount {
		return errorCauseNames[c]
	}
	return errorCauseNames[CauseOther]
}

// errorCause returns the cause of what the parser fails with.
func errorCause(err error) ErrorCause {
	switch err {
	case ErrSyntax:
		return CauseSyntax
	case ErrTooDeep:
		return CauseTooDeep
	case ErrElementTooLong:
		return CauseElementTooLong
	case ErrNotObject:
		return CauseNotObject
	case ErrNoEvent:
		return CauseNoEvent
	case ErrTruncated:
		return CauseTruncated
	case ErrTrailing:
		return CauseTrailing
	case ErrUTF8:
		return CauseUTF8
	case ErrNotArray:
		return CauseNotArray
	case ErrMessageTooLong:
		return CauseMessageTooLong
	case ErrBinary:
		return CauseBinary
	}
	return CauseOther
}

// ReconnectCause is why a [Client] had to connect again, for [Counters].ReconnectCauses.
type ReconnectCause uint8

// The causes of reconnects.
const (
	// ReconnectOther is none of the others.
	ReconnectOther ReconnectCause = iota
	// ReconnectServerClosed: the server sent a close frame.
	ReconnectServerClosed
	// ReconnectDisconnected: the connection broke without one.
	ReconnectDisconnected
	// ReconnectIdle: nothing came for too long, or not after a ping.
	ReconnectIdle
	// ReconnectProtocol: the server broke the WebSocket protocol or a limit.
	ReconnectProtocol
	// ReconnectAuthTimeout: the key was not answered in time.
	ReconnectAuthTimeout
	// ReconnectMaxConnections: the account has too many connections.
	ReconnectMaxConnections
	// ReconnectDial: an attempt failed before the WebSocket was open.
	ReconnectDial
	// ReconnectOverflow: the handler was too slow for a queue with OverflowDisconnect.
	ReconnectOverflow
	reconnectCauseCount
)

var reconnectCauseNames = [ReconnectCauses]string{
	"other", "server closed", "disconnected", "idle", "protocol", "auth timeout", "max connections", "dial", "overflow",
}

// String returns the cause's name in lower case, such as "server closed".
func (c ReconnectCause) String() string {
	if c < reconnectCauseCount {
		return reconnectCauseNames[c]
	}
	return reconnectCauseNames[ReconnectOther]
}

// causeOf returns the cause of a reconnect after err.
func causeOf(err error) ReconnectCause {
	var dial *DialError
	var closed *frame.CloseError
	switch {
	case errors.As(err, &dial):
		return ReconnectDial
	case errors.Is(err, ErrMaxConnections):
		return ReconnectMaxConnections
	case errors.Is(err, ErrAuthTimeout):
		return ReconnectAuthTimeout
	case errors.Is(err, ErrOverflow):
		return ReconnectOverflow
	case errors.Is(err, ErrIdle) || errors.Is(err, ErrPongTimeout):
		return ReconnectIdle
	case errors.As(err, &closed) && closed.Local:
		return ReconnectProtocol
	case errors.As(err, &closed):
		return ReconnectServerClosed
	case errors.Is(err, ErrDisconnected):
		return ReconnectDisconnected
	}
	return ReconnectOther
}

// String lists the numbers that are not zero by the kinds' names, such as "trade 12, quote 3";
// it is "none" if there are none.
func (c EventCounts) String() string { return listByName(c[:], eventName, "%s %d") }

// MarshalJSON returns an object of the numbers that are not zero, by the kinds' names.
func (c EventCounts) MarshalJSON() ([]byte, error) { return marshalByName(c[:], eventName) }

// String lists the numbers that are not zero by the causes' names, such as "syntax 2"; it is
// "none" if there are none.
func (c ErrorCounts) String() string { return listByName(c[:], errorName, "%s %d") }

// MarshalJSON returns an object of the numbers that are not zero, by the causes' names.
func (c ErrorCounts) MarshalJSON() ([]byte, error) { return marshalByName(c[:], errorName) }

// String lists the samples that there are by the causes' names, quoted; it is "none" if there
// are none.
func (s ErrorSamples) String() string { return listByName(s[:], errorName, "%s %q") }

// MarshalJSON returns an object of the samples that there are, by the causes' names.
func (s ErrorSamples) MarshalJSON() ([]byte, error) { return marshalByName(s[:], errorName) }

// String lists the numbers that are not zero by the causes' names, such as "dial 3, idle 1"; it
// is "none" if there are none.
func (c ReconnectCounts) String() string { return listByName(c[:], reconnectName, "%s %d") }

// MarshalJSON returns an object of the numbers that are not zero, by the causes' names.
func (c ReconnectCounts) MarshalJSON() ([]byte, error) { return marshalByName(c[:], reconnectName) }

func eventName(i int) string     { return Kind(i).String() }
func errorName(i int) string     { return ErrorCause(i).String() }
func reconnectName(i int) string { return ReconnectCause(i).String() }

// listByName lists what is not zero in the form of name and value.
func listByName[T comparable](values []T, name func(int) string, form string) string {
	var zero T
	var list []string
	for i, v := range values {
		if v != zero {
			list = append(list, fmt.Sprintf(form, name(i), v))
		}
	}
	if list == nil {
		return "none"
	}
	return strings.Join(list, ", ")
}

func marshalByName[T comparable](values []T, name func(int) string) ([]byte, error) {
	var zero T
	object := make(map[string]T, len(values))
	for i, v := range values {
		if v != zero {
			object[name(i)] = v
		}
	}
	return json.Marshal(object)
}
