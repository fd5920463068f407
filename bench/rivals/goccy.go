package rivals

import (
	"github.com/goccy/go-json"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

// goccy decodes every element by itself, of which it makes a copy that its strings lie in.
type goccy struct{ models models }

func newGoccy(m tickstorm.Market) bench.Decoder { return &goccy{models{market: m}} }

func (d *goccy) Decode(msg []byte, sum *bench.Checksum) error {
	rest := elements{msg}
	for element, ev := rest.next(); element != nil; element, ev = rest.next() {
		e := d.models.next(ev)
		if e == nil {
			return unexpected(ev)
		}
		if err := json.Unmarshal(element, e); err != nil {
			return err
		}
		e.Fold(sum)
	}
	if !rest.over() {
		return errMalformed
	}
	return nil
}
