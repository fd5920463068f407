package tickstorm

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/tickstorm/tickstorm/internal/swar"
)

// maxSpaced is the longest element with space between its tokens that the fast path takes.
const maxSpaced = 16 << 10

// spaced decodes an element with space between its tokens by the fast path, from a copy
// without, and delivers it. It reports false if that is for the reference to do. The
// element is valid JSON.
func (p *Parser) spaced(raw []byte, hs *handlers) bool {
	if len(raw) > min(p.limits.Element, maxSpaced) {
		return false
	}
	b, ok := compact(p.compact[:0], raw)
	p.compact = b
	if !ok || len(b) == len(raw) {
		return false
	}
	b = append(b, ']')
	end := p.fast.end
	p.fast.end = len(b)
	r, _ := p.fast.decode(append(b, make([]byte, padding)...), 0)
	p.fast.end = end
	switch r {
	case nil:
		return false
	case &p.fast.passed:
		p.stats.Skipped++
		return true
	}
	r.head.Raw = raw
	p.stats.Fast++
	p.deliver(r.event, r.channel.kind, hs)
	return true
}

// compact appends valid JSON to dst without the space between its tokens, and has room
// for what decode wants behind it. It reports false where there is an escape, which could
// hide where a string ends.
func compact(dst, raw []byte) ([]byte, bool) {
	dst = slices.Grow(dst, len(raw)+1+padding)
	quoted := false
	for len(raw) > 0 {
		n := min(len(raw), 8)
		w := uint64('x' * swar.Ones)
		if n == 8 {
			w = binary.LittleEndian.Uint64(raw)
		} else {
			w = w<<(8*n) | swar.Short(raw)
		}
		switch {
		case swar.Equals(w, '\\') != 0:
			return dst, false
		case swar.Spaces(w) == 0:
			dst = append(dst, raw[:n]...)
			quoted = quoted != (bits.OnesCount64(swar.Equals(w, '"'))&1 == 1)
		default:
			for _, c := range raw[:n] {
				if c > ' ' || quoted {
					dst = append(dst, c)
				}
				quoted = quoted != (c == '"')
			}
		}
		raw = raw[n:]
	}
	return dst, true
}
