package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/relay"
)

// This file is what the page, and other programs, are told. Durations are in nanoseconds, rates by
// the second, and what is not known is null.

type snapshot struct {
	Up          int64              `json:"up"` // how long the relay has been shown
	Version     string             `json:"version"`
	Standby     bool               `json:"standby"`
	Keys        *keysStatus        `json:"keys"`        // null without
	Certificate *certificateStatus `json:"certificate"` // null without
	Markets     []marketStatus     `json:"markets"`
	Count       int                `json:"count"`   // of clients
	Clients     []clientStatus     `json:"clients"` // that are shown
}

type keysStatus struct {
	Count int    `json:"count"`
	Age   int64  `json:"age"`   // since they were taken
	Error string `json:"error"` // why the file as it is now was not taken
	Wrong uint64 `json:"wrong"` // wrong keys that were shown
}

type certificateStatus struct {
	Left  int64  `json:"left"` // until it expires; less than 0 since
	Error string `json:"error"`
}

type marketStatus struct {
	Market     tickstorm.Market `json:"market"`
	State      string           `json:"state"` // connected, reconnecting, disconnected, failed or what the client is about
	Error      string           `json:"error"`
	For        int64            `json:"for"` // how long it has been in this state, as far as it was looked at
	Rate       float64          `json:"rate"`
	ByteRate   float64          `json:"byteRate"`
	LagP50     *int64           `json:"lagP50"` // of the last minute
	LagP99     *int64           `json:"lagP99"`
	Age        *int64           `json:"age"` // of the last message
	Topics     int              `json:"topics"`
	Granted    int              `json:"granted"`
	Gaps       uint64           `json:"gaps"`
	LastGap    *gapStatus       `json:"lastGap"`
	Reconnects uint64           `json:"reconnects"`
	Messages   uint64           `json:"messages"`
	Events     uint64           `json:"events"`
	Past       *pastStatus      `json:"past"` // null where nothing is kept for late joiners
	Channels   []channelStatus  `json:"channels"`
}

type pastStatus struct {
	Symbols  int    `json:"symbols"` // whose last event is kept
	Bytes    int    `json:"bytes"`   // of these
	Evicted  uint64 `json:"evicted"`
	Unkept   uint64 `json:"unkept"`
	History  int    `json:"history"` // bytes
	Reach    *int64 `json:"reach"`   // how far back these go
	Recalled uint64 `json:"recalled"`
}

type gapStatus struct {
	Length int64  `json:"length"`
	Ago    int64  `json:"ago"`
	Cause  string `json:"cause"`
}

type channelStatus struct {
	Channel string    `json:"channel"`
	History []float64 `json:"history"` // of the last minute, a rate a second, oldest first
}

type clientStatus struct {
	ID        uint64           `json:"id"`
	Name      string           `json:"name"` // of its key
	Address   string           `json:"address"`
	Market    tickstorm.Market `json:"market"`
	Topics    int              `json:"topics"`
	For       int64            `json:"for"`
	Queued    int              `json:"queued"` // bytes
	Limit     int              `json:"limit"`  // of them
	Waiting   int              `json:"waiting"`
	DelayP50  *int64           `json:"delayP50"` // since it is connected
	DelayP99  *int64           `json:"delayP99"`
	Sent      uint64           `json:"sent"` // bytes
	Written   uint64           `json:"written"`
	Dropped   uint64           `json:"dropped"`
	Conflated uint64           `json:"conflated"`
	Recalled  uint64           `json:"recalled"` // events of before it came
}

type topicsStatus struct {
	Total  int           `json:"total"`
	Topics []topicStatus `json:"topics"`
}

type topicStatus struct {
	Market  tickstorm.Market `json:"market"`
	Topic   string           `json:"topic"`
	Granted bool             `json:"granted"`
	Count   int              `json:"count"`
	Clients []string         `json:"clients"`
	Age     *int64           `json:"age"` // of its last event
}

// take makes the snapshot of this second, and wakes those who wait for it.
func (a *Admin) take() {
	now := time.Now()
	stats := a.source.Stats()
	a.watch.look(now, &stats)
	s := snapshot{Up: now.Sub(a.started).Nanoseconds(), Version: a.cfg.Version, Standby: stats.Standby, Markets: []marketStatus{}, Count: stats.Clients, Clients: a.shown(now)}
	if k := &stats.Keys; k.Loads > 0 {
		s.Keys = &keysStatus{Count: k.Keys, Age: now.Sub(k.Loaded).Nanoseconds(), Error: textOf(k.Err), Wrong: stats.RefusedKeys}
	}
	if c := &stats.Certificate; !c.Loaded.IsZero() {
		s.Certificate = &certificateStatus{Left: c.NotAfter.Sub(now).Nanoseconds(), Error: textOf(c.Err)}
	}
	for i := range stats.Markets {
		s.Markets = append(s.Markets, a.market(now, &stats.Markets[i]))
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic("relay/admin: a snapshot that is no JSON: " + err.Error())
	}
	a.mu.Lock()
	a.latest = b
	close(a.turn)
	a.turn = make(chan struct{})
	a.mu.Unlock()
}

func (a *Admin) market(now time.Time, m *relay.MarketStats) marketStatus {
	k := a.watch.markets[m.Market]
	s := marketStatus{
		Market: m.Market, State: k.state, For: now.Sub(k.since).Nanoseconds(), Rate: k.rate, ByteRate: k.octets,
		LagP50: quantile(&k.lag, 0.5), LagP99: quantile(&k.lag, 0.99), Age: age(now, m.Last),
		Topics: m.Topics, Granted: m.Granted, Gaps: m.Gaps, Reconnects: m.Upstream.Reconnects,
		Messages: m.Messages, Events: m.Events, Channels: []channelStatus{},
	}
	switch {
	case m.Err != nil:
		s.Error = m.Err.Error()
	case !m.Up:
		s.Error = m.Why
	}
	if g := m.LastGap; m.Gaps > 0 {
		s.LastGap = &gapStatus{Length: g.To.Sub(g.From).Nanoseconds(), Ago: now.Sub(g.To).Nanoseconds(), Cause: g.Cause}
	}
	if p := &m.Past; p.Snapshots || p.History > 0 {
		s.Past = &pastStatus{p.Symbols, p.Bytes, p.Evicted, p.Unkept, p.History, age(now, p.From), m.Recalled}
	}
	for _, name := range k.order {
		s.Channels = append(s.Channels, channelStatus{name, k.channels[name].history})
	}
	return s
}

// textOf is what an error says, "" for none.
func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Bounds of what /topics is asked for.
const (
	maxQuery  = 256
	defTopics = 100
	maxTopics = 10_000
)

func (a *Admin) topics(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query().Get("q")
	limit, ok := bounded(r, "limit", defTopics, maxTopics)
	if !ok || len(query) > maxQuery {
		http.Error(w, "limit is a number, and q has 256 bytes at most", http.StatusBadRequest)
		return
	}
	now := time.Now()
	found, total := a.source.Topics(query, limit)
	answer := topicsStatus{Total: total, Topics: []topicStatus{}}
	for _, t := range found[:min(len(found), limit)] {
		s := topicStatus{Market: t.Market, Topic: t.Topic.String(), Granted: t.Granted, Count: t.Holders, Clients: []string{}, Age: age(now, t.Last)}
		for _, c := range t.Clients {
			name := c.From
			if c.Key != "" {
				name = fmt.Sprintf("%s #%d", c.Key, c.ID)
			}
			s.Clients = append(s.Clients, name)
		}
		answer.Topics = append(answer.Topics, s)
	}
	reply(w, http.StatusOK, answer)
}
