package tickstorm

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm/internal/redact"
)

// This file reads what a server or a proxy answers, but for its body. It stands on
// textproto, as http.ReadResponse does. That one refuses an answer whose body it cannot
// delimit, though nobody reads bodies here, and keeps nothing of one that breaks off, though
// its status decides whether to try again.

const (
	maxAnswer     = 64 << 10 // bytes of status lines and headers
	maxInterim    = 5        // interim answers
	maxRetryAfter = 5 * time.Minute
)

// answer is an HTTP response but for its body, of which nothing is read.
type answer struct {
	major, minor, status int
	header               http.Header // what there is of it, where the answer breaks off
}

// list returns the members of a header that is a list (RFC 9110, section 5.6.1), in one field
// line or in several.
func (a *answer) list(name string) (members []string) {
	for _, line := range a.header.Values(name) {
		for member := range strings.SplitSeq(line, ",") {
			if member = strings.Trim(member, " \t"); member != "" {
				members = append(members, member)
			}
		}
	}
	return members
}

// retryAfter returns for how long a 429 or a 503 asks to be left alone (RFC 9110, section
// 10.2.3; RFC 6585, section 4), 0 where it does not say.
func (a *answer) retryAfter() time.Duration {
	if a.status != http.StatusTooManyRequests && a.status != http.StatusServiceUnavailable {
		return 0
	}
	text := a.header.Get("Retry-After")
	seconds, err := strconv.ParseUint(text, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) { // then it is the largest there is
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(0, time.Until(at)), maxRetryAfter)
	}
	return 0
}

// refusal is an answer of another status than was asked for.
type refusal struct {
	status     int
	retryAfter time.Duration
	location   string // where it redirects to
	cut        error  // what kept it from coming whole, nil if nothing did
}

func (e *refusal) Error() string {
	text := strings.TrimSpace(fmt.Sprintf("HTTP %d %s", e.status, http.StatusText(e.status)))
	if e.location != "" {
		text += fmt.Sprintf(", to %q, which is not followed", e.location)
	}
	if e.cut != nil {
		text += fmt.Sprintf(" (cut short: %v)", e.cut)
	}
	return text
}

func (e *refusal) Unwrap() error { return e.cut }

// answerReader reads answers within one bound.
type answerReader struct {
	br      *bufio.Reader
	left    int // bytes that may still come
	secrets redact.Secrets
}

func newAnswerReader(r io.Reader, secrets redact.Secrets) *answerReader {
	return &answerReader{bufio.NewReader(r), maxAnswer, secrets}
}

// ask sends a request and returns the answer, if its status is wanted; else the error is
// a [*refusal].
func (r *answerReader) ask(w io.Writer, req *http.Request, wanted func(status int) bool) (*answer, error) {
	var out bytes.Buffer
	if err := req.Write(&out); err != nil {
		return nil, err
	}
	_, writeErr := w.Write(out.Bytes())
	a, err := r.read() // whatever came of that: a server may refuse before it has read everything
	switch {
	case a != nil && !wanted(a.status):
		refused := &refusal{status: a.status, retryAfter: a.retryAfter(), cut: err}
		if a.status/100 == 3 {
			refused.location = r.quotable(redact.Address(r.secrets.String(a.header.Get("Location"))))
		}
		return nil, refused
	case writeErr != nil:
		return nil, writeErr
	case err != nil:
		return nil, err
	}
	return a, nil
}

// read returns the final answer. One that comes with an error broke off after its status.
func (r *answerReader) read() (*answer, error) {
	// A record of TLS, an alert most likely, may have no line to wait for.
	if first, _ := r.br.Peek(2); len(first) == 2 && (first[0] == 0x15 || first[0] == 0x16) && first[1] == 3 {
		return nil, fmt.Errorf("%w: the answer is TLS, so the URL should begin with wss:// (https:// of a proxy)", ErrHandshake)
	}
	for range 1 + maxInterim {
		line, err := r.line()
		a := parseStatus(string(line))
		switch {
		case a == nil && err != nil:
			return nil, err
		case a == nil:
			return nil, fmt.Errorf("%w: the answer is not HTTP: %q", ErrHandshake, r.quotable(string(line)))
		case err == nil:
			a.header, err = r.header()
		}
		// RFC 9110, section 15.2: "A client MUST be able to parse one or more 1xx responses
		// received prior to a final response, even if the client does not expect one." 101 is
		// final for who has asked for it.
		if a.status/100 != 1 || a.status == http.StatusSwitchingProtocols {
			return a, err
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: more than %d interim answers", ErrHandshake, maxInterim)
}

// parseStatus reads a status line (RFC 9112, section 4), whole or cut off behind the status.
// It returns nil for anything else.
func parseStatus(line string) *answer {
	version, rest, _ := strings.Cut(line, " ")
	major, minor, ok := http.ParseHTTPVersion(version)
	code, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	status, err := strconv.ParseUint(code, 10, 0)
	if !ok || err != nil || len(code) != 3 || status < 100 {
		return nil
	}
	return &answer{major: major, minor: minor, status: int(status)}
}

// header reads headers and the empty line behind them. With an error come the headers before
// it: a line that is cut off says nothing.
func (r *answerReader) header() (http.Header, error) {
	var head []byte
	var cut error
	for {
		line, err := r.line()
		if err != nil {
			cut, line = err, []byte("\r\n")
		}
		if head = append(head, line...); len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
	}
	header, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(head))).ReadMIMEHeader()
	if cut == nil && err != nil {
		cut = fmt.Errorf("%w: malformed header", ErrHandshake) // err quotes it, whatever its length
	}
	return http.Header(header), cut
}

// line reads a line with its end. With an error comes what there is of it.
func (r *answerReader) line() (line []byte, err error) {
	for {
		part, err := r.br.ReadSlice('\n')
		if r.left -= len(part); r.left < 0 {
			return line, ErrAnswerTooLong
		}
		line = append(line, part...)
		switch {
		case err == io.EOF:
			return line, io.ErrUnexpectedEOF
		case err != bufio.ErrBufferFull: // then the line goes on
			return line, err
		}
	}
}

// quotable returns what a peer wrote as an error may show it.
func (r *answerReader) quotable(text string) string {
	const most = 200
	if text = r.secrets.String(strings.TrimSpace(text)); len(text) > most {
		text = text[:most] + "…"
	}
	return text
}
