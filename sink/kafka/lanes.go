package kafka

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
)

// This file is how partitions come to a member of a group and go: the client library calls it, between
// polls where partitions go.

// lock waits for mu, and has handlers give way meanwhile, however much they have in hand.
func (s *session) lock() {
	s.waiting.Add(1)
	s.mu.Lock()
	s.waiting.Add(-1)
}

// assigned begins the lanes that come, and says where reading goes on.
func (s *session) assigned(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	<-s.ready
	ids, err := s.check(ctx, offsets)
	if err != nil {
		return nil, err
	}
	handlers := s.handlers(offsets)
	marks, err := s.load(ctx, offsets)
	if err != nil {
		return nil, err
	}
	s.lock()
	defer s.mu.Unlock()
	if s.over {
		return nil, kgo.ErrClientClosed
	}
	member, _ := s.client.GroupMetadata()
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
			s.begin(&lane{place: place{topic, p}, log: ids[topic], member: member, mark: w, next: next}, handlers[place{topic, p}])
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
			s.lock()
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

// handlers are those of lanes that come. Watermarks that are kept with what handlers make of the events are
// saved as soon as they are loaded: nothing that a handler was told before is to be saved with them.
func (s *session) handlers(offsets map[string]map[int32]kgo.Offset) map[place]tickstorm.Handler {
	cfg := &s.c.cfg
	s.lock()
	defer s.mu.Unlock()
	handlers := map[place]tickstorm.Handler{}
	for topic, partitions := range offsets {
		for p := range partitions {
			if before := s.lanes[place{topic, p}]; before != nil { // the client library has found its topic again
				s.forget([]*lane{before})
			}
			handler := cfg.Handler
			sharded, ok := handler.(tickstorm.ShardHandler)
			switch {
			case cfg.Lanes != nil:
				handler = cfg.Lanes(cfg.Lane(topic, int(p)))
			case ok:
				if handler = s.shards[p]; handler == nil {
					handler = sharded.Shard(int(p), cfg.Partitions)
					s.shards[p] = handler
				}
			case formOf(topic) == formNotice:
				handler = s.c.notices
			}
			handlers[place{topic, p}] = handler
		}
	}
	return handlers
}

// begin has a lane read from its watermark on.
func (s *session) begin(l *lane, handler tickstorm.Handler) {
	cfg := &s.c.cfg
	l.name, l.form, l.epoch = cfg.Lane(l.topic, int(l.partition)), formOf(l.topic), -1
	marks := l.mark.Marks.Clone()
	if seen, ok := s.c.seen[l.name]; ok {
		for _, id := range seen.All() {
			marks.Add(&id)
		}
	}
	l.told = sink.NewLane(cfg.Market, handler, cfg.Symbols, marks)
	s.lanes[l.place] = l
	s.c.counts.Add(func(st *sink.ConsumerStats) { st.Partitions++ })
	cfg.Logger.Info("kafka: has a partition", "lane", l.name, "offset", l.next)
}

// gone saves the lanes that go to others, and lets go of them. Where they were lost, it may be that the
// group has not heard of this consumer and that it has not heard of the group; who has a partition
// by now a broker knows, and refuses who has not. The rest is saved as well: until this consumer has joined
// again nobody can save it, and if it never does, others go on behind what was saved here.
func (s *session) gone(ctx context.Context, _ *kgo.Client, places map[string][]int32) {
	<-s.ready
	s.lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.joining = true
	if s.polled != nil {
		s.polled()
	}
	trying, cancel := context.WithTimeout(ctx, s.c.cfg.Lease)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	for topic, partitions := range places {
		for _, p := range partitions {
			delete(s.ours, place{topic, p})
		}
	}
	lost := s.these(places)
	s.part(trying, lost, true)
	s.forget(lost)
	s.part(trying, s.all(), false)
}

// part saves lanes before others may have them; the session's lock is held. What a broker refuses since the
// group is in another generation it never takes of this one.
func (s *session) part(ctx context.Context, lanes []*lane, release bool) {
	for began := time.Now(); ; {
		err := s.save(ctx, lanes, release)
		if err == nil {
			return
		}
		if s.hopeless(err, began) || errors.Is(err, kerr.IllegalGeneration) || !s.again(ctx) {
			return
		}
	}
}

// OnGroupManageError implements [kgo.HookGroupManageError]: whom the group refuses it never lets join.
func (s *session) OnGroupManageError(err error) {
	s.lock()
	defer s.mu.Unlock()
	if Refused(err) {
		s.fatal = err
	}
}

// joined has what comes handled again. Who had to join as another was taken for gone meanwhile: others
// may have had its partitions, and where they have come to only a new session finds out.
func (s *session) joined(_ context.Context, _ *kgo.Client, places map[string][]int32) {
	<-s.ready
	member, _ := s.client.GroupMetadata()
	s.lock()
	defer s.mu.Unlock()
	s.joining = false
	for topic, partitions := range places {
		for _, p := range partitions {
			s.ours[place{topic, p}] = true
		}
	}
	for _, l := range s.lanes {
		if l.member != member || l.fenced {
			s.fatal = errExpelled
		}
	}
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
// that they come back; but where a handler of the lane's own keeps the watermark with its results, these
// have gone with it.
func (s *session) forget(lanes []*lane) {
	for _, l := range lanes {
		delete(s.lanes, l.place)
		s.hand = slices.DeleteFunc(s.hand, func(b batch) bool { return b.lane == l })
		if l.dirty {
			if s.c.cfg.Watermarks == nil || s.c.cfg.Lanes == nil {
				s.c.seen[l.name] = l.told.Marks().Clone()
			}
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
