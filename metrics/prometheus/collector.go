// Package prometheus offers the [tickstorm.Stats] of a connection or a client to
// Prometheus.
package prometheus

import (
	"maps"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/buckets"
)

// Collector is a [prometheus.Collector] that takes a snapshot whenever it is collected.
// All methods are safe for concurrent use.
//
// Durations are in seconds. The metrics, all with tickstorm_ in front:
//
//	messages_total, message_bytes_total, received_bytes_total
//	events_total{kind}, skipped_events_total, no_symbol_events_total
//	fast_elements_total, errors_total{cause}
//	unknown_keys_total, strange_keys_total, odd_fields_total
//	topics{state}, refusals_total, refused_topics_total
//	reconnects_total, reconnect_attempts_total{cause}
//	lag_seconds, aggregate_lag_seconds, decode_seconds, interval_seconds: histograms
//	negative_lag_total
//	queue_bytes, queue_capacity_bytes, queue_high_water_bytes, queue_events, queue_oldest_seconds
//	queue_dropped_events_total{channel}, queue_conflated_events_total
//
// Those of the queue are there where the client has one.
//
// To tell several connections apart, register each with labels of its own by
// [prometheus.WrapRegistererWith].
type Collector struct {
	stats func() tickstorm.Stats
}

var _ prometheus.Collector = (*Collector)(nil)

// NewCollector returns a Collector of stats, such as the method Stats of a
// [tickstorm.Client]. It may be called from any goroutine.
func NewCollector(stats func() tickstorm.Stats) *Collector { return &Collector{stats} }

// Describe sends what there is to collect.
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		messages, messageBytes, receivedBytes, events, skipped, noSymbol, fast, errs,
		unknownKeys, strangeKeys, odd, topics, refusals, refusedTopics, reconnects, attempts,
		lag, aggregateLag, decode, interval, negativeLag,
		queueBytes, queueCapacity, queueHighWater, queueEvents, queueOldest, queueDropped, queueConflated,
	} {
		to <- d
	}
}

// Collect sends a snapshot.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	s := c.stats()
	counter := func(d *prometheus.Desc, n uint64, label ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), label...)
	}
	counter(messages, s.Messages)
	counter(messageBytes, s.Bytes)
	counter(receivedBytes, s.Received)
	for kind, n := range s.Events {
		counter(events, n, label(tickstorm.Kind(kind).String()))
	}
	counter(skipped, s.Skipped)
	counter(noSymbol, s.NoSymbol)
	counter(fast, s.Fast)
	for cause, n := range s.ErrorCauses {
		counter(errs, n, label(tickstorm.ErrorCause(cause).String()))
	}
	counter(unknownKeys, s.UnknownKeys)
	counter(strangeKeys, s.Strange)
	counter(odd, s.Odd)
	to <- prometheus.MustNewConstMetric(topics, prometheus.GaugeValue, float64(s.AckedTopics), "acked")
	to <- prometheus.MustNewConstMetric(topics, prometheus.GaugeValue, float64(s.PendingTopics), "pending")
	counter(refusals, s.Refusals)
	counter(refusedTopics, s.RefusedTopics)
	counter(reconnects, s.Reconnects)
	for cause, n := range s.ReconnectCauses {
		counter(attempts, n, label(tickstorm.ReconnectCause(cause).String()))
	}
	to <- histogram(lag, &s.Lag)
	to <- histogram(aggregateLag, &s.AggregateLag)
	to <- histogram(decode, &s.Decode)
	to <- histogram(interval, &s.Interval)
	counter(negativeLag, s.NegativeLag)
	if s.Queue.Capacity > 0 {
		collectQueue(to, &s.Queue)
	}
}

func collectQueue(to chan<- prometheus.Metric, q *tickstorm.QueueStats) {
	gauge := func(d *prometheus.Desc, v float64) { to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	gauge(queueBytes, float64(q.Bytes))
	gauge(queueCapacity, float64(q.Capacity))
	gauge(queueHighWater, float64(q.HighWater))
	gauge(queueEvents, float64(q.Events))
	gauge(queueOldest, q.Oldest.Seconds())
	for _, c := range q.DroppedBy {
		channel := c.Channel
		if channel == "" {
			channel = "none"
		}
		to <- prometheus.MustNewConstMetric(queueDropped, prometheus.CounterValue, float64(c.Count), channel)
	}
	to <- prometheus.MustNewConstMetric(queueConflated, prometheus.CounterValue, float64(q.Conflated))
}

func histogram(d *prometheus.Desc, h *tickstorm.Histogram) prometheus.Metric {
	return prometheus.MustNewConstHistogram(d, h.Count(), h.Sum(), maps.Collect(buckets.Cumulative(h)))
}

// label returns a name in the form of label values.
func label(name string) string { return strings.ReplaceAll(name, " ", "_") }

var (
	messages      = desc("messages_total", "Messages decoded.")
	messageBytes  = desc("message_bytes_total", "Length of the messages decoded, in bytes.")
	receivedBytes = desc("received_bytes_total", "Bytes read from the connection, after TLS.")
	events        = desc("events_total", "Events decoded, by kind.", "kind")
	skipped       = desc("skipped_events_total", "Events passed over because nobody is interested in them.")
	noSymbol      = desc("no_symbol_events_total", "Data events without a symbol.")
	fast          = desc("fast_elements_total", "Elements decoded by the fast path.")
	errs          = desc("errors_total", "Elements and messages that were no events, by cause.", "cause")
	unknownKeys   = desc("unknown_keys_total", "Keys of known events that the library does not know.")
	strangeKeys   = desc("strange_keys_total", "Keys that the fast path met in an order it did not know.")
	odd           = desc("odd_fields_total", "Fields whose value did not fit.")
	topics        = desc("topics", "Topics held, by whether the server has acknowledged them.", "state")
	refusals      = desc("refusals_total", "Refusals of subscriptions.")
	refusedTopics = desc("refused_topics_total", "Topics that are known to be refused.")
	reconnects    = desc("reconnects_total", "Connections made after the first.")
	attempts      = desc("reconnect_attempts_total", "Attempts to reconnect, by what ended the connection or attempt before.", "cause")
	lag           = desc("lag_seconds", "Receipt minus event time, of the first event of each read.")
	aggregateLag  = desc("aggregate_lag_seconds", "Receipt minus end of the window, of reads that begin with an aggregate.")
	decode        = desc("decode_seconds", "Time to decode and handle a message, of one in 64.")
	interval      = desc("interval_seconds", "Time between the reads that completed a message.")
	negativeLag   = desc("negative_lag_total", "Events received before their time by the two clocks; their lag counts as zero.")

	queueBytes     = desc("queue_bytes", "Memory of the queue that is taken, in bytes.")
	queueCapacity  = desc("queue_capacity_bytes", "Memory of the queue, in bytes.")
	queueHighWater = desc("queue_high_water_bytes", "The most of it that has been taken, in bytes.")
	queueEvents    = desc("queue_events", "Events that wait in the queue, or are being handled.")
	queueOldest    = desc("queue_oldest_seconds", "How long ago the oldest of them was read.")
	queueDropped   = desc("queue_dropped_events_total", "Events that the queue had no room for, by channel.", "channel")
	queueConflated = desc("queue_conflated_events_total", "Events that gave way to a later one of their symbol.")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("tickstorm_"+name, help, labels, nil)
}
