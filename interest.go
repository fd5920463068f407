package tickstorm

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/tickstorm/tickstorm/internal/intern"
	"github.com/tickstorm/tickstorm/internal/swar"
)

// Interest is which events a program wants. The vendor recommends to subscribe to all
// symbols and keep the few that matter, since it cannot filter: events that do not
// interest are then passed over at scan speed, without being decoded, validated or
// delivered, and counted in Stats.Skipped; of the [Limits] only those of length hold for
// them. Statuses, unknown events and what is no
// event are always delivered. The zero Interest is in everything.
type Interest struct {
	// Streams are the streams that are wanted; nil means all.
	Streams []Stream
	// Symbols are the symbols that are wanted, in any spelling that a subscription
	// takes; nil means all, and so does [All] among them. Events without a symbol are wanted,
	// symbols longer than MaxSymbol are not. A symbol that cannot be meant on any channel of
	// the market is an [ErrBadTopic] in a [Config]; a Parser takes it, and no event has it.
	Symbols []string
}

// SetInterest makes the parser pass over all other events, from the next event on.
func (p *Parser) SetInterest(i Interest) {
	p.wanted = nil
	if i.Symbols != nil && !slices.ContainsFunc(i.Symbols, p.isAll) {
		p.wanted = intern.New(math.MaxUint32)
		for _, symbol := range i.Symbols {
			p.want(symbol)
			for _, c := range p.channels { // which do not all spell it alike
				p.want(p.market.Canonical(Topic{c.name, symbol}).Symbol)
			}
		}
	}
	p.streams = slices.Clone(i.Streams)
	p.fast.setInterest()
}

func (p *Parser) want(symbol string) {
	if len(symbol) <= MaxSymbol {
		p.wanted.Insert([]byte(symbol))
	}
}

// wantsSymbol reports whether a symbol is wanted.
func (p *Parser) wantsSymbol(symbol []byte) bool {
	if p.wanted == nil {
		return true
	}
	_, id := p.wanted.Find(symbol)
	return id != 0
}

// isAll reports whether a symbol stands for all of a channel.
func (p *Parser) isAll(symbol string) bool {
	return symbol == All || slices.ContainsFunc(p.channels, func(c *channel) bool { return c.form.apply(symbol, false) == All })
}

// check returns what is wrong with a symbol that cannot be meant: it would hide every event.
func (i *Interest) check(m Market) error {
	for _, symbol := range i.Symbols {
		var wrong error
		for _, c := range m.channels() {
			if _, wrong = m.topic(Topic{c.name, symbol}, false); wrong == nil {
				break
			}
		}
		if wrong != nil {
			return fmt.Errorf("Config.Interest: %w", wrong)
		}
	}
	return nil
}

// wants reports whether an event that was decoded is wanted.
func (p *Parser) wants(e Event) bool {
	h := e.Head()
	switch {
	case e.Kind() == KindStatus || e.Kind() == KindUnknown:
		return true
	case !p.wantsStream(h.Stream):
		return false
	}
	return h.Has&1 == 0 || p.wantsSymbol([]byte(h.Symbol)) // bit 0 is the symbol
}

// interests reports whether a data event of a channel with this symbol is wanted.
func (p *Parser) interests(c *channel, symbol []byte) bool {
	return c.kind == KindStatus || p.wantsStream(c.stream) && p.wantsSymbol(symbol)
}

func (p *Parser) wantsStream(s Stream) bool {
	return p.streams == nil || slices.Contains(p.streams, s)
}

// hasInterest reports whether anything is passed over.
func (p *Parser) hasInterest() bool { return p.wanted != nil || p.streams != nil }

func (d *fastDecoder) setInterest() {
	for _, r := range d.routes {
		for ; r != nil; r = r.another {
			r.unwanted = r.channel.kind != KindStatus && !d.p.wantsStream(r.channel.stream)
		}
	}
}

// passOver passes over elements from b[i] on, as long as it can tell at a glance that
// nobody wants them, and returns where the first other one begins. The message's last
// element is left to decode.
func (d *fastDecoder) passOver(b []byte, i int) int {
	for {
		if i >= d.ahead.until {
			d.lookAhead(b, i)
		}
		start := i
		if swar.At(b, start) == ' ' {
			start++
		}
		at, spaced := start+len(opening), false
		if w := swar.Load(b, start); w == spacedWord {
			at, spaced = start+len(spacedOpening), true
		} else if w&openingMask != openingWord {
			return i
		}
		w := swar.Load(b, at)
		r := d.routes[w&127]
		for r != nil && w&r.mask != r.word {
			r = r.another
		}
		if r == nil {
			return i
		}
		symbol := at + r.size
		if !r.unwanted {
			switch {
			case d.p.wanted == nil:
				return i
			case swar.Load(b, symbol)&r.symbolMask == r.symbolWord:
				symbol += r.symbolSize
			case spaced && bytes.HasPrefix(b[symbol:], []byte(r.symbolSpaced)):
				symbol += len(r.symbolSpaced)
			default:
				return i
			}
			x, y, z, n := symbolWords(b, symbol)
			if swar.At(b, symbol-1) != '"' || n < 0 {
				return i
			}
			if _, id := d.p.wanted.FindWords(x, y, z, n); id != 0 {
				return i
			}
		}
		end := d.pass(b, symbol)
		if end < 0 || b[end] != ',' || end-start > d.p.limits.Element {
			return i
		}
		d.p.stats.Skipped++
		i = end + 1
	}
}

// pass returns where the element ends in which b[i] stands, without looking at what is in
// it, or -1 if that cannot be told so.
//
// In valid JSON the next brace that opens is the next event's if it stands in },{"ev":". In no string
// can that be: its first quote would end the string, and what follows would not be JSON.
// Nor can it be deeper inside, where another brace would have been before it.
func (d *fastDecoder) pass(b []byte, i int) int {
	next := bytes.IndexByte(b[i:d.end], '{')
	if next < 0 {
		if last := d.end - 2; last >= i && b[last] == '}' && b[last+1] == ']' {
			return last + 1
		}
		return -1
	}
	next += i
	w, comma := swar.Load(b, next), next-1
	if w == spacedWord && b[comma] == ' ' {
		comma--
	} else if w&openingMask != openingWord {
		return -1
	}
	if b[comma] != ',' || b[comma-1] != '}' {
		return -1
	}
	return comma
}
