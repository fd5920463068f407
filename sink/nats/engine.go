package nats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
)

// StampHeader is the header that has a message's [sink.Stamp]: "<id> <receive time>". The payload
// is the element as it came, or the notice's JSON, and nothing else.
const StampHeader = "Ts-Id"

// Config says how an [Engine] works. Its zero value means what the comments say.
type Config struct {
	Layout
	Limits
	// MessageIDs gives each message its id as Nats-Msg-Id as well, for whoever else relies on that.
	// The sink does not: it repeats nothing that a stream still has the last message of. A server
	// keeps these ids in memory, some 150 bytes each, for the time of Duplicates: at 100,000
	// events a second and two minutes that is 1.8 GB a stream (nats-server#8485).
	MessageIDs bool
	// Duplicates is the window of these ids, of a stream that is made; default 2 min.
	Duplicates time.Duration
	// Patience is how long an answer of a server is waited for, and JetStream at the beginning, where
	// nobody answers for it or a server says that there is none; default 5 s.
	Patience time.Duration
}

// Engine is a [sink.Engine] that publishes to JetStream. A batch is published as fast as the
// connection takes it, and is confirmed when the servers have acknowledged all of it: the batch is
// the window.
//
// To each stream it goes as a batch of JetStream's fast ingest, for which the servers must be of
// version 2.14 or newer: what a server stores of it has no hole, so that no message passes another
// whatever fails; and the first says which number in its stream it expects to be behind. So the
// stream's last message says how far all was. After a failure, and in a new process, the engine
// goes on behind that one: a stream has each row once, unless its messages were removed or another
// writes to it. A stream is to have one sink.
//
// A gap, a drop and whatever else is a notice goes to all partitions of its market, in its place.
type Engine struct {
	cfg    Config
	nc     *nats.Conn
	js     jetstream.JetStream
	sub    *nats.Subscription
	lanes  map[tickstorm.Market][]*lane
	routes routes
	flight *flight
	absent absence
	msg    nats.Msg
	stamp  []byte
}

// lane is a partition of a market, and its stream.
type lane struct {
	stream jetstream.StreamConfig
	synced bool
	seq    uint64     // of the stream's last message, if synced
	marks  sink.Marks // what the stream has
	found  past
	alone  bool // messages go one by one: an id was stored before
	leg    *leg // of the batch at hand
}

var _ sink.Engine = (*Engine)(nil)

// NewEngine returns an engine that publishes through a connection, which stays the caller's. It
// makes streams when their first row comes.
func NewEngine(nc *nats.Conn, cfg Config) (*Engine, error) {
	var err error
	if cfg.Layout, err = cfg.Layout.withDefaults(); err != nil {
		return nil, err
	}
	cfg.Limits = cfg.Limits.withDefaults()
	cfg.Duplicates = cmp.Or(cfg.Duplicates, 2*time.Minute)
	cfg.Patience = cmp.Or(cfg.Patience, 5*time.Second)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(cfg.Patience))
	if err != nil {
		return nil, err
	}
	e := &Engine{
		cfg: cfg, nc: nc, js: js, flight: newFlight(nc.NewInbox() + "."),
		lanes: map[tickstorm.Market][]*lane{}, routes: newRoutes(cfg.Layout), absent: absence{patience: cfg.Patience},
	}
	e.msg.Header = nats.Header{StampHeader: {""}}
	if cfg.MessageIDs {
		e.msg.Header[jetstream.MsgIDHeader] = []string{""}
	}
	if e.sub, err = nc.Subscribe(e.flight.inbox+">", e.flight.onAnswer); err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	if err := e.sub.SetPendingLimits(-1, -1); err != nil { // there are as many as messages of a batch
		return nil, fmt.Errorf("nats: %w", err)
	}
	return e, nil
}

// Close ends what the engine has on the connection.
func (e *Engine) Close() error { return e.sub.Unsubscribe() }

// Write implements [sink.Engine]. A server that has no JetStream, or none for who asks, is a
// [*sink.PermanentError], once Patience is over; where it was there before it is waited for.
func (e *Engine) Write(ctx context.Context, b *sink.Batch) error {
	for {
		progress, err := e.round(ctx, b)
		var fatal *sink.PermanentError
		var poison *sink.PoisonError
		if err == nil || !progress || ctx.Err() != nil || errors.As(err, &fatal) || errors.As(err, &poison) {
			return err
		}
	}
}

// round publishes what of a batch the streams do not have. progress is whether they have more of it
// than before.
func (e *Engine) round(ctx context.Context, b *sink.Batch) (progress bool, err error) {
	e.flight.begin()
	e.absent.asks(e.nc)
	err = e.publish(ctx, b)
	if err == nil {
		err = e.flight.await(ctx, e.cfg.Patience)
	}
	progress, failed := e.flight.end(b)
	if err == nil {
		err = failed
	}
	return progress, e.absent.judge(e.nc, err)
}

// publish publishes it all, without waiting for answers.
func (e *Engine) publish(ctx context.Context, b *sink.Batch) error {
	for i := range b.Rows {
		r := &b.Rows[i]
		lanes := e.lanesOf(r.Market)
		if r.Notice != nil {
			for p, l := range lanes {
				if err := e.send(ctx, l, r, i, e.cfg.Layout.Subject(r, p)); err != nil {
					return err
				}
			}
			continue
		}
		to := e.routes.of(r)
		if err := e.send(ctx, lanes[to.partition], r, i, to.subject); err != nil {
			return err
		}
	}
	for _, g := range e.flight.legs {
		if err := e.nc.PublishRequest(g.subject, g.last(), nil); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) lanesOf(m tickstorm.Market) []*lane {
	lanes := e.lanes[m]
	for p := len(lanes); p < e.cfg.Partitions; p++ {
		lanes = append(lanes, &lane{stream: jetstream.StreamConfig{
			Name: e.cfg.Stream(m, p), Subjects: e.cfg.Subjects(m, p),
			Description: "tickstorm " + string(m),
			MaxAge:      e.cfg.MaxAge, MaxBytes: max(1, e.cfg.MaxBytes/int64(e.cfg.Partitions)), MaxMsgsPerSubject: -1,
			Replicas: e.cfg.Replicas, Duplicates: min(e.cfg.Duplicates, e.cfg.MaxAge), AllowDirect: true, AllowBatchPublish: true,
		}})
		e.lanes[m] = lanes
	}
	return lanes
}

// send publishes a row to a lane, unless its stream has it.
func (e *Engine) send(ctx context.Context, l *lane, r *sink.Row, row int, subject string) error {
	if !l.synced && !l.alone {
		if err := e.sync(ctx, l); err != nil {
			return err
		}
	}
	if r.ID.Segment < l.found.segment {
		if err := e.recall(ctx, l, r.ID.Segment); err != nil {
			return err
		}
	}
	if l.marks.Cover(&r.ID) {
		return nil
	}
	e.stamp = r.AppendStamp(e.stamp[:0])
	stamp := string(e.stamp)
	m := &e.msg
	m.Subject, m.Data = subject, r.Raw
	m.Header[StampHeader][0] = stamp
	if e.cfg.MessageIDs {
		m.Header[jetstream.MsgIDHeader][0] = stamp[:len(stamp)-1-len(strconv.FormatInt(r.Received, 10))]
	}
	if l.alone {
		return e.sendAlone(ctx, l, r, m)
	}
	if err := fits(e.nc, subject, r.Raw); err != nil {
		return sink.Poison(row, err)
	}
	if l.leg == nil {
		l.leg = e.flight.leg(l, subject)
		m.Header[jetstream.ExpectedLastSeqHeader] = []string{strconv.FormatUint(l.seq, 10)}
		defer delete(m.Header, jetstream.ExpectedLastSeqHeader)
	}
	m.Reply = l.leg.next(row)
	return e.nc.PublishMsg(m)
}

const (
	// maxHeader is more than all headers of a message have.
	maxHeader = 1 << 10
	// maxSubject is what is left of the line of 4096 bytes behind which a server, unless it is told
	// otherwise, ends the connection, by the reply's subject and lengths.
	maxSubject = 3800
)

// ErrSubject: a symbol or channel is so long that no server takes its subject.
var ErrSubject = fmt.Errorf("nats: a subject of more than %d bytes", maxSubject)

// fits reports why a server would not take a message.
func fits(nc *nats.Conn, subject string, raw []byte) error {
	if len(subject) > maxSubject {
		return ErrSubject
	}
	if len(raw)+maxHeader > int(nc.MaxPayload()) {
		return nats.ErrMaxPayload
	}
	return nil
}

// sendAlone publishes a message and waits for its answer, so that it cannot pass another. So goes
// what is behind an id that was stored before, until one is new.
func (e *Engine) sendAlone(ctx context.Context, l *lane, r *sink.Row, m *nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Patience)
	defer cancel()
	only := nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{StampHeader: m.Header[StampHeader], jetstream.MsgIDHeader: m.Header[jetstream.MsgIDHeader]}}
	answer, err := e.nc.RequestMsgWithContext(ctx, &only)
	if err != nil {
		return err
	}
	a := readAnswer(answer)
	if a.err != nil {
		return a.err
	}
	l.marks.Add(&r.ID)
	if !a.duplicate {
		l.alone, l.synced, l.seq = false, true, a.seq
	}
	return nil
}

// classify says of an error whether another try is worth it. Of a want of JetStream an absence does.
func classify(err error) error {
	var stream *StreamError
	if errors.As(err, &stream) || errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrAuthorization) {
		return sink.Permanent(err)
	}
	return err
}
