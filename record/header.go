package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tickstorm/tickstorm"
)

// Header is what a segment begins with.
type Header struct {
	// Market is that of the messages.
	Market tickstorm.Market
	// Host is what they came from, such as "socket.massive.com".
	Host string
	// Topics are those that the connection was to have.
	Topics []string
	// Started is when the segment was begun.
	Started time.Time
	// Sequence is its number in its folder: what was recorded later has a higher one.
	Sequence uint64
	// Software is what wrote it.
	Software string
}

// Name is what the segment is called, in a [Cursor] too. The file of a recorder has this name,
// with [Suffix].
func (h *Header) Name() string { return segmentName(h.Market, h.Started.UnixNano(), h.Sequence) }

// headerJSON is the line of the first frame. It is for people and tools: all that reading needs
// is in each index too, so that a file whose beginning is gone can be read.
type headerJSON struct {
	Version  int      `json:"tsr"`
	ID       string   `json:"id"`
	Market   string   `json:"market"`
	Host     string   `json:"host,omitempty"`
	Topics   []string `json:"topics,omitempty"`
	Started  string   `json:"started"`
	Sequence uint64   `json:"sequence"`
	Software string   `json:"software,omitempty"`
}

var errNoHeader = errors.New("no header")

func (h *Header) appendTo(dst []byte, id *segmentID) ([]byte, error) {
	text, err := json.Marshal(headerJSON{
		Version, fmt.Sprintf("%016x", id.random), string(h.Market), h.Host, h.Topics,
		h.Started.UTC().Format(time.RFC3339Nano), h.Sequence, h.Software,
	})
	if err != nil {
		return dst, err
	}
	return append(append(append(dst, '#'), text...), '\n'), nil
}

// parseHeader reads the lines of a first frame.
func parseHeader(b []byte) (*Header, segmentID, error) {
	if len(b) < 2 || b[0] != '#' {
		return nil, segmentID{}, errNoHeader
	}
	var j headerJSON
	if err := json.Unmarshal(b[1:], &j); err != nil {
		return nil, segmentID{}, fmt.Errorf("%w: %w", errNoHeader, err)
	}
	random, err := strconv.ParseUint(j.ID, 16, 64)
	started, timeErr := time.Parse(time.RFC3339Nano, j.Started)
	if j.Version != Version || err != nil || timeErr != nil || !goodMarket(j.Market) {
		return nil, segmentID{}, errNoHeader
	}
	h := &Header{tickstorm.Market(j.Market), j.Host, j.Topics, started, j.Sequence, j.Software}
	return h, segmentID{h.Market, random, started.UnixNano(), j.Sequence}, nil
}
