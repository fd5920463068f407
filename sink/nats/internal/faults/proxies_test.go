package faults

import (
	"context"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
)

// proxies are the network between clients and servers, which a test can spoil.
type proxies []*toxiproxy.Proxy

// newProxies returns one for each server, and where they listen.
func newProxies(t *testing.T, servers []string) (all proxies, urls string) {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	var list []string
	for _, u := range servers {
		p := toxiproxy.NewProxy(server, u, fixture.Loopback()+":0", strings.TrimPrefix(u, "nats://"))
		require.NoError(t, p.Start())
		t.Cleanup(p.Stop)
		all, list = append(all, p), append(list, "nats://"+p.Listen)
	}
	return all, strings.Join(list, ",")
}

// down ends all connections, with what is under way on them, and lets no other be made.
func (all proxies) down() {
	for _, p := range all {
		p.Stop()
	}
}

func (all proxies) up(t *testing.T) {
	t.Helper()
	for _, p := range all { // whose port may be another's for a moment
		require.Eventually(t, func() bool { return p.Start() == nil }, sinktest.Patience, 10*time.Millisecond)
	}
}

// spoil adds a toxic to all connections, those that are there and new ones; what it returns takes it away.
func (all proxies) spoil(t *testing.T, toxic string) (mend func()) {
	t.Helper()
	var undo []func()
	for _, p := range all {
		w, err := p.Toxics.AddToxicJson(strings.NewReader(toxic))
		require.NoError(t, err)
		undo = append(undo, func() { require.NoError(t, p.Toxics.RemoveToxic(context.Background(), w.Name)) })
	}
	return func() {
		for _, u := range undo {
			u()
		}
	}
}
