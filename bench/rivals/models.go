package rivals

import (
	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

// models are what libraries decode into that go by the tags of structs: an event of each
// kind, used over and over.
type models struct {
	market      tickstorm.Market
	equityTrade bench.EquityTrade
	equityQuote bench.EquityQuote
	equityAgg   bench.EquityAgg
	forexQuote  bench.ForexQuote
	cryptoTrade bench.CryptoTrade
	cryptoQuote bench.CryptoQuote
	book        level2Book
}

// next returns the event to decode into, cleared but for the memory of its lists, nil if
// the market has none such.
func (m *models) next(ev []byte) bench.Model {
	if equities(m.market) {
		switch string(ev) {
		case "T":
			m.equityTrade = bench.EquityTrade{Conditions: m.equityTrade.Conditions[:0]}
			return &m.equityTrade
		case "Q":
			m.equityQuote = bench.EquityQuote{Indicators: m.equityQuote.Indicators[:0]}
			return &m.equityQuote
		case "A", "AM":
			m.equityAgg = bench.EquityAgg{}
			return &m.equityAgg
		}
		return nil
	}
	switch string(ev) {
	case "C":
		m.forexQuote = bench.ForexQuote{}
		return &m.forexQuote
	case "XT":
		m.cryptoTrade = bench.CryptoTrade{Conditions: m.cryptoTrade.Conditions[:0]}
		return &m.cryptoTrade
	case "XQ":
		m.cryptoQuote = bench.CryptoQuote{}
		return &m.cryptoQuote
	case "XL2":
		b := &m.book
		*b = level2Book{Bids: b.Bids[:0], Asks: b.Asks[:0], levels: b.levels}
		return b
	}
	return nil
}

// level2Book is bench.Level2Book with levels that need no memory of their own each, which
// the official client's do.
type level2Book struct {
	EventType         string       `json:"ev"`
	Pair              string       `json:"pair"`
	Bids              [][2]float64 `json:"b"`
	Asks              [][2]float64 `json:"a"`
	Timestamp         int64        `json:"t"`
	ExchangeID        int32        `json:"x"`
	ReceivedTimestamp int64        `json:"r"`

	levels []tickstorm.Level // for Fold
}

func (b *level2Book) Fold(c *bench.Checksum) {
	b.levels = b.levels[:0]
	for _, side := range [...][][2]float64{b.Bids, b.Asks} {
		for _, l := range side {
			b.levels = append(b.levels, tickstorm.Level{Price: l[0], Size: l[1]})
		}
	}
	book := tickstorm.Book{
		Bids: b.levels[:len(b.Bids)], Asks: b.levels[len(b.Bids):],
		Timestamp: tickstorm.Timestamp(b.Timestamp), Exchange: b.ExchangeID,
		VendorReceived: tickstorm.Timestamp(b.ReceivedTimestamp),
	}
	book.Symbol = b.Pair
	c.Book(&book)
}
