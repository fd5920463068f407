package tickstorm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

func TestSessionSendsKeyAtOnce(t *testing.T) {
	for _, key := range []string{"plain", `quo"te`, `back\slash`, "tab\tnew\nline", "ключ 🗝"} {
		t.Run(key, func(t *testing.T) {
			cfg := testConfig()
			cfg.Key = key
			// Neither time nor a byte of the server's has come.
			s, err := tickstorm.NewSession(cfg, nil)
			require.NoError(t, err)
			out := bytes.NewReader(s.Outgoing())
			h, err := ws.ReadHeader(out)
			require.NoError(t, err)
			require.True(t, h.Masked)
			require.EqualValues(t, out.Len(), h.Length, "one frame and no more")

			p := newPeer(t, cfg, nil)
			heard := p.requests()
			require.Len(t, heard, 1)
			var r map[string]string
			require.NoError(t, json.Unmarshal([]byte(heard[0]), &r))
			require.Equal(t, map[string]string{"action": "auth", "params": key}, r)
			require.Equal(t, tickstorm.Authenticating, p.s.State())
		})
	}
}

func TestSessionRandFails(t *testing.T) {
	cfg := testConfig()
	cfg.Rand = strings.NewReader("four") // enough for one mask
	p := newPeer(t, cfg, nil)
	require.NoError(t, p.s.Err())
	_, err := tickstorm.NewSession(cfg, nil)
	require.ErrorIs(t, err, io.EOF, "a key that cannot be masked must not be sent")

	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.A")...))
	require.ErrorIs(t, p.say(fixture.Status("auth_success", "")), io.EOF)
	require.Equal(t, tickstorm.Ended, p.s.State())
}

func TestSessionGreeting(t *testing.T) {
	const (
		hello   = `{"ev":"status","status":"connected","message":"Connected Successfully"}`
		success = `{"ev":"status","status":"auth_success","message":"authenticated"}`
	)
	for _, tc := range []struct {
		name     string
		messages []string
		statuses int
	}{
		{"before the answer", []string{"[" + hello + "]", "[" + success + "]"}, 2},
		{"never", []string{"[" + success + "]"}, 1},
		{"late", []string{"[" + success + "]", "[" + hello + "]"}, 2},
		{"in one message", []string{"[" + hello + "," + success + "]"}, 2},
		{"bare object", []string{hello, success}, 2},
		{"spaces of 2020", []string{`[{ "ev" : "status", "status" : "auth_success" } ]`}, 1},
		{"no message", []string{`[{"ev":"status","status":"auth_success"}]`}, 1},
		{"twice", []string{"[" + success + "," + success + "]"}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := new(fixture.Recorder)
			p := newPeer(t, testConfig(), r)
			for _, m := range tc.messages {
				require.NoError(t, p.s.Feed(fixture.Wire(false, true, ws.OpText, m)))
			}
			require.Equal(t, tickstorm.Ready, p.s.State())
			require.Len(t, r.Events, tc.statuses)
			require.Empty(t, r.Errors)
		})
	}
}

// TestSessionStatuses goes through everything that the vendor is known to say.
func TestSessionStatuses(t *testing.T) {
	identities := map[string]error{
		"auth": tickstorm.ErrAuthFailed, "plan": tickstorm.ErrNoPlan, "auth timeout": tickstorm.ErrAuthTimeout,
		"connections": tickstorm.ErrMaxConnections, "authorized": tickstorm.ErrNotAuthorized,
		"limit": tickstorm.ErrSubscriptionLimit, "real-time": tickstorm.ErrNotRealTime,
	}
	for _, tc := range []struct {
		status, message string
		code            tickstorm.StatusCode
		is              []string // the identities of Err; none if the session lives on
		retry           bool
	}{
		{"connected", "Connected Successfully", tickstorm.StatusConnected, nil, false},
		{"auth_failed", "authentication failed", tickstorm.StatusAuthFailed, []string{"auth"}, false},
		{"auth_failed", "", tickstorm.StatusAuthFailed, []string{"auth"}, false},
		{"auth_failed", "Your plan doesn't include websocket access. Visit https://massive.com/pricing to upgrade.",
			tickstorm.StatusNoPlan, []string{"auth", "plan"}, false},
		{"auth_timeout", "No authentication request received.", tickstorm.StatusAuthTimeout, []string{"auth timeout"}, true},
		{"max_connections", "Maximum number of connections exceeded.", tickstorm.StatusMaxConnections, []string{"connections"}, true},
		{"max_connections", "Maximum number of websocket connections exceeded. ", tickstorm.StatusMaxConnections, []string{"connections"}, true},
		{"max_connections", "Maximum number of websocket connections exceeded. You have reached the connection limit for your account. Please contact support at https://polygon.io/contact to increase your limit.",
			tickstorm.StatusMaxConnections, []string{"connections"}, true},
		{"success", "subscribed to: T.AAPL", tickstorm.StatusSubscribed, nil, false},
		{"success", "unsubscribed to: T.AAPL", tickstorm.StatusUnsubscribed, nil, false},
		{"success", "subscribed to: nothing", tickstorm.StatusSubscribed, nil, false},
		{"success", "authenticated", tickstorm.StatusAuthSuccess, nil, false},
		{"error", "authentication failed", tickstorm.StatusAuthFailed, []string{"auth"}, false},
		{"error", "Connection limit exceeded", tickstorm.StatusMaxConnections, []string{"connections"}, true},
		{"disconnected", "Maximum number of connections exceeded.", tickstorm.StatusMaxConnections, []string{"connections"}, true},
		{"error", "Invalid JSON", tickstorm.StatusBadRequest, nil, false},
		{"success", "subscribed", tickstorm.StatusAcknowledged, nil, false},
		{"success", "", tickstorm.StatusAcknowledged, nil, false},
		{"error", "not authorized", tickstorm.StatusNotAuthorized, nil, false},
		{"error", "Subscription limit reached for feed. Please remove some subscriptions and try again.", tickstorm.StatusSubscriptionLimit, nil, false},
		{"error", "You don't have access real-time data. If your plan only includes delayed data, you can connect to the delayed websocket at wss://delayed.polygon.io/stocks.",
			tickstorm.StatusNotRealTime, nil, false},
		{"error", "You don't have access real-time data. If you're already subscribed to a plan that includes real-time data, you may need to visit the dashboard to sign your agreements.",
			tickstorm.StatusNotRealTime, nil, false},
		{"error", "something new", tickstorm.StatusRefused, nil, false},
		{"disconnected", "", tickstorm.StatusOther, nil, false},
		{"", "", tickstorm.StatusOther, nil, false},
	} {
		t.Run(tc.status+" "+tc.message[:min(len(tc.message), 60)], func(t *testing.T) {
			r := new(fixture.Recorder)
			p := readyPeer(t, testConfig(), r)
			err := p.say(fixture.Status(tc.status, tc.message), fixture.Trade("AAPL"))
			require.Equal(t, err, p.s.Err())

			require.Len(t, r.Events, 4, "the handler sees every status, and what stands behind it")
			e, ok := r.Events[2].(*tickstorm.Status)
			require.True(t, ok)
			require.Equal(t, tc.code, e.Code())

			if tc.is == nil {
				require.NoError(t, err)
				require.Equal(t, tickstorm.Ready, p.s.State())
				require.Empty(t, p.requests())
				return
			}
			for name, identity := range identities {
				want := false
				for _, is := range tc.is {
					want = want || is == name
				}
				require.Equal(t, want, errors.Is(err, identity), name)
			}
			var se *tickstorm.StatusError
			require.ErrorAs(t, err, &se)
			require.Equal(t, tickstorm.StatusError{Code: tc.code, Status: tc.status, Message: tc.message}, *se)
			require.Equal(t, tc.retry, tickstorm.Retryable(err))
			require.Equal(t, tickstorm.Ended, p.s.State())
			require.Equal(t, []string{"close 1000"}, p.requests(), "a close frame frees the connection's slot")
			require.Equal(t, err, p.say(fixture.Trade("AAPL")), "an ended session takes nothing more")
			require.Len(t, r.Events, 4)
		})
	}
}

func TestSessionAuthFailedInsteadOfSuccess(t *testing.T) {
	p := newPeer(t, testConfig(), nil)
	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.A")...))
	p.requests()
	require.ErrorIs(t, p.say(fixture.Status("auth_failed", "authentication failed")), tickstorm.ErrAuthFailed)
	require.Equal(t, []string{"close 1000"}, p.requests(), "the request is not sent after all")
	require.ErrorIs(t, p.s.Request(nil, fixture.Topics(t, "T.A")...), tickstorm.ErrAuthFailed)
	require.ErrorIs(t, p.s.Disconnected(io.EOF), tickstorm.ErrAuthFailed, "the reason stands, whatever the socket does then")
}

func TestSessionRedactsKey(t *testing.T) {
	var log bytes.Buffer
	cfg := testConfig()
	cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p := readyPeer(t, cfg, nil)
	var o outcome
	require.NoError(t, p.s.Request(o.done, fixture.Topics(t, "T.A,T.B")...))
	require.NoError(t, p.say(fixture.Status("error", "not authorized for "+fixture.Key), fixture.Status(fixture.Key, "hello "+fixture.Key)))
	require.NoError(t, p.say(fixture.Status("success", "subscribed to: "+fixture.Key)))
	p.after(ackTimeout)
	require.NotContains(t, o.detail(t).Error(), fixture.Key)
	require.Contains(t, o.err.Error(), "not authorized for [redacted]")
	err := p.say(fixture.Status("max_connections", "the key "+fixture.Key+" is in use"))
	require.EqualError(t, err, "server says max_connections: the key [redacted] is in use")
	require.NotEmpty(t, log.String())
	require.NotContains(t, log.String(), fixture.Key)
}

// TestSessionKeyInServersWords: what the server says is understood before the key is taken
// out of it, whatever the key is; one that is too short to be any is left in it.
func TestSessionKeyInServersWords(t *testing.T) {
	for _, key := range []string{
		"T", "s", "u", ":", " ", "\"", "AAPL", "T.AAPL", "success", "auth_success", "status", "subscribed to: ", "subscribed to: T.AAPL",
		"redacted", "[redacted]", "e", "not authorized", "ev", "{",
	} {
		t.Run(key, func(t *testing.T) {
			var log bytes.Buffer
			cfg := testConfig()
			cfg.Key, cfg.Logger = key, slog.New(slog.NewTextHandler(&log, nil))
			var codes []tickstorm.StatusCode
			var seen []string
			p := readyPeer(t, cfg, &onStatus{do: func(s *tickstorm.Status) {
				codes = append(codes, s.Code(), s.Clone().Code())
				seen = append(seen, string(s.Status), string(s.Message), string(s.Raw))
			}})
			codes = nil
			var o outcome
			require.NoError(t, p.s.Request(o.done, fixture.Topics(t, "T.AAPL,Q.AAPL")...))
			require.NoError(t, p.say(fixture.Status("success", "subscribed to: T.AAPL"), fixture.Status("error", "not authorized")))
			require.Equal(t, "T.AAPL", fixture.Listed(o.detail(t).Acked))
			require.Equal(t, "Q.AAPL", fixture.Listed(o.detail(t).Refused))
			require.ErrorIs(t, o.err, tickstorm.ErrNotAuthorized)
			require.Equal(t, []tickstorm.StatusCode{
				tickstorm.StatusSubscribed, tickstorm.StatusSubscribed, tickstorm.StatusNotAuthorized, tickstorm.StatusNotAuthorized,
			}, codes, "the handler is told what was meant")
			for _, text := range seen {
				if len(key) >= 8 {
					require.NotContains(t, text, key)
				} else {
					require.NotContains(t, text, "[redacted]")
				}
			}
			if said := o.detail(t).Refusals[0]; len(key) >= 4 {
				require.NotContains(t, said.Status+said.Message, key)
			}
			err := p.say(fixture.Status("max_connections", "Maximum number of connections exceeded."))
			require.ErrorIs(t, err, tickstorm.ErrMaxConnections)
			require.NotEmpty(t, log.String())
		})
	}
}

// TestSessionRedactsEscapedKey: JSON can write a key in many ways.
func TestSessionRedactsEscapedKey(t *testing.T) {
	cfg := testConfig()
	cfg.Key = `tEst"kEy`
	for _, written := range []string{`tEst\"kEy`, `\u0074Est\u0022\u006BEy`} {
		h := new(texts)
		p := readyPeer(t, cfg, h)
		h.texts = nil
		require.NoError(t, p.say(`{"ev":"status","status":"error","message":"no `+written+`","more":"`+written+`"}`, `{"ev":"T","i":"`+written+`" x}`))
		require.NoError(t, p.s.Feed(fixture.Wire(false, true, ws.OpText, written)))
		require.Len(t, h.texts, 5)
		for _, text := range h.texts {
			require.NotContains(t, text, cfg.Key)
			require.NotContains(t, text, written)
		}
		for _, cause := range []tickstorm.ErrorCause{tickstorm.CauseSyntax, tickstorm.CauseNotArray} {
			require.Equal(t, "[redacted]", p.s.Stats().ErrorSamples[cause])
		}
		err := p.s.Feed(fixture.Wire(false, true, ws.OpClose, closeBody(1008, "no "+cfg.Key)))
		require.ErrorContains(t, err, "no [redacted]")
	}
}

// texts keeps what it is given to print.
type texts struct {
	tickstorm.NopHandler
	texts []string
}

func (h *texts) OnStatus(s *tickstorm.Status) {
	h.texts = append(h.texts, string(s.Status), string(s.Message), string(s.Raw))
}

func (h *texts) OnError(e *tickstorm.EventError) { h.texts = append(h.texts, e.Error()) }

func TestSessionDataBeforeAcknowledgement(t *testing.T) {
	r := new(fixture.Recorder)
	p := readyPeer(t, testConfig(), r)
	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.A")...))
	require.NoError(t, p.say(append([]string{fixture.Trade("A")}, fixture.Acks("T.A")...)...))
	require.Len(t, r.Events, 4)
	require.Equal(t, tickstorm.KindTrade, r.Events[2].Kind())
	require.Equal(t, began.UnixNano(), r.Events[2].Head().Received)
}

// TestSessionViolations: what the server must not send ends the session with the close
// code that RFC 6455 has for it.
func TestSessionViolations(t *testing.T) {
	for _, tc := range []struct {
		name  string
		bytes []byte
		code  ws.StatusCode
		is    error
	}{
		{"masked", fixture.Wire(true, true, ws.OpText, "[]"), 1002, ws.ErrProtocolMaskUnexpected},
		{"compressed", []byte{0xC1, 0}, 1002, ws.ErrProtocolNonZeroRsv},
		{"HTTP", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), 1002, nil},
		{"not UTF-8", fixture.Wire(false, true, ws.OpText, "[\"\xff\"]"), 1007, frame.ErrUTF8},
		{"too big", fixture.Wire(false, true, ws.OpText, "["+strings.Repeat(" ", 600)+"]"), 1009, frame.ErrTooBig},
		{"2^62 bytes", []byte{0x81, 127, 0x40, 0, 0, 0, 0, 0, 0, 0}, 1009, frame.ErrTooBig},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.Limits.Message = 512
			p := readyPeer(t, cfg, nil)
			err := p.s.Feed(tc.bytes)
			var closed *frame.CloseError
			require.ErrorAs(t, err, &closed)
			require.True(t, closed.Local)
			require.Equal(t, tc.code, closed.Code)
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
			require.True(t, tickstorm.Retryable(err))
			heard := p.requests()
			require.Len(t, heard, 1)
			code, _ := bytes.CutPrefix([]byte(heard[0]), []byte("close "))
			require.Equal(t, tc.code, closeCode(t, string(code)))
		})
	}
}

func closeCode(t *testing.T, text string) ws.StatusCode {
	t.Helper()
	var code ws.StatusCode
	digits, _, _ := strings.Cut(text, " ")
	require.NoError(t, json.Unmarshal([]byte(digits), &code))
	return code
}

// TestSessionBadMessages: a message that is none costs itself, and is handed over.
func TestSessionBadMessages(t *testing.T) {
	for _, tc := range []struct {
		name    string
		op      ws.OpCode
		message string
		is      error
	}{
		{"binary", ws.OpBinary, "\x00\x01\xff", tickstorm.ErrBinary},
		{"text", ws.OpText, "invalid symbol", tickstorm.ErrNotArray},
		{"empty", ws.OpText, "", tickstorm.ErrNotArray},
		{"truncated", ws.OpText, `[{"ev":"T","sym":"A"`, tickstorm.ErrTruncated},
		{"trailing", ws.OpText, `[]x`, tickstorm.ErrTrailing},
		{"broken element", ws.OpText, `[{"ev":T}]`, tickstorm.ErrSyntax},
		{"number", ws.OpText, `[1]`, tickstorm.ErrNotObject},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := new(fixture.Recorder)
			p := readyPeer(t, testConfig(), r)
			require.NoError(t, p.s.Feed(fixture.Wire(false, true, tc.op, tc.message)))
			require.Len(t, r.Errors, 1)
			require.ErrorIs(t, r.Errors[0], tc.is)
			require.Equal(t, tickstorm.Stocks, r.Errors[0].Market)
			require.Equal(t, began.UnixNano(), r.Errors[0].Received)
			require.EqualValues(t, 1, p.s.Stats().Errors)

			require.NoError(t, p.say(fixture.Trade("A")))
			require.Len(t, r.Events, 3, "the session lives on")
			require.Empty(t, p.requests())
		})
	}
}

func TestSessionPongs(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	require.NoError(t, p.s.Feed(fixture.Wire(false, true, ws.OpPing, "are you there")))
	require.Equal(t, []string{"pong are you there"}, p.requests())
}

func TestSessionClose(t *testing.T) {
	r := new(fixture.Recorder)
	p := readyPeer(t, testConfig(), r)
	var o outcome
	require.NoError(t, p.s.Request(o.done, fixture.Topics(t, "T.A")...))
	p.requests()
	p.s.Close()
	p.s.Close()
	require.Equal(t, tickstorm.Closing, p.s.State())
	require.Equal(t, []string{"close 1000"}, p.requests())
	require.ErrorIs(t, o.detail(t), tickstorm.ErrClosed)
	require.Equal(t, "T.A", fixture.Listed(o.detail(t).Pending))
	require.ErrorIs(t, p.s.Request(nil, fixture.Topics(t, "T.B")...), tickstorm.ErrClosed)

	require.NoError(t, p.say(fixture.Trade("A")))
	require.Len(t, r.Events, 3, "what was on its way is delivered")
	require.ErrorIs(t, p.answer(), tickstorm.ErrClosed)
	require.Equal(t, tickstorm.Ended, p.s.State())
	require.False(t, tickstorm.Retryable(p.s.Err()))
	require.Empty(t, p.requests())
	p.s.Close()
	require.ErrorIs(t, p.s.Err(), tickstorm.ErrClosed)
}

func TestSessionCloseBeforeAuth(t *testing.T) {
	p := newPeer(t, testConfig(), nil)
	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.A")...))
	p.s.Close()
	require.NoError(t, p.say(fixture.Status("auth_success", "")))
	require.Equal(t, tickstorm.Closing, p.s.State())
	heard := p.requests()
	require.Len(t, heard, 2, "the key and the close frame, and no request")
	require.Equal(t, "close 1000", heard[1])
	require.ErrorIs(t, p.answer(), tickstorm.ErrClosed)
}

func TestSessionEnds(t *testing.T) {
	closing := func(p *peer) { p.s.Close() }
	nothing := func(*peer) {}
	for _, tc := range []struct {
		name   string
		before func(*peer)
		end    func(*peer) error
		is     error
		retry  bool
	}{
		{"reset", nothing, func(p *peer) error { return p.s.Disconnected(io.ErrUnexpectedEOF) }, tickstorm.ErrDisconnected, true},
		{"reset, its cause", nothing, func(p *peer) error { return p.s.Disconnected(io.ErrUnexpectedEOF) }, io.ErrUnexpectedEOF, true},
		{"EOF while closing", closing, func(p *peer) error { return p.s.Disconnected(io.EOF) }, tickstorm.ErrClosed, false},
		{"close frame while closing", closing, func(p *peer) error {
			return p.s.Feed(fixture.Wire(false, true, ws.OpClose, closeBody(1001, "bye")))
		}, tickstorm.ErrClosed, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := readyPeer(t, testConfig(), nil)
			tc.before(p)
			err := tc.end(p)
			require.ErrorIs(t, err, tc.is)
			require.Equal(t, err, p.s.Err())
			require.Equal(t, tc.retry, tickstorm.Retryable(err))
			require.Equal(t, err, p.s.Disconnected(io.EOF), "it ends once")
		})
	}
}

func TestSessionServerCloses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		body   string
		code   ws.StatusCode
		reason string
		echo   string
	}{
		{"policy", closeBody(1008, "too many"), 1008, "too many", "close 1008"},
		{"normal", closeBody(1000, ""), 1000, "", "close 1000"},
		{"restart", closeBody(1012, ""), 1012, "", "close 1012"},
		{"no code", "", 1005, "", "close 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := readyPeer(t, testConfig(), nil)
			var o outcome
			require.NoError(t, p.s.Request(o.done, fixture.Topics(t, "T.A")...))
			p.requests()
			err := p.s.Feed(fixture.Wire(false, true, ws.OpClose, tc.body))
			var closed *frame.CloseError
			require.ErrorAs(t, err, &closed)
			require.Equal(t, frame.CloseError{Code: tc.code, Reason: tc.reason}, *closed)
			require.True(t, tickstorm.Retryable(err))
			require.Equal(t, []string{tc.echo}, p.requests())
			require.ErrorAs(t, o.detail(t), &closed)
		})
	}
}

func TestSessionSetHandler(t *testing.T) {
	first, second := new(fixture.Recorder), new(fixture.Recorder)
	p := readyPeer(t, testConfig(), first)
	first.Events = nil
	require.NoError(t, p.say(fixture.Trade("A")))
	p.s.SetHandler(second)
	require.NoError(t, p.say(fixture.Trade("B")))
	p.s.SetHandler(nil)
	require.NoError(t, p.say(fixture.Trade("C")))
	require.Len(t, first.Events, 1)
	require.Len(t, second.Events, 1)
	require.Equal(t, "B", second.Events[0].Head().Symbol)
	require.EqualValues(t, 3, p.s.Stats().Events[tickstorm.KindTrade])
}

// switcher hands over in the middle of a message.
type switcher struct {
	fixture.Recorder
	s    *tickstorm.Session
	next tickstorm.Handler
}

func (h *switcher) OnTrade(e *tickstorm.Trade) {
	h.Recorder.OnTrade(e)
	h.s.SetHandler(h.next)
}

func TestSessionSetHandlerInHandler(t *testing.T) {
	next := new(fixture.Recorder)
	h := &switcher{next: next}
	p := readyPeer(t, testConfig(), h)
	h.s = p.s
	h.Events = nil
	require.NoError(t, p.say(fixture.Trade("A"), fixture.Trade("B")))
	require.NoError(t, p.say(fixture.Trade("C")))
	require.Len(t, h.Events, 2, "the new handler takes over at the next message")
	require.Len(t, next.Events, 1)
}

// rawOnly takes messages as bytes.
type rawOnly struct {
	fixture.Recorder
	raw    []string
	decode bool
	ends   int
}

func (h *rawOnly) OnRaw(msg []byte, _ int64) bool {
	h.raw = append(h.raw, string(msg))
	return h.decode
}

func (h *rawOnly) OnMessageEnd() { h.ends++ }

func TestSessionRawHandler(t *testing.T) {
	for _, tc := range []struct {
		name   string
		decode bool
		events int
	}{
		{"bytes only", false, 2},
		{"both", true, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := &rawOnly{decode: tc.decode}
			p := newPeer(t, testConfig(), h)
			require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.A")...))
			p.requests()
			require.NoError(t, p.say(fixture.Status("auth_success", "")))
			require.Equal(t, []string{"T.A"}, p.subscribed(), "the session hears what the handler does not decode")
			require.NoError(t, p.say(append(fixture.Acks("T.A"), fixture.Trade("A"))...))
			acked, _ := held(p.s)
			require.Equal(t, "T.A", acked)
			require.Len(t, h.raw, 2)
			require.Len(t, h.Events, tc.events)
			require.Equal(t, 2, h.ends)
		})
	}
}

// caller calls the session from inside a handler.
type caller struct {
	tickstorm.NopHandler
	onTrade func()
}

func (h *caller) OnTrade(*tickstorm.Trade) { h.onTrade() }

func TestSessionCallsInHandler(t *testing.T) {
	h := &caller{}
	p := readyPeer(t, testConfig(), h)
	h.onTrade = func() { _ = p.s.Request(nil, tickstorm.Topic{Channel: "T", Symbol: "B"}) }
	require.NoError(t, p.say(fixture.Trade("A")))
	require.Equal(t, []string{"T.B"}, p.subscribed())
	h.onTrade = func() { _ = p.s.Withdraw(nil, tickstorm.Topic{Channel: "T", Symbol: "B"}) }
	require.NoError(t, p.say(fixture.Acks("T.B")...))
	require.NoError(t, p.say(fixture.Trade("A")))
	require.Equal(t, []string{`{"action":"unsubscribe","params":"T.B"}`}, p.requests())
	var events uint64
	h.onTrade = func() { events = p.s.Stats().Events[tickstorm.KindTrade] }
	require.NoError(t, p.say(fixture.Trade("A")))
	require.EqualValues(t, 2, events, "as of the last Feed that has returned")
	require.EqualValues(t, 3, p.s.Stats().Events[tickstorm.KindTrade])
	h.onTrade = p.s.Close
	require.NoError(t, p.say(fixture.Trade("A"), fixture.Trade("A")))
	require.Equal(t, []string{"close 1000"}, p.requests())
}

func TestSessionStats(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	before := p.s.Stats()
	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.A")...))
	message := "[" + fixture.Trade("A") + "," + fixture.Status("error", "not authorized") + ",7]"
	frame := fixture.Wire(false, true, ws.OpText, message)
	require.NoError(t, p.s.Feed(frame))
	after := p.s.Stats()
	require.Equal(t, uint64(len(frame)), after.Received-before.Received)
	require.Equal(t, uint64(len(message)), after.Bytes-before.Bytes)
	require.EqualValues(t, 1, after.Messages-before.Messages)
	require.EqualValues(t, 1, after.Refusals)
	require.EqualValues(t, 1, after.Errors)
	require.EqualValues(t, 1, after.Events[tickstorm.KindTrade])
	require.EqualValues(t, 4, after.Total())
}

func TestNewSessionErrors(t *testing.T) {
	_, err := tickstorm.NewSession(tickstorm.Config{Market: tickstorm.Stocks}, nil)
	require.ErrorIs(t, err, tickstorm.ErrNoKey)
	_, err = tickstorm.NewSession(tickstorm.Config{Key: fixture.Key}, nil)
	require.ErrorIs(t, err, tickstorm.ErrNoMarket)
}

func TestSessionStateString(t *testing.T) {
	for state, name := range map[tickstorm.SessionState]string{
		tickstorm.Authenticating: "authenticating", tickstorm.Ready: "ready", tickstorm.Closing: "closing",
		tickstorm.Ended: "ended", 200: "ended",
	} {
		require.Equal(t, name, state.String())
	}
}

// turns notes the order of a handler's calls.
type turns struct {
	tickstorm.NopHandler
	calls []string
}

func (h *turns) OnRaw([]byte, int64) bool { h.calls = append(h.calls, "raw"); return true }

func (h *turns) OnTrade(*tickstorm.Trade) { h.calls = append(h.calls, "trade") }

func (h *turns) OnError(e *tickstorm.EventError) { h.calls = append(h.calls, e.Err.Error()) }

func (h *turns) OnMessageEnd() { h.calls = append(h.calls, "end") }

// TestSessionTurns: what is wrong with a message is told before its end.
func TestSessionTurns(t *testing.T) {
	var h turns
	p := readyPeer(t, testConfig(), &h)
	h.calls = nil
	for _, message := range []string{`[{"ev":"T"}]`, `no array`, `[{"ev":"T"}] more`, `[{"ev":"T"},`} {
		require.NoError(t, p.s.Feed(fixture.Wire(false, true, ws.OpText, message)))
	}
	require.Equal(t, []string{
		"raw", "trade", "end",
		"raw", tickstorm.ErrNotArray.Error(), "end",
		"raw", "trade", tickstorm.ErrTrailing.Error(), "end",
		"raw", "trade", tickstorm.ErrTruncated.Error(), "end",
	}, h.calls)
	require.Equal(t, uint64(3), p.s.Stats().Errors)
}

// TestSessionHidesKeyFromHandlers: handlers print statuses, and a server may repeat the key.
func TestSessionHidesKeyFromHandlers(t *testing.T) {
	var seen []string
	p := readyPeer(t, testConfig(), &onStatus{do: func(s *tickstorm.Status) {
		seen = append(seen, string(s.Status), string(s.Message), string(s.Raw), string(s.AppendJSON(nil)))
	}})
	seen = nil
	require.NoError(t, p.say(fixture.Status("error", "no such key: "+fixture.Key)))
	require.NotEmpty(t, seen)
	for _, text := range seen {
		require.NotContains(t, text, fixture.Key)
	}
}

type onStatus struct {
	tickstorm.NopHandler
	do func(*tickstorm.Status)
}

func (h *onStatus) OnStatus(s *tickstorm.Status) { h.do(s) }

// TestSessionQuotesOfAllOptions: the vendor refuses them, which costs a second to learn.
func TestSessionQuotesOfAllOptions(t *testing.T) {
	cfg := testConfig()
	cfg.Market = tickstorm.Options
	p := readyPeer(t, cfg, nil)
	all := tickstorm.Topic{Channel: "Q", Symbol: tickstorm.All}
	require.ErrorIs(t, p.s.Request(nil, all), tickstorm.ErrSubscriptionLimit)
	require.NoError(t, p.s.Request(nil, tickstorm.Topic{Channel: "T", Symbol: tickstorm.All}))
	cfg.MaxOptionQuotes = -1
	p = readyPeer(t, cfg, nil)
	require.NoError(t, p.s.Request(nil, all))
	require.Len(t, p.requests(), 1)
}
