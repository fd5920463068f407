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
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// TestClientLogsNoKey: whatever a server that has been told the key makes of it, no line
// of the log and no error has it.
func TestClientLogsNoKey(t *testing.T) {
	text := func(text string) []byte { return fixture.Wire(false, true, ws.OpText, "["+text+"]") }
	http := func(head string) func(net.Conn) {
		return func(nc net.Conn) {
			if _, _, err := fixture.Accept(nc); err == nil {
				_, _ = nc.Write([]byte("HTTP/1.1 " + head + "\r\n\r\n" + fixture.Key))
			}
		}
	}
	says := func(replies ...[]byte) func(net.Conn) {
		return func(nc net.Conn) {
			_, answer, err := fixture.Accept(nc)
			if err != nil {
				return
			}
			_, _ = nc.Write(append(answer, fixture.Welcome()...))
			_, _ = nc.Read(make([]byte, 512)) // the key
			_, _ = nc.Read(make([]byte, 512)) // the request
			for _, reply := range replies {
				_, _ = nc.Write(reply)
			}
			time.AfterFunc(time.Minute, func() { nc.Close() })
			fixture.Attend(nc)
		}
	}
	life := []func(net.Conn){
		http("503 " + fixture.Key),
		http("429 Slow down\r\nRetry-After: " + fixture.Key),
		http("302 Found\r\nLocation: https://host/" + fixture.Key),
		http("101 Switching Protocols\r\nUpgrade: " + fixture.Key),
		http("101 Switching Protocols\r\n" + fixture.Key),
		http(fixture.Key),
		says(text(fixture.Status(fixture.Key, fixture.Key))),
		says(text(fixture.Status("error", "no "+fixture.Key))),
		says(text(fixture.Status("success", "subscribed to: "+fixture.Key)), text(fixture.Status("success", "subscribed to: T."+fixture.Key))),
		says(text(fixture.Status("max_connections", fixture.Key))),
		says(text(fixture.Status("auth_timeout", fixture.Key))),
		says(fixture.Wire(false, true, ws.OpClose, closeBody(1008, "bye "+fixture.Key))),
		says([]byte(fixture.Key)),
		says(text(fixture.Key), text(`{"ev":"`+fixture.Key+`"}`), text(fixture.Trade(fixture.Key))),
		says(text(fixture.Trade("A"))),
		says(text(fixture.Trade("B"))),
		says(text(fixture.Status("auth_failed", "wrong key "+fixture.Key))),
	}
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		cfg := fixture.DialConfig("ws://host")
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		cfg.Backfill = func(context.Context, *tickstorm.Gap, func([]byte) error) error {
			return &url.Error{Op: "Get", URL: "https://api/v3/trades/A?apiKey=" + fixture.Key, Err: errors.New("refused")}
		}
		dials := 0
		cfg.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			serve := life[min(dials, len(life)-1)]
			if dials++; dials == 1 {
				return nil, fmt.Errorf("cannot reach the host that was named %s", fixture.Key)
			}
			return pipeTo(serve)(ctx, network, addr)
		}
		d := new(diary)
		c := fixture.NewClient(t, cfg, d)
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A", "B"))
		err := c.Run(t.Context())
		require.ErrorIs(t, err, tickstorm.ErrAuthFailed)
		require.Equal(t, len(life), dials)
		require.NotContains(t, err.Error(), fixture.Key)
		for _, s := range d.changes {
			require.NotContains(t, fmt.Sprint(s.Err), fixture.Key)
		}
		require.NotEmpty(t, d.gaps)
		require.Contains(t, d.text(), "backfill of")
		for _, want := range []string{"reconnecting", "authenticated", "connection ended", "refused", "unknown status",
			"acknowledgement of no topic", "events were missed", "backfill failed"} {
			require.Contains(t, log.String(), want)
		}
		for line := range strings.Lines(log.String()) {
			requireNoKey(t, line, "log")
			fixture.RequireNamed(t, line, "ws://host", tickstorm.Stocks)
		}
	})
}

// TestClientLogsRefused: a Request has no other result than the log.
func TestClientLogsRefused(t *testing.T) {
	cfg := sim.Config{Quiet: true, Keys: map[string]sim.Plan{sim.Key: {Channels: []string{"Q"}}}}
	fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
		var log bytes.Buffer
		c := simClientWith(t, server, nil, func(cfg *tickstorm.Config) {
			cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		})
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 0)
		c.Request(nil, fixture.Topics(t, "T.A")...)
		time.Sleep(time.Minute)
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
		require.Empty(t, c.Topics())
		require.Contains(t, log.String(), "1 refused (T.A)")
	})
}
