package top

import (
	"time"

	"github.com/tickstorm/tickstorm"
)

// A Snapshot is a feed as it was at a time. Rates are by the second, of the time since the snapshot
// before; durations are in seconds, and what is not known is null.
type Snapshot struct {
	At        time.Time        `json:"at"`
	Market    tickstorm.Market `json:"market"`
	Feed      string           `json:"feed"`
	Simulator bool             `json:"simulator"` // the data are made up
	State     string           `json:"state"`
	StateFor  float64          `json:"state_seconds"`
	Why       string           `json:"why,omitempty"` // it is not streaming
	Topics    []string         `json:"topics"`
	Acked     int              `json:"acked"`
	Refused   []string         `json:"refused,omitempty"`

	EventRate   float64 `json:"events_per_second"`
	ByteRate    float64 `json:"bytes_per_second"`
	MessageRate float64 `json:"messages_per_second"`
	Events      uint64  `json:"events"`
	Bytes       uint64  `json:"bytes"`
	Messages    uint64  `json:"messages"`

	Channels []Channel `json:"channels"`
	// LagP50 and LagP99 are of the events that came since the snapshot before; of bars where nothing
	// else came.
	LagP50 *float64 `json:"lag_p50_seconds"`
	LagP99 *float64 `json:"lag_p99_seconds"`
	Age    *float64 `json:"age_seconds"` // of the last event

	Queue Queue `json:"queue"`

	Gaps            uint64                    `json:"gaps"`
	Missing         float64                   `json:"gap_seconds"`
	Reconnects      uint64                    `json:"reconnects"`
	ReconnectCauses tickstorm.ReconnectCounts `json:"reconnect_causes"`
	Errors          uint64                    `json:"errors"`
	ErrorCauses     tickstorm.ErrorCounts     `json:"error_causes"`
	ErrorSamples    tickstorm.ErrorSamples    `json:"error_samples"`

	SymbolCount int      `json:"symbol_count"` // that something came of
	Untracked   uint64   `json:"untracked"`    // events of symbols beyond MaxSymbols, and of none
	Symbols     []Symbol `json:"symbols"`      // as many as were asked for, in the order asked for
	Silent      []Symbol `json:"silent"`       // those that nothing came of for longest

	Incidents []Incident `json:"incidents"`
	Relay     *Relay     `json:"relay,omitempty"`

	history histories
}

// A Channel is what came of one.
type Channel struct {
	Channel   string  `json:"channel"` // "" for events of channels that are not known
	EventRate float64 `json:"events_per_second"`
	ByteRate  float64 `json:"bytes_per_second"`
	Events    uint64  `json:"events"`
	Bytes     uint64  `json:"bytes"`
	Dropped   uint64  `json:"dropped"`

	history []float64
}

// Queue is the state of the queue between socket and handler. Capacity and HighWater are bytes, Dropped and
// Conflated events.
type Queue struct {
	Events    int     `json:"events"`
	Bytes     int     `json:"bytes"`
	Capacity  int     `json:"capacity_bytes"`
	HighWater int     `json:"high_water_bytes"`
	Oldest    float64 `json:"oldest_seconds"`
	Dropped   uint64  `json:"dropped"`
	Conflated uint64  `json:"conflated"`
}

// A Symbol is what came of one.
type Symbol struct {
	Symbol    string  `json:"symbol"`
	EventRate float64 `json:"events_per_second"`
	Events    uint64  `json:"events"`
	Share     float64 `json:"share"` // of the events of all since the snapshot before
	Silent    float64 `json:"silent_seconds"`
	Price     float64 `json:"price"` // the last of a trade, a bar, or a value; 0 if there is none

	ID uint32 `json:"-"`
}
