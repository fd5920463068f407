package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// session is a connection with what is known of the database. After an error it is thrown away, and
// with it what may not be true any more.
type session struct {
	cfg  *Config
	conn *pgx.Conn
	ddl  ddl

	namespace  bool                // that of the tables is there
	keys       map[*table][]string // that rows which are there are known by
	daily      map[*table]bool     // whose partitions are ours to make
	staged     map[*table]bool
	partitions map[partition]bool // that are there
	segments   map[string]int32
	script     strings.Builder
}

type partition struct {
	*table
	day int64
}

// settings are a session's. A server that has lost its client ends the transaction that rows of the
// next one wait for.
const settings = `SET client_encoding = 'UTF8'; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = '1min';
SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3`

// openSession connects, and makes what tables are missing.
func openSession(ctx context.Context, cfg *Config) (_ *session, err error) {
	conn, err := pgx.ConnectConfig(ctx, cfg.Connection)
	if err != nil {
		return nil, err
	}
	s := &session{
		cfg: cfg, conn: conn, ddl: ddl{cfg: *cfg},
		keys: map[*table][]string{}, daily: map[*table]bool{}, staged: map[*table]bool{}, partitions: map[partition]bool{}, segments: map[string]int32{},
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if _, err := conn.Exec(ctx, settings); err != nil {
		return nil, err
	}
	if err := s.durability(ctx); err != nil {
		return nil, err
	}
	return s, s.prepare(ctx)
}

// close closes the connection, which may be broken.
func (s *session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.conn.Close(ctx) // nothing follows of it
}

// durability has what is confirmed outlast a crash, whatever the server's default is.
func (s *session) durability(ctx context.Context) error {
	var commit, fsync string
	if err := s.conn.QueryRow(ctx, "SELECT current_setting('synchronous_commit'), current_setting('fsync')").Scan(&commit, &fsync); err != nil {
		return err
	}
	if fsync == "off" {
		s.cfg.Logger.Warn("postgres: the server has fsync off: what it has confirmed does not outlast a power cut")
	}
	if commit == "off" {
		_, err := s.conn.Exec(ctx, "SET synchronous_commit = on")
		return err
	}
	return nil
}

// tablesLock is the advisory lock that tables are made and changed under.
const tablesLock = 0x7469636b73746f72 // "tickstor"

// prepare looks at the tables, and makes what is missing.
func (s *session) prepare(ctx context.Context) error {
	found, err := s.look(ctx)
	if err != nil {
		return err
	}
	changes, err := s.compare(found)
	if err != nil || changes == "" {
		return err
	}
	return s.locked(ctx, func() error {
		// Somebody may have made them while the lock was waited for.
		if found, err = s.look(ctx); err != nil {
			return err
		}
		if changes, err = s.compare(found); err != nil || changes == "" {
			return err
		}
		if err := s.chooseLayout(ctx); err != nil {
			return err
		}
		if changes, err = s.compare(found); err != nil {
			return err
		}
		_, err := s.conn.Exec(ctx, changes)
		if err != nil {
			return err
		}
		if found, err = s.look(ctx); err != nil {
			return err
		}
		_, err = s.compare(found)
		return err
	})
}

// locked does something in a transaction under the lock.
func (s *session) locked(ctx context.Context, do func() error) error {
	if _, err := s.conn.Exec(ctx, fmt.Sprintf("BEGIN; SELECT pg_catalog.pg_advisory_xact_lock(%d)", int64(tablesLock))); err != nil {
		return err
	}
	if err := do(); err != nil {
		_, _ = s.conn.Exec(ctx, "ROLLBACK") // the error that matters is err
		return err
	}
	_, err := s.conn.Exec(ctx, "COMMIT")
	return err
}

// chooseLayout finds out what Auto is here.
func (s *session) chooseLayout(ctx context.Context) error {
	layout := s.cfg.Layout
	if layout == Auto || layout == Hypertable {
		var namespace string
		err := s.conn.QueryRow(ctx, "SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb'").Scan(&namespace)
		switch {
		case err == nil:
			layout, s.ddl.timescale = Hypertable, quote(namespace)+"."
		case err != pgx.ErrNoRows:
			return err
		case layout == Hypertable:
			return ErrTimescale
		default:
			layout = Daily
		}
	}
	s.ddl.cfg.Layout = layout
	return nil
}

// relation is a table as the server has it.
type relation struct {
	kind    string // relkind
	divided string // by what, if it has partitions
	columns map[string]foundColumn
	unique  [][]string
}

type foundColumn struct {
	typ      sqlType
	required bool
}

const lookColumns = `SELECT c.relname, c.relkind::text, coalesce(pg_catalog.pg_get_partkeydef(c.oid), ''),
	a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = $1 AND c.relname = ANY ($2) AND c.relkind NOT IN ('i', 'I', 'S', 't')`

const lookKeys = `SELECT c.relname, array_agg(a.attname::text)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
WHERE n.nspname = $1 AND c.relname = ANY ($2) AND i.indisunique AND i.indimmediate AND i.indisvalid
	AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
GROUP BY i.indexrelid, c.relname`

// look returns the tables that are there, by name, and notes whether their namespace is.
func (s *session) look(ctx context.Context) (map[string]*relation, error) {
	if err := s.conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)", s.cfg.Schema).Scan(&s.namespace); err != nil {
		return nil, err
	}
	var wanted []string
	for _, t := range catalog() {
		wanted = append(wanted, s.ddl.relation(t))
	}
	found := map[string]*relation{}
	rows, err := s.conn.Query(ctx, lookColumns, s.cfg.Schema, wanted)
	if err != nil {
		return nil, err
	}
	var name, kind, divided, column, typ string
	var required bool
	_, err = pgx.ForEachRow(rows, []any{&name, &kind, &divided, &column, &typ, &required}, func() error {
		r := found[name]
		if r == nil {
			r = &relation{kind: kind, divided: divided, columns: map[string]foundColumn{}}
			found[name] = r
		}
		r.columns[column] = foundColumn{sqlType(typ), required}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if rows, err = s.conn.Query(ctx, lookKeys, s.cfg.Schema, wanted); err != nil {
		return nil, err
	}
	var key []string
	_, err = pgx.ForEachRow(rows, []any{&name, &key}, func() error {
		if r := found[name]; r != nil {
			r.unique = append(r.unique, slices.Clone(key))
		}
		return nil
	})
	return found, err
}

// compare returns the statements that make tables what they should be, "" if they are, and notes how
// those are that are there. The error is a [*SchemaError].
func (s *session) compare(found map[string]*relation) (string, error) {
	var b strings.Builder
	for _, t := range catalog() {
		r := found[s.ddl.relation(t)]
		if r == nil {
			if b.Len() == 0 && !s.namespace { // a server asks for the right to make it before it looks
				b.WriteString(s.ddl.namespace())
			}
			b.WriteString(s.ddl.create(t))
			continue
		}
		add, err := s.check(t, r)
		if err != nil {
			return "", err
		}
		b.WriteString(add)
	}
	return b.String(), nil
}

// relationKinds are what a table is not.
var relationKinds = map[string]string{"v": "view", "m": "materialized view", "f": "foreign table", "c": "type"}

// check compares a table, and returns the statements that add what it lacks.
func (s *session) check(t *table, r *relation) (string, error) {
	e := &SchemaError{Table: s.ddl.name(t), Kind: relationKinds[r.kind]}
	var add strings.Builder
	ours := map[string]bool{}
	for i := range t.columns {
		c := &t.columns[i]
		ours[c.name] = true
		have, ok := r.columns[c.name]
		switch {
		case !ok && s.cfg.AddColumns && !c.notNull:
			fmt.Fprintf(&add, "ALTER TABLE %s ADD COLUMN %s;\n", s.ddl.name(t), s.ddl.column(t, c))
		case !ok:
			e.Missing = append(e.Missing, c.name)
		case have.typ != c.typ:
			e.Differ = append(e.Differ, fmt.Sprintf("%s (%s, not %s)", c.name, have.typ, c.typ))
		}
	}
	for name, c := range r.columns {
		if !ours[name] && c.required {
			e.Required = append(e.Required, name)
		}
	}
	slices.Sort(e.Required)
	key := s.keyOf(t, r)
	if key == nil {
		e.Key = t.key
	} else if t.name == segmentsName && !r.has("name") {
		e.Key = []string{"name"}
	}
	if e.Kind != "" || e.Missing != nil || e.Differ != nil || e.Required != nil || e.Key != nil {
		return "", e
	}
	s.keys[t] = key
	s.daily[t] = t.timed && r.divided == "RANGE ("+receivedName+")"
	return add.String(), nil
}

// keyOf returns the unique key of a table that names a row: without the time or with it.
func (s *session) keyOf(t *table, r *relation) []string {
	for _, key := range [][]string{t.key, append(slices.Clone(t.key), receivedName)} {
		if r.has(key...) {
			return key
		}
	}
	return nil
}

// has reports whether there is a unique key of these columns.
func (r *relation) has(key ...string) bool {
	return slices.ContainsFunc(r.unique, func(u []string) bool {
		return len(u) == len(key) && !slices.ContainsFunc(key, func(name string) bool { return !slices.Contains(u, name) })
	})
}

// maxKnown bounds what is remembered of segments and partitions.
const maxKnown = 1 << 14

// segment returns the number of a segment, which it is given at its first row.
func (s *session) segment(ctx context.Context, name string) (int32, error) {
	if n, ok := s.segments[name]; ok {
		return n, nil
	}
	t := s.ddl.name(catalog()[segmentsAt])
	if _, err := s.conn.Exec(ctx, `INSERT INTO `+t+` ("name") SELECT $1::text WHERE NOT EXISTS (SELECT FROM `+t+` WHERE "name" = $1::text) ON CONFLICT ("name") DO NOTHING`, name); err != nil {
		return 0, err
	}
	var n int32
	if err := s.conn.QueryRow(ctx, `SELECT "segment" FROM `+t+` WHERE "name" = $1::text`, name).Scan(&n); err != nil {
		return 0, err
	}
	if len(s.segments) >= maxKnown {
		clear(s.segments)
	}
	s.segments[name] = n
	return n, nil
}

// divide makes the partitions that rows need. It returns how many it made.
func (s *session) divide(ctx context.Context, l *load) (made int, err error) {
	if !s.daily[l.table] {
		return 0, nil
	}
	for _, day := range l.days {
		p := partition{l.table, day}
		if s.partitions[p] {
			continue
		}
		if len(s.partitions) >= maxKnown {
			clear(s.partitions)
		}
		relation, statements := s.ddl.partition(l.table, day)
		there, err := s.attached(ctx, l.table, relation)
		if err == nil && !there {
			err = s.locked(ctx, func() error {
				if there, err = s.attached(ctx, l.table, relation); err != nil || there {
					return err
				}
				made++
				_, err := s.conn.Exec(ctx, statements)
				return err
			})
		}
		if err != nil {
			return 0, err
		}
		s.partitions[p] = true
	}
	return made, nil
}

// attached reports whether a partition is there and is one.
func (s *session) attached(ctx context.Context, t *table, relation string) (bool, error) {
	var there, child bool
	err := s.conn.QueryRow(ctx, `SELECT c.oid IS NOT NULL, EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = c.oid AND inhparent = $2::text::regclass)
		FROM (SELECT to_regclass($1::text) AS oid) c`, quote(s.cfg.Schema, relation), s.ddl.name(t)).Scan(&there, &child)
	if err == nil && there && !child {
		err = fmt.Errorf("%w: %s and %s", ErrPartition, quote(s.cfg.Schema, relation), s.ddl.name(t))
	}
	return there && child, err
}

// store puts what there is into the tables, all of it or nothing. It returns how many rows were new.
func (s *session) store(ctx context.Context, loads []load) (stored uint64, err error) {
	s.script.Reset()
	for i := range loads {
		l := &loads[i]
		if l.rows == 0 {
			continue
		}
		if !s.staged[l.table] {
			if _, err := s.conn.Exec(ctx, createStage(l.table)); err != nil {
				return 0, err
			}
			s.staged[l.table] = true
		}
		s.script.WriteString(s.ddl.insert(l.table, s.keys[l.table]) + ";\n")
	}
	if s.script.Len() == 0 {
		return 0, nil
	}
	if _, err := s.conn.Exec(ctx, "BEGIN"); err != nil {
		return 0, err
	}
	for i := range loads {
		l := &loads[i]
		if l.rows == 0 {
			continue
		}
		l.data = append(l.data, copyTrailer...)
		if _, err := s.conn.PgConn().CopyFrom(ctx, bytes.NewReader(l.data), copyIn(l.table)); err != nil {
			return 0, err
		}
	}
	s.script.WriteString("COMMIT")
	results, err := s.conn.PgConn().Exec(ctx, s.script.String()).ReadAll()
	if err != nil {
		return 0, err
	}
	for _, r := range results {
		if r.CommandTag.Insert() {
			stored += uint64(r.CommandTag.RowsAffected())
		}
	}
	if last := results[len(results)-1].CommandTag.String(); last != "COMMIT" {
		return 0, fmt.Errorf("the transaction ended with %s", last)
	}
	return stored, nil
}

// rollback ends a transaction that has failed.
func (s *session) rollback(ctx context.Context) error {
	_, err := s.conn.Exec(ctx, "ROLLBACK")
	return err
}
