package tickstorm

import (
	"bytes"
	"math"

	"github.com/tickstorm/tickstorm/internal/intern"
	"github.com/tickstorm/tickstorm/internal/swar"
)

// This file is how the fast path gets at symbols: as words, which the table of symbols is asked
// for, and in a market of many symbols some elements ahead. There a symbol's line is not in
// the cache, and to fetch several lines at once takes hardly longer than to fetch one.

// ahead is how far the elements of a message have been looked at ahead of being decoded.
type ahead struct {
	until   int // where the first that was not begins
	tables  [2]*intern.Table
	hashes  [2][aheadElements]uint64
	touched uint64 // keeps what is read for the sake of it from being optimized away
}

// aheadElements is how many elements are looked at at once. Their lines wait in the innermost
// cache, which has room for hundreds.
const aheadElements = 32

// startAhead begins with a message.
func (d *fastDecoder) startAhead() {
	d.ahead.until = math.MaxInt
	if w := d.p.wanted; d.p.symbols.table.Large() || w != nil && w.Large() {
		d.chooseAhead()
	}
}

// chooseAhead says in which tables to look ahead: not in those that the caches hold, nor in that
// of symbols for the sake of elements of which few are wanted.
func (d *fastDecoder) chooseAhead() {
	a := &d.ahead
	a.tables = [2]*intern.Table{}
	if w := d.p.wanted; w != nil {
		if !w.Large() {
			return
		}
		a.until, a.tables[1] = 0, w
	}
	if t := d.p.symbols.table; t.Large() {
		a.until, a.tables[0] = 0, t
	}
}

// lookAhead touches the slots of the symbols of the elements that come from b[i] on. It looks for
// them as the vendor sends them; of others it may find none, which costs nothing but time.
func (d *fastDecoder) lookAhead(b []byte, i int) {
	a := &d.ahead
	k := 0
	for seen := 0; seen < aheadElements && i < len(b); seen++ {
		if symbol := d.symbolAt(b, i); symbol >= 0 {
			if x, y, z, n := symbolWords(b, symbol); n >= 0 {
				for j, t := range &a.tables {
					if t != nil {
						a.hashes[j][k] = t.Hash(x, y, z, n)
					}
				}
				k++
			}
		}
		next := bytes.IndexByte(b[i+1:], '{')
		if next < 0 {
			i = len(b)
			break
		}
		i += 1 + next
	}
	a.until = i
	for j, t := range &a.tables {
		if t != nil {
			a.touched += t.Touch(a.hashes[j][:k])
		}
	}
}

// symbolAt returns where the text of the symbol begins of an element that begins at b[i], -1 if
// that cannot be told at a glance.
func (d *fastDecoder) symbolAt(b []byte, i int) int {
	if swar.Load(b, i)&openingMask != openingWord {
		return -1
	}
	i += len(opening)
	w := swar.Load(b, i)
	r := d.routes[w&127]
	for r != nil && w&r.mask != r.word {
		r = r.another
	}
	if r == nil || swar.Load(b, i+r.size)&r.symbolMask != r.symbolWord {
		return -1
	}
	return i + r.size + r.symbolSize
}

// symbolWords returns the text of a string that begins at b[i], up to its quote, as words for
// [intern.Table.FindWords]; its length is -1 if it is no plain string of fewer than 24 bytes.
func symbolWords(b []byte, i int) (x, y, z uint64, n int) {
	x = swar.Load(b, i)
	if stops := swar.StringStops(x); stops != 0 {
		if n = swar.FirstMark(stops); swar.ByteAt(x, n) == '"' {
			return swar.Below(x, n), 0, 0, n
		}
		return 0, 0, 0, -1
	}
	y = swar.Load(b, i+8)
	if stops := swar.StringStops(y); stops != 0 {
		if n = swar.FirstMark(stops); swar.ByteAt(y, n) == '"' {
			return x, swar.Below(y, n), 0, 8 + n
		}
		return 0, 0, 0, -1
	}
	z = swar.Load(b, i+16)
	n = swar.FirstMark(swar.StringStops(z))
	if n == 8 || swar.ByteAt(z, n) != '"' {
		return 0, 0, 0, -1
	}
	return x, y, swar.Below(z, n), 16 + n
}
