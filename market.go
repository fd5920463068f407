package tickstorm

import (
	"strings"

	"github.com/tickstorm/tickstorm/internal/redact"
)

// Market names what one connection carries; it is the path of the WebSocket URL.
// The vendor serves exactly one market per connection. Any string works, so that a
// market newer than this library can be dialled; a market that is not listed here
// delivers its status events typed and everything else to [Handler].OnUnknown.
type Market string

// The vendor's markets.
const (
	Stocks  Market = "stocks"
	Options Market = "options"
	Forex   Market = "forex"
	Crypto  Market = "crypto"
	Indices Market = "indices"
	// Futures carries all four exchanges below.
	Futures      Market = "futures"
	FuturesCME   Market = "futures/cme"
	FuturesCBOT  Market = "futures/cbot"
	FuturesNYMEX Market = "futures/nymex"
	FuturesCOMEX Market = "futures/comex"
)

// Markets returns the vendor's markets, in the order of the constants.
func Markets() []Market {
	return []Market{Stocks, Options, Forex, Crypto, Indices, Futures, FuturesCME, FuturesCBOT, FuturesNYMEX, FuturesCOMEX}
}

// class is the part of the path that decides the shape of events: the exchange
// paths below futures carry what futures carries.
func (m Market) class() string {
	s, _, _ := strings.Cut(string(m), "/")
	return s
}

// Feed is the scheme and host that a connection goes to, such as [RealTime]; the
// [Market] is its path. Any "wss://host" or "ws://host:port" works: the vendor adds
// hosts per product, and serves each of these under polygon.io as well. A relay reads a query
// behind it: see Config.Feed.
type Feed string

// shown is a feed without what nobody is to read: its query, and whom it names.
func (f Feed) shown() string {
	text := redact.Address(string(f))
	if end := strings.IndexAny(text, "?#"); end >= 0 {
		text = text[:end]
	}
	return text
}

// The vendor's feeds. Which of them a key may use depends on its plan.
const (
	RealTime Feed = "wss://socket.massive.com"  // the default
	Delayed  Feed = "wss://delayed.massive.com" // 15 minutes behind (futures: 10)

	Launchpad Feed = "wss://launchpad.massive.com"
	Business  Feed = "wss://business.massive.com"

	EdgxBusiness           Feed = "wss://edgx-business.massive.com"
	IEXBusiness            Feed = "wss://iex-business.massive.com"
	FullMarketBusiness     Feed = "wss://fullmarket-business.massive.com"
	NasdaqLastSaleBusiness Feed = "wss://nasdaq-last-sale-business.massive.com"
	NasdaqBasicBusiness    Feed = "wss://nasdaq-basic-business.massive.com"

	DelayedBusiness               Feed = "wss://delayed-business.massive.com"
	DelayedEdgxBusiness           Feed = "wss://delayed-edgx-business.massive.com"
	DelayedFullMarketBusiness     Feed = "wss://delayed-fullmarket-business.massive.com"
	DelayedNasdaqLastSaleBusiness Feed = "wss://delayed-nasdaq-last-sale-business.massive.com"
	DelayedNasdaqBasicBusiness    Feed = "wss://delayed-nasdaq-basic-business.massive.com"

	// Feeds that the vendor keeps for customers who already have them.
	Nasdaq       Feed = "wss://nasdaqfeed.massive.com"
	PolyFeed     Feed = "wss://polyfeed.massive.com"
	PolyFeedPlus Feed = "wss://polyfeedplus.massive.com"
	Starter      Feed = "wss://starterfeed.massive.com"
)
