package main

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tickstorm/tickstorm/internal/redact"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/postgres"
)

// tablesFlags say where a market's tables are, and how they lie.
type tablesFlags struct {
	Schema string `placeholder:"NAME" group:"postgres" help:"Namespace of the tables; default tickstorm, and tickstorm_demo with --demo. It is made if there is none."`
	Prefix string `placeholder:"TEXT" group:"postgres" help:"What their names begin with."`
	Layout string `enum:"auto,plain,daily,hypertable" default:"auto" group:"postgres" help:"How tables that are made lie: plain, in daily partitions, as hypertables of TimescaleDB; auto is hypertable where there is TimescaleDB, else daily."`
}

// config has what the flags say.
func (f *tablesFlags) config(a *app) (postgres.Config, error) {
	cfg := postgres.Config{Schema: f.Schema, Prefix: f.Prefix, Logger: a.log}
	if f.Schema == "" && a.Demo {
		cfg.Schema = "tickstorm_demo" // what is made up is not among what is not
	}
	err := cfg.Layout.UnmarshalText([]byte(f.Layout))
	if err == nil {
		_, err = postgres.DDL(cfg) // which looks at all of them
	}
	if err != nil {
		return cfg, &usageError{err.Error()}
	}
	return cfg, nil
}

type sinkPostgresCmd struct {
	sinkFlags
	URL string `name:"url" placeholder:"URL" group:"postgres" help:"Database, such as postgres://writer@10.0.0.1/market?sslmode=verify-full. What it leaves open is in PGHOST, PGUSER, PGDATABASE, PGSSLMODE, PGSERVICE and so on, as for psql. A password is never in it: it is in PGPASSWORD, the file of PGPASSFILE (~/.pgpass) or a service file."`
	tablesFlags
	AddColumns bool `group:"postgres" help:"Add columns that tables lack, as after an update."`
}

// Help implements [kong.HelpProvider].
func (*sinkPostgresCmd) Help() string {
	return "Each element of a folder is in the tables once, whatever is killed. A server of version 12 or newer makes them; tickstorm schema postgres prints them. At the end what has come is written first.\n\n" + examples(
		"made-up data into the database market", "PGDATABASE=market tickstorm sink postgres --demo --for 10s",
		"a recording to its end", "tickstorm sink postgres --from recordings --follow 0 --url postgres://writer@10.0.0.1/market",
		"what is being recorded, whatever happens", "PGSERVICE=market tickstorm sink postgres --from recordings --cursor postgres.cursor --dead dead.jsonl",
	)
}

// database is where the database is and who asks, without a word of the password.
func (c *sinkPostgresCmd) database() (*pgx.ConnConfig, error) {
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		scheme := strings.HasPrefix(c.URL, "postgres://") || strings.HasPrefix(c.URL, "postgresql://")
		switch {
		case !scheme && strings.Contains(strings.ToLower(c.URL), "password"), err == nil && hasPassword(u):
			return nil, usagef("a password is never an argument, where every user of this machine can see it: put it in PGPASSWORD, ~/.pgpass or a service file")
		case !scheme || err != nil:
			return nil, usagef("--url is none: write one like postgres://writer@10.0.0.1/market")
		}
	}
	cfg, err := pgx.ParseConfig(c.URL)
	if err != nil {
		return nil, &exitError{exitUsage, "postgres: " + err.Error()}
	}
	return cfg, nil
}

func hasPassword(u *url.URL) bool {
	q := u.Query()  // what of it can be read
	q.Del("sslkey") // the name of a file
	_, ok := u.User.Password()
	return ok || len(redact.Query(q.Encode())) > 0
}

// engine is the database, through a connection that stands.
func (c *sinkPostgresCmd) engine(ctx context.Context, a *app, cfg postgres.Config) (sink.Engine, func(), error) {
	e, err := postgres.NewEngine(cfg)
	if err != nil {
		return nil, nil, err
	}
	stop := func() { _ = e.Close() } // never fails
	if err := e.Connect(ctx); err != nil {
		stop()
		if server, ok := errors.AsType[*postgres.ServerError](err); ok && strings.HasPrefix(server.Code, "28") {
			return nil, nil, &exitError{exitKey, err.Error()}
		}
		return nil, nil, err
	}
	return e, stop, nil
}

// Run runs the verb.
func (c *sinkPostgresCmd) Run(ctx context.Context, a *app) error {
	cfg, err := c.config(a)
	if err == nil {
		err = c.sinkFlags.check(a)
	}
	if err == nil {
		cfg.Connection, err = c.database()
	}
	if err != nil {
		return err
	}
	cfg.AddColumns = c.AddColumns
	return c.run(ctx, a, sink.Config{}, func() (sink.Engine, func(), error) { return c.engine(ctx, a, cfg) })
}
