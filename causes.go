package tickstorm

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tickstorm/tickstorm/frame"
)

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

// ErrorCauses is the number of causes: an array of this length can be indexed by [ErrorCause].
const ErrorCauses = int(errorCauseCount)

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

// ReconnectCauses is the number of causes: an array of this length can be indexed by
// [ReconnectCause].
const ReconnectCauses = int(reconnectCauseCount)

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
