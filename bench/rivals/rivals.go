// Package rivals puts other libraries beside Tickstorm: JSON decoders on the corpora of
// package bench, with its checksum over every field, and WebSocket readers on its
// senders. There is an adapter in a file of its own for each. The module is nested so
// that nobody who uses the library has to fetch any of them.
//
//	make bench-rivals                   # the tables of the README, from the root
//	go run ./tables -short              # the same in half a minute, to look at
//
// Each rival is used in the fastest way that was found, with events that are used over
// and over, and has help from what a program knows about this feed: where an element
// ends, and that its ev comes first. The one thing that they are charged for and need
// not be is a few percent in [events].
package rivals

import (
	"errors"
	"fmt"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

// Decoder is a rival at decoding.
type Decoder struct {
	bench.Engine
	Module string // of the library, if it is named after one
	// Missing says why it cannot run on this machine, if so.
	Missing string
}

// Decoders returns the rivals at decoding that package bench does not have already.
func Decoders() []Decoder {
	return []Decoder{
		{bench.Engine{Name: "the official client, with its open pull request 580", Exact: true, New: newOfficial}, "", ""},
		{bench.Engine{Name: "encoding/json, once", Exact: true, New: newStandard}, "", ""},
		{bench.Engine{Name: "encoding/json/v2", Exact: true, New: newV2}, "github.com/go-json-experiment/json", ""},
		{bench.Engine{Name: "simdjson-go", Exact: true, New: newSimdjson}, "github.com/minio/simdjson-go", simdjsonMissing()},
		{bench.Engine{Name: "jsonparser", Exact: true, New: newJSONParser}, "github.com/buger/jsonparser", ""},
		{bench.Engine{Name: "gjson", Exact: true, New: newGJSON}, "github.com/tidwall/gjson", ""},
		{bench.Engine{Name: "easyjson", Exact: true, New: newEasyJSON}, "github.com/mailru/easyjson", ""},
		{bench.Engine{Name: "bytedance/sonic", Exact: true, New: newSonic}, "github.com/bytedance/sonic", sonicMissing},
		{bench.Engine{Name: "goccy/go-json", Exact: true, New: newGoccy}, "github.com/goccy/go-json", ""},
		{bench.Engine{Name: "json-iterator", Exact: true, New: newJSONIter}, "github.com/json-iterator/go", ""},
	}
}

// errMalformed is for what a library passes over in silence; the corpora have nothing
// such.
var errMalformed = errors.New("malformed message")

func unexpected[T string | []byte](ev T) error { return fmt.Errorf("unexpected event %q", ev) }

func equities(m tickstorm.Market) bool { return m == tickstorm.Stocks || m == tickstorm.Options }
