// Package where is about which events are wanted: simple conditions on symbol, price and size.
package where

import (
	"errors"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"

	"github.com/tickstorm/tickstorm"
)

// Form says in a line what a condition looks like, for help texts.
const Form = "sym=AAPL,MSFT; sym~BRK.*; sym!=SPY; price>100; size>=1000; also bid, ask, bid_size and ask_size"

// ErrForm: a text is no condition.
var ErrForm = errors.New("not a condition")

// A Filter is a list of conditions that an event has to meet all. The zero Filter takes all events.
type Filter struct {
	symbols []symbols
	numbers []number
}

// symbols is a condition on the symbol.
type symbols struct {
	not, glob bool
	texts     []string
}

// number is a condition on a number.
type number struct {
	field string
	op    string
	value float64
}

// Operators, those first that begin with another.
var operators = []string{"<=", ">=", "!=", "==", "=", "<", ">", "~"}

// Parse reads conditions such as "price>100": of a text, all those between its "and"s.
func Parse(texts ...string) (Filter, error) {
	var f Filter
	for _, text := range texts {
		for condition := range strings.SplitSeq(text, " and ") {
			if err := f.add(strings.TrimSpace(condition)); err != nil {
				return Filter{}, fmt.Errorf("%w: %q: %w; write %s", ErrForm, condition, err, Form)
			}
		}
	}
	return f, nil
}

func (f *Filter) add(condition string) error {
	at := strings.IndexAny(condition, "<>=!~")
	if at < 0 {
		return errors.New("no operator")
	}
	name, rest := strings.TrimSpace(condition[:at]), condition[at:]
	op := ""
	for _, o := range operators {
		if strings.HasPrefix(rest, o) {
			op = o
			break
		}
	}
	value := strings.TrimSpace(strings.TrimPrefix(rest, op))
	if op == "" || value == "" {
		return errors.New("no operator, or nothing behind it")
	}
	if op == "==" {
		op = "="
	}
	switch name {
	case "sym", "symbol":
		return f.addSymbols(op, value)
	case "price", "size", "bid", "ask", "bid_size", "ask_size":
	default:
		return fmt.Errorf("no field %q", name)
	}
	n, err := strconv.ParseFloat(value, 64)
	if op == "~" || err != nil || math.IsNaN(n) {
		return errors.New("a number is compared with another")
	}
	f.numbers = append(f.numbers, number{name, op, n})
	return nil
}

func (f *Filter) addSymbols(op, value string) error {
	c := symbols{not: op == "!=", glob: op == "~"}
	if op != "=" && !c.not && !c.glob {
		return errors.New("a symbol is equal (=), is not (!=) or fits a pattern (~)")
	}
	for text := range strings.SplitSeq(value, ",") {
		text = strings.TrimSpace(text)
		if _, err := path.Match(text, ""); err != nil || text == "" {
			return fmt.Errorf("bad symbol or pattern %q", text)
		}
		if strings.ToLower(text) == text { // as topics have it
			text = strings.ToUpper(text)
		}
		if c.glob {
			text = strings.ReplaceAll(text, "/", noSlash)
		}
		c.texts = append(c.texts, text)
	}
	f.symbols = append(f.symbols, c)
	return nil
}

// Zero reports whether there are no conditions.
func (f *Filter) Zero() bool { return len(f.symbols) == 0 && !f.Numeric() }

// Numeric reports whether there are conditions on numbers, for which events have to be decoded.
func (f *Filter) Numeric() bool { return len(f.numbers) > 0 }

// Symbol reports whether the symbol meets the conditions on it. It allocates nothing.
func (f *Filter) Symbol(symbol []byte) bool {
	for i := range f.symbols {
		if c := &f.symbols[i]; c.fits(symbol) == c.not {
			return false
		}
	}
	return true
}

func (c *symbols) fits(symbol []byte) bool {
	for _, text := range c.texts {
		if !c.glob && text == string(symbol) || c.glob && glob(text, symbol) {
			return true
		}
	}
	return false
}

// noSlash stands for a slash where patterns are matched, in which one is something special, and pairs have one.
const noSlash = "\x00"

// glob matches a pattern of path.Match that has no slash.
func glob(pattern string, symbol []byte) bool {
	var without [32]byte // a string of so many bytes is not allocated
	b := append(without[:0], symbol...)
	for i, c := range b {
		if c == '/' {
			b[i] = noSlash[0]
		}
	}
	ok, _ := path.Match(pattern, string(b))
	return ok
}

// Event reports whether an event meets all conditions. One that lacks a field meets none on it. An
// aggregate's price is its close and its size its volume; a quote has bid and ask instead.
func (f *Filter) Event(e tickstorm.Event) bool {
	if len(f.symbols) > 0 && !f.Symbol([]byte(e.Head().Symbol)) {
		return false
	}
	for i := range f.numbers {
		n := &f.numbers[i]
		if v, ok := field(e, n.field); !ok || !n.holds(v) {
			return false
		}
	}
	return true
}

func (n *number) holds(v float64) bool {
	switch n.op {
	case "<":
		return v < n.value
	case "<=":
		return v <= n.value
	case ">":
		return v > n.value
	case ">=":
		return v >= n.value
	case "!=":
		return v != n.value
	}
	return v == n.value
}

// field returns a number of an event; ok is false where it has none.
func field(e tickstorm.Event, name string) (v float64, ok bool) {
	switch e := e.(type) {
	case *tickstorm.Trade:
		switch name {
		case "price":
			return e.Price, e.Has.All(tickstorm.TradePrice)
		case "size":
			if e.Has.All(tickstorm.TradeSizeDecimal) {
				return e.SizeDecimal.Value, true
			}
			return e.Size, e.Has.All(tickstorm.TradeSize)
		}
	case *tickstorm.Quote:
		switch name {
		case "bid":
			return e.BidPrice, e.Has.All(tickstorm.QuoteBidPrice)
		case "ask":
			return e.AskPrice, e.Has.All(tickstorm.QuoteAskPrice)
		case "bid_size":
			return e.BidSize, e.Has.All(tickstorm.QuoteBidSize)
		case "ask_size":
			return e.AskSize, e.Has.All(tickstorm.QuoteAskSize)
		}
	case *tickstorm.Aggregate:
		switch name {
		case "price":
			return e.Close, e.Has.All(tickstorm.AggregateClose)
		case "size":
			return e.Volume, e.Has.All(tickstorm.AggregateVolume)
		}
	case *tickstorm.Value:
		if name == "price" {
			return e.Val, e.Has.All(tickstorm.ValueVal)
		}
	}
	return 0, false
}
