package intern

// This file is what is kept of texts by their numbers, by whoever keeps it.

// pageLen is how many elements a page has.
const pageLen = 256

// Pages is an array by number that grows a page at a time: what is in it stays where it is. It
// is not safe for concurrent use.
type Pages[T any] struct{ pages []*[pageLen]T }

// At returns the element with this number, and makes room for it.
func (p *Pages[T]) At(id uint32) *T {
	n := int(id / pageLen)
	for n >= len(p.pages) {
		p.pages = append(p.pages, nil)
	}
	if p.pages[n] == nil {
		p.pages[n] = new([pageLen]T)
	}
	return &p.pages[n][id%pageLen]
}

// Lookup returns the element with this number, nil if there is no room for it yet.
func (p *Pages[T]) Lookup(id uint32) *T {
	if n := id / pageLen; int64(n) < int64(len(p.pages)) && p.pages[n] != nil {
		return &p.pages[n][id%pageLen]
	}
	return nil
}

// Len returns a number that all numbers of elements are below.
func (p *Pages[T]) Len() int { return len(p.pages) * pageLen }

// Names keeps texts by number, in memory of its own and without a pointer for each of up to
// [Inline] bytes. It is not safe for concurrent use; the strings that it returns are safe to keep.
type Names struct {
	slots Pages[slot]
	long  map[uint32]string
}

// Set keeps a text, which must not be replaced by another one.
func (n *Names) Set(id uint32, text string) {
	if len(text) > Inline {
		if n.long == nil {
			n.long = map[uint32]string{}
		}
		n.long[id] = text
		return
	}
	e := n.slots.At(id)
	e.meta = uint64(copy(e.text[:], text))
}

// Of returns the text with this number, "" if there is none.
func (n *Names) Of(id uint32) string {
	if text, ok := n.long[id]; ok {
		return text
	}
	if e := n.slots.Lookup(id); e != nil {
		return nameOf(e)
	}
	return ""
}
