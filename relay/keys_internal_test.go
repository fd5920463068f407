package relay

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// TestAllTokensAreCompared: a comparison that ended early, of tokens or of bytes, would tell by
// its time how much of a token was right.
func TestAllTokensAreCompared(t *testing.T) {
	all := make([]digest, 100)
	for i := range all {
		all[i] = digestOf(fmt.Sprint(i))
	}
	for _, want := range []int{0, 1, 50, 98, 99, -1} {
		compared := map[digest]int{}
		same := func(x, y []byte) int {
			require.Len(t, x, len(digest{}))
			require.Equal(t, digestOf(fmt.Sprint(want)), digest(y))
			compared[digest(x)]++
			return subtle.ConstantTimeCompare(x, y)
		}
		require.Equal(t, want, indexOf(all, digestOf(fmt.Sprint(want)), same))
		require.Len(t, compared, len(all), "whichever it is")
		for _, n := range compared {
			require.Equal(t, 1, n)
		}
	}
	require.Equal(t, -1, indexOf(nil, digestOf("x"), subtle.ConstantTimeCompare))
}

func TestKeysAreFound(t *testing.T) {
	var keys []Key
	for i := range 50 {
		keys = append(keys, Key{Name: fmt.Sprint("n", i), Token: fmt.Sprintf("token-0123456789-%d", i)})
	}
	set, err := newKeyset(keys)
	require.NoError(t, err)
	for _, k := range keys {
		require.Equal(t, k.Name, set.find(k.Token).name)
		for _, other := range []string{"", k.Token[1:], k.Token + " ", strings.ToUpper(k.Token), k.Name} {
			require.Nil(t, set.find(other))
		}
	}
	require.NotContains(t, fmt.Sprintf("%+v", set), "token-0123456789")
}

func TestPolicies(t *testing.T) {
	for _, tc := range []struct {
		name    string
		policy  Policy
		market  tickstorm.Market
		allowed string
		refused string
	}{
		{"zero", Policy{}, tickstorm.Stocks, "T.A Q.BRK.B AM.MSFT", "T.* Q.*"},
		{"wildcards", Policy{Wildcards: true}, tickstorm.Stocks, "T.* T.A", ""},
		{"markets", Policy{Markets: []tickstorm.Market{tickstorm.Crypto}}, tickstorm.Stocks, "", "T.A T.*"},
		{"channels", Policy{Channels: []string{"T", "AM"}, Wildcards: true}, tickstorm.Stocks, "T.A AM.A T.*", "Q.A A.A LULD.*"},
		{"symbols", Policy{Symbols: []string{"AAPL", "BRK*"}}, tickstorm.Stocks, "T.AAPL T.aapl Q.BRK T.BRK.B T.BRKX", "T.AAPLX T.AAP T.BR T.* T.XBRK"},
		{"all symbols, not at once", Policy{Symbols: []string{"*"}}, tickstorm.Stocks, "T.A", "T.*"},
		{"all symbols", Policy{Symbols: []string{"X", "*"}, Wildcards: true}, tickstorm.Stocks, "T.A T.*", ""},
		{"case matters where there is some", Policy{Symbols: []string{"AMpB"}}, tickstorm.Stocks, "T.AMpB", "T.AMPB T.ampb"},
		{"written small", Policy{Symbols: []string{"aapl", "brk*"}}, tickstorm.Stocks, "T.AAPL T.BRK.B", "T.AMZN"},
		{"pairs", Policy{Symbols: []string{"EUR-USD", "GBP/*", "C:CHF*"}}, tickstorm.Forex, "C.EUR/USD C.EUR-USD C.EURUSD CA.C:EUR-USD C.GBP-JPY C.CHF/JPY", "C.EUR/JPY C.USD/EUR C.GB C.C:JPY-USD"},
		{"a prefix is no part of a name", Policy{Symbols: []string{"C*"}}, tickstorm.Forex, "C.CHF/USD", "C.C:EUR/USD C.EUR/USD"},
		{"contracts", Policy{Symbols: []string{"SPY*", "O:QQQ25*"}}, tickstorm.Options, "Q.O:SPY251219C00650000 Q.SPY251219C00650000 T.O:QQQ251219C00650000", "Q.O:QQQ261219C00650000 Q.*"},
		{"all contracts", Policy{Symbols: []string{"O:*"}}, tickstorm.Options, "Q.O:SPY251219C00650000", "Q.*"},
		{"indices", Policy{Symbols: []string{"I:SP*", "NDX"}}, tickstorm.Indices, "V.I:SPX V.SPX V.I:NDX", "V.I:VIX V.NDXT V.*"},
		{"coins", Policy{Symbols: []string{"BTC-*"}}, tickstorm.Crypto, "XT.BTC-USD XT.BTC/USD XT.X:BTCUSD XL2.BTC-EUR", "XT.ETH-USD XT.BTCX-USD"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.NoError(t, tc.policy.check())
			k := &key{policy: tc.policy}
			for list, want := range map[string]bool{tc.allowed: true, tc.refused: false} {
				for text := range strings.FieldsSeq(list) {
					channel, symbol, _ := strings.Cut(text, ".")
					id := tc.market.Canonical(tickstorm.Topic{Channel: channel, Symbol: symbol})
					for range 2 { // the second time by what was kept
						require.Equal(t, want, k.allows(tc.market, id), text)
					}
				}
			}
		})
	}
}

func TestDoorman(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &doorman{every: time.Second, burst: 3}
		for range 3 {
			d.failed("192.0.2.1:1000")
			require.Zero(t, d.wait("192.0.2.1:1001"))
		}
		d.failed("192.0.2.1:1002")
		require.Equal(t, time.Second, d.wait("192.0.2.1:7"))
		require.Equal(t, time.Second, d.wait("[::ffff:192.0.2.1]:7"), "the same in another spelling")
		require.Zero(t, d.wait("192.0.2.2:7"))
		time.Sleep(time.Second)
		require.Zero(t, d.wait("192.0.2.1:7"))
		d.failed("192.0.2.1:1002")
		require.Positive(t, d.wait("192.0.2.1:7"))
		for i := range 9 {
			d.failed(fmt.Sprintf("[2001:db8:0:1::%d%%eth0]:1", i))
		}
		require.Equal(t, 6*time.Second, d.wait("[2001:db8:0:1:ffff::1]:1"), "a network of one")
		require.Zero(t, d.wait("[2001:db8:0:2::1]:1"))
		for _, mine := range []string{"127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "@", "", "/run/relay", "host:1"} {
			for range 9 {
				d.failed(mine)
			}
			require.Zero(t, d.wait(mine))
		}
		require.Len(t, d.free, 2)
		for i := range 2 * mostBarred {
			d.failed(fmt.Sprintf("10.0.%d.%d:1", i/256, i%256))
		}
		require.LessOrEqual(t, len(d.free), mostBarred)
		time.Sleep(time.Minute)
		d.forget(time.Now())
		require.Empty(t, d.free)
	})
}

// FuzzKeysFile: what is taken is strict JSON, and says of keys what package json reads; what is
// not has a line.
func FuzzKeysFile(f *testing.F) {
	const long = "0123456789abcdef"
	f.Add([]byte(`{"keys":[{"name":"desk","token":"` + long + `","policy":{"markets":["stocks"],"channels":["T"],"symbols":["A*"],"wildcards":false,"max_topics":5,"overflow":"conflate","snapshot":true,"snapshot_on_subscribe":true}}]}`))
	f.Add([]byte(`{"keys":[{"name":"a","token":"` + long + `"},{"name":"b","token":"` + long + `x","policy":{}}]} `))
	f.Add([]byte("{\"keys\":[\n]}\n{"))
	f.Add([]byte(`{"keys":[{"name":"a","name":"b"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := parseKeys("file", text)
		if err != nil {
			var bad *KeysError
			require.True(t, errors.As(err, &bad))
			require.GreaterOrEqual(t, bad.Line, 1)
			require.LessOrEqual(t, bad.Line, 1+strings.Count(string(text), "\n"))
			return
		}
		require.True(t, utf8.Valid(text))
		type policy struct {
			Markets   []tickstorm.Market
			Channels  []string
			Symbols   []string
			Wildcards bool
			MaxTopics int `json:"max_topics"`
			Overflow  string
			Snapshot  bool
			Always    bool `json:"snapshot_on_subscribe"`
		}
		var oracle struct {
			Keys []struct {
				Name, Token string
				Policy      policy
			}
		}
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(&oracle))
		require.True(t, json.Valid(text))
		require.Len(t, set.keys, len(oracle.Keys))
		for i, want := range oracle.Keys {
			got := set.keys[i]
			require.Equal(t, want.Name, got.name)
			require.Same(t, got, set.find(want.Token))
			require.Equal(t, want.Policy, policy{
				got.policy.Markets, got.policy.Channels, got.policy.Symbols, got.policy.Wildcards,
				got.policy.MaxTopics, want.Policy.Overflow, got.policy.Snapshot, got.policy.SnapshotOnSubscribe,
			})
			require.Equal(t, overflows[want.Policy.Overflow], got.policy.Overflow)
		}
	})
}

// TestWrittenWithinATick: a file that looks as it did, because its clock has not ticked between
// two writes, is read again while it is young.
func TestWrittenWithinATick(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	now := time.Now()
	write := func(name string, at time.Time) {
		text := `{"keys":[{"name":"` + name + `","token":"0123456789abcdef"}]}`
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		require.NoError(t, os.Chtimes(path, at, at))
	}
	write("desk", now)
	k, err := LoadKeys(path)
	require.NoError(t, err)
	write("hall", now)
	k.poll()
	require.Equal(t, "hall", k.set.Load().keys[0].name)
	write("room", now.Add(-time.Hour))
	k.poll()
	require.Equal(t, "room", k.set.Load().keys[0].name)
	require.False(t, k.file.changed(), "it is old, and as it was")
	require.EqualValues(t, 3, k.Stats().Loads)
}
