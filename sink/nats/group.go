package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tickstorm/tickstorm/sink"
)

// This file is what consumers of a group share: a stream that keeps the last message of each
// subject, for their watermarks and for who is there. It is read from its leader: what a follower
// says may be old.

// group is the stream of a group.
type group struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	prefix string // of subjects, with a dot
	member string
	now    atomic.Int64 // when the server heard this member last, in nanoseconds since 1970
}

func groupStream(l Layout, name string, replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: l.Prefix + "-group_" + name, Subjects: []string{l.Prefix + "-group." + name + ".>"},
		Description: "tickstorm watermarks", MaxMsgsPerSubject: 1, Replicas: replicas,
		MaxBytes: 1 << 30, Discard: jetstream.DiscardNew,
	}
}

func openGroup(ctx context.Context, js jetstream.JetStream, l Layout, name, member string, replicas int) (*group, error) {
	want := groupStream(l, name, replicas)
	s, err := ensureStream(ctx, js, want)
	if err != nil {
		return nil, err
	}
	return &group{js: js, stream: s, prefix: l.Prefix + "-group." + name + ".", member: member}, nil
}

// here says that this member is there, and returns those that were for as long as patience, in order.
// The time is the server's, whose word on when each was heard is all that counts.
func (g *group) here(ctx context.Context, patience time.Duration) ([]string, error) {
	own := g.prefix + "member." + g.member
	if _, err := g.js.Publish(ctx, own, nil); err != nil {
		return nil, err
	}
	info, err := g.stream.Info(ctx, jetstream.WithSubjectFilter(g.prefix+"member.*"))
	if err != nil {
		return nil, err
	}
	heard := map[string]time.Time{}
	for subject := range info.State.Subjects {
		m, err := g.stream.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		heard[subject] = m.Time
	}
	now := heard[own]
	g.now.Store(now.UnixNano())
	var members []string
	for subject, at := range heard {
		if now.Sub(at) <= patience {
			members = append(members, strings.TrimPrefix(subject, g.prefix+"member."))
		} else if now.Sub(at) > 100*patience {
			_ = g.stream.Purge(ctx, jetstream.WithPurgeSubject(subject)) // the next to look does it
		}
	}
	slices.Sort(members)
	return members, nil
}

// alive reports whether a member was heard for as long as patience, as of now: a list of members may
// be older than what one of them has since come to own.
func (g *group) alive(ctx context.Context, member string, patience time.Duration) (bool, error) {
	m, err := g.stream.GetLastMsgForSubject(ctx, g.prefix+"member."+member)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return g.now.Load()-m.Time.UnixNano() <= int64(patience), nil
}

// leave says that this member is not there any more.
func (g *group) leave(ctx context.Context) error {
	return g.stream.Purge(ctx, jetstream.WithPurgeSubject(g.prefix+"member."+g.member))
}

// Load implements [sink.Watermarks].
func (g *group) Load(ctx context.Context, lane string) (w sink.Watermark, err error) {
	m, err := g.stream.GetLastMsgForSubject(ctx, g.prefix+"mark."+lane)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return w, nil
	}
	if err != nil {
		return w, fmt.Errorf("nats: watermark: %w", err)
	}
	if err := json.Unmarshal(m.Data, &w); err != nil {
		return w, fmt.Errorf("nats: watermark of %s: %w", lane, err)
	}
	w.Revision = m.Sequence
	return w, nil
}

// Save implements [sink.Watermarks].
func (g *group) Save(ctx context.Context, lane string, w *sink.Watermark) error {
	text, err := json.Marshal(w)
	if err != nil {
		return err
	}
	msg := &nats.Msg{Subject: g.prefix + "mark." + lane, Data: text}
	for range 2 {
		ack, err := g.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(w.Revision), jetstream.WithRetryAttempts(0))
		if err == nil {
			w.Revision = ack.Sequence
			return nil
		}
		var api *jetstream.APIError
		if !errors.As(err, &api) || api.ErrorCode != codeWrongLastSequence {
			return fmt.Errorf("nats: watermark: %w", err)
		}
		// It may be one's own, of a Save whose acknowledgement did not come.
		last, err := g.stream.GetLastMsgForSubject(ctx, msg.Subject)
		if err != nil {
			return fmt.Errorf("nats: watermark: %w", err)
		}
		var there sink.Watermark
		if json.Unmarshal(last.Data, &there) != nil || there.Owner != g.member || last.Sequence <= w.Revision {
			return sink.ErrFenced
		}
		w.Revision = last.Sequence
	}
	return sink.ErrFenced
}
