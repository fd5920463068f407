package tickstorm_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

// The opening handshake against servers written by hand. PROOF in an answer stands for the
// Sec-WebSocket-Accept of the key that came.

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: PROOF\r\n\r\n"

// answers reads a handshake and writes an answer, and what greets a key in the same piece
// where the answer is right.
func answers(nc net.Conn, answer string, right bool) {
	r, _, err := fixture.Accept(nc)
	if err != nil {
		return
	}
	out := []byte(strings.ReplaceAll(answer, "PROOF", fixture.AcceptOf(r)))
	if !right {
		_, _ = nc.Write(out)
		fixture.Swallow(nc)
		return
	}
	_, _ = nc.Write(append(out, fixture.Welcome()...))
	fixture.Attend(nc)
}

// evicts tells a key that there are too many connections.
func evicts(nc net.Conn) {
	if _, answer, err := fixture.Accept(nc); err == nil {
		_, _ = nc.Write(append(answer, fixture.Wire(false, true, ws.OpText, "["+fixture.Status("max_connections", "")+"]")...))
		fixture.Swallow(nc)
	}
}

// dialAnswered dials a server in memory that answers so.
func dialAnswered(t *testing.T, feed tickstorm.Feed, answer string, right bool) (*tickstorm.Conn, error) {
	t.Helper()
	cfg := fixture.DialConfig(feed)
	cfg.NetDial = pipeTo(func(nc net.Conn) { answers(nc, answer, right) })
	return tickstorm.Dial(t.Context(), cfg, nil)
}

func TestHandshakeRequest(t *testing.T) {
	keys := map[string]bool{}
	for range 8 {
		var sent string
		cfg := fixture.DialConfig("ws://host:8080")
		cfg.NetDial = pipeTo(func(nc net.Conn) {
			b := make([]byte, 4096)
			n, _ := nc.Read(b)
			sent = string(b[:n])
		})
		_, err := tickstorm.Dial(t.Context(), cfg, nil)
		require.Error(t, err)
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(sent)))
		require.NoError(t, err, "all of it in one write")
		require.True(t, strings.HasPrefix(sent, "GET /stocks HTTP/1.1\r\nHost: host:8080\r\n"), sent)
		require.Equal(t, "websocket", r.Header.Get("Upgrade"))
		require.Equal(t, "Upgrade", r.Header.Get("Connection"))
		require.Equal(t, "13", r.Header.Get("Sec-WebSocket-Version"))
		require.Len(t, r.Header, 4, "%v", r.Header)
		key := r.Header.Get("Sec-WebSocket-Key")
		nonce, err := base64.StdEncoding.DecodeString(key)
		require.NoError(t, err)
		require.Len(t, nonce, 16)
		keys[key] = true
	}
	require.Len(t, keys, 8, "each connection has a key of its own")
}

func TestHandshakeHost(t *testing.T) {
	for _, tc := range []struct{ feed, host, dialled string }{
		{"ws://host", "host", "host:80"},
		{"ws://host:", "host", "host:80"},
		{"ws://host:81", "host:81", "host:81"},
		{"ws://[::1]", "[::1]", "[::1]:80"},
		{"ws://[fe80::1%25eth0]", "[fe80::1]", "[fe80::1%eth0]:80"},
		{"ws://[fe80::1%25eth0]:81", "[fe80::1]:81", "[fe80::1%eth0]:81"},
	} {
		t.Run(tc.feed, func(t *testing.T) {
			var host, dialled string
			cfg := fixture.DialConfig(tickstorm.Feed(tc.feed))
			cfg.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				dialled = addr
				return pipeTo(func(nc net.Conn) {
					if r, answer, err := fixture.Accept(nc); err == nil {
						host = r.Host
						_, _ = nc.Write(append(answer, fixture.Welcome()...))
						fixture.Attend(nc)
					}
				})(ctx, network, addr)
			}
			conn, err := tickstorm.Dial(t.Context(), cfg, nil)
			require.NoError(t, err)
			require.NoError(t, conn.Close())
			require.Equal(t, tc.host, host)
			require.Equal(t, tc.dialled, dialled)
		})
	}
}

func TestHandshakeAnswer(t *testing.T) {
	with := func(old, replacement string) string {
		require.Contains(t, switching, old)
		return strings.Replace(switching, old, replacement, 1)
	}
	const upgrade, connection, accepts = "Upgrade: websocket\r\n", "Connection: Upgrade\r\n", "Sec-WebSocket-Accept: PROOF\r\n"
	const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n"
	for _, tc := range []struct {
		name   string
		answer string
		right  bool
	}{
		{"by the book", switching, true},
		{"list of tokens", with(connection, "Connection: keep-alive, Upgrade\r\n"), true},
		{"list in two headers", with(connection, "Connection: keep-alive\r\nConnection: upgrade\r\n"), true},
		{"list with holes", with(connection, "Connection: ,\tUPGRADE ,,\r\n"), true},
		{"names in lower case", strings.NewReplacer("Upgrade:", "upgrade:", "Connection:", "connection:", "Sec-WebSocket-Accept:", "sec-websocket-accept:").Replace(switching), true},
		{"names in upper case", strings.NewReplacer("Upgrade:", "UPGRADE:", "Connection:", "CONNECTION:", "Sec-WebSocket-Accept:", "SEC-WEBSOCKET-ACCEPT:").Replace(switching), true},
		{"values in another case", with("websocket", "WebSocket"), true},
		{"no reason", with("101 Switching Protocols", "101"), true},
		{"reason of the server's own", with("Switching Protocols", "Web Socket Protocol Handshake"), true},
		{"space around the accept", with(accepts, "Sec-WebSocket-Accept: \t PROOF \t\r\n"), true},
		{"empty protocol and extensions", with(upgrade, upgrade+"Sec-WebSocket-Protocol:\r\nSec-WebSocket-Extensions: \r\n"), true},
		{"a length, which means nothing", with(upgrade, upgrade+"Content-Length: 100000\r\n"), true},
		{"lengths that are none", with(upgrade, upgrade+"Content-Length: x\r\nContent-Length: y\r\nTransfer-Encoding: none\r\n"), true},
		{"interim answer", "HTTP/1.1 100 Continue\r\n\r\n" + switching, true},
		{"interim answers", strings.Repeat(hints, 5) + switching, true},
		{"interim answer of an unknown kind", "HTTP/1.1 199 Wait\r\nContent-Length: 5\r\n\r\n" + switching, true},

		{"too many interim answers", strings.Repeat(hints, 6) + switching, false},
		{"no upgrade", with(upgrade, ""), false},
		{"empty upgrade", with(upgrade, "Upgrade:\r\n"), false},
		{"another upgrade", with("websocket", "h2c"), false},
		{"two upgrades", with("websocket", "h2c, websocket"), false},
		{"upgrade in two headers", with(upgrade, upgrade+"Upgrade: h2c\r\n"), false},
		{"upgrade twice", with(upgrade, upgrade+upgrade), false},
		{"upgrade to something longer", with("websocket", "websocket2"), false},
		{"no connection", with(connection, ""), false},
		{"another connection", with(connection, "Connection: keep-alive\r\n"), false},
		{"connection that has it as a part", with(connection, "Connection: upgrades, xupgrade, Up grade\r\n"), false},
		{"no accept", with(accepts, ""), false},
		{"empty accept", with(accepts, "Sec-WebSocket-Accept:\r\n"), false},
		{"accept of another key", with(accepts, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), false},
		{"accept twice", with(accepts, accepts+accepts), false},
		{"two accepts, the first right", with(accepts, accepts+"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), false},
		{"accept in a list", with("PROOF", "PROOF, PROOF"), false},
		{"extension", with(upgrade, upgrade+"Sec-WebSocket-Extensions: permessage-deflate\r\n"), false},
		{"extension in a second header", with(upgrade, upgrade+"Sec-WebSocket-Extensions:\r\nsec-websocket-extensions: x\r\n"), false},
		{"protocol", with(upgrade, upgrade+"Sec-WebSocket-Protocol: chat\r\n"), false},
		{"HTTP/1.0", with("HTTP/1.1", "HTTP/1.0"), false},
		{"HTTP/2", with("HTTP/1.1", "HTTP/2.0"), false},
		{"header without a colon", with(upgrade, upgrade+"nonsense\r\n"), false},
		{"space before the colon", with("Upgrade: ", "Upgrade : "), false},
		{"control character", with(upgrade, upgrade+"X: a\x00b\r\n"), false},
		{"continuation of nothing", with(upgrade, " "+upgrade), false},
		{"empty line first", "\r\n" + switching, false},
		{"status of two digits", with("101", "10"), false},
		{"status of four digits", with("101", "1010"), false},
		{"status below all", with("101", "099"), false},
		{"signed status", with("101", "+01"), false},
		{"another protocol", "220 mail is ready\r\n\r\n", false},
		{"another protocol that waits", "SSH-2.0-OpenSSH_9.9\r\n", false},
		{"the key", fixture.Key + " " + fixture.Key + "\r\n\r\n", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				conn, err := dialAnswered(t, "ws://host", tc.answer, tc.right)
				require.Zero(t, time.Since(start))
				if tc.right {
					require.NoError(t, err)
					require.EqualValues(t, len(fixture.Welcome()), conn.Stats().Received)
					require.NoError(t, conn.Close())
					return
				}
				require.ErrorIs(t, err, tickstorm.ErrHandshake)
				var e *tickstorm.DialError
				require.ErrorAs(t, err, &e)
				require.Zero(t, e.Status)
				require.True(t, tickstorm.Retryable(err))
				require.NotContains(t, err.Error(), fixture.Key)
				require.Less(t, len(err.Error()), 400)
			})
		})
	}
}

// TestHandshakeRefused: the status and the Retry-After count, however the rest looks, and
// nobody waits for a body.
func TestHandshakeRefused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer string
		hangUp bool // behind it
		status int
		after  time.Duration
		retry  bool
	}{
		{"HTTP/1.0", "HTTP/1.0 404 Not Found\r\n\r\n", false, 404, 0, false},
		{"HTTP/1.0 for later", "HTTP/1.0 503 Service Unavailable\r\nRetry-After: 7\r\n\r\n", false, 503, 7 * time.Second, true},
		{"another version", "HTTP/3.0 429 Slow Down\r\nRetry-After: 7\r\n\r\n", false, 429, 7 * time.Second, true},
		{"without a reason", "HTTP/1.1 403\r\n\r\n", false, 403, 0, false},
		{"lines without CR", "HTTP/1.1 503 X\nRetry-After: 7\n\n", false, 503, 7 * time.Second, true},
		{"body that never comes", "HTTP/1.1 403 Forbidden\r\nContent-Length: 1000\r\n\r\n", false, 403, 0, false},
		{"body in chunks that never comes", "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n", false, 403, 0, false},
		{"body without end", "HTTP/1.1 429 X\r\nRetry-After: 7\r\n\r\n" + strings.Repeat("x", 100_000), false, 429, 7 * time.Second, true},
		{"two lengths", "HTTP/1.1 503 X\r\nContent-Length: 1\r\nContent-Length: 2\r\nRetry-After: 7\r\n\r\n", false, 503, 7 * time.Second, true},
		{"length that is none", "HTTP/1.1 404 X\r\nContent-Length: much\r\n\r\n", false, 404, 0, false},
		{"encoding that is none", "HTTP/1.1 503 X\r\nTransfer-Encoding: identity\r\nRetry-After: 7\r\n\r\n", false, 503, 7 * time.Second, true},
		{"malformed header", "HTTP/1.1 503 X\r\nRetry-After: 7\r\nnonsense\r\n\r\n", false, 503, 7 * time.Second, true},
		{"interim answers first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\nHTTP/1.1 503 X\r\nRetry-After: 7\r\n\r\n", false, 503, 7 * time.Second, true},
		{"cut in the headers", "HTTP/1.1 503 X\r\nRetry-After: 7\r\nServer: ngi", true, 503, 7 * time.Second, true},
		{"cut in the Retry-After", "HTTP/1.1 503 X\r\nRetry-After: 7", true, 503, 0, true},
		{"cut behind the status line", "HTTP/1.1 404 X\r\n", true, 404, 0, false},
		{"cut in the status line", "HTTP/1.1 404 Not Fo", true, 404, 0, false},
		{"cut in the status", "HTTP/1.1 40", true, 0, 0, true},
		{"cut in an interim answer", "HTTP/1.1 103 Early Hints\r\nLink: x", true, 0, 0, true},
		{"cut in a 101", strings.TrimSuffix(switching, "\r\n"), true, 0, 0, true},
		{"nothing", "", true, 0, 0, true},
		{"a page", "HTTP/1.1 200 OK\r\n\r\n<html>", false, 200, 0, true},
		{"another version of WebSocket", "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\n\r\n", false, 426, 0, false},
		{"a status of no class", "HTTP/1.1 999 Request Denied\r\n\r\n", false, 999, 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := fixture.DialConfig("ws://host")
				cfg.NetDial = pipeTo(func(nc net.Conn) {
					if tc.hangUp {
						_, _, _ = fixture.Accept(nc)
						_, _ = io.WriteString(nc, tc.answer)
						return
					}
					answers(nc, tc.answer, false)
				})
				start := time.Now()
				_, err := tickstorm.Dial(t.Context(), cfg, nil)
				require.Zero(t, time.Since(start))
				var e *tickstorm.DialError
				require.ErrorAs(t, err, &e)
				require.Equal(t, tc.status, e.Status)
				require.Equal(t, tc.after, e.RetryAfter)
				require.Equal(t, tc.retry, tickstorm.Retryable(err))
				require.False(t, errors.Is(err, io.EOF), "an answer that is not whole is no orderly end")
				if tc.hangUp {
					require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				}
				if tc.status != 0 {
					require.ErrorContains(t, err, fmt.Sprint("HTTP ", tc.status))
				}
			})
		})
	}
}

// TestHandshakeStops: what a server does not finish ends with DialTimeout, and what it has
// said is kept.
func TestHandshakeStops(t *testing.T) {
	for _, tc := range []struct {
		name, answer string
		status       int
		after        time.Duration
	}{
		{"in the status line", "HTTP/1.1 503 Service", 503, 0},
		{"behind the status line", "HTTP/1.1 503 Service Unavailable\r\n", 503, 0},
		{"in the headers", "HTTP/1.1 503 X\r\nRetry-After: 100\r\nServer: n", 503, 100 * time.Second},
		{"in a 101", "HTTP/1.1 101 X\r\nUpgrade: websocket\r\n", 0, 0},
	} {
		for _, slowly := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, slowly %v", tc.name, slowly), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := fixture.DialConfig("ws://host")
					cfg.DialTimeout = 90 * time.Second
					cfg.NetDial = pipeTo(func(nc net.Conn) {
						_, _, _ = fixture.Accept(nc)
						if slowly {
							for i := range tc.answer {
								time.Sleep(time.Second)
								_, _ = nc.Write([]byte{tc.answer[i]})
							}
						} else {
							_, _ = io.WriteString(nc, tc.answer)
						}
						fixture.Swallow(nc)
					})
					start := time.Now()
					_, err := tickstorm.Dial(t.Context(), cfg, nil)
					require.Equal(t, cfg.DialTimeout, time.Since(start))
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.ErrorContains(t, err, "1m30s")
					var e *tickstorm.DialError
					require.ErrorAs(t, err, &e)
					if tc.status != 0 {
						require.Equal(t, tc.status, e.Status)
						require.Equal(t, tc.after, e.RetryAfter)
					}
					require.True(t, tickstorm.Retryable(err))
				})
			})
		}
	}
}

// flood answers a request with a beginning and then with the same piece over and over, until
// nobody reads any more or far more has come than anybody should take.
func flood(nc net.Conn, begin, piece string) {
	if _, _, err := fixture.Accept(nc); err != nil {
		return
	}
	_, _ = io.WriteString(nc, begin)
	pieces := []byte(strings.Repeat(piece, 1+(16<<10)/len(piece)))
	for sent := 0; sent < 64<<20; sent += len(pieces) {
		if _, err := nc.Write(pieces); err != nil {
			return
		}
	}
}

// TestHandshakeFloods: an answer costs a bounded amount of memory, from a server and from a
// proxy alike.
func TestHandshakeFloods(t *testing.T) {
	for _, tc := range []struct {
		name, begin, piece string
		is                 error
		status             int
	}{
		{"no line at all", "", "x", tickstorm.ErrAnswerTooLong, 0},
		{"status line", "HTTP/1.1 101 ", "S", tickstorm.ErrAnswerTooLong, 0},
		{"header line", "HTTP/1.1 101 S\r\nX: ", "x", tickstorm.ErrAnswerTooLong, 0},
		{"name of a header", "HTTP/1.1 101 S\r\n", "X", tickstorm.ErrAnswerTooLong, 0},
		{"continued header", "HTTP/1.1 101 S\r\nX: x\r\n", "  x\r\n", tickstorm.ErrAnswerTooLong, 0},
		{"headers", "HTTP/1.1 101 S\r\n", "X: x\r\n", tickstorm.ErrAnswerTooLong, 0},
		{"empty headers", "HTTP/1.1 101 S\r\n", "X:\n", tickstorm.ErrAnswerTooLong, 0},
		{"status line of a refusal", "HTTP/1.1 503 ", "S", tickstorm.ErrAnswerTooLong, 503},
		{"headers of a refusal", "HTTP/1.1 429 S\r\n", "X: x\r\n", tickstorm.ErrAnswerTooLong, 429},
		{"header line of a refusal by HTTP/1.0", "HTTP/1.0 404 S\r\nX: ", "x", tickstorm.ErrAnswerTooLong, 404},
		{"header line of an interim answer", "HTTP/1.1 103 S\r\nX: ", "x", tickstorm.ErrAnswerTooLong, 0},
		{"interim answers together", "", "HTTP/1.1 103 S\r\nX: " + strings.Repeat("x", 20_000) + "\r\n\r\n", tickstorm.ErrAnswerTooLong, 0},
		{"interim answers", "", "HTTP/1.1 103 S\r\n\r\n", tickstorm.ErrHandshake, 0},
		{"bytes of zero", "", "\x00", tickstorm.ErrAnswerTooLong, 0},
		{"empty lines", "", "\r\n", tickstorm.ErrHandshake, 0},
	} {
		for _, proxy := range []string{"", "http://proxy"} {
			t.Run(tc.name+proxy, func(t *testing.T) {
				cfg := fixture.DialConfig("ws://host")
				if proxy != "" {
					cfg.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy) }
				}
				begin := tc.begin
				if proxy != "" {
					begin = strings.Replace(begin, "101", "200", 1)
				}
				cfg.NetDial = pipeTo(func(nc net.Conn) { flood(nc, begin, tc.piece) })
				var err error
				require.Less(t, allocated(func() { _, err = tickstorm.Dial(t.Context(), cfg, nil) }), uint64(8<<20))
				require.ErrorIs(t, err, tc.is)
				require.Equal(t, proxy != "", errors.Is(err, tickstorm.ErrProxy))
				var e *tickstorm.DialError
				require.ErrorAs(t, err, &e)
				require.Equal(t, tc.status, e.Status)
				require.Less(t, len(err.Error()), 400)
			})
		}
	}
}

// TestHandshakeLongest: the bound is 64 KiB and no byte less.
func TestHandshakeLongest(t *testing.T) {
	for _, tc := range []struct {
		name  string
		first string
		over  int
	}{{"as long as may be", "", 0}, {"a byte more", "", 1}, {"with an interim answer", "HTTP/1.1 100 Continue\r\n\r\n", 0}, {"a byte more with an interim answer", "HTTP/1.1 100 Continue\r\n\r\n", 1}} {
		t.Run(tc.name, func(t *testing.T) {
			const proof = 28 // the length of what stands for PROOF
			pad := 64<<10 + tc.over - len(tc.first) - len(switching) - proof + len("PROOF") - len("X: \r\n")
			answer := tc.first + strings.Replace(switching, "\r\n", "\r\nX: "+strings.Repeat("x", pad)+"\r\n", 1)
			feed := fixture.Listen(t, func(nc net.Conn) { answers(nc, answer, true) })
			conn, err := tickstorm.Dial(t.Context(), fixture.DialConfig(feed), nil)
			if tc.over > 0 {
				require.ErrorIs(t, err, tickstorm.ErrAnswerTooLong)
				return
			}
			require.NoError(t, err)
			require.EqualValues(t, len(fixture.Welcome()), conn.Stats().Received, "what stands behind the answer is the stream's")
			require.NoError(t, conn.Close())
		})
	}
}

// TestHandshakeRedirect: the error says where to, and the key stays out of it.
func TestHandshakeRedirect(t *testing.T) {
	const key = "a/key&more"
	for _, tc := range []struct {
		name     string
		status   int
		location string
		says     string
		retry    bool
	}{
		{"for good", 301, "https://elsewhere/stocks", `"https://elsewhere/stocks"`, false},
		{"for good, the method kept", 308, "/v2/stocks", `"/v2/stocks"`, false},
		{"for now", 302, "https://elsewhere/stocks", `"https://elsewhere/stocks"`, true},
		{"for now, the method kept", 307, "https://elsewhere/stocks", `"https://elsewhere/stocks"`, true},
		{"nowhere", 307, "", "HTTP 307 Temporary Redirect", true},
		{"the key", 302, "https://e/?apiKey=" + key, `"https://e/?apiKey=[redacted]"`, true},
		{"the key in a query", 302, "https://e/?apiKey=" + url.QueryEscape(key), `"https://e/?apiKey=[redacted]"`, true},
		{"the key in a path", 302, "https://e/" + url.PathEscape(key), `"https://e/[redacted]"`, true},
		{"the key at the end of what is shown", 302, "https://e/" + strings.Repeat("x", 185) + key, "[re", true},
		{"without end", 302, "https://e/" + strings.Repeat("x", 60_000), "…", true},
		{"terminal codes", 302, "https://e/\u009b31m", `"https://e/\u009b31m"`, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := fixture.DialConfig("ws://host")
			cfg.Key = key
			dials := 0
			cfg.NetDial = pipeTo(func(nc net.Conn) {
				dials++
				answers(nc, fmt.Sprintf("HTTP/1.1 %d X\r\nLocation: %s\r\n\r\n", tc.status, tc.location), false)
			})
			_, err := tickstorm.Dial(t.Context(), cfg, nil)
			var e *tickstorm.DialError
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.status, e.Status)
			require.ErrorContains(t, err, tc.says)
			require.Equal(t, tc.retry, tickstorm.Retryable(err))
			require.Less(t, len(err.Error()), 400)
			require.NotContains(t, err.Error(), "a/key")
			require.NotContains(t, err.Error(), "a%2Fkey")
			require.Equal(t, 1, dials)
		})
	}
}

// TestHandshakeHeaders: what a user adds can neither break the handshake nor say it twice.
func TestHandshakeHeaders(t *testing.T) {
	for _, tc := range []struct {
		name   string
		header http.Header
		sent   http.Header // nil where it is refused
	}{
		{"none", http.Header{}, http.Header{}},
		{"any", http.Header{"X-A": {"1", "2"}, "Origin": {"https://me"}}, http.Header{"X-A": {"1", "2"}, "Origin": {"https://me"}}},
		{"lower case", http.Header{"user-agent": {"me"}, "x-a": {"1"}}, http.Header{"User-Agent": {"me"}, "X-A": {"1"}}},
		{"empty value", http.Header{"X-A": {""}}, http.Header{"X-A": {""}}},
		{"no value", http.Header{"X-A": nil}, http.Header{}},
		{"host", http.Header{"Host": {"elsewhere"}}, nil},
		{"host in lower case", http.Header{"host": {"elsewhere"}}, nil},
		{"connection", http.Header{"Connection": {"close"}}, nil},
		{"upgrade", http.Header{"upgrade": {"h2c"}}, nil},
		{"key", http.Header{"Sec-WebSocket-Key": {"x"}}, nil},
		{"version", http.Header{"Sec-Websocket-Version": {"8"}}, nil},
		{"extensions", http.Header{"sec-websocket-extensions": {"permessage-deflate"}}, nil},
		{"protocol", http.Header{"Sec-WebSocket-Protocol": {"chat"}}, nil},
		{"length", http.Header{"Content-Length": {"5"}}, nil},
		{"encoding", http.Header{"transfer-encoding": {"chunked"}}, nil},
		{"trailer", http.Header{"Trailer": {"X"}}, nil},
		{"another header in a value", http.Header{"X-A": {"1\r\nHost: elsewhere"}}, nil},
		{"an end in a value", http.Header{"X-A": {"1\n\nGET / HTTP/1.1"}}, nil},
		{"another header in a name", http.Header{"X-A: 1\r\nHost": {"elsewhere"}}, nil},
		{"space in a name", http.Header{"X A": {"1"}}, nil},
		{"colon in a name", http.Header{"Host:": {"1"}}, nil},
		{"no name", http.Header{"": {"1"}}, nil},
		{"no letters", http.Header{"X-Ä": {"1"}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var request *http.Request
			cfg := fixture.DialConfig("ws://host")
			cfg.Header = tc.header
			cfg.NetDial = pipeTo(func(nc net.Conn) {
				if r, answer, err := fixture.Accept(nc); err == nil {
					request = r
					_, _ = nc.Write(append(answer, fixture.Welcome()...))
					fixture.Attend(nc)
				}
			})
			conn, err := tickstorm.Dial(t.Context(), cfg, nil)
			if tc.sent == nil {
				require.ErrorIs(t, err, tickstorm.ErrBadHeader)
				require.False(t, tickstorm.Retryable(err))
				require.NotContains(t, err.Error(), "elsewhere", "a value may be a secret")
				_, clientErr := tickstorm.NewClient(cfg, nil)
				require.Equal(t, err, clientErr)
				return
			}
			require.NoError(t, err)
			require.NoError(t, conn.Close())
			require.Equal(t, "host", request.Host)
			for _, own := range []string{"Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version"} {
				require.Len(t, request.Header[own], 1)
				delete(request.Header, own)
			}
			require.Equal(t, tc.sent, request.Header)
		})
	}
}

// certified returns what a TLS server in memory shows, for example.com, 127.0.0.1 and ::1,
// and what trusts it.
func certified(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return &tls.Config{Certificates: s.TLS.Certificates}, trusting(s)
}

// TestHandshakeALPN: whatever a Config's NextProtos were made for, HTTP/1.1 is agreed on.
func TestHandshakeALPN(t *testing.T) {
	shown, trusted := certified(t)
	for _, theirs := range [][]string{nil, {"h2", "http/1.1"}, {"http/1.1"}, {"h2"}} {
		for _, ours := range [][]string{nil, {"h2", "http/1.1"}, {"h2"}, {"http/1.1"}, {"x"}} {
			t.Run(fmt.Sprint(theirs, ours), func(t *testing.T) {
				var agreed string
				cfg := fixture.DialConfig("wss://example.com")
				cfg.TLS = trusted.Clone()
				cfg.TLS.NextProtos = ours
				cfg.NetDial = pipeTo(func(nc net.Conn) {
					c := shown.Clone()
					c.NextProtos = theirs
					s := tls.Server(nc, c)
					if s.Handshake() != nil {
						return
					}
					if agreed = s.ConnectionState().NegotiatedProtocol; agreed != "h2" {
						answers(s, switching, true)
					}
				})
				conn, err := tickstorm.Dial(t.Context(), cfg, nil)
				require.NoError(t, err)
				require.NoError(t, conn.Close())
				require.NotEqual(t, "h2", agreed)
				require.Equal(t, ours, cfg.TLS.NextProtos, "the caller's configuration is not written to")
			})
		}
	}
}

// TestHandshakeTLSName: the zone of an address is no part of the name that is verified.
func TestHandshakeTLSName(t *testing.T) {
	shown, trusted := certified(t)
	for feed, good := range map[tickstorm.Feed]bool{
		"wss://[::1%25lo]:99": true, "wss://[::1%25eth0]": true, "wss://[::1]": true, "wss://127.0.0.1:99": true,
		"wss://example.com": true, "wss://[::2%25lo]": false,
	} {
		t.Run(string(feed), func(t *testing.T) {
			cfg := fixture.DialConfig(feed)
			cfg.TLS = trusted
			cfg.NetDial = pipeTo(func(nc net.Conn) { answers(tls.Server(nc, shown), switching, true) })
			conn, err := tickstorm.Dial(t.Context(), cfg, nil)
			if !good {
				var certificate *tls.CertificateVerificationError
				require.ErrorAs(t, err, &certificate)
				return
			}
			require.NoError(t, err)
			require.NoError(t, conn.Close())
		})
	}
}

// TestHandshakeWrongPort: the error says what is wrong with the URL.
func TestHandshakeWrongPort(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	for _, tc := range []struct {
		name    string
		feed    tickstorm.Feed
		netDial func(context.Context, string, string) (net.Conn, error)
		says    string
		status  int
	}{
		{"ws to net/http with TLS", tickstorm.Feed("ws://" + secure.Listener.Addr().String()), nil, "wss://", 400},
		{"a query that a relay refuses", "ws://host?since=yesterday", pipeTo(func(nc net.Conn) {
			_, _, _ = fixture.Accept(nc)
			_, _ = io.WriteString(nc, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}), "query", 400},
		{"ws to an alert", "ws://host", pipeTo(func(nc net.Conn) {
			_, _, _ = fixture.Accept(nc)
			_, _ = nc.Write([]byte{0x15, 3, 1, 0, 2, 2, 70})
		}), "wss://", 0},
		{"ws to an alert that is all", "ws://host", pipeTo(func(nc net.Conn) {
			_, _, _ = fixture.Accept(nc)
			_, _ = nc.Write([]byte{0x15, 3, 3, 0, 2, 2, 40})
			fixture.Swallow(nc)
		}), "wss://", 0},
		{"wss to HTTP", "wss://host", pipeTo(func(nc net.Conn) {
			go fixture.Swallow(nc)
			_, _ = io.WriteString(nc, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}), "ws://", 0},
		{"wss to another protocol", "wss://host", pipeTo(func(nc net.Conn) {
			go fixture.Swallow(nc)
			_, _ = io.WriteString(nc, "220 mail is ready\r\n")
		}), "ws://", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := fixture.DialConfig(tc.feed)
			cfg.NetDial = tc.netDial
			_, err := tickstorm.Dial(t.Context(), cfg, nil)
			require.ErrorContains(t, err, tc.says)
			var e *tickstorm.DialError
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.status, e.Status)
			require.Equal(t, tc.status == 0, tickstorm.Retryable(err))
		})
	}
}

// unbroken is a connection that knows no deadlines, as one through another program's.
type unbroken struct{ net.Conn }

func (unbroken) SetDeadline(time.Time) error      { return errors.ErrUnsupported }
func (unbroken) SetReadDeadline(time.Time) error  { return errors.ErrUnsupported }
func (unbroken) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

// TestHandshakeBroken off by its context, at once, whatever the connection can.
func TestHandshakeBrokenOff(t *testing.T) {
	shown, trusted := certified(t)
	for _, tc := range []struct {
		name  string
		feed  tickstorm.Feed
		proxy string
		serve func(net.Conn)
	}{
		{"request", "ws://example.com", "", nil},
		{"answer", "ws://example.com", "", fixture.Swallow},
		{"half an answer", "ws://example.com", "", func(nc net.Conn) { answers(nc, "HTTP/1.1 101 X\r\n", false) }},
		{"TLS", "wss://example.com", "", fixture.Swallow},
		{"answer over TLS", "wss://example.com", "", func(nc net.Conn) { fixture.Swallow(tls.Server(nc, shown)) }},
		{"request over TLS", "wss://example.com", "", func(nc net.Conn) { _ = tls.Server(nc, shown).Handshake() }},
		{"request to the proxy", "ws://example.com", "http://proxy", nil},
		{"answer of the proxy", "ws://example.com", "http://proxy", fixture.Swallow},
		{"TLS behind the proxy", "wss://example.com", "http://proxy", func(nc net.Conn) {
			_, _, _ = fixture.Accept(nc)
			_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\n")
			fixture.Swallow(nc)
		}},
	} {
		for _, cancelled := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, cancelled %v", tc.name, cancelled), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := fixture.DialConfig(tc.feed)
					cfg.TLS = trusted
					cfg.DialTimeout = 7 * time.Second
					if tc.proxy != "" {
						cfg.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(tc.proxy) }
					}
					cfg.NetDial = func(context.Context, string, string) (net.Conn, error) {
						client, server := net.Pipe()
						go func() {
							if tc.serve != nil {
								tc.serve(server)
							}
							// It stays open, and nobody reads.
						}()
						return unbroken{client}, nil
					}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					want, is := cfg.DialTimeout, context.DeadlineExceeded
					if cancelled {
						time.AfterFunc(time.Second, cancel)
						want, is = time.Second, context.Canceled
					}
					start := time.Now()
					_, err := tickstorm.Dial(ctx, cfg, nil)
					require.Equal(t, want, time.Since(start))
					require.ErrorIs(t, err, is)
					require.Equal(t, !cancelled, tickstorm.Retryable(err))
				})
			})
		}
	}
}

// TestHandshakeOver: once open, a connection owes nothing to the time or the context that it
// was opened within.
func TestHandshakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := fixture.DialConfig("ws://host")
		cfg.NetDial = pipeTo(func(nc net.Conn) { answers(nc, switching, true) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		conn, err := tickstorm.Dial(ctx, cfg, nil)
		require.NoError(t, err)
		running := fixture.Runs(t.Context(), conn)
		time.Sleep(10 * time.Minute)
		cancel()
		synctest.Wait()
		select {
		case err := <-running:
			require.Fail(t, "it ended", "%v", err)
		default:
		}
		require.NoError(t, conn.Close())
		require.NoError(t, <-running)
	})
}

// torn is a connection that cannot be written to any more, and has something to be read.
type torn struct {
	net.Conn
	answer io.Reader
}

func (torn) Write([]byte) (int, error)         { return 0, syscall.EPIPE }
func (c torn) Read(p []byte) (int, error)      { return c.answer.Read(p) }
func (torn) Close() error                      { return nil }
func (torn) SetDeadline(time.Time) error       { return nil }
func (torn) SetReadDeadline(t time.Time) error { return nil }

// TestHandshakeRefusedEarly: who has been refused before everything was written is told the
// refusal, not that nobody reads.
func TestHandshakeRefusedEarly(t *testing.T) {
	for _, tc := range []struct {
		answer string
		status int
	}{{"HTTP/1.1 431 Too Large\r\n\r\n", 431}, {"HTTP/1.1 503 X\r\nServ", 503}, {"", 0}, {switching, 0}} {
		t.Run(fmt.Sprint(tc.status, len(tc.answer)), func(t *testing.T) {
			cfg := fixture.DialConfig("ws://host")
			cfg.NetDial = func(context.Context, string, string) (net.Conn, error) {
				return torn{answer: strings.NewReader(tc.answer)}, nil
			}
			_, err := tickstorm.Dial(t.Context(), cfg, nil)
			var e *tickstorm.DialError
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.status, e.Status)
			require.Equal(t, tc.status == 0, errors.Is(err, syscall.EPIPE))
		})
	}
}

// TestHandshakeNothingDialled: a NetDial that is wrong is no panic.
func TestHandshakeNothingDialled(t *testing.T) {
	cfg := fixture.DialConfig("ws://host")
	cfg.NetDial = func(context.Context, string, string) (net.Conn, error) { return nil, nil }
	_, err := tickstorm.Dial(t.Context(), cfg, nil)
	require.ErrorContains(t, err, "NetDial")
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
