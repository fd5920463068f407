package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/pgserver"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/postgres"
)

// batch is one of some trades.
func batch(from, rows int) *sink.Batch {
	b := &sink.Batch{}
	for i := range rows {
		b.Rows = append(b.Rows, sink.Row{
			ID:     sink.ID{Cursor: record.Cursor{Segment: "stocks-20261125T143000.000Z-000001", Sequence: uint64(from + i)}},
			Market: tickstorm.Stocks, Channel: "T", Symbol: "A", Received: at.UnixNano(), Raw: []byte(`{"ev":"T","sym":"A","p":1}`),
		})
	}
	return b
}

// TestCodes: what the server's codes mean for a batch. A trigger raises them.
func TestCodes(t *testing.T) {
	d := newDatabase(t)
	cfg := d.config(t)
	e := newEngine(t, cfg)
	require.NoError(t, e.Connect(t.Context()))
	d.exec(t, `CREATE TABLE public.raise (code text);
		CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE c text; BEGIN SELECT code INTO c FROM public.raise; IF c IS NOT NULL THEN RAISE 'as told' USING ERRCODE = c; END IF; RETURN NEW; END $$;
		CREATE TRIGGER raise BEFORE INSERT ON tickstorm.trades FOR EACH ROW EXECUTE FUNCTION raise()`)
	from := 0
	for what, codes := range map[string][]string{
		"again":  {"08006", "08P01", "40001", "40P01", "53100", "53200", "53300", "57014", "57P01", "57P02", "57P03", "58030", "55P03", "55006", "XX000", "25006", "42P01", "42703", "23514", "99999"},
		"poison": {"22001", "22003", "22021", "22P05", "23502", "23505", "23P01", "44000", "54000", "P0001"},
		"never":  {"28P01", "28000", "3D000", "3F000", "42501", "42601", "0A000", "22P03", "22P04"},
	} {
		for _, code := range codes {
			t.Run(what+" "+code, func(t *testing.T) {
				from += 10
				d.exec(t, "INSERT INTO public.raise VALUES ($1)", code)
				err := e.Write(t.Context(), batch(from, 3))
				d.exec(t, "DELETE FROM public.raise")
				var poison *sink.PoisonError
				var never *sink.PermanentError
				switch what {
				case "again":
					require.True(t, sink.Retryable(err), "%v", err)
				case "poison":
					require.ErrorAs(t, err, &poison)
					require.Negative(t, poison.Row)
				case "never":
					require.ErrorAs(t, err, &never)
				}
				var server *postgres.ServerError
				require.ErrorAs(t, err, &server)
				require.Equal(t, code, server.Code)
				var pg *pgconn.PgError
				require.ErrorAs(t, err, &pg)
				require.Contains(t, err.Error(), "as told")
				rows := fmt.Sprintf("SELECT count(*) FROM tickstorm.trades WHERE message_number BETWEEN %d AND %d", from, from+9)
				require.Zero(t, d.count(t, rows), "all or nothing")
				require.NoError(t, e.Write(t.Context(), batch(from, 3)), "and the next works")
				require.Equal(t, 3, d.count(t, rows))
			})
		}
	}
}

// TestConnections: a connection that cannot be had says whether another try is worth it.
func TestConnections(t *testing.T) {
	d := newDatabase(t)
	for _, c := range []struct {
		name, url string
		retry     bool
	}{
		{"no server", "postgres:///x?host=" + url.QueryEscape(t.TempDir()), true},
		{"no database", d.server.URL("nowhere", "postgres"), false},
		{"no role", d.server.URL(d.name, "nobody"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			connection, err := pgx.ParseConfig(c.url)
			require.NoError(t, err)
			e := newEngine(t, postgres.Config{Connection: connection})
			err = e.Connect(t.Context())
			require.Error(t, err)
			require.Equal(t, c.retry, sink.Retryable(err), "%v", err)
		})
	}
}

// TestPatience: a batch that waits for a lock is given up after a while, leaves nothing behind, and
// goes in when the lock is gone.
func TestPatience(t *testing.T) {
	d := newDatabase(t)
	cfg := d.config(t)
	require.NoError(t, newEngine(t, cfg).Write(t.Context(), batch(0, 1))) // makes the tables, for which there is more time
	cfg.Patience = 500 * time.Millisecond
	e := newEngine(t, cfg)
	again := func(what func() error) { // on a busy machine more than once
		t.Helper()
		require.Eventually(t, func() bool { return what() == nil }, time.Minute, time.Millisecond)
	}
	again(func() error { return e.Connect(t.Context()) })
	before := e.Stats().Connections
	d.exec(t, "BEGIN; LOCK TABLE tickstorm.trades IN ACCESS EXCLUSIVE MODE")
	err := e.Write(t.Context(), batch(1, 1))
	require.Error(t, err)
	require.True(t, sink.Retryable(err), "%v", err)
	require.Equal(t, before, e.Stats().Connections)
	d.exec(t, "ROLLBACK")
	again(func() error { return e.Write(t.Context(), batch(1, 1)) })
	require.Equal(t, 2, d.count(t, "SELECT count(*) FROM tickstorm.trades"))
	require.Greater(t, e.Stats().Connections, before)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, e.Write(ctx, batch(2, 1)), context.Canceled)
}

// TestReaders: a new day begins while somebody reads all days, and others need not wait behind that.
func TestReaders(t *testing.T) {
	d := newDatabase(t)
	cfg := d.config(t)
	cfg.Patience = 10 * time.Second
	e := newEngine(t, cfg)
	require.NoError(t, e.Write(t.Context(), batch(0, 1)))
	d.exec(t, "BEGIN")
	require.Equal(t, 1, d.count(t, "SELECT count(*) FROM tickstorm.trades"))
	b := batch(1, 1)
	b.Rows[0].Received = at.AddDate(0, 0, 1).UnixNano()
	require.NoError(t, e.Write(t.Context(), b))
	require.EqualValues(t, 2, e.Stats().Partitions)
	d.exec(t, "COMMIT")
	require.Equal(t, 2, d.count(t, "SELECT count(*) FROM tickstorm.trades"))
}

// TestPassword: the password is in no error and no log, whatever fails.
func TestPassword(t *testing.T) {
	d := newDatabase(t)
	d.exec(t, "DO $$ BEGIN CREATE ROLE "+pgserver.Guarded+" LOGIN PASSWORD '"+pgserver.Password+"'; EXCEPTION WHEN duplicate_object THEN END $$; GRANT CREATE ON DATABASE "+d.name+" TO "+pgserver.Guarded)
	var log bytes.Buffer
	engine := func(password, database string) *postgres.Engine {
		connection, err := pgx.ParseConfig(d.server.URL(database, pgserver.Guarded))
		require.NoError(t, err)
		connection.Password = password
		return newEngine(t, postgres.Config{Connection: connection, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	}
	e := engine(pgserver.Password, d.name)
	require.NoError(t, e.Write(t.Context(), batch(0, 1)), "the right one")
	const wrong = "not-the-one-0815"
	for name, err := range map[string]error{
		"wrong":       engine(wrong, d.name).Connect(t.Context()),
		"no database": engine(pgserver.Password, "nowhere").Connect(t.Context()),
	} {
		require.Error(t, err, name)
		require.False(t, sink.Retryable(err), "%s: %v", name, err)
		for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err), log.String()} {
			require.NotContains(t, text, wrong)
			require.NotContains(t, text, pgserver.Password)
		}
		var connect *pgconn.ConnectError
		require.NotErrorAs(t, err, &connect, "which has it")
	}
	d.exec(t, `CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the password is `+pgserver.Password+`' USING DETAIL = '`+pgserver.Password+`'; END $$;
		CREATE TRIGGER tell BEFORE INSERT ON tickstorm.trades FOR EACH ROW EXECUTE FUNCTION tell()`)
	err := e.Write(t.Context(), batch(1, 1))
	require.ErrorContains(t, err, "the password is [redacted]")
	require.NotContains(t, fmt.Sprintf("%#v", err)+err.Error(), pgserver.Password)
	var pg *pgconn.PgError
	require.NotErrorAs(t, err, &pg, "which has it")
}

// TestDurability: what is confirmed is so for good, where a database says otherwise.
func TestDurability(t *testing.T) {
	d := newDatabase(t)
	d.exec(t, "ALTER DATABASE "+d.name+" SET synchronous_commit = off")
	var log bytes.Buffer
	cfg := d.config(t)
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	require.NoError(t, newEngine(t, cfg).Connect(t.Context()))
	d.exec(t, `CREATE TABLE public.seen (setting text);
		CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$;
		CREATE TRIGGER see BEFORE INSERT ON tickstorm.trades FOR EACH ROW EXECUTE FUNCTION see()`)
	require.NoError(t, newEngine(t, cfg).Write(t.Context(), batch(0, 1)))
	require.Equal(t, []string{"on"}, d.query(t, "SELECT setting FROM public.seen"))
	require.Contains(t, log.String(), "fsync", "of this server")
}
