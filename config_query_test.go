package tickstorm_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

// TestFeedQuery: what a feed asks goes behind the path of the market, as it is spelled, with each connection.
func TestFeedQuery(t *testing.T) {
	asked := make(chan string, 1)
	feed := fixture.Listen(t, func(nc net.Conn) {
		if r, _, err := fixture.Accept(nc); err == nil {
			asked <- r.RequestURI
		}
	})
	for suffix, want := range map[string]string{
		"":                                       "/futures/cme",
		"?":                                      "/futures/cme",
		"?snapshot=1":                            "/futures/cme?snapshot=1",
		"//?snapshot=1":                          "/futures/cme?snapshot=1",
		"/office?since=-5m&conflate=250ms":       "/office/futures/cme?since=-5m&conflate=250ms",
		"?subscribe=T.*,Q.A%26B&token=a%2fb&c?/": "/futures/cme?subscribe=T.*,Q.A%26B&token=a%2fb&c?/",
	} {
		cfg := fixture.DialConfig(feed + tickstorm.Feed(suffix))
		cfg.Market = tickstorm.FuturesCME
		_, err := tickstorm.Dial(t.Context(), cfg, nil)
		require.Error(t, err)
		require.Equal(t, want, <-asked)

		s, err := tickstorm.NewSession(cfg, nil)
		require.NoError(t, err)
		again := s.Config()
		require.NotContains(t, again.Feed, "?")
		_, err = tickstorm.Dial(t.Context(), again, nil)
		require.Error(t, err)
		require.Equal(t, want, <-asked, "its Config is as good")
		again.Feed = feed + "/other"
		_, err = tickstorm.Dial(t.Context(), again, nil)
		require.Error(t, err)
		require.Equal(t, "/other/futures/cme", <-asked, "another feed is not told what was asked of this one")
	}
	c, err := tickstorm.NewClient(fixture.DialConfig(feed+"?snapshot=1"), nil)
	require.NoError(t, err)
	running := fixture.Runs(t.Context(), c)
	for range 2 {
		require.Equal(t, "/stocks?snapshot=1", <-asked)
	}
	require.NoError(t, c.Close())
	require.NoError(t, <-running)
}

// TestFeedQueryProxy: a proxy is no business of what is asked.
func TestFeedQueryProxy(t *testing.T) {
	cfg := fixture.DialConfig("ws://127.0.0.1:1?token=secret")
	seen := ""
	cfg.Proxy = func(r *http.Request) (*url.URL, error) {
		seen = r.URL.String()
		return nil, errors.New("none for " + "secret")
	}
	_, err := tickstorm.Dial(t.Context(), cfg, nil)
	require.ErrorIs(t, err, tickstorm.ErrProxy)
	require.Equal(t, "http://127.0.0.1:1/stocks", seen)
	require.NotContains(t, err.Error(), "secret")
}

// overheard is a handler, and a Tap, that writes all that it is told.
type overheard struct {
	tickstorm.NopHandler
	text strings.Builder
}

func (o *overheard) OnStatus(s *tickstorm.Status)     { o.text.Write(s.Raw); o.text.Write(s.Message) }
func (o *overheard) OnError(e *tickstorm.EventError)  { o.text.WriteString(e.Error()) }
func (o *overheard) OnMessage(msg []byte, _ int64)    { o.text.Write(msg) }
func (o *overheard) OnState(s *tickstorm.StateChange) { o.text.WriteString(s.String()) }
func (o *overheard) OnGap(*tickstorm.Gap)             {}

// TestFeedToken: a token in a feed is kept as the key is, whatever the server says of it.
func TestFeedToken(t *testing.T) {
	const token, spelled = "s3cr3t/t0ken", "s3cr3t%2ft0ken"
	kept := func(t *testing.T, text string) { require.NotContains(t, strings.ToLower(text), "s3cr3t") }
	status := func(nc net.Conn, status, message string) {
		_, _ = nc.Write(fixture.Wire(false, true, ws.OpText, "["+fixture.Status(status, message)+"]"))
	}
	var log bytes.Buffer
	for name, serve := range map[string]func(net.Conn, *http.Request, []byte){
		"refuses the handshake": func(nc net.Conn, _ *http.Request, _ []byte) {
			_, _ = nc.Write([]byte("HTTP/1.1 302 " + token + "\r\nLocation: https://else.where/?token=" + spelled + "\r\nContent-Length: 0\r\n\r\n"))
		},
		"refuses the key": func(nc net.Conn, _ *http.Request, accepted []byte) {
			_, _ = nc.Write(accepted)
			status(nc, "connected", "hello "+token)
			status(nc, "auth_failed", "not with "+token+" or "+spelled)
		},
		"closes": func(nc net.Conn, _ *http.Request, accepted []byte) {
			_, _ = nc.Write(accepted)
			_, _ = nc.Write(fixture.Wire(false, true, ws.OpClose, "\x03\xf0"+token))
		},
		"talks nonsense": func(nc net.Conn, _ *http.Request, accepted []byte) {
			_, _ = nc.Write(accepted)
			_, _ = nc.Write(fixture.Wire(false, true, ws.OpText, "[{"+token+"]"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			feed := fixture.Listen(t, func(nc net.Conn) {
				if r, accepted, err := fixture.Accept(nc); err == nil {
					serve(nc, r, accepted)
				}
			})
			log.Reset()
			o := &overheard{}
			cfg := fixture.DialConfig(feed + "?token=" + spelled)
			cfg.Tap, cfg.Logger, cfg.Queue.Inline = o, slog.New(slog.NewTextHandler(&log, nil)), true
			cfg.AuthTimeout = time.Minute
			_, err := tickstorm.Dial(t.Context(), cfg, o)
			require.Error(t, err)
			kept(t, err.Error())
			kept(t, o.text.String())
			cfg.Backoff.MaxAttempts = 1
			c, err := tickstorm.NewClient(cfg, o)
			require.NoError(t, err)
			err = c.Run(t.Context())
			require.Error(t, err)
			for _, text := range []string{err.Error(), o.text.String(), log.String(), c.String(), cfg.String()} {
				kept(t, text)
			}
			b, err := json.Marshal(c.Stats())
			require.NoError(t, err)
			kept(t, string(b))
		})
	}
}

// TestFeedSecrets: what is a secret by its name is kept, however that is spelled and in whatever spelling a
// server repeats it: in a redirect, in the words of its answer, in a status and in a close frame.
func TestFeedSecrets(t *testing.T) {
	const secret = "s3cr3t/t0ken+" // of which no text has even the beginning
	const spelled = "s3cr3t%2ft0ken%2B"
	for name, set := range map[string]func(*tickstorm.Config){
		"token":           func(c *tickstorm.Config) { c.Feed += "?token=" + spelled },
		"access-key":      func(c *tickstorm.Config) { c.Feed += "?x=1&access-key=" + spelled },
		"auth":            func(c *tickstorm.Config) { c.Feed += "?auth=" + spelled },
		"secret":          func(c *tickstorm.Config) { c.Feed += "?Secret=" + spelled },
		"password":        func(c *tickstorm.Config) { c.Feed += "?pass%77ord=" + spelled },
		"a header's":      func(c *tickstorm.Config) { c.Header = http.Header{"X-Api-Key": {secret}} },
		"a bearer's":      func(c *tickstorm.Config) { c.Header = http.Header{"authorization": {"Bearer " + secret}} },
		"the key, itself": func(c *tickstorm.Config) { c.Key = secret },
	} {
		t.Run(name, func(t *testing.T) {
			for where, answer := range map[string]string{
				"as it is":            "302 X\r\nLocation: https://else.where/?" + secret,
				"in capitals":         "302 X\r\nLocation: https://else.where/?x=s3cr3t%2Ft0ken%2B",
				"each letter":         "302 X\r\nLocation: https://else.where/%733cr3t%2Ft0ken+",
				"in another's query":  "307 X\r\nLocation: /login?next=%2Fstocks%3Fx%3Ds3cr3t%252ft0ken%252B",
				"in Base64":           "302 X\r\nLocation: /login?state=" + base64.RawURLEncoding.EncodeToString([]byte(`{"token":"`+secret+`"}`)),
				"another's of a user": "302 X\r\nLocation: https://me:s3%zzcr3t@else.where/?access_token=s3cr3t-of-its-own",
			} {
				cfg := fixture.DialConfig(fixture.Listen(t, func(nc net.Conn) {
					if _, _, err := fixture.Accept(nc); err == nil {
						_, _ = nc.Write([]byte("HTTP/1.1 " + answer + "\r\nContent-Length: 0\r\n\r\n"))
					}
				}))
				set(&cfg)
				_, err := tickstorm.Dial(t.Context(), cfg, nil)
				require.ErrorContains(t, err, "which is not followed")
				require.NotContains(t, err.Error(), "3cr3t", where)
				require.NotContains(t, err.Error(), base64.RawStdEncoding.EncodeToString([]byte(secret))[4:12], where)
				require.NotContains(t, err.Error(), base64.RawStdEncoding.EncodeToString([]byte("xx" + secret))[4:12], where)
				require.NotContains(t, err.Error(), base64.RawStdEncoding.EncodeToString([]byte("x" + secret))[4:12], where)
			}
			cfg := fixture.DialConfig("ws://host")
			set(&cfg)
			o := hears(t, cfg, "["+fixture.Status("connected", "hello "+secret+" or "+spelled)+"]", `[{"ev":"T","sym":"A","i":"`+secret+`"}]`)
			require.NotContains(t, o.text.String(), "3cr3t")
			require.NotContains(t, cfg.String(), "3cr3t")
		})
	}
}

// hears has a session of cfg hear messages, and returns what its handler and its Tap were told.
func hears(t *testing.T, cfg tickstorm.Config, messages ...string) *overheard {
	o := &overheard{}
	cfg.Tap = o
	s, err := tickstorm.NewSession(cfg, o)
	require.NoError(t, err)
	for _, msg := range messages {
		require.NoError(t, s.Feed(fixture.Wire(false, true, ws.OpText, msg)))
	}
	return o
}

// TestShortSecrets: what is too short to guard anything does not have data destroyed of which it is a part.
func TestShortSecrets(t *testing.T) {
	const message = `[{"ev":"status","status":"connected","message":"1 of 1: none, hunter2"},{"ev":"T","sym":"A","i":"1","p":11.1,"s":none}]`
	for _, set := range []func(*tickstorm.Config){
		func(c *tickstorm.Config) { c.Key = "1" },
		func(c *tickstorm.Config) { c.Key = "none" },
		func(c *tickstorm.Config) { c.Feed += "?token=1&password=hunter2" },
		func(c *tickstorm.Config) { c.Header = http.Header{"Cookie": {"none"}} },
	} {
		cfg := fixture.DialConfig("ws://host")
		set(&cfg)
		text := hears(t, cfg, message).text.String()
		require.NotContains(t, text, "[redacted]")
		require.True(t, strings.HasPrefix(text, message), "its Tap")
		require.Contains(t, text[len(message):], "1 of 1: none, hunter2", "its handler")
	}
	cfg := fixture.DialConfig("ws://host")
	cfg.Key = "hunter22"
	require.NotContains(t, hears(t, cfg, "["+fixture.Status("connected", "no hunter22")+"]").text.String(), "hunter22")
}
