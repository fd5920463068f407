// Package otel offers the [tickstorm.Stats] of a connection or a client to OpenTelemetry.
package otel

import (
	"context"
	"errors"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/tickstorm/tickstorm"
)

// The quantiles that stand for a histogram, since OpenTelemetry has none that is observed.
var quantiles = []struct {
	q     float64
	value attribute.KeyValue
}{
	{0.5, attribute.String("quantile", "0.5")},
	{0.9, attribute.String("quantile", "0.9")},
	{0.99, attribute.String("quantile", "0.99")},
	{0.999, attribute.String("quantile", "0.999")},
	{1, attribute.String("quantile", "1")},
}

// Register makes instruments on meter that observe a snapshot of stats, such as the method
// Stats of a [tickstorm.Client], whenever the meter is read. stats may be called from any
// goroutine. attributes go with every observation: they tell several connections apart,
// each of which is registered by itself.
//
// Durations are in seconds. The instruments, all with tickstorm. in front:
//
//	messages, message.size, received.size: counters, the sizes in bytes
//	events (kind), events.skipped, events.no_symbol, elements.fast, errors (cause)
//	keys.unknown, keys.strange, fields.odd: counters
//	topics (state): a sum that goes up and down
//	refusals, topics.refused, reconnects, reconnect.attempts (cause): counters
//	lag, aggregate.lag, decode.duration, interval (quantile): gauges
//	lag.count and so on: counters of what is in them; lag.negative
//	queue.size, queue.capacity, queue.high_water, queue.events, queue.oldest: gauges
//	queue.dropped, queue.conflated: counters
//
// OpenTelemetry has no histogram that is observed, so there are the quantiles 0.5, 0.9,
// 0.99, 0.999 and 1, the last being the maximum, of all durations since the start; nothing
// is observed of an empty one.
//
// The error is the meter's. Unregister ends the observations.
func Register(meter metric.Meter, stats func() tickstorm.Stats, attributes ...attribute.KeyValue) (metric.Registration, error) {
	i := &instruments{meter: meter, stats: stats, common: attributes}
	i.counter("messages", "{message}", "Messages decoded.",
		func(s *tickstorm.Stats) uint64 { return s.Messages })
	i.counter("message.size", "By", "Length of the messages decoded.",
		func(s *tickstorm.Stats) uint64 { return s.Bytes })
	i.counter("received.size", "By", "Bytes read from the connection, after TLS.",
		func(s *tickstorm.Stats) uint64 { return s.Received })
	i.counters("events", "{event}", "Events decoded, by kind.",
		"kind", tickstorm.Kinds, func(k int) string { return tickstorm.Kind(k).String() },
		func(s *tickstorm.Stats, k int) uint64 { return s.Events[k] })
	i.counter("events.skipped", "{event}", "Events passed over because nobody is interested in them.",
		func(s *tickstorm.Stats) uint64 { return s.Skipped })
	i.counter("events.no_symbol", "{event}", "Data events without a symbol.",
		func(s *tickstorm.Stats) uint64 { return s.NoSymbol })
	i.counter("elements.fast", "{element}", "Elements decoded by the fast path.",
		func(s *tickstorm.Stats) uint64 { return s.Fast })
	i.counters("errors", "{error}", "Elements and messages that were no events, by cause.",
		"cause", tickstorm.ErrorCauses, func(c int) string { return tickstorm.ErrorCause(c).String() },
		func(s *tickstorm.Stats, c int) uint64 { return s.ErrorCauses[c] })
	i.counter("keys.unknown", "{key}", "Keys of known events that the library does not know.",
		func(s *tickstorm.Stats) uint64 { return s.UnknownKeys })
	i.counter("keys.strange", "{key}", "Keys that the fast path met in an order it did not know.",
		func(s *tickstorm.Stats) uint64 { return s.Strange })
	i.counter("fields.odd", "{field}", "Fields whose value did not fit.",
		func(s *tickstorm.Stats) uint64 { return s.Odd })
	i.topics()
	i.counter("refusals", "{refusal}", "Refusals of subscriptions.",
		func(s *tickstorm.Stats) uint64 { return s.Refusals })
	i.counter("topics.refused", "{topic}", "Topics that are known to be refused.",
		func(s *tickstorm.Stats) uint64 { return s.RefusedTopics })
	i.counter("reconnects", "{reconnect}", "Connections made after the first.",
		func(s *tickstorm.Stats) uint64 { return s.Reconnects })
	i.counters("reconnect.attempts", "{attempt}", "Attempts to reconnect, by what ended the connection or attempt before.",
		"cause", tickstorm.ReconnectCauses, func(c int) string { return tickstorm.ReconnectCause(c).String() },
		func(s *tickstorm.Stats, c int) uint64 { return s.ReconnectCauses[c] })
	i.histogram("lag", "Receipt minus event time, of the first event of each read.",
		func(s *tickstorm.Stats) *tickstorm.Histogram { return &s.Lag })
	i.histogram("aggregate.lag", "Receipt minus end of the window, of reads that begin with an aggregate.",
		func(s *tickstorm.Stats) *tickstorm.Histogram { return &s.AggregateLag })
	i.histogram("decode.duration", "Time to decode and handle a message, of one in 64.",
		func(s *tickstorm.Stats) *tickstorm.Histogram { return &s.Decode })
	i.histogram("interval", "Time between the reads that completed a message.",
		func(s *tickstorm.Stats) *tickstorm.Histogram { return &s.Interval })
	i.counter("lag.negative", "{event}", "Events received before their time by the two clocks; their lag counts as zero.",
		func(s *tickstorm.Stats) uint64 { return s.NegativeLag })
	i.gauge("queue.size", "By", "Memory of the client's queue that is taken.",
		func(q *tickstorm.QueueStats) float64 { return float64(q.Bytes) })
	i.gauge("queue.capacity", "By", "Memory of the queue.",
		func(q *tickstorm.QueueStats) float64 { return float64(q.Capacity) })
	i.gauge("queue.high_water", "By", "The most of it that has been taken.",
		func(q *tickstorm.QueueStats) float64 { return float64(q.HighWater) })
	i.gauge("queue.events", "{event}", "Events that wait in the queue, or are being handled.",
		func(q *tickstorm.QueueStats) float64 { return float64(q.Events) })
	i.gauge("queue.oldest", "s", "How long ago the oldest of them was read.",
		func(q *tickstorm.QueueStats) float64 { return q.Oldest.Seconds() })
	i.counter("queue.dropped", "{event}", "Events that the queue had no room for.",
		func(s *tickstorm.Stats) uint64 { return s.Queue.Dropped })
	i.counter("queue.conflated", "{event}", "Events that gave way to a later one of their symbol.",
		func(s *tickstorm.Stats) uint64 { return s.Queue.Conflated })
	if err := errors.Join(i.errs...); err != nil {
		return nil, err
	}
	return meter.RegisterCallback(i.observe, i.all...)
}

// instruments collects what Register makes.
type instruments struct {
	meter     metric.Meter
	stats     func() tickstorm.Stats
	common    []attribute.KeyValue
	all       []metric.Observable
	observers []func(metric.Observer, *tickstorm.Stats)
	errs      []error
}

// observe takes one snapshot for all instruments.
func (i *instruments) observe(_ context.Context, o metric.Observer) error {
	s := i.stats()
	for _, observe := range i.observers {
		observe(o, &s)
	}
	return nil
}

func (i *instruments) add(in metric.Observable, err error, observe func(metric.Observer, *tickstorm.Stats)) {
	i.all = append(i.all, in)
	i.observers = append(i.observers, observe)
	if err != nil {
		i.errs = append(i.errs, err)
	}
}

// with returns the attributes of an observation.
func (i *instruments) with(more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(append(more, i.common...)...))
}

func (i *instruments) counter(name, unit, description string, value func(*tickstorm.Stats) uint64) {
	in, err := i.meter.Int64ObservableCounter("tickstorm."+name, metric.WithUnit(unit), metric.WithDescription(description))
	with := i.with()
	i.add(in, err, func(o metric.Observer, s *tickstorm.Stats) {
		o.ObserveInt64(in, int64(value(s)), with)
	})
}

// gauge observes something of a queue, if there is one.
func (i *instruments) gauge(name, unit, description string, value func(*tickstorm.QueueStats) float64) {
	in, err := i.meter.Float64ObservableGauge("tickstorm."+name, metric.WithUnit(unit), metric.WithDescription(description))
	with := i.with()
	i.add(in, err, func(o metric.Observer, s *tickstorm.Stats) {
		if s.Queue.Capacity > 0 {
			o.ObserveFloat64(in, value(&s.Queue), with)
		}
	})
}

func (i *instruments) counters(name, unit, description, key string, n int, label func(int) string, value func(*tickstorm.Stats, int) uint64) {
	in, err := i.meter.Int64ObservableCounter("tickstorm."+name, metric.WithUnit(unit), metric.WithDescription(description))
	with := make([]metric.MeasurementOption, n)
	for j := range with {
		with[j] = i.with(attribute.String(key, strings.ReplaceAll(label(j), " ", "_")))
	}
	i.add(in, err, func(o metric.Observer, s *tickstorm.Stats) {
		for j, with := range with {
			o.ObserveInt64(in, int64(value(s, j)), with)
		}
	})
}

func (i *instruments) topics() {
	in, err := i.meter.Int64ObservableUpDownCounter("tickstorm.topics", metric.WithUnit("{topic}"),
		metric.WithDescription("Topics held, by whether the server has acknowledged them."))
	acked, pending := i.with(attribute.String("state", "acked")), i.with(attribute.String("state", "pending"))
	i.add(in, err, func(o metric.Observer, s *tickstorm.Stats) {
		o.ObserveInt64(in, int64(s.AckedTopics), acked)
		o.ObserveInt64(in, int64(s.PendingTopics), pending)
	})
}

func (i *instruments) histogram(name, description string, value func(*tickstorm.Stats) *tickstorm.Histogram) {
	in, err := i.meter.Float64ObservableGauge("tickstorm."+name, metric.WithUnit("s"), metric.WithDescription(description))
	with := make([]metric.MeasurementOption, len(quantiles))
	for j, q := range quantiles {
		with[j] = i.with(q.value)
	}
	i.add(in, err, func(o metric.Observer, s *tickstorm.Stats) {
		h := value(s)
		if h.Count() == 0 {
			return
		}
		for j, q := range quantiles {
			o.ObserveFloat64(in, h.Quantile(q.q).Seconds(), with[j])
		}
	})
	i.counter(name+".count", "{sample}", "Durations in tickstorm."+name+".",
		func(s *tickstorm.Stats) uint64 { return value(s).Count() })
}
