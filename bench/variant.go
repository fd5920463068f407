package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
)

// A Variant changes the events of a corpus to what a feed may become.
type Variant string

// The variants.
const (
	// Shuffled has the keys behind ev in random order in each event, so that no order
	// of keys is worth remembering, and in every tenth event a space that a decoder which
	// expects the feed's compact form does not expect.
	Shuffled Variant = "shuffled"
	// NewField has one more field in each event, of a key that nobody knows yet.
	NewField Variant = "newfield"
	// Spaced has a space behind every comma and colon, as the vendor's documentation prints
	// events and older servers sent them.
	Spaced Variant = "spaced"
)

// Vary returns a copy of a corpus with every event changed.
func Vary(c *Corpus, v Variant) (*Corpus, error) {
	varied := &Corpus{Name: c.Name + "-" + string(v), Market: c.Market, Events: c.Events}
	r := rand.New(rand.NewPCG(corpusSeed, uint64(len(v))))
	for _, msg := range c.Messages {
		var events []json.RawMessage
		if err := json.Unmarshal(msg, &events); err != nil {
			return nil, fmt.Errorf("corpus %s: %w", c.Name, err)
		}
		for i, e := range events {
			switch v {
			case Shuffled:
				events[i] = shuffle(r, e)
			case NewField:
				events[i] = append(slices.Clone(e[:len(e)-1]), `,"nf":12.5}`...)
			case Spaced:
				events[i] = space(e)
			}
		}
		comma := []byte{','}
		if v == Spaced {
			comma = []byte(", ")
		}
		out := append([]byte{'['}, bytes.Join(raw(events), comma)...)
		varied.Messages = append(varied.Messages, append(out, ']'))
		varied.Bytes += len(out) + 1
	}
	return varied, nil
}

func raw(events []json.RawMessage) [][]byte {
	b := make([][]byte, len(events))
	for i, e := range events {
		b[i] = e
	}
	return b
}

// shuffle changes the order of an event's members, of which the first is ev.
func shuffle(r *rand.Rand, event []byte) []byte {
	members := split(event)
	r.Shuffle(len(members)-1, func(i, j int) { members[i+1], members[j+1] = members[j+1], members[i+1] })
	comma := ","
	if r.IntN(10) == 0 {
		comma = ", "
	}
	out := append([]byte{'{'}, bytes.Join(members, []byte(comma))...)
	return append(out, '}')
}

// space puts a space behind every comma and colon of an event.
func space(event []byte) []byte {
	var out []byte
	quoted := false
	for _, c := range event {
		out = append(out, c)
		quoted = quoted != (c == '"')
		if !quoted && (c == ',' || c == ':') {
			out = append(out, ' ')
		}
	}
	return out
}

// split returns the members of an object as they stand. The corpora have no escapes.
func split(event []byte) [][]byte {
	var members [][]byte
	depth, quoted, start := 0, false, 1
	for i, c := range event {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		}
		if depth == 1 && !quoted && c == ',' || depth == 0 {
			members = append(members, event[start:i])
			start = i + 1
		}
	}
	return members
}
