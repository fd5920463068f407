package top

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tickstorm/tickstorm"
)

// A Relay is what the admin server of a relay says of it. Durations are in seconds, rates by the second, and
// what is not known is null.
type Relay struct {
	Address string        `json:"address"`
	Up      float64       `json:"up_seconds"`
	Version string        `json:"version"`
	Markets []RelayMarket `json:"markets"`
	Clients []RelayClient `json:"clients"`
	// Error is why nothing newer has come.
	Error string `json:"error,omitempty"`

	at time.Time // of the first answer
}

// A RelayMarket is a market that a relay has.
type RelayMarket struct {
	Market     tickstorm.Market `json:"market"`
	State      string           `json:"state"`
	StateFor   float64          `json:"state_seconds"`
	Why        string           `json:"why,omitempty"` // it is not connected
	EventRate  float64          `json:"events_per_second"`
	ByteRate   float64          `json:"bytes_per_second"`
	LagP50     *float64         `json:"lag_p50_seconds"` // of the last minute
	LagP99     *float64         `json:"lag_p99_seconds"`
	Age        *float64         `json:"age_seconds"` // of the last message
	Topics     int              `json:"topics"`
	Acked      int              `json:"acked"`
	Gaps       uint64           `json:"gaps"`
	LastGap    *RelayGap        `json:"last_gap"`
	Reconnects uint64           `json:"reconnects"`
	Messages   uint64           `json:"messages"`
	Events     uint64           `json:"events"`
	Channels   []RelayChannel   `json:"channels"`
}

// A RelayGap is the last gap of a relay's connection.
type RelayGap struct {
	Length float64 `json:"gap_seconds"`
	Ago    float64 `json:"ago_seconds"`
	Cause  string  `json:"cause"`
}

// A RelayChannel is what comes of a channel.
type RelayChannel struct {
	Channel   string  `json:"channel"`
	EventRate float64 `json:"events_per_second"`

	history []float64 // of the last minute, oldest first
}

// A RelayClient is a client of a relay. Waiting, Written, Dropped and Conflated are events.
type RelayClient struct {
	ID        uint64           `json:"id"`
	Name      string           `json:"name"`
	Address   string           `json:"address"`
	Market    tickstorm.Market `json:"market"`
	Topics    int              `json:"topics"`
	For       float64          `json:"connected_seconds"`
	Queued    int              `json:"queued_bytes"`
	Limit     int              `json:"limit_bytes"`
	Waiting   int              `json:"waiting"`
	DelayP50  *float64         `json:"delay_p50_seconds"`
	DelayP99  *float64         `json:"delay_p99_seconds"`
	Sent      uint64           `json:"sent_bytes"`
	Written   uint64           `json:"written"`
	Dropped   uint64           `json:"dropped"`
	Conflated uint64           `json:"conflated"`
}

// relayOf reads what an admin server says, whose durations are in nanoseconds.
func relayOf(data []byte) (Relay, error) {
	var said struct {
		Up      int64
		Version string
		Markets []struct {
			Market         tickstorm.Market
			State, Error   string
			For            int64
			Rate, ByteRate float64
			LagP50, LagP99 *int64
			Age            *int64
			Topics         int
			Granted        int
			Gaps           uint64
			LastGap        *struct {
				Length, Ago int64
				Cause       string
			}
			Reconnects, Messages, Events uint64
			Channels                     []struct {
				Channel string
				History []float64
			}
		}
		Clients []struct {
			ID                                uint64
			Name, Address                     string
			Market                            tickstorm.Market
			Topics                            int
			For                               int64
			Queued, Limit, Waiting            int
			DelayP50, DelayP99                *int64
			Sent, Written, Dropped, Conflated uint64
		}
	}
	if err := json.Unmarshal(data, &said); err != nil {
		return Relay{}, err
	}
	r := Relay{Up: inSeconds(said.Up), Version: said.Version, Markets: []RelayMarket{}, Clients: []RelayClient{}}
	for _, m := range said.Markets {
		to := RelayMarket{
			Market: m.Market, State: m.State, StateFor: inSeconds(m.For), Why: m.Error, EventRate: m.Rate, ByteRate: m.ByteRate,
			LagP50: ifKnown(m.LagP50), LagP99: ifKnown(m.LagP99), Age: ifKnown(m.Age), Topics: m.Topics, Acked: m.Granted,
			Gaps: m.Gaps, Reconnects: m.Reconnects, Messages: m.Messages, Events: m.Events, Channels: []RelayChannel{},
		}
		if g := m.LastGap; g != nil {
			to.LastGap = &RelayGap{inSeconds(g.Length), inSeconds(g.Ago), g.Cause}
		}
		for _, c := range m.Channels {
			channel := RelayChannel{Channel: c.Channel, history: c.History}
			if n := len(c.History); n > 0 {
				channel.EventRate = c.History[n-1]
			}
			to.Channels = append(to.Channels, channel)
		}
		r.Markets = append(r.Markets, to)
	}
	for _, c := range said.Clients {
		r.Clients = append(r.Clients, RelayClient{
			ID: c.ID, Name: c.Name, Address: c.Address, Market: c.Market, Topics: c.Topics, For: inSeconds(c.For),
			Queued: c.Queued, Limit: c.Limit, Waiting: c.Waiting, DelayP50: ifKnown(c.DelayP50), DelayP99: ifKnown(c.DelayP99),
			Sent: c.Sent, Written: c.Written, Dropped: c.Dropped, Conflated: c.Conflated,
		})
	}
	return r, nil
}

func inSeconds(ns int64) float64 { return float64(ns) / 1e9 }

func ifKnown(ns *int64) *float64 {
	if ns == nil {
		return nil
	}
	return new(inSeconds(*ns))
}

// label is what people call a client by.
func (c *RelayClient) label() string {
	if c.Name != "" {
		return c.Name
	}
	return c.Address
}

// ofRelay reports whether a snapshot is of a relay alone.
func (s *Snapshot) ofRelay() bool { return s.Relay != nil && s.Queue.Capacity == 0 }

// snapshot is a relay's connection to a market as that of a feed, without its history and incidents.
func (r *Relay) snapshot(now time.Time, market tickstorm.Market) *Snapshot {
	s := &Snapshot{
		At: now, Market: market, Feed: r.Address, State: "no answer", Why: r.Error, Topics: []string{}, Relay: r,
		Channels: []Channel{}, Symbols: []Symbol{}, Silent: []Symbol{}, Incidents: []Incident{},
	}
	if r.Error != "" {
		return s
	}
	m := r.market(market)
	if m == nil {
		s.State = "no market"
		return s
	}
	s.Market, s.State, s.Why, s.StateFor = m.Market, m.State, clean(m.Why), m.StateFor
	s.Acked = m.Acked
	if m.Topics > 0 {
		s.Topics = append(s.Topics, fmt.Sprintf("%d topics", m.Topics))
	}
	s.EventRate, s.ByteRate, s.Events, s.Messages = m.EventRate, m.ByteRate, m.Events, m.Messages
	s.LagP50, s.LagP99, s.Age = m.LagP50, m.LagP99, m.Age
	s.Gaps, s.Reconnects = m.Gaps, m.Reconnects
	for _, c := range m.Channels {
		s.Channels = append(s.Channels, Channel{Channel: c.Channel, EventRate: c.EventRate, history: c.history})
	}
	for i := range r.Clients {
		if c := &r.Clients[i]; c.Market == m.Market {
			s.Queue.Dropped += c.Dropped
			s.Queue.Conflated += c.Conflated
		}
	}
	return s
}

// market returns one of its markets, the first if market is ""; nil if it has none like that.
func (r *Relay) market(market tickstorm.Market) *RelayMarket {
	for i := range r.Markets {
		if m := &r.Markets[i]; market == "" || m.Market == market {
			return m
		}
	}
	return nil
}
