package nats_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
)

// TestEscape: every text is one token, and comes back.
func TestEscape(t *testing.T) {
	for text, token := range map[string]string{
		"AAPL": "AAPL", "BRK.B": "BRK%2EB", "50%": "50%25", "A B": "A%20B", "*": "%2A", ">": "%3E", "": "%",
		"EUR/USD": "EUR/USD", "O:SPY241220P00720000": "O:SPY241220P00720000", "ä": "ä", "\x00\t\x7f": "%00%09%7F",
	} {
		require.Equal(t, token, sinknats.Escape(text))
		back, err := sinknats.Unescape(token)
		require.NoError(t, err)
		require.Equal(t, text, back)
	}
	for _, token := range []string{"", "%2", "%zz", "a.b", "a b", "a%"} {
		_, err := sinknats.Unescape(token)
		require.ErrorIs(t, err, sinknats.ErrToken, token)
	}
}

// TestSubjects: what rows, partitions and streams are called.
func TestSubjects(t *testing.T) {
	one, eight := sinknats.Layout{Prefix: "md", Partitions: 1}, sinknats.Layout{Prefix: "md", Partitions: 8}
	for _, c := range []struct {
		row         sink.Row
		want, of8   string
		subjects    []string
		subjectsOf8 []string
	}{
		{sink.Row{Market: tickstorm.Stocks, Channel: "T", Symbol: "BRK.B"}, "md.stocks.T.BRK%2EB", "md.stocks.T.BRK%2EB.3of8",
			[]string{"md.stocks.*.*"}, []string{"md.stocks.*.*.3of8"}},
		{sink.Row{Market: tickstorm.Options, Channel: "Q", Symbol: "O:BRKB251219C00150000"}, "md.options.Q.BRKB.O:BRKB251219C00150000", "md.options.Q.BRKB.O:BRKB251219C00150000.3of8",
			[]string{"md.options.*.*.*", "md.options.notice.*"}, []string{"md.options.*.*.*.3of8", "md.options.notice.*.3of8"}},
		{sink.Row{Market: tickstorm.Options, Channel: "status"}, "md.options.status.%.%", "md.options.status.%.%.3of8", nil, nil},
		{sink.Row{Market: tickstorm.FuturesCME, Channel: "T", Symbol: "ESZ5"}, "md.futures-cme.T.ESZ5", "md.futures-cme.T.ESZ5.3of8",
			[]string{"md.futures-cme.*.*"}, nil},
		{sink.Row{Market: tickstorm.Stocks, Notice: &sink.Notice{Kind: "gap"}}, "md.stocks.notice.gap", "md.stocks.notice.gap.3of8", nil, nil},
		{sink.Row{Market: tickstorm.Stocks, Channel: "notice", Symbol: "gap"}, "md.stocks.%6Eotice.gap", "md.stocks.%6Eotice.gap.3of8", nil, nil},
		{sink.Row{Market: tickstorm.Stocks}, "md.stocks.%.%", "md.stocks.%.%.3of8", nil, nil},
	} {
		require.Equal(t, c.want, one.Subject(&c.row, 0))
		require.Equal(t, c.of8, eight.Subject(&c.row, 3))
		if c.subjects != nil {
			require.Equal(t, c.subjects, one.Subjects(c.row.Market, 0))
		}
		if c.subjectsOf8 != nil {
			require.Equal(t, c.subjectsOf8, eight.Subjects(c.row.Market, 3))
		}
	}
	require.Equal(t, "md_futures-cme", one.Stream(tickstorm.FuturesCME, 0))
	require.Equal(t, "md_stocks_3of8", eight.Stream(tickstorm.Stocks, 3))
	require.Zero(t, one.Partition("AAPL"))
	require.Zero(t, eight.Partition(""))
	for symbol, want := range map[string]int{"AAPL": 6, "MSFT": 6, "SPY": 6} { // for ever
		require.Equal(t, want, eight.Partition(symbol), symbol)
	}
	for _, bad := range []sinknats.Layout{{Prefix: "a.b"}, {Partitions: -1}, {Partitions: sinknats.MaxPartitions + 1}} {
		_, err := sinknats.NewCore(nil, bad)
		require.Error(t, err)
		_, err = sinknats.NewEngine(nil, sinknats.Config{Layout: bad})
		require.Error(t, err)
		_, err = sinknats.NewConsumer(nil, sinknats.ConsumerConfig{Layout: bad})
		require.Error(t, err)
	}
}
