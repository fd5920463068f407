package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tickstorm/tickstorm/sink"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
)

// sinkCmd has an engine a verb.
type sinkCmd struct {
	Nats    sinkNatsCmd    `cmd:"" help:"Into the streams of NATS JetStream."`
	Parquet sinkParquetCmd `cmd:"" help:"Into Parquet files, for DuckDB, Spark, pandas and others."`
}

type sinkNatsCmd struct {
	Topics []string `arg:"" optional:"" name:"topic" help:"Topics such as 'T.*' or Q.AAPL, of --from live; with --demo trades and quotes unless some are named."`
	From   string   `default:"live" placeholder:"live|DIR" help:"live: a connection, whose elements go in at most once. Or a folder of recordings, which may be written meanwhile: each element goes in, whatever is down for however long."`
	connection
	lasting
	Cursor string        `placeholder:"FILE" help:"File that keeps how far the servers have confirmed a folder, for one sink and one NATS alone. Without it each run reads the folder from its beginning, and leaves out what the streams have the last message of."`
	Follow time.Duration `default:"200ms" placeholder:"DURATION" help:"How often to look for more at the end of a folder; 0 ends there."`
	Dead   string        `placeholder:"FILE" help:"File for elements that NATS will never take, such as ones that are too long; without it one of them ends the sink."`
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

// demoTopics are what a sink of made-up data has.
var demoTopics = []string{"T.*", "Q.*"}

// fromLive is what --from is where there is no folder.
const fromLive = "live"

func (c *sinkNatsCmd) check(a *app) error {
	if err := c.natsFlags.check(); err != nil {
		return err
	}
	live := c.From == fromLive
	switch {
	case c.MaxAge <= 0 || c.MaxBytes <= 0 || c.Follow < 0:
		return usagef("--max-age and --max-bytes are above 0, and --follow is not negative")
	case live && c.Cursor != "":
		return usagef("--cursor is of a folder: --from DIR")
	case !live && a.Demo:
		return usagef("--demo is the simulator, and --from %s a folder: say one of them", c.From)
	case !live && len(c.Topics) > 0:
		return usagef("topics are of --from live: a folder goes in whole")
	}
	return c.lasting.check()
}

// engine is NATS, through a connection that is made and a server that is started for it.
func (c *sinkNatsCmd) engine(a *app) (e *sinknats.Engine, stop func(), err error) {
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
	nc, err := c.connect(a, url)
	if err != nil {
		end()
		return nil, nil, err
	}
	e, err = newNatsEngine(nc, sinknats.Config{
		Layout: c.layout(), Limits: sinknats.Limits{MaxAge: c.MaxAge, MaxBytes: c.MaxBytes, Replicas: c.Replicas}, MessageIDs: c.IDs,
	})
	if err != nil {
		nc.Close()
		end()
		return nil, nil, err
	}
	return e, func() {
		_ = e.Close() // the connection goes with it
		nc.Close()
		end()
	}, nil
}

// newNatsEngine is an engine whose configuration the user has said.
func newNatsEngine(nc *nats.Conn, cfg sinknats.Config) (*sinknats.Engine, error) {
	e, err := sinknats.NewEngine(nc, cfg)
	if err != nil && nc.IsConnected() {
		return nil, &usageError{err.Error()}
	}
	return e, err
}

// Run runs the verb.
func (c *sinkNatsCmd) Run(ctx context.Context, a *app) error {
	if err := c.check(a); err != nil {
		return err
	}
	settings, err := a.settings()
	if err != nil {
		return err
	}
	cfg := sink.Config{DeadLetters: c.Dead, Logger: a.log}
	if c.From != fromLive {
		if err := c.readable(); err != nil {
			return err
		}
		e, stop, err := c.engine(a)
		if err != nil {
			return err
		}
		defer stop()
		return a.sinkFolder(ctx, e, sink.FolderConfig{Paths: []string{c.From}, Cursor: c.Cursor, Follow: c.Follow}, cfg, c.For)
	}
	market := c.market(a, settings)
	names := c.Topics
	if a.Demo && len(names) == 0 {
		names = demoTopics
	}
	topics, err := topicsOf(a, market, names)
	if err == nil && len(topics) == 0 {
		err = usagef("say what goes in, such as 'T.*' 'Q.*', or --from DIR; see tickstorm sink nats --help")
	}
	if err != nil {
		return err
	}
	src, err := c.open(a, demoRate)
	if err != nil {
		return err
	}
	defer src.close()
	e, stop, err := c.engine(a)
	if err != nil {
		return err
	}
	defer stop()
	return a.sinkLive(ctx, e, src.Config, cfg, following{lasting: c.lasting, topics: topics})
}
