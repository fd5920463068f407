package fuzz

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// FuzzTopic: a topic that can be read is written as it was, its canonical form is the
// last one, and a list is read as its parts are.
func FuzzTopic(f *testing.F) {
	for _, seed := range []string{
		"T.AAPL", "T.*", "T.BRK.B", "Q.O:SPY241220P00720000", "C.EUR/USD", "C.eurusd", "C.C:eur-usd", "FMV.C:EURUSD", "AM.C:USD-EUR", "AM.usd/eur",
		"XT.X:BTC-USD", "XQ.btc/usd", "LV.X:btc-usd", "V.I:SPX", "V.spx", "T.AMpB", "status.T.A", "ZZ.zz", "C.C:C:EUR--USD", "C.ééé", "T.", ".", "", "T.A,Q.B", " T.A , Q.B ", "T.\xff",
		"V.ı:spx", "FMV.C-:X", "XT.BTCUSD", "XT.X:btcusdt", "FMV.x:WBTC", "XT.1INCHUSD", "Q.O:*", "FMV.C:-*", "AM.X:X:*", "T.SPY*", "T.T.AAPL", "XT.XT.X:BTC-USD", "T.A.WI",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		topic, err := tickstorm.ParseTopic(text)
		if err != nil {
			require.ErrorIs(t, err, tickstorm.ErrBadTopic)
			require.True(t, utf8.ValidString(strings.ToValidUTF8(err.Error(), "")))
		} else {
			require.Equal(t, text, topic.String())
			require.NotEmpty(t, topic.Channel)
			require.NotEmpty(t, topic.Symbol)
			require.False(t, strings.ContainsAny(text, " ,\"\\\t\n"))
			list, err := tickstorm.ParseTopics(" " + text + ",\t" + text)
			require.NoError(t, err)
			require.Equal(t, []tickstorm.Topic{topic, topic}, list)
		}

		// What cannot be sent has a canonical form all the same.
		channel, symbol, _ := strings.Cut(text, ".")
		for _, m := range append(tickstorm.Markets(), "bonds") {
			once := m.Canonical(tickstorm.Topic{Channel: channel, Symbol: symbol})
			require.Equal(t, once, m.Canonical(once), "%s", m)
			require.Equal(t, channel, once.Channel)
			if utf8.ValidString(symbol) {
				require.True(t, utf8.ValidString(once.Symbol))
			}
			for _, s := range m.Streams() {
				topics, err := m.Topics(s, symbol)
				if err != nil {
					require.ErrorIs(t, err, tickstorm.ErrBadTopic)
					continue
				}
				require.True(t, utf8.ValidString(symbol), "bad bytes are refused, not replaced")
				back, err := tickstorm.ParseTopic(topics[0].String())
				require.NoError(t, err)
				require.Equal(t, topics[0], back)
				require.Equal(t, back, m.Canonical(back))
				require.True(t, back.Symbol == tickstorm.All || !strings.Contains(back.Symbol, tickstorm.All), "no partial wildcards")
				again, err := m.Topics(s, back.Symbol)
				require.NoError(t, err, "what can be asked for can be asked for in its canonical form")
				require.Equal(t, topics, again)
			}
		}

		list, err := tickstorm.ParseTopics(text)
		if err != nil {
			require.ErrorIs(t, err, tickstorm.ErrBadTopic)
			return
		}
		parts := strings.Split(text, ",")
		require.Len(t, list, len(parts))
		for i, part := range parts {
			require.Equal(t, strings.TrimSpace(part), list[i].String())
		}
	})
}
