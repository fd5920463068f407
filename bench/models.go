package bench

import "strconv"

// This file has the events of the corpora as the official Go client models them, which
// is what a program has that decodes by the tags of structs, with the fields that it
// leaves out: a checksum over every field has to find them. Sizes are float64, and
// prices of a book a list of pairs, because the feed's are.

// EventType is the part that all events have, and by which they are told apart.
type EventType struct {
	EventType string `json:"ev,omitempty"`
}

// EquityTrade is a trade of a stock or an option contract: T.
type EquityTrade struct {
	EventType
	Symbol               string  `json:"sym,omitempty"`
	Exchange             int32   `json:"x,omitempty"`
	ID                   string  `json:"i,omitempty"`
	Tape                 int32   `json:"z,omitempty"`
	Price                float64 `json:"p,omitempty"`
	Size                 float64 `json:"s,omitempty"`
	SizeDecimal          string  `json:"ds,omitempty"`
	Conditions           []int32 `json:"c,omitempty"`
	Timestamp            int64   `json:"t,omitempty"`
	ParticipantTimestamp int64   `json:"pt,omitempty"`
	SequenceNumber       int64   `json:"q,omitempty"`
	TRF                  int64   `json:"trfi,omitempty"`
	TRFTimestamp         int64   `json:"trft,omitempty"`
}

// EquityQuote is a quote of a stock or an option contract: Q.
type EquityQuote struct {
	EventType
	Symbol               string  `json:"sym,omitempty"`
	BidExchangeID        int32   `json:"bx,omitempty"`
	BidPrice             float64 `json:"bp,omitempty"`
	BidSize              float64 `json:"bs,omitempty"`
	AskExchangeID        int32   `json:"ax,omitempty"`
	AskPrice             float64 `json:"ap,omitempty"`
	AskSize              float64 `json:"as,omitempty"`
	Condition            int32   `json:"c,omitempty"`
	Indicators           []int32 `json:"i,omitempty"`
	Timestamp            int64   `json:"t,omitempty"`
	ParticipantTimestamp int64   `json:"pt,omitempty"`
	Tape                 int32   `json:"z,omitempty"`
	SequenceNumber       int64   `json:"q,omitempty"`
	TRF                  int64   `json:"trfi,omitempty"`
	TRFTimestamp         int64   `json:"trft,omitempty"`
}

// EquityAgg is a bar of a stock or an option contract: A and AM.
type EquityAgg struct {
	EventType
	Symbol                   string  `json:"sym,omitempty"`
	Volume                   float64 `json:"v,omitempty"`
	VolumeDecimal            string  `json:"dv,omitempty"`
	AccumulatedVolume        float64 `json:"av,omitempty"`
	AccumulatedVolumeDecimal string  `json:"dav,omitempty"`
	OfficialOpenPrice        float64 `json:"op,omitempty"`
	VWAP                     float64 `json:"vw,omitempty"`
	Open                     float64 `json:"o,omitempty"`
	Close                    float64 `json:"c,omitempty"`
	High                     float64 `json:"h,omitempty"`
	Low                      float64 `json:"l,omitempty"`
	AggregateVWAP            float64 `json:"a,omitempty"`
	AverageSize              float64 `json:"z,omitempty"`
	StartTimestamp           int64   `json:"s,omitempty"`
	EndTimestamp             int64   `json:"e,omitempty"`
	OTC                      bool    `json:"otc,omitempty"`
}

// ForexQuote is a quote of a pair of currencies: C.
type ForexQuote struct {
	EventType
	Pair       string  `json:"p,omitempty"`
	ExchangeID int32   `json:"x,omitempty"`
	AskPrice   float64 `json:"a,omitempty"`
	BidPrice   float64 `json:"b,omitempty"`
	Indicator  int32   `json:"i,omitempty"`
	Timestamp  int64   `json:"t,omitempty"`
}

// CryptoTrade is a trade of a pair with a coin: XT.
type CryptoTrade struct {
	EventType
	Pair              string  `json:"pair,omitempty"`
	Exchange          int32   `json:"x,omitempty"`
	ID                string  `json:"i,omitempty"`
	Price             float64 `json:"p,omitempty"`
	Size              float64 `json:"s,omitempty"`
	Conditions        []int32 `json:"c,omitempty"`
	Timestamp         int64   `json:"t,omitempty"`
	ReceivedTimestamp int64   `json:"r,omitempty"`
}

// CryptoQuote is a quote of a pair with a coin: XQ.
type CryptoQuote struct {
	EventType
	Pair              string  `json:"pair,omitempty"`
	LastPrice         float64 `json:"lp,omitempty"`
	LastSize          float64 `json:"ls,omitempty"`
	BidPrice          float64 `json:"bp,omitempty"`
	BidSize           float64 `json:"bs,omitempty"`
	AskPrice          float64 `json:"ap,omitempty"`
	AskSize           float64 `json:"as,omitempty"`
	Timestamp         int64   `json:"t,omitempty"`
	ExchangeID        int32   `json:"x,omitempty"`
	ReceivedTimestamp int64   `json:"r,omitempty"`
}

// Level2Book is a book of a pair with a coin: XL2. A level is a price and a size.
type Level2Book struct {
	EventType
	Pair              string      `json:"pair,omitempty"`
	BidPrices         [][]float64 `json:"b,omitempty"`
	AskPrices         [][]float64 `json:"a,omitempty"`
	Timestamp         int64       `json:"t,omitempty"`
	ExchangeID        int32       `json:"x,omitempty"`
	ReceivedTimestamp int64       `json:"r,omitempty"`
}

// Model is what the structs of this file are, by pointer.
type Model interface {
	// Fold folds the event as the method of [Checksum] for its kind would.
	Fold(c *Checksum)
}

// decimalString also converts the number, because whoever reads the field would, and
// the library has done it. A text that is no number counts as zero.
func (c *Checksum) decimalString(s string) uint64 {
	var f float64
	if s != "" {
		f, _ = strconv.ParseFloat(s, 64)
	}
	return text(s)*w1 + c.float(f)*w2
}

func (c *Checksum) pairs(s [][]float64) uint64 {
	h := uint64(len(s))
	for _, l := range s {
		if len(l) == 2 {
			h = (h ^ (c.float(l[0])*w1 + c.float(l[1])*w2)) * w3
		}
	}
	return h
}

// Fold folds t.
func (t *EquityTrade) Fold(c *Checksum) {
	c.add(w1 + text(t.Symbol)*w2 + text(t.ID)*w3 + c.decimalString(t.SizeDecimal)*w4 +
		c.float(t.Price)*w5 + c.float(t.Size)*w6 + list(t.Conditions)*w7 +
		uint64(t.Timestamp)*w8 + uint64(t.ParticipantTimestamp)*w9 +
		uint64(t.SequenceNumber)*w11 + uint64(t.TRF)*w12 + uint64(t.TRFTimestamp)*w13 +
		uint64(t.Exchange)*w14 + uint64(t.Tape)*w15)
}

// Fold folds q.
func (q *EquityQuote) Fold(c *Checksum) {
	c.add(w2 + text(q.Symbol)*w1 + c.float(q.BidPrice)*w3 + c.float(q.AskPrice)*w4 +
		c.float(q.BidSize)*w5 + c.float(q.AskSize)*w6 + uint64(q.Condition)*w9 + list(q.Indicators)*w10 +
		uint64(q.Timestamp)*w11 + uint64(q.ParticipantTimestamp)*w12 +
		uint64(q.SequenceNumber)*w14 + uint64(q.TRF)*w15 + uint64(q.TRFTimestamp)*w16 +
		uint64(q.BidExchangeID)*w17 + uint64(q.AskExchangeID)*w18 + uint64(q.Tape)*w20)
}

// Fold folds a.
func (a *EquityAgg) Fold(c *Checksum) {
	c.add(w3 + text(a.Symbol)*w1 + c.decimalString(a.VolumeDecimal)*w2 + c.decimalString(a.AccumulatedVolumeDecimal)*w4 +
		c.float(a.Open)*w5 + c.float(a.High)*w6 + c.float(a.Low)*w7 + c.float(a.Close)*w8 +
		c.float(a.VWAP)*w9 + c.float(a.AggregateVWAP)*w10 + c.float(a.Volume)*w11 + c.float(a.AccumulatedVolume)*w12 +
		c.float(a.OfficialOpenPrice)*w13 + c.float(a.AverageSize)*w14 +
		uint64(a.StartTimestamp)*w15 + uint64(a.EndTimestamp)*w16 + flag(a.OTC)*w17)
}

// Fold folds q.
func (q *ForexQuote) Fold(c *Checksum) {
	c.add(w2 + text(q.Pair)*w1 + c.float(q.BidPrice)*w3 + c.float(q.AskPrice)*w4 +
		uint64(q.Indicator)*w10 + uint64(q.Timestamp)*w11 + uint64(q.ExchangeID)*w19)
}

// Fold folds t.
func (t *CryptoTrade) Fold(c *Checksum) {
	c.add(w1 + text(t.Pair)*w2 + text(t.ID)*w3 +
		c.float(t.Price)*w5 + c.float(t.Size)*w6 + list(t.Conditions)*w7 +
		uint64(t.Timestamp)*w8 + uint64(t.ReceivedTimestamp)*w10 + uint64(t.Exchange)*w14)
}

// Fold folds q.
func (q *CryptoQuote) Fold(c *Checksum) {
	c.add(w2 + text(q.Pair)*w1 + c.float(q.BidPrice)*w3 + c.float(q.AskPrice)*w4 +
		c.float(q.BidSize)*w5 + c.float(q.AskSize)*w6 + c.float(q.LastPrice)*w7 + c.float(q.LastSize)*w8 +
		uint64(q.Timestamp)*w11 + uint64(q.ReceivedTimestamp)*w13 + uint64(q.ExchangeID)*w19)
}

// Fold folds b.
func (b *Level2Book) Fold(c *Checksum) {
	c.add(w4 + text(b.Pair)*w1 + c.pairs(b.BidPrices)*w2 + c.pairs(b.AskPrices)*w3 +
		uint64(b.Timestamp)*w5 + uint64(b.ReceivedTimestamp)*w6 + uint64(b.ExchangeID)*w7)
}
