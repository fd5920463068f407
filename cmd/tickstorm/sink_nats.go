package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tickstorm/tickstorm/sink"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
)

// sinkCmd has an engine a verb.
type sinkCmd struct {
	Nats     sinkNatsCmd     `cmd:"" help:"Into the streams of NATS JetStream."`
	Kafka    sinkKafkaCmd    `cmd:"" help:"Into the topics of Kafka."`
	Parquet  sinkParquetCmd  `cmd:"" help:"Into Parquet files, for DuckDB, Spark, pandas and others."`
	Postgres sinkPostgresCmd `cmd:"" help:"Into the tables of PostgreSQL."`
}

type sinkNatsCmd struct {
	sinkFlags
	natsFlags
	Listen   string        `default:"127.0.0.1:4222" placeholder:"ADDRESS" group:"nats" help:"Without --url a server is embedded: where it listens; port 0 is any."`
	Store    string        `placeholder:"DIR" default:"nats" group:"nats" help:"Folder of its streams; with --demo they go when it ends."`
	MaxAge   time.Duration `default:"24h" placeholder:"DURATION" group:"nats" help:"How long streams that are made keep a message."`
	MaxBytes int64         `default:"8589934592" placeholder:"BYTES" group:"nats" help:"How much the streams of a market that are made keep."`
	IDs      bool          `name:"ids" group:"nats" help:"Give messages Nats-Msg-Id too, for others that rely on it: servers keep them in memory, some 150 bytes each for two minutes."`
}

// Help implements [kong.HelpProvider].
func (*sinkNatsCmd) Help() string {
	return "Subjects are md.MARKET.CHANNEL.SYMBOL, with dots as %2E; gaps and drops are md.MARKET.notice.KIND. Standard output has the embedded server's URL. At the end what has come is written first.\n\n" + examples(
		"made-up data into a server of its own", "tickstorm sink nats --demo --listen 127.0.0.1:0 --for 1s",
		"a recording to its end", "tickstorm sink nats --from recordings --follow 0 --listen 127.0.0.1:0",
		"what is being recorded, whatever happens", "tickstorm sink nats --from recordings --cursor nats.cursor --dead dead.jsonl --url nats://10.0.0.1:4222 --replicas 3",
		"look at it", "tickstorm consume nats --url nats://127.0.0.1:4222 T.AAPL",
	)
}

func (c *sinkNatsCmd) check(a *app) error {
	if err := c.natsFlags.check(); err != nil {
		return err
	}
	if c.MaxAge <= 0 || c.MaxBytes <= 0 {
		return usagef("--max-age and --max-bytes are above 0")
	}
	return c.sinkFlags.check(a)
}

// engine is NATS, through a connection that is made and a server that is started for it.
func (c *sinkNatsCmd) engine(ctx context.Context, a *app) (_ sink.Engine, stop func(), err error) {
	url, end := c.URL, func() {}
	if url == "" {
		dir := c.Store
		if a.Demo {
			dir = ""
		}
		if url, end, err = a.serveNats(dir, c.Listen); err != nil {
			return nil, nil, err
		}
		if _, err := fmt.Fprintln(a.stdout, url); err != nil {
			end()
			return nil, nil, outputError(err)
		}
	}
	e, disconnect, err := c.natsFlags.engine(ctx, a, url, sinknats.Config{
		Layout: c.layout(), Limits: sinknats.Limits{MaxAge: c.MaxAge, MaxBytes: c.MaxBytes, Replicas: c.Replicas}, MessageIDs: c.IDs,
	})
	if err != nil {
		end()
		return nil, nil, err
	}
	return e, func() {
		disconnect()
		end()
	}, nil
}

// Run runs the verb.
func (c *sinkNatsCmd) Run(ctx context.Context, a *app) error {
	if err := c.check(a); err != nil {
		return err
	}
	return c.run(ctx, a, sink.Config{}, func() (sink.Engine, func(), error) { return c.engine(ctx, a) })
}
