package bench

import (
	"fmt"

	"github.com/tickstorm/tickstorm"
)

// Decoder turns messages of one market into events and folds every field of each into
// a checksum.
type Decoder interface {
	// Decode takes one message. An error is also an element that is no event.
	Decode(msg []byte, sum *Checksum) error
}

// Engine is a way of decoding.
type Engine struct {
	Name string
	// Exact engines give the float nearest to every number, others need [NewRounded]
	// to agree with them.
	Exact bool
	New   func(tickstorm.Market) Decoder
}

// Engines returns what is compared: the library's own first, then the same JSON library
// without what the library adds, then the way of the official client.
func Engines() []Engine {
	return []Engine{
		{"fast", true, func(m tickstorm.Market) Decoder { return NewDecoder(m, tickstorm.EngineAuto) }},
		{"fastjson", true, func(m tickstorm.Market) Decoder { return NewDecoder(m, tickstorm.EngineFastJSON) }},
		{"fastjson-raw", false, newRawDecoder},
		{"encodingjson", true, newStandardDecoder},
	}
}

// DecodeAll decodes messages one after the other.
func DecodeAll(d Decoder, messages [][]byte, sum *Checksum) error {
	for i, msg := range messages {
		if err := d.Decode(msg, sum); err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
	}
	return nil
}

// parserDecoder is a Decoder made of a Parser, whose handler it is.
type parserDecoder struct {
	tickstorm.NopHandler
	parser *tickstorm.Parser
	sum    *Checksum
	err    error
}

// NewDecoder returns the library's decoder with one of its engines.
func NewDecoder(m tickstorm.Market, e tickstorm.Engine) Decoder {
	d := &parserDecoder{parser: tickstorm.NewParser(m)}
	d.parser.SetEngine(e)
	return d
}

func (d *parserDecoder) Decode(msg []byte, sum *Checksum) error {
	d.sum, d.err = sum, nil
	if err := d.parser.Parse(msg, d); err != nil {
		return err
	}
	return d.err
}

func (d *parserDecoder) OnTrade(t *tickstorm.Trade)         { d.sum.Trade(t) }
func (d *parserDecoder) OnQuote(q *tickstorm.Quote)         { d.sum.Quote(q) }
func (d *parserDecoder) OnAggregate(a *tickstorm.Aggregate) { d.sum.Aggregate(a) }
func (d *parserDecoder) OnBook(b *tickstorm.Book)           { d.sum.Book(b) }

func (d *parserDecoder) OnUnknown(u *tickstorm.Unknown) { d.err = unexpected(string(u.Event)) }

func (d *parserDecoder) OnError(e *tickstorm.EventError) { d.err = e.Clone() }

// unexpected is the error of an event that no corpus has.
func unexpected(ev string) error { return fmt.Errorf("unexpected event %q", ev) }
