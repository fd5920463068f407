package tickstorm

import (
	"bytes"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"unicode"

	"github.com/tickstorm/tickstorm/internal/past"
	"github.com/tickstorm/tickstorm/internal/redact"
)

// StatusCode is what a status event means. The vendor tells several meanings apart
// by the message's text only. What the library half knows is reported, and costs nothing: no
// topic that is wanted, and no connection.
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
	// StatusSubscribed and StatusUnsubscribed acknowledge topics; see [Status.Topics].
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
	// StatusRefused is an error whose text the library does not know. It may be about the
	// request in flight, and is reported as such, but refuses no topic: what was asked for
	// stays wanted.
	StatusRefused
	// StatusBadRequest: the server could not read something that it was sent. It speaks of
	// no topic.
	StatusBadRequest
	statusCodes
)

var statusCodeNames = [statusCodes]string{
	"other", "connected", "auth success", "auth failed", "no plan", "auth timeout", "subscribed", "unsubscribed",
	"acknowledged", "not authorized", "subscription limit", "not real-time", "max connections", "refused", "bad request",
}

// String returns the code's name, such as "auth failed".
func (c StatusCode) String() string {
	if c < statusCodes {
		return statusCodeNames[c]
	}
	return statusCodeNames[StatusOther]
}

// Code returns what the status means. Case, spaces around and a full stop behind make no
// difference. Beside the words of the vendor's servers of today it knows those of older ones,
// which public mock servers have as well: success and "authenticated", error and
// "authentication failed", disconnected and a text about connections.
//
// Of a status that was received it is what the server meant, also where the API key, which
// is taken out of the texts, was one of its words.
func (s *Status) Code() StatusCode {
	if s.code != StatusOther {
		return s.code
	}
	var words [32]byte
	var texts [256]byte // what is known is said within this
	text := plain(texts[:0], s.Message)
	switch string(plain(words[:0], s.Status)) {
	case "connected":
		return StatusConnected
	case "auth_success":
		return StatusAuthSuccess
	case "auth_failed":
		if says(text, "plan doesn't include") {
			return StatusNoPlan
		}
		return StatusAuthFailed
	case "auth_timeout":
		return StatusAuthTimeout
	case "max_connections", "max_connection":
		return StatusMaxConnections
	case "disconnected":
		if says(text, "connections") || says(text, "connection") && (tooMuch(text) || says(text, "another")) {
			return StatusMaxConnections
		}
	case "success":
		return successCode(text, s.Message)
	case "error":
		return errorCode(text)
	}
	return StatusOther
}

// relayed reports whether a status is one that a relay says and the vendor has no word for, as package relay has
// them, and the level of what it means.
func relayed(status []byte) (level slog.Level, ok bool) {
	switch string(status) {
	case "upstream_connected", past.SnapshotBegin, past.SnapshotEnd, past.HistoryBegin, past.HistoryEnd:
		return slog.LevelInfo, true
	case "upstream_disconnected", "gap", "dropped", "pending", "withdrawn":
		return slog.LevelWarn, true
	}
	return slog.LevelInfo, false
}

// withdrawn returns the topic that a relay says it has taken back; ok is false of other statuses.
func withdrawn(s *Status) (t Topic, ok bool) {
	name, ok := bytes.CutPrefix(s.Message, []byte("withdrawn: "))
	if !ok || string(s.Status) != "withdrawn" {
		return Topic{}, false
	}
	t, err := ParseTopic(string(name))
	return t, err == nil
}

func successCode(text, message []byte) StatusCode {
	switch {
	case len(text) == 0 || string(text) == subscribed || string(text) == unsubscribed:
		return StatusAcknowledged
	case begins(text, "authenticated"):
		return StatusAuthSuccess
	case begins(text, "connected"):
		return StatusConnected
	}
	switch action, _ := acknowledgement(message); action {
	case subscribe:
		return StatusSubscribed
	case unsubscribe:
		return StatusUnsubscribed
	}
	return StatusOther
}

// errorCode is strict about what costs something: only a text that is known to refuse topics
// does, and only one that is known to end the connection does.
func errorCode(text []byte) StatusCode {
	switch {
	case begins(text, "not authorized"):
		return StatusNotAuthorized
	case begins(text, "subscription limit"), begins(text, "subscriptions limit"):
		return StatusSubscriptionLimit
	case says(text, "access real-time data"), says(text, "access to real-time data"):
		return StatusNotRealTime
	case begins(text, "authentication failed"), begins(text, "auth failed"):
		return StatusAuthFailed
	case says(text, "plan doesn't include websocket"):
		return StatusNoPlan
	case begins(text, "no authentication request"):
		return StatusAuthTimeout
	case begins(text, "invalid json"), begins(text, "invalid message"), begins(text, "invalid action"), begins(text, "unknown action"):
		return StatusBadRequest
	case says(text, "connection limit"), says(text, "max connection"), says(text, "maximum connection"),
		says(text, "connections") && tooMuch(text) && !says(text, "subscription"): // of which there can be too many as well
		return StatusMaxConnections
	}
	return StatusRefused
}

// tooMuch reports whether a text speaks of a limit.
func tooMuch(text []byte) bool {
	return says(text, "limit") || says(text, "max") || says(text, "exceed") || says(text, "too many")
}

func says(text []byte, words string) bool { return bytes.Contains(text, []byte(words)) }

func begins(text []byte, words string) bool { return bytes.HasPrefix(text, []byte(words)) }

// plain appends text to dst in lower case, with single spaces between its words and no full
// stop behind, as far as dst has room.
func plain(dst, text []byte) []byte {
	text = bare(text)
	for i, c := range text {
		switch {
		case len(dst) == cap(dst):
			return dst
		case isSpace(c):
			if isSpace(text[i-1]) {
				continue
			}
			c = ' '
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// bare returns a text without space around it and full stops behind.
func bare(text []byte) []byte {
	return bytes.TrimRightFunc(bytes.TrimSpace(text), func(r rune) bool { return r == '.' || unicode.IsSpace(r) })
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// The words that acknowledgements begin with.
const (
	subscribed   = "subscribed"
	unsubscribed = "unsubscribed"
)

// acknowledgement takes apart "subscribed to: T.AAPL,T.MSFT" and "unsubscribed from: T.AAPL",
// with "to", "from" and the colon or without. list is what is named; action is "" of other texts.
func acknowledgement(message []byte) (action string, list []byte) {
	message = bare(message) // a topic has no full stop behind
	if rest, ok := cutWord(message, subscribed); ok {
		action, list = subscribe, rest
	} else if rest, ok := cutWord(message, unsubscribed); ok {
		action, list = unsubscribe, rest
	} else {
		return "", nil
	}
	if rest, cut := cutWord(list, "to"); cut {
		list = rest
	} else if rest, cut := cutWord(list, "from"); cut {
		list = rest
	}
	list = bytes.TrimSpace(bytes.TrimPrefix(list, []byte(":")))
	if bytes.HasPrefix(list, []byte("[")) && bytes.HasSuffix(list, []byte("]")) {
		list = list[1 : len(list)-1]
	}
	return action, list
}

// cutWord takes a word in any case and the space behind it from a text's beginning.
func cutWord(text []byte, word string) (rest []byte, ok bool) {
	n := len(word)
	if len(text) < n || !bytes.EqualFold(text[:n], []byte(word)) || len(text) > n && text[n] != ':' && !isSpace(text[n]) {
		return text, false
	}
	return bytes.TrimLeft(text[n:], " \t\r\n"), true
}

// named yields what an acknowledgement's list names, topics or not. The texts are safe to keep.
func named(list []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for name := range strings.FieldsFuncSeq(string(list), func(r rune) bool { return r == ',' || r == ';' || unicode.IsSpace(r) }) {
			if !yield(strings.Trim(name, `"'`)) {
				return
			}
		}
	}
}

// Topics yields the topics that a StatusSubscribed or StatusUnsubscribed names, as the
// request spelled them: one by the vendor's servers of today, any number by others. What is
// no topic among them is left out, and other statuses have none. It is to be ranged over
// while the status is valid; the topics are safe to keep.
func (s *Status) Topics() iter.Seq[Topic] {
	return func(yield func(Topic) bool) {
		switch s.Code() {
		case StatusSubscribed, StatusUnsubscribed:
		default:
			return
		}
		_, list := acknowledgement(s.Message)
		for name := range named(list) {
			if t, err := ParseTopic(name); err == nil && !yield(t) {
				return
			}
		}
	}
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

// statusError keeps a lent status as an error, with secrets taken out of its text.
func statusError(s *Status, secrets redact.Secrets) *StatusError {
	return &StatusError{Code: s.Code(), Status: secrets.String(string(s.Status)), Message: secrets.String(string(s.Message))}
}

// redact takes secrets out of a status, for the sake of handlers that print it. What the
// status means stays what it was.
func (s *Status) redact(secrets redact.Secrets) {
	if !secrets.In(s.Raw) { // nor are they in the fields, then
		return
	}
	s.code = s.Code()
	s.Raw, s.Status, s.Message = secrets.Bytes(s.Raw), secrets.Bytes(s.Status), secrets.Bytes(s.Message)
}
