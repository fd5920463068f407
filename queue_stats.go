package tickstorm

import "time"

// QueueStats is the state of a [Queue] and what it has counted. Events are what a message
// was split into. One that was not split counts as one while it waits, and as its events from
// when it was handled or dropped; as one still where a [RawHandler] has kept it from being
// decoded. Of those that came, each was handled, dropped or conflated, or waits: Enqueued is
// the sum of Delivered, Dropped, Conflated and Events.
type QueueStats struct {
	// Events are those that wait, or are in the hands of a consumer.
	Events int
	// Bytes is how much of the memory is taken, and Capacity how much there is.
	Bytes, Capacity int
	// HighWater is the most that Bytes has been, of each consumer's part by itself.
	HighWater int
	// Oldest is how long ago the oldest of the Events was read; 0 if there is none.
	Oldest time.Duration
	// Enqueued are the events that came, also those that were dropped at once.
	Enqueued uint64
	// Delivered are the events that consumers have handled, counted batch by batch.
	Delivered uint64
	// Dropped are the events that were dropped, and DroppedBy those of each channel.
	Dropped   uint64
	DroppedBy []ChannelCount
	// Conflated are the events that gave way to a later one.
	Conflated uint64
}

// Stats returns the state of the queue. It may be called from any goroutine, at any time.
func (q *Queue) Stats() QueueStats {
	var st QueueStats
	dropped := make([]uint64, len(q.scanner.channels))
	var oldest int64
	for _, s := range q.shards {
		s.mu.Lock()
		events := s.live + s.inHand
		if events > 0 {
			first := s.handling
			if s.inHand == 0 {
				first = s.entryAt(s.head).received
			}
			if st.Events == 0 || first < oldest {
				oldest = first
			}
		}
		st.Events += events
		st.Bytes += int(s.used())
		st.Capacity += len(s.ring)
		st.HighWater += int(s.high)
		st.Enqueued += s.totals.enqueued
		st.Delivered += s.totals.delivered
		st.Dropped += s.totals.dropped
		st.Conflated += s.totals.conflated
		for i, n := range s.dropped {
			dropped[i] += n
		}
		s.mu.Unlock()
	}
	if st.Events > 0 {
		st.Oldest = max(0, time.Duration(q.now().UnixNano()-oldest))
	}
	st.DroppedBy = appendCounts(nil, q.scanner.channels, dropped)
	return st
}

// ParserStats returns what the consumers' parsers have counted, batch by batch: what a
// parser without a queue would have, if nothing was dropped. Messages and Bytes are what
// came to the queue. Decode is the time to decode and handle what came in one read, of one
// in 64; Interval is not known here. It may be called from any goroutine.
func (q *Queue) ParserStats() Stats {
	var st Stats
	for _, s := range q.shards {
		s.mu.Lock()
		own := Stats{Counters: s.published, ErrorSamples: s.samples}
		s.mu.Unlock()
		s.parser.latency.snapshot(&own.Latency)
		st.add(&own)
	}
	st.Messages, st.Bytes = q.messages.Load(), q.bytes.Load()
	st.Skipped += q.skipped.Load()
	return st
}
