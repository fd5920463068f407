package tickstorm_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// TestPollerClientMaxAttempts: the bound is that of a Client.
func TestPollerClientMaxAttempts(t *testing.T) {
	p := newPoller(t, tickstorm.PollerConfig{})
	cfg := dialConfig("ws://host")
	dials := 0 // of goroutines that follow one another
	cfg.Backoff = tickstorm.Backoff{Min: time.Millisecond, Max: time.Millisecond, MaxAttempts: 3}
	cfg.NetDial = func(context.Context, string, string) (net.Conn, error) {
		dials++
		return nil, errors.New("refused")
	}
	_, end := addClient(t, p, cfg, nil)
	pollUntil(t, p, func() bool { return end.over })
	var e *tickstorm.AttemptsError
	require.ErrorAs(t, end.err, &e)
	require.Equal(t, 3, dials)
}

// TestPollerClientRetryAfter: a server that names its wait is obeyed.
func TestPollerClientRetryAfter(t *testing.T) {
	feed := listen(t, func(nc net.Conn) {
		if _, _, err := accept(nc); err == nil {
			_, _ = nc.Write([]byte("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 100\r\nContent-Length: 0\r\n\r\n"))
		}
	})
	p := newPoller(t, tickstorm.PollerConfig{})
	cfg := dialConfig(feed)
	cfg.Backoff = tickstorm.Backoff{Min: time.Millisecond, Max: time.Millisecond}
	addClient(t, p, cfg, nil)
	pollUntil(t, p, func() bool { return !p.Deadline().IsZero() })
	require.Greater(t, time.Until(p.Deadline()), time.Minute)
}
