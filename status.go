package tickstorm

import (
	"bytes"
	"errors"
	"strings"
)

// StatusCode is what a status event means. The vendor tells several meanings apart
// by the message's text only.
type StatusCode uint8

// The meanings of a status.
const (
	// StatusOther is a status that the library does not know: reported, no more.
	StatusOther StatusCode = iota
	// StatusConnected is the greeting.
	StatusConnected
	// StatusAuthSuccess answers a good key.
	StatusAuthSuccess
	// StatusAuthFailed answers a bad key; the server then drops the connection.
	StatusAuthFailed
	// StatusNoPlan answers a key whose plan lacks this market's stream.
	StatusNoPlan
	// StatusAuthTimeout: no key was sent in time.
	StatusAuthTimeout
	// StatusSubscribed and StatusUnsubscribed acknowledge one topic; see [Status.Topic].
	StatusSubscribed
	StatusUnsubscribed
	// StatusAcknowledged acknowledges a request as a whole, naming no topic.
	StatusAcknowledged
	// StatusNotAuthorized refuses one topic of a request, without saying which.
	StatusNotAuthorized
	// StatusSubscriptionLimit refuses topics beyond the limit of the feed.
	StatusSubscriptionLimit
	// StatusNotRealTime: the plan or its agreements do not allow real-time data.
	StatusNotRealTime
	// StatusMaxConnections: the account has too many connections to this market;
	// this one, or an older one, is closed.
	StatusMaxConnections
	// StatusRefused is an error whose text the library does not know.
	StatusRefused
	statusCodes
)

var statusCodeNames = [statusCodes]string{
	"other", "connected", "auth success", "auth failed", "no plan", "auth timeout", "subscribed", "unsubscribed",
	"acknowledged", "not authorized", "subscription limit", "not real-time", "max connections", "refused",
}

// String returns the code's name, such as "auth failed".
func (c StatusCode) String() string {
	if c < statusCodes {
		return statusCodeNames[c]
	}
	return statusCodeNames[StatusOther]
}

// The openings of messages that carry meaning, as the vendor's servers print them.
const (
	subscribedTo   = "subscribed to: "
	unsubscribedTo = "unsubscribed to: "
)

// Code returns what the status means.
func (s *Status) Code() StatusCode {
	switch string(s.Status) {
	case "connected":
		return StatusConnected
	case "auth_success":
		return StatusAuthSuccess
	case "auth_failed":
		if bytes.Contains(s.Message, []byte("plan doesn't include")) {
			return StatusNoPlan
		}
		return StatusAuthFailed
	case "auth_timeout":
		return StatusAuthTimeout
	case "max_connections":
		return StatusMaxConnections
	case "success":
		switch {
		case bytes.HasPrefix(s.Message, []byte(subscribedTo)):
			return StatusSubscribed
		case bytes.HasPrefix(s.Message, []byte(unsubscribedTo)):
			return StatusUnsubscribed
		}
		switch string(s.Message) {
		case "subscribed", "unsubscribed", "":
			return StatusAcknowledged
		}
		return StatusOther
	case "error":
		switch {
		case bytes.HasPrefix(s.Message, []byte("not authorized")):
			return StatusNotAuthorized
		case bytes.HasPrefix(s.Message, []byte("Subscription limit")):
			return StatusSubscriptionLimit
		case bytes.Contains(s.Message, []byte("access real-time data")):
			return StatusNotRealTime
		default:
			return StatusRefused
		}
	}
	return StatusOther
}

// Topic returns the topic that a StatusSubscribed or StatusUnsubscribed names, as
// the request spelled it. ok is false for other statuses and for texts that are no
// topic. The strings are safe to keep.
func (s *Status) Topic() (t Topic, ok bool) {
	if string(s.Status) != "success" {
		return Topic{}, false
	}
	text, ok := bytes.CutPrefix(s.Message, []byte(subscribedTo))
	if !ok {
		text, ok = bytes.CutPrefix(s.Message, []byte(unsubscribedTo))
	}
	if !ok {
		return Topic{}, false
	}
	t, err := ParseTopic(strings.TrimSpace(string(text)))
	return t, err == nil
}

// Identities of what the server refuses, for [errors.Is]; the error that carries
// the server's words is a [StatusError].
var (
	// ErrAuthFailed: the key is wrong, or its plan has no access to this market
	// (then it is ErrNoPlan as well). Retrying is pointless.
	ErrAuthFailed = errors.New("authentication failed")
	// ErrNoPlan: the plan does not include this market's stream.
	ErrNoPlan = errors.New("the plan does not include this stream")
	// ErrAuthTimeout: the server did not see the key in time, or we did not see its answer.
	ErrAuthTimeout = errors.New("authentication timed out")
	// ErrMaxConnections: too many connections of this account to this market.
	ErrMaxConnections = errors.New("too many connections")
	// ErrNotAuthorized: a topic is not in the plan.
	ErrNotAuthorized = errors.New("not authorized")
	// ErrSubscriptionLimit: more topics than the feed allows on one connection.
	ErrSubscriptionLimit = errors.New("subscription limit reached")
	// ErrNotRealTime: the plan has delayed data only, or its agreements are unsigned.
	ErrNotRealTime = errors.New("no access to real-time data")
)

// StatusError is a refusal in the server's words.
type StatusError struct {
	Code    StatusCode
	Status  string // the word, such as "auth_failed"
	Message string // the text; what equals the API key is replaced
}

// Error says what the server said.
func (e *StatusError) Error() string {
	if e.Message == "" {
		return "server says " + e.Status
	}
	return "server says " + e.Status + ": " + strings.TrimSpace(e.Message)
}

// Is makes errors.Is work with the Err values of this package.
func (e *StatusError) Is(target error) bool {
	switch target {
	case ErrAuthFailed:
		return e.Code == StatusAuthFailed || e.Code == StatusNoPlan
	case ErrNoPlan:
		return e.Code == StatusNoPlan
	case ErrAuthTimeout:
		return e.Code == StatusAuthTimeout
	case ErrMaxConnections:
		return e.Code == StatusMaxConnections
	case ErrNotAuthorized:
		return e.Code == StatusNotAuthorized
	case ErrSubscriptionLimit:
		return e.Code == StatusSubscriptionLimit
	case ErrNotRealTime:
		return e.Code == StatusNotRealTime
	}
	return false
}

// statusError keeps a lent status as an error, with the key taken out of its text.
func statusError(s *Status, key string) *StatusError {
	e := &StatusError{Code: s.Code(), Status: string(s.Status), Message: string(s.Message)}
	if key != "" {
		e.Status = strings.ReplaceAll(e.Status, key, redacted)
		e.Message = strings.ReplaceAll(e.Message, key, redacted)
	}
	return e
}

const redacted = "[redacted]"
