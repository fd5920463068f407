//go:build !race && !tickstorm_poison

package tickstorm_test

import (
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// These tests run in the builds that users run: the race detector allocates by itself,
// and poisoned builds copy what they are about to spoil.

// requireNoAllocs parses a message over and over. A handful of rounds comes first:
// memory grows to what the messages need, then it is used again.
func requireNoAllocs(t *testing.T, p *tickstorm.Parser, msg string, h tickstorm.Handler) {
	t.Helper()
	text := []byte(msg)
	for range 4 {
		_ = p.Parse(text, h)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = p.Parse(text, h) }))
}

func TestParseAllocs(t *testing.T) {
	forEach(t, func(t *testing.T, m tickstorm.Market, f sample) {
		p := tickstorm.NewParser(m)
		seen := 0
		h := tickstorm.Handler(visitor(func(tickstorm.Event) { seen++ }))
		requireNoAllocs(t, p, "["+f.live+"]", h)
		requireNoAllocs(t, p, "["+strings.Repeat(f.live+",", 50)+f.documented+"]", h)
		requireNoAllocs(t, p, f.live, h)
		for _, k := range pairsOf(f.live)[1:] {
			requireNoAllocs(t, p, "["+withValue(f.live, k.key, "null")+","+withoutKey(f.live, k.key)+","+f.live+"]", h)
		}
		require.Equal(t, p.Stats().Events[f.want.Kind()], uint64(seen))
	})
}

func TestParseAllocsElsewhere(t *testing.T) {
	const trade = `{"ev":"T","sym":"ACME","p":1.5,"c":[1,2]}`
	tests := []struct{ name, msg string }{
		{"status", `[{"ev":"status","status":"success","message":"subscribed to: T.ACME"},{"ev":"status","status":"auth_success"}]`},
		{"unknown", `[{"ev":"ZZ","sym":"ACME","x":{"y":[1,2,3]}}]`},
		{"unknown keys", `[{"ev":"T","sym":"ACME","new":{"y":[1,2,3]},"newer":"x"}]`},
		{"odd fields", `[{"ev":"T","sym":5,"p":"x","s":true,"c":[1.5],"t":[],"q":1e999,"i":{},"ds":"x"}]`},
		{"ev behind", `[{"sym":"ACME","p":1.5,"ev":"T","c":[1,2]}]`},
		{"ev missing", `[{"sym":"ACME"},` + trade + `]`},
		{"escapes", `[{"ev":"T","sym":"\u0041CME","i":"\ud83d\ude00\ud800","ds":"\u0031.5"}]`},
		{"numbers that need care", `[{"ev":"T","p":4.522e-05,"s":0.30000000000000004,"t":1.786000000123e12,"ds":"123456789.123456789"}]`},
		{"no objects", `[1,"x",null,[[]],` + trade + `]`},
		{"broken elements", `[{bad},` + trade + `,{"ev":"T",},01,,` + trade + `]`},
		{"truncated", `[` + trade + `,{"ev":"T","sym":"AC`},
		{"too deep", `[` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `,` + trade + `]`},
		{"trailing", `[` + trade + `]]`},
		{"no array", `"` + trade},
		{"no UTF-8", "[\"\xff\"]"},
		{"empty", `[]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requireNoAllocs(t, tickstorm.NewParser(tickstorm.Stocks), tt.msg, tickstorm.NopHandler{})
			requireNoAllocs(t, tickstorm.NewParser(tickstorm.Stocks), tt.msg, nil)
			for _, decode := range []bool{false, true} {
				requireNoAllocs(t, tickstorm.NewParser(tickstorm.Stocks), tt.msg, &rawCounter{decode: decode})
			}
		})
	}
	t.Run("book of a hundred levels a side", func(t *testing.T) {
		side := "[" + strings.Repeat("[64000.25,0.00125],", 99) + "[1,2]]"
		requireNoAllocs(t, tickstorm.NewParser(tickstorm.Crypto), `[{"ev":"XL2","pair":"BTC-USD","b":`+side+`,"a":`+side+`}]`, nil)
	})
	t.Run("many symbols", func(t *testing.T) {
		var msg strings.Builder
		for i := range 300 {
			msg.WriteString("[,"[min(i, 1):min(i, 1)+1] + `{"ev":"T","sym":"` + strings.Repeat("S", i%60) + string(rune('A'+i%26)) + `"}`)
		}
		requireNoAllocs(t, tickstorm.NewParser(tickstorm.Stocks), msg.String()+"]", nil)
	})
}

type rawCounter struct {
	tickstorm.NopHandler
	decode      bool
	bytes, ends int
}

func (h *rawCounter) OnRaw(msg []byte, _ int64) bool {
	h.bytes += len(msg)
	return h.decode
}

func (h *rawCounter) OnMessageEnd() { h.ends++ }

// TestPoolAllocs: with the collector off, since it empties pools.
func TestPoolAllocs(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, f := range append(fixtures, unknownFixture) {
		t.Run(f.name, func(t *testing.T) {
			var p pools
			parser := tickstorm.NewParser(f.markets[0])
			h := tickstorm.Handler(visitor(func(e tickstorm.Event) { p.put(p.copyOf(e)) }))
			requireNoAllocs(t, parser, "["+f.live+"]", h)

			several := make([]tickstorm.Event, 0, 8)
			h = visitor(func(e tickstorm.Event) { several = append(several, p.copyOf(e)) })
			msg := []byte("[" + strings.Repeat(f.live+",", 7) + f.live + "]")
			round := func() {
				_ = parser.Parse(msg, h)
				for _, e := range several {
					p.put(e)
				}
				several = several[:0]
			}
			round()
			require.Zero(t, testing.AllocsPerRun(100, round))
		})
	}
}

func TestAppendJSONAllocs(t *testing.T) {
	forEach(t, func(t *testing.T, m tickstorm.Market, f sample) {
		e := parseOne(t, tickstorm.NewParser(m), f.live)
		dst := make([]byte, 0, 2*len(f.live))
		require.Zero(t, testing.AllocsPerRun(100, func() { dst = e.AppendJSON(dst[:0]) }))
		require.Equal(t, f.live, string(dst))
	})
}

func TestSymbolsAllocs(t *testing.T) {
	s := tickstorm.NewSymbols(0)
	text := []byte("O:ACME270115C00125000")
	s.Intern(text)
	require.Zero(t, testing.AllocsPerRun(100, func() { s.Intern(text) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { s.ID("O:ACME270115C00125000") }))
	require.Zero(t, testing.AllocsPerRun(100, func() { s.Symbol(1) }))
}

// TestStatsAllocs: neither what is measured nor a snapshot of it allocates.
func TestStatsAllocs(t *testing.T) {
	p := parserAt(tickstorm.Stocks, began)
	requireNoAllocs(t, p, "["+tradeAt(time.Second)+","+tradeAt(0)+"]", nil)
	requireNoAllocs(t, p, "["+tradeAt(-time.Second)+"]", nil)
	var n uint64
	require.Zero(t, testing.AllocsPerRun(100, func() {
		s := p.Stats()
		n += s.Lag.Count()
		for _, count := range s.Lag.Buckets() {
			n += count
		}
	}))
	require.Positive(t, n)
}

func TestWatchAllocs(t *testing.T) {
	w := tickstorm.NewWatch(nil, tickstorm.WatchConfig{})
	forEach(t, func(t *testing.T, m tickstorm.Market, f sample) {
		requireNoAllocs(t, tickstorm.NewParser(m), "["+strings.Repeat(f.live+",", 300)+f.documented+"]", w)
	})
}

func TestStatusCodeAllocs(t *testing.T) {
	for _, s := range []*tickstorm.Status{
		{Status: []byte("error"), Message: []byte("You don't have access real-time data.")},
		{Status: []byte("error"), Message: []byte(strings.Repeat("Something new. ", 100))},
		{Status: []byte("success"), Message: []byte("subscribed to: " + strings.Repeat("T.AAPL,", 100))},
		{Status: []byte("disconnected"), Message: []byte("Maximum number of websocket connections exceeded. ")},
	} {
		require.Zero(t, testing.AllocsPerRun(100, func() { s.Code() }))
	}
}
