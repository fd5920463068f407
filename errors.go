package tickstorm

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
)

// Errors of a message or of one of its elements, for [errors.Is].
var (
	// ErrNotArray: the message is neither a JSON array nor an object.
	ErrNotArray = errors.New("message is neither an array nor an object")
	// ErrTruncated: the message ends in the middle of an element, or without its bracket.
	ErrTruncated = errors.New("message is truncated")
	// ErrTrailing: something follows the message's closing bracket.
	ErrTrailing = errors.New("message goes on after its end")
	// ErrUTF8: the message is not UTF-8. Nothing of it is delivered.
	ErrUTF8 = errors.New("message is not UTF-8")
	// ErrMessageTooLong: the message is longer than [Limits].Message. Nothing of it is delivered.
	ErrMessageTooLong = errors.New("message is longer than the limit")

	// ErrSyntax: the element is not valid JSON by RFC 8259.
	ErrSyntax = errors.New("element is not valid JSON")
	// ErrTooDeep: the element is nested deeper than [Limits].Depth.
	ErrTooDeep = errors.New("element is nested deeper than the limit")
	// ErrElementTooLong: the element is longer than [Limits].Element.
	ErrElementTooLong = errors.New("element is longer than the limit")
	// ErrNotObject: the element is valid JSON, but no object.
	ErrNotObject = errors.New("element is no object")
	// ErrNoEvent: the element is an object without an ev that is a string.
	ErrNoEvent = errors.New("element has no ev")
)

// EventError is an element of a message that is no event, or a message that is none. It is valid until [Handler].OnError returns, for the sake of Raw.
type EventError struct {
	// Err is the reason. Of an element: ErrSyntax, ErrTooDeep, ErrElementTooLong,
	// ErrNotObject, ErrNoEvent or, for what is left of a message that has no end,
	// ErrTruncated. Of a whole message on a connection: ErrNotArray, ErrTrailing, ErrBinary. Of
	// neither: a [*BackfillError].
	Err error
	// Market is the market of the connection.
	Market Market
	// Received is when the bytes were read, in nanoseconds since 1970.
	Received int64
	// Raw is the element. Valid until the method returns.
	Raw []byte
}

// Error says why, and shows the element's beginning.
func (e *EventError) Error() string {
	const most = 80
	raw := e.Raw
	if raw == nil { // it is about no bytes
		return e.Err.Error()
	}
	if len(raw) > most {
		return fmt.Sprintf("%v: %q… (%d bytes)", e.Err, raw[:most], len(raw))
	}
	return fmt.Sprintf("%v: %q", e.Err, raw)
}

// Unwrap returns Err.
func (e *EventError) Unwrap() error { return e.Err }

// Clone returns a copy of e that shares no memory with it.
func (e *EventError) Clone() *EventError {
	c := *e
	c.Raw = bytes.Clone(e.Raw) // which keeps apart no bytes and none to speak of
	return &c
}

// Retryable reports whether connecting again makes sense after err: not when the key
// or its plan was refused, when the Config cannot work, on this system or at all, when the server's certificate
// does not verify, when an HTTP status that means no answered the handshake, when a handler
// panicked, when it was closed or cancelled on this side, or when Run was called a second time. All else, such as networks that
// break and servers that hang up, is worth another attempt; [ErrMaxConnections] after a minute.
//
// The statuses, of the server or of a proxy, are RFC 9110's: 4xx means no, since "the client
// seems to have erred", and so do the permanent redirects 301 and 308, for no redirect is
// followed. Another attempt may do better after 408 (Request Timeout), 421 (Misdirected
// Request), 425 (Too Early, RFC 8470), 429 (Too Many Requests, RFC 6585), all of 5xx, and
// what is neither a refusal nor a 101: temporary redirects, and a page in place of a
// WebSocket.
func Retryable(err error) bool {
	if err == nil {
		return false
	}
	for _, final := range []error{
		ErrAuthFailed, ErrNoKey, ErrNoMarket, ErrBadFeed, ErrBadHeader, ErrClosed, errors.ErrUnsupported,
		ErrRunning, ErrEnded, ErrReleased, ErrConsumers, context.Canceled,
	} {
		if errors.Is(err, final) {
			return false
		}
	}
	var panicked *PanicError
	if errors.As(err, &panicked) {
		return false
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return false
	}
	var option *OptionError
	if errors.As(err, &option) {
		return false
	}
	var proxy badProxy
	if errors.As(err, &proxy) {
		return false
	}
	var dial *DialError
	return !errors.As(err, &dial) || !meansNo(dial.Status)
}

// meansNo reports whether the same request would be answered by this HTTP status again.
func meansNo(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusPermanentRedirect:
		return true
	case http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status/100 == 4
}
