package tickstorm_test

import (
	"bytes"
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
