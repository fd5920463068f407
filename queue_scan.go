package tickstorm

import (
	"math/bits"

	"github.com/tickstorm/tickstorm/internal/intern"
)

// This file says of each element of a message what a queue must know: whose it is, whether it
// is wanted, and what it supersedes.

// element is one of a message, or the message as a whole.
type element struct {
	start, end     int
	hash           uint64 // of channel and symbol, for conflation
	shard          int
	channel        uint8 // in scanner.channels
	flags          entryFlags
	symbol, length uint8 // where in the element the symbol is
}

// maxElements is the most elements that a message is split into: the feed sends hundreds.
const maxElements = 1 << 14

// scanner takes messages apart. Its elements are those of the last one.
type scanner struct {
	splitter *Splitter
	wanted   *intern.Table // of the Interest; nil is all
	channels []string      // their names; the first is that of what was not understood
	known    []scanChannel
	keyed    bool // symbols matter
	shards   int
	hash     intern.Hasher

	elements []element
	mine     []element
}

// scanChannel is what to do with a channel's elements.
type scanChannel struct {
	flags    entryFlags
	unwanted bool // by the Interest
}

// init makes the scanner one for parsers like p, whose Interest and limits do not change.
func (c *scanner) init(p *Parser, qc QueueConfig) {
	c.shards, c.wanted = qc.Consumers, p.wanted
	c.keyed = qc.Consumers > 1 || qc.Overflow == OverflowConflate || p.wanted != nil
	c.hash = intern.NewHasher()
	c.splitter = NewSplitter(p.market)
	c.splitter.SetLimits(p.limits)
	c.splitter.nameless = !c.keyed
	c.channels = c.splitter.channels
	c.known = make([]scanChannel, len(c.channels))
	for i, ch := range p.channels {
		known := &c.known[i+1]
		known.unwanted = !p.wantsStream(ch.stream)
		switch ch.kind {
		case KindQuote, KindAggregate, KindValue, KindBook:
			if qc.Overflow == OverflowConflate {
				known.flags = entryLatest
			}
		}
	}
}

// all makes the message its only element.
func (c *scanner) all(msg []byte) {
	c.elements = append(c.elements[:0], element{end: len(msg)})
}

// split finds the elements of a message, but for those that nobody wants, whose number it
// returns. It reports false where a parser would not find the same in an array of them: if
// something is wrong with the message as a whole, or it is a broken object without an array,
// or has an empty element. Neither is it split into more than can be remembered.
func (c *scanner) split(msg []byte) (skipped int, ok bool) {
	s := c.splitter
	c.elements = c.elements[:0]
	for s.Reset(msg); s.Next(); {
		e := s.Element()
		known := &c.known[e.index]
		if known.unwanted {
			skipped++
			continue
		}
		el := element{start: e.Start, end: e.End, channel: e.index}
		switch {
		case e.Symbol != nil && c.keyed:
			if c.wanted != nil {
				if _, id := c.wanted.Find(e.Symbol); id == 0 {
					skipped++
					continue
				}
			}
			hash := c.hash.Hash(e.Symbol)
			if len(e.Symbol) > 0 { // an empty one is none to the dealer either
				el.shard = c.shardFor(hash)
			}
			if n := len(e.Symbol); n <= MaxSymbol && uint(e.symbolAt-1) < 0xFF {
				el.symbol, el.length, el.flags = uint8(e.symbolAt), uint8(n), known.flags
				el.hash = intern.Fold(hash, uint64(e.index))
			}
		case e.Err != nil && (e.Start == e.End || s.lone):
			return 0, false
		}
		if len(c.elements) == maxElements {
			return 0, false
		}
		c.elements = append(c.elements, el)
	}
	return skipped, s.Err() == nil
}

// shardOf returns the shard of a symbol's events.
func (c *scanner) shardOf(symbol []byte) int {
	hash := c.hash.Hash(symbol)
	return c.shardFor(hash)
}

func (c *scanner) shardFor(hash uint64) int {
	high, _ := bits.Mul64(hash, uint64(c.shards))
	return int(high)
}

// of returns the elements of a shard.
func (c *scanner) of(shard int) []element {
	c.mine = c.mine[:0]
	for i := range c.elements {
		if c.elements[i].shard == shard {
			c.mine = append(c.mine, c.elements[i])
		}
	}
	return c.mine
}
