package bench

import (
	"math"
	"math/bits"
	"strconv"

	"github.com/tickstorm/tickstorm"
)

// Checksum is folded from every field of every event, in order: two decoders agree on
// it only if they agree on everything. A field that is absent counts as zero.
//
// It is made to cost little, and the same for every decoder, beside what is measured:
// the fields of an event are multiplied by a weight each, which a processor does side
// by side, and only their sum waits for that of the event before.
type Checksum struct {
	Sum    uint64
	Events int

	rounded bool
}

// NewRounded returns a Checksum that rounds every float to 12 significant digits first.
// Numbers of the corpora have fewer, so that a decoder which is off by some units in
// the last of a float's 16 places gives the same sum as one that is exact. It is for
// comparing, not for measuring.
func NewRounded() Checksum { return Checksum{rounded: true} }

const roundedDigits = 12

// The weights are random and odd, so that a change of one field always changes the sum
// and fields that were mixed up do too.
const (
	w0  = 0x910A2DEC89025CC1
	w1  = 0xBEEB8DA1658EEC67
	w2  = 0xF893A2EEFB32555F
	w3  = 0x71C18690EE42C90B
	w4  = 0x71BB54D8D101B5B9
	w5  = 0xC34D0BFF90150281
	w6  = 0xE099EC6CD7363CA5
	w7  = 0x85E7BB0F12278575
	w8  = 0x491718DE357E3DA9
	w9  = 0xCB435C8E74616797
	w10 = 0x6775DC7701564F61
	w11 = 0x9AFCD44D14CF8BFF
	w12 = 0x7476CF8A4BAA5DC1
	w13 = 0x87B341D690D7A28B
	w14 = 0x6F9B6DAE6F4C57A9
	w15 = 0x2AC2CE17A5794A3B
	w16 = 0xA534A6A6B7FD0B63
	w17 = 0xD0BAD0DA572BAAF1
	w18 = 0xAE84379630AF89EF
	w19 = 0xE263183773EF6509
	w20 = 0x10E2C46865E98747
	w21 = 0x14D7973C5C2A449D
	w22 = 0x7EF1FD0ED1548FCD
)

// add ends an event, of which x is the weighted sum of its fields.
func (c *Checksum) add(x uint64) {
	c.Sum = bits.RotateLeft64(c.Sum^x, 29) * w0
	c.Events++
}

func (c *Checksum) float(f float64) uint64 {
	if c.rounded {
		return roundedBits(f)
	}
	return math.Float64bits(f)
}

func roundedBits(f float64) uint64 {
	var buf [32]byte
	f, err := strconv.ParseFloat(string(strconv.AppendFloat(buf[:0], f, 'e', roundedDigits-1, 64)), 64)
	if err != nil {
		panic("bench: " + err.Error()) // what AppendFloat makes can be parsed
	}
	return math.Float64bits(f)
}

// text takes eight bytes at a time, the last of them perhaps twice, which the length
// makes up for.
func text[T string | []byte](s T) uint64 {
	n := len(s)
	h := uint64(n) * w1
	for len(s) > 8 {
		h = (h ^ word(s)) * w2
		s = s[8:]
	}
	switch {
	case len(s) >= 4:
		h ^= half(s) | half(s[len(s)-4:])<<32
	case len(s) > 0:
		h ^= uint64(s[0]) | uint64(s[len(s)/2])<<8 | uint64(s[len(s)-1])<<16
	}
	return h * w3
}

func word[T string | []byte](s T) uint64 { return half(s) | half(s[4:])<<32 }

func half[T string | []byte](s T) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

// list gives of one element the element itself, as the wire does in places, and of
// none zero.
func list(s []int32) uint64 {
	if len(s) == 0 {
		return 0
	}
	h := uint64(s[0])
	for _, x := range s[1:] {
		h = (h^w1)*w2 + uint64(x)
	}
	return h
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func (c *Checksum) decimal(d *tickstorm.Decimal) uint64 { return text(d.Text)*w1 + c.float(d.Value)*w2 }

func (c *Checksum) levels(s []tickstorm.Level) uint64 {
	h := uint64(len(s))
	for _, l := range s {
		h = (h ^ (c.float(l.Price)*w1 + c.float(l.Size)*w2)) * w3
	}
	return h
}

// Trade folds a trade.
func (c *Checksum) Trade(t *tickstorm.Trade) {
	c.add(w1 + text(t.Symbol)*w2 + text(t.ID)*w3 + c.decimal(&t.SizeDecimal)*w4 +
		c.float(t.Price)*w5 + c.float(t.Size)*w6 + list(t.Conditions)*w7 +
		uint64(t.Timestamp)*w8 + uint64(t.ParticipantTimestamp)*w9 + uint64(t.VendorReceived)*w10 +
		uint64(t.Sequence)*w11 + uint64(t.TRF)*w12 + uint64(t.TRFTimestamp)*w13 +
		uint64(t.Exchange)*w14 + uint64(t.Tape)*w15)
}

// Quote folds a quote.
func (c *Checksum) Quote(q *tickstorm.Quote) {
	c.add(w2 + text(q.Symbol)*w1 + c.float(q.BidPrice)*w3 + c.float(q.AskPrice)*w4 +
		c.float(q.BidSize)*w5 + c.float(q.AskSize)*w6 + c.float(q.LastPrice)*w7 + c.float(q.LastSize)*w8 +
		list(q.Conditions)*w9 + list(q.Indicators)*w10 +
		uint64(q.Timestamp)*w11 + uint64(q.ParticipantTimestamp)*w12 + uint64(q.VendorReceived)*w13 +
		uint64(q.Sequence)*w14 + uint64(q.TRF)*w15 + uint64(q.TRFTimestamp)*w16 +
		uint64(q.BidExchange)*w17 + uint64(q.AskExchange)*w18 + uint64(q.Exchange)*w19 + uint64(q.Tape)*w20 +
		uint64(q.BidTime)*w21 + uint64(q.AskTime)*w22)
}

// Aggregate folds a bar.
func (c *Checksum) Aggregate(a *tickstorm.Aggregate) {
	c.add(w3 + text(a.Symbol)*w1 + c.decimal(&a.VolumeDecimal)*w2 + c.decimal(&a.DayVolumeDecimal)*w4 +
		c.float(a.Open)*w5 + c.float(a.High)*w6 + c.float(a.Low)*w7 + c.float(a.Close)*w8 +
		c.float(a.VWAP)*w9 + c.float(a.DayVWAP)*w10 + c.float(a.Volume)*w11 + c.float(a.DayVolume)*w12 +
		c.float(a.OfficialOpen)*w13 + c.float(a.AverageSize)*w14 +
		uint64(a.Start)*w15 + uint64(a.End)*w16 + flag(a.OTC)*w17 +
		c.float(a.Turnover)*w18 + uint64(a.Transactions)*w19)
}

// Book folds a book with all its levels.
func (c *Checksum) Book(b *tickstorm.Book) {
	c.add(w4 + text(b.Symbol)*w1 + c.levels(b.Bids)*w2 + c.levels(b.Asks)*w3 +
		uint64(b.Timestamp)*w5 + uint64(b.VendorReceived)*w6 + uint64(b.Exchange)*w7)
}
