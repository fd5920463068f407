package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
	"github.com/tickstorm/tickstorm/internal/fanout"
	"github.com/tickstorm/tickstorm/internal/past"
)

// This file is what a client that joins late may ask for in the query of its URL: the last event
// of each symbol, what has come since a time, and quotes at a pace of its own.

// A Source is messages of the past, in the order in which they were received: a record.History of
// module github.com/tickstorm/tickstorm/record, for example. Where it has a SeekTo(int64) error or
// is an [io.Closer], these are called. Of its statuses gap and dropped, in the words of this package,
// are passed on in their place: what is missing of the past is told by nobody else. Messages of the past
// that were recorded as they came, of an upstream that is a relay, are passed over. Its errors go to the
// log, and clients are told that it cannot be read.
type Source interface {
	// Next returns the next message and when it was received, in nanoseconds since 1970; 0 is
	// with the one before. msg is valid until the next call. The error is io.EOF at the end.
	Next() (msg []byte, received int64, err error)
}

// SnapshotConfig says what is kept for clients that ask for ?snapshot=1.
type SnapshotConfig struct {
	// Bytes bounds the memory of one market, in which an event takes about its length and 80 bytes
	// more; at least 1 MiB. It is taken as it is needed. Symbols that have been silent for longest
	// give way. 0 keeps nothing.
	Bytes int
	// Channels are those whose last events are kept, such as "T"; nil is all.
	Channels []string
}

func (c *Config) checkPast() error {
	if c.Snapshots.Bytes < 0 || c.History < 0 {
		return errors.New("relay: a negative limit in Config.Snapshots or Config.History")
	}
	if c.Past != nil && c.History == 0 {
		return errors.New("relay: Config.Past without Config.History, in which it ends")
	}
	for _, name := range c.Snapshots.Channels {
		if !slices.ContainsFunc(c.Upstreams, func(u tickstorm.Config) bool { _, ok := u.Market.StreamOf(name); return ok }) {
			return fmt.Errorf("relay: no market of Config.Upstreams has the channel %q of Config.Snapshots", name)
		}
	}
	return nil
}

// wish is what a client has asked for in its URL.
type wish struct {
	said     bool // whether it wishes for a snapshot
	snapshot bool
	ago      time.Duration // how far back the history is to reach
	since    int64         // or from when on, in nanoseconds since 1970
	every    time.Duration
}

// snapshotHeader says in the handshake, where the query does not, whether its client wishes for a snapshot: "0" is that it
// wants none, whatever its policy says.
const snapshotHeader = "Tickstorm-Snapshot"

// askForNoPast returns the header of a handshake with an upstream, which may be a relay and send the past unasked: nobody
// would get it, and until it has ended topics would not be live. It is no query, which the feed may have, in which the
// user says otherwise, and which other servers may refuse, as they pass over a header. The vendor need not know.
func askForNoPast(feed tickstorm.Feed, header http.Header) http.Header {
	u, err := url.Parse(string(feed))
	if err != nil || u.Host == "" || isVendor(strings.ToLower(u.Hostname())) || header.Get(snapshotHeader) != "" {
		return header
	}
	if header = header.Clone(); header == nil {
		header = http.Header{}
	}
	header.Set(snapshotHeader, "0")
	return header
}

// isVendor reports whether a host is the vendor's, under its name of today or the one before.
func isVendor(host string) bool {
	return strings.HasSuffix("."+host, ".massive.com") || strings.HasSuffix("."+host, ".polygon.io")
}

// past reports whether the client asks for what was before it came.
func (w wish) past() bool { return w.snapshot || w.ago > 0 || w.since > 0 }

// queryError is what is wrong with a query.
type queryError struct{ name, value, reason string }

func (e *queryError) Error() string {
	if e.name == "" {
		return "the query of the URL is malformed"
	}
	value := e.value
	if len(value) > 40 {
		value = value[:40] + "..."
	}
	return fmt.Sprintf("?%s=%q: %s", e.name, value, e.reason)
}

const (
	minEvery = 10 * time.Millisecond
	maxEvery = time.Hour
)

// wishOf reads what a client asks for. The error is a *queryError.
func (c *Config) wishOf(query string) (w wish, err error) {
	q, bad := url.ParseQuery(query)
	if bad != nil {
		return w, &queryError{}
	}
	for _, p := range []struct {
		name string
		read func(value string) (wrong string)
	}{
		{"snapshot", func(value string) string {
			w.said, w.snapshot = true, value == "1"
			switch {
			case value != "1" && value != "0":
				return "it is 1, or 0"
			case w.snapshot && c.Snapshots.Bytes == 0:
				return "this relay keeps no last events"
			}
			return ""
		}},
		{"since", func(value string) string {
			if c.History == 0 {
				return "this relay keeps no history"
			}
			return w.readSince(value, time.Now())
		}},
		{"conflate", func(value string) string {
			if w.every, err = time.ParseDuration(value); err != nil || w.every < minEvery || w.every > maxEvery {
				return fmt.Sprintf("it is a duration from %v to %v, such as 250ms", minEvery, maxEvery)
			}
			return ""
		}},
	} {
		values, asked := q[p.name]
		if !asked {
			continue
		}
		if wrong := p.read(values[0]); wrong != "" {
			return wish{}, &queryError{p.name, values[0], wrong}
		}
		if len(values) > 1 {
			return wish{}, &queryError{p.name, values[1], "there are several"}
		}
	}
	if w.snapshot && (w.ago > 0 || w.since > 0) {
		return wish{}, &queryError{"snapshot", "1", "together with since, which has the last events as well"}
	}
	return w, nil
}

// readSince reads a time to begin at. It returns what is wrong with it.
func (w *wish) readSince(value string, now time.Time) (wrong string) {
	const form = "it is a time ago, such as -5m, or nanoseconds since 1970"
	if ns, err := strconv.ParseInt(value, 10, 64); err == nil && ns > 0 {
		if ns > now.UnixNano() {
			return "it is in the future"
		}
		w.since = ns
		return ""
	}
	d, err := time.ParseDuration(value)
	if err != nil || d >= 0 || d < time.Duration(-now.UnixNano()) {
		return form
	}
	w.ago = -d
	return ""
}

// grant acknowledges topics, and routes them to the client: from now on, or from when it has asked
// for. It is called under the ledger's lock.
func (c *conn) grant(statuses []dialogue.Status, topics []tickstorm.Topic) {
	since := c.wish.ago > 0 || c.wish.since > 0
	snapshot := c.wish.snapshot && c.recalls.Load() || !c.wish.said && !since && c.reminds.Load()
	if !snapshot && !(since && c.recalls.Load()) {
		c.out.Grant(dialogue.AppendStatuses(nil, statuses...), topics...)
		return
	}
	m := c.market
	if snapshot {
		var kept, others []tickstorm.Topic
		for _, t := range topics {
			if m.hub.Keeps(t.Channel) {
				kept = append(kept, t)
			} else {
				others = append(others, t)
			}
		}
		// What nothing is kept of is live at once, behind a snapshot that has nothing.
		frames := dialogue.AppendStatuses(nil, statuses...)
		for some := range slices.Chunk(others, dialogue.MostNamed) {
			frames = dialogue.AppendFrame(frames, ws.OpText, dialogue.AppendMessage(nil,
				dialogue.SnapshotBeginNote(some), dialogue.SnapshotEndNote(0, false)))
		}
		c.out.Grant(frames, others...)
		c.out.Recall(fanout.Recall{}, kept...)
		c.endRecalls() // if it may no more since it was looked at
		return
	}
	c.answer(statuses...) // what comes behind that is recalled
	from := c.wish.since
	if from == 0 {
		from = time.Now().Add(-c.wish.ago).UnixNano()
	}
	known := map[int64][]tickstorm.Topic{}
	for _, t := range topics {
		at := m.ledger.known(t)
		known[at] = append(known[at], t)
	}
	for at, some := range known {
		c.out.Recall(fanout.Recall{Since: from, Known: at, Past: m.openPast()}, some...)
	}
	c.endRecalls()
}

// endRecalls ends what is under way for a client that may not ask for it.
func (c *conn) endRecalls() {
	if !c.recalls.Load() {
		c.out.EndRecalls("no longer authorized")
	}
}

// mayRecall lets the client have what it has asked for of the past, or refuses it, once.
func (c *conn) mayRecall(allowed bool) {
	was := c.recalls.Swap(allowed)
	if c.wish.past() && !allowed && (was || !c.recallsTold) {
		c.recallsTold = true
		c.answer(dialogue.NotAuthorized)
	}
	c.endRecalls()
}

// known is since when the upstream has sent a topic without an end, or now if it does not. It wants
// the lock.
func (l *ledger) known(t tickstorm.Topic) int64 {
	if e := l.find(t); e != nil {
		if since := e.grantedSince(); since != 0 {
			return since
		}
	}
	return time.Now().UnixNano()
}

// grantedSince is since when an entry or what carries it is granted, 0 if it is not.
func (e *entry) grantedSince() int64 {
	since := e.since
	if all := e.in.all; all != nil && all.since != 0 && (since == 0 || all.since < since) {
		since = all.since
	}
	return since
}

// openPast is what opens the past of the market, nil if there is nothing. What is wrong with it is for the
// log: errors may have paths in them, and clients are told that it cannot be read.
func (m *market) openPast() func(ctx context.Context, from, to int64) (fanout.Source, error) {
	open := m.server.cfg.Past
	if open == nil {
		return nil
	}
	log := m.server.log.With("market", string(m.name))
	return func(ctx context.Context, from, to int64) (fanout.Source, error) {
		past := &pastSource{ctx: ctx, log: log}
		var err error
		if past.Source, err = open(ctx, m.name, time.Unix(0, from), time.Unix(0, to)); err != nil {
			return nil, past.failed(err)
		}
		if past.Source == nil {
			return nil, past.failed(errors.New("Config.Past has returned nothing"))
		}
		if seeker, ok := past.Source.(interface{ SeekTo(received int64) error }); ok {
			if err := seeker.SeekTo(from); err != nil {
				_ = past.Close() // the error that matters is this one
				return nil, past.failed(err)
			}
		}
		return past, nil
	}
}

// pastSource is a Source whose errors go to the log.
type pastSource struct {
	Source
	ctx context.Context
	log *slog.Logger
}

var errUnread = errors.New("it cannot be read")

func (s *pastSource) failed(err error) error {
	if s.ctx.Err() == nil { // who asked is still there
		s.log.Warn("relay: the past cannot be read", "err", err)
	}
	return errUnread
}

func (s *pastSource) Next() (msg []byte, received int64, err error) {
	for {
		msg, received, err = s.Source.Next()
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return msg, received, s.failed(err)
		case err != nil || !past.Message(msg):
			return msg, received, err
		}
	}
}

func (s *pastSource) Close() error {
	if c, ok := s.Source.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// mark says what stands around events of the past.
func mark(dst []byte, m fanout.Mark) []byte {
	var s dialogue.Status
	switch {
	case m.Kind == fanout.MarkGap:
		cause := "history: " + m.Cause
		if m.Snapshot {
			cause = "snapshot: " + m.Cause
		}
		s = dialogue.GapNote(m.From, m.To, because(cause, m.Topics))
	case m.Snapshot && m.Kind == fanout.MarkBegin:
		s = dialogue.SnapshotBeginNote(m.Topics)
	case m.Snapshot:
		s = dialogue.SnapshotEndNote(m.Events, m.More)
	case m.Kind == fanout.MarkBegin:
		s = dialogue.HistoryBeginNote(m.From, m.Topics)
	default:
		s = dialogue.HistoryEndNote(m.To, m.Events, m.More)
	}
	return dialogue.AppendStatus(dst, s)
}

// because is a gap's cause, with the topics that it is about, or as many as a note names.
func because(cause string, topics []tickstorm.Topic) string {
	for i, t := range topics[:min(len(topics), dialogue.MostNamed)] {
		if i == 0 {
			cause += ": "
		} else {
			cause += ","
		}
		cause += t.String()
	}
	if more := len(topics) - dialogue.MostNamed; more > 0 {
		cause += fmt.Sprintf(" and %d more", more)
	}
	return cause
}

// tells reports whether a status of the past is one that late joiners are told in its place: that
// something is missing.
func tells(element []byte) bool {
	var s struct{ Status string }
	return json.Unmarshal(element, &s) == nil && (s.Status == dialogue.Gap || s.Status == dialogue.Dropped)
}

// PastStats is what is kept for late joiners of a market.
type PastStats struct {
	// Snapshots is whether last events are kept.
	Snapshots bool
	// Symbols is how many channels and symbols there is a last event of, in so many Bytes; Evicted
	// are those that gave way to others, and Unkept the events that there was no room for.
	Symbols, Bytes  int
	Evicted, Unkept uint64
	// History is the memory of the latest messages, and From when the first was received of which on
	// all are there.
	History int
	From    time.Time
}

func pastStats(snapshots bool, h fanout.Stats) PastStats {
	st := PastStats{
		Snapshots: snapshots,
		Symbols:   h.Snapshots.Symbols, Bytes: h.Snapshots.Bytes, Evicted: h.Snapshots.Evicted, Unkept: h.Snapshots.Unkept,
		History: h.History.Bytes,
	}
	if h.History.From != 0 {
		st.From = time.Unix(0, h.History.From)
	}
	return st
}
