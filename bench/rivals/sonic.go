//go:build amd64 || arm64

package rivals

import (
	"github.com/bytedance/sonic/decoder"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

// sonic decodes one element after the other from where the last one ended, without a
// copy of any text. With Go versions that it has no machine code for it is encoding/json.
type sonic struct {
	models  models
	decoder *decoder.Decoder
}

const sonicMissing = ""

func newSonic(m tickstorm.Market) bench.Decoder {
	return &sonic{models{market: m}, decoder.NewDecoder("")}
}

func (d *sonic) Decode(msg []byte, sum *bench.Checksum) error {
	rest := view(msg)
	for len(rest) > 1 && rest[1] == '{' {
		rest = rest[1:] // the bracket or comma before it
		ev := eventOf(bytesOf(rest))
		e := d.models.next(ev)
		if e == nil {
			return unexpected(ev)
		}
		d.decoder.Reset(rest)
		if err := d.decoder.Decode(e); err != nil {
			return err
		}
		rest = rest[d.decoder.Pos():]
		e.Fold(sum)
	}
	if rest != "]" {
		return errMalformed
	}
	return nil
}
