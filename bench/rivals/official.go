package rivals

import (
	"bytes"

	"github.com/goccy/go-json"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

// official is the official client with its pull request 580: another JSON library, and
// the ev found by a search, but still an array of raw messages first and every event in
// memory of its own. Without it the client is what package bench has as encodingjson.
type official struct{ market tickstorm.Market }

func newOfficial(m tickstorm.Market) bench.Decoder { return official{m} }

func (d official) Decode(msg []byte, sum *bench.Checksum) error {
	var elements []json.RawMessage
	if err := json.Unmarshal(msg, &elements); err != nil {
		return err
	}
	for _, element := range elements {
		_, ev, _ := bytes.Cut(element, []byte(`"ev":"`))
		ev, _, _ = bytes.Cut(ev, []byte{'"'})
		e := bench.NewModel(d.market, string(ev))
		if e == nil {
			return unexpected(ev)
		}
		if err := json.Unmarshal(element, e); err != nil {
			return err
		}
		e.Fold(sum)
	}
	return nil
}
