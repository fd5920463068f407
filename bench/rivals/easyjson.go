package rivals

import (
	"github.com/mailru/easyjson"
	"github.com/mailru/easyjson/jlexer"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

//go:generate go tool easyjson -no_std_marshalers -output_filename easyjson_generated.go easyjson.go

// The models of package bench once more: easyjson makes code that does not compile for a
// struct with another in it that has a field of its own name, as EventType is there.
//
//easyjson:json
type (
	easyTrade struct {
		EventType            string  `json:"ev"`
		Symbol               string  `json:"sym"`
		Exchange             int32   `json:"x"`
		ID                   string  `json:"i"`
		Tape                 int32   `json:"z"`
		Price                float64 `json:"p"`
		Size                 float64 `json:"s"`
		SizeDecimal          string  `json:"ds"`
		Conditions           []int32 `json:"c"`
		Timestamp            int64   `json:"t"`
		ParticipantTimestamp int64   `json:"pt"`
		SequenceNumber       int64   `json:"q"`
		TRF                  int64   `json:"trfi"`
		TRFTimestamp         int64   `json:"trft"`
	}
	easyQuote struct {
		EventType            string  `json:"ev"`
		Symbol               string  `json:"sym"`
		BidExchangeID        int32   `json:"bx"`
		BidPrice             float64 `json:"bp"`
		BidSize              float64 `json:"bs"`
		AskExchangeID        int32   `json:"ax"`
		AskPrice             float64 `json:"ap"`
		AskSize              float64 `json:"as"`
		Condition            int32   `json:"c"`
		Indicators           []int32 `json:"i"`
		Timestamp            int64   `json:"t"`
		ParticipantTimestamp int64   `json:"pt"`
		Tape                 int32   `json:"z"`
		SequenceNumber       int64   `json:"q"`
		TRF                  int64   `json:"trfi"`
		TRFTimestamp         int64   `json:"trft"`
	}
	easyAgg struct {
		EventType                string  `json:"ev"`
		Symbol                   string  `json:"sym"`
		Volume                   float64 `json:"v"`
		VolumeDecimal            string  `json:"dv"`
		AccumulatedVolume        float64 `json:"av"`
		AccumulatedVolumeDecimal string  `json:"dav"`
		OfficialOpenPrice        float64 `json:"op"`
		VWAP                     float64 `json:"vw"`
		Open                     float64 `json:"o"`
		Close                    float64 `json:"c"`
		High                     float64 `json:"h"`
		Low                      float64 `json:"l"`
		AggregateVWAP            float64 `json:"a"`
		AverageSize              float64 `json:"z"`
		StartTimestamp           int64   `json:"s"`
		EndTimestamp             int64   `json:"e"`
		OTC                      bool    `json:"otc"`
	}
	easyForexQuote struct {
		EventType  string  `json:"ev"`
		Pair       string  `json:"p"`
		ExchangeID int32   `json:"x"`
		AskPrice   float64 `json:"a"`
		BidPrice   float64 `json:"b"`
		Indicator  int32   `json:"i"`
		Timestamp  int64   `json:"t"`
	}
	easyCryptoTrade struct {
		EventType         string  `json:"ev"`
		Pair              string  `json:"pair"`
		Exchange          int32   `json:"x"`
		ID                string  `json:"i"`
		Price             float64 `json:"p"`
		Size              float64 `json:"s"`
		Conditions        []int32 `json:"c"`
		Timestamp         int64   `json:"t"`
		ReceivedTimestamp int64   `json:"r"`
	}
	easyCryptoQuote struct {
		EventType         string  `json:"ev"`
		Pair              string  `json:"pair"`
		LastPrice         float64 `json:"lp"`
		LastSize          float64 `json:"ls"`
		BidPrice          float64 `json:"bp"`
		BidSize           float64 `json:"bs"`
		AskPrice          float64 `json:"ap"`
		AskSize           float64 `json:"as"`
		Timestamp         int64   `json:"t"`
		ExchangeID        int32   `json:"x"`
		ReceivedTimestamp int64   `json:"r"`
	}
	easyBook level2Book
)

// easy is easyjson, whose lexer goes on from one element to the next. Its events are
// used over and over.
type easy struct {
	market      tickstorm.Market
	equityTrade easyTrade
	equityQuote easyQuote
	equityAgg   easyAgg
	forexQuote  easyForexQuote
	cryptoTrade easyCryptoTrade
	cryptoQuote easyCryptoQuote
	book        easyBook
}

func newEasyJSON(m tickstorm.Market) bench.Decoder { return &easy{market: m} }

func (d *easy) Decode(msg []byte, sum *bench.Checksum) error {
	l := jlexer.Lexer{Data: msg}
	for l.Delim('['); !l.IsDelim(']'); l.WantComma() {
		ev := eventOf(msg[l.GetPos()-1:]) // its brace has been seen
		e := d.next(ev)
		if e == nil {
			return unexpected(ev)
		}
		e.UnmarshalEasyJSON(&l)
		if !l.Ok() {
			break
		}
		e.Fold(sum)
	}
	l.Delim(']')
	l.Consumed()
	return l.Error()
}

type easyEvent interface {
	easyjson.Unmarshaler
	bench.Model
}

func (d *easy) next(ev []byte) easyEvent {
	if equities(d.market) {
		switch string(ev) {
		case "T":
			d.equityTrade = easyTrade{Conditions: d.equityTrade.Conditions[:0]}
			return &d.equityTrade
		case "Q":
			d.equityQuote = easyQuote{Indicators: d.equityQuote.Indicators[:0]}
			return &d.equityQuote
		case "A", "AM":
			d.equityAgg = easyAgg{}
			return &d.equityAgg
		}
		return nil
	}
	switch string(ev) {
	case "C":
		d.forexQuote = easyForexQuote{}
		return &d.forexQuote
	case "XT":
		d.cryptoTrade = easyCryptoTrade{Conditions: d.cryptoTrade.Conditions[:0]}
		return &d.cryptoTrade
	case "XQ":
		d.cryptoQuote = easyCryptoQuote{}
		return &d.cryptoQuote
	case "XL2":
		b := &d.book
		*b = easyBook{Bids: b.Bids[:0], Asks: b.Asks[:0], levels: b.levels}
		return b
	}
	return nil
}

func (e *easyTrade) Fold(c *bench.Checksum) {
	b := bench.EquityTrade{
		Symbol: e.Symbol, Exchange: e.Exchange, ID: e.ID,
		Tape: e.Tape, Price: e.Price, Size: e.Size,
		SizeDecimal: e.SizeDecimal, Conditions: e.Conditions, Timestamp: e.Timestamp,
		ParticipantTimestamp: e.ParticipantTimestamp, SequenceNumber: e.SequenceNumber, TRF: e.TRF,
		TRFTimestamp: e.TRFTimestamp,
	}
	b.Fold(c)
}

func (e *easyQuote) Fold(c *bench.Checksum) {
	b := bench.EquityQuote{
		Symbol: e.Symbol, BidExchangeID: e.BidExchangeID, BidPrice: e.BidPrice,
		BidSize: e.BidSize, AskExchangeID: e.AskExchangeID, AskPrice: e.AskPrice,
		AskSize: e.AskSize, Condition: e.Condition, Indicators: e.Indicators,
		Timestamp: e.Timestamp, ParticipantTimestamp: e.ParticipantTimestamp, Tape: e.Tape,
		SequenceNumber: e.SequenceNumber, TRF: e.TRF, TRFTimestamp: e.TRFTimestamp,
	}
	b.Fold(c)
}

func (e *easyAgg) Fold(c *bench.Checksum) {
	b := bench.EquityAgg{
		Symbol: e.Symbol, Volume: e.Volume, VolumeDecimal: e.VolumeDecimal,
		AccumulatedVolume: e.AccumulatedVolume, AccumulatedVolumeDecimal: e.AccumulatedVolumeDecimal, OfficialOpenPrice: e.OfficialOpenPrice,
		VWAP: e.VWAP, Open: e.Open, Close: e.Close,
		High: e.High, Low: e.Low, AggregateVWAP: e.AggregateVWAP,
		AverageSize: e.AverageSize, StartTimestamp: e.StartTimestamp, EndTimestamp: e.EndTimestamp,
		OTC: e.OTC,
	}
	b.Fold(c)
}

func (e *easyForexQuote) Fold(c *bench.Checksum) {
	b := bench.ForexQuote{
		Pair: e.Pair, ExchangeID: e.ExchangeID, AskPrice: e.AskPrice,
		BidPrice: e.BidPrice, Indicator: e.Indicator, Timestamp: e.Timestamp,
	}
	b.Fold(c)
}

func (e *easyCryptoTrade) Fold(c *bench.Checksum) {
	b := bench.CryptoTrade{
		Pair: e.Pair, Exchange: e.Exchange, ID: e.ID,
		Price: e.Price, Size: e.Size, Conditions: e.Conditions,
		Timestamp: e.Timestamp, ReceivedTimestamp: e.ReceivedTimestamp,
	}
	b.Fold(c)
}

func (e *easyCryptoQuote) Fold(c *bench.Checksum) {
	b := bench.CryptoQuote{
		Pair: e.Pair, LastPrice: e.LastPrice, LastSize: e.LastSize,
		BidPrice: e.BidPrice, BidSize: e.BidSize, AskPrice: e.AskPrice,
		AskSize: e.AskSize, Timestamp: e.Timestamp, ExchangeID: e.ExchangeID,
		ReceivedTimestamp: e.ReceivedTimestamp,
	}
	b.Fold(c)
}

func (e *easyBook) Fold(c *bench.Checksum) { (*level2Book)(e).Fold(c) }
