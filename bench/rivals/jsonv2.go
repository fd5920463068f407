package rivals

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

// v2 is encoding/json/v2, by its mirror outside the standard library: built with
// GOEXPERIMENT=jsonv2, which the mirror then hands on to, encoding/json would be v2 in
// disguise too, and v1 could not be measured beside it.
type v2 struct {
	models  models
	decoder jsontext.Decoder
	buffer  bytes.Buffer
}

func newV2(m tickstorm.Market) bench.Decoder { return &v2{models: models{market: m}} }

// Names that occur twice are looked for by default, and UTF-8 is checked; v1 does
// neither.
var v2Options = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

func (d *v2) Decode(msg []byte, sum *bench.Checksum) error {
	d.buffer = *bytes.NewBuffer(msg) // which a decoder reads in place
	d.decoder.Reset(&d.buffer, v2Options...)
	if t, err := d.decoder.ReadToken(); err != nil {
		return err
	} else if t.Kind() != '[' {
		return errMalformed
	}
	for d.decoder.PeekKind() == '{' {
		ev := eventOf(bytes.TrimPrefix(msg[d.decoder.InputOffset():], []byte{','}))
		e := d.models.next(ev)
		if e == nil {
			return unexpected(ev)
		}
		if err := json.UnmarshalDecode(&d.decoder, e); err != nil {
			return err
		}
		e.Fold(sum)
	}
	_, err := d.decoder.ReadToken()
	return err
}
