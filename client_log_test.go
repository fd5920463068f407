package tickstorm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// TestClientLogsNoKey: whatever a server that has been told the key makes of it, no line
// of the log and no error has it.
func TestClientLogsNoKey(t *testing.T) {
	text := func(text string) []byte { return wire(false, true, ws.OpText, "["+text+"]") }
	http := func(head string) func(net.Conn) {
		return func(nc net.Conn) {
			if _, _, err := accept(nc); err == nil {
				_, _ = nc.Write([]byte("HTTP/1.1 " + head + "\r\n\r\n" + testKey))
			}
		}
	}
	says := func(replies ...[]byte) func(net.Conn) {
		return func(nc net.Conn) {
			_, answer, err := accept(nc)
			if err != nil {
				return
			}
			_, _ = nc.Write(append(answer, welcome()...))
			_, _ = nc.Read(make([]byte, 512)) // the key
			_, _ = nc.Read(make([]byte, 512)) // the request
			for _, reply := range replies {
				_, _ = nc.Write(reply)
			}
			time.AfterFunc(time.Minute, func() { nc.Close() })
			attend(nc)
		}
	}
	life := []func(net.Conn){
		http("503 " + testKey),
		http("429 Slow down\r\nRetry-After: " + testKey),
		http("302 Found\r\nLocation: https://host/" + testKey),
		http("101 Switching Protocols\r\nUpgrade: " + testKey),
		http("101 Switching Protocols\r\n" + testKey),
		http(testKey),
		says(text(status(testKey, testKey))),
		says(text(status("error", "no "+testKey))),
		says(text(status("success", "subscribed to: "+testKey)), text(status("success", "subscribed to: T."+testKey))),
		says(text(status("max_connections", testKey))),
		says(text(status("auth_timeout", testKey))),
		says(wire(false, true, ws.OpClose, closeBody(1008, "bye "+testKey))),
		says([]byte(testKey)),
		says(text(testKey), text(`{"ev":"`+testKey+`"}`), text(trade(testKey))),
		says(text(trade("A"))),
		says(text(trade("B"))),
		says(text(status("auth_failed", "wrong key "+testKey))),
	}
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		cfg := dialConfig("ws://host")
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		cfg.Backfill = func(context.Context, *tickstorm.Gap, func([]byte) error) error {
			return &url.Error{Op: "Get", URL: "https://api/v3/trades/A?apiKey=" + testKey, Err: errors.New("refused")}
		}
		dials := 0
		cfg.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			serve := life[min(dials, len(life)-1)]
			if dials++; dials == 1 {
				return nil, fmt.Errorf("cannot reach the host that was named %s", testKey)
			}
			return pipeTo(serve)(ctx, network, addr)
		}
		d := new(diary)
		c := newClient(t, cfg, d)
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A", "B"))
		err := c.Run(t.Context())
		require.ErrorIs(t, err, tickstorm.ErrAuthFailed)
		require.Equal(t, len(life), dials)
		require.NotContains(t, err.Error(), testKey)
		for _, s := range d.changes {
			require.NotContains(t, fmt.Sprint(s.Err), testKey)
		}
		require.NotEmpty(t, d.gaps)
		require.Contains(t, d.text(), "backfill of")
		for _, want := range []string{"reconnecting", "authenticated", "connection ended", "refused", "unknown status",
			"acknowledgement of no topic", "events were missed", "backfill failed"} {
			require.Contains(t, log.String(), want)
		}
		for line := range strings.Lines(log.String()) {
			requireNoKey(t, line, "log")
			requireNamed(t, line, "ws://host", tickstorm.Stocks)
		}
	})
}

// requireNamed requires that a line of the log names the connection, once.
func requireNamed(t *testing.T, line string, feed tickstorm.Feed, m tickstorm.Market) {
	t.Helper()
	require.Equal(t, 1, strings.Count(strings.ReplaceAll(line, "\n", " "), fmt.Sprintf(" feed=%s market=%s ", feed, m)), line)
}

// TestClientLogsRefused: a Request has no other result than the log.
func TestClientLogsRefused(t *testing.T) {
	cfg := sim.Config{Quiet: true, Keys: map[string]sim.Plan{sim.Key: {Channels: []string{"Q"}}}}
	inBubble(t, cfg, func(t *testing.T, server *sim.Server) {
		var log bytes.Buffer
		c := simClientWith(t, server, nil, func(cfg *tickstorm.Config) {
			cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		})
		running := runs(t.Context(), c)
		settled(t, server, 1, 0)
		c.Request(nil, topics(t, "T.A")...)
		time.Sleep(time.Minute)
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
		require.Empty(t, c.Topics())
		require.Contains(t, log.String(), "1 refused (T.A)")
	})
}
