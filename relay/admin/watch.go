package admin

import (
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/relay"
)

// This file makes rates of what is counted: it compares each second's snapshot with those before.

// seconds is how far back the page looks.
const seconds = 60

// watch is what was counted during the last minute. It is the goroutine's of Run.
type watch struct {
	at      time.Time // of the last snapshot
	markets map[tickstorm.Market]*marketWatch
}

type marketWatch struct {
	events, bytes uint64 // of the last snapshot
	rate, octets  float64
	channels      map[string]*channelWatch
	order         []string
	lag           tickstorm.Histogram          // of the last minute
	lags          [seconds]tickstorm.Histogram // of all that was counted until each of its seconds
	oldest        int                          // of those
	state         string
	since         time.Time // when the state began
}

// channelWatch is the rate of a channel in each second of the last minute, oldest first.
type channelWatch struct {
	count   uint64
	history []float64
}

// look takes the counts of a snapshot.
func (w *watch) look(now time.Time, s *relay.Stats) {
	span := now.Sub(w.at).Seconds()
	first := w.at.IsZero()
	w.at = now
	for i := range s.Markets {
		m := &s.Markets[i]
		k := w.markets[m.Market]
		if k == nil {
			k = &marketWatch{channels: map[string]*channelWatch{}}
			w.markets[m.Market] = k
		}
		if state := stateOf(s.Standby, m); state != k.state {
			k.state, k.since = state, now
		}
		k.rate, k.octets = rate(k.events, m.Events, span, first), rate(k.bytes, m.Upstream.Bytes, span, first)
		k.events, k.bytes = m.Events, m.Upstream.Bytes
		for _, c := range m.Channels {
			k.channel(c, span, first)
		}
		k.late(&m.Upstream.Lag)
	}
}

func (k *marketWatch) channel(c tickstorm.ChannelCount, span float64, first bool) {
	if c.Channel == "" || c.Channel == "status" {
		return
	}
	h := k.channels[c.Channel]
	if h == nil {
		if c.Count == 0 {
			return
		}
		h = &channelWatch{}
		k.channels[c.Channel] = h
		k.order = append(k.order, c.Channel)
	}
	h.history = append(h.history, rate(h.count, c.Count, span, first))
	if len(h.history) > seconds {
		h.history = h.history[:copy(h.history, h.history[1:])]
	}
	h.count = c.Count
}

// rate is how much a count has risen in a second.
func rate(before, after uint64, span float64, first bool) float64 {
	if first || span <= 0 || after < before {
		return 0
	}
	return float64(after-before) / span
}

// late takes a histogram, of which it notes what is new.
func (k *marketWatch) late(h *tickstorm.Histogram) {
	k.lag = h.Since(k.lags[k.oldest])
	k.lags[k.oldest] = *h
	k.oldest = (k.oldest + 1) % seconds
}

// quantile is one of a histogram in nanoseconds; nil if it is empty.
func quantile(h *tickstorm.Histogram, q float64) *int64 {
	if h.Count() == 0 {
		return nil
	}
	return new(h.Quantile(q).Nanoseconds())
}

// stateOf is in a word what a market's upstream is about.
func stateOf(standby bool, m *relay.MarketStats) string {
	switch {
	case standby:
		return "standby"
	case m.Err != nil:
		return "failed"
	case m.Up:
		return "connected"
	case m.State == tickstorm.StateBackoff:
		return "reconnecting"
	case m.State == tickstorm.StateStreaming || m.State == tickstorm.StateSubscribing: // the upstream is a relay without one
		return "disconnected"
	}
	return m.State.String()
}
