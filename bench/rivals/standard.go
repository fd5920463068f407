package rivals

import (
	"encoding/json"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

// standard is encoding/json with one pass over every event instead of the official
// client's three.
type standard struct{ models models }

func newStandard(m tickstorm.Market) bench.Decoder { return &standard{models{market: m}} }

func (d *standard) Decode(msg []byte, sum *bench.Checksum) error {
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
