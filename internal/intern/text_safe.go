//go:build tickstorm_safe

package intern

import "sync/atomic"

// texts keeps a string for each text that stands in a slot, by number, in pages.
type texts struct {
	pages atomic.Pointer[[]*[textPage]string]
}

const textPage = 256

// Safe reports whether this form was built.
const Safe = true

// add is called for rising numbers, and before the slot is published.
func (t *texts) add(id uint32, text []byte) {
	var pages []*[textPage]string
	if p := t.pages.Load(); p != nil {
		pages = *p
	}
	for int(id/textPage) >= len(pages) {
		pages = append(pages, new([textPage]string))
		t.pages.Store(&pages)
	}
	pages[id/textPage][id%textPage] = string(text)
}

// of returns the string of a slot whose text is in it.
func (t *texts) of(_ *slot, m meta) string {
	id := m.id()
	return (*t.pages.Load())[id/textPage][id%textPage]
}

// nameOf is of for a slot of [Names].
func nameOf(e *slot) string { return string(e.text[:e.meta]) }
