package bench

import (
	"unsafe"

	"github.com/valyala/fastjson"
	"github.com/valyala/fastjson/fastfloat"

	"github.com/tickstorm/tickstorm"
)

// rawDecoder is what somebody in a hurry writes with fastjson: the whole message at once,
// each object visited once, its values put into events that are used over and over.
// Nothing is checked or limited, symbols are not interned and lie in the parser's
// memory, keys are those of the corpora, and numbers are as exact as fastjson makes
// them. What the library adds to this is the difference to the engine fastjson.
type rawDecoder struct {
	market tickstorm.Market
	parser fastjson.Parser

	trade     tickstorm.Trade
	quote     tickstorm.Quote
	aggregate tickstorm.Aggregate
	book      tickstorm.Book

	// The method values are made once: each use would allocate.
	equityTrade, equityQuote, equityAggregate, forexQuote, cryptoTrade, cryptoQuote, level2 func([]byte, *fastjson.Value)
}

func newRawDecoder(m tickstorm.Market) Decoder {
	d := &rawDecoder{market: m}
	d.equityTrade, d.equityQuote, d.equityAggregate = d.onEquityTrade, d.onEquityQuote, d.onEquityAggregate
	d.forexQuote, d.cryptoTrade, d.cryptoQuote, d.level2 = d.onForexQuote, d.onCryptoTrade, d.onCryptoQuote, d.onLevel2
	return d
}

func (d *rawDecoder) Decode(msg []byte, sum *Checksum) error {
	v, err := d.parser.ParseBytes(msg)
	if err != nil {
		return err
	}
	elements, err := v.Array()
	if err != nil {
		return err
	}
	equities := d.market == tickstorm.Stocks || d.market == tickstorm.Options
	for _, element := range elements {
		object, err := element.Object()
		if err != nil {
			return err
		}
		ev := object.Get("ev").GetStringBytes()
		switch {
		case equities && string(ev) == "Q":
			d.newQuote(object, d.equityQuote, sum)
		case equities && string(ev) == "T":
			d.newTrade(object, d.equityTrade, sum)
		case equities && (string(ev) == "A" || string(ev) == "AM"):
			d.aggregate = tickstorm.Aggregate{}
			object.Visit(d.equityAggregate)
			sum.Aggregate(&d.aggregate)
		case string(ev) == "C":
			d.newQuote(object, d.forexQuote, sum)
		case string(ev) == "XT":
			d.newTrade(object, d.cryptoTrade, sum)
		case string(ev) == "XQ":
			d.newQuote(object, d.cryptoQuote, sum)
		case string(ev) == "XL2":
			d.book = tickstorm.Book{Bids: d.book.Bids[:0], Asks: d.book.Asks[:0]}
			object.Visit(d.level2)
			sum.Book(&d.book)
		default:
			return unexpected(string(ev))
		}
	}
	return nil
}

func (d *rawDecoder) newTrade(object *fastjson.Object, fill func([]byte, *fastjson.Value), sum *Checksum) {
	d.trade = tickstorm.Trade{Conditions: d.trade.Conditions[:0]}
	object.Visit(fill)
	sum.Trade(&d.trade)
}

func (d *rawDecoder) newQuote(object *fastjson.Object, fill func([]byte, *fastjson.Value), sum *Checksum) {
	d.quote = tickstorm.Quote{Conditions: d.quote.Conditions[:0], Indicators: d.quote.Indicators[:0]}
	object.Visit(fill)
	sum.Quote(&d.quote)
}

func (d *rawDecoder) onEquityTrade(key []byte, v *fastjson.Value) {
	t := &d.trade
	switch string(key) {
	case "sym":
		t.Symbol = rawString(v)
	case "i":
		t.ID = v.GetStringBytes()
	case "x":
		t.Exchange = int32(v.GetInt())
	case "p":
		t.Price = v.GetFloat64()
	case "s":
		t.Size = v.GetFloat64()
	case "c":
		t.Conditions = rawList(t.Conditions, v)
	case "t":
		t.Timestamp = tickstorm.Timestamp(v.GetInt64())
	case "pt":
		t.ParticipantTimestamp = tickstorm.Timestamp(v.GetInt64())
	case "q":
		t.Sequence = v.GetInt64()
	case "z":
		t.Tape = int32(v.GetInt())
	case "trfi":
		t.TRF = v.GetInt64()
	case "trft":
		t.TRFTimestamp = tickstorm.Timestamp(v.GetInt64())
	case "ds":
		t.SizeDecimal = rawDecimal(v)
	}
}

func (d *rawDecoder) onEquityQuote(key []byte, v *fastjson.Value) {
	q := &d.quote
	switch string(key) {
	case "sym":
		q.Symbol = rawString(v)
	case "c":
		q.Conditions = rawList(q.Conditions, v)
	case "i":
		q.Indicators = rawList(q.Indicators, v)
	case "bx":
		q.BidExchange = int32(v.GetInt())
	case "ax":
		q.AskExchange = int32(v.GetInt())
	case "bp":
		q.BidPrice = v.GetFloat64()
	case "ap":
		q.AskPrice = v.GetFloat64()
	case "bs":
		q.BidSize = v.GetFloat64()
	case "as":
		q.AskSize = v.GetFloat64()
	case "t":
		q.Timestamp = tickstorm.Timestamp(v.GetInt64())
	case "pt":
		q.ParticipantTimestamp = tickstorm.Timestamp(v.GetInt64())
	case "q":
		q.Sequence = v.GetInt64()
	case "z":
		q.Tape = int32(v.GetInt())
	case "trfi":
		q.TRF = v.GetInt64()
	case "trft":
		q.TRFTimestamp = tickstorm.Timestamp(v.GetInt64())
	}
}

func (d *rawDecoder) onEquityAggregate(key []byte, v *fastjson.Value) {
	a := &d.aggregate
	switch string(key) {
	case "sym":
		a.Symbol = rawString(v)
	case "v":
		a.Volume = v.GetFloat64()
	case "av":
		a.DayVolume = v.GetFloat64()
	case "op":
		a.OfficialOpen = v.GetFloat64()
	case "vw":
		a.VWAP = v.GetFloat64()
	case "o":
		a.Open = v.GetFloat64()
	case "c":
		a.Close = v.GetFloat64()
	case "h":
		a.High = v.GetFloat64()
	case "l":
		a.Low = v.GetFloat64()
	case "a":
		a.DayVWAP = v.GetFloat64()
	case "z":
		a.AverageSize = v.GetFloat64()
	case "s":
		a.Start = tickstorm.Timestamp(v.GetInt64())
	case "e":
		a.End = tickstorm.Timestamp(v.GetInt64())
	case "dv":
		a.VolumeDecimal = rawDecimal(v)
	case "dav":
		a.DayVolumeDecimal = rawDecimal(v)
	case "otc":
		a.OTC = v.GetBool()
	}
}

func (d *rawDecoder) onForexQuote(key []byte, v *fastjson.Value) {
	q := &d.quote
	switch string(key) {
	case "p":
		q.Symbol = rawString(v)
	case "x":
		q.Exchange = int32(v.GetInt())
	case "a":
		q.AskPrice = v.GetFloat64()
	case "b":
		q.BidPrice = v.GetFloat64()
	case "t":
		q.Timestamp = tickstorm.Timestamp(v.GetInt64())
	case "i":
		q.Indicators = rawList(q.Indicators, v)
	}
}

func (d *rawDecoder) onCryptoTrade(key []byte, v *fastjson.Value) {
	t := &d.trade
	switch string(key) {
	case "pair":
		t.Symbol = rawString(v)
	case "p":
		t.Price = v.GetFloat64()
	case "t":
		t.Timestamp = tickstorm.Timestamp(v.GetInt64())
	case "s":
		t.Size = v.GetFloat64()
	case "c":
		t.Conditions = rawList(t.Conditions, v)
	case "i":
		t.ID = v.GetStringBytes()
	case "x":
		t.Exchange = int32(v.GetInt())
	case "r":
		t.VendorReceived = tickstorm.Timestamp(v.GetInt64())
	}
}

func (d *rawDecoder) onCryptoQuote(key []byte, v *fastjson.Value) {
	q := &d.quote
	switch string(key) {
	case "pair":
		q.Symbol = rawString(v)
	case "lp":
		q.LastPrice = v.GetFloat64()
	case "ls":
		q.LastSize = v.GetFloat64()
	case "bp":
		q.BidPrice = v.GetFloat64()
	case "bs":
		q.BidSize = v.GetFloat64()
	case "ap":
		q.AskPrice = v.GetFloat64()
	case "as":
		q.AskSize = v.GetFloat64()
	case "t":
		q.Timestamp = tickstorm.Timestamp(v.GetInt64())
	case "x":
		q.Exchange = int32(v.GetInt())
	case "r":
		q.VendorReceived = tickstorm.Timestamp(v.GetInt64())
	}
}

func (d *rawDecoder) onLevel2(key []byte, v *fastjson.Value) {
	b := &d.book
	switch string(key) {
	case "pair":
		b.Symbol = rawString(v)
	case "t":
		b.Timestamp = tickstorm.Timestamp(v.GetInt64())
	case "r":
		b.VendorReceived = tickstorm.Timestamp(v.GetInt64())
	case "x":
		b.Exchange = int32(v.GetInt())
	case "b":
		b.Bids = rawLevels(b.Bids, v)
	case "a":
		b.Asks = rawLevels(b.Asks, v)
	}
}

// rawString does not copy: like every text of fastjson it is gone with the next message.
func rawString(v *fastjson.Value) string {
	b := v.GetStringBytes()
	return unsafe.String(unsafe.SliceData(b), len(b))
}

func rawDecimal(v *fastjson.Value) tickstorm.Decimal {
	b := v.GetStringBytes()
	return tickstorm.Decimal{Text: b, Value: fastfloat.ParseBestEffort(unsafe.String(unsafe.SliceData(b), len(b)))}
}

func rawList(dst []int32, v *fastjson.Value) []int32 {
	if v.Type() == fastjson.TypeNumber {
		return append(dst, int32(v.GetInt()))
	}
	for _, v := range v.GetArray() {
		dst = append(dst, int32(v.GetInt()))
	}
	return dst
}

func rawLevels(dst []tickstorm.Level, v *fastjson.Value) []tickstorm.Level {
	for _, v := range v.GetArray() {
		if pair := v.GetArray(); len(pair) == 2 {
			dst = append(dst, tickstorm.Level{Price: pair[0].GetFloat64(), Size: pair[1].GetFloat64()})
		}
	}
	return dst
}
