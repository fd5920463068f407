package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tickstorm/tickstorm/sink"
)

// This file finds out what a topic has, so that nothing is stored twice. It asks the partitions'
// leaders.

// past is what a partition had when it was asked.
type past struct {
	first, last int64   // offsets of its records; last is below first if it had none
	end         sink.ID // of the last record; the zero one if no sink has written that
	recalled    map[string]bool
	recent      string // segment that was recalled last
}

// hides reports whether a partition may have rows of a segment that its marks do not know.
func (p *past) hides(segment string) bool {
	return segment <= p.end.Segment && segment != p.recent && !p.recalled[segment]
}

// know notes that the marks have what there is of a segment.
func (p *past) know(segment string) {
	if len(p.recalled) >= sink.MaxMarks { // those that marks have forgotten among them
		clear(p.recalled)
	}
	if p.recalled == nil {
		p.recalled = map[string]bool{}
	}
	p.recalled[segment], p.recent = true, segment
}

// sync finds out what a topic has.
func (e *Engine) sync(ctx context.Context, t *topic) error {
	return e.patiently(ctx, func(ctx context.Context) (err error) {
		var fresh bool
		if t.info, fresh, err = ensureTopic(ctx, e.clients[0], e.cfg.Layout, e.cfg.Topics, t.name); err != nil {
			return err
		}
		if fresh {
			for _, p := range t.parts {
				p.past = past{}
			}
			t.synced = true
			return nil
		}
		pasts, err := lastRecords(ctx, e.common, kadm.NewClient(e.clients[0]), t.name)
		if err != nil {
			return err
		}
		for n, found := range pasts {
			p := t.parts[n]
			p.past = found
			if found.end.Segment == "" {
				continue
			}
			if !p.marks.Cover(&found.end) {
				p.marks.Add(&found.end)
			} else if p.confirmed.Segment != "" && p.confirmed != found.end {
				e.cfg.Logger.Error("kafka: a partition has less than was confirmed: the cluster has lost it, or another writes to it", "topic", t.name, "partition", n, "has", found.end.String(), "confirmed", p.confirmed.String())
			}
		}
		t.synced = true
		return nil
	})
}

// recall finds out how far a partition has a segment that is not behind that of its last record. Segments
// are in their order in it; where they are not, some record of the segment is found or none, and some
// rows are stored twice.
func (e *Engine) recall(ctx context.Context, p *part, segment string) error {
	if segment == p.past.end.Segment { // which marks may have forgotten
		p.marks.Add(&p.past.end)
		p.past.know(segment)
		return nil
	}
	return e.patiently(ctx, func(ctx context.Context) error {
		for low, high := p.past.first, p.past.last; low <= high; {
			middle := low + (high-low)/2
			id, at, err := e.idAt(ctx, p, middle)
			switch {
			case err != nil:
				p.topic.synced = false // it may have other leaders
				return fmt.Errorf("kafka: record %d of %s/%d: %w", middle, p.topic.name, p.number, err)
			case at < 0 || at > high || id.Segment > segment:
				high = middle - 1
				continue
			case id.Segment == segment:
				p.marks.Add(&id)
			}
			low = at + 1
		}
		p.past.know(segment)
		return nil
	})
}

// idAt returns the id of a partition's record by its offset, or of the first behind it that is there, and
// which that is; -1 if none is. Where no sink has written it, the id is the zero one.
func (e *Engine) idAt(ctx context.Context, p *part, offset int64) (id sink.ID, at int64, err error) {
	detail := &p.topic.info.detail
	asked := kmsg.NewFetchRequestTopicPartition()
	asked.Partition, asked.FetchOffset, asked.PartitionMaxBytes = p.number, offset, 1 // a batch comes whole
	of := kmsg.NewFetchRequestTopic()
	of.Topic, of.TopicID, of.Partitions = p.topic.name, detail.ID, []kmsg.FetchRequestTopicPartition{asked}
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = -1, 100, 1, 1, -1
	req.Topics = []kmsg.FetchRequestTopic{of}
	said, err := e.clients[0].Broker(int(detail.Partitions[p.number].Leader)).RetriableRequest(ctx, req)
	if err != nil {
		return id, 0, err
	}
	resp := said.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return id, 0, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return id, 0, errors.New("an answer without the partition")
	}
	answer := &resp.Topics[0].Partitions[0]
	found, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{KeepControlRecords: true, Offset: offset, Topic: p.topic.name, Partition: p.number}, answer, kgo.DefaultDecompressor(), nil)
	switch {
	case errors.Is(found.Err, kerr.OffsetOutOfRange) && answer.LogStartOffset > offset: // it was removed meanwhile
		return id, answer.LogStartOffset - 1, nil
	case errors.Is(found.Err, kerr.OffsetOutOfRange):
		return id, -1, nil
	case found.Err != nil:
		return id, 0, found.Err
	case len(found.Records) == 0:
		return id, 0, errors.New("an answer without a record")
	}
	if stamp, err := sink.ParseStamp(stampOf(found.Records[0]), nil); err == nil {
		id = stamp.ID
	}
	return id, found.Records[0].Offset, nil
}

// lastRecords returns what each of a topic's partitions has, with its last record read.
func lastRecords(ctx context.Context, opts []kgo.Opt, adm *kadm.Client, name string) (map[int32]past, error) {
	ends, err := adm.ListEndOffsets(ctx, name)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("kafka: ends of %s: %w", name, err)
	}
	starts, err := adm.ListStartOffsets(ctx, name)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("kafka: beginnings of %s: %w", name, err)
	}
	pasts, want := map[int32]past{}, map[int32]kgo.Offset{}
	ends.Each(func(end kadm.ListedOffset) {
		start, ok := starts.Lookup(name, end.Partition)
		if !ok {
			return
		}
		pasts[end.Partition] = past{first: start.Offset, last: end.Offset - 1}
		if end.Offset > start.Offset {
			want[end.Partition] = kgo.NewOffset().At(end.Offset - 1)
		}
	})
	if len(want) == 0 {
		return pasts, nil
	}
	cl, err := kgo.NewClient(append(opts[:len(opts):len(opts)],
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{name: want}), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.KeepControlRecords(), kgo.FetchMaxWait(100*time.Millisecond))...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	defer cl.Close()
	for len(want) > 0 {
		fetched := cl.PollFetches(ctx)
		var failed error
		fetched.EachError(func(_ string, p int32, err error) {
			if errors.Is(err, kerr.OffsetOutOfRange) { // it was removed meanwhile
				delete(want, p)
			} else {
				failed = err
			}
		})
		fetched.EachRecord(func(r *kgo.Record) {
			if stamp, err := sink.ParseStamp(stampOf(r), nil); err == nil {
				found := pasts[r.Partition]
				found.end = stamp.ID
				pasts[r.Partition] = found
			}
			delete(want, r.Partition)
		})
		if failed != nil {
			return nil, fmt.Errorf("kafka: last records of %s: %w", name, failed)
		}
	}
	return pasts, nil
}
