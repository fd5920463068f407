package tickstorm

import (
	"bytes"
	"math"
	"math/bits"

	"github.com/valyala/fastjson"

	"github.com/tickstorm/tickstorm/internal/jsonscan"
)

// decoder turns one valid JSON object into an event by way of fastjson. It is the
// reference: every other engine must give the same events, masks and counts.
//
// fastjson finds the values; what they mean is decided here. It hands out numbers as
// it found them only by MarshalTo, and strings with escapes only before their type
// was asked for, because its own conversions are inexact: floats with exponents are
// off in the last place, 1e3 as an integer is 0, a lone surrogate stays an escape.
type decoder struct {
	p      *Parser
	parser *fastjson.Parser
	visit  func(key []byte, v *fastjson.Value) // the method value, made once

	// What follows is about the element at hand.
	channel *channel
	event   Event
	seen    Fields          // keys that came, the first of duplicates counts
	has     Fields          // those with a value that fits
	null    Fields          //
	odd     Fields          //
	escaped bool            // the element has a backslash somewhere
	passed  bool            // nobody wants it
	keys    int             // keys visited
	search  bool            // visiting only to find ev, which is not the first key
	ev      *fastjson.Value // what it found
	arena   []byte          // texts of this element that fastjson does not hold as such
}

// What a decoder keeps from one element to the next; beyond it memory is given up
// after use, since fastjson never shrinks.
const (
	maxKeptElement = 64 << 10
	maxKeptArena   = 16 << 10
)

func (d *decoder) init(p *Parser) {
	d.p = p
	d.parser = new(fastjson.Parser)
	d.visit = d.visitKey
}

// decode returns the event, nil if the object has no ev. raw is valid JSON and
// begins with a brace.
func (d *decoder) decode(raw []byte) Event {
	v, err := d.parser.ParseBytes(raw)
	if err != nil { // fastjson refuses nothing that the validator accepts
		return nil
	}
	obj, err := v.Object()
	if err != nil {
		return nil
	}
	d.reset()
	d.escaped = bytes.IndexByte(raw, '\\') >= 0
	obj.Visit(d.visit)
	if d.event == nil && d.keys > 0 { // ev is not the first key
		d.search = true
		obj.Visit(d.visit)
		if d.ev == nil || !d.begin(d.ev) {
			return d.finish(raw)
		}
		d.search = false
		obj.Visit(d.visit)
	}
	return d.finish(raw)
}

func (d *decoder) reset() {
	d.channel, d.event, d.ev = nil, nil, nil
	d.seen, d.has, d.null, d.odd = 0, 0, 0, 0
	d.keys, d.search, d.passed = 0, false, false
	d.arena = d.arena[:0]
}

// finish completes the header, and clears what the event's last use left behind.
func (d *decoder) finish(raw []byte) Event {
	e := d.event
	if e != nil {
		h := e.Head()
		stale := (h.Has | h.Null | h.Odd) &^ d.has
		h.Has, h.Null, h.Odd = d.has, d.null, d.odd
		clearFields(e, stale)
		h.Market = d.p.market
		h.Stream = 0
		if d.channel != nil {
			h.Stream = d.channel.stream
			if d.channel.kind != KindStatus && d.has&1 == 0 { // bit 0 is the symbol of every kind of data
				d.p.stats.NoSymbol++
			}
		}
		h.Raw = raw
		h.Received = d.p.received
		h.Backfilled = d.p.backfilled
		h.Replayed = d.p.replayed
		d.p.stats.Odd += uint64(bits.OnesCount32(uint32(d.odd)))
	}
	if len(raw) > maxKeptElement {
		d.parser = new(fastjson.Parser)
	}
	if cap(d.arena) > maxKeptArena {
		d.arena = nil
	}
	return e
}

func (d *decoder) visitKey(key []byte, v *fastjson.Value) {
	isEv := string(key) == "ev"
	switch {
	case d.search:
		if isEv && d.ev == nil {
			d.ev = v
		}
		return
	case d.event == nil:
		d.keys++
		if d.keys == 1 && isEv {
			d.begin(v)
		}
		return
	case isEv || d.channel == nil:
		return
	}
	i := d.channel.find(key)
	if i < 0 {
		d.p.stats.UnknownKeys++
		return
	}
	m := &d.channel.members[i]
	if d.seen&m.field != 0 {
		return
	}
	d.seen |= m.field
	d.set(m, v)
}

// begin chooses the event by the value of ev and reports whether that is a string.
func (d *decoder) begin(v *fastjson.Value) bool {
	name, ok := d.text(v)
	if !ok {
		return false
	}
	p := d.p
	d.channel = channelNamed(p.channels, name)
	if d.channel == nil {
		p.unknown.Event = name
		d.event = &p.unknown
		return true
	}
	d.event = p.flyweight(d.channel.kind)
	return true
}

// set stores a value in a field, or marks the field null or odd.
func (d *decoder) set(m *member, v *fastjson.Value) {
	raw := d.rawIfEscaped(v)
	if v.Type() == fastjson.TypeNull {
		d.null |= m.field
		return
	}
	ok := false
	switch p := d.event.field(bits.TrailingZeros32(uint32(m.field))).(type) {
	case *float64:
		*p, ok = d.float(v)
	case *int64:
		*p, ok = d.integer(m, v)
	case *Timestamp:
		var i int64
		i, ok = d.integer(m, v)
		*p = Timestamp(i)
	case *int32:
		*p, ok = d.integer32(m, v)
	case *Decimal:
		*p, ok = d.decimal(v, raw)
	case *[]byte:
		if v.Type() == fastjson.TypeNumber {
			*p, ok = d.token(v), true
		} else {
			*p, ok = d.stringOf(v, raw)
		}
	case *string:
		var text []byte
		if text, ok = d.stringOf(v, raw); ok {
			if d.p.interests(d.channel, text) { // what is passed over takes no number
				*p, d.event.Head().SymbolID = d.p.intern(text)
			} else {
				d.passed = true
			}
		}
	case *bool:
		*p, ok = v.Type() == fastjson.TypeTrue, v.Type() == fastjson.TypeTrue || v.Type() == fastjson.TypeFalse
	case *Auction:
		var text []byte
		if text, ok = d.stringOf(v, raw); ok {
			if ok = len(text) == 1; ok {
				*p = Auction(text[0])
			}
		}
	case *[]int32:
		*p, ok = d.integers((*p)[:0], m, v)
	case *[]Level:
		*p, ok = d.levels((*p)[:0], v)
	}
	if ok {
		d.has |= m.field
	} else {
		d.odd |= m.field
		clearFields(d.event, m.field)
	}
}

// rawIfEscaped returns a string as the wire has it, before asking for its type lets
// fastjson unescape it its own way; nil if the element has no escapes.
func (d *decoder) rawIfEscaped(v *fastjson.Value) []byte {
	if !d.escaped {
		return nil
	}
	return d.token(v)
}

// token returns the text of a value from the arena.
func (d *decoder) token(v *fastjson.Value) []byte {
	start := len(d.arena)
	d.arena = v.MarshalTo(d.arena)
	return d.arena[start:len(d.arena):len(d.arena)]
}

func (d *decoder) text(v *fastjson.Value) ([]byte, bool) {
	return d.stringOf(v, d.rawIfEscaped(v))
}

// stringOf returns what a string says; raw is the string as the wire has it where it
// may have escapes, else nil.
func (d *decoder) stringOf(v *fastjson.Value, raw []byte) ([]byte, bool) {
	if v.Type() != fastjson.TypeString {
		return nil, false
	}
	if raw == nil || bytes.IndexByte(raw, '\\') < 0 {
		text, err := v.StringBytes()
		return text[:len(text):len(text)], err == nil
	}
	start := len(d.arena)
	d.arena = jsonscan.Unescape(d.arena, raw[1:len(raw)-1])
	return d.arena[start:len(d.arena):len(d.arena)], true
}

func (d *decoder) float(v *fastjson.Value) (float64, bool) {
	if v.Type() != fastjson.TypeNumber {
		return 0, false
	}
	return jsonscan.Float(d.token(v))
}

func (d *decoder) integer(m *member, v *fastjson.Value) (int64, bool) {
	switch v.Type() {
	case fastjson.TypeNumber:
		return jsonscan.Int(d.token(v))
	case fastjson.TypeString:
		if m.flags&quoted != 0 {
			if text, err := v.StringBytes(); err == nil && jsonscan.IsNumber(text) {
				return jsonscan.Int(text)
			}
		}
	}
	return 0, false
}

func (d *decoder) integer32(m *member, v *fastjson.Value) (int32, bool) {
	i, ok := d.integer(m, v)
	if !ok || i < math.MinInt32 || i > math.MaxInt32 {
		return 0, false
	}
	return int32(i), true
}

func (d *decoder) decimal(v *fastjson.Value, raw []byte) (Decimal, bool) {
	var text []byte
	if v.Type() == fastjson.TypeNumber {
		text = d.token(v)
	} else {
		var ok bool
		if text, ok = d.stringOf(v, raw); !ok || !jsonscan.IsNumber(text) {
			return Decimal{}, false
		}
	}
	f, ok := jsonscan.Float(text)
	if !ok {
		return Decimal{}, false
	}
	return Decimal{Text: text, Value: f}, true
}

// integers reads a list of integers; a bare integer is a list of one.
func (d *decoder) integers(dst []int32, m *member, v *fastjson.Value) ([]int32, bool) {
	if v.Type() == fastjson.TypeNumber {
		i, ok := d.integer32(m, v)
		return append(dst, i), ok
	}
	values, err := v.Array()
	if err != nil {
		return dst, false
	}
	for _, v := range values {
		i, ok := d.integer32(m, v)
		if !ok {
			return dst, false
		}
		dst = append(dst, i)
	}
	return dst, true
}

// levels reads a list of pairs of price and size.
func (d *decoder) levels(dst []Level, v *fastjson.Value) ([]Level, bool) {
	values, err := v.Array()
	if err != nil {
		return dst, false
	}
	for _, v := range values {
		pair, err := v.Array()
		if err != nil || len(pair) != 2 {
			return dst, false
		}
		price, ok1 := d.float(pair[0])
		size, ok2 := d.float(pair[1])
		if !ok1 || !ok2 {
			return dst, false
		}
		dst = append(dst, Level{price, size})
	}
	return dst, true
}

// intern returns the string and number of a symbol.
func (p *Parser) intern(text []byte) (string, uint32) {
	if p.symbols == nil {
		p.symbols = NewSymbols(0)
	}
	return p.symbols.Intern(text)
}
