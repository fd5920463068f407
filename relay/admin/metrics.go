package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/buckets"
	"github.com/tickstorm/tickstorm/relay"
)

// metrics writes the text form of Prometheus, version 0.0.4. Clients come and go, so they are
// counted together: who wants one of them asks /clients.
func (a *Admin) metrics(w http.ResponseWriter, _ *http.Request) {
	now, s := time.Now(), a.source.Stats()
	t := &text{}
	t.family("tickstorm_relay_clients_accepted_total", "counter", "Clients let in since the start.")
	t.sample("tickstorm_relay_clients_accepted_total", float64(s.Accepted))
	t.family("tickstorm_relay_clients_refused_total", "counter", "Handshakes that were refused.")
	t.sample("tickstorm_relay_clients_refused_total", float64(s.Refused))
	t.family("tickstorm_relay_standby", "gauge", "1 while another relay has the lock.")
	t.sample("tickstorm_relay_standby", truth(s.Standby))
	t.access(&s)
	each := func(name, kind, help string, value func(i int) float64) {
		t.family(name, kind, help)
		for i := range s.Markets {
			t.sample(name, value(i), "market", string(s.Markets[i].Market))
		}
	}
	m := s.Markets
	each("tickstorm_relay_up", "gauge", "1 while the upstream delivers.", func(i int) float64 { return truth(m[i].Up) })
	each("tickstorm_relay_messages_total", "counter", "Messages from upstream.", func(i int) float64 { return float64(m[i].Messages) })
	each("tickstorm_relay_bytes_total", "counter", "Bytes of them.", func(i int) float64 { return float64(m[i].Upstream.Bytes) })
	each("tickstorm_relay_events_total", "counter", "Events from upstream.", func(i int) float64 { return float64(m[i].Events) })
	each("tickstorm_relay_unwanted_events_total", "counter", "Events that nobody wanted.", func(i int) float64 { return float64(m[i].Unwanted) })
	each("tickstorm_relay_errors_total", "counter", "Elements that were no events.", func(i int) float64 { return float64(m[i].Errors) })
	each("tickstorm_relay_gaps_total", "counter", "Gaps in the upstream.", func(i int) float64 { return float64(m[i].Gaps) })
	each("tickstorm_relay_reconnects_total", "counter", "Connections to the upstream after the first.", func(i int) float64 { return float64(m[i].Upstream.Reconnects) })
	each("tickstorm_relay_topics", "gauge", "Topics that clients hold.", func(i int) float64 { return float64(m[i].Topics) })
	each("tickstorm_relay_granted_topics", "gauge", "Topics that the upstream has granted.", func(i int) float64 { return float64(m[i].Granted) })
	each("tickstorm_relay_clients", "gauge", "Clients.", func(i int) float64 { return float64(m[i].Clients) })
	each("tickstorm_relay_queued_bytes", "gauge", "Bytes in the queues of clients.", func(i int) float64 { return float64(m[i].Queued) })
	each("tickstorm_relay_longest_queue_bytes", "gauge", "Bytes in the longest queue of a client.", func(i int) float64 { return float64(m[i].Longest) })
	each("tickstorm_relay_written_events_total", "counter", "Events that clients have taken.", func(i int) float64 { return float64(m[i].Written) })
	each("tickstorm_relay_dropped_events_total", "counter", "Events that clients were too slow for.", func(i int) float64 { return float64(m[i].Dropped) })
	each("tickstorm_relay_conflated_events_total", "counter", "Events that gave way to later ones in a client's queue.", func(i int) float64 { return float64(m[i].Conflated) })
	each("tickstorm_relay_left_events_total", "counter", "Events that waited for clients which went.", func(i int) float64 { return float64(m[i].Left) })
	t.past(now, m)
	t.family("tickstorm_relay_last_message_age_seconds", "gauge", "Age of the last message from upstream.")
	for i := range m {
		if n := age(now, m[i].Last); n != nil {
			t.sample("tickstorm_relay_last_message_age_seconds", float64(*n)/1e9, "market", string(m[i].Market))
		}
	}
	t.family("tickstorm_relay_channel_events_total", "counter", "Events from upstream by channel.")
	for i := range m {
		for _, c := range m[i].Channels {
			if c.Channel != "" && c.Count > 0 {
				t.sample("tickstorm_relay_channel_events_total", float64(c.Count), "market", string(m[i].Market), "channel", c.Channel)
			}
		}
	}
	t.family("tickstorm_relay_lag_seconds", "histogram", "From an event's time until it was received, of one message in 64.")
	for i := range m {
		t.histogram("tickstorm_relay_lag_seconds", &m[i].Upstream.Lag, "market", string(m[i].Market))
	}
	t.family("tickstorm_relay_delay_seconds", "histogram", "From when an event was read until it was written to a client.")
	for i := range m {
		t.histogram("tickstorm_relay_delay_seconds", &m[i].Delay, "market", string(m[i].Market))
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(t.b) // fails only if nobody reads it
}

// access tells of keys and certificates, where there are some.
func (t *text) access(s *relay.Stats) {
	one := func(name, kind, help string, value float64) {
		t.family(name, kind, help)
		t.sample(name, value)
	}
	if k := &s.Keys; k.Loads > 0 {
		one("tickstorm_relay_keys", "gauge", "Keys that clients may show.", float64(k.Keys))
		one("tickstorm_relay_keys_loads_total", "counter", "How often keys were taken.", float64(k.Loads))
		one("tickstorm_relay_keys_failures_total", "counter", "How often a keys file could not be taken.", float64(k.Failures))
		one("tickstorm_relay_keys_stale", "gauge", "1 while the keys file as it is now is not what is in effect.", truth(k.Err != nil))
		one("tickstorm_relay_wrong_keys_total", "counter", "Wrong keys that were shown.", float64(s.RefusedKeys))
	}
	if c := &s.Certificate; !c.Loaded.IsZero() {
		one("tickstorm_relay_certificate_expiry_timestamp_seconds", "gauge", "When the certificate expires.", float64(c.NotAfter.Unix()))
		one("tickstorm_relay_certificate_stale", "gauge", "1 while the certificate's files as they are now are not what is in effect.", truth(c.Err != nil))
	}
}

// past tells of what is kept for late joiners, where something is.
func (t *text) past(now time.Time, markets []relay.MarketStats) {
	each := func(name, kind, help string, kept func(p *relay.PastStats) bool, value func(m *relay.MarketStats) float64) {
		begun := false
		for i := range markets {
			m := &markets[i]
			if !kept(&m.Past) {
				continue
			}
			if !begun {
				t.family(name, kind, help)
				begun = true
			}
			t.sample(name, value(m), "market", string(m.Market))
		}
	}
	snapshots := func(p *relay.PastStats) bool { return p.Snapshots }
	history := func(p *relay.PastStats) bool { return p.History > 0 }
	each("tickstorm_relay_snapshot_symbols", "gauge", "Channels and symbols whose last event is kept.", snapshots, func(m *relay.MarketStats) float64 { return float64(m.Past.Symbols) })
	each("tickstorm_relay_snapshot_bytes", "gauge", "Bytes that these take.", snapshots, func(m *relay.MarketStats) float64 { return float64(m.Past.Bytes) })
	each("tickstorm_relay_snapshot_evicted_total", "counter", "Last events that gave way to those of others.", snapshots, func(m *relay.MarketStats) float64 { return float64(m.Past.Evicted) })
	each("tickstorm_relay_snapshot_unkept_total", "counter", "Events that there was no room for among the last.", snapshots, func(m *relay.MarketStats) float64 { return float64(m.Past.Unkept) })
	each("tickstorm_relay_history_bytes", "gauge", "Bytes of memory for the latest messages.", history, func(m *relay.MarketStats) float64 { return float64(m.Past.History) })
	each("tickstorm_relay_history_seconds", "gauge", "How far back they reach.", history, func(m *relay.MarketStats) float64 {
		return max(0, now.Sub(m.Past.From).Seconds())
	})
	each("tickstorm_relay_recalled_events_total", "counter", "Events of the past that late joiners have taken.",
		func(p *relay.PastStats) bool { return snapshots(p) || history(p) }, func(m *relay.MarketStats) float64 { return float64(m.Recalled) })
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// text is Prometheus text that is being written.
type text struct{ b []byte }

func (t *text) family(name, kind, help string) {
	t.b = append(t.b, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+kind+"\n"...)
}

// sample appends a line. Labels are names and values in turn.
func (t *text) sample(name string, value float64, labels ...string) {
	t.b = append(t.b, name...)
	for i := 0; i < len(labels); i += 2 {
		sep := byte(',')
		if i == 0 {
			sep = '{'
		}
		t.b = append(append(append(t.b, sep), labels[i]...), `="`...)
		for _, c := range []byte(labels[i+1]) {
			switch c {
			case '\\', '"':
				t.b = append(t.b, '\\', c)
			case '\n':
				t.b = append(t.b, `\n`...)
			default:
				t.b = append(t.b, c)
			}
		}
		t.b = append(t.b, '"')
	}
	if len(labels) > 0 {
		t.b = append(t.b, '}')
	}
	t.b = append(strconv.AppendFloat(append(t.b, ' '), value, 'g', -1, 64), '\n')
}

func (t *text) histogram(name string, h *tickstorm.Histogram, labels ...string) {
	bucket := func(bound string, within uint64) {
		t.sample(name+"_bucket", float64(within), append(labels[:len(labels):len(labels)], "le", bound)...)
	}
	for bound, within := range buckets.Cumulative(h) {
		bucket(strconv.FormatFloat(bound, 'g', -1, 64), within)
	}
	bucket("+Inf", h.Count())
	t.sample(name+"_sum", h.Sum(), labels...)
	t.sample(name+"_count", float64(h.Count()), labels...)
}
