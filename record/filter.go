package record

import (
	"slices"

	"github.com/tickstorm/tickstorm"
)

// Filter is what of a recording is read: elements of these markets, channels and symbols. An
// empty list is all of them. Controls of the markets are read in any case.
type Filter struct {
	// Markets have all others' segments left unread.
	Markets []tickstorm.Market
	// Channels are the ev of elements, such as "T". With any of them statuses are left out,
	// unless "status" is among them.
	Channels []string
	// Symbols are spelled as the wire has them. With any of them what has no symbol is left out.
	Symbols []string
}

// filter is a Filter at work.
type filter struct {
	markets  []tickstorm.Market
	channels map[string]bool
	symbols  map[string]bool
}

func (f Filter) filter() filter {
	set := func(list []string) map[string]bool {
		if len(list) == 0 {
			return nil
		}
		m := make(map[string]bool, len(list))
		for _, s := range list {
			m[s] = true
		}
		return m
	}
	return filter{slices.Clone(f.Markets), set(f.Channels), set(f.Symbols)}
}

func (f *filter) all() bool { return f.channels == nil && f.symbols == nil }

func (f *filter) wantsMarket(m tickstorm.Market) bool {
	return len(f.markets) == 0 || slices.Contains(f.markets, m)
}

// wants reports whether there may be something in a frame.
func (f *filter) wants(x *index) bool {
	return f.channels == nil || x.controls > 0 ||
		slices.ContainsFunc(x.channels, func(c channelCount) bool { return c.name == "" || f.channels[c.name] })
}

func (f *filter) takes(e *tickstorm.Element) bool {
	return (f.channels == nil || f.channels[e.Channel]) && (f.symbols == nil || e.Symbol != nil && f.symbols[string(e.Symbol)])
}

// picker takes from messages the elements that are wanted.
type picker struct {
	split    *tickstorm.Splitter
	elements []int
	spans    [][2]int
	out      []byte
}

// pick returns the message with those elements alone that the filter takes, from a number on,
// and the numbers of these; nil numbers if that is the message as it is; and whether there are
// any. They are valid until the next call.
func (p *picker) pick(msg []byte, f *filter, from uint64) (out []byte, elements []int, ok bool) {
	if f.all() && from == 0 {
		return msg, nil, true
	}
	p.elements, p.spans = p.elements[:0], p.spans[:0]
	n := 0
	for p.split.Reset(msg); p.split.Next(); n++ {
		if e := p.split.Element(); uint64(n) >= from && f.takes(e) {
			p.elements = append(p.elements, n)
			p.spans = append(p.spans, [2]int{e.Start, e.End})
		}
	}
	switch {
	case len(p.elements) == 0:
		return nil, nil, false
	case len(p.elements) == n:
		return msg, nil, true
	}
	p.out = append(p.out[:0], '[')
	for i, s := range p.spans {
		if i > 0 {
			p.out = append(p.out, ',')
		}
		p.out = append(p.out, msg[s[0]:s[1]]...)
	}
	p.out = append(p.out, ']')
	return p.out, p.elements, true
}
