package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/internal/leak"
	"github.com/tickstorm/tickstorm/internal/pgserver"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	"github.com/tickstorm/tickstorm/sink/postgres"
)

// The program that TestKills kills is the test binary started again with this in its environment.
const killVariable = "TICKSTORM_SINK_MAIN"

func TestMain(m *testing.M) {
	if arguments := os.Getenv(killVariable); arguments != "" {
		if err := sinkMain(strings.Split(arguments, "\n")); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	code := leak.Main(m)
	if server.Server != nil {
		server.Stop()
	}
	os.Exit(code)
}

// server is that of all tests which leave it alive.
var server struct {
	*pgserver.Server
	once sync.Once
	err  error
	next atomic.Int64
}

// database is one of a test's own.
type database struct {
	*pgx.Conn // of the superuser
	server    *pgserver.Server
	name      string
}

// newDatabase makes a database on the server of all tests.
func newDatabase(t testing.TB) *database {
	t.Helper()
	server.once.Do(func() { server.Server, server.err = pgserver.Start() })
	if server.err != nil {
		pgserver.Skip(t, server.err)
	}
	return databaseOn(t, server.Server, fmt.Sprint("test", server.next.Add(1)))
}

func databaseOn(t testing.TB, s *pgserver.Server, name string) *database {
	t.Helper()
	all, err := pgx.Connect(t.Context(), s.URL("postgres", "postgres"))
	require.NoError(t, err)
	_, err = all.Exec(t.Context(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	require.NoError(t, all.Close(t.Context()))
	d := &database{server: s, name: name}
	d.connect(t)
	return d
}

// connect connects, once more after the server was killed.
func (d *database) connect(t testing.TB) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.server.URL(d.name, "postgres"))
	require.NoError(t, err)
	d.Conn = conn
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // it may be broken
}

func (d *database) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	_, err := d.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// query returns the rows of a query of one column of text.
func (d *database) query(t testing.TB, sql string, args ...any) []string {
	t.Helper()
	rows, err := d.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

func (d *database) count(t testing.TB, sql string) (n int) {
	t.Helper()
	require.NoError(t, d.QueryRow(t.Context(), sql).Scan(&n))
	return n
}

// config leads an engine to the database.
func (d *database) config(t testing.TB) postgres.Config {
	t.Helper()
	cfg, err := pgx.ParseConfig(d.server.URL(d.name, "postgres"))
	require.NoError(t, err)
	return postgres.Config{Connection: cfg}
}

func newEngine(t testing.TB, cfg postgres.Config) *postgres.Engine {
	t.Helper()
	e, err := postgres.NewEngine(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

// write records messages of a market as they are, all of one time.
func write(t testing.TB, m tickstorm.Market, received time.Time, messages ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	rec := newRecorder(t, dir, m)
	for _, text := range messages {
		rec.OnMessage([]byte(text), received.UnixNano())
	}
	require.NoError(t, rec.Close(t.Context()))
	require.Zero(t, rec.Stats().Dropped)
	return dir
}

func newRecorder(t testing.TB, dir string, m tickstorm.Market) *record.Recorder {
	t.Helper()
	return sinktest.Record(t, record.Config{Dir: dir, Market: m, Buffer: 64 << 20})
}

// everything records what the simulator makes up of all channels of a market.
func everything(t testing.TB, m tickstorm.Market, messages int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	rec := newRecorder(t, dir, m)
	g := fixture.Generator(t, m, 1)
	at := time.Date(2026, time.November, 24, 23, 59, 59, 123_456_789, time.UTC) // the day ends among them
	for i := range messages {
		now := at.Add(time.Duration(i) * 1_000_001)
		rec.OnMessage(g.AppendMessage(nil, now, 1+i%7), now.UnixNano())
		if i%100 == 50 {
			rec.OnGap(&tickstorm.Gap{From: tickstorm.Moment{Event: now, Received: now}, To: tickstorm.Moment{Received: now}, Cause: errors.New("EOF"), Topics: []tickstorm.Topic{{Channel: "T", Symbol: "*"}}})
		}
	}
	require.NoError(t, rec.Close(t.Context()))
	require.Zero(t, rec.Stats().Dropped)
	return dir
}
