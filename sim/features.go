package sim

import (
	"slices"
	"strings"

	"github.com/tickstorm/tickstorm"
)

// feature is what the generator does for one channel of a market.
type feature struct {
	channel string
	// weight is the channel's share of all events, where everything is subscribed to.
	weight uint32
	// make fills one of the generator's events; r is random.
	make func(g *Generator, s *source, symbol string, st *state, r uint64) tickstorm.Event

	rank int // the place in the table
}

// features is the table of channels by family of markets. The shares of the busy
// channels are those of the corpora; the others are rare on the real feed too.
var features = map[tickstorm.Market][]feature{
	tickstorm.Stocks: {
		{channel: "T", weight: 1800, make: (*Generator).stockTrade},
		{channel: "Q", weight: 8000, make: (*Generator).stockQuote},
		{channel: "A", weight: 150, make: (*Generator).stockBar},
		{channel: "AM", weight: 50, make: (*Generator).stockBar},
		{channel: "LULD", weight: 10, make: (*Generator).priceBand},
		{channel: "NOI", weight: 5, make: (*Generator).auction},
		{channel: "FMV", weight: 20, make: (*Generator).estimate},
		{channel: "LV", weight: 20, make: (*Generator).estimate},
	},
	tickstorm.Options: {
		{channel: "T", weight: 600, make: (*Generator).optionTrade},
		{channel: "Q", weight: 9400, make: (*Generator).optionQuote},
		{channel: "A", weight: 80, make: (*Generator).contractBar},
		{channel: "AM", weight: 40, make: (*Generator).contractBar},
		{channel: "FMV", weight: 20, make: (*Generator).estimate},
		{channel: "LV", weight: 20, make: (*Generator).estimate},
	},
	tickstorm.Forex: {
		{channel: "C", weight: 9800, make: (*Generator).forexQuote},
		{channel: "CAS", weight: 150, make: (*Generator).forexBar},
		{channel: "CA", weight: 50, make: (*Generator).forexBar},
		{channel: "AM", weight: 50, make: (*Generator).launchpadBar},
		{channel: "FMV", weight: 20, make: (*Generator).estimate},
		{channel: "LV", weight: 20, make: (*Generator).estimate},
	},
	tickstorm.Crypto: {
		{channel: "XT", weight: 5000, make: (*Generator).cryptoTrade},
		{channel: "XQ", weight: 4500, make: (*Generator).cryptoQuote},
		{channel: "XL2", weight: 500, make: (*Generator).cryptoBook},
		{channel: "XAS", weight: 100, make: (*Generator).cryptoBar},
		{channel: "XA", weight: 50, make: (*Generator).cryptoBar},
		{channel: "AM", weight: 50, make: (*Generator).launchpadBar},
		{channel: "FMV", weight: 20, make: (*Generator).estimate},
		{channel: "LV", weight: 20, make: (*Generator).estimate},
	},
	tickstorm.Indices: {
		{channel: "V", weight: 9500, make: (*Generator).indexValue},
		{channel: "A", weight: 400, make: (*Generator).indexBar},
		{channel: "AM", weight: 100, make: (*Generator).indexBar},
	},
	tickstorm.Futures: {
		{channel: "T", weight: 1800, make: (*Generator).futuresTrade},
		{channel: "Q", weight: 8000, make: (*Generator).futuresQuote},
		{channel: "A", weight: 150, make: (*Generator).futuresBar},
		{channel: "AM", weight: 50, make: (*Generator).futuresBar},
	},
}

func init() {
	for _, channels := range features {
		for i := range channels {
			channels[i].rank = i
		}
	}
}

// family is the market whose events a market's have the shape of.
func family(m tickstorm.Market) tickstorm.Market {
	if !slices.Contains(tickstorm.Markets(), m) {
		return m
	}
	first, _, _ := strings.Cut(string(m), "/")
	return tickstorm.Market(first)
}

func featuresOf(m tickstorm.Market) []feature { return features[family(m)] }

func featureOf(m tickstorm.Market, channel string) *feature {
	channels := featuresOf(m)
	for i := range channels {
		if channels[i].channel == channel {
			return &channels[i]
		}
	}
	return nil
}
