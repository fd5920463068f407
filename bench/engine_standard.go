package bench

import (
	"encoding/json"

	"github.com/tickstorm/tickstorm"
)

// standardDecoder decodes as the official Go client does: encoding/json three times
// over, for the elements of the array, for the ev of each, and for its fields.
type standardDecoder struct{ market tickstorm.Market }

func newStandardDecoder(m tickstorm.Market) Decoder { return standardDecoder{m} }

func (d standardDecoder) Decode(msg []byte, sum *Checksum) error {
	var elements []json.RawMessage
	if err := json.Unmarshal(msg, &elements); err != nil {
		return err
	}
	for _, element := range elements {
		var t EventType
		if err := json.Unmarshal(element, &t); err != nil {
			return err
		}
		e := NewModel(d.market, t.EventType)
		if e == nil {
			return unexpected(t.EventType)
		}
		if err := json.Unmarshal(element, e); err != nil {
			return err
		}
		e.Fold(sum)
	}
	return nil
}

// NewModel returns an empty event of a market by its ev, nil if no corpus has such.
func NewModel(m tickstorm.Market, ev string) Model {
	switch m {
	case tickstorm.Stocks, tickstorm.Options:
		switch ev {
		case "T":
			return new(EquityTrade)
		case "Q":
			return new(EquityQuote)
		case "A", "AM":
			return new(EquityAgg)
		}
	case tickstorm.Forex:
		if ev == "C" {
			return new(ForexQuote)
		}
	case tickstorm.Crypto:
		switch ev {
		case "XT":
			return new(CryptoTrade)
		case "XQ":
			return new(CryptoQuote)
		case "XL2":
			return new(Level2Book)
		}
	}
	return nil
}
