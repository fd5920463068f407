package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/counts"
)

// Engine is a [sink.Engine] that stores rows in the tables of a database. A batch is a transaction:
// its rows are copied into tables of the session and go from there to where they belong, unless they
// are there. So each is there once, whatever was killed, and however often it comes.
//
// It connects when the first batch comes, and again after an error. Stats may be called from any
// goroutine, all else from one.
type Engine struct {
	cfg     Config
	session *session // nil without a connection
	encoder *encoder
	warned  uint64 // unknown keys that were told
	counts  counts.Of[Stats]
}

var _ sink.Engine = (*Engine)(nil)

// NewEngine returns an engine, which does not connect yet. The error is an [ErrConfig].
func NewEngine(cfg Config) (*Engine, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.Connection == nil {
		return nil, fmt.Errorf("%w: no Connection", ErrConfig)
	}
	cfg.Connection = cfg.Connection.Copy()
	cfg.Connection.DefaultQueryExecMode = pgx.QueryExecModeExec // whose statements do not outlast a change of tables
	return &Engine{cfg: cfg, encoder: newEncoder()}, nil
}

// Connect connects and makes what tables are missing, unless that is done. [Engine.Write] does so by
// itself; who wants to know at the start whether the database is as it should be calls Connect. Its
// errors are those of Write: a [*sink.PermanentError] of a [*SchemaError], for instance.
func (e *Engine) Connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Patience)
	defer cancel()
	return e.settle(ctx, e.connect(ctx))
}

func (e *Engine) connect(ctx context.Context) (err error) {
	if e.session != nil {
		return nil
	}
	if e.session, err = openSession(ctx, &e.cfg); err != nil {
		return err
	}
	e.counts.Add(func(s *Stats) { s.Connections++ })
	return nil
}

// Close ends the connection.
func (e *Engine) Close() error {
	if e.session != nil {
		e.session.close()
		e.session = nil
	}
	return nil
}

// Stats returns what was done so far.
func (e *Engine) Stats() Stats { return e.counts.Snapshot() }

// Write implements [sink.Engine]. Errors are a [*ServerError], within a [*sink.PoisonError] where a
// row is at fault, and within a [*sink.PermanentError] where nothing but a human can help; that may
// also be a [*SchemaError], [ErrTimescale] or [ErrPartition].
func (e *Engine) Write(ctx context.Context, b *sink.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Patience)
	defer cancel()
	return e.settle(ctx, e.write(ctx, b))
}

// settle says what follows of an error, and leaves a connection that can be used, or none.
func (e *Engine) settle(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	err, usable := settle(err, e.cfg.Connection.Password)
	if e.session != nil && (!usable || e.session.rollback(ctx) != nil) {
		_ = e.Close() // never fails
	}
	return err
}

func (e *Engine) write(ctx context.Context, b *sink.Batch) error {
	if err := e.connect(ctx); err != nil {
		return err
	}
	if err := e.encode(ctx, b); err != nil {
		return err
	}
	made := 0
	for i := range e.encoder.loads {
		n, err := e.session.divide(ctx, &e.encoder.loads[i])
		if err != nil {
			return err
		}
		made += n
	}
	stored, err := e.session.store(ctx, e.encoder.loads)
	if err != nil {
		return err
	}
	given := 0
	for i := range e.encoder.loads {
		given += e.encoder.loads[i].rows
	}
	e.counts.Add(func(s *Stats) {
		s.Rows += stored
		s.Repeated += uint64(given) - stored
		s.Partitions += uint64(made)
	})
	return nil
}

// encode makes rows of tables of a batch's.
func (e *Engine) encode(ctx context.Context, b *sink.Batch) error {
	e.encoder.reset()
	last, number := "", int32(0)
	for i := range b.Rows {
		r := &b.Rows[i]
		if r.ID.Segment != last || i == 0 {
			n, err := e.session.segment(ctx, r.ID.Segment)
			if err != nil {
				return err
			}
			last, number = r.ID.Segment, n
		}
		if err := e.encoder.add(r, number); err != nil {
			return sink.Poison(i, err)
		}
	}
	keys := e.encoder.unknownKeys()
	if keys > 0 && e.warned == 0 {
		e.warned = keys
		e.cfg.Logger.Warn("postgres: elements have members that no column is for; the recording has them", "members", keys)
	}
	done := e.encoder.stats
	e.counts.Add(func(s *Stats) {
		s.Notices, s.Unknown, s.Unreadable, s.UnknownKeys = done.Notices, done.Unknown, done.Unreadable, keys
	})
	return nil
}
