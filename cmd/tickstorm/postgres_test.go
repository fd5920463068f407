package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/internal/pgserver"
	"github.com/tickstorm/tickstorm/sim"
)

// database starts a server that the verbs find, and returns a count of what a query finds there.
func database(t *testing.T) (s *pgserver.Server, count func(sql string) int) {
	t.Helper()
	s, err := pgserver.Start()
	if err != nil {
		pgserver.Skip(t, err)
	}
	t.Cleanup(s.Stop)
	t.Setenv("PGHOST", s.Socket())
	t.Setenv("PGUSER", "postgres")
	t.Setenv("PGDATABASE", "postgres")
	t.Setenv("PGPASSWORD", "")
	t.Setenv("PGSERVICE", "")
	conn, err := pgx.Connect(t.Context(), s.URL("postgres", "postgres"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return s, func(sql string) (n int) {
		require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&n), sql)
		return n
	}
}

// tables are those that a sink makes, but for segments.
var tables = []string{"trades", "quotes", "aggregates", "books", "luld", "imbalances", "values", "statuses", "unknown"}

// TestPostgres: what was recorded is in the tables once, however often the sink runs, and what a
// connection receives.
func TestPostgres(t *testing.T) {
	s, count := database(t)
	elements := func(schema string) (n int) {
		for _, name := range tables {
			n += count(fmt.Sprintf("SELECT count(*) FROM %q.%q", schema, name))
		}
		return n
	}
	t.Run("folder", func(t *testing.T) {
		dir, inside := demoFolder(t)
		want := len(inside)
		args := []string{"sink", "postgres", "--from", dir, "--follow", "0", "--dead", filepath.Join(t.TempDir(), "dead")}
		cursor := []string{"--cursor", filepath.Join(t.TempDir(), "cursor")}
		for _, c := range []struct {
			args []string
			sunk int
		}{{cursor, want}, {cursor, 0}, {nil, want}, {[]string{"--url", "postgres://postgres@/postgres?host=" + s.Socket()}, want}} {
			s := newScene(t)
			require.Equal(t, exitOK, s.run(t, slices.Concat(args, c.args)...), s.err)
			require.Equal(t, c.sunk, sunkElements(t, s))
			require.Equal(t, want, elements("tickstorm"))
			require.Empty(t, s.out.String())
		}
	})
	t.Run("live", func(t *testing.T) {
		_, flags := start(t, sim.Config{Rate: 2000})
		_, sunk := sunkLive(t, func() bool { return count("SELECT count(*) FROM live.trades") > 0 },
			slices.Concat([]string{"sink", "postgres", "--schema", "live", "--layout", "plain", "T.AAPL", "Q.MSFT"}, flags)...)
		require.Equal(t, sunk, elements("live"))
		require.Zero(t, count("SELECT count(*) FROM live.trades WHERE symbol <> 'AAPL'"))
		require.Zero(t, count("SELECT count(*) FROM pg_inherits WHERE inhparent = 'live.trades'::regclass"))
	})
	t.Run("demo", func(t *testing.T) {
		s := newScene(t)
		require.Equal(t, exitOK, s.run(t, "sink", "postgres", "--demo", "--for", "200ms"), s.err)
		require.Contains(t, s.err.String(), "SIMULATOR")
		require.Equal(t, sunkElements(t, s), elements("tickstorm_demo"))
	})
	t.Run("interrupted", func(t *testing.T) { // while it connects, or later
		s := newScene(t)
		require.Equal(t, exitInterrupted, s.until(t, s.err, "SIMULATOR", "sink", "postgres", "--demo"), s.err)
	})
	t.Run("schema", func(t *testing.T) { // what is printed is what is made
		s := newScene(t)
		require.Equal(t, exitOK, s.run(t, "schema", "postgres", "--schema", "printed"))
		conn, err := pgx.Connect(t.Context(), "")
		require.NoError(t, err)
		defer conn.Close(context.Background())
		_, err = conn.Exec(t.Context(), s.out.String())
		require.NoError(t, err)
		require.Zero(t, elements("printed"))
	})
	t.Run("password", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), "")
		require.NoError(t, err)
		defer conn.Close(context.Background())
		_, err = conn.Exec(t.Context(), "CREATE ROLE "+pgserver.Guarded+" LOGIN SUPERUSER PASSWORD '"+pgserver.Password+"'")
		require.NoError(t, err)
		t.Setenv("PGUSER", pgserver.Guarded)
		for password, code := range map[string]int{pgserver.Password: exitOK, "not-the-one-0815": exitKey} {
			t.Setenv("PGPASSWORD", password)
			s := newScene(t)
			require.Equal(t, code, s.run(t, "sink", "postgres", "--demo", "-vv", "--for", "50ms"), s.err)
			require.NotContains(t, s.err.String(), password)
		}
	})
	t.Run("never", func(t *testing.T) { // no other try mends it
		ends(t, []end{{"sink postgres --demo --url postgres://postgres@/nosuch?host=" + s.Socket(), exitFailure, "3D000"}})
	})
}

// TestPostgresEnds: what keeps a sink from being one has its message and its code, and no password is
// repeated.
func TestPostgresEnds(t *testing.T) {
	t.Setenv("PGHOST", t.TempDir())
	t.Setenv("PGSERVICE", "")
	t.Setenv("PGUSER", "me")
	dir := t.TempDir()
	ends(t, []end{
		{"sink postgres T.AAPL", exitKey, "there is no API key"},
		{"sink postgres", exitUsage, "say what goes in"},
		{"sink postgres --demo --from " + dir, exitUsage, "say one of them"},
		{"sink postgres --from " + dir + " T.*", exitUsage, "goes in whole"},
		{"sink postgres --from " + dir + "/none", exitUsage, "no such file"},
		{"sink postgres --demo --cursor x", exitUsage, "--cursor is of a folder"},
		{"sink postgres --demo --follow -1s", exitUsage, "--follow"},
		{"sink postgres --demo --schema pg_catalog", exitUsage, "server's own"},
		{"sink postgres --demo --prefix " + strings.Repeat("x", 50), exitUsage, "Prefix"},
		{"sink postgres --demo --layout weekly", exitUsage, "--layout"},
		{"sink postgres --demo", exitFailure, "postgres: failed to connect"},
		{"sink postgres --demo --url postgres://u:sesame@10.0.0.1/x", exitUsage, "never an argument"},
		{"sink postgres --demo --url postgres://u:ses%zzame@10.0.0.1/x", exitUsage, "--url is none"},
		{"sink postgres --demo --url postgres://u@10.0.0.1/x?password=sesame", exitUsage, "never an argument"},
		{"sink postgres --demo --url postgres://u@10.0.0.1/x?pass%77ord=sesame", exitUsage, "never an argument"},
		{"sink postgres --demo --url postgres://u@10.0.0.1/x?sslPassword=sesame", exitUsage, "never an argument"},
		{"sink postgres --demo --url password=sesame", exitUsage, "never an argument"},
		{"sink postgres --demo --url mysql://x", exitUsage, "--url is none"},
		{"sink postgres --demo --url postgres://127.0.0.1:1/x", exitFailure, "`user=me database=x`: 127.0.0.1:1"},
		{"sink postgres --demo --url postgres:///x?connect_timeout=soon", exitUsage, "connect_timeout"},
		{"sink postgres --demo --url postgres:///x?service=none", exitUsage, "service"},
		{"schema nonsense", exitUsage, "columns"},
		{"schema postgres -f json", exitUsage, "text"},
		{"schema postgres --schema pg_x", exitUsage, "server's own"},
	}, "sesame")
}
