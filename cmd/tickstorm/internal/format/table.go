package format

import (
	"strconv"
	"strings"

	"github.com/tickstorm/tickstorm"
)

// table is a table for people: a line an event, with what matters of its kind.
type table struct {
	o      Options
	number []byte
}

// Where the columns end.
const (
	clockWidth   = 15
	channelWidth = 6
	symbolWidth  = 10
)

func (f *table) Header() string {
	head := "TIME"
	if f.o.Received {
		head = "RECEIVED"
	}
	b := pad([]byte(head), 0, clockWidth)
	b = pad(append(b, "EV"...), len(b), channelWidth)
	b = pad(append(b, "SYMBOL"...), len(b), symbolWidth)
	return strings.TrimRight(string(b), " ") + "\n"
}

// pad fills what began at a place up to a width, with at least one space.
func pad(dst []byte, from, width int) []byte {
	for ok := true; ok; ok = len(dst)-from < width {
		dst = append(dst, ' ')
	}
	return dst
}

// right appends a number that ends at a width, and a space.
func (f *table) right(dst []byte, v float64, width int) []byte {
	f.number = strconv.AppendFloat(f.number[:0], v, 'f', -1, 64)
	for range width - len(f.number) {
		dst = append(dst, ' ')
	}
	return append(append(dst, f.number...), ' ')
}

func (f *table) Append(dst []byte, e tickstorm.Event) []byte {
	at := len(dst)
	dst = pad(f.o.time(e).In(f.o.Zone).AppendFormat(dst, "15:04:05.000"), at, clockWidth)
	at = len(dst)
	dst = pad(append(dst, Channel(e)...), at, channelWidth)
	at = len(dst)
	dst = pad(appendText(dst, e.Head().Symbol), at, symbolWidth)
	switch e := e.(type) {
	case *tickstorm.Trade:
		dst = f.right(dst, e.Price, 12)
		size := e.Size
		if e.Has.All(tickstorm.TradeSizeDecimal) {
			size = e.SizeDecimal.Value
		}
		dst = f.right(dst, size, 10)
		if len(e.Conditions) > 0 {
			dst = append(dst, ' ')
			dst = appendPlain(dst, &e.Conditions)
		}
	case *tickstorm.Quote:
		dst = f.side(dst, e.BidPrice, e.BidSize, e.Has, tickstorm.QuoteBidPrice, tickstorm.QuoteBidSize)
		dst = append(dst, "- "...)
		dst = f.side(dst, e.AskPrice, e.AskSize, e.Has, tickstorm.QuoteAskPrice, tickstorm.QuoteAskSize)
	case *tickstorm.Aggregate:
		for _, v := range [...]struct {
			name  string
			value float64
		}{{"o", e.Open}, {"h", e.High}, {"l", e.Low}, {"c", e.Close}, {"v", e.Volume}} {
			dst = append(dst, v.name...)
			dst = f.right(dst, v.value, 11)
		}
	case *tickstorm.Book:
		dst = append(dst, strconv.Itoa(len(e.Bids))...)
		dst = append(dst, " bids, "...)
		dst = append(dst, strconv.Itoa(len(e.Asks))...)
		dst = append(dst, " asks"...)
		if len(e.Bids) > 0 && len(e.Asks) > 0 {
			dst = f.side(dst, e.Bids[0].Price, e.Bids[0].Size, 1, 1, 1)
			dst = append(dst, "- "...)
			dst = f.side(dst, e.Asks[0].Price, e.Asks[0].Size, 1, 1, 1)
		}
	case *tickstorm.LULD:
		dst = f.right(dst, e.LowerBand, 12)
		dst = append(dst, "- "...)
		dst = f.right(dst, e.UpperBand, 12)
	case *tickstorm.Imbalance:
		dst = append(dst, "imbalance "...)
		dst = strconv.AppendInt(dst, e.Imbalance, 10)
		dst = append(dst, ", paired "...)
		dst = strconv.AppendInt(dst, e.Paired, 10)
	case *tickstorm.Value:
		dst = f.right(dst, e.Val, 12)
	default:
		dst = AppendElement(dst, e.Head().Raw, 0, false)
		return dst
	}
	for dst[len(dst)-1] == ' ' {
		dst = dst[:len(dst)-1]
	}
	return append(dst, '\n')
}

// side appends one side of a quote, as far as it has what these fields stand for.
func (f *table) side(dst []byte, price, size float64, has, ofPrice, ofSize tickstorm.Fields) []byte {
	if !has.All(ofPrice) {
		return pad(dst, len(dst), 22)
	}
	dst = f.right(dst, price, 12)
	if !has.All(ofSize) {
		return dst
	}
	return f.right(dst, size, 8)
}
