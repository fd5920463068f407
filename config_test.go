package tickstorm_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

func TestConfigErrors(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*tickstorm.Config)
		is     error // nil where the error has no identity
	}{
		{"no key", func(c *tickstorm.Config) { c.Key = "" }, tickstorm.ErrNoKey},
		{"no market", func(c *tickstorm.Config) { c.Market = "" }, tickstorm.ErrNoMarket},
		{"https", func(c *tickstorm.Config) { c.Feed = "https://socket.massive.com" }, tickstorm.ErrBadFeed},
		{"no scheme", func(c *tickstorm.Config) { c.Feed = "socket.massive.com" }, tickstorm.ErrBadFeed},
		{"no host", func(c *tickstorm.Config) { c.Feed = "wss://" }, tickstorm.ErrBadFeed},
		{"user", func(c *tickstorm.Config) { c.Feed = "wss://me:secret@host" }, tickstorm.ErrBadFeed},
		{"query", func(c *tickstorm.Config) { c.Feed = "wss://host?key=secret" }, tickstorm.ErrBadFeed},
		{"key in a query", func(c *tickstorm.Config) { c.Feed = "wss://host?snapshot=1&apiKey=secret" }, tickstorm.ErrBadFeed},
		{"key in a query, spelled otherwise", func(c *tickstorm.Config) { c.Feed = "wss://host?API-%6bey=secret" }, tickstorm.ErrBadFeed},
		{"key of the vendor in a query", func(c *tickstorm.Config) { c.Feed = "wss://host?polygon.api_key=secret" }, tickstorm.ErrBadFeed},
		{"password with a question mark", func(c *tickstorm.Config) { c.Feed = "wss://me:secret?x@host" }, tickstorm.ErrBadFeed},
		{"password with a slash", func(c *tickstorm.Config) { c.Feed = "wss://me:x/secret@host" }, tickstorm.ErrBadFeed},
		{"user alone", func(c *tickstorm.Config) { c.Feed = "wss://secret@host" }, tickstorm.ErrBadFeed},
		{"user of no scheme", func(c *tickstorm.Config) { c.Feed = "me:secret@host" }, tickstorm.ErrBadFeed},
		{"a query that is none", func(c *tickstorm.Config) { c.Feed = "wss://host?token=secret&x=%zz" }, tickstorm.ErrBadFeed},
		{"a query of old", func(c *tickstorm.Config) { c.Feed = "wss://host?snapshot=1;token=secret" }, tickstorm.ErrBadFeed},
		{"space in a query", func(c *tickstorm.Config) { c.Feed = "wss://host?token=secret x" }, tickstorm.ErrBadFeed},
		{"line end in a query", func(c *tickstorm.Config) { c.Feed = "wss://host?token=secret\r\nX: y" }, tickstorm.ErrBadFeed},
		{"fragment behind a query", func(c *tickstorm.Config) { c.Feed = "wss://host?token=secret#x" }, tickstorm.ErrBadFeed},
		{"query of no host", func(c *tickstorm.Config) { c.Feed = "?token=secret" }, tickstorm.ErrBadFeed},
		{"https with a query", func(c *tickstorm.Config) { c.Feed = "https://host?token=secret" }, tickstorm.ErrBadFeed},
		{"fragment", func(c *tickstorm.Config) { c.Feed = "wss://host#x" }, tickstorm.ErrBadFeed},
		{"control character", func(c *tickstorm.Config) { c.Feed = "wss://ho\x00st" }, tickstorm.ErrBadFeed},
		{"bad port", func(c *tickstorm.Config) { c.Feed = "wss://host:port" }, tickstorm.ErrBadFeed},
		{"query in market", func(c *tickstorm.Config) { c.Market = "stocks?x" }, tickstorm.ErrBadFeed},
		{"dial timeout", func(c *tickstorm.Config) { c.DialTimeout = -1 }, nil},
		{"auth timeout", func(c *tickstorm.Config) { c.AuthTimeout = -1 }, nil},
		{"ack timeout", func(c *tickstorm.Config) { c.AckTimeout = -1 }, nil},
		{"write timeout", func(c *tickstorm.Config) { c.WriteTimeout = -1 }, nil},
		{"close timeout", func(c *tickstorm.Config) { c.CloseTimeout = -1 }, nil},
		{"read buffer", func(c *tickstorm.Config) { c.ReadBuffer = -1 }, nil},
		{"chunk", func(c *tickstorm.Config) { c.ChunkTopics = -1 }, nil},
		{"backoff min", func(c *tickstorm.Config) { c.Backoff.Min = -1 }, nil},
		{"backoff max", func(c *tickstorm.Config) { c.Backoff.Max = -1 }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testConfig()
			tc.change(&cfg)
			_, err := tickstorm.NewClient(cfg, nil)
			require.Error(t, err)
			_, sessionErr := tickstorm.NewSession(cfg, nil)
			require.Equal(t, err, sessionErr)
			conn, dialErr := tickstorm.Dial(t.Context(), cfg, nil)
			require.Nil(t, conn)
			require.Equal(t, err, dialErr)
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
				require.False(t, tickstorm.Retryable(err))
			}
			require.NotContains(t, err.Error(), fixture.Key)
			require.NotContains(t, err.Error(), "secret")
			require.NotContains(t, cfg.String(), "secret")
		})
	}
}

func TestConfigFeeds(t *testing.T) {
	for _, tc := range []struct {
		feed   tickstorm.Feed
		market tickstorm.Market
		prints string
	}{
		{"", tickstorm.Stocks, "wss://socket.massive.com/stocks"},
		{tickstorm.Delayed, tickstorm.FuturesCME, "wss://delayed.massive.com/futures/cme"},
		{"ws://localhost:8080/", "new/market", "ws://localhost:8080/new/market"},
		{"wss://localhost///", tickstorm.Stocks, "wss://localhost/stocks"},
		{"wss://[::1]:443", tickstorm.Crypto, "wss://[::1]:443/crypto"},
		{"ws://localhost:8080/?snapshot=1&token=x", tickstorm.Stocks, "ws://localhost:8080/stocks"},
	} {
		cfg := tickstorm.Config{Key: fixture.Key, Market: tc.market, Feed: tc.feed}
		_, err := tickstorm.NewSession(cfg, nil)
		require.NoError(t, err, tc.feed)
		require.Equal(t, "tickstorm.Config{"+tc.prints+", key [redacted]}", cfg.String())
	}
	require.Contains(t, tickstorm.Config{}.String(), "key none")
}

func TestConfigIsCopied(t *testing.T) {
	requests := make(chan *http.Request, 1)
	feed := fixture.Listen(t, func(nc net.Conn) {
		if r, _, err := fixture.Accept(nc); err == nil {
			requests <- r
		}
	})
	cfg := fixture.DialConfig(feed)
	cfg.Header = http.Header{"User-Agent": {"before"}}
	c, err := tickstorm.NewClient(cfg, nil)
	require.NoError(t, err)
	cfg.Header.Set("User-Agent", "after")
	running := fixture.Runs(t.Context(), c)
	require.Equal(t, "before", (<-requests).Header.Get("User-Agent"))
	require.NoError(t, c.Close())
	require.NoError(t, <-running)
	require.Equal(t, 0, cfg.ReadBuffer, "defaults are not written into the caller's Config")
	require.Zero(t, cfg.Backoff)
}

// TestConfigHidesKey: there is no way of printing a Config that prints the key.
func TestConfigHidesKey(t *testing.T) {
	type app struct {
		Name string
		Feed tickstorm.Config
	}
	type pointer struct{ Feed *tickstorm.Config }
	cfg := testConfig()
	cfg.Feed = tickstorm.RealTime + "?token=" + fixture.Key
	client, err := tickstorm.NewClient(cfg, nil)
	require.NoError(t, err)
	session, err := tickstorm.NewSession(cfg, nil)
	require.NoError(t, err)
	for name, v := range map[string]any{
		"value": cfg, "pointer": &cfg, "in a struct": app{"x", cfg}, "in a struct's pointer": &app{"x", cfg},
		"pointer in a struct": pointer{&cfg}, "in a slice": []tickstorm.Config{cfg}, "in a map": map[string]tickstorm.Config{"a": cfg},
		"client": client, "session": session,
	} {
		t.Run(name, func(t *testing.T) {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
				text := fmt.Sprintf(verb, v)
				require.NotEmpty(t, text)
				requireNoKey(t, text, verb)
			}
			var b bytes.Buffer
			for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
				b.Reset()
				l := slog.New(h)
				l.With("with", v).Info("hello", "value", v, slog.Group("group", "inner", v))
				require.Contains(t, b.String(), "hello")
				requireNoKey(t, b.String(), fmt.Sprintf("%T", h))
			}
		})
	}
	require.NotContains(t, cfg.String(), fixture.Key)
	require.NotContains(t, cfg.GoString(), fixture.Key)
	require.NotContains(t, cfg.LogValue().String(), fixture.Key)
}

func requireNoKey(t *testing.T, text, how string) {
	t.Helper()
	lower := strings.ToLower(text)
	require.NotContains(t, lower, strings.ToLower(fixture.Key), how)
	require.NotContains(t, lower, fmt.Sprintf("%x", fixture.Key), how)
}

func TestConfigFromEnv(t *testing.T) {
	for _, tc := range []struct {
		name, massive, polygon, key string
	}{
		{"massive", "m", "", "m"},
		{"polygon", "", "p", "p"},
		{"both", "m", "p", "m"},
		{"blank", " \n", "p", "p"},
		{"trimmed", " m\n", "", "m"},
		{"neither", "", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("MASSIVE_API_KEY", tc.massive)
			t.Setenv("POLYGON_API_KEY", tc.polygon)
			cfg, err := tickstorm.ConfigFromEnv(tickstorm.Indices)
			require.Equal(t, tickstorm.Indices, cfg.Market)
			require.Equal(t, tc.key, cfg.Key)
			if tc.key == "" {
				require.ErrorIs(t, err, tickstorm.ErrNoKey)
				return
			}
			require.NoError(t, err)
		})
	}
}

func TestConfigIgnoresEnv(t *testing.T) {
	t.Setenv("MASSIVE_API_KEY", "m")
	_, err := tickstorm.NewSession(tickstorm.Config{Market: tickstorm.Stocks}, nil)
	require.ErrorIs(t, err, tickstorm.ErrNoKey)
}

func TestNoProxy(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://proxy.invalid")
	u, err := tickstorm.NoProxy(&http.Request{URL: &url.URL{Scheme: "https", Host: "x"}})
	require.NoError(t, err)
	require.Nil(t, u)
}

func TestConfigTimeouts(t *testing.T) {
	cfg := testConfig()
	cfg.PingInterval, cfg.IdleTimeout = -time.Second, -time.Second
	_, err := tickstorm.NewSession(cfg, nil)
	require.NoError(t, err, "these two can be turned off")
}
