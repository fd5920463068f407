package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink"
)

// This file is the way of rows to the cluster, in rounds of which each partition's share is one batch
// of records: what ties the client library down to that is that nothing is sent before Flush, and that
// a round ends before a partition's share is longer than a batch may be.

const (
	// streams are how many clients partitions are dealt out to by their numbers: while one compresses
	// and sends, the next is given its records.
	streams = 2
	// maxRecords is how many records a round has.
	maxRecords = 1 << 16
	// maxRoundBytes is how long its records are together, but for one that is longer.
	maxRoundBytes = 32 << 20
	// maxRecord is the longest record that is offered to a broker; most take less.
	maxRecord = 64 << 20
	// overhead is more than what a record has beside its key, header and value, and batchOverhead
	// more than what a batch has beside its records.
	overhead, batchOverhead = 40, 128
)

// round is what is under way.
type round struct {
	parts   []*part
	entries [streams][]entry
	count   int // of those
	bytes   int
	records []kgo.Record
	headers []kgo.RecordHeader
	stamps  []byte
	pending sync.WaitGroup // records without an answer
}

// entry is a record that is to be.
type entry struct {
	part *part
	key  []byte
	at   int64 // in nanoseconds since 1970
	row  int
}

func (r *round) begin() {
	for i := range r.entries {
		r.entries[i] = r.entries[i][:0]
	}
	r.parts, r.count, r.bytes = r.parts[:0], 0, 0
	r.records, r.headers, r.stamps = r.records[:0], r.headers[:0], r.stamps[:0]
}

// add takes a record for a partition.
func (r *round) add(p *part, row, size int, key []byte, at int64) {
	if len(p.rows) == 0 {
		p.bytes, p.err = 0, nil
		r.parts = append(r.parts, p)
	}
	p.rows = append(p.rows, row)
	p.bytes += size
	r.bytes += size
	r.count++
	stream := &r.entries[p.number%streams]
	*stream = append(*stream, entry{p, key, at, row})
}

// roundTrip publishes a batch's rows from one on, as many as make a round, and returns which is next.
func (e *Engine) roundTrip(ctx context.Context, b *sink.Batch, from int) (next int, err error) {
	if err := e.connect(); err != nil {
		return from, err
	}
	next, err = e.fill(ctx, b, from)
	if err == nil && next == from {
		err = sink.Poison(from, fmt.Errorf("kafka: an element of %d bytes", len(b.Rows[from].Raw)))
	}
	// What is in the round is sent whatever was found behind it: it is a part that has no hole.
	if serr := e.patiently(ctx, func(ctx context.Context) error { return e.send(ctx, b) }); serr != nil {
		e.disconnect()
		err = serr
	}
	e.round.pending.Wait() // and nothing reads the rows any more
	failed, poison := e.settle(b)
	var found *sink.PoisonError
	switch {
	case err != nil && !errors.As(err, &found): // why others failed too
	case failed != nil:
		err = failed
	case poison != nil: // it is of a row before what was found
		return next, poison
	default:
		return next, err
	}
	e.disconnect()
	return next, classify(err)
}

// fill takes rows until a round is full, and returns the row behind them.
func (e *Engine) fill(ctx context.Context, b *sink.Batch, from int) (next int, err error) {
	e.round.begin()
	for i := from; i < len(b.Rows); i++ {
		row := &b.Rows[i]
		fits, err := false, error(nil)
		if row.Notice != nil {
			fits, err = e.notice(ctx, row, i)
		} else {
			fits, err = e.element(ctx, row, i)
		}
		if err != nil || !fits {
			return i, err
		}
	}
	return len(b.Rows), nil
}

func (e *Engine) element(ctx context.Context, row *sink.Row, i int) (fits bool, err error) {
	c, err := e.channel(row)
	if err != nil {
		return false, sink.Poison(i, err)
	}
	if !c.topic.synced {
		if err := e.sync(ctx, c.topic); err != nil {
			return false, err
		}
	}
	to := c.route(row, e.cfg.Layout)
	if has, err := e.has(ctx, to.part, row); has || err != nil {
		return has, err
	}
	size := len(row.Raw) + len(to.key) + len(row.ID.Segment) + 2*overhead
	if !e.fits(to.part, size) {
		return false, nil
	}
	e.round.add(to.part, i, size, to.key, e.timeOf(c.topic, row))
	return true, nil
}

func (e *Engine) notice(ctx context.Context, row *sink.Row, i int) (fits bool, err error) {
	t, err := e.topic(e.cfg.NoticeTopic(row.Market))
	if err != nil {
		return false, sink.Poison(i, err)
	}
	if !t.synced {
		if err := e.sync(ctx, t); err != nil {
			return false, err
		}
	}
	size := len(row.Raw) + len(row.ID.Segment) + len(row.ID.Damage) + 2*overhead
	for _, p := range t.parts {
		if has, err := e.has(ctx, p, row); err != nil || !has && !e.fits(p, size) {
			return false, err
		}
	}
	for _, p := range t.parts {
		if !p.marks.Cover(&row.ID) {
			e.round.add(p, i, size, nil, row.Received)
		}
	}
	return true, nil
}

// has reports whether a partition has a row.
func (e *Engine) has(ctx context.Context, p *part, row *sink.Row) (bool, error) {
	if !p.marks.Cover(&row.ID) {
		if !p.past.hides(row.ID.Segment) {
			return false, nil
		}
		if err := e.recall(ctx, p, row.ID.Segment); err != nil {
			return false, err
		}
	}
	return p.marks.Cover(&row.ID), nil
}

// fits reports whether a record is of this round. One that is longer than a batch is one alone, of
// which the broker has to say what becomes.
func (e *Engine) fits(p *part, size int) bool {
	r := &e.round
	switch {
	case size+batchOverhead > maxRecord:
		return false
	case r.count == 0:
		return true
	case r.count >= maxRecords, r.bytes+size > maxRoundBytes:
		return false
	}
	return len(p.rows) == 0 || p.bytes+size+batchOverhead <= p.topic.info.maxBytes
}

// ahead is how far ahead of its receipt an event may be by its own word. Brokers refuse what is far
// ahead of their clocks.
const ahead = time.Minute

// timeOf is a record's time: the event's, or that of its receipt if it has none that can be.
func (e *Engine) timeOf(t *topic, row *sink.Row) int64 {
	at := record.EventTime(t.kind, row.Raw)
	if at <= 0 || at > row.Received+int64(ahead) {
		return row.Received
	}
	if t.info.retention > 0 && !t.old && time.Since(time.Unix(0, at)) > t.info.retention {
		t.old = true
		e.cfg.Logger.Warn("kafka: events are older than their topic keeps, and will be removed", "topic", t.name, "keeps", t.info.retention, "event", time.Unix(0, at).UTC())
	}
	return at
}

// send gives the clients their records, and returns once all is answered or ctx has ended.
func (e *Engine) send(ctx context.Context, b *sink.Batch) error {
	r := &e.round
	if cap(r.records) < r.count {
		r.records, r.headers = make([]kgo.Record, 0, r.count), make([]kgo.RecordHeader, 0, r.count)
	}
	r.pending.Add(r.count)
	flushed := make(chan error, streams)
	for i, entries := range r.entries {
		for _, en := range entries {
			row := &b.Rows[en.row]
			start := len(r.stamps)
			r.stamps = row.AppendStamp(r.stamps) // if it moves, what was written stays where it was
			r.headers = append(r.headers, kgo.RecordHeader{Key: StampHeader, Value: r.stamps[start:len(r.stamps):len(r.stamps)]})
			n := len(r.headers)
			r.records = append(r.records, kgo.Record{
				Topic: en.part.topic.name, Partition: en.part.number, Key: en.key, Value: row.Raw, Headers: r.headers[n-1 : n : n],
				Timestamp: time.Unix(0, en.at),
			})
			e.clients[i].Produce(context.Background(), &r.records[n-1], en.part.done) // which sends nothing yet
		}
		if len(entries) == 0 {
			flushed <- nil
			continue
		}
		go func() { flushed <- e.clients[i].Flush(ctx) }()
	}
	var failed error
	for range streams {
		if err := <-flushed; err != nil {
			failed = err
		}
	}
	return failed
}

// settle notes what the topics have, and returns what another try may mend, and what none will.
func (e *Engine) settle(b *sink.Batch) (failed, poison error) {
	for _, p := range e.round.parts {
		switch err := p.err; {
		case err == nil:
			for _, row := range p.rows {
				p.marks.Add(&b.Rows[row].ID)
			}
			p.confirmed = b.Rows[p.rows[len(p.rows)-1]].ID
		case isAny(err, poisons):
			bad := -1
			if len(p.rows) == 1 {
				bad = p.rows[0]
			} else { // the client may have sent the first of them by themselves, and they are stored
				p.topic.synced = false
			}
			if poison == nil || bad >= 0 {
				poison = sink.Poison(bad, fmt.Errorf("kafka: %s: %w", p.topic.name, err))
			}
		default:
			p.topic.synced = false // what has become of them nobody knows
			if failed == nil {
				failed = fmt.Errorf("kafka: %s: %w", p.topic.name, err)
			}
		}
		p.rows = p.rows[:0]
	}
	return failed, poison
}
