package tickstorm

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/tickstorm/tickstorm/internal/redact"
)

// This file is the client's side of the opening handshake: RFC 6455, section 4.1.

// Errors of the opening handshake, within a [*DialError].
var (
	// ErrHandshake: what came back is not HTTP, or it accepts the handshake in a way that
	// RFC 6455, section 4.1, forbids.
	ErrHandshake = errors.New("handshake")
	// ErrProxy: a proxy, or the way to it, has failed.
	ErrProxy = errors.New("proxy")
	// ErrAnswerTooLong: the status line and headers that a server or a proxy answered, those
	// of interim answers included, are longer than 64 KiB.
	ErrAnswerTooLong = errors.New("answer to the handshake is longer than 64 KiB")
)

// ownHeaders are those that the handshake says itself or that speak of a body, beside
// Sec-WebSocket-*.
var ownHeaders = []string{"Connection", "Content-Length", "Host", "Trailer", "Transfer-Encoding", "Upgrade"}

// checkedHeader returns a copy of a Config.Header with its names in canonical form, in which
// net/http knows them.
func checkedHeader(h http.Header) (http.Header, error) {
	if h == nil {
		return nil, nil
	}
	checked := make(http.Header, len(h))
	for given, values := range h {
		name := textproto.CanonicalMIMEHeaderKey(given)
		switch {
		case name == "" || strings.ContainsFunc(name, notInToken):
			return nil, fmt.Errorf("%w: its name %q is none", ErrBadHeader, clip(given))
		case slices.Contains(ownHeaders, name) || strings.HasPrefix(name, "Sec-Websocket-"):
			return nil, fmt.Errorf("%w: %s is the handshake's own", ErrBadHeader, name)
		}
		for _, value := range values {
			if strings.ContainsFunc(value, unicode.IsControl) { // a tab would be legal, and is of no use
				return nil, fmt.Errorf("%w: %s has a control character", ErrBadHeader, name)
			}
		}
		checked[name] = append(checked[name], values...)
	}
	return checked, nil
}

// notInToken reports whether a character may not stand in a header's name: RFC 9110, section 5.6.2.
func notInToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
}

// handshake opens the WebSocket that u names. The bytes that came right behind the answer are
// in early. What an error quotes has the secrets redacted.
func handshake(nc net.Conn, u *url.URL, header http.Header, secrets redact.Secrets) (early []byte, err error) {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	key := base64.StdEncoding.EncodeToString(nonce)
	req := &http.Request{Method: http.MethodGet, URL: u, Host: strings.TrimSuffix(u.Host, ":"), Header: header.Clone()}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header.Set("User-Agent", "") // none
	}
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Sec-WebSocket-Key", key)
	req.Header.Set("Sec-WebSocket-Version", "13")
	r := newAnswerReader(nc, secrets)
	a, err := r.ask(nc, req, func(status int) bool { return status == http.StatusSwitchingProtocols })
	if err != nil {
		var refused *refusal
		switch bad := errors.As(err, &refused) && refused.status == http.StatusBadRequest; {
		case bad && u.RawQuery != "":
			return nil, fmt.Errorf("%w (a relay answers a query like this that makes no sense, or asks for what it does not keep)", err)
		case bad && u.Scheme == "ws":
			return nil, fmt.Errorf("%w (a port with TLS answers ws:// like this: perhaps the feed is wss://)", err)
		}
		return nil, err
	}
	if err := a.check(key); err != nil {
		return nil, err
	}
	early, _ = r.br.Peek(r.br.Buffered())
	return append([]byte(nil), early...), nil
}

// check is what RFC 6455, section 4.1, has the client validate in an answer of status 101.
// Any other status is handled "per HTTP procedures": see [answerReader.ask].
func (a *answer) check(key string) error {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	switch upgrade, accept := a.list("Upgrade"), a.header.Values("Sec-WebSocket-Accept"); {
	// "The method of the request MUST be GET, and the HTTP version MUST be at least 1.1": in
	// HTTP/1.0 there is no Upgrade (RFC 9110, section 7.8).
	case a.major != 1 || a.minor < 1:
		return fmt.Errorf("%w: 101 in HTTP/%d.%d", ErrHandshake, a.major, a.minor)
	// "If the response lacks an |Upgrade| header field or the |Upgrade| header field contains
	// a value that is not an ASCII case-insensitive match for the value "websocket", the
	// client MUST _Fail the WebSocket Connection_."
	case len(upgrade) != 1 || !strings.EqualFold(upgrade[0], "websocket"):
		return fmt.Errorf("%w: Upgrade is not websocket", ErrHandshake)
	// "If the response lacks a |Connection| header field or the |Connection| header field
	// doesn't contain a token that is an ASCII case-insensitive match for the value
	// "Upgrade", ..."
	case !slices.ContainsFunc(a.list("Connection"), func(t string) bool { return strings.EqualFold(t, "Upgrade") }):
		return fmt.Errorf("%w: Connection has no Upgrade", ErrHandshake)
	// "If the response lacks a |Sec-WebSocket-Accept| header field or the
	// |Sec-WebSocket-Accept| contains a value other than the base64-encoded SHA-1 of the
	// concatenation of the |Sec-WebSocket-Key| ... with the string "258EAFA5-..." but
	// ignoring any leading and trailing whitespace, ..." Section 11.3.3: it "MUST NOT appear
	// more than once in an HTTP response".
	case len(accept) != 1 || strings.TrimSpace(accept[0]) != base64.StdEncoding.EncodeToString(sum[:]):
		return fmt.Errorf("%w: Sec-WebSocket-Accept is not that of the key sent", ErrHandshake)
	// "If the response includes a |Sec-WebSocket-Extensions| header field and this header
	// field indicates the use of an extension that was not present in the client's
	// handshake ..., ..." None was.
	case len(a.list("Sec-WebSocket-Extensions")) > 0:
		return fmt.Errorf("%w: Sec-WebSocket-Extensions, and none was offered", ErrHandshake)
	// "If the response includes a |Sec-WebSocket-Protocol| header field and this header field
	// indicates the use of a subprotocol that was not present in the client's handshake ...,
	// ..." None was.
	case len(a.list("Sec-WebSocket-Protocol")) > 0:
		return fmt.Errorf("%w: Sec-WebSocket-Protocol, and none was offered", ErrHandshake)
	}
	return nil
}
