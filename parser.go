package tickstorm

import (
	"bytes"
	"errors"
	"sync/atomic"

	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/intern"
	"github.com/tickstorm/tickstorm/internal/jsonscan"
	"github.com/tickstorm/tickstorm/internal/past"
	"github.com/tickstorm/tickstorm/internal/poison"
	"github.com/tickstorm/tickstorm/internal/redact"
)

// This file takes a message apart and hands events out; decode_fast.go turns an element into an
// event, and decode_reference.go those that it leaves.

// Limits bound what a parser accepts. The zero value of a field means its default.
type Limits struct {
	// Depth is how deep an element may nest; default 64, at most 256. An element
	// that is deeper is an ErrTooDeep.
	Depth int
	// Element is the longest element in bytes; default 1 MiB. A longer one is an
	// ErrElementTooLong.
	Element int
	// Message is the longest message in bytes; default 16 MiB. A longer one is an
	// ErrMessageTooLong; a [Session] closes the connection with 1009.
	Message int
}

// The defaults of [Limits].
const (
	DefaultDepth   = 64
	DefaultElement = 1 << 20
	DefaultMessage = 16 << 20
)

func (l Limits) withDefaults() Limits {
	if l.Depth <= 0 {
		l.Depth = DefaultDepth
	}
	l.Depth = min(l.Depth, jsonscan.MaxDepth)
	if l.Element <= 0 {
		l.Element = DefaultElement
	}
	if l.Message <= 0 {
		l.Message = DefaultMessage
	}
	return l
}

// Engine is the way in which a parser decodes elements. All engines give the same
// events; it is a choice for tests and benchmarks.
type Engine uint8

const (
	// EngineAuto is the fast path, with EngineFastJSON for what that does not understand.
	EngineAuto Engine = iota
	// EngineFastJSON decodes with github.com/valyala/fastjson behind a strict
	// validator: the reference for the fast path.
	EngineFastJSON
)

// Parser turns messages of one market into calls of a [Handler]. It allocates
// nothing in steady state: it has one event of each kind and lends it out again
// and again. A Parser serves one goroutine at a time, and one message: a handler must
// not call Parse of the parser that calls it.
type Parser struct {
	market   Market
	channels []*channel
	limits   Limits
	symbols  *Symbols
	engine   Engine

	received   int64
	backfilled bool
	replayed   bool

	// What is wanted, see Interest; nil is everything.
	streams []Stream
	wanted  *intern.Table

	// onStatus is the session's ear: it comes before the handler's.
	onStatus func(*Status)
	// tellAll has the handler told of what is wrong with a whole message, which Parse
	// returns to its caller.
	tellAll bool

	stats   Counters
	latency *liveLatency   // of its own, so that what is hot stays close together
	secrets redact.Secrets // what is taken out of statuses, errors and samples
	lagDue  bool           // no event since SetReceived has told its time
	past    past.Events    // which have no lag

	trade     Trade
	quote     Quote
	aggregate Aggregate
	book      Book
	luld      LULD
	imbalance Imbalance
	value     Value
	status    Status
	unknown   Unknown
	failure   EventError
	quiet     quiet

	decoder decoder
	fast    fastDecoder

	// halt ends the message before the next call of the handler when it is set. life, which may
	// be nil, does so too when it has an error: see heed.
	halt *atomic.Bool
	life interface{ Err() error }

	tail    []byte // the last elements of a message, padded for the fast path
	scratch []byte // poison builds parse a copy, to spoil it afterwards

	samples ErrorSamples
	times   [Kinds]int64 // what poison builds spoil: see lastEventTime
}

// NewParser returns a parser for a market's messages, with a [Symbols] of its own,
// the default [Limits] and EngineAuto.
func NewParser(m Market) *Parser {
	p := &Parser{market: m, channels: m.channels(), limits: Limits{}.withDefaults(), latency: new(liveLatency), halt: &never}
	p.decoder.init(p)
	p.fast.init(p)
	return p
}

// newParser returns a parser as the Config says.
func (c *Config) newParser() *Parser {
	p := NewParser(c.Market)
	p.SetLimits(c.Limits)
	p.SetSymbols(c.Symbols)
	p.SetInterest(c.Interest)
	p.secrets = c.secrets()
	return p
}

// SetEngine chooses how elements are decoded.
func (p *Parser) SetEngine(e Engine) { p.engine = e }

// SetLimits replaces the limits.
func (p *Parser) SetLimits(l Limits) { p.limits = l.withDefaults() }

// SetSymbols makes the parser intern symbols in s, which may be shared. Without it
// the parser makes a table of its own when the first symbol comes.
func (p *Parser) SetSymbols(s *Symbols) {
	if s == nil {
		s = NewSymbols(0)
	}
	p.symbols = s
}

// SetReceived sets what the events of the next messages have in Received:
// nanoseconds since 1970. The parser itself never asks for the time.
func (p *Parser) SetReceived(nanoseconds int64) {
	p.received, p.lagDue = nanoseconds, nanoseconds != 0
}

// SetBackfilled sets what the events of the next messages have in Backfilled.
func (p *Parser) SetBackfilled(b bool) { p.backfilled = b }

// SetReplayed sets what the events of the next messages have in Replayed. Their lag is not measured.
func (p *Parser) SetReplayed(b bool) { p.replayed = b }

// Stats returns what the parser has counted.
func (p *Parser) Stats() Stats {
	s := Stats{Counters: p.stats, ErrorSamples: p.samples}
	p.latency.snapshot(&s.Latency)
	return s
}

// Counters returns the Counters of Stats alone, which costs so little that a handler may ask for every
// event: they include it.
func (p *Parser) Counters() Counters { return p.stats }

// Parse calls h for every event of a message: a JSON array of objects, or a single
// object. It does not write to msg, and lends parts of it to h; see [Header].
//
// An element that is no event costs itself: h gets it as an [EventError], and what
// follows is delivered. The error is about the message as a whole: [ErrNotArray],
// [ErrUTF8] or [ErrMessageTooLong], with nothing delivered; [ErrTrailing], with all
// elements delivered; [ErrTruncated], where the elements before the end were
// delivered and the rest was given to OnError.
//
// Of a key that occurs twice the first counts; keys match exactly, in case too; a
// lone surrogate in a string reads as U+FFFD.
func (p *Parser) Parse(msg []byte, h Handler) error {
	hs := resolve(h)
	return p.checked(msg, &hs)
}

// checked checks a message and parses it.
func (p *Parser) checked(msg []byte, hs *handlers) error {
	switch {
	case len(msg) > p.limits.Message:
		p.countError(ErrMessageTooLong, msg)
		return ErrMessageTooLong
	case !frame.ValidText(msg):
		p.countError(ErrUTF8, msg)
		return ErrUTF8
	}
	if poison.On {
		p.scratch = append(p.scratch[:0], msg...)
		msg = p.scratch
	}
	return p.parse(msg, hs)
}

// parse is Parse for a message that has been checked for length and UTF-8, and
// whose memory may be spoiled in poison builds.
func (p *Parser) parse(msg []byte, hs *handlers) error {
	p.stats.Messages++
	p.stats.Bytes += uint64(len(msg))
	if p.halted() {
		return nil
	}
	whole := msg // what an error is about: poison builds spoil what is lent of the message
	if poison.On {
		whole = bytes.Clone(msg)
	}
	var err error
	if hs.raw == nil || p.offerRaw(msg, hs) {
		err = p.elements(msg, hs)
	} else if mayHaveStatus(msg) {
		p.quiet.to = hs.Handler
		err = p.elements(msg, &handlers{Handler: &p.quiet})
	}
	if p.halted() {
		return err
	}
	switch {
	case err == nil || err == ErrTruncated: // a truncated rest was told as an element
	case p.tellAll:
		p.fail(err, whole, hs)
	default:
		p.countError(err, whole)
	}
	if hs.end != nil && !p.halted() {
		hs.end.OnMessageEnd()
	}
	return err
}

func (p *Parser) elements(msg []byte, hs *handlers) error {
	if p.halted() { // by OnRaw
		return nil
	}
	i := jsonscan.SkipSpace(msg, 0)
	if i == len(msg) {
		return ErrNotArray
	}
	switch msg[i] {
	case '{':
		return p.loneObject(msg, i, hs)
	case '[':
	default:
		return ErrNotArray
	}
	i = jsonscan.SkipSpace(msg, i+1)
	if i == len(msg) {
		p.fail(ErrTruncated, msg[i:], hs)
		return ErrTruncated
	}
	if msg[i] == ']' {
		return trailing(msg, i+1)
	}
	fast := p.engine != EngineFastJSON && p.limits.Depth >= fastDepth
	if fast {
		if p.symbols == nil {
			p.symbols = NewSymbols(0)
		}
		p.fast.startAhead()
	}
	b, padded := msg, false // what the fast path reads: in the end a copy with room behind it
	p.fast.end = len(msg)
	passes := fast && p.hasInterest()
	for {
		if p.halted() {
			return nil
		}
		if passes {
			i = p.fast.passOver(b, i)
		}
		if fast {
			if i >= p.fast.ahead.until {
				p.fast.lookAhead(b, i)
			}
			if !padded && len(b)-i <= tailLength {
				p.fast.ahead.until -= i
				b = p.pad(b[i:])
				msg, i, padded = b[:len(b)-padding], 0, true
				p.fast.end = len(msg)
			}
			if r, end := p.fast.decode(b, i); r != nil {
				closing := b[end] == ']'
				if r == &p.fast.passed {
					p.stats.Skipped++
				} else {
					p.stats.Fast++
					p.deliver(r.event, r.channel.kind, hs)
				}
				i = end + 1
				if closing {
					return trailing(msg, i)
				}
				continue
			}
		}
		start := jsonscan.SkipSpace(msg, i)
		end, err := jsonscan.Value(msg, start, p.limits.Depth)
		next := end
		if err == nil {
			next = jsonscan.SkipSpace(msg, end)
			if next == len(msg) || msg[next] != ',' && msg[next] != ']' {
				err = jsonscan.ErrSyntax
			}
		}
		if err != nil {
			loose, ok := jsonscan.LooseEnd(msg, start)
			if !ok {
				p.fail(ErrTruncated, msg[start:], hs)
				return ErrTruncated
			}
			end, next = loose, loose
		}
		closing := msg[next] == ']' // asked before a handler's turn: poison builds spoil what was lent
		if err != nil {
			p.fail(elementError(err), msg[start:end], hs)
		} else {
			p.element(msg[start:end:end], hs)
		}
		i = next + 1
		if closing {
			return trailing(msg, i)
		}
	}
}

// elementsSeen is how many elements were delivered, passed over or failed; elementsTold leaves
// out those that were passed over.
func (p *Parser) elementsSeen() uint64 { return p.elementsTold() + p.stats.Skipped }
func (p *Parser) elementsTold() uint64 { return p.stats.Total() + p.stats.Errors }

// pad copies the rest of a message to where there are readable bytes behind it.
func (p *Parser) pad(rest []byte) []byte {
	if cap(p.tail) < len(rest)+padding {
		p.tail = make([]byte, 0, tailLength+padding)
	}
	p.tail = append(p.tail[:0], rest...)
	return append(p.tail, make([]byte, padding)...)
}

// trailing checks that nothing but space follows the end of the array.
func trailing(msg []byte, i int) error {
	if jsonscan.SkipSpace(msg, i) != len(msg) {
		return ErrTrailing
	}
	return nil
}

// loneObject takes a message that is one event without an array around it, which one
// of the official clients is prepared for. It ends where the message ends.
func (p *Parser) loneObject(msg []byte, i int, hs *handlers) error {
	end, err := jsonscan.Value(msg, i, p.limits.Depth)
	if err == nil && jsonscan.SkipSpace(msg, end) != len(msg) {
		err = jsonscan.ErrSyntax
	}
	switch {
	case errors.Is(err, jsonscan.ErrTruncated):
		p.fail(ErrTruncated, msg[i:], hs)
		return ErrTruncated
	case err != nil:
		p.fail(elementError(err), msg[i:], hs)
	default:
		p.element(msg[i:end:end], hs)
	}
	return nil
}

// element delivers one element, which is valid JSON.
func (p *Parser) element(raw []byte, hs *handlers) {
	switch {
	case len(raw) > p.limits.Element:
		p.fail(ErrElementTooLong, raw, hs)
	case raw[0] != '{':
		p.fail(ErrNotObject, raw, hs)
	default:
		unknownKeys, odd, noSymbol := p.stats.UnknownKeys, p.stats.Odd, p.stats.NoSymbol
		e := p.decoder.decode(raw)
		if e == nil {
			p.fail(ErrNoEvent, raw, hs)
			return
		}
		if p.decoder.passed || p.hasInterest() && !p.wants(e) {
			p.stats.UnknownKeys, p.stats.Odd, p.stats.NoSymbol = unknownKeys, odd, noSymbol // nothing in it counts
			p.stats.Skipped++
			return
		}
		p.deliver(e, e.Kind(), hs)
	}
}

func (p *Parser) deliver(e Event, kind Kind, hs *handlers) {
	p.stats.Events[kind]++
	if p.lagDue && !p.past.Has(p.received) {
		p.lagDue = !p.latency.observeLag(e)
	}
	switch kind {
	case KindTrade:
		hs.OnTrade(&p.trade)
	case KindQuote:
		hs.OnQuote(&p.quote)
	case KindAggregate:
		hs.OnAggregate(&p.aggregate)
	case KindBook:
		hs.OnBook(&p.book)
	case KindLULD:
		hs.OnLULD(&p.luld)
	case KindImbalance:
		hs.OnImbalance(&p.imbalance)
	case KindValue:
		hs.OnValue(&p.value)
	case KindStatus:
		p.past.Status(p.status.Status, p.received)
		p.status.code = StatusOther
		if p.onStatus != nil {
			p.onStatus(&p.status)
		}
		p.status.redact(p.secrets.InData())
		if !p.halted() { // by what the session has told
			hs.OnStatus(&p.status)
		}
	case KindUnknown:
		hs.OnUnknown(&p.unknown)
	}
	if poison.On {
		p.times[kind] = eventTime(e).Nanoseconds()
	}
	takeBack(e)
}

func (p *Parser) fail(err error, raw []byte, hs *handlers) {
	p.countError(err, raw)
	p.clearSpoiled()
	raw = p.secrets.InData().Bytes(raw) // for the sake of handlers that print it
	p.failure = EventError{Err: err, Market: p.market, Received: p.received, Raw: raw[:len(raw):len(raw)]}
	hs.OnError(&p.failure)
	if poison.On {
		poison.Bytes(p.failure.Raw)
		p.failure = EventError{}
	}
}

// clearSpoiled takes from the parser's events what the fast path has read of an element that
// turned out to be none: see lastEventTime.
func (p *Parser) clearSpoiled() {
	for k := range Kind(Kinds) {
		e := p.flyweight(k)
		if h := e.Head(); h.Has == ^Fields(0) {
			clearFields(e, h.Has)
			h.Has, h.Null, h.Odd = 0, 0, 0
		}
	}
}

// countError counts what was no event, and keeps the first of its cause.
func (p *Parser) countError(err error, raw []byte) {
	cause := errorCause(err)
	if p.stats.ErrorCauses[cause] == 0 {
		p.samples[cause] = sampleOf(raw, p.secrets)
	}
	p.stats.Errors++
	p.stats.ErrorCauses[cause]++
}

func elementError(err error) error {
	switch {
	case errors.Is(err, jsonscan.ErrDepth):
		return ErrTooDeep
	default: // also one that would go on behind its end, so that no quote or bracket closes it
		return ErrSyntax
	}
}

// quiet passes status events on and drops all others.
type quiet struct {
	NopHandler
	to Handler
}

func (q *quiet) OnStatus(s *Status) { q.to.OnStatus(s) }

// mayHaveStatus reports whether a status event can be in the message: only an escape
// could hide the word.
func mayHaveStatus(msg []byte) bool {
	return bytes.Contains(msg, statusWord) || bytes.IndexByte(msg, '\\') >= 0
}

var statusWord = []byte("status")

// offerRaw gives the message to the handler as it is and reports whether to decode it.
func (p *Parser) offerRaw(msg []byte, hs *handlers) bool {
	if !poison.On {
		return hs.raw.OnRaw(msg[:len(msg):len(msg)], p.received)
	}
	lent := bytes.Clone(msg)
	defer poison.Bytes(lent)
	return hs.raw.OnRaw(lent, p.received)
}

// flyweight returns the parser's event of a kind.
func (p *Parser) flyweight(k Kind) Event {
	switch k {
	case KindTrade:
		return &p.trade
	case KindQuote:
		return &p.quote
	case KindAggregate:
		return &p.aggregate
	case KindBook:
		return &p.book
	case KindLULD:
		return &p.luld
	case KindImbalance:
		return &p.imbalance
	case KindValue:
		return &p.value
	case KindStatus:
		return &p.status
	}
	return &p.unknown
}
