package tickstorm

import (
	"math/bits"

	"github.com/tickstorm/tickstorm/internal/intern"
	"github.com/tickstorm/tickstorm/internal/ring"
)

// This file says of each element of a message what a queue must know: whose it is, whether it
// is wanted, and what it supersedes.

// What a message is in the ring that is not split.
const (
	wholeMessage  = ring.Alone | ring.Many
	binaryMessage = ring.Alone | ring.Tag
)

// pastElement is what an element of a relay's past has in the ring, where statuses do not tell.
const pastElement = ring.Tag

// maxElements is the most elements that a message is split into: the feed sends hundreds.
const maxElements = 1 << 14

// scanner takes messages apart. Its elements are those of the last one.
type scanner struct {
	splitter *Splitter
	wanted   *intern.Table // of the Interest; nil is all
	channels []string      // their names; the first is that of what was not understood
	known    []scanChannel
	keyed    bool // symbols matter
	tags     bool // what is of a relay's past is tagged
	shards   int
	hash     intern.Hasher

	elements [][]ring.Entry // of each shard
}

// scanChannel is what to do with a channel's elements.
type scanChannel struct {
	flags    ring.Flags
	unwanted bool // by the Interest
}

// init makes the scanner one for parsers like p, whose Interest and limits do not change.
func (c *scanner) init(p *Parser, qc QueueConfig) {
	c.shards, c.wanted = qc.Consumers, p.wanted
	c.keyed = qc.Consumers > 1 || qc.Overflow == OverflowConflate || p.wanted != nil
	c.tags = qc.Consumers > 1 || qc.Overflow != OverflowBlock && qc.Overflow != OverflowDisconnect // where a status may be dropped
	c.elements = make([][]ring.Entry, c.shards)
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
				known.flags = ring.Latest
			}
		}
	}
}

// reset forgets the last message.
func (c *scanner) reset() {
	for i := range c.elements {
		c.elements[i] = c.elements[i][:0]
	}
}

// all makes the message its only element, which is the first shard's.
func (c *scanner) all(msg []byte, flags ring.Flags) {
	c.reset()
	c.elements[0] = append(c.elements[0], ring.NewEntry(0, len(msg), 0, flags))
}

// split finds the elements of a message, but for those that nobody wants, whose number it
// returns. It reports false where a parser would not find the same in an array of them: if
// something is wrong with the message as a whole, or it is a broken object without an array,
// or has an empty element. Neither is it split into more than can be remembered.
func (c *scanner) split(msg []byte) (skipped int, ok bool) {
	s := c.splitter
	c.reset()
	n := 0
	for s.Reset(msg); s.Next(); {
		e := s.Element()
		known := &c.known[e.index]
		if known.unwanted {
			skipped++
			continue
		}
		shard, el := 0, ring.NewEntry(e.Start, e.End, e.index, 0)
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
				shard = c.shardFor(hash)
			}
			if n := len(e.Symbol); n <= MaxSymbol && uint(e.symbolAt-1) < 0xFF {
				el.SetKey(uint8(e.symbolAt), uint8(n), intern.Fold(hash, uint64(e.index)))
				el.SetFlags(known.flags)
			}
		case e.Err != nil && (e.Start == e.End || s.lone):
			return 0, false
		}
		if n == maxElements {
			return 0, false
		}
		n++
		c.elements[shard] = append(c.elements[shard], el)
	}
	return skipped, s.Err() == nil
}

// tag gives all elements a flag.
func (c *scanner) tag(flags ring.Flags) {
	for _, mine := range c.elements {
		for i := range mine {
			mine[i].SetFlags(flags)
		}
	}
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

// keyHash is the hash of an element's channel and symbol.
func (c *scanner) keyHash(channel uint8, symbol []byte) uint64 {
	return intern.Fold(c.hash.Hash(symbol), uint64(channel))
}
