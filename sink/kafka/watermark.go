package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tickstorm/tickstorm/sink"
)

// This file is where watermarks are kept: with the offset that the group commits, as its metadata, and
// so always both or neither; and only by who has the partition in the group's present generation.

// maxMetadata is how long metadata are unless a broker allows less (offset.metadata.max.bytes).
const maxMetadata = 4096

// logWord begins the word of the metadata that has the topic's id.
const logWord = "log="

// appendMarks writes the topic's id, and the newest of some marks that have room, the newest last.
func appendMarks(log string, m *sink.Marks, room int) string {
	ids := m.All()
	var texts []string
	room -= len(logWord) + len(log)
	for i := len(ids) - 1; i >= 0; i-- {
		text := ids[i].String()
		if room -= len(text) + 1; room < 0 {
			break
		}
		texts = append(texts, text)
	}
	for i, j := 0, len(texts)-1; i < j; i, j = i+1, j-1 {
		texts[i], texts[j] = texts[j], texts[i]
	}
	if log != "" {
		texts = append([]string{logWord + log}, texts...)
	}
	return strings.Join(texts, " ")
}

// parseMarks reads what appendMarks wrote. What is none, of whoever else commits for the group, is no
// mark: rather twice than not at all.
func parseMarks(text string) (log string, m sink.Marks) {
	for word := range strings.FieldsSeq(text) {
		if is, ok := strings.CutPrefix(word, logWord); ok {
			log = is
		} else if id, err := sink.ParseID(word); err == nil {
			m.Add(&id)
		}
	}
	return log, m
}

// patience is how long an answer is waited for at first.
func (c *ConsumerConfig) patience() time.Duration { return min(c.Lease/2, 2*time.Second) }

// load returns the watermark of each lane that comes, the zero one with Revision 0 where there is none.
func (s *session) load(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[place]sink.Watermark, error) {
	marks := map[place]sink.Watermark{}
	if own := s.c.cfg.Watermarks; own != nil {
		for topic, partitions := range offsets {
			for p := range partitions {
				name := s.c.cfg.Lane(topic, int(p))
				w, err := own.Load(ctx, name)
				if err == nil {
					w.Owner = s.c.member
					err = own.Save(ctx, name, &w) // who had it before can save no more
				}
				if err != nil {
					return nil, fmt.Errorf("kafka: watermark of %s: %w", name, err)
				}
				marks[place{topic, p}] = w
			}
		}
		return marks, nil
	}
	topics := make([]string, 0, len(offsets))
	for topic := range offsets {
		topics = append(topics, topic)
	}
	fetched, err := kadm.NewClient(s.client).FetchOffsetsForTopics(ctx, s.c.cfg.Group, topics...)
	if err == nil {
		err = fetched.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("kafka: watermarks of %s: %w", s.c.cfg.Group, err)
	}
	fetched.Each(func(o kadm.OffsetResponse) {
		if o.At >= 0 {
			log, m := parseMarks(o.Metadata)
			marks[place{o.Topic, o.Partition}] = sink.Watermark{Offset: uint64(o.At), Log: log, Marks: m, Revision: 1}
		}
	})
	return marks, nil
}

// save saves the watermarks of lanes that were told something since; the session's lock is held.
// What cannot be saved now stays to be.
func (s *session) save(ctx context.Context, lanes []*lane, release bool) (failed error) {
	s.saved = time.Now()
	trying, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	var dirty []*lane
	for _, l := range lanes {
		if l.dirty && !l.fenced {
			dirty = append(dirty, l)
		}
	}
	if own := s.c.cfg.Watermarks; own != nil {
		for _, l := range lanes {
			if !l.fenced && (l.dirty || release && l.mark.Owner != "") {
				if err := s.saveOwn(trying, own, l, release); err != nil {
					failed = err
				}
			}
		}
	} else {
		failed = s.commit(trying, dirty, true)
	}
	switch least, most := s.c.cfg.patience(), s.c.cfg.Lease; {
	case failed == nil && len(dirty) > 0: // as slow as it was this time it may be the next
		s.patience, s.unsaved = max(least, min(2*time.Since(s.saved), most)), ""
	case failed != nil && ctx.Err() == nil:
		if trying.Err() != nil { // what is always given up is never saved
			s.patience = min(2*s.patience, most)
		}
		cause := failed.Error()
		if err := errors.Unwrap(failed); err != nil { // whichever lane comes first
			cause = err.Error()
		}
		if cause != s.unsaved {
			s.unsaved = cause
			s.c.cfg.Logger.Warn("kafka: watermarks are not saved", "error", failed)
		}
	}
	if s.c.cfg.Watermarks != nil { // for whoever looks at the group's lag
		telling, cancel := context.WithTimeout(ctx, s.c.cfg.patience())
		defer cancel()
		_ = s.commit(telling, dirty, false)
	}
	return failed
}

func (s *session) saveOwn(ctx context.Context, own sink.Watermarks, l *lane, release bool) error {
	l.mark.Offset, l.mark.Log, l.mark.Marks, l.mark.Owner = uint64(max(0, l.next)), l.log, l.told.Marks().Clone(), s.c.member
	if release {
		l.mark.Owner = ""
	}
	if err := own.Save(ctx, l.name, &l.mark); err != nil {
		l.mark.Owner, l.fenced = s.c.member, errors.Is(err, sink.ErrFenced)
		return fmt.Errorf("kafka: watermark of %s: %w", l.name, err)
	}
	s.clean(l)
	return nil
}

func (s *session) clean(l *lane) {
	l.dirty = false
	delete(s.c.seen, l.name)
	s.c.counts.Add(func(st *sink.ConsumerStats) { st.Saved++ })
}

// commit commits the group's offsets, and the watermarks with them.
func (s *session) commit(ctx context.Context, lanes []*lane, marks bool) (failed error) {
	if len(lanes) == 0 {
		return nil
	}
	offsets := map[string]map[int32]kgo.EpochOffset{}
	at := map[place]*lane{}
	for _, l := range lanes {
		if offsets[l.topic] == nil {
			offsets[l.topic] = map[int32]kgo.EpochOffset{}
		}
		offsets[l.topic][l.partition] = kgo.EpochOffset{Epoch: l.epoch, Offset: l.next}
		at[l.place] = l
	}
	ctx = kgo.PreCommitFnContext(ctx, func(r *kmsg.OffsetCommitRequest) error {
		for _, l := range lanes {
			if l.member != r.MemberID {
				return errExpelled
			}
		}
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				p := &r.Topics[i].Partitions[j]
				text := ""
				if l := at[place{r.Topics[i].Topic, p.Partition}]; marks && l != nil {
					text = appendMarks(l.log, l.told.Marks(), s.room)
				}
				p.Metadata = &text
			}
		}
		return nil
	})
	s.client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if err != nil {
			failed = fmt.Errorf("kafka: commit: %w", err)
			return
		}
		answered := 0
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				l := at[place{t.Topic, p.Partition}]
				if l != nil {
					answered++
				}
				err := kerr.ErrorForCode(p.ErrorCode)
				switch {
				case err == nil && l != nil && marks:
					s.clean(l)
				case errors.Is(err, kerr.OffsetMetadataTooLarge) && s.room > 0:
					s.room /= 2
					fallthrough
				case err != nil && (failed == nil || Refused(failed) || isAny(failed, unheard)): // what may be mended is what matters
					failed = fmt.Errorf("kafka: commit of %s/%d: %w", t.Topic, p.Partition, err)
				}
			}
		}
		if failed == nil && answered < len(lanes) {
			failed = errors.New("kafka: commit: an answer without the partition")
		}
	})
	return failed
}

// errExpelled: the group took this consumer for gone, and it had to join as another.
var errExpelled = errors.New("kafka: the group had given this consumer up")

var (
	// takenAway are why a watermark is not saved if another consumer may have the partition.
	takenAway = []error{errExpelled, kerr.UnknownMemberID, kerr.FencedInstanceID, kerr.FencedMemberEpoch}
	// unheard are why it is not saved if the broker does not know the topic.
	unheard = []error{kerr.UnknownTopicID, kerr.UnknownTopicOrPartition}
)
