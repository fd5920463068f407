package relay_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/relay"
)

// TestTopics: who holds what is found by a part of its text, in order, so many at most, with the
// names of keys.
func TestTopics(t *testing.T) {
	keys := newKeys(t, keyOf(0, relay.Policy{Wildcards: true}), keyOf(1, relay.Policy{}))
	b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) { c.Keys = keys })
	b.streaming(0)
	first, second := b.loginAs("/stocks", token("0")), b.loginAs("/stocks", token("1"))
	first.take("T.MSFT,T.AAPL,Q.*,Q.AAPL")
	second.take("Q.AAPL")
	second.take("T.brk.a")
	b.up.Broadcast([]byte("[" + oddTrade + "]"))
	first.expect("[" + oddTrade + "]")

	found := func(query string, limit int) (topics []string, total int) {
		some, total := b.relay.Topics(query, limit)
		for _, one := range some {
			require.Equal(t, tickstorm.Stocks, one.Market)
			require.True(t, one.Granted)
			require.Equal(t, one.Topic.String() == "T.AAPL", !one.Last.IsZero(), one.Topic)
			topics = append(topics, one.Topic.String())
		}
		return topics, total
	}
	for _, tc := range []struct {
		query string
		limit int
		want  []string
		total int
	}{
		{"", 100, []string{"Q.*", "Q.AAPL", "T.AAPL", "T.BRK.A", "T.MSFT"}, 5},
		{"", 3, []string{"Q.*", "Q.AAPL", "T.AAPL"}, 5},
		{"", 0, nil, 5},
		{"", -1, nil, 5},
		{"aapl", 100, []string{"Q.AAPL", "T.AAPL"}, 2},
		{"aapl", 1, []string{"Q.AAPL"}, 2},
		{"T.", 100, []string{"T.AAPL", "T.BRK.A", "T.MSFT"}, 3},
		{"t.brk.a", 100, []string{"T.BRK.A"}, 1},
		{"nothing", 100, nil, 0},
	} {
		topics, total := found(tc.query, tc.limit)
		require.Equal(t, tc.want, topics, tc.query)
		require.Equal(t, tc.total, total, tc.query)
	}
	some, _ := b.relay.Topics("Q.AAPL", 1)
	clients := b.clients()
	require.Len(t, clients, 2)
	require.Equal(t, []relay.TopicClient{
		{ID: clients[0].ID, From: clients[0].From, Key: clients[0].Key}, {ID: clients[1].ID, From: clients[1].From, Key: clients[1].Key},
	}, some[0].Clients)
	require.NotEqual(t, clients[0].Key, clients[1].Key)
	require.Equal(t, 2, some[0].Holders)
	require.Equal(t, []int{4, 2}, []int{clients[0].Topics, clients[1].Topics})
}

// TestStatsOfMany: what a page asks for each second, or a monitoring system, does not take memory for
// each client, of which there may be many.
func TestStatsOfMany(t *testing.T) {
	const many = 150
	b := start(t, quiet, tickstorm.Stocks)
	b.streaming(0)
	for range many {
		b.login("/stocks").take("T.A")
	}
	for name, ask := range map[string]func(){
		"stats":  func() { require.Equal(t, many, b.relay.Stats().Markets[0].Clients) },
		"topics": func() { _, total := b.relay.Topics("", 10); require.Equal(t, 1, total) },
		"clients": func() {
			n := 0
			for range b.relay.Clients() {
				n++
			}
			require.Equal(t, many, n)
		},
	} {
		ask()
		const times = 20
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range times {
			ask()
		}
		runtime.ReadMemStats(&after)
		require.Less(t, (after.TotalAlloc-before.TotalAlloc)/times/many, uint64(1<<10), "%s: bytes for a client", name)
	}
}
