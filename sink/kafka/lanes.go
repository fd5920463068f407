package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
)

// This file is how partitions come to a member of a group and go: the client library calls it, between
// polls where partitions go.

// assigned begins the lanes that come, and says where reading goes on.
func (s *session) assigned(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	<-s.ready
	ids, err := s.check(ctx, offsets)
	if err != nil {
		return nil, err
	}
	marks, err := s.load(ctx, offsets)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil, kgo.ErrClientClosed
	}
	for topic, partitions := range offsets {
		for p := range partitions {
			w, next := marks[place{topic, p}], int64(-1)
			if known := w.Log == "" || ids[topic] == "" || w.Log == ids[topic]; !known {
				partitions[p] = kgo.NewOffset().AtStart() // somebody has made it anew
			} else if w.Revision > 0 && w.Offset > 0 {
				next = int64(w.Offset)
				partitions[p] = kgo.NewOffset().At(next)
			} else if s.c.cfg.Watermarks != nil {
				partitions[p] = kgo.NewOffset().AtStart() // whatever the group has committed
			}
			s.begin(place{topic, p}, w, next, ids[topic])
		}
	}
	s.saved = time.Now()
	return offsets, nil
}

// check requires that topics have the partitions that they should, and returns their ids.
func (s *session) check(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]string, error) {
	topics := make([]string, 0, len(offsets))
	for topic := range offsets {
		topics = append(topics, topic)
	}
	ids := map[string]string{}
	if len(topics) == 0 {
		return ids, nil
	}
	found, err := kadm.NewClient(s.client).ListTopics(ctx, topics...)
	if err != nil {
		return nil, err
	}
	for _, d := range found {
		if d.Err != nil {
			continue
		}
		if err := checkPartitions(s.c.cfg.Layout, d); err != nil {
			s.mu.Lock()
			s.fatal = err
			s.mu.Unlock()
			return nil, err
		}
		if d.ID != (kadm.TopicID{}) {
			ids[d.Topic] = d.ID.String()
		}
	}
	return ids, nil
}

func (s *session) begin(at place, w sink.Watermark, next int64, log string) {
	cfg := &s.c.cfg
	l := &lane{place: at, name: cfg.Lane(at.topic, int(at.partition)), form: formOf(at.topic), log: log, mark: w, next: next, epoch: -1}
	handler := cfg.Handler
	sharded, ok := handler.(tickstorm.ShardHandler)
	switch {
	case cfg.Lanes != nil:
		handler = cfg.Lanes(l.name)
	case ok:
		if handler = s.shards[at.partition]; handler == nil {
			handler = sharded.Shard(int(at.partition), cfg.Partitions)
			s.shards[at.partition] = handler
		}
	case l.form == formNotice:
		handler = s.c.notices
	}
	marks := w.Marks.Clone()
	if seen, ok := s.c.seen[l.name]; ok { // before it was lost
		for _, id := range seen.All() {
			marks.Add(&id)
		}
	}
	l.told = sink.NewLane(cfg.Market, handler, cfg.Symbols, marks)
	if s.lanes[at] == nil {
		s.c.counts.Add(func(st *sink.ConsumerStats) { st.Partitions++ })
	}
	s.lanes[at] = l
	cfg.Logger.Info("kafka: has a partition", "lane", l.name, "offset", next)
}

// gone saves the lanes that go to others, and lets go of them. Where they were lost, it may be that the
// group has not heard of this consumer and that it has not heard of the group; who has a partition
// by now a broker knows, and refuses who has not.
func (s *session) gone(ctx context.Context, _ *kgo.Client, places map[string][]int32) {
	<-s.ready
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.joining = true
	if s.polled != nil {
		s.polled()
	}
	lanes := s.these(places)
	trying, cancel := context.WithTimeout(ctx, s.c.cfg.Lease)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	err := s.save(trying, lanes, true)
	for err != nil && !isAny(err, takenAway) && s.again(trying) {
		err = s.save(trying, lanes, true)
	}
	if err != nil {
		s.c.cfg.Logger.Warn("kafka: watermarks were not saved before partitions went", "error", err)
	}
	s.forget(lanes)
	if err := s.save(trying, s.all(), false); err != nil { // the rest: until it has joined again nobody may save
		s.c.cfg.Logger.Warn("kafka: watermarks were not saved before partitions move", "error", err)
	}
}

// OnGroupManageError implements [kgo.HookGroupManageError]: whom the group refuses it never lets join.
func (s *session) OnGroupManageError(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if Refused(err) {
		s.fatal = err
	}
}

// joined has what comes handled again.
func (s *session) joined(context.Context, *kgo.Client, map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joining = false
}

func (s *session) these(places map[string][]int32) (lanes []*lane) {
	for topic, partitions := range places {
		for _, p := range partitions {
			if l := s.lanes[place{topic, p}]; l != nil {
				lanes = append(lanes, l)
			}
		}
	}
	return lanes
}

// forget ends lanes. What was told and not saved is known as long as this consumer runs, for the case
// that they come back.
func (s *session) forget(lanes []*lane) {
	for _, l := range lanes {
		delete(s.lanes, l.place)
		if l.dirty {
			s.c.seen[l.name] = l.told.Marks().Clone()
			s.c.counts.Add(func(st *sink.ConsumerStats) { st.Fenced++ })
		}
		last := true
		for at := range s.lanes {
			last = last && at.partition != l.partition
		}
		if last {
			delete(s.shards, l.partition)
		}
		s.c.counts.Add(func(st *sink.ConsumerStats) { st.Partitions-- })
		s.c.cfg.Logger.Info("kafka: lets go of a partition", "lane", l.name, "offset", l.next)
	}
}
