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
	records []kgo.Record
	headers []kgo.RecordHeader
	stamps  []byte
	parts   []*part
	bytes   int
	pending sync.WaitGroup // records without an answer
}

// begin makes room for some rows. Where notices make more records of them, slices that grow leave
// those that are under way where they are.
func (r *round) begin(rows int) {
	if cap(r.records) < rows {
		r.records, r.headers = make([]kgo.Record, 0, rows), make([]kgo.RecordHeader, 0, rows)
	}
	r.records, r.headers, r.stamps, r.parts, r.bytes = r.records[:0], r.headers[:0], r.stamps[:0], r.parts[:0], 0
}

// roundTrip publishes a batch's rows from one on, as many as make a round, and returns which is next.
func (e *Engine) roundTrip(ctx context.Context, b *sink.Batch, from int) (next int, err error) {
	if err := e.connect(); err != nil {
		return from, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.cfg.Patience, ErrNoAnswer)
	defer cancel()
	next, err = e.fill(ctx, b, from)
	if err == nil && next == from {
		err = sink.Poison(from, fmt.Errorf("kafka: an element of %d bytes", len(b.Rows[from].Raw)))
	}
	// What was given to the client is sent whatever has happened since: it is a part that has no hole.
	if len(e.round.parts) > 0 {
		if ferr := e.client.Flush(ctx); ferr != nil {
			e.disconnect()
			err = ferr
		}
		e.round.pending.Wait() // and nothing reads the rows any more
	}
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
	if errors.Is(context.Cause(ctx), ErrNoAnswer) {
		err = fmt.Errorf("%w within %v: %w", ErrNoAnswer, e.cfg.Patience, err)
	}
	return next, classify(err)
}

// fill gives rows to the client until a round is full, and returns the row behind them.
func (e *Engine) fill(ctx context.Context, b *sink.Batch, from int) (next int, err error) {
	e.round.begin(min(len(b.Rows)-from, maxRecords))
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
	to, err := e.route(row)
	if err != nil {
		return false, sink.Poison(i, err)
	}
	if !to.topic.synced {
		if err := e.sync(ctx, to.topic); err != nil {
			return false, err
		}
	}
	if to.part.marks.Cover(&row.ID) {
		return true, nil
	}
	size := len(row.Raw) + len(to.key) + len(row.ID.Segment) + 2*overhead
	if !e.fits(to.part, size) {
		return false, nil
	}
	e.send(to.part, row, i, size, to.key, e.timeOf(to.topic, row))
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
		if !p.marks.Cover(&row.ID) && !e.fits(p, size) {
			return false, nil
		}
	}
	for _, p := range t.parts {
		if !p.marks.Cover(&row.ID) {
			e.send(p, row, i, size, nil, row.Received)
		}
	}
	return true, nil
}

// fits reports whether a record is of this round. One that is longer than a batch is one alone, of
// which the broker has to say what becomes.
func (e *Engine) fits(p *part, size int) bool {
	r := &e.round
	switch {
	case size+batchOverhead > maxRecord:
		return false
	case len(r.records) == 0:
		return true
	case len(r.records) >= maxRecords, r.bytes+size > maxRoundBytes:
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
	if t.info.retention > 0 && !t.old && e.now().Sub(time.Unix(0, at)) > t.info.retention {
		t.old = true
		e.cfg.Logger.Warn("kafka: events are older than their topic keeps, and will be removed", "topic", t.name, "keeps", t.info.retention, "event", time.Unix(0, at).UTC())
	}
	return at
}

// send gives a record to the client, which sends nothing yet.
func (e *Engine) send(p *part, row *sink.Row, i, size int, key []byte, at int64) {
	r := &e.round
	if len(p.rows) == 0 {
		p.bytes, p.err = 0, nil
		r.parts = append(r.parts, p)
	}
	start := len(r.stamps)
	r.stamps = row.AppendStamp(r.stamps) // if it moves, what was written stays where it was
	r.headers = append(r.headers, kgo.RecordHeader{Key: StampHeader, Value: r.stamps[start:len(r.stamps):len(r.stamps)]})
	n := len(r.headers)
	r.records = append(r.records, kgo.Record{
		Topic: p.topic.name, Partition: p.number, Key: key, Value: row.Raw, Headers: r.headers[n-1 : n : n],
		Timestamp: time.Unix(0, at),
	})
	p.rows = append(p.rows, i)
	p.bytes += size
	r.bytes += size
	r.pending.Add(1)
	e.client.Produce(context.Background(), &r.records[len(r.records)-1], p.done)
}

// settle notes what the topics have, and returns what another try may mend, and what none will.
func (e *Engine) settle(b *sink.Batch) (failed, poison error) {
	for _, p := range e.round.parts {
		switch err := p.err; {
		case err == nil:
			for _, row := range p.rows {
				p.marks.Add(&b.Rows[row].ID)
			}
		case poisonous(err):
			bad := -1
			if len(p.rows) == 1 {
				bad = p.rows[0]
			}
			if poison == nil || bad >= 0 {
				poison = sink.Poison(bad, fmt.Errorf("kafka: %s: %w", p.topic.name, err))
			}
		case failed == nil:
			failed = fmt.Errorf("kafka: %s: %w", p.topic.name, err)
		}
		p.rows = p.rows[:0]
	}
	return failed, poison
}
