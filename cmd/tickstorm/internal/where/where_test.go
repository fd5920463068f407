package where

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

func TestFilter(t *testing.T) {
	parse := func(m tickstorm.Market, raw string, do func(tickstorm.Event)) {
		require.NoError(t, tickstorm.NewParser(m).Parse([]byte(raw), taker{do: do}))
	}
	const (
		trade    = `{"ev":"T","sym":"BRK.B","p":480.5,"s":100}`
		fraction = `{"ev":"T","sym":"AAPL","p":200,"s":0,"ds":"0.5"}`
		quote    = `{"ev":"Q","sym":"AAPL","bp":199.5,"bs":200,"ap":200.5,"as":300}`
		bar      = `{"ev":"AM","sym":"MSFT","c":500,"v":12345}`
		empty    = `{"ev":"T","sym":"AAPL"}`
	)
	for _, c := range []struct {
		raw, condition string
		want           bool
	}{
		{trade, "", true},
		{trade, "sym=BRK.B", true},
		{trade, "symbol == AAPL, BRK.B", true},
		{trade, "sym=BRK", false},
		{trade, "sym=brk.b", true},
		{trade, "sym=Brk.b", false},
		{trade, "sym~brk*", true},
		{trade, "sym~eur/*,BRK[./]B", true},
		{trade, "sym!=BRK.B,AAPL", false},
		{trade, "sym!=AAPL", true},
		{trade, "sym~BRK.*", true},
		{trade, "sym~A*,B?K.B", true},
		{trade, "sym~AAPL", false},
		{trade, "price>480", true},
		{trade, "price > 480.5", false},
		{trade, "price>=480.5", true},
		{trade, "price<480.5", false},
		{trade, "price<=480.5", true},
		{trade, "price=480.5", true},
		{trade, "price!=480.5", false},
		{trade, "price>480 and size<101 and sym=BRK.B", true},
		{trade, "price>480 and size<100", false},
		{trade, "bid>0", false},
		{fraction, "size=0.5", true},
		{quote, "bid<200 and ask>200 and bid_size=200 and ask_size=300", true},
		{quote, "price>0", false},
		{bar, "price=500 and size>=12345", true},
		{empty, "price<1", false},
		{empty, "price>=1", false},
	} {
		var texts []string
		if c.condition != "" {
			texts = append(texts, c.condition)
		}
		f, err := Parse(texts...)
		require.NoError(t, err, c.condition)
		require.Equal(t, len(texts) == 0, f.Zero())
		seen := 0
		parse(tickstorm.Stocks, "["+c.raw+"]", func(e tickstorm.Event) {
			seen++
			require.Equal(t, c.want, f.Event(e), "%s: %s", c.raw, c.condition)
		})
		require.Equal(t, 1, seen)
	}
	f, err := Parse("sym~EUR*", "sym!=EUR/JPY")
	require.NoError(t, err)
	require.False(t, f.Numeric())
	require.True(t, f.Symbol([]byte("EUR/USD")), "a slash is nothing special")
	require.False(t, f.Symbol([]byte("EUR/JPY")))
	require.False(t, f.Symbol(nil))
	f, err = Parse("price>1")
	require.NoError(t, err)
	require.True(t, f.Numeric())
	parse(tickstorm.Indices, `[{"ev":"V","T":"I:SPX","val":6000}]`, func(e tickstorm.Event) { require.True(t, f.Event(e)) })
}

func TestBadConditions(t *testing.T) {
	for _, bad := range []string{"", "price", "price>", ">1", "price>x", "price<NaN", "price~1", "sym>A", "sym=", "sym=A,,B", "sym~[", "volume>1", "price>1 and", "price!1", "!"} {
		_, err := Parse(bad)
		require.ErrorIs(t, err, ErrForm, "%q", bad)
	}
}

type taker struct {
	tickstorm.NopHandler
	do func(tickstorm.Event)
}

func (k taker) OnTrade(e *tickstorm.Trade)         { k.do(e) }
func (k taker) OnQuote(e *tickstorm.Quote)         { k.do(e) }
func (k taker) OnAggregate(e *tickstorm.Aggregate) { k.do(e) }
func (k taker) OnValue(e *tickstorm.Value)         { k.do(e) }
